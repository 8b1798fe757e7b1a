/* SPDX-License-Identifier: Apache-2.0 */
/* ipc: framing, hostile lengths, descriptors, and the queue for slow readers. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "ipc/ipc.h"
#include "ipc/outq.h"

static int socks[2];
static struct ipc_msg msg;

static int setup(void **state)
{
	return ipc_pair(socks) ? 0 : -1;
}

static int teardown(void **state)
{
	close(socks[0]);
	if (socks[1] >= 0)
		close(socks[1]);
	return 0;
}

/* How many descriptors this process has. */
static int count_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void round_trip(void **state)
{
	static const size_t sizes[] = {0, 1, 23, 24, 4096, IPC_BODY_MAX};
	static uint8_t body[IPC_BODY_MAX];

	for (size_t i = 0; i < sizeof(body); i++)
		body[i] = (uint8_t)(i * 7);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		assert_true(
			ipc_send(socks[0], IPC_EVENT, IPC_MORE, 77 + i, body, sizes[i], NULL, 0));
		assert_int_equal(ipc_recv(socks[1], &msg), 1);
		assert_int_equal(msg.h.type, IPC_EVENT);
		assert_int_equal(msg.h.flags, IPC_MORE);
		assert_int_equal(msg.h.id, 77 + i);
		assert_int_equal(msg.h.size, sizes[i]);
		assert_memory_equal(msg.body, body, sizes[i]);
		assert_int_equal(msg.n_fds, 0);
	}
	assert_int_equal(ipc_recv(socks[1], &msg), 0);
	assert_int_equal(errno, EAGAIN);
}

static void end_of_stream(void **state)
{
	assert_true(ipc_send(socks[0], IPC_START, 0, 0, NULL, 0, NULL, 0));
	close(socks[0]);
	socks[0] = dup(socks[1]);
	assert_int_equal(ipc_recv(socks[1], &msg), 1);
	assert_int_equal(ipc_recv(socks[1], &msg), 0);
	assert_int_equal(errno, 0);
	assert_false(ipc_send(socks[1], IPC_START, 0, 0, NULL, 0, NULL, 0));
	assert_int_equal(errno, EPIPE);
}

static void refuses_to_send_too_much(void **state)
{
	static uint8_t body[IPC_BODY_MAX + 1];
	const int fds[IPC_MAX_FDS + 1] = {0, 0, 0, 0, 0};

	assert_false(ipc_send(socks[0], IPC_EVENT, 0, 0, body, sizeof(body), NULL, 0));
	assert_int_equal(errno, EMSGSIZE);
	assert_false(ipc_send2(socks[0], IPC_EVENT, 0, 0, body, 2, body, IPC_BODY_MAX - 1));
	assert_int_equal(errno, EMSGSIZE);
	assert_false(ipc_send(socks[0], IPC_EVENT, 0, 0, NULL, 0, fds, IPC_MAX_FDS + 1));
	assert_int_equal(errno, EMSGSIZE);
	assert_int_equal(ipc_recv(socks[1], &msg), 0);
}

