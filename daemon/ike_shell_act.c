/* SPDX-License-Identifier: Apache-2.0 */
/* ike_shell_act: events into the IKE core, and what it wants done. */
#include <stdlib.h>
#include <string.h>
#include "daemon/event.h"
#include "daemon/ike_shell.h"

/* ---------------------------------------------------------------- telling */

void ike_shell_tell(struct ike_shell *s, enum log_level level, const char *kind, const char *tunnel,
		    const char *text)
{
	char *json = event_text(kind, "ike", tunnel, text, NULL);

	log_write(level, "%s%s%s: %s", tunnel ? tunnel : "", tunnel ? " " : "", kind, text);
	if (!json || strlen(json) > IPC_BODY_MAX ||
	    (s->control >= 0 &&
	     !ipc_outq_send(&s->to_control, IPC_EVENT, 0, 0, json, strlen(json), NULL, 0)))
		ike_shell_count(s, IKE_SHELL_CNT_EVENTS_DROPPED);
	free(json);
}

/* True for what an unauthenticated sender can cause as often as he likes. */
static bool network_may_repeat(enum ike_happening h)
{
	switch (h) {
	case IKE_HAP_AUTH_FAILED:
	case IKE_HAP_AUTH_UNANNOUNCED:
	case IKE_HAP_NO_PROPOSAL:
	case IKE_HAP_TS_UNACCEPTABLE:
	case IKE_HAP_REDIRECT_REFUSED:
	case IKE_HAP_COOKIES_ON:
	case IKE_HAP_COOKIES_OFF:
	case IKE_HAP_PUZZLES_ON:
	case IKE_HAP_PUZZLES_OFF:
	case IKE_HAP_IKEV1_DECLINED: return true;
	case IKE_HAP_IKE_UP:
	case IKE_HAP_IKE_DOWN:
	case IKE_HAP_IKE_REKEYED:
	case IKE_HAP_IKE_REAUTH:
	case IKE_HAP_CHILD_UP:
	case IKE_HAP_CHILD_REKEYED:
	case IKE_HAP_CHILD_DOWN:
	case IKE_HAP_DPD_TIMEOUT:
	case IKE_HAP_PEER_MOVED:
	case IKE_HAP_ADDRESS_CHANGED:
	case IKE_HAP_ADDRESS_REFUSED:
	case IKE_HAP_PEER_REBOOTED:
	case IKE_HAP_REDIRECTED:
	case IKE_HAP_END: break;
	}
	return false;
}

static enum log_level level_of(enum ike_happening h)
{
	return network_may_repeat(h) || h == IKE_HAP_DPD_TIMEOUT ? LOG_LEVEL_WARN : LOG_LEVEL_INFO;
}

static void happened(struct ike_shell *s, const struct ike_action *a)
{
	const struct ike_tunnel_rec *t = ike_shell_tunnel(s, a->tunnel);

	if (network_may_repeat(a->event.what) && !log_limit_take(&s->limit, s->now)) {
		ike_shell_count(s, IKE_SHELL_CNT_EVENTS_DROPPED);
		return;
	}
	ike_shell_tell(s, level_of(a->event.what), ike_happening_name(a->event.what),
		       t ? t->cfg.name : NULL, a->event.text);
}

void ike_shell_tell_state(struct ike_shell *s, const struct ike_tunnel_rec *t)
{
	struct ipc_tunnel_state state = {
		.tunnel = t->cfg.tunnel,
		.up = t->up ? IPC_TUNNEL_UP : IPC_TUNNEL_DOWN,
	};

	memcpy(state.name, t->cfg.name, sizeof(state.name));
	if (s->route >= 0 &&
	    !ipc_outq_send(&s->to_route, IPC_TUNNEL_STATE, 0, 0, &state, sizeof(state), NULL, 0))
		log_error("the route process does not listen: the state of tunnel '%s' was lost",
			  t->cfg.name);
	if (s->control >= 0 &&
	    !ipc_outq_send(&s->to_control, IPC_TUNNEL_STATE, 0, 0, &state, sizeof(state), NULL, 0))
		ike_shell_count(s, IKE_SHELL_CNT_EVENTS_DROPPED);
}

void ike_shell_tell_states(struct ike_shell *s)
{
	for (size_t i = 0; i < s->n_tunnels; i++) {
		if (s->tunnels[i])
			ike_shell_tell_state(s, s->tunnels[i]);
	}
}

static void tunnel_state(struct ike_shell *s, uint32_t tunnel, bool up)
{
	struct ike_tunnel_rec *t = ike_shell_tunnel(s, tunnel);

	if (!t)
		return;
	t->up = up;
	ike_shell_tell_state(s, t);
	/* It was up all the time. */
	if (up && s->resume.finishing)
		return;
	ike_shell_tell(s, up ? LOG_LEVEL_INFO : LOG_LEVEL_WARN, up ? "tunnel-up" : "tunnel-down",
		       t->cfg.name, up ? "the tunnel can carry traffic" : "no usable SA is left");
}

/* ---------------------------------------------------------------- actions */

void ike_shell_late(struct ike_shell *s, enum ike_event_type type, uint64_t request)
{
	if (request == 0)
		return;
	if (s->n_late == sizeof(s->late) / sizeof(s->late[0])) {
		log_error("too many failures at once: the core was not told of one");
		return;
	}
	s->late[s->n_late++] = (struct ike_late){.type = type, .request = request};
}

static void act(struct ike_shell *s, const struct ike_action *a)
{
	switch (a->type) {
	case IKE_ACT_SEND:
	case IKE_ACT_KEEPALIVE: ike_shell_send(s, a); break;
	case IKE_ACT_AUTH_SIGN:
	case IKE_ACT_AUTH_VERIFY:
	case IKE_ACT_PPK_MIX: ike_shell_ask_keyd(s, a); break;
	case IKE_ACT_CHILD_ADD_IN:
	case IKE_ACT_CHILD_ADD_OUT:
	case IKE_ACT_CHILD_SWITCH:
	case IKE_ACT_CHILD_DEL_IN:
	case IKE_ACT_CHILD_DEL_OUT:
	case IKE_ACT_CHILD_PEER: ike_shell_dp_action(s, a); break;
	case IKE_ACT_TUNNEL_UP: tunnel_state(s, a->tunnel, true); break;
	case IKE_ACT_TUNNEL_DOWN: tunnel_state(s, a->tunnel, false); break;
	case IKE_ACT_SAVE: ike_shell_keep(s, a); break;
	case IKE_ACT_EVENT: happened(s, a); break;
	}
}

static void act_all(struct ike_shell *s)
{
	for (size_t i = 0; i < s->out.n; i++)
		act(s, &s->out.actions[i]);
	ike_out_reset(&s->out);
}

void ike_shell_carry_out(struct ike_shell *s)
{
	act_all(s);
	while (s->n_late > 0) {
		const struct ike_late late = s->late[0];
		struct ike_event ev = {.type = late.type, .now = s->now};

		memmove(&s->late[0], &s->late[1], --s->n_late * sizeof(late));
		if (late.type == IKE_EV_AUTH_RESULT)
			ev.auth.request = late.request;
		else
			ev.dp.request = late.request;
		ike_step(s->core, &ev, &s->out);
		act_all(s);
	}
}

void ike_shell_step(struct ike_shell *s, struct ike_event *ev)
{
	ev->now = s->now;
	ike_step(s->core, ev, &s->out);
	ike_shell_carry_out(s);
}
