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

/* Whether the selectors admit an IPv4 packet, where the line does not say so. */
bool esp_out_selects_v4(const struct esp_out *sa, const uint8_t *inner, uint32_t size);

/*
 * The line as packets that follow each other need it: what their outer headers have in common as the words
 * that are written, and what goes from one to the next.
 */
struct esp_quick {
	const struct esp_key *key;
	uint64_t seq; /* the next one's */
	uint64_t life_src, dst_spi;
	uint32_t sum; /* of what is the same in all outer headers, folded */
	uint32_t spi;
	struct esp_ts_v4 ts;
	uint32_t tos_mask; /* what of the inner TOS goes into the outer one, as in the first word */
	uint32_t df_mask, df_set; /* see struct esp_outer */
	uint32_t icv_size;
	uint32_t bytes; /* of the inner packets so far */
	bool by_ts;     /* the selectors are more than `ts` */
};

static inline struct esp_quick esp_quick_begin(const struct esp_out_line *l)
{
	const uint32_t version = 0x45, life = ESP_OUTER_TTL | ESP_PROTO_ESP << 8;

	return (struct esp_quick){
		.key = l->key,
		.seq = l->next_seq,
		.life_src = life | (uint64_t)l->src << 32,
		.dst_spi = l->dst | (uint64_t)__builtin_bswap32(l->spi) << 32,
		.sum = sum_fold((uint64_t)version + life + l->src + l->dst),
		.spi = l->spi,
		.ts = l->ts,
		.tos_mask = l->flags & ESP_QUICK_DSCP ? 0xff00 : 0x0300,
		.df_mask = l->flags & ESP_DF_WORD,
		.df_set = l->flags >> 1 & ESP_DF_WORD,
		.icv_size = l->icv_size,
		.by_ts = l->flags & ESP_QUICK_TS,
	};
}

/* After `n` packets, the line's quota at most. */
static inline void esp_quick_end(const struct esp_quick *q, struct esp_out_line *l, size_t n)
{
	l->next_seq = q->seq;
	l->bytes += q->bytes;
	l->quota = (uint16_t)(l->quota - n);
}

static inline bool esp_quick_selects(const struct esp_quick *q, const struct esp_out *sa,
				     const struct esp_pkt *p)
{
	return q->by_ts ? esp_out_selects_v4(sa, p->data, p->size)
			: esp_ts_v4_match(&q->ts, p->data);
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

/* IPv4, SPI, sequence number, and IV; `inner`: the first word of the inner header. As esp_outer_build_v4()
 * (outer.h), which says why. */
static inline void esp_quick_outer(const struct esp_quick *q, uint8_t *outer, uint32_t size,
				   uint64_t inner)
{
	const uint64_t seq = __builtin_bswap64(q->seq);
	const uint32_t tos = (uint32_t)inner & q->tos_mask;
	const uint32_t total = __builtin_bswap16((uint16_t)size);
	const uint32_t df = ((uint32_t)(inner >> 48) & q->df_mask) | q->df_set;
	const uint32_t name = df ? 0 : (uint16_t)(q->seq ^ q->spi);
	/* Folded into the upper half, where the second word has it. */
	const uint32_t sum = sum_twice(q->sum + tos + total + name + df);

	esp_put_word32(outer, 0x45 | tos | total << 16);
	esp_put_word32(outer + 4, name | df << 16);
	esp_put_word64(outer + 8, q->life_src | (~sum & 0xffff0000));
	esp_put_word64(outer + 16, q->dst_spi);
	esp_put_word32(outer + 24, (uint32_t)(seq >> 32));
	esp_put_word64(outer + 28, seq);
}

/*
 * Prepares a packet, as esp_out_prepare() does: the same steps, with each word of the headers loaded and
 * stored once. Returns the size of the outer packet, which begins ESP_QUICK_PREFIX bytes before the inner; `p` is
 * as it was. 0: esp_out_prepare() has to look at the packet; nothing is changed.
 */
static inline uint32_t esp_quick_prepare(struct esp_quick *q, const struct esp_out *sa,
					 const struct esp_pkt *p, struct esp_job *job)
{
	uint8_t *inner = p->data, *outer = inner - ESP_QUICK_PREFIX;
	const uint32_t size = p->size;
	const uint32_t payload = (size + ESP_TRAILER_SIZE + 3) & ~3u;
	const uint32_t outer_size = ESP_QUICK_PREFIX + payload + q->icv_size;
	uint32_t life;

	/* Of others not even a header needs to be there. */
	if (p->inner_family != IP_V4 || p->from_self)
		return 0;
	life = esp_word32(inner + 8);
	if ((life & 0xff) <= 1 || outer_size > UINT16_MAX || p->headroom < ESP_QUICK_PREFIX ||
	    p->tailroom < payload - size + q->icv_size || !esp_quick_selects(q, sa, p))
		return 0;
	esp_put_word32(inner + 8, sum_ip4_hop(life));
	esp_put_word64(inner + size, esp_quick_trailer(payload - size - ESP_TRAILER_SIZE));
	esp_quick_outer(q, outer, outer_size, esp_word64(inner));
	job->key = q->key;
	job->esp = outer + ESP_IP4_HDR_SIZE;
	job->payload_size = payload;
	job->seq_hi = (uint32_t)(q->seq >> 32);
	job->ok = false;
	q->seq++;
	q->bytes += size;
	return outer_size;
}

#endif
