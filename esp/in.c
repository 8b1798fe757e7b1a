/* SPDX-License-Identifier: Apache-2.0 */
/*
 * in: decapsulation in tunnel mode (RFC 4303 3.4, RFC 4301 5.2).
 *
 * prepare refuses what can be refused without cryptography (no packet is changed); then the batch is
 * opened; accept takes each packet in order through the replay check, again, the window's update, and
 * the checks of its content.
 */
#include "base/key_mem.h"
#include "esp/esp_int.h"

static uint32_t window_round(uint32_t w)
{
	if (w == 0)
		return 0;
	if (w > ESP_WINDOW_MAX)
		w = ESP_WINDOW_MAX;
	return (w + 63) & ~63u;
}

/* Which limits packets and bytes have reached, and which one is next. */
static void limits_update(struct esp_in *sa)
{
	const struct esp_in_state *st = &sa->state;
	const bool soft = st->packets >= sa->soft_packets || st->bytes >= sa->soft_bytes;

	sa->state.soft_reached = soft;
	sa->state.expired = st->packets >= sa->hard_packets || st->bytes >= sa->hard_bytes;
	sa->next_packets =
		soft || sa->hard_packets < sa->soft_packets ? sa->hard_packets : sa->soft_packets;
	sa->next_bytes = soft || sa->hard_bytes < sa->soft_bytes ? sa->hard_bytes : sa->soft_bytes;
}

size_t esp_in_size(const struct esp_sa_cfg *cfg)
{
	return sizeof(struct esp_in) + esp_replay_bits_size(window_round(cfg->replay_window));
}

