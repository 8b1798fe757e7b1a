/* SPDX-License-Identifier: Apache-2.0 */
/* exchange_create_child: a new child, or a rekeyed one, by CREATE_CHILD_SA (RFC 7296 1.3.1, 1.3.3). */
#include <stdlib.h>
#include "ike/ike_int.h"

static struct rd secret_rd(const struct secret *s)
{
	return s ? rd_of(secret_data(s), secret_size(s)) : rd_of(NULL, 0);
}

/* Keys and object; unless IKE_OK nothing was made. */
static enum ike_err make_child(struct ike_sa *sa, bool initiator, uint32_t slot, uint32_t spi_in,
			       const struct ike_terms *terms, const struct ike_nonces *n,
			       struct rd shared, struct ike_child **out)
{
	struct ike_child_keys keys = {0};
	enum ike_err err = ike_keys_child(&sa->ike->crypto, (enum ike_prf)sa->suite.prf, sa->keys.d,
					  &terms->suite, n, shared.p, shared.size, &keys);

	if (err != IKE_OK)
		return err;
	*out = ike_child_new(sa, initiator, slot, spi_in, terms);
	if (!*out) {
		ike_child_keys_free(&keys);
		return IKE_ERR_RESOURCES;
	}
	(*out)->keys = keys;
	(*out)->rank = ike_rank_of(n->ni.p, n->ni.size, n->nr.p, n->nr.size);
	return IKE_OK;
}

/* The peer believes that it has a child which we cannot have: it must not. */
static struct ike_child *disown(struct ike_sa *sa, const struct ike_offer *o,
				const struct ike_terms *terms)
{
	struct ike_child *c =
		terms->spi_out < 256 ? NULL : ike_child_new(sa, true, o->slot, o->spi_in, terms);

	if (c) {
		ike_child_set_state(c, IKE_CH_ADDING_IN, "child-create", "unacceptable");
		ike_child_request_delete(c, "unacceptable answer");
	}
	return c;
}

/* ------------------------------------------------------------------ initiator */

/* The group to try first: what the last exchange agreed on, else the preferred one. */
static uint16_t pfs_group(const struct ike_tunnel *t)
{
	if (t->pfs_group && ike_algs_have(&t->cfg.esp_algs, IKE_TRANSFORM_DH, t->pfs_group, 0))
		return t->pfs_group;
	return ike_algs_first_dh(&t->cfg.esp_algs);
}

static struct ike_offer *draw_offer(struct ike_sa *sa, uint32_t resource,
				    uint8_t public[IKE_DH_MAX])
{
	struct ike *ike = sa->ike;
	struct ike_offer *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	o->group = pfs_group(sa->tunnel);
	o->resource = resource;
	if (!ike_random(ike, o->nonce, sizeof(o->nonce)) ||
	    !ike_slot_alloc(ike, &o->slot, &o->spi_in))
		goto fail;
	if (o->group == IKE_DH_NONE)
		return o;
	o->dh = ike->crypto.dh_new(ike->crypto.ctx, (enum ike_dh)o->group, public);
	if (o->dh)
		return o;
fail:
	ike_offer_free(ike, o, false);
	return NULL;
}

/* The exchange came to nothing: `temporary` where the peer asked for patience. */
static void failed(struct ike_sa *sa, struct ike_child *old, uint32_t resource, bool temporary)
{
	if (old && ike_child_live(old))
		ike_timer_child_rekey_failed(old, temporary);
	else if (resource)
		ike_resource_failed(sa->tunnel, temporary ? IKE_N_TEMPORARY_FAILURE : 0);
	else
		ike_timer_child_creation_failed(sa->tunnel, temporary);
}

