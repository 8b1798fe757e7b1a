/* SPDX-License-Identifier: Apache-2.0 */
/* dataplane: a node's halves of SAs, and the packets that use them. */
#include <stdlib.h>
#include <string.h>
#include "tests/sim/world.h"

/* Where ESP comes from that has a source port for each flow. */
#define FLOW_PORT_FIRST 49152u
#define FLOW_PORTS      16384u

static uint64_t digest(const uint8_t *data, size_t size)
{
	uint64_t h = 0xcbf29ce484222325ull;

	for (size_t i = 0; i < size; i++)
		h = (h ^ data[i]) * 0x100000001b3ull;
	return h;
}

static void forget_tunnel(struct sim_node *n, size_t t)
{
	n->current[t] = SIM_NONE;
	for (size_t i = 0; i < SIM_WORKERS; i++)
		n->own[t][i] = SIM_NONE;
}

void dp_clear(struct sim_node *n)
{
	memset(n->in, 0, sizeof(n->in));
	memset(n->out_half, 0, sizeof(n->out_half));
	for (size_t t = 0; t < SIM_TUNNELS; t++)
		forget_tunnel(n, t);
	n->dp_epoch++;
	n->n_dp_pending = 0;
}

void dp_request(struct sim_node *n, const struct ike_action *a)
{
	const uint64_t d = n->dp_delay_us + rng_below(&n->w->rng, n->dp_jitter_us + 1);
	struct mono at = mono_add(n->w->now, span_us(d));
	struct sim_item *item;

	if (mono_before(at, n->dp_last))
		at = n->dp_last; /* in order, as the ring keeps it */
	item = queue_new(n->w, SIM_DP, n->index, (mono_since(at, n->w->now).ns + 999) / 1000);
	n->dp_last = item->at;
	item->dp.act = *a;
	item->dp.epoch = n->dp_epoch;
	item->dp.ok = !(n->dp_fails && a->type == IKE_ACT_CHILD_ADD_IN);
	if (!item->dp.ok)
		n->dp_fails = false;
	n->n_dp_pending++;
}

static void set_half(struct sim_half *h, const struct ike_action *a, uint32_t spi, struct mono now)
{
	*h = (struct sim_half){
		.on = true,
		.spi = spi,
		.key = digest(a->child.key, sizeof(a->child.key)) ^
		       digest(a->child.integ_key, sizeof(a->child.integ_key)),
		.tunnel = a->child.tunnel,
		.udp = a->child.udp_encap,
		.ports_vary = a->child.ports_vary,
		.local = a->child.local,
		.remote = a->child.remote,
		.added = now,
	};
}

static void add_in(struct sim_node *n, const struct ike_action *a)
{
	struct sim_half *h = &n->in[a->child.slot];

	if (h->on)
		fail_world(n->w, "node %d: inbound slot %u is in use", n->index, a->child.slot);
	if ((a->child.spi_in & 0xfffff) != a->child.slot || a->child.spi_in < 256)
		fail_world(n->w, "node %d: SPI %08x does not carry slot %u", n->index,
			   a->child.spi_in, a->child.slot);
	if (a->child.resource > n->n_workers)
		fail_world(n->w, "node %d: inbound slot %u is worker %u's of %u", n->index,
			   a->child.slot, a->child.resource, n->n_workers);
	set_half(h, a, a->child.spi_in, n->w->now);
	h->owner = a->child.resource;
	n->installed[a->child.slot].spi = a->child.spi_in;
	n->installed[a->child.slot].at = n->w->now;
}

static void add_out(struct sim_node *n, const struct ike_action *a)
{
	struct sim_half *h = &n->out_half[a->child.slot];

	if (h->on)
		fail_world(n->w, "node %d: outbound slot %u is in use", n->index, a->child.slot);
	if (!n->in[a->child.slot].on)
		fail_world(n->w, "node %d: outbound half before the inbound one", n->index);
	set_half(h, a, a->child.spi_out, n->w->now);
	check_key(n->w, h->key);
}

