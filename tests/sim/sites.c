/* SPDX-License-Identifier: Apache-2.0 */
/* sites: the hosts, the underlays, and what must hold. See sites.h. */
#include <stdlib.h>
#include <string.h>
#include "tests/sim/sites.h"

#define REACTION   span_ms(12)  /* the route process, and the clock's grain */
#define OPEN_FOR   span_ms(300) /* longer than anything is on its way */
#define SECOND_NET 16           /* every so many milliseconds a packet for the second network */

static const char *const fates[] = {
	[FATE_OPEN] = "the receiver did not accept it",
	[FATE_ARRIVED] = "arrived",
	[FATE_CHANCE] = "lost by chance",
	[FATE_CUT] = "sent into a path that is cut",
	[FATE_NO_ROUTE] = "no route",
	[FATE_NO_TUNNEL] = "no tunnel of its group has an SA",
	[FATE_NO_SA] = "the SA was gone",
};

/* ----------------------------------------------------------------- underlays */

/* Which of them: the second gateway has an address for each. */
static uint32_t path_of(const struct ip_addr *a, const struct ip_addr *b)
{
	const struct ip_addr *second = a->b[0] == 198 ? a : b;

	return second->b[3] == 2;
}

static bool on_path(struct world *w, int from, const struct ip_endpoint *local,
		    const struct ip_endpoint *remote, uint64_t *later_us)
{
	struct sites *s = w->around;
	const struct sites_path *p = &s->path[path_of(&local->addr, &remote->addr)];

	*later_us = p->delay_us + rng_below(&s->rng, p->jitter_us + 1);
	s->verdict = p->cut[1 - from]               ? FATE_CUT
		     : rng_chance(&s->rng, p->loss) ? FATE_CHANCE
						    : FATE_OPEN;
	return s->verdict == FATE_OPEN;
}

/* --------------------------------------------------------------------- hosts */

static struct ip_addr host_of(int site, unsigned net)
{
	struct ip_addr a = site_net(site, net).addr;

	a.b[3] = 9;
	return a;
}

static enum sites_fate forward(struct sites *s, int site, struct inner *i, uint32_t *tunnel)
{
	const struct ip_addr to = host_of(i->data.to, i->data.net);
	enum fib_fate fate = fib_look_up(&s->site[site], &to, tunnel);

	if (fate != FIB_TUNNEL)
		return fate == FIB_NO_ROUTE ? FATE_NO_ROUTE : FATE_NO_TUNNEL;
	s->verdict = FATE_NO_SA;
	return site_send(&s->site[site], *tunnel, i) ? FATE_OPEN : s->verdict;
}

static void send_data(struct sites *s, int from, uint8_t net)
{
	struct inner i = {.kind = INNER_DATA};
	struct sites_packet *p = &s->kept[from][s->number % SITES_KEPT];

	if (s->w->node[from].off)
		return;
	i.data.from = (uint8_t)from;
	i.data.to = (uint8_t)(1 - from);
	i.data.net = net;
	i.data.number = s->number;
	if (net) {
		uint32_t tunnel;

		(void)forward(s, from, &i, &tunnel);
		return;
	}
	*p = (struct sites_packet){.number = s->number, .at = s->w->now, .tunnel = UINT32_MAX};
	p->fate = forward(s, from, &i, &p->tunnel);
	p->excused = mono_before(p->at, mono_add(s->disturbed, s->bound)) ||
		     (p->tunnel < SITE_TUNNELS && s->path[p->tunnel].blind);
}

static void deliver(struct sites *s, const struct inner *i)
{
	struct sites_packet *p = &s->kept[i->data.from][i->data.number % SITES_KEPT];
	const struct mono_span gap = mono_since(s->w->now, s->arrived[i->data.from]);

	if (i->data.net)
		return;
	if (p->number == i->data.number)
		p->fate = FATE_ARRIVED;
	s->n_arrived[i->data.from]++;
	if (gap.ns > s->longest[i->data.from].ns)
		s->longest[i->data.from] = gap;
	s->arrived[i->data.from] = s->w->now;
}

