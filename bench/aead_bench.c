/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aead_bench: the AEAD backends side by side, bare: cycles of the time stamp counter per packet.
 *
 * A round times one burst with each backend in turn, on buffers that take turns, too, as a dataplane's
 * do. Each figure is a low quantile of many rounds, so that what else runs on the machine does not
 * count. With many SAs each packet of a burst has a key of its own, and none is in the first cache
 * when its turn comes.
 * Sizes are the payload's (an inner packet with its trailer); IMIX: 7:4:1 of 68, 596 and 1520 bytes.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <x86intrin.h>
#include "base/secret.h"
#include "esp/esp.h"

#define BUF_SIZE     2048u
#define N_BUFS       256u
#define ROUNDS       1500u
#define WARM_UP      100u
#define QUANTILE     10 /* a tenth of the rounds is faster */
#define IMIX         0u
#define MAX_BACKENDS 4u

static const uint32_t sizes[] = {68, 580, 1424, IMIX};
#define N_SIZES (sizeof(sizes) / sizeof(sizes[0]))
static const uint16_t key_bits[] = {128, 192, 256};

struct side {
	const struct esp_backend *backend;
	void *ctx;
	struct esp_key **keys;
	uint64_t seal[ROUNDS], open[ROUNDS];
};

static struct side sides[MAX_BACKENDS];
static size_t n_sides;
static uint8_t *bufs;

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

static uint32_t payload_of(uint32_t size, size_t i)
{
	if (size != IMIX)
		return size;
	i = i * 7 % 12; /* the sizes alternate */
	return i < 7 ? 68 : i < 11 ? 596 : 1520;
}

static void round_of(struct side *s, uint32_t size, size_t burst, size_t n_sas, unsigned round,
		     uint64_t *seal, uint64_t *open)
{
	static size_t next_key;
	struct esp_job jobs[ESP_BURST_MAX];
	uint64_t t0, t1, t2;

	for (size_t i = 0; i < burst; i++) {
		jobs[i] = (struct esp_job){
			.key = s->keys[n_sas == 1 ? 0 : next_key++ * 7919 % n_sas],
			.esp = bufs + (round * burst + i) % N_BUFS * BUF_SIZE + 38 + 128,
			.payload_size = payload_of(size, i),
		};
	}
	t0 = cycles();
	s->backend->seal(s->ctx, jobs, burst);
	t1 = cycles();
	for (size_t i = 0; i < burst; i++)
		if (n_sas > 1)
			jobs[i].key = s->keys[next_key++ * 7919 % n_sas];
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
	qsort(v, ROUNDS, sizeof(*v), by_value);
	return (double)v[ROUNDS / QUANTILE] / (double)burst;
}

static void measure(uint32_t size, size_t burst, size_t n_sas)
{
	for (unsigned i = 0; i < WARM_UP + ROUNDS; i++) {
		const size_t at = i < WARM_UP ? 0 : i - WARM_UP;

		for (size_t k = 0; k < n_sides; k++)
			round_of(&sides[k], size, burst, n_sas, i, &sides[k].seal[at],
				 &sides[k].open[at]);
	}
}

static void run(const struct esp_suite *suite, size_t burst, size_t n_sas)
{
	double r[MAX_BACKENDS][2][N_SIZES];
	char name[ESP_SUITE_STRLEN];

	for (size_t k = 0; k < n_sides; k++) {
		struct side *s = &sides[k];

		s->keys = calloc(n_sas, sizeof(*s->keys));
		for (size_t i = 0; i < n_sas; i++) {
			uint8_t key[ESP_ENCR_KEY_MAX] = {(uint8_t)i, (uint8_t)(i >> 8)};

			s->keys[i] = s->backend->key_new(s->ctx, suite, false, key, NULL);
			if (!s->keys[i])
				die("no memory for keys");
		}
	}
	for (size_t i = 0; i < N_SIZES; i++) {
		measure(sizes[i], burst, n_sas);
		for (size_t k = 0; k < n_sides; k++) {
			r[k][0][i] = low(sides[k].seal, burst);
			r[k][1][i] = low(sides[k].open, burst);
		}
	}
	esp_suite_format(suite, name);
	for (size_t k = 0; k < n_sides; k++) {
		for (int op = 0; op < 2; op++) {
			printf("%-16s %6zu %5zu %-9s %-5s", name, n_sas, burst,
			       sides[k].backend->name, op ? "open" : "seal");
			for (size_t i = 0; i < N_SIZES; i++)
				printf(" %7.1f", r[k][op][i]);
			printf("\n");
		}
		for (size_t i = 0; i < n_sas; i++)
			sides[k].backend->key_free(sides[k].keys[i]);
		free(sides[k].keys);
	}
	fflush(stdout);
}

static void usage(FILE *f)
{
	fprintf(f,
		"usage: aead_bench [--suite TEXT] [--burst N] [--sas N] [--openssl]\n"
		"TSC cycles per packet; TEXT is a part of the suite's name, N at most 64; --sas:\n"
		"how many, else one and 10,000.\n");
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"suite", required_argument, NULL, 's'}, {"burst", required_argument, NULL, 'n'},
		{"sas", required_argument, NULL, 'k'},   {"openssl", no_argument, NULL, 'o'},
		{"help", no_argument, NULL, 'h'},        {NULL, 0, NULL, 0},
	};
	const char *text = "aes-256-gcm-16";
	size_t burst = 32, n_sas = 0;
	bool openssl = false;
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case 's': text = optarg; break;
		case 'n': burst = (size_t)atoi(optarg); break;
		case 'k': n_sas = (size_t)atoi(optarg); break;
		case 'o': openssl = true; break;
		case 'h': usage(stdout); return 0;
		default: usage(stderr); return 2;
		}
	}
	if (optind != argc || burst < 1 || burst > ESP_BURST_MAX) {
		usage(stderr);
		return 2;
	}
	if (!secret_init())
		die("libsodium");
	bufs = aligned_alloc(4096, N_BUFS * BUF_SIZE);
	if (!bufs)
		die("no memory");
	memset(bufs, 0x5a, N_BUFS * BUF_SIZE);
	for (size_t i = 0; esp_backends[i] && n_sides < MAX_BACKENDS; i++) {
		void *ctx = esp_backends[i] == &esp_backend_openssl && !openssl
				    ? NULL
				    : esp_backends[i]->ctx_new();

		if (ctx)
			sides[n_sides++] = (struct side){.backend = esp_backends[i], .ctx = ctx};
	}
	printf("%-16s %6s %5s %-9s %-5s %7s %7s %7s %7s\n", "suite", "SAs", "burst", "backend",
	       "op", "68", "580", "1424", "imix");
	for (size_t i = 0; i < sizeof(key_bits) / sizeof(key_bits[0]); i++) {
		struct esp_suite suite;
		char name[ESP_SUITE_STRLEN];

		esp_suite_init(&suite, ESP_ENCR_AES_GCM_16, key_bits[i], ESP_INTEG_NONE);
		if (!strstr(esp_suite_format(&suite, name), text))
			continue;
		if (n_sas) {
			run(&suite, burst, n_sas);
		} else {
			run(&suite, burst, 1);
			run(&suite, burst, 10000);
		}
	}
	for (size_t k = 0; k < n_sides; k++)
		sides[k].backend->ctx_free(sides[k].ctx);
	free(bufs);
	return 0;
}
