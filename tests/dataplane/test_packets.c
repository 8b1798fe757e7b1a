/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of what workers do to single packets: cutting (fragment.c), the MSS option (mss.c), joining the
 * segments that a driver may give. A real EAL without hugepages, for mbufs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <rte_eal.h>
#include <rte_ip.h>
#include "base/sum.h"
#include "dataplane/dp.h"
#include "dataplane/pipeline.h"

static struct rte_mempool *pool;

static struct rte_mbuf *packet(const uint8_t *data, uint32_t size)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
	char *at;

	assert_non_null(m);
	at = rte_pktmbuf_append(m, (uint16_t)size);
	assert_non_null(at);
	memcpy(at, data, size);
	return m;
}

static void finish4(uint8_t *ip)
{
	const uint32_t header = (ip[0] & 15u) * 4;

	dp_put16(ip + 10, 0);
	dp_put16(ip + 10, sum_finish(sum_add(0, ip, header)));
}

/* An IPv4 header with options; payload bytes tell where they stood. */
static void make4(uint8_t *ip, uint32_t size, const uint8_t *options, uint32_t n_options,
		  uint16_t flags)
{
	memset(ip, 0, 20);
	ip[0] = (uint8_t)(0x40 | (20 + n_options) / 4);
	dp_put16(ip + 2, (uint16_t)size);
	dp_put16(ip + 4, 0x1234);
	dp_put16(ip + 6, flags);
	ip[8] = 64;
	ip[9] = 17;
	memcpy(ip + 12, "\x0a\x01\x00\x09\x0a\x02\x00\x09", 8);
	if (n_options)
		memcpy(ip + 20, options, n_options);
	for (uint32_t i = 20 + n_options; i < size; i++)
		ip[i] = (uint8_t)(i * 7 + i / 256);
	finish4(ip);
}

struct cut {
	uint32_t size, mtu;
	uint16_t flags;
	uint8_t options[40];
	uint32_t n_options;
	uint8_t later[40]; /* options of all but the first */
	uint32_t n_later;
	int n; /* pieces */
};

static const struct cut cuts[] = {
	{1500, 1446, 0, {0}, 0, {0}, 0, 2},
	{1500, 68, 0, {0}, 0, {0}, 0, 0}, /* more than there may be */
	{9000, 538, 0, {0}, 0, {0}, 0, 18},
	{1400, 1000, 0x2000 | 100, {0}, 0, {0}, 0, 2}, /* a piece in the middle */
	{1400, 1000, 100, {0}, 0, {0}, 0, 2},          /* the last piece */
	/* router alert is copied, record route is not, timestamp neither */
	{1400, 1000, 0, {0x94, 4, 0, 0}, 4, {0x94, 4, 0, 0}, 4, 2},
	{1400, 1000, 0, {7, 7, 4, 0, 0, 0, 0, 0}, 8, {0}, 0, 2},
	{1400, 700, 0, {1, 7, 3, 4, 0x94, 4, 0, 0, 68, 4, 5, 0}, 12, {0x94, 4, 0, 0}, 4, 3},
	{1400, 700, 0, {0x83, 7, 8, 1, 2, 3, 4, 0}, 8, {0x83, 7, 8, 1, 2, 3, 4, 0}, 8, 3},
	/* after the end nothing is an option */
	{1400, 1000, 0, {0, 0x94, 4, 0}, 4, {0}, 0, 2},
	/* no sense */
	{1400, 1000, 0, {0x94, 1, 0, 0}, 4, {0}, 0, 0},
	{1400, 1000, 0, {0x94, 5, 0, 0}, 4, {0}, 0, 0},
	{1400, 1000, 0, {1, 1, 1, 0x94}, 4, {0}, 0, 0},
};

static void check_cut(const struct cut *c, const uint8_t *ip, struct rte_mbuf **pieces, int n)
{
	const uint32_t header = 20 + c->n_options;
	uint32_t at = header;

	for (int i = 0; i < n; i++) {
		const uint8_t *p = dp_data(pieces[i]);
		const uint32_t h = (p[0] & 15u) * 4, size = dp_get16(p + 2);
		const uint16_t flags = dp_get16(p + 6);

		assert_int_equal(size, pieces[i]->pkt_len);
		assert_true(size <= c->mtu);
		assert_int_equal(sum_finish(sum_add(0, p, h)), 0);
		assert_int_equal(h, 20 + (i ? c->n_later : c->n_options));
		assert_memory_equal(p + 20, i ? c->later : c->options, h - 20);
		assert_memory_equal(p + 12, ip + 12, 8);
		assert_int_equal(dp_get16(p + 4), 0x1234);
		assert_int_equal((flags & 0x1fff) * 8, (c->flags & 0x1fff) * 8 + at - header);
		assert_int_equal(flags & 0x2000, i + 1 < n ? 0x2000 : c->flags & 0x2000);
		assert_memory_equal(p + h, ip + at, size - h);
		at += size - h;
	}
	assert_int_equal(at, c->size);
}

