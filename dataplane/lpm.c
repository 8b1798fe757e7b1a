/* SPDX-License-Identifier: Apache-2.0 */
/* lpm: the writer's side of longest match. See lpm.h. */
#include "dataplane/lpm.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define CLAIMS_MIN 4u
#define KEY_SHIFT  40
#define SRC_SHIFT  32
#define STEP_BITS  8u
#define HUGE_AT    4096u /* claims: from then on the root asks for hugepages */
#define INDEX      (~(DP_LPM_CHILD | DP_LPM_SMALL))

static struct dp_lpm_node *node_at(const struct dp_lpm *t, uint32_t entry)
{
	return dp_lpm_block(t->mem, entry & INDEX);
}

static void store(uint32_t *to, uint32_t v)
{
	__atomic_store_n(to, v, __ATOMIC_RELEASE);
}

/* ------------------------------------------------------------------ claims */

static uint64_t *claims_at(struct dp_lpm_claims *c)
{
	return c->size ? c->many : &c->one;
}

static const uint64_t *claims_of(const struct dp_lpm_claims *c)
{
	return c->size ? c->many : &c->one;
}

/* The first claim that is not below. */
static uint32_t lower(const struct dp_lpm_claims *c, uint64_t what)
{
	const uint64_t *v = claims_of(c);
	uint32_t low = 0, high = c->n;

	while (low < high) {
		const uint32_t mid = (low + high) / 2;

		if (v[mid] < what)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static uint64_t claim(uint32_t key, unsigned source, uint32_t value)
{
	return (uint64_t)key << KEY_SHIFT | (uint64_t)source << SRC_SHIFT | value;
}

/* What counts for a prefix: the claim of its strongest source, or 0. */
static uint32_t effective(const struct dp_lpm_claims *c, uint32_t key)
{
	const uint32_t i = lower(c, claim(key, 0, 0));

	return i < c->n && claims_of(c)[i] >> KEY_SHIFT == key ? (uint32_t)claims_of(c)[i] : 0;
}

/* Of one source, or 0. */
static uint32_t claimed(const struct dp_lpm_claims *c, uint32_t key, unsigned source)
{
	const uint32_t i = lower(c, claim(key, source, 0));

	return i < c->n && claims_of(c)[i] >> SRC_SHIFT == claim(key, source, 0) >> SRC_SHIFT
		       ? (uint32_t)claims_of(c)[i]
		       : 0;
}

static bool claims_grow(struct dp_lpm_claims *c)
{
	const uint32_t size = c->size ? 2 * c->size : CLAIMS_MIN;
	uint64_t *grown;

	if (c->n < (c->size ? c->size : 1))
		return true;
	grown = realloc(c->size ? c->many : NULL, size * sizeof(*grown));
	if (!grown)
		return false;
	if (!c->size)
		grown[0] = c->one;
	c->many = grown;
	c->size = size;
	return true;
}

/* Sets, or with value 0 removes, what a source claims. False: no memory. */
static bool claims_set(struct dp_lpm_claims *c, uint32_t key, unsigned source, uint32_t value)
{
	const uint32_t i = lower(c, claim(key, source, 0));
	const bool there =
		i < c->n && claims_of(c)[i] >> SRC_SHIFT == claim(key, source, 0) >> SRC_SHIFT;
	uint64_t *v;

	if (value && !there) {
		if (!claims_grow(c))
			return false;
		v = claims_at(c);
		memmove(v + i + 1, v + i, (c->n - i) * sizeof(*v));
		c->n++;
	}
	v = claims_at(c);
	if (value) {
		v[i] = claim(key, source, value);
	} else if (there) {
		c->n--;
		memmove(v + i, v + i + 1, (c->n - i) * sizeof(*v));
	}
	return true;
}

/* ------------------------------------------------------------------- nodes */

/* A node of the third byte is a part of the root. */
static bool in_root(const struct dp_lpm_keep *k)
{
	return !k->parent;
}

static bool is_small(const struct dp_lpm_keep *k)
{
	return k->block & DP_LPM_SMALL;
}

static uint32_t *entry_at(const struct dp_lpm *t, const struct dp_lpm_keep *k, unsigned slot)
{
	if (in_root(k))
		return &t->root[(uint32_t)k->slot << STEP_BITS | slot];
	return dp_lpm_value(node_at(t, k->block), is_small(k), slot);
}

/* The entry that points to a node that is not in the root. */
static uint32_t *entry_of(const struct dp_lpm *t, const struct dp_lpm_keep *k)
{
	return entry_at(t, dp_lpm_keep(t->mem, k->parent), k->slot);
}

/*
 * What the entries below a prefix of the node (its key has `length` bits below the first one; 1: all of the
 * node) say by the node's claims: the longest. The first of them is entries[0].
 */
static void paint(const struct dp_lpm_claims *c, uint32_t key, unsigned length, uint32_t *entries)
{
	const uint64_t *v = claims_of(c);
	const unsigned n = DP_LPM_ENTRIES >> length;
	uint32_t value = 0;

	for (unsigned l = 0; l < length && !value; l++)
		value = effective(c, key >> l);
	for (unsigned e = 0; e < n; e++)
		entries[e] = value;
	/* Longer ones below stand together, length by length. */
	for (unsigned below = 1; length + below <= STEP_BITS; below++) {
		const uint32_t low = key << below, high = low + (1u << below);
		const unsigned wide = n >> below;
		uint32_t last = 0;

		for (uint32_t i = lower(c, claim(low, 0, 0)); i < c->n; i++) {
			const uint32_t at = (uint32_t)(v[i] >> KEY_SHIFT);

			if (at >= high)
				break;
			if (at == last)
				continue;
			last = at;
			for (unsigned e = 0; e < wide; e++)
				entries[(at - low) * wide + e] = (uint32_t)v[i];
		}
	}
}

/* An entry that has no child says this; one that has lets its child know. */
static void put(const struct dp_lpm *t, uint32_t *entry, uint32_t value)
{
	if (*entry & DP_LPM_CHILD)
		store(&node_at(t, *entry)->outer, value);
	else if (*entry != value)
		store(entry, value);
}

/* Another node in a small one's place: a small one, or with these entries. False: no memory. */
static bool put_node(struct dp_lpm *t, struct dp_lpm_keep *k, const struct dp_lpm_node *shape,
		     const uint32_t *entries, bool must)
{
	const bool small = !entries;
	const uint32_t block = dp_lpm_alloc(t->mem, small ? 1 : DP_LPM_LINES, must);
	struct dp_lpm_node *n;

	if (!block)
		return false;
	n = node_at(t, block);
	*n = *shape;
	if (!small)
		memcpy(n + 1, entries, DP_LPM_ENTRIES * sizeof(*entries));
	store(entry_of(t, k), DP_LPM_CHILD | (small ? DP_LPM_SMALL : 0) | block);
	dp_lpm_retire(t->mem, k->block & INDEX, 1);
	k->block = block | (small ? DP_LPM_SMALL : 0);
	return true;
}

/* What a node keeps when its entries are others. */
static struct dp_lpm_node rest_of(const struct dp_lpm_node *n)
{
	return (struct dp_lpm_node){.outer = n->outer, .keep = n->keep};
}

/* A copy of a small node with other entries, small or not as they need, in its place. False: no memory. */
static bool replace(struct dp_lpm *t, struct dp_lpm_keep *k, const uint32_t entries[DP_LPM_ENTRIES],
		    bool must)
{
	struct dp_lpm_node shape = rest_of(node_at(t, k->block));
	const bool small = dp_lpm_small_make(&shape, entries);

	return put_node(t, k, &shape, small ? NULL : entries, must);
}

/* The same with one other entry. */
static bool replace_one(struct dp_lpm *t, struct dp_lpm_keep *k, unsigned slot, uint32_t value,
			bool must)
{
	const struct dp_lpm_node *old = node_at(t, k->block);
	struct dp_lpm_node shape = rest_of(old);
	uint32_t entries[DP_LPM_ENTRIES];

	if (dp_lpm_small_change(&shape, old, slot, value))
		return put_node(t, k, &shape, NULL, must);
	dp_lpm_small_read(old, entries);
	entries[slot] = value;
	return put_node(t, k, &shape, entries, must);
}

/* Brings the entries below a prefix of the node in line with its claims. False: no memory. */
static bool repaint(struct dp_lpm *t, struct dp_lpm_keep *k, uint32_t key, unsigned length,
		    bool must)
{
	uint32_t entries[DP_LPM_ENTRIES], painted[DP_LPM_ENTRIES];
	const unsigned n = DP_LPM_ENTRIES >> length;
	const unsigned first = (key << (STEP_BITS - length)) & (DP_LPM_ENTRIES - 1);

	paint(&k->claims, key, length, painted);
	if (!is_small(k)) {
		for (unsigned e = 0; e < n; e++)
			put(t, entry_at(t, k, first + e), painted[e]);
		return true;
	}
	if (n == 1) {
		uint32_t *entry = entry_at(t, k, first);

		if (!(*entry & DP_LPM_CHILD) && *entry != painted[0])
			return replace_one(t, k, first, painted[0], must);
		put(t, entry, painted[0]);
		return true;
	}
	dp_lpm_small_read(node_at(t, k->block), entries);
	for (unsigned e = 0; e < n; e++) {
		if (!(entries[first + e] & DP_LPM_CHILD))
			entries[first + e] = painted[e];
	}
	if (!replace(t, k, entries, must))
		return false;
	for (unsigned e = 0; e < n; e++)
		put(t, &entries[first + e], painted[e]);
	return true;
}

/* Puts one entry of a node: a child, or what it says without. False: no memory. */
static bool put_entry(struct dp_lpm *t, struct dp_lpm_keep *k, unsigned slot, uint32_t value,
		      bool must)
{
	if (!is_small(k)) {
		store(entry_at(t, k, slot), value);
		return true;
	}
	return replace_one(t, k, slot, value, must);
}

/* A node without prefixes at an entry that has none yet. 0: no memory. */
static uint32_t grow_node(struct dp_lpm *t, uint32_t parent, uint8_t slot)
{
	const uint32_t keep = dp_lpm_keep_new(t->mem);
	struct dp_lpm_keep *k, *above = dp_lpm_keep(t->mem, parent);
	struct dp_lpm_node *n;
	uint32_t block;

	if (!keep)
		return 0;
	block = dp_lpm_alloc(t->mem, 1, false);
	if (block) {
		n = node_at(t, block);
		memset(n, 0, DP_LPM_LINE);
		n->starts[0] = 1;
		n->before[1] = n->before[2] = n->before[3] = 1;
		n->keep = keep;
		n->outer = *entry_at(t, above, slot);
		k = dp_lpm_keep(t->mem, keep);
		k->block = block | DP_LPM_SMALL;
		k->parent = parent;
		k->slot = slot;
		if (put_entry(t, above, slot, DP_LPM_CHILD | k->block, false)) {
			above->n_children++;
			return keep;
		}
		dp_lpm_unused(t->mem, block, 1);
	}
	dp_lpm_keep_free(t->mem, keep);
	return 0;
}

/* Takes away nodes that hold nothing, from `keep` up. */
static void prune(struct dp_lpm *t, uint32_t keep)
{
	while (keep) {
		struct dp_lpm_keep *k = dp_lpm_keep(t->mem, keep);
		const uint32_t parent = k->parent;
		struct dp_lpm_keep *above = dp_lpm_keep(t->mem, parent);

		if (k->claims.n || k->n_children)
			return;
		if (in_root(k)) {
			t->keeps[k->slot] = 0;
			dp_lpm_keep_free(t->mem, keep);
			return;
		}
		if (!put_entry(t, above, k->slot, node_at(t, k->block)->outer, true))
			return; /* it stays, and says nothing */
		above->n_children--;
		dp_lpm_retire(t->mem, k->block & INDEX, is_small(k) ? 1 : DP_LPM_LINES);
		dp_lpm_keep_free(t->mem, keep);
		keep = parent;
	}
}

/* ---------------------------------------------------------------- prefixes */

/* Where a prefix belongs: among the short ones, or in a node. */
struct place {
	uint32_t key;   /* within */
	uint16_t first; /* 16 bits of the prefix */
	uint8_t length; /* of it: of a short one, or within the node */
	uint8_t step;   /* of the node */
	bool is_short;
};

static struct place place_of(const struct ip_prefix *p)
{
	struct place at = {.first = (uint16_t)(p->addr.b[0] << 8 | p->addr.b[1])};

	if (p->len <= DP_LPM_SHORT_BITS) {
		at.is_short = true;
		at.length = p->len;
		at.key = 1u << p->len | (uint32_t)at.first >> (DP_LPM_SHORT_BITS - p->len);
		return at;
	}
	at.step = (uint8_t)((p->len - DP_LPM_SHORT_BITS - 1) / STEP_BITS);
	at.length = (uint8_t)((p->len - DP_LPM_SHORT_BITS - 1) % STEP_BITS + 1);
	at.key = 1u << at.length | (uint32_t)p->addr.b[2 + at.step] >> (STEP_BITS - at.length);
	return at;
}

/* The node of a place; 0: there is none. */
static uint32_t find_node(const struct dp_lpm *t, const struct ip_prefix *p, const struct place *at)
{
	uint32_t keep = t->keeps[at->first];

	for (unsigned step = 0; step < at->step && keep; step++) {
		const uint32_t entry = *entry_at(t, dp_lpm_keep(t->mem, keep), p->addr.b[2 + step]);

		keep = entry & DP_LPM_CHILD ? node_at(t, entry)->keep : 0;
	}
	return keep;
}

/* The same, made if there is none; 0: no memory. */
static uint32_t make_node(struct dp_lpm *t, const struct ip_prefix *p, const struct place *at)
{
	uint32_t keep = t->keeps[at->first];

	if (!keep) {
		keep = dp_lpm_keep_new(t->mem);
		if (!keep)
			return 0;
		dp_lpm_keep(t->mem, keep)->slot = at->first;
		t->keeps[at->first] = keep;
	}
	for (unsigned step = 0; step < at->step; step++) {
		const uint8_t slot = p->addr.b[2 + step];
		const uint32_t entry = *entry_at(t, dp_lpm_keep(t->mem, keep), slot);
		const uint32_t parent = keep;

		keep = entry & DP_LPM_CHILD ? node_at(t, entry)->keep : grow_node(t, parent, slot);
		if (!keep) {
			prune(t, parent);
			return 0;
		}
	}
	return keep;
}

/* The entries of a short prefix whose value has changed; 0: it is gone. */
static void paint_short(struct dp_lpm *t, const struct place *at, uint32_t value)
{
	const uint32_t n = DP_LPM_SHORT_SIZE >> at->length;
	const uint8_t own = (uint8_t)(at->length + 1);
	uint8_t length = own;

	for (unsigned l = at->length; !value && l-- > 0;) {
		value = effective(&t->claims,
				  1u << l | (uint32_t)at->first >> (DP_LPM_SHORT_BITS - l));
		length = (uint8_t)(l + 1);
	}
	if (!value)
		length = 0;
	for (uint32_t s = at->first; s < at->first + n; s++) {
		if (t->lengths[s] > own)
			continue;
		t->lengths[s] = length;
		store(&t->shorts[s], value);
	}
}

/* Brings what readers see in line with a claim that was changed. */
static bool apply(struct dp_lpm *t, const struct place *at, uint32_t keep, uint32_t value,
		  bool must)
{
	if (!at->is_short)
		return repaint(t, dp_lpm_keep(t->mem, keep), at->key, at->length, must);
	paint_short(t, at, value);
	return true;
}

bool dp_lpm_set(struct dp_lpm *t, const struct ip_prefix *p, unsigned source, uint32_t value,
		uint32_t *before)
{
	const struct place at = place_of(p);
	struct dp_lpm_claims *c = &t->claims;
	uint32_t keep = 0, was, now;

	*before = 0;
	if (!at.is_short) {
		keep = make_node(t, p, &at);
		if (!keep)
			return false;
		c = &dp_lpm_keep(t->mem, keep)->claims;
	}
	was = effective(c, at.key);
	*before = claimed(c, at.key, source);
	if (!claims_set(c, at.key, source, value)) {
		prune(t, keep);
		return false;
	}
	now = effective(c, at.key);
	if (now != was && !apply(t, &at, keep, now, false)) {
		(void)claims_set(c, at.key, source, *before);
		prune(t, keep);
		return false;
	}
	__atomic_store_n(&t->n, t->n + (*before == 0), __ATOMIC_RELAXED);
	if (t->n >= HUGE_AT && !t->huge) {
		(void)madvise(t->root, DP_LPM_ROOT_BYTES, MADV_HUGEPAGE);
		t->huge = true;
	}
	return true;
}

bool dp_lpm_clear(struct dp_lpm *t, const struct ip_prefix *p, unsigned source, uint32_t *before)
{
	const struct place at = place_of(p);
	struct dp_lpm_claims *c = &t->claims;
	uint32_t keep = 0, was, now;

	*before = 0;
	if (!at.is_short) {
		keep = find_node(t, p, &at);
		if (!keep)
			return true;
		c = &dp_lpm_keep(t->mem, keep)->claims;
	}
	*before = claimed(c, at.key, source);
	if (!*before)
		return true;
	was = effective(c, at.key);
	(void)claims_set(c, at.key, source, 0);
	now = effective(c, at.key);
	if (now != was && !apply(t, &at, keep, now, true)) {
		/* Its place is still there. */
		(void)claims_set(c, at.key, source, *before);
		return false;
	}
	__atomic_store_n(&t->n, t->n - 1, __ATOMIC_RELAXED);
	prune(t, keep);
	return true;
}

uint32_t dp_lpm_get(const struct dp_lpm *t, const struct ip_prefix *p, unsigned source)
{
	const struct place at = place_of(p);
	uint32_t keep;

	if (at.is_short)
		return claimed(&t->claims, at.key, source);
	keep = find_node(t, p, &at);
	return keep ? claimed(&dp_lpm_keep(t->mem, keep)->claims, at.key, source) : 0;
}

/* -------------------------------------------------------------------- walks */

struct walk {
	const struct dp_lpm *t;
	unsigned source;
	dp_lpm_fn *fn;
	void *ctx;
};

/* The claims for prefixes whose first `base` bits are those of `p`. */
static void walk_claims(const struct walk *w, const struct dp_lpm_claims *c, struct ip_prefix p,
			unsigned base)
{
	for (uint32_t i = 0; i < c->n; i++) {
		const uint64_t claim = claims_of(c)[i];
		const uint32_t key = (uint32_t)(claim >> KEY_SHIFT);
		const unsigned length = 31u - (unsigned)__builtin_clz(key);
		const uint32_t bits = key ^ 1u << length;
		const unsigned at = base / 8;

		if ((claim >> SRC_SHIFT & 0xff) != w->source)
			continue;
		if (base == 0) {
			p.addr.b[0] = (uint8_t)(bits << (DP_LPM_SHORT_BITS - length) >> 8);
			p.addr.b[1] = (uint8_t)(bits << (DP_LPM_SHORT_BITS - length));
		} else {
			p.addr.b[at] = (uint8_t)(bits << (STEP_BITS - length));
		}
		p.len = (uint8_t)(base + length);
		w->fn(w->ctx, &p, (uint32_t)claim);
	}
}

static void walk_node(const struct walk *w, uint32_t keep, struct ip_prefix p, unsigned base)
{
	const struct dp_lpm_keep *k = dp_lpm_keep(w->t->mem, keep);

	walk_claims(w, &k->claims, p, base);
	for (unsigned e = 0; k->n_children && e < DP_LPM_ENTRIES; e++) {
		const uint32_t entry = *entry_at(w->t, k, e);

		if (!(entry & DP_LPM_CHILD))
			continue;
		p.addr.b[base / 8] = (uint8_t)e;
		walk_node(w, node_at(w->t, entry)->keep, p, base + STEP_BITS);
	}
}

void dp_lpm_walk(const struct dp_lpm *t, enum ip_family family, unsigned source, dp_lpm_fn *fn,
		 void *ctx)
{
	const struct walk w = {.t = t, .source = source, .fn = fn, .ctx = ctx};
	struct ip_prefix p = {.addr.family = family};

	walk_claims(&w, &t->claims, p, 0);
	for (uint32_t s = 0; t->n && s < DP_LPM_SHORT_SIZE; s++) {
		if (!t->keeps[s])
			continue;
		p.addr.b[0] = (uint8_t)(s >> 8);
		p.addr.b[1] = (uint8_t)s;
		walk_node(&w, t->keeps[s], p, DP_LPM_SHORT_BITS);
	}
}

/* ------------------------------------------------------------------- tables */

bool dp_lpm_init(struct dp_lpm *t, struct dp_lpm_mem *mem, bool huge)
{
	memset(t, 0, sizeof(*t));
	t->mem = mem;
	t->root = dp_lpm_space(DP_LPM_ROOT_BYTES);
	t->shorts = calloc(DP_LPM_SHORT_SIZE, sizeof(*t->shorts));
	t->lengths = calloc(DP_LPM_SHORT_SIZE, sizeof(*t->lengths));
	t->keeps = calloc(DP_LPM_SHORT_SIZE, sizeof(*t->keeps));
	if (!t->root || !t->shorts || !t->lengths || !t->keeps) {
		dp_lpm_fini(t);
		return false;
	}
	if (huge)
		(void)madvise(t->root, DP_LPM_ROOT_BYTES, MADV_HUGEPAGE);
	t->huge = huge;
	return true;
}

static void drop_node(struct dp_lpm *t, uint32_t keep)
{
	const struct dp_lpm_keep *k = dp_lpm_keep(t->mem, keep);

	for (unsigned e = 0; k->n_children && e < DP_LPM_ENTRIES; e++) {
		const uint32_t entry = *entry_at(t, k, e);

		if (entry & DP_LPM_CHILD)
			drop_node(t, node_at(t, entry)->keep);
	}
	if (!in_root(k))
		dp_lpm_unused(t->mem, k->block & INDEX, is_small(k) ? 1 : DP_LPM_LINES);
	dp_lpm_keep_free(t->mem, keep);
}

void dp_lpm_fini(struct dp_lpm *t)
{
	for (uint32_t s = 0; t->n && s < DP_LPM_SHORT_SIZE; s++) {
		if (t->keeps[s])
			drop_node(t, t->keeps[s]);
	}
	if (t->root)
		(void)munmap(t->root, DP_LPM_ROOT_BYTES);
	free(t->shorts);
	free(t->lengths);
	free(t->keeps);
	if (t->claims.size)
		free(t->claims.many);
	memset(t, 0, sizeof(*t));
}
