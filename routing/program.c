/* SPDX-License-Identifier: Apache-2.0 */
/*
 * program: routes on their way to the dataplane.
 *
 * A prefix whose group has changed waits in a queue, once, however often it changes again: what is
 * sent is what is right when the ring has room. The answer to a batch marks its prefixes; what was
 * refused is tried again later. A change that was refused leaves the dataplane with a route that is
 * not known here: it is deleted first.
 */
#include <stdlib.h>
#include <string.h>
#include "routing/rt_int.h"

static void append(struct rt *rt, uint32_t number)
{
	struct rt_entry *e = rt_entry(rt, number);

	e->queue_next = RT_NONE;
	if (rt->queue_last == RT_NONE)
		rt->queue_first = number;
	else
		rt_entry(rt, rt->queue_last)->queue_next = number;
	rt->queue_last = number;
	rt->n_waiting++;
}

void rt_program_queue(struct rt *rt, uint32_t number)
{
	struct rt_entry *e = rt_entry(rt, number);

	if (e->flags & RT_QUEUED)
		return;
	e->flags |= RT_QUEUED;
	append(rt, number);
}

size_t rt_routes_waiting(const struct rt *rt)
{
	return rt->n_waiting;
}

/* What the dataplane is to be told of an entry out of the queue. False: nothing. */
static bool next_op(struct rt *rt, struct rt_entry *e, struct rt_route_op *op)
{
	const uint32_t told = e->told;
	const bool clear = e->flags & RT_CLEAR;

	if (!clear && told == e->group)
		return false;
	*op = (struct rt_route_op){
		.prefix = e->prefix,
		.table = e->table,
		.group = clear ? RT_GROUP_NONE : e->group,
	};
	e->flags &= (uint8_t) ~(RT_CLEAR | RT_REPLACED | RT_INSTALLED);
	if (told != RT_GROUP_NONE && op->group != RT_GROUP_NONE)
		e->flags |= RT_REPLACED;
	rt_group_tell(rt, op->group, true);
	rt_group_tell(rt, told, false);
	e->told = op->group;
	return true;
}

size_t rt_next_routes(struct rt *rt, struct rt_route_op *ops, size_t max, uint32_t *request)
{
	uint32_t numbers[RT_BATCH_MAX], *entries;
	size_t n = 0, room = max < RT_BATCH_MAX ? max : RT_BATCH_MAX;

	/* Groups that were not told yet come first. */
	if (rt->groups_dirty || rt->n_batches >= RT_BATCHES || !room || !rt->n_waiting)
		return 0;
	entries = calloc(room, sizeof(*entries));
	if (!entries)
		return 0;
	*request = rt_plan_routes(rt, entries, 0);
	if (!*request) {
		free(entries);
		return 0;
	}
	while (n < room && rt->queue_first != RT_NONE) {
		const uint32_t number = rt->queue_first;
		struct rt_entry *e = rt_entry(rt, number);
		const bool again = e->flags & RT_CLEAR;

		rt->queue_first = e->queue_next;
		if (rt->queue_first == RT_NONE)
			rt->queue_last = RT_NONE;
		rt->n_waiting--;
		if (!next_op(rt, e, &ops[n])) {
			e->flags &= (uint8_t)~RT_QUEUED;
			rt_rib_release(rt, number);
			continue;
		}
		e->request = *request;
		numbers[n] = number;
		entries[n++] = number;
		if (again) {
			/* It was refused: set again with the others that were. */
			e->queue_next = rt->retry_first;
			rt->retry_first = number;
			continue;
		}
		e->flags &= (uint8_t)~RT_QUEUED;
	}
	rt->pending[rt->pending_last - 1].number = (uint32_t)n;
	/* Last, since a number that is free may be given to another prefix. */
	for (size_t i = 0; i < n; i++)
		rt_rib_release(rt, numbers[i]);
	if (n == 0) {
		const struct rt_event nothing = {
			.type = RT_EV_DP_RESULT, .request = *request, .ok = true};

		rt_plan_result(rt, &nothing);
	}
	return n;
}

void rt_program_result(struct rt *rt, const struct rt_pending *p, const struct rt_event *ev)
{
	for (uint32_t i = 0; i < p->number; i++) {
		const uint32_t number = p->entries[i];
		struct rt_entry *e = rt_entry(rt, number);
		const bool refused = !ev->ok && (!ev->refused || ev->refused[i / 32] >> i % 32 & 1);

		/* Gone, or told anew since. */
		if (!(e->flags & RT_LIVE) || e->request != p->request)
			continue;
		e->request = 0;
		if (!refused) {
			e->flags |= RT_INSTALLED;
			continue;
		}
		rt->n_refused++;
		rt_group_tell(rt, e->told, false);
		e->told = RT_GROUP_NONE;
		if (e->flags & RT_REPLACED) {
			e->flags |= RT_CLEAR;
			rt_program_queue(rt, number);
		} else if (!(e->flags & RT_QUEUED)) {
			e->flags |= RT_QUEUED;
			e->queue_next = rt->retry_first;
			rt->retry_first = number;
		}
	}
}

void rt_program_retry(struct rt *rt)
{
	while (rt->retry_first != RT_NONE) {
		const uint32_t number = rt->retry_first;

		rt->retry_first = rt_entry(rt, number)->queue_next;
		append(rt, number);
	}
}

void rt_program_restart(struct rt *rt)
{
	rt->queue_first = rt->queue_last = rt->retry_first = RT_NONE;
	rt->n_waiting = 0;
	for (uint32_t i = 0; i < rt->entries.n_used; i++) {
		struct rt_entry *e = rt_entry(rt, i);

		if (!(e->flags & RT_LIVE))
			continue;
		rt_group_tell(rt, e->told, false);
		e->told = RT_GROUP_NONE;
		e->request = 0;
		e->flags &= (uint8_t) ~(RT_QUEUED | RT_INSTALLED | RT_REPLACED | RT_CLEAR);
		if (e->group != RT_GROUP_NONE)
			rt_program_queue(rt, i);
		else
			rt_rib_release(rt, i);
	}
}
