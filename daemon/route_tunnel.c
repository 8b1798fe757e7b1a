/* SPDX-License-Identifier: Apache-2.0 */
/*
 * route_tunnel: what the route process keeps of each tunnel, and the sockets between its inside
 * addresses. They are opened by the supervisor (daemon/sup_inside.c) and come as messages, in the order
 * in which they were asked for.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/array.h"
#include "daemon/route_int.h"

#define RETRY_S       5u
#define PASSWORD_ROOM (IPC_PASSWORD_MAX + 3u) /* a line's end, and one that is too many */

struct route_tunnel *route_tunnel(const struct route_shell *s, uint32_t tunnel)
{
	return tunnel < s->n_tunnels ? s->tunnels[tunnel] : NULL;
}

struct route_tunnel *route_tunnel_get(struct route_shell *s, uint32_t tunnel)
{
	struct route_tunnel *t;

	if (tunnel >= ROUTE_MAX_TUNNELS ||
	    !array_reach(&s->tunnels, &s->n_tunnels, tunnel, sizeof(struct route_tunnel *)))
		return NULL;
	if (s->tunnels[tunnel])
		return s->tunnels[tunnel];
	t = calloc(1, sizeof(*t));
	if (t)
		*t = (struct route_tunnel){
			.listener = -1,
			.bfd_in = -1,
			.bfd_out = -1,
			.connecting = -1,
			.echo = -1,
			.probing = {.at = MONO_NEVER},
			.retry_at = MONO_NEVER,
		};
	s->tunnels[tunnel] = t;
	return t;
}

bool route_watch(struct route_shell *s, struct route_tunnel *t, int fd, uint32_t events,
		 loop_fn *fn)
{
	if (!array_reach(&s->fd_tunnels, &s->n_fd_tunnels, (size_t)fd, sizeof(*s->fd_tunnels)))
		return false;
	s->fd_tunnels[fd] = t->cfg->index;
	return loop_add(&s->child.loop, fd, events, fn, s);
}

struct route_tunnel *route_by_fd(const struct route_shell *s, int fd)
{
	return route_tunnel(s, s->fd_tunnels[fd]);
}

struct ip_addr route_address(const struct sockaddr_storage *a)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)a;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)a;

	return a->ss_family == AF_INET ? ip_from_bytes(IP_V4, (const uint8_t *)&v4->sin_addr)
				       : ip_from_bytes(IP_V6, (const uint8_t *)&v6->sin6_addr);
}

uint32_t route_draw(void *ctx)
{
	uint32_t v;

	random_bytes_fill(&v, sizeof(v));
	return v;
}

void route_close(struct route_shell *s, int *fd)
{
	if (*fd < 0)
		return;
	loop_remove(&s->child.loop, *fd);
	close(*fd);
	*fd = -1;
}

/* ---------------------------------------------------------------- passwords */

/* The line in an open file, without its end. Not more than PASSWORD_ROOM bytes; -1 with errno. */
static ssize_t read_line(int fd, uint8_t *out)
{
	ssize_t n = pread(fd, out, PASSWORD_ROOM, 0);

	if (n > 0 && out[n - 1] == '\n')
		n--;
	if (n > 0 && out[n - 1] == '\r')
		n--;
	return n;
}

void route_take_secret(struct route_shell *s, struct ipc_msg *msg)
{
	struct route_password *p;
	uint8_t line[PASSWORD_ROOM];
	struct ipc_secret head;
	ssize_t n;

	if (msg->h.size != sizeof(head) || msg->n_fds != 1)
		return;
	memcpy(&head, msg->body, sizeof(head));
	if (head.kind != IPC_SECRET_BGP_PASSWORD || !ipc_name_ok(head.tunnel))
		return;
	n = read_line(msg->fds[0], line);
	if (n <= 0 || n > (ssize_t)IPC_PASSWORD_MAX) {
		log_error("tunnel '%s': its BGP password file must hold one line of 1 to %u "
			  "characters: its session is not made",
			  head.tunnel, IPC_PASSWORD_MAX);
		n = 0;
	}
	p = array_add(&s->passwords, &s->n_passwords, &s->passwords_size, sizeof(*p), 8);
	if (p) {
		memcpy(p->tunnel, head.tunnel, sizeof(p->tunnel));
		p->secret = n > 0 ? secret_from(line, (size_t)n) : NULL;
	}
	bytes_wipe(line, sizeof(line));
}

static void forget_passwords(struct route_shell *s)
{
	for (size_t i = 0; i < s->n_passwords; i++)
		secret_free(s->passwords[i].secret);
	s->n_passwords = 0;
}

