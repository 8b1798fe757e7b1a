/* SPDX-License-Identifier: Apache-2.0 */
/* offload: asks devices and programs their flow rules. See offload.h. */
#include "dataplane/offload.h"

#include <rte_errno.h>
#include <rte_flow.h>
#include "base/log.h"
#include "dataplane/dp.h"

#define PROBE_SPI 0x54420001u /* of a rule that is only asked about */

const char *dp_offload_name(enum dp_offload f)
{
	static const char *const names[] = {
#define X(name, text) text,
		DP_OFFLOADS(X)
#undef X
	};

	return names[f];
}

const char *dp_offload_state_name(enum dp_offload_state s)
{
	static const char *const names[] = {"not offered", "off", "not needed", "on"};

	return names[s];
}

static enum dp_offload_state state_of(bool offered, bool wanted, bool needed)
{
	if (!offered)
		return DP_OFFLOAD_NOT_OFFERED;
	if (!wanted)
		return DP_OFFLOAD_OFF;
	return needed ? DP_OFFLOAD_ON : DP_OFFLOAD_NOT_NEEDED;
}

static bool has_v6(const struct config_port *cfg)
{
	for (size_t i = 0; i < cfg->n_addresses; i++)
		if (cfg->addresses[i].addr.family == IP_V6)
			return true;
	return false;
}

void dp_offload_configure(struct dp_offloads *o, const struct rte_eth_dev_info *info,
			  const struct config_port *cfg, uint16_t n_rxq, struct rte_eth_conf *conf)
{
	const uint64_t rss = info->flow_type_rss_offloads &
			     (RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP | RTE_ETH_RSS_ESP);
	const uint64_t rx = info->rx_offload_capa, tx = info->tx_offload_capa;
	const bool wanted = cfg->offloads != CONFIG_OFFLOADS_OFF;

	*o = (struct dp_offloads){.n_rules = 0};
	/* Whatever else is wanted: without it one worker would receive everything. */
	o->state[DP_OFFLOAD_RSS] = state_of(rss, true, n_rxq > 1);
	o->state[DP_OFFLOAD_RX_CHECKSUM] =
		state_of(rx & RTE_ETH_RX_OFFLOAD_IPV4_CKSUM, wanted, true);
	/* A transmit function that describes packets to the device may cost all of them more. */
	o->state[DP_OFFLOAD_TX_CHECKSUM] =
		state_of(tx & RTE_ETH_TX_OFFLOAD_UDP_CKSUM, wanted, has_v6(cfg));
	if (dp_offload_on(o, DP_OFFLOAD_RSS)) {
		conf->rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		conf->rx_adv_conf.rss_conf.rss_hf = rss;
	}
	if (dp_offload_on(o, DP_OFFLOAD_RX_CHECKSUM))
		conf->rxmode.offloads |= RTE_ETH_RX_OFFLOAD_IPV4_CKSUM;
	if (dp_offload_on(o, DP_OFFLOAD_TX_CHECKSUM))
		conf->txmode.offloads |= RTE_ETH_TX_OFFLOAD_UDP_CKSUM;
}

/* --------------------------------------------------------------- flow rules */

/* Everything that a rule points to. */
struct rule {
	struct rte_flow_attr attr;
	struct rte_flow_item items[5];
	struct rte_flow_action actions[3];
	struct rte_flow_item_esp esp;
	struct rte_flow_action_queue queue;
};

static unsigned form_of(bool v6, bool udp)
{
	return (v6 ? 2u : 0u) + (udp ? 1u : 0u);
}

/* ESP of one SPI into one queue. The SPI is ours and unique, so that nothing else is matched. */
static void rule_set(struct rule *r, bool v6, bool udp, uint32_t spi, uint16_t queue)
{
	size_t n = 0;

	*r = (struct rule){
		.attr = {.ingress = 1},
		.actions = {{.type = RTE_FLOW_ACTION_TYPE_QUEUE, .conf = &r->queue},
			    {.type = RTE_FLOW_ACTION_TYPE_END}},
		.esp = {.hdr = {.spi = rte_cpu_to_be_32(spi)}},
		.queue = {.index = queue},
	};
	r->items[n++].type = RTE_FLOW_ITEM_TYPE_ETH;
	r->items[n++].type = v6 ? RTE_FLOW_ITEM_TYPE_IPV6 : RTE_FLOW_ITEM_TYPE_IPV4;
	/* RFC 3948: devices that know ESP in UDP know its port. */
	if (udp)
		r->items[n++].type = RTE_FLOW_ITEM_TYPE_UDP;
	r->items[n++] = (struct rte_flow_item){
		.type = RTE_FLOW_ITEM_TYPE_ESP,
		.spec = &r->esp,
		.mask = &rte_flow_item_esp_mask,
	};
	r->items[n].type = RTE_FLOW_ITEM_TYPE_END;
}

