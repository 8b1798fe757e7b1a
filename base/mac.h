/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mac: SipHash-2-4 with 128 bits of output, a keyed hash that costs a tenth of a microsecond: for what
 * this process alone makes and checks again soon (cookies, tables of what strangers send). Who does
 * not know the key can neither predict a value nor find two inputs with the same. Not for keys that
 * outlive the process, nor for anything that another implementation reads.
 */
#ifndef BASE_MAC_H
#define BASE_MAC_H

#include <stddef.h>
#include <stdint.h>

#define MAC_KEY_SIZE 16u
#define MAC_SIZE     16u

void mac_of(const uint8_t key[MAC_KEY_SIZE], const void *data, size_t size, uint8_t out[MAC_SIZE]);

#endif
