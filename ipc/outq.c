/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/outq.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "ipc/ipc.h"

struct ipc_outq_item {
	struct ipc_outq_item *next;
	enum ipc_type type;
	uint16_t flags;
	uint64_t id;
	size_t size;
	uint8_t body[];
};

void ipc_outq_init(struct ipc_outq *q, size_t max_bytes)
{
	*q = (struct ipc_outq){.sock = -1, .max_bytes = max_bytes};
	q->last = &q->first;
}

static void drop_first(struct ipc_outq *q)
{
	struct ipc_outq_item *i = q->first;

	q->first = i->next;
	if (!q->first)
		q->last = &q->first;
	q->n_bytes -= sizeof(*i) + i->size;
	free(i);
}

void ipc_outq_attach(struct ipc_outq *q, int sock)
{
	while (q->first)
		drop_first(q);
	q->sock = sock;
}

void ipc_outq_fini(struct ipc_outq *q)
{
	ipc_outq_attach(q, -1);
}

bool ipc_outq_send(struct ipc_outq *q, enum ipc_type type, uint16_t flags, uint64_t id,
		   const void *head, size_t head_size, const void *tail, size_t tail_size)
{
	const size_t size = head_size + tail_size;
	struct ipc_outq_item *i;

	if (q->sock < 0 || size > IPC_BODY_MAX)
		goto refused;
	if (!q->first) {
		if (ipc_send2(q->sock, type, flags, id, head, head_size, tail, tail_size))
			return true;
		if (errno != EAGAIN)
			goto refused;
	}
	if (q->n_bytes + sizeof(*i) + size > q->max_bytes)
		goto refused;
	i = malloc(sizeof(*i) + size);
	if (!i)
		goto refused;
	*i = (struct ipc_outq_item){.type = type, .flags = flags, .id = id, .size = size};
	if (head_size)
		memcpy(i->body, head, head_size);
	if (tail_size)
		memcpy(i->body + head_size, tail, tail_size);
	*q->last = i;
	q->last = &i->next;
	q->n_bytes += sizeof(*i) + size;
	return true;
refused:
	q->n_refused++;
	return false;
}

bool ipc_outq_reply(struct ipc_outq *q, uint64_t id, bool ok, const char *text, size_t size)
{
	const struct ipc_reply head = {.ok = ok};
	const size_t room = IPC_BODY_MAX - sizeof(head);

	do {
		const size_t part = size < room ? size : room;

		if (!ipc_outq_send(q, IPC_REPLY, size > part ? IPC_MORE : 0, id, &head,
				   sizeof(head), text, part))
			return false;
		text += part;
		size -= part;
	} while (size > 0);
	return true;
}

bool ipc_outq_flush(struct ipc_outq *q)
{
	while (q->first) {
		const struct ipc_outq_item *i = q->first;

		if (!ipc_send(q->sock, i->type, i->flags, i->id, i->body, i->size, NULL, 0))
			return errno == EAGAIN;
		drop_first(q);
	}
	return true;
}

bool ipc_outq_waiting(const struct ipc_outq *q)
{
	return q->first != NULL;
}
