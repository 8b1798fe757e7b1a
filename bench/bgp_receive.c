/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bgp_receive: the BGP and routing cores as the route process runs them, in one thread: sessions that
 * neighbours open, their routes into the RIB, the RIB's routes to the dataplane's ring. Without --fib
 * batches are acknowledged at once; with it the program named is started, which has the other end of the
 * rings and the real forwarding tables (bgp_fib.c).
 *
 * Neighbour i is tunnel i of one connection, and all tunnels are up. On standard input: "show" (one
 * object of figures; the longest steps begin anew) and "quit".
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "base/log.h"
#include "bgp/bgp.h"
#include "daemon/ring_port.h"
#include "daemon/translate.h"
#include "routing/routing.h"

#define PORT          179
#define MAX_FDS       1024
#define MAX_NEIGHBORS RT_MAX_TUNNELS
#define READ_MAX                                                                                   \
	16384u /* bytes of one connection in a turn: a thousand prefixes, or 4,000 withdrawn */
#define ANSWERS_MAX   1024 /* in a turn */
#define RING_RETRY_MS 1
#define MAX_GROUPS    256

/* What a kind of call has taken of this thread's time. */
struct span_max {
	uint64_t longest_ns, sum_ns, n;
};

struct receiver {
	struct bgp *bgp;
	struct rt *rt;
	struct path_store *paths;
	struct bgp_neighbor_cfg neighbors[MAX_NEIGHBORS];
	size_t n_neighbors;
	uint32_t local_as;
	struct ip_addr local;
	int epoll, listener;
	struct rt_out out; /* actions [next, out.n) wait for the ring */
	size_t next;
	uint32_t n_unanswered;
	struct ring_port requests, events;
	pid_t fib;
	bool worked, settled; /* in this turn; nothing is left to do */
	struct mono settled_at;
	struct span_max bgp_steps, rt_steps, batches, turns;
	bool open[MAX_FDS];
};

static struct receiver r = {.listener = -1, .requests = RING_PORT_NONE, .events = RING_PORT_NONE};

