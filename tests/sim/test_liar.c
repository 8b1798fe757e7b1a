/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Peers that hold the right keys and say wrong things: each line of the tables is one lie, told once,
 * with what the honest side must count, answer and keep. Afterwards both must find together again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/secret.h"
#include "tests/sim/liar.h"

#define A (&w->node[0])
#define B (&w->node[1])

static struct world the_world;
static struct liar liar;

static void must(struct world *w, bool ok, const char *what)
{
	if (!ok || w->failure[0])
		fail_msg("%s %s", what, w->failure);
}

/* ------------------------------------------------------------------ deletions */

/* A child of its own making, so that there are several; returns B's SPI for it. */
static uint32_t ask_for_child(struct world *w, uint32_t spi_of_a)
{
	static const uint8_t nonce[32] = {1}, public[32] = {9};
	const struct ike_tunnel_cfg *cfg = &A->cfg[0];
	uint8_t buf[IKE_MESSAGE_MAX], spi[4];
	struct wr spi_w = wr_of(spi, sizeof(spi));
	const struct liar_payload *sa;
	struct ike_builder b;

	wr_u32(&spi_w, spi_of_a);
	ike_build_open_inner(&b, buf, sizeof(buf));
	ike_build_sa(&b, IKE_PROTO_ESP, spi, 4, cfg->esp_suites, cfg->n_esp_suites);
	ike_build_nonce(&b, nonce, sizeof(nonce));
	ike_build_ke(&b, IKE_DH_CURVE25519, public, sizeof(public));
	ike_build_ts(&b, IKE_PL_TSI, cfg->local_ts, cfg->n_local_ts);
	ike_build_ts(&b, IKE_PL_TSR, cfg->remote_ts, cfg->n_remote_ts);
	must(w, liar_ask(w, &liar, 0, IKE_CREATE_CHILD_SA, &b), "no answer");
	sa = liar_find(&liar.answer, IKE_PL_SA);
	must(w, sa && sa->size > 12, "no child");
	return (uint32_t)sa->body[8] << 24 | (uint32_t)sa->body[9] << 16 |
	       (uint32_t)sa->body[10] << 8 | sa->body[11];
}

static size_t answered_spis(uint32_t *out, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < liar.answer.n; i++) {
		const struct liar_payload *p = &liar.answer.p[i];

		if (p->type != IKE_PL_DELETE || p->body[0] != IKE_PROTO_ESP)
			continue;
		for (size_t at = 4; at + 4 <= p->size && n < max; at += 4)
			out[n++] = (uint32_t)p->body[at] << 24 | (uint32_t)p->body[at + 1] << 16 |
				   (uint32_t)p->body[at + 2] << 8 | p->body[at + 3];
	}
	return n;
}

/* RFC 7296 3.11: several Delete payloads, several SPIs in one; 1.4.1: the paired SPIs in answer. */
static void deletes_are_answered_in_pairs(void **state)
{
	struct world *w = &the_world;
	/* What each payload holds: numbers of children. */
	static const struct {
		const char *name;
		const char *payloads[3];
		size_t n_pairs;
	} cases[] = {
		{"one", {"0"}, 1},
		{"two in one payload", {"01"}, 2},
		{"two payloads", {"0", "1"}, 2},
		{"two payloads, three SPIs", {"20", "1"}, 3},
		{"three payloads", {"2", "1", "0"}, 3},
		{"one named twice", {"0", "01"}, 2},
		{"an unknown one first", {"9", "1"}, 1},
	};

	(void)state;
	for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
		uint32_t theirs[3], ours[3], answered[8];
		uint8_t buf[256];
		struct ike_builder b;
		size_t n;

		world_init(w, 100 + k);
		w->esp_period_us = 0;
		must(w, world_start(w) && world_until(w, settled, span_s(10)), "no start");
		for (uint32_t i = 0; i < 3; i++) {
			ours[i] = 0x10000 + i;
			theirs[i] = ask_for_child(w, ours[i]);
			world_run(w, span_ms(20));
		}
		must(w, count_sas(B, 0).live_child == 4, "children are missing");
		ike_build_open_inner(&b, buf, sizeof(buf));
		for (size_t i = 0; i < 3 && cases[k].payloads[i]; i++) {
			uint8_t spis[12];
			struct wr spi_w = wr_of(spis, sizeof(spis));

			for (const char *c = cases[k].payloads[i]; *c; c++)
				wr_u32(&spi_w, *c == '9' ? 0x99999 : ours[*c - '0']);
			ike_build_delete(&b, IKE_PROTO_ESP, 4, spis, spi_w.n / 4);
		}
		must(w, liar_ask(w, &liar, 0, IKE_INFORMATIONAL, &b), "no answer");
		n = answered_spis(answered, 8);
		if (n != cases[k].n_pairs)
			fail_msg("%s: %zu SPIs in the answer", cases[k].name, n);
		for (size_t i = 0; i < 3; i++) {
			bool named = false, told = false;

			for (size_t j = 0; j < 3 && cases[k].payloads[j]; j++)
				named |= strchr(cases[k].payloads[j], (char)('0' + i)) != NULL;
			for (size_t j = 0; j < n; j++)
				told |= answered[j] == theirs[i];
			if (named != told)
				fail_msg("%s: child %zu", cases[k].name, i);
		}
		must(w, count_sas(B, 0).live_child == 4 - n, "not deleted");
		world_fini(w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(deletes_are_answered_in_pairs),
	};

	if (!secret_init())
		return 1;
	return cmocka_run_group_tests_name("liar", tests, NULL, NULL);
}
