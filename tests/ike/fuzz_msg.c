/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target of the message parsers: any bytes give an error or a message that rebuilds. Each input
 * is tried as a datagram, as one whose length field is right (or the fuzzer would spend its time on
 * that field), and as the inside of an SK payload whose first type is the input's first byte.
 * corpus/msg is replayed by the unit tests.
 */
#include <stdlib.h>
#include <string.h>
#include "base/secret.h"
#include "ike/proposal.h"
#include "ike/sk.h"
#include "tests/ike/util.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

/* What a handler would do with a message that parsed. */
static void use(const struct ike_msg *msg)
{
	static const struct ike_suite ours[] = {
		{IKE_ENCR_AES_GCM_16, 256, IKE_PRF_HMAC_SHA2_384, 0, IKE_DH_ECP_384, 0},
		{IKE_ENCR_AES_CBC, 128, 0, IKE_INTEG_HMAC_SHA2_256_128, 0, IKE_ESN_YES},
	};
	const struct ike_algs algs = ike_algs_of(ours, 2);
	struct ike_difference diff;

	ike_proposal_compare(&msg->sa, IKE_PROTO_IKE, &algs, &diff);
	must(diff.text[0] && memchr(diff.text, 0, sizeof(diff.text)));
	ike_proposal_compare(&msg->sa, IKE_PROTO_ESP, &algs, &diff);
	must(diff.text[0] && memchr(diff.text, 0, sizeof(diff.text)));
	must(msg->n_notifies <= IKE_MSG_MAX_NOTIFIES && msg->n_deletes <= IKE_MSG_MAX_DELETES);
	must(rebuilds(msg));
}

static void outer(const uint8_t *data, size_t size)
{
	static struct ike_msg msg;

	if (ike_msg_parse(data, size, &msg) != IKE_OK)
		return;
	must(!(msg.present & IKE_HAS_SK) || msg.sk_offset + 4 <= size);
	use(&msg);
}

static void open_it(const uint8_t *data, size_t size)
{
	static const struct ike_suite cbc = {IKE_ENCR_AES_CBC,      128,
					     IKE_PRF_HMAC_SHA2_256, IKE_INTEG_HMAC_SHA2_256_128,
					     IKE_DH_ECP_256,        0};
	static const struct ike_suite aead = {IKE_ENCR_AES_GCM_16, 128, IKE_PRF_HMAC_SHA2_256, 0,
					      IKE_DH_ECP_256,      0};
	static struct secret *e, *a, *e_aead;
	static struct test_random r;
	static struct ike_crypto c;
	static struct ike_msg msg;
	static uint8_t plain[65536];
	struct rd inner;

	if (!e) {
		must(secret_init());
		e = secret_new(16);
		a = secret_new(32);
		e_aead = secret_new(20);
		c = test_crypto(&r, 1);
	}
	if (size > sizeof(plain) || ike_msg_parse(data, size, &msg) != IKE_OK)
		return;
	/* Nobody forges an ICV by chance. */
	must(ike_sk_open(&c, &cbc, (struct ike_sk_dir){e, a}, data, size, &msg, plain,
			 sizeof(plain), &inner) != IKE_OK);
	must(ike_sk_open(&c, &aead, (struct ike_sk_dir){e_aead, NULL}, data, size, &msg, plain,
			 sizeof(plain), &inner) != IKE_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ike_msg msg;
	uint8_t *copy;

	outer(data, size);
	if (size == 0)
		return 0;
	memset(&msg, 0, sizeof(msg));
	if (ike_msg_parse_inner(data[0], rd_of(data + 1, size - 1), &msg) == IKE_OK)
		use(&msg);
	if (size < IKE_HEADER_SIZE)
		return 0;
	copy = malloc(size);
	must(copy != NULL);
	memcpy(copy, data, size);
	copy[24] = (uint8_t)(size >> 24);
	copy[25] = (uint8_t)(size >> 16);
	copy[26] = (uint8_t)(size >> 8);
	copy[27] = (uint8_t)size;
	outer(copy, size);
	open_it(copy, size);
	free(copy);
	return 0;
}
