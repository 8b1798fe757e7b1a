/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bgp_feed: a BGP neighbour that announces a whole table as fast as it is read.
 *
 * It speaks as little BGP as a session needs (RFC 4271, both families, four-octet ASes), so that what is
 * measured is the receiver. The table is made and encoded before the session begins. On standard input:
 * "announce", "withdraw", "quit" (with --announce, the first as soon as the session stands, and nothing is
 * read); on standard output an object a line for what has happened, with the monotonic clock's nanoseconds.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/mono.h"
#include "base/wr.h"
#include "bench/bgp_table.h"
#include "bgp/wire.h"

#define PORT         179
#define HOLD_S       180
#define KEEPALIVE_MS 20000
#define TRIES        100 /* to connect, ten a second */
#define PORTION      (256u * 1024)

struct feed {
	struct bgp_table_opts o;
	struct ip_addr local, remote;
	struct bgp_table table;
	int fd;
	uint8_t in[65536];
	size_t in_n;
	bool opened, established;
	bool at_once;       /* --announce */
	const uint8_t *out; /* what is being sent */
	size_t out_size;
	struct mono keepalive_at;
};

static void die(const char *what)
{
	fprintf(stderr, "bgp_feed: %s\n", what);
	exit(1);
}

static void tell(const char *what)
{
	printf("{\"event\": \"%s\", \"ns\": %llu}\n", what, (unsigned long long)mono_now().ns);
	fflush(stdout);
}

/* ---------------------------------------------------------------- messages */

static struct wr message(uint8_t *buf, size_t size, uint8_t type)
{
	struct wr w = wr_of(buf, size);

	for (int i = 0; i < BGP_MARKER_SIZE; i++)
		wr_u8(&w, 0xff);
	wr_u16(&w, 0);
	wr_u8(&w, type);
	return w;
}

/* Small ones, at moments when nothing else is under way. */
static void say(struct feed *f, struct wr *w)
{
	wr_patch16(w, BGP_MARKER_SIZE, w->n);
	if (send(f->fd, w->buf, w->n, MSG_NOSIGNAL) != (ssize_t)w->n)
		die("a message did not go out");
}

static void family_capability(struct wr *w, uint16_t afi)
{
	wr_u8(w, BGP_CAP_MULTIPROTOCOL);
	wr_u8(w, 4);
	wr_u16(w, afi);
	wr_u16(w, BGP_SAFI_UNICAST);
}

static void say_open(struct feed *f)
{
	uint8_t buf[128];
	struct wr w = message(buf, sizeof(buf), BGP_OPEN);
	size_t at;

	wr_u8(&w, BGP_VERSION);
	wr_u16(&w, (uint16_t)(f->o.as < 65536 ? f->o.as : 23456));
	wr_u16(&w, HOLD_S);
	wr_bytes(&w, f->local.b, 4);
	at = w.n;
	wr_u8(&w, 0);
	wr_u8(&w, BGP_PARAMETER_CAPABILITIES);
	wr_u8(&w, 0);
	family_capability(&w, BGP_AFI_IPV4);
	family_capability(&w, BGP_AFI_IPV6);
	wr_u8(&w, BGP_CAP_FOUR_OCTET_AS);
	wr_u8(&w, 4);
	wr_u32(&w, f->o.as);
	buf[at] = (uint8_t)(w.n - at - 1);
	buf[at + 2] = (uint8_t)(w.n - at - 3);
	say(f, &w);
}

static void say_keepalive(struct feed *f)
{
	uint8_t buf[BGP_HEADER_SIZE];
	struct wr w = message(buf, sizeof(buf), BGP_KEEPALIVE);

	say(f, &w);
	f->keepalive_at = mono_add(mono_now(), span_ms(KEEPALIVE_MS));
}

static void announce(struct feed *f)
{
	f->out = f->table.announce;
	f->out_size = f->table.announce_size;
	tell("sending");
}

static void on_message(struct feed *f, uint8_t type, const uint8_t *body, size_t size)
{
	if (type == BGP_NOTIFICATION) {
		fprintf(stderr, "bgp_feed: NOTIFICATION %u/%u\n", size > 0 ? body[0] : 0,
			size > 1 ? body[1] : 0);
		exit(1);
	}
	if (type == BGP_OPEN && !f->opened) {
		f->opened = true;
		say_keepalive(f);
	} else if (type == BGP_KEEPALIVE && f->opened && !f->established) {
		f->established = true;
		tell("established");
		if (f->at_once)
			announce(f);
	}
}

static void receive(struct feed *f)
{
	const ssize_t n = recv(f->fd, f->in + f->in_n, sizeof(f->in) - f->in_n, 0);
	size_t used = 0;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0)
		die("the receiver has closed the connection");
	f->in_n += (size_t)n;
	while (f->in_n - used >= BGP_HEADER_SIZE) {
		const uint8_t *p = f->in + used;
		const size_t size = (size_t)p[16] << 8 | p[17];

		if (size < BGP_HEADER_SIZE)
			die("the receiver sends no BGP");
		if (f->in_n - used < size)
			break;
		on_message(f, p[18], p + BGP_HEADER_SIZE, size - BGP_HEADER_SIZE);
		used += size;
	}
	memmove(f->in, f->in + used, f->in_n - used);
	f->in_n -= used;
}

/* ------------------------------------------------------------------- life */

