/* SPDX-License-Identifier: Apache-2.0 */
/* keys: prf+, SKEYSEED, the keys of IKE SAs and of CHILD_SAs (RFC 7296 2.13, 2.14, 2.17, 2.18). */
#include "base/wr.h"
#include "ike/keys.h"

#define MAX_BLOCKS   255 /* prf+ counts in one octet (2.13) */
#define MAX_KEYMAT   (7 * IKE_KEY_MAX)
#define MAX_SEED_IOV 4

void ike_sa_keys_free(struct ike_sa_keys *k)
{
	secret_free(k->d);
	secret_free(k->ai);
	secret_free(k->ar);
	secret_free(k->ei);
	secret_free(k->er);
	secret_free(k->pi);
	secret_free(k->pr);
	*k = (struct ike_sa_keys){0};
}

void ike_child_keys_free(struct ike_child_keys *k)
{
	secret_free(k->ei);
	secret_free(k->ai);
	secret_free(k->er);
	secret_free(k->ar);
	*k = (struct ike_child_keys){0};
}

bool ike_prf_plus(const struct ike_crypto *c, enum ike_prf prf, const uint8_t *key, size_t key_size,
		  const struct ike_iov *seed, size_t n_seed, uint8_t *out, size_t size)
{
	const struct ike_prf_desc *d = ike_prf_desc(prf);
	struct ike_iov in[MAX_SEED_IOV + 2];
	uint8_t block[IKE_PRF_MAX];
	uint8_t counter = 0;
	bool ok = false;

	if (!d || n_seed > MAX_SEED_IOV || size > (size_t)MAX_BLOCKS * d->size)
		goto out;
	memcpy(&in[1], seed, n_seed * sizeof(seed[0]));
	/* T1 = prf(K, S | 1), Tn = prf(K, Tn-1 | S | n). */
	for (size_t done = 0; done < size;) {
		const size_t take = size - done < d->size ? size - done : d->size;

		in[0] = (struct ike_iov){block, counter ? d->size : 0};
		counter++;
		in[n_seed + 1] = (struct ike_iov){&counter, 1};
		if (!c->prf(c->ctx, prf, key, key_size, in, n_seed + 2, block))
			goto out;
		memcpy(out + done, block, take);
		done += take;
	}
	ok = true;
out:
	bytes_wipe(block, sizeof(block));
	if (!ok)
		bytes_wipe(out, size);
	return ok;
}

/* RFC 7296 2.10: each nonce is at least half as long as the key of the prf. */
static bool nonces_ok(const struct ike_prf_desc *prf, const struct ike_nonces *n)
{
	return n->ni.size >= IKE_NONCE_MIN && n->ni.size <= IKE_NONCE_MAX &&
	       n->nr.size >= IKE_NONCE_MIN && n->nr.size <= IKE_NONCE_MAX &&
	       n->ni.size >= prf->size / 2u && n->nr.size >= prf->size / 2u;
}

static bool take(struct rd *keymat, size_t size, struct secret **out)
{
	const uint8_t *p;

	if (size == 0) /* not needed with this suite */
		return true;
	if (!rd_bytes(keymat, size, &p))
		return false;
	*out = secret_from(p, size);
	return *out != NULL;
}

/* Sizes of the keys that a suite asks for; false if it is not a complete, supported suite. */
static bool key_sizes(const struct ike_suite *s, size_t *encr_size, size_t *integ_size)
{
	const struct ike_encr_desc *encr = ike_encr_desc(s->encr);
	const struct ike_integ_desc *integ = ike_integ_desc(s->integ);

	if (!encr || !ike_encr_key_bits_ok(encr->id, s->encr_key_bits))
		return false;
	/* An AEAD protects integrity itself; anything else must not go without. */
	if (encr->aead ? s->integ != IKE_INTEG_NONE : !integ)
		return false;
	*encr_size = ike_suite_encr_key_size(s);
	*integ_size = encr->aead ? 0 : integ->key_size;
	return true;
}

