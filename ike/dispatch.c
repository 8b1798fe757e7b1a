/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dispatch: a datagram's way to the handler of its exchange:
 *
 *	1. header; 2. the IKE SA by our SPI; 3. integrity and decryption; 4. message id: new, repeated
 *	or stale; 5. payloads; 6. the transition table, which refuses what does not belong into this
 *	state before any handler runs.
 *
 * Up to 3 nothing but counters changes. Responses that do not fit end their exchange; requests that
 * do not fit are answered with an error, so that the peer does not repeat them for ever.
 */
#include "ike/ike_int.h"

#define VERSION_AT     17 /* within the header */
#define IN(state)      (1u << IKE_ST_##state)
#define ANY_TOLERATED  (IKE_HAS_VENDOR | IKE_HAS_CP | IKE_HAS_CERT | IKE_HAS_CERTREQ)
#define CHILD_PAYLOADS (IKE_HAS_SA | IKE_HAS_TSI | IKE_HAS_TSR)

/* What a request is about, as far as the payloads tell. */
enum subject {
	ABOUT_INTERMEDIATE,
	ABOUT_AUTH,
	ABOUT_NEW_CHILD,
	ABOUT_REKEY_CHILD,
	ABOUT_REKEY_IKE,
	ABOUT_FOLLOWUP,
	ABOUT_INFO,
};

struct transition {
	const char *story;
	uint32_t from; /* states, as a mask */
	uint8_t exchange;
	uint8_t about;     /* request: enum subject; response: enum ike_task */
	uint32_t required; /* payloads; not asked of a response that carries an error notify */
	uint32_t optional;
	void (*handler)(struct ike_sa *sa, const struct ike_packet *p, const struct ike_msg *m);
	uint32_t to; /* states that the handler may leave the SA in */
};

static const struct transition requests[] = {
	{"ike-intermediate", IN(INIT_DONE), IKE_INTERMEDIATE, ABOUT_INTERMEDIATE, 0, UINT32_MAX,
	 ike_intermediate_request, IN(INIT_DONE) | IN(GONE)},
	{"ike-auth", IN(INIT_DONE), IKE_AUTH, ABOUT_AUTH, IKE_HAS_IDI | IKE_HAS_AUTH,
	 IKE_HAS_IDR | CHILD_PAYLOADS | ANY_TOLERATED, ike_auth_request, IN(VERIFY) | IN(GONE)},
	{"child-create", IN(ESTABLISHED), IKE_CREATE_CHILD_SA, ABOUT_NEW_CHILD,
	 CHILD_PAYLOADS | IKE_HAS_NONCE, IKE_HAS_KE | ANY_TOLERATED, ike_create_child_request,
	 IN(ESTABLISHED)},
	{"child-rekey", IN(ESTABLISHED), IKE_CREATE_CHILD_SA, ABOUT_REKEY_CHILD,
	 CHILD_PAYLOADS | IKE_HAS_NONCE, IKE_HAS_KE | ANY_TOLERATED, ike_rekey_child_request,
	 IN(ESTABLISHED)},
	{"ike-rekey", IN(ESTABLISHED), IKE_CREATE_CHILD_SA, ABOUT_REKEY_IKE,
	 IKE_HAS_SA | IKE_HAS_NONCE | IKE_HAS_KE, ANY_TOLERATED, ike_rekey_request,
	 IN(ESTABLISHED) | IN(REPLACED)},
	{"followup-ke", IN(ESTABLISHED), IKE_FOLLOWUP_KE, ABOUT_FOLLOWUP, 0, UINT32_MAX,
	 ike_follow_take, IN(ESTABLISHED) | IN(REPLACED)},
	{"refuse", IN(REPLACED) | IN(DELETING), IKE_FOLLOWUP_KE, ABOUT_FOLLOWUP, 0, UINT32_MAX,
	 ike_refuse_request, IN(REPLACED) | IN(DELETING)},
	{"refuse", IN(REPLACED) | IN(DELETING), IKE_CREATE_CHILD_SA, ABOUT_NEW_CHILD, 0, UINT32_MAX,
	 ike_refuse_request, IN(REPLACED) | IN(DELETING)},
	{"refuse", IN(REPLACED) | IN(DELETING), IKE_CREATE_CHILD_SA, ABOUT_REKEY_CHILD, 0,
	 UINT32_MAX, ike_refuse_request, IN(REPLACED) | IN(DELETING)},
	{"refuse", IN(REPLACED) | IN(DELETING), IKE_CREATE_CHILD_SA, ABOUT_REKEY_IKE, 0, UINT32_MAX,
	 ike_refuse_request, IN(REPLACED) | IN(DELETING)},
	{"informational", IN(ESTABLISHED) | IN(REPLACED) | IN(DELETING), IKE_INFORMATIONAL,
	 ABOUT_INFO, 0, UINT32_MAX, ike_info_request,
	 IN(ESTABLISHED) | IN(REPLACED) | IN(DELETING) | IN(GONE)},
};

