/* SPDX-License-Identifier: Apache-2.0 */
/* nic_crypto: sessions in the ports' devices. See nic_crypto.h. */
#include "dataplane/nic_crypto.h"

#include <stdlib.h>
#include <rte_flow.h>
#include <rte_security.h>
#include <rte_security_driver.h>
#include "base/log.h"
#include "dataplane/cryptodev.h"
#include "dataplane/dp.h"

#define ICV_SIZE   16u
#define NONCE_SIZE 12u
#define SALT_SIZE  4u
#define RX_NEEDED  RTE_ETH_RX_OFFLOAD_SECURITY
#define TX_NEEDED  RTE_ETH_TX_OFFLOAD_SECURITY

/* --------------------------------------------------------- what is offered */

/* Keys of AES-GCM that one direction offers; false: none. */
static bool offered_keys(const struct rte_cryptodev_capabilities *c, bool bits[257])
{
	bool any = false;

	for (; c && c->op != RTE_CRYPTO_OP_TYPE_UNDEFINED; c++) {
		const struct rte_cryptodev_symmetric_capability *s = &c->sym;

		if (c->op != RTE_CRYPTO_OP_TYPE_SYMMETRIC ||
		    s->xform_type != RTE_CRYPTO_SYM_XFORM_AEAD ||
		    s->aead.algo != RTE_CRYPTO_AEAD_AES_GCM)
			continue;
		for (uint16_t n = 128; n <= 256; n = (uint16_t)(n + 64)) {
			bits[n] = rte_cryptodev_sym_capability_check_aead(s, n / 8, ICV_SIZE, 8,
									  NONCE_SIZE) == 0;
			any |= bits[n];
		}
	}
	return any;
}

static const struct rte_security_capability *
capability(void *ctx, enum rte_security_ipsec_sa_direction direction)
{
	struct rte_security_capability_idx want = {
		.action = RTE_SECURITY_ACTION_TYPE_INLINE_CRYPTO,
		.protocol = RTE_SECURITY_PROTOCOL_IPSEC,
		.ipsec = {.proto = RTE_SECURITY_IPSEC_SA_PROTO_ESP,
			  .mode = RTE_SECURITY_IPSEC_SA_MODE_TUNNEL,
			  .direction = direction},
	};

	return rte_security_capability_get(ctx, &want);
}

/* Both directions, for the same keys, in the form that we build and read. */
static bool offered(void *ctx, struct dp_nic_crypto *out)
{
	const struct rte_security_capability *seal, *open;
	bool seals[257] = {false}, opens[257] = {false}, any = false;

	seal = capability(ctx, RTE_SECURITY_IPSEC_SA_DIR_EGRESS);
	open = capability(ctx, RTE_SECURITY_IPSEC_SA_DIR_INGRESS);
	if (!seal || !open || (seal->ol_flags & RTE_SECURITY_TX_HW_TRAILER_OFFLOAD) ||
	    (open->ol_flags & RTE_SECURITY_RX_HW_TRAILER_OFFLOAD) ||
	    !offered_keys(seal->crypto_capabilities, seals) ||
	    !offered_keys(open->crypto_capabilities, opens))
		return false;
	for (size_t i = 0; i < RTE_DIM(seals); i++) {
		out->key_bits[i] = seals[i] && opens[i];
		any |= out->key_bits[i];
	}
	out->metadata = seal->ol_flags & RTE_SECURITY_TX_OLOAD_NEED_MDATA;
	return any;
}

