/* SPDX-License-Identifier: Apache-2.0 */
/* neigh: the manager's side of neighbours. See neigh.h. */
#include "dataplane/neigh.h"

#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "dataplane/dp.h"

#define N_BUCKETS     4096u
#define HOLD_TIME     span_s(1)    /* how long a packet waits for its neighbour */
#define REFRESH_EVERY span_ms(500) /* how often neighbours in use are looked at */
#define ASK_EVERY     span_s(1)    /* to Linux, about one neighbour */
#define FORGET_AFTER  span_s(30)   /* without MAC, use or reference */

struct dp_neigh {
	struct dp_neigh *next; /* in its bucket */
	uint32_t id;
	unsigned port;
	struct ip_addr addr;
	uint32_t refs; /* outbound SAs */
	bool stale;    /* Linux will not confirm it by itself */
	bool in_fib;
	struct mono asked; /* when Linux was asked last; 0: never */
	struct mono heard; /* of its last change or use */
	struct rte_mbuf *held[DP_NEIGH_HOLD];
	uint32_t n_held;
	struct mono held_since;
};

bool dp_neighs_init(struct dp_neighs *n)
{
	memset(n, 0, sizeof(*n));
	n->adjs = aligned_alloc(64, DP_MAX_NEIGH * sizeof(*n->adjs));
	n->by_id = calloc(DP_MAX_NEIGH, sizeof(struct dp_neigh *));
	n->buckets = calloc(N_BUCKETS, sizeof(struct dp_neigh *));
	n->free_ids = calloc(DP_MAX_NEIGH, sizeof(*n->free_ids));
	if (!n->adjs || !n->by_id || !n->buckets || !n->free_ids)
		return false;
	memset(n->adjs, 0, DP_MAX_NEIGH * sizeof(*n->adjs));
	for (uint32_t i = 0; i < DP_MAX_NEIGH; i++)
		n->free_ids[n->n_free++] = DP_MAX_NEIGH - 1 - i;
	return true;
}

static void drop_held(struct dp *dp, struct dp_neigh *n, unsigned reason)
{
	for (uint32_t i = 0; i < n->n_held; i++)
		dp_mgr_drop(dp, n->held[i], reason);
	dp->neighs.n_held -= n->n_held;
	n->n_held = 0;
}

void dp_neighs_fini(struct dp *dp)
{
	struct dp_neighs *t = &dp->neighs;

	for (uint32_t i = 0; t->by_id && i < DP_MAX_NEIGH; i++) {
		if (!t->by_id[i])
			continue;
		drop_held(dp, t->by_id[i], DP_DROP_SHUTDOWN);
		free(t->by_id[i]);
	}
	free(t->adjs);
	free(t->by_id);
	free(t->buckets);
	free(t->free_ids);
	memset(t, 0, sizeof(*t));
}

static struct dp_neigh **find(struct dp_neighs *t, unsigned port, const struct ip_addr *a)
{
	struct dp_neigh **n = &t->buckets[dp_addr_hash(a, port) & (N_BUCKETS - 1)];

	while (*n && ((*n)->port != port || !ip_equal(&(*n)->addr, a)))
		n = &(*n)->next;
	return n;
}

/* True if the address lies in a network of the port, so that packets are routed to it. */
static bool is_connected(const struct dp *dp, unsigned port, const struct ip_addr *a)
{
	const struct config_port *c = dp->ports[port].cfg;

	for (size_t i = 0; i < c->n_addresses; i++) {
		if (ip_prefix_contains(&c->addresses[i], a) && !ip_equal(&c->addresses[i].addr, a))
			return true;
	}
	return false;
}

static struct ip_prefix host_prefix(const struct ip_addr *a)
{
	return (struct ip_prefix){.addr = *a, .len = (uint8_t)ip_bits(a)};
}

static void fib_update(struct dp *dp, struct dp_neigh *n, bool resolved)
{
	const struct ip_prefix p = host_prefix(&n->addr);

	if (resolved && !n->in_fib && is_connected(dp, n->port, &n->addr))
		n->in_fib = dp_port_claim(dp, n->port, &p, DP_FIB_NEIGH, dp_nh(DP_NH_NEIGH, n->id));
	else if (!resolved && n->in_fib)
		n->in_fib = !dp_port_unclaim(dp, n->port, &p, DP_FIB_NEIGH);
}

/* A worker may hold the number for the rest of a burst: it is free after a grace period. */
static void free_id(void *ctx, void *object, uint64_t id)
{
	struct dp_neighs *t = ctx;

	t->free_ids[t->n_free++] = (uint32_t)id;
}

static void forget(struct dp *dp, struct dp_neigh *n)
{
	struct dp_neighs *t = &dp->neighs;

	drop_held(dp, n, DP_DROP_HOLD_TIMEOUT);
	fib_update(dp, n, false);
	*find(t, n->port, &n->addr) = n->next;
	t->by_id[n->id] = NULL;
	dp_grace_defer(&dp->grace, free_id, t, NULL, n->id);
	free(n);
}

static void ask(struct dp *dp, struct dp_neigh *n, struct mono now)
{
	if (n->asked.ns && mono_before(now, mono_add(n->asked, ASK_EVERY)))
		return;
	n->asked = now;
	(void)dp_neigh_use(&dp->netlink, dp->ports[n->port].mirror.ifindex, &n->addr);
}

static struct dp_neigh *get(struct dp *dp, unsigned port, const struct ip_addr *a)
{
	struct dp_neighs *t = &dp->neighs;
	struct dp_neigh **at = find(t, port, a);
	struct dp_neigh *n = *at;