static const struct transition responses[] = {
	{"ike-intermediate", IN(INTERMEDIATE), IKE_INTERMEDIATE, IKE_TASK_INTERMEDIATE, 0,
	 UINT32_MAX, ike_intermediate_response, IN(INTERMEDIATE) | IN(SIGN) | IN(GONE)},
	{"ike-auth", IN(AUTH_SENT), IKE_AUTH, IKE_TASK_AUTH, IKE_HAS_IDR | IKE_HAS_AUTH,
	 CHILD_PAYLOADS | ANY_TOLERATED, ike_auth_response, IN(VERIFY) | IN(GONE)},
	{"child-create", IN(ESTABLISHED) | IN(REPLACED) | IN(DELETING), IKE_CREATE_CHILD_SA,
	 IKE_TASK_NEW_CHILD, CHILD_PAYLOADS | IKE_HAS_NONCE, IKE_HAS_KE | ANY_TOLERATED,
	 ike_create_child_response, IN(ESTABLISHED) | IN(REPLACED) | IN(DELETING)},
	{"child-rekey", IN(ESTABLISHED) | IN(REPLACED) | IN(DELETING), IKE_CREATE_CHILD_SA,
	 IKE_TASK_REKEY_CHILD, CHILD_PAYLOADS | IKE_HAS_NONCE, IKE_HAS_KE | ANY_TOLERATED,
	 ike_create_child_response, IN(ESTABLISHED) | IN(REPLACED) | IN(DELETING)},
	{"ike-rekey", IN(ESTABLISHED) | IN(DELETING), IKE_CREATE_CHILD_SA, IKE_TASK_REKEY_IKE,
	 IKE_HAS_SA | IKE_HAS_NONCE | IKE_HAS_KE, ANY_TOLERATED, ike_rekey_response,
	 IN(ESTABLISHED) | IN(REPLACED) | IN(DELETING)},
	{"child-create", IN(ESTABLISHED) | IN(REPLACED) | IN(DELETING), IKE_FOLLOWUP_KE,
	 IKE_TASK_NEW_CHILD, 0, UINT32_MAX, ike_follow_response,
	 IN(ESTABLISHED) | IN(REPLACED) | IN(DELETING)},
	{"child-rekey", IN(ESTABLISHED) | IN(REPLACED) | IN(DELETING), IKE_FOLLOWUP_KE,
	 IKE_TASK_REKEY_CHILD, 0, UINT32_MAX, ike_follow_response,
	 IN(ESTABLISHED) | IN(REPLACED) | IN(DELETING)},
	{"ike-rekey", IN(ESTABLISHED) | IN(DELETING), IKE_FOLLOWUP_KE, IKE_TASK_REKEY_IKE, 0,
	 UINT32_MAX, ike_follow_response, IN(ESTABLISHED) | IN(REPLACED) | IN(DELETING)},
	{"ike-delete", IN(DELETING), IKE_INFORMATIONAL, IKE_TASK_DELETE_IKE, 0, UINT32_MAX,
	 ike_info_response, IN(GONE)},
	{"child-delete", IN(ESTABLISHED) | IN(REPLACED) | IN(DELETING), IKE_INFORMATIONAL,
	 IKE_TASK_DELETE_CHILD, 0, UINT32_MAX, ike_info_response,
	 IN(ESTABLISHED) | IN(REPLACED) | IN(DELETING)},
	{"mobike-update", IN(ESTABLISHED) | IN(REPLACED) | IN(DELETING), IKE_INFORMATIONAL,
	 IKE_TASK_UPDATE, 0, UINT32_MAX, ike_info_response,
	 IN(ESTABLISHED) | IN(REPLACED) | IN(DELETING)},
	{"mobike-check", IN(ESTABLISHED) | IN(REPLACED) | IN(DELETING), IKE_INFORMATIONAL,
	 IKE_TASK_CHECK, 0, UINT32_MAX, ike_info_response,
	 IN(ESTABLISHED) | IN(REPLACED) | IN(DELETING) | IN(GONE)},
	{"notice", IN(ESTABLISHED) | IN(REPLACED) | IN(DELETING), IKE_INFORMATIONAL,
	 IKE_TASK_NOTICE, 0, UINT32_MAX, ike_info_response,
	 IN(ESTABLISHED) | IN(REPLACED) | IN(DELETING)},
	{"dpd", IN(ESTABLISHED) | IN(REPLACED) | IN(DELETING), IKE_INFORMATIONAL, IKE_TASK_DPD, 0,
	 UINT32_MAX, ike_info_response, IN(ESTABLISHED) | IN(REPLACED) | IN(DELETING)},
};