/* {SK_d | SK_ai | SK_ar | SK_ei | SK_er | SK_pi | SK_pr} = prf+(SKEYSEED, Ni | Nr | SPIi | SPIr).
 */
static enum ike_err expand(const struct ike_crypto *c, const struct ike_suite *suite,
			   const struct ike_prf_desc *prf, const uint8_t *skeyseed,
			   size_t skeyseed_size, const struct ike_nonces *n, uint64_t spi_i,
			   uint64_t spi_r, struct ike_sa_keys *out)
{
	uint8_t keymat[MAX_KEYMAT], spis[16];
	size_t encr_size, integ_size, size;
	struct wr w = wr_of(spis, sizeof(spis));
	const struct ike_iov seed[] = {
		{n->ni.p, n->ni.size}, {n->nr.p, n->nr.size}, {spis, sizeof(spis)}};
	enum ike_err err = IKE_ERR_CRYPTO;
	struct rd r;

	if (!key_sizes(suite, &encr_size, &integ_size))
		return IKE_ERR_NO_PROPOSAL;
	wr_u64(&w, spi_i);
	wr_u64(&w, spi_r);
	size = 3 * (size_t)prf->size + 2 * integ_size + 2 * encr_size;
	if (!ike_prf_plus(c, prf->id, skeyseed, skeyseed_size, seed, 3, keymat, size))
		goto out;
	r = rd_of(keymat, size);
	err = IKE_ERR_RESOURCES;
	if (!take(&r, prf->size, &out->d) || !take(&r, integ_size, &out->ai) ||
	    !take(&r, integ_size, &out->ar) || !take(&r, encr_size, &out->ei) ||
	    !take(&r, encr_size, &out->er) || !take(&r, prf->size, &out->pi) ||
	    !take(&r, prf->size, &out->pr))
		goto out;
	err = IKE_OK;
out:
	bytes_wipe(keymat, sizeof(keymat));
	if (err != IKE_OK)
		ike_sa_keys_free(out);
	return err;
}

enum ike_err ike_keys_initial(const struct ike_crypto *c, const struct ike_suite *suite,
			      const struct ike_nonces *n, const uint8_t *shared, size_t shared_size,
			      uint64_t spi_i, uint64_t spi_r, struct ike_sa_keys *out)
{
	const struct ike_prf_desc *prf = ike_prf_desc(suite->prf);
	const struct ike_iov in = {shared, shared_size};
	uint8_t key[2 * IKE_NONCE_MAX], skeyseed[IKE_PRF_MAX];
	enum ike_err err = IKE_ERR_CRYPTO;

	*out = (struct ike_sa_keys){0};
	if (!prf)
		return IKE_ERR_NO_PROPOSAL;
	if (!nonces_ok(prf, n))
		return IKE_ERR_NONCE;
	/* HMAC takes keys of any length, so that no bits of the nonces are cut (2.14). */
	memcpy(key, n->ni.p, n->ni.size);
	memcpy(key + n->ni.size, n->nr.p, n->nr.size);
	if (c->prf(c->ctx, prf->id, key, n->ni.size + n->nr.size, &in, 1, skeyseed))
		err = expand(c, suite, prf, skeyseed, prf->size, n, spi_i, spi_r, out);
	bytes_wipe(skeyseed, sizeof(skeyseed));
	return err;
}

