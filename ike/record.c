/* SPDX-License-Identifier: Apache-2.0 */
/* record: the fields of a saved IKE SA. Each function both writes and reads. */
#include <stdlib.h>
#include "ike/record.h"

/*
 * Every member of the structs that are saved is named in this file, and a test sees to that: either
 * in the functions below (a new one at the end of its section, after codec_version()), or here, as
 * one that a restart may forget:
 *
 *	struct ike_sa: entry, next_dead, ike, tunnel, by_spi, by_init, init_digest, source, hs,
 *	pending; n_repeats, repeated_at, rx_request, rx_response (the peer sends them again); delete_reason;
 *	probing, dpd_reported, last_life, last_tx, t_reauth, t_dpd, t_keepalive, t_retransmit (begin anew);
 *	t_half_open, t_reassembly, t_puzzle; ticket_serial (tickets end with their process); session (a section of its own); saved; follow, t_follow (the peer is told STATE_NOT_FOUND).
 *	invalid_spi, hint_at (they come again). struct ike_mobike: looked (is looked at anew).
 *	struct ike_request: n_sent, first_sent, interval.
 *	struct ike_child: entry, next_dead, tunnel, sa, pending, has_in, has_out (the inventory has
 *	them), keys (where they are still needed the child is given up), switch_at, missed_first, missed_soft,
 *	missed_hard.
 */

static bool writing(struct ike_codec *c)
{
	return c->saving;
}

/* Reading goes on: nothing has failed, and this field is there. */
static bool reading(struct ike_codec *c)
{
	return !c->saving && !c->failed && !c->ended;
}

/* What follows came with a later version. */
static void codec_version(struct ike_codec *c)
{
	if (reading(c) && rd_empty(&c->r))
		c->ended = true;
}

static void codec_fixed(struct ike_codec *c, void *data, size_t size)
{
	if (writing(c))
		wr_bytes(&c->w, data, size);
	else if (reading(c) && !rd_copy(&c->r, data, size))
		c->failed = true;
}

/* Big endian. What is not read stays as it was. */
static uint64_t number(struct ike_codec *c, uint64_t v, size_t size)
{
	uint8_t b[sizeof(v)] = {0};

	for (size_t i = 0; i < size; i++)
		b[i] = (uint8_t)(v >> 8 * (size - 1 - i));
	codec_fixed(c, b, size);
	if (!reading(c))
		return v;
	v = 0;
	for (size_t i = 0; i < size; i++)
		v = v << 8 | b[i];
	return v;
}

static void codec_u8(struct ike_codec *c, uint8_t *v)
{
	*v = (uint8_t)number(c, *v, sizeof(*v));
}

static void codec_u16(struct ike_codec *c, uint16_t *v)
{
	*v = (uint16_t)number(c, *v, sizeof(*v));
}

static void codec_u32(struct ike_codec *c, uint32_t *v)
{
	*v = (uint32_t)number(c, *v, sizeof(*v));
}

static void codec_u64(struct ike_codec *c, uint64_t *v)
{
	*v = number(c, *v, sizeof(*v));
}

static void codec_bool(struct ike_codec *c, bool *v)
{
	uint8_t b = *v;

	codec_u8(c, &b);
	if (b > 1)
		c->failed = true;
	*v = b == 1;
}

static void codec_unsigned(struct ike_codec *c, unsigned *v)
{
	uint32_t u = *v;

	codec_u32(c, &u);
	*v = u;
}

/* NUL-terminated in `size` bytes. */
static void codec_name(struct ike_codec *c, char *s, size_t size)
{
	codec_fixed(c, s, size);
	if (reading(c) && !memchr(s, 0, size))
		c->failed = true;
}

/* The same distance from now as it was from the writer's now. */
static struct mono translated(const struct ike_codec *c, struct mono t)
{
	const struct mono_span ahead = mono_since(t, c->saved), behind = mono_since(c->saved, t);

	if (ahead.ns >= c->age.ns)
		return mono_add(c->now, span_ns(ahead.ns - c->age.ns));
	if (behind.ns > UINT64_MAX - c->age.ns)
		return (struct mono){0};
	/* 0 is the origin of the clock: nothing can be older. */
	return (struct mono){
		mono_since(c->now, (struct mono){behind.ns + c->age.ns - ahead.ns}).ns};
}

