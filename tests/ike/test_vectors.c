/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the vector files; their first lines name the sources. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/evp.h>
#include "ike/keys.h"
#include "ike/sk.h"
#include "tests/ike/util.h"
#include "tests/ike/vectors.h"

static const char *folder;
static struct test_random seeded;
static struct ike_crypto crypto;

static void same(const struct vector *v, const char *name, const void *got, size_t size)
{
	const struct vector_field *f = vector_bytes(v, name);

	if (f->size != size || memcmp(f->bytes, got, size) != 0)
		fail_msg("%s: %s differs", v->title, name);
}

static void same_secret(const struct vector *v, const char *name, const struct secret *s)
{
	if (vector_bytes(v, name)->size == 0)
		assert_null(s);
	else
		same(v, name, secret_data(s), secret_size(s));
}

/* -------------------------------------------------------------------- HMAC */

static void hmac_case(const struct vector *v)
{
	const struct vector_field *key = vector_bytes(v, "key"), *data = vector_bytes(v, "data");
	/* In two parts, the way the core hands things over. */
	const struct ike_iov in[] = {{data->bytes, data->size / 3},
				     {data->bytes + data->size / 3, data->size - data->size / 3}};
	uint8_t out[IKE_PRF_MAX];

	if (vector_has(v, "integ")) {
		const unsigned integ = vector_number(v, "integ");

		assert_true(
			crypto.integ(crypto.ctx, (enum ike_integ)integ, key->bytes, in, 2, out));
		same(v, "icv", out, ike_integ_desc((uint16_t)integ)->icv_size);
		return;
	}
	for (unsigned prf = 2; prf <= 7; prf++) {
		char name[8];

		snprintf(name, sizeof(name), "prf%u", prf);
		if (!vector_has(v, name))
			continue;
		assert_true(crypto.prf(crypto.ctx, (enum ike_prf)prf, key->bytes, key->size, in, 2,
				       out));
		same(v, name, out, ike_prf_desc((uint16_t)prf)->size);
	}
}

static void hmac_vectors(void **state)
{
	(void)state;
	assert_int_equal(vectors_run(folder, "hmac.txt", hmac_case), 14);
}

/* ---------------------------------------------------------- Diffie-Hellman */

/* Hands out prepared bytes, so that a private value is what the vector says. */
struct prepared {
	uint8_t bytes[128];
	size_t size;
};

static bool prepared_random(void *ctx, uint8_t *out, size_t size)
{
	const struct prepared *p = ctx;

	if (size != p->size)
		return false;
	memcpy(out, p->bytes, size);
	return true;
}

static struct ike_dh_key *key_from(struct ike_crypto *c, struct prepared *p, unsigned dh,
				   const struct vector_field *private, uint8_t *public)
{
	const bool ecp = dh >= 19 && dh <= 24;

	/* ECP and groups with a known order draw 64 bits more, reduce mod n - 1, and add 1. */
	memset(p, 0, sizeof(*p));
	p->size = private->size + (ecp ? 8 : 0);
	memcpy(p->bytes + (ecp ? 8 : 0), private->bytes, private->size);
	for (size_t i = p->size; ecp && i-- > 0 && p->bytes[i]-- == 0;)
		;
	return c->dh_new(c->ctx, (enum ike_dh)dh, public);
}

static void dh_case(const struct vector *v)
{
	static struct prepared prepared;
	const unsigned dh = vector_number(v, "dh");
	const struct ike_dh_desc *d = ike_dh_desc((uint16_t)dh);
	const struct vector_field *a = vector_bytes(v, "A"), *b = vector_bytes(v, "B");
	uint8_t public[IKE_DH_MAX], shared[IKE_DH_MAX];
	struct ike_dh_key *key;
	struct ike_crypto c;

	ike_crypto_openssl(&c, prepared_random, &prepared);
	assert_int_equal(a->size, d->public_size);
	for (int side = 0; side < 2; side++) {
		key = key_from(&c, &prepared, dh, vector_bytes(v, side ? "b" : "a"), public);
		assert_non_null(key);
		same(v, side ? "B" : "A", public, d->public_size);
		assert_true(c.dh_shared(c.ctx, key, side ? a->bytes : b->bytes, a->size, shared));
		same(v, "shared", shared, d->shared_size);
		c.dh_free(c.ctx, key);
	}
}

static void dh_vectors(void **state)
{
	(void)state;
	assert_int_equal(vectors_run(folder, "dh.txt", dh_case), 16);
}

/* ----------------------------------------------------------------- ciphers */

