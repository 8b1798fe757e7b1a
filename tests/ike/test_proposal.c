/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of what is made of an offer and of an answer, one case a line, in the words of offer.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ike/proposal_int.h"
#include "tests/ike/offer.h"

/* clang-format off */
static const struct {
	const char *name;
	uint8_t protocol;
	bool skip_ke;
	const char *ours, *offer;
	const char *want; /* "number suite", NULL = nothing in common */
} selections[] = {
	/* IKE */
	{"the same",               IKE, 0, GCM20, "1 " GCM20, "1 aes-256-gcm-16/prf-sha2-384/dh-20"},
	{"one among many",         IKE, 0, GCM20, "1 aes-128-cbc aes-256-gcm-16 aes-256-cbc prf-sha1 prf-sha2-384 dh-2 dh-14 dh-20", "1 aes-256-gcm-16/prf-sha2-384/dh-20"},
	{"second proposal",        IKE, 0, GCM20, "1 " CBC14 ";2 " GCM20, "2 aes-256-gcm-16/prf-sha2-384/dh-20"},
	{"our order, not theirs",  IKE, 0, BOTH, "1 " CBC14 ";2 " GCM20, "2 aes-256-gcm-16/prf-sha2-384/dh-20"},
	{"GMAC for IKE",           IKE, 0, "gmac prf-sha2-384 dh-20", "1 gmac prf-sha2-384 dh-20", NULL},
	/* RFC 9370: none that we want, none that they want, the same method twice */
	{"ML-KEM",                 IKE, 0, GCM20 " ke1-768", "1 " GCM20 " ke1-512 ke1-768", "1 aes-256-gcm-16/prf-sha2-384/dh-20/ke1-ml-kem-768"},
	{"ML-KEM, not offered",    IKE, 0, GCM20 " ke1-768", "1 " GCM20, NULL},
	{"ML-KEM, offered as none",IKE, 0, GCM20 " ke1-768", "1 " GCM20 " no-ke1", NULL},
	{"ML-KEM, not ours",       IKE, 0, GCM20, "1 " GCM20 " ke1-768", NULL},
	{"ML-KEM, not ours, none", IKE, 0, GCM20, "1 " GCM20 " ke1-768 no-ke1", "1 aes-256-gcm-16/prf-sha2-384/dh-20"},
	{"ML-KEM beside without",  IKE, 0, GCM20, "1 " GCM20 " ke1-768;2 " GCM20, "2 aes-256-gcm-16/prf-sha2-384/dh-20"},
	{"ML-KEM liked better",    IKE, 0, GCM20 " ke1-768 no-ke1", "1 " GCM20 ";2 " GCM20 " ke1-768", "2 aes-256-gcm-16/prf-sha2-384/dh-20/ke1-ml-kem-768"},
	{"ML-KEM before a cipher", IKE, 0, GCM20 " aes-128-gcm-16 ke1-768 no-ke1", "1 " GCM20 ";2 aes-128-gcm-16 prf-sha2-384 dh-20 ke1-768", "2 aes-128-gcm-16/prf-sha2-384/dh-20/ke1-ml-kem-768"},
	{"ML-KEM disliked",        IKE, 0, GCM20 " no-ke1 ke1-768", "1 " GCM20 " ke1-768;2 " GCM20, "2 aes-256-gcm-16/prf-sha2-384/dh-20"},
	{"group is ADDKE1's",      IKE, 0, GCM20 " ke1-20", "1 " GCM20 " ke1-20", NULL},
	{"group gives way",        IKE, 0, GCM20 " dh-14 ke1-20", "1 " GCM20 " dh-14 ke1-20", "1 aes-256-gcm-16/prf-sha2-384/dh-14/ke1-20"},
	{"ADDKE1 gives way",       IKE, 0, GCM20 " ke1-20 ke1-512", "1 " GCM20 " ke1-20 ke1-512", "1 aes-256-gcm-16/prf-sha2-384/dh-20/ke1-ml-kem-512"},
	{"ADDKE2 differs",         IKE, 0, GCM20 " ke1-768 ke2-768 ke2-1024", "1 " GCM20 " ke1-768 ke2-768 ke2-1024", "1 aes-256-gcm-16/prf-sha2-384/dh-20/ke1-ml-kem-768/ke2-ml-kem-1024"},
	{"ADDKE2 the same only",   IKE, 0, GCM20 " ke1-768 ke2-768", "1 " GCM20 " ke1-768 ke2-768", NULL},
	{"ADDKE1 none, ADDKE2",    IKE, 0, GCM20 " ke2-768", "1 " GCM20 " no-ke1 ke2-768", "1 aes-256-gcm-16/prf-sha2-384/dh-20/ke2-ml-kem-768"},
	{"ADDKE7 none",            IKE, 0, GCM20, "1 " GCM20 " type-12-0", "1 aes-256-gcm-16/prf-sha2-384/dh-20"},
	{"ADDKE7 wanted",          IKE, 0, GCM20, "1 " GCM20 " type-12-36", NULL},
	{"type 13",                IKE, 0, GCM20, "1 " GCM20 " type-13-0", NULL},
	{"our second choice",      IKE, 0, BOTH, "1 " CBC14, "1 aes-256-cbc/sha2-256/prf-sha2-256/dh-14"},
	{"not across proposals",   IKE, 0, GCM20, "1 aes-256-gcm-16 prf-sha2-384 dh-19;2 aes-256-gcm-16 prf-sha2-256 dh-20", NULL},
	{"key length differs",     IKE, 0, GCM20, "1 aes-128-gcm-16 prf-sha2-384 dh-20", NULL},
	{"key length absent",      IKE, 0, GCM20, "1 aes-gcm-16 prf-sha2-384 dh-20", NULL},
	{"both key lengths",       IKE, 0, GCM20, "1 aes-128-gcm-16 aes-256-gcm-16 prf-sha2-384 dh-20", "1 aes-256-gcm-16/prf-sha2-384/dh-20"},
	{"key length on a PRF",    IKE, 0, GCM20, "1 aes-256-gcm-16 prf-sha2-384 bits=256 dh-20", NULL},
	{"key length on a group",  IKE, 0, GCM20, "1 aes-256-gcm-16 prf-sha2-384 dh-20 bits=384", NULL},
	{"unknown attribute",      IKE, 0, GCM20, "1 aes-256-gcm-16 bad-attr prf-sha2-384 dh-20", NULL},
	{"the same, once without", IKE, 0, GCM20, "1 aes-256-gcm-16 bad-attr aes-256-gcm-16 prf-sha2-384 dh-20", "1 aes-256-gcm-16/prf-sha2-384/dh-20"},
	{"AEAD with INTEG none",   IKE, 0, GCM20, "1 aes-256-gcm-16 no-integ prf-sha2-384 dh-20", "1 aes-256-gcm-16/prf-sha2-384/dh-20"},
	{"AEAD with integrity",    IKE, 0, GCM20, "1 aes-256-gcm-16 sha2-256 prf-sha2-384 dh-20", NULL},
	{"AEAD with either",       IKE, 0, GCM20, "1 aes-256-gcm-16 sha2-256 no-integ prf-sha2-384 dh-20", "1 aes-256-gcm-16/prf-sha2-384/dh-20"},
	{"CBC without integrity",  IKE, 0, CBC14, "1 aes-256-cbc prf-sha2-256 dh-14", NULL},
	{"CBC with INTEG none",    IKE, 0, CBC14, "1 aes-256-cbc no-integ prf-sha2-256 dh-14", NULL},
	{"no encryption",          IKE, 0, GCM20, "1 prf-sha2-384 dh-20", NULL},
	{"no PRF",                 IKE, 0, GCM20, "1 aes-256-gcm-16 dh-20", NULL},
	{"no group",               IKE, 0, GCM20, "1 aes-256-gcm-16 prf-sha2-384", NULL},
	{"group none",             IKE, 0, GCM20, "1 aes-256-gcm-16 prf-sha2-384 no-dh", NULL},
	{"no transform at all",    IKE, 0, GCM20, "1", NULL},
	{"ESN in IKE",             IKE, 0, GCM20, "1 " GCM20 " no-esn", NULL},
	{"unknown type 6",         IKE, 0, GCM20, "1 " GCM20 " type-6-1", NULL},
	{"unknown type, other ok", IKE, 0, GCM20, "1 " GCM20 " type-6-1;2 " GCM20, "2 aes-256-gcm-16/prf-sha2-384/dh-20"},
	{"unknown type 0",         IKE, 0, GCM20, "1 " GCM20 " type-0-0", NULL},
	{"unknown type 255",       IKE, 0, GCM20, "1 " GCM20 " type-255-0", NULL},
	{"ours without a group",   IKE, 0, "aes-256-gcm-16 prf-sha2-384", "1 aes-256-gcm-16 prf-sha2-384 no-dh", NULL},
	{"ours without a PRF",     IKE, 0, "aes-256-gcm-16 dh-20", "1 aes-256-gcm-16 type-2-0 dh-20", NULL},
	{"ours CBC alone",         ESP, 0, "aes-256-cbc", "1 aes-256-cbc no-esn", NULL},
	{"ours nothing",           ESP, 0, "no-esn", "1 type-1-0 no-esn", NULL},
	{"numbers from 7",         IKE, 0, GCM20, "7 " GCM20, "7 aes-256-gcm-16/prf-sha2-384/dh-20"},
	{"rekey: SPI of 8",        IKE, 0, GCM20, "1 spi=8 " GCM20, "1 aes-256-gcm-16/prf-sha2-384/dh-20"},
	{"SPI of 4 in IKE",        IKE, 0, GCM20, "1 spi=4 " GCM20, NULL},
	{"ESP where IKE is due",   IKE, 0, GCM20, "1 esp spi=0 " GCM20, NULL},
	/* ESP */
	{"ESP",                    ESP, 0, "aes-256-gcm-16",          "1 aes-256-gcm-16 no-esn",          "1 aes-256-gcm-16"},
	{"ESN, ours first yes",    ESP, 0, "aes-256-gcm-16 esn no-esn", "1 aes-256-gcm-16 no-esn esn", "1 aes-256-gcm-16/esn"},
	{"ESN, ours first no",     ESP, 0, "aes-256-gcm-16 no-esn esn", "1 aes-256-gcm-16 no-esn esn", "1 aes-256-gcm-16"},
	{"ESN absent means no",    ESP, 0, "aes-256-gcm-16 esn no-esn", "1 aes-256-gcm-16",    "1 aes-256-gcm-16"},
	{"ESN absent, ours yes",   ESP, 0, "aes-256-gcm-16 esn",      "1 aes-256-gcm-16",                 NULL},
	{"ESN number 2",           ESP, 0, "aes-256-gcm-16",          "1 aes-256-gcm-16 type-5-2",        NULL},
	{"PFS on both",            ESP, 0, "aes-256-gcm-16 dh-20",    "1 aes-256-gcm-16 dh-20 no-esn",    "1 aes-256-gcm-16/dh-20"},
	{"PFS ours only",          ESP, 0, "aes-256-gcm-16 dh-20",    "1 aes-256-gcm-16 no-esn",          NULL},
	{"PFS theirs only",        ESP, 0, "aes-256-gcm-16",          "1 aes-256-gcm-16 dh-20 no-esn",    NULL},
	{"PFS optional to them",   ESP, 0, "aes-256-gcm-16",          "1 aes-256-gcm-16 dh-20 no-dh no-esn", "1 aes-256-gcm-16"},
	{"PFS optional, we want",  ESP, 0, "aes-256-gcm-16 dh-20",    "1 aes-256-gcm-16 no-dh dh-20 no-esn", "1 aes-256-gcm-16/dh-20"},
	{"first child, DH skipped",ESP, 1, "aes-256-gcm-16 dh-20",    "1 aes-256-gcm-16 no-esn",          "1 aes-256-gcm-16"},
	{"first child, DH there",  ESP, 1, "aes-256-gcm-16 dh-20",    "1 aes-256-gcm-16 dh-14 no-esn",    "1 aes-256-gcm-16"},
	{"CBC",                    ESP, 0, "aes-128-cbc sha2-384",    "1 aes-128-cbc sha2-256 sha2-384 no-esn", "1 aes-128-cbc/sha2-384"},
	{"CBC without integrity",  ESP, 0, "aes-128-cbc sha2-256",    "1 aes-128-cbc no-esn",             NULL},
	{"a PRF in ESP",           ESP, 0, "aes-256-gcm-16",          "1 aes-256-gcm-16 prf-sha2-256 no-esn", NULL},
	{"AH before ESP",          ESP, 0, "aes-256-gcm-16",          "1 ah sha2-256 no-esn;2 aes-256-gcm-16 no-esn", "2 aes-256-gcm-16"},
	{"SPI of 8 in ESP",        ESP, 0, "aes-256-gcm-16",          "1 spi=8 aes-256-gcm-16 no-esn",    NULL},
	{"SPI of 0 in ESP",        ESP, 0, "aes-256-gcm-16",          "1 spi=0 aes-256-gcm-16 no-esn",    NULL},
	{"ChaCha20",               ESP, 0, "chacha",                  "1 chacha no-esn",                  "1 chacha20-poly1305"},
	{"ChaCha20, key length",   ESP, 0, "chacha",                  "1 chacha bits=256 no-esn",         NULL}, /* RFC 7634 4 */
	{"GMAC",                   ESP, 0, "gmac",                    "1 gmac no-esn",                    "1 aes-256-gmac"},
	{"ESP with ML-KEM",        ESP, 0, "aes-256-gcm-16 dh-20 ke1-768", "1 aes-256-gcm-16 dh-20 ke1-768 no-esn", "1 aes-256-gcm-16/dh-20/ke1-ml-kem-768"},
	{"ML-KEM without a group", ESP, 0, "aes-256-gcm-16 no-dh ke1-768", "1 aes-256-gcm-16 ke1-768 no-esn", NULL},
	{"first child, ML-KEM",    ESP, 1, "aes-256-gcm-16 dh-20 ke1-768", "1 aes-256-gcm-16 no-esn",     "1 aes-256-gcm-16"},
	{"NULL encryption",        ESP, 0, "aes-256-gcm-16",          "1 null sha2-256 no-esn",           NULL},
};

