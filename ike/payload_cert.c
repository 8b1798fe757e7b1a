/* SPDX-License-Identifier: Apache-2.0 */
/*
 * payload_cert: Certificate (RFC 7296 3.6): one encoding and its data a payload. The order stays as
 * it came, for the first X.509 certificate is the one whose key made AUTH. "Hash and URL" is read
 * like any other and never followed.
 */
#include "ike/payload.h"

enum ike_err ike_cert_parse(uint8_t type, struct rd body, struct ike_msg *msg)
{
	struct ike_cert c;

	(void)type;
	if (msg->n_certs == IKE_MAX_CERTS)
		return IKE_ERR_SYNTAX;
	if (!rd_u8(&body, &c.encoding))
		return IKE_ERR_TRUNCATED;
	c.data = body.p;
	c.size = body.size;
	msg->certs[msg->n_certs++] = c;
	return IKE_OK;
}

void ike_build_cert(struct ike_builder *b, const struct ike_cert *cert)
{
	const size_t at = ike_payload_open(b, IKE_PL_CERT);

	wr_u8(&b->w, cert->encoding);
	wr_bytes(&b->w, cert->data, cert->size);
	ike_payload_close(b, at);
}
