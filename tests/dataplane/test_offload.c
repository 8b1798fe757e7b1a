/* SPDX-License-Identifier: Apache-2.0 */
/* What ports' devices do for the workers: what they are asked for, told, and believed (offload.h). */
#include "rig.h"

#include <rte_udp.h>
#include "base/sum.h"

/* ---- what is asked for ----------------------------------------------------------------------- */

#define ALL_RSS (RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP | RTE_ETH_RSS_ESP)

enum {
	NOT = DP_OFFLOAD_NOT_OFFERED,
	OFF = DP_OFFLOAD_OFF,
	IDLE = DP_OFFLOAD_NOT_NEEDED,
	ON = DP_OFFLOAD_ON
};

static const struct ask {
	uint64_t rss, rx, tx;
	uint16_t n_rxq;
	bool v6;
	enum config_offloads wanted;
	uint8_t is_rss, is_rx, is_tx;
} asks[] = {
	{0, 0, 0, 2, true, CONFIG_OFFLOADS_AUTO, NOT, NOT, NOT},
	{ALL_RSS, RTE_ETH_RX_OFFLOAD_CHECKSUM, RTE_ETH_TX_OFFLOAD_UDP_CKSUM, 2, true,
	 CONFIG_OFFLOADS_AUTO, ON, ON, ON},
	{ALL_RSS, RTE_ETH_RX_OFFLOAD_CHECKSUM, RTE_ETH_TX_OFFLOAD_UDP_CKSUM, 1, false,
	 CONFIG_OFFLOADS_AUTO, IDLE, ON, IDLE},
	{ALL_RSS, RTE_ETH_RX_OFFLOAD_CHECKSUM, RTE_ETH_TX_OFFLOAD_UDP_CKSUM, 2, true,
	 CONFIG_OFFLOADS_OFF, ON, OFF, OFF},
	/* what it offers beside that is not taken */
	{RTE_ETH_RSS_IP | RTE_ETH_RSS_GTPU, RTE_ETH_RX_OFFLOAD_VLAN_STRIP,
	 RTE_ETH_TX_OFFLOAD_TCP_TSO, 2, true, CONFIG_OFFLOADS_AUTO, ON, NOT, NOT},
};

static void asked(void **state)
{
	for (size_t i = 0; i < RTE_DIM(asks); i++) {
		const struct ask *a = &asks[i];
		const struct rte_eth_dev_info info = {.flow_type_rss_offloads = a->rss,
						      .rx_offload_capa = a->rx,
						      .tx_offload_capa = a->tx};
		struct ip_prefix addresses[2] = {{.addr = {.family = IP_V4}},
						 {.addr = {.family = IP_V6}}};
		const struct config_port cfg = {.addresses = addresses,
						.n_addresses = a->v6 ? 2 : 1,
						.offloads = a->wanted};
		struct rte_eth_conf conf = {.rxmode = {.mq_mode = RTE_ETH_MQ_RX_NONE}};
		struct dp_offloads o;

		dp_offload_configure(&o, &info, &cfg, a->n_rxq, &conf);
		assert_int_equal(o.state[DP_OFFLOAD_RSS], a->is_rss);
		assert_int_equal(o.state[DP_OFFLOAD_RX_CHECKSUM], a->is_rx);
		assert_int_equal(o.state[DP_OFFLOAD_TX_CHECKSUM], a->is_tx);
		assert_int_equal(conf.rxmode.mq_mode,
				 a->is_rss == ON ? RTE_ETH_MQ_RX_RSS : RTE_ETH_MQ_RX_NONE);
		assert_true(conf.rx_adv_conf.rss_conf.rss_hf ==
			    (a->is_rss == ON ? a->rss & ALL_RSS : 0));
		assert_true(conf.rxmode.offloads ==
			    (a->is_rx == ON ? RTE_ETH_RX_OFFLOAD_IPV4_CKSUM : 0));
		assert_true(conf.txmode.offloads ==
			    (a->is_tx == ON ? RTE_ETH_TX_OFFLOAD_UDP_CKSUM : 0));
	}
}