void dp_nic_crypto_configure(struct dp_port *p, const struct rte_eth_dev_info *info,
			     uint32_t n_sessions, struct rte_eth_conf *conf)
{
	void *ctx = rte_eth_dev_get_sec_ctx(p->id);
	struct dp_nic_crypto *n = &p->nic_crypto;
	uint8_t *state = &p->offloads.state[DP_OFFLOAD_INLINE_CRYPTO];
	char name[32];

	*n = (struct dp_nic_crypto){.ctx = NULL};
	*state = DP_OFFLOAD_NOT_OFFERED;
	if (!ctx || !(info->rx_offload_capa & RX_NEEDED) || !(info->tx_offload_capa & TX_NEEDED) ||
	    !offered(ctx, n))
		return;
	*state = DP_OFFLOAD_OFF;
	if (p->cfg->offloads != CONFIG_OFFLOADS_INLINE_CRYPTO)
		return;
	snprintf(name, sizeof(name), "dp-nic-sessions-%u", p->index);
	n->sessions = rte_mempool_create(name, n_sessions,
					 (unsigned)sizeof(struct rte_security_session) +
						 rte_security_session_get_size(ctx),
					 0, 0, NULL, NULL, NULL, NULL, SOCKET_ID_ANY, 0);
	if (!n->sessions) {
		log_warn("port '%s': no memory for sessions of inline crypto: not used",
			 p->cfg->name);
		return;
	}
	dp_cryptodev_hide(n->sessions);
	n->ctx = ctx;
	*state = DP_OFFLOAD_ON;
	conf->rxmode.offloads |= RX_NEEDED;
	conf->txmode.offloads |= TX_NEEDED;
}

void dp_nic_crypto_fini(struct dp_port *p)
{
	rte_mempool_free(p->nic_crypto.sessions);
	p->nic_crypto = (struct dp_nic_crypto){.ctx = NULL};
}

/* ---------------------------------------------------------------- sessions */

static void tunnel_set(struct rte_security_ipsec_tunnel_param *t, const struct ip_addr *from,
		       const struct ip_addr *to)
{
	if (from->family == IP_V4) {
		t->type = RTE_SECURITY_IPSEC_TUNNEL_IPV4;
		memcpy(&t->ipv4.src_ip, from->b, 4);
		memcpy(&t->ipv4.dst_ip, to->b, 4);
	} else {
		t->type = RTE_SECURITY_IPSEC_TUNNEL_IPV6;
		memcpy(&t->ipv6.src_addr, from->b, 16);
		memcpy(&t->ipv6.dst_addr, to->b, 16);
	}
}

static void *session_of(const struct dp_nic_crypto *n, const struct esp_sa_cfg *cfg, bool seal)
{
	const uint16_t key_size = cfg->suite.encr_key_bits / 8u;
	struct rte_crypto_sym_xform xform = {
		.type = RTE_CRYPTO_SYM_XFORM_AEAD,
		.aead = {.op = seal ? RTE_CRYPTO_AEAD_OP_ENCRYPT : RTE_CRYPTO_AEAD_OP_DECRYPT,
			 .algo = RTE_CRYPTO_AEAD_AES_GCM,
			 .key = {.data = cfg->encr_key, .length = key_size},
			 .iv = {.length = NONCE_SIZE},
			 .digest_length = ICV_SIZE,
			 .aad_length = 8},
	};
	struct rte_security_session_conf conf = {
		.action_type = RTE_SECURITY_ACTION_TYPE_INLINE_CRYPTO,
		.protocol = RTE_SECURITY_PROTOCOL_IPSEC,
		.ipsec = {.spi = cfg->spi,
			  .direction = seal ? RTE_SECURITY_IPSEC_SA_DIR_EGRESS
					    : RTE_SECURITY_IPSEC_SA_DIR_INGRESS,
			  .proto = RTE_SECURITY_IPSEC_SA_PROTO_ESP,
			  .mode = RTE_SECURITY_IPSEC_SA_MODE_TUNNEL},
		.crypto_xform = &xform,
	};

	/* RFC 4106 8.1: the salt follows the key. Drivers take it as it stands in memory. */
	memcpy(&conf.ipsec.salt, cfg->encr_key + key_size, SALT_SIZE);
	tunnel_set(&conf.ipsec.tunnel, seal ? &cfg->local.addr : &cfg->remote.addr,
		   seal ? &cfg->remote.addr : &cfg->local.addr);
	return rte_security_session_create(n->ctx, &conf, n->sessions);
}

