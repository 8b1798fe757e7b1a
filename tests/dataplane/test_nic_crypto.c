/* SPDX-License-Identifier: Apache-2.0 */
/* ESP by a port's device (nic_crypto.h), which is simulated: sealed and opened by OpenSSL with the keys
 * that the sessions were given. */
#include "rig.h"

#include <rte_cryptodev.h>
#include <rte_security.h>
#include <rte_security_driver.h>
#include "dataplane/nic_crypto.h"

#define ICV 16u

/* ---- the device ------------------------------------------------------------------------------ */

struct session {
	bool seal;
	uint32_t spi;
	uint8_t key[36], key_size; /* and salt */
};

static unsigned n_sessions;
static const struct session *told; /* of the packet that was shown last */
static int metadata_result;

static int session_create(void *device, struct rte_security_session_conf *conf,
			  struct rte_security_session *s)
{
	struct session *own = SECURITY_GET_SESS_PRIV(s);
	const struct rte_crypto_aead_xform *a = &conf->crypto_xform->aead;

	assert_int_equal(conf->action_type, RTE_SECURITY_ACTION_TYPE_INLINE_CRYPTO);
	assert_int_equal(conf->protocol, RTE_SECURITY_PROTOCOL_IPSEC);
	assert_int_equal(conf->ipsec.proto, RTE_SECURITY_IPSEC_SA_PROTO_ESP);
	assert_int_equal(conf->ipsec.mode, RTE_SECURITY_IPSEC_SA_MODE_TUNNEL);
	assert_int_equal(conf->crypto_xform->type, RTE_CRYPTO_SYM_XFORM_AEAD);
	assert_int_equal(a->algo, RTE_CRYPTO_AEAD_AES_GCM);
	assert_int_equal(a->digest_length, ICV);
	own->seal = conf->ipsec.direction == RTE_SECURITY_IPSEC_SA_DIR_EGRESS;
	assert_int_equal(a->op,
			 own->seal ? RTE_CRYPTO_AEAD_OP_ENCRYPT : RTE_CRYPTO_AEAD_OP_DECRYPT);
	own->spi = conf->ipsec.spi;
	own->key_size = (uint8_t)a->key.length;
	memcpy(own->key, a->key.data, own->key_size);
	memcpy(own->key + own->key_size, &conf->ipsec.salt, 4);
	n_sessions++;
	return 0;
}

static int session_destroy(void *device, struct rte_security_session *s)
{
	n_sessions--;
	return 0;
}

static unsigned session_size(void *device)
{
	return sizeof(struct session);
}

static int set_metadata(void *device, struct rte_security_session *s, struct rte_mbuf *m,
			void *params)
{
	told = SECURITY_GET_SESS_PRIV(s);
	return metadata_result;
}

static const struct rte_cryptodev_capabilities gcm_128[] = {
	{.op = RTE_CRYPTO_OP_TYPE_SYMMETRIC,
	 .sym = {.xform_type = RTE_CRYPTO_SYM_XFORM_AEAD,
		 .aead = {.algo = RTE_CRYPTO_AEAD_AES_GCM,
			  .block_size = 16,
			  .key_size = {16, 16, 0},
			  .digest_size = {16, 16, 0},
			  .aad_size = {8, 12, 4},
			  .iv_size = {12, 12, 0}}}},
	RTE_CRYPTODEV_END_OF_CAPABILITIES_LIST(),
};

static struct rte_security_capability capabilities[3];

static const struct rte_security_capability *get_capabilities(void *device)
{
	return capabilities;
}

static const struct rte_security_ops ops = {
	.session_create = session_create,
	.session_get_size = session_size,
	.session_destroy = session_destroy,
	.set_pkt_metadata = set_metadata,
	.capabilities_get = get_capabilities,
};
static struct rte_security_ctx context = {.ops = &ops};

static void offer(void)
{
	for (unsigned i = 0; i < 2; i++)
		capabilities[i] = (struct rte_security_capability){
			.action = RTE_SECURITY_ACTION_TYPE_INLINE_CRYPTO,
			.protocol = RTE_SECURITY_PROTOCOL_IPSEC,
			.ipsec = {.proto = RTE_SECURITY_IPSEC_SA_PROTO_ESP,
				  .mode = RTE_SECURITY_IPSEC_SA_MODE_TUNNEL,
				  .direction = i ? RTE_SECURITY_IPSEC_SA_DIR_INGRESS
						 : RTE_SECURITY_IPSEC_SA_DIR_EGRESS},
			.crypto_capabilities = gcm_128,
			.ol_flags = i ? 0 : RTE_SECURITY_TX_OLOAD_NEED_MDATA,
		};
	capabilities[2] = (struct rte_security_capability){.action = RTE_SECURITY_ACTION_TYPE_NONE};
}

