/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sync: message ids after a failover (RFC 6311).
 *
 * Who takes over an IKE SA may know less of it than who had it before. It says so in an INFORMATIONAL
 * request outside of the window, with message id 0: the ids that it would use next. The peer
 * answers with the higher of those and its own, and both go on from there.
 *
 * Ids only ever go up. So a request that was recorded and comes again changes nothing: what it says
 * is not above what we know since. It is answered, though, for the answer to the first one may be
 * lost; it is no sign of life, and is as long as its answer.
 *
 * As who takes over: until the answer is there, the window is shut both ways. Then a request of ours
 * that was recorded is repeated, or, if the peer has taken it and answered to our predecessor, its
 * outcome is lost. Where that matters, and where the peer does not know this extension, the IKE SA ends.
 *
 * Replay counters of ESP (IPSEC_REPLAY_COUNTER_SYNC) are not synchronised, and we do not say that we
 * could: after a takeover the children are made anew, which leaves neither an old nonce nor an old
 * packet anything to do. Those of the record are deleted for that; if it turns out that the peer has
 * others, which we cannot name, the IKE SA ends.
 */
#include "ike/ike_int.h"

#define DATA_SIZE (IKE_SYNC_NONCE_SIZE + 8)
#define MID_JUMP  1024 /* more requests than anybody makes between a record and what ends it */

/* ------------------------------------------------------------------------ ids */

/* Something of ours that the peer has taken without our ever hearing of it. False: it matters. */
static bool forget_request(struct ike_sa *sa)
{
	struct ike_child *c = sa->req.child;

	switch (sa->req.task) {
	case IKE_TASK_DPD: break;
	case IKE_TASK_NOTICE:
		sa->want_notice = sa->notice_addresses = sa->notice_token = true;
		break;
	case IKE_TASK_UPDATE: sa->mobike.want_update = true; break;
	case IKE_TASK_CHECK: sa->mobike.want_check = true; break;
	case IKE_TASK_DELETE_CHILD: /* its answer says nothing that we would not know */
		sa->req.child = NULL;
		ike_request_done(sa);
		if (c)
			ike_child_retire(c, "child-delete", "deleted by us");
		return true;
	case IKE_TASK_NONE:
	case IKE_TASK_INIT:
	case IKE_TASK_INTERMEDIATE:
	case IKE_TASK_AUTH:
	case IKE_TASK_DELETE_IKE:
	case IKE_TASK_REKEY_IKE:
	case IKE_TASK_REKEY_CHILD:
	case IKE_TASK_NEW_CHILD:
	case IKE_TASK_END: return false;
	}
	ike_request_done(sa);
	return true;
}

/* RFC 6311 5.1: to the higher one each, never back. False: an exchange of ours is lost by it. */
static bool go_up(struct ike_sa *sa, uint32_t send, uint32_t expected)
{
	if (expected > sa->tx_mid) {
		if (sa->req.data && !forget_request(sa))
			return false;
		sa->tx_mid = expected;
	}
	if (send > sa->rx_mid) {
		sa->rx_mid = send;
		ike_reassembly_free(sa, false);
		ike_sealed_free(sa->response);
		sa->response = NULL;
	}
	return true;
}

static bool parse(const struct ike_notify_payload *n, const uint8_t **nonce, uint32_t *send,
		  uint32_t *expected)
{
	struct rd r = n->data;

	return rd_bytes(&r, IKE_SYNC_NONCE_SIZE, nonce) && rd_u32(&r, send) &&
	       rd_u32(&r, expected) && rd_empty(&r);
}

/* IKEV2_MESSAGE_ID_SYNC (RFC 6311 6.3) with our ids. */
static struct ike_sealed *seal(struct ike_sa *sa, const uint8_t *nonce, bool response)
{
	const struct ike_header h = ike_header_of(sa, IKE_INFORMATIONAL, 0, response);
	uint8_t data[DATA_SIZE], buf[64];
	struct wr w = wr_of(data, sizeof(data));
	struct ike_builder b;
	struct ike_sealed *s;

	wr_bytes(&w, nonce, IKE_SYNC_NONCE_SIZE);
	wr_u32(&w, sa->tx_mid);
	wr_u32(&w, sa->rx_mid - sa->resync.was_busy); /* not answered, for all that we know */
	ike_build_open_inner(&b, buf, sizeof(buf));
	ike_build_notify(&b, IKE_PROTO_NONE, NULL, 0, IKE_N_IKEV2_MESSAGE_ID_SYNC, data, w.n);
	s = ike_seal(sa, &h, &b);
	if (!s)
		ike_count(sa->ike, IKE_CNT_RESOURCES);
	return s;
}

/* ------------------------------------------------------- as who has taken over */

void ike_sync_free(struct ike_sa *sa)
{
	ike_sealed_free(sa->resync.data);
	sa->resync.data = NULL;
}

void ike_sync_again(struct ike_sa *sa)
{
	const struct ike_sealed *s = sa->resync.data;

	if (sa->resync.n_sent++)
		ike_count(sa->ike, IKE_CNT_TX_RETRANSMIT);
	ike_send(sa->ike, sa->tunnel->cfg.tunnel, &sa->local, &sa->remote, s->bytes, s->size);
	ike_timer_sync_sent(sa);
}

/* The peer does not know of what we lost, so we are not to wait for it. */
static void come_back(struct ike_tunnel *t)
{
	t->wanted = !t->removed && (t->wanted || t->cfg.dpd_action == IKE_DPD_RESTART);
}

