/* SPDX-License-Identifier: Apache-2.0 */
/* Scenarios of puzzles (RFC 8019): asked, solved, not solved, hostile. The table at the end names them. */
#include <string.h>
#include "ike/ike_int.h"
#include "tests/sim/scenario.h"

static void crowd(struct world *w)
{
	w->esp_period_us = 0;
	B->limits.puzzles = true;
	B->limits.puzzle_threshold = 0;
}

static void solved(struct world *w)
{
	crowd(w);
	connect_pair(w);
	must(w, count(B, IKE_CNT_PUZZLE_SENT) == 1 && count(A, IKE_CNT_PUZZLE_SOLVED) == 1,
	     "no puzzle");
	must(w, B->n_events[IKE_HAP_PUZZLES_ON] == 1, "not told");
}

static void solved_under_loss(struct world *w)
{
	crowd(w);
	w->faults.loss = 30;
	w->faults.duplicate = 30;
	must(w, world_start(w), "no start");
	must_settle(w, 90);
	must(w, count(A, IKE_CNT_PUZZLE_SOLVED) >= 1, "no puzzle");
}

/* INVALID_KE_PAYLOAD after it: the cookie and the solution are good for the next request as well. */
static void another_group(struct world *w)
{
	static const struct ike_suite both[] = {
		{IKE_ENCR_AES_GCM_16, 256, IKE_PRF_HMAC_SHA2_256, 0, IKE_DH_ECP_256, 0},
		{IKE_ENCR_AES_GCM_16, 256, IKE_PRF_HMAC_SHA2_256, 0, IKE_DH_CURVE25519, 0},
	};

	crowd(w);
	A->cfg[0].ike_algs = ike_algs_of(both, 2);
	B->cfg[0].ike_algs = ike_algs_of(both + 1, 1);
	connect_pair(w);
	must(w, count(B, IKE_CNT_INVALID_KE) == 1 && count(A, IKE_CNT_PUZZLE_SOLVED) == 1,
	     "not as planned");
}

/* ------------------------------------------------------- requests that are written by hand */

static struct {
	size_t size;
	uint8_t data[IKE_INIT_MAX];
} held;

/* The first request that carries a solution. */
static bool hold_solution(struct world *w, int from, const uint8_t *data, size_t size)
{
	struct ike_msg m;

	(void)w;
	if (from != 0 || held.size || ike_msg_parse(data, size, &m) != IKE_OK ||
	    !(m.present & IKE_HAS_PS))
		return false;
	memcpy(held.data, data, size);
	held.size = size;
	return true;
}

static bool has_held(struct world *w)
{
	(void)w;
	return held.size != 0;
}

static void hold(struct world *w)
{
	held.size = 0;
	crowd(w);
	w->filter = hold_solution;
	must(w, world_start(w), "no start");
	must(w, world_until(w, has_held, span_s(20)), "no solution");
	node_power_off(A);
}

static void give_b(struct world *w, const uint8_t *data, size_t size)
{
	struct ike_event ev = {.type = IKE_EV_PACKET, .now = node_now(B)};

	ev.packet.local = (struct ip_endpoint){B->addr, IKE_PORT};
	ev.packet.remote = (struct ip_endpoint){A->addr, IKE_PORT};
	ev.packet.data = data;
	ev.packet.size = size;
	node_step(B, &ev);
}

/* Requirements: RFC8019-7.1.4-check */
static void wrong_solutions(struct world *w)
{
	uint8_t mutant[IKE_INIT_MAX];
	struct ike_msg m;
	size_t at;

	hold(w);
	must(w, ike_msg_parse(held.data, held.size, &m) == IKE_OK, "malformed");
	at = (size_t)(m.ps.p - held.data);
	for (size_t i = 0; i < m.ps.size; i++) {
		memcpy(mutant, held.data, held.size);
		mutant[at + i] ^= 0x10;
		give_b(w, mutant, held.size);
		must(w, B->ike->n_half_open == 0, "a wrong solution is served");
	}
	must(w, count(B, IKE_CNT_RX_PUZZLE) == m.ps.size, "not counted");
	give_b(w, held.data, held.size);
	must(w, B->ike->n_half_open == 1, "the right one is not");
}

/* Without a solution: a few, and then as many as time allows. */
static void unsolved(struct world *w)
{
	uint8_t without[IKE_INIT_MAX];
	struct wr length;
	struct ike_msg m;
	size_t from, to;

	hold(w);
	must(w, ike_msg_parse(held.data, held.size, &m) == IKE_OK, "malformed");
	from = (size_t)(m.ps.p - held.data) - 4;
	to = from + 4 + m.ps.size;
	memcpy(without, held.data, held.size);
	without[IKE_HEADER_SIZE] = held.data[from]; /* the cookie's next payload */
	memmove(without + from, without + to, held.size - to);
	length = wr_of(without + 24, 4);
	wr_u32(&length, (uint32_t)(held.size - (to - from)));
	B->limits.max_half_open_source = B->ike->limits.max_half_open_source = 1000;
	for (unsigned i = 0; i < 100; i++) {
		/* Told apart by what follows the key exchange data; the cookie does not cover it. */
		without[held.size - (to - from) - 1] = (uint8_t)i;
		give_b(w, without, held.size - (to - from));
	}
	must(w, B->ike->n_half_open == 10, "too many or too few");
	world_run(w, span_s(1));
	for (unsigned i = 100; i < 200; i++) {
		without[held.size - (to - from) - 1] = (uint8_t)i;
		give_b(w, without, held.size - (to - from));
	}
	must(w, B->ike->n_half_open == 20, "too many or too few later");
}

