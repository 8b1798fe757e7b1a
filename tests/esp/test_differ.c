/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The short ways of usual packets (quick.h, unwrap_plain() of in.c) against the longer ones: whatever a packet, the
 * room around it, the burst that it is in and its SA, both give the same bytes, reasons and counters.
 */
#include "util.h"

#define BURST_MAX 16u
#define N_SAS     400u
#define N_BURSTS  12u
#define JUMBO     (UINT16_MAX + 1024u)

static struct rng rng = {.s = 0xd1ffe4};

static bool one_in(uint32_t n)
{
	return rng_below(&rng, n) == 0;
}

/* ------------------------------------------------------------------ inner packets */

/* Addresses of a few hosts, so that selectors often name them. */
static void host4(uint8_t *at)
{
	const uint8_t a[4] = {10, (uint8_t)rng_below(&rng, 2), 0, (uint8_t)rng_below(&rng, 4)};

	memcpy(at, a, sizeof(a));
}

static void host6(uint8_t *at)
{
	memset(at, 0, 16);
	at[0] = 0xfd;
	at[15] = (uint8_t)rng_below(&rng, 4);
}

static uint8_t protocol(void)
{
	static const uint8_t some[] = {1, 6, 6, 17, 17, 58, 132, 50, 4};

	return some[rng_below(&rng, sizeof(some))];
}

/* Ports, ICMP's type, what follows. */
static void payload_write(uint8_t *at, uint32_t size)
{
	rng_fill(&rng, at, size);
	for (uint32_t i = 0; i < size && i < 4; i += 2)
		at[i] = 0;
	for (uint32_t i = 1; i < size && i < 4; i += 2)
		at[i] = (uint8_t)rng_below(&rng, 4);
}

static uint32_t any4_write(uint8_t *ip, uint32_t size)
{
	const uint32_t header = one_in(6) ? 20 + 4 * rng_below(&rng, 11) : 20;

	size = size < header ? header : size;
	memset(ip, 1, header); /* options: NOP */
	ip[0] = (uint8_t)(0x40 | header / 4);
	ip[1] = (uint8_t)rng_next(&rng);
	esp_put16(ip + 2, (uint16_t)size);
	esp_put16(ip + 4, (uint16_t)rng_next(&rng));
	esp_put16(ip + 6, one_in(4) ? (uint16_t)rng_next(&rng) : one_in(2) ? 0x4000 : 0);
	ip[8] = (uint8_t)(one_in(8) ? rng_below(&rng, 3) : 2 + rng_below(&rng, 254));
	ip[9] = protocol();
	host4(ip + 12);
	host4(ip + 16);
	payload_write(ip + header, size - header);
	inner4_checksum(ip);
	return size;
}

static uint32_t any6_write(uint8_t *ip, uint32_t size)
{
	size = size < 41 ? 41 : size;
	memset(ip, 0, 40);
	esp_put32(ip, 6u << 28 | rng_below(&rng, 1u << 28));
	esp_put16(ip + 4, (uint16_t)(size - 40));
	ip[6] = protocol();
	ip[7] = (uint8_t)(one_in(8) ? rng_below(&rng, 3) : 64);
	host6(ip + 8);
	host6(ip + 24);
	payload_write(ip + 40, size - 40);
	return size;
}

static uint32_t any_size(void)
{
	return 20 + rng_below(&rng, one_in(8) ? 1400 : one_in(4) ? 4 : 60);
}

static uint32_t inner_write(uint8_t *ip, uint8_t *family)
{
	*family = one_in(5) ? IP_V6 : IP_V4;
	return *family == IP_V4 ? any4_write(ip, any_size()) : any6_write(ip, any_size());
}

/* ------------------------------------------------------------------------- SAs */

static struct ip_addr first4(uint8_t low)
{
	return ip_v4(10, (uint8_t)rng_below(&rng, 2), 0, low);
}

/* A range of addresses, ports or a protocol, more often than not one that hosts are in. */
static struct esp_ts any_ts(void)
{
	struct esp_ts t = {.local_port_last = UINT16_MAX, .remote_port_last = UINT16_MAX};

