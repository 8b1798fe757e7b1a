/* SPDX-License-Identifier: Apache-2.0 */
/* world: see world.h. */
#include "bench/world.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <rte_cycles.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_launch.h>
#include "base/secret.h"
#include "base/shm.h"
#include "bench/hosts.h"
#include "dataplane/crypto_mem.h"
#include "dataplane/eal.h"
#include "dataplane/start.h"
#include "dataplane/stats.h"

#define WAIT_US 200
#define MAC_GATEWAY                                                                                \
	{                                                                                          \
		0x02, 0, 0, 0, 0, 0xfe                                                             \
	}

static const char *const port_names[WORLD_PORTS] = {"lan", "wan"};

/* What a port is, for the configuration. */
static const char *device_of(const struct world_opts *o, unsigned port, char *out, size_t size)
{
	if (o->memif)
		snprintf(out, size,
			 "net_memif,role=server,socket=%s/%s,socket-abstract=no,rsize=11", o->memif,
			 port_names[port]);
	else
		snprintf(out, size, "net_ring%u", port);
	return out;
}

/* "a" or "a, b" into `out`, by the families that this world has. */
static const char *both(const struct world_opts *o, const char *a, const char *b, char *out,
			size_t size)
{
	snprintf(out, size, "%s%s%s", a, o->v6 ? ", " : "", o->v6 ? b : "");
	return out;
}

static const char *prefixes(const struct world_opts *o, struct ip_prefix a, struct ip_prefix b,
			    char *out, size_t size)
{
	char text[2][IP_PREFIX_STRLEN];

	return both(o, ip_prefix_format(&a, text[0]), ip_prefix_format(&b, text[1]), out, size);
}

static const char *next_hops(const struct world_opts *o, char *out, size_t size)
{
	const struct ip_addr a = hosts_next_hop(IP_V4), b = hosts_next_hop(IP_V6);
	char text[2][IP_ADDR_STRLEN];

	return both(o, ip_format(&a, text[0]), ip_format(&b, text[1]), out, size);
}

static struct config *make_config(const struct world_opts *o, char *error)
{
	static struct config_errors errors;
	struct config *c;
	char text[2048], lan[256], wan[256], at_lan[128], at_wan[128], hops[128];
	const int n = snprintf(
		text, sizeof(text),
		"version: 1\n"
		"gateway: {name: bench}\n"
		"dataplane: {workers: %u, memory: %u, max_sas: %u, aead_backend: %s, hugepages: "
		"%s, spread_crypto: %s}\n"
		"ports:\n"
		"  - {name: lan, device: {vdev: \"%s\"}, addresses: [%s], mtu: %u}\n"
		"  - {name: wan, device: {vdev: \"%s\"}, addresses: [%s], gateway: [%s], mtu: "
		"%u}\n"
		"connections: []\n",
		o->n_workers, o->memory_mb, o->max_sas, o->backend,
		o->no_hugepages ? "off" : "auto", o->spread ? "auto" : "off",
		device_of(o, WORLD_LAN, lan, sizeof(lan)),
		prefixes(o, hosts_on_lan(IP_V4, true), hosts_on_lan(IP_V6, true), at_lan,
			 sizeof(at_lan)),
		WORLD_MTU, device_of(o, WORLD_WAN, wan, sizeof(wan)),
		prefixes(o, hosts_on_wan(IP_V4), hosts_on_wan(IP_V6), at_wan, sizeof(at_wan)),
		next_hops(o, hops, sizeof(hops)), WORLD_MTU);

	c = config_parse(text, (size_t)n, &errors);
	if (!c)
		snprintf(error, WORLD_ERROR, "line %u: %s", errors.errors[0].line,
			 errors.errors[0].text);
	else
		c->max_tunnels =
			o->max_tunnels; /* the dataplane takes more than a configuration may */
	return c;
}

static bool make_rings(struct world *w, unsigned port)
{
	for (unsigned q = 0; q < w->dp.n_workers; q++) {
		char name[32];

		snprintf(name, sizeof(name), "bench-rx-%u-%u", port, q);
		w->rx[port][q] = rte_ring_create(name, WORLD_RING, SOCKET_ID_ANY,
						 RING_F_SP_ENQ | RING_F_SC_DEQ);
		snprintf(name, sizeof(name), "bench-tx-%u-%u", port, q);
		w->tx[port][q] = rte_ring_create(name, WORLD_RING, SOCKET_ID_ANY,
						 RING_F_SP_ENQ | RING_F_SC_DEQ);
		if (!w->rx[port][q] || !w->tx[port][q])
			return false;
	}
	return true;
}

