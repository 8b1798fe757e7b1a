/* SPDX-License-Identifier: Apache-2.0 */
/*
 * half_open: what protects the responder before a peer has proven anything (RFC 7296 2.6, RFC
 * 8019): limits on half-open IKE SAs, in all and for each source, when cookies and puzzles are asked for, and the
 * recognition of a repeated first message by its whole content (2.1).
 */
#include <stdlib.h>
#include "ike/ike_int.h"

#define COOKIES_AT_LEAST span_s(30)
#define PUZZLE_EASIEST   10 /* bits: 4,000 prfs of the initiator */
#define PUZZLE_HARDEST   16 /* with all places taken: 260,000 */
#define UNSOLVED_PERIOD  span_ms(100)
#define UNSOLVED_BURST   10

bool ike_half_open_init(struct ike *ike)
{
	return ike_random(ike, ike->digest_key, sizeof(ike->digest_key)) &&
	       ike_random(ike, ike->cookie_secrets, sizeof(ike->cookie_secrets)) &&
	       ike_random(ike, &ike->cookie_version, sizeof(ike->cookie_version));
}

void ike_init_digest(struct ike *ike, const struct ike_packet *p, uint8_t out[IKE_DIGEST_SIZE])
{
	uint8_t in[sizeof(p->remote.addr.b) + IKE_INIT_MAX];
	struct wr w = wr_of(in, sizeof(in));

	wr_bytes(&w, p->remote.addr.b, sizeof(p->remote.addr.b));
	wr_bytes(&w, p->data, p->size);
	mac_of(ike->digest_key, in, w.n, out);
}

static uint64_t digest_key(const uint8_t digest[IKE_DIGEST_SIZE])
{
	uint64_t key;

	memcpy(&key, digest, sizeof(key));
	return key;
}

struct ike_sa *ike_half_open_find(struct ike *ike, const uint8_t digest[IKE_DIGEST_SIZE])
{
	struct ike_link *l = ike_table_first(&ike->by_init, digest_key(digest));

	for (; l; l = ike_table_next(l)) {
		struct ike_sa *sa = container_of(l, struct ike_sa, by_init);

		if (!memcmp(sa->init_digest, digest, IKE_DIGEST_SIZE))
			return sa;
	}
	return NULL;
}

/* The unit that limits count by: an IPv4 address or an IPv6 /64. */
static struct ip_addr source_net(const struct ip_addr *a)
{
	struct ip_addr net = *a;

	if (net.family == IP_V6)
		memset(net.b + 8, 0, 8);
	return net;
}

static uint64_t source_key(const struct ip_addr *net)
{
	uint64_t key;

	memcpy(&key, net->b, sizeof(key));
	return key ^ net->family;
}

static struct ike_source *source_find(struct ike *ike, const struct ip_addr *net)
{
	struct ike_link *l = ike_table_first(&ike->sources, source_key(net));

	for (; l; l = ike_table_next(l)) {
		struct ike_source *s = container_of(l, struct ike_source, link);

		if (ip_equal(&s->net, net))
			return s;
	}
	return NULL;
}

bool ike_half_open_room(struct ike *ike, const struct ip_addr *remote)
{
	const struct ip_addr net = source_net(remote);
	const struct ike_source *s = source_find(ike, &net);

	return ike->n_half_open < ike->limits.max_half_open &&
	       (!s || s->n < ike->limits.max_half_open_source);
}

/*
 * Cookies, and puzzles after them, go off only when far fewer than the threshold are left, and not soon,
 * so that strangers cannot make them flap. True: it has changed.
 */
static bool update(struct ike *ike, bool *on, struct mono *since, uint32_t on_at)
{
	if (!*on && ike->n_half_open >= on_at) {
		*on = true;
		*since = ike->now;
		return true;
	}
	if (*on && on_at && ike->n_half_open <= on_at / 2 &&
	    mono_since(ike->now, *since).ns >= COOKIES_AT_LEAST.ns) {
		*on = false;
		return true;
	}
	return false;
}

static void update_cookies(struct ike *ike)
{
	struct sb s;

	if (update(ike, &ike->cookies, &ike->cookies_since, ike->limits.cookie_threshold)) {
		s = ike_event(ike, ike->cookies ? IKE_HAP_COOKIES_ON : IKE_HAP_COOKIES_OFF, NULL);
		sb_printf(&s, "%u half-open IKE SAs%s", ike->n_half_open,
			  ike->cookies ? ": peers must return a cookie" : "");
	}
	if (ike->limits.puzzles &&
	    update(ike, &ike->puzzles, &ike->puzzles_since, ike->limits.puzzle_threshold)) {
		s = ike_event(ike, ike->puzzles ? IKE_HAP_PUZZLES_ON : IKE_HAP_PUZZLES_OFF, NULL);
		sb_printf(&s, "%u half-open IKE SAs%s", ike->n_half_open,
			  ike->puzzles ? ": peers must solve a puzzle" : "");
	}
}

bool ike_half_open_enter(struct ike_sa *sa, const uint8_t digest[IKE_DIGEST_SIZE])
{
	struct ike *ike = sa->ike;
	const struct ip_addr net = source_net(&sa->remote.addr);
	struct ike_source *s = source_find(ike, &net);

	if (!s) {
		s = calloc(1, sizeof(*s));
		if (!s)
			return false;
		s->net = net;
		ike_table_put(&ike->sources, &s->link, source_key(&net));
	}
	s->n++;
	sa->source = s;
	ike->n_half_open++;
	memcpy(sa->init_digest, digest, IKE_DIGEST_SIZE);
	ike_table_put(&ike->by_init, &sa->by_init, digest_key(digest));
	update_cookies(ike);
	return true;
}

void ike_half_open_leave(struct ike_sa *sa)
{
	struct ike *ike = sa->ike;
	struct ike_source *s = sa->source;

	if (!s)
		return;
	sa->source = NULL;
	ike->n_half_open--;
	if (--s->n == 0) {
		ike_table_remove(&ike->sources, &s->link);
		free(s);
	}
	if (ike->out) /* not while the whole core is being freed */
		update_cookies(ike);
}

bool ike_cookies_on(struct ike *ike)
{
	update_cookies(ike);
	return ike->cookies || ike->puzzles;
}

/* RFC 8019 7.1.1.1: the more places are taken, the harder. */
uint8_t ike_puzzle_bits(struct ike *ike)
{
	const uint32_t from = ike->limits.puzzle_threshold, to = ike->limits.max_half_open;
	const uint32_t n = ike->n_half_open < to ? ike->n_half_open : to;

	if (!ike->puzzles)
		return 0;
	if (n <= from)
		return PUZZLE_EASIEST;
	return (uint8_t)(PUZZLE_EASIEST +
			 (uint64_t)(PUZZLE_HARDEST - PUZZLE_EASIEST) * (n - from) / (to - from));
}

/* RFC 8019 7.1.5: a peer may know nothing of puzzles. */
bool ike_may_go_unsolved(struct ike *ike)
{
	return ike_take_token(&ike->unsolved_full_at, ike->now, UNSOLVED_PERIOD, UNSOLVED_BURST);
}
