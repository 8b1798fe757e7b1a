/* SPDX-License-Identifier: Apache-2.0 */
/* payload_id: Identification, initiator's and responder's (RFC 7296 3.5). */
#include "ike/payload.h"

enum ike_err ike_id_parse(uint8_t type, struct rd body, struct ike_msg *msg)
{
	struct ike_id_payload *id = type == IKE_PL_IDI ? &msg->idi : &msg->idr;

	id->body = body;
	if (!rd_u8(&body, &id->type) || !rd_skip(&body, 3))
		return IKE_ERR_TRUNCATED;
	/* RFC 7296 3.5: an address is four or sixteen octets, nothing else. */
	if ((id->type == IKE_ID_IPV4_ADDR && body.size != 4) ||
	    (id->type == IKE_ID_IPV6_ADDR && body.size != 16))
		return IKE_ERR_SYNTAX;
	id->data = body;
	return IKE_OK;
}

void ike_build_id(struct ike_builder *b, uint8_t payload_type, const struct ike_id *id)
{
	const size_t at = ike_payload_open(b, payload_type);

	wr_u8(&b->w, id->type);
	wr_zero(&b->w, 3);
	wr_bytes(&b->w, id->data, id->size);
	ike_payload_close(b, at);
}
