/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Published vectors for AES-GCM (files named on the command line; vectors/gcm.py has their form)
 * through every backend.
 *
 * Hardly any has the 8 bytes of additional data that ESP has. The ciphertext is as it stands; the ICV
 * differs by what the additional data give to GHASH, and that is worked out here bit by bit, as SP
 * 800-38D 6.3 and 6.4 define it.
 */
#include <openssl/evp.h>
#include <stdio.h>
#include "util.h"

#define BYTES_MAX   544u
#define VECTORS_MAX 40000u
#define BLOCK       16u
#define HEAD        16u /* ESP header and IV */

struct bytes {
	uint8_t b[BYTES_MAX];
	size_t n;
};

struct vector {
	struct bytes key, iv, plain, aad, text, tag;
	bool valid, no_plain;
};

static struct vector vectors[VECTORS_MAX];
static size_t n_vectors, n_invalid, n_files;

static void hex_parse(const char *s, struct bytes *out)
{
	unsigned v;

	for (out->n = 0; sscanf(s, "%2x", &v) == 1; s += 2) {
		assert_true(out->n < BYTES_MAX);
		out->b[out->n++] = (uint8_t)v;
	}
}

/* False: nothing in it, or it cannot be read. */
static bool load(const char *path)
{
	static char w[7][2 * BYTES_MAX + 1], line[8 * BYTES_MAX];
	const size_t before = n_vectors;
	FILE *f = fopen(path, "r");

	while (f && fgets(line, sizeof(line), f)) {
		struct vector *v = &vectors[n_vectors];
		int n;

		if (line[0] == '#')
			continue;
		n = sscanf(line, "%1088s %1088s %1088s %1088s %1088s %1088s %8s", w[0], w[1], w[2],
			   w[3], w[4], w[5], w[6]);
		if (n < 6 || n_vectors++ == VECTORS_MAX)
			return false;
		hex_parse(w[0], &v->key);
		hex_parse(w[1], &v->iv);
		hex_parse(w[2], &v->plain); /* "?": none */
		hex_parse(w[3], &v->aad);   /* "-": none */
		hex_parse(w[4], &v->text);
		hex_parse(w[5], &v->tag);
		v->no_plain = w[2][0] == '?';
		v->valid = n == 6;
		n_invalid += !v->valid;
	}
	if (f)
		fclose(f);
	n_files++;
	return n_vectors > before;
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
	uint8_t key[ESP_ENCR_KEY_MAX], h[BLOCK], theirs[BLOCK], ours[BLOCK], icv[BLOCK];
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
	/* what their ICV is with the additional data of ESP */
	hash_key(&v->key, h);
	ghash(theirs, h, v->aad.b, v->aad.n, &v->text);
	ghash(ours, h, header, sizeof(header), &v->text);
	for (size_t i = 0; i < v->tag.n; i++)
		icv[i] = v->tag.b[i] ^ theirs[i] ^ ours[i];
	guarded_init(&g, HEAD + v->text.n + v->tag.n);
	memcpy(g.data, header, sizeof(header));
	memcpy(g.data + 8, v->iv.b + 4, 8);
	memcpy(g.data + HEAD, v->plain.b, v->plain.n);
	j = (struct esp_job){.key = k, .esp = g.data, .payload_size = (uint32_t)v->text.n};
	if (!v->no_plain) {
		b->seal(ctx, &j, 1);
		assert_true(j.ok);
		assert_memory_equal(g.data + HEAD, v->text.b, v->text.n);
		if (v->valid)
			assert_memory_equal(g.data + HEAD + v->text.n, icv, v->tag.n);
	}
	memcpy(g.data + HEAD, v->text.b, v->text.n);
	memcpy(g.data + HEAD + v->text.n, icv, v->tag.n);
	b->open(ctx, &j, 1);
	assert_int_equal(j.ok, v->valid);
	if (v->valid)
		assert_memory_equal(g.data + HEAD, v->plain.b, v->plain.n);
	b->key_free(k);
	guarded_fini(&g);
}

static void test_published(void **state)
{
	print_message("# %zu vectors of %zu files, %zu of them to be refused\n", n_vectors, n_files,
		      n_invalid);
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
		cmocka_unit_test(test_published),
	};

	for (int i = 1; i < argc; i++) {
		if (!load(argv[i])) {
			fprintf(stderr, "%s: no vectors\n", argv[i]);
			return 2;
		}
	}
	if (!n_vectors)
		return 2;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
