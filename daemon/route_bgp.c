/* SPDX-License-Identifier: Apache-2.0 */
/*
 * route_bgp: the BGP core on sockets. Neighbours are numbered as their tunnels, connections as their
 * descriptors.
 *
 * What neighbours announce goes to the routing core at once (struct bgp_sink), and what they are to
 * hear comes from there (struct rt_export). In one turn of the loop a connection is read once and
 * written once, so that a neighbour that sends without end keeps nobody waiting.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/array.h"
#include "daemon/route_int.h"
#include "daemon/translate.h"

#define READ_SIZE        (16u * 1024) /* of one connection in one turn: up to 4,000 prefixes */
#define ACCEPTS_PER_TURN 16
#define NO_TUNNEL        UINT32_MAX

/* ------------------------------------------------------- between the cores */

static size_t on_announce(void *ctx, uint32_t neighbor, const struct path_nlri *nlri, size_t n,
			  struct path *path)
{
	struct route_shell *s = ctx;

	return rt_announce(s->core, neighbor, nlri, n, path);
}

static size_t on_withdraw(void *ctx, uint32_t neighbor, const struct path_nlri *nlri, size_t n)
{
	struct route_shell *s = ctx;

	return rt_withdraw(s->core, neighbor, nlri, n);
}

static void on_up(void *ctx, uint32_t neighbor)
{
	struct route_shell *s = ctx;

	rt_session_up(s->core, neighbor);
}

static void on_stale(void *ctx, uint32_t neighbor, enum bgp_family f)
{
	struct route_shell *s = ctx;

	rt_stale(s->core, neighbor, f == BGP_IPV6_UNICAST);
}

static size_t on_purge(void *ctx, uint32_t neighbor, enum bgp_family f, bool only_stale)
{
	struct route_shell *s = ctx;

	return rt_purge(s->core, neighbor, f == BGP_IPV6_UNICAST, only_stale);
}

static void on_end_of_rib(void *ctx, uint32_t neighbor, enum bgp_family f)
{
	struct route_shell *s = ctx;
	struct route_tunnel *t = route_tunnel(s, neighbor);

	if (t)
		t->complete[f] = true;
	rt_end_of_rib(s->core, neighbor, f == BGP_IPV6_UNICAST);
}

static bool advertise(void *ctx, uint32_t tunnel, const struct ip_prefix *prefix, struct path *path)
{
	struct route_shell *s = ctx;

	return bgp_advertise(s->bgp, tunnel, prefix, path);
}

static void advertise_end(void *ctx, uint32_t tunnel, bool v6)
{
	struct route_shell *s = ctx;

	bgp_advertise_end(s->bgp, tunnel, v6 ? BGP_IPV6_UNICAST : BGP_IPV4_UNICAST);
}

const struct rt_export route_bgp_export = {
	.advertise = advertise,
	.advertise_end = advertise_end,
};

/* --------------------------------------------------------------- connections */

static void on_conn(void *ctx, int fd, uint32_t events);

static struct route_conn *conn_of(struct route_shell *s, int fd)
{
	return fd >= 0 && (size_t)fd < s->n_conns && s->conns[fd].open ? &s->conns[fd] : NULL;
}

static bool conn_open(struct route_shell *s, int fd, uint32_t tunnel)
{
	if (!array_reach(&s->conns, &s->n_conns, (size_t)fd, sizeof(*s->conns)))
		return false;
	if (!loop_add(&s->child.loop, fd, EPOLLIN, on_conn, s))
		return false;
	s->conns[fd] = (struct route_conn){.open = true, .tunnel = tunnel};
	return true;
}

static void conn_close(struct route_shell *s, int fd)
{
	struct route_conn *c = conn_of(s, fd);

	if (!c)
		return;
	free(c->bytes);
	*c = (struct route_conn){.dirty = c->dirty};
	route_close(s, &fd);
}

/* Hands the kernel what it takes; how many bytes, or -1 when the connection has failed. */
static ssize_t conn_send(struct route_shell *s, int fd)
{
	struct route_conn *c = &s->conns[fd];
	const ssize_t n = c->n ? send(fd, c->bytes + c->head, c->n, MSG_NOSIGNAL) : 0;
	bool blocked;

	if (n < 0 && errno != EAGAIN && errno != EINTR)
		return -1; /* the reader hears the reason */
	if (n > 0) {
		c->head += (size_t)n;
		c->n -= (size_t)n;
	}
	if (c->n == 0)
		c->head = 0;
	blocked = c->n > 0;
	if (blocked != c->blocked) {
		c->blocked = blocked;
		loop_modify(&s->child.loop, fd, EPOLLIN | (blocked ? EPOLLOUT : 0));
	}
	return n > 0 ? n : 0;
}

