/* SPDX-License-Identifier: Apache-2.0 */
/* path_mtu: believes routers outside what they can prove. See path_mtu.h. */
#include "dataplane/path_mtu.h"

#include <string.h>
#include "base/log.h"
#include "base/sum.h"
#include "dataplane/dp.h"
#include "dataplane/flow.h"

#define ICMP_SIZE       8u
#define ICMP4_UNREACH   3
#define ICMP4_FRAG      4
#define ICMP6_TOO_BIG   2
#define PROTO_ICMPV6    58
#define PROTO_FRAGMENT  44
#define V4_HEADER       20u
#define V6_HEADER       40u
#define V6_FRAG         8u
#define UDP_SIZE        8u
#define ESP_SIZE        8u /* SPI and sequence number */
#define V4_FLOOR        576u
#define V6_FLOOR        1280u
#define SEQ_LATELY      (1u << 24) /* packets that may have left while the message was on its way */
#define DONT_FRAGMENT   0x4000u
#define FRAGMENT_OFFSET 0x1fffu

/* What a message says, all of it unproven. */
struct too_big {
	uint8_t family;
	bool udp;
	bool may_fragment; /* the quoted packet could have been cut */
	uint32_t mtu;
	uint32_t quoted_size; /* of the whole packet, by its header */
	uint32_t spi, seq;
	struct ip_endpoint local, remote; /* ports: of UDP */
	struct ip_addr router;
};

bool dp_path_mtu_is_news(const uint8_t *icmp, uint32_t size, uint8_t family)
{
	if (size < ICMP_SIZE)
		return false;
	return family == 4 ? icmp[0] == ICMP4_UNREACH && icmp[1] == ICMP4_FRAG
			   : icmp[0] == ICMP6_TOO_BIG;
}

/* What is quoted after the IP header: ESP, native or in UDP, up to the sequence number. A quote that
 * ends before it (RFC 792 asks for 8 bytes, which in UDP show no SPI) proves nothing. */
static bool parse_esp(const uint8_t *p, uint32_t size, struct too_big *t)
{
	if (t->udp) {
		if (size < UDP_SIZE)
			return false;
		t->local.port = dp_get16(p);
		t->remote.port = dp_get16(p + 2);
		p += UDP_SIZE;
		size -= UDP_SIZE;
	}
	if (size < ESP_SIZE)
		return false;
	t->spi = dp_get32(p);
	t->seq = dp_get32(p + 4);
	return true;
}

static bool is_esp(uint8_t protocol, bool *udp)
{
	*udp = protocol == IPPROTO_UDP;
	return *udp || protocol == DP_PROTO_ESP;
}

static bool parse_quote_v4(const uint8_t *p, uint32_t size, struct too_big *t)
{
	uint32_t header;
	uint16_t field;

	if (size < V4_HEADER || p[0] >> 4 != 4)
		return false;
	header = (p[0] & 15u) * 4;
	field = dp_get16(p + 6);
	if (header < V4_HEADER || header > size || (field & FRAGMENT_OFFSET) ||
	    !is_esp(p[9], &t->udp))
		return false;
	t->may_fragment = !(field & DONT_FRAGMENT);
	t->quoted_size = dp_get16(p + 2);
	t->local.addr = ip_from_bytes(IP_V4, p + 12);
	t->remote.addr = ip_from_bytes(IP_V4, p + 16);
	return parse_esp(p + header, size - header, t);
}

static bool parse_quote_v6(const uint8_t *p, uint32_t size, struct too_big *t)
{
	uint32_t header = V6_HEADER;
	uint8_t protocol;

	if (size < V6_HEADER || p[0] >> 4 != 6)
		return false;
	protocol = p[6];
	/* Ours may be cut by ourselves: the first piece shows what is needed. */
	if (protocol == PROTO_FRAGMENT) {
		if (size < V6_HEADER + V6_FRAG || (dp_get16(p + V6_HEADER + 2) & 0xfff8))
			return false;
		protocol = p[V6_HEADER];
		header += V6_FRAG;
	}
	if (!is_esp(protocol, &t->udp))
		return false;
	t->quoted_size = V6_HEADER + dp_get16(p + 4);
	t->local.addr = ip_from_bytes(IP_V6, p + 8);
	t->remote.addr = ip_from_bytes(IP_V6, p + 24);
	return parse_esp(p + header, size - header, t);
}