	if (one_in(5)) {
		t.local_first.family = t.remote_first.family = IP_V6;
		t.local_first.b[0] = t.remote_first.b[0] = 0xfd;
		t.local_last = t.remote_last = t.local_first;
		t.local_last.b[15] = t.remote_last.b[15] = (uint8_t)(1 + rng_below(&rng, 3));
	} else if (one_in(4)) {
		t.local_first = t.remote_first = ip_v4(0, 0, 0, 0);
		t.local_last = t.remote_last = ip_v4(255, 255, 255, 255);
	} else {
		t.local_first = first4((uint8_t)rng_below(&rng, 3));
		t.remote_first = first4((uint8_t)(2 * rng_below(&rng, 2)));
		t.local_last = t.local_first;
		t.remote_last = t.remote_first;
		t.local_last.b[3] = (uint8_t)(t.local_last.b[3] + rng_below(&rng, 4));
		t.remote_last.b[3] = (uint8_t)(t.remote_last.b[3] + rng_below(&rng, 2));
		if (one_in(2))
			t.local_last.b[1] = t.remote_last.b[1] = 1;
	}
	if (one_in(4))
		t.protocol = protocol();
	if (one_in(5)) {
		t.local_port_first = (uint16_t)rng_below(&rng, 3);
		t.local_port_last = (uint16_t)(t.local_port_first + rng_below(&rng, 3));
	}
	if (one_in(12)) { /* OPAQUE */
		t.remote_port_first = UINT16_MAX;
		t.remote_port_last = 0;
	}
	return t;
}

static uint64_t any_limit(uint32_t unit)
{
	return one_in(4) ? (uint64_t)(1 + rng_below(&rng, N_BURSTS * BURST_MAX)) * unit : 0;
}

static void endpoints(struct esp_sa_cfg *cfg)
{
	cfg->udp_encap = one_in(4);
	cfg->local = (struct ip_endpoint){.addr = ip_v4(192, 0, 2, 1)};
	cfg->remote = (struct ip_endpoint){.addr = ip_v4(198, 51, 100, 2)};
	if (one_in(5)) {
		cfg->local.addr = (struct ip_addr){.family = IP_V6, .b = {0x20, 1}};
		cfg->remote.addr = (struct ip_addr){.family = IP_V6, .b = {0x20, 2}};
	}
}

static struct esp_sa_cfg any_sa(void)
{
	static const uint64_t seqs[] = {1, 1, 1, 0xffffffc0, 0xdfffff80};
	static const uint16_t windows[] = {0, 64, 64, 1024};
	struct esp_sa_cfg cfg = cfg_of(&suite_rows[rng_below(&rng, N_SUITE_ROWS)]);

	if (one_in(2))
		cfg.suite = suite_of(&suite_rows[2]); /* usual */
	cfg.spi = (uint32_t)rng_next(&rng) | 0x100;
	cfg.esn = one_in(2);
	cfg.copy_dscp = one_in(2);
	cfg.df = (enum esp_df)rng_below(&rng, 3);
	cfg.replay_window = windows[rng_below(&rng, 4)];
	cfg.first_seq = seqs[rng_below(&rng, 5)];
	cfg.soft_packets = any_limit(1);
	cfg.hard_packets = any_limit(1);
	cfg.soft_bytes = any_limit(100);
	cfg.hard_bytes = any_limit(100);
	endpoints(&cfg);
	if (one_in(3)) {
		cfg.n_ts = 1 + rng_below(&rng, 3);
		for (size_t i = 0; i < cfg.n_ts; i++)
			cfg.ts[i] = any_ts();
	}
	return cfg;
}

/* ------------------------------------------------------------------ comparisons */

static void same_pkt(const struct buf *a, const struct buf *b)
{
	assert_drop(a->pkt.drop, b->pkt.drop);
	assert_int_equal(a->pkt.size, b->pkt.size);
	assert_int_equal(a->pkt.headroom, b->pkt.headroom);
	assert_int_equal(a->pkt.tailroom, b->pkt.tailroom);
	assert_int_equal(a->pkt.data - a->mem, b->pkt.data - b->mem);
	assert_memory_equal(a->mem, b->mem, BUF_SIZE);
}

static void same_out(const struct esp_out *a, const struct esp_out *b)
{
	struct esp_out_state x, y;

	esp_out_state(a, &x);
	esp_out_state(b, &y);
	assert_int_equal(x.packets, y.packets);
	assert_int_equal(x.bytes, y.bytes);
	assert_int_equal(x.next_seq, y.next_seq);
	assert_int_equal(x.soft_reached, y.soft_reached);
	assert_int_equal(x.exhausted, y.exhausted);
}

