/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aead_bench: the AEAD backends side by side, bare: cycles of the time stamp counter per packet.
 *
 * A round times one burst with each backend in turn, on buffers that take turns, too, as a dataplane's
 * do. Each figure is a low quantile of many rounds, so that what else runs on the machine does not
 * count. With many SAs each packet of a burst has a key of its own, and none is in the first cache
 * when its turn comes.
 * Sizes are the payload's (an inner packet with its trailer, padded to whole blocks); IMIX: 7:4:1 of 68, 596 and 1520 bytes.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <x86intrin.h>
#include "base/secret.h"
#include "esp/esp.h"

#define BUF_SIZE     2048u
#define N_BUFS       256u
#define ROUNDS       1500u
#define WARM_UP      100u
#define QUANTILE     10 /* a tenth of the rounds is faster */
#define IMIX         0u
#define HZ_NS        50000000
#define MAX_BACKENDS 4u

static const uint32_t sizes[] = {68, 580, 1424, IMIX};
#define N_SIZES (sizeof(sizes) / sizeof(sizes[0]))

struct side {
	const struct esp_backend *backend;
	void *ctx;
	struct esp_key **keys;
	uint64_t seal[ROUNDS], open[ROUNDS];
};

static struct side all_sides[MAX_BACKENDS], *sides[MAX_BACKENDS]; /* those that have the suite */
static size_t n_all, n_sides;
static uint8_t *bufs;
static unsigned n_rounds = ROUNDS;
static size_t train = 1; /* packets that follow each other with one key */
static uint32_t align;   /* of the suite's payload */

static void die(const char *what)
{
	fprintf(stderr, "aead_bench: %s\n", what);
	exit(1);
}

static inline uint64_t cycles(void)
{
	uint64_t v;

	_mm_lfence();
	v = __rdtsc();
	_mm_lfence();
	return v;
}

/* Of the time stamp counter, in a second. */
static double cycles_hz(void)
{
	static double hz;
	struct timespec a, b;
	uint64_t t;

	if (hz > 0)
		return hz;
	clock_gettime(CLOCK_MONOTONIC, &a);
	t = cycles();
	do
		clock_gettime(CLOCK_MONOTONIC, &b);
	while ((b.tv_sec - a.tv_sec) * 1000000000 + b.tv_nsec - a.tv_nsec < HZ_NS);
	hz = (double)(cycles() - t) * 1e9 /
	     ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec));
	return hz;
}

static uint32_t payload_of(uint32_t size, size_t i)
{
	i = i * 7 % 12; /* the sizes alternate */
	if (size == IMIX)
		size = i < 7 ? 68 : i < 11 ? 596 : 1520;
	return (size + align - 1) / align * align;
}

static void round_of(struct side *s, uint32_t size, size_t burst, size_t n_sas, unsigned round,
		     uint64_t *seal, uint64_t *open)
{
	static size_t next_key;
	struct esp_job jobs[ESP_BURST_MAX];
	uint64_t t0, t1, t2;

	for (size_t i = 0; i < burst; i++) {
		jobs[i] = (struct esp_job){
			.key = s->keys[n_sas == 1 ? 0 : next_key++ / train * 7919 % n_sas],
			.esp = bufs + (round * burst + i) % N_BUFS * BUF_SIZE + 38 + 128,
			.payload_size = payload_of(size, i),
		};
	}
	t0 = cycles();
	s->backend->seal(s->ctx, jobs, burst);
	t1 = cycles();
	for (size_t i = 0; i < burst; i++)
		if (n_sas > 1)
			jobs[i].key = s->keys[next_key++ / train * 7919 % n_sas];
	t2 = cycles();
	s->backend->open(s->ctx, jobs, burst);
	*open = cycles() - t2;
	*seal = t1 - t0;
	for (size_t i = 0; i < burst && n_sas == 1; i++)
		if (!jobs[i].ok)
			die("a packet did not open");
}