static void cipher_case(const struct vector *v)
{
	const struct vector_field *key = vector_bytes(v, "key"), *iv = vector_bytes(v, "iv");
	const struct vector_field *plain = vector_bytes(v, "plain"),
				  *text = vector_bytes(v, "cipher");
	enum ike_encr encr = IKE_ENCR_AES_GCM_16;
	uint8_t data[512], tag[16];

	memcpy(data, plain->bytes, plain->size);
	if (strcmp(vector_text(v, "mode"), "cbc") == 0) {
		assert_true(crypto.cbc_encrypt(crypto.ctx, key->bytes, key->size, iv->bytes, data,
					       plain->size));
		same(v, "cipher", data, plain->size);
		assert_true(crypto.cbc_decrypt(crypto.ctx, key->bytes, key->size, iv->bytes, data,
					       plain->size));
		same(v, "plain", data, plain->size);
		return;
	}
	if (strcmp(vector_text(v, "mode"), "chacha20-poly1305") == 0)
		encr = IKE_ENCR_CHACHA20_POLY1305;
	assert_true(crypto.aead_seal(crypto.ctx, encr, key->bytes, key->size, iv->bytes,
				     vector_bytes(v, "aad")->bytes, vector_bytes(v, "aad")->size,
				     data, plain->size, tag));
	same(v, "cipher", data, text->size);
	same(v, "tag", tag, sizeof(tag));
	assert_true(crypto.aead_open(crypto.ctx, encr, key->bytes, key->size, iv->bytes,
				     vector_bytes(v, "aad")->bytes, vector_bytes(v, "aad")->size,
				     data, plain->size, tag));
	same(v, "plain", data, plain->size);
}

static void cipher_vectors(void **state)
{
	(void)state;
	assert_int_equal(vectors_run(folder, "cipher.txt", cipher_case), 11);
}

/* -------------------------------------------------------------- Wycheproof */

static void wycheproof_dh(const struct vector *v, bool ok)
{
	static struct prepared prepared;
	const unsigned dh = vector_number(v, "dh");
	const struct vector_field *b = vector_bytes(v, "B");
	uint8_t public[IKE_DH_MAX], shared[IKE_DH_MAX];
	struct ike_dh_key *key;
	struct ike_crypto c;

	ike_crypto_openssl(&c, prepared_random, &prepared);
	key = key_from(&c, &prepared, dh, vector_bytes(v, "a"), public);
	assert_non_null(key);
	if (c.dh_shared(c.ctx, key, b->bytes, b->size, shared) != ok)
		fail_msg("%s: %s", v->title, ok ? "refused" : "accepted");
	if (ok)
		same(v, "shared", shared, ike_dh_desc((uint16_t)dh)->shared_size);
	c.dh_free(c.ctx, key);
}

static void wycheproof_aead(const struct vector *v, bool ok)
{
	const enum ike_encr encr = (enum ike_encr)vector_number(v, "encr");
	const struct vector_field *key = vector_bytes(v, "key"), *iv = vector_bytes(v, "iv");
	const struct vector_field *aad = vector_bytes(v, "aad"), *plain = vector_bytes(v, "plain");
	const struct vector_field *text = vector_bytes(v, "cipher"), *tag = vector_bytes(v, "tag");
	uint8_t data[1024], made[16];

	assert_true(text->size <= sizeof(data) && iv->size == 12 && tag->size == 16);
	if (text->size)
		memcpy(data, text->bytes, text->size);
	if (crypto.aead_open(crypto.ctx, encr, key->bytes, key->size, iv->bytes, aad->bytes,
			     aad->size, data, text->size, tag->bytes) != ok)
		fail_msg("%s: %s", v->title, ok ? "refused" : "accepted");
	if (!ok)
		return;
	same(v, "plain", data, plain->size);
	assert_true(crypto.aead_seal(crypto.ctx, encr, key->bytes, key->size, iv->bytes, aad->bytes,
				     aad->size, data, plain->size, made));
	same(v, "cipher", data, text->size);
	same(v, "tag", made, sizeof(made));
}

static void wycheproof_case(const struct vector *v)
{
	const bool ok = vector_number(v, "ok") == 1;

	if (strcmp(vector_text(v, "kind"), "dh") == 0)
		wycheproof_dh(v, ok);
	else
		wycheproof_aead(v, ok);
}

static void wycheproof_vectors(void **state)
{
	(void)state;
	assert_int_equal(vectors_run(folder, "wycheproof.txt", wycheproof_case), 854);
}

/* -------------------------------------------------------------------- keys */

static struct rd rd_field(const struct vector *v, const char *name)
{
	const struct vector_field *f = vector_bytes(v, name);

