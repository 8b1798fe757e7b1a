/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crash: what two ends tell each other when one of them has lost the state that the other relies on:
 * INVALID_IKE_SPI and INVALID_SPI (RFC 7296 1.5, 2.21.4), and the token that makes the first of them
 * believable (quick crash detection, RFC 6290).
 *
 * Nothing here is authenticated but the token, so the rest is a hint at most: it leads to one probe,
 * not too often (RFC 7296 2.4). A token is a keyed hash of both SPIs under a secret that outlives the
 * process; who shows it has lost the SA, because nobody gets it from us while we have that SA
 * (RFC 6290 4.5, 9.2): not even when only one of the two SPIs is known here.
 *
 * What is sent goes to peers that are configured, few a second, and never in answer to an answer.
 */
#include "ike/ike_int.h"

#define HINT_PERIOD     span_s(10) /* one probe in this time */
#define HINT_FRESH      span_s(1)  /* who spoke this lately is there */
#define AMPLIFY_AT_MOST 8          /* bytes that an answer may be longer than what caused it */
#define ESP_DOUBT_AFTER span_s(1)  /* stragglers of an SA that ended come before that */
#define ESP_DOUBT_UNTIL span_s(10)
#define CHILD_SETTLED   span_s(2)
#define NOTIFY_SIZE     8 /* without data */

/* RFC 6290 5.1, with a prf for the hash: 16 octets, so that an answer is hardly longer than a probe. */
static bool make_token(struct ike *ike, uint64_t spi_i, uint64_t spi_r, uint8_t *out)
{
	uint8_t spis[2 * IKE_SPI_SIZE], full[IKE_PRF_MAX];
	struct wr w = wr_of(spis, sizeof(spis));
	const struct ike_iov in = {spis, sizeof(spis)};
	bool ok;

	if (!ike->limits.has_qcd_secret)
		return false;
	wr_u64(&w, spi_i);
	wr_u64(&w, spi_r);
	ok = ike->crypto.prf(ike->crypto.ctx, IKE_PRF_HMAC_SHA2_256, ike->limits.qcd_secret,
			     IKE_QCD_SECRET_SIZE, &in, 1, full);
	memcpy(out, full, IKE_QCD_TOKEN_SIZE);
	bytes_wipe(full, sizeof(full));
	return ok;
}

static void build_token(struct ike_builder *b, const uint8_t *token)
{
	/* RFC 6290 4.1: protocol 1, no SPI. */
	ike_build_notify(b, IKE_PROTO_IKE, NULL, 0, IKE_N_QUICK_CRASH_DETECTION, token,
			 IKE_QCD_TOKEN_SIZE);
}

void ike_crash_build_token(struct ike_sa *sa, struct ike_builder *b)
{
	uint8_t token[IKE_QCD_TOKEN_SIZE];

	if (make_token(sa->ike, sa->spi_i, sa->spi_r, token))
		build_token(b, token);
}

void ike_crash_keep_token(struct ike_sa *sa, const struct ike_msg *m)
{
	const struct ike_notify_payload *n = ike_msg_notify(m, IKE_N_QUICK_CRASH_DETECTION);

	if (!n || n->data.size < IKE_QCD_TOKEN_MIN || n->data.size > IKE_QCD_TOKEN_MAX)
		return;
	memcpy(sa->qcd_token, n->data.p, n->data.size);
	sa->qcd_size = (uint8_t)n->data.size;
}

/* ------------------------------------------------------------- a message for nobody */

static void answer_unknown(struct ike *ike, const struct ike_packet *p, const struct ike_msg *m)
{
	/* RFC 7296 1.5: the same SPIs, exchange and message id. */
	const struct ike_header h = {
		.spi_i = m->h.spi_i,
		.spi_r = m->h.spi_r,
		.version = IKE_VERSION_2,
		.exchange = m->h.exchange,
		.flags = (uint8_t)(IKE_FLAG_RESPONSE |
				   (m->h.flags & IKE_FLAG_INITIATOR ? 0 : IKE_FLAG_INITIATOR)),
		.message_id = m->h.message_id,
	};
	const size_t with_token = IKE_HEADER_SIZE + NOTIFY_SIZE + NOTIFY_SIZE + IKE_QCD_TOKEN_SIZE;
	uint8_t token[IKE_QCD_TOKEN_SIZE], buf[128];
	struct ike_builder b;
	size_t size;

	ike_build_open(&b, buf, sizeof(buf), &h);
	ike_build_notify(&b, IKE_PROTO_NONE, NULL, 0, IKE_N_INVALID_IKE_SPI, NULL, 0);
	if (with_token <= p->size + AMPLIFY_AT_MOST && make_token(ike, h.spi_i, h.spi_r, token)) {
		build_token(&b, token);
		ike_count(ike, IKE_CNT_QCD_SENT);
	}
	size = ike_build_close(&b);
	if (size && size <= p->size + AMPLIFY_AT_MOST)
		ike_send(ike, IKE_TUNNEL_NONE, &p->local, &p->remote, buf, size);
}

