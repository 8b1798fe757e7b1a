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

static inline size_t aead_of(const struct esp_out *sa)
{
	return sa->line.flags & ESP_QUICK_AEAD;
}

static inline uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t packets_of(const struct esp_out *sa)
{
	return sa->line.next_seq - sa->first_seq;
}

static inline uint64_t bytes_of(const struct esp_out *sa)
{
	return sa->bytes + sa->line.bytes;
}

/* Numbers that may still be used. With ESN the one after the last is 0. */
static inline uint64_t seq_left(const struct esp_out *sa)
{
	const uint64_t last = sa->esn ? UINT64_MAX : UINT32_MAX;

	return sa->line.next_seq <= last ? last - sa->line.next_seq + 1 : 0;
}

static inline uint64_t soft_seq_left(const struct esp_out *sa)
{
	return (sa->esn ? UINT64_MAX : UINT32_MAX) / SOFT_SEQ_SHARE;
}

/* By how much `n` may grow and stay below a limit. */
static inline uint64_t below(uint64_t n, uint64_t limit)
{
	return n < limit ? limit - n - 1 : 0;
}

/* Whether the short way knows an SA: an AEAD over native IPv4. */
static inline bool is_plain(const struct esp_out *sa)
{
	return sa->counter_iv && sa->align_mask == 3 && sa->outer.prefix_size == ESP_QUICK_PREFIX;
}

/* So many packets that no limit is reached by them, whatever their sizes. */
static uint64_t quota(const struct esp_out *sa)
{
	uint64_t n = least(seq_left(sa), sa->hard_packets - packets_of(sa));
	uint64_t bytes = sa->hard_bytes - bytes_of(sa);

	if (!is_plain(sa) || sa->exhausted)
		return 0;
	if (!sa->soft_reached) {
		n = least(n, below(soft_seq_left(sa), seq_left(sa)));
		n = least(n, below(packets_of(sa), sa->soft_packets));
		bytes = least(bytes, below(bytes_of(sa), sa->soft_bytes));
	}
	return least(n, bytes / UINT16_MAX);
}

/* What may go the short way until the limits are looked at again. */
static void allow_quick(struct esp_out *sa)
{
	sa->bytes += sa->line.bytes;
	sa->line.bytes = 0;
	sa->line.quota = (uint16_t)least(quota(sa), UINT16_MAX);
}

/* What the short way reads of all the rest. */
static void write_line(struct esp_out *sa)
{
	struct esp_out_line *l = &sa->line;

	l->flags = (uint8_t)(aead_of(sa) | sa->outer.df_mask | (unsigned)sa->outer.df_set << 1);
	if (sa->outer.tos_mask == 0xff)
		l->flags |= ESP_QUICK_DSCP;
	if (!sa->ts.one_v4)
		l->flags |= ESP_QUICK_TS;
	l->ts = sa->ts.v4;
	l->src = esp_word32(sa->outer.prefix + 12);
	l->dst = esp_word32(sa->outer.prefix + 16);
	allow_quick(sa);
}

bool esp_out_init(struct esp_out *sa, struct esp_thread *t, const struct esp_sa_cfg *cfg)
{
	const struct esp_aead *aead = esp_thread_pick(t, &cfg->suite);

	if (!aead)
		return false;
	sa->line.flags = (uint8_t)(aead - t->aead);
	sa->line.icv_size = cfg->suite.icv_size;
	sa->line.spi = cfg->spi;
	sa->line.next_seq = sa->first_seq = cfg->first_seq ? cfg->first_seq : 1;
	sa->backend = aead->backend;
	sa->suite = cfg->suite;
	sa->counter_iv = cfg->suite.aead;
	sa->align_mask = (uint8_t)(cfg->suite.align - 1u);
	sa->esn = cfg->esn;
	esp_outer_set_policy(&sa->outer, cfg->copy_dscp, cfg->df);
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
	sa->line.key = aead->backend->key_new(aead->ctx, &cfg->suite, cfg->esn, cfg->encr_key,
					      cfg->integ_key);
	if (!sa->line.key)
		goto fail;
	write_line(sa);
	return true;
fail:
	esp_ts_fini(&sa->ts);
	return false;
}

void esp_out_fini(struct esp_out *sa)
{
	sa->backend->key_free(sa->line.key);
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

	if (!esp_outer_init(&o, sa->line.spi, sa->suite.iv_size, local, remote, udp_encap))
		return;
	sa->outer = o;
	write_line(sa);
}

void esp_out_leave_udp_sum(struct esp_out *sa, bool left)
{
	sa->outer.udp_sum_left = left;
}

void esp_out_state(const struct esp_out *sa, struct esp_out_state *out)
{
	const uint64_t next_seq = __atomic_load_n(&sa->line.next_seq, __ATOMIC_RELAXED);

	*out = (struct esp_out_state){
		.packets = next_seq - sa->first_seq,
		.bytes = __atomic_load_n(&sa->bytes, __ATOMIC_RELAXED) +
			 __atomic_load_n(&sa->line.bytes, __ATOMIC_RELAXED),
		.next_seq = next_seq,
		.soft_reached = sa->soft_reached,
		.exhausted = sa->exhausted,
	};
}