static struct dp_nic_session *make(struct dp *dp, const struct esp_sa_cfg *cfg, bool seal)
{
	struct dp_port *p = dp_port_of_address(dp, &cfg->local.addr);
	const bool v6 = cfg->local.addr.family == IP_V6;
	struct dp_nic_session *s;

	if (!p || !p->nic_crypto.ctx || cfg->suite.encr != ESP_ENCR_AES_GCM_16 ||
	    !p->nic_crypto.key_bits[cfg->suite.encr_key_bits] || cfg->esn || cfg->udp_encap)
		return NULL;
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->ctx = p->nic_crypto.ctx;
	s->session = session_of(&p->nic_crypto, cfg, seal);
	if (!s->session) {
		free(s);
		return NULL;
	}
	s->port_id = p->id;
	s->port = (uint8_t)p->index;
	s->metadata = p->nic_crypto.metadata;
	s->l3_size = v6 ? 40 : 20;
	s->tx_flags = RTE_MBUF_F_TX_SEC_OFFLOAD | (v6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4);
	return s;
}

static void end(struct dp_nic_session *s)
{
	if (rte_security_session_destroy(s->ctx, s->session) != 0)
		log_warn("a session of inline crypto does not end");
	free(s);
}

struct dp_nic_session *dp_nic_seal_new(struct dp *dp, const struct esp_sa_cfg *cfg)
{
	return make(dp, cfg, true);
}

struct dp_nic_session *dp_nic_open_new(struct dp *dp, const struct esp_sa_cfg *cfg, uint32_t owner)
{
	struct dp_nic_session *s = make(dp, cfg, false);
	struct dp_port *p;

	if (!s)
		return NULL;
	p = &dp->ports[s->port];
	s->rule = dp_offload_rule_open(p, cfg->local.addr.family == IP_V6, cfg->spi,
				       dp_offload_queue(p, owner, dp->n_workers), s->session);
	if (!s->rule) {
		end(s);
		return NULL;
	}
	return s;
}

void dp_nic_retire(struct dp *dp, struct dp_nic_session *s)
{
	struct rte_flow_error error;

	if (!s)
		return;
	if (s->rule)
		(void)rte_flow_destroy(s->port_id, s->rule, &error);
	s->rule = NULL;
	s->end = mono_add(dp->now, span_s(NIC_CRYPTO_DRAIN_S));
	s->next = dp->nic_retired;
	dp->nic_retired = s;
}

void dp_nic_tick(struct dp *dp, bool all)
{
	struct dp_nic_session **at = &dp->nic_retired, *s;

	while ((s = *at)) {
		if (all || mono_reached(dp->now, s->end)) {
			*at = s->next;
			end(s);
		} else {
			at = &s->next;
		}
	}
}

/* ----------------------------------------------------------------- packets */

bool dp_nic_saw(const struct rte_mbuf *m)
{
	return m->ol_flags & RTE_MBUF_F_RX_SEC_OFFLOAD;
}

bool dp_nic_opened(const struct rte_mbuf *m)
{
	return (m->ol_flags & (RTE_MBUF_F_RX_SEC_OFFLOAD | RTE_MBUF_F_RX_SEC_OFFLOAD_FAILED)) ==
	       RTE_MBUF_F_RX_SEC_OFFLOAD;
}

bool dp_nic_seal(const struct dp_nic_session *s, struct rte_mbuf *m)
{
	m->ol_flags |= s->tx_flags;
	m->l2_len = DP_ETH_SIZE;
	m->l3_len = s->l3_size;
	return !s->metadata || rte_security_set_pkt_metadata(s->ctx, s->session, m, NULL) == 0;
}
