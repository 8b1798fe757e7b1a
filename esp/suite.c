/* SPDX-License-Identifier: Apache-2.0 */
/* suite: what a pair of ESP transforms means for a packet's layout and for its keys. */
#include <assert.h>
#include <string.h>
#include "base/sb.h"
#include "esp/aead.h"

struct encr_desc {
	uint16_t encr;
	uint8_t kind, icv_size;
	const char *name;
};

/* RFC 4106 6, RFC 4543 3.4, RFC 7634 2: the ICVs of those that need no second transform. */
static const struct encr_desc encrs[] = {
	{ESP_ENCR_AES_GCM_8, ESP_KIND_GCM, 8, "gcm-8"},
	{ESP_ENCR_AES_GCM_12, ESP_KIND_GCM, 12, "gcm-12"},
	{ESP_ENCR_AES_GCM_16, ESP_KIND_GCM, 16, "gcm-16"},
	{ESP_ENCR_NULL_AUTH_AES_GMAC, ESP_KIND_GMAC, 16, "gmac"},
	{ESP_ENCR_CHACHA20_POLY1305, ESP_KIND_CHACHA20_POLY1305, 16, "chacha20-poly1305"},
	{ESP_ENCR_AES_CBC, ESP_KIND_CBC_HMAC, 0, "cbc"},
};

struct integ_desc {
	uint16_t integ;
	uint8_t key_size, icv_size;
	const char *name;
};

/* RFC 2404 2: 96 bits of 160. RFC 4868 2.1.1: the key is as long as the hash's output; 2.6: the ICV
 * is half of it. */
static const struct integ_desc integs[] = {
	{ESP_INTEG_HMAC_SHA1_96, 20, 12, "sha1"},
	{ESP_INTEG_HMAC_SHA2_256_128, 32, 16, "sha2-256"},
	{ESP_INTEG_HMAC_SHA2_384_192, 48, 24, "sha2-384"},
	{ESP_INTEG_HMAC_SHA2_512_256, 64, 32, "sha2-512"},
};

static const struct encr_desc *encr_find(uint16_t encr)
{
	for (size_t i = 0; i < sizeof(encrs) / sizeof(encrs[0]); i++)
		if (encrs[i].encr == encr)
			return &encrs[i];
	return NULL;
}

static const struct integ_desc *integ_find(uint16_t integ)
{
	for (size_t i = 0; i < sizeof(integs) / sizeof(integs[0]); i++)
		if (integs[i].integ == integ)
			return &integs[i];
	return NULL;
}

static bool key_bits_ok(uint8_t kind, uint16_t bits)
{
	if (kind == ESP_KIND_CHACHA20_POLY1305)
		return bits == 256;
	return bits == 128 || bits == 192 || bits == 256;
}

bool esp_suite_init(struct esp_suite *out, uint16_t encr, uint16_t encr_key_bits, uint16_t integ)
{
	const struct encr_desc *e = encr_find(encr);
	const struct integ_desc *d = integ_find(integ);
	struct esp_suite s = {.encr = encr, .encr_key_bits = encr_key_bits, .integ = integ};

	if (!e)
		return false;
	if (e->kind == ESP_KIND_CHACHA20_POLY1305 && encr_key_bits == 0)
		s.encr_key_bits = 256;
	if (!key_bits_ok(e->kind, s.encr_key_bits))
		return false;
	s.kind = e->kind;
	if (e->kind == ESP_KIND_CBC_HMAC) {
		if (!d)
			return false;
		s.iv_size = 16; /* RFC 3602 3 */
		s.icv_size = d->icv_size;
		s.align = 16;
		s.integ_key_size = d->key_size;
	} else {
		if (integ != ESP_INTEG_NONE)
			return false;
		s.aead = true;
		s.iv_size = 8; /* RFC 4106 3.1, RFC 4543 3.1, RFC 7634 2 */
		s.icv_size = e->icv_size;
		s.salt_size = 4; /* RFC 4106 8.1, RFC 7634 2 */
		s.align = 4;     /* RFC 4303 2.4 */
	}
	s.encr_key_size = (uint8_t)(s.encr_key_bits / 8 + s.salt_size);
	*out = s;
	return true;
}

