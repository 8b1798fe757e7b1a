/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sa: carries out the messages of the sa ring. See sa.h and include/twinbore/dp_msg.h.
 *
 * The producer is treated as hostile: every field is checked before anything is changed. Install
 * order (inbound before outbound, switch, then delete) is the producer's; what we promise is that
 * a change is atomic for every packet and that nothing leaves in clear whatever the order.
 */
#include "dataplane/sa.h"

#include <stdlib.h>
#include <string.h>
#include "base/key_mem.h"
#include "base/log.h"
#include "base/secret.h"
#include "dataplane/dp.h"
#include "dataplane/hop.h"
#include "dataplane/translate.h"

#define SPI_MIN 256u /* RFC 4303 2.1: 1 to 255 are reserved, 0 is local */
#define SA_FLAGS                                                                                   \
	(DP_SA_UDP_ENCAP | DP_SA_ESN | DP_SA_COPY_DSCP | DP_SA_DF_CLEAR | DP_SA_DF_SET |           \
	 DP_SA_PORT_ENTROPY)
#define WINDOW_MIN 64u

bool dp_sas_init(struct dp_sas *s, uint32_t max_sas)
{
	memset(s, 0, sizeof(*s));
	s->max = max_sas;
	s->in = calloc(max_sas, sizeof(struct dp_in *));
	s->out = calloc(max_sas, sizeof(struct dp_out *));
	return s->in && s->out;
}

/* Once no worker uses a half any more. */
static void in_free(void *ctx, void *object, uint64_t arg)
{
	struct dp_in *in = object;

	if (ctx)
		dp_nic_retire(ctx, in->nic);
	esp_in_fini(in->esp);
	key_mem_free(in);
}

static void out_free(void *ctx, void *object, uint64_t arg)
{
	struct dp_out *o = object;

	if (ctx)
		dp_nic_retire(ctx, o->nic);
	esp_out_fini(dp_out_esp(o));
	key_mem_free(o->path);
	key_mem_free(o);
}

static void in_retired(void *ctx, void *object, uint64_t arg)
{
	dp_counters_last_in(ctx, object);
	in_free(ctx, object, arg);
}

static void out_retired(void *ctx, void *object, uint64_t arg)
{
	dp_counters_last_out(ctx, object);
	out_free(ctx, object, arg);
}

static void path_free(void *ctx, void *object, uint64_t arg)
{
	key_mem_free(object);
}

void dp_sas_fini(struct dp *dp)
{
	struct dp_sas *s = &dp->sas;

	for (uint32_t i = 0; i < s->max; i++) {
		if (s->in && s->in[i])
			in_free(dp, s->in[i], 0);
		if (s->out && s->out[i])
			out_free(dp, s->out[i], 0);
	}
	free(s->in);
	free(s->out);
	memset(s, 0, sizeof(*s));
}

static bool endpoint_parse(const struct dp_endpoint *m, bool any, struct ip_endpoint *out)
{
	if (m->zero || !dp_addr_parse(&m->addr, any, &out->addr))
		return false;
	out->port = m->port;
	return true;
}

static bool ts_parse(const struct dp_ts *m, struct esp_ts *out)
{
	static const uint8_t zero[7];

	if (!dp_addr_parse(&m->local_first, false, &out->local_first) ||
	    !dp_addr_parse(&m->local_last, false, &out->local_last) ||
	    !dp_addr_parse(&m->remote_first, false, &out->remote_first) ||
	    !dp_addr_parse(&m->remote_last, false, &out->remote_last) ||
	    memcmp(m->zero, zero, sizeof(zero)) != 0)
		return false;
	out->local_port_first = m->local_port_first;
	out->local_port_last = m->local_port_last;
	out->remote_port_first = m->remote_port_first;
	out->remote_port_last = m->remote_port_last;
	out->protocol = m->protocol;
	/* One family for both ends. An empty port range (first > last) means OPAQUE (RFC 7296
	 * 3.13.1) and is left to ESP. */
	return m->local_first.family == m->local_last.family &&
	       m->remote_first.family == m->remote_last.family &&
	       m->local_first.family == m->remote_first.family &&
	       ip_cmp(&out->local_first, &out->local_last) <= 0 &&
	       ip_cmp(&out->remote_first, &out->remote_last) <= 0;
}