/* ---- flow rules ------------------------------------------------------------------------------ */

static void device(bool v4, bool v4_udp, bool v6, bool v6_udp, unsigned room)
{
	rig_device = (struct rig_device){.takes = {{v4, v4_udp}, {v6, v6_udp}}, .room = room};
	rig.ports[0].offloads = (struct dp_offloads){.n_rules = 0};
	dp_offload_started(&rig.ports[0]);
}

static unsigned spi_rules(void)
{
	return rig.ports[0].offloads.state[DP_OFFLOAD_SPI_RULES];
}

static void rules_asked(void **state)
{
	const struct config_port *was = rig.ports[0].cfg;
	struct config_port cfg = *was;

	device(false, false, false, false, 8);
	assert_int_equal(spi_rules(), NOT);
	device(true, false, false, false, 8);
	assert_int_equal(spi_rules(), ON);
	rig.ports[0].n_rxq = 1;
	device(true, true, true, true, 8);
	assert_int_equal(spi_rules(), IDLE);
	rig_add_in(0, 0, 0);
	assert_int_equal(rig_device.n_rules, 0);
	rig_del(0);
	rig.ports[0].n_rxq = RIG_WORKERS;
	cfg.offloads = CONFIG_OFFLOADS_OFF;
	rig.ports[0].cfg = &cfg;
	device(true, true, true, true, 8);
	assert_int_equal(spi_rules(), OFF);
	rig_add_in(0, 0, 0);
	assert_int_equal(rig_device.n_rules, 0);
	rig_del(0);
	rig.ports[0].cfg = was;
	device(true, true, true, true, 8);
	assert_int_equal(spi_rules(), ON);
	assert_int_equal(rig_device.n_rules, 0); /* it was only asked */
}

/* Each form of ESP, into the queue that the tunnel's owner polls; gone with the SA. */
static void rules(void **state)
{
	device(true, true, true, true, 8);
	for (unsigned flags = 0; flags < 4; flags++) {
		for (uint32_t tunnel = 0; tunnel < 4; tunnel++) {
			const struct rte_flow *r = &rig_device.rules[0];

			rig_add_in(5, tunnel, flags);
			assert_int_equal(rig_device.n_rules, 1);
			assert_int_equal(r->v6, !!(flags & RIG_V6));
			assert_int_equal(r->udp, !!(flags & RIG_UDP));
			assert_int_equal(r->spi, rig_spi(5));
			assert_true(dp_port_polled_by(&rig.ports[0], (unsigned)r->queue,
						      tunnel % RIG_WORKERS, RIG_WORKERS));
			assert_null(r->session);
			assert_int_equal(rig.ports[0].offloads.n_rules, 1);
			rig_del(5);
			assert_int_equal(rig_device.n_rules, 0);
			assert_int_equal(rig.ports[0].offloads.n_rules, 0);
		}
	}
	/* What the device cannot match is left alone. */
	device(true, false, false, false, 8);
	rig_add_in(5, 1, RIG_UDP);
	rig_add_in(6, 1, RIG_V6);
	assert_int_equal(rig_device.n_rules, 0);
	assert_int_equal(rig.ports[0].offloads.n_refused, 0);
	rig_del(5);
	rig_del(6);
}

/* A worker without a queue of its own gets none; the second port's queues are polled by others. */
static void rules_queues(void **state)
{
	device(true, true, true, true, 8);
	rig.ports[0].index = 1;
	rig_add_in(1, 0, 0);
	rig.ports[0].index = 0;
	assert_int_equal(rig_device.rules[0].queue, 1);
	assert_int_equal(rig.sas.in[1]->rule_port, 1);
	rig.sas.in[1]->rule_port = 0;
	rig_del(1);
	rig.n_workers = 3;
	rig.workers[2] = rig.workers[0];
	rig_add_in(1, 2, 0);
	assert_int_equal(rig_device.n_rules, 0);
	rig_del(1);
	rig.n_workers = RIG_WORKERS;
}

