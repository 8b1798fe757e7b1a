/* SPDX-License-Identifier: Apache-2.0 */
/* liar: the chain of payloads opened, edited and sealed again. */
#include <stdlib.h>
#include <string.h>
#include "tests/sim/liar.h"

#define MESSAGE_MAX (LIAR_PAYLOADS * (LIAR_BODY + 4))

/* Far beyond where the node that is spoken for counts. */
static uint64_t iv_counter = 1ull << 63;

struct liar_payload *liar_find(struct liar_inner *in, uint8_t type)
{
	for (size_t i = 0; i < in->n; i++) {
		if (in->p[i].type == type)
			return &in->p[i];
	}
	return NULL;
}

const struct liar_payload *liar_notify(const struct liar_inner *in, uint16_t type)
{
	for (size_t i = 0; i < in->n; i++) {
		const struct liar_payload *p = &in->p[i];

		if (p->type == IKE_PL_NOTIFY && p->body[2] == type >> 8 &&
		    p->body[3] == (uint8_t)type)
			return p;
	}
	return NULL;
}

void liar_drop(struct liar_inner *in, uint8_t type)
{
	size_t n = 0;

	for (size_t i = 0; i < in->n; i++) {
		if (in->p[i].type != type)
			in->p[n++] = in->p[i];
	}
	in->n = n;
}

void liar_add(struct liar_inner *in, uint8_t type, uint8_t flags, const void *body, size_t size)
{
	struct liar_payload *p = &in->p[in->n];

	if (in->n == LIAR_PAYLOADS || size > LIAR_BODY)
		abort();
	in->n++;
	p->type = type;
	p->flags = flags;
	p->size = size;
	if (size)
		memcpy(p->body, body, size);
}

static void chain_parse(uint8_t type, struct rd r, struct liar_inner *out)
{
	out->n = 0;
	while (type != IKE_PL_NONE) {
		uint8_t next, flags;
		uint16_t size;
		const uint8_t *body;

		if (!rd_u8(&r, &next) || !rd_u8(&r, &flags) || !rd_u16(&r, &size) || size < 4 ||
		    !rd_bytes(&r, size - 4u, &body))
			abort(); /* what a node sends is well-formed */
		liar_add(out, type, flags, body, size - 4u);
		type = next;
	}
}

static size_t chain_build(const struct liar_inner *in, uint8_t *buf, size_t size)
{
	struct wr w = wr_of(buf, size);

	for (size_t i = 0; i < in->n; i++) {
		wr_u8(&w, i + 1 < in->n ? in->p[i + 1].type : IKE_PL_NONE);
		wr_u8(&w, in->p[i].flags);
		wr_u16(&w, (uint16_t)(in->p[i].size + 4));
		wr_bytes(&w, in->p[i].body, in->p[i].size);
	}
	if (!wr_ok(&w))
		abort();
	return w.n;
}

/* The SA that a datagram is for, at the node that gets it. */
static struct ike_sa *sa_at(struct world *w, int node, const struct ike_header *h)
{
	return !w->node[node].ike
		       ? NULL
		       : ike_sa_find(w->node[node].ike,
				     h->flags & IKE_FLAG_INITIATOR ? h->spi_r : h->spi_i);
}

static bool open_inner(struct ike_sa *sa, const uint8_t *data, size_t size, struct liar_inner *out)
{
	uint8_t plain[IKE_MESSAGE_MAX];
	struct ike_msg m;
	struct rd inner;

	if (ike_msg_parse(data, size, &m) != IKE_OK)
		return false;
	if (m.h.exchange == IKE_SA_INIT) {
		chain_parse(m.h.next_payload, rd_of(data + 28, size - 28), out);
		return true;
	}
	if (!sa || !sa->keys.ei ||
	    ike_sk_open(&sa->ike->crypto, &sa->suite, ike_sa_rx_keys(sa), data, size, &m, plain,
			sizeof(plain), &inner) != IKE_OK)
		return false;
	chain_parse(m.sk_next_payload, inner, out);
	return true;
}

void liar_speak(struct world *w, struct liar *l, int from, struct ike_sa *to,
		const struct ike_header *h, const struct liar_inner *in)
{
	uint8_t inner[MESSAGE_MAX], msg[MESSAGE_MAX + 100];
	const uint8_t first = in->n ? in->p[0].type : IKE_PL_NONE;
	size_t size = chain_build(in, inner, sizeof(inner));
	struct ike_action a = {.type = IKE_ACT_SEND};

	if (h->exchange == IKE_SA_INIT) {
		struct ike_header clear = *h;
		struct wr w_msg = wr_of(msg, sizeof(msg));

		clear.next_payload = first;
		clear.length = (uint32_t)(28 + size);
		ike_header_build(&w_msg, &clear);
		wr_bytes(&w_msg, inner, size);
		size = w_msg.n;
	} else {
		size = ike_sk_seal(&to->ike->crypto, &to->suite, ike_sa_rx_keys(to), &iv_counter, h,
				   first, inner, size, msg, sizeof(msg));
	}
	if (!size)
		abort();
	a.send.local = (struct ip_endpoint){w->node[from].addr, IKE_PORT};
	a.send.remote = (struct ip_endpoint){w->node[1 - from].addr, IKE_PORT};
	a.send.data = msg;
	a.send.size = size;
	l->speaking = true;
	net_send_ike(w, from, &a);
	l->speaking = false;
}

static bool listen(struct world *w, int from, const uint8_t *data, size_t size)
{
	struct liar *l = w->filter_ctx;
	struct liar_inner in = {0};
	struct ike_header h;
	struct ike_sa *to;
	bool response;

	if (l->speaking || ike_header_parse(data, size, &h) != IKE_OK ||
	    (l->exchange && h.exchange != l->exchange))
		return false;
	response = h.flags & IKE_FLAG_RESPONSE;
	to = sa_at(w, 1 - from, &h);
	if (l->from >= 0 && from != l->from && response && l->told && !l->response &&
	    !l->answered) {
		l->answered = open_inner(to, data, size, &l->answer);
		return l->asked; /* to nobody else's question */
	}
	if ((l->from >= 0 && (from != l->from || response != l->response)) || !l->times ||
	    !open_inner(to, data, size, &in))
		return false;
	l->times--;
	l->told++;
	l->edit(&in, l->arg);
	liar_speak(w, l, from, to, &h, &in);
	return true;
}

void liar_install(struct world *w, struct liar *l)
{
	w->filter = listen;
	w->filter_ctx = l;
	w->lies = true;
}

static bool has_answer(struct world *w)
{
	return ((struct liar *)w->filter_ctx)->answered;
}

bool liar_ask(struct world *w, struct liar *l, int from, uint8_t exchange,
	      const struct ike_builder *inner)
{
	struct ike_sa *sa = ike_tunnel_sa(ike_tunnel_find(w->node[from].ike, 0));
	struct ike_header h;
	struct liar_inner in = {0};

	if (!sa || sa->req.data)
		return false;
	h = (struct ike_header){
		.spi_i = sa->spi_i,
		.spi_r = sa->spi_r,
		.version = IKE_VERSION_2,
		.exchange = exchange,
		.flags = sa->initiator ? IKE_FLAG_INITIATOR : 0,
		.message_id = sa->tx_mid++,
	};
	*l = (struct liar){.from = from, .exchange = exchange, .told = 1, .asked = true};
	liar_install(w, l);
	chain_parse(inner->first, rd_of(inner->w.buf, inner->w.n), &in);
	liar_speak(w, l, from, sa_at(w, 1 - from, &h), &h, &in);
	return world_until(w, has_answer, span_s(5));
}
