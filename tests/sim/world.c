/* SPDX-License-Identifier: Apache-2.0 */
/* world: the clock and the order of things. */
#include <stdlib.h>
#include <string.h>
#include "tests/sim/world.h"

static const struct ike_suite default_ike_suites[] = {
	{IKE_ENCR_AES_GCM_16, 256, IKE_PRF_HMAC_SHA2_384, IKE_INTEG_NONE, IKE_DH_CURVE25519, 0},
	{IKE_ENCR_AES_CBC, 256, IKE_PRF_HMAC_SHA2_256, IKE_INTEG_HMAC_SHA2_256_128,
	 IKE_DH_CURVE25519, 0},
};

static const struct ike_suite default_esp_suites[] = {
	{IKE_ENCR_AES_GCM_16, 256, 0, IKE_INTEG_NONE, IKE_DH_CURVE25519, IKE_ESN_YES},
	{IKE_ENCR_AES_GCM_16, 128, 0, IKE_INTEG_NONE, IKE_DH_CURVE25519, IKE_ESN_NO},
};

static void say_line(void *ctx, enum log_level level, const char *text)
{
	struct sim_node *n = ctx;
	struct world *w = n->w;

	(void)level;
	if (strstr(text, "(hard lifetime)"))
		n->expired_at = w->now;
	if (w->verbose)
		fprintf(stderr, "%10.3f %c %s\n", (double)w->now.ns / 1e9, 'A' + n->index, text);
	if (w->ladder)
		fprintf(w->ladder, "    %c  %s\n", 'A' + n->index, text);
}

static struct ike_id fqdn(const char *name)
{
	struct ike_id id = {.type = IKE_ID_FQDN, .size = (uint8_t)strlen(name)};

	memcpy(id.data, name, id.size);
	return id;
}

static struct ike_ts net(uint8_t a, uint8_t b, uint8_t c)
{
	return (struct ike_ts){ip_v4(a, b, c, 0), ip_v4(a, b, c, 255), 0, UINT16_MAX, 0};
}

static struct ike_tunnel_cfg default_cfg(int i)
{
	static const char *const ids[] = {"gw-a.example.net", "gw-b.example.net"};
	struct ike_tunnel_cfg c = {
		.name = "bore-1",
		.tunnel = 0,
		.local = i ? ip_v4(198, 51, 100, 1) : ip_v4(192, 0, 2, 1),
		.remote = i ? ip_v4(192, 0, 2, 1) : ip_v4(198, 51, 100, 1),
		.n_local_ts = 1,
		.n_remote_ts = 1,
		.ike_lifetime = span_s(8 * 3600),
		.child_lifetime = span_s(3600),
		.rekey_margin = span_s(270),
		.rekey_fuzz_percent = 100,
		.dpd_interval = span_s(10),
		.dpd_timeout = span_s(40),
		.dpd_action = IKE_DPD_RESTART,
		.startup = i ? IKE_STARTUP_ADD : IKE_STARTUP_START,
		.nat_keepalive = span_s(20),
		.replay_window = 1024,
		.fragment_size = 1280,
	};

	c.local_id = fqdn(ids[i]);
	c.remote_id = fqdn(ids[1 - i]);
	c.ike_algs = ike_algs_of(default_ike_suites, 2);
	c.esp_algs = ike_algs_of(default_esp_suites, 2);
	c.local_ts[0] = net(10, (uint8_t)(1 + i), 0);
	c.remote_ts[0] = net(10, (uint8_t)(2 - i), 0);
	return c;
}

void world_init(struct world *w, uint64_t seed)
{
	*w = (struct world){.seed = seed, .rng = {seed * 2654435761u + 1}};
	w->now = (struct mono){1000000000};
	w->faults.delay_us = 1000;
	w->esp_period_us = 5000;
	w->next_esp = w->next_traffic = w->now;
	for (int i = 0; i < SIM_NODES; i++) {
		struct sim_node *n = &w->node[i];

		n->w = w;
		n->index = i;
		n->rng.state = rng_u64(&w->rng);
		n->tracer = (struct tracer){n, say_line};
		n->addr = i ? ip_v4(198, 51, 100, 1) : ip_v4(192, 0, 2, 1);
		n->cfg[0] = default_cfg(i);
		n->n_tunnels = 1;
		n->limits = (struct ike_limits){1000, 100, 20, SIM_SLOTS};
		n->n_workers = 1;
		n->dp_delay_us = 200;
		n->key_delay_us = 500;
		n->off = true;
		memcpy(n->psk, "correct horse battery staple", 29);
	}
}

bool world_start(struct world *w)
{
	return node_power_on(&w->node[0]) && node_power_on(&w->node[1]);
}

void world_fini(struct world *w)
{
	for (int i = 0; i < SIM_NODES; i++) {
		ike_free(w->node[i].ike);
		w->node[i].ike = NULL;
		process_forget_all(&w->node[i]);
	}
	queue_fini(w);
	free(w->seen);
	w->seen = NULL;
}

static struct mono next_thing(const struct world *w)
{
	struct mono at = queue_deadline(w);

	for (int i = 0; i < SIM_NODES; i++) {
		if (w->node[i].ike)
			at = mono_min(at, node_deadline(&w->node[i]));
	}
	if (w->esp_period_us)
		at = mono_min(at, mono_min(w->next_esp, w->next_traffic));
	return at;
}

static void do_packets(struct world *w)
{
	if (!w->esp_period_us)
		return;
	if (mono_reached(w->now, w->next_esp)) {
		w->next_esp = mono_add(w->now, span_us(w->esp_period_us));
		for (int i = 0; i < SIM_NODES; i++)
			dp_send(&w->node[i]);
	}
	if (mono_reached(w->now, w->next_traffic)) {
		w->next_traffic = mono_add(w->now, span_ms(100));
		for (int i = 0; i < SIM_NODES; i++)
			dp_report_traffic(&w->node[i]);
	}
}

static void do_now(struct world *w)
{
	while (mono_reached(w->now, queue_deadline(w)) && !w->failure[0]) {
		struct sim_item *item = queue_pop(w);

		if (item->node >= 0 || net_deliver(w, item))
			node_receive(&w->node[item->node], item);
		queue_free(item);
	}
	for (int i = 0; i < SIM_NODES; i++)
		node_tick(&w->node[i]);
	for (int i = 0; i < SIM_NODES; i++) {
		if (w->node[i].crashed)
			process_restart(&w->node[i]);
	}
	do_packets(w);
}

bool world_until(struct world *w, bool (*done)(struct world *w), struct mono_span limit)
{
	const struct mono end = mono_add(w->now, limit);

	for (;;) {
		struct mono next;

		if (w->failure[0])
			return false;
		if (done && done(w))
			return true;
		next = next_thing(w);
		if (mono_before(end, next)) {
			w->now = end;
			return done == NULL;
		}
		if (mono_before(w->now, next))
			w->now = next;
		do_now(w);
	}
}

void world_run(struct world *w, struct mono_span d)
{
	world_until(w, NULL, d);
}
