/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of longest match (lpm.c): against a list that is searched from end to end, with readers at work, and
 * without memory. No EAL. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <rte_rcu_qsbr.h>
#include "dataplane/lpm.h"

#define MEM        (UINT64_C(64) << 20)
#define MAX_CLAIMS 600u
#define N_STEPS    6000u
#define N_LOOKUPS  4u
#define N_SOURCES  3u

static uint64_t state = 0x9e3779b97f4a7c15;

static uint32_t draw(uint32_t n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)((state >> 32) * n >> 32);
}

struct world {
	struct dp_lpm_mem mem;
	struct dp_lpm t;
	struct rte_rcu_qsbr *qsbr;
};

static void start(struct world *w, uint64_t size, unsigned n_readers)
{
	w->qsbr = aligned_alloc(
		RTE_CACHE_LINE_SIZE,
		RTE_ALIGN_CEIL(rte_rcu_qsbr_get_memsize(n_readers), RTE_CACHE_LINE_SIZE));
	assert_non_null(w->qsbr);
	assert_int_equal(rte_rcu_qsbr_init(w->qsbr, n_readers), 0);
	assert_true(dp_lpm_mem_init(&w->mem, size, w->qsbr));
	assert_true(dp_lpm_init(&w->t, &w->mem, false));
}

static void end(struct world *w)
{
	dp_lpm_fini(&w->t);
	dp_lpm_mem_fini(&w->mem);
	free(w->qsbr);
}

/* ------------------------------------------------------------------- model */

struct model {
	struct {
		struct ip_prefix p;
		uint32_t values[N_SOURCES];
	} e[MAX_CLAIMS];
	unsigned n;
};

static uint32_t model_find(const struct model *m, const struct ip_addr *a)
{
	uint32_t best = 0;
	int longest = -1;

	for (unsigned i = 0; i < m->n; i++) {
		if ((int)m->e[i].p.len <= longest || !ip_prefix_contains(&m->e[i].p, a))
			continue;
		for (unsigned s = 0; s < N_SOURCES; s++) {
			if (m->e[i].values[s]) {
				best = m->e[i].values[s];
				longest = m->e[i].p.len;
				break;
			}
		}
	}
	return best;
}

static unsigned model_at(struct model *m, const struct ip_prefix *p)
{
	unsigned i = 0;

	while (i < m->n && !ip_prefix_equal(&m->e[i].p, p))
		i++;
	if (i == m->n) {
		memset(&m->e[i], 0, sizeof(m->e[i]));
		m->e[m->n++].p = *p;
	}
	return i;
}

static uint32_t find(const struct world *w, const struct ip_addr *a)
{
	uint32_t v = 1;

	if (a->family == IP_V4) {
		const uint32_t ip = (uint32_t)a->b[0] << 24 | (uint32_t)a->b[1] << 16 |
				    (uint32_t)a->b[2] << 8 | a->b[3];

		dp_lpm_lookup4(&w->t, &ip, &v, 1);
	} else {
		uint8_t ip[1][16];

		memcpy(ip[0], a->b, 16);
		dp_lpm_lookup6(&w->t, (const uint8_t(*)[16])ip, &v, 1);
	}
	return v;
}

/* Addresses that share much: few values for each byte. */
static struct ip_addr draw_addr(uint8_t family)
{
	static const uint8_t bytes[] = {0, 1, 63, 64, 127, 128, 191, 255};
	struct ip_addr a = {.family = family};

	for (unsigned i = 0; i < (family == IP_V4 ? 4u : 16u); i++)
		a.b[i] = i < 2 ? bytes[draw(2)] : bytes[draw(8)];
	if (family == IP_V6 && draw(2))
		memset(a.b + 2, 0x40, 8 + draw(6));
	return a;
}

static struct ip_prefix draw_prefix(uint8_t family)
{
	const struct ip_prefix p = {.addr = draw_addr(family),
				    .len = (uint8_t)draw(family == IP_V4 ? 33 : 129)};

	return ip_prefix_network(&p);
}

struct seen {
	struct model *m;
	unsigned source, n;
};

static void see(void *ctx, const struct ip_prefix *p, uint32_t value)
{
	struct seen *s = ctx;
	unsigned i = 0;

	while (i < s->m->n && !ip_prefix_equal(&s->m->e[i].p, p))
		i++;
	assert_true(i < s->m->n);
	assert_int_equal(s->m->e[i].values[s->source], value);
	s->n++;
}

