/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tests of base/secret.h: guarded memory, constant-time comparison, wiping, what a child sees, and
 * slabs: secrets of many sizes against a model, a great many at once, misuse.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/secret.h"

/* Under AddressSanitizer mlock() does nothing, so that nothing can be told about it. */
#ifndef __SANITIZE_ADDRESS__
#define LOCKS_MEMORY
#endif

/* Runs `body` in a child; its return value, or 128 + the signal that ended it. */
static int in_child(int (*body)(void *), void *arg)
{
	const pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		signal(SIGSEGV, SIG_DFL); /* cmocka and the sanitizers have their own */
		_exit(body(arg));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void test_sizes(void **state)
{
	static const uint8_t zero[4u << 20];

	for (size_t size = 0; size <= sizeof(zero); size = size <= 4096 ? size + 1 : size * 2) {
		struct secret *s = secret_new(size);

		assert_non_null(s);
		assert_int_equal(secret_size(s), size);
		assert_memory_equal(secret_data(s), zero, size);
		memset(secret_data_mut(s), 0xa5, size);
		assert_int_equal(secret_size(s), size);
		secret_free(s);
	}
	assert_null(secret_new((4u << 20) + 1));
	assert_non_null(strstr(secret_error(), "4 MiB"));
	secret_free(NULL);
	assert_int_equal(secret_size(NULL), 0);
}

static void test_equal(void **state)
{
	static const struct {
		const char *a, *b;
		bool equal;
	} rows[] = {
		{"", "", true},
		{"k", "k", true},
		{"k", "", false},
		{"key", "kez", false},
		{"xey", "key", false},
		{"key", "key1", false},
		{"0123456789abcdef0", "0123456789abcdef0", true},
		{"0123456789abcdef0", "0123456789abcdef1", false},
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct secret *a = secret_from(rows[i].a, strlen(rows[i].a));
		struct secret *b = secret_from(rows[i].b, strlen(rows[i].b));

		if (secret_equal(a, b) != rows[i].equal || secret_equal(b, a) != rows[i].equal)
			fail_msg("\"%s\" and \"%s\"", rows[i].a, rows[i].b);
		assert_int_equal(bytes_equal_ct(rows[i].a, rows[i].b, strlen(rows[i].a)),
				 strncmp(rows[i].a, rows[i].b, strlen(rows[i].a)) == 0);
		secret_free(a);
		secret_free(b);
	}
	assert_false(secret_equal(NULL, NULL)); /* absent is never equal */
}

static void test_clone(void **state)
{
	struct secret *a = secret_from("0123456789", 10), *b = secret_clone(a);

	assert_true(secret_equal(a, b));
	secret_data_mut(b)[0] = 'x';
	assert_false(secret_equal(a, b));
	assert_int_equal(secret_data(a)[0], '0');
	secret_free(a);
	secret_free(b);
	assert_null(secret_clone(NULL));
}

static void test_wipe(void **state)
{
	uint8_t data[64];

	memset(data, 0x5a, sizeof(data));
	bytes_wipe(data + 1, 62);
	assert_int_equal(data[0], 0x5a);
	assert_int_equal(data[63], 0x5a);
	for (int i = 1; i < 63; i++)
		assert_int_equal(data[i], 0);
	bytes_wipe(NULL, 0);
}

static void test_random(void **state)
{
	uint8_t a[32] = {0}, b[32] = {0};

	random_bytes_fill(a, sizeof(a));
	random_bytes_fill(b, sizeof(b));
	assert_memory_not_equal(a, b, sizeof(a));
}

static int read_byte(void *arg)
{
	return *(const volatile uint8_t *)arg;
}

static void test_guard_page(void **state)
{
	static const uint8_t data[129] = "too large to share";
	struct secret *s = secret_from(data, sizeof(data));

	assert_int_equal(in_child(read_byte, secret_data_mut(s)), 0); /* wiped, but there */
	assert_int_equal(in_child(read_byte, secret_data_mut(s) + 128), 0);
	assert_int_equal(in_child(read_byte, secret_data_mut(s) + 129), 128 + SIGSEGV);
	secret_free(s);
}

static const uint8_t sample[200] = "canary!";

/* A child: its parent's secrets are wiped and may be freed, its own work. */
static int look_in_child(void *arg)
{
	static const uint8_t zero[sizeof(sample)];
	static struct secret *own[1000];
	struct secret **s = arg;

	for (int i = 0; i < 3; i++)
		if (secret_size(s[i]) != 0)
			return 1;
	if (memcmp(secret_data(s[0]), zero, 7) != 0 || memcmp(secret_data(s[2]), zero, 200) != 0)
		return 2;
	secret_free(s[0]);
	for (int i = 0; i < 1000; i++) {
		own[i] = secret_from(sample, 1 + (unsigned)i % 128);
		if (!own[i])
			return 3;
	}
	secret_free(s[1]);
	secret_free(s[2]);
	for (int i = 0; i < 1000; i++) {
		if (secret_size(own[i]) != 1 + (unsigned)i % 128 ||
		    memcmp(secret_data(own[i]), sample, secret_size(own[i])) != 0)
			return 4;
		secret_free(own[i]);
	}
	return 0;
}

static void test_fork_wipes(void **state)
{
	struct secret *s[3] = {secret_from(sample, 7), secret_from(sample, 7),
			       secret_from(sample, 200)};

	assert_int_equal(in_child(look_in_child, s), 0);
	for (int i = 0; i < 3; i++) {
		assert_memory_equal(secret_data(s[i]), sample, secret_size(s[i]));
		secret_free(s[i]);
	}
}

/* Accesses of a fault, which AddressSanitizer is not to see: the secrets notice on their own. */
__attribute__((no_sanitize("address"))) static uint8_t peek(const volatile uint8_t *p)
{
	return *p;
}

__attribute__((no_sanitize("address"))) static void poke(volatile uint8_t *p)
{
	*p ^= 1;
}

static void test_wiped_when_freed(void **state)
{
	for (size_t size = 1; size <= 128; size++) {
		struct secret *neighbour = secret_new(size), *s = secret_new(size);
		const uint8_t *p = secret_data(s);

		memset(secret_data_mut(s), 0xa5, size);
		secret_free(s); /* the neighbour keeps the memory in place */
		for (size_t i = 0; i < size + 16; i++)
			assert_int_equal(peek(p + i), 0);
		secret_free(neighbour);
	}
}

static int free_twice(void *arg)
{
	struct secret *s = secret_new(32), *neighbour = secret_new(32);

	dup2(*(int *)arg, STDERR_FILENO);
	secret_free(s);
	secret_free(s);
	secret_free(neighbour);
	return 0;
}

static int write_past_end(void *arg)
{
	struct secret *s = secret_new(20);

	dup2(*(int *)arg, STDERR_FILENO);
	poke(secret_data_mut(s) + 20);
	secret_free(s);
	return 0;
}

static int write_after_free(void *arg)
{
	struct secret *s = secret_new(64);
	uint8_t *p = secret_data_mut(s);

	dup2(*(int *)arg, STDERR_FILENO);
	secret_free(s);
	poke(p + 63);
	(void)secret_new(64);
	return 0;
}

static void test_misuse(void **state)
{
	static const struct {
		int (*body)(void *);
		const char *message;
	} rows[] = {
		{free_twice, "a secret was freed twice"},
		{write_past_end, "a secret was written past its end"},
		{write_after_free, "a secret was written after it was freed"},
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char said[512] = "";
		int fd = memfd_create("stderr", MFD_CLOEXEC);

		assert_true(fd >= 0);
		assert_int_equal(in_child(rows[i].body, &fd), 128 + SIGABRT);
		assert_true(pread(fd, said, sizeof(said) - 1, 0) > 0);
		if (!strstr(said, rows[i].message))
			fail_msg("\"%s\" instead of \"%s\"", said, rows[i].message);
		close(fd);
	}
}

static uint32_t next_random(uint32_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 17;
	*x ^= *x << 5;
	return *x;
}

#define N_MODEL 1500

/* What a secret must hold: its size and a pattern of its own. */
struct model {
	struct secret *s;
	size_t size;
	uint8_t first;
};

static void model_fill(struct model *m)
{
	for (size_t i = 0; i < m->size; i++)
		secret_data_mut(m->s)[i] = (uint8_t)(m->first + i);
}

static void model_check(const struct model *m)
{
	assert_int_equal(secret_size(m->s), m->size);
	for (size_t i = 0; i < m->size; i++)
		if (secret_data(m->s)[i] != (uint8_t)(m->first + i))
			fail_msg("byte %zu of %zu has changed", i, m->size);
}

static int by_address(const void *a, const void *b)
{
	const uint8_t *pa = secret_data(((const struct model *)a)->s);
	const uint8_t *pb = secret_data(((const struct model *)b)->s);

	return (pa > pb) - (pa < pb);
}

/* Secrets come and go; the number alive swells and shrinks, so that slabs fill and empty. */
static void test_model(void **state)
{
	static const uint8_t zero[4096];
	static struct model alive[N_MODEL];
	size_t n = 0;
	uint32_t x = 20240229;

	for (int round = 0; round < 60000; round++) {
		const bool grow = round / 4000 % 2 == 0;

		if (n < N_MODEL && (n == 0 || next_random(&x) % 100 < (grow ? 70 : 30))) {
			struct model *m = &alive[n++];

			m->size = next_random(&x) % (next_random(&x) % 50 ? 130 : 4097);
			m->first = (uint8_t)next_random(&x);
			m->s = secret_new(m->size);
			assert_non_null(m->s);
			assert_memory_equal(secret_data(m->s), zero, m->size);
			model_fill(m);
		} else {
			struct model *m = &alive[next_random(&x) % n];

			model_check(m);
			secret_free(m->s);
			*m = alive[--n];
		}
		if (round % 4000 == 3999 && n > 0) {
			qsort(alive, n, sizeof(alive[0]), by_address);
			for (size_t i = 0; i < n; i++) {
				model_check(&alive[i]);
				assert_true(i == 0 ||
					    secret_data(alive[i - 1].s) + alive[i - 1].size <=
						    secret_data(alive[i].s));
			}
		}
	}
	while (n > 0) {
		model_check(&alive[--n]);
		secret_free(alive[n].s);
	}
}

static unsigned n_mappings(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	unsigned n = 0;
	int c;

	assert_non_null(f);
	while ((c = fgetc(f)) != EOF)
		n += c == '\n';
	fclose(f);
	return n;
}

#define N_MANY 100000

static void test_many(void **state)
{
	static struct secret *many[N_MANY];
	const unsigned before = n_mappings();
	struct rlimit limit;

	/* They need 7 MiB; a usual limit is 8, and root has none. */
	assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &limit), 0);
	if (geteuid() != 0 && limit.rlim_cur < (8u << 20))
		skip();
	for (uint32_t i = 0; i < N_MANY; i++) {
		many[i] = secret_new(16 + i % 49);
		if (!many[i])
			fail_msg("number %u: %s", i, secret_error());
		memcpy(secret_data_mut(many[i]), &i, sizeof(i));
	}
	assert_in_range(n_mappings(), before, before + 5000); /* a process may have 65530 */
	for (uint32_t i = 0; i < N_MANY; i++) {
		assert_int_equal(secret_size(many[i]), 16 + i % 49);
		assert_memory_equal(secret_data(many[i]), &i, sizeof(i));
		secret_free(many[i]);
	}
	assert_in_range(n_mappings(), 0, before + 50); /* given back */
}

