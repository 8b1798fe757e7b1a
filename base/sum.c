/* SPDX-License-Identifier: Apache-2.0 */
/* sum: the Internet checksum (RFC 1071). See sum.h. */
#include "base/sum.h"

uint32_t sum_add(uint32_t sum, const void *data, size_t size)
{
	const uint8_t *p = data;
	uint64_t acc = sum;

	for (; size >= 2; p += 2, size -= 2)
		acc += (uint32_t)p[0] << 8 | p[1];
	if (size)
		acc += (uint32_t)p[0] << 8;
	/* End-around carries may be folded at any time (RFC 1071 2, deferred carries). */
	while (acc >> 16)
		acc = (acc & 0xffff) + (acc >> 16);
	return (uint32_t)acc;
}

uint16_t sum_finish(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}
