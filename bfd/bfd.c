/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The BFD core: a table of sessions, and which of them a packet or a timer is for.
 *
 * A local discriminator is random above its low BFD_SLOT_BITS bits, which are the session's slot:
 * found by an index and a compare, and not to be guessed (RFC 5880 6.8.1, 9). A packet that does not
 * know ours yet is matched by its addresses.
 */
#include "bfd/bfd_int.h"

#include <stdlib.h>
#include <string.h>
#include "base/array.h"

#define TTL_SINGLE_HOP 255 /* RFC 5881 5 */

const char *bfd_state_name(enum bfd_state s)
{
	static const char *const names[] = {"AdminDown", "Down", "Init", "Up"};

	return names[s];
}

const char *bfd_diagnostic_name(uint8_t diagnostic)
{
	static const char *const names[BFD_DIAG_END] = {
		"no diagnostic",
		"control detection time expired",
		"echo function failed",
		"neighbor signaled session down",
		"forwarding plane reset",
		"path down",
		"concatenated path down",
		"administratively down",
		"reverse concatenated path down",
	};

	return diagnostic < BFD_DIAG_END ? names[diagnostic] : "unknown diagnostic";
}

const char *bfd_drop_name(enum bfd_drop d)
{
	static const char *const names[] = {
#define X(name, text) text,
		BFD_DROPS(X)
#undef X
	};

	return names[d];
}

/* ----------------------------------------------------------------- actions */

struct bfd_action *bfd_action_add(struct bfd_out *out, enum bfd_action_type type,
				  const struct bfd_session *s)
{
	struct bfd_action *a = array_add(&out->actions, &out->n, &out->size, sizeof(*a), 16);

	if (!a) {
		out->overflow = true;
		return NULL;
	}
	a->type = type;
	a->session = s->cfg.session;
	return a;
}

void bfd_out_reset(struct bfd_out *out)
{
	out->n = 0;
	out->overflow = false;
}

void bfd_out_fini(struct bfd_out *out)
{
	free(out->actions);
	memset(out, 0, sizeof(*out));
}

/* ------------------------------------------------------------------- table */

struct bfd *bfd_new(uint32_t (*random)(void *ctx), void *random_ctx, const struct tracer *tracer)
{
	struct bfd *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	heap_init(&b->timers);
	b->random = random;
	b->random_ctx = random_ctx;
	b->tracer = tracer;
	return b;
}

static int by_address(const struct ip_addr *local, const struct ip_addr *remote, bool multihop,
		      const struct bfd_session_cfg *c)
{
	const int l = ip_cmp(local, &c->local), r = ip_cmp(remote, &c->remote);

	if (l || r)
		return l ? l : r;
	return (int)multihop - (int)c->multihop;
}

static int session_order(const void *x, const void *y)
{
	const struct bfd_session *const *a = x, *const *b = y;

	return by_address(&(*a)->cfg.local, &(*a)->cfg.remote, (*a)->cfg.multihop, &(*b)->cfg);
}