const char *esp_suite_format(const struct esp_suite *s, char buf[ESP_SUITE_STRLEN])
{
	const struct encr_desc *e = encr_find(s->encr);
	const struct integ_desc *d = integ_find(s->integ);
	struct sb sb = sb_of(buf, ESP_SUITE_STRLEN);

	if (s->kind != ESP_KIND_CHACHA20_POLY1305)
		sb_printf(&sb, "aes-%u-", (unsigned)s->encr_key_bits);
	sb_str(&sb, e ? e->name : "unknown");
	if (d)
		sb_printf(&sb, "/%s", d->name);
	return buf;
}

/* clang-format off */
static const struct {
	uint16_t encr, bits, integ;
} all[] = {
	{ESP_ENCR_AES_GCM_16, 128, 0}, {ESP_ENCR_AES_GCM_16, 192, 0}, {ESP_ENCR_AES_GCM_16, 256, 0},
	{ESP_ENCR_AES_GCM_12, 128, 0}, {ESP_ENCR_AES_GCM_12, 192, 0}, {ESP_ENCR_AES_GCM_12, 256, 0},
	{ESP_ENCR_AES_GCM_8, 128, 0}, {ESP_ENCR_AES_GCM_8, 192, 0}, {ESP_ENCR_AES_GCM_8, 256, 0},
	{ESP_ENCR_NULL_AUTH_AES_GMAC, 128, 0}, {ESP_ENCR_NULL_AUTH_AES_GMAC, 192, 0},
	{ESP_ENCR_NULL_AUTH_AES_GMAC, 256, 0},
	{ESP_ENCR_CHACHA20_POLY1305, 256, 0},
	{ESP_ENCR_AES_CBC, 128, ESP_INTEG_HMAC_SHA1_96},
	{ESP_ENCR_AES_CBC, 192, ESP_INTEG_HMAC_SHA1_96},
	{ESP_ENCR_AES_CBC, 256, ESP_INTEG_HMAC_SHA1_96},
	{ESP_ENCR_AES_CBC, 128, ESP_INTEG_HMAC_SHA2_256_128},
	{ESP_ENCR_AES_CBC, 192, ESP_INTEG_HMAC_SHA2_256_128},
	{ESP_ENCR_AES_CBC, 256, ESP_INTEG_HMAC_SHA2_256_128},
	{ESP_ENCR_AES_CBC, 128, ESP_INTEG_HMAC_SHA2_384_192},
	{ESP_ENCR_AES_CBC, 192, ESP_INTEG_HMAC_SHA2_384_192},
	{ESP_ENCR_AES_CBC, 256, ESP_INTEG_HMAC_SHA2_384_192},
	{ESP_ENCR_AES_CBC, 128, ESP_INTEG_HMAC_SHA2_512_256},
	{ESP_ENCR_AES_CBC, 192, ESP_INTEG_HMAC_SHA2_512_256},
	{ESP_ENCR_AES_CBC, 256, ESP_INTEG_HMAC_SHA2_512_256},
};
/* clang-format on */
static_assert(sizeof(all) / sizeof(all[0]) == ESP_N_SUITES, "as the header says");

struct esp_suite esp_suite_at(size_t i)
{
	struct esp_suite s;

	assert(i < ESP_N_SUITES);
	(void)esp_suite_init(&s, all[i].encr, all[i].bits, all[i].integ);
	return s;
}

size_t esp_suite_index(const struct esp_suite *s)
{
	size_t i = 0;

	while (i < ESP_N_SUITES && (all[i].encr != s->encr || all[i].bits != s->encr_key_bits ||
				    all[i].integ != s->integ))
		i++;
	return i;
}
