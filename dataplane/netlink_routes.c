/* SPDX-License-Identifier: Apache-2.0 */
/* netlink_routes: see netlink_routes.h. */
#include "dataplane/netlink_routes.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include "dataplane/netlink.h"

#define BUF_SIZE   16384
#define BATCH_ROOM (DP_NLR_BATCH * 128) /* for answers */

bool dp_nlr_open(struct dp_nlr *r)
{
	const int one = 1, room = BATCH_ROOM * 16;

	r->sock = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!r->sock)
		return false;
	if (mnl_socket_bind(r->sock, 0, MNL_SOCKET_AUTOPID) != 0) {
		dp_nlr_close(r);
		return false;
	}
	/* Errors without what they are about: it is found by its number. */
	(void)mnl_socket_setsockopt(r->sock, NETLINK_CAP_ACK, (void *)(uintptr_t)&one, sizeof(one));
	(void)setsockopt(mnl_socket_get_fd(r->sock), SOL_SOCKET, SO_RCVBUFFORCE, &room,
			 sizeof(room));
	r->n = 0;
	r->size = 0;
	return true;
}

void dp_nlr_close(struct dp_nlr *r)
{
	if (r->sock)
		mnl_socket_close(r->sock);
	r->sock = NULL;
}

static int family_of(enum ip_family f)
{
	return f == IP_V6 ? AF_INET6 : AF_INET;
}

static bool exchange(struct dp_nlr *r, struct nlmsghdr *h, mnl_cb_t cb, void *ctx)
{
	return dp_netlink_exchange(r->sock, &r->first_seq, h, cb, ctx);
}

/* ---------------------------------------------------------------- next hops */

static struct nlmsghdr *hop(char *buf, uint16_t type, uint16_t flags, uint32_t id, int family,
			    uint8_t protocol)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct nhmsg *nhm;

	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | flags;
	nhm = mnl_nlmsg_put_extra_header(h, sizeof(*nhm));
	nhm->nh_family = (uint8_t)family;
	nhm->nh_protocol = protocol;
	if (id)
		mnl_attr_put_u32(h, NHA_ID, id);
	return h;
}

static struct nlmsghdr *hop_set(struct dp_nlr *r, char *buf, uint32_t id, int family)
{
	return hop(buf, RTM_NEWNEXTHOP, NLM_F_CREATE | NLM_F_REPLACE | NLM_F_ACK, id, family,
		   r->protocol);
}

bool dp_nlr_hop_dev(struct dp_nlr *r, uint32_t id, enum ip_family family, int ifindex)
{
	char buf[BUF_SIZE];
	struct nlmsghdr *h = hop_set(r, buf, id, family_of(family));

	mnl_attr_put_u32(h, NHA_OIF, (uint32_t)ifindex);
	return exchange(r, h, NULL, NULL);
}

bool dp_nlr_hop_blackhole(struct dp_nlr *r, uint32_t id, enum ip_family family)
{
	char buf[BUF_SIZE];
	struct nlmsghdr *h = hop_set(r, buf, id, family_of(family));

	mnl_attr_put(h, NHA_BLACKHOLE, 0, NULL);
	return exchange(r, h, NULL, NULL);
}

bool dp_nlr_hop_group(struct dp_nlr *r, uint32_t id, const uint32_t *members, size_t n)
{
	struct nexthop_grp grp[DP_NLR_GROUP_MAX] = {{0}};
	char buf[BUF_SIZE];
	struct nlmsghdr *h = hop_set(r, buf, id, AF_UNSPEC);

	for (size_t i = 0; i < n && i < DP_NLR_GROUP_MAX; i++)
		grp[i].id = members[i];
	mnl_attr_put(h, NHA_GROUP, n * sizeof(grp[0]), grp);
	return exchange(r, h, NULL, NULL);
}

bool dp_nlr_hop_del(struct dp_nlr *r, uint32_t id)
{
	char buf[BUF_SIZE];

	return exchange(r, hop(buf, RTM_DELNEXTHOP, NLM_F_ACK, id, AF_UNSPEC, 0), NULL, NULL);
}

struct found {
	uint32_t ids[512];
	size_t n, all;
};

static int hop_cb(const struct nlmsghdr *h, void *ctx)
{
	struct found *f = ctx;
	const struct nlattr *attr;

	if (h->nlmsg_type != RTM_NEWNEXTHOP || mnl_nlmsg_get_payload_len(h) < sizeof(struct nhmsg))
		return MNL_CB_OK;
	mnl_attr_for_each (attr, h, sizeof(struct nhmsg)) {
		uint32_t id;

		if (mnl_attr_get_type(attr) != NHA_ID || mnl_attr_get_payload_len(attr) != 4)
			continue;
		id = mnl_attr_get_u32(attr);
		if (id < DP_NLR_FIRST || id > DP_NLR_LAST)
			continue;
		if (f->n < sizeof(f->ids) / sizeof(f->ids[0]))
			f->ids[f->n++] = id;
		f->all++;
	}
	return MNL_CB_OK;
}

