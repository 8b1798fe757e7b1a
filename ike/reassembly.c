/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reassembly: fragments of one message of the peer's on their way to being a message again (RFC 7383
 * 2.6). An IKE SA has two at most: the request that is expected next, and the response to ours. A
 * fragment is looked at twice. Before its ICV is checked, only to refuse it: cheaply, and without a
 * trace but in a counter. After that it is stored, once; so each costs one decryption, and memory
 * only to who holds the keys. All are bounded: fragments, bytes, bytes of all peers that are not
 * authenticated yet, and time.
 */
#include <stdlib.h>
#include "ike/ike_int.h"

#define HALF_OPEN_BYTES (4u << 20) /* of all half-open IKE SAs together */

struct ike_reassembly {
	uint32_t mid;
	uint8_t exchange;
	uint8_t first; /* type of the first payload, from fragment 1 alone */
	uint16_t total, n_have;
	size_t size;
	size_t longest; /* of the datagrams */
	bool counted;   /* among the half-open ones' */
	struct mono since;
	struct {
		bool have;
		uint16_t size;
		uint8_t *data;
	} parts[]; /* fragment n at n - 1 */
};

static void discard(struct ike *ike, struct ike_reassembly **to)
{
	struct ike_reassembly *r = *to;

	if (!r)
		return;
	for (size_t i = 0; i < r->total; i++) {
		if (!r->parts[i].data)
			continue;
		bytes_wipe(r->parts[i].data, r->parts[i].size);
		free(r->parts[i].data);
	}
	if (r->counted)
		ike->half_open_bytes -= r->size;
	free(r);
	*to = NULL;
}

static struct ike_reassembly **slot_of(struct ike_sa *sa, const struct ike_msg *m)
{
	return m->h.flags & IKE_FLAG_RESPONSE ? &sa->rx_response : &sa->rx_request;
}

void ike_reassembly_free(struct ike_sa *sa, bool response)
{
	discard(sa->ike, response ? &sa->rx_response : &sa->rx_request);
}

bool ike_reassembly_wants(struct ike_sa *sa, const struct ike_msg *m)
{
	const struct ike_reassembly *r = *slot_of(sa, m);

	if (m->n_fragments > IKE_FRAGMENTS_TAKEN)
		return false;
	if (!r || r->mid != m->h.message_id)
		return true;
	/* RFC 7383 2.6: not of the set that is being collected: older, or a replay. */
	if (m->h.exchange != r->exchange || m->n_fragments < r->total)
		return false;
	return m->n_fragments > r->total || !r->parts[m->fragment - 1].have;
}

static struct ike_reassembly *start(struct ike_sa *sa, const struct ike_msg *m)
{
	struct ike_reassembly **to = slot_of(sa, m), *r;

	/* RFC 7383 2.6: a larger total replaces what was there. */
	discard(sa->ike, to);
	r = calloc(1, sizeof(*r) + m->n_fragments * sizeof(r->parts[0]));
	if (!r) {
		ike_count(sa->ike, IKE_CNT_RESOURCES);
		return NULL;
	}
	r->mid = m->h.message_id;
	r->exchange = m->h.exchange;
	r->total = m->n_fragments;
	r->since = sa->ike->now;
	r->counted = sa->source != NULL;
	*to = r;
	ike_timer_reassembly(sa);
	return r;
}

/* Authentic and wanted. False: it was refused. */
static bool store(struct ike_sa *sa, const struct ike_msg *m, struct rd content, size_t datagram)
{
	struct ike_reassembly *r = *slot_of(sa, m);
	struct ike *ike = sa->ike;
	uint8_t *copy;

	if (!r || r->mid != m->h.message_id || m->n_fragments > r->total)
		r = start(sa, m);
	if (!r)
		return false;
	if (r->size + content.size > IKE_MESSAGE_MAX ||
	    (r->counted && ike->half_open_bytes + content.size > HALF_OPEN_BYTES)) {
		ike_count(ike, IKE_CNT_RX_FRAGMENT);
		discard(ike, slot_of(sa, m));
		return false;
	}
	copy = malloc(content.size ? content.size : 1);
	if (!copy) {
		ike_count(ike, IKE_CNT_RESOURCES);
		return false;
	}
	if (content.size)
		memcpy(copy, content.p, content.size);
	r->parts[m->fragment - 1].have = true;
	r->parts[m->fragment - 1].data = copy;
	r->parts[m->fragment - 1].size = (uint16_t)content.size;
	r->size += content.size;
	r->n_have++;
	if (r->counted)
		ike->half_open_bytes += content.size;
	if (r->longest < datagram)
		r->longest = datagram;
	/* RFC 7383 2.5: the Next Payload fields of the others say nothing. */
	if (m->fragment == 1)
		r->first = m->sk_next_payload;
	return true;
}

bool ike_reassembly_add(struct ike_sa *sa, const struct ike_msg *m, struct rd content,
			size_t datagram, struct ike_joined *out)
{
	struct ike_reassembly **at = slot_of(sa, m), *r;
	struct wr w;

	if (!store(sa, m, content, datagram))
		return false;
	r = *at;
	if (r->n_have < r->total)
		return false;
	*out = (struct ike_joined){.first = r->first, .longest = r->longest, .n = r->total};
	out->size = r->size;
	out->data = malloc(r->size ? r->size : 1);
	if (!out->data) {
		ike_count(sa->ike, IKE_CNT_RESOURCES);
		discard(sa->ike, at);
		return false;
	}
	w = wr_of(out->data, r->size);
	for (size_t i = 0; i < r->total; i++)
		wr_bytes(&w, r->parts[i].data, r->parts[i].size);
	discard(sa->ike, at);
	return true;
}

void ike_joined_free(struct ike_joined *j)
{
	if (j->data)
		bytes_wipe(j->data, j->size);
	free(j->data);
	*j = (struct ike_joined){0};
}

/* RFC 7383 2.6: what is not complete in time is discarded. The time of the next that may be due. */
struct mono ike_reassembly_expire(struct ike_sa *sa, struct mono_span limit)
{
	struct ike_reassembly **all[] = {&sa->rx_request, &sa->rx_response};
	struct mono next = MONO_NEVER;

	for (size_t i = 0; i < 2; i++) {
		struct mono due;

		if (!*all[i])
			continue;
		due = mono_add((*all[i])->since, limit);
		if (mono_reached(sa->ike->now, due)) {
			ike_count(sa->ike, IKE_CNT_RX_REASSEMBLY_TIMEOUT);
			discard(sa->ike, all[i]);
		} else {
			next = mono_min(next, due);
		}
	}
	return next;
}
