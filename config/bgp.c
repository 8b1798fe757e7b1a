/* SPDX-License-Identifier: Apache-2.0 */
/* bgp: what `bgp`, `bfd`, `probe` and `failover_target` of a tunnel mean, together with its inside addresses. */
#include "config/check.h"

#include <string.h>

/* Of a failover: what the route process and the dataplane take, and the clock's grain. */
#define REACTION_MS  10
#define BFD_LEAST_MS 5
#define INSIDE_HINT  "add 'inside_addresses: [169.254.10.1/30]'"

static const struct config_node *first_of(const struct config_node *a, const struct config_node *b)
{
	return a ? a : b;
}

void config_handle_families(struct config_parse *p, const struct config_node *n, void *work)
{
	static const char *const words[] = {"ipv4", "ipv6", NULL};
	struct config_bgp *b = &((struct config_tunnel_work *)work)->t.bgp;
	const struct config_node *item;
	unsigned family;

	b->ipv4 = b->ipv6 = false;
	if (!config_is_list(p, n, 2))
		return;
	for (item = n->first; item; item = item->next) {
		if (!config_get_word(p, item, words, &family))
			continue;
		if (family == 0)
			b->ipv4 = true;
		else
			b->ipv6 = true;
	}
}

/* The other host of a network that has two. False: it has more. */
static bool other_host(const struct ip_prefix *inside, struct ip_addr *out)
{
	const unsigned host_bits = ip_bits(&inside->addr) - inside->len;
	uint8_t *last = &out->b[ip_bits(&inside->addr) / 8 - 1];

	*out = inside->addr;
	if (host_bits == 1) /* RFC 3021, RFC 6164 */
		*last ^= 1;
	else if (host_bits == 2) /* the first and the last of the four are no hosts */
		*last ^= 3;
	else
		return false;
	return true;
}

static const struct ip_prefix *inside_with(const struct config_tunnel *t, const struct ip_addr *a)
{
	for (size_t i = 0; i < 2; i++) {
		if (t->inside[i].addr.family == a->family && ip_prefix_contains(&t->inside[i], a))
			return &t->inside[i];
	}
	return NULL;
}

static bool check_neighbor(struct config_parse *p, const struct config_tunnel_work *w)
{
	const struct ip_prefix *inside = inside_with(&w->t, &w->t.bgp.neighbor);
	char a[IP_ADDR_STRLEN];

	if (!inside)
		config_error(
			&p->diag, w->at_neighbor,
			"the neighbor %s is in none of the tunnel's inside networks; it is the "
			"peer's inside address",
			ip_format(&w->t.bgp.neighbor, a));
	else if (ip_equal(&inside->addr, &w->t.bgp.neighbor))
		config_error(&p->diag, w->at_neighbor,
			     "the neighbor %s is our own inside address; write the peer's",
			     ip_format(&w->t.bgp.neighbor, a));
	else
		return true;
	return false;
}

/* Our inside address and the peer's: of `bgp.neighbor`'s network, else the first with two hosts. */
static bool find_ends(struct config_parse *p, const struct config_node *at,
		      const struct config_tunnel_work *w, const char *what, struct ip_addr *local,
		      struct ip_addr *neighbor)
{
	const struct config_tunnel *t = &w->t;

	if (t->inside[0].addr.family == IP_NONE && t->inside[1].addr.family == IP_NONE) {
		config_error(&p->diag, at, "%s runs between inside addresses; " INSIDE_HINT, what);
		return false;
	}
	if (w->at_neighbor) {
		if (!check_neighbor(p, w))
			return false;
		*neighbor = t->bgp.neighbor;
		*local = inside_with(t, neighbor)->addr;
		return true;
	}
	for (size_t i = 0; i < 2; i++) {
		if (t->inside[i].addr.family == IP_NONE || !other_host(&t->inside[i], neighbor))
			continue;
		*local = t->inside[i].addr;
		return true;
	}
	config_error(
		&p->diag, at,
		"the inside network has more than two hosts; add 'bgp: {neighbor: ADDRESS}' with "
		"the peer's inside address");
	return false;
}

static bool selected(const struct ip_prefix *nets, size_t n, const struct ip_addr *a)
{
	for (size_t i = 0; i < n; i++) {
		if (nets[i].addr.family == a->family && ip_prefix_contains(&nets[i], a))
			return true;
	}
	return false;
}