/* Everything that both halves have in common. Keys in `cfg` point into `m`. */
static enum dp_status sa_parse(const struct dp *dp, const struct dp_sa *m, struct esp_sa_cfg *cfg)
{
	*cfg = (struct esp_sa_cfg){
		.spi = m->spi,
		.esn = m->flags & DP_SA_ESN,
		.udp_encap = m->flags & DP_SA_UDP_ENCAP,
		.copy_dscp = m->flags & DP_SA_COPY_DSCP,
		.df = m->flags & DP_SA_DF_CLEAR ? ESP_DF_CLEAR
		      : m->flags & DP_SA_DF_SET ? ESP_DF_SET
						: ESP_DF_COPY,
		.replay_window = m->replay_window,
		.first_seq = m->first_seq,
		.soft_packets = m->soft_packets,
		.hard_packets = m->hard_packets,
		.soft_bytes = m->soft_bytes,
		.hard_bytes = m->hard_bytes,
		.n_ts = m->n_ts,
		.encr_key = m->encr_key,
		.integ_key = m->integ_key,
	};
	if (m->slot >= dp->sas.max || m->tunnel >= dp->tunnels.max || m->spi < SPI_MIN ||
	    (m->flags & ~(uint32_t)SA_FLAGS) ||
	    (m->flags & (DP_SA_DF_CLEAR | DP_SA_DF_SET)) == (DP_SA_DF_CLEAR | DP_SA_DF_SET) ||
	    m->n_ts == 0 || m->n_ts > DP_MAX_TS || m->zero)
		return DP_ERR_MALFORMED;
	if (!endpoint_parse(&m->local, false, &cfg->local) ||
	    !endpoint_parse(&m->remote, false, &cfg->remote) ||
	    cfg->local.addr.family != cfg->remote.addr.family)
		return DP_ERR_MALFORMED;
	for (uint32_t i = 0; i < m->n_ts; i++) {
		if (!ts_parse(&m->ts[i], &cfg->ts[i]))
			return DP_ERR_MALFORMED;
	}
	if (!esp_suite_init(&cfg->suite, m->encr, m->encr_key_bits, m->integ) ||
	    !esp_thread_supports(&dp->esp, &cfg->suite))
		return DP_ERR_UNSUPPORTED;
	if (cfg->suite.encr_key_size > sizeof(m->encr_key) ||
	    cfg->suite.integ_key_size > sizeof(m->integ_key))
		return DP_ERR_UNSUPPORTED;
	return DP_OK;
}

static enum dp_status no_memory(void)
{
	log_warn("an SA cannot be installed: no memory for its keys, or it cannot be locked "
		 "(systemd's "
		 "LimitMEMLOCK=, RLIMIT_MEMLOCK)");
	return DP_ERR_RESOURCES;
}

enum dp_status dp_sa_add_in(struct dp *dp, const struct dp_sa *m)
{
	struct dp_stats_sa *stats;
	struct esp_sa_cfg cfg;
	struct dp_in *in;
	enum dp_status rc = sa_parse(dp, m, &cfg);

