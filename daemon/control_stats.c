/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control_stats: the dataplane's counters (dp_stats.h), read-only. The map's size is sealed; what
 * stands in it is the dataplane's, so every number that is used as an index or offset is copied
 * once and checked against the size.
 */
#include <string.h>
#include "base/log.h"
#include "daemon/control_int.h"

#define SAMPLE_EVERY span_s(1)

bool control_stats_attach(struct control *c, int fd, uint64_t size)
{
	struct control_stats *st = &c->stats;

	control_stats_fini(st);
	if (size < sizeof(struct dp_stats) || !shm_attach(&st->shm, fd, size, false)) {
		log_error("the dataplane's counters cannot be mapped");
		st->shm = (struct shm){.fd = -1};
		return false;
	}
	return true;
}

void control_stats_fini(struct control_stats *st)
{
	if (st->shm.map)
		shm_close(&st->shm);
	*st = (struct control_stats){.shm = {.fd = -1}};
}

uint64_t control_load(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

uint32_t control_load32(const uint32_t *fact)
{
	return __atomic_load_n(fact, __ATOMIC_RELAXED);
}

bool control_stats_view(const struct control *c, struct control_stats_view *v)
{
	const struct dp_stats *s = c->stats.shm.map;
	const uint64_t size = c->stats.shm.size;
	uint64_t sas, tunnels;

	if (!s || control_load32(&s->magic) != DP_STATS_MAGIC ||
	    control_load32(&s->version) != DP_STATS_VERSION)
		return false;
	v->s = s;
	v->n_workers = control_load32(&s->n_workers);
	v->n_ports = control_load32(&s->n_ports);
	v->n_reasons = control_load32(&s->n_reasons);
	v->n_suites = control_load32(&s->n_suites);
	v->max_sas = control_load32(&s->max_sas);
	v->max_tunnels = control_load32(&s->max_tunnels);
	sas = control_load(&s->sas_offset);
	tunnels = control_load(&s->tunnels_offset);
	if (v->n_workers > DP_STATS_MAX_WORKERS || v->n_ports > DP_STATS_MAX_PORTS ||
	    v->n_reasons > DP_STATS_MAX_REASONS || v->n_suites > DP_STATS_MAX_SUITES)
		return false;
	if (sas % 8 || sas > size || v->max_sas > (size - sas) / sizeof(struct dp_stats_sa) ||
	    tunnels % 8 || tunnels > size ||
	    v->max_tunnels > (size - tunnels) / sizeof(struct dp_stats_tunnel))
		return false;
	v->sas = (const struct dp_stats_sa *)((const char *)s + sas);
	v->tunnels = (const struct dp_stats_tunnel *)((const char *)s + tunnels);
	return true;
}

/* -------------------------------------------------------------------- rates */

static void take_sample(const struct control *c, struct mono now, struct control_sample *out)
{
	struct control_stats_view v;
	size_t i, j;

	*out = (struct control_sample){.at = now};
	if (!c->config || !control_stats_view(c, &v))
		return;
	for (i = 0; i < c->config->n_connections; i++) {
		for (j = 0; j < c->config->connections[i].n_tunnels; j++) {
			const uint32_t n = c->config->connections[i].tunnels[j].index;

			if (n >= v.max_tunnels)
				continue;
			out->in_packets += control_load(&v.tunnels[n].in_packets);
			out->in_bytes += control_load(&v.tunnels[n].in_bytes);
			out->out_packets += control_load(&v.tunnels[n].out_packets);
			out->out_bytes += control_load(&v.tunnels[n].out_bytes);
		}
	}
}

struct mono control_stats_deadline(const struct control *c)
{
	return c->stats.shm.map ? mono_add(c->stats.last.at, SAMPLE_EVERY) : MONO_NEVER;
}

void control_stats_turn(struct control *c, struct mono now)
{
	struct control_stats *st = &c->stats;

	if (!st->shm.map || !mono_reached(now, control_stats_deadline(c)))
		return;
	st->before = st->last;
	take_sample(c, now, &st->last);
}

/* Counters of a new dataplane, or of a tunnel that was removed, go back: then there is no rate. */
static uint64_t per_second(uint64_t later, uint64_t earlier, struct mono_span d)
{
	if (later < earlier || !d.ns)
		return 0;
	return (uint64_t)((double)(later - earlier) * 1e9 / (double)d.ns);
}

json_t *control_stats_rates(const struct control *c)
{
	const struct control_sample *a = &c->stats.before, *b = &c->stats.last;
	const struct mono_span d = a->at.ns ? mono_since(b->at, a->at) : span_ns(0);

	return json_pack("{s:o, s:o, s:o, s:o}", "in_bps",
			 control_count(8 * per_second(b->in_bytes, a->in_bytes, d)), "out_bps",
			 control_count(8 * per_second(b->out_bytes, a->out_bytes, d)), "in_pps",
			 control_count(per_second(b->in_packets, a->in_packets, d)), "out_pps",
			 control_count(per_second(b->out_packets, a->out_packets, d)));
}

/* -------------------------------------------------------------------- shows */

static void put(json_t *object, const char *name, const uint64_t *counter)
{
	json_object_set_new(object, name, control_count(control_load(counter)));
}

static json_t *offloads(const struct dp_stats_port *p)
{
	json_t *list = json_array();

	for (size_t i = 0; i < DP_STATS_MAX_OFFLOADS && p->offloads[i].name[0]; i++) {
		const struct dp_stats_offload *f = &p->offloads[i];
		json_t *o = json_object();

		json_object_set_new(o, "name", control_text(f->name, sizeof(f->name)));
		json_object_set_new(o, "state", control_text(f->state, sizeof(f->state)));
		json_array_append_new(list, o);
	}
	return list;
}

static json_t *port(const struct dp_stats_port *p)
{
	json_t *o = json_object();
	char mac[18];
	struct sb s = sb_of(mac, sizeof(mac));
	size_t i;

	for (i = 0; i < 6; i++)
		sb_printf(&s, "%s%02x", i ? ":" : "", p->mac[i]);
	json_object_set_new(o, "name", control_text(p->name, sizeof(p->name)));
	json_object_set_new(o, "device", control_text(p->device, sizeof(p->device)));
	json_object_set_new(o, "driver", control_text(p->driver, sizeof(p->driver)));
	json_object_set_new(o, "mirror", control_text(p->mirror, sizeof(p->mirror)));
	json_object_set_new(o, "mac", json_string(mac));
	json_object_set_new(o, "mtu", json_integer(p->mtu));
	json_object_set_new(o, "link_up", json_boolean(control_load32(&p->link_up)));
	/* What a driver does not know is all ones (RTE_ETH_SPEED_NUM_UNKNOWN). */
	json_object_set_new(o, "speed_mbps",
			    json_integer(control_load32(&p->speed_mbps) == UINT32_MAX
						 ? 0
						 : control_load32(&p->speed_mbps)));
	put(o, "rx_packets", &p->rx_packets);
	put(o, "rx_bytes", &p->rx_bytes);
	put(o, "rx_missed", &p->rx_missed);
	put(o, "rx_errors", &p->rx_errors);
	put(o, "tx_packets", &p->tx_packets);
	put(o, "tx_bytes", &p->tx_bytes);
	put(o, "tx_dropped", &p->tx_dropped);
	put(o, "to_linux", &p->to_linux);
	put(o, "from_linux", &p->from_linux);
	json_object_set_new(o, "offloads", offloads(p));
	put(o, "spi_rules", &p->spi_rules);
	put(o, "spi_rules_refused", &p->spi_rules_refused);
	return o;
}

static json_t *worker(const struct dp_stats_worker *w, uint32_t index)
{
	const uint64_t packets = control_load(&w->packets);
	json_t *o = json_object();

	json_object_set_new(o, "index", json_integer(index));
	json_object_set_new(o, "lcore", json_integer(control_load32(&w->lcore)));
	json_object_set_new(o, "asleep", json_boolean(control_load32(&w->asleep)));
	put(o, "polls", &w->polls);
	put(o, "busy_polls", &w->busy_polls);
	put(o, "handed", &w->handed);
	put(o, "spread", &w->spread);
	put(o, "taken_back", &w->taken_back);
	put(o, "helped", &w->helped);
	put(o, "sleeps", &w->sleeps);
	json_object_set_new(o, "packets", control_count(packets));
	json_object_set_new(o, "cycles_per_packet",
			    control_count(packets ? control_load(&w->busy_cycles) / packets : 0));
	return o;
}

static json_t *suite(const struct dp_stats_suite *s)
{
	json_t *o = json_object();

	json_object_set_new(o, "suite", control_text(s->suite, sizeof(s->suite)));
	json_object_set_new(o, "backend", control_text(s->backend, sizeof(s->backend)));
	return o;
}

json_t *control_stats_ports(const struct control *c)
{
	json_t *o, *ports, *workers, *suites;
	struct control_stats_view v;
	uint32_t i;

	if (!control_stats_view(c, &v))
		return NULL;
	ports = json_array();
	workers = json_array();
	suites = json_array();
	for (i = 0; i < v.n_ports; i++)
		json_array_append_new(ports, port(&v.s->ports[i]));
	for (i = 0; i < v.n_workers; i++)
		json_array_append_new(workers, worker(&v.s->workers[i], i));
	for (i = 0; i < v.n_suites; i++)
		json_array_append_new(suites, suite(&v.s->suites[i]));
	o = json_pack("{s:o, s:o, s:o}", "ports", ports, "workers", workers, "suites", suites);
	json_object_set_new(o, "aead_backend",
			    control_text(v.s->aead_backend, sizeof(v.s->aead_backend)));
	json_object_set_new(o, "eal", control_text(v.s->eal, sizeof(v.s->eal)));
	return o;
}

json_t *control_stats_drops(const struct control *c)
{
	json_t *o = json_object();
	struct control_stats_view v;
	char name[DP_STATS_NAME_SIZE + 1];
	uint64_t sum;
	uint32_t i, j;

	if (!control_stats_view(c, &v))
		return o;
	for (i = 0; i < v.n_reasons; i++) {
		memcpy(name, v.s->reasons[i], DP_STATS_NAME_SIZE);
		name[DP_STATS_NAME_SIZE] = 0;
		sum = 0;
		/* The manager counts behind the last worker. */
		for (j = 0; j <= v.n_workers; j++)
			sum += control_load(&v.s->workers[j].drops[i]);
		if (name[0])
			(void)json_object_set_new(o, name, control_count(sum));
	}
	return o;
}

void control_stats_add_tunnel(const struct control *c, uint32_t tunnel, json_t *object)
{
	static const struct dp_stats_tunnel none;
	struct control_stats_view v;
	const struct dp_stats_tunnel *t =
		control_stats_view(c, &v) && tunnel < v.max_tunnels ? &v.tunnels[tunnel] : &none;

	put(object, "mtu", &t->mtu);
	put(object, "path_mtu", &t->path_mtu);
	json_object_set_new(object, "path_mtu_learnt",
			    json_boolean(control_load(&t->path_mtu_learnt)));
	put(object, "in_packets", &t->in_packets);
	put(object, "in_bytes", &t->in_bytes);
	put(object, "out_packets", &t->out_packets);
	put(object, "out_bytes", &t->out_bytes);
	put(object, "in_dropped", &t->in_dropped);
	put(object, "out_dropped", &t->out_dropped);
	put(object, "in_translated", &t->in_translated);
	put(object, "out_translated", &t->out_translated);
}

void control_stats_add_sa(const struct control *c, uint32_t slot, json_t *object)
{
	static const struct dp_stats_sa none;
	struct control_stats_view v;
	const struct dp_stats_sa *s =
		control_stats_view(c, &v) && slot < v.max_sas ? &v.sas[slot] : &none;

	put(object, "in_packets", &s->in_packets);
	put(object, "in_bytes", &s->in_bytes);
	put(object, "out_packets", &s->out_packets);
	put(object, "out_bytes", &s->out_bytes);
	put(object, "out_seq", &s->out_seq);
	put(object, "in_seq_high", &s->in_seq_high);
	put(object, "in_auth_failed", &s->in_auth_failed);
	put(object, "in_replayed", &s->in_replayed);
	put(object, "in_late", &s->in_late);
	put(object, "in_ts_mismatch", &s->in_ts_mismatch);
	put(object, "in_malformed", &s->in_malformed);
	put(object, "out_mtu", &s->out_mtu);
	put(object, "out_path_mtu", &s->out_path_mtu);
}
