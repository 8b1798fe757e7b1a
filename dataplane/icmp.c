/* SPDX-License-Identifier: Apache-2.0 */
/*
 * icmp: errors that a router owes the sender of a packet: too big (RFC 1191, RFC 4443 3.2) and hop
 * limit exceeded. The error is a packet of our own; it is routed like any other, so that an error
 * about a packet from a tunnel goes back through the tunnel and never in clear.
 */
#include "dataplane/pipeline.h"

#include "base/sum.h"
#include "dataplane/dp.h"

#define ICMP_SIZE      8u
#define V4_QUOTE_MAX   548u  /* RFC 1812 4.3.2.3: the error stays within 576 bytes */
#define V6_QUOTE_MAX   1232u /* RFC 4443 2.4 (c): within 1280 */
#define ERROR_TTL      64
#define PROTO_ICMPV6   58
#define ICMP4_UNREACH  3
#define ICMP4_FRAG     4
#define ICMP4_EXCEEDED 11
#define ICMP6_TOO_BIG  2
#define ICMP6_EXCEEDED 3

struct error {
	uint8_t type, code;
	uint32_t value; /* second word of the header */
};

/* An address of ours that the sender of `m` can see. */
static bool source_address(struct dp_worker *w, const struct dp_meta *meta, struct ip_addr *out)
{
	const struct dp *dp = w->dp;
	const uint8_t family = meta->family;

	for (unsigned i = 0; i < dp->n_ports; i++) {
		const struct config_port *c = dp->ports[i].cfg;

		if (!meta->in_tunnel && meta->port != i)
			continue;
		for (size_t k = 0; k < c->n_addresses; k++) {
			if (c->addresses[k].addr.family == family &&
			    (!meta->in_tunnel || !c->gateway[family == 4 ? 0 : 1].family)) {
				*out = c->addresses[k].addr;
				return true;
			}
		}
	}
	return false;
}

/* RFC 1122 3.2.2, RFC 4443 2.4 (e): no error about errors, fragments, multicast or nobody. */
static bool may_answer(const uint8_t *ip, uint32_t size, uint8_t family)
{
	if (family == 4) {
		const uint32_t header = (ip[0] & 15u) * 4;

		if ((dp_get16(ip + 6) & 0x1fff) || ip[16] >= 224 || ip[12] >= 224 || ip[12] == 0 ||
		    ip[12] == 127)
			return false;
		if (ip[9] != IPPROTO_ICMP)
			return true;
		/* Echo request or reply and timestamps are no errors. */
		return size > header && (ip[header] == 8 || ip[header] == 0 || ip[header] == 13);
	}
	if (ip[24] == 0xff || ip[8] == 0xff || (ip[8] == 0 && ip[9] == 0 && ip[23] <= 1))
		return false;
	return ip[6] != PROTO_ICMPV6 || (size > 40 && (ip[40] & 0x80));
}

static void build_v4(uint8_t *out, const uint8_t *ip, uint32_t quote, const struct ip_addr *from,
		     const struct error *e)
{
	uint8_t *icmp = out + 20;

	memset(out, 0, 20 + ICMP_SIZE);
	out[0] = 0x45;
	out[1] = 0xc0; /* RFC 1812 4.3.2.5: internetwork control */
	dp_put16(out + 2, (uint16_t)(20 + ICMP_SIZE + quote));
	out[8] = ERROR_TTL;
	out[9] = IPPROTO_ICMP;
	memcpy(out + 12, from->b, 4);
	memcpy(out + 16, ip + 12, 4);
	dp_put16(out + 10, sum_finish(sum_add(0, out, 20)));
	icmp[0] = e->type;
	icmp[1] = e->code;
	dp_put16(icmp + 6, (uint16_t)e->value);
	memcpy(icmp + ICMP_SIZE, ip, quote);
	dp_put16(icmp + 2, sum_finish(sum_add(0, icmp, ICMP_SIZE + quote)));
}