	if (rc != DP_OK)
		return rc;
	if ((m->spi & DP_SLOT_MASK) != m->slot ||
	    (m->replay_window &&
	     (m->replay_window < WINDOW_MIN || m->replay_window > ESP_WINDOW_MAX)))
		return DP_ERR_MALFORMED;
	if (dp->sas.in[m->slot])
		return DP_ERR_EXISTS;
	in = key_mem_alloc(sizeof(*in) + esp_in_size(&cfg));
	if (!in)
		return DP_ERR_RESOURCES;
	in->esp = (void *)(in + 1);
	if (!esp_in_init(in->esp, &dp->esp, &cfg)) {
		key_mem_free(in);
		return no_memory();
	}
	in->spi = m->spi;
	in->slot = m->slot;
	in->tunnel = m->tunnel;
	in->owner = (m->resource ? m->resource - 1 : m->tunnel) % dp->n_workers;
	*dp_in_room(in) = (struct dp_in_room){
		.spi = in->spi,
		.tunnel = in->tunnel,
		.owner = (uint16_t)in->owner,
	};
	in->local = cfg.local;
	in->remote = cfg.remote;
	in->seen = cfg.remote;
	in->ports_vary = m->flags & DP_SA_PORT_ENTROPY;
	if (dp->inline_crypto)
		in->nic = dp_nic_open_new(dp, &cfg, in->owner);
	stats = &dp_stats_sas(dp)[m->slot];
	stats->in_packets = stats->in_bytes = stats->in_seq_high = 0;
	stats->in_auth_failed = stats->in_replayed = stats->in_late = 0;
	stats->in_ts_mismatch = stats->in_malformed = 0;
	__atomic_store_n(&dp->sas.in[m->slot], in, __ATOMIC_RELEASE);
	dp->sas.n_in++;
	dp_offload_steer(dp, in, cfg.udp_encap);
	return DP_OK;
}

enum dp_status dp_sa_add_out(struct dp *dp, const struct dp_sa *m)
{
	struct dp_stats_sa *stats;
	struct esp_sa_cfg cfg;
	struct dp_out *o;
	enum dp_status rc = sa_parse(dp, m, &cfg);

	if (rc != DP_OK)
		return rc;
	/* RFC 4303 3.3.3: the first packet has number 1; zero is never sent. */
	if (m->first_seq == 0 || (!cfg.esn && m->first_seq > UINT32_MAX) || m->resource)
		return DP_ERR_MALFORMED;
	if (dp->sas.out[m->slot])
		return DP_ERR_EXISTS;
	o = key_mem_alloc(offsetof(struct dp_out, near) + esp_out_size());
	if (!o)
		return DP_ERR_RESOURCES;
	o->path = key_mem_alloc(sizeof(*o->path));
	if (!o->path || !esp_out_init(dp_out_esp(o), &dp->esp, &cfg)) {
		key_mem_free(o->path);
		key_mem_free(o);
		return no_memory();
	}
	o->spi = m->spi;
	o->slot = o->near.slot = m->slot;
	o->tunnel = m->tunnel;
	o->owner = DP_NO_WORKER;
	o->port_entropy = m->flags & DP_SA_PORT_ENTROPY;
	o->suite = cfg.suite;
	if (dp->inline_crypto) {
		o->nic = dp_nic_seal_new(dp, &cfg);
		o->nic_remote = cfg.remote.addr;
	}
	*o->path = (struct dp_path){
		.neigh = DP_NEIGH_NONE,
		.port = DP_NO_PORT,
		.udp = cfg.udp_encap,
		.local = cfg.local,
		.remote = cfg.remote,
	};
	dp_out_resolve(dp, o);
	dp_out_look(dp, o);
	esp_out_leave_udp_sum(dp_out_esp(o), o->path->udp_sum_left);
	o->path_version = o->path->version;
	stats = &dp_stats_sas(dp)[m->slot];
	stats->out_packets = stats->out_bytes = stats->out_seq = 0;
	o->next = dp->sas.all_out;
	if (o->next)
		o->next->prev = &o->next;
	o->prev = &dp->sas.all_out;
	dp->sas.all_out = o;
	__atomic_store_n(&dp->sas.out[m->slot], o, __ATOMIC_RELEASE);
	dp->sas.n_out++;
	return DP_OK;
}

/* The tunnel's owner sends by an SA that is its own, else by the common one. */
static void publish_owners(struct dp *dp, uint32_t tunnel)
{
	struct dp_worker *w = dp->workers[tunnel % dp->n_workers];
	struct dp_out *own = dp->tunnels.info[tunnel].owners;

	__atomic_store_n(&w->out[tunnel], own ? own : dp->tunnels.hot[tunnel].current,
			 __ATOMIC_RELEASE);
	dp_hops_tunnel(dp, tunnel);
	dp_tunnel_mtu_update(dp, tunnel);
}

