/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target of ike_load(): a record of bytes, a true one with bytes changed, or one made of chosen
 * sections. What is not taken changes nothing; what is taken must be sound enough to live with.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/secret.h"
#include "ike/record.h"
#include "tests/sim/fuzz_bytes.h"
#include "tests/sim/world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define A (&w->node[0])

static struct world the_world;
static uint8_t base[IKE_RECORD_MAX];
static size_t base_size;

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "fuzz_record: %s\n", what);
	abort();
}

static void silent(void *ctx, enum log_level level, const char *text)
{
	(void)ctx;
	(void)level;
	must(strlen(text) > 0, "an empty line");
}

/* A record with a request on its way in it. */
static void make_base(void)
{
	struct world *w = &the_world;

	must(secret_init(), "no secrets");
	world_init(w, 1);
	must(world_start(w) && world_until(w, settled, span_s(10)), "not connected");
	w->faults.cut = true;
	node_event(A, IKE_EV_REKEY_CHILD, 0);
	world_run(w, span_ms(1));
	must(A->n_records == 1, "not one record");
	base_size = A->records[0].size;
	memcpy(base, A->records[0].data, base_size);
}

static size_t draw_record(struct fuzz_bytes *in, uint8_t out[IKE_RECORD_MAX])
{
	struct wr w = wr_of(out, IKE_RECORD_MAX);
	const uint8_t *bytes;
	size_t n;

	switch (fuzz_u8(in) % 3) {
	case 0:
		n = fuzz_take(in, SIZE_MAX, &bytes);
		wr_bytes(&w, bytes, n);
		return w.n;
	case 1:
		memcpy(out, base, base_size);
		while (fuzz_more(in)) {
			const size_t at = fuzz_u16(in) % base_size;

			n = fuzz_take(in, 1 + (fuzz_u8(in) & 7), &bytes);
			if (n > base_size - at)
				n = base_size - at;
			memcpy(out + at, bytes, n);
		}
		return base_size;
	default:
		wr_bytes(&w, base, IKE_RECORD_HEADER);
		while (fuzz_more(in)) {
			const uint16_t type = fuzz_u8(in);

			n = fuzz_take(in, fuzz_u16(in) & 1023, &bytes);
			wr_u16(&w, type);
			wr_u32(&w, (uint32_t)n);
			wr_bytes(&w, bytes, n);
		}
		return wr_ok(&w) ? w.n : 0;
	}
}

static bool count_one(void *ctx, const struct ike_show_sa *s)
{
	(void)s;
	(*(unsigned *)ctx)++;
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t record[IKE_RECORD_MAX], again[IKE_RECORD_MAX];
	static const struct tracer tracer = {NULL, silent};
	struct world *w = &the_world;
	struct ike_event ev = {.type = IKE_EV_DP_INVENTORY};
	struct fuzz_bytes in = {data, size};
	struct ike_crypto c;
	struct ike *ike;
	uint8_t *exact;
	unsigned shown = 0;
	size_t n;

	if (!base_size)
		make_base();
	if (size < 2 || size > 20000)
		return 0;
	n = draw_record(&in, record);
	A->rng.state = 1;
	c = node_crypto(A);
	ike = ike_new(&A->limits, &c, &tracer);
	exact = malloc(n ? n : 1);
	must(ike && exact && ike_resume(ike), "no core");
	memcpy(exact, record, n);
	must(ike_tunnel_set(ike, &A->cfg[0], w->now, &A->out), "no tunnel");
	ike_out_reset(&A->out);
	if (ike_load(ike, exact, n, span_s(1), w->now) != IKE_LOAD_OK) {
		ike_show_sas(ike, count_one, &shown);
		must(shown == 0, "a record that was refused has left something");
	}
	free(exact);
	ev.now = w->now;
	ev.inventory.last = true;
	ike_step(ike, &ev, &A->out);
	ike_out_reset(&A->out);
	ev.type = IKE_EV_TICK;
	for (unsigned i = 0; i < 8; i++) {
		ev.now = mono_add(ev.now, span_s(1u << i));
		ike_step(ike, &ev, &A->out);
		must(ike_counter_get(ike, IKE_CNT_ACTION_OVERFLOW) == 0, "actions overflow");
		for (size_t k = 0; k < A->out.n; k++) {
			const struct ike_action *a = &A->out.actions[k];

			if (a->type == IKE_ACT_SAVE && a->save.data)
				must(ike_save(ike, a->save.spi, ev.now, again, sizeof(again)) <=
					     sizeof(again),
				     "a record beyond its bounds");
		}
		ike_out_reset(&A->out);
	}
	ike_free(ike);
	return 0;
}
