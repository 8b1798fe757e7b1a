/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/dp_queue.h"

#include <stdlib.h>
#include <string.h>

bool dp_queue_init(struct dp_queue *q)
{
	*q = (struct dp_queue){0};
	q->memory = secret_new(DP_QUEUE_MESSAGES * sizeof(*q->messages));
	q->awaited = calloc(DP_QUEUE_AWAITED, sizeof(*q->awaited));
	if (!q->memory || !q->awaited) {
		dp_queue_fini(q);
		return false;
	}
	/* Answers to an earlier process may still be on their way: no number is likely to be theirs. */
	random_bytes_fill(&q->last_seq, sizeof(q->last_seq));
	q->last_seq >>= 1;
	/* sodium_malloc() aligns to the end of a page: the size is a multiple of 4096. */
	q->messages = (struct dp_msg *)(void *)secret_data_mut(q->memory);
	return true;
}

void dp_queue_fini(struct dp_queue *q)
{
	secret_free(q->memory);
	free(q->awaited);
	*q = (struct dp_queue){0};
}

void dp_queue_reset(struct dp_queue *q)
{
	bytes_wipe(q->messages, DP_QUEUE_MESSAGES * sizeof(*q->messages));
	memset(q->awaited, 0, DP_QUEUE_AWAITED * sizeof(*q->awaited));
	q->first = 0;
	q->n = 0;
}

static struct dp_awaited *awaited(struct dp_queue *q, uint32_t seq)
{
	return &q->awaited[seq & (DP_QUEUE_AWAITED - 1)];
}

/* A number that is not 0 and whose place is free; 0 when too many answers are outstanding. */
static uint32_t next_seq(struct dp_queue *q)
{
	uint32_t seq = q->last_seq + 1;

	if (seq == 0)
		seq = 1;
	return awaited(q, seq)->seq == 0 ? seq : 0;
}

bool dp_queue_send(struct dp_queue *q, struct ring_port *ring, struct dp_msg *msg, uint64_t request)
{
	const uint32_t seq = next_seq(q);

	if (seq == 0)
		return false;
	msg->seq = seq;
	dp_queue_flush(q, ring);
	if (q->n > 0 || !ring_port_push(ring, msg)) {
		if (q->n == DP_QUEUE_MESSAGES)
			return false;
		q->messages[(q->first + q->n++) % DP_QUEUE_MESSAGES] = *msg;
	}
	q->last_seq = seq;
	*awaited(q, seq) = (struct dp_awaited){.seq = seq, .request = request};
	return true;
}

void dp_queue_flush(struct dp_queue *q, struct ring_port *ring)
{
	while (q->n > 0 && ring_port_push(ring, &q->messages[q->first])) {
		bytes_wipe(&q->messages[q->first], sizeof(q->messages[0]));
		q->first = (q->first + 1) % DP_QUEUE_MESSAGES;
		q->n--;
	}
}

bool dp_queue_answer(struct dp_queue *q, uint32_t seq, uint64_t *request)
{
	struct dp_awaited *a = awaited(q, seq);

	if (seq == 0 || a->seq != seq)
		return false;
	*request = a->request;
	a->seq = 0;
	return *request != 0;
}
