/* SPDX-License-Identifier: Apache-2.0 */
/* payload_ke: Key Exchange (RFC 7296 3.4). Whether the value suits its group is dh_shared()'s to
 * say. */
#include "ike/payload.h"

enum ike_err ike_ke_parse(uint8_t type, struct rd body, struct ike_msg *msg)
{
	(void)type;
	if (!rd_u16(&body, &msg->ke.dh) || !rd_skip(&body, 2))
		return IKE_ERR_TRUNCATED;
	msg->ke.data = body;
	return IKE_OK;
}

void ike_build_ke(struct ike_builder *b, uint16_t dh, const uint8_t *data, size_t size)
{
	const size_t at = ike_payload_open(b, IKE_PL_KE);

	wr_u16(&b->w, dh);
	wr_u16(&b->w, 0);
	wr_bytes(&b->w, data, size);
	ike_payload_close(b, at);
}
