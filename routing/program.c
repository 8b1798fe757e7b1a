/* SPDX-License-Identifier: Apache-2.0 */
/*
 * program: routes on their way to the dataplane.
 *
 * A prefix whose group has changed waits, once, however often it changes again: what is sent is what is
 * right when the ring has room. They go in rounds: what comes while a round is sent is of the next one. In
 * a round routes are set before any is taken away; beyond that the order is that of addresses, since a
 * table is changed several times faster where the last change was near by. The answer to a batch marks
 * its prefixes; what was refused is tried again later. A change that was refused leaves the dataplane with
 * a route that is not known here: it is deleted first, and no group goes before.
 */
#include <stdlib.h>
#include <string.h>
#include "routing/rt_int.h"

/* ------------------------------------------------------------------ rounds */

/* Where a prefix lies: the first bits of an IPv4 address, or of what providers are given of IPv6. */
static uint32_t region_of(const struct ip_prefix *p)
{
	const uint8_t *b = p->addr.family == IP_V4 ? p->addr.b : p->addr.b + 2;

	return (uint32_t)(b[0] << 8 | b[1]) >> (16 - RT_REGION_BITS);
}

static void push(struct rt *rt, struct rt_queue *q, uint32_t number)
{
	struct rt_entry *e = rt_entry(rt, number);
	const uint32_t region = region_of(&e->prefix);
	uint64_t *some = &q->some[region / 64];
	const uint64_t bit = 1ull << region % 64;

	if (*some & bit) {
		struct rt_entry *last = rt_entry(rt, q->last[region]);

		e->queue_next = last->queue_next;
		last->queue_next = number;
	} else {
		e->queue_next = number;
	}
	q->last[region] = number;
	*some |= bit;
	q->n++;
}

/* The first of the lowest region that has any; the queue is not empty. */
static uint32_t pop(const struct rt *rt, struct rt_queue *q)
{
	struct rt_entry *last;
	uint32_t region, number;

	while (!q->some[q->at])
		q->at = (q->at + 1) % (RT_REGIONS / 64);
	region = q->at * 64 + (uint32_t)__builtin_ctzll(q->some[q->at]);
	last = rt_entry(rt, q->last[region]);
	number = last->queue_next;
	last->queue_next = rt_entry(rt, number)->queue_next;
	if (number == q->last[region])
		q->some[q->at] &= ~(1ull << region % 64);
	q->n--;
	return number;
}

static bool goes(const struct rt_entry *e)
{
	return e->group == RT_GROUP_NONE;
}

static void append(struct rt *rt, uint32_t number)
{
	push(rt, &rt->rounds[rt->gathering][goes(rt_entry(rt, number))], number);
	rt->n_waiting++;
}

/* The next of the round, or of the next round; something waits. RT_NONE: it was looked at too many. */
static uint32_t next_entry(struct rt *rt, size_t *looks)
{
	while ((*looks)--) {
		struct rt_queue *q = rt->rounds[!rt->gathering];
		uint32_t number;

		if (!q[0].n && !q[1].n) {
			q = rt->rounds[rt->gathering];
			q[0].at = q[1].at = 0;
			rt->gathering = !rt->gathering;
		}
		if (!q[0].n)
			return pop(rt, &q[1]);
		number = pop(rt, &q[0]);
		if (!goes(rt_entry(rt, number)) || rt_entry(rt, number)->told == RT_GROUP_NONE)
			return number;
		/* It was to be set when it came. */
		push(rt, &q[1], number);
	}
	return RT_NONE;
}

void rt_program_queue(struct rt *rt, uint32_t number)
{
	struct rt_entry *e = rt_entry(rt, number);

	if (e->flags & RT_QUEUED)
		return;
	e->flags |= RT_QUEUED;
	append(rt, number);
}

/* ------------------------------------------------------------------ batches */

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
	if (clear) {
		rt->n_unknown--;
		rt_groups_outlive(rt);
	}
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
	size_t n = 0, looks = RT_WORK, room = max < RT_BATCH_MAX ? max : RT_BATCH_MAX;

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
	while (n < room && rt->n_waiting) {
		const uint32_t number = next_entry(rt, &looks);
		struct rt_entry *e;
		bool again;

		if (number == RT_NONE)
			break;
		e = rt_entry(rt, number);
		again = e->flags & RT_CLEAR;
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
	rt->passed = n == 0 && rt->n_waiting;
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
		if (!(e->flags & RT_CLEAR) &&
		    (e->flags & RT_REPLACED || e->told == RT_GROUP_NONE)) {
			e->flags |= RT_CLEAR;
			rt->n_unknown++;
		}
		rt_group_tell(rt, e->told, false);
		e->told = RT_GROUP_NONE;
		if (e->flags & RT_REPLACED) {
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
	for (size_t i = 0; i < 4; i++) {
		struct rt_queue *q = &rt->rounds[i / 2][i % 2];

		q->n = 0;
		memset(q->some, 0, sizeof(q->some));
	}
	rt->retry_first = RT_NONE;
	rt->n_waiting = rt->n_unknown = 0;
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
