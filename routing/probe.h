/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe: whether echoes come back through a tunnel, with hysteresis. Pure: the caller sends and receives
 * ICMP and keeps the time.
 *
 *	if (probe_due(&p, now))
 *		send_echo(p.sequence);          after probe_tick(), which judges the one before
 */
#ifndef ROUTING_PROBE_H
#define ROUTING_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/mono.h"

#define PROBE_RECOVERY 3 /* answers in a row that end a failure */

enum probe_state {
	PROBE_UNKNOWN, /* no verdict: nothing counts for or against the tunnel */
	PROBE_WORKS,
	PROBE_FAILS,
};

struct probe {
	struct mono_span interval; /* also how long an answer may take */
	uint8_t failures;          /* so many in a row are a failure of the tunnel; not 0 */

	enum probe_state state;
	struct mono at;    /* of the next echo; MONO_NEVER: it does not run */
	uint16_t sequence; /* of the last echo */
	bool asked, answered;
	uint8_t missed, heard; /* in a row */
};

/* Sends the first echo at once. */
void probe_start(struct probe *p, struct mono_span interval, uint8_t failures, struct mono now);
/* The tunnel is down, or is not probed any more. */
void probe_stop(struct probe *p);
bool probe_due(const struct probe *p, struct mono now);
/* The next echo is due: judges the one before. True if the state has changed. */
bool probe_tick(struct probe *p, struct mono now);
/* An answer came. True if the state has changed. */
bool probe_heard(struct probe *p, uint16_t sequence);

/* RFC 792, RFC 4443 4.1: an echo request without data, its checksum filled in for IPv4. */
#define PROBE_PACKET_SIZE 8
void probe_packet(bool v6, uint16_t id, uint16_t sequence, uint8_t out[PROBE_PACKET_SIZE]);
/* An answer to such a request, from its ICMP header on. False: it is something else. */
bool probe_parse(bool v6, uint16_t id, const uint8_t *packet, size_t size, uint16_t *sequence);

#endif
