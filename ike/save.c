/* SPDX-License-Identifier: Apache-2.0 */
/*
 * save: records on their way to whoever keeps them.
 *
 * At the end of each step, every IKE SA of the tunnels that the step has touched is written down, and
 * where that differs from what was given out last, an IKE_ACT_SAVE goes out ahead of the step's other
 * actions. So nobody has to remember which change matters: what is in the record matters. A record
 * that finds no room takes the step's messages with it: to the peer, they were lost on the way.
 */
#include "ike/record.h"

uint64_t ike_mix(uint64_t seed, const void *data, size_t size)
{
	const uint8_t *p = data;
	uint64_t h = seed ^ size * 0x9e3779b97f4a7c15ull;

	for (; size; p += 8, size -= size < 8 ? size : 8) {
		uint64_t word = 0;

		memcpy(&word, p, size < 8 ? size : 8);
		h = (h ^ word) * 0xbf58476d1ce4e5b9ull;
		h ^= h >> 29;
	}
	return h;
}

/* Handshakes start anew; so does a tunnel that the configuration no longer has. */
static bool worth_saving(const struct ike_sa *sa)
{
	return (sa->state == IKE_ST_ESTABLISHED || sa->state == IKE_ST_REPLACED ||
		sa->state == IKE_ST_DELETING) &&
	       sa->tunnel && !sa->tunnel->removed;
}

/* ------------------------------------------------------------------- writing */

static size_t open_section(struct wr *w, enum ike_section type)
{
	wr_u16(w, (uint16_t)type);
	wr_u32(w, 0);
	return w->n;
}

static void close_section(struct wr *w, size_t from)
{
	const size_t size = w->n - from;

	if (!wr_ok(w))
		return;
	wr_patch16(w, from - 4, size >> 16);
	wr_patch16(w, from - 2, size & 0xffff);
}

static uint64_t spi_of(const struct ike_sa *sa)
{
	return sa ? ike_sa_our_spi(sa) : 0;
}

static uint32_t slot_of(const struct ike_child *c)
{
	return c ? c->slot : IKE_NO_SLOT;
}

static void put_child(struct ike_codec *c, struct ike_child *child)
{
	const size_t at = open_section(&c->w, IKE_SECTION_CHILD);
	struct ike_child_record x = {
		.current = child->tunnel->current == child,
		.replaces = slot_of(child->replaces),
		.rekeyed_by_us = slot_of(child->rekeyed_by_us),
		.rekeyed_by_peer = slot_of(child->rekeyed_by_peer),
	};

	codec_child(c, child, &x);
	close_section(&c->w, at);
}

static void put_sections(struct ike_codec *c, struct ike_sa *sa)
{
	const struct ike_tunnel *t = sa->tunnel;
	struct ike_sa_record x = {
		.number = t->cfg.tunnel,
		.cfg = ike_cfg_digest(&t->cfg),
		.rekeyed_by_us = spi_of(sa->rekeyed_by_us),
		.rekeyed_by_peer = spi_of(sa->rekeyed_by_peer),
		.peer_id = t->peer_id,
	};
	struct ike_request_record y = {
		.child = slot_of(sa->req.child),
		.offer = sa->req.offer != NULL,
	};
	struct ike_child *child;
	size_t at;

	memcpy(x.tunnel, t->cfg.name, sizeof(x.tunnel));
	at = open_section(&c->w, IKE_SECTION_SA);
	codec_sa(c, sa, &x);
	close_section(&c->w, at);
	at = open_section(&c->w, IKE_SECTION_KEYS);
	codec_keys(c, &sa->keys);
	close_section(&c->w, at);
	if (sa->req.data) {
		at = open_section(&c->w, IKE_SECTION_REQUEST);
		codec_request(c, sa->ike, &sa->req, &y);
		close_section(&c->w, at);
	}
	if (sa->response) {
		at = open_section(&c->w, IKE_SECTION_RESPONSE);
		codec_response(c, sa);
		close_section(&c->w, at);
	}
	if (sa->session && sa->session->d) {
		at = open_section(&c->w, IKE_SECTION_SESSION);
		codec_session(c, sa->session);
		close_section(&c->w, at);
	}
	TAILQ_FOREACH(child, &t->children, entry)
	{
		if (child->sa == sa && child->state != IKE_CH_NEW)
			put_child(c, child);
	}
}

/* Bytes written, or 0. Writing changes nothing of the SA; the functions of record.c also read. */
static size_t write_record(struct ike_sa *sa, struct mono now, uint8_t *out, size_t size)
{
	struct ike_codec c = {
		.saving = true,
		.w = wr_of(out, size < IKE_RECORD_MAX ? size : IKE_RECORD_MAX),
	};

	wr_u32(&c.w, IKE_RECORD_MAGIC);
	wr_u16(&c.w, IKE_RECORD_VERSION);
	wr_u64(&c.w, now.ns);
	wr_u64(&c.w, ike_sa_our_spi(sa));
	put_sections(&c, sa);
	if (wr_ok(&c.w) && !c.failed)
		return c.w.n;
	bytes_wipe(out, c.w.n);
	return 0;
}

