/* SPDX-License-Identifier: Apache-2.0 */
/* traffic: see traffic.h. */
#include "bench/traffic.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bench/hosts.h"
#include "dataplane/aeads.h"

static uint32_t draw(struct traffic *t, uint32_t below)
{
	t->random ^= t->random << 13;
	t->random ^= t->random >> 7;
	t->random ^= t->random << 17;
	return (uint32_t)((t->random >> 32) * below >> 32);
}

static void random_fill(void *arg, uint8_t *out, size_t size)
{
	for (size_t i = 0; i < size; i++)
		out[i] = (uint8_t)draw(arg, 256);
}

/* Slot of the SA by which `worker` sends; the inbound half has the same. */
static uint32_t slot_of(const struct traffic *t, uint32_t sa, unsigned worker)
{
	return t->o.per_worker ? sa + worker : sa;
}

static bool install_one(struct traffic *t, uint32_t slot, uint32_t tunnel, uint32_t resource,
			char *error)
{
	const enum dp_status rc = tunnels_add_sa(&t->w->dp, &t->o.form, slot, tunnel, resource);

	t->peer_out[slot] = tunnels_peer_out(&t->peer_thread, &t->o.form, slot, tunnel);
	if (rc == DP_OK && t->peer_out[slot])
		return true;
	snprintf(error, WORLD_ERROR, "SA %u was refused with status %d", slot, (int)rc);
	return false;
}

static bool install_sas(struct traffic *t, char *error)
{
	struct dp *dp = &t->w->dp;

	for (uint32_t i = 0; i < t->o.n_sas; i++) {
		if (t->o.per_worker) {
			for (unsigned k = 0; k < dp->n_workers; k++) {
				if (!install_one(t, slot_of(t, i, k), i, k + 1, error))
					return false;
			}
		} else if (!install_one(t, i, i, 0, error)) {
			return false;
		}
		if (tunnels_add(dp, &t->o.form, i) != DP_OK) {
			snprintf(error, WORLD_ERROR, "tunnel %u was refused", i);
			return false;
		}
		dp_grace_run(&dp->grace);
	}
	return true;
}

static bool install_routes(struct traffic *t, char *error)
{
	for (uint32_t p = 0; p < t->o.n_prefixes; p++) {
		const struct ip_prefix prefix = hosts_far_prefix(tunnels_inner(&t->o.form), p);
		struct dp_route r = {
			.group = p % t->o.n_sas,
			.prefix = {.family = prefix.addr.family},
			.len = prefix.len,
		};
		enum dp_status rc;

		memcpy(r.prefix.b, prefix.addr.b, sizeof(r.prefix.b));
		rc = dp_route_set(&t->w->dp, &r);
		if (rc != DP_OK) {
			snprintf(error, WORLD_ERROR, "prefix %u was refused with status %d", p,
				 (int)rc);
			return false;
		}
	}
	return true;
}

bool traffic_init(struct traffic *t, struct world *w, const struct traffic_opts *o,
		  char error[WORLD_ERROR])
{
	*t = (struct traffic){.w = w, .o = *o, .random = 88172645463325252u, .train = 1};
	t->peer_thread = (struct esp_thread){.random = random_fill, .random_arg = t};
	t->check_thread = (struct esp_thread){.random = random_fill, .random_arg = t};
	random_fill(t, t->inner.pattern, sizeof(t->inner.pattern));
	t->peer_out = calloc(w->dp.sas.max, sizeof(struct esp_out *));
	if (!t->peer_out || !dp_aeads_init(&t->peer_thread, &w->dp.esp) ||
	    !dp_aeads_pick(&t->check_thread, "openssl")) {
		snprintf(error, WORLD_ERROR, "no memory for the peers");
		return false;
	}
	return install_sas(t, error) && install_routes(t, error);
}

void traffic_set_train(struct traffic *t, uint32_t n)
{
	t->train = n;
	t->left = 0;
}

