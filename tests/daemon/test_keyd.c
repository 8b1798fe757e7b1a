/* SPDX-License-Identifier: Apache-2.0 */
/* keyd: requests from a hostile ike process, PSK files' texts, the store. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "daemon/keyd_auth.h"
#include "ike/keys.h"

static struct ike_crypto crypto;
static struct keyd_store store;

static const char psk_a[] = "a pre-shared key of site A";

static void no_problem(void *ctx, const char *text)
{
	fail_msg("%s", text);
}

static bool deliver(struct keyd_store *s, const char *tunnel, uint32_t kind, uint32_t index,
		    const void *data, size_t size)
{
	char text[KEYD_PROBLEM_MAX];
	struct sb why = sb_of(text, sizeof(text));
	struct ipc_secret head = {.kind = kind, .index = index};

	strncpy(head.tunnel, tunnel, sizeof(head.tunnel) - 1);
	return keyd_take(keyd_store_pending(s, tunnel), &head, data, size, NULL, &why);
}

static int setup(void **state)
{
	const struct ipc_index index = {.name = "a"};

	if (!secret_init())
		return -1;
	ike_crypto_openssl(&crypto, NULL, NULL);
	if (!deliver(&store, "a", IPC_SECRET_PSK, 0, psk_a, strlen(psk_a)))
		return -1;
	keyd_store_commit(&store, (const uint8_t *)&index, 1, 0, no_problem, NULL);
	return keyd_store_get(&store, "a") ? 0 : -1;
}

static int teardown(void **state)
{
	keyd_store_fini(&store);
	return 0;
}

struct request {
	struct ipc_auth head;
	uint8_t rest[KEYD_OCTETS_MAX + 512];
};

static size_t make(struct request *r, const char *tunnel, uint32_t prf, size_t octets,
		   const uint8_t *auth, size_t auth_size)
{
	memset(r, 0, sizeof(*r));
	strncpy(r->head.tunnel, tunnel, sizeof(r->head.tunnel) - 1);
	r->head.method = KEYD_METHOD_PSK;
	r->head.prf = prf;
	r->head.octets_size = (uint32_t)octets;
	r->head.auth_size = (uint32_t)auth_size;
	for (size_t i = 0; i < octets; i++)
		r->rest[i] = (uint8_t)(i + 1);
	if (auth_size)
		memcpy(r->rest + octets, auth, auth_size);
	return sizeof(r->head) + octets + auth_size;
}

static struct ipc_auth_result ask(bool verify, const struct request *r, size_t size, uint8_t *auth)
{
	/* Exactly as large as the request: a sanitizer sees any read beyond. */
	uint8_t *copy = malloc(size ? size : 1);
	struct keyd_reply *reply = calloc(1, sizeof(*reply));
	struct ipc_auth_result result;

	if (size)
		memcpy(copy, r, size);
	memset(auth, 0xee, IKE_PRF_MAX);
	keyd_answer(&store, &crypto, verify ? IPC_AUTH_VERIFY : IPC_AUTH_SIGN, copy, size, 0,
		    reply);
	free(copy);
	result = reply->head;
	/* A refusal may bring a text, and nothing else. */
	assert_int_equal(reply->size, result.auth_size + result.text_size);
	memcpy(auth, reply->tail, result.auth_size);
	free(reply);
	return result;
}

static bool untouched(const uint8_t *auth)
{
	for (size_t i = 0; i < IKE_PRF_MAX; i++) {
		if (auth[i] != 0xee)
			return false;
	}
	return true;
}

