/* SPDX-License-Identifier: Apache-2.0 */
/* util: see util.h. */
#include "util.h"
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/sum.h"

uint64_t rng_next(struct rng *r)
{
	r->s ^= r->s << 13;
	r->s ^= r->s >> 7;
	r->s ^= r->s << 17;
	return r->s;
}

uint32_t rng_below(struct rng *r, uint32_t n)
{
	return (uint32_t)(rng_next(r) >> 32) % n;
}

void rng_fill(struct rng *r, void *out, size_t size)
{
	uint8_t *p = out;

	while (size--)
		*p++ = (uint8_t)(rng_next(r) >> 40);
}

const struct suite_row suite_rows[] = {
	{ESP_ENCR_AES_GCM_16, 128, ESP_INTEG_NONE},
	{ESP_ENCR_AES_GCM_16, 192, ESP_INTEG_NONE},
	{ESP_ENCR_AES_GCM_16, 256, ESP_INTEG_NONE},
	{ESP_ENCR_AES_CBC, 128, ESP_INTEG_HMAC_SHA2_256_128},
	{ESP_ENCR_AES_CBC, 128, ESP_INTEG_HMAC_SHA2_384_192},
	{ESP_ENCR_AES_CBC, 128, ESP_INTEG_HMAC_SHA2_512_256},
	{ESP_ENCR_AES_CBC, 192, ESP_INTEG_HMAC_SHA2_256_128},
	{ESP_ENCR_AES_CBC, 192, ESP_INTEG_HMAC_SHA2_384_192},
	{ESP_ENCR_AES_CBC, 192, ESP_INTEG_HMAC_SHA2_512_256},
	{ESP_ENCR_AES_CBC, 256, ESP_INTEG_HMAC_SHA2_256_128},
	{ESP_ENCR_AES_CBC, 256, ESP_INTEG_HMAC_SHA2_384_192},
	{ESP_ENCR_AES_CBC, 256, ESP_INTEG_HMAC_SHA2_512_256},
	{ESP_ENCR_AES_GCM_8, 128, ESP_INTEG_NONE},
	{ESP_ENCR_AES_GCM_8, 192, ESP_INTEG_NONE},
	{ESP_ENCR_AES_GCM_8, 256, ESP_INTEG_NONE},
	{ESP_ENCR_AES_GCM_12, 128, ESP_INTEG_NONE},
	{ESP_ENCR_AES_GCM_12, 192, ESP_INTEG_NONE},
	{ESP_ENCR_AES_GCM_12, 256, ESP_INTEG_NONE},
	{ESP_ENCR_NULL_AUTH_AES_GMAC, 128, ESP_INTEG_NONE},
	{ESP_ENCR_NULL_AUTH_AES_GMAC, 192, ESP_INTEG_NONE},
	{ESP_ENCR_NULL_AUTH_AES_GMAC, 256, ESP_INTEG_NONE},
	{ESP_ENCR_CHACHA20_POLY1305, 256, ESP_INTEG_NONE},
	{ESP_ENCR_AES_CBC, 128, ESP_INTEG_HMAC_SHA1_96},
	{ESP_ENCR_AES_CBC, 192, ESP_INTEG_HMAC_SHA1_96},
	{ESP_ENCR_AES_CBC, 256, ESP_INTEG_HMAC_SHA1_96},
};
const size_t n_suite_rows = N_SUITE_ROWS;

static_assert(sizeof(suite_rows) / sizeof(suite_rows[0]) == N_SUITE_ROWS, "as the header says");

struct esp_suite suite_of(const struct suite_row *row)
{
	struct esp_suite s;

	assert_true(esp_suite_init(&s, row->encr, row->bits, row->integ));
	return s;
}

bool backend_works(const struct esp_backend *b)
{
	void *ctx = b->ctx_new();

	if (ctx)
		b->ctx_free(ctx);
	else
		assert_true(strncmp(b->name, "vaes", 4) == 0);
	return ctx;
}

bool backend_serves(const struct esp_backend *b, const struct suite_row *row)
{
	const struct esp_suite s = suite_of(row);

	return b->supports(&s) && backend_works(b);
}

static void test_random(void *arg, uint8_t *out, size_t size)
{
	rng_fill(arg, out, size);
}

void thread_init(struct esp_thread *t, const struct esp_backend *b)
{
	struct rng *r = malloc(sizeof(*r));

	assert_non_null(r);
	r->s = 0x5eed;
	*t = (struct esp_thread){
		.aead = {{b, b->ctx_new()}},
		.random = test_random,
		.random_arg = r,
	};
	assert_non_null(t->aead[0].ctx);
}

