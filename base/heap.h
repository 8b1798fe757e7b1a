/* SPDX-License-Identifier: Apache-2.0 */
/*
 * heap: an intrusive binary heap of deadlines. A node is a member of the object that waits; the
 * heap holds pointers only. All operations are O(log n) but heap_first(), which is O(1).
 */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include "base/mono.h"

struct heap_node {
	struct mono deadline;
	size_t index; /* 1-based position; 0 = not in a heap */
};

struct heap {
	struct heap_node **nodes;
	size_t n;
	size_t size; /* capacity; grows on demand */
};

void heap_init(struct heap *h);
void heap_fini(struct heap *h); /* leaves the nodes alone */
/* Inserts, or moves if it is in the heap already. MONO_NEVER removes. False when out of memory. */
bool heap_set(struct heap *h, struct heap_node *node, struct mono deadline);
void heap_remove(struct heap *h, struct heap_node *node); /* harmless if absent */
struct heap_node *heap_first(const struct heap *h);       /* NULL if empty */
struct mono heap_deadline(const struct heap *h);          /* MONO_NEVER if empty */

#endif
