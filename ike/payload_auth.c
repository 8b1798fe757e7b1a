/* SPDX-License-Identifier: Apache-2.0 */
/* payload_auth: Authentication (RFC 7296 3.8). */
#include "ike/payload.h"

enum ike_err ike_auth_parse(uint8_t type, struct rd body, struct ike_msg *msg)
{
	(void)type;
	if (!rd_u8(&body, &msg->auth.method) || !rd_skip(&body, 3))
		return IKE_ERR_TRUNCATED;
	msg->auth.data = body;
	return IKE_OK;
}

void ike_build_auth(struct ike_builder *b, uint8_t method, const uint8_t *data, size_t size)
{
	const size_t at = ike_payload_open(b, IKE_PL_AUTH);

	wr_u8(&b->w, method);
	wr_zero(&b->w, 3);
	wr_bytes(&b->w, data, size);
	ike_payload_close(b, at);
}
