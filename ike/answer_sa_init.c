/* SPDX-License-Identifier: Apache-2.0 */
/*
 * answer_sa_init: IKE_SA_INIT as responder (RFC 7296 1.2, 2.6, 2.7). Nothing here is authenticated: state
 * is kept only within limits, in a crowd only for those who have shown where they are, and in a large one
 * for those who have worked for it (RFC 8019).
 */
#include <stdlib.h>
#include "ike/ike_int.h"

#define MAX_CHOICES 16 /* tunnels of one pair of addresses that have a say in the suite */

/*
 * An answer without state: one notify, never longer than the request (RFC 7296 2.6, 2.21.1), and few a
 * second. COOKIE is another matter: an honest peer needs it in the middle of a flood.
 */
void ike_init_answer(struct ike *ike, const struct ike_packet *p, const struct ike_msg *m,
		     uint16_t type, const void *data, size_t data_size)
{
	const struct ike_header h = {
		.spi_i = m->h.spi_i,
		.version = IKE_VERSION_2,
		.exchange = m->h.exchange,
		.flags = IKE_FLAG_RESPONSE,
	};
	uint8_t buf[IKE_HEADER_SIZE + 8 + IKE_REDIRECT_MAX];
	struct ike_builder b;
	size_t size;

	if (type != IKE_N_COOKIE && !ike_may_reply(ike))
		return;
	ike_build_open(&b, buf, sizeof(buf), &h);
	ike_build_notify(&b, IKE_PROTO_NONE, NULL, 0, type, data, data_size);
	size = ike_build_close(&b);
	if (size && size <= p->size)
		ike_send(ike, IKE_TUNNEL_NONE, &p->local, &p->remote, buf, size);
}

/*
 * RFC 9370 2.2.1: additional key exchanges need IKE_INTERMEDIATE, which the peer has to announce. False:
 * ours are required.
 */
static bool without_additional(struct ike_algs *algs)
{
	for (uint8_t type = IKE_TRANSFORM_ADDKE1; type < IKE_N_ALG_LISTS; type++) {
		if (algs->by_type[type].n && !ike_algs_have(algs, type, IKE_DH_NONE, 0))
			return false;
		algs->by_type[type].n = 0;
	}
	return true;
}

/*
 * Which tunnel is meant shows in IKE_AUTH only, and the suite must be one of its own then. So of what the
 * tunnels of these addresses would choose, that is taken which most of them permit; the first of equals.
 */
static struct ike_tunnel *select_tunnel(struct ike *ike, const struct ike_packet *p,
					const struct ike_msg *m, struct ike_suite *suite,
					const struct ike_proposal **proposal)
{
	struct choice {
		struct ike_tunnel *t;
		struct ike_suite suite;
		const struct ike_proposal *proposal;
	} choices[MAX_CHOICES];
	const bool intermediate = ike_msg_notify(m, IKE_N_INTERMEDIATE_EXCHANGE_SUPPORTED);
	struct ike_tunnel *t = NULL;
	size_t n = 0, best = 0;
	unsigned best_votes = 0;

	while (n < MAX_CHOICES &&
	       (t = ike_tunnel_next_by_addresses(ike, &p->local.addr, &p->remote.addr, t))) {
		struct choice *c = &choices[n];
		struct ike_algs algs = t->cfg.ike_algs;

		if (!t->unable && (intermediate || without_additional(&algs)) &&
		    ike_proposal_select_ke(&m->sa, IKE_PROTO_IKE, &algs, m->ke.dh, &c->suite,
					   &c->proposal) == IKE_OK)
			choices[n++].t = t;
	}
	for (size_t i = 0; i < n; i++) {
		unsigned votes = 0;

		for (size_t k = 0; k < n; k++)
			votes += ike_algs_permit(&choices[k].t->cfg.ike_algs, &choices[i].suite);
		if (votes > best_votes) {
			best = i;
			best_votes = votes;
		}
	}
	if (!n)
		return NULL;
	*suite = choices[best].suite;
	*proposal = choices[best].proposal;
	return choices[best].t;
}