static const struct {
	const char *name;
	uint8_t protocol;
	bool skip_ke;
	const char *offered, *answer, *want;
} answers[] = {
	{"as offered",             IKE, 0, BOTH, "2 " CBC14, "2 aes-256-cbc/sha2-256/prf-sha2-256/dh-14"},
	{"two proposals",          IKE, 0, GCM20, "1 " GCM20 ";2 " GCM20, NULL},
	{"two ciphers",            IKE, 0, GCM20, "1 aes-256-gcm-16 aes-128-gcm-16 prf-sha2-384 dh-20", NULL},
	{"one cipher twice",       IKE, 0, GCM20, "1 aes-256-gcm-16 aes-256-gcm-16 prf-sha2-384 dh-20", NULL},
	{"two groups",             IKE, 0, GCM20, "1 aes-256-gcm-16 prf-sha2-384 dh-20 dh-19", NULL},
	{"not offered",            IKE, 0, GCM20, "1 aes-128-gcm-16 prf-sha2-384 dh-20", NULL},
	{"another combination",    IKE, 0, BOTH, "1 aes-256-gcm-16 prf-sha2-256 dh-14", "1 aes-256-gcm-16/prf-sha2-256/dh-14"},
	{"CBC without integrity",  IKE, 0, BOTH, "1 aes-256-cbc prf-sha2-256 dh-14", NULL},
	{"AEAD with INTEG none",   IKE, 0, GCM20, "1 aes-256-gcm-16 prf-sha2-384 no-integ dh-20", "1 aes-256-gcm-16/prf-sha2-384/dh-20"},
	{"ML-KEM",                 IKE, 0, GCM20 " ke1-768 no-ke1", "1 " GCM20 " ke1-768", "1 aes-256-gcm-16/prf-sha2-384/dh-20/ke1-ml-kem-768"},
	{"ML-KEM left out",        IKE, 0, GCM20 " ke1-768 no-ke1", "2 " GCM20, "2 aes-256-gcm-16/prf-sha2-384/dh-20"},
	{"ML-KEM stripped",        IKE, 0, GCM20 " ke1-768", "1 " GCM20, NULL},
	{"ML-KEM never offered",   IKE, 0, GCM20, "1 " GCM20 " ke1-768", NULL},
	{"two of ADDKE1",          IKE, 0, GCM20 " ke1-768 ke1-512", "1 " GCM20 " ke1-768 ke1-512", NULL},
	{"first child, ADDKE1",    ESP, 1, "aes-256-gcm-16 dh-20 ke1-768", "1 aes-256-gcm-16 no-esn ke1-768", NULL},
	{"a PRF short",            IKE, 0, GCM20, "1 aes-256-gcm-16 dh-20", NULL},
	{"type of its own",        IKE, 0, GCM20, "1 " GCM20 " type-9-1", NULL},
	{"type 255",               IKE, 0, GCM20, "1 " GCM20 " type-255-1 type-255-1", NULL},
	{"ESP",                    ESP, 0, "aes-256-gcm-16 esn dh-20", "1 aes-256-gcm-16 dh-20 esn", "1 aes-256-gcm-16/dh-20/esn"},
	{"ESP both ESN",           ESP, 0, "aes-256-gcm-16 esn no-esn", "1 aes-256-gcm-16 esn no-esn", NULL},
	{"ESP without ESN",        ESP, 0, "aes-256-gcm-16", "1 aes-256-gcm-16", "1 aes-256-gcm-16"},
	{"ESP, PFS left out",      ESP, 0, "aes-256-gcm-16 dh-20", "1 aes-256-gcm-16 no-esn", NULL},
	{"first child",            ESP, 1, "aes-256-gcm-16 dh-20", "1 aes-256-gcm-16 no-esn", "1 aes-256-gcm-16"},
	{"first child, group none",ESP, 1, "aes-256-gcm-16 dh-20", "1 aes-256-gcm-16 no-dh no-esn", "1 aes-256-gcm-16"},
	{"first child with a group",ESP,1, "aes-256-gcm-16 dh-20", "1 aes-256-gcm-16 dh-20 no-esn", NULL},
	{"AH",                     ESP, 0, "aes-256-gcm-16", "1 ah aes-256-gcm-16 no-esn", NULL},
};

