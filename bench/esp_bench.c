/* SPDX-License-Identifier: Apache-2.0 */
/*
 * esp_bench: what esp/ costs per packet, beside the bare AEAD in the same run.
 *
 * Each round resets a burst's inner headers, then times encapsulation, then decapsulation of the
 * same packets (or sealing and opening, for the bare AEAD). The result is the median burst, in
 * cycles of the time stamp counter per packet, so that an interrupt in between does not count.
 * Several bursts of buffers take turns, to sit in the second-level cache as a dataplane's do.
 * Sizes are those of the inner IP packet. IMIX is 7:4:1 of 64, 594 and 1518 bytes.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/secret.h"
#include "base/sum.h"
#include "esp/esp.h"
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

#define BUF_SIZE 2048u
#define HEADROOM 128u
#define N_SETS   8u
#define N_SIZES  4u
#define ROUNDS   3000u
#define WARM_UP  200u
#define IMIX     0u

static const uint32_t sizes[N_SIZES] = {64, 576, 1420, IMIX};
static const char *const size_names[N_SIZES] = {"64", "576", "1420", "imix"};

enum op {
	OP_SEAL,
	OP_OPEN,
	OP_ENCAP,
	OP_DECAP,
	N_OPS,
};
static const char *const op_names[N_OPS] = {"seal", "open", "encap", "decap"};

struct bench {
	struct esp_thread t;
	struct esp_suite suite;
	struct esp_out *out;
	struct esp_in *in;
	struct esp_key *key;
	uint8_t *mem; /* N_SETS * burst buffers */
	size_t burst;
	bool esn, udp;
};

static inline uint64_t cycles(void)
{
#if defined(__x86_64__)
	uint64_t v;

	_mm_lfence();
	v = __rdtsc();
	_mm_lfence();
	return v;
#else
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
#endif
}

/* Cheap and good enough for a benchmark's IVs. */
static void bench_random(void *arg, uint8_t *out, size_t size)
{
	uint64_t *s = arg;

	for (size_t i = 0; i < size; i += 8) {
		*s ^= *s << 13;
		*s ^= *s >> 7;
		*s ^= *s << 17;
		memcpy(out + i, s, 8);
	}
}

static uint32_t size_of(uint32_t size, size_t i)
{
	if (size != IMIX)
		return size;
	return i % 12 < 7 ? 64 : i % 12 < 11 ? 594 : 1518;
}

static void header(uint8_t *p, uint32_t size)
{
	static const uint8_t hdr[20] = {0x45, 0, 0,  0, 0, 0, 0x40, 0, 64, 17,
					0,    0, 10, 1, 0, 1, 10,   0, 2,  2};
	uint16_t sum;

	memcpy(p, hdr, sizeof(hdr));
	p[2] = (uint8_t)(size >> 8);
	p[3] = (uint8_t)size;
	sum = sum_finish(sum_add(0, p, sizeof(hdr)));
	p[10] = (uint8_t)(sum >> 8);
	p[11] = (uint8_t)sum;
}

static uint8_t *buffer(const struct bench *b, unsigned round, size_t i)
{
	return b->mem + ((round % N_SETS) * b->burst + i) * BUF_SIZE;
}

static void die(const char *what)
{
	fprintf(stderr, "esp_bench: %s\n", what);
	exit(1);
}

static void round_packets(struct bench *b, uint32_t size, unsigned round, uint64_t *encap,
			  uint64_t *decap)
{
	struct esp_pkt pkts[ESP_BURST_MAX];
	uint64_t t0, t1, t2;

	for (size_t i = 0; i < b->burst; i++) {
		const uint32_t n = size_of(size, i);

		pkts[i] = (struct esp_pkt){
			.data = buffer(b, round, i) + HEADROOM,
			.size = n,
			.headroom = HEADROOM,
			.tailroom = BUF_SIZE - HEADROOM - n,
		};
		header(pkts[i].data, n);
	}
	t0 = cycles();
	if (esp_encap(&b->t, b->out, pkts, b->burst) != b->burst)
		die("a packet was not encapsulated");
	t1 = cycles();
	if (esp_decap(&b->t, b->in, pkts, b->burst) != b->burst)
		die("a packet was not decapsulated");
	t2 = cycles();
	*encap = t1 - t0;
	*decap = t2 - t1;
}

