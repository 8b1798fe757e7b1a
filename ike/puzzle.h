/* SPDX-License-Identifier: Apache-2.0 */
/*
 * puzzle: client puzzles (RFC 8019). Given a string S and a prf, find four keys of one size, all
 * different, so that each prf(key, S) ends in at least so many zero bits (7.1.3). Checking takes
 * four prfs; finding takes 4 * 2^bits on average, and here never more than IKE_PUZZLE_TRIES.
 */
#ifndef IKE_PUZZLE_H
#define IKE_PUZZLE_H

#include <stdbool.h>
#include "base/rd.h"
#include "ike/crypto.h"

#define IKE_PUZZLE_KEYS     4
#define IKE_PUZZLE_KEY_MAX  64         /* bytes of a key that is looked at */
#define IKE_PUZZLE_KEY_SIZE 8          /* ours */
#define IKE_PUZZLE_S_MAX    64         /* a cookie */
#define IKE_PUZZLE_BITS_MAX 18         /* harder ones are not begun */
#define IKE_PUZZLE_TRIES    (1u << 22) /* of which all but one in ten thousand of 18 bits are solved */
#define IKE_PUZZLE_ANY      14         /* where the choice is ours (7.1.1.1: difficulty 0) */

/* Data of the PUZZLE notify (8.1). */
struct ike_puzzle_ask {
	uint16_t prf;
	uint8_t bits; /* 0: as many as the initiator likes */
};
#define IKE_PUZZLE_ASK_SIZE 3
bool ike_puzzle_parse(struct rd data, struct ike_puzzle_ask *out);
void ike_puzzle_write(const struct ike_puzzle_ask *ask, uint8_t out[IKE_PUZZLE_ASK_SIZE]);

/* The content of a Puzzle Solution payload (8.2) solves it. */
bool ike_puzzle_check(const struct ike_crypto *c, uint16_t prf, struct rd s, uint8_t bits,
		      struct rd solution);

/* A puzzle in work. */
struct ike_puzzle {
	uint16_t prf;
	uint8_t bits;
	uint8_t s[IKE_PUZZLE_S_MAX];
	size_t s_size;
	uint32_t n_tried;
	unsigned n_found;
	uint8_t keys[IKE_PUZZLE_KEYS * IKE_PUZZLE_KEY_SIZE];
};

enum ike_puzzle_state {
	IKE_PUZZLE_MORE,
	IKE_PUZZLE_SOLVED, /* `keys` is the solution */
	IKE_PUZZLE_TOO_HARD,
};

/* False: one that we do not begin. */
bool ike_puzzle_begin(const struct ike_puzzle_ask *ask, struct rd s, struct ike_puzzle *out);
/* At most `n` prfs. */
enum ike_puzzle_state ike_puzzle_work(const struct ike_crypto *c, struct ike_puzzle *p, unsigned n);

#endif
