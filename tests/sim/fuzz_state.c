/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target of the state machine: the input's bytes are what happens to two gateways, one after
 * another: time, commands, faults of the network, messages that are edited under the right keys, made
 * up or repeated, keys and dataplanes that fail, processes that end and are resumed, configurations
 * that change. Whatever the order, no assertion fails, nothing leaks, state stays bounded, and in the
 * end a fresh start finds everything in order.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/secret.h"
#include "ike/ike_int.h"
#include "tests/sim/fuzz_bytes.h"
#include "tests/sim/liar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_EVENTS   120
#define MAX_RECORDED 32

static struct world the_world;
static struct liar liar;
static struct fuzz_bytes in;

static struct {
	struct ip_endpoint from;
	int to;
	size_t size;
	uint8_t data[2000];
} recorded[MAX_RECORDED];
static size_t n_recorded;

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "fuzz_state: %s: %s\n", what, the_world.failure);
	abort();
}

static struct sim_node *node_of(struct world *w, uint8_t byte)
{
	return &w->node[byte & 1];
}

static struct ike_sa *sa_of(struct sim_node *n)
{
	struct ike_tunnel *t = n->ike ? ike_tunnel_find(n->ike, 0) : NULL;
	struct ike_sa *sa = t ? ike_tunnel_sa(t) : NULL;

	if (!sa && t)
		sa = TAILQ_FIRST(&t->sas);
	return sa || !n->ike ? sa : TAILQ_FIRST(&n->ike->half_open);
}

/* ------------------------------------------------------------------ messages */

static void edit(struct liar_inner *m, const void *arg)
{
	const uint8_t *bytes;

	(void)arg;
	for (unsigned k = 1 + (fuzz_u8(&in) & 3); k--;) {
		const uint8_t what = fuzz_u8(&in);
		struct liar_payload *p = m->n ? &m->p[fuzz_u8(&in) % m->n] : NULL;
		size_t n;

		if (!p || (what & 7) == 0) {
			const uint8_t type = fuzz_u8(&in);

			n = fuzz_take(&in, fuzz_u8(&in), &bytes);
			if (m->n < LIAR_PAYLOADS - 4 && type != IKE_PL_NONE)
				liar_add(m, type, what & 128, bytes, n);
			continue;
		}
		switch (what & 7) {
		case 1: liar_drop(m, p->type); break;
		case 2:
			if (m->n < LIAR_PAYLOADS - 4)
				liar_add(m, p->type, p->flags, p->body, p->size);
			break;
		case 3: p->size = fuzz_u8(&in) % (p->size + 1); break;
		case 4: p->type = (uint8_t)(33 + fuzz_u8(&in) % 24); break;
		default:
			n = fuzz_u8(&in);
			if (p->size)
				p->body[n % p->size] ^= fuzz_u8(&in);
			break;
		}
	}
}

/* Keeps what is sent, for later, and lies as it was told to. */
static bool (*tell_lies)(struct world *w, int from, const uint8_t *data, size_t size);

static bool listen(struct world *w, int from, const uint8_t *data, size_t size)
{
	const size_t i = n_recorded % MAX_RECORDED;

	if (size <= sizeof(recorded[i].data)) {
		recorded[i].from = (struct ip_endpoint){w->node[from].addr, IKE_PORT};
		recorded[i].to = 1 - from;
		recorded[i].size = size;
		memcpy(recorded[i].data, data, size);
		n_recorded++;
	}
	return tell_lies(w, from, data, size);
}

static void deliver(struct world *w, struct sim_node *to, struct ip_endpoint from,
		    const uint8_t *data, size_t size)
{
	struct sim_item item = {.kind = SIM_IKE};
	uint8_t *exact = malloc(size ? size : 1);

	must(exact != NULL, "no memory");
	if (size)
		memcpy(exact, data, size);
	item.from = from;
	item.to = (struct ip_endpoint){to->addr,
				       from.port == IKE_PORT_NATT ? IKE_PORT_NATT : IKE_PORT};
	item.ike.data = exact;
	item.ike.size = size;
	if (to->ike)
		node_receive(to, &item);
	free(exact);
	(void)w;
}