static int connect_once(const struct feed *f)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(&a.sin_addr, f->local.b, 4);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) != 0)
		die("the local address cannot be used");
	memcpy(&a.sin_addr, f->remote.b, 4);
	a.sin_port = htons(PORT);
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0) {
		close(fd);
		return -1;
	}
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	return fd;
}

static void command(struct feed *f, const char *line)
{
	if (strcmp(line, "quit") == 0)
		exit(0);
	if (f->out_size || !f->established)
		die("not now");
	if (strcmp(line, "withdraw") != 0) {
		announce(f);
		return;
	}
	f->out = f->table.withdraw;
	f->out_size = f->table.withdraw_size;
	tell("sending");
}

static void on_input(struct feed *f)
{
	char text[256];
	const ssize_t n = read(STDIN_FILENO, text, sizeof(text) - 1);
	char *rest = text;

	if (n <= 0)
		exit(0);
	text[n] = '\0';
	for (char *line; (line = strsep(&rest, "\n"));)
		if (line[0] != '\0')
			command(f, line);
}

static void send_more(struct feed *f)
{
	const size_t portion = f->out_size < PORTION ? f->out_size : PORTION;
	const ssize_t n = send(f->fd, f->out, portion, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n < 0 && errno != EAGAIN && errno != EINTR)
		die("the receiver has closed the connection");
	if (n <= 0)
		return;
	f->out += n;
	f->out_size -= (size_t)n;
	if (f->out_size == 0)
		tell("sent");
}

static void run(struct feed *f)
{
	say_open(f);
	f->keepalive_at = MONO_NEVER;
	for (;;) {
		struct pollfd p[2] = {
			{.fd = f->fd, .events = (short)(POLLIN | (f->out_size ? POLLOUT : 0))},
			/* Commands wait until the session stands. */
			{.fd = f->established && !f->at_once ? STDIN_FILENO : -1, .events = POLLIN},
		};

		(void)poll(p, 2, 1000);
		if (p[0].revents & ~POLLOUT)
			receive(f);
		if (p[0].revents & POLLOUT)
			send_more(f);
		if (p[1].revents)
			on_input(f);
		if (!f->out_size && mono_reached(mono_now(), f->keepalive_at))
			say_keepalive(f);
	}
}

static bool number(const char *text, uint64_t *out)
{
	char *end;

	*out = strtoull(text, &end, 10);
	return *text != '\0' && *end == '\0';
}

static bool arguments(struct feed *f, int argc, char **argv)
{
	for (int i = 4; i < argc; i++) {
		uint64_t v;

		if (strncmp(argv[i], "--v4=", 5) == 0 && number(argv[i] + 5, &v))
			f->o.n[0] = (uint32_t)v;
		else if (strncmp(argv[i], "--v6=", 5) == 0 && number(argv[i] + 5, &v))
			f->o.n[1] = (uint32_t)v;
		else if (strncmp(argv[i], "--seed=", 7) == 0 && number(argv[i] + 7, &v))
			f->o.seed = v;
		else if (strncmp(argv[i], "--next-hop6=", 12) == 0 &&
			 ip_parse(argv[i] + 12, &f->o.next_hop[1]) &&
			 f->o.next_hop[1].family == IP_V6)
			;
		else if (strcmp(argv[i], "--announce") == 0)
			f->at_once = true;
		else
			return false;
	}
	return true;
}

int main(int argc, char **argv)
{
	static struct feed f = {.o = {.n = {1000000, 250000}, .seed = 1}};
	char last[2][IP_PREFIX_STRLEN];
	uint64_t as;

	if (argc < 4 || !ip_parse(argv[1], &f.local) || !number(argv[2], &as) ||
	    !ip_parse(argv[3], &f.remote) || f.local.family != IP_V4 || f.remote.family != IP_V4 ||
	    !arguments(&f, argc, argv)) {
		fprintf(stderr, "usage: bgp_feed LOCAL AS RECEIVER [--v4=PREFIXES] [--v6=PREFIXES] "
				"[--seed=N] [--next-hop6=ADDRESS] [--announce]\n");
		return 2;
	}
	f.o.as = (uint32_t)as;
	f.o.next_hop[0] = f.local;
	/* On the network that both share: fd00::1 for 192.0.2.1. */
	if (f.o.next_hop[1].family == IP_NONE)
		f.o.next_hop[1] =
			(struct ip_addr){.family = IP_V6, .b = {0xfd, [15] = f.local.b[3]}};
	if (!bgp_table_make(&f.o, &f.table))
		die("the table cannot be made");
	printf("{\"event\": \"table\", \"n_ipv4\": %u, \"n_ipv6\": %u, \"n_updates\": %u, "
	       "\"n_sets\": %u, \"bytes\": %zu, \"last_ipv4\": \"%s\", \"last_ipv6\": \"%s\"}\n",
	       f.o.n[0], f.o.n[1], f.table.n_updates, f.table.n_sets[0] + f.table.n_sets[1],
	       f.table.announce_size, ip_prefix_format(&f.table.last[0], last[0]),
	       ip_prefix_format(&f.table.last[1], last[1]));
	fflush(stdout);
	f.fd = -1;
	for (int i = 0; i < TRIES && f.fd < 0; i++) {
		f.fd = connect_once(&f);
		if (f.fd < 0)
			(void)usleep(100000);
	}
	if (f.fd < 0)
		die("the receiver takes no connection");
	run(&f);
	return 0;
}
