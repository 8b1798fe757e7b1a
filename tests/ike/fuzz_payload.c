/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target of each payload's parser by itself, and of what is done with what was parsed: the
 * first byte says which, the rest is the payload's body. corpus/payload is replayed by the unit tests.
 */
#include <stdlib.h>
#include <string.h>
#include "ike/id.h"
#include "ike/payload.h"
#include "ike/proposal.h"
#include "ike/sig_alg.h"
#include "ike/ts.h"
#include "tests/ike/util.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

static const struct {
	uint8_t type;
	ike_payload_parse_fn *parse;
} payloads[] = {
	{IKE_PL_SA, ike_sa_parse},         {IKE_PL_KE, ike_ke_parse},
	{IKE_PL_IDI, ike_id_parse},        {IKE_PL_IDR, ike_id_parse},
	{IKE_PL_CERT, ike_cert_parse},     {IKE_PL_CERTREQ, ike_certreq_parse},
	{IKE_PL_AUTH, ike_auth_parse},     {IKE_PL_NONCE, ike_nonce_parse},
	{IKE_PL_NOTIFY, ike_notify_parse}, {IKE_PL_DELETE, ike_delete_parse},
	{IKE_PL_TSI, ike_ts_parse},        {IKE_PL_TSR, ike_ts_parse},
};
#define N_PAYLOADS (sizeof(payloads) / sizeof(payloads[0]))

static struct ike_msg msg;

/* The parser alone, then behind the walker, which knows the smallest sizes and so takes no more. */
static bool parsed(size_t which, struct rd body)
{
	static uint8_t chain[UINT16_MAX];
	struct wr w = wr_of(chain, sizeof(chain));
	enum ike_err alone, walked;

	memset(&msg, 0, sizeof(msg));
	alone = payloads[which].parse(payloads[which].type, body, &msg);
	wr_u16(&w, 0);
	wr_u16(&w, (uint16_t)(body.size + IKE_PAYLOAD_HEADER_SIZE));
	wr_bytes(&w, body.p, body.size);
	if (!wr_ok(&w) || body.size > UINT16_MAX - IKE_PAYLOAD_HEADER_SIZE)
		return false;
	memset(&msg, 0, sizeof(msg));
	walked = ike_msg_parse_inner(payloads[which].type, rd_of(chain, w.n), &msg);
	must(walked != IKE_OK || alone == IKE_OK);
	return walked == IKE_OK;
}

static void use_sa(void)
{
	static const struct ike_suite suites[] = {
		{IKE_ENCR_AES_GCM_16, 256, IKE_PRF_HMAC_SHA2_384, 0, IKE_DH_ECP_384, 0},
		{IKE_ENCR_AES_CBC, 128, IKE_PRF_HMAC_SHA2_256, IKE_INTEG_HMAC_SHA2_256_128,
		 IKE_DH_ECP_256, IKE_ESN_YES},
	};
	const struct ike_algs ours = ike_algs_of(suites, 2);
	const struct ike_proposal *p;
	struct ike_difference diff;
	struct ike_suite out;
	char text[400];
	struct sb s = sb_of(text, sizeof(text));

	for (uint8_t protocol = 0; protocol < 4; protocol++) {
		for (int skip = 0; skip < 2; skip++) {
			p = NULL;
			if (ike_proposal_select(&msg.sa, protocol, &ours, skip, &out, &p) == IKE_OK)
				must(p && ike_algs_permit(&ours, &out) | skip);
			p = NULL;
			if (ike_proposal_check(&msg.sa, protocol, &ours, skip, &out, &p) == IKE_OK)
				must(p && msg.sa.n_proposals == 1);
		}
		ike_proposal_compare(&msg.sa, protocol, &ours, &diff);
		must(strlen(diff.text) < sizeof(diff.text));
	}
	ike_proposal_put_theirs(&msg.sa, &s);
	must(strlen(text) < sizeof(text));
}

static void use_ts(const struct ike_ts_payload *t)
{
	const struct ike_ts ours[] = {
		{ip_v4(10, 0, 0, 0), ip_v4(10, 0, 0, 255), 0, UINT16_MAX, 0},
		{ip_v4(10, 0, 1, 0), ip_v4(10, 0, 1, 9), 80, 443, 6},
	};
	struct ike_ts out[IKE_MAX_TS];
	char text[IKE_TS_STRLEN];
	const size_t n = ike_ts_narrow(ours, 2, t->ts, t->n, out, IKE_MAX_TS);

	must(n <= IKE_MAX_TS);
	must(ike_ts_subset(out, n, ours, 2));
	must(ike_ts_subset(out, n, t->ts, t->n));
	for (size_t i = 0; i < t->n; i++)
		must(strlen(ike_ts_format(&t->ts[i], text)) < sizeof(text));
}

static void use_id(uint8_t type, struct rd data)
{
	struct ike_id pattern = {.type = type, .size = 3, .data = {'*', '.', 'a'}};
	char text[64];
	struct sb s = sb_of(text, sizeof(text));

	ike_id_put(&s, type, data);
	must(strlen(text) < sizeof(text));
	ike_id_matches(type, data, &pattern, true);
	if (data.size > IKE_ID_MAX)
		return;
	pattern.size = (uint8_t)data.size;
	if (data.size)
		memcpy(pattern.data, data.p, data.size);
	/* A name that is malformed is nobody's. */
	must(type == IKE_ID_DER_ASN1_DN || ike_id_equal(type, data, &pattern));
	if (ike_id_matches(type, data, &pattern, true))
		must(ike_id_matches(type, data, &pattern, false) || pattern.data[0] == '*' ||
		     type == IKE_ID_DER_ASN1_DN);
}

static void other(size_t which, struct rd body)
{
	uint8_t der[IKE_ID_MAX];
	char text[200];
	struct sb s = sb_of(text, sizeof(text));
	struct ike_announced announced;
	size_t n;

	switch (which % 5) {
	case 0:
		if (ike_dn_put(&s, body))
			must(strlen(text) < sizeof(text));
		ike_dn_matches(body, body, true);
		break;
	case 1: {
		char *name = malloc(body.size + 1);

		must(name != NULL);
		memcpy(name, body.p, body.size);
		name[body.size] = '\0';
		if (ike_dn_encode(name, der, sizeof(der), &n)) {
			must(n <= sizeof(der) && ike_dn_put(&s, rd_of(der, n)));
			must(ike_dn_matches(rd_of(der, n), rd_of(der, n), false));
		}
		free(name);
		break;
	}
	case 2: ike_announced_parse(body, &announced); break;
	case 3: must(!(ike_hashes_parse(body) & 1)); break;
	case 4:
		for (unsigned method = 0; method < 16; method++)
			must(ike_auth_alg_of((uint8_t)method, body) < IKE_AUTH_ALG_END);
		break;
	default: break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rd body;
	uint8_t which;

	if (size < 1)
		return 0;
	which = data[0] % (N_PAYLOADS + 5);
	body = rd_of(data + 1, size - 1);
	if (which >= N_PAYLOADS) {
		other(which - N_PAYLOADS, body);
		return 0;
	}
	if (!parsed(which, body))
		return 0;
	if (payloads[which].type == IKE_PL_SA)
		use_sa();
	else if (payloads[which].type == IKE_PL_TSI)
		use_ts(&msg.tsi);
	else if (payloads[which].type == IKE_PL_IDI)
		use_id(msg.idi.type, msg.idi.data);
	must(rebuilds(&msg));
	return 0;
}
