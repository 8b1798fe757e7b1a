/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of dataplane/path_mtu.h: who is believed, how far, and how long. The clock is the test's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/log.h"
#include "base/secret.h"
#include "base/sum.h"
#include "dataplane/aeads.h"
#include "dataplane/dp.h"
#include "esp/esp_int.h"

#define TUNNELS 4u
#define SAS     16u
#define SPI     0x12345678u
#define SLOT    5u
#define SENT    1000u /* packets that have left by the SA */

static struct dp dp;
static struct dp_worker worker;
static struct dp_grace_item items[256];

struct way {
	const char *local, *remote, *router;
	uint16_t local_port, remote_port; /* of UDP; 0: native */
};
static const struct way ways[] = {
	{"192.0.2.1", "198.51.100.1", "203.0.113.9", 0, 0},
	{"192.0.2.1", "198.51.100.1", "203.0.113.9", 4500, 40123},
	{"2001:db8::1", "2001:db8:f::1", "2001:db8:9::9", 0, 0},
	{"2001:db8::1", "2001:db8:f::1", "2001:db8:9::9", 4500, 4500},
};
#define N_WAYS (sizeof(ways) / sizeof(ways[0]))

static struct ip_addr addr_of(const char *text)
{
	struct ip_addr a;

	assert_true(ip_parse(text, &a));
	return a;
}

static struct dp_endpoint endpoint(const char *text, uint16_t port)
{
	const struct ip_addr a = addr_of(text);
	struct dp_endpoint e = {.port = port};

	e.addr.family = a.family == IP_V4 ? 4 : 6;
	memcpy(e.addr.b, a.b, sizeof(e.addr.b));
	return e;
}

/* As if it had sent all numbers before this one; 0: nothing yet. */
static void has_sent(uint32_t slot, uint64_t next)
{
	struct esp_out *sa = dp_out_esp(dp.sas.out[slot]);

	sa->first_seq = 1;
	sa->line.next_seq = next ? next : 1;
}

static void install(const struct way *y, uint32_t slot, uint32_t spi, uint32_t tunnel)
{
	const struct dp_sa_ref ref = {.slot = slot, .tunnel = tunnel};
	struct dp_sa m = {
		.slot = slot,
		.spi = spi,
		.tunnel = tunnel,
		.flags = y->local_port ? DP_SA_UDP_ENCAP : 0,
		.encr = 20,
		.encr_key_bits = 128,
		.n_ts = 1,
		.first_seq = 1,
		.local = endpoint(y->local, y->local_port),
		.remote = endpoint(y->remote, y->remote_port),
	};

	m.ts[0].local_first = m.ts[0].remote_first = endpoint("0.0.0.0", 0).addr;
	m.ts[0].local_last = m.ts[0].remote_last = endpoint("255.255.255.255", 0).addr;
	m.ts[0].local_port_last = m.ts[0].remote_port_last = UINT16_MAX;
	assert_int_equal(dp_sa_add_out(&dp, &m), DP_OK);
	assert_int_equal(dp_sa_switch(&dp, &ref), DP_OK);
	has_sent(slot, SENT + 1);
}

static int begin(void **state)
{
	const size_t size = dp_stats_size(SAS, TUNNELS);

	memset(&dp, 0, sizeof(dp));
	memset(&worker, 0, sizeof(worker));
	dp.n_workers = 1;
	dp.workers[0] = &worker;
	dp.now = mono_add((struct mono){0}, span_s(1000));
	dp.learn_path_mtu = true;
	dp.stats = calloc(1, size);
	dp.mgr_stats = &dp.stats->workers[1];
	dp.stats->sas_offset = (sizeof(struct dp_stats) + 127) & ~(uint64_t)127;
	dp.stats->tunnels_offset = dp.stats->sas_offset + SAS * sizeof(struct dp_stats_sa);
	dp.grace.qsbr = aligned_alloc(RTE_CACHE_LINE_SIZE, rte_rcu_qsbr_get_memsize(1));
	dp.grace.items = items;
	dp.grace.size = sizeof(items) / sizeof(items[0]);
	worker.out = calloc(TUNNELS, sizeof(struct dp_out *));
	return dp.grace.qsbr && rte_rcu_qsbr_init(dp.grace.qsbr, 1) == 0 &&
			       dp_tunnels_init(&dp.tunnels, TUNNELS) && dp_sas_init(&dp.sas, SAS) &&
			       dp_netlink_init(&dp.netlink) && dp_aeads_pick(&dp.esp, "openssl")
		       ? 0
		       : -1;
}

