/* SPDX-License-Identifier: Apache-2.0 */
/* stats: formats and fills the shared counters. See stats.h. */
#include "dataplane/stats.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <rte_cycles.h>
#include <rte_ethdev.h>
#include "dataplane/aeads.h"
#include "dataplane/dp.h"

static const char *const own_names[] = {
#define X(name, text) text,
	DP_DROPS(X) DP_NOTES(X)
#undef X
};

const char *dp_drop_name(unsigned reason)
{
	if (reason < DP_N_ESP_DROPS)
		return esp_drop_name((enum esp_drop)(reason + 1));
	return reason < DP_NOTE_END ? own_names[reason - DP_N_ESP_DROPS] : "unknown";
}

bool dp_stats_attach(struct dp *dp, int fd, uint64_t size)
{
	const struct config *c = dp->config;
	struct dp_stats *s;

	if (size != dp_stats_size(c->max_sas, c->max_tunnels)) {
		close(fd);
		return false;
	}
	if (dp->stats) {
		close(fd); /* one map for a process's life */
		return true;
	}
	if (!shm_attach(&dp->stats_shm, fd, size, true))
		return false;
	s = dp->stats = dp->stats_shm.map;
	memset(s, 0, size);
	s->max_sas = c->max_sas;
	s->max_tunnels = c->max_tunnels;
	s->n_workers = c->n_workers;
	s->n_reasons = DP_NOTE_END;
	for (unsigned i = 0; i < DP_NOTE_END; i++)
		snprintf(s->reasons[i], sizeof(s->reasons[i]), "%s", dp_drop_name(i));
	s->sas_offset = (sizeof(*s) + 127) & ~(uint64_t)127;
	s->tunnels_offset = s->sas_offset + (uint64_t)c->max_sas * sizeof(struct dp_stats_sa);
	s->pid = (uint32_t)getpid();
	s->version = DP_STATS_VERSION;
	for (uint32_t i = 0; i < c->max_tunnels; i++)
		dp_stats_tunnels(dp)[i].current_slot = DP_SLOT_NONE;
	dp->mgr_stats = &s->workers[c->n_workers];
	return true;
}

static_assert(ESP_N_SUITES <= DP_STATS_MAX_SUITES, "room for every suite");

static void suites_publish(struct dp *dp)
{
	struct dp_stats *s = dp->stats;

	for (size_t i = 0; i < ESP_N_SUITES; i++) {
		const struct esp_suite suite = esp_suite_at(i);
		const char *name = dp_aeads_name(&dp->esp, &suite);
		struct dp_stats_suite *o = &s->suites[s->n_suites];
		char text[ESP_SUITE_STRLEN];

		if (!name[0])
			continue;
		snprintf(o->suite, sizeof(o->suite), "%s", esp_suite_format(&suite, text));
		snprintf(o->backend, sizeof(o->backend), "%s", name);
		s->n_suites++;
		if (suite.encr == ESP_ENCR_AES_GCM_16 && suite.encr_key_bits == 256)
			snprintf(s->aead_backend, sizeof(s->aead_backend), "%s", name);
	}
}