/* The tunnel's own of those that came; true if it is another one than before. */
static bool take_password(struct route_shell *s, struct route_tunnel *t)
{
	struct secret *new = NULL;
	bool same;

	for (size_t i = 0; t->cfg && i < s->n_passwords; i++) {
		if (strcmp(s->passwords[i].tunnel, t->cfg->name) != 0)
			continue;
		new = s->passwords[i].secret;
		s->passwords[i].secret = NULL;
	}
	same = secret_size(new) == secret_size(t->password) &&
	       (!new || secret_equal(new, t->password));
	secret_free(t->password);
	t->password = new;
	return !same;
}

/* A file was named, but there is nothing good in it: no session without a signature. */
static bool lacks_password(const struct route_tunnel *t)
{
	return config_n_files(t->cfg, CONFIG_FILE_BGP_PASSWORD) > 0 && !t->password;
}

/* ------------------------------------------------------------------ sockets */

void route_want(struct route_shell *s, struct route_tunnel *t, enum ipc_socket_kind kind)
{
	struct ipc_socket_want want = {.kind = kind, .tunnel = t->cfg->index};
	const size_t size = kind == IPC_SOCKET_BFD ? 0 : secret_size(t->password);

	want.password_size = (uint32_t)size;
	if (size > 0)
		memcpy(want.password, secret_data(t->password), size);
	if (!ipc_send(IPC_CHANNEL_FD, IPC_SOCKET_WANT, 0, 0, &want, sizeof(want), NULL, 0))
		log_error("the supervisor does not listen: %s", strerror(errno));
	bytes_wipe(&want, sizeof(want));
}

void route_want_linux(void)
{
	const struct ipc_socket_want want = {.kind = IPC_SOCKET_LINUX, .tunnel = UINT32_MAX};

	if (!ipc_send(IPC_CHANNEL_FD, IPC_SOCKET_WANT, 0, 0, &want, sizeof(want), NULL, 0))
		log_error("the supervisor does not listen: %s", strerror(errno));
}

static void want_listener(struct route_shell *s, struct route_tunnel *t)
{
	if (!t->bgp.on || t->listener >= 0 || t->listener_asked || lacks_password(t))
		return;
	t->listener_asked = true;
	route_want(s, t, IPC_SOCKET_BGP_LISTEN);
}

/* There is no interface to bind to before the dataplane has made it. */
static void want_bfd(struct route_shell *s, struct route_tunnel *t)
{
	if (!t->bfd.on || t->bfd_in >= 0 || t->bfd_asked || !t->has_interface)
		return;
	t->bfd_asked = true;
	route_want(s, t, IPC_SOCKET_BFD);
}

static void want_echo(struct route_shell *s, struct route_tunnel *t)
{
	if (!t->probe.on || t->echo >= 0 || t->echo_asked || !t->has_interface)
		return;
	t->echo_asked = true;
	route_want(s, t, IPC_SOCKET_PROBE);
}

static void retry_later(struct route_shell *s, struct route_tunnel *t, const char *what, int error)
{
	char text[200];

	snprintf(text, sizeof(text), "cannot open the socket of %s: %s%s", what, strerror(error),
		 error == EADDRINUSE ? ": another program uses the port on the inside address"
				     : "");
	route_tell(s, LOG_LEVEL_WARN, "inside-socket", t->cfg->index, text, NULL);
	t->retry_at = mono_add(mono_now(), span_s(RETRY_S));
	s->retry_at = mono_min(s->retry_at, t->retry_at);
}

static void take_listener(struct route_shell *s, struct route_tunnel *t, struct ipc_msg *msg,
			  int error)
{
	t->listener_asked = false;
	if (!t->bgp.on || t->listener >= 0)
		return;
	t->listener = ipc_msg_take_fd(msg, 0);
	if (t->listener < 0)
		retry_later(s, t, "BGP", error);
	else if (!route_bgp_listen(s, t))
		route_close(s, &t->listener);
}

static void take_bfd(struct route_shell *s, struct route_tunnel *t, struct ipc_msg *msg, int error)
{
	t->bfd_asked = false;
	if (!t->bfd.on || t->bfd_in >= 0)
		return;
	t->bfd_in = ipc_msg_take_fd(msg, 0);
	t->bfd_out = ipc_msg_take_fd(msg, 1);
	if (t->bfd_in >= 0 && t->bfd_out >= 0 && route_bfd_listen(s, t))
		return;
	route_close(s, &t->bfd_in);
	route_close(s, &t->bfd_out);
	retry_later(s, t, "BFD", error);
}