static const struct {
	uint8_t protocol;
	const char *ours, *offer, *want;
} explanations[] = {
	{IKE, "aes-256-gcm-16 prf-sha2-256 dh-19 aes-256-gcm-16 prf-sha2-256 dh-20",
	 "1 3des sha1 prf-sha1 dh-2;2 aes-256-gcm-16 prf-sha1 dh-14",
	 "closest offer 2: differs in PRF: they sha1, we sha2-256; DH: they 14, we 19,20"},
	{IKE, GCM20, "1 aes-128-gcm-16 prf-sha2-384 dh-20", "closest offer 1: differs in encryption: they aes-128-gcm-16, we aes-256-gcm-16"},
	{IKE, GCM20, "1 aes-gcm-16 prf-sha2-384 dh-20", "closest offer 1: differs in encryption: they aes-gcm-16(bad key length), we aes-256-gcm-16"},
	{IKE, GCM20, "1 aes-256-gcm-16 sha2-256 prf-sha2-384 dh-20", "closest offer 1: differs in integrity: they sha2-256, we none"},
	{IKE, CBC14, "1 aes-256-cbc prf-sha2-256 dh-14", "closest offer 1: differs in integrity: they none, we sha2-256"},
	{IKE, GCM20, "1 aes-256-gcm-16 bad-attr prf-sha2-384 dh-20", "closest offer 1: differs in encryption: they aes-256-gcm-16(unknown attribute), we aes-256-gcm-16"},
	{IKE, GCM20, "1 " GCM20 " type-13-35", "closest offer 1: it holds transform type 13, which is not supported here"},
	{IKE, GCM20, "1 " GCM20 " ke1-512", "closest offer 1: differs in additional key exchange 1: they ml-kem-512, we none"},
	{IKE, GCM20 " ke1-768", "1 " GCM20, "closest offer 1: differs in additional key exchange 1: they none, we ml-kem-768"},
	{IKE, GCM20, "1 spi=4 " GCM20, "closest offer 1: its SPI or its set of transform types is not valid for the protocol"},
	{IKE, GCM20, "1 esp " GCM20, "none of the 1 offers is for IKE"},
	{IKE, GCM20, "1 " GCM20, "closest offer 1: no difference"},
	{ESP, "aes-256-gcm-16 dh-20 esn", "1 aes-256-gcm-16 no-esn", "closest offer 1: differs in DH: they none, we 20; ESN: they no, we yes"},
	{ESP, "aes-256-gcm-16 sha2-256", "1 aes-128-cbc sha2-256 no-esn", "closest offer 1: differs in encryption: they aes-128-cbc, we aes-256-gcm-16"},
	{ESP, "aes-256-gcm-16 sha2-256", "1 aes-128-cbc sha1 no-esn", "closest offer 1: differs in encryption: they aes-128-cbc, we aes-256-gcm-16; integrity: they sha1, we none"},
	{ESP, "aes-256-cbc sha2-256", "1 aes-128-gcm-16 no-esn", "closest offer 1: differs in encryption: they aes-128-gcm-16, we aes-256-cbc"},
	{ESP, "aes-256-gcm-16", "1 chacha no-esn;2 ah sha2-256 no-esn", "closest offer 1: differs in encryption: they chacha20-poly1305, we aes-256-gcm-16"},
};
/* clang-format on */