	return rd_of(f->bytes, f->size);
}

static void prf_plus_case(const struct vector *v)
{
	static uint8_t out[255 * 64 + 1];
	const struct vector_field *key = vector_bytes(v, "key"), *seed = vector_bytes(v, "seed");
	const struct ike_iov in[] = {{seed->bytes, 10}, {seed->bytes + 10, seed->size - 10}};
	const size_t size = vector_number(v, "size");
	uint8_t digest[32];

	out[size] = 0xa5;
	assert_true(ike_prf_plus(&crypto, (enum ike_prf)vector_number(v, "prf"), key->bytes,
				 key->size, in, 2, out, size));
	assert_int_equal(out[size], 0xa5);
	assert_int_equal(EVP_Digest(out, size, digest, NULL, EVP_sha256(), NULL), 1);
	same(v, "sha256", digest, sizeof(digest));
}

static struct ike_suite suite_of(const struct vector *v)
{
	return (struct ike_suite){.encr = (uint16_t)vector_number(v, "encr"),
				  .encr_key_bits = (uint16_t)vector_number(v, "bits"),
				  .prf = vector_has(v, "prf") ? (uint16_t)vector_number(v, "prf")
							      : 0,
				  .integ = (uint16_t)vector_number(v, "integ")};
}

static uint64_t spi_of(const struct vector *v, const char *name)
{
	struct rd r = rd_field(v, name);
	uint64_t spi = 0;

	assert_true(rd_u64(&r, &spi));
	return spi;
}

static void sa_keys_case(const struct vector *v, bool rekey)
{
	const struct ike_nonces n = {rd_field(v, "ni"), rd_field(v, "nr")};
	const struct rd shared = rd_field(v, "shared");
	const struct ike_suite suite = suite_of(v);
	struct ike_sa_keys k;
	enum ike_err err;

	if (rekey) {
		const struct rd old = rd_field(v, "old_d");
		struct secret *d = secret_from(old.p, old.size);

		err = ike_keys_rekey(&crypto, (enum ike_prf)vector_number(v, "old_prf"), d, &suite,
				     &n, shared.p, shared.size, spi_of(v, "spi_i"),
				     spi_of(v, "spi_r"), &k);
		secret_free(d);
	} else {
		err = ike_keys_initial(&crypto, &suite, &n, shared.p, shared.size,
				       spi_of(v, "spi_i"), spi_of(v, "spi_r"), &k);
	}
	/* RFC 7296 2.10: this nonce is below half of prf 7's key. */
	if (n.nr.size < ike_prf_desc(suite.prf)->size / 2u ||
	    n.ni.size < ike_prf_desc(suite.prf)->size / 2u) {
		assert_int_equal(err, IKE_ERR_NONCE);
		return;
	}
	assert_int_equal(err, IKE_OK);
	same_secret(v, "d", k.d);
	same_secret(v, "ai", k.ai);
	same_secret(v, "ar", k.ar);
	same_secret(v, "ei", k.ei);
	same_secret(v, "er", k.er);
	same_secret(v, "pi", k.pi);
	same_secret(v, "pr", k.pr);
	ike_sa_keys_free(&k);
	assert_null(k.d);
}

static void child_keys_case(const struct vector *v)
{
	const struct ike_nonces n = {rd_field(v, "ni"), rd_field(v, "nr")};
	const struct rd shared = rd_field(v, "shared"), sk_d = rd_field(v, "sk_d");
	const enum ike_prf prf = (enum ike_prf)vector_number(v, "prf");
	struct secret *d = secret_from(sk_d.p, sk_d.size);
	struct ike_suite esp = suite_of(v);
	struct ike_child_keys k;

	esp.prf = IKE_PRF_NONE;
	assert_int_equal(ike_keys_child(&crypto, prf, d, &esp, &n, shared.p, shared.size, &k),
			 IKE_OK);
	same_secret(v, "ei", k.ei);
	same_secret(v, "ai", k.ai);
	same_secret(v, "er", k.er);
	same_secret(v, "ar", k.ar);
	ike_child_keys_free(&k);
	secret_free(d);
}

