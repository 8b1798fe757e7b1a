/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of base/secret.h: guarded memory, constant-time comparison, wiping, and what a child sees. */
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
	static const size_t sizes[] = {0, 1, 15, 16, 17, 32, 36, 64, 4095, 4096, 4097, 65536};

	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct secret *s = secret_new(sizes[i]);

		assert_non_null(s);
		assert_int_equal(secret_size(s), sizes[i]);
		for (size_t k = 0; k < sizes[i]; k++)
			assert_int_equal(secret_data(s)[k], 0);
		memset(secret_data_mut(s), 0xa5, sizes[i]);
		assert_int_equal(secret_size(s), sizes[i]); /* the header was not hit */
		secret_free(s);
	}
	assert_null(secret_new((1u << 20) + 1));
	assert_non_null(strstr(secret_error(), "1 MiB"));
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
	struct secret *s;

	s = secret_from("guarded", 7);
	assert_int_equal(in_child(read_byte, secret_data_mut(s) + 6), 0); /* wiped, but there */
	assert_int_equal(in_child(read_byte, secret_data_mut(s) + 7), 128 + SIGSEGV);
	secret_free(s);
}

static int look_in_child(void *arg)
{
	static const uint8_t zero[7];
	struct secret *s = arg;

	/* The bytes where the secret was are wiped; reading is allowed, freeing harmless. */
	if (secret_size(s) != 0)
		return 1;
	if (memcmp((const uint8_t *)s + 16 + 9, zero, 7) != 0)
		return 2;
	secret_free(s);
	return 0;
}

static void test_fork_wipes(void **state)
{
	struct secret *s = secret_from("canary!", 7);

	assert_memory_equal((const uint8_t *)s + 16 + 9, "canary!", 7); /* where the child looks */
	assert_int_equal(in_child(look_in_child, s), 0);
	assert_memory_equal(secret_data(s), "canary!", 7);
	secret_free(s);
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
	struct secret *s = secret_from("mapped", 6);
	char flags[512];

	vm_flags(s, flags, sizeof(flags));
	assert_non_null(strstr(flags, " dd")); /* not in core dumps */
	assert_non_null(strstr(flags, " wf")); /* wiped on fork */
#ifdef LOCKS_MEMORY
	assert_non_null(strstr(flags, " lo"));
#endif
	secret_free(s);
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