static void same_in(const struct esp_in *a, const struct esp_in *b)
{
	struct esp_in_state x, y;

	esp_in_state(a, &x);
	esp_in_state(b, &y);
	assert_int_equal(x.packets, y.packets);
	assert_int_equal(x.bytes, y.bytes);
	assert_int_equal(x.seq_high, y.seq_high);
	assert_int_equal(x.soft_reached, y.soft_reached);
	assert_int_equal(x.expired, y.expired);
	assert_int_equal(x.auth_failed, y.auth_failed);
	assert_int_equal(x.replayed, y.replayed);
	assert_int_equal(x.late, y.late);
	assert_int_equal(x.ts_mismatch, y.ts_mismatch);
	assert_int_equal(x.malformed, y.malformed);
	assert_true(ip_endpoint_equal(&x.last_remote, &y.last_remote));
	assert_true(ip_endpoint_equal(&x.last_local, &y.last_local));
	assert_int_equal(esp_in_news(a), esp_in_news(b));
}

/* --------------------------------------------------------------------- outbound */

static struct buf bufs[2][BURST_MAX];

static void outer_rooms(struct esp_pkt *p)
{
	if (one_in(10))
		p->tailroom = rng_below(&rng, 36);
	if (one_in(10))
		p->headroom = 20 + rng_below(&rng, 60);
}

static unsigned out_burst(struct pair *p, struct pair *q)
{
	const size_t n = 1 + rng_below(&rng, BURST_MAX);
	struct esp_pkt pkts[2][BURST_MAX];
	unsigned n_quick = 0;

	for (size_t i = 0; i < n; i++) {
		static uint8_t ip[2048];
		uint8_t family;
		const uint32_t size = inner_write(ip, &family);

		buf_raw(&bufs[0][i], ip, size);
		bufs[0][i].pkt.inner_family = family;
		bufs[0][i].pkt.from_self = one_in(16);
		outer_rooms(&bufs[0][i].pkt);
		buf_copy(&bufs[1][i], &bufs[0][i]);
		pkts[0][i] = bufs[0][i].pkt;
		pkts[1][i] = bufs[1][i].pkt;
	}
	n_quick = p->out->line.quota;
	q->out->line.quota = 0; /* no packet may go the short way */
	assert_int_equal(esp_encap(&p->out_thread, p->out, pkts[0], n),
			 esp_encap(&q->out_thread, q->out, pkts[1], n));
	for (size_t i = 0; i < n; i++) {
		bufs[0][i].pkt = pkts[0][i];
		bufs[1][i].pkt = pkts[1][i];
		same_pkt(&bufs[0][i], &bufs[1][i]);
	}
	same_out(p->out, q->out);
	return n_quick != 0;
}

static void outbound(void **state)
{
	unsigned n_quick = 0;

	for (unsigned i = 0; i < N_SAS; i++) {
		struct esp_sa_cfg cfg = any_sa();
		struct pair p, q;

		pair_init(&p, &cfg, &esp_backend_openssl, &esp_backend_openssl);
		pair_init(&q, &cfg, &esp_backend_openssl, &esp_backend_openssl);
		for (unsigned k = 0; k < N_BURSTS; k++) {
			n_quick += out_burst(&p, &q);
			if (one_in(8)) {
				endpoints(&cfg);
				esp_out_set_peer(p.out, &cfg.local, &cfg.remote, cfg.udp_encap);
				esp_out_set_peer(q.out, &cfg.local, &cfg.remote, cfg.udp_encap);
			}
		}
		pair_fini(&p);
		pair_fini(&q);
	}
	assert_in_range(n_quick, N_SAS * N_BURSTS / 4, N_SAS * N_BURSTS * 3 / 4);
}

/* Around the largest outer packet: what fits goes, and nothing wraps. */
static void jumbo(void **state)
{
	static uint8_t mem[2][JUMBO];
	struct esp_sa_cfg cfg = cfg_of(&suite_rows[2]);
	struct pair p, q;

	pair_init(&p, &cfg, &esp_backend_openssl, &esp_backend_openssl);
	pair_init(&q, &cfg, &esp_backend_openssl, &esp_backend_openssl);
	for (uint32_t size = UINT16_MAX - 70; size <= UINT16_MAX; size++) {
		struct esp_pkt pkt[2];

		for (int i = 0; i < 2; i++) {
			inner4_write(mem[i] + HEADROOM, size);
			pkt[i] = (struct esp_pkt){
				.data = mem[i] + HEADROOM,
				.size = size,
				.headroom = HEADROOM,
				.tailroom = JUMBO - HEADROOM - size,
				.inner_family = IP_V4,
			};
		}
		q.out->line.quota = 0;
		(void)esp_encap(&p.out_thread, p.out, &pkt[0], 1);
		(void)esp_encap(&q.out_thread, q.out, &pkt[1], 1);
		assert_drop(pkt[0].drop, pkt[1].drop);
		assert_drop(pkt[0].drop, ((size + 2 + 3) & ~3u) + 36 + 16 <= UINT16_MAX
						 ? ESP_DROP_OK
						 : ESP_DROP_OUT_TOO_BIG);
		assert_int_equal(pkt[0].size, pkt[1].size);
		assert_memory_equal(mem[0], mem[1], JUMBO);
	}
	same_out(p.out, q.out);
	pair_fini(&p);
	pair_fini(&q);
}

