/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Peers that hold the right keys and say wrong things: each line of the tables is one lie, told once,
 * with what the honest side must count, answer and keep. Afterwards both must find together again.
 */
#include <stdlib.h>
#include <string.h>
#include "tests/sim/liar.h"
#include "tests/sim/scenario.h"

static struct liar liar;

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
	ike_build_sa(&b, IKE_PROTO_ESP, spi, 4, &cfg->esp_algs, false, IKE_DH_NONE);
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
/* Requirements: RFC7296-3.11-spis */
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

/* ----------------------------------------------------------------------- lies */

enum edit {
	DROP,           /* of a type */
	TWICE,          /* likewise */
	ADD,            /* an empty payload of type `arg & 255`, critical if `arg & 256` */
	NONCE,          /* of that size */
	KE_SIZE,        /* its value's */
	ONLY,           /* nothing but that notify */
	NOTIFY,         /* that one as well */
	SECOND,         /* a second proposal */
	UNASKED,        /* a key length that was not offered */
	WIDER_TS,       /* of a type, the whole IPv4 space */
	DELETE_OF_SIZE, /* only a Delete with that size of SPI */
};

struct lie {
	uint8_t exchange;
	bool response;
	enum ike_event_type event; /* at A, which makes the exchange; TICK: the connection itself */
	enum edit edit;
	unsigned arg;
	int counter;       /* that the honest side must move; -1: none */
	uint16_t answer;   /* in the response to a lie in a request; 0: no error */
	uint8_t data;      /* the answer's first byte of data, where it matters */
	bool ike_sa_stays; /* afterwards, at the honest side */
};

static void tell(struct liar_inner *in, const void *arg)
{
	static const uint8_t zero[LIAR_BODY];
	const struct lie *lie = arg;
	const uint8_t type = (uint8_t)lie->arg;
	uint8_t notify[4] = {0, 0, (uint8_t)(lie->arg >> 8), type};
	struct liar_payload *p;

	switch (lie->edit) {
	case DROP: liar_drop(in, type); break;
	case TWICE:
		p = liar_find(in, type);
		assert_non_null(p);
		liar_add(in, p->type, p->flags, p->body, p->size);
		break;
	case ADD: liar_add(in, type, lie->arg & 256 ? 0x80 : 0, zero, 4); break;
	case NONCE:
		p = liar_find(in, IKE_PL_NONCE);
		assert_non_null(p);
		p->size = lie->arg;
		break;
	case KE_SIZE:
		p = liar_find(in, IKE_PL_KE);
		assert_non_null(p);
		p->size = 4 + lie->arg;
		break;
	case ONLY:
		in->n = 0;
		liar_add(in, IKE_PL_NOTIFY, 0, notify, 4);
		break;
	case NOTIFY: liar_add(in, IKE_PL_NOTIFY, 0, notify, 4); break;
	case SECOND:
		p = liar_find(in, IKE_PL_SA);
		assert_non_null(p);
		memmove(p->body + p->size, p->body, p->size);
		p->body[0] = 2; /* more follow */
		p->body[p->size + 4] = 2;
		p->size *= 2;
		break;
	case UNASKED:
		p = liar_find(in, IKE_PL_SA);
		assert_non_null(p);
		for (size_t i = 8; i + 4 <= p->size; i++) {
			if (p->body[i] == 0x80 && p->body[i + 1] == 14) {
				p->body[i + 2] = 0;
				p->body[i + 3] = 192;
			}
		}
		break;
	case WIDER_TS:
		p = liar_find(in, type);
		assert_true(p && p->size == 20);
		memset(p->body + 12, 0, 4);
		memset(p->body + 16, 255, 4);
		break;
	case DELETE_OF_SIZE: {
		const uint8_t d[12] = {IKE_PROTO_ESP, type, 0, 1};

		in->n = 0;
		liar_add(in, IKE_PL_DELETE, 0, d, 4 + lie->arg);
		break;
	}
	}
}

