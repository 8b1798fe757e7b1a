/* SPDX-License-Identifier: Apache-2.0 */
/* payload_ps: Puzzle Solution (RFC 8019 8.2). */
#include "ike/payload.h"

enum ike_err ike_ps_parse(uint8_t type, struct rd body, struct ike_msg *msg)
{
	(void)type;
	msg->ps = body;
	return IKE_OK;
}

void ike_build_ps(struct ike_builder *b, const uint8_t *keys, size_t size)
{
	const size_t at = ike_payload_open(b, IKE_PL_PS);

	wr_bytes(&b->w, keys, size);
	ike_payload_close(b, at);
}
