/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exchange_session_resume: IKE_SESSION_RESUME (RFC 5723 4.3), in place of IKE_SA_INIT, and the AUTH that
 * follows it. There is no key exchange and no certificate: both sides take SK_d from the session, draw
 * fresh nonces and SPIs, and prove by keys made of them that they hold it. Like IKE_SA_INIT nothing is
 * authenticated here, so a refusal leads to IKE_SA_INIT, and so does silence.
 */
#include <stdlib.h>
#include "ike/id.h"
#include "ike/ike_int.h"

static bool keys_of(struct ike_sa *sa, uint64_t spi_r, struct ike_sa_keys *out)
{
	const struct ike_handshake *hs = sa->hs;
	const struct ike_nonces n = {rd_of(hs->ni, hs->ni_size), rd_of(hs->nr, hs->nr_size)};

	return ike_keys_resumed(&sa->ike->crypto, &hs->session->suite, hs->session->d, &n,
				sa->spi_i, spi_r, out) == IKE_OK;
}

static bool keep(uint8_t **to, size_t *to_size, const uint8_t *data, size_t size)
{
	uint8_t *copy = size ? malloc(size) : NULL;

	if (!copy)
		return false;
	memcpy(copy, data, size);
	free(*to);
	*to = copy;
	*to_size = size;
	return true;
}

static void flags(struct ike_sa *sa, struct ike_builder *b)
{
	ike_nat_build(sa, b);
	if (sa->initiator ? sa->tunnel->cfg.fragment_size : sa->fragment_size)
		ike_build_notify(b, IKE_PROTO_NONE, NULL, 0, IKE_N_IKEV2_FRAGMENTATION_SUPPORTED,
				 NULL, 0);
}

/* ------------------------------------------------------------------- initiator */

/* RFC 5723 4.3.1: never one whose lifetime has ended. */
bool ike_session_usable(struct ike_tunnel *t)
{
	const struct ike_session *s = t->session;
	const struct mono now = t->ike->now;

	if (!s)
		return false;
	if (!t->cfg.resumption || mono_reached(now, s->until) || mono_reached(now, s->auth_until) ||
	    !ike_algs_permit(&t->cfg.ike_algs, &s->suite) ||
	    (t->cfg.ppk == IKE_PPK_REQUIRE && !s->ppk) ||
	    !ike_id_equal(s->idi.type, rd_of(s->idi.data, s->idi.size), &t->cfg.local_id)) {
		ike_session_free(t->session);
		t->session = NULL;
		return false;
	}
	if (t->gateway.family != IP_NONE) /* it is another gateway's */
		return false;
	if (t->session_rests) { /* the last attempt was by it */
		t->session_rests = false;
		return false;
	}
	return true;
}

static bool send_request(struct ike_sa *sa)
{
	struct ike_handshake *hs = sa->hs;
	const struct ike_header h = {
		.spi_i = sa->spi_i,
		.version = IKE_VERSION_2,
		.exchange = IKE_SESSION_RESUME,
		.flags = IKE_FLAG_INITIATOR,
	};
	uint8_t buf[IKE_INIT_MAX];
	struct ike_builder b;
	size_t size;

	ike_build_open(&b, buf, sizeof(buf), &h);
	if (hs->cookie_size)
		ike_build_notify(&b, IKE_PROTO_NONE, NULL, 0, IKE_N_COOKIE, hs->cookie,
				 hs->cookie_size);
	ike_build_nonce(&b, hs->ni, hs->ni_size);
	ike_build_notify(&b, IKE_PROTO_NONE, NULL, 0, IKE_N_TICKET_OPAQUE, hs->session->ticket,
			 hs->session->ticket_size);
	flags(sa, &b);
	ike_extend_init_request(sa, &b);
	size = ike_build_close(&b);
	return keep(&hs->request, &hs->request_size, buf, size) &&
	       ike_request_send_raw(sa, IKE_TASK_INIT, buf, size);
}