#define CNT(name)   IKE_CNT_##name
#define AUTH_REQ    IKE_AUTH, false, IKE_EV_TICK
#define AUTH_RESP   IKE_AUTH, true, IKE_EV_TICK
#define INIT_REQ    IKE_SA_INIT, false, IKE_EV_TICK
#define INIT_RESP   IKE_SA_INIT, true, IKE_EV_TICK
#define CHILD_REQ   IKE_CREATE_CHILD_SA, false, IKE_EV_REKEY_CHILD
#define CHILD_RESP  IKE_CREATE_CHILD_SA, true, IKE_EV_REKEY_CHILD
#define REKEY_REQ   IKE_CREATE_CHILD_SA, false, IKE_EV_REKEY_IKE
#define REKEY_RESP  IKE_CREATE_CHILD_SA, true, IKE_EV_REKEY_IKE
#define INFO_REQ    IKE_INFORMATIONAL, false, IKE_EV_REKEY_CHILD /* deletes the old one */
#define INFO_RESP   IKE_INFORMATIONAL, true, IKE_EV_REKEY_CHILD
#define UNKNOWN     200
#define SYNTAX      IKE_N_INVALID_SYNTAX
#define CRITICAL    IKE_N_UNSUPPORTED_CRITICAL_PAYLOAD
#define SOME_ERROR  12345
#define SOME_STATUS 40000

/*
 * Requirements: RFC7296-2.5-critical, RFC7296-2.7-offered, RFC7296-2.9-checked,
 * RFC7296-2.10-nonce, RFC7296-2.21.3-syntax, RFC7296-2.25-temporary, RFC7296-3.10.1-error,
 * RFC7296-3.10.1-status
 */
