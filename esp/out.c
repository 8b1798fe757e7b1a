/* SPDX-License-Identifier: Apache-2.0 */
/*
 * out: encapsulation in tunnel mode (RFC 4303 3.3, RFC 4301 5.1).
 *
 * prepare takes each packet through inspection, reservation of its sequence number and construction
 * at once; then the batch is sealed; finish ends what depends on the ciphertext.
 */
#include "base/key_mem.h"
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

size_t esp_out_size(void)
{
	return sizeof(struct esp_out);
}

bool esp_out_init(struct esp_out *sa, struct esp_thread *t, const struct esp_sa_cfg *cfg)
{
	const uint64_t first = cfg->first_seq ? cfg->first_seq : 1;
	const uint64_t last = cfg->esn ? UINT64_MAX : UINT32_MAX;
	const struct esp_aead *aead = esp_thread_pick(t, &cfg->suite);

	if (!aead)
		return false;
	sa->aead = (uint8_t)(aead - t->aead);
	sa->backend = aead->backend;
	sa->suite = cfg->suite;
	sa->counter_iv = cfg->suite.aead;
	sa->icv_size = cfg->suite.icv_size;
	sa->align_mask = (uint8_t)(cfg->suite.align - 1u);
	sa->spi = cfg->spi;
	sa->esn = cfg->esn;
	esp_outer_set_policy(&sa->outer, cfg->copy_dscp, cfg->df);
	sa->state.next_seq = first;
	sa->seq_left = first <= last ? last - first + 1 : 0;
	sa->soft_packets = esp_limit(cfg->soft_packets);
	sa->hard_packets = esp_limit(cfg->hard_packets);
	sa->soft_bytes = esp_limit(cfg->soft_bytes);
	sa->hard_bytes = esp_limit(cfg->hard_bytes);
	/* RFC 3602 3: a CBC IV must be unpredictable. */
	if (!cfg->suite.aead && !t->random)
		goto fail;
	if (!esp_outer_init(&sa->outer, cfg->spi, cfg->suite.iv_size, &cfg->local, &cfg->remote,
			    cfg->udp_encap))
		goto fail;
	if (!esp_ts_compile(&sa->ts, cfg->ts, cfg->n_ts, true))
		goto fail;
	sa->key = aead->backend->key_new(aead->ctx, &cfg->suite, cfg->esn, cfg->encr_key,
					 cfg->integ_key);
	if (!sa->key)
		goto fail;
	return true;
fail:
	esp_ts_fini(&sa->ts);
	return false;
}

void esp_out_fini(struct esp_out *sa)
{
	sa->backend->key_free(sa->key);
	esp_ts_fini(&sa->ts);
}

struct esp_out *esp_out_new(struct esp_thread *t, const struct esp_sa_cfg *cfg)
{
	struct esp_out *sa = key_mem_alloc(sizeof(*sa));

	if (sa && esp_out_init(sa, t, cfg))
		return sa;
	key_mem_free(sa);
	return NULL;
}

void esp_out_free(struct esp_out *sa)
{
	if (!sa)
		return;
	esp_out_fini(sa);
	key_mem_free(sa);
}

void esp_out_set_peer(struct esp_out *sa, const struct ip_endpoint *local,
		      const struct ip_endpoint *remote, bool udp_encap)
{
	struct esp_outer o = sa->outer;

	if (esp_outer_init(&o, sa->spi, sa->suite.iv_size, local, remote, udp_encap))
		sa->outer = o;
}

void esp_out_leave_udp_sum(struct esp_out *sa, bool left)
{
	sa->outer.udp_sum_left = left;
}

const struct esp_out_state *esp_out_state_view(const struct esp_out *sa)
{
	return &sa->state;
}

void esp_out_state(const struct esp_out *sa, struct esp_out_state *out)
{
	*out = sa->state;
}

/* Steps 1 to 4: whether this SA may carry the packet. Nothing is changed. */
static inline enum esp_drop inspect(const struct esp_out *sa, const struct esp_pkt *p,
				    struct esp_inner *inner, uint32_t *payload)
{
	uint32_t tail;