/* An outbound half is one worker's for its life, as the dataplane has it. */
static bool own(struct sim_node *n, const struct ike_action *a)
{
	struct sim_half *out = &n->out_half[a->child.slot];
	const uint32_t r = a->child.resource;
	const unsigned worker = r ? r : a->child.tunnel % n->n_workers + 1;

	if (r > n->n_workers) {
		fail_world(n->w, "node %d: switch of worker %u of %u", n->index, r, n->n_workers);
		return false;
	}
	if (out->owner && out->owner != worker) {
		fail_world(n->w, "node %d: slot %u is worker %u's, and was given to %u", n->index,
			   a->child.slot, out->owner, worker);
		return false;
	}
	if (n->in[a->child.slot].owner != r)
		fail_world(n->w, "node %d: slot %u sends by worker %u and receives by %u", n->index,
			   a->child.slot, r, n->in[a->child.slot].owner);
	out->owner = worker;
	return true;
}

static void switch_to(struct sim_node *n, const struct ike_action *a)
{
	const uint32_t slot = a->child.slot, t = a->child.tunnel;

	if (!n->out_half[slot].on || !n->in[slot].on)
		fail_world(n->w, "node %d: switch to slot %u without both halves", n->index, slot);
	if (!own(n, a))
		return;
	if (a->child.resource)
		n->own[t][a->child.resource - 1] = slot;
	else
		n->current[t] = slot;
}

static void apply(struct sim_node *n, const struct ike_action *a)
{
	const uint32_t slot = a->child.slot, t = a->child.tunnel;
	struct sim_half *in = &n->in[slot], *out = &n->out_half[slot];

	switch (a->type) {
	case IKE_ACT_CHILD_ADD_IN: add_in(n, a); break;
	case IKE_ACT_CHILD_ADD_OUT: add_out(n, a); break;
	case IKE_ACT_CHILD_SWITCH: switch_to(n, a); break;
	case IKE_ACT_CHILD_DEL_IN:
		/* Nobody is told of a refusal before a delete may be on its way. */
		if (!in->on && !in->refused)
			fail_world(n->w, "node %d: delete of absent inbound slot %u", n->index,
				   slot);
		in->on = in->refused = false;
		break;
	case IKE_ACT_CHILD_DEL_OUT:
		if (!out->on)
			fail_world(n->w, "node %d: delete of absent outbound slot %u", n->index,
				   slot);
		out->on = false;
		if (n->current[t] == slot)
			n->current[t] = SIM_NONE;
		for (size_t i = 0; i < SIM_WORKERS; i++) {
			if (n->own[t][i] == slot)
				n->own[t][i] = SIM_NONE;
		}
		break;
	case IKE_ACT_CHILD_PEER:
		out->local = a->child.local;
		out->remote = a->child.remote;
		out->udp = a->child.udp_encap;
		break;
	case IKE_ACT_SEND:
	case IKE_ACT_KEEPALIVE:
	case IKE_ACT_AUTH_SIGN:
	case IKE_ACT_AUTH_VERIFY:
	case IKE_ACT_PPK_MIX:
	case IKE_ACT_TUNNEL_UP:
	case IKE_ACT_TUNNEL_DOWN:
	case IKE_ACT_SAVE:
	case IKE_ACT_EVENT: break;
	}
}

void dp_done(struct sim_node *n, struct sim_item *item)
{
	const struct ike_action *a = &item->dp.act;
	struct ike_event ev = {.type = IKE_EV_DP_RESULT, .now = node_now(n)};

	if (item->dp.epoch != n->dp_epoch)
		return; /* for a dataplane that is no more */
	n->n_dp_pending--;
	if (n->w->verbose)
		fprintf(stderr, "%10.3f %c dataplane: %d of slot %u, %s\n",
			(double)n->w->now.ns / 1e9, 'A' + n->index, (int)a->type, a->child.slot,
			item->dp.ok ? "done" : "refused");
	if (a->child.slot >= SIM_SLOTS || a->child.tunnel >= SIM_TUNNELS) {
		fail_world(n->w, "node %d: slot %u or tunnel %u out of range", n->index,
			   a->child.slot, a->child.tunnel);
		return;
	}
	if (item->dp.ok)
		apply(n, a);
	else
		n->in[a->child.slot] = (struct sim_half){.refused = true};
	if (!a->request || n->dp_deaf || item->generation != n->generation)
		return;
	ev.dp.request = a->request;
	ev.dp.ok = item->dp.ok;
	node_step(n, &ev);
}

