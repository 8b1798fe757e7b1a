/* SPDX-License-Identifier: Apache-2.0 */
/* keyd with certificates and raw keys: two gateways prove themselves to each other. */
#include "tests/daemon/prover.h"

static void two_gateways(void **state)
{
	struct proof p;

	deliver_cert("a", 0, &a, &ca);
	deliver_ca("a", &ca, 0);
	deliver_cert("b", 0, &b, NULL);
	deliver_ca("b", &ca, 0);
	commit();
	assert_string_equal(problem, "");
	for (int legacy = 0; legacy < 2; legacy++) {
		assert_true(sign("a", CERT, legacy ? 0 : PKI_HASHES, NULL, 0, &p));
		assert_int_equal(p.method, legacy ? 9 : 14);
		/* The root does not travel. */
		assert_int_equal(p.n_certs, 1);
		assert_true(verify("b", CERT, &p, "a.example"));
		assert_int_equal(reply.head.valid_s, 20 * DAY);
		assert_false(verify("b", CERT, &p, "b.example"));
		assert_non_null(strstr(problem, "does not name the identity b.example"));
		assert_false(verify("b", RAW, &p, "a.example"));
		assert_false(verify("b", IPC_AUTH_BY_PSK, &p, "a.example"));
		p.auth[p.auth_size - 1] ^= 1;
		assert_false(verify("b", CERT, &p, "a.example"));
		assert_non_null(strstr(problem, "the signature is not by the key"));
	}
	assert_true(sign("b", CERT, PKI_HASHES, NULL, 0, &p));
	assert_true(verify("a", CERT, &p, "b.example"));
	/* The same proof when the certificate has ended. */
	at = NOW + 2 * YEAR;
	assert_false(verify("a", CERT, &p, "b.example"));
	assert_non_null(strstr(problem, "expired on 2028-01-15"));
	assert_false(sign("a", CERT, PKI_HASHES, NULL, 0, &p));
	assert_non_null(strstr(problem, "our own certificate of CN=a expired on 2027-02-04"));
	at = NOW;
	assert_false(sign("nobody", CERT, PKI_HASHES, NULL, 0, &p));
	/* RSA and a peer without RFC 7427: only where SHA-1 is allowed. */
	assert_false(sign("b", CERT, 0, NULL, 0, &p));
	assert_non_null(strstr(problem, "RFC 7427"));
	assert_true(deliver("b", IPC_SECRET_PRIVATE_KEY, 0, IPC_SECRET_SHA1, key_pem(k_b, NULL)));
	assert_true(deliver("b", IPC_SECRET_CERT, 0, 0, certs_pem(&(const struct made *){&b}, 1)));
	commit();
	assert_true(sign("b", CERT, 0, NULL, 0, &p));
	assert_int_equal(p.method, 1);
	assert_false(verify("a", CERT, &p, "b.example"));
	assert_non_null(strstr(problem, "SHA-1"));
}

/* A chain that was good is remembered, and no longer than the configuration and the times allow. */
static void remembered(void **state)
{
	struct bytes made = make_crl(&(struct crl_recipe){
		.issuer = &ca, .revoked = &a, .from = NOW - DAY, .until = NOW + DAY});
	struct bytes crl = {malloc(made.size), made.size};
	struct proof p;

	memcpy(crl.data, made.data, made.size);
	OPENSSL_free(made.data);
	deliver_cert("a", 0, &a, &ca);
	deliver_ca("a", &ca, 0);
	deliver_ca("b", &ca, 0);
	commit();
	assert_true(sign("a", CERT, PKI_HASHES, NULL, 0, &p));
	assert_true(verify("b", CERT, &p, "a.example"));
	at = NOW + DAY;
	assert_true(verify("b", CERT, &p, "a.example"));
	assert_int_equal(reply.head.valid_s, 19 * DAY);
	assert_int_equal(pki_cache_hits(store.verdicts), 1);
	/* Another tunnel's trust is another matter. */
	assert_true(verify("a", CERT, &p, "a.example"));
	assert_int_equal(pki_cache_hits(store.verdicts), 1);
	at = NOW + 20 * DAY;
	assert_false(verify("b", CERT, &p, "a.example"));
	assert_non_null(strstr(problem, "expired on"));
	at = NOW;
	assert_true(verify("b", CERT, &p, "a.example"));
	assert_int_equal(pki_cache_hits(store.verdicts), 1);
	/* The operator revokes it. */
	deliver_ca("b", &ca, 0);
	assert_true(deliver("b", IPC_SECRET_CRL, 0, 0, crl));
	assert_true(verify("b", CERT, &p, "a.example")); /* not in force yet */
	commit();
	assert_int_equal(pki_cache_n(store.verdicts), 0);
	assert_false(verify("b", CERT, &p, "a.example"));
	assert_non_null(strstr(problem, "was revoked on"));
	/* Or takes the CA away. */
	deliver_ca("b", &ca, 0);
	commit();
	assert_true(verify("b", CERT, &p, "a.example"));
	deliver_ca("b", &other_ca, 0);
	commit();
	assert_false(verify("b", CERT, &p, "a.example"));
}

