/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EVENTS_PER_TURN 64

bool loop_init(struct loop *l)
{
	*l = (struct loop){.epfd = epoll_create1(EPOLL_CLOEXEC)};
	return l->epfd >= 0;
}

void loop_fini(struct loop *l)
{
	if (l->epfd >= 0)
		close(l->epfd);
	free(l->watches);
	*l = (struct loop){.epfd = -1};
}

static bool make_room(struct loop *l, size_t fd)
{
	const size_t n = fd + 32;
	struct loop_watch *w;

	if (fd < l->n_watches)
		return true;
	w = realloc(l->watches, n * sizeof(*w));
	if (!w)
		return false;
	memset(w + l->n_watches, 0, (n - l->n_watches) * sizeof(*w));
	l->watches = w;
	l->n_watches = n;
	return true;
}

static bool control(struct loop *l, int op, int fd, uint32_t events, uint32_t generation)
{
	struct epoll_event e = {
		.events = events,
		.data.u64 = (uint64_t)generation << 32 | (uint32_t)fd,
	};

	return epoll_ctl(l->epfd, op, fd, &e) == 0;
}

bool loop_add(struct loop *l, int fd, uint32_t events, loop_fn *fn, void *ctx)
{
	if (fd < 0) {
		errno = EBADF;
		return false;
	}
	if (!make_room(l, (size_t)fd) || !control(l, EPOLL_CTL_ADD, fd, events, l->generation + 1))
		return false;
	l->watches[fd] = (struct loop_watch){.fn = fn, .ctx = ctx, .generation = ++l->generation};
	return true;
}

bool loop_modify(struct loop *l, int fd, uint32_t events)
{
	if (fd < 0 || (size_t)fd >= l->n_watches || !l->watches[fd].fn) {
		errno = ENOENT;
		return false;
	}
	return control(l, EPOLL_CTL_MOD, fd, events, l->watches[fd].generation);
}

void loop_remove(struct loop *l, int fd)
{
	if (fd < 0 || (size_t)fd >= l->n_watches || !l->watches[fd].fn)
		return;
	epoll_ctl(l->epfd, EPOLL_CTL_DEL, fd, NULL);
	l->watches[fd].fn = NULL;
}

static int timeout_ms(struct mono deadline)
{
	uint64_t ns;

	if (mono_is_never(deadline))
		return -1;
	ns = mono_since(deadline, mono_now()).ns;
	/* Rounded up: a millisecond too late beats a busy loop on the way there. */
	return ns > UINT64_C(60000000000) ? 60000 : (int)((ns + 999999) / 1000000);
}

bool loop_turn(struct loop *l, struct mono deadline)
{
	struct epoll_event events[EVENTS_PER_TURN];
	const int n = epoll_wait(l->epfd, events, EVENTS_PER_TURN, timeout_ms(deadline));

	if (n < 0)
		return errno == EINTR;
	for (int i = 0; i < n; i++) {
		const int fd = (int)(uint32_t)events[i].data.u64;
		const uint32_t generation = (uint32_t)(events[i].data.u64 >> 32);
		const struct loop_watch *w = &l->watches[fd];

		if (w->fn && w->generation == generation)
			w->fn(w->ctx, fd, events[i].events);
	}
	return true;
}