void dp_stats_publish(struct dp *dp)
{
	struct dp_stats *s = dp->stats;

	s->n_ports = dp->n_ports;
	s->tsc_hz = rte_get_tsc_hz();
	s->started_ns = mono_now().ns;
	suites_publish(dp);
	snprintf(s->eal, sizeof(s->eal), "%s, %u MiB, %u worker%s",
		 dp->hugepages ? "hugepages" : "no hugepages", dp->config->memory_mb, dp->n_workers,
		 dp->n_workers == 1 ? "" : "s");
	for (unsigned i = 0; i < dp->n_workers; i++)
		s->workers[i].lcore = dp->workers[i]->lcore;
	for (unsigned i = 0; i < dp->n_ports; i++) {
		const struct dp_port *p = &dp->ports[i];
		struct dp_stats_port *o = &s->ports[i];

		snprintf(o->name, sizeof(o->name), "%s", p->cfg->name);
		snprintf(o->device, sizeof(o->device), "%.63s", p->cfg->device);
		snprintf(o->driver, sizeof(o->driver), "%s", p->driver);
		snprintf(o->mirror, sizeof(o->mirror), "%s", p->mirror.ifname);
		memcpy(o->mac, p->mac.addr_bytes, sizeof(o->mac));
		o->mtu = p->mtu;
		static_assert(DP_OFFLOAD_END <= DP_STATS_MAX_OFFLOADS, "room for all");
		for (unsigned f = 0; f < DP_OFFLOAD_END; f++) {
			snprintf(o->offloads[f].name, sizeof(o->offloads[f].name), "%s",
				 dp_offload_name(f));
			snprintf(o->offloads[f].state, sizeof(o->offloads[f].state), "%s",
				 dp_offload_state_name(p->offloads.state[f]));
		}
	}
	dp_stats_tick(dp);
	__atomic_store_n(&s->magic, DP_STATS_MAGIC, __ATOMIC_RELEASE);
}

static void put(uint64_t *to, uint64_t v)
{
	__atomic_store_n(to, v, __ATOMIC_RELAXED);
}

static void port_tick(struct dp *dp, struct dp_port *p, struct dp_stats_port *o)
{
	struct dp_worker_port sum = {0};
	struct rte_eth_stats eth;
	struct rte_eth_link link = {0};
	bool up;

	for (unsigned i = 0; i < dp->n_workers; i++) {
		const struct dp_worker_port *w = &dp->workers[i]->port[p->index];

		sum.rx_packets += __atomic_load_n(&w->rx_packets, __ATOMIC_RELAXED);
		sum.rx_bytes += __atomic_load_n(&w->rx_bytes, __ATOMIC_RELAXED);
		sum.tx_packets += __atomic_load_n(&w->tx_packets, __ATOMIC_RELAXED);
		sum.tx_bytes += __atomic_load_n(&w->tx_bytes, __ATOMIC_RELAXED);
	}
	put(&o->rx_packets, sum.rx_packets);
	put(&o->rx_bytes, sum.rx_bytes);
	put(&o->tx_packets, sum.tx_packets);
	put(&o->tx_bytes, sum.tx_bytes);
	put(&o->to_linux, p->to_linux);
	put(&o->from_linux, p->from_linux);
	put(&o->spi_rules, p->offloads.n_rules);
	put(&o->spi_rules_refused, p->offloads.n_refused);
	if (rte_eth_stats_get(p->id, &eth) == 0) {
		put(&o->rx_missed, eth.imissed);
		put(&o->rx_errors, eth.ierrors + eth.rx_nombuf);
		put(&o->tx_dropped, eth.oerrors);
	}
	up = rte_eth_link_get_nowait(p->id, &link) == 0 && link.link_status == RTE_ETH_LINK_UP;
	/* Drivers on a Linux interface are always up; their interface knows better. */
	if (p->host_if[0])
		up = dp_link_running(&dp->netlink, p->host_if);
	if (up != p->link_up) {
		p->link_up = up;
		dp_event_port_link(dp, p->index, up);
	}
	o->link_up = up;
	o->speed_mbps = link.link_speed == RTE_ETH_SPEED_NUM_UNKNOWN ? 0 : link.link_speed;
}

void dp_stats_tick(struct dp *dp)
{
	for (unsigned i = 0; i < dp->n_ports; i++)
		port_tick(dp, &dp->ports[i], &dp->stats->ports[i]);
	__atomic_store_n(&dp->stats->n_routes, dp->fib.n_routes, __ATOMIC_RELAXED);
	__atomic_store_n(&dp->stats->n_groups, dp->tunnels.n_groups, __ATOMIC_RELAXED);
}
