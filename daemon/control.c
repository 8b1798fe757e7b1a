/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control process: answers the CLI and other programs on the control socket, as
 * docs/control-protocol.md says.
 *
 * It knows nothing by itself. Its answers are put together from the configuration, the dataplane's
 * counters (a read-only map) and what ike, route and supervisor reply to its queries; commands are
 * passed on to them. It runs without privileges, holds no secret, and what its clients send reaches
 * the others only as the name of a configured tunnel.
 *
 *	control_client.c    connections: lines in, lines out, both bounded
 *	control_request.c   a line to a method's run, in order for each client
 *	control_query.c     questions to other processes, with a time-out
 *	control_show.c      methods' results (control_stats.c: from the dataplane's counters)
 *	control_routes.c    methods about routes
 *	control_drain.c     tunnels without traffic, and their replacement
 *	control_events.c    the last events, and who follows them
 *
 * Invariants: a client waits at most for the time-out of its request's queries, whatever other
 * processes and other clients do; memory for each client and in all is bounded; one request of a
 * client is in work at a time, so that answers come in order.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/log.h"
#include "config/tree.h"
#include "daemon/control_int.h"
#include "daemon/role.h"

/* A copy of the configuration's text: the descriptor goes to who parses it. */
static char *copy_text(const struct ipc_msg *msg, size_t *size)
{
	struct ipc_config head;
	char *text;

	*size = 0;
	if (msg->n_fds == 0 || msg->h.size < sizeof(head))
		return NULL;
	memcpy(&head, msg->body, sizeof(head));
	text = head.size > 0 && head.size <= CONFIG_TEXT_MAX ? malloc(head.size) : NULL;
	if (text && pread(msg->fds[0], text, head.size, 0) != (ssize_t)head.size) {
		free(text);
		text = NULL;
	}
	*size = text ? head.size : 0;
	return text;
}

static void take_config(struct control *c, struct ipc_msg *msg)
{
	size_t size;
	char *text = copy_text(msg, &size);
	struct config *config = child_config(msg, NULL);

	if (!config) {
		free(text);
		if (c->child.started)
			child_reloaded(&c->child,
				       "the control process could not read the configuration");
		return;
	}
	config_free(c->config);
	c->config = config;
	free(c->text);
	c->text = text;
	c->text_size = size;
	if (c->child.started)
		child_reloaded(&c->child, "");
}

static void take_peer(struct control *c, struct ipc_msg *msg)
{
	struct ipc_peer body;
	const int fd = ipc_msg_take_fd(msg, 0);

	if (msg->h.size != sizeof(body) || fd < 0)
		goto bad;
	memcpy(&body, msg->body, sizeof(body));
	if (body.role != IPC_ROLE_IKE && body.role != IPC_ROLE_ROUTE &&
	    body.role != IPC_ROLE_SUPERVISOR)
		goto bad;
	if (!control_peer_attach(c, (enum ipc_role)body.role, fd))
		log_error("cannot watch the socket to %s", ipc_role_name((enum ipc_role)body.role));
	return;
bad:
	log_warn("a malformed peer message was dropped");
	if (fd >= 0)
		close(fd);
}

static void take_socket(struct control *c, struct ipc_msg *msg)
{
	struct ipc_socket body;
	const int fd = ipc_msg_take_fd(msg, 0);

	if (msg->h.size == sizeof(body))
		memcpy(&body, msg->body, sizeof(body));
	if (msg->h.size != sizeof(body) || body.kind != IPC_SOCKET_CONTROL || fd < 0) {
		log_warn("a socket that is not for the control process was dropped");
		if (fd >= 0)
			close(fd);
		return;
	}
	if (!control_listen(c, fd))
		log_error("cannot listen on the control socket: %s", strerror(errno));
}

static void take_stats(struct control *c, struct ipc_msg *msg)
{
	uint64_t size;
	const int fd = ipc_msg_take_fd(msg, 0);

	if (msg->h.size != sizeof(size) || fd < 0) {
		log_warn("a malformed stats message was dropped");
		if (fd >= 0)
			close(fd);
		return;
	}
	memcpy(&size, msg->body, sizeof(size));
	(void)control_stats_attach(c, fd, size);
}

static void on_message(void *ctx, struct ipc_msg *msg)
{
	struct control *c = ctx;

	if (msg->h.type == IPC_CONFIG)
		take_config(c, msg);
	else if (msg->h.type == IPC_PEER)
		take_peer(c, msg);
	else if (msg->h.type == IPC_SOCKET)
		take_socket(c, msg);
	else if (msg->h.type == IPC_STATS)
		take_stats(c, msg);
	else if (msg->h.type == IPC_DRAINED)
		control_drains_take(c, msg);
	else
		log_warn("a '%s' message is not for the control process: ignored",
			 ipc_type_name((enum ipc_type)msg->h.type));
}

static void on_start(void *ctx)
{
	struct control *c = ctx;

	if (!c->config)
		child_fatal(&c->child, "control: no configuration was handed over");
	if (c->listen_fd < 0)
		child_fatal(&c->child, "control: no control socket was handed over");
	c->started = mono_now();
}

static void on_stop(void *ctx)
{
	struct control *c = ctx;

	child_quit(&c->child, 0);
}

static void on_turn(void *ctx, struct mono now)
{
	struct control *c = ctx;

	control_queries_turn(c, now);
	control_drains_turn(c, now);
	control_stats_turn(c, now);
	control_clients_turn(c, now);
}

static struct mono deadline(void *ctx)
{
	const struct control *c = ctx;

	return mono_min(mono_min(control_queries_deadline(c), control_stats_deadline(c)),
			mono_min(control_clients_deadline(c), control_drains_deadline(c)));
}

static void fini(struct control *c)
{
	control_clients_fini(c);
	control_drains_fini(c);
	control_peers_fini(c);
	control_events_fini(&c->events);
	control_stats_fini(&c->stats);
	config_free(c->config);
	free(c->text);
	if (c->listen_fd >= 0)
		close(c->listen_fd);
}

int control_main(void)
{
	static const struct child_ops ops = {
		.message = on_message,
		.start = on_start,
		.stop = on_stop,
		.turn = on_turn,
		.deadline = deadline,
	};
	static struct control c; /* large: it holds a message */
	size_t i;
	int status;

	c.listen_fd = -1;
	c.stats.shm.fd = -1;
	for (i = 0; i < IPC_ROLE_END; i++) {
		c.peers[i].role = (enum ipc_role)i;
		c.peers[i].fd = -1;
		ipc_outq_init(&c.peers[i].out, 1u << 20);
	}
	status = child_run(&c.child, IPC_ROLE_CONTROL, &ops, &c);
	fini(&c);
	return status;
}
