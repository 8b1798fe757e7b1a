/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules of RFC 7296 that two gateways of one make could break together without noticing: what is on
 * the wire, and what a core does with messages that no gateway of ours would send.
 */
#include <stdlib.h>
#include <string.h>
#include "tests/sim/liar.h"
#include "tests/sim/scenario.h"

static struct liar liar;

/* The established SA, or the one that is on its way. */
static struct ike_sa *sa_of(struct sim_node *n)
{
	struct ike_tunnel *t = ike_tunnel_find(n->ike, 0);
	struct ike_sa *sa = ike_tunnel_sa(t);

	if (!sa)
		sa = TAILQ_FIRST(&n->ike->half_open);
	return sa ? sa : TAILQ_FIRST(&t->sas);
}

static struct ike_header header_of(const uint8_t *data, size_t size)
{
	struct ike_header h;

	assert_int_equal(ike_header_parse(data, size, &h), IKE_OK);
	return h;
}

/* ---------------------------------------------------- datagrams by hand */

/* What a node says to a datagram; whatever else follows from it is carried out afterwards. */
static struct heard {
	unsigned n, other;
	size_t size;
	uint8_t data[IKE_MESSAGE_MAX];
	struct ip_endpoint local, remote;
} heard;

static void give(struct sim_node *n, struct ip_endpoint from, const uint8_t *data, size_t size)
{
	struct ike_event ev = {.type = IKE_EV_PACKET, .now = n->w->now};
	uint8_t *exact = malloc(size ? size : 1);

	assert_non_null(exact);
	memcpy(exact, data, size);
	heard = (struct heard){0};
	ev.packet.local = (struct ip_endpoint){n->addr, IKE_PORT};
	ev.packet.remote = from;
	ev.packet.data = exact;
	ev.packet.size = size;
	ike_step(n->ike, &ev, &n->out);
	for (size_t i = 0; i < n->out.n; i++) {
		const struct ike_action *a = &n->out.actions[i];

		if (a->type != IKE_ACT_SEND) {
			heard.other += a->type != IKE_ACT_EVENT;
			continue;
		}
		heard.n++;
		heard.size = a->send.size;
		memcpy(heard.data, a->send.data, a->send.size);
		heard.local = a->send.local;
		heard.remote = a->send.remote;
	}
	free(exact);
	ike_out_reset(&n->out);
}

static struct ip_endpoint address_of(const struct sim_node *n)
{
	return (struct ip_endpoint){n->addr, IKE_PORT};
}

/* The first datagram of a kind, kept from its receiver. */
static struct taken {
	int from;
	uint8_t exchange;
	bool response;
	size_t size;
	uint8_t data[IKE_MESSAGE_MAX];
} taken;

static bool take(struct world *w, int from, const uint8_t *data, size_t size)
{
	(void)w;
	if (from != taken.from || data[18] != taken.exchange ||
	    !!(data[19] & IKE_FLAG_RESPONSE) != taken.response)
		return false;
	if (!taken.size) {
		memcpy(taken.data, data, size);
		taken.size = size;
	}
	return true;
}

static bool has_taken(struct world *w)
{
	(void)w;
	return taken.size;
}

