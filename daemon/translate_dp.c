/* SPDX-License-Identifier: Apache-2.0 */
/* translate_dp: a CHILD_SA of the IKE core as the dataplane's message, and addresses both ways. */
#include <string.h>
#include "daemon/translate.h"

struct dp_addr translate_dp_addr(const struct ip_addr *a)
{
	struct dp_addr d = {.family = a->family};

	memcpy(d.b, a->b, ip_size(a));
	return d;
}

struct ip_addr translate_ip_addr(const struct dp_addr *a)
{
	if (a->family == IP_V4 || a->family == IP_V6)
		return ip_from_bytes((enum ip_family)a->family, a->b);
	return (struct ip_addr){.family = IP_NONE};
}

struct ip_endpoint translate_ip_endpoint(const struct dp_endpoint *e)
{
	return (struct ip_endpoint){.addr = translate_ip_addr(&e->addr), .port = e->port};
}

static struct dp_endpoint endpoint(const struct ip_endpoint *e, bool udp_encap)
{
	return (struct dp_endpoint){
		.addr = translate_dp_addr(&e->addr),
		.port = udp_encap ? e->port : 0,
	};
}

/* ------------------------------------------------------- traffic selectors */

/* a + 1 == b, as numbers of one family. */
static bool follows(const struct ip_addr *a, const struct ip_addr *b)
{
	struct ip_addr next = *a;
	size_t i = ip_size(a);

	while (i > 0 && ++next.b[i - 1] == 0)
		i--;
	return i > 0 && ip_equal(&next, b);
}

static bool joinable(const struct ike_ts *a, const struct ike_ts *b)
{
	return a->first.family == b->first.family && a->protocol == b->protocol &&
	       a->port_first == b->port_first && a->port_last == b->port_last;
}

/* Joins ranges that touch or overlap until none do: what is covered stays the same. */
static size_t join(const struct ike_ts *from, size_t n, struct ike_ts *to)
{
	bool again = true;

	memcpy(to, from, n * sizeof(*to));
	while (again) {
		again = false;
		for (size_t i = 0; i < n && !again; i++) {
			for (size_t j = 0; j < n && !again; j++) {
				if (i == j || !joinable(&to[i], &to[j]) ||
				    ip_cmp(&to[i].first, &to[j].first) > 0)
					continue;
				if (ip_cmp(&to[j].first, &to[i].last) > 0 &&
				    !follows(&to[i].last, &to[j].first))
					continue;
				if (ip_cmp(&to[i].last, &to[j].last) < 0)
					to[i].last = to[j].last;
				to[j] = to[--n];
				again = true;
			}
		}
	}
	return n;
}

/* A selector's protocol and the other side's must agree; 0 is any. */
static bool pairable(const struct ike_ts *l, const struct ike_ts *r)
{
	return l->first.family == r->first.family &&
	       (l->protocol == r->protocol || l->protocol == 0 || r->protocol == 0);
}

static void make_pair(const struct ike_ts *l, const struct ike_ts *r, struct dp_ts *out)
{
	memset(out, 0, sizeof(*out));
	out->local_first = translate_dp_addr(&l->first);
	out->local_last = translate_dp_addr(&l->last);
	out->remote_first = translate_dp_addr(&r->first);
	out->remote_last = translate_dp_addr(&r->last);
	out->local_port_first = l->port_first;
	out->local_port_last = l->port_last;
	out->remote_port_first = r->port_first;
	out->remote_port_last = r->port_last;
	out->protocol = l->protocol ? l->protocol : r->protocol;
}

/* All pairs; `out` may be NULL to count. Returns how many there are, written or not. */
static size_t make_pairs(const struct ike_ts *local, size_t n_local, const struct ike_ts *remote,
			 size_t n_remote, struct dp_ts *out, size_t max)
{
	struct ike_ts l[IKE_MAX_TS], r[IKE_MAX_TS];
	size_t n = 0;

	if (n_local > IKE_MAX_TS || n_remote > IKE_MAX_TS)
		return SIZE_MAX;
	n_local = join(local, n_local, l);
	n_remote = join(remote, n_remote, r);
	for (size_t i = 0; i < n_local; i++) {
		for (size_t j = 0; j < n_remote; j++) {
			if (!pairable(&l[i], &r[j]))
				continue;
			if (out && n < max)
				make_pair(&l[i], &r[j], &out[n]);
			n++;
		}
	}
	return n;
}

size_t translate_count_pairs(const struct ike_ts *local, size_t n_local,
			     const struct ike_ts *remote, size_t n_remote)
{
	return make_pairs(local, n_local, remote, n_remote, NULL, 0);
}

/* ---------------------------------------------------------------------- SA */

static uint32_t df_flag(enum config_df df)
{
	switch (df) {
	case CONFIG_DF_COPY: return 0;
	case CONFIG_DF_CLEAR: return DP_SA_DF_CLEAR;
	case CONFIG_DF_SET: return DP_SA_DF_SET;
	}
	return 0;
}

bool translate_dp_sa(const struct ike_child_sa *child, bool outbound, const struct config_tunnel *t,
		     struct dp_msg *out)
{
	struct dp_sa *sa = &out->sa;
	size_t n_ts;

	memset(out, 0, sizeof(*out));
	out->type = outbound ? DP_SA_ADD_OUT : DP_SA_ADD_IN;
	sa->slot = child->slot;
	sa->spi = outbound ? child->spi_out : child->spi_in;
	sa->tunnel = child->tunnel;
	sa->flags = (child->udp_encap ? DP_SA_UDP_ENCAP : 0u) |
		    (child->ports_vary ? DP_SA_PORT_ENTROPY : 0u) |
		    (child->suite.esn == IKE_ESN_YES ? DP_SA_ESN : 0u);
	if (t)
		sa->flags |= df_flag(t->df) | (t->copy_dscp ? DP_SA_COPY_DSCP : 0u);
	sa->encr = child->suite.encr;
	sa->encr_key_bits = child->suite.encr_key_bits;
	sa->integ = child->suite.integ;
	sa->replay_window = child->replay_window;
	sa->resource = outbound ? 0 : child->resource;
	static_assert(sizeof(sa->encr_key) == sizeof(child->key), "keys are copied whole");
	static_assert(sizeof(sa->integ_key) == sizeof(child->integ_key), "keys are copied whole");
	memcpy(sa->encr_key, child->key, sizeof(sa->encr_key));
	memcpy(sa->integ_key, child->integ_key, sizeof(sa->integ_key));
	sa->local = endpoint(&child->local, child->udp_encap);
	sa->remote = endpoint(&child->remote, child->udp_encap);
	sa->soft_packets = child->soft_packets;
	sa->hard_packets = child->hard_packets;
	sa->soft_bytes = child->soft_bytes;
	sa->hard_bytes = child->hard_bytes;
	sa->first_seq = 1;
	n_ts = make_pairs(child->local_ts, child->n_local_ts, child->remote_ts, child->n_remote_ts,
			  sa->ts, DP_MAX_TS);
	sa->n_ts = n_ts <= DP_MAX_TS ? (uint32_t)n_ts : 0;
	return n_ts >= 1 && n_ts <= DP_MAX_TS;
}

void translate_dp_peer(const struct ike_child_sa *child, struct dp_msg *out)
{
	memset(out, 0, sizeof(*out));
	out->type = DP_SA_PEER;
	out->peer.slot = child->slot;
	out->peer.flags = child->udp_encap ? DP_SA_UDP_ENCAP : 0u;
	out->peer.local = endpoint(&child->local, child->udp_encap);
	out->peer.remote = endpoint(&child->remote, child->udp_encap);
}
