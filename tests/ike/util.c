/* SPDX-License-Identifier: Apache-2.0 */
/* util: hex, the repeatable generator, sample messages. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/wr.h"
#include "ike/payload.h"
#include "tests/ike/util.h"

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

size_t unhex(const char *hex, uint8_t *out, size_t size)
{
	size_t n = 0;

	while (*hex) {
		if (*hex == ' ') {
			hex++;
			continue;
		}
		if (digit(hex[0]) < 0 || digit(hex[1]) < 0 || n == size) {
			fprintf(stderr, "bad hex at: %s\n", hex);
			abort();
		}
		out[n++] = (uint8_t)(digit(hex[0]) << 4 | digit(hex[1]));
		hex += 2;
	}
	return n;
}

/* splitmix64 */
bool test_random(void *ctx, uint8_t *out, size_t size)
{
	struct test_random *r = ctx;

	for (size_t i = 0; i < size; i++) {
		uint64_t z = (r->state += 0x9e3779b97f4a7c15u);

		z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
		z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
		out[i] = (uint8_t)((z ^ (z >> 31)) >> 24);
	}
	return true;
}

struct ike_crypto test_crypto(struct test_random *r, uint64_t seed)
{
	struct ike_crypto c;

	r->state = seed;
	ike_crypto_openssl(&c, test_random, r);
	return c;
}

struct ike_header test_header(uint8_t exchange, uint8_t flags, uint32_t message_id)
{
	return (struct ike_header){.spi_i = 0x0123456789abcdef,
				   .spi_r = 0xfedcba9876543210,
				   .version = 0x20,
				   .exchange = exchange,
				   .flags = flags,
				   .message_id = message_id};
}

static const struct ike_suite ike_suites[] = {
	{IKE_ENCR_AES_GCM_16, 256, IKE_PRF_HMAC_SHA2_384, 0, IKE_DH_ECP_384, 0},
	{IKE_ENCR_AES_GCM_16, 256, IKE_PRF_HMAC_SHA2_256, 0, IKE_DH_ECP_384, 0},
	{IKE_ENCR_AES_GCM_16, 256, IKE_PRF_HMAC_SHA2_384, 0, IKE_DH_CURVE25519, 0},
	{IKE_ENCR_AES_GCM_16, 256, IKE_PRF_HMAC_SHA2_256, 0, IKE_DH_CURVE25519, 0},
	{IKE_ENCR_AES_CBC, 128, IKE_PRF_HMAC_SHA2_256, IKE_INTEG_HMAC_SHA2_256_128,
	 IKE_DH_MODP_2048, 0},
};

static const struct ike_suite esp_suites[] = {
	{IKE_ENCR_AES_GCM_16, 256, 0, 0, IKE_DH_ECP_256, IKE_ESN_YES},
	{IKE_ENCR_AES_GCM_16, 256, 0, 0, IKE_DH_ECP_256, IKE_ESN_NO},
	{IKE_ENCR_AES_CBC, 256, 0, IKE_INTEG_HMAC_SHA2_512_256, IKE_DH_ECP_256, IKE_ESN_NO},
};

static const struct ike_ts selectors[] = {
	{{IP_V4, {10, 1, 0, 0}}, {IP_V4, {10, 1, 0, 255}}, 0, 65535, 0},
	{{IP_V4, {10, 2, 0, 7}}, {IP_V4, {10, 2, 0, 7}}, 80, 443, 6},
	{{IP_V4, {10, 3, 0, 0}}, {IP_V4, {10, 3, 0, 9}}, 65535, 0, 17},
	{{IP_V6, {0x20, 1, 0xd, 0xb8}}, {IP_V6, {0x20, 1, 0xd, 0xb8, 1}}, 0, 65535, 0},
};

static void sample_init(struct ike_builder *b, bool cookie)
{
	static const uint8_t bytes[256] = {0xab, 1, 2, 3};
	const struct ike_algs ike = ike_algs_of(ike_suites, 5);

	if (cookie)
		ike_build_notify(b, IKE_PROTO_NONE, NULL, 0, IKE_N_COOKIE, bytes, 40);
	ike_build_sa(b, IKE_PROTO_IKE, NULL, 0, &ike, false, IKE_DH_NONE);
	ike_build_ke(b, IKE_DH_MODP_2048, bytes, 256);
	ike_build_nonce(b, bytes, 32);
	ike_build_notify(b, IKE_PROTO_NONE, NULL, 0, IKE_N_NAT_DETECTION_SOURCE_IP, bytes, 20);
	ike_build_notify(b, IKE_PROTO_NONE, NULL, 0, IKE_N_NAT_DETECTION_DESTINATION_IP, bytes, 20);
	ike_build_vendor(b, "twinbore", 8);
}

