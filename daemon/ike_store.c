/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/ike_store.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include "base/secret.h"

#define MAGIC        0x54425253u /* "TBRS" */
#define VERSION      1u
#define NONE         UINT32_MAX
#define LAST         (UINT32_MAX - 1) /* end of a chain */
#define FREE         0u               /* wiped; zeroed memory is free */
#define TO_NEXT(b)   ((b) + 1u)       /* `next` of a block that has a successor */
#define SAS_PER      4u               /* entries a tunnel */
#define BLOCKS_PER   8u
#define BLOCKS_SPARE 1024u
#define BUCKETS      4096u

struct ike_store_journal {
	uint32_t full; /* 1: to be carried out */
	uint32_t n;
	struct ike_store_item items[IKE_STORE_CHANGES];
};

struct ike_store_head {
	uint32_t magic;
	uint32_t version;
	uint32_t n_entries, n_blocks;
	uint32_t attempts;
	uint32_t zero[11];
	struct ike_store_journal journal;
};
static_assert(sizeof(struct ike_store_item) == 48, "layout");

size_t ike_store_size(uint32_t max_tunnels)
{
	const size_t entries = (size_t)max_tunnels * SAS_PER;
	const size_t blocks = (size_t)max_tunnels * BLOCKS_PER + BLOCKS_SPARE;

	return sizeof(struct ike_store_head) + entries * sizeof(struct ike_store_item) +
	       blocks * (IKE_STORE_BLOCK + sizeof(uint32_t));
}

/* The numbers of tunnels whose records fit into `size` bytes, by the same sum. */
static bool shape(struct ike_store *s, void *mem, size_t size)
{
	const size_t fixed = ike_store_size(0), each = ike_store_size(1) - fixed;
	const size_t n = size < fixed ? 0 : (size - fixed) / each;
	uint8_t *p = mem;

	if (n == 0 || n > 1u << 20)
		return false;
	s->n_entries = (uint32_t)n * SAS_PER;
	s->n_blocks = (uint32_t)n * BLOCKS_PER + BLOCKS_SPARE;
	s->h = mem;
	p += sizeof(*s->h);
	s->entries = (struct ike_store_item *)(void *)p;
	p += s->n_entries * sizeof(*s->entries);
	s->next = (uint32_t *)(void *)p;
	s->blocks = p + s->n_blocks * sizeof(*s->next);
	return true;
}

/*
 * The order of our stores is what the next process relies on. It sees all that were carried out, as
 * the kernel ends us between two instructions: only the compiler has to be held to it.
 */
static void in_order(void)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_RELEASE);
}

/* ------------------------------------------------------------------ blocks */

static uint8_t *block(const struct ike_store *s, uint32_t b)
{
	return s->blocks + (size_t)b * IKE_STORE_BLOCK;
}

static uint32_t blocks_of(size_t size)
{
	return (uint32_t)((size + IKE_STORE_BLOCK - 1) / IKE_STORE_BLOCK);
}

static void free_block(struct ike_store *s, uint32_t b)
{
	bytes_wipe(block(s, b), IKE_STORE_BLOCK);
	in_order();
	s->next[b] = FREE;
	s->free_blocks[s->n_free++] = b;
}

static void free_chain(struct ike_store *s, uint32_t b, size_t size)
{
	for (uint32_t n = blocks_of(size); n > 0; n--) {
		const uint32_t next = s->next[b];

		free_block(s, b);
		b = next - 1;
	}
}

/* Of what stands in the item's chain, and of what the item says about it. */
static void sum_of(const struct ike_store *s, const struct ike_store_item *item,
		   uint8_t out[IKE_STORE_SUM])
{
	crypto_generichash_state g;
	uint32_t b = item->head;

	crypto_generichash_init(&g, NULL, 0, IKE_STORE_SUM);
	crypto_generichash_update(&g, (const uint8_t *)item, offsetof(struct ike_store_item, head));
	for (size_t at = 0; at < item->size; at += IKE_STORE_BLOCK) {
		const size_t left = item->size - at;

		crypto_generichash_update(&g, block(s, b),
					  left < IKE_STORE_BLOCK ? left : IKE_STORE_BLOCK);
		b = s->next[b] - 1;
	}
	crypto_generichash_final(&g, out, IKE_STORE_SUM);
	bytes_wipe(&g, sizeof(g));
}

