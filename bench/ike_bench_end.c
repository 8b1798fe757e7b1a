/* SPDX-License-Identifier: Apache-2.0 */
/* ike_bench_end: one gateway, or all of the sites: a core, and what it wants done. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/mono.h"
#include "bench/ike_bench.h"
#include "ike/keys.h"

#define PSK "a pre-shared key of the benchmark, 40 b.."

struct mono bench_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (struct mono){(uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec};
}

/* Time that this thread has had: others on the machine do not count. */
static uint64_t cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* ------------------------------------------------------------------ actions */

/* Its action is lent until the step's actions are reset; the answer waits until then. */
static struct answer *answer_new(struct end *e, enum ike_event_type type, uint64_t request)
{
	struct answer *a;

	if (e->n_answers == BENCH_N_OF(e->answers)) {
		fprintf(stderr, "ike_bench: too many answers wait\n");
		exit(1);
	}
	a = &e->answers[e->n_answers++];
	*a = (struct answer){.type = type, .request = request, .ok = true};
	return a;
}

/* The key process: its work belongs to the establishment. */
static void answer_auth(struct end *e, const struct ike_action *act)
{
	struct answer *a = answer_new(e, IKE_EV_AUTH_RESULT, act->request);

	a->method = IKE_AUTH_METHOD_SHARED_KEY;
	if (e->own.key && act->type == IKE_ACT_AUTH_SIGN) {
		bench_sign(e, act, a);
		return;
	}
	if (e->own.key) {
		bench_verify(e, act, a);
		return;
	}
	a->auth_size = ike_prf_desc(act->auth.prf)->size;
	a->ok = ike_auth_psk(&e->crypto, (enum ike_prf)act->auth.prf, (const uint8_t *)PSK,
			     strlen(PSK), act->auth.octets, act->auth.octets_size, a->auth);
	if (act->type == IKE_ACT_AUTH_VERIFY)
		a->ok = a->ok && act->auth.auth_size == a->auth_size &&
			memcmp(a->auth, act->auth.auth, act->auth.auth_size) == 0;
}

static void carry_out(struct end *e, const struct ike_action *a)
{
	switch (a->type) {
	case IKE_ACT_SEND:
		if (e->sock >= 0)
			bench_sockets_send(e, a);
		else
			bench_null_send(e, a);
		break;
	case IKE_ACT_AUTH_SIGN:
	case IKE_ACT_AUTH_VERIFY: answer_auth(e, a); break;
	case IKE_ACT_CHILD_ADD_IN:
	case IKE_ACT_CHILD_ADD_OUT:
	case IKE_ACT_CHILD_SWITCH:
	case IKE_ACT_CHILD_DEL_IN:
	case IKE_ACT_CHILD_DEL_OUT:
	case IKE_ACT_CHILD_PEER:
		if (a->request)
			answer_new(e, IKE_EV_DP_RESULT, a->request);
		break;
	case IKE_ACT_TUNNEL_UP: e->n_up++; break;
	case IKE_ACT_PPK_MIX: e->failed = true; break; /* none is configured */
	case IKE_ACT_TUNNEL_DOWN: e->failed = true; break;
	case IKE_ACT_KEEPALIVE:
	case IKE_ACT_SAVE:
	case IKE_ACT_EVENT: break;
	}
}

static void carry_out_all(struct end *e)
{
	for (size_t i = 0; i < e->out.n; i++)
		carry_out(e, &e->out.actions[i]);
	ike_out_reset(&e->out);
}

/* One event, and the answers that its actions ask for. */
static void step(struct end *e, const struct ike_event *ev)
{
	ike_step(e->ike, ev, &e->out);
	carry_out_all(e);
	for (size_t i = 0; i < e->n_answers; i++) {
		struct answer a = e->answers[i];
		struct ike_event late = {.type = a.type, .now = bench_now()};

		if (a.type == IKE_EV_DP_RESULT) {
			late.dp.request = a.request;
			late.dp.ok = a.ok;
		} else {
			late.auth.request = a.request;
			late.auth.ok = a.ok;
			late.auth.auth = a.auth;
			late.auth.auth_size = a.auth_size;
			late.auth.method = a.method;
			late.auth.certs = &a.cert;
			late.auth.n_certs = a.cert.size > 0;
		}
		ike_step(e->ike, &late, &e->out);
		carry_out_all(e);
	}
	e->n_answers = 0;
}

