/* SPDX-License-Identifier: Apache-2.0 */
/*
 * window: message ids, requests and responses (RFC 7296 2.1 to 2.3). The window is 1 both ways: one
 * request of ours is outstanding and repeated bit by bit until it is answered; the last response to
 * the peer is kept and repeated until its next request. What else is to be requested waits as flags
 * on the objects concerned, so the queue is a set and cannot grow.
 */
#include <assert.h>
#include <stdlib.h>
#include "ike/ike_int.h"

#define EXCHANGE_AT   18 /* within the header */
#define SENT_AS_IT_IS 2  /* times, before we look for a size that gets through */

struct ike_header ike_header_of(const struct ike_sa *sa, uint8_t exchange, uint32_t mid,
				bool response)
{
	return (struct ike_header){
		.spi_i = sa->spi_i,
		.spi_r = sa->spi_r,
		.version = IKE_VERSION_2,
		.exchange = exchange,
		.flags = (uint8_t)((sa->initiator ? IKE_FLAG_INITIATOR : 0) |
				   (response ? IKE_FLAG_RESPONSE : 0)),
		.message_id = mid,
	};
}

static uint32_t tunnel_number(const struct ike_sa *sa)
{
	return sa->tunnel && !sa->tunnel->removed ? sa->tunnel->cfg.tunnel : IKE_TUNNEL_NONE;
}

/* RFC 7383 2.5: all fragments of a message, every time. */
static void send_all(struct ike_sa *sa, const struct ip_endpoint *local,
		     const struct ip_endpoint *remote, const struct ike_sealed *s)
{
	for (size_t at = 0; at < s->size; at += s->part)
		ike_send(sa->ike, tunnel_number(sa), local, remote, s->bytes + at,
			 s->size - at < s->part ? s->size - at : s->part);
}

/* ------------------------------------------------------------------ requests */

static void transmit(struct ike_sa *sa)
{
	sa->req.n_sent++;
	send_all(sa, &sa->local, &sa->remote, sa->req.data);
	ike_timer_request_sent(sa);
	ike_timer_sent(sa);
}

bool ike_request_send_raw(struct ike_sa *sa, enum ike_task task, const uint8_t *data, size_t size)
{
	struct ike_sealed *s = ike_sealed_copy(data, size);

	if (!s) {
		ike_count(sa->ike, IKE_CNT_RESOURCES);
		return false;
	}
	ike_sealed_free(sa->req.data);
	sa->req.data = s;
	sa->req.task = task;
	sa->req.exchange = data[EXCHANGE_AT];
	sa->req.mid = 0;
	sa->req.n_sent = 0;
	transmit(sa);
	return true;
}

bool ike_request_send(struct ike_sa *sa, enum ike_task task, uint8_t exchange,
		      struct ike_builder *inner, struct ike_child *child, struct ike_offer *offer)
{
	const struct ike_header h = ike_header_of(sa, exchange, sa->tx_mid, false);

	assert(!sa->req.data && !sa->req.offer);
	sa->req.data = ike_seal(sa, &h, inner);
	if (!sa->req.data) {
		ike_count(sa->ike, IKE_CNT_RESOURCES);
		ike_offer_free(sa->ike, offer, false);
		return false;
	}
	sa->req.task = task;
	sa->req.exchange = exchange;
	sa->req.mid = sa->tx_mid;
	sa->req.n_sent = 0;
	sa->req.child = child;
	sa->req.offer = offer;
	transmit(sa);
	if (sa->tx_mid >= IKE_MID_LAST)
		sa->want_rekey = true;
	return true;
}

void ike_request_again(struct ike_sa *sa)
{
	if (sa->resync.data) {
		ike_sync_again(sa);
		return;
	}
	/* RFC 7296 2.1: bit by bit the same; or in smaller fragments (RFC 7383 2.5.2). */
	if (sa->req.n_sent >= SENT_AS_IT_IS && sa->req.task != IKE_TASK_INIT)
		ike_sealed_cut(sa, &sa->req.data, 0);
	ike_count(sa->ike, IKE_CNT_TX_RETRANSMIT);
	transmit(sa);
	ike_mobike_retransmitted(sa);
}

void ike_request_done(struct ike_sa *sa)
{
	ike_sealed_free(sa->req.data);
	sa->req.data = NULL;
	ike_reassembly_free(sa, true);
	ike_timer_request_done(sa);
}

/* ----------------------------------------------------------------- responses */

static void response_out(struct ike_sa *sa)
{
	sa->busy = false;
	send_all(sa, &sa->reply_local, &sa->reply_remote, sa->response);
	ike_timer_sent(sa);
}

/*
 * To the request in work. `hold`: it goes out by ike_response_release(). False: there is none, and
 * the two ends do not know the same any more; the IKE SA is deleted by a timer that is due at once,
 * so that callers need not expect it to vanish.
 */
