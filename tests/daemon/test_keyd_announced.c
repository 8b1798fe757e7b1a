/* SPDX-License-Identifier: Apache-2.0 */
/* keyd and what the peer announces (RFC 9593): which certificate and which way to sign it takes. */
#include "tests/daemon/prover.h"

/* One more announcement; `alg`: an AlgorithmIdentifier, or "" */
static void announce(uint8_t method, uint8_t link, const char *alg, size_t alg_size)
{
	struct wr w = wr_of(announced + announced_size, sizeof(announced) - announced_size);

	wr_u8(&w, (uint8_t)(3 + alg_size));
	wr_u8(&w, method);
	wr_u8(&w, link);
	wr_bytes(&w, alg, alg_size);
	assert_true(wr_ok(&w));
	announced_size += w.n;
}

#define ED25519_ALG         "\x30\x05\x06\x03\x2b\x65\x70"
#define ECDSA_ALG           "\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02"
#define ECDSA_ALG3          "\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x03"
#define PKCS1_ALG           "\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d\x05\x00"
#define ANNOUNCE(link, alg) announce(14, link, alg, sizeof(alg) - 1)

static void ca_hash(const struct made *cert, uint8_t out[PKI_HASH_SIZE])
{
	struct pki_certs *c = parsed((const struct made *[]){cert}, 1);

	assert_true(pki_certs_key_hash(c, 0, out));
	pki_certs_free(c);
}

/*
 * Of several certificates, one that the peer announces to take; of the ways to sign with its key,
 * one that it announces.
 *
 * Requirements: RFC9593-4-choose
 */
static void announced_ways(void **state)
{
	struct proof p;

	deliver_cert("a", 0, &a, NULL);
	deliver_cert("a", 1, &a_new, NULL);
	deliver_ca("a", &ca, 0);
	deliver_cert("b", 0, &b, NULL);
	deliver_ca("b", &ca, 0);
	commit();
	ANNOUNCE(0, ECDSA_ALG3);
	assert_true(sign("a", CERT, PKI_HASHES, NULL, 0, &p));
	assert_sent(&p, &a);
	assert_memory_equal(p.auth, "\x0c" ECDSA_ALG3, 13);
	assert_string_equal(problem, "");
	assert_true(verify("b", CERT, &p, "a.example"));
	/* The newest of both that would do. */
	ANNOUNCE(0, ED25519_ALG);
	assert_true(sign("a", CERT, PKI_HASHES, NULL, 0, &p));
	assert_sent(&p, &a_new);
	/* RFC 8420 2: no Ed25519 without the identity hash, announced or not. */
	assert_true(sign("a", CERT, PKI_HASH_SHA2_384, NULL, 0, &p));
	assert_sent(&p, &a);
	/* RSA by what an old peer has, and by nothing else. */
	announced_size = 0;
	ANNOUNCE(0, PKCS1_ALG);
	assert_true(sign("b", CERT, PKI_HASHES, NULL, 0, &p));
	assert_memory_equal(p.auth, "\x0f" PKCS1_ALG, 16);
	assert_true(verify("a", CERT, &p, "b.example"));
	/* RFC 4754 with its curve; an announcement of two octets is for any CA. */
	announced_size = 0;
	announce(10, 0, "", 0);
	memcpy(announced + announced_size, "\2\11", 2);
	announced_size += 2;
	assert_true(sign("a", CERT, PKI_HASHES, NULL, 0, &p));
	assert_sent(&p, &a);
	assert_int_equal(p.method, 9);
	assert_string_equal(problem, "");
	/* Nothing fits: as without announcements, and somebody is told. */
	announced_size = 0;
	announce(200, 0, "", 0);
	ANNOUNCE(0, PKCS1_ALG);
	assert_true(sign("a", CERT, PKI_HASHES, NULL, 0, &p));
	assert_sent(&p, &a_new);
	assert_string_equal(problem,
			    "we have Ed25519, which the peer does not announce to take (RFC "
			    "9593): method 200, RSA PKCS#1 v1.5 with SHA-512");
	/* Not by a method that the operator has not allowed. */
	announced_size = 0;
	announce(1, 0, "", 0);
	assert_true(sign("b", CERT, PKI_HASHES, NULL, 0, &p));
	assert_int_equal(p.method, 14);
	assert_non_null(strstr(problem, "we have RSA, "));
	announced_size = 0;
}