static void hold(struct world *w, int from, uint8_t exchange, bool response)
{
	taken = (struct taken){.from = from, .exchange = exchange, .response = response};
	w->filter = take;
	must(w, world_start(w) && world_until(w, has_taken, span_s(5)), "nothing was sent");
}

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
	hold(w, 0, IKE_SA_INIT, false);
	give(B, address_of(A), taken.data, taken.size);
	assert_int_equal(heard.n, 1);
	first_size = heard.size;
	memcpy(first, heard.data, heard.size);
	give(B, address_of(A), taken.data, taken.size);
	assert_int_equal(heard.size, first_size);
	assert_memory_equal(heard.data, first, first_size);
	assert_int_equal(B->ike->n_half_open, 1);
	/* Same SPI, same address, another nonce: another peer behind the same NAT. */
	memcpy(copy, taken.data, taken.size);
	copy[taken.size - 1] ^= 1; /* in the last payload, wherever that is */
	give(B, address_of(A), copy, taken.size);
	assert_int_equal(heard.n, 1);
	assert_memory_not_equal(heard.data + 8, first + 8, 8);
	assert_int_equal(B->ike->n_half_open, 2);
	give(B, address_of(A), taken.data, taken.size);
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

				give(n, address_of(&w->node[1 - i]), m, s);
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
	hold(w, 0, IKE_SA_INIT, false);
	for (uint32_t type = 1; type < 20000; type += type < 50 ? 1 : 997) {
		uint8_t m[256];
		const size_t s = clear_notify(taken.data, IKE_SA_INIT, IKE_FLAG_RESPONSE, 0,
					      (uint16_t)type, NULL, 0, m);

		if (type == IKE_N_COOKIE)
			continue;
		give(A, address_of(B), m, s);
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
		hold(w, 0, IKE_SA_INIT, false);
		give(A, address_of(B), m,
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
	hold(w, 0, IKE_SA_INIT, false);
	for (unsigned i = 0; i < 50; i++) {
		const uint8_t group[2] = {0, i & 2 ? IKE_DH_ECP_256 : IKE_DH_CURVE25519};

		cookie[0] = (uint8_t)i;
		give(A, address_of(B), m,
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
	hold(w, 0, IKE_SA_INIT, false);
	for (uint32_t g = 0; g <= UINT16_MAX; g++) {
		const uint8_t any[2] = {(uint8_t)(g >> 8), (uint8_t)g};

		if (g == IKE_DH_ECP_256)
			continue;
		give(A, address_of(B), m,
		     clear_notify(taken.data, IKE_SA_INIT, IKE_FLAG_RESPONSE, 0,
				  IKE_N_INVALID_KE_PAYLOAD, any, 2, m));
		assert_int_equal(heard.n, 0);
	}
	give(A, address_of(B), m,
	     clear_notify(taken.data, IKE_SA_INIT, IKE_FLAG_RESPONSE, 0, IKE_N_INVALID_KE_PAYLOAD,
			  group, 2, m));
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
	hold(w, 0, IKE_SA_INIT, false);
	from = other = address_of(A);
	other.addr.b[3] ^= 1;
	for (int i = 0; i < 100; i++)
		give(B, from, taken.data, taken.size);
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
		give(B, from, mutant, size);
		/* The version in front may name the secret before. */
		assert_int_equal(B->ike->n_half_open, 0);
	}
	for (size_t n = 0; n < cookie_size; n++) {
		give(B, from, mutant, with_cookie(cookie, n, mutant));
		assert_int_equal(B->ike->n_half_open, 0);
	}
	memcpy(mutant, request, size);
	mutant[3] ^= 1; /* SPIi */
	give(B, from, mutant, size);
	memcpy(mutant, request, size);
	mutant[8 + cookie_size + nonce_at()] ^= 1;
	give(B, from, mutant, size);
	give(B, other, request, size);
	assert_int_equal(B->ike->n_half_open, 0);
	assert_int_equal(heard.n, 1); /* asked anew */

	/* Accepted with the secret that is the previous one by now, not with the one before that. */
	w->now = mono_add(w->now, span_s(61));
	give(B, from, taken.data, taken.size);
	give(B, from, request, size);
	assert_int_equal(B->ike->n_half_open, 1);
	world_run(w, span_s(40)); /* it comes to nothing */
	assert_int_equal(B->ike->n_half_open, 0);
	w->now = mono_add(w->now, span_s(61));
	give(B, from, taken.data, taken.size);
	give(B, from, request, size);
	assert_int_equal(B->ike->n_half_open, 0);
	world_fini(w);
}

/* -------------------------------------------------------------------- rekeys */

static struct {
	unsigned deletes[2], on_old, rekeys_on_old;
	uint64_t old_spi;
} rekeying;

static bool watch_rekey(struct world *w, int from, const uint8_t *data, size_t size)
{
	const struct ike_header h = header_of(data, size);

	(void)w;
	if (h.flags & IKE_FLAG_RESPONSE)
		return false;
	if (h.exchange == IKE_INFORMATIONAL)
		rekeying.deletes[from]++;
	if (h.spi_i == rekeying.old_spi) {
		rekeying.on_old++;
		rekeying.rekeys_on_old += h.exchange == IKE_CREATE_CHILD_SA;
	}
	return false;
}

/* Requirements: RFC7296-2.8-maker-deletes, RFC7296-2.8-inherits, RFC7296-2.8-replaced */
static void who_deletes(void **state)
{
	(void)state;
	for (unsigned maker = 0; maker < 2; maker++) {
		struct world *w = connected_world(13 + maker);
		struct sim_count before;

		memset(&rekeying, 0, sizeof(rekeying));
		w->filter = watch_rekey;
		node_event(&w->node[maker], IKE_EV_REKEY_CHILD, 0);
		world_run(w, span_s(7));
		assert_int_equal(rekeying.deletes[maker], 1);
		assert_int_equal(rekeying.deletes[1 - maker], 0);

		memset(&rekeying, 0, sizeof(rekeying));
		before = count_sas(A, 0);
		rekeying.old_spi = before.spi_i;
		node_event(&w->node[maker], IKE_EV_REKEY_IKE, 0);
		/* Until the exchange is over both have wishes, which are for the new SA. */
		world_run(w, span_ms(5));
		node_event(A, IKE_EV_REKEY_CHILD, 0);
		node_event(B, IKE_EV_REKEY_CHILD, 0);
		must(w, count_sas(A, 0).spi_in == before.spi_in, "the child was not inherited");
		assert_int_not_equal(count_sas(A, 0).spi_i, before.spi_i);
		assert_int_equal(rekeying.deletes[maker], 1);
		assert_int_equal(rekeying.deletes[1 - maker], 0);
		/* The rekey itself and its deletion. */
		assert_int_equal(rekeying.on_old, 2);
		assert_int_equal(rekeying.rekeys_on_old, 1);
		world_run(w, span_s(30));
		must(w, settled(w), "not settled");
		assert_int_equal(rekeying.rekeys_on_old, 1);
		assert_int_not_equal(count_sas(A, 0).spi_in, before.spi_in);
		world_fini(w);
	}
}

static bool note_times(void *ctx, const struct ike_show_sa *s)
{
	struct mono *at = ctx;

	at[s->is_child] = s->rekey_at;
	return true;
}

/* Requirements: RFC7296-2.8-jitter */
static void jitter(void **state)
{
	struct mono at[2], least[2] = {MONO_NEVER, MONO_NEVER}, most[2] = {{0}, {0}};

	(void)state;
	for (uint64_t seed = 20; seed < 40; seed++) {
		struct world *w = connected_world(seed);

		ike_show_sas(A->ike, note_times, at);
		for (int i = 0; i < 2; i++) {
			least[i] = mono_min(least[i], at[i]);
			if (mono_before(most[i], at[i]))
				most[i] = at[i];
		}
		world_fini(w);
	}
	/* A margin of 270 s is stretched by up to as much again. */
	for (int i = 0; i < 2; i++)
		assert_true(mono_since(most[i], least[i]).ns > span_s(100).ns);
}

static struct ike_rank rank(const char *i, const char *r)
{
	return ike_rank_of((const uint8_t *)i, strlen(i), (const uint8_t *)r, strlen(r));
}

/* Requirements: RFC7296-2.8.1-lowest, RFC7296-2.8.2-lowest */
static void lowest_nonce(void **state)
{
	static const struct {
		const char *i1, *r1, *i2, *r2;
		int want;
	} cases[] = {
		{"a", "z", "b", "y", -1},
		{"z", "a", "y", "b", -1},
		{"m", "n", "o", "l", 1},
		{"\x80", "\xff", "\x7f", "\xff", 1}, /* octets have no sign */
		{"aa", "z", "a", "z", 1},            /* a beginning is lower, however long */
		{"a", "z", "ab", "z", -1},
		{"b", "z", "ab", "z", 1}, /* octet by octet before the length */
		{"abcdefghabcdefghabcdefghabcdefghX", "z", "abcdefghabcdefghabcdefghabcdefgh", "z",
		 1},
		{"same", "z", "z", "same", 0},
	};

	(void)state;
	for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
		const struct ike_rank a = rank(cases[k].i1, cases[k].r1),
				      b = rank(cases[k].i2, cases[k].r2);
		const int ab = ike_rank_cmp(&a, &b), ba = ike_rank_cmp(&b, &a);

		if ((ab > 0) - (ab < 0) != cases[k].want || (ba > 0) - (ba < 0) != -cases[k].want)
			fail_msg("case %zu", k);
	}
}

/* Both nodes know the nonces by what they have made: the surviving child is not the lowest one's. */
/* Requirements: RFC7296-2.8.1-lowest, RFC7296-2.8.2-lowest */
static void the_lowest_loses(void **state)
{
	(void)state;
	for (uint64_t seed = 40; seed < 52; seed++) {
		const bool ike = seed & 1;
		struct world *w = connected_world(seed);
		struct ike_rank rank_of[2];
		unsigned n = 0;
		bool won;

		/* With traffic, so that the responder knows that its child is in use. */
		w->esp_period_us = 5000;
		world_run(w, span_s(1));
		for (int i = 0; i < SIM_NODES; i++)
			node_event(&w->node[i], ike ? IKE_EV_REKEY_IKE : IKE_EV_REKEY_CHILD, 0);
		world_run(w, span_us(ike ? 2500 : 3500)); /* both exchanges are over */
		if (ike) {
			struct ike_sa *sa;

			TAILQ_FOREACH(sa, &ike_tunnel_find(A->ike, 0)->sas, entry)
			{
				if (!sa->rekeyed_by_us && !sa->rekeyed_by_peer && n < 2)
					rank_of[sa->initiator] = sa->rank, n++;
			}
		} else {
			struct ike_child *c;

			TAILQ_FOREACH(c, &ike_tunnel_find(A->ike, 0)->children, entry)
			{
				if (!c->rekeyed_by_us && !c->rekeyed_by_peer && n < 2)
					rank_of[c->initiator] = c->rank, n++;
			}
		}
		world_run(w, span_s(40));
		must(w, settled(w), "not settled");
		assert_int_equal(n, 2);
		won = ike ? count_sas(A, 0).ike_initiator : count_sas(A, 0).child_initiator;
		assert_int_equal(won, ike_rank_cmp(&rank_of[1], &rank_of[0]) > 0);
		world_fini(w);
	}
}

/* Requirements: RFC7296-2.9.2-rekey */
static void rekey_keeps_its_width(void **state)
{
	struct world *w = quiet_world(52);
	const struct ike_child *c;

	(void)state;
	/* A asks for less than B has: the child is narrowed. Then A has it all again. */
	A->cfg[0].local_ts[0].last = ip_v4(10, 1, 0, 127);
	must(w, world_start(w) && world_until(w, settled, span_s(10)), "not connected");
	for (int i = 0; i < 4; i++) {
		node_event(&w->node[i & 1], IKE_EV_REKEY_CHILD, 0);
		world_run(w, span_s(8));
		for (int k = 0; k < SIM_NODES; k++) {
			struct sim_node *n = &w->node[k];
			const struct ike_ts *ts;

			c = TAILQ_FIRST(&ike_tunnel_find(n->ike, 0)->children);
			ts = k ? &c->remote_ts[0] : &c->local_ts[0];
			assert_true(ip_equal(&ts->first, &A->cfg[0].local_ts[0].first));
			assert_true(ip_equal(&ts->last, &A->cfg[0].local_ts[0].last));
		}
	}
	world_fini(w);
}

/* --------------------------------------------------------------------- IKE_AUTH */

static struct {
	size_t size;
	uint8_t data[IKE_MESSAGE_MAX];
} last_init;

static bool keep_last_init(struct world *w, int from, const uint8_t *data, size_t size)
{
	if (data[18] == IKE_SA_INIT && from == 0) {
		memcpy(last_init.data, data, size);
		last_init.size = size;
	}
	return take(w, from, data, size);
}

/* Requirements: RFC7296-2.15-last-request */
static void auth_covers_the_last_request(void **state)
{
	struct world *w = quiet_world(53);
	struct ike_event ev = {.type = IKE_EV_PACKET};
	bool verified = false;

	(void)state;
	A->cfg[0].ike_algs.by_type[IKE_TRANSFORM_DH] =
		(struct ike_alg_list){2, {{IKE_DH_ECP_256, 0}, {IKE_DH_CURVE25519, 0}}};
	B->limits.cookie_threshold = 0;
	B->cfg[0].encap = IKE_ENCAP_FORCE; /* so that port 4500 and its marker are in use as well */
	taken = (struct taken){.from = 0, .exchange = IKE_AUTH};
	w->filter = keep_last_init;
	must(w, world_start(w) && world_until(w, has_taken, span_s(5)), "nothing was sent");
	ev.now = w->now;
	ev.packet.local = (struct ip_endpoint){B->addr, IKE_PORT_NATT};
	ev.packet.remote = (struct ip_endpoint){A->addr, IKE_PORT_NATT};
	ev.packet.data = taken.data;
	ev.packet.size = taken.size;
	ike_step(B->ike, &ev, &B->out);
	for (size_t i = 0; i < B->out.n; i++) {
		const struct ike_action *a = &B->out.actions[i];

		if (a->type != IKE_ACT_AUTH_VERIFY)
			continue;
		verified = true;
		assert_true(a->auth.octets_size > last_init.size);
		assert_memory_equal(a->auth.octets, last_init.data, last_init.size);
		/* It is the one with the cookie and the second group. */
		assert_int_equal(last_init.data[16], IKE_PL_NOTIFY);
	}
	assert_true(verified);
	ike_out_reset(&B->out);
	world_fini(w);
}

static struct {
	struct mono asked, answered;
	size_t size;
	struct liar_inner content;
} refusal;

static bool time_it(struct world *w, int from, const uint8_t *data, size_t size)
{
	if (data[18] != IKE_AUTH)
		return false;
	if (from == 0) {
		refusal.asked = w->now;
		return false;
	}
	refusal.answered = w->now;
	refusal.size = size;
	return true;
}

static bool was_refused(struct world *w)
{
	(void)w;
	return refusal.size != 0;
}

static void wrong_key(struct world *w)
{
	memcpy(A->psk, "wrong", 6);
}

static void wrong_name(struct world *w)
{
	A->cfg[0].local_id.data[3] = 'x';
}

static void wrong_type_of_name(struct world *w)
{
	A->cfg[0].local_id.type = IKE_ID_KEY_ID;
}

static void another_is_wanted(struct world *w)
{
	A->cfg[0].remote_id.data[3] = 'x';
}

/* Requirements: RFC7296-2.21.2-uniform */
static void refusals_are_alike(void **state)
{
	static void (*const wrong[])(struct world *) = {wrong_key, wrong_name, wrong_type_of_name,
							another_is_wanted};
	uint64_t took = 0;
	size_t size = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct world *w = quiet_world(54);

		memset(&refusal, 0, sizeof(refusal));
		wrong[i](w);
		w->filter = time_it;
		must(w, world_start(w) && world_until(w, was_refused, span_s(5)), "not refused");
		if (i == 0) {
			took = mono_since(refusal.answered, refusal.asked).ns;
			size = refusal.size;
		}
		if (mono_since(refusal.answered, refusal.asked).ns != took || refusal.size != size)
			fail_msg("refusal %zu differs in %s", i,
				 refusal.size != size ? "size" : "time");
		world_fini(w);
	}
	assert_true(took > span_ms(1).ns); /* the keys were asked each time */
}