static void round_aead(struct bench *b, uint32_t size, unsigned round, uint64_t *seal,
		       uint64_t *open)
{
	struct esp_job jobs[ESP_BURST_MAX];
	uint64_t t0, t1, t2;

	for (size_t i = 0; i < b->burst; i++) {
		const uint32_t n = size_of(size, i);

		jobs[i] = (struct esp_job){
			.key = b->key,
			.esp = buffer(b, round, i) + HEADROOM,
			.payload_size =
				(n + 2 + b->suite.align - 1u) / b->suite.align * b->suite.align,
		};
	}
	t0 = cycles();
	b->t.aead[0].backend->seal(b->t.aead[0].ctx, jobs, b->burst);
	t1 = cycles();
	b->t.aead[0].backend->open(b->t.aead[0].ctx, jobs, b->burst);
	t2 = cycles();
	for (size_t i = 0; i < b->burst; i++)
		if (!jobs[i].ok)
			die("a packet did not open");
	*seal = t1 - t0;
	*open = t2 - t1;
}

static int by_value(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static double median(uint64_t *v, size_t n, size_t burst)
{
	qsort(v, n, sizeof(*v), by_value);
	return (double)v[n / 2] / (double)burst;
}

static void measure(struct bench *b, double out[N_OPS][N_SIZES])
{
	static uint64_t v[N_OPS][ROUNDS];

	for (size_t s = 0; s < N_SIZES; s++) {
		for (unsigned i = 0; i < WARM_UP + ROUNDS; i++) {
			const size_t at = i < WARM_UP ? 0 : i - WARM_UP;

			round_packets(b, sizes[s], i, &v[OP_ENCAP][at], &v[OP_DECAP][at]);
			round_aead(b, sizes[s], i, &v[OP_SEAL][at], &v[OP_OPEN][at]);
		}
		for (size_t op = 0; op < N_OPS; op++)
			out[op][s] = median(v[op], ROUNDS, b->burst);
	}
}

static void ts_all(struct esp_ts *t)
{
	*t = (struct esp_ts){
		.local_first = ip_v4(0, 0, 0, 0),
		.local_last = ip_v4(255, 255, 255, 255),
		.remote_first = ip_v4(0, 0, 0, 0),
		.remote_last = ip_v4(255, 255, 255, 255),
		.local_port_last = UINT16_MAX,
		.remote_port_last = UINT16_MAX,
	};
}

/* Not every backend works on this CPU, nor has every suite. */
static bool serves(const struct esp_backend *backend, const struct esp_suite *suite)
{
	void *ctx = backend->ctx_new();

	backend->ctx_free(ctx);
	return ctx && backend->supports(suite);
}

static void bench_init(struct bench *b, const struct esp_backend *backend, uint64_t *seed)
{
	static const uint8_t encr_key[36] = {1}, integ_key[64] = {2};
	struct esp_sa_cfg cfg = {
		.spi = 0x1000,
		.suite = b->suite,
		.esn = b->esn,
		.udp_encap = b->udp,
		.replay_window = 1024,
		.local = {ip_v4(192, 0, 2, 1), 4500},
		.remote = {ip_v4(192, 0, 2, 2), 4500},
		.first_seq = 1,
		.n_ts = 1,
		.encr_key = encr_key,
		.integ_key = integ_key,
	};

	ts_all(&cfg.ts[0]);
	b->t = (struct esp_thread){
		.aead = {{backend, backend->ctx_new()}},
		.random = bench_random,
		.random_arg = seed,
	};
	if (!b->t.aead[0].ctx)
		die("no backend context");
	b->out = esp_out_new(&b->t, &cfg);
	b->in = esp_in_new(&b->t, &cfg);
	b->key = backend->key_new(b->t.aead[0].ctx, &b->suite, b->esn, encr_key, integ_key);
	b->mem = aligned_alloc(64, N_SETS * b->burst * BUF_SIZE);
	if (!b->out || !b->in || !b->key || !b->mem)
		die("no SA");
	memset(b->mem, 0x5a, N_SETS * b->burst * BUF_SIZE);
}

static void bench_fini(struct bench *b)
{
	esp_out_free(b->out);
	esp_in_free(b->in);
	b->t.aead[0].backend->key_free(b->key);
	b->t.aead[0].backend->ctx_free(b->t.aead[0].ctx);
	free(b->mem);
}

static void print_row(const struct bench *b, double r[N_OPS][N_SIZES], bool json, bool *first)
{
	char name[ESP_SUITE_STRLEN];

	esp_suite_format(&b->suite, name);
	for (size_t op = 0; op < N_OPS; op++) {
		if (!json) {
			printf("%-9s %-20s %-5s", b->t.aead[0].backend->name, name, op_names[op]);
			for (size_t s = 0; s < N_SIZES; s++)
				printf(" %8.0f", r[op][s]);
			/* what the packet costs beyond its cryptography */
			for (size_t s = 0; s < N_SIZES && op >= OP_ENCAP; s++)
				printf(" %+8.0f", r[op][s] - r[op - OP_ENCAP][s]);
			printf("\n");
			continue;
		}
		printf("%s\n    {\"backend\": \"%s\", \"suite\": \"%s\", \"op\": \"%s\"",
		       *first ? "" : ",", b->t.aead[0].backend->name, name, op_names[op]);
		for (size_t s = 0; s < N_SIZES; s++)
			printf(", \"%s\": %.1f", size_names[s], r[op][s]);
		printf("}");
		*first = false;
	}
}

static void usage(FILE *f)
{
	fprintf(f, "usage: esp_bench [--json] [--backend NAME] [--suite TEXT] [--burst N] [--esn] "
		   "[--udp]\n"
		   "TSC cycles per packet; TEXT is a part of the suite's name, N at most 64.\n");
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"json", no_argument, NULL, 'j'},        {"backend", required_argument, NULL, 'b'},
		{"suite", required_argument, NULL, 's'}, {"burst", required_argument, NULL, 'n'},
		{"esn", no_argument, NULL, 'e'},         {"udp", no_argument, NULL, 'u'},
		{"help", no_argument, NULL, 'h'},        {NULL, 0, NULL, 0},
	};
	const char *backend = NULL, *suite = "";
	struct bench b = {.burst = 32};
	bool json = false, first = true;
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case 'j': json = true; break;
		case 'b': backend = optarg; break;
		case 's': suite = optarg; break;
		case 'n': b.burst = (size_t)atoi(optarg); break;
		case 'e': b.esn = true; break;
		case 'u': b.udp = true; break;
		case 'h': usage(stdout); return 0;
		default: usage(stderr); return 2;
		}
	}
	if (optind != argc || b.burst < 1 || b.burst > ESP_BURST_MAX ||
	    (backend && !esp_backend_by_name(backend))) {
		usage(stderr);
		return 2;
	}
	if (!secret_init())
		die("libsodium");
	if (json)
		printf("{\"unit\": \"tsc-cycles-per-packet\", \"burst\": %zu, \"rows\": [",
		       b.burst);
	else
		printf("%-9s %-20s %-5s %8s %8s %8s %8s   (burst %zu; + beyond the bare AEAD)\n",
		       "backend", "suite", "op", "64", "576", "1420", "imix", b.burst);
	for (size_t k = 0; esp_backends[k]; k++)
		for (size_t i = 0; i < ESP_N_SUITES; i++) {
			double r[N_OPS][N_SIZES];
			uint64_t seed = 88172645463325252u;
			char name[ESP_SUITE_STRLEN];

			if (backend && strcmp(backend, esp_backends[k]->name) != 0)
				continue;
			b.suite = esp_suite_at(i);
			if (!strstr(esp_suite_format(&b.suite, name), suite) ||
			    !serves(esp_backends[k], &b.suite))
				continue;
			bench_init(&b, esp_backends[k], &seed);
			measure(&b, r);
			print_row(&b, r, json, &first);
			fflush(stdout);
			bench_fini(&b);
		}
	if (json)
		printf("\n]}\n");
	return 0;
}