static void codec_time(struct ike_codec *c, struct mono *t)
{
	codec_u64(c, &t->ns);
	if (reading(c) && !mono_is_never(*t))
		*t = translated(c, *t);
}

/* Reading leaves the deadline in the node, and the node outside the heap. */
static void codec_timer(struct ike_codec *c, struct ike_timer *t)
{
	struct mono at = t->node.index ? t->node.deadline : MONO_NEVER;

	codec_time(c, &at);
	if (reading(c))
		t->node.deadline = at;
}

static void codec_addr(struct ike_codec *c, struct ip_addr *a)
{
	codec_u8(c, &a->family);
	codec_fixed(c, a->b, sizeof(a->b));
	if (a->family != IP_NONE && a->family != IP_V4 && a->family != IP_V6)
		c->failed = true;
}

static void codec_endpoint(struct ike_codec *c, struct ip_endpoint *e)
{
	codec_addr(c, &e->addr);
	codec_u16(c, &e->port);
}

static void codec_suite(struct ike_codec *c, struct ike_suite *s)
{
	codec_u16(c, &s->encr);
	codec_u16(c, &s->encr_key_bits);
	codec_u16(c, &s->prf);
	codec_u16(c, &s->integ);
	codec_u16(c, &s->dh);
	codec_u16(c, &s->esn);
	for (size_t i = 0; i < IKE_MAX_AKE; i++)
		codec_u16(c, &s->ake[i]);
}

static void codec_id(struct ike_codec *c, struct ike_id *id)
{
	codec_u8(c, &id->type);
	codec_u8(c, &id->size);
	codec_fixed(c, id->data, id->size);
}

static void codec_rank(struct ike_codec *c, struct ike_rank *r)
{
	codec_u16(c, &r->size);
	codec_fixed(c, r->b, sizeof(r->b));
	if (r->size > IKE_NONCE_MAX)
		c->failed = true;
}

static void codec_ts(struct ike_codec *c, struct ike_ts ts[IKE_MAX_TS], size_t *n)
{
	uint8_t count = (uint8_t)*n;

	codec_u8(c, &count);
	if (count > IKE_MAX_TS) {
		c->failed = true;
		return;
	}
	*n = count;
	for (size_t i = 0; i < *n; i++) {
		codec_addr(c, &ts[i].first);
		codec_addr(c, &ts[i].last);
		codec_u16(c, &ts[i].port_first);
		codec_u16(c, &ts[i].port_last);
		codec_u8(c, &ts[i].protocol);
	}
}

/* A message as it went out; none is a size of 0. */
static void codec_sealed(struct ike_codec *c, struct ike_sealed **sealed)
{
	const struct ike_sealed *s = *sealed;
	uint32_t size = s ? (uint32_t)s->size : 0, part = s ? (uint32_t)s->part : 0;
	uint32_t plain_size = s ? (uint32_t)s->plain_size : 0;
	uint8_t first = s ? s->first : 0;
	struct ike_sealed *out;

	codec_u32(c, &size);
	codec_u32(c, &part);
	codec_u32(c, &plain_size);
	codec_u8(c, &first);
	if (writing(c)) {
		wr_bytes(&c->w, s->bytes, size + plain_size);
		return;
	}
	if (!reading(c))
		return;
	if (size <= IKE_HEADER_SIZE || size > 2 * IKE_MESSAGE_MAX || part <= IKE_HEADER_SIZE ||
	    part > size || size / part >= IKE_FRAGMENTS_TAKEN || plain_size > IKE_MESSAGE_MAX ||
	    c->r.size < size + plain_size || !(out = calloc(1, sizeof(*out) + size + plain_size))) {
		c->failed = true;
		return;
	}
	*out = (struct ike_sealed){
		.size = size,
		.part = part,
		.plain_size = plain_size,
		.first = first,
	};
	if (!rd_copy(&c->r, out->bytes, size + plain_size))
		c->failed = true;
	*sealed = out;
}

static void codec_secret(struct ike_codec *c, struct secret **s)
{
	uint8_t n = (uint8_t)secret_size(*s);
	const uint8_t *p;

	codec_u8(c, &n);
	if (writing(c)) {
		if (n)
			wr_bytes(&c->w, secret_data(*s), n);
		return;
	}
	if (!reading(c) || !n)
		return;
	if (!rd_bytes(&c->r, n, &p) || !(*s = secret_from(p, n)))
		c->failed = true;
}

