/* SPDX-License-Identifier: Apache-2.0 */
/* translate_bgp: a tunnel's neighbour for the BGP and BFD cores. */
#include <string.h>
#include "daemon/translate.h"

#define WARN_PERCENT 75

static_assert(BGP_NAME_SIZE == CONFIG_NAME_SIZE, "names are copied whole");
static_assert(BFD_NAME_SIZE == CONFIG_NAME_SIZE, "names are copied whole");

static uint8_t role_of(enum config_bgp_role role)
{
	switch (role) {
	case CONFIG_BGP_ROLE_NONE: break;
	case CONFIG_BGP_ROLE_PROVIDER: return BGP_ROLE_PROVIDER;
	case CONFIG_BGP_ROLE_RS: return BGP_ROLE_RS;
	case CONFIG_BGP_ROLE_RS_CLIENT: return BGP_ROLE_RS_CLIENT;
	case CONFIG_BGP_ROLE_CUSTOMER: return BGP_ROLE_CUSTOMER;
	case CONFIG_BGP_ROLE_PEER: return BGP_ROLE_PEER;
	}
	return BGP_ROLE_NONE;
}

void translate_bgp_neighbor(const struct config_tunnel *t, bool preferred, bool has_password,
			    struct bgp_neighbor_cfg *out)
{
	const struct config_bgp *b = &t->bgp;

	memset(out, 0, sizeof(*out));
	memcpy(out->name, t->name, sizeof(out->name));
	out->neighbor = t->index;
	out->local = b->local;
	out->remote = b->neighbor;
	for (size_t i = 0; i < BGP_N_FAMILIES; i++) {
		out->inside[i] = t->inside[i];
		out->next_hop[i] = t->inside[i].addr;
		out->prefixes[i].max = b->max_prefixes;
		out->prefixes[i].warn_percent = WARN_PERCENT;
		out->prefixes[i].restart = b->max_prefixes_restart;
	}
	out->families[BGP_IPV4_UNICAST] = b->ipv4;
	out->families[BGP_IPV6_UNICAST] = b->ipv6;
	out->local_as = b->local_as;
	out->remote_as = b->remote_as;
	out->passive = b->passive;
	out->ttl_security = b->ttl_security;
	out->has_password = has_password;
	out->hold = b->hold_time;
	out->connect_retry = b->connect_retry;
	out->graceful_restart = b->graceful_restart;
	out->stale_max = b->stale_time;
	out->extended_messages = b->extended_messages;
	out->add_path_receive = b->add_path;
	out->role = role_of(b->role);
	out->role_strict = b->role_strict;
	out->prepend = b->prepend;
	out->graceful_shutdown = b->graceful_shutdown;
	out->next_hop_self = b->next_hop_self;
	out->has_med = true;
	out->med = preferred ? b->med / 2 : b->med;
}

void translate_bfd_session(const struct config_tunnel *t, struct bfd_session_cfg *out)
{
	memset(out, 0, sizeof(*out));
	memcpy(out->name, t->name, sizeof(out->name));
	out->session = t->index;
	out->local = t->bfd.local;
	out->remote = t->bfd.neighbor;
	out->passive = t->bfd.passive;
	out->multihop = t->bfd.multihop;
	out->min_ttl = t->bfd.min_ttl;
	out->tx = out->rx = t->bfd.interval;
	out->multiplier = t->bfd.multiplier;
}

uint32_t translate_router_id(const struct ip_addr *a)
{
	return (uint32_t)a->b[0] << 24 | (uint32_t)a->b[1] << 16 | (uint32_t)a->b[2] << 8 | a->b[3];
}
