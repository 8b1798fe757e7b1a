/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shm: memory shared between processes: a memfd of fixed size, sealed against shrinking, growing
 * and further seals, so that a hostile peer cannot make an access fault. Shells only.
 */
#ifndef BASE_SHM_H
#define BASE_SHM_H

#include <stdbool.h>
#include <stddef.h>

struct shm {
	void *map;
	size_t size;
	int fd; /* -1 when closed */
};

/* Creates, sizes (up to 1 GiB), seals and maps. Excluded from core dumps. False with errno set. */
bool shm_create(struct shm *s, const char *name, size_t size);
/*
 * Maps a received descriptor after checking that it is a memfd with exactly these seals and this
 * size. Owns `fd` from then on (also on failure). `writable` false maps read-only.
 */
bool shm_attach(struct shm *s, int fd, size_t size, bool writable);
void shm_close(struct shm *s); /* unmaps, closes */

#endif
