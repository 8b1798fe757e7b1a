/* SPDX-License-Identifier: Apache-2.0 */
/*
 * speaker: the BGP and BFD cores on real sockets, for tests with other implementations. One
 * neighbour, on its own port 179; what happens is told on standard output, a line each:
 *
 *	up, session CAPABILITIES, down, event NAME: TEXT, announce PREFIX as PATH next-hop ADDR
 *	ATTRIBUTES, withdraw PREFIX, end-of-rib FAMILY, stale FAMILY, purge FAMILY, bfd STATE
 *
 * usage: speaker LOCAL REMOTE LOCAL_AS REMOTE_AS [OPTION...] [PREFIX...]; speaker_options.c has them.
 *
 * Commands come by the FIFO of --commands, a line each: "advertise PREFIX", "withdraw PREFIX",
 * "many N", "refresh 4|6", "stop TEXT", "start", "reset", "med N", "graceful-shutdown",
 * "bfd-admin-down", "bfd-admin-up", "show", "quit".
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "tests/bgp/sockets.h"
#include "tests/bgp/speaker.h"

#define PORT        179
#define NEAREST_TTL 255
#define BFD_LOCAL   49152 /* RFC 5881 4 */

static uint32_t draw(void *ctx)
{
	uint32_t v;

	if (getrandom(&v, sizeof(v), 0) != sizeof(v))
		abort();
	return v;
}

/* -------------------------------------------------------------------- sink */

static void on_up(void *ctx, uint32_t neighbor)
{
	struct speaker *s = ctx;

	for (size_t i = 0; i < s->n_prefixes; i++)
		bgp_advertise(s->bgp, neighbor, &s->prefixes[i], s->own);
	for (int f = 0; f < BGP_N_FAMILIES; f++)
		bgp_advertise_end(s->bgp, neighbor, (enum bgp_family)f);
}

/* ----------------------------------------------------------------- actions */

static void step(struct speaker *s, struct bgp_event *ev);

static void watch(struct speaker *s, int fd)
{
	if (fd >= SPEAKER_FD_MAX)
		sockets_die("too many descriptors");
	for (int i = 0; i < SPEAKER_FDS; i++) {
		if (s->fds[i].fd >= 0)
			continue;
		s->fds[i].fd = fd;
		s->io[fd].n_header = s->io[fd].rest = 0;
		return;
	}
	sockets_die("too many descriptors");
}

static void leave(struct speaker *s, int fd)
{
	for (int i = 0; i < SPEAKER_FDS; i++)
		if (s->fds[i].fd == fd)
			s->fds[i].fd = -1;
	s->io[fd].closing = s->io[fd].ended = false;
	s->io[fd].n = 0;
	close(fd);
}

static void flush(struct speaker *s, int fd)
{
	const ssize_t n = s->io[fd].n ? send(fd, s->io[fd].bytes, s->io[fd].n, MSG_NOSIGNAL) : 0;
	struct bgp_event ev = {.type = BGP_EV_SENT, .conn = (uint32_t)fd};

	if (n > 0) {
		s->io[fd].n -= (size_t)n;
		memmove(s->io[fd].bytes, s->io[fd].bytes + n, s->io[fd].n);
		ev.sent = (size_t)n;
	}
	if (s->io[fd].closing) {
		/* To close with something unread would reset the connection, and the peer forget
		 * what it has not read. */
		if (s->io[fd].n == 0) {
			shutdown(fd, SHUT_WR);
			s->io[fd].closing = false;
			s->io[fd].ended = true;
		} else if (n < 0 && errno != EAGAIN) {
			leave(s, fd);
		}
	} else if (n > 0) {
		step(s, &ev);
	}
}

static void secure(const struct speaker *s, int fd)
{
	if (s->password)
		sockets_md5(fd, &s->cfg.remote, s->password);
	if (s->cfg.ttl_security) {
		sockets_ttl(fd, &s->cfg.local, NEAREST_TTL);
		sockets_min_ttl(fd, &s->cfg.local, NEAREST_TTL + 1 - s->cfg.ttl_security);
	}
}

