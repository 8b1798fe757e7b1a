/* SPDX-License-Identifier: Apache-2.0 */
/* node: one gateway: the core; keys.c and dataplane.c are its other halves. */
#include <string.h>
#include "ike/msg.h"
#include "ike/wire.h"
#include "tests/sim/fake_kem.h"
#include "tests/sim/world.h"

struct mono node_now(const struct sim_node *n)
{
	const uint64_t ns = n->w->now.ns;

	return (struct mono){ns + n->clock_ahead_ns + ns / 1000000 * n->clock_fast_ppm};
}

struct mono node_deadline(const struct sim_node *n)
{
	const struct mono at = ike_deadline(n->ike);
	uint64_t wait;

	if (mono_is_never(at))
		return at;
	wait = mono_since(at, node_now(n)).ns;
	return mono_add(n->w->now, span_ns(wait - wait / 1000000 * n->clock_fast_ppm));
}

static void tunnel_up(struct sim_node *n, uint32_t t)
{
	if (n->up[t])
		fail_world(n->w, "node %d: up twice", n->index);
	if (n->current[t] >= SIM_SLOTS || !n->in[n->current[t]].on ||
	    !n->out_half[n->current[t]].on)
		fail_world(n->w, "node %d: up without a usable pair", n->index);
	n->up[t] = true;
	n->carried[t] = false;
	n->up_at[t] = n->w->now;
	n->n_up[t]++;
	if (n->w->tunnel_state)
		n->w->tunnel_state(n->w, n->index, t);
}

static void tunnel_down(struct sim_node *n, uint32_t t)
{
	if (!n->up[t])
		fail_world(n->w, "node %d: down twice", n->index);
	n->up[t] = false;
	n->down_at[t] = n->w->now;
	n->n_down[t]++;
	if (n->w->tunnel_state)
		n->w->tunnel_state(n->w, n->index, t);
}

static void note_event(struct sim_node *n, const struct ike_action *a)
{
	n->n_events[a->event.what]++;
	memcpy(n->last_event[a->event.what], a->event.text, sizeof(a->event.text));
	if (n->w->verbose)
		fprintf(stderr, "%10.3f %c event %s: %s\n", (double)n->w->now.ns / 1e9,
			'A' + n->index, ike_happening_name(a->event.what), a->event.text);
}

static void carry_out(struct sim_node *n, const struct ike_action *a)
{
	switch (a->type) {
	case IKE_ACT_SEND:
		if (a->send.natt != (a->send.local.port == 4500))
			fail_world(n->w, "node %d: marker and port do not fit", n->index);
		if (a->send.size > 19 && (a->send.data[18] == 34 || a->send.data[18] == 38) &&
		    a->send.data[19] & 0x20)
			n->unproven_sent += a->send.size;
		net_send_ike(n->w, n->index, a);
		break;
	case IKE_ACT_KEEPALIVE: n->n_keepalive++; break;
	case IKE_ACT_AUTH_SIGN:
	case IKE_ACT_AUTH_VERIFY:
	case IKE_ACT_PPK_MIX: keys_request(n, a); break;
	case IKE_ACT_CHILD_ADD_IN:
	case IKE_ACT_CHILD_ADD_OUT:
	case IKE_ACT_CHILD_SWITCH:
	case IKE_ACT_CHILD_DEL_IN:
	case IKE_ACT_CHILD_DEL_OUT:
	case IKE_ACT_CHILD_PEER: dp_request(n, a); break;
	case IKE_ACT_TUNNEL_UP: tunnel_up(n, a->tunnel); break;
	case IKE_ACT_TUNNEL_DOWN: tunnel_down(n, a->tunnel); break;
	case IKE_ACT_SAVE: process_keep(n, a); break;
	case IKE_ACT_EVENT: note_event(n, a); break;
	}
}

static void carry_out_all(struct sim_node *n)
{
	for (size_t i = 0; i < n->out.n && !n->crashed; i++) {
		if (n->crash_in && --n->crash_in == 0)
			n->crashed = true;
		else
			carry_out(n, &n->out.actions[i]);
	}
	ike_out_reset(&n->out);
	if (!n->crashed)
		check_node(n);
}

void node_step(struct sim_node *n, const struct ike_event *ev)
{
	if (!n->ike || n->crashed)
		return;
	ike_step(n->ike, ev, &n->out);
	carry_out_all(n);
}

void node_tick(struct sim_node *n)
{
	const struct ike_event ev = {.type = IKE_EV_TICK, .now = node_now(n)};
	unsigned rounds = 0;

	while (n->ike && !n->crashed && mono_reached(node_now(n), ike_deadline(n->ike))) {
		node_step(n, &ev);
		if (++rounds > 100) {
			fail_world(n->w, "node %d: its deadline does not move", n->index);
			return;
		}
	}
}

void node_event(struct sim_node *n, enum ike_event_type type, uint32_t tunnel)
{
	struct ike_event ev = {.type = type, .now = node_now(n)};

	ev.tunnel.tunnel = tunnel;
	node_step(n, &ev);
}

void node_set_tunnel(struct sim_node *n, size_t i)
{
	if (!ike_tunnel_set(n->ike, &n->cfg[i], node_now(n), &n->out))
		fail_world(n->w, "ike_tunnel_set failed");
	carry_out_all(n);
}

void node_remove_tunnel(struct sim_node *n, size_t i)
{
	ike_tunnel_remove(n->ike, n->cfg[i].tunnel, node_now(n), &n->out);
	carry_out_all(n);
}

