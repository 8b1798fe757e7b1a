/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dp_bench: what a packet costs a worker, all in: receive, classify, look up, protect, forward,
 * transmit, with the dataplane's own code in this process (world.h, traffic.h, drive.h).
 *
 * Every combination of workers, suite, number of SAs and number of prefixes is measured in a process
 * of its own; each gives a row for each operation and size. Hugepages are reserved for the run if
 * there is memory for them, and given back.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <rte_cycles.h>
#include "base/log.h"
#include "bench/cpus.h"
#include "bench/dp_bench_rows.h"
#include "bench/hugepages.h"

#define LIST_MAX   16u
#define MEMORY_MIN 256u
#define REPEAT_US  50000

struct list {
	uint32_t v[LIST_MAX];
	unsigned n;
};

struct opts {
	struct list workers, sas, prefixes, trains, sizes, ops;
	struct list inner, outer; /* families */
	const char *suites;       /* parts of names, with commas */
	const char *backend;
	unsigned batch, n_batches, memory_mb, pieces, repeat;
	bool json, per_worker, aligned, one_queue, udp, translate, hugepages;
};

static void usage(FILE *f)
{
	fprintf(f, "usage: dp_bench [OPTION...]\n"
		   "  --op LIST        encap, decap, both (encap,decap)\n"
		   "  --suite LIST     names, as aes-256-gcm-16, or `all`\n"
		   "  --size LIST      inner IP bytes, or imix (64,576,1420,imix)\n"
		   "  --sas LIST       (1)\n"
		   "  --prefixes LIST  (1); at least as many as SAs\n"
		   "  --workers LIST   (1)\n"
		   "  --inner LIST     IP version of the hosts' packets (4)\n"
		   "  --outer LIST     IP version between the gateways (4)\n"
		   "  --udp            ESP in UDP, as through a NAT (RFC 3948)\n"
		   "  --translate      hosts have other addresses inside tunnels\n"
		   "  --per-worker     RFC 9611: one tunnel, an outbound SA for each worker\n"
		   "  --aligned        packets come to the worker that owns their SA\n"
		   "  --one-queue      all packets come to one worker, which the others help\n"
		   "  --train LIST     packets that follow each other with one SA (1)\n"
		   "  --pieces N       frames come in segments of N bytes (whole)\n"
		   "  --backend NAME   of the AEAD (auto)\n"
		   "  --batch N        frames at a time for each worker (256)\n"
		   "  --rounds N       batches (1000)\n"
		   "  --repeat N       runs, of which the quickest counts (1)\n"
		   "  --memory MIB     of DPDK (as much as the SAs need)\n"
		   "  --no-huge        no hugepages\n"
		   "  --json           an object a line\n");
}

static bool parse_list(const char *text, struct list *l)
{
	static const char *const words[] = {"encap", "decap", "both"};
	char copy[256], *save = NULL;

	l->n = 0;
	snprintf(copy, sizeof(copy), "%s", text);
	for (char *w = strtok_r(copy, ",", &save); w; w = strtok_r(NULL, ",", &save)) {
		char *end;
		uint32_t v = (uint32_t)strtoul(w, &end, 10);

		for (uint32_t i = 0; i < 3; i++) {
			if (strcmp(w, words[i]) == 0) {
				v = i;
				end = w + strlen(w);
			}
		}
		if (strcmp(w, "imix") == 0) {
			v = TRAFFIC_IMIX;
			end = w + 4;
		}
		if (*end || end == w || l->n == LIST_MAX)
			return false;
		l->v[l->n++] = v;
	}
	return l->n > 0;
}

static bool suite_wanted(const char *name, const char *list)
{
	const size_t size = strlen(name);

	if (strcmp(list, "all") == 0)
		return true;
	for (const char *at = strstr(list, name); at; at = strstr(at + 1, name)) {
		if ((at == list || at[-1] == ',') && (at[size] == ',' || !at[size]))
			return true;
	}
	return false;
}

/* What a process measures. */
struct place {
	const struct opts *o;
	struct dp_bench_place row;
};

/* Virtual CPUs share a core with others at one time and not at another: the quickest of some runs. */
static bool best_of(unsigned n, struct traffic *t, const struct drive_opts *d,
		    struct drive_result *best, char *error)
{
	*best = (struct drive_result){0};
	for (unsigned i = 0; i < n; i++) {
		struct drive_result r;

		if (i > 0)
			rte_delay_us_sleep(REPEAT_US);
		if (!drive(t, d, &r, error))
			return false;
		if (i == 0 || r.cycles < best->cycles)
			*best = r;
	}
	return true;
}

