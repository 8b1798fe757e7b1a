/* SPDX-License-Identifier: Apache-2.0 */
/* tunnels: see tunnels.h. */
#include "bench/tunnels.h"

#include <stdio.h>
#include <string.h>
#include "bench/hosts.h"

#define IN_SPI_BASE  (0x123u << DP_SLOT_BITS)
#define OUT_SPI_BASE (0x456u << DP_SLOT_BITS)
#define WINDOW       1024
#define PORT_NATT    4500

/* The keys of an SA: `in` is what its inbound half takes. */
static void make_keys(uint32_t slot, bool in, uint8_t encr[ESP_ENCR_KEY_MAX], uint8_t integ[64])
{
	for (unsigned i = 0; i < ESP_ENCR_KEY_MAX; i++)
		encr[i] = (uint8_t)(i * 7 + in + (slot >> (i % 4 * 8)));
	for (unsigned i = 0; i < 64; i++)
		integ[i] = (uint8_t)(i * 11 + in + (slot >> (i % 4 * 8)));
}

struct ip_prefix tunnels_lan(const struct tunnels_form *f)
{
	return f->translate ? hosts_lan_alias(tunnels_inner(f))
			    : hosts_on_lan(tunnels_inner(f), false);
}

/* The selectors, as the gateway sees them, and as the peer does. */
static struct esp_ts selectors(const struct tunnels_form *f, bool peer)
{
	const struct ip_prefix lan = tunnels_lan(f), far = hosts_all_far(tunnels_inner(f));
	struct esp_ts ts = {.local_port_last = UINT16_MAX, .remote_port_last = UINT16_MAX};

	ip_prefix_range(peer ? &far : &lan, &ts.local_first, &ts.local_last);
	ip_prefix_range(peer ? &lan : &far, &ts.remote_first, &ts.remote_last);
	return ts;
}

static struct dp_addr to_wire(struct ip_addr a)
{
	struct dp_addr w = {.family = a.family};

	memcpy(w.b, a.b, sizeof(w.b));
	return w;
}

static void fill_sa(const struct tunnels_form *f, struct dp_sa *m, uint32_t slot, uint32_t tunnel,
		    bool in)
{
	const struct esp_suite *s = &f->suite;
	const struct esp_ts ts = selectors(f, false);
	const uint16_t port = f->udp ? PORT_NATT : 0;

	*m = (struct dp_sa){
		.slot = slot,
		.spi = (in ? IN_SPI_BASE : OUT_SPI_BASE) | slot,
		.tunnel = tunnel,
		.flags = DP_SA_ESN | (f->udp ? DP_SA_UDP_ENCAP : 0),
		.encr = s->encr,
		.encr_key_bits = s->encr_key_bits,
		.integ = s->integ,
		.replay_window = in ? WINDOW : 0,
		.n_ts = 1,
		.local = {.addr = to_wire(hosts_on_wan(tunnels_outer(f)).addr), .port = port},
		.remote = {.addr = to_wire(hosts_peer(tunnels_outer(f), tunnel)), .port = port},
		.first_seq = 1,
		.ts = {{.local_first = to_wire(ts.local_first),
			.local_last = to_wire(ts.local_last),
			.remote_first = to_wire(ts.remote_first),
			.remote_last = to_wire(ts.remote_last),
			.local_port_last = ts.local_port_last,
			.remote_port_last = ts.remote_port_last}},
	};
	make_keys(slot, in, m->encr_key, m->integ_key);
}

enum dp_status tunnels_add_sa(struct dp *dp, const struct tunnels_form *f, uint32_t slot,
			      uint32_t tunnel, uint32_t resource)
{
	static struct dp_sa m;
	const struct dp_sa_ref ref = {.slot = slot, .tunnel = tunnel, .resource = resource};
	enum dp_status rc;

	fill_sa(f, &m, slot, tunnel, true);
	m.resource = resource;
	rc = dp_sa_add_in(dp, &m);
	fill_sa(f, &m, slot, tunnel, false);
	if (rc == DP_OK)
		rc = dp_sa_add_out(dp, &m);
	return rc == DP_OK ? dp_sa_switch(dp, &ref) : rc;
}

/* Hosts of the LAN by their other names. */
static enum dp_status translate(struct dp *dp, const struct tunnels_form *f, uint32_t tunnel)
{
	const struct ip_prefix here = hosts_on_lan(tunnels_inner(f), false);
	struct dp_tunnel m = {
		.tunnel = tunnel,
		.n_translate = 1,
		.translate = {{.here = to_wire(here.addr),
			       .there = to_wire(hosts_lan_alias(tunnels_inner(f)).addr),
			       .len = here.len,
			       .ours = 1}},
	};

	snprintf(m.name, sizeof(m.name), "bench-%u", tunnel);
	return dp_tunnel_set(dp, &m);
}

enum dp_status tunnels_add(struct dp *dp, const struct tunnels_form *f, uint32_t tunnel)
{
	const struct dp_group g = {.group = tunnel, .n_tunnels = 1, .tunnels = {tunnel}};
	const enum dp_status rc = f->translate ? translate(dp, f, tunnel) : DP_OK;

	return rc == DP_OK ? dp_group_set(dp, &g) : rc;
}

/* An SA from the peer's side. The keys are in the caller's hands. */
static struct esp_sa_cfg peer_cfg(const struct tunnels_form *f, uint32_t slot, uint32_t tunnel,
				  bool peer_sends, uint8_t encr[ESP_ENCR_KEY_MAX],
				  uint8_t integ[64])
{
	const uint16_t port = f->udp ? PORT_NATT : 0;

	make_keys(slot, peer_sends, encr, integ);
	return (struct esp_sa_cfg){
		.spi = (peer_sends ? IN_SPI_BASE : OUT_SPI_BASE) | slot,
		.suite = f->suite,
		.esn = true,
		.udp_encap = f->udp,
		.replay_window = WINDOW,
		.local = {.addr = hosts_peer(tunnels_outer(f), tunnel), .port = port},
		.remote = {.addr = hosts_on_wan(tunnels_outer(f)).addr, .port = port},
		.first_seq = 1,
		.n_ts = 1,
		.ts = {selectors(f, true)},
		.encr_key = encr,
		.integ_key = integ,
	};
}

struct esp_out *tunnels_peer_out(struct esp_thread *thread, const struct tunnels_form *f,
				 uint32_t slot, uint32_t tunnel)
{
	uint8_t encr[ESP_ENCR_KEY_MAX], integ[64];
	const struct esp_sa_cfg cfg = peer_cfg(f, slot, tunnel, true, encr, integ);

	return esp_out_new(thread, &cfg);
}

struct esp_in *tunnels_peer_in(struct esp_thread *thread, const struct tunnels_form *f,
			       uint32_t slot, uint32_t tunnel)
{
	uint8_t encr[ESP_ENCR_KEY_MAX], integ[64];
	const struct esp_sa_cfg cfg = peer_cfg(f, slot, tunnel, false, encr, integ);

	return esp_in_new(thread, &cfg);
}

bool tunnels_slot_of(uint32_t spi, uint32_t *slot)
{
	*slot = spi & DP_SLOT_MASK;
	return (spi & ~DP_SLOT_MASK) == OUT_SPI_BASE;
}