/* Writes `data` to free blocks, the last first. NONE: there are not enough. */
static uint32_t write_chain(struct ike_store *s, const uint8_t *data, size_t size)
{
	uint32_t link = LAST;

	if (blocks_of(size) > s->n_free)
		return NONE;
	for (uint32_t n = blocks_of(size); n > 0; n--) {
		const uint32_t b = s->free_blocks[--s->n_free];
		const size_t from = (size_t)(n - 1) * IKE_STORE_BLOCK;

		/* From here on it is to be wiped, whatever becomes of us. */
		s->next[b] = link;
		in_order();
		memcpy(block(s, b), data + from,
		       size - from < IKE_STORE_BLOCK ? size - from : IKE_STORE_BLOCK);
		link = TO_NEXT(b);
	}
	return link - 1;
}

static void read_chain(const struct ike_store *s, const struct ike_store_item *item, uint8_t *out)
{
	uint32_t b = item->head;

	for (size_t at = 0; at < item->size; at += IKE_STORE_BLOCK) {
		const size_t left = item->size - at;

		memcpy(out + at, block(s, b), left < IKE_STORE_BLOCK ? left : IKE_STORE_BLOCK);
		b = s->next[b] - 1;
	}
}

/* ----------------------------------------------------------------- entries */

static uint32_t bucket_of(uint64_t spi)
{
	return (uint32_t)(spi * 0x9e3779b97f4a7c15ull >> 52) % BUCKETS;
}

static uint32_t find(const struct ike_store *s, uint64_t spi)
{
	uint32_t e = s->bucket[bucket_of(spi)];

	while (e != NONE && s->entries[e].spi != spi)
		e = s->chain[e];
	return e;
}

static void index_entry(struct ike_store *s, uint32_t e, uint64_t spi)
{
	uint32_t *b = &s->bucket[bucket_of(spi)];

	s->chain[e] = *b;
	*b = e;
}

static void unindex_entry(struct ike_store *s, uint32_t e)
{
	uint32_t *p = &s->bucket[bucket_of(s->entries[e].spi)];

	while (*p != e)
		p = &s->chain[*p];
	*p = s->chain[e];
}

/* ------------------------------------------------------------------ attach */

/*
 * The journal of a process that ended while it was carried out: an entry of the same SPI is replaced,
 * or a free one taken. Done twice, it comes to the same.
 */
static void replay(struct ike_store *s)
{
	struct ike_store_journal *j = &s->h->journal;
	const uint32_t n = j->n;

	if (j->full != 1)
		return;
	for (uint32_t i = 0; i < n && i < IKE_STORE_CHANGES; i++) {
		const struct ike_store_item item = j->items[i];
		uint32_t at = NONE;

		for (uint32_t e = 0; e < s->n_entries; e++) {
			if (s->entries[e].spi == item.spi) {
				at = e;
				break;
			}
			if (s->entries[e].spi == 0 && at == NONE)
				at = e;
		}
		if (item.spi == 0 || at == NONE)
			continue;
		s->entries[at] = item.size ? item : (struct ike_store_item){0};
	}
	in_order();
	j->full = 0;
}

/* The chain has as many blocks as the size says, each in range and of no other record. */
static bool chain_ok(const struct ike_store *s, const struct ike_store_item *item, uint8_t *used)
{
	uint32_t b = item->head;
	const uint32_t n = blocks_of(item->size);

	if (n > s->n_blocks)
		return false;
	for (uint32_t i = 0; i < n; i++) {
		if (b >= s->n_blocks || used[b] || s->next[b] == FREE)
			goto no;
		used[b] = 1;
		if (i + 1 == n ? s->next[b] != LAST : s->next[b] >= LAST)
			goto no;
		b = s->next[b] - 1;
	}
	return true;
no:
	/* Marks stay on blocks of others only. */
	b = item->head;
	for (uint32_t i = 0; i < n && b < s->n_blocks && used[b] == 1; i++) {
		used[b] = 0;
		b = s->next[b] - 1;
	}
	return false;
}