static void sample_auth(struct ike_builder *b)
{
	static const struct ike_id idi = {IKE_ID_FQDN, 14, "gw-a.example.n"};
	static const struct ike_id idr = {IKE_ID_IPV6_ADDR, 16, {0x20, 1, 0xd, 0xb8}};
	static const uint8_t spi[4] = {1, 2, 3, 4}, mac[48] = {9};
	const struct ike_algs esp = ike_algs_of(esp_suites, 3);

	ike_build_id(b, IKE_PL_IDI, &idi);
	ike_build_id(b, IKE_PL_IDR, &idr);
	ike_build_auth(b, 2, mac, sizeof(mac));
	ike_build_notify(b, IKE_PROTO_NONE, NULL, 0, IKE_N_INITIAL_CONTACT, NULL, 0);
	ike_build_sa(b, IKE_PROTO_ESP, spi, sizeof(spi), &esp, false, IKE_DH_NONE);
	ike_build_ts(b, IKE_PL_TSI, selectors, 4);
	ike_build_ts(b, IKE_PL_TSR, selectors, 1);
}

static void sample_rekey(struct ike_builder *b)
{
	static const uint8_t spi[8] = {1, 2, 3, 4, 5, 6, 7, 8}, bytes[132] = {0x5a};

	ike_build_notify(b, IKE_PROTO_ESP, spi, 4, IKE_N_REKEY_SA, NULL, 0);
	ike_build_sa_chosen(b, 2, IKE_PROTO_IKE, spi, sizeof(spi), &ike_suites[4]);
	ike_build_nonce(b, bytes, 48);
	ike_build_ke(b, IKE_DH_ECP_521, bytes, 132);
}

static void sample_delete(struct ike_builder *b)
{
	static const uint8_t spis[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};

	ike_build_delete(b, IKE_PROTO_ESP, 4, spis, 3);
	ike_build_delete(b, IKE_PROTO_IKE, 0, NULL, 0);
}

/* Payloads that we accept but never build. */
static void sample_opaque(struct ike_builder *b)
{
	static const uint8_t types[] = {IKE_PL_CERT,  IKE_PL_CERTREQ, IKE_PL_CP,
					IKE_PL_EAP,   IKE_PL_CERT,    200,
					IKE_PL_VENDOR};

	for (size_t i = 0; i < sizeof(types); i++) {
		const size_t at = ike_payload_open(b, types[i]);

		/* An encoding and, for CERTREQ, one hash. */
		wr_bytes(&b->w, "\4abcdefghijklmnopqrst", 21);
		ike_payload_close(b, at);
	}
}

static void sample_sk(struct ike_builder *b)
{
	const size_t at = ike_payload_open(b, IKE_PL_SK);

	wr_zero(&b->w, 64);
	ike_payload_close(b, at);
}

size_t sample(size_t n, uint8_t out[SAMPLE_MAX])
{
	static const uint8_t exchanges[] = {IKE_SA_INIT,         IKE_SA_INIT,       IKE_AUTH,
					    IKE_CREATE_CHILD_SA, IKE_INFORMATIONAL, IKE_AUTH,
					    IKE_INFORMATIONAL,   IKE_INFORMATIONAL};
	struct ike_builder b;
	struct ike_header h;

	if (n >= sizeof(exchanges))
		return 0;
	h = test_header(exchanges[n], n % 2 ? IKE_FLAG_RESPONSE : IKE_FLAG_INITIATOR, (uint32_t)n);
	ike_build_open(&b, out, SAMPLE_MAX, &h);
	switch (n) {
	case 0: sample_init(&b, false); break;
	case 1: sample_init(&b, true); break;
	case 2: sample_auth(&b); break;
	case 3: sample_rekey(&b); break;
	case 4: sample_delete(&b); break;
	case 5: sample_opaque(&b); break;
	case 6: sample_sk(&b); break;
	case 7: break; /* no payload at all */
	}
	return ike_build_close(&b);
}