static void connect_out(struct speaker *s)
{
	const int fd = sockets_bound(&s->cfg.local, SOCK_STREAM, 0);
	struct sockaddr_storage ss;
	const socklen_t n = sockets_name(&s->cfg.remote, PORT, &ss);
	struct bgp_event ev = {.type = BGP_EV_CLOSED, .neighbor = NEIGHBOR, .conn = BGP_CONN_NONE};

	secure(s, fd);
	if (connect(fd, (struct sockaddr *)&ss, n) != 0 && errno != EINPROGRESS) {
		snprintf(ev.text, sizeof(ev.text), "%s", strerror(errno));
		close(fd);
		step(s, &ev);
		return;
	}
	s->connecting = fd;
	watch(s, fd);
}

static void send_later(struct speaker *s, int fd, const uint8_t *bytes, size_t size)
{
	s->io[fd].bytes = realloc(s->io[fd].bytes, s->io[fd].n + size);
	if (!s->io[fd].bytes)
		abort();
	memcpy(s->io[fd].bytes + s->io[fd].n, bytes, size);
	s->io[fd].n += size;
}

static void tell_session(const struct speaker *s)
{
	struct bgp_show_neighbor n;

	if (!bgp_show(s->bgp, NEIGHBOR, &n))
		return;
	printf("session as %u hold %u keepalive %u", n.remote_as,
	       (unsigned)(n.hold.ns / 1000000000), (unsigned)(n.keepalive.ns / 1000000000));
	printf("%s%s%s%s%s%s%s%s%s%s\n", n.families[0] ? " ipv4" : "", n.families[1] ? " ipv6" : "",
	       n.four_octet_as ? " as4" : "", n.route_refresh ? " refresh" : "",
	       n.enhanced_refresh ? " enhanced-refresh" : "",
	       n.extended_messages ? " extended" : "",
	       n.graceful_restart ? " graceful-restart" : "",
	       n.graceful_notification ? " graceful-notification" : "",
	       n.add_path[0] ? " add-path-ipv4" : "", n.add_path[1] ? " add-path-ipv6" : "");
}

static void carry_out(struct speaker *s, const struct bgp_out *out)
{
	bool connect_now = false, up = false;

	for (size_t i = 0; i < out->n; i++) {
		const struct bgp_action *a = &out->actions[i];

		switch (a->type) {
		case BGP_ACT_CONNECT: connect_now = true; break;
		case BGP_ACT_SEND: send_later(s, (int)a->conn, a->send.bytes, a->send.size); break;
		case BGP_ACT_CLOSE:
			if (a->conn != BGP_CONN_NONE) {
				s->io[a->conn].closing = true;
			} else {
				leave(s, s->connecting);
				s->connecting = -1;
			}
			break;
		case BGP_ACT_UP:
			up = true;
			printf("up\n");
			break;
		case BGP_ACT_DOWN: printf("down\n"); break;
		case BGP_ACT_EVENT: printf("event %s: %s\n", a->event.name, a->event.text); break;
		}
	}
	if (up)
		tell_session(s);
	if (connect_now)
		connect_out(s);
}

static void step(struct speaker *s, struct bgp_event *ev)
{
	struct bgp_out out = {0};

	ev->now = mono_now();
	bgp_step(s->bgp, ev, &out);
	carry_out(s, &out);
	bgp_out_fini(&out);
}

static void bfd_run(struct speaker *s, struct bfd_event *ev)
{
	struct bfd_out out = {0};

	ev->now = mono_now();
	bfd_step(s->bfd, ev, &out);
	for (size_t i = 0; i < out.n; i++) {
		const struct bfd_action *a = &out.actions[i];
		struct sockaddr_storage ss;
		struct bgp_event down = {
			.type = BGP_EV_LINK_DOWN, .neighbor = NEIGHBOR, .by_bfd = true};
		struct bgp_event start = {.type = BGP_EV_START, .neighbor = NEIGHBOR};

		if (a->type == BFD_ACT_SEND) {
			const socklen_t n = sockets_name(&a->send.remote, BFD_PORT, &ss);

			(void)sendto(s->bfd_tx, a->send.data, sizeof(a->send.data), 0,
				     (struct sockaddr *)&ss, n);
			continue;
		}
		printf("bfd %s at %.6f\n", bfd_state_name(a->state.to), (double)ev->now.ns / 1e9);
		if (a->state.from == BFD_UP && a->state.to == BFD_DOWN &&
		    !a->state.peer_admin_down) {
			step(s, &down);
			step(s, &start);
		}
	}
	bfd_out_fini(&out);
}

