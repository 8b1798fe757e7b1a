/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exchange_followup: IKE_FOLLOWUP_KE, the additional key exchanges of a child or of an IKE SA that
 * CREATE_CHILD_SA has agreed on (RFC 9370 2.2.4), one for each exchange. Nothing exists before the last
 * one: the initiator keeps what it knows with its offer, the responder, for one such negotiation of an
 * IKE SA and for a limited time, in the IKE SA. What ties the exchanges together is a link, which the
 * responder draws anew for each step and the initiator repeats.
 *
 * The initiator sends each as the answer to the one before, so nothing of its own comes between them.
 * Whether what is asked for still makes sense (collisions, 2.25) is decided twice: at the beginning,
 * and again at the end by the same rules.
 */
#include <stdlib.h>
#include "ike/ike_int.h"

void ike_follow_free(struct ike *ike, struct ike_follow *f)
{
	if (!f)
		return;
	if (f->spi_in)
		ike_slot_free(ike, f->slot);
	secret_free(f->first);
	secret_free(f->further);
	ike->crypto.dh_free(ike->crypto.ctx, f->dh);
	bytes_wipe(f, sizeof(*f));
	free(f);
}

/* Takes the first secret. NULL: no memory. */
static struct ike_follow *follow_new(const struct ike_suite *suite, const struct ike_nonces *n,
				     struct secret *first)
{
	struct ike_follow *f = calloc(1, sizeof(*f));

	if (!f || n->ni.size > sizeof(f->ni) || n->nr.size > sizeof(f->nr)) {
		secret_free(first);
		free(f);
		return NULL;
	}
	f->suite = *suite;
	f->first = first;
	f->ni_size = n->ni.size;
	memcpy(f->ni, n->ni.p, n->ni.size);
	f->nr_size = n->nr.size;
	memcpy(f->nr, n->nr.p, n->nr.size);
	return f;
}

struct ike_follow *ike_follow_of_child(const struct ike_terms *terms, const struct ike_nonces *n,
				       struct secret *first)
{
	struct ike_follow *f = follow_new(&terms->suite, n, first);

	if (f)
		f->terms = *terms;
	return f;
}

struct ike_follow *ike_follow_of_ike(const struct ike_suite *suite, const struct ike_nonces *n,
				     uint64_t spi_i, uint64_t spi_r, struct secret *first)
{
	struct ike_follow *f = follow_new(suite, n, first);

	if (f) {
		f->ike = true;
		f->spi_i = spi_i;
		f->spi_r = spi_r;
	}
	return f;
}

static struct ike_nonces nonces_of(const struct ike_follow *f)
{
	return (struct ike_nonces){
		rd_of(f->ni, f->ni_size), rd_of(f->nr, f->nr_size),
		rd_of(f->further ? secret_data(f->further) : NULL, secret_size(f->further))};
}

/* One more secret; takes it. */
static bool add_secret(struct ike_follow *f, struct secret *one)
{
	f->further = ike_ke_join(f->further, one);
	f->next++;
	return f->further != NULL;
}

/* ------------------------------------------------------------------ initiator */

/* The peer has nothing yet but a state that times out. Takes the offer. */
static void failed(struct ike_sa *sa, struct ike_child *old, struct ike_offer *o, bool ike,
		   bool temporary)
{
	if (ike)
		ike_rekey_failed(sa, o, temporary);
	else
		ike_create_child_failed(sa, old, o, temporary);
}

/*
 * The next additional key exchange of o->follow, with the link that `m` carries. Takes the offer, in
 * which the follow-up may be missing for want of memory.
 */
