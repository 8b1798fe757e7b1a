/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_dp: a dataplane that forwards nothing. It speaks the supervisor's and the rings' protocol
 * as twinbore-dp does, acknowledges every message and writes it down, so that tests of the daemon
 * need neither DPDK nor ports.
 *
 *	FAKE_DP_LOG    file that gets one line a message
 *	FAKE_DP_MODE   file whose word says how to behave: "fatal" (says IPC_FATAL), "crash" (dies
 *	               before it is ready), "hang" (never becomes ready), "deaf" (ignores IPC_STOP),
 *	               "refuse" (acknowledges with an error), "hostile" (sends thousands of random
 *	               events), "broken" (moves an index out of its range), "forget" (has no SA when
 *	               it is asked what it has); no file: a good one
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/addr.h"
#include "daemon/ring_port.h"
#include "daemon/translate.h"
#include "ipc/ipc.h"
#include "twinbore/dp_stats.h"

struct channel {
	struct ring_port requests, events;
};

static struct channel sa, fib;

#define MAX_SLOTS 4096u
static struct dp_listed slots[MAX_SLOTS];
static FILE *out;
static char mode[32];

static void read_mode(void)
{
	const char *path = getenv("FAKE_DP_MODE");
	FILE *f = path ? fopen(path, "re") : NULL;

	mode[0] = '\0';
	if (f) {
		if (fscanf(f, "%31s", mode) != 1)
			mode[0] = '\0';
		fclose(f);
	}
}

/* Enough of a key to compare two sides by. */
static void put_key(const struct dp_sa *s)
{
	fprintf(out, " key=");
	for (int i = 0; i < 36; i++)
		fprintf(out, "%02x", s->encr_key[i]);
}

static void write_down(const struct dp_msg *m)
{
	static const char *const names[DP_MSG_TYPE_END] = {
		[DP_SA_ADD_IN] = "sa-add-in",
		[DP_SA_ADD_OUT] = "sa-add-out",
		[DP_SA_SWITCH] = "sa-switch",
		[DP_SA_DEL_IN] = "sa-del-in",
		[DP_SA_DEL_OUT] = "sa-del-out",
		[DP_SA_PEER] = "sa-peer",
		[DP_SA_FLUSH] = "sa-flush",
		[DP_SA_LIST] = "sa-list",
		[DP_TUNNEL_SET] = "tunnel-set",
		[DP_TUNNEL_DEL] = "tunnel-del",
		[DP_GROUP_SET] = "group-set",
		[DP_GROUP_DEL] = "group-del",
		[DP_ROUTE_SET] = "route-set",
		[DP_ROUTE_DEL] = "route-del",
		[DP_ROUTES] = "",
	};
	char buf[IP_ADDR_STRLEN];
	struct ip_addr a;

	if (m->type >= DP_MSG_TYPE_END || !names[m->type]) {
		fprintf(out, "unknown %u\n", m->type);
		return;
	}
	fprintf(out, "%s", names[m->type]);
	switch (m->type) {
	case DP_SA_ADD_IN:
	case DP_SA_ADD_OUT:
		fprintf(out, " slot=%u spi=%08x tunnel=%u encr=%u/%u", m->sa.slot, m->sa.spi,
			m->sa.tunnel, m->sa.encr, m->sa.encr_key_bits);
		put_key(&m->sa);
		break;
	case DP_SA_SWITCH:
	case DP_SA_DEL_IN:
	case DP_SA_DEL_OUT:
	case DP_SA_LIST:
		fprintf(out, " slot=%d tunnel=%u", (int)m->ref.slot, m->ref.tunnel);
		if (m->ref.resource)
			fprintf(out, " resource=%u", m->ref.resource);
		break;
	case DP_TUNNEL_SET: fprintf(out, " %u %s", m->tunnel.tunnel, m->tunnel.name); break;
	case DP_TUNNEL_DEL: fprintf(out, " %u", m->tunnel.tunnel); break;
	case DP_GROUP_SET:
		fprintf(out, " %u:", m->group.group);
		for (uint32_t i = 0; i < m->group.n_tunnels && i < DP_GROUP_MAX; i++)
			fprintf(out, " %u", m->group.tunnels[i]);
		break;
	case DP_GROUP_DEL: fprintf(out, " %u", m->group.group); break;
	case DP_ROUTES:
		for (uint32_t i = 0; i < m->routes.n && i < DP_ROUTES_MAX; i++) {
			const struct dp_routes_entry *e = &m->routes.entries[i];

			a = translate_ip_addr(&e->prefix);
			fprintf(out, "%s %s/%u\n",
				e->group == DP_GROUP_WITHDRAW ? "route-del" : "route-set",
				ip_format(&a, buf), e->len);
		}
		return;
	case DP_ROUTE_SET:
	case DP_ROUTE_DEL:
		a = translate_ip_addr(&m->route.prefix);
		fprintf(out, " %s/%u", ip_format(&a, buf), m->route.len);
		break;
	default: break;
	}
	fprintf(out, "\n");
}