/* ------------------------------------------------------------------ events */

static void on_listener(struct speaker *s)
{
	struct sockaddr_storage from = {0};
	socklen_t n = sizeof(from);
	const int fd =
		accept4(s->listener, (struct sockaddr *)&from, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct bgp_event ev = {.type = BGP_EV_ACCEPTED, .conn = (uint32_t)fd};

	if (fd < 0)
		return;
	watch(s, fd);
	ev.accepted.local = s->cfg.local;
	ev.accepted.remote = sockets_addr(&from);
	step(s, &ev);
}

static void on_connecting(struct speaker *s)
{
	const int fd = s->connecting;
	struct bgp_event ev = {
		.type = BGP_EV_CONNECTED, .neighbor = NEIGHBOR, .conn = (uint32_t)fd};
	int err = 0;
	socklen_t n = sizeof(err);

	s->connecting = -1;
	(void)getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &n);
	if (err) {
		ev.type = BGP_EV_CLOSED;
		ev.conn = BGP_CONN_NONE;
		snprintf(ev.text, sizeof(ev.text), "%s", strerror(err));
		leave(s, fd);
	}
	step(s, &ev);
}

/* How long the messages are that come: the core does not say. */
static void measure(struct speaker *s, int fd, const uint8_t *p, size_t size)
{
	while (size) {
		size_t n = s->io[fd].rest < size ? s->io[fd].rest : size;

		if (n == 0) {
			s->io[fd].header[s->io[fd].n_header++] = *p;
			n = 1;
			if (s->io[fd].n_header == sizeof(s->io[fd].header)) {
				const size_t whole =
					(size_t)s->io[fd].header[16] << 8 | s->io[fd].header[17];

				s->longest = whole > s->longest ? whole : s->longest;
				s->io[fd].rest = whole > 19 ? whole - 19 : 0;
				s->io[fd].n_header = 0;
			}
		} else {
			s->io[fd].rest -= n;
		}
		p += n;
		size -= n;
	}
}

static void on_data(struct speaker *s, int fd)
{
	static uint8_t bytes[65536];
	const ssize_t n = recv(fd, bytes, sizeof(bytes), 0);
	struct bgp_event ev = {.type = BGP_EV_DATA, .conn = (uint32_t)fd};

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (s->io[fd].ended) {
		if (n <= 0)
			leave(s, fd);
		return;
	}
	if (n <= 0) {
		ev.type = BGP_EV_CLOSED;
		if (n < 0)
			snprintf(ev.text, sizeof(ev.text), "%s", strerror(errno));
		leave(s, fd);
		step(s, &ev);
		return;
	}
	measure(s, fd, bytes, (size_t)n);
	ev.data.bytes = bytes;
	ev.data.size = (size_t)n;
	step(s, &ev);
}

static void on_bfd(struct speaker *s)
{
	struct bfd_event ev = {.type = BFD_EV_PACKET};
	uint8_t bytes[64];
	const ssize_t n =
		sockets_receive(s->bfd_rx, bytes, sizeof(bytes), &ev.packet.remote, &ev.packet.ttl);

	if (n < 0)
		return;
	ev.packet.local = s->cfg.local;
	ev.packet.data = bytes;
	ev.packet.size = (size_t)n;
	bfd_run(s, &ev);
}

/* ---------------------------------------------------------------- commands */

static void configure(struct speaker *s)
{
	const struct bgp_cfg cfg = {
		.id = s->id, .neighbors = &s->cfg, .n_neighbors = 1, .restarting = s->restarted};
	struct bgp_out out = {0};

	if (!bgp_configure(s->bgp, &cfg, mono_now(), &out))
		sockets_die("configuration");
	carry_out(s, &out);
	bgp_out_fini(&out);
}