static void repeat(struct world *w)
{
	const uint8_t which = fuzz_u8(&in), how = fuzz_u8(&in);
	uint8_t copy[sizeof(recorded[0].data)];
	struct ip_endpoint from;
	size_t i, size;

	if (!n_recorded)
		return;
	i = which % (n_recorded < MAX_RECORDED ? n_recorded : MAX_RECORDED);
	size = recorded[i].size;
	memcpy(copy, recorded[i].data, size);
	from = recorded[i].from;
	if (how & 1)
		copy[fuzz_u16(&in) % size] ^= fuzz_u8(&in);
	if (how & 2)
		size = fuzz_u16(&in) % (size + 1);
	if (how & 4)
		from.port = IKE_PORT_NATT;
	if (how & 8)
		from.addr.b[3] ^= 1;
	deliver(w, &w->node[recorded[i].to], from, copy, size);
}

/* Under the keys of whatever SA there is. */
static void invent(struct world *w)
{
	static uint64_t iv = 1ull << 62;
	const uint8_t how = fuzz_u8(&in), first = fuzz_u8(&in);
	struct sim_node *to = node_of(w, how);
	struct ike_sa *sa = sa_of(to);
	const bool response = how & 2;
	uint8_t buf[2000];
	struct ike_header h;
	const uint8_t *content;
	size_t n;

	if (!sa || !sa->keys.ei)
		return;
	h = (struct ike_header){
		.spi_i = sa->spi_i,
		.spi_r = sa->spi_r,
		.version = IKE_VERSION_2,
		.exchange = (uint8_t)(IKE_SA_INIT + (how >> 4)),
		.flags = (uint8_t)((sa->initiator ? 0 : IKE_FLAG_INITIATOR) |
				   (response ? IKE_FLAG_RESPONSE : 0)),
		.message_id = (response ? sa->req.mid : sa->rx_mid) + (how >> 2 & 1),
	};
	n = fuzz_take(&in, fuzz_u8(&in), &content);
	n = ike_sk_seal(&sa->ike->crypto, &sa->suite, ike_sa_rx_keys(sa), &iv, &h, first, content,
			n, buf, sizeof(buf));
	if (n)
		deliver(w, to, (struct ip_endpoint){w->node[1 - to->index].addr, IKE_PORT}, buf, n);
}

/* -------------------------------------------------------------------- events */

static void command(struct world *w)
{
	static const enum ike_event_type commands[] = {IKE_EV_REKEY_CHILD, IKE_EV_REKEY_IKE,
						       IKE_EV_INITIATE, IKE_EV_TERMINATE};
	const uint8_t what = fuzz_u8(&in);

	node_event(node_of(w, what), commands[what >> 1 & 3], what >> 3 & 1);
}

static void change(struct world *w)
{
	const uint8_t what = fuzz_u8(&in);
	struct sim_node *n = node_of(w, what);
	struct ike_tunnel_cfg *c = &n->cfg[0];

	if (!n->ike || n->crashed)
		return;
	switch (what >> 1 & 15) {
	case 0: node_remove_tunnel(n, 0); break;
	case 1: c->dpd_action = (enum ike_dpd_action)(fuzz_u8(&in) % 3); break;
	case 2: c->startup = (enum ike_startup)(fuzz_u8(&in) & 1); break;
	case 3: c->local_ts[0].last.b[3] = fuzz_u8(&in); break;
	case 4: c->remote_ts[0].last.b[3] = fuzz_u8(&in); break;
	case 5: c->fragment_size = (uint16_t)(fuzz_u8(&in) ? 600 : 0); break;
	case 6: c->child_lifetime = span_s(1 + fuzz_u8(&in)); break;
	case 7: c->ike_lifetime = span_s(1 + fuzz_u16(&in)); break;
	case 8: c->dpd_interval = span_ms(100 + fuzz_u8(&in) * 100u); break;
	case 9: c->encap = (enum ike_encap)(fuzz_u8(&in) & 1); break;
	case 10: c->mobike = !c->mobike; break;
	case 11: c->childless = !c->childless; break;
	case 12:
		c->ike_algs.by_type[IKE_TRANSFORM_DH] = (struct ike_alg_list){
			2,
			{{fuzz_u8(&in) & 1 ? IKE_DH_ECP_256 : IKE_DH_CURVE25519, 0},
			 {IKE_DH_CURVE25519, 0}}};
		break;
	default: break;
	}
	node_set_tunnel(n, 0);
}

