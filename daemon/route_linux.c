/* SPDX-License-Identifier: Apache-2.0 */
/*
 * route_linux: what another routing daemon has put into Linux's table, as routes of the tunnels over whose
 * inside interfaces they lead.
 *
 * The supervisor opens the netlink socket (daemon/sup_inside.c). Who reads Linux's tables needs no
 * privilege, and without one nobody changes them, whoever opened the socket (netlink(7)). All is read at
 * the beginning, and again when Linux says that something was lost or an interface has come; what was not
 * there any more goes at the end of that. A route is told from others to its prefix by its metric, as
 * Linux does; it counts as the MED.
 */
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "base/array.h"
#include "daemon/route_int.h"

#define BUF_SIZE       65536
#define READS_PER_TURN 32
#define RETRY_MS       1000u
#define IFINDEX_MAX    (1u << 20)
#define LINK_UP        (1u << 31) /* in kernel.tunnels; below it the tunnel's number + 1 */
#define ONE_ROUTE_MAX  16u        /* interfaces that share it */

static bool imports(const struct route_shell *s, size_t tunnel)
{
	const struct route_tunnel *t = tunnel < s->n_tunnels ? s->tunnels[tunnel] : NULL;

	return t && t->cfg && t->by_linux;
}

/* ------------------------------------------------------------------- dumps */

static void fail(struct route_shell *s)
{
	s->kernel.step = ROUTE_LINUX_IDLE;
	s->kernel.again = true;
	s->kernel.retry_at = mono_add(mono_now(), span_ms(RETRY_MS));
}

static void stale(struct route_shell *s, bool v6)
{
	for (size_t i = 0; i < s->n_tunnels; i++)
		if (imports(s, i))
			rt_stale(s->core, (uint32_t)i, v6);
}

static void purge(struct route_shell *s, bool v6)
{
	for (size_t i = 0; i < s->n_tunnels; i++)
		if (imports(s, i))
			(void)rt_purge(s->core, (uint32_t)i, v6, true);
}

static void ask(struct route_shell *s, enum route_linux_step step)
{
	uint8_t buf[64] __attribute__((aligned(NLMSG_ALIGNTO)));
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct rtmsg *m;

	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	h->nlmsg_seq = ++s->kernel.seq;
	if (step == ROUTE_LINUX_LINKS) {
		h->nlmsg_type = RTM_GETLINK;
		(void)mnl_nlmsg_put_extra_header(h, sizeof(struct ifinfomsg));
	} else {
		h->nlmsg_type = RTM_GETROUTE;
		m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
		m->rtm_family = step == ROUTE_LINUX_V6 ? AF_INET6 : AF_INET;
		stale(s, step == ROUTE_LINUX_V6);
	}
	s->kernel.step = step;
	if (send(s->kernel.fd, h, h->nlmsg_len, 0) < 0)
		fail(s);
}

/* One after the other: a socket has one dump at a time. */
static void begin(struct route_shell *s)
{
	s->kernel.again = true;
	if (s->kernel.fd < 0 || s->kernel.step != ROUTE_LINUX_IDLE)
		return;
	s->kernel.again = false;
	s->kernel.retry_at = MONO_NEVER;
	ask(s, ROUTE_LINUX_LINKS);
}

static void dump_done(struct route_shell *s)
{
	switch (s->kernel.step) {
	case ROUTE_LINUX_IDLE: return;
	case ROUTE_LINUX_LINKS: ask(s, ROUTE_LINUX_V4); return;
	case ROUTE_LINUX_V4:
		purge(s, false);
		ask(s, ROUTE_LINUX_V6);
		return;
	case ROUTE_LINUX_V6:
		purge(s, true);
		s->kernel.step = ROUTE_LINUX_IDLE;
		if (s->kernel.again)
			begin(s);
		return;
	}
}

/* ---------------------------------------------------------------- messages */

static uint32_t attr_u32(const struct nlattr *a)
{
	return mnl_attr_validate(a, MNL_TYPE_U32) == 0 ? mnl_attr_get_u32(a) : 0;
}

static uint32_t tunnel_named(const struct route_shell *s, const char *name)
{
	for (size_t i = 0; i < s->n_tunnels; i++)
		if (imports(s, i) && strcmp(s->tunnels[i]->cfg->interface, name) == 0)
			return (uint32_t)i;
	return RT_TUNNEL_NONE;
}

