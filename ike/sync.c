/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sync: message ids after a failover of the peer (RFC 6311).
 *
 * The member of a cluster that takes over an IKE SA may know less of it than the one that failed. It
 * says so in an INFORMATIONAL request outside of the window, with message id 0: the ids that it
 * would use next. We answer with the higher of those and ours, and both go on from there.
 *
 * Ids only ever go up. So a request that was recorded and comes again changes nothing: what it says
 * is not above what we know since. It is answered, though, for the answer to the first one may be
 * lost; it is no sign of life, and is as long as its answer.
 *
 * Replay counters of ESP are not synchronised: we do not say that we can.
 */
#include "ike/ike_int.h"

#define NONCE_SIZE 4
#define DATA_SIZE  (NONCE_SIZE + 8)

/* Something of ours that the peer has taken without our ever hearing of it. False: it matters. */
static bool forget_request(struct ike_sa *sa)
{
	switch (sa->req.task) {
	case IKE_TASK_DPD: break;
	case IKE_TASK_NOTICE:
		sa->want_notice = sa->notice_addresses = sa->notice_token = true;
		break;
	case IKE_TASK_UPDATE: sa->mobike.want_update = true; break;
	case IKE_TASK_CHECK: sa->mobike.want_check = true; break;
	case IKE_TASK_NONE:
	case IKE_TASK_INIT:
	case IKE_TASK_INTERMEDIATE:
	case IKE_TASK_AUTH:
	case IKE_TASK_DELETE_IKE:
	case IKE_TASK_DELETE_CHILD:
	case IKE_TASK_REKEY_IKE:
	case IKE_TASK_REKEY_CHILD:
	case IKE_TASK_NEW_CHILD:
	case IKE_TASK_END: return false;
	}
	ike_request_done(sa);
	return true;
}

static void answer(struct ike_sa *sa, const struct ike_packet *p, const uint8_t *nonce)
{
	const struct ike_header h = ike_header_of(sa, IKE_INFORMATIONAL, 0, true);
	uint8_t data[DATA_SIZE], buf[64];
	struct wr w = wr_of(data, sizeof(data));
	struct ike_sealed *s;
	struct ike_builder b;

	wr_bytes(&w, nonce, NONCE_SIZE);
	wr_u32(&w, sa->tx_mid);
	wr_u32(&w, sa->rx_mid);
	ike_build_open_inner(&b, buf, sizeof(buf));
	ike_build_notify(&b, IKE_PROTO_NONE, NULL, 0, IKE_N_IKEV2_MESSAGE_ID_SYNC, data, w.n);
	s = ike_seal(sa, &h, &b);
	if (!s) {
		ike_count(sa->ike, IKE_CNT_RESOURCES);
		return;
	}
	ike_send(sa->ike, sa->tunnel->cfg.tunnel, &p->local, &p->remote, s->bytes, s->size);
	ike_sealed_free(s);
	ike_count(sa->ike, IKE_CNT_SYNC_ANSWERED);
}

/* True: it is one of these, and was dealt with. The message is authentic. */
bool ike_sync_request(struct ike_sa *sa, const struct ike_packet *p, const struct ike_msg *m)
{
	const struct ike_notify_payload *n = ike_msg_notify(m, IKE_N_IKEV2_MESSAGE_ID_SYNC);
	const uint8_t *nonce;
	uint32_t send, expected;
	struct rd r;

	if (!n)
		return false;
	r = n->data;
	if (!rd_bytes(&r, NONCE_SIZE, &nonce) || !rd_u32(&r, &send) || !rd_u32(&r, &expected) ||
	    !rd_empty(&r)) {
		ike_count(sa->ike, IKE_CNT_RX_PAYLOAD);
		return true;
	}
	/* While a request is in work its answer decides what the window is: the peer asks again. */
	if (sa->state != IKE_ST_ESTABLISHED || sa->busy || send > IKE_MID_LAST ||
	    expected > IKE_MID_LAST) {
		ike_count(sa->ike, IKE_CNT_RX_SYNC);
		return true;
	}
	/* RFC 6311 5.1: to the higher one each, never back. */
	if (expected > sa->tx_mid) {
		if (sa->req.data && !forget_request(sa)) {
			ike_sa_close(sa, "sync", "the peer failed over in an exchange of ours");
			return true;
		}
		sa->tx_mid = expected;
	}
	if (send > sa->rx_mid) {
		sa->rx_mid = send;
		ike_reassembly_free(sa, false);
		ike_sealed_free(sa->response);
		sa->response = NULL;
	}
	answer(sa, p, nonce);
	ike_sa_run(sa);
	return true;
}
