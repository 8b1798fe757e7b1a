/* SPDX-License-Identifier: Apache-2.0 */
/* terms: what a child's SA and TS payloads say, offered, answered and checked (RFC 7296 2.7, 2.9). */
#include "ike/ike_int.h"

static uint32_t spi_of(const struct ike_proposal *p)
{
	struct rd r = rd_of(p->spi, p->spi_size);
	uint32_t spi;

	return p->spi_size == IKE_ESP_SPI_SIZE && rd_u32(&r, &spi) ? spi : 0;
}

static void put_spi(uint8_t out[IKE_ESP_SPI_SIZE], uint32_t spi)
{
	struct wr w = wr_of(out, IKE_ESP_SPI_SIZE);

	wr_u32(&w, spi);
}

/* Responder: what we make of an offer. */
void ike_terms_answer(struct ike_tunnel *t, const struct ike_msg *m, bool skip_dh,
		      struct ike_terms *out)
{
	const struct ike_tunnel_cfg *cfg = &t->cfg;
	const uint32_t need = IKE_HAS_SA | IKE_HAS_TSI | IKE_HAS_TSR;
	const struct ike_proposal *proposal;
	enum ike_err err;

	*out = (struct ike_terms){0};
	if (!(m->present & need))
		return;
	out->present = true;
	if ((m->present & need) != need) {
		out->error = IKE_N_INVALID_SYNTAX;
		return;
	}
	/* USE_TRANSPORT_MODE is not echoed, which declines it (1.3.1): tunnel mode is all we do. */
	if (skip_dh)
		err = ike_proposal_select(&m->sa, IKE_PROTO_ESP, &cfg->esp_algs, true, &out->suite,
					  &proposal);
	else
		err = ike_proposal_select_ke(&m->sa, IKE_PROTO_ESP, &cfg->esp_algs,
					     m->present & IKE_HAS_KE ? m->ke.dh : IKE_DH_NONE,
					     &out->suite, &proposal);
	if (err != IKE_OK) {
		out->error = IKE_N_NO_PROPOSAL_CHOSEN;
		return;
	}
	out->number = proposal->number;
	out->spi_out = spi_of(proposal);
	if (out->spi_out < 256) { /* RFC 4303 2.1: reserved */
		out->error = IKE_N_NO_PROPOSAL_CHOSEN;
		return;
	}
	out->n_local_ts = ike_ts_narrow(cfg->local_ts, cfg->n_local_ts, m->tsr.ts, m->tsr.n,
					out->local_ts, IKE_MAX_TS);
	out->n_remote_ts = ike_ts_narrow(cfg->remote_ts, cfg->n_remote_ts, m->tsi.ts, m->tsi.n,
					 out->remote_ts, IKE_MAX_TS);
	if (!out->n_local_ts || !out->n_remote_ts)
		out->error = IKE_N_TS_UNACCEPTABLE;
	out->grouped = ike_resource_agreed(t, m);
}

/* Initiator: whether the answer keeps to our offer. */
void ike_terms_check(struct ike_tunnel *t, const struct ike_msg *m, bool skip_dh,
		     struct ike_terms *out)
{
	const struct ike_tunnel_cfg *cfg = &t->cfg;
	const uint32_t need = IKE_HAS_SA | IKE_HAS_TSI | IKE_HAS_TSR;
	const struct ike_notify_payload *error = ike_msg_error(m);
	const struct ike_proposal *proposal;

