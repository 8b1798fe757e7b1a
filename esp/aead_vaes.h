/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aead_vaes: what the parts of the burst AES-GCM share. See aead_vaes.c for the idea.
 */
#ifndef ESP_AEAD_VAES_H
#define ESP_AEAD_VAES_H

#include <stddef.h>
#include "esp/aead_int.h"
#include "esp/aead_vaes_setup.h"

#define VAES_BLOCK       16u
#define VAES_CHUNK       64u /* four blocks: one vector */
#define VAES_GROUP       8u  /* chunks in flight */
#define VAES_GROUP_SIZE  (VAES_GROUP * VAES_CHUNK)
#define VAES_PARTS       4u  /* packets in a group */
#define VAES_POWERS      36u /* of H that a key keeps: a group's, the length's, and some air */
#define VAES_LANES_STEP  8u  /* blocks of each packet in a step of packets in lanes */
#define VAES_QUAD        4u  /* packets of one shape that go together */
#define VAES_SLICE       64u /* jobs that are sorted by shape at once */
#define VAES_QUADS       (VAES_SLICE / VAES_QUAD)
#define VAES_LATELY      128u /* places for keys used lately */
#define VAES_SHAPES      16u  /* sizes told apart, by pairs of chunks */
#define VAES_PKTS        16u  /* on their way at once: collected, waiting, and hashed */
#define VAES_PAYLOAD_MAX 65536u
#define VAES_CTRS        ((VAES_PAYLOAD_MAX + VAES_GROUP_SIZE) / VAES_BLOCK)

/*
 * An expanded key. Powers of H are in descending order, so that the four powers of any chunk are one
 * load, whatever its place in the packet; what is read beyond H^1 meets zeros only. Round 0 stands in
 * `nonce`, with the salt: what is left is to add the IV and the counter.
 */
struct esp_key {
	/* All that is not computed from the rest, in one line: aead_vaes_lanes.c needs nothing else. */
	uint8_t raw[32] __attribute__((aligned(64)));
	uint8_t h1[VAES_BLOCK]; /* H, as powers are kept */
	uint8_t salt[AEAD_SALT_SIZE];
	uint8_t n_rounds, icv_words;
	bool esn;
	uint32_t aad_bits;
	uint32_t id; /* no other key's, until 2^32 more have come */
	uint8_t h[VAES_POWERS][VAES_BLOCK] __attribute__((aligned(64)));
	/* Both halves of a power added up, for Karatsuba's middle product: of H^n and H^(n-4). */
	uint8_t mid[VAES_POWERS][VAES_BLOCK] __attribute__((aligned(64)));
	uint8_t rk[16][VAES_BLOCK]; /* 15 at most */
	uint8_t nonce[VAES_BLOCK];  /* the salt, in what round 0 is done with */
};

#define VAES_MID_AT (offsetof(struct esp_key, mid) - offsetof(struct esp_key, h))

/* A packet on its way. */
struct vaes_pkt {
	uint8_t sum[3][VAES_CHUNK]; /* GHASH, unreduced: low, middle and high products */
	uint8_t z[VAES_BLOCK];      /* GHASH of what the body had */
	uint8_t y0[VAES_BLOCK];     /* what the ICV is encrypted with */
	uint64_t bits[2];           /* of the text and of the additional data */
	const uint8_t *h1;          /* H */
	uint8_t *icv;
	uint8_t icv_words; /* a bit for each word of the ICV */
	bool *ok;
} __attribute__((aligned(64)));

/*
 * A packet's share of a group. The first chunk may be the one that begins with the ESP header, in whose
 * place the additional data go into GHASH, and whose first counter gives y0.
 */
struct vaes_part {
	uint8_t *at;
	const uint8_t *esp;
	const struct esp_key *key;
	const uint8_t *ctr; /* counters from the first chunk on */
	const uint8_t *h;   /* power of the first block */
	const uint8_t *z;   /* what the first block is added to */
	const uint8_t
		*swap; /* byte order of the first chunk, and the place of the additional data */
	uint8_t *y0;
	struct vaes_pkt *pkt;
	uint64_t text0; /* bytes of the first chunk to write */
	uint32_t seq_hi;
	uint16_t seq_word; /* words of the first chunk that seq_hi goes to */
	uint64_t bytes[VAES_GROUP] __attribute__((aligned(64))); /* of each chunk */
};

