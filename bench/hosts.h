/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hosts: who has which address in a benchmark's world (world.h), of IPv4 or IPv6.
 *
 *	LAN hosts - gateway - next hop - peers, one for each tunnel - far prefixes
 */
#ifndef BENCH_HOSTS_H
#define BENCH_HOSTS_H

#include <stdint.h>
#include "base/addr.h"

#define HOSTS_ON_LAN 16u

struct ip_prefix hosts_on_lan(enum ip_family f,
			      bool gateway);     /* the gateway's address, or the network */
struct ip_prefix hosts_on_wan(enum ip_family f); /* the gateway's address there */
struct ip_addr hosts_next_hop(enum ip_family f); /* on the WAN, to all peers */
struct ip_addr hosts_peer(enum ip_family f, uint32_t tunnel);

struct ip_addr hosts_lan(enum ip_family f, uint32_t i); /* i < HOSTS_ON_LAN */
/* What the LAN is called in tunnels that translate, and its host i there. */
struct ip_prefix hosts_lan_alias(enum ip_family f);
struct ip_addr hosts_lan_alias_host(enum ip_family f, uint32_t i);

/* Prefix p behind the tunnels, a host in it, and what they all lie in. */
struct ip_prefix hosts_far_prefix(enum ip_family f, uint32_t p);
struct ip_addr hosts_far(enum ip_family f, uint32_t p);
struct ip_prefix hosts_all_far(enum ip_family f);

#endif
