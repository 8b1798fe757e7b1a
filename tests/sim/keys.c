/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keys: a node's key process. Shared keys are real. Certificates are text, "CA|ID|KEY", followed by
 * as many links of a chain as wanted, and a signature is a digest of the octets under the key's name:
 * what the core does with them is the same, and each way of failing is one word.
 */
#include <stdio.h>
#include <string.h>
#include "ike/keys.h"
#include "tests/sim/world.h"

#define CERT_SIZE 160

static const uint8_t ed25519[] = {7, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70};
static const uint8_t ed448[] = {7, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x71};

static void digest(const char *key, const uint8_t *octets, size_t size, uint8_t out[8])
{
	uint64_t h = 0xcbf29ce484222325ull;

	for (const char *p = key; *p; p++)
		h = (h ^ (uint8_t)*p) * 0x100000001b3ull;
	for (size_t i = 0; i < size; i++)
		h = (h ^ octets[i]) * 0x100000001b3ull;
	memcpy(out, &h, 8);
}

static bool psk(struct sim_node *n, unsigned which, const struct ike_action *a, uint8_t *out)
{
	const char *key = which ? n->psk_old : n->psk;
	struct ike_crypto c;

	ike_crypto_openssl(&c, rng_fill, &n->rng);
	return key[0] && ike_auth_psk(&c, (enum ike_prf)a->auth.prf, (const uint8_t *)key,
				      strlen(key), a->auth.octets, a->auth.octets_size, out);
}

static void add_cert(struct sim_item *item, uint8_t encoding, const char *text)
{
	struct sim_cert *c = &item->key.certs[item->key.n_certs++];

	c->encoding = encoding;
	c->size = strlen(text);
	memcpy(c->data, text, c->size);
}

/* Whom the certificate names: the tunnel's own identity, unless told otherwise. */
static void own_id(const struct sim_node *n, const struct ike_action *a, char out[64])
{
	const struct ike_id *id = &n->cfg[a->tunnel].local_id;

	if (n->pki.id[0])
		memcpy(out, n->pki.id, sizeof(n->pki.id));
	else
		snprintf(out, 64, "%.*s", (int)id->size, (const char *)id->data);
}

static bool announced(const struct ike_action *a, const uint8_t alg[8])
{
	return memmem(a->auth.announced, a->auth.announced_size, alg + 1, 7) != NULL;
}

/* By what the peer announces, if it does; else by the first, with a word about it. */
static const uint8_t *choose(struct sim_node *n, const struct ike_action *a, struct sim_item *item)
{
	n->announced_size_seen = a->auth.announced_size;
	if (!a->auth.announced_size)
		return ed25519;
	memcpy(n->announced_seen, a->auth.announced, a->auth.announced_size);
	if (announced(a, ed25519))
		return ed25519;
	if (n->pki.ed448 && announced(a, ed448))
		return ed448;
	snprintf(item->key.reason, sizeof(item->key.reason), "we have Ed25519");
	return ed25519;
}

static void sign(struct sim_node *n, const struct ike_action *a, struct sim_item *item)
{
	const struct sim_pki *k = &n->pki;
	char text[CERT_SIZE], id[sizeof(k->id)];

	if (a->auth.kind == IKE_AUTH_BY_PSK) {
		item->key.auth_size = ike_prf_desc(a->auth.prf)->size;
		item->key.method = IKE_AUTH_METHOD_SHARED_KEY;
		item->key.ok = psk(n, a->auth.key, a, item->key.auth);
		return;
	}
	n->hashes_seen = a->auth.hashes;
	n->n_cas_seen = a->auth.n_cas;
	if (!k->key[0]) {
		snprintf(item->key.reason, sizeof(item->key.reason), "the private key is gone");
		return;
	}
	memcpy(item->key.auth, choose(n, a, item), sizeof(ed25519));
	digest(k->key, a->auth.octets, a->auth.octets_size, item->key.auth + sizeof(ed25519));
	item->key.auth_size = sizeof(ed25519) + 8;
	item->key.method = IKE_AUTH_METHOD_DIGITAL_SIGNATURE;
	item->key.ok = true;
	if (a->auth.kind == IKE_AUTH_BY_RAW_KEY)
		return;
	own_id(n, a, id);
	snprintf(text, sizeof(text), "%s|%s|%s", k->ca, id, k->key);
	if (!k->no_cert)
		add_cert(item, IKE_CERT_X509_SIGNATURE, text);
	for (unsigned i = 0; i < k->n_chain; i++) {
		snprintf(text, sizeof(text), "link %u", i);
		add_cert(item, i ? IKE_CERT_X509_SIGNATURE : IKE_CERT_CRL, text);
	}
}

