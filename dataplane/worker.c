/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker: the loop of a packet-processing thread.
 *
 * A round polls every queue and ring once and runs what it finds to completion: classify, group by
 * SA, encapsulate or decapsulate, forward, transmit. Between rounds nothing is held, so that a
 * round's end is the quiescent state that the manager waits for; but for bursts of which other workers do
 * the cryptography (spread.h).
 *
 * Idle, it first spins, so that a busy line is never waited for, then sleeps in growing steps.
 * While it sleeps it is offline to RCU: changes do not wait for it.
 */
#include "dataplane/worker.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>
#include <rte_cycles.h>
#include <rte_ethdev.h>
#include "base/log.h"
#include "dataplane/aeads.h"
#include "dataplane/dp.h"
#include "dataplane/hop.h"
#include "dataplane/pipeline.h"
#include "dataplane/privileges.h"
#include "dataplane/spread.h"

#define SPIN_US        40     /* idle time before the first sleep */
#define SLEEP_MIN_NS   10000  /* first sleep */
#define SLEEP_MAX_NS   250000 /* bounds the delay of the first packet after a pause */
#define TIMERSLACK_NS  1000
#define INTERVAL_MS    100 /* refill of the token buckets */
#define SPI_TOKENS     2   /* unknown SPIs told to the manager in an interval */
#define ICMP_TOKENS    20  /* ICMP errors sent in an interval */
#define TOO_BIG_TOKENS 4   /* ICMP errors about our packets told to the manager in an interval */

bool dp_worker_init(struct dp_worker *w, struct dp *dp, unsigned index, unsigned lcore)
{
	char name[32];

	memset(w, 0, sizeof(*w));
	w->dp = dp;
	w->index = index;
	w->lcore = lcore;
	w->single = dp->n_workers == 1;
	w->out = calloc(dp->tunnels.max, sizeof(struct dp_out *));
	w->stats = &dp->stats->workers[index];
	w->sas = dp_stats_sas(dp);
	w->tunnels = dp_stats_tunnels(dp);
	dp_random_init(&w->random);
	snprintf(name, sizeof(name), "dp-in-%u", index);
	w->in = rte_ring_create(name, DP_WORKER_RING, SOCKET_ID_ANY, RING_F_SC_DEQ);
	w->esp = (struct esp_thread){.random = dp_random_fill, .random_arg = &w->random};
	w->reassembly = calloc(1, sizeof(*w->reassembly));
	if (!dp_gate_init(&w->gate, rte_get_tsc_hz(), dp->n_workers, &w->random))
		return false;
	if (!dp_hops_init(w, 2 * dp->tunnels.max_groups))
		return false;
	if (!dp_counters_init(&w->counters, dp->sas.max, rte_get_tsc_hz()))
		return false;
	if (dp->spreads && !w->single && !dp_spread_init(w, &dp->spread))
		return false;
	return dp_aeads_init(&w->esp, &dp->esp) && w->in && w->out && w->reassembly;
}

void dp_worker_fini(struct dp_worker *w)
{
	dp_aeads_fini(&w->esp);
	dp_reassembly_fini(w);
	dp_gate_fini(&w->gate);
	dp_counters_fini(&w->counters);
	dp_spread_fini(w);
	rte_ring_free(w->in);
	free(w->out);
	dp_hops_fini(w);
	dp_random_wipe(&w->random);
}

void dp_tx_flush(struct dp_worker *w, unsigned port)
{
	struct dp_port *p = &w->dp->ports[port];
	struct dp_tx_vec *v = &w->tx[port];
	const uint16_t queue = (uint16_t)(w->index % p->n_txq);
	uint16_t sent;

	if (p->tx_shared)
		rte_spinlock_lock(&p->lock[queue]);
	sent = rte_eth_tx_burst(p->id, queue, v->m, (uint16_t)v->n);
	if (p->tx_shared)
		rte_spinlock_unlock(&p->lock[queue]);
	for (uint32_t i = sent; i < v->n; i++) {
		v->bytes -= v->m[i]->pkt_len;
		dp_drop(w, v->m[i], DP_DROP_TX_FULL);
	}
	dp_count(&w->port[port].tx_packets, sent);
	dp_count(&w->port[port].tx_bytes, v->bytes);
	v->n = v->bytes = 0;
}

void dp_tx_all(struct dp_worker *w, unsigned port, struct rte_mbuf *const *m, uint16_t n,
	       uint32_t bytes)
{
	struct dp_tx_vec *v = &w->tx[port];

	if (v->n + n > DP_BURST)
		dp_tx_flush(w, port);
	memcpy(&v->m[v->n], m, n * sizeof(*m));
	v->n += n;
	v->bytes += bytes;
	if (v->n == DP_BURST)
		dp_tx_flush(w, port);
}

