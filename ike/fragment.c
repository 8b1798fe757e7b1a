/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fragment: a protected message as the datagrams that it goes out by (RFC 7383): one where it fits,
 * else fragments of equal size, each sealed by itself. They are kept as they are, so that a
 * retransmission is bit by bit the same (RFC 7296 2.1).
 *
 * A path that takes less than we thought shows by nothing else than silence. So a message that is
 * not answered, and could be smaller, keeps its plaintext and is cut anew into smaller pieces, which
 * the peer tells from the earlier ones by their larger number (RFC 7383 2.5.2). There is no more to
 * the search for a size than that: what we were told, 1280, 576.
 *
 * Never for IKE_SA_INIT, which is not protected (RFC 7383 2.3).
 */
#include <stdlib.h>
#include "ike/ike_int.h"

#define DATAGRAM_USUAL  1280 /* RFC 7383 2.5.1: passes every IPv6 path, and nearly every IPv4 one */
#define DATAGRAM_LEAST  576  /* every IPv4 host takes as much (RFC 791) */
#define DATAGRAM_BOTTOM 256  /* with less, too little of a fragment would be content */
#define MARKER_SIZE     4
#define UDP_SIZE        8

/* What is left for a message in an IP datagram of `datagram` bytes. */
static size_t message_room(const struct ike_sa *sa, size_t datagram)
{
	const size_t ip = sa->remote.addr.family == IP_V6 ? 40 : 20;
	const size_t marker = sa->local.port == IKE_PORT_NATT ? MARKER_SIZE : 0;

	return datagram > ip + UDP_SIZE + marker ? datagram - ip - UDP_SIZE - marker : 0;
}

/* The size to try after this one, 0 when it is the last. */
static uint16_t smaller(const struct ike_sa *sa, size_t datagram)
{
	if (datagram > DATAGRAM_USUAL)
		return DATAGRAM_USUAL;
	return sa->remote.addr.family != IP_V6 && datagram > DATAGRAM_LEAST ? DATAGRAM_LEAST : 0;
}

void ike_sealed_free(struct ike_sealed *s)
{
	if (!s)
		return;
	bytes_wipe(s, sizeof(*s) + s->size + s->plain_size);
	free(s);
}

static struct ike_sealed *sealed_new(size_t size, size_t part, const uint8_t *plain,
				     size_t plain_size, uint8_t first)
{
	struct ike_sealed *s = calloc(1, sizeof(*s) + size + plain_size);

	if (!s)
		return NULL;
	s->size = size;
	s->part = part;
	s->plain_size = plain_size;
	s->first = first;
	if (plain_size)
		memcpy(s->bytes + size, plain, plain_size);
	return s;
}

struct ike_sealed *ike_sealed_copy(const uint8_t *data, size_t size)
{
	struct ike_sealed *s = sealed_new(size, size, NULL, 0, IKE_PL_NONE);

	if (s)
		memcpy(s->bytes, data, size);
	return s;
}

/* Inner bytes of each fragment but the last, so that all have `most` bytes; 0: do not fragment. */
static size_t chunk_of(const struct ike_sa *sa, size_t inner_size, size_t most)
{
	size_t chunk = ike_sk_room(&sa->suite, true, most);

	/* RFC 7383 2.5 has a number of 16 bits; ours are far fewer, for the peer's sake. */
	while (chunk && (inner_size + chunk - 1) / chunk > IKE_FRAGMENTS_SENT)
		chunk = ike_sk_room(&sa->suite, true, most += 64);
	return chunk;
}

static bool seal_all(struct ike_sa *sa, const struct ike_header *h, struct ike_sealed *s,
		     const uint8_t *inner, size_t inner_size, size_t chunk, uint8_t first)
{
	const size_t total = (inner_size + chunk - 1) / chunk;
	size_t done = 0, at = 0;

	for (size_t i = 1; i <= total; i++) {
		const struct ike_sk_part part = {(uint16_t)i, (uint16_t)total};
		const size_t take = i < total ? chunk : inner_size - done;
		const size_t n = ike_sk_seal_part(&sa->ike->crypto, &sa->suite, ike_sa_tx_keys(sa),
						  &sa->iv_counter, h, first, part, inner + done,
						  take, s->bytes + at, s->size - at);

		if (!n)
			return false;
		at += n;
		done += take;
	}
	return at == s->size;
}

