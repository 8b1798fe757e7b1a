/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exchange_auth: IKE_AUTH with a shared key (RFC 7296 1.2, 2.15). The key lives elsewhere: AUTH is
 * made and checked by actions, and everything that this exchange learns before the verdict waits in
 * the handshake. The peer's identities are looked at first, but a wrong one still takes the way
 * through the check, so that what the peer sees does not tell which of the two was wrong.
 */
#include <stdlib.h>
#include "ike/ike_int.h"

#define OCTETS_MAX (IKE_INIT_MAX + IKE_NONCE_MAX + IKE_PRF_MAX)

static size_t id_body(const struct ike_id *id, uint8_t out[4 + IKE_ID_MAX])
{
	struct wr w = wr_of(out, 4 + IKE_ID_MAX);

	wr_u8(&w, id->type);
	wr_zero(&w, 3);
	wr_bytes(&w, id->data, id->size);
	return w.n;
}

static bool id_matches(const struct ike_id_payload *p, const struct ike_id *id)
{
	return p->type == id->type && p->data.size == id->size &&
	       !memcmp(p->data.p, id->data, id->size);
}

/*
 * An action over the octets of the initiator's or the responder's AUTH. NULL: no room for it; then
 * nobody would ever answer, so the handshake is over (counted as an overflow).
 */
static struct ike_action *auth_act(struct ike_sa *sa, enum ike_action_type type, bool initiators,
				   struct rd body, struct rd auth)
{
	const struct ike_handshake *hs = sa->hs;
	uint8_t octets[OCTETS_MAX];
	const uint8_t *lent, *lent_auth;
	struct ike_action *a = NULL;
	/* RFC 7296 2.15: the own first message, the other's nonce, MACed own identity. */
	const size_t n = ike_auth_octets(
		&sa->ike->crypto, (enum ike_prf)sa->suite.prf,
		initiators ? rd_of(hs->request, hs->request_size)
			   : rd_of(hs->response, hs->response_size),
		initiators ? rd_of(hs->nr, hs->nr_size) : rd_of(hs->ni, hs->ni_size),
		initiators ? sa->keys.pi : sa->keys.pr, body, octets, sizeof(octets));

	lent = n ? ike_lend(sa->ike, octets, n) : NULL;
	lent_auth = lent && auth.size ? ike_lend(sa->ike, auth.p, auth.size) : NULL;
	bytes_wipe(octets, sizeof(octets));
	if (lent && (lent_auth || !auth.size))
		a = ike_act(sa->ike, type, sa->tunnel->cfg.tunnel);
	if (!a) {
		if (sa->initiator)
			ike_timer_initiation_failed(sa->tunnel);
		else
			ike_response_error(sa, IKE_N_TEMPORARY_FAILURE, NULL, 0);
		ike_sa_close(sa, "ike-auth", "out of resources");
		return NULL;
	}
	a->auth.octets = lent;
	a->auth.octets_size = n;
	a->auth.auth = lent_auth;
	a->auth.auth_size = auth.size;
	a->auth.method = IKE_AUTH_SHARED_KEY;
	a->auth.prf = sa->suite.prf;
	memcpy(a->auth.name, sa->tunnel->cfg.name, sizeof(a->auth.name));
	return a;
}

void ike_auth_sign(struct ike_sa *sa)
{
	uint8_t body[4 + IKE_ID_MAX];
	const size_t n = id_body(&sa->tunnel->cfg.local_id, body);
	struct ike_action *a =
		auth_act(sa, IKE_ACT_AUTH_SIGN, sa->initiator, rd_of(body, n), rd_of(NULL, 0));

	if (!a)
		return;
	ike_await(sa->ike, &sa->pending, IKE_PEND_SIGN, sa, a);
	ike_timer_half_open(sa);
}

static void verify(struct ike_sa *sa, const struct ike_msg *m)
{
	const struct rd body = sa->initiator ? m->idr.body : m->idi.body;
	struct ike_action *a =
		auth_act(sa, IKE_ACT_AUTH_VERIFY, !sa->initiator, body, m->auth.data);

	if (!a)
		return;
	ike_await(sa->ike, &sa->pending, IKE_PEND_VERIFY, sa, a);
	ike_timer_half_open(sa);
}

/* --------------------------------------------------------------- first child */