static void report_no_proposal(struct ike *ike, const struct ike_packet *p, const struct ike_msg *m)
{
	struct ike_tunnel *t =
		ike_tunnel_next_by_addresses(ike, &p->local.addr, &p->remote.addr, NULL);
	bool told = false;
	struct sb s;

	ike_count(ike, IKE_CNT_NO_PROPOSAL);
	if (!ike_may_complain(ike))
		return;
	s = ike_event(ike, IKE_HAP_NO_PROPOSAL, t);
	if (t->unable) {
		sb_printf(&s, "refused: %s", t->unable);
		return;
	}
	sb_str(&s, "IKE proposal: ");
	/* Whose request it was is not known yet: each tunnel of these addresses is told. */
	for (; t; t = ike_tunnel_next_by_addresses(ike, &p->local.addr, &p->remote.addr, t)) {
		struct ike_mismatch mismatch = {.layer = IKE_LAYER_NONE};

		ike_mismatch_proposal(IKE_PROTO_IKE, &m->sa, &t->cfg.ike_algs, &mismatch);
		if (!told)
			sb_str(&s, mismatch.differs);
		told = true;
		t->heard = ike->now;
		if (!t->up)
			ike_mismatch_note(t, &mismatch);
	}
}

/* `proven`: the peer is where it says. Bytes written, or 0. */
static size_t build_response(struct ike_sa *sa, struct ike_tunnel *t, const struct ike_suite *suite,
			     const struct ike_proposal *proposal, const uint8_t *public,
			     bool proven, uint8_t buf[IKE_INIT_MAX])
{
	struct ike_handshake *hs = sa->hs;
	const struct ike_header h = {
		.spi_i = sa->spi_i,
		.spi_r = sa->spi_r,
		.version = IKE_VERSION_2,
		.exchange = IKE_SA_INIT,
		.flags = IKE_FLAG_RESPONSE,
	};
	const size_t room = proven ? IKE_INIT_MAX : hs->request_size;
	struct ike_builder b;

	ike_build_open(&b, buf, IKE_INIT_MAX, &h);
	ike_build_sa_chosen(&b, proposal->number, IKE_PROTO_IKE, NULL, 0, suite);
	ike_build_ke(&b, suite->dh, public, ike_dh_desc(suite->dh)->public_size);
	ike_build_nonce(&b, hs->nr, hs->nr_size);
	sa->tunnel = t; /* lent, for the encapsulation that it may force */
	ike_nat_build(sa, &b);
	sa->tunnel = NULL;
	if (sa->fragment_size)
		ike_build_notify(&b, IKE_PROTO_NONE, NULL, 0, IKE_N_IKEV2_FRAGMENTATION_SUPPORTED,
				 NULL, 0);
	if (hs->intermediate)
		ike_build_notify(&b, IKE_PROTO_NONE, NULL, 0, IKE_N_INTERMEDIATE_EXCHANGE_SUPPORTED,
				 NULL, 0);
	ike_proof_init_build(sa, &b, room);
	ike_extend_init_response(&b, room);
	return ike_build_close(&b);
}

static bool keep_response(struct ike_handshake *hs, const uint8_t *data, size_t size)
{
	hs->response = size ? malloc(size) : NULL;
	if (!hs->response)
		return false;
	memcpy(hs->response, data, size);
	hs->response_size = size;
	return true;
}

/* A cookie, and a puzzle to go with it while there is a crowd; without state. */
static void demand_cookie(struct ike *ike, const struct ike_packet *p, const struct ike_msg *m)
{
	const struct ike_header h = {
		.spi_i = m->h.spi_i,
		.version = IKE_VERSION_2,
		.exchange = IKE_SA_INIT,
		.flags = IKE_FLAG_RESPONSE,
	};
	struct ike_puzzle_ask ask = {.bits = ike_puzzle_bits(ike)};
	uint8_t cookie[IKE_OUR_COOKIE_SIZE], data[IKE_PUZZLE_ASK_SIZE], buf[128];
	const struct ike_proposal *proposal;
	struct ike_suite suite;
	struct ike_builder b;
	size_t size;

	/* RFC 8019 7.1.1.2: a prf that the initiator offers and that we would take. */
	if (ask.bits && select_tunnel(ike, p, m, &suite, &proposal))
		ask.prf = suite.prf;
	else
		ask.bits = 0;
	ike_count(ike, IKE_CNT_COOKIE_SENT);
	ike_cookie_make(ike, p, m->h.spi_i, m->nonce, ask.bits, cookie);
	ike_build_open(&b, buf, sizeof(buf), &h);
	ike_build_notify(&b, IKE_PROTO_NONE, NULL, 0, IKE_N_COOKIE, cookie, sizeof(cookie));
	if (ask.bits) {
		ike_count(ike, IKE_CNT_PUZZLE_SENT);
		ike_puzzle_write(&ask, data);
		ike_build_notify(&b, IKE_PROTO_NONE, NULL, 0, IKE_N_PUZZLE, data, sizeof(data));
	}
	size = ike_build_close(&b);
	if (size && size <= p->size)
		ike_send(ike, IKE_TUNNEL_NONE, &p->local, &p->remote, buf, size);
}

