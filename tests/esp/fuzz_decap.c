/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target for ESP: the first three bytes choose suite, road and options, the rest is
 *	road 0	an outer packet, as it came from the wire
 *	road 1	a payload that is sealed rightly, so that what is behind the ICV is reached
 *	road 2	an inner packet, encapsulated, then decapsulated
 *	road 3	a selector, then an inner packet: both directions must agree on it
 */
#include <stdlib.h>
#include <string.h>
#include "base/secret.h"
#include "esp/esp_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ROOM      128u
#define INPUT_MAX 2048u
#define SELECTOR  8u

enum {
	OPT_ESN = 1,
	OPT_UDP = 2,
	OPT_V6 = 4,
	OPT_OPENSSL = 8,
	OPT_DSCP = 16,
	OPT_SELF = 32,
};

static const uint16_t suites[][3] = {
	{20, 128, 0},  {20, 192, 0},  {20, 256, 0},  {12, 128, 12}, {12, 128, 13}, {12, 128, 14},
	{12, 192, 12}, {12, 192, 13}, {12, 192, 14}, {12, 256, 12}, {12, 256, 13}, {12, 256, 14},
	{18, 128, 0},  {18, 256, 0},  {19, 128, 0},  {19, 256, 0},  {21, 128, 0},  {21, 256, 0},
	{28, 256, 0},  {12, 128, 2},  {12, 256, 2},
};
#define N_SUITES (sizeof(suites) / sizeof(suites[0]))

static void check(bool ok)
{
	if (!ok)
		abort();
}

static void fixed_random(void *arg, uint8_t *out, size_t size)
{
	memset(out, 0x77, size);
}

static struct esp_thread thread_of(unsigned options)
{
	static struct esp_thread threads[2];
	struct esp_thread *t = &threads[options & OPT_OPENSSL ? 1 : 0];
	struct esp_aead *a = &t->aead[0];

	if (!a->backend) {
		check(secret_init());
		a->backend = options & OPT_OPENSSL ? &esp_backend_openssl : &esp_backend_ipsec_mb;
		a->ctx = a->backend->ctx_new();
		t->random = fixed_random;
		check(a->ctx);
	}
	return *t;
}

static struct esp_ts ts_all(uint8_t family)
{
	struct esp_ts t = {
		.local_first = {.family = family},
		.remote_first = {.family = family},
		.local_port_last = UINT16_MAX,
		.remote_port_last = UINT16_MAX,
	};

	t.local_last.family = family;
	memset(t.local_last.b, 0xff, family == IP_V4 ? 4 : 16);
	t.remote_last = t.local_last;
	return t;
}

static struct esp_sa_cfg cfg_of(unsigned suite, unsigned options)
{
	static const uint8_t key[36] = {1, 2, 3}, integ_key[64] = {4, 5, 6};
	const uint8_t family = options & OPT_V6 ? IP_V6 : IP_V4;
	struct esp_sa_cfg cfg = {
		.spi = 0x10203040,
		.esn = options & OPT_ESN,
		.udp_encap = options & OPT_UDP,
		.copy_dscp = options & OPT_DSCP,
		.df = (enum esp_df)(options >> 6 & 1),
		.replay_window = 64,
		.local = {{.family = family, .b = {10, 9}}, 4500},
		.remote = {{.family = family, .b = {10, 8}}, 4500},
		.first_seq = 1,
		.n_ts = 2,
		.encr_key = key,
		.integ_key = integ_key,
	};
	const uint16_t *row = suites[suite % N_SUITES];

	check(esp_suite_init(&cfg.suite, row[0], row[1], row[2]));
	cfg.ts[0] = ts_all(IP_V4);
	cfg.ts[1] = ts_all(IP_V6);
	return cfg;
}

/* The packet lies within its buffer, and the rooms add up. */
static void check_pkt(const struct esp_pkt *p, const uint8_t *mem, size_t size)
{
	check(p->drop < ESP_DROP_END);
	check(p->data == mem + p->headroom);
	check((size_t)p->headroom + p->size + p->tailroom == size);
}

/* What leaves decapsulation is a whole IP packet. */
static void check_inner(const struct esp_pkt *p)
{
	struct esp_inner inner;

	check(esp_inner_parse(p->data, p->size, &inner) == ESP_INNER_OK);
	check(inner.total == p->size && inner.family == p->inner_family);
}

static void fuzz_wire(struct esp_thread *t, const struct esp_sa_cfg *cfg, const uint8_t *data,
		      uint32_t size)
{
	struct esp_in *in = esp_in_new(t, cfg);
	uint8_t *mem = malloc(size ? size : 1);
	struct esp_pkt p = {.data = mem, .size = size};
	struct esp_in_state st;
	uint32_t spi = 0;

	check(in && mem);
	memcpy(mem, data, size);
	check(!esp_peek_spi(mem, size, &spi) || spi != 0);
	check(esp_decap(t, in, &p, 1) == 0);
	check(p.drop != ESP_DROP_OK);
	check_pkt(&p, mem, size);
	/* Nothing but counters moves. */
	esp_in_state(in, &st);
	check(st.seq_high == 0 && st.packets == 0 && st.bytes == 0 && !st.expired);
	check(ip_endpoint_equal(&st.last_remote, &cfg->remote));
	esp_in_free(in);
	free(mem);
}

