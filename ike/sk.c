/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sk: the Encrypted payload, in both of its forms:
 *
 *	header | SK header | IV 16 | AES-CBC { payloads | padding | pad length } | ICV
 *	header | SK header | IV 8  | AEAD { payloads | pad length } | tag
 *
 * RFC 7296 3.14; RFC 5282 for AES-GCM, RFC 7634 2.1 for ChaCha20-Poly1305.
 *
 * The ICV covers everything before itself, lengths included; the AAD of an AEAD ends with the SK
 * payload's generic header (RFC 5282 5.1).
 */
#include "ike/sk.h"

#define SK_HEADER       4
#define SKF_HEADER      8 /* with fragment number and total */
#define NEXT_PAYLOAD_AT 16
#define LENGTH_AT       24
#define NONCE_SIZE      12

/* Sizes of one suite's SK payload, and the parts of SK_e. */
struct shape {
	const struct ike_encr_desc *encr;
	const struct ike_integ_desc *integ; /* NULL with AEAD */
	size_t icv_size;
	const uint8_t *key, *salt;
	size_t key_size;
};

static bool shape_of(const struct ike_suite *suite, struct ike_sk_dir k, struct shape *s)
{
	s->encr = ike_encr_desc(suite->encr);
	s->integ = ike_integ_desc(suite->integ);
	/* RFC 4543 has no use in IKE: GMAC would leave the payloads in clear. */
	if (!s->encr || s->encr->esp_only ||
	    !ike_encr_key_bits_ok(s->encr->id, suite->encr_key_bits) ||
	    secret_size(k.e) != ike_suite_encr_key_size(suite))
		return false;
	if (s->encr->aead ? s->integ != NULL : !s->integ || secret_size(k.a) != s->integ->key_size)
		return false;
	s->icv_size = s->encr->aead ? s->encr->icv_size : s->integ->icv_size;
	s->key = secret_data(k.e);
	s->key_size = ike_suite_key_bits(suite) / 8u;
	s->salt = s->key + s->key_size;
	return true;
}

/* RFC 4106 4, RFC 5282 4, RFC 7634 2: nonce = salt | IV. */
static void make_nonce(const struct shape *s, const uint8_t *iv, uint8_t nonce[NONCE_SIZE])
{
	memcpy(nonce, s->salt, s->encr->salt_size);
	memcpy(nonce + s->encr->salt_size, iv, s->encr->iv_size);
}

static bool icv_compute(const struct ike_crypto *c, const struct shape *s, struct ike_sk_dir k,
			const uint8_t *data, size_t size, uint8_t icv[IKE_ICV_MAX])
{
	const struct ike_iov in = {data, size};

	return c->integ(c->ctx, s->integ->id, secret_data(k.a), &in, 1, icv);
}

/* -------------------------------------------------------------------- seal */

static bool seal_aead(const struct ike_crypto *c, const struct shape *s, uint64_t *iv_counter,
		      uint8_t *message, size_t iv_at, size_t size)
{
	const size_t text_at = iv_at + s->encr->iv_size;
	uint8_t nonce[NONCE_SIZE];
	struct wr w = wr_of(message + iv_at, s->encr->iv_size);

	/* RFC 5282 3.1: unique for the key; a counter that stops rather than wraps. */
	if (*iv_counter == UINT64_MAX)
		return false;
	wr_u64(&w, (*iv_counter)++);
	make_nonce(s, message + iv_at, nonce);
	return c->aead_seal(c->ctx, s->encr->id, s->key, s->key_size, nonce, message, iv_at,
			    message + text_at, size - s->icv_size - text_at,
			    message + size - s->icv_size);
}

static bool seal_cbc(const struct ike_crypto *c, const struct shape *s, struct ike_sk_dir k,
		     uint8_t *message, size_t iv_at, size_t size)
{
	const size_t text_at = iv_at + s->encr->iv_size;
	uint8_t icv[IKE_ICV_MAX];

	/* RFC 7296 3.14: an IV that nobody can predict. */
	if (!c->random(c->ctx, message + iv_at, s->encr->iv_size) ||
	    !c->cbc_encrypt(c->ctx, s->key, s->key_size, message + iv_at, message + text_at,
			    size - s->icv_size - text_at) ||
	    !icv_compute(c, s, k, message, size - s->icv_size, icv))
		return false;
	memcpy(message + size - s->icv_size, icv, s->icv_size);
	return true;
}

