/* SPDX-License-Identifier: Apache-2.0 */
/* payload_nonce: Nonce (RFC 7296 3.9). */
#include "ike/payload.h"

enum ike_err ike_nonce_parse(uint8_t type, struct rd body, struct ike_msg *msg)
{
	(void)type;
	/* RFC 7296 3.9: between 16 and 256 octets. Half the prf's key (2.10) is checked with the
	 * keys. */
	if (body.size < IKE_NONCE_MIN || body.size > IKE_NONCE_MAX)
		return IKE_ERR_NONCE;
	msg->nonce = body;
	return IKE_OK;
}

void ike_build_nonce(struct ike_builder *b, const uint8_t *nonce, size_t size)
{
	const size_t at = ike_payload_open(b, IKE_PL_NONCE);

	wr_bytes(&b->w, nonce, size);
	ike_payload_close(b, at);
}
