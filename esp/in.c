/* SPDX-License-Identifier: Apache-2.0 */
/*
 * in: decapsulation in tunnel mode (RFC 4303 3.4, RFC 4301 5.2).
 *
 * A burst of one SA passes in phases: locate and check replay (no packet is changed), open, then
 * for each in order: check replay again, update the window, unwrap.
 */
#include <stdlib.h>
#include "base/secret.h"
#include "esp/esp_int.h"

/* One packet on its way through the phases. */
struct in_step {
	struct esp_pkt *pkt;
	struct esp_outer_view outer;
	uint64_t seq;
	uint32_t payload; /* between IV and ICV */
};

static uint32_t window_round(uint32_t w)
{
	if (w == 0)
		return 0;
	if (w > ESP_WINDOW_MAX)
		w = ESP_WINDOW_MAX;
	return (w + 63) & ~63u;
}

struct esp_in *esp_in_new(struct esp_thread *t, const struct esp_sa_cfg *cfg)
{
	const uint32_t window = window_round(cfg->replay_window);
	struct esp_in *sa = calloc(1, sizeof(*sa) + esp_replay_bits_size(window));

	if (!sa)
		return NULL;
	sa->backend = esp_thread_pick(t, &cfg->suite);
	sa->suite = cfg->suite;
	sa->soft_packets = esp_limit(cfg->soft_packets);
	sa->hard_packets = esp_limit(cfg->hard_packets);
	sa->soft_bytes = esp_limit(cfg->soft_bytes);
	sa->hard_bytes = esp_limit(cfg->hard_bytes);
	sa->last_remote = cfg->remote;
	sa->last_local = cfg->local;
	esp_replay_init(&sa->replay, window, cfg->esn, sa->window_bits);
	if (!sa->backend)
		goto fail;
	if (!esp_ts_compile(&sa->ts, cfg->ts, cfg->n_ts, false))
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

void esp_in_free(struct esp_in *sa)
{
	if (!sa)
		return;
	sa->backend->key_free(sa->key);
	esp_ts_fini(&sa->ts);
	bytes_wipe(sa, sizeof(*sa));
	free(sa);
}

void esp_in_state(const struct esp_in *sa, struct esp_in_state *out)
{
	*out = (struct esp_in_state){
		.packets = sa->packets,
		.bytes = sa->bytes,
		.seq_high = sa->replay.top,
		.auth_failed = sa->auth_failed,
		.replayed = sa->replayed,
		.late = sa->late,
		.ts_mismatch = sa->ts_mismatch,
		.malformed = sa->malformed,
		.soft_reached = sa->soft_reached,
		.expired = sa->expired,
		.last_remote = sa->last_remote,
		.last_local = sa->last_local,
	};
}

static enum esp_drop replay_drop(const struct esp_in *sa, uint64_t seq)
{
	switch (esp_replay_check(&sa->replay, seq)) {
	case ESP_REPLAY_FRESH: return ESP_DROP_OK;
	case ESP_REPLAY_SEEN: return ESP_DROP_IN_REPLAYED;
	case ESP_REPLAY_LATE: return ESP_DROP_IN_LATE;
	}
	return ESP_DROP_IN_LATE;
}

static enum esp_drop locate_one(const struct esp_in *sa, const struct esp_pkt *p, struct in_step *s)
{
	const uint32_t fixed = ESP_HDR_SIZE + sa->suite.iv_size + sa->suite.icv_size;

	if (sa->expired)
		return ESP_DROP_IN_EXPIRED;
	/* 1. Outer headers, SPI and sequence number. */
	if (!esp_outer_parse(p->data, p->size, &s->outer))
		return ESP_DROP_IN_TRUNCATED;
	/* 2. The parts: at least one block, and whole blocks (RFC 4303 2.4). */
	if (s->outer.esp_size < fixed + sa->suite.align)
		return ESP_DROP_IN_TRUNCATED;
	s->payload = s->outer.esp_size - fixed;
	if (s->payload & (sa->suite.align - 1u))
		return ESP_DROP_IN_ALIGNMENT;
	/* 3. RFC 4303 3.4.3: a duplicate costs no cryptography. */
	s->seq = esp_replay_infer(&sa->replay, esp_get32(p->data + s->outer.esp_offset + 4));
	return replay_drop(sa, s->seq);
}

static size_t locate(const struct esp_in *sa, struct esp_pkt *pkts, size_t n, struct in_step *steps,
		     struct esp_job *jobs)
{
	size_t n_steps = 0;