static void add_half(const struct dp_sa *s, uint32_t half, uint32_t *spi)
{
	if (s->slot >= MAX_SLOTS)
		exit(7);
	slots[s->slot].slot = s->slot;
	slots[s->slot].tunnel = s->tunnel;
	slots[s->slot].flags |= half;
	*spi = s->spi;
}

/* What a dataplane knows of its SAs: which there are. */
static void carry_out(const struct dp_msg *m)
{
	switch (m->type) {
	case DP_SA_ADD_IN:
		add_half(&m->sa, DP_LISTED_IN, &slots[m->sa.slot % MAX_SLOTS].spi_in);
		break;
	case DP_SA_ADD_OUT:
		add_half(&m->sa, DP_LISTED_OUT, &slots[m->sa.slot % MAX_SLOTS].spi_out);
		break;
	case DP_SA_DEL_IN:
		slots[m->ref.slot % MAX_SLOTS].flags &= ~(uint32_t)DP_LISTED_IN;
		slots[m->ref.slot % MAX_SLOTS].spi_in = 0;
		break;
	case DP_SA_DEL_OUT:
		slots[m->ref.slot % MAX_SLOTS].flags &= ~(uint32_t)DP_LISTED_OUT;
		slots[m->ref.slot % MAX_SLOTS].spi_out = 0;
		break;
	case DP_SA_FLUSH: memset(slots, 0, sizeof(slots)); break;
	default: break;
	}
}

static void push(struct channel *c, const struct dp_event *e)
{
	while (!ring_port_push(&c->events, e)) {
		ring_port_notify(&c->events);
		usleep(1000);
	}
}

static void list(struct channel *c, const struct dp_msg *m)
{
	uint32_t n = 0;

	if (strcmp(mode, "forget") == 0)
		memset(slots, 0, sizeof(slots));
	for (uint32_t i = m->ref.slot; i < MAX_SLOTS && n < DP_LIST_MAX; i++) {
		struct dp_event e = {.type = DP_EV_SA, .listed = slots[i]};

		if (!slots[i].flags)
			continue;
		e.listed.seq = m->seq;
		push(c, &e);
		n++;
	}
}

static void serve(struct channel *c)
{
	struct dp_msg m;

	ring_port_hush(&c->requests);
	while (ring_port_pop(&c->requests, &m)) {
		struct dp_event e = {.type = DP_EV_ACK};

		write_down(&m);
		e.ack.seq = m.seq;
		e.ack.status = strcmp(mode, "refuse") == 0 ? DP_ERR_RESOURCES : DP_OK;
		if (e.ack.status == DP_OK)
			carry_out(&m);
		if (m.type == DP_SA_LIST && e.ack.status == DP_OK)
			list(c, &m);
		push(c, &e);
	}
	ring_port_notify(&c->events);
	fflush(out);
}

/* Events that no dataplane would send: of every type, with every field at random. */
static void send_nonsense(struct channel *c)
{
	static uint32_t seed = 1;

	for (int i = 0; i < 5000; i++) {
		struct dp_event e;
		uint8_t *p = (uint8_t *)&e;

		for (size_t k = 0; k < sizeof(e); k++) {
			seed = seed * 1664525u + 1013904223u;
			p[k] = (uint8_t)(seed >> 24);
		}
		/* Mostly types that exist, and numbers that are in use. */
		if (i % 4)
			e.type = DP_EV_ACK + seed / 7 % (DP_EV_TYPE_END - DP_EV_ACK);
		if (i % 3 == 0)
			e.sa.slot = seed % 4;
		if (e.type == DP_EV_HARD_EXPIRE || e.type == DP_EV_SOFT_EXPIRE)
			continue; /* those are believed: they end and renew SAs */
		if (e.type == DP_EV_PEER_MOVED && i % 2)
			e.sa.local.addr.family = e.sa.remote.addr.family = 0;
		push(c, &e);
	}
	ring_port_notify(&c->events);
	fprintf(out, "nonsense sent\n");
	fflush(out);
}

