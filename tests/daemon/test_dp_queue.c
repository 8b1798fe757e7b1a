/* SPDX-License-Identifier: Apache-2.0 */
/* dp_queue and ring_port: the ike process's requests to a dataplane that is slow, gone or hostile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <cmocka.h>
#include "daemon/dp_queue.h"

static struct dp_queue queue;
static struct ring_port producer = {.shm = {.fd = -1}, .doorbell = -1};
static struct ring_port consumer = {.shm = {.fd = -1}, .doorbell = -1};

#define SLOTS 8u

static bool take(struct ring_port *p, int memory, int bell, uint32_t n_slots, uint32_t slot_size,
		 bool is_producer)
{
	static struct ipc_msg msg;
	const struct ipc_ring body = {
		.kind = IPC_RING_SA, .n_slots = n_slots, .slot_size = slot_size};

	msg.h = (struct ipc_header){.type = IPC_RING, .size = sizeof(body)};
	memcpy(msg.body, &body, sizeof(body));
	msg.fds[0] = dup(memory);
	msg.fds[1] = dup(bell);
	msg.n_fds = 2;
	assert_int_equal(ring_port_kind(&msg), IPC_RING_SA);
	const bool ok = ring_port_take(p, &msg, DP_MSG_SIZE, is_producer);

	ipc_msg_close(&msg);
	return ok;
}

static int setup(void **state)
{
	struct shm shm;
	int bell = eventfd(0, EFD_NONBLOCK);

	assert_true(secret_init());
	assert_true(dp_queue_init(&queue));
	assert_true(shm_create(&shm, "test", ring_size(SLOTS, DP_MSG_SIZE)));
	ring_format(shm.map, SLOTS, DP_MSG_SIZE);
	assert_true(take(&producer, shm.fd, bell, SLOTS, DP_MSG_SIZE, true));
	assert_true(take(&consumer, shm.fd, bell, SLOTS, DP_MSG_SIZE, false));
	shm_close(&shm);
	close(bell);
	return 0;
}

static int teardown(void **state)
{
	dp_queue_fini(&queue);
	ring_port_close(&producer);
	ring_port_close(&consumer);
	return 0;
}

static bool send_one(uint32_t slot, uint64_t request)
{
	struct dp_msg m = {.type = DP_SA_DEL_IN, .ref.slot = slot};

	return dp_queue_send(&queue, &producer, &m, request);
}

/* Everything arrives once, in order, with rising numbers; answers find their requests. */
static void order_and_answers(void **state)
{
	uint32_t next = 0, last_seq = 0;
	struct dp_msg m;
	uint64_t request;

	for (uint32_t i = 0; i < 100; i++)
		assert_true(send_one(i, 1000 + i));
	while (next < 100) {
		if (!ring_port_pop(&consumer, &m)) {
			dp_queue_flush(&queue, &producer);
			continue;
		}
		assert_int_equal(m.ref.slot, next);
		assert_true(m.seq > last_seq);
		last_seq = m.seq;
		assert_true(dp_queue_answer(&queue, m.seq, &request));
		assert_int_equal(request, 1000 + next);
		/* Twice is once too often. */
		assert_false(dp_queue_answer(&queue, m.seq, &request));
		next++;
	}
	assert_false(dp_queue_answer(&queue, 0, &request));
	assert_false(dp_queue_answer(&queue, last_seq + 1, &request));
	assert_false(dp_queue_answer(&queue, UINT32_MAX, &request));
}

static void unwanted_answer(void **state)
{
	struct dp_msg m;
	uint64_t request;

	assert_true(send_one(1, 0));
	assert_true(ring_port_pop(&consumer, &m));
	assert_false(dp_queue_answer(&queue, m.seq, &request));
}

