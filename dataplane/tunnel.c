/* SPDX-License-Identifier: Apache-2.0 */
/* tunnel: carries out the messages of the fib ring. See tunnel.h and include/twinbore/dp_msg.h. */
#include "dataplane/tunnel.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include "base/key_mem.h"
#include "base/array.h"
#include "base/log.h"
#include "dataplane/dp.h"
#include "dataplane/hop.h"
#include "dataplane/manager.h"
#include "dataplane/translate.h"

#define V6_LEAST_MTU 1280u

bool dp_tunnels_init(struct dp_tunnels *t, uint32_t max_tunnels)
{
	memset(t, 0, sizeof(*t));
	t->max = max_tunnels;
	t->max_groups = DP_MAX_GROUPS(max_tunnels);
	t->hot = key_mem_alloc(max_tunnels * sizeof(*t->hot));
	t->info = calloc(max_tunnels, sizeof(*t->info));
	t->groups = calloc(2 * (size_t)t->max_groups, sizeof(struct dp_group_hot *));
	t->by_linux = calloc(2 * (size_t)t->max_groups, sizeof(*t->by_linux));
	if (!t->hot || !t->info || !t->groups || !t->by_linux)
		return false;
	for (uint32_t i = 0; i < max_tunnels; i++) {
		t->info[i].tun.fd = -1;
		t->hot[i].table = DP_TABLE_NONE;
	}
	return true;
}

void dp_tunnels_fini(struct dp_tunnels *t)
{
	for (uint32_t i = 0; t->info && i < t->max; i++)
		dp_tap_close(&t->info[i].tun);
	for (uint32_t i = 0; t->groups && i < 2 * t->max_groups; i++)
		key_mem_free(t->groups[i]);
	for (uint32_t i = 0; t->hot && i < t->max; i++)
		free(t->hot[i].netmap);
	key_mem_free(t->hot);
	free(t->info);
	free(t->groups);
	free(t->by_linux);
	memset(t, 0, sizeof(*t));
}

bool dp_addr_parse(const struct dp_addr *a, bool any, struct ip_addr *out)
{
	static const uint8_t zero[16];

	if (memcmp(a->zero, zero, sizeof(a->zero)) != 0)
		return false;
	switch (a->family) {
	case 0:
		*out = (struct ip_addr){.family = IP_NONE};
		return any && memcmp(a->b, zero, 16) == 0;
	case 4: *out = ip_from_bytes(IP_V4, a->b); return memcmp(a->b + 4, zero, 12) == 0;
	case 6: *out = ip_from_bytes(IP_V6, a->b); return true;
	default: return false;
	}
}

static void free_later(void *ctx, void *object, uint64_t arg)
{
	key_mem_free(object);
}

/* A string of a message: ends within its field, and all after its end is zero. */
static bool text_ok(const char *s, size_t size, bool may_be_empty)
{
	const size_t n = strnlen(s, size);

	if (n == size || (n == 0 && !may_be_empty))
		return false;
	for (size_t i = 0; i < n; i++) {
		const char c = s[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
		    c != '.' && c != '-' && c != '_')
			return false;
	}
	for (size_t i = n; i < size; i++) {
		if (s[i])
			return false;
	}
	return strcmp(s, ".") != 0 && strcmp(s, "..") != 0;
}

static bool prefix_parse(const struct dp_addr *a, uint8_t len, bool any, struct ip_prefix *out)
{
	if (!dp_addr_parse(a, any, &out->addr) || len > ip_bits(&out->addr))
		return false;
	out->len = len;
	return true;
}

