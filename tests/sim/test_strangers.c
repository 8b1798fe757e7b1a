/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a core does with messages that nothing protects: refusals and insults of anybody (RFC 7296
 * 2.4), cookies and groups (2.6, 1.2).
 */
#include <string.h>
#include "tests/sim/hand.h"
#include "tests/sim/scenario.h"

/* --------------------------------------------------------- not authenticated */

/* A notify in the clear, with all else as the receiver would have it. */
static size_t clear_notify(const uint8_t *like, uint8_t exchange, uint8_t flags, uint32_t mid,
			   uint16_t type, const void *body, size_t body_size, uint8_t out[256])
{
	struct ike_header h = {
		.version = IKE_VERSION_2, .exchange = exchange, .flags = flags, .message_id = mid};
	struct rd r = rd_of(like, 16);
	struct ike_builder b;

	assert_true(rd_u64(&r, &h.spi_i) && rd_u64(&r, &h.spi_r));
	ike_build_open(&b, out, 256, &h);
	ike_build_notify(&b, IKE_PROTO_NONE, NULL, 0, type, body, body_size);
	return ike_build_close(&b);
}

static const uint16_t deadly[] = {
	IKE_N_INVALID_IKE_SPI,    IKE_N_INVALID_MAJOR_VERSION,
	IKE_N_INVALID_SYNTAX,     IKE_N_INVALID_SPI,
	IKE_N_NO_PROPOSAL_CHOSEN, IKE_N_AUTHENTICATION_FAILED,
	IKE_N_TEMPORARY_FAILURE,  IKE_N_CHILD_SA_NOT_FOUND,
	IKE_N_INITIAL_CONTACT,    IKE_N_UNSUPPORTED_CRITICAL_PAYLOAD,
};

static bool insult(struct world *w, int from, const uint8_t *data, size_t size)
{
	static const uint8_t exchanges[] = {IKE_AUTH, IKE_CREATE_CHILD_SA, IKE_INFORMATIONAL};
	static struct ike_out saved[SIM_NODES];
	uint8_t m[256];

	(void)from;
	(void)size;
	for (int i = 0; i < SIM_NODES; i++) {
		struct sim_node *n = &w->node[i];
		uint64_t before;

		if (n->off)
			continue;
		saved[i] = n->out;
		n->out.n = n->out.n_bytes = 0;
		before = check_digest(n);
		for (size_t k = 0; k < 3 * sizeof(deadly) / sizeof(deadly[0]); k++) {
			for (unsigned f = 0; f < 4 * 4; f++) {
				const size_t s =
					clear_notify(data, exchanges[k % 3],
						     (uint8_t)((f & 3) * 8u << 0 | (f & 1) << 5),
						     f >> 2, deadly[k / 3], NULL, 0, m);

				hand_give(n, address_of(&w->node[1 - i]), m, s);
				assert_int_equal(heard.n + heard.other, 0);
			}
		}
		assert_true(check_digest(n) == before);
		n->out = saved[i];
	}
	return false;
}

/* Requirements: RFC7296-2.4-unprotected, CVE-2019-12312, SIM-unauthenticated */
static void insults(void **state)
{
	struct world *w = quiet_world(6);

	(void)state;
	w->filter = insult;
	must(w, world_start(w) && world_until(w, settled, span_s(10)), "not connected");
	node_event(A, IKE_EV_REKEY_CHILD, 0);
	world_run(w, span_s(1));
	node_event(B, IKE_EV_REKEY_IKE, 0);
	world_run(w, span_s(10));
	must(w, settled(w), "not settled");
	assert_int_equal(A->n_down[0] + B->n_down[0], 0);
	world_fini(w);
}

/* An error in answer to IKE_SA_INIT may be anybody's: the initiator goes on asking. */
/* Requirements: RFC7296-2.4-unprotected */
static void refusals_of_strangers(void **state)
{
	struct world *w = quiet_world(7);

	(void)state;
	hand_hold(w, 0, IKE_SA_INIT, false);
	for (uint32_t type = 1; type < 20000; type += type < 50 ? 1 : 997) {
		uint8_t m[256];
		const size_t s = clear_notify(taken.data, IKE_SA_INIT, IKE_FLAG_RESPONSE, 0,
					      (uint16_t)type, NULL, 0, m);

		if (type == IKE_N_COOKIE)
			continue;
		hand_give(A, address_of(B), m, s);
		assert_int_equal(heard.n + heard.other, 0);
		assert_int_equal(sa_of(A)->state, IKE_ST_INIT_SENT);
	}
	w->filter = NULL;
	must(w, world_until(w, settled, span_s(10)), "given up");
	world_fini(w);
}

