/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inner: the rarer parts of inner.h: IPv4 options, a changed ECN field, and the upper-layer fields
 * that selectors look at.
 */
#include "esp/inner.h"

enum esp_inner_fault esp_inner_parse_options(const uint8_t *p, uint32_t size, struct esp_inner *out)
{
	const uint32_t ihl = (p[0] & 0x0fu) * 4u;
	const uint32_t total = esp_get16(p + 2);
	uint64_t sum = 0;

	if (ihl < ESP_IP4_HDR_SIZE)
		return ESP_INNER_NOT_IP;
	if (total < ihl || total > size)
		return ESP_INNER_TRUNCATED;
	/* RFC 1812 5.2.2, as without options. */
	for (uint32_t i = 0; i < ihl; i += 4)
		sum += esp_word32(p + i);
	if (sum_fold(sum) != 0xffff)
		return ESP_INNER_CHECKSUM;
	esp_inner_read_v4(p, total, out);
	return ESP_INNER_OK;
}

void esp_inner_set_ecn(uint8_t *data, uint8_t family, uint8_t ecn)
{
	if (family == IP_V4) {
		const uint16_t from = esp_get16(data); /* version, header length, TOS */
		const uint16_t to = (uint16_t)((from & ~3u) | ecn);

		esp_put16(data, to);
		esp_sum_adjust(data + 10, from, to);
	} else {
		data[1] = (uint8_t)((data[1] & ~0x30u) | (unsigned)ecn << 4);
	}
}

static void upper_ports(const uint8_t *p, uint32_t size, struct esp_upper *out)
{
	switch (out->protocol) {
	case ESP_PROTO_TCP:
	case ESP_PROTO_UDP:
	case ESP_PROTO_DCCP:
	case ESP_PROTO_SCTP:
	case ESP_PROTO_UDPLITE:
		if (size < 4)
			return;
		out->src_port = esp_get16(p);
		out->dst_port = esp_get16(p + 2);
		break;
	/* RFC 4301 4.4.1.1: type in the upper, code in the lower eight bits of one 16-bit value. */
	case ESP_PROTO_ICMP:
	case ESP_PROTO_ICMPV6:
		if (size < 2)
			return;
		out->src_port = out->dst_port = esp_get16(p);
		break;
	/* The message type in the upper eight bits, the lower ones zero. */
	case ESP_PROTO_MH:
		if (size < 3)
			return;
		out->src_port = out->dst_port = (uint16_t)(p[2] << 8);
		break;
	default: return;
	}
	out->has_ports = true;
}

static void upper_v4(const uint8_t *p, uint32_t total, struct esp_upper *out)
{
	const uint32_t ihl = (p[0] & 0x0fu) * 4u;

	out->protocol = p[9];
	out->protocol_known = true;
	if ((esp_get16(p + 6) & 0x1fff) == 0)
		upper_ports(p + ihl, total - ihl, out);
}

/* RFC 4301 4.4.1.1: extension headers are skipped to find the next layer protocol. */
static void upper_v6(const uint8_t *p, uint32_t total, struct esp_upper *out)
{
	uint32_t at = ESP_IP6_HDR_SIZE;
	uint8_t next = p[6];
	uint32_t size;

	for (;;) {
		switch (next) {
		case ESP_PROTO_HOPOPT:
		case ESP_PROTO_ROUTING:
		case ESP_PROTO_DSTOPTS:
		case ESP_PROTO_AH:
			if (total - at < 8)
				return;
			size = next == ESP_PROTO_AH ? (p[at + 1] + 2u) * 4u : (p[at + 1] + 1u) * 8u;
			if (total - at < size)
				return;
			break;
		case ESP_PROTO_FRAGMENT:
			if (total - at < 8)
				return;
			if (esp_get16(p + at + 2) & 0xfff8) {
				/* A later fragment: what its header names need not be the upper layer. */
				switch (p[at]) {
				case ESP_PROTO_HOPOPT:
				case ESP_PROTO_ROUTING:
				case ESP_PROTO_DSTOPTS:
				case ESP_PROTO_AH: return;
				default: break;
				}
				out->protocol = p[at];
				out->protocol_known = true;
				return;
			}
			size = 8;
			break;
		default:
			out->protocol = next;
			out->protocol_known = true;
			upper_ports(p + at, total - at, out);
			return;
		}
		next = p[at];
		at += size;
	}
}

void esp_inner_upper(const uint8_t *data, uint32_t total, struct esp_upper *out)
{
	*out = (struct esp_upper){0};
	if (data[0] >> 4 == 4)
		upper_v4(data, total, out);
	else
		upper_v6(data, total, out);
}
