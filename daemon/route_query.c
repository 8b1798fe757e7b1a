/* SPDX-License-Identifier: Apache-2.0 */
/* route_query: what the control process asks, answered as JSON text. */
#include <stdlib.h>
#include <string.h>
#include "daemon/route_int.h"

const char *route_tunnel_name(const struct route_shell *s, uint32_t tunnel)
{
	for (size_t i = 0; s->config && i < s->config->n_connections; i++) {
		const struct config_connection *c = &s->config->connections[i];

		for (size_t j = 0; j < c->n_tunnels; j++) {
			if (c->tunnels[j].index == tunnel)
				return c->tunnels[j].name;
		}
	}
	return NULL;
}

json_t *route_name_or_null(const char *name)
{
	return name ? json_string(name) : json_null();
}

struct listing {
	struct route_shell *s;
	json_t *array;
};

static bool list_route(void *ctx, const struct rt_show_route *r)
{
	struct listing *l = ctx;
	char prefix[IP_PREFIX_STRLEN];

	json_array_append_new(
		l->array, json_pack("{sssssssosb}", "prefix", ip_prefix_format(&r->prefix, prefix),
				    "connection", r->connection, "source", r->source, "tunnel",
				    route_name_or_null(route_tunnel_name(l->s, r->tunnel)),
				    "installed", (int)r->installed));
	return true;
}

void route_query(struct route_shell *s, const struct ipc_msg *msg)
{
	static const char unknown[] =
		"{\"code\":\"bad-params\",\"message\":\"the route process does not know this "
		"question\"}";
	static const char no_memory[] =
		"{\"code\":\"failed\",\"message\":\"the route process is out of memory\"}";
	struct listing l = {.s = s};
	struct ipc_query head = {0};
	char *text;

	if (msg->h.size >= sizeof(head))
		memcpy(&head, msg->body, sizeof(head));
	if (head.op != IPC_QUERY_ROUTES) {
		ipc_outq_reply(&s->to_control, msg->h.id, false, unknown, sizeof(unknown) - 1);
		return;
	}
	l.array = json_array();
	if (l.array)
		rt_show_routes(s->core, list_route, &l);
	text = l.array ? json_dumps(l.array, JSON_COMPACT) : NULL;
	if (!text)
		ipc_outq_reply(&s->to_control, msg->h.id, false, no_memory, sizeof(no_memory) - 1);
	else if (!ipc_outq_reply(&s->to_control, msg->h.id, true, text, strlen(text)))
		log_warn("the control process does not take its answers: one was cut off");
	free(text);
	json_decref(l.array);
}