/* Requirements: RFC7296-2.4-initial-contact */
static void initial_contact(void **state)
{
	struct world *w = connected_world(8);
	const uint64_t old = sa_of(B)->spi_r;

	(void)state;
	/* A stranger in A's place says it as well, and cannot prove who he is. */
	node_power_off(A);
	memcpy(A->psk, "wrong", 6);
	must(w, node_power_on(A), "no start");
	world_run(w, span_s(2));
	assert_true(count(B, IKE_CNT_AUTH_FAILED) > 0);
	assert_non_null(ike_sa_find(B->ike, old));
	assert_int_equal(ike_sa_find(B->ike, old)->state, IKE_ST_ESTABLISHED);
	node_power_off(A);
	memcpy(A->psk, B->psk, sizeof(A->psk));
	must(w, node_power_on(A), "no start");
	must(w, world_until(w, both_up, span_s(5)) && world_until(w, settled, span_s(10)),
	     "the old one stays");
	assert_null(ike_sa_find(B->ike, old));
	world_fini(w);
}

/* ------------------------------------------------------------------ cookies */

/* Whether the initiator asks again, and with what first. */
static bool asked_again(const uint8_t *cookie, size_t size)
{
	struct ike_msg m;

	if (!heard.n)
		return false;
	assert_int_equal(ike_msg_parse(heard.data, heard.size, &m), IKE_OK);
	assert_int_equal(m.h.message_id, 0);
	assert_true(m.h.spi_r == 0);
	if (size) {
		assert_int_equal(m.h.next_payload, IKE_PL_NOTIFY);
		assert_int_equal(m.notifies[0].type, IKE_N_COOKIE);
		assert_int_equal(m.notifies[0].data.size, size);
		assert_memory_equal(m.notifies[0].data.p, cookie, size);
	}
	return true;
}

/* Requirements: RFC7296-2.6-cookie-size */
static void cookie_sizes(void **state)
{
	uint8_t cookie[80];

	(void)state;
	for (size_t size = 0; size < sizeof(cookie); size++) {
		struct world *w = quiet_world(9);
		uint8_t m[256];

		memset(cookie, (int)size + 1, sizeof(cookie));
		hand_hold(w, 0, IKE_SA_INIT, false);
		hand_give(A, address_of(B), m,
			  clear_notify(taken.data, IKE_SA_INIT, IKE_FLAG_RESPONSE, 0, IKE_N_COOKIE,
				       cookie, size, m));
		if (asked_again(cookie, size) != (size >= 1 && size <= 64))
			fail_msg("a cookie of %zu bytes", size);
		world_fini(w);
	}
}

/* Requirements: RFC7296-2.6-loops */
static void loops_end(void **state)
{
	struct world *w = quiet_world(10);
	uint8_t cookie[8] = {0}, m[256];
	unsigned n = 0;

	(void)state;
	A->cfg[0].ike_algs.by_type[IKE_TRANSFORM_DH] =
		(struct ike_alg_list){2, {{IKE_DH_ECP_256, 0}, {IKE_DH_CURVE25519, 0}}};
	hand_hold(w, 0, IKE_SA_INIT, false);
	for (unsigned i = 0; i < 50; i++) {
		const uint8_t group[2] = {0, i & 2 ? IKE_DH_ECP_256 : IKE_DH_CURVE25519};

		cookie[0] = (uint8_t)i;
		hand_give(A, address_of(B), m,
			  clear_notify(taken.data, IKE_SA_INIT, IKE_FLAG_RESPONSE, 0,
				       i & 1 ? IKE_N_INVALID_KE_PAYLOAD : IKE_N_COOKIE,
				       i & 1 ? group : cookie, i & 1 ? 2 : 8, m));
		n += heard.n;
	}
	assert_true(n >= 2 && n <= 3);
	world_fini(w);
}

/* Requirements: RFC7296-1.2-group, CVE-2014-9221 */
static void groups_that_were_not_offered(void **state)
{
	struct world *w = quiet_world(11);
	uint8_t m[256], group[2] = {0, IKE_DH_ECP_256};

	(void)state;
	A->cfg[0].ike_algs.by_type[IKE_TRANSFORM_DH] =
		(struct ike_alg_list){2, {{IKE_DH_CURVE25519, 0}, {IKE_DH_ECP_256, 0}}};
	hand_hold(w, 0, IKE_SA_INIT, false);
	for (uint32_t g = 0; g <= UINT16_MAX; g++) {
		const uint8_t any[2] = {(uint8_t)(g >> 8), (uint8_t)g};

		if (g == IKE_DH_ECP_256)
			continue;
		hand_give(A, address_of(B), m,
			  clear_notify(taken.data, IKE_SA_INIT, IKE_FLAG_RESPONSE, 0,
				       IKE_N_INVALID_KE_PAYLOAD, any, 2, m));
		assert_int_equal(heard.n, 0);
	}
	hand_give(A, address_of(B), m,
		  clear_notify(taken.data, IKE_SA_INIT, IKE_FLAG_RESPONSE, 0,
			       IKE_N_INVALID_KE_PAYLOAD, group, 2, m));
	assert_true(asked_again(NULL, 0));
	world_fini(w);
}

