/* SPDX-License-Identifier: Apache-2.0 */
/*
 * speaker: the BGP and BFD cores on real sockets, for tests with other implementations. One
 * neighbour, on its own port 179; what happens is told on standard output, a line each:
 *
 *	up, down, event NAME: TEXT, announce PREFIX as PATH next-hop ADDR, withdraw PREFIX,
 *	end-of-rib FAMILY, stale FAMILY, bfd STATE
 *
 * usage: speaker LOCAL REMOTE LOCAL_AS REMOTE_AS [--passive] [--bfd MS] [--restart S]
 *	[--commands FIFO] [PREFIX...]
 *
 * Commands come by the FIFO of --commands, a line each: "advertise PREFIX", "withdraw PREFIX", "refresh", "stop TEXT",
 * "start", "quit".
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bfd/bfd.h"
#include "bgp/bgp.h"

#define PORT      179
#define FDS       64
#define NEIGHBOR  1
#define BFD_TTL   255
#define BFD_LOCAL 49152 /* RFC 5881 4 */

struct speaker {
	struct bgp *bgp;
	struct bfd *bfd;
	struct path_store *paths;
	struct path *own;
	struct bgp_neighbor_cfg cfg;
	struct ip_prefix prefixes[FDS];
	size_t n_prefixes;
	int listener, bfd_rx, bfd_tx;
	FILE *commands;
	int connecting; /* -1: none */
	struct pollfd fds[FDS];
	struct {
		uint8_t *bytes;
		size_t n;
		bool closing;
	} out[1024]; /* by descriptor */
};

