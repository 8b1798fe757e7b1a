/* SPDX-License-Identifier: Apache-2.0 */
/*
 * liar: a peer that holds the right keys and says wrong things. It sits on the wire between the two
 * nodes, opens what one of them sends with the other's keys, edits the chain of payloads and seals
 * it again; or it asks questions of its own in that node's name.
 */
#ifndef SIM_LIAR_H
#define SIM_LIAR_H

#include "ike/ike_int.h"
#include "tests/sim/world.h"

#define LIAR_PAYLOADS 32
#define LIAR_BODY     600

struct liar_payload {
	uint8_t type, flags;
	size_t size;
	uint8_t body[LIAR_BODY];
};

struct liar_inner {
	size_t n;
	struct liar_payload p[LIAR_PAYLOADS];
};

struct liar {
	/* Which messages are lied in. */
	int from;         /* -1: either node's, in requests and in responses */
	uint8_t exchange; /* 0: any */
	bool response;
	unsigned times;
	void (*edit)(struct liar_inner *in, const void *arg);
	const void *arg;
	/* What came of it. */
	unsigned told;
	bool answered; /* to a lie in a request */
	struct liar_inner answer;
	bool asked, speaking; /* its own */
};

void liar_install(struct world *w, struct liar *l);
/* Sends a request as `from` on the IKE SA of tunnel 0 and waits for the answer. */
bool liar_ask(struct world *w, struct liar *l, int from, uint8_t exchange,
	      const struct ike_builder *inner);
/* One message as `from` to the other's SA `to`, sealed with its keys; IKE_SA_INIT is in the clear. */
void liar_speak(struct world *w, struct liar *l, int from, struct ike_sa *to,
		const struct ike_header *h, const struct liar_inner *in);

struct liar_payload *liar_find(struct liar_inner *in, uint8_t type);
/* The first notify of that type in an answer. */
const struct liar_payload *liar_notify(const struct liar_inner *in, uint16_t type);
void liar_drop(struct liar_inner *in, uint8_t type);
void liar_add(struct liar_inner *in, uint8_t type, uint8_t flags, const void *body, size_t size);

#endif