static void advertise_many(struct speaker *s, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		const struct ip_prefix p = {ip_v4(10, (uint8_t)(128 + (i >> 8)), (uint8_t)i, 0),
					    24};

		(void)bgp_advertise(s->bgp, NEIGHBOR, &p, s->own);
	}
}

static void show(const struct speaker *s)
{
	struct bgp_show_neighbor n;

	if (!bgp_show(s->bgp, NEIGHBOR, &n))
		return;
	printf("show %s received %u %u advertised %u %u announced %llu longest %zu updates-out "
	       "%llu",
	       bgp_state_name(n.state), n.received[0], n.received[1], n.advertised[0],
	       n.advertised[1], (unsigned long long)s->routes.n_announced, s->longest,
	       (unsigned long long)n.updates_out);
	for (int f = 0; f < BGP_FAULT_END; f++)
		if (n.faults[f])
			printf(" %s %llu", bgp_fault_name((enum bgp_fault)f),
			       (unsigned long long)n.faults[f]);
	printf(" error \"%s\"\n", n.last_error);
}

static void bfd_command(struct speaker *s, enum bfd_event_type type)
{
	struct bfd_event ev = {.type = type, .session = NEIGHBOR};

	bfd_run(s, &ev);
}

static void command(struct speaker *s, char *line)
{
	char *arg = strchr(line, ' ');
	struct bgp_event ev = {.type = BGP_EV_TICK, .neighbor = NEIGHBOR};
	struct ip_prefix p;

	if (arg)
		*arg++ = '\0';
	if (strcmp(line, "quit") == 0)
		exit(0);
	if (arg && strcmp(line, "advertise") == 0 && ip_prefix_parse(arg, &p)) {
		(void)bgp_advertise(s->bgp, NEIGHBOR, &p, s->own);
	} else if (arg && strcmp(line, "withdraw") == 0 && ip_prefix_parse(arg, &p)) {
		(void)bgp_advertise(s->bgp, NEIGHBOR, &p, NULL);
	} else if (arg && strcmp(line, "many") == 0) {
		advertise_many(s, (uint32_t)strtoul(arg, NULL, 10));
	} else if (strcmp(line, "refresh") == 0) {
		ev.type = BGP_EV_REFRESH;
		ev.family = arg && *arg == '6' ? BGP_IPV6_UNICAST : BGP_IPV4_UNICAST;
	} else if (strcmp(line, "stop") == 0) {
		ev.type = BGP_EV_STOP;
		snprintf(ev.text, sizeof(ev.text), "%s", arg ? arg : "");
	} else if (strcmp(line, "start") == 0) {
		ev.type = BGP_EV_START;
	} else if (strcmp(line, "reset") == 0) {
		ev.type = BGP_EV_RESET;
	} else if (strcmp(line, "graceful-shutdown") == 0) {
		s->cfg.graceful_shutdown = true;
		configure(s);
	} else if (arg && strcmp(line, "med") == 0) {
		s->cfg.has_med = true;
		s->cfg.med = (uint32_t)strtoul(arg, NULL, 10);
		configure(s);
	} else if (strcmp(line, "bfd-admin-down") == 0) {
		bfd_command(s, BFD_EV_ADMIN_DOWN);
	} else if (strcmp(line, "bfd-admin-up") == 0) {
		bfd_command(s, BFD_EV_ADMIN_UP);
	} else if (strcmp(line, "show") == 0) {
		show(s);
	} else {
		printf("what is \"%s\"?\n", line);
		return;
	}
	step(s, &ev);
}

static void on_input(struct speaker *s)
{
	char line[512];

	if (!fgets(line, sizeof(line), s->commands))
		return;
	line[strcspn(line, "\n")] = '\0';
	command(s, line);
}

/* -------------------------------------------------------------------- loop */

static int timeout_ms(const struct speaker *s)
{
	const struct mono at = mono_min(bgp_deadline(s->bgp), bfd_deadline(s->bfd));
	const uint64_t ns = mono_since(at, mono_now()).ns;

	return ns > 1000000000 ? 1000 : (int)(ns / 1000000) + (ns > 0);
}

