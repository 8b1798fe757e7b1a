/* SPDX-License-Identifier: Apache-2.0 */
/* auth: the octets that AUTH covers, and the shared-key MIC over them (RFC 7296 2.15). */
#include "base/wr.h"
#include "ike/keys.h"

size_t ike_auth_octets(const struct ike_crypto *c, enum ike_prf prf, struct rd message,
		       struct rd other_nonce, const struct secret *sk_p, struct rd id_body,
		       struct rd int_auth, uint8_t *out, size_t size)
{
	const struct ike_prf_desc *d = ike_prf_desc(prf);
	const struct ike_iov in = {id_body.p, id_body.size};
	struct wr w = wr_of(out, size);
	uint8_t *mac;

	if (!d)
		return 0;
	/* RealMessage | Nonce of the other side | prf(SK_p, RestOfIDPayload). */
	wr_bytes(&w, message.p, message.size);
	wr_bytes(&w, other_nonce.p, other_nonce.size);
	mac = wr_reserve(&w, d->size);
	if (!mac || !c->prf(c->ctx, prf, secret_data(sk_p), secret_size(sk_p), &in, 1, mac))
		return 0;
	/* RFC 9242 3.3.2: ... | IntAuth. */
	wr_bytes(&w, int_auth.p, int_auth.size);
	return wr_ok(&w) ? w.n : 0;
}

bool ike_auth_psk(const struct ike_crypto *c, enum ike_prf prf, const uint8_t *psk, size_t psk_size,
		  const uint8_t *octets, size_t octets_size, uint8_t *out)
{
	static const char pad[] = "Key Pad for IKEv2"; /* 17 octets, without the NUL */
	const struct ike_iov pad_in = {pad, sizeof(pad) - 1}, in = {octets, octets_size};
	const struct ike_prf_desc *d = ike_prf_desc(prf);
	uint8_t key[IKE_PRF_MAX];
	bool ok;

	if (!d)
		return false;
	ok = c->prf(c->ctx, prf, psk, psk_size, &pad_in, 1, key) &&
	     c->prf(c->ctx, prf, key, d->size, &in, 1, out);
	bytes_wipe(key, sizeof(key));
	return ok;
}