static void walk(const struct world *w, struct model *m, uint8_t family)
{
	for (unsigned source = 0; source < N_SOURCES; source++) {
		struct seen s = {.m = m, .source = source};
		unsigned n = 0;

		for (unsigned i = 0; i < m->n; i++)
			n += m->e[i].values[source] != 0;
		dp_lpm_walk(&w->t, (enum ip_family)family, source, see, &s);
		assert_int_equal(s.n, n);
	}
}

static void against_model(uint8_t family)
{
	static struct model m;
	struct world w;

	m.n = 0;
	start(&w, MEM, 1);
	for (unsigned step = 0; step < N_STEPS; step++) {
		/* Fills, then takes away, then fills again. */
		const bool add = m.n < 8 || draw(100) < (step / 1000 % 2 ? 30 : 80);
		const unsigned source = draw(N_SOURCES);
		uint32_t before = 77, want;
		unsigned i;

		if (add && m.n < MAX_CLAIMS) {
			const struct ip_prefix p = draw_prefix(family);
			const uint32_t value = 1 + draw(5);

			i = model_at(&m, &p);
			assert_true(dp_lpm_set(&w.t, &p, source, value, &before));
			assert_int_equal(before, m.e[i].values[source]);
			assert_int_equal(dp_lpm_get(&w.t, &p, source), value);
			m.e[i].values[source] = value;
		} else {
			i = draw(m.n);
			assert_true(dp_lpm_clear(&w.t, &m.e[i].p, source, &before));
			assert_int_equal(before, m.e[i].values[source]);
			assert_int_equal(dp_lpm_get(&w.t, &m.e[i].p, source), 0);
			m.e[i].values[source] = 0;
		}
		for (unsigned k = 0; k < N_LOOKUPS; k++) {
			struct ip_addr a = draw_addr(family);

			/* Its first, its last address and the neighbours, too. */
			if (k == 1)
				a = m.e[i].p.addr;
			want = model_find(&m, &a);
			if (find(&w, &a) != want)
				fail_msg("step %u: %u, not %u", step, find(&w, &a), want);
		}
		if (step % 500 == 0)
			walk(&w, &m, family);
		want = 0;
		for (unsigned s = 0; s < N_SOURCES; s++)
			want |= m.e[i].values[s];
		if (!want)
			m.e[i] = m.e[--m.n];
	}
	for (unsigned i = 0; i < m.n; i++)
		for (unsigned s = 0; s < N_SOURCES; s++) {
			uint32_t before;

			assert_true(dp_lpm_clear(&w.t, &m.e[i].p, s, &before));
			assert_int_equal(before, m.e[i].values[s]);
		}
	assert_int_equal(w.t.n, 0);
	for (uint32_t s = 0; s < DP_LPM_SHORT_SIZE; s++)
		assert_false(w.t.shorts[s] || w.t.keeps[s] || w.t.lengths[s]);
	end(&w);
}

static void test_model_v4(void **s)
{
	against_model(IP_V4);
}

static void test_model_v6(void **s)
{
	against_model(IP_V6);
}