enum vaes_kind {
	VAES_BODY, /* eight whole chunks of a packet, none of them its last */
	VAES_END,  /* a packet's last chunks, eight at most */
	VAES_ENDS, /* the last chunks of four packets, two at most */
};

struct vaes_group {
	uint8_t x[VAES_GROUP][VAES_CHUNK]; /* sealing: what GHASH will read, in its byte order */
	struct vaes_part parts[VAES_PARTS];
	enum vaes_kind kind;
	unsigned n_parts;
} __attribute__((aligned(64)));

/* Four packets. What depends on keys and sizes is only in the first of several quads if all have the same. */
struct vaes_quad {
	uint8_t *esp[VAES_QUAD];
	struct esp_job *job[VAES_QUAD];
	const struct esp_key *key[VAES_QUAD];
	const uint8_t *h[VAES_QUAD];  /* power of the first block of a packet's last segment */
	uint64_t bytes[2][VAES_QUAD]; /* of its last pair of chunks, as masks */
	uint32_t last[VAES_QUAD];     /* which one that is */
	uint64_t ends;                /* a bit for each pair, modulo 64, that is a packet's last */
	uint32_t n_pairs, n_whole;    /* steps, and until the first packet ends */
};

/* Four packets with keys of their own, one in each lane of all vectors. */
struct vaes_lanes {
	struct {
		uint8_t h[VAES_CHUNK];  /* H */
		uint8_t y0[VAES_CHUNK]; /* what the ICVs are encrypted with */
	} secret;
	uint8_t n[VAES_CHUNK];                      /* blocks that GHASH reads, in each word */
	uint8_t lengths[VAES_CHUNK];                /* the last of them */
	uint8_t x[VAES_LANES_STEP + 2][VAES_CHUNK]; /* what it reads */
	uint8_t text[VAES_LANES_STEP][VAES_CHUNK];  /* opening: what came */
	uint8_t icv[VAES_CHUNK];
} __attribute__((aligned(64)));

/* Jobs with a lent key, and whose it is. */
struct vaes_loan {
	const struct esp_key *key;
	uint8_t first, end;
};

struct vaes_ctx {
	uint8_t quad_x[VAES_GROUP][VAES_CHUNK];   /* sealing: what waits to be hashed */
	uint8_t quad_base[VAES_QUAD][VAES_CHUNK]; /* counters without their last word */
	uint8_t quad_y0[2][VAES_CHUNK];           /* what the ICVs are encrypted with */
	uint8_t quad_sum[3]
			[VAES_CHUNK]; /* of packets that only lack the lengths: low, middle, high */
	uint8_t quad_carry[3]
			  [VAES_CHUNK]; /* the same of the segments before, as the next has them */
	struct vaes_quad quads[VAES_QUADS];
	struct vaes_group groups[3];
	struct vaes_group idle; /* nobody's: what waits before the first one, and fills up others */
	struct vaes_group *filling; /* VAES_ENDS that are collected */
	struct vaes_group *one;     /* free for a group of one packet */
	struct vaes_group *waiting; /* sealing: encrypted, not hashed yet */
	unsigned n_free, n_hashed;
	struct vaes_pkt *free[VAES_PKTS + VAES_PARTS], *hashed[VAES_PKTS];
	struct vaes_pkt pkts[VAES_PKTS], nobody;
	bool nobody_ok;
	struct esp_key no_key;  /* zero, and so are its products */
	struct esp_key one_key; /* its first power is 1, the others are zero */
	uint8_t nothing[VAES_CHUNK] __attribute__((aligned(64))); /* zero */
	uint8_t nobody_pair[2 * VAES_CHUNK]
		__attribute__((aligned(64))); /* written and read for packets that have ended */
	uint8_t waste[VAES_BLOCK];            /* written, never read */
	uint32_t lately[VAES_LATELY];         /* keys used lately: each one's id in its place */
	struct esp_key lent[VAES_QUADS];      /* copies: one for each long run of a slice */
	struct vaes_loan loans[VAES_QUADS];
	unsigned n_loans, lent_chunks; /* of how many chunks of powers they are */
	struct vaes_lanes lanes[2];
	uint8_t lanes_rk[15][VAES_CHUNK]; /* round keys of four packets that take several steps */
	struct esp_job no_job;            /* fills up fours: no key, no text */
	uint8_t swap[VAES_CHUNK], swap_first[VAES_CHUNK], swap_esn[VAES_CHUNK];
	uint8_t ctrs[VAES_CTRS][VAES_BLOCK];
} __attribute__((aligned(64)));

