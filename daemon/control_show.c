/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control_show: the results of status and show.*, put together from the replies of other processes,
 * the configuration and the counters. The configuration leads: what is configured is always listed,
 * also when it is down, so that nobody has to notice what is missing.
 */
#include <string.h>
#include "daemon/control_int.h"

json_t *control_text(const char *s, size_t max)
{
	char safe[8192];
	struct sb b = sb_of(safe, sizeof(safe));
	const size_t n = strnlen(s, max);
	json_t *text = json_stringn(s, n);

	if (text)
		return text;
	sb_escaped(&b, s, n);
	return json_string(safe);
}

json_t *control_count(uint64_t n)
{
	return json_integer(n > INT64_MAX ? INT64_MAX : (json_int_t)n);
}

json_t *control_seconds(struct mono_span d)
{
	return json_real((double)span_to_ms(d) / 1000.0);
}

/* The item of an array whose `name` is this, or NULL. */
static json_t *by_name(const json_t *array, const char *member, const char *name)
{
	const char *other;
	json_t *item;
	size_t i;

	json_array_foreach (array, i, item) {
		other = json_string_value(json_object_get(item, member));
		if (other && !strcmp(other, name))
			return item;
	}
	return NULL;
}

static bool is_up(const json_t *tunnels, const char *name)
{
	return json_is_true(json_object_get(by_name(tunnels, "name", name), "up"));
}

/* Which tunnel carries a connection's traffic: what routing says, else the first that is up. */
static const char *active_of(const struct config_connection *c, const json_t *tunnels,
			     const json_t *state)
{
	const json_t *route = by_name(json_object_get(state, "connections"), "name", c->name);
	size_t i;

	if (route)
		return json_string_value(json_object_get(route, "tunnel"));
	for (i = 0; i < c->n_tunnels; i++)
		if (is_up(tunnels, c->tunnels[i].name))
			return c->tunnels[i].name;
	return NULL;
}

static json_t *string_or_null(const char *s)
{
	return s ? json_string(s) : json_null();
}

static json_t *prefixes(const struct ip_prefix *x, size_t n)
{
	char buf[IP_PREFIX_STRLEN];
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < n; i++)
		if (x[i].addr.family != IP_NONE)
			json_array_append_new(list, json_string(ip_prefix_format(&x[i], buf)));
	return list;
}

static json_t *connection(const struct config_connection *c, const json_t *tunnels,
			  const json_t *state)
{
	json_t *names = json_array();
	size_t i, n_up = 0;

	for (i = 0; i < c->n_tunnels; i++) {
		n_up += is_up(tunnels, c->tunnels[i].name);
		json_array_append_new(names, json_string(c->tunnels[i].name));
	}
	return json_pack("{s:s, s:s, s:o, s:o, s:o}", "name", c->name, "state",
			 n_up == c->n_tunnels ? "up"
			 : n_up               ? "degraded"
					      : "down",
			 "active_tunnel", string_or_null(active_of(c, tunnels, state)), "tunnels",
			 names, "routes", prefixes(c->static_routes, c->n_static_routes));
}

static json_t *connections(const struct config *config, const json_t *tunnels, const json_t *state)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < config->n_connections; i++)
		json_array_append_new(list, connection(&config->connections[i], tunnels, state));
	return list;
}

/* ------------------------------------------------------------------- status */

/* Every process that the supervisor tells of runs; an absent list is no good sign. */
static bool all_run(const json_t *processes)
{
	const char *state;
	json_t *p;
	size_t i;

	if (!json_array_size(processes))
		return false;
	json_array_foreach (processes, i, p) {
		state = json_string_value(json_object_get(p, "state"));
		if (!state || strcmp(state, "running") != 0)
			return false;
	}
	return true;
}

static json_t *uptime(const struct control *c, const json_t *processes)
{
	const json_t *supervisor = by_name(processes, "role", "supervisor");
	json_t *t = json_object_get(supervisor, "uptime_s");

	return json_is_number(t) ? json_incref(t)
				 : control_seconds(mono_since(mono_now(), c->started));
}

/* How many routes there are, and how far the dataplane has them. */
static json_t *route_numbers(const json_t *state)
{
	static const char *const names[] = {"prefixes", "candidates", "waiting", "refused"};
	json_t *o = json_object(), *n;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		n = json_object_get(state, names[i]);
		if (json_is_integer(n))
			json_object_set(o, names[i], n);
	}
	return o;
}

