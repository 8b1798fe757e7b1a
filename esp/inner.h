/* SPDX-License-Identifier: Apache-2.0 */
/* inner: the inner IP header as a router sees it. What every packet needs is inline. */
#ifndef ESP_INNER_H
#define ESP_INNER_H

#include "esp/bytes.h"

struct esp_inner {
	uint32_t total;     /* length by the header; never more than the bytes at hand */
	uint8_t family;     /* 4 or 6 */
	uint8_t tos;        /* TOS or traffic class */
	uint8_t ttl;        /* TTL or hop limit */
	bool dont_fragment; /* always for IPv6, which routers never fragment */
};

enum esp_inner_fault {
	ESP_INNER_OK,
	ESP_INNER_NOT_IP,
	ESP_INNER_TRUNCATED,
	ESP_INNER_CHECKSUM,
};

/* Headers with options. At least a header without them is there. */
enum esp_inner_fault esp_inner_parse_options(const uint8_t *p, uint32_t size,
					     struct esp_inner *out);

static inline void esp_inner_read_v4(const uint8_t *p, uint32_t total, struct esp_inner *out)
{
	*out = (struct esp_inner){
		.total = total,
		.family = IP_V4,
		.tos = p[1],
		.ttl = p[8],
		.dont_fragment = p[6] & 0x40,
	};
}

static inline void esp_inner_read_v6(const uint8_t *p, uint32_t total, struct esp_inner *out)
{
	*out = (struct esp_inner){
		.total = total,
		.family = IP_V6,
		.tos = (uint8_t)(p[0] << 4 | p[1] >> 4),
		.ttl = p[7],
		.dont_fragment = true,
	};
}

static inline enum esp_inner_fault esp_inner_parse_v4(const uint8_t *p, uint32_t size,
						      struct esp_inner *out)
{
	const uint32_t total = esp_get16(p + 2);

	if (p[0] != 0x45)
		return esp_inner_parse_options(p, size, out);
	if (total < ESP_IP4_HDR_SIZE || total > size)
		return ESP_INNER_TRUNCATED;
	/* RFC 1812 5.2.2: the header checksum is verified before a datagram is forwarded. */
	if (!sum_ip4_good(p))
		return ESP_INNER_CHECKSUM;
	esp_inner_read_v4(p, total, out);
	return ESP_INNER_OK;
}

static inline enum esp_inner_fault esp_inner_parse_v6(const uint8_t *p, uint32_t size,
						      struct esp_inner *out)
{
	const uint32_t total = ESP_IP6_HDR_SIZE + esp_get16(p + 4);

	if (total > size)
		return ESP_INNER_TRUNCATED;
	/* RFC 2675: a jumbogram says its length elsewhere; none fits into an outer packet. */
	if (total == ESP_IP6_HDR_SIZE && p[6] == ESP_PROTO_HOPOPT)
		return ESP_INNER_TRUNCATED;
	esp_inner_read_v6(p, total, out);
	return ESP_INNER_OK;
}

/* RFC 1812 5.2.2, RFC 8200 3. */
static inline enum esp_inner_fault esp_inner_parse(const uint8_t *data, uint32_t size,
						   struct esp_inner *out)
{
	if (size == 0)
		return ESP_INNER_TRUNCATED;
	switch (data[0] >> 4) {
	case 4:
		return size < ESP_IP4_HDR_SIZE ? ESP_INNER_TRUNCATED
					       : esp_inner_parse_v4(data, size, out);
	case 6:
		return size < ESP_IP6_HDR_SIZE ? ESP_INNER_TRUNCATED
					       : esp_inner_parse_v6(data, size, out);
	default: return ESP_INNER_NOT_IP;
	}
}

/* The TTL is at least 1. Keeps the IPv4 header checksum right (RFC 1624). */
static inline void esp_inner_decrement_ttl(uint8_t *data, uint8_t family)
{
	if (family == IP_V4)
		esp_put_word32(data + 8, sum_ip4_hop(esp_word32(data + 8)));
	else
		data[7]--;
}

/* Keeps the checksum right, too. */
void esp_inner_set_ecn(uint8_t *data, uint8_t family, uint8_t ecn);

/* What selectors look at (RFC 4301 4.4.1.1). Without ports: a later fragment, a protocol that has
 * none, or a header too short to show them. ICMP type and code count as both ports. */
struct esp_upper {
	uint8_t protocol;
	bool protocol_known;
	bool has_ports;
	uint16_t src_port, dst_port;
};
void esp_inner_upper(const uint8_t *data, uint32_t total, struct esp_upper *out);

#endif