/* `proven`: a cookie has shown that the peer is where it says. */
static void respond(struct ike *ike, const struct ike_packet *p, const struct ike_msg *m,
		    const uint8_t *digest, struct ike_tunnel *t, const struct ike_suite *suite,
		    const struct ike_proposal *proposal, bool proven)
{
	struct ike_sa *sa = ike_sa_new(ike, NULL, false);
	struct ike_handshake *hs = calloc(1, sizeof(*hs));
	uint8_t public[IKE_DH_MAX] = {0}, buf[IKE_INIT_MAX];
	struct ike_nonces n;
	enum ike_err err = IKE_ERR_RESOURCES;
	bool long_answer = false;

	if (!sa || !hs) {
		free(hs);
		goto out;
	}
	sa->hs = hs;
	sa->spi_i = m->h.spi_i;
	sa->local = p->local;
	sa->remote = p->remote;
	sa->suite = *suite;
	sa->rx_mid = 1;
	sa->fragment_size = ike_init_fragment_size(t, m);
	hs->intermediate = ike_msg_notify(m, IKE_N_INTERMEDIATE_EXCHANGE_SUPPORTED);
	hs->group = suite->dh;
	hs->ni_size = m->nonce.size;
	memcpy(hs->ni, m->nonce.p, m->nonce.size);
	hs->nr_size = IKE_NONCE_SIZE;
	hs->request = malloc(p->size);
	if (!hs->request || !ike_random(ike, hs->nr, hs->nr_size))
		goto out;
	hs->request_size = p->size;
	memcpy(hs->request, p->data, p->size);
	ike_proof_init_note(sa, m);
	/*
	 * RFC 7296 2.6: who has not shown yet that he is there gets no more than he sends, so what asks
	 * for a longer answer has to come again with a cookie. Lengths do not depend on values.
	 */
	long_answer =
		!proven && build_response(sa, t, suite, proposal, public, proven, buf) > p->size;
	if (long_answer)
		goto out;
	hs->dh = ike->crypto.dh_new(ike->crypto.ctx, (enum ike_dh)suite->dh, public);
	if (!hs->dh)
		goto out;
	n = (struct ike_nonces){m->nonce, rd_of(hs->nr, hs->nr_size)};
	err = ike_init_derive(sa, suite, m->ke.data, sa->spi_i, sa->spi_r, &n, hs->dh, &sa->keys);
	ike->crypto.dh_free(ike->crypto.ctx, hs->dh);
	hs->dh = NULL;
	if (err != IKE_OK)
		goto out;
	err = IKE_ERR_RESOURCES;
	sa->tunnel = t;
	ike_nat_detect(sa, p, m);
	ike_extend_init_seen(sa, m);
	sa->tunnel = NULL;
	sa->rank = sa->origin = ike_rank_of(hs->ni, hs->ni_size, hs->nr, hs->nr_size);
	if (!keep_response(hs, buf, build_response(sa, t, suite, proposal, public, proven, buf)) ||
	    !ike_half_open_enter(sa, digest))
		goto out;
	err = IKE_OK;
	ike_sa_set_state(sa, IKE_ST_INIT_DONE, "ike-init", "responder");
	ike_timer_half_open(sa);
	ike_send(ike, IKE_TUNNEL_NONE, &p->local, &p->remote, hs->response, hs->response_size);
out:
	if (err == IKE_OK)
		return;
	if (!long_answer)
		ike_count(ike, ike_counter_of(err));
	if (sa)
		ike_sa_close(sa, "ike-init",
			     long_answer ? "a cookie is asked for" : ike_err_text(err));
	if (long_answer)
		demand_cookie(ike, p, m);
}

