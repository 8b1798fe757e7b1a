/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identify: which tunnel a peer's identities mean, and who has a tunnel that many might have.
 *
 * The addresses leave some candidates, often one. IDi must be the tunnel's remote_id, IDr, if it came,
 * its local_id; then the suite of IKE_SA_INIT must be one of its own and the method of AUTH the one
 * that it is configured for. What came nearest explains a refusal, on our side only.
 */
#include "ike/id.h"
#include "ike/ike_int.h"

/* In the order in which they are looked at: the further, the nearer was the tunnel. */
enum stage {
	AT_IDI,
	AT_IDR,
	AT_SUITE,
	AT_METHOD,
	AT_HELD,
	AT_END, /* it is the one */
};

/* ------------------------------------------------------- tunnels for many peers */

bool ike_tunnel_held(const struct ike_tunnel *t, uint8_t type, struct rd id)
{
	const struct ike_sa *sa;

	if (!t->cfg.remote_id_wildcard || ike_id_equal(type, id, &t->peer_id))
		return false;
	TAILQ_FOREACH(sa, &t->sas, entry)
	{
		if (sa->state == IKE_ST_ESTABLISHED || sa->state == IKE_ST_REPLACED ||
		    (sa->state == IKE_ST_INSTALL && sa->auth_remote))
			return true;
	}
	return false;
}

void ike_tunnel_hold(struct ike_tunnel *t, uint8_t type, struct rd id)
{
	t->peer_id = (struct ike_id){.type = type};
	if (id.size > IKE_ID_MAX)
		return;
	t->peer_id.size = (uint8_t)id.size;
	memcpy(t->peer_id.data, id.p, id.size);
}

/* ------------------------------------------------------------------ candidates */

static enum stage look_at(const struct ike_sa *sa, const struct ike_tunnel *t,
			  const struct ike_msg *m)
{
	const struct ike_tunnel_cfg *cfg = &t->cfg;

	if (m->idi.data.size > IKE_ID_MAX ||
	    !ike_id_matches(m->idi.type, m->idi.data, &cfg->remote_id, cfg->remote_id_wildcard))
		return AT_IDI;
	/* The peer may leave out whom it wants to talk to. */
	if (m->present & IKE_HAS_IDR && !ike_id_equal(m->idr.type, m->idr.data, &cfg->local_id))
		return AT_IDR;
	if (t->unable || !ike_algs_permit(&t->cfg.ike_algs, &sa->suite))
		return AT_SUITE;
	if (!ike_proof_method_fits(cfg->remote_auth, m->auth.method))
		return AT_METHOD;
	if (ike_tunnel_held(t, m->idi.type, m->idi.data))
		return AT_HELD;
	return AT_END;
}

static void put_cfg_id(struct sb *s, const struct ike_id *id)
{
	ike_id_put(s, id->type, rd_of(id->data, id->size));
}

static void explain(struct sb *why, const struct ike_sa *sa, const struct ike_tunnel *t,
		    const struct ike_msg *m, enum stage stage, unsigned n)
{
	char suite[IKE_SUITE_STRLEN];

	switch (stage) {
	case AT_IDI:
		sb_str(why, "they say they are ");
		ike_id_put(why, m->idi.type, m->idi.data);
		if (n > 1)
			sb_printf(why, ", which is the remote_id of none of %u tunnels", n);
		else
			sb_printf(why, ", remote_id of %s is ", t->cfg.name);
		if (n <= 1)
			put_cfg_id(why, &t->cfg.remote_id);
		break;
	case AT_IDR:
		sb_str(why, "they ask for ");
		ike_id_put(why, m->idr.type, m->idr.data);
		sb_printf(why, ", local_id of %s is ", t->cfg.name);
		put_cfg_id(why, &t->cfg.local_id);
		break;
	case AT_SUITE:
		sb_printf(why,
			  "their addresses fit several tunnels: %s was agreed, which %s does not "
			  "have",
			  ike_suite_format(&sa->suite, suite), t->cfg.name);
		break;
	case AT_METHOD:
		sb_printf(why, "they authenticate by %s, remote_auth of %s is %s",
			  m->auth.method == IKE_AUTH_METHOD_SHARED_KEY ? "a pre-shared key"
								       : "a signature",
			  t->cfg.name, ike_proof_kind_name(t->cfg.remote_auth));
		break;
	case AT_HELD:
		ike_id_put(why, m->idi.type, m->idi.data);
		sb_printf(why, " wants %s, which belongs to ", t->cfg.name);
		put_cfg_id(why, &t->peer_id);
		sb_str(why, " at the moment");
		break;
	case AT_END: break;
	}
}

/*
 * A peer that has a tunnel already gets the same one again; an exact remote_id goes before a pattern.
 */
static unsigned preference(const struct ike_tunnel *t, const struct ike_msg *m)
{
	if (!t->cfg.remote_id_wildcard)
		return 2;
	return ike_id_equal(m->idi.type, m->idi.data, &t->peer_id) ? 1 : 0;
}

struct ike_tunnel *ike_identify(struct ike_sa *sa, const struct ike_msg *m,
				struct ike_tunnel **decoy, struct sb *why)
{
	struct ike_tunnel *t = NULL, *found = NULL;
	enum stage nearest = AT_IDI;
	unsigned n = 0;

	*decoy = NULL;
	while ((t = ike_tunnel_next_by_addresses(sa->ike, &sa->local.addr, &sa->remote.addr, t))) {
		const enum stage stage = look_at(sa, t, m);

		n++;
		if (stage == AT_END && (!found || preference(t, m) > preference(found, m)))
			found = t;
		if (stage != AT_END && (!*decoy || stage > nearest)) {
			*decoy = t;
			nearest = stage;
		}
	}
	if (!found && *decoy)
		explain(why, sa, *decoy, m, nearest, n);
	return found;
}

/* Initiator: whether the responder is whom the tunnel is for. */
bool ike_identify_responder(const struct ike_sa *sa, const struct ike_msg *m, struct sb *why)
{
	const struct ike_tunnel *t = sa->tunnel;
	const struct ike_tunnel_cfg *cfg = &t->cfg;

	if (m->idr.data.size > IKE_ID_MAX ||
	    !ike_id_matches(m->idr.type, m->idr.data, &cfg->remote_id, cfg->remote_id_wildcard)) {
		sb_str(why, "they say they are ");
		ike_id_put(why, m->idr.type, m->idr.data);
		sb_str(why, ", our remote_id is ");
		put_cfg_id(why, &cfg->remote_id);
		return false;
	}
	if (!ike_proof_method_fits(cfg->remote_auth, m->auth.method)) {
		sb_printf(why, "they authenticate by %s, our remote_auth is %s",
			  m->auth.method == IKE_AUTH_METHOD_SHARED_KEY ? "a pre-shared key"
								       : "a signature",
			  ike_proof_kind_name(cfg->remote_auth));
		return false;
	}
	if (ike_tunnel_held(t, m->idr.type, m->idr.data)) {
		ike_id_put(why, m->idr.type, m->idr.data);
		sb_str(why, " answers, but the tunnel belongs to ");
		put_cfg_id(why, &t->peer_id);
		sb_str(why, " at the moment");
		return false;
	}
	return true;
}
