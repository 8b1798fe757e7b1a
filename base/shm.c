/* SPDX-License-Identifier: Apache-2.0 */
/* shm: sealed memory shared between processes. See shm.h. */
#include "base/shm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define SHM_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)
#define SHM_MAX   ((size_t)1 << 30) /* beyond is a mistake, and would take the machine's memory */

static bool map(struct shm *s, size_t size, bool writable)
{
	void *p = mmap(NULL, size, PROT_READ | (writable ? PROT_WRITE : 0), MAP_SHARED, s->fd, 0);

	if (p == MAP_FAILED)
		return false;
	s->map = p;
	s->size = size;
	/* Keys pass through here: leave it out of core dumps. */
	return madvise(p, size, MADV_DONTDUMP) == 0;
}

/* Closes what there is and keeps errno, for the error exits. */
static bool fail(struct shm *s)
{
	const int e = errno;

	shm_close(s);
	errno = e;
	return false;
}

bool shm_create(struct shm *s, const char *name, size_t size)
{
	*s = (struct shm){.fd = -1};
	if (size == 0 || size > SHM_MAX) {
		errno = EINVAL;
		return false;
	}
	s->fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (s->fd < 0)
		return false;
	/*
	 * A memfd is born with mode 0777: without the fchmod(), whoever was given it for reading could
	 * open it for writing through /proc. fallocate() takes the memory now, so that no later
	 * access faults for want of it.
	 */
	if (fchmod(s->fd, 0600) != 0 || ftruncate(s->fd, (off_t)size) != 0 ||
	    fallocate(s->fd, 0, 0, (off_t)size) != 0 || fcntl(s->fd, F_ADD_SEALS, SHM_SEALS) != 0 ||
	    !map(s, size, true))
		return fail(s);
	return true;
}

bool shm_attach(struct shm *s, int fd, size_t size, bool writable)
{
	struct statfs fs;
	struct stat st;

	*s = (struct shm){.fd = fd};
	/* The order matters: once sealed, the size that fstat() tells is the size for ever. */
	if (fcntl(fd, F_GET_SEALS) != SHM_SEALS || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) ||
	    size == 0 || st.st_size < 0 || (size_t)st.st_size != size) {
		errno = EINVAL;
		return fail(s);
	}
	/* A memfd of huge pages can run dry when it is touched: refuse all but ordinary pages. */
	if (fstatfs(fd, &fs) != 0 || fs.f_type != TMPFS_MAGIC) {
		errno = EINVAL;
		return fail(s);
	}
	return map(s, size, writable) || fail(s);
}

void shm_close(struct shm *s)
{
	if (s->map)
		munmap(s->map, s->size);
	if (s->fd >= 0)
		close(s->fd);
	*s = (struct shm){.fd = -1};
}
