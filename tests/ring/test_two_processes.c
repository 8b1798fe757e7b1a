/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A million messages from one process to another: a sealed memfd and its doorbell travel by
 * SCM_RIGHTS; the consumer sleeps on the doorbell when the ring is empty and checks the content and
 * the order of everything.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mono.h"
#include "base/ring.h"
#include "base/shm.h"
#include "peer.h"

#define MESSAGES 1000000u
#define BURST    32u /* pushes between two rings of the doorbell, at most */

struct message {
	uint64_t number;
	uint64_t words[15];
};
static_assert(sizeof(struct message) % 64 == 0, "a slot");

static void make(struct message *m, uint64_t number)
{
	uint64_t x = number * 0x9e3779b97f4a7c15 + 1;

	m->number = number;
	for (unsigned i = 0; i < 15; i++)
		m->words[i] = next_random(&x);
}

/* The child: gets both descriptors from the socket and produces. Exit codes tell where it failed. */
static int produce(int sock, uint32_t n_slots, unsigned n_messages)
{
	const size_t size = ring_size(n_slots, sizeof(struct message));
	const uint64_t one = 1;
	struct ring_end e;
	struct shm shm;
	int fds[2];

	if (!fds_recv(sock, fds, 2))
		return 10;
	if (!shm_attach(&shm, fds[0], size, true))
		return 11;
	if (!ring_attach_producer(&e, shm.map, size, n_slots, sizeof(struct message)))
		return 12;
	for (unsigned i = 0; i < n_messages; i++) {
		struct message m;

		make(&m, i);
		while (!ring_push(&e, &m)) {
			if (e.broken)
				return 13;
			if (write(fds[1], &one, sizeof(one)) != sizeof(one))
				return 14;
			sched_yield();
		}
		if (i % BURST == BURST - 1 || i == n_messages - 1)
			if (write(fds[1], &one, sizeof(one)) != sizeof(one))
				return 14;
	}
	shm_close(&shm);
	return 0;
}

static void consume(struct ring_end *e, int doorbell, unsigned n_messages)
{
	uint64_t next = 0, rings;

	while (next < n_messages) {
		struct pollfd wait = {doorbell, POLLIN, 0};
		struct message m, want;

		if (poll(&wait, 1, 20000) != 1)
			fail_msg("no doorbell for 20 s after %llu messages",
				 (unsigned long long)next);
		/* Answer the bell first, then empty the ring: nothing can be missed. */
		assert_int_equal(read(doorbell, &rings, sizeof(rings)), sizeof(rings));
		while (ring_pop(e, &m)) {
			make(&want, next);
			if (memcmp(&m, &want, sizeof(m)) != 0)
				fail_msg("message %llu came as number %llu or damaged",
					 (unsigned long long)next, (unsigned long long)m.number);
			next++;
		}
		assert_false(e->broken);
	}
	assert_int_equal(next, n_messages);
}

static void run(uint32_t n_slots, unsigned n_messages)
{
	const size_t size = ring_size(n_slots, sizeof(struct message));
	struct ring_end e;
	struct shm shm;
	int pair[2], fds[2];
	pid_t pid;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	pid = fork(); /* before the memfd exists: the child can only get it by the socket */
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(produce(pair[1], n_slots, n_messages));
	assert_true(shm_create(&shm, "ring-test", size));
	ring_format(shm.map, n_slots, sizeof(struct message));
	fds[0] = shm.fd;
	fds[1] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_true(fds[1] >= 0);
	assert_true(ring_attach_consumer(&e, shm.map, size, n_slots, sizeof(struct message)));
	assert_true(fds_send(pair[0], fds, 2));
	consume(&e, fds[1], n_messages);
	assert_int_equal(child_wait(pid), 0);
	assert_int_equal(ring_count(&e), 0);
	for (size_t i = sizeof(struct ring_header); i < size; i++)
		if (((const uint8_t *)shm.map)[i])
			fail_msg("byte %zu of the ring was not wiped", i);
	shm_close(&shm);
	close(fds[1]);
	close(pair[0]);
	close(pair[1]);
}

static void test_a_million(void **state)
{
	run(1024, MESSAGES);
}

/* The smallest ring: full and empty all the time. */
static void test_two_slots(void **state)
{
	run(2, 50000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_million),
		cmocka_unit_test(test_two_slots),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
