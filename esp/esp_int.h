/* SPDX-License-Identifier: Apache-2.0 */
/* esp_int: what the files of esp/ share: the SA halves and the steps of the two transforms. */
#ifndef ESP_ESP_INT_H
#define ESP_ESP_INT_H

#include <assert.h>
#include <string.h>
#include "esp/esp.h"

#define ESP_HDR_SIZE       8u /* SPI, sequence number */
#define ESP_TRAILER_SIZE   2u /* pad length, next header */
#define ESP_UDP_HDR_SIZE   8u
#define ESP_IP4_HDR_SIZE   20u
#define ESP_IP6_HDR_SIZE   40u
#define ESP_PORT_NATT      4500u /* RFC 3948 2 */
#define ESP_PREFIX_MAX     80u   /* IPv6, UDP, ESP, the largest IV; rounded up to 16 */
#define ESP_PREFETCH_AHEAD 4u

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

static inline uint16_t esp_fold16(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* RFC 1624: a 16-bit header word at `word` changes from `from` to `to`; `sum` is the checksum field. */
static inline void esp_sum_adjust(uint8_t *sum, uint16_t from, uint16_t to)
{
	const uint32_t s = (uint32_t)(uint16_t)~esp_get16(sum) + (uint16_t)~from + to;

	esp_put16(sum, (uint16_t)~esp_fold16(s));
}

/* A limit as configurations give it, 0 for none, as a number that packets can be compared with. */
static inline uint64_t esp_limit(uint64_t limit)
{
	return limit ? limit : UINT64_MAX;
}

/* The first of a thread's backends that supports the suite; NULL: none. */
static inline const struct esp_backend *esp_thread_pick(const struct esp_thread *t,
							const struct esp_suite *s)
{
	const struct esp_aead *a = t->aead;

	while (a->backend && !a->backend->supports(s))
		a++;
	return a->backend;
}

/* b: one of the thread's. */
static inline void *esp_thread_ctx(const struct esp_thread *t, const struct esp_backend *b)
{
	const struct esp_aead *a = t->aead;

	while (a->backend != b)
		a++;
	return a->ctx;
}

/* inner.c: the inner header as a router sees it. */
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
enum esp_inner_fault esp_inner_parse(const uint8_t *data, uint32_t size, struct esp_inner *out);
/* Both keep the IPv4 header checksum right. */
void esp_inner_decrement_ttl(uint8_t *data, uint8_t family);
void esp_inner_set_ecn(uint8_t *data, uint8_t family, uint8_t ecn);
uint8_t esp_inner_tos(const uint8_t *data, uint8_t family);

/* What selectors look at (RFC 4301 4.4.1.1). Without ports: a later fragment, a protocol that has
 * none, or a header too short to show them. ICMP type and code count as both ports. */
struct esp_upper {
	uint8_t protocol;
	bool protocol_known;
	bool has_ports;
	uint16_t src_port, dst_port;
};
void esp_inner_upper(const uint8_t *data, uint32_t total, struct esp_upper *out);

/* ts.c: an SA's selectors, compiled. */
struct esp_ts_range {
	uint64_t src_lo[2], src_hi[2], dst_lo[2], dst_hi[2]; /* host order; IPv4 in [0] */
	uint16_t src_port_lo, src_port_hi, dst_port_lo, dst_port_hi;
	uint8_t protocol;
	uint8_t family;
	bool any_upper; /* any protocol, any port */
};

struct esp_ts_set {
	bool all_v4, all_v6; /* everything of the family passes: nothing to look at */
	uint8_t n;
	struct esp_ts_range *r; /* n of them: most SAs have one, few the most */
};
/* outbound: source = local. False if a selector is inconsistent or memory is short. */
bool esp_ts_compile(struct esp_ts_set *out, const struct esp_ts *ts, size_t n, bool outbound);
void esp_ts_fini(struct esp_ts_set *set);
bool esp_ts_match_slow(const struct esp_ts_set *set, const uint8_t *inner, uint32_t total,
		       uint8_t family);

/* inner: parsed and whole, `total` bytes. */
static inline bool esp_ts_match(const struct esp_ts_set *set, const uint8_t *inner, uint32_t total,
				uint8_t family)
{
	if (family == IP_V4 ? set->all_v4 : set->all_v6)
		return true;
	return esp_ts_match_slow(set, inner, total, family);
}

/* outer.c: everything before the payload, precomputed. */
struct esp_outer {
	uint8_t prefix[ESP_PREFIX_MAX]; /* IP, UDP, SPI; the rest zero */
	uint8_t prefix_size;            /* IP, UDP, ESP, IV */
	uint8_t esp_offset;
	bool v6, udp;
	bool copy_dscp;
	uint8_t df;   /* enum esp_df */
	uint32_t sum; /* IPv4: of the header with length, TOS, id and DF zero */
	uint32_t
		pseudo_sum; /* IPv6 with UDP: of the pseudo header without lengths, and the ports */
};
bool esp_outer_init(struct esp_outer *o, uint32_t spi, uint32_t iv_size,
		    const struct ip_endpoint *local, const struct ip_endpoint *remote,
		    bool udp_encap);
/* Writes the prefix at `at`; `size`: bytes of the whole outer packet; `id`: for fragmentable IPv4. */
void esp_outer_build(const struct esp_outer *o, uint8_t *at, uint32_t size,
		     const struct esp_inner *inner, uint16_t id);
/* After sealing: the UDP checksum where one is needed. */
void esp_outer_finish(const struct esp_outer *o, uint8_t *at, uint32_t size);

struct esp_outer_view {
	uint32_t esp_offset, esp_size; /* SPI to the end, without link padding */
	uint8_t tos;
	uint8_t family;
	bool udp;
};
/* Total over any bytes. False: no whole ESP packet. */
bool esp_outer_parse(const uint8_t *data, uint32_t size, struct esp_outer_view *out);
void esp_outer_endpoints(const uint8_t *data, const struct esp_outer_view *v,
			 struct ip_endpoint *src, struct ip_endpoint *dst);

/* RFC 6040 4.2: the inner ECN field after decapsulation, or -1 to drop. */
int esp_ecn_decap(uint8_t inner, uint8_t outer);

/* replay.c: the window (RFC 4303 3.4.3, Appendix A2). */
struct esp_replay {
	uint64_t top;    /* highest authentic sequence number */
	uint32_t window; /* packets; 0 = no check */
	uint32_t mask;   /* words - 1 */
	bool esn;
	uint64_t *bits; /* mask + 1 words, indexed by sequence / 64 */
};

enum esp_replay_verdict {
	ESP_REPLAY_FRESH,
	ESP_REPLAY_SEEN,
	ESP_REPLAY_LATE,
};
size_t esp_replay_bits_size(uint32_t window); /* bytes */
void esp_replay_init(struct esp_replay *r, uint32_t window, bool esn, uint64_t *bits);
uint64_t esp_replay_infer(const struct esp_replay *r, uint32_t seq_lo);
enum esp_replay_verdict esp_replay_check(const struct esp_replay *r, uint64_t seq);
void esp_replay_update(struct esp_replay *r, uint64_t seq); /* only what check calls FRESH */

struct esp_out {
	/* Read for each packet, written by esp_out_new and esp_out_set_peer only. */
	struct esp_key *key;
	const struct esp_backend *backend;
	struct esp_suite suite;
	uint32_t spi;
	bool esn;
	struct esp_outer outer;

	/* Written by the thread that encapsulates. */
	uint64_t next_seq;
	uint64_t seq_left; /* numbers that may still be used, next_seq included */
	uint64_t packets, bytes;
	bool soft_reached, exhausted;

	uint64_t soft_seq_left; /* implicit soft limit: see out.c */
	uint64_t soft_packets, hard_packets, soft_bytes, hard_bytes; /* UINT64_MAX = none */
	struct esp_ts_set ts;
};

struct esp_in {
	struct esp_key *key;
	const struct esp_backend *backend;
	struct esp_suite suite;
	struct esp_replay replay;

	/* Written by the thread that decapsulates. */
	uint64_t packets, bytes;
	uint64_t auth_failed, replayed, late, ts_mismatch, malformed;
	bool soft_reached, expired;
	struct ip_endpoint last_remote, last_local;

	uint64_t soft_packets, hard_packets, soft_bytes, hard_bytes; /* UINT64_MAX = none */
	struct esp_ts_set ts;
	uint64_t window_bits[];
};

#endif
