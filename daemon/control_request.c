/* SPDX-License-Identifier: Apache-2.0 */
/* control_request: from a line to the run of a method, and back to a line. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "daemon/control_int.h"

#define QUERY_TIMEOUT  span_s(2)
#define RELOAD_TIMEOUT span_s(30)

static void request_end(struct control_request *r)
{
	struct control_client *cl = r->client;
	struct control *c = r->control;
	size_t i;

	control_forget(c, r);
	json_decref(r->id);
	json_decref(r->params);
	for (i = 0; i < CONTROL_REQUEST_PARTS; i++) {
		json_decref(r->parts[i].reply);
		free(r->parts[i].message);
	}
	*r = (struct control_request){.control = c, .client = cl};
}

void control_request_drop(struct control_request *r)
{
	request_end(r);
}

/* {"id": id, name: value}; takes `value`. */
static void answer(struct control_request *r, const char *name, json_t *value)
{
	struct control_client *cl = r->client;
	json_t *line = json_object();

	if (r->id)
		json_object_set(line, "id", r->id);
	else
		json_object_set_new(line, "id", json_null());
	json_object_set_new(line, name, value);
	control_client_json(cl, line);
	request_end(r);
	control_client_next(cl);
}

void control_fail(struct control_request *r, const char *code, const char *fmt, ...)
{
	char text[8192];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	answer(r, "error",
	       json_pack("{s:s, s:o}", "code", code, "message", control_text(text, sizeof(text))));
}

json_t *control_reply_of(struct control_request *r, size_t part)
{
	struct control_part *p = &r->parts[part];
	char *message;

	if (p->reply)
		return p->reply;
	/* The request, and what it owns, ends in control_fail(). */
	message = p->message;
	p->message = NULL;
	control_fail(r, p->code ? p->code : "unavailable", "%s",
		     message ? message : "out of memory");
	free(message);
	return NULL;
}

void control_request_progress(struct control_request *r)
{
	json_t *result;
	size_t i;

	if (!r->method)
		return;
	for (i = 0; i < CONTROL_REQUEST_PARTS; i++)
		if (r->parts[i].asked && !r->parts[i].done)
			return;
	result = r->method->finish(r);
	if (!result)
		return; /* control_fail() has answered */
	json_object_set_new(result, "version", json_integer(1));
	answer(r, "result", result);
}

/* ------------------------------------------------------------------ methods */

const struct config_tunnel *control_wanted_tunnel(struct control_request *r)
{
	const struct config *config = r->control->config;
	const char *name = json_string_value(json_object_get(r->params, "tunnel"));
	const struct config_tunnel *t;
	const char **names, *near;
	size_t i, j, n = 0;

	if (!name || !*name) {
		control_fail(r, "bad-params", "'tunnel' must be the name of a tunnel");
		return NULL;
	}
	t = config_tunnel_by_name(config, name, NULL);
	if (t)
		return t;
	names = calloc(config->n_connections * 2 + 1, sizeof(*names));
	for (i = 0; names && i < config->n_connections; i++)
		for (j = 0; j < config->connections[i].n_tunnels; j++)
			names[n++] = config->connections[i].tunnels[j].name;
	near = names ? config_nearest(name, names, n) : NULL;
	if (near)
		control_fail(r, "no-such-tunnel", "no tunnel is named '%.64s'; the nearest is '%s'",
			     name, near);
	else
		control_fail(r, "no-such-tunnel", "no tunnel is named '%.64s'", name);
	free(names);
	return NULL;
}

static void begin_command(struct control_request *r, enum ipc_query_op op)
{
	const struct config_tunnel *t = control_wanted_tunnel(r);

	if (t)
		control_ask(r, 0, IPC_ROLE_IKE, op, t->name, QUERY_TIMEOUT);
}

static void begin_up(struct control_request *r)
{
	begin_command(r, IPC_QUERY_UP);
}

static void begin_down(struct control_request *r)
{
	begin_command(r, IPC_QUERY_DOWN);
}