static void on_ready(struct speaker *s, const struct pollfd *p)
{
	const int fd = p->fd;

	if (fd == s->listener)
		on_listener(s);
	else if (fd == s->bfd_rx)
		on_bfd(s);
	else if (s->commands && fd == fileno(s->commands))
		on_input(s);
	else if (fd == s->connecting)
		on_connecting(s);
	else if (p->revents & POLLOUT)
		flush(s, fd);
	else
		on_data(s, fd);
}

static void run(struct speaker *s)
{
	for (;;) {
		struct bgp_event tick = {.type = BGP_EV_TICK};
		struct bfd_event bfd_tick = {.type = BFD_EV_TICK};

		fflush(stdout);
		for (int i = 0; i < SPEAKER_FDS; i++) {
			const int fd = s->fds[i].fd;

			if (fd < 0)
				continue;
			s->fds[i].events = POLLIN;
			if (fd == s->connecting || s->io[fd].n || s->io[fd].closing)
				s->fds[i].events |= POLLOUT;
		}
		(void)poll(s->fds, SPEAKER_FDS, timeout_ms(s));
		for (int i = 0; i < SPEAKER_FDS; i++)
			if (s->fds[i].fd >= 0 && s->fds[i].revents)
				on_ready(s, &s->fds[i]);
		step(s, &tick);
		bfd_run(s, &bfd_tick);
	}
}

/* ------------------------------------------------------------------- set-up */

static void open_sockets(struct speaker *s)
{
	s->listener = sockets_bound(&s->cfg.local, SOCK_STREAM, PORT);
	secure(s, s->listener);
	if (listen(s->listener, 4) != 0)
		sockets_die("listen");
	watch(s, s->listener);
	s->bfd_rx = s->bfd_tx = -1;
	if (s->bfd_ms) {
		s->bfd_rx = sockets_bound(&s->cfg.local, SOCK_DGRAM, BFD_PORT);
		s->bfd_tx = sockets_bound(&s->cfg.local, SOCK_DGRAM, BFD_LOCAL);
		sockets_want_ttl(s->bfd_rx, &s->cfg.local);
		sockets_ttl(s->bfd_tx, &s->cfg.local, NEAREST_TTL);
		watch(s, s->bfd_rx);
	}
	if (s->commands) {
		setvbuf(s->commands, NULL, _IONBF, 0);
		watch(s, fileno(s->commands));
	}
}

static void start(struct speaker *s)
{
	const struct bgp_sink sink = {s,
				      routes_announce,
				      routes_withdraw,
				      on_up,
				      routes_stale,
				      routes_purge,
				      routes_end_of_rib};
	const struct bfd_session_cfg session = {
		.name = "neighbor",
		.session = NEIGHBOR,
		.local = s->cfg.local,
		.remote = s->cfg.remote,
		.tx = span_ms(s->bfd_ms),
		.rx = span_ms(s->bfd_ms),
		.multiplier = 3,
	};
	struct bgp_event ev = {.type = BGP_EV_START, .neighbor = NEIGHBOR};
	struct bfd_out bfd_out = {0};
	uint8_t *parts =
		malloc((size_t)s->facts.communities_size + s->facts.large_communities_size + 1u);

	if (!parts)
		abort();
	memcpy(parts, s->communities, s->facts.communities_size);
	memcpy(parts + s->facts.communities_size, s->large, s->facts.large_communities_size);
	s->paths = path_store_new(draw(NULL));
	s->own = path_intern(s->paths, &s->facts, parts);
	free(parts);
	s->bgp = bgp_new(s->paths, &sink, draw, NULL, NULL);
	s->bfd = bfd_new(draw, NULL, NULL);
	if (!bfd_configure(s->bfd, &session, s->bfd_ms ? 1 : 0, mono_now(), &bfd_out))
		sockets_die("configuration");
	bfd_out_fini(&bfd_out);
	configure(s);
	step(s, &ev);
}

int main(int argc, char **argv)
{
	static struct speaker s = {.connecting = -1};

	if (!speaker_options(&s, argc, argv))
		return 2;
	open_sockets(&s);
	start(&s);
	run(&s);
	return 0;
}