static void keys_and_planes(struct world *w)
{
	const uint8_t what = fuzz_u8(&in);
	struct sim_node *n = node_of(w, what);

	switch (what >> 1 & 15) {
	case 0: n->psk[0] ^= 1; break;
	case 1: n->psk[0] = '\0'; break;
	case 2: memcpy(n->psk, "correct horse battery staple", 29); break;
	case 3: n->dp_fails = true; break;
	case 4: n->dp_deaf = !n->dp_deaf; break;
	case 5:
		if (n->ike)
			dp_restart(n);
		break;
	case 6: n->dp_delay_us = fuzz_u8(&in) * 1000u; break;
	case 7: n->key_delay_us = fuzz_u8(&in) * 10000u; break;
	default: break;
	}
}

static void process(struct world *w)
{
	const uint8_t what = fuzz_u8(&in);
	struct sim_node *n = node_of(w, what);

	switch (what >> 1 & 3) {
	case 0:
		if (n->ike && !n->crashed)
			process_restart(n);
		break;
	case 1: n->crash_in = 1 + (fuzz_u8(&in) & 31); break;
	case 2:
		if (!n->off)
			node_power_off(n);
		must(node_power_on(n), "no start");
		break;
	default: n->clock_ahead_ns += fuzz_u16(&in) * 1000000ull; break;
	}
}

/* Answers to questions that nobody asked, or that are asked still; events of any slot. */
static void strange_event(struct world *w)
{
	static const enum ike_event_type types[] = {
		IKE_EV_AUTH_RESULT, IKE_EV_DP_RESULT,   IKE_EV_CHILD_FIRST_IN, IKE_EV_CHILD_SOFT,
		IKE_EV_CHILD_HARD,  IKE_EV_CHILD_MOVED, IKE_EV_TRUST,          IKE_EV_DP_INVENTORY,
		IKE_EV_TRAFFIC,     IKE_EV_TICK,        IKE_EV_RELOADED};
	const uint8_t what = fuzz_u8(&in);
	struct sim_node *n = node_of(w, what);
	struct ike_event ev = {.type = types[(what >> 1) % 11], .now = node_now(n)};
	const uint8_t *bytes;
	size_t size;

	switch ((what >> 1) % 11) {
	case 0:
		ev.auth.request = fuzz_u16(&in);
		ev.auth.method = fuzz_u8(&in);
		ev.auth.auth_size = fuzz_take(&in, fuzz_u8(&in), &ev.auth.auth);
		break;
	case 1: ev.dp.request = fuzz_u16(&in); break;
	case 2:
	case 3:
	case 4:
	case 5:
		ev.child.slot = fuzz_u8(&in);
		ev.child.outbound = fuzz_u8(&in) & 1;
		ev.child.local = (struct ip_endpoint){n->addr, IKE_PORT_NATT};
		ev.child.remote = (struct ip_endpoint){ip_v4(203, 0, 113, fuzz_u8(&in)), 4500};
		break;
	case 6:
		size = fuzz_take(&in, 40, &bytes);
		ev.trust.cas = bytes;
		ev.trust.n_cas = size / 20;
		break;
	case 8: ev.traffic.in = ev.traffic.out = true; break;
	default: break;
	}
	node_step(n, &ev);
}