/* A burst is as its addresses alone, with a table for all or for each. */
static void test_burst(void **s)
{
	struct world w;
	struct dp_lpm other, none;
	const struct dp_lpm *tables[DP_LPM_BURST];
	uint32_t ip4[DP_LPM_BURST], got[DP_LPM_BURST], again[DP_LPM_BURST], before;
	uint8_t ip6[DP_LPM_BURST][16];

	start(&w, MEM, 1);
	assert_true(dp_lpm_init(&other, &w.mem, false));
	assert_true(dp_lpm_init(&none, &w.mem, false));
	for (unsigned i = 0; i < 300; i++) {
		const struct ip_prefix p = draw_prefix(IP_V4), q = draw_prefix(IP_V4);

		assert_true(dp_lpm_set(&w.t, &p, 0, 1 + i, &before));
		assert_true(dp_lpm_set(&other, &q, 0, 1000 + i, &before));
	}
	for (unsigned n = 1; n <= DP_LPM_BURST; n++) {
		struct ip_addr a[DP_LPM_BURST];

		for (unsigned i = 0; i < n; i++) {
			a[i] = draw_addr(IP_V4);
			ip4[i] = (uint32_t)a[i].b[0] << 24 | (uint32_t)a[i].b[1] << 16 |
				 (uint32_t)a[i].b[2] << 8 | a[i].b[3];
			tables[i] = i % 3 == 1 ? &other : i % 3 ? &w.t : &none;
		}
		dp_lpm_lookup4(&w.t, ip4, got, n);
		for (unsigned i = 0; i < n; i++)
			assert_int_equal(got[i], find(&w, &a[i]));
		for (unsigned i = 0; i < n; i++)
			again[i] = dp_lpm_root4(&w.t, ip4[i]);
		dp_lpm_finish4(&w.t, ip4, again, n);
		assert_memory_equal(got, again, n * sizeof(got[0]));
		dp_lpm_each4(tables, ip4, got, n);
		for (unsigned i = 0; i < n; i++) {
			uint32_t want;

			dp_lpm_lookup4(tables[i], &ip4[i], &want, 1);
			assert_int_equal(got[i], want);
			assert_true(want == 0 || (want >= 1000) == (i % 3 == 1));
		}
	}
	dp_lpm_fini(&other);
	dp_lpm_fini(&none);
	dp_lpm_fini(&w.t);
	assert_true(dp_lpm_init(&w.t, &w.mem, false));
	for (unsigned i = 0; i < 300; i++) {
		const struct ip_prefix p = draw_prefix(IP_V6);

		assert_true(dp_lpm_set(&w.t, &p, 0, 1 + i, &before));
	}
	for (unsigned i = 0; i < DP_LPM_BURST; i++)
		memcpy(ip6[i], draw_addr(IP_V6).b, 16);
	dp_lpm_lookup6(&w.t, (const uint8_t(*)[16])ip6, got, DP_LPM_BURST);
	for (unsigned i = 0; i < DP_LPM_BURST; i++)
		tables[i] = &w.t;
	dp_lpm_each6(tables, (const uint8_t(*)[16])ip6, again, DP_LPM_BURST);
	assert_memory_equal(got, again, sizeof(got));
	for (unsigned i = 0; i < DP_LPM_BURST; i++) {
		const struct ip_addr a = ip_from_bytes(IP_V6, ip6[i]);

		assert_int_equal(got[i], find(&w, &a));
	}
	end(&w);
}

/* ----------------------------------------------------------------- readers */

static struct world shared;
static uint32_t stop, wrong;
static uint64_t n_read;

/* 10.1.0.0/16 says 1 and 10.1.2.0/24 says 2, whatever happens around them. */
static void *reader(void *arg)
{
	static const uint32_t ip[] = {0x0a010000, 0x0a0102ff, 0x0a0103fe,
				      0x0a010280, 0x0a01ffff, 0x0a010201};
	static const uint32_t want[] = {1, 2, 1, 2, 1, 2};
	uint32_t got[6];

	(void)rte_rcu_qsbr_thread_register(shared.qsbr, 0);
	rte_rcu_qsbr_thread_online(shared.qsbr, 0);
	while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
		dp_lpm_lookup4(&shared.t, ip, got, 6);
		for (unsigned i = 0; i < 6; i++) {
			if (got[i] != want[i])
				__atomic_store_n(&wrong, got[i] + 1, __ATOMIC_RELAXED);
		}
		rte_rcu_qsbr_quiescent(shared.qsbr, 0);
		__atomic_store_n(&n_read, n_read + 1, __ATOMIC_RELAXED);
	}
	rte_rcu_qsbr_thread_offline(shared.qsbr, 0);
	(void)rte_rcu_qsbr_thread_unregister(shared.qsbr, 0);
	return NULL;
}