/* Shows what can be shown: a status is wanted most when something does not answer. */
json_t *control_show_status(struct control_request *r)
{
	const struct control *c = r->control;
	json_t *processes = r->parts[0].reply;
	const json_t *tunnels = r->parts[1].reply, *state = r->parts[2].reply;
	size_t i, j, n = 0, n_up = 0;
	json_t *o = json_object();
	bool ok;

	for (i = 0; i < c->config->n_connections; i++) {
		for (j = 0; j < c->config->connections[i].n_tunnels; j++) {
			n++;
			n_up += is_up(tunnels, c->config->connections[i].tunnels[j].name);
		}
	}
	ok = n_up == n && tunnels && state && all_run(processes);
	json_object_set_new(o, "gateway", json_string(c->config->name));
	json_object_set_new(o, "software", json_string(TWINBORE_VERSION));
	json_object_set_new(o, "uptime_s", uptime(c, processes));
	json_object_set_new(o, "state", json_string(ok ? "ok" : "degraded"));
	json_object_set_new(o, "tunnels_up", json_integer((json_int_t)n_up));
	json_object_set_new(o, "tunnels_configured", json_integer((json_int_t)n));
	json_object_set_new(o, "processes",
			    json_is_array(processes) ? json_incref(processes) : json_array());
	json_object_set_new(o, "connections", connections(c->config, tunnels, state));
	if (state)
		json_object_set_new(o, "routes", route_numbers(state));
	json_object_set_new(o, "rates", control_stats_rates(c));
	return o;
}

/* -------------------------------------------------------------------- shows */

json_t *control_show_connections(struct control_request *r)
{
	const json_t *tunnels = control_reply_of(r, 1), *state;

	if (!tunnels)
		return NULL;
	state = control_reply_of(r, 2);
	if (!state)
		return NULL;
	return json_pack("{s:o}", "connections", connections(r->control->config, tunnels, state));
}

/* What the route process knows of a tunnel. */
static void add_routing(const struct control *c, const char *name, const json_t *state, json_t *o)
{
	static const char *const names[] = {"bfd_down", "bgp_up", "accepted", "stale", "refused"};
	const json_t *known = by_name(json_object_get(state, "tunnels"), "name", name);
	const char *replacing = control_replacing(c, name);
	json_t *member;
	size_t i;

	json_object_set_new(o, "draining",
			    json_boolean(json_is_true(json_object_get(known, "draining"))));
	json_object_set_new(o, "replacing", string_or_null(replacing));
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		member = json_object_get(known, names[i]);
		if (member)
			json_object_set(o, names[i], member);
	}
}

static json_t *tunnel(const struct control *c, const struct config_connection *conn, size_t i,
		      const json_t *tunnels, const json_t *state, const char *active)
{
	const struct config_tunnel *t = &conn->tunnels[i];
	json_t *known = by_name(tunnels, "name", t->name);
	json_t *o = known ? json_copy(known) : json_object();
	char buf[IP_ADDR_STRLEN];

	json_object_set_new(o, "name", json_string(t->name));
	json_object_set_new(o, "connection", json_string(conn->name));
	json_object_set_new(o, "index", json_integer(t->index));
	json_object_set_new(o, "active", json_boolean(active && !strcmp(active, t->name)));
	json_object_set_new(o, "interface", json_string(t->interface));
	json_object_set_new(o, "inside_addresses", prefixes(t->inside, 2));
	if (!known) {
		/* Configured, but ike does not know it (yet). */
		json_object_set_new(o, "up", json_false());
		json_object_set_new(o, "phase", json_string("down"));
		json_object_set_new(o, "reason", json_string("not set up yet"));
		json_object_set_new(o, "since_s", json_real(0));
		json_object_set_new(o, "local", json_string(ip_format(&t->local, buf)));
		json_object_set_new(o, "remote",
				    t->remote.family == IP_NONE
					    ? json_null()
					    : json_string(ip_format(&t->remote, buf)));
		json_object_set_new(o, "natt", json_false());
	}
	add_routing(c, t->name, state, o);
	control_stats_add_tunnel(c, t->index, o);
	return o;
}

json_t *control_show_tunnels(struct control_request *r)
{
	const struct control *c = r->control;
	const json_t *tunnels = control_reply_of(r, 1), *state;
	json_t *list;
	size_t i, j;

	if (!tunnels)
		return NULL;
	state = r->parts[2].reply; /* without it, `active` is a good guess */
	list = json_array();
	for (i = 0; i < c->config->n_connections; i++) {
		const struct config_connection *conn = &c->config->connections[i];
		const char *active = active_of(conn, tunnels, state);

		for (j = 0; j < conn->n_tunnels; j++)
			json_array_append_new(list, tunnel(c, conn, j, tunnels, state, active));
	}
	return json_pack("{s:o}", "tunnels", list);
}

json_t *control_show_sas(struct control_request *r)
{
	json_t *sas = control_reply_of(r, 0), *sa, *slot;
	size_t i;

	if (!sas)
		return NULL;
	json_array_foreach (sas, i, sa) {
		slot = json_object_get(sa, "slot");
		if (json_is_integer(slot) && json_integer_value(slot) >= 0 &&
		    json_integer_value(slot) < UINT32_MAX)
			control_stats_add_sa(r->control, (uint32_t)json_integer_value(slot), sa);
	}
	return json_pack("{s:O}", "sas", sas);
}

json_t *control_show_counters(struct control_request *r)
{
	json_t *ike = control_reply_of(r, 0);

	return ike ? json_pack("{s:O, s:o}", "ike", ike, "dataplane",
			       control_stats_drops(r->control))
		   : NULL;
}
