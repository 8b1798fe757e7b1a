/* SPDX-License-Identifier: Apache-2.0 */
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
#include "tests/ike/util.h"

struct word {
	const char *text;
	struct ike_transform t;
};

static const struct word words[] = {
	{"aes-128-gcm-16", {1, 20, 128, false}},
	{"aes-256-gcm-16", {1, 20, 256, false}},
	{"aes-192-gcm-16", {1, 20, 192, false}},
	{"aes-gcm-16", {1, 20, 0, false}},
	{"aes-128-cbc", {1, 12, 128, false}},
	{"aes-256-cbc", {1, 12, 256, false}},
	{"aes-cbc", {1, 12, 0, false}},
	{"3des", {1, 3, 0, false}},
	{"chacha", {1, 28, 0, false}},
	{"aes-256-gcm-8", {1, 18, 256, false}},
	{"aes-256-gcm-12", {1, 19, 256, false}},
	{"aes-192-cbc", {1, 12, 192, false}},
	{"gmac", {1, 21, 256, false}},
	{"null", {1, 11, 0, false}},
	{"prf-sha1", {2, 2, 0, false}},
	{"prf-sha2-256", {2, 5, 0, false}},
	{"prf-sha2-384", {2, 6, 0, false}},
	{"prf-sha2-512", {2, 7, 0, false}},
	{"no-integ", {3, 0, 0, false}},
	{"sha1", {3, 2, 0, false}},
	{"sha2-256", {3, 12, 0, false}},
	{"sha2-384", {3, 13, 0, false}},
	{"sha2-512", {3, 14, 0, false}},
	{"no-dh", {4, 0, 0, false}},
	{"dh-2", {4, 2, 0, false}},
	{"dh-14", {4, 14, 0, false}},
	{"dh-19", {4, 19, 0, false}},
	{"dh-20", {4, 20, 0, false}},
	{"dh-31", {4, 31, 0, false}},
	{"dh-24", {4, 24, 0, false}},
	{"dh-32", {4, 32, 0, false}},
	{"ke1-512", {6, 35, 0, false}},
	{"ke1-768", {6, 36, 0, false}},
	{"ke1-20", {6, 20, 0, false}},
	{"no-ke1", {6, 0, 0, false}},
	{"ke2-768", {7, 36, 0, false}},
	{"ke2-1024", {7, 37, 0, false}},
	{"ke2-20", {7, 20, 0, false}},
	{"no-ke2", {7, 0, 0, false}},
	{"ke3-32", {8, 32, 0, false}},
	{"no-ke3", {8, 0, 0, false}},
	{"esn", {5, 1, 0, false}},
	{"no-esn", {5, 0, 0, false}},
};

static const struct ike_transform *transform_of(const char *word)
{
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(words[i].text, word) == 0)
			return &words[i].t;
	return NULL;
}

struct ike_algs offer_algs(const char *text)
{
	struct ike_algs out = {0};
	char copy[1024], *save = NULL;

	snprintf(copy, sizeof(copy), "%s", text);
	for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
		const struct ike_transform *t = transform_of(w);

		if (!t || t->type >= IKE_N_ALG_LISTS)
			fail_msg("unknown word %s", w);
		assert_true(ike_algs_add(&out, t->type, t->id, t->key_bits));
	}
	return out;
}