static struct ike_child *make_child(struct ike_sa *sa)
{
	struct ike_handshake *hs = sa->hs;
	struct ike *ike = sa->ike;
	const struct ike_nonces n = {rd_of(hs->ni, hs->ni_size), rd_of(hs->nr, hs->nr_size)};
	struct ike_child_keys keys = {0};
	struct ike_child *c;

	if (ike_keys_child(&ike->crypto, (enum ike_prf)sa->suite.prf, sa->keys.d, &hs->terms.suite,
			   &n, NULL, 0, &keys) != IKE_OK)
		return NULL;
	c = ike_child_new(sa, sa->initiator, hs->slot, hs->spi_in, &hs->terms);
	if (!c) {
		ike_child_keys_free(&keys);
		return NULL;
	}
	c->keys = keys;
	c->rank = sa->rank;
	hs->spi_in = 0; /* the slot is the child's now */
	return c;
}

/* ------------------------------------------------------------------ initiator */

/* RFC 7296 2.4: true as long as we have no other IKE SA with this peer. */
static bool first_contact(const struct ike_sa *sa)
{
	struct ike_sa *other;

	TAILQ_FOREACH(other, &sa->tunnel->sas, entry)
	{
		if (other != sa && !(other->initiator && ike_sa_connecting(other)))
			return false;
	}
	return true;
}

static void send_request(struct ike_sa *sa, const uint8_t *auth, size_t auth_size)
{
	struct ike_tunnel *t = sa->tunnel;
	struct ike_handshake *hs = sa->hs;
	uint8_t buf[IKE_MESSAGE_MAX];
	struct ike_builder b;

	if (!ike_slot_alloc(sa->ike, &hs->slot, &hs->spi_in)) {
		ike_timer_initiation_failed(t);
		ike_sa_close(sa, "ike-auth", "out of slots");
		return;
	}
	ike_build_open_inner(&b, buf, sizeof(buf));
	ike_build_id(&b, IKE_PL_IDI, &t->cfg.local_id);
	if (first_contact(sa))
		ike_build_notify(&b, IKE_PROTO_NONE, NULL, 0, IKE_N_INITIAL_CONTACT, NULL, 0);
	ike_build_id(&b, IKE_PL_IDR, &t->cfg.remote_id);
	ike_build_auth(&b, IKE_AUTH_SHARED_KEY, auth, auth_size);
	ike_terms_offer_sa(&b, t, true, hs->spi_in, IKE_DH_NONE);
	ike_terms_offer_ts(&b, t);
	ike_timer_stop(sa->ike, &sa->t_half_open);
	if (!ike_request_send(sa, IKE_TASK_AUTH, IKE_AUTH, &b, NULL, NULL)) {
		ike_timer_initiation_failed(t);
		ike_sa_close(sa, "ike-auth", "out of resources");
		return;
	}
	ike_sa_set_state(sa, IKE_ST_AUTH_SENT, "ike-auth", "signed");
}

static void auth_failed_event(struct ike_sa *sa, const char *text)
{
	struct sb s;

	ike_count(sa->ike, IKE_CNT_AUTH_FAILED);
	s = ike_event(sa->ike, IKE_HAP_AUTH_FAILED, sa->tunnel);
	sb_str(&s, text);
	ike_tunnel_reason(sa->tunnel, text);
}

void ike_auth_response(struct ike_sa *sa, const struct ike_packet *p, const struct ike_msg *m)
{
	const struct ike_notify_payload *error = ike_msg_error(m);
	const uint32_t need = IKE_HAS_IDR | IKE_HAS_AUTH;
	struct ike_handshake *hs = sa->hs;

	(void)p;
	if ((m->present & need) != need) {
		ike_timer_initiation_failed(sa->tunnel);
		if (error && error->type == IKE_N_AUTHENTICATION_FAILED)
			auth_failed_event(
				sa,
				"the peer refused us: the pre-shared keys differ, or it expects "
				"another local_id or remote_id");
		else
			auth_failed_event(sa, error ? ike_notify_name(error->type)
						    : "the peer's IKE_AUTH response is incomplete");
		ike_sa_close(sa, "ike-auth", error ? ike_notify_name(error->type) : "incomplete");
		return;
	}
	hs->id_ok = id_matches(&m->idr, &sa->tunnel->cfg.remote_id) &&
		    m->auth.method == IKE_AUTH_SHARED_KEY;
	ike_terms_check(sa->tunnel, m, true, &hs->terms);
	if (hs->terms.error)
		ike_terms_explain(sa->tunnel, m, &hs->terms, false, &hs->complaint);
	ike_sa_set_state(sa, IKE_ST_VERIFY, "ike-auth", "response");
	verify(sa, m);
}