	*out = (struct ike_terms){.present = true};
	if ((m->present & need) != need) {
		out->error = error ? error->type : IKE_N_INVALID_SYNTAX;
		return;
	}
	if (ike_proposal_check(&m->sa, IKE_PROTO_ESP, &cfg->esp_algs, skip_dh, &out->suite,
			       &proposal) != IKE_OK ||
	    (out->spi_out = spi_of(proposal)) < 256) {
		out->error = IKE_N_NO_PROPOSAL_CHOSEN;
		return;
	}
	/* RFC 7296 2.9: the answer must be a subset, and we look. */
	if (!m->tsi.n || !m->tsr.n || m->tsi.n > IKE_MAX_TS || m->tsr.n > IKE_MAX_TS ||
	    !ike_ts_subset(m->tsi.ts, m->tsi.n, cfg->local_ts, cfg->n_local_ts) ||
	    !ike_ts_subset(m->tsr.ts, m->tsr.n, cfg->remote_ts, cfg->n_remote_ts)) {
		out->error = IKE_N_TS_UNACCEPTABLE;
		return;
	}
	out->grouped = ike_resource_agreed(t, m);
	out->n_local_ts = m->tsi.n;
	out->n_remote_ts = m->tsr.n;
	memcpy(out->local_ts, m->tsi.ts, m->tsi.n * sizeof(m->tsi.ts[0]));
	memcpy(out->remote_ts, m->tsr.ts, m->tsr.n * sizeof(m->tsr.ts[0]));
}

/* RFC 7296 2.9.2: what replaces a child must not be narrower, or what it carried would be dropped. */
bool ike_terms_cover(const struct ike_terms *terms, const struct ike_child *old)
{
	return ike_ts_subset(old->local_ts, old->n_local_ts, terms->local_ts, terms->n_local_ts) &&
	       ike_ts_subset(old->remote_ts, old->n_remote_ts, terms->remote_ts,
			     terms->n_remote_ts);
}

void ike_terms_offer_sa(struct ike_builder *b, const struct ike_tunnel *t, bool skip_dh,
			uint32_t spi_in, uint16_t group)
{
	uint8_t spi[IKE_ESP_SPI_SIZE];

	put_spi(spi, spi_in);
	ike_build_sa(b, IKE_PROTO_ESP, spi, sizeof(spi), &t->cfg.esp_algs, skip_dh, group);
}

static const struct ike_ts *first_single(const struct ike_ts *ts, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (ip_equal(&ts[i].first, &ts[i].last))
			return &ts[i];
	}
	return NULL;
}

static bool has_pair(const struct ike_tunnel_cfg *cfg)
{
	return first_single(cfg->local_ts, cfg->n_local_ts) &&
	       first_single(cfg->remote_ts, cfg->n_remote_ts);
}

/*
 * RFC 7296 2.9: SINGLE_PAIR_REQUIRED. No packet makes us ask for a child, so the pair has to be one that
 * the configuration names: hosts, not networks. False: there is none, or it was refused as well.
 */
bool ike_terms_narrow_to_pair(struct ike_tunnel *t)
{
	if (t->single_pair || !has_pair(&t->cfg))
		return false;
	t->single_pair = true;
	return true;
}

void ike_terms_offer_ts(struct ike_builder *b, const struct ike_tunnel *t)
{
	if (t->single_pair) {
		ike_build_ts(b, IKE_PL_TSI, first_single(t->cfg.local_ts, t->cfg.n_local_ts), 1);
		ike_build_ts(b, IKE_PL_TSR, first_single(t->cfg.remote_ts, t->cfg.n_remote_ts), 1);
		return;
	}
	/* Always all that is configured: a rekey never narrows what is in use (2.9.2). */
	ike_build_ts(b, IKE_PL_TSI, t->cfg.local_ts, t->cfg.n_local_ts);
	ike_build_ts(b, IKE_PL_TSR, t->cfg.remote_ts, t->cfg.n_remote_ts);
}

void ike_terms_answer_sa(struct ike_builder *b, const struct ike_terms *terms, uint32_t spi_in)
{
	uint8_t spi[IKE_ESP_SPI_SIZE];

	put_spi(spi, spi_in);
	ike_build_sa_chosen(b, terms->number, IKE_PROTO_ESP, spi, sizeof(spi), &terms->suite);
}

void ike_terms_answer_ts(struct ike_builder *b, const struct ike_terms *terms)
{
	ike_build_ts(b, IKE_PL_TSI, terms->remote_ts, terms->n_remote_ts);
	ike_build_ts(b, IKE_PL_TSR, terms->local_ts, terms->n_local_ts);
}

