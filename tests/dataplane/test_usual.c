/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The short ways of usual packets through a worker against the longer ones: the same frames, usual and not, in the same
 * bursts, give the same packets in the same order, the same reasons and the same counters.
 */
#include "rig_rings.h"

#include <rte_cycles.h>
#include "base/sum.h"
#include "dataplane/counters.h"
#include "dataplane/neigh.h"
#include "esp/quick.h"

#define N_BURSTS  400u
#define BURST_MAX 24u
#define N_SAS     4u
#define FRAME_MAX 2000u
#define OUT_MAX   (8u << 20)

enum way {
	SHORT,
	LONGER, /* no burst begins with an ESP packet, every outbound SA is odd */
	HANDED, /* all comes to the other worker, which hands over what is not its own */
};

/* An SA: slot, tunnel, what is outside. Tunnels 0 and 2 are the first worker's. */
static const struct sa {
	uint32_t slot, tunnel;
	unsigned flags;
} sas[N_SAS] = {
	{4, 0, 0},
	{5, 1, RIG_ESN},
	{6, 2, RIG_UDP},
	{7, 3, RIG_V6},
};

static uint64_t seed;

static uint32_t draw(uint32_t n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % n;
}

static bool one_in(uint32_t n)
{
	return draw(n) == 0;
}

/* --------------------------------------------------------------------------- frames */

static struct esp_out *peers[N_SAS];

static void peer_new(size_t i)
{
	const bool v6 = sas[i].flags & RIG_V6;
	struct esp_sa_cfg cfg = {
		.spi = rig_spi(sas[i].slot),
		.esn = sas[i].flags & RIG_ESN,
		.udp_encap = sas[i].flags & RIG_UDP,
		.first_seq = 1,
		.n_ts = 2,
	};
	uint8_t key[36];

	for (size_t k = 0; k < sizeof(key); k++)
		key[k] = (uint8_t)(k + sas[i].slot);
	cfg.encr_key = key;
	assert_true(esp_suite_init(&cfg.suite, ESP_ENCR_AES_GCM_16, 128, ESP_INTEG_NONE));
	assert_true(ip_parse(v6 ? "2001:db8::2" : "192.0.2.2", &cfg.local.addr));
	assert_true(ip_parse(v6 ? "2001:db8::1" : "192.0.2.1", &cfg.remote.addr));
	for (size_t k = 0; k < 2; k++) {
		struct esp_ts *t = &cfg.ts[k];

		t->local_first.family = t->remote_first.family = k ? IP_V6 : IP_V4;
		t->local_last = t->local_first;
		memset(t->local_last.b, 0xff, k ? 16 : 4);
		t->remote_last = t->local_last;
		t->local_port_last = t->remote_port_last = UINT16_MAX;
	}
	peers[i] = esp_out_new(&rig.esp, &cfg);
	assert_non_null(peers[i]);
}

/* Where packets go: tunnels, two that share; a neighbour, an unknown host, Linux, nowhere, a blackhole, what no SA's
 * selectors have, the link. */
static const uint8_t to[][4] = {
	{10, 3, 1, 1},  {10, 3, 2, 1}, {10, 4, 1, 1},   {10, 5, 1, 1},  {10, 6, 1, 1},
	{10, 7, 1, 1},  {11, 0, 0, 1}, {10, 1, 0, 20},  {10, 1, 0, 20}, {10, 1, 0, 20},
	{10, 1, 0, 99}, {10, 2, 0, 9}, {10, 200, 0, 1}, {10, 8, 0, 1},  {224, 0, 0, 5},
};
#define N_TO      (sizeof(to) / sizeof(to[0]))
#define N_TUNNELS 7u /* of these */