static int by_value(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static double low(uint64_t *v, size_t burst)
{
	qsort(v, n_rounds, sizeof(*v), by_value);
	return (double)v[n_rounds / QUANTILE] / (double)burst;
}

static void measure(uint32_t size, size_t burst, size_t n_sas)
{
	for (unsigned i = 0; i < WARM_UP + n_rounds; i++) {
		const size_t at = i < WARM_UP ? 0 : i - WARM_UP;

		for (size_t k = 0; k < n_sides; k++)
			round_of(sides[k], size, burst, n_sas, i, &sides[k]->seal[at],
				 &sides[k]->open[at]);
	}
}

static double mean_size(uint32_t size)
{
	return size == IMIX ? (7 * 68 + 4 * 596 + 1520) / 12.0 : size;
}

static void print_rows(const char *suite, size_t burst, size_t n_sas, const struct side *s,
		       double r[2][N_SIZES], bool json)
{
	const double hz = cycles_hz();

	for (int op = 0; op < 2; op++) {
		if (!json)
			printf("%-20s %6zu %5zu %-9s %-5s", suite, n_sas, burst, s->backend->name,
			       op ? "open" : "seal");
		for (size_t i = 0; i < N_SIZES; i++) {
			const double mpps = hz / r[op][i] / 1e6;
			char size[16] = "imix";

			if (sizes[i] != IMIX)
				snprintf(size, sizeof(size), "%u", sizes[i]);
			if (json)
				printf("{\"bench\": \"aead-%s\", \"implementation\": \"raw "
				       "%s\", \"suite\": \"%s\", \"size\": \"%s\", \"n_sas\": %zu, "
				       "\"n_workers\": 1, \"mpps\": %.3f, \"gbps\": %.3f, "
				       "\"cycles_per_packet\": %.1f, "
				       "\"crypto_cycles_per_packet\": %.1f, "
				       "\"ratio_to_crypto\": 1.0}\n",
				       op ? "open" : "seal", s->backend->name, suite, size, n_sas,
				       mpps, mpps * mean_size(sizes[i]) * 8 / 1e3, r[op][i],
				       r[op][i]);
			else
				printf(" %7.1f", r[op][i]);
		}
		if (!json)
			printf("\n");
	}
}

static void run(const struct esp_suite *suite, size_t burst, size_t n_sas, bool json)
{
	static double r[MAX_BACKENDS][2][N_SIZES];
	char name[ESP_SUITE_STRLEN];

	align = suite->align;
	n_sides = 0;
	for (size_t k = 0; k < n_all; k++) {
		struct side *s = &all_sides[k];

		if (!s->backend->supports(suite))
			continue;
		sides[n_sides++] = s;
		s->keys = calloc(n_sas, sizeof(*s->keys));
		if (!s->keys)
			die("no memory for keys");
		for (size_t i = 0; i < n_sas; i++) {
			uint8_t key[ESP_ENCR_KEY_MAX] = {(uint8_t)i, (uint8_t)(i >> 8)};
			static const uint8_t integ_key[64];

			s->keys[i] = s->backend->key_new(s->ctx, suite, false, key, integ_key);
			if (!s->keys[i])
				die("no memory for keys");
		}
	}
	for (size_t i = 0; i < N_SIZES; i++) {
		measure(sizes[i], burst, n_sas);
		for (size_t k = 0; k < n_sides; k++) {
			r[k][0][i] = low(sides[k]->seal, burst);
			r[k][1][i] = low(sides[k]->open, burst);
		}
	}
	esp_suite_format(suite, name);
	for (size_t k = 0; k < n_sides; k++) {
		print_rows(name, burst, n_sas, sides[k], r[k], json);
		for (size_t i = 0; i < n_sas; i++)
			sides[k]->backend->key_free(sides[k]->keys[i]);
		free(sides[k]->keys);
	}
	fflush(stdout);
}

static void usage(FILE *f)
{
	fprintf(f,
		"usage: aead_bench [--suite TEXT] [--burst N] [--sas N] [--train N] [--rounds N] "
		"[--openssl] [--json]\n"
		"TSC cycles per packet; TEXT is a part of the suite's name, N at most 64; --sas:\n"
		"how many, else one and 10,000 for AES-GCM with a 16-byte ICV, one for the "
		"others; --train:\n"
		"packets that follow each other with one SA (1).\n");
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"suite", required_argument, NULL, 's'},
		{"burst", required_argument, NULL, 'n'},
		{"sas", required_argument, NULL, 'k'},
		{"openssl", no_argument, NULL, 'o'},
		{"rounds", required_argument, NULL, 'r'},
		{"train", required_argument, NULL, 't'},
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	const char *text = "";
	size_t burst = 32, n_sas = 0;
	bool openssl = false, json = false;
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case 's': text = optarg; break;
		case 'n': burst = (size_t)atoi(optarg); break;
		case 'k': n_sas = (size_t)atoi(optarg); break;
		case 'o': openssl = true; break;
		case 'r': n_rounds = (unsigned)atoi(optarg); break;
		case 't': train = (size_t)atoi(optarg); break;
		case 'j': json = true; break;
		case 'h': usage(stdout); return 0;
		default: usage(stderr); return 2;
		}
	}
	if (optind != argc || burst < 1 || burst > ESP_BURST_MAX || train < 1 ||
	    n_rounds < QUANTILE || n_rounds > ROUNDS) {
		usage(stderr);
		return 2;
	}
	if (!secret_init())
		die("libsodium");
	bufs = aligned_alloc(4096, N_BUFS * BUF_SIZE);
	if (!bufs)
		die("no memory");
	memset(bufs, 0x5a, N_BUFS * BUF_SIZE);
	for (size_t i = 0; esp_backends[i] && n_all < MAX_BACKENDS; i++) {
		void *ctx = esp_backends[i] == &esp_backend_openssl && !openssl
				    ? NULL
				    : esp_backends[i]->ctx_new();

		if (ctx)
			all_sides[n_all++] = (struct side){.backend = esp_backends[i], .ctx = ctx};
	}
	if (!json)
		printf("%-20s %6s %5s %-9s %-5s %7s %7s %7s %7s\n", "suite", "SAs", "burst",
		       "backend", "op", "68", "580", "1424", "imix");
	for (size_t i = 0; i < ESP_N_SUITES; i++) {
		const struct esp_suite suite = esp_suite_at(i);
		char name[ESP_SUITE_STRLEN];

		if (!strstr(esp_suite_format(&suite, name), text))
			continue;
		run(&suite, burst, n_sas ? n_sas : 1, json);
		if (!n_sas && suite.encr == ESP_ENCR_AES_GCM_16)
			run(&suite, burst, 10000, json);
	}
	for (size_t k = 0; k < n_all; k++)
		all_sides[k].backend->ctx_free(all_sides[k].ctx);
	free(bufs);
	return 0;
}