/* Bytes after the IV and before the ICV: content, padding, pad length. */
static size_t text_size_of(const struct ike_encr_desc *encr, size_t inner_size)
{
	const size_t block = encr->block_size;

	return (inner_size + 1 + block - 1) / block * block;
}

static size_t overhead_of(const struct ike_suite *suite, bool fragment)
{
	const struct ike_encr_desc *encr = ike_encr_desc(suite->encr);
	const struct ike_integ_desc *integ = ike_integ_desc(suite->integ);

	if (!encr || (!encr->aead && !integ))
		return 0;
	return IKE_HEADER_SIZE + (fragment ? SKF_HEADER : SK_HEADER) + encr->iv_size +
	       (encr->aead ? encr->icv_size : integ->icv_size);
}

size_t ike_sk_room(const struct ike_suite *suite, bool fragment, size_t size)
{
	const size_t overhead = overhead_of(suite, fragment);
	size_t text;

	if (!overhead || size <= overhead)
		return 0;
	text = size - overhead;
	text -= text % ike_encr_desc(suite->encr)->block_size;
	return text ? text - 1 : 0;
}

size_t ike_sk_sealed_size(const struct ike_suite *suite, bool fragment, size_t inner_size)
{
	const size_t overhead = overhead_of(suite, fragment);

	return overhead ? overhead + text_size_of(ike_encr_desc(suite->encr), inner_size) : 0;
}

/* `part` NULL: SK, else SKF. */
static size_t seal(const struct ike_crypto *c, const struct ike_suite *suite, struct ike_sk_dir k,
		   uint64_t *iv_counter, const struct ike_header *h, uint8_t first_inner,
		   const struct ike_sk_part *part, const uint8_t *inner, size_t inner_size,
		   uint8_t *out, size_t out_size)
{
	struct wr w = wr_of(out, out_size);
	const size_t iv_at = IKE_HEADER_SIZE + (part ? SKF_HEADER : SK_HEADER);
	struct ike_header header = *h;
	struct shape s;
	size_t pad, size;
	bool ok;

	if (!shape_of(suite, k, &s) || inner_size > UINT16_MAX)
		return 0;
	pad = text_size_of(s.encr, inner_size) - inner_size - 1;
	size = iv_at + s.encr->iv_size + inner_size + pad + 1 + s.icv_size;
	if (size > UINT16_MAX)
		return 0;

	/* 1. Everything in the clear, with final lengths: they are authenticated. */
	header.next_payload = part ? IKE_PL_SKF : IKE_PL_SK;
	header.length = (uint32_t)size;
	ike_header_build(&w, &header);
	/* RFC 7383 2.5: only the first fragment names the first payload inside. */
	wr_u8(&w, part && part->number != 1 ? IKE_PL_NONE : first_inner);
	wr_u8(&w, 0);
	wr_u16(&w, (uint16_t)(size - IKE_HEADER_SIZE));
	if (part) {
		wr_u16(&w, part->number);
		wr_u16(&w, part->total);
	}
	wr_zero(&w, s.encr->iv_size);
	wr_bytes(&w, inner, inner_size);
	wr_zero(&w, pad);
	wr_u8(&w, (uint8_t)pad);
	wr_zero(&w, s.icv_size);
	if (!wr_ok(&w)) {
		bytes_wipe(out, w.n);
		return 0;
	}

	/* 2. Encrypt and authenticate in place. */
	ok = s.encr->aead ? seal_aead(c, &s, iv_counter, out, iv_at, size)
			  : seal_cbc(c, &s, k, out, iv_at, size);
	if (!ok) {
		bytes_wipe(out, size);
		return 0;
	}
	return size;
}

