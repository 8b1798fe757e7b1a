/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exchange_auth: IKE_AUTH (RFC 7296 1.2, 2.15). The keys live elsewhere: proofs are made and checked by
 * actions (proof.c), and everything that this exchange learns before the verdict waits in the
 * handshake. The peer's identities are looked at first (identify.c), but a wrong one still takes the way
 * through the check, so that what the peer sees does not tell which of the two was wrong. What the key
 * holder says of a failure is for our own people; the peer hears AUTHENTICATION_FAILED.
 *
 *	initiator: [mix PPK] sign [sign without PPK] -> request; response -> verify
 *	responder: request -> [mix PPK] verify, sign, install the child -> response
 */
#include <stdlib.h>
#include "ike/id.h"
#include "ike/ike_int.h"

#define VALID_MAX    (10ull * 365 * 86400) /* beyond it, nobody waits for a certificate to end */
#define PPK_ID_FIXED 2 /* RFC 8784 5.1: a name that both sides have configured */

/* Why it failed, for people; strangers may not cause too many events. */
static void auth_failed_event(struct ike_sa *sa, const char *text)
{
	struct sb s;

	ike_count(sa->ike, IKE_CNT_AUTH_FAILED);
	s = ike_event(sa->ike, IKE_HAP_AUTH_FAILED, sa->tunnel);
	sb_str(&s, text);
	ike_tunnel_reason(sa->tunnel, text);
}

