/* SPDX-License-Identifier: Apache-2.0 */
/* ts: an SA's selectors, compiled. */
#ifndef ESP_TS_H
#define ESP_TS_H

#include "esp/bytes.h"
#include "esp/esp.h"

struct esp_ts_range {
	uint64_t src_lo[2], src_hi[2], dst_lo[2], dst_hi[2]; /* host order; IPv4 in [0] */
	uint16_t src_port_lo, src_port_hi, dst_port_lo, dst_port_hi;
	uint8_t protocol;
	uint8_t family;
	bool any_upper; /* any protocol, any port */
};

/* A pair of ranges of IPv4 addresses; span: last - first. */
struct esp_ts_v4 {
	uint32_t src_lo, src_span, dst_lo, dst_span;
};

struct esp_ts_set {
	bool all_v4, all_v6; /* everything of the family passes: nothing to look at */
	bool one_v4;         /* of IPv4 packets their addresses decide, by `v4` */
	uint8_t n;
	struct esp_ts_v4 v4;
	struct esp_ts_range *r; /* n of them: most SAs have one, few the most */
};

/* outbound: source = local. False if a selector is inconsistent or memory is short. */
bool esp_ts_compile(struct esp_ts_set *out, const struct esp_ts *ts, size_t n, bool outbound);
void esp_ts_fini(struct esp_ts_set *set);
bool esp_ts_match_slow(const struct esp_ts_set *set, const uint8_t *inner, uint32_t total,
		       uint8_t family);

static inline bool esp_ts_v4_match(const struct esp_ts_v4 *t, const uint8_t *inner)
{
	return esp_get32(inner + 12) - t->src_lo <= t->src_span &&
	       esp_get32(inner + 16) - t->dst_lo <= t->dst_span;
}

/* inner: parsed and whole, `total` bytes. */
static inline bool esp_ts_match(const struct esp_ts_set *set, const uint8_t *inner, uint32_t total,
				uint8_t family)
{
	if (family == IP_V4 ? set->all_v4 : set->all_v6)
		return true;
	if (family == IP_V4 && set->one_v4)
		return esp_ts_v4_match(&set->v4, inner);
	return esp_ts_match_slow(set, inner, total, family);
}

#endif