static bool measure_one(const struct place *p, struct traffic *t, const struct drive_opts *d)
{
	struct drive_result best;
	char error[WORLD_ERROR];

	if (best_of(p->o->repeat, t, d, &best, error)) {
		dp_bench_row(p->o->json, &p->row, d, &best);
		return true;
	}
	fprintf(stderr, "dp_bench: %s\n", error);
	return false;
}

/* In a process of its own: one world, a row for each length of trains, operation and size. */
static int measure(void *arg)
{
	struct place *p = arg;
	static struct world w;
	static struct traffic t;
	const struct opts *o = p->o;
	const struct traffic_opts *to = &p->row.traffic;
	const struct world_opts wo = {
		.n_workers = p->row.n_workers,
		.max_sas = RTE_MAX(to->n_sas + p->row.n_workers, 16u),
		.max_tunnels = RTE_MAX(to->n_sas, 16u),
		.memory_mb = o->memory_mb,
		.backend = o->backend,
		.no_hugepages = !o->hugepages,
		.spread = o->one_queue,
		.v6 = to->form.inner_v6 || to->form.outer_v6,
	};
	struct drive_opts d = {.batch = o->batch,
			       .n_batches = o->n_batches,
			       .n_checked = 2,
			       .one_queue = o->one_queue};
	char error[WORLD_ERROR] = "";

	if (!world_start(&w, &wo, error) || !traffic_init(&t, &w, to, error)) {
		fprintf(stderr, "dp_bench: %s\n", error);
		return 1;
	}
	p->row.hugepages = w.dp.hugepages;
	p->row.backend = traffic_backend(&t);
	for (unsigned k = 0; k < o->trains.n; k++)
		for (unsigned i = 0; i < o->ops.n; i++)
			for (unsigned s = 0; s < o->sizes.n; s++) {
				d.train = o->trains.v[k];
				d.op = (enum drive_op)o->ops.v[i];
				d.size = o->sizes.v[s];
				if (!measure_one(p, &t, &d))
					return 1;
			}
	return 0;
}

static int run_place(struct place *p)
{
	const struct opts *o = p->o;

	return hugepages_run(o->hugepages ? o->memory_mb : 0, measure, p);
}

/* Every number of SAs and of prefixes for what stands in `p`. */
static int run_numbers(struct place *p)
{
	const struct opts *o = p->o;
	int rc = 0;

	for (unsigned a = 0; a < o->sas.n; a++)
		for (unsigned k = 0; k < o->prefixes.n; k++) {
			p->row.traffic.n_sas = o->sas.v[a];
			p->row.traffic.n_prefixes = RTE_MAX(o->prefixes.v[k], o->sas.v[a]);
			rc |= run_place(p);
		}
	return rc;
}

/* Every kind of tunnel for a suite. */
static int run_suite(const struct opts *o, const struct esp_suite *suite, uint32_t n_workers)
{
	int rc = 0;

	for (unsigned i = 0; i < o->inner.n; i++)
		for (unsigned k = 0; k < o->outer.n; k++) {
			struct place p = {
				.o = o,
				.row = {.n_workers = n_workers,
					.traffic = {.form = {.suite = *suite,
							     .inner_v6 = o->inner.v[i] == IP_V6,
							     .outer_v6 = o->outer.v[k] == IP_V6,
							     .udp = o->udp,
							     .translate = o->translate},
						    .per_worker = o->per_worker,
						    .aligned = o->aligned,
						    .pieces = o->pieces}},
			};

			rc |= run_numbers(&p);
		}
	return rc;
}

static int run_all(const struct opts *o)
{
	int rc = 0;

	for (unsigned w = 0; w < o->workers.n; w++)
		for (size_t s = 0; s < ESP_N_SUITES; s++) {
			const struct esp_suite suite = esp_suite_at(s);
			char name[ESP_SUITE_STRLEN];

			if (suite_wanted(esp_suite_format(&suite, name), o->suites))
				rc |= run_suite(o, &suite, o->workers.v[w]);
		}
	return rc;
}