void ike_create_child_start(struct ike_sa *sa, struct ike_child *old, uint32_t resource)
{
	struct ike_tunnel *t = sa->tunnel;
	uint8_t public[IKE_DH_MAX], buf[IKE_MESSAGE_MAX], spi[IKE_ESP_SPI_SIZE];
	struct ike_offer *o = draw_offer(sa, resource, public);
	struct ike_builder b;
	struct wr w = wr_of(spi, sizeof(spi));

	if (!resource)
		sa->want_child = false;
	if (old)
		old->want_rekey = false;
	if (!o) {
		ike_count(sa->ike, IKE_CNT_RESOURCES);
		failed(sa, old, resource, false);
		return;
	}
	sa->n_doomed = 0;
	sa->resync.doubt = false; /* what the record had is gone */
	ike_build_open_inner(&b, buf, sizeof(buf));
	if (old) {
		/* RFC 7296 1.3.3: the SPI that we expect in inbound packets. */
		wr_u32(&w, old->spi_in);
		ike_build_notify(&b, IKE_PROTO_ESP, spi, sizeof(spi), IKE_N_REKEY_SA, NULL, 0);
	}
	ike_terms_offer_sa(&b, t, false, o->spi_in, o->group);
	ike_build_nonce(&b, o->nonce, sizeof(o->nonce));
	if (o->group != IKE_DH_NONE)
		ike_build_ke(&b, o->group, public, ike_dh_desc(o->group)->public_size);
	ike_terms_offer_ts(&b, t);
	if (t->cfg.per_resource)
		ike_resource_build(&b, resource);
	trace(sa->ike->tracer, LOG_LEVEL_INFO, "%s[%08x] %s: %s -> requested (ours)", t->cfg.name,
	      old ? old->spi_in : o->spi_in, old ? "child-rekey" : "child-create",
	      old ? ike_child_state_name(old->state) : "none");
	if (!ike_request_send(sa, old ? IKE_TASK_REKEY_CHILD : IKE_TASK_NEW_CHILD,
			      IKE_CREATE_CHILD_SA, &b, old, o))
		failed(sa, old, resource, false);
}

static bool doomed(const struct ike_sa *sa, uint32_t spi_out)
{
	for (size_t i = 0; i < sa->n_doomed; i++) {
		if (sa->doomed[i] == spi_out)
			return true;
	}
	return false;
}

static void refused(struct ike_sa *sa, const struct ike_msg *m, struct ike_child *old,
		    uint32_t resource, const struct ike_notify_payload *error)
{
	struct ike_tunnel *t = sa->tunnel;
	struct ike_terms terms = {.error = error->type};
	struct rd data = error->data;
	uint16_t group;

	switch (error->type) {
	case IKE_N_TEMPORARY_FAILURE:
		ike_count(sa->ike, IKE_CNT_TEMPORARY_FAILURE);
		failed(sa, old, resource, true);
		return;
	case IKE_N_INVALID_KE_PAYLOAD:
		ike_count(sa->ike, IKE_CNT_INVALID_KE);
		if (rd_u16(&data, &group) && group != pfs_group(t)) {
			t->pfs_group = group; /* taken only if a suite of ours has it */
			if (pfs_group(t) == group) {
				failed(sa, old, resource, true);
				return;
			}
		}
		break;
	case IKE_N_CHILD_SA_NOT_FOUND:
		/* It may not know it yet, rather than no more. */
		if (old && !ike_child_confirmed(old, IKE_CONFIRM_LATE)) {
			failed(sa, old, resource, true);
			return;
		}
		/* RFC 7296 2.25.1: the peer has deleted it; so do we, and make a new one. */
		if (old && ike_child_live(old)) {
			ike_child_retire(old, "child-rekey", "the peer has it no more");
			t->child_not_before = sa->ike->now;
			ike_tunnel_run(t);
		}
		return;
	case IKE_N_SINGLE_PAIR_REQUIRED:
		if (!old && !resource && ike_terms_narrow_to_pair(t)) {
			failed(sa, old, resource, true);
			return;
		}
		break;
	default: break;
	}
	if (resource && !old) { /* nothing is lost by it */
		ike_resource_failed(t, error->type);
		return;
	}
	ike_terms_report(t, m, &terms, false);
	failed(sa, old, resource, false);
}