static void one_event(struct world *w)
{
	const uint8_t what = fuzz_u8(&in);

	switch (what & 15) {
	case 0:
	case 1: world_run(w, span_us(fuzz_u8(&in) * 100u)); break;
	case 2: world_run(w, span_ms(fuzz_u8(&in) * 10u)); break;
	case 3: world_run(w, span_s(fuzz_u8(&in) & 63)); break;
	case 4:
	case 5: command(w); break;
	case 6:
		w->faults.loss = what & 16 ? 30 : 0;
		w->faults.duplicate = what & 32 ? 50 : 0;
		w->faults.jitter_us = what & 64 ? 20000 : 0;
		w->faults.cut = what & 128;
		break;
	case 7:
	case 8:
		liar.from = what & 16 ? 1 : what & 32 ? 0 : -1;
		liar.response = what & 64;
		liar.times = 1 + (what >> 7);
		break;
	case 9: repeat(w); break;
	case 10: invent(w); break;
	case 11: keys_and_planes(w); break;
	case 12: process(w); break;
	case 13: change(w); break;
	case 14: strange_event(w); break;
	default: {
		const uint8_t *bytes;
		const size_t n = fuzz_take(&in, fuzz_u8(&in), &bytes);

		deliver(w, node_of(w, what >> 4),
			(struct ip_endpoint){w->node[1 - (what >> 4 & 1)].addr, IKE_PORT}, bytes,
			n);
		break;
	}
	}
	for (int i = 0; i < SIM_NODES; i++) {
		const struct sim_count c = count_sas(&w->node[i], 0);

		must(c.child <= SIM_SLOTS && c.ike <= 64, "too many SAs");
	}
	must(!w->failure[0], "broken");
}

/* No more trouble: whoever starts anew is up again within the time that a dead peer needs. */
static void must_recover(struct world *w)
{
	w->filter = NULL;
	w->faults = (struct sim_faults){.delay_us = 1000};
	for (int i = 0; i < SIM_NODES; i++) {
		struct sim_node *n = &w->node[i];

		memcpy(n->psk, "correct horse battery staple", 29);
		n->dp_deaf = n->dp_fails = false;
		n->dp_delay_us = 200;
		n->key_delay_us = 500;
		n->crash_in = 0;
		if (!n->off)
			node_power_off(n);
		n->cfg[0] = w->node[i].cfg[1];
		must(node_power_on(n), "no start");
	}
	must(world_until(w, settled, span_s(165)), "not settled");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool ready;
	struct world *w = &the_world;
	uint8_t start;

	if (!ready)
		must(secret_init(), "no secrets");
	ready = true;
	if (size < 4 || size > 4096)
		return 0;
	in = (struct fuzz_bytes){data, size};
	start = fuzz_u8(&in);
	n_recorded = 0;
	world_init(w, start >> 4);
	w->esp_period_us = 0;
	w->verbose = getenv("SIM_VERBOSE") != NULL;
	for (int i = 0; i < SIM_NODES; i++) {
		w->node[i].kem = SIM_KEM_FAKE;
		w->node[i].cfg[1] = w->node[i].cfg[0]; /* as it was; n_tunnels stays 1 */
	}
	liar = (struct liar){.from = -1, .edit = edit};
	liar_install(w, &liar);
	tell_lies = w->filter;
	w->filter = listen;
	if (start & 1)
		net_use_nat(w);
	if (start & 2)
		w->node[1].limits.cookie_threshold = 0;
	must(world_start(w), "no start");
	if (!(start & 4))
		world_run(w, span_ms(20));
	for (unsigned n = 0; n < MAX_EVENTS && fuzz_more(&in); n++)
		one_event(w);
	if (start & 8 && !w->nat)
		must_recover(w);
	world_fini(w);
	return 0;
}