void ike_follow_request(struct ike_sa *sa, struct ike_child *old, struct ike_offer *o,
			const struct ike_msg *m)
{
	const struct ike_notify_payload *link = ike_msg_notify(m, IKE_N_ADDITIONAL_KEY_EXCHANGE);
	struct ike_follow *f = o->follow;
	const bool ike = o->spi != 0;
	uint8_t value[IKE_DH_MAX], buf[IKE_DH_MAX + IKE_LINK_MAX + 64];
	struct ike_builder b;
	uint16_t method;
	size_t size;

	if (!f || !link || link->data.size > IKE_LINK_MAX || sa->state != IKE_ST_ESTABLISHED) {
		ike_count(sa->ike, f ? IKE_CNT_RX_SYNTAX : IKE_CNT_RESOURCES);
		failed(sa, old, o, ike, false);
		return;
	}
	method = ike_ke_next(&f->suite, &f->next);
	sa->ike->crypto.dh_free(sa->ike->crypto.ctx, f->dh);
	f->dh = ike_ke_new(sa->ike, method, value, &size);
	if (!f->dh) {
		ike_count(sa->ike, IKE_CNT_RESOURCES);
		failed(sa, old, o, ike, false);
		return;
	}
	ike_build_open_inner(&b, buf, sizeof(buf));
	ike_build_ke(&b, method, value, size);
	/* RFC 9370 2.2.4: the link as it came. */
	ike_build_notify(&b, IKE_PROTO_NONE, NULL, 0, IKE_N_ADDITIONAL_KEY_EXCHANGE, link->data.p,
			 link->data.size);
	if (!ike_request_send(sa, sa->req.task, IKE_FOLLOWUP_KE, &b, old, o)) {
		/* The offer is gone. */
		if (ike)
			ike_rekey_failed(sa, NULL, false);
		else
			ike_create_child_failed(sa, old, NULL, false);
	}
}

static void conclude(struct ike_sa *sa, struct ike_child *old, struct ike_offer *o)
{
	struct ike_follow *f = o->follow;
	const struct ike_nonces n = nonces_of(f);

	o->follow = NULL;
	if (f->ike)
		ike_rekey_conclude(sa, o, &f->suite, &n, f->spi_r, f->first);
	else
		ike_create_child_conclude(sa, old, sa->req.task == IKE_TASK_REKEY_CHILD, o,
					  &f->terms, &n, f->first);
	ike_follow_free(sa->ike, f);
}

void ike_follow_response(struct ike_sa *sa, const struct ike_packet *p, const struct ike_msg *m)
{
	const struct ike_notify_payload *error = ike_msg_error(m);
	struct ike_offer *o = sa->req.offer;
	struct ike_child *old = sa->req.child;
	struct ike_follow *f = o->follow;
	struct secret *one = NULL;
	unsigned last;

	(void)p;
	sa->req.offer = NULL;
	sa->req.child = NULL;
	if (error) {
		/* RFC 9370 2.2.4: with STATE_NOT_FOUND all of it has to begin anew. */
		if (error->type == IKE_N_TEMPORARY_FAILURE)
			ike_count(sa->ike, IKE_CNT_TEMPORARY_FAILURE);
		failed(sa, old, o, f->ike,
		       error->type == IKE_N_TEMPORARY_FAILURE ||
			       error->type == IKE_N_STATE_NOT_FOUND);
		return;
	}
	if (!f->ike && sa->state != IKE_ST_ESTABLISHED && sa->state != IKE_ST_REPLACED) {
		ike_offer_free(sa->ike, o, false);
		return;
	}
	if (m->present & IKE_HAS_KE)
		one = ike_ke_finish(sa->ike, f->dh, f->suite.ake[f->next], &m->ke);
	last = f->next + 1;
	if (!one || !add_secret(f, one)) {
		ike_count(sa->ike, IKE_CNT_RX_KE);
		/* After the last one the peer has the child. */
		if (!f->ike && ike_ke_next(&f->suite, &last) == IKE_DH_NONE)
			ike_create_child_abandon(sa, old, o, &f->terms);
		else
			failed(sa, old, o, f->ike, false);
		return;
	}
	if (ike_ke_next(&f->suite, &f->next) == IKE_DH_NONE)
		conclude(sa, old, o);
	else
		ike_follow_request(sa, old, o, m);
}

/* ------------------------------------------------------------------ responder */

void ike_follow_drop(struct ike_sa *sa)
{
	ike_follow_free(sa->ike, sa->follow);
	sa->follow = NULL;
	ike_timer_follow_done(sa);
}

static bool add_link(struct ike_sa *sa, struct ike_follow *f, struct ike_builder *b)
{
	if (!ike_random(sa->ike, f->link, sizeof(f->link)))
		return false;
	ike_build_notify(b, IKE_PROTO_NONE, NULL, 0, IKE_N_ADDITIONAL_KEY_EXCHANGE, f->link,
			 sizeof(f->link));
	return true;
}