/* The device is full: the SA works, its packets are handed over. Room comes back. */
static void rules_full(void **state)
{
	device(true, true, true, true, 2);
	for (uint32_t i = 0; i < 4; i++)
		rig_add_in(i, 0, 0);
	assert_int_equal(rig.ports[0].offloads.n_rules, 2);
	assert_int_equal(rig.ports[0].offloads.n_refused, 2);
	assert_null(rig.sas.in[3]->rule);
	rig_del(3);
	rig_del(0);
	rig_add_in(0, 0, 0);
	assert_non_null(rig.sas.in[0]->rule);
	for (uint32_t i = 0; i < 3; i++)
		rig_del(i);
	assert_int_equal(rig_device.n_rules, 0);
}

/* ---- checksums ------------------------------------------------------------------------------- */

static uint64_t classify(struct rte_mbuf *m, unsigned reason)
{
	const uint64_t before = rig_drops(reason);

	dp_classify(rig.workers[0], 0, &m, 1);
	return rig_drops(reason) - before;
}

/* To 10.9.0.9, for which there is no tunnel: what passes is dropped as not protected. */
static struct rte_mbuf *frame(bool good, uint64_t told)
{
	struct rte_mbuf *m = rig_inner(100);
	uint8_t *ip = dp_data(m);

	ip[17] = 9;
	dp_put16(ip + 10, 0);
	dp_put16(ip + 10, (uint16_t)(sum_finish(sum_add(0, ip, 20)) + !good));
	ip = (uint8_t *)rte_pktmbuf_prepend(m, DP_ETH_SIZE);
	memcpy(ip, "\x02\0\0\0\0\x01\x02\0\0\0\0\x02\x08\0", DP_ETH_SIZE);
	m->ol_flags |= told;
	return m;
}

static void rx_checksum(void **state)
{
	static const struct {
		bool offload, good;
		uint64_t told;
		bool passes;
	} rows[] = {
		{false, true, 0, true},
		{false, false, 0, false},
		/* The device says nothing that it was not asked for; if it did, it is not heard. */
		{false, false, RTE_MBUF_F_RX_IP_CKSUM_GOOD, false},
		{true, true, RTE_MBUF_F_RX_IP_CKSUM_GOOD, true},
		{true, false, RTE_MBUF_F_RX_IP_CKSUM_GOOD, true},
		/* anything but "good" is looked at */
		{true, false, RTE_MBUF_F_RX_IP_CKSUM_BAD, false},
		{true, true, RTE_MBUF_F_RX_IP_CKSUM_BAD, true},
		{true, false, RTE_MBUF_F_RX_IP_CKSUM_UNKNOWN, false},
		{true, true, RTE_MBUF_F_RX_IP_CKSUM_UNKNOWN, true},
		{true, false, RTE_MBUF_F_RX_IP_CKSUM_NONE, false},
		{true, false, RTE_MBUF_F_RX_L4_CKSUM_GOOD, false},
	};
	const unsigned before = rig_free_mbufs();

	for (size_t i = 0; i < RTE_DIM(rows); i++) {
		rig.ports[0].offloads.state[DP_OFFLOAD_RX_CHECKSUM] = rows[i].offload ? ON : NOT;
		assert_int_equal(
			classify(frame(rows[i].good, rows[i].told),
				 rows[i].passes ? DP_DROP_NOT_PROTECTED : DP_DROP_BAD_IP_CHECKSUM),
			1);
	}
	rig.ports[0].offloads.state[DP_OFFLOAD_RX_CHECKSUM] = NOT;
	assert_int_equal(rig_free_mbufs(), before);
}

static bool udp6_good(const struct rte_mbuf *frame)
{
	const struct rte_ipv6_hdr *ip = rte_pktmbuf_mtod_offset(frame, void *, DP_ETH_SIZE);
	struct rte_udp_hdr *udp = rte_pktmbuf_mtod_offset(frame, void *, DP_ETH_SIZE + 40);

	const uint16_t had = udp->dgram_cksum;
	uint16_t right;

	udp->dgram_cksum = 0;
	right = rte_ipv6_udptcp_cksum(ip, udp);
	udp->dgram_cksum = had;
	return had == right;
}