bool ike_session_start(struct ike_tunnel *t)
{
	struct ike *ike = t->ike;
	struct ike_sa *sa = ike_sa_new(ike, t, true);

	if (!sa)
		return false;
	sa->local = (struct ip_endpoint){t->cfg.local, IKE_PORT};
	sa->remote = (struct ip_endpoint){t->cfg.remote, IKE_PORT};
	sa->hs = calloc(1, sizeof(*sa->hs));
	if (!sa->hs)
		goto fail;
	sa->hs->session = t->session;
	t->session = NULL;
	sa->hs->ni_size = IKE_NONCE_SIZE;
	if (!ike_random(ike, sa->hs->ni, sa->hs->ni_size))
		goto fail;
	ike_sa_set_state(sa, IKE_ST_INIT_SENT, "ike-resume", "initiator");
	if (send_request(sa)) {
		ike_timer_session(sa);
		return true;
	}
fail:
	ike_count(ike, IKE_CNT_RESOURCES);
	ike_sa_close(sa, "ike-resume", "out of resources");
	return true;
}

/* IKE_SA_INIT is tried; if nobody answers that either, the ticket is as good as before. */
void ike_session_silent(struct ike_sa *sa)
{
	struct ike_tunnel *t = sa->tunnel;

	ike_session_free(t->session);
	t->session = sa->hs->session;
	t->session_rests = true;
	sa->hs->session = NULL;
	ike_sa_close(sa, "ike-resume", "no answer");
}

static void accept_response(struct ike_sa *sa, const struct ike_packet *p, const struct ike_msg *m)
{
	struct ike_handshake *hs = sa->hs;
	struct ike_sa_keys keys = {0};

	if (m->h.spi_r == 0) {
		ike_count(sa->ike, IKE_CNT_RX_SYNTAX);
		return;
	}
	hs->nr_size = m->nonce.size;
	memcpy(hs->nr, m->nonce.p, m->nonce.size);
	if (!keys_of(sa, m->h.spi_r, &keys) ||
	    !keep(&hs->response, &hs->response_size, p->data, p->size)) {
		ike_count(sa->ike, IKE_CNT_RESOURCES);
		ike_sa_keys_free(&keys);
		return;
	}
	sa->keys = keys;
	sa->suite = hs->session->suite;
	sa->spi_r = m->h.spi_r;
	sa->rank = sa->origin = ike_rank_of(hs->ni, hs->ni_size, hs->nr, hs->nr_size);
	sa->tx_mid = 1;
	sa->fragment_size = ike_init_fragment_size(sa->tunnel, m);
	ike_request_done(sa);
	ike_nat_detect(sa, p, m);
	ike_extend_init_seen(sa, m);
	ike_nat_float(sa);
	ike_sa_set_state(sa, IKE_ST_SIGN, "ike-resume", "keys derived");
	ike_auth_start(sa);
}

void ike_session_response(struct ike_sa *sa, const struct ike_packet *p, const struct ike_msg *m)
{
	const struct ike_notify_payload *cookie = ike_msg_notify(m, IKE_N_COOKIE);
	struct ike_handshake *hs = sa->hs;

	sa->tunnel->heard = sa->ike->now;
	if (m->present & IKE_HAS_NONCE) {
		accept_response(sa, p, m);
	} else if (cookie) {
		if (cookie->data.size < 1 || cookie->data.size > sizeof(hs->cookie) ||
		    hs->n_retries >= IKE_MAX_RETRIES) {
			ike_count(sa->ike, IKE_CNT_RX_PAYLOAD);
			return;
		}
		hs->n_retries++;
		memcpy(hs->cookie, cookie->data.p, cookie->data.size);
		hs->cookie_size = cookie->data.size;
		send_request(sa);
	} else if (ike_msg_notify(m, IKE_N_TICKET_NACK)) {
		/* RFC 5723 4.3.2: by IKE_SA_INIT then. Whoever said so, that is no worse. */
		ike_count(sa->ike, IKE_CNT_TICKET_REFUSED);
		ike_sa_close(sa, "ike-resume", "the ticket is refused");
	} else {
		ike_count(sa->ike, IKE_CNT_RX_SYNTAX);
	}
}

/* ------------------------------------------------------------------- responder */

