/* SPDX-License-Identifier: Apache-2.0 */
/* peek: the SPI of an outer packet, for the lookup of its SA. */
#include "esp/esp_int.h"

bool esp_peek_spi(const uint8_t *outer, uint32_t size, uint32_t *spi)
{
	struct esp_outer_view v;
	uint32_t found;

	if (!esp_outer_parse(outer, size, &v))
		return false;
	/* RFC 4303 2.1: zero never goes on the wire; in UDP it marks IKE (RFC 3948 2.2). */
	found = esp_get32(outer + v.esp_offset);
	if (found == 0)
		return false;
	*spi = found;
	return true;
}