/* `first`: of the destinations that it may have. */
static uint32_t inner4(uint8_t *ip, uint32_t size, uint32_t first)
{
	static const uint8_t protocols[] = {1, 6, 6, 17, 17, 50, 132};
	const uint32_t header = one_in(8) ? 20 + 4 * draw(11) : 20;

	size = RTE_MAX(size, header);
	memset(ip, 1, header);
	ip[0] = (uint8_t)(0x40 | header / 4);
	ip[1] = (uint8_t)(one_in(2) ? draw(256) : 0);
	dp_put16(ip + 2, (uint16_t)size);
	dp_put16(ip + 4, (uint16_t)draw(65536));
	dp_put16(ip + 6, (uint16_t)(one_in(8) ? draw(65536) : one_in(2) ? 0x4000 : 0));
	ip[8] = (uint8_t)(one_in(10) ? draw(3) : 64);
	ip[9] = protocols[draw(sizeof(protocols))];
	memcpy(ip + 12, "\x0a\x09\0\x01", 4);
	ip[15] = (uint8_t)draw(8);
	memcpy(ip + 16, to[first + draw(N_TO - first)], 4);
	for (uint32_t i = header; i < size; i++)
		ip[i] = (uint8_t)draw(256);
	/* A SYN with its MSS. */
	if (ip[9] == 6 && size >= header + 24 && one_in(2)) {
		memcpy(ip + header + 12, "\x60\x02", 2);
		memcpy(ip + header + 20, "\x02\x04\x23\x28", 4);
	}
	dp_put16(ip + 10, 0);
	dp_put16(ip + 10, sum_finish(sum_add(0, ip, header)));
	return size;
}

static uint32_t inner(uint8_t *ip, uint32_t first)
{
	const uint32_t size = one_in(20) ? 1380 + draw(120) : one_in(4) ? draw(1380) : draw(100);

	if (!one_in(12))
		return inner4(ip, size, first);
	memset(ip, 0, 40);
	ip[0] = 0x60;
	dp_put16(ip + 4, (uint16_t)(size + 1));
	ip[6] = 17;
	ip[7] = 64;
	ip[8] = ip[24] = 0xfd;
	memset(ip + 40, 0x66, size + 1);
	return 41 + size;
}

static uint8_t last[FRAME_MAX];
static uint32_t last_size;

/* An ESP packet of a peer's, whose content may go where `first` says, or the one before once more. 0: none. */
static uint32_t outer(uint8_t *ip, uint32_t first)
{
	uint8_t mem[FRAME_MAX + 256];
	struct esp_pkt p = {.data = mem + 128, .headroom = 128, .tailroom = 128};

	if (last_size && one_in(16)) {
		memcpy(ip, last, last_size);
		return last_size;
	}
	p.size = inner(p.data, first);
	p.from_self = true;
	if (esp_encap(&rig.esp, peers[one_in(3) ? draw(N_SAS) : 0], &p, 1) != 1)
		return 0;
	memcpy(ip, p.data, p.size);
	memcpy(last, p.data, p.size);
	last_size = p.size;
	return p.size;
}

static void mend4(uint8_t *ip)
{
	if (ip[0] >> 4 != 4)
		return;
	dp_put16(ip + 10, 0);
	dp_put16(ip + 10, sum_finish(sum_add(0, ip, (ip[0] & 15u) * 4)));
}

/* What there may be about an outer packet; most often nothing. */
static uint32_t trouble(uint8_t *ip, uint32_t size)
{
	switch (draw(40)) {
	case 0: /* forged */ ip[40 + draw(size - 40)] ^= 1; break;
	case 1: /* congestion */
		if (ip[0] >> 4 == 4)
			ip[1] ^= (uint8_t)draw(256);
		mend4(ip);
		break;
	case 2: /* an SPI of nobody's, with a slot that may be somebody's */
		ip[ip[0] >> 4 == 4 ? 20 : 40] ^= 0x80;
		break;
	case 3: ip[10] ^= 1; break;
	case 4: return size + draw(40); /* link padding */
	case 5: return size - draw(size);
	case 6: /* a piece, of which there is no other */
		if (ip[0] >> 4 == 4)
			ip[6] |= 0x80; /* the bit that says nothing */
		mend4(ip);
		break;
	case 7: /* not for us */
		if (ip[0] >> 4 == 4)
			ip[19] = 77;
		mend4(ip);
		break;
	case 8: /* less than the header has said, or more */
		dp_put16(ip + 2, (uint16_t)(size - 8 + draw(16)));
		mend4(ip);
		break;
	default: break;
	}
	return size;
}

