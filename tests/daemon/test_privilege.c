/* SPDX-License-Identifier: Apache-2.0 */
/*
 * privilege: what a locked-down process cannot do any more, tried for real. Each case runs in a
 * child of its own that is locked down as the ike process is. Needs root; skipped without.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/log.h"
#include "base/secret.h"
#include "base/shm.h"
#include "daemon/loop.h"
#include "daemon/privilege.h"
#include "ike/keys.h"
#include "ipc/ipc.h"

#define NOBODY 65534

static char empty[] = "/tmp/twinbore-privilege-XXXXXX";

/* ------------------------------------------------- run inside the lock-down */

static bool try_open(void)
{
	return open("/", O_RDONLY) >= 0;
}

static bool try_create(void)
{
	return open("/file", O_CREAT | O_RDWR, 0600) >= 0;
}

static bool try_openat2(void)
{
	struct {
		uint64_t flags, mode, resolve;
	} how = {O_RDONLY, 0, 0};

	return syscall(437, AT_FDCWD, "/", &how, sizeof(how)) >= 0;
}

/* keyd, which reads certificates, is locked down like the rest. Requirements: CVE-2022-40617 */
static bool try_socket(void)
{
	return socket(AF_INET, SOCK_DGRAM, 0) >= 0;
}

static bool try_socket_unix(void)
{
	return socket(AF_UNIX, SOCK_STREAM, 0) >= 0;
}

static int sock_before = -1;

static bool try_connect(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "/x"};

	return connect(sock_before, (struct sockaddr *)&a, sizeof(a)) == 0 || errno != EPERM;
}

static bool try_bind(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	return bind(sock_before, (struct sockaddr *)&a, sizeof(a.sun_family)) == 0;
}

static bool try_memfd(void)
{
	return memfd_create("x", 0) >= 0;
}

static bool try_mmap_exec(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
	       MAP_FAILED;
}

static bool try_mprotect_exec(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		_exit(99);
	return mprotect(p, 4096, PROT_READ | PROT_EXEC) == 0;
}

static bool try_kill(void)
{
	return kill(getppid(), 0) == 0;
}

static bool try_setuid(void)
{
	return setuid(0) == 0;
}

static bool try_raise_limit(void)
{
	const struct rlimit r = {4096, 4096};

	return setrlimit(RLIMIT_CORE, &r) == 0;
}

static bool try_dumpable(void)
{
	return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0;
}

static bool try_exec(void)
{
	char *const argv[] = {(char *)"x", NULL};

	execve("/x", argv, NULL);
	return true;
}

static bool try_fork(void)
{
	return syscall(SYS_fork) >= 0 || true;
}

static bool try_clone(void)
{
	return syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) >= 0 || true;
}

static bool try_ptrace(void)
{
	ptrace(PTRACE_TRACEME, 0, 0, 0);
	return true;
}

static bool try_mount(void)
{
	mount("x", "/", "tmpfs", 0, NULL);
	return true;
}

static bool try_unshare(void)
{
	syscall(SYS_unshare, CLONE_NEWUSER);
	return true;
}

static bool try_bpf(void)
{
	syscall(SYS_bpf, 0, 0, 0);
	return true;
}

/* ----------------------------------------------------- what must still work */

static int pair[2], passed_event = -1, passed_memory = -1;

static bool work_ipc(void)
{
	static struct ipc_msg msg;

	return ipc_send(pair[0], IPC_EVENT, 0, 1, "x", 1, NULL, 0) && ipc_recv(pair[1], &msg) == 1;
}

static bool work_ring_memory(void)
{
	struct shm shm;

	return shm_attach(&shm, passed_memory, 4096, true);
}

static bool work_secrets_and_crypto(void)
{
	struct secret *s = secret_new(64);
	struct ike_crypto crypto;
	uint8_t out[64], public[IKE_DH_MAX];
	struct ike_dh_key *key;

	if (!s)
		return false;
	ike_crypto_openssl(&crypto, NULL, NULL);
	if (!ike_auth_psk(&crypto, IKE_PRF_HMAC_SHA2_512, secret_data(s), 64, out, 64, out))
		return false;
	key = crypto.dh_new(crypto.ctx, IKE_DH_ECP_384, public);
	if (!key)
		return false;
	crypto.dh_free(crypto.ctx, key);
	secret_free(s);
	return true;
}

static bool work_random(void)
{
	uint8_t b[32];

	random_bytes_fill(b, sizeof(b));
	return getrandom(b, sizeof(b), 0) == (ssize_t)sizeof(b);
}

static void on_event(void *ctx, int fd, uint32_t events)
{
	uint64_t n;

	*(bool *)ctx = read(fd, &n, sizeof(n)) == sizeof(n);
}

static struct loop the_loop;

static bool work_loop(void)
{
	const uint64_t one = 1;
	bool seen = false;

	return write(passed_event, &one, sizeof(one)) == sizeof(one) &&
	       loop_add(&the_loop, passed_event, EPOLLIN, on_event, &seen) &&
	       loop_turn(&the_loop, mono_add(mono_now(), span_s(1))) && seen;
}

static bool work_log(void)
{
	log_warn("a line from inside");
	return true;
}

static bool work_memory(void)
{
	char *p = malloc(64 << 20);

	if (!p)
		return false;
	memset(p, 1, 64 << 20);
	p = realloc(p, 96 << 20);
	free(p);
	return p != NULL;
}

