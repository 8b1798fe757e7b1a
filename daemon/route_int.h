/* SPDX-License-Identifier: Apache-2.0 */
/* route_int: the parts of the route process. See route_shell.c for the whole. */
#ifndef DAEMON_ROUTE_INT_H
#define DAEMON_ROUTE_INT_H

#include <jansson.h>
#include "base/log.h"
#include "daemon/child.h"
#include "daemon/ring_port.h"
#include "ipc/outq.h"
#include "routing/routing.h"

struct route_shell {
	struct child child;
	struct config *config;
	struct rt *core;
	struct path_store *paths;
	struct rt_out out; /* actions [next, out.n) wait for the ring */
	size_t next;
	size_t told; /* actions before this were looked at for SWITCHED */

	bool *up; /* by tunnel number, as ike said */
	size_t n_up;

	int ike, control;
	struct ipc_outq to_control;
	struct ring_port fib, fib_events;
	unsigned new_rings;
	struct log_limit limit;
	struct ipc_msg msg;
};

/* ----------------------------------------------------------------------- queries (route_query.c) */

/* Answers a question of the control process. */
void route_query(struct route_shell *s, const struct ipc_msg *msg);
/* The name of a tunnel that is configured, or NULL. */
const char *route_tunnel_name(const struct route_shell *s, uint32_t tunnel);
json_t *route_name_or_null(const char *name);

#endif
