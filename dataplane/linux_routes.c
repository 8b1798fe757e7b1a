/* SPDX-License-Identifier: Apache-2.0 */
/* linux_routes: see linux_routes.h. */
#include "dataplane/linux_routes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/array.h"
#include "base/log.h"
#include "dataplane/dp.h"

#define NONE        UINT32_MAX
#define BUCKETS_MIN 1024u
#define AUDIT_AFTER span_s(1)
#define RETRY_AFTER span_s(5)

/* Linux looks for the way to a peer in these. */
#define LINUX_MAIN    254u
#define LINUX_DEFAULT 253u

/* Numbers of nexthop objects, each for one family. */
#define ID_TUNNELS (DP_NLR_FIRST + 0x1000)
#define ID_GROUPS  (DP_NLR_FIRST + 0x10000)

static uint32_t blackhole_id(bool v6)
{
	return DP_NLR_FIRST + v6;
}

static uint32_t tunnel_id(uint32_t tunnel, bool v6)
{
	return ID_TUNNELS + 2 * tunnel + v6;
}

static uint32_t group_id(uint32_t place, bool v6)
{
	return ID_GROUPS + 2 * place + v6;
}

static enum ip_family family(bool v6)
{
	return v6 ? IP_V6 : IP_V4;
}

static bool made(struct dp_linux_routes *l, bool *flag, bool ok)
{
	if (ok && !*flag) {
		*flag = true;
		l->n_hops++;
	}
	return ok;
}

static void unmake(struct dp_linux_routes *l, bool *flag, uint32_t id)
{
	if (!*flag)
		return;
	(void)dp_nlr_hop_del(&l->nl, id);
	*flag = false;
	l->n_hops--;
}

/* ---------------------------------------------------------------- next hops */

static bool blackhole_ready(struct dp_linux_routes *l, bool v6)
{
	return l->blackholes[v6] ||
	       made(l, &l->blackholes[v6],
		    dp_nlr_hop_blackhole(&l->nl, blackhole_id(v6), family(v6)));
}

static bool tunnel_ready(struct dp *dp, uint32_t tunnel, bool v6)
{
	struct dp_linux_routes *l = &dp->linux_routes;

	return l->tunnels[tunnel][v6] ||
	       made(l, &l->tunnels[tunnel][v6],
		    dp_nlr_hop_dev(&l->nl, tunnel_id(tunnel, v6), family(v6),
				   dp->tunnels.info[tunnel].tun.ifindex));
}

/* What a group's traffic takes: the first that has an interface, or all that share it. */
static bool group_apply(struct dp *dp, uint32_t place, bool v6, uint32_t without)
{
	const struct dp_group_hot *g = dp->tunnels.groups[place];
	struct dp_linux_routes *l = &dp->linux_routes;
	uint32_t members[DP_GROUP_MAX];
	size_t n = 0, most = g && g->n_ecmp ? g->n_ecmp : 1;

	for (uint32_t i = 0; g && i < g->n && n < most; i++) {
		const uint32_t t = g->tunnels[i];

		if ((i >= most && n > 0) || t == without || dp->tunnels.info[t].tun.fd < 0)
			continue;
		if (tunnel_ready(dp, t, v6))
			members[n++] = tunnel_id(t, v6);
	}
	if (n == 0 && blackhole_ready(l, v6))
		members[n++] = blackhole_id(v6);
	return n && made(l, &l->groups[place][v6],
			 dp_nlr_hop_group(&l->nl, group_id(place, v6), members, n));
}

/* The nexthop object for a next hop of the FIB; 0: Linux refuses. */
static uint32_t hop_for(struct dp *dp, uint32_t nh, bool v6)
{
	struct dp_linux_routes *l = &dp->linux_routes;
	const uint32_t place = dp_nh_index(nh);

	if (dp_nh_kind(nh) == DP_NH_BLACKHOLE)
		return blackhole_ready(l, v6) ? blackhole_id(v6) : 0;
	return l->groups[place][v6] || group_apply(dp, place, v6, NONE) ? group_id(place, v6) : 0;
}

static bool is_group(uint32_t nh)
{
	return dp_nh_kind(nh) == DP_NH_GROUP;
}

/* One route more or less of Linux points at it. A group that has gone goes with its last one. */
static void point(struct dp *dp, uint32_t nh, bool v6, bool more)
{
	struct dp_linux_routes *l = &dp->linux_routes;
	const uint32_t place = dp_nh_index(nh);

	if (!nh || !is_group(nh))
		return;
	if (more) {
		l->pointing[place][v6]++;
		return;
	}
	if (--l->pointing[place][v6] == 0 && !dp->tunnels.groups[place])
		unmake(l, &l->groups[place][v6], group_id(place, v6));
}