bool esp_out_selects_v4(const struct esp_out *sa, const uint8_t *inner, uint32_t size)
{
	return esp_ts_match(&sa->ts, inner, size, IP_V4);
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
	if (sa->outer.prefix_size + *payload + sa->line.icv_size > sa->outer.size_max)
		return ESP_DROP_OUT_TOO_BIG;
	tail = p->size - inner->total + p->tailroom;
	if (p->headroom < sa->outer.prefix_size ||
	    tail < *payload - inner->total + sa->line.icv_size)
		return ESP_DROP_OUT_NO_ROOM;
	return ESP_DROP_OK;
}

/* Steps 6 to 8: everything around the payload, and the job that seals it. */
static inline void build(const struct esp_out *sa, struct esp_pkt *p, const struct esp_inner *inner,
			 uint32_t payload, uint64_t seq, const uint8_t *cbc_iv, struct esp_job *job)
{
	const uint32_t pad = payload - inner->total - ESP_TRAILER_SIZE;
	const uint32_t outer_size = sa->outer.prefix_size + payload + sa->line.icv_size;
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
	esp_outer_build(&sa->outer, outer, outer_size, inner, (uint16_t)(seq ^ sa->line.spi));
	if (sa->outer.udp && p->source_port)
		esp_put16(esp - ESP_UDP_HDR_SIZE, p->source_port);
	esp_put32(esp + 4, (uint32_t)seq);
	if (sa->counter_iv)
		/* RFC 4106 3.1, RFC 7634 2: unique for the key's life; the sequence number is. */
		esp_put64(esp + ESP_HDR_SIZE, seq);
	else
		memcpy(esp + ESP_HDR_SIZE, cbc_iv, ESP_IV_MAX);
	*job = (struct esp_job){
		.key = sa->line.key,
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

/* Takes a number for a packet, unless a limit stands in its way: then the half never sends again. */
static inline bool take_number(struct esp_out *sa, uint32_t size, uint64_t *seq)
{
	/* RFC 4303 3.3.3: the counter must not cycle; with GCM it is also the nonce. */
	if (sa->exhausted || seq_left(sa) == 0 || packets_of(sa) == sa->hard_packets ||
	    size > sa->hard_bytes - bytes_of(sa)) {
		sa->exhausted = true;
		return false;
	}
	*seq = sa->line.next_seq++;
	sa->bytes += size;
	return true;
}

/* After some packets. */
static void account(struct esp_out *sa)
{
	if (packets_of(sa) >= sa->soft_packets || bytes_of(sa) >= sa->soft_bytes ||
	    seq_left(sa) <= soft_seq_left(sa))
		sa->soft_reached = true;
	allow_quick(sa);
}

/* The packets from the first on that may go the short way: how many that are. */
static size_t prepare_quick(struct esp_out *sa, struct esp_pkt *pkts, size_t n,
			    struct esp_batch *batch)
{
	struct esp_job *job = &batch->jobs[aead_of(sa)][batch->n[aead_of(sa)]];
	struct esp_quick q = esp_quick_begin(&sa->line);
	size_t k;

	n = least(n, sa->line.quota);
	for (k = 0; k < n; k++) {
		struct esp_pkt *p = &pkts[k];
		const uint32_t size = esp_quick_prepare(&q, sa, p, &job[k]);

		if (!size)
			break;
		p->tailroom -= size - ESP_QUICK_PREFIX - p->size;
		p->headroom -= ESP_QUICK_PREFIX;
		p->data -= ESP_QUICK_PREFIX;
		p->size = size;
		p->drop = ESP_DROP_OK;
	}
	esp_quick_end(&q, &sa->line, k);
	batch->n[aead_of(sa)] += k;
	return k;
}

struct esp_job *esp_out_prepare(struct esp_thread *t, struct esp_out *sa, struct esp_pkt *pkts,
				size_t n, struct esp_batch *batch)
{
	size_t *n_jobs = &batch->n[aead_of(sa)];
	struct esp_job *jobs = &batch->jobs[aead_of(sa)][0], *first = jobs + *n_jobs;
	uint8_t ivs[ESP_BURST_MAX][ESP_IV_MAX];

	assert(*n_jobs + n <= ESP_BURST_MAX);
	if (!sa->counter_iv)
		t->random(t->random_arg, ivs[0], n * ESP_IV_MAX);
	for (size_t i = prepare_quick(sa, pkts, n, batch); i < n; i++) {
		struct esp_pkt *p = &pkts[i];
		struct esp_inner inner;
		uint32_t payload;
		uint64_t seq;

		if (i + ESP_PREFETCH_AHEAD < n)
			__builtin_prefetch(pkts[i + ESP_PREFETCH_AHEAD].data);
		p->drop = inspect(sa, p, &inner, &payload);
		if (p->drop != ESP_DROP_OK)
			continue;
		/* 5. A number and room below the hard limits. */
		if (!take_number(sa, inner.total, &seq))
			p->drop = ESP_DROP_OUT_EXHAUSTED;
		else
			build(sa, p, &inner, payload, seq, ivs[i], &jobs[(*n_jobs)++]);
	}
	account(sa);
	return first;
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