static int finish(void **state)
{
	dp_sa_flush(&dp);
	dp_grace_drain(&dp.grace);
	dp_sas_fini(&dp);
	dp_tunnels_fini(&dp.tunnels);
	dp_netlink_fini(&dp.netlink);
	dp_aeads_fini(&dp.esp);
	free(worker.out);
	free(dp.grace.qsbr);
	free(dp.stats);
	return 0;
}

/* A message of a router, and what is to be wrong with it. */
struct news {
	uint32_t mtu, quoted_size, spi, seq;
	uint32_t cut;                      /* bytes of the quote; 0: 64 */
	uint8_t type, code;                /* 0: right ones */
	bool bad_sum, may_fragment, later; /* later: the quote is of a further fragment */
	bool v6_fragment;                  /* with a fragment header */
	const char *local, *remote;        /* NULL: the SA's */
	int port_add;                      /* to the local port */
};

static uint8_t packet[2048];

/* Writes the quoted packet; returns its size. */
static uint32_t quote(uint8_t *p, const struct way *y, const struct news *n)
{
	const struct ip_addr local = addr_of(n->local ? n->local : y->local);
	const struct ip_addr remote = addr_of(n->remote ? n->remote : y->remote);
	const uint8_t protocol = y->local_port ? IPPROTO_UDP : IPPROTO_ESP;
	uint8_t *at = p;

	memset(p, 0, 64);
	if (local.family == IP_V4) {
		p[0] = 0x45;
		dp_put16(p + 2, (uint16_t)n->quoted_size);
		dp_put16(p + 6, (uint16_t)((n->may_fragment ? 0 : 0x4000) | (n->later ? 8 : 0)));
		p[9] = protocol;
		memcpy(p + 12, local.b, 4);
		memcpy(p + 16, remote.b, 4);
		at += 20;
	} else {
		p[0] = 0x60;
		dp_put16(p + 4, (uint16_t)(n->quoted_size - 40));
		p[6] = n->v6_fragment ? 44 : protocol;
		memcpy(p + 8, local.b, 16);
		memcpy(p + 24, remote.b, 16);
		at += 40;
		if (n->v6_fragment) {
			at[0] = protocol;
			dp_put16(at + 2, n->later ? 9 : 1);
			at += 8;
		}
	}
	if (y->local_port) {
		dp_put16(at, (uint16_t)(y->local_port + n->port_add));
		dp_put16(at + 2, y->remote_port);
		at += 8;
	}
	dp_put16(at, (uint16_t)(n->spi >> 16));
	dp_put16(at + 2, (uint16_t)n->spi);
	dp_put16(at + 4, (uint16_t)(n->seq >> 16));
	dp_put16(at + 6, (uint16_t)n->seq);
	return n->cut ? n->cut : (uint32_t)(at - p) + 8;
}