static void build_v6(uint8_t *out, const uint8_t *ip, uint32_t quote, const struct ip_addr *from,
		     const struct error *e)
{
	const uint32_t size = ICMP_SIZE + quote;
	const uint8_t pseudo[8] = {0, 0, (uint8_t)(size >> 8), (uint8_t)size, 0,
				   0, 0, PROTO_ICMPV6};
	uint8_t *icmp = out + 40;
	uint32_t sum;

	memset(out, 0, 40 + ICMP_SIZE);
	out[0] = 0x60;
	dp_put16(out + 4, (uint16_t)size);
	out[6] = PROTO_ICMPV6;
	out[7] = ERROR_TTL;
	memcpy(out + 8, from->b, 16);
	memcpy(out + 24, ip + 8, 16);
	icmp[0] = e->type;
	icmp[1] = e->code;
	dp_put16(icmp + 4, (uint16_t)(e->value >> 16));
	dp_put16(icmp + 6, (uint16_t)e->value);
	memcpy(icmp + ICMP_SIZE, ip, quote);
	sum = sum_add(0, out + 8, 32);
	sum = sum_add(sum, pseudo, sizeof(pseudo));
	dp_put16(icmp + 2, sum_finish(sum_add(sum, icmp, size)));
}

static void send_error(struct dp_worker *w, struct rte_mbuf *m, const struct error *e)
{
	const struct dp_meta *meta = dp_meta(m);
	const bool v4 = meta->family == 4;
	const uint32_t head = v4 ? 20 + ICMP_SIZE : 40 + ICMP_SIZE;
	const uint32_t quote = RTE_MIN(m->pkt_len, v4 ? V4_QUOTE_MAX : V6_QUOTE_MAX);
	const uint8_t *ip = dp_data(m);
	struct ip_addr from;
	struct rte_mbuf *r;
	uint8_t *out;

	if (w->icmp_tokens == 0 || meta->originated || !may_answer(ip, m->pkt_len, meta->family) ||
	    !source_address(w, meta, &from))
		return;
	r = rte_pktmbuf_alloc(w->dp->pool);
	if (!r)
		return;
	out = (uint8_t *)rte_pktmbuf_append(r, (uint16_t)(head + quote));
	if (!out) {
		rte_pktmbuf_free(r);
		return;
	}
	w->icmp_tokens--;
	if (v4)
		build_v4(out, ip, quote, &from, e);
	else
		build_v6(out, ip, quote, &from, e);
	*dp_meta(r) = (struct dp_meta){
		.port = DP_NO_PORT,
		.family = meta->family,
		.originated = 1,
		.table = meta->in_tunnel ? (uint16_t)__atomic_load_n(
						   &w->dp->tunnels.hot[meta->from_tunnel].table,
						   __ATOMIC_ACQUIRE)
			 : meta->port < w->dp->n_ports ? w->dp->ports[meta->port].table
						       : 0,
	};
	dp_count(&w->stats->generated, 1);
	dp_handoff(w, w->index, r, DP_PKT_FORWARD);
}

void dp_icmp_too_big(struct dp_worker *w, struct rte_mbuf *m, uint32_t mtu)
{
	const struct error v4 = {ICMP4_UNREACH, ICMP4_FRAG, mtu};
	/* RFC 8200 5: no IPv6 link may be narrower; the sender fragments to that at most. */
	const struct error v6 = {ICMP6_TOO_BIG, 0, RTE_MAX(mtu, 1280u)};

	send_error(w, m, dp_meta(m)->family == 4 ? &v4 : &v6);
}

void dp_icmp_ttl(struct dp_worker *w, struct rte_mbuf *m)
{
	const struct error v4 = {ICMP4_EXCEEDED, 0, 0};
	const struct error v6 = {ICMP6_EXCEEDED, 0, 0};

	send_error(w, m, dp_meta(m)->family == 4 ? &v4 : &v6);
}