static void expect(const char *name, const char *want, enum ike_err err, const struct ike_suite *s,
		   const struct ike_proposal *p)
{
	char got[128] = "nothing", text[IKE_SUITE_STRLEN];

	if (err == IKE_OK)
		snprintf(got, sizeof(got), "%u %s", p->number, ike_suite_format(s, text));
	else
		assert_int_equal(err, IKE_ERR_NO_PROPOSAL);
	if (strcmp(got, want ? want : "nothing") != 0)
		fail_msg("%s: %s, want %s", name, got, want ? want : "nothing");
}

/* Requirements: RFC7296-2.7-one, RFC7296-3.3-aead, RFC7296-3.3.5-key-length */
static void select_cases(void **state)
{
	static struct ike_msg msg;

	(void)state;
	for (size_t i = 0; i < N_OF(selections); i++) {
		const struct ike_algs ours = offer_algs(selections[i].ours);
		struct ike_suite out = {0};
		const struct ike_proposal *p = NULL;
		enum ike_err err;

		offer_parse(selections[i].offer, selections[i].protocol, &msg);
		err = ike_proposal_select(&msg.sa, selections[i].protocol, &ours,
					  selections[i].skip_ke, &out, &p);
		expect(selections[i].name, selections[i].want, err, &out, p);
	}
}