void dp_offload_started(struct dp_port *p)
{
	struct dp_offloads *o = &p->offloads;
	struct rte_flow_error error;
	bool any = false;
	struct rule r;

	for (unsigned form = 0; form < DP_ESP_FORMS; form++) {
		rule_set(&r, form & 2, form & 1, PROBE_SPI, (uint16_t)(p->n_rxq - 1));
		o->rule_for[form] =
			rte_flow_validate(p->id, &r.attr, r.items, r.actions, &error) == 0;
		any |= o->rule_for[form];
	}
	o->state[DP_OFFLOAD_SPI_RULES] =
		state_of(any, p->cfg->offloads != CONFIG_OFFLOADS_OFF, p->n_rxq > 1);
	for (unsigned f = 0; f < DP_OFFLOAD_END; f++)
		log_debug("port '%s': %s: %s", p->cfg->name, dp_offload_name(f),
			  dp_offload_state_name(o->state[f]));
}

struct dp_port *dp_port_of_address(struct dp *dp, const struct ip_addr *a)
{
	for (unsigned i = 0; i < dp->n_ports; i++) {
		const struct config_port *cfg = dp->ports[i].cfg;

		for (size_t k = 0; k < cfg->n_addresses; k++)
			if (ip_cmp(&cfg->addresses[k].addr, a) == 0)
				return &dp->ports[i];
	}
	return NULL;
}

uint16_t dp_offload_queue(const struct dp_port *p, unsigned worker, unsigned n_workers)
{
	uint16_t q = 0;

	while (q < p->n_rxq && !dp_port_polled_by(p, q, worker, n_workers))
		q++;
	return q;
}

/* A rule that is missing costs a hand-off for each packet and nothing else. */
void dp_offload_steer(struct dp *dp, struct dp_in *in, bool udp)
{
	struct dp_port *p = dp_port_of_address(dp, &in->local.addr);
	const bool v6 = in->local.addr.family == IP_V6;
	struct rte_flow_error error = {.message = NULL};
	struct rule r;
	uint16_t queue;

	/* The one that opens its packets brings them there as well. */
	if (in->nic || !p || !dp_offload_on(&p->offloads, DP_OFFLOAD_SPI_RULES) ||
	    !p->offloads.rule_for[form_of(v6, udp)])
		return;
	queue = dp_offload_queue(p, in->owner, dp->n_workers);
	if (queue == p->n_rxq)
		return;
	rule_set(&r, v6, udp, in->spi, queue);
	in->rule = rte_flow_create(p->id, &r.attr, r.items, r.actions, &error);
	if (in->rule) {
		in->rule_port = (uint8_t)p->index;
		p->offloads.n_rules++;
		return;
	}
	p->offloads.n_refused++;
	if (!p->offloads.told)
		log_warn(
			"port '%s': the device takes no further flow rule (%s): packets of further "
			"SAs are handed from worker to worker",
			p->cfg->name, error.message ? error.message : rte_strerror(rte_errno));
	p->offloads.told = true;
}

void dp_offload_unsteer(struct dp *dp, struct dp_in *in)
{
	struct rte_flow_error error;
	struct dp_port *p;

	if (!in->rule)
		return;
	p = &dp->ports[in->rule_port];
	if (rte_flow_destroy(p->id, in->rule, &error) == 0) {
		p->offloads.n_rules--;
		p->offloads.told = false;
	}
	in->rule = NULL;
}

struct rte_flow *dp_offload_rule_open(const struct dp_port *p, bool v6, uint32_t spi,
				      uint16_t queue, void *session)
{
	const struct rte_flow_action_security security = {.security_session = session};
	struct rte_flow_error error;
	struct rte_flow *flow;
	struct rule r;

	rule_set(&r, v6, false, spi, queue);
	r.actions[0].type = RTE_FLOW_ACTION_TYPE_SECURITY;
	r.actions[0].conf = &security;
	if (queue < p->n_rxq && p->n_rxq > 1) {
		r.actions[1].type = RTE_FLOW_ACTION_TYPE_QUEUE;
		r.actions[1].conf = &r.queue;
		r.actions[2].type = RTE_FLOW_ACTION_TYPE_END;
		flow = rte_flow_create(p->id, &r.attr, r.items, r.actions, &error);
		if (flow)
			return flow;
	}
	r.actions[1].type = RTE_FLOW_ACTION_TYPE_END;
	return rte_flow_create(p->id, &r.attr, r.items, r.actions, &error);
}
