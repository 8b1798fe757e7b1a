/* SPDX-License-Identifier: Apache-2.0 */
/* netlink: rtnetlink requests and notices through libmnl. See netlink.h. */
#include "dataplane/netlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/filter.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define NL_BUF_SIZE 8192
#define NL_RCVBUF   (1 << 20)
#define NUD_USABLE  (NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT | NUD_NOARP)

static struct mnl_socket *sock_open(unsigned groups, bool nonblock)
{
	struct mnl_socket *s =
		mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | (nonblock ? SOCK_NONBLOCK : 0));

	if (s && mnl_socket_bind(s, groups, MNL_SOCKET_AUTOPID) == 0)
		return s;
	if (s)
		mnl_socket_close(s);
	return NULL;
}

bool dp_netlink_init(struct dp_netlink *nl)
{
	const int rcvbuf = NL_RCVBUF;

	*nl = (struct dp_netlink){0};
	nl->requests = sock_open(0, false);
	nl->events = sock_open(RTMGRP_NEIGH | RTMGRP_LINK | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE |
				       RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR,
			       true);
	if (!nl->requests || !nl->events) {
		dp_netlink_fini(nl);
		return false;
	}
	(void)setsockopt(dp_netlink_fd(nl), SOL_SOCKET, SO_RCVBUFFORCE, &rcvbuf, sizeof(rcvbuf));
	return true;
}

void dp_netlink_fini(struct dp_netlink *nl)
{
	if (nl->requests)
		mnl_socket_close(nl->requests);
	if (nl->events)
		mnl_socket_close(nl->events);
	*nl = (struct dp_netlink){0};
}

void dp_netlink_ignore(struct dp_netlink *nl, uint8_t protocol)
{
	/* Loads are of big-endian numbers, what stands there is in host byte order. */
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_type)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_NEWROUTE), 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_DELROUTE), 0, 3),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS,
			 NLMSG_HDRLEN + offsetof(struct rtmsg, rtm_protocol)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, protocol, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	};
	const struct sock_fprog program = {
		.len = sizeof(code) / sizeof(code[0]),
		.filter = code,
	};

	/* Without it they cost a little more. */
	(void)setsockopt(dp_netlink_fd(nl), SOL_SOCKET, SO_ATTACH_FILTER, &program,
			 sizeof(program));
}

int dp_netlink_fd(const struct dp_netlink *nl)
{
	return mnl_socket_get_fd(nl->events);
}

static int family_of(const struct ip_addr *a)
{
	return a->family == IP_V6 ? AF_INET6 : AF_INET;
}

static void put_addr(struct nlmsghdr *h, uint16_t type, const struct ip_addr *a)
{
	mnl_attr_put(h, type, ip_size(a), a->b);
}

static struct nlmsghdr *header(char *buf, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);

	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | flags;
	return h;
}

bool dp_netlink_exchange(struct mnl_socket *sock, uint32_t *seq, struct nlmsghdr *h, mnl_cb_t cb,
			 void *ctx)
{
	const unsigned port = mnl_socket_get_portid(sock);
	char buf[NL_BUF_SIZE * 2];
	int rc;

	h->nlmsg_seq = ++*seq;
	if (mnl_socket_sendto(sock, h, h->nlmsg_len) < 0)
		return false;
	do {
		const ssize_t n = mnl_socket_recvfrom(sock, buf, sizeof(buf));

		if (n < 0)
			return false;
		rc = mnl_cb_run(buf, (size_t)n, h->nlmsg_seq, port, cb, ctx);
	} while (rc > MNL_CB_STOP);
	return rc == MNL_CB_STOP;
}

static bool exchange(struct dp_netlink *nl, struct nlmsghdr *h, mnl_cb_t cb, void *ctx)
{
	return dp_netlink_exchange(nl->requests, &nl->seq, h, cb, ctx);
}

static bool command(struct dp_netlink *nl, struct nlmsghdr *h)
{
	h->nlmsg_flags |= NLM_F_ACK;
	return exchange(nl, h, NULL, NULL);
}

static bool link_set(struct dp_netlink *nl, int ifindex, uint32_t mtu, const uint8_t *mac, bool up)
{
	char buf[NL_BUF_SIZE];
	struct nlmsghdr *h = header(buf, RTM_NEWLINK, 0);
	struct ifinfomsg *ifi = mnl_nlmsg_put_extra_header(h, sizeof(*ifi));

	ifi->ifi_family = AF_UNSPEC;
	ifi->ifi_index = ifindex;
	if (up) {
		ifi->ifi_flags = IFF_UP;
		ifi->ifi_change = IFF_UP;
	}
	if (mtu)
		mnl_attr_put_u32(h, IFLA_MTU, mtu);
	if (mac)
		mnl_attr_put(h, IFLA_ADDRESS, 6, mac);
	return command(nl, h);
}