void dp_drain(struct sim_node *n)
{
	struct sim_item *item;

	while ((item = queue_take_node(n->w, n->index, SIM_DP))) {
		dp_done(n, item);
		queue_free(item);
	}
}

void dp_lose(struct sim_node *n)
{
	dp_clear(n);
	for (size_t t = 0; t < SIM_TUNNELS; t++)
		n->down_at[t] = n->w->now;
}

void dp_restart(struct sim_node *n)
{
	const struct ike_event ev = {.type = IKE_EV_DP_RESTARTED, .now = node_now(n)};

	dp_lose(n);
	node_step(n, &ev);
	node_tick(n);
}

/* ------------------------------------------------------------------------- ESP */

static bool send_by(struct sim_node *n, uint32_t t, struct sim_half *h, uint8_t *inner, size_t size)
{
	struct sim_node *other = &n->w->node[1 - n->index];
	struct sim_item packet = {0};

	packet.from = h->local;
	packet.to = h->remote;
	if (h->ports_vary && h->udp) /* by flows, which are of one packet each */
		packet.from.port = (uint16_t)(FLOW_PORT_FIRST + h->next * 9973 % FLOW_PORTS);
	packet.esp.spi = h->spi;
	packet.esp.key = h->key;
	packet.esp.number = ++h->next;
	packet.esp.made = h->added;
	packet.esp.tunnel = t;
	packet.esp.both_up = n->up[t] && other->up[t];
	n->n_esp_sent++;
	packet.esp.inner = inner;
	packet.esp.inner_size = size;
	n->traffic_out[t] = true;
	return net_send_esp(n->w, &packet, n->index);
}

bool dp_send_inner(struct sim_node *n, uint32_t t, const void *inner, size_t size)
{
	const uint32_t slot = n->current[t];
	uint8_t *copy;

	if (slot >= SIM_SLOTS || !n->out_half[slot].on)
		return false;
	copy = malloc(size);
	if (!copy)
		abort();
	memcpy(copy, inner, size);
	if (send_by(n, t, &n->out_half[slot], copy, size))
		return true;
	free(copy);
	return false;
}

/* Each worker by its own, or by the common one. */
void dp_send(struct sim_node *n)
{
	for (uint32_t t = 0; t < n->n_tunnels; t++) {
		const uint32_t slot = n->current[t];
		struct sim_half *h = slot < SIM_SLOTS ? &n->out_half[slot] : NULL;

		if (!h || !h->on) {
			if (n->up[t] && !n->n_dp_pending)
				fail_world(n->w,
					   "node %d: tunnel %u is up and has no outbound half",
					   n->index, t);
			continue;
		}
		for (unsigned i = 0; i < n->n_workers; i++) {
			const uint32_t mine = n->own[t][i];

			n->n_own_sent += mine != SIM_NONE;
			send_by(n, t, mine == SIM_NONE ? h : &n->out_half[mine], NULL, 0);
		}
	}
}

static void tell(struct sim_node *n, enum ike_event_type type, uint32_t slot,
		 const struct sim_item *p)
{
	struct sim_item *ev = queue_new(n->w, SIM_DP_EVENT, n->index, 100);

	ev->dp_event.type = type;
	ev->dp_event.slot = slot;
	ev->dp_event.local = p->to;
	ev->dp_event.remote = p->from;
}

