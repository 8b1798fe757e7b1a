/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ke: key exchange methods, Diffie-Hellman groups and KEMs alike (RFC 9370 1.1, 2.1): the initiator
 * sends a value, the responder answers with one, and both have a secret. Which of a suite's
 * additional ones is next.
 */
#include "ike/ike_int.h"

uint16_t ike_ke_next(const struct ike_suite *s, unsigned *i)
{
	/* RFC 9370 2.2.1: in the order of their transform types; NONE is skipped. */
	while (*i < IKE_MAX_AKE && s->ake[*i] == IKE_DH_NONE)
		++*i;
	return *i < IKE_MAX_AKE ? s->ake[*i] : IKE_DH_NONE;
}

bool ike_ke_additional(const struct ike_suite *s)
{
	unsigned i = 0;

	return ike_ke_next(s, &i) != IKE_DH_NONE;
}

struct ike_dh_key *ike_ke_new(struct ike *ike, uint16_t method, uint8_t value[IKE_DH_MAX],
			      size_t *size)
{
	const struct ike_dh_desc *d = ike_dh_desc(method);

	*size = d ? d->public_size : 0;
	return d ? ike->crypto.dh_new(ike->crypto.ctx, d->id, value) : NULL;
}

struct secret *ike_ke_finish(struct ike *ike, struct ike_dh_key *key, uint16_t method,
			     const struct ike_ke_payload *theirs)
{
	const struct ike_crypto *c = &ike->crypto;
	const struct ike_dh_desc *d = ike_dh_desc(method);
	struct secret *secret = d ? secret_new(d->shared_size) : NULL;

	if (secret && key && theirs->dh == method &&
	    c->dh_shared(c->ctx, key, theirs->data.p, theirs->data.size, secret_data_mut(secret)))
		return secret;
	secret_free(secret);
	return NULL;
}

struct secret *ike_ke_answer(struct ike *ike, uint16_t method, const struct ike_ke_payload *theirs,
			     uint8_t value[IKE_DH_MAX], size_t *size)
{
	const struct ike_crypto *c = &ike->crypto;
	const struct ike_dh_desc *d = ike_dh_desc(method);
	struct secret *secret;
	struct ike_dh_key *key;

	if (!d || theirs->dh != method)
		return NULL;
	*size = d->response_size;
	if (!d->kem) {
		key = c->dh_new(c->ctx, d->id, value);
		secret = ike_ke_finish(ike, key, method, theirs);
		c->dh_free(c->ctx, key);
		return secret;
	}
	secret = secret_new(d->shared_size);
	if (secret && c->kem_encapsulate && theirs->data.size == d->public_size &&
	    c->kem_encapsulate(c->ctx, d->id, theirs->data.p, theirs->data.size, value,
			       secret_data_mut(secret)))
		return secret;
	secret_free(secret);
	return NULL;
}

/* a | b; both are gone, whatever comes back. */
struct secret *ike_ke_join(struct secret *a, struct secret *b)
{
	struct secret *both = b ? secret_new(secret_size(a) + secret_size(b)) : NULL;

	if (both) {
		if (a)
			memcpy(secret_data_mut(both), secret_data(a), secret_size(a));
		memcpy(secret_data_mut(both) + secret_size(a), secret_data(b), secret_size(b));
	}
	secret_free(a);
	secret_free(b);
	return both;
}
