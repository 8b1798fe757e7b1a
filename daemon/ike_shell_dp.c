/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ike_shell_dp: the SA rings and the dataplane's counters.
 *
 * The dataplane parses packets of the network: what it says is checked like those. It may report
 * events of slots that exist, and answer requests that were made; nothing else has an effect.
 */
#include <stdio.h>
#include <string.h>
#include "daemon/ike_shell.h"
#include "daemon/translate.h"

#define EVENTS_PER_WAKEUP 1024
#define BOTH_RINGS        3u

static void take_ack(struct ike_shell *s, const struct dp_ack *ack)
{
	struct ike_event ev = {.type = IKE_EV_DP_RESULT};
	bool awaited;

	if (ack->status >= DP_STATUS_END) {
		ike_shell_count(s, IKE_SHELL_CNT_DP_MALFORMED);
		return;
	}
	if (ack->status != DP_OK) {
		ike_shell_count(s, IKE_SHELL_CNT_DP_REFUSED);
		if (log_limit_take(&s->limit, s->now))
			log_warn("the dataplane refused a change of an SA: status %u", ack->status);
	}
	awaited = dp_queue_answer(&s->dp, ack->seq, &ev.dp.request);
	if (awaited && ev.dp.request == IKE_SHELL_LIST)
		ike_shell_list_answered(s, ack->seq, (enum dp_status)ack->status);
	/* Nobody waits: either no answer was wanted, or there was no such request. */
	if (!awaited || ev.dp.request == IKE_SHELL_LIST)
		return;
	ev.dp.ok = ack->status == DP_OK;
	ike_shell_step(s, &ev);
}

static void take_sa_event(struct ike_shell *s, enum ike_event_type type,
			  const struct dp_sa_event *e)
{
	struct ike_event ev = {.type = type};

	ev.child.slot = e->slot;
	ev.child.outbound = e->outbound == 1;
	ev.child.local = translate_ip_endpoint(&e->local);
	ev.child.remote = translate_ip_endpoint(&e->remote);
	if (type == IKE_EV_CHILD_MOVED &&
	    (ev.child.remote.addr.family == IP_NONE ||
	     ev.child.remote.addr.family != ev.child.local.addr.family)) {
		ike_shell_count(s, IKE_SHELL_CNT_DP_MALFORMED);
		return;
	}
	ike_shell_step(s, &ev);
}

/* The source can be forged: the core bounds what comes of it. */
static void take_unknown_spi(struct ike_shell *s, const struct dp_sa_event *e)
{
	struct ike_event ev = {.type = IKE_EV_UNKNOWN_ESP};

	ike_shell_count(s, IKE_SHELL_CNT_DP_INVALID_SPI);
	ev.esp.local = translate_ip_endpoint(&e->local);
	ev.esp.remote = translate_ip_endpoint(&e->remote);
	ev.esp.spi = e->spi;
	if (ev.esp.local.addr.family == IP_NONE ||
	    ev.esp.local.addr.family != ev.esp.remote.addr.family) {
		ike_shell_count(s, IKE_SHELL_CNT_DP_MALFORMED);
		return;
	}
	ike_shell_step(s, &ev);
}

static void take_port_event(struct ike_shell *s, const struct dp_port_event *e)
{
	char text[64];

	snprintf(text, sizeof(text), "port %u: link %s", e->port, e->up ? "up" : "down");
	ike_shell_tell(s, e->up ? LOG_LEVEL_INFO : LOG_LEVEL_WARN, "port-link", NULL, text);
}

