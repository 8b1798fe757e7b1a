/* SPDX-License-Identifier: Apache-2.0 */
/*
 * out: encapsulation in tunnel mode (RFC 4303 3.3, RFC 4301 5.1).
 *
 * A burst of one SA passes in phases: inspect (no packet is changed), reserve, build, seal, finish.
 */
#include <stdlib.h>
#include "base/secret.h"
#include "esp/esp_int.h"

/*
 * Without ESN a busy SA runs out of numbers in minutes: the last eighth of the space asks for a
 * rekey, as a soft limit does.
 */
#define SOFT_SEQ_SHARE 8

/* RFC 4303 2.4: the default content of the padding. */
static const uint8_t padding[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0};

static_assert(ESP_TRAILER_SIZE + ESP_ICV_MIN >= sizeof(padding) / 2,
	      "trailer and smallest ICV take half of the padding");

/* One packet on its way through the phases. */
struct out_step {
	struct esp_pkt *pkt;
	struct esp_inner inner;
	uint32_t payload; /* inner, padding, trailer */
};

struct esp_out *esp_out_new(struct esp_thread *t, const struct esp_sa_cfg *cfg)
{
	const uint64_t first = cfg->first_seq ? cfg->first_seq : 1;
	const uint64_t last = cfg->esn ? UINT64_MAX : UINT32_MAX;
	struct esp_out *sa = calloc(1, sizeof(*sa));

	if (!sa)
		return NULL;
	sa->backend = esp_thread_pick(t, &cfg->suite);
	sa->suite = cfg->suite;
	sa->spi = cfg->spi;
	sa->esn = cfg->esn;
	sa->outer.copy_dscp = cfg->copy_dscp;
	sa->outer.df = (uint8_t)cfg->df;
	sa->next_seq = first;
	sa->seq_left = first <= last ? last - first + 1 : 0;
	sa->soft_seq_left = last / SOFT_SEQ_SHARE;
	sa->soft_packets = esp_limit(cfg->soft_packets);
	sa->hard_packets = esp_limit(cfg->hard_packets);
	sa->soft_bytes = esp_limit(cfg->soft_bytes);
	sa->hard_bytes = esp_limit(cfg->hard_bytes);
	if (!sa->backend)
		goto fail;
	/* RFC 3602 3: a CBC IV must be unpredictable. */
	if (!cfg->suite.aead && !t->random)
		goto fail;
	if (!esp_outer_init(&sa->outer, cfg->spi, cfg->suite.iv_size, &cfg->local, &cfg->remote,
			    cfg->udp_encap))
		goto fail;
	if (!esp_ts_compile(&sa->ts, cfg->ts, cfg->n_ts, true))
		goto fail;
	sa->key = sa->backend->key_new(esp_thread_ctx(t, sa->backend), &cfg->suite, cfg->esn,
				       cfg->encr_key, cfg->integ_key);
	if (!sa->key)
		goto fail;
	return sa;
fail:
	esp_ts_fini(&sa->ts);
	free(sa);
	return NULL;
}

void esp_out_free(struct esp_out *sa)
{
	if (!sa)
		return;
	sa->backend->key_free(sa->key);
	esp_ts_fini(&sa->ts);
	bytes_wipe(sa, sizeof(*sa));
	free(sa);
}

void esp_out_set_peer(struct esp_out *sa, const struct ip_endpoint *local,
		      const struct ip_endpoint *remote, bool udp_encap)
{
	struct esp_outer o = sa->outer;

	if (esp_outer_init(&o, sa->spi, sa->suite.iv_size, local, remote, udp_encap))
		sa->outer = o;
}

void esp_out_state(const struct esp_out *sa, struct esp_out_state *out)
{
	*out = (struct esp_out_state){
		.packets = sa->packets,
		.bytes = sa->bytes,
		.next_seq = sa->next_seq,
		.soft_reached = sa->soft_reached,
		.exhausted = sa->exhausted,
	};
}

static enum esp_drop inspect_one(const struct esp_out *sa, const struct esp_pkt *p,
				 struct out_step *s)
{
	uint32_t tail;

	/* 1. The inner header; what follows its total length is link padding, cut off below. */
	switch (esp_inner_parse(p->data, p->size, &s->inner)) {
	case ESP_INNER_OK: break;
	case ESP_INNER_NOT_IP: return ESP_DROP_OUT_NOT_IP;
	case ESP_INNER_TRUNCATED: return ESP_DROP_OUT_TRUNCATED;
	case ESP_INNER_CHECKSUM: return ESP_DROP_OUT_CHECKSUM;
	}
	/* 2. RFC 4301 5.1.2.1: the encapsulator decrements, and what it may not forward ends here. */
	if (!p->from_self && s->inner.ttl <= 1)
		return ESP_DROP_OUT_TTL;
	/* 3. RFC 4301 5.1: only what the SA's selectors admit. */
	if (!esp_ts_match(&sa->ts, p->data, s->inner.total, s->inner.family))
		return ESP_DROP_OUT_SELECTOR;
	/* 4. Sizes. RFC 4303 2.4: the trailer ends on a boundary of the cipher's blocks. */
	s->payload = (s->inner.total + ESP_TRAILER_SIZE + sa->suite.align - 1u) &
		     ~(uint32_t)(sa->suite.align - 1u);
	if (sa->outer.prefix_size + s->payload + sa->suite.icv_size >
	    (sa->outer.v6 ? UINT16_MAX + ESP_IP6_HDR_SIZE : UINT16_MAX))
		return ESP_DROP_OUT_TOO_BIG;
	tail = p->size - s->inner.total + p->tailroom;
	if (p->headroom < sa->outer.prefix_size ||
	    tail < s->payload - s->inner.total + sa->suite.icv_size)
		return ESP_DROP_OUT_NO_ROOM;
	return ESP_DROP_OK;
}

