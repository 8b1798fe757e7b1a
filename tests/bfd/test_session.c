/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tests of bfd/: two cores over a wire in virtual time, and single packets with a fault each.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "bfd/bfd.h"

#define N(a)     (sizeof(a) / sizeof((a)[0]))
#define WIRE_MAX 64
#define DELAY_US 500

struct wire_packet {
	struct mono at;
	unsigned to;
	struct ip_addr local, remote; /* as the receiver sees them */
	bool multihop;
	uint8_t data[BFD_PACKET_SIZE];
};

struct end {
	struct bfd *core;
	struct bfd_session_cfg cfg;
	enum bfd_state state;
	struct mono changed, last_sent;
	struct bfd_action last; /* STATE */
	unsigned n_changes, n_sent, n_polls, n_finals;
	uint64_t shortest_ns, longest_ns; /* between two packets */
};

struct world {
	struct end end[2];
	struct mono now;
	struct wire_packet wire[WIRE_MAX];
	size_t n_wire;
	bool cut[2]; /* nothing reaches this end */
	uint32_t rng;
};

static uint32_t draw(void *ctx)
{
	struct world *w = ctx;

	w->rng ^= w->rng << 13;
	w->rng ^= w->rng >> 17;
	w->rng ^= w->rng << 5;
	return w->rng;
}

static void sent(struct world *w, unsigned from, const struct bfd_action *a)
{
	struct end *e = &w->end[from];
	const uint64_t ns = mono_since(w->now, e->last_sent).ns;

	if (e->n_sent++) {
		e->shortest_ns = ns < e->shortest_ns ? ns : e->shortest_ns;
		e->longest_ns = ns > e->longest_ns ? ns : e->longest_ns;
	}
	e->last_sent = w->now;
	e->n_polls += (a->send.data[1] & 0x20) != 0;
	e->n_finals += (a->send.data[1] & 0x10) != 0;
	assert_int_not_equal(a->send.data[1] & 0x30, 0x30); /* RFC 5880 4.1: never both */
	if (w->cut[!from])
		return;
	assert_true(w->n_wire < WIRE_MAX);
	w->wire[w->n_wire] = (struct wire_packet){
		.at = mono_add(w->now, span_us(DELAY_US)),
		.to = !from,
		.local = a->send.remote,
		.remote = a->send.local,
		.multihop = a->send.multihop,
	};
	memcpy(w->wire[w->n_wire++].data, a->send.data, BFD_PACKET_SIZE);
}

static void carry_out(struct world *w, unsigned who, struct bfd_out *out)
{
	assert_false(out->overflow);
	for (size_t i = 0; i < out->n; i++) {
		const struct bfd_action *a = &out->actions[i];

		if (a->type == BFD_ACT_SEND) {
			sent(w, who, a);
			continue;
		}
		assert_int_equal(a->state.from, w->end[who].state);
		w->end[who].state = a->state.to;
		w->end[who].changed = w->now;
		w->end[who].last = *a;
		w->end[who].n_changes++;
	}
	bfd_out_fini(out);
}

static void step(struct world *w, unsigned who, struct bfd_event ev)
{
	struct bfd_out out = {0};

	ev.now = w->now;
	bfd_step(w->end[who].core, &ev, &out);
	carry_out(w, who, &out);
}

static void configure(struct world *w, unsigned who, size_t n)
{
	struct bfd_out out = {0};

	assert_true(bfd_configure(w->end[who].core, &w->end[who].cfg, n, w->now, &out));
	carry_out(w, who, &out);
}

static void deliver(struct world *w)
{
	const struct wire_packet p = w->wire[0];
	struct bfd_event ev = {.type = BFD_EV_PACKET};

	w->n_wire--;
	memmove(w->wire, w->wire + 1, w->n_wire * sizeof(w->wire[0]));
	ev.packet.local = p.local;
	ev.packet.remote = p.remote;
	ev.packet.multihop = p.multihop;
	ev.packet.ttl = 255;
	ev.packet.data = p.data;
	ev.packet.size = BFD_PACKET_SIZE;
	if (!w->cut[p.to])
		step(w, p.to, ev);
}