static uint32_t draw(void *ctx)
{
	uint32_t v;

	if (getrandom(&v, sizeof(v), 0) != sizeof(v))
		abort();
	return v;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static socklen_t sockaddr_of(const struct ip_addr *a, uint16_t port, struct sockaddr_storage *ss)
{
	memset(ss, 0, sizeof(*ss));
	if (a->family == IP_V4) {
		struct sockaddr_in *in = (struct sockaddr_in *)ss;

		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		memcpy(&in->sin_addr, a->b, 4);
		return sizeof(*in);
	}
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ss;

	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(port);
	memcpy(&in6->sin6_addr, a->b, 16);
	return sizeof(*in6);
}

static int socket_at(const struct ip_addr *a, int type, uint16_t port)
{
	const int fd = socket(a->family == IP_V4 ? AF_INET : AF_INET6,
			      type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr_storage ss;
	const socklen_t n = sockaddr_of(a, port, &ss);

	if (fd < 0 || fd >= 1024 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) != 0 ||
	    bind(fd, (struct sockaddr *)&ss, n) != 0)
		die("socket");
	return fd;
}

/* -------------------------------------------------------------------- sink */

static size_t on_announce(void *ctx, uint32_t neighbor, const struct path_nlri *nlri, size_t n,
			  struct path *path)
{
	char prefix[IP_PREFIX_STRLEN], as[256], hop[IP_ADDR_STRLEN];

	for (size_t i = 0; i < n; i++)
		printf("announce %s as %s next-hop %s\n", ip_prefix_format(&nlri[i].prefix, prefix),
		       path_as_path_format(path, as, sizeof(as)),
		       ip_format(&path->facts.next_hop, hop));
	return n;
}

static size_t on_withdraw(void *ctx, uint32_t neighbor, const struct path_nlri *nlri, size_t n)
{
	char prefix[IP_PREFIX_STRLEN];

	for (size_t i = 0; i < n; i++)
		printf("withdraw %s\n", ip_prefix_format(&nlri[i].prefix, prefix));
	return n;
}

static void on_up(void *ctx, uint32_t neighbor)
{
	struct speaker *s = ctx;

	for (size_t i = 0; i < s->n_prefixes; i++)
		bgp_advertise(s->bgp, neighbor, &s->prefixes[i], s->own);
	for (int f = 0; f < BGP_N_FAMILIES; f++)
		bgp_advertise_end(s->bgp, neighbor, (enum bgp_family)f);
}

static void on_stale(void *ctx, uint32_t neighbor, enum bgp_family f)
{
	printf("stale %d\n", f);
}

static size_t on_purge(void *ctx, uint32_t neighbor, enum bgp_family f, bool only_stale)
{
	printf("purge %d%s\n", f, only_stale ? " stale" : "");
	return 0;
}

static void on_end_of_rib(void *ctx, uint32_t neighbor, enum bgp_family f)
{
	printf("end-of-rib %d\n", f);
}

/* ----------------------------------------------------------------- actions */

static void step(struct speaker *s, struct bgp_event *ev);

static void flush(struct speaker *s, int fd)
{
	const ssize_t n = s->out[fd].n ? send(fd, s->out[fd].bytes, s->out[fd].n, MSG_NOSIGNAL) : 0;
	struct bgp_event ev = {.type = BGP_EV_SENT, .conn = (uint32_t)fd};

	if (n > 0) {
		s->out[fd].n -= (size_t)n;
		memmove(s->out[fd].bytes, s->out[fd].bytes + n, s->out[fd].n);
		ev.sent = (size_t)n;
	}
	if (s->out[fd].closing) {
		if (s->out[fd].n == 0 || (n < 0 && errno != EAGAIN)) {
			s->out[fd].closing = false;
			s->out[fd].n = 0;
			close(fd);
			for (int i = 0; i < FDS; i++)
				if (s->fds[i].fd == fd)
					s->fds[i].fd = -1;
		}
	} else if (n > 0) {
		step(s, &ev);
	}
}

static void watch(struct speaker *s, int fd)
{
	for (int i = 0; i < FDS; i++) {
		if (s->fds[i].fd >= 0)
			continue;
		s->fds[i].fd = fd;
		return;
	}
	die("too many descriptors");
}

static void connect_out(struct speaker *s)
{
	const int fd = socket_at(&s->cfg.local, SOCK_STREAM, 0);
	struct sockaddr_storage ss;
	const socklen_t n = sockaddr_of(&s->cfg.remote, PORT, &ss);
	struct bgp_event ev = {.type = BGP_EV_CLOSED, .neighbor = NEIGHBOR, .conn = BGP_CONN_NONE};

	if (connect(fd, (struct sockaddr *)&ss, n) != 0 && errno != EINPROGRESS) {
		snprintf(ev.text, sizeof(ev.text), "%s", strerror(errno));
		close(fd);
		step(s, &ev);
		return;
	}
	s->connecting = fd;
	watch(s, fd);
}

static void carry_out(struct speaker *s, const struct bgp_out *out)
{
	bool connect_now = false;

	for (size_t i = 0; i < out->n; i++) {
		const struct bgp_action *a = &out->actions[i];
		const int fd = (int)a->conn;

		switch (a->type) {
		case BGP_ACT_CONNECT: connect_now = true; break;
		case BGP_ACT_SEND:
			s->out[fd].bytes = realloc(s->out[fd].bytes, s->out[fd].n + a->send.size);
			memcpy(s->out[fd].bytes + s->out[fd].n, a->send.bytes, a->send.size);
			s->out[fd].n += a->send.size;
			break;
		case BGP_ACT_CLOSE:
			if (a->conn == BGP_CONN_NONE) {
				for (int k = 0; k < FDS; k++)
					if (s->fds[k].fd == s->connecting)
						s->fds[k].fd = -1;
				close(s->connecting);
				s->connecting = -1;
			} else {
				s->out[fd].closing = true;
			}
			break;
		case BGP_ACT_UP: printf("up\n"); break;
		case BGP_ACT_DOWN: printf("down\n"); break;
		case BGP_ACT_EVENT: printf("event %s: %s\n", a->event.name, a->event.text); break;
		}
	}
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
			const socklen_t n = sockaddr_of(&a->send.remote, BFD_PORT, &ss);

			(void)sendto(s->bfd_tx, a->send.data, sizeof(a->send.data), 0,
				     (struct sockaddr *)&ss, n);
			continue;
		}
		printf("bfd %s at %.6f\n", bfd_state_name(a->state.to), (double)ev->now.ns / 1e9);
		if (a->state.from == BFD_UP && !a->state.peer_admin_down) {
			step(s, &down);
			step(s, &start);
		}
	}
	bfd_out_fini(&out);
}

/* ------------------------------------------------------------------ events */

static void on_listener(struct speaker *s)
{
	const int fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct bgp_event ev = {.type = BGP_EV_ACCEPTED, .conn = (uint32_t)fd};

	if (fd < 0)
		return;
	watch(s, fd);
	ev.accepted.local = s->cfg.local;
	ev.accepted.remote = s->cfg.remote;
	step(s, &ev);
}

static void on_connecting(struct speaker *s)
{
	const int fd = s->connecting;
	struct bgp_event ev = {.neighbor = NEIGHBOR, .conn = (uint32_t)fd};
	int err = 0;
	socklen_t n = sizeof(err);

	s->connecting = -1;
	(void)getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &n);
	ev.type = err ? BGP_EV_CLOSED : BGP_EV_CONNECTED;
	if (err) {
		ev.conn = BGP_CONN_NONE;
		snprintf(ev.text, sizeof(ev.text), "%s", strerror(err));
		for (int i = 0; i < FDS; i++)
			if (s->fds[i].fd == fd)
				s->fds[i].fd = -1;
		close(fd);
	}
	step(s, &ev);
}

