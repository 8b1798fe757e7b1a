/* SPDX-License-Identifier: Apache-2.0 */
/*
 * route_shell: the process around the routing core.
 *
 * The ike process says which tunnels are up; the core decides; the actions go to the dataplane on
 * the fib ring and its answers come back. A plan may be far longer than the ring: what does not
 * fit waits here, in order, and follows as the dataplane takes messages out.
 *
 * Invariants: the state of every tunnel is remembered, whether the configuration that names it has
 * arrived or not; a new dataplane is told everything; nobody makes us wait.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>
#include "base/log.h"
#include "daemon/event.h"
#include "daemon/role.h"
#include "daemon/route_int.h"
#include "daemon/translate.h"

#define CONTROL_QUEUE_BYTES (64u << 20) /* one listing of many routes */
#define EVENTS_PER_WAKEUP   1024
#define MESSAGES_PER_WAKEUP 64
#define RING_RETRY_MS       5u
#define SWEEP_PAUSE_S       3u    /* until ike has told which tunnels are up */
#define STATES_PATIENCE_MS  1000u /* until ike has told the state of every tunnel */
#define SWEEP_RETRY_MS      200u
#define BOTH_RINGS          3u

/* ---------------------------------------------------------------- actions */

static void send_event(struct route_shell *s, enum log_level level, const char *kind,
		       const char *tunnel, const char *text, json_t *more)
{
	char *json = event_text(kind, "route", tunnel, text, more);

	/* With further members the text names what it is about by itself. */
	if (tunnel && !more)
		log_write(level, "%s %s: %s", tunnel, kind, text);
	else
		log_write(level, "%s", text);
	if (json && s->control >= 0)
		ipc_outq_send(&s->to_control, IPC_EVENT, 0, 0, json, strlen(json), NULL, 0);
	free(json);
}

void route_tell(struct route_shell *s, enum log_level level, const char *kind, uint32_t tunnel,
		const char *text, json_t *more)
{
	send_event(s, level, kind, route_tunnel_name(s, tunnel), text, more);
}

static void tell_switched(struct route_shell *s, const struct rt_action *a)
{
	const char *from = route_tunnel_name(s, a->switched.from);
	const char *to = route_tunnel_name(s, a->switched.to);
	char text[160];

	snprintf(text, sizeof(text), "connection '%s': traffic moved from %s to %s",
		 a->switched.connection, from ? from : "no tunnel", to ? to : "no tunnel");
	send_event(s, to ? LOG_LEVEL_INFO : LOG_LEVEL_WARN, "switched", to, text,
		   json_pack("{sssoso}", "connection", a->switched.connection, "from",
			     route_name_or_null(from), "to", route_name_or_null(to)));
}

/* What an action asks of BGP is done in the next turn: other steps may be under way. */
static void ask_bgp(struct route_shell *s, const struct rt_action *a)
{
	const uint32_t tunnel = a->type == RT_ACT_PREFER    ? a->prefer.tunnel
				: a->type == RT_ACT_REFRESH ? a->refresh.tunnel
							    : a->reset.tunnel;
	struct route_tunnel *t = route_tunnel(s, tunnel);

	if (!t)
		return;
	if (a->type == RT_ACT_PREFER)
		t->preferred = a->prefer.on;
	else if (a->type == RT_ACT_REFRESH)
		t->refresh = true;
	else
		t->reset = true;
	s->bgp_changed = true;
}

static void tell(struct route_shell *s, const struct rt_action *a)
{
	switch (a->type) {
	case RT_ACT_SWITCHED: tell_switched(s, a); break;
	case RT_ACT_PREFER:
	case RT_ACT_REFRESH:
	case RT_ACT_RESET: ask_bgp(s, a); break;
	case RT_ACT_WARNING:
		route_tell(s, LOG_LEVEL_WARN, a->warning.name, a->warning.tunnel, a->warning.text,
			   NULL);
		break;
	case RT_ACT_TUNNEL_SET:
	case RT_ACT_TUNNEL_DEL:
	case RT_ACT_GROUP_SET:
	case RT_ACT_GROUP_DEL: break;
	}
}

