/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Input that nobody should act on: every IKE datagram of a story, truncated at each length and with
 * each byte changed, replayed and from strangers, at a gateway in the middle of that story. Nothing
 * may change but counters, and never may more go out than came in.
 */
#include <stdlib.h>
#include <string.h>
#include "tests/sim/scenario.h"

#define MAX_RECORDED 64
static struct recorded {
	int from;
	size_t size;
	uint8_t data[IKE_MESSAGE_MAX];
} record[MAX_RECORDED];
static size_t n_recorded;

static bool keep(struct world *w, int from, const uint8_t *data, size_t size)
{
	(void)w;
	if (n_recorded < MAX_RECORDED) {
		record[n_recorded].from = from;
		record[n_recorded].size = size;
		memcpy(record[n_recorded++].data, data, size);
	}
	return false;
}

/* What the outside can see of a core, without its counters. */
struct view {
	uint64_t sum, n; /* no padding: compared as memory */
};

static bool view_sa(void *ctx, const struct ike_show_sa *s)
{
	struct view *v = ctx;

	v->n++;
	v->sum = v->sum * 31 + s->spi_i + s->spi_r * 3 + s->spi_in * 5 + s->spi_out * 7 +
		 s->current_out + (uint64_t)(uintptr_t)s->state + s->remote.port +
		 s->remote.addr.b[3];
	return true;
}

static struct view view(const struct sim_node *n)
{
	struct view v = {0};

	ike_show_sas(n->ike, view_sa, &v);
	return v;
}

/* Bytes that go out in answer. */
static size_t inject(struct sim_node *n, struct ip_endpoint from, const uint8_t *data, size_t size)
{
	struct ike_event ev = {.type = IKE_EV_PACKET, .now = n->w->now};
	uint8_t *exact =
		malloc(size ? size : 1); /* so that a sanitizer sees the first byte beyond */
	size_t sent = 0;

	assert_non_null(exact);
	memcpy(exact, data, size);
	ev.packet.local = (struct ip_endpoint){n->addr, 500};
	ev.packet.remote = from;
	ev.packet.data = exact;
	ev.packet.size = size;
	ike_step(n->ike, &ev, &n->out);
	for (size_t i = 0; i < n->out.n; i++) {
		if (n->out.actions[i].type == IKE_ACT_SEND)
			sent += n->out.actions[i].send.size;
		else if (n->out.actions[i].type != IKE_ACT_EVENT)
			sent += 100000; /* nothing else may happen */
	}
	ike_out_reset(&n->out);
	free(exact);
	return sent;
}

static void story(struct world *w)
{
	world_init(w, 7);
	n_recorded = 0;
	w->filter = keep;
	w->esp_period_us = 0;
	assert_true(world_start(w));
	assert_true(world_until(w, settled, span_s(10)));
	node_event(A, IKE_EV_REKEY_CHILD, 0);
	world_run(w, span_s(7));
	node_event(A, IKE_EV_REKEY_IKE, 0);
	world_run(w, span_s(2));
	node_event(B, IKE_EV_REKEY_IKE, 0);
	world_run(w, span_s(13)); /* with a DPD exchange */
	assert_true(settled(w));
	assert_true(n_recorded >= 16);
	w->filter = NULL;
}

static struct sim_node *receiver(struct world *w, const struct recorded *r)
{
	return &w->node[1 - r->from];
}

/* Requirements: SIM-unauthenticated, CVE-2013-4564, CVE-2016-5361 */
static void truncated(void **state)
{
	struct world *w = &the_world;

	(void)state;
	story(w);
	for (size_t i = 0; i < n_recorded; i++) {
		struct sim_node *n = receiver(w, &record[i]);
		const struct view before = view(n);
		const struct ip_endpoint from = {w->node[record[i].from].addr, 500};
		struct view after;

		for (size_t size = 0; size < record[i].size; size++) {
			assert_true(inject(n, from, record[i].data, size) <= size);
			after = view(n);
			assert_memory_equal(&after, &before, sizeof(before));
		}
	}
	world_run(w, span_s(100));
	assert_true(settled(w));
	world_fini(w);
}

/* Requirements: SIM-unauthenticated */
static void flipped(void **state)
{
	struct world *w = &the_world;

	(void)state;
	story(w);
	for (size_t i = 0; i < n_recorded; i++) {
		struct sim_node *n = receiver(w, &record[i]);
		const struct ip_endpoint from = {w->node[record[i].from].addr, 500};
		const bool init = record[i].data[18] == 34;

		for (size_t at = 0; at < record[i].size; at++) {
			const struct view before = view(n);
			uint8_t copy[IKE_MESSAGE_MAX];
			struct view after;

			memcpy(copy, record[i].data, record[i].size);
			copy[at] ^= (uint8_t)(1u << (at % 8));
			inject(n, from, copy, record[i].size);
			after = view(n);
			if (!init)
				assert_memory_equal(&after, &before, sizeof(before));
			else /* half-open SAs, within their limits, are all that may come of it */
				assert_true(after.n <= before.n + 1 && after.n <= 4 + 20);
		}
	}
	world_run(w, span_s(100));
	assert_true(settled(w));
	assert_int_equal(A->n_down[0] + B->n_down[0], 0);
	world_fini(w);
}