static void on_data(struct speaker *s, struct pollfd *p)
{
	static uint8_t bytes[65536];
	const int fd = p->fd;
	const ssize_t n = recv(fd, bytes, sizeof(bytes), 0);
	struct bgp_event ev = {.type = BGP_EV_DATA, .conn = (uint32_t)fd};

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		ev.type = BGP_EV_CLOSED;
		if (n < 0)
			snprintf(ev.text, sizeof(ev.text), "%s", strerror(errno));
		p->fd = -1;
		s->out[fd].n = 0;
		s->out[fd].closing = false;
		close(fd);
		step(s, &ev);
		return;
	}
	ev.data.bytes = bytes;
	ev.data.size = (size_t)n;
	step(s, &ev);
}

static void on_bfd(struct speaker *s)
{
	struct bfd_event ev = {.type = BFD_EV_PACKET};
	uint8_t bytes[64], control[64];
	struct iovec iov = {bytes, sizeof(bytes)};
	struct msghdr m = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	const ssize_t n = recvmsg(s->bfd_rx, &m, 0);

	if (n < 0)
		return;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		int ttl;

		memcpy(&ttl, CMSG_DATA(c), sizeof(ttl));
		ev.packet.ttl = (uint8_t)ttl;
	}
	ev.packet.local = s->cfg.local;
	ev.packet.remote = s->cfg.remote;
	ev.packet.data = bytes;
	ev.packet.size = (size_t)n;
	bfd_run(s, &ev);
}

