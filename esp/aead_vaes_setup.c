/* SPDX-License-Identifier: Apache-2.0 */
/* aead_vaes_setup: see aead_vaes_setup.h. Nothing here has a branch or an index that depends on a key. */
#include "esp/aead_vaes_setup.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#include <string.h>
#include "esp/cpu.h"

#define AES_CPU __attribute__((target("aes,sse4.1")))

bool vaes_cpu_has(unsigned ebx_want, uint64_t saved)
{
	const unsigned first_want = bit_OSXSAVE | bit_AVX | bit_AES | bit_PCLMUL | bit_POPCNT;
	const unsigned ecx_want = bit_VAES | bit_VPCLMULQDQ;
	struct esp_cpu cpu;

	esp_cpu_ask(&cpu);
	return (cpu.first_ecx & first_want) == first_want && (cpu.ebx & ebx_want) == ebx_want &&
	       (cpu.ecx & ecx_want) == ecx_want && (cpu.xcr0 & saved) == saved;
}

bool vaes_supports(const struct esp_suite *s)
{
	struct esp_suite known;

	return esp_suite_init(&known, s->encr, s->encr_key_bits, s->integ) &&
	       known.kind == ESP_KIND_GCM;
}

/* SubWord by the AES unit, which has no table. */
AES_CPU static uint32_t sub_word(uint32_t w)
{
	return (uint32_t)_mm_cvtsi128_si32(
		_mm_aeskeygenassist_si128(_mm_shuffle_epi32(_mm_cvtsi32_si128((int)w), 0x00), 0));
}

AES_CPU unsigned vaes_round_keys(uint8_t rk[][16], const uint8_t *key, unsigned bits)
{
	const unsigned n_key = bits / 32, n_rounds = n_key + 6;
	uint32_t *w = (uint32_t *)(void *)rk, rcon = 1;

	memcpy(w, key, 4 * n_key);
	for (unsigned i = n_key; i < 4 * (n_rounds + 1); i++) {
		uint32_t t = w[i - 1];

		if (i % n_key == 0) {
			/* RotWord in the order of bytes of this CPU */
			t = sub_word(t);
			t = (t >> 8 | t << 24) ^ rcon;
			rcon = rcon << 1 ^ (rcon >> 7) * 0x11bu;
		} else if (n_key == 8 && i % 8 == 4) {
			t = sub_word(t);
		}
		w[i] = w[i - n_key] ^ t;
	}
	return n_rounds;
}

AES_CPU void vaes_hash_key(uint8_t out[16], const uint8_t rk[][16], unsigned n_rounds)
{
	const __m128i swap = _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
	__m128i h = _mm_loadu_si128((const void *)rk[0]), carry;

	for (unsigned i = 1; i < n_rounds; i++)
		h = _mm_aesenc_si128(h, _mm_loadu_si128((const void *)rk[i]));
	h = _mm_aesenclast_si128(h, _mm_loadu_si128((const void *)rk[n_rounds]));
	h = _mm_shuffle_epi8(h, swap);
	/* Times X, which the reflected products lack: a shift, and the polynomial if a bit falls out. */
	carry = _mm_srai_epi32(_mm_shuffle_epi32(h, 0xff), 31);
	h = _mm_or_si128(_mm_slli_epi64(h, 1), _mm_srli_epi64(_mm_slli_si128(h, 8), 63));
	h = _mm_xor_si128(h, _mm_and_si128(carry, _mm_set_epi64x((long long)VAES_POLY_HIGH, 1)));
	_mm_storeu_si128((void *)out, h);
}
#endif