/* A dataplane that takes nothing: bounded, refused, and usable again after it was replaced. */
static void full(void **state)
{
	uint32_t n = 0;
	struct dp_msg m;

	while (send_one(n, 1 + n))
		n++;
	assert_int_equal(n, SLOTS + DP_QUEUE_MESSAGES);
	/* Room for one: exactly one more goes in. */
	assert_true(ring_port_pop(&consumer, &m));
	assert_true(send_one(n, 1));
	assert_false(send_one(n, 1));
	dp_queue_reset(&queue);
	assert_int_equal(queue.n, 0);
	while (ring_port_pop(&consumer, &m))
		;
	assert_true(send_one(7, 1));
	assert_true(ring_port_pop(&consumer, &m));
	assert_int_equal(m.ref.slot, 7);
}

/* Keys do not stay behind in the queue's memory. */
static void wiped(void **state)
{
	struct dp_msg m = {.type = DP_SA_ADD_IN};
	struct dp_msg got;

	memset(m.sa.encr_key, 0x77, sizeof(m.sa.encr_key));
	for (int i = 0; i < 20; i++)
		assert_true(dp_queue_send(&queue, &producer, &m, 1));
	for (int i = 0; i < 20; i++) {
		while (!ring_port_pop(&consumer, &got))
			dp_queue_flush(&queue, &producer);
	}
	for (size_t i = 0; i < DP_QUEUE_MESSAGES; i++) {
		for (size_t k = 0; k < sizeof(m); k++)
			assert_int_equal(queue.messages[i].bytes[k % sizeof(m.bytes)], 0);
		if (i > 32)
			break;
	}
}

/* One who never answers: the places run out, nothing is overwritten. */
static void never_answered(void **state)
{
	uint32_t n = 0, first_seq = 0;
	struct dp_msg m;
	uint64_t request;

	while (send_one(n, 5000 + n)) {
		assert_true(ring_port_pop(&consumer, &m));
		if (n++ == 0)
			first_seq = m.seq;
	}
	assert_int_equal(n, DP_QUEUE_AWAITED);
	assert_true(dp_queue_answer(&queue, first_seq, &request));
	assert_int_equal(request, 5000);
	assert_true(send_one(n, 1));
	assert_false(send_one(n, 1));
}

static void doorbell(void **state)
{
	uint64_t n = 0;

	ring_port_notify(&producer);
	assert_int_equal(read(consumer.doorbell, &n, sizeof(n)), -1);
	assert_true(send_one(1, 1));
	assert_true(send_one(2, 2));
	ring_port_notify(&producer);
	ring_port_notify(&producer);
	assert_int_equal(read(consumer.doorbell, &n, sizeof(n)), sizeof(n));
	assert_int_equal(n, 1);
}

static void wrong_shapes(void **state)
{
	static const struct {
		uint32_t n_slots, slot_size;
	} cases[] = {
		{0, DP_MSG_SIZE},          {1, DP_MSG_SIZE},         {SLOTS * 2, DP_MSG_SIZE},
		{SLOTS / 2, DP_MSG_SIZE},  {SLOTS, DP_MSG_SIZE / 2}, {SLOTS, 0},
		{UINT32_MAX, DP_MSG_SIZE}, {1u << 31, DP_MSG_SIZE},  {SLOTS + 1, DP_MSG_SIZE},
	};
	struct ring_port p = RING_PORT_NONE;
	struct shm shm;
	int bell = eventfd(0, EFD_NONBLOCK);

	assert_true(shm_create(&shm, "test", ring_size(SLOTS, DP_MSG_SIZE)));
	ring_format(shm.map, SLOTS, DP_MSG_SIZE);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (take(&p, shm.fd, bell, cases[i].n_slots, cases[i].slot_size, false))
			fail_msg("case %zu", i);
		assert_int_equal(p.doorbell, -1);
	}
	assert_true(take(&p, shm.fd, bell, SLOTS, DP_MSG_SIZE, false));
	ring_port_close(&p);
	shm_close(&shm);
	close(bell);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(order_and_answers), CASE(unwanted_answer), CASE(full),         CASE(wiped),
		CASE(never_answered),    CASE(doorbell),        CASE(wrong_shapes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