/* ---------------------------------------------------------------------- inbound */

/* Where the peer is: it seals whatever it likes. */
struct peer {
	const struct esp_sa_cfg *cfg;
	const struct esp_backend *backend;
	void *ctx;
	struct esp_key *key;
	uint64_t seq;
};

static void peer_init(struct peer *p, const struct esp_sa_cfg *cfg)
{
	*p = (struct peer){.cfg = cfg, .backend = &esp_backend_openssl, .seq = cfg->first_seq};
	p->ctx = p->backend->ctx_new();
	p->key = p->backend->key_new(p->ctx, &cfg->suite, cfg->esn, cfg->encr_key, cfg->integ_key);
	assert_non_null(p->key);
}

static void peer_fini(struct peer *p)
{
	p->backend->key_free(p->key);
	p->backend->ctx_free(p->ctx);
}

/* A payload with its trailer, right or with something about it that is not. Returns its size. */
static uint32_t payload_any(uint8_t *at, const struct esp_sa_cfg *cfg)
{
	const uint32_t align = cfg->suite.align;
	uint8_t family;
	uint32_t size = inner_write(at, &family), pad;
	bool mend = false;

	if (one_in(6)) { /* another length than the header's, mostly by little */
		const uint32_t other =
			one_in(4) ? rng_below(&rng, 80) : size + 4 - rng_below(&rng, 8);

		const uint32_t what = 1 + rng_below(&rng, 3);

		rng_fill(&rng, at + size, 16);
		if (what & 1)
			size = other;
		if (what & 2)
			esp_put16(at + (family == IP_V4 ? 2 : 4), (uint16_t)other);
		mend = family == IP_V4 && !one_in(4);
	}
	if (one_in(20))
		at[rng_below(&rng, 20)] ^= (uint8_t)(1u << rng_below(&rng, 8));
	pad = (0u - (size + ESP_TRAILER_SIZE)) % align;
	if (one_in(12))
		pad += align * rng_below(&rng, 4);
	for (uint32_t i = 0; i < pad; i++)
		at[size + i] = (uint8_t)(i + 1);
	if (mend) /* if it reaches into the padding, too */
		inner4_checksum(at);
	size += pad;
	if (pad && one_in(12))
		at[size - 1 - rng_below(&rng, pad)] ^= 1;
	at[size++] = (uint8_t)(one_in(16) ? pad + rng_below(&rng, 4) : pad);
	at[size++] = (uint8_t)(one_in(16)        ? 59
			       : one_in(16)      ? rng_below(&rng, 256)
			       : family == IP_V4 ? ESP_PROTO_IPV4
						 : ESP_PROTO_IPV6);
	return size;
}

/* The outer packet: native or in UDP, over either family, with options, with link padding behind it. */
static void outer_any(struct buf *b, const struct peer *p, uint64_t seq)
{
	static uint8_t pkt[BUF_SIZE];
	const struct esp_suite *s = &p->cfg->suite;
	const bool v6 = one_in(6), udp = one_in(4);
	const uint32_t header = v6 ? 40 : one_in(12) ? 24 : 20;
	const uint32_t at = header + (udp ? ESP_UDP_HDR_SIZE : 0);
	const uint32_t head = ESP_HDR_SIZE + s->iv_size;
	struct esp_job job = {.key = p->key, .esp = pkt + at, .seq_hi = (uint32_t)(seq >> 32)};
	uint32_t total;

	memset(pkt, 0, sizeof(pkt));
	job.payload_size = payload_any(pkt + at + head, p->cfg);
	if (one_in(40))
		job.payload_size = s->align * rng_below(&rng, 8);
	total = at + head + job.payload_size + s->icv_size;
	esp_put32(pkt + at, p->cfg->spi);
	esp_put32(pkt + at + 4, (uint32_t)seq);
	rng_fill(&rng, pkt + at + ESP_HDR_SIZE, s->iv_size);
	if (v6) {
		pkt[0] = 0x60;
		esp_put16(pkt + 4, (uint16_t)(total - 40));
		pkt[6] = udp ? ESP_PROTO_UDP : ESP_PROTO_ESP;
		pkt[8] = pkt[24] = 0x20;
		pkt[23] = (uint8_t)one_in(16);
	} else {
		pkt[0] = (uint8_t)(0x40 | header / 4);
		esp_put16(pkt + 2, (uint16_t)total);
		pkt[8] = 64;
		pkt[9] = udp ? ESP_PROTO_UDP : ESP_PROTO_ESP;
		pkt[12] = pkt[16] = 192;
		pkt[15] = (uint8_t)one_in(16);
	}
	if (udp) {
		esp_put16(pkt + header, one_in(8) ? 1024 : ESP_PORT_NATT);
		esp_put16(pkt + header + 2, ESP_PORT_NATT);
		esp_put16(pkt + header + 4, (uint16_t)(total - header));
	}
	if (job.payload_size) {
		p->backend->seal(p->ctx, &job, 1);
		assert_true(job.ok);
	}
	if (one_in(16))
		pkt[at + rng_below(&rng, total - at)] ^= 1;
	buf_raw(b, pkt, total + (one_in(12) ? rng_below(&rng, 20) : 0));
}