/*
 * RFC 8019 7.1.4, 7.1.5: the cookie was ours, and good. Whether to serve him who has brought it: with a
 * solution at once, without one only a few a second, with a wrong one not at all.
 */
static bool serve(struct ike *ike, const struct ike_packet *p, const struct ike_msg *m,
		  const struct rd *cookie, uint8_t bits)
{
	const struct ike_proposal *proposal;
	struct ike_suite suite;

	if (m->present & IKE_HAS_PS && bits) {
		if (select_tunnel(ike, p, m, &suite, &proposal) &&
		    ike_puzzle_check(&ike->crypto, suite.prf, *cookie, bits, m->ps))
			return true;
		ike_count(ike, IKE_CNT_RX_PUZZLE);
		return false;
	}
	if (ike_may_go_unsolved(ike))
		return true;
	ike_count(ike, IKE_CNT_RX_PUZZLE);
	if (!bits) /* it is from before the crowd */
		demand_cookie(ike, p, m);
	return false;
}

void ike_init_request(struct ike *ike, const struct ike_packet *p, const struct ike_msg *m)
{
	const struct ike_notify_payload *cookie = ike_msg_notify(m, IKE_N_COOKIE);
	uint8_t digest[IKE_DIGEST_SIZE], redirect[IKE_REDIRECT_MAX];
	const struct ike_proposal *proposal;
	struct ike_suite suite;
	struct ike_tunnel *t;
	struct ike_sa *sa;
	size_t redirect_size;
	uint8_t bits = 0;
	bool proven;

	if (!ike_tunnel_next_by_addresses(ike, &p->local.addr, &p->remote.addr, NULL)) {
		ike_count(ike, IKE_CNT_RX_NO_PEER);
		return;
	}
	if (!ike_init_nonce_ok(m)) {
		ike_count(ike, IKE_CNT_RX_NONCE);
		return;
	}
	ike_init_digest(ike, p, digest);
	sa = ike_half_open_find(ike, digest);
	if (sa) { /* RFC 7296 2.1: a repetition, told by the whole message */
		if (sa->state == IKE_ST_INIT_DONE) {
			ike_count(ike, IKE_CNT_TX_RESPONSE_REPEAT);
			ike_send(ike, IKE_TUNNEL_NONE, &p->local, &p->remote, sa->hs->response,
				 sa->hs->response_size);
		} else {
			ike_count(ike, IKE_CNT_RX_STATE);
		}
		return;
	}
	proven = cookie && ike_cookie_ok(ike, p, m, &cookie->data, &bits);
	if (ike_cookies_on(ike) && !proven) {
		if (cookie)
			ike_count(ike, IKE_CNT_RX_COOKIE);
		demand_cookie(ike, p, m);
		return;
	}
	if (proven && ike_puzzle_bits(ike) && !serve(ike, p, m, &cookie->data, bits))
		return;
	redirect_size = ike_redirect_init(ike, p, m, redirect);
	if (redirect_size) {
		ike_count(ike, IKE_CNT_REDIRECT_SENT);
		ike_init_answer(ike, p, m, IKE_N_REDIRECT, redirect, redirect_size);
		return;
	}
	if (!ike_half_open_room(ike, &p->remote.addr)) {
		ike_count(ike, IKE_CNT_RX_HALF_OPEN_LIMIT);
		return;
	}
	t = select_tunnel(ike, p, m, &suite, &proposal);
	if (!t) {
		report_no_proposal(ike, p, m);
		ike_init_answer(ike, p, m, IKE_N_NO_PROPOSAL_CHOSEN, NULL, 0);
		return;
	}
	if (m->ke.dh != suite.dh) {
		const uint8_t group[2] = {(uint8_t)(suite.dh >> 8), (uint8_t)suite.dh};

		ike_count(ike, IKE_CNT_INVALID_KE);
		ike_init_answer(ike, p, m, IKE_N_INVALID_KE_PAYLOAD, group, sizeof(group));
		return;
	}
	respond(ike, p, m, digest, t, &suite, proposal, proven);
}