/* RFC 1191 7: what a router that names no MTU probably means. */
static uint32_t plateau_below(uint32_t size)
{
	static const uint16_t plateaus[] = {32000, 17914, 8166, 4352, 2002, 1492, 1006};

	for (size_t i = 0; i < sizeof(plateaus) / sizeof(plateaus[0]); i++) {
		if (plateaus[i] < size)
			return plateaus[i];
	}
	return V4_FLOOR;
}

static bool parse_v4(const uint8_t *ip, uint32_t size, struct too_big *t)
{
	const uint32_t header = (ip[0] & 15u) * 4;
	const uint8_t *icmp = ip + header;

	if (size < header + ICMP_SIZE || ip[9] != IPPROTO_ICMP || (dp_get16(ip + 6) & 0x3fff) ||
	    !dp_path_mtu_is_news(icmp, size - header, 4) ||
	    sum_finish(sum_add(0, icmp, size - header)) != 0 ||
	    !parse_quote_v4(icmp + ICMP_SIZE, size - header - ICMP_SIZE, t))
		return false;
	t->router = ip_from_bytes(IP_V4, ip + 12);
	t->mtu = dp_get16(icmp + 6);
	if (t->mtu == 0)
		t->mtu = plateau_below(t->quoted_size);
	/* RFC 4301 8.2: no stranger may make our packets arbitrarily small. */
	t->mtu = RTE_MAX(t->mtu, V4_FLOOR);
	return true;
}

static bool parse_v6(const uint8_t *ip, uint32_t size, struct too_big *t)
{
	const uint32_t icmp_size = size - V6_HEADER;
	const uint8_t *icmp = ip + V6_HEADER;
	uint8_t pseudo[8] = {[7] = PROTO_ICMPV6};
	uint32_t sum;

	if (size < V6_HEADER + ICMP_SIZE || ip[6] != PROTO_ICMPV6 ||
	    !dp_path_mtu_is_news(icmp, icmp_size, 6))
		return false;
	dp_put16(pseudo + 2, (uint16_t)icmp_size);
	sum = sum_add(sum_add(0, ip + 8, 32), pseudo, sizeof(pseudo));
	if (sum_finish(sum_add(sum, icmp, icmp_size)) != 0 ||
	    !parse_quote_v6(icmp + ICMP_SIZE, icmp_size - ICMP_SIZE, t))
		return false;
	t->router = ip_from_bytes(IP_V6, ip + 8);
	t->mtu = dp_get32(icmp + 4);
	return true;
}

/* What leaves in UDP may come from it. */
static bool is_our_port(const struct dp_out *o, uint16_t port)
{
	const uint16_t known = o->path->local.port;

	return o->port_entropy ? port >= DP_FLOW_PORT_FIRST
			       : port == (known ? known : DP_PORT_NAT_T);
}

static bool is_quoted(const struct dp *dp, const struct dp_out *o, const struct too_big *t)
{
	const struct dp_path *p;
	struct esp_out_state st;
	uint64_t last;

	if (!o || o->spi != t->spi)
		return false;
	p = o->path;
	if (p->udp != t->udp || !ip_equal(&p->local.addr, &t->local.addr) ||
	    !ip_equal(&p->remote.addr, &t->remote.addr))
		return false;
	if (t->udp && (!is_our_port(o, t->local.port) ||
		       t->remote.port != (p->remote.port ? p->remote.port : DP_PORT_NAT_T)))
		return false;
	/* It stands for the next number, and says little before a packet has left. */
	esp_out_state(dp_out_esp(o), &st);
	if (st.packets == 0)
		return false;
	last = st.next_seq - 1;
	return t->seq != 0 && (uint32_t)last - t->seq < RTE_MIN(last, (uint64_t)SEQ_LATELY);
}

/* The SA, of those by which something is sent now, that the quoted packet is of. */
static const struct dp_out *find(const struct dp *dp, const struct too_big *t)
{
	for (uint32_t i = 0; i < dp->tunnels.max; i++) {
		const struct dp_out *o = dp->tunnels.hot[i].current;

		if (is_quoted(dp, o, t))
			return o;
		for (unsigned k = 0; k < dp->n_workers; k++) {
			o = dp->workers[k]->out[i];
			if (is_quoted(dp, o, t))
				return o;
		}
	}
	return NULL;
}

