/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exchange_sa_init: IKE_SA_INIT as initiator (RFC 7296 1.2, 2.6, 2.7). Nothing here is authenticated, so
 * nothing is taken for a final no.
 */
#include <stdlib.h>
#include "ike/ike_int.h"

#define PUZZLE_SLICE 2048 /* prfs in one step: a few milliseconds */

static bool draw_dh(struct ike_sa *sa, uint16_t group, uint8_t public[IKE_DH_MAX])
{
	const struct ike_crypto *c = &sa->ike->crypto;
	struct ike_dh_key *key = c->dh_new(c->ctx, (enum ike_dh)group, public);

	if (!key)
		return false;
	c->dh_free(c->ctx, sa->hs->dh);
	sa->hs->dh = key;
	sa->hs->group = group;
	return true;
}

static bool offers_additional(const struct ike_tunnel_cfg *cfg)
{
	for (unsigned i = 0; i < IKE_MAX_AKE; i++) {
		const struct ike_alg_list *l = &cfg->ike_algs.by_type[IKE_TRANSFORM_ADDKE1 + i];

		for (size_t k = 0; k < l->n; k++) {
			if (l->algs[k].id != IKE_DH_NONE)
				return true;
		}
	}
	return false;
}

/* The public value is drawn anew only with a new group: a COOKIE retry repeats KE and Ni (2.6). */
static bool send_request(struct ike_sa *sa, const uint8_t *public)
{
	struct ike_handshake *hs = sa->hs;
	const struct ike_tunnel_cfg *cfg = &sa->tunnel->cfg;
	const struct ike_dh_desc *dh = ike_dh_desc(hs->group);
	const struct ike_header h = {
		.spi_i = sa->spi_i,
		.version = IKE_VERSION_2,
		.exchange = IKE_SA_INIT,
		.flags = IKE_FLAG_INITIATOR,
	};
	uint8_t buf[IKE_INIT_MAX];
	struct ike_builder b;
	uint8_t *copy;
	size_t size;

	ike_build_open(&b, buf, sizeof(buf), &h);
	if (hs->cookie_size)
		ike_build_notify(&b, IKE_PROTO_NONE, NULL, 0, IKE_N_COOKIE, hs->cookie,
				 hs->cookie_size);
	/* RFC 8019 7.1.2: right behind the cookie. */
	if (hs->puzzle)
		ike_build_ps(&b, hs->puzzle->keys, sizeof(hs->puzzle->keys));
	ike_build_sa(&b, IKE_PROTO_IKE, NULL, 0, &cfg->ike_algs, false, IKE_DH_NONE);
	ike_build_ke(&b, hs->group, public, dh->public_size);
	ike_build_nonce(&b, hs->ni, hs->ni_size);
	ike_nat_build(sa, &b);
	if (cfg->fragment_size)
		ike_build_notify(&b, IKE_PROTO_NONE, NULL, 0, IKE_N_IKEV2_FRAGMENTATION_SUPPORTED,
				 NULL, 0);
	ike_extend_init_request(sa, &b);
	ike_proof_init_build(sa, &b, SIZE_MAX);
	if (offers_additional(cfg))
		ike_build_notify(&b, IKE_PROTO_NONE, NULL, 0, IKE_N_INTERMEDIATE_EXCHANGE_SUPPORTED,
				 NULL, 0);
	size = ike_build_close(&b);
	copy = size ? malloc(size) : NULL;
	if (!copy)
		return false;
	memcpy(copy, buf, size);
	free(hs->request);
	hs->request = copy;
	hs->request_size = size;
	return ike_request_send_raw(sa, IKE_TASK_INIT, buf, size);
}

bool ike_init_start(struct ike_tunnel *t)
{
	struct ike *ike = t->ike;
	struct ike_sa *sa;
	uint8_t public[IKE_DH_MAX];

	if (ike_session_usable(t))
		return ike_session_start(t);
	sa = ike_sa_new(ike, t, true);
	if (!sa)
		return false;
	sa->local = (struct ip_endpoint){t->cfg.local, IKE_PORT};
	sa->remote = (struct ip_endpoint){t->gateway.family ? t->gateway : t->cfg.remote, IKE_PORT};
	sa->hs = calloc(1, sizeof(*sa->hs));
	if (!sa->hs)
		goto fail;
	sa->hs->ni_size = IKE_NONCE_SIZE;
	if (!ike_random(ike, sa->hs->ni, sa->hs->ni_size) ||
	    !draw_dh(sa, ike_algs_first_dh(&t->cfg.ike_algs), public))
		goto fail;
	ike_sa_set_state(sa, IKE_ST_INIT_SENT, "ike-init", "initiator");
	if (send_request(sa, public))
		return true;
fail:
	ike_count(ike, IKE_CNT_RESOURCES);
	ike_sa_close(sa, "ike-init", "out of resources");
	return true; /* the end of the SA has planned what comes next */
}

