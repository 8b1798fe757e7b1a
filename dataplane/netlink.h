/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netlink: what the dataplane tells and asks the kernel's network configuration: links, addresses,
 * default routes, neighbours, and the route to a peer; and what it hears of changes.
 */
#ifndef DATAPLANE_NETLINK_H
#define DATAPLANE_NETLINK_H

#include <stdbool.h>
#include <stdint.h>
#include <libmnl/libmnl.h>
#include "base/addr.h"

/* What a change means, to be acted upon by the manager. */
struct dp_netlink_ops {
	/* mac NULL: gone or not resolved */
	void (*neigh)(void *ctx, int ifindex, const struct ip_addr *a, const uint8_t *mac,
		      bool stale);
	void (*routes)(void *ctx); /* routes, addresses or links changed somehow */
};

struct dp_netlink {
	struct mnl_socket *requests;
	struct mnl_socket *events;
	uint32_t seq;
};

/* Sends a request, numbered by `seq`, and gives every answer to `cb`, or NULL, until the end of the
 * exchange. False with errno. */
bool dp_netlink_exchange(struct mnl_socket *sock, uint32_t *seq, struct nlmsghdr *h, mnl_cb_t cb,
			 void *ctx);

bool dp_netlink_init(struct dp_netlink *nl);
void dp_netlink_fini(struct dp_netlink *nl);
int dp_netlink_fd(const struct dp_netlink *nl);

/* Says nothing more of routes with this rtm_protocol, which are ours. */
void dp_netlink_ignore(struct dp_netlink *nl, uint8_t protocol);

/* False with errno. */
bool dp_link_up(struct dp_netlink *nl, int ifindex, uint32_t mtu, const uint8_t *mac);
bool dp_link_mtu(struct dp_netlink *nl, int ifindex, uint32_t mtu);
/* True if the interface is up and has a carrier. */
bool dp_link_running(const struct dp_netlink *nl, const char *ifname);
bool dp_addr_add(struct dp_netlink *nl, int ifindex, const struct ip_prefix *p);
bool dp_addr_del(struct dp_netlink *nl, int ifindex, const struct ip_prefix *p);
bool dp_default_route(struct dp_netlink *nl, int ifindex, const struct ip_addr *gateway);

/* Makes the kernel resolve or confirm a neighbour, as if it had a packet for it. */
bool dp_neigh_use(struct dp_netlink *nl, int ifindex, const struct ip_addr *a);

/* Where the kernel would send to: interface and next hop (the address itself when on-link). */
bool dp_route_get(struct dp_netlink *nl, const struct ip_addr *local, const struct ip_addr *remote,
		  int *ifindex, struct ip_addr *next_hop);

/* Reads all neighbours that the kernel knows. */
bool dp_netlink_dump_neighs(struct dp_netlink *nl, const struct dp_netlink_ops *ops, void *ctx);
/* Reads what waits; when the kernel dropped notices, reads everything anew. */
void dp_netlink_read(struct dp_netlink *nl, const struct dp_netlink_ops *ops, void *ctx);

#endif
