/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rfc2544_bench: RFC 2544 on a gateway. The generator is a thread of its own, between two ports:
 *
 * - rings, whose other ends are the ports of one worker in this process (world.h);
 * - memif, with that worker in another process (--memif);
 * - any two devices, with a gateway behind them that somebody has set up (--lan, --wan).
 *
 * Generator and worker run at real-time priority for the trials, which are short, unless told otherwise:
 * without a CPU of one's own every loss is the scheduler's.
 */
#include <arpa/inet.h>
#include <getopt.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include "base/log.h"
#include "bench/gen_ports.h"
#include "bench/hugepages.h"
#include "bench/rfc2544.h"
#include "bench/traffic.h"

#define MEMORY_MB 256u
#define MAX_SIZES 16u
#define PRIORITY  10
#define LINK_S    10.0
#define PROBE_S   5.0
#define FOLDER    "/tmp/twinbore-bench-XXXXXX"

static const char *const socket_names[GEN_PORTS] = {"lan", "wan"}; /* as world.c calls its ports */

struct job {
	struct rfc2544_opts o;
	uint32_t sizes[MAX_SIZES];
	unsigned n_sizes;
	bool realtime, memif;
	const char *devices[GEN_PORTS]; /* lan, wan: of a gateway that is there already */
	uint8_t dst_mac[6];
	uint32_t src, dst, n_hosts;
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

/* The gateway, with one SA. */
static bool start_world(struct traffic *t, const char *memif)
{
	const struct world_opts wo = {.n_workers = 1,
				      .max_sas = 16,
				      .max_tunnels = 16,
				      .memory_mb = MEMORY_MB,
				      .backend = "auto",
				      .memif = memif};
	struct traffic_opts to = {.n_sas = 1, .n_prefixes = 1, .train = 1};
	char error[WORLD_ERROR] = "";

	(void)esp_suite_init(&to.suite, ESP_ENCR_AES_GCM_16, 256, ESP_INTEG_NONE);
	if (world_start(&w, &wo, error) && traffic_init(t, &w, &to, error))
		return true;
	fprintf(stderr, "rfc2544_bench: %s\n", error);
	return false;
}

static int run(struct job *j, struct pktgen *g)
{
	bool ok;

	if (!pktgen_init(g))
		return 1;
	be_realtime(j->realtime);
	g->size = j->sizes[0];
	ok = pktgen_probe(g, PROBE_S);
	for (unsigned i = 0; i < j->n_sizes && ok; i++) {
		g->size = j->sizes[i];
		ok = rfc2544(g, &j->o);
	}
	be_realtime(false);
	pktgen_fini(g);
	if (!ok)
		fprintf(stderr, "rfc2544_bench: no packet came back\n");
	return !ok;
}

static struct pktgen generator_of(const struct job *j)
{
	struct pktgen g = {.flow = {.src_mac = {2, 0, 0, 0, 9, 9},
				    .src = j->src,
				    .dst = j->dst,
				    .n_hosts = j->n_hosts,
				    .step = 1}};

	memcpy(g.flow.dst_mac, j->dst_mac, 6);
	return g;
}

/* 1. Rings. */

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

static int by_rings(void *arg)
{
	static struct traffic t;
	struct job *j = arg;
	struct pktgen g = generator_of(j);
	int lan, wan, rc;

	if (!start_world(&t, NULL))
		return 1;
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
	(void)rte_eal_remote_launch(work, j, w.dp.workers[0]->lcore);
	rc = run(j, &g);
	__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	rte_eal_mp_wait_lcore();
	return rc;
}

/* 2. Ports of our own, with a gateway behind them. */

static int by_ports(struct job *j, const char *const devices[GEN_PORTS])
{
	struct pktgen g = generator_of(j);
	char error[GEN_PORT_ERROR];
	struct gen_ports p;

	if (!gen_ports_start(&p, devices, MEMORY_MB, error)) {
		fprintf(stderr, "rfc2544_bench: %s\n", error);
		return 1;
	}
	if (!gen_ports_up(&p, LINK_S)) {
		fprintf(stderr, "rfc2544_bench: a port's link is down\n");
		return 1;
	}
	g.tx_port = p.id[0];
	g.rx_port = p.id[1];
	g.pool = p.pool;
	return run(j, &g);
}

static int by_devices(void *arg)
{
	struct job *j = arg;

	return by_ports(j, j->devices);
}

/* 3. memif. */

/* The gateway's process: tells its address on the lan, and works until it is ended. */
static void gateway(struct job *j, const char *folder, int fd)
{
	static struct traffic t;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!start_world(&t, folder) || write(fd, w.dp.ports[WORLD_LAN].mac.addr_bytes, 6) != 6)
		_exit(1);
	(void)rte_eal_remote_launch(work, j, w.dp.workers[0]->lcore);
	rte_eal_mp_wait_lcore();
	_exit(0);
}

static int with_gateway(struct job *j, const char *folder)
{
	char text[GEN_PORTS][128];
	int fds[2], rc = 1;
	pid_t pid;

	if (pipe(fds) != 0)
		return 1;
	pid = fork();
	if (pid == 0)
		gateway(j, folder, fds[1]);
	close(fds[1]);
	for (unsigned i = 0; i < GEN_PORTS; i++)
		snprintf(text[i], sizeof(text[i]),
			 "net_memif%u,role=client,socket=%s/%s,socket-abstract=no,rsize=11", i,
			 folder, socket_names[i]);
	if (pid > 0 && read(fds[0], j->dst_mac, 6) == 6)
		rc = by_ports(j, (const char *const[]){text[0], text[1]});
	close(fds[0]);
	if (pid > 0) {
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
	}
	return rc;
}