/* Why a child could not be agreed, for people. `m`: the message that carries the peer's side. */
void ike_terms_explain(struct ike_tunnel *t, const struct ike_msg *m, const struct ike_terms *terms,
		       bool responder, struct ike_complaint *out)
{
	const struct ike_tunnel_cfg *cfg = &t->cfg;
	struct sb s = sb_of(out->text, sizeof(out->text));
	const bool ts = m->present & IKE_HAS_TSI && m->present & IKE_HAS_TSR;
	struct ike_algs algs = cfg->esp_algs;

	out->mismatch = (struct ike_mismatch){.layer = IKE_LAYER_NONE};
	if (terms->error == IKE_N_TS_UNACCEPTABLE) {
		out->what = IKE_HAP_TS_UNACCEPTABLE;
		out->reason = "traffic selectors do not match the peer's";
		ike_mismatch_ts(cfg,
				!ts         ? NULL
				: responder ? &m->tsr
					    : &m->tsi,
				!ts         ? NULL
				: responder ? &m->tsi
					    : &m->tsr,
				&out->mismatch);
		sb_printf(&s, "ours %s; ", out->mismatch.ours);
		if (ts)
			sb_printf(&s, "the peer's %s", out->mismatch.theirs);
		else
			sb_str(&s, "the peer has no such networks");
	} else if (terms->error == IKE_N_NO_PROPOSAL_CHOSEN) {
		out->what = IKE_HAP_NO_PROPOSAL;
		out->reason = "no common ESP proposal";
		/* RFC 7296 1.2: no key exchange for a child in IKE_AUTH. */
		for (uint8_t type = IKE_TRANSFORM_DH;
		     m->h.exchange == IKE_AUTH && type < IKE_N_ALG_LISTS; type++) {
			if (type != IKE_TRANSFORM_ESN)
				algs.by_type[type].n = 0;
		}
		ike_mismatch_proposal(IKE_PROTO_ESP,
				      responder && m->present & IKE_HAS_SA ? &m->sa : NULL, &algs,
				      &out->mismatch);
		sb_printf(&s, "ESP proposal: %s", out->mismatch.differs);
	} else if (terms->error == IKE_N_SINGLE_PAIR_REQUIRED) {
		out->what = IKE_HAP_TS_UNACCEPTABLE;
		out->reason = "the peer takes single pairs of addresses only";
		ike_mismatch_ts(cfg, NULL, NULL, &out->mismatch);
		if (t->single_pair)
			sb_str(&s, "the peer takes one pair of addresses for each child, but not "
				   "the first of ours either");
		else if (has_pair(cfg))
			sb_str(&s, "the peer takes one pair of addresses for each child: the "
				   "first of ours is tried");
		else
			sb_printf(&s,
				  "the peer takes one pair of addresses for each child, and ours "
				  "are networks (%s): permit them there, or configure a host at "
				  "each end",
				  out->mismatch.ours);
	} else {
		out->what = IKE_HAP_CHILD_DOWN;
		out->reason = "the peer refused the child";
		sb_printf(&s, "the child was refused: %s", ike_notify_name(terms->error));
	}
}

void ike_terms_complain(struct ike_tunnel *t, const struct ike_complaint *c)
{
	struct sb s;

	if (c->what == IKE_HAP_TS_UNACCEPTABLE)
		ike_count(t->ike, IKE_CNT_TS_UNACCEPTABLE);
	else if (c->what == IKE_HAP_NO_PROPOSAL)
		ike_count(t->ike, IKE_CNT_NO_PROPOSAL);
	s = ike_event(t->ike, c->what, t);
	sb_str(&s, c->text);
	ike_tunnel_reason(t, c->reason);
	if (c->mismatch.layer != IKE_LAYER_NONE && !t->up)
		ike_mismatch_note(t, &c->mismatch);
}

void ike_terms_report(struct ike_tunnel *t, const struct ike_msg *m, const struct ike_terms *terms,
		      bool responder)
{
	struct ike_complaint c;

	ike_terms_explain(t, m, terms, responder, &c);
	ike_terms_complain(t, &c);
}
