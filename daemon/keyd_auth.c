/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/keyd_auth.h"

#include <stdlib.h>
#include <string.h>
#include "base/rd.h"
#include "base/wr.h"
#include "daemon/keyd_heap.h"
#include "ike/keys.h"

#define PPK_KEYS 3u /* SK_d, SK_pi, SK_pr */

/* A request that adds up; everything borrowed from its body. */
struct request {
	struct ipc_auth head;
	const struct ike_prf_desc *prf;
	struct pki_span octets, auth, id, cas, announced;
	struct pki_offer certs[KEYD_CERTS_MAX];
};

/* One answer in the making. */
struct answer {
	const struct request *r;
	const struct keyd_keys *keys; /* NULL: the tunnel has none */
	struct pki_cache *verdicts;
	const struct ike_crypto *crypto;
	int64_t now;
	struct ipc_auth_result *head;
	struct wr tail;
	struct sb why;
};

/* ----------------------------------------------------------------- request */

static bool take_span(struct rd *r, uint32_t size, struct pki_span *out)
{
	out->size = size;
	return rd_bytes(r, size, &out->data);
}

static bool take_certs(struct rd r, uint32_t n, struct pki_offer *out)
{
	if (n > KEYD_CERTS_MAX)
		return false;
	for (uint32_t i = 0; i < n; i++) {
		struct ipc_cert head;

		if (!rd_copy(&r, &head, sizeof(head)) || head.encoding > UINT8_MAX ||
		    !take_span(&r, head.size, &out[i].data))
			return false;
		out[i].encoding = (uint8_t)head.encoding;
	}
	return rd_empty(&r);
}

/* The lengths must add up to the body exactly: nothing is skipped, nothing is read beyond. */
static bool parse(const uint8_t *body, size_t size, enum ipc_type type, struct request *out)
{
	const bool verify = type == IPC_AUTH_VERIFY;
	struct rd r = rd_of(body, size), certs;
	struct ipc_auth *h = &out->head;

	if (!rd_copy(&r, h, sizeof(*h)) || !ipc_name_ok(h->tunnel) || h->prf > UINT16_MAX)
		return false;
	if (h->octets_size == 0 || h->octets_size > KEYD_OCTETS_MAX ||
	    (h->auth_size > 0) != verify || h->auth_size > PKI_SIG_MAX ||
	    h->cas_size % PKI_HASH_SIZE != 0 || h->announced_size > KEYD_ANNOUNCED_MAX ||
	    (h->announced_size > 0 && verify) || h->id_size > UINT8_MAX || h->id_type > UINT8_MAX)
		return false;
	if (!take_span(&r, h->octets_size, &out->octets) ||
	    !take_span(&r, h->auth_size, &out->auth) || !take_span(&r, h->id_size, &out->id) ||
	    !take_span(&r, h->cas_size, &out->cas) ||
	    !take_span(&r, h->announced_size, &out->announced) ||
	    !rd_sub(&r, h->certs_size, &certs) || !rd_empty(&r) ||
	    !take_certs(certs, h->n_certs, out->certs))
		return false;
	out->prf = ike_prf_desc((uint16_t)h->prf);
	return out->prf != NULL;
}

/* --------------------------------------------------- what the peer announces */

/* An announcement of the peer is for certificates below one of its CAs only. */
struct linked {
	const struct answer *a;
	const struct pki_certs *cert; /* ours; NULL: a raw key, which is below none */
};

static bool linked(void *ctx, unsigned ca)
{
	const struct linked *l = ctx;
	const struct pki_span *cas = &l->a->r->cas;

	/* RFC 9593 3.2.2: who asks for no CA links to none. */
	if (cas->size == 0)
		return true;
	return l->cert && ca <= cas->size / PKI_HASH_SIZE &&
	       pki_certs_under(l->cert, l->a->keys->cas, cas->data + (ca - 1) * PKI_HASH_SIZE, 1);
}