static const struct transition *find(const struct transition *table, size_t n,
				     const struct ike_sa *sa, uint8_t exchange, unsigned about)
{
	for (size_t i = 0; i < n; i++) {
		const struct transition *t = &table[i];

		if (t->from & 1u << sa->state && t->exchange == exchange && t->about == about)
			return t;
	}
	return NULL;
}

static unsigned subject_of(const struct ike_msg *m)
{
	if (m->h.exchange == IKE_INTERMEDIATE)
		return ABOUT_INTERMEDIATE;
	if (m->h.exchange == IKE_AUTH)
		return ABOUT_AUTH;
	if (m->h.exchange == IKE_FOLLOWUP_KE)
		return ABOUT_FOLLOWUP;
	if (m->h.exchange != IKE_CREATE_CHILD_SA)
		return ABOUT_INFO;
	if (m->present & IKE_HAS_SA && m->sa.n_proposals &&
	    m->sa.proposals[0].protocol == IKE_PROTO_IKE)
		return ABOUT_REKEY_IKE;
	return ike_msg_notify(m, IKE_N_REKEY_SA) ? ABOUT_REKEY_CHILD : ABOUT_NEW_CHILD;
}

/* ------------------------------------------------------------------ responses */

static void take_response(struct ike_sa *sa, const struct ike_packet *p, struct ike_msg *m,
			  enum ike_err err)
{
	const struct transition *t = find(responses, sizeof(responses) / sizeof(responses[0]), sa,
					  m->h.exchange, sa->req.task);
	const struct ike_notify_payload *error;
	bool other_path;

	if (!t) {
		ike_count(sa->ike, IKE_CNT_RX_STATE);
		return;
	}
	sa->tx_mid++;
	ike_request_done(sa);
	ike_timer_sign_of_life(sa);
	error = err == IKE_OK ? ike_msg_error(m) : NULL;
	/*
	 * RFC 7296 2.21.3: what the peer cannot even parse, or sends so that we cannot, leaves the
	 * two ends without a common state: the IKE SA goes.
	 */
	if (err != IKE_OK || (error && error->type == IKE_N_INVALID_SYNTAX) ||
	    (error && error->type == IKE_N_UNSUPPORTED_CRITICAL_PAYLOAD) ||
	    (!error && (m->present & t->required) != t->required && t->exchange != IKE_AUTH)) {
		struct ike_tunnel *tunnel = sa->tunnel;

		ike_count(sa->ike, err != IKE_OK ? ike_counter_of(err) : IKE_CNT_RX_SYNTAX);
		ike_timer_initiation_failed(tunnel);
		ike_offer_free(sa->ike, sa->req.offer, false);
		sa->req.offer = NULL;
		sa->req.child = NULL;
		if (sa->state == IKE_ST_ESTABLISHED || sa->state == IKE_ST_REPLACED)
			ike_sa_delete(sa, "its exchanges are malformed");
		else
			ike_sa_close(sa, t->story, "malformed response");
		return;
	}
	other_path = ike_mobike_other_path(sa, p);
	t->handler(sa, p, m);
	if (!(t->to & 1u << sa->state) && sa->state != IKE_ST_GONE)
		ike_count(sa->ike, IKE_CNT_RX_STATE);
	if (other_path && sa->state == IKE_ST_ESTABLISHED)
		ike_mobike_take_path(sa, p);
	if (sa->state != IKE_ST_GONE)
		ike_sa_run(sa);
}