size_t ike_save(struct ike *ike, uint64_t spi, struct mono now, uint8_t *out, size_t size)
{
	struct ike_sa *sa = ike_sa_find(ike, spi);

	return sa && worth_saving(sa) ? write_record(sa, now, out, size) : 0;
}

/* -------------------------------------------------------------------- a step */

void ike_touch(struct ike_tunnel *t)
{
	struct ike *ike;

	if (!t || t->touched)
		return;
	ike = t->ike;
	t->touched = true;
	t->next_touched = ike->touched;
	ike->touched = t;
	ike->n_saves += t->n_sas + 1;
}

void ike_untouch(struct ike_tunnel *t)
{
	struct ike_tunnel **p = &t->ike->touched;

	if (!t->touched)
		return;
	while (*p != t)
		p = &(*p)->next_touched;
	*p = t->next_touched;
	t->touched = false;
}

static uint32_t number_of(const struct ike_sa *sa)
{
	return sa->tunnel && !sa->tunnel->removed ? sa->tunnel->cfg.tunnel : IKE_TUNNEL_NONE;
}

static bool forget(struct ike_sa *sa)
{
	struct ike_action *a;

	if (!sa->saved)
		return true;
	a = ike_act(sa->ike, IKE_ACT_SAVE, number_of(sa));
	if (!a)
		return false;
	a->save.spi = ike_sa_our_spi(sa);
	sa->saved = 0;
	return true;
}

/* False: there was no room. */
static bool save(struct ike_sa *sa)
{
	struct ike *ike = sa->ike;
	struct ike_out *out = ike->out;
	uint8_t *at = out->bytes + out->n_bytes;
	struct ike_action *a;
	uint64_t sum;
	size_t n;

	if (!worth_saving(sa))
		return forget(sa);
	n = write_record(sa, ike->now, at, sizeof(out->bytes) - out->n_bytes);
	if (!n) {
		ike_count(ike, IKE_CNT_ACTION_OVERFLOW);
		return false;
	}
	sum = ike_mix(ike->save_seed, at + IKE_RECORD_HEADER, n - IKE_RECORD_HEADER) | 1;
	a = sum == sa->saved ? NULL : ike_act(ike, IKE_ACT_SAVE, number_of(sa));
	if (!a) {
		bytes_wipe(at, n);
		return sum == sa->saved;
	}
	a->save.spi = ike_sa_our_spi(sa);
	a->save.data = at;
	a->save.size = n;
	out->n_bytes += n;
	sa->saved = sum;
	return true;
}

static void swap_range(struct ike_action *a, size_t from, size_t to)
{
	for (; from + 1 < to; from++, to--) {
		const struct ike_action t = a[from];

		a[from] = a[to - 1];
		a[to - 1] = t;
	}
}

/* Brings [mid, end) before [from, mid), both in their order. */
static void bring_forward(struct ike_out *out, size_t from, size_t mid)
{
	if (from == mid || mid == out->n)
		return;
	swap_range(out->actions, from, mid);
	swap_range(out->actions, mid, out->n);
	swap_range(out->actions, from, out->n);
}

static void drop_messages(struct ike_out *out, size_t from)
{
	size_t n = from;

	for (size_t i = from; i < out->n; i++) {
		if (out->actions[i].type != IKE_ACT_SEND)
			out->actions[n++] = out->actions[i];
	}
	out->n = n;
}

/* `from`: where the step's actions begin. */
void ike_saves_flush(struct ike *ike, size_t from)
{
	struct ike_out *out = ike->out;
	const size_t mid = out->n;
	struct ike_tunnel *t, *again = NULL;
	struct ike_sa *sa;
	bool ok = true;

	while ((t = ike->touched)) {
		bool all = true;

		ike->touched = t->next_touched;
		TAILQ_FOREACH(sa, &t->sas, entry)
		all &= save(sa);
		ok &= all;
		t->touched = !all;
		if (all)
			continue;
		t->next_touched = again;
		again = t;
	}
	ike->touched = again;
	ike->n_saves = 0;
	/* A successor is written down before what it succeeds is forgotten. */
	for (sa = ike->dead_sas; sa; sa = sa->next_dead)
		ok &= forget(sa);
	if (out->n > mid)
		out->actions[out->n - 1].save.last = true;
	bring_forward(out, from, mid);
	if (!ok)
		drop_messages(out, from);
}