#ifdef LOCKS_MEMORY
static int without_locked_memory(void *arg)
{
	const struct rlimit none = {0, 0};
	struct secret *s;

	/* As another user, since root may lock without limit. */
	if (setrlimit(RLIMIT_MEMLOCK, &none) != 0 || (geteuid() == 0 && setuid(65534) != 0))
		return 1;
	s = secret_new(32);
	if (s)
		return 2;
	if (errno == 0 || !strstr(secret_error(), "RLIMIT_MEMLOCK"))
		return 3;
	return 0;
}

static void test_memory_that_cannot_be_locked(void **state)
{
	assert_int_equal(in_child(without_locked_memory, NULL), 0);
}
#endif

static int harden(void *arg)
{
	struct rlimit core = {1, 1};

	if (!process_harden_memory())
		return 1;
	if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
		return 2;
	if (getrlimit(RLIMIT_CORE, &core) != 0 || core.rlim_cur != 0 || core.rlim_max != 0)
		return 3;
	return 0;
}

static void test_harden(void **state)
{
	assert_int_equal(in_child(harden, NULL), 0);
}

/* Flags of the mapping that holds `p`, from /proc/self/smaps. */
static void vm_flags(const void *p, char *flags, size_t size)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	char line[512];
	bool here = false;

	flags[0] = '\0';
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		unsigned long lo, hi;

		if (sscanf(line, "%lx-%lx ", &lo, &hi) == 2)
			here = (uintptr_t)p >= lo && (uintptr_t)p < hi;
		else if (here && strncmp(line, "VmFlags:", 8) == 0)
			snprintf(flags, size, "%s ", line + 8);
	}
	fclose(f);
}

static void test_mapping(void **state)
{
	for (size_t size = 6; size <= 6000; size *= 10) {
		struct secret *s = secret_new(size);
		char flags[512];

		vm_flags(secret_data(s), flags, sizeof(flags));
		assert_non_null(strstr(flags, " dd")); /* not in core dumps */
		assert_non_null(strstr(flags, " wf")); /* wiped on fork */
#ifdef LOCKS_MEMORY
		assert_non_null(strstr(flags, " lo"));
#endif
		secret_free(s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_equal),
		cmocka_unit_test(test_clone),
		cmocka_unit_test(test_wipe),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_guard_page),
		cmocka_unit_test(test_fork_wipes),
		cmocka_unit_test(test_wiped_when_freed),
		cmocka_unit_test(test_misuse),
		cmocka_unit_test(test_model),
		cmocka_unit_test(test_many),
#ifdef LOCKS_MEMORY
		cmocka_unit_test(test_memory_that_cannot_be_locked),
#endif
		cmocka_unit_test(test_harden),
		cmocka_unit_test(test_mapping),
	};

	if (!secret_init())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