/* By what a certificate of ours (NULL: a raw key) may sign for this peer. */
static struct pki_takes takes_of(const struct answer *a, const struct pki_certs *cert)
{
	struct linked l = {a, cert};
	struct pki_takes t = {.hashes = a->r->head.hashes, .sha1 = a->keys && a->keys->sha1};

	pki_takes_announced(&t, a->r->announced, linked, &l);
	return t;
}

/* The proof is made all the same: the peer may take more than it says. */
static void unannounced(struct answer *a, const char *ours)
{
	if (a->r->announced.size == 0)
		return;
	sb_printf(&a->why,
		  "we have %s, which the peer does not announce to take (RFC 9593): ", ours);
	pki_announced_text(a->r->announced, &a->why);
}

/* -------------------------------------------------------------- shared key */

static bool psk_sign(struct answer *a)
{
	const uint32_t i = a->r->head.key;
	const struct secret *psk = a->keys && i < KEYD_MAX_INDEX ? a->keys->psk[i] : NULL;
	uint8_t *out = wr_reserve(&a->tail, a->r->prf->size);

	if (!psk) {
		sb_str(&a->why, "the tunnel has no such pre-shared key");
		return false;
	}
	if (!out || !ike_auth_psk(a->crypto, a->r->prf->id, secret_data(psk), secret_size(psk),
				  a->r->octets.data, a->r->octets.size, out))
		return false;
	a->head->method = KEYD_METHOD_PSK;
	a->head->auth_size = (uint32_t)a->r->prf->size;
	if (!(takes_of(a, NULL).methods & 1u << KEYD_METHOD_PSK))
		unannounced(a, "a pre-shared key");
	return true;
}

static bool psk_fits(const struct answer *a, const uint8_t *psk, size_t size)
{
	uint8_t mine[IKE_PRF_MAX] = {0};
	const bool made = ike_auth_psk(a->crypto, a->r->prf->id, psk, size, a->r->octets.data,
				       a->r->octets.size, mine);
	/* Compared in any case; another length is no secret. */
	const bool same = bytes_equal_ct(mine, a->r->auth.data,
					 a->r->auth.size < a->r->prf->size ? a->r->auth.size
									   : a->r->prf->size);

	bytes_wipe(mine, sizeof(mine));
	return made & same & (a->r->auth.size == a->r->prf->size);
}

/* Every key is tried, and one that is nobody's where there is none: time tells nothing. */
static bool psk_verify(struct answer *a)
{
	static const uint8_t nobody[32] = {1};
	bool ok = false, any = false;

	for (uint32_t i = 0; a->keys && i < KEYD_MAX_INDEX; i++) {
		const struct secret *psk = a->keys->psk[i];

		if (!psk)
			continue;
		any = true;
		if (psk_fits(a, secret_data(psk), secret_size(psk)) && !ok) {
			a->head->key = i;
			ok = true;
		}
	}
	if (!any)
		(void)psk_fits(a, nobody, sizeof(nobody));
	if (!ok)
		sb_str(&a->why, any ? "the peer's pre-shared key is not ours"
				    : "the tunnel has no pre-shared key");
	return ok;
}

/* ------------------------------------------------------------ certificates */

static void put_cert(struct answer *a, uint32_t encoding, struct pki_span der)
{
	const struct ipc_cert head = {.encoding = encoding, .size = (uint32_t)der.size};

	wr_bytes(&a->tail, &head, sizeof(head));
	wr_bytes(&a->tail, der.data, der.size);
	a->head->certs_size += (uint32_t)(sizeof(head) + der.size);
	a->head->n_certs++;
}

/* libcrypto keeps some of it as long as the key: an RSA key's primes, ready for the next time. */
size_t keyd_sign(const struct pki_key *key, const struct pki_takes *takes, struct pki_span octets,
		 uint8_t *auth, uint32_t *method, struct sb *why)
{
	size_t n;

	keyd_heap_shelter(true);
	n = pki_sign(key, takes, octets, auth, method, why);
	keyd_heap_shelter(false);
	return n;
}

