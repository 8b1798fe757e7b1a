/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outer: templates of outer headers, the longer headers built from them, the parser for everything,
 * and what an outer header says about congestion. See outer.h.
 */
#include "esp/outer.h"

#include <assert.h>
#include "base/sum.h"

#define UDP_CHECKSUM   6u /* offset in the UDP header */
#define UDP_PORTS_SIZE 4u
#define ECN_CE         3
#define FLOW_FACTOR    0x9e3779b9u /* 2^32 through the golden ratio: neighbours land far apart */

static_assert(ESP_IP6_HDR_SIZE + ESP_UDP_HDR_SIZE + ESP_HDR_SIZE + ESP_IV_MAX <= ESP_PREFIX_MAX,
	      "the largest prefix fits");

static void template_v4(struct esp_outer *o, const struct ip_addr *src, const struct ip_addr *dst)
{
	uint8_t *p = o->prefix;

	p[0] = 0x45;
	p[8] = ESP_OUTER_TTL;
	p[9] = o->udp ? ESP_PROTO_UDP : ESP_PROTO_ESP;
	memcpy(p + 12, src->b, 4);
	memcpy(p + 16, dst->b, 4);
	o->sum = 0;
	for (uint32_t i = 0; i < ESP_IP4_HDR_SIZE; i += 4)
		o->sum += (esp_word32(p + i) & 0xffff) + (esp_word32(p + i) >> 16);
}

/*
 * RFC 6438 3: a flow label other than zero spreads tunnels over paths and receive queues; RFC 6437 3: as good
 * as random, and the same for all packets of a flow. An SA is the flow here: a label of the inner packet's
 * addresses and ports would tell everybody on the way which packets belong together.
 */
static uint32_t flow_label(uint32_t spi)
{
	const uint32_t label = spi * FLOW_FACTOR >> 12;

	return label ? label : 1;
}

static void template_v6(struct esp_outer *o, uint32_t spi, const struct ip_addr *src,
			const struct ip_addr *dst)
{
	uint8_t *p = o->prefix;

	esp_put32(p, 6u << 28 | flow_label(spi));
	p[6] = o->udp ? ESP_PROTO_UDP : ESP_PROTO_ESP;
	p[7] = ESP_OUTER_TTL;
	memcpy(p + 8, src->b, 16);
	memcpy(p + 24, dst->b, 16);
	o->pseudo_sum = sum_add(ESP_PROTO_UDP, p + 8, 32);
}

void esp_outer_set_policy(struct esp_outer *o, bool copy_dscp, enum esp_df df)
{
	o->tos_mask = copy_dscp ? 0xff : 3;
	o->df_mask = df == ESP_DF_COPY ? ESP_DF_WORD : 0;
	o->df_set = df == ESP_DF_SET ? ESP_DF_WORD : 0;
}

bool esp_outer_init(struct esp_outer *o, uint32_t spi, uint32_t iv_size,
		    const struct ip_endpoint *local, const struct ip_endpoint *remote,
		    bool udp_encap)
{
	uint32_t at;

	if (local->addr.family != remote->addr.family)
		return false;
	if (local->addr.family != IP_V4 && local->addr.family != IP_V6)
		return false;
	memset(o->prefix, 0, sizeof(o->prefix));
	o->v6 = local->addr.family == IP_V6;
	o->udp = udp_encap;
	o->size_max = o->v6 ? UINT16_MAX + ESP_IP6_HDR_SIZE : UINT16_MAX;
	if (o->v6)
		template_v6(o, spi, &local->addr, &remote->addr);
	else
		template_v4(o, &local->addr, &remote->addr);
	at = o->v6 ? ESP_IP6_HDR_SIZE : ESP_IP4_HDR_SIZE;
	if (udp_encap) {
		esp_put16(o->prefix + at, local->port ? local->port : ESP_PORT_NATT);
		esp_put16(o->prefix + at + 2, remote->port ? remote->port : ESP_PORT_NATT);
		at += ESP_UDP_HDR_SIZE;
	}
	o->esp_offset = (uint8_t)at;
	esp_put32(o->prefix + at, spi);
	o->prefix_size = (uint8_t)(at + ESP_HDR_SIZE + iv_size);
	return true;
}

/* The smallest prefix has 36 bytes: fixed-size copies that overlap, instead of a call to memcpy. */
static inline void copy_prefix(uint8_t *at, const struct esp_outer *o)
{
	memcpy(at, o->prefix, 32);
	if (o->prefix_size > 48)
		memcpy(at + 32, o->prefix + 32, 16);
	if (o->prefix_size > 64)
		memcpy(at + 48, o->prefix + 48, 16);
	memcpy(at + o->prefix_size - 16, o->prefix + o->prefix_size - 16, 16);
}

