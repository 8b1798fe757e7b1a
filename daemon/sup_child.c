/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sup_child: one child's life: spawned, handed over to, ready, dead, started again.
 *
 * A child that dies is started again after a delay that doubles while it keeps dying, so that a
 * crash loop costs little and touches nobody else. Only during the very first start a failure ends
 * the whole gateway: then a person is looking.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/log.h"
#include "daemon/privilege.h"
#include "daemon/supervisor.h"

#define BACKOFF_FIRST_MS  100u
#define BACKOFF_MAX_MS    10000u
#define STEADY_S          60u /* that long alive: the next delay is the first again */
#define READY_DP_S        60u
#define READY_S           15u
#define SEND_PATIENCE_MS  2000
#define CHANNEL_SEND_SIZE (4 << 20)

static const enum ipc_role start_order[] = {
	IPC_ROLE_DP, IPC_ROLE_KEYD, IPC_ROLE_IKE, IPC_ROLE_ROUTE, IPC_ROLE_CONTROL,
};
static const enum ipc_role stop_order[] = {
	IPC_ROLE_CONTROL, IPC_ROLE_ROUTE, IPC_ROLE_IKE, IPC_ROLE_KEYD, IPC_ROLE_DP,
};
#define N_CHILDREN (sizeof(start_order) / sizeof(start_order[0]))

const char *sup_state_name(enum sup_state state)
{
	switch (state) {
	case SUP_STOPPED: return "stopped";
	case SUP_STARTING: return "starting";
	case SUP_RUNNING: return "running";
	case SUP_WAITING: return "restarting";
	case SUP_STOPPING: return "stopping";
	}
	return "unknown";
}

bool sup_child_alive(const struct sup_child *c)
{
	return c->channel >= 0 && (c->state == SUP_STARTING || c->state == SUP_RUNNING);
}

static void kill_child(struct sup_child *c)
{
	if (c->pid > 0)
		kill(c->pid, SIGKILL);
}

bool sup_child_send(struct supervisor *s, struct sup_child *c, enum ipc_type type, const void *body,
		    size_t size, const int *fds, size_t n_fds)
{
	const struct mono until = mono_add(mono_now(), span_ms(SEND_PATIENCE_MS));

	while (c->channel >= 0) {
		struct pollfd p = {.fd = c->channel, .events = POLLOUT};

		if (ipc_send(c->channel, type, 0, 0, body, size, fds, n_fds))
			return true;
		if (errno != EAGAIN || mono_reached(mono_now(), until)) {
			if (errno == EAGAIN)
				log_error("the %s process does not read its channel: killed",
					  ipc_role_name(c->role));
			break;
		}
		(void)poll(&p, 1, 100);
	}
	kill_child(c);
	return false;
}

/* ------------------------------------------------------------------- spawn */

/* In the child, between fork and exec: says what went wrong on the channel and ends. */
static void child_fail(const char *what, const char *path)
{
	char text[SUP_PATH_SIZE + 128];
	int n = snprintf(text, sizeof(text), "cannot %s %s: %s", what, path, strerror(errno));

	(void)ipc_send(IPC_CHANNEL_FD, IPC_FATAL, 0, 0, text, n > 0 ? (size_t)n : 0, NULL, 0);
	_exit(127);
}

static void exec_child(const struct supervisor *s, const struct sup_child *c, int channel)
{
	const char *role = ipc_role_name(c->role);
	char uid[16], gid[16], log[24];
	sigset_t none;
	int null;

	/* dup2() onto itself would leave close-on-exec set. */
	if (channel == IPC_CHANNEL_FD)
		(void)fcntl(channel, F_SETFD, 0);
	else if (dup2(channel, IPC_CHANNEL_FD) < 0)
		_exit(127);
	null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (null >= 0)
		(void)dup2(null, STDIN_FILENO);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	/* Ctrl-C on a terminal is for the supervisor, which ends the others in order. */
	(void)setpgid(0, 0);
	/* Who may ask it questions is not to take the time of packets. */
	if (c->role == IPC_ROLE_CONTROL)
		sup_nice_drop();

	if (c->role == IPC_ROLE_DP) {
		privilege_bound();
		execl(s->options.dataplane_path, "twinbore-dp", (char *)NULL);
		child_fail("execute", s->options.dataplane_path);
	}
	snprintf(uid, sizeof(uid), "%u", (unsigned)s->uid);
	snprintf(gid, sizeof(gid), "%u", (unsigned)s->gid);
	snprintf(log, sizeof(log), "%d,%d", (int)s->config->log_level, (int)s->config->log_format);
	execl("/proc/self/exe", "twinbored", "--role", role, "--uid", uid, "--gid", gid, "--root",
	      SUP_EMPTY_ROOT, "--log", log, (char *)NULL);
	child_fail("execute", "/proc/self/exe");
}