static void die(const char *what)
{
	fprintf(stderr, "bgp_receive: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint32_t draw(void *ctx)
{
	uint32_t v;

	if (getrandom(&v, sizeof(v), 0) != sizeof(v))
		abort();
	return v;
}

/* Of this thread alone: what else runs on the machine does not count. */
static uint64_t cpu_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void took(struct span_max *m, uint64_t since)
{
	const uint64_t ns = cpu_ns() - since;

	m->longest_ns = ns > m->longest_ns ? ns : m->longest_ns;
	m->sum_ns += ns;
	m->n++;
}

/* ---------------------------------------------------------------- the RIB */

static size_t on_announce(void *ctx, uint32_t neighbor, const struct path_nlri *nlri, size_t n,
			  struct path *path)
{
	return rt_announce(r.rt, neighbor, nlri, n, path);
}

static size_t on_withdraw(void *ctx, uint32_t neighbor, const struct path_nlri *nlri, size_t n)
{
	return rt_withdraw(r.rt, neighbor, nlri, n);
}

static void on_up(void *ctx, uint32_t neighbor)
{
	rt_session_up(r.rt, neighbor);
}

static void on_stale(void *ctx, uint32_t neighbor, enum bgp_family f)
{
	rt_stale(r.rt, neighbor, f == BGP_IPV6_UNICAST);
}

static size_t on_purge(void *ctx, uint32_t neighbor, enum bgp_family f, bool only_stale)
{
	return rt_purge(r.rt, neighbor, f == BGP_IPV6_UNICAST, only_stale);
}

static void on_end_of_rib(void *ctx, uint32_t neighbor, enum bgp_family f)
{
	rt_end_of_rib(r.rt, neighbor, f == BGP_IPV6_UNICAST);
}

static bool on_advertise(void *ctx, uint32_t tunnel, const struct ip_prefix *prefix,
			 struct path *path)
{
	return bgp_advertise(r.bgp, tunnel, prefix, path);
}

static void on_advertise_end(void *ctx, uint32_t tunnel, bool v6)
{
	bgp_advertise_end(r.bgp, tunnel, v6 ? BGP_IPV6_UNICAST : BGP_IPV4_UNICAST);
}

static void step_rt(struct rt_event *ev)
{
	const uint64_t since = cpu_ns();

	r.worked = true;
	ev->now = mono_now();
	rt_step(r.rt, ev, &r.out);
	took(&r.rt_steps, since);
}

/* ------------------------------------------------------------ the dataplane */

static void answered(uint32_t request, bool ok)
{
	struct rt_event ev = {.type = RT_EV_DP_RESULT, .request = request, .ok = ok};

	r.n_unanswered--;
	step_rt(&ev);
}

static void push_actions(void)
{
	struct dp_msg msg;

	for (; r.next < r.out.n; r.next++) {
		const struct rt_action *a = &r.out.actions[r.next];
		const uint32_t request = a->request;

		if (!translate_dp_route(a, &msg))
			continue;
		if (r.fib && !ring_port_push(&r.requests, &msg))
			return;
		r.n_unanswered++;
		if (!r.fib)
			answered(request, true);
	}
	r.next = r.out.n = 0;
}

static void push_routes(void)
{
	static struct rt_route_op ops[RT_BATCH_MAX];
	struct dp_msg msg;
	uint32_t request;

	while (r.next == r.out.n && (!r.fib || ring_port_room(&r.requests))) {
		const uint64_t since = cpu_ns();
		const size_t n = rt_next_routes(r.rt, ops, RT_BATCH_MAX, &request);

		took(&r.batches, since);
		if (n == 0)
			break;
		translate_dp_routes(ops, n, request, &msg);
		r.n_unanswered++;
		if (r.fib)
			(void)ring_port_push(&r.requests, &msg);
		else
			answered(request, true);
	}
}

static void take_answers(void)
{
	struct dp_event e;

	ring_port_hush(&r.events);
	for (int i = 0; i < ANSWERS_MAX && ring_port_pop(&r.events, &e); i++) {
		if (e.type != DP_EV_ACK)
			continue;
		if (e.ack.status != DP_OK) {
			fprintf(stderr, "bgp_receive: the dataplane refused a request: %u\n",
				e.ack.status);
			exit(1);
		}
		answered(e.ack.seq, true);
	}
}

static int make_ring(struct ring_port *p, uint32_t slot_size, bool producer)
{
	const size_t size = ring_size(DP_RING_SLOTS, slot_size);

	if (!shm_create(&p->shm, "bench-ring", size))
		die("ring");
	ring_format(p->shm.map, DP_RING_SLOTS, slot_size);
	p->doorbell = eventfd(0, EFD_NONBLOCK);
	if (p->doorbell < 0 || !(producer ? ring_attach_producer : ring_attach_consumer)(
				       &p->end, p->shm.map, size, DP_RING_SLOTS, slot_size))
		die("ring");
	return dup(p->shm.fd); /* which is not closed on exec */
}

static void start_fib(const char *program)
{
	const int request = make_ring(&r.requests, DP_MSG_SIZE, true);
	const int event = make_ring(&r.events, DP_EVENT_SIZE, false);
	char fds[4][16];

	snprintf(fds[0], sizeof(fds[0]), "%d", request);
	snprintf(fds[1], sizeof(fds[1]), "%d", r.requests.doorbell);
	snprintf(fds[2], sizeof(fds[2]), "%d", event);
	snprintf(fds[3], sizeof(fds[3]), "%d", r.events.doorbell);
	r.fib = fork();
	if (r.fib == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		execl(program, program, fds[0], fds[1], fds[2], fds[3], (char *)NULL);
		_exit(127);
	}
	if (r.fib < 0)
		die("fork");
	close(request);
	close(event);
}

/* ---------------------------------------------------------------- sessions */

static void step_bgp(struct bgp_event *ev);

static void drop(int fd)
{
	r.open[fd] = false;
	close(fd);
}

static void carry_out(const struct bgp_out *out)
{
	for (size_t i = 0; i < out->n; i++) {
		const struct bgp_action *a = &out->actions[i];
		struct bgp_event sent = {.type = BGP_EV_SENT, .conn = a->conn};

		switch (a->type) {
		case BGP_ACT_SEND:
			/* A few short messages: they always fit. */
			sent.sent = a->send.size;
			if (send((int)a->conn, a->send.bytes, a->send.size, MSG_NOSIGNAL) !=
			    (ssize_t)a->send.size)
				fprintf(stderr, "bgp_receive: a message was lost\n");
			step_bgp(&sent);
			break;
		case BGP_ACT_CLOSE:
			if (a->conn != BGP_CONN_NONE)
				drop((int)a->conn);
			break;
		case BGP_ACT_EVENT:
			fprintf(stderr, "%s: %s\n", a->event.name, a->event.text);
			break;
		case BGP_ACT_CONNECT:
		case BGP_ACT_UP:
		case BGP_ACT_DOWN: break;
		}
	}
}

static void step_bgp(struct bgp_event *ev)
{
	const uint64_t since = cpu_ns();
	struct bgp_out out = {0};

	r.worked = true;
	ev->now = mono_now();
	bgp_step(r.bgp, ev, &out);
	took(&r.bgp_steps, since);
	for (size_t i = 0; i < out.n; i++) {
		struct rt_event gone = {.type = RT_EV_BGP_DOWN, .tunnel = out.actions[i].neighbor};

		if (out.actions[i].type == BGP_ACT_DOWN)
			step_rt(&gone);
	}
	carry_out(&out);
	bgp_out_fini(&out);
}

static void on_listener(void)
{
	struct sockaddr_in from = {0};
	socklen_t size = sizeof(from);
	const int fd = accept4(r.listener, (struct sockaddr *)&from, &size, SOCK_CLOEXEC);
	struct bgp_event ev = {.type = BGP_EV_ACCEPTED, .conn = (uint32_t)fd};
	struct epoll_event watch = {.events = EPOLLIN, .data.fd = fd};

	if (fd < 0 || fd >= MAX_FDS || epoll_ctl(r.epoll, EPOLL_CTL_ADD, fd, &watch) != 0)
		die("accept");
	r.open[fd] = true;
	ev.accepted.local = r.local;
	ev.accepted.remote = ip_from_bytes(IP_V4, (const uint8_t *)&from.sin_addr);
	step_bgp(&ev);
}

static void on_data(int fd)
{
	static uint8_t bytes[READ_MAX];
	const ssize_t n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	struct bgp_event ev = {.type = BGP_EV_DATA, .conn = (uint32_t)fd};

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		ev.type = BGP_EV_CLOSED;
		drop(fd);
	} else {
		ev.data.bytes = bytes;
		ev.data.size = (size_t)n;
	}
	step_bgp(&ev);
}

/* -------------------------------------------------------------------- show */

static void show_span(const char *name, struct span_max *m)
{
	printf(", \"%s\": {\"n\": %llu, \"mean_us\": %.1f, \"longest_us\": %.1f}", name,
	       (unsigned long long)m->n, m->n ? (double)m->sum_ns / (double)m->n / 1e3 : 0,
	       (double)m->longest_ns / 1e3);
	*m = (struct span_max){0};
}

static void show(void)
{
	struct rt_show_stats stats;
	size_t n_routes = 0;

	rt_show_stats(r.rt, &stats);
	for (uint32_t i = 0; i < r.n_neighbors; i++) {
		struct rt_show_tunnel t;

		if (rt_show_tunnel(r.rt, i, &t))
			n_routes += t.accepted[0] + t.accepted[1];
	}
	printf("{\"n_routes\": %zu, \"n_prefixes\": %zu, \"n_waiting\": %zu, \"n_paths\": %zu, "
	       "\"rib_bytes\": %zu, \"path_bytes\": %zu, \"fib_pid\": %d, \"settled_ns\": %llu",
	       n_routes, stats.n_prefixes, stats.n_waiting, path_store_count(r.paths), stats.bytes,
	       path_store_bytes(r.paths), (int)r.fib,
	       (unsigned long long)(r.settled ? r.settled_at.ns : 0));
	show_span("bgp_steps", &r.bgp_steps);
	show_span("rt_steps", &r.rt_steps);
	show_span("batches", &r.batches);
	show_span("turns", &r.turns);
	printf("}\n");
	fflush(stdout);
}

static void on_input(void)
{
	char text[64];
	const ssize_t n = read(STDIN_FILENO, text, sizeof(text) - 1);

	if (n <= 0)
		exit(0);
	text[n] = '\0';
	if (strncmp(text, "quit", 4) == 0)
		exit(0);
	show();
}

/* -------------------------------------------------------------------- loop */

static bool busy(void)
{
	return mono_reached(mono_now(), rt_deadline(r.rt)) || r.next < r.out.n ||
	       rt_routes_waiting(r.rt) || r.n_unanswered;
}

static int timeout_ms(void)
{
	const struct mono now = mono_now();
	const uint64_t ns = mono_since(mono_min(bgp_deadline(r.bgp), rt_deadline(r.rt)), now).ns;

	if (r.next < r.out.n || rt_routes_waiting(r.rt))
		return ns ? RING_RETRY_MS : 0;
	return ns > 1000000000 ? 1000 : (int)(ns / 1000000) + (ns > 0);
}

static void turn(void)
{
	struct epoll_event evs[16];
	const int n = epoll_wait(r.epoll, evs, 16, timeout_ms());
	const uint64_t since = cpu_ns();
	const struct mono now = mono_now();

	r.worked = false;
	for (int i = 0; i < n; i++) {
		const int fd = evs[i].data.fd;

		if (fd == r.listener)
			on_listener();
		else if (fd == STDIN_FILENO)
			on_input();
		else if (fd == r.events.doorbell)
			take_answers();
		else if (r.open[fd])
			on_data(fd);
	}
	if (mono_reached(now, bgp_deadline(r.bgp))) {
		struct bgp_event tick = {.type = BGP_EV_TICK};

		step_bgp(&tick);
	}
	if (mono_reached(now, rt_deadline(r.rt))) {
		struct rt_event tick = {.type = RT_EV_TICK};

		step_rt(&tick);
	}
	push_actions();
	push_routes();
	ring_port_notify(&r.requests);
	r.settled = !busy();
	if (r.settled && r.worked)
		r.settled_at = mono_now();
	took(&r.turns, since);
}

/* ------------------------------------------------------------------- set-up */

static void listen_at(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(PORT)};

	memcpy(&a.sin_addr, r.local.b, 4);
	r.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (r.listener < 0 ||
	    setsockopt(r.listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) != 0 ||
	    bind(r.listener, (struct sockaddr *)&a, sizeof(a)) != 0 || listen(r.listener, 4) != 0)
		die("the address cannot be used");
}