/* Writes the whole message; returns its size. */
static uint32_t make(const struct way *y, const struct news *n)
{
	const struct ip_addr to = addr_of(y->local), router = addr_of(y->router);
	const bool v4 = to.family == IP_V4;
	uint8_t *icmp = packet + (v4 ? 20 : 40);
	uint32_t size, sum = 0;

	memset(packet, 0, sizeof(packet));
	size = 8 + quote(icmp + 8, y, n);
	if (v4) {
		packet[0] = 0x45;
		dp_put16(packet + 2, (uint16_t)(20 + size));
		packet[9] = IPPROTO_ICMP;
		memcpy(packet + 12, router.b, 4);
		memcpy(packet + 16, to.b, 4);
		icmp[0] = n->type ? n->type : 3;
		icmp[1] = n->code ? n->code : 4;
		dp_put16(icmp + 6, (uint16_t)n->mtu);
	} else {
		const uint8_t pseudo[4] = {0, 58, (uint8_t)(size >> 8), (uint8_t)size};

		packet[0] = 0x60;
		dp_put16(packet + 4, (uint16_t)size);
		packet[6] = 58;
		memcpy(packet + 8, router.b, 16);
		memcpy(packet + 24, to.b, 16);
		icmp[0] = n->type ? n->type : 2;
		icmp[1] = n->code;
		dp_put16(icmp + 4, (uint16_t)(n->mtu >> 16));
		dp_put16(icmp + 6, (uint16_t)n->mtu);
		sum = sum_add(sum_add(0, packet + 8, 32), pseudo, sizeof(pseudo));
	}
	dp_put16(icmp + 2, (uint16_t)(sum_finish(sum_add(sum, icmp, size)) ^ (n->bad_sum ? 1 : 0)));
	return (uint32_t)(icmp - packet) + size;
}

static uint64_t noted(enum dp_note note)
{
	return dp.mgr_stats->drops[note];
}

/* Tells; returns the note under which it was counted. */
static unsigned tell(const struct way *y, const struct news *n)
{
	uint64_t before[DP_NOTE_END];
	unsigned which = 0;

	memcpy(before, dp.mgr_stats->drops, sizeof(before));
	dp_path_mtu_heard(&dp, packet, make(y, n));
	for (unsigned i = 0; i < DP_NOTE_END; i++) {
		if (dp.mgr_stats->drops[i] == before[i])
			continue;
		assert_int_equal(dp.mgr_stats->drops[i], before[i] + 1);
		assert_int_equal(which, 0);
		which = i;
	}
	return which;
}

static const struct dp_path *path(void)
{
	return dp.sas.out[SLOT]->path;
}

static uint32_t inner_of(const struct way *y, uint32_t outer)
{
	return esp_inner_mtu(&dp.sas.out[SLOT]->suite, strchr(y->local, ':'), y->local_port, outer);
}

/* Learnt by the tunnel, used by its SAs, shown; others do not care. */
static void learns(void **state)
{
	for (size_t i = 0; i < N_WAYS; i++) {
		const struct way *y = &ways[i];
		const struct news n = {.mtu = 1400, .quoted_size = 1480, .spi = SPI, .seq = SENT};
		const struct dp_stats_tunnel *t = dp_stats_tunnels(&dp);
		const struct way elsewhere = {
			strchr(y->local, ':') ? "2001:db8::1" : "192.0.2.1",
			strchr(y->local, ':') ? "2001:db8:e::1" : "198.51.100.77", y->router, 0, 0};

		install(y, SLOT, SPI, 2);
		install(&elsewhere, 6, SPI, 1);
		assert_int_equal(path()->mtu, inner_of(y, 1500));
		assert_int_equal(t[2].path_mtu, 1500);
		assert_int_equal(t[2].path_mtu_learnt, 0);
		assert_int_equal(tell(y, &n), DP_NOTE_PATH_MTU_LEARNT);
		assert_int_equal(path()->outer_mtu, 1400);
		assert_int_equal(path()->mtu, inner_of(y, 1400));
		assert_int_equal(dp.tunnels.hot[2].clamp, path()->mtu);
		assert_int_equal(t[2].mtu, path()->mtu);
		assert_int_equal(t[2].path_mtu, 1400);
		assert_int_equal(t[2].path_mtu_learnt, 1);
		assert_int_equal(dp_stats_sas(&dp)[SLOT].out_path_mtu, 1400);
		assert_int_equal(dp.sas.out[6]->path->outer_mtu, 1500);
		assert_int_equal(t[1].path_mtu_learnt, 0);
		/* A rekey's SA goes the same way; an SA to another endpoint does not. */
		install(y, 7, SPI + 1, 2);
		assert_int_equal(dp.sas.out[7]->path->outer_mtu, 1400);
		install(&elsewhere, 8, SPI + 2, 2);
		assert_int_equal(dp.sas.out[8]->path->outer_mtu, 1500);
		dp_sa_flush(&dp);
		assert_int_equal(dp.tunnels.info[2].path_mtu.mtu,
				 1400); /* the tunnel is still there */
		dp.tunnels.info[2].path_mtu.mtu = 0;
	}
}

