/* SPDX-License-Identifier: Apache-2.0 */
/* counters: see counters.h. */
#include "dataplane/counters.h"

#include <stdlib.h>
#include <string.h>
#include <rte_common.h>
#include "dataplane/dp.h"

#define FEW      2u     /* told in the round that made them */
#define IDLE     64u    /* told in a round without packets */
#define TOGETHER 8u     /* of which memory is fetched at once */
#define STEP_US  80u    /* busy time after which some are told */
#define STEPS    12500u /* in which all that have news are told: a second */
#define N_HALVES 2u

bool dp_counters_init(struct dp_counters *c, uint32_t max_sas, uint64_t tsc_hz)
{
	const uint32_t size = rte_align32pow2(N_HALVES * max_sas);

	memset(c, 0, sizeof(*c));
	c->halves = calloc(size, sizeof(*c->halves));
	c->mask = size - 1;
	c->step_tsc = tsc_hz * STEP_US / 1000000;
	return c->halves;
}

void dp_counters_fini(struct dp_counters *c)
{
	free(c->halves);
}

static void put(uint64_t *to, uint64_t v)
{
	__atomic_store_n(to, v, __ATOMIC_RELAXED);
}

/* Of a tunnel's: workers with SAs of their own and the manager tell of the same one. */
static void add(uint64_t *to, uint64_t v)
{
	(void)__atomic_fetch_add(to, v, __ATOMIC_RELAXED);
}

static void put_out(struct dp_stats_sa *s, const struct esp_out_state *st)
{
	put(&s->out_packets, st->packets);
	put(&s->out_bytes, st->bytes);
	put(&s->out_seq, st->next_seq);
}

static void put_in(struct dp_stats_sa *s, const struct esp_in_state *st)
{
	put(&s->in_packets, st->packets);
	put(&s->in_bytes, st->bytes);
	put(&s->in_seq_high, st->seq_high);
	put(&s->in_auth_failed, st->auth_failed);
	put(&s->in_replayed, st->replayed);
	put(&s->in_late, st->late);
	put(&s->in_ts_mismatch, st->ts_mismatch);
	put(&s->in_malformed, st->malformed);
}

static void tell_out(struct dp *dp, struct dp_out *o)
{
	struct dp_stats_tunnel *t = &dp_stats_tunnels(dp)[o->tunnel];
	struct esp_out_state st;

	esp_out_state(dp_out_esp(o), &st);
	o->near.has_news = false;
	put_out(&dp_stats_sas(dp)[o->slot], &st);
	add(&t->out_packets, st.packets - o->told.packets);
	add(&t->out_bytes, st.bytes - o->told.bytes);
	o->told = (struct dp_told){st.packets, st.bytes};
}

static void tell_in(struct dp *dp, struct dp_in *in)
{
	struct dp_stats_tunnel *t = &dp_stats_tunnels(dp)[in->tunnel];
	struct esp_in_state st;

	esp_in_state(in->esp, &st);
	dp_in_room(in)->has_news = false;
	put_in(&dp_stats_sas(dp)[in->slot], &st);
	add(&t->in_packets, st.packets - in->told.packets);
	add(&t->in_bytes, st.bytes - in->told.bytes);
	in->told = (struct dp_told){st.packets, st.bytes};
}

/* The slot of a half may have another one by now, another worker's perhaps, or none. */
static struct dp_out *noted_out(const struct dp_worker *w, uint32_t slot)
{
	struct dp_out *o = __atomic_load_n(&w->dp->sas.out[slot], __ATOMIC_ACQUIRE);

	return o && o->owner == w->index ? o : NULL;
}

static struct dp_in *noted_in(const struct dp_worker *w, uint32_t slot)
{
	struct dp_in *in = __atomic_load_n(&w->dp->sas.in[slot], __ATOMIC_ACQUIRE);

	return in && in->owner == w->index ? in : NULL;
}

/* The oldest `n`, TOGETHER at most. Each step fetches, for all of them, what the next one uses. */
static void tell_some(struct dp_worker *w, uint32_t n)
{
	struct dp_counters *c = &w->counters;
	const struct dp_sas *sas = &w->dp->sas;
	struct dp_out *out[TOGETHER];
	struct dp_in *in[TOGETHER];

	for (uint32_t i = 0; i < n; i++) {
		const uint32_t half = c->halves[(c->head + i) & c->mask];

		if (half & 1)
			__builtin_prefetch(__atomic_load_n(&sas->in[half >> 1], __ATOMIC_ACQUIRE));
		else
			__builtin_prefetch(__atomic_load_n(&sas->out[half >> 1], __ATOMIC_ACQUIRE));
	}
	for (uint32_t i = 0; i < n; i++) {
		const uint32_t half = c->halves[(c->head + i) & c->mask], slot = half >> 1;

		out[i] = half & 1 ? NULL : noted_out(w, slot);
		in[i] = half & 1 ? noted_in(w, slot) : NULL;
		if (out[i]) {
			esp_out_prefetch_state(dp_out_esp(out[i]));
			__builtin_prefetch(&w->sas[slot], 1);
			__builtin_prefetch(&w->tunnels[out[i]->tunnel], 1);
		} else if (in[i]) {
			__builtin_prefetch(&in[i]->told, 1);
			esp_in_prefetch(in[i]->esp);
			__builtin_prefetch(&w->sas[slot].in_packets, 1);
			__builtin_prefetch(&w->tunnels[in[i]->tunnel], 1);
		}
	}
	for (uint32_t i = 0; i < n; i++) {
		if (out[i])
			tell_out(w->dp, out[i]);
		else if (in[i])
			tell_in(w->dp, in[i]);
	}
	c->head += n;
	c->n -= n;
}

static void tell(struct dp_worker *w, uint32_t n)
{
	for (uint32_t k; n > 0; n -= k) {
		k = RTE_MIN(n, TOGETHER);
		tell_some(w, k);
	}
}

/* How many are told in a round with packets. */
static uint32_t due(struct dp_worker *w)
{
	struct dp_counters *c = &w->counters;
	const uint64_t busy = w->stats->busy_cycles;

	if (busy - c->last_step < c->step_tsc)
		return 0;
	c->last_step = busy;
	return RTE_MIN(c->n, TOGETHER + c->n / STEPS);
}

void dp_counters_round(struct dp_worker *w, uint16_t n)
{
	struct dp_counters *c = &w->counters;

	if (c->n <= FEW)
		tell(w, c->n);
	else
		tell(w, n ? due(w) : RTE_MIN(c->n, IDLE));
}

void dp_counters_tell_all(struct dp_worker *w)
{
	tell(w, w->counters.n);
}

void dp_counters_last_out(struct dp *dp, const struct dp_out *o)
{
	struct dp_stats_tunnel *t = &dp_stats_tunnels(dp)[o->tunnel];
	struct esp_out_state st;

	esp_out_state(dp_out_esp(o), &st);
	if (!dp->sas.out[o->slot])
		put_out(&dp_stats_sas(dp)[o->slot], &st);
	add(&t->out_packets, st.packets - o->told.packets);
	add(&t->out_bytes, st.bytes - o->told.bytes);
}

void dp_counters_last_in(struct dp *dp, const struct dp_in *in)
{
	struct dp_stats_tunnel *t = &dp_stats_tunnels(dp)[in->tunnel];
	struct esp_in_state st;

	esp_in_state(in->esp, &st);
	if (!dp->sas.in[in->slot])
		put_in(&dp_stats_sas(dp)[in->slot], &st);
	add(&t->in_packets, st.packets - in->told.packets);
	add(&t->in_bytes, st.bytes - in->told.bytes);
}