/* In datagrams of at most `datagram` bytes where it can be, whole where it fits or must. */
static struct ike_sealed *seal_to(struct ike_sa *sa, const struct ike_header *h,
				  const uint8_t *inner, size_t inner_size, uint8_t first,
				  uint16_t datagram)
{
	const size_t whole = ike_sk_sealed_size(&sa->suite, false, inner_size);
	const size_t most = message_room(sa, datagram);
	const size_t chunk = datagram && whole > most ? chunk_of(sa, inner_size, most) : 0;
	const uint16_t next = datagram ? smaller(sa, datagram) : 0;
	/* What fits the smallest size already is never cut anew. */
	const size_t plain_size = next && whole > message_room(sa, DATAGRAM_LEAST) ? inner_size : 0;
	struct ike_sealed *s;
	bool ok;

	if (!whole || inner_size > IKE_MESSAGE_MAX)
		return NULL;
	if (chunk) {
		const size_t part = ike_sk_sealed_size(&sa->suite, true, chunk);
		const size_t n = (inner_size + chunk - 1) / chunk;
		const size_t last =
			ike_sk_sealed_size(&sa->suite, true, inner_size - (n - 1) * chunk);

		s = sealed_new((n - 1) * part + last, part, inner, plain_size, first);
		ok = s && seal_all(sa, h, s, inner, inner_size, chunk, first);
	} else {
		s = sealed_new(whole, whole, inner, plain_size, first);
		ok = s &&
		     ike_sk_seal(&sa->ike->crypto, &sa->suite, ike_sa_tx_keys(sa), &sa->iv_counter,
				 h, first, inner, inner_size, s->bytes, s->size) == whole;
	}
	if (ok)
		return s;
	ike_sealed_free(s);
	return NULL;
}

void ike_sealed_fix(struct ike_sealed *s)
{
	bytes_wipe(s->bytes + s->size, s->plain_size);
	s->plain_size = 0;
}

struct ike_sealed *ike_seal(struct ike_sa *sa, const struct ike_header *h,
			    struct ike_builder *inner)
{
	size_t inner_size;
	uint8_t first;

	if (!ike_build_close_inner(inner, &inner_size, &first))
		return NULL;
	return seal_to(sa, h, inner->w.buf, inner_size, first, sa->fragment_size);
}

size_t ike_sealed_count(const struct ike_sealed *s)
{
	return s->part ? (s->size + s->part - 1) / s->part : 0;
}

/*
 * The same message in more and smaller fragments, of at most `datagram` bytes or of the next size
 * there is (0). NULL: it stays as it is.
 */
static struct ike_sealed *cut(struct ike_sa *sa, const struct ike_sealed *s, uint16_t datagram)
{
	struct ike_sealed *fresh = NULL;
	struct ike_header h;

	if (!s->plain_size || ike_header_parse(s->bytes, s->part, &h) != IKE_OK)
		return NULL;
	if (datagram && datagram < DATAGRAM_BOTTOM)
		datagram = DATAGRAM_BOTTOM;
	/* RFC 7383 2.5.2: the next size MUST really make more of them, and this one may not. */
	do {
		ike_sealed_free(fresh);
		fresh = NULL;
		if (!datagram)
			datagram = smaller(sa, sa->fragment_size);
		if (!datagram || datagram >= sa->fragment_size)
			return NULL;
		sa->fragment_size = datagram;
		fresh = seal_to(sa, &h, s->bytes + s->size, s->plain_size, s->first, datagram);
		datagram = 0;
	} while (fresh && ike_sealed_count(fresh) <= ike_sealed_count(s));
	return fresh;
}

bool ike_sealed_cut(struct ike_sa *sa, struct ike_sealed **s, uint16_t datagram)
{
	struct ike_sealed *fresh = sa->fragment_size ? cut(sa, *s, datagram) : NULL;

	if (!fresh)
		return false;
	ike_sealed_free(*s);
	*s = fresh;
	return true;
}

uint16_t ike_datagram_size(const struct ike_sa *sa, size_t message_size)
{
	const size_t n = message_size + (DATAGRAM_LEAST - message_room(sa, DATAGRAM_LEAST));

	return n < DATAGRAM_BOTTOM ? DATAGRAM_BOTTOM : n < UINT16_MAX ? (uint16_t)n : UINT16_MAX;
}