/* ------------------------------------------------------------------- requests */

static void note_confirmed(struct ike_sa *sa)
{
	struct ike_child *c;

	/* With a window of 1, a next request says that our last response has arrived. */
	if (!sa->tunnel)
		return;
	TAILQ_FOREACH(c, &sa->tunnel->children, entry)
	{
		if (c->sa == sa)
			c->confirmed = true;
	}
}

static void refuse_syntax(struct ike_sa *sa, const struct ike_msg *m, enum ike_err err)
{
	const bool critical = err == IKE_ERR_CRITICAL;

	ike_count(sa->ike, ike_counter_of(err));
	/* RFC 7296 2.5: with the type of the payload in question. */
	ike_response_error(sa, critical ? IKE_N_UNSUPPORTED_CRITICAL_PAYLOAD : IKE_N_INVALID_SYNTAX,
			   critical ? &m->critical_type : NULL, critical ? 1 : 0);
	/* An IKE_AUTH request can be sent only once: there is no way on from here. */
	if (sa->state == IKE_ST_INIT_DONE)
		ike_sa_close(sa, "ike-auth", ike_err_text(err));
}

static void take_request(struct ike_sa *sa, const struct ike_packet *p, struct ike_msg *m,
			 enum ike_err err)
{
	const unsigned about = err == IKE_OK ? subject_of(m) : ABOUT_INFO;
	const struct transition *t =
		find(requests, sizeof(requests) / sizeof(requests[0]), sa, m->h.exchange, about);

	if (!t && err == IKE_OK) {
		ike_count(sa->ike, IKE_CNT_RX_STATE);
		return;
	}
	if (err != IKE_OK && (sa->state == IKE_ST_VERIFY || sa->state == IKE_ST_SIGN ||
			      sa->state == IKE_ST_INSTALL || sa->state == IKE_ST_AUTH_SENT)) {
		ike_count(sa->ike, ike_counter_of(err));
		return;
	}
	note_confirmed(sa);
	sa->rx_mid++;
	sa->busy = true;
	sa->busy_exchange = m->h.exchange;
	sa->reply_local = p->local;
	sa->reply_remote = p->remote;
	if (sa->tunnel) {
		ike_timer_sign_of_life(sa);
		ike_nat_follow(sa, &p->local, &p->remote);
	}
	if (err != IKE_OK || (m->present & t->required) != t->required) {
		refuse_syntax(sa, m, err != IKE_OK ? err : IKE_ERR_MISSING);
		return;
	}
	/* RFC 9370 2.2.2: all that was agreed on, before anybody is believed. */
	if (m->h.exchange == IKE_AUTH && !ike_intermediate_complete(sa)) {
		refuse_syntax(sa, m, IKE_ERR_MISSING);
		return;
	}
	if (m->present & ~(t->required | t->optional | IKE_HAS_SK)) {
		refuse_syntax(sa, m, IKE_ERR_SYNTAX);
		return;
	}
	t->handler(sa, p, m);
	if (!(t->to & 1u << sa->state) && sa->state != IKE_ST_GONE)
		ike_count(sa->ike, IKE_CNT_RX_STATE);
	if (sa->state != IKE_ST_GONE)
		ike_sa_run(sa);
}

/* ----------------------------------------------------------------- decryption */

/*
 * A request that is repeated comes under the keys of the first time, and those are not the present ones
 * after an exchange that has changed them (RFC 9370 2.2.2).
 */
static enum ike_err open_message(struct ike_sa *sa, const struct ike_packet *p,
				 const struct ike_msg *m, uint8_t plain[IKE_MESSAGE_MAX],
				 struct rd *inner)
{
	const struct ike_sa_keys *last = sa->hs ? &sa->hs->last_keys : NULL;
	enum ike_err err = ike_sk_open(&sa->ike->crypto, &sa->suite, ike_sa_rx_keys(sa), p->data,
				       p->size, m, plain, IKE_MESSAGE_MAX, inner);

	if (err == IKE_ERR_ICV && last && last->ei && !(m->h.flags & IKE_FLAG_RESPONSE) &&
	    m->h.message_id + 1 == sa->rx_mid)
		err = ike_sk_open(&sa->ike->crypto, &sa->suite,
				  (struct ike_sk_dir){last->ei, last->ai}, p->data, p->size, m,
				  plain, IKE_MESSAGE_MAX, inner);
	if (err != IKE_OK)
		ike_count(sa->ike, ike_counter_of(err));
	return err;
}