/* After CREATE_CHILD_SA. Takes the follow-up, which may be missing for want of memory. */
void ike_follow_await(struct ike_sa *sa, struct ike_follow *f, struct ike_builder *answer)
{
	if (!f || !add_link(sa, f, answer)) {
		ike_count(sa->ike, IKE_CNT_RESOURCES);
		ike_follow_free(sa->ike, f);
		ike_response_error(sa, IKE_N_TEMPORARY_FAILURE, NULL, 0);
		return;
	}
	ike_follow_drop(sa);
	sa->follow = f;
	ike_timer_follow(sa);
	ike_response_send(sa, answer, false);
}

static void refuse(struct ike_sa *sa, uint16_t notify)
{
	ike_follow_drop(sa);
	if (notify == IKE_N_TEMPORARY_FAILURE)
		ike_count(sa->ike, IKE_CNT_TEMPORARY_FAILURE);
	ike_response_error(sa, notify, NULL, 0);
}

/* RFC 7296 2.25: what has happened since may stand in the way now. */
static void complete(struct ike_sa *sa, struct ike_builder *answer)
{
	struct ike_follow *f = sa->follow;
	struct ike_nonces n = nonces_of(f);
	struct ike_child *old = NULL;
	uint32_t spi_in = f->spi_in;

	if (f->ike) {
		if (ike_rekey_in_change(sa)) {
			refuse(sa, IKE_N_TEMPORARY_FAILURE);
			return;
		}
		sa->follow = NULL;
		ike_rekey_accept(sa, &f->suite, &n, f->spi_i, f->spi_r, f->first, answer);
	} else {
		if (f->rekey)
			old = ike_child_by_spi_in(sa->tunnel, f->old_spi_in);
		if (ike_sa_in_change(sa) || !ike_child_room(sa->tunnel, 2) ||
		    (f->rekey && (!old || !ike_child_rekeyable(old, sa)))) {
			refuse(sa, IKE_N_TEMPORARY_FAILURE);
			return;
		}
		sa->follow = NULL;
		f->spi_in = 0; /* the slot is the child's */
		ike_create_child_accept(sa, old, f->slot, spi_in, &f->terms, &n, f->first, answer);
	}
	ike_timer_follow_done(sa);
	ike_follow_free(sa->ike, f);
}

void ike_follow_take(struct ike_sa *sa, const struct ike_packet *p, const struct ike_msg *m)
{
	const struct ike_notify_payload *link = ike_msg_notify(m, IKE_N_ADDITIONAL_KEY_EXCHANGE);
	struct ike_follow *f = sa->follow;
	uint8_t value[IKE_DH_MAX], buf[IKE_DH_MAX + IKE_LINK_SIZE + 64];
	struct secret *one = NULL;
	struct ike_builder b;
	uint16_t method;
	size_t size;

	(void)p;
	/* RFC 9370 2.2.4: of no negotiation that we know. */
	if (!f || !link || link->data.size != sizeof(f->link) ||
	    !bytes_equal_ct(link->data.p, f->link, sizeof(f->link))) {
		ike_count(sa->ike, IKE_CNT_RX_STATE);
		ike_response_error(sa, IKE_N_STATE_NOT_FOUND, NULL, 0);
		return;
	}
	method = ike_ke_next(&f->suite, &f->next);
	if (m->present & IKE_HAS_KE)
		one = ike_ke_answer(sa->ike, method, &m->ke, value, &size);
	if (!one || !add_secret(f, one)) {
		ike_count(sa->ike, IKE_CNT_RX_KE);
		refuse(sa, IKE_N_INVALID_SYNTAX);
		return;
	}
	ike_build_open_inner(&b, buf, sizeof(buf));
	ike_build_ke(&b, method, value, size);
	if (ike_ke_next(&f->suite, &f->next) == IKE_DH_NONE) {
		complete(sa, &b);
	} else if (add_link(sa, f, &b)) {
		ike_timer_follow(sa);
		ike_response_send(sa, &b, false);
	} else {
		refuse(sa, IKE_N_TEMPORARY_FAILURE);
	}
}
