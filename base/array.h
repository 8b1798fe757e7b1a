/* SPDX-License-Identifier: Apache-2.0 */
/*
 * array: a growing array of items of one size, as the caller's pointer and two counts.
 *
 *	struct action *a = array_add(&out->actions, &out->n, &out->size, sizeof(*a), 16);
 */
#ifndef BASE_ARRAY_H
#define BASE_ARRAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/*
 * One more item, zeroed, behind the *n that are there; the array doubles from `first` on. `items`:
 * address of the pointer to the items. NULL: out of memory, nothing has changed. Items move.
 */
static inline void *array_add(void *items, size_t *n, size_t *size, size_t item, size_t first)
{
	uint8_t *array;

	memcpy(&array, items, sizeof(array));
	if (*n == *size) {
		const size_t more = *size ? 2 * *size : first;
		uint8_t *grown = reallocarray(array, more, item);

		if (!grown)
			return NULL;
		array = grown;
		memcpy(items, &array, sizeof(array));
		*size = more;
	}
	array += (*n)++ * item;
	memset(array, 0, item);
	return array;
}

/*
 * Sees to it that there is an item `i`: the array grows to some more, zeroed. `items` as above. False: out of memory, nothing has changed.
 */
static inline bool array_reach(void *items, size_t *n, size_t i, size_t item)
{
	const size_t more = i + 64;
	uint8_t *array, *grown;

	if (i < *n)
		return true;
	memcpy(&array, items, sizeof(array));
	grown = reallocarray(array, more, item);
	if (!grown)
		return false;
	memset(grown + *n * item, 0, (more - *n) * item);
	memcpy(items, &grown, sizeof(grown));
	*n = more;
	return true;
}

#endif
