/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exchange_rekey_ike: a new IKE SA from an old one (RFC 7296 1.3.2, 2.8, 2.18). The new object
 * inherits the children, which nothing in the dataplane notices; the old one is left to deletion.
 */
#include <stdlib.h>
#include "ike/ike_int.h"

static void put_spi(uint8_t out[IKE_SPI_SIZE], uint64_t spi)
{
	struct wr w = wr_of(out, IKE_SPI_SIZE);

	wr_u64(&w, spi);
}

static uint64_t spi_of(const struct ike_proposal *p)
{
	struct rd r = rd_of(p->spi, p->spi_size);
	uint64_t spi;

	return p->spi_size == IKE_SPI_SIZE && rd_u64(&r, &spi) ? spi : 0;
}

/* RFC 7296 2.18: with the old SA's prf and SK_d. */
static enum ike_err derive(const struct ike_sa *old, const struct ike_suite *suite,
			   const struct ike_nonces *n, const struct secret *shared, uint64_t spi_i,
			   uint64_t spi_r, struct ike_sa_keys *keys)
{
	return ike_keys_rekey(&old->ike->crypto, (enum ike_prf)old->suite.prf, old->keys.d, suite,
			      n, secret_data(shared), secret_size(shared), spi_i, spi_r, keys);
}

/* What the new SA takes from its line. The object exists and has its SPIs and keys. */
static void succeed(struct ike_sa *sa, const struct ike_sa *old, const char *reason)
{
	struct ike *ike = sa->ike;
	struct sb s;
	char suite[IKE_SUITE_STRLEN];

	sa->local = old->local;
	sa->remote = old->remote;
	sa->natt = old->natt;
	sa->local_nat = old->local_nat;
	sa->remote_nat = old->remote_nat;
	sa->fragment_size = old->fragment_size;
	ike_extend_inherit(sa, old);
	sa->origin = old->origin;
	sa->origin_initiator = old->origin_initiator;
	ike_mobike_established(sa);
	sa->line_since = old->line_since;
	sa->auth_until = old->auth_until;
	sa->reauth_at = old->reauth_at;
	sa->established = ike->now;
	ike_sa_set_state(sa, IKE_ST_ESTABLISHED, "ike-rekey", reason);
	ike_timer_established(sa);
	ike_count(ike, IKE_CNT_IKE_REKEYED);
	s = ike_event(ike, IKE_HAP_IKE_REKEYED, sa->tunnel);
	sb_printf(&s, "%s, %s", reason, ike_suite_format(&sa->suite, suite));
}

/* ------------------------------------------------------------------ initiator */

static uint16_t first_group(const struct ike_sa *sa)
{
	const struct ike_tunnel_cfg *cfg = &sa->tunnel->cfg;
	uint16_t wish = sa->rekey_group ? sa->rekey_group : sa->suite.dh;

	return ike_algs_have(&cfg->ike_algs, IKE_TRANSFORM_DH, wish, 0)
		       ? wish
		       : ike_algs_first_dh(&cfg->ike_algs);
}

void ike_rekey_start(struct ike_sa *sa)
{
	struct ike *ike = sa->ike;
	const struct ike_tunnel_cfg *cfg = &sa->tunnel->cfg;
	struct ike_offer *o = calloc(1, sizeof(*o));
	uint8_t public[IKE_DH_MAX], buf[IKE_MESSAGE_MAX], spi[IKE_SPI_SIZE];
	struct ike_builder b;

	sa->want_rekey = false;
	if (!o)
		goto fail;
	o->group = first_group(sa);
	o->spi = ike_spi_new(ike);
	o->dh = ike->crypto.dh_new(ike->crypto.ctx, (enum ike_dh)o->group, public);
	if (!o->spi || !o->dh || !ike_random(ike, o->nonce, sizeof(o->nonce)))
		goto fail;
	put_spi(spi, o->spi);
	ike_build_open_inner(&b, buf, sizeof(buf));
	ike_build_sa(&b, IKE_PROTO_IKE, spi, sizeof(spi), &cfg->ike_algs, false, o->group);
	ike_build_nonce(&b, o->nonce, sizeof(o->nonce));
	ike_build_ke(&b, o->group, public, ike_dh_desc(o->group)->public_size);
	trace(ike->tracer, LOG_LEVEL_INFO, "%s[%016llx] ike-rekey: established -> requested (ours)",
	      cfg->name, (unsigned long long)ike_sa_our_spi(sa));
	if (!ike_request_send(sa, IKE_TASK_REKEY_IKE, IKE_CREATE_CHILD_SA, &b, NULL, o))
		ike_timer_ike_rekey_failed(sa, false);
	return;
fail:
	ike_count(ike, IKE_CNT_RESOURCES);
	ike_offer_free(ike, o, false);
	ike_timer_ike_rekey_failed(sa, false);
}