/* -------------------------------------------------------------------------- NAT */

static void more_sources(struct liar_inner *in, const void *arg)
{
	const bool right_one = arg != NULL;
	struct liar_payload own = {0};

	for (size_t i = 0; i < in->n; i++) {
		struct liar_payload *p = &in->p[i];

		if (p->type == IKE_PL_NOTIFY &&
		    (p->body[2] << 8 | p->body[3]) == IKE_N_NAT_DETECTION_SOURCE_IP) {
			own = *p;
			if (!right_one)
				p->body[10] ^= 1;
			break;
		}
	}
	assert_true(own.size);
	for (uint8_t i = 1; i < 4; i++) {
		struct liar_payload other = own;

		other.body[8] ^= i;
		liar_add(in, other.type, other.flags, other.body, other.size);
	}
}

/* Requirements: RFC7296-2.23-several */
static void several_sources(void **state)
{
	(void)state;
	for (int right_one = 0; right_one < 2; right_one++) {
		struct world *w = quiet_world(55);

		liar = (struct liar){.from = 0,
				     .exchange = IKE_SA_INIT,
				     .times = 1,
				     .edit = more_sources,
				     .arg = right_one ? w : NULL};
		liar_install(w, &liar);
		must(w, world_start(w), "no start");
		world_run(w, span_us(1500));
		assert_int_equal(B->ike->n_half_open, 1);
		assert_int_equal(sa_of(B)->remote_nat, !right_one);
		world_fini(w);
	}
}