static const struct lie lies[] = {
	/* exchange, edit, counter, answer, data, does the IKE SA stay */
	{AUTH_REQ, DROP, IKE_PL_IDI, CNT(RX_SYNTAX), SYNTAX, 0, false},
	{AUTH_REQ, DROP, IKE_PL_IDR, -1, 0, 0, true},
	{AUTH_REQ, DROP, IKE_PL_AUTH, CNT(RX_SYNTAX), SYNTAX, 0, false},
	{AUTH_REQ, DROP, IKE_PL_SA, -1, SYNTAX, 0, true},
	{AUTH_REQ, DROP, IKE_PL_TSI, -1, SYNTAX, 0, true},
	{AUTH_REQ, DROP, IKE_PL_TSR, -1, SYNTAX, 0, true},
	{AUTH_REQ, TWICE, IKE_PL_IDI, CNT(RX_PAYLOAD), SYNTAX, 0, false},
	{AUTH_REQ, TWICE, IKE_PL_AUTH, CNT(RX_PAYLOAD), SYNTAX, 0, false},
	{AUTH_REQ, TWICE, IKE_PL_SA, CNT(RX_PAYLOAD), SYNTAX, 0, false},
	{AUTH_REQ, TWICE, IKE_PL_TSR, CNT(RX_PAYLOAD), SYNTAX, 0, false},
	{AUTH_REQ, ADD, 256 | UNKNOWN, CNT(RX_CRITICAL), CRITICAL, UNKNOWN, false},
	{AUTH_REQ, ADD, UNKNOWN, -1, 0, 0, true},
	{AUTH_REQ, NOTIFY, SOME_STATUS, -1, 0, 0, true},

	{AUTH_RESP, DROP, IKE_PL_IDR, CNT(AUTH_FAILED), 0, 0, false},
	{AUTH_RESP, DROP, IKE_PL_AUTH, CNT(AUTH_FAILED), 0, 0, false},
	{AUTH_RESP, DROP, IKE_PL_SA, -1, 0, 0, true},
	{AUTH_RESP, DROP, IKE_PL_TSI, -1, 0, 0, true},
	{AUTH_RESP, DROP, IKE_PL_TSR, -1, 0, 0, true},
	{AUTH_RESP, TWICE, IKE_PL_IDR, CNT(RX_PAYLOAD), 0, 0, false},
	{AUTH_RESP, TWICE, IKE_PL_SA, CNT(RX_PAYLOAD), 0, 0, false},
	{AUTH_RESP, ADD, 256 | UNKNOWN, CNT(RX_CRITICAL), 0, 0, false},
	{AUTH_RESP, ADD, UNKNOWN, -1, 0, 0, true},
	{AUTH_RESP, SECOND, 0, CNT(NO_PROPOSAL), 0, 0, true},
	{AUTH_RESP, UNASKED, 0, CNT(NO_PROPOSAL), 0, 0, true},
	{AUTH_RESP, WIDER_TS, IKE_PL_TSI, CNT(TS_UNACCEPTABLE), 0, 0, true},
	{AUTH_RESP, WIDER_TS, IKE_PL_TSR, CNT(TS_UNACCEPTABLE), 0, 0, true},
	{AUTH_RESP, ONLY, IKE_N_AUTHENTICATION_FAILED, CNT(AUTH_FAILED), 0, 0, false},
	{AUTH_RESP, ONLY, SOME_ERROR, CNT(AUTH_FAILED), 0, 0, false},
	{AUTH_RESP, NOTIFY, SOME_STATUS, -1, 0, 0, true},

	{CHILD_REQ, DROP, IKE_PL_SA, CNT(RX_SYNTAX), SYNTAX, 0, false},
	{CHILD_REQ, DROP, IKE_PL_NONCE, CNT(RX_SYNTAX), SYNTAX, 0, false},
	{CHILD_REQ, DROP, IKE_PL_TSI, CNT(RX_SYNTAX), SYNTAX, 0, false},
	{CHILD_REQ, DROP, IKE_PL_TSR, CNT(RX_SYNTAX), SYNTAX, 0, false},
	{CHILD_REQ, DROP, IKE_PL_KE, CNT(INVALID_KE), IKE_N_INVALID_KE_PAYLOAD, 0, true},
	{CHILD_REQ, DROP, IKE_PL_NOTIFY, -1, 0, 0, true},
	{CHILD_REQ, TWICE, IKE_PL_SA, CNT(RX_PAYLOAD), SYNTAX, 0, false},
	{CHILD_REQ, TWICE, IKE_PL_NONCE, CNT(RX_PAYLOAD), SYNTAX, 0, false},
	{CHILD_REQ, TWICE, IKE_PL_KE, CNT(RX_PAYLOAD), SYNTAX, 0, false},
	{CHILD_REQ, TWICE, IKE_PL_TSI, CNT(RX_PAYLOAD), SYNTAX, 0, false},
	{CHILD_REQ, ADD, 256 | UNKNOWN, CNT(RX_CRITICAL), CRITICAL, UNKNOWN, false},
	{CHILD_REQ, ADD, UNKNOWN, -1, 0, 0, true},
	{CHILD_REQ, ADD, 256 | IKE_PL_VENDOR, -1, 0, 0, true},
	{CHILD_REQ, NONCE, 15, CNT(RX_NONCE), SYNTAX, 0, false},
	{CHILD_REQ, NONCE, 16, CNT(RX_NONCE), SYNTAX, 0, false}, /* half of SHA-384 is more */
	{CHILD_REQ, NONCE, 256, -1, 0, 0, true},
	{CHILD_REQ, NONCE, 257, CNT(RX_NONCE), SYNTAX, 0, false},
	{CHILD_REQ, KE_SIZE, 31, CNT(RX_KE), SYNTAX, 0, false},
	{CHILD_REQ, KE_SIZE, 33, CNT(RX_KE), SYNTAX, 0, false},
	{CHILD_REQ, KE_SIZE, 0, CNT(RX_TRUNCATED), SYNTAX, 0, false},
	{CHILD_REQ, UNASKED, 0, CNT(NO_PROPOSAL), IKE_N_NO_PROPOSAL_CHOSEN, 0, true},
	{CHILD_REQ, NOTIFY, SOME_STATUS, -1, 0, 0, true},

	{CHILD_RESP, DROP, IKE_PL_SA, CNT(RX_SYNTAX), 0, 0, false},
	{CHILD_RESP, DROP, IKE_PL_NONCE, CNT(RX_SYNTAX), 0, 0, false},
	{CHILD_RESP, DROP, IKE_PL_TSI, CNT(RX_SYNTAX), 0, 0, false},
	{CHILD_RESP, DROP, IKE_PL_TSR, CNT(RX_SYNTAX), 0, 0, false},
	{CHILD_RESP, DROP, IKE_PL_KE, CNT(RX_KE), 0, 0, true},
	{CHILD_RESP, TWICE, IKE_PL_SA, CNT(RX_PAYLOAD), 0, 0, false},
	{CHILD_RESP, TWICE, IKE_PL_NONCE, CNT(RX_PAYLOAD), 0, 0, false},
	{CHILD_RESP, TWICE, IKE_PL_KE, CNT(RX_PAYLOAD), 0, 0, false},
	{CHILD_RESP, ADD, 256 | UNKNOWN, CNT(RX_CRITICAL), 0, 0, false},
	{CHILD_RESP, ADD, UNKNOWN, -1, 0, 0, true},
	{CHILD_RESP, SECOND, 0, CNT(NO_PROPOSAL), 0, 0, true},
	{CHILD_RESP, UNASKED, 0, CNT(NO_PROPOSAL), 0, 0, true},
	{CHILD_RESP, WIDER_TS, IKE_PL_TSI, CNT(TS_UNACCEPTABLE), 0, 0, true},
	{CHILD_RESP, WIDER_TS, IKE_PL_TSR, CNT(TS_UNACCEPTABLE), 0, 0, true},
	{CHILD_RESP, NONCE, 15, CNT(RX_NONCE), 0, 0, false},
	{CHILD_RESP, NONCE, 16, CNT(RX_NONCE), 0, 0, true},
	{CHILD_RESP, NONCE, 256, -1, 0, 0, true},
	{CHILD_RESP, NONCE, 257, CNT(RX_NONCE), 0, 0, false},
	{CHILD_RESP, KE_SIZE, 31, CNT(RX_KE), 0, 0, true},
	{CHILD_RESP, KE_SIZE, 33, CNT(RX_KE), 0, 0, true},
	{CHILD_RESP, ONLY, IKE_N_NO_PROPOSAL_CHOSEN, CNT(NO_PROPOSAL), 0, 0, true},
	{CHILD_RESP, ONLY, IKE_N_TS_UNACCEPTABLE, CNT(TS_UNACCEPTABLE), 0, 0, true},
	{CHILD_RESP, ONLY, IKE_N_TEMPORARY_FAILURE, CNT(TEMPORARY_FAILURE), 0, 0, true},
	{CHILD_RESP, ONLY, IKE_N_NO_ADDITIONAL_SAS, -1, 0, 0, true},
	{CHILD_RESP, ONLY, IKE_N_CHILD_SA_NOT_FOUND, -1, 0, 0, true},
	{CHILD_RESP, ONLY, IKE_N_INVALID_SYNTAX, CNT(RX_SYNTAX), 0, 0, false},
	{CHILD_RESP, ONLY, SOME_ERROR, -1, 0, 0, true},
	{CHILD_RESP, NOTIFY, SOME_ERROR, -1, 0, 0, true},
	{CHILD_RESP, ONLY, SOME_STATUS, CNT(RX_SYNTAX), 0, 0, false},
	{CHILD_RESP, NOTIFY, SOME_STATUS, -1, 0, 0, true},

	{REKEY_REQ, DROP, IKE_PL_SA, CNT(RX_SYNTAX), SYNTAX, 0, false},
	{REKEY_REQ, DROP, IKE_PL_NONCE, CNT(RX_SYNTAX), SYNTAX, 0, false},
	{REKEY_REQ, DROP, IKE_PL_KE, CNT(RX_SYNTAX), SYNTAX, 0, false},
	{REKEY_REQ, TWICE, IKE_PL_NONCE, CNT(RX_PAYLOAD), SYNTAX, 0, false},
	{REKEY_REQ, ADD, IKE_PL_EAP, CNT(RX_PAYLOAD), SYNTAX, 0, false},
	{REKEY_REQ, ADD, 256 | UNKNOWN, CNT(RX_CRITICAL), CRITICAL, UNKNOWN, false},
	{REKEY_REQ, NONCE, 16, CNT(RX_NONCE), SYNTAX, 0, false},
	{REKEY_REQ, NONCE, 257, CNT(RX_NONCE), SYNTAX, 0, false},
	{REKEY_REQ, KE_SIZE, 31, CNT(RX_KE), SYNTAX, 0, false},
	{REKEY_REQ, UNASKED, 0, CNT(NO_PROPOSAL), IKE_N_NO_PROPOSAL_CHOSEN, 0, true},

	{REKEY_RESP, DROP, IKE_PL_SA, CNT(RX_SYNTAX), 0, 0, false},
	{REKEY_RESP, DROP, IKE_PL_NONCE, CNT(RX_SYNTAX), 0, 0, false},
	{REKEY_RESP, DROP, IKE_PL_KE, CNT(RX_SYNTAX), 0, 0, false},
	{REKEY_RESP, TWICE, IKE_PL_KE, CNT(RX_PAYLOAD), 0, 0, false},
	{REKEY_RESP, ADD, 256 | UNKNOWN, CNT(RX_CRITICAL), 0, 0, false},
	{REKEY_RESP, SECOND, 0, CNT(NO_PROPOSAL), 0, 0, true},
	{REKEY_RESP, UNASKED, 0, CNT(NO_PROPOSAL), 0, 0, true},
	{REKEY_RESP, NONCE, 16, CNT(RX_NONCE), 0, 0, true},
	{REKEY_RESP, KE_SIZE, 31, CNT(RX_KE), 0, 0, true},
	{REKEY_RESP, ONLY, IKE_N_NO_PROPOSAL_CHOSEN, CNT(NO_PROPOSAL), 0, 0, true},
	{REKEY_RESP, ONLY, IKE_N_TEMPORARY_FAILURE, CNT(TEMPORARY_FAILURE), 0, 0, true},
	{REKEY_RESP, ONLY, SOME_ERROR, -1, 0, 0, true},
	{REKEY_RESP, NOTIFY, SOME_STATUS, -1, 0, 0, true},

	{INFO_REQ, DELETE_OF_SIZE, 0, CNT(RX_PAYLOAD), SYNTAX, 0, false},
	{INFO_REQ, DELETE_OF_SIZE, 8, CNT(RX_PAYLOAD), SYNTAX, 0, false},
	{INFO_REQ, ADD, 256 | UNKNOWN, CNT(RX_CRITICAL), CRITICAL, UNKNOWN, false},
	{INFO_REQ, NOTIFY, SOME_ERROR, -1, 0, 0, true},
	{INFO_REQ, NOTIFY, SOME_STATUS, -1, 0, 0, true},
	{INFO_RESP, ADD, 256 | UNKNOWN, CNT(RX_CRITICAL), 0, 0, false},
	{INFO_RESP, DELETE_OF_SIZE, 8, CNT(RX_PAYLOAD), 0, 0, false},
	{INFO_RESP, ONLY, SOME_STATUS, -1, 0, 0, true},

	/* Not authenticated: dropped, and asked again. */
	{INIT_REQ, NONCE, 15, CNT(RX_NONCE), 0, 0, true},
	{INIT_REQ, NONCE, 16, CNT(RX_NONCE), 0, 0, true},
	{INIT_REQ, NONCE, 257, CNT(RX_NONCE), 0, 0, true},
	{INIT_REQ, KE_SIZE, 31, CNT(RX_KE), 0, 0, true},
	{INIT_RESP, NONCE, 15, CNT(RX_NONCE), 0, 0, true},
	{INIT_RESP, NONCE, 16, CNT(RX_NONCE), 0, 0, true},
	{INIT_RESP, KE_SIZE, 31, CNT(RX_KE), 0, 0, true},
	{INIT_RESP, SECOND, 0, CNT(NO_PROPOSAL), 0, 0, true},
	{INIT_RESP, UNASKED, 0, CNT(NO_PROPOSAL), 0, 0, true},
};