static void rotation(void **state)
{
	uint8_t hash[2 * PKI_HASH_SIZE];
	struct pki_certs *cas;
	struct proof p;

	deliver_cert("a", 0, &a, NULL);
	deliver_cert("a", 1, &a_new, NULL);
	deliver_cert("a", 2, &a_old, NULL);
	deliver_cert("a", 3, &a_other, NULL);
	assert_true(deliver("a", IPC_SECRET_CA, 0, 0,
			    certs_pem((const struct made *[]){&ca, &other_ca}, 2)));
	commit();
	assert_string_equal(problem, "");
	/* The newest that is valid, the one of the same index as its key. */
	assert_true(sign("a", CERT, PKI_HASHES, NULL, 0, &p));
	assert_sent(&p, &a_new);
	assert_true(verify("a", CERT, &p, "a.example"));
	at = NOW - 2 * DAY;
	assert_true(sign("a", CERT, PKI_HASHES, NULL, 0, &p));
	assert_sent(&p, &a);
	at = NOW;
	/* RFC 7296 3.7: below a CA that the peer asks for, if there is one. */
	cas = parsed((const struct made *[]){&ca, &other_ca}, 2);
	assert_true(pki_certs_key_hash(cas, 0, hash));
	assert_true(pki_certs_key_hash(cas, 1, hash + PKI_HASH_SIZE));
	pki_certs_free(cas);
	assert_true(sign("a", CERT, PKI_HASHES, hash + PKI_HASH_SIZE, 1, &p));
	assert_sent(&p, &a_other);
	assert_true(sign("a", CERT, PKI_HASHES, hash, 2, &p));
	assert_sent(&p, &a_new);
	memset(hash, 0, sizeof(hash));
	assert_true(sign("a", CERT, PKI_HASHES, hash, 2, &p));
	assert_sent(&p, &a_new);
}

static void files_that_do_not_fit(void **state)
{
	struct proof p;

	deliver_cert("a", 0, &a, NULL);
	commit();
	assert_true(sign("a", CERT, PKI_HASHES, NULL, 0, &p));
	/* The key of another: nothing changes. */
	assert_true(deliver("a", IPC_SECRET_PRIVATE_KEY, 0, 0, key_pem(k_b, NULL)));
	assert_true(deliver("a", IPC_SECRET_CERT, 0, 0, certs_pem(&(const struct made *){&a}, 1)));
	commit();
	assert_non_null(strstr(problem, "tunnel 'a': the private key (RSA) is not the one"));
	assert_true(sign("a", CERT, PKI_HASHES, NULL, 0, &p));
	assert_sent(&p, &a);
	assert_true(deliver("a", IPC_SECRET_CERT, 0, 0, certs_pem(&(const struct made *){&a}, 1)));
	commit();
	assert_non_null(strstr(problem, "has no private key"));
	assert_true(sign("a", CERT, PKI_HASHES, NULL, 0, &p));

	assert_false(deliver("a", IPC_SECRET_PRIVATE_KEY, 0, 0, key_pem(k_a, "secret")));
	assert_non_null(strstr(problem, "is encrypted"));
	assert_false(deliver("a", IPC_SECRET_CERT, 0, 0, key_pem(k_a, NULL)));
	assert_non_null(strstr(problem, "holds \"PRIVATE KEY\" where certificates are wanted"));
	assert_null(strstr(problem, "MI")); /* nothing of the key itself */
	assert_false(deliver("a", IPC_SECRET_CA, 0, 0, public_pem(k_a)));
	assert_false(deliver("a", IPC_SECRET_CRL, 0, 0, public_pem(k_a)));
	assert_false(deliver("a", IPC_SECRET_OCSP, 0, 0, public_pem(k_a)));
	assert_false(deliver("a", IPC_SECRET_PRIVATE_KEY, 0, 0, public_pem(k_a)));
}