/* What a key process would say of it: a word for each failure. */
static const char *judge(struct sim_node *n, const struct ike_action *a)
{
	char ca[32], id[64], key[32], text[CERT_SIZE], named[IKE_ID_MAX + 1];
	uint8_t want[8];

	if (a->auth.auth_size != sizeof(ed25519) + 8)
		return "length";
	if (a->auth.kind == IKE_AUTH_BY_RAW_KEY) {
		snprintf(key, sizeof(key), "%s", n->pki.trusts);
	} else {
		if (!a->auth.n_certs)
			return "no certificate came";
		if (a->auth.certs[0].size >= sizeof(text))
			return "size";
		memcpy(text, a->auth.certs[0].data, a->auth.certs[0].size);
		text[a->auth.certs[0].size] = '\0';
		if (sscanf(text, "%31[^|]|%63[^|]|%31s", ca, id, key) != 3)
			return "no certificate first";
		if (strcmp(ca, n->pki.trusts) != 0)
			return "unknown CA";
		memcpy(named, a->auth.id.data, a->auth.id.size);
		named[a->auth.id.size] = '\0';
		if (strcmp(named, id) != 0)
			return "the certificate names somebody else";
		for (size_t i = 1; i < a->auth.n_certs; i++) {
			snprintf(text, sizeof(text), "link %zu", i - 1);
			if (a->auth.certs[i].size != strlen(text) ||
			    memcmp(a->auth.certs[i].data, text, strlen(text)) != 0)
				return "the chain is out of order";
		}
	}
	digest(key, a->auth.octets, a->auth.octets_size, want);
	return memcmp(want, a->auth.auth + sizeof(ed25519), 8) ? "wrong key" : NULL;
}

static void verify(struct sim_node *n, const struct ike_action *a, struct sim_item *item)
{
	const char *problem = NULL;
	uint8_t want[64];

	for (unsigned which = 0; a->auth.kind == IKE_AUTH_BY_PSK && which < 2; which++) {
		if (a->auth.method == IKE_AUTH_METHOD_SHARED_KEY && psk(n, which, a, want) &&
		    a->auth.auth_size == ike_prf_desc(a->auth.prf)->size &&
		    !memcmp(want, a->auth.auth, a->auth.auth_size)) {
			item->key.ok = true;
			item->key.which = which;
			return;
		}
	}
	if (a->auth.kind == IKE_AUTH_BY_PSK)
		return;
	problem = judge(n, a);
	item->key.ok = !problem;
	if (problem)
		snprintf(item->key.reason, sizeof(item->key.reason), "%s", problem);
}

static void mix(struct sim_node *n, const struct ike_action *a, struct sim_item *item)
{
	const size_t size = strlen(n->ppk);

	if (!size || a->auth.octets_size > sizeof(item->key.auth))
		return;
	for (size_t i = 0; i < a->auth.octets_size; i++)
		item->key.auth[i] = a->auth.octets[i] ^ (uint8_t)n->ppk[i % size];
	item->key.auth_size = a->auth.octets_size;
	item->key.ok = true;
}

void keys_request(struct sim_node *n, const struct ike_action *a)
{
	struct sim_item *item = queue_new(n->w, SIM_KEY, n->index, n->key_delay_us);

	item->key.request = a->request;
	if (a->type == IKE_ACT_AUTH_SIGN)
		sign(n, a, item);
	else if (a->type == IKE_ACT_AUTH_VERIFY)
		verify(n, a, item);
	else
		mix(n, a, item);
}

void keys_answer(struct sim_node *n, const struct sim_item *item)
{
	struct ike_event ev = {.type = IKE_EV_AUTH_RESULT, .now = node_now(n)};
	struct ike_cert certs[IKE_MAX_CERTS + 1];

	for (size_t i = 0; i < item->key.n_certs; i++)
		certs[i] = (struct ike_cert){item->key.certs[i].encoding, item->key.certs[i].data,
					     item->key.certs[i].size};
	ev.auth.request = item->key.request;
	ev.auth.ok = item->key.ok;
	ev.auth.auth = item->key.auth;
	ev.auth.auth_size = item->key.auth_size;
	ev.auth.method = item->key.method;
	ev.auth.certs = certs;
	ev.auth.n_certs = item->key.n_certs;
	ev.auth.reason = item->key.reason;
	ev.auth.key = item->key.which;
	ev.auth.valid_s = n->pki.valid_s;
	node_step(n, &ev);
}
