/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NIST's vectors for AES-GCM (the file named on the command line) through every backend.
 *
 * None of them has the 8 bytes of additional data that ESP has. The ciphertext is NIST's as it stands;
 * the ICV differs by what the additional data give to GHASH, and that is worked out here bit by bit,
 * as SP 800-38D 6.3 and 6.4 define it.
 */
#include <openssl/evp.h>
#include <stdio.h>
#include "util.h"

#define BYTES_MAX 256u
#define N_VECTORS 168
#define BLOCK     16u
#define HEAD      16u /* ESP header and IV */

struct bytes {
	uint8_t b[BYTES_MAX];
	size_t n;
};

struct vector {
	struct bytes key, iv, plain, aad, text, tag;
};

static struct vector vectors[N_VECTORS];
static size_t n_vectors;

static void hex_parse(const char *s, struct bytes *out)
{
	unsigned v;

	for (out->n = 0; sscanf(s, "%2x", &v) == 1; s += 2) {
		assert_true(out->n < BYTES_MAX);
		out->b[out->n++] = (uint8_t)v;
	}
}

static void load(const char *path)
{
	static char w[6][2 * BYTES_MAX + 1];
	char line[2048];
	FILE *f = fopen(path, "r");

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		struct vector *v = &vectors[n_vectors];

		if (line[0] == '#')
			continue;
		assert_int_equal(sscanf(line, "%512s %512s %512s %512s %512s %512s", w[0], w[1],
					w[2], w[3], w[4], w[5]),
				 6);
		assert_true(n_vectors++ < N_VECTORS);
		hex_parse(w[0], &v->key);
		hex_parse(w[1], &v->iv);
		hex_parse(w[2], &v->plain);
		hex_parse(w[3], &v->aad); /* "-": none */
		hex_parse(w[4], &v->text);
		hex_parse(w[5], &v->tag);
	}
	fclose(f);
}

/* SP 800-38D 6.3: y = y * h, the first bit of a byte being the highest. */
static void times(uint8_t y[BLOCK], const uint8_t h[BLOCK])
{
	uint8_t z[BLOCK] = {0}, v[BLOCK];

	memcpy(v, h, BLOCK);
	for (unsigned i = 0; i < 128; i++) {
		const uint8_t low = v[BLOCK - 1] & 1;

		for (unsigned k = 0; k < BLOCK && y[i / 8] >> (7 - i % 8) & 1; k++)
			z[k] ^= v[k];
		for (unsigned k = BLOCK - 1; k > 0; k--)
			v[k] = (uint8_t)(v[k] >> 1 | v[k - 1] << 7);
		v[0] = (uint8_t)(v[0] >> 1 ^ (low ? 0xe1 : 0));
	}
	memcpy(y, z, BLOCK);
}

static void absorb(uint8_t y[BLOCK], const uint8_t h[BLOCK], const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i += BLOCK) {
		for (size_t k = 0; k < BLOCK && i + k < n; k++)
			y[k] ^= p[i + k];
		times(y, h);
	}
}

static void ghash(uint8_t y[BLOCK], const uint8_t h[BLOCK], const uint8_t *aad, size_t n_aad,
		  const struct bytes *text)
{
	uint8_t sizes[BLOCK];

	memset(y, 0, BLOCK);
	absorb(y, h, aad, n_aad);
	absorb(y, h, text->b, text->n);
	esp_put64(sizes, n_aad * 8);
	esp_put64(sizes + 8, text->n * 8);
	absorb(y, h, sizes, BLOCK);
}

static void hash_key(const struct bytes *key, uint8_t h[BLOCK])
{
	const uint8_t zero[BLOCK] = {0};
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	int n;

	assert_int_equal(EVP_EncryptInit_ex(c,
					    key->n == 16   ? EVP_aes_128_ecb()
					    : key->n == 24 ? EVP_aes_192_ecb()
							   : EVP_aes_256_ecb(),
					    NULL, key->b, NULL),
			 1);
	EVP_CIPHER_CTX_set_padding(c, 0);
	assert_int_equal(EVP_EncryptUpdate(c, h, &n, zero, BLOCK), 1);
	EVP_CIPHER_CTX_free(c);
}

static void run_vector(const struct esp_backend *b, void *ctx, const struct vector *v)
{
	static const uint8_t header[8] = {0xc0, 0xde, 0, 1, 0, 0, 0, 7};
	uint8_t key[ESP_ENCR_KEY_MAX], h[BLOCK], theirs[BLOCK], ours[BLOCK];
	struct esp_suite s;
	struct guarded g;
	struct esp_job j;
	struct esp_key *k;

	assert_true(esp_suite_init(&s,
				   v->tag.n == 8    ? ESP_ENCR_AES_GCM_8
				   : v->tag.n == 12 ? ESP_ENCR_AES_GCM_12
						    : ESP_ENCR_AES_GCM_16,
				   (uint16_t)(v->key.n * 8), 0));
	memcpy(key, v->key.b, v->key.n);
	memcpy(key + v->key.n, v->iv.b, 4);
	k = b->key_new(ctx, &s, false, key, NULL);
	assert_non_null(k);
	guarded_init(&g, HEAD + v->plain.n + v->tag.n);
	memcpy(g.data, header, sizeof(header));
	memcpy(g.data + 8, v->iv.b + 4, 8);
	memcpy(g.data + HEAD, v->plain.b, v->plain.n);
	j = (struct esp_job){.key = k, .esp = g.data, .payload_size = (uint32_t)v->plain.n};
	b->seal(ctx, &j, 1);
	assert_true(j.ok);
	assert_memory_equal(g.data + HEAD, v->text.b, v->text.n);
	hash_key(&v->key, h);
	ghash(theirs, h, v->aad.b, v->aad.n, &v->text);
	ghash(ours, h, header, sizeof(header), &v->text);
	for (size_t i = 0; i < v->tag.n; i++)
		assert_int_equal(g.data[HEAD + v->text.n + i], v->tag.b[i] ^ theirs[i] ^ ours[i]);
	b->open(ctx, &j, 1);
	assert_true(j.ok);
	assert_memory_equal(g.data + HEAD, v->plain.b, v->plain.n);
	b->key_free(k);
	guarded_fini(&g);
}

static void test_nist(void **state)
{
	assert_int_equal(n_vectors, N_VECTORS);
	for (size_t i = 0; esp_backends[i]; i++) {
		void *ctx;

		if (!backend_works(esp_backends[i]))
			continue;
		ctx = esp_backends[i]->ctx_new();
		for (size_t n = 0; n < n_vectors; n++)
			run_vector(esp_backends[i], ctx, &vectors[n]);
		esp_backends[i]->ctx_free(ctx);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nist),
	};

	if (argc != 2)
		return 2;
	load(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
