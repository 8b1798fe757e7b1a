/* SPDX-License-Identifier: Apache-2.0 */
/* dp_bench_rows: see dp_bench_rows.h; docs/benchmarking.md says what the fields mean. */
#include "bench/dp_bench_rows.h"

#include <stdio.h>
#include <rte_cycles.h>

static const char *const op_names[] = {"esp-encap", "esp-decap", "esp-both"};

/* What is made of a result. */
struct figures {
	char suite[ESP_SUITE_STRLEN], size[16];
	double mpps, gbps;
	double times, crypto_times; /* how much more all workers do than one */
};

static struct figures figures_of(const struct dp_bench_place *p, const struct drive_opts *d,
				 const struct drive_result *r)
{
	/* Of packets that all come to one worker, cycles are those until they have left. */
	const unsigned n = d->one_queue ? 1 : p->n_workers;
	struct figures f = {.size = "imix"};

	esp_suite_format(&p->traffic.form.suite, f.suite);
	if (d->size != TRAFFIC_IMIX)
		snprintf(f.size, sizeof(f.size), "%u", d->size);
	f.mpps = (double)rte_get_tsc_hz() * n / r->cycles / 1e6;
	f.gbps = f.mpps * traffic_mean(d->size) * 8 / 1e3;
	f.times = n * r->cycles_alone / r->cycles;
	f.crypto_times = p->n_workers * r->crypto_alone / r->crypto;
	return f;
}

void dp_bench_head(bool json)
{
	if (!json)
		printf("%-9s %-20s %-8s %5s %7s %8s %5s %2s %8s %8s %8s %8s %6s\n", "bench",
		       "suite", "backend", "size", "sas", "prefixes", "train", "w", "cycles",
		       "crypto", "Mpps", "Gbit/s", "ratio");
}

static void print_line(const struct dp_bench_place *p, const struct drive_opts *d,
		       const struct drive_result *r, const struct figures *f)
{
	printf("%-9s %-20s %-8s %5s %7u %8u %5u %2u %8.1f %8.1f %8.2f %8.2f %6.2f\n",
	       op_names[d->op], f->suite, p->backend, f->size, p->traffic.n_sas,
	       p->traffic.n_prefixes, d->train, p->n_workers, r->cycles, r->crypto, f->mpps,
	       f->gbps, r->cycles / r->crypto);
	if (r->cycles_alone > 0)
		printf("  one worker alone: %.1f cycles; all do %.2f times as much, of the bare "
		       "AEAD %.2f times (%u batches, %u of them disturbed)\n",
		       r->cycles_alone, f->times, f->crypto_times, r->n_batches, r->n_disturbed);
}

static const char *truth(bool b)
{
	return b ? "true" : "false";
}

static void print_object(const struct dp_bench_place *p, const struct drive_opts *d,
			 const struct drive_result *r, const struct figures *f)
{
	const struct traffic_opts *t = &p->traffic;

	printf("{\"bench\": \"%s\", \"suite\": \"%s\", \"backend\": \"%s\", \"size\": \"%s\", "
	       "\"n_sas\": %u, \"n_prefixes\": %u, \"n_workers\": %u, \"train\": %u",
	       op_names[d->op], f->suite, p->backend, f->size, t->n_sas, t->n_prefixes,
	       p->n_workers, d->train);
	printf(", \"inner\": %d, \"outer\": %d, \"udp\": %s, \"translated\": %s",
	       tunnels_inner(&t->form), tunnels_outer(&t->form), truth(t->form.udp),
	       truth(t->form.translate));
	printf(", \"per_worker_sas\": %s, \"aligned\": %s, \"one_queue\": %s, \"hugepages\": %s",
	       truth(t->per_worker), truth(t->aligned), truth(d->one_queue), truth(p->hugepages));
	printf(", \"mpps\": %.3f, \"gbps\": %.3f, \"cycles_per_packet\": %.1f, "
	       "\"cycles_per_packet_p50\": %.1f, \"crypto_cycles_per_packet\": %.1f, "
	       "\"ratio_to_crypto\": %.3f",
	       f->mpps, f->gbps, r->cycles, r->cycles_p50, r->crypto, r->cycles / r->crypto);
	if (r->cycles_alone > 0)
		printf(", \"cycles_alone\": %.1f, \"times_one_worker\": %.3f, "
		       "\"crypto_times_one_worker\": %.3f",
		       r->cycles_alone, f->times, f->crypto_times);
	if (r->line_cycles > 0)
		printf(", \"line_cycles\": %.2f", r->line_cycles);
	if (d->one_queue)
		printf(", \"bursts_spread\": %llu, \"bursts_helped\": %llu",
		       (unsigned long long)r->n_spread, (unsigned long long)r->n_helped);
	printf(", \"packets\": %llu, \"checked\": %llu, \"batches\": %u, \"disturbed\": %u}\n",
	       (unsigned long long)r->n_packets, (unsigned long long)r->n_checked, r->n_batches,
	       r->n_disturbed);
}

void dp_bench_row(bool json, const struct dp_bench_place *p, const struct drive_opts *d,
		  const struct drive_result *r)
{
	const struct figures f = figures_of(p, d, r);

	if (json)
		print_object(p, d, r, &f);
	else
		print_line(p, d, r, &f);
	fflush(stdout);
}