	/* 1. The inner header; what follows its total length is link padding, cut off below. */
	if (p->inner_family == IP_V4) {
		esp_inner_read_v4(p->data, p->size, inner);
	} else if (p->inner_family == IP_V6) {
		esp_inner_read_v6(p->data, p->size, inner);
	} else {
		switch (esp_inner_parse(p->data, p->size, inner)) {
		case ESP_INNER_OK: break;
		case ESP_INNER_NOT_IP: return ESP_DROP_OUT_NOT_IP;
		case ESP_INNER_TRUNCATED: return ESP_DROP_OUT_TRUNCATED;
		case ESP_INNER_CHECKSUM: return ESP_DROP_OUT_CHECKSUM;
		}
	}
	/* 2. RFC 4301 5.1.2.1: the encapsulator decrements, and what it may not forward ends here. */
	if (!p->from_self && inner->ttl <= 1)
		return ESP_DROP_OUT_TTL;
	/* 3. RFC 4301 5.1: only what the SA's selectors admit. */
	if (!esp_ts_match(&sa->ts, p->data, inner->total, inner->family))
		return ESP_DROP_OUT_SELECTOR;
	/* 4. Sizes. RFC 4303 2.4: the trailer ends on a boundary of the cipher's blocks. */
	*payload = (inner->total + ESP_TRAILER_SIZE + sa->align_mask) & ~(uint32_t)sa->align_mask;
	if (sa->outer.prefix_size + *payload + sa->icv_size > sa->outer.size_max)
		return ESP_DROP_OUT_TOO_BIG;
	tail = p->size - inner->total + p->tailroom;
	if (p->headroom < sa->outer.prefix_size || tail < *payload - inner->total + sa->icv_size)
		return ESP_DROP_OUT_NO_ROOM;
	return ESP_DROP_OK;
}

/* Steps 6 to 8: everything around the payload, and the job that seals it. */
static inline void build(const struct esp_out *sa, struct esp_pkt *p, const struct esp_inner *inner,
			 uint32_t payload, uint64_t seq, const uint8_t *cbc_iv, struct esp_job *job)
{
	const uint32_t pad = payload - inner->total - ESP_TRAILER_SIZE;
	const uint32_t outer_size = sa->outer.prefix_size + payload + sa->icv_size;
	const uint8_t next = inner->family == IP_V4 ? ESP_PROTO_IPV4 : ESP_PROTO_IPV6;
	const uint16_t trailer = (uint16_t)(pad | (uint32_t)next << 8);
	uint8_t *end = p->data + inner->total;
	uint8_t *outer = p->data - sa->outer.prefix_size;
	uint8_t *esp = outer + sa->outer.esp_offset;

	/* 6. The inner header as it leaves a router. */
	if (!p->from_self)
		esp_inner_decrement_ttl(p->data, inner->family);
	/* 7. Padding, pad length, next header. Eight bytes reach into the ICV at most. */
	memcpy(end, padding, 8);
	if (pad > 8)
		memcpy(end + 8, padding + 8, 8);
	memcpy(end + pad, &trailer, ESP_TRAILER_SIZE);
	/* 8. Outer headers and SPI; sequence number and IV. */
	esp_outer_build(&sa->outer, outer, outer_size, inner, (uint16_t)(seq ^ sa->spi));
	if (sa->outer.udp && p->source_port)
		esp_put16(esp - ESP_UDP_HDR_SIZE, p->source_port);
	esp_put32(esp + 4, (uint32_t)seq);
	if (sa->counter_iv)
		/* RFC 4106 3.1, RFC 7634 2: unique for the key's life; the sequence number is. */
		esp_put64(esp + ESP_HDR_SIZE, seq);
	else
		memcpy(esp + ESP_HDR_SIZE, cbc_iv, ESP_IV_MAX);
	*job = (struct esp_job){
		.key = sa->key,
		.esp = esp,
		.payload_size = payload,
		.seq_hi = (uint32_t)(seq >> 32),
	};
	p->tailroom += p->size;
	p->data = outer;
	p->size = outer_size;
	p->headroom -= sa->outer.prefix_size;
	p->tailroom -= outer_size - sa->outer.prefix_size;
}

/* Pad bytes, pad length, next header; by the pad length. */
static const uint64_t trailers_v4[4] = {
	ESP_PROTO_IPV4 << 8,
	1 | 1 << 8 | ESP_PROTO_IPV4 << 16,
	1 | 2 << 8 | 2 << 16 | ESP_PROTO_IPV4 << 24,
	1 | 2 << 8 | 3 << 16 | 3 << 24 | (uint64_t)ESP_PROTO_IPV4 << 32,
};