static void set_current(struct dp *dp, uint32_t tunnel, struct dp_out *o)
{
	__atomic_store_n(&dp->tunnels.hot[tunnel].current, o, __ATOMIC_RELEASE);
	__atomic_store_n(&dp_stats_tunnels(dp)[tunnel].current_slot, o ? o->slot : DP_SLOT_NONE,
			 __ATOMIC_RELAXED);
	publish_owners(dp, tunnel);
}

/* RFC 9611: what one worker sends, by an SA that no other uses. */
static void set_own(struct dp *dp, uint32_t tunnel, unsigned worker, struct dp_out *o)
{
	if (worker == tunnel % dp->n_workers) {
		dp->tunnels.info[tunnel].owners = o;
		publish_owners(dp, tunnel);
		return;
	}
	__atomic_store_n(&dp->workers[worker]->out[tunnel], o, __ATOMIC_RELEASE);
	dp_hops_tunnel(dp, tunnel);
	dp_tunnel_mtu_update(dp, tunnel);
}

enum dp_status dp_sa_switch(struct dp *dp, const struct dp_sa_ref *m)
{
	struct dp_out *o = NULL;
	unsigned worker;

	if (m->tunnel >= dp->tunnels.max || m->resource > dp->n_workers || m->zero)
		return DP_ERR_MALFORMED;
	worker = m->resource ? m->resource - 1 : m->tunnel % dp->n_workers;
	if (m->slot != DP_SLOT_NONE) {
		if (m->slot >= dp->sas.max)
			return DP_ERR_MALFORMED;
		o = dp->sas.out[m->slot];
		if (!o || o->tunnel != m->tunnel)
			return DP_ERR_NO_SUCH;
		/* Two workers would send the same sequence numbers, one key's nonces. */
		if (o->owner != DP_NO_WORKER && o->owner != worker)
			return DP_ERR_EXISTS;
		o->owner = worker;
	}
	if (m->resource)
		set_own(dp, m->tunnel, worker, o);
	else
		set_current(dp, m->tunnel, o);
	return DP_OK;
}

static void remove_in(struct dp *dp, struct dp_in *in)
{
	__atomic_store_n(&dp->sas.in[in->slot], NULL, __ATOMIC_RELEASE);
	dp->sas.n_in--;
	dp_offload_unsteer(dp, in);
	dp_events_forget(dp, in);
	dp_grace_defer(&dp->grace, in_retired, dp, in, 0);
}

static void remove_out(struct dp *dp, struct dp_out *o)
{
	if (dp->tunnels.hot[o->tunnel].current == o)
		set_current(dp, o->tunnel, NULL);
	/* Its owner's alone, if any worker's. */
	if (o->owner != DP_NO_WORKER &&
	    (dp->tunnels.info[o->tunnel].owners == o || dp->workers[o->owner]->out[o->tunnel] == o))
		set_own(dp, o->tunnel, o->owner, NULL);
	__atomic_store_n(&dp->sas.out[o->slot], NULL, __ATOMIC_RELEASE);
	dp->sas.n_out--;
	*o->prev = o->next;
	if (o->next)
		o->next->prev = o->prev;
	dp_neigh_unref(dp, o->path->neigh);
	dp_grace_defer(&dp->grace, out_retired, dp, o, 0);
}

enum dp_status dp_sa_del_in(struct dp *dp, const struct dp_sa_ref *m)
{
	if (m->slot >= dp->sas.max)
		return DP_ERR_MALFORMED;
	if (!dp->sas.in[m->slot])
		return DP_ERR_NO_SUCH;
	remove_in(dp, dp->sas.in[m->slot]);
	return DP_OK;
}

enum dp_status dp_sa_del_out(struct dp *dp, const struct dp_sa_ref *m)
{
	if (m->slot >= dp->sas.max)
		return DP_ERR_MALFORMED;
	if (!dp->sas.out[m->slot])
		return DP_ERR_NO_SUCH;
	remove_out(dp, dp->sas.out[m->slot]);
	return DP_OK;
}