struct refusal {
	const char *what;
	struct news n;
	unsigned want;
	int family; /* 0: both */
	int udp;    /* 1: only in UDP, -1: only native */
};

/* A message that would be believed; a row overrides what is to be wrong. */
#pragma GCC diagnostic ignored "-Woverride-init"
#define GOOD .mtu = 1400, .quoted_size = 1480, .spi = SPI, .seq = SENT

static const struct refusal refusals[] = {
	{"another SPI", {GOOD, .spi = SPI + 1}, DP_NOTE_PATH_MTU_UNPROVEN, 0, 0},
	{"another remote address",
	 {GOOD, .remote = "198.51.100.2"},
	 DP_NOTE_PATH_MTU_UNPROVEN,
	 4,
	 0},
	{"another local address", {GOOD, .local = "192.0.2.2"}, DP_NOTE_PATH_MTU_UNPROVEN, 4, 0},
	{"another remote address",
	 {GOOD, .remote = "2001:db8:f::2"},
	 DP_NOTE_PATH_MTU_UNPROVEN,
	 6,
	 0},
	{"another port", {GOOD, .port_add = 1}, DP_NOTE_PATH_MTU_UNPROVEN, 0, 1},
	{"a number not yet used", {GOOD, .seq = SENT + 1}, DP_NOTE_PATH_MTU_UNPROVEN, 0, 0},
	{"number zero", {GOOD, .seq = 0}, DP_NOTE_PATH_MTU_UNPROVEN, 0, 0},
	{"a wrong checksum", {GOOD, .bad_sum = true}, DP_NOTE_PATH_MTU_UNPROVEN, 0, 0},
	{"a later fragment", {GOOD, .later = true}, DP_NOTE_PATH_MTU_UNPROVEN, 4, 0},
	{"a later fragment",
	 {GOOD, .later = true, .v6_fragment = true},
	 DP_NOTE_PATH_MTU_UNPROVEN,
	 6,
	 0},
	{"another code", {GOOD, .code = 3}, DP_NOTE_PATH_MTU_UNPROVEN, 4, 0},
	{"another type", {GOOD, .type = 1}, DP_NOTE_PATH_MTU_UNPROVEN, 6, 0},
	/* RFC 792: eight bytes behind the header; of UDP these are no SPI. */
	{"a short quote", {GOOD, .cut = 28}, DP_NOTE_PATH_MTU_UNPROVEN, 4, 1},
	{"a shorter quote", {GOOD, .cut = 27}, DP_NOTE_PATH_MTU_UNPROVEN, 4, -1},
	{"no quote", {GOOD, .cut = 1}, DP_NOTE_PATH_MTU_UNPROVEN, 0, 0},
	{"it would have passed", {GOOD, .mtu = 1480}, DP_NOTE_PATH_MTU_IMPLAUSIBLE, 0, 0},
	{"we send no such size", {GOOD, .quoted_size = 65500}, DP_NOTE_PATH_MTU_IMPLAUSIBLE, 0, 0},
	{"it could have been cut",
	 {GOOD, .may_fragment = true},
	 DP_NOTE_PATH_MTU_IMPLAUSIBLE,
	 4,
	 0},
	{"below IPv6's least", {GOOD, .mtu = 1279}, DP_NOTE_PATH_MTU_IMPLAUSIBLE, 6, 0},
	{"zero", {GOOD, .mtu = 0}, DP_NOTE_PATH_MTU_IMPLAUSIBLE, 6, 0},
	{"a small packet",
	 {GOOD, .mtu = 500, .quoted_size = 570},
	 DP_NOTE_PATH_MTU_IMPLAUSIBLE,
	 4,
	 0},
};

