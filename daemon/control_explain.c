/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control_explain: what is wrong with a tunnel, layer by layer from the wire up, and which line of
 * the configuration would mend it; and the same for the whole gateway in one list.
 *
 * The lowest layer that is not in order is the one to look at: what stands above it cannot work
 * before that does, and is not judged.
 */
#include <string.h>
#include "config/locate.h"
#include "daemon/control_int.h"

/* From the lowest. The names are those of ike_layer_name() where both have one. */
static const char *const layers[] = {"port",  "path",      "ike",    "auth",
				     "child", "dataplane", "traffic"};
#define N_LAYERS (sizeof(layers) / sizeof(layers[0]))

#define QUIET_S 30.0 /* a tunnel that is up this long and hears nothing back is suspicious */

static size_t layer_index(const char *name)
{
	size_t i;

	for (i = 0; i < N_LAYERS && strcmp(layers[i], name) != 0; i++)
		;
	return i;
}

static const char *text_of(const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));

	return s ? s : "";
}

static json_t *layer(const char *name, const char *state, const char *text)
{
	return json_pack("{s:s, s:s, s:o}", "layer", name, "state", state, "text",
			 control_text(text, 1024));
}

/* ---------------------------------------------------------------------- port */

static const struct config_port *port_of(const struct config *c, const struct ip_addr *local)
{
	size_t i, j;

	for (i = 0; i < c->n_ports; i++)
		for (j = 0; j < c->ports[i].n_addresses; j++)
			if (ip_equal(&c->ports[i].addresses[j].addr, local))
				return &c->ports[i];
	return NULL;
}

/* NULL when the port is in order, else what is wrong; `text` is used for it. */
static const char *port_trouble(const struct control *c, const struct config_port *p, struct sb *s)
{
	struct control_stats_view v;
	uint32_t i;

	if (!control_stats_view(c, &v))
		return "the dataplane has not shown its counters yet";
	for (i = 0; i < v.n_ports; i++) {
		if (strncmp(v.s->ports[i].name, p->name, sizeof(v.s->ports[i].name)) != 0)
			continue;
		if (control_load32(&v.s->ports[i].link_up))
			return NULL;
		sb_printf(s, "port %s has no link: look at the cable, or at the other end's port",
			  p->name);
		return s->buf;
	}
	sb_printf(s, "the dataplane has no port %s", p->name);
	return s->buf;
}

/* ------------------------------------------------------------------------ fix */

/* "[a, b]" and "c" give "[a, b, c]". */
static void put_longer_list(struct sb *s, const char *list, const char *add)
{
	const size_t n = strlen(list);

	if (n < 2 || list[n - 1] != ']') {
		sb_printf(s, "[%s]", add);
		return;
	}
	sb_printf(s, "%.*s%s%s]", (int)(n - 1), list, n > 2 ? ", " : "", add);
}

/* The last part of "ike.dh", and what stands before it. */
static const char *last_key(const char *key)
{
	const char *dot = strrchr(key, '.');

	return dot ? dot + 1 : key;
}

/* NULL when there is no text; then nothing is found in it. */
static struct config_places *places_of(const struct control *c)
{
	return c->text ? config_places_new(c->text, c->text_size) : NULL;
}