static bool fits(const struct answer *a, const struct pki_key *key, const struct pki_certs *cert)
{
	const struct pki_takes t = takes_of(a, cert);

	return pki_can_sign(key, &t);
}

/* By what the peer announces, or, where nothing of that fits, by what its hash list allows. */
static bool sign_with(struct answer *a, const struct pki_key *key, const struct pki_certs *cert)
{
	struct pki_takes t = takes_of(a, cert);
	const bool announced = pki_can_sign(key, &t);
	uint8_t auth[PKI_SIG_MAX];
	size_t n;

	t.announced &= announced;
	n = keyd_sign(key, &t, a->r->octets, auth, &a->head->method, &a->why);
	wr_bytes(&a->tail, auth, n);
	a->head->auth_size = (uint32_t)n;
	if (n > 0 && !announced)
		unannounced(a, pki_key_type(key));
	return n > 0;
}

/*
 * Which of our certificates signs: one that is valid now; of those, one that can sign as the peer
 * announces (RFC 9593); of those, one below a CA that the peer asks for (RFC 7296 3.7); of those, the
 * newest: that is how a rotation comes into effect.
 */
static int choose(const struct answer *a)
{
	int best = -1, best_rank = 0;
	int64_t best_from = 0;

	for (int i = 0; i < (int)KEYD_MAX_INDEX; i++) {
		const struct pki_certs *c = a->keys->cert[i];
		int64_t from, until;
		int rank;

		if (!c)
			continue;
		pki_certs_validity(c, 0, &from, &until);
		if (a->now < from || a->now >= until)
			continue;
		rank = 2 * fits(a, a->keys->key[i], c) +
		       pki_certs_under(c, a->keys->cas, a->r->cas.data,
				       a->r->cas.size / PKI_HASH_SIZE);
		if (best < 0 || rank > best_rank || (rank == best_rank && from > best_from)) {
			best = i;
			best_rank = rank;
			best_from = from;
		}
	}
	return best;
}

static bool none_valid(struct answer *a)
{
	for (size_t i = 0; i < KEYD_MAX_INDEX; i++) {
		int64_t from, until;

		if (!a->keys->cert[i])
			continue;
		pki_certs_validity(a->keys->cert[i], 0, &from, &until);
		sb_str(&a->why, "our own certificate of ");
		pki_certs_subject(a->keys->cert[i], 0, &a->why);
		sb_str(&a->why, a->now < from ? " is not valid before " : " expired on ");
		pki_time_text(a->now < from ? from : until, &a->why);
		return false;
	}
	sb_str(&a->why, "the tunnel has no certificate of its own");
	return false;
}

static bool cert_sign(struct answer *a)
{
	const int i = a->keys ? choose(a) : -1;
	const struct pki_certs *c;

	if (!a->keys) {
		sb_str(&a->why, "the tunnel has no private key");
		return false;
	}
	if (i < 0)
		return none_valid(a);
	c = a->keys->cert[i];
	if (!sign_with(a, a->keys->key[i], c))
		return false;
	/* RFC 7296 3.6: our own first. A root is of no use to who does not have it already. */
	for (size_t k = 0; k < pki_certs_n(c); k++) {
		if (k == 0 || !pki_certs_is_root(c, k))
			put_cert(a, PKI_ENCODING_X509, pki_certs_der(c, k));
	}
	/* RFC 4806: a response about it, where the operator provides one. */
	if (pki_ocsps_n(a->keys->ocsps) > 0 &&
	    pki_ocsps_der(a->keys->ocsps, 0).size + 1024 < KEYD_TAIL_MAX - a->tail.n)
		put_cert(a, PKI_ENCODING_OCSP, pki_ocsps_der(a->keys->ocsps, 0));
	return true;
}