/* A builder of its own, since the product's cannot write what is wrong. */
static void proposal_write(struct wr *w, char *text, uint8_t protocol, bool last)
{
	const size_t start = w->n;
	size_t spi_size = protocol == IKE_PROTO_ESP ? 4 : 0, n = 0, count_at, size_at, last_at = 0;
	char *save = NULL, *word = strtok_r(text, " ", &save);
	const int number = atoi(word);
	struct ike_transform ts[80];
	bool bad[80] = {false};
	unsigned type, id, bits;

	while ((word = strtok_r(NULL, " ", &save))) {
		const struct ike_transform *t = transform_of(word);

		if (strcmp(word, "ah") == 0)
			protocol = IKE_PROTO_AH;
		else if (strcmp(word, "esp") == 0)
			protocol = IKE_PROTO_ESP;
		else if (strcmp(word, "ike") == 0)
			protocol = IKE_PROTO_IKE;
		else if (sscanf(word, "spi=%zu", &spi_size) == 1)
			continue;
		else if (strcmp(word, "bad-attr") == 0)
			bad[n - 1] = true;
		else if (sscanf(word, "bits=%u", &bits) == 1)
			ts[n - 1].key_bits = (uint16_t)bits;
		else if (sscanf(word, "type-%u-%u", &type, &id) == 2)
			ts[n++] = (struct ike_transform){(uint8_t)type, (uint16_t)id, 0, false};
		else if (t)
			ts[n++] = *t;
		else
			fail_msg("unknown word %s", word);
	}
	wr_u8(w, last ? 0 : 2);
	wr_u8(w, 0);
	size_at = wr_open16(w);
	wr_u8(w, (uint8_t)number);
	wr_u8(w, protocol);
	wr_u8(w, (uint8_t)spi_size);
	count_at = w->n;
	wr_u8(w, 0);
	wr_zero(w, spi_size);
	for (size_t i = 0; i < n; i++) {
		const size_t t = w->n;
		size_t t_size_at;

		last_at = t;
		wr_u8(w, 3);
		wr_u8(w, 0);
		t_size_at = wr_open16(w);
		wr_u8(w, ts[i].type);
		wr_u8(w, 0);
		wr_u16(w, ts[i].id);
		if (ts[i].key_bits) {
			wr_u16(w, 0x800e);
			wr_u16(w, ts[i].key_bits);
		}
		if (bad[i])
			wr_u32(w, 0x80990001);
		wr_close16(w, t_size_at, t);
	}
	assert_true(wr_ok(w));
	w->buf[count_at] = (uint8_t)n;
	if (n)
		w->buf[last_at] = 0;
	wr_close16(w, size_at, start);
}

void offer_parse(const char *text, uint8_t protocol, struct ike_msg *msg)
{
	static uint8_t buf[8192];
	struct wr w = wr_of(buf, sizeof(buf));
	char copy[2048], *rest = copy, *one;

	snprintf(copy, sizeof(copy), "%s", text);
	wr_u32(&w, 0);
	while ((one = strsep(&rest, ";")))
		proposal_write(&w, one, protocol, rest == NULL);
	wr_patch16(&w, 2, w.n);
	assert_true(wr_ok(&w));
	memset(msg, 0, sizeof(*msg));
	assert_int_equal(ike_msg_parse_inner(IKE_PL_SA, rd_of(buf, w.n), msg), IKE_OK);
}

void offer_build(uint8_t protocol, const struct ike_algs *algs, bool skip_ke, uint16_t group,
		 struct ike_msg *msg)
{
	static const uint8_t spi[4] = {1, 2, 3, 4};
	static uint8_t buf[8192];
	struct ike_builder b;
	uint8_t first;
	size_t size;

	ike_build_open_inner(&b, buf, sizeof(buf));
	ike_build_sa(&b, protocol, spi, protocol == ESP ? 4 : 0, algs, skip_ke, group);
	assert_true(ike_build_close_inner(&b, &size, &first));
	memset(msg, 0, sizeof(*msg));
	assert_int_equal(ike_msg_parse_inner(first, rd_of(buf, size), msg), IKE_OK);
}

void offer_format(const struct ike_sa_payload *sa, char *out, size_t size)
{
	size_t n = 0;

	out[0] = 0;
	for (size_t i = 0; i < sa->n_proposals; i++) {
		const struct ike_proposal *p = &sa->proposals[i];

		n += (size_t)snprintf(out + n, size - n, "%s%u", i ? ";" : "", p->number);
		for (size_t t = 0; t < p->n_transforms; t++) {
			const char *word = "?";

			for (size_t k = 0; k < sizeof(words) / sizeof(words[0]); k++)
				if (words[k].t.type == p->transforms[t].type &&
				    words[k].t.id == p->transforms[t].id &&
				    words[k].t.key_bits == p->transforms[t].key_bits)
					word = words[k].text;
			n += (size_t)snprintf(out + n, size - n, " %s", word);
		}
	}
}
