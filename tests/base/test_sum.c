/* SPDX-License-Identifier: Apache-2.0 */
/* What every packet's header goes through, beside the words of the RFCs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/sum.h"

/* RFC 1624 3, equation 3: HC' = ~(~HC + ~m + m'). */
static uint16_t adjusted(uint16_t hc, uint16_t from, uint16_t to)
{
	uint32_t sum = (uint32_t)(uint16_t)~hc + (uint16_t)~from + to;

	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* One hop less, for every checksum. */
static void hop(void **state)
{
	static const uint8_t ttls[] = {1, 2, 64, 128, 255}, protocols[] = {0, 1, 6, 17, 255};

	for (uint32_t hc = 0; hc <= UINT16_MAX; hc++) {
		const uint8_t ttl = ttls[hc % sizeof(ttls)];
		const uint8_t protocol = protocols[hc / 7 % sizeof(protocols)];
		const uint8_t from[4] = {ttl, protocol, (uint8_t)(hc >> 8), (uint8_t)hc};
		const uint16_t want = adjusted((uint16_t)hc, (uint16_t)(ttl << 8 | protocol),
					       (uint16_t)((ttl - 1) << 8 | protocol));
		const uint8_t to[4] = {(uint8_t)(ttl - 1), protocol, (uint8_t)(want >> 8),
				       (uint8_t)want};
		uint32_t word;

		memcpy(&word, from, sizeof(word));
		word = sum_ip4_hop(word);
		assert_memory_equal(&word, to, sizeof(word));
	}
}

/* Any sum of words folds to what sum_finish() makes of it; the order of its bytes is the machine's. */
static void folds(void **state)
{
	uint64_t sum = 1;

	for (unsigned i = 0; i < 100000; i++) {
		const uint64_t words = sum >> 20;
		uint32_t naive = (uint32_t)(words & 0xffff) + (uint32_t)(words >> 16 & 0xffff) +
				 (uint32_t)(words >> 32);

		assert_int_equal((uint16_t)~sum_fold(words), sum_finish(naive));
		sum = sum * 6364136223846793005u + 1442695040888963407u;
	}
	assert_int_equal(sum_fold(0), 0);
	assert_int_equal(sum_fold(0xffff), 0xffff);
	assert_int_equal(sum_fold(0xffffffffffff), 0xffff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(hop), cmocka_unit_test(folds)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
