/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load: an IKE SA from its record. The record is read into objects that nobody knows yet; they are
 * checked, and only then linked. What a record says is believed as far as it cannot harm the core: its
 * keeper is trusted with the keys, but not with our memory.
 */
#include <stdlib.h>
#include "ike/record.h"

/* Nothing between the last record and the end can have used up as many. */
#define IV_JUMP (1u << 20)

struct loaded_child {
	struct ike_child *c;
	struct ike_child_record x;
};

struct loading {
	struct ike *ike;
	struct ike_tunnel *t;
	struct ike_sa *sa;
	struct ike_sa_record x;
	struct ike_request_record y;
	bool has_sa, has_keys;
	struct loaded_child children[IKE_MAX_CHILDREN_OF_TUNNEL];
	size_t n_children;
};

const char *ike_load_text(enum ike_load result)
{
	switch (result) {
	case IKE_LOAD_OK: return "resumed";
	case IKE_LOAD_MALFORMED: return "the record is damaged, or of another version";
	case IKE_LOAD_NO_TUNNEL: return "its tunnel is not configured any more";
	case IKE_LOAD_CLASH: return "it stands already";
	case IKE_LOAD_RESOURCES: return "out of resources";
	}
	return "?";
}

/* ------------------------------------------------------------------- checks */

static bool keys_fit(const struct ike_sa *sa)
{
	const struct ike_suite *s = &sa->suite;
	const struct ike_encr_desc *encr = ike_encr_desc(s->encr);
	const struct ike_prf_desc *prf = ike_prf_desc(s->prf);
	const struct ike_integ_desc *integ = ike_integ_desc(s->integ);
	const struct ike_sa_keys *k = &sa->keys;
	const size_t a = integ ? integ->key_size : 0;

	return encr && prf && ike_encr_key_bits_ok(encr->id, s->encr_key_bits) &&
	       (integ != NULL) == !encr->aead && secret_size(k->d) == prf->size &&
	       secret_size(k->pi) == prf->size && secret_size(k->pr) == prf->size &&
	       secret_size(k->ei) == ike_suite_encr_key_size(s) &&
	       secret_size(k->er) == ike_suite_encr_key_size(s) && secret_size(k->ai) == a &&
	       secret_size(k->ar) == a;
}

static bool endpoint_ok(const struct ip_endpoint *e)
{
	return e->addr.family != IP_NONE && e->port;
}

/* CREATE_CHILD_SA, or one of the key exchanges that follow it. */
static bool negotiation_ok(const struct ike_request *r)
{
	const struct ike_follow *f = r->offer ? r->offer->follow : NULL;

	if (r->exchange == IKE_FOLLOWUP_KE)
		return f && f->dh && f->next < IKE_MAX_AKE && f->suite.ake[f->next] &&
		       f->ike == (r->offer->spi != 0) && (!f->ike || f->first) &&
		       f->ike == (r->task == IKE_TASK_REKEY_IKE);
	return r->exchange == IKE_CREATE_CHILD_SA && r->offer && !f;
}

static bool request_ok(const struct ike_sa *sa)
{
	const struct ike_request *r = &sa->req;
	const struct ike_offer *o = r->offer;

	if (!r->data)
		return !o && r->task == IKE_TASK_NONE;
	if (r->mid != sa->tx_mid)
		return false;
	switch (r->task) {
	case IKE_TASK_DELETE_IKE: return sa->state == IKE_ST_DELETING && !o;
	case IKE_TASK_DELETE_CHILD:
	case IKE_TASK_UPDATE:
	case IKE_TASK_CHECK:
	case IKE_TASK_NOTICE:
	case IKE_TASK_DPD: return r->exchange == IKE_INFORMATIONAL && !o;
	case IKE_TASK_REKEY_IKE: return negotiation_ok(r) && o->spi && !o->spi_in;
	case IKE_TASK_REKEY_CHILD:
	case IKE_TASK_NEW_CHILD: return negotiation_ok(r) && o->spi_in && !o->spi;
	case IKE_TASK_NONE:
	case IKE_TASK_INIT:
	case IKE_TASK_INTERMEDIATE:
	case IKE_TASK_AUTH:
	case IKE_TASK_END: break;
	}
	return false;
}

