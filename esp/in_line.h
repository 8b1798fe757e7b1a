/* SPDX-License-Identifier: Apache-2.0 */
/*
 * in_line: the first line of an inbound half: all that a usual packet reads and writes of its SA, but for one
 * word of the window. Where there are many SAs, each packet finds another one in memory; whoever leads
 * packets to SAs keeps what he needs of each in the line as well.
 */
#ifndef ESP_IN_LINE_H
#define ESP_IN_LINE_H

#include <assert.h>
#include "esp/bytes.h"
#include "esp/esp.h"
#include "esp/replay.h"

enum esp_in_flags {
	ESP_IN_AEAD = 7, /* which of a thread's backends */
	ESP_IN_V4 =
		1
		<< 3, /* src, dst and ports are the newest packet's; else it was IPv6's, or none */
	ESP_IN_TS = 1 << 4, /* the selectors are more than the two prefixes */
	/* What the caller may want to tell; see esp_in_news(). */
	ESP_IN_SOFT = 1 << 5,
	ESP_IN_EXPIRED = 1 << 6,
	ESP_IN_MOVED = 1 << 7,
};

/* Written by the thread that decapsulates. Packets since the limits were looked at: by `quota`. */
struct esp_in_line {
	uint8_t room[ESP_IN_ROOM]; /* the caller's */
	uint32_t bytes;            /* since the limits were looked at */
	struct esp_key *key;
	struct esp_replay replay;
	uint32_t src, dst,
		ports; /* of the newest packet's outer headers, as the machine loads them;
				     ports: 0 without UDP */
	/* The selectors, if these are IPv4 prefixes: first address, and bits behind the prefix. */
	uint32_t src_first, dst_first;
	uint8_t src_rest, dst_rest;
	uint16_t quota; /* packets, of any size, before one of which no limit can be reached */
	uint8_t iv_size, icv_size, align_mask;
	uint8_t flags;
};
static_assert(sizeof(struct esp_in_line) == ESP_LINE, "a usual packet reads one line of its SA");
static_assert(ESP_AEADS_MAX <= ESP_IN_AEAD + 1, "a backend has a number");

/* ESP_IN_ROOM bytes, aligned to four, zero at first. */
static inline void *esp_in_room(struct esp_in *sa)
{
	return ((struct esp_in_line *)sa)->room;
}

/* Which of these are: a soft or hard limit is reached, for good; the peer has another address, until
 * esp_in_moved_told(). */
static inline unsigned esp_in_news(const struct esp_in *sa)
{
	return ((const struct esp_in_line *)sa)->flags &
	       (ESP_IN_SOFT | ESP_IN_EXPIRED | ESP_IN_MOVED);
}

static inline void esp_in_moved_told(struct esp_in *sa)
{
	((struct esp_in_line *)sa)->flags &= (uint8_t)~ESP_IN_MOVED;
}

#endif
