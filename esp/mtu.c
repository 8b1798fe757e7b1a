/* SPDX-License-Identifier: Apache-2.0 */
/* mtu: the largest inner packet that an outer path MTU leaves room for. */
#include "esp/esp_int.h"

uint32_t esp_inner_mtu(const struct esp_suite *s, bool outer_v6, bool udp_encap, uint32_t outer_mtu)
{
	const uint32_t fixed = (outer_v6 ? ESP_IP6_HDR_SIZE : ESP_IP4_HDR_SIZE) +
			       (udp_encap ? ESP_UDP_HDR_SIZE : 0) + ESP_HDR_SIZE + s->iv_size +
			       s->icv_size;
	uint32_t payload;

	if (outer_mtu <= fixed)
		return 0;
	/* RFC 4303 2.4: payload, padding and trailer together fill whole blocks. */
	payload = (outer_mtu - fixed) & ~(uint32_t)(s->align - 1u);
	if (payload < ESP_TRAILER_SIZE + ESP_IP4_HDR_SIZE)
		return 0;
	return payload - ESP_TRAILER_SIZE;
}