void dp_linux_routes_group(struct dp *dp, uint32_t place)
{
	struct dp_linux_routes *l = &dp->linux_routes;

	if (!l->on)
		return;
	for (int v6 = 0; v6 < 2; v6++) {
		if (!l->groups[place][v6])
			continue;
		if (dp->tunnels.groups[place])
			l->audit |= !group_apply(dp, place, v6, NONE);
		else if (l->pointing[place][v6] == 0)
			unmake(l, &l->groups[place][v6], group_id(place, v6));
	}
}

void dp_linux_routes_tunnel(struct dp *dp, uint32_t tunnel, bool comes)
{
	struct dp_linux_routes *l = &dp->linux_routes;

	if (!l->on || l->n_hops == 0)
		return;
	for (uint32_t place = 0; place < 2 * dp->tunnels.max_groups; place++) {
		const struct dp_group_hot *g = dp->tunnels.groups[place];
		bool there = false;

		if (!l->groups[place][0] && !l->groups[place][1])
			continue;
		for (uint32_t i = 0; g && i < g->n; i++)
			there |= g->tunnels[i] == tunnel;
		for (int v6 = 0; there && v6 < 2; v6++)
			if (l->groups[place][v6])
				l->audit |= !group_apply(dp, place, v6, comes ? NONE : tunnel);
	}
	for (int v6 = 0; !comes && v6 < 2; v6++)
		unmake(l, &l->tunnels[tunnel][v6], tunnel_id(tunnel, v6));
}

/* ------------------------------------------------------------------- routes */

static uint32_t bucket_of(const struct dp_linux_routes *l, uint16_t table,
			  const struct ip_prefix *p)
{
	return dp_addr_hash(&p->addr, (uint32_t)table << 8 | p->len) & (l->n_buckets - 1);
}

static struct dp_linux_route *find(const struct dp_linux_routes *l, uint16_t table,
				   const struct ip_prefix *p)
{
	uint32_t i = l->n_buckets ? l->buckets[bucket_of(l, table, p)] : NONE;

	while (i != NONE &&
	       (l->routes[i].table != table || !ip_prefix_equal(&l->routes[i].prefix, p)))
		i = l->routes[i].next;
	return i == NONE ? NULL : &l->routes[i];
}

static void link_in(struct dp_linux_routes *l, uint32_t i)
{
	uint32_t *bucket = &l->buckets[bucket_of(l, l->routes[i].table, &l->routes[i].prefix)];

	l->routes[i].next = *bucket;
	*bucket = i;
}

/* As many buckets as routes, or more. */
static bool grow(struct dp_linux_routes *l)
{
	const uint32_t n = l->n_buckets ? 2 * l->n_buckets : BUCKETS_MIN;
	uint32_t *buckets;

	if (l->n_live < l->n_buckets)
		return true;
	buckets = malloc(n * sizeof(*buckets));
	if (!buckets)
		return l->n_buckets > 0;
	memset(buckets, 0xff, n * sizeof(*buckets));
	free(l->buckets);
	l->buckets = buckets;
	l->n_buckets = n;
	for (uint32_t i = 0; i < l->n_used; i++)
		if (l->routes[i].live)
			link_in(l, i);
	return true;
}

static struct dp_linux_route *add(struct dp_linux_routes *l, uint16_t table,
				  const struct ip_prefix *p)
{
	uint32_t i = l->free;

	if (l->n_live >= l->max_routes) {
		if (!l->told_limit)
			log_warn("more than %u routes for Linux (routing.linux_routes.max_routes): "
				 "those "
				 "beyond that are not written to its tables",
				 l->max_routes);
		l->told_limit = l->lacking = true;
		return NULL;
	}
	if (!grow(l) || (i == NONE && !array_add(&l->routes, &l->n_used, &l->size,
						 sizeof(*l->routes), BUCKETS_MIN)))
		return NULL;
	if (i == NONE)
		i = (uint32_t)l->n_used - 1;
	else
		l->free = l->routes[i].next;
	l->routes[i] = (struct dp_linux_route){.prefix = *p, .table = table, .live = true};
	link_in(l, i);
	l->n_live++;
	return &l->routes[i];
}

static void drop(struct dp_linux_routes *l, uint32_t number)
{
	struct dp_linux_route *r = &l->routes[number];
	uint32_t *at = &l->buckets[bucket_of(l, r->table, &r->prefix)];

	while (*at != number)
		at = &l->routes[*at].next;
	*at = r->next;
	r->live = false;
	r->next = l->free;
	l->free = number;
	l->n_live--;
}

