/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules of RFC 7296 2.1-2.3 that two gateways of one make could break together without noticing:
 * repetitions and message ids, on the wire.
 */
#include <string.h>
#include "tests/sim/hand.h"
#include "tests/sim/liar.h"
#include "tests/sim/scenario.h"

static struct liar liar;

/* ------------------------------------------------------------ repetitions */

static struct {
	size_t n[2];
	struct mono at[2][64];
	uint8_t first[2][IKE_MESSAGE_MAX];
	size_t size[2];
	bool differs;
} repeated;

/* From now on B hears everything and A nothing. */
static bool deaf(struct world *w, int from, const uint8_t *data, size_t size)
{
	if (data[18] != IKE_CREATE_CHILD_SA)
		return from == 1;
	if (!repeated.n[from]) {
		memcpy(repeated.first[from], data, size);
		repeated.size[from] = size;
	}
	repeated.differs |=
		size != repeated.size[from] || memcmp(data, repeated.first[from], size) != 0;
	if (repeated.n[from] < 64)
		repeated.at[from][repeated.n[from]++] = w->now;
	return from == 1;
}

/*
 * Requirements: RFC7296-2.1-same-bytes, RFC7296-2.1-backoff, RFC7296-2.1-responder-waits,
 * RFC7296-2.3-cached
 */
static void repetitions(void **state)
{
	struct world *w = connected_world(1);

	(void)state;
	memset(&repeated, 0, sizeof(repeated));
	w->filter = deaf;
	node_event(A, IKE_EV_REKEY_CHILD, 0);
	world_run(w, span_s(30));
	assert_true(repeated.n[0] >= 5);
	assert_false(repeated.differs);
	for (size_t i = 2; i < 5; i++) { /* near the time limit of DPD they come closer again */
		const uint64_t before = mono_since(repeated.at[0][i - 1], repeated.at[0][i - 2]).ns;

		assert_true(mono_since(repeated.at[0][i], repeated.at[0][i - 1]).ns >=
			    before * 3 / 2);
	}
	/* One response a request, right after it, the child made once. */
	assert_int_equal(repeated.n[1], repeated.n[0]);
	for (size_t i = 0; i < repeated.n[1]; i++)
		assert_true(mono_since(repeated.at[1][i], repeated.at[0][i]).ns < span_ms(10).ns);
	assert_int_equal(count(B, IKE_CNT_CHILD_REKEYED), 1);
	assert_int_equal(count_sas(B, 0).child, 2);
	world_fini(w);
}

/* Requirements: RFC7296-2.1-whole-message */
static void told_by_the_whole_message(void **state)
{
	struct world *w = quiet_world(2);
	uint8_t copy[IKE_MESSAGE_MAX], first[IKE_MESSAGE_MAX];
	size_t first_size;

	(void)state;
	hand_hold(w, 0, IKE_SA_INIT, false);
	hand_give(B, address_of(A), taken.data, taken.size);
	assert_int_equal(heard.n, 1);
	first_size = heard.size;
	memcpy(first, heard.data, heard.size);
	hand_give(B, address_of(A), taken.data, taken.size);
	assert_int_equal(heard.size, first_size);
	assert_memory_equal(heard.data, first, first_size);
	assert_int_equal(B->ike->n_half_open, 1);
	/* Same SPI, same address, another nonce: another peer behind the same NAT. */
	memcpy(copy, taken.data, taken.size);
	copy[taken.size - 1] ^= 1; /* in the last payload, wherever that is */
	hand_give(B, address_of(A), copy, taken.size);
	assert_int_equal(heard.n, 1);
	assert_memory_not_equal(heard.data + 8, first + 8, 8);
	assert_int_equal(B->ike->n_half_open, 2);
	hand_give(B, address_of(A), taken.data, taken.size);
	assert_memory_equal(heard.data, first, first_size);
	world_fini(w);
}

/* ------------------------------------------------------------- message ids */

#define MAX_LINES 16
static struct {
	size_t n;
	struct line {
		uint64_t spi_i, spi_r;
		bool fresh[2];
		uint32_t last[2], answered[2];
	} line[MAX_LINES];
	unsigned wrong, outstanding;
	bool replaced_used;
} ids;

static struct line *line_of(const struct ike_header *h)
{
	for (size_t i = 0; i < ids.n; i++) {
		if (ids.line[i].spi_i == h->spi_i && ids.line[i].spi_r == h->spi_r)
			return &ids.line[i];
	}
	assert_true(ids.n < MAX_LINES);
	ids.line[ids.n] = (struct line){.spi_i = h->spi_i, .spi_r = h->spi_r};
	ids.line[ids.n].fresh[0] = ids.line[ids.n].fresh[1] = true;
	return &ids.line[ids.n++];
}