/* Ours came to nothing; the peer's, if it collided, stands alone. */
static void failed(struct ike_sa *sa, bool temporary)
{
	if (sa->rekeyed_by_peer)
		ike_settle_ike_rekey(sa);
	else
		ike_timer_ike_rekey_failed(sa, temporary);
}

static void refused(struct ike_sa *sa, const struct ike_notify_payload *error)
{
	struct rd data = error->data;
	const uint16_t tried = first_group(sa);
	uint16_t group;

	if (error->type == IKE_N_TEMPORARY_FAILURE) {
		ike_count(sa->ike, IKE_CNT_TEMPORARY_FAILURE);
		failed(sa, true);
	} else if (error->type == IKE_N_INVALID_KE_PAYLOAD && rd_u16(&data, &group) &&
		   group != tried) {
		ike_count(sa->ike, IKE_CNT_INVALID_KE);
		sa->rekey_group = group; /* taken only if a suite of ours has it */
		failed(sa, first_group(sa) == group);
	} else {
		struct sb s = ike_event(sa->ike, IKE_HAP_NO_PROPOSAL, sa->tunnel);

		sb_printf(&s, "the peer refused to rekey the IKE SA: %s",
			  ike_notify_name(error->type));
		if (error->type == IKE_N_NO_PROPOSAL_CHOSEN)
			ike_count(sa->ike, IKE_CNT_NO_PROPOSAL);
		failed(sa, false);
	}
}

/* All secrets are there: the new SA, or the end of it. Takes the offer. */
void ike_rekey_conclude(struct ike_sa *sa, struct ike_offer *o, const struct ike_suite *suite,
			const struct ike_nonces *n, uint64_t spi_r, const struct secret *shared)
{
	struct ike *ike = sa->ike;
	struct ike_sa_keys keys = {0};
	const enum ike_err err = derive(sa, suite, n, shared, o->spi, spi_r, &keys);
	struct ike_sa *fresh = err == IKE_OK ? ike_sa_new(ike, sa->tunnel, true) : NULL;

	if (!fresh) {
		if (err != IKE_OK)
			ike_count(ike, ike_counter_of(err));
		ike_sa_keys_free(&keys);
		ike_rekey_failed(sa, o, false);
		return;
	}
	fresh->spi_i = o->spi;
	ike_table_put(&ike->by_spi, &fresh->by_spi, o->spi);
	fresh->spi_r = spi_r;
	fresh->suite = *suite;
	fresh->keys = keys;
	fresh->rank = ike_rank_of(n->ni.p, n->ni.size, n->nr.p, n->nr.size);
	ike_offer_free(ike, o, false);
	succeed(fresh, sa, "by us");
	if (sa->state == IKE_ST_DELETING) {
		ike_sa_delete(fresh, sa->delete_reason); /* the whole line was to go */
		return;
	}
	sa->rekeyed_by_us = fresh;
	ike_settle_ike_rekey(sa);
}

void ike_rekey_failed(struct ike_sa *sa, struct ike_offer *o, bool temporary)
{
	ike_offer_free(sa->ike, o, false);
	failed(sa, temporary);
}

