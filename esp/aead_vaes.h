/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aead_vaes: what the parts of the burst AES-GCM share. See aead_vaes.c for the idea.
 */
#ifndef ESP_AEAD_VAES_H
#define ESP_AEAD_VAES_H

#include "esp/aead_int.h"

#define VAES_BLOCK       16u
#define VAES_CHUNK       64u /* four blocks: one vector */
#define VAES_GROUP       8u  /* chunks in flight */
#define VAES_BODY_BLOCKS 32u
#define VAES_PIECES      4u  /* of two chunks: a group */
#define VAES_POWERS      36u /* of H that a key keeps: a group, the length's block, and some air */
#define VAES_PKTS        16u /* on their way at once; a power of two, at least 3 * VAES_PIECES */
#define VAES_PAYLOAD_MAX 65536u
#define VAES_CTRS        ((VAES_PAYLOAD_MAX + 512u) / VAES_BLOCK)

/*
 * An expanded key. Powers of H are in descending order, so that the four powers of any chunk are one
 * load, whatever its place in the packet; those below H^1 are zero. Round 0 stands in `nonce`, with
 * the salt: what is left is to add the IV and the counter.
 */
struct esp_key {
	uint8_t nonce[VAES_BLOCK];
	uint64_t icv_mask; /* a bit for each byte of the ICV */
	uint64_t aad_bits;
	uint8_t n_rounds;
	bool esn;
	uint8_t salt[AEAD_SALT_SIZE];
	uint8_t rk[15][VAES_BLOCK] __attribute__((aligned(64)));
	uint8_t h[VAES_POWERS + 8][VAES_BLOCK];
	/* Both halves of a power added up, for Karatsuba's middle product: of H^n and H^(n-4). */
	uint8_t mid[VAES_POWERS + 4][VAES_BLOCK];
};

/* A packet on its way. */
struct vaes_pkt {
	uint8_t acc[3][VAES_CHUNK]; /* GHASH so far, unreduced: low, middle and high products */
	uint8_t z[VAES_CHUNK];      /* GHASH of what the body had, reduced, lane by lane */
	uint8_t y0[VAES_BLOCK];     /* what the ICV is encrypted with */
	uint8_t *icv;
	uint64_t icv_mask;
	bool *ok;
} __attribute__((aligned(64)));

/*
 * Two chunks of a packet; the first may be the one that begins with the ESP header, in whose place the
 * additional data go into GHASH, and whose first counter gives y0.
 */
struct vaes_piece {
	uint8_t *at;
	const uint8_t *esp;
	const struct esp_key *key;
	const uint8_t *ctr;  /* counters of both chunks */
	const uint8_t *h;    /* power of the first block */
	const uint8_t *acc;  /* what the products are added to */
	const uint8_t *z;    /* and what the first chunk is */
	const uint8_t *swap; /* byte order, and the place of the additional data */
	uint8_t *y0;
	struct vaes_pkt *pkt;
	uint64_t load0, text0, text1; /* bytes to read of the first, to write of both */
	uint64_t text_bits;
	uint32_t seq_hi;
	uint16_t seq_lane; /* words of the first chunk that seq_hi goes to */
	uint16_t len_lane; /* double words of both chunks that text_bits goes to */
};

enum vaes_kind {
	VAES_BODY,  /* eight whole chunks of one packet, as the first piece says */
	VAES_PIECE, /* four pieces */
};

struct vaes_group {
	uint8_t x[VAES_GROUP][VAES_CHUNK]; /* sealing: what GHASH will read, in its byte order */
	struct vaes_piece pieces[VAES_PIECES];
	enum vaes_kind kind;
	unsigned n_pieces, n_ends; /* n_ends: packets whose last piece is here */
} __attribute__((aligned(64)));

struct vaes_ctx {
	struct vaes_group groups[3];
	struct vaes_group *filling;       /* pieces are collected */
	struct vaes_group *body;          /* free for a body */
	struct vaes_group *waiting;       /* sealing: encrypted, not hashed yet */
	size_t n_begun, n_hashed, n_done; /* packets */
	struct vaes_pkt pkts[VAES_PKTS], nobody;
	struct esp_key no_key;           /* zero, and so are its products */
	uint8_t nothing[3 * VAES_CHUNK]; /* zero */
	uint8_t waste[VAES_BLOCK];       /* written, never read */
	uint8_t swap[VAES_CHUNK], swap_first[VAES_CHUNK], swap_esn[VAES_CHUNK];
	uint8_t ctrs[VAES_CTRS][VAES_BLOCK];
} __attribute__((aligned(64)));

/* The promise of a job's size, and that its blocks have counters. */
static inline bool vaes_size_ok(const struct esp_job *j)
{
	return j->payload_size != 0 && j->payload_size <= VAES_PAYLOAD_MAX;
}

/* aead_vaes_512.c: for CPUs with AVX-512, VAES and VPCLMULQDQ. Salt and sizes are in the key. */
void vaes_512_key_init(struct esp_key *k, const uint8_t *key, unsigned bits);
/* Only the jobs whose keys have n_rounds, in place. */
void vaes_512_seal(struct vaes_ctx *c, struct esp_job *jobs, size_t n, unsigned n_rounds);
void vaes_512_open(struct vaes_ctx *c, struct esp_job *jobs, size_t n, unsigned n_rounds);

#endif