static void signs_and_verifies(void **state)
{
	static const struct {
		uint32_t prf;
		size_t size;
	} prfs[] = {{5, 32}, {6, 48}, {7, 64}};

	for (size_t i = 0; i < sizeof(prfs) / sizeof(prfs[0]); i++) {
		struct request r;
		uint8_t auth[IKE_PRF_MAX], expected[IKE_PRF_MAX], scratch[IKE_PRF_MAX];
		size_t size = make(&r, "a", prfs[i].prf, 500, NULL, 0);
		struct ipc_auth_result result = ask(false, &r, size, auth);

		assert_int_equal(result.ok, 1);
		assert_int_equal(result.auth_size, prfs[i].size);
		assert_true(ike_auth_psk(&crypto, (enum ike_prf)prfs[i].prf, (const uint8_t *)psk_a,
					 strlen(psk_a), r.rest, 500, expected));
		assert_memory_equal(auth, expected, prfs[i].size);

		size = make(&r, "a", prfs[i].prf, 500, expected, prfs[i].size);
		result = ask(true, &r, size, scratch);
		assert_int_equal(result.ok, 1);
		assert_int_equal(result.auth_size, 0);
		assert_true(untouched(scratch));

		/* Each bit counts; the right value never comes back. */
		for (size_t bit = 0; bit < 8 * prfs[i].size; bit++) {
			uint8_t wrong[IKE_PRF_MAX];

			memcpy(wrong, expected, sizeof(wrong));
			wrong[bit / 8] ^= (uint8_t)(1u << bit % 8);
			size = make(&r, "a", prfs[i].prf, 500, wrong, prfs[i].size);
			result = ask(true, &r, size, scratch);
			assert_int_equal(result.ok, 0);
			assert_int_equal(result.auth_size, 0);
			assert_true(untouched(scratch));
		}
		/* A shorter value that agrees as far as it goes is no proof. */
		size = make(&r, "a", prfs[i].prf, 500, expected, prfs[i].size - 1);
		assert_int_equal(ask(true, &r, size, scratch).ok, 0);
		size = make(&r, "a", prfs[i].prf, 500, expected, 1);
		assert_int_equal(ask(true, &r, size, scratch).ok, 0);
	}
}

static void every_length_gets_an_answer(void **state)
{
	uint8_t auth[IKE_PRF_MAX] = {0};
	struct request r;
	const size_t size = make(&r, "a", 5, 100, auth, 32);

	/* Truncated or extended anywhere. */
	for (size_t n = 0; n <= size + 8; n++) {
		if (n != size)
			assert_int_equal(ask(true, &r, n, auth).ok, 0);
		assert_int_equal(ask(false, &r, n, auth).ok, 0);
		assert_true(untouched(auth));
	}
}

static void hostile_fields(void **state)
{
	static const uint32_t values[] = {0,     1,          3,          31,         32,
					  64,    65,         4096,       4097,       65535,
					  65536, 0x7fffffff, 0x80000000, 0xffffffdf, UINT32_MAX};
	const size_t n = sizeof(values) / sizeof(values[0]);

	for (size_t field = 0; field < 4; field++) {
		for (size_t i = 0; i < n; i++) {
			uint8_t auth[IKE_PRF_MAX];
			struct request r;
			const size_t size = make(&r, "a", 5, 200, NULL, 0);
			uint32_t *const fields[] = {&r.head.method, &r.head.prf,
						    &r.head.octets_size, &r.head.auth_size};
			const uint32_t was = *fields[field];

			*fields[field] = values[i];
			/* Method 0: the tunnel's own. */
			assert_int_equal(ask(false, &r, size, auth).ok,
					 values[i] == was || (field == 0 && values[i] == 0));
			assert_int_equal(ask(true, &r, size, auth).ok, 0);
		}
	}
	/* octets_size + auth_size that wrap around to the right sum. */
	for (uint32_t d = 1; d < 4; d++) {
		uint8_t auth[IKE_PRF_MAX];
		struct request r;
		const size_t size = make(&r, "a", 5, 200, NULL, 0);

		r.head.octets_size = 200 + d;
		r.head.auth_size = 0u - d;
		assert_int_equal(ask(true, &r, size, auth).ok, 0);
	}
}

static void names(void **state)
{
	uint8_t auth[IKE_PRF_MAX];
	struct request r;
	size_t size = make(&r, "b", 5, 100, NULL, 0);

	assert_int_equal(ask(false, &r, size, auth).ok, 0);
	size = make(&r, "", 5, 100, NULL, 0);
	assert_int_equal(ask(false, &r, size, auth).ok, 0);
	size = make(&r, "a", 5, 100, NULL, 0);
	memset(r.head.tunnel, 'a', sizeof(r.head.tunnel)); /* no NUL */
	assert_int_equal(ask(false, &r, size, auth).ok, 0);
}

