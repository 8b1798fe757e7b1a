/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key_mem: memory for expanded keys and for what computes with them: locked, left out of core dumps,
 * wiped when freed and in a forked child.
 *
 * For keys that threads use for every packet, for the state of SAs that is read beside them, and for
 * libraries that allocate by themselves; a secret that is only kept belongs into secret.h, whose guard
 * pages cost more. Beyond the first MiB, and in large pieces, memory comes in huge pages,
 * where there are some. Thread-safe.
 */
#ifndef BASE_KEY_MEM_H
#define BASE_KEY_MEM_H

#include <stddef.h>

#define KEY_MEM_ALIGN 64

/* Zeroed, aligned to KEY_MEM_ALIGN; NULL (errno says why) if there is none or it cannot be locked. */
void *key_mem_alloc(size_t size);
/* As realloc(): what is moved is wiped where it was. */
void *key_mem_resize(void *p, size_t size);
void key_mem_free(void *p); /* NULL is fine; wipes. A fault of the caller's ends the process. */

#endif