static void on_inside(struct world *w, int node, uint32_t tunnel, const uint8_t *bytes, size_t size)
{
	struct sites *s = w->around;
	struct inner i = {.kind = INNER_DATA};
	const struct site *here = &s->site[node];

	memcpy(&i, bytes, size < sizeof(i) ? size : sizeof(i));
	if (i.kind != INNER_DATA) {
		site_receive(&s->site[node], tunnel, &i);
		return;
	}
	if (i.data.to == node && (!i.data.net || here->cfg.second_net)) {
		deliver(s, &i);
		return;
	}
	/* Nobody's here: whoever has a route for it has made a loop. */
	if (++i.data.hops > 1 || forward(s, node, &i, &tunnel) == FATE_OPEN)
		fail_world(w, "site %d: a packet for network %u of site %u goes in a circle", node,
			   i.data.net, i.data.to);
}

static void on_tunnel_state(struct world *w, int node, uint32_t tunnel)
{
	struct sites *s = w->around;
	const bool up = w->node[node].up[tunnel];

	const struct sites_path *p = &s->path[tunnel];
	const bool is_cut = p->cut[0] || p->cut[1];

	/* A peer that DPD gives up on a bad line, or on one that has just healed, goes on until BFD tells it. */
	if (!up && (p->loss || (!is_cut && p->cut_at.ns &&
				mono_before(w->now, mono_add(p->cut_at, span_s(40))))))
		sites_disturb(s);
	/* Nor can an SA be helped that was not rekeyed in time. */
	if (!up && w->node[node].expired_at.ns == w->now.ns)
		sites_disturb(s);
	site_ike_state(&s->site[node], tunnel, up);
}

/* -------------------------------------------------------------------- checks */

static void say(const struct sites *s, const char *what, unsigned which)
{
	if (s->w->verbose)
		fprintf(stderr, "%10.3f %s %u\n", (double)s->w->now.ns / 1e9, what, which);
}

void sites_disturb(struct sites *s)
{
	s->disturbed = s->w->now;
	for (size_t i = 0; i < SIM_NODES * SITES_KEPT; i++) { /* what is on its way */
		struct sites_packet *p = &s->kept[i / SITES_KEPT][i % SITES_KEPT];

		p->excused |=
			p->fate == FATE_OPEN && mono_since(s->w->now, p->at).ns <= s->bound.ns;
	}
}

void sites_watch(struct sites *s)
{
	for (int i = 0; i < SIM_NODES; i++) {
		s->arrived[i] = s->w->now;
		s->longest[i] = span_ns(0);
		s->n_lost[i] = 0;
	}
}

bool sites_ready(const struct sites *s, uint32_t t)
{
	const struct sites_path *p = &s->path[t];

	if (p->cut[0] || p->cut[1] || p->loss)
		return false;
	for (int i = 0; i < SIM_NODES; i++) {
		const struct site *x = &s->site[i];
		const struct ip_addr to = host_of(1 - i, 0);

		if (!x->running || !x->node->up[t] || x->t[t].bfd != BFD_UP ||
		    !x->t[t].established || !fib_offers(x, &to, t))
			return false;
	}
	return true;
}

/* RFC 5880 6.8.4: the slower one's interval, so many times; then the other end has to hear of it. */
static void compute_bound(struct sites *s)
{
	uint64_t detection = 0, reaction = REACTION.ns, way = 0;
	bool lossy = false;

	for (int i = 0; i < SIM_NODES; i++) {
		const struct site *x = &s->site[i];
		const uint64_t d = site_bfd_interval(x).ns * SITES_MULTIPLIER;

		detection = d > detection ? d : detection;
		reaction += s->site[i].fib.delay_us * 1000;
	}
	for (uint32_t t = 0; t < SITE_TUNNELS; t++) {
		const struct sites_path *p = &s->path[t];
		const uint64_t us = s->w->faults.delay_us + p->delay_us + p->jitter_us;

		way = us * 1000 > way ? us * 1000 : way;
		lossy |= p->loss > 0;
	}
	/* Who says that it hears nothing says so once: if that is lost, its silence has to be noticed. */
	s->bound = span_ns(detection * (lossy ? 2 : 1) + reaction + 2 * way);
}

static bool could_have_arrived(const struct sites *s, const struct sites_packet *p)
{
	for (uint32_t t = 0; t < SITE_TUNNELS; t++) {
		if (!mono_is_never(s->path[t].ready_since) &&
		    mono_reached(p->at, mono_add(s->path[t].ready_since, s->bound)))
			return true;
	}
	return false;
}

