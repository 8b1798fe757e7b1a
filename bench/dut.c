/* SPDX-License-Identifier: Apache-2.0 */
/* dut: see dut.h. */
#include "bench/dut.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <rte_cycles.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include "bench/cpus.h"
#include "bench/gen_ports.h"
#include "bench/traffic.h"

#define LINK_S    10.0
#define REST_US   100
#define GENERATOR 0u /* their CPUs, if there are two */
#define WORKER    1u
#define FOLDER    "/tmp/twinbore-bench-XXXXXX"

static_assert(WORLD_PORTS == GEN_PORTS, "lan and wan");

static const char *const socket_names[WORLD_PORTS] = {"lan",
						      "wan"}; /* as world.c calls its ports */

/* The world is this process's, be it the generator's or the gateway's own. */
static struct world world;
static struct traffic traffic;

struct work {
	struct dut_shared *shared;
	bool realtime;
};

static uint32_t wanted(const struct dut_shared *s)
{
	return __atomic_load_n(&s->mode, __ATOMIC_ACQUIRE);
}

static void work_on(struct dut_shared *s, struct dp_worker *w)
{
	struct cpus_watch watch = {.last = rte_rdtsc()};

	while (wanted(s) == DUT_WORK) {
		(void)dp_worker_round(w);
		cpus_look(&watch, rte_rdtsc());
	}
	s->longest = watch.longest;
	s->missing = 0;
}

static void watch_on(struct dut_shared *s)
{
	s->longest = s->missing = 0;
	lines_give(&s->lines);
	while (wanted(s) == DUT_CONTROL) {
		const struct cpus_gaps g = cpus_control(rte_get_tsc_hz() / MS_PER_S);

		s->longest = RTE_MAX(s->longest, g.longest);
		s->missing += g.sum;
	}
}

static int worker_main(void *arg)
{
	const struct work *k = arg;
	struct dut_shared *s = k->shared;
	struct dp_worker *w = world.dp.workers[0];
	uint32_t mode = DUT_REST;

	(void)cpus_pin(WORKER);
	dp_worker_enter(w);
	while (mode != DUT_END) {
		cpus_realtime(k->realtime && mode != DUT_REST);
		__atomic_store_n(&s->at, mode, __ATOMIC_RELEASE);
		if (mode == DUT_WORK)
			work_on(s, w);
		else if (mode == DUT_CONTROL)
			watch_on(s);
		while ((mode = wanted(s)) == DUT_REST && s->at == DUT_REST)
			rte_delay_us_sleep(REST_US);
	}
	dp_worker_leave(w);
	__atomic_store_n(&s->at, DUT_END, __ATOMIC_RELEASE);
	return 0;
}

static bool start_world(const struct esp_suite *suite, unsigned memory_mb, const char *memif,
			char *error)
{
	const struct world_opts wo = {.n_workers = 1,
				      .max_sas = 16,
				      .max_tunnels = 16,
				      .memory_mb = memory_mb,
				      .backend = "auto",
				      .memif = memif};
	const struct traffic_opts to = {.form = {.suite = *suite}, .n_sas = 1, .n_prefixes = 1};

	return world_start(&world, &wo, error) && traffic_init(&traffic, &world, &to, error);
}

static void start_worker(struct work *k)
{
	(void)rte_eal_remote_launch(worker_main, k, world.dp.workers[0]->lcore);
}

