/* SPDX-License-Identifier: Apache-2.0 */
/* bytes: sizes and numbers of the headers around ESP; words in network order; Internet checksums. */
#ifndef ESP_BYTES_H
#define ESP_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "base/addr.h"
#include "base/sum.h"

#define ESP_LINE         64 /* of the CPU's caches */
#define ESP_HDR_SIZE     8u /* SPI, sequence number */
#define ESP_TRAILER_SIZE 2u /* pad length, next header */
#define ESP_UDP_HDR_SIZE 8u
#define ESP_IP4_HDR_SIZE 20u
#define ESP_IP6_HDR_SIZE 40u
#define ESP_PORT_NATT    4500u /* RFC 3948 2 */

enum {
	ESP_PROTO_HOPOPT = 0,
	ESP_PROTO_ICMP = 1,
	ESP_PROTO_IPV4 = 4,
	ESP_PROTO_TCP = 6,
	ESP_PROTO_UDP = 17,
	ESP_PROTO_DCCP = 33,
	ESP_PROTO_IPV6 = 41,
	ESP_PROTO_ROUTING = 43,
	ESP_PROTO_FRAGMENT = 44,
	ESP_PROTO_ESP = 50,
	ESP_PROTO_AH = 51,
	ESP_PROTO_ICMPV6 = 58,
	ESP_PROTO_NONE = 59,
	ESP_PROTO_DSTOPTS = 60,
	ESP_PROTO_SCTP = 132,
	ESP_PROTO_MH = 135,
	ESP_PROTO_UDPLITE = 136,
};

static inline uint16_t esp_get16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return __builtin_bswap16(v);
}

static inline uint32_t esp_get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return __builtin_bswap32(v);
}

static inline uint64_t esp_get64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return __builtin_bswap64(v);
}

static inline void esp_put16(uint8_t *p, uint16_t v)
{
	v = __builtin_bswap16(v);
	memcpy(p, &v, sizeof(v));
}

static inline void esp_put32(uint8_t *p, uint32_t v)
{
	v = __builtin_bswap32(v);
	memcpy(p, &v, sizeof(v));
}

static inline void esp_put64(uint8_t *p, uint64_t v)
{
	v = __builtin_bswap64(v);
	memcpy(p, &v, sizeof(v));
}

/* Words in the machine's order: the one's complement sum is the same in any (RFC 1071 2). */
static inline uint32_t esp_word32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint64_t esp_word64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline void esp_put_word32(uint8_t *p, uint32_t v)
{
	memcpy(p, &v, sizeof(v));
}

static inline void esp_put_word64(uint8_t *p, uint64_t v)
{
	memcpy(p, &v, sizeof(v));
}

/* RFC 1624: a 16-bit header word changes from `from` to `to`; `sum` is the checksum field. */
static inline void esp_sum_adjust(uint8_t *sum, uint16_t from, uint16_t to)
{
	const uint32_t s = (uint32_t)(uint16_t)~esp_get16(sum) + (uint16_t)~from + to;

	esp_put16(sum, (uint16_t)~sum_fold(s));
}

#endif