/* ----------------------------------------------------------------- the frame */

enum outcome {
	DENIED, /* the call failed */
	KILLED, /* SIGSYS */
	WORKS,
};

static void run(bool (*fn)(void), enum outcome expected)
{
	struct shm memory;
	char why[256];
	int status;
	pid_t pid;

	if (geteuid() != 0)
		skip();
	assert_true(ipc_pair(pair));
	assert_true(shm_create(&memory, "test", 4096));
	passed_memory = memory.fd;
	passed_event = eventfd(0, EFD_NONBLOCK);
	sock_before = socket(AF_UNIX, SOCK_STREAM, 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (!loop_init(&the_loop) || !secret_init() ||
		    !privilege_drop(NOBODY, NOBODY, empty, why, sizeof(why)) ||
		    !privilege_filter(why, sizeof(why)))
			_exit(98);
		_exit(fn() ? 1 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(pair[0]);
	close(pair[1]);
	close(passed_event);
	close(sock_before);
	shm_close(&memory);
	if (expected == KILLED) {
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), SIGSYS);
		return;
	}
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), expected == WORKS ? 1 : 0);
}

#define CASE(fn, outcome)                                                                          \
	static void t_##fn(void **state)                                                           \
	{                                                                                          \
		run(fn, outcome);                                                                  \
	}
#define CASES(X)                                                                                   \
	X(try_open, DENIED)                                                                        \
	X(try_create, DENIED)                                                                      \
	X(try_openat2, DENIED)                                                                     \
	X(try_socket, DENIED)                                                                      \
	X(try_socket_unix, DENIED)                                                                 \
	X(try_connect, DENIED)                                                                     \
	X(try_bind, DENIED)                                                                        \
	X(try_memfd, DENIED)                                                                       \
	X(try_mmap_exec, DENIED)                                                                   \
	X(try_mprotect_exec, DENIED)                                                               \
	X(try_kill, DENIED)                                                                        \
	X(try_setuid, DENIED)                                                                      \
	X(try_raise_limit, DENIED)                                                                 \
	X(try_dumpable, DENIED)                                                                    \
	X(try_exec, KILLED)                                                                        \
	X(try_fork, KILLED)                                                                        \
	X(try_clone, KILLED)                                                                       \
	X(try_ptrace, KILLED)                                                                      \
	X(try_mount, KILLED)                                                                       \
	X(try_unshare, KILLED)                                                                     \
	X(try_bpf, KILLED)                                                                         \
	X(work_ipc, WORKS)                                                                         \
	X(work_ring_memory, WORKS)                                                                 \
	X(work_secrets_and_crypto, WORKS)                                                          \
	X(work_random, WORKS)                                                                      \
	X(work_loop, WORKS)                                                                        \
	X(work_log, WORKS)                                                                         \
	X(work_memory, WORKS)
CASES(CASE)

/* ------------------------------------------------------ before the filter */

static bool status_line(const char *name, char *out, size_t size)
{
	FILE *f = fopen("/proc/self/status", "re");
	bool found = false;

	while (f && !found && fgets(out, (int)size, f))
		found = strncmp(out, name, strlen(name)) == 0;
	if (f)
		fclose(f);
	return found;
}

/* What privilege_drop() alone leaves: no capability, no way back, another user. */
static void drop_leaves_nothing(void **state)
{
	int status;
	pid_t pid;

	if (geteuid() != 0)
		skip();
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		static const char *const zero[] = {"CapInh", "CapPrm", "CapEff", "CapAmb"};
		char line[256], why[256];

		/* The whole tree as the root here, so that /proc can be read. */
		if (!privilege_drop(NOBODY, NOBODY, "/", why, sizeof(why)))
			_exit(1);
		/* Not dumpable: /proc/self belongs to root. Look with that switched on again. */
		if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
			_exit(2);
		(void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
		for (size_t i = 0; i < 4; i++) {
			if (!status_line(zero[i], line, sizeof(line)) ||
			    strspn(strchr(line, ':') + 1, "\t 0\n") !=
				    strlen(strchr(line, ':') + 1))
				_exit(3);
		}
		if (!status_line("NoNewPrivs", line, sizeof(line)) || !strchr(line, '1'))
			_exit(4);
		if (!status_line("Groups", line, sizeof(line)) || strpbrk(line, "0123456789"))
			_exit(5);
		if (setuid(0) == 0 || setgid(0) == 0 || geteuid() != NOBODY)
			_exit(6);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* Refuses to "drop" to root, and says which step failed. */
static void drop_refuses(void **state)
{
	char why[256] = "";

	assert_false(privilege_drop(0, NOBODY, empty, why, sizeof(why)));
	assert_non_null(strstr(why, "root"));
	assert_false(privilege_drop(NOBODY, 0, empty, why, sizeof(why)));
}

static int setup(void **state)
{
	return mkdtemp(empty) && chmod(empty, 0555) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
	return rmdir(empty);
}

int main(void)
{
#define UNIT(fn, outcome) cmocka_unit_test(t_##fn),
	const struct CMUnitTest tests[] = {
		CASES(UNIT) cmocka_unit_test(drop_leaves_nothing),
		cmocka_unit_test(drop_refuses),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
