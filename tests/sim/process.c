/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process: the life of a node's control process: what its supervisor keeps of it, how it ends
 * between any two actions, and how another one takes up what it left.
 */
#include <stdlib.h>
#include <string.h>
#include "tests/sim/world.h"

static struct sim_record *find(struct sim_node *n, uint64_t spi)
{
	for (size_t i = 0; i < n->n_records; i++) {
		if (n->records[i].spi == spi)
			return &n->records[i];
	}
	return NULL;
}

static void commit(struct sim_node *n, struct sim_record *s)
{
	struct sim_record *r = find(n, s->spi);

	if (!s->data) {
		if (!r) {
			fail_world(n->w, "node %d: forgets a record that is not kept", n->index);
			return;
		}
		free(r->data);
		*r = n->records[--n->n_records];
		return;
	}
	if (!r) {
		if (n->n_records == SIM_RECORDS) {
			fail_world(n->w, "node %d: too many records", n->index);
			return;
		}
		r = &n->records[n->n_records++];
		*r = (struct sim_record){0};
	}
	free(r->data);
	*r = *s;
}

/* All records of a step or none. */
void process_keep(struct sim_node *n, const struct ike_action *a)
{
	struct sim_record *s = &n->staged[n->n_staged];

	if (n->n_staged == SIM_STAGED) {
		fail_world(n->w, "node %d: too many records in one step", n->index);
		return;
	}
	*s = (struct sim_record){.spi = a->save.spi, .at = n->w->now};
	if (a->save.data) {
		s->data = malloc(a->save.size);
		if (!s->data)
			abort();
		memcpy(s->data, a->save.data, a->save.size);
		s->size = a->save.size;
	}
	n->n_staged++;
	if (!a->save.last)
		return;
	for (size_t i = 0; i < n->n_staged; i++)
		commit(n, &n->staged[i]);
	n->n_staged = 0;
}

static void forget_staged(struct sim_node *n)
{
	while (n->n_staged)
		free(n->staged[--n->n_staged].data);
}

void process_forget_all(struct sim_node *n)
{
	forget_staged(n);
	while (n->n_records)
		free(n->records[--n->n_records].data);
}

/* ------------------------------------------------------------------- checks */

#define SAVED_AT_END 14 /* magic, version and the time: the rest is the SA's */

struct checking {
	struct sim_node *n;
	size_t n_saved;
};

static bool check_one(void *ctx, const struct ike_show_sa *s)
{
	static uint8_t buf[IKE_RECORD_MAX];
	struct checking *k = ctx;
	struct sim_node *n = k->n;
	const struct sim_record *r;
	uint64_t spi = s->initiator ? s->spi_i : s->spi_r;
	size_t size;

	if (s->is_child)
		return true;
	size = ike_save(n->ike, spi, node_now(n), buf, sizeof(buf));
	if (!size)
		return true;
	k->n_saved++;
	r = find(n, spi);
	if (!r || r->size != size ||
	    memcmp(r->data + SAVED_AT_END, buf + SAVED_AT_END, size - SAVED_AT_END) != 0)
		fail_world(n->w, "node %d: an IKE SA is not as its record says", n->index);
	return true;
}

/* What is kept is what the core has. */
void process_check(struct sim_node *n)
{
	struct checking k = {.n = n};

	ike_show_sas(n->ike, check_one, &k);
	if (k.n_saved != n->n_records)
		fail_world(n->w, "node %d: %zu records of %zu IKE SAs", n->index, n->n_records,
			   k.n_saved);
}

/* ------------------------------------------------------------- end and start */

void process_end(struct sim_node *n)
{
	ike_free(n->ike);
	n->ike = NULL;
	n->crashed = false;
	n->crash_in = 0;
	n->generation++;
	forget_staged(n);
	ike_out_reset(&n->out);
	for (size_t t = 0; t < SIM_TUNNELS; t++)
		n->up[t] = false;
}

static void load_records(struct sim_node *n)
{
	for (size_t i = 0; i < n->n_records; i++) {
		struct sim_record *r = &n->records[i];
		const enum ike_load result = ike_load(n->ike, r->data, r->size,
						      mono_since(n->w->now, r->at), node_now(n));

		if (result == IKE_LOAD_OK)
			continue;
		if (result != IKE_LOAD_NO_TUNNEL)
			fail_world(n->w, "node %d: a record was refused: %s", n->index,
				   ike_load_text(result));
		free(r->data);
		*r = n->records[--n->n_records];
		i--;
	}
}

static void inventory(struct sim_node *n)
{
	struct ike_dp_slot slots[3];
	struct ike_event ev = {.type = IKE_EV_DP_INVENTORY, .now = node_now(n)};

	ev.inventory.slots = slots;
	for (uint32_t i = 0; i < SIM_SLOTS; i++) {
		const struct sim_half *in = &n->in[i], *out = &n->out_half[i];

		if (!in->on && !out->on)
			continue;
		slots[ev.inventory.n++] = (struct ike_dp_slot){
			.slot = i,
			.tunnel = in->on ? in->tunnel : out->tunnel,
			.in = in->on,
			.out = out->on,
			.spi_in = in->spi,
			.spi_out = out->spi,
			.seen = in->on && in->seen,
		};
		if (ev.inventory.n == sizeof(slots) / sizeof(slots[0])) {
			node_step(n, &ev);
			ev.inventory.n = 0;
		}
	}
	ev.inventory.last = true;
	n->resuming = false;
	node_step(n, &ev);
}

bool process_start(struct sim_node *n)
{
	const struct ike_crypto c = node_crypto(n);

	n->limits.n_resources = n->n_workers;
	n->ike = ike_new(&n->limits, &c, &n->tracer);
	if (!n->ike || !ike_resume(n->ike))
		return false;
	if (n->stale)
		ike_resume_stale(n->ike);
	n->stale = false;
	dp_drain(n);
	n->resuming = true;
	for (size_t t = 0; t < n->n_tunnels; t++)
		node_set_tunnel(n, t);
	load_records(n);
	inventory(n);
	node_tick(n);
	return true;
}

/* As a supervisor would, with the dataplane as it stands. */
void process_restart(struct sim_node *n)
{
	if (n->off)
		return;
	if (n->w->verbose)
		fprintf(stderr, "%10.3f %c process: restart, %zu records\n",
			(double)n->w->now.ns / 1e9, 'A' + n->index, n->n_records);
	if (n->ike)
		process_end(n);
	if (!process_start(n))
		fail_world(n->w, "node %d: no new process", n->index);
}