/* Initiator, before the peer has an IKE SA: try again later. */
static void give_up(struct ike_sa *sa, const char *text, const char *short_text)
{
	auth_failed_event(sa, text);
	ike_timer_initiation_failed(sa->tunnel);
	ike_sa_close(sa, "ike-auth", short_text);
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

static bool same_id(const struct ike_id *a, const struct ike_id *b)
{
	return ike_id_equal(a->type, rd_of(a->data, a->size), b);
}

/* Another tunnel with the same two identities: the second bore of a connection, as a rule. */
static bool has_twin(const struct ike_tunnel *t)
{
	const struct ike_tunnel *other;

	TAILQ_FOREACH(other, &t->ike->tunnels, entry)
	{
		if (other != t && !TAILQ_EMPTY(&other->sas) &&
		    same_id(&t->cfg.remote_id, &other->cfg.remote_id) &&
		    same_id(&t->cfg.local_id, &other->cfg.local_id))
			return true;
	}
	return false;
}

/*
 * RFC 7296 2.4: true as long as this is the only IKE SA between the two identities. A peer that is told
 * so deletes every other one; those of other tunnels count even while they are being made.
 */
static bool first_contact(const struct ike_sa *sa)
{
	struct ike_sa *other;

	TAILQ_FOREACH(other, &sa->tunnel->sas, entry)
	{
		if (other != sa && !(other->initiator && ike_sa_connecting(other)))
			return false;
	}
	return !has_twin(sa->tunnel);
}

static void build_ppk_identity(const struct ike_tunnel_cfg *cfg, struct ike_builder *b)
{
	uint8_t data[1 + IKE_PPK_ID_MAX] = {PPK_ID_FIXED};

	memcpy(data + 1, cfg->ppk_id, cfg->ppk_id_size);
	ike_build_notify(b, IKE_PROTO_NONE, NULL, 0, IKE_N_PPK_IDENTITY, data,
			 1u + cfg->ppk_id_size);
}

static void send_request(struct ike_sa *sa)
{
	struct ike_tunnel *t = sa->tunnel;
	struct ike_handshake *hs = sa->hs;
	uint8_t buf[IKE_MESSAGE_MAX];
	struct ike_builder b;

	/* RFC 6023 3. One that is to replace another brings its child. */
	hs->childless = t->cfg.childless && sa->agreed.childless && !t->current;
	if (!hs->childless && !ike_slot_alloc(sa->ike, &hs->slot, &hs->spi_in)) {
		ike_timer_initiation_failed(t);
		ike_sa_close(sa, "ike-auth", "out of slots");
		return;
	}
	ike_build_open_inner(&b, buf, sizeof(buf));
	ike_build_id(&b, IKE_PL_IDI, &t->cfg.local_id);
	if (first_contact(sa))
		ike_build_notify(&b, IKE_PROTO_NONE, NULL, 0, IKE_N_INITIAL_CONTACT, NULL, 0);
	if (!hs->session) /* RFC 5723 4.3.3: no certificates */
		ike_proof_ask(t, &b);
	if (!t->cfg.remote_id_wildcard)
		ike_build_id(&b, IKE_PL_IDR, &t->cfg.remote_id);
	ike_proof_build(&hs->ours, &b);
	if (hs->with_ppk)
		build_ppk_identity(&t->cfg, &b);
	if (hs->no_ppk.copy)
		ike_build_notify(&b, IKE_PROTO_NONE, NULL, 0, IKE_N_NO_PPK_AUTH, hs->no_ppk.auth.p,
				 hs->no_ppk.auth.size);
	if (hs->announced.any) /* RFC 9593 3.1: the responder has shown that it knows it */
		ike_build_announced(&b, t->cfg.remote_auth == IKE_AUTH_BY_PSK,
				    t->cfg.remote_auth != IKE_AUTH_BY_PSK, true);
	if (!hs->childless) {
		ike_terms_offer_sa(&b, t, true, hs->spi_in, IKE_DH_NONE);
		ike_terms_offer_ts(&b, t);
		if (t->cfg.per_resource)
			ike_resource_build(&b, 0);
	}
	ike_extend_auth_build(sa, &b);
	sa->auth_local = hs->session ? hs->session->auth_local
				     : (uint8_t)ike_auth_alg_of(hs->ours.method, hs->ours.auth);
	ike_timer_stop(sa->ike, &sa->t_half_open);
	if (!ike_request_send(sa, IKE_TASK_AUTH, IKE_AUTH, &b, NULL, NULL)) {
		ike_timer_initiation_failed(t);
		ike_sa_close(sa, "ike-auth", "out of resources");
		return;
	}
	ike_sa_set_state(sa, IKE_ST_AUTH_SENT, "ike-auth", "signed");
}

/* RFC 5723 4.3.3: made here, by keys that nobody else has. */
static bool prove_session(struct ike_sa *sa)
{
	uint8_t auth[IKE_PRF_MAX], body[4 + IKE_ID_MAX];
	const struct ike_id *id = &sa->tunnel->cfg.local_id;
	struct wr w = wr_of(body, sizeof(body));
	struct ike_proof ours = {.method = IKE_AUTH_METHOD_SHARED_KEY};

	wr_u8(&w, id->type);
	wr_zero(&w, 3);
	wr_bytes(&w, id->data, id->size);
	if (!ike_session_auth(sa, sa->initiator, rd_of(body, w.n), auth))
		return false;
	ours.auth = rd_of(auth, ike_prf_desc(sa->suite.prf)->size);
	return ike_proof_copy(&ours, &sa->hs->ours);
}

void ike_auth_start(struct ike_sa *sa)
{
	const struct ike_tunnel_cfg *cfg = &sa->tunnel->cfg;
	struct ike_handshake *hs = sa->hs;

	if (hs->session) {
		if (prove_session(sa))
			send_request(sa);
		else
			give_up(sa, "out of resources", "out of resources");
		return;
	}
	hs->key = cfg->n_psks ? sa->tunnel->psk % cfg->n_psks : 0;
	/* RFC 8784 3: where a PPK must be used, there is no way on without USE_PPK. */
	if (cfg->ppk == IKE_PPK_REQUIRE && !hs->peer_ppk) {
		give_up(sa, "the peer has no PPK for us, and ours is required", "no PPK");
		return;
	}
	if (cfg->ppk != IKE_PPK_NONE && hs->peer_ppk)
		ike_proof_mix(sa);
	else
		ike_proof_sign(sa, false);
}

/*
 * The peer refused us. Where keys are being changed it may have the old one only, so the next attempt
 * takes the next of ours; after the last comes the first again.
 */
static void refused(struct ike_sa *sa)
{
	struct ike_tunnel *t = sa->tunnel;
	const bool psk = t->cfg.local_auth == IKE_AUTH_BY_PSK;
	const struct ike_announced *a = &sa->hs->announced;
	const unsigned bit = psk ? IKE_AUTH_METHOD_SHARED_KEY : IKE_AUTH_METHOD_DIGITAL_SIGNATURE;
	struct ike_mismatch mismatch = {.layer = IKE_LAYER_NONE};
	char text[IKE_TEXT_SIZE];
	struct sb s = sb_of(text, sizeof(text));

	if (a->methods && !(a->methods & 1u << bit)) {
		sb_printf(&s,
			  "the peer refused us: it announces that it does not take %s, which is "
			  "our local_auth",
			  ike_proof_kind_name(t->cfg.local_auth));
	} else if (psk && t->cfg.n_psks > 1) {
		t->psk = (sa->hs->key + 1) % t->cfg.n_psks;
		sb_printf(
			&s,
			"the peer refused us with pre-shared key %u of %u: it has another one, or "
			"expects another local_id or remote_id; key %u is next",
			sa->hs->key + 1, t->cfg.n_psks, t->psk + 1);
	} else {
		sb_printf(&s,
			  "the peer refused us: %s, or it expects another local_id or remote_id",
			  psk ? "the pre-shared keys differ"
			      : "it does not believe our certificate or key");
	}
	auth_failed_event(sa, text);
	ike_mismatch_auth(&t->cfg, IKE_ID_NONE, rd_of(NULL, 0), true, text, &mismatch);
	ike_mismatch_note(t, &mismatch);
}

static void session_verified(struct ike_sa *sa, const struct ike_msg *m);

void ike_auth_response(struct ike_sa *sa, const struct ike_packet *p, const struct ike_msg *m)
{
	const struct ike_notify_payload *error = ike_msg_error(m);
	const uint32_t need = IKE_HAS_IDR | IKE_HAS_AUTH;
	struct ike_handshake *hs = sa->hs;
	struct ike_proof theirs;
	struct sb why = sb_of(hs->id_text, sizeof(hs->id_text));

	if ((m->present & need) != need) {
		ike_timer_initiation_failed(sa->tunnel);
		if (error && error->type == IKE_N_AUTHENTICATION_FAILED && !hs->session)
			refused(sa);
		else
			auth_failed_event(sa, error ? ike_notify_name(error->type)
						    : "the peer's IKE_AUTH response is incomplete");
		ike_sa_close(sa, "ike-auth", error ? ike_notify_name(error->type) : "incomplete");
		return;
	}
	hs->auth_lifetime = ike_reauth_granted(m);
	hs->id_ok = hs->session ? ike_session_identify(sa, m, &why) != NULL
				: ike_identify_responder(sa, m, &why);
	/* RFC 8784 3: an empty PPK_IDENTITY says that the responder's AUTH is made with the PPK. */
	if (hs->with_ppk && !ike_msg_notify(m, IKE_N_PPK_IDENTITY)) {
		hs->with_ppk = false;
		if (sa->tunnel->cfg.ppk == IKE_PPK_REQUIRE && hs->id_ok) {
			hs->id_ok = false;
			sb_str(&why, "the peer does not use our PPK, which is required");
		}
	}
	ike_extend_auth_seen(sa, p, m);
	ike_redirect_keep(sa, m);
	/* RFC 5685 6: who is sent away gets no child. */
	if (!hs->childless && hs->redirect_to.family == IP_NONE)
		ike_terms_check(sa->tunnel, m, true, &hs->terms);
	if (hs->terms.error == IKE_N_SINGLE_PAIR_REQUIRED && !sa->tunnel->single_pair)
		hs->narrow = true; /* if it is the peer who says so */
	if (hs->terms.error)
		ike_terms_explain(sa->tunnel, m, &hs->terms, false, &hs->complaint);
	ike_sa_set_state(sa, IKE_ST_VERIFY, "ike-auth", "response");
	theirs = ike_proof_of(m, false);
	if (!ike_proof_copy(&theirs, &hs->theirs))
		ike_count(sa->ike, IKE_CNT_RESOURCES); /* then there is nothing to verify */
	if (hs->session)
		session_verified(sa, m);
	else
		ike_proof_verify(sa, &hs->theirs);
}

/* What to tell our people of a proof that was not good. */
static void explain_failure(const struct ike_sa *sa, const struct ike_event *ev, struct sb *s)
{
	if (!sa->hs->id_ok)
		sb_str(s, sa->hs->id_text);
	else if (ev->auth.reason && ev->auth.reason[0] != '\0')
		sb_printf(s, "the peer is not believed: %s", ev->auth.reason);
	else if (sa->hs->theirs.method == IKE_AUTH_METHOD_SHARED_KEY)
		sb_printf(s, "the peer's AUTH is wrong: the pre-shared keys%s differ",
			  sa->hs->with_ppk ? " or PPKs" : "");
	else
		sb_str(s, "the peer's AUTH is wrong");
}

static struct rd their_id(const struct ike_sa *sa)
{
	struct rd id = sa->hs->theirs.id_body;

	return rd_skip(&id, 4) ? id : rd_of(NULL, 0);
}

/* Their identity beside the one that we want, for who asks what is wrong. */
static void note_mismatch(const struct ike_sa *sa, const char *text)
{
	struct ike_mismatch mismatch = {.layer = IKE_LAYER_NONE};

	if (sa->tunnel->up)
		return;
	ike_mismatch_auth(&sa->tunnel->cfg, sa->hs->theirs.id_type, their_id(sa), sa->hs->id_ok,
			  text, &mismatch);
	ike_mismatch_note(sa->tunnel, &mismatch);
}

/* Nothing lasts longer for having been resumed. */
static void resumed(struct ike_sa *sa)
{
	const struct ike_session *s = sa->hs->session;

	if (!s)
		return;
	ike_count(sa->ike, IKE_CNT_RESUMED);
	sa->auth_until = s->auth_until;
	sa->auth_local = s->auth_local;
	sa->auth_remote = s->auth_remote;
	sa->ppk = s->ppk;
	sa->hs->initial_contact = true; /* what it follows is no more */
	if (!sa->initiator)
		ike_ticket_used(sa->tunnel, s);
}

/* They are who they say: what follows from it for both roles. */
static void believe(struct ike_sa *sa, uint64_t valid_s)
{
	const struct ike_proof *p = &sa->hs->theirs;

	if (valid_s > 0 && valid_s < VALID_MAX)
		sa->auth_until = mono_add(sa->ike->now, span_s(valid_s));
	sa->auth_remote = (uint8_t)ike_auth_alg_of(p->method, p->auth);
	ike_tunnel_hold(sa->tunnel, p->id_type, their_id(sa));
	resumed(sa);
	ike_proof_commit_ppk(sa);
}

static void initiator_verified(struct ike_sa *sa, bool ok, const struct ike_event *ev)
{
	struct ike_tunnel *t = sa->tunnel;
	const struct ip_addr redirect_to = sa->hs->redirect_to;
	const bool childless = sa->hs->childless;
	bool narrowed = false;
	struct ike_child *c = NULL;

	ike_timer_stop(sa->ike, &sa->t_half_open);
	if (!ok) {
		char text[IKE_TEXT_SIZE];
		struct sb s = sb_of(text, sizeof(text));

		/* RFC 7296 2.21.2: the peer has the SA; it is told in an exchange of its own. */
		explain_failure(sa, ev, &s);
		note_mismatch(sa, text);
		auth_failed_event(sa, text);
		ike_timer_initiation_failed(t);
		ike_handshake_free(sa);
		sa->want_delete = sa->delete_auth_failed = true;
		ike_sa_set_state(sa, IKE_ST_DELETING, "ike-auth", "authentication failed");
		ike_sa_run(sa);
		return;
	}
	believe(sa, ev->auth.valid_s);
	ike_reauth_limit(sa, sa->hs->auth_lifetime);
	narrowed = sa->hs->narrow && ike_terms_narrow_to_pair(t);
	if (sa->hs->terms.present && !sa->hs->terms.error && !sa->want_delete)
		c = make_child(sa);
	ike_handshake_free(sa);
	ike_sa_established(sa, "ike-auth");
	if (sa->want_delete) { /* it was decided while the answer was on its way */
		sa->want_delete = false;
		ike_sa_delete(sa, sa->delete_reason);
		return;
	}
	if (ike_redirect_kept(sa, &redirect_to)) {
		ike_sa_delete(sa, "redirected by the peer");
		return;
	}
	if (c) {
		ike_child_install(c);
	} else {
		if (!childless)
			ike_timer_child_creation_failed(t, narrowed);
		ike_tunnel_run(t);
	}
}

/* ------------------------------------------------------------------ responder */

/*
 * RFC 8784 3: with which keys the initiator's AUTH is to be checked. False: with none, because a PPK is
 * required that it does not use, or it uses one that we do not have and nothing else.
 */
static bool choose_ppk(struct ike_sa *sa, const struct ike_msg *m, struct ike_proof *theirs,
		       bool *mix, struct sb *why)
{
	const struct ike_tunnel_cfg *cfg = &sa->tunnel->cfg;
	const struct ike_notify_payload *id = ike_msg_notify(m, IKE_N_PPK_IDENTITY);
	const struct ike_notify_payload *without = ike_msg_notify(m, IKE_N_NO_PPK_AUTH);

	*mix = id && sa->hs->peer_ppk && cfg->ppk != IKE_PPK_NONE &&
	       id->data.size == 1u + cfg->ppk_id_size && id->data.p[0] == PPK_ID_FIXED &&
	       !memcmp(id->data.p + 1, cfg->ppk_id, cfg->ppk_id_size);
	if (*mix)
		return true;
	if (cfg->ppk == IKE_PPK_REQUIRE) {
		sb_str(why, id ? "they use another PPK than ours, which is required"
			       : "they use no PPK, and ours is required");
		return false;
	}
	if (!id)
		return true;
	if (!without || without->data.size == 0) {
		sb_str(why, "they require a PPK that this tunnel does not have");
		return false;
	}
	theirs->auth = without->data;
	return true;
}

void ike_auth_request(struct ike_sa *sa, const struct ike_packet *p, const struct ike_msg *m)
{
	struct ike_handshake *hs = sa->hs;
	struct sb why = sb_of(hs->id_text, sizeof(hs->id_text));
	struct ike_proof theirs = ike_proof_of(m, true);
	struct ike_tunnel *decoy;
	struct ike_tunnel *t;
	bool mix = false;

	decoy = NULL;
	if (hs->session) {
		t = ike_session_identify(sa, m, &why);
		decoy = ike_tunnel_find(sa->ike, hs->session->tunnel);
	} else {
		t = ike_identify(sa, m, &decoy, &why);
	}
	hs->id_ok = t != NULL;
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
	hs->known = hs->id_ok;
	hs->initial_contact = ike_msg_notify(m, IKE_N_INITIAL_CONTACT) != NULL;
	ike_proof_note(sa, m);
	if (hs->id_ok && !hs->session && !choose_ppk(sa, m, &theirs, &mix, &why))
		hs->id_ok = false;
	ike_extend_auth_seen(sa, p, m);
	if (!ike_redirect_due(sa)) /* RFC 5685 6: who is sent away gets no child */
		ike_terms_answer(t, m, true, &hs->terms);
	if (hs->terms.error)
		ike_terms_explain(t, m, &hs->terms, true, &hs->complaint);
	ike_sa_set_state(sa, IKE_ST_VERIFY, "ike-auth", "request");
	if (!ike_proof_copy(&theirs, &hs->theirs))
		ike_count(sa->ike, IKE_CNT_RESOURCES);
	if (hs->session)
		session_verified(sa, m);
	else if (mix)
		ike_proof_mix(sa);
	else
		ike_proof_verify(sa, &hs->theirs);
}

static void respond(struct ike_sa *sa)
{
	struct ike_handshake *hs = sa->hs;
	uint8_t buf[IKE_MESSAGE_MAX];
	struct ike_builder b;

	ike_build_open_inner(&b, buf, sizeof(buf));
	ike_build_id(&b, IKE_PL_IDR, &sa->tunnel->cfg.local_id);
	ike_proof_build(&hs->ours, &b);
	if (hs->with_ppk)
		ike_build_notify(&b, IKE_PROTO_NONE, NULL, 0, IKE_N_PPK_IDENTITY, NULL, 0);
	ike_reauth_build(sa, &b);
	if (hs->terms.error) {
		/* RFC 7296 2.21.2: the IKE SA stands, the child does not. */
		ike_build_notify(&b, IKE_PROTO_NONE, NULL, 0, hs->terms.error, NULL, 0);
	} else if (hs->terms.present) {
		ike_terms_answer_sa(&b, &hs->terms, hs->answered_spi);
		ike_terms_answer_ts(&b, &hs->terms);
		if (hs->terms.grouped)
			ike_resource_build(&b, 0);
	}
	ike_extend_auth_build(sa, &b);
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

static void responder_failed(struct ike_sa *sa, const struct ike_event *ev)
{
	char at[IP_ENDPOINT_STRLEN], text[IKE_TEXT_SIZE];
	struct sb s, t = sb_of(text, sizeof(text));

	ike_count(sa->ike, IKE_CNT_AUTH_FAILED);
	if (ike_may_complain(sa->ike)) {
		s = ike_event(sa->ike, IKE_HAP_AUTH_FAILED, sa->hs->known ? sa->tunnel : NULL);
		if (!sa->hs->known)
			sb_printf(&s, "a peer at %s was refused: ",
				  ip_endpoint_format(&sa->remote, at));
		explain_failure(sa, ev, &t);
		sb_str(&s, text);
		note_mismatch(sa, text);
	}
	ike_response_error(sa, IKE_N_AUTHENTICATION_FAILED, NULL, 0);
	ike_sa_close(sa, "ike-auth", "authentication failed");
}

static void responder_verified(struct ike_sa *sa, bool ok, const struct ike_event *ev)
{
	struct ike_handshake *hs = sa->hs;

	/* Another may have got the tunnel while this proof was checked. */
	if (ok && ike_tunnel_held(sa->tunnel, hs->theirs.id_type, their_id(sa))) {
		struct sb why = sb_of(hs->id_text, sizeof(hs->id_text));

		sb_str(&why, "another peer was faster to get the tunnel");
		hs->id_ok = ok = false;
	}
	if (!ok) {
		responder_failed(sa, ev);
		return;
	}
	/* A peer whose key is about to be replaced is answered with the one that it has. */
	if (!hs->session && sa->tunnel->cfg.local_auth == IKE_AUTH_BY_PSK &&
	    sa->tunnel->cfg.remote_auth == IKE_AUTH_BY_PSK)
		hs->key = ev->auth.key;
	believe(sa, ev->auth.valid_s);
	ike_sa_set_state(sa, IKE_ST_SIGN, "ike-auth", "verified");
	if (!hs->session) {
		ike_proof_sign(sa, hs->with_ppk);
	} else if (prove_session(sa)) {
		ike_timer_stop(sa->ike, &sa->t_half_open);
		responder_signed(sa);
	} else {
		ike_response_error(sa, IKE_N_TEMPORARY_FAILURE, NULL, 0);
		ike_sa_close(sa, "ike-auth", "out of resources");
	}
}

static void session_verified(struct ike_sa *sa, const struct ike_msg *m)
{
	const struct ike_event ev = {
		.auth.reason = "it does not hold the session that its ticket is for",
	};
	const bool ok = ike_session_verify(sa, m) && sa->hs->id_ok;

	if (ok && sa->hs->terms.error)
		ike_terms_complain(sa->tunnel, &sa->hs->complaint);
	if (sa->initiator)
		initiator_verified(sa, ok, &ev);
	else
		responder_verified(sa, ok, &ev);
}

/* ------------------------------------------------------------- from the keys */

/* No AUTH of our own: a key is missing, or was taken away in the middle. */
static void cannot_sign(struct ike_sa *sa, const struct ike_event *ev)
{
	const char *reason = ev->auth.reason;
	char text[IKE_TEXT_SIZE];
	struct sb s = sb_of(text, sizeof(text));

	if (reason && reason[0] != '\0')
		sb_printf(&s, "no AUTH could be made: %s", reason);
	else
		sb_printf(&s, "no AUTH could be made: is there %s for this tunnel?",
			  ike_proof_kind_name(sa->tunnel->cfg.local_auth));
	auth_failed_event(sa, text);
	if (sa->initiator)
		ike_timer_initiation_failed(sa->tunnel);
	else
		ike_response_error(sa, IKE_N_AUTHENTICATION_FAILED, NULL, 0);
	ike_sa_close(sa, "ike-auth", "no key");
}

void ike_auth_mixed(struct ike_sa *sa, const struct ike_event *ev)
{
	struct ike_handshake *hs = sa->hs;

	if ((sa->state != IKE_ST_SIGN && sa->state != IKE_ST_VERIFY) || !hs)
		return;
	if (!ev->auth.ok || !ike_proof_take_ppk(sa, rd_of(ev->auth.auth, ev->auth.auth_size))) {
		cannot_sign(sa, ev);
		return;
	}
	if (sa->initiator)
		ike_proof_sign(sa, true);
	else
		ike_proof_verify(sa, &hs->theirs);
}

/* RFC 9593: what the peer can and what we have, in the key holder's words. */
static void note_unannounced(struct ike_sa *sa, const char *text)
{
	struct sb s;

	if (!text || text[0] == '\0')
		return;
	s = ike_event(sa->ike, IKE_HAP_AUTH_UNANNOUNCED, sa->tunnel);
	sb_str(&s, text);
}

void ike_auth_signed(struct ike_sa *sa, const struct ike_event *ev)
{
	struct ike_handshake *hs = sa->hs;
	const struct ike_tunnel_cfg *cfg;

	if (sa->state != IKE_ST_SIGN || !hs)
		return;
	cfg = &sa->tunnel->cfg;
	if (!ev->auth.ok || !ike_proof_set(hs->ours.copy ? &hs->no_ppk : &hs->ours, ev)) {
		cannot_sign(sa, ev);
		return;
	}
	if (!hs->no_ppk.copy)
		note_unannounced(sa, ev->auth.reason);
	if (!sa->initiator) {
		sa->auth_local = (uint8_t)ike_auth_alg_of(hs->ours.method, hs->ours.auth);
		ike_timer_stop(sa->ike, &sa->t_half_open);
		responder_signed(sa);
	} else if (hs->with_ppk && cfg->ppk == IKE_PPK_PREFER && !hs->no_ppk.copy) {
		/* RFC 8784 3: for a responder that turns out not to have this PPK. */
		ike_proof_sign(sa, false);
	} else {
		send_request(sa);
	}
}

void ike_auth_verified(struct ike_sa *sa, const struct ike_event *ev)
{
	bool ok;

	if (sa->state != IKE_ST_VERIFY || !sa->hs)
		return;
	ok = ev->auth.ok && sa->hs->id_ok;
	if (ok && sa->hs->terms.error)
		ike_terms_complain(sa->tunnel, &sa->hs->complaint);
	if (sa->initiator)
		initiator_verified(sa, ok, ev);
	else
		responder_verified(sa, ok, ev);
}