/* The device at work on a frame, by OpenSSL. */
static bool work(const struct session *s, struct rte_mbuf *frame, uint32_t l3_size)
{
	const struct esp_backend *b = &esp_backend_openssl;
	void *ctx = b->ctx_new();
	struct esp_suite suite;
	struct esp_job job;

	assert_true(esp_suite_init(&suite, ESP_ENCR_AES_GCM_16, s->key_size * 8u, 0));
	job = (struct esp_job){
		.key = b->key_new(ctx, &suite, false, s->key, NULL),
		.esp = rte_pktmbuf_mtod_offset(frame, uint8_t *, DP_ETH_SIZE + l3_size),
		.payload_size = frame->pkt_len - DP_ETH_SIZE - l3_size - 16 - ICV,
	};
	assert_int_equal(dp_get32(job.esp), s->spi);
	if (s->seal)
		b->seal(ctx, &job, 1);
	else
		b->open(ctx, &job, 1);
	b->key_free((struct esp_key *)(uintptr_t)job.key);
	b->ctx_free(ctx);
	return job.ok;
}

static void device_send(struct rte_mbuf *m)
{
	assert_true(m->ol_flags & RTE_MBUF_F_TX_SEC_OFFLOAD);
	assert_int_equal(m->l2_len, DP_ETH_SIZE);
	assert_true(told && told->seal);
	assert_true(work(told, m, m->l3_len));
	m->ol_flags = 0;
}

/* As rules have it. */
static void device_receive(struct rte_mbuf *m, uint32_t l3_size)
{
	const uint32_t spi = dp_get32(rte_pktmbuf_mtod_offset(m, uint8_t *, DP_ETH_SIZE + l3_size));

	for (unsigned i = 0; i < RIG_MAX_RULES; i++) {
		const struct rte_flow *r = &rig_device.rules[i];

		if (!r->used || r->spi != spi || !r->session)
			continue;
		m->ol_flags |= RTE_MBUF_F_RX_SEC_OFFLOAD;
		if (!work(SECURITY_GET_SESS_PRIV(r->session), m, l3_size))
			m->ol_flags |= RTE_MBUF_F_RX_SEC_OFFLOAD_FAILED;
	}
}

/* ---- tests ----------------------------------------------------------------------------------- */

static struct config_port cfg;

static unsigned configure(void *ctx, uint64_t rx, uint64_t tx, enum config_offloads wanted,
			  struct rte_eth_conf *conf)
{
	const struct rte_eth_dev_info info = {.rx_offload_capa = rx, .tx_offload_capa = tx};
	struct dp_port *p = &rig.ports[0];

	dp_nic_crypto_fini(p);
	*conf = (struct rte_eth_conf){.lpbk_mode = 0};
	cfg.offloads = wanted;
	rig_device.security = ctx;
	dp_nic_crypto_configure(p, &info, 64, conf);
	rig.inline_crypto = dp_offload_on(&p->offloads, DP_OFFLOAD_INLINE_CRYPTO);
	return p->offloads.state[DP_OFFLOAD_INLINE_CRYPTO];
}

#define RX   RTE_ETH_RX_OFFLOAD_SECURITY
#define TX   RTE_ETH_TX_OFFLOAD_SECURITY
#define WISH CONFIG_OFFLOADS_INLINE_CRYPTO

static void use(void)
{
	struct rte_eth_conf conf;

	offer();
	rig_device = (struct rig_device){.takes = {{true, true}, {true, true}}, .room = 8};
	assert_int_equal(configure(&context, RX, TX, WISH, &conf), DP_OFFLOAD_ON);
	assert_true(conf.rxmode.offloads == RX && conf.txmode.offloads == TX);
}

static void do_without(void)
{
	struct rte_eth_conf conf;

	assert_int_equal(configure(NULL, 0, 0, WISH, &conf), DP_OFFLOAD_NOT_OFFERED);
}

