/* SPDX-License-Identifier: Apache-2.0 */
/*
 * route_bfd: the BFD core on the sockets of tunnels. A session has its tunnel's number.
 *
 * When BFD falls, the routing core hears of it first: traffic moves, then the BGP session ends.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "daemon/route_int.h"
#include "daemon/translate.h"

#define PACKETS_PER_TURN 32
#define PACKET_ROOM      128 /* more than RFC 5880 4.1 allows: then the length is wrong */

static void tell_state(struct route_shell *s, const struct bfd_action *a)
{
	const bool up = a->state.to == BFD_UP;
	char text[200];

	if (!up && a->state.from != BFD_UP)
		return;
	if (up)
		snprintf(text, sizeof(text), "BFD is up");
	else if (a->state.peer_admin_down)
		snprintf(text, sizeof(text), "BFD is down: the peer has switched it off");
	else
		snprintf(text, sizeof(text), "BFD is down: %s",
			 bfd_diagnostic_name(a->state.diagnostic));
	route_tell(s, up ? LOG_LEVEL_INFO : LOG_LEVEL_WARN, up ? "bfd-up" : "bfd-down", a->session,
		   text, NULL);
}

static void on_state(struct route_shell *s, const struct bfd_action *a)
{
	struct route_tunnel *t = route_tunnel(s, a->session);
	const bool was_up = a->state.from == BFD_UP, up = a->state.to == BFD_UP;

	if (!t || !t->cfg)
		return;
	if (up) {
		t->bfd_down = false;
		route_step_tunnel(s, RT_EV_BFD_UP, a->session);
	} else if (a->state.peer_admin_down || a->state.to == BFD_ADMIN_DOWN) {
		/* RFC 5882 3.2: no failure; nothing is known any more. */
		t->bfd_down = false;
		route_step_tunnel(s, RT_EV_BFD_ADMIN, a->session);
	} else if (was_up) {
		t->bfd_down = true;
		route_step_tunnel(s, RT_EV_BFD_DOWN, a->session);
	}
	route_bgp_settle(s, t, was_up);
	tell_state(s, a);
}

static void send_packet(struct route_shell *s, const struct bfd_action *a)
{
	const struct route_tunnel *t = route_tunnel(s, a->session);

	/* Without an interface, or while it has no address: the peer will miss it and say so. */
	if (t && t->bfd_out >= 0)
		(void)send(t->bfd_out, a->send.data, sizeof(a->send.data), MSG_NOSIGNAL);
}

static void carry_out(struct route_shell *s)
{
	for (size_t i = 0; i < s->bfd_out.n; i++) {
		if (s->bfd_out.actions[i].type == BFD_ACT_SEND)
			send_packet(s, &s->bfd_out.actions[i]);
	}
	for (size_t i = 0; i < s->bfd_out.n; i++) {
		/* Copied: what follows may lead to further steps. */
		const struct bfd_action a = s->bfd_out.actions[i];

		if (a.type == BFD_ACT_STATE)
			on_state(s, &a);
	}
	if (s->bfd_out.overflow)
		log_error("out of memory: a change of BFD was lost");
	bfd_out_reset(&s->bfd_out);
}

void route_bfd_step(struct route_shell *s, struct bfd_event *ev)
{
	ev->now = mono_now();
	bfd_step(s->bfd, ev, &s->bfd_out);
	carry_out(s);
}

/* ----------------------------------------------------------------- sockets */

static uint8_t ttl_of(struct msghdr *m)
{
	int ttl = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TTL) ||
		    (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_HOPLIMIT))
			memcpy(&ttl, CMSG_DATA(c), sizeof(ttl));
	}
	return (uint8_t)ttl;
}

static void on_packets(void *ctx, int fd, uint32_t events)
{
	struct route_shell *s = ctx;

	for (int i = 0; i < PACKETS_PER_TURN; i++) {
		const struct route_tunnel *t = route_by_fd(s, fd);
		uint8_t bytes[PACKET_ROOM], control[CMSG_SPACE(sizeof(int)) * 2];
		struct sockaddr_storage from;
		struct iovec iov = {bytes, sizeof(bytes)};
		struct msghdr m = {
			.msg_name = &from,
			.msg_namelen = sizeof(from),
			.msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = control,
			.msg_controllen = sizeof(control),
		};
		const ssize_t n = t ? recvmsg(fd, &m, 0) : -1;
		struct bfd_event ev = {.type = BFD_EV_PACKET};

		if (n < 0)
			return;
		ev.packet.local = t->bfd.local;
		ev.packet.remote = route_address(&from);
		ev.packet.ttl = ttl_of(&m);
		ev.packet.multihop = t->bfd.multihop;
		ev.packet.data = bytes;
		ev.packet.size = (size_t)n;
		route_bfd_step(s, &ev);
	}
}

bool route_bfd_listen(struct route_shell *s, struct route_tunnel *t)
{
	return route_watch(s, t, t->bfd_in, EPOLLIN, on_packets);
}

/* -------------------------------------------------------------- life cycle */

bool route_bfd_configure(struct route_shell *s)
{
	struct bfd_session_cfg *sessions = calloc(s->n_tunnels + 1, sizeof(*sessions));
	size_t n = 0;
	bool ok;

	if (!sessions)
		return false;
	for (size_t i = 0; i < s->n_tunnels; i++) {
		const struct route_tunnel *t = s->tunnels[i];

		if (t && t->cfg && t->bfd.on)
			translate_bfd_session(t->cfg, &sessions[n++]);
	}
	ok = bfd_configure(s->bfd, sessions, n, mono_now(), &s->bfd_out);
	free(sessions);
	carry_out(s);
	return ok;
}

void route_bfd_turn(struct route_shell *s, struct mono now)
{
	struct bfd_event ev = {.type = BFD_EV_TICK};

	if (mono_reached(now, bfd_deadline(s->bfd)))
		route_bfd_step(s, &ev);
}

bool route_bfd_init(struct route_shell *s)
{
	s->bfd = bfd_new(route_draw, NULL, log_tracer());
	return s->bfd != NULL;
}

void route_bfd_fini(struct route_shell *s)
{
	bfd_free(s->bfd);
	bfd_out_fini(&s->bfd_out);
}