/* Pushes as much as the ring takes. */
static void push_actions(struct route_shell *s)
{
	struct dp_msg msg;

	if (!s->child.started || s->waiting)
		return;
	for (; s->next < s->out.n; s->next++) {
		const struct rt_action *a = &s->out.actions[s->next];

		if (!translate_dp_route(a, &msg))
			continue;
		if (!ring_port_push(&s->fib, &msg))
			break;
		if (a->type == RT_ACT_TUNNEL_SET)
			route_tunnel_set(s, a->tunnel.tunnel, a->request);
	}
	ring_port_notify(&s->fib);
	if (s->next == s->out.n) {
		s->out.n = s->next = s->told = 0;
	} else if (s->next > s->out.size / 2) {
		s->out.n -= s->next;
		memmove(s->out.actions, s->out.actions + s->next,
			s->out.n * sizeof(*s->out.actions));
		s->told -= s->next;
		s->next = 0;
	}
}

/* Routes follow the groups that they name; what the ring does not take now is asked for later. */
static void push_routes(struct route_shell *s)
{
	static struct rt_route_op ops[RT_BATCH_MAX];
	struct dp_msg msg;
	uint32_t request;
	size_t n;

	if (!s->child.started || s->waiting)
		return;
	while (s->next == s->out.n && ring_port_room(&s->fib)) {
		n = rt_next_routes(s->core, ops, RT_BATCH_MAX, &request);
		if (n == 0)
			break;
		translate_dp_routes(ops, n, request, &msg);
		(void)ring_port_push(&s->fib, &msg);
	}
	ring_port_notify(&s->fib);
}

static void carry_out(struct route_shell *s)
{
	for (; s->told < s->out.n; s->told++)
		tell(s, &s->out.actions[s->told]);
	push_actions(s);
	push_routes(s);
}

/* Makes the whole plan again: for a new dataplane, or when memory ran out half-way. */
static void plan_anew(struct route_shell *s)
{
	struct rt_event ev = {.type = RT_EV_DP_RESTARTED, .now = mono_now()};

	s->out.overflow = false;
	s->out.n = s->next = s->told = 0;
	rt_step(s->core, &ev, &s->out);
	carry_out(s);
}

void route_step(struct route_shell *s, struct rt_event *ev)
{
	ev->now = mono_now();
	rt_step(s->core, ev, &s->out);
	if (s->out.overflow) {
		log_error("out of memory: the routes are programmed anew");
		plan_anew(s);
		return;
	}
	carry_out(s);
}

void route_step_tunnel(struct route_shell *s, enum rt_event_type type, uint32_t tunnel)
{
	struct rt_event ev = {.type = type, .tunnel = tunnel};

	route_step(s, &ev);
}

/* ---------------------------------------------------------- configuration */

/* States that the routing core has not heard of, as it did not know their tunnels. */
static void feed_states(struct route_shell *s)
{
	for (size_t i = 0; i < s->n_tunnels; i++) {
		const struct route_tunnel *t = s->tunnels[i];

		if (!t || !t->cfg)
			continue;
		if (t->up)
			route_step_tunnel(s, RT_EV_TUNNEL_UP, (uint32_t)i);
		if (t->bfd_down)
			route_step_tunnel(s, RT_EV_BFD_DOWN, (uint32_t)i);
		if (t->probing.state == PROBE_FAILS)
			route_step_tunnel(s, RT_EV_PROBE_DOWN, (uint32_t)i);
	}
}

static bool configure(struct route_shell *s, struct config *new)
{
	struct rt_cfg cfg;
	struct translate_rt *t = translate_rt_new(new, &cfg);
	struct config *old;
	bool ok;

	if (!t)
		return false;
	cfg.local_as = new->bgp_local_as;
	cfg.id = translate_router_id(&new->bgp_router_id);
	ok = rt_configure(s->core, &cfg, mono_now(), &s->out);
	translate_rt_free(t);
	if (!ok)
		return false;
	old = s->config;
	s->config = new;
	route_tunnels_configure(s);
	if (old)
		config_free(old);
	carry_out(s);
	feed_states(s);
	/* At first, nobody is spoken to before everything is here. */
	if (!s->child.started)
		return true;
	route_linux_configure(s);
	return route_bfd_configure(s) && route_bgp_configure(s);
}

static void take_config(struct route_shell *s, struct ipc_msg *msg)
{
	struct config *c = child_config(msg, NULL);
	const char *why = "";

	if (!c) {
		why = "the configuration cannot be read";
	} else if (!configure(s, c)) {
		config_free(c);
		why = "out of memory for the routes";
	}
	if (why[0] != '\0' && !s->child.started)
		child_fatal(&s->child, "%s", why);
	if (s->child.started)
		child_reloaded(&s->child, why);
}