void dp_sa_flush(struct dp *dp)
{
	for (uint32_t i = 0; i < dp->sas.max; i++) {
		if (dp->sas.in[i])
			remove_in(dp, dp->sas.in[i]);
		if (dp->sas.out[i])
			remove_out(dp, dp->sas.out[i]);
	}
}

static bool describe(const struct dp_in *in, const struct dp_out *o, struct dp_listed *l)
{
	uint32_t bits = 0;

	l->flags = l->spi_in = l->spi_out = 0;
	if (in) {
		const uint32_t b = __atomic_load_n(&dp_in_room(in)->reported, __ATOMIC_RELAXED);

		l->flags |= DP_LISTED_IN | (b & DP_SA_EV_FIRST ? DP_LISTED_SEEN : 0);
		l->spi_in = in->spi;
		l->tunnel = in->tunnel;
		bits |= b;
	}
	if (o) {
		l->flags |= DP_LISTED_OUT;
		l->spi_out = o->spi;
		l->tunnel = o->tunnel;
		bits |= __atomic_load_n(&o->reported, __ATOMIC_RELAXED);
	}
	l->flags |= (bits & DP_SA_EV_SOFT ? DP_LISTED_SOFT : 0) |
		    (bits & DP_SA_EV_HARD ? DP_LISTED_HARD : 0);
	return in || o;
}

enum dp_status dp_sa_list(struct dp *dp, uint32_t seq, const struct dp_sa_ref *m)
{
	uint32_t n = 0;

	if (!dp_rings_room(dp, DP_CHANNEL_SA, DP_LIST_MAX))
		return DP_ERR_RESOURCES;
	for (uint32_t i = m->slot; i < dp->sas.max && n < DP_LIST_MAX; i++) {
		struct dp_event ev = {.type = DP_EV_SA, .listed = {.seq = seq, .slot = i}};

		if (!describe(dp->sas.in[i], dp->sas.out[i], &ev.listed))
			continue;
		dp_rings_event(dp, DP_CHANNEL_SA, &ev);
		n++;
	}
	return DP_OK;
}

/* Which port and neighbour lead to the peer, and how large an inner packet may then be. */
static void path_lookup(struct dp *dp, const struct dp_out *o, struct dp_path *p)
{
	uint32_t outer_mtu = RTE_ETHER_MTU;
	struct ip_addr next_hop;
	int ifindex;

	p->neigh = DP_NEIGH_NONE;
	p->port = DP_NO_PORT;
	if (dp_route_get(&dp->netlink, &p->local.addr, &p->remote.addr, &ifindex, &next_hop)) {
		for (unsigned i = 0; i < dp->n_ports; i++) {
			if (dp->ports[i].mirror.ifindex != ifindex)
				continue;
			p->port = (uint8_t)i;
			p->neigh = dp_neigh_get(dp, i, &next_hop);
			outer_mtu = dp->ports[i].mtu;
		}
	}
	p->outer_mtu = dp_path_mtu_limit(dp, o->tunnel, &p->local.addr, &p->remote.addr, outer_mtu);
	p->udp_sum_left = p->udp && p->remote.addr.family == IP_V6 && p->port != DP_NO_PORT &&
			  dp_offload_on(&dp->ports[p->port].offloads, DP_OFFLOAD_TX_CHECKSUM);
	/* What another port sends, and to another peer, is sealed in software. */
	p->nic = o->nic && p->port == o->nic->port && !p->udp &&
		 ip_equal(&p->remote.addr, &o->nic_remote);
	if (p->udp_sum_left != o->path->udp_sum_left)
		p->version = o->path->version + 1;
	p->mtu = esp_inner_mtu(&o->suite, p->remote.addr.family == IP_V6, p->udp, p->outer_mtu);
}

static void show_mtu(struct dp *dp, const struct dp_out *o)
{
	struct dp_stats_sa *s = &dp_stats_sas(dp)[o->slot];

	__atomic_store_n(&s->out_mtu, o->path->mtu, __ATOMIC_RELAXED);
	__atomic_store_n(&s->out_path_mtu, o->path->outer_mtu, __ATOMIC_RELAXED);
}