static void initiator_verified(struct ike_sa *sa, bool ok)
{
	struct ike_tunnel *t = sa->tunnel;
	struct ike_child *c = NULL;

	ike_timer_stop(sa->ike, &sa->t_half_open);
	if (!ok) {
		/* RFC 7296 2.21.2: the peer has the SA; it is told in an exchange of its own. */
		auth_failed_event(
			sa, sa->hs->id_ok ? "the peer's AUTH is wrong: the pre-shared keys differ"
					  : "the peer's identity is not the configured remote_id");
		ike_timer_initiation_failed(t);
		ike_handshake_free(sa);
		sa->want_delete = sa->delete_auth_failed = true;
		ike_sa_set_state(sa, IKE_ST_DELETING, "ike-auth", "authentication failed");
		ike_sa_run(sa);
		return;
	}
	if (!sa->hs->terms.error && !sa->want_delete)
		c = make_child(sa);
	ike_handshake_free(sa);
	ike_sa_established(sa, "ike-auth");
	if (sa->want_delete) { /* it was decided while the answer was on its way */
		sa->want_delete = false;
		ike_sa_delete(sa, sa->delete_reason);
		return;
	}
	if (c) {
		ike_child_install(c);
	} else {
		ike_timer_child_creation_failed(t, false);
		ike_tunnel_run(t);
	}
}

/* ------------------------------------------------------------------ responder */

/* The tunnel that the identities name; the peer may leave out whom it wants to talk to (IDr). */
static struct ike_tunnel *settle(struct ike_sa *sa, const struct ike_msg *m,
				 struct ike_tunnel **decoy)
{
	struct ike_tunnel *t = NULL;

	*decoy = NULL;
	while ((t = ike_tunnel_next_by_addresses(sa->ike, &sa->local.addr, &sa->remote.addr, t))) {
		if (!*decoy)
			*decoy = t;
		if (!id_matches(&m->idi, &t->cfg.remote_id))
			continue;
		if (m->present & IKE_HAS_IDR && !id_matches(&m->idr, &t->cfg.local_id))
			continue;
		for (size_t i = 0; i < t->cfg.n_ike_suites; i++) {
			if (ike_suite_equal(&t->cfg.ike_suites[i], &sa->suite))
				return t;
		}
	}
	return NULL;
}

void ike_auth_request(struct ike_sa *sa, const struct ike_packet *p, const struct ike_msg *m)
{
	struct ike_handshake *hs = sa->hs;
	struct ike_tunnel *decoy;
	struct ike_tunnel *t = settle(sa, m, &decoy);

	hs->id_ok = t != NULL && m->auth.method == IKE_AUTH_SHARED_KEY;
	if (!t)
		t = decoy;
	/* From here on the peer is where this authenticated message came from (port 4500). */
	sa->local = p->local;
	sa->remote = p->remote;
	if (sa->local.port != IKE_PORT_NATT)
		sa->natt = false; /* it stays on 500: nothing can be encapsulated */
	if (!t || !ike_sa_claim(sa, t)) {
		ike_response_error(sa, IKE_N_AUTHENTICATION_FAILED, NULL, 0);
		ike_sa_close(sa, "ike-auth", "no such tunnel any more");
		return;
	}
	hs->initial_contact = ike_msg_notify(m, IKE_N_INITIAL_CONTACT) != NULL;
	ike_terms_answer(t, m, true, &hs->terms);
	if (hs->terms.error)
		ike_terms_explain(t, m, &hs->terms, true, &hs->complaint);
	ike_sa_set_state(sa, IKE_ST_VERIFY, "ike-auth", "request");
	verify(sa, m);
}

