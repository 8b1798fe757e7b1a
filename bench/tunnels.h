/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tunnels: the SAs of a benchmark, both of their ends: what the manager's handlers are told, and the peer's halves, which
 * have the same keys. An SA's slot makes its keys and both SPIs.
 */
#ifndef BENCH_TUNNELS_H
#define BENCH_TUNNELS_H

#include <stdbool.h>
#include <stdint.h>
#include "dataplane/dp.h"
#include "esp/esp.h"

/* What all tunnels of a benchmark are like. */
struct tunnels_form {
	struct esp_suite suite;
	bool inner_v6, outer_v6;
	bool udp;       /* RFC 3948 */
	bool translate; /* hosts of the LAN have other addresses inside (hosts_lan_alias()) */
};

static inline enum ip_family tunnels_inner(const struct tunnels_form *f)
{
	return f->inner_v6 ? IP_V6 : IP_V4;
}
static inline enum ip_family tunnels_outer(const struct tunnels_form *f)
{
	return f->outer_v6 ? IP_V6 : IP_V4;
}
/* The LAN as the peer knows it. */
struct ip_prefix tunnels_lan(const struct tunnels_form *f);

/* Installs both halves of an SA, and makes its tunnel (resource 0) or one worker's part of it send by them. */
enum dp_status tunnels_add_sa(struct dp *dp, const struct tunnels_form *f, uint32_t slot,
			      uint32_t tunnel, uint32_t resource);
/* The tunnel's own properties, and group `tunnel` that consists of it. */
enum dp_status tunnels_add(struct dp *dp, const struct tunnels_form *f, uint32_t tunnel);

/* The peer's halves, by themselves; NULL: unsupported, no memory. */
struct esp_out *tunnels_peer_out(struct esp_thread *thread, const struct tunnels_form *f,
				 uint32_t slot, uint32_t tunnel);
struct esp_in *tunnels_peer_in(struct esp_thread *thread, const struct tunnels_form *f,
			       uint32_t slot, uint32_t tunnel);

/* The slot of the SA by which such a packet of ours was sent; false: by none. */
bool tunnels_slot_of(uint32_t spi, uint32_t *slot);

#endif
