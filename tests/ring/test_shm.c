/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of base/shm.h: the seals hold, and nothing but a memfd sealed like that is mapped. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/shm.h"
#include "peer.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))
#define SIZE 20480u
#define ALL  (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

static void test_create(void **state)
{
	static const size_t sizes[] = {1, 4096, SIZE, 192 + 1024 * 1024};

	for (unsigned i = 0; i < N(sizes); i++) {
		struct shm s;
		struct stat st;

		assert_true(shm_create(&s, "test", sizes[i]));
		assert_int_equal(s.size, sizes[i]);
		assert_int_equal(fstat(s.fd, &st), 0);
		assert_int_equal(st.st_size, sizes[i]);
		assert_int_equal(st.st_mode & 07777, 0600);
		assert_int_equal(fcntl(s.fd, F_GET_SEALS), ALL);
		assert_int_equal(fcntl(s.fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
		/* The memory was taken at once: no access can fail later. */
		assert_true((size_t)st.st_blocks * 512 >= sizes[i]);
		for (size_t k = 0; k < sizes[i]; k += 64)
			assert_int_equal(((uint8_t *)s.map)[k], 0);
		memset(s.map, 0xaa, sizes[i]);
		shm_close(&s);
		assert_int_equal(s.fd, -1);
		assert_null(s.map);
		shm_close(&s); /* twice is harmless */
	}
}

static void test_create_fails(void **state)
{
	struct shm s;

	errno = 0;
	assert_false(shm_create(&s, "test", 0));
	assert_int_equal(errno, EINVAL);
	assert_int_equal(s.fd, -1);
	assert_null(s.map);
	errno = 0;
	assert_false(shm_create(&s, "test", ((size_t)1 << 30) + 1));
	assert_int_equal(errno, EINVAL);
	assert_int_equal(s.fd, -1);
}

static void test_seals_hold(void **state)
{
	struct shm s;

	assert_true(shm_create(&s, "test", SIZE));
	assert_int_equal(ftruncate(s.fd, SIZE - 1), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(s.fd, 0), -1);
	assert_int_equal(ftruncate(s.fd, SIZE + 4096), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(fallocate(s.fd, 0, SIZE, 4096), -1);
	assert_int_equal(fcntl(s.fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
	assert_int_equal(errno, EPERM);
	shm_close(&s);
}

enum kind {
	MEMFD,
	MEMFD_NO_SEALING,
	HUGE_MEMFD,
	FILE_,
	PIPE,
	DIRECTORY,
	CLOSED,
};

static int make_fd(enum kind kind, int seals, off_t size)
{
	int fd = -1, both[2];

	switch (kind) {
	case MEMFD: fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING); break;
	case MEMFD_NO_SEALING: fd = memfd_create("test", MFD_CLOEXEC); break;
	case HUGE_MEMFD:
		fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB);
		break;
	case FILE_: fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600); break;
	case PIPE:
		assert_int_equal(pipe2(both, O_CLOEXEC), 0);
		close(both[1]);
		return both[0];
	case DIRECTORY: return open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	case CLOSED: return -1;
	}
	if (fd < 0)
		return fd;
	if (ftruncate(fd, size) != 0 || (seals && fcntl(fd, F_ADD_SEALS, seals) != 0)) {
		close(fd);
		return -1;
	}
	return fd;
}

static void test_attach(void **state)
{
	static const struct {
		const char *name;
		enum kind kind;
		int seals;
		off_t size;
		bool ok;
	} rows[] = {
		{"as it should be", MEMFD, ALL, SIZE, true},
		{"no seals", MEMFD, 0, SIZE, false},
		{"not sealed against seals", MEMFD, F_SEAL_SHRINK | F_SEAL_GROW, SIZE, false},
		{"may shrink", MEMFD, F_SEAL_GROW | F_SEAL_SEAL, SIZE, false},
		{"may grow", MEMFD, F_SEAL_SHRINK | F_SEAL_SEAL, SIZE, false},
		{"sealed against writing", MEMFD, ALL | F_SEAL_WRITE, SIZE, false},
		{"too small", MEMFD, ALL, SIZE - 4096, false},
		{"one byte too small", MEMFD, ALL, SIZE - 1, false},
		{"too large", MEMFD, ALL, SIZE + 4096, false},
		{"empty", MEMFD, ALL, 0, false},
		{"no sealing allowed", MEMFD_NO_SEALING, 0, SIZE, false},
		{"a file", FILE_, 0, SIZE, false},
		{"a pipe", PIPE, 0, SIZE, false},
		{"a directory", DIRECTORY, 0, SIZE, false},
		{"no descriptor", CLOSED, 0, SIZE, false},
	};

	for (unsigned i = 0; i < N(rows); i++) {
		for (int writable = 0; writable <= 1; writable++) {
			const int fd = make_fd(rows[i].kind, rows[i].seals, rows[i].size);
			struct shm s;

			assert_true(fd >= 0 || rows[i].kind == CLOSED);
			errno = 0;
			if (shm_attach(&s, fd, SIZE, writable) != rows[i].ok)
				fail_msg("%s: %s", rows[i].name, strerror(errno));
			if (rows[i].ok) {
				assert_int_equal(s.fd, fd);
				shm_close(&s);
			} else {
				assert_int_not_equal(errno, 0);
				assert_int_equal(s.fd, -1);
				assert_null(s.map);
			}
			/* It owned the descriptor either way. */
			assert_int_equal(fcntl(fd, F_GETFD), -1);
		}
	}
}

static void test_attach_refuses_huge_pages(void **state)
{
	const off_t size = 2 * 1024 * 1024;
	const int fd = make_fd(HUGE_MEMFD, ALL, size);
	struct shm s;

	if (fd < 0)
		skip(); /* the kernel has no huge pages */
	assert_false(shm_attach(&s, fd, (size_t)size, true));
}

static void test_both_see_the_same(void **state)
{
	struct shm a, b, c;

	assert_true(shm_create(&a, "test", SIZE));
	assert_true(shm_attach(&b, dup(a.fd), SIZE, true));
	assert_true(shm_attach(&c, dup(a.fd), SIZE, false));
	((uint8_t *)a.map)[SIZE - 1] = 1;
	((uint8_t *)b.map)[0] = 2;
	assert_int_equal(((uint8_t *)b.map)[SIZE - 1], 1);
	assert_int_equal(((uint8_t *)c.map)[SIZE - 1], 1);
	assert_int_equal(((uint8_t *)c.map)[0], 2);
	shm_close(&a);
	assert_int_equal(((uint8_t *)c.map)[0], 2); /* the others keep it */
	shm_close(&b);
	shm_close(&c);
}

static void test_read_only_map(void **state)
{
	struct shm a, b;
	pid_t pid;
	int rc;

	assert_true(shm_create(&a, "test", SIZE));
	assert_true(shm_attach(&b, dup(a.fd), SIZE, false));
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		signal(SIGSEGV, SIG_DFL); /* also when a sanitizer has its own */
		*(volatile uint8_t *)b.map = 1;
		_exit(0);
	}
	rc = child_wait(pid);
	assert_int_equal(rc, 128 + SIGSEGV);
	shm_close(&a);
	shm_close(&b);
}

/* A descriptor opened for reading stays so for another user, /proc or not. */
static void test_reader_cannot_write(void **state)
{
	char path[64];
	struct shm a;
	pid_t pid;
	int fd;

	if (geteuid() != 0)
		skip(); /* needs to become another user */
	assert_true(shm_create(&a, "test", SIZE));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", a.fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct shm b;

		if (setgid(65534) != 0 || setuid(65534) != 0)
			_exit(1);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		if (open(path, O_RDWR | O_CLOEXEC) >= 0)
			_exit(2);
		if (shm_attach(&b, dup(fd), SIZE, true))
			_exit(3);
		_exit(shm_attach(&b, dup(fd), SIZE, false) ? 0 : 4);
	}
	assert_int_equal(child_wait(pid), 0);
	close(fd);
	shm_close(&a);
}

