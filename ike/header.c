/* SPDX-License-Identifier: Apache-2.0 */
/* header: the fixed IKE header (RFC 7296 3.1). */
#include "ike/msg.h"

#define MAJOR 2

enum ike_err ike_header_parse(const uint8_t *data, size_t size, struct ike_header *out)
{
	struct rd r = rd_of(data, size);

	*out = (struct ike_header){0};
	if (!rd_u64(&r, &out->spi_i) || !rd_u64(&r, &out->spi_r) ||
	    !rd_u8(&r, &out->next_payload) || !rd_u8(&r, &out->version) ||
	    !rd_u8(&r, &out->exchange) || !rd_u8(&r, &out->flags) ||
	    !rd_u32(&r, &out->message_id) || !rd_u32(&r, &out->length)) {
		*out = (struct ike_header){0};
		return IKE_ERR_TRUNCATED;
	}

	/* RFC 7296 2.5: only the major version decides; a higher minor version is accepted. */
	if (out->version >> 4 < MAJOR)
		return IKE_ERR_IKEV1;
	if (out->version >> 4 > MAJOR)
		return IKE_ERR_VERSION;
	/* One datagram is one message: neither shorter nor longer than it says. */
	if (out->length != size)
		return IKE_ERR_LENGTH;
	switch (out->exchange) {
	case IKE_SA_INIT:
	case IKE_SESSION_RESUME:
	case IKE_AUTH:
	case IKE_CREATE_CHILD_SA:
	case IKE_INFORMATIONAL:
	case IKE_INTERMEDIATE:
	case IKE_FOLLOWUP_KE: return IKE_OK;
	default: return IKE_ERR_EXCHANGE;
	}
}

void ike_header_build(struct wr *w, const struct ike_header *h)
{
	wr_u64(w, h->spi_i);
	wr_u64(w, h->spi_r);
	wr_u8(w, h->next_payload);
	wr_u8(w, h->version);
	wr_u8(w, h->exchange);
	wr_u8(w, h->flags);
	wr_u32(w, h->message_id);
	wr_u32(w, h->length);
}
