/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of base/heap.h against a naive model, of base/mono.h and of base/sum.h. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/heap.h"
#include "base/sum.h"

#define N(a)   (sizeof(a) / sizeof((a)[0]))
#define NODES  200u
#define ROUNDS 60000u

/* xorshift64: the same sequence on every machine. */
static uint64_t next_random(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

static void check_shape(const struct heap *h)
{
	for (size_t i = 0; i < h->n; i++) {
		assert_int_equal(h->nodes[i]->index, i + 1);
		if (i)
			assert_false(mono_before(h->nodes[i]->deadline,
						 h->nodes[(i - 1) / 2]->deadline));
	}
}

/* Random operations; the model is an array of deadlines, MONO_NEVER where a node is absent. */
static void run_model(uint64_t seed)
{
	struct heap_node nodes[NODES] = {0};
	uint64_t model[NODES], x = seed;
	struct heap h;

	heap_init(&h);
	for (unsigned i = 0; i < NODES; i++)
		model[i] = UINT64_MAX;
	for (unsigned round = 0; round < ROUNDS; round++) {
		const unsigned i = (unsigned)(next_random(&x) % NODES);
		const unsigned op = (unsigned)(next_random(&x) % 16);
		uint64_t least = UINT64_MAX;
		size_t n = 0;

		if (op < 10) {
			/* Few distinct values, so that equal deadlines are common. */
			model[i] = next_random(&x) % 1000;
			assert_true(heap_set(&h, &nodes[i], (struct mono){model[i]}));
		} else if (op < 13) {
			model[i] = UINT64_MAX;
			heap_remove(&h, &nodes[i]);
		} else if (op < 14) {
			model[i] = UINT64_MAX;
			assert_true(heap_set(&h, &nodes[i], MONO_NEVER));
		} else if (heap_first(&h)) {
			struct heap_node *first = heap_first(&h);

			model[first - nodes] = UINT64_MAX;
			heap_remove(&h, first);
		}
		for (unsigned k = 0; k < NODES; k++) {
			n += model[k] != UINT64_MAX;
			least = model[k] < least ? model[k] : least;
		}
		if (heap_deadline(&h).ns != least || h.n != n)
			fail_msg("seed %llu, round %u: first %llu, %zu nodes; model: %llu, %zu",
				 (unsigned long long)seed, round,
				 (unsigned long long)heap_deadline(&h).ns, h.n,
				 (unsigned long long)least, n);
		assert_true((heap_first(&h) == NULL) == (n == 0));
		if (round % 512 == 0)
			check_shape(&h);
	}
	/* What is left comes out in order. */
	for (uint64_t last = 0; heap_first(&h);) {
		struct heap_node *first = heap_first(&h);

		assert_true(first->deadline.ns >= last);
		last = first->deadline.ns;
		assert_int_equal(model[first - nodes], last);
		heap_remove(&h, first);
	}
	heap_fini(&h);
}

static void test_against_model(void **state)
{
	for (uint64_t seed = 1; seed <= 4; seed++)
		run_model(seed * 0x9e3779b97f4a7c15);
}

static void test_empty_and_fini(void **state)
{
	struct heap_node a = {0}, b = {0};
	struct heap h;

	heap_init(&h);
	assert_null(heap_first(&h));
	assert_true(mono_is_never(heap_deadline(&h)));
	heap_remove(&h, &a); /* absent: harmless */
	assert_true(heap_set(&h, &a, MONO_NEVER));
	assert_int_equal(h.n, 0);
	assert_true(heap_set(&h, &a, (struct mono){5}));
	assert_true(heap_set(&h, &b, (struct mono){4}));
	assert_ptr_equal(heap_first(&h), &b);
	heap_fini(&h); /* the nodes may go into another heap now */
	assert_int_equal(a.index, 0);
	assert_true(heap_set(&h, &a, (struct mono){7}));
	assert_ptr_equal(heap_first(&h), &a);
	heap_fini(&h);
}

static void test_mono(void **state)
{
	const struct mono t = {1000};

	assert_int_equal(mono_add(t, span_us(3)).ns, 4000);
	assert_true(mono_is_never(mono_add(MONO_NEVER, span_ns(1))));
	assert_true(mono_is_never(mono_add((struct mono){UINT64_MAX - 5}, span_ns(6))));
	assert_int_equal(mono_since(t, (struct mono){400}).ns, 600);
	assert_int_equal(mono_since((struct mono){400}, t).ns, 0); /* never negative */
	assert_true(mono_before(t, MONO_NEVER) && !mono_before(t, t));
	assert_true(mono_reached(t, t) && !mono_reached(t, (struct mono){1001}));
	assert_int_equal(mono_min(t, MONO_NEVER).ns, 1000);
	assert_int_equal(span_s(2).ns, 2000000000);
	assert_int_equal(span_to_ms(span_ms(1999)), 1999);
}

static void test_mono_now_advances(void **state)
{
	const struct mono a = mono_now(), b = mono_now();

	assert_true(a.ns > 0 && b.ns >= a.ns);
	assert_true(mono_since(b, a).ns < span_s(10).ns);
}

static void test_sum(void **state)
{
	static const struct {
		const char *name;
		uint16_t want;
		size_t size;
		uint8_t data[24];
	} rows[] = {
		/* RFC 1071 3: the sum of these is ddf2 */
		{"RFC 1071", 0x220d, 8, {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7}},
		{"nothing", 0xffff, 0, {0}},
		{"all ones", 0x0000, 4, {0xff, 0xff, 0xff, 0xff}},
		{"odd", 0xfeff, 1, {0x01}},
		{"odd after even", 0xfbfd, 3, {0x01, 0x02, 0x03}},
		/* an IPv4 header whose checksum field (zero here) is known to be b861 */
		{"IPv4", 0xb861, 20, {0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11,
				      0x00, 0x00, 0xc0, 0xa8, 0x00, 0x01, 0xc0, 0xa8, 0x00, 0xc7}},
	};

	for (unsigned i = 0; i < N(rows); i++) {
		const uint16_t got = sum_finish(sum_add(0, rows[i].data, rows[i].size));

		if (got != rows[i].want)
			fail_msg("%s: %04x, not %04x", rows[i].name, got, rows[i].want);
		/* The same in two parts, split at every even place. */
		for (size_t cut = 0; cut <= rows[i].size; cut += 2) {
			uint32_t sum = sum_add(0, rows[i].data, cut);

			sum = sum_add(sum, rows[i].data + cut, rows[i].size - cut);
			assert_int_equal(sum_finish(sum), rows[i].want);
		}
	}
	/* A running sum may come from anywhere, even near overflow. */
	assert_int_equal(sum_finish(sum_add(UINT32_MAX, "\xff\xff", 2)), 0);
}

static void test_sum_large(void **state)
{
	static uint8_t data[1 << 18];
	uint64_t naive = 0, x = 42;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)next_random(&x);
	for (size_t i = 0; i < sizeof(data); i += 2)
		naive += (uint64_t)data[i] << 8 | data[i + 1];
	/* One's complement addition is addition modulo 65535. */
	naive %= 65535;
	assert_int_equal((uint16_t)~sum_finish(sum_add(0, data, sizeof(data))) % 65535, naive);
}

