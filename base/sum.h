/* SPDX-License-Identifier: Apache-2.0 */
/* sum: Internet checksum (RFC 1071), in network byte order over byte strings. */
#ifndef BASE_SUM_H
#define BASE_SUM_H

#include <stddef.h>
#include <stdint.h>

/* Adds bytes to a running sum of 16-bit big-endian words; an odd last byte is padded with 0. */
uint32_t sum_add(uint32_t sum, const void *data, size_t size);
/* Folds and complements: the value for the checksum field, host byte order. */
uint16_t sum_finish(uint32_t sum);

#endif