/* Raw packets: each is dropped as a whole, and the next good one arrives. */
/* Requirements: CVE-2018-5388 */
static void malformed(void **state)
{
	static const struct {
		const char *what;
		struct ipc_header h;
		size_t size; /* bytes sent, header included */
	} cases[] = {
		{"short header", {IPC_MAGIC, IPC_EVENT, 0, 0, 0, 0}, 23},
		{"one byte", {IPC_MAGIC, IPC_EVENT, 0, 0, 0, 0}, 1},
		{"magic", {IPC_MAGIC + 1, IPC_EVENT, 0, 0, 0, 0}, 24},
		{"type 0", {IPC_MAGIC, IPC_NONE, 0, 0, 0, 0}, 24},
		{"type beyond", {IPC_MAGIC, IPC_TYPE_END, 0, 0, 0, 0}, 24},
		{"type far beyond", {IPC_MAGIC, UINT16_MAX, 0, 0, 0, 0}, 24},
		{"unknown flag", {IPC_MAGIC, IPC_EVENT, 2, 0, 0, 0}, 24},
		{"zero field", {IPC_MAGIC, IPC_EVENT, 0, 0, 1, 0}, 24},
		{"body shorter than said", {IPC_MAGIC, IPC_EVENT, 0, 8, 0, 0}, 31},
		{"body longer than said", {IPC_MAGIC, IPC_EVENT, 0, 8, 0, 0}, 33},
		{"body missing", {IPC_MAGIC, IPC_EVENT, 0, UINT32_MAX, 0, 0}, 24},
		{"body too large",
		 {IPC_MAGIC, IPC_EVENT, 0, IPC_BODY_MAX + 1, 0, 0},
		 24 + IPC_BODY_MAX + 1},
		{"far too large",
		 {IPC_MAGIC, IPC_EVENT, 0, IPC_BODY_MAX, 0, 0},
		 24 + IPC_BODY_MAX + 4096},
	};
	static uint8_t packet[24 + IPC_BODY_MAX + 4096];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memcpy(packet, &cases[i].h, sizeof(cases[i].h));
		assert_int_equal(send(socks[0], packet, cases[i].size, 0), cases[i].size);
		if (ipc_recv(socks[1], &msg) != -1 || errno != EBADMSG)
			fail_msg("accepted: %s", cases[i].what);
		assert_int_equal(msg.n_fds, 0);
		assert_true(ipc_send(socks[0], IPC_READY, 0, i, NULL, 0, NULL, 0));
		assert_int_equal(ipc_recv(socks[1], &msg), 1);
		assert_int_equal(msg.h.id, i);
	}
}

static void passes_descriptors(void **state)
{
	int p[2], got;
	char c = 0;
	const int before = count_fds();

	assert_int_equal(pipe(p), 0);
	assert_true(ipc_send(socks[0], IPC_RING, 0, 0, "x", 1, p, 2));
	close(p[0]);
	close(p[1]);
	assert_int_equal(ipc_recv(socks[1], &msg), 1);
	assert_int_equal(msg.n_fds, 2);
	assert_true(fcntl(msg.fds[0], F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(msg.fds[1], F_GETFD) & FD_CLOEXEC);
	got = ipc_msg_take_fd(&msg, 1);
	assert_true(got >= 0);
	assert_int_equal(ipc_msg_take_fd(&msg, 2), -1);
	assert_int_equal(write(got, "y", 1), 1);
	assert_int_equal(read(msg.fds[0], &c, 1), 1);
	assert_int_equal(c, 'y');
	/* What was taken stays open, what was not is closed. */
	ipc_msg_close(&msg);
	assert_true(fcntl(got, F_GETFD) >= 0);
	close(got);
	assert_int_equal(count_fds(), before);
}

/* Descriptors that come with a malformed message, or too many of them, do not pile up. */
static void closes_surplus_descriptors(void **state)
{
	static const struct ipc_header good = {IPC_MAGIC, IPC_EVENT, 0, 0, 0, 0};
	static const struct ipc_header bad = {IPC_MAGIC, IPC_NONE, 0, 0, 0, 0};
	static const struct {
		const struct ipc_header *h;
		size_t n_fds;
		int result;
	} cases[] = {
		{&bad, 1, -1},   {&bad, 4, -1},    {&good, 5, -1},
		{&good, 64, -1}, {&good, 253, -1}, {&good, 4, 1},
	};
	const int before = count_fds();

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		union {
			struct cmsghdr align;
			char buf[CMSG_SPACE(253 * sizeof(int))];
		} control;
		struct iovec iov = {(void *)cases[i].h, sizeof(*cases[i].h)};
		struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.buf};
		struct cmsghdr *c;
		int fds[253];

		for (size_t k = 0; k < cases[i].n_fds; k++)
			fds[k] = socks[0];
		mh.msg_controllen = CMSG_SPACE(cases[i].n_fds * sizeof(int));
		c = CMSG_FIRSTHDR(&mh);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(cases[i].n_fds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, cases[i].n_fds * sizeof(int));
		assert_int_equal(sendmsg(socks[0], &mh, 0), sizeof(*cases[i].h));
		assert_int_equal(ipc_recv(socks[1], &msg), cases[i].result);
		ipc_msg_close(&msg);
		assert_int_equal(count_fds(), before);
	}
}

