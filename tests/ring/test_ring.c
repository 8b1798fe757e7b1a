/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of base/ring.h with both ends in one process: order, limits, wiping and broken rules. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/ring.h"

#define N(a)      (sizeof(a) / sizeof((a)[0]))
#define SLOTS     8u
#define SLOT_SIZE 64u

/* A formatted ring whose indexes start at `start`, in heap memory, so that ASan sees its ends. */
static void *make(uint32_t n_slots, uint32_t slot_size, uint32_t start)
{
	const size_t size = ring_size(n_slots, slot_size);
	struct ring_header *h = aligned_alloc(64, size);

	assert_non_null(h);
	memset(h, 0, size);
	ring_format(h, n_slots, slot_size);
	h->head = h->tail = start;
	return h;
}

static void attach(void *mem, struct ring_end *p, struct ring_end *c)
{
	const size_t size = ring_size(SLOTS, SLOT_SIZE);

	assert_true(ring_attach_producer(p, mem, size, SLOTS, SLOT_SIZE));
	assert_true(ring_attach_consumer(c, mem, size, SLOTS, SLOT_SIZE));
}

static void fill(uint8_t msg[SLOT_SIZE], uint32_t number)
{
	for (unsigned i = 0; i < SLOT_SIZE; i++)
		msg[i] = (uint8_t)(number * 31 + i + 1);
}

/* FIFO at every fill level, from several starting points, the wrap at 2^32 among them. */
static void test_order(void **state)
{
	static const uint32_t starts[] = {0, 5, UINT32_MAX - 20, UINT32_MAX};

	for (unsigned s = 0; s < N(starts); s++) {
		struct ring_header *h = make(SLOTS, SLOT_SIZE, starts[s]);
		uint8_t msg[SLOT_SIZE], want[SLOT_SIZE];
		uint32_t pushed = 0, popped = 0;
		struct ring_end p, c;

		attach(h, &p, &c);
		for (unsigned level = 1; level <= SLOTS; level++) {
			for (unsigned i = 0; i < level; i++) {
				fill(msg, pushed++);
				assert_true(ring_push(&p, msg));
				assert_int_equal(ring_count(&p), i + 1);
				assert_int_equal(ring_count(&c), i + 1);
			}
			for (unsigned i = 0; i < level; i++) {
				fill(want, popped++);
				assert_true(ring_pop(&c, msg));
				assert_memory_equal(msg, want, SLOT_SIZE);
			}
			assert_false(ring_pop(&c, msg));
			assert_int_equal(ring_count(&p), 0);
		}
		assert_false(p.broken || c.broken);
		free(h);
	}
}

static void test_full_then_room(void **state)
{
	struct ring_header *h = make(SLOTS, SLOT_SIZE, UINT32_MAX - 3);
	uint8_t msg[SLOT_SIZE] = {1};
	struct ring_end p, c;

	attach(h, &p, &c);
	for (unsigned i = 0; i < SLOTS; i++)
		assert_true(ring_push(&p, msg));
	assert_false(ring_push(&p, msg));
	assert_false(p.broken); /* full is no offence */
	assert_true(ring_pop(&c, msg));
	assert_true(ring_push(&p, msg));
	assert_false(ring_push(&p, msg));
	free(h);
}

static void test_slot_is_wiped(void **state)
{
	static const uint8_t zero[SLOT_SIZE];
	struct ring_header *h = make(SLOTS, SLOT_SIZE, 0);
	uint8_t msg[SLOT_SIZE], *slots = (uint8_t *)(h + 1);
	struct ring_end p, c;

	attach(h, &p, &c);
	for (unsigned i = 0; i < 3; i++) {
		fill(msg, i);
		assert_true(ring_push(&p, msg));
	}
	assert_true(ring_pop(&c, msg));
	assert_memory_equal(slots, zero, SLOT_SIZE);
	fill(msg, 1);
	assert_memory_equal(slots + SLOT_SIZE, msg, SLOT_SIZE); /* and only that one */
	free(h);
}

static void test_shapes(void **state)
{
	static const struct {
		uint32_t n_slots, slot_size;
		bool ok;
	} rows[] = {
		{2, 64, true},           {65536, 64, true}, {1024, 1024, true}, {4, 65536, true},
		{0, 64, false},          {1, 64, false},    {3, 64, false},     {131072, 64, false},
		{8, 0, false},           {8, 63, false},    {8, 65, false},     {8, 131072, false},
		{0x80000000, 64, false},
	};

	for (unsigned i = 0; i < N(rows); i++) {
		/* The header says the shape in question; the memory need not be there to refuse. */
		const size_t size = ring_size(rows[i].n_slots, rows[i].slot_size);
		struct ring_header *h = aligned_alloc(64, rows[i].ok ? size : sizeof(*h));
		struct ring_end e;

		memset(h, 0, rows[i].ok ? size : sizeof(*h));
		ring_format(h, rows[i].n_slots, rows[i].slot_size);
		if (ring_attach_producer(&e, h, size, rows[i].n_slots, rows[i].slot_size) !=
			    rows[i].ok ||
		    ring_attach_consumer(&e, h, size, rows[i].n_slots, rows[i].slot_size) !=
			    rows[i].ok)
			fail_msg("%u slots of %u bytes", rows[i].n_slots, rows[i].slot_size);
		free(h);
	}
}