bool ike_response_send(struct ike_sa *sa, struct ike_builder *inner, bool hold)
{
	const struct ike_header h = ike_header_of(sa, sa->busy_exchange, sa->rx_mid - 1, true);

	assert(sa->busy);
	/* Never the last response to this request. */
	ike_sealed_free(sa->response);
	sa->response = ike_seal(sa, &h, inner);
	sa->n_repeats = 0;
	if (!sa->response) {
		ike_count(sa->ike, IKE_CNT_RESOURCES);
		/* No SA that answers nothing more. */
		sa->busy = false;
		ike_timer_response_failed(sa);
		return false;
	}
	if (!hold)
		response_out(sa);
	return true;
}

void ike_response_release(struct ike_sa *sa)
{
	if (sa->busy && sa->response)
		response_out(sa);
}

void ike_response_error(struct ike_sa *sa, uint16_t notify, const void *data, size_t size)
{
	uint8_t buf[512];
	struct ike_builder b;

	if (!sa->busy)
		return;
	ike_build_open_inner(&b, buf, sizeof(buf));
	ike_build_notify(&b, IKE_PROTO_NONE, NULL, 0, notify, data, size);
	ike_response_send(sa, &b, false);
}

/*
 * RFC 7296 2.1: the same response to the same request, to where that came from. A peer that asks
 * again in smaller fragments than we answered by, or again and again, does not seem to get it.
 */
void ike_response_repeat(struct ike_sa *sa, const struct ike_packet *p, bool fragment)
{
	if (sa->busy || !sa->response)
		return;
	ike_count(sa->ike, IKE_CNT_TX_RESPONSE_REPEAT);
	sa->repeated_at = sa->ike->now;
	if (fragment && p->size < sa->response->part)
		ike_sealed_cut(sa, &sa->response, ike_datagram_size(sa, p->size));
	else if (++sa->n_repeats >= SENT_AS_IT_IS)
		ike_sealed_cut(sa, &sa->response, 0);
	send_all(sa, &p->local, &p->remote, sa->response);
}

void ike_window_free(struct ike_sa *sa)
{
	ike_sealed_free(sa->req.data);
	ike_offer_free(sa->ike, sa->req.offer, false);
	sa->req = (struct ike_request){0};
	ike_sealed_free(sa->response);
	sa->response = NULL;
	ike_sync_free(sa);
}

/* --------------------------------------------------------------------- queue */

/*
 * Not while one of ours is about to receive: the Delete of its predecessor would move the peer to it
 * at once.
 */
static struct ike_child *child_to_delete(const struct ike_sa *sa)
{
	struct ike_child *c, *found = NULL;

	TAILQ_FOREACH(c, &sa->tunnel->children, entry)
	{
		if (c->sa != sa)
			continue;
		if (c->state == IKE_CH_ADDING_IN && c->initiator && !c->want_delete)
			return NULL;
		if (c->want_delete && !found)
			found = c;
	}
	return found;
}

static struct ike_child *child_to_rekey(const struct ike_sa *sa)
{
	struct ike_child *c;

	TAILQ_FOREACH(c, &sa->tunnel->children, entry)
	{
		if (c->sa == sa && c->want_rekey && c->state == IKE_CH_INSTALLED &&
		    ike_child_live(c))
			return c;
	}
	return NULL;
}

/*
 * One that is not finished: an IKE rekey must wait (2.25.2), and the next child: should this one fail,
 * its Delete is what we say next, and the peer may take anything else as a sign that it stands.
 */
static bool child_in_work(const struct ike_sa *sa)
{
	struct ike_child *c;

	TAILQ_FOREACH(c, &sa->tunnel->children, entry)
	{
		if (c->sa == sa && (c->state == IKE_CH_ADDING_IN || c->state == IKE_CH_ADDING_OUT))
			return true;
	}
	return false;
}

void ike_sa_run(struct ike_sa *sa)
{
	struct ike_child *c;
	uint32_t resource;

	if (sa->req.data || sa->resync.wanted)
		return;
	if (sa->state == IKE_ST_DELETING) {
		if (sa->want_delete)
			ike_info_start_delete_ike(sa);
		return;
	}
	if (sa->state == IKE_ST_REPLACED || sa->state != IKE_ST_ESTABLISHED)
		return; /* RFC 7296 2.8: nothing but deletion on a replaced IKE SA */
	if (!sa->redundant && ike_extend_run(sa))
		return;
	/* Wished for while another was on its way. */
	sa->want_child = sa->want_child && !ike_tunnel_has_child(sa->tunnel);
	c = child_to_delete(sa);
	if (c) {
		ike_info_start_delete_child(sa, c);
	} else if (sa->redundant || (sa->follow && sa->follow->ike)) {
		/* Nothing new either on one that the peer is about to replace. */
		if (sa->want_dpd)
			ike_info_start_dpd(sa);
	} else if (child_in_work(sa)) {
		if (sa->want_dpd)
			ike_info_start_dpd(sa);
	} else if (sa->want_rekey && !sa->follow) {
		ike_rekey_start(sa);
	} else if ((c = child_to_rekey(sa))) {
		ike_create_child_start(sa, c, c->resource);
	} else if (sa->want_child) {
		ike_create_child_start(sa, NULL, 0);
	} else if ((resource = ike_resource_wanted(sa))) {
		ike_create_child_start(sa, NULL, resource);
	} else if (sa->want_dpd) {
		ike_info_start_dpd(sa);
	}
}
