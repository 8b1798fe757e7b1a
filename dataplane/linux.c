/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linux: packets between the workers and Linux, through mirror TAPs and TUNs: the slow path.
 *
 * What Linux sends by a mirror leaves the port as it is, with one exception: an IP packet for a
 * tunnel's route goes into the tunnel or is dropped, never out in clear. The exception's exception
 * is IKE itself (RFC 4301 4.4.1: bypass), which must reach the peer even when a tunnel's routes
 * cover the peer's address.
 */
#include "dataplane/manager.h"

#include <errno.h>
#include <unistd.h>
#include "base/log.h"
#include "dataplane/dp.h"
#include "dataplane/pipeline.h"

#define READ_AT_ONCE 64 /* packets of one interface before the others have their turn */
#define TAKE_AT_ONCE 256
#define RESERVE      64 /* tailroom for padding and ICV */

/* Reads one packet into a fresh mbuf. NULL when there is none. */
static struct rte_mbuf *receive(struct dp *dp, int fd, uint64_t *counter)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(dp->pool);
	char scrap[1];
	ssize_t n;

	if (!m) {
		/* The packet is taken off the queue all the same, or we would spin on it. */
		if (read(fd, scrap, sizeof(scrap)) >= 0) {
			dp_count(counter, 1);
			dp_count(&dp->mgr_stats->drops[DP_DROP_NO_BUFFER], 1);
		}
		return NULL;
	}
	*dp_meta(m) = (struct dp_meta){.port = DP_NO_PORT, .originated = 1};
	n = read(fd, dp_data(m), (size_t)rte_pktmbuf_tailroom(m) - RESERVE);
	if (n <= 0) {
		rte_pktmbuf_free(m);
		return NULL;
	}
	m->pkt_len = (uint32_t)n;
	m->data_len = (uint16_t)n;
	dp_count(counter, 1);
	return m;
}

static struct ip_addr destination(struct rte_mbuf *m)
{
	const uint8_t *ip = dp_data(m);

	return dp_meta(m)->family == 4 ? ip_from_bytes(IP_V4, ip + 16)
				       : ip_from_bytes(IP_V6, ip + 24);
}

/* IKE of our own: UDP from port 500 or 4500 of one of our addresses. */
static bool is_own_ike(struct dp *dp, struct rte_mbuf *m, uint16_t table)
{
	const uint8_t *ip = dp_data(m);
	const bool v4 = dp_meta(m)->family == 4;
	const uint32_t header = v4 ? (ip[0] & 15u) * 4 : 40u;
	const struct ip_addr from =
		v4 ? ip_from_bytes(IP_V4, ip + 12) : ip_from_bytes(IP_V6, ip + 8);
	uint16_t port;

	if ((v4 ? ip[9] : ip[6]) != IPPROTO_UDP || m->pkt_len < header + 8 ||
	    (v4 && (dp_get16(ip + 6) & 0x1fff)))
		return false;
	port = dp_get16(ip + header);
	return (port == DP_PORT_IKE || port == DP_PORT_NAT_T) &&
	       dp_nh_kind(dp_fib_lookup(&dp->fib, table, &from)) == DP_NH_LOCAL;
}

static void into_tunnel(struct dp *dp, struct rte_mbuf *m, uint32_t tunnel)
{
	dp_meta(m)->kind = DP_PKT_ENCAP;
	dp_meta(m)->tunnel = tunnel;
	dp_meta(m)->common = 1;
	dp_to_worker(dp, tunnel % dp->n_workers, m);
}

/* An IP packet that Linux sent by a mirror: true if it is no tunnel's, and may leave as it is. */
static bool mirror_ip(struct dp *dp, struct rte_mbuf *m, uint16_t table)
{
	const struct dp_group_hot *g;
	struct ip_addr to;
	uint32_t nh, tunnel;

	(void)rte_pktmbuf_adj(m, DP_ETH_SIZE);
	if (dp_ip_check(m)) {
		dp_mgr_drop(dp, m, DP_DROP_LINUX_BAD);
		return false;
	}
	to = destination(m);
	nh = dp_fib_lookup(&dp->fib, table, &to);
	/* Neighbour discovery, above all, stays on its link. */
	if ((dp_nh_kind(nh) != DP_NH_GROUP && dp_nh_kind(nh) != DP_NH_BLACKHOLE) ||
	    dp_is_for_link(dp_data(m), dp_meta(m)->family) || is_own_ike(dp, m, table)) {
		(void)rte_pktmbuf_prepend(m, DP_ETH_SIZE);
		return true;
	}
	if (dp_nh_kind(nh) == DP_NH_BLACKHOLE) {
		dp_mgr_drop(dp, m, DP_DROP_BLACKHOLE);
		return false;
	}
	g = dp_group_of(&dp->tunnels, dp_nh_index(nh));
	tunnel = g && g->n_ecmp
			 ? dp_group_share(dp, NULL, g, dp_data(m), m->pkt_len, dp_meta(m)->family)
			 : dp_group_pick(dp, NULL, g);
	if (tunnel == DP_TUNNEL_NONE)
		dp_mgr_drop(dp, m, DP_DROP_NO_TUNNEL);
	else
		into_tunnel(dp, m, tunnel);
	return false;
}