static char said[160];

static const char *name_of(const struct lie *lie)
{
	snprintf(said, sizeof(said), "lie %zu (edit %d, %u) in %s %s:", (size_t)(lie - lies),
		 (int)lie->edit, lie->arg, ike_exchange_name(lie->exchange),
		 lie->response ? "response" : "request");
	return said;
}

/* The IKE SA that the lie was told on, if any is left of it. */
static bool has_sa(struct sim_node *n, uint64_t our_spi)
{
	return our_spi && ike_sa_find(n->ike, our_spi);
}

static uint64_t any_sa(const struct sim_node *n)
{
	const struct sim_count c = count_sas((struct sim_node *)(uintptr_t)n, 0);

	return n->index ? (c.ike_initiator ? c.spi_i : c.spi_r)
			: (c.ike_initiator ? c.spi_i : c.spi_r);
}

static bool was_told(struct world *w)
{
	(void)w;
	return liar.told && (liar.response || liar.answered || liar.exchange == IKE_SA_INIT);
}

static void one_lie(struct world *w, const struct lie *lie)
{
	struct sim_node *honest = &w->node[lie->response ? 0 : 1];
	const bool connecting = lie->event == IKE_EV_TICK;
	uint64_t before[IKE_CNT_END], spi;
	const struct liar_payload *n;
	int wrong = -1;

	world_init(w, 500 + (uint64_t)(lie - lies));
	w->esp_period_us = 0;
	liar = (struct liar){.from = lie->response,
			     .exchange = lie->exchange,
			     .response = lie->response,
			     .times = connecting,
			     .edit = tell,
			     .arg = lie};
	liar_install(w, &liar);
	must(w, world_start(w), "no start");
	if (!connecting) {
		must(w, world_until(w, settled, span_s(10)), "not connected");
		world_run(w, span_s(5));
		liar.times = 1;
		node_event(A, lie->event, 0);
	}
	spi = connecting ? 0 : any_sa(honest);
	for (int c = 0; c < IKE_CNT_END; c++)
		before[c] = ike_counter_get(honest->ike, (enum ike_counter)c);
	must(w, world_until(w, was_told, span_s(20)), name_of(lie));
	world_run(w, span_ms(connecting ? 400 : 5));

	/* 1. The answer. */
	n = NULL;
	for (size_t i = 0; liar.answered && i < liar.answer.n && !n; i++) {
		const struct liar_payload *p = &liar.answer.p[i];

		if (p->type == IKE_PL_NOTIFY && (p->body[2] << 8 | p->body[3]) <= IKE_N_ERROR_LAST)
			n = p;
	}
	if (lie->answer ? !n || (n->body[2] << 8 | n->body[3]) != lie->answer : n != NULL)
		fail_msg("%s answered with %d", name_of(lie),
			 n ? n->body[2] << 8 | n->body[3] : -1);
	if (lie->data && (n->size < 5 || n->body[4] != lie->data))
		fail_msg("%s answered without the type", name_of(lie));
	/* 2. The counter, and no other that speaks of input refused. */
	for (int c = IKE_CNT_RX_TRUNCATED; c <= IKE_CNT_TS_UNACCEPTABLE; c++) {
		const bool moved = ike_counter_get(honest->ike, (enum ike_counter)c) != before[c];

		if (moved != (c == lie->counter))
			wrong = c;
	}
	if (wrong >= 0)
		fail_msg("%s %s", name_of(lie), ike_counter_name((enum ike_counter)wrong));
	/* 3. The IKE SA. */
	if (connecting && lie->exchange == IKE_AUTH)
		must(w, (count_sas(honest, 0).live_ike == 1) == lie->ike_sa_stays, name_of(lie));
	if (!connecting && lie->response &&
	    ike_counter_get(A->ike, IKE_CNT_IKE_REKEYED) == before[IKE_CNT_IKE_REKEYED])
		must(w,
		     (has_sa(A, spi) && ike_sa_find(A->ike, spi)->state != IKE_ST_DELETING) ==
			     lie->ike_sa_stays,
		     name_of(lie));
	/* 4. Together again. */
	world_run(w, span_s(1));
	must(w, world_until(w, settled, span_s(165)), name_of(lie));
	if (lie->event == IKE_EV_REKEY_CHILD)
		must(w, (A->n_events[IKE_HAP_IKE_UP] == 1) == lie->ike_sa_stays, name_of(lie));
	world_fini(w);
}

