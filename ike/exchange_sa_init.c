/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exchange_sa_init: IKE_SA_INIT (RFC 7296 1.2, 2.6, 2.7). Nothing here is authenticated: the
 * responder keeps state only within its limits, the initiator takes nothing for a final no.
 */
#include <stdlib.h>
#include "ike/ike_int.h"

#define MAX_CHOICES 16 /* tunnels of one pair of addresses that have a say in the suite */

/* ------------------------------------------------------------------ initiator */

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
	struct ike_sa *sa = ike_sa_new(ike, t, true);
	uint8_t public[IKE_DH_MAX];

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
	send_request(sa, public);
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
	if (group == sa->hs->group || !offered_group(sa, group) || !may_retry(sa))
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

static enum ike_err derive(struct ike_sa *sa, const struct ike_suite *suite, struct rd peer_public,
			   uint64_t spi_i, uint64_t spi_r, const struct ike_nonces *n,
			   struct ike_dh_key *dh, struct ike_sa_keys *keys)
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

/* RFC 7383 2.3: both say so, or neither uses it. */
static uint16_t negotiate_fragmentation(const struct ike_tunnel *t, const struct ike_msg *m)
{
	return ike_msg_notify(m, IKE_N_IKEV2_FRAGMENTATION_SUPPORTED) ? t->cfg.fragment_size : 0;
}

static bool nonce_ok(const struct ike_msg *m)
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

	if (m->h.spi_r == 0 || !nonce_ok(m)) {
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
		err = derive(sa, &suite, m->ke.data, sa->spi_i, m->h.spi_r, &n, hs->dh, &keys);
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
	sa->fragment_size = negotiate_fragmentation(sa->tunnel, m);
	hs->intermediate = ike_msg_notify(m, IKE_N_INTERMEDIATE_EXCHANGE_SUPPORTED);
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

	sa->tunnel->heard = sa->ike->now;
	if ((m->present & need) == need)
		accept_response(sa, p, m);
	else if (ike_msg_notify(m, IKE_N_REDIRECT))
		redirected(sa, m);
	else if (cookie)
		retry_with_cookie(sa, &cookie->data);
	else if (n && n->type == IKE_N_INVALID_KE_PAYLOAD)
		retry_with_group(sa, n->data);
	else if (n)
		refused(sa, n);
	else
		ike_count(sa->ike, IKE_CNT_RX_SYNTAX);
}

/* ------------------------------------------------------------------ responder */

/*
 * An answer without state: one notify, never longer than the request (RFC 7296 2.6, 2.21.1). All but
 * COOKIE, which an honest peer needs in the middle of a flood, are few a second as well.
 */
static void answer(struct ike *ike, const struct ike_packet *p, const struct ike_msg *m,
		   uint16_t type, const void *data, size_t data_size)
{
	const struct ike_header h = {
		.spi_i = m->h.spi_i,
		.version = IKE_VERSION_2,
		.exchange = IKE_SA_INIT,
		.flags = IKE_FLAG_RESPONSE,
	};
	uint8_t buf[128];
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

static void demand_cookie(struct ike *ike, const struct ike_packet *p, const struct ike_msg *m)
{
	uint8_t fresh[1 + IKE_DIGEST_SIZE];

	ike_count(ike, IKE_CNT_COOKIE_SENT);
	if (ike_cookie_make(ike, p, m, fresh))
		answer(ike, p, m, IKE_N_COOKIE, fresh, sizeof(fresh));
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
	sa->fragment_size = negotiate_fragmentation(t, m);
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
	err = derive(sa, suite, m->ke.data, sa->spi_i, sa->spi_r, &n, hs->dh, &sa->keys);
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

void ike_init_request(struct ike *ike, const struct ike_packet *p, const struct ike_msg *m)
{
	const struct ike_notify_payload *cookie = ike_msg_notify(m, IKE_N_COOKIE);
	uint8_t digest[IKE_DIGEST_SIZE];
	const struct ike_proposal *proposal;
	struct ike_suite suite;
	struct ike_tunnel *t;
	struct ike_sa *sa;
	bool proven;

	if (!ike_tunnel_next_by_addresses(ike, &p->local.addr, &p->remote.addr, NULL)) {
		ike_count(ike, IKE_CNT_RX_NO_PEER);
		return;
	}
	if (!nonce_ok(m)) {
		ike_count(ike, IKE_CNT_RX_NONCE);
		return;
	}
	if (!ike_init_digest(ike, p, digest))
		return;
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
	proven = cookie && ike_cookie_ok(ike, p, m, &cookie->data);
	if (ike_cookies_on(ike) && !proven) {
		if (cookie)
			ike_count(ike, IKE_CNT_RX_COOKIE);
		demand_cookie(ike, p, m);
		return;
	}
	if (!ike_half_open_room(ike, &p->remote.addr)) {
		ike_count(ike, IKE_CNT_RX_HALF_OPEN_LIMIT);
		return;
	}
	t = select_tunnel(ike, p, m, &suite, &proposal);
	if (!t) {
		report_no_proposal(ike, p, m);
		answer(ike, p, m, IKE_N_NO_PROPOSAL_CHOSEN, NULL, 0);
		return;
	}
	if (m->ke.dh != suite.dh) {
		const uint8_t group[2] = {(uint8_t)(suite.dh >> 8), (uint8_t)suite.dh};

		ike_count(ike, IKE_CNT_INVALID_KE);
		answer(ike, p, m, IKE_N_INVALID_KE_PAYLOAD, group, sizeof(group));
		return;
	}
	respond(ike, p, m, digest, t, &suite, proposal, proven);
}
