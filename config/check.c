/* SPDX-License-Identifier: Apache-2.0 */
#include "config/check.h"

#include <string.h>

static const struct config_node *first_of(const struct config_node *a, const struct config_node *b)
{
	return a ? a : b;
}

/* ------------------------------------------------------------------- a port */

static bool on_link(const struct config_port *port, const struct ip_addr *a)
{
	size_t i;

	if (a->family == IP_V6 && a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80)
		return true; /* RFC 4291 2.5.6: link-local */
	for (i = 0; i < port->n_addresses; i++)
		if (ip_prefix_contains(&port->addresses[i], a))
			return true;
	return false;
}

void config_check_port(struct config_parse *p, const struct config_port_work *w)
{
	static const char *const kept[] = {"lo", "all", "default"};
	char buf[IP_ADDR_STRLEN];
	bool v6 = false;
	size_t i;

	for (i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		if (!strcmp(w->p.name, kept[i]))
			config_error(&p->diag, w->at_name,
				     "'%s' cannot be the name of a Linux interface; choose another",
				     kept[i]);
	for (i = 0; i < 2; i++)
		if (w->p.gateway[i].family != IP_NONE && !on_link(&w->p, &w->p.gateway[i]))
			config_error(&p->diag, w->at_gateway,
				     "the gateway %s is in none of the port's networks",
				     ip_format(&w->p.gateway[i], buf));
	for (i = 0; i < w->p.n_addresses; i++)
		v6 = v6 || w->p.addresses[i].addr.family == IP_V6;
	/* RFC 8200 5: IPv6 needs 1280. */
	if (v6 && w->p.mtu < 1280)
		config_error(&p->diag, w->at_mtu, "IPv6 needs an MTU of 1280 at least");
}

/* ----------------------------------------------------------------- a tunnel */

static void check_times(struct config_parse *p, const struct config_node *map,
			const struct config_tunnel_work *w)
{
	char a[CONFIG_DURATION_STRLEN], b[CONFIG_DURATION_STRLEN];
	const struct config_tunnel *t = &w->t;

	if (t->child_lifetime.ns >= t->ike_lifetime.ns)
		config_error(&p->diag,
			     first_of(first_of(w->at_esp_lifetime, w->at_ike_lifetime), map),
			     "the lifetime of 'esp' (%s) must be less than that of 'ike' (%s)",
			     config_duration_format(t->child_lifetime, a),
			     config_duration_format(t->ike_lifetime, b));
	/* The rekey comes up to margin * 2 before the end (fuzz 100). */
	else if (t->rekey_margin.ns >= t->child_lifetime.ns / 2)
		config_error(&p->diag, first_of(w->at_margin, map),
			     "the rekey margin (%s) must be less than half the lifetime of 'esp' "
			     "(%s)",
			     config_duration_format(t->rekey_margin, a),
			     config_duration_format(t->child_lifetime, b));
	if (t->udp_port_entropy && !t->force_udp_encap)
		config_error(&p->diag, first_of(w->at_port_entropy, map),
			     "udp_port_entropy needs 'udp_encapsulation: force'");
	if (t->dpd_interval.ns >= t->dpd_timeout.ns)
		config_error(&p->diag,
			     first_of(first_of(w->at_dpd_interval, w->at_dpd_timeout), map),
			     "the dpd interval (%s) must be less than the dpd timeout (%s)",
			     config_duration_format(t->dpd_interval, a),
			     config_duration_format(t->dpd_timeout, b));
}

static void check_addresses(struct config_parse *p, const struct config_node *map,
			    const struct config_tunnel_work *w)
{
	const struct config_tunnel *t = &w->t;

	if (t->remote.family == IP_NONE) {
		if (t->startup == CONFIG_STARTUP_START)
			config_error(&p->diag, first_of(w->at_startup, map),
				     "'startup: start' needs to know where: add 'remote_address', "
				     "or write 'startup: add' in this tunnel");
		if (!t->remote_id[0])
			config_error(
				&p->diag, map,
				"a tunnel without 'remote_address' needs 'remote_id', by which "
				"its peer is known");
		return;
	}
	if (t->remote.family != t->local.family)
		config_error(&p->diag, w->at_remote,
			     "local_address is IPv%u, but remote_address is IPv%u",
			     (unsigned)t->local.family, (unsigned)t->remote.family);
	else if (ip_equal(&t->remote, &t->local))
		config_error(&p->diag, w->at_remote,
			     "remote_address is our own local_address; write the peer's");
}

static void check_additional(struct config_parse *p, const struct config_tunnel_work *w)
{
	const struct config_tunnel *t = &w->t;
	char buf[IP_ADDR_STRLEN];
	size_t i;

	for (i = 0; i < t->n_additional; i++)
		if (ip_equal(&t->additional[i], &t->local))
			config_error(&p->diag, w->at_additional,
				     "additional_addresses has the local_address %s too; leave it "
				     "out there",
				     ip_format(&t->local, buf));
	if (t->n_additional && !t->mobike)
		config_warning(&p->diag, w->at_additional,
			       "additional_addresses are of no use with 'mobike: false'");
}

/* RFC 7296 3.5: identities are not empty. */
static void check_id(struct config_parse *p, const struct config_node *map,
		     const struct config_node *at, const char *id)
{
	if (!strcmp(id, "keyid:") || !strcmp(id, "@"))
		config_error(&p->diag, first_of(at, map), "the identity '%s' is empty", id);
}

static bool no_pfs(const struct config_tunnel *t)
{
	size_t i;

	for (i = 0; i < t->esp_pfs.n; i++)
		if (!t->esp_pfs.algs[i].id)
			return true;
	return false;
}

static void check_pfs(struct config_parse *p, const struct config_tunnel_work *w)
{
	const struct config_tunnel *t = &w->t;

	if (no_pfs(t))
		config_warning(
			&p->diag, w->at_pfs,
			"without PFS, who learns the keys of the IKE SA can read all traffic");
	/* RFC 9370 2.2.4: the additional exchanges follow one in CREATE_CHILD_SA. */
	if (no_pfs(t) && t->esp_pfs.n == 1 && t->esp_pq == CONFIG_PQ_REQUIRE)
		config_error(&p->diag, w->at_pfs,
			     "ML-KEM adds to a group: 'pq: require' of 'esp' needs one in 'pfs'");
}

static bool has(const struct config_alg_list *l, uint16_t id)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		if (l->algs[i].id == id)
			return true;
	return false;
}