static bool tunnel_valid(const struct dp *dp, const struct dp_tunnel *m, struct ip_prefix inside[2])
{
	return m->tunnel < dp->tunnels.max &&
	       (m->mtu == 0 || (m->mtu >= DP_TUN_MTU_MIN && m->mtu <= DP_TUN_MTU_MAX)) &&
	       m->table < DP_MAX_TABLES && text_ok(m->name, sizeof(m->name), false) &&
	       text_ok(m->ifname, sizeof(m->ifname), true) &&
	       prefix_parse(&m->inside[0], m->inside_len[0], true, &inside[0]) &&
	       prefix_parse(&m->inside[1], m->inside_len[1], true, &inside[1]) &&
	       dp_translate_valid(m);
}

static void inside_local(struct dp *dp, uint16_t table, const struct ip_prefix *p, bool add)
{
	struct ip_prefix host;
	bool there;

	if (p->addr.family == IP_NONE)
		return;
	host = (struct ip_prefix){.addr = p->addr, .len = (uint8_t)ip_bits(&p->addr)};
	if (add)
		(void)dp_fib_set(&dp->fib, table, &host, DP_FIB_LOCAL, dp_nh(DP_NH_LOCAL, 0));
	else
		(void)dp_fib_clear(&dp->fib, table, &host, DP_FIB_LOCAL, &there);
}

static void tun_close(struct dp *dp, uint32_t tunnel)
{
	struct dp_tunnel_info *info = &dp->tunnels.info[tunnel];

	__atomic_store_n(&dp->tunnels.hot[tunnel].has_tun, 0, __ATOMIC_RELEASE);
	if (info->tun.fd >= 0) {
		dp_linux_routes_tunnel(dp, tunnel, false);
		dp_watch_del(dp, info->tun.fd);
	}
	dp_tap_close(&info->tun);
	info->tun_mtu = 0;
}

static bool tun_open(struct dp *dp, uint32_t tunnel, const char *ifname)
{
	struct dp_tunnel_info *info = &dp->tunnels.info[tunnel];
	char error[240];

	if (!dp_tap_open(&info->tun, ifname, DP_TAP_PACKETS, error, sizeof(error))) {
		log_error("tunnel %u: %s", tunnel, error);
		return false;
	}
	/* No addresses of the kernel's own making, and answers may come in by another way. */
	(void)dp_sysctl_if("ipv6", ifname, "addr_gen_mode", "1");
	(void)dp_sysctl_if("ipv6", ifname, "accept_ra", "0");
	(void)dp_sysctl_if("ipv4", ifname, "rp_filter", "0");
	info->tun_mtu = DP_TUN_MTU_DEFAULT;
	if (!dp_link_up(&dp->netlink, info->tun.ifindex, info->tun_mtu, NULL) ||
	    !dp_watch_add(dp, info->tun.fd, DP_WATCH_TUN, tunnel)) {
		log_error("tunnel %u: cannot bring up interface '%s'", tunnel, ifname);
		dp_tap_close(&info->tun);
		return false;
	}
	__atomic_store_n(&dp->tunnels.hot[tunnel].has_tun, 1, __ATOMIC_RELEASE);
	dp_linux_routes_tunnel(dp, tunnel, true);
	return true;
}

/* The smaller of two MTUs of which 0 says nothing. */
static uint32_t mtu_min(uint32_t a, uint32_t b)
{
	return b && (a == 0 || b < a) ? b : a;
}

