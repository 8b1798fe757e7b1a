/* SPDX-License-Identifier: Apache-2.0 */
/* exchange_informational: Delete, dead peer detection and error notifies (RFC 7296 1.4). */
#include "ike/ike_int.h"

/* ------------------------------------------------------------------ initiator */

void ike_info_start_delete_ike(struct ike_sa *sa)
{
	struct ike_builder b;
	uint8_t buf[64];

	sa->want_delete = false;
	ike_build_open_inner(&b, buf, sizeof(buf));
	if (sa->delete_auth_failed)
		ike_build_notify(&b, IKE_PROTO_NONE, NULL, 0, IKE_N_AUTHENTICATION_FAILED, NULL, 0);
	ike_build_delete(&b, IKE_PROTO_IKE, 0, NULL, 0); /* 3.11: SPI size 0 */
	if (!ike_request_send(sa, IKE_TASK_DELETE_IKE, IKE_INFORMATIONAL, &b, NULL, NULL))
		ike_sa_close(sa, "ike-delete", "out of resources");
}

void ike_info_start_delete_child(struct ike_sa *sa, struct ike_child *c)
{
	uint8_t buf[64], spi[IKE_ESP_SPI_SIZE];
	struct wr w = wr_of(spi, sizeof(spi));
	struct ike_builder b;

	c->want_delete = false;
	wr_u32(&w, c->spi_in); /* 3.11: what we would receive on */
	ike_build_open_inner(&b, buf, sizeof(buf));
	ike_build_delete(&b, IKE_PROTO_ESP, IKE_ESP_SPI_SIZE, spi, 1);
	if (!ike_request_send(sa, IKE_TASK_DELETE_CHILD, IKE_INFORMATIONAL, &b, c, NULL))
		ike_child_retire(c, "child-delete", "out of resources");
}

void ike_info_start_dpd(struct ike_sa *sa)
{
	struct ike_builder b;
	uint8_t buf[128];

	sa->want_dpd = false;
	ike_build_open_inner(&b, buf, sizeof(buf));
	ike_mobike_build_dpd(sa, &b);
	ike_count(sa->ike, IKE_CNT_DPD_SENT);
	ike_request_send(sa, IKE_TASK_DPD, IKE_INFORMATIONAL, &b, NULL, NULL);
}

void ike_info_response(struct ike_sa *sa, const struct ike_packet *p, const struct ike_msg *m)
{
	struct ike_child *c = sa->req.child;

	sa->req.child = NULL;
	if (sa->req.task == IKE_TASK_DELETE_IKE) {
		ike_sa_close(sa, "ike-delete", sa->delete_reason ? sa->delete_reason : "deleted");
	} else if (sa->req.task == IKE_TASK_DELETE_CHILD && c) {
		ike_child_retire(c, "child-delete", "deleted by us");
		ike_sync_child_unknown(sa, m);
	} else { /* whatever it says: it answers */
		if (sa->req.task == IKE_TASK_NOTICE)
			ike_ticket_take(sa, m);
		ike_mobike_response(sa, p, m);
	}
}

/* ------------------------------------------------------------------ responder */

#define PAIRS_MAX IKE_MAX_CHILDREN_OF_TUNNEL

/* One Delete of children: SPIs that the peer receives on. Adds those that we have to the n so far. */
static size_t delete_children(struct ike_sa *sa, const struct ike_delete_payload *d,
			      struct ike_child **retired, size_t n)
{
	struct rd r = rd_of(d->spis, (size_t)d->n_spis * IKE_ESP_SPI_SIZE);
	uint32_t spi;

	while (n < PAIRS_MAX && rd_u32(&r, &spi)) {
		struct ike_child *c = ike_child_by_spi_out(sa->tunnel, spi);

		if (!c) {
			if (sa->req.data &&
			    sa->n_doomed < sizeof(sa->doomed) / sizeof(sa->doomed[0]))
				sa->doomed[sa->n_doomed++] = spi;
			continue;
		}
		for (size_t i = 0; i < n; i++) {
			if (retired[i] == c)
				c = NULL;
		}
		if (c)
			retired[n++] = c;
	}
	return n;
}

static void answer_all(struct ike_sa *sa, const uint8_t *spis, size_t n, const struct ike_packet *p,
		       const struct ike_msg *m)
{
	uint8_t buf[512 + IKE_TICKET_MAX];
	struct ike_builder b;

	ike_build_open_inner(&b, buf, sizeof(buf));
	if (n)
		ike_build_delete(&b, IKE_PROTO_ESP, IKE_ESP_SPI_SIZE, spis, n);
	if (m)
		ike_extend_info_answer(sa, p, m, &b);
	ike_response_send(sa, &b, false);
}

static void answer_empty(struct ike_sa *sa)
{
	answer_all(sa, NULL, 0, NULL, NULL);
}

void ike_info_request(struct ike_sa *sa, const struct ike_packet *p, const struct ike_msg *m)
{
	struct ike_tunnel *t = sa->tunnel;
	struct ike_child *retired[PAIRS_MAX];
	uint8_t spis[PAIRS_MAX * IKE_ESP_SPI_SIZE];
	struct wr w = wr_of(spis, sizeof(spis));
	const struct ike_notify_payload *error = ike_msg_error(m);
	size_t n = 0;

	for (size_t i = 0; i < m->n_deletes; i++) {
		const struct ike_delete_payload *d = &m->deletes[i];

		if (d->protocol == IKE_PROTO_IKE) {
			answer_empty(sa);
			/* It had its reasons: not again in the same instant. */
			ike_timer_initiation_failed(t);
			ike_tunnel_dismissed(sa);
			ike_ticket_deleted(sa);
			ike_sa_close(sa, "ike-delete", "deleted by the peer");
			return;
		}
		/* 3.11: there may be several, with several SPIs each. */
		if (d->protocol == IKE_PROTO_ESP && d->spi_size == IKE_ESP_SPI_SIZE)
			n = delete_children(sa, d, retired, n);
	}
	if (sa->origin_initiator)
		ike_reauth_limit(sa, ike_reauth_granted(m));
	/* RFC 7296 2.21.2: the initiator did not accept our AUTH. */
	if (error && error->type == IKE_N_AUTHENTICATION_FAILED) {
		struct sb s = ike_event(sa->ike, IKE_HAP_AUTH_FAILED, t);

		sb_str(&s, "the peer did not accept our AUTH or identity");
		ike_count(sa->ike, IKE_CNT_AUTH_FAILED);
		answer_empty(sa);
		ike_sa_close(sa, "ike-auth", "the peer refused us");
		return;
	}
	for (size_t i = 0; i < n; i++) {
		struct ike_child *c = retired[i];
		struct ike_child *next = c->rekeyed_by_peer;

		/* 1.4.1, 2.25.1: the paired SPI; none for what we are deleting ourselves. */
		if (c->state != IKE_CH_DELETING || c->want_delete)
			wr_u32(&w, c->spi_in);
		c->want_delete = false;
		c->reply_held = false;
		ike_resource_deleted(c);
		ike_child_retire(c, "child-delete", "deleted by the peer");
		if (next)
			ike_timer_child_predecessor_gone(next);
	}
	answer_all(sa, spis, w.n / IKE_ESP_SPI_SIZE, p, m);
	if (!ike_extend_info_answered(sa, m))
		return;
	if (n && !t->current) {
		/* Who deleted it may be about to make another: let it go first. */
		ike_timer_child_creation_failed(t, false);
		ike_tunnel_run(t);
	}
}
