/* SPDX-License-Identifier: Apache-2.0 */
/* Published ESP vectors (text files named on the command line) through every backend. */
#include <stdio.h>
#include <stdlib.h>
#include "util.h"

#define VECTORS_MAX 96
#define BYTES_MAX   256

struct bytes {
	uint8_t b[BYTES_MAX];
	size_t n;
};

struct vector {
	char name[48];
	unsigned encr, bits, integ, esn;
	struct bytes seq_hi, key, integ_key, plain, esp;
};

static struct vector vectors[VECTORS_MAX];
static size_t n_vectors;

static void hex_parse(const char *s, struct bytes *out)
{
	unsigned v;

	for (out->n = 0; sscanf(s, "%2x", &v) == 1; s += 2) {
		assert_true(out->n < BYTES_MAX);
		out->b[out->n++] = (uint8_t)v;
	}
}

static void field(struct vector *v, const char *key, const char *value)
{
	if (strcmp(key, "encr") == 0)
		v->encr = (unsigned)atoi(value);
	else if (strcmp(key, "bits") == 0)
		v->bits = (unsigned)atoi(value);
	else if (strcmp(key, "integ") == 0)
		v->integ = (unsigned)atoi(value);
	else if (strcmp(key, "esn") == 0)
		v->esn = (unsigned)atoi(value);
	else if (strcmp(key, "seq_hi") == 0)
		hex_parse(value, &v->seq_hi);
	else if (strcmp(key, "key") == 0)
		hex_parse(value, &v->key);
	else if (strcmp(key, "integ_key") == 0)
		hex_parse(value, &v->integ_key);
	else if (strcmp(key, "plain") == 0)
		hex_parse(value, &v->plain);
	else if (strcmp(key, "esp") == 0)
		hex_parse(value, &v->esp);
	else
		fail_msg("unknown field %s", key);
}

static void load(const char *path)
{
	char line[1024], key[32], value[900];
	struct vector *v = NULL;
	FILE *f = fopen(path, "r");

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (line[0] == '#' || sscanf(line, "%31s = %899s", key, value) != 2)
			continue;
		if (strcmp(key, "name") == 0) {
			assert_true(n_vectors < VECTORS_MAX);
			v = &vectors[n_vectors++];
			snprintf(v->name, sizeof(v->name), "%.47s", value);
		} else {
			assert_non_null(v);
			field(v, key, value);
		}
	}
	fclose(f);
}

static void run_vector(const struct esp_backend *b, void *ctx, const struct vector *v)
{
	struct esp_suite s;
	struct guarded g;
	struct esp_job job;
	struct esp_key *key;
	size_t head;

	assert_true(esp_suite_init(&s, (uint16_t)v->encr, (uint16_t)v->bits, (uint16_t)v->integ));
	if (!b->supports(&s))
		return;
	head = 8u + s.iv_size;
	assert_int_equal(v->key.n, s.encr_key_size);
	assert_int_equal(v->integ_key.n, s.integ_key_size);
	assert_int_equal(v->esp.n, head + v->plain.n + s.icv_size);
	key = b->key_new(ctx, &s, v->esn, v->key.b, v->integ_key.b);
	assert_non_null(key);
	guarded_init(&g, v->esp.n);
	job = (struct esp_job){
		.key = key,
		.esp = g.data,
		.payload_size = (uint32_t)v->plain.n,
		.seq_hi = esp_get32(v->seq_hi.b),
	};

	memcpy(g.data, v->esp.b, head);
	memcpy(g.data + head, v->plain.b, v->plain.n);
	b->seal(ctx, &job, 1);
	assert_true(job.ok);
	assert_memory_equal(g.data, v->esp.b, v->esp.n);

	b->open(ctx, &job, 1);
	assert_true(job.ok);
	assert_memory_equal(g.data, v->esp.b, head);
	assert_memory_equal(g.data + head, v->plain.b, v->plain.n);

	/* Each bit of the packet is authenticated, and with ESN each bit of the high half. */
	for (size_t bit = 0; bit < v->esp.n * 8; bit++) {
		memcpy(g.data, v->esp.b, v->esp.n);
		g.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		b->open(ctx, &job, 1);
		assert_false(job.ok);
	}
	for (unsigned bit = 0; bit < 32; bit++) {
		memcpy(g.data, v->esp.b, v->esp.n);
		job.seq_hi ^= 1u << bit;
		b->open(ctx, &job, 1);
		assert_int_equal(job.ok, !v->esn);
		job.seq_hi ^= 1u << bit;
	}
	b->key_free(key);
	guarded_fini(&g);
}