void dp_tunnel_mtu_update(struct dp *dp, uint32_t tunnel)
{
	struct dp_tunnel_hot *hot = &dp->tunnels.hot[tunnel];
	struct dp_tunnel_info *info = &dp->tunnels.info[tunnel];
	struct dp_stats_tunnel *stats = &dp_stats_tunnels(dp)[tunnel];
	uint32_t mtu = mtu_min(hot->mtu, hot->current ? hot->current->path->mtu : 0);
	uint32_t outer = hot->current ? hot->current->path->outer_mtu : 0;

	for (unsigned i = 0; i < dp->n_workers; i++) {
		const struct dp_out *o = dp->workers[i]->out[tunnel];

		mtu = mtu_min(mtu, o ? o->path->mtu : 0);
		outer = mtu_min(outer, o ? o->path->outer_mtu : 0);
	}
	__atomic_store_n(&stats->path_mtu, outer, __ATOMIC_RELAXED);
	__atomic_store_n(&stats->path_mtu_learnt, outer && outer == info->path_mtu.mtu,
			 __ATOMIC_RELAXED);
	__atomic_store_n(&hot->clamp, mtu, __ATOMIC_RELAXED);
	if (mtu == 0)
		return; /* the interface keeps what it had until there is an SA again */
	__atomic_store_n(&stats->mtu, mtu, __ATOMIC_RELAXED);
	/* RFC 8200 5: on a narrower interface Linux has no IPv6; what is too big is cut outside. */
	for (int i = 0; i < 2; i++) {
		if (info->msg.inside[i].family == 6)
			mtu = RTE_MAX(mtu, V6_LEAST_MTU);
	}
	if (info->tun.fd >= 0 && mtu != info->tun_mtu &&
	    dp_link_mtu(&dp->netlink, info->tun.ifindex, mtu))
		info->tun_mtu = mtu;
}

static void inside_apply(struct dp *dp, uint32_t tunnel, const struct ip_prefix inside[2], bool add)
{
	const struct dp_tunnel_info *info = &dp->tunnels.info[tunnel];

	for (int i = 0; i < 2; i++) {
		if (inside[i].addr.family == IP_NONE)
			continue;
		inside_local(dp, info->msg.table, &inside[i], add);
		if (info->tun.fd < 0)
			continue;
		if (add ? !dp_addr_add(&dp->netlink, info->tun.ifindex, &inside[i])
			: !dp_addr_del(&dp->netlink, info->tun.ifindex, &inside[i]))
			log_warn("tunnel %u: cannot %s its inside address on '%s'", tunnel,
				 add ? "set" : "remove", info->tun.ifname);
	}
}

static void set_mtu(struct dp *dp, uint32_t tunnel, uint32_t mtu)
{
	uint32_t *to = &dp->tunnels.hot[tunnel].mtu;

	if (*to == mtu)
		return;
	__atomic_store_n(to, mtu, __ATOMIC_RELEASE);
	dp_sas_republish(dp, tunnel);
}

/* Workers look at n_apart first: a tunnel is counted before it has its table, and while it does. */
static void table_set(struct dp_tunnels *t, uint32_t tunnel, uint32_t table)
{
	const uint32_t was = t->hot[tunnel].table;
	const uint32_t apart = table && table != DP_TABLE_NONE;
	const uint32_t was_apart = was && was != DP_TABLE_NONE;

	__atomic_store_n(&t->n_apart, t->n_apart + apart, __ATOMIC_RELEASE);
	__atomic_store_n(&t->hot[tunnel].table, table, __ATOMIC_RELEASE);
	__atomic_store_n(&t->n_apart, t->n_apart - was_apart, __ATOMIC_RELEASE);
}

enum dp_status dp_tunnel_set(struct dp *dp, const struct dp_tunnel *m)
{
	struct ip_prefix inside[2], before[2];
	struct dp_tunnel_info *info;
	bool renamed;

	if (!tunnel_valid(dp, m, inside))
		return DP_ERR_MALFORMED;
	/* Before the tunnel is in a table: nothing comes out of it by another name. */
	if (!dp_translate_set(dp, m))
		return DP_ERR_RESOURCES;
	info = &dp->tunnels.info[m->tunnel];
	renamed = !info->set || strcmp(info->msg.ifname, m->ifname) != 0;
	if (info->set) {
		(void)tunnel_valid(dp, &info->msg, before);
		if (memcmp(before, inside, sizeof(inside)) != 0 || renamed ||
		    info->msg.table != m->table)
			inside_apply(dp, m->tunnel, before, false);
	} else {
		memset(&dp_stats_tunnels(dp)[m->tunnel], 0, sizeof(struct dp_stats_tunnel));
		dp_stats_tunnels(dp)[m->tunnel].current_slot = DP_SLOT_NONE;
	}
	if (renamed) {
		tun_close(dp, m->tunnel);
		if (m->ifname[0] && !tun_open(dp, m->tunnel, m->ifname)) {
			info->set = false;
			return DP_ERR_SYSTEM;
		}
	}
	info->set = true;
	info->epoch = dp->tunnels.epoch;
	info->msg = *m;
	table_set(&dp->tunnels, m->tunnel, m->table);
	inside_apply(dp, m->tunnel, inside, true);
	set_mtu(dp, m->tunnel, m->mtu);
	dp_tunnel_mtu_update(dp, m->tunnel);
	return DP_OK;
}

