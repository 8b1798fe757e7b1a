/* SPDX-License-Identifier: Apache-2.0 */
/* start: what a dataplane consists of, made from its configuration. See start.h. */
#include "dataplane/start.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <rte_bitops.h>
#include <rte_errno.h>
#include "base/log.h"
#include "dataplane/aeads.h"
#include "dataplane/cryptodev.h"
#include "dataplane/dp.h"
#include "dataplane/manager.h"

#define POOL_CACHE    512 /* the largest: what is free and warm goes out first */
#define POOL_MIN      8191u
#define POOL_MAX      262143u
#define OTHERS_MB     160u /* what DPDK and drivers may need themselves */
#define MIN_MEMORY_MB 192u
#define MAX_ROUTES    4000000u /* in all tables: some 200 MiB, which are taken as they are needed */

/* Mbufs for about a third of what is left of the memory. */
static unsigned pool_size(const struct config *c, uint16_t data_room)
{
	const uint64_t element = sizeof(struct rte_mbuf) + sizeof(struct dp_meta) + data_room + 128;
	const uint64_t n = ((uint64_t)(c->memory_mb - OTHERS_MB) << 20) / 3 / element;

	return (unsigned)RTE_MIN(RTE_MAX(n, (uint64_t)POOL_MIN), (uint64_t)POOL_MAX);
}

/* Virtual addresses are what a device sees (--iova-mode=va); the pool did not note any. */
static void note_address(struct rte_mempool *pool, void *arg, void *object, unsigned index)
{
	(void)pool;
	(void)arg;
	(void)index;
	rte_mempool_get_header(object)->iova = (rte_iova_t)(uintptr_t)object;
}

/*
 * A pool whose packets stand next to each other. net_af_xdp shares as many bytes with the kernel as
 * there are packets times their size; DPDK's own function leaves gaps in front of page borders, one in
 * every page without hugepages, and what lies behind the shared part is lost as soon as it is to
 * receive.
 */
static struct rte_mempool *make_pool(const struct config *c, uint16_t room)
{
	const uint16_t meta = RTE_ALIGN(sizeof(struct dp_meta), RTE_MBUF_PRIV_ALIGN);
	struct rte_pktmbuf_pool_private shape = {.mbuf_data_room_size = room,
						 .mbuf_priv_size = meta};
	struct rte_mempool *pool = rte_mempool_create_empty(
		"dp-mbufs", pool_size(c, room), (unsigned)sizeof(struct rte_mbuf) + meta + room,
		POOL_CACHE, sizeof(shape), SOCKET_ID_ANY, RTE_MEMPOOL_F_NO_IOVA_CONTIG);

	if (!pool)
		return NULL;
	rte_pktmbuf_pool_init(pool, &shape);
	if (rte_mempool_populate_default(pool) < 0) {
		rte_mempool_free(pool);
		return NULL;
	}
	rte_mempool_obj_iter(pool, note_address, NULL);
	rte_mempool_obj_iter(pool, rte_pktmbuf_init, NULL);
	return pool;
}

bool dp_start_backend(struct dp *dp, char *error)
{
	const char *want = dp->config->aead_backend;

	if (dp->config->crypto_device[0] &&
	    !dp_cryptodev_open(dp->config->crypto_device, dp->n_workers + 1, dp->config->max_sas,
			       error, DP_START_ERROR_SIZE))
		return false;
	if (!dp_aeads_pick(&dp->esp, want)) {
		snprintf(error, DP_START_ERROR_SIZE,
			 "no AEAD backend '%s' works on this machine: set dataplane.aead_backend: "
			 "auto",
			 want);
		return false;
	}
	dp->esp.random = dp_random_fill;
	dp->esp.random_arg = &dp->random;
	return true;
}

bool dp_start_tables(struct dp *dp, char *error)
{
	const uint16_t room = dp_port_data_room(dp->config);

	if (dp->config->memory_mb < MIN_MEMORY_MB) {
		snprintf(error, DP_START_ERROR_SIZE,
			 "dataplane.memory is %u MiB: packets and drivers need at least %u",
			 dp->config->memory_mb, MIN_MEMORY_MB);
		return false;
	}
	dp->pool = make_pool(dp->config, room);
	dp->to_manager = rte_ring_create("dp-linux", DP_LINUX_RING, SOCKET_ID_ANY, RING_F_SC_DEQ);
	dp->sa_events = rte_ring_create("dp-events", rte_align32pow2(dp->config->max_sas * 2 + 2),
					SOCKET_ID_ANY, RING_F_SC_DEQ);
	if (!dp->pool || !dp->to_manager || !dp->sa_events ||
	    !dp_grace_init(&dp->grace, dp->n_workers) ||
	    !dp_fib_init(&dp->fib, MAX_ROUTES, &dp->grace) || !dp_neighs_init(&dp->neighs) ||
	    !dp_tunnels_init(&dp->tunnels, dp->config->max_tunnels) ||
	    !dp_sas_init(&dp->sas, dp->config->max_sas) || !(dp->peers = dp_peers_of(dp->config))) {
		snprintf(error, DP_START_ERROR_SIZE,
			 "not enough memory (%s): dataplane.memory is %u MiB; raise it",
			 rte_strerror(rte_errno), dp->config->memory_mb);
		return false;
	}
	return true;
}

void dp_start_linux_routes(struct dp *dp)
{
	dp_linux_routes_sweep(dp);
	dp_linux_routes_configure(dp, dp->config);
}