/* All secrets are there: the child, or the end of it. Takes the offer. */
void ike_create_child_conclude(struct ike_sa *sa, struct ike_child *old, bool rekey,
			       struct ike_offer *o, const struct ike_terms *terms,
			       const struct ike_nonces *n, const struct secret *shared)
{
	struct ike_child *c = NULL;
	const enum ike_err err =
		make_child(sa, true, o->slot, o->spi_in, terms, n, secret_rd(shared), &c);

	if (err != IKE_OK) {
		ike_count(sa->ike, ike_counter_of(err));
		ike_create_child_abandon(sa, old, o, terms);
		return;
	}
	if (terms->suite.dh)
		sa->tunnel->pfs_group = terms->suite.dh;
	ike_offer_free(sa->ike, o, true);
	if (doomed(sa, c->spi_out)) {
		/* The peer's Delete was faster than its response: it is gone already. */
		failed(sa, old, c->resource, false);
		ike_child_gone(c, "child-create", "deleted before it was made");
		return;
	}
	if (terms->useless) {
		ike_child_set_state(c, IKE_CH_ADDING_IN, "child-create",
				    "neither end has use for it");
		ike_child_request_delete(c, "neither end has use for it");
		return;
	}
	if (old && old->state < IKE_CH_DELETING) {
		c->replaces = old;
		old->rekeyed_by_us = c;
		ike_timer_child_replaced(old, false);
	} else if (rekey) {
		trace(sa->ike->tracer, LOG_LEVEL_INFO,
		      "%s[%08x] child-rekey: requested -> %08x (%s)", sa->tunnel->cfg.name,
		      old ? old->spi_in : 0, c->spi_in, "the old one is gone already");
	}
	ike_child_install(c);
}

/* What the peer has, or believes to have, we cannot have. Takes the offer. */
void ike_create_child_abandon(struct ike_sa *sa, struct ike_child *old, struct ike_offer *o,
			      const struct ike_terms *terms)
{
	failed(sa, old, o->resource, false);
	ike_offer_free(sa->ike, o, disown(sa, o, terms) != NULL);
}

/* Nothing came of it at either end. Takes the offer. */
void ike_create_child_failed(struct ike_sa *sa, struct ike_child *old, struct ike_offer *o,
			     bool temporary)
{
	failed(sa, old, o ? o->resource : 0, temporary);
	ike_offer_free(sa->ike, o, false);
}

void ike_create_child_response(struct ike_sa *sa, const struct ike_packet *p,
			       const struct ike_msg *m)
{
	struct ike_offer *o = sa->req.offer;
	struct ike_child *old = sa->req.child;
	const bool rekey = sa->req.task == IKE_TASK_REKEY_CHILD;
	const struct ike_notify_payload *error = ike_msg_error(m);
	struct secret *shared = NULL;
	struct ike_nonces n;
	struct ike_terms terms;

	(void)p;
	sa->req.offer = NULL;
	sa->req.child = NULL;
	if (sa->state != IKE_ST_ESTABLISHED && sa->state != IKE_ST_REPLACED) {
		ike_offer_free(sa->ike, o, false); /* on its way out, and the child with it */
		return;
	}
	if (error) {
		refused(sa, m, old, o->resource, error);
		ike_offer_free(sa->ike, o, false);
		return;
	}
	ike_terms_check(sa->tunnel, m, false, &terms);
	/* The peer may have chosen one of ours without PFS, whatever we sent for the others. */
	if (!terms.error && terms.suite.dh != IKE_DH_NONE && terms.suite.dh != o->group)
		terms.error = IKE_N_NO_PROPOSAL_CHOSEN;
	if (!terms.error && old && !ike_terms_cover(&terms, old))
		terms.error = IKE_N_TS_UNACCEPTABLE;
	if (terms.error) {
		ike_terms_report(sa->tunnel, m, &terms, false);
		ike_create_child_abandon(sa, old, o, &terms);
		return;
	}
	terms.resource = rekey ? o->resource : ike_resource_answered(sa, m, o->resource);
	terms.useless = !rekey && ike_resource_useless(m, o->resource, terms.resource);
	if (old)
		terms.grouped = old->grouped;
	if (terms.suite.dh != IKE_DH_NONE && m->present & IKE_HAS_KE)
		shared = ike_ke_finish(sa->ike, o->dh, terms.suite.dh, &m->ke);
	if (terms.suite.dh != IKE_DH_NONE && !shared) {
		ike_count(sa->ike, IKE_CNT_RX_KE);
		ike_create_child_abandon(sa, old, o, &terms);
		return;
	}
	n = (struct ike_nonces){rd_of(o->nonce, sizeof(o->nonce)), m->nonce};
	if (ike_ke_additional(&terms.suite)) {
		o->follow = ike_follow_of_child(&terms, &n, shared);
		ike_follow_request(sa, old, o, m);
		return;
	}
	ike_create_child_conclude(sa, old, rekey, o, &terms, &n, shared);
	secret_free(shared);
}

/* ------------------------------------------------------------------ responder */