void thread_fini(struct esp_thread *t)
{
	for (struct esp_aead *a = t->aead; a->backend; a++)
		a->backend->ctx_free(a->ctx);
	free(t->random_arg);
}

const uint8_t test_encr_key[36] = {
	1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18,
	19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36,
};
const uint8_t test_integ_key[64] = {0xa0, 0xa1, 0xa2, 0xa3, 0xa4};

struct esp_sa_cfg cfg_of(const struct suite_row *row)
{
	struct esp_sa_cfg c = {
		.spi = 0xc0de0001,
		.suite = suite_of(row),
		.replay_window = 1024,
		.local = {.addr = ip_v4(192, 0, 2, 1)},
		.remote = {.addr = ip_v4(198, 51, 100, 2)},
		.first_seq = 1,
		.n_ts = 2,
		.encr_key = test_encr_key,
		.integ_key = test_integ_key,
	};

	c.ts[0] = (struct esp_ts){
		.local_first = ip_v4(0, 0, 0, 0),
		.local_last = ip_v4(255, 255, 255, 255),
		.remote_first = ip_v4(0, 0, 0, 0),
		.remote_last = ip_v4(255, 255, 255, 255),
		.local_port_last = UINT16_MAX,
		.remote_port_last = UINT16_MAX,
	};
	c.ts[1] = c.ts[0];
	c.ts[1].local_first = c.ts[1].remote_first = (struct ip_addr){.family = IP_V6};
	memset(c.ts[1].local_last.b, 0xff, 16);
	c.ts[1].local_last.family = IP_V6;
	c.ts[1].remote_last = c.ts[1].local_last;
	return c;
}

struct esp_sa_cfg cfg_mirror(const struct esp_sa_cfg *cfg)
{
	struct esp_sa_cfg m = *cfg;

	m.local = cfg->remote;
	m.remote = cfg->local;
	for (size_t i = 0; i < cfg->n_ts; i++) {
		const struct esp_ts *t = &cfg->ts[i];

		m.ts[i] = (struct esp_ts){
			.local_first = t->remote_first,
			.local_last = t->remote_last,
			.remote_first = t->local_first,
			.remote_last = t->local_last,
			.local_port_first = t->remote_port_first,
			.local_port_last = t->remote_port_last,
			.remote_port_first = t->local_port_first,
			.remote_port_last = t->local_port_last,
			.protocol = t->protocol,
		};
	}
	return m;
}

void pair_init(struct pair *p, const struct esp_sa_cfg *cfg, const struct esp_backend *sealer,
	       const struct esp_backend *opener)
{
	const struct esp_sa_cfg mirror = cfg_mirror(cfg);

	p->cfg = *cfg;
	thread_init(&p->out_thread, sealer);
	thread_init(&p->in_thread, opener);
	p->out = esp_out_new(&p->out_thread, cfg);
	p->in = esp_in_new(&p->in_thread, &mirror);
	assert_non_null(p->out);
	assert_non_null(p->in);
}

void pair_fini(struct pair *p)
{
	esp_out_free(p->out);
	esp_in_free(p->in);
	thread_fini(&p->out_thread);
	thread_fini(&p->in_thread);
}

void guarded_init(struct guarded *g, size_t size)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	const size_t body = (size + page - 1) / page * page;
	uint8_t *m;

	g->map_size = body + 2 * page;
	g->map =
		mmap(NULL, g->map_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(g->map != MAP_FAILED);
	m = g->map;
	assert_int_equal(mprotect(m, page, PROT_NONE), 0);
	assert_int_equal(mprotect(m + page + body, page, PROT_NONE), 0);
	g->data = m + page + body - size;
	g->size = size;
}

void guarded_fini(struct guarded *g)
{
	munmap(g->map, g->map_size);
}

void inner4_checksum(uint8_t *at)
{
	const size_t ihl = (at[0] & 15u) * 4u;

	memset(at + 10, 0, 2);
	esp_put16(at + 10, sum_finish(sum_add(0, at, ihl)));
}

bool ip4_checksum_good(const uint8_t *at)
{
	return sum_finish(sum_add(0, at, (at[0] & 15u) * 4u)) == 0;
}

