/* SPDX-License-Identifier: Apache-2.0 */
/* rig: see rig.h. */
#include "rig.h"

#include "base/secret.h"
#include "base/sum.h"
#include "dataplane/aeads.h"
#include "test_eal.h"

#define MAX_SAS     16u
#define MAX_TUNNELS 6u

struct rig_device rig_device;
struct dp rig;
static struct rte_mempool *pool;

/* --------------------------------------------------------------- the device */

int __wrap_rte_flow_validate(uint16_t port, const struct rte_flow_attr *attr,
			     const struct rte_flow_item items[],
			     const struct rte_flow_action actions[], struct rte_flow_error *error);
struct rte_flow *__wrap_rte_flow_create(uint16_t port, const struct rte_flow_attr *attr,
					const struct rte_flow_item items[],
					const struct rte_flow_action actions[],
					struct rte_flow_error *error);
int __wrap_rte_flow_destroy(uint16_t port, struct rte_flow *flow, struct rte_flow_error *error);
void *__wrap_rte_eth_dev_get_sec_ctx(uint16_t port);
bool __wrap_dp_route_get(struct dp_netlink *nl, const struct ip_addr *local,
			 const struct ip_addr *remote, int *ifindex, struct ip_addr *next_hop);

/* Understands ETH, one IP, perhaps UDP, ESP with its SPI; QUEUE, SECURITY or both. */
static bool parse(const struct rte_flow_attr *attr, const struct rte_flow_item *items,
		  const struct rte_flow_action *actions, struct rte_flow *out)
{
	const struct rte_flow_item_esp *esp, *mask;

	*out = (struct rte_flow){.used = true, .queue = -1};
	if (!attr->ingress || attr->egress || attr->transfer || attr->group ||
	    items++->type != RTE_FLOW_ITEM_TYPE_ETH)
		return false;
	if (items->type != RTE_FLOW_ITEM_TYPE_IPV4 && items->type != RTE_FLOW_ITEM_TYPE_IPV6)
		return false;
	out->v6 = items++->type == RTE_FLOW_ITEM_TYPE_IPV6;
	if (items->type == RTE_FLOW_ITEM_TYPE_UDP) {
		out->udp = true;
		items++;
	}
	esp = items->spec;
	mask = items->mask;
	if (items++->type != RTE_FLOW_ITEM_TYPE_ESP || !esp || !mask ||
	    mask->hdr.spi != UINT32_MAX || mask->hdr.seq || items->type != RTE_FLOW_ITEM_TYPE_END)
		return false;
	out->spi = rte_be_to_cpu_32(esp->hdr.spi);
	for (; actions->type != RTE_FLOW_ACTION_TYPE_END; actions++) {
		const struct rte_flow_action_queue *queue = actions->conf;
		const struct rte_flow_action_security *security = actions->conf;

		if (actions->type == RTE_FLOW_ACTION_TYPE_QUEUE)
			out->queue = queue->index;
		else if (actions->type == RTE_FLOW_ACTION_TYPE_SECURITY)
			out->session = security->security_session;
		else
			return false;
	}
	return rig_device.takes[out->v6][out->udp] && (out->queue >= 0 || out->session);
}

int __wrap_rte_flow_validate(uint16_t port, const struct rte_flow_attr *attr,
			     const struct rte_flow_item items[],
			     const struct rte_flow_action actions[], struct rte_flow_error *error)
{
	struct rte_flow f;

	assert_int_equal(port, RIG_ID);
	return parse(attr, items, actions, &f) ? 0 : -ENOTSUP;
}

struct rte_flow *__wrap_rte_flow_create(uint16_t port, const struct rte_flow_attr *attr,
					const struct rte_flow_item items[],
					const struct rte_flow_action actions[],
					struct rte_flow_error *error)
{
	struct rte_flow f, *slot = rig_device.rules;

	assert_int_equal(port, RIG_ID);
	assert_true(parse(attr, items, actions, &f));
	if (rig_device.n_rules == rig_device.room)
		return NULL;
	while (slot->used)
		slot++;
	*slot = f;
	rig_device.n_rules++;
	return slot;
}

int __wrap_rte_flow_destroy(uint16_t port, struct rte_flow *flow, struct rte_flow_error *error)
{
	assert_int_equal(port, RIG_ID);
	assert_true(flow->used);
	memset(flow, 0, sizeof(*flow));
	rig_device.n_rules--;
	return 0;
}

void *__wrap_rte_eth_dev_get_sec_ctx(uint16_t port)
{
	assert_int_equal(port, RIG_ID);
	return rig_device.security;
}

/* ------------------------------------------------------------------- Linux */

#define IFINDEX 77

bool __wrap_dp_route_get(struct dp_netlink *nl, const struct ip_addr *local,
			 const struct ip_addr *remote, int *ifindex, struct ip_addr *next_hop)
{
	*ifindex = IFINDEX;
	*next_hop = *remote;
	return true;
}

