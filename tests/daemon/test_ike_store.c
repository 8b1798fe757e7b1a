/* SPDX-License-Identifier: Apache-2.0 */
/* ike_store: against a model, through deaths at any instruction, and with memory that lies. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/secret.h"
#include "daemon/ike_store.h"

#define TUNNELS  8u
#define MAX_SIZE 20000u
#define KEYS     24u

static uint8_t *mem;
static size_t mem_size;
static struct ike_store store;
static uint64_t seed = 1;

static uint32_t below(uint32_t n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % n;
}

static int setup(void **state)
{
	mem_size = ike_store_size(TUNNELS);
	mem = mmap(NULL, mem_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(mem != MAP_FAILED);
	assert_true(ike_store_attach(&store, mem, mem_size));
	return 0;
}

static int teardown(void **state)
{
	ike_store_detach(&store);
	munmap(mem, mem_size);
	return 0;
}

/* Another process takes over. */
static void again(void)
{
	ike_store_detach(&store);
	assert_true(ike_store_attach(&store, mem, mem_size));
}

/* A record says in each of its words which SPI and change it is of, so that a mixture is seen. */
static size_t fill(uint8_t *out, uint64_t spi, uint32_t change, size_t size)
{
	for (size_t i = 0; i + 8 <= size; i += 8) {
		const uint64_t word = spi << 32 | change;

		memcpy(out + i, &word, 8);
	}
	return size & ~(size_t)7;
}

struct seen {
	uint32_t change[KEYS + 1]; /* 0: none */
	size_t size[KEYS + 1];
	unsigned n;
};

static void look(void *ctx, const struct ike_store_item *item, const uint8_t *data)
{
	struct seen *seen = ctx;
	uint64_t first;

	assert_in_range(item->spi, 1, KEYS);
	assert_int_equal(item->tunnel, item->spi * 3);
	memcpy(&first, data, 8);
	assert_int_equal(first >> 32, item->spi);
	for (size_t i = 0; i < item->size; i += 8)
		assert_memory_equal(data + i, &first, 8);
	assert_int_equal(seen->change[item->spi], 0);
	seen->change[item->spi] = (uint32_t)first;
	seen->size[item->spi] = item->size;
	seen->n++;
}

static struct seen look_at_all(void)
{
	struct seen seen = {0};

	ike_store_each(&store, MAX_SIZE, look, &seen);
	return seen;
}

static void put(uint64_t spi, uint32_t change, size_t size)
{
	static uint8_t data[MAX_SIZE];

	ike_store_put(&store, spi, (uint32_t)spi * 3, data, fill(data, spi, change, size),
		      (struct mono){change});
}

/* Bytes of the memory behind the head and the entries that are not zero. */
static size_t n_used_bytes(void)
{
	size_t n = 0;

	for (const uint8_t *p = store.blocks; p < mem + mem_size; p++)
		n += *p != 0;
	return n;
}

static void model(void **state)
{
	struct seen want = {0};

	for (uint32_t change = 1; change < 4000; change++) {
		for (uint32_t n = 1 + below(3); n > 0; n--) {
			const uint64_t spi = 1 + below(KEYS);

			if (below(4)) {
				want.size[spi] = 8 + (below(6000) & ~7u);
				want.change[spi] = change;
				put(spi, change, want.size[spi]);
			} else {
				ike_store_forget(&store, spi);
				want.change[spi] = 0;
				want.size[spi] = 0;
			}
		}
		assert_true(ike_store_commit(&store));
		if (below(20) == 0)
			again();
		if (below(10) == 0) {
			const struct seen got = look_at_all();

			assert_memory_equal(got.change, want.change, sizeof(want.change));
			assert_memory_equal(got.size, want.size, sizeof(want.size));
			assert_int_equal(got.n, ike_store_count(&store));
		}
	}
	ike_store_clear(&store);
	assert_int_equal(ike_store_count(&store), 0);
	assert_int_equal(n_used_bytes(), 0); /* wiped */
}

static void full(void **state)
{
	uint32_t n = 0;

	/* Each takes 19 of 1088 blocks, and there are 32 entries. */
	for (uint64_t spi = 1; spi <= KEYS; spi++)
		put(spi, 1, 19000);
	assert_true(ike_store_commit(&store));
	do
		put(1000 + n, 2, 19000);
	while (ike_store_commit(&store) && ++n < 1000);
	/* The one that found no room is not there, the others are. */
	assert_int_equal(n, 32 - KEYS);
	assert_int_equal(ike_store_count(&store), 32);
	/* A change that does not fit forgets what it would have replaced. */
	for (int i = 0; i < 60; i++)
		put(1, 3, 19000);
	assert_false(ike_store_commit(&store));
	again();
	assert_int_equal(store.n_damaged, 0);
	ike_store_clear(&store);
	assert_int_equal(n_used_bytes(), 0);
	/* More records than a change may name. */
	for (uint32_t i = 0; i < IKE_STORE_CHANGES + 1; i++)
		put(1 + i % KEYS, 4, 64);
	assert_false(ike_store_commit(&store));
	assert_int_equal(ike_store_count(&store), 0);
	assert_int_equal(n_used_bytes(), 0);
}