static void names(void **state)
{
	char full[DP_NAME_SIZE];

	memset(full, 'x', sizeof(full));
	assert_false(ipc_name_ok(full));
	full[DP_NAME_SIZE - 1] = '\0';
	assert_true(ipc_name_ok(full));
	full[0] = '\0';
	assert_false(ipc_name_ok(full));
}

/* ------------------------------------------------------------------- outq */

static void queue_keeps_order(void **state)
{
	static uint8_t body[10000];
	struct ipc_outq q;
	uint64_t sent = 0, received = 0;

	ipc_outq_init(&q, 1u << 20);
	assert_false(ipc_outq_send(&q, IPC_EVENT, 0, 0, NULL, 0, NULL, 0));
	ipc_outq_attach(&q, socks[0]);
	/* More than the socket takes, less than the queue does. */
	while (!ipc_outq_waiting(&q) || sent % 50 != 0) {
		memcpy(body, &sent, sizeof(sent));
		assert_true(ipc_outq_send(&q, IPC_EVENT, 0, sent, body, 16, body, 9000));
		sent++;
	}
	while (received < sent) {
		const int r = ipc_recv(socks[1], &msg);

		if (r == 0) {
			assert_true(ipc_outq_waiting(&q));
			assert_true(ipc_outq_flush(&q));
			continue;
		}
		assert_int_equal(r, 1);
		assert_int_equal(msg.h.id, received);
		assert_int_equal(msg.h.size, 9016);
		assert_memory_equal(msg.body, &received, sizeof(received));
		received++;
	}
	assert_false(ipc_outq_waiting(&q));
	assert_int_equal(q.n_bytes, 0);
	ipc_outq_fini(&q);
}

static void queue_is_bounded(void **state)
{
	static uint8_t body[1000];
	struct ipc_outq q;
	int n = 0;

	ipc_outq_init(&q, 100000);
	ipc_outq_attach(&q, socks[0]);
	while (ipc_outq_send(&q, IPC_EVENT, 0, 0, body, sizeof(body), NULL, 0))
		assert_true(++n < 10000);
	assert_true(q.n_bytes <= 100000);
	assert_int_equal(q.n_refused, 1);
	/* Nobody reads any more: everything is let go. */
	close(socks[1]);
	socks[1] = -1;
	assert_false(ipc_outq_flush(&q));
	ipc_outq_attach(&q, -1);
	assert_int_equal(q.n_bytes, 0);
	ipc_outq_fini(&q);
}

static void long_replies_come_in_parts(void **state)
{
	static const size_t sizes[] = {0, 5, IPC_BODY_MAX - 8, IPC_BODY_MAX - 7, 300000};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		char *text = malloc(sizes[i] + 1), *got = malloc(sizes[i] + 1);
		struct ipc_outq q;
		size_t n = 0;
		bool more = true;

		for (size_t k = 0; k < sizes[i]; k++)
			text[k] = (char)('a' + k % 26);
		ipc_outq_init(&q, 1u << 20);
		ipc_outq_attach(&q, socks[0]);
		assert_true(ipc_outq_reply(&q, 9, true, text, sizes[i]));
		while (more) {
			struct ipc_reply head;
			const int r = ipc_recv(socks[1], &msg);

			if (r == 0) {
				assert_true(ipc_outq_flush(&q));
				continue;
			}
			assert_int_equal(msg.h.id, 9);
			memcpy(&head, msg.body, sizeof(head));
			assert_int_equal(head.ok, 1);
			assert_true(n + msg.h.size - sizeof(head) <= sizes[i]);
			memcpy(got + n, msg.body + sizeof(head), msg.h.size - sizeof(head));
			n += msg.h.size - sizeof(head);
			more = msg.h.flags & IPC_MORE;
		}
		assert_int_equal(n, sizes[i]);
		assert_memory_equal(got, text, n);
		ipc_outq_fini(&q);
		free(text);
		free(got);
	}
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(round_trip),
		CASE(end_of_stream),
		CASE(refuses_to_send_too_much),
		CASE(malformed),
		CASE(passes_descriptors),
		CASE(closes_surplus_descriptors),
		CASE(names),
		CASE(queue_keeps_order),
		CASE(queue_is_bounded),
		CASE(long_replies_come_in_parts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
