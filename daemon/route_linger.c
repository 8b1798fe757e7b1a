/* SPDX-License-Identifier: Apache-2.0 */
/*
 * route_linger: BGP connections that we have ended.
 *
 * The last bytes, a NOTIFICATION, are on their way, and so may be what the neighbour still sends. To close with
 * something unread is answered by a reset, at which the neighbour's kernel drops what the neighbour has not read yet:
 * it never learns why. So only our half is closed, and what comes is dropped until the neighbour closes the
 * other, or for LINGER.
 */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>
#include "daemon/route_int.h"

#define LINGER span_s(2)

static void drop(struct route_shell *s, size_t i)
{
	route_close(s, &s->lingering[i].fd);
	s->lingering[i] = s->lingering[--s->n_lingering];
}

static void on_rest(void *ctx, int fd, uint32_t events)
{
	static uint8_t bytes[4096];
	struct route_shell *s = ctx;
	const ssize_t n = recv(fd, bytes, sizeof(bytes), 0);

	if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
		return;
	for (size_t i = 0; i < s->n_lingering; i++) {
		if (s->lingering[i].fd == fd) {
			drop(s, i);
			return;
		}
	}
}

void route_linger(struct route_shell *s, int fd)
{
	if (shutdown(fd, SHUT_WR) != 0) {
		close(fd);
		return;
	}
	/* The oldest makes room: they stand in no order, but all end soon. */
	if (s->n_lingering == ROUTE_LINGERING)
		drop(s, 0);
	if (!loop_add(&s->child.loop, fd, EPOLLIN, on_rest, s)) {
		close(fd);
		return;
	}
	s->lingering[s->n_lingering].fd = fd;
	s->lingering[s->n_lingering++].until = mono_add(mono_now(), LINGER);
}

void route_linger_turn(struct route_shell *s, struct mono now)
{
	for (size_t i = s->n_lingering; i-- > 0;)
		if (mono_reached(now, s->lingering[i].until))
			drop(s, i);
}

struct mono route_linger_deadline(const struct route_shell *s)
{
	struct mono at = MONO_NEVER;

	for (size_t i = 0; i < s->n_lingering; i++)
		at = mono_min(at, s->lingering[i].until);
	return at;
}

void route_linger_fini(struct route_shell *s)
{
	while (s->n_lingering)
		drop(s, s->n_lingering - 1);
}