/* The line that would bring the two ends together, or that names the file that would; or null. */
static json_t *fix(const struct config_places *places, const char *tunnel, const json_t *mismatch)
{
	const char *key = json_string_value(json_object_get(mismatch, "key"));
	const char *add = text_of(mismatch, "add"), *last;
	char line[512], text[768];
	struct sb l = sb_of(line, sizeof(line)), t = sb_of(text, sizeof(text));
	struct config_place place;

	if (!key || !config_places_find(places, tunnel, key, &place))
		return json_null();
	if (!*add) {
		if (place.kind == CONFIG_PLACE_NOWHERE)
			return json_null();
		/* The line is good, what it points to is not. */
		sb_printf(&l, "%s: %s", last_key(key), place.value);
		sb_printf(&t, "line %u: %s: write the same key into the file at both ends",
			  place.line, line);
		return json_pack("{s:i, s:s, s:s, s:s}", "line", (int)place.line, "key", key,
				 "instead", line, "text", text);
	}
	last = last_key(key);
	if (place.kind == CONFIG_PLACE_NOWHERE && last != key)
		sb_printf(&l, "%.*s: {", (int)(last - key - 1), key);
	sb_printf(&l, "%s: ", last);
	if (place.is_list)
		put_longer_list(&l, place.value, add);
	else
		sb_str(&l, add);
	if (place.kind == CONFIG_PLACE_NOWHERE && last != key)
		sb_str(&l, "}");
	switch (place.kind) {
	case CONFIG_PLACE_TUNNEL:
	case CONFIG_PLACE_CONNECTION: sb_printf(&t, "line %u: %s", place.line, line); break;
	case CONFIG_PLACE_DEFAULTS:
		sb_printf(&t, "line %u (for both tunnels): %s", place.line, line);
		break;
	case CONFIG_PLACE_NOWHERE:
		sb_printf(&t, "add to the tunnel that begins in line %u: %s", place.line, line);
		break;
	}
	return json_pack("{s:i, s:s, s:s, s:s}", "line", (int)place.line, "key", key, "instead",
			 line, "text", text);
}

/* -------------------------------------------------------------------- a tunnel */

static void put_path(const json_t *t, struct sb *s)
{
	const json_t *heard = json_object_get(t, "heard_s");

	if (json_is_number(heard))
		sb_printf(s, "the peer was heard %.1f s ago", json_real_value(heard));
	else
		sb_printf(s,
			  "nothing was ever heard from %s: is UDP 500 and 4500 open on the way, "
			  "and does it know this gateway's address %s?",
			  json_is_string(json_object_get(t, "remote")) ? text_of(t, "remote")
								       : "the peer",
			  text_of(t, "local"));
}

/* What a layer's trouble is: the mismatch where there is one, the tunnel's reason otherwise. */
static void put_trouble(const json_t *t, const char *name, struct sb *s)
{
	const json_t *m = json_object_get(t, "mismatch");

	if (!strcmp(name, "path") && !json_is_number(json_object_get(t, "heard_s"))) {
		put_path(t, s);
	} else if (json_is_object(m) && !strcmp(text_of(m, "layer"), name)) {
		sb_printf(s, "%s: %s", text_of(m, "what"), text_of(m, "differs"));
	} else {
		sb_str(s, *text_of(t, "reason") ? text_of(t, "reason") : "not done yet");
	}
}

static void put_ok(const json_t *t, const char *name, const struct config_port *port, struct sb *s)
{
	if (!strcmp(name, "port"))
		sb_printf(s, "%s, link up", port->name);
	else if (!strcmp(name, "path"))
		put_path(t, s);
}

static const char *traffic(const struct control *c, const struct config_tunnel *tunnel,
			   const json_t *t, struct sb *s)
{
	json_t *o = json_object();
	json_int_t in, out;

	control_stats_add_tunnel(c, tunnel->index, o);
	in = json_integer_value(json_object_get(o, "in_packets"));
	out = json_integer_value(json_object_get(o, "out_packets"));
	sb_printf(s, "%lld packets in, %lld out, %lld and %lld dropped", (long long)in,
		  (long long)out, (long long)json_integer_value(json_object_get(o, "in_dropped")),
		  (long long)json_integer_value(json_object_get(o, "out_dropped")));
	json_decref(o);
	if (in == 0 && out > 0 && json_real_value(json_object_get(t, "since_s")) > QUIET_S) {
		sb_str(s, ": nothing comes back; does the peer route its answers into the tunnel, "
			  "and does a firewall let ESP or UDP 4500 in?");
		return "failed";
	}
	return "ok";
}

