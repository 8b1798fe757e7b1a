/* SPDX-License-Identifier: Apache-2.0 */
/* payload_vendor: Vendor ID (RFC 7296 3.12). Nothing that a peer claims to be changes what we do.
 */
#include "ike/payload.h"

void ike_build_vendor(struct ike_builder *b, const void *data, size_t size)
{
	const size_t at = ike_payload_open(b, IKE_PL_VENDOR);

	wr_bytes(&b->w, data, size);
	ike_payload_close(b, at);
}