static void strict_revocation(void **state)
{
	struct bytes crl = make_crl(&(struct crl_recipe){.issuer = &ca});
	struct bytes copy = {malloc(crl.size), crl.size};
	struct proof p;

	memcpy(copy.data, crl.data, crl.size);
	OPENSSL_free(crl.data);
	deliver_cert("a", 0, &a, NULL);
	deliver_ca("b", &ca, IPC_SECRET_REVOCATION_STRICT);
	commit();
	assert_true(sign("a", CERT, PKI_HASHES, NULL, 0, &p));
	assert_false(verify("b", CERT, &p, "a.example"));
	assert_non_null(strstr(problem, "may be revoked"));
	deliver_ca("b", &ca, IPC_SECRET_REVOCATION_STRICT);
	assert_true(deliver("b", IPC_SECRET_CRL, 0, 0, copy));
	commit();
	assert_true(verify("b", CERT, &p, "a.example"));
	at = NOW + 2 * DAY;
	assert_false(verify("b", CERT, &p, "a.example"));
	assert_non_null(strstr(problem, "newest CRL ended"));
	at = NOW;
}

/* RFC 4806: our stapled response travels with the certificate. */
static void stapled_response(void **state)
{
	struct bytes ocsp =
		make_ocsp(&(struct ocsp_recipe){.subject = &a, .issuer = &ca, .until = NOW + DAY});
	struct bytes copy = {malloc(ocsp.size), ocsp.size};
	struct proof p;

	memcpy(copy.data, ocsp.data, ocsp.size);
	OPENSSL_free(ocsp.data);
	deliver_cert("a", 0, &a, NULL);
	assert_true(deliver("a", IPC_SECRET_OCSP, 0, 0, copy));
	deliver_ca("b", &ca, IPC_SECRET_REVOCATION_STRICT);
	commit();
	assert_true(sign("a", CERT, PKI_HASHES, NULL, 0, &p));
	assert_int_equal(p.n_certs, 2);
	assert_true(verify("b", CERT, &p, "a.example"));
	at = NOW + 2 * DAY;
	assert_false(verify("b", CERT, &p, "a.example"));
	at = NOW;
}

static void raw_keys(void **state)
{
	struct proof p;

	assert_true(deliver("a", IPC_SECRET_PRIVATE_KEY, 0, 0, key_pem(k_a, NULL)));
	assert_true(deliver("b", IPC_SECRET_PEER_KEY, 0, 0, public_pem(k_b)));
	assert_true(deliver("b", IPC_SECRET_PEER_KEY, 1, 0, public_pem(k_a)));
	commit();
	assert_true(sign("a", RAW, PKI_HASHES, NULL, 0, &p));
	assert_int_equal(p.n_certs, 1);
	assert_true(verify("b", RAW, &p, "any.example"));
	assert_false(verify("a", RAW, &p, "any.example"));
	assert_non_null(strstr(problem, "has no public key of its peer"));
	/* Without the payload the configured keys are tried; another one is never taken. */
	p.certs_size = p.n_certs = 0;
	assert_true(verify("b", RAW, &p, "any.example"));
	assert_true(deliver("b", IPC_SECRET_PEER_KEY, 0, 0, public_pem(k_b)));
	commit();
	assert_false(verify("b", RAW, &p, "any.example"));
	assert_true(sign("a", RAW, PKI_HASHES, NULL, 0, &p));
	assert_false(verify("b", RAW, &p, "any.example"));
	assert_non_null(strstr(problem, "is not the configured one"));
}

