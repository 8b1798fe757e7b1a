/* SPDX-License-Identifier: Apache-2.0 */
/* sum: Internet checksum (RFC 1071), in network byte order over byte strings. */
#ifndef BASE_SUM_H
#define BASE_SUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Adds bytes to a running sum of 16-bit big-endian words; an odd last byte is padded with 0. */
uint32_t sum_add(uint32_t sum, const void *data, size_t size);
/* Folds and complements: the value for the checksum field, host byte order. */
uint16_t sum_finish(uint32_t sum);

/* For every packet, inline. Words are added as the machine loads them, which changes nothing but the
 * order of the sum's bytes (RFC 1071 2). */

/* The sum of both halves of a word, carry and all, in the upper half. */
static inline uint32_t sum_twice(uint32_t s)
{
	return s + (s >> 16 | s << 16);
}

/* Both halves added, twice. */
static inline uint16_t sum_fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	return (uint16_t)(sum_twice((uint32_t)sum + (uint32_t)(sum >> 32)) >> 16);
}

static inline uint64_t sum_carry(uint64_t a, uint64_t b)
{
	const uint64_t s = a + b;

	return s + (s < a);
}

/* An IPv4 header without options: its words, the checksum among them, sum up to all ones, which is what a
 * sum that is not zero folds to when 0xffff divides it. */
static inline bool sum_ip4_good(const uint8_t *header)
{
	uint64_t a, b, sum;
	uint32_t c;

	memcpy(&a, header, 8);
	memcpy(&b, header + 8, 8);
	memcpy(&c, header + 16, 4);
	sum = sum_carry(sum_carry(a, b), c);
	return sum != 0 && sum % 0xffff == 0;
}

/*
 * TTL, protocol and checksum of an IPv4 header, as a little-endian machine loads them, after one hop more: the TTL,
 * at least 1, is the lowest byte. By RFC 1624 the checksum grows by one, and the carry's one, which comes a number early: it is
 * never 0xffff.
 */
static inline uint32_t sum_ip4_hop(uint32_t word)
{
	return word + 0xffff + ((uint32_t)(word >= 0xfffe0000) << 16);
}

#endif
