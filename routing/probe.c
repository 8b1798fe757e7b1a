/* SPDX-License-Identifier: Apache-2.0 */
#include "routing/probe.h"

#include "base/rd.h"
#include "base/sum.h"
#include "base/wr.h"

#define ECHO_REPLY      0
#define ECHO_REQUEST    8
#define V6_ECHO_REQUEST 128
#define V6_ECHO_REPLY   129

void probe_start(struct probe *p, struct mono_span interval, uint8_t failures, struct mono now)
{
	*p = (struct probe){
		.interval = interval,
		.failures = failures,
		.at = now,
		.sequence = p->sequence, /* late answers of an earlier run are not ours */
	};
}

void probe_stop(struct probe *p)
{
	*p = (struct probe){.at = MONO_NEVER, .sequence = p->sequence};
}

bool probe_due(const struct probe *p, struct mono now)
{
	return mono_reached(now, p->at);
}

bool probe_tick(struct probe *p, struct mono now)
{
	const enum probe_state before = p->state;

	if (p->asked && !p->answered) {
		p->heard = 0;
		if (p->missed < p->failures)
			p->missed++;
		if (p->missed == p->failures)
			p->state = PROBE_FAILS;
	}
	p->sequence++;
	p->asked = true;
	p->answered = false;
	p->at = mono_add(now, p->interval);
	return p->state != before;
}

bool probe_heard(struct probe *p, uint16_t sequence)
{
	const enum probe_state before = p->state;

	if (!p->asked || p->answered || sequence != p->sequence)
		return false;
	p->answered = true;
	p->missed = 0;
	if (p->heard < PROBE_RECOVERY)
		p->heard++;
	/* What has never failed is believed at once. */
	if (p->state == PROBE_UNKNOWN || p->heard == PROBE_RECOVERY)
		p->state = PROBE_WORKS;
	return p->state != before;
}

void probe_packet(bool v6, uint16_t id, uint16_t sequence, uint8_t out[PROBE_PACKET_SIZE])
{
	struct wr w = wr_of(out, PROBE_PACKET_SIZE);

	wr_u8(&w, v6 ? V6_ECHO_REQUEST : ECHO_REQUEST);
	wr_u8(&w, 0);
	wr_u16(&w, 0);
	wr_u16(&w, id);
	wr_u16(&w, sequence);
	if (v6)
		return; /* RFC 3542 3.1: Linux fills it in */
	w = wr_of(out + 2, sizeof(uint16_t));
	wr_u16(&w, sum_finish(sum_add(0, out, PROBE_PACKET_SIZE)));
}

bool probe_parse(bool v6, uint16_t id, const uint8_t *packet, size_t size, uint16_t *sequence)
{
	struct rd r = rd_of(packet, size);
	uint16_t sum, got_id;
	uint8_t type, code;

	return rd_u8(&r, &type) && rd_u8(&r, &code) && rd_u16(&r, &sum) && rd_u16(&r, &got_id) &&
	       rd_u16(&r, sequence) && type == (v6 ? V6_ECHO_REPLY : ECHO_REPLY) && code == 0 &&
	       got_id == id;
}
