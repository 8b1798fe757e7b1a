/* SPDX-License-Identifier: Apache-2.0 */
/* payload_notify: Notify (RFC 7296 3.10). */
#include "ike/payload.h"

enum ike_err ike_notify_parse(uint8_t type, struct rd body, struct ike_msg *msg)
{
	struct ike_notify_payload n;

	(void)type;
	if (msg->n_notifies == IKE_MSG_MAX_NOTIFIES)
		return IKE_ERR_SYNTAX;
	if (!rd_u8(&body, &n.protocol) || !rd_u8(&body, &n.spi_size) || !rd_u16(&body, &n.type) ||
	    !rd_bytes(&body, n.spi_size, &n.spi))
		return IKE_ERR_TRUNCATED;
	/* RFC 7296 3.10: no SPI, one of AH or ESP, or (from some peers) that of the IKE SA. */
	if (n.spi_size != 0 && n.spi_size != IKE_ESP_SPI_SIZE && n.spi_size != IKE_SPI_SIZE)
		return IKE_ERR_SYNTAX;
	if (n.spi_size == IKE_SPI_SIZE &&
	    (n.protocol == IKE_PROTO_ESP || n.protocol == IKE_PROTO_AH))
		return IKE_ERR_SYNTAX;
	n.data = body;
	msg->notifies[msg->n_notifies++] = n;
	return IKE_OK;
}

void ike_build_notify(struct ike_builder *b, uint8_t protocol, const uint8_t *spi, size_t spi_size,
		      uint16_t type, const void *data, size_t size)
{
	const size_t at = ike_payload_open(b, IKE_PL_NOTIFY);

	if (spi_size > UINT8_MAX)
		b->w.overflow = true;
	wr_u8(&b->w, protocol);
	wr_u8(&b->w, (uint8_t)spi_size);
	wr_u16(&b->w, type);
	wr_bytes(&b->w, spi, spi_size);
	wr_bytes(&b->w, data, size);
	ike_payload_close(b, at);
}