/* Of headers that are right, and of the same with a word changed. */
static void test_sum_ip4(void **state)
{
	static const uint8_t zeros[20];
	uint64_t x = 7;

	for (unsigned i = 0; i < 20000; i++) {
		uint8_t h[20];
		uint16_t sum;

		for (size_t k = 0; k < sizeof(h); k++)
			h[k] = i % 3 ? (uint8_t)next_random(&x) : i % 2 ? 0xff : 0;
		h[0] = 0x45;
		h[10] = h[11] = 0;
		sum = sum_finish(sum_add(0, h, sizeof(h)));
		h[10] = (uint8_t)(sum >> 8);
		h[11] = (uint8_t)sum;
		assert_true(sum_ip4_good(h));
		h[next_random(&x) % sizeof(h)] ^= (uint8_t)(1 + next_random(&x) % 254);
		assert_int_equal(sum_ip4_good(h), sum_finish(sum_add(0, h, sizeof(h))) == 0);
	}
	assert_false(sum_ip4_good(zeros));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sum_ip4),           cmocka_unit_test(test_against_model),
		cmocka_unit_test(test_empty_and_fini),    cmocka_unit_test(test_mono),
		cmocka_unit_test(test_mono_now_advances), cmocka_unit_test(test_sum),
		cmocka_unit_test(test_sum_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