/* Of any size. */
static void codec_shared(struct ike_codec *c, struct secret **s)
{
	uint16_t n = (uint16_t)secret_size(*s);
	const uint8_t *p;

	codec_u16(c, &n);
	if (writing(c)) {
		if (n)
			wr_bytes(&c->w, secret_data(*s), n);
		return;
	}
	if (!reading(c) || !n)
		return;
	if (!rd_bytes(&c->r, n, &p) || !(*s = secret_from(p, n)))
		c->failed = true;
}

static void codec_nonce(struct ike_codec *c, uint8_t nonce[IKE_NONCE_MAX], size_t *size)
{
	uint16_t n = (uint16_t)*size;

	codec_u16(c, &n);
	if (n > IKE_NONCE_MAX) {
		c->failed = true;
		return;
	}
	*size = n;
	codec_fixed(c, nonce, n);
}

static void codec_mobike(struct ike_codec *c, struct ike_mobike *m)
{
	codec_u8(c, &m->n_peer);
	if (m->n_peer > IKE_MAX_ADDRESSES) {
		c->failed = true;
		m->n_peer = 0;
		return;
	}
	for (size_t i = 0; i < m->n_peer; i++)
		codec_addr(c, &m->peer[i]);
	codec_bool(c, &m->want_update);
	codec_bool(c, &m->want_check);
	codec_unsigned(c, &m->epoch);
	codec_unsigned(c, &m->sent_epoch);
	codec_endpoint(c, &m->was_local);
	codec_endpoint(c, &m->was_remote);
	codec_fixed(c, m->cookie, sizeof(m->cookie));
	codec_bool(c, &m->has_seen);
	codec_fixed(c, m->seen, sizeof(m->seen));
}

static void codec_extensions(struct ike_codec *c, struct ike_sa *sa)
{
	codec_bool(c, &sa->agreed.nat_traversal);
	codec_bool(c, &sa->agreed.mobike);
	codec_bool(c, &sa->agreed.redirect);
	codec_bool(c, &sa->agreed.childless);
	codec_bool(c, &sa->agreed.sync);
	codec_mobike(c, &sa->mobike);
	codec_u8(c, &sa->qcd_size);
	if (sa->qcd_size > sizeof(sa->qcd_token)) {
		c->failed = true;
		sa->qcd_size = 0;
		return;
	}
	codec_fixed(c, sa->qcd_token, sa->qcd_size);
	codec_bool(c, &sa->want_notice);
	codec_bool(c, &sa->notice_addresses);
	codec_bool(c, &sa->notice_token);
	codec_bool(c, &sa->notice_redirect);
	codec_bool(c, &sa->redirected);
}

/* RFC 5723: the ticket that we hold, and what it is for. */
void codec_session(struct ike_codec *c, struct ike_session *s)
{
	uint16_t size = (uint16_t)s->ticket_size;

	codec_time(c, &s->until);
	codec_time(c, &s->auth_until);
	codec_suite(c, &s->suite);
	codec_u8(c, &s->auth_local);
	codec_u8(c, &s->auth_remote);
	codec_bool(c, &s->ppk);
	codec_id(c, &s->idi);
	codec_id(c, &s->idr);
	codec_secret(c, &s->d);
	codec_u16(c, &size);
	if (size > sizeof(s->ticket)) {
		c->failed = true;
		return;
	}
	s->ticket_size = size;
	codec_fixed(c, s->ticket, size);
	if (!s->d || !ike_prf_desc(s->suite.prf))
		c->failed = true;
}

/* ------------------------------------------------------------------ sections */