static void fragments(void **state)
{
	static uint8_t ip[9216];

	for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
		const struct cut *c = &cuts[i];
		struct rte_mbuf *pieces[DP_MAX_FRAGMENTS], *m;
		int n;

		make4(ip, c->size, c->options, c->n_options, c->flags);
		m = packet(ip, c->size);
		n = dp_fragment_v4(pool, m, c->mtu, pieces);
		if (n != c->n)
			fail_msg("row %zu: %d pieces", i, n);
		if (n > 0)
			check_cut(c, ip, pieces, n);
		if (n > 0)
			rte_pktmbuf_free_bulk(pieces, (unsigned)n);
		rte_pktmbuf_free(m);
	}
}

/* ---- MSS ------------------------------------------------------------------------------------ */

struct syn {
	const char *what;
	uint8_t family;
	uint8_t flags; /* of TCP */
	uint8_t extensions[72];
	uint32_t n_extensions;
	uint8_t first; /* IPv6: next header, 0 as it is written for hop-by-hop; 6 without any */
	uint16_t frag; /* IPv4 flags and offset */
	uint8_t options[40];
	uint32_t n_options;
	uint32_t mss_at; /* in the options, of the value; 0: nothing changes */
	uint32_t cut;    /* bytes that are missing at the end */
};

#define SYN    0x02
#define SYNACK 0x12
#define MSS    2, 4, 0x22, 0xb8 /* 8888 */

static const struct syn syns[] = {
	{"plain", 4, SYN, {0}, 0, 6, 0, {MSS}, 4, 2, 0},
	{"plain", 6, SYN, {0}, 0, 6, 0, {MSS}, 4, 2, 0},
	{"SYN+ACK", 4, SYNACK, {0}, 0, 6, 0, {MSS}, 4, 2, 0},
	{"SYN+ACK", 6, SYNACK, {0}, 0, 6, 0, {MSS}, 4, 2, 0},
	{"no SYN", 4, 0x10, {0}, 0, 6, 0, {MSS}, 4, 0, 0},
	{"odd place", 4, SYN, {0}, 0, 6, 0, {1, MSS, 0, 0, 0}, 8, 3, 0},
	{"odd place", 6, SYN, {0}, 0, 6, 0, {1, MSS, 0, 0, 0}, 8, 3, 0},
	{"behind others", 4, SYN, {0}, 0, 6, 0, {3, 3, 7, 4, 2, MSS, 1, 1, 1}, 12, 7, 0},
	{"behind the end", 4, SYN, {0}, 0, 6, 0, {0, MSS, 0, 0, 0}, 8, 0, 0},
	{"too short", 4, SYN, {0}, 0, 6, 0, {2, 3, 0x22, 0xb8}, 4, 0, 0},
	{"too long", 4, SYN, {0}, 0, 6, 0, {2, 5, 0x22, 0xb8}, 4, 0, 0},
	{"length zero", 4, SYN, {0}, 0, 6, 0, {8, 0, MSS, 0, 0}, 8, 0, 0},
	{"cut", 4, SYN, {0}, 0, 6, 0, {MSS}, 4, 0, 1},
	{"cut", 6, SYN, {0}, 0, 6, 0, {MSS}, 4, 0, 1},
	{"kind at the end", 4, SYN, {0}, 0, 6, 0, {1, 1, 1, 2}, 4, 0, 0},
	{"first fragment", 4, SYN, {0}, 0, 6, 0x2000, {MSS}, 4, 2, 0},
	{"later fragment", 4, SYN, {0}, 0, 6, 0x2001, {MSS}, 4, 0, 0},
	{"last fragment", 4, SYN, {0}, 0, 6, 0x0001, {MSS}, 4, 0, 0},
	{"hop-by-hop", 6, SYN, {6, 0, 1, 4}, 8, 0, 0, {MSS}, 4, 2, 0},
	{"destination, long", 6, SYN, {6, 1, 1, 12}, 16, 60, 0, {MSS}, 4, 2, 0},
	{"routing, then hop-by-hop",
	 6,
	 SYN,
	 {0, 0, 0, 0, 0, 0, 0, 0, 6},
	 16,
	 43,
	 0,
	 {MSS},
	 4,
	 2,
	 0},
	{"first fragment", 6, SYN, {6, 0, 0, 1}, 8, 44, 0, {MSS}, 4, 2, 0},
	{"later fragment", 6, SYN, {6, 0, 0, 9}, 8, 44, 0, {MSS}, 4, 0, 0},
	{"AH protects it", 6, SYN, {6, 4}, 24, 51, 0, {MSS}, 4, 0, 0},
	{"extension beyond the end", 6, SYN, {6, 20, 1, 4}, 8, 0, 0, {MSS}, 4, 0, 0},
	{"UDP behind it", 6, SYN, {17, 0, 1, 4}, 8, 0, 0, {MSS}, 4, 0, 0},
	/* Each names hop-by-hop as the next. As many as are followed, and one more. */
	{"eight", 6, SYN, {[56] = 6}, 64, 0, 0, {MSS}, 4, 2, 0},
	{"nine", 6, SYN, {[64] = 6}, 72, 0, 0, {MSS}, 4, 0, 0},
};