static void run(struct world *w, struct mono_span time)
{
	const struct mono end = mono_add(w->now, time);

	for (;;) {
		struct mono next = w->n_wire ? w->wire[0].at : MONO_NEVER;
		unsigned who = 2;

		for (unsigned i = 0; i < 2; i++) {
			if (mono_before(bfd_deadline(w->end[i].core), next)) {
				next = bfd_deadline(w->end[i].core);
				who = i;
			}
		}
		if (mono_before(end, next))
			break;
		w->now = mono_before(next, w->now) ? w->now : next;
		if (who == 2)
			deliver(w);
		else
			step(w, who, (struct bfd_event){.type = BFD_EV_TICK});
	}
	w->now = end;
}

static void reset_counts(struct world *w)
{
	for (unsigned i = 0; i < 2; i++) {
		w->end[i].n_sent = w->end[i].n_polls = w->end[i].n_finals = 0;
		w->end[i].n_changes = 0;
		w->end[i].shortest_ns = UINT64_MAX;
		w->end[i].longest_ns = 0;
	}
}

static struct world *world_new(void)
{
	struct world *w = calloc(1, sizeof(*w));

	w->rng = 2463534242u;
	w->now = mono_add((struct mono){0}, span_s(1000));
	for (unsigned i = 0; i < 2; i++) {
		w->end[i].core = bfd_new(draw, w, NULL);
		w->end[i].state = BFD_DOWN;
		w->end[i].cfg = (struct bfd_session_cfg){
			.name = "site-a-1",
			.session = 7 + i,
			.local = ip_v4(169, 254, 10, (uint8_t)(1 + i)),
			.remote = ip_v4(169, 254, 10, (uint8_t)(2 - i)),
			.tx = span_ms(50),
			.rx = span_ms(50),
			.multiplier = 3,
		};
	}
	reset_counts(w);
	return w;
}

static void world_free(struct world *w)
{
	for (unsigned i = 0; i < 2; i++)
		bfd_free(w->end[i].core);
	free(w);
}

static struct world *world_up(void)
{
	struct world *w = world_new();

	configure(w, 0, 1);
	configure(w, 1, 1);
	run(w, span_s(3));
	assert_int_equal(w->end[0].state, BFD_UP);
	assert_int_equal(w->end[1].state, BFD_UP);
	run(w, span_s(1)); /* past the polls */
	reset_counts(w);
	return w;
}

static struct bfd_show shown(const struct world *w, unsigned who)
{
	struct bfd_show s;

	assert_true(bfd_show(w->end[who].core, w->end[who].cfg.session, &s));
	return s;
}

/* RFC 5880 6.2: Down, Init, Up on both ends; slowly before, by the configuration after. */
static void test_comes_up(void **state)
{
	struct world *w = world_new();

	configure(w, 0, 1);
	run(w, span_s(5)); /* nobody there: no more than one packet a second (6.8.3) */
	assert_int_equal(w->end[0].state, BFD_DOWN);
	assert_in_range(w->end[0].n_sent, 5, 7);
	configure(w, 1, 1);
	run(w, span_ms(1100));
	assert_int_equal(w->end[0].state, BFD_UP);
	assert_int_equal(w->end[1].state, BFD_UP);
	assert_int_equal(shown(w, 0).remote_discriminator, shown(w, 1).local_discriminator);
	world_free(w);
}

