/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the walker and of each payload's parser: one chain of payloads a line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/ike/util.h"

/* A selector and a nonce of the smallest size, to keep the lines short. */
#define TS4   "07 00 0010 0000 ffff 0a000000 0a0000ff"
#define TS6   "08 00 0028 0000 ffff 20010db8000000000000000000000000 20010db80000000000000000000000ff"
#define NONCE "000102030405060708090a0b0c0d0e0f"
/* A transform, last of its proposal, and one with a key length. */
#define T_LAST "00 00 0008 04 00 0013"
#define T_KEY  "03 00 000c 01 00 0014 800e 0100"

/* clang-format off */
static const struct {
	const char *name;
	uint8_t first;
	const char *hex; /* the chain: next flags length body ... */
	enum ike_err want;
} cases[] = {
	/* the chain itself */
	{"nothing",                          0, "", IKE_OK},
	{"bytes though no payload",          0, "00", IKE_ERR_SYNTAX},
	{"payload promised, none there",    41, "", IKE_ERR_TRUNCATED},
	{"generic header cut at 1",         41, "00", IKE_ERR_TRUNCATED},
	{"generic header cut at 3",         41, "00 00 00", IKE_ERR_TRUNCATED},
	{"payload length 0",                43, "00 00 0000", IKE_ERR_SYNTAX},
	{"payload length 3",                43, "00 00 0003", IKE_ERR_SYNTAX},
	{"payload length 4: empty vendor",  43, "00 00 0004", IKE_OK},
	{"payload longer than the chain",   43, "00 00 0006 aa", IKE_ERR_TRUNCATED},
	{"payload length 65535",            43, "00 00 ffff aa", IKE_ERR_TRUNCATED},
	{"trailing byte",                   43, "00 00 0005 aa bb", IKE_ERR_SYNTAX},
	{"trailing payload that none names",43, "00 00 0005 aa 00 00 0005 bb", IKE_ERR_SYNTAX},
	{"critical bit on a known payload", 43, "00 80 0005 aa", IKE_OK},
	{"reserved bits set",               43, "00 7f 0005 aa", IKE_OK},
	{"unknown payload, not critical",   99, "00 00 0005 aa", IKE_OK},
	{"unknown payload, critical",       99, "00 80 0005 aa", IKE_ERR_CRITICAL},
	{"unknown, critical, second",       43, "63 00 0004 00 80 0005 aa", IKE_ERR_CRITICAL},
	{"unknown twice",                   99, "63 00 0005 aa 00 00 0005 bb", IKE_OK},
	{"IKEv1's SA payload (1), critical", 1, "00 80 0008 00000000", IKE_ERR_CRITICAL},
	{"any order: nonce, vendor, KE",    40, "2b 00 0014" NONCE "22 00 0004 00 00 000a 001f 0000 aabb", IKE_OK},
	{"fragment 1 of 1 (RFC 7383 2.5)",  53, "21 00 0009 00010001 aa", IKE_OK},
	{"fragment 3 of 3",                 53, "00 00 0009 00030003 aa", IKE_OK},
	{"fragment 0",                      53, "21 00 0009 00000001 aa", IKE_ERR_SYNTAX},
	{"fragment 0 of 0",                 53, "21 00 0009 00000000 aa", IKE_ERR_SYNTAX},
	{"fragment 2 of 1",                 53, "00 00 0009 00020001 aa", IKE_ERR_SYNTAX},
	{"fragment 65535 of 65534",         53, "00 00 0008 fffffffe", IKE_ERR_SYNTAX},
	{"fragment without a total",        53, "21 00 0006 0001", IKE_ERR_TRUNCATED},
	{"fragment without numbers",        53, "21 00 0004", IKE_ERR_TRUNCATED},
	{"fragment, then more",             53, "2b 00 0008 00010001 00000004", IKE_ERR_SYNTAX},
	/* SK */
	{"SK alone",                        46, "21 00 0008 00000000", IKE_OK},
	{"SK empty",                        46, "00 00 0004", IKE_OK},
	{"SK after another",                43, "2e 00 0004 21 00 0008 00000000", IKE_OK},
	{"SK not last",                     46, "2b 00 0008 00000000 00 00 0004", IKE_ERR_SYNTAX},
	{"SK cut",                          46, "21 00 0009 00000000", IKE_ERR_TRUNCATED},
	/* payloads that may stand once */
	{"two nonces",                      40, "28 00 0014" NONCE "00 00 0014" NONCE, IKE_ERR_DUPLICATE},
	{"two KE",                          34, "22 00 000a 001f 0000 aabb 00 00 000a 001f 0000 aabb", IKE_ERR_DUPLICATE},
	{"two SA",                          33, "21 00 0014 00 00 0010 01 01 00 01" T_LAST "00 00 0014 00 00 0010 01 01 00 01" T_LAST, IKE_ERR_DUPLICATE},
	{"two IDi",                         35, "23 00 0009 0b000000 aa 00 00 0009 0b000000 aa", IKE_ERR_DUPLICATE},
	{"IDi and IDr",                     35, "24 00 0009 0b000000 aa 00 00 0009 0b000000 bb", IKE_OK},
	{"two AUTH",                        39, "27 00 0009 02000000 aa 00 00 0009 02000000 aa", IKE_ERR_DUPLICATE},
	{"two TSi",                         44, "2c 00 0018 01000000" TS4 "00 00 0018 01000000" TS4, IKE_ERR_DUPLICATE},
	{"two EAP",                         48, "30 00 0008 00000000 00 00 0008 00000000", IKE_ERR_DUPLICATE},
	{"two notifies",                    41, "29 00 0008 00004000 00 00 0008 00004000", IKE_OK},
	/* nonce */
	{"nonce of 15",                     40, "00 00 0013 000102030405060708090a0b0c0d0e", IKE_ERR_NONCE},
	{"nonce of 16",                     40, "00 00 0014" NONCE, IKE_OK},
	{"nonce of 0",                      40, "00 00 0004", IKE_ERR_NONCE},
	/* KE */
	{"KE without a value",              34, "00 00 0008 001f 0000", IKE_ERR_TRUNCATED},
	{"KE cut in its group",             34, "00 00 0005 00", IKE_ERR_TRUNCATED},
	{"KE of one byte",                  34, "00 00 0009 001f 0000 aa", IKE_OK},
	{"KE reserved bits",                34, "00 00 0009 001f ffff aa", IKE_OK},
	/* ID */
	{"ID without data",                 35, "00 00 0008 02000000", IKE_ERR_TRUNCATED},
	{"ID IPv4 of 4",                    35, "00 00 000c 01000000 c0000201", IKE_OK},
	{"ID IPv4 of 5",                    35, "00 00 000d 01000000 c000020100", IKE_ERR_SYNTAX},
	{"ID IPv6 of 4",                    35, "00 00 000c 05000000 c0000201", IKE_ERR_SYNTAX},
	{"ID of an unknown type",           36, "00 00 0009 c9000000 aa", IKE_OK},
	{"ID reserved bits",                36, "00 00 0009 0bffffff aa", IKE_OK},
	/* AUTH */
	{"AUTH without data",               39, "00 00 0008 02000000", IKE_ERR_TRUNCATED},
	{"AUTH",                            39, "00 00 0009 02000000 aa", IKE_OK},
	/* notify */
	{"notify cut",                      41, "00 00 0007 000040", IKE_ERR_TRUNCATED},
	{"notify, SPI size 4",              41, "00 00 000c 03044009 01020304", IKE_OK},
	{"notify, SPI longer than payload", 41, "00 00 000b 03044009 010203", IKE_ERR_TRUNCATED},
	{"notify, SPI size 255",            41, "00 00 000c 03ff4009 01020304", IKE_ERR_TRUNCATED},
	{"notify, SPI size 5",              41, "00 00 000d 03054009 0102030405", IKE_ERR_SYNTAX},
	{"notify, ESP with SPI size 8",     41, "00 00 0010 03084009 0102030405060708", IKE_ERR_SYNTAX},
	{"notify, IKE with SPI size 8",     41, "00 00 0010 01084000 0102030405060708", IKE_OK},
	/* delete */
	{"delete IKE",                      42, "00 00 0008 01 00 0000", IKE_OK},
	{"delete IKE with an SPI",          42, "00 00 0010 01 08 0001 0102030405060708", IKE_ERR_SYNTAX},
	{"delete two ESP",                  42, "00 00 0010 03 04 0002 0102030405060708", IKE_OK},
	{"delete, one SPI too few",         42, "00 00 000c 03 04 0002 01020304", IKE_ERR_TRUNCATED},
	{"delete, one SPI too many",        42, "00 00 0010 03 04 0001 0102030405060708", IKE_ERR_SYNTAX},
	{"delete, 65535 SPIs of 255",       42, "00 00 000c 07 ff ffff 01020304", IKE_ERR_TRUNCATED},
	{"delete ESP, SPI size 8",          42, "00 00 0010 03 08 0001 0102030405060708", IKE_ERR_SYNTAX},
	{"delete ESP, SPI size 0",          42, "00 00 0008 03 00 0001", IKE_ERR_SYNTAX},
	{"delete cut",                      42, "00 00 0007 030400", IKE_ERR_TRUNCATED},
	/* TS */
	{"TS IPv4",                         44, "00 00 0018 01000000" TS4, IKE_OK},
	{"TS IPv6",                         45, "00 00 0030 01000000" TS6, IKE_OK},
	{"TS of both",                      45, "00 00 0040 02000000" TS4 TS6, IKE_OK},
	{"TS of none",                      44, "00 00 0008 00000000", IKE_ERR_SYNTAX},
	{"TS, count too high",              44, "00 00 0018 02000000" TS4, IKE_ERR_TRUNCATED},
	{"TS, count too low",               44, "00 00 0028 01000000" TS4 TS4, IKE_ERR_SYNTAX},
	{"TS, length too short for v4",     44, "00 00 0017 01000000 07 00 000f 0000 ffff 0a000000 0a0000", IKE_ERR_TRUNCATED},
	{"TS, length too long for v4",      44, "00 00 0019 01000000 07 00 0011 0000 ffff 0a000000 0a0000ff 00", IKE_ERR_SYNTAX},
	{"TS, length 3",                    44, "00 00 000c 01000000 07 00 0003", IKE_ERR_SYNTAX},
	{"TS, addresses backwards",         44, "00 00 0018 01000000 07 00 0010 0000 ffff 0a000001 0a000000", IKE_ERR_SYNTAX},
	{"TS, ports backwards",             44, "00 00 0018 01000000 07 06 0010 0051 0050 0a000000 0a0000ff", IKE_ERR_SYNTAX},
	{"TS, opaque ports",                44, "00 00 0018 01000000 07 06 0010 ffff 0000 0a000000 0a0000ff", IKE_OK},
	{"TS, unknown type",                44, "00 00 0010 01000000 09 00 0008 01020304", IKE_OK},
	{"TS, unknown type then v4",        44, "00 00 0020 02000000 09 00 0008 01020304" TS4, IKE_OK},
	/* SA */
	{"SA without a proposal",           33, "00 00 0004", IKE_ERR_TRUNCATED},
	{"SA, no transforms",               33, "00 00 000c 00 00 0008 01 01 00 00", IKE_OK},
	{"SA, one transform",               33, "00 00 0014 00 00 0010 01 01 00 01" T_LAST, IKE_OK},
	{"SA, one with a key length",       33, "00 00 0020 00 00 001c 01 01 00 02" T_KEY T_LAST, IKE_OK},
	{"SA, transform count high",        33, "00 00 0014 00 00 0010 01 01 00 02" T_LAST, IKE_ERR_SYNTAX},
	{"SA, transform count low",         33, "00 00 0014 00 00 0010 01 01 00 00" T_LAST, IKE_ERR_SYNTAX},
	{"SA, last proposal says more",     33, "00 00 0014 02 00 0010 01 01 00 01" T_LAST, IKE_ERR_SYNTAX},
	{"SA, first of two says last",      33, "00 00 0024 00 00 0010 01 01 00 01" T_LAST "00 00 0010 02 01 00 01" T_LAST, IKE_ERR_SYNTAX},
	{"SA, two proposals",               33, "00 00 0024 02 00 0010 01 01 00 01" T_LAST "00 00 0010 02 01 00 01" T_LAST, IKE_OK},
	{"SA, proposal flag 1",             33, "00 00 0024 01 00 0010 01 01 00 01" T_LAST "00 00 0010 02 01 00 01" T_LAST, IKE_ERR_SYNTAX},
	{"SA, last transform says more",    33, "00 00 0014 00 00 0010 01 01 00 01 03 00 0008 04 00 0013", IKE_ERR_SYNTAX},
	{"SA, first transform says last",   33, "00 00 001c 00 00 0018 01 01 00 02 00 00 0008 04 00 0013" T_LAST, IKE_ERR_SYNTAX},
	{"SA, reserved bytes",              33, "00 00 0014 00 ff 0010 01 01 00 01 00 ff 0008 04 ff 0013", IKE_OK},
	{"SA, proposal length 7",           33, "00 00 000c 00 00 0007 01 01 00 00", IKE_ERR_SYNTAX},
	{"SA, proposal beyond payload",     33, "00 00 000c 00 00 0009 01 01 00 00", IKE_ERR_TRUNCATED},
	{"SA, SPI beyond proposal",         33, "00 00 000c 00 00 0008 01 03 04 00", IKE_ERR_TRUNCATED},
	{"SA, SPI",                         33, "00 00 0018 00 00 0014 01 03 04 01 01020304" T_LAST, IKE_OK},
	{"SA, transform length 7",          33, "00 00 0014 00 00 0010 01 01 00 01 00 00 0007 04 00 0013", IKE_ERR_SYNTAX},
	{"SA, transform beyond proposal",   33, "00 00 0014 00 00 0010 01 01 00 01 00 00 0009 04 00 0013", IKE_ERR_TRUNCATED},
	{"SA, half an attribute",           33, "00 00 0016 00 00 0012 01 01 00 01 00 00 000a 01 00 0014 800e", IKE_ERR_TRUNCATED},
	{"SA, long attribute",              33, "00 00 001a 00 00 0016 01 01 00 01 00 00 000e 01 00 0014 0099 0002 aabb", IKE_OK},
	{"SA, long attribute beyond",       33, "00 00 001a 00 00 0016 01 01 00 01 00 00 000e 01 00 0014 0099 0003 aabb", IKE_ERR_TRUNCATED},
	/* certificates and requests for them */
	{"CERT empty",                      37, "00 00 0004", IKE_ERR_TRUNCATED},
	{"CERT of one byte",                37, "00 00 0005 04", IKE_ERR_TRUNCATED},
	{"CERT",                            37, "00 00 0006 04 aa", IKE_OK},
	{"CERT, hash and URL",              37, "00 00 0006 0c aa", IKE_OK},
	{"CERT, as many as may be",         37, "25 00 0006 04 aa 25 00 0006 04 aa 25 00 0006 04 aa 25 00 0006 04 aa 25 00 0006 04 aa 25 00 0006 04 aa 25 00 0006 04 aa 25 00 0006 04 aa 25 00 0006 04 aa 25 00 0006 04 aa 25 00 0006 04 aa 00 00 0006 04 aa", IKE_OK},
	{"CERT, one more",                  37, "25 00 0006 04 aa 25 00 0006 04 aa 25 00 0006 04 aa 25 00 0006 04 aa 25 00 0006 04 aa 25 00 0006 04 aa 25 00 0006 04 aa 25 00 0006 04 aa 25 00 0006 04 aa 25 00 0006 04 aa 25 00 0006 04 aa 25 00 0006 04 aa 00 00 0006 04 aa", IKE_ERR_SYNTAX},
	{"CERTREQ empty",                   38, "00 00 0004", IKE_ERR_TRUNCATED},
	{"CERTREQ without an authority",    38, "00 00 0005 04", IKE_OK},
	{"CERTREQ, one hash",               38, "00 00 0019 04" "000102030405060708090a0b0c0d0e0f10111213", IKE_OK},
	{"CERTREQ, one hash and a byte",    38, "00 00 001a 04" "000102030405060708090a0b0c0d0e0f10111213" "aa", IKE_ERR_SYNTAX},
	{"CERTREQ, 19 bytes",               38, "00 00 0018 04 000102030405060708090a0b0c0d0e0f101112", IKE_ERR_SYNTAX},
	{"CERTREQ, raw public key",         38, "00 00 0005 0f", IKE_OK},
	{"CERTREQ, a kind we have none of", 38, "00 00 0007 01 aabb", IKE_OK},
	{"CERTREQ five times",              38, "26 00 0005 04 26 00 0005 04 26 00 0005 04 26 00 0005 04 00 00 0005 04", IKE_OK},
	/* payloads that are only noted */
	{"CP of three bytes",               47, "00 00 0007 010000", IKE_ERR_TRUNCATED},
};
/* clang-format on */