static const uint8_t *own_public(const struct ike_sa *sa, uint8_t public[IKE_DH_MAX])
{
	struct ike_msg m;

	/* The last request holds it; parsing it again is simpler than keeping it twice. */
	if (ike_msg_parse(sa->hs->request, sa->hs->request_size, &m) != IKE_OK ||
	    m.ke.data.size > IKE_DH_MAX)
		return NULL;
	memcpy(public, m.ke.data.p, m.ke.data.size);
	return public;
}

static bool may_retry(struct ike_sa *sa)
{
	if (sa->hs->n_retries >= IKE_MAX_RETRIES) {
		ike_count(sa->ike, IKE_CNT_RX_STATE);
		return false;
	}
	sa->hs->n_retries++;
	return true;
}

static void retry_with_cookie(struct ike_sa *sa, const struct rd *cookie)
{
	uint8_t public[IKE_DH_MAX];

	/* RFC 7296 2.6: 1 to 64 octets. */
	if (cookie->size < 1 || cookie->size > sizeof(sa->hs->cookie)) {
		ike_count(sa->ike, IKE_CNT_RX_PAYLOAD);
		return;
	}
	if (!may_retry(sa) || !own_public(sa, public))
		return;
	memcpy(sa->hs->cookie, cookie->p, cookie->size);
	sa->hs->cookie_size = cookie->size;
	free(sa->hs->puzzle);
	sa->hs->puzzle = NULL;
	send_request(sa, public);
}

static bool offered_prf(const struct ike_sa *sa, uint16_t prf)
{
	return ike_algs_have(&sa->tunnel->cfg.ike_algs, IKE_TRANSFORM_PRF, prf, 0);
}

/*
 * RFC 8019 7.1.2. Nobody knows yet who asks for it, so what it may cost is bounded; one that is beyond
 * that is answered by the cookie alone, as by a peer that has never heard of puzzles. The work is done
 * in slices, and an answer that makes it needless is still heard.
 */
static void begin_puzzle(struct ike_sa *sa, const struct rd *cookie, struct rd data)
{
	struct ike_handshake *hs = sa->hs;
	struct ike_puzzle_ask ask;
	struct ike_puzzle puzzle;

	if (hs->solving)
		return; /* the answer to a repetition: one at a time */
	if (!ike_puzzle_parse(data, &ask) || !offered_prf(sa, ask.prf) ||
	    !ike_puzzle_begin(&ask, *cookie, &puzzle)) {
		ike_count(sa->ike, IKE_CNT_PUZZLE_TOO_HARD);
		retry_with_cookie(sa, cookie);
		return;
	}
	if (!may_retry(sa))
		return;
	free(hs->puzzle);
	hs->puzzle = malloc(sizeof(puzzle));
	if (!hs->puzzle) {
		ike_count(sa->ike, IKE_CNT_RESOURCES);
		return;
	}
	*hs->puzzle = puzzle;
	hs->solving = true;
	ike_timer_request_done(sa); /* its answer has come */
	ike_timer_puzzle(sa);
}

void ike_init_puzzle_due(struct ike_sa *sa)
{
	struct ike_handshake *hs = sa->hs;
	uint8_t public[IKE_DH_MAX];
	enum ike_puzzle_state state;

	if (sa->state != IKE_ST_INIT_SENT || !hs || !hs->solving)
		return;
	state = ike_puzzle_work(&sa->ike->crypto, hs->puzzle, PUZZLE_SLICE);
	if (state == IKE_PUZZLE_MORE) {
		ike_timer_puzzle(sa);
		return;
	}
	hs->solving = false;
	ike_count(sa->ike,
		  state == IKE_PUZZLE_SOLVED ? IKE_CNT_PUZZLE_SOLVED : IKE_CNT_PUZZLE_TOO_HARD);
	memcpy(hs->cookie, hs->puzzle->s, hs->puzzle->s_size);
	hs->cookie_size = hs->puzzle->s_size;
	if (state == IKE_PUZZLE_TOO_HARD) {
		free(hs->puzzle);
		hs->puzzle = NULL;
	}
	if (!own_public(sa, public) || !send_request(sa, public)) {
		ike_timer_initiation_failed(sa->tunnel);
		ike_sa_close(sa, "ike-init", "out of resources");
	}
}