const char *traffic_backend(const struct traffic *t)
{
	const struct esp_aead *a = t->w->dp.esp.aead;

	while (a->backend && !a->backend->supports(&t->o.form.suite))
		a++;
	return a->backend ? a->backend->name : "none";
}

uint32_t traffic_size(uint32_t size, unsigned i)
{
	if (size != TRAFFIC_IMIX)
		return size;
	/* Of the twelve kinds one after the other, large ones apart. */
	return i % 12 == 11 ? 1518 : i % 3 == 1 ? 594 : 64;
}

double traffic_mean(uint32_t size)
{
	double sum = 0;

	for (unsigned i = 0; i < 12; i++)
		sum += traffic_size(size, i);
	return sum / 12;
}

/* Which prefix and host the next packet belongs to. */
static uint32_t draw_prefix(struct traffic *t, unsigned queue)
{
	const unsigned n = t->w->dp.n_workers;
	uint32_t p;

	if (t->in_turn)
		return t->turn++ % t->o.n_sas;
	if (t->left && queue == t->queue) {
		t->left--;
		return t->prefix;
	}
	p = draw(t, t->o.n_prefixes);
	if (t->o.aligned && t->o.n_sas > 1) {
		/* Owner of prefix p is p mod n_sas mod n. */
		while (p % t->o.n_sas % n != queue)
			p = draw(t, t->o.n_prefixes);
	}
	t->prefix = p;
	t->queue = queue;
	t->left = t->train - 1;
	return p;
}

static void put_ethernet(const struct traffic *t, uint8_t *at, unsigned port, enum ip_family f)
{
	static const uint8_t src[] = {0x02, 0, 0, 0, 9, 9};

	memcpy(at, t->w->dp.ports[port].mac.addr_bytes, 6);
	memcpy(at + 6, src, 6);
	dp_put16(at + 12, f == IP_V6 ? RTE_ETHER_TYPE_IPV6 : RTE_ETHER_TYPE_IPV4);
}

bool traffic_plain(struct traffic *t, struct rte_mbuf **m, unsigned n, uint32_t size,
		   unsigned queue)
{
	const enum ip_family f = tunnels_inner(&t->o.form);

	if (rte_pktmbuf_alloc_bulk(t->w->dp.pool, m, n) != 0)
		return false;
	for (unsigned i = 0; i < n; i++) {
		const uint32_t inner = traffic_size(size, i);
		const struct ip_addr src = hosts_lan(f, i % HOSTS_ON_LAN),
				     dst = hosts_far(f, draw_prefix(t, queue));
		uint8_t *at = (uint8_t *)rte_pktmbuf_append(m[i], (uint16_t)(DP_ETH_SIZE + inner));

		put_ethernet(t, at, WORLD_LAN, f);
		inner_build(&t->inner, at + DP_ETH_SIZE, inner, &src, &dst);
	}
	return true;
}

bool traffic_scatter(struct traffic *t, struct rte_mbuf **m, unsigned n)
{
	const uint32_t step = t->o.pieces;

	for (unsigned i = 0; i < n && step; i++) {
		const uint32_t size = m[i]->pkt_len;

		for (uint32_t at = step; at < size; at += step) {
			const uint32_t piece = RTE_MIN(step, size - at);
			struct rte_mbuf *more = rte_pktmbuf_alloc(t->w->dp.pool);

			if (!more)
				return false;
			memcpy(rte_pktmbuf_append(more, (uint16_t)piece), dp_data(m[i]) + at,
			       piece);
			if (at == step) {
				m[i]->data_len = (uint16_t)step;
				m[i]->pkt_len = step;
			}
			if (rte_pktmbuf_chain(m[i], more) != 0)
				return false;
		}
	}
	return true;
}