static void asked(void **state)
{
	struct rte_eth_conf conf;

	offer();
	assert_int_equal(configure(NULL, RX, TX, WISH, &conf), DP_OFFLOAD_NOT_OFFERED);
	assert_int_equal(configure(&context, 0, TX, WISH, &conf), DP_OFFLOAD_NOT_OFFERED);
	assert_int_equal(configure(&context, RX, 0, WISH, &conf), DP_OFFLOAD_NOT_OFFERED);
	assert_int_equal(configure(&context, RX, TX, CONFIG_OFFLOADS_AUTO, &conf), DP_OFFLOAD_OFF);
	assert_true(conf.rxmode.offloads == 0 && conf.txmode.offloads == 0);
	assert_int_equal(configure(&context, RX, TX, CONFIG_OFFLOADS_OFF, &conf), DP_OFFLOAD_OFF);
	/* One direction; a device that makes or takes trailers itself; another action. */
	capabilities[1].action = RTE_SECURITY_ACTION_TYPE_NONE;
	assert_int_equal(configure(&context, RX, TX, WISH, &conf), DP_OFFLOAD_NOT_OFFERED);
	offer();
	capabilities[0].ol_flags |= RTE_SECURITY_TX_HW_TRAILER_OFFLOAD;
	assert_int_equal(configure(&context, RX, TX, WISH, &conf), DP_OFFLOAD_NOT_OFFERED);
	offer();
	capabilities[1].ol_flags |= RTE_SECURITY_RX_HW_TRAILER_OFFLOAD;
	assert_int_equal(configure(&context, RX, TX, WISH, &conf), DP_OFFLOAD_NOT_OFFERED);
	offer();
	capabilities[0].action = RTE_SECURITY_ACTION_TYPE_INLINE_PROTOCOL;
	assert_int_equal(configure(&context, RX, TX, WISH, &conf), DP_OFFLOAD_NOT_OFFERED);
	use();
	do_without();
}

/* The peer's addresses are ours turned around. */
static void turn(struct rte_mbuf *frame, unsigned flags)
{
	const uint32_t n = flags & RIG_V6 ? 16 : 4;
	uint8_t *a = dp_data(frame) + DP_ETH_SIZE + (flags & RIG_V6 ? 8 : 12), t[16];

	memcpy(t, a, n);
	memcpy(a, a + n, n);
	memcpy(a + n, t, n);
}

static uint32_t l3_of(unsigned flags)
{
	return flags & RIG_V6 ? 40 : 20;
}

/* What the device seals is, bit by bit, what the software seals with the same key and number. */
static void sealed(void **state)
{
	for (unsigned flags = 0; flags < 2; flags++) {
		for (uint32_t size = 40; size < 1400; size += 311) {
			struct rte_mbuf *by_us, *by_nic;

			do_without();
			rig_add_out(1, 0, flags);
			by_us = rig_encap(rig_inner(size), 0);
			assert_int_equal(by_us->ol_flags & RTE_MBUF_F_TX_OFFLOAD_MASK, 0);
			rig_del(1);
			use();
			rig_add_out(1, 0, flags);
			by_nic = rig_encap(rig_inner(size), 0);
			assert_int_equal(by_nic->pkt_len, by_us->pkt_len);
			device_send(by_nic);
			assert_memory_equal(dp_data(by_nic), dp_data(by_us), by_us->pkt_len);
			rte_pktmbuf_free(by_us);
			rte_pktmbuf_free(by_nic);
			rig_del(1);
			dp_nic_tick(&rig, true);
			assert_int_equal(n_sessions, 0);
		}
	}
}

/* Good and bad, by the device and by us, in one burst: none changes its neighbours. */
static void opened(void **state)
{
	for (unsigned flags = 0; flags < 2; flags++) {
		enum { N = 8 };
		struct dp_worker *w = rig.workers[1];
		struct rte_mbuf *m[N], *again;
		const uint64_t failed = rig_drops(dp_drop_of_esp(ESP_DROP_IN_AUTH));
		const uint64_t replayed = rig_drops(dp_drop_of_esp(ESP_DROP_IN_REPLAYED));

		use();
		rig_add_in(2, 1, flags);
		rig_add_out(2, 1, flags);
		assert_int_equal(rig_device.n_rules, 1);
		assert_int_equal(n_sessions, 2);
		assert_int_equal(rig_device.rules[0].queue, 1);
		for (uint32_t i = 0; i < N; i++) {
			m[i] = rig_encap(rig_inner(100 + i), 1);
			device_send(m[i]);
			turn(m[i], flags);
			memcpy(dp_data(m[i]), &rig.ports[0].mac, 6);
		}
		again = rig_packet(dp_data(m[0]), m[0]->pkt_len);
		/* 3: spoilt, seen by the device; 5: spoilt, seen by us; 6, 7: came by another way */
		dp_data(m[3])[m[3]->pkt_len - 1] ^= 1;
		dp_data(m[5])[m[5]->pkt_len - 30] ^= 1;
		for (uint32_t i = 0; i < 5; i++)
			device_receive(m[i], l3_of(flags));
		dp_classify(w, 0, m, N);
		dp_decap(w);
		assert_int_equal(w->to_linux.n, N - 2);
		for (uint16_t i = 0, k = 0; i < N; i++) {
			struct rte_mbuf *want;

			if (i == 3 || i == 5)
				continue;
			want = rig_inner(100u + i);
			assert_int_equal(w->to_linux.m[k]->pkt_len, 100 + i);
			assert_memory_equal(dp_data(w->to_linux.m[k]) + 20, dp_data(want) + 20,
					    80 + i);
			rte_pktmbuf_free(want);
			rte_pktmbuf_free(w->to_linux.m[k++]);
		}
		w->to_linux.n = 0;
		assert_int_equal(rig_drops(dp_drop_of_esp(ESP_DROP_IN_AUTH)), failed + 2);
		/* That it is authentic makes it no newer. */
		device_receive(again, l3_of(flags));
		assert_null(rig_decap(again, 1));
		assert_int_equal(rig_drops(dp_drop_of_esp(ESP_DROP_IN_REPLAYED)), replayed + 1);
		rig_del(2);
		assert_int_equal(rig_device.n_rules, 0);
		dp_nic_tick(&rig, true);
	}
}