#define GROUPS                                                                                     \
	"aes-256-gcm-16 prf-sha2-384 dh-20 aes-256-gcm-16 prf-sha2-384 dh-31 "                     \
	"aes-128-gcm-16 prf-sha2-384 dh-19"

/* The group of the KE payload counts among suites that differ in nothing else. */
static void group_cases(void **state)
{
	static const struct {
		const char *name;
		uint8_t protocol;
		const char *ours, *offer;
		uint16_t group;
		const char *want;
	} cases[] = {
		{"ours is the peer's", IKE, GROUPS, "1 aes-256-gcm-16 prf-sha2-384 dh-31 dh-20", 20,
		 "1 aes-256-gcm-16/prf-sha2-384/dh-20"},
		{"the peer's", IKE, GROUPS, "1 aes-256-gcm-16 prf-sha2-384 dh-31 dh-20", 31,
		 "1 aes-256-gcm-16/prf-sha2-384/dh-31"},
		{"in another proposal", IKE, GROUPS,
		 "1 aes-256-gcm-16 prf-sha2-384 dh-20;2 aes-256-gcm-16 prf-sha2-384 dh-31", 31,
		 "2 aes-256-gcm-16/prf-sha2-384/dh-31"},
		{"not offered", IKE, GROUPS, "1 aes-256-gcm-16 prf-sha2-384 dh-20", 31,
		 "1 aes-256-gcm-16/prf-sha2-384/dh-20"},
		{"not ours", IKE, GROUPS, "1 aes-256-gcm-16 prf-sha2-384 dh-20 dh-14", 14,
		 "1 aes-256-gcm-16/prf-sha2-384/dh-20"},
		{"with a worse cipher only", IKE, GROUPS,
		 "1 aes-256-gcm-16 prf-sha2-384 dh-20;2 aes-128-gcm-16 prf-sha2-384 dh-19", 19,
		 "1 aes-256-gcm-16/prf-sha2-384/dh-20"},
		{"no KE payload", ESP, "aes-256-gcm-16 dh-20 no-dh esn",
		 "1 aes-256-gcm-16 dh-20 no-dh esn", 0, "1 aes-256-gcm-16/dh-20/esn"},
		{"PFS that the peer came for", ESP, "aes-256-gcm-16 no-dh dh-20 esn",
		 "1 aes-256-gcm-16 dh-20 no-dh esn", 20, "1 aes-256-gcm-16/dh-20/esn"},
		{"nothing in common", IKE, GROUPS, "1 aes-256-cbc sha2-256 prf-sha2-384 dh-20", 20,
		 NULL},
	};
	static struct ike_msg msg;

	(void)state;
	for (size_t i = 0; i < N_OF(cases); i++) {
		const struct ike_algs ours = offer_algs(cases[i].ours);
		struct ike_suite out = {0};
		const struct ike_proposal *p = NULL;
		enum ike_err err;

		offer_parse(cases[i].offer, cases[i].protocol, &msg);
		err = ike_proposal_select_ke(&msg.sa, cases[i].protocol, &ours, cases[i].group,
					     &out, &p);
		expect(cases[i].name, cases[i].want, err, &out, p);
	}
}