/* IPv4, ESP, and the IV of an AEAD. */
#define PLAIN_PREFIX 36u

/* Whether prepare_plain() knows an SA: an AEAD over native IPv4. */
static inline bool is_plain(const struct esp_out *sa)
{
	return sa->counter_iv && sa->align_mask == 3 && sa->outer.prefix_size == PLAIN_PREFIX;
}

/*
 * Steps 1 to 8 for what is most frequent: a forwarded IPv4 packet that the caller has verified, in an SA
 * that is_plain(). The same as inspect() and build(), with each word of the headers loaded and stored
 * once. False: these have to look at it; nothing is changed.
 */
static inline bool prepare_plain(const struct esp_out *sa, struct esp_pkt *p, uint64_t seq,
				 struct esp_job *job)
{
	const struct esp_outer *o = &sa->outer;
	const uint32_t size = p->size;
	const uint32_t payload = (size + ESP_TRAILER_SIZE + 3) & ~3u;
	const uint32_t outer_size = PLAIN_PREFIX + payload + sa->icv_size;
	uint8_t *outer = p->data - PLAIN_PREFIX;
	uint32_t life, tos, total, df, name, sum;
	uint64_t inner; /* TOS and DF are in it */

	/* Of others not even a header needs to be there. */
	if (p->inner_family != IP_V4 || p->from_self)
		return false;
	inner = esp_word64(p->data);
	life = esp_word32(p->data + 8);
	if ((life & 0xff) <= 1 || outer_size > o->size_max || p->headroom < PLAIN_PREFIX ||
	    p->tailroom < payload - size + sa->icv_size ||
	    !esp_ts_match(&sa->ts, p->data, size, IP_V4))
		return false;
	/* TTL, protocol and checksum, as in esp_inner_decrement_ttl(). */
	sum = (~life >> 16) + (uint16_t)~1u;
	sum = ~(sum + (sum >> 16));
	esp_put_word32(p->data + 8, ((life & 0xffff) - 1) | sum << 16);
	esp_put_word64(p->data + size, trailers_v4[payload - size - ESP_TRAILER_SIZE]);
	/* As in esp_outer_build_v4(). */
	tos = (uint32_t)inner & (uint32_t)o->tos_mask << 8;
	total = __builtin_bswap16((uint16_t)outer_size);
	df = ((uint32_t)(inner >> 48) & ESP_DF_WORD & o->df_mask) | o->df_set;
	name = df ? 0 : (uint16_t)(seq ^ sa->spi);
	sum = o->sum + tos + total + name + df;
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~(sum + (sum >> 16)) & 0xffff;
	esp_put_word64(outer, esp_word64(o->prefix) | tos | (uint64_t)total << 16 |
				      (uint64_t)name << 32 | (uint64_t)df << 48);
	esp_put_word64(outer + 8, esp_word64(o->prefix + 8) | (uint64_t)sum << 16);
	esp_put_word64(outer + 16, esp_word64(o->prefix + 16));
	esp_put32(outer + 24, (uint32_t)seq);
	esp_put64(outer + 28, seq);
	*job = (struct esp_job){
		.key = sa->key,
		.esp = outer + ESP_IP4_HDR_SIZE,
		.payload_size = payload,
		.seq_hi = (uint32_t)(seq >> 32),
	};
	p->data = outer;
	p->size = outer_size;
	p->headroom -= PLAIN_PREFIX;
	p->tailroom -= payload - size + sa->icv_size;
	p->drop = ESP_DROP_OK;
	return true;
}

static inline uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t soft_seq_left(const struct esp_out *sa)
{
	return (sa->esn ? UINT64_MAX : UINT32_MAX) / SOFT_SEQ_SHARE;
}

/* What a burst of n packets has used up. */
static void account(struct esp_out *sa, uint64_t packets, uint64_t bytes)
{
	sa->state.next_seq += packets;
	sa->seq_left -= packets;
	sa->state.packets += packets;
	sa->state.bytes += bytes;
	if (sa->state.packets >= sa->soft_packets || sa->state.bytes >= sa->soft_bytes ||
	    sa->seq_left <= soft_seq_left(sa))
		sa->state.soft_reached = true;
}

