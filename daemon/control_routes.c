/* SPDX-License-Identifier: Apache-2.0 */
/* control_routes: methods about routes, BGP and BFD: their parameters, and the route process's answers. */
#include <stdlib.h>
#include <string.h>
#include "daemon/control_int.h"

#define QUERY_TIMEOUT span_s(2)
#define PAGE_MAX      1000 /* routes */

/* ---------------------------------------------------------------- parameters */

/* Takes `table` over. False after an error. */
static bool take_table(struct control_request *r, json_t *arg)
{
	const struct config_routing *routing = &r->control->config->routing;
	const json_t *param = json_object_get(r->params, "table");
	const char *name = json_string_value(param), *near;
	const char *names[CONFIG_TABLES_MAX];
	size_t i;

	if (!param || json_is_null(param))
		return true;
	if (!name) {
		control_fail(r, "bad-params", "'table' must be the name of a route table");
		return false;
	}
	if (config_table_by_name(r->control->config, name)) {
		json_object_set_new(arg, "table", json_string(name));
		return true;
	}
	for (i = 0; i < routing->n_tables; i++)
		names[i] = routing->tables[i].name;
	near = config_nearest(name, names, i);
	if (near)
		control_fail(r, "bad-params",
			     "no route table is named '%.64s'; the nearest is '%s'", name, near);
	else
		control_fail(r, "bad-params", "no route table is named '%.64s'", name);
	return false;
}

/* Takes a prefix over; host bits are cut, an address stands for itself. False after an error. */
static bool take_prefix(struct control_request *r, json_t *arg, const char *name)
{
	const json_t *param = json_object_get(r->params, name);
	const char *text = json_string_value(param);
	char buf[IP_PREFIX_STRLEN];
	struct ip_prefix p;

	if (!param || json_is_null(param))
		return true;
	if (!text || !ip_prefix_parse(text, &p)) {
		control_fail(r, "bad-params", "'%s' must be a prefix, such as 10.2.0.0/16", name);
		return false;
	}
	p = ip_prefix_network(&p);
	json_object_set_new(arg, name, json_string(ip_prefix_format(&p, buf)));
	return true;
}

static bool take_number(struct control_request *r, json_t *arg, const char *name, json_int_t min,
			json_int_t max)
{
	const json_t *param = json_object_get(r->params, name);

	if (!param || json_is_null(param))
		return true;
	if (!json_is_integer(param) || json_integer_value(param) < min ||
	    json_integer_value(param) > max) {
		control_fail(r, "bad-params", "'%s' must be a number from %lld to %lld", name,
			     (long long)min, (long long)max);
		return false;
	}
	json_object_set_new(arg, name, json_integer(json_integer_value(param)));
	return true;
}

/* Asks the route process; takes `arg`. */
static void ask(struct control_request *r, enum ipc_query_op op, json_t *arg)
{
	char *text = json_dumps(arg, JSON_COMPACT);

	json_decref(arg);
	if (text)
		control_ask(r, 0, IPC_ROLE_ROUTE, op, text, QUERY_TIMEOUT);
	else
		control_fail(r, "failed", "out of memory");
	free(text);
}

/* The reply as it is. */
json_t *control_finish_reply(struct control_request *r)
{
	json_t *reply = control_reply_of(r, 0);

	if (reply && !json_is_object(reply)) {
		control_fail(r, "failed", "the answer cannot be read");
		return NULL;
	}
	return json_incref(reply);
}

/* -------------------------------------------------------------------- routes */

void control_begin_routes(struct control_request *r)
{
	json_t *arg = json_object();

	if (take_table(r, arg) && take_prefix(r, arg, "within") &&
	    take_number(r, arg, "cursor", 0, UINT32_MAX - 1) &&
	    take_number(r, arg, "limit", 1, PAGE_MAX))
		ask(r, IPC_QUERY_ROUTES, arg);
	else
		json_decref(arg);
}

void control_begin_explain_route(struct control_request *r)
{
	const char *address = json_string_value(json_object_get(r->params, "address"));
	json_t *arg = json_object();
	struct ip_addr a;

	if (!json_object_get(r->params, "prefix") == !json_object_get(r->params, "address")) {
		control_fail(r, "bad-params", "either 'prefix' or 'address' is wanted");
	} else if (json_object_get(r->params, "address") && (!address || !ip_parse(address, &a))) {
		control_fail(r, "bad-params", "'address' must be an IP address");
	} else if (take_table(r, arg) && take_prefix(r, arg, "prefix")) {
		if (address)
			json_object_set_new(arg, "address", json_string(address));
		ask(r, IPC_QUERY_ROUTE_EXPLAIN, arg);
		return;
	}
	json_decref(arg);
}

void control_begin_what_if(struct control_request *r)
{
	const struct config_tunnel *t = control_wanted_tunnel(r);

	if (t)
		control_ask(r, 0, IPC_ROLE_ROUTE, IPC_QUERY_WHAT_IF, t->name, QUERY_TIMEOUT);
}

/* ---------------------------------------------------------------- BGP, BFD */

/* The tunnel that the parameters name, and that speaks BGP; NULL after an error. */
static const struct config_tunnel *wanted_neighbor(struct control_request *r)
{
	const struct config_tunnel *t = control_wanted_tunnel(r);

	if (!t || t->bgp.on)
		return t;
	control_fail(r, "failed",
		     "tunnel '%s' has no BGP neighbor: its configuration says nothing "
		     "of 'bgp'",
		     t->name);
	return NULL;
}

void control_begin_bgp(struct control_request *r)
{
	const struct config_tunnel *t = NULL;

	if (json_object_get(r->params, "tunnel")) {
		t = wanted_neighbor(r);
		if (!t)
			return;
	}
	control_ask(r, 0, IPC_ROLE_ROUTE, IPC_QUERY_BGP, t ? t->name : "", QUERY_TIMEOUT);
}

static void begin_list(struct control_request *r, enum ipc_query_op op)
{
	const struct config_tunnel *t = wanted_neighbor(r);
	json_t *arg;

	if (!t)
		return;
	arg = json_pack("{s:s}", "tunnel", t->name);
	if ((op == IPC_QUERY_BGP_ADVERTISED || take_prefix(r, arg, "within")) &&
	    take_number(r, arg, "cursor", 0, UINT32_MAX - 1) &&
	    take_number(r, arg, "limit", 1, PAGE_MAX))
		ask(r, op, arg);
	else
		json_decref(arg);
}

void control_begin_received(struct control_request *r)
{
	begin_list(r, IPC_QUERY_BGP_RECEIVED);
}

void control_begin_advertised(struct control_request *r)
{
	begin_list(r, IPC_QUERY_BGP_ADVERTISED);
}

void control_begin_bfd(struct control_request *r)
{
	control_ask(r, 0, IPC_ROLE_ROUTE, IPC_QUERY_BFD, "", QUERY_TIMEOUT);
}