/* `through`: what comes out of a tunnel may go into one. */
static uint32_t frame(uint8_t *f, bool through)
{
	uint32_t size;

	memset(f, 0, FRAME_MAX);
	memcpy(f, &rig.ports[0].mac, 6);
	if (one_in(60)) {
		memset(f, 0xff, 6); /* ARP */
		memcpy(f + 12, "\x08\x06", 2);
		return DP_ETH_SIZE + 28 + draw(20);
	}
	if (one_in(60))
		f[5] ^= 1;
	do
		size = one_in(3) ? inner(f + DP_ETH_SIZE, 0)
				 : outer(f + DP_ETH_SIZE, through ? 0 : N_TUNNELS);
	while (size == 0);
	if (dp_get32(f + DP_ETH_SIZE + 12) >> 24 != 10)
		size = trouble(f + DP_ETH_SIZE, size);
	memcpy(f + 12, f[DP_ETH_SIZE] >> 4 == 6 ? "\x86\xdd" : "\x08\0", 2);
	return DP_ETH_SIZE + size;
}

/* Perhaps in pieces, as a driver may give it. */
static struct rte_mbuf *packet(const uint8_t *f, uint32_t size, uint32_t step)
{
	struct rte_mbuf *m = rig_packet(f, RTE_MIN(step, size));

	for (uint32_t at = step; at < size; at += step)
		assert_int_equal(rte_pktmbuf_chain(m, rig_packet(f + at, RTE_MIN(step, size - at))),
				 0);
	return m;
}

/* -------------------------------------------------------------------------- outcome */

/* What came out, in its order: frames sent by each worker, packets for Linux of each, frames for the mirror. */
enum { SENT, LINUX = SENT + RIG_WORKERS, MIRROR = LINUX + RIG_WORKERS, N_LISTS };

struct list {
	uint8_t *bytes;
	size_t size;
	unsigned n;
};

struct outcome {
	struct list lists[N_LISTS];
	uint64_t drops[DP_STATS_MAX_REASONS], generated;
	struct dp_stats_sa sas[N_SAS];
	struct dp_stats_tunnel tunnels[N_SAS];
};

static void note(struct list *l, struct rte_mbuf *m, uint8_t kind)
{
	assert_int_equal(m->nb_segs, 1);
	assert_true(l->size + m->pkt_len + 3 <= OUT_MAX);
	l->bytes[l->size++] = kind;
	dp_put16(l->bytes + l->size, (uint16_t)m->pkt_len);
	memcpy(l->bytes + l->size + 2, dp_data(m), m->pkt_len);
	l->size += 2 + m->pkt_len;
	l->n++;
	rte_pktmbuf_free(m);
}

static void note_linux(struct outcome *o, struct rte_mbuf *m)
{
	const struct dp_meta *meta = dp_meta(m);

	note(&o->lists[meta->in_tunnel ? LINUX + meta->from_tunnel % RIG_WORKERS : MIRROR], m,
	     meta->kind);
}

static void take(struct outcome *o)
{
	struct rte_mbuf *m;

	while (rte_ring_sc_dequeue(rig.to_manager, (void **)&m) == 0)
		note_linux(o, m);

	for (unsigned i = 0; i < RIG_WORKERS; i++) {
		struct dp_worker *w = rig.workers[i];

		if (w->tx[0].n)
			dp_tx_flush(w, 0);
		while (rte_ring_sc_dequeue(rig_tx[i], (void **)&m) == 0)
			note(&o->lists[SENT + i], m, 0);
		for (uint16_t k = 0; k < w->to_linux.n; k++)
			note_linux(o, w->to_linux.m[k]);
		w->to_linux.n = 0;
	}
}