static void judge(struct sites *s, int from)
{
	const uint64_t ago = OPEN_FOR.ns / 1000000;
	struct sites_packet *p;

	if (s->number <= ago)
		return;
	p = &s->kept[from][(s->number - ago) % SITES_KEPT];
	if (p->number != s->number - ago)
		return;
	s->n_checked++;
	if (p->fate == FATE_ARRIVED)
		return;
	s->n_lost[from]++;
	if (p->fate != FATE_CHANCE && !p->excused && could_have_arrived(s, p))
		fail_world(s->w,
			   "site %d: packet %llu of %.3f s is lost though a path works: %s (tunnel "
			   "%d)",
			   from, (unsigned long long)p->number, (double)p->at.ns / 1e9,
			   fates[p->fate], (int)p->tunnel);
}

static void note_ready(struct sites *s)
{
	for (uint32_t t = 0; t < SITE_TUNNELS; t++) {
		struct sites_path *p = &s->path[t];

		if (!sites_ready(s, t))
			p->ready_since = MONO_NEVER;
		else if (mono_is_never(p->ready_since))
			p->ready_since = s->w->now;
		p->blind &= mono_is_never(p->ready_since);
	}
}

/* --------------------------------------------------------------------- time */

static void millisecond(struct sites *s)
{
	struct world *w = s->w;

	world_run(w, span_ms(1));
	for (int i = 0; i < SIM_NODES; i++)
		site_turn(&s->site[i]);
	compute_bound(s);
	note_ready(s);
	s->number++;
	for (int i = 0; i < SIM_NODES && !s->quiet; i++) {
		send_data(s, i, 0);
		if (s->number % SECOND_NET == 0)
			send_data(s, i, 1);
		judge(s, i);
	}
	if (!mono_reached(w->now, s->next_report))
		return;
	s->next_report = mono_add(w->now, span_ms(100));
	for (int i = 0; i < SIM_NODES; i++) {
		const struct sim_node *n = &w->node[i];

		dp_report_traffic(&w->node[i]);
		/* A process that has taken up its records says which tunnels are down. */
		for (uint32_t t = 0; n->ike && !n->n_dp_pending && t < SITE_TUNNELS; t++) {
			if (s->site[i].t[t].up && !n->up[t])
				site_ike_state(&s->site[i], t, false);
		}
	}
}

void sites_run(struct sites *s, struct mono_span d)
{
	const struct mono end = mono_add(s->w->now, d);

	while (mono_before(s->w->now, end) && !s->w->failure[0])
		millisecond(s);
}

bool sites_until_ready(struct sites *s, struct mono_span limit)
{
	const struct mono end = mono_add(s->w->now, limit);

	while (mono_before(s->w->now, end) && !s->w->failure[0]) {
		if (sites_ready(s, 0) && sites_ready(s, 1))
			return true;
		millisecond(s);
	}
	return false;
}

/* -------------------------------------------------------------------- faults */

void sites_terminate(struct sites *s, int site, uint32_t tunnel)
{
	/* Where the order is not kept, the Delete is faster than some: what comes after it is not accepted. */
	for (size_t i = 0; s->path[tunnel].jitter_us && i < SITES_KEPT; i++) {
		struct sites_packet *p = &s->kept[site][i];

		p->excused |= p->fate == FATE_OPEN && p->tunnel == tunnel;
	}
	node_event(&s->w->node[site], IKE_EV_TERMINATE, tunnel);
}

static void note_blind(struct sites *s, uint32_t tunnel)
{
	for (int i = 0; i < SIM_NODES; i++)
		s->path[tunnel].blind |= s->site[i].t[tunnel].bfd != BFD_UP;
}

static void all_blind(struct sites *s)
{
	for (uint32_t t = 0; t < SITE_TUNNELS; t++)
		note_blind(s, t);
}

void sites_cut(struct sites *s, uint32_t tunnel, bool to_a, bool to_b)
{
	note_blind(s, tunnel);
	s->path[tunnel].cut_at = s->w->now;
	s->path[tunnel].cut[0] = to_a;
	s->path[tunnel].cut[1] = to_b;
	say(s,
	    to_a && to_b ? "cut: tunnel"
	    : to_a       ? "cut to A: tunnel"
			 : "cut to B: tunnel",
	    tunnel);
	sites_disturb(s);
}