void ike_rekey_response(struct ike_sa *sa, const struct ike_packet *p, const struct ike_msg *m)
{
	const struct ike_tunnel_cfg *cfg = &sa->tunnel->cfg;
	struct ike_offer *o = sa->req.offer;
	const struct ike_notify_payload *error = ike_msg_error(m);
	const struct ike_proposal *proposal = NULL;
	struct secret *shared = NULL;
	struct ike_suite suite;
	struct ike_nonces n;
	enum ike_err err;
	uint64_t spi_r = 0;

	(void)p;
	sa->req.offer = NULL;
	if (error) {
		refused(sa, error);
		ike_offer_free(sa->ike, o, false);
		return;
	}
	n = (struct ike_nonces){rd_of(o->nonce, sizeof(o->nonce)), m->nonce};
	err = ike_proposal_check(&m->sa, IKE_PROTO_IKE, &cfg->ike_algs, false, &suite, &proposal);
	if (err == IKE_OK && !(spi_r = spi_of(proposal)))
		err = IKE_ERR_NO_PROPOSAL;
	if (err == IKE_OK && suite.dh == o->group)
		shared = ike_ke_finish(sa->ike, o->dh, suite.dh, &m->ke);
	if (err == IKE_OK && !shared)
		err = IKE_ERR_KE;
	if (err != IKE_OK) {
		ike_count(sa->ike, ike_counter_of(err));
		ike_rekey_failed(sa, o, false);
		return;
	}
	if (ike_ke_additional(&suite)) {
		o->follow = ike_follow_of_ike(&suite, &n, o->spi, spi_r, shared);
		ike_follow_request(sa, NULL, o, m);
		return;
	}
	ike_rekey_conclude(sa, o, &suite, &n, spi_r, shared);
	secret_free(shared);
}

/* ------------------------------------------------------------------ responder */

/* RFC 7296 2.25.2: not while a child is being made, rekeyed or closed, nor this SA itself. */
bool ike_rekey_in_change(const struct ike_sa *sa)
{
	const struct ike_child *c;

	if (sa->req.data &&
	    (sa->req.task == IKE_TASK_NEW_CHILD || sa->req.task == IKE_TASK_REKEY_CHILD ||
	     sa->req.task == IKE_TASK_DELETE_CHILD))
		return true;
	TAILQ_FOREACH(c, &sa->tunnel->children, entry)
	{
		if (c->sa == sa && (c->state == IKE_CH_ADDING_IN || c->state == IKE_CH_ADDING_OUT))
			return true;
	}
	return sa->rekeyed_by_peer || sa->redundant || sa->state != IKE_ST_ESTABLISHED;
}

static void build_answer(struct ike_builder *b, const struct ike_suite *suite, uint8_t number,
			 uint64_t spi_r, const uint8_t *nonce, const uint8_t *value, size_t size)
{
	uint8_t spi[IKE_SPI_SIZE];

	put_spi(spi, spi_r);
	ike_build_sa_chosen(b, number, IKE_PROTO_IKE, spi, sizeof(spi), suite);
	ike_build_nonce(b, nonce, IKE_NONCE_SIZE);
	ike_build_ke(b, suite->dh, value, size);
}

static void refuse(struct ike_sa *sa, uint16_t notify, enum ike_counter counter)
{
	ike_count(sa->ike, counter);
	ike_response_error(sa, notify, NULL, 0);
}

/* All secrets are there: the new SA and the answer that tells of it, or an error. */
void ike_rekey_accept(struct ike_sa *sa, const struct ike_suite *suite, const struct ike_nonces *n,
		      uint64_t spi_i, uint64_t spi_r, const struct secret *shared,
		      struct ike_builder *answer)
{
	struct ike *ike = sa->ike;
	struct ike_sa_keys keys = {0};
	const enum ike_err err = derive(sa, suite, n, shared, spi_i, spi_r, &keys);
	struct ike_sa *fresh = err == IKE_OK ? ike_sa_new(ike, sa->tunnel, false) : NULL;