static uint16_t tcp_sum(const uint8_t *ip, const uint8_t *tcp, uint32_t size, uint8_t family)
{
	const uint8_t rest[4] = {0, 6, (uint8_t)(size >> 8), (uint8_t)size};
	uint32_t sum = sum_add(0, family == 4 ? ip + 12 : ip + 8, family == 4 ? 8 : 32);

	return sum_finish(sum_add(sum_add(sum, rest, sizeof(rest)), tcp, size));
}

static void mss(void **state)
{
	for (size_t i = 0; i < sizeof(syns) / sizeof(syns[0]); i++) {
		const struct syn *s = &syns[i];
		const uint32_t base = s->family == 4 ? 20 : 40, at = base + s->n_extensions;
		const uint32_t tcp_size = 20 + s->n_options, size = at + tcp_size;
		uint8_t *ip = calloc(1, size), *before = malloc(size), *exact;

		assert_non_null(ip);
		ip[0] = s->family == 4 ? 0x45 : 0x60;
		if (s->family == 4) {
			ip[9] = 6;
			dp_put16(ip + 6, s->frag);
		} else {
			ip[6] = s->first;
		}
		memset(ip + (s->family == 4 ? 12 : 8), 0x5a, s->family == 4 ? 8 : 32);
		memcpy(ip + base, s->extensions, s->n_extensions);
		memset(ip + at, 0xc3, 12);
		ip[at + 12] = (uint8_t)(tcp_size / 4 << 4);
		ip[at + 13] = s->flags;
		memcpy(ip + at + 20, s->options, s->n_options);
		dp_put16(ip + at + 16, tcp_sum(ip, ip + at, tcp_size, s->family));
		memcpy(before, ip, size);
		exact = malloc(size - s->cut); /* a sanitizer sees what is read behind it */
		memcpy(exact, ip, size - s->cut);
		dp_mss_clamp(exact, s->family, size - s->cut, 1446);
		if (!s->mss_at) {
			if (memcmp(exact, before, size - s->cut) != 0)
				fail_msg("%s (IPv%u) was changed", s->what, s->family);
		} else {
			if (dp_get16(exact + at + 20 + s->mss_at) !=
			    1446 - (s->family == 4 ? 40 : 60))
				fail_msg("%s (IPv%u) was not changed", s->what, s->family);
			assert_int_equal(tcp_sum(exact, exact + at, tcp_size, s->family), 0);
		}
		free(exact);
		free(before);
		free(ip);
	}
}

/* Smaller values stay, whatever the MTU; and a sum that becomes or is zero stays right. */
static void mss_values(void **state)
{
	for (uint32_t value = 0; value < 65536; value += 5) {
		uint8_t ip[44] = {0x45, [9] = 6};

		ip[32] = 6 << 4;
		ip[33] = SYN;
		ip[40] = 2;
		ip[41] = 4;
		dp_put16(ip + 42, (uint16_t)value);
		dp_put16(ip + 20, (uint16_t)(value * 3));
		dp_put16(ip + 36, tcp_sum(ip, ip + 20, 24, 4));
		dp_mss_clamp(ip, 4, sizeof(ip), 1446);
		assert_int_equal(dp_get16(ip + 42), RTE_MIN(value, 1406u));
		assert_int_equal(tcp_sum(ip, ip + 20, 24, 4), 0);
	}
}

/* ---- segments ------------------------------------------------------------------------------- */

/* A frame to 00:..., in pieces of at most `step` bytes. */
static struct rte_mbuf *in_pieces(const uint8_t *frame, uint32_t size, uint32_t step)
{
	struct rte_mbuf *m = packet(frame, RTE_MIN(step, size));