static bool make_memifs(struct world *w, char *error)
{
	struct dp *dp = &w->dp;

	for (unsigned i = 0; i < WORLD_PORTS; i++) {
		dp->n_ports = i + 1;
		if (!dp_port_init(&dp->ports[i], i, &dp->config->ports[i], dp->n_workers, dp->pool,
				  error, WORLD_ERROR) ||
		    !dp_start_mirror(dp, &dp->ports[i], error))
			return false;
	}
	return true;
}

static bool make_ports(struct world *w, char *error)
{
	struct dp *dp = &w->dp;

	for (unsigned i = 0; i < WORLD_PORTS; i++) {
		struct dp_port *p = &dp->ports[i];
		int id;

		if (!make_rings(w, i)) {
			snprintf(error, WORLD_ERROR, "no memory for rings");
			return false;
		}
		id = rte_eth_from_rings(port_names[i], w->rx[i], dp->n_workers, w->tx[i],
					dp->n_workers, 0);
		if (id < 0) {
			snprintf(error, WORLD_ERROR, "net_ring gives no port: %s", dp_eal_error());
			return false;
		}
		*p = (struct dp_port){.index = i,
				      .id = (uint16_t)id,
				      .cfg = &dp->config->ports[i],
				      .mirror = {.fd = -1}};
		dp->n_ports = i + 1;
		if (!dp_port_start(p, dp->n_workers, dp->pool, error, WORLD_ERROR) ||
		    !dp_start_mirror(dp, p, error))
			return false;
	}
	return true;
}

static void make_neighbours(struct dp *dp, enum ip_family f)
{
	static const uint8_t gateway_mac[] = MAC_GATEWAY;
	const struct ip_addr hop = hosts_next_hop(f);

	dp_neigh_update(dp, WORLD_WAN, &hop, gateway_mac, false);
	for (uint32_t i = 0; i < HOSTS_ON_LAN; i++) {
		const uint8_t mac[] = {0x02, 0, 0, 0, 1, (uint8_t)i};
		const struct ip_addr a = hosts_lan(f, i);

		dp_neigh_update(dp, WORLD_LAN, &a, mac, false);
	}
}

static bool attach_stats(struct dp *dp)
{
	const struct config *c = dp->config;
	const size_t size = dp_stats_size(c->max_sas, c->max_tunnels);
	struct shm s;
	int fd;

	if (!shm_create(&s, "bench-stats", size))
		return false;
	fd = dup(s.fd);
	shm_close(&s);
	return dp_stats_attach(dp, fd, size);
}

bool world_start(struct world *w, const struct world_opts *o, char error[WORLD_ERROR])
{
	struct dp *dp = &w->dp;

	static_assert(WORLD_ERROR >= DP_START_ERROR_SIZE, "room for the dataplane's texts");
	if (unshare(CLONE_NEWNET) != 0) {
		snprintf(error, WORLD_ERROR, "no network namespace: %s; run it as root",
			 strerror(errno));
		return false;
	}
	dp->config = make_config(o, error);
	if (!dp->config)
		return false;
	dp->n_workers = dp->config->n_workers;
	dp->now = mono_now();
	dp->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	dp->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	dp_random_init(&dp->random);
	if (!dp_crypto_mem_init() || !secret_init() || dp->epoll_fd < 0 || dp->wake_fd < 0 ||
	    !dp_rings_init(&dp->rings) || !dp_netlink_init(&dp->netlink) || !attach_stats(dp)) {
		snprintf(error, WORLD_ERROR, "the process cannot be set up: %s", strerror(errno));
		return false;
	}
	if (!dp_start_backend(dp, error) ||
	    !dp_eal_init(dp->config, &dp->hugepages, error, WORLD_ERROR) ||
	    !dp_start_tables(dp, error) || !dp_start_workers(dp, error) ||
	    !(o->memif ? make_memifs(w, error) : make_ports(w, error)))
		return false;
	make_neighbours(dp, IP_V4);
	if (o->v6)
		make_neighbours(dp, IP_V6);
	return true;
}

static bool all_ended(const struct dp *dp)
{
	for (unsigned i = 0; i < dp->n_workers; i++)
		if (rte_eal_get_lcore_state(dp->workers[i]->lcore) == RUNNING)
			return false;
	return true;
}

void world_wait(const struct world *w)
{
	while (!all_ended(&w->dp))
		rte_delay_us_sleep(WAIT_US);
	rte_eal_mp_wait_lcore();
}

uint64_t world_drops(const struct world *w, const char **reason)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i <= w->dp.n_workers; i++) {
		for (unsigned r = 0; r < DP_DROP_END; r++) {
			const uint64_t n = __atomic_load_n(&w->dp.stats->workers[i].drops[r],
							   __ATOMIC_RELAXED);

			if (n)
				*reason = dp_drop_name(r);
			sum += n;
		}
	}
	return sum;
}