/* Requirements: RFC7296-2.7-one, RFC7296-2.7-offered */
static void check_cases(void **state)
{
	static struct ike_msg msg;

	(void)state;
	for (size_t i = 0; i < N_OF(answers); i++) {
		const struct ike_algs offered = offer_algs(answers[i].offered);
		struct ike_suite out = {0};
		const struct ike_proposal *p = NULL;
		enum ike_err err;

		offer_parse(answers[i].answer, answers[i].protocol, &msg);
		err = ike_proposal_check(&msg.sa, answers[i].protocol, &offered, answers[i].skip_ke,
					 &out, &p);
		expect(answers[i].name, answers[i].want, err, &out, p);
	}
	/* An SA payload that is not there at all. */
	memset(&msg, 0, sizeof(msg));
	assert_int_equal(ike_proposal_check(&msg.sa, IKE, &(struct ike_algs){0}, false,
					    &(struct ike_suite){0},
					    &(const struct ike_proposal *){NULL}),
			 IKE_ERR_NO_PROPOSAL);
}

static void explain_cases(void **state)
{
	static struct ike_msg msg;

	(void)state;
	for (size_t i = 0; i < N_OF(explanations); i++) {
		const struct ike_algs ours = offer_algs(explanations[i].ours);
		struct ike_difference diff;

		offer_parse(explanations[i].offer, explanations[i].protocol, &msg);
		ike_proposal_compare(&msg.sa, explanations[i].protocol, &ours, &diff);
		assert_string_equal(diff.text, explanations[i].want);
	}
}