static bool sa_ok(const struct ike_sa *sa)
{
	return (sa->state == IKE_ST_ESTABLISHED || sa->state == IKE_ST_REPLACED ||
		sa->state == IKE_ST_DELETING) &&
	       sa->spi_i && sa->spi_r && endpoint_ok(&sa->local) && endpoint_ok(&sa->remote) &&
	       sa->tx_mid <= INT32_MAX && sa->rx_mid <= INT32_MAX &&
	       sa->iv_counter < UINT64_MAX / 2 && (!sa->busy || sa->rx_mid) && keys_fit(sa) &&
	       request_ok(sa);
}

static bool spi_fits(uint32_t spi, uint32_t slot)
{
	return spi >= 256 && (spi & IKE_SLOT_MASK) == slot && spi > IKE_SLOT_MASK;
}

/* The common one is `current`, that of a worker is `sending`. */
static bool resource_ok(const struct loaded_child *l)
{
	const struct ike_child *c = l->c;

	if (c->resource == 0)
		return !c->sending;
	return !l->x.current && (c->resource <= IKE_MAX_RESOURCES ||
				 (c->resource == IKE_RESOURCE_SPARE && !c->sending));
}

static bool child_ok(const struct loaded_child *l)
{
	const struct ike_child *c = l->c;

	switch (c->state) {
	case IKE_CH_ADDING_IN:
	case IKE_CH_ADDING_OUT:
	case IKE_CH_LINGER:
		if (l->x.current || c->sending)
			return false;
		break;
	case IKE_CH_DELETING: /* sends until its Delete is answered */
	case IKE_CH_INSTALLED: break;
	case IKE_CH_NEW:
	case IKE_CH_GONE:
	case IKE_CH_END: return false;
	default: return false; /* it came as a number */
	}
	return spi_fits(c->spi_in, c->slot) && resource_ok(l) && ike_encr_desc(c->suite.encr) &&
	       ike_encr_key_bits_ok((enum ike_encr)c->suite.encr, c->suite.encr_key_bits);
}

/* ------------------------------------------------------------------ reading */

static enum ike_load read_child(struct ike_codec *c, struct loading *l)
{
	struct loaded_child *out = &l->children[l->n_children];

	if (l->n_children == IKE_MAX_CHILDREN_OF_TUNNEL)
		return IKE_LOAD_MALFORMED;
	out->c = calloc(1, sizeof(*out->c));
	if (!out->c)
		return IKE_LOAD_RESOURCES;
	l->n_children++;
	out->c->switch_at = MONO_NEVER;
	ike_timer_init(&out->c->t_rekey, IKE_TIMER_CHILD_REKEY, out->c);
	ike_timer_init(&out->c->t_expire, IKE_TIMER_CHILD_EXPIRE, out->c);
	ike_timer_init(&out->c->t_step, IKE_TIMER_CHILD_STEP, out->c);
	codec_child(c, out->c, &out->x);
	return !c->failed && child_ok(out) ? IKE_LOAD_OK : IKE_LOAD_MALFORMED;
}

static enum ike_load read_section(struct ike_codec *c, uint16_t type, struct loading *l)
{
	c->ended = false;
	switch (type) {
	case IKE_SECTION_SA:
		if (l->has_sa)
			return IKE_LOAD_MALFORMED;
		l->has_sa = true;
		codec_sa(c, l->sa, &l->x);
		break;
	case IKE_SECTION_KEYS:
		if (l->has_keys)
			return IKE_LOAD_MALFORMED;
		l->has_keys = true;
		codec_keys(c, &l->sa->keys);
		break;
	case IKE_SECTION_REQUEST:
		if (l->sa->req.data || l->sa->req.offer)
			return IKE_LOAD_MALFORMED;
		codec_request(c, l->ike, &l->sa->req, &l->y);
		break;
	case IKE_SECTION_RESPONSE:
		if (l->sa->response)
			return IKE_LOAD_MALFORMED;
		codec_response(c, l->sa);
		break;
	case IKE_SECTION_SESSION:
		if (l->sa->session)
			return IKE_LOAD_MALFORMED;
		l->sa->session = calloc(1, sizeof(*l->sa->session));
		if (!l->sa->session)
			return IKE_LOAD_RESOURCES;
		codec_session(c, l->sa->session);
		break;
	case IKE_SECTION_CHILD: return read_child(c, l);
	default: break; /* of a later version */
	}
	return c->failed ? IKE_LOAD_MALFORMED : IKE_LOAD_OK;
}