	if (n)
		return n;
	if (t->n_free == 0)
		return NULL;
	n = calloc(1, sizeof(*n));
	if (!n)
		return NULL;
	n->id = t->free_ids[--t->n_free];
	n->port = port;
	n->addr = *a;
	n->heard = dp->now;
	t->by_id[n->id] = n;
	t->adjs[n->id].used = 0;
	__atomic_store_n(&t->adjs[n->id].l2, (uint64_t)port << 48, __ATOMIC_RELAXED);
	*at = n;
	return n;
}

uint32_t dp_neigh_get(struct dp *dp, unsigned port, const struct ip_addr *a)
{
	struct dp_neigh *n = get(dp, port, a);

	if (!n)
		return DP_NEIGH_NONE;
	if (!(dp->neighs.adjs[n->id].l2 & DP_NEIGH_VALID))
		ask(dp, n, dp->now);
	return n->id;
}

void dp_neigh_ref(struct dp *dp, uint32_t id)
{
	if (id != DP_NEIGH_NONE)
		dp->neighs.by_id[id]->refs++;
}

void dp_neigh_unref(struct dp *dp, uint32_t id)
{
	if (id != DP_NEIGH_NONE)
		dp->neighs.by_id[id]->refs--;
}

/* Sends what waited, by way of a worker. */
static void release_held(struct dp *dp, struct dp_neigh *n, uint64_t l2)
{
	for (uint32_t i = 0; i < n->n_held; i++) {
		struct rte_mbuf *m = n->held[i];
		struct rte_ether_hdr *eth =
			(struct rte_ether_hdr *)rte_pktmbuf_prepend(m, DP_ETH_SIZE);

		if (!eth) {
			dp_mgr_drop(dp, m, DP_DROP_NO_BUFFER);
			continue;
		}
		memcpy(eth->dst_addr.addr_bytes, &l2, RTE_ETHER_ADDR_LEN);
		eth->src_addr = dp->ports[n->port].mac;
		eth->ether_type = rte_cpu_to_be_16(dp_meta(m)->family == 4 ? RTE_ETHER_TYPE_IPV4
									   : RTE_ETHER_TYPE_IPV6);
		dp_meta(m)->kind = DP_PKT_TX;
		dp_meta(m)->port = (uint8_t)n->port;
		dp_to_worker(dp, n->port % dp->n_workers, m);
	}
	dp->neighs.n_held -= n->n_held;
	n->n_held = 0;
}

void dp_neigh_update(struct dp *dp, unsigned port, const struct ip_addr *a, const uint8_t *mac,
		     bool stale)
{
	struct dp_neigh *n = *find(&dp->neighs, port, a);
	uint64_t l2 = (uint64_t)port << 48;

	/* Directed broadcast is not forwarded (RFC 2644): Linux lists such addresses with group MACs. */
	if (mac && (mac[0] & 1))
		mac = NULL;
	if (!n && !mac)
		return;
	if (!n)
		n = get(dp, port, a);
	if (!n)
		return;
	if (mac) {
		memcpy(&l2, mac, RTE_ETHER_ADDR_LEN); /* the low six bytes, in memory order */
		l2 |= DP_NEIGH_VALID;
	}
	n->stale = stale;
	n->heard = dp->now;
	/* Those that wait first, so that few that come now overtake them. */
	if (mac)
		release_held(dp, n, l2);
	__atomic_store_n(&dp->neighs.adjs[n->id].l2, l2, __ATOMIC_RELEASE);
	fib_update(dp, n, mac != NULL);
}

void dp_neigh_hold(struct dp *dp, uint32_t id, struct rte_mbuf *m, struct mono now)
{
	struct dp_neigh *n = id < DP_MAX_NEIGH ? dp->neighs.by_id[id] : NULL;

	if (!n) {
		dp_mgr_drop(dp, m, DP_DROP_ADJACENCY);
		return;
	}
	if (n->n_held == DP_NEIGH_HOLD || dp->neighs.n_held == DP_NEIGH_HOLDALL) {
		dp_mgr_drop(dp, m, DP_DROP_HOLD_FULL);
		return;
	}
	if (n->n_held == 0)
		n->held_since = now;
	n->held[n->n_held++] = m;
	dp->neighs.n_held++;
	n->heard = now;
	if (dp->neighs.adjs[id].l2 & DP_NEIGH_VALID)
		release_held(dp, n, dp->neighs.adjs[id].l2);
	else
		ask(dp, n, now);
}

void dp_neigh_tick(struct dp *dp, struct mono now)
{
	struct dp_neighs *t = &dp->neighs;
	bool refresh;

	if (t->n_free == DP_MAX_NEIGH)
		return;
	refresh = mono_reached(now, t->next_refresh);
	if (!refresh && t->n_held == 0)
		return;
	if (refresh)
		t->next_refresh = mono_add(now, REFRESH_EVERY);
	for (uint32_t i = 0; i < DP_MAX_NEIGH; i++) {
		struct dp_neigh *n = t->by_id[i];
		bool valid, used;

		if (!n)
			continue;
		if (n->n_held && mono_reached(now, mono_add(n->held_since, HOLD_TIME)))
			drop_held(dp, n, DP_DROP_HOLD_TIMEOUT);
		if (!refresh)
			continue;
		valid = t->adjs[i].l2 & DP_NEIGH_VALID;
		used = __atomic_exchange_n(&t->adjs[i].used, 0, __ATOMIC_RELAXED);
		if (used)
			n->heard = now;
		/* Linux sees none of our packets: tell it that the neighbour is needed. */
		if ((used && (n->stale || !valid)) || (!valid && n->refs))
			ask(dp, n, now);
		if (!valid && !n->refs && !n->n_held &&
		    mono_reached(now, mono_add(n->heard, FORGET_AFTER)))
			forget(dp, n);
	}
}
