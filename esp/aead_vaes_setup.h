/* SPDX-License-Identifier: Apache-2.0 */
/* aead_vaes_setup: what both of our own AES-GCM backends do once: ask the CPU, expand a key. */
#ifndef ESP_AEAD_VAES_SETUP_H
#define ESP_AEAD_VAES_SETUP_H

#include <stdbool.h>
#include <stdint.h>
#include "esp/esp.h"

#define VAES_ROUND_KEYS 15u                 /* of the longest key */
#define VAES_POLY_HIGH  0xc200000000000000u /* x^128 + x^127 + x^126 + x^121 + 1, reflected */

/*
 * Whether the CPU does AES and carry-less multiplication on vectors, has the extensions of CPUID leaf 7 in
 * `ebx_want`, and the operating system saves the registers in `saved` (bits of XCR0).
 */
bool vaes_cpu_has(unsigned ebx_want, uint64_t saved);

/* AES-GCM, with any key and ICV that ESP knows. */
bool vaes_supports(const struct esp_suite *s);

/* FIPS 197 5.2: the round keys of a key of 128, 192 or 256 bits. How many rounds there are. */
unsigned vaes_round_keys(uint8_t rk[][16], const uint8_t *key, unsigned bits);

/* H (NIST SP 800-38D 7.1, 1.) as powers are kept: its bytes reversed, times X. */
void vaes_hash_key(uint8_t h[16], const uint8_t rk[][16], unsigned n_rounds);

#endif