static void take_event(struct ike_shell *s, const struct dp_event *e)
{
	switch ((enum dp_event_type)e->type) {
	case DP_EV_ACK: take_ack(s, &e->ack); return;
	case DP_EV_FIRST_IN: take_sa_event(s, IKE_EV_CHILD_FIRST_IN, &e->sa); return;
	case DP_EV_SOFT_EXPIRE: take_sa_event(s, IKE_EV_CHILD_SOFT, &e->sa); return;
	case DP_EV_HARD_EXPIRE: take_sa_event(s, IKE_EV_CHILD_HARD, &e->sa); return;
	case DP_EV_PEER_MOVED: take_sa_event(s, IKE_EV_CHILD_MOVED, &e->sa); return;
	case DP_EV_SA: ike_shell_listed(s, &e->listed); return;
	case DP_EV_INVALID_SPI: take_unknown_spi(s, &e->sa); return;
	case DP_EV_PORT_LINK: take_port_event(s, &e->port); return;
	case DP_EV_NONE:
	case DP_EV_TYPE_END: break;
	}
	ike_shell_count(s, IKE_SHELL_CNT_DP_MALFORMED);
}

static void on_doorbell(void *ctx, int fd, uint32_t events)
{
	struct ike_shell *s = ctx;
	struct dp_event e;
	int n = 0;

	s->now = mono_now();
	ring_port_hush(&s->sa_events);
	while (n < EVENTS_PER_WAKEUP && ring_port_pop(&s->sa_events, &e)) {
		take_event(s, &e);
		n++;
	}
	if (s->sa_events.end.broken) {
		log_error("the dataplane broke its event ring: nothing is read from it until it is "
			  "restarted");
		loop_remove(&s->child.loop, fd);
	} else if (n == EVENTS_PER_WAKEUP) {
		/* More may wait: come back after the others had their turn. */
		s->sa_events.rung = true;
		ring_port_notify(&s->sa_events);
	}
}

void ike_shell_take_ring(struct ike_shell *s, struct ipc_msg *msg)
{
	switch ((int)ring_port_kind(msg)) {
	case IPC_RING_SA:
		if (!ring_port_take(&s->sa, msg, DP_MSG_SIZE, true))
			child_fatal(&s->child, "the ring to the dataplane is malformed");
		s->new_rings |= 1u;
		break;
	case IPC_RING_SA_EVENT:
		loop_remove(&s->child.loop, s->sa_events.doorbell);
		if (!ring_port_take(&s->sa_events, msg, DP_EVENT_SIZE, false) ||
		    !loop_add(&s->child.loop, s->sa_events.doorbell, EPOLLIN, on_doorbell, s))
			child_fatal(&s->child, "the ring from the dataplane is malformed");
		s->new_rings |= 2u;
		break;
	default: log_warn("a ring that is not for this process was ignored"); return;
	}
	if (s->child.started && s->new_rings == BOTH_RINGS)
		ike_shell_dp_anew(s);
}

void ike_shell_dp_anew(struct ike_shell *s)
{
	struct ike_event ev = {.type = IKE_EV_DP_RESTARTED};
	struct dp_msg flush = {.type = DP_SA_FLUSH};

	s->new_rings = 0;
	dp_queue_reset(&s->dp);
	/* Slots are chosen by us: what an earlier ike process left there must go first. */
	dp_queue_send(&s->dp, &s->sa, &flush, 0);
	if (s->resume.active)
		ike_shell_resume_ask(s);
	else if (s->child.started)
		ike_shell_step(s, &ev);
}

/* --------------------------------------------------------------- requests */