static bool check_selectors(struct config_parse *p, const struct config_node *at,
			    const struct config_connection *c, const char *what,
			    const struct ip_addr *local, const struct ip_addr *neighbor)
{
	const struct ip_prefix host = {.addr = *neighbor, .len = (uint8_t)ip_bits(neighbor)};
	const bool ours = selected(c->local_networks, c->n_local_networks, local);
	const struct ip_addr *a = ours ? neighbor : local;
	char buf[IP_ADDR_STRLEN];
	struct ip_prefix there;

	/* Selectors have the peer's names. */
	if (ours && (translation_to_there(c->translations, c->n_translations, TRANSLATION_THEIRS,
					  &host, &there) == TRANSLATION_TAKEN ||
		     selected(c->remote_networks, c->n_remote_networks, &there.addr)))
		return true;
	config_error(&p->diag, at,
		     "%s would not pass the tunnel: %s is not within %s; where routing decides, "
		     "write '%s: [%s]'",
		     what, ip_format(a, buf), ours ? "remote_networks" : "local_networks",
		     ours ? "remote_networks" : "local_networks",
		     a->family == IP_V4 ? "0.0.0.0/0" : "\"::/0\"");
	return false;
}

static bool complete_bgp(struct config_parse *p, const struct config_node *at,
			 const struct config_connection *c, struct config_tunnel_work *w)
{
	struct config_bgp *b = &w->t.bgp;

	if (!w->at_remote_as) {
		config_error(&p->diag, w->at_bgp,
			     "'bgp' of a tunnel has no 'remote_as'; add the AS number of the peer");
		return false;
	}
	if (!find_ends(p, at, w, "BGP", &b->local, &b->neighbor) ||
	    !check_selectors(p, at, c, "BGP", &b->local, &b->neighbor))
		return false;
	if (!w->at_families) {
		b->ipv4 = w->t.inside[0].addr.family != IP_NONE;
		b->ipv6 = w->t.inside[1].addr.family != IP_NONE;
	}
	for (size_t i = 0; w->at_families && i < 2; i++) {
		if ((i == 0 ? b->ipv4 : b->ipv6) && w->t.inside[i].addr.family == IP_NONE) {
			config_error(&p->diag, w->at_families,
				     "%s routes need a next hop: add an IPv%c address to "
				     "'inside_addresses'",
				     i == 0 ? "IPv4" : "IPv6", i == 0 ? '4' : '6');
			return false;
		}
	}
	if (b->role_strict && b->role == CONFIG_BGP_ROLE_NONE) {
		config_error(
			&p->diag, first_of(w->at_role_strict, w->at_bgp),
			"'role_strict' without a 'role': say what this side is to the neighbor");
		return false;
	}
	b->on = true;
	return true;
}

/* RFC 5883: a neighbor beyond the peer; else, the peer's end of the inside network. */
static bool bfd_ends(struct config_parse *p, const struct config_node *at,
		     struct config_tunnel_work *w)
{
	struct config_bfd *b = &w->t.bfd;
	const struct ip_prefix *inside;
	char buf[IP_ADDR_STRLEN];

	if (w->at_bfd_ttl && !b->multihop) {
		config_error(&p->diag, w->at_bfd_ttl,
			     "'min_ttl' goes with 'multihop: true'; over one hop it is 255");
		return false;
	}
	if (!w->at_bfd_neighbor)
		return find_ends(p, at, w, "BFD", &b->local, &b->neighbor);
	inside = inside_with(&w->t, &b->neighbor);
	if (!inside && !b->multihop) {
		config_error(&p->diag, w->at_bfd_neighbor,
			     "the neighbor %s is in none of the tunnel's inside networks; add "
			     "'multihop: true' if it is a router behind the peer",
			     ip_format(&b->neighbor, buf));
		return false;
	}
	b->local = inside ? inside->addr : w->t.inside[b->neighbor.family == IP_V6].addr;
	if (b->local.family != IP_NONE && !ip_equal(&b->local, &b->neighbor))
		return true;
	config_error(
		&p->diag, w->at_bfd_neighbor,
		b->local.family == IP_NONE
			? "the tunnel has no inside address of that family for BFD; " INSIDE_HINT
			: "the neighbor is our own inside address; write the peer's");
	return false;
}

static bool complete_bfd(struct config_parse *p, const struct config_node *at,
			 const struct config_connection *c, struct config_tunnel_work *w)
{
	const uint64_t target = span_to_ms(w->t.failover_target);
	struct config_bfd *b = &w->t.bfd;
	char wanted[CONFIG_DURATION_STRLEN], have[CONFIG_DURATION_STRLEN];

	if (!bfd_ends(p, at, w) || !check_selectors(p, at, c, "BFD", &b->local, &b->neighbor))
		return false;
	b->on = true;
	if (!target)
		return true;
	if (!w->at_bfd_interval && (target - REACTION_MS) / b->multiplier >= BFD_LEAST_MS)
		b->interval = span_ms((target - REACTION_MS) / b->multiplier);
	if (span_to_ms(config_failover_worst(&w->t, NULL)) <= target)
		return true;
	config_error(&p->diag, w->at_failover_target,
		     "failover_target (%s) cannot be kept: %u lost BFD packets, %s apart, take "
		     "longer; lower 'bfd.interval' or 'bfd.multiplier'",
		     config_duration_format(w->t.failover_target, wanted), b->multiplier,
		     config_duration_format(b->interval, have));
	return false;
}