static void resolve(struct dp *dp, uint32_t tunnel)
{
	for (struct dp_out *o = dp->sas.all_out; o; o = o->next) {
		if (o->tunnel == tunnel)
			dp_out_resolve(dp, o);
	}
}

static void forget(struct dp *dp, uint32_t tunnel)
{
	dp->tunnels.info[tunnel].path_mtu.mtu = 0;
	resolve(dp, tunnel);
}

static void learn(struct dp *dp, const struct dp_out *o, const struct too_big *t)
{
	char router[IP_ADDR_STRLEN], remote[IP_ADDR_STRLEN];
	struct dp_tunnel_info *info = &dp->tunnels.info[o->tunnel];

	info->path_mtu = (struct dp_path_mtu){
		.mtu = t->mtu,
		.local = t->local.addr,
		.remote = t->remote.addr,
		.expires = mono_add(dp->now, DP_PATH_MTU_AGE),
	};
	resolve(dp, o->tunnel);
	ip_format(&t->router, router);
	ip_format(&t->remote.addr, remote);
	log_info("tunnel '%s': the way to %s carries %u bytes, says %s: packets inside are held to "
		 "%u "
		 "bytes, until ten minutes have passed without such a message",
		 info->msg.name, remote, t->mtu, router, o->path->mtu);
}

/* The note under which a message is counted. */
static unsigned judge(struct dp *dp, const uint8_t *ip, uint32_t size)
{
	struct too_big t = {.family = ip[0] >> 4};
	struct dp_path_mtu *known;
	const struct dp_out *o;
	uint32_t port_mtu;

	if (!(t.family == 4 ? parse_v4(ip, size, &t) : parse_v6(ip, size, &t)))
		return DP_NOTE_PATH_MTU_UNPROVEN;
	o = find(dp, &t);
	if (!o)
		return DP_NOTE_PATH_MTU_UNPROVEN;
	port_mtu = o->path->port == DP_NO_PORT ? UINT16_MAX : dp->ports[o->path->port].mtu;
	/* RFC 8201 4: less than the least of IPv6 is no news of a link. RFC 5927 7.2: the packet is one
	 * that we may have sent, and that would not have passed; over IPv4, nor been cut. */
	if ((t.family == 6 && t.mtu < V6_FLOOR) || t.mtu >= t.quoted_size ||
	    t.quoted_size > port_mtu || t.may_fragment)
		return DP_NOTE_PATH_MTU_IMPLAUSIBLE;
	if (t.mtu < o->path->outer_mtu) {
		learn(dp, o, &t);
		return DP_NOTE_PATH_MTU_LEARNT;
	}
	known = &dp->tunnels.info[o->tunnel].path_mtu;
	if (t.mtu == known->mtu)
		known->expires = mono_add(dp->now, DP_PATH_MTU_AGE);
	return DP_NOTE_PATH_MTU_KNOWN;
}

void dp_path_mtu_heard(struct dp *dp, const uint8_t *ip, uint32_t size)
{
	const unsigned note = dp->learn_path_mtu ? judge(dp, ip, size) : DP_NOTE_PATH_MTU_OFF;

	dp_count(&dp->mgr_stats->drops[note], 1);
}

void dp_path_mtu_tick(struct dp *dp)
{
	for (uint32_t i = 0; i < dp->tunnels.max; i++) {
		const struct dp_path_mtu *p = &dp->tunnels.info[i].path_mtu;

		if (p->mtu && mono_reached(dp->now, p->expires))
			forget(dp, i);
	}
}

void dp_path_mtu_enable(struct dp *dp, bool on)
{
	dp->learn_path_mtu = on;
	for (uint32_t i = 0; !on && i < dp->tunnels.max; i++) {
		if (dp->tunnels.info[i].path_mtu.mtu)
			forget(dp, i);
	}
}

uint32_t dp_path_mtu_limit(const struct dp *dp, uint32_t tunnel, const struct ip_addr *local,
			   const struct ip_addr *remote, uint32_t mtu)
{
	const struct dp_path_mtu *p = &dp->tunnels.info[tunnel].path_mtu;

	if (p->mtu == 0 || p->mtu >= mtu || !ip_equal(&p->local, local) ||
	    !ip_equal(&p->remote, remote))
		return mtu;
	return p->mtu;
}
