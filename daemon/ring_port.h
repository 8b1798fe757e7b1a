/* SPDX-License-Identifier: Apache-2.0 */
/* ring_port: one end of a ring that the supervisor handed over (IPC_RING), with its doorbell. */
#ifndef DAEMON_RING_PORT_H
#define DAEMON_RING_PORT_H

#include <stdbool.h>
#include "base/ring.h"
#include "base/shm.h"
#include "ipc/ipc.h"

struct ring_port {
	struct shm shm;
	struct ring_end end;
	int doorbell; /* eventfd; -1: no ring */
	bool rung;    /* something was pushed since the doorbell was written */
};

#define RING_PORT_NONE ((struct ring_port){.shm = {.fd = -1}, .doorbell = -1})

/* The kind that an IPC_RING message brings, or 0 if it is malformed. */
enum ipc_ring_kind ring_port_kind(const struct ipc_msg *msg);
/* Replaces the end by the message's; the shape must be exactly n_slots x slot_size. */
bool ring_port_take(struct ring_port *p, struct ipc_msg *msg, uint32_t slot_size, bool producer);
void ring_port_close(struct ring_port *p); /* the caller stopped watching the doorbell */

/* Producer. False when full, broken or absent. */
bool ring_port_push(struct ring_port *p, const void *msg);
/* True if ring_port_push() would find room. */
bool ring_port_room(struct ring_port *p);
/* Writes the doorbell if anything was pushed. */
void ring_port_notify(struct ring_port *p);
/* Consumer: takes the doorbell's count away before reading. */
void ring_port_hush(struct ring_port *p);
bool ring_port_pop(struct ring_port *p, void *msg);

#endif
