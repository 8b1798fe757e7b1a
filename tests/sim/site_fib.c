/* SPDX-License-Identifier: Apache-2.0 */
/* site_fib: groups and routes as the dataplane has them, some time after the route process asked. */
#include <stdlib.h>
#include <string.h>
#include "tests/sim/site.h"

static struct fib_op *add(struct site *s, uint32_t request)
{
	struct fib *f = &s->fib;
	struct fib_op *op;

	if (f->n_ops == f->size_ops) {
		f->size_ops = f->size_ops ? 2 * f->size_ops : 16;
		f->ops = realloc(f->ops, f->size_ops * sizeof(*f->ops));
		if (!f->ops)
			abort();
	}
	op = &f->ops[f->n_ops++];
	*op = (struct fib_op){.request = request, .generation = s->generation};
	op->at = mono_add(s->node->w->now, span_us(f->delay_us));
	return op;
}

void fib_action(struct site *s, const struct rt_action *a)
{
	add(s, a->request)->action = *a;
}

void fib_routes(struct site *s, const struct rt_route_op *ops, size_t n, uint32_t request)
{
	struct fib_op *op = add(s, request);

	op->is_routes = true;
	op->n_routes = n;
	memcpy(op->routes, ops, n * sizeof(*ops));
}

static void set_route(struct site *s, const struct rt_route_op *op, unsigned generation)
{
	struct fib *f = &s->fib;
	size_t i = 0;

	if (op->group < RT_GROUP_BLACKHOLE && op->group >= SITE_GROUPS) {
		fail_world(s->node->w, "site %d: a route names group %u", s->index, op->group);
		return;
	}
	while (i < f->n_routes && !ip_prefix_equal(&f->routes[i].prefix, &op->prefix))
		i++;
	if (i == SITE_ROUTES) {
		fail_world(s->node->w, "site %d: too many routes", s->index);
		return;
	}
	f->n_routes += i == f->n_routes;
	f->routes[i] = (struct fib_route){op->prefix, op->group, generation};
}

static void apply(struct site *s, const struct fib_op *op)
{
	const struct rt_action *a = &op->action;

	if (op->is_routes) {
		for (size_t i = 0; i < op->n_routes; i++)
			set_route(s, &op->routes[i], op->generation);
		return;
	}
	if (a->type == RT_ACT_GROUP_SET && a->group.group < SITE_GROUPS) {
		struct fib_group *g = &s->fib.groups[a->group.group];

		g->n = a->group.n;
		memcpy(g->tunnels, a->group.tunnels, sizeof(g->tunnels));
	} else if (a->type == RT_ACT_GROUP_DEL && a->group.group < SITE_GROUPS) {
		for (size_t i = 0; i < s->fib.n_routes; i++) {
			if (s->fib.routes[i].group == a->group.group &&
			    s->fib.routes[i].generation == op->generation)
				fail_world(s->node->w,
					   "site %d: group %u goes, and a route names it", s->index,
					   a->group.group);
		}
		s->fib.groups[a->group.group].n = 0;
	}
}

void fib_turn(struct site *s)
{
	struct fib *f = &s->fib;

	while (f->n_ops && mono_reached(s->node->w->now, f->ops[0].at)) {
		const struct fib_op op = f->ops[0];
		struct rt_event ev = {.type = RT_EV_DP_RESULT, .request = op.request, .ok = true};

		memmove(f->ops, f->ops + 1, --f->n_ops * sizeof(*f->ops));
		apply(s, &op);
		if (s->running && op.generation == s->generation)
			site_rt_step(s, &ev);
	}
}

void fib_clear(struct site *s)
{
	memset(s->fib.groups, 0, sizeof(s->fib.groups));
	s->fib.n_routes = s->fib.n_ops = 0;
}

static const struct fib_group *group_of(const struct site *s, const struct ip_addr *to)
{
	const struct fib_route *best = NULL;

	for (size_t i = 0; i < s->fib.n_routes; i++) {
		const struct fib_route *r = &s->fib.routes[i];

		if (r->group < SITE_GROUPS && ip_prefix_contains(&r->prefix, to) &&
		    (!best || r->prefix.len > best->prefix.len))
			best = r;
	}
	return best ? &s->fib.groups[best->group] : NULL;
}

static bool has_sa(const struct sim_node *n, uint32_t tunnel)
{
	return tunnel < SITE_TUNNELS && n->current[tunnel] < SIM_SLOTS &&
	       n->out_half[n->current[tunnel]].on;
}

enum fib_fate fib_look_up(const struct site *s, const struct ip_addr *to, uint32_t *tunnel)
{
	const struct fib_group *g = group_of(s, to);

	if (!g)
		return FIB_NO_ROUTE;
	for (size_t i = 0; i < g->n; i++) {
		if (!has_sa(s->node, g->tunnels[i]))
			continue;
		*tunnel = g->tunnels[i];
		return FIB_TUNNEL;
	}
	return FIB_NO_TUNNEL;
}

bool fib_offers(const struct site *s, const struct ip_addr *to, uint32_t tunnel)
{
	const struct fib_group *g = group_of(s, to);

	for (size_t i = 0; g && i < g->n; i++) {
		if (g->tunnels[i] == tunnel)
			return has_sa(s->node, tunnel);
	}
	return false;
}
