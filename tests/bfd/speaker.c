/* SPDX-License-Identifier: Apache-2.0 */
/*
 * speaker: the BFD core on real sockets, for tests with other implementations. One session, on its own
 * port 3784 or 4784. What happens is told on standard output, a line each:
 *
 *	FROM -> TO (DIAGNOSTIC) at SECONDS, silent MS [peer admin down]
 *	timers tx MS detection MS, when they change
 *	show ...
 *
 * usage: speaker LOCAL REMOTE TX_MS RX_MS MULTIPLIER [--multihop] [--passive] [--commands FIFO]
 *
 * Commands come by the FIFO, a line each: "admin-down", "admin-up", "path-down", "timers TX_MS RX_MS", "show".
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "bfd/bfd.h"
#include "tests/bgp/sockets.h"

#define SESSION     1
#define SOURCE_PORT 49152 /* RFC 5881 4 */
#define TTL         255   /* RFC 5881 5; RFC 5883 5 leaves it open */

struct speaker {
	struct bfd *bfd;
	struct bfd_session_cfg cfg;
	int rx, tx;
	FILE *commands;
	struct mono heard;                          /* of the last packet */
	struct mono_span shown_tx, shown_detection; /* as last told */
};

static uint32_t draw(void *ctx)
{
	uint32_t v;

	if (getrandom(&v, sizeof(v), 0) != sizeof(v))
		abort();
	return v;
}

static double ms(struct mono_span d)
{
	return (double)d.ns / 1e6;
}

static void carry_out(struct speaker *s, struct mono now, struct bfd_out *out)
{
	for (size_t i = 0; i < out->n; i++) {
		const struct bfd_action *a = &out->actions[i];
		struct sockaddr_storage ss;
		socklen_t n;

		if (a->type == BFD_ACT_STATE) {
			printf("%s -> %s (%s) at %.6f, silent %.1f%s\n",
			       bfd_state_name(a->state.from), bfd_state_name(a->state.to),
			       bfd_diagnostic_name(a->state.diagnostic), (double)now.ns / 1e9,
			       ms(mono_since(now, s->heard)),
			       a->state.peer_admin_down ? " peer admin down" : "");
			continue;
		}
		n = sockets_name(&a->send.remote, a->send.multihop ? BFD_PORT_MULTIHOP : BFD_PORT,
				 &ss);
		(void)sendto(s->tx, a->send.data, sizeof(a->send.data), 0, (struct sockaddr *)&ss,
			     n);
	}
	bfd_out_fini(out);
}

static void tell_timers(struct speaker *s)
{
	struct bfd_show x;

	if (!bfd_show(s->bfd, SESSION, &x) ||
	    (x.tx.ns == s->shown_tx.ns && x.detection.ns == s->shown_detection.ns))
		return;
	s->shown_tx = x.tx;
	s->shown_detection = x.detection;
	printf("timers tx %.0f detection %.0f\n", ms(x.tx), ms(x.detection));
}

static void step(struct speaker *s, struct bfd_event *ev)
{
	struct bfd_out out = {0};

	ev->now = mono_now();
	ev->session = SESSION;
	bfd_step(s->bfd, ev, &out);
	carry_out(s, ev->now, &out);
}

static void configure(struct speaker *s)
{
	const struct mono now = mono_now();
	struct bfd_out out = {0};

	if (!bfd_configure(s->bfd, &s->cfg, 1, now, &out))
		sockets_die("configuration");
	carry_out(s, now, &out);
}

static void show(const struct speaker *s)
{
	struct bfd_show x;

	if (!bfd_show(s->bfd, SESSION, &x))
		return;
	printf("show %s peer %s diagnostic \"%s\" peer's \"%s\" tx %.0f detection %.0f in %llu out "
	       "%llu "
	       "flaps %u",
	       bfd_state_name(x.state), bfd_state_name(x.remote_state),
	       bfd_diagnostic_name(x.diagnostic), bfd_diagnostic_name(x.remote_diagnostic),
	       ms(x.tx), ms(x.detection), (unsigned long long)x.packets_in,
	       (unsigned long long)x.packets_out, x.flaps);
	for (int d = 0; d < BFD_DROP_END; d++)
		if (bfd_dropped(s->bfd, (enum bfd_drop)d))
			printf(" %s %llu", bfd_drop_name((enum bfd_drop)d),
			       (unsigned long long)bfd_dropped(s->bfd, (enum bfd_drop)d));
	printf("\n");
}