static void refuses(void **state)
{
	for (size_t i = 0; i < N_WAYS; i++) {
		const struct way *y = &ways[i];
		const int family = strchr(y->local, ':') ? 6 : 4;

		install(y, SLOT, SPI, 2);
		/* Without a port a packet may have had any size. */
		dp.ports[0].mtu = 1500;
		dp.sas.out[SLOT]->path->port = 0;
		for (size_t k = 0; k < sizeof(refusals) / sizeof(refusals[0]); k++) {
			const struct refusal *r = &refusals[k];

			if ((r->family && r->family != family) ||
			    (r->udp && (r->udp > 0) != (y->local_port != 0)))
				continue;
			if (tell(y, &r->n) != r->want)
				fail_msg("%s, way %zu", r->what, i);
			assert_int_equal(path()->outer_mtu, 1500);
			assert_int_equal(dp.tunnels.info[2].path_mtu.mtu, 0);
		}
		dp.sas.out[SLOT]->path->port = DP_NO_PORT;
		dp_sa_flush(&dp);
	}
}

/* Every truncation of a good message, and garbage: no crash, and nothing is believed. */
static void any_bytes(void **state)
{
	const struct news n = {GOOD};
	uint32_t seed = 1;

	for (size_t i = 0; i < N_WAYS; i++) {
		const uint32_t head = strchr(ways[i].local, ':') ? 40 : 20;
		uint32_t size;

		install(&ways[i], SLOT, SPI, 2);
		size = make(&ways[i], &n);
		for (uint32_t k = head; k < size; k++) {
			uint8_t *exact = malloc(k); /* so that a sanitizer sees one byte too far */

			memcpy(exact, packet, k);
			dp_path_mtu_heard(&dp, exact, k);
			free(exact);
		}
		for (unsigned round = 0; round < 2000; round++) {
			uint8_t *exact = malloc(size);

			memcpy(exact, packet, size);
			for (unsigned k = 0; k < 4; k++) {
				seed = seed * 1664525 + 1013904223;
				exact[head + (seed >> 8) % (size - head)] ^= (uint8_t)(seed >> 24);
			}
			if (memcmp(exact, packet, size) != 0)
				dp_path_mtu_heard(&dp, exact, size);
			free(exact);
		}
		assert_int_equal(path()->outer_mtu, 1500);
		dp_sa_flush(&dp);
	}
}

static void after(unsigned seconds)
{
	dp.now = mono_add(dp.now, span_s(seconds));
	dp_path_mtu_tick(&dp);
}

/* Lower, lower still, never higher; renewed by repetition, forgotten after ten minutes. */
static void ages(void **state)
{
	struct news n = {GOOD};

	install(&ways[0], SLOT, SPI, 2);
	assert_int_equal(tell(&ways[0], &n), DP_NOTE_PATH_MTU_LEARNT);
	n.mtu = 1450;
	assert_int_equal(tell(&ways[0], &n), DP_NOTE_PATH_MTU_KNOWN);
	assert_int_equal(path()->outer_mtu, 1400);
	after(500);
	assert_int_equal(path()->outer_mtu, 1400);
	n.mtu = 1400;
	assert_int_equal(tell(&ways[0], &n), DP_NOTE_PATH_MTU_KNOWN);
	after(599);
	assert_int_equal(path()->outer_mtu, 1400);
	n.mtu = 1300;
	assert_int_equal(tell(&ways[0], &n), DP_NOTE_PATH_MTU_LEARNT);
	after(599);
	assert_int_equal(path()->outer_mtu, 1300);
	after(1);
	assert_int_equal(path()->outer_mtu, 1500);
	assert_int_equal(path()->mtu, 1446);
	assert_int_equal(dp.tunnels.hot[2].clamp, 1446);
	assert_int_equal(dp_stats_tunnels(&dp)[2].path_mtu_learnt, 0);
	assert_int_equal(noted(DP_NOTE_PATH_MTU_LEARNT), 2);
}