static size_t inspect(const struct esp_out *sa, struct esp_pkt *pkts, size_t n,
		      struct out_step *steps)
{
	size_t n_steps = 0;

	for (size_t i = 0; i < n; i++) {
		if (i + ESP_PREFETCH_AHEAD < n)
			__builtin_prefetch(pkts[i + ESP_PREFETCH_AHEAD].data);
		steps[n_steps].pkt = &pkts[i];
		pkts[i].drop = inspect_one(sa, &pkts[i], &steps[n_steps]);
		n_steps += pkts[i].drop == ESP_DROP_OK;
	}
	return n_steps;
}

/*
 * Takes sequence numbers for as many of the steps as the limits allow, in order; the rest is
 * dropped. Once a hard limit has stopped the half, it never sends again.
 */
static size_t reserve(struct esp_out *sa, struct out_step *steps, size_t n, uint64_t *first_seq)
{
	size_t n_ok = 0;

	while (n_ok < n && !sa->exhausted) {
		const uint32_t size = steps[n_ok].inner.total;

		/* RFC 4303 3.3.3: the counter must not cycle; with GCM it is also the nonce. */
		if (n_ok >= sa->seq_left || sa->packets >= sa->hard_packets ||
		    size > sa->hard_bytes - sa->bytes) {
			sa->exhausted = true;
			break;
		}
		sa->packets++;
		sa->bytes += size;
		n_ok++;
	}
	*first_seq = sa->next_seq;
	sa->next_seq += n_ok;
	sa->seq_left -= n_ok;
	if (sa->packets >= sa->soft_packets || sa->bytes >= sa->soft_bytes ||
	    sa->seq_left <= sa->soft_seq_left)
		sa->soft_reached = true;
	for (size_t i = n_ok; i < n; i++)
		steps[i].pkt->drop = ESP_DROP_OUT_EXHAUSTED;
	return n_ok;
}

static inline void build_one(const struct esp_out *sa, struct out_step *s, uint64_t seq,
			     const uint8_t *cbc_iv, struct esp_job *job)
{
	struct esp_pkt *p = s->pkt;
	const uint32_t pad = s->payload - s->inner.total - ESP_TRAILER_SIZE;
	const uint32_t outer_size = sa->outer.prefix_size + s->payload + sa->suite.icv_size;
	uint8_t *trailer = p->data + s->inner.total;
	uint8_t *outer = p->data - sa->outer.prefix_size;
	uint8_t *esp = outer + sa->outer.esp_offset;

	/* 5. The inner header as it leaves a router. */
	if (!p->from_self)
		esp_inner_decrement_ttl(p->data, s->inner.family);
	/* 6. Padding, pad length, next header. Eight bytes reach into the ICV at most. */
	memcpy(trailer, padding, 8);
	if (pad > 8)
		memcpy(trailer + 8, padding + 8, 8);
	trailer[pad] = (uint8_t)pad;
	trailer[pad + 1] = s->inner.family == IP_V4 ? ESP_PROTO_IPV4 : ESP_PROTO_IPV6;
	/* 7. Outer headers and SPI; sequence number and IV. */
	esp_outer_build(&sa->outer, outer, outer_size, &s->inner, (uint16_t)(seq ^ sa->spi));
	esp_put32(esp + 4, (uint32_t)seq);
	if (sa->suite.aead)
		/* RFC 4106 3.1, RFC 7634 2: unique for the key's life; the sequence number is. */
		esp_put64(esp + ESP_HDR_SIZE, seq);
	else
		memcpy(esp + ESP_HDR_SIZE, cbc_iv, ESP_IV_MAX);
	*job = (struct esp_job){
		.key = sa->key,
		.esp = esp,
		.payload_size = s->payload,
		.seq_hi = (uint32_t)(seq >> 32),
	};
	p->tailroom += p->size;
	p->data = outer;
	p->size = outer_size;
	p->headroom -= sa->outer.prefix_size;
	p->tailroom -= outer_size - sa->outer.prefix_size;
}

size_t esp_encap(struct esp_thread *t, struct esp_out *sa, struct esp_pkt *pkts, size_t n)
{
	struct out_step steps[ESP_BURST_MAX];
	struct esp_job jobs[ESP_BURST_MAX];
	uint8_t ivs[ESP_BURST_MAX][ESP_IV_MAX];
	uint64_t seq;
	size_t n_jobs, n_ok = 0;

	assert(n <= ESP_BURST_MAX);
	n_jobs = inspect(sa, pkts, n, steps);
	n_jobs = reserve(sa, steps, n_jobs, &seq);
	if (n_jobs == 0)
		return 0;
	if (!sa->suite.aead)
		t->random(t->random_arg, ivs[0], n_jobs * ESP_IV_MAX);
	for (size_t i = 0; i < n_jobs; i++)
		build_one(sa, &steps[i], seq + i, ivs[i], &jobs[i]);
	sa->backend->seal(esp_thread_ctx(t, sa->backend), jobs, n_jobs);
	for (size_t i = 0; i < n_jobs; i++) {
		struct esp_pkt *p = steps[i].pkt;

		if (!jobs[i].ok) {
			/* Its number is spent; the plaintext may stand there still. */
			p->drop = ESP_DROP_OUT_CRYPTO;
			continue;
		}
		esp_outer_finish(&sa->outer, p->data, p->size);
		n_ok++;
	}
	return n_ok;
}
