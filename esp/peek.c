/* SPDX-License-Identifier: Apache-2.0 */
/* peek: the SPI of an outer packet, for the lookup of its SA. */
#include "esp/esp_int.h"

bool esp_locate(struct esp_pkt *p, uint32_t *spi)
{
	uint32_t offset, size, found;

	if (!esp_outer_parse(p->data, p->size, &offset, &size))
		return false;
	/* RFC 4303 2.1: zero never goes on the wire; in UDP it marks IKE (RFC 3948 2.2). */
	found = esp_get32(p->data + offset);
	if (found == 0)
		return false;
	p->esp_offset = (uint16_t)offset;
	p->esp_size = size;
	*spi = found;
	return true;
}

bool esp_peek_spi(const uint8_t *outer, uint32_t size, uint32_t *spi)
{
	struct esp_pkt p = {.data = (uint8_t *)(uintptr_t)outer, .size = size};

	return esp_locate(&p, spi);
}