/* ---------------------------------------------------------------- messages */

static void became_ready(struct supervisor *s, struct sup_child *c)
{
	char text[64];

	if (c->state != SUP_STARTING)
		return;
	c->state = SUP_RUNNING;
	c->unanswered = 0;
	c->at = MONO_NEVER;
	if (c->role == IPC_ROLE_DP)
		sup_handover_dp_ready(s);
	snprintf(text, sizeof(text), "%s runs with pid %d", ipc_role_name(c->role), (int)c->pid);
	sup_tell(s, "process-started", text);
}

/* Text of a child, cut to what fits. */
static void take_text(const struct ipc_msg *m, char *out, size_t size)
{
	const size_t n = m->h.size < size - 1 ? m->h.size : size - 1;

	memcpy(out, m->body, n);
	out[n] = '\0';
}

static void on_child_message(struct supervisor *s, struct sup_child *c)
{
	char text[1024];

	sup_watchdog_heard(c);
	switch ((int)s->msg.h.type) {
	case IPC_PONG: break;
	case IPC_READY: became_ready(s, c); break;
	case IPC_SOCKET_WANT: sup_inside_answer(s, c); break;
	case IPC_FATAL:
		take_text(&s->msg, c->why, sizeof(c->why));
		log_error("%s: %s", ipc_role_name(c->role), c->why);
		break;
	case IPC_RELOADED:
		take_text(&s->msg, text, sizeof(text));
		sup_reload_answer(s, c, text);
		break;
	default:
		log_warn("the %s process sent a '%s' message: ignored", ipc_role_name(c->role),
			 ipc_type_name((enum ipc_type)s->msg.h.type));
		break;
	}
	ipc_msg_close(&s->msg);
}

static void close_channel(struct supervisor *s, struct sup_child *c)
{
	loop_remove(&s->loop, c->channel);
	if (c->channel >= 0)
		close(c->channel);
	c->channel = -1;
}

static void on_channel(void *ctx, int fd, uint32_t events)
{
	struct supervisor *s = ctx;
	struct sup_child *c = NULL;

	for (int role = 0; role < IPC_ROLE_END; role++) {
		if (s->children[role].channel == fd)
			c = &s->children[role];
	}
	/* Few messages a turn: a child that floods us does not keep the others waiting. */
	for (int i = 0; c && i < 16; i++) {
		const int r = ipc_recv(fd, &s->msg);

		if (r == 1) {
			on_child_message(s, c);
			continue;
		}
		if (r == 0 && errno == EAGAIN)
			return;
		if (r < 0 && errno == EBADMSG) {
			log_warn("a malformed message of the %s process was dropped",
				 ipc_role_name(c->role));
			continue;
		}
		/* The exit status follows with SIGCHLD; one that closed its channel must go. */
		close_channel(s, c);
		if (c->state != SUP_STOPPING)
			kill_child(c);
		return;
	}
}

/* -------------------------------------------------------------- life cycle */