static bool offered_group(const struct ike_sa *sa, uint16_t group)
{
	return ike_algs_have(&sa->tunnel->cfg.ike_algs, IKE_TRANSFORM_DH, group, 0);
}

static void retry_with_group(struct ike_sa *sa, struct rd data)
{
	uint8_t public[IKE_DH_MAX];
	uint16_t group;

	ike_count(sa->ike, IKE_CNT_INVALID_KE);
	if (!rd_u16(&data, &group) || !rd_empty(&data)) {
		ike_count(sa->ike, IKE_CNT_RX_PAYLOAD);
		return;
	}
	/* RFC 7296 1.2: only to a group that we offered, and never in circles. */
	if (sa->hs->solving || group == sa->hs->group || !offered_group(sa, group) ||
	    !may_retry(sa))
		return;
	if (draw_dh(sa, group, public))
		send_request(sa, public);
}

/* Not authenticated, so no reason to give up; but people should hear of it. */
static void refused(struct ike_sa *sa, const struct ike_notify_payload *n)
{
	struct ike_tunnel *t = sa->tunnel;
	struct sb reason = sb_of(t->reason, sizeof(t->reason));
	struct sb s;

	sb_printf(&reason, "the peer answers IKE_SA_INIT with %s", ike_notify_name(n->type));
	if (n->type == IKE_N_NO_PROPOSAL_CHOSEN) {
		struct ike_mismatch mismatch = {.layer = IKE_LAYER_NONE};

		ike_mismatch_proposal(IKE_PROTO_IKE, NULL, &t->cfg.ike_algs, &mismatch);
		ike_mismatch_note(t, &mismatch);
		ike_count(sa->ike, IKE_CNT_NO_PROPOSAL);
		sb_str(&reason, ": none of our IKE proposals is configured there");
	}
	if (sa->hs->refused)
		return;
	sa->hs->refused = true;
	s = ike_event(sa->ike,
		      n->type == IKE_N_NO_PROPOSAL_CHOSEN ? IKE_HAP_NO_PROPOSAL : IKE_HAP_IKE_DOWN,
		      t);
	sb_str(&s, t->reason);
}

enum ike_err ike_init_derive(struct ike_sa *sa, const struct ike_suite *suite,
			     struct rd peer_public, uint64_t spi_i, uint64_t spi_r,
			     const struct ike_nonces *n, struct ike_dh_key *dh,
			     struct ike_sa_keys *keys)
{
	const struct ike_crypto *c = &sa->ike->crypto;
	uint8_t shared[IKE_DH_MAX];
	enum ike_err err = IKE_ERR_KE;

	if (c->dh_shared(c->ctx, dh, peer_public.p, peer_public.size, shared))
		err = ike_keys_initial(c, suite, n, shared, ike_dh_desc(suite->dh)->shared_size,
				       spi_i, spi_r, keys);
	bytes_wipe(shared, sizeof(shared));
	return err;
}

uint16_t ike_init_fragment_size(const struct ike_tunnel *t, const struct ike_msg *m)
{
	return ike_msg_notify(m, IKE_N_IKEV2_FRAGMENTATION_SUPPORTED) ? t->cfg.fragment_size : 0;
}

bool ike_init_nonce_ok(const struct ike_msg *m)
{
	return m->nonce.size >= IKE_NONCE_MIN && m->nonce.size <= IKE_NONCE_MAX;
}