enum ike_err ike_keys_rekey(const struct ike_crypto *c, enum ike_prf old_prf,
			    const struct secret *old_d, const struct ike_suite *suite,
			    const struct ike_nonces *n, const uint8_t *shared, size_t shared_size,
			    uint64_t spi_i, uint64_t spi_r, struct ike_sa_keys *out)
{
	const struct ike_prf_desc *prf = ike_prf_desc(suite->prf), *old = ike_prf_desc(old_prf);
	const struct ike_iov in[] = {{shared, shared_size},
				     {n->ni.p, n->ni.size},
				     {n->nr.p, n->nr.size},
				     {n->further.p, n->further.size}};
	uint8_t skeyseed[IKE_PRF_MAX];
	enum ike_err err = IKE_ERR_CRYPTO;

	*out = (struct ike_sa_keys){0};
	if (!prf || !old)
		return IKE_ERR_NO_PROPOSAL;
	if (!nonces_ok(prf, n))
		return IKE_ERR_NONCE;
	/*
	 * RFC 7296 2.18: the old SA's prf makes SKEYSEED, the new one's expands it. RFC 9370 2.2.4:
	 * SKEYSEED = prf(SK_d (old), SK(0) | Ni | Nr | SK(1) | ... | SK(n)).
	 */
	if (c->prf(c->ctx, old->id, secret_data(old_d), secret_size(old_d), in, 4, skeyseed))
		err = expand(c, suite, prf, skeyseed, old->size, n, spi_i, spi_r, out);
	bytes_wipe(skeyseed, sizeof(skeyseed));
	return err;
}

enum ike_err ike_keys_resumed(const struct ike_crypto *c, const struct ike_suite *suite,
			      const struct secret *old_d, const struct ike_nonces *n,
			      uint64_t spi_i, uint64_t spi_r, struct ike_sa_keys *out)
{
	static const char label[] = "Resumption"; /* RFC 5723 5.1: 10 octets, no NUL */
	const struct ike_prf_desc *prf = ike_prf_desc(suite->prf);
	const struct ike_iov in[] = {
		{label, sizeof(label) - 1}, {n->ni.p, n->ni.size}, {n->nr.p, n->nr.size}};
	uint8_t skeyseed[IKE_PRF_MAX];
	enum ike_err err = IKE_ERR_CRYPTO;

	*out = (struct ike_sa_keys){0};
	if (!prf)
		return IKE_ERR_NO_PROPOSAL;
	if (!nonces_ok(prf, n))
		return IKE_ERR_NONCE;
	if (c->prf(c->ctx, prf->id, secret_data(old_d), secret_size(old_d), in, 3, skeyseed))
		err = expand(c, suite, prf, skeyseed, prf->size, n, spi_i, spi_r, out);
	bytes_wipe(skeyseed, sizeof(skeyseed));
	return err;
}

enum ike_err ike_keys_child(const struct ike_crypto *c, enum ike_prf prf, const struct secret *d,
			    const struct ike_suite *esp, const struct ike_nonces *n,
			    const uint8_t *shared, size_t shared_size, struct ike_child_keys *out)
{
	/* RFC 7296 2.17, RFC 9370 2.2.4: prf+(SK_d, [g^ir |] Ni | Nr [| SK(1) | ... | SK(n)]). */
	const struct ike_iov seed[] = {{shared, shared_size},
				       {n->ni.p, n->ni.size},
				       {n->nr.p, n->nr.size},
				       {n->further.p, n->further.size}};
	const struct ike_prf_desc *desc = ike_prf_desc(prf);
	uint8_t keymat[MAX_KEYMAT];
	size_t encr_size, integ_size, size;
	enum ike_err err = IKE_ERR_CRYPTO;
	struct rd r;

	*out = (struct ike_child_keys){0};
	if (!desc || !key_sizes(esp, &encr_size, &integ_size))
		return IKE_ERR_NO_PROPOSAL;
	if (!nonces_ok(desc, n))
		return IKE_ERR_NONCE;
	size = 2 * (encr_size + integ_size);
	if (!ike_prf_plus(c, prf, secret_data(d), secret_size(d), seed, 4, keymat, size))
		goto out;
	r = rd_of(keymat, size);
	err = IKE_ERR_RESOURCES;
	/* Initiator to responder first, within a direction encryption first. */
	if (!take(&r, encr_size, &out->ei) || !take(&r, integ_size, &out->ai) ||
	    !take(&r, encr_size, &out->er) || !take(&r, integ_size, &out->ar))
		goto out;
	err = IKE_OK;
out:
	bytes_wipe(keymat, sizeof(keymat));
	if (err != IKE_OK)
		ike_child_keys_free(out);
	return err;
}