/* A datagram with a right header around `chain`, in a buffer of exactly its size. */
static uint8_t *datagram(uint8_t first, const char *chain, size_t *size)
{
	uint8_t body[2048];
	const size_t n = unhex(chain, body, sizeof(body));
	struct ike_header h = test_header(IKE_SA_INIT, IKE_FLAG_INITIATOR, 0);
	uint8_t *data = malloc(IKE_HEADER_SIZE + n);
	struct wr w = wr_of(data, IKE_HEADER_SIZE + n);

	assert_non_null(data);
	h.next_payload = first;
	h.length = (uint32_t)(IKE_HEADER_SIZE + n);
	ike_header_build(&w, &h);
	wr_bytes(&w, body, n);
	assert_true(wr_ok(&w));
	*size = w.n;
	return data;
}

/*
 * Requirements: RFC7296-2.5-critical, RFC7296-2.5-critical-known, RFC7296-2.5-reserved,
 * RFC7296-2.5-order, RFC7383-2.5-numbers
 */
static void chains(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t size;
		uint8_t *data = datagram(cases[i].first, cases[i].hex, &size);
		struct ike_msg msg;
		const enum ike_err err = ike_msg_parse(data, size, &msg);

		if (err != cases[i].want)
			fail_msg("%s: %s, want %s", cases[i].name, ike_err_desc(err)->name,
				 ike_err_desc(cases[i].want)->name);
		if (err == IKE_OK && !rebuilds(&msg))
			fail_msg("%s: does not rebuild", cases[i].name);
		free(data);
	}
}