/* Every layer with its state; *lowest is the failed one, N_LAYERS if there is none. */
static json_t *judge(const struct control *c, const struct config_tunnel *tunnel, const json_t *t,
		     size_t *lowest)
{
	const struct config_port *port = port_of(c->config, &tunnel->local);
	const bool idle = !strcmp(text_of(t, "layer"), "admin");
	json_t *list = json_array();
	char text[512];
	struct sb s = sb_of(text, sizeof(text));
	const char *trouble = port ? port_trouble(c, port, &s) : "no port has its local_address";
	const char *state;
	size_t i;

	*lowest = trouble                                  ? 0
		  : json_is_true(json_object_get(t, "up")) ? N_LAYERS
		  : idle                                   ? layer_index("path")
							   : layer_index(text_of(t, "layer"));
	for (i = 0; i < N_LAYERS; i++) {
		if (i > 0 || !trouble)
			s = sb_of(text, sizeof(text));
		state = i < *lowest ? "ok" : "unknown";
		if (i == *lowest && i == 0) {
			json_array_append_new(list, layer(layers[i], "failed", trouble));
			continue;
		}
		if (i == *lowest) {
			state = idle ? "idle" : "failed";
			if (idle)
				sb_str(&s, *text_of(t, "reason")
						   ? text_of(t, "reason")
						   : "nobody has brought it up: the peer "
						     "initiates, or 'twinbore up'");
			else
				put_trouble(t, layers[i], &s);
		} else if (i < *lowest && i == N_LAYERS - 1) {
			state = traffic(c, tunnel, t, &s);
			if (!strcmp(state, "failed"))
				*lowest = i;
		} else if (i < *lowest) {
			put_ok(t, layers[i], port, &s);
		}
		json_array_append_new(list, layer(layers[i], state, text));
	}
	return list;
}

json_t *control_explain_tunnel(struct control_request *r)
{
	const struct control *c = r->control;
	const json_t *reply = control_reply_of(r, 0), *t;
	const struct config_connection *connection = NULL;
	const struct config_tunnel *tunnel;
	struct config_places *places;
	json_t *o, *list, *m;
	size_t lowest;

	if (!reply)
		return NULL;
	t = json_array_get(reply, 0);
	tunnel = t ? config_tunnel_by_name(c->config, text_of(t, "name"), &connection) : NULL;
	if (!tunnel) {
		control_fail(r, "unavailable", "the ike process does not know this tunnel yet");
		return NULL;
	}
	list = judge(c, tunnel, t, &lowest);
	m = json_object_get(t, "mismatch");
	o = json_object();
	json_object_set_new(o, "tunnel", json_string(tunnel->name));
	json_object_set_new(o, "connection", json_string(connection->name));
	for (size_t i = 0; i < 6; i++) {
		static const char *const names[] = {"up",      "phase", "reason",
						    "since_s", "local", "remote"};

		json_object_set(o, names[i], json_object_get(t, names[i]));
	}
	json_object_set_new(o, "broken",
			    lowest < N_LAYERS ? json_string(layers[lowest]) : json_null());
	json_object_set_new(o, "layers", list);
	json_object_set_new(o, "mismatch", json_is_object(m) ? json_incref(m) : json_null());
	places = json_is_object(m) ? places_of(c) : NULL;
	json_object_set_new(o, "fix", places ? fix(places, tunnel->name, m) : json_null());
	config_places_free(places);
	return o;
}

/* ----------------------------------------------------------------- the gateway */

static void find(json_t *list, const char *severity, const char *subject, const char *layer_name,
		 const char *text, json_t *how)
{
	json_array_append_new(list,
			      json_pack("{s:s, s:s, s:s, s:o, s:o}", "severity", severity,
					"subject", subject, "layer", layer_name, "text",
					control_text(text, 1024), "fix", how ? how : json_null()));
}

