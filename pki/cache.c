/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache: chains that were good a while ago. Building and judging one takes libcrypto four times as
 * long as the signature that it is for, and the peers of a gateway come again with the same one.
 *
 * Invariants
 *   - An entry is found by SHA-256 over all that its verdict depends on but the time: the set of
 *     anchors, intermediates, CRLs and responses (by its number), the policy, the identity, and every
 *     byte that the peer sent and that is looked at.
 *   - It holds between two moments: within them no comparison with the clock that was made for the
 *     verdict would come out otherwise. A clock that goes backwards finds nothing, too.
 *   - Only a yes is remembered, and only when the peer has proven that it has the chain's key: who
 *     has merely seen certificates can neither fill nor empty the cache.
 *   - The signature is verified each time.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <openssl/err.h>
#include "base/wr.h"
#include "pki/pki_int.h"

#define KEY_SIZE 32u /* SHA-256 */

struct entry {
	LIST_ENTRY(entry) in_bucket;
	TAILQ_ENTRY(entry) by_use; /* the longest unused first */
	uint8_t key[KEY_SIZE];
	struct pki_window window;
	int64_t valid_until;
	struct pki_pub *pub; /* owned */
};

LIST_HEAD(bucket, entry);

struct pki_cache {
	TAILQ_HEAD(, entry) by_use;
	size_t n, max, n_buckets; /* n_buckets: a power of two */
	uint64_t hits;
	struct bucket *buckets;
};

struct pki_cache *pki_cache_new(size_t max)
{
	struct pki_cache *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	TAILQ_INIT(&c->by_use);
	c->max = max;
	for (c->n_buckets = 1; c->n_buckets < max;)
		c->n_buckets *= 2;
	c->buckets = calloc(c->n_buckets, sizeof(*c->buckets));
	if (c->buckets)
		return c;
	free(c);
	return NULL;
}

static void drop(struct pki_cache *c, struct entry *e)
{
	LIST_REMOVE(e, in_bucket);
	TAILQ_REMOVE(&c->by_use, e, by_use);
	c->n--;
	pki_pub_free(e->pub);
	free(e);
}

void pki_cache_flush(struct pki_cache *c)
{
	while (c && c->n > 0)
		drop(c, TAILQ_FIRST(&c->by_use));
}

void pki_cache_free(struct pki_cache *c)
{
	if (!c)
		return;
	pki_cache_flush(c);
	free(c->buckets);
	free(c);
}

size_t pki_cache_n(const struct pki_cache *c)
{
	return c ? c->n : 0;
}

uint64_t pki_cache_hits(const struct pki_cache *c)
{
	return c ? c->hits : 0;
}

/* -------------------------------------------------------------------- keys */

static bool add(EVP_MD_CTX *md, uint8_t type, const struct pki_span *s)
{
	uint8_t head[9];
	struct wr w = wr_of(head, sizeof(head));

	/* With its length, so that no two lists of spans run together to the same bytes. */
	wr_u8(&w, type);
	wr_u64(&w, s->size);
	return EVP_DigestUpdate(md, head, w.n) == 1 && EVP_DigestUpdate(md, s->data, s->size) == 1;
}

static bool is_read(uint8_t encoding)
{
	return encoding == PKI_ENCODING_X509 || encoding == PKI_ENCODING_CRL ||
	       encoding == PKI_ENCODING_OCSP;
}

static bool key_of(const struct pki_trust *trust, const struct pki_offer *offers, size_t n,
		   const struct pki_id *id, uint8_t key[KEY_SIZE])
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	uint8_t head[9];
	struct wr w = wr_of(head, sizeof(head));
	bool ok;

	wr_u64(&w, trust->set);
	wr_u8(&w, trust->revocation_strict);
	ok = md && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1 &&
	     EVP_DigestUpdate(md, head, w.n) == 1 && add(md, id->type, &id->data);
	for (size_t i = 0; ok && i < n; i++)
		ok = !is_read(offers[i].encoding) || add(md, offers[i].encoding, &offers[i].data);
	ok = ok && EVP_DigestFinal_ex(md, key, NULL) == 1;
	EVP_MD_CTX_free(md);
	ERR_clear_error();
	return ok;
}

/* ----------------------------------------------------------------- entries */

static struct bucket *bucket_of(struct pki_cache *c, const uint8_t key[KEY_SIZE])
{
	size_t at;

	memcpy(&at, key, sizeof(at));
	return &c->buckets[at & (c->n_buckets - 1)];
}

static struct entry *find(struct pki_cache *c, const uint8_t key[KEY_SIZE], int64_t now)
{
	struct entry *e;

	LIST_FOREACH(e, bucket_of(c, key), in_bucket)
	{
		if (memcmp(e->key, key, KEY_SIZE) != 0)
			continue;
		if (now < e->window.from || now >= e->window.until) {
			drop(c, e);
			return NULL;
		}
		TAILQ_REMOVE(&c->by_use, e, by_use);
		TAILQ_INSERT_TAIL(&c->by_use, e, by_use);
		return e;
	}
	return NULL;
}

/* Takes `pub` over. */
static void remember(struct pki_cache *c, const struct entry *like)
{
	struct entry *e = c->max > 0 ? malloc(sizeof(*e)) : NULL;

	if (!e) {
		pki_pub_free(like->pub);
		return;
	}
	if (c->n == c->max)
		drop(c, TAILQ_FIRST(&c->by_use));
	*e = *like;
	LIST_INSERT_HEAD(bucket_of(c, e->key), e, in_bucket);
	TAILQ_INSERT_TAIL(&c->by_use, e, by_use);
	c->n++;
}

static bool proven(const struct pki_pub *pub, const struct pki_proof *p, struct sb *why)
{
	return pki_verify(pub, p->method, p->sha1, p->octets, p->auth, why);
}

bool pki_verify_auth(struct pki_cache *c, const struct pki_trust *trust,
		     const struct pki_offer *offers, size_t n, const struct pki_id *id,
		     const struct pki_proof *proof, int64_t *valid_until, struct sb *why)
{
	struct entry new = {.pub = NULL}, *old = NULL;
	const bool known = c && trust->set != 0 && key_of(trust, offers, n, id, new.key);

	*valid_until = 0;
	if (known)
		old = find(c, new.key, trust->now);
	if (old) {
		c->hits++;
		*valid_until = old->valid_until;
		return proven(old->pub, proof, why);
	}
	if (!pki_verify_chain(trust, offers, n, id, &new.pub, &new.valid_until, &new.window, why))
		return false;
	*valid_until = new.valid_until;
	if (!proven(new.pub, proof, why)) {
		pki_pub_free(new.pub);
		return false;
	}
	if (known)
		remember(c, &new);
	else
		pki_pub_free(new.pub);
	return true;
}