/* The same chains inside SK mean the same, but for SK itself. */
static void chains_inner(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t body[2048];
		const size_t n = unhex(cases[i].hex, body, sizeof(body));
		uint8_t *exact = malloc(n + 1);
		struct ike_msg msg = {0};
		enum ike_err err;

		assert_non_null(exact);
		memcpy(exact, body, n);
		err = ike_msg_parse_inner(cases[i].first, rd_of(exact, n), &msg);
		if (strncmp(cases[i].name, "SK", 2) == 0 || cases[i].first == IKE_PL_SKF)
			assert_true(err == IKE_ERR_SYNTAX || err == IKE_ERR_TRUNCATED);
		else
			assert_int_equal(err, cases[i].want);
		free(exact);
	}
}

static void what_was_parsed(void **state)
{
	struct ike_msg m;
	size_t size;
	uint8_t *data;

	(void)state;
	data = datagram(44,
			"2d 00 0020 02000000 09 00 0008 01020304" TS4 "29 00 0030 01000000" TS6
			"2a 00 000e 03044009 01020304 aabb 2e 00 000c 03 04 0001 05060708"
			"23 00 0008 11111111",
			&size);
	assert_int_equal(ike_msg_parse(data, size, &m), IKE_OK);
	assert_int_equal(m.present, IKE_HAS_TSI | IKE_HAS_TSR | IKE_HAS_SK);
	assert_int_equal(m.tsi.n, 1);
	assert_int_equal(m.tsi.n_skipped, 1);
	assert_int_equal(m.tsr.ts[0].first.family, IP_V6);
	assert_int_equal(m.tsr.ts[0].last.b[15], 0xff);
	assert_int_equal(m.n_notifies, 1);
	assert_int_equal(m.notifies[0].spi[3], 4);
	assert_int_equal(m.notifies[0].data.size, 2);
	assert_ptr_equal(ike_msg_notify(&m, IKE_N_REKEY_SA), &m.notifies[0]);
	assert_null(ike_msg_notify(&m, IKE_N_COOKIE));
	assert_null(ike_msg_error(&m));
	assert_int_equal(m.n_deletes, 1);
	assert_int_equal(m.deletes[0].spis[0], 5);
	assert_int_equal(m.sk_next_payload, IKE_PL_IDI);
	assert_int_equal(m.sk_offset, size - 8);
	free(data);

	data = datagram(41, "29 00 0008 00004000 29 00 000a 00000011 0014 00 00 0008 0000000e",
			&size);
	assert_int_equal(ike_msg_parse(data, size, &m), IKE_OK);
	assert_int_equal(m.n_notifies, 3);
	assert_ptr_equal(ike_msg_error(&m), &m.notifies[1]);
	free(data);

	data = datagram(99, "00 80 0004", &size);
	assert_int_equal(ike_msg_parse(data, size, &m), IKE_ERR_CRITICAL);
	assert_int_equal(m.critical_type, 99);
	free(data);
}