/* -------------------------------------------------------------- neighbours */

static void drop_peer(struct route_shell *s, int *sock)
{
	if (*sock < 0)
		return;
	loop_remove(&s->child.loop, *sock);
	close(*sock);
	*sock = -1;
	if (sock == &s->control)
		ipc_outq_attach(&s->to_control, -1);
}

static void on_tunnel_state(struct route_shell *s)
{
	struct ipc_tunnel_state state;

	if (s->msg.h.size != sizeof(state))
		return;
	memcpy(&state, s->msg.body, sizeof(state));
	route_tunnel_state(s, state.tunnel, state.up == IPC_TUNNEL_UP);
}

static void on_peer(void *ctx, int fd, uint32_t events)
{
	struct route_shell *s = ctx;
	int *sock = fd == s->ike ? &s->ike : &s->control;

	for (int i = 0; i < MESSAGES_PER_WAKEUP; i++) {
		const int r = ipc_recv(fd, &s->msg);

		if (r == 0 && errno == EAGAIN)
			return;
		if (r < 0 && errno == EBADMSG)
			continue;
		if (r != 1) {
			/* It died. Its successor tells the tunnels' states anew. */
			drop_peer(s, sock);
			return;
		}
		if (sock == &s->ike && s->msg.h.type == IPC_TUNNEL_STATE)
			on_tunnel_state(s);
		else if (sock == &s->control && s->msg.h.type == IPC_QUERY)
			route_query(s, &s->msg);
		else if (log_limit_take(&s->limit, mono_now()))
			log_warn("a '%s' message from the wrong process was ignored",
				 ipc_type_name((enum ipc_type)s->msg.h.type));
		ipc_msg_close(&s->msg);
	}
}

static void take_peer(struct route_shell *s, struct ipc_msg *msg)
{
	struct ipc_peer head;
	int *sock;

	if (msg->h.size != sizeof(head) || msg->n_fds != 1)
		return;
	memcpy(&head, msg->body, sizeof(head));
	if (head.role != IPC_ROLE_IKE && head.role != IPC_ROLE_CONTROL)
		return;
	sock = head.role == IPC_ROLE_IKE ? &s->ike : &s->control;
	drop_peer(s, sock);
	*sock = ipc_msg_take_fd(msg, 0);
	if (sock == &s->control)
		ipc_outq_attach(&s->to_control, *sock);
	if (!loop_add(&s->child.loop, *sock, EPOLLIN, on_peer, s))
		child_fatal(&s->child, "cannot watch the %s process: %s",
			    ipc_role_name((enum ipc_role)head.role), strerror(errno));
}

/* ------------------------------------------------------------------- rings */

static void on_doorbell(void *ctx, int fd, uint32_t events)
{
	struct route_shell *s = ctx;
	struct dp_event e;
	int n = 0;

	ring_port_hush(&s->fib_events);
	while (n < EVENTS_PER_WAKEUP && ring_port_pop(&s->fib_events, &e)) {
		struct rt_event ev = {.type = RT_EV_DP_RESULT};

		n++;
		/* Links and the like are told by the ike process. */
		if (e.type != DP_EV_ACK || e.ack.status >= DP_STATUS_END)
			continue;
		ev.request = e.ack.seq;
		ev.ok = e.ack.status == DP_OK;
		/* What is malformed was refused as a whole: then none is named. */
		for (size_t i = 0; i < sizeof(e.ack.refused) / sizeof(e.ack.refused[0]); i++)
			if (e.ack.refused[i])
				ev.refused = e.ack.refused;
		route_tunnel_answer(s, ev.request, ev.ok);
		route_step(s, &ev);
	}
	if (s->fib_events.end.broken) {
		log_error("the dataplane broke its event ring: nothing is read from it until it is "
			  "restarted");
		loop_remove(&s->child.loop, fd);
	} else if (n == EVENTS_PER_WAKEUP) {
		s->fib_events.rung = true;
		ring_port_notify(&s->fib_events);
	}
}