/* RFC 9370 2.2.2: no method stands twice in one SA. What cannot be otherwise is found here. */
static bool same_method(const struct config_alg_list *a, const struct config_alg_list *b)
{
	return a->n == 1 && b->n == 1 && a->algs[0].id == b->algs[0].id;
}

static void check_more_ke(struct config_parse *p, const struct config_node *at,
			  const struct config_alg_list *first, enum config_pq pq,
			  const struct config_alg_list more[CONFIG_MORE_KE_MAX])
{
	bool twice = false, required = false;
	size_t i, k, n = 0;

	while (n < CONFIG_MORE_KE_MAX && more[n].n)
		n++;
	for (i = 0; i < n; i++) {
		required = required || !has(&more[i], 0);
		twice = twice || same_method(&more[i], first);
		for (k = 0; k < i; k++)
			twice = twice || same_method(&more[i], &more[k]);
	}
	if (twice)
		config_error(&p->diag, at,
			     "a key exchange needs another group than the ones before it");
	if (pq != CONFIG_PQ_OFF && n == CONFIG_MORE_KE_MAX)
		config_error(&p->diag, at,
			     "with 'pq' there is room for %d additional key exchanges",
			     CONFIG_MORE_KE_MAX - 1);
	/* 2.2.4: the additional exchanges follow one in CREATE_CHILD_SA. */
	if (required && first->n == 1 && !first->algs[0].id)
		config_error(&p->diag, at, "additional key exchanges follow one of 'pfs'");
}

/* Names that tunnels without `interface` get: tb<index>. */
static bool is_kept_interface(const char *name)
{
	return !strncmp(name, "tb", 2) && name[2] &&
	       strspn(name + 2, "0123456789") == strlen(name + 2);
}

void config_check_tunnel(struct config_parse *p, const struct config_node *map,
			 const struct config_tunnel_work *w)
{
	const struct config_tunnel *t = &w->t;

	check_times(p, map, w);
	check_addresses(p, map, w);
	check_additional(p, w);
	check_more_ke(p, w->at_ike_more_ke, &t->ike_dh, t->pq, t->ike_more_ke);
	check_more_ke(p, w->at_esp_more_ke, &t->esp_pfs, t->esp_pq, t->esp_more_ke);
	check_id(p, map, w->at_local_id, t->local_id);
	check_id(p, map, w->at_remote_id, t->remote_id);
	if (t->replay_window % 64)
		config_error(
			&p->diag, w->at_replay,
			"the replay window is 0 (off) or a multiple of 64 from 64 to 4096; the "
			"next is %u",
			(t->replay_window + 63u) / 64u * 64u);
	else if (!t->replay_window)
		config_warning(&p->diag, w->at_replay,
			       "without a replay window, recorded packets can be sent again");
	check_pfs(p, w);
	if (is_kept_interface(t->interface))
		config_error(&p->diag, w->at_interface,
			     "names like '%s' are kept for tunnels without 'interface'; choose "
			     "another",
			     t->interface);
}

/* ------------------------------------------------------------- a connection */

static bool has_family(const struct ip_prefix *x, size_t n, unsigned family)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (x[i].addr.family == family)
			return true;
	return false;
}