bool esp_in_init(struct esp_in *sa, struct esp_thread *t, const struct esp_sa_cfg *cfg)
{
	const uint32_t window = window_round(cfg->replay_window);
	const struct esp_aead *aead = esp_thread_pick(t, &cfg->suite);

	if (!aead)
		return false;
	sa->aead = (uint8_t)(aead - t->aead);
	sa->backend = aead->backend;
	sa->iv_size = cfg->suite.iv_size;
	sa->icv_size = cfg->suite.icv_size;
	sa->align_mask = (uint8_t)(cfg->suite.align - 1u);
	sa->soft_packets = esp_limit(cfg->soft_packets);
	sa->hard_packets = esp_limit(cfg->hard_packets);
	sa->soft_bytes = esp_limit(cfg->soft_bytes);
	sa->hard_bytes = esp_limit(cfg->hard_bytes);
	limits_update(sa);
	sa->state.last_remote = cfg->remote;
	sa->state.last_local = cfg->local;
	esp_replay_init(&sa->replay, window, cfg->esn, sa->window_bits);
	if (!esp_ts_compile(&sa->ts, cfg->ts, cfg->n_ts, false))
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

void esp_in_fini(struct esp_in *sa)
{
	sa->backend->key_free(sa->key);
	esp_ts_fini(&sa->ts);
}

struct esp_in *esp_in_new(struct esp_thread *t, const struct esp_sa_cfg *cfg)
{
	struct esp_in *sa = key_mem_alloc(esp_in_size(cfg));

	if (sa && esp_in_init(sa, t, cfg))
		return sa;
	key_mem_free(sa);
	return NULL;
}

void esp_in_free(struct esp_in *sa)
{
	if (!sa)
		return;
	esp_in_fini(sa);
	key_mem_free(sa);
}

const struct esp_in_state *esp_in_state_view(const struct esp_in *sa)
{
	return &sa->state;
}

void esp_in_state(const struct esp_in *sa, struct esp_in_state *out)
{
	*out = sa->state;
}

static inline enum esp_drop replay_drop(const struct esp_in *sa, uint64_t seq)
{
	switch (esp_replay_check(&sa->replay, seq)) {
	case ESP_REPLAY_FRESH: return ESP_DROP_OK;
	case ESP_REPLAY_SEEN: return ESP_DROP_IN_REPLAYED;
	case ESP_REPLAY_LATE: return ESP_DROP_IN_LATE;
	}
	return ESP_DROP_IN_LATE;
}

/* Steps 1 to 3: what can be refused without cryptography. Nothing is changed. */
static inline enum esp_drop inspect(const struct esp_in *sa, struct esp_pkt *p, struct esp_job *job)
{
	const uint32_t fixed = ESP_HDR_SIZE + sa->iv_size + sa->icv_size;
	uint32_t offset = p->esp_offset, size = p->esp_size;
	uint64_t seq;

	if (sa->state.expired)
		return ESP_DROP_IN_EXPIRED;
	/* 1. Outer headers, unless they were looked at for the SPI. */
	if (offset == 0 && !esp_outer_parse(p->data, p->size, &offset, &size))
		return ESP_DROP_IN_TRUNCATED;
	/* 2. The parts: at least one block, and whole blocks (RFC 4303 2.4). */
	if (size < fixed + sa->align_mask + 1u)
		return ESP_DROP_IN_TRUNCATED;
	if ((size - fixed) & sa->align_mask)
		return ESP_DROP_IN_ALIGNMENT;
	/* 3. RFC 4303 3.4.3: a duplicate costs no cryptography. */
	seq = esp_replay_infer(&sa->replay, esp_get32(p->data + offset + 4));
	*job = (struct esp_job){
		.key = sa->key,
		.esp = p->data + offset,
		.payload_size = size - fixed,
		.seq_hi = (uint32_t)(seq >> 32),
	};
	return replay_drop(sa, seq);
}

struct esp_job *esp_in_prepare(struct esp_in *sa, struct esp_pkt *pkts, size_t n,
			       struct esp_batch *batch)
{
	size_t *n_jobs = &batch->n[sa->aead];
	struct esp_job *jobs = &batch->jobs[sa->aead][*n_jobs];
	size_t k = 0;

	assert(*n_jobs + n <= ESP_BURST_MAX);
	for (size_t i = 0; i < n; i++) {
		if (i + ESP_PREFETCH_AHEAD < n)
			__builtin_prefetch(pkts[i + ESP_PREFETCH_AHEAD].data);
		pkts[i].drop = inspect(sa, &pkts[i], &jobs[k]);
		k += pkts[i].drop == ESP_DROP_OK;
	}
	*n_jobs += k;
	return jobs;
}

/* RFC 4303 2.4: the receiver SHOULD inspect the padding: 1, 2, 3 and so on, up to the pad length's place,
 * before which there are at least an ESP header's bytes. */
static inline bool padding_good(const uint8_t *end, uint32_t pad)
{
	const uint64_t count = 0x0102030405060708;
	const uint32_t others =
		64 - 8 * pad; /* bits of the last eight bytes that are not padding */

	if (pad == 0)
		return true;
	if (pad <= 8)
		return (esp_get64(end - 8) ^ count >> others) << others == 0;
	for (uint32_t i = 1; i <= pad; i++)
		if (end[(int32_t)(i - 1) - (int32_t)pad] != i)
			return false;
	return true;
}

/* The end of the payload: RFC 4303 2.4 to 2.7. Gives the size without padding and trailer. */
static inline enum esp_drop unpad(const uint8_t *payload, uint32_t size, uint32_t *inner_size,
				  uint8_t *family)
{
	const uint32_t pad = payload[size - 2];

	if (pad > size - ESP_TRAILER_SIZE)
		return ESP_DROP_IN_PAD;
	*inner_size = size - ESP_TRAILER_SIZE - pad;
	if (!padding_good(payload + size - ESP_TRAILER_SIZE, pad))
		return ESP_DROP_IN_PAD;
	switch (payload[size - 1]) {
	case ESP_PROTO_IPV4: *family = IP_V4; return ESP_DROP_OK;
	case ESP_PROTO_IPV6: *family = IP_V6; return ESP_DROP_OK;
	/* RFC 4303 2.6: a dummy packet is discarded without further ado. */
	case ESP_PROTO_NONE: return ESP_DROP_IN_DUMMY;
	default: return ESP_DROP_IN_NEXT_HEADER;
	}
}

/* Steps 6 to 9: the inner packet of an authentic one. */
static inline enum esp_drop unwrap(const struct esp_in *sa, struct esp_pkt *p,
				   const struct esp_job *job)
{
	uint8_t *data = job->esp + ESP_HDR_SIZE + sa->iv_size;
	const uint32_t offset = (uint32_t)(data - p->data);
	struct esp_inner inner;
	uint32_t inner_size;
	uint8_t family;
	enum esp_drop drop;
	int ecn;

	/* 6. Padding and next header. */
	drop = unpad(data, job->payload_size, &inner_size, &family);
	if (drop != ESP_DROP_OK)
		return drop;
	/* 7. The inner header. What follows its total length is TFC padding (RFC 4303 2.7). */
	if (esp_inner_parse(data, inner_size, &inner) != ESP_INNER_OK || inner.family != family)
		return ESP_DROP_IN_INNER;
	/* 8. RFC 4301 5.2 step 4: the inner addresses against the SA's selectors. */
	if (!esp_ts_match(&sa->ts, data, inner.total, family))
		return ESP_DROP_IN_SELECTOR;
	/* 9. RFC 6040 4.2: what congestion the tunnel has seen. */
	ecn = esp_ecn_decap(inner.tos & 3, esp_outer_tos(p->data) & 3);
	if (ecn < 0)
		return ESP_DROP_IN_ECN;
	if (ecn != (inner.tos & 3))
		esp_inner_set_ecn(data, family, (uint8_t)ecn);
	p->tailroom += p->size - offset - inner.total;
	p->headroom += offset;
	p->data = data;
	p->size = inner.total;
	p->esp_offset = 0;
	p->inner_family = family;
	return ESP_DROP_OK;
}

/* What the last bytes before a short pad length are to be (RFC 4303 2.4), as a word, and which of them. */
static const struct {
	uint32_t mask, want;
} short_paddings[4] = {
	{0, 0},
	{0xff000000, 0x01000000},
	{0xffff0000, 0x02010000},
	{0xffffff00, 0x03020100},
};

/*
 * Steps 6 to 9 for what is most frequent: an IPv4 packet without options, nothing behind it but the
 * padding to a word, in an IPv4 packet that tells nothing about congestion. False: unwrap() has to look at
 * it; nothing is changed.
 */
static inline bool unwrap_plain(const struct esp_in *sa, struct esp_pkt *p,
				const struct esp_job *job)
{
	uint8_t *data = job->esp + ESP_HDR_SIZE + sa->iv_size;
	const uint8_t *end = data + job->payload_size - ESP_TRAILER_SIZE;
	const uint32_t offset = (uint32_t)(data - p->data), pad = end[0];
	const uint32_t total = job->payload_size - ESP_TRAILER_SIZE - pad;

	if (pad > 3 || end[1] != ESP_PROTO_IPV4 || job->payload_size < ESP_IP4_HDR_SIZE + 5 ||
	    ((esp_word32(end - 4) ^ short_paddings[pad].want) & short_paddings[pad].mask) ||
	    data[0] != 0x45 || esp_get16(data + 2) != total || !sum_ip4_good(data) ||
	    p->data[0] != 0x45 || (p->data[1] & 3) != 0 ||
	    !esp_ts_match(&sa->ts, data, total, IP_V4))
		return false;
	p->tailroom += p->size - offset - total;
	p->headroom += offset;
	p->data = data;
	p->size = total;
	p->esp_offset = 0;
	p->inner_family = IP_V4;
	return true;
}

static inline void account(struct esp_in *sa, const struct esp_pkt *p)
{
	sa->state.packets++;
	sa->state.bytes += p->size;
	if (sa->state.packets >= sa->next_packets || sa->state.bytes >= sa->next_bytes)
		limits_update(sa);
}

/* Counters of the SA; the reason itself is counted by the caller. */
static void count_drop(struct esp_in *sa, enum esp_drop drop)
{
	switch (drop) {
	case ESP_DROP_IN_AUTH: sa->state.auth_failed++; break;
	case ESP_DROP_IN_REPLAYED: sa->state.replayed++; break;
	case ESP_DROP_IN_LATE: sa->state.late++; break;
	case ESP_DROP_IN_SELECTOR: sa->state.ts_mismatch++; break;
	case ESP_DROP_IN_TRUNCATED:
	case ESP_DROP_IN_ALIGNMENT:
	case ESP_DROP_IN_PAD:
	case ESP_DROP_IN_NEXT_HEADER:
	case ESP_DROP_IN_INNER: sa->state.malformed++; break;
	case ESP_DROP_OK:
	case ESP_DROP_IN_DUMMY:
	case ESP_DROP_IN_ECN:
	case ESP_DROP_IN_EXPIRED:
	case ESP_DROP_OUT_NOT_IP:
	case ESP_DROP_OUT_TRUNCATED:
	case ESP_DROP_OUT_CHECKSUM:
	case ESP_DROP_OUT_NO_ROOM:
	case ESP_DROP_OUT_TOO_BIG:
	case ESP_DROP_OUT_TTL:
	case ESP_DROP_OUT_SELECTOR:
	case ESP_DROP_OUT_EXHAUSTED:
	case ESP_DROP_OUT_CRYPTO:
	case ESP_DROP_END: break;
	}
}

size_t esp_in_accept(struct esp_in *sa, struct esp_pkt *pkts, size_t n, const struct esp_job *jobs)
{
	const uint8_t *newest = NULL; /* its ESP header */
	const uint8_t *newest_outer = NULL;
	size_t k = 0, n_ok = 0;

	for (size_t i = 0; i < n; i++) {
		struct esp_pkt *p = &pkts[i];
		const uint8_t *outer = p->data;
		const struct esp_job *job;
		uint64_t seq;

		if (p->drop != ESP_DROP_OK)
			continue;
		job = &jobs[k++];
		/* 4. RFC 4303 3.4.4: nothing of an unauthentic packet is looked at. */
		p->drop = job->ok ? ESP_DROP_OK : ESP_DROP_IN_AUTH;
		if (p->drop == ESP_DROP_OK && sa->state.expired)
			p->drop = ESP_DROP_IN_EXPIRED;
		if (p->drop != ESP_DROP_OK)
			continue;
		/* 5. Against the window as it is now: the burst may hold a packet twice. */
		seq = (uint64_t)job->seq_hi << 32 | esp_get32(job->esp + 4);
		p->drop = replay_drop(sa, seq);
		if (p->drop != ESP_DROP_OK)
			continue;
		if (seq > sa->replay.top) {
			newest = job->esp;
			newest_outer = outer;
		}
		esp_replay_update(&sa->replay, seq);
		p->drop = unwrap_plain(sa, p, job) ? ESP_DROP_OK : unwrap(sa, p, job);
		if (p->drop == ESP_DROP_OK) {
			account(sa, p);
			n_ok++;
		}
	}
	/* RFC 7296 2.23: the peer's address follows only authentic and fresh packets. */
	if (newest) {
		sa->state.seq_high = sa->replay.top;
		esp_outer_endpoints_update(newest_outer, (uint32_t)(newest - newest_outer),
					   &sa->state.last_remote, &sa->state.last_local);
	}
	if (n_ok < n)
		for (size_t i = 0; i < n; i++)
			count_drop(sa, pkts[i].drop);
	return n_ok;
}

size_t esp_decap(struct esp_thread *t, struct esp_in *sa, struct esp_pkt *pkts, size_t n)
{
	struct esp_batch batch;
	const struct esp_job *jobs;

	esp_batch_init(&batch);
	jobs = esp_in_prepare(sa, pkts, n, &batch);
	esp_batch_open(t, &batch);
	return esp_in_accept(sa, pkts, n, jobs);
}