static void set_odd(void)
{
	for (size_t i = 0; i < N_SAS; i++)
		rig.sas.out[sas[i].slot]->near.odd |= DP_ODD_WAY;
}

/* What was handed over, until there is nothing more. */
static void settle(struct outcome *o)
{
	unsigned n;

	do {
		n = 0;
		for (unsigned i = 0; i < RIG_WORKERS; i++)
			n += dp_worker_round(rig.workers[i]);
		take(o);
	} while (n);
}

static void burst(struct dp_worker *w, struct outcome *o, enum way way, bool through)
{
	static uint8_t f[2 * FRAME_MAX];
	const unsigned n = 1 + draw(BURST_MAX);
	struct rte_mbuf *m[BURST_MAX + 1];
	unsigned k = 0;

	if (way == LONGER) { /* a frame for another MAC, and nothing may overtake it */
		memset(f, 0, 64);
		m[k++] = packet(f, 64, 64);
	}
	for (unsigned i = 0; i < n; i++, k++) {
		const uint32_t size = frame(f, through),
			       step = one_in(24) ? 40 + draw(600) : UINT32_MAX / 2;

		m[k] = packet(f, size, step);
	}
	if (way == LONGER)
		set_odd();
	dp_classify(w, 0, m, (uint16_t)k);
	if (w->decap.n)
		dp_decap(w);
	if (w->encap.n)
		dp_encap(w);
	take(o);
	settle(o);
}

static void begin(void)
{
	seed = 20;
	last_size = 0;
	for (unsigned i = 0; i < RIG_WORKERS; i++) {
		struct dp_worker *w = rig.workers[i];

		w->interval = rte_rdtsc();
		w->interval_tsc = UINT64_MAX / 2;
		w->icmp_tokens = w->spi_tokens = UINT32_MAX;
	}
	for (size_t i = 0; i < N_SAS; i++) {
		rig_add_out(sas[i].slot, sas[i].tunnel, sas[i].flags);
		rig_add_in(sas[i].slot, sas[i].tunnel, sas[i].flags);
		peer_new(i);
	}
	memset(dp_stats_tunnels(&rig), 0, N_SAS * sizeof(struct dp_stats_tunnel));
	memset(rig.stats->workers, 0, sizeof(rig.stats->workers));
}

static void run(struct outcome *o, enum way way, bool through)
{
	const unsigned mbufs = rig_free_mbufs();

	memset(o, 0, sizeof(*o));
	for (unsigned i = 0; i < N_LISTS; i++) {
		o->lists[i].bytes = malloc(OUT_MAX);
		assert_non_null(o->lists[i].bytes);
	}
	begin();
	for (unsigned i = 0; i < N_BURSTS; i++)
		burst(rig.workers[way == HANDED], o, way, through);
	for (unsigned i = 0; i < RIG_WORKERS; i++) /* pieces that wait for others */
		dp_reassembly_expire(rig.workers[i], rte_rdtsc() + 2 * rte_get_tsc_hz());
	take(o);
	for (unsigned i = 0; i < RIG_WORKERS; i++) {
		dp_counters_tell_all(rig.workers[i]);
		for (unsigned r = 0; r < DP_STATS_MAX_REASONS; r++)
			o->drops[r] += rig.stats->workers[i].drops[r];
		o->generated += rig.stats->workers[i].generated;
	}
	if (way == LONGER)
		o->drops[DP_DROP_OTHER_MAC] -= N_BURSTS;
	for (size_t i = 0; i < N_SAS; i++) {
		o->sas[i] = dp_stats_sas(&rig)[sas[i].slot];
		o->tunnels[i] = dp_stats_tunnels(&rig)[sas[i].tunnel];
	}
	assert_int_equal(rig_free_mbufs(), mbufs);
	for (size_t i = 0; i < N_SAS; i++) {
		rig_del(sas[i].slot);
		esp_out_free(peers[i]);
	}
}