static void fuzz_payload(struct esp_thread *t, const struct esp_sa_cfg *cfg, const uint8_t *data,
			 uint32_t size)
{
	const struct esp_suite *s = &cfg->suite;
	const uint32_t payload = (size + s->align) / s->align * s->align;
	const uint32_t total = 20u + 8u + s->iv_size + payload + s->icv_size;
	const struct esp_aead *a = &t->aead[0];
	struct esp_in *in = esp_in_new(t, cfg);
	struct esp_key *key =
		a->backend->key_new(a->ctx, s, cfg->esn, cfg->encr_key, cfg->integ_key);
	uint8_t *mem = calloc(1, total);
	struct esp_pkt p = {.data = mem, .size = total};
	struct esp_job job = {.key = key, .payload_size = payload};
	struct esp_in_state st;

	check(in && key && mem);
	/* The input's end is the trailer's end; the outer TOS comes from its first byte. */
	mem[0] = 0x45;
	mem[1] = size ? data[0] : 0;
	esp_put16(mem + 2, (uint16_t)total);
	mem[9] = ESP_PROTO_ESP;
	job.esp = mem + 20;
	esp_put32(job.esp, cfg->spi);
	esp_put32(job.esp + 4, 1);
	if (size)
		memcpy(job.esp + 8 + s->iv_size + payload - size, data, size);
	a->backend->seal(a->ctx, &job, 1);
	check(job.ok);
	esp_decap(t, in, &p, 1);
	check_pkt(&p, mem, total);
	check(p.drop != ESP_DROP_IN_AUTH && p.drop != ESP_DROP_IN_TRUNCATED);
	if (p.drop == ESP_DROP_OK)
		check_inner(&p);
	esp_in_state(in, &st);
	check(st.seq_high == 1 && st.packets == (p.drop == ESP_DROP_OK));
	esp_in_free(in);
	a->backend->key_free(key);
	free(mem);
}

static void fuzz_inner(struct esp_thread *t, const struct esp_sa_cfg *cfg, const uint8_t *data,
		       uint32_t size, bool from_self)
{
	const uint32_t total = ROOM + size + ROOM;
	struct esp_out *out = esp_out_new(t, cfg);
	struct esp_in *in = esp_in_new(t, cfg);
	uint8_t *mem = malloc(total);
	struct esp_pkt p = {.data = mem + ROOM,
			    .size = size,
			    .headroom = ROOM,
			    .tailroom = ROOM,
			    .from_self = from_self};
	struct esp_inner inner;

	check(out && in && mem);
	memset(mem, 0, total);
	memcpy(mem + ROOM, data, size);
	esp_encap(t, out, &p, 1);
	check_pkt(&p, mem, total);
	if (p.drop != ESP_DROP_OK) {
		/* What is refused keeps its bytes. */
		check(memcmp(mem + ROOM, data, size) == 0 && p.size == size);
	} else {
		check(esp_inner_parse(data, size, &inner) == ESP_INNER_OK);
		check(esp_decap(t, in, &p, 1) == 1);
		check_pkt(&p, mem, total);
		check_inner(&p);
		check(p.size == inner.total);
		check(from_self == (memcmp(p.data, data, p.size) == 0));
	}
	esp_out_free(out);
	esp_in_free(in);
	free(mem);
}

static void fuzz_selector(const uint8_t *data, uint32_t size)
{
	struct esp_ts ts[2] = {ts_all(IP_V4), ts_all(IP_V6)}, mirror[2];
	struct esp_ts_set out, in;
	struct esp_inner inner;
	struct esp_upper upper;

	if (size < SELECTOR ||
	    esp_inner_parse(data + SELECTOR, size - SELECTOR, &inner) != ESP_INNER_OK)
		return;
	for (int i = 0; i < 2; i++) {
		ts[i].local_port_first = esp_get16(data);
		ts[i].local_port_last = esp_get16(data + 2);
		ts[i].remote_port_first = esp_get16(data + 4);
		ts[i].remote_port_last = esp_get16(data + 6);
		ts[i].protocol = data[0] & 1 ? 6 : 0;
		mirror[i] = ts[i];
		mirror[i].local_port_first = ts[i].remote_port_first;
		mirror[i].local_port_last = ts[i].remote_port_last;
		mirror[i].remote_port_first = ts[i].local_port_first;
		mirror[i].remote_port_last = ts[i].local_port_last;
	}
	check(esp_ts_compile(&out, ts, 2, true) && esp_ts_compile(&in, mirror, 2, false));
	data += SELECTOR;
	check(esp_ts_match(&out, data, inner.total, inner.family) ==
	      esp_ts_match(&in, data, inner.total, inner.family));
	esp_inner_upper(data, inner.total, &upper);
	check(!upper.has_ports || upper.protocol_known);
	esp_ts_fini(&out);
	esp_ts_fini(&in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct esp_thread t;
	struct esp_sa_cfg cfg;

	if (size < 3 || size > INPUT_MAX)
		return 0;
	t = thread_of(data[2]);
	cfg = cfg_of(data[0], data[2]);
	switch (data[1] & 3) {
	case 0: fuzz_wire(&t, &cfg, data + 3, (uint32_t)size - 3); break;
	case 1: fuzz_payload(&t, &cfg, data + 3, (uint32_t)size - 3); break;
	case 2: fuzz_inner(&t, &cfg, data + 3, (uint32_t)size - 3, data[2] & OPT_SELF); break;
	default: fuzz_selector(data + 3, (uint32_t)size - 3); break;
	}
	return 0;
}
