/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dp_queue: what the ike process asked of the dataplane: messages that wait for a slot of the
 * ring, in order, and the requests whose acknowledgement is awaited. Both are bounded. The memory
 * holds keys for a moment: it is locked, and a message is wiped as soon as it was copied on.
 */
#ifndef DAEMON_DP_QUEUE_H
#define DAEMON_DP_QUEUE_H

#include "base/secret.h"
#include "daemon/ring_port.h"
#include "twinbore/dp_msg.h"

#define DP_QUEUE_MESSAGES 1024u /* that wait for the ring; 4 MiB, the most that a secret may hold */
#define DP_QUEUE_AWAITED  16384u /* a power of two */

struct dp_awaited {
	uint32_t seq; /* 0: free */
	uint64_t request;
};

struct dp_queue {
	struct secret *memory;
	struct dp_msg *messages; /* DP_QUEUE_MESSAGES, in `memory` */
	size_t first, n;
	struct dp_awaited *awaited; /* by seq modulo DP_QUEUE_AWAITED */
	uint32_t last_seq;
};

bool dp_queue_init(struct dp_queue *q);
void dp_queue_fini(struct dp_queue *q);
/* Forgets everything, answers that are awaited too: the dataplane started anew. */
void dp_queue_reset(struct dp_queue *q);

/*
 * Sends or queues `msg`, whose `seq` it fills in. `request` comes back with the answer; 0: nobody
 * waits. False when there is no room: nothing was sent. The caller wipes its own copy.
 */
bool dp_queue_send(struct dp_queue *q, struct ring_port *ring, struct dp_msg *msg,
		   uint64_t request);
/* Moves what waits to the ring. */
void dp_queue_flush(struct dp_queue *q, struct ring_port *ring);
/* The request that `seq` answers; false if nobody waits for it. Each seq answers once. */
bool dp_queue_answer(struct dp_queue *q, uint32_t seq, uint64_t *request);

#endif