static void take_ring(struct route_shell *s, struct ipc_msg *msg)
{
	struct ipc_ring head = {0};

	if (msg->h.size == sizeof(head))
		memcpy(&head, msg->body, sizeof(head));
	s->resumed |= !s->child.started && (head.flags & IPC_RING_RESUMED);
	switch ((int)ring_port_kind(msg)) {
	case IPC_RING_FIB:
		if (!ring_port_take(&s->fib, msg, DP_MSG_SIZE, true))
			child_fatal(&s->child, "the ring to the dataplane is malformed");
		s->new_rings |= 1u;
		break;
	case IPC_RING_FIB_EVENT:
		loop_remove(&s->child.loop, s->fib_events.doorbell);
		if (!ring_port_take(&s->fib_events, msg, DP_EVENT_SIZE, false) ||
		    !loop_add(&s->child.loop, s->fib_events.doorbell, EPOLLIN, on_doorbell, s))
			child_fatal(&s->child, "the ring from the dataplane is malformed");
		s->new_rings |= 2u;
		break;
	default: log_warn("a ring that is not for this process was ignored"); return;
	}
	if (s->child.started && s->new_rings == BOTH_RINGS) {
		s->new_rings = 0;
		route_tunnels_lost(s);
		plan_anew(s);
	}
}

/* ---------------------------------------------------- what a predecessor left */

/*
 * The dataplane has gone on forwarding by what the process before this one had told it. What neighbours
 * announce again replaces that; the rest is forgotten when all of them have said everything, or would
 * have, by what we asked them to wait (RFC 4724 4.1).
 */
static void begin_sweep(struct route_shell *s)
{
	struct mono_span longest = span_ns(0);

	for (size_t i = 0; i < s->n_tunnels; i++) {
		const struct route_tunnel *t = s->tunnels[i];

		if (t && t->cfg && t->bgp.on && t->bgp.graceful_restart.ns > longest.ns)
			longest = t->bgp.graceful_restart;
	}
	s->swept = !s->resumed;
	s->waiting = s->resumed;
	s->wait_until = mono_add(mono_now(), span_ms(STATES_PATIENCE_MS));
	s->sweep_not_before = mono_add(mono_now(), span_s(SWEEP_PAUSE_S));
	s->sweep_at = mono_add(s->sweep_not_before, longest);
}

/* With no tunnel known to be up, the new groups would be empty for a moment. */
static void wait_for_states(struct route_shell *s, struct mono now)
{
	bool missing = false;

	if (!s->waiting)
		return;
	for (size_t i = 0; i < s->n_tunnels; i++)
		missing |= s->tunnels[i] && s->tunnels[i]->cfg && !s->tunnels[i]->heard;
	s->waiting = missing && !mono_reached(now, s->wait_until);
}

static bool all_complete(const struct route_shell *s)
{
	for (size_t i = 0; i < s->n_tunnels; i++) {
		const struct route_tunnel *t = s->tunnels[i];

		if (t && t->cfg && t->up && t->bgp.on &&
		    ((t->bgp.ipv4 && !t->complete[BGP_IPV4_UNICAST]) ||
		     (t->bgp.ipv6 && !t->complete[BGP_IPV6_UNICAST])))
			return false;
	}
	return true;
}

static void sweep(struct route_shell *s, struct mono now)
{
	const struct dp_msg msg = {.type = DP_SWEEP, .seq = UINT32_MAX};

	if (s->swept || !mono_reached(now, s->sweep_not_before) ||
	    (!mono_reached(now, s->sweep_at) && !all_complete(s)) || s->next < s->out.n ||
	    rt_routes_waiting(s->core) > 0 || !ring_port_push(&s->fib, &msg))
		return;
	ring_port_notify(&s->fib);
	s->swept = true;
	log_info("what the route process before this one left in the dataplane is forgotten");
}

/* -------------------------------------------------------------- life cycle */

/* A predecessor of ours was told so. */
static void take_drained(struct route_shell *s, const struct ipc_msg *msg)
{
	const struct config_tunnel *t = NULL;
	struct ipc_drained body;

	if (msg->h.size != sizeof(body))
		return;
	memcpy(&body, msg->body, sizeof(body));
	if (s->config && ipc_name_ok(body.tunnel))
		t = config_tunnel_by_name(s->config, body.tunnel, NULL);
	if (t)
		route_step_tunnel(s, RT_EV_DRAIN, t->index);
}