static void check_networks(struct config_parse *p, const struct config_connection_work *w)
{
	const struct config_connection *c = &w->c;
	char a[IP_PREFIX_STRLEN], b[IP_PREFIX_STRLEN];
	bool usable = false;
	unsigned family;
	size_t i, j;

	for (family = IP_V4; family <= IP_V6; family += IP_V6 - IP_V4)
		usable = usable || (has_family(c->local_networks, c->n_local_networks, family) &&
				    has_family(c->remote_networks, c->n_remote_networks, family));
	if (!usable)
		config_error(&p->diag, w->at_remote_networks,
			     "local_networks and remote_networks have no address family in common");
	for (i = 0; i < c->n_local_networks; i++)
		for (j = 0; j < c->n_remote_networks; j++) {
			const struct ip_prefix *l = &c->local_networks[i];
			const struct ip_prefix *r = &c->remote_networks[j];

			/* 0.0.0.0/0 and ::/0 mean "whatever routing says" (route-based). */
			if (l->len && r->len && ip_prefix_overlaps(l, r))
				config_warning(
					&p->diag, w->at_remote_networks,
					"the remote network %s overlaps the local network %s; "
					"'translate' can give each of them another prefix",
					ip_prefix_format(r, a), ip_prefix_format(l, b));
		}
}

static void check_routes(struct config_parse *p, const struct config_connection_work *w)
{
	const struct config_connection *c = &w->c;
	char a[IP_PREFIX_STRLEN];
	size_t i, j;

	if (!w->at_static_routes)
		return;
	for (i = 0; i < c->n_static_routes; i++) {
		for (j = 0; j < c->n_remote_networks; j++)
			if (ip_prefix_within(&c->remote_networks[j], &c->static_routes[i]))
				break;
		if (j == c->n_remote_networks)
			config_warning(&p->diag, w->at_static_routes,
				       "%s is not within remote_networks: packets to it match no "
				       "traffic selector and are dropped",
				       ip_prefix_format(&c->static_routes[i], a));
	}
}

void config_check_connection(struct config_parse *p, const struct config_connection_work *w)
{
	const struct config_connection *c = &w->c;
	char a[IP_ADDR_STRLEN];

	check_networks(p, w);
	check_routes(p, w);
	/* Equal remote addresses alone are what the side with two addresses sees of a site with one. */
	if (c->n_tunnels == 2 && c->tunnels[0].remote.family != IP_NONE &&
	    ip_equal(&c->tunnels[0].remote, &c->tunnels[1].remote) &&
	    ip_equal(&c->tunnels[0].local, &c->tunnels[1].local))
		config_warning(&p->diag, w->at_tunnels,
			       "both tunnels take the same way to %s: they will fail together",
			       ip_format(&c->tunnels[0].remote, a));
}

/* ------------------------------------------------------------------ gateway */

void config_check_root(struct config_parse *p, const struct config_root_work *w)
{
	const size_t n_tunnels = p->marks->n_tunnels;

	if (w->at_cpus && w->at_workers && w->n_cpus != w->c.n_workers)
		config_error(&p->diag, w->at_cpus,
			     "there are %zu cpus for %u workers; name one each", w->n_cpus,
			     w->c.n_workers);
	if (w->at_backend && strcmp(w->c.aead_backend, "cryptodev") == 0 && !w->c.crypto_device[0])
		config_error(&p->diag, w->at_backend,
			     "aead_backend is cryptodev, but there is no crypto_device");
	if (w->at_cookie && w->c.cookie_threshold > w->c.max_half_open)
		config_error(&p->diag, w->at_cookie,
			     "cookie_threshold (%u) is beyond max_half_open (%u) and would never "
			     "be reached",
			     w->c.cookie_threshold, w->c.max_half_open);
	if (w->at_half_open_source && w->c.max_half_open_source > w->c.max_half_open)
		config_error(&p->diag, w->at_half_open_source,
			     "max_half_open_per_source (%u) is beyond max_half_open (%u)",
			     w->c.max_half_open_source, w->c.max_half_open);
	if (n_tunnels > w->c.max_tunnels)
		config_error_at(&p->diag, w->at_max_tunnels ? w->at_max_tunnels->line : 1,
				w->at_max_tunnels ? w->at_max_tunnels->column : 1,
				"there are %zu tunnels; set dataplane.max_tunnels to that at least",
				n_tunnels);
	/* Each tunnel holds two pairs while it is rekeyed. */
	if (n_tunnels * 2 > w->c.max_sas)
		config_error_at(
			&p->diag, w->at_max_sas ? w->at_max_sas->line : 1,
			w->at_max_sas ? w->at_max_sas->column : 1,
			"%zu tunnels need room for two SAs each while they are rekeyed; set "
			"dataplane.max_sas to %zu at least",
			n_tunnels, n_tunnels * 2);
}