	for (size_t i = 0; i < n; i++) {
		struct in_step *s = &steps[n_steps];

		if (i + ESP_PREFETCH_AHEAD < n)
			__builtin_prefetch(pkts[i + ESP_PREFETCH_AHEAD].data);
		s->pkt = &pkts[i];
		pkts[i].drop = locate_one(sa, &pkts[i], s);
		if (pkts[i].drop != ESP_DROP_OK)
			continue;
		jobs[n_steps++] = (struct esp_job){
			.key = sa->key,
			.esp = pkts[i].data + s->outer.esp_offset,
			.payload_size = s->payload,
			.seq_hi = (uint32_t)(s->seq >> 32),
		};
	}
	return n_steps;
}

/* The end of the payload: RFC 4303 2.4 to 2.7. Gives the size without padding and trailer. */
static enum esp_drop unpad(const uint8_t *payload, uint32_t size, uint32_t *inner_size,
			   uint8_t *family)
{
	const uint32_t pad = payload[size - 2];

	if (pad > size - ESP_TRAILER_SIZE)
		return ESP_DROP_IN_PAD;
	*inner_size = size - ESP_TRAILER_SIZE - pad;
	/* RFC 4303 2.4: the receiver SHOULD inspect the padding. */
	for (uint32_t i = 0; i < pad; i++)
		if (payload[*inner_size + i] != i + 1)
			return ESP_DROP_IN_PAD;
	switch (payload[size - 1]) {
	case ESP_PROTO_IPV4: *family = IP_V4; return ESP_DROP_OK;
	case ESP_PROTO_IPV6: *family = IP_V6; return ESP_DROP_OK;
	/* RFC 4303 2.6: a dummy packet is discarded without further ado. */
	case ESP_PROTO_NONE: return ESP_DROP_IN_DUMMY;
	default: return ESP_DROP_IN_NEXT_HEADER;
	}
}

static enum esp_drop unwrap_one(const struct esp_in *sa, struct in_step *s)
{
	struct esp_pkt *p = s->pkt;
	const uint32_t offset = s->outer.esp_offset + ESP_HDR_SIZE + sa->suite.iv_size;
	uint8_t *data = p->data + offset;
	struct esp_inner inner;
	uint32_t inner_size;
	uint8_t family;
	enum esp_drop drop;
	int ecn;

	/* 6. Padding and next header. */
	drop = unpad(data, s->payload, &inner_size, &family);
	if (drop != ESP_DROP_OK)
		return drop;
	/* 7. The inner header. What follows its total length is TFC padding (RFC 4303 2.7). */
	if (esp_inner_parse(data, inner_size, &inner) != ESP_INNER_OK || inner.family != family)
		return ESP_DROP_IN_INNER;
	/* 8. RFC 4301 5.2 step 4: the inner addresses against the SA's selectors. */
	if (!esp_ts_match(&sa->ts, data, inner.total, family))
		return ESP_DROP_IN_SELECTOR;
	/* 9. RFC 6040 4.2: what congestion the tunnel has seen. */
	ecn = esp_ecn_decap(inner.tos & 3, s->outer.tos & 3);
	if (ecn < 0)
		return ESP_DROP_IN_ECN;
	if (ecn != (inner.tos & 3))
		esp_inner_set_ecn(data, family, (uint8_t)ecn);
	p->tailroom += p->size - offset - inner.total;
	p->headroom += offset;
	p->data = data;
	p->size = inner.total;
	p->inner_family = family;
	return ESP_DROP_OK;
}

static void account(struct esp_in *sa, const struct esp_pkt *p)
{
	sa->packets++;
	sa->bytes += p->size;
	if (sa->packets >= sa->soft_packets || sa->bytes >= sa->soft_bytes)
		sa->soft_reached = true;
	if (sa->packets >= sa->hard_packets || sa->bytes >= sa->hard_bytes)
		sa->expired = true;
}

/* Counters of the SA; the reason itself is counted by the caller of esp_decap(). */
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

/* An opened packet; in order of arrival. `newest` is set when it moved the window's top. */
static enum esp_drop accept_one(struct esp_in *sa, struct in_step *s, bool authentic, bool *newest)
{
	enum esp_drop drop;

	*newest = false;
	/* 4. RFC 4303 3.4.4: nothing of an unauthentic packet is looked at. */
	if (!authentic)
		return ESP_DROP_IN_AUTH;
	if (sa->expired)
		return ESP_DROP_IN_EXPIRED;
	/* 5. Against the window as it is now: the burst may hold a packet twice. */
	drop = replay_drop(sa, s->seq);
	if (drop != ESP_DROP_OK)
		return drop;
	*newest = s->seq > sa->replay.top;
	esp_replay_update(&sa->replay, s->seq);
	return unwrap_one(sa, s);
}

size_t esp_decap(struct esp_thread *t, struct esp_in *sa, struct esp_pkt *pkts, size_t n)
{
	struct in_step steps[ESP_BURST_MAX];
	struct esp_job jobs[ESP_BURST_MAX];
	const uint8_t *newest_outer = NULL;
	struct esp_outer_view newest_view;
	size_t n_jobs, n_ok = 0;

	assert(n <= ESP_BURST_MAX);
	n_jobs = locate(sa, pkts, n, steps, jobs);
	if (n_jobs)
		sa->backend->open(esp_thread_ctx(t, sa->backend), jobs, n_jobs);
	for (size_t i = 0; i < n_jobs; i++) {
		struct esp_pkt *p = steps[i].pkt;
		const uint8_t *outer = p->data;
		bool newest;

		p->drop = accept_one(sa, &steps[i], jobs[i].ok, &newest);
		if (newest) {
			newest_outer = outer;
			newest_view = steps[i].outer;
		}
		if (p->drop == ESP_DROP_OK) {
			account(sa, p);
			n_ok++;
		}
	}
	/* RFC 7296 2.23: the peer's address follows only authentic and fresh packets. */
	if (newest_outer)
		esp_outer_endpoints(newest_outer, &newest_view, &sa->last_remote, &sa->last_local);
	if (n_ok < n)
		for (size_t i = 0; i < n; i++)
			count_drop(sa, pkts[i].drop);
	return n_ok;
}