static bool follow_ids(struct world *w, int from, const uint8_t *data, size_t size)
{
	const struct ike_header h = header_of(data, size);
	const bool rekeyed = ids.n > 0 && line_of(&h) != &ids.line[0];
	struct line *l;

	(void)w;
	if (h.exchange == IKE_SA_INIT) {
		ids.wrong += h.message_id != 0;
		ids.n = 0; /* the SA's two SPIs are known only afterwards */
		return false;
	}
	l = line_of(&h);
	if (h.flags & IKE_FLAG_RESPONSE) {
		l->answered[1 - from] = h.message_id + 1;
		return false;
	}
	ids.wrong += h.exchange == IKE_AUTH && h.message_id != 1;
	if (l->fresh[from]) { /* its first request: IKE_AUTH has 1, whoever rekeys has 0 */
		ids.wrong += h.message_id != (!rekeyed && h.exchange == IKE_AUTH);
		l->fresh[from] = false;
		l->answered[from] = h.message_id;
	} else {
		ids.wrong += h.message_id != l->last[from] && h.message_id != l->last[from] + 1;
	}
	/* RFC 7296 2.3: no next request before the last one's response. */
	ids.outstanding += h.message_id > l->answered[from];
	l->last[from] = h.message_id;
	return false;
}

/* Requirements: RFC7296-2.2-ids, RFC7296-2.3-window */
static void message_ids(void **state)
{
	struct world *w = quiet_world(3);

	(void)state;
	memset(&ids, 0, sizeof(ids));
	A->cfg[0].ike_algs.by_type[IKE_TRANSFORM_DH] =
		(struct ike_alg_list){2, {{IKE_DH_ECP_256, 0}, {IKE_DH_CURVE25519, 0}}};
	B->limits.cookie_threshold = 0; /* a COOKIE and an INVALID_KE_PAYLOAD on the way */
	w->filter = follow_ids;
	must(w, world_start(w) && world_until(w, settled, span_s(10)), "not connected");
	assert_true(w->n_ike >= 8);
	w->faults.delay_us = 200000; /* so that several wishes come together */
	for (int i = 0; i < 6; i++) {
		node_event(A, IKE_EV_REKEY_CHILD, 0);
		node_event(A, i & 1 ? IKE_EV_REKEY_IKE : IKE_EV_INITIATE, 0);
		world_run(w, span_s(4));
		node_event(B, i & 2 ? IKE_EV_REKEY_CHILD : IKE_EV_REKEY_IKE, 0);
		world_run(w, span_s(20));
	}
	must(w, world_until(w, settled, span_s(30)), "not settled");
	assert_true(ids.n >= 4 && count(A, IKE_CNT_IKE_REKEYED) >= 3);
	assert_int_equal(ids.wrong, 0);
	assert_int_equal(ids.outstanding, 0);
	world_fini(w);
}

/* Requirements: RFC7296-2.2-end */
static void ids_run_out(void **state)
{
	struct world *w = connected_world(4);
	struct ike_sa *a = sa_of(A), *b = sa_of(B);

	(void)state;
	a->tx_mid = b->rx_mid = 0x7fffff00u;
	node_event(A, IKE_EV_REKEY_CHILD, 0);
	world_run(w, span_s(20));
	must(w, world_until(w, settled, span_s(20)), "not settled");
	assert_int_equal(count(A, IKE_CNT_IKE_REKEYED), 1);
	assert_true(sa_of(A)->tx_mid < 100);
	world_fini(w);
}

/* RFC 7296 2.3: INVALID_MESSAGE_ID may only be told in a protected request; we tell nobody. */
/* Requirements: RFC7296-2.3-message-id */
static void stale_ids(void **state)
{
	static const uint32_t far[] = {1, 5, 100, 0x80000000u, UINT32_MAX - 1};
	struct world *w = connected_world(5);

	(void)state;
	for (size_t i = 0; i < sizeof(far) / sizeof(far[0]); i++) {
		struct ike_sa *to = sa_of(B);
		const struct ike_header h = {.spi_i = to->spi_i,
					     .spi_r = to->spi_r,
					     .version = IKE_VERSION_2,
					     .exchange = IKE_INFORMATIONAL,
					     .flags = IKE_FLAG_INITIATOR,
					     .message_id = to->rx_mid + far[i]};
		const struct liar_inner nothing = {0};
		const uint64_t sent = count(B, IKE_CNT_TX),
			       refused = count(B, IKE_CNT_RX_MESSAGE_ID);

		w->lies = true;
		liar_speak(w, &liar, 0, to, &h, &nothing);
		world_run(w, span_ms(100));
		assert_int_equal(count(B, IKE_CNT_TX), sent);
		assert_int_equal(count(B, IKE_CNT_RX_MESSAGE_ID), refused + 1);
	}
	must(w, settled(w), "something changed");
	world_fini(w);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(repetitions), cmocka_unit_test(told_by_the_whole_message),
		cmocka_unit_test(message_ids), cmocka_unit_test(ids_run_out),
		cmocka_unit_test(stale_ids),
	};

	return run_group("messages", tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
}