/* Requirements: SIM-unauthenticated */
static void replayed(void **state)
{
	struct world *w = &the_world;
	const struct ip_endpoint stranger = {ip_v4(203, 0, 113, 66), 4711};

	(void)state;
	story(w);
	for (size_t i = 0; i < n_recorded; i++) {
		struct sim_node *n = receiver(w, &record[i]);
		const struct view before = view(n);
		struct view after;
		const struct ip_endpoint from = {w->node[record[i].from].addr, 500};

		inject(n, from, record[i].data, record[i].size);
		inject(n, stranger, record[i].data, record[i].size);
		after = view(n);
		if (i == 0) /* the first message of an SA that is gone: a half-open one, no more */
			assert_true(after.n <= before.n + 1);
		else
			assert_memory_equal(&after, &before, sizeof(before));
	}
	world_run(w, span_s(100));
	assert_true(settled(w));
	world_fini(w);
}

/* Every exchange type, flag and message id, unauthenticated, in each state of a handshake. */
static bool before_each(struct world *w, int from, const uint8_t *data, size_t size)
{
	uint8_t m[80] = {0};

	if (size < 28)
		return false;
	for (int i = 0; i < SIM_NODES; i++) {
		struct sim_node *n = &w->node[i];
		const struct ip_endpoint peer = {w->node[1 - i].addr, 500};
		struct view before, after;

		(void)from;
		if (n->off)
			continue;
		before = view(n);
		for (unsigned exchange = 33; exchange < 42; exchange++) {
			for (unsigned flags = 0; flags < 64; flags += 8) {
				for (unsigned next = 0; next < 256;
				     next += exchange == 36 ? 1 : 46) {
					memset(m, 0, sizeof(m));
					memcpy(m, data, 16);
					m[16] = (uint8_t)next;
					m[17] = 0x20;
					m[18] = (uint8_t)exchange;
					m[19] = (uint8_t)flags;
					m[23] = (uint8_t)(next & 3);
					m[27] = sizeof(m);
					m[31] = sizeof(m) - 28;
					inject(n, peer, m, sizeof(m));
				}
			}
		}
		after = view(n);
		assert_memory_equal(&after, &before, sizeof(before));
	}
	return false;
}

static bool strange(struct world *w, int from, const uint8_t *data, size_t size)
{
	static bool inside; /* nothing is sent from within, but the step's output is in use */
	struct ike_out *saved;

	if (inside)
		return false;
	inside = true;
	saved = malloc(SIM_NODES * sizeof(*saved));
	assert_non_null(saved);
	for (int i = 0; i < SIM_NODES; i++) {
		saved[i] = w->node[i].out;
		w->node[i].out.n = w->node[i].out.n_bytes = 0;
	}
	before_each(w, from, data, size);
	for (int i = 0; i < SIM_NODES; i++)
		w->node[i].out = saved[i];
	free(saved);
	inside = false;
	return false;
}

/* Requirements: SIM-unauthenticated, CVE-2019-12312 */
static void every_type_in_every_state(void **state)
{
	struct world *w = fresh_world(9);

	(void)state;
	w->esp_period_us = 0;
	w->filter = strange;
	assert_true(world_start(w));
	assert_true(world_until(w, settled, span_s(10)));
	node_event(A, IKE_EV_REKEY_CHILD, 0);
	world_run(w, span_s(1));
	node_event(B, IKE_EV_REKEY_IKE, 0);
	world_run(w, span_s(10));
	assert_true(settled(w));
	assert_int_equal(A->n_down[0] + B->n_down[0], 0);
	world_fini(w);
}

/* A flood of first messages from many and from one address. */
/* Requirements: RFC8019-4.2-source, RFC8019-4.3-cookies, SIM-bounded */
static void flood(void **state)
{
	struct world *w = &the_world;
	struct recorded first;

	(void)state;
	story(w);
	first = record[0];
	B->limits = (struct ike_limits){200, 100, 20, SIM_SLOTS};
	node_power_off(B);
	B->cfg[0].remote = (struct ip_addr){0};
	assert_true(node_power_on(B));
	for (unsigned i = 0; i < 5000; i++) {
		const struct ip_endpoint from = {
			ip_v4(10, (uint8_t)(i >> 12), (uint8_t)(i >> 4), 1), 500};

		memcpy(first.data, &i, sizeof(i));
		first.data[7] = 1;
		assert_true(inject(B, from, first.data, first.size) <= first.size);
	}
	assert_true(view(B).n <=
		    100); /* from there on cookies are asked for, which costs nothing */
	assert_true(ike_counter_get(B->ike, IKE_CNT_COOKIE_SENT) >= 4000);
	/* The configured peer gets through all the same. */
	node_power_off(A);
	assert_true(node_power_on(A));
	assert_true(world_until(w, both_up, span_s(20)));
	world_run(w, span_s(60));
	assert_true(settled(w));
	/* One source alone does not reach far enough to trouble others. */
	for (unsigned i = 0; i < 1000; i++) {
		const struct ip_endpoint from = {ip_v4(10, 0, 0, 1), 500};

		memcpy(first.data, &i, sizeof(i));
		first.data[7] = 2;
		inject(B, from, first.data, first.size);
	}
	assert_true(view(B).n <= 20 + 2);
	assert_true(ike_counter_get(B->ike, IKE_CNT_RX_HALF_OPEN_LIMIT) >= 900);
	world_fini(w);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(truncated), cmocka_unit_test(flipped),
		cmocka_unit_test(replayed),  cmocka_unit_test(every_type_in_every_state),
		cmocka_unit_test(flood),
	};

	return run_group("input", tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
}
