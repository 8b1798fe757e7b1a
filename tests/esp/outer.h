/* SPDX-License-Identifier: Apache-2.0 */
/* outer: the forms of ESP on the wire, and their headers. */
#ifndef TESTS_ESP_OUTER_H
#define TESTS_ESP_OUTER_H

#include "util.h"

#define FLOW_LABEL 0xfffffu

enum outer {
	OUTER_V4,
	OUTER_V4_UDP,
	OUTER_V6,
	OUTER_V6_UDP,
	OUTER_END,
};

struct esp_sa_cfg cfg_outer(const struct suite_row *row, enum outer outer);
/* The outer header of a sealed packet, field by field. */
void check_outer(const struct buf *b, const struct esp_sa_cfg *cfg, uint64_t seq, uint8_t tos);

#endif
