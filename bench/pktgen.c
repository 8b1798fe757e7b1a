/* SPDX-License-Identifier: Apache-2.0 */
/* pktgen: see pktgen.h. */
#include "bench/pktgen.h"

#include <stdlib.h>
#include <string.h>
#include <rte_cycles.h>
#include <rte_ethdev.h>
#include "base/sum.h"
#include "bench/cpus.h"

#define ETH_SIZE       14u
#define IP_SIZE        20u
#define UDP_SIZE       8u
#define PROTO_ESP      50
#define PROTO_UDP      17
#define PORT_NATT      4500
#define PROBE_US       1000
#define PROBE_QUIET_US 10000
#define QUIET_US       200
#define STAMP_AT       (ETH_SIZE + IP_SIZE + UDP_SIZE)
#define STAMP_MAGIC    0x54425047u /* "TBPG" */
#define REST_MS        20 /* what is still under way after the last packet comes within this time */
#define MAX_LATENCY    (PKTGEN_BUCKETS - 1)
#define SUB_BITS       6u /* 64 steps for each power of two */

struct stamp {
	uint32_t magic;
	uint32_t number;
};

/* Latencies in TSC cycles: exact below 64, then to 1/64. */
struct histogram {
	uint64_t n[PKTGEN_BUCKETS];
	uint64_t total, max, min;
};

static unsigned bucket_of(uint64_t v)
{
	unsigned shift;

	if (v < 1u << SUB_BITS)
		return (unsigned)v;
	shift = 63u - (unsigned)__builtin_clzll(v) - SUB_BITS;
	return RTE_MIN((shift + 1) * (1u << SUB_BITS) + (unsigned)(v >> shift) - (1u << SUB_BITS),
		       MAX_LATENCY);
}

static uint64_t value_of(unsigned bucket)
{
	const unsigned shift = bucket >> SUB_BITS;
	const uint64_t low = bucket & ((1u << SUB_BITS) - 1);

	return shift ? (low + (1u << SUB_BITS)) << (shift - 1) : low;
}

static double quantile_us(const struct histogram *h, double q)
{
	const uint64_t want = (uint64_t)((double)h->total * q);
	uint64_t sum = 0;

	for (unsigned i = 0; i < PKTGEN_BUCKETS; i++) {
		sum += h->n[i];
		if (sum > want)
			return (double)value_of(i) * 1e6 / (double)rte_get_tsc_hz();
	}
	return (double)h->max * 1e6 / (double)rte_get_tsc_hz();
}

bool pktgen_init(struct pktgen *g)
{
	bool ok = true;

	for (unsigned i = 0; i < g->n_lanes; i++) {
		g->lanes[i].sent_at = calloc(PKTGEN_TRACK, sizeof(*g->lanes[i].sent_at));
		ok = ok && g->lanes[i].sent_at;
	}
	return ok;
}

void pktgen_fini(struct pktgen *g)
{
	for (unsigned i = 0; i < g->n_lanes; i++) {
		free(g->lanes[i].sent_at);
		g->lanes[i].sent_at = NULL;
	}
}

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v);
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint32_t size_of(uint32_t size, uint64_t number)
{
	const unsigned i = (unsigned)(number * 7 % 12); /* the sizes alternate */

	return size != PKTGEN_IMIX ? size : i < 7 ? 64 : i < 11 ? 594 : 1518;
}

double pktgen_mean(uint32_t size)
{
	return size != PKTGEN_IMIX ? size : (7 * 64 + 4 * 594 + 1518) / 12.0;
}

/* The IP packet with this number. */
static uint32_t write_ip(const struct pktgen_flow *f, uint8_t *at, uint32_t size, uint64_t number)
{
	const struct stamp s = {.magic = STAMP_MAGIC, .number = (uint32_t)number};
	uint8_t *const udp = at + IP_SIZE;
	const uint8_t ip[IP_SIZE] = {
		0x45, 0, (uint8_t)(size >> 8), (uint8_t)size, 0, 0, 0x40, 0, 64, PROTO_UDP};

	memcpy(at, ip, sizeof(ip));
	put32(at + 12, f->src);
	put32(at + 16, f->dst + (uint32_t)(number % f->n_hosts) * f->step);
	put16(at + 10, sum_finish(sum_add(0, at, IP_SIZE)));
	/* The source port spreads the flows of a host over a NIC's queues. */
	put16(udp, 1024 + (number / f->n_hosts) % 64);
	put16(udp + 2, 4791);
	put16(udp + 4, size - IP_SIZE);
	put16(udp + 6, 0);
	memcpy(udp + UDP_SIZE, &s, sizeof(s));
	memset(udp + UDP_SIZE + sizeof(s), 0x5a, size - IP_SIZE - UDP_SIZE - sizeof(s));
	return size;
}

/* For the tape. */
struct writer {
	const struct pktgen_flow *flow;
	uint32_t size;
};

