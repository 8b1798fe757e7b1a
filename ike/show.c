/* SPDX-License-Identifier: Apache-2.0 */
/* show: what the core holds, for people and for the simulator's checks. */
#include "ike/ike_int.h"

const char *ike_layer_name(enum ike_layer l)
{
	static const char *const names[IKE_LAYER_END] = {
		[IKE_LAYER_NONE] = "none",           [IKE_LAYER_ADMIN] = "admin",
		[IKE_LAYER_PATH] = "path",           [IKE_LAYER_IKE] = "ike",
		[IKE_LAYER_AUTH] = "auth",           [IKE_LAYER_CHILD] = "child",
		[IKE_LAYER_DATAPLANE] = "dataplane",
	};

	return l < IKE_LAYER_END ? names[l] : "?";
}

/* The lowest layer that is not in order. */
static enum ike_layer trouble_of(const struct ike_tunnel *t)
{
	const struct ike_sa *sa = ike_tunnel_sa(t);
	const struct ike_child *c;

	if (t->up)
		return IKE_LAYER_NONE;
	if (t->dp_lost)
		return IKE_LAYER_DATAPLANE;
	if (t->mismatch)
		return t->mismatch->layer;
	TAILQ_FOREACH(c, &t->children, entry)
	{
		if (ike_child_live(c))
			return IKE_LAYER_DATAPLANE; /* agreed on, not installed */
	}
	if (sa)
		return IKE_LAYER_CHILD;
	TAILQ_FOREACH(sa, &t->sas, entry)
	{
		if (ike_sa_connecting(sa) && sa->state != IKE_ST_INIT_SENT)
			return IKE_LAYER_AUTH;
	}
	return t->wanted && t->cfg.remote.family != IP_NONE ? IKE_LAYER_PATH : IKE_LAYER_ADMIN;
}

void ike_show_tunnels(const struct ike *ike, bool (*fn)(void *ctx, const struct ike_show_tunnel *t),
		      void *ctx)
{
	struct ike_tunnel *t;

	TAILQ_FOREACH(t, &ike->tunnels, entry)
	{
		const struct ike_sa *sa = ike_tunnel_sa(t);
		struct ike_show_tunnel s = {
			.tunnel = t->cfg.tunnel,
			.up = t->up,
			.phase = t->phase,
			.local = {t->cfg.local, IKE_PORT},
			.remote = {t->cfg.remote, IKE_PORT},
			.since = t->since,
			.up_changed = t->up_changed,
			.layer = trouble_of(t),
			.heard = t->heard,
		};

		if (t->removed)
			continue;
		memcpy(s.name, t->cfg.name, sizeof(s.name));
		memcpy(s.reason, t->reason, sizeof(s.reason));
		if (sa) {
			s.local = sa->local;
			s.remote = sa->remote;
		}
		if (!fn(ctx, &s))
			return;
	}
}

static struct ike_show_sa show_ike(const struct ike_sa *sa)
{
	return (struct ike_show_sa){
		.tunnel = sa->tunnel && !sa->tunnel->removed ? sa->tunnel->cfg.tunnel
							     : IKE_TUNNEL_NONE,
		.state = sa->redundant && sa->state == IKE_ST_ESTABLISHED
				 ? "redundant"
				 : ike_sa_state_name(sa->state),
		.initiator = sa->initiator,
		.spi_i = sa->spi_i,
		.spi_r = sa->spi_r,
		.natt = sa->natt,
		.local_behind_nat = sa->local_nat,
		.remote_behind_nat = sa->remote_nat,
		.suite = sa->suite,
		.local = sa->local,
		.remote = sa->remote,
		.auth_local = ike_auth_alg_name((enum ike_auth_alg)sa->auth_local),
		.auth_remote = ike_auth_alg_name((enum ike_auth_alg)sa->auth_remote),
		.ppk = sa->ppk,
		.peer_id = sa->auth_remote ? sa->tunnel->peer_id : (struct ike_id){0},
		.created = sa->created,
		.rekey_at = sa->rekey_at,
		.expires_at = sa->expires_at,
	};
}

static struct ike_show_sa show_child(const struct ike_child *c)
{
	struct ike_show_sa s = {
		.is_child = true,
		.tunnel = c->tunnel->removed ? IKE_TUNNEL_NONE : c->tunnel->cfg.tunnel,
		.state = c->redundant && c->state == IKE_CH_INSTALLED ? "redundant"
			 : !ike_child_live(c) && c->state == IKE_CH_INSTALLED
				 ? "rekeyed"
				 : ike_child_state_name(c->state),
		.initiator = c->initiator,
		.spi_in = c->spi_in,
		.spi_out = c->spi_out,
		.slot = c->slot,
		.current_out = ike_child_sends(c) && c->resource != IKE_RESOURCE_SPARE,
		.resource = c->resource,
		.suite = c->suite,
		.created = c->created,
		.rekey_at = c->rekey_at,
		.expires_at = c->expires_at,
		.n_local_ts = c->n_local_ts,
		.n_remote_ts = c->n_remote_ts,
	};

	memcpy(s.local_ts, c->local_ts, sizeof(s.local_ts));
	memcpy(s.remote_ts, c->remote_ts, sizeof(s.remote_ts));
	if (c->sa) {
		s.udp_encap = s.natt = c->sa->natt;
		s.ports_vary = s.natt && c->sa->agreed.ports_vary;
		s.local = c->sa->local;
		s.remote = c->sa->remote;
	}
	return s;
}

void ike_show_sas(const struct ike *ike, bool (*fn)(void *ctx, const struct ike_show_sa *s),
		  void *ctx)
{
	const struct ike_tunnel *t;
	const struct ike_sa *sa;
	const struct ike_child *c;
	struct ike_show_sa s;

	TAILQ_FOREACH(t, &ike->tunnels, entry)
	{
		TAILQ_FOREACH(sa, &t->sas, entry)
		{
			s = show_ike(sa);
			if (!fn(ctx, &s))
				return;
		}
		TAILQ_FOREACH(c, &t->children, entry)
		{
			s = show_child(c);
			if (!fn(ctx, &s))
				return;
		}
	}
	TAILQ_FOREACH(sa, &ike->half_open, entry)
	{
		s = show_ike(sa);
		if (!fn(ctx, &s))
			return;
	}
}