static void accept_response(struct ike_sa *sa, const struct ike_packet *p, const struct ike_msg *m)
{
	struct ike *ike = sa->ike;
	struct ike_handshake *hs = sa->hs;
	const struct ike_tunnel_cfg *cfg = &sa->tunnel->cfg;
	const struct ike_nonces n = {rd_of(hs->ni, hs->ni_size), m->nonce};
	struct ike_sa_keys keys = {0};
	const struct ike_proposal *proposal;
	enum ike_err err = IKE_ERR_KE;
	struct ike_suite suite;
	uint8_t *copy;

	if (m->h.spi_r == 0 || !ike_init_nonce_ok(m)) {
		ike_count(ike, m->h.spi_r ? IKE_CNT_RX_NONCE : IKE_CNT_RX_SYNTAX);
		return;
	}
	if (ike_proposal_check(&m->sa, IKE_PROTO_IKE, &cfg->ike_algs, false, &suite, &proposal) !=
	    IKE_OK) {
		ike_count(ike, IKE_CNT_NO_PROPOSAL);
		return;
	}
	/* RFC 9370 2.2.1: additional key exchanges have no place without IKE_INTERMEDIATE. */
	if (ike_ke_additional(&suite) &&
	    !ike_msg_notify(m, IKE_N_INTERMEDIATE_EXCHANGE_SUPPORTED)) {
		ike_count(ike, IKE_CNT_NO_PROPOSAL);
		return;
	}
	if (m->ke.dh == hs->group && suite.dh == hs->group)
		err = ike_init_derive(sa, &suite, m->ke.data, sa->spi_i, m->h.spi_r, &n, hs->dh,
				      &keys);
	if (err != IKE_OK) {
		ike_count(ike, ike_counter_of(err));
		ike_sa_keys_free(&keys);
		return;
	}
	copy = malloc(p->size);
	if (!copy) {
		ike_count(ike, IKE_CNT_RESOURCES);
		ike_sa_keys_free(&keys);
		return;
	}
	/* Commit. */
	memcpy(copy, p->data, p->size);
	hs->response = copy;
	hs->response_size = p->size;
	hs->nr_size = m->nonce.size;
	memcpy(hs->nr, m->nonce.p, m->nonce.size);
	ike->crypto.dh_free(ike->crypto.ctx, hs->dh);
	hs->dh = NULL;
	sa->keys = keys;
	sa->suite = suite;
	sa->spi_r = m->h.spi_r;
	sa->rank = sa->origin = ike_rank_of(hs->ni, hs->ni_size, hs->nr, hs->nr_size);
	sa->tx_mid = 1;
	sa->fragment_size = ike_init_fragment_size(sa->tunnel, m);
	hs->intermediate = ike_msg_notify(m, IKE_N_INTERMEDIATE_EXCHANGE_SUPPORTED);
	hs->solving = false;
	ike_request_done(sa);
	ike_nat_detect(sa, p, m);
	ike_extend_init_seen(sa, m);
	ike_nat_float(sa);
	ike_proof_init_note(sa, m);
	ike_intermediate_next(sa);
}

/* RFC 5685 3: nothing was agreed on yet; the tunnel begins again elsewhere. */
static void redirected(struct ike_sa *sa, const struct ike_msg *m)
{
	const struct rd ni = rd_of(sa->hs->ni, sa->hs->ni_size);

	if (ike_redirect_take(sa, m, &ni))
		ike_sa_close(sa, "ike-init", "redirected");
}

void ike_init_response(struct ike_sa *sa, const struct ike_packet *p, const struct ike_msg *m)
{
	const uint32_t need = IKE_HAS_SA | IKE_HAS_KE | IKE_HAS_NONCE;
	const struct ike_notify_payload *n = ike_msg_error(m);
	const struct ike_notify_payload *cookie = ike_msg_notify(m, IKE_N_COOKIE);
	const struct ike_notify_payload *puzzle = ike_msg_notify(m, IKE_N_PUZZLE);

	sa->tunnel->heard = sa->ike->now;
	if ((m->present & need) == need)
		accept_response(sa, p, m);
	else if (ike_msg_notify(m, IKE_N_REDIRECT))
		redirected(sa, m);
	else if (cookie && puzzle)
		begin_puzzle(sa, &cookie->data, puzzle->data);
	else if (cookie && !sa->hs->solving)
		retry_with_cookie(sa, &cookie->data);
	else if (n && n->type == IKE_N_INVALID_KE_PAYLOAD)
		retry_with_group(sa, n->data);
	else if (n)
		refused(sa, n);
	else
		ike_count(sa->ike, IKE_CNT_RX_SYNTAX);
}