/* ------------------------------------------------------------------ fragments */

/* What could be of use, from what an outsider can write as well (RFC 7383 2.6). */
static bool fragment_fits(struct ike_sa *sa, const struct ike_msg *m)
{
	const uint32_t mid = m->h.message_id;

	if (!sa->fragment_size) { /* 2.3: only where both said so */
		ike_count(sa->ike, IKE_CNT_RX_STATE);
		return false;
	}
	if (m->h.flags & IKE_FLAG_RESPONSE
		    ? !sa->req.data || sa->req.mid != mid || sa->req.exchange != m->h.exchange
		    : mid + 1 != sa->rx_mid && (mid != sa->rx_mid || sa->busy)) {
		ike_count(sa->ike, IKE_CNT_RX_MESSAGE_ID);
		return false;
	}
	/* 2.6.1: of a request that was answered, fragment 1 alone asks for the response again. */
	if (!(m->h.flags & IKE_FLAG_RESPONSE) && mid != sa->rx_mid)
		return m->fragment == 1;
	if (ike_reassembly_wants(sa, m))
		return true;
	ike_count(sa->ike, IKE_CNT_RX_FRAGMENT);
	return false;
}

/* All fragments are there: from here on the message is like any other. */
static void take_joined(struct ike_sa *sa, const struct ike_packet *p, struct ike_msg *m,
			const struct ike_joined *j)
{
	const struct ike_header h = m->h;
	const uint16_t datagram = ike_datagram_size(sa, j->longest);
	enum ike_err err;

	/* The peer knows the path from its side: we are no bolder. */
	if (j->n > 1 && datagram < sa->fragment_size)
		sa->fragment_size = datagram;
	memset(m, 0, sizeof(*m));
	m->h = h;
	m->present = IKE_HAS_SK;
	m->sk_next_payload = j->first;
	err = ike_msg_parse_inner(j->first, rd_of(j->data, j->size), m);
	if (h.flags & IKE_FLAG_RESPONSE)
		take_response(sa, p, m, err);
	else
		take_request(sa, p, m, err);
}

static void take_fragment(struct ike_sa *sa, const struct ike_packet *p, struct ike_msg *m)
{
	uint8_t plain[IKE_MESSAGE_MAX];
	struct ike_joined joined;
	struct rd inner;

	if (!fragment_fits(sa, m) || open_message(sa, p, m, plain, &inner) != IKE_OK)
		return;
	if (!(m->h.flags & IKE_FLAG_RESPONSE) && m->h.message_id != sa->rx_mid) {
		ike_response_repeat(sa, p, true);
	} else if (ike_reassembly_add(sa, m, inner, p->size, &joined)) {
		take_joined(sa, p, m, &joined);
		ike_joined_free(&joined);
	}
	ike_touch(sa->tunnel);
	bytes_wipe(plain, p->size);
}

/* ------------------------------------------------------------------ protected */

/* Outside of the window (RFC 6311 5.1), or the first request on what an IKE rekey has made. */
static void take_id_zero(struct ike_sa *sa, const struct ike_packet *p, struct ike_msg *m,
			 enum ike_err err)
{
	if (err == IKE_OK && ike_sync_request(sa, p, m))
		return;
	if (sa->rx_mid == 1)
		ike_response_repeat(sa, p, false);
	else if (sa->rx_mid != 0 || sa->busy)
		ike_count(sa->ike, IKE_CNT_RX_MESSAGE_ID);
	else
		take_request(sa, p, m, err);
}

/*
 * Which ids are used up we do not know, so what comes may be an outsider's repetition of what our
 * predecessor has dealt with: nothing counts but what makes the ids equal (RFC 6311 5.1).
 */