/* RFC 5880 6.8.7: 75 to 100 % of the interval, not all alike. */
static void test_jitter(void **state)
{
	struct world *w = world_up();

	run(w, span_s(20));
	for (unsigned i = 0; i < 2; i++) {
		assert_in_range(w->end[i].n_sent, 20000 / 50, 20000 * 4 / (50 * 3));
		assert_true(w->end[i].shortest_ns >= span_us(37500).ns);
		assert_true(w->end[i].shortest_ns < span_us(38500).ns);
		assert_true(w->end[i].longest_ns <= span_ms(50).ns);
		assert_true(w->end[i].longest_ns > span_us(49000).ns);
		assert_int_equal(w->end[i].n_changes, 0);
	}
	world_free(w);
}

/* RFC 5880 6.8.7: with a multiplier of 1 no more than 90 %. */
static void test_jitter_of_one(void **state)
{
	struct world *w = world_new();

	w->end[0].cfg.multiplier = w->end[1].cfg.multiplier = 1;
	configure(w, 0, 1);
	configure(w, 1, 1);
	run(w, span_s(4));
	reset_counts(w);
	run(w, span_s(20));
	assert_int_equal(w->end[0].n_changes, 0);
	assert_true(w->end[0].longest_ns <= span_ms(45).ns);
	world_free(w);
}

/* RFC 5880 6.8.4: silence ends the session after the peer's multiplier times the interval. */
static void test_detection(void **state)
{
	struct world *w = world_up();
	const struct mono cut_at = w->now;
	uint64_t ms;

	w->cut[0] = w->cut[1] = true;
	run(w, span_s(1));
	for (unsigned i = 0; i < 2; i++) {
		ms = span_to_ms(mono_since(w->end[i].changed, cut_at));
		assert_int_equal(w->end[i].state, BFD_DOWN);
		assert_int_equal(w->end[i].last.state.diagnostic, 1);
		assert_false(w->end[i].last.state.peer_admin_down);
		assert_in_range(ms, 100, 151);
	}
	w->cut[0] = w->cut[1] = false;
	run(w, span_s(3));
	assert_int_equal(w->end[0].state, BFD_UP);
	assert_int_equal(w->end[1].state, BFD_UP);
	world_free(w);
}

/* One end hears nothing: the other learns it by the state of what comes (diagnostic 3). */
static void test_one_way(void **state)
{
	struct world *w = world_up();

	w->cut[0] = true;
	run(w, span_ms(200));
	assert_int_equal(w->end[0].state, BFD_DOWN);
	assert_int_equal(w->end[0].last.state.diagnostic, 1);
	assert_int_equal(w->end[1].state, BFD_DOWN);
	assert_int_equal(w->end[1].last.state.diagnostic, 3);
	assert_int_equal(w->end[1].last.state.remote_diagnostic, 1);
	world_free(w);
}

/* RFC 5880 6.8.4: detection goes by the slower of what one end takes and the other sends. */
static void test_uneven_timers(void **state)
{
	struct world *w = world_new();

	w->end[0].cfg.tx = span_ms(300);
	w->end[0].cfg.multiplier = 5;
	w->end[1].cfg.rx = span_ms(100);
	configure(w, 0, 1);
	configure(w, 1, 1);
	run(w, span_s(5));
	assert_int_equal(shown(w, 0).tx.ns, span_ms(300).ns);
	assert_int_equal(shown(w, 1).detection.ns, span_ms(1500).ns);
	assert_int_equal(shown(w, 1).tx.ns, span_ms(50).ns);
	assert_int_equal(shown(w, 0).detection.ns, span_ms(150).ns);
	world_free(w);
}

/* RFC 5880 6.5, 6.8.3: new timers are polled for and the session stays up, slower or faster. */
static void test_new_timers(void **state)
{
	static const unsigned ms[] = {400, 20, 50, 1000};
	struct world *w = world_up();

	for (size_t i = 0; i < N(ms); i++) {
		w->end[0].cfg.tx = w->end[0].cfg.rx = span_ms(ms[i]);
		configure(w, 0, 1);
		run(w, span_s(4));
		assert_int_equal(shown(w, 0).tx.ns, span_ms(ms[i] < 50 ? 50 : ms[i]).ns);
		assert_int_equal(shown(w, 1).tx.ns, span_ms(ms[i] < 50 ? 50 : ms[i]).ns);
	}
	assert_int_equal(w->end[0].n_changes + w->end[1].n_changes, 0);
	assert_true(w->end[0].n_polls >= N(ms));
	assert_int_equal(w->end[1].n_finals, w->end[0].n_polls);
	world_free(w);
}