static void demand_cookie(struct ike *ike, const struct ike_packet *p, const struct ike_msg *m)
{
	uint8_t fresh[IKE_OUR_COOKIE_SIZE];

	ike_count(ike, IKE_CNT_COOKIE_SENT);
	ike_cookie_make(ike, p, m->h.spi_i, m->nonce, 0, fresh);
	ike_init_answer(ike, p, m, IKE_N_COOKIE, fresh, sizeof(fresh));
}

static size_t build_response(struct ike_sa *sa, struct ike_tunnel *t, uint8_t buf[IKE_INIT_MAX])
{
	struct ike_handshake *hs = sa->hs;
	const struct ike_header h = {
		.spi_i = sa->spi_i,
		.spi_r = sa->spi_r,
		.version = IKE_VERSION_2,
		.exchange = IKE_SESSION_RESUME,
		.flags = IKE_FLAG_RESPONSE,
	};
	struct ike_builder b;

	ike_build_open(&b, buf, IKE_INIT_MAX, &h);
	ike_build_nonce(&b, hs->nr, hs->nr_size);
	sa->tunnel = t; /* lent */
	flags(sa, &b);
	sa->tunnel = NULL;
	ike_extend_init_response(&b, hs->request_size);
	return ike_build_close(&b);
}

/* Takes the session. */
static void respond(struct ike *ike, const struct ike_packet *p, const struct ike_msg *m,
		    const uint8_t *digest, struct ike_session *session)
{
	struct ike_tunnel *t = ike_tunnel_find(ike, session->tunnel);
	struct ike_sa *sa = ike_sa_new(ike, NULL, false);
	struct ike_handshake *hs = sa ? calloc(1, sizeof(*hs)) : NULL;
	uint8_t buf[IKE_INIT_MAX];
	size_t size;

	if (!hs) {
		ike_session_free(session);
		goto fail;
	}
	sa->hs = hs;
	hs->session = session;
	sa->spi_i = m->h.spi_i;
	sa->local = p->local;
	sa->remote = p->remote;
	sa->suite = session->suite;
	sa->rx_mid = 1;
	sa->fragment_size = ike_init_fragment_size(t, m);
	hs->ni_size = m->nonce.size;
	memcpy(hs->ni, m->nonce.p, m->nonce.size);
	hs->nr_size = IKE_NONCE_SIZE;
	if (!keep(&hs->request, &hs->request_size, p->data, p->size) ||
	    !ike_random(ike, hs->nr, hs->nr_size) || !keys_of(sa, sa->spi_r, &sa->keys))
		goto fail;
	sa->tunnel = t;
	ike_nat_detect(sa, p, m);
	ike_extend_init_seen(sa, m);
	sa->tunnel = NULL;
	sa->rank = sa->origin = ike_rank_of(hs->ni, hs->ni_size, hs->nr, hs->nr_size);
	size = build_response(sa, t, buf);
	if (!keep(&hs->response, &hs->response_size, buf, size) || !ike_half_open_enter(sa, digest))
		goto fail;
	ike_sa_set_state(sa, IKE_ST_INIT_DONE, "ike-resume", "responder");
	ike_timer_half_open(sa);
	/* RFC 7296 2.6: never longer than what was asked, as no address is proven yet. */
	if (size <= p->size)
		ike_send(ike, IKE_TUNNEL_NONE, &p->local, &p->remote, buf, size);
	return;
fail:
	ike_count(ike, IKE_CNT_RESOURCES);
	if (sa)
		ike_sa_close(sa, "ike-resume", "out of resources");
}