/* -------------------------------------------------------------- the tables */

static struct ip_addr address(const char *text)
{
	struct ip_addr a;

	assert_true(ip_parse(text, &a));
	return a;
}

static const char *const locals[2] = {"192.0.2.1", "2001:db8::1"};
static const char *const remotes[2] = {"192.0.2.2", "2001:db8::2"};

static bool make_stats(void)
{
	struct dp_stats *s = calloc(1, dp_stats_size(MAX_SAS, MAX_TUNNELS));

	rig.stats = s;
	if (!s)
		return false;
	s->sas_offset = (sizeof(*s) + 127) & ~(uint64_t)127;
	s->tunnels_offset = s->sas_offset + MAX_SAS * sizeof(struct dp_stats_sa);
	rig.mgr_stats = &s->workers[RIG_WORKERS];
	return true;
}

static void make_port(void)
{
	static struct ip_prefix addresses[2];
	static struct config_port cfg = {.name = "wan", .addresses = addresses, .n_addresses = 2};
	struct dp_port *p = &rig.ports[0];

	for (size_t i = 0; i < 2; i++)
		addresses[i] = (struct ip_prefix){.addr = address(locals[i]), .len = i ? 64 : 24};
	*p = (struct dp_port){
		.id = RIG_ID,
		.n_rxq = RIG_WORKERS,
		.n_txq = RIG_WORKERS,
		.mtu = 1500,
		.mac = {{2, 0, 0, 0, 0, 1}},
		.cfg = &cfg,
		.mirror = {.fd = -1, .ifindex = IFINDEX},
	};
	rig.n_ports = 1;
}

static void make_routes(void)
{
	static const uint8_t mac[6] = {2, 0, 0, 0, 0, 2};
	const struct ip_prefix inside = {.addr = address("10.2.0.9"), .len = 32};

	for (size_t i = 0; i < 2; i++) {
		const struct ip_addr a = address(remotes[i]);
		const struct ip_prefix own = {.addr = address(locals[i]), .len = i ? 128 : 32};

		dp_neigh_update(&rig, 0, &a, mac, false);
		assert_true(dp_fib_set(&rig.fib, 0, &own, DP_FIB_LOCAL, dp_nh(DP_NH_LOCAL, 0)));
	}
	/* What comes out of a tunnel is for ourselves. */
	assert_true(dp_fib_set(&rig.fib, 0, &inside, DP_FIB_LOCAL, dp_nh(DP_NH_LOCAL, 0)));
	for (uint32_t i = 0; i < MAX_TUNNELS; i++)
		rig.tunnels.hot[i].has_tun = 1;
}

static bool start(const char *backend, unsigned n_mbufs, unsigned n_linux)
{
	static struct dp_worker workers[RIG_WORKERS];

	if (!secret_init() || !test_eal_init_mb("-m288"))
		return false;
	rig.n_workers = RIG_WORKERS;
	dp_random_init(&rig.random);
	rig.esp = (struct esp_thread){.random = dp_random_fill, .random_arg = &rig.random};
	pool = rte_pktmbuf_pool_create("packets", n_mbufs, 0, RTE_ALIGN(sizeof(struct dp_meta), 8),
				       2048 + RTE_PKTMBUF_HEADROOM, SOCKET_ID_ANY);
	rig.pool = pool;
	rig.sa_events = rte_ring_create("events", 64, SOCKET_ID_ANY, RING_F_SC_DEQ);
	rig.to_manager = rte_ring_create("linux", n_linux, SOCKET_ID_ANY, RING_F_SC_DEQ);
	rig.wake_fd = -1;
	if (!pool || !rig.sa_events || !rig.to_manager || !make_stats() ||
	    !dp_aeads_pick(&rig.esp, backend) || !dp_grace_init(&rig.grace, RIG_WORKERS) ||
	    !dp_fib_init(&rig.fib, 64, &rig.grace) || !dp_neighs_init(&rig.neighs) ||
	    !dp_tunnels_init(&rig.tunnels, MAX_TUNNELS) || !dp_sas_init(&rig.sas, MAX_SAS))
		return false;
	for (unsigned i = 0; i < RIG_WORKERS; i++) {
		rig.workers[i] = &workers[i];
		if (!dp_worker_init(&workers[i], &rig, i, 0))
			return false;
	}
	make_port();
	make_routes();
	return true;
}

bool rig_start(void)
{
	return start("openssl", 255, 64);
}

bool rig_start_bursts(const char *backend, unsigned n_mbufs)
{
	rig.spreads = true;
	return start(backend, n_mbufs, 4096);
}

/* ----------------------------------------------------------------- packets */

struct rte_mbuf *rig_packet(const void *data, uint32_t size)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
	char *at;

	assert_non_null(m);
	at = rte_pktmbuf_append(m, (uint16_t)size);
	assert_non_null(at);
	memcpy(at, data, size);
	return m;
}

unsigned rig_free_mbufs(void)
{
	return rte_mempool_avail_count(pool);
}

