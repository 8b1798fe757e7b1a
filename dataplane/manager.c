/* SPDX-License-Identifier: Apache-2.0 */
/* manager: the main loop of everything but forwarding. See manager.h. */
#include "dataplane/manager.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include "base/log.h"
#include "dataplane/dp.h"
#include "dataplane/supervisor.h"
#include "dataplane/stats.h"

#define TICK          span_ms(100)
#define SETTLE        span_ms(20) /* after a change of routes: more may follow */
#define RETRY         span_s(1)   /* outbound SAs without a next hop */
#define MAX_FDS       64
#define GRACE_WAIT_MS 1

bool dp_watch_add(struct dp *dp, int fd, enum dp_watch what, uint32_t index)
{
	struct epoll_event ev = {
		.events = EPOLLIN,
		.data.u64 = (uint64_t)what << 32 | index,
	};

	return epoll_ctl(dp->epoll_fd, EPOLL_CTL_ADD, fd, &ev) == 0;
}

void dp_watch_del(struct dp *dp, int fd)
{
	(void)epoll_ctl(dp->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

void dp_wake(struct dp *dp)
{
	const uint64_t one = 1;

	/* The manager sets the flag before it looks at the rings for the last time. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (__atomic_exchange_n(&dp->manager_sleeps, 0, __ATOMIC_ACQ_REL) &&
	    write(dp->wake_fd, &one, sizeof(one)) < 0)
		return; /* it is full: then it will wake up all the same */
}

static void empty(int fd)
{
	uint64_t v;

	while (read(fd, &v, sizeof(v)) > 0)
		continue;
}

static void neigh_heard(void *ctx, int ifindex, const struct ip_addr *a, const uint8_t *mac,
			bool stale)
{
	struct dp *dp = ctx;

	for (unsigned i = 0; i < dp->n_ports; i++) {
		if (dp->ports[i].mirror.ifindex == ifindex)
			dp_neigh_update(dp, i, a, mac, stale);
	}
}

static void routes_heard(void *ctx)
{
	struct dp *dp = ctx;

	dp->routes_changed = true;
	dp_linux_routes_heard(dp);
}

static const struct dp_netlink_ops netlink_ops = {.neigh = neigh_heard, .routes = routes_heard};

/* False when it is time to end. */
static bool dispatch(struct dp *dp, const struct epoll_event *ev)
{
	const uint32_t index = (uint32_t)ev->data.u64;

	switch ((enum dp_watch)(ev->data.u64 >> 32)) {
	case DP_WATCH_CHANNEL: return dp_supervisor_read(dp);
	case DP_WATCH_SIGNAL: return false;
	case DP_WATCH_WAKE: empty(dp->wake_fd); break;
	case DP_WATCH_BELL:
		/* A bell that is replaced in this very round is closed already. */
		if (dp->rings.ch[index].request.bell >= 0)
			empty(dp->rings.ch[index].request.bell);
		break;
	case DP_WATCH_NETLINK: dp_netlink_read(&dp->netlink, &netlink_ops, dp); break;
	case DP_WATCH_MIRROR: dp_linux_from_mirror(dp, index); break;
	case DP_WATCH_TUN:
		if (dp->tunnels.info[index].tun.fd >= 0)
			dp_linux_from_tun(dp, index);
		break;
	}
	return true;
}

struct clock {
	struct mono tick, settle, retry;
};

static void tick(struct dp *dp, struct clock *c)
{
	if (dp->routes_changed && mono_is_never(c->settle))
		c->settle = mono_add(dp->now, SETTLE);
	if (mono_reached(dp->now, c->settle)) {
		c->settle = MONO_NEVER;
		dp->routes_changed = false;
		dp_sas_resolve(dp, false);
	}
	if (!mono_reached(dp->now, c->tick))
		return;
	c->tick = mono_add(dp->now, TICK);
	dp_stats_tick(dp);
	dp_nic_tick(dp, false);
	dp_neigh_tick(dp, dp->now);
	dp_events_tick(dp);
	if (mono_reached(dp->now, c->retry)) {
		c->retry = mono_add(dp->now, RETRY);
		dp_sas_resolve(dp, true);
		dp_path_mtu_tick(dp);
	}
}

static int timeout_ms(const struct dp *dp, const struct clock *c, bool more)
{
	const struct mono next = mono_min(c->tick, c->settle);

	if (more)
		return 0;
	if (dp_grace_waiting(&dp->grace))
		return GRACE_WAIT_MS;
	return (int)span_to_ms(mono_since(next, dp->now)) + 1;
}

void dp_manager_run(struct dp *dp)
{
	struct clock c = {.tick = mono_now(), .settle = MONO_NEVER, .retry = mono_now()};
	struct epoll_event evs[MAX_FDS];
	bool more = false;

	(void)dp_netlink_dump_neighs(&dp->netlink, &netlink_ops, dp);
	for (;;) {
		int n;

		__atomic_store_n(&dp->manager_sleeps, 1, __ATOMIC_SEQ_CST);
		if (!rte_ring_empty(dp->to_manager) || !rte_ring_empty(dp->sa_events))
			more = true;
		n = epoll_wait(dp->epoll_fd, evs, MAX_FDS, timeout_ms(dp, &c, more));
		__atomic_store_n(&dp->manager_sleeps, 0, __ATOMIC_SEQ_CST);
		dp->now = mono_now();
		for (int i = 0; i < n; i++) {
			if (!dispatch(dp, &evs[i]))
				return;
		}
		more = dp_linux_take(dp);
		dp_events_take(dp);
		more = dp_rings_poll(dp) || more;
		more = dp_linux_routes_run(dp) || more;
		dp_grace_run(&dp->grace);
		tick(dp, &c);
	}
}
