/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tunnel: tables of tunnels and groups. A tunnel is a number that SAs and groups name; it exists as
 * soon as it lies in range, and DP_TUNNEL_SET gives it a name and an inside interface.
 */
#ifndef DATAPLANE_TUNNEL_H
#define DATAPLANE_TUNNEL_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include "base/addr.h"
#include "dataplane/path_mtu.h"
#include "dataplane/tap.h"
#include "twinbore/dp_msg.h"

struct dp;
struct dp_out;
struct netmap;

/* What workers read of a tunnel. */
struct dp_tunnel_hot {
	struct dp_out *current; /* atomic; the common SA, of its owner; NULL: none */
	uint32_t mtu;           /* atomic; configured inside MTU, 0: as the SA allows */
	uint32_t clamp;         /* atomic; MTU that TCP on both ways is held to, 0: none known */
	uint32_t table;         /* atomic; that its packets are looked up in, or DP_TABLE_NONE */
	uint32_t has_tun;       /* atomic */
	struct netmap *netmap;  /* atomic; replaced as a whole; NULL: nothing is translated */
};
static_assert(sizeof(struct dp_tunnel_hot) == 32, "two entries in a cache line");

/* A tunnel's place in a group. */
struct dp_group_link {
	LIST_ENTRY(dp_group_link) of_tunnel;
	uint32_t place; /* the group's */
};

/* What only the manager knows. */
struct dp_tunnel_info {
	LIST_HEAD(, dp_group_link) groups; /* that it is in */
	bool set;
	uint8_t epoch;         /* of who has set it last */
	struct dp_out *owners; /* the SA that the tunnel's owner has as a resource of its own */
	struct dp_tunnel msg;  /* as it was set last */
	struct dp_tap tun;
	uint32_t tun_mtu; /* of the interface now */
	struct dp_path_mtu path_mtu;
};

struct dp_group_hot {
	uint16_t n;
	uint16_t n_ecmp; /* the first so many share the traffic; 0: no sharing */
	uint32_t tunnels[DP_GROUP_MAX];
	struct dp_group_link links[DP_GROUP_MAX]; /* the manager's */
};

/* Of a tunnel that is not set: nothing is known of what comes out of it. */
#define DP_TABLE_NONE UINT16_MAX

struct dp_tunnels {
	uint32_t max;
	uint32_t
		n_apart; /* atomic; that have a table, not 0: while there is none, all is looked up in 0 */
	uint32_t n_translated; /* atomic; that have rules (translate.h): none, most often */
	struct dp_tunnel_hot *hot;
	struct dp_tunnel_info *info;
	uint32_t max_groups; /* of each epoch */
	uint8_t epoch;       /* 0 or 1: of who owns the fib ring; the other's is what was before */
	struct dp_group_hot **groups; /* atomic pointers; epoch 1 behind epoch 0 */
	bool *by_linux;               /* likewise: their routes are not written to Linux's tables */
	uint32_t n_groups;
};

/* NULL: no such group. */
static inline const struct dp_group_hot *dp_group_of(const struct dp_tunnels *t, uint32_t group)
{
	return __atomic_load_n(&t->groups[group], __ATOMIC_ACQUIRE);
}

#define DP_TUN_MTU_DEFAULT 1400u
#define DP_TUN_MTU_MIN     576u
#define DP_TUN_MTU_MAX     9000u

bool dp_tunnels_init(struct dp_tunnels *t, uint32_t max_tunnels);
void dp_tunnels_fini(struct dp_tunnels *t);

enum dp_status dp_tunnel_set(struct dp *dp, const struct dp_tunnel *m);
enum dp_status dp_tunnel_del(struct dp *dp, const struct dp_tunnel *m);
enum dp_status dp_group_set(struct dp *dp, const struct dp_group *m);
enum dp_status dp_group_del(struct dp *dp, const struct dp_group *m);
enum dp_status dp_route_set(struct dp *dp, const struct dp_route *m);
enum dp_status dp_route_del(struct dp *dp, const struct dp_route *m);
/* A batch of routes and how far it is carried out. Its acknowledgement has the status and the bits of
 * refused entries so far; DP_ERR_MALFORMED: nothing was changed. */
struct dp_routes_work {
	uint32_t at;
	struct dp_ack ack;
};
/* Goes on with a batch, by one entry at least, until the TSC has reached `until`. True when it is done. */
bool dp_routes(struct dp *dp, const struct dp_routes *m, struct dp_routes_work *w, uint64_t until);
/* Another process owns the fib ring from now on. */
void dp_fib_owner_new(struct dp *dp);
/* What is of the other epoch goes. */
enum dp_status dp_sweep(struct dp *dp);

/* Gives the TUN the MTU that the SAs in use allow. */
void dp_tunnel_mtu_update(struct dp *dp, uint32_t tunnel);

/* Checks and converts an address of a message; `any` allows family 0. */
bool dp_addr_parse(const struct dp_addr *a, bool any, struct ip_addr *out);

#endif