static void test_attach_refuses(void **state)
{
	enum {
		MAGIC,
		VERSION,
		SLOTS_FIELD,
		SIZE_FIELD,
		HEAD_AHEAD,
		HEAD_BEHIND,
		MAP_SIZE,
		UNALIGNED
	};
	static const struct {
		const char *name;
		int what;
	} rows[] = {
		{"another magic", MAGIC},
		{"another version", VERSION},
		{"more slots in the header", SLOTS_FIELD},
		{"another slot size in the header", SIZE_FIELD},
		{"head too far ahead", HEAD_AHEAD},
		{"head behind tail", HEAD_BEHIND},
		{"a map of another size", MAP_SIZE},
		{"unaligned memory", UNALIGNED},
	};

	for (unsigned i = 0; i < N(rows); i++) {
		struct ring_header *h = make(SLOTS, SLOT_SIZE, 77);
		size_t size = ring_size(SLOTS, SLOT_SIZE);
		struct ring_end e;
		void *mem = h;

		switch (rows[i].what) {
		case MAGIC: h->magic ^= 1; break;
		case VERSION: h->version++; break;
		case SLOTS_FIELD: h->n_slots *= 2; break;
		case SIZE_FIELD: h->slot_size += 64; break;
		case HEAD_AHEAD: h->head += SLOTS + 1; break;
		case HEAD_BEHIND: h->head--; break;
		case MAP_SIZE: size += 64; break;
		case UNALIGNED: mem = (uint8_t *)h + 32; break;
		default: fail();
		}
		if (ring_attach_producer(&e, mem, size, SLOTS, SLOT_SIZE))
			fail_msg("the producer takes %s", rows[i].name);
		if (ring_attach_consumer(&e, mem, size, SLOTS, SLOT_SIZE))
			fail_msg("the consumer takes %s", rows[i].name);
		free(h);
	}
	assert_false(ring_attach_consumer(&(struct ring_end){0}, NULL, 0, SLOTS, SLOT_SIZE));
}

/* With 3 of 8 slots in use, the other end's index is moved by `by`. */
static void test_index_distance(void **state)
{
	static const struct {
		int by; /* of the head, as the consumer sees it */
		bool broken;
		unsigned count;
	} rows[] = {
		{0, false, 3}, {1, false, 4}, {5, false, 8},   {-3, false, 0},
		{6, true, 0},  {-4, true, 0}, {1000, true, 0}, {INT32_MIN, true, 0},
	};

	for (unsigned i = 0; i < N(rows); i++) {
		for (int consumer = 0; consumer <= 1; consumer++) {
			struct ring_header *h = make(SLOTS, SLOT_SIZE, UINT32_MAX - 1);
			uint8_t msg[SLOT_SIZE] = {7};
			struct ring_end p, c, *e = consumer ? &c : &p;

			attach(h, &p, &c);
			for (int k = 0; k < 3; k++)
				assert_true(ring_push(&p, msg));
			if (consumer)
				h->head += (uint32_t)rows[i].by;
			else
				h->tail -= (uint32_t)rows[i].by;
			if (ring_count(e) != rows[i].count || e->broken != rows[i].broken)
				fail_msg("%s, index moved by %d: count %u, broken %d",
					 consumer ? "consumer" : "producer", rows[i].by,
					 ring_count(e), e->broken);
			if (rows[i].broken) {
				/* It stays so, even when the peer mends its index. */
				h->head = p.local;
				h->tail = c.local;
				assert_false(ring_pop(&c, msg) && consumer);
				assert_false(ring_push(&p, msg) && !consumer);
				assert_int_equal(ring_count(e), 0);
				assert_true(e->broken);
			}
			free(h);
		}
	}
}

/* Our own index in the shared header is only ever written: a peer that changes it has no effect. */
static void test_own_index_is_private(void **state)
{
	struct ring_header *h = make(SLOTS, SLOT_SIZE, 0);
	uint8_t msg[SLOT_SIZE], want[SLOT_SIZE];
	struct ring_end p, c;

	attach(h, &p, &c);
	fill(want, 1);
	assert_true(ring_push(&p, want));
	h->tail = 0xdeadbeef; /* the producer wrote the consumer's index */
	h->n_slots = 1u << 31;
	h->slot_size = 1u << 30;
	assert_true(ring_pop(&c, msg));
	assert_memory_equal(msg, want, SLOT_SIZE);
	assert_int_equal(h->tail, 1);
	assert_false(c.broken);
	free(h);
}

/* An end that starts again goes on where the indexes stand. */
static void test_attach_again(void **state)
{
	struct ring_header *h = make(SLOTS, SLOT_SIZE, 0);
	uint8_t msg[SLOT_SIZE], want[SLOT_SIZE];
	struct ring_end p, c;

	attach(h, &p, &c);
	for (uint32_t i = 0; i < 5; i++) {
		fill(msg, i);
		assert_true(ring_push(&p, msg));
	}
	assert_true(ring_pop(&c, msg));
	attach(h, &p, &c);
	assert_int_equal(ring_count(&c), 4);
	for (uint32_t i = 1; i < 5; i++) {
		fill(want, i);
		assert_true(ring_pop(&c, msg));
		assert_memory_equal(msg, want, SLOT_SIZE);
	}
	free(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_full_then_room),
		cmocka_unit_test(test_slot_is_wiped),
		cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_attach_refuses),
		cmocka_unit_test(test_index_distance),
		cmocka_unit_test(test_own_index_is_private),
		cmocka_unit_test(test_attach_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