enum dp_status dp_tunnel_del(struct dp *dp, const struct dp_tunnel *m)
{
	struct dp_tunnel_info *info;
	struct ip_prefix inside[2];

	if (m->tunnel >= dp->tunnels.max)
		return DP_ERR_MALFORMED;
	info = &dp->tunnels.info[m->tunnel];
	if (!info->set)
		return DP_ERR_NO_SUCH;
	if (tunnel_valid(dp, &info->msg, inside))
		inside_apply(dp, m->tunnel, inside, false);
	tun_close(dp, m->tunnel);
	table_set(&dp->tunnels, m->tunnel, DP_TABLE_NONE);
	dp_translate_clear(dp, m->tunnel);
	set_mtu(dp, m->tunnel, 0);
	memset(&info->msg, 0, sizeof(info->msg));
	info->path_mtu.mtu = 0;
	info->set = false;
	return DP_OK;
}

/* The place of a group of who owns the ring now. */
static uint32_t place_of(const struct dp_tunnels *t, uint32_t group)
{
	return group + t->epoch * t->max_groups;
}

static void group_link(struct dp_tunnels *t, struct dp_group_hot *g, uint32_t place)
{
	for (uint32_t i = 0; i < g->n; i++) {
		g->links[i].place = place;
		LIST_INSERT_HEAD(&t->info[g->tunnels[i]].groups, &g->links[i], of_tunnel);
	}
}

static void group_unlink(struct dp_group_hot *g)
{
	for (uint32_t i = 0; i < g->n; i++)
		LIST_REMOVE(&g->links[i], of_tunnel);
}

/* Another group, or none, in a place. True: there was one before. */
static bool group_put(struct dp *dp, uint32_t place, struct dp_group_hot *g)
{
	struct dp_tunnels *t = &dp->tunnels;
	struct dp_group_hot *old = __atomic_exchange_n(&t->groups[place], g, __ATOMIC_ACQ_REL);

	dp_hops_group(dp, place);
	if (g)
		group_link(t, g, place);
	if (!old)
		return false;
	group_unlink(old);
	dp_grace_defer(&dp->grace, free_later, NULL, old, 0);
	return true;
}

enum dp_status dp_group_set(struct dp *dp, const struct dp_group *m)
{
	struct dp_tunnels *t = &dp->tunnels;
	struct dp_group_hot *g;

	if (m->group >= t->max_groups || m->n_tunnels > DP_GROUP_MAX || m->n_ecmp > m->n_tunnels ||
	    m->flags & ~(uint32_t)DP_GROUP_BY_LINUX)
		return DP_ERR_MALFORMED;
	for (uint32_t i = 0; i < m->n_tunnels; i++) {
		if (m->tunnels[i] >= t->max)
			return DP_ERR_MALFORMED;
	}
	g = key_mem_alloc(sizeof(*g));
	if (!g)
		return DP_ERR_RESOURCES;
	g->n = (uint16_t)m->n_tunnels;
	g->n_ecmp = m->n_ecmp > 1 ? (uint16_t)m->n_ecmp : 0;
	memcpy(g->tunnels, m->tunnels, g->n * sizeof(g->tunnels[0]));
	if (!group_put(dp, place_of(t, m->group), g))
		t->n_groups++;
	t->by_linux[place_of(t, m->group)] = m->flags & DP_GROUP_BY_LINUX;
	dp_linux_routes_group(dp, place_of(t, m->group));
	return DP_OK;
}