void codec_sa(struct ike_codec *c, struct ike_sa *sa, struct ike_sa_record *x)
{
	uint8_t state = (uint8_t)sa->state, n_doomed = (uint8_t)sa->n_doomed;

	codec_name(c, x->tunnel, sizeof(x->tunnel));
	codec_u32(c, &x->number);
	codec_u64(c, &x->cfg);
	codec_u64(c, &x->rekeyed_by_us);
	codec_u64(c, &x->rekeyed_by_peer);
	codec_id(c, &x->peer_id);

	codec_u8(c, &state);
	sa->state = (enum ike_sa_state)state;
	codec_bool(c, &sa->initiator);
	codec_u64(c, &sa->spi_i);
	codec_u64(c, &sa->spi_r);
	codec_endpoint(c, &sa->local);
	codec_endpoint(c, &sa->remote);
	codec_bool(c, &sa->natt);
	codec_bool(c, &sa->local_nat);
	codec_bool(c, &sa->remote_nat);
	codec_suite(c, &sa->suite);
	codec_u64(c, &sa->iv_counter);
	codec_u8(c, &sa->auth_local);
	codec_u8(c, &sa->auth_remote);
	codec_bool(c, &sa->ppk);
	codec_time(c, &sa->auth_until);

	codec_u32(c, &sa->tx_mid);
	codec_u32(c, &sa->rx_mid);
	codec_u16(c, &sa->fragment_size);
	codec_bool(c, &sa->busy);
	codec_u8(c, &sa->busy_exchange);
	codec_endpoint(c, &sa->reply_local);
	codec_endpoint(c, &sa->reply_remote);
	codec_u8(c, &n_doomed);
	if (n_doomed > sizeof(sa->doomed) / sizeof(sa->doomed[0])) {
		c->failed = true;
		return;
	}
	sa->n_doomed = n_doomed;
	for (size_t i = 0; i < sa->n_doomed; i++)
		codec_u32(c, &sa->doomed[i]);

	codec_bool(c, &sa->want_delete);
	codec_bool(c, &sa->want_rekey);
	codec_bool(c, &sa->want_child);
	codec_bool(c, &sa->want_dpd);
	codec_bool(c, &sa->delete_auth_failed);
	codec_unsigned(c, &sa->n_rekey_failures);
	codec_u16(c, &sa->rekey_group);
	codec_rank(c, &sa->rank);
	codec_rank(c, &sa->origin);
	codec_bool(c, &sa->origin_initiator);
	codec_bool(c, &sa->redundant);
	codec_bool(c, &sa->dying);
	codec_bool(c, &sa->mute);

	codec_time(c, &sa->line_since);
	codec_time(c, &sa->created);
	codec_time(c, &sa->established);
	codec_time(c, &sa->rekey_at);
	codec_time(c, &sa->expires_at);
	codec_timer(c, &sa->t_rekey);
	codec_timer(c, &sa->t_expire);
	codec_extensions(c, sa);
	codec_version(c);
	codec_time(c, &sa->reauth_at);
	codec_version(c);
	codec_bool(c, &sa->resync.wanted);
	codec_bool(c, &sa->resync.was_busy);
	codec_bool(c, &sa->resync.half_made);
	codec_bool(c, &sa->resync.doubt);
	codec_version(c);
	codec_bool(c, &sa->notice_ticket);
	codec_version(c);
	codec_bool(c, &sa->agreed.ports_vary);
}

void codec_keys(struct ike_codec *c, struct ike_sa_keys *k)
{
	codec_secret(c, &k->d);
	codec_secret(c, &k->ai);
	codec_secret(c, &k->ar);
	codec_secret(c, &k->ei);
	codec_secret(c, &k->er);
	codec_secret(c, &k->pi);
	codec_secret(c, &k->pr);
	codec_version(c);
}

static void codec_dh(struct ike_codec *c, struct ike *ike, enum ike_dh group,
		     struct ike_dh_key **dh)
{
	const struct ike_crypto *ops = &ike->crypto;
	uint8_t buf[IKE_DH_SAVED_MAX];
	uint16_t n = 0;
	const uint8_t *p;

	if (writing(c) && *dh) {
		n = (uint16_t)ops->dh_save(ops->ctx, *dh, buf, sizeof(buf));
		c->failed |= !n;
	}
	codec_u16(c, &n);
	if (writing(c)) {
		wr_bytes(&c->w, buf, n);
		bytes_wipe(buf, n);
	} else if (reading(c) && group != IKE_DH_NONE) {
		if (rd_bytes(&c->r, n, &p))
			*dh = ops->dh_load(ops->ctx, group, p, n);
		c->failed |= !*dh;
	}
}

static void codec_offer(struct ike_codec *c, struct ike *ike, struct ike_offer *o)
{
	codec_u32(c, &o->slot);
	codec_u32(c, &o->spi_in);
	codec_u64(c, &o->spi);
	codec_fixed(c, o->nonce, sizeof(o->nonce));
	codec_u16(c, &o->group);
	codec_dh(c, ike, (enum ike_dh)o->group, &o->dh);
}