static bool are_versions(const struct list *l)
{
	for (unsigned i = 0; i < l->n; i++)
		if (l->v[i] != IP_V4 && l->v[i] != IP_V6)
			return false;
	return true;
}

static uint32_t min_of(const struct list *l)
{
	uint32_t m = UINT32_MAX;

	for (unsigned i = 0; i < l->n; i++)
		m = RTE_MIN(m, l->v[i]);
	return m;
}

static uint32_t max_of(const struct list *l)
{
	uint32_t m = 0;

	for (unsigned i = 0; i < l->n; i++)
		m = RTE_MAX(m, l->v[i]);
	return m;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"op", required_argument, NULL, 'o'},
		{"suite", required_argument, NULL, 's'},
		{"size", required_argument, NULL, 'z'},
		{"sas", required_argument, NULL, 'a'},
		{"prefixes", required_argument, NULL, 'p'},
		{"workers", required_argument, NULL, 'w'},
		{"inner", required_argument, NULL, 'I'},
		{"outer", required_argument, NULL, 'O'},
		{"udp", no_argument, NULL, 'U'},
		{"translate", no_argument, NULL, 'T'},
		{"per-worker", no_argument, NULL, 'r'},
		{"aligned", no_argument, NULL, 'l'},
		{"one-queue", no_argument, NULL, 'q'},
		{"train", required_argument, NULL, 't'},
		{"pieces", required_argument, NULL, 'i'},
		{"backend", required_argument, NULL, 'b'},
		{"batch", required_argument, NULL, 'n'},
		{"rounds", required_argument, NULL, 'c'},
		{"repeat", required_argument, NULL, 'e'},
		{"memory", required_argument, NULL, 'm'},
		{"no-huge", no_argument, NULL, 'u'},
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	struct opts o = {.suites = "aes-256-gcm-16",
			 .backend = "auto",
			 .batch = 256,
			 .n_batches = 1000,
			 .repeat = 1,
			 .hugepages = true};
	bool ok = parse_list("1", &o.workers) && parse_list("1", &o.sas) &&
		  parse_list("1", &o.prefixes) && parse_list("64,576,1420,imix", &o.sizes) &&
		  parse_list("encap,decap", &o.ops) && parse_list("1", &o.trains) &&
		  parse_list("4", &o.inner) && parse_list("4", &o.outer);
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case 'o': ok = ok && parse_list(optarg, &o.ops); break;
		case 's': o.suites = optarg; break;
		case 'z': ok = ok && parse_list(optarg, &o.sizes); break;
		case 'a': ok = ok && parse_list(optarg, &o.sas); break;
		case 'p': ok = ok && parse_list(optarg, &o.prefixes); break;
		case 'w': ok = ok && parse_list(optarg, &o.workers); break;
		case 'r': o.per_worker = true; break;
		case 'l': o.aligned = true; break;
		case 'q': o.one_queue = true; break;
		case 't': ok = ok && parse_list(optarg, &o.trains); break;
		case 'I': ok = ok && parse_list(optarg, &o.inner); break;
		case 'O': ok = ok && parse_list(optarg, &o.outer); break;
		case 'U': o.udp = true; break;
		case 'T': o.translate = true; break;
		case 'i': o.pieces = (unsigned)atoi(optarg); break;
		case 'b': o.backend = optarg; break;
		case 'n': o.batch = (unsigned)atoi(optarg); break;
		case 'c': o.n_batches = (unsigned)atoi(optarg); break;
		case 'e': o.repeat = (unsigned)atoi(optarg); break;
		case 'm': o.memory_mb = (unsigned)atoi(optarg); break;
		case 'u': o.hugepages = false; break;
		case 'j': o.json = true; break;
		case 'h': usage(stdout); return 0;
		default: usage(stderr); return 2;
		}
	}
	if (!ok || optind != argc || !are_versions(&o.inner) || !are_versions(&o.outer) ||
	    min_of(&o.trains) < 1 || o.repeat < 1 || o.n_batches < 4 || o.batch < 64 ||
	    o.batch > 1024 || o.batch % 64 != 0) {
		usage(stderr);
		return 2;
	}
	cpus_init();
	log_init("dp_bench", LOG_LEVEL_WARN, LOG_FORMAT_TEXT);
	if (o.memory_mb == 0)
		o.memory_mb = RTE_MAX(MEMORY_MIN, 192 + max_of(&o.sas) / 128);
	dp_bench_head(o.json);
	return run_all(&o);
}
