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

static inline uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* By how much `n` may grow and stay below a limit. */
static inline uint64_t below(uint64_t n, uint64_t limit)
{
	return n < limit ? limit - n - 1 : 0;
}

/* Counts what has come, and says how much may come until this is due again. */
static void look_at_limits(struct esp_in *sa)
{
	struct esp_in_line *l = &sa->line;
	uint64_t packets, bytes;
	bool soft;

	sa->packets += (uint64_t)sa->quota_given - l->quota;
	sa->bytes += l->bytes;
	soft = sa->packets >= sa->soft_packets || sa->bytes >= sa->soft_bytes;
	packets = below(sa->packets,
			soft ? sa->hard_packets : least(sa->soft_packets, sa->hard_packets));
	bytes = below(sa->bytes, soft ? sa->hard_bytes : least(sa->soft_bytes, sa->hard_bytes));
	if (soft)
		l->flags |= ESP_IN_SOFT;
	if (sa->packets >= sa->hard_packets || sa->bytes >= sa->hard_bytes)
		l->flags |= ESP_IN_EXPIRED;
	l->bytes = 0;
	l->quota = sa->quota_given =
		(uint16_t)least(least(packets, bytes / UINT16_MAX), UINT16_MAX);
}

/* Whether a range is a prefix, which then has `rest` bits behind it. */
static bool is_prefix(uint32_t first, uint32_t span, uint8_t *rest)
{
	*rest = span ? (uint8_t)(32 - __builtin_clz(span)) : 0;
	return (span & (span + 1)) == 0 && (first & span) == 0;
}

/* What the line says of the selectors. */
static void write_selectors(struct esp_in *sa)
{
	const struct esp_ts_set *ts = &sa->ts;
	struct esp_in_line *l = &sa->line;

	if (ts->all_v4) {
		l->src_rest = l->dst_rest = 32;
		return;
	}
	l->src_first = ts->v4.src_lo;
	l->dst_first = ts->v4.dst_lo;
	if (!ts->one_v4 || !is_prefix(ts->v4.src_lo, ts->v4.src_span, &l->src_rest) ||
	    !is_prefix(ts->v4.dst_lo, ts->v4.dst_span, &l->dst_rest))
		l->flags |= ESP_IN_TS;
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
	sa->line.flags = (uint8_t)(aead - t->aead);
	sa->backend = aead->backend;
	sa->line.iv_size = cfg->suite.iv_size;
	sa->line.icv_size = cfg->suite.icv_size;
	sa->line.align_mask = (uint8_t)(cfg->suite.align - 1u);
	sa->soft_packets = esp_limit(cfg->soft_packets);
	sa->hard_packets = esp_limit(cfg->hard_packets);
	sa->soft_bytes = esp_limit(cfg->soft_bytes);
	sa->hard_bytes = esp_limit(cfg->hard_bytes);
	look_at_limits(sa);
	sa->last_remote = cfg->remote;
	sa->last_local = cfg->local;
	esp_replay_init(&sa->line.replay, window, cfg->esn, sa->window_bits);
	if (!esp_ts_compile(&sa->ts, cfg->ts, cfg->n_ts, false))
		goto fail;
	write_selectors(sa);
	sa->line.key = aead->backend->key_new(aead->ctx, &cfg->suite, cfg->esn, cfg->encr_key,
					      cfg->integ_key);
	if (!sa->line.key)
		goto fail;
	return true;
fail:
	esp_ts_fini(&sa->ts);
	return false;
}