static void look_at_processes(const json_t *processes, json_t *list)
{
	const json_t *p;
	char text[200];
	size_t i;

	if (!json_array_size(processes)) {
		find(list, "error", "supervisor", "process",
		     "it does not tell of its processes: see its log", NULL);
		return;
	}
	json_array_foreach (processes, i, p) {
		const json_int_t n = json_integer_value(json_object_get(p, "restarts"));
		struct sb s = sb_of(text, sizeof(text));

		if (strcmp(text_of(p, "state"), "running") != 0) {
			sb_printf(&s, "it is %s: the log says why", text_of(p, "state"));
			find(list, "error", text_of(p, "role"), "process", text, NULL);
		} else if (n > 0) {
			sb_printf(&s, "it was restarted %lld times: the log says why",
				  (long long)n);
			find(list, "warning", text_of(p, "role"), "process", text, NULL);
		}
	}
}

static void look_at_dataplane(const struct control *c, json_t *list)
{
	struct control_stats_view v;
	char text[200];
	uint32_t i;

	if (!control_stats_view(c, &v)) {
		find(list, "error", "dataplane", "process", "it has not shown its counters yet",
		     NULL);
		return;
	}
	for (i = 0; i < v.n_ports; i++) {
		const struct dp_stats_port *p = &v.s->ports[i];
		const uint64_t missed = control_load(&p->rx_missed),
			       all = control_load(&p->rx_packets);
		char name[sizeof(p->name) + 1] = "";
		struct sb s = sb_of(text, sizeof(text));

		memcpy(name, p->name, sizeof(p->name));
		if (!control_load32(&p->link_up))
			find(list, "error", name, "port",
			     "no link: look at the cable, or at the other end's port", NULL);
		/* One in 10,000 is more than a worker that keeps up ever misses. */
		if (missed > 0 && missed > all / 10000) {
			sb_printf(&s,
				  "%llu of %llu packets came faster than they were taken: "
				  "more workers, or faster ones",
				  (unsigned long long)missed, (unsigned long long)(missed + all));
			find(list, "warning", name, "port", text, NULL);
		}
	}
	if (strncmp(v.s->aead_backend, "openssl", sizeof(v.s->aead_backend)) == 0)
		find(list, "warning", "dataplane", "crypto",
		     "ESP runs on OpenSSL: ipsec-mb is several times faster where the CPU serves",
		     NULL);
}

static void look_at_tunnel(const struct control *c, const struct config_places *places,
			   const struct config_tunnel *tunnel, const json_t *t, json_t *list)
{
	const json_t *m = json_object_get(t, "mismatch");
	json_t *all, *bad;
	size_t lowest;

	all = judge(c, tunnel, t, &lowest);
	bad = lowest < N_LAYERS ? json_array_get(all, lowest) : NULL;
	if (bad)
		find(list, !strcmp(text_of(bad, "state"), "idle") ? "warning" : "error",
		     tunnel->name, layers[lowest], text_of(bad, "text"),
		     json_is_object(m) ? fix(places, tunnel->name, m) : NULL);
	json_decref(all);
}

/* The tunnels of ike's reply by their names. */
static json_t *named(const json_t *tunnels)
{
	json_t *all = json_object(), *t;
	size_t i;

	json_array_foreach (tunnels, i, t)
		json_object_set(all, text_of(t, "name"), t);
	return all;
}

/* A gateway may have thousands of tunnels, all of them broken: the text is parsed once. */
json_t *control_doctor(struct control_request *r)
{
	const struct control *c = r->control;
	const json_t *tunnels = r->parts[1].reply, *t;
	struct config_places *places = places_of(c);
	json_t *list = json_array(), *known = named(tunnels);
	size_t i, j, n = 0;

	look_at_processes(r->parts[0].reply, list);
	look_at_dataplane(c, list);
	if (!tunnels)
		find(list, "error", "ike", "process", "it does not answer", NULL);
	for (i = 0; i < c->config->n_connections; i++) {
		for (j = 0; j < c->config->connections[i].n_tunnels; j++) {
			const struct config_tunnel *tunnel = &c->config->connections[i].tunnels[j];

			n++;
			t = json_object_get(known, tunnel->name);
			if (t)
				look_at_tunnel(c, places, tunnel, t, list);
		}
	}
	json_decref(known);
	config_places_free(places);
	return json_pack("{s:i, s:o}", "tunnels", (int)n, "findings", list);
}