/* The promise of a job's size, and that its blocks have counters. */
static inline bool vaes_size_ok(const struct esp_job *j)
{
	return j->payload_size != 0 && j->payload_size <= VAES_PAYLOAD_MAX;
}

/* Pairs of chunks of a packet from its header on. */
static inline uint32_t vaes_pairs(const struct esp_job *j)
{
	return (VAES_BLOCK + j->payload_size + 2 * VAES_CHUNK - 1) / (2 * VAES_CHUNK);
}

/* aead_vaes_keys.c: for CPUs with AVX-512, VAES and VPCLMULQDQ. Salt and sizes are in the key. */
void vaes_512_ctx_init(struct vaes_ctx *c);
void vaes_512_key_init(struct esp_key *k, const uint8_t *key, unsigned bits);

/* Jobs that follow each other with one key, of VAES_SLICE at most. */
struct vaes_runs {
	uint8_t first[VAES_SLICE + 1]; /* of each; then the number of all jobs */
	unsigned n;
};

/* Whether the keys of most of these jobs were used lately, so that what is kept of them is in a near cache. */
bool vaes_keys_at_hand(struct vaes_ctx *c, const struct esp_job *jobs, size_t n);

/*
 * Keys of these jobs of which nothing is in a near cache, as they were not used lately: each that has a long run is
 * expanded into the thread's memory, and lent to its jobs until their return. Whether most jobs have keys
 * at hand then. `size`: the largest payload.
 */
bool vaes_keys_lend(struct vaes_ctx *c, struct esp_job *jobs, const struct vaes_runs *runs,
		    uint32_t size);
void vaes_keys_return(struct vaes_ctx *c, struct esp_job *jobs);

/*
 * aead_vaes_lanes.c: jobs of any keys of one length, 128 or 256 bits, the shortest first. Before `jobs`
 * there is room for VAES_QUAD - 1 more.
 */
void vaes_512_lanes(struct vaes_ctx *c, struct esp_job **jobs, size_t n, unsigned n_rounds,
		    bool open);

/* aead_vaes_groups.c: jobs whose keys have the same number of rounds, any number of them. */
void vaes_512_groups(struct vaes_ctx *c, struct esp_job *const *jobs, size_t n, bool seal);

/* aead_vaes_512.c: the jobs of a burst. */
void vaes_512_seal(struct vaes_ctx *c, struct esp_job *jobs, size_t n);
void vaes_512_open(struct vaes_ctx *c, struct esp_job *jobs, size_t n);

/*
 * aead_vaes_quad.c: four jobs at a time, VAES_SLICE at most. Those with the fewest pairs of chunks are
 * first, and a bit says which fours; the more alike four are, the less is wasted. The others: all have
 * the first one's key and size.
 */
void vaes_512_quads(struct vaes_ctx *c, struct esp_job *const *jobs, uint32_t fours,
		    unsigned n_rounds, bool open);
void vaes_512_quads_same(struct vaes_ctx *c, struct esp_job *jobs, size_t n_quads, bool open);

/* Fours of jobs that have key and size in common, each with others than the next, perhaps: collected, then run. */
struct vaes_fours {
	unsigned n_short, n_long; /* of one pair of chunks, from c->quads on; of more, at its end */
};
/* Of these jobs, a bit for each, four at least, of one key and size; says which are left, three at most. */
uint64_t vaes_512_fours_add(struct vaes_ctx *c, struct vaes_fours *f, struct esp_job *jobs,
			    uint64_t which);
void vaes_512_fours_run(struct vaes_ctx *c, const struct vaes_fours *f, unsigned n_rounds,
			bool open);

#endif