/* Changes two records at a time, for ever; both of a pair are always of the same change. */
static void busy_child(uint32_t from)
{
	for (uint32_t change = from;; change++) {
		const uint64_t spi = 1 + below(KEYS / 2) * 2;

		if (below(5)) {
			put(spi, change, 8 + below(6000));
			put(spi + 1, change, 8 + below(6000));
		} else {
			ike_store_forget(&store, spi);
			ike_store_forget(&store, spi + 1);
		}
		(void)ike_store_commit(&store);
	}
}

static void killed_at_any_moment(void **state)
{
	unsigned n_alive = 0;

	for (uint32_t round = 0; round < 120; round++) {
		struct seen seen;
		int status, begun[2];
		char c;
		pid_t pid;

		assert_int_equal(pipe(begun), 0);
		pid = fork();
		if (pid == 0) {
			seed += round;
			/* A process of its own, with its own view of what is free. */
			ike_store_detach(&store);
			if (!ike_store_attach(&store, mem, mem_size))
				_exit(1);
			close(begun[1]);
			busy_child(1 + round * 1000000);
		}
		close(begun[1]);
		assert_int_equal(read(begun[0], &c, 1), 0); /* it is about to begin */
		close(begun[0]);
		usleep(200 + below(3000));
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		again();
		assert_int_equal(store.n_damaged, 0);
		seen = look_at_all();
		for (uint32_t spi = 1; spi <= KEYS; spi += 2)
			assert_int_equal(seen.change[spi], seen.change[spi + 1]);
		n_alive += seen.n;
	}
	assert_true(n_alive > 120); /* it was at work */
	ike_store_clear(&store);
	assert_int_equal(n_used_bytes(), 0);
}

/* A journal that is full is carried out by the next process. */
static void journal(void **state)
{
	static uint8_t copy[1 << 21];
	struct seen seen;

	assert_true(mem_size <= sizeof(copy));
	put(1, 1, 3000);
	put(2, 1, 3000);
	assert_true(ike_store_commit(&store));
	put(1, 2, 3000);
	put(2, 2, 3000);
	/* As it stands before the commit: the old ones. */
	memcpy(copy, mem, mem_size);
	assert_true(ike_store_commit(&store));
	memcpy(mem, copy, mem_size);
	again();
	seen = look_at_all();
	assert_int_equal(seen.change[1], 1);
	assert_int_equal(seen.change[2], 1);
	assert_int_equal(store.n_damaged, 0);
}

static void lies(void **state)
{
	for (uint32_t round = 0; round < 200; round++) {
		const size_t n = 1 + below(40);

		for (uint64_t spi = 1; spi <= KEYS / 2; spi++)
			put(spi, round, 8 + below(5000));
		assert_true(ike_store_commit(&store));
		for (size_t i = 0; i < n; i++) {
			/* Mostly in the entries and chains. */
			const size_t part = (size_t)(store.blocks - mem);
			const size_t at =
				below(4) ? below((uint32_t)part) : below((uint32_t)mem_size);

			mem[at] = (uint8_t)below(256);
		}
		again();
		(void)look_at_all(); /* what is there is whole */
	}
	for (size_t i = 0; i < mem_size; i++)
		mem[i] = (uint8_t)below(256);
	again();
	assert_int_equal(ike_store_count(&store), 0);
	assert_int_equal(store.n_damaged, 1);
	assert_int_equal(n_used_bytes(), 0);
}

static void attempts(void **state)
{
	ike_store_attempt(&store);
	again();
	ike_store_attempt(&store);
	again();
	assert_int_equal(ike_store_attempts(&store), 2);
	ike_store_survived(&store);
	again();
	assert_int_equal(ike_store_attempts(&store), 0);
}

static void no_memory(void **state)
{
	struct ike_store s;

	assert_false(ike_store_attach(&s, mem, 1000));
	/* Nothing is kept, and nothing breaks. */
	ike_store_put(&s, 1, 1, mem, 8, (struct mono){1});
	ike_store_forget(&s, 1);
	assert_false(ike_store_commit(&s));
	ike_store_clear(&s);
	ike_store_detach(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(model, setup, teardown),
		cmocka_unit_test_setup_teardown(full, setup, teardown),
		cmocka_unit_test_setup_teardown(killed_at_any_moment, setup, teardown),
		cmocka_unit_test_setup_teardown(journal, setup, teardown),
		cmocka_unit_test_setup_teardown(lies, setup, teardown),
		cmocka_unit_test_setup_teardown(attempts, setup, teardown),
		cmocka_unit_test_setup_teardown(no_memory, setup, teardown),
	};

	assert_true(secret_init());
	return cmocka_run_group_tests(tests, NULL, NULL);
}