static bool cert_verify(struct answer *a)
{
	const struct keyd_keys *k = a->keys;
	const struct pki_trust trust = {
		.anchors = k ? k->cas : NULL,
		.crls = k ? k->crls : NULL,
		.ocsps = k ? k->ocsps : NULL,
		.revocation_strict = k && k->revocation_strict,
		.now = a->now,
		.set = k ? k->set : 0,
	};
	const struct pki_id id = {(uint8_t)a->r->head.id_type, a->r->id};
	const struct pki_proof proof = {a->r->head.method, k && k->sha1, a->r->octets, a->r->auth};
	int64_t until;

	if (!pki_verify_auth(a->verdicts, &trust, a->r->certs, a->r->head.n_certs, &id, &proof,
			     &until, &a->why))
		return false;
	a->head->valid_s = until > a->now ? (uint64_t)(until - a->now) : 1;
	return true;
}

/* ---------------------------------------------------------------- raw keys */

static bool raw_sign(struct answer *a)
{
	const struct pki_key *key = NULL;

	/* The first that can sign as the peer announces, or else the first. */
	for (size_t i = 0; a->keys && i < KEYD_MAX_INDEX; i++) {
		const struct pki_key *k = a->keys->key[i];

		if (k && (!key || (!fits(a, key, NULL) && fits(a, k, NULL))))
			key = k;
	}
	if (!key) {
		sb_str(&a->why, "the tunnel has no private key");
		return false;
	}
	if (!sign_with(a, key, NULL))
		return false;
	put_cert(a, PKI_ENCODING_RAW_KEY, pki_key_spki(key));
	return true;
}

/* RFC 7670 3: a key that came is only good if it is one that we have. */
static bool raw_offered(const struct request *r, const struct pki_pub *pub)
{
	bool any = false;

	for (uint32_t i = 0; i < r->head.n_certs; i++) {
		if (r->certs[i].encoding != PKI_ENCODING_RAW_KEY)
			continue;
		any = true;
		if (pki_pub_equal(pub, r->certs[i].data.data, r->certs[i].data.size))
			return true;
	}
	return !any;
}

static bool raw_verify(struct answer *a)
{
	bool any = false, offered = false;

	for (size_t i = 0; a->keys && i < KEYD_MAX_INDEX; i++) {
		char text[PKI_TEXT_SIZE];
		struct sb why = sb_of(text, sizeof(text));
		const struct pki_pub *pub = a->keys->peer[i];

		if (!pub)
			continue;
		any = true;
		if (!raw_offered(a->r, pub))
			continue;
		offered = true;
		if (pki_verify(pub, a->r->head.method, a->keys->sha1, a->r->octets, a->r->auth,
			       &why))
			return true;
		if (a->why.n == 0)
			sb_str(&a->why, text);
	}
	if (!any)
		sb_str(&a->why, "the tunnel has no public key of its peer");
	else if (!offered)
		sb_str(&a->why, "the peer's public key is not the configured one");
	return false;
}

/* --------------------------------------------------------------------- PPK */

/* RFC 8784 3: SK_d = prf+ (PPK, SK_d'), likewise SK_pi and SK_pr. */
static bool ppk_mix(struct answer *a)
{
	const size_t size = a->r->prf->size;
	const struct secret *ppk = a->keys ? a->keys->ppk : NULL;
	uint8_t *out = wr_reserve(&a->tail, PPK_KEYS * size);

	if (!ppk || !out || a->r->octets.size != PPK_KEYS * size) {
		sb_str(&a->why, ppk ? "the keys to mix with the PPK have a wrong length"
				    : "the tunnel has no PPK");
		return false;
	}
	for (size_t i = 0; i < PPK_KEYS; i++) {
		const struct ike_iov seed = {a->r->octets.data + i * size, size};

		if (!ike_prf_plus(a->crypto, a->r->prf->id, secret_data(ppk), secret_size(ppk),
				  &seed, 1, out + i * size, size))
			return false;
	}
	a->head->auth_size = (uint32_t)(PPK_KEYS * size);
	return true;
}

