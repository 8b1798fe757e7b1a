/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sup_watchdog: finds children that hang without dying. Each is asked for a sign of life every second;
 * one that leaves too many questions in a row without an answer is killed, and starts again like one
 * that crashed.
 *
 * What counts are questions, not seconds: when this process itself, or the whole machine, stands still
 * for a while, only one question is outstanding.
 */
#include <signal.h>
#include <stdio.h>
#include "base/log.h"
#include "daemon/supervisor.h"

#define EVERY span_s(1)

static void ask(struct supervisor *s, struct sup_child *c)
{
	char text[96];

	if (c->state != SUP_RUNNING || c->channel < 0) {
		c->unanswered = 0;
		return;
	}
	if (c->unanswered >= s->options.watchdog_s) {
		snprintf(text, sizeof(text), "%s gave no sign of life for %u seconds: killed",
			 ipc_role_name(c->role), c->unanswered);
		sup_tell(s, "process-hung", text);
		c->unanswered = 0;
		kill(c->pid, SIGKILL);
		return;
	}
	c->unanswered++;
	/* One that does not fit into a channel that nobody reads is as good as sent. */
	(void)ipc_send(c->channel, IPC_PING, 0, ++s->ping, NULL, 0, NULL, 0);
}

void sup_watchdog_turn(struct supervisor *s, struct mono now)
{
	if (s->options.watchdog_s == 0 || !mono_reached(now, s->ping_at))
		return;
	s->ping_at = mono_add(now, EVERY);
	for (int role = IPC_ROLE_KEYD; role < IPC_ROLE_END; role++)
		ask(s, &s->children[role]);
}

/* Whatever a child says, it lives. */
void sup_watchdog_heard(struct sup_child *c)
{
	c->unanswered = 0;
}

struct mono sup_watchdog_deadline(const struct supervisor *s)
{
	return s->options.watchdog_s == 0 ? MONO_NEVER : s->ping_at;
}