/* Requirements: RFC8019-7.1.1-prf */
static void difficulty(struct world *w)
{
	uint8_t last = 0;

	crowd(w);
	connect_pair(w);
	B->ike->limits.puzzle_threshold = 500;
	B->ike->limits.max_half_open = 1000;
	for (uint32_t n = 0; n <= 1500; n++) {
		B->ike->n_half_open = n;
		must(w, ike_puzzle_bits(B->ike) >= last, "easier with a larger crowd");
		last = ike_puzzle_bits(B->ike);
		must(w, n > 500 || last == 10, "harder than it need be");
	}
	must(w, last == 16, "not the hardest");
	B->ike->limits.max_half_open = 100;
	must(w, ike_puzzle_bits(B->ike) == 10, "beyond the limit");
	B->ike->n_half_open = 0;
}

/* ------------------------------------------------------------------ hostile puzzles */

static struct {
	uint8_t data[8];
	size_t size, cookie_size;
	bool ready;
	uint64_t spi_i;
} lie;

static bool hold_request(struct world *w, int from, const uint8_t *data, size_t size)
{
	(void)w;
	if (from != 0 || size < IKE_HEADER_SIZE || data[18] != IKE_SA_INIT)
		return false;
	if (!lie.ready) {
		struct rd r = rd_of(data, size);

		lie.ready = rd_u64(&r, &lie.spi_i);
	}
	return true; /* B hears nothing until the lie is told */
}

static bool lie_ready(struct world *w)
{
	(void)w;
	return lie.ready;
}

static void tell_lie(struct world *w)
{
	const struct ike_header h = {
		.spi_i = lie.spi_i,
		.version = IKE_VERSION_2,
		.exchange = IKE_SA_INIT,
		.flags = IKE_FLAG_RESPONSE,
	};
	struct ike_event ev = {.type = IKE_EV_PACKET, .now = node_now(A)};
	static const uint8_t cookie[80] = {1, 2, 3};
	uint8_t buf[256];
	struct ike_builder b;

	ike_build_open(&b, buf, sizeof(buf), &h);
	ike_build_notify(&b, IKE_PROTO_NONE, NULL, 0, IKE_N_COOKIE, cookie, lie.cookie_size);
	ike_build_notify(&b, IKE_PROTO_NONE, NULL, 0, IKE_N_PUZZLE, lie.data, lie.size);
	ev.packet.local = (struct ip_endpoint){A->addr, IKE_PORT};
	ev.packet.remote = (struct ip_endpoint){B->addr, IKE_PORT};
	ev.packet.data = buf;
	ev.packet.size = ike_build_close(&b);
	node_step(A, &ev);
}

/* Whatever somebody asks for, the honest answer is found. */
/* Requirements: RFC8019-7.1.2-bound */
static void hostile(struct world *w)
{
	static const struct {
		uint8_t data[8];
		size_t size, cookie_size;
		bool solves;
	} lies[] = {
		{{0, 5, 255}, 3, 16, false}, {{0, 5, 19}, 3, 16, false},
		{{0, 5, 10}, 3, 0, false},   {{0, 5, 10}, 3, 65, false},
		{{0, 5}, 2, 16, false},      {{0, 5, 10, 1}, 4, 16, false},
		{{0}, 0, 16, false},         {{0, 8, 10}, 3, 16, false},
		{{0, 7, 10}, 3, 16, false},  {{0, 5, 0}, 3, 16, true},
		{{0, 6, 9}, 3, 16, true},
	};

	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		world_fini(w);
		world_init(w, 7 + i);
		w->esp_period_us = 0;
		memset(&lie, 0, sizeof(lie));
		memcpy(lie.data, lies[i].data, sizeof(lie.data));
		lie.size = lies[i].size;
		lie.cookie_size = lies[i].cookie_size;
		w->filter = hold_request;
		must(w, world_start(w), "no start");
		must(w, world_until(w, lie_ready, span_s(1)), "no request");
		for (unsigned n = 0; n < 20; n++)
			tell_lie(w);
		w->filter = NULL;
		must_settle(w, 20);
		must(w, (count(A, IKE_CNT_PUZZLE_SOLVED) == 1) == lies[i].solves,
		     "solved, or not, against the plan");
		must(w, lies[i].solves || count(A, IKE_CNT_PUZZLE_TOO_HARD) > 0, "not counted");
	}
}

/* A tunnel that is taken away while it solves one. */
static void taken_away(struct world *w)
{
	memset(&lie, 0, sizeof(lie));
	memcpy(lie.data, (uint8_t[]){0, 5, 18}, 3);
	lie.size = 3;
	lie.cookie_size = 16;
	w->filter = hold_request;
	must(w, world_start(w), "no start");
	must(w, world_until(w, lie_ready, span_s(1)), "no request");
	tell_lie(w);
	world_run(w, span_ms(20));
	node_event(A, IKE_EV_TERMINATE, 0);
	must(w, world_until(w, both_empty, span_s(2)), "something is left");
	w->filter = NULL;
	node_event(A, IKE_EV_INITIATE, 0);
	must_settle(w, 20);
}

static const struct scenario scenarios[] = {
	{"solved", solved},
	{"solved under loss and duplicates", solved_under_loss},
	{"INVALID_KE_PAYLOAD after the solution", another_group},
	{"wrong solutions", wrong_solutions},
	{"no solution", unsolved},
	{"difficulty", difficulty},
	{"hostile puzzles", hostile},
	{"taken away while it is solved", taken_away},
};

int main(int argc, char **argv)
{
	return run_scenarios("puzzles", scenarios, sizeof(scenarios) / sizeof(scenarios[0]), argc,
			     argv);
}