/* What the peer of `sa` sends, in place of the inner packet that stands there. */
static bool encapsulate(struct traffic *t, struct rte_mbuf *m, uint32_t slot)
{
	struct esp_pkt p = {
		.data = dp_data(m),
		.size = m->pkt_len,
		.headroom = rte_pktmbuf_headroom(m),
		.tailroom = rte_pktmbuf_tailroom(m),
		.from_self = true,
	};

	if (esp_encap(&t->peer_thread, t->peer_out[slot], &p, 1) != 1)
		return false;
	m->data_off = (uint16_t)(p.data - (uint8_t *)m->buf_addr);
	m->pkt_len = p.size;
	m->data_len = (uint16_t)p.size;
	put_ethernet(t, (uint8_t *)rte_pktmbuf_prepend(m, DP_ETH_SIZE), WORLD_WAN,
		     tunnels_outer(&t->o.form));
	return true;
}

bool traffic_esp(struct traffic *t, struct rte_mbuf **m, unsigned n, uint32_t size, unsigned queue)
{
	const enum ip_family f = tunnels_inner(&t->o.form);

	if (rte_pktmbuf_alloc_bulk(t->w->dp.pool, m, n) != 0)
		return false;
	for (unsigned i = 0; i < n; i++) {
		const uint32_t inner = traffic_size(size, i), prefix = draw_prefix(t, queue);
		const uint32_t host = i % HOSTS_ON_LAN;
		const struct ip_addr src = hosts_far(f, prefix),
				     dst = t->o.form.translate ? hosts_lan_alias_host(f, host)
							       : hosts_lan(f, host);
		uint8_t *at = (uint8_t *)rte_pktmbuf_append(m[i], (uint16_t)inner);

		inner_build(&t->inner, at, inner, &src, &dst);
		if (!encapsulate(t, m[i], slot_of(t, prefix % t->o.n_sas, queue)))
			return false;
	}
	return true;
}

bool traffic_check_plain(struct traffic *t, struct rte_mbuf *m, char error[WORLD_ERROR])
{
	const enum ip_family f = tunnels_inner(&t->o.form);
	const struct ip_prefix far = hosts_all_far(f), lan = hosts_on_lan(f, false);
	const uint32_t size = m->pkt_len - DP_ETH_SIZE;

	if (inner_same(&t->inner, dp_data(m) + DP_ETH_SIZE, size, &far, &lan))
		return true;
	snprintf(error, WORLD_ERROR, "a packet of %u bytes for the LAN is not as it was", size);
	return false;
}

bool traffic_check_esp(struct traffic *t, struct rte_mbuf *m, char error[WORLD_ERROR])
{
	const struct ip_prefix lan = tunnels_lan(&t->o.form),
			       far = hosts_all_far(tunnels_inner(&t->o.form));
	uint8_t copy[WORLD_MTU + DP_ETH_SIZE];
	struct esp_pkt p = {
		.data = copy, .size = m->pkt_len - DP_ETH_SIZE, .tailroom = DP_ETH_SIZE};
	struct esp_in *in;
	uint32_t spi, slot;
	bool ok;

	memcpy(copy, dp_data(m) + DP_ETH_SIZE, p.size);
	if (!esp_peek_spi(copy, p.size, &spi) || !tunnels_slot_of(spi, &slot)) {
		snprintf(error, WORLD_ERROR, "a frame left that is no ESP of ours");
		return false;
	}
	in = tunnels_peer_in(&t->check_thread, &t->o.form, slot, t->o.per_worker ? 0 : slot);
	ok = in && esp_decap(&t->check_thread, in, &p, 1) == 1;
	if (!ok) {
		snprintf(error, WORLD_ERROR, "the peer drops a packet: %s", esp_drop_name(p.drop));
	} else if (!inner_same(&t->inner, p.data, p.size, &lan, &far)) {
		snprintf(error, WORLD_ERROR, "a packet of %u bytes in ESP is not as it was",
			 p.size);
		ok = false;
	}
	esp_in_free(in);
	return ok;
}