static enum ike_load read_record(struct ike_codec *c, struct loading *l, uint64_t *spi)
{
	uint32_t magic, size;
	uint16_t version, type;
	struct rd rest = c->r;

	if (!rd_u32(&rest, &magic) || magic != IKE_RECORD_MAGIC || !rd_u16(&rest, &version) ||
	    version != IKE_RECORD_VERSION || !rd_u64(&rest, &c->saved.ns) || !rd_u64(&rest, spi))
		return IKE_LOAD_MALFORMED;
	while (!rd_empty(&rest)) {
		enum ike_load result;

		if (!rd_u16(&rest, &type) || !rd_u32(&rest, &size) || !rd_sub(&rest, size, &c->r))
			return IKE_LOAD_MALFORMED;
		result = read_section(c, type, l);
		if (result != IKE_LOAD_OK)
			return result;
	}
	return l->has_sa && l->has_keys ? IKE_LOAD_OK : IKE_LOAD_MALFORMED;
}

/* ------------------------------------------------------------------ linking */

static struct ike_tunnel *tunnel_of(struct ike *ike, const struct ike_sa_record *x)
{
	struct ike_tunnel *t = ike_tunnel_find(ike, x->number);

	return t && !strcmp(t->cfg.name, x->tunnel) ? t : NULL;
}

static enum ike_load check_room(const struct loading *l)
{
	const struct ike *ike = l->ike;
	const struct ike_offer *o = l->sa->req.offer;
	const struct ike_tunnel *t = l->t;
	bool current = t->current != NULL;

	if (t->n_sas >= IKE_MAX_SAS_OF_TUNNEL ||
	    t->n_children + l->n_children > IKE_MAX_CHILDREN_OF_TUNNEL)
		return IKE_LOAD_RESOURCES;
	for (size_t i = 0; i < l->n_children; i++) {
		const struct ike_child *c = l->children[i].c;

		if (c->slot >= ike->limits.max_children)
			return IKE_LOAD_RESOURCES;
		if (ike_resume_slot_used(ike, c->slot) || (l->children[i].x.current && current))
			return IKE_LOAD_CLASH;
		current |= l->children[i].x.current;
		for (size_t j = 0; j < i; j++) {
			if (l->children[j].c->slot == c->slot)
				return IKE_LOAD_MALFORMED;
		}
		if (o && o->spi_in && o->slot == c->slot)
			return IKE_LOAD_MALFORMED;
	}
	if (!o || !o->spi_in)
		return IKE_LOAD_OK;
	if (!spi_fits(o->spi_in, o->slot))
		return IKE_LOAD_MALFORMED;
	if (o->slot >= ike->limits.max_children)
		return IKE_LOAD_RESOURCES;
	return ike_resume_slot_used(ike, o->slot) ? IKE_LOAD_CLASH : IKE_LOAD_OK;
}

static void link_children(struct loading *l)
{
	for (size_t i = 0; i < l->n_children; i++) {
		struct loaded_child *lc = &l->children[i];
		struct ike_child *c = lc->c;

		c->tunnel = l->t;
		c->sa = l->sa;
		c->has_in = c->has_out = false; /* until the inventory says so */
		TAILQ_INSERT_TAIL(&l->t->children, c, entry);
		l->t->n_children++;
		l->ike->slots[c->slot] = c;
		if (lc->x.current)
			l->t->current = c;
		ike_resume_take_slot(l->ike, c->slot);
	}
	if (l->sa->req.offer && l->sa->req.offer->spi_in)
		ike_resume_take_slot(l->ike, l->sa->req.offer->slot);
}