static void take_echo(struct route_shell *s, struct route_tunnel *t, struct ipc_msg *msg, int error)
{
	t->echo_asked = false;
	if (!t->probe.on || t->echo >= 0)
		return;
	t->echo = ipc_msg_take_fd(msg, 0);
	if (t->echo >= 0 && !route_probe_listen(s, t))
		route_close(s, &t->echo);
	if (t->echo < 0)
		retry_later(s, t, "the probe", error);
	route_probe_settle(s, t);
}

static void take_connecting(struct route_shell *s, struct route_tunnel *t, struct ipc_msg *msg,
			    int error)
{
	if (t->n_stale > 0) {
		t->n_stale--;
		return;
	}
	if (!t->connect_asked)
		return;
	t->connect_asked = false;
	route_bgp_connecting(s, t, ipc_msg_take_fd(msg, 0), error);
}

void route_take_socket(struct route_shell *s, struct ipc_msg *msg)
{
	struct ipc_socket head;
	struct route_tunnel *t;

	if (msg->h.size != sizeof(head))
		return;
	memcpy(&head, msg->body, sizeof(head));
	if (head.kind == IPC_SOCKET_LINUX) {
		route_linux_take(s, msg, (int)head.error);
		return;
	}
	t = route_tunnel(s, head.tunnel);
	/* What is for a tunnel that has gone meanwhile is closed with the message. */
	if (!t || !t->cfg)
		return;
	switch ((int)head.kind) {
	case IPC_SOCKET_BGP_LISTEN: take_listener(s, t, msg, (int)head.error); break;
	case IPC_SOCKET_BGP_CONNECT: take_connecting(s, t, msg, (int)head.error); break;
	case IPC_SOCKET_BFD: take_bfd(s, t, msg, (int)head.error); break;
	case IPC_SOCKET_PROBE: take_echo(s, t, msg, (int)head.error); break;
	default: break;
	}
}

void route_tunnels_turn(struct route_shell *s, struct mono now)
{
	if (!s->child.started || !mono_reached(now, s->retry_at))
		return;
	s->retry_at = MONO_NEVER;
	for (size_t i = 0; i < s->n_tunnels; i++) {
		struct route_tunnel *t = s->tunnels[i];

		if (!t || !t->cfg)
			continue;
		if (mono_reached(now, t->retry_at)) {
			t->retry_at = MONO_NEVER;
			want_listener(s, t);
			want_bfd(s, t);
			want_echo(s, t);
		}
		s->retry_at = mono_min(s->retry_at, t->retry_at);
	}
}

/* ------------------------------------------------------------ configuration */

static bool same_ends(const struct config_bgp *a, const struct config_bgp *b)
{
	return a->on == b->on && a->ttl_security == b->ttl_security &&
	       ip_equal(&a->local, &b->local) && ip_equal(&a->neighbor, &b->neighbor);
}

static void close_bfd(struct route_shell *s, struct route_tunnel *t)
{
	route_close(s, &t->bfd_in);
	route_close(s, &t->bfd_out);
}

static void close_echo(struct route_shell *s, struct route_tunnel *t)
{
	route_close(s, &t->echo);
	route_probe_settle(s, t);
}

static bool same_probe(const struct config_probe *a, const struct config_probe *b)
{
	return a->on == b->on && a->interval.ns == b->interval.ns && a->failures == b->failures &&
	       ip_equal(&a->local, &b->local) && ip_equal(&a->address, &b->address);
}

static void configure_one(struct route_shell *s, struct route_tunnel *t)
{
	static const struct config_bgp no_bgp;
	static const struct config_bfd no_bfd;
	static const struct config_probe no_probe;
	const struct config_bgp *bgp = t->cfg ? &t->cfg->bgp : &no_bgp;
	const struct config_bfd *bfd = t->cfg ? &t->cfg->bfd : &no_bfd;
	const struct config_probe *probe = t->cfg ? &t->cfg->probe : &no_probe;
	const bool new_password = take_password(s, t);

	if (!same_ends(bgp, &t->bgp) || new_password)
		route_close(s, &t->listener);
	if (bfd->on != t->bfd.on || bfd->multihop != t->bfd.multihop ||
	    !ip_equal(&bfd->local, &t->bfd.local) || !ip_equal(&bfd->neighbor, &t->bfd.neighbor))
		close_bfd(s, t);
	if (new_password && t->bgp_wanted && t->bgp.on && bgp->on) {
		struct bgp_event ev = {.type = BGP_EV_RESET, .neighbor = t->cfg->index};

		route_bgp_step(s, &ev);
	}
	if (!same_probe(probe, &t->probe))
		close_echo(s, t);
	t->bgp = *bgp;
	t->bfd = *bfd;
	t->probe = *probe;
	if (!bgp->on)
		t->bgp_wanted = t->stopped = t->preferred = false;
	if (!bfd->on)
		t->bfd_down = false;
	t->retry_at = MONO_NEVER;
}