void esp_in_fini(struct esp_in *sa)
{
	sa->backend->key_free(sa->line.key);
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

void esp_in_state(const struct esp_in *sa, struct esp_in_state *out)
{
	*out = (struct esp_in_state){
		.packets = sa->packets + sa->quota_given - sa->line.quota,
		.bytes = sa->bytes + sa->line.bytes,
		.seq_high = sa->line.replay.top,
		.soft_reached = sa->line.flags & ESP_IN_SOFT,
		.expired = sa->line.flags & ESP_IN_EXPIRED,
		.last_remote = sa->last_remote,
		.last_local = sa->last_local,
		.auth_failed = sa->auth_failed,
		.replayed = sa->replayed,
		.late = sa->late,
		.ts_mismatch = sa->ts_mismatch,
		.malformed = sa->malformed,
	};
}

static inline enum esp_drop replay_drop(const struct esp_replay *r, const uint64_t *bits,
					uint64_t seq)
{
	switch (esp_replay_check(r, bits, seq)) {
	case ESP_REPLAY_FRESH: return ESP_DROP_OK;
	case ESP_REPLAY_SEEN: return ESP_DROP_IN_REPLAYED;
	case ESP_REPLAY_LATE: return ESP_DROP_IN_LATE;
	}
	return ESP_DROP_IN_LATE;
}

static inline void write_job(struct esp_job *job, struct esp_key *key, uint8_t *esp,
			     uint32_t payload_size, uint32_t seq_hi)
{
	*job = (struct esp_job){
		.key = key,
		.esp = esp,
		.payload_size = payload_size,
		.seq_hi = seq_hi,
	};
}

/* Steps 1 to 3: what can be refused without cryptography. Nothing is changed. */
static __attribute__((noinline)) enum esp_drop inspect(const struct esp_in *sa,
						       const struct esp_pkt *p, struct esp_job *job)
{
	const struct esp_in_line *l = &sa->line;
	const uint32_t fixed = ESP_HDR_SIZE + l->iv_size + l->icv_size;
	uint32_t offset = p->esp_offset, size = p->esp_size;
	uint64_t seq;

	if (l->flags & ESP_IN_EXPIRED)
		return ESP_DROP_IN_EXPIRED;
	/* 1. Outer headers, unless they were looked at for the SPI. */
	if (offset == 0 && !esp_outer_parse(p->data, p->size, &offset, &size))
		return ESP_DROP_IN_TRUNCATED;
	/* 2. The parts: at least one block, and whole blocks (RFC 4303 2.4). */
	if (size < fixed + l->align_mask + 1u)
		return ESP_DROP_IN_TRUNCATED;
	if ((size - fixed) & l->align_mask)
		return ESP_DROP_IN_ALIGNMENT;
	/* 3. RFC 4303 3.4.3: a duplicate costs no cryptography. */
	seq = esp_replay_infer(&l->replay, esp_get32(p->data + offset + 4));
	write_job(job, l->key, p->data + offset, size - fixed, (uint32_t)(seq >> 32));
	return replay_drop(&l->replay, sa->window_bits, seq);
}

/* The same of a packet that is newer than all before, for the rest of a run. */
struct newer {
	uint32_t fixed, mask; /* bytes around the payload; of its alignment */
	uint32_t top, last;   /* low halves: it is above the one, and up to the other */
	uint32_t seq_hi;
};

static inline struct newer newer_than(const struct esp_in_line *l)
{
	const uint32_t fixed = ESP_HDR_SIZE + l->iv_size + l->icv_size;

	return (struct newer){
		.fixed = fixed,
		.mask = l->align_mask,
		.top = (uint32_t)l->replay.top,
		.last = esp_replay_newest_lo(&l->replay),
		.seq_hi = (uint32_t)(l->replay.top >> 32),
	};
}

/* False: inspect() has to look at it. */
static inline bool inspect_newer(const struct newer *f, const struct esp_pkt *p,
				 struct esp_key *key, struct esp_job *job)
{
	uint8_t *esp = p->data + p->esp_offset;
	const uint32_t payload = p->esp_size - f->fixed;
	uint32_t seq;

	if (p->esp_offset == 0 || p->esp_size <= f->fixed + f->mask || (payload & f->mask))
		return false;
	seq = esp_get32(esp + 4);
	if (seq <= f->top || seq > f->last)
		return false;
	write_job(job, key, esp, payload, f->seq_hi);
	return true;
}

struct esp_job *esp_in_prepare(struct esp_in *sa, struct esp_pkt *pkts, size_t n,
			       struct esp_batch *batch)
{
	const struct esp_in_line *l = &sa->line;
	const struct newer newer = newer_than(l);
	const bool expired = l->flags & ESP_IN_EXPIRED;
	struct esp_key *key = l->key;
	size_t *n_jobs = &batch->n[l->flags & ESP_IN_AEAD];
	struct esp_job *jobs = &batch->jobs[l->flags & ESP_IN_AEAD][*n_jobs];
	size_t k = 0;

	assert(*n_jobs + n <= ESP_BURST_MAX);
	for (size_t i = 0; i < n; i++) {
		struct esp_pkt *p = &pkts[i];

		if (!expired && inspect_newer(&newer, p, key, &jobs[k])) {
			p->drop = ESP_DROP_OK;
			k++;
			continue;
		}
		p->drop = inspect(sa, p, &jobs[k]);
		k += p->drop == ESP_DROP_OK;
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
static __attribute__((noinline)) enum esp_drop unwrap(const struct esp_in *sa, struct esp_pkt *p,
						      const struct esp_job *job)
{
	uint8_t *data = job->esp + ESP_HDR_SIZE + sa->line.iv_size;
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

/* What an IPv4 packet ends with, by the pad length (RFC 4303 2.4 to 2.6), in the upper bytes of the word. */
static inline bool trailer_good(uint64_t last, uint32_t pad)
{
	static const uint64_t want[4] = {
		(uint64_t)ESP_PROTO_IPV4 << 8,
		(uint64_t)ESP_PROTO_IPV4 << 16 | 0x0101,
		(uint64_t)ESP_PROTO_IPV4 << 24 | 0x020201,
		(uint64_t)ESP_PROTO_IPV4 << 32 | 0x03030201,
	};

	return last >> (48 - 8 * pad) == want[pad];
}

#define PLAIN_PAYLOAD_MIN 25u /* an IPv4 header before a trailer with any padding to a word */

/* What unwrap_plain() needs of the SA, for a run: source and destination as a word of the header. */
struct plain {
	uint64_t selected, mask; /* these bits of it are to be those; by prefixes */
	bool by_ts;              /* the selectors are more */
	uint32_t offset;         /* of the payload, from SPI */
};

static inline uint64_t addrs_word(uint32_t src, uint32_t dst)
{
	return __builtin_bswap32(src) | (uint64_t)__builtin_bswap32(dst) << 32;
}

static inline struct plain plain_of(const struct esp_in_line *l)
{
	return (struct plain){
		.selected = addrs_word(l->src_first, l->dst_first),
		.mask = addrs_word((uint32_t)(UINT64_MAX << l->src_rest),
				   (uint32_t)(UINT64_MAX << l->dst_rest)),
		.by_ts = l->flags & ESP_IN_TS,
		.offset = ESP_HDR_SIZE + l->iv_size,
	};
}

/*
 * Steps 6 to 9 for what is most frequent: an IPv4 packet without options, nothing behind it but the
 * padding to a word, in an IPv4 packet that tells nothing about congestion. False: unwrap() has to look at
 * it; nothing is changed.
 */
static inline bool unwrap_plain(const struct esp_in *sa, const struct plain *plain,
				struct esp_pkt *p, const struct esp_job *job)
{
	uint8_t *data = job->esp + plain->offset;
	const uint32_t offset = (uint32_t)(data - p->data), payload = job->payload_size;
	uint32_t total, pad;

	if (payload < PLAIN_PAYLOAD_MIN)
		return false;
	total = esp_get16(data + 2);
	pad = payload - ESP_TRAILER_SIZE - total;
	if (pad > 3 || !trailer_good(esp_word64(data + payload - 8), pad) || data[0] != 0x45 ||
	    !sum_ip4_good(data) || p->data[0] != 0x45 || (p->data[1] & 3) != 0)
		return false;
	/* RFC 4301 5.2 step 4. */
	if (plain->by_ts ? !esp_ts_match(&sa->ts, data, total, IP_V4)
			 : ((esp_word64(data + 12) ^ plain->selected) & plain->mask) != 0)
		return false;
	p->tailroom += p->size - offset - total;
	p->headroom += offset;
	p->data = data;
	p->size = total;
	p->esp_offset = 0;
	p->inner_family = IP_V4;
	return true;
}

/* A packet that may be the one by which a limit is reached. */
static void account(struct esp_in *sa, uint32_t size)
{
	sa->packets++;
	sa->bytes += size;
	look_at_limits(sa);
}

/* Counters of the SA; the reason itself is counted by the caller. */
static void count_drop(struct esp_in *sa, enum esp_drop drop)
{
	switch (drop) {
	case ESP_DROP_IN_AUTH: sa->auth_failed++; break;
	case ESP_DROP_IN_REPLAYED: sa->replayed++; break;
	case ESP_DROP_IN_LATE: sa->late++; break;
	case ESP_DROP_IN_SELECTOR: sa->ts_mismatch++; break;
	case ESP_DROP_IN_TRUNCATED:
	case ESP_DROP_IN_ALIGNMENT:
	case ESP_DROP_IN_PAD:
	case ESP_DROP_IN_NEXT_HEADER:
	case ESP_DROP_IN_INNER: sa->malformed++; break;
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

/* Where the newest packet came from. RFC 7296 2.23: the peer's address follows only authentic and fresh ones. */
static void note_endpoints(struct esp_in *sa, const uint8_t *outer, uint32_t offset)
{
	struct esp_in_line *l = &sa->line;
	const struct ip_endpoint before = sa->last_remote;

	esp_outer_endpoints(outer, offset, &sa->last_remote, &sa->last_local);
	l->flags &= (uint8_t)~ESP_IN_V4;
	if (!ip_endpoint_equal(&before, &sa->last_remote))
		l->flags |= ESP_IN_MOVED;
	if (sa->last_remote.addr.family != IP_V4)
		return;
	l->flags |= ESP_IN_V4;
	l->src = esp_word32(outer + 12);
	l->dst = esp_word32(outer + 16);
	l->ports = sa->last_remote.port || sa->last_local.port
			   ? esp_word32(outer + offset - ESP_UDP_HDR_SIZE)
			   : 0;
}

/* Most often it is where all the others came from. */
static inline bool same_endpoints(const struct esp_in_line *l, const uint8_t *outer,
				  uint32_t offset)
{
	const uint32_t header = (outer[0] & 15u) * 4;

	return (l->flags & ESP_IN_V4) && outer[0] >> 4 == 4 && esp_word32(outer + 12) == l->src &&
	       esp_word32(outer + 16) == l->dst &&
	       (offset == header ? 0 : esp_word32(outer + header)) == l->ports;
}

size_t esp_in_accept(struct esp_in *sa, struct esp_pkt *pkts, size_t n, const struct esp_job *jobs)
{
	struct esp_in_line *l = &sa->line;
	const struct plain plain = plain_of(l);
	struct esp_replay replay = l->replay;
	const bool near = l->quota < n; /* a limit may be reached */
	const uint8_t *newest = NULL;   /* its ESP header */
	const uint8_t *newest_outer = NULL;
	size_t n_ok = 0;
	uint32_t bytes = 0;

	for (size_t i = 0; i < n; i++) {
		struct esp_pkt *p = &pkts[i];
		const struct esp_job *job = jobs;
		uint64_t seq;

		if (p->drop != ESP_DROP_OK)
			continue;
		jobs++;
		/* 4. RFC 4303 3.4.4: nothing of an unauthentic packet is looked at. */
		p->drop = job->ok ? ESP_DROP_OK : ESP_DROP_IN_AUTH;
		if (near && p->drop == ESP_DROP_OK && (l->flags & ESP_IN_EXPIRED))
			p->drop = ESP_DROP_IN_EXPIRED;
		if (p->drop != ESP_DROP_OK)
			continue;
		/* 5. Against the window as it is now: the burst may hold a packet twice. */
		seq = (uint64_t)job->seq_hi << 32 | esp_get32(job->esp + 4);
		p->drop = replay_drop(&replay, sa->window_bits, seq);
		if (p->drop != ESP_DROP_OK)
			continue;
		if (seq > replay.top) {
			newest = job->esp;
			newest_outer = p->data;
		}
		esp_replay_update(&replay, sa->window_bits, seq);
		if (!unwrap_plain(sa, &plain, p, job)) {
			p->drop = unwrap(sa, p, job);
			if (p->drop != ESP_DROP_OK)
				continue;
		}
		n_ok++;
		if (near)
			account(sa, p->size);
		else
			bytes += p->size;
	}
	l->replay.top = replay.top;
	if (!near) {
		l->quota = (uint16_t)(l->quota - n_ok);
		l->bytes += bytes;
	}
	if (newest && !same_endpoints(l, newest_outer, (uint32_t)(newest - newest_outer)))
		note_endpoints(sa, newest_outer, (uint32_t)(newest - newest_outer));
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