static void respond(struct ike_sa *sa)
{
	struct ike_handshake *hs = sa->hs;
	uint8_t buf[IKE_MESSAGE_MAX];
	struct ike_builder b;

	ike_build_open_inner(&b, buf, sizeof(buf));
	ike_build_id(&b, IKE_PL_IDR, &sa->tunnel->cfg.local_id);
	ike_build_auth(&b, IKE_AUTH_SHARED_KEY, hs->auth, hs->auth_size);
	if (hs->terms.error) {
		/* RFC 7296 2.21.2: the IKE SA stands, the child does not. */
		ike_build_notify(&b, IKE_PROTO_NONE, NULL, 0, hs->terms.error, NULL, 0);
	} else if (hs->terms.present) {
		ike_terms_answer_sa(&b, &hs->terms, hs->answered_spi);
		ike_terms_answer_ts(&b, &hs->terms);
	}
	ike_response_send(sa, &b, false);
}

/* The child stands, was refused or was not asked for: the exchange ends. */
void ike_auth_child_done(struct ike_sa *sa, struct ike_child *c)
{
	const bool initial_contact = sa->hs->initial_contact;

	if (!c && sa->hs->terms.present && !sa->hs->terms.error)
		sa->hs->terms.error = IKE_N_TEMPORARY_FAILURE;
	respond(sa);
	ike_handshake_free(sa);
	ike_sa_established(sa, "ike-auth");
	if (initial_contact)
		ike_initial_contact(sa);
	ike_settle_tunnel(sa->tunnel);
	if (!c)
		ike_tunnel_run(sa->tunnel);
}

static void responder_signed(struct ike_sa *sa)
{
	struct ike_handshake *hs = sa->hs;
	struct ike_child *c = NULL;

	if (hs->terms.present && !hs->terms.error) {
		if (!ike_slot_alloc(sa->ike, &hs->slot, &hs->spi_in)) {
			hs->terms.error = IKE_N_NO_ADDITIONAL_SAS;
		} else {
			hs->answered_spi = hs->spi_in;
			c = make_child(sa);
		}
	}
	if (!c) {
		ike_auth_child_done(sa, NULL);
		return;
	}
	c->reply_held = true;
	ike_sa_set_state(sa, IKE_ST_INSTALL, "ike-auth", "signed");
	ike_child_install(c);
}

static void responder_failed(struct ike_sa *sa)
{
	struct sb s;

	ike_count(sa->ike, IKE_CNT_AUTH_FAILED);
	if (ike_may_complain(sa->ike)) {
		s = ike_event(sa->ike, IKE_HAP_AUTH_FAILED, sa->hs->id_ok ? sa->tunnel : NULL);
		if (sa->hs->id_ok)
			sb_str(&s, "the peer's AUTH is wrong: the pre-shared keys differ");
		else
			sb_printf(&s,
				  "a peer at the address of %s gave identities that no tunnel has",
				  sa->tunnel->cfg.name);
	}
	ike_response_error(sa, IKE_N_AUTHENTICATION_FAILED, NULL, 0);
	ike_sa_close(sa, "ike-auth", "authentication failed");
}

/* ------------------------------------------------------------- from the keys */

void ike_auth_signed(struct ike_sa *sa, bool ok, const uint8_t *auth, size_t size)
{
	if (sa->state != IKE_ST_SIGN || !sa->hs)
		return;
	if (!ok || size > sizeof(sa->hs->auth)) {
		auth_failed_event(
			sa, "no AUTH could be made: is there a pre-shared key for this tunnel?");
		if (sa->initiator)
			ike_timer_initiation_failed(sa->tunnel);
		else
			ike_response_error(sa, IKE_N_AUTHENTICATION_FAILED, NULL, 0);
		ike_sa_close(sa, "ike-auth", "no key");
		return;
	}
	if (sa->initiator) {
		send_request(sa, auth, size);
		return;
	}
	memcpy(sa->hs->auth, auth, size);
	sa->hs->auth_size = size;
	ike_timer_stop(sa->ike, &sa->t_half_open);
	responder_signed(sa);
}

void ike_auth_verified(struct ike_sa *sa, bool ok)
{
	if (sa->state != IKE_ST_VERIFY || !sa->hs)
		return;
	ok = ok && sa->hs->id_ok;
	if (ok && sa->hs->terms.error)
		ike_terms_complain(sa->tunnel, &sa->hs->complaint);
	if (sa->initiator) {
		initiator_verified(sa, ok);
	} else if (ok) {
		ike_sa_set_state(sa, IKE_ST_SIGN, "ike-auth", "verified");
		ike_auth_sign(sa);
	} else {
		responder_failed(sa);
	}
}