static void command(struct speaker *s, char *line)
{
	char *arg = strchr(line, ' ');
	struct bgp_event ev = {.neighbor = NEIGHBOR};
	struct ip_prefix p;

	if (arg)
		*arg++ = '\0';
	if (strcmp(line, "quit") == 0)
		exit(0);
	if (arg && strcmp(line, "advertise") == 0 && ip_prefix_parse(arg, &p)) {
		(void)bgp_advertise(s->bgp, NEIGHBOR, &p, s->own);
		ev.type = BGP_EV_TICK;
	} else if (arg && strcmp(line, "withdraw") == 0 && ip_prefix_parse(arg, &p)) {
		(void)bgp_advertise(s->bgp, NEIGHBOR, &p, NULL);
		ev.type = BGP_EV_TICK;
	} else if (strcmp(line, "refresh") == 0) {
		ev.type = BGP_EV_REFRESH;
	} else if (strcmp(line, "stop") == 0) {
		ev.type = BGP_EV_STOP;
		snprintf(ev.text, sizeof(ev.text), "%s", arg ? arg : "");
	} else if (strcmp(line, "start") == 0) {
		ev.type = BGP_EV_START;
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

static int timeout_ms(const struct speaker *s)
{
	const struct mono at = mono_min(bgp_deadline(s->bgp), bfd_deadline(s->bfd));
	const uint64_t ns = mono_since(at, mono_now()).ns;

	return ns > 1000000000 ? 1000 : (int)(ns / 1000000) + (ns > 0);
}

static void run(struct speaker *s)
{
	for (;;) {
		struct bgp_event tick = {.type = BGP_EV_TICK};
		struct bfd_event bfd_tick = {.type = BFD_EV_TICK};

		fflush(stdout);
		for (int i = 0; i < FDS; i++) {
			const int fd = s->fds[i].fd;

			if (fd < 0)
				continue;
			s->fds[i].events = POLLIN;
			if (fd == s->connecting || s->out[fd].n || s->out[fd].closing)
				s->fds[i].events |= POLLOUT;
		}
		(void)poll(s->fds, FDS, timeout_ms(s));
		for (int i = 0; i < FDS; i++) {
			struct pollfd *p = &s->fds[i];

			if (p->fd < 0 || !p->revents)
				continue;
			if (p->fd == s->listener)
				on_listener(s);
			else if (p->fd == s->bfd_rx)
				on_bfd(s);
			else if (s->commands && p->fd == fileno(s->commands))
				on_input(s);
			else if (p->fd == s->connecting)
				on_connecting(s);
			else if (p->revents & POLLOUT)
				flush(s, p->fd);
			else
				on_data(s, p);
		}
		step(s, &tick);
		bfd_run(s, &bfd_tick);
	}
}

/* ------------------------------------------------------------------- set-up */

static void open_sockets(struct speaker *s)
{
	s->listener = socket_at(&s->cfg.local, SOCK_STREAM, PORT);
	if (listen(s->listener, 4) != 0)
		die("listen");
	s->bfd_rx = socket_at(&s->cfg.local, SOCK_DGRAM, BFD_PORT);
	s->bfd_tx = socket_at(&s->cfg.local, SOCK_DGRAM, BFD_LOCAL);
	if (setsockopt(s->bfd_rx, IPPROTO_IP, IP_RECVTTL, &(int){1}, sizeof(int)) != 0 ||
	    setsockopt(s->bfd_tx, IPPROTO_IP, IP_TTL, &(int){BFD_TTL}, sizeof(int)) != 0)
		die("TTL");
	watch(s, s->listener);
	watch(s, s->bfd_rx);
	if (s->commands)
		watch(s, fileno(s->commands));
}

static void start(struct speaker *s, unsigned bfd_ms)
{
	const struct bgp_sink sink = {s,        on_announce, on_withdraw,  on_up,
				      on_stale, on_purge,    on_end_of_rib};
	const struct bgp_cfg cfg = {
		.id = 0x7f000001u + s->cfg.local.b[3], .neighbors = &s->cfg, .n_neighbors = 1};
	const struct bfd_session_cfg session = {
		.name = "neighbor",
		.local = s->cfg.local,
		.remote = s->cfg.remote,
		.tx = span_ms(bfd_ms),
		.rx = span_ms(bfd_ms),
		.multiplier = 3,
	};
	const struct path_facts facts = {.origin = PATH_ORIGIN_IGP};
	struct bgp_event ev = {.type = BGP_EV_START, .neighbor = NEIGHBOR};
	struct bgp_out out = {0};
	struct bfd_out bfd_out = {0};

	s->paths = path_store_new(draw(NULL));
	s->own = path_intern(s->paths, &facts, NULL);
	s->bgp = bgp_new(s->paths, &sink, draw, NULL, NULL);
	s->bfd = bfd_new(draw, NULL, NULL);
	if (!bgp_configure(s->bgp, &cfg, mono_now(), &out) ||
	    !bfd_configure(s->bfd, &session, bfd_ms ? 1 : 0, mono_now(), &bfd_out))
		die("configuration");
	bgp_out_fini(&out);
	bfd_out_fini(&bfd_out);
	step(s, &ev);
}

int main(int argc, char **argv)
{
	static struct speaker s = {.connecting = -1};
	unsigned bfd_ms = 0;

	if (argc < 5 || !ip_parse(argv[1], &s.cfg.local) || !ip_parse(argv[2], &s.cfg.remote)) {
		fprintf(stderr,
			"usage: speaker LOCAL REMOTE LOCAL_AS REMOTE_AS [--passive] [--bfd MS] "
			"[--restart S] [--commands FIFO] [PREFIX...]\n");
		return 2;
	}
	memset(s.fds, 0xff, sizeof(s.fds));
	memcpy(s.cfg.name, "neighbor", 9);
	s.cfg.neighbor = NEIGHBOR;
	s.cfg.local_as = (uint32_t)strtoul(argv[3], NULL, 10);
	s.cfg.remote_as = (uint32_t)strtoul(argv[4], NULL, 10);
	s.cfg.next_hop[s.cfg.local.family == IP_V4 ? BGP_IPV4_UNICAST : BGP_IPV6_UNICAST] =
		s.cfg.local;
	s.cfg.next_hop[BGP_IPV6_UNICAST] =
		(struct ip_addr){.family = IP_V6, .b = {0xfd, [15] = s.cfg.local.b[3]}};
	s.cfg.inside[0] = (struct ip_prefix){s.cfg.local, 24};
	s.cfg.inside[1] = (struct ip_prefix){{.family = IP_V6, .b = {0xfd}}, 64};
	s.cfg.hold = span_s(30);
	s.cfg.connect_retry = span_s(2);
	s.cfg.stale_max = span_s(60);
	s.cfg.families[0] = s.cfg.families[1] = true;
	s.cfg.extended_messages = true;
	s.cfg.role = BGP_ROLE_NONE;
	for (int i = 5; i < argc; i++) {
		if (strcmp(argv[i], "--passive") == 0)
			s.cfg.passive = true;
		else if (strcmp(argv[i], "--bfd") == 0 && i + 1 < argc)
			bfd_ms = (unsigned)strtoul(argv[++i], NULL, 10);
		else if (strcmp(argv[i], "--restart") == 0 && i + 1 < argc)
			s.cfg.graceful_restart = span_s(strtoul(argv[++i], NULL, 10));
		else if (strcmp(argv[i], "--commands") == 0 && i + 1 < argc)
			/* Open for writing, too: it never ends. */
			s.commands = fopen(argv[++i], "r+");
		else if (s.n_prefixes < FDS && ip_prefix_parse(argv[i], &s.prefixes[s.n_prefixes]))
			s.n_prefixes++;
		else
			die(argv[i]);
	}
	if (s.commands)
		setvbuf(s.commands, NULL, _IONBF, 0);
	open_sockets(&s);
	start(&s, bfd_ms);
	run(&s);
	return 0;
}