/* Routes that still point here have their packets dropped and counted. */
static bool group_drop(struct dp *dp, uint32_t place)
{
	if (!dp->tunnels.groups[place] || !group_put(dp, place, NULL))
		return false;
	dp->tunnels.n_groups--;
	dp_linux_routes_group(dp, place);
	return true;
}

enum dp_status dp_group_del(struct dp *dp, const struct dp_group *m)
{
	if (m->group >= dp->tunnels.max_groups)
		return DP_ERR_MALFORMED;
	return group_drop(dp, place_of(&dp->tunnels, m->group)) ? DP_OK : DP_ERR_NO_SUCH;
}

/* Table 0 has the ports' networks itself, while they are all there. */
static bool target_valid(const struct dp *dp, uint32_t table, uint32_t group)
{
	return group == DP_GROUP_BLACKHOLE ||
	       (group == DP_GROUP_LOCAL && (table || dp->ports_apart)) ||
	       group < dp->tunnels.max_groups;
}

static uint32_t next_hop(const struct dp_tunnels *t, uint32_t group)
{
	return group == DP_GROUP_BLACKHOLE ? dp_nh(DP_NH_BLACKHOLE, t->epoch)
	       : group == DP_GROUP_LOCAL   ? dp_nh(DP_NH_PORTS, t->epoch)
					   : dp_nh(DP_NH_GROUP, place_of(t, group));
}

static uint8_t epoch_of(const struct dp_tunnels *t, uint32_t nh)
{
	const uint32_t index = dp_nh_index(nh);

	return (uint8_t)(dp_nh_kind(nh) == DP_NH_GROUP ? index >= t->max_groups : index);
}

static enum dp_status route_set(struct dp *dp, uint16_t table, const struct ip_prefix *p,
				uint32_t group)
{
	if (dp->fib.n_routes >= dp->fib.max_routes && !dp_fib_has(&dp->fib, table, p, DP_FIB_ROUTE))
		return DP_ERR_RESOURCES;
	if (!dp_fib_set(&dp->fib, table, p, DP_FIB_ROUTE, next_hop(&dp->tunnels, group)))
		return DP_ERR_RESOURCES;
	dp_linux_route(dp, table, p, next_hop(&dp->tunnels, group));
	return DP_OK;
}

static bool route_clear(struct dp *dp, uint16_t table, const struct ip_prefix *p, bool *there)
{
	if (!dp_fib_clear(&dp->fib, table, p, DP_FIB_ROUTE, there))
		return false;
	dp_linux_route(dp, table, p, 0);
	return true;
}

static bool route_prefix(const struct dp_route *m, struct ip_prefix *p)
{
	return m->zero[0] == 0 && m->zero[1] == 0 && m->zero[2] == 0 &&
	       prefix_parse(&m->prefix, m->len, false, p) && ip_prefix_is_canonical(p);
}

enum dp_status dp_route_set(struct dp *dp, const struct dp_route *m)
{
	struct ip_prefix p;

	if (m->table >= DP_MAX_TABLES || !route_prefix(m, &p) ||
	    !target_valid(dp, m->table, m->group))
		return DP_ERR_MALFORMED;
	return route_set(dp, (uint16_t)m->table, &p, m->group);
}

enum dp_status dp_route_del(struct dp *dp, const struct dp_route *m)
{
	struct ip_prefix p;
	bool there;

	if (m->table >= DP_MAX_TABLES || !route_prefix(m, &p))
		return DP_ERR_MALFORMED;
	if (!route_clear(dp, (uint16_t)m->table, &p, &there))
		return DP_ERR_RESOURCES;
	return there ? DP_OK : DP_ERR_NO_SUCH;
}