static void largest_request(void **state)
{
	uint8_t auth[IKE_PRF_MAX];
	struct request r;
	size_t size = make(&r, "a", 7, KEYD_OCTETS_MAX, NULL, 0);

	assert_int_equal(ask(false, &r, size, auth).ok, 1);
	size = make(&r, "a", 7, KEYD_OCTETS_MAX + 1, NULL, 0);
	assert_int_equal(ask(false, &r, size, auth).ok, 0);
}

static void psk_texts(void **state)
{
#define E8  "01234567"
#define E64 E8 E8 E8 E8 E8 E8 E8 E8
	static const struct {
		const char *text;
		size_t size; /* 0: strlen */
		size_t length;
	} cases[] = {
		{"", 0, 0},
		{"\n", 0, 0},
		{"1234567", 0, 0},
		{"1234567\n", 0, 0},
		{E8, 0, 8},
		{E8 "\n", 0, 8},
		{E8 "\r\n", 0, 8},
		{E8 "\n\n", 0, 0},
		{E8 "\nmore", 0, 0},
		{"with a blank", 0, 12},
		{" 12345678", 0, 0},
		{"12345678 ", 0, 0},
		{"1234\t5678", 0, 0},
		{"1234\x7f"
		 "5678",
		 0, 0},
		{"1234\xc3\xa4"
		 "5678",
		 0, 0},
		{"1234\0"
		 "5678",
		 9, 0},
		{"!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", 0, 32},
		{E64, 0, 64},
		{E64 E64, 0, 128},
		{E64 E64 "\r\n", 0, 128},
		{E64 E64 "x", 0, 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const size_t size = cases[i].size ? cases[i].size : strlen(cases[i].text);
		const char *problem = NULL;

		if (keyd_psk_check((const uint8_t *)cases[i].text, size, &problem) !=
		    cases[i].length)
			fail_msg("case %zu", i);
		assert_int_equal(problem == NULL, cases[i].length > 0);
	}
}

static void store_follows_the_configuration(void **state)
{
	struct keyd_store s = {0};
	struct ipc_index *all = calloc(3000, sizeof(*all));
	struct ipc_index keep[3] = {{"t7", 0}, {"nobody", 1}, {"t2000", 2}};

	for (int i = 0; i < 3000; i++) {
		snprintf(all[i].name, sizeof(all[i].name), "t%d", i);
		assert_true(deliver(&s, all[i].name, IPC_SECRET_PSK, 0, "0123456789", 10));
	}
	assert_null(keyd_store_get(&s, "t7")); /* not before the configuration */
	keyd_store_commit(&s, (const uint8_t *)all, 3000, 0, no_problem, NULL);
	assert_int_equal(s.n, 3000);
	assert_true(deliver(&s, "t7", IPC_SECRET_PSK, 0, "replaced", 8));
	memset(keep[1].name, 'x', sizeof(keep[1].name)); /* no NUL: not read beyond */
	keyd_store_commit(&s, (const uint8_t *)keep, 3, 0, no_problem, NULL);
	assert_int_equal(s.n, 2);
	assert_int_equal(secret_size(keyd_store_get(&s, "t7")->psk[0]), 8);
	/* Nothing new came for it: the old stays. */
	assert_int_equal(secret_size(keyd_store_get(&s, "t2000")->psk[0]), 10);
	assert_null(keyd_store_get(&s, "t8"));
	keyd_store_commit(&s, NULL, 0, 0, no_problem, NULL);
	assert_int_equal(s.n, 0);
	keyd_store_fini(&s);
	free(all);
}

/* Old and new key are both good while a rotation lasts; the asker says which one signs. */
static void several_keys(void **state)
{
	static const char old_key[] = "the old key of site A", new_key[] = "the new key of site A";
	uint8_t expected[IKE_PRF_MAX], auth[IKE_PRF_MAX];
	struct request r;
	size_t size;

	assert_true(deliver(&store, "r", IPC_SECRET_PSK, 0, new_key, strlen(new_key)));
	assert_true(deliver(&store, "r", IPC_SECRET_PSK, 1, old_key, strlen(old_key)));
	{
		const struct ipc_index both[2] = {{.name = "a"}, {.name = "r"}};

		keyd_store_commit(&store, (const uint8_t *)both, 2, 0, no_problem, NULL);
	}
	for (uint32_t key = 0; key < 3; key++) {
		size = make(&r, "r", 5, 300, NULL, 0);
		r.head.key = key;
		assert_int_equal(ask(false, &r, size, auth).ok, key < 2);
		if (key == 2)
			continue;
		assert_true(ike_auth_psk(&crypto, IKE_PRF_HMAC_SHA2_256,
					 (const uint8_t *)(key ? old_key : new_key), 21, r.rest,
					 300, expected));
		assert_memory_equal(auth, expected, 32);
		size = make(&r, "r", 5, 300, expected, 32);
		assert_int_equal(ask(true, &r, size, auth).ok, 1);
		assert_int_equal(ask(true, &r, size, auth).key, key);
		/* Another kind of proof than the configuration's is none. */
		r.head.kind = IPC_AUTH_BY_CERTIFICATE;
		assert_int_equal(ask(true, &r, size, auth).ok, 0);
		r.head.kind = IPC_AUTH_BY_RAW_KEY;
		assert_int_equal(ask(true, &r, size, auth).ok, 0);
	}
	size = make(&r, "r", 5, 300, NULL, 0);
	r.head.key = UINT32_MAX;
	assert_int_equal(ask(false, &r, size, auth).ok, 0);
}

/* A file that is not good leaves the tunnel as it was, all of it. */
static void bad_delivery_changes_nothing(void **state)
{
	const struct ipc_index index = {.name = "x"};
	struct keyd_store s = {0};

	assert_true(deliver(&s, "x", IPC_SECRET_PSK, 0, "0123456789", 10));
	keyd_store_commit(&s, (const uint8_t *)&index, 1, 0, no_problem, NULL);
	assert_true(deliver(&s, "x", IPC_SECRET_PSK, 0, "another key", 11));
	assert_false(deliver(&s, "x", IPC_SECRET_PSK, 1, "short", 5));
	keyd_store_commit(&s, (const uint8_t *)&index, 1, 0, no_problem, NULL);
	assert_memory_equal(secret_data(keyd_store_get(&s, "x")->psk[0]), "0123456789", 10);
	assert_null(keyd_store_get(&s, "x")->psk[1]);
	/* The next delivery starts afresh. */
	assert_true(deliver(&s, "x", IPC_SECRET_PSK, 0, "another key", 11));
	keyd_store_commit(&s, (const uint8_t *)&index, 1, 0, no_problem, NULL);
	assert_int_equal(secret_size(keyd_store_get(&s, "x")->psk[0]), 11);
	assert_false(deliver(&s, "x", IPC_SECRET_PSK, KEYD_MAX_INDEX, "0123456789", 10));
	assert_false(deliver(&s, "x", IPC_SECRET_KIND_END, 0, "0123456789", 10));
	keyd_store_fini(&s);
}

/* RFC 7296 5: an active attacker can search for a key that is short; people are told. */
/* Requirements: RFC7296-5-psk */
static void psk_weakness(void **state)
{
	static const struct {
		const char *text;
		bool weak;
	} cases[] = {
		{"01234567", true},
		{"0123456789abcdefghi", true},
		{"0123456789abcdefghi\n", true},
		{"0123456789abcdefghij", false},
		{"0123456789abcdefghij\n", false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct keyd_keys *k = calloc(1, sizeof(*k));
		const struct ipc_secret head = {.kind = IPC_SECRET_PSK};
		char text[KEYD_PROBLEM_MAX];
		struct sb why = sb_of(text, sizeof(text));
		const char *weak;

		assert_true(keyd_take(k, &head, (const uint8_t *)cases[i].text,
				      strlen(cases[i].text), &weak, &why));
		assert_int_equal(weak != NULL, cases[i].weak);
		keyd_keys_free(k);
	}
}

static void ppk_texts(void **state)
{
	static const struct {
		const char *text;
		size_t length; /* 0: refused */
		bool weak;
	} cases[] = {
		{"0x00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF\n", 32, false},
		{"0x0011223344556677\n", 8, true},
		{"0x00112233445566\n", 0, false},
		{"0x001122334455667\n", 0, false},
		{"0x00112233445566gg\n", 0, false},
		{"0123456789abcdef0123456789abcdef", 32, false},
		{"0123456789", 10, true},
		{"0123", 0, false},
		{"", 0, false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct keyd_keys *k = calloc(1, sizeof(*k));
		const struct ipc_secret head = {.kind = IPC_SECRET_PPK};
		char text[KEYD_PROBLEM_MAX];
		struct sb why = sb_of(text, sizeof(text));
		const char *weak;
		const bool ok = keyd_take(k, &head, (const uint8_t *)cases[i].text,
					  strlen(cases[i].text), &weak, &why);

		assert_int_equal(ok, cases[i].length > 0);
		assert_int_equal(!ok, text[0] != '\0');
		if (ok)
			assert_int_equal(secret_size(k->ppk), cases[i].length);
		assert_int_equal(weak != NULL, cases[i].weak);
		keyd_keys_free(k);
	}
}

/* RFC 8784 3, computed by hand: the first block of prf+ is prf(PPK, key | 0x01). */
static void ppk_mixing(void **state)
{
	static const char ppk[] = "a post-quantum key of 32 bytes..";
	const struct ipc_index both[2] = {{.name = "a"}, {.name = "p"}};
	struct keyd_reply *reply = calloc(1, sizeof(*reply));
	uint8_t expected[IKE_PRF_MAX];
	struct request r;
	size_t size = make(&r, "p", 5, 96, NULL, 0);

	assert_true(deliver(&store, "p", IPC_SECRET_PPK, 0, ppk, strlen(ppk)));
	keyd_store_commit(&store, (const uint8_t *)both, 2, 0, no_problem, NULL);
	keyd_answer(&store, &crypto, IPC_PPK_MIX, (const uint8_t *)&r, size, 0, reply);
	assert_int_equal(reply->head.ok, 1);
	assert_int_equal(reply->head.auth_size, 96);
	assert_int_equal(reply->size, 96);
	for (size_t i = 0; i < 3; i++) {
		const struct ike_iov in[2] = {{r.rest + 32 * i, 32}, {"\x01", 1}};

		assert_true(crypto.prf(crypto.ctx, IKE_PRF_HMAC_SHA2_256, (const uint8_t *)ppk,
				       strlen(ppk), in, 2, expected));
		assert_memory_equal(reply->tail + 32 * i, expected, 32);
	}
	/* Another length, a tunnel without one. */
	size = make(&r, "p", 5, 95, NULL, 0);
	keyd_answer(&store, &crypto, IPC_PPK_MIX, (const uint8_t *)&r, size, 0, reply);
	assert_int_equal(reply->head.ok, 0);
	size = make(&r, "a", 5, 96, NULL, 0);
	keyd_answer(&store, &crypto, IPC_PPK_MIX, (const uint8_t *)&r, size, 0, reply);
	assert_int_equal(reply->head.ok, 0);
	assert_int_equal(reply->size, reply->head.text_size);
	free(reply);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(signs_and_verifies),
		cmocka_unit_test(every_length_gets_an_answer),
		cmocka_unit_test(hostile_fields),
		cmocka_unit_test(names),
		cmocka_unit_test(largest_request),
		cmocka_unit_test(psk_texts),
		cmocka_unit_test(store_follows_the_configuration),
		cmocka_unit_test(several_keys),
		cmocka_unit_test(bad_delivery_changes_nothing),
		cmocka_unit_test(psk_weakness),
		cmocka_unit_test(ppk_texts),
		cmocka_unit_test(ppk_mixing),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