static bool share(struct dut *d)
{
	void *p = mmap(NULL, sizeof(*d->shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);

	d->shared = p == MAP_FAILED ? NULL : p;
	return d->shared != NULL;
}

/* 1. Rings. */

static int open_port(const char *name, struct rte_ring *rx, struct rte_ring *tx)
{
	const struct rte_eth_conf conf = {0};
	const int id = rte_eth_from_rings(name, &rx, 1, &tx, 1, 0);

	if (id < 0 || rte_eth_dev_configure((uint16_t)id, 1, 1, &conf) != 0 ||
	    rte_eth_rx_queue_setup((uint16_t)id, 0, WORLD_RING, 0, NULL, world.dp.pool) != 0 ||
	    rte_eth_tx_queue_setup((uint16_t)id, 0, WORLD_RING, 0, NULL) != 0 ||
	    rte_eth_dev_start((uint16_t)id) != 0)
		return -1;
	return id;
}

bool dut_by_rings(struct dut *d, const struct esp_suite *suite, unsigned memory_mb,
		  char error[DUT_ERROR])
{
	static struct work work;

	if (!share(d) || !start_world(suite, memory_mb, NULL, error))
		return false;
	for (unsigned i = 0; i < WORLD_PORTS; i++) {
		char name[32];
		int id;

		snprintf(name, sizeof(name), "gen-%s", socket_names[i]);
		id = open_port(name, world.tx[i][0], world.rx[i][0]);
		if (id < 0) {
			snprintf(error, DUT_ERROR, "no ports for the generator");
			return false;
		}
		d->port[i] = (uint16_t)id;
		memcpy(d->mac[i], world.dp.ports[i].mac.addr_bytes, 6);
	}
	d->pool = world.dp.pool;
	work = (struct work){.shared = d->shared, .realtime = d->realtime};
	start_worker(&work);
	(void)cpus_pin(GENERATOR);
	return true;
}

/* 2. Ports of our own, with a gateway behind them. */

bool dut_by_devices(struct dut *d, const char *const devices[WORLD_PORTS], unsigned memory_mb,
		    char error[DUT_ERROR])
{
	struct gen_ports p;

	if (!gen_ports_start(&p, devices, memory_mb, error))
		return false;
	(void)cpus_pin(GENERATOR);
	memcpy(d->port, p.id, sizeof(d->port));
	d->pool = p.pool;
	if (gen_ports_up(&p, LINK_S))
		return true;
	snprintf(error, DUT_ERROR, "a port's link is down");
	return false;
}

/* 3. memif. */

/* The gateway's process: tells its addresses, and works until it is ended. */
static void gateway(const struct dut *d, const struct esp_suite *suite, unsigned memory_mb, int fd)
{
	struct work work = {.shared = d->shared, .realtime = d->realtime};
	char error[DUT_ERROR] = "";

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!start_world(suite, memory_mb, d->folder, error)) {
		fprintf(stderr, "rfc2544_bench: %s\n", error);
		_exit(1);
	}
	for (unsigned i = 0; i < WORLD_PORTS; i++)
		if (write(fd, world.dp.ports[i].mac.addr_bytes, 6) != 6)
			_exit(1);
	start_worker(&work);
	world_wait(&world);
	_exit(0);
}

static bool start_gateway(struct dut *d, const struct esp_suite *suite, unsigned memory_mb)
{
	int fds[2];
	bool ok;

	if (pipe(fds) != 0)
		return false;
	d->pid = fork();
	if (d->pid == 0)
		gateway(d, suite, memory_mb, fds[1]);
	close(fds[1]);
	ok = d->pid > 0;
	for (unsigned i = 0; i < WORLD_PORTS && ok; i++)
		ok = read(fds[0], d->mac[i], 6) == 6;
	close(fds[0]);
	return ok;
}

bool dut_by_memif(struct dut *d, const struct esp_suite *suite, unsigned memory_mb,
		  char error[DUT_ERROR])
{
	char text[WORLD_PORTS][160];

	snprintf(d->folder, sizeof(d->folder), FOLDER);
	if (!share(d) || !mkdtemp(d->folder)) {
		d->folder[0] = 0;
		snprintf(error, DUT_ERROR, "no folder for sockets");
		return false;
	}
	if (!start_gateway(d, suite, memory_mb)) {
		snprintf(error, DUT_ERROR, "the gateway's process does not start");
		return false;
	}
	for (unsigned i = 0; i < WORLD_PORTS; i++)
		snprintf(text[i], sizeof(text[i]),
			 "net_memif%u,role=client,socket=%s/%s,socket-abstract=no,rsize=11", i,
			 d->folder, socket_names[i]);
	return dut_by_devices(d, (const char *const[]){text[0], text[1]}, memory_mb, error);
}

static void clean(const struct dut *d)
{
	char path[sizeof(d->folder) + 8];

	for (unsigned i = 0; i < WORLD_PORTS && d->folder[0]; i++) {
		snprintf(path, sizeof(path), "%s/%s", d->folder, socket_names[i]);
		(void)unlink(path);
	}
	if (d->folder[0])
		(void)rmdir(d->folder);
}

static void set_mode(const struct dut *d, enum dut_mode mode)
{
	__atomic_store_n(&d->shared->mode, mode, __ATOMIC_RELEASE);
	while (__atomic_load_n(&d->shared->at, __ATOMIC_ACQUIRE) != mode) {
		if (d->pid > 0 && waitpid(d->pid, NULL, WNOHANG) != 0) {
			fprintf(stderr, "rfc2544_bench: the gateway's process has ended\n");
			clean(d);
			_exit(1);
		}
		rte_delay_us_sleep(REST_US);
	}
}

void dut_stop(struct dut *d)
{
	if (d->pid > 0) {
		(void)kill(d->pid, SIGKILL);
		(void)waitpid(d->pid, NULL, 0);
	} else if (d->shared && d->pool) {
		set_mode(d, DUT_END);
		world_wait(&world);
	}
	clean(d);
}

void dut_begin(const struct dut *d, enum dut_mode mode)
{
	if (d->shared)
		set_mode(d, mode);
	cpus_realtime(d->realtime);
}

struct dut_gaps dut_end(const struct dut *d)
{
	const double hz = (double)rte_get_tsc_hz();

	cpus_realtime(false);
	if (!d->shared)
		return (struct dut_gaps){0};
	set_mode(d, DUT_REST);
	return (struct dut_gaps){.longest_us = (double)d->shared->longest * 1e6 / hz,
				 .missing_us = (double)d->shared->missing * 1e6 / hz};
}