static void linux_flush(struct dp_worker *w)
{
	struct dp_vec *v = &w->to_linux;
	const unsigned n = rte_ring_mp_enqueue_burst(w->dp->to_manager, (void **)v->m, v->n, NULL);

	for (unsigned i = n; i < v->n; i++) {
		/* Of an unknown SPI only the news is lost: the packet is counted already. */
		if (dp_meta(v->m[i])->kind == DP_PKT_UNKNOWN_SPI)
			rte_pktmbuf_free(v->m[i]);
		else
			dp_drop(w, v->m[i], DP_DROP_LINUX_QUEUE);
	}
	v->n = 0;
	dp_wake(w->dp);
}

void dp_to_linux(struct dp_worker *w, struct rte_mbuf *m, enum dp_kind kind)
{
	dp_meta(m)->kind = (uint8_t)kind;
	w->to_linux.m[w->to_linux.n++] = m;
	if (w->to_linux.n == DP_VEC_SIZE)
		linux_flush(w);
}

void dp_handoff(struct dp_worker *w, unsigned owner, struct rte_mbuf *m, enum dp_kind kind)
{
	dp_meta(m)->kind = (uint8_t)kind;
	if (rte_ring_mp_enqueue(w->dp->workers[owner]->in, m) != 0)
		dp_drop(w, m, DP_DROP_HANDOFF_FULL);
	else if (owner != w->index)
		dp_count(&w->stats->handed, 1);
}

/* Packets that other threads handed to us. */
static uint16_t run_ring(struct dp_worker *w)
{
	struct rte_mbuf *m[DP_BURST];
	struct dp_ip_burst forward;
	const uint16_t n = (uint16_t)rte_ring_sc_dequeue_burst(w->in, (void **)m, DP_BURST, NULL);

	dp_ip_burst_init(&forward, &w->dp->fib, 0);
	for (uint16_t i = 0; i < n; i++) {
		switch ((enum dp_kind)dp_meta(m[i])->kind) {
		case DP_PKT_ENCAP: dp_encap_handed(w, m[i]); break;
		/* Found anew: its slot may have been given to another SA since. */
		case DP_PKT_DECAP: dp_into_decap(w, m[i]); break;
		case DP_PKT_FORWARD:
			dp_ip_burst_add_inner(&forward, m[i], dp_data(m[i]), m[i]->pkt_len,
					      dp_meta(m[i])->family, DP_TUNNEL_NONE);
			break;
		case DP_PKT_TX: dp_tx(w, dp_meta(m[i])->port, m[i]); break;
		case DP_PKT_NONE:
		case DP_PKT_TO_MIRROR:
		case DP_PKT_PATH_MTU:
		case DP_PKT_TO_TUN:
		case DP_PKT_GLEAN:
		case DP_PKT_UNRESOLVED:
		case DP_PKT_UNKNOWN_SPI:
			dp_drop(w, m[i], DP_DROP_SHUTDOWN); /* cannot come here */
			break;
		}
	}
	dp_forward(w, &forward);
	return n;
}

static void run_sas(struct dp_worker *w)
{
	/* Out of one tunnel and into another: hence decapsulation first. */
	if (w->decap.n)
		dp_decap(w);
	if (w->encap.n)
		dp_encap(w);
}

static uint16_t run_ports(struct dp_worker *w)
{
	const struct dp *dp = w->dp;
	uint16_t total = 0;

	for (unsigned i = 0; i < dp->n_ports; i++) {
		const struct dp_port *p = &dp->ports[i];

		for (unsigned q = 0; q < p->n_rxq; q++) {
			struct rte_mbuf *m[DP_BURST];
			uint64_t bytes = 0;
			uint16_t n;

			if (!dp_port_polled_by(p, q, w->index, dp->n_workers))
				continue;
			n = rte_eth_rx_burst(p->id, (uint16_t)q, m, DP_BURST);
			if (n == 0)
				continue;
			for (uint16_t k = 0; k < n; k++)
				__builtin_prefetch(m[k], 1);
			for (uint16_t k = 0; k < n; k++)
				bytes += m[k]->pkt_len;
			dp_count(&w->port[i].rx_packets, n);
			dp_count(&w->port[i].rx_bytes, bytes);
			dp_classify(w, i, m, n);
			run_sas(w);
			total = (uint16_t)(total + n);
		}
	}
	return total;
}

