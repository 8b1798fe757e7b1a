/* SPDX-License-Identifier: Apache-2.0 */
/* ike_bench_null: both ends in one process; a datagram is handed from one to the other. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bench/ike_bench.h"

#define FLIGHTS 256

/* A datagram in flight between the ends of the null transport: a ring, in order. */
struct flight {
	struct end *to;
	struct ip_endpoint local, remote;
	size_t size;
	uint8_t data[IKE_MESSAGE_MAX];
};

static struct flight flights[FLIGHTS];
static size_t flight_head, n_flights;

void bench_null_send(const struct end *e, const struct ike_action *a)
{
	struct flight *f;

	if (n_flights == FLIGHTS) {
		fprintf(stderr, "ike_bench: too many datagrams in flight\n");
		exit(1);
	}
	f = &flights[(flight_head + n_flights++) % FLIGHTS];
	f->to = e->other;
	f->local = a->send.remote;
	f->remote = a->send.local;
	f->size = a->send.size;
	memcpy(f->data, a->send.data, a->send.size);
}

struct result bench_null_run(const struct mode *m, uint32_t n)
{
	static struct end hub, sites;
	uint32_t started = 0;
	struct mono start;
	struct result r = {.n = n};

	bench_end_new(&hub, m, n, false);
	bench_end_new(&sites, m, n, true);
	hub.other = &sites;
	sites.other = &hub;
	start = bench_now();
	while (sites.n_up < n) {
		bench_initiate(&sites, n, &started);
		if (n_flights == 0) {
			fprintf(stderr, "ike_bench: %u of %u tunnels came up\n", sites.n_up, n);
			exit(1);
		}
		while (n_flights > 0) {
			struct flight *f = &flights[flight_head];

			flight_head = (flight_head + 1) % FLIGHTS;
			n_flights--;
			bench_deliver(f->to, &f->local, &f->remote, f->data, f->size);
		}
	}
	r.wall_s = (double)mono_since(bench_now(), start).ns / 1e9;
	r.initiator_us = (double)sites.ns / 1e3 / n;
	r.responder_us = (double)hub.ns / 1e3 / n;
	ike_free(hub.ike);
	ike_free(sites.ike);
	return r;
}
