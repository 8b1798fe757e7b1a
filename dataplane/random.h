/* SPDX-License-Identifier: Apache-2.0 */
/*
 * random: unpredictable bytes for a worker without a system call per packet: a ChaCha20 key stream
 * whose first bytes become the next key (fast key erasure), seeded once from the system.
 */
#ifndef DATAPLANE_RANDOM_H
#define DATAPLANE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

#define DP_RANDOM_BUF 1024

struct dp_random {
	uint8_t key[32];
	uint8_t buf[DP_RANDOM_BUF];
	size_t used; /* bytes of buf that were given out */
};

void dp_random_init(struct dp_random *r);
void dp_random_fill(void *r, uint8_t *out, size_t size); /* r: struct dp_random */
void dp_random_wipe(struct dp_random *r);

#endif