static void build_answer(struct ike_builder *b, const struct ike_terms *terms, uint32_t spi_in,
			 const uint8_t *nonce, const uint8_t *value, size_t value_size)
{
	ike_terms_answer_sa(b, terms, spi_in);
	ike_build_nonce(b, nonce, IKE_NONCE_SIZE);
	if (terms->suite.dh != IKE_DH_NONE)
		ike_build_ke(b, terms->suite.dh, value, value_size);
	ike_terms_answer_ts(b, terms);
	if (terms->grouped)
		ike_resource_build(b, terms->resource);
}

static void refuse(struct ike_sa *sa, uint16_t notify)
{
	if (notify == IKE_N_TEMPORARY_FAILURE)
		ike_count(sa->ike, IKE_CNT_TEMPORARY_FAILURE);
	ike_response_error(sa, notify, NULL, 0);
}

/*
 * All secrets are there. The answer is held until the inbound half stands: the peer may send the moment
 * it reads it. The slot is the child's, or free.
 */
void ike_create_child_accept(struct ike_sa *sa, struct ike_child *old, uint32_t slot,
			     uint32_t spi_in, const struct ike_terms *terms,
			     const struct ike_nonces *n, const struct secret *shared,
			     struct ike_builder *answer)
{
	struct ike_child *c = NULL;
	const enum ike_err err =
		make_child(sa, false, slot, spi_in, terms, n, secret_rd(shared), &c);

	if (err != IKE_OK) {
		ike_slot_free(sa->ike, slot);
		ike_count(sa->ike, ike_counter_of(err));
		ike_response_error(
			sa, err == IKE_ERR_NONCE ? IKE_N_INVALID_SYNTAX : IKE_N_TEMPORARY_FAILURE,
			NULL, 0);
		return;
	}
	if (!ike_response_send(sa, answer, true)) {
		ike_child_gone(c, "child-create", "out of resources");
		return;
	}
	if (old) {
		c->replaces = old;
		old->rekeyed_by_peer = c;
		ike_timer_child_replaced(old, true);
	}
	c->reply_held = true;
	ike_child_install(c);
}

static void accept_request(struct ike_sa *sa, const struct ike_msg *m, struct ike_child *old)
{
	struct ike *ike = sa->ike;
	uint8_t nonce[IKE_NONCE_SIZE], value[IKE_DH_MAX], buf[IKE_MESSAGE_MAX];
	struct secret *shared = NULL;
	size_t value_size = 0;
	uint32_t slot, spi_in;
	struct ike_builder b;
	struct ike_terms terms;
	struct ike_nonces n;

	ike_terms_answer(sa->tunnel, m, false, &terms);
	if (!terms.error && old && !ike_terms_cover(&terms, old))
		terms.error = IKE_N_TS_UNACCEPTABLE;
	if (terms.error) {
		ike_terms_report(sa->tunnel, m, &terms, true);
		refuse(sa, terms.error);
		return;
	}
	if (terms.suite.dh != IKE_DH_NONE &&
	    (!(m->present & IKE_HAS_KE) || m->ke.dh != terms.suite.dh)) {
		const uint8_t group[2] = {(uint8_t)(terms.suite.dh >> 8), (uint8_t)terms.suite.dh};

		ike_count(ike, IKE_CNT_INVALID_KE);
		ike_response_error(sa, IKE_N_INVALID_KE_PAYLOAD, group, sizeof(group));
		return;
	}
	if (old) {
		terms.grouped = old->grouped;
		terms.resource = old->resource;
	} else if (!ike_resource_accept(sa, m, &terms)) {
		ike_count(ike, IKE_CNT_TS_MAX_QUEUE);
		refuse(sa, IKE_N_TS_MAX_QUEUE);
		return;
	}
	if (!ike_child_room(sa->tunnel, 2) || !ike_random(ike, nonce, sizeof(nonce))) {
		refuse(sa, IKE_N_NO_ADDITIONAL_SAS);
		return;
	}
	if (terms.suite.dh != IKE_DH_NONE) {
		shared = ike_ke_answer(ike, terms.suite.dh, &m->ke, value, &value_size);
		if (!shared) {
			ike_count(ike, IKE_CNT_RX_KE);
			refuse(sa, IKE_N_INVALID_SYNTAX);
			return;
		}
	}
	if (!ike_slot_alloc(ike, &slot, &spi_in)) {
		refuse(sa, IKE_N_NO_ADDITIONAL_SAS);
		secret_free(shared);
		return;
	}
	n = (struct ike_nonces){m->nonce, rd_of(nonce, sizeof(nonce))};
	ike_build_open_inner(&b, buf, sizeof(buf));
	build_answer(&b, &terms, spi_in, nonce, value, value_size);
	if (ike_ke_additional(&terms.suite)) {
		struct ike_follow *f = ike_follow_of_child(&terms, &n, shared);

		if (f) {
			f->slot = slot;
			f->spi_in = spi_in;
			f->rekey = old != NULL;
			f->old_spi_in = old ? old->spi_in : 0;
		} else {
			ike_slot_free(ike, slot);
		}
		ike_follow_await(sa, f, &b);
		return;
	}
	ike_create_child_accept(sa, old, slot, spi_in, &terms, &n, shared, &b);
	secret_free(shared);
}