static struct bfd_session *find_address(const struct bfd *b, const struct ip_addr *local,
					const struct ip_addr *remote, bool multihop)
{
	size_t low = 0, high = b->n;

	while (low < high) {
		const size_t mid = low + (high - low) / 2;
		const int c = by_address(local, remote, multihop, &b->sessions[mid]->cfg);

		if (c == 0)
			return b->sessions[mid];
		if (c < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}

static struct bfd_session *find_number(const struct bfd *b, uint32_t session)
{
	for (size_t i = 0; i < b->n; i++)
		if (b->sessions[i]->cfg.session == session)
			return b->sessions[i];
	return NULL;
}

static bool take_slot(struct bfd *b, struct bfd_session *s)
{
	size_t slot = 0;
	uint32_t high;

	while (slot < b->n_slots && b->slots[slot])
		slot++;
	if (slot == b->n_slots) {
		const size_t n = b->n_slots ? 2 * b->n_slots : 16;
		struct bfd_session **grown;

		if (n > BFD_SESSIONS_MAX)
			return false;
		grown = realloc(b->slots, n * sizeof(struct bfd_session *));
		if (!grown)
			return false;
		memset(grown + b->n_slots, 0, (n - b->n_slots) * sizeof(struct bfd_session *));
		b->slots = grown;
		b->n_slots = n;
	}
	do
		high = b->random(b->random_ctx) << BFD_SLOT_BITS;
	while (high == 0);
	s->local_discr = high | (uint32_t)slot;
	b->slots[slot] = s;
	return true;
}

static void session_free(struct bfd *b, struct bfd_session *s)
{
	if (s->local_discr)
		b->slots[s->local_discr & (BFD_SESSIONS_MAX - 1)] = NULL;
	heap_remove(&b->timers, &s->timer);
	free(s);
}

void bfd_free(struct bfd *b)
{
	if (!b)
		return;
	while (b->n)
		session_free(b, b->sessions[--b->n]);
	free(b->sessions);
	free(b->slots);
	heap_fini(&b->timers);
	free(b);
}

/* Room in the heap for a timer, taken while it can still be refused. */
static bool reserve_timer(struct bfd *b, struct bfd_session *s, struct mono now)
{
	return heap_set(&b->timers, &s->timer, now);
}

static struct bfd_session *session_new(struct bfd *b, const struct bfd_session_cfg *cfg,
				       struct mono now)
{
	struct bfd_session *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->cfg = *cfg;
	if (!take_slot(b, s) || !reserve_timer(b, s, now)) {
		session_free(b, s);
		return NULL;
	}
	bfd_session_start(b, s, now);
	return s;
}

static bool same_path(const struct bfd_session_cfg *a, const struct bfd_session_cfg *b)
{
	return a->session == b->session && by_address(&a->local, &a->remote, a->multihop, b) == 0;
}

static const struct bfd_session_cfg *cfg_of(const struct bfd_session_cfg *cfgs, size_t n,
					    const struct bfd_session *s)
{
	for (size_t i = 0; i < n; i++)
		if (same_path(&cfgs[i], &s->cfg))
			return &cfgs[i];
	return NULL;
}

bool bfd_configure(struct bfd *b, const struct bfd_session_cfg *cfgs, size_t n, struct mono now,
		   struct bfd_out *out)
{
	struct bfd_session **grown = realloc(b->sessions, (b->n + n + 1) * sizeof(*grown));
	size_t kept = 0;

	if (!grown)
		return false;
	b->sessions = grown;
	for (size_t i = 0; i < b->n; i++) {
		struct bfd_session *s = b->sessions[i];

		if (!cfg_of(cfgs, n, s)) {
			/* RFC 5882 3.2: not a failure of the path, so the peer is told. */
			bfd_session_force(b, s, BFD_ADMIN_DOWN, BFD_DIAG_ADMIN_DOWN, now, out);
			session_free(b, s);
			continue;
		}
		b->sessions[kept++] = s;
	}
	b->n = kept;
	qsort(b->sessions, b->n, sizeof(*b->sessions), session_order);
	for (size_t i = 0; i < n; i++) {
		struct bfd_session *s =
			find_address(b, &cfgs[i].local, &cfgs[i].remote, cfgs[i].multihop);

		if (s) {
			s->cfg = cfgs[i];
			bfd_session_retime(b, s, now);
		}
	}
	for (size_t i = 0; i < n; i++) {
		struct bfd_session *s;

		if (find_number(b, cfgs[i].session))
			continue;
		s = session_new(b, &cfgs[i], now);
		if (!s)
			return false;
		b->sessions[b->n++] = s;
	}
	qsort(b->sessions, b->n, sizeof(*b->sessions), session_order);
	return true;
}

/* ------------------------------------------------------------------ events */

/* RFC 5880 6.8.6 and RFC 5881 5: whose packet it is, or why nobody's. */
static struct bfd_session *session_of(struct bfd *b, const struct bfd_event *ev,
				      const struct bfd_packet *p, enum bfd_drop *why)
{
	struct bfd_session *s;
	const uint32_t slot = p->your_discriminator & (BFD_SESSIONS_MAX - 1);

	*why = BFD_DROP_NO_SESSION;
	if (p->your_discriminator == 0) {
		s = find_address(b, &ev->packet.local, &ev->packet.remote, ev->packet.multihop);
	} else {
		s = slot < b->n_slots ? b->slots[slot] : NULL;
		/* By another path than the session's it says nothing about the session's path. */
		if (s && (s->local_discr != p->your_discriminator ||
			  by_address(&ev->packet.local, &ev->packet.remote, ev->packet.multihop,
				     &s->cfg) != 0))
			s = NULL;
	}
	if (s && s->state == BFD_ADMIN_DOWN) {
		*why = BFD_DROP_ADMIN_DOWN;
		return NULL;
	}
	return s;
}

static void receive(struct bfd *b, const struct bfd_event *ev, struct bfd_out *out)
{
	struct bfd_session *s;
	struct bfd_packet p;
	enum bfd_drop why;

	/* RFC 5881 5: nobody beyond the link can send such a packet. */
	if (!ev->packet.multihop && ev->packet.ttl != TTL_SINGLE_HOP) {
		b->dropped[BFD_DROP_TTL]++;
		return;
	}
	why = bfd_packet_parse(ev->packet.data, ev->packet.size, &p);
	if (why == BFD_DROP_END) {
		s = session_of(b, ev, &p, &why);
		/* RFC 5883 4: how far the peer is, only the configuration knows. */
		if (s && ev->packet.multihop && ev->packet.ttl < s->cfg.min_ttl) {
			s = NULL;
			why = BFD_DROP_TTL;
		}
		if (s) {
			bfd_session_receive(b, s, &p, ev->now, out);
			return;
		}
	}
	b->dropped[why]++;
}

static void tick(struct bfd *b, struct mono now, struct bfd_out *out)
{
	struct heap_node *first;

	while ((first = heap_first(&b->timers)) && mono_reached(now, first->deadline))
		bfd_session_expire(
			b,
			(struct bfd_session *)((char *)first - offsetof(struct bfd_session, timer)),
			now, out);
}

void bfd_step(struct bfd *b, const struct bfd_event *ev, struct bfd_out *out)
{
	struct bfd_session *s;

	switch (ev->type) {
	case BFD_EV_TICK: tick(b, ev->now, out); return;
	case BFD_EV_PACKET: receive(b, ev, out); return;
	case BFD_EV_ADMIN_DOWN:
	case BFD_EV_ADMIN_UP:
	case BFD_EV_PATH_DOWN: break;
	}
	s = find_number(b, ev->session);
	if (!s)
		return;
	if (ev->type == BFD_EV_ADMIN_DOWN)
		bfd_session_force(b, s, BFD_ADMIN_DOWN, BFD_DIAG_ADMIN_DOWN, ev->now, out);
	else if (ev->type == BFD_EV_ADMIN_UP && s->state == BFD_ADMIN_DOWN)
		bfd_session_force(b, s, BFD_DOWN, BFD_DIAG_NONE, ev->now, out);
	else if (ev->type == BFD_EV_PATH_DOWN && s->state != BFD_ADMIN_DOWN)
		bfd_session_force(b, s, BFD_DOWN, BFD_DIAG_PATH_DOWN, ev->now, out);
}

struct mono bfd_deadline(const struct bfd *b)
{
	return heap_deadline(&b->timers);
}

/* -------------------------------------------------------------------- show */

bool bfd_show(const struct bfd *b, uint32_t session, struct bfd_show *out)
{
	const struct bfd_session *s = find_number(b, session);

	if (!s)
		return false;
	*out = (struct bfd_show){
		.cfg = &s->cfg,
		.state = s->state,
		.remote_state = s->remote_state,
		.diagnostic = s->local_diag,
		.remote_diagnostic = s->remote_diag,
		.since = s->since,
		.local_discriminator = s->local_discr,
		.remote_discriminator = s->remote_discr,
		.tx = bfd_session_tx(s),
		.detection = bfd_session_detection(s),
		.packets_in = s->packets_in,
		.packets_out = s->packets_out,
		.flaps = s->flaps,
	};
	return true;
}

uint64_t bfd_dropped(const struct bfd *b, enum bfd_drop d)
{
	return b->dropped[d];
}