/* CVE-2014-9221's field: every number of every type in an offer, with and without a key length. */
/* Requirements: CVE-2014-9221, RFC7296-2.13-fixed-prf */
static void every_number(void **state)
{
	static struct ike_msg msg;
	const struct ike_algs ours = offer_algs(GCM20 " aes-256-cbc chacha sha2-256 dh-14 dh-32 "
						      "ke1-768 ke1-20 no-ke1 ke2-1024 no-ke2");

	(void)state;
	for (uint8_t type = 1; type <= 8; type++) {
		for (unsigned id = 0; id < 65536; id++) {
			struct ike_transform *t;
			const struct ike_proposal *p;
			struct ike_suite s;

			if (id == 0)
				offer_parse("1 " GCM20, IKE, &msg);
			t = &msg.sa.proposals[0].transforms[msg.sa.proposals[0].n_transforms - 1];
			if (id == 0) {
				msg.sa.proposals[0].n_transforms++;
				t++;
			}
			*t = (struct ike_transform){type, (uint16_t)id, 0, false};
			if (ike_proposal_select(&msg.sa, IKE, &ours, false, &s, &p) == IKE_OK)
				assert_true(ike_algs_permit(&ours, &s));
			else
				assert_true(type == IKE_TRANSFORM_INTEG ||
					    type >= IKE_TRANSFORM_ESN);
			/* RFC 7296 3.3.5: any key length but the three of AES is no AES. */
			if (type != IKE_TRANSFORM_ENCR)
				continue;
			*t = (struct ike_transform){1, IKE_ENCR_AES_CBC, (uint16_t)id, false};
			assert_int_equal(ike_transform_usable(t),
					 id == 128 || id == 192 || id == 256);
			t->id = IKE_ENCR_CHACHA20_POLY1305;
			assert_int_equal(ike_transform_usable(t), id == 0);
		}
	}
}