static void trust(void **state)
{
	uint8_t out[KEYD_TRUST_MAX], hash[PKI_HASH_SIZE];
	struct ipc_trust head;
	struct pki_certs *cas = parsed((const struct made *[]){&ca}, 1);

	/* The peer's own certificate may be an anchor too, and is no CA. */
	assert_true(
		deliver("a", IPC_SECRET_CA, 0, 0, certs_pem((const struct made *[]){&ca, &b}, 2)));
	commit();
	assert_true(store.tunnels[0]->trust_untold);
	assert_int_equal(keyd_trust("a", keyd_store_get(&store, "a"), out),
			 sizeof(head) + PKI_HASH_SIZE);
	memcpy(&head, out, sizeof(head));
	assert_string_equal(head.tunnel, "a");
	assert_int_equal(head.n_cas, 1);
	assert_true(pki_certs_key_hash(cas, 0, hash));
	assert_memory_equal(out + sizeof(head), hash, PKI_HASH_SIZE);
	assert_int_equal(keyd_trust("x", NULL, out), sizeof(head));
	pki_certs_free(cas);
	/* Only a change is told. */
	store.tunnels[0]->trust_untold = false;
	assert_true(
		deliver("a", IPC_SECRET_CA, 0, 0, certs_pem((const struct made *[]){&ca, &b}, 2)));
	commit();
	assert_false(store.tunnels[0]->trust_untold);
	deliver_ca("a", &other_ca, 0);
	commit();
	assert_true(store.tunnels[0]->trust_untold);
}

/* Every length, and lengths inside that lie. */
static void hostile_requests(void **state)
{
	static const uint32_t values[] = {
		0, 1, 19, 20, 21, 255, 256, 4096, 65535, 0x7fffffff, UINT32_MAX - 7, UINT32_MAX};
	struct proof p;
	size_t size;

	deliver_cert("a", 0, &a, NULL);
	deliver_ca("b", &ca, 0);
	commit();
	assert_true(sign("a", CERT, PKI_HASHES, NULL, 0, &p));
	size = verify_request("b", CERT, &p, "a.example");
	assert_true(ask(IPC_AUTH_VERIFY, size));
	for (size_t n = 0; n < size; n++)
		assert_false(ask(IPC_AUTH_VERIFY, n));
	assert_false(ask(IPC_AUTH_VERIFY, size + 1));
	assert_false(ask(IPC_AUTH_SIGN, size));
	assert_false(ask(IPC_PPK_MIX, size));
	assert_false(ask(IPC_QUERY, size));
	for (size_t field = DP_NAME_SIZE; field < sizeof(struct ipc_auth); field += 4) {
		for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
			uint32_t was;

			memcpy(&was, body + field, 4);
			memcpy(body + field, &values[i], 4);
			/* hashes and key say nothing when verifying; prf is none of ours here. */
			if (ask(IPC_AUTH_VERIFY, size) && values[i] != was)
				assert_true(field == offsetof(struct ipc_auth, hashes) ||
					    field == offsetof(struct ipc_auth, key));
			memcpy(body + field, &was, 4);
		}
	}
	/* A certificate that reaches beyond the rest. */
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		memcpy(body + size - p.certs_size + offsetof(struct ipc_cert, size), &values[i], 4);
		assert_false(ask(IPC_AUTH_VERIFY, size));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(two_gateways, fresh),
		cmocka_unit_test_setup(remembered, fresh),
		cmocka_unit_test_setup(rotation, fresh),
		cmocka_unit_test_setup(files_that_do_not_fit, fresh),
		cmocka_unit_test_setup(strict_revocation, fresh),
		cmocka_unit_test_setup(stapled_response, fresh),
		cmocka_unit_test_setup(raw_keys, fresh),
		cmocka_unit_test_setup(trust, fresh),
		cmocka_unit_test_setup_teardown(hostile_requests, fresh, fresh),
	};

	return cmocka_run_group_tests(tests, prover_setup, prover_teardown);
}