static void queue(struct dp_linux_routes *l, struct dp_linux_route *r)
{
	const uint32_t number = (uint32_t)(r - l->routes);

	if (r->queued)
		return;
	r->queued = true;
	r->queue_next = NONE;
	if (l->queue_first == NONE)
		l->queue_first = number;
	else
		l->routes[l->queue_last].queue_next = number;
	l->queue_last = number;
	l->n_queued++;
}

/* Linux would send IKE and ESP to a peer by such a route, into the tunnel that they are to make. */
static bool leads_to_peer(const struct dp_linux_routes *l, uint32_t linux_table,
			  const struct ip_prefix *p)
{
	size_t low = 0, high = l->n_peers;

	if (linux_table != LINUX_MAIN && linux_table != LINUX_DEFAULT)
		return false;
	if (p->len == 0)
		return true;
	while (low < high) {
		const size_t mid = (low + high) / 2;

		if (ip_cmp(&l->peers[mid], &p->addr) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low < l->n_peers && ip_prefix_contains(p, &l->peers[low]);
}

void dp_linux_route(struct dp *dp, uint16_t table, const struct ip_prefix *p, uint32_t nh)
{
	struct dp_linux_routes *l = &dp->linux_routes;
	const enum dp_nh_kind kind = dp_nh_kind(nh);
	struct dp_linux_route *r;

	if (!l->on || !l->tables[table])
		return;
	if ((kind != DP_NH_GROUP && kind != DP_NH_BLACKHOLE) ||
	    (kind == DP_NH_GROUP && dp->tunnels.by_linux[dp_nh_index(nh)]) ||
	    leads_to_peer(l, l->tables[table], p))
		nh = 0;
	r = find(l, table, p);
	if (!r && nh)
		r = add(l, table, p);
	if (!r || r->want == nh)
		return;
	r->want = nh;
	queue(l, r);
}

/* ------------------------------------------------------------------ writing */

static void refused(void *ctx, uint32_t number, int error)
{
	struct dp *dp = ctx;
	struct dp_linux_routes *l = &dp->linux_routes;
	struct dp_linux_route *r = &l->routes[number];
	const bool v6 = r->prefix.addr.family == IP_V6;
	char text[IP_PREFIX_STRLEN];

	if (r->told == 0) {
		/* It could not be deleted: then there is none any more. */
		if (error != ESRCH)
			log_debug("Linux does not delete the route to %s: %s",
				  ip_prefix_format(&r->prefix, text), strerror(error));
		return;
	}
	point(dp, r->told, v6, false);
	l->n_written--;
	r->told = 0;
	l->n_refused++;
	l->retry_at = mono_min(l->retry_at, mono_add(dp->now, RETRY_AFTER));
	/* Whether an earlier one still stands is not known. */
	l->audit |= error == ENOENT || error == EINVAL;
	l->anew |= error != EEXIST && error != ENOENT && error != EINVAL;
	if (l->told_foreign)
		return;
	l->told_foreign = true;
	log_warn("Linux refuses the route to %s in its table %u: %s%s",
		 ip_prefix_format(&r->prefix, text), l->tables[r->table], strerror(error),
		 error == EEXIST ? "; another program has written one with the same metric "
				   "(routing.linux_routes.metric)"
				 : "");
}

/* One out of the queue, into the batch. */
static void write_one(struct dp *dp, uint32_t number)
{
	struct dp_linux_routes *l = &dp->linux_routes;
	struct dp_linux_route *r = &l->routes[number];
	const bool v6 = r->prefix.addr.family == IP_V6;
	const uint32_t was = r->told;
	uint32_t hop = 0;

	r->queued = false;
	if (r->want == was) {
		if (!was)
			drop(l, number);
		return;
	}
	if (r->want) {
		hop = hop_for(dp, r->want, v6);
		if (!hop) {
			l->retry_at = mono_min(l->retry_at, mono_add(dp->now, RETRY_AFTER));
			l->audit = true;
			return;
		}
	}
	dp_nlr_route(&l->nl,
		     !r->want ? DP_NLR_DELETE
		     : was    ? DP_NLR_REPLACE
			      : DP_NLR_ADD,
		     l->tables[r->table], &r->prefix, hop, number);
	r->told = r->want;
	l->n_written += (r->told != 0) - (was != 0);
	point(dp, r->told, v6, true);
}

struct written {
	uint32_t number, was;
};

/* Next hops go only after the routes that pointed there. */
static void write_batch(struct dp *dp)
{
	struct dp_linux_routes *l = &dp->linux_routes;
	struct written done[DP_NLR_BATCH];
	size_t n = 0;

	while (l->queue_first != NONE && n < DP_NLR_BATCH) {
		const uint32_t number = l->queue_first;

		l->queue_first = l->routes[number].queue_next;
		l->n_queued--;
		done[n++] = (struct written){number, l->routes[number].told};
		write_one(dp, number);
	}
	dp_nlr_flush(&l->nl, refused, dp);
	for (size_t i = 0; i < n; i++) {
		struct dp_linux_route *r = &l->routes[done[i].number];

		if (!r->live || r->told == done[i].was)
			continue;
		point(dp, done[i].was, r->prefix.addr.family == IP_V6, false);
		if (!r->want && !r->told && !r->queued)
			drop(l, done[i].number);
	}
	if (l->queue_first == NONE && n)
		log_debug("%u routes stand in Linux's tables", l->n_written);
}

static void offer(void *ctx, const struct ip_prefix *p, uint32_t nh)
{
	const uint16_t *table = ((void **)ctx)[1];

	dp_linux_route(((void **)ctx)[0], *table, p, nh);
}

/* Every route of the FIB once more: room has come, or peers and tables are others. */
static void refill(struct dp *dp)
{
	struct dp_linux_routes *l = &dp->linux_routes;

	l->lacking = false;
	for (uint16_t table = 0; table < DP_MAX_TABLES; table++) {
		void *ctx[] = {dp, &table};

		if (l->tables[table])
			dp_fib_walk(&dp->fib, table, DP_FIB_ROUTE, offer, ctx);
	}
}

static void forget_hops(struct dp *dp)
{
	struct dp_linux_routes *l = &dp->linux_routes;

	memset(l->tunnels, 0, dp->tunnels.max * sizeof(*l->tunnels));
	memset(l->groups, 0, 2 * (size_t)dp->tunnels.max_groups * sizeof(*l->groups));
	memset(l->pointing, 0, 2 * (size_t)dp->tunnels.max_groups * sizeof(*l->pointing));
	l->blackholes[0] = l->blackholes[1] = false;
	l->n_hops = l->n_written = 0;
}

/* Somebody took next hops away, and the routes with them. */
static void write_anew(struct dp *dp)
{
	struct dp_linux_routes *l = &dp->linux_routes;

	(void)dp_nlr_hops_sweep(&l->nl);
	forget_hops(dp);
	for (uint32_t i = 0; i < l->n_used; i++) {
		if (!l->routes[i].live)
			continue;
		l->routes[i].told = 0;
		queue(l, &l->routes[i]);
	}
}

static void audit(struct dp *dp)
{
	struct dp_linux_routes *l = &dp->linux_routes;
	size_t n;

	l->audit = false;
	if (!l->anew && (!dp_nlr_hops_count(&l->nl, &n) || n == l->n_hops))
		return;
	l->anew = false;
	log_warn("next hops of ours have gone from Linux's tables: the routes are written again");
	write_anew(dp);
}

static void retry(struct dp *dp)
{
	struct dp_linux_routes *l = &dp->linux_routes;

	l->n_refused = 0;
	for (uint32_t i = 0; i < l->n_used; i++)
		if (l->routes[i].live && l->routes[i].want != l->routes[i].told)
			queue(l, &l->routes[i]);
}

void dp_linux_routes_heard(struct dp *dp)
{
	dp->linux_routes.audit = true;
}

bool dp_linux_routes_run(struct dp *dp)
{
	struct dp_linux_routes *l = &dp->linux_routes;

	if (!l->on)
		return false;
	if ((l->audit || l->anew) && mono_reached(dp->now, l->audit_at)) {
		l->audit_at = mono_add(dp->now, AUDIT_AFTER);
		audit(dp);
	}
	if (mono_reached(dp->now, l->retry_at)) {
		l->retry_at = MONO_NEVER;
		retry(dp);
	}
	if (l->lacking && l->n_live < l->max_routes - l->max_routes / 10 &&
	    mono_reached(dp->now, l->refill_at)) {
		l->refill_at = mono_add(dp->now, RETRY_AFTER);
		refill(dp);
	}
	if (l->queue_first != NONE)
		write_batch(dp);
	return l->queue_first != NONE;
}

/* ------------------------------------------------------------ configuration */

static int by_address(const void *a, const void *b)
{
	return ip_cmp(a, b);
}

static bool peers_take(struct dp_linux_routes *l, const struct config *c)
{
	struct ip_addr *peers;
	size_t n = 0;

	for (size_t i = 0; i < c->n_connections; i++)
		n += c->connections[i].n_tunnels;
	peers = calloc(n + 1, sizeof(*peers));
	if (!peers)
		return false;
	free(l->peers);
	l->peers = peers;
	l->n_peers = 0;
	for (size_t i = 0; i < c->n_connections; i++)
		for (size_t j = 0; j < c->connections[i].n_tunnels; j++)
			if (c->connections[i].tunnels[j].remote.family != IP_NONE)
				peers[l->n_peers++] = c->connections[i].tunnels[j].remote;
	qsort(peers, l->n_peers, sizeof(*peers), by_address);
	return true;
}

static void tables_of(const struct config *c, uint32_t tables[DP_MAX_TABLES])
{
	memset(tables, 0, DP_MAX_TABLES * sizeof(tables[0]));
	for (size_t i = 0; c->routing.linux_routes.on && i < c->routing.n_tables; i++)
		if (c->routing.tables[i].index < DP_MAX_TABLES)
			tables[c->routing.tables[i].index] = c->routing.tables[i].linux_table;
}

static void routes_forget(struct dp_linux_routes *l)
{
	free(l->routes);
	free(l->buckets);
	l->routes = NULL;
	l->buckets = NULL;
	l->n_used = l->size = 0;
	l->n_buckets = l->n_live = l->n_queued = l->n_refused = 0;
	l->free = l->queue_first = l->queue_last = NONE;
	l->told_limit = l->told_foreign = l->lacking = l->audit = l->anew = false;
	l->audit_at = l->refill_at = (struct mono){0};
	l->retry_at = MONO_NEVER;
}

static void switch_off(struct dp *dp)
{
	struct dp_linux_routes *l = &dp->linux_routes;

	if (!l->on)
		return;
	l->on = false;
	if (!dp_nlr_hops_sweep(&l->nl))
		log_warn("routes of ours may be left in Linux's tables: %s", strerror(errno));
	dp_nlr_close(&l->nl);
	routes_forget(l);
	free(l->tunnels);
	free(l->groups);
	free(l->pointing);
	l->tunnels = l->groups = NULL;
	l->pointing = NULL;
}

static bool switch_on(struct dp *dp, const struct config_linux_routes *c)
{
	struct dp_linux_routes *l = &dp->linux_routes;

	routes_forget(l);
	l->tunnels = calloc(dp->tunnels.max, sizeof(*l->tunnels));
	l->groups = calloc(2 * (size_t)dp->tunnels.max_groups, sizeof(*l->groups));
	l->pointing = calloc(2 * (size_t)dp->tunnels.max_groups, sizeof(*l->pointing));
	if (!l->tunnels || !l->groups || !l->pointing || !dp_nlr_open(&l->nl)) {
		log_error("no routes are written to Linux's tables: %s", strerror(errno));
		return false;
	}
	l->nl.protocol = c->protocol;
	l->nl.metric = c->metric;
	l->max_routes = c->max_routes;
	forget_hops(dp);
	if (!dp_nlr_hops_sweep(&l->nl)) {
		log_error(
			"no routes are written to its tables, as this Linux has no nexthop objects "
			"(Linux 5.3 has): %s",
			strerror(errno));
		return false;
	}
	dp_netlink_ignore(&dp->netlink, c->protocol);
	return true;
}

void dp_linux_routes_sweep(struct dp *dp)
{
	struct dp_linux_routes *l = &dp->linux_routes;

	/* A Linux without such objects has none of ours. */
	if (dp_nlr_open(&l->nl)) {
		(void)dp_nlr_hops_sweep(&l->nl);
		dp_nlr_close(&l->nl);
	}
}

void dp_linux_routes_configure(struct dp *dp, const struct config *c)
{
	struct dp_linux_routes *l = &dp->linux_routes;
	const struct config_linux_routes *to = &c->routing.linux_routes;
	uint32_t tables[DP_MAX_TABLES];

	tables_of(c, tables);
	if (!l->on && !to->on)
		return;
	if (l->on &&
	    (!to->on || to->protocol != l->nl.protocol || to->metric != l->nl.metric ||
	     to->max_routes != l->max_routes || memcmp(tables, l->tables, sizeof(tables)) != 0))
		switch_off(dp);
	memcpy(l->tables, tables, sizeof(tables));
	if (!to->on || !peers_take(l, c))
		return;
	if (!l->on) {
		l->on = true;
		if (!switch_on(dp, to)) {
			switch_off(dp);
			return;
		}
	}
	refill(dp);
}

void dp_linux_routes_fini(struct dp *dp)
{
	switch_off(dp);
	free(dp->linux_routes.peers);
	dp->linux_routes.peers = NULL;
}