/* RFC 4301 8.2: whatever is claimed, packets stay so large. RFC 1191 5: a router that names no MTU. */
static void floors(void **state)
{
	struct news n = {GOOD};

	install(&ways[0], SLOT, SPI, 2);
	n.mtu = 0;
	assert_int_equal(tell(&ways[0], &n), DP_NOTE_PATH_MTU_LEARNT);
	assert_int_equal(path()->outer_mtu, 1006);
	n.mtu = 68;
	assert_int_equal(tell(&ways[0], &n), DP_NOTE_PATH_MTU_LEARNT);
	assert_int_equal(path()->outer_mtu, 576);
	dp_sa_flush(&dp);
	install(&ways[2], SLOT, SPI, 3);
	n.mtu = 1280;
	n.v6_fragment = true;
	assert_int_equal(tell(&ways[2], &n), DP_NOTE_PATH_MTU_LEARNT);
	assert_int_equal(path()->outer_mtu, 1280);
}

/* A number is believed as long as the message may have been on its way. */
static void numbers(void **state)
{
	const uint64_t next = (UINT64_C(7) << 32) + 10; /* with ESN; the last used ends in 9 */
	static const struct {
		uint32_t seq;
		bool good;
	} rows[] = {{9, true},           {10, false},         {1, true},         {UINT32_MAX, true},
		    {0x80000000, false}, {0xff000009, false}, {0xff00000a, true}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct news n = {GOOD, .seq = rows[i].seq};

		install(&ways[0], SLOT, SPI, 2);
		has_sent(SLOT, next);
		assert_int_equal(tell(&ways[0], &n), rows[i].good ? DP_NOTE_PATH_MTU_LEARNT
								  : DP_NOTE_PATH_MTU_UNPROVEN);
		dp_sa_flush(&dp);
		dp.tunnels.info[2].path_mtu.mtu = 0;
	}
	/* Nothing has been sent yet. */
	install(&ways[0], SLOT, SPI, 2);
	has_sent(SLOT, 0);
	assert_int_equal(tell(&ways[0], &(struct news){GOOD, .seq = UINT32_MAX}),
			 DP_NOTE_PATH_MTU_UNPROVEN);
}

static void switched_off(void **state)
{
	const struct news n = {GOOD};

	install(&ways[0], SLOT, SPI, 2);
	assert_int_equal(tell(&ways[0], &n), DP_NOTE_PATH_MTU_LEARNT);
	dp_path_mtu_enable(&dp, false);
	assert_int_equal(path()->outer_mtu, 1500);
	assert_int_equal(tell(&ways[0], &n), DP_NOTE_PATH_MTU_OFF);
	assert_int_equal(path()->outer_mtu, 1500);
	dp_path_mtu_enable(&dp, true);
	assert_int_equal(tell(&ways[0], &n), DP_NOTE_PATH_MTU_LEARNT);
}

/* An SA by which nothing is sent any more proves nothing. */
static void retired(void **state)
{
	const struct news n = {GOOD};

	install(&ways[0], SLOT, SPI, 2);
	install(&ways[0], 6, SPI + 1, 2);
	assert_int_equal(tell(&ways[0], &n), DP_NOTE_PATH_MTU_UNPROVEN);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, finish)
	const struct CMUnitTest tests[] = {
		TEST(learns), TEST(refuses), TEST(any_bytes),    TEST(ages),
		TEST(floors), TEST(numbers), TEST(switched_off), TEST(retired),
	};

	if (!secret_init())
		return 1;
	log_set(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