bool dp_start_workers(struct dp *dp, char *error)
{
	dp_random_fill(&dp->random, (uint8_t *)&dp->port_secret, sizeof(dp->port_secret));
	dp->spreads = dp->config->spread_crypto == CONFIG_SPREAD_AUTO;
	for (unsigned i = 0; i < dp->n_workers; i++) {
		dp->workers[i] = aligned_alloc(64, RTE_ALIGN(sizeof(struct dp_worker), 64));
		if (!dp->workers[i] || !dp_worker_init(dp->workers[i], dp, i, i + 1)) {
			snprintf(error, DP_START_ERROR_SIZE, "not enough memory for worker %u", i);
			return false;
		}
	}
	return true;
}

/* Addresses of a port: on the mirror for Linux, in the FIB for us. */
static bool port_addresses(struct dp *dp, const struct dp_port *p, char *error)
{
	for (size_t i = 0; i < p->cfg->n_addresses; i++) {
		const struct ip_prefix *a = &p->cfg->addresses[i];
		const struct ip_prefix host = {.addr = a->addr, .len = (uint8_t)ip_bits(&a->addr)};
		const struct ip_prefix net = ip_prefix_network(a);
		char text[IP_PREFIX_STRLEN];

		if (!dp_addr_add(&dp->netlink, p->mirror.ifindex, a)) {
			snprintf(error, DP_START_ERROR_SIZE,
				 "port '%s': Linux refuses the address %s: %s", p->cfg->name,
				 ip_prefix_format(a, text), strerror(errno));
			return false;
		}
		if (!dp_port_claim(dp, p->index, &host, DP_FIB_LOCAL,
				   dp_nh(DP_NH_LOCAL, p->index)) ||
		    !dp_port_claim(dp, p->index, &net, DP_FIB_CONNECTED,
				   dp_nh(DP_NH_CONNECTED, p->index))) {
			snprintf(error, DP_START_ERROR_SIZE, "port '%s': no room for its networks",
				 p->cfg->name);
			return false;
		}
	}
	return true;
}

static bool port_gateways(struct dp *dp, const struct dp_port *p, char *error)
{
	for (int i = 0; i < 2; i++) {
		const struct ip_addr *gw = &p->cfg->gateway[i];
		char text[IP_ADDR_STRLEN];

		if (gw->family == IP_NONE || dp_default_route(&dp->netlink, p->mirror.ifindex, gw))
			continue;
		if (errno != EEXIST) {
			snprintf(error, DP_START_ERROR_SIZE,
				 "port '%s': Linux refuses the gateway %s: %s; it must lie in a "
				 "network of the port",
				 p->cfg->name, ip_format(gw, text), strerror(errno));
			return false;
		}
		log_warn("port '%s': Linux has a default route already; gateway %s is not used",
			 p->cfg->name, ip_format(gw, text));
	}
	return true;
}

bool dp_start_mirror(struct dp *dp, const struct dp_port *p, char *error)
{
	(void)dp_sysctl_if("ipv6", p->mirror.ifname, "accept_ra", "0");
	/* Serve at once: during duplicate detection Linux would resolve no neighbour. */
	(void)dp_sysctl_if("ipv6", p->mirror.ifname, "accept_dad", "0");
	if (!dp_link_up(&dp->netlink, p->mirror.ifindex, p->mtu, p->mac.addr_bytes)) {
		snprintf(error, DP_START_ERROR_SIZE,
			 "port '%s': cannot bring up its Linux interface: %s", p->cfg->name,
			 strerror(errno));
		return false;
	}
	return port_addresses(dp, p, error) && port_gateways(dp, p, error) &&
	       dp_watch_add(dp, p->mirror.fd, DP_WATCH_MIRROR, p->index);
}

bool dp_start_ports(struct dp *dp, char *error)
{
	if (dp->config->n_ports == 0 || dp->config->n_ports > DP_STATS_MAX_PORTS) {
		snprintf(error, DP_START_ERROR_SIZE, "there must be 1 to %u ports",
			 DP_STATS_MAX_PORTS);
		return false;
	}
	for (unsigned i = 0; i < dp->config->n_ports; i++) {
		const struct config_table *t =
			config_table_by_name(dp->config, dp->config->ports[i].route_table);

		dp->ports[i].table = t ? t->index : 0;
		dp->ports_apart |= dp->ports[i].table != 0;
	}
	dp->tunnels.n_apart += dp->ports_apart;
	for (unsigned i = 0; i < dp->config->n_ports; i++) {
		dp->n_ports = i + 1; /* so that a half-done one is cleaned up, too */
		if (!dp_port_init(&dp->ports[i], i, &dp->config->ports[i], dp->n_workers, dp->pool,
				  error, DP_START_ERROR_SIZE) ||
		    !dp_start_mirror(dp, &dp->ports[i], error))
			return false;
		dp->inline_crypto |=
			dp_offload_on(&dp->ports[i].offloads, DP_OFFLOAD_INLINE_CRYPTO);
	}
	return true;
}

/* In the opposite order of creation; copes with a start that ended half way. */
void dp_start_undo(struct dp *dp)
{
	dp_grace_drain(&dp->grace);
	dp_neighs_fini(dp);
	dp_sas_fini(dp);
	dp_nic_tick(dp, true); /* while their devices are open */
	for (unsigned i = 0; i < dp->n_ports; i++)
		dp_port_fini(&dp->ports[i]);
	free(dp->peers);
	dp->peers = NULL;
	dp_linux_routes_fini(dp);
	dp_tunnels_fini(&dp->tunnels);
	for (unsigned i = 0; i < dp->n_workers; i++) {
		if (!dp->workers[i])
			continue;
		dp_worker_fini(dp->workers[i]);
		free(dp->workers[i]);
	}
	dp_aeads_fini(&dp->esp);
	dp_cryptodev_close();
	dp_fib_fini(&dp->fib);
	dp_grace_fini(&dp->grace);
	dp_netlink_fini(&dp->netlink);
	dp_rings_fini(&dp->rings);
	dp_random_wipe(&dp->random);
}