/* Says that more waits than the ring holds. */
static void break_ring(struct channel *c)
{
	__atomic_store_n(&c->events.end.h->head, 0x80000000u, __ATOMIC_RELEASE);
	c->events.rung = true;
	ring_port_notify(&c->events);
}

static void misbehave(void)
{
	static bool done;

	if (done)
		return;
	done = true;
	if (strcmp(mode, "hostile") == 0) {
		send_nonsense(&sa);
		send_nonsense(&fib);
	} else if (strcmp(mode, "broken") == 0) {
		break_ring(&sa);
		break_ring(&fib);
	} else {
		done = false;
	}
}

static void show_stats(struct ipc_msg *msg)
{
	struct shm shm;
	struct dp_stats *s;
	uint64_t size;

	memcpy(&size, msg->body, sizeof(size));
	if (!shm_attach(&shm, ipc_msg_take_fd(msg, 0), size, true))
		exit(3);
	s = shm.map;
	s->version = DP_STATS_VERSION;
	s->n_workers = 1;
	s->n_ports = 1;
	memcpy(s->ports[0].name, "wan", sizeof("wan"));
	s->ports[0].link_up = 1;
	s->pid = (uint32_t)getpid();
	__atomic_store_n(&s->magic, DP_STATS_MAGIC, __ATOMIC_RELEASE);
}

static void take_ring(struct ipc_msg *msg)
{
	bool ok = true;

	switch ((int)ring_port_kind(msg)) {
	case IPC_RING_SA: ok = ring_port_take(&sa.requests, msg, DP_MSG_SIZE, false); break;
	case IPC_RING_SA_EVENT: ok = ring_port_take(&sa.events, msg, DP_EVENT_SIZE, true); break;
	case IPC_RING_FIB: ok = ring_port_take(&fib.requests, msg, DP_MSG_SIZE, false); break;
	case IPC_RING_FIB_EVENT: ok = ring_port_take(&fib.events, msg, DP_EVENT_SIZE, true); break;
	default: ok = false; break;
	}
	if (!ok)
		exit(4);
}

static void start(void)
{
	static const char text[] = "port 'wan' does not exist: name another";

	if (strcmp(mode, "fatal") == 0) {
		ipc_send(IPC_CHANNEL_FD, IPC_FATAL, 0, 0, text, sizeof(text) - 1, NULL, 0);
		exit(1);
	}
	if (strcmp(mode, "crash") == 0)
		abort();
	if (strcmp(mode, "hang") != 0)
		ipc_send(IPC_CHANNEL_FD, IPC_READY, 0, 0, NULL, 0, NULL, 0);
	fprintf(out, "start\n");
}

static bool started;

static void take(struct ipc_msg *msg)
{
	switch ((int)msg->h.type) {
	case IPC_STATS: show_stats(msg); break;
	case IPC_RING: take_ring(msg); break;
	case IPC_START:
		start();
		started = true;
		break;
	case IPC_STOP:
		fprintf(out, "stop\n");
		if (strcmp(mode, "deaf") != 0)
			exit(0);
		break;
	case IPC_CONFIG:
		fprintf(out, "config\n");
		if (started)
			ipc_send(IPC_CHANNEL_FD, IPC_RELOADED, 0, 0, NULL, 0, NULL, 0);
		break;
	case IPC_PING: ipc_send(IPC_CHANNEL_FD, IPC_PONG, 0, msg->h.id, NULL, 0, NULL, 0); break;
	default: fprintf(out, "unexpected %u\n", msg->h.type); break;
	}
	ipc_msg_close(msg);
	fflush(out);
}

int main(void)
{
	static struct ipc_msg msg;
	const char *path = getenv("FAKE_DP_LOG");

	out = fopen(path ? path : "/dev/null", "ae");
	if (!out)
		return 5;
	sa.requests = sa.events = fib.requests = fib.events = RING_PORT_NONE;
	read_mode();
	for (;;) {
		struct pollfd p[3] = {
			{.fd = IPC_CHANNEL_FD, .events = POLLIN},
			{.fd = sa.requests.doorbell, .events = POLLIN},
			{.fd = fib.requests.doorbell, .events = POLLIN},
		};
		int r;

		if (poll(p, 3, -1) < 0)
			return 6;
		while ((r = ipc_recv(IPC_CHANNEL_FD, &msg)) == 1)
			take(&msg);
		if (r == 0 && errno == 0)
			return 0;
		read_mode();
		serve(&sa);
		serve(&fib);
		misbehave();
	}
}
