/* SPDX-License-Identifier: Apache-2.0 */
/* key_mem: pieces of every size, apart from each other, zeroed; locked, hidden, gone after a fork. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/key_mem.h"
#include "base/secret.h"

#define N_PIECES 400

struct piece {
	uint8_t *p;
	size_t size;
	uint8_t fill;
};

static bool all(const uint8_t *p, size_t size, uint8_t v)
{
	for (size_t i = 0; i < size; i++)
		if (p[i] != v)
			return false;
	return true;
}

static uint32_t next(uint64_t *s)
{
	*s = *s * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*s >> 33);
}

/* A size of any magnitude. */
static size_t some_size(uint64_t *s)
{
	return next(s) % ((size_t)2 << next(s) % 15);
}

static void piece_new(struct piece *x, uint64_t *s)
{
	x->size = some_size(s);
	x->fill = (uint8_t)next(s);
	x->p = key_mem_alloc(x->size);
	assert_non_null(x->p);
	assert_int_equal((uintptr_t)x->p % KEY_MEM_ALIGN, 0);
	assert_true(all(x->p, x->size, 0));
	memset(x->p, x->fill, x->size);
}

static void piece_resize(struct piece *x, uint64_t *s)
{
	const size_t size = some_size(s), kept = size < x->size ? size : x->size;

	x->p = key_mem_resize(x->p, size);
	assert_non_null(x->p);
	assert_true(all(x->p, kept, x->fill));
	x->size = size;
	memset(x->p, x->fill, size);
}

static void churn(uint64_t seed)
{
	static _Thread_local struct piece pieces[N_PIECES];
	uint64_t s = seed;

	for (int i = 0; i < 20000; i++) {
		struct piece *x = &pieces[next(&s) % N_PIECES];

		if (!x->p) {
			piece_new(x, &s);
			continue;
		}
		assert_true(all(x->p, x->size, x->fill));
		if (next(&s) % 4 == 0) {
			piece_resize(x, &s);
			continue;
		}
		key_mem_free(x->p);
		x->p = NULL;
	}
	for (size_t i = 0; i < N_PIECES; i++) {
		key_mem_free(pieces[i].p);
		pieces[i].p = NULL;
	}
}

static void test_model(void **state)
{
	churn(1);
	key_mem_free(NULL);
	assert_null(key_mem_alloc(SIZE_MAX));
	assert_null(key_mem_alloc((size_t)1 << 40));
}

static void *churn_thread(void *arg)
{
	churn((uint64_t)(uintptr_t)arg);
	return NULL;
}

static void test_threads(void **state)
{
	pthread_t t[3];

	for (uintptr_t i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&t[i], NULL, churn_thread, (void *)(i + 5)), 0);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(pthread_join(t[i], NULL), 0);
}

/* The flags of the mapping that holds `p`, as the kernel has them. */
static void flags_of(const void *p, char *out, size_t size)
{
	FILE *f = fopen("/proc/self/smaps", "r");
	unsigned long long from, to;
	bool here = false;
	char line[256];

	assert_non_null(f);
	out[0] = '\0';
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%llx-%llx ", &from, &to) == 2)
			here = (uintptr_t)p >= from && (uintptr_t)p < to;
		else if (here && strncmp(line, "VmFlags:", 8) == 0)
			snprintf(out, size, "%.*s", (int)size - 1, line + 8);
	}
	fclose(f);
}

static void test_hidden(void **state)
{
	static const size_t sizes[] = {1, 1000, 16384, 16385, 300000};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		uint8_t *p = key_mem_alloc(sizes[i]);
		void *ordinary = malloc(sizes[i]);
		char flags[256];

		assert_non_null(p);
		flags_of(p + sizes[i] - 1, flags, sizeof(flags));
		assert_non_null(strstr(flags, " dd "));
		assert_non_null(strstr(flags, " wf "));
#if !defined(__SANITIZE_ADDRESS__) /* which makes mlock() do nothing */
		assert_non_null(strstr(flags, " lo "));
#endif
		flags_of(ordinary, flags, sizeof(flags));
		assert_null(strstr(flags, " dd "));
		free(ordinary);
		key_mem_free(p);
	}
}