static void refill_tokens(struct dp_worker *w, uint64_t tsc)
{
	if (tsc - w->interval < w->interval_tsc)
		return;
	w->interval = tsc;
	w->spi_tokens = SPI_TOKENS;
	w->icmp_tokens = ICMP_TOKENS;
	w->too_big_tokens = TOO_BIG_TOKENS;
	dp_reassembly_expire(w, tsc);
	if (w->spread)
		dp_spread_tick(w);
	/* What that gave to Linux; the round that follows may find nothing. */
	if (w->to_linux.n)
		linux_flush(w);
}

static void flush_all(struct dp_worker *w)
{
	for (unsigned i = 0; i < w->dp->n_ports; i++) {
		if (w->tx[i].n)
			dp_tx_flush(w, i);
	}
	if (w->to_linux.n)
		linux_flush(w);
}

static uint16_t run_all(struct dp_worker *w)
{
	/* What was handed over is older than what the ports have. */
	uint16_t n = run_ring(w);
	unsigned n_ended = 0;

	if (n)
		run_sas(w);
	n = (uint16_t)(n + run_ports(w));
	if (dp_spread_busy(w))
		n_ended = dp_spread_round(w, n == 0);
	if (w->counters.n)
		dp_counters_round(w, n);
	if (n || n_ended)
		flush_all(w);
	return n;
}

uint16_t dp_worker_round(struct dp_worker *w)
{
	const uint64_t start = rte_rdtsc();
	uint16_t n;

	refill_tokens(w, start);
	n = run_all(w);
	if (likely(!dp_spread_busy(w)))
		rte_rcu_qsbr_quiescent(w->dp->grace.qsbr, w->index);
	dp_count(&w->stats->polls, 1);
	if (n) {
		w->last_busy = rte_rdtsc();
		dp_count(&w->stats->busy_polls, 1);
		dp_count(&w->stats->packets, n);
		dp_count(&w->stats->busy_cycles, w->last_busy - start);
	} else if (w->spread && dp_spread_help(w)) {
		w->last_busy = rte_rdtsc();
	}
	return n;
}

/* Sleeps in steps of twice the last length. Offline, so that nobody waits for us. */
static void doze(struct dp_worker *w, uint32_t *sleep_ns)
{
	struct rte_rcu_qsbr *qsbr = w->dp->grace.qsbr;
	const struct timespec ts = {.tv_nsec = *sleep_ns};

	__atomic_store_n(&w->stats->asleep, 1, __ATOMIC_RELAXED);
	rte_rcu_qsbr_thread_offline(qsbr, w->index);
	(void)nanosleep(&ts, NULL);
	rte_rcu_qsbr_thread_online(qsbr, w->index);
	__atomic_store_n(&w->stats->asleep, 0, __ATOMIC_RELAXED);
	dp_count(&w->stats->sleeps, 1);
	*sleep_ns = RTE_MIN(*sleep_ns * 2, (uint32_t)SLEEP_MAX_NS);
}

void dp_worker_enter(struct dp_worker *w)
{
	w->interval_tsc = rte_get_tsc_hz() * INTERVAL_MS / MS_PER_S;
	w->last_busy = rte_rdtsc();
	(void)rte_rcu_qsbr_thread_register(w->dp->grace.qsbr, w->index);
	rte_rcu_qsbr_thread_online(w->dp->grace.qsbr, w->index);
}

void dp_worker_leave(struct dp_worker *w)
{
	if (w->spread) {
		dp_spread_leave(w);
		flush_all(w);
	}
	dp_counters_tell_all(w);
	rte_rcu_qsbr_thread_offline(w->dp->grace.qsbr, w->index);
	(void)rte_rcu_qsbr_thread_unregister(w->dp->grace.qsbr, w->index);
}

int dp_worker_main(void *arg)
{
	struct dp_worker *w = arg;
	const uint64_t spin_tsc = rte_get_tsc_hz() * SPIN_US / US_PER_S;
	uint32_t sleep_ns = SLEEP_MIN_NS;

	if (!dp_privileges_drop())
		log_warn("worker %u: cannot give up privileges: %s", w->index, strerror(errno));
	(void)prctl(PR_SET_TIMERSLACK, TIMERSLACK_NS, 0, 0, 0);
	dp_worker_enter(w);
	while (!__atomic_load_n(&w->dp->stop, __ATOMIC_ACQUIRE)) {
		if (dp_worker_round(w))
			sleep_ns = SLEEP_MIN_NS;
		else if (rte_rdtsc() - w->last_busy > spin_tsc && !w->counters.n &&
			 !dp_spread_awake(w))
			doze(w, &sleep_ns);
		else
			rte_pause();
	}
	dp_worker_leave(w);
	return 0;
}
