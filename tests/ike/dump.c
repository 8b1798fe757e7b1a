/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump: writes messages that the product built, for oracle.py to take apart with other software.
 * One JSON object a line: {"kind": "clear", "message": ...} or {"kind": "sealed", keys, ...}. With a
 * folder as argument it writes the clear ones as files there instead: seeds for the fuzzer.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/secret.h"
#include "ike/sk.h"
#include "tests/ike/util.h"

static const struct ike_suite suites[] = {
	{IKE_ENCR_AES_GCM_16, 128, IKE_PRF_HMAC_SHA2_256, 0, IKE_DH_ECP_256, 0},
	{IKE_ENCR_AES_GCM_16, 256, IKE_PRF_HMAC_SHA2_384, 0, IKE_DH_ECP_384, 0},
	{IKE_ENCR_AES_CBC, 128, IKE_PRF_HMAC_SHA2_256, IKE_INTEG_HMAC_SHA2_256_128, IKE_DH_ECP_256,
	 0},
	{IKE_ENCR_AES_CBC, 256, IKE_PRF_HMAC_SHA2_384, IKE_INTEG_HMAC_SHA2_384_192, IKE_DH_ECP_256,
	 0},
	{IKE_ENCR_AES_CBC, 256, IKE_PRF_HMAC_SHA2_512, IKE_INTEG_HMAC_SHA2_512_256, IKE_DH_ECP_256,
	 0},
};

static void hex(const char *name, const void *data, size_t size)
{
	const uint8_t *p = data;

	printf(", \"%s\": \"", name);
	for (size_t i = 0; i < size; i++)
		printf("%02x", p[i]);
	printf("\"");
}

static bool seed(const char *folder, size_t n, const uint8_t *data, size_t size)
{
	char path[4096];
	FILE *f;
	bool ok;

	snprintf(path, sizeof(path), "%s/sample-%zu", folder, n);
	f = fopen(path, "wb");
	ok = f && fwrite(data, 1, size, f) == size;
	return f && fclose(f) == 0 && ok;
}

static bool sealed(const struct ike_crypto *c, struct test_random *r, const struct ike_suite *s,
		   const uint8_t *clear, size_t clear_size)
{
	const struct ike_integ_desc *integ = ike_integ_desc(s->integ);
	struct secret *e = secret_new(ike_suite_encr_key_size(s));
	struct secret *a = integ ? secret_new(integ->key_size) : NULL;
	const uint8_t *inner = clear + IKE_HEADER_SIZE;
	const size_t inner_size = clear_size - IKE_HEADER_SIZE;
	uint8_t out[SAMPLE_MAX + 200];
	uint64_t counter = 5;
	struct ike_header h;
	size_t size;

	test_random(r, secret_data_mut(e), secret_size(e));
	if (a)
		test_random(r, secret_data_mut(a), secret_size(a));
	if (ike_header_parse(clear, clear_size, &h) != IKE_OK)
		return false;
	size = ike_sk_seal(c, s, (struct ike_sk_dir){e, a}, &counter, &h, h.next_payload, inner,
			   inner_size, out, sizeof(out));
	printf("{\"kind\": \"sealed\", \"encr\": %u, \"bits\": %u, \"integ\": %u, \"first\": %u",
	       s->encr, s->encr_key_bits, s->integ, h.next_payload);
	hex("e", secret_data(e), secret_size(e));
	hex("a", a ? secret_data(a) : NULL, secret_size(a));
	hex("inner", inner, inner_size);
	hex("message", out, size);
	printf("}\n");
	secret_free(e);
	secret_free(a);
	return size != 0;
}

int main(int argc, char **argv)
{
	uint8_t data[SAMPLE_MAX];
	struct test_random r;
	struct ike_crypto c;
	size_t size;

	if (!secret_init())
		return 1;
	c = test_crypto(&r, 11);
	for (size_t n = 0; (size = sample(n, data)) != 0; n++) {
		if (argc == 2) {
			if (!seed(argv[1], n, data, size))
				return 1;
			continue;
		}
		printf("{\"kind\": \"clear\"");
		hex("message", data, size);
		printf("}\n");
		for (size_t i = 0; i < sizeof(suites) / sizeof(suites[0]); i++)
			if (!sealed(&c, &r, &suites[i], data, size))
				return 1;
	}
	return 0;
}
