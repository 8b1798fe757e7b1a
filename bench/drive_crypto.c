/* SPDX-License-Identifier: Apache-2.0 */
/* drive_crypto: the AEAD alone, with the keys of the SAs in the dataplane, in the pipeline's bursts. */
#include <rte_cycles.h>
#include "bench/drive_int.h"
#include "esp/esp_int.h"

void drive_jobs_of(struct driver *d, struct rte_mbuf **m, unsigned n, bool open,
		   struct drive_jobs *out)
{
	const struct dp_sas *sas = &d->w->dp->sas;
	const struct esp_suite *s = &d->run->t->o.form.suite;

	out->backend = NULL;
	out->n = n;
	for (unsigned i = 0; i < n; i++) {
		struct esp_pkt p = {.data = dp_data(m[i]) + DP_ETH_SIZE,
				    .size = m[i]->pkt_len - DP_ETH_SIZE};
		const struct esp_in *in;
		const struct esp_out *sa;
		uint32_t spi = 0, slot;

		(void)esp_locate(&p, &spi);
		slot = spi & DP_SLOT_MASK;
		in = open ? sas->in[slot]->esp : NULL;
		sa = open ? NULL : dp_out_esp(sas->out[slot]);
		out->backend = open ? in->backend : sa->backend;
		out->jobs[i] = (struct esp_job){
			.key = open ? in->line.key : sa->line.key,
			.esp = p.data + p.esp_offset,
			.payload_size = p.esp_size - ESP_HDR_SIZE - s->iv_size - s->icv_size,
		};
	}
}

void drive_jobs_do(struct driver *d, struct drive_jobs *j, bool open)
{
	void *const ctx = esp_thread_ctx(&d->w->esp, j->backend);

	for (unsigned i = 0; i < j->n; i += DP_BURST) {
		const unsigned k = RTE_MIN(j->n - i, (unsigned)DP_BURST);

		if (open)
			j->backend->open(ctx, j->jobs + i, k);
		else
			j->backend->seal(ctx, j->jobs + i, k);
	}
}

static uint64_t crypto(struct driver *d, struct rte_mbuf **m, unsigned n, bool open, bool together)
{
	struct drive_jobs j;
	uint64_t start;

	drive_jobs_of(d, m, n, open, &j);
	if (together)
		drive_begin_together(d);
	if (n == 0)
		return 0;
	start = rte_rdtsc_precise();
	drive_jobs_do(d, &j, open);
	start = rte_rdtsc_precise() - start;
	for (unsigned i = 0; i < n; i++) {
		if (!j.jobs[i].ok)
			drive_fail(d->run, "the AEAD alone refuses a packet");
	}
	return start;
}

/* SAs are drawn anew, as for the pipeline. */
static uint64_t crypto_batch(struct driver *d, unsigned batch, bool open)
{
	const bool one = n_workers_of(d->run) == 1 || d->run->o->one_queue;
	const bool together = !one && !is_alone(d->run, batch);
	const unsigned n = d->run->o->batch;
	struct rte_mbuf *m[DRIVE_BATCH_MAX];
	bool made = false;
	uint64_t sum = 0;

	/* Packets are drawn from one source of randomness: one thread after the other. */
	for (unsigned i = 0; i < n_workers_of(d->run) && !one; i++) {
		if (i == d->w->index && drive_takes_part(d, batch))
			made = drive_make(d, WORLD_WAN, m, n);
		drive_meet(d);
	}
	if (one)
		made = drive_make(d, WORLD_WAN, m, n);
	if (!drive_takes_part(d, batch))
		return 0;
	if (made || together)
		sum = crypto(d, m, made ? n : 0, open, together);
	if (made)
		rte_pktmbuf_free_bulk(m, n);
	else
		drive_fail(d->run, "no packet could be made");
	return sum;
}

uint64_t drive_crypto(struct driver *d, unsigned batch)
{
	switch (d->run->o->op) {
	case DRIVE_ENCAP: return crypto_batch(d, batch, false);
	case DRIVE_DECAP: return crypto_batch(d, batch, true);
	case DRIVE_BOTH: break;
	}
	return (crypto_batch(d, batch, false) + crypto_batch(d, batch, true)) / 2;
}