static void same(const struct outcome *a, const struct outcome *b)
{
	for (unsigned i = 0; i < N_LISTS; i++) {
		assert_int_equal(a->lists[i].n, b->lists[i].n);
		assert_int_equal(a->lists[i].size, b->lists[i].size);
		assert_memory_equal(a->lists[i].bytes, b->lists[i].bytes, a->lists[i].size);
	}
	for (unsigned r = 0; r + 1 < DP_NOTE_END; r++)
		if (a->drops[r] != b->drops[r])
			fail_msg("%s: %llu and %llu", dp_drop_name(r),
				 (unsigned long long)a->drops[r], (unsigned long long)b->drops[r]);
	assert_int_equal(a->generated, b->generated);
	assert_memory_equal(a->sas, b->sas, sizeof(a->sas));
	assert_memory_equal(a->tunnels, b->tunnels, sizeof(a->tunnels));
}

static void free_lists(struct outcome *o)
{
	for (unsigned i = 0; i < N_LISTS; i++)
		free(o->lists[i].bytes);
}

static void compare(enum way other, bool through)
{
	static struct outcome o[2];

	run(&o[0], SHORT, through);
	run(&o[1], other, through);
	for (unsigned i = 0; i < N_LISTS; i++)
		assert_true(o[0].lists[i].n > 20);
	same(&o[0], &o[1]);
	free_lists(&o[0]);
	free_lists(&o[1]);
}

static void longer(void **state)
{
	compare(LONGER, true);
}

/* What comes out of one worker's tunnels and goes into another's may change places with what is that one's own. */
static void handed(void **state)
{
	compare(HANDED, false);
}

static void route(uint8_t a, uint8_t b, uint8_t len, uint32_t group)
{
	const struct dp_route r = {
		.group = group, .prefix = {.family = 4, .b = {a, b}}, .len = len};

	assert_int_equal(dp_route_set(&rig, &r), DP_OK);
}

static void group(uint32_t number, uint32_t first, uint32_t second, uint32_t n_ecmp)
{
	const struct dp_group g = {.group = number,
				   .n_tunnels = first == second ? 1 : 2,
				   .n_ecmp = n_ecmp,
				   .tunnels = {first, second}};

	assert_int_equal(dp_group_set(&rig, &g), DP_OK);
}

static int start(void **state)
{
	struct ip_prefix host = {.len = 32}, net = {.len = 16};
	struct ip_addr hop;

	if (!rig_start() || !rig_rings_start())
		return -1;
	for (uint32_t i = 0; i < 4; i++)
		group(i, i, i, 0);
	group(4, 0, 2, 2);
	route(10, 3, 16, 0);
	route(10, 4, 16, 1);
	route(10, 5, 16, 2);
	route(10, 6, 16, 3);
	route(10, 7, 16, 4);
	route(10, 8, 16, DP_GROUP_BLACKHOLE);
	route(11, 0, 8, 0);
	/* A host that is resolved, and its network. */
	assert_true(ip_parse("192.0.2.2", &hop));
	assert_true(ip_parse("10.1.0.20", &host.addr) && ip_parse("10.1.0.0", &net.addr));
	assert_true(dp_fib_set(&rig.fib, 0, &host, DP_FIB_NEIGH,
			       dp_nh(DP_NH_NEIGH, dp_neigh_get(&rig, 0, &hop))));
	assert_true(dp_fib_set(&rig.fib, 0, &net, DP_FIB_CONNECTED, dp_nh(DP_NH_CONNECTED, 0)));
	for (unsigned i = 0; i < RIG_WORKERS; i++)
		dp_worker_enter(rig.workers[i]);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(longer), cmocka_unit_test(handed)};

	return cmocka_run_group_tests(tests, start, NULL);
}