static bool whole(const struct ike_store *s, const struct ike_store_item *item)
{
	uint8_t sum[IKE_STORE_SUM];

	sum_of(s, item, sum);
	return bytes_equal_ct(sum, item->sum, sizeof(sum));
}

/* Sorts every block and entry into what is kept and what is free. */
static bool take_stock(struct ike_store *s)
{
	uint8_t *used = calloc(s->n_blocks, 1);

	if (!used)
		return false;
	for (uint32_t i = 0; i < BUCKETS; i++)
		s->bucket[i] = NONE;
	for (uint32_t e = s->n_entries; e-- > 0;) {
		struct ike_store_item *item = &s->entries[e];

		if (item->spi != 0 && item->size != 0 && find(s, item->spi) == NONE &&
		    chain_ok(s, item, used) && whole(s, item)) {
			for (uint32_t n = blocks_of(item->size), b = item->head; n > 0; n--) {
				used[b] = 2;
				b = s->next[b] - 1;
			}
			index_entry(s, e, item->spi);
			continue;
		}
		s->n_damaged += item->spi != 0;
		*item = (struct ike_store_item){0};
		s->free_entries[s->n_free_entries++] = e;
	}
	for (uint32_t b = s->n_blocks; b-- > 0;) {
		if (used[b] == 2)
			continue;
		if (s->next[b] != FREE)
			bytes_wipe(block(s, b), IKE_STORE_BLOCK);
		s->next[b] = FREE;
		s->free_blocks[s->n_free++] = b;
	}
	free(used);
	return true;
}

bool ike_store_attach(struct ike_store *s, void *mem, size_t size)
{
	memset(s, 0, sizeof(*s));
	if (!shape(s, mem, size)) {
		s->h = NULL;
		return false;
	}
	s->free_blocks = calloc(s->n_blocks, sizeof(*s->free_blocks));
	s->free_entries = calloc(s->n_entries, sizeof(*s->free_entries));
	s->bucket = calloc(BUCKETS, sizeof(*s->bucket));
	s->chain = calloc(s->n_entries, sizeof(*s->chain));
	if (!s->free_blocks || !s->free_entries || !s->bucket || !s->chain)
		goto failed;
	if (s->h->magic != MAGIC || s->h->version != VERSION || s->h->n_entries != s->n_entries ||
	    s->h->n_blocks != s->n_blocks) {
		s->n_damaged = s->h->magic != 0;
		bytes_wipe(mem, size);
		s->h->version = VERSION;
		s->h->n_entries = s->n_entries;
		s->h->n_blocks = s->n_blocks;
		in_order();
		s->h->magic = MAGIC;
	}
	replay(s);
	if (take_stock(s))
		return true;
failed:
	ike_store_detach(s);
	return false;
}

void ike_store_detach(struct ike_store *s)
{
	free(s->free_blocks);
	free(s->free_entries);
	free(s->bucket);
	free(s->chain);
	memset(s, 0, sizeof(*s));
}

/* ------------------------------------------------------------------ change */

static struct ike_store_item *add_change(struct ike_store *s, uint64_t spi)
{
	struct ike_store_item *item;

	if (s->n_change == IKE_STORE_CHANGES) {
		s->failed = true;
		return NULL;
	}
	item = &s->change[s->n_change++];
	*item = (struct ike_store_item){.spi = spi};
	return item;
}