static int by_memif(void *arg)
{
	char folder[] = FOLDER, path[sizeof(folder) + 8];
	int rc;

	if (!mkdtemp(folder)) {
		fprintf(stderr, "rfc2544_bench: no folder for sockets\n");
		return 1;
	}
	rc = with_gateway(arg, folder);
	for (unsigned i = 0; i < GEN_PORTS; i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, socket_names[i]);
		(void)unlink(path);
	}
	(void)rmdir(folder);
	return rc;
}

static bool parse_sizes(struct job *j, char *text)
{
	char *save = NULL;

	j->n_sizes = 0;
	for (char *s = strtok_r(text, ",", &save); s && j->n_sizes < MAX_SIZES;
	     s = strtok_r(NULL, ",", &save)) {
		const int v = strcmp(s, "imix") == 0 ? (int)PKTGEN_IMIX : atoi(s);

		if (v != (int)PKTGEN_IMIX && (v < 64 || v > 1518))
			return false;
		j->sizes[j->n_sizes++] = (uint32_t)v;
	}
	return j->n_sizes > 0;
}

static bool parse_mac(const char *text, uint8_t mac[6])
{
	unsigned b[6];
	char more;

	if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%c", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5],
		   &more) != 6)
		return false;
	for (unsigned i = 0; i < 6; i++)
		mac[i] = (uint8_t)b[i];
	return true;
}

static bool parse_ip4(const char *text, uint32_t *out)
{
	struct in_addr a;

	if (inet_pton(AF_INET, text, &a) != 1)
		return false;
	*out = ntohl(a.s_addr);
	return true;
}

static void usage(FILE *f)
{
	fprintf(f,
		"usage: rfc2544_bench [OPTION...]\n"
		"  --size LIST     inner IP bytes, or imix (64,576,1420)\n"
		"  --only LIST     throughput, latency, loss, back-to-back (all)\n"
		"  --trial SECONDS of a trial (0.02); --repeats N: a rate counts if one of N loses "
		"nothing (8)\n"
		"  --no-realtime   without a real-time priority\n"
		"  --memif         the gateway is a process of its own, behind net_memif\n"
		"  --json          an object a line\n"
		"A gateway that is there already, behind two ports of this machine:\n"
		"  --lan DEVICE --wan DEVICE  PCI addresses, or virtual devices as DPDK calls "
		"them\n"
		"  --dst-mac MAC   of the gateway's lan port\n"
		"  --src IPV4 --dst IPV4      of the packets; --hosts N: addresses from --dst on\n"
		"  --suite NAME    for the rows\n");
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"json", no_argument, NULL, 'j'},        {"size", required_argument, NULL, 's'},
		{"trial", required_argument, NULL, 't'}, {"repeats", required_argument, NULL, 'r'},
		{"only", required_argument, NULL, 'o'},  {"no-realtime", no_argument, NULL, 'n'},
		{"memif", no_argument, NULL, 'm'},       {"lan", required_argument, NULL, 'l'},
		{"wan", required_argument, NULL, 'w'},   {"dst-mac", required_argument, NULL, 'a'},
		{"src", required_argument, NULL, 'S'},   {"dst", required_argument, NULL, 'D'},
		{"hosts", required_argument, NULL, 'N'}, {"suite", required_argument, NULL, 'u'},
		{"help", no_argument, NULL, 'h'},        {NULL, 0, NULL, 0},
	};
	struct job j = {.o = {.trial_s = 0.02,
			      .repeats = 8,
			      .throughput = true,
			      .latency = true,
			      .loss = true,
			      .back_to_back = true,
			      .suite = "aes-256-gcm-16",
			      .ports = "net_ring"},
			.sizes = {64, 576, 1420},
			.n_sizes = 3,
			.realtime = true,
			.src = 10u << 24 | 1u << 8 | 1,
			.dst = 16u << 24 | 1,
			.n_hosts = 1};
	bool ok = true;
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case 'j': j.o.json = true; break;
		case 't': j.o.trial_s = atof(optarg); break;
		case 'r': j.o.repeats = (unsigned)atoi(optarg); break;
		case 'n': j.realtime = false; break;
		case 's': ok = ok && parse_sizes(&j, optarg); break;
		case 'm': j.memif = true; break;
		case 'l': j.devices[0] = optarg; break;
		case 'w': j.devices[1] = optarg; break;
		case 'a': ok = ok && parse_mac(optarg, j.dst_mac); break;
		case 'S': ok = ok && parse_ip4(optarg, &j.src); break;
		case 'D': ok = ok && parse_ip4(optarg, &j.dst); break;
		case 'N': j.n_hosts = (uint32_t)atoi(optarg); break;
		case 'u': j.o.suite = optarg; break;
		case 'o':
			j.o.throughput = strstr(optarg, "throughput");
			j.o.latency = strstr(optarg, "latency");
			j.o.loss = strstr(optarg, "loss");
			j.o.back_to_back = strstr(optarg, "back-to-back");
			break;
		case 'h': usage(stdout); return 0;
		default: usage(stderr); return 2;
		}
	}
	if (!ok || optind != argc || j.o.trial_s <= 0 || j.o.repeats == 0 || j.n_hosts == 0 ||
	    !j.devices[0] != !j.devices[1] || (j.memif && j.devices[0])) {
		usage(stderr);
		return 2;
	}
	log_init("rfc2544_bench", LOG_LEVEL_WARN, LOG_FORMAT_TEXT);
	if (j.memif)
		j.o.ports = "net_memif";
	if (j.devices[0])
		j.o.ports = "own";
	return hugepages_run(j.memif ? 2 * MEMORY_MB : MEMORY_MB,
			     j.devices[0] ? by_devices
			     : j.memif    ? by_memif
					  : by_rings,
			     &j);
}