static bool conn_queue(struct route_shell *s, int fd, const uint8_t *bytes, size_t size)
{
	struct route_conn *c = conn_of(s, fd);
	int *place;

	if (!c)
		return false;
	if (c->head + c->n + size > c->size) {
		const size_t room = 2 * (c->n + size);
		uint8_t *grown = malloc(room);

		if (!grown)
			return false;
		if (c->n)
			memcpy(grown, c->bytes + c->head, c->n);
		free(c->bytes);
		c->bytes = grown;
		c->size = room;
		c->head = 0;
	}
	memcpy(c->bytes + c->head + c->n, bytes, size);
	c->n += size;
	if (c->dirty)
		return true;
	place = array_add(&s->dirty, &s->n_dirty, &s->dirty_size, sizeof(*place), 16);
	if (!place)
		return false;
	*place = fd;
	c->dirty = true;
	return true;
}

static void end_conn(struct route_shell *s, int fd, const char *why)
{
	struct bgp_event ev = {.type = BGP_EV_CLOSED, .conn = (uint32_t)fd};
	const struct route_conn *c = conn_of(s, fd);

	if (!c)
		return;
	ev.neighbor = c->tunnel;
	snprintf(ev.text, sizeof(ev.text), "%s", why);
	conn_close(s, fd);
	route_bgp_step(s, &ev);
}

static void on_conn(void *ctx, int fd, uint32_t events)
{
	static uint8_t bytes[READ_SIZE];
	struct route_shell *s = ctx;
	struct bgp_event ev = {.type = BGP_EV_DATA, .conn = (uint32_t)fd};
	ssize_t n;

	if ((events & EPOLLOUT) && conn_of(s, fd)) {
		struct bgp_event sent = {.type = BGP_EV_SENT, .conn = (uint32_t)fd};

		n = conn_send(s, fd);
		sent.sent = n > 0 ? (size_t)n : 0;
		if (n > 0)
			route_bgp_step(s, &sent);
	}
	if (!(events & (EPOLLIN | EPOLLERR | EPOLLHUP)) || !conn_of(s, fd))
		return;
	n = recv(fd, bytes, sizeof(bytes), 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		end_conn(s, fd, n < 0 ? strerror(errno) : "the neighbor closed the connection");
		return;
	}
	ev.data.bytes = bytes;
	ev.data.size = (size_t)n;
	route_bgp_step(s, &ev);
}

static void on_listener(void *ctx, int fd, uint32_t events)
{
	struct route_shell *s = ctx;

	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		struct sockaddr_storage local, remote;
		socklen_t n_local = sizeof(local), n_remote = sizeof(remote);
		const int sock = accept4(fd, (struct sockaddr *)&remote, &n_remote,
					 SOCK_CLOEXEC | SOCK_NONBLOCK);
		struct bgp_event ev = {.type = BGP_EV_ACCEPTED, .conn = (uint32_t)sock};

		if (sock < 0)
			return;
		if (getsockname(sock, (struct sockaddr *)&local, &n_local) != 0 ||
		    !conn_open(s, sock, NO_TUNNEL)) {
			close(sock);
			continue;
		}
		ev.accepted.local = route_address(&local);
		ev.accepted.remote = route_address(&remote);
		route_bgp_step(s, &ev);
	}
}

bool route_bgp_listen(struct route_shell *s, struct route_tunnel *t)
{
	return route_watch(s, t, t->listener, EPOLLIN, on_listener);
}

/* ---------------------------------------------------------------- connecting */

static void connect_failed(struct route_shell *s, struct route_tunnel *t, int error)
{
	struct bgp_event ev = {
		.type = BGP_EV_CLOSED,
		.neighbor = t->cfg->index,
		.conn = BGP_CONN_NONE,
	};

	snprintf(ev.text, sizeof(ev.text), "%s", strerror(error));
	route_bgp_step(s, &ev);
}