static void watch(int fd)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};

	if (epoll_ctl(r.epoll, EPOLL_CTL_ADD, fd, &ev) != 0)
		die("epoll");
}

static void configure_rt(void)
{
	struct rt_connection_cfg c = {
		.name = "bench", .n_tunnels = r.n_neighbors, .revert_hold = span_ms(0)};
	const struct rt_cfg cfg = {.connections = &c,
				   .n_connections = 1,
				   .max_groups = MAX_GROUPS,
				   .local_as = r.local_as,
				   .id = 0x7f000001};

	for (uint32_t i = 0; i < r.n_neighbors; i++) {
		c.tunnels[i].tunnel = i;
		snprintf(c.tunnels[i].name, sizeof(c.tunnels[i].name), "t%u", i);
	}
	if (!rt_configure(r.rt, &cfg, mono_now(), &r.out))
		die("the RIB's configuration");
	for (uint32_t i = 0; i < r.n_neighbors; i++) {
		struct rt_event up = {.type = RT_EV_TUNNEL_UP, .tunnel = i};

		step_rt(&up);
	}
}

static void configure_bgp(void)
{
	const struct bgp_cfg cfg = {
		.id = 0xc0000202, .neighbors = r.neighbors, .n_neighbors = r.n_neighbors};
	struct bgp_out out = {0};

	if (!bgp_configure(r.bgp, &cfg, mono_now(), &out))
		die("the neighbours' configuration");
	bgp_out_fini(&out);
	for (uint32_t i = 0; i < r.n_neighbors; i++) {
		struct bgp_event start = {.type = BGP_EV_START, .neighbor = i};

		step_bgp(&start);
	}
}

