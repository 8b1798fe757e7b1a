/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ipc: sends and receives the messages of include/twinbore/ipc.h.
 *
 * Used by the supervisor and its children on SOCK_SEQPACKET pairs. A message that breaks the
 * contract (magic, type, flags, lengths, number of descriptors) is dropped whole, and every
 * descriptor that came with it is closed, so that a child that was taken over cannot fill our
 * descriptor table or reach past a buffer. What a body means is its receiver's business.
 */
#ifndef IPC_IPC_H
#define IPC_IPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "twinbore/ipc.h"

struct ipc_msg {
	struct ipc_header h;
	uint8_t body[IPC_BODY_MAX]; /* h.size bytes of it are valid; aligned for any body struct */
	int fds[IPC_MAX_FDS]; /* n_fds of them; the receiver owns them: take or ipc_msg_close() */
	size_t n_fds;
};

/* A connected pair, close-on-exec and non-blocking. False with errno set. */
bool ipc_pair(int socks[2]);

/*
 * Sends one message. `fds` stay the caller's. False with errno: EAGAIN when the other end does not
 * read (nothing was sent), EMSGSIZE when `size` or `n_fds` is out of bounds, EPIPE when it is gone.
 * Never raises SIGPIPE.
 */
bool ipc_send(int sock, enum ipc_type type, uint16_t flags, uint64_t id, const void *body,
	      size_t size, const int *fds, size_t n_fds);
/* The same, with a body in two parts: a fixed struct and what follows it. */
bool ipc_send2(int sock, enum ipc_type type, uint16_t flags, uint64_t id, const void *head,
	       size_t head_size, const void *tail, size_t tail_size);

/*
 * Receives one message; never blocks.
 *    1: a message stands in `msg`; its descriptors are the caller's now
 *    0: none, and errno tells why: EAGAIN = nothing waits, 0 = the other end is gone for good
 *   -1: errno is EBADMSG when one message was malformed and dropped (the next may be fine), else
 *       the socket failed
 */
int ipc_recv(int sock, struct ipc_msg *msg);

/* Closes the descriptors that are still in `msg` (those that were taken are set to -1). */
void ipc_msg_close(struct ipc_msg *msg);
/* Takes descriptor `i` out of the message, or -1 if there is none. */
int ipc_msg_take_fd(struct ipc_msg *msg, size_t i);

/* True if `name` holds a NUL and at least one character: what every name on the wire must do. */
bool ipc_name_ok(const char name[DP_NAME_SIZE]);

const char *ipc_role_name(enum ipc_role role); /* "supervisor", "keyd", ... */
const char *ipc_type_name(enum ipc_type type); /* "config", "peer", ... */

#endif