/* Requirements: RFC7296-2.23-reply */
static void replies_go_back(void **state)
{
	struct world *w = quiet_world(56);
	struct ip_endpoint odd;

	(void)state;
	hold(w, 0, IKE_SA_INIT, false);
	odd = (struct ip_endpoint){A->addr, 40001};
	give(B, odd, taken.data, taken.size);
	assert_int_equal(heard.n, 1);
	assert_true(ip_endpoint_equal(&heard.remote, &odd));
	/* The repetition comes from elsewhere, and is answered there. */
	odd.port = 40002;
	give(B, odd, taken.data, taken.size);
	assert_true(heard.n == 1 && ip_endpoint_equal(&heard.remote, &odd));
	world_fini(w);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(repetitions),
		cmocka_unit_test(told_by_the_whole_message),
		cmocka_unit_test(message_ids),
		cmocka_unit_test(ids_run_out),
		cmocka_unit_test(stale_ids),
		cmocka_unit_test(insults),
		cmocka_unit_test(refusals_of_strangers),
		cmocka_unit_test(initial_contact),
		cmocka_unit_test(cookie_sizes),
		cmocka_unit_test(loops_end),
		cmocka_unit_test(groups_that_were_not_offered),
		cmocka_unit_test(cookies_of_the_responder),
		cmocka_unit_test(who_deletes),
		cmocka_unit_test(jitter),
		cmocka_unit_test(lowest_nonce),
		cmocka_unit_test(the_lowest_loses),
		cmocka_unit_test(rekey_keeps_its_width),
		cmocka_unit_test(auth_covers_the_last_request),
		cmocka_unit_test(refusals_are_alike),
		cmocka_unit_test(several_sources),
		cmocka_unit_test(replies_go_back),
	};

	return run_group("rules", tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
}