static void take_while_behind(struct ike_sa *sa, const struct ike_packet *p, struct ike_msg *m)
{
	uint8_t plain[IKE_MESSAGE_MAX];
	struct rd inner;

	if (!(m->present & IKE_HAS_SK) || m->h.message_id != 0 ||
	    m->h.exchange != IKE_INFORMATIONAL) {
		ike_count(sa->ike, IKE_CNT_RX_MESSAGE_ID);
		return;
	}
	if (open_message(sa, p, m, plain, &inner) != IKE_OK)
		return;
	if (ike_msg_parse_inner(m->sk_next_payload, inner, m) != IKE_OK)
		ike_count(sa->ike, IKE_CNT_RX_PAYLOAD);
	else if (m->h.flags & IKE_FLAG_RESPONSE)
		ike_sync_response(sa, p, m);
	else if (!ike_sync_request(sa, p, m))
		ike_count(sa->ike, IKE_CNT_RX_MESSAGE_ID);
	ike_touch(sa->tunnel);
	bytes_wipe(plain, p->size);
}

/* The message id after the ICV: what an outsider sends must not reach the window (2.3). */
static void take_protected(struct ike_sa *sa, const struct ike_packet *p, struct ike_msg *m)
{
	struct ike *ike = sa->ike;
	const bool response = m->h.flags & IKE_FLAG_RESPONSE;
	const uint32_t mid = m->h.message_id;
	uint8_t plain[IKE_MESSAGE_MAX];
	struct rd inner;

	if (sa->tunnel && sa->tunnel->resuming) { /* it will be repeated */
		ike_count(ike, IKE_CNT_RX_STATE);
		return;
	}
	if (sa->resync.wanted) {
		take_while_behind(sa, p, m);
		return;
	}
	if (sa->keys.ei && m->present & IKE_HAS_SKF) {
		take_fragment(sa, p, m);
		return;
	}
	if (!sa->keys.ei || !(m->present & IKE_HAS_SK)) {
		ike_crash_unprotected(sa, p, m);
		return;
	}
	if (open_message(sa, p, m, plain, &inner) != IKE_OK)
		return;
	if (response) {
		if (!sa->req.data || sa->req.mid != mid || sa->req.exchange != m->h.exchange) {
			ike_count(ike, IKE_CNT_RX_MESSAGE_ID);
			return;
		}
		take_response(sa, p, m, ike_msg_parse_inner(m->sk_next_payload, inner, m));
	} else if (mid == 0 && sa->agreed.sync && m->h.exchange == IKE_INFORMATIONAL) {
		take_id_zero(sa, p, m, ike_msg_parse_inner(m->sk_next_payload, inner, m));
	} else if (mid + 1 == sa->rx_mid) {
		ike_response_repeat(sa, p, false);
	} else if (mid != sa->rx_mid || sa->busy) {
		ike_count(ike, IKE_CNT_RX_MESSAGE_ID);
	} else {
		take_request(sa, p, m, ike_msg_parse_inner(m->sk_next_payload, inner, m));
	}
	ike_touch(sa->tunnel);
	bytes_wipe(plain, p->size);
}

/* RFC 7296 2.5: a higher major version is answered, without state, never longer and not too often. */
static void answer_version(struct ike *ike, const struct ike_packet *p)
{
	struct rd r = rd_of(p->data, p->size);
	struct ike_header h = {.version = IKE_VERSION_2, .exchange = IKE_SA_INIT};
	const uint8_t *rest;
	uint8_t buf[64];
	struct ike_builder b;
	size_t size;

	if (!rd_u64(&r, &h.spi_i) || !rd_u64(&r, &h.spi_r) || !rd_bytes(&r, 4, &rest) ||
	    rest[3] & IKE_FLAG_RESPONSE || !rd_u32(&r, &h.message_id))
		return;
	h.exchange = rest[2];
	h.flags = IKE_FLAG_RESPONSE;
	ike_build_open(&b, buf, sizeof(buf), &h);
	ike_build_notify(&b, IKE_PROTO_NONE, NULL, 0, IKE_N_INVALID_MAJOR_VERSION, NULL, 0);
	size = ike_build_close(&b);
	if (size && size <= p->size &&
	    ike_tunnel_next_by_addresses(ike, &p->local.addr, &p->remote.addr, NULL) &&
	    ike_may_reply(ike))
		ike_send(ike, IKE_TUNNEL_NONE, &p->local, &p->remote, buf, size);
}

/*
 * An answer would be in another protocol; but a peer that is set to IKEv1 is a frequent reason for a
 * tunnel that never comes up. Told only of addresses that a tunnel names, and not too often.
 */