/* RFC 5880 6.8.16, RFC 5882 3.2: the other end is told, and told that it is no failure. */
static void test_admin_down(void **state)
{
	struct world *w = world_up();

	step(w, 0, (struct bfd_event){.type = BFD_EV_ADMIN_DOWN, .session = 7});
	run(w, span_ms(10));
	assert_int_equal(w->end[0].state, BFD_ADMIN_DOWN);
	assert_int_equal(w->end[1].state, BFD_DOWN);
	assert_true(w->end[1].last.state.peer_admin_down);
	run(w, span_s(5));
	assert_int_equal(w->end[0].state, BFD_ADMIN_DOWN);
	assert_int_equal(w->end[1].state, BFD_DOWN);
	assert_true(bfd_dropped(w->end[0].core, BFD_DROP_ADMIN_DOWN) > 0);
	step(w, 0, (struct bfd_event){.type = BFD_EV_ADMIN_UP, .session = 7});
	run(w, span_s(3));
	assert_int_equal(w->end[0].state, BFD_UP);
	assert_int_equal(w->end[1].state, BFD_UP);
	world_free(w);
}

/* A session that is no longer configured ends without looking like a failure. */
static void test_removed(void **state)
{
	struct world *w = world_up();

	configure(w, 0, 0);
	run(w, span_ms(10));
	assert_int_equal(w->end[1].state, BFD_DOWN);
	assert_true(w->end[1].last.state.peer_admin_down);
	assert_false(bfd_show(w->end[0].core, 7, &(struct bfd_show){0}));
	run(w, span_s(1));
	assert_true(bfd_dropped(w->end[0].core, BFD_DROP_NO_SESSION) > 0);
	world_free(w);
}

static void test_path_down(void **state)
{
	struct world *w = world_up();

	step(w, 1, (struct bfd_event){.type = BFD_EV_PATH_DOWN, .session = 8});
	assert_int_equal(w->end[1].state, BFD_DOWN);
	assert_int_equal(w->end[1].last.state.diagnostic, 5);
	run(w, span_us(DELAY_US));
	assert_int_equal(w->end[0].last.state.to, BFD_DOWN);
	assert_int_equal(w->end[0].last.state.remote_diagnostic, 5);
	world_free(w);
}

/* RFC 5880 6.1: a passive end is silent until it hears of the peer; two of them stay apart. */
static void test_passive(void **state)
{
	struct world *w = world_new();

	w->end[0].cfg.passive = w->end[1].cfg.passive = true;
	configure(w, 0, 1);
	configure(w, 1, 1);
	run(w, span_s(10));
	assert_int_equal(w->end[0].n_sent + w->end[1].n_sent, 0);
	world_free(w);

	w = world_new();
	w->end[0].cfg.passive = true;
	configure(w, 0, 1);
	configure(w, 1, 1);
	run(w, span_s(3));
	assert_int_equal(w->end[0].state, BFD_UP);
	w->cut[0] = true;
	run(w, span_s(1));
	reset_counts(w);
	run(w, span_s(10));
	assert_int_equal(w->end[0].n_sent, 0);
	world_free(w);
}

