/* SPDX-License-Identifier: Apache-2.0 */
/* out: actions, and the memory of messages until the next step. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "base/array.h"
#include "base/sb.h"
#include "bgp/bgp_int.h"

struct bgp_action *bgp_action_add(struct bgp_out *out, enum bgp_action_type type,
				  const struct bgp_neighbor *n)
{
	struct bgp_action *a = array_add(&out->actions, &out->n, &out->size, sizeof(*a), 16);

	if (!a) {
		out->overflow = true;
		return NULL;
	}
	a->type = type;
	a->neighbor = n ? n->cfg.neighbor : UINT32_MAX;
	a->conn = BGP_CONN_NONE;
	return a;
}

void bgp_event_add(struct bgp_out *out, const struct bgp_neighbor *n, const char *name,
		   enum log_level level, const char *fmt, ...)
{
	struct bgp_action *a = bgp_action_add(out, BGP_ACT_EVENT, n);
	va_list args;
	struct sb s;

	if (!a)
		return;
	a->event.name = name;
	a->event.level = level;
	s = sb_of(a->event.text, sizeof(a->event.text));
	va_start(args, fmt);
	sb_vprintf(&s, fmt, args);
	va_end(args);
}

void bgp_out_reset(struct bgp_out *out)
{
	out->n = 0;
	out->overflow = false;
}

void bgp_out_fini(struct bgp_out *out)
{
	free(out->actions);
	memset(out, 0, sizeof(*out));
}

struct wr bgp_message_begin(struct bgp *b, size_t size, uint8_t type)
{
	struct bgp_block *block = b->blocks;
	struct wr w;

	if (!block || sizeof(block->bytes) - block->n < size) {
		block = malloc(sizeof(*block));
		if (!block)
			return (struct wr){.overflow = true};
		block->n = 0;
		block->next = b->blocks;
		b->blocks = block;
	}
	w = wr_of(block->bytes + block->n, size);
	memset(wr_reserve(&w, BGP_MARKER_SIZE), 0xff, BGP_MARKER_SIZE);
	wr_u16(&w, 0);
	wr_u8(&w, type);
	return w;
}

void bgp_message_send(struct bgp_conn *c, struct wr *w, struct bgp_out *out)
{
	struct bgp_neighbor *n = c->neighbor;
	struct bgp_action *a;

	wr_patch16(w, BGP_MARKER_SIZE, w->n);
	if (!wr_ok(w)) {
		out->overflow = true;
		return;
	}
	a = bgp_action_add(out, BGP_ACT_SEND, n);
	if (!a)
		return;
	a->conn = c->number;
	a->send.bytes = w->buf;
	a->send.size = w->n;
	n->bgp->blocks->n += w->n;
	/* RFC 9687 3: counted from when there began to be something unsent. */
	if (c->unsent == 0)
		c->send_hold_at = mono_add(n->bgp->now, bgp_send_hold(c));
	c->unsent += w->n;
	n->messages_out++;
	/* RFC 4271 4.4: whatever is sent serves as a keepalive, too. */
	if (c->keepalive.ns)
		c->keepalive_at = mono_add(n->bgp->now, bgp_jitter(n->bgp, c->keepalive));
}