static void auth_case(const struct vector *v)
{
	const enum ike_prf prf = (enum ike_prf)vector_number(v, "prf");
	const struct rd sk_p = rd_field(v, "sk_p"), psk = rd_field(v, "psk");
	struct secret *p = secret_from(sk_p.p, sk_p.size);
	uint8_t octets[1024], auth[IKE_PRF_MAX];
	const size_t size =
		ike_auth_octets(&crypto, prf, rd_field(v, "message"), rd_field(v, "nonce"), p,
				rd_field(v, "id_body"), rd_of(NULL, 0), octets, sizeof(octets));

	same(v, "octets", octets, size);
	assert_true(ike_auth_psk(&crypto, prf, psk.p, psk.size, octets, size, auth));
	same(v, "auth", auth, ike_prf_desc((uint16_t)prf)->size);
	/* One byte too little room. */
	assert_int_equal(ike_auth_octets(&crypto, prf, rd_field(v, "message"), rd_field(v, "nonce"),
					 p, rd_field(v, "id_body"), rd_of(NULL, 0), octets,
					 size - 1),
			 0);
	secret_free(p);
}

static void keys_case(const struct vector *v)
{
	const char *kind = vector_text(v, "kind");

	if (strcmp(kind, "prf+") == 0)
		prf_plus_case(v);
	else if (strcmp(kind, "initial") == 0)
		sa_keys_case(v, false);
	else if (strcmp(kind, "rekey") == 0)
		sa_keys_case(v, true);
	else if (strcmp(kind, "child") == 0)
		child_keys_case(v);
	else if (strcmp(kind, "auth") == 0)
		auth_case(v);
	else
		fail_msg("%s: kind?", v->title);
}

/* Requirements: RFC7296-2.14-keys, RFC7296-2.17-keymat, RFC7296-2.18-old-prf */
static void keys_vectors(void **state)
{
	(void)state;
	assert_int_equal(vectors_run(folder, "keys.txt", keys_case), 16 + 8 * 8);
}

/* ---------------------------------------------------------------------- SK */

/* Seals with the vector's IV: a counter for AEAD, prepared randomness for CBC. */
static size_t seal_again(const struct vector *v, const struct ike_suite *suite, struct ike_sk_dir k,
			 const struct ike_msg *msg, uint8_t *out, size_t size)
{
	static struct prepared prepared;
	const struct vector_field *iv = vector_bytes(v, "iv"), *inner = vector_bytes(v, "inner");
	struct ike_crypto c;
	uint64_t counter = 0;

	prepared.size = iv->size;
	memcpy(prepared.bytes, iv->bytes, iv->size);
	if (iv->size == 8)
		counter = spi_of(v, "iv");
	ike_crypto_openssl(&c, prepared_random, &prepared);
	return ike_sk_seal(&c, suite, k, &counter, &msg->h, (uint8_t)vector_number(v, "first"),
			   inner->bytes, inner->size, out, size);
}

static void sk_case(const struct vector *v)
{
	const struct vector_field *e = vector_bytes(v, "e"), *a = vector_bytes(v, "a");
	const struct vector_field *m = vector_bytes(v, "message");
	struct secret *se = secret_from(e->bytes, e->size);
	struct secret *sa = a->size ? secret_from(a->bytes, a->size) : NULL;
	const struct ike_sk_dir k = {se, sa};
	const struct ike_suite suite = suite_of(v);
	uint8_t plain[1024], again[1024];
	struct ike_msg msg;
	struct rd inner;

	assert_int_equal(ike_msg_parse(m->bytes, m->size, &msg), IKE_OK);
	assert_int_equal(ike_sk_open(&crypto, &suite, k, m->bytes, m->size, &msg, plain,
				     sizeof(plain), &inner),
			 IKE_OK);
	same(v, "inner", inner.p, inner.size);
	assert_int_equal(msg.sk_next_payload, vector_number(v, "first"));
	assert_int_equal(ike_msg_parse_inner(msg.sk_next_payload, inner, &msg), IKE_OK);
	/* Where the peer pads as we do, our own message is the same but for the padding's values. */
	if (vector_bytes(v, "outer")->size == 0 && suite.encr != IKE_ENCR_AES_CBC &&
	    vector_number(v, "pad") == 0) {
		assert_int_equal(seal_again(v, &suite, k, &msg, again, sizeof(again)), m->size);
		same(v, "message", again, m->size);
	}
	secret_free(se);
	secret_free(sa);
}

static void sk_vectors(void **state)
{
	(void)state;
	assert_int_equal(vectors_run(folder, "sk.txt", sk_case), 40);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hmac_vectors),   cmocka_unit_test(dh_vectors),
		cmocka_unit_test(cipher_vectors), cmocka_unit_test(keys_vectors),
		cmocka_unit_test(sk_vectors),     cmocka_unit_test(wycheproof_vectors),
	};

	if (argc != 2 || !secret_init())
		return 2;
	folder = argv[1];
	crypto = test_crypto(&seeded, 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