/* Nodes small and large. */
static void test_readers(void **s)
{
	/* Over and beside those two; the addresses that are read are left alone. */
	static const char *const around[] = {
		"0.0.0.0/0",     "10.0.0.0/8",    "10.1.2.127/32", "10.1.3.0/25",   "10.1.2.2/31",
		"10.1.128.0/18", "10.1.2.64/26",  "10.1.3.1/32",   "10.1.4.0/22",   "10.1.2.4/30",
		"10.0.0.0/15",   "10.1.254.0/24", "10.1.2.252/31", "10.1.8.128/25", "10.1.2.200/29",
	};
	const unsigned n = sizeof(around) / sizeof(around[0]);
	struct ip_prefix p, q[16];
	uint32_t before;
	pthread_t t;

	start(&shared, MEM, 1);
	stop = n_read = 0;
	assert_true(ip_prefix_parse("10.1.0.0/16", &p));
	assert_true(dp_lpm_set(&shared.t, &p, 0, 1, &before));
	assert_true(ip_prefix_parse("10.1.2.0/24", &p));
	assert_true(dp_lpm_set(&shared.t, &p, 0, 2, &before));
	for (unsigned i = 0; i < n; i++)
		assert_true(ip_prefix_parse(around[i], &q[i]));
	assert_int_equal(pthread_create(&t, NULL, reader, NULL), 0);
	while (__atomic_load_n(&n_read, __ATOMIC_RELAXED) == 0)
		rte_pause();
	for (unsigned i = 0; i < 20000 || __atomic_load_n(&n_read, __ATOMIC_RELAXED) < 1000; i++) {
		const unsigned k = draw(n);

		if (draw(2))
			assert_true(dp_lpm_set(&shared.t, &q[k], 0, 10 + draw(3), &before));
		else
			assert_true(dp_lpm_clear(&shared.t, &q[k], 0, &before));
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	(void)pthread_join(t, NULL);
	assert_int_equal(wrong, 0);
	end(&shared);
}

/* ------------------------------------------------------------------ memory */

/* What was given back is used again when a reader has passed, and not before. */
static void test_grace(void **s)
{
	enum { N = 600 }; /* more than are collected before a grace period is begun */
	static uint32_t old[N];
	struct world w;

	start(&w, MEM, 1);
	(void)rte_rcu_qsbr_thread_register(w.qsbr, 0);
	rte_rcu_qsbr_thread_online(w.qsbr, 0);
	for (unsigned i = 0; i < N; i++)
		old[i] = dp_lpm_alloc(&w.mem, 1, false);
	for (unsigned i = 0; i < N; i++)
		dp_lpm_retire(&w.mem, old[i], 1);
	for (unsigned i = 0; i < 3 * N; i++)
		assert_in_range(dp_lpm_alloc(&w.mem, 1, false), old[N - 1] + 1, UINT32_MAX - 1);
	assert_int_equal(w.mem.n_busy, 4 * N);
	rte_rcu_qsbr_quiescent(w.qsbr, 0);
	for (unsigned i = 0; i < N; i++)
		dp_lpm_retire(&w.mem, dp_lpm_alloc(&w.mem, 1, false), 1);
	assert_in_range(dp_lpm_alloc(&w.mem, 1, false), old[0], old[N - 1]);
	rte_rcu_qsbr_thread_offline(w.qsbr, 0);
	(void)rte_rcu_qsbr_thread_unregister(w.qsbr, 0);
	end(&w);
}

static struct ip_prefix host(uint32_t i)
{
	struct ip_addr a = ip_v4((uint8_t)(1 + (i >> 16)), (uint8_t)(i >> 8), (uint8_t)i, 0);

	/* Every second address: as many runs as there can be. */
	a.b[3] = (uint8_t)(i * 2);
	return (struct ip_prefix){.addr = a, .len = 32};
}

/* When it is full, what was there stands and can be taken away; then there is room again. */
static void test_full(void **s)
{
	struct world w;
	uint32_t n[2], before, busy = 0;

	start(&w, UINT64_C(32) << 20, 1);
	for (int round = 0; round < 2; round++) {
		n[round] = 0;
		for (;; n[round]++) {
			const struct ip_prefix p = host(n[round]);

			if (!dp_lpm_set(&w.t, &p, 0, 1 + n[round], &before))
				break;
		}
		assert_in_range(n[round], 100000, 1000000);
		for (uint32_t i = 0; i < n[round]; i += 97) {
			const struct ip_prefix p = host(i);

			assert_int_equal(find(&w, &p.addr), 1 + i);
		}
		for (uint32_t i = 0; i < n[round]; i++) {
			const struct ip_prefix p = host(i);

			assert_true(dp_lpm_clear(&w.t, &p, 0, &before));
			assert_int_equal(before, 1 + i);
		}
		assert_int_equal(w.t.n, 0);
		busy = w.mem.n_busy;
	}
	/* What is still counted waits for its grace period. */
	for (size_t i = 0; i < w.mem.open.n; i++)
		busy -= (uint32_t)(w.mem.open.blocks[i] & 255);
	for (size_t i = 0; i < w.mem.closed.n; i++)
		busy -= (uint32_t)(w.mem.closed.blocks[i] & 255);
	assert_int_equal(busy, 0);
	assert_in_range(n[1], n[0] * 9 / 10, n[0] * 11 / 10);
	end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_model_v4), cmocka_unit_test(test_model_v6),
		cmocka_unit_test(test_burst),    cmocka_unit_test(test_readers),
		cmocka_unit_test(test_grace),    cmocka_unit_test(test_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