/* RFC 7296 2.25.2: no child is made while the IKE SA is being rekeyed or closed. */
bool ike_sa_in_change(const struct ike_sa *sa)
{
	return (sa->req.data && sa->req.task == IKE_TASK_REKEY_IKE) || sa->redundant ||
	       sa->state != IKE_ST_ESTABLISHED || sa->rekeyed_by_peer || sa->rekeyed_by_us;
}

void ike_create_child_request(struct ike_sa *sa, const struct ike_packet *p,
			      const struct ike_msg *m)
{
	(void)p;
	if (ike_sa_in_change(sa))
		refuse(sa, IKE_N_TEMPORARY_FAILURE);
	else
		accept_request(sa, m, NULL);
}

/* Not being closed, nor rekeyed by the peer already, or by us and that is finished (2.25.1). */
bool ike_child_rekeyable(const struct ike_child *old, const struct ike_sa *sa)
{
	return old->state == IKE_CH_INSTALLED && !old->rekeyed_by_peer && !old->rekeyed_by_us &&
	       !old->redundant && old->sa == sa; /* or not handed to this IKE SA yet */
}

void ike_rekey_child_request(struct ike_sa *sa, const struct ike_packet *p, const struct ike_msg *m)
{
	const struct ike_notify_payload *rekey = ike_msg_notify(m, IKE_N_REKEY_SA);
	struct rd r = rd_of(rekey->spi, rekey->spi_size);
	struct ike_child *old = NULL;
	uint8_t spi_bytes[IKE_ESP_SPI_SIZE];
	uint32_t spi;

	(void)p;
	if (rekey->protocol != IKE_PROTO_ESP || rekey->spi_size != IKE_ESP_SPI_SIZE ||
	    !rd_u32(&r, &spi)) {
		ike_count(sa->ike, IKE_CNT_RX_PAYLOAD);
		refuse(sa, IKE_N_INVALID_SYNTAX);
		return;
	}
	if (ike_sa_in_change(sa)) {
		refuse(sa, IKE_N_TEMPORARY_FAILURE);
		return;
	}
	old = ike_child_by_spi_out(sa->tunnel, spi);
	if (!old && sa->req.data &&
	    (sa->req.task == IKE_TASK_NEW_CHILD || sa->req.task == IKE_TASK_REKEY_CHILD)) {
		/* It may be the one whose response is still on its way to us. */
		refuse(sa, IKE_N_TEMPORARY_FAILURE);
		return;
	}
	if (!old) {
		/* RFC 7296 2.25.1: with the SPI that was asked for. */
		struct ike_builder b;
		uint8_t buf[64];
		struct wr w = wr_of(spi_bytes, sizeof(spi_bytes));

		wr_u32(&w, spi);
		ike_build_open_inner(&b, buf, sizeof(buf));
		ike_build_notify(&b, IKE_PROTO_ESP, spi_bytes, sizeof(spi_bytes),
				 IKE_N_CHILD_SA_NOT_FOUND, NULL, 0);
		ike_response_send(sa, &b, false);
		return;
	}
	if (!ike_child_rekeyable(old, sa)) {
		refuse(sa, IKE_N_TEMPORARY_FAILURE);
		return;
	}
	accept_request(sa, m, old);
}

/* CREATE_CHILD_SA on an IKE SA that is replaced or being deleted. */
void ike_refuse_request(struct ike_sa *sa, const struct ike_packet *p, const struct ike_msg *m)
{
	(void)p;
	(void)m;
	refuse(sa, IKE_N_TEMPORARY_FAILURE);
}