size_t ike_sk_seal(const struct ike_crypto *c, const struct ike_suite *suite, struct ike_sk_dir k,
		   uint64_t *iv_counter, const struct ike_header *h, uint8_t first_inner,
		   const uint8_t *inner, size_t inner_size, uint8_t *out, size_t out_size)
{
	return seal(c, suite, k, iv_counter, h, first_inner, NULL, inner, inner_size, out,
		    out_size);
}

size_t ike_sk_seal_part(const struct ike_crypto *c, const struct ike_suite *suite,
			struct ike_sk_dir k, uint64_t *iv_counter, const struct ike_header *h,
			uint8_t first_inner, struct ike_sk_part part, const uint8_t *inner,
			size_t inner_size, uint8_t *out, size_t out_size)
{
	return seal(c, suite, k, iv_counter, h, first_inner, &part, inner, inner_size, out,
		    out_size);
}

/* -------------------------------------------------------------------- open */

static enum ike_err open_aead(const struct ike_crypto *c, const struct shape *s,
			      const uint8_t *data, size_t size, size_t iv_at, uint8_t *plain,
			      size_t text_size)
{
	const size_t text_at = iv_at + s->encr->iv_size;
	uint8_t nonce[NONCE_SIZE];

	make_nonce(s, data + iv_at, nonce);
	memcpy(plain, data + text_at, text_size);
	return c->aead_open(c->ctx, s->encr->id, s->key, s->key_size, nonce, data, iv_at, plain,
			    text_size, data + size - s->icv_size)
		       ? IKE_OK
		       : IKE_ERR_ICV;
}

static enum ike_err open_cbc(const struct ike_crypto *c, const struct shape *s, struct ike_sk_dir k,
			     const uint8_t *data, size_t size, size_t iv_at, uint8_t *plain,
			     size_t text_size)
{
	const size_t text_at = iv_at + s->encr->iv_size;
	uint8_t icv[IKE_ICV_MAX];

	/* RFC 7296 3.14: the integrity check comes before anything else, alignment included. */
	if (!icv_compute(c, s, k, data, size - s->icv_size, icv))
		return IKE_ERR_CRYPTO;
	if (!bytes_equal_ct(icv, data + size - s->icv_size, s->icv_size))
		return IKE_ERR_ICV;
	if (text_size % s->encr->block_size != 0)
		return IKE_ERR_SYNTAX;
	memcpy(plain, data + text_at, text_size);
	return c->cbc_decrypt(c->ctx, s->key, s->key_size, data + iv_at, plain, text_size)
		       ? IKE_OK
		       : IKE_ERR_CRYPTO;
}

enum ike_err ike_sk_open(const struct ike_crypto *c, const struct ike_suite *suite,
			 struct ike_sk_dir k, const uint8_t *data, size_t size,
			 const struct ike_msg *msg, uint8_t *plain, size_t plain_size,
			 struct rd *inner)
{
	const size_t iv_at = msg->sk_offset + (msg->present & IKE_HAS_SKF ? SKF_HEADER : SK_HEADER);
	struct shape s;
	size_t overhead, text_size, pad;
	enum ike_err err;

	*inner = rd_of(NULL, 0);
	if (!(msg->present & (IKE_HAS_SK | IKE_HAS_SKF)))
		return IKE_ERR_MISSING;
	if (!shape_of(suite, k, &s))
		return IKE_ERR_CRYPTO;
	/* The smallest plaintext is a pad length. */
	overhead = iv_at + s.encr->iv_size + s.icv_size;
	if (size < overhead + 1)
		return IKE_ERR_TRUNCATED;
	text_size = size - overhead;
	if (plain_size < text_size)
		return IKE_ERR_RESOURCES;
	err = s.encr->aead ? open_aead(c, &s, data, size, iv_at, plain, text_size)
			   : open_cbc(c, &s, k, data, size, iv_at, plain, text_size);
	if (err == IKE_OK) {
		/* RFC 7296 3.14: the padding's bytes are the sender's choice; only its length
		 * counts. */
		pad = plain[text_size - 1];
		if (pad + 1 > text_size)
			err = IKE_ERR_PADDING;
		else
			*inner = rd_of(plain, text_size - 1 - pad);
	}
	if (err != IKE_OK)
		bytes_wipe(plain, text_size);
	return err;
}
