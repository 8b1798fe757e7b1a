/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop: one epoll instance and what to call for each descriptor. Level-triggered. A callback may
 * remove any descriptor, its own included; events of a removed one that were already fetched are
 * dropped, also when the number was given to a new file meanwhile.
 */
#ifndef DAEMON_LOOP_H
#define DAEMON_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include "base/mono.h"

typedef void loop_fn(void *ctx, int fd, uint32_t events);

struct loop_watch {
	loop_fn *fn; /* NULL: not watched */
	void *ctx;
	uint32_t generation;
};

struct loop {
	int epfd;
	struct loop_watch *watches; /* by descriptor */
	size_t n_watches;
	uint32_t generation;
};

bool loop_init(struct loop *l);
void loop_fini(struct loop *l);
/* EPOLLIN, EPOLLOUT. False with errno. */
bool loop_add(struct loop *l, int fd, uint32_t events, loop_fn *fn, void *ctx);
bool loop_modify(struct loop *l, int fd, uint32_t events);
/* Before the descriptor is closed. Harmless for -1 and for what is not watched. */
void loop_remove(struct loop *l, int fd);
/* Waits until `deadline` at most and calls back. False with errno when epoll fails. */
bool loop_turn(struct loop *l, struct mono deadline);

#endif