void inner4_write(uint8_t *at, uint32_t size)
{
	static const uint8_t hdr[20] = {0x45, 0, 0,  0, 0x12, 0x34, 0,  0, 64, 17,
					0,    0, 10, 1, 0,    1,    10, 2, 0,  2};

	assert_true(size >= sizeof(hdr));
	memcpy(at, hdr, sizeof(hdr));
	esp_put16(at + 2, (uint16_t)size);
	for (uint32_t i = sizeof(hdr); i < size; i++)
		at[i] = (uint8_t)(i * 7);
	inner4_checksum(at);
}

void inner6_write(uint8_t *at, uint32_t size)
{
	assert_true(size >= 40);
	memset(at, 0, 40);
	at[0] = 0x60;
	esp_put16(at + 4, (uint16_t)(size - 40));
	at[6] = 17;
	at[7] = 64;
	memcpy(at + 8, "\xfd\x00\x00\x01\0\0\0\0\0\0\0\0\0\0\0\x01", 16);
	memcpy(at + 24, "\xfd\x00\x00\x02\0\0\0\0\0\0\0\0\0\0\0\x02", 16);
	for (uint32_t i = 40; i < size; i++)
		at[i] = (uint8_t)(i * 7);
}

static void buf_reset(struct buf *b, uint32_t size)
{
	assert_true(size + HEADROOM + TAILROOM <= BUF_SIZE);
	memset(b->mem, 0xee, sizeof(b->mem));
	b->pkt = (struct esp_pkt){
		.data = b->mem + HEADROOM,
		.size = size,
		.headroom = HEADROOM,
		.tailroom = BUF_SIZE - HEADROOM - size,
	};
}

void buf_inner4(struct buf *b, uint32_t size)
{
	buf_reset(b, size);
	inner4_write(b->pkt.data, size);
}

void buf_inner6(struct buf *b, uint32_t size)
{
	buf_reset(b, size);
	inner6_write(b->pkt.data, size);
}

void buf_raw(struct buf *b, const uint8_t *data, uint32_t size)
{
	buf_reset(b, size);
	memcpy(b->pkt.data, data, size);
}

void buf_copy(struct buf *to, const struct buf *from)
{
	memcpy(to->mem, from->mem, sizeof(to->mem));
	to->pkt = from->pkt;
	to->pkt.data = to->mem + (from->pkt.data - from->mem);
}

void craft(struct buf *b, const struct esp_backend *backend, const struct esp_sa_cfg *cfg,
	   uint64_t seq, const uint8_t *payload, uint32_t payload_size)
{
	const struct esp_suite *s = &cfg->suite;
	const uint32_t size = 20u + 8u + s->iv_size + payload_size + s->icv_size;
	struct esp_job job = {.payload_size = payload_size, .seq_hi = (uint32_t)(seq >> 32)};
	void *ctx = backend->ctx_new();
	struct esp_key *key;
	uint8_t *p;

	assert_non_null(ctx);
	key = backend->key_new(ctx, s, cfg->esn, cfg->encr_key, cfg->integ_key);
	assert_non_null(key);
	buf_reset(b, size);
	p = b->pkt.data;
	memset(p, 0, 20);
	p[0] = 0x45;
	esp_put16(p + 2, (uint16_t)size);
	p[8] = 64;
	p[9] = ESP_PROTO_ESP;
	memcpy(p + 12, cfg->local.addr.b, 4);
	memcpy(p + 16, cfg->remote.addr.b, 4);
	inner4_checksum(p);
	job.esp = p + 20;
	job.key = key;
	esp_put32(p + 20, cfg->spi);
	esp_put32(p + 24, (uint32_t)seq);
	memset(p + 28, 0x5a, s->iv_size);
	esp_put32(p + 28, (uint32_t)seq);
	if (payload_size)
		memcpy(p + 28 + s->iv_size, payload, payload_size);
	backend->seal(ctx, &job, 1);
	assert_true(job.ok);
	backend->key_free(key);
	backend->ctx_free(ctx);
}

enum esp_drop decap_one(struct pair *p, struct buf *b)
{
	const size_t n = esp_decap(&p->in_thread, p->in, &b->pkt, 1);

	assert_int_equal(n, b->pkt.drop == ESP_DROP_OK);
	return b->pkt.drop;
}

enum esp_drop encap_one(struct pair *p, struct buf *b)
{
	const size_t n = esp_encap(&p->out_thread, p->out, &b->pkt, 1);

	assert_int_equal(n, b->pkt.drop == ESP_DROP_OK);
	return b->pkt.drop;
}
