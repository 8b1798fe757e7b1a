/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rfc2544_bench: RFC 2544 on a gateway (dut.h): packets that it encapsulates, that it decapsulates, or half of
 * each. The generator is a thread of its own, between two ports:
 *
 * - rings, whose other ends are the ports of one worker in this process;
 * - memif, with that worker in another process (--memif);
 * - any two devices, with a gateway behind them that somebody has set up (--lan, --wan).
 *
 * Generator and worker run at real-time priority for the trials, which are short, unless told otherwise:
 * without a CPU of one's own every loss is the scheduler's.
 */
#include <arpa/inet.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "bench/cpus.h"
#include "bench/dut.h"
#include "bench/hugepages.h"
#include "bench/rfc2544.h"

#define MEMORY_MB  256u
#define MAX_SIZES  16u
#define MAX_TRIALS 63
#define PROBE_S    5.0
#define REALTIME_MAX                                                                               \
	0.5 /* seconds of a trial: the kernel takes a twentieth of each second from such threads */

enum op {
	OP_ENCAP,
	OP_DECAP,
	OP_BOTH,
	N_OPS,
};

static const char *const op_names[N_OPS] = {"encap", "decap", "both"};

struct job {
	struct rfc2544_opts o;
	uint32_t sizes[MAX_SIZES];
	unsigned n_sizes;
	bool ops[N_OPS];
	struct esp_suite suite;
	bool realtime, memif;
	const char *devices[WORLD_PORTS]; /* lan, wan: of a gateway that is there already */
	uint8_t dst_mac[6];
	uint32_t src, dst, n_hosts;
};

static void add_lane(struct pktgen *g, const struct job *j, const struct dut *d, unsigned from,
		     struct tape *tape)
{
	struct pktgen_lane *l = &g->lanes[g->n_lanes++];

	*l = (struct pktgen_lane){
		.tx_port = d->port[from],
		.rx_port = d->port[from == WORLD_LAN ? WORLD_WAN : WORLD_LAN],
		.flow = {.src_mac = {2, 0, 0, 0, 9, 9},
			 .src = j->src,
			 .dst = j->dst,
			 .n_hosts = j->n_hosts,
			 .step = 1},
		.tape = tape,
	};
	if (tape) {
		l->flow.src = j->dst;
		l->flow.dst = j->src;
		l->flow.n_hosts = 1;
	}
	memcpy(l->flow.dst_mac, j->devices[0] ? j->dst_mac : d->mac[from], 6);
}

static bool run_op(struct job *j, const struct dut *d, enum op op, struct tape *tape)
{
	struct pktgen g = {.pool = d->pool, .size = j->sizes[0]};
	bool ok;

	j->o.op = op_names[op];
	if (op != OP_DECAP)
		add_lane(&g, j, d, WORLD_LAN, NULL);
	if (op != OP_ENCAP)
		add_lane(&g, j, d, WORLD_WAN, tape);
	ok = pktgen_init(&g) && rfc2544_probe(&g, d, PROBE_S);
	for (unsigned i = 0; i < j->n_sizes && ok; i++) {
		g.size = j->sizes[i];
		ok = rfc2544(&g, d, &j->o);
	}
	pktgen_fini(&g);
	if (!ok)
		fprintf(stderr, "rfc2544_bench: no packet came back\n");
	return ok;
}

