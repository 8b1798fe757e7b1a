/* SPDX-License-Identifier: Apache-2.0 */
/* ike_shell_query: what the control process asks, answered as JSON text. */
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/ike_shell.h"
#include "ike/id.h"

void ike_shell_reply(struct ike_shell *s, uint64_t id, bool ok, json_t *o)
{
	char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
	static const char none[] =
		"{\"code\":\"failed\",\"message\":\"the ike process is out of memory\"}";

	if (!text)
		ipc_outq_reply(&s->to_control, id, false, none, sizeof(none) - 1);
	else if (!ipc_outq_reply(&s->to_control, id, ok, text, strlen(text)))
		log_warn("the control process does not take its answers: one was cut off");
	free(text);
	json_decref(o);
}

static void reply_error(struct ike_shell *s, uint64_t id, const char *code, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
static void reply_error(struct ike_shell *s, uint64_t id, const char *code, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	ike_shell_reply(s, id, false, json_pack("{ssss}", "code", code, "message", text));
}

static double seconds(struct mono_span d)
{
	return (double)(d.ns / 1000000) / 1000.0;
}

/* Whole milliseconds until `at`, as seconds; null if never. */
static json_t *until(struct mono at, struct mono now)
{
	return mono_is_never(at) ? json_null() : json_real(seconds(mono_since(at, now)));
}

static json_t *address(const struct ip_addr *a)
{
	char buf[IP_ADDR_STRLEN];

	return a->family == IP_NONE ? json_null() : json_string(ip_format(a, buf));
}

static json_t *endpoint(const struct ip_endpoint *e)
{
	char buf[IP_ENDPOINT_STRLEN];

	return e->addr.family == IP_NONE ? json_null() : json_string(ip_endpoint_format(e, buf));
}

static json_t *hex(uint64_t v, int digits)
{
	return json_sprintf("%0*llx", digits, (unsigned long long)v);
}

/* "10.1.0.0/24", or "first-last", then "[protocol/ports]" unless that is any. */
static json_t *selector(const struct ike_ts *ts)
{
	char first[IP_ADDR_STRLEN], last[IP_ADDR_STRLEN], prefix[IP_PREFIX_STRLEN];
	char range[2 * IP_ADDR_STRLEN + 2], rest[40] = "";
	struct ip_prefix p;

	if (ip_range_to_prefix(&ts->first, &ts->last, &p))
		snprintf(range, sizeof(range), "%s", ip_prefix_format(&p, prefix));
	else
		snprintf(range, sizeof(range), "%s-%s", ip_format(&ts->first, first),
			 ip_format(&ts->last, last));
	if (ts->port_first != 0 || ts->port_last != UINT16_MAX)
		snprintf(rest, sizeof(rest), "[%u/%u-%u]", ts->protocol, ts->port_first,
			 ts->port_last);
	else if (ts->protocol != 0)
		snprintf(rest, sizeof(rest), "[%u]", ts->protocol);
	return json_sprintf("%s%s", range, rest);
}

static json_t *selectors(const struct ike_ts *ts, size_t n)
{
	json_t *a = json_array();

	for (size_t i = 0; a && i < n && i < IKE_MAX_TS; i++)
		json_array_append_new(a, selector(&ts[i]));
	return a;
}

/* ---------------------------------------------------------------- tunnels */

struct listing {
	struct ike_shell *s;
	json_t *array;
	bool *natt; /* by tunnel number */
};

static bool note_natt(void *ctx, const struct ike_show_sa *sa)
{
	struct listing *l = ctx;

	if (!sa->is_child && sa->natt && sa->tunnel < l->s->n_tunnels)
		l->natt[sa->tunnel] = true;
	return true;
}

static json_t *inside_addresses(const struct config_tunnel *t)
{
	char buf[IP_PREFIX_STRLEN];
	json_t *a = json_array();

	for (size_t i = 0; a && t && i < 2; i++) {
		if (t->inside[i].addr.family != IP_NONE)
			json_array_append_new(a, json_string(ip_prefix_format(&t->inside[i], buf)));
	}
	return a;
}

static bool list_tunnel(void *ctx, const struct ike_show_tunnel *t)
{
	struct listing *l = ctx;
	const struct ike_tunnel_rec *rec = ike_shell_tunnel(l->s, t->tunnel);
	json_t *o = json_object();

	if (!rec || !o) {
		json_decref(o);
		return true;
	}
	json_object_set_new(o, "name", json_string(t->name));
	json_object_set_new(o, "connection",
			    json_string(rec->connection ? rec->connection->name : ""));
	json_object_set_new(o, "index", json_integer(t->tunnel));
	json_object_set_new(o, "up", json_boolean(t->up));
	json_object_set_new(o, "phase", json_string(t->phase));
	json_object_set_new(o, "reason", json_string(t->reason));
	json_object_set_new(o, "since_s", json_real(seconds(mono_since(l->s->now, t->since))));
	json_object_set_new(o, "local",
			    t->local.addr.family != IP_NONE ? endpoint(&t->local)
							    : address(&rec->cfg.local));
	json_object_set_new(o, "remote",
			    t->remote.addr.family != IP_NONE ? endpoint(&t->remote)
							     : address(&rec->cfg.remote));
	json_object_set_new(o, "interface", json_string(rec->of ? rec->of->interface : ""));
	json_object_set_new(o, "inside_addresses", inside_addresses(rec->of));
	json_object_set_new(o, "natt", json_boolean(l->natt[t->tunnel]));
	json_array_append_new(l->array, o);
	return true;
}

static void reply_tunnels(struct ike_shell *s, uint64_t id)
{
	struct listing l = {
		.s = s,
		.array = json_array(),
		.natt = calloc(s->n_tunnels + 1, sizeof(bool)),
	};

	if (l.array && l.natt) {
		ike_show_sas(s->core, note_natt, &l);
		ike_show_tunnels(s->core, list_tunnel, &l);
	}
	ike_shell_reply(s, id, true, l.array);
	free(l.natt);
}

/* --------------------------------------------------------------------- SAs */

static void add_child(json_t *o, const struct ike_show_sa *sa)
{
	json_object_set_new(o, "slot", json_integer(sa->slot));
	json_object_set_new(o, "spi_in", hex(sa->spi_in, 8));
	json_object_set_new(o, "spi_out", hex(sa->spi_out, 8));
	json_object_set_new(o, "current_out", json_boolean(sa->current_out));
	if (sa->resource == IKE_RESOURCE_SPARE)
		json_object_set_new(o, "worker", json_string("none"));
	else if (sa->resource)
		json_object_set_new(o, "worker", json_integer(sa->resource - 1));
	json_object_set_new(o, "udp_encap", json_boolean(sa->udp_encap));
	json_object_set_new(o, "udp_ports_vary", json_boolean(sa->ports_vary));
	json_object_set_new(o, "local_ts", selectors(sa->local_ts, sa->n_local_ts));
	json_object_set_new(o, "remote_ts", selectors(sa->remote_ts, sa->n_remote_ts));
}

/* Who they are to each other, once it is proven. */
static void add_auth(json_t *o, const struct ike_show_sa *sa)
{
	char text[IKE_TEXT_SIZE];
	struct sb s = sb_of(text, sizeof(text));

	if (sa->peer_id.type != IKE_ID_NONE)
		ike_id_put(&s, sa->peer_id.type, rd_of(sa->peer_id.data, sa->peer_id.size));
	json_object_set_new(o, "auth_local", json_string(sa->auth_local));
	json_object_set_new(o, "auth_remote", json_string(sa->auth_remote));
	json_object_set_new(o, "remote_id", json_string(text));
	json_object_set_new(o, "ppk", json_boolean(sa->ppk));
}

static bool list_sa(void *ctx, const struct ike_show_sa *sa)
{
	struct listing *l = ctx;
	const struct ike_tunnel_rec *t = ike_shell_tunnel(l->s, sa->tunnel);
	const struct mono now = l->s->now;
	char suite[IKE_SUITE_STRLEN];
	json_t *o = json_object();

	if (!o)
		return true;
	json_object_set_new(o, "kind", json_string(sa->is_child ? "child" : "ike"));
	json_object_set_new(o, "tunnel", t ? json_string(t->cfg.name) : json_null());
	json_object_set_new(o, "state", json_string(sa->state));
	json_object_set_new(o, "initiator", json_boolean(sa->initiator));
	json_object_set_new(o, "suite", json_string(ike_suite_format(&sa->suite, suite)));
	json_object_set_new(o, "natt", json_boolean(sa->natt));
	json_object_set_new(o, "local_behind_nat", json_boolean(sa->local_behind_nat));
	json_object_set_new(o, "remote_behind_nat", json_boolean(sa->remote_behind_nat));
	json_object_set_new(o, "local", endpoint(&sa->local));
	json_object_set_new(o, "remote", endpoint(&sa->remote));
	json_object_set_new(o, "age_s", json_real(seconds(mono_since(now, sa->created))));
	json_object_set_new(o, "rekey_in_s", until(sa->rekey_at, now));
	json_object_set_new(o, "expires_in_s", until(sa->expires_at, now));
	if (sa->is_child) {
		add_child(o, sa);
	} else {
		json_object_set_new(o, "spi_i", hex(sa->spi_i, 16));
		json_object_set_new(o, "spi_r", hex(sa->spi_r, 16));
		add_auth(o, sa);
	}
	json_array_append_new(l->array, o);
	return true;
}

static void reply_sas(struct ike_shell *s, uint64_t id)
{
	struct listing l = {.s = s, .array = json_array()};

	if (l.array)
		ike_show_sas(s->core, list_sa, &l);
	ike_shell_reply(s, id, true, l.array);
}

static void reply_counters(struct ike_shell *s, uint64_t id)
{
	static const char *const names[IKE_SHELL_CNT_END] = {
#define X(name, text) [IKE_SHELL_CNT_##name] = text,
		IKE_SHELL_COUNTERS(X)
#undef X
	};
	json_t *o = json_object();

	for (int c = 0; o && c < IKE_CNT_END; c++)
		json_object_set_new(
			o, ike_counter_name((enum ike_counter)c),
			json_integer((json_int_t)ike_counter_get(s->core, (enum ike_counter)c)));
	for (int c = 0; o && c < IKE_SHELL_CNT_END; c++)
		json_object_set_new(o, names[c], json_integer((json_int_t)s->counters[c]));
	ike_shell_reply(s, id, true, o);
}

/* ---------------------------------------------------------------- commands */

static void command(struct ike_shell *s, uint64_t id, enum ipc_query_op op, const char *name)
{
	static const char ike[] = "ike:";
	struct ike_event ev = {.type = IKE_EV_INITIATE};
	const struct ike_tunnel_rec *t;

	if (op == IPC_QUERY_DOWN)
		ev.type = IKE_EV_TERMINATE;
	if (op == IPC_QUERY_REKEY) {
		ev.type = IKE_EV_REKEY_CHILD;
		if (strncmp(name, ike, sizeof(ike) - 1) == 0) {
			ev.type = IKE_EV_REKEY_IKE;
			name += sizeof(ike) - 1;
		}
	}
	t = ike_shell_tunnel_named(s, name);
	if (!t) {
		reply_error(s, id, "no-such-tunnel", "no tunnel is named '%s'", name);
		return;
	}
	if (op == IPC_QUERY_UP && t->cfg.remote.family == IP_NONE) {
		reply_error(s, id, "failed",
			    "tunnel '%s' has no remote_address: only the peer can bring it up",
			    name);
		return;
	}
	if (op == IPC_QUERY_REKEY && !t->up) {
		reply_error(s, id, "failed", "tunnel '%s' is down: there is nothing to rekey",
			    name);
		return;
	}
	ev.tunnel.tunnel = t->cfg.tunnel;
	ike_shell_step(s, &ev);
	ike_shell_reply(s, id, true, json_object());
}

/* RFC 5685: the tunnel's peer is to go to another gateway, now and whenever it comes. */
static void redirect(struct ike_shell *s, uint64_t id, char *arg)
{
	struct ike_event ev = {.type = IKE_EV_REDIRECT};
	const char *name = strsep(&arg, " ");
	const struct ike_tunnel_rec *t = ike_shell_tunnel_named(s, name);

	if (!t) {
		reply_error(s, id, "no-such-tunnel", "no tunnel is named '%s'", name);
		return;
	}
	if (!arg || (strcmp(arg, "off") != 0 && !ip_parse(arg, &ev.address.addr))) {
		reply_error(s, id, "bad-params", "an address or 'off' is wanted");
		return;
	}
	if (ev.address.addr.family != IP_NONE && !ip_is_unicast(&ev.address.addr)) {
		reply_error(s, id, "failed", "%s is not the address of a host", arg);
		return;
	}
	if (ev.address.addr.family != IP_NONE && ev.address.addr.family != t->cfg.local.family) {
		reply_error(s, id, "failed",
			    "tunnel '%s' is IPv%u, and its peer would not follow to %s", name,
			    (unsigned)t->cfg.local.family, arg);
		return;
	}
	if (ip_equal(&ev.address.addr, &t->cfg.local)) {
		reply_error(s, id, "failed", "%s is this gateway: name another one, or 'off'", arg);
		return;
	}
	ev.address.tunnel = t->cfg.tunnel;
	ike_shell_step(s, &ev);
	ike_shell_reply(s, id, true, json_object());
}

void ike_shell_query(struct ike_shell *s, const struct ipc_msg *msg)
{
	struct ipc_query head;
	char arg[DP_NAME_SIZE + 1 + IP_ADDR_STRLEN];

	if (msg->h.size < sizeof(head))
		goto malformed;
	memcpy(&head, msg->body, sizeof(head));
	if (head.arg_size != msg->h.size - sizeof(head) || head.arg_size >= sizeof(arg))
		goto malformed;
	memcpy(arg, msg->body + sizeof(head), head.arg_size);
	arg[head.arg_size] = '\0';
	s->now = mono_now();
	switch (head.op) {
	case IPC_QUERY_TUNNELS: reply_tunnels(s, msg->h.id); return;
	case IPC_QUERY_SAS: reply_sas(s, msg->h.id); return;
	case IPC_QUERY_IKE_COUNTERS: reply_counters(s, msg->h.id); return;
	case IPC_QUERY_EXPLAIN:
		if (*arg != '\0' && !ike_shell_tunnel_named(s, arg))
			reply_error(s, msg->h.id, "no-such-tunnel", "no tunnel is named '%s'", arg);
		else
			ike_shell_reply(s, msg->h.id, true, ike_shell_explain(s, arg));
		return;
	case IPC_QUERY_REDIRECT: redirect(s, msg->h.id, arg); return;
	case IPC_QUERY_UP:
	case IPC_QUERY_DOWN:
	case IPC_QUERY_REKEY: command(s, msg->h.id, (enum ipc_query_op)head.op, arg); return;
	default: break;
	}
malformed:
	reply_error(s, msg->h.id, "bad-params", "the ike process does not know this question");
}