struct esp_job *esp_out_prepare(struct esp_thread *t, struct esp_out *sa, struct esp_pkt *pkts,
				size_t n, struct esp_batch *batch)
{
	/* RFC 4303 3.3.3: the counter must not cycle; with GCM it is also the nonce. */
	uint64_t quota = least(sa->seq_left, sa->hard_packets - sa->state.packets);
	uint64_t quota_bytes = sa->hard_bytes - sa->state.bytes;
	const uint64_t quota_bytes_at_first = quota_bytes;
	const uint64_t first_seq = sa->state.next_seq;
	size_t *n_jobs = &batch->n[sa->aead];
	struct esp_job *jobs = &batch->jobs[sa->aead][*n_jobs];
	uint8_t ivs[ESP_BURST_MAX][ESP_IV_MAX];
	/* No limit is near: not by as many packets, and of the largest size. */
	const bool plain =
		is_plain(sa) && !sa->state.exhausted && quota >= n && quota_bytes >= n * UINT16_MAX;
	size_t k = 0;

	assert(*n_jobs + n <= ESP_BURST_MAX);
	if (!sa->counter_iv)
		t->random(t->random_arg, ivs[0], n * ESP_IV_MAX);
	if (sa->state.exhausted)
		quota = 0;
	for (size_t i = 0; i < n; i++) {
		struct esp_pkt *p = &pkts[i];
		struct esp_inner inner;
		uint32_t payload;

		if (i + ESP_PREFETCH_AHEAD < n)
			__builtin_prefetch(pkts[i + ESP_PREFETCH_AHEAD].data);
		inner.total = p->size;
		if (plain && prepare_plain(sa, p, first_seq + k, &jobs[k])) {
			quota_bytes -= inner.total;
			k++;
			continue;
		}
		p->drop = inspect(sa, p, &inner, &payload);
		if (p->drop != ESP_DROP_OK)
			continue;
		/* 5. A number and room below the hard limits. Once one of them has stopped the half,
		 * it never sends again. */
		if (k == quota || inner.total > quota_bytes) {
			p->drop = ESP_DROP_OUT_EXHAUSTED;
			sa->state.exhausted = true;
			quota = k;
			continue;
		}
		quota_bytes -= inner.total;
		build(sa, p, &inner, payload, first_seq + k, ivs[k], &jobs[k]);
		k++;
	}
	*n_jobs += k;
	account(sa, k, quota_bytes_at_first - quota_bytes);
	return jobs;
}

/* Whether every packet has a job, and each of these is done. */
static inline bool all_sealed(const struct esp_pkt *pkts, size_t n, const struct esp_job *jobs)
{
	unsigned drops = 0, done = 1;

	for (size_t i = 0; i < n; i++)
		drops |= pkts[i].drop;
	if (drops != ESP_DROP_OK)
		return false;
	for (size_t i = 0; i < n; i++)
		done &= jobs[i].ok;
	return done;
}

size_t esp_out_finish(const struct esp_out *sa, struct esp_pkt *pkts, size_t n,
		      const struct esp_job *jobs)
{
	size_t k = 0, n_ok = 0;

	if (!(sa->outer.v6 && sa->outer.udp) && all_sealed(pkts, n, jobs))
		return n;
	for (size_t i = 0; i < n; i++) {
		struct esp_pkt *p = &pkts[i];

		if (p->drop != ESP_DROP_OK)
			continue;
		if (!jobs[k++].ok) {
			/* Its number is spent; the plaintext may stand there still. */
			p->drop = ESP_DROP_OUT_CRYPTO;
			continue;
		}
		esp_outer_finish(&sa->outer, p->data, p->size);
		n_ok++;
	}
	return n_ok;
}

size_t esp_encap(struct esp_thread *t, struct esp_out *sa, struct esp_pkt *pkts, size_t n)
{
	struct esp_batch batch;
	const struct esp_job *jobs;

	esp_batch_init(&batch);
	jobs = esp_out_prepare(t, sa, pkts, n, &batch);
	esp_batch_seal(t, &batch);
	return esp_out_finish(sa, pkts, n, jobs);
}