static int run(void *arg)
{
	struct job *j = arg;
	struct dut d = {.realtime = j->realtime};
	char error[DUT_ERROR] = "";
	struct tape tape;
	bool ok;

	ok = j->devices[0] ? dut_by_devices(&d, j->devices, MEMORY_MB, error)
	     : j->memif    ? dut_by_memif(&d, &j->suite, MEMORY_MB, error)
			   : dut_by_rings(&d, &j->suite, MEMORY_MB, error);
	if (ok && (j->ops[OP_DECAP] || j->ops[OP_BOTH]) && !tape_init(&tape, &j->suite)) {
		snprintf(error, sizeof(error), "no memory for ESP packets");
		ok = false;
	}
	if (!ok)
		fprintf(stderr, "rfc2544_bench: %s\n", error);
	for (unsigned i = 0; i < N_OPS && ok; i++)
		ok = !j->ops[i] || run_op(j, &d, i, &tape);
	dut_stop(&d);
	return !ok;
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

static bool parse_ops(struct job *j, const char *text)
{
	memset(j->ops, 0, sizeof(j->ops));
	while (*text) {
		const size_t size = strcspn(text, ",");
		bool known = false;

		for (unsigned i = 0; i < N_OPS; i++) {
			if (strlen(op_names[i]) == size && strncmp(text, op_names[i], size) == 0)
				known = j->ops[i] = true;
		}
		if (!known)
			return false;
		text += size + (text[size] == ',');
	}
	return true;
}

static bool parse_loads(struct job *j, char *text)
{
	char *save = NULL, *end;

	j->o.n_loads = 0;
	for (char *s = strtok_r(text, ",", &save); s; s = strtok_r(NULL, ",", &save)) {
		const double percent = strtod(s, &end);

		if (*end || !(percent > 0 && percent <= 200) || j->o.n_loads == RFC2544_LOADS_MAX)
			return false;
		j->o.loads[j->o.n_loads++] = percent / 100;
	}
	return j->o.n_loads > 0;
}

static bool parse_suite(struct job *j, const char *text)
{
	for (size_t i = 0; i < ESP_N_SUITES; i++) {
		char name[ESP_SUITE_STRLEN];

		j->suite = esp_suite_at(i);
		if (strcmp(esp_suite_format(&j->suite, name), text) == 0)
			return true;
	}
	return false;
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
		"  --op LIST       encap, decap, both (encap); the last two not with --lan\n"
		"  --suite NAME    (aes-256-gcm-16)\n"
		"  --size LIST     inner IP bytes, or imix (64,576,1420)\n"
		"  --only LIST     throughput, latency, loss, back-to-back (all)\n"
		"  --load LIST     of latency, in percent of the throughput (10,50,80,100)\n"
		"  --trial SECONDS of a trial (0.02); --repeats N: a rate counts if one of N loses "
		"nothing (8)\n"
		"  --trials N      of latency and loss, for each load; the median is shown (7)\n"
		"  --no-realtime   without a real-time priority\n"
		"  --memif         the gateway is a process of its own, behind net_memif\n"
		"  --json          an object a line\n"
		"A gateway that is there already, behind two ports of this machine:\n"
		"  --lan DEVICE --wan DEVICE  PCI addresses, or virtual devices as DPDK calls "
		"them\n"
		"  --dst-mac MAC   of the gateway's lan port\n"
		"  --src IPV4 --dst IPV4      of the packets; --hosts N: addresses from --dst "
		"on\n");
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
		{"memif", no_argument, NULL, 'm'},
		{"lan", required_argument, NULL, 'l'},
		{"wan", required_argument, NULL, 'w'},
		{"dst-mac", required_argument, NULL, 'a'},
		{"src", required_argument, NULL, 'S'},
		{"dst", required_argument, NULL, 'D'},
		{"hosts", required_argument, NULL, 'N'},
		{"suite", required_argument, NULL, 'u'},
		{"op", required_argument, NULL, 'O'},
		{"trials", required_argument, NULL, 'T'},
		{"load", required_argument, NULL, 'L'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	struct job j = {.o = {.trial_s = 0.02,
			      .repeats = 8,
			      .trials = 7,
			      .throughput = true,
			      .latency = true,
			      .loads = {0.1, 0.5, 0.8, 1.0},
			      .n_loads = 4,
			      .loss = true,
			      .back_to_back = true,
			      .suite = "aes-256-gcm-16",
			      .ports = "net_ring"},
			.sizes = {64, 576, 1420},
			.n_sizes = 3,
			.ops = {[OP_ENCAP] = true},
			.realtime = true,
			.src = 10u << 24 | 1u << 8 | 1,
			.dst = 16u << 24 | 1,
			.n_hosts = 1};
	bool ok = parse_suite(&j, "aes-256-gcm-16");
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
		case 'u':
			j.o.suite = optarg;
			ok = ok && parse_suite(&j, optarg);
			break;
		case 'O': ok = ok && parse_ops(&j, optarg); break;
		case 'L': ok = ok && parse_loads(&j, optarg); break;
		case 'T': j.o.trials = (unsigned)atoi(optarg); break;
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
	    j.o.trials == 0 || j.o.trials > MAX_TRIALS || !j.devices[0] != !j.devices[1] ||
	    (j.devices[0] && (j.memif || j.ops[OP_DECAP] || j.ops[OP_BOTH]))) {
		usage(stderr);
		return 2;
	}
	log_init("rfc2544_bench", LOG_LEVEL_WARN, LOG_FORMAT_TEXT);
	if (j.memif)
		j.o.ports = "net_memif";
	if (j.devices[0])
		j.o.ports = "own";
	if (j.o.trial_s > REALTIME_MAX)
		j.realtime = false;
	cpus_init();
	return hugepages_run(j.memif ? 2 * MEMORY_MB : MEMORY_MB, run, &j);
}
