/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests with two processes share: passing descriptors, time limits, random numbers. */
#ifndef TESTS_RING_PEER_H
#define TESTS_RING_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* One message with n descriptors (SCM_RIGHTS) over a socket. */
bool fds_send(int sock, const int *fds, size_t n);
bool fds_recv(int sock, int *fds, size_t n);

/* Waits for a child; its exit code, or 128 + the signal that ended it. */
int child_wait(pid_t pid);

/* xorshift64 */
uint64_t next_random(uint64_t *x);

#endif