void sup_child_start(struct supervisor *s, enum ipc_role role)
{
	struct sup_child *c = &s->children[role];
	const struct mono now = mono_now();
	const int size = CHANNEL_SEND_SIZE;
	int socks[2];

	c->why[0] = '\0';
	c->state = SUP_STARTING;
	c->started_at = now;
	c->at = mono_add(now, span_s(role == IPC_ROLE_DP ? READY_DP_S : READY_S));
	if (!ipc_pair(socks)) {
		log_error("cannot make a socket pair: %s", strerror(errno));
		goto failed;
	}
	(void)setsockopt(socks[0], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	c->pid = fork();
	if (c->pid == 0)
		exec_child(s, c, socks[1]);
	close(socks[1]);
	if (c->pid < 0) {
		c->pid = 0;
		close(socks[0]);
		log_error("cannot start the %s process: %s", ipc_role_name(role), strerror(errno));
		goto failed;
	}
	c->channel = socks[0];
	if (!loop_add(&s->loop, c->channel, EPOLLIN, on_channel, s) || !sup_handover(s, c))
		kill_child(c);
	return;
failed:
	c->state = SUP_WAITING;
	c->at = mono_add(now, span_ms(BACKOFF_MAX_MS));
	if (s->starting)
		sup_stop(s, 1);
}

void sup_child_stop(struct supervisor *s, struct sup_child *c)
{
	/* ike waits for its peers' answers, the dataplane closes its devices; and a machine may stand still for
	 * seconds, in which none of them could do anything. */
	const struct mono_span patience =
		c->role == IPC_ROLE_DP || c->role == IPC_ROLE_IKE ? span_s(10) : span_s(5);

	if (c->pid == 0) {
		c->state = SUP_STOPPED;
		return;
	}
	c->state = SUP_STOPPING;
	c->at = mono_add(mono_now(), patience);
	(void)sup_child_send(s, c, IPC_STOP, NULL, 0, NULL, 0);
}

static void describe(int status, char *out, size_t size)
{
	if (WIFSIGNALED(status))
		snprintf(out, size, "was killed by signal %d (%s)", WTERMSIG(status),
			 strsignal(WTERMSIG(status)));
	else
		snprintf(out, size, "exited with status %d", WEXITSTATUS(status));
}

static void died(struct supervisor *s, struct sup_child *c, int status)
{
	const struct mono now = mono_now();
	char how[128], text[1024];

	/* What it said last still waits in the channel. */
	if (c->channel >= 0)
		on_channel(s, c->channel, EPOLLIN);
	close_channel(s, c);
	c->pid = 0;
	sup_handover_forget(s, c->role);
	if (c->role == IPC_ROLE_CONTROL)
		sup_control_attach(s, -1);
	if (c->state == SUP_STOPPING || s->stopping) {
		c->state = SUP_STOPPED;
		return;
	}
	describe(status, how, sizeof(how));
	if (span_to_ms(mono_since(now, c->started_at)) >= STEADY_S * 1000 || c->backoff.ns == 0)
		c->backoff = span_ms(BACKOFF_FIRST_MS);
	else if (span_to_ms(c->backoff) < BACKOFF_MAX_MS)
		c->backoff.ns *= 2;
	if (s->starting) {
		if (c->why[0] == '\0')
			log_error("the %s process %s during the start", ipc_role_name(c->role),
				  how);
		sup_stop(s, 1);
		c->state = SUP_STOPPED;
		return;
	}
	c->state = SUP_WAITING;
	c->at = mono_add(now, c->backoff);
	c->restarts++;
	snprintf(text, sizeof(text), "%s %s%s%s; it is started again in %u ms",
		 ipc_role_name(c->role), how, c->why[0] ? ": " : "", c->why,
		 (unsigned)span_to_ms(c->backoff));
	sup_tell(s, "process-exited", text);
	if (c->reloading)
		sup_reload_answer(s, c, "the process died meanwhile");
}

void sup_children_reap(struct supervisor *s)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (int role = 0; role < IPC_ROLE_END; role++) {
			if (s->children[role].pid == pid)
				died(s, &s->children[role], status);
		}
	}
}

/* The next of the first start; true when all run. */
static bool start_next(struct supervisor *s)
{
	for (size_t i = 0; i < N_CHILDREN; i++) {
		const struct sup_child *c = &s->children[start_order[i]];

		if (c->state == SUP_RUNNING)
			continue;
		if (c->state == SUP_STOPPED)
			sup_child_start(s, c->role);
		return false;
	}
	return true;
}

/* The next to be stopped; true when none is left. */
static bool stop_next(struct supervisor *s)
{
	for (size_t i = 0; i < N_CHILDREN; i++) {
		struct sup_child *c = &s->children[stop_order[i]];

		if (c->state == SUP_STOPPED)
			continue;
		if (c->state != SUP_STOPPING)
			sup_child_stop(s, c);
		if (c->state == SUP_STOPPING)
			return false;
	}
	return true;
}

void sup_children_turn(struct supervisor *s, struct mono now)
{
	for (size_t i = 0; i < N_CHILDREN; i++) {
		struct sup_child *c = &s->children[start_order[i]];

		if (!mono_reached(now, c->at))
			continue;
		if (c->state == SUP_WAITING && !s->stopping) {
			sup_child_start(s, c->role);
		} else if (c->state == SUP_STARTING || c->state == SUP_STOPPING) {
			log_error("the %s process does not %s in time: killed",
				  ipc_role_name(c->role),
				  c->state == SUP_STARTING ? "become ready" : "stop");
			c->at = MONO_NEVER;
			kill_child(c);
		}
	}
	if (s->stopping) {
		s->quit = stop_next(s);
		return;
	}
	if (s->starting && start_next(s)) {
		s->starting = false;
		log_info("all processes run");
		sup_notify("READY=1\nSTATUS=%zu connections configured\n",
			   s->config->n_connections);
	}
}

struct mono sup_children_deadline(const struct supervisor *s)
{
	struct mono at = MONO_NEVER;

	for (size_t i = 0; i < N_CHILDREN; i++) {
		const struct sup_child *c = &s->children[start_order[i]];

		if (c->state == SUP_STARTING || c->state == SUP_WAITING || c->state == SUP_STOPPING)
			at = mono_min(at, c->at);
	}
	return at;
}
