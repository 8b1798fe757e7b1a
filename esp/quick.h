/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quick: the short way of what is most frequent, inline: a forwarded IPv4 packet into an SA of an AEAD over
 * native IPv4, no limit of which is near.
 *
 * Where there are many SAs, each packet finds another one in memory. All that the short way reads and writes
 * of an SA is one line, the first of its outbound half; whoever leads packets to SAs keeps what he needs of
 * each in it as well.
 */
#ifndef ESP_QUICK_H
#define ESP_QUICK_H

#include <assert.h>
#include "esp/esp.h"
#include "esp/outer.h"
#include "esp/ts.h"

enum esp_quick_flags {
	ESP_QUICK_AEAD = 7,      /* which of a thread's backends */
	ESP_QUICK_DSCP = 1 << 3, /* copied to the outer header, as ECN always is */
	ESP_QUICK_TS = 1 << 4,   /* the selectors are more than `ts` */
	ESP_QUICK_DF_COPY = 1 << 6,
	ESP_QUICK_DF_SET = 1 << 7,
};

static_assert(ESP_QUICK_DF_COPY == ESP_DF_WORD && ESP_QUICK_DF_SET == ESP_DF_WORD << 1,
	      "the flags are masks of DF bits");

/* The first line of an outbound half. Written by the thread that encapsulates, and by what makes the half
 * or gives it another peer. */
struct esp_out_line {
	uint8_t room[ESP_OUT_ROOM]; /* the caller's */
	uint32_t bytes;             /* since the limits were looked at */
	struct esp_key *key;
	uint64_t next_seq;
	struct esp_ts_v4 ts;
	uint32_t src, dst; /* of the outer header, as the machine loads them */
	uint32_t spi;
	/* Packets, of any size, that may go the short way before the limits are looked at again. */
	uint16_t quota;
	uint8_t icv_size;
	uint8_t flags;
};
static_assert(sizeof(struct esp_out_line) == ESP_LINE, "the short way reads one line of an SA");
static_assert(ESP_AEADS_MAX <= ESP_QUICK_AEAD + 1, "a backend has a number");

#define ESP_QUICK_PREFIX 36u /* IPv4, ESP, and the IV of an AEAD */

static inline struct esp_out_line *esp_out_line(struct esp_out *sa)
{
	return (struct esp_out_line *)sa;
}

/* What packets have changed in a copy of the line. */
static inline void esp_quick_done(const struct esp_out_line *copy, struct esp_out *sa)
{
	struct esp_out_line *l = esp_out_line(sa);

	l->next_seq = copy->next_seq;
	l->bytes = copy->bytes;
	l->quota = copy->quota;
}

/* Whether the selectors admit an IPv4 packet, where the line does not say so. */
bool esp_out_selects_v4(const struct esp_out *sa, const uint8_t *inner, uint32_t size);

static inline bool esp_quick_selects(const struct esp_out_line *l, const struct esp_out *sa,
				     const struct esp_pkt *p)
{
	return l->flags & ESP_QUICK_TS ? esp_out_selects_v4(sa, p->data, p->size)
				       : esp_ts_v4_match(&l->ts, p->data);
}

/* Pad bytes, pad length, next header; by the pad length. */
static inline uint64_t esp_quick_trailer(uint32_t pad)
{
	static const uint64_t trailers[4] = {
		ESP_PROTO_IPV4 << 8,
		1 | 1 << 8 | ESP_PROTO_IPV4 << 16,
		1 | 2 << 8 | 2 << 16 | ESP_PROTO_IPV4 << 24,
		1 | 2 << 8 | 3 << 16 | 3 << 24 | (uint64_t)ESP_PROTO_IPV4 << 32,
	};

	return trailers[pad];
}

/* IPv4 and SPI; `inner`: the first word of the inner header; `name`: for fragmentable packets. As
 * esp_outer_build_v4() (outer.h), which says why. */
static inline void esp_quick_outer(const struct esp_out_line *l, uint8_t *outer, uint32_t size,
				   uint64_t inner, uint16_t name)
{
	const uint32_t tos = (uint32_t)inner & (l->flags & ESP_QUICK_DSCP ? 0xff00 : 0x0300);
	const uint32_t total = __builtin_bswap16((uint16_t)size);
	const uint32_t df =
		((uint32_t)(inner >> 48) & l->flags & ESP_DF_WORD) | (l->flags >> 1 & ESP_DF_WORD);
	const uint32_t id = df ? 0 : name;
	const uint64_t first =
		0x45 | tos | (uint64_t)total << 16 | (uint64_t)id << 32 | (uint64_t)df << 48;
	const uint32_t life = ESP_OUTER_TTL | ESP_PROTO_ESP << 8;
	const uint16_t sum =
		(uint16_t)~sum_fold((first & 0xffffffff) + (first >> 32) + life + l->src + l->dst);

	esp_put_word64(outer, first);
	esp_put_word64(outer + 8, life | (uint64_t)sum << 16 | (uint64_t)l->src << 32);
	esp_put_word64(outer + 16, l->dst | (uint64_t)__builtin_bswap32(l->spi) << 32);
}

/*
 * Prepares a packet, as esp_out_prepare() does: the same steps, with each word of the headers loaded and
 * stored once. `l`: the SA's line, or, for several packets, a copy, which stays in registers. False: that one has to look
 * at the packet; nothing is changed.
 */
static inline bool esp_quick_prepare(struct esp_out_line *l, const struct esp_out *sa,
				     struct esp_pkt *p, struct esp_job *job)
{
	const uint32_t size = p->size;
	const uint32_t payload = (size + ESP_TRAILER_SIZE + 3) & ~3u;
	const uint32_t tail = payload - size + l->icv_size;
	const uint32_t outer_size = ESP_QUICK_PREFIX + size + tail;
	const uint64_t seq = l->next_seq;
	uint8_t *outer = p->data - ESP_QUICK_PREFIX;
	uint32_t life, sum;

	/* Of others not even a header needs to be there. */
	if (p->inner_family != IP_V4 || p->from_self || l->quota == 0)
		return false;
	life = esp_word32(p->data + 8);
	if ((life & 0xff) <= 1 || outer_size > UINT16_MAX || p->headroom < ESP_QUICK_PREFIX ||
	    p->tailroom < tail || !esp_quick_selects(l, sa, p))
		return false;
	/* TTL, protocol and checksum, as in esp_inner_decrement_ttl(). */
	sum = (~life >> 16) + (uint16_t)~1u;
	sum = ~(sum + (sum >> 16));
	esp_put_word32(p->data + 8, ((life & 0xffff) - 1) | sum << 16);
	esp_put_word64(p->data + size, esp_quick_trailer(payload - size - ESP_TRAILER_SIZE));
	esp_quick_outer(l, outer, outer_size, esp_word64(p->data), (uint16_t)(seq ^ l->spi));
	esp_put32(outer + 24, (uint32_t)seq);
	esp_put64(outer + 28, seq);
	*job = (struct esp_job){
		.key = l->key,
		.esp = outer + ESP_IP4_HDR_SIZE,
		.payload_size = payload,
		.seq_hi = (uint32_t)(seq >> 32),
	};
	l->next_seq = seq + 1;
	l->bytes += size;
	l->quota--;
	p->data = outer;
	p->size = outer_size;
	p->headroom -= ESP_QUICK_PREFIX;
	p->tailroom -= tail;
	p->drop = ESP_DROP_OK;
	return true;
}

#endif