static void on_link(struct route_shell *s, const struct nlmsghdr *h)
{
	const struct ifinfomsg *link = mnl_nlmsg_get_payload(h);
	uint32_t tunnel = RT_TUNNEL_NONE, is = 0, was;
	const struct nlattr *a;

	if (mnl_nlmsg_get_payload_len(h) < sizeof(*link) || link->ifi_index <= 0 ||
	    (uint32_t)link->ifi_index >= IFINDEX_MAX ||
	    !array_reach(&s->kernel.tunnels, &s->kernel.n_tunnels, (size_t)link->ifi_index,
			 sizeof(*s->kernel.tunnels)))
		return;
	mnl_attr_for_each (a, h, sizeof(*link)) {
		if (mnl_attr_get_type(a) == IFLA_IFNAME &&
		    mnl_attr_validate(a, MNL_TYPE_NUL_STRING) == 0)
			tunnel = tunnel_named(s, mnl_attr_get_str(a));
	}
	if (h->nlmsg_type == RTM_NEWLINK && tunnel != RT_TUNNEL_NONE)
		is = (tunnel + 1) | (link->ifi_flags & IFF_UP ? LINK_UP : 0);
	was = s->kernel.tunnels[link->ifi_index];
	s->kernel.tunnels[link->ifi_index] = is;
	if (is == was)
		return;
	/* Of what goes with an interface Linux says nothing more. */
	if (was & LINK_UP && imports(s, (was & ~LINK_UP) - 1)) {
		(void)rt_purge(s->core, (was & ~LINK_UP) - 1, false, false);
		(void)rt_purge(s->core, (was & ~LINK_UP) - 1, true, false);
	}
	if (is & LINK_UP && s->kernel.step != ROUTE_LINUX_LINKS)
		begin(s);
}

struct route {
	struct path_nlri nlri; /* its path_id is the metric */
	uint32_t table;
	uint32_t tunnels[ONE_ROUTE_MAX];
	size_t n;
};

static void leads_over(const struct route_shell *s, struct route *r, int ifindex)
{
	const uint32_t is = ifindex > 0 && (size_t)ifindex < s->kernel.n_tunnels
				    ? s->kernel.tunnels[ifindex]
				    : 0;

	if (is && r->n < ONE_ROUTE_MAX && imports(s, (is & ~LINK_UP) - 1))
		r->tunnels[r->n++] = (is & ~LINK_UP) - 1;
}

static void leads_over_several(const struct route_shell *s, struct route *r, const struct nlattr *a)
{
	const struct rtnexthop *hop = mnl_attr_get_payload(a);
	int left = mnl_attr_get_payload_len(a);

	while (left >= (int)sizeof(*hop) && RTNH_OK(hop, left)) {
		leads_over(s, r, hop->rtnh_ifindex);
		left -= (int)RTNH_ALIGN(hop->rtnh_len);
		hop = RTNH_NEXT(hop);
	}
}

/* False: it is nothing to us. */
static bool route_parse(const struct route_shell *s, const struct nlmsghdr *h, struct route *r)
{
	const struct config_linux_import *c = &s->config->routing.linux_import;
	const struct rtmsg *m = mnl_nlmsg_get_payload(h);
	const enum ip_family family = m->rtm_family == AF_INET6 ? IP_V6 : IP_V4;
	const size_t size = family == IP_V6 ? 16 : 4;
	const struct nlattr *a;

	if (mnl_nlmsg_get_payload_len(h) < sizeof(*m) ||
	    (m->rtm_family != AF_INET && m->rtm_family != AF_INET6) ||
	    m->rtm_flags & RTM_F_CLONED || m->rtm_tos || m->rtm_dst_len > 8 * size ||
	    !(c->protocols[m->rtm_protocol / 8] >> m->rtm_protocol % 8 & 1))
		return false;
	*r = (struct route){.table = m->rtm_table};
	r->nlri.prefix = (struct ip_prefix){.addr = {.family = family}, .len = m->rtm_dst_len};
	mnl_attr_for_each (a, h, sizeof(*m)) {
		switch (mnl_attr_get_type(a)) {
		case RTA_TABLE: r->table = attr_u32(a); break;
		case RTA_DST:
			if (mnl_attr_get_payload_len(a) != size)
				return false;
			r->nlri.prefix.addr = ip_from_bytes(family, mnl_attr_get_payload(a));
			break;
		case RTA_PRIORITY: r->nlri.path_id = attr_u32(a); break;
		case RTA_OIF: leads_over(s, r, (int)attr_u32(a)); break;
		case RTA_MULTIPATH: leads_over_several(s, r, a); break;
		default: break;
		}
	}
	/* What drops, or what we have none of, leads over none of our interfaces. */
	if (m->rtm_type != RTN_UNICAST)
		r->n = 0;
	return r->table == c->table && ip_prefix_is_canonical(&r->nlri.prefix);
}

static bool is_among(const struct route *r, uint32_t tunnel)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->tunnels[i] == tunnel)
			return true;
	return false;
}

