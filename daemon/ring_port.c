/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/ring_port.h"

#include <string.h>
#include <unistd.h>

enum ipc_ring_kind ring_port_kind(const struct ipc_msg *msg)
{
	struct ipc_ring head;

	if (msg->h.size != sizeof(head) || msg->n_fds != 2)
		return 0;
	memcpy(&head, msg->body, sizeof(head));
	if (head.kind < IPC_RING_SA || head.kind > IPC_RING_FIB_EVENT)
		return 0;
	return (enum ipc_ring_kind)head.kind;
}

bool ring_port_take(struct ring_port *p, struct ipc_msg *msg, uint32_t slot_size, bool producer)
{
	struct ipc_ring head;
	size_t size;

	ring_port_close(p);
	memcpy(&head, msg->body, sizeof(head));
	if (head.n_slots < 2 || head.n_slots > 65536 || head.slot_size != slot_size)
		return false;
	size = ring_size(head.n_slots, head.slot_size);
	if (!shm_attach(&p->shm, ipc_msg_take_fd(msg, 0), size, true))
		return false;
	if (!(producer ? ring_attach_producer : ring_attach_consumer)(
		    &p->end, p->shm.map, size, head.n_slots, head.slot_size)) {
		ring_port_close(p);
		return false;
	}
	p->doorbell = ipc_msg_take_fd(msg, 1);
	return true;
}

void ring_port_close(struct ring_port *p)
{
	shm_close(&p->shm);
	if (p->doorbell >= 0)
		close(p->doorbell);
	*p = RING_PORT_NONE;
}

bool ring_port_push(struct ring_port *p, const void *msg)
{
	if (p->doorbell < 0 || !ring_push(&p->end, msg))
		return false;
	p->rung = true;
	return true;
}

bool ring_port_room(struct ring_port *p)
{
	return p->doorbell >= 0 && !p->end.broken && ring_count(&p->end) <= p->end.mask;
}

void ring_port_notify(struct ring_port *p)
{
	const uint64_t one = 1;

	if (!p->rung)
		return;
	p->rung = false;
	/* A counter at its maximum wakes the reader just as well. */
	if (write(p->doorbell, &one, sizeof(one)) < 0)
		return;
}

void ring_port_hush(struct ring_port *p)
{
	uint64_t n;

	if (p->doorbell >= 0 && read(p->doorbell, &n, sizeof(n)) < 0)
		return;
}

bool ring_port_pop(struct ring_port *p, void *msg)
{
	return p->doorbell >= 0 && ring_pop(&p->end, msg);
}