/* RFC 5880 6.8.6, RFC 5881 5: each fault has its counter and no effect. */
static void test_malformed(void **state)
{
	static const struct {
		const char *what;
		unsigned at;
		uint8_t value;
		size_t size;
		uint8_t ttl;
		bool multihop;
		enum bfd_drop drop;
	} rows[] = {
		{"ttl 254", 0, 0x20, 24, 254, false, BFD_DROP_TTL},
		{"empty", 0, 0x20, 0, 255, false, BFD_DROP_SHORT},
		{"23 bytes", 0, 0x20, 23, 255, false, BFD_DROP_SHORT},
		{"version 0", 0, 0x00, 24, 255, false, BFD_DROP_VERSION},
		{"version 2", 0, 0x40, 24, 255, false, BFD_DROP_VERSION},
		{"length 23", 3, 23, 24, 255, false, BFD_DROP_LENGTH},
		{"length beyond the datagram", 3, 25, 24, 255, false, BFD_DROP_LENGTH},
		{"authentication, length 24", 1, 0xc4, 24, 255, false, BFD_DROP_LENGTH},
		{"multiplier 0", 2, 0, 24, 255, false, BFD_DROP_MULTIPLIER},
		{"multipoint", 1, 0xc1, 24, 255, false, BFD_DROP_MULTIPOINT},
		{"my discriminator 0", 4, 0, 24, 255, false, BFD_DROP_MY_DISCRIMINATOR},
		{"another discriminator", 8, 0xee, 24, 255, false, BFD_DROP_NO_SESSION},
		{"by the multihop port", 0, 0x20, 24, 255, true, BFD_DROP_NO_SESSION},
	};
	struct world *w = world_up();
	const uint32_t ours = shown(w, 0).local_discriminator;
	const uint8_t good[BFD_PACKET_SIZE] = {
		0x20,
		0x40,
		3,
		24,
		0,
		0,
		0,
		0x99, /* Down: it would end the session */
		(uint8_t)(ours >> 24),
		(uint8_t)(ours >> 16),
		(uint8_t)(ours >> 8),
		(uint8_t)ours,
		0,
		0,
		0xc3,
		0x50,
		0,
		0,
		0xc3,
		0x50,
	};

	for (size_t i = 0; i < N(rows); i++) {
		const uint64_t before = bfd_dropped(w->end[0].core, rows[i].drop);
		struct bfd_event ev = {.type = BFD_EV_PACKET};
		uint8_t data[BFD_PACKET_SIZE];

		memcpy(data, good, sizeof(data));
		data[rows[i].at] = rows[i].value;
		if (rows[i].drop == BFD_DROP_MY_DISCRIMINATOR)
			data[7] = 0;
		ev.packet.local = w->end[0].cfg.local;
		ev.packet.remote = w->end[0].cfg.remote;
		ev.packet.ttl = rows[i].ttl;
		ev.packet.multihop = rows[i].multihop;
		ev.packet.data = data;
		ev.packet.size = rows[i].size;
		step(w, 0, ev);
		if (bfd_dropped(w->end[0].core, rows[i].drop) != before + 1)
			fail_msg("%s: not counted as %s", rows[i].what,
				 bfd_drop_name(rows[i].drop));
		assert_int_equal(w->end[0].state, BFD_UP);
	}
	world_free(w);
}

static uint32_t constant(void *ctx)
{
	return 0x12345678;
}