static void command(struct speaker *s)
{
	struct bfd_event ev = {.type = BFD_EV_TICK};
	char line[128];
	unsigned tx, rx;

	if (!fgets(line, sizeof(line), s->commands))
		return;
	if (strcmp(line, "admin-down\n") == 0) {
		ev.type = BFD_EV_ADMIN_DOWN;
	} else if (strcmp(line, "admin-up\n") == 0) {
		ev.type = BFD_EV_ADMIN_UP;
	} else if (strcmp(line, "path-down\n") == 0) {
		ev.type = BFD_EV_PATH_DOWN;
	} else if (sscanf(line, "timers %u %u", &tx, &rx) == 2) {
		s->cfg.tx = span_ms(tx);
		s->cfg.rx = span_ms(rx);
		configure(s);
	} else if (strcmp(line, "show\n") == 0) {
		show(s);
	} else {
		printf("what is \"%.*s\"?\n", (int)strcspn(line, "\n"), line);
	}
	step(s, &ev);
}

static void receive(struct speaker *s)
{
	struct bfd_event ev = {.type = BFD_EV_PACKET};
	uint8_t bytes[128];
	ssize_t n;

	while ((n = sockets_receive(s->rx, bytes, sizeof(bytes), &ev.packet.remote,
				    &ev.packet.ttl)) >= 0) {
		ev.packet.local = s->cfg.local;
		ev.packet.multihop = s->cfg.multihop;
		ev.packet.data = bytes;
		ev.packet.size = (size_t)n;
		step(s, &ev);
		s->heard = ev.now;
	}
}

static void run(struct speaker *s)
{
	struct pollfd fds[2] = {{.fd = s->rx, .events = POLLIN},
				{.fd = s->commands ? fileno(s->commands) : -1, .events = POLLIN}};

	for (;;) {
		struct bfd_event tick = {.type = BFD_EV_TICK};
		uint64_t ns;

		tell_timers(s);
		fflush(stdout);
		ns = mono_since(bfd_deadline(s->bfd), mono_now()).ns;
		(void)poll(fds, 2, ns > 1000000000 ? 1000 : (int)(ns / 1000000) + (ns > 0));
		/* What has come, first: a process that had to wait for its turn has not lost its peer. */
		receive(s);
		if (fds[1].revents)
			command(s);
		step(s, &tick);
	}
}

int main(int argc, char **argv)
{
	static struct speaker s;
	struct bfd_session_cfg *c = &s.cfg;

	if (argc < 6 || !ip_parse(argv[1], &c->local) || !ip_parse(argv[2], &c->remote)) {
		fprintf(stderr, "usage: speaker LOCAL REMOTE TX_MS RX_MS MULTIPLIER [--multihop] "
				"[--passive] [--commands FIFO]\n");
		return 2;
	}
	memcpy(c->name, "session", 8);
	c->session = SESSION;
	c->tx = span_ms(strtoul(argv[3], NULL, 10));
	c->rx = span_ms(strtoul(argv[4], NULL, 10));
	c->multiplier = (uint8_t)strtoul(argv[5], NULL, 10);
	for (int i = 6; i < argc; i++) {
		if (strcmp(argv[i], "--multihop") == 0)
			c->multihop = true;
		else if (strcmp(argv[i], "--passive") == 0)
			c->passive = true;
		else if (strcmp(argv[i], "--commands") == 0 && i + 1 < argc)
			s.commands = fopen(argv[++i], "r+"); /* for writing, too: it never ends */
		else
			sockets_die(argv[i]);
	}
	if (s.commands)
		setvbuf(s.commands, NULL, _IONBF, 0);
	s.rx = sockets_bound(&c->local, SOCK_DGRAM, c->multihop ? BFD_PORT_MULTIHOP : BFD_PORT);
	s.tx = sockets_bound(&c->local, SOCK_DGRAM, SOURCE_PORT);
	sockets_want_ttl(s.rx, &c->local);
	sockets_ttl(s.tx, &c->local, TTL);
	s.heard = mono_now();
	s.bfd = bfd_new(draw, NULL, NULL);
	configure(&s);
	run(&s);
	return 0;
}