static bool find(struct dp_nlr *r, struct found *f)
{
	char buf[BUF_SIZE];

	f->n = f->all = 0;
	return exchange(r, hop(buf, RTM_GETNEXTHOP, NLM_F_DUMP, 0, AF_UNSPEC, 0), hop_cb, f);
}

bool dp_nlr_hops_count(struct dp_nlr *r, size_t *n)
{
	struct found f;
	const bool ok = find(r, &f);

	*n = f.all;
	return ok;
}

bool dp_nlr_hops_sweep(struct dp_nlr *r)
{
	struct found f;

	for (;;) {
		bool some = false;

		if (!find(r, &f))
			return false;
		if (f.n == 0)
			return true;
		/* A group goes with its last member: that it is gone already is fine. */
		for (size_t i = 0; i < f.n; i++)
			some = dp_nlr_hop_del(r, f.ids[i]) || some;
		if (!some)
			return false;
	}
}

/* ------------------------------------------------------------------- routes */

void dp_nlr_route(struct dp_nlr *r, enum dp_nlr_op op, uint32_t table, const struct ip_prefix *p,
		  uint32_t hop_id, uint32_t cookie)
{
	static const uint16_t flags[] = {
		[DP_NLR_ADD] = NLM_F_CREATE | NLM_F_EXCL,
		[DP_NLR_REPLACE] = NLM_F_CREATE | NLM_F_REPLACE,
		[DP_NLR_DELETE] = 0,
	};
	struct nlmsghdr *h = mnl_nlmsg_put_header(r->buf + r->size);
	struct rtmsg *rtm;

	h->nlmsg_type = op == DP_NLR_DELETE ? RTM_DELROUTE : RTM_NEWROUTE;
	h->nlmsg_flags = NLM_F_REQUEST | flags[op];
	h->nlmsg_seq = r->first_seq + 1 + r->n;
	rtm = mnl_nlmsg_put_extra_header(h, sizeof(*rtm));
	rtm->rtm_family = (uint8_t)family_of(p->addr.family);
	rtm->rtm_dst_len = p->len;
	rtm->rtm_protocol = r->protocol;
	rtm->rtm_scope = op == DP_NLR_DELETE ? RT_SCOPE_NOWHERE : RT_SCOPE_UNIVERSE;
	rtm->rtm_type = op == DP_NLR_DELETE ? RTN_UNSPEC : RTN_UNICAST;
	mnl_attr_put(h, RTA_DST, ip_size(&p->addr), p->addr.b);
	mnl_attr_put_u32(h, RTA_TABLE, table);
	mnl_attr_put_u32(h, RTA_PRIORITY, r->metric);
	if (op != DP_NLR_DELETE)
		mnl_attr_put_u32(h, RTA_NH_ID, hop_id);
	r->size += h->nlmsg_len;
	r->cookies[r->n++] = cookie;
}

/* Linux has carried all of it out when send() returns; what is there to be read are the errors. */
void dp_nlr_flush(struct dp_nlr *r, void (*failed)(void *ctx, uint32_t cookie, int error),
		  void *ctx)
{
	char buf[BUF_SIZE];
	ssize_t got;

	if (r->n == 0)
		return;
	if (mnl_socket_sendto(r->sock, r->buf, r->size) < 0) {
		for (uint32_t i = 0; i < r->n; i++)
			failed(ctx, r->cookies[i], errno);
		r->n = 0;
		r->size = 0;
		return;
	}
	while ((got = recv(mnl_socket_get_fd(r->sock), buf, sizeof(buf), MSG_DONTWAIT)) > 0) {
		const struct nlmsghdr *h = (const void *)buf;
		int left = (int)got;

		for (; mnl_nlmsg_ok(h, left); h = mnl_nlmsg_next(h, &left)) {
			const struct nlmsgerr *e = mnl_nlmsg_get_payload(h);
			const uint32_t i = h->nlmsg_seq - r->first_seq - 1;

			if (h->nlmsg_type == NLMSG_ERROR && e->error && i < r->n)
				failed(ctx, r->cookies[i], -e->error);
		}
	}
	r->first_seq += r->n;
	r->n = 0;
	r->size = 0;
}
