/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outer: the outer IP header, UDP encapsulation and ESP header: written from a template of the SA,
 * and found again. What every packet needs is inline.
 */
#ifndef ESP_OUTER_H
#define ESP_OUTER_H

#include "esp/bytes.h"
#include "esp/esp.h"
#include "esp/inner.h"

#define ESP_OUTER_TTL  64u
#define ESP_PREFIX_MAX 80u /* IPv6, UDP, ESP, the largest IV; rounded up to 16 */

/* Everything before the payload, precomputed. Sums are of words as the machine loads them. */
struct esp_outer {
	uint8_t prefix_size; /* IP, UDP, ESP, IV */
	uint8_t esp_offset;
	uint8_t tos_mask; /* what of the inner TOS goes into the outer one */
	bool v6, udp;
	bool udp_sum_left;        /* of the UDP checksum only the pseudo header's part is written */
	uint16_t df_mask, df_set; /* IPv4: of the inner DF bit, and besides it, as in the word */
	uint32_t size_max;        /* of an outer packet */
	uint32_t sum;             /* IPv4: of the header with length, TOS, id and flags zero */
	uint32_t
		pseudo_sum; /* IPv6 with UDP: of the pseudo header without lengths, in network order */
	uint8_t prefix[ESP_PREFIX_MAX]; /* IP, UDP, SPI; the rest zero */
};

void esp_outer_set_policy(struct esp_outer *o, bool copy_dscp, enum esp_df df);
bool esp_outer_init(struct esp_outer *o, uint32_t spi, uint32_t iv_size,
		    const struct ip_endpoint *local, const struct ip_endpoint *remote,
		    bool udp_encap);

/* Over IPv6, or with UDP. */
void esp_outer_build_long(const struct esp_outer *o, uint8_t *at, uint32_t size,
			  const struct esp_inner *inner, uint16_t id);

#define ESP_DF_WORD 0x0040u /* the DF bit in the header's word, as the machine loads it */

/* The IPv4 header; the rest of the prefix is copied by the caller. */
static inline void esp_outer_build_v4(const struct esp_outer *o, uint8_t *at, uint32_t size,
				      const struct esp_inner *inner, uint16_t id)
{
	/* RFC 6040 4.1 (normal mode): ECN is copied; RFC 2983: DSCP by configuration. */
	const uint32_t tos = (uint32_t)(inner->tos & o->tos_mask) << 8;
	const uint32_t total = __builtin_bswap16((uint16_t)size);
	/* RFC 4301 8.1: copied, set or cleared, by configuration. */
	const uint32_t df = ((inner->dont_fragment ? ESP_DF_WORD : 0u) & o->df_mask) | o->df_set;
	/* RFC 6864 4.1: the id of an unfragmentable datagram means nothing. */
	const uint32_t name = df ? 0 : id;
	const uint64_t first = esp_word64(o->prefix) | tos | (uint64_t)total << 16 |
			       (uint64_t)name << 32 | (uint64_t)df << 48;
	const uint64_t second = esp_word64(o->prefix + 8);
	const uint16_t sum = (uint16_t)~sum_fold(o->sum + tos + total + name + df);

	memcpy(at, &first, 8);
	memcpy(at + 8, &second, 8);
	memcpy(at + 10, &sum, 2);
}

/* Writes the prefix at `at`; `size`: bytes of the whole outer packet; `id`: for fragmentable IPv4. */
static inline void esp_outer_build(const struct esp_outer *o, uint8_t *at, uint32_t size,
				   const struct esp_inner *inner, uint16_t id)
{
	if (o->prefix_size > 36) {
		esp_outer_build_long(o, at, size, inner, id);
		return;
	}
	esp_outer_build_v4(o, at, size, inner, id);
	memcpy(at + 16, o->prefix + 16, 16);
	memcpy(at + 32, o->prefix + 32, 4);
}

/* After sealing: the UDP checksum where one is needed. */
void esp_outer_udp6_sum(const struct esp_outer *o, uint8_t *at, uint32_t size);
static inline void esp_outer_finish(const struct esp_outer *o, uint8_t *at, uint32_t size)
{
	if (o->v6 && o->udp)
		esp_outer_udp6_sum(o, at, size);
}

/* Where ESP stands in an outer packet: the SPI's place, and the bytes from there to the end, without
 * link padding. Total over any bytes. False: no whole ESP packet. */
bool esp_outer_parse_any(const uint8_t *data, uint32_t size, uint32_t *offset, uint32_t *esp_size);
static inline bool esp_outer_parse(const uint8_t *data, uint32_t size, uint32_t *offset,
				   uint32_t *esp_size)
{
	uint32_t total;

	if (size < ESP_IP4_HDR_SIZE + ESP_HDR_SIZE || data[0] != 0x45 || data[9] != ESP_PROTO_ESP)
		return esp_outer_parse_any(data, size, offset, esp_size);
	total = esp_get16(data + 2);
	/* RFC 4303 3.4.1: a fragment must not reach ESP. */
	if (total < ESP_IP4_HDR_SIZE + ESP_HDR_SIZE || total > size ||
	    (esp_get16(data + 6) & 0x3fff))
		return false;
	*offset = ESP_IP4_HDR_SIZE;
	*esp_size = total - ESP_IP4_HDR_SIZE;
	return true;
}

/* The rest is about packets that have been parsed. */
static inline uint8_t esp_outer_tos(const uint8_t *data)
{
	return data[0] >> 4 == 4 ? data[1] : (uint8_t)(data[0] << 4 | data[1] >> 4);
}

void esp_outer_endpoints(const uint8_t *data, uint32_t esp_offset, struct ip_endpoint *src,
			 struct ip_endpoint *dst);
/* RFC 6040 4.2: the inner ECN field after decapsulation, or -1 to drop. */
int esp_ecn_decap_differ(uint8_t inner, uint8_t outer);
static inline int esp_ecn_decap(uint8_t inner, uint8_t outer)
{
	/* Not-ECT outside tells nothing, whatever is inside. */
	return (outer & 3) == 0 ? inner & 3 : esp_ecn_decap_differ(inner, outer);
}

#endif
