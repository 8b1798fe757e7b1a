/* SPDX-License-Identifier: Apache-2.0 */
/*
 * child: what the keyd, ike, route and control processes have in common: the channel to the
 * supervisor, the hand-over until IPC_START, the system call filter, and the end.
 *
 * A role gives three functions and a context, and calls child_run() from its main function. It
 * reads no other descriptor than those that it was handed and watched with child->loop; what they
 * bring before IPC_START waits until then.
 */
#ifndef DAEMON_CHILD_H
#define DAEMON_CHILD_H

#include "config/config.h"
#include "daemon/loop.h"
#include "ipc/ipc.h"

struct child;

struct child_ops {
	/*
	 * One message of the supervisor: CONFIG, PEER, SOCKET, RING, STATS, STORE, SECRET. Before and
	 * after START; descriptors that are not taken are closed afterwards.
	 */
	void (*message)(void *ctx, struct ipc_msg *msg);
	/* Everything was handed over. Call child_fatal() if something is missing. */
	void (*start)(void *ctx);
	/* Say goodbye; call child_quit() now or soon. */
	void (*stop)(void *ctx);
	/* Once each turn of the loop, after the callbacks: timers, queues. May be NULL. */
	void (*turn)(void *ctx, struct mono now);
	/* When the next turn is due at the latest. May be NULL. */
	struct mono (*deadline)(void *ctx);
};

struct child {
	enum ipc_role role;
	const struct child_ops *ops;
	void *ctx;
	struct loop loop;
	bool started;
	bool quit;
	int status;
	struct ipc_msg msg; /* the one in hand */
};

/* Runs until IPC_STOP, child_quit() or the supervisor's death. Returns the exit status. */
int child_run(struct child *c, enum ipc_role role, const struct child_ops *ops, void *ctx);
void child_quit(struct child *c, int status);
/* Tells the supervisor in one line what is wrong and what to do, and exits. */
void child_fatal(struct child *c, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), noreturn));
/* Answers a later IPC_CONFIG: "" or what could not be carried out. */
void child_reloaded(struct child *c, const char *text);

/*
 * The configuration of an IPC_CONFIG message with every tunnel's number filled in, and the log set
 * as it says. NULL if it is malformed (then a line was logged). `generation` may be NULL.
 */
struct config *child_config(struct ipc_msg *msg, uint64_t *generation);

#endif