/* ------------------------------------------------------------------ answers */

static bool is_signature(uint32_t method)
{
	return method == PKI_METHOD_RSA || method == PKI_METHOD_DIGITAL_SIGNATURE ||
	       (method >= PKI_METHOD_ECDSA_256 && method <= PKI_METHOD_ECDSA_521);
}

static bool sign(struct answer *a)
{
	const uint32_t method = a->r->head.method;

	switch (a->r->head.kind) {
	case IPC_AUTH_BY_PSK: return (method == 0 || method == KEYD_METHOD_PSK) && psk_sign(a);
	case IPC_AUTH_BY_CERTIFICATE: return method == 0 && cert_sign(a);
	case IPC_AUTH_BY_RAW_KEY: return method == 0 && raw_sign(a);
	default: return false;
	}
}

/* What the configuration asks for, and nothing else that might verify too. */
static bool verify(struct answer *a)
{
	const uint32_t method = a->r->head.method;

	switch (a->r->head.kind) {
	case IPC_AUTH_BY_PSK: return method == KEYD_METHOD_PSK && psk_verify(a);
	case IPC_AUTH_BY_CERTIFICATE: return is_signature(method) && cert_verify(a);
	case IPC_AUTH_BY_RAW_KEY: return is_signature(method) && raw_verify(a);
	default: return false;
	}
}

static bool carry_out(struct answer *a, enum ipc_type type)
{
	switch ((int)type) {
	case IPC_AUTH_SIGN: return sign(a);
	case IPC_AUTH_VERIFY: return verify(a);
	case IPC_PPK_MIX: return ppk_mix(a);
	default: return false;
	}
}

void keyd_answer(const struct keyd_store *s, const struct ike_crypto *crypto, enum ipc_type type,
		 const uint8_t *body, size_t size, int64_t now, struct keyd_reply *reply)
{
	char text[2 * PKI_TEXT_SIZE];
	struct request r = {0};
	struct answer a = {
		.r = &r,
		.crypto = crypto,
		.verdicts = s->verdicts,
		.now = now,
		.head = &reply->head,
		.tail = wr_of(reply->tail, sizeof(reply->tail)),
		.why = sb_of(text, sizeof(text)),
	};

	reply->head = (struct ipc_auth_result){0};
	reply->size = 0;
	if (!parse(body, size, type, &r))
		return;
	a.keys = keyd_store_get(s, r.head.tunnel);
	if (carry_out(&a, type) && wr_ok(&a.tail)) {
		reply->head.ok = 1;
		if (type == IPC_AUTH_SIGN && a.why.n <= sizeof(reply->tail) - a.tail.n) {
			wr_bytes(&a.tail, text, a.why.n);
			reply->head.text_size = (uint32_t)a.why.n;
		}
		reply->size = a.tail.n;
		return;
	}
	/* A refusal brings its reason and nothing of what was made on the way. */
	bytes_wipe(reply->tail, a.tail.n);
	reply->head = (struct ipc_auth_result){.text_size = (uint32_t)a.why.n};
	memcpy(reply->tail, text, a.why.n);
	reply->size = a.why.n;
}

size_t keyd_trust(const char *tunnel, const struct keyd_keys *keys, uint8_t body[KEYD_TRUST_MAX])
{
	struct ipc_trust head = {0};
	size_t n = sizeof(head);

	memcpy(head.tunnel, tunnel, strnlen(tunnel, sizeof(head.tunnel) - 1));
	for (size_t i = 0; keys && i < pki_certs_n(keys->cas); i++) {
		/* A peer's own certificate, configured as its anchor, certifies nobody. */
		if (!pki_certs_is_ca(keys->cas, i) || !pki_certs_key_hash(keys->cas, i, body + n))
			continue;
		n += PKI_HASH_SIZE;
		head.n_cas++;
	}
	memcpy(body, &head, sizeof(head));
	return n;
}