/* The world's tracer takes the lines of every level, so that each is written out. */
/* Requirements: CVE-2020-1763 */
static void each_lie(void **state)
{
	const char *one = getenv("SIM_LIE");

	(void)state;
	for (size_t i = one ? strtoul(one, NULL, 0) : 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		one_lie(&the_world, &lies[i]);
		if (one)
			break;
	}
}

/* ---------------------------------------------------------------- random lies */

static void mutate(struct liar_inner *in, const void *arg)
{
	struct rng *r = &((struct world *)(uintptr_t)arg)->rng;

	if (rng_chance(r, 60))
		return;
	for (unsigned n = 1 + (unsigned)rng_below(r, 3); n--;) {
		struct liar_payload *p = in->n ? &in->p[rng_below(r, in->n)] : NULL;

		if (!p || rng_chance(r, 10)) {
			liar_add(in, (uint8_t)(33 + rng_below(r, 22)), rng_chance(r, 50) ? 0x80 : 0,
				 said, rng_below(r, 40));
			continue;
		}
		switch (rng_below(r, 7)) {
		case 0: liar_drop(in, p->type); break;
		case 1:
			if (in->n < LIAR_PAYLOADS - 4)
				liar_add(in, p->type, p->flags, p->body, p->size);
			break;
		case 2: p->size = rng_below(r, p->size + 1); break;
		case 3: p->size = rng_below(r, LIAR_BODY); break;
		case 4: p->type = (uint8_t)(33 + rng_below(r, 22)); break;
		default:
			if (p->size)
				p->body[rng_below(r, p->size)] ^= (uint8_t)(1u << rng_below(r, 8));
			break;
		}
	}
}

