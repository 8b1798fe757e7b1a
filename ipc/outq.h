/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outq: messages that wait for a slow reader, in order and bounded.
 *
 * A socket between two processes never blocks its sender: what does not fit at once is copied
 * here and sent when the socket is writable. Past `max_bytes` a message is refused and counted, so
 * that a process that stopped reading costs the others a bounded amount of memory.
 */
#ifndef IPC_OUTQ_H
#define IPC_OUTQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "twinbore/ipc.h"

struct ipc_outq_item;

struct ipc_outq {
	int sock; /* borrowed; -1 = nobody there: every send is refused */
	size_t max_bytes;
	size_t n_bytes;
	uint64_t n_refused;
	struct ipc_outq_item *first, **last;
};

void ipc_outq_init(struct ipc_outq *q, size_t max_bytes);
/* Drops what waits, and sends to `sock` from now on (-1: to nobody). */
void ipc_outq_attach(struct ipc_outq *q, int sock);
void ipc_outq_fini(struct ipc_outq *q);

/* Sends or queues a message whose body is in two parts. False when refused. */
bool ipc_outq_send(struct ipc_outq *q, enum ipc_type type, uint16_t flags, uint64_t id,
		   const void *head, size_t head_size, const void *tail, size_t tail_size);
/* Sends an IPC_REPLY of any length, in as many parts as it takes. False when any was refused. */
bool ipc_outq_reply(struct ipc_outq *q, uint64_t id, bool ok, const char *text, size_t size);
/* Sends what waits; false with errno when the socket failed. */
bool ipc_outq_flush(struct ipc_outq *q);
/* True while something waits: ask for EPOLLOUT. */
bool ipc_outq_waiting(const struct ipc_outq *q);

#endif
