/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/child.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/log.h"
#include "base/shm.h"
#include "daemon/privilege.h"

static void started(struct child *c)
{
	char why[160];

	if (c->started) {
		log_warn("the supervisor said start twice: ignored");
		return;
	}
	c->ops->start(c->ctx);
	/* From here on nothing is opened, executed or connected any more. */
	if (!privilege_filter(why, sizeof(why)))
		child_fatal(c, "%s", why);
	c->started = true;
	if (!ipc_send(IPC_CHANNEL_FD, IPC_READY, 0, 0, NULL, 0, NULL, 0)) {
		log_error("the supervisor does not listen: %s", strerror(errno));
		child_quit(c, 1);
	}
}

static void dispatch(struct child *c)
{
	switch ((enum ipc_type)c->msg.h.type) {
	case IPC_CONFIG:
	case IPC_PEER:
	case IPC_SOCKET:
	case IPC_RING:
	case IPC_STATS:
	case IPC_STORE:
	case IPC_SECRET:
	case IPC_DRAINED:
	case IPC_QCD_SECRET: c->ops->message(c->ctx, &c->msg); break;
	case IPC_START: started(c); break;
	case IPC_STOP: c->ops->stop(c->ctx); break;
	case IPC_PING:
		(void)ipc_send(IPC_CHANNEL_FD, IPC_PONG, 0, c->msg.h.id, NULL, 0, NULL, 0);
		break;
	case IPC_NONE:
	case IPC_READY:
	case IPC_FATAL:
	case IPC_RELOADED:
	case IPC_PONG:
	case IPC_SOCKET_WANT:
	case IPC_AUTH_SIGN:
	case IPC_AUTH_VERIFY:
	case IPC_AUTH_RESULT:
	case IPC_PPK_MIX:
	case IPC_AUTH_TRUST:
	case IPC_TUNNEL_STATE:
	case IPC_EVENT:
	case IPC_QUERY:
	case IPC_REPLY:
	case IPC_TYPE_END:
		log_warn("the supervisor sent a '%s' message: ignored",
			 ipc_type_name((enum ipc_type)c->msg.h.type));
		break;
	}
	ipc_msg_close(&c->msg);
}

static void on_channel(void *ctx, int fd, uint32_t events)
{
	struct child *c = ctx;

	while (!c->quit) {
		const int r = ipc_recv(fd, &c->msg);

		if (r == 1) {
			dispatch(c);
			continue;
		}
		if (r == 0 && errno == EAGAIN)
			return;
		if (r == 0) {
			/* Without a supervisor nobody would restart or stop us. */
			log_warn("the supervisor is gone: exiting");
			child_quit(c, 1);
			return;
		}
		if (errno != EBADMSG) {
			log_error("the channel to the supervisor failed: %s", strerror(errno));
			child_quit(c, 1);
			return;
		}
		log_warn("a malformed message of the supervisor was dropped");
	}
}

int child_run(struct child *c, enum ipc_role role, const struct child_ops *ops, void *ctx)
{
	struct loop hand_over; /* neighbours have to wait until everything is there */

	*c = (struct child){.role = role, .ops = ops, .ctx = ctx};
	if (!loop_init(&hand_over) ||
	    !loop_add(&hand_over, IPC_CHANNEL_FD, EPOLLIN, on_channel, c) || !loop_init(&c->loop) ||
	    !loop_add(&c->loop, IPC_CHANNEL_FD, EPOLLIN, on_channel, c)) {
		log_error("epoll failed: %s", strerror(errno));
		return 1;
	}
	while (!c->quit) {
		const struct mono deadline =
			c->started && ops->deadline ? ops->deadline(ctx) : MONO_NEVER;

		if (!loop_turn(c->started ? &c->loop : &hand_over, deadline)) {
			log_error("epoll failed: %s", strerror(errno));
			return 1;
		}
		if (c->started && ops->turn && !c->quit)
			ops->turn(ctx, mono_now());
	}
	loop_fini(&hand_over);
	loop_fini(&c->loop);
	return c->status;
}

void child_quit(struct child *c, int status)
{
	c->quit = true;
	c->status = status;
}

void child_fatal(struct child *c, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (!ipc_send(IPC_CHANNEL_FD, IPC_FATAL, 0, 0, text, strlen(text), NULL, 0))
		log_error("%s", text);
	_exit(1);
}

void child_reloaded(struct child *c, const char *text)
{
	if (!ipc_send(IPC_CHANNEL_FD, IPC_RELOADED, 0, 0, text, strlen(text), NULL, 0))
		log_error("the supervisor does not listen: %s", strerror(errno));
}

/* The number that the supervisor gave to a name. */
static bool find_index(const uint8_t *p, uint32_t n, const char *name, uint32_t *number)
{
	for (uint32_t i = 0; i < n; i++) {
		struct ipc_index index;

		memcpy(&index, p + i * sizeof(index), sizeof(index));
		if (ipc_name_ok(index.name) && strcmp(index.name, name) == 0) {
			*number = index.number;
			return true;
		}
	}
	return false;
}

/* Both sides are bounded by the message's size. */
static bool take_indexes(struct config *c, const uint8_t *p, uint32_t n_tunnels, uint32_t n_tables)
{
	const uint8_t *tables = p + n_tunnels * sizeof(struct ipc_index);
	uint32_t number;

	for (size_t i = 0; i < c->n_connections; i++) {
		for (size_t j = 0; j < c->connections[i].n_tunnels; j++) {
			struct config_tunnel *t = &c->connections[i].tunnels[j];

			uint32_t index;

			if (!find_index(p, n_tunnels, t->name, &index))
				return false;
			config_tunnel_number(t, index);
		}
	}
	for (size_t i = 0; i < c->routing.n_tables; i++) {
		struct config_table *t = &c->routing.tables[i];

		t->index = 0;
		if (strcmp(t->name, CONFIG_MAIN_TABLE) == 0)
			continue;
		if (!find_index(tables, n_tables, t->name, &number) || number == 0 ||
		    number >= CONFIG_TABLES_MAX)
			return false;
		t->index = (uint16_t)number;
	}
	return true;
}

struct config *child_config(struct ipc_msg *msg, uint64_t *generation)
{
	struct config_errors *errors = calloc(1, sizeof(*errors));
	struct config *c = NULL;
	struct ipc_config head;
	struct shm text = {.fd = -1};

	if (!errors || msg->n_fds == 0 || msg->h.size < sizeof(head))
		goto out;
	memcpy(&head, msg->body, sizeof(head));
	if (head.n_tunnels > IPC_BODY_MAX || head.n_tables > CONFIG_TABLES_MAX ||
	    (msg->h.size - sizeof(head)) / sizeof(struct ipc_index) !=
		    head.n_tunnels + head.n_tables ||
	    (msg->h.size - sizeof(head)) % sizeof(struct ipc_index) != 0)
		goto out;
	if (!shm_attach(&text, ipc_msg_take_fd(msg, 0), head.size, false))
		goto out;
	c = config_parse(text.map, head.size, errors);
	if (c && !take_indexes(c, msg->body + sizeof(head), head.n_tunnels, head.n_tables)) {
		config_free(c);
		c = NULL;
	}
	if (c) {
		log_set(c->log_level, c->log_format);
		if (generation)
			*generation = head.generation;
	}
out:
	if (!c)
		log_error("the supervisor sent a configuration that cannot be read");
	shm_close(&text);
	free(errors);
	return c;
}