/* RFC 5883: by the multihop port alone, and from no farther away than configured. */
static void test_multihop(void **state)
{
	static const struct {
		uint8_t ttl;
		bool multihop;
		enum bfd_drop drop;
	} rows[] = {
		{254, true, BFD_DROP_END},         {255, true, BFD_DROP_END},
		{253, true, BFD_DROP_TTL},         {254, false, BFD_DROP_TTL},
		{255, false, BFD_DROP_NO_SESSION},
	};
	static const uint8_t down[BFD_PACKET_SIZE] = {
		0x20, 0x40, 3, 24, 0, 0, 0, 0x99, 0, 0, 0, 0, 0, 0, 0xc3, 0x50, 0, 0, 0xc3, 0x50,
	};

	for (size_t i = 0; i < N(rows); i++) {
		struct bfd *b = bfd_new(constant, NULL, NULL);
		struct bfd_session_cfg cfg = {
			.name = "t",
			.session = 3,
			.multihop = true,
			.min_ttl = 254,
			.tx = span_ms(50),
			.rx = span_ms(50),
			.multiplier = 3,
		};
		struct bfd_event ev = {.type = BFD_EV_PACKET, .now = {.ns = 10000000}};
		struct bfd_out out = {0};
		struct bfd_show show;

		assert_true(ip_parse("169.254.10.1", &cfg.local));
		assert_true(ip_parse("10.2.0.9", &cfg.remote));
		assert_true(bfd_configure(b, &cfg, 1, (struct mono){.ns = 1000000}, &out));
		ev.packet.local = cfg.local;
		ev.packet.remote = cfg.remote;
		ev.packet.ttl = rows[i].ttl;
		ev.packet.multihop = rows[i].multihop;
		ev.packet.data = down;
		ev.packet.size = sizeof(down);
		bfd_step(b, &ev, &out);
		assert_true(bfd_show(b, 3, &show));
		assert_int_equal(show.state, rows[i].drop == BFD_DROP_END ? BFD_INIT : BFD_DOWN);
		if (rows[i].drop != BFD_DROP_END)
			assert_int_equal(bfd_dropped(b, rows[i].drop), 1);
		bfd_out_fini(&out);
		bfd_free(b);
	}
}

/* Your Discriminator zero: only a peer that has forgotten us, or from another address, nobody. */
static void test_peer_restarts(void **state)
{
	struct world *w = world_up();
	const uint32_t old = shown(w, 0).remote_discriminator;

	bfd_free(w->end[1].core);
	w->end[1].core = bfd_new(draw, w, NULL);
	w->end[1].state = BFD_DOWN;
	configure(w, 1, 1);
	run(w, span_s(3));
	assert_int_equal(w->end[0].state, BFD_UP);
	assert_int_equal(w->end[1].state, BFD_UP);
	assert_int_not_equal(shown(w, 0).remote_discriminator, old);
	assert_int_equal(shown(w, 0).flaps, 1);
	world_free(w);
}

/* Slots and discriminators of many sessions, some of them replaced. */
static void test_many(void **state)
{
	enum { MANY = 300 };
	struct world *w = world_new();
	struct bfd_session_cfg *cfgs = calloc(MANY, sizeof(*cfgs));
	struct bfd_out out = {0};
	struct bfd_show s;

	for (unsigned i = 0; i < MANY; i++) {
		cfgs[i] = w->end[0].cfg;
		cfgs[i].session = i;
		cfgs[i].remote = ip_v4(169, 254, (uint8_t)(20 + i / 250), (uint8_t)(1 + i % 250));
	}
	assert_true(bfd_configure(w->end[0].core, cfgs, MANY, w->now, &out));
	for (unsigned i = 0; i < MANY; i += 2)
		cfgs[i].local = ip_v4(169, 254, 11, 1);
	assert_true(bfd_configure(w->end[0].core, cfgs, MANY, w->now, &out));
	for (unsigned i = 0; i < MANY; i++) {
		assert_true(bfd_show(w->end[0].core, i, &s));
		assert_int_not_equal(s.local_discriminator, 0);
		assert_true(ip_equal(&s.cfg->local, &cfgs[i].local));
	}
	bfd_out_fini(&out);
	free(cfgs);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_comes_up),      cmocka_unit_test(test_jitter),
		cmocka_unit_test(test_jitter_of_one), cmocka_unit_test(test_detection),
		cmocka_unit_test(test_one_way),       cmocka_unit_test(test_uneven_timers),
		cmocka_unit_test(test_new_timers),    cmocka_unit_test(test_admin_down),
		cmocka_unit_test(test_removed),       cmocka_unit_test(test_path_down),
		cmocka_unit_test(test_passive),       cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_multihop),      cmocka_unit_test(test_peer_restarts),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