/* What a device does with such a packet: the sum of the datagram over the pseudo header's. */
static void device_udp_sum(struct rte_mbuf *m)
{
	struct rte_ipv6_hdr *ip = rte_pktmbuf_mtod_offset(m, void *, m->l2_len);
	struct rte_udp_hdr *udp = rte_pktmbuf_mtod_offset(m, void *, m->l2_len + m->l3_len);
	uint16_t sum;

	assert_int_equal(m->ol_flags & RTE_MBUF_F_TX_L4_MASK, RTE_MBUF_F_TX_UDP_CKSUM);
	assert_true(m->ol_flags & RTE_MBUF_F_TX_IPV6);
	assert_int_equal(udp->dgram_cksum, rte_ipv6_phdr_cksum(ip, m->ol_flags));
	sum = sum_finish(sum_add(0, udp, rte_be_to_cpu_16(ip->payload_len)));
	udp->dgram_cksum = rte_cpu_to_be_16(sum ? sum : UINT16_MAX);
}

static void tx_checksum(void **state)
{
	const unsigned before = rig_free_mbufs();

	for (unsigned flags = 0; flags < 4; flags++) {
		for (int on = 0; on < 2; on++) {
			const bool left = on && flags == (RIG_V6 | RIG_UDP);
			struct rte_mbuf *m;

			rig.ports[0].offloads.state[DP_OFFLOAD_TX_CHECKSUM] = on ? ON : NOT;
			rig_add_out(2, 1, flags);
			for (uint32_t size = 60; size < 1300; size += 413) {
				m = rig_encap(rig_inner(size), 1);
				assert_non_null(m);
				assert_int_equal(!!(m->ol_flags & RTE_MBUF_F_TX_OFFLOAD_MASK),
						 left);
				if (left)
					device_udp_sum(m);
				if (flags == (RIG_V6 | RIG_UDP))
					assert_true(udp6_good(m));
				rte_pktmbuf_free(m);
			}
			/* The port's device is another one now, such as after a change of routes. */
			rig.ports[0].offloads.state[DP_OFFLOAD_TX_CHECKSUM] = NOT;
			dp_sas_resolve(&rig, false);
			m = rig_encap(rig_inner(100), 1);
			assert_int_equal(m->ol_flags & RTE_MBUF_F_TX_OFFLOAD_MASK, 0);
			if (flags == (RIG_V6 | RIG_UDP))
				assert_true(udp6_good(m));
			rte_pktmbuf_free(m);
			rig_del(2);
		}
	}
	assert_int_equal(rig_free_mbufs(), before);
}

/* An SA's own packets come back: with nothing offered, the whole way works as it stands. */
static void round_trip(void **state)
{
	device(false, false, false, false, 0);
	for (unsigned flags = 0; flags < 8; flags++) {
		struct rte_mbuf *m;

		rig_add_in(3, 2, flags);
		rig_add_out(3, 2, flags);
		/* The peer's addresses are ours turned around. */
		m = rig_encap(rig_inner(300), 2);
		assert_non_null(m);
		if (flags & RIG_V6) {
			uint8_t a[16], *ip = dp_data(m) + DP_ETH_SIZE;

			memcpy(a, ip + 8, 16);
			memmove(ip + 8, ip + 24, 16);
			memcpy(ip + 24, a, 16);
		} else {
			uint8_t a[4], *ip = dp_data(m) + DP_ETH_SIZE;

			memcpy(a, ip + 12, 4);
			memmove(ip + 12, ip + 16, 4);
			memcpy(ip + 16, a, 4);
		}
		m = rig_decap(m, 2);
		assert_non_null(m);
		assert_int_equal(m->pkt_len, 300);
		rte_pktmbuf_free(m);
		rig_del(3);
	}
}

static int start(void **state)
{
	return rig_start() ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(asked),       cmocka_unit_test(rules_asked),
		cmocka_unit_test(rules),       cmocka_unit_test(rules_queues),
		cmocka_unit_test(rules_full),  cmocka_unit_test(rx_checksum),
		cmocka_unit_test(tx_checksum), cmocka_unit_test(round_trip),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
