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
#include "bench/drive.h"
#include "bench/hugepages.h"

#define LIST_MAX   16u
#define MEMORY_MIN 256u
#define REPEAT_US  50000

struct list {
	uint32_t v[LIST_MAX];
	unsigned n;
};

struct opts {
	struct list workers, sas, prefixes, sizes, ops;
	const char *suites; /* parts of names, with commas */
	const char *backend;
	unsigned batch, n_batches, memory_mb, train, pieces, repeat;
	bool json, per_worker, aligned, one_queue, hugepages;
};

static const char *const op_names[] = {"esp-encap", "esp-decap", "esp-both"};

static void usage(FILE *f)
{
	fprintf(f, "usage: dp_bench [OPTION...]\n"
		   "  --op LIST        encap, decap, both (encap,decap)\n"
		   "  --suite LIST     names, as aes-256-gcm-16, or `all`\n"
		   "  --size LIST      inner IP bytes, or imix (64,576,1420,imix)\n"
		   "  --sas LIST       (1)\n"
		   "  --prefixes LIST  (1); at least as many as SAs\n"
		   "  --workers LIST   (1)\n"
		   "  --per-worker     RFC 9611: one tunnel, an outbound SA for each worker\n"
		   "  --aligned        packets come to the worker that owns their SA\n"
		   "  --one-queue      all packets come to one worker, which the others help\n"
		   "  --train N        packets that follow each other with one SA (1)\n"
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

static void print_head(bool json)
{
	if (!json)
		printf("%-9s %-20s %-8s %5s %7s %8s %2s %8s %8s %8s %8s %6s\n", "bench", "suite",
		       "backend", "size", "sas", "prefixes", "w", "cycles", "crypto", "Mpps",
		       "Gbit/s", "ratio");
}

/* What a row belongs to. */
struct place {
	const struct opts *o;
	const struct esp_suite *suite;
	const char *backend;
	uint32_t n_sas, n_prefixes, n_workers;
	bool hugepages;
};

/* How much more all workers do than one. */
static void print_growth(const struct place *p, const struct drive_result *r)
{
	const double times = (p->o->one_queue ? 1 : p->n_workers) * r->cycles_alone / r->cycles;
	const double crypto = p->n_workers * r->crypto_alone / r->crypto;

	if (p->o->json && p->o->one_queue)
		printf(", \"cycles_alone\": %.1f, \"times_one_worker\": %.3f", r->cycles_alone,
		       times);
	else if (p->o->json)
		printf(", \"cycles_alone\": %.1f, \"times_one_worker\": %.3f, "
		       "\"crypto_times_one_worker\": %.3f",
		       r->cycles_alone, times, crypto);
	else
		printf("  one worker alone: %.1f cycles; all do %.2f times as much (%u batches, %u "
		       "of "
		       "them disturbed)\n",
		       r->cycles_alone, times, r->n_batches, r->n_disturbed);
	if (!p->o->json && !p->o->one_queue)
		printf("  of the bare AEAD %.2f times as much\n", crypto);
}

static void print_row(const struct place *p, const struct drive_opts *d,
		      const struct drive_result *r)
{
	const double hz = (double)rte_get_tsc_hz();
	const unsigned n = p->o->one_queue ? 1 : p->n_workers;
	const double mpps = hz * n / r->cycles / 1e6;
	const double gbps = mpps * traffic_mean(d->size) * 8 / 1e3;
	char name[ESP_SUITE_STRLEN], size[16] = "imix";

	esp_suite_format(p->suite, name);
	if (d->size != TRAFFIC_IMIX)
		snprintf(size, sizeof(size), "%u", d->size);
	if (p->o->json)
		printf("{\"bench\": \"%s\", \"suite\": \"%s\", \"backend\": \"%s\", \"size\": "
		       "\"%s\", \"n_sas\": %u, \"n_prefixes\": %u, \"n_workers\": %u, "
		       "\"per_worker_sas\": %s, \"aligned\": %s, \"one_queue\": %s, "
		       "\"bursts_spread\": %llu, \"bursts_helped\": %llu, "
		       "\"train\": %u, "
		       "\"hugepages\": %s, "
		       "\"mpps\": "
		       "%.3f, "
		       "\"gbps\": %.3f, \"cycles_per_packet\": %.1f, \"cycles_per_packet_p50\": "
		       "%.1f, \"crypto_cycles_per_packet\": %.1f, \"ratio_to_crypto\": %.3f, "
		       "\"packets\": %llu, \"checked\": %llu, \"batches\": %u, \"disturbed\": "
		       "%u",
		       op_names[d->op], name, p->backend, size, p->n_sas, p->n_prefixes,
		       p->n_workers, p->o->per_worker ? "true" : "false",
		       p->o->aligned ? "true" : "false", p->o->one_queue ? "true" : "false",
		       (unsigned long long)r->n_spread, (unsigned long long)r->n_helped,
		       p->o->train, p->hugepages ? "true" : "false", mpps, gbps, r->cycles,
		       r->cycles_p50, r->crypto, r->cycles / r->crypto,
		       (unsigned long long)r->n_packets, (unsigned long long)r->n_checked,
		       r->n_batches, r->n_disturbed);
	else
		printf("%-9s %-20s %-8s %5s %7u %8u %2u %8.1f %8.1f %8.2f %8.2f %6.2f\n",
		       op_names[d->op], name, p->backend, size, p->n_sas, p->n_prefixes,
		       p->n_workers, r->cycles, r->crypto, mpps, gbps, r->cycles / r->crypto);
	if (r->cycles_alone > 0)
		print_growth(p, r);
	if (p->o->json)
		printf("}\n");
	fflush(stdout);
}

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

/* In a process of its own: one world, a row for each operation and size. */
static int measure(void *arg)
{
	const struct place *p = arg;
	static struct world w;
	static struct traffic t;
	const struct opts *o = p->o;
	const struct world_opts wo = {
		.n_workers = p->n_workers,
		.max_sas = RTE_MAX(p->n_sas + p->n_workers, 16u),
		.max_tunnels = RTE_MAX(p->n_sas, 16u),
		.memory_mb = o->memory_mb,
		.backend = o->backend,
		.no_hugepages = !o->hugepages,
		.spread = o->one_queue,
	};
	const struct traffic_opts to = {
		.suite = *p->suite,
		.n_sas = p->n_sas,
		.n_prefixes = p->n_prefixes,
		.per_worker = o->per_worker,
		.aligned = o->aligned,
		.train = o->train,
		.pieces = o->pieces,
	};
	struct place place = *p;
	char error[WORLD_ERROR] = "";

	if (!world_start(&w, &wo, error) || !traffic_init(&t, &w, &to, error)) {
		fprintf(stderr, "dp_bench: %s\n", error);
		return 1;
	}
	place.hugepages = w.dp.hugepages;
	place.backend = traffic_backend(&t);
	for (unsigned i = 0; i < o->ops.n; i++) {
		for (unsigned k = 0; k < o->sizes.n; k++) {
			const struct drive_opts d = {
				.op = (enum drive_op)o->ops.v[i],
				.size = o->sizes.v[k],
				.batch = o->batch,
				.n_batches = o->n_batches,
				.n_checked = 2,
				.one_queue = o->one_queue,
			};
			struct drive_result best;

			if (!best_of(o->repeat, &t, &d, &best, error)) {
				fprintf(stderr, "dp_bench: %s\n", error);
				return 1;
			}
			print_row(&place, &d, &best);
		}
	}
	return 0;
}

static int run_all(struct opts *o)
{
	int rc = 0;

	for (unsigned w = 0; w < o->workers.n; w++)
		for (size_t s = 0; s < ESP_N_SUITES; s++)
			for (unsigned a = 0; a < o->sas.n; a++)
				for (unsigned p = 0; p < o->prefixes.n; p++) {
					const struct esp_suite suite = esp_suite_at(s);
					char name[ESP_SUITE_STRLEN];
					struct place place = {
						.o = o,
						.suite = &suite,
						.n_sas = o->sas.v[a],
						.n_prefixes =
							RTE_MAX(o->prefixes.v[p], o->sas.v[a]),
						.n_workers = o->workers.v[w],
					};

					if (suite_wanted(esp_suite_format(&suite, name), o->suites))
						rc |= hugepages_run(o->hugepages ? o->memory_mb : 0,
								    measure, &place);
				}
	return rc;
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
			 .train = 1,
			 .n_batches = 1000,
			 .repeat = 1,
			 .hugepages = true};
	bool ok = parse_list("1", &o.workers) && parse_list("1", &o.sas) &&
		  parse_list("1", &o.prefixes) && parse_list("64,576,1420,imix", &o.sizes) &&
		  parse_list("encap,decap", &o.ops);
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
		case 't': o.train = (unsigned)atoi(optarg); break;
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
	if (!ok || optind != argc || o.train < 1 || o.repeat < 1 || o.n_batches < 4 ||
	    o.batch < 64 || o.batch > 1024 || o.batch % 64 != 0) {
		usage(stderr);
		return 2;
	}
	cpus_init();
	log_init("dp_bench", LOG_LEVEL_WARN, LOG_FORMAT_TEXT);
	if (o.memory_mb == 0)
		o.memory_mb = RTE_MAX(MEMORY_MIN, 192 + max_of(&o.sas) / 128);
	print_head(o.json);
	return run_all(&o);
}