/* The device's word counts for SAs that it has; for others it makes nothing authentic. */
static void not_its_own(void **state)
{
	const uint64_t failed = rig_drops(dp_drop_of_esp(ESP_DROP_IN_AUTH));
	struct rte_mbuf *m;

	use();
	rig_device.room = 0; /* no rule: all by us */
	rig_add_in(2, 1, 0);
	rig_add_out(2, 1, 0);
	assert_null(rig.sas.in[2]->nic);
	m = rig_encap(rig_inner(200), 1);
	turn(m, 0); /* plaintext still, and told to be good */
	m->ol_flags = RTE_MBUF_F_RX_SEC_OFFLOAD;
	assert_null(rig_decap(m, 1));
	assert_int_equal(rig_drops(dp_drop_of_esp(ESP_DROP_IN_AUTH)), failed + 1);
	rig_del(2);
	dp_nic_tick(&rig, true);
	assert_int_equal(n_sessions, 0);
}

/* What the device does not do is done by us, and never leaves as plaintext. */
static void by_us(void **state)
{
	static const uint8_t mac[6] = {2, 0, 0, 0, 0, 2};
	struct ip_addr peer;
	struct rte_mbuf *m;

	use();
	for (unsigned flags = RIG_UDP; flags < 8; flags++) {
		rig_add_in(3, 0, flags);
		rig_add_out(3, 0, flags);
		assert_int_equal(n_sessions, 0);
		m = rig_encap(rig_inner(100), 0);
		assert_int_equal(m->ol_flags & RTE_MBUF_F_TX_SEC_OFFLOAD, 0);
		rte_pktmbuf_free(m);
		rig_del(3);
	}
	rig_add_out(3, 0, 0);
	/* The driver refuses the packet. */
	metadata_result = -1;
	assert_null(rig_encap(rig_inner(100), 0));
	metadata_result = 0;
	/* The next hop has no address for now: sealed, then it waits. */
	assert_true(ip_parse("192.0.2.2", &peer));
	dp_neigh_update(&rig, 0, &peer, NULL, false);
	assert_null(rig_encap(rig_inner(100), 0));
	assert_int_equal(rig.workers[0]->to_linux.n, 1);
	m = rig.workers[0]->to_linux.m[0];
	rig.workers[0]->to_linux.n = 0;
	assert_int_equal(m->ol_flags & RTE_MBUF_F_TX_SEC_OFFLOAD, 0);
	{
		struct rte_mbuf *inner = rig_inner(100);

		assert_memory_not_equal(dp_data(m) + 36, dp_data(inner), 100);
		rte_pktmbuf_free(inner);
	}
	rte_pktmbuf_free(m);
	dp_neigh_update(&rig, 0, &peer, mac, false);
	m = rig_encap(rig_inner(100), 0);
	assert_true(m->ol_flags & RTE_MBUF_F_TX_SEC_OFFLOAD);
	rte_pktmbuf_free(m);
	rig_del(3);
	dp_nic_tick(&rig, true);
}

/* A session ends when nothing can stand in the device any more; its rule at once. */
static void ended(void **state)
{
	const struct mono was = rig.now;

	use();
	rig_add_in(4, 0, 0);
	rig_add_out(4, 0, 0);
	assert_int_equal(n_sessions, 2);
	rig_del(4);
	assert_int_equal(rig_device.n_rules, 0);
	dp_nic_tick(&rig, false);
	assert_int_equal(n_sessions, 2);
	rig.now = mono_add(rig.now, span_s(NIC_CRYPTO_DRAIN_S));
	dp_nic_tick(&rig, false);
	assert_int_equal(n_sessions, 0);
	rig.now = was;
}

static int start(void **state)
{
	if (!rig_start())
		return -1;
	cfg = *rig.ports[0].cfg;
	rig.ports[0].cfg = &cfg;
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(asked),       cmocka_unit_test(sealed), cmocka_unit_test(opened),
		cmocka_unit_test(not_its_own), cmocka_unit_test(by_us),  cmocka_unit_test(ended),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