static void codec_terms(struct ike_codec *c, struct ike_terms *t)
{
	codec_suite(c, &t->suite);
	codec_u32(c, &t->spi_out);
	codec_ts(c, t->local_ts, &t->n_local_ts);
	codec_ts(c, t->remote_ts, &t->n_remote_ts);
}

/* The initiator's: the responder's may be forgotten. */
static void codec_follow(struct ike_codec *c, struct ike *ike, struct ike_follow *f)
{
	uint8_t next = (uint8_t)f->next;

	codec_suite(c, &f->suite);
	codec_u8(c, &next);
	f->next = next;
	codec_nonce(c, f->ni, &f->ni_size);
	codec_nonce(c, f->nr, &f->nr_size);
	codec_shared(c, &f->first);
	codec_shared(c, &f->further);
	codec_bool(c, &f->ike);
	codec_u64(c, &f->spi_i);
	codec_u64(c, &f->spi_r);
	codec_terms(c, &f->terms);
	if (next >= IKE_MAX_AKE)
		c->failed = true;
	else
		codec_dh(c, ike, (enum ike_dh)f->suite.ake[next], &f->dh);
}

void codec_request(struct ike_codec *c, struct ike *ike, struct ike_request *req,
		   struct ike_request_record *x)
{
	uint8_t task = (uint8_t)req->task;
	bool follow;

	codec_u8(c, &task);
	req->task = (enum ike_task)task;
	codec_u8(c, &req->exchange);
	codec_u32(c, &req->mid);
	codec_sealed(c, &req->data);
	codec_u32(c, &x->child);
	codec_bool(c, &x->offer);
	if (x->offer && reading(c)) {
		req->offer = calloc(1, sizeof(*req->offer));
		c->failed |= !req->offer;
	}
	if (x->offer && req->offer)
		codec_offer(c, ike, req->offer);
	follow = req->offer && req->offer->follow;
	codec_bool(c, &follow);
	if (follow && req->offer && reading(c)) {
		req->offer->follow = calloc(1, sizeof(*req->offer->follow));
		c->failed |= !req->offer->follow;
	}
	if (follow && req->offer && req->offer->follow)
		codec_follow(c, ike, req->offer->follow);
	codec_version(c);
	if (x->offer && req->offer)
		codec_u32(c, &req->offer->resource);
	codec_version(c);
	if (follow && req->offer && req->offer->follow) {
		codec_bool(c, &req->offer->follow->terms.grouped);
		codec_u32(c, &req->offer->follow->terms.resource);
	}
}

void codec_response(struct ike_codec *c, struct ike_sa *sa)
{
	codec_sealed(c, &sa->response);
	codec_version(c);
}

void codec_child(struct ike_codec *c, struct ike_child *child, struct ike_child_record *x)
{
	uint8_t state = (uint8_t)child->state;

	codec_bool(c, &x->current);
	codec_u32(c, &x->replaces);
	codec_u32(c, &x->rekeyed_by_us);
	codec_u32(c, &x->rekeyed_by_peer);

	codec_u8(c, &state);
	child->state = (enum ike_child_state)state;
	codec_bool(c, &child->initiator);
	codec_u32(c, &child->slot);
	codec_u32(c, &child->spi_in);
	codec_u32(c, &child->spi_out);
	codec_suite(c, &child->suite);
	codec_ts(c, child->local_ts, &child->n_local_ts);
	codec_ts(c, child->remote_ts, &child->n_remote_ts);
	codec_rank(c, &child->rank);
	codec_bool(c, &child->reply_held);
	codec_bool(c, &child->confirmed);
	codec_bool(c, &child->proven);
	codec_bool(c, &child->want_rekey);
	codec_bool(c, &child->want_delete);
	codec_bool(c, &child->redundant);
	codec_unsigned(c, &child->n_rekey_failures);

	codec_time(c, &child->created);
	codec_time(c, &child->rekey_at);
	codec_time(c, &child->expires_at);
	codec_timer(c, &child->t_rekey);
	codec_timer(c, &child->t_expire);
	codec_timer(c, &child->t_step);
	codec_version(c);
	codec_bool(c, &child->grouped);
	codec_u32(c, &child->resource);
	codec_bool(c, &child->sending);
}
