/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rfc2544_bench: RFC 2544 on one worker in this process (world.h): the generator is a thread of its
 * own, the ports' other ends are its ports. Both threads run at real-time priority for the trials,
 * which are short, unless told otherwise: without a CPU of one's own every loss is the scheduler's.
 */
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include "base/log.h"
#include "bench/hugepages.h"
#include "bench/rfc2544.h"
#include "bench/traffic.h"

#define MEMORY_MB 256u
#define MAX_SIZES 16u
#define PRIORITY  10

struct job {
	struct rfc2544_opts o;
	uint32_t sizes[MAX_SIZES];
	unsigned n_sizes;
	bool realtime;
};

static struct world w;
static uint32_t stop;

static void be_realtime(bool on)
{
	const struct sched_param p = {.sched_priority = on ? PRIORITY : 0};

	(void)sched_setscheduler(0, on ? SCHED_FIFO : SCHED_OTHER, &p);
}

static int work(void *arg)
{
	struct dp_worker *worker = w.dp.workers[0];
	const struct job *j = arg;

	be_realtime(j->realtime);
	dp_worker_enter(worker);
	while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE))
		(void)dp_worker_round(worker);
	dp_worker_leave(worker);
	be_realtime(false);
	return 0;
}

static int open_port(const char *name, struct rte_ring *rx, struct rte_ring *tx)
{
	const struct rte_eth_conf conf = {0};
	const int id = rte_eth_from_rings(name, &rx, 1, &tx, 1, 0);

	if (id < 0 || rte_eth_dev_configure((uint16_t)id, 1, 1, &conf) != 0 ||
	    rte_eth_rx_queue_setup((uint16_t)id, 0, WORLD_RING, 0, NULL, w.dp.pool) != 0 ||
	    rte_eth_tx_queue_setup((uint16_t)id, 0, WORLD_RING, 0, NULL) != 0 ||
	    rte_eth_dev_start((uint16_t)id) != 0)
		return -1;
	return id;
}

static int measure(void *arg)
{
	static struct traffic t;
	struct job *j = arg;
	const struct world_opts wo = {.n_workers = 1,
				      .max_sas = 16,
				      .max_tunnels = 16,
				      .memory_mb = MEMORY_MB,
				      .backend = "auto"};
	struct traffic_opts to = {.n_sas = 1, .n_prefixes = 1};
	struct pktgen g = {.flow = {.src_mac = {2, 0, 0, 0, 9, 9},
				    .src = 10u << 24 | 1u << 8 | 1,
				    .dst = 16u << 24 | 1,
				    .n_hosts = 1}};
	char error[WORLD_ERROR] = "no ports", name[ESP_SUITE_STRLEN];
	int lan, wan;
	bool ok = true;

	(void)esp_suite_init(&to.suite, ESP_ENCR_AES_GCM_16, 256, ESP_INTEG_NONE);
	if (!world_start(&w, &wo, error) || !traffic_init(&t, &w, &to, error) || !pktgen_init(&g)) {
		fprintf(stderr, "rfc2544_bench: %s\n", error);
		return 1;
	}
	lan = open_port("gen-lan", w.tx[WORLD_LAN][0], w.rx[WORLD_LAN][0]);
	wan = open_port("gen-wan", w.tx[WORLD_WAN][0], w.rx[WORLD_WAN][0]);
	if (lan < 0 || wan < 0) {
		fprintf(stderr, "rfc2544_bench: no ports for the generator\n");
		return 1;
	}
	g.tx_port = (uint16_t)lan;
	g.rx_port = (uint16_t)wan;
	g.pool = w.dp.pool;
	memcpy(g.flow.dst_mac, w.dp.ports[WORLD_LAN].mac.addr_bytes, 6);
	j->o.suite = esp_suite_format(&to.suite, name);
	(void)rte_eal_remote_launch(work, j, w.dp.workers[0]->lcore);
	be_realtime(j->realtime);
	for (unsigned i = 0; i < j->n_sizes && ok; i++) {
		g.size = j->sizes[i];
		ok = rfc2544(&g, &j->o);
	}
	be_realtime(false);
	__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	rte_eal_mp_wait_lcore();
	if (!ok)
		fprintf(stderr, "rfc2544_bench: no packet came back\n");
	return !ok;
}

static bool parse_sizes(struct job *j, char *text)
{
	char *save = NULL;

	j->n_sizes = 0;
	for (char *s = strtok_r(text, ",", &save); s && j->n_sizes < MAX_SIZES;
	     s = strtok_r(NULL, ",", &save)) {
		const int v = atoi(s);

		if (v < 64 || v > 1500)
			return false;
		j->sizes[j->n_sizes++] = (uint32_t)v;
	}
	return j->n_sizes > 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"json", no_argument, NULL, 'j'},
		{"size", required_argument, NULL, 's'},
		{"trial", required_argument, NULL, 't'},
		{"repeats", required_argument, NULL, 'r'},
		{"only", required_argument, NULL, 'o'},
		{"no-realtime", no_argument, NULL, 'n'},
		{NULL, 0, NULL, 0},
	};
	struct job j = {.o = {.trial_s = 0.02,
			      .repeats = 8,
			      .throughput = true,
			      .latency = true,
			      .loss = true,
			      .back_to_back = true},
			.sizes = {64, 576, 1420},
			.n_sizes = 3,
			.realtime = true};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'j': j.o.json = true; break;
		case 't': j.o.trial_s = atof(optarg); break;
		case 'r': j.o.repeats = (unsigned)atoi(optarg); break;
		case 'n': j.realtime = false; break;
		case 's':
			if (!parse_sizes(&j, optarg))
				return 2;
			break;
		case 'o':
			j.o.throughput = strstr(optarg, "throughput");
			j.o.latency = strstr(optarg, "latency");
			j.o.loss = strstr(optarg, "loss");
			j.o.back_to_back = strstr(optarg, "back-to-back");
			break;
		default:
			fprintf(stderr,
				"usage: rfc2544_bench [--json] [--size LIST] [--trial SECONDS] "
				"[--repeats N] [--only throughput,latency,loss,back-to-back] "
				"[--no-realtime]\n");
			return 2;
		}
	}
	if (j.o.trial_s <= 0 || j.o.repeats == 0)
		return 2;
	log_init("rfc2544_bench", LOG_LEVEL_WARN, LOG_FORMAT_TEXT);
	return hugepages_run(MEMORY_MB, measure, &j);
}
