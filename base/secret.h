/* SPDX-License-Identifier: Apache-2.0 */
/*
 * secret: key material in libsodium's guarded memory: locked, excluded from core dumps, between
 * guard pages, wiped when freed. There is no formatter for this type, on purpose.
 *
 * Up to 128 bytes a secret is cheap: it shares its pages with others, and a process may hold hundreds
 * of thousands. A larger one has pages of its own. A child made by fork() finds every secret of its
 * parent wiped, of size 0, and may free it; secrets that it makes itself are as usual. A secret that
 * was freed twice, written past its end or written after it was freed ends the process.
 *
 * Not thread-safe: secrets belong to one thread of a process (the dataplane's workers use none).
 */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct secret;

/* Once per process, before any other call. False if libsodium cannot start. */
bool secret_init(void);

/* A zeroed secret of `size` bytes (at most 4 MiB); NULL when out of (lockable) memory. */
struct secret *secret_new(size_t size);
/* Copies `size` bytes; the caller still wipes its own copy. */
struct secret *secret_from(const void *data, size_t size);
struct secret *secret_clone(const struct secret *s);
/* After a NULL from the above: what was wrong and what to do, for the log. */
const char *secret_error(void);
void secret_free(struct secret *s); /* NULL is fine; wipes */

size_t secret_size(const struct secret *s); /* 0 for NULL */
const uint8_t *secret_data(const struct secret *s);
uint8_t *secret_data_mut(struct secret *s);

/* Constant-time comparisons. Different sizes are unequal. */
bool secret_equal(const struct secret *a, const struct secret *b);
bool bytes_equal_ct(const void *a, const void *b, size_t size);

/* Wipes memory in a way that the compiler cannot remove. */
void bytes_wipe(void *data, size_t size);

/* For shells only: fills from the system's generator (libsodium). Never fails. */
void random_bytes_fill(void *out, size_t size);

/* For shells only: no core dumps, not dumpable, per-process. False with errno set. */
bool process_harden_memory(void);

#endif
