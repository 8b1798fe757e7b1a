/* SPDX-License-Identifier: Apache-2.0 */
/* hand: datagrams that a test holds back, looks at and delivers by hand. */
#ifndef SIM_HAND_H
#define SIM_HAND_H

#include "ike/ike_int.h"
#include "tests/sim/world.h"

/* What a node said to a datagram; whatever else follows from it is not carried out. */
extern struct hand_heard {
	unsigned n, other;
	size_t size;
	uint8_t data[IKE_MESSAGE_MAX];
	struct ip_endpoint local, remote;
} heard;
void hand_give(struct sim_node *n, struct ip_endpoint from, const uint8_t *data, size_t size);

/*
 * From anywhere to port 4500, as if by somebody on the way, and with all that follows. Returns the
 * bytes that go out in answer.
 */
size_t hand_inject(struct sim_node *n, struct ip_endpoint from, const uint8_t *data, size_t size);

/* The first datagram of a kind; all of the kind are kept from their receiver. */
extern struct hand_taken {
	int from;
	uint8_t exchange;
	bool response;
	size_t size;
	uint8_t data[IKE_MESSAGE_MAX];
} taken;
/* Starts the world and waits until there is one. */
void hand_hold(struct world *w, int from, uint8_t exchange, bool response);
bool hand_take(struct world *w, int from, const uint8_t *data, size_t size); /* a filter */
bool hand_has_taken(struct world *w);

/* A notify without protocol and SPI. */
void add_notify(struct ike_builder *b, uint16_t type, const void *data, size_t size);
/* The established SA of tunnel 0, or the one that is on its way. */
struct ike_sa *sa_of(struct sim_node *n);
struct ike_header header_of(const uint8_t *data, size_t size);
struct ip_endpoint address_of(const struct sim_node *n);

#endif