void sites_heal(struct sites *s)
{
	say(s, "all underlays are whole", 0);
	for (uint32_t t = 0; t < SITE_TUNNELS; t++) {
		struct sites_path *p = &s->path[t];

		p->cut[0] = p->cut[1] = false;
		p->loss = 0;
	}
}

void sites_end_route(struct sites *s, int site)
{
	if (!s->site[site].running)
		return;
	say(s, "route process ends: site", (unsigned)site);
	all_blind(s);
	tcp_reset(&s->site[site], true);
	site_end(&s->site[site]);
	sites_disturb(s);
}

void sites_start_route(struct sites *s, int site)
{
	struct site *x = &s->site[site];

	if (!x->running && !x->node->off && !site_start(x))
		fail_world(s->w, "site %d: no new process", site);
}

void sites_restart_dataplane(struct sites *s, int site)
{
	struct rt_event ev = {.type = RT_EV_DP_RESTARTED};

	say(s, "dataplane restarts: site", (unsigned)site);
	all_blind(s);
	sites_disturb(s);
	fib_clear(&s->site[site]);
	if (s->w->node[site].ike)
		dp_restart(&s->w->node[site]);
	else
		dp_lose(&s->w->node[site]);
	site_rt_step(&s->site[site], &ev);
}

void sites_power(struct sites *s, int site, bool on)
{
	struct sim_node *n = &s->w->node[site];

	if (n->off != on)
		return;
	say(s, on ? "power on: site" : "power off: site", (unsigned)site);
	all_blind(s);
	sites_disturb(s);
	if (!on) {
		tcp_reset(&s->site[site], false);
		site_end(&s->site[site]);
		fib_clear(&s->site[site]);
		node_power_off(n);
	} else if (!node_power_on(n) || !site_start(&s->site[site])) {
		fail_world(s->w, "site %d: no start", site);
	}
}

/* -------------------------------------------------------------- life cycle */

static void second_tunnel(struct sim_node *n)
{
	struct ike_tunnel_cfg *c = &n->cfg[1];

	n->n_tunnels = SITE_TUNNELS;
	*c = n->cfg[0];
	c->tunnel = 1;
	memcpy(c->name, "bore-2", 7);
	c->local_id.data[0] = c->remote_id.data[0] = 'h';
	*(n->index ? &c->local : &c->remote) = ip_v4(198, 51, 100, 2);
	if (n->index)
		n->also = c->local;
}

void sites_init(struct sites *s, struct world *w)
{
	memset(s, 0, sizeof(*s));
	s->w = w;
	s->rng = (struct rng){w->seed * 0xa0761d6478bd642fu + 17};
	w->around = s;
	w->path = on_path;
	w->inside = on_inside;
	w->tunnel_state = on_tunnel_state;
	w->esp_period_us = 0;
	for (int i = 0; i < SIM_NODES; i++) {
		struct site *x = &s->site[i];
		struct ike_tunnel_cfg *c = &w->node[i].cfg[0];

		c->dpd_interval = span_s(2);
		c->dpd_timeout = span_s(6);
		second_tunnel(&w->node[i]);
		x->all = s;
		x->node = &w->node[i];
		x->index = i;
		x->rng.state = rng_u64(&s->rng);
		x->fib.delay_us = 500;
		x->cfg = (struct site_cfg){
			.bfd_interval = span_ms(50),
			.hold = span_s(30),
			.revert_hold = span_s(2),
			.second_net = true,
		};
	}
	for (uint32_t t = 0; t < SITE_TUNNELS; t++)
		s->path[t].ready_since = MONO_NEVER;
}

bool sites_start(struct sites *s)
{
	s->disturbed = s->w->now;
	sites_watch(s);
	return world_start(s->w) && site_start(&s->site[0]) && site_start(&s->site[1]);
}

void sites_fini(struct sites *s)
{
	for (int i = 0; i < SIM_NODES; i++) {
		if (s->site[i].running)
			site_end(&s->site[i]);
		tcp_reset(&s->site[i], false);
		free(s->site[i].fib.ops);
	}
	s->w->around = NULL;
	s->w->path = NULL;
	s->w->inside = NULL;
	s->w->tunnel_state = NULL;
}
