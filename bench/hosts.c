/* SPDX-License-Identifier: Apache-2.0 */
/* hosts: see hosts.h. */
#include "bench/hosts.h"

#define FAR_BASE    (16u << 24)              /* 16.0.0.0: one prefix in 256 addresses */
#define LONG_EVERY  16u                      /* one prefix of so many is longer than 24 bits */
#define REMOTE_BASE (100u << 24 | 64u << 16) /* 100.64.0.0/10 */

/* fd00:<net>::<host> */
static struct ip_addr v6(uint8_t net, uint32_t host)
{
	const uint8_t b[16] = {0xfd,
			       0,
			       0,
			       net,
			       [12] = (uint8_t)(host >> 24),
			       (uint8_t)(host >> 16),
			       (uint8_t)(host >> 8),
			       (uint8_t)host};

	return ip_from_bytes(IP_V6, b);
}

static struct ip_addr v4(uint32_t a)
{
	return ip_v4((uint8_t)(a >> 24), (uint8_t)(a >> 16), (uint8_t)(a >> 8), (uint8_t)a);
}

struct ip_prefix hosts_on_lan(enum ip_family f, bool gateway)
{
	if (f == IP_V6)
		return (struct ip_prefix){.addr = v6(1, gateway), .len = 64};
	return (struct ip_prefix){.addr = ip_v4(10, 0, 0, gateway), .len = 16};
}

struct ip_prefix hosts_on_wan(enum ip_family f)
{
	if (f == IP_V6)
		return (struct ip_prefix){.addr = v6(2, 1), .len = 64};
	return (struct ip_prefix){.addr = ip_v4(192, 0, 2, 1), .len = 24};
}

struct ip_addr hosts_next_hop(enum ip_family f)
{
	return f == IP_V6 ? v6(2, 254) : ip_v4(192, 0, 2, 254);
}

struct ip_addr hosts_peer(enum ip_family f, uint32_t tunnel)
{
	return f == IP_V6 ? v6(3, 1 + tunnel) : v4(REMOTE_BASE + 1 + tunnel);
}

struct ip_addr hosts_lan(enum ip_family f, uint32_t i)
{
	return f == IP_V6 ? v6(1, 256 + i) : ip_v4(10, 0, 1, (uint8_t)(1 + i));
}

struct ip_prefix hosts_lan_alias(enum ip_family f)
{
	if (f == IP_V6)
		return (struct ip_prefix){.addr = v6(4, 0), .len = 64};
	return (struct ip_prefix){.addr = ip_v4(10, 4, 0, 0), .len = 16};
}

struct ip_addr hosts_lan_alias_host(enum ip_family f, uint32_t i)
{
	return f == IP_V6 ? v6(4, 256 + i) : ip_v4(10, 4, 1, (uint8_t)(1 + i));
}

struct ip_prefix hosts_far_prefix(enum ip_family f, uint32_t p)
{
	/* As they are assigned: blocks of a provider, /32, with many /48 next to each other. */
	const uint8_t b[16] = {0x20,
			       0x01,
			       (uint8_t)(p >> 16),
			       (uint8_t)(p >> 12 << 4),
			       (uint8_t)(p >> 8 & 15),
			       (uint8_t)p};

	if (f == IP_V6)
		return (struct ip_prefix){.addr = ip_from_bytes(IP_V6, b), .len = 48};
	return (struct ip_prefix){.addr = v4(FAR_BASE + (p << 8)),
				  .len = p % LONG_EVERY == LONG_EVERY - 1 ? 28 : 24};
}

struct ip_addr hosts_far(enum ip_family f, uint32_t p)
{
	struct ip_addr a = hosts_far_prefix(f, p).addr;

	a.b[ip_size(&a) - 1] = 1;
	return a;
}

struct ip_prefix hosts_all_far(enum ip_family f)
{
	if (f == IP_V6)
		return (struct ip_prefix){.addr = {.family = IP_V6, .b = {0x20, 0x01}}, .len = 16};
	return (struct ip_prefix){.addr = {.family = IP_V4}, .len = 2};
}
