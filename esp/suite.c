/* SPDX-License-Identifier: Apache-2.0 */
/* suite: what a pair of ESP transforms means for a packet's layout and for its keys. */
#include <string.h>
#include "base/sb.h"
#include "esp/aead.h"

struct integ_desc {
	uint16_t integ;
	uint8_t key_size, icv_size;
	const char *name;
};

/* RFC 4868 2.1.1: the key is as long as the hash's output; 2.6: the ICV is half of it. */
static const struct integ_desc integs[] = {
	{ESP_INTEG_HMAC_SHA2_256_128, 32, 16, "sha2-256"},
	{ESP_INTEG_HMAC_SHA2_384_192, 48, 24, "sha2-384"},
	{ESP_INTEG_HMAC_SHA2_512_256, 64, 32, "sha2-512"},
};

static const struct integ_desc *integ_find(uint16_t integ)
{
	for (size_t i = 0; i < sizeof(integs) / sizeof(integs[0]); i++)
		if (integs[i].integ == integ)
			return &integs[i];
	return NULL;
}

bool esp_suite_init(struct esp_suite *out, uint16_t encr, uint16_t encr_key_bits, uint16_t integ)
{
	struct esp_suite s = {.encr = encr, .encr_key_bits = encr_key_bits, .integ = integ};
	const struct integ_desc *d;

	if (encr_key_bits != 128 && encr_key_bits != 192 && encr_key_bits != 256)
		return false;
	switch (encr) {
	case ESP_ENCR_AES_GCM_16:
		if (integ != ESP_INTEG_NONE)
			return false;
		s.aead = true;
		s.iv_size = 8;   /* RFC 4106 3.1 */
		s.icv_size = 16; /* RFC 4106 6 */
		s.salt_size = 4; /* RFC 4106 8.1 */
		s.align = 4;     /* RFC 4303 2.4 */
		break;
	case ESP_ENCR_AES_CBC:
		d = integ_find(integ);
		if (!d)
			return false;
		s.iv_size = 16; /* RFC 3602 3 */
		s.icv_size = d->icv_size;
		s.align = 16;
		s.integ_key_size = d->key_size;
		break;
	default: return false;
	}
	s.encr_key_size = (uint8_t)(encr_key_bits / 8 + s.salt_size);
	*out = s;
	return true;
}

const char *esp_suite_format(const struct esp_suite *s, char buf[ESP_SUITE_STRLEN])
{
	const struct integ_desc *d = integ_find(s->integ);
	struct sb sb = sb_of(buf, ESP_SUITE_STRLEN);

	if (s->aead)
		sb_printf(&sb, "aes-%u-gcm-16", (unsigned)s->encr_key_bits);
	else
		sb_printf(&sb, "aes-%u-cbc/%s", (unsigned)s->encr_key_bits, d ? d->name : "none");
	return buf;
}
