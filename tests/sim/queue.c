/* SPDX-License-Identifier: Apache-2.0 */
/* queue: what is on its way, ordered by time and then by its making. */
#include <stdlib.h>
#include "tests/sim/world.h"

static bool before(const struct sim_item *a, const struct sim_item *b)
{
	return a->at.ns != b->at.ns ? a->at.ns < b->at.ns : a->seq < b->seq;
}

static void swap(struct world *w, size_t i, size_t j)
{
	struct sim_item *t = w->heap[i];

	w->heap[i] = w->heap[j];
	w->heap[j] = t;
}

static void sift_up(struct world *w, size_t i)
{
	for (; i && before(w->heap[i], w->heap[(i - 1) / 2]); i = (i - 1) / 2)
		swap(w, i, (i - 1) / 2);
}

static void sift_down(struct world *w, size_t i)
{
	for (;;) {
		size_t least = i;

		for (size_t c = 2 * i + 1; c <= 2 * i + 2 && c < w->n_items; c++) {
			if (before(w->heap[c], w->heap[least]))
				least = c;
		}
		if (least == i)
			return;
		swap(w, i, least);
		i = least;
	}
}

struct sim_item *queue_new(struct world *w, enum sim_item_kind kind, int node, uint64_t in_us)
{
	struct sim_item *item = calloc(1, sizeof(*item));

	if (w->n_items == w->size_items) {
		w->size_items = w->size_items ? w->size_items * 2 : 64;
		w->heap = realloc(w->heap, w->size_items * sizeof(struct sim_item *));
	}
	if (!item || !w->heap)
		abort();
	item->kind = kind;
	item->node = node;
	item->generation = node < 0 ? 0 : w->node[node].generation;
	item->at = mono_add(w->now, span_us(in_us));
	item->seq = ++w->seq;
	w->heap[w->n_items++] = item;
	sift_up(w, w->n_items - 1);
	return item;
}

struct mono queue_deadline(const struct world *w)
{
	return w->n_items ? w->heap[0]->at : MONO_NEVER;
}

struct sim_item *queue_pop(struct world *w)
{
	struct sim_item *item = w->heap[0];

	w->heap[0] = w->heap[--w->n_items];
	sift_down(w, 0);
	return item;
}

void queue_free(struct sim_item *item)
{
	if (item->kind == SIM_IKE)
		free(item->ike.data);
	if (item->kind == SIM_ESP)
		free(item->esp.inner);
	free(item);
}

/* What was on its way inside a node that lost power. */
void queue_forget_node(struct world *w, int node)
{
	size_t n = 0;

	for (size_t i = 0; i < w->n_items; i++) {
		if (w->heap[i]->node == node)
			queue_free(w->heap[i]);
		else
			w->heap[n++] = w->heap[i];
	}
	w->n_items = n;
	for (size_t i = n; i-- > 0;)
		sift_down(w, i);
}

/* The next one of this kind for this node, ahead of its time; NULL if there is none. */
struct sim_item *queue_take_node(struct world *w, int node, enum sim_item_kind kind)
{
	struct sim_item *item = NULL;
	size_t at = 0;

	for (size_t i = 0; i < w->n_items; i++) {
		struct sim_item *x = w->heap[i];

		if (x->node == node && x->kind == kind && (!item || before(x, item))) {
			item = x;
			at = i;
		}
	}
	if (!item)
		return NULL;
	w->heap[at] = w->heap[--w->n_items];
	for (size_t i = w->n_items; i-- > 0;)
		sift_down(w, i);
	return item;
}

void queue_fini(struct world *w)
{
	for (size_t i = 0; i < w->n_items; i++)
		queue_free(w->heap[i]);
	free(w->heap);
	w->heap = NULL;
	w->n_items = w->size_items = 0;
}