	for (uint32_t at = step; at < size; at += step)
		assert_int_equal(rte_pktmbuf_chain(m, packet(frame + at, RTE_MIN(step, size - at))),
				 0);
	return m;
}

/* What a driver has scattered is joined and goes its way; only what fits no buffer is dropped, by name. */
static void segments(void **state)
{
	static struct dp dp;
	static struct dp_worker w;
	static uint8_t frame[2 * 9216] = {[12] = 8, [13] = 0};
	uint64_t *drops;
	struct rte_mbuf *m;

	dp.grace.qsbr = aligned_alloc(RTE_CACHE_LINE_SIZE, rte_rcu_qsbr_get_memsize(1));
	assert_int_equal(rte_rcu_qsbr_init(dp.grace.qsbr, 1), 0);
	assert_true(dp_fib_init(&dp.fib, 16, &dp.grace));
	dp.stats = calloc(1, sizeof(*dp.stats));
	w.dp = &dp;
	w.stats = dp.stats->workers;
	drops = w.stats->drops;
	make4(frame + DP_ETH_SIZE, 1500, NULL, 0, 0);
	for (uint32_t step = 7; step < 1600; step += 300) {
		const uint64_t before = drops[DP_DROP_NOT_PROTECTED];

		m = in_pieces(frame, DP_ETH_SIZE + 1500, RTE_MAX(step, 30u));
		dp_classify(&w, 0, &m, 1);
		/* It was looked up whole: its header's sum and length were right. */
		assert_int_equal(drops[DP_DROP_NOT_PROTECTED], before + 1);
	}
	make4(frame + DP_ETH_SIZE, 18000, NULL, 0, 0);
	m = in_pieces(frame, DP_ETH_SIZE + 18000, 9100);
	dp_classify(&w, 0, &m, 1);
	assert_int_equal(drops[DP_DROP_SCATTERED], 1);
	assert_int_equal(rte_mempool_avail_count(pool), 63);
	dp_fib_fini(&dp.fib);
	free(dp.stats);
	free(dp.grace.qsbr);
}

/* A frame to 10.N.2.9 or, if `dropped`, to a host whose route drops: of a /24, or of a /28. */
static struct rte_mbuf *to_routed(unsigned n, bool dropped)
{
	uint8_t frame[DP_ETH_SIZE + 64] = {[12] = 8, [13] = 0};
	uint8_t *ip = frame + DP_ETH_SIZE;

	make4(ip, 64, NULL, 0, 0);
	dp_put16(ip + 16, (uint16_t)((dropped ? 11 : 10) << 8 | n));
	finish4(ip);
	return packet(frame, sizeof(frame));
}

/* A table that is looked up while frames are recognised: each finds its own route, also if frames of the burst
 * are no usual ones. */
static void large(void **state)
{
	static struct dp dp;
	static struct dp_worker w;
	struct dp_route r = {.group = DP_GROUP_BLACKHOLE, .prefix = {.family = 4, .b = {11}}};
	struct rte_mbuf *m[32], *rest;
	uint64_t *drops;

	dp.grace.qsbr = aligned_alloc(RTE_CACHE_LINE_SIZE, rte_rcu_qsbr_get_memsize(1));
	assert_int_equal(rte_rcu_qsbr_init(dp.grace.qsbr, 1), 0);
	assert_true(dp_fib_init(&dp.fib, 2 * DP_LPM_LARGE, &dp.grace));
	dp.stats = calloc(1, sizeof(*dp.stats));
	w.dp = &dp;
	w.stats = dp.stats->workers;
	drops = w.stats->drops;
	for (unsigned i = 0; i < DP_LPM_LARGE; i++) {
		r.prefix.b[1] = (uint8_t)(i >> 8);
		r.prefix.b[2] = (uint8_t)i;
		r.len = i >> 8 & 1 ? 28 : 24;
		assert_int_equal(dp_route_set(&dp, &r), DP_OK);
	}
	/* By the first burst it learns that destinations differ. */
	for (unsigned odd = 0; odd < 6; odd++) {
		const uint64_t black = drops[DP_DROP_BLACKHOLE],
			       bad = drops[DP_DROP_BAD_IP_CHECKSUM],
			       none = drops[DP_DROP_NOT_PROTECTED];
		unsigned n_bad = 0;

		for (unsigned i = 0; i < 32; i++)
			m[i] = to_routed(i, i % 3 == 0);
		if (odd == 2 || odd == 4) {
			/* Its destination stands in a second piece, and another one where it usually does. */
			m[0]->data_len = 30;
			m[0]->pkt_len = 30;
			rest = to_routed(0, false);
			dp_put16(dp_data(m[0]) + 24, dp_get16(dp_data(rest) + 24));
			(void)rte_pktmbuf_adj(rest, 30);
			assert_int_equal(rte_pktmbuf_chain(m[0], rest), 0);
		}
		if (odd >= 3) {
			dp_data(m[15])[24] ^= 1;
			n_bad = 1;
		}
		dp_classify(&w, 0, m, 32);
		assert_true(w.port[0].apart);
		assert_int_equal(drops[DP_DROP_BAD_IP_CHECKSUM] - bad, n_bad);
		assert_int_equal(drops[DP_DROP_BLACKHOLE] - black,
				 11 - n_bad - (odd == 2 || odd == 4));
		assert_int_equal(drops[DP_DROP_NOT_PROTECTED] - none, 21 + (odd == 2 || odd == 4));
	}
	/* All to one. */
	for (unsigned i = 0; i < 32; i++)
		m[i] = to_routed(1, true);
	dp_classify(&w, 0, m, 32);
	assert_false(w.port[0].apart);
	assert_int_equal(rte_mempool_avail_count(pool), 63);
	dp_fib_fini(&dp.fib);
	free(dp.stats);
	free(dp.grace.qsbr);
}

