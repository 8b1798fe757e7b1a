/* SPDX-License-Identifier: Apache-2.0 */
/* sup_query: the socket pair with the control process: its questions, our events. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/log.h"
#include "daemon/supervisor.h"

void sup_reply(struct supervisor *s, uint64_t id, bool ok, json_t *o)
{
	static const char none[] =
		"{\"code\":\"failed\",\"message\":\"the supervisor is out of memory\"}";
	char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;

	if (text)
		ipc_outq_reply(&s->to_control, id, ok, text, strlen(text));
	else
		ipc_outq_reply(&s->to_control, id, false, none, sizeof(none) - 1);
	free(text);
	json_decref(o);
}

static json_t *process(enum ipc_role role, pid_t pid, const char *state, unsigned restarts,
		       struct mono since)
{
	return json_pack("{sssisssisf}", "role", ipc_role_name(role), "pid", (int)pid, "state",
			 state, "restarts", (int)restarts, "uptime_s",
			 pid > 0 ? (double)span_to_ms(mono_since(mono_now(), since)) / 1000.0
				 : 0.0);
}

static void reply_processes(struct supervisor *s, uint64_t id)
{
	json_t *a = json_array();

	json_array_append_new(a,
			      process(IPC_ROLE_SUPERVISOR, getpid(), "running", 0, s->started_at));
	for (int role = IPC_ROLE_KEYD; role < IPC_ROLE_END; role++) {
		const struct sup_child *c = &s->children[role];

		json_array_append_new(a, process(c->role, c->pid, sup_state_name(c->state),
						 c->restarts, c->started_at));
	}
	sup_reply(s, id, true, a);
}

static void keep_drained(struct supervisor *s, uint32_t arg_size, bool on)
{
	const uint8_t *arg = s->msg.body + sizeof(struct ipc_query);
	struct ipc_drained which = {.tunnel = ""};

	if (arg_size < sizeof(which.tunnel))
		memcpy(which.tunnel, arg, arg_size);
	if (ipc_name_ok(which.tunnel) && sup_drain_keep(s, &which, on))
		sup_reply(s, s->msg.h.id, true, json_object());
	else
		sup_reply(s, s->msg.h.id, false,
			  json_pack("{ssss}", "code", "no-such-tunnel", "message",
				    "the supervisor knows no such tunnel"));
}

static void on_query(struct supervisor *s)
{
	struct ipc_query head = {0};

	if (s->msg.h.type == IPC_QUERY && s->msg.h.size >= sizeof(head))
		memcpy(&head, s->msg.body, sizeof(head));
	if (head.arg_size != s->msg.h.size - sizeof(head))
		head.op = IPC_QUERY_NONE;
	switch (head.op) {
	case IPC_QUERY_PROCESSES: reply_processes(s, s->msg.h.id); break;
	case IPC_QUERY_RELOAD: sup_reload_begin(s, true, s->msg.h.id); break;
	case IPC_QUERY_KEEP_DRAINED: keep_drained(s, head.arg_size, true); break;
	case IPC_QUERY_FORGET_DRAINED: keep_drained(s, head.arg_size, false); break;
	default:
		sup_reply(s, s->msg.h.id, false,
			  json_pack("{ssss}", "code", "bad-params", "message",
				    "the supervisor does not know this question"));
		break;
	}
}

static void on_control(void *ctx, int fd, uint32_t events)
{
	struct supervisor *s = ctx;

	for (int i = 0; i < 16; i++) {
		const int r = ipc_recv(fd, &s->msg);

		if (r == 0 && errno == EAGAIN)
			return;
		if (r < 0 && errno == EBADMSG)
			continue;
		if (r != 1) {
			sup_control_attach(s, -1);
			return;
		}
		on_query(s);
		ipc_msg_close(&s->msg);
	}
}

void sup_control_attach(struct supervisor *s, int sock)
{
	loop_remove(&s->loop, s->control);
	if (s->control >= 0)
		close(s->control);
	s->control = sock;
	ipc_outq_attach(&s->to_control, sock);
	/* A reload that the earlier one asked for goes on, unanswered. */
	s->reload.asked = false;
	if (sock >= 0 && !loop_add(&s->loop, sock, EPOLLIN, on_control, s))
		log_error("cannot watch the control process: %s", strerror(errno));
}

void sup_control_turn(struct supervisor *s)
{
	if (s->control < 0)
		return;
	if (!ipc_outq_flush(&s->to_control)) {
		sup_control_attach(s, -1);
		return;
	}
	loop_modify(&s->loop, s->control,
		    EPOLLIN | (ipc_outq_waiting(&s->to_control) ? EPOLLOUT : 0));
}