void dp_linux_from_mirror(struct dp *dp, uint32_t port)
{
	struct dp_port *p = &dp->ports[port];
	struct rte_mbuf *m;

	for (int i = 0; i < READ_AT_ONCE && (m = receive(dp, p->mirror.fd, &p->from_linux)); i++) {
		uint16_t type;

		if (m->pkt_len < DP_ETH_SIZE) {
			dp_mgr_drop(dp, m, DP_DROP_LINUX_BAD);
			continue;
		}
		type = dp_get16(dp_data(m) + 12);
		if ((type == RTE_ETHER_TYPE_IPV4 || type == RTE_ETHER_TYPE_IPV6) &&
		    !mirror_ip(dp, m, p->table))
			continue;
		dp_meta(m)->kind = DP_PKT_TX;
		dp_meta(m)->port = (uint8_t)port;
		dp_to_worker(dp, port % dp->n_workers, m);
	}
}

void dp_linux_from_tun(struct dp *dp, uint32_t tunnel)
{
	struct dp_tunnel_info *info = &dp->tunnels.info[tunnel];
	uint64_t *counter = &dp_stats_tunnels(dp)[tunnel].from_linux;
	struct rte_mbuf *m;

	for (int i = 0; i < READ_AT_ONCE && (m = receive(dp, info->tun.fd, counter)); i++) {
		if (dp_ip_check(m)) {
			dp_mgr_drop(dp, m, DP_DROP_LINUX_BAD);
			continue;
		}
		into_tunnel(dp, m, tunnel);
	}
}

static void give(struct dp *dp, struct rte_mbuf *m, int fd, uint64_t *counter)
{
	if (write(fd, dp_data(m), m->pkt_len) != (ssize_t)m->pkt_len) {
		dp_mgr_drop(dp, m, DP_DROP_LINUX_WRITE);
		return;
	}
	dp_count(counter, 1);
	rte_pktmbuf_free(m);
}

static void glean(struct dp *dp, struct rte_mbuf *m)
{
	const struct ip_addr to = destination(m);

	dp_neigh_hold(dp, dp_neigh_get(dp, dp_meta(m)->port, &to), m, dp->now);
}

static void handle(struct dp *dp, struct rte_mbuf *m)
{
	const struct dp_meta *meta = dp_meta(m);

	switch ((enum dp_kind)meta->kind) {
	case DP_PKT_PATH_MTU:
		dp_path_mtu_heard(dp, dp_data(m) + DP_ETH_SIZE, m->pkt_len - DP_ETH_SIZE);
		/* fall through */
	case DP_PKT_TO_MIRROR: {
		struct dp_port *p = &dp->ports[meta->port];

		give(dp, m, p->mirror.fd, &p->to_linux);
		break;
	}
	case DP_PKT_TO_TUN:
		if (dp->tunnels.info[meta->tunnel].tun.fd < 0)
			dp_mgr_drop(dp, m, DP_DROP_NO_INSIDE);
		else
			give(dp, m, dp->tunnels.info[meta->tunnel].tun.fd,
			     &dp_stats_tunnels(dp)[meta->tunnel].to_linux);
		break;
	case DP_PKT_GLEAN: glean(dp, m); break;
	case DP_PKT_UNRESOLVED: dp_neigh_hold(dp, meta->neigh, m, dp->now); break;
	case DP_PKT_UNKNOWN_SPI: dp_event_unknown_spi(dp, m); break;
	case DP_PKT_NONE:
	case DP_PKT_ENCAP:
	case DP_PKT_DECAP:
	case DP_PKT_FORWARD:
	case DP_PKT_TX:
		dp_mgr_drop(dp, m, DP_DROP_SHUTDOWN); /* cannot come here */
		break;
	}
}

bool dp_linux_take(struct dp *dp)
{
	struct rte_mbuf *m[TAKE_AT_ONCE];
	const unsigned n =
		rte_ring_sc_dequeue_burst(dp->to_manager, (void **)m, TAKE_AT_ONCE, NULL);

	for (unsigned i = 0; i < n; i++)
		handle(dp, m[i]);
	return n == TAKE_AT_ONCE;
}