/* Of many routes those for which there is no room are named; the others are carried out. */
static void routes(void **state)
{
	static struct dp dp = {.tunnels = {.max_groups = 8}};
	struct dp_routes m = {.n = 5};
	struct dp_routes_work w = {.at = 0};

	dp.grace.qsbr = aligned_alloc(RTE_CACHE_LINE_SIZE, rte_rcu_qsbr_get_memsize(1));
	assert_int_equal(rte_rcu_qsbr_init(dp.grace.qsbr, 1), 0);
	assert_true(dp_fib_init(&dp.fib, 3, &dp.grace));
	for (uint8_t i = 0; i < 5; i++)
		m.entries[i] = (struct dp_routes_entry){
			.prefix = {.family = 4, .b = {10, i}}, .len = 16, .table = i % 2};
	assert_true(dp_routes(&dp, &m, &w, UINT64_MAX));
	assert_int_equal(w.ack.status, DP_ERR_RESOURCES);
	assert_int_equal(w.ack.refused[0], 0x18);
	assert_int_equal(dp.fib.n_routes, 3);
	/* Without time: one at a time. */
	m.entries[0].group = DP_GROUP_WITHDRAW;
	w = (struct dp_routes_work){.at = 0};
	for (uint32_t i = 1; i < 5; i++) {
		assert_false(dp_routes(&dp, &m, &w, 0));
		assert_int_equal(w.at, i);
		assert_int_equal(dp.fib.n_routes, i == 4 ? 3 : 2);
	}
	assert_true(dp_routes(&dp, &m, &w, 0));
	assert_int_equal(w.ack.status, DP_ERR_RESOURCES);
	assert_int_equal(w.ack.refused[0], 0x10);
	/* What is malformed at its end changes nothing at its beginning. */
	m.entries[4].zero = 1;
	m.entries[1].group = DP_GROUP_WITHDRAW;
	w = (struct dp_routes_work){.at = 0};
	assert_true(dp_routes(&dp, &m, &w, 0));
	assert_int_equal(w.ack.status, DP_ERR_MALFORMED);
	assert_int_equal(dp.fib.n_routes, 3);
	dp_fib_fini(&dp.fib);
	free(dp.grace.qsbr);
}

int main(void)
{
	static char name[] = "test_packets", huge[] = "--no-huge", shconf[] = "--no-shconf",
		    size[] = "-m", mb[] = "224", pci[] = "--no-pci", va[] = "--iova-mode=va",
		    telemetry[] = "--no-telemetry", level[] = "--log-level=error", lcore[] = "-l",
		    zero[] = "0";
	static char *args[] = {name, huge,      shconf, size,  mb,  pci,
			       va,   telemetry, level,  lcore, zero};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fragments),  cmocka_unit_test(mss),
		cmocka_unit_test(mss_values), cmocka_unit_test(routes),
		cmocka_unit_test(segments),   cmocka_unit_test(large),
	};

	if (rte_eal_init(sizeof(args) / sizeof(args[0]), args) < 0)
		return 1;
	pool = rte_pktmbuf_pool_create("packets", 63, 0, RTE_ALIGN(sizeof(struct dp_meta), 8),
				       9216 + RTE_PKTMBUF_HEADROOM, SOCKET_ID_ANY);
	return pool ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