struct rte_mbuf *rig_inner(uint32_t size)
{
	uint8_t ip[1600];

	assert_in_range(size, 20, sizeof(ip));
	for (uint32_t i = 0; i < size; i++)
		ip[i] = (uint8_t)(i * 11 + size);
	memcpy(ip, "\x45\0\0\0\0\0\0\0\x40\x11\0\0\x0a\x01\0\x09\x0a\x02\0\x09", 20);
	dp_put16(ip + 2, (uint16_t)size);
	dp_put16(ip + 10, sum_finish(sum_add(0, ip, 20)));
	return rig_packet(ip, size);
}

struct rte_mbuf *rig_encap(struct rte_mbuf *inner, uint32_t tunnel)
{
	struct dp_worker *w = rig.workers[tunnel % RIG_WORKERS];
	struct rte_mbuf *out = NULL;

	*dp_meta(inner) = (struct dp_meta){.family = 4};
	dp_into_tunnel(w, &inner, 1, tunnel, 4, true);
	dp_encap(w);
	assert_in_range(w->tx[0].n, 0, 1);
	if (w->tx[0].n)
		out = w->tx[0].m[0];
	w->tx[0].n = w->tx[0].bytes = 0;
	return out;
}

struct rte_mbuf *rig_decap(struct rte_mbuf *frame, uint32_t tunnel)
{
	struct dp_worker *w = rig.workers[tunnel % RIG_WORKERS];
	struct rte_mbuf *out = NULL;

	memcpy(rte_pktmbuf_mtod(frame, uint8_t *), &rig.ports[0].mac, 6);
	dp_classify(w, 0, &frame, 1);
	if (w->decap.n)
		dp_decap(w);
	assert_in_range(w->to_linux.n, 0, 1);
	if (w->to_linux.n)
		out = w->to_linux.m[0];
	w->to_linux.n = 0;
	return out;
}

uint64_t rig_drops(unsigned reason)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < RIG_WORKERS; i++)
		sum += rig.stats->workers[i].drops[reason];
	return sum;
}

/* --------------------------------------------------------------------- SAs */

uint32_t rig_spi(uint32_t slot)
{
	return 0x77700000u | slot;
}

static struct dp_addr msg_addr(const char *text)
{
	const struct ip_addr a = address(text);
	struct dp_addr out = {.family = (uint8_t)a.family};

	memcpy(out.b, a.b, a.family == IP_V4 ? 4 : 16);
	return out;
}

static void msg_sa(struct dp_sa *m, uint32_t slot, uint32_t tunnel, unsigned flags)
{
	const unsigned v6 = flags & RIG_V6;
	const uint16_t port = flags & RIG_UDP ? 4500 : 0;

	*m = (struct dp_sa){
		.slot = slot,
		.spi = rig_spi(slot),
		.tunnel = tunnel,
		.flags = (flags & RIG_UDP ? DP_SA_UDP_ENCAP : 0u) |
			 (flags & RIG_ESN ? DP_SA_ESN : 0u),
		.encr = ESP_ENCR_AES_GCM_16,
		.encr_key_bits = 128,
		.n_ts = 1,
		.first_seq = 1,
		.local = {.addr = msg_addr(locals[v6]), .port = port},
		.remote = {.addr = msg_addr(remotes[v6]), .port = port},
		.ts = {{
			.local_first = msg_addr("10.0.0.0"),
			.local_last = msg_addr("10.255.255.255"),
			.remote_first = msg_addr("10.0.0.0"),
			.remote_last = msg_addr("10.255.255.255"),
			.local_port_last = UINT16_MAX,
			.remote_port_last = UINT16_MAX,
		}},
	};
	for (size_t i = 0; i < sizeof(m->encr_key); i++)
		m->encr_key[i] = (uint8_t)(i + slot);
}

void rig_add_in(uint32_t slot, uint32_t tunnel, unsigned flags)
{
	struct dp_sa m;

	msg_sa(&m, slot, tunnel, flags);
	m.first_seq = 0;
	m.replay_window = 64;
	assert_int_equal(dp_sa_add_in(&rig, &m), DP_OK);
}

void rig_add_out(uint32_t slot, uint32_t tunnel, unsigned flags)
{
	const struct dp_sa_ref ref = {.slot = slot, .tunnel = tunnel};
	struct dp_sa m;

	msg_sa(&m, slot, tunnel, flags);
	assert_int_equal(dp_sa_add_out(&rig, &m), DP_OK);
	assert_int_equal(dp_sa_switch(&rig, &ref), DP_OK);
}

void rig_del(uint32_t slot)
{
	const struct dp_sa_ref ref = {.slot = slot};

	if (rig.sas.in[slot])
		assert_int_equal(dp_sa_del_in(&rig, &ref), DP_OK);
	if (rig.sas.out[slot])
		assert_int_equal(dp_sa_del_out(&rig, &ref), DP_OK);
	dp_grace_drain(&rig.grace);
}