static void on_route(struct route_shell *s, const struct nlmsghdr *h)
{
	static const uint8_t none[1];
	struct path_facts facts = {.origin = PATH_ORIGIN_INCOMPLETE, .flags = PATH_HAS_MED};
	struct path *path;
	struct route r;

	if (!route_parse(s, h, &r))
		return;
	if (h->nlmsg_type == RTM_DELROUTE) {
		for (size_t i = 0; i < r.n; i++)
			(void)rt_withdraw(s->core, r.tunnels[i], &r.nlri, 1);
		return;
	}
	/* One in the place of another that led elsewhere. In a dump there are no such. */
	for (size_t i = 0; h->nlmsg_flags & NLM_F_REPLACE && i < s->n_tunnels; i++)
		if (imports(s, i) && !is_among(&r, (uint32_t)i))
			(void)rt_withdraw(s->core, (uint32_t)i, &r.nlri, 1);
	facts.med = r.nlri.path_id;
	path = path_intern(s->paths, &facts, none);
	for (size_t i = 0; path && i < r.n; i++)
		(void)rt_announce(s->core, r.tunnels[i], &r.nlri, 1, path);
	path_unref(s->paths, path);
}

static void on_message(struct route_shell *s, const struct nlmsghdr *h)
{
	const bool dumped = h->nlmsg_seq == s->kernel.seq && s->kernel.step != ROUTE_LINUX_IDLE;

	if (dumped && h->nlmsg_flags & NLM_F_DUMP_INTR)
		s->kernel.again = true;
	switch (h->nlmsg_type) {
	case NLMSG_DONE:
		if (dumped)
			dump_done(s);
		break;
	case NLMSG_ERROR:
		if (dumped)
			fail(s);
		break;
	case RTM_NEWLINK:
	case RTM_DELLINK: on_link(s, h); break;
	case RTM_NEWROUTE:
	case RTM_DELROUTE: on_route(s, h); break;
	default: break;
	}
}

static void on_readable(void *ctx, int fd, uint32_t events)
{
	static uint8_t buf[BUF_SIZE] __attribute__((aligned(NLMSG_ALIGNTO)));
	struct route_shell *s = ctx;

	for (int i = 0; i < READS_PER_TURN; i++) {
		struct sockaddr_nl from = {0};
		socklen_t from_size = sizeof(from);
		const ssize_t n =
			recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *)&from, &from_size);
		const struct nlmsghdr *h = (const void *)buf;
		int left = (int)n;

		if (n < 0 && errno == ENOBUFS) {
			begin(s);
			continue;
		}
		if (n <= 0)
			return;
		/* Linux itself, and no other process. */
		if (from.nl_pid != 0)
			continue;
		for (; mnl_nlmsg_ok(h, left); h = mnl_nlmsg_next(h, &left))
			on_message(s, h);
	}
}

/* -------------------------------------------------------------- life cycle */

static bool wanted(const struct route_shell *s)
{
	for (size_t i = 0; i < s->n_tunnels; i++)
		if (imports(s, i))
			return true;
	return false;
}

void route_linux_configure(struct route_shell *s)
{
	if (!wanted(s)) {
		route_close(s, &s->kernel.fd);
		s->kernel.step = ROUTE_LINUX_IDLE;
		s->kernel.again = false;
		return;
	}
	/* Interfaces may have other names. */
	if (s->kernel.n_tunnels)
		memset(s->kernel.tunnels, 0, s->kernel.n_tunnels * sizeof(*s->kernel.tunnels));
	if (s->kernel.fd >= 0) {
		begin(s);
	} else if (!s->kernel.asked) {
		s->kernel.asked = true;
		route_want_linux();
	}
}

void route_linux_take(struct route_shell *s, struct ipc_msg *msg, int error)
{
	s->kernel.asked = false;
	if (s->kernel.fd >= 0 || !wanted(s))
		return;
	s->kernel.fd = ipc_msg_take_fd(msg, 0);
	if (s->kernel.fd >= 0 && loop_add(&s->child.loop, s->kernel.fd, EPOLLIN, on_readable, s)) {
		begin(s);
		return;
	}
	route_close(s, &s->kernel.fd);
	log_error("Linux's routes cannot be read: %s", strerror(error ? error : errno));
}

void route_linux_turn(struct route_shell *s, struct mono now)
{
	if (s->kernel.again && mono_reached(now, s->kernel.retry_at))
		begin(s);
}

struct mono route_linux_deadline(const struct route_shell *s)
{
	return s->kernel.again && s->kernel.step == ROUTE_LINUX_IDLE ? s->kernel.retry_at
								     : MONO_NEVER;
}

void route_linux_fini(struct route_shell *s)
{
	route_close(s, &s->kernel.fd);
	free(s->kernel.tunnels);
}
