/* SPDX-License-Identifier: Apache-2.0 */
/*
 * payload_certreq: Certificate Request (RFC 7296 3.7): the SHA-1 hashes of the public keys of trust
 * anchors. One payload an encoding; a peer may send several, whose hashes are read as one list.
 */
#include "ike/payload.h"

enum ike_err ike_certreq_parse(uint8_t type, struct rd body, struct ike_msg *msg)
{
	uint8_t encoding;

	(void)type;
	if (!rd_u8(&body, &encoding))
		return IKE_ERR_TRUNCATED;
	if (encoding == IKE_CERT_RAW_PUBLIC_KEY) {
		msg->wants_raw_key = true; /* RFC 7670 3: whatever stands behind it is ignored */
		return IKE_OK;
	}
	if (encoding != IKE_CERT_X509_SIGNATURE)
		return IKE_OK; /* a kind that we have none of */
	/* RFC 7296 3.7: SHA-1 hashes of 20 octets, one after the other. */
	if (body.size % IKE_CA_SIZE)
		return IKE_ERR_SYNTAX;
	/* A list without end helps nobody to choose: what is beyond the bound is left out. */
	if (msg->n_certreqs < IKE_MSG_MAX_CERTREQS)
		msg->certreqs[msg->n_certreqs++] = body;
	return IKE_OK;
}

size_t ike_msg_cas(const struct ike_msg *m, uint8_t out[IKE_MAX_CAS * IKE_CA_SIZE])
{
	size_t n = 0;

	for (size_t i = 0; i < m->n_certreqs; i++) {
		struct rd r = m->certreqs[i];

		while (n < IKE_MAX_CAS && rd_copy(&r, out + n * IKE_CA_SIZE, IKE_CA_SIZE))
			n++;
	}
	return n;
}

void ike_build_certreq(struct ike_builder *b, uint8_t encoding, const uint8_t *cas, size_t n_cas)
{
	const size_t at = ike_payload_open(b, IKE_PL_CERTREQ);

	wr_u8(&b->w, encoding);
	wr_bytes(&b->w, cas, n_cas * IKE_CA_SIZE);
	ike_payload_close(b, at);
}