/* Key Length once, and not 0; anything else makes the transform one that cannot be chosen. */
static void attributes(void **state)
{
	static const struct {
		const char *hex; /* the attributes of one AES-GCM transform */
		uint16_t key_bits;
		bool unknown;
	} sets[] = {
		{"", 0, false},
		{"800e 0100", 256, false},
		{"800e 0000", 0, true},
		{"800e 0100 800e 0080", 256, true},
		{"800e 0100 800e 0100", 256, true},
		{"000e 0002 0100", 0, true}, /* of the long form */
		{"8099 0001 800e 0080", 128, true},
		{"800e 0080 0099 0000", 128, true},
		{"000d 0001 aa 800e 0080", 128, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
		uint8_t buf[64], data[32];
		const size_t n = unhex(sets[i].hex, data, sizeof(data));
		struct wr w = wr_of(buf, sizeof(buf));
		struct ike_msg m = {0};

		wr_u16(&w, 0);
		wr_u16(&w, (uint16_t)(20 + n));
		wr_u16(&w, 0);
		wr_u16(&w, (uint16_t)(16 + n));
		wr_u32(&w, 0x01010001);
		wr_u16(&w, 0);
		wr_u16(&w, (uint16_t)(8 + n));
		wr_u32(&w, 0x01000014);
		wr_bytes(&w, data, n);
		assert_true(wr_ok(&w));
		assert_int_equal(ike_msg_parse_inner(IKE_PL_SA, rd_of(buf, w.n), &m), IKE_OK);
		assert_int_equal(m.sa.proposals[0].transforms[0].key_bits, sets[i].key_bits);
		assert_int_equal(m.sa.proposals[0].transforms[0].unknown_attribute,
				 sets[i].unknown);
	}
}

static void inner_completes_outer(void **state)
{
	uint8_t nonce[20] = {0, 0, 0, 20};
	struct ike_msg m;
	size_t size;
	uint8_t *data = datagram(46, "28 00 0008 11111111", &size);

	(void)state;
	assert_int_equal(ike_msg_parse(data, size, &m), IKE_OK);
	assert_int_equal(ike_msg_parse_inner(m.sk_next_payload, rd_of(nonce, 20), &m), IKE_OK);
	assert_int_equal(m.present, IKE_HAS_SK | IKE_HAS_NONCE);
	assert_int_equal(m.h.exchange, IKE_SA_INIT);
	assert_int_equal(m.sk_offset, IKE_HEADER_SIZE);
	free(data);
}

/* Every payload type, critical and not, with bodies of 0 to 64 zero and 0xff bytes. */
/* Requirements: CVE-2015-3991 */
static void all_payload_types(void **state)
{
	(void)state;
	for (unsigned type = 0; type < 256; type++) {
		const bool known = (type >= 33 && type <= 48) || type == 53 || type == 54;

		for (unsigned n = 0; n <= 64; n++) {
			for (unsigned variant = 0; variant < 4; variant++) {
				uint8_t *chain = malloc(4 + n);
				struct ike_msg m = {0};
				enum ike_err err;

				assert_non_null(chain);
				memset(chain, variant & 1 ? 0xff : 0, 4 + n);
				chain[0] = IKE_PL_NONE;
				chain[1] = variant & 2 ? 0x80 : 0;
				chain[2] = 0;
				chain[3] = (uint8_t)(4 + n);
				err = ike_msg_parse_inner((uint8_t)type, rd_of(chain, 4 + n), &m);
				if (type == 0)
					assert_int_equal(err, IKE_ERR_SYNTAX);
				else if (!known)
					assert_int_equal(err,
							 variant & 2 ? IKE_ERR_CRITICAL : IKE_OK);
				else
					assert_int_not_equal(err, IKE_ERR_CRITICAL);
				free(chain);
			}
		}
	}
}

/* CVE-2014-9221's field: every group number passes the parser, few are known. */
/* Requirements: CVE-2014-9221 */
static void all_group_numbers(void **state)
{
	uint8_t chain[] = {0, 0, 0, 9, 0, 0, 0, 0, 0x42};
	unsigned n_known = 0;

	(void)state;
	for (unsigned dh = 0; dh < 65536; dh++) {
		struct ike_msg m;
		const struct ike_dh_desc *d = ike_dh_desc((uint16_t)dh);

		m.present = 0;
		chain[4] = (uint8_t)(dh >> 8);
		chain[5] = (uint8_t)dh;
		assert_int_equal(ike_msg_parse_inner(IKE_PL_KE, rd_of(chain, 9), &m), IKE_OK);
		assert_int_equal(m.ke.dh, dh);
		if (!d)
			continue;
		n_known++;
		assert_int_equal(d->id, dh);
		assert_true(d->public_size <= IKE_DH_MAX && d->response_size <= IKE_DH_MAX &&
			    d->shared_size <= IKE_DH_MAX);
	}
	assert_int_equal(n_known, 18);
}

/* Bounds of what is kept: one more is an error, never a write beyond. */
static void bounded_lists(void **state)
{
	static const struct {
		uint8_t type, body[20];
		size_t body_size, max;
	} lists[] = {
		{IKE_PL_NOTIFY, {0, 0, 0x40, 0}, 4, IKE_MSG_MAX_NOTIFIES},
		{IKE_PL_DELETE, {3, 4, 0, 0}, 4, IKE_MSG_MAX_DELETES},
	};

	(void)state;
	for (size_t l = 0; l < 2; l++) {
		for (size_t n = 1; n <= lists[l].max + 2; n++) {
			uint8_t buf[1024];
			struct wr w = wr_of(buf, sizeof(buf));
			struct ike_msg m = {0};

			for (size_t i = 0; i < n; i++) {
				wr_u8(&w, i + 1 < n ? lists[l].type : 0);
				wr_u8(&w, 0);
				wr_u16(&w, (uint16_t)(4 + lists[l].body_size));
				wr_bytes(&w, lists[l].body, lists[l].body_size);
			}
			assert_true(wr_ok(&w));
			assert_int_equal(ike_msg_parse_inner(lists[l].type, rd_of(buf, w.n), &m),
					 n <= lists[l].max ? IKE_OK : IKE_ERR_SYNTAX);
		}
	}
}

static void many_selectors(void **state)
{
	uint8_t buf[8 + 255 * 16] = {0, 0, sizeof(buf) >> 8, sizeof(buf) & 0xff, 255};
	struct ike_msg m = {0};

	(void)state;
	for (size_t i = 0; i < 255; i++)
		unhex(TS4, buf + 8 + 16 * i, 16);
	assert_int_equal(ike_msg_parse_inner(IKE_PL_TSI, rd_of(buf, sizeof(buf)), &m), IKE_OK);
	assert_int_equal(m.tsi.n, IKE_WIRE_MAX_TS);
	assert_int_equal(m.tsi.n_skipped, 255 - IKE_WIRE_MAX_TS);
}

static void many_transforms(void **state)
{
	(void)state;
	for (size_t n = 60; n <= 255; n++) {
		uint8_t buf[4 + 8 + 255 * 8];
		struct wr w = wr_of(buf, sizeof(buf));
		struct ike_msg m = {0};

		wr_u16(&w, 0);
		wr_u16(&w, (uint16_t)(12 + 8 * n));
		wr_u16(&w, 0);
		wr_u16(&w, (uint16_t)(8 + 8 * n));
		wr_u32(&w, (uint32_t)(0x01010000 | n));
		for (size_t i = 0; i < n; i++) {
			wr_u32(&w, i + 1 < n ? 0x03000008 : 0x00000008);
			wr_u32(&w, 0x04000013);
		}
		assert_true(wr_ok(&w));
		assert_int_equal(ike_msg_parse_inner(IKE_PL_SA, rd_of(buf, w.n), &m),
				 n <= IKE_WIRE_MAX_TRANSFORMS ? IKE_OK : IKE_ERR_SYNTAX);
	}
}

static void many_proposals(void **state)
{
	(void)state;
	for (size_t n = 1; n <= 255; n++) {
		uint8_t buf[4 + 255 * 8];
		struct wr w = wr_of(buf, sizeof(buf));
		struct ike_msg m = {0};

		wr_u16(&w, 0);
		wr_u16(&w, (uint16_t)(4 + 8 * n));
		for (size_t i = 0; i < n; i++) {
			wr_u32(&w, i + 1 < n ? 0x02000008 : 0x00000008);
			wr_u32(&w, (uint32_t)((i + 1) << 24 | 0x010000));
		}
		assert_true(wr_ok(&w));
		assert_int_equal(ike_msg_parse_inner(IKE_PL_SA, rd_of(buf, w.n), &m),
				 n <= IKE_WIRE_MAX_PROPOSALS ? IKE_OK : IKE_ERR_SYNTAX);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chains),
		cmocka_unit_test(chains_inner),
		cmocka_unit_test(what_was_parsed),
		cmocka_unit_test(attributes),
		cmocka_unit_test(inner_completes_outer),
		cmocka_unit_test(all_payload_types),
		cmocka_unit_test(all_group_numbers),
		cmocka_unit_test(bounded_lists),
		cmocka_unit_test(many_selectors),
		cmocka_unit_test(many_transforms),
		cmocka_unit_test(many_proposals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
