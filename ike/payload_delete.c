/* SPDX-License-Identifier: Apache-2.0 */
/* payload_delete: Delete (RFC 7296 3.11). */
#include "ike/payload.h"

enum ike_err ike_delete_parse(uint8_t type, struct rd body, struct ike_msg *msg)
{
	struct ike_delete_payload d;

	(void)type;
	if (msg->n_deletes == IKE_MSG_MAX_DELETES)
		return IKE_ERR_SYNTAX;
	if (!rd_u8(&body, &d.protocol) || !rd_u8(&body, &d.spi_size) || !rd_u16(&body, &d.n_spis) ||
	    !rd_bytes(&body, (size_t)d.spi_size * d.n_spis, &d.spis))
		return IKE_ERR_TRUNCATED;
	if (!rd_empty(&body))
		return IKE_ERR_SYNTAX;
	/* RFC 7296 3.11: size 0 for IKE, whose SPIs stand in the header; 4 for AH and ESP. */
	if (d.protocol == IKE_PROTO_IKE && d.spi_size != 0)
		return IKE_ERR_SYNTAX;
	if ((d.protocol == IKE_PROTO_AH || d.protocol == IKE_PROTO_ESP) &&
	    d.spi_size != IKE_ESP_SPI_SIZE)
		return IKE_ERR_SYNTAX;
	msg->deletes[msg->n_deletes++] = d;
	return IKE_OK;
}

void ike_build_delete(struct ike_builder *b, uint8_t protocol, size_t spi_size, const uint8_t *spis,
		      size_t n_spis)
{
	const size_t at = ike_payload_open(b, IKE_PL_DELETE);

	if (spi_size > UINT8_MAX || n_spis > UINT16_MAX)
		b->w.overflow = true;
	wr_u8(&b->w, protocol);
	wr_u8(&b->w, (uint8_t)spi_size);
	wr_u16(&b->w, (uint16_t)n_spis);
	wr_bytes(&b->w, spis, spi_size * n_spis);
	ike_payload_close(b, at);
}
