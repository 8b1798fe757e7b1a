/* SPDX-License-Identifier: Apache-2.0 */
/*
 * heap: an intrusive binary heap of deadlines. See heap.h.
 *
 * nodes[0] is the root; a node's `index` is its place in nodes[] plus one, so that 0 says "absent".
 * Equal deadlines leave in no particular order.
 */
#include "base/heap.h"

#include <stdlib.h>
#include <string.h>

#define HEAP_FIRST_SIZE 16

static void place(struct heap *h, size_t i, struct heap_node *node)
{
	h->nodes[i] = node;
	node->index = i + 1;
}

static void sift_up(struct heap *h, size_t i)
{
	struct heap_node *node = h->nodes[i];

	while (i > 0) {
		const size_t parent = (i - 1) / 2;

		if (!mono_before(node->deadline, h->nodes[parent]->deadline))
			break;
		place(h, i, h->nodes[parent]);
		i = parent;
	}
	place(h, i, node);
}

static void sift_down(struct heap *h, size_t i)
{
	struct heap_node *node = h->nodes[i];

	for (;;) {
		size_t child = 2 * i + 1;

		if (child >= h->n)
			break;
		if (child + 1 < h->n &&
		    mono_before(h->nodes[child + 1]->deadline, h->nodes[child]->deadline))
			child++;
		if (!mono_before(h->nodes[child]->deadline, node->deadline))
			break;
		place(h, i, h->nodes[child]);
		i = child;
	}
	place(h, i, node);
}

static bool grow(struct heap *h)
{
	const size_t size = h->size ? h->size * 2 : HEAP_FIRST_SIZE;
	struct heap_node **nodes;

	if (h->n < h->size)
		return true;
	nodes = reallocarray(h->nodes, size, sizeof(struct heap_node *));
	if (!nodes)
		return false;
	h->nodes = nodes;
	h->size = size;
	return true;
}

void heap_init(struct heap *h)
{
	memset(h, 0, sizeof(*h));
}

void heap_fini(struct heap *h)
{
	for (size_t i = 0; i < h->n; i++)
		h->nodes[i]->index = 0;
	free(h->nodes);
	memset(h, 0, sizeof(*h));
}

bool heap_set(struct heap *h, struct heap_node *node, struct mono deadline)
{
	struct mono before;

	if (mono_is_never(deadline)) {
		heap_remove(h, node);
		return true;
	}
	if (!node->index) {
		if (!grow(h))
			return false;
		node->deadline = deadline;
		place(h, h->n++, node);
		sift_up(h, h->n - 1);
		return true;
	}
	before = node->deadline;
	node->deadline = deadline;
	if (mono_before(deadline, before))
		sift_up(h, node->index - 1);
	else
		sift_down(h, node->index - 1);
	return true;
}

void heap_remove(struct heap *h, struct heap_node *node)
{
	const size_t i = node->index - 1;
	struct heap_node *last;

	if (!node->index)
		return;
	node->index = 0;
	node->deadline = MONO_NEVER;
	last = h->nodes[--h->n];
	if (last == node)
		return;
	place(h, i, last);
	sift_up(h, i);
	sift_down(h, last->index - 1);
}

struct heap_node *heap_first(const struct heap *h)
{
	return h->n ? h->nodes[0] : NULL;
}

struct mono heap_deadline(const struct heap *h)
{
	return h->n ? h->nodes[0]->deadline : MONO_NEVER;
}