static bool build(const struct ike_shell *s, const struct ike_action *a, struct dp_msg *msg)
{
	const struct ike_tunnel_rec *t = ike_shell_tunnel(s, a->child.tunnel);

	memset(msg, 0, sizeof(*msg));
	switch (a->type) {
	case IKE_ACT_CHILD_ADD_IN: return translate_dp_sa(&a->child, false, t ? t->of : NULL, msg);
	case IKE_ACT_CHILD_ADD_OUT: return translate_dp_sa(&a->child, true, t ? t->of : NULL, msg);
	case IKE_ACT_CHILD_SWITCH: msg->type = DP_SA_SWITCH; break;
	case IKE_ACT_CHILD_DEL_IN: msg->type = DP_SA_DEL_IN; break;
	case IKE_ACT_CHILD_DEL_OUT: msg->type = DP_SA_DEL_OUT; break;
	case IKE_ACT_CHILD_PEER: translate_dp_peer(&a->child, msg); return true;
	case IKE_ACT_SEND:
	case IKE_ACT_KEEPALIVE:
	case IKE_ACT_AUTH_SIGN:
	case IKE_ACT_AUTH_VERIFY:
	case IKE_ACT_PPK_MIX:
	case IKE_ACT_TUNNEL_UP:
	case IKE_ACT_TUNNEL_DOWN:
	case IKE_ACT_SAVE:
	case IKE_ACT_EVENT: return false;
	}
	msg->ref.slot = a->child.slot;
	msg->ref.tunnel = a->child.tunnel;
	if (a->type == IKE_ACT_CHILD_SWITCH)
		msg->ref.resource = a->child.resource;
	return true;
}

void ike_shell_dp_action(struct ike_shell *s, const struct ike_action *a)
{
	struct dp_msg msg;
	bool sent = build(s, a, &msg);

	if (sent && !dp_queue_send(&s->dp, &s->sa, &msg, a->request)) {
		ike_shell_count(s, IKE_SHELL_CNT_DP_FULL);
		if (log_limit_take(&s->limit, s->now))
			log_warn("the dataplane does not keep up: a change of an SA was given up");
		sent = false;
	}
	bytes_wipe(&msg, sizeof(msg));
	if (!sent)
		ike_shell_late(s, IKE_EV_DP_RESULT, a->request);
}

/* --------------------------------------------------------------- counters */

void ike_shell_take_stats(struct ike_shell *s, struct ipc_msg *msg)
{
	uint64_t size;

	if (msg->h.size != sizeof(size) || msg->n_fds != 1)
		return;
	memcpy(&size, msg->body, sizeof(size));
	shm_close(&s->stats);
	if (size < sizeof(struct dp_stats) || size > SIZE_MAX ||
	    !shm_attach(&s->stats, ipc_msg_take_fd(msg, 0), (size_t)size, false))
		child_fatal(&s->child, "the dataplane's counters are malformed");
}

/* The tunnels' counters, after checking where the dataplane says that they are. */
static const struct dp_stats_tunnel *stats_tunnels(const struct ike_shell *s, uint32_t *n)
{
	const struct dp_stats *h = s->stats.map;
	uint64_t offset;
	uint32_t max;

	if (!h || __atomic_load_n(&h->magic, __ATOMIC_ACQUIRE) != DP_STATS_MAGIC)
		return NULL;
	offset = __atomic_load_n(&h->tunnels_offset, __ATOMIC_RELAXED);
	max = __atomic_load_n(&h->max_tunnels, __ATOMIC_RELAXED);
	if (offset % 8 != 0 || offset > s->stats.size ||
	    max > (s->stats.size - offset) / sizeof(struct dp_stats_tunnel))
		return NULL;
	*n = max;
	return (const struct dp_stats_tunnel *)((const char *)s->stats.map + offset);
}

void ike_shell_look_at_traffic(struct ike_shell *s)
{
	uint32_t n = 0;
	const struct dp_stats_tunnel *stats = stats_tunnels(s, &n);

	for (uint32_t i = 0; stats && i < n && i < s->n_tunnels; i++) {
		struct ike_event ev = {.type = IKE_EV_TRAFFIC};
		struct ike_tunnel_rec *t = s->tunnels[i];
		uint64_t in, out;

		if (!t)
			continue;
		in = __atomic_load_n(&stats[i].in_packets, __ATOMIC_RELAXED);
		out = __atomic_load_n(&stats[i].out_packets, __ATOMIC_RELAXED);
		ev.traffic.tunnel = i;
		ev.traffic.in = in > t->in_packets;
		ev.traffic.out = out > t->out_packets;
		t->in_packets = in;
		t->out_packets = out;
		if (ev.traffic.in || ev.traffic.out)
			ike_shell_step(s, &ev);
	}
}