void esp_outer_build_long(const struct esp_outer *o, uint8_t *at, uint32_t size,
			  const struct esp_inner *inner, uint16_t id)
{
	copy_prefix(at, o);
	if (o->v6) {
		/* ECN and DSCP as over IPv4. */
		const uint8_t tos = inner->tos & o->tos_mask;

		at[0] = (uint8_t)(0x60 | tos >> 4);
		at[1] = (uint8_t)(o->prefix[1] | tos << 4);
		esp_put16(at + 4, (uint16_t)(size - ESP_IP6_HDR_SIZE));
	} else {
		esp_outer_build_v4(o, at, size, inner, id);
	}
	if (o->udp) {
		uint8_t *udp = at + o->esp_offset - ESP_UDP_HDR_SIZE;

		/* RFC 3948 2.1: over IPv4 the checksum is zero, as in the template. */
		esp_put16(udp + 4, (uint16_t)(size - (o->esp_offset - ESP_UDP_HDR_SIZE)));
	}
}

void esp_outer_udp6_sum(const struct esp_outer *o, uint8_t *at, uint32_t size)
{
	uint8_t *udp = at + ESP_IP6_HDR_SIZE;
	const uint32_t udp_size = size - ESP_IP6_HDR_SIZE;
	uint16_t sum;

	if (o->udp_sum_left) {
		/* Without the ports, which belong to what the device adds. */
		sum = (uint16_t)~sum_finish(sum_add(ESP_PROTO_UDP + udp_size, at + 8, 32));
		esp_put16(udp + UDP_CHECKSUM, sum);
		return;
	}
	/* RFC 8200 8.1: over IPv6 zero is illegal. RFC 6935 lets tunnels agree on it, but IKEv2
	 * has no such agreement, and common receivers (Linux) drop it. */
	sum = sum_finish(sum_add(sum_add(o->pseudo_sum + 2 * udp_size, udp, UDP_PORTS_SIZE),
				 udp + ESP_UDP_HDR_SIZE, udp_size - ESP_UDP_HDR_SIZE));
	esp_put16(udp + UDP_CHECKSUM, sum ? sum : UINT16_MAX);
}

bool esp_outer_parse_any(const uint8_t *data, uint32_t size, uint32_t *offset, uint32_t *esp_size)
{
	uint32_t at, end;
	uint8_t proto;

	if (size < ESP_IP4_HDR_SIZE)
		return false;
	if (data[0] >> 4 == 4) {
		at = (data[0] & 0x0fu) * 4u;
		end = esp_get16(data + 2);
		proto = data[9];
		if (at < ESP_IP4_HDR_SIZE || end < at || end > size)
			return false;
		/* RFC 4303 3.4.1: a fragment must not reach ESP. */
		if (esp_get16(data + 6) & 0x3fff)
			return false;
	} else if (data[0] >> 4 == 6) {
		if (size < ESP_IP6_HDR_SIZE)
			return false;
		at = ESP_IP6_HDR_SIZE;
		end = at + esp_get16(data + 4);
		proto = data[6];
		if (end > size)
			return false;
	} else {
		return false;
	}
	if (proto == ESP_PROTO_UDP) {
		uint32_t udp_size;

		if (end - at < ESP_UDP_HDR_SIZE)
			return false;
		udp_size = esp_get16(data + at + 4);
		if (udp_size < ESP_UDP_HDR_SIZE || udp_size > end - at)
			return false;
		end = at + udp_size;
		at += ESP_UDP_HDR_SIZE;
	} else if (proto != ESP_PROTO_ESP) {
		return false;
	}
	if (end - at < ESP_HDR_SIZE)
		return false;
	*offset = at;
	*esp_size = end - at;
	return true;
}

void esp_outer_endpoints(const uint8_t *data, uint32_t esp_offset, struct ip_endpoint *src,
			 struct ip_endpoint *dst)
{
	const bool v4 = data[0] >> 4 == 4;
	const uint8_t family = v4 ? IP_V4 : IP_V6;
	const size_t addr_size = v4 ? 4 : 16;
	const uint32_t header = v4 ? (data[0] & 0x0fu) * 4u : ESP_IP6_HDR_SIZE;
	const uint8_t *addrs = data + (v4 ? 12 : 8);

	*src = (struct ip_endpoint){.addr.family = family};
	*dst = (struct ip_endpoint){.addr.family = family};
	memcpy(src->addr.b, addrs, addr_size);
	memcpy(dst->addr.b, addrs + addr_size, addr_size);
	if (esp_offset != header) {
		src->port = esp_get16(data + header);
		dst->port = esp_get16(data + header + 2);
	}
}

int esp_ecn_decap_differ(uint8_t inner, uint8_t outer)
{
	/* RFC 6040 4.2, figure 4: rows inner, columns outer: Not-ECT, ECT(1), ECT(0), CE. */
	static const int8_t table[4][4] = {
		[0] = {0, 0, 0, -1},
		[1] = {1, 1, 1, ECN_CE},
		[2] = {2, 1, 2, ECN_CE},
		[3] = {3, 3, 3, ECN_CE},
	};

	return table[inner & 3][outer & 3];
}