static void on_connected(void *ctx, int fd, uint32_t events)
{
	struct route_shell *s = ctx;
	struct route_tunnel *t = route_by_fd(s, fd);
	socklen_t size = sizeof(int);
	int error = 0;

	loop_remove(&s->child.loop, fd);
	if (!t || !t->cfg || t->connecting != fd) {
		close(fd);
		return;
	}
	t->connecting = -1;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
		error = errno;
	if (error == 0 && !conn_open(s, fd, t->cfg->index))
		error = ENOMEM;
	if (error != 0) {
		close(fd);
		connect_failed(s, t, error);
	} else {
		struct bgp_event ev = {
			.type = BGP_EV_CONNECTED,
			.neighbor = t->cfg->index,
			.conn = (uint32_t)fd,
		};

		route_bgp_step(s, &ev);
	}
}

void route_bgp_connecting(struct route_shell *s, struct route_tunnel *t, int fd, int error)
{
	if (fd < 0) {
		connect_failed(s, t, error);
		return;
	}
	if (route_watch(s, t, fd, EPOLLOUT, on_connected)) {
		t->connecting = fd;
		return;
	}
	error = errno;
	close(fd);
	connect_failed(s, t, error);
}

static void stop_connecting(struct route_shell *s, struct route_tunnel *t)
{
	route_close(s, &t->connecting);
	if (t->connect_asked) {
		t->connect_asked = false;
		t->n_stale++;
	}
}

/* ------------------------------------------------------------------ actions */

static void close_wanted(struct route_shell *s, struct route_tunnel *t, uint32_t conn)
{
	if (conn == BGP_CONN_NONE) {
		if (t)
			stop_connecting(s, t);
		return;
	}
	struct route_conn *c = conn_of(s, (int)conn);

	if (!c)
		return;
	/* A last NOTIFICATION goes if there is room for it: who does not read does not miss it. */
	(void)conn_send(s, (int)conn);
	free(c->bytes);
	*c = (struct route_conn){.dirty = c->dirty};
	loop_remove(&s->child.loop, (int)conn);
	route_linger(s, (int)conn);
}

static void carry_out(struct route_shell *s, const struct bgp_action *a)
{
	struct route_tunnel *t = route_tunnel(s, a->neighbor);

	switch (a->type) {
	case BGP_ACT_CONNECT:
		if (t && t->cfg) {
			t->connect_asked = true;
			route_want(s, t, IPC_SOCKET_BGP_CONNECT);
		}
		break;
	case BGP_ACT_SEND:
		if (!conn_queue(s, (int)a->conn, a->send.bytes, a->send.size))
			log_error("out of memory: a message to a BGP neighbor was lost");
		break;
	case BGP_ACT_CLOSE: close_wanted(s, t, a->conn); break;
	case BGP_ACT_UP: route_step_tunnel(s, RT_EV_BGP_UP, a->neighbor); break;
	case BGP_ACT_DOWN: route_step_tunnel(s, RT_EV_BGP_DOWN, a->neighbor); break;
	case BGP_ACT_EVENT:
		route_tell(s, a->event.level, a->event.name, a->neighbor, a->event.text, NULL);
		break;
	}
}

static void carry_out_all(struct route_shell *s)
{
	for (size_t i = 0; i < s->bgp_out.n; i++)
		carry_out(s, &s->bgp_out.actions[i]);
	if (s->bgp_out.overflow)
		log_error("out of memory: a BGP session may be stuck until its hold timer ends it");
	bgp_out_reset(&s->bgp_out);
}

void route_bgp_step(struct route_shell *s, struct bgp_event *ev)
{
	ev->now = mono_now();
	bgp_step(s->bgp, ev, &s->bgp_out);
	carry_out_all(s);
}

void route_bgp_settle(struct route_shell *s, struct route_tunnel *t, bool by_bfd)
{
	const bool wanted = t->bgp.on && t->up && !t->bfd_down && !t->stopped;
	struct bgp_event ev = {
		.type = wanted ? BGP_EV_START : BGP_EV_LINK_DOWN,
		.neighbor = t->cfg->index,
		.by_bfd = by_bfd,
	};

	if (!s->speaks || wanted == t->bgp_wanted)
		return;
	t->bgp_wanted = wanted;
	route_bgp_step(s, &ev);
}