static bool no_kem(void *ctx, enum ike_dh method)
{
	(void)ctx;
	return !ike_dh_desc(method)->kem;
}

struct ike_crypto node_crypto(struct sim_node *n)
{
	struct ike_crypto c;

	ike_crypto_openssl(&c, rng_fill, &n->rng);
	if (n->kem == SIM_KEM_FAKE)
		fake_kem(&c);
	else if (n->kem == SIM_KEM_NONE)
		c.dh_available = no_kem;
	return c;
}

bool node_power_on(struct sim_node *n)
{
	const struct ike_crypto c = node_crypto(n);

	n->limits.n_resources = n->n_workers;
	n->ike = ike_new(&n->limits, &c, &n->tracer);
	if (!n->ike)
		return false;
	n->off = false;
	dp_clear(n);
	for (size_t t = 0; t < SIM_TUNNELS; t++)
		n->down_at[t] = n->w->now;
	for (size_t t = 0; t < n->n_tunnels; t++)
		node_set_tunnel(n, t);
	return true;
}

void node_power_off(struct sim_node *n)
{
	if (n->ike)
		process_end(n);
	process_forget_all(n);
	n->off = true;
	queue_forget_node(n->w, n->index);
	dp_clear(n);
	for (size_t t = 0; t < SIM_TUNNELS; t++) {
		n->up[t] = false;
		n->down_at[t] = n->w->now;
	}
}

/* RFC 7296 2.4: what comes in clear is a hint, and a hint may lead to one question. */
static bool is_question(const struct sim_node *n, const struct ike_event *ev)
{
	unsigned sent = 0;

	for (size_t i = 0; i < n->out.n; i++) {
		const struct ike_action *a = &n->out.actions[i];

		if (a->type == IKE_ACT_SEND && a->send.data[18] == IKE_INFORMATIONAL &&
		    a->send.data[16] == IKE_PL_SK && !(a->send.data[19] & 0x20))
			sent++;
		else if (a->type != IKE_ACT_SAVE)
			return false;
	}
	return sent == 1 && ev->packet.data[16] == IKE_PL_NOTIFY;
}

/* Whatever an outsider sends: nothing happens. */
static void forged_packet(struct sim_node *n, const struct ike_event *ev)
{
	uint64_t before;

	if (!n->ike || n->crashed)
		return;
	before = check_digest(n);
	ike_step(n->ike, ev, &n->out);
	/* RFC 7296 2.5: a higher version is answered, by no more than it came with. */
	if (n->out.n == 1 && n->out.actions[0].type == IKE_ACT_SEND &&
	    n->out.actions[0].send.size <= ev->packet.size && ev->packet.data[17] >> 4 > 2)
		ike_out_reset(&n->out);
	/* IKEv1 is told of. */
	if (n->out.n == 1 && n->out.actions[0].type == IKE_ACT_EVENT &&
	    n->out.actions[0].event.what == IKE_HAP_IKEV1_DECLINED && ev->packet.data[17] >> 4 == 1)
		ike_out_reset(&n->out);
	/* 1.5: so is a request for no SA of ours, by a notify in clear (RFC 6290 4.5: and a token). */
	if (n->out.n == 1 && n->out.actions[0].type == IKE_ACT_SEND &&
	    n->out.actions[0].send.size <= ev->packet.size + 8 &&
	    n->out.actions[0].send.data[16] == 41 && !(ev->packet.data[19] & 0x20))
		ike_out_reset(&n->out);
	if ((n->out.n && !is_question(n, ev)) || before != check_digest(n))
		fail_world(n->w, "node %d: a forged message of %zu bytes had an effect", n->index,
			   ev->packet.size);
	carry_out_all(n);
}

static bool has_cookie(const struct ike_event *ev)
{
	struct ike_msg m;

	return ike_msg_parse(ev->packet.data, ev->packet.size, &m) == IKE_OK &&
	       ike_msg_notify(&m, IKE_N_COOKIE);
}

/* RFC 7296 2.6, 2.1: who has not proven his address by a cookie makes us send no more than he sends. */
static void node_packet(struct sim_node *n, const struct ike_event *ev)
{
	const size_t most = has_cookie(ev) ? SIZE_MAX : ev->packet.size;

	n->unproven_sent = 0;
	node_step(n, ev);
	if (n->unproven_sent > most && !n->w->lies)
		fail_world(n->w, "node %d answered %zu bytes by %zu", n->index, ev->packet.size,
			   n->unproven_sent);
}

void node_receive(struct sim_node *n, struct sim_item *item)
{
	struct ike_event ev = {.now = node_now(n)};

	if (n->off)
		return;
	switch (item->kind) {
	case SIM_IKE:
		ev.type = IKE_EV_PACKET;
		ev.packet.local = item->to;
		ev.packet.remote = item->from;
		ev.packet.data = item->ike.data;
		ev.packet.size = item->ike.size;
		if (item->ike.forged)
			forged_packet(n, &ev);
		else
			node_packet(n, &ev);
		break;
	case SIM_ESP: dp_packet(n, item); break;
	case SIM_KEY:
		if (item->generation == n->generation)
			keys_answer(n, item);
		break;
	case SIM_DP: dp_done(n, item); break;
	case SIM_DP_EVENT:
		ev.type = item->dp_event.type;
		ev.child.slot = item->dp_event.slot;
		ev.child.outbound = item->dp_event.outbound;
		ev.child.local = item->dp_event.local;
		ev.child.remote = item->dp_event.remote;
		node_step(n, &ev);
		break;
	}
}
