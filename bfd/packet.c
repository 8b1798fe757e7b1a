/* SPDX-License-Identifier: Apache-2.0 */
/* packet: the BFD Control packet (RFC 5880 4.1) and the checks that need no session (6.8.6). */
#include "base/rd.h"
#include "bfd/bfd_int.h"

#define VERSION        1
#define SIZE_WITH_AUTH 26

enum bfd_drop bfd_packet_parse(const uint8_t *data, size_t size, struct bfd_packet *out)
{
	struct rd r = rd_of(data, size);
	uint8_t version_diag, state_flags, length;

	if (!rd_u8(&r, &version_diag) || !rd_u8(&r, &state_flags) || !rd_u8(&r, &out->multiplier) ||
	    !rd_u8(&r, &length) || !rd_u32(&r, &out->my_discriminator) ||
	    !rd_u32(&r, &out->your_discriminator) || !rd_u32(&r, &out->desired_min_tx) ||
	    !rd_u32(&r, &out->required_min_rx) || !rd_u32(&r, &out->required_min_echo_rx))
		return BFD_DROP_SHORT;
	out->diagnostic = version_diag & 0x1f;
	out->state = state_flags >> 6;
	out->flags = state_flags & 0x3f;
	if (version_diag >> 5 != VERSION)
		return BFD_DROP_VERSION;
	if (length < (out->flags & BFD_FLAG_AUTH ? SIZE_WITH_AUTH : BFD_PACKET_SIZE) ||
	    length > size)
		return BFD_DROP_LENGTH;
	if (out->multiplier == 0)
		return BFD_DROP_MULTIPLIER;
	if (out->flags & BFD_FLAG_MULTIPOINT)
		return BFD_DROP_MULTIPOINT;
	if (out->my_discriminator == 0)
		return BFD_DROP_MY_DISCRIMINATOR;
	/* "If the Your Discriminator field is zero and the State field is not Down or AdminDown". */
	if (out->your_discriminator == 0 && out->state != BFD_DOWN && out->state != BFD_ADMIN_DOWN)
		return BFD_DROP_STATE;
	/* "If the A bit is set and no authentication is in use": it never is. */
	if (out->flags & BFD_FLAG_AUTH)
		return BFD_DROP_AUTH;
	return BFD_DROP_END;
}

static void put32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

void bfd_packet_build(const struct bfd_packet *p, uint8_t out[BFD_PACKET_SIZE])
{
	out[0] = (uint8_t)(VERSION << 5 | p->diagnostic);
	out[1] = (uint8_t)(p->state << 6 | p->flags);
	out[2] = p->multiplier;
	out[3] = BFD_PACKET_SIZE;
	put32(out + 4, p->my_discriminator);
	put32(out + 8, p->your_discriminator);
	put32(out + 12, p->desired_min_tx);
	put32(out + 16, p->required_min_rx);
	put32(out + 20, p->required_min_echo_rx);
}
