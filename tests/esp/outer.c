/* SPDX-License-Identifier: Apache-2.0 */
#include "outer.h"

#include "base/sum.h"

struct esp_sa_cfg cfg_outer(const struct suite_row *row, enum outer outer)
{
	struct esp_sa_cfg cfg = cfg_of(row);

	if (outer >= OUTER_V6) {
		assert_true(ip_parse("2001:db8::1", &cfg.local.addr));
		assert_true(ip_parse("2001:db8::2", &cfg.remote.addr));
	}
	if (outer & 1) {
		cfg.udp_encap = true;
		cfg.local.port = 4500;
		cfg.remote.port = 40001;
	}
	return cfg;
}

void check_outer(const struct buf *b, const struct esp_sa_cfg *cfg, uint64_t seq, uint8_t tos)
{
	const uint8_t *p = b->pkt.data, *esp;
	const bool v6 = cfg->local.addr.family == IP_V6;
	uint32_t spi;

	if (v6) {
		/* version, traffic class; a flow label */
		assert_int_equal(esp_get32(p) >> 20, 0x600u | tos);
		assert_int_not_equal(esp_get32(p) & FLOW_LABEL, 0);
		assert_int_equal(esp_get16(p + 4), b->pkt.size - 40);
		assert_int_equal(p[6], cfg->udp_encap ? 17 : 50);
		assert_int_equal(p[7], 64);
		assert_memory_equal(p + 8, cfg->local.addr.b, 16);
		assert_memory_equal(p + 24, cfg->remote.addr.b, 16);
		esp = p + 40;
	} else {
		assert_int_equal(p[0], 0x45);
		assert_int_equal(p[1], tos);
		assert_int_equal(esp_get16(p + 2), b->pkt.size);
		assert_int_equal(p[8], 64);
		assert_int_equal(p[9], cfg->udp_encap ? 17 : 50);
		assert_true(ip4_checksum_good(p));
		assert_memory_equal(p + 12, cfg->local.addr.b, 4);
		assert_memory_equal(p + 16, cfg->remote.addr.b, 4);
		esp = p + 20;
	}
	if (cfg->udp_encap) {
		const uint32_t udp_size = b->pkt.size - (uint32_t)(esp - p);

		assert_int_equal(esp_get16(esp), cfg->local.port);
		assert_int_equal(esp_get16(esp + 2), cfg->remote.port);
		assert_int_equal(esp_get16(esp + 4), udp_size);
		if (v6) {
			uint32_t sum = sum_add(17 + udp_size, p + 8, 32);

			/* RFC 8200 8.1: with the pseudo header it adds up, and is not zero. */
			assert_int_not_equal(esp_get16(esp + 6), 0);
			assert_int_equal(sum_finish(sum_add(sum, esp, udp_size)), 0);
		} else {
			assert_int_equal(esp_get16(esp + 6), 0);
		}
		esp += 8;
	}
	assert_int_equal(esp_get32(esp), cfg->spi);
	assert_int_equal(esp_get32(esp + 4), (uint32_t)seq);
	assert_true(esp_peek_spi(p, b->pkt.size, &spi));
	assert_int_equal(spi, cfg->spi);
}