	if (!fresh) {
		ike_sa_keys_free(&keys);
		refuse(sa,
		       err == IKE_ERR_KE || err == IKE_ERR_NONCE ? IKE_N_INVALID_SYNTAX
								 : IKE_N_TEMPORARY_FAILURE,
		       err == IKE_OK ? IKE_CNT_RESOURCES : ike_counter_of(err));
		return;
	}
	fresh->spi_i = spi_i;
	fresh->spi_r = spi_r;
	ike_table_put(&ike->by_spi, &fresh->by_spi, spi_r);
	fresh->suite = *suite;
	fresh->keys = keys;
	if (!ike_response_send(sa, answer, false)) {
		ike_sa_close(fresh, "ike-rekey", "failed");
		return;
	}
	fresh->rank = ike_rank_of(n->ni.p, n->ni.size, n->nr.p, n->nr.size);
	succeed(fresh, sa, "by the peer");
	sa->rekeyed_by_peer = fresh;
	/* With a request of our own under way the nonces decide, once that is answered (2.8.2). */
	if (!(sa->req.data && sa->req.task == IKE_TASK_REKEY_IKE))
		ike_settle_ike_rekey(sa);
}

void ike_rekey_request(struct ike_sa *sa, const struct ike_packet *p, const struct ike_msg *m)
{
	struct ike *ike = sa->ike;
	const struct ike_tunnel_cfg *cfg = &sa->tunnel->cfg;
	uint8_t nonce[IKE_NONCE_SIZE], value[IKE_DH_MAX], buf[IKE_MESSAGE_MAX];
	const struct ike_proposal *proposal = NULL;
	struct secret *shared;
	struct ike_builder b;
	struct ike_suite suite;
	struct ike_nonces n;
	uint64_t spi_i, spi_r;
	size_t size = 0;

	(void)p;
	if (ike_rekey_in_change(sa)) {
		refuse(sa, IKE_N_TEMPORARY_FAILURE, IKE_CNT_TEMPORARY_FAILURE);
		return;
	}
	if (ike_proposal_select_ke(&m->sa, IKE_PROTO_IKE, &cfg->ike_algs, m->ke.dh, &suite,
				   &proposal) != IKE_OK ||
	    !(spi_i = spi_of(proposal))) {
		refuse(sa, IKE_N_NO_PROPOSAL_CHOSEN, IKE_CNT_NO_PROPOSAL);
		return;
	}
	if (m->ke.dh != suite.dh) {
		const uint8_t group[2] = {(uint8_t)(suite.dh >> 8), (uint8_t)suite.dh};

		ike_count(ike, IKE_CNT_INVALID_KE);
		ike_response_error(sa, IKE_N_INVALID_KE_PAYLOAD, group, sizeof(group));
		return;
	}
	shared = ike_ke_answer(ike, suite.dh, &m->ke, value, &size);
	if (!shared) {
		refuse(sa, IKE_N_INVALID_SYNTAX, IKE_CNT_RX_KE);
		return;
	}
	spi_r = ike_spi_new(ike);
	if (!spi_r || !ike_random(ike, nonce, sizeof(nonce))) {
		refuse(sa, IKE_N_TEMPORARY_FAILURE, IKE_CNT_RESOURCES);
		secret_free(shared);
		return;
	}
	n = (struct ike_nonces){m->nonce, rd_of(nonce, sizeof(nonce))};
	ike_build_open_inner(&b, buf, sizeof(buf));
	build_answer(&b, &suite, proposal->number, spi_r, nonce, value, size);
	if (ike_ke_additional(&suite)) {
		ike_follow_await(sa, ike_follow_of_ike(&suite, &n, spi_i, spi_r, shared), &b);
		return;
	}
	ike_rekey_accept(sa, &suite, &n, spi_i, spi_r, shared, &b);
	secret_free(shared);
}