static void republish(struct dp_out *o)
{
	__atomic_store_n(&o->near.stale, 1, __ATOMIC_RELEASE);
}

void dp_out_look(const struct dp *dp, struct dp_out *o)
{
	const struct dp_path *path;
	uint32_t mtu, limit;

	/* First, and before anything is loaded: what is published later is seen as such. */
	(void)__atomic_exchange_n(&o->near.stale, 0, __ATOMIC_SEQ_CST);
	limit = __atomic_load_n(&dp->tunnels.hot[o->tunnel].mtu, __ATOMIC_RELAXED);
	path = __atomic_load_n(&o->path, __ATOMIC_ACQUIRE);
	mtu = limit && limit < path->mtu ? limit : path->mtu;
	o->view = (struct dp_out_view){
		.family = path->remote.addr.family,
		.udp_sum_left = path->udp_sum_left,
		.nic = path->nic,
		.translates = dp_translate_has(dp, o->tunnel),
	};
	o->near.neigh = path->neigh == DP_NEIGH_NONE ? DP_NEAR_NONE : (uint16_t)path->neigh;
	o->near.mtu = (uint16_t)RTE_MIN(mtu, (uint32_t)UINT16_MAX);
	o->near.odd &= (uint8_t)~DP_ODD_WAY;
	if (o->view.family != IP_V4 || o->view.udp_sum_left || o->view.nic || o->view.translates)
		o->near.odd |= DP_ODD_WAY;
}

void dp_sas_republish(struct dp *dp, uint32_t tunnel)
{
	for (struct dp_out *o = dp->sas.all_out; o; o = o->next) {
		if (o->tunnel == tunnel)
			republish(o);
	}
}

/* Publishes a new path if it differs; the old one is freed when nobody looks at it any more. */
static void path_publish(struct dp *dp, struct dp_out *o, const struct dp_path *want)
{
	struct dp_path *old = o->path, *p;

	if (old->version == want->version && old->neigh == want->neigh &&
	    old->outer_mtu == want->outer_mtu && old->mtu == want->mtu && old->port == want->port &&
	    old->nic == want->nic)
		return;
	p = key_mem_alloc(sizeof(*p));
	if (!p)
		return; /* the old path stays; the tick tries again */
	*p = *want;
	dp_neigh_ref(dp, p->neigh);
	dp_neigh_unref(dp, old->neigh);
	__atomic_store_n(&o->path, p, __ATOMIC_RELEASE);
	republish(o);
	dp_grace_defer(&dp->grace, path_free, NULL, old, 0);
	show_mtu(dp, o);
	dp_tunnel_mtu_update(dp, o->tunnel);
}

void dp_out_resolve(struct dp *dp, struct dp_out *o)
{
	struct dp_path p = *o->path;

	path_lookup(dp, o, &p);
	path_publish(dp, o, &p);
}

void dp_sas_resolve(struct dp *dp, bool only_unresolved)
{
	for (struct dp_out *o = dp->sas.all_out; o; o = o->next) {
		if (!only_unresolved || o->path->neigh == DP_NEIGH_NONE)
			dp_out_resolve(dp, o);
	}
}

enum dp_status dp_sa_peer(struct dp *dp, const struct dp_sa_peer *m)
{
	struct dp_path p;
	struct dp_out *o;

	if (m->slot >= dp->sas.max || (m->flags & ~(uint32_t)SA_FLAGS))
		return DP_ERR_MALFORMED;
	o = dp->sas.out[m->slot];
	if (!o)
		return DP_ERR_NO_SUCH;
	p = *o->path;
	if (!endpoint_parse(&m->local, false, &p.local) ||
	    !endpoint_parse(&m->remote, false, &p.remote) ||
	    p.local.addr.family != p.remote.addr.family)
		return DP_ERR_MALFORMED;
	p.udp = m->flags & DP_SA_UDP_ENCAP;
	p.version++;
	path_lookup(dp, o, &p);
	path_publish(dp, o, &p);
	return o->path->version == p.version ? DP_OK : DP_ERR_RESOURCES;
}
