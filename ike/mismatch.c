/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mismatch: what kept the two ends from agreeing the last time, side by side, and which key of the
 * configuration would have to change. One record a tunnel, overwritten by the next disagreement,
 * gone when the tunnel comes up. Nothing is decided by it.
 */
#include <stdlib.h>
#include "ike/id.h"
#include "ike/ike_int.h"

void ike_mismatch_note(struct ike_tunnel *t, const struct ike_mismatch *m)
{
	if (!t->mismatch)
		t->mismatch = malloc(sizeof(*t->mismatch));
	if (!t->mismatch)
		return; /* the event has told of it */
	*t->mismatch = *m;
	t->mismatch->at = t->ike->now;
}

void ike_mismatch_clear(struct ike_tunnel *t)
{
	free(t->mismatch);
	t->mismatch = NULL;
}

const struct ike_mismatch *ike_explain(const struct ike *ike, uint32_t tunnel)
{
	const struct ike_tunnel *t = ike_tunnel_find(ike, tunnel);

	return t ? t->mismatch : NULL;
}

/* --------------------------------------------------------- traffic selectors */

static void put_ts(struct sb *s, const struct ike_ts *local, size_t n_local,
		   const struct ike_ts *remote, size_t n_remote)
{
	char one[IKE_TS_STRLEN];

	for (size_t i = 0; i < n_local; i++) {
		sb_str(s, i ? ", " : "");
		sb_str(s, ike_ts_format(&local[i], one));
	}
	sb_str(s, " to ");
	for (size_t i = 0; i < n_remote; i++) {
		sb_str(s, i ? ", " : "");
		sb_str(s, ike_ts_format(&remote[i], one));
	}
}

void ike_mismatch_ts(const struct ike_tunnel_cfg *cfg, const struct ike_ts_payload *our_side,
		     const struct ike_ts_payload *their_side, struct ike_mismatch *out)
{
	struct sb ours = sb_of(out->ours, sizeof(out->ours));
	struct sb theirs = sb_of(out->theirs, sizeof(out->theirs));
	struct sb differs = sb_of(out->differs, sizeof(out->differs));
	struct ike_ts both[IKE_MAX_TS];
	bool local_ok, remote_ok;

	out->layer = IKE_LAYER_CHILD;
	out->what = "traffic selectors";
	put_ts(&ours, cfg->local_ts, cfg->n_local_ts, cfg->remote_ts, cfg->n_remote_ts);
	if (!our_side || !their_side) {
		out->by_peer = true;
		sb_str(&differs, "the peer has no such networks");
		return;
	}
	put_ts(&theirs, our_side->ts, our_side->n, their_side->ts, their_side->n);
	local_ok = ike_ts_narrow(our_side->ts, our_side->n, cfg->local_ts, cfg->n_local_ts, both,
				 IKE_MAX_TS) > 0;
	remote_ok = ike_ts_narrow(their_side->ts, their_side->n, cfg->remote_ts, cfg->n_remote_ts,
				  both, IKE_MAX_TS) > 0;
	if (local_ok && remote_ok) {
		sb_str(&differs, "they overlap, but neither answer lies within the offer");
		return;
	}
	/* A prefix, where it is one, is what the configuration would say. */
	out->key = local_ok ? "remote_networks" : "local_networks";
	sb_printf(&differs, "the networks behind %s have nothing in common",
		  local_ok    ? "the peer"
		  : remote_ok ? "this gateway"
			      : "either end");
	for (size_t i = 0; i < (local_ok ? their_side : our_side)->n && !out->add[0]; i++) {
		const struct ike_ts *ts = &(local_ok ? their_side : our_side)->ts[i];
		char buf[IP_PREFIX_STRLEN];
		struct ip_prefix p;
		struct sb add = sb_of(out->add, sizeof(out->add));

		if (ip_range_to_prefix(&ts->first, &ts->last, &p))
			sb_str(&add, ip_prefix_format(&p, buf));
	}
}

/* ------------------------------------------------------------------ proposals */

void ike_mismatch_proposal(uint8_t protocol, const struct ike_sa_payload *offer,
			   const struct ike_algs *ours, struct ike_mismatch *out)
{
	struct sb ours_text = sb_of(out->ours, sizeof(out->ours));
	struct sb theirs_text = sb_of(out->theirs, sizeof(out->theirs));
	struct sb differs = sb_of(out->differs, sizeof(out->differs));
	struct ike_difference d = {.only_type = 0};

	out->layer = protocol == IKE_PROTO_IKE ? IKE_LAYER_IKE : IKE_LAYER_CHILD;
	out->what = protocol == IKE_PROTO_IKE ? "IKE proposal" : "ESP proposal";
	ike_proposal_put_ours(protocol, ours, &ours_text);
	if (!offer) {
		out->by_peer = true;
		sb_str(&differs, "the peer accepts none of ours");
		return;
	}
	ike_proposal_put_theirs(offer, &theirs_text);
	ike_proposal_compare(offer, protocol, ours, &d);
	sb_str(&differs, d.text);
	if (d.only_type != 0 && d.add[0] != '\0') {
		out->key = ike_proposal_config_key(protocol, d.only_type);
		memcpy(out->add, d.add, sizeof(out->add));
	}
}

/* ----------------------------------------------------------------- identities */

void ike_mismatch_auth(const struct ike_tunnel_cfg *cfg, uint8_t id_type, struct rd id,
		       bool is_proof, const char *text, struct ike_mismatch *out)
{
	struct sb ours = sb_of(out->ours, sizeof(out->ours));
	struct sb theirs = sb_of(out->theirs, sizeof(out->theirs));
	struct sb differs = sb_of(out->differs, sizeof(out->differs));
	const char *colon;

	out->layer = IKE_LAYER_AUTH;
	out->what = "authentication";
	out->by_peer = id_type == IKE_ID_NONE;
	sb_str(&differs, text);
	if (out->by_peer) {
		ike_id_put(&ours, cfg->local_id.type,
			   rd_of(cfg->local_id.data, cfg->local_id.size));
		sb_str(&ours, ", asking for ");
	}
	ike_id_put(&ours, cfg->remote_id.type, rd_of(cfg->remote_id.data, cfg->remote_id.size));
	if (out->by_peer)
		return;
	ike_id_put(&theirs, id_type, id);
	if (ike_id_matches(id_type, id, &cfg->remote_id, cfg->remote_id_wildcard)) {
		if (is_proof && cfg->remote_auth == IKE_AUTH_BY_PSK)
			out->key = cfg->n_psks > 1 ? "psk_files" : "psk_file";
		return;
	}
	out->what = "identity";
	/* A configuration writes identities without their type. */
	colon = strchr(out->theirs, ':');
	if (colon && strlen(colon + 1) < sizeof(out->add)) {
		struct sb add = sb_of(out->add, sizeof(out->add));

		out->key = "remote_id";
		sb_str(&add, colon + 1);
	}
}