static void test_vectors(void **state)
{
	assert_int_equal(n_vectors, 20 + 6 + 3 + 36);
	for (size_t i = 0; esp_backends[i]; i++) {
		void *ctx;

		if (!backend_works(esp_backends[i]))
			continue;
		ctx = esp_backends[i]->ctx_new();
		assert_non_null(ctx);
		for (size_t k = 0; k < n_vectors; k++) {
			print_message("%s %s\n", esp_backends[i]->name, vectors[k].name);
			run_vector(esp_backends[i], ctx, &vectors[k]);
		}
		esp_backends[i]->ctx_free(ctx);
	}
}

static void test_self_test(void **state)
{
	for (size_t i = 0; esp_backends[i]; i++)
		if (backend_works(esp_backends[i]))
			assert_true(esp_backend_self_test(esp_backends[i]));
}

/* A backend that computes wrongly, or that lets everything pass, must not pass. */
static void seal_wrong(void *ctx, struct esp_job *jobs, size_t n)
{
	esp_backend_openssl.seal(ctx, jobs, n);
	jobs[n - 1].esp[24] ^= 1;
}

static void seal_wrong_icv(void *ctx, struct esp_job *jobs, size_t n)
{
	esp_backend_openssl.seal(ctx, jobs, n);
	jobs[n - 1].esp[8 + 8 + 64 + 8] ^= 1;
}

/* Right but for long packets of a burst of several keys. */
static void seal_wrong_long(void *ctx, struct esp_job *jobs, size_t n)
{
	esp_backend_openssl.seal(ctx, jobs, n);
	for (size_t i = 1; i < n; i++)
		if (jobs[i].key != jobs[0].key && jobs[i].payload_size > 256)
			jobs[i].esp[8 + 8 + jobs[i].payload_size] ^= 1;
}

/* The same the other way: the text behind the first eight blocks. */
static void open_wrong_long(void *ctx, struct esp_job *jobs, size_t n)
{
	esp_backend_openssl.open(ctx, jobs, n);
	for (size_t i = 1; i < n; i++)
		if (jobs[i].key != jobs[0].key && jobs[i].payload_size > 256)
			jobs[i].esp[8 + 8 + 200] ^= 1;
}

static void open_credulous(void *ctx, struct esp_job *jobs, size_t n)
{
	esp_backend_openssl.open(ctx, jobs, n);
	for (size_t i = 0; i < n; i++)
		jobs[i].ok = true;
}

static void open_lazy(void *ctx, struct esp_job *jobs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		jobs[i].ok = i != 1;
}

static void open_contagious(void *ctx, struct esp_job *jobs, size_t n)
{
	bool all = true;

	esp_backend_openssl.open(ctx, jobs, n);
	for (size_t i = 0; i < n; i++)
		all = all && jobs[i].ok;
	for (size_t i = 0; i < n; i++)
		jobs[i].ok = all;
}

static void *ctx_none(void)
{
	return NULL;
}

static void ctx_free_none(void *ctx)
{
}

static void test_self_test_finds_faults(void **state)
{
	struct esp_backend b = esp_backend_openssl;

	b.seal = seal_wrong;
	assert_false(esp_backend_self_test(&b));
	b.seal = seal_wrong_icv;
	assert_false(esp_backend_self_test(&b));
	b.seal = seal_wrong_long;
	assert_false(esp_backend_self_test(&b));
	b = esp_backend_openssl;
	b.open = open_wrong_long;
	assert_false(esp_backend_self_test(&b));
	b.open = open_credulous;
	assert_false(esp_backend_self_test(&b));
	b.open = open_lazy;
	assert_false(esp_backend_self_test(&b));
	b.open = open_contagious;
	assert_false(esp_backend_self_test(&b));
	b = esp_backend_openssl;
	b.ctx_new = ctx_none;
	b.ctx_free = ctx_free_none;
	assert_false(esp_backend_self_test(&b));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_self_test),
		cmocka_unit_test(test_self_test_finds_faults),
	};

	for (int i = 1; i < argc; i++)
		load(argv[i]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
