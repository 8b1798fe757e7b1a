/* SPDX-License-Identifier: Apache-2.0 */
/* keyd with certificates and raw keys: two gateways prove themselves to each other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/wr.h"
#include "daemon/keyd_auth.h"
#include "ike/wire.h"
#include "tests/pki/maker.h"

#define CA_USE "critical,keyCertSign,cRLSign"

static struct ike_crypto crypto;
static EVP_PKEY *k_ca, *k_other, *k_a, *k_a2, *k_b;
static struct made ca, other_ca, a, a_new, a_old, a_other, b;
static struct keyd_store store;
static char problem[KEYD_PROBLEM_MAX];
static struct keyd_reply reply;

static void note(void *ctx, const char *text)
{
	snprintf(problem, sizeof(problem), "%s", text);
}

static struct made gateway(const char *subject, EVP_PKEY *key, const struct made *issuer,
			   int64_t from, int64_t until, const char *san)
{
	return make_cert(&(struct recipe){.subject = subject,
					  .key = key,
					  .issuer = issuer,
					  .from = from,
					  .until = until,
					  .use = "digitalSignature",
					  .san = san});
}

static int setup(void **state)
{
	if (!secret_init())
		return -1;
	ike_crypto_openssl(&crypto, NULL, NULL);
	k_ca = key_ec("P-384");
	k_other = key_ec("P-256");
	k_a = key_ec("P-256");
	k_a2 = key_other("ED25519");
	k_b = key_rsa(2048, 65537);
	ca = make_cert(&(struct recipe){
		.subject = "CN=CA", .key = k_ca, .basic = "critical,CA:TRUE", .use = CA_USE});
	other_ca = make_cert(&(struct recipe){
		.subject = "CN=Other", .key = k_other, .basic = "critical,CA:TRUE", .use = CA_USE});
	a = gateway("CN=a", k_a, &ca, NOW - 10 * DAY, NOW + 20 * DAY, "DNS:a.example");
	a_new = gateway("CN=a new", k_a2, &ca, NOW - DAY, NOW + 30 * DAY, "DNS:a.example");
	a_old = gateway("CN=a old", k_a, &ca, NOW - YEAR, NOW - DAY, "DNS:a.example");
	a_other = gateway("CN=a", k_a, &other_ca, NOW - 30 * DAY, NOW + DAY, "DNS:a.example");
	b = gateway("CN=b", k_b, &ca, 0, 0, "DNS:b.example");
	return 0;
}

static int teardown(void **state)
{
	struct made *const all[] = {&ca, &other_ca, &a, &a_new, &a_old, &a_other, &b};
	EVP_PKEY *const keys[] = {k_ca, k_other, k_a, k_a2, k_b};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		made_free(all[i]);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		EVP_PKEY_free(keys[i]);
	return 0;
}

static int fresh(void **state)
{
	keyd_store_fini(&store);
	problem[0] = '\0';
	return 0;
}

/* ---------------------------------------------------------------- delivery */

static bool deliver(const char *tunnel, uint32_t kind, uint32_t index, uint32_t flags,
		    struct bytes file)
{
	struct sb why = sb_of(problem, sizeof(problem));
	struct ipc_secret head = {.kind = kind, .index = index, .flags = flags};
	bool ok;

	strncpy(head.tunnel, tunnel, sizeof(head.tunnel) - 1);
	ok = keyd_take(keyd_store_pending(&store, tunnel), &head, file.data, file.size, NULL, &why);
	free(file.data);
	return ok;
}

static void deliver_cert(const char *tunnel, uint32_t index, const struct made *cert,
			 const struct made *chain)
{
	const struct made *list[2] = {cert, chain};

	assert_true(deliver(tunnel, IPC_SECRET_PRIVATE_KEY, index, 0, key_pem(cert->key, NULL)));
	assert_true(deliver(tunnel, IPC_SECRET_CERT, index, 0, certs_pem(list, chain ? 2 : 1)));
}

static void deliver_ca(const char *tunnel, const struct made *cert, uint32_t flags)
{
	assert_true(deliver(tunnel, IPC_SECRET_CA, 0, flags, certs_pem(&cert, 1)));
}

static void commit(void)
{
	const struct ipc_index names[2] = {{.name = "a"}, {.name = "b"}};

	problem[0] = '\0';
	keyd_store_commit(&store, (const uint8_t *)names, 2, NOW, note, NULL);
}

/* ---------------------------------------------------------------- requests */

struct proof {
	uint32_t method;
	uint8_t auth[PKI_SIG_MAX];
	size_t auth_size;
	uint8_t certs[KEYD_TAIL_MAX];
	size_t certs_size;
	uint32_t n_certs;
};

