/* SPDX-License-Identifier: Apache-2.0 */
/* The keyed hash, by the vectors of its authors: key 00..0f, input 00..n-1, 128 bits of output. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/mac.h"

static void vectors(void **state)
{
	static const struct {
		size_t size;
		uint8_t want[MAC_SIZE];
	} cases[] = {
		{0,
		 {0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6, 0x6d, 0xf6, 0x72, 0x14, 0xc7,
		  0x55, 0x02, 0x93}},
		{1,
		 {0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44, 0x34, 0x76, 0x59, 0x11, 0x9b,
		  0x22, 0xfc, 0x45}},
		{2,
		 {0x81, 0x77, 0x22, 0x8d, 0xa4, 0xa4, 0x5d, 0xc7, 0xfc, 0xa3, 0x8b, 0xde, 0xf6,
		  0x0a, 0xff, 0xe4}},
	};
	uint8_t key[MAC_KEY_SIZE], in[2], out[MAC_SIZE];

	for (size_t i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)i;
	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (uint8_t)i;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		mac_of(key, in, cases[i].size, out);
		assert_memory_equal(out, cases[i].want, MAC_SIZE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(vectors)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