bool dp_link_up(struct dp_netlink *nl, int ifindex, uint32_t mtu, const uint8_t *mac)
{
	return link_set(nl, ifindex, mtu, mac, true);
}

bool dp_link_mtu(struct dp_netlink *nl, int ifindex, uint32_t mtu)
{
	return link_set(nl, ifindex, mtu, NULL, false);
}

bool dp_link_running(const struct dp_netlink *nl, const char *ifname)
{
	struct ifreq ifr = {0};

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", ifname);
	return ioctl(dp_netlink_fd(nl), SIOCGIFFLAGS, &ifr) == 0 && (ifr.ifr_flags & IFF_UP) &&
	       (ifr.ifr_flags & IFF_RUNNING);
}

static bool addr_change(struct dp_netlink *nl, bool add, int ifindex, const struct ip_prefix *p)
{
	char buf[NL_BUF_SIZE];
	struct nlmsghdr *h = header(buf, add ? RTM_NEWADDR : RTM_DELADDR,
				    add ? NLM_F_CREATE | NLM_F_REPLACE : 0);
	struct ifaddrmsg *ifa = mnl_nlmsg_put_extra_header(h, sizeof(*ifa));

	ifa->ifa_family = (uint8_t)family_of(&p->addr);
	ifa->ifa_prefixlen = p->len;
	ifa->ifa_index = (uint32_t)ifindex;
	/* No duplicate detection: the address is configured by whoever runs the gateway. */
	ifa->ifa_flags = p->addr.family == IP_V6 ? IFA_F_NODAD : 0;
	put_addr(h, IFA_LOCAL, &p->addr);
	put_addr(h, IFA_ADDRESS, &p->addr);
	return command(nl, h);
}

bool dp_addr_add(struct dp_netlink *nl, int ifindex, const struct ip_prefix *p)
{
	return addr_change(nl, true, ifindex, p);
}

bool dp_addr_del(struct dp_netlink *nl, int ifindex, const struct ip_prefix *p)
{
	return addr_change(nl, false, ifindex, p);
}

bool dp_default_route(struct dp_netlink *nl, int ifindex, const struct ip_addr *gateway)
{
	char buf[NL_BUF_SIZE];
	struct nlmsghdr *h = header(buf, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL);
	struct rtmsg *rtm = mnl_nlmsg_put_extra_header(h, sizeof(*rtm));

	rtm->rtm_family = (uint8_t)family_of(gateway);
	rtm->rtm_table = RT_TABLE_MAIN;
	rtm->rtm_protocol = RTPROT_STATIC;
	rtm->rtm_scope = RT_SCOPE_UNIVERSE;
	rtm->rtm_type = RTN_UNICAST;
	put_addr(h, RTA_GATEWAY, gateway);
	mnl_attr_put_u32(h, RTA_OIF, (uint32_t)ifindex);
	return command(nl, h);
}

bool dp_neigh_use(struct dp_netlink *nl, int ifindex, const struct ip_addr *a)
{
	char buf[NL_BUF_SIZE];
	struct nlmsghdr *h = header(buf, RTM_NEWNEIGH, NLM_F_CREATE);
	struct ndmsg *ndm = mnl_nlmsg_put_extra_header(h, sizeof(*ndm));

	ndm->ndm_family = (uint8_t)family_of(a);
	ndm->ndm_ifindex = ifindex;
	ndm->ndm_flags = NTF_USE;
	put_addr(h, NDA_DST, a);
	return command(nl, h);
}

struct route_answer {
	int ifindex;
	bool unicast;
	struct ip_addr gateway;
};

static int route_cb(const struct nlmsghdr *h, void *ctx)
{
	struct route_answer *r = ctx;
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(h);
	const enum ip_family family = rtm->rtm_family == AF_INET6 ? IP_V6 : IP_V4;
	const struct nlattr *attr;

	if (h->nlmsg_type != RTM_NEWROUTE)
		return MNL_CB_OK;
	r->unicast = rtm->rtm_type == RTN_UNICAST;
	mnl_attr_for_each (attr, h, sizeof(*rtm)) {
		switch (mnl_attr_get_type(attr)) {
		case RTA_OIF: r->ifindex = (int)mnl_attr_get_u32(attr); break;
		case RTA_GATEWAY:
			if (mnl_attr_get_payload_len(attr) == (family == IP_V6 ? 16 : 4))
				r->gateway = ip_from_bytes(family, mnl_attr_get_payload(attr));
			break;
		case RTA_VIA: {
			const struct rtvia *via = mnl_attr_get_payload(attr);

			if (via->rtvia_family == AF_INET6 && mnl_attr_get_payload_len(attr) == 18)
				r->gateway = ip_from_bytes(IP_V6, via->rtvia_addr);
			break;
		}
		default: break;
		}
	}
	/* The answer to a query is one message without an end mark. */
	return MNL_CB_STOP;
}