static void begin_rekey(struct control_request *r)
{
	const json_t *what = json_object_get(r->params, "what");
	const char *word = what ? json_string_value(what) : "child";
	const struct config_tunnel *t;
	char arg[CONFIG_NAME_SIZE + 8];
	struct sb s = sb_of(arg, sizeof(arg));

	if (!word || (strcmp(word, "child") != 0 && strcmp(word, "ike") != 0)) {
		control_fail(r, "bad-params", "'what' must be child or ike");
		return;
	}
	t = control_wanted_tunnel(r);
	if (!t)
		return;
	sb_printf(&s, "%s%s", strcmp(word, "ike") ? "" : "ike:", t->name);
	control_ask(r, 0, IPC_ROLE_IKE, IPC_QUERY_REKEY, arg, QUERY_TIMEOUT);
}

static void begin_redirect(struct control_request *r)
{
	const char *to = json_string_value(json_object_get(r->params, "to"));
	char arg[CONFIG_NAME_SIZE + 1 + IP_ADDR_STRLEN], text[IP_ADDR_STRLEN];
	struct sb s = sb_of(arg, sizeof(arg));
	const struct config_tunnel *t;
	struct ip_addr a;

	if (!to || (strcmp(to, "off") != 0 && !ip_parse(to, &a))) {
		control_fail(r, "bad-params",
			     "'to' must be the address of another gateway, or \"off\"");
		return;
	}
	t = control_wanted_tunnel(r);
	if (!t)
		return;
	sb_printf(&s, "%s %s", t->name, strcmp(to, "off") ? ip_format(&a, text) : to);
	control_ask(r, 0, IPC_ROLE_IKE, IPC_QUERY_REDIRECT, arg, QUERY_TIMEOUT);
}

/* The reply of the first part, as it is, without what is not an object. */
static json_t *finish_command(struct control_request *r)
{
	return control_reply_of(r, 0) ? json_object() : NULL;
}

static void begin_reload(struct control_request *r)
{
	control_ask(r, 0, IPC_ROLE_SUPERVISOR, IPC_QUERY_RELOAD, "", RELOAD_TIMEOUT);
}

static json_t *finish_reload(struct control_request *r)
{
	const json_t *reply = control_reply_of(r, 0);
	json_t *result, *changed;

	if (!reply)
		return NULL;
	changed = json_object_get(reply, "changed");
	result = json_object();
	json_object_set_new(result, "changed",
			    json_is_array(changed) ? json_incref(changed) : json_array());
	json_object_set_new(result, "unchanged",
			    json_integer(json_integer_value(json_object_get(reply, "unchanged"))));
	return result;
}

static void begin_status(struct control_request *r)
{
	control_ask(r, 0, IPC_ROLE_SUPERVISOR, IPC_QUERY_PROCESSES, "", QUERY_TIMEOUT);
	control_ask(r, 1, IPC_ROLE_IKE, IPC_QUERY_TUNNELS, "", QUERY_TIMEOUT);
	control_ask(r, 2, IPC_ROLE_ROUTE, IPC_QUERY_ROUTE_STATE, "", QUERY_TIMEOUT);
}

static void begin_tunnels(struct control_request *r)
{
	control_ask(r, 1, IPC_ROLE_IKE, IPC_QUERY_TUNNELS, "", QUERY_TIMEOUT);
	control_ask(r, 2, IPC_ROLE_ROUTE, IPC_QUERY_ROUTE_STATE, "", QUERY_TIMEOUT);
}

static void begin_sas(struct control_request *r)
{
	control_ask(r, 0, IPC_ROLE_IKE, IPC_QUERY_SAS, "", QUERY_TIMEOUT);
}

static void begin_counters(struct control_request *r)
{
	control_ask(r, 0, IPC_ROLE_IKE, IPC_QUERY_IKE_COUNTERS, "", QUERY_TIMEOUT);
}

static void begin_explain(struct control_request *r)
{
	begin_command(r, IPC_QUERY_EXPLAIN);
}

static void begin_doctor(struct control_request *r)
{
	control_ask(r, 0, IPC_ROLE_SUPERVISOR, IPC_QUERY_PROCESSES, "", QUERY_TIMEOUT);
	control_ask(r, 1, IPC_ROLE_IKE, IPC_QUERY_EXPLAIN, "", QUERY_TIMEOUT);
}

static void begin_nothing(struct control_request *r)
{
}

static json_t *finish_ports(struct control_request *r)
{
	json_t *result = control_stats_ports(r->control);

	if (!result)
		control_fail(r, "unavailable", "the dataplane has not shown its counters yet");
	return result;
}