static uint32_t write_numbered(void *arg, uint8_t *at, uint64_t number)
{
	const struct writer *w = arg;

	return write_ip(w->flow, at, size_of(w->size, number), number);
}

/* The next but `ahead` packet of a lane. */
static void build(const struct pktgen *g, struct pktgen_lane *l, struct rte_mbuf *m, unsigned ahead)
{
	uint8_t *at = rte_pktmbuf_mtod(m, uint8_t *);
	uint32_t size;

	memcpy(at, l->flow.dst_mac, 6);
	memcpy(at + 6, l->flow.src_mac, 6);
	put16(at + 12, RTE_ETHER_TYPE_IPV4);
	if (l->tape) {
		const struct tape_packet *p = &l->tape->packets[l->tape->next + ahead];

		size = p->size;
		memcpy(at + ETH_SIZE, l->tape->bytes + p->at, size);
	} else {
		size = write_ip(&l->flow, at + ETH_SIZE, size_of(g->size, l->next + ahead),
				l->next + ahead);
	}
	m->data_len = (uint16_t)(ETH_SIZE + size);
	m->pkt_len = m->data_len;
}

/* Which of the accepted packets this is; false: none of ours. */
static bool number_of(const struct pktgen_lane *l, const struct rte_mbuf *m, uint32_t *out)
{
	const uint8_t *at = rte_pktmbuf_mtod(m, const uint8_t *), *udp = at + ETH_SIZE + IP_SIZE;
	struct stamp s;

	if (m->data_len < STAMP_AT + sizeof(s) || at[12] != 8 || at[13] != 0)
		return false;
	if (at[ETH_SIZE + 9] == PROTO_ESP) {
		*out = get32(udp + 4) - l->seq_base;
		return true;
	}
	memcpy(&s, at + STAMP_AT, sizeof(s));
	*out = s.number;
	if (s.magic == STAMP_MAGIC)
		return true;
	/* RFC 3948 2.1, 2.2: ESP behind a UDP header, where IKE has four zeros */
	if (at[ETH_SIZE + 9] != PROTO_UDP || (get32(udp) & 0xffff) != PORT_NATT || !get32(udp + 8))
		return false;
	*out = get32(udp + 12) - l->seq_base;
	return true;
}

static void receive(const struct pktgen_lane *l, struct pktgen_result *r, struct histogram *h)
{
	struct rte_mbuf *m[PKTGEN_BURST];
	const uint16_t n = rte_eth_rx_burst(l->rx_port, 0, m, PKTGEN_BURST);
	const uint64_t now = n ? rte_rdtsc() : 0;

	for (uint16_t i = 0; i < n; i++)
		rte_prefetch0(rte_pktmbuf_mtod(m[i], const uint8_t *));
	for (uint16_t i = 0; i < n; i++) {
		uint32_t number;
		uint64_t late;

		if (!number_of(l, m[i], &number)) {
			r->unknown++;
			continue;
		}
		late = now - l->sent_at[number & (PKTGEN_TRACK - 1)];
		r->received++;
		h->n[bucket_of(late)]++;
		h->total++;
		h->max = RTE_MAX(h->max, late);
		h->min = RTE_MIN(h->min, late);
	}
	if (n)
		rte_pktmbuf_free_bulk(m, n);
}

/* Takes what came late of what was before, until nothing comes for so long. */
static void drain(const struct pktgen *g, uint64_t quiet_us)
{
	const uint64_t quiet = rte_get_tsc_hz() / US_PER_S * quiet_us;

	for (uint64_t last = rte_rdtsc(); rte_rdtsc() - last < quiet;) {
		for (unsigned i = 0; i < g->n_lanes; i++) {
			struct rte_mbuf *m[PKTGEN_BURST];
			const uint16_t n =
				rte_eth_rx_burst(g->lanes[i].rx_port, 0, m, PKTGEN_BURST);

			if (n == 0)
				continue;
			rte_pktmbuf_free_bulk(m, n);
			last = rte_rdtsc();
		}
	}
}

static void transmit(const struct pktgen *g, struct pktgen_lane *l, unsigned n,
		     struct pktgen_result *r)
{
	struct rte_mbuf *m[PKTGEN_BURST];
	uint16_t sent;
	uint64_t now;

	if (l->tape)
		n = RTE_MIN(n, l->tape->n - l->tape->next);
	r->sent += n;
	if (n == 0 || rte_pktmbuf_alloc_bulk(g->pool, m, n) != 0)
		return; /* all are under way: as if the port had taken none */
	/* A number that the port refuses is given anew: so that it also counts what a gateway takes. */
	for (unsigned i = 0; i < n; i++)
		build(g, l, m[i], i);
	now = rte_rdtsc();
	for (unsigned i = 0; i < n; i++)
		l->sent_at[(l->next + i) & (PKTGEN_TRACK - 1)] = now;
	sent = rte_eth_tx_burst(l->tx_port, 0, m, (uint16_t)n);
	l->next += sent;
	if (l->tape)
		l->tape->next += sent;
	if (sent < n)
		rte_pktmbuf_free_bulk(m + sent, n - sent);
}