/* Mostly the next; again, late, far ahead, and over the border of 32 bits. */
static uint64_t any_seq(struct peer *p)
{
	if (one_in(8))
		return p->seq - rng_below(&rng, 80);
	if (one_in(200))
		p->seq += 1u << (10 + rng_below(&rng, 22));
	else
		p->seq += one_in(10) ? rng_below(&rng, 100) : 1;
	return p->seq;
}

static void set_tos(struct buf *b, uint8_t bits)
{
	if (b->pkt.data[0] >> 4 == 4)
		b->pkt.data[1] ^= bits;
	else
		b->pkt.data[1] ^= (uint8_t)(bits << 4);
}

/* What goes the longer way comes unlocated, and with an ECN field that tells as little (RFC 6040 4.2: ECT(0)
 * outside changes nothing) but that the short way does not know; each of its packets counts at once. */
static unsigned in_burst(struct pair *p, struct pair *q, struct peer *peer)
{
	const size_t n = 1 + rng_below(&rng, BURST_MAX);
	struct esp_pkt pkts[2][BURST_MAX];
	struct esp_in *longer = q->in;
	bool ect[BURST_MAX];
	uint8_t *at[BURST_MAX];
	size_t n_ok;

	for (size_t i = 0; i < n; i++) {
		uint32_t spi;

		outer_any(&bufs[0][i], peer, any_seq(peer));
		ect[i] = !one_in(10);
		if (!ect[i])
			set_tos(&bufs[0][i], (uint8_t)(1 + rng_below(&rng, 3)));
		buf_copy(&bufs[1][i], &bufs[0][i]);
		if (ect[i])
			set_tos(&bufs[1][i], 2);
		at[i] = bufs[1][i].pkt.data;
		if (esp_locate(&bufs[0][i].pkt, &spi))
			assert_true(bufs[0][i].pkt.esp_offset);
		pkts[0][i] = bufs[0][i].pkt;
		pkts[1][i] = bufs[1][i].pkt;
	}
	longer->quota_given = (uint16_t)(longer->quota_given - longer->line.quota);
	longer->line.quota = 0;
	n_ok = esp_decap(&p->in_thread, p->in, pkts[0], n);
	assert_int_equal(n_ok, esp_decap(&q->in_thread, longer, pkts[1], n));
	for (size_t i = 0; i < n; i++) {
		bufs[1][i].pkt.data = at[i];
		if (ect[i])
			set_tos(&bufs[1][i], 2);
		bufs[0][i].pkt = pkts[0][i];
		bufs[1][i].pkt = pkts[1][i];
		same_pkt(&bufs[0][i], &bufs[1][i]);
		if (pkts[0][i].drop == ESP_DROP_OK)
			assert_int_equal(pkts[0][i].inner_family, pkts[1][i].inner_family);
	}
	same_in(p->in, longer);
	return (unsigned)n_ok;
}

static void inbound(void **state)
{
	unsigned n_ok = 0;

	for (unsigned i = 0; i < N_SAS; i++) {
		struct esp_sa_cfg cfg = any_sa();
		struct peer peer;
		struct pair p, q;

		pair_init(&p, &cfg, &esp_backend_openssl, &esp_backend_openssl);
		pair_init(&q, &cfg, &esp_backend_openssl, &esp_backend_openssl);
		peer_init(&peer, &cfg);
		for (unsigned k = 0; k < N_BURSTS; k++)
			n_ok += in_burst(&p, &q, &peer);
		peer_fini(&peer);
		pair_fini(&p);
		pair_fini(&q);
	}
	assert_in_range(n_ok, N_SAS * N_BURSTS, N_SAS * N_BURSTS * BURST_MAX / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(outbound),
		cmocka_unit_test(jumbo),
		cmocka_unit_test(inbound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