static void begin_events(struct control_request *r)
{
	const json_t *follow = json_object_get(r->params, "follow");

	if (follow && !json_is_boolean(follow))
		control_fail(r, "bad-params", "'follow' must be true or false");
}

static json_t *finish_events(struct control_request *r)
{
	if (json_is_true(json_object_get(r->params, "follow")))
		r->client->follow = true;
	return json_pack("{s:o}", "events", control_events_show(r->control));
}

const struct control_method control_methods[] = {
	{"status", begin_status, control_show_status},
	{"show.connections", begin_tunnels, control_show_connections},
	{"show.tunnels", begin_tunnels, control_show_tunnels},
	{"show.sas", begin_sas, control_show_sas},
	{"show.routes", control_begin_routes, control_finish_reply},
	{"show.bgp", control_begin_bgp, control_finish_reply},
	{"show.bgp.received", control_begin_received, control_finish_reply},
	{"show.bgp.advertised", control_begin_advertised, control_finish_reply},
	{"show.bfd", control_begin_bfd, control_finish_reply},
	{"show.ports", begin_nothing, finish_ports},
	{"show.counters", begin_counters, control_show_counters},
	{"explain", begin_explain, control_explain_tunnel},
	{"explain.route", control_begin_explain_route, control_finish_reply},
	{"what-if", control_begin_what_if, control_finish_reply},
	{"tunnel.drain", control_begin_drain, control_finish_drain},
	{"tunnel.undrain", control_begin_undrain, control_finish_undrain},
	{"tunnel.replace", control_begin_replace, control_finish_nothing},
	{"doctor", begin_doctor, control_doctor},
	{"up", begin_up, finish_command},
	{"down", begin_down, finish_command},
	{"rekey", begin_rekey, finish_command},
	{"redirect", begin_redirect, finish_command},
	{"reload", begin_reload, finish_reload},
	{"events", begin_events, finish_events},
};
const size_t control_n_methods = sizeof(control_methods) / sizeof(control_methods[0]);

/* --------------------------------------------------------------------- lines */

static void no_such_method(struct control_request *r, const char *name)
{
	const char *names[sizeof(control_methods) / sizeof(control_methods[0])], *near;
	size_t i;

	for (i = 0; i < control_n_methods; i++)
		names[i] = control_methods[i].name;
	near = config_nearest(name, names, control_n_methods);
	if (near)
		control_fail(r, "no-such-method", "no method is named '%.64s'; the nearest is '%s'",
			     name, near);
	else
		control_fail(r, "no-such-method", "no method is named '%.64s'", name);
}

/* Takes id, method and parameters out of a request; false after an error. */
static bool read_request(struct control_request *r, const json_t *line, const char **method)
{
	json_t *id = json_object_get(line, "id"), *params = json_object_get(line, "params");

	if (id && !json_is_number(id) && !json_is_string(id)) {
		control_fail(r, "bad-params", "'id' must be a number or a string");
		return false;
	}
	r->id = json_incref(id);
	*method = json_string_value(json_object_get(line, "method"));
	if (!*method) {
		control_fail(r, "bad-params", "'method' must be the name of a method");
		return false;
	}
	if (params && !json_is_object(params)) {
		control_fail(r, "bad-params", "'params' must be an object");
		return false;
	}
	r->params = params ? json_incref(params) : json_object();
	return true;
}

void control_request_line(struct control_client *cl, const char *line, size_t size)
{
	struct control_request *r = &cl->request;
	const char *name = NULL;
	json_error_t error;
	json_t *request;
	size_t i;

	request = json_loadb(line, size, JSON_REJECT_DUPLICATES, &error);
	if (!json_is_object(request)) {
		control_fail(r, "parse", "the line is no JSON object%s%s", request ? "" : ": ",
			     request ? "" : error.text);
		goto out;
	}
	if (!read_request(r, request, &name))
		goto out;
	for (i = 0; i < control_n_methods && strcmp(control_methods[i].name, name) != 0; i++)
		;
	if (i == control_n_methods) {
		no_such_method(r, name);
		goto out;
	}
	r->method = &control_methods[i];
	r->method->begin(r);
	control_request_progress(r); /* nothing was asked, or nobody was there */
out:
	json_decref(request);
}