void ike_crash_unknown_spi(struct ike *ike, const struct ike_packet *p, const struct ike_msg *m)
{
	ike_count(ike, IKE_CNT_RX_UNKNOWN_SPI);
	/* RFC 7296 1.5: only to protected requests; a reply to a reply would never end. */
	if (m->h.flags & IKE_FLAG_RESPONSE || !(m->present & IKE_HAS_SK) || !m->h.spi_i ||
	    !m->h.spi_r)
		return;
	/* RFC 6290 9.2: whoever asks for an SA that stands, in whatever disguise, learns nothing. */
	if (ike_sa_find(ike, m->h.spi_i) || ike_sa_find(ike, m->h.spi_r))
		return;
	if (ike_tunnel_next_by_addresses(ike, &p->local.addr, &p->remote.addr, NULL) &&
	    ike_may_reply(ike))
		answer_unknown(ike, p, m);
}

/* -------------------------------------------------------------------------- hints */

/* RFC 7296 2.4: somebody says that the peer has lost us. Ask it. */
static void hint(struct ike_sa *sa)
{
	struct ike *ike = sa->ike;

	ike_count(ike, IKE_CNT_RX_HINT);
	if (sa->state != IKE_ST_ESTABLISHED || sa->req.data ||
	    mono_since(ike->now, sa->last_life).ns < HINT_FRESH.ns ||
	    (sa->hint_at.ns && mono_since(ike->now, sa->hint_at).ns < HINT_PERIOD.ns))
		return;
	sa->hint_at = ike->now;
	sa->want_dpd = true;
	ike_touch(sa->tunnel);
	ike_sa_run(sa);
}

static void rebooted(struct ike_sa *sa)
{
	struct ike_tunnel *t = sa->tunnel;
	struct sb s = ike_event(sa->ike, IKE_HAP_PEER_REBOOTED, t);

	sb_str(&s, "the peer proves that it has lost the IKE SA: it is made anew");
	ike_count(sa->ike, IKE_CNT_QCD_TAKEN);
	/* RFC 6290 4.5: silently. It lives again by our will, or by the peer's; not if we were about
	 * to end it, as a command may have it. */
	t->wanted = !t->removed && (t->wanted || (t->cfg.dpd_action == IKE_DPD_RESTART &&
						  sa->state != IKE_ST_DELETING));
	if (t->cfg.dpd_action == IKE_DPD_CLEAR)
		t->wanted = false;
	t->not_before = sa->ike->now;
	ike_touch(t);
	ike_ticket_keep(sa);
	ike_sa_close(sa, "crash", "the peer has lost it");
}

void ike_crash_unprotected(struct ike_sa *sa, const struct ike_packet *p, const struct ike_msg *m)
{
	bool any = false;

	(void)p;
	if (!(m->h.flags & IKE_FLAG_RESPONSE) || !ike_msg_notify(m, IKE_N_INVALID_IKE_SPI) ||
	    !sa->tunnel ||
	    (sa->state != IKE_ST_ESTABLISHED && sa->state != IKE_ST_REPLACED &&
	     sa->state != IKE_ST_DELETING)) {
		ike_count(sa->ike, IKE_CNT_RX_STATE);
		return;
	}
	/* RFC 6290 4.5: several, while the peer's secret changes. */
	for (size_t i = 0; i < m->n_notifies; i++) {
		const struct ike_notify_payload *n = &m->notifies[i];

		if (n->type != IKE_N_QUICK_CRASH_DETECTION)
			continue;
		any = true;
		if (sa->qcd_size && n->data.size == sa->qcd_size &&
		    bytes_equal_ct(n->data.p, sa->qcd_token, sa->qcd_size)) {
			rebooted(sa);
			return;
		}
	}
	if (any)
		ike_count(sa->ike, IKE_CNT_RX_QCD_BAD);
	hint(sa);
}

static bool spi_in(const struct ike_notify_payload *n, uint32_t *spi)
{
	struct rd r = n->data;

	return rd_u32(&r, spi) && rd_empty(&r);
}