bool dp_route_get(struct dp_netlink *nl, const struct ip_addr *local, const struct ip_addr *remote,
		  int *ifindex, struct ip_addr *next_hop)
{
	char buf[NL_BUF_SIZE];
	struct nlmsghdr *h = header(buf, RTM_GETROUTE, 0);
	struct rtmsg *rtm = mnl_nlmsg_put_extra_header(h, sizeof(*rtm));
	struct route_answer r = {0};

	rtm->rtm_family = (uint8_t)family_of(remote);
	rtm->rtm_dst_len = (uint8_t)ip_bits(remote);
	put_addr(h, RTA_DST, remote);
	if (local->family == remote->family) {
		rtm->rtm_src_len = (uint8_t)ip_bits(local);
		put_addr(h, RTA_SRC, local);
	}
	if (!exchange(nl, h, route_cb, &r) || !r.unicast || r.ifindex == 0)
		return false;
	*ifindex = r.ifindex;
	*next_hop = r.gateway.family != IP_NONE ? r.gateway : *remote;
	return true;
}

struct listener {
	const struct dp_netlink_ops *ops;
	void *ctx;
	bool routes;
};

static void neigh_notice(const struct nlmsghdr *h, const struct listener *l)
{
	const struct ndmsg *ndm = mnl_nlmsg_get_payload(h);
	const uint8_t *mac = NULL;
	struct ip_addr a = {.family = IP_NONE};
	const struct nlattr *attr;

	if (mnl_nlmsg_get_payload_len(h) < sizeof(*ndm) ||
	    (ndm->ndm_family != AF_INET && ndm->ndm_family != AF_INET6))
		return;
	mnl_attr_for_each (attr, h, sizeof(*ndm)) {
		const uint16_t size = mnl_attr_get_payload_len(attr);

		if (mnl_attr_get_type(attr) == NDA_DST && ndm->ndm_family == AF_INET && size == 4)
			a = ip_from_bytes(IP_V4, mnl_attr_get_payload(attr));
		else if (mnl_attr_get_type(attr) == NDA_DST && ndm->ndm_family == AF_INET6 &&
			 size == 16)
			a = ip_from_bytes(IP_V6, mnl_attr_get_payload(attr));
		else if (mnl_attr_get_type(attr) == NDA_LLADDR && size == 6)
			mac = mnl_attr_get_payload(attr);
	}
	if (a.family == IP_NONE)
		return;
	if (h->nlmsg_type == RTM_DELNEIGH || !(ndm->ndm_state & NUD_USABLE))
		mac = NULL;
	l->ops->neigh(l->ctx, ndm->ndm_ifindex, &a, mac, ndm->ndm_state == NUD_STALE);
}

static int notice_cb(const struct nlmsghdr *h, void *ctx)
{
	struct listener *l = ctx;

	switch (h->nlmsg_type) {
	case RTM_NEWNEIGH:
	case RTM_DELNEIGH: neigh_notice(h, l); break;
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
	case RTM_NEWADDR:
	case RTM_DELADDR:
	case RTM_NEWLINK:
	case RTM_DELLINK: l->routes = true; break;
	default: break;
	}
	return MNL_CB_OK;
}

bool dp_netlink_dump_neighs(struct dp_netlink *nl, const struct dp_netlink_ops *ops, void *ctx)
{
	struct listener l = {.ops = ops, .ctx = ctx};
	char buf[NL_BUF_SIZE];
	struct nlmsghdr *h = header(buf, RTM_GETNEIGH, NLM_F_DUMP);
	struct ndmsg *ndm = mnl_nlmsg_put_extra_header(h, sizeof(*ndm));

	ndm->ndm_family = AF_UNSPEC;
	return exchange(nl, h, notice_cb, &l);
}

void dp_netlink_read(struct dp_netlink *nl, const struct dp_netlink_ops *ops, void *ctx)
{
	struct listener l = {.ops = ops, .ctx = ctx};
	char buf[NL_BUF_SIZE * 4];
	bool lost = false;

	for (int i = 0; i < 64; i++) {
		const ssize_t n = mnl_socket_recvfrom(nl->events, buf, sizeof(buf));

		if (n < 0 && errno == ENOBUFS) {
			lost = true;
			continue;
		}
		if (n <= 0)
			break;
		(void)mnl_cb_run(buf, (size_t)n, 0, 0, notice_cb, &l);
	}
	if (lost) {
		(void)dp_netlink_dump_neighs(nl, ops, ctx);
		l.routes = true;
	}
	if (l.routes)
		ops->routes(ctx);
}