static void on_message(void *ctx, struct ipc_msg *msg)
{
	struct route_shell *s = ctx;

	switch ((int)msg->h.type) {
	case IPC_CONFIG: take_config(s, msg); break;
	case IPC_PEER: take_peer(s, msg); break;
	case IPC_RING: take_ring(s, msg); break;
	case IPC_SECRET: route_take_secret(s, msg); break;
	case IPC_SOCKET: route_take_socket(s, msg); break;
	case IPC_DRAINED: take_drained(s, msg); break;
	default: break;
	}
}

static void on_start(void *ctx)
{
	struct route_shell *s = ctx;

	if (!s->config || s->fib.doorbell < 0 || s->fib_events.doorbell < 0)
		child_fatal(&s->child, "the supervisor did not hand over everything");
	s->new_rings = 0;
	begin_sweep(s);
	s->speaks = true;
	route_linux_configure(s);
	if (!route_bfd_configure(s) || !route_bgp_configure(s))
		child_fatal(&s->child, "out of memory for BGP neighbors");
}

static void on_stop(void *ctx)
{
	struct route_shell *s = ctx;

	child_quit(&s->child, 0);
}

static void on_turn(void *ctx, struct mono now)
{
	struct route_shell *s = ctx;

	if (mono_reached(now, rt_deadline(s->core))) {
		struct rt_event ev = {.type = RT_EV_TICK};

		route_step(s, &ev);
	}
	route_tunnels_turn(s, now);
	route_bfd_turn(s, now);
	route_probes_turn(s, now);
	route_linux_turn(s, now);
	route_bgp_turn(s, now);
	wait_for_states(s, now);
	push_actions(s);
	push_routes(s);
	sweep(s, now);
	if (s->control < 0)
		return;
	if (!ipc_outq_flush(&s->to_control)) {
		drop_peer(s, &s->control);
		return;
	}
	loop_modify(&s->child.loop, s->control,
		    EPOLLIN | (ipc_outq_waiting(&s->to_control) ? EPOLLOUT : 0));
}

static struct mono next_turn(void *ctx)
{
	const struct route_shell *s = ctx;
	struct mono at =
		mono_min(mono_min(rt_deadline(s->core), mono_min(s->retry_at, s->probe_at)),
			 mono_min(bfd_deadline(s->bfd), route_bgp_deadline(s)));

	at = mono_min(at, route_linux_deadline(s));
	if (!s->swept)
		at = mono_min(at, mono_add(mono_now(), span_ms(SWEEP_RETRY_MS)));
	if (s->waiting)
		return mono_min(at, s->wait_until);
	if ((s->next < s->out.n || rt_routes_waiting(s->core)) && !s->fib.end.broken)
		return mono_min(at, mono_add(mono_now(), span_ms(RING_RETRY_MS)));
	return at;
}

int route_main(void)
{
	static const struct child_ops ops = {
		.message = on_message,
		.start = on_start,
		.stop = on_stop,
		.turn = on_turn,
		.deadline = next_turn,
	};
	static struct route_shell s = {
		.ike = -1,
		.control = -1,
		.fib = {.shm = {.fd = -1}, .doorbell = -1},
		.fib_events = {.shm = {.fd = -1}, .doorbell = -1},
		.limit = {.per_s = 10},
		.retry_at = MONO_NEVER,
		.probe_at = MONO_NEVER,
		.kernel = {.fd = -1, .retry_at = MONO_NEVER},
	};
	struct rt_export export;
	uint64_t seed;
	int status;

	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed)) {
		log_error("no random numbers: %s", strerror(errno));
		return 1;
	}
	s.paths = path_store_new(seed);
	s.probe_id = (uint16_t)route_draw(NULL);
	export = route_bgp_export;
	export.ctx = &s;
	s.core = s.paths ? rt_new(s.paths, seed, &export, log_tracer()) : NULL;
	if (!s.core || !route_bgp_init(&s) || !route_bfd_init(&s)) {
		log_error("out of memory");
		return 1;
	}
	ipc_outq_init(&s.to_control, CONTROL_QUEUE_BYTES);
	status = child_run(&s.child, IPC_ROLE_ROUTE, &ops, &s);

	route_linux_fini(&s);
	route_bgp_fini(&s);
	route_bfd_fini(&s);
	rt_free(s.core);
	path_store_free(s.paths);
	rt_out_fini(&s.out);
	route_tunnels_fini(&s);
	if (s.config)
		config_free(s.config);
	drop_peer(&s, &s.ike);
	drop_peer(&s, &s.control);
	ring_port_close(&s.fib);
	ring_port_close(&s.fib_events);
	return status;
}