/* Puts a cookie ahead of a request's payloads. */
static size_t with_cookie(const uint8_t *cookie, size_t cookie_size, uint8_t *out)
{
	const size_t extra = 8 + cookie_size, size = taken.size + extra;

	memcpy(out, taken.data, 28);
	out[16] = IKE_PL_NOTIFY;
	out[26] = (uint8_t)(size >> 8);
	out[27] = (uint8_t)size;
	memset(out + 28, 0, 8);
	out[28] = taken.data[16];
	out[31] = (uint8_t)extra;
	out[34] = IKE_N_COOKIE >> 8;
	out[35] = IKE_N_COOKIE & 255;
	memcpy(out + 36, cookie, cookie_size);
	memcpy(out + 36 + cookie_size, taken.data + 28, taken.size - 28);
	return size;
}

static size_t nonce_at(void)
{
	struct ike_msg m;

	assert_int_equal(ike_msg_parse(taken.data, taken.size, &m), IKE_OK);
	return (size_t)(m.nonce.p - taken.data);
}

/*
 * Requirements: RFC7296-2.6-cookie-bound, RFC7296-2.6-cookie-secrets, RFC7296-2.6-stateless,
 * CVE-2016-5361
 */
static void cookies_of_the_responder(void **state)
{
	struct world *w = quiet_world(12);
	uint8_t cookie[64], request[IKE_MESSAGE_MAX], mutant[IKE_MESSAGE_MAX];
	struct ip_endpoint from, other;
	struct ike_msg m;
	size_t cookie_size, size;

	(void)state;
	B->limits.cookie_threshold = 0;
	B->cfg[0].remote = (struct ip_addr){0};
	hand_hold(w, 0, IKE_SA_INIT, false);
	from = other = address_of(A);
	other.addr.b[3] ^= 1;
	for (int i = 0; i < 100; i++)
		hand_give(B, from, taken.data, taken.size);
	assert_int_equal(B->ike->n_half_open, 0);
	assert_int_equal(heard.n, 1);
	assert_true(heard.size <= taken.size);
	assert_int_equal(ike_msg_parse(heard.data, heard.size, &m), IKE_OK);
	assert_true(m.h.spi_r == 0 && m.h.message_id == 0);
	assert_int_equal(m.n_notifies, 1);
	assert_int_equal(m.notifies[0].type, IKE_N_COOKIE);
	cookie_size = m.notifies[0].data.size;
	assert_true(cookie_size >= 1 && cookie_size <= 64);
	memcpy(cookie, m.notifies[0].data.p, cookie_size);

	/* For this nonce, SPI and address only; no bit of it may differ, and none be left out. */
	size = with_cookie(cookie, cookie_size, request);
	for (size_t at = 0; at < cookie_size; at++) {
		memcpy(mutant, request, size);
		mutant[36 + at] ^= (uint8_t)(1u << at % 8);
		hand_give(B, from, mutant, size);
		/* The version in front may name the secret before. */
		assert_int_equal(B->ike->n_half_open, 0);
	}
	for (size_t n = 0; n < cookie_size; n++) {
		hand_give(B, from, mutant, with_cookie(cookie, n, mutant));
		assert_int_equal(B->ike->n_half_open, 0);
	}
	memcpy(mutant, request, size);
	mutant[3] ^= 1; /* SPIi */
	hand_give(B, from, mutant, size);
	memcpy(mutant, request, size);
	mutant[8 + cookie_size + nonce_at()] ^= 1;
	hand_give(B, from, mutant, size);
	hand_give(B, other, request, size);
	assert_int_equal(B->ike->n_half_open, 0);
	assert_int_equal(heard.n, 1); /* asked anew */

	/* Accepted with the secret that is the previous one by now, not with the one before that. */
	w->now = mono_add(w->now, span_s(61));
	hand_give(B, from, taken.data, taken.size);
	hand_give(B, from, request, size);
	assert_int_equal(B->ike->n_half_open, 1);
	world_run(w, span_s(40)); /* it comes to nothing */
	assert_int_equal(B->ike->n_half_open, 0);
	w->now = mono_add(w->now, span_s(61));
	hand_give(B, from, taken.data, taken.size);
	hand_give(B, from, request, size);
	assert_int_equal(B->ike->n_half_open, 0);
	world_fini(w);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(insults),
		cmocka_unit_test(refusals_of_strangers),
		cmocka_unit_test(initial_contact),
		cmocka_unit_test(cookie_sizes),
		cmocka_unit_test(loops_end),
		cmocka_unit_test(groups_that_were_not_offered),
		cmocka_unit_test(cookies_of_the_responder),
	};

	return run_group("strangers", tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
}