/* Requirements: RFC9593-3.2.2-link */
static void announced_below_a_ca(void **state)
{
	uint8_t hash[2 * PKI_HASH_SIZE];
	struct proof p;

	deliver_cert("a", 0, &a_other, NULL);
	deliver_cert("a", 1, &a_new, NULL);
	assert_true(deliver("a", IPC_SECRET_CA, 0, 0,
			    certs_pem((const struct made *[]){&ca, &other_ca}, 2)));
	commit();
	ca_hash(&ca, hash);
	ca_hash(&other_ca, hash + PKI_HASH_SIZE);
	for (unsigned link = 0; link < 4; link++) {
		announced_size = 0;
		ANNOUNCE((uint8_t)link, ECDSA_ALG);
		assert_true(sign("a", CERT, PKI_HASHES, hash, 2, &p));
		/* Our ECDSA key is below the second. */
		if (link == 0 || link == 2)
			assert_sent(&p, &a_other);
		else
			assert_sent(&p, &a_new);
		assert_int_equal(problem[0] == '\0', link == 0 || link == 2);
		assert_int_equal(!strstr(problem, "ECDSA with SHA-256 below its CA 1"), link != 1);
		/* Without a CERTREQ there is nothing to link to. */
		assert_true(sign("a", CERT, PKI_HASHES, NULL, 0, &p));
		assert_sent(&p, &a_other);
	}
	announced_size = 0;
}

/* A raw key is below no CA. */
static void announced_for_raw_keys(void **state)
{
	static const uint8_t cas[PKI_HASH_SIZE];
	struct proof p;

	assert_true(deliver("a", IPC_SECRET_PRIVATE_KEY, 0, 0, key_pem(k_a, NULL)));
	assert_true(deliver("a", IPC_SECRET_PRIVATE_KEY, 1, 0, key_pem(k_a2, NULL)));
	commit();
	ANNOUNCE(0, ED25519_ALG);
	assert_true(sign("a", RAW, PKI_HASHES, NULL, 0, &p));
	assert_memory_equal(p.auth, "\x07" ED25519_ALG, 8);
	announced_size = 0;
	ANNOUNCE(1, ED25519_ALG);
	assert_true(sign("a", RAW, PKI_HASHES, cas, 1, &p));
	assert_memory_equal(p.auth, "\x0c" ECDSA_ALG, 13);
	assert_non_null(strstr(problem, "we have ECDSA P-256, "));
	announced_size = 0;
}

/* Any bytes, of any length up to the bound, give an answer. */
static void announced_nonsense(void **state)
{
	struct proof p;

	deliver_cert("a", 0, &a, NULL);
	commit();
	for (unsigned seed = 0; seed < 300; seed++) {
		announced_size = 1 + seed % 40;
		for (size_t i = 0; i < announced_size; i++)
			announced[i] = (uint8_t)((seed * 31 + i * i * 7) >> (i % 3)) % 24;
		assert_true(sign("a", CERT, PKI_HASHES, NULL, 0, &p));
	}
	announced_size = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(announced_ways, fresh),
		cmocka_unit_test_setup(announced_below_a_ca, fresh),
		cmocka_unit_test_setup(announced_for_raw_keys, fresh),
		cmocka_unit_test_setup_teardown(announced_nonsense, fresh, fresh),
	};

	return cmocka_run_group_tests(tests, prover_setup, prover_teardown);
}
