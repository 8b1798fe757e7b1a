/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ike_bench_sockets: the sites in a process of their own, both ends with UDP on loopback. A process'
 * time is what the kernel says, system calls included.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bench/ike_bench.h"

#define TIME_LIMIT span_s(60) /* for one case */

/* On the wire of the sockets: the addresses that the core sees, then the message. */
struct wire_header {
	struct ip_endpoint from, to;
};

void bench_sockets_send(const struct end *e, const struct ike_action *a)
{
	uint8_t buf[sizeof(struct wire_header) + IKE_MESSAGE_MAX];
	const struct wire_header h = {a->send.local, a->send.remote};

	memcpy(buf, &h, sizeof(h));
	memcpy(buf + sizeof(h), a->send.data, a->send.size);
	/* A full buffer is loss, which IKE repairs. */
	(void)!send(e->sock, buf, sizeof(h) + a->send.size, MSG_DONTWAIT);
}

static double resident_bytes(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	unsigned long size = 0, resident = 0;

	if (f) {
		if (fscanf(f, "%lu %lu", &size, &resident) != 2)
			resident = 0;
		fclose(f);
	}
	return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

static void receive(struct end *e)
{
	uint8_t buf[sizeof(struct wire_header) + IKE_MESSAGE_MAX];
	struct wire_header h;
	ssize_t size;

	for (int i = 0; i < 64; i++) {
		size = recv(e->sock, buf, sizeof(buf), MSG_DONTWAIT);
		if (size < (ssize_t)sizeof(h))
			return;
		memcpy(&h, buf, sizeof(h));
		bench_deliver(e, &h.to, &h.from, buf + sizeof(h), (size_t)size - sizeof(h));
	}
}

static void wait_for(struct end *e)
{
	const struct mono due = ike_deadline(e->ike), t = bench_now();
	struct pollfd p = {.fd = e->sock, .events = POLLIN};
	const uint64_t ms = mono_is_never(due) ? 1000 : span_to_ms(mono_since(due, t)) + 1;

	(void)poll(&p, 1, ms > 1000 ? 1000 : (int)ms);
	if (mono_reached(bench_now(), due)) {
		const struct ike_event tick = {.type = IKE_EV_TICK, .now = bench_now()};

		bench_step(e, &tick);
	}
}

static void serve(struct end *e, uint32_t n)
{
	const struct mono give_up = mono_add(bench_now(), TIME_LIMIT);
	uint32_t started = 0;

	while (e->n_up < n && mono_before(bench_now(), give_up)) {
		receive(e);
		/* Before the wait, or nothing is under way that would end it. */
		if (e->initiator)
			bench_initiate(e, n, &started);
		if (e->n_up < n)
			wait_for(e);
	}
}

static int udp_socket(struct sockaddr_in *addr)
{
	const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), size = 4 << 20;
	socklen_t len = sizeof(*addr);

	*addr = (struct sockaddr_in){.sin_family = AF_INET};
	addr->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0 ||
	    getsockname(fd, (struct sockaddr *)addr, &len) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)) < 0) {
		perror("ike_bench: socket");
		exit(1);
	}
	return fd;
}

static double cpu_us(const struct rusage *u)
{
	return (double)(u->ru_utime.tv_sec + u->ru_stime.tv_sec) * 1e6 +
	       (double)(u->ru_utime.tv_usec + u->ru_stime.tv_usec);
}

/* The sites' process: ready when it has said so by one byte, begins when it gets one. */
static void run_sites(const struct mode *m, uint32_t n, int sock, int control)
{
	static struct end sites;
	struct rusage before, after;
	double us;
	char c = 'r';

	bench_end_new(&sites, m, n, true);
	sites.sock = sock;
	if (write(control, &c, 1) != 1 || read(control, &c, 1) != 1)
		_exit(1);
	getrusage(RUSAGE_SELF, &before);
	serve(&sites, n);
	getrusage(RUSAGE_SELF, &after);
	us = cpu_us(&after) - cpu_us(&before);
	_exit(sites.n_up == n && write(control, &us, sizeof(us)) == sizeof(us) ? 0 : 1);
}

struct result bench_sockets_run(const struct mode *m, uint32_t n)
{
	static struct end hub;
	struct sockaddr_in a, b;
	const int hub_sock = udp_socket(&a), site_sock = udp_socket(&b);
	struct rusage before, after;
	struct result r = {.n = n};
	double rss, us = 0;
	int control[2], status;
	struct mono start;
	pid_t pid;
	char c;

	if (connect(hub_sock, (struct sockaddr *)&b, sizeof(b)) < 0 ||
	    connect(site_sock, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control) < 0) {
		perror("ike_bench");
		exit(1);
	}
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		close(control[0]);
		run_sites(m, n, site_sock, control[1]);
	}
	close(control[1]);
	close(site_sock);
	bench_end_new(&hub, m, n, false);
	hub.sock = hub_sock;
	if (pid < 0 || read(control[0], &c, 1) != 1 || write(control[0], &c, 1) != 1) {
		perror("ike_bench: the sites' process");
		exit(1);
	}
	rss = resident_bytes();
	getrusage(RUSAGE_SELF, &before);
	start = bench_now();
	serve(&hub, n);
	r.wall_s = (double)mono_since(bench_now(), start).ns / 1e9;
	getrusage(RUSAGE_SELF, &after);
	r.bytes = (resident_bytes() - rss) / n;
	r.responder_us = (cpu_us(&after) - cpu_us(&before)) / n;
	if (read(control[0], &us, sizeof(us)) != sizeof(us) || waitpid(pid, &status, 0) != pid ||
	    status != 0 || hub.n_up != n) {
		fprintf(stderr, "ike_bench: %u of %u tunnels came up at the hub\n", hub.n_up, n);
		exit(1);
	}
	r.initiator_us = us / n;
	ike_free(hub.ike);
	close(hub_sock);
	close(control[0]);
	return r;
}