void dp_packet(struct sim_node *n, const struct sim_item *p)
{
	struct world *w = n->w;
	struct sim_node *sender = &w->node[p->esp.sender];
	const uint32_t slot = p->esp.spi & 0xfffff, t = p->esp.tunnel;
	struct sim_half *h = slot < SIM_SLOTS ? &n->in[slot] : NULL;
	struct ip_endpoint from;

	if (h && h->on && h->spi == p->esp.spi && h->key != p->esp.key) {
		/* Of an SA that this end has lost since: its SPI was drawn again, one in 4,096. */
		if (h->tunnel == t && !mono_before(p->esp.made, n->down_at[t]))
			fail_world(w, "SPI %08x: the two ends hold different keys", p->esp.spi);
		n->n_esp_excused++;
		return;
	}
	if (h && h->on && h->spi == p->esp.spi) {
		n->n_esp_received++;
		sender->carried[t] = true;
		n->traffic_in[t] = true;
		n->heard_at[t] = w->now;
		if (!h->seen)
			tell(n, IKE_EV_CHILD_FIRST_IN, slot, p);
		if (p->from.port >= FLOW_PORT_FIRST && !h->ports_vary)
			fail_world(w, "node %d: ESP from port %u, which was not agreed on",
				   n->index, p->from.port);
		from = p->from;
		if (h->ports_vary)
			from.port = h->remote.port;
		if (h->udp && !ip_endpoint_equal(&h->remote, &from)) {
			tell(n, IKE_EV_CHILD_MOVED, slot, p);
			h->remote = from;
		}
		h->seen = true;
		if (p->esp.inner && w->inside)
			w->inside(w, n->index, t, p->esp.inner, p->esp.inner_size);
		return;
	}
	/* The one that brought the sender up may be faster than what follows at the receiver. */
	if (h && n->installed[slot].spi != p->esp.spi &&
	    !mono_before(sender->up_at[t], p->esp.made)) {
		n->n_esp_excused++;
		return;
	}
	/* The pair that brought the sender up was refused at this end: it never had a better one. */
	if (!sender->carried[t]) {
		n->n_esp_excused++;
		return;
	}
	/* Lost with the dataplane that had it, and the peer has not heard of that yet. */
	if (h && n->installed[slot].spi == p->esp.spi &&
	    mono_before(n->installed[slot].at, n->down_at[t])) {
		n->n_esp_excused++;
		return;
	}
	/* Made while we were down, and lost to us before we came up: the sender has heard of that, or
	 * does with the first packet from here, and then its dataplane must follow. Or made since, and
	 * the sender has had no pair yet that both ends hold, as what it held went down with us: then it
	 * takes an answer of IKE_AUTH, which may have to be asked for again. */
	if ((mono_before(p->esp.made, n->up_at[t]) &&
	     mono_since(w->now, n->up_at[t]).ns < span_s(2).ns) ||
	    (mono_before(n->heard_at[t], n->up_at[t]) &&
	     mono_since(w->now, n->up_at[t]).ns < span_s(5).ns)) {
		n->n_esp_excused++;
		return;
	}
	/* An SA ends with its hard lifetime, whatever that costs, and a successor must do. */
	if (mono_since(w->now, sender->expired_at).ns < span_s(30).ns) {
		n->n_esp_excused++;
		return;
	}
	if (h && n->installed[slot].spi == p->esp.spi &&
	    mono_since(w->now, n->installed[slot].at).ns + span_s(2).ns >
		    n->cfg[t].child_lifetime.ns) {
		n->n_esp_excused++;
		return;
	}
	if (mono_since(w->now, p->esp.made).ns + span_s(2).ns > n->cfg[t].child_lifetime.ns) {
		n->n_esp_excused++;
		return;
	}
	/* Not accepted: nobody may notice, unless both ends called the tunnel usable all along. */
	if (!p->esp.both_up || !n->up[t] || !sender->up[t] ||
	    mono_before(p->esp.made, n->down_at[t]) ||
	    mono_before(p->esp.made, sender->down_at[t])) {
		n->n_esp_excused++;
		return;
	}
	fail_world(w, "node %d lost packet %llu of SPI %08x: no inbound half", n->index,
		   (unsigned long long)p->esp.number, p->esp.spi);
}

void dp_report_traffic(struct sim_node *n)
{
	for (uint32_t t = 0; t < n->n_tunnels; t++) {
		struct ike_event ev = {.type = IKE_EV_TRAFFIC, .now = node_now(n)};

		if (!n->traffic_in[t] && !n->traffic_out[t])
			continue;
		ev.traffic.tunnel = t;
		ev.traffic.in = n->traffic_in[t];
		ev.traffic.out = n->traffic_out[t];
		n->traffic_in[t] = n->traffic_out[t] = false;
		node_step(n, &ev);
	}
}
