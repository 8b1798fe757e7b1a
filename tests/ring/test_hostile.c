/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The other end as an enemy: a child process writes garbage into the header and the slots while our
 * end works. Guard pages stand flush before or behind the ring, so that an access outside of it is a
 * crash, and a time limit catches a call that does not return. The worst that may happen is that
 * the ring is marked broken.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mono.h"
#include "base/ring.h"
#include "peer.h"

#define SLOTS     16u
#define SLOT_SIZE 192u
#define CANARY    0x5eu

enum attack {
	INDEXES,   /* any value into head and tail */
	PLAUSIBLE, /* head and tail stay within n_slots of each other, but jump */
	SLOTS_ALSO,
	EVERYTHING, /* magic and shape, too */
};

struct arena {
	uint8_t *all; /* guard, ring's pages, guard */
	size_t all_size;
	uint8_t *ring;
	size_t size;
};

/* `behind`: the ring ends where the guard page begins; else it begins where the other one ends. */
static struct arena arena_make(bool behind)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct arena a = {.size = ring_size(SLOTS, SLOT_SIZE)};
	const size_t pages = (a.size + page - 1) / page * page;

	a.all_size = pages + 2 * page;
	a.all = mmap(NULL, a.all_size, PROT_NONE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(a.all != MAP_FAILED);
	assert_int_equal(mprotect(a.all + page, pages, PROT_READ | PROT_WRITE), 0);
	a.ring = a.all + page + (behind ? pages - a.size : 0);
	return a;
}

static void attack(const struct arena *a, enum attack kind, uint64_t seed)
{
	volatile struct ring_header *h = (volatile struct ring_header *)a->ring;
	volatile uint32_t *words = (volatile uint32_t *)a->ring;
	uint64_t x = seed;

	for (;;) {
		const uint64_t r = next_random(&x);

		if (r >> 56 == 0)
			sched_yield(); /* so that both have turns where there is one processor */
		switch (kind) {
		case INDEXES: {
			/* Often near the truth, so that the fight lasts. */
			const uint32_t by = r & 6 ? (uint32_t)(r >> 32) % (SLOTS + 4) : (uint32_t)r;

			if (r & 1)
				h->head = h->tail + by;
			else
				h->tail = h->head - by;
			break;
		}
		case PLAUSIBLE:
			if (r & 1)
				h->head = h->tail + (uint32_t)(r >> 32) % (SLOTS + 1);
			else
				h->tail = h->head - (uint32_t)(r >> 32) % (SLOTS + 1);
			break;
		case SLOTS_ALSO:
			words[48 + (r >> 40) % ((a->size - 192) / 4)] = (uint32_t)r;
			if (r % 8 == 0)
				h->head = h->tail + (uint32_t)(r >> 32) % (SLOTS + 1);
			break;
		case EVERYTHING:
			/* Small values often, since those come through where large ones break. */
			words[(r >> 40) % (r & 1 ? 48 : a->size / 4)] =
				(uint32_t)(r & 6 ? r >> 60 : r);
			break;
		}
	}
}

/* Our end's work: `rounds` calls, a fresh start each time the ring was broken. */
static void defend(const struct arena *a, bool consumer, unsigned rounds, unsigned *n_broken,
		   unsigned *n_moved)
{
	uint8_t *msg = malloc(SLOT_SIZE + 64); /* on the heap, so that ASan sees its end */
	struct ring_end e;
	bool attached = false;

	*n_broken = *n_moved = 0;
	memset(msg, CANARY, SLOT_SIZE + 64);
	for (unsigned i = 0; i < rounds; i++) {
		bool moved;

		if (!attached) {
			ring_format(a->ring, SLOTS, SLOT_SIZE);
			attached = consumer ? ring_attach_consumer(&e, a->ring, a->size, SLOTS,
								   SLOT_SIZE)
					    : ring_attach_producer(&e, a->ring, a->size, SLOTS,
								   SLOT_SIZE);
			continue;
		}
		assert_true(ring_count(&e) <= SLOTS);
		moved = consumer ? ring_pop(&e, msg) : ring_push(&e, msg);
		*n_moved += moved;
		if (e.broken) {
			++*n_broken;
			assert_false(consumer ? ring_pop(&e, msg) : ring_push(&e, msg));
			assert_int_equal(ring_count(&e), 0);
			attached = false;
		}
		for (unsigned k = 0; k < 64; k += 21)
			assert_int_equal(msg[SLOT_SIZE + k], CANARY);
		/* What never changes whatever the enemy writes. */
		assert_int_equal(e.mask, SLOTS - 1);
		assert_int_equal(e.slot_size, SLOT_SIZE);
		assert_ptr_equal(e.slots, a->ring + sizeof(struct ring_header));
	}
	free(msg);
}

static void fight(const char *name, enum attack kind, bool breaks, bool consumer, bool behind)
{
	const char *victim = consumer ? "the consumer" : "the producer";
	struct arena a = arena_make(behind);
	unsigned n_broken = 0, n_moved = 0;
	const struct mono start = mono_now();
	pid_t pid;

	ring_format(a.ring, SLOTS, SLOT_SIZE);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		attack(&a, kind, 0x1234567 + (uint64_t)kind * 4 + consumer * 2 + behind);
		_exit(1);
	}
	/* If a call hangs, the alarm ends the program, and the death signal the child. */
	alarm(100);
	/* For some time, and on a busy machine until each side has had its turns. */
	while (!mono_reached(mono_now(), mono_add(start, span_ms(300))) ||
	       ((n_moved == 0 || (breaks && n_broken == 0)) &&
		!mono_reached(mono_now(), mono_add(start, span_s(30))))) {
		unsigned broken, moved;

		defend(&a, consumer, 5000, &broken, &moved);
		n_broken += broken;
		n_moved += moved;
	}
	alarm(0);
	assert_int_equal(waitpid(pid, NULL, WNOHANG), 0); /* it fought to the end */
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(child_wait(pid), 128 + SIGKILL);
	munmap(a.all, a.all_size);
	print_message("# %s against %s: %u messages moved, broken %u times\n", name, victim,
		      n_moved, n_broken);
	if (breaks && n_broken == 0)
		fail_msg("%s: the ring was never marked broken", name);
	if (n_moved == 0)
		fail_msg("%s: no message moved, so nothing was tested", name);
}

static void run(bool consumer)
{
	static const struct {
		const char *name;
		enum attack kind;
		bool breaks;
	} rows[] = {
		{"indexes", INDEXES, true},
		{"plausible indexes", PLAUSIBLE, false},
		{"slots and head", SLOTS_ALSO, false},
		{"everything", EVERYTHING, true},
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (int behind = 0; behind <= 1; behind++)
			fight(rows[i].name, rows[i].kind, rows[i].breaks, consumer, behind);
}

static void test_hostile_producer(void **state)
{
	run(true);
}

static void test_hostile_consumer(void **state)
{
	run(false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hostile_producer),
		cmocka_unit_test(test_hostile_consumer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