/* -------------------------------------------------------------- life cycle */

bool route_bgp_configure(struct route_shell *s)
{
	struct bgp_cfg cfg = {
		.id = translate_router_id(&s->config->bgp_router_id),
		.restarting = s->resumed,
	};
	struct bgp_neighbor_cfg *neighbors;
	bool ok;

	neighbors = calloc(s->n_tunnels + 1, sizeof(*neighbors));
	if (!neighbors)
		return false;
	for (size_t i = 0; i < s->n_tunnels; i++) {
		const struct route_tunnel *t = s->tunnels[i];

		if (t && t->cfg && t->bgp.on)
			translate_bgp_neighbor(t->cfg, t->preferred, t->password != NULL,
					       &neighbors[cfg.n_neighbors++]);
	}
	cfg.neighbors = neighbors;
	ok = bgp_configure(s->bgp, &cfg, mono_now(), &s->bgp_out);
	free(neighbors);
	carry_out_all(s);
	for (size_t i = 0; i < s->n_tunnels; i++) {
		if (s->tunnels[i] && s->tunnels[i]->cfg)
			route_bgp_settle(s, s->tunnels[i], false);
	}
	return ok;
}

static void send_dirty(struct route_shell *s)
{
	size_t n = s->n_dirty;

	for (size_t i = 0; i < n; i++) {
		const int fd = s->dirty[i];
		struct route_conn *c = &s->conns[fd];
		struct bgp_event ev = {.type = BGP_EV_SENT, .conn = (uint32_t)fd};
		ssize_t sent;

		c->dirty = false;
		if (!c->open || c->blocked)
			continue;
		sent = conn_send(s, fd);
		if (sent > 0) {
			ev.sent = (size_t)sent;
			route_bgp_step(s, &ev);
		}
	}
	s->n_dirty -= n;
	memmove(s->dirty, s->dirty + n, s->n_dirty * sizeof(*s->dirty));
}

static void ask_for_refresh(struct route_shell *s)
{
	for (size_t i = 0; i < s->n_tunnels; i++) {
		struct route_tunnel *t = s->tunnels[i];
		struct bgp_event ev = {.type = BGP_EV_REFRESH, .neighbor = (uint32_t)i};
		struct bgp_event reset = {.type = BGP_EV_RESET, .neighbor = (uint32_t)i};

		if (t && t->reset && t->cfg && t->bgp.on)
			route_bgp_step(s, &reset);
		if (t)
			t->reset = false;
		if (!t || !t->refresh)
			continue;
		t->refresh = false;
		for (int f = 0; t->bgp.on && f < BGP_N_FAMILIES; f++) {
			ev.family = (enum bgp_family)f;
			route_bgp_step(s, &ev);
		}
	}
}

void route_bgp_turn(struct route_shell *s, struct mono now)
{
	if (s->bgp_changed) {
		s->bgp_changed = false;
		if (!route_bgp_configure(s))
			log_error("out of memory: BGP neighbors keep their earlier settings");
		ask_for_refresh(s);
	}
	if (mono_reached(now, bgp_deadline(s->bgp))) {
		struct bgp_event ev = {.type = BGP_EV_TICK};

		route_bgp_step(s, &ev);
	}
	send_dirty(s);
	route_linger_turn(s, now);
}

struct mono route_bgp_deadline(const struct route_shell *s)
{
	return s->n_dirty > 0 || s->bgp_changed
		       ? (struct mono){0}
		       : mono_min(bgp_deadline(s->bgp), route_linger_deadline(s));
}

bool route_bgp_init(struct route_shell *s)
{
	const struct bgp_sink sink = {
		.ctx = s,
		.announce = on_announce,
		.withdraw = on_withdraw,
		.up = on_up,
		.stale = on_stale,
		.purge = on_purge,
		.end_of_rib = on_end_of_rib,
	};

	s->bgp = bgp_new(s->paths, &sink, route_draw, NULL, log_tracer());
	return s->bgp != NULL;
}

void route_bgp_fini(struct route_shell *s)
{
	for (size_t fd = 0; fd < s->n_conns; fd++)
		conn_close(s, (int)fd);
	route_linger_fini(s);
	free(s->conns);
	free(s->dirty);
	bgp_free(s->bgp);
	bgp_out_fini(&s->bgp_out);
}