static bool complete_probe(struct config_parse *p, const struct config_node *at,
			   const struct config_connection *c, struct config_tunnel_work *w)
{
	struct config_probe *b = &w->t.probe;
	struct ip_addr neighbor;

	if (w->at_probe_address) {
		b->local = w->t.inside[b->address.family == IP_V6].addr;
		if (b->local.family == IP_NONE) {
			config_error(&p->diag, w->at_probe_address,
				     "the tunnel has no inside address of that family to probe "
				     "from; " INSIDE_HINT);
			return false;
		}
	} else if (!find_ends(p, at, w, "the probe", &b->local, &neighbor)) {
		return false;
	} else {
		b->address = neighbor;
	}
	b->on = true;
	return check_selectors(p, at, c, "the probe", &b->local, &b->address);
}

bool config_bgp_complete(struct config_parse *p, const struct config_node *at,
			 const struct config_connection *c, struct config_tunnel_work *w)
{
	if (w->at_bgp && !complete_bgp(p, at, c, w))
		return false;
	if (w->at_probe && !complete_probe(p, at, c, w))
		return false;
	return (!w->at_bfd && !w->at_failover_target) || complete_bfd(p, at, c, w);
}

/* RFC 6286: unique within the AS, not 0. An address of ours is. */
static struct ip_addr find_router_id(const struct config *c)
{
	for (size_t i = 0; i < c->n_ports; i++) {
		for (size_t j = 0; j < c->ports[i].n_addresses; j++) {
			if (c->ports[i].addresses[j].addr.family == IP_V4)
				return c->ports[i].addresses[j].addr;
		}
	}
	return (struct ip_addr){.family = IP_NONE};
}

void config_bgp_complete_root(struct config_parse *p, struct config_root_work *w)
{
	bool any = false;
	size_t k = 0;

	if (w->at_router_id && w->c.bgp_router_id.family == IP_V6)
		config_error(&p->diag, w->at_router_id,
			     "a router_id is written as an IPv4 address (RFC 6286)");
	for (size_t i = 0; i < w->c.n_connections; i++) {
		for (size_t j = 0; j < w->c.connections[i].n_tunnels; j++, k++) {
			struct config_bgp *b = &w->c.connections[i].tunnels[j].bgp;

			if (!b->on)
				continue;
			any = true;
			if (!b->local_as)
				b->local_as = w->c.bgp_local_as;
			if (!b->local_as)
				config_error(
					&p->diag, p->marks->tunnels[k].bgp,
					"there is no AS number of our own; add 'bgp: {local_as: "
					"65000}' at the top, or 'local_as' here");
		}
	}
	if (any && w->c.bgp_router_id.family == IP_NONE)
		w->c.bgp_router_id = find_router_id(&w->c);
	if (any && w->c.bgp_router_id.family == IP_NONE)
		config_error_at(
			&p->diag, 1, 1,
			"no port has an IPv4 address that could name this router; add 'bgp: "
			"{router_id: 192.0.2.1}'");
}

struct mono_span config_failover_worst(const struct config_tunnel *t, const char **by)
{
	const struct mono_span reaction = span_ms(REACTION_MS);
	const char *dummy;

	if (!by)
		by = &dummy;
	if (t->bfd.on) {
		*by = "BFD";
		return span_ns(t->bfd.interval.ns * t->bfd.multiplier + reaction.ns);
	}
	if (t->bgp.on && t->bgp.hold_time.ns && t->bgp.hold_time.ns < t->dpd_timeout.ns) {
		*by = "BGP hold time";
		return span_ns(t->bgp.hold_time.ns + reaction.ns);
	}
	if (t->probe.on && t->probe.interval.ns * (t->probe.failures + 1) < t->dpd_timeout.ns) {
		*by = "probe";
		/* The first echo that is lost may be sent an interval after the silence began. */
		return span_ns(t->probe.interval.ns * (t->probe.failures + 1) + reaction.ns);
	}
	*by = "DPD";
	return span_ns(t->dpd_timeout.ns + reaction.ns);
}