void bench_step(struct end *e, const struct ike_event *ev)
{
	const uint64_t start = cpu_ns();

	step(e, ev);
	e->ns += cpu_ns() - start;
}

void bench_deliver(struct end *e, const struct ip_endpoint *local, const struct ip_endpoint *remote,
		   const uint8_t *data, size_t size)
{
	struct ike_event ev = {.type = IKE_EV_PACKET, .now = bench_now()};

	ev.packet.local = *local;
	ev.packet.remote = *remote;
	ev.packet.data = data;
	ev.packet.size = size;
	bench_step(e, &ev);
}

/* ----------------------------------------------------------------- gateways */

static struct ip_addr site_addr(uint32_t i)
{
	return ip_v4(10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i);
}

static struct ike_id id_of(const struct ip_addr *a)
{
	struct ike_id id = {.type = IKE_ID_IPV4_ADDR, .size = 4};

	memcpy(id.data, a->b, 4);
	return id;
}

static struct ike_id name_of(bool site)
{
	struct ike_id id = {.type = IKE_ID_FQDN};

	id.size = (uint8_t)snprintf((char *)id.data, sizeof(id.data), "%s.bench.example",
				    site ? "site" : "hub");
	return id;
}

static struct ike_tunnel_cfg tunnel_cfg(const struct mode *m, uint32_t i, bool initiator)
{
	const struct ip_addr hub = ip_v4(192, 0, 2, 1), site = site_addr(i);
	const struct ike_ts any = {ip_v4(0, 0, 0, 0), ip_v4(255, 255, 255, 255), 0, UINT16_MAX, 0};
	struct ike_tunnel_cfg c = {
		.tunnel = i,
		.local = initiator ? site : hub,
		.remote = initiator ? hub : site,
		.n_local_ts = 1,
		.n_remote_ts = 1,
		.ike_lifetime = span_s(8 * 3600),
		.child_lifetime = span_s(3600),
		.rekey_margin = span_s(270),
		.rekey_fuzz_percent = 100,
		.dpd_interval = span_s(600),
		.dpd_timeout = span_s(1800),
		.dpd_action = IKE_DPD_CLEAR,
		.startup = IKE_STARTUP_ADD,
		.replay_window = 1024,
	};

	snprintf(c.name, sizeof(c.name), "site-%u", i);
	c.local_id = id_of(&c.local);
	c.remote_id = id_of(&c.remote);
	c.ike_algs = ike_algs_of(&m->ike, 1);
	c.esp_algs = ike_algs_of(&m->esp, 1);
	c.local_ts[0] = c.remote_ts[0] = any;
	if (m->certificates) {
		c.local_auth = c.remote_auth = IKE_AUTH_BY_CERTIFICATE;
		c.local_id = name_of(initiator);
		c.remote_id = name_of(!initiator);
	}
	return c;
}

void bench_end_new(struct end *e, const struct mode *m, uint32_t n, bool initiator)
{
	const struct ike_limits limits = {
		.max_half_open = 4096,
		.cookie_threshold = 4096,
		.max_half_open_source = 4096,
		.max_children = 4 * BENCH_N_MAX,
	};

	*e = (struct end){.sock = -1, .initiator = initiator};
	if (m->certificates)
		e->own = *bench_identity(initiator);
	e->own.verdicts = m->again ? pki_cache_new(BENCH_LOAD) : NULL;
	ike_crypto_openssl(&e->crypto, NULL, NULL);
	e->ike = ike_new(&limits, &e->crypto, NULL);
	for (uint32_t i = 0; e->ike && i < n; i++) {
		const struct ike_tunnel_cfg c = tunnel_cfg(m, i, initiator);

		if (!ike_tunnel_set(e->ike, &c, bench_now(), &e->out)) {
			ike_free(e->ike);
			e->ike = NULL;
		}
		carry_out_all(e);
	}
	if (!e->ike) {
		fprintf(stderr, "ike_bench: out of memory\n");
		exit(1);
	}
}

void bench_initiate(struct end *e, uint32_t n, uint32_t *started)
{
	for (; *started < n && *started < e->n_up + BENCH_LOAD; ++*started) {
		struct ike_event ev = {.type = IKE_EV_INITIATE, .now = bench_now()};

		ev.tunnel.tunnel = *started;
		bench_step(e, &ev);
	}
}