static uint8_t body[65536];
/* What the peer announces (RFC 9593), in requests to sign. */
static uint8_t announced[512];
static size_t announced_size;
static int64_t at = NOW;

static size_t request(const struct ipc_auth *head, const void *octets, const void *auth,
		      const void *id, const void *cas, const void *certs)
{
	struct wr w = wr_of(body, sizeof(body));

	wr_bytes(&w, head, sizeof(*head));
	wr_bytes(&w, octets, head->octets_size);
	wr_bytes(&w, auth, head->auth_size);
	wr_bytes(&w, id, head->id_size);
	wr_bytes(&w, cas, head->cas_size);
	wr_bytes(&w, announced, head->announced_size);
	wr_bytes(&w, certs, head->certs_size);
	assert_true(wr_ok(&w));
	return w.n;
}

static bool ask(enum ipc_type type, size_t size)
{
	/* Exactly as large: a sanitizer sees any read beyond. */
	uint8_t *copy = malloc(size ? size : 1);

	memcpy(copy, body, size);
	keyd_answer(&store, &crypto, type, copy, size, at, &reply);
	free(copy);
	assert_true(reply.size <= sizeof(reply.tail));
	assert_int_equal(reply.size,
			 reply.head.auth_size + reply.head.certs_size + reply.head.text_size);
	if (!reply.head.ok) {
		/* A reason and nothing else. */
		assert_int_equal(reply.size, reply.head.text_size);
		assert_true(reply.size < sizeof(problem));
		memcpy(problem, reply.tail, reply.size);
		problem[reply.size] = '\0';
	}
	return reply.head.ok == 1;
}

static bool sign(const char *tunnel, enum ipc_auth_kind kind, uint32_t hashes, const uint8_t *cas,
		 size_t n_cas, struct proof *p)
{
	struct ipc_auth head = {.prf = 5,
				.octets_size = 6,
				.kind = kind,
				.hashes = hashes,
				.cas_size = (uint32_t)(n_cas * PKI_HASH_SIZE),
				.announced_size = (uint32_t)announced_size};

	strncpy(head.tunnel, tunnel, sizeof(head.tunnel) - 1);
	if (!ask(IPC_AUTH_SIGN, request(&head, "octets", NULL, NULL, cas, NULL)))
		return false;
	p->method = reply.head.method;
	p->auth_size = reply.head.auth_size;
	p->n_certs = reply.head.n_certs;
	p->certs_size = reply.head.certs_size;
	memcpy(p->auth, reply.tail, p->auth_size);
	memcpy(p->certs, reply.tail + p->auth_size, p->certs_size);
	memcpy(problem, reply.tail + p->auth_size + p->certs_size, reply.head.text_size);
	problem[reply.head.text_size] = '\0';
	return true;
}

static size_t verify_request(const char *tunnel, enum ipc_auth_kind kind, const struct proof *p,
			     const char *id)
{
	struct ipc_auth head = {.prf = 5,
				.method = p->method,
				.octets_size = 6,
				.auth_size = (uint32_t)p->auth_size,
				.id_type = PKI_ID_FQDN,
				.id_size = (uint32_t)strlen(id),
				.certs_size = (uint32_t)p->certs_size,
				.n_certs = p->n_certs,
				.kind = kind};

	strncpy(head.tunnel, tunnel, sizeof(head.tunnel) - 1);
	return request(&head, "octets", p->auth, id, NULL, p->certs);
}

static bool verify(const char *tunnel, enum ipc_auth_kind kind, const struct proof *p,
		   const char *id)
{
	return ask(IPC_AUTH_VERIFY, verify_request(tunnel, kind, p, id));
}

#define CERT IPC_AUTH_BY_CERTIFICATE
#define RAW  IPC_AUTH_BY_RAW_KEY

/* -------------------------------------------------------------------- cases */

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

/* The certificate that was sent, by its subject. */
static void assert_sent(const struct proof *p, const struct made *cert)
{
	assert_true(p->certs_size >= sizeof(struct ipc_cert) + cert->der.size);
	assert_memory_equal(p->certs + sizeof(struct ipc_cert), cert->der.data, cert->der.size);
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
		cmocka_unit_test_setup(announced_ways, fresh),
		cmocka_unit_test_setup(announced_below_a_ca, fresh),
		cmocka_unit_test_setup(announced_for_raw_keys, fresh),
		cmocka_unit_test_setup(announced_nonsense, fresh),
		cmocka_unit_test_setup(files_that_do_not_fit, fresh),
		cmocka_unit_test_setup(strict_revocation, fresh),
		cmocka_unit_test_setup(stapled_response, fresh),
		cmocka_unit_test_setup(raw_keys, fresh),
		cmocka_unit_test_setup(trust, fresh),
		cmocka_unit_test_setup_teardown(hostile_requests, fresh, fresh),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
