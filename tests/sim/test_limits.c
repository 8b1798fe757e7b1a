/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits: what a core does when it runs out of something, and how much those who have proven nothing
 * may make it say.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/secret.h"
#include "ike/ike_int.h"
#include "tests/sim/world.h"

#define A (&w->node[0])
#define B (&w->node[1])

static struct world the_world;

static void must(struct world *w, bool ok, const char *what)
{
	if (!ok || w->failure[0])
		fail_msg("%s %s", what, w->failure);
}

static uint64_t count(const struct sim_node *n, enum ike_counter c)
{
	return ike_counter_get(n->ike, c);
}

/* ------------------------------------------------------------------ out of room */

/* The one datagram that the filter took out. */
static struct {
	int from;
	uint8_t exchange;
	bool response;
	size_t size;
	uint8_t data[IKE_MESSAGE_MAX];
} taken;

static bool take(struct world *w, int from, const uint8_t *data, size_t size)
{
	(void)w;
	if (taken.size || from != taken.from || data[18] != taken.exchange ||
	    !!(data[19] & IKE_FLAG_RESPONSE) != taken.response)
		return false;
	memcpy(taken.data, data, size);
	taken.size = size;
	return true;
}

static bool has_taken(struct world *w)
{
	(void)w;
	return taken.size;
}

static struct ike_event event_of_taken(struct world *w)
{
	struct ike_event ev = {.type = IKE_EV_PACKET, .now = w->now};

	ev.packet.local = (struct ip_endpoint){w->node[1 - taken.from].addr, IKE_PORT};
	ev.packet.remote = (struct ip_endpoint){w->node[taken.from].addr, IKE_PORT};
	ev.packet.data = taken.data;
	ev.packet.size = taken.size;
	return ev;
}

/* Every action says what it claims to: AUTH without octets would be a signature over nothing. */
static void whole(const struct ike_out *out)
{
	for (size_t i = 0; i < out->n; i++) {
		const struct ike_action *a = &out->actions[i];

		if (a->type == IKE_ACT_AUTH_SIGN || a->type == IKE_ACT_AUTH_VERIFY) {
			assert_non_null(a->auth.octets);
			assert_int_not_equal(a->auth.octets_size, 0);
			assert_true(a->auth.auth || !a->auth.auth_size);
		}
		if (a->type == IKE_ACT_SEND)
			assert_non_null(a->send.data);
	}
}

/* An exchange that needs octets to be signed or verified, with so much room; whether it sufficed. */
static bool without_room(int from, uint8_t exchange, bool response, size_t room)
{
	struct world *w = &the_world;
	struct sim_node *n;
	struct ike_event ev;
	bool enough;

	world_init(w, 3);
	w->esp_period_us = 0;
	memset(&taken, 0, sizeof(taken));
	taken.from = from;
	taken.exchange = exchange;
	taken.response = response;
	w->filter = take;
	must(w, world_start(w), "no start");
	must(w, world_until(w, has_taken, span_s(5)), "nothing sent");
	n = &w->node[1 - from];
	ev = event_of_taken(w);
	n->out.n_bytes = sizeof(n->out.bytes) - room;
	ike_step(n->ike, &ev, &n->out);
	whole(&n->out);
	enough = count(n, IKE_CNT_ACTION_OVERFLOW) == 0;
	assert_int_equal(count_sas(n, 0).ike, enough);
	ike_out_reset(&n->out);
	node_power_off(n); /* its counter would fail the world */
	must(w, node_power_on(n), "no start");
	must(w, world_until(w, settled, span_s(165)), "not settled");
	world_fini(w);
	return enough;
}

static void no_room_for_octets(void **state)
{
	unsigned enough = 0, n = 0;

	(void)state;
	for (size_t room = 0; room < 700; room += 25, n += 3) {
		enough += without_room(1, IKE_SA_INIT, true, room); /* to sign */
		enough += without_room(0, IKE_AUTH, false, room);   /* to verify */
		enough += without_room(1, IKE_AUTH, true, room);
	}
	assert_true(enough > n / 4 && enough < n);
}

/* ------------------------------------------------------------- no way to answer */

/* RFC 5282 3.1: the counter of IVs is used up, so that nothing can be sealed any more. */
static void nothing_can_be_sealed(enum ike_event_type what)
{
	struct world *w = &the_world;
	struct ike_sa *sa;

	world_init(w, 4);
	w->esp_period_us = 0;
	must(w, world_start(w) && world_until(w, settled, span_s(10)), "no start");
	world_run(w, span_s(5));
	sa = ike_tunnel_sa(ike_tunnel_find(B->ike, 0));
	sa->iv_counter = UINT64_MAX;
	if (what == IKE_EV_TICK)
		world_run(w, span_s(6)); /* until the next DPD request of A */
	else
		node_event(A, what, 0);
	world_run(w, span_ms(100));
	must(w, count(B, IKE_CNT_RESOURCES) > 0, "not counted");
	must(w, count_sas(B, 0).live_ike == 0, "an SA that answers nothing");
	must(w, world_until(w, settled, span_s(90)), "not settled");
	world_fini(w);
}

static void no_response(void **state)
{
	(void)state;
	nothing_can_be_sealed(IKE_EV_REKEY_CHILD);
	nothing_can_be_sealed(IKE_EV_REKEY_IKE);
	nothing_can_be_sealed(IKE_EV_TICK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_room_for_octets),
		cmocka_unit_test(no_response),
	};

	if (!secret_init())
		return 1;
	return cmocka_run_group_tests_name("limits", tests, NULL, NULL);
}