static bool left_out_of_dumps(const void *p)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	bool here = false, found = false;
	char line[512];

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		unsigned long lo, hi;

		if (sscanf(line, "%lx-%lx ", &lo, &hi) == 2)
			here = (uintptr_t)p >= lo && (uintptr_t)p < hi;
		else if (here && strncmp(line, "VmFlags:", 8) == 0)
			found = strstr(line, " dd") != NULL;
	}
	fclose(f);
	return found;
}

static void test_not_in_core_dumps(void **state)
{
	struct shm a, b;

	assert_true(shm_create(&a, "test", SIZE));
	assert_true(shm_attach(&b, dup(a.fd), SIZE, true));
	assert_true(left_out_of_dumps(a.map));
	assert_true(left_out_of_dumps(b.map));
	assert_false(left_out_of_dumps(&a)); /* the check can fail */
	shm_close(&a);
	shm_close(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_create),
		cmocka_unit_test(test_create_fails),
		cmocka_unit_test(test_seals_hold),
		cmocka_unit_test(test_attach),
		cmocka_unit_test(test_attach_refuses_huge_pages),
		cmocka_unit_test(test_both_see_the_same),
		cmocka_unit_test(test_read_only_map),
		cmocka_unit_test(test_reader_cannot_write),
		cmocka_unit_test(test_not_in_core_dumps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
