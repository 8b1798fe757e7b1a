/* SPDX-License-Identifier: Apache-2.0 */
/* builder: the frame around payloads on the way out: header, chain of types, lengths. */
#include "ike/payload.h"

#define NEXT_PAYLOAD_AT 16 /* offsets within the header */
#define LENGTH_AT       24
#define NO_FIELD        SIZE_MAX /* the first payload inside SK is named outside of it */

void ike_build_open(struct ike_builder *b, void *buf, size_t size, const struct ike_header *h)
{
	*b = (struct ike_builder){.w = wr_of(buf, size), .next_at = NEXT_PAYLOAD_AT};
	ike_header_build(&b->w, h);
	if (wr_ok(&b->w))
		b->w.buf[NEXT_PAYLOAD_AT] = IKE_PL_NONE;
}

void ike_build_open_inner(struct ike_builder *b, void *buf, size_t size)
{
	*b = (struct ike_builder){.w = wr_of(buf, size), .next_at = NO_FIELD};
}

size_t ike_build_close(struct ike_builder *b)
{
	if (!wr_ok(&b->w) || b->w.n > UINT16_MAX)
		return 0;
	wr_patch16(&b->w, LENGTH_AT, 0);
	wr_patch16(&b->w, LENGTH_AT + 2, b->w.n);
	return b->w.n;
}

bool ike_build_close_inner(struct ike_builder *b, size_t *size, uint8_t *first)
{
	*size = wr_ok(&b->w) ? b->w.n : 0;
	*first = wr_ok(&b->w) ? b->first : IKE_PL_NONE;
	return wr_ok(&b->w);
}

size_t ike_payload_open(struct ike_builder *b, uint8_t type)
{
	const size_t at = b->w.n;

	if (b->first == IKE_PL_NONE)
		b->first = type;
	wr_zero(&b->w, IKE_PAYLOAD_HEADER_SIZE);
	if (wr_ok(&b->w) && b->next_at != NO_FIELD)
		b->w.buf[b->next_at] = type;
	b->next_at = at;
	return at;
}

void ike_payload_close(struct ike_builder *b, size_t at)
{
	wr_close16(&b->w, at + 2, at);
}