static bool entry_valid(const struct dp *dp, const struct dp_routes_entry *e, struct ip_prefix *p)
{
	return e->zero == 0 && e->table < DP_MAX_TABLES &&
	       prefix_parse(&e->prefix, e->len, false, p) && ip_prefix_is_canonical(p) &&
	       (e->group == DP_GROUP_WITHDRAW || target_valid(dp, e->table, e->group));
}

static enum dp_status entry_apply(struct dp *dp, const struct dp_routes_entry *e,
				  const struct ip_prefix *p)
{
	bool there;

	if (e->group != DP_GROUP_WITHDRAW)
		return route_set(dp, e->table, p, e->group);
	return route_clear(dp, e->table, p, &there) ? DP_OK : DP_ERR_RESOURCES;
}

static bool batch_valid(const struct dp *dp, const struct dp_routes *m)
{
	struct ip_prefix p;

	if (m->n == 0 || m->n > DP_ROUTES_MAX || m->zero)
		return false;
	for (uint32_t i = 0; i < m->n; i++) {
		if (!entry_valid(dp, &m->entries[i], &p))
			return false;
	}
	return true;
}

bool dp_routes(struct dp *dp, const struct dp_routes *m, struct dp_routes_work *w, uint64_t until)
{
	struct ip_prefix p;

	if (w->at == 0 && !batch_valid(dp, m)) {
		w->ack.status = DP_ERR_MALFORMED;
		return true;
	}
	do {
		const uint32_t i = w->at++;
		const enum dp_status s = entry_valid(dp, &m->entries[i], &p)
						 ? entry_apply(dp, &m->entries[i], &p)
						 : DP_ERR_MALFORMED;

		if (s == DP_OK)
			continue;
		w->ack.refused[i / 32] |= 1u << i % 32;
		if (w->ack.status == DP_OK)
			w->ack.status = s;
	} while (w->at < m->n && rte_rdtsc() < until);
	return w->at == m->n;
}

/* ------------------------------------------------------------------- owners */

struct swept {
	const struct dp_tunnels *tunnels;
	struct ip_prefix *prefixes;
	size_t n, size;
};

static void note_old(void *ctx, const struct ip_prefix *p, uint32_t nh)
{
	struct swept *s = ctx;
	struct ip_prefix *place;

	if (epoch_of(s->tunnels, nh) == s->tunnels->epoch)
		return;
	place = array_add(&s->prefixes, &s->n, &s->size, sizeof(*place), 64);
	if (place)
		*place = *p;
}

static bool sweep_table(struct dp *dp, uint16_t table)
{
	struct swept s = {.tunnels = &dp->tunnels};
	bool ok = true, there;

	dp_fib_walk(&dp->fib, table, DP_FIB_ROUTE, note_old, &s);
	for (size_t i = 0; i < s.n; i++)
		ok = route_clear(dp, table, &s.prefixes[i], &there) && ok;
	free(s.prefixes);
	return ok;
}

enum dp_status dp_sweep(struct dp *dp)
{
	struct dp_tunnels *t = &dp->tunnels;
	const uint32_t other = t->epoch ? 0 : t->max_groups;
	bool ok = true;

	for (uint32_t i = 0; i < DP_MAX_TABLES; i++)
		ok = sweep_table(dp, (uint16_t)i) && ok;
	for (uint32_t i = 0; i < t->max_groups; i++)
		(void)group_drop(dp, other + i);
	for (uint32_t i = 0; i < t->max; i++) {
		const struct dp_tunnel del = {.tunnel = i};

		if (t->info[i].set && t->info[i].epoch != t->epoch)
			(void)dp_tunnel_del(dp, &del);
	}
	return ok ? DP_OK : DP_ERR_RESOURCES;
}

void dp_fib_owner_new(struct dp *dp)
{
	/* What was there before the last owner makes room for what he leaves. */
	(void)dp_sweep(dp);
	dp->tunnels.epoch ^= 1;
}