/* Outside of any IKE SA: ESP of ours came to a peer that does not know the SA (1.5). */
void ike_crash_invalid_spi(struct ike *ike, const struct ike_packet *p, const struct ike_msg *m)
{
	const struct ike_notify_payload *n = ike_msg_notify(m, IKE_N_INVALID_SPI);
	struct ike_tunnel *t = NULL;
	uint32_t spi;

	if (!n || !spi_in(n, &spi))
		return;
	while ((t = ike_tunnel_next_by_addresses(ike, &p->local.addr, &p->remote.addr, t))) {
		struct ike_child *c = ike_child_by_spi_out(t, spi);

		if (c && c->sa) {
			hint(c->sa);
			return;
		}
	}
}

/* The same from a peer that is who it is: its half is gone, and ours is of no use. */
void ike_crash_child_unknown(struct ike_sa *sa, const struct ike_msg *m)
{
	const struct ike_notify_payload *n = ike_msg_notify(m, IKE_N_INVALID_SPI);
	struct ike *ike = sa->ike;
	struct ike_child *c;
	uint32_t spi;

	if (!n || !spi_in(n, &spi) || sa->state != IKE_ST_ESTABLISHED)
		return;
	c = ike_child_by_spi_out(sa->tunnel, spi);
	if (!c || c->sa != sa || c->state != IKE_CH_INSTALLED || !ike_child_live(c) ||
	    mono_since(ike->now, c->created).ns < CHILD_SETTLED.ns)
		return;
	sa->tunnel->child_not_before = ike->now;
	ike_child_request_delete(c, "the peer does not have it");
	if (ike_sa_live(sa))
		sa->want_child = true;
}

/* ------------------------------------------------------------------- ESP for nobody */

static void say_invalid_spi(struct ike *ike, const struct ip_endpoint *local,
			    const struct ip_endpoint *remote, uint32_t spi)
{
	/* RFC 7296 1.5: SPIs of zero, the Initiator flag, a request that nobody answers. */
	const struct ike_header h = {
		.version = IKE_VERSION_2,
		.exchange = IKE_INFORMATIONAL,
		.flags = IKE_FLAG_INITIATOR,
	};
	const bool natt = local->port == IKE_PORT_NATT;
	const struct ip_endpoint from = {local->addr, natt ? IKE_PORT_NATT : IKE_PORT};
	const struct ip_endpoint to = {remote->addr, natt ? remote->port : IKE_PORT};
	uint8_t buf[64], data[IKE_ESP_SPI_SIZE];
	struct wr w = wr_of(data, sizeof(data));
	struct ike_builder b;
	size_t size;

	wr_u32(&w, spi);
	ike_build_open(&b, buf, sizeof(buf), &h);
	ike_build_notify(&b, IKE_PROTO_NONE, NULL, 0, IKE_N_INVALID_SPI, data, sizeof(data));
	size = ike_build_close(&b);
	if (size)
		ike_send(ike, IKE_TUNNEL_NONE, &from, &to, buf, size);
	ike_count(ike, IKE_CNT_INVALID_SPI_SENT);
}

static struct ike_sa *sa_with(struct ike_tunnel *t, const struct ip_addr *remote)
{
	struct ike_sa *sa = ike_tunnel_sa(t);

	return sa && ip_equal(&sa->remote.addr, remote) ? sa : NULL;
}

/* The source of ESP can be forged: what comes of it is one message, to a configured peer. */
void ike_crash_unknown_esp(struct ike *ike, const struct ip_endpoint *local,
			   const struct ip_endpoint *remote, uint32_t spi)
{
	struct ike_tunnel *t = NULL, *first = NULL;
	struct ike_sa *sa = NULL;
	struct mono_span since;

	while (!sa && (t = ike_tunnel_next_by_addresses(ike, &local->addr, &remote->addr, t))) {
		if (!first)
			first = t;
		sa = sa_with(t, &remote->addr);
	}
	t = sa ? sa->tunnel : first;
	if (!t)
		return;
	/* Once is a straggler; the same again, a while later, is not. */
	since = mono_since(ike->now, t->doubt_at);
	if (t->doubt_spi != spi || since.ns > ESP_DOUBT_UNTIL.ns) {
		t->doubt_spi = spi;
		t->doubt_at = ike->now;
		return;
	}
	if (since.ns < ESP_DOUBT_AFTER.ns || !ike_may_reply(ike))
		return;
	t->doubt_spi = 0;
	if (!sa) {
		if (TAILQ_EMPTY(&t->sas)) /* else it is being made */
			say_invalid_spi(ike, local, remote, spi);
		return;
	}
	sa->invalid_spi = spi;
	sa->want_notice = true;
	ike_touch(t);
	ike_count(ike, IKE_CNT_INVALID_SPI_SENT);
	ike_sa_run(sa);
}