static void suite_facts(void **state)
{
	static const struct {
		struct ike_suite s;
		size_t key_size;
		const char *text;
	} facts[] = {
		{{20, 256, 6, 0, 20, 0}, 36, "aes-256-gcm-16/prf-sha2-384/dh-20"},
		{{20, 128, 0, 0, 0, 1}, 20, "aes-128-gcm-16/esn"},
		{{12, 256, 0, 14, 14, 0}, 32, "aes-256-cbc/sha2-512/dh-14"},
		{{12, 192, 2, 2, 2, 0}, 24, "aes-192-cbc/sha1/prf-sha1/dh-2"},
		{{18, 192, 0, 0, 0, 0}, 28, "aes-192-gcm-8"},
		{{19, 128, 0, 0, 0, 0}, 20, "aes-128-gcm-12"},
		{{21, 256, 0, 0, 0, 0}, 36, "aes-256-gmac"},
		{{28, 0, 7, 0, 31, 0, {36, 0, 37}},
		 36,
		 "chacha20-poly1305/prf-sha2-512/dh-31/ke1-ml-kem-768/ke3-ml-kem-1024"},
		{{3, 0, 1, 1, 1, 0}, 0, "encr-3/integ-1/prf-1/dh-1"},
	};

	(void)state;
	for (size_t i = 0; i < N_OF(facts); i++) {
		char text[IKE_SUITE_STRLEN];

		assert_int_equal(ike_suite_encr_key_size(&facts[i].s), facts[i].key_size);
		assert_string_equal(ike_suite_format(&facts[i].s, text), facts[i].text);
	}
	for (unsigned bits = 0; bits <= 512; bits++)
		for (unsigned encr = 0; encr < 32; encr++) {
			const bool aes = encr == 12 || (encr >= 18 && encr <= 21);

			assert_int_equal(
				ike_encr_key_bits_ok((enum ike_encr)encr, (uint16_t)bits),
				encr == 28 ? bits == 0
					   : aes && (bits == 128 || bits == 192 || bits == 256));
		}
	assert_false(ike_encr_key_bits_ok((enum ike_encr)3, 128));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(select_cases), cmocka_unit_test(group_cases),
		cmocka_unit_test(check_cases),  cmocka_unit_test(explain_cases),
		cmocka_unit_test(every_number), cmocka_unit_test(suite_facts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