/* A packet by one lane, and some time for its answer; whether there was one. */
static bool probe_once(struct pktgen *g, struct pktgen_lane *l)
{
	struct rte_mbuf *m[PKTGEN_BURST];
	struct pktgen_result r = {0};
	const uint64_t sent = l->next;
	bool found = false;

	transmit(g, l, 1, &r);
	for (unsigned k = 0; k < PROBE_US / 10 && !found; k++) {
		const uint16_t n = rte_eth_rx_burst(l->rx_port, 0, m, PKTGEN_BURST);
		uint32_t number;

		for (uint16_t i = 0; i < n; i++) {
			if (l->next == sent || !number_of(l, m[i], &number))
				continue;
			/* a stamp is the number itself */
			if (number != (uint32_t)sent)
				l->seq_base += number - (uint32_t)sent;
			found = true;
		}
		if (n)
			rte_pktmbuf_free_bulk(m, n);
		rte_delay_us(10);
	}
	return found;
}

bool pktgen_probe(struct pktgen *g, double seconds)
{
	const uint64_t n = (uint64_t)(seconds * US_PER_S / (PROBE_US + PROBE_QUIET_US)) + 1;

	if (pktgen_prepare(g, 0, 0, n * g->n_lanes) == 0)
		return false;
	for (unsigned i = 0; i < g->n_lanes; i++) {
		struct pktgen_lane *l = &g->lanes[i];
		bool found = false;

		l->seq_base = 0;
		for (uint64_t k = 0; k < n && !found; k++) {
			/* a late answer to the one before would tell of another base */
			drain(g, PROBE_QUIET_US);
			found = probe_once(g, l);
		}
		if (!found)
			return false;
	}
	return true;
}

uint64_t pktgen_prepare(struct pktgen *g, double pps, double seconds, uint64_t n)
{
	uint64_t each;

	if (pps > 0)
		n = (uint64_t)(pps * seconds);
	each = (n + g->n_lanes - 1) / g->n_lanes;
	/* Places on a tape are rounded up, by less for the mean of IMIX than for its packets on the whole. */
	for (unsigned i = 0; i < g->n_lanes; i++) {
		if (g->lanes[i].tape)
			each = RTE_MIN(each, tape_room(g->lanes[i].tape,
						       (uint32_t)pktgen_mean(g->size) + 64));
	}
	for (unsigned i = 0; i < g->n_lanes; i++) {
		struct pktgen_lane *l = &g->lanes[i];
		struct writer w = {.flow = &l->flow, .size = g->size};

		if (l->tape && !tape_make(l->tape, (uint32_t)each, l->next, write_numbered, &w))
			return 0;
	}
	return each * g->n_lanes;
}

void pktgen_trial(struct pktgen *g, double pps, uint64_t n, struct pktgen_result *r)
{
	static struct histogram h;
	const double hz = (double)rte_get_tsc_hz();
	const double per_cycle = pps / hz;
	struct cpus_watch watch;
	uint64_t start, end, now;
	unsigned turn = 0;

	memset(&h, 0, sizeof(h));
	h.min = UINT64_MAX;
	*r = (struct pktgen_result){0};
	drain(g, QUIET_US);
	start = now = rte_rdtsc();
	watch = (struct cpus_watch){.last = start};
	for (; r->sent < n; now = rte_rdtsc()) {
		uint64_t due = n;

		cpus_look(&watch, now);
		if (pps > 0)
			due = RTE_MIN(n, (uint64_t)((double)(now - start) * per_cycle));
		if (due > r->sent) {
			transmit(g, &g->lanes[turn],
				 (unsigned)RTE_MIN(due - r->sent, (uint64_t)PKTGEN_BURST), r);
			turn = (turn + 1) % g->n_lanes;
		}
		for (unsigned i = 0; i < g->n_lanes; i++)
			receive(&g->lanes[i], r, &h);
	}
	end = now = rte_rdtsc();
	r->offered_pps = (double)r->sent * hz / (double)(end - start);
	while (r->received < r->sent && now - end < rte_get_tsc_hz() * REST_MS / MS_PER_S) {
		for (unsigned i = 0; i < g->n_lanes; i++)
			receive(&g->lanes[i], r, &h);
		now = rte_rdtsc();
	}
	r->lost = r->sent - RTE_MIN(r->sent, r->received);
	r->gap_us = (double)watch.longest * 1e6 / hz;
	r->p50_us = quantile_us(&h, 0.5);
	r->p99_us = quantile_us(&h, 0.99);
	r->p999_us = quantile_us(&h, 0.999);
	r->max_us = (double)h.max * 1e6 / hz;
	r->min_us = h.total ? (double)h.min * 1e6 / hz : 0;
}