static void link_sa(struct loading *l, uint64_t spi)
{
	struct ike_sa *sa = l->sa;
	struct ike *ike = l->ike;

	sa->ike = ike;
	sa->tunnel = l->t;
	sa->last_life = sa->last_tx = ike->now;
	sa->iv_counter += IV_JUMP;
	sa->delete_reason = "begun before the restart";
	sa->saved = 1; /* there is a record, and not of what stands now */
	TAILQ_INSERT_TAIL(&l->t->sas, sa, entry);
	l->t->n_sas++;
	ike_table_put(&ike->by_spi, &sa->by_spi, spi);
}

static bool remember_links(struct loading *l)
{
	const struct ike_resume_sa s = {
		.sa = l->sa,
		.rekeyed_by_us = l->x.rekeyed_by_us,
		.rekeyed_by_peer = l->x.rekeyed_by_peer,
		.request_child = l->sa->req.data ? l->y.child : IKE_NO_SLOT,
	};
	struct ike_resume_child children[IKE_MAX_CHILDREN_OF_TUNNEL];

	for (size_t i = 0; i < l->n_children; i++) {
		const struct ike_child_record *x = &l->children[i].x;

		children[i] = (struct ike_resume_child){
			l->children[i].c,
			x->replaces,
			x->rekeyed_by_us,
			x->rekeyed_by_peer,
		};
	}
	return ike_resume_remember(l->ike, &s, children, l->n_children);
}

static enum ike_load take(struct loading *l, uint64_t spi)
{
	enum ike_load result;

	if (!sa_ok(l->sa) || spi != ike_sa_our_spi(l->sa))
		return IKE_LOAD_MALFORMED;
	l->t = tunnel_of(l->ike, &l->x);
	if (!l->t)
		return IKE_LOAD_NO_TUNNEL;
	if (ike_sa_find(l->ike, spi))
		return IKE_LOAD_CLASH;
	result = check_room(l);
	if (result != IKE_LOAD_OK)
		return result;
	if (!remember_links(l))
		return IKE_LOAD_RESOURCES;
	if (l->x.cfg != ike_cfg_digest(&l->t->cfg) ||
	    (!l->sa->agreed.mobike && !ip_equal(&l->sa->local.addr, &l->t->cfg.local)))
		l->t->changed = true;
	l->sa->resync.wanted |= ike_resume_is_stale(l->ike);
	l->t->peer_id = l->x.peer_id;
	link_sa(l, spi);
	link_children(l);
	trace(l->ike->tracer, LOG_LEVEL_INFO, "%s[%016llx] resume: record -> %s (%zu children)",
	      l->t->cfg.name, (unsigned long long)spi, ike_sa_state_name(l->sa->state),
	      l->n_children);
	return IKE_LOAD_OK;
}

static void discard(struct loading *l)
{
	for (size_t i = 0; i < l->n_children; i++)
		free(l->children[i].c);
	ike_sealed_free(l->sa->req.data);
	ike_offer_free(l->ike, l->sa->req.offer, true);
	ike_sealed_free(l->sa->response);
	ike_sa_keys_free(&l->sa->keys);
	ike_session_free(l->sa->session);
	free(l->sa);
}

enum ike_load ike_load(struct ike *ike, const void *record, size_t size, struct mono_span age,
		       struct mono now)
{
	struct loading l = {.ike = ike, .y.child = IKE_NO_SLOT};
	struct ike_codec c = {.r = rd_of(record, size), .now = now, .age = age};
	enum ike_load result;
	uint64_t spi = 0;

	if (!ike->resume)
		return IKE_LOAD_CLASH; /* too late */
	if (mono_before(ike->now, now))
		ike->now = now;
	l.sa = calloc(1, sizeof(*l.sa));
	if (!l.sa)
		return IKE_LOAD_RESOURCES;
	ike_sa_init_timers(l.sa);
	l.sa->reauth_at = MONO_NEVER; /* for records that do not say */
	result = read_record(&c, &l, &spi);
	if (result == IKE_LOAD_OK)
		result = take(&l, spi);
	if (result != IKE_LOAD_OK)
		discard(&l);
	return result;
}