/* Whatever an authentic peer says: no crash, no leak, and a fresh start finds everything in order. */
static void random_lies(void **state)
{
	struct world *w = &the_world;
	const char *env = getenv("SIM_LIARS");
	const uint64_t n = env ? strtoull(env, NULL, 0) : 200;

	(void)state;
	for (uint64_t seed = 1; seed <= n; seed++) {
		world_init(w, 100000 + seed);
		w->esp_period_us = 0;
		liar = (struct liar){.from = -1, .times = 1000000, .edit = mutate, .arg = w};
		must(w, world_start(w), "no start");
		world_until(w, settled, span_s(10));
		liar_install(w, &liar);
		for (int i = 0; i < 30; i++) {
			static const enum ike_event_type events[] = {
				IKE_EV_REKEY_CHILD, IKE_EV_REKEY_IKE, IKE_EV_INITIATE,
				IKE_EV_REKEY_CHILD, IKE_EV_REKEY_IKE, IKE_EV_TERMINATE};

			node_event(&w->node[rng_below(&w->rng, 2)],
				   events[rng_below(&w->rng, i % 5 ? 5 : 6)], 0);
			world_run(w, span_ms(rng_below(&w->rng, 3000)));
		}
		w->filter = NULL;
		world_run(w, span_s(60));
		node_power_off(A);
		must(w, node_power_on(A), "no start");
		if (!world_until(w, settled, span_s(165)))
			fail_msg("seed %llu: not settled %s", (unsigned long long)seed, w->failure);
		world_fini(w);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_lie),
		cmocka_unit_test(random_lies),
		cmocka_unit_test(deletes_are_answered_in_pairs),
	};

	return run_group("liar", tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
}