void route_tunnels_configure(struct route_shell *s)
{
	for (size_t i = 0; i < s->n_tunnels; i++) {
		if (s->tunnels[i])
			s->tunnels[i]->cfg = NULL;
	}
	for (size_t i = 0; i < s->config->n_connections; i++) {
		const struct config_connection *c = &s->config->connections[i];

		for (size_t j = 0; j < c->n_tunnels; j++) {
			struct route_tunnel *t = route_tunnel_get(s, c->tunnels[j].index);

			if (t) {
				t->cfg = &c->tunnels[j];
				t->by_linux = c->linux_import;
			} else {
				log_error("out of memory: tunnel '%s' is not routed",
					  c->tunnels[j].name);
			}
		}
	}
	for (size_t i = 0; i < s->n_tunnels; i++) {
		if (s->tunnels[i])
			configure_one(s, s->tunnels[i]);
	}
	forget_passwords(s);
	/* Whatever is missing now is asked for in the next turn. */
	for (size_t i = 0; i < s->n_tunnels; i++) {
		if (s->tunnels[i])
			s->tunnels[i]->retry_at = (struct mono){0};
	}
	s->retry_at = (struct mono){0};
}

/* ------------------------------------------------------------------- states */

void route_tunnel_state(struct route_shell *s, uint32_t tunnel, bool up)
{
	struct route_tunnel *t = route_tunnel_get(s, tunnel);
	struct bfd_event lost = {.type = BFD_EV_PATH_DOWN, .session = tunnel};

	if (!t) {
		log_error("out of memory: the state of tunnel %u was lost", tunnel);
		return;
	}
	/* IKE has just reached the peer: a verdict of BFD that is older counts no more (RFC 5882 3.2). */
	if (up && !t->up && t->bfd_down) {
		t->bfd_down = false;
		route_step_tunnel(s, RT_EV_BFD_ADMIN, tunnel);
	}
	t->heard = true;
	t->up = up;
	route_step_tunnel(s, up ? RT_EV_TUNNEL_UP : RT_EV_TUNNEL_DOWN, tunnel);
	if (!t->cfg)
		return;
	if (!up && t->bfd.on)
		route_bfd_step(s, &lost);
	route_probe_settle(s, t);
	route_bgp_settle(s, t, false);
}

void route_tunnel_set(struct route_shell *s, uint32_t tunnel, uint32_t request)
{
	struct route_tunnel *t = route_tunnel_get(s, tunnel);

	if (!t)
		return;
	if (t->set_request == 0)
		s->n_set_requests++;
	t->set_request = request;
	t->has_interface = false;
	/* Addresses and the interface may be others from now on. */
	close_bfd(s, t);
	close_echo(s, t);
}

void route_tunnel_answer(struct route_shell *s, uint32_t request, bool ok)
{
	for (size_t i = 0; s->n_set_requests > 0 && i < s->n_tunnels; i++) {
		struct route_tunnel *t = s->tunnels[i];

		if (!t || t->set_request != request)
			continue;
		t->set_request = 0;
		s->n_set_requests--;
		t->has_interface = ok;
		if (t->cfg) {
			want_bfd(s, t);
			want_echo(s, t);
		}
		return;
	}
}

void route_tunnels_lost(struct route_shell *s)
{
	for (size_t i = 0; i < s->n_tunnels; i++) {
		struct route_tunnel *t = s->tunnels[i];

		if (!t)
			continue;
		t->has_interface = false;
		t->set_request = 0;
		close_bfd(s, t);
		close_echo(s, t);
	}
	s->n_set_requests = 0;
}

void route_tunnels_fini(struct route_shell *s)
{
	for (size_t i = 0; i < s->n_tunnels; i++) {
		struct route_tunnel *t = s->tunnels[i];

		if (!t)
			continue;
		route_close(s, &t->listener);
		route_close(s, &t->connecting);
		close_bfd(s, t);
		route_close(s, &t->echo);
		secret_free(t->password);
		free(t);
	}
	free(s->tunnels);
	free(s->fd_tunnels);
	forget_passwords(s);
	free(s->passwords);
}