static void give_up(struct ike_sa *sa, const char *reason)
{
	if (sa->state == IKE_ST_ESTABLISHED)
		come_back(sa->tunnel);
	ike_sa_delete(sa, reason);
}

/* The answer to the Delete of a child that the record has. True: the peer had another one. */
bool ike_sync_child_unknown(struct ike_sa *sa, const struct ike_msg *m)
{
	if (!sa->resync.doubt || m->n_deletes)
		return false;
	give_up(sa, "its children changed before the takeover");
	return true;
}

void ike_sync_start(struct ike_sa *sa)
{
	struct ike_resync *r = &sa->resync;

	if (!sa->agreed.sync) {
		come_back(sa->tunnel);
		ike_sa_close(sa, "sync", "its peer cannot make message ids equal after a takeover");
		return;
	}
	/* The peer may be behind as well, and then nobody knows which ids were used. */
	if (sa->req.data && sa->req.task != IKE_TASK_DELETE_CHILD)
		forget_request(sa);
	if (!sa->req.data && sa->tx_mid < IKE_MID_LAST - MID_JUMP)
		sa->tx_mid += MID_JUMP;
	if (ike_random(sa->ike, r->nonce, sizeof(r->nonce)))
		r->data = seal(sa, r->nonce, false);
	if (!r->data) {
		ike_sa_close(sa, "sync", "out of resources");
		return;
	}
	r->n_sent = 0;
	ike_sync_again(sa);
}

void ike_sync_response(struct ike_sa *sa, const struct ike_packet *p, const struct ike_msg *m)
{
	const struct ike_notify_payload *n = ike_msg_notify(m, IKE_N_IKEV2_MESSAGE_ID_SYNC);
	const bool was_busy = sa->resync.was_busy, half_made = sa->resync.half_made;
	uint32_t send, expected;
	const uint8_t *nonce;
	bool lost;

	(void)p;
	/* RFC 6311 5.1: with our nonce, or it is another one's answer. */
	if (!n || !parse(n, &nonce, &send, &expected) || !sa->resync.data ||
	    memcmp(nonce, sa->resync.nonce, IKE_SYNC_NONCE_SIZE) != 0 || send > IKE_MID_LAST ||
	    expected > IKE_MID_LAST) {
		ike_count(sa->ike, IKE_CNT_RX_SYNC);
		return;
	}
	ike_timer_stop(sa->ike, &sa->t_retransmit);
	ike_sync_free(sa);
	sa->resync = (struct ike_resync){.doubt = true};
	ike_timer_sign_of_life(sa);
	ike_count(sa->ike, IKE_CNT_SYNC_DONE);
	trace(sa->ike->tracer, LOG_LEVEL_INFO,
	      "%s[%016llx] sync: %u, %u -> %u, %u (after a takeover)", sa->tunnel->cfg.name,
	      (unsigned long long)ike_sa_our_spi(sa), sa->tx_mid, sa->rx_mid,
	      expected > sa->tx_mid ? expected : sa->tx_mid, send > sa->rx_mid ? send : sa->rx_mid);
	/* It still waits for the answer that our predecessor owed it. */
	sa->busy = was_busy && send < sa->rx_mid;
	lost = !go_up(sa, send, expected);
	if (sa->busy)
		ike_response_error(sa, IKE_N_TEMPORARY_FAILURE, NULL, 0);
	if (lost) {
		ike_request_done(sa);
		ike_offer_free(sa->ike, sa->req.offer, false);
		sa->req.offer = NULL;
		sa->req.child = NULL;
		sa->tx_mid = expected;
		if (sa->state == IKE_ST_DELETING) /* the peer has deleted it */
			ike_sa_close(sa, "sync", "deleted");
		else
			give_up(sa, "an exchange was lost in the takeover");
		return;
	}
	if (half_made && sa->state == IKE_ST_ESTABLISHED) {
		give_up(sa, "a child was being made at the takeover");
		return;
	}
	if (sa->req.data)
		ike_request_again(sa);
	else
		ike_sa_run(sa);
}

/* ------------------------------------------------------ for who has taken over */

/* True: it is one of these, and was dealt with. The message is authentic. */
bool ike_sync_request(struct ike_sa *sa, const struct ike_packet *p, const struct ike_msg *m)
{
	const struct ike_notify_payload *n = ike_msg_notify(m, IKE_N_IKEV2_MESSAGE_ID_SYNC);
	uint32_t send, expected;
	const uint8_t *nonce;
	struct ike_sealed *s;

	if (!n)
		return false;
	if (!parse(n, &nonce, &send, &expected)) {
		ike_count(sa->ike, IKE_CNT_RX_PAYLOAD);
		return true;
	}
	/* While a request is in work its answer decides what the window is: the peer asks again. */
	if (sa->state != IKE_ST_ESTABLISHED || sa->busy || sa->resync.was_busy ||
	    send > IKE_MID_LAST || expected > IKE_MID_LAST) {
		ike_count(sa->ike, IKE_CNT_RX_SYNC);
		return true;
	}
	if (!go_up(sa, send, expected)) {
		ike_sa_close(sa, "sync", "the peer failed over in an exchange of ours");
		return true;
	}
	s = seal(sa, nonce, true);
	if (s) {
		ike_send(sa->ike, sa->tunnel->cfg.tunnel, &p->local, &p->remote, s->bytes, s->size);
		ike_sealed_free(s);
		ike_count(sa->ike, IKE_CNT_SYNC_ANSWERED);
	}
	ike_sa_run(sa);
	return true;
}