static void decline_ikev1(struct ike *ike, const struct ike_packet *p)
{
	const struct ike_tunnel *t =
		ike_tunnel_next_by_addresses(ike, &p->local.addr, &p->remote.addr, NULL);
	char at[IP_ENDPOINT_STRLEN];
	struct sb s;

	if (!t || p->data[VERSION_AT] >> 4 != 1 || !ike_may_complain(ike))
		return;
	s = ike_event(ike, IKE_HAP_IKEV1_DECLINED, t->cfg.remote.family == IP_NONE ? NULL : t);
	sb_printf(&s, "IKEv1 from %s is declined: set the peer to IKEv2",
		  ip_endpoint_format(&p->remote, at));
}

static void take_init(struct ike *ike, const struct ike_packet *p, const struct ike_msg *m,
		      struct ike_sa *sa)
{
	const bool resume = m->h.exchange == IKE_SESSION_RESUME;
	const uint32_t need = resume ? IKE_HAS_NONCE : IKE_HAS_SA | IKE_HAS_KE | IKE_HAS_NONCE;
	const bool response = m->h.flags & IKE_FLAG_RESPONSE;
	const bool from_initiator = m->h.flags & IKE_FLAG_INITIATOR;

	/* RFC 7296 2.2: message id 0, retries with COOKIE or another group included. */
	if (m->present & (IKE_HAS_SK | IKE_HAS_SKF)) { /* RFC 7383 2.3: nothing here is protected */
		ike_count(ike, IKE_CNT_RX_SYNTAX);
	} else if (m->h.message_id != 0 || response == from_initiator) {
		ike_count(ike, m->h.message_id ? IKE_CNT_RX_MESSAGE_ID : IKE_CNT_RX_STATE);
	} else if (response) {
		if (!sa)
			ike_count(ike, IKE_CNT_RX_UNKNOWN_SPI);
		else if (sa->state != IKE_ST_INIT_SENT || resume != (sa->hs->session != NULL))
			ike_count(ike, IKE_CNT_RX_STATE);
		else if (resume)
			ike_session_response(sa, p, m);
		else
			ike_init_response(sa, p, m);
	} else if (m->h.spi_r != 0 || m->h.spi_i == 0 || (m->present & need) != need) {
		ike_count(ike, IKE_CNT_RX_SYNTAX);
	} else if (resume) {
		ike_session_request(ike, p, m);
	} else {
		ike_init_request(ike, p, m);
	}
}

void ike_dispatch(struct ike *ike, const struct ike_packet *p)
{
	struct ike_header h;
	struct ike_msg m;
	struct ike_sa *sa;
	bool ours_initiator;
	enum ike_err err =
		p->size > IKE_MESSAGE_MAX ? IKE_ERR_LENGTH : ike_header_parse(p->data, p->size, &h);

	ike_count(ike, IKE_CNT_RX);
	/* What strangers make us keep is bounded more tightly than what peers may say. */
	if (err == IKE_OK && (h.exchange == IKE_SA_INIT || h.exchange == IKE_SESSION_RESUME) &&
	    p->size > IKE_INIT_MAX)
		err = IKE_ERR_LENGTH;
	if (err == IKE_OK && ike_cookie_ask(ike, p, &h))
		return;
	if (err == IKE_OK)
		err = ike_msg_parse(p->data, p->size, &m);
	if (err != IKE_OK) {
		ike_count(ike, ike_counter_of(err));
		if (err == IKE_ERR_VERSION)
			answer_version(ike, p);
		else if (err == IKE_ERR_IKEV1)
			decline_ikev1(ike, p);
		return;
	}
	/* The Initiator flag is the sender's: the other SPI is ours (3.1). */
	ours_initiator = !(m.h.flags & IKE_FLAG_INITIATOR);
	sa = ike_sa_find(ike, ours_initiator ? m.h.spi_i : m.h.spi_r);
	if (sa && sa->initiator != ours_initiator)
		sa = NULL;
	if (m.h.exchange == IKE_SA_INIT || m.h.exchange == IKE_SESSION_RESUME) {
		take_init(ike, p, &m, sa);
		return;
	}
	if (!sa || sa->spi_i != m.h.spi_i || sa->spi_r != m.h.spi_r) {
		if (m.h.exchange == IKE_INFORMATIONAL && !(m.present & IKE_HAS_SK))
			ike_crash_invalid_spi(ike, p, &m);
		ike_crash_unknown_spi(ike, p, &m);
		return;
	}
	take_protected(sa, p, &m);
}