/* More than is mapped in small chunks: hidden and gone after a fork all the same. */
static void test_many(void **state)
{
	static uint8_t *p[2000];
	const size_t n = sizeof(p) / sizeof(p[0]);
	char flags[256];
	int status;
	pid_t pid;

	for (size_t i = 0; i < n; i++) {
		p[i] = key_mem_alloc(1400);
		assert_non_null(p[i]);
		memset(p[i], 1, 1400);
	}
	flags_of(p[n - 1], flags, sizeof(flags));
	assert_non_null(strstr(flags, " dd "));
	assert_non_null(strstr(flags, " wf "));
#if !defined(__SANITIZE_ADDRESS__)
	assert_non_null(strstr(flags, " lo "));
#endif
	pid = fork();
	if (pid == 0) {
		bool good = all(p[0], 1400, 0) && all(p[n - 1], 1400, 0);
		uint8_t *mine = NULL;

		/* All of it is locked memory of the child's own. */
		for (size_t i = 0; good && i < n; i++) {
			mine = key_mem_alloc(1400);
			good = mine && all(mine, 1400, 0);
		}
		flags_of(mine, flags, sizeof(flags));
#if !defined(__SANITIZE_ADDRESS__)
		good = good && strstr(flags, " lo ");
#endif
		_exit(good ? 7 : 9);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	for (size_t i = 0; i < n; i++)
		key_mem_free(p[i]);
}

#if !defined(__SANITIZE_ADDRESS__)
/* Wiped at once: another piece next to it keeps the chunk, so that one can look. */
static void test_wiped(void **state)
{
	uint8_t *keep = key_mem_alloc(500), *p = key_mem_alloc(500);

	assert_true(keep && p);
	memset(p, 0xa5, 500);
	key_mem_free(p);
	assert_true(all(p, 500, 0));
	key_mem_free(keep);
}

static int child_ends(void (*what)(uint8_t *), uint8_t *p)
{
	const pid_t pid = fork();
	int status;

	if (pid == 0) {
		if (!freopen("/dev/null", "w", stderr))
			_exit(9);
		what(p);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void child_looks(uint8_t *p)
{
	uint8_t *mine;

	if (!all(p, 100, 0))
		_exit(8);
	/* It may free what was its parent's, and have memory of its own where that stood. */
	key_mem_free(p);
	mine = key_mem_alloc(100);
	memset(mine, 1, 100);
	p = key_mem_alloc(100);
	_exit(p && mine != p && all(p, 100, 0) && all(mine, 100, 1) ? 7 : 9);
}

/* These make pieces of their own: a child's view of its parent's is empty. */
static void free_twice(uint8_t *p)
{
	uint8_t *keep = key_mem_alloc(9000);

	p = key_mem_alloc(9000);
	key_mem_free(p);
	key_mem_free(p);
	key_mem_free(keep);
}

static void free_middle(uint8_t *p)
{
	p = key_mem_alloc(9001);
	key_mem_free(p + KEY_MEM_ALIGN);
}

static void test_faults(void **state)
{
	uint8_t *p = key_mem_alloc(100);

	assert_non_null(p);
	memset(p, 0x77, 100);
	assert_int_equal(child_ends(child_looks, p), 7);
	key_mem_free(p);
	assert_int_equal(child_ends(free_twice, NULL), 128 + SIGABRT);
	assert_int_equal(child_ends(free_middle, NULL), 128 + SIGABRT);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_model),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_hidden),
		cmocka_unit_test(test_many),
#if !defined(__SANITIZE_ADDRESS__)
		cmocka_unit_test(test_wiped),
		cmocka_unit_test(test_faults),
#endif
	};

	if (!secret_init())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
