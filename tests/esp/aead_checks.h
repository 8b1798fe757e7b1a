/* SPDX-License-Identifier: Apache-2.0 */
/* aead_checks: what every AEAD backend must do, one body for all of them. */
#ifndef TESTS_ESP_AEAD_CHECKS_H
#define TESTS_ESP_AEAD_CHECKS_H

#include "util.h"

/* Every suite of b's, sizes to `max` by steps of so many blocks: what one seals, the other opens. */
void check_cross(const struct esp_backend *b, const struct esp_backend *other, uint32_t max,
		 uint32_t step, struct rng *r);

/* A burst of random sizes and alignments over mixed suites, some packets spoilt: only these fail. */
void check_burst(const struct esp_backend *b, struct rng *r);

/* A payload that is no whole number of blocks fails, alone, instead of running past its end. */
void check_bad_sizes(const struct esp_backend *b);

void check_unsupported(const struct esp_backend *b);

#endif