/* ADDRESS=AS */
static bool add_neighbor(char *text)
{
	char *as = strchr(text, '=');
	struct bgp_neighbor_cfg *n = &r.neighbors[r.n_neighbors];

	if (!as || r.n_neighbors == MAX_NEIGHBORS)
		return false;
	*as++ = '\0';
	*n = (struct bgp_neighbor_cfg){
		.neighbor = (uint32_t)r.n_neighbors,
		.local = r.local,
		.inside = {{r.local, 24}, {{.family = IP_V6, .b = {0xfd}}, 64}},
		.local_as = r.local_as,
		.remote_as = (uint32_t)strtoul(as, NULL, 10),
		.passive = true,
		.hold = span_s(180),
		.connect_retry = span_s(2),
		.stale_max = span_s(60),
		.families = {true, true},
		.role = BGP_ROLE_NONE,
	};
	n->next_hop[BGP_IPV4_UNICAST] = r.local;
	n->next_hop[BGP_IPV6_UNICAST] =
		(struct ip_addr){.family = IP_V6, .b = {0xfd, [15] = r.local.b[3]}};
	snprintf(n->name, sizeof(n->name), "n%zu", r.n_neighbors);
	r.n_neighbors++;
	return ip_parse(text, &n->remote);
}

int main(int argc, char **argv)
{
	const struct bgp_sink sink = {&r,       on_announce, on_withdraw,  on_up,
				      on_stale, on_purge,    on_end_of_rib};
	const struct rt_export ex = {&r, on_advertise, on_advertise_end};
	const char *fib = NULL;
	uint64_t seed = (uint64_t)draw(NULL) << 32 | draw(NULL);
	bool ok = argc > 3 && ip_parse(argv[1], &r.local) && r.local.family == IP_V4;

	r.local_as = ok ? (uint32_t)strtoul(argv[2], NULL, 10) : 0;
	for (int i = 3; ok && i < argc; i++) {
		if (strncmp(argv[i], "--fib=", 6) == 0)
			fib = argv[i] + 6;
		else
			ok = add_neighbor(argv[i]);
	}
	if (!ok || !r.n_neighbors) {
		fprintf(stderr, "usage: bgp_receive LOCAL AS NEIGHBOR=AS... [--fib=PROGRAM]\n");
		return 2;
	}
	log_init("bgp_receive", LOG_LEVEL_WARN, LOG_FORMAT_TEXT);
	r.epoll = epoll_create1(EPOLL_CLOEXEC);
	listen_at();
	watch(r.listener);
	watch(STDIN_FILENO);
	if (fib) {
		start_fib(fib);
		watch(r.events.doorbell);
	}
	r.paths = path_store_new(seed);
	r.rt = rt_new(r.paths, seed, &ex, NULL);
	r.bgp = bgp_new(r.paths, &sink, draw, NULL, NULL);
	if (!r.paths || !r.rt || !r.bgp)
		die("memory");
	configure_rt();
	configure_bgp();
	printf("{\"event\": \"ready\"}\n");
	fflush(stdout);
	for (;;)
		turn();
}