void ike_store_put(struct ike_store *s, uint64_t spi, uint32_t tunnel, const void *data,
		   size_t size, struct mono now)
{
	struct ike_store_item *item;
	uint32_t head;

	if (!s->h || spi == 0 || size == 0 || size > UINT32_MAX / 2)
		return;
	item = add_change(s, spi);
	if (!item)
		return;
	head = write_chain(s, data, size);
	if (head == NONE) {
		s->failed = true;
		return;
	}
	item->head = head;
	item->at_ns = now.ns;
	item->tunnel = tunnel;
	item->size = (uint32_t)size;
	sum_of(s, item, item->sum);
}

void ike_store_forget(struct ike_store *s, uint64_t spi)
{
	if (s->h && spi != 0)
		(void)add_change(s, spi);
}

/* One of a change: what it replaces is freed, and only then wiped. */
static void exchange(struct ike_store *s, const struct ike_store_item *item)
{
	uint32_t e = find(s, item->spi);
	const struct ike_store_item old = e == NONE ? (struct ike_store_item){0} : s->entries[e];

	if (e == NONE && !item->size)
		return;
	if (e == NONE) {
		e = s->free_entries[--s->n_free_entries];
		s->entries[e] = *item;
		index_entry(s, e, item->spi);
	} else if (item->size) {
		s->entries[e] = *item;
	} else {
		unindex_entry(s, e);
		s->entries[e] = (struct ike_store_item){0};
		s->free_entries[s->n_free_entries++] = e;
	}
	in_order();
	if (old.size)
		free_chain(s, old.head, old.size);
}

/* Room for the entries that are new; those that the change frees do not count yet. */
static bool entries_fit(const struct ike_store *s)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->n_change; i++)
		n += s->change[i].size && find(s, s->change[i].spi) == NONE;
	return n <= s->n_free_entries;
}

static void give_up(struct ike_store *s)
{
	for (uint32_t i = 0; i < s->n_change; i++) {
		struct ike_store_item *item = &s->change[i];

		if (item->size)
			free_chain(s, item->head, item->size);
		*item = (struct ike_store_item){.spi = item->spi};
	}
}

bool ike_store_commit(struct ike_store *s)
{
	struct ike_store_journal *j;
	bool ok;

	if (!s->h)
		return false;
	j = &s->h->journal;
	ok = !s->failed && entries_fit(s);
	if (!ok)
		give_up(s);
	memcpy(j->items, s->change, s->n_change * sizeof(*j->items));
	j->n = s->n_change;
	in_order();
	j->full = 1;
	in_order();
	for (uint32_t i = 0; i < s->n_change; i++)
		exchange(s, &s->change[i]);
	in_order();
	j->full = 0;
	s->n_change = 0;
	s->failed = false;
	return ok;
}

/* -------------------------------------------------------------------- all */

void ike_store_each(struct ike_store *s, size_t max_size,
		    void (*fn)(void *ctx, const struct ike_store_item *item, const uint8_t *data),
		    void *ctx)
{
	struct secret *copy = s->h ? secret_new(max_size) : NULL;

	for (uint32_t e = 0; copy && e < s->n_entries; e++) {
		const struct ike_store_item item = s->entries[e];

		if (!item.size || item.size > max_size)
			continue;
		read_chain(s, &item, secret_data_mut(copy));
		fn(ctx, &item, secret_data(copy));
	}
	secret_free(copy);
}

void ike_store_clear(struct ike_store *s)
{
	for (uint32_t e = 0; s->h && e < s->n_entries; e++) {
		const uint64_t spi = s->entries[e].spi;

		if (!spi)
			continue;
		ike_store_forget(s, spi);
		(void)ike_store_commit(s);
	}
}

uint32_t ike_store_count(const struct ike_store *s)
{
	return s->n_entries - s->n_free_entries;
}

uint32_t ike_store_attempts(const struct ike_store *s)
{
	return s->h ? s->h->attempts : 0;
}

void ike_store_attempt(struct ike_store *s)
{
	if (s->h)
		s->h->attempts++;
}

void ike_store_survived(struct ike_store *s)
{
	if (s->h)
		s->h->attempts = 0;
}