void ike_session_request(struct ike *ike, const struct ike_packet *p, const struct ike_msg *m)
{
	const struct ike_notify_payload *cookie = ike_msg_notify(m, IKE_N_COOKIE);
	const struct ike_notify_payload *ticket = ike_msg_notify(m, IKE_N_TICKET_OPAQUE);
	uint8_t digest[IKE_DIGEST_SIZE], bits;
	struct ike_session *session;
	struct ike_sa *sa;

	if (!ike_tunnel_next_by_addresses(ike, &p->local.addr, &p->remote.addr, NULL)) {
		ike_count(ike, IKE_CNT_RX_NO_PEER);
		return;
	}
	if (!ticket) {
		ike_count(ike, IKE_CNT_RX_SYNTAX);
		return;
	}
	ike_init_digest(ike, p, digest);
	sa = ike_half_open_find(ike, digest);
	if (sa) { /* RFC 7296 2.1: a repetition */
		if (sa->state == IKE_ST_INIT_DONE && sa->hs->response_size <= p->size) {
			ike_count(ike, IKE_CNT_TX_RESPONSE_REPEAT);
			ike_send(ike, IKE_TUNNEL_NONE, &p->local, &p->remote, sa->hs->response,
				 sa->hs->response_size);
		} else {
			ike_count(ike, IKE_CNT_RX_STATE);
		}
		return;
	}
	/* RFC 5723 4.3.2: the same cookies; RFC 8019 4.5: a ticket is worth more than a puzzle. */
	if (ike_cookies_on(ike) && !(cookie && ike_cookie_ok(ike, p, m, &cookie->data, &bits))) {
		if (cookie)
			ike_count(ike, IKE_CNT_RX_COOKIE);
		demand_cookie(ike, p, m);
		return;
	}
	if (!ike_half_open_room(ike, &p->remote.addr)) {
		ike_count(ike, IKE_CNT_RX_HALF_OPEN_LIMIT);
		return;
	}
	session = ike_ticket_open(ike, p, ticket->data);
	if (!session) {
		ike_count(ike, IKE_CNT_RX_TICKET);
		ike_init_answer(ike, p, m, IKE_N_TICKET_NACK, NULL, 0);
		return;
	}
	respond(ike, p, m, digest, session);
}

/* ---------------------------------------------------------------------- IKE_AUTH */

bool ike_session_auth(struct ike_sa *sa, bool initiators, struct rd id_body,
		      uint8_t out[IKE_PRF_MAX])
{
	const struct ike_handshake *hs = sa->hs;
	const struct ike_crypto *c = &sa->ike->crypto;
	const enum ike_prf prf = (enum ike_prf)sa->suite.prf;
	const struct secret *key = initiators ? sa->keys.pi : sa->keys.pr;
	uint8_t octets[IKE_INIT_MAX + IKE_NONCE_MAX + IKE_PRF_MAX];
	const size_t n = ike_auth_octets(c, prf,
					 initiators ? rd_of(hs->request, hs->request_size)
						    : rd_of(hs->response, hs->response_size),
					 initiators ? rd_of(hs->nr, hs->nr_size)
						    : rd_of(hs->ni, hs->ni_size),
					 key, id_body, rd_of(NULL, 0), octets, sizeof(octets));
	const struct ike_iov in = {octets, n};

	return n && c->prf(c->ctx, prf, secret_data(key), secret_size(key), &in, 1, out);
}

bool ike_session_verify(struct ike_sa *sa, const struct ike_msg *m)
{
	const struct ike_prf_desc *prf = ike_prf_desc(sa->suite.prf);
	uint8_t want[IKE_PRF_MAX];

	return m->auth.method == IKE_AUTH_METHOD_SHARED_KEY && m->auth.data.size == prf->size &&
	       ike_session_auth(sa, !sa->initiator, sa->initiator ? m->idr.body : m->idi.body,
				want) &&
	       bytes_equal_ct(want, m->auth.data.p, prf->size);
}

/* RFC 5723 4.3.3: the identities MUST be the ticket's, and nobody certifies himself anew. */
struct ike_tunnel *ike_session_identify(struct ike_sa *sa, const struct ike_msg *m, struct sb *why)
{
	const struct ike_session *s = sa->hs->session;
	struct ike_tunnel *t = sa->initiator ? sa->tunnel : ike_tunnel_find(sa->ike, s->tunnel);
	const bool idi = sa->initiator || ike_id_equal(m->idi.type, m->idi.data, &s->idi);
	const bool idr = (!sa->initiator && !(m->present & IKE_HAS_IDR)) ||
			 ike_id_equal(m->idr.type, m->idr.data, &s->idr);

	if (t && (sa->initiator || s->serial > t->ticket_floor) && idi && idr && !m->n_certs)
		return t;
	sb_str(why,
	       idi && idr ? "its ticket is not good any more" : "it is not whom its ticket is for");
	return NULL;
}
