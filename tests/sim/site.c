/* SPDX-License-Identifier: Apache-2.0 */
/*
 * site: the route process of a gateway: three cores and what the daemon does between them. When BFD
 * falls the routing core hears of it first, then BGP.
 */
#include <assert.h>
#include <string.h>
#include "tests/sim/sites.h"

#define ROUNDS_MOST 1000 /* of one turn; more, and a deadline does not move */

static uint32_t draw(void *ctx)
{
	return (uint32_t)(rng_u64(ctx) >> 16);
}

static struct mono now_of(const struct site *s)
{
	return s->node->w->now;
}

struct ip_addr site_inside(int site, uint32_t tunnel)
{
	return ip_v4(169, 254, (uint8_t)(10 + tunnel), (uint8_t)(1 + site));
}

struct ip_prefix site_net(int site, unsigned net)
{
	return (struct ip_prefix){ip_v4(10, (uint8_t)(1 + site), (uint8_t)net, 0), 24};
}

bool site_send(struct site *s, uint32_t tunnel, const struct inner *i)
{
	const size_t size = i->kind == INNER_TCP ? offsetof(struct inner, tcp.bytes) + i->tcp.size
						 : offsetof(struct inner, data) + sizeof(i->bfd);

	static_assert(sizeof(i->data) <= sizeof(i->bfd), "either fits");
	return dp_send_inner(s->node, tunnel, i, size);
}

/* ----------------------------------------------------------------- routing */

static void program(struct site *s)
{
	struct rt_route_op ops[SITE_ROUTES];
	uint32_t request;
	size_t n;

	for (; s->n_told < s->rt_out.n; s->n_told++) {
		const struct rt_action *a = &s->rt_out.actions[s->n_told];

		switch (a->type) {
		case RT_ACT_TUNNEL_SET:
		case RT_ACT_TUNNEL_DEL:
		case RT_ACT_GROUP_SET:
		case RT_ACT_GROUP_DEL: fib_action(s, a); break;
		case RT_ACT_PREFER:
			s->t[a->prefer.tunnel].preferred = a->prefer.on;
			s->bgp_changed = true;
			break;
		case RT_ACT_REFRESH:
			s->t[a->refresh.tunnel].refresh = true;
			s->bgp_changed = true;
			break;
		case RT_ACT_RESET:
		case RT_ACT_SWITCHED:
		case RT_ACT_WARNING: break;
		}
	}
	s->rt_out.n = s->n_told = 0;
	while ((n = rt_next_routes(s->rt, ops, SITE_ROUTES, &request)))
		fib_routes(s, ops, n, request);
}

void site_rt_step(struct site *s, struct rt_event *ev)
{
	if (!s->running)
		return;
	ev->now = now_of(s);
	rt_step(s->rt, ev, &s->rt_out);
	program(s);
}

void site_rt(struct site *s, enum rt_event_type type, uint32_t tunnel)
{
	site_rt_step(s, &(struct rt_event){.type = type, .tunnel = tunnel});
}

static void configure_routing(struct site *s)
{
	const struct ip_prefix nets[SITE_NETS] = {site_net(s->index, 0), site_net(s->index, 1)};
	const size_t n = s->cfg.second_net ? SITE_NETS : 1;
	struct rt_connection_cfg c = {
		.name = "other-site",
		.n_tunnels = SITE_TUNNELS,
		.revert_hold = s->cfg.revert_hold,
		.advertise = nets,
		.n_advertise = n,
	};
	const struct rt_cfg cfg = {
		.role = s->index ? RT_ROLE_VIRTUAL_PRIVATE : RT_ROLE_CUSTOMER,
		.connections = &c,
		.n_connections = 1,
		.local = nets,
		.n_local = n,
		.local_as = 65001u + (uint32_t)s->index,
		.id = 0x0a000001u + (uint32_t)s->index,
	};

	for (uint32_t t = 0; t < SITE_TUNNELS; t++) {
		c.tunnels[t].tunnel = t;
		memcpy(c.tunnels[t].name, t ? "bore-2" : "bore-1", 7);
		c.tunnels[t].inside[0] = (struct ip_prefix){site_inside(s->index, t), 30};
	}
	if (!rt_configure(s->rt, &cfg, now_of(s), &s->rt_out))
		fail_world(s->node->w, "site %d: no memory for routes", s->index);
	program(s);
}

/* --------------------------------------------------------------------- BGP */

static size_t on_announce(void *ctx, uint32_t neighbor, const struct path_nlri *nlri, size_t n,
			  struct path *path)
{
	return rt_announce(((struct site *)ctx)->rt, neighbor, nlri, n, path);
}

static size_t on_withdraw(void *ctx, uint32_t neighbor, const struct path_nlri *nlri, size_t n)
{
	return rt_withdraw(((struct site *)ctx)->rt, neighbor, nlri, n);
}

static void on_up(void *ctx, uint32_t neighbor)
{
	rt_session_up(((struct site *)ctx)->rt, neighbor);
}

static void on_stale(void *ctx, uint32_t neighbor, enum bgp_family f)
{
	rt_stale(((struct site *)ctx)->rt, neighbor, f == BGP_IPV6_UNICAST);
}

static size_t on_purge(void *ctx, uint32_t neighbor, enum bgp_family f, bool only_stale)
{
	return rt_purge(((struct site *)ctx)->rt, neighbor, f == BGP_IPV6_UNICAST, only_stale);
}

static void on_end_of_rib(void *ctx, uint32_t neighbor, enum bgp_family f)
{
	rt_end_of_rib(((struct site *)ctx)->rt, neighbor, f == BGP_IPV6_UNICAST);
}

static bool on_advertise(void *ctx, uint32_t tunnel, const struct ip_prefix *prefix,
			 struct path *path)
{
	return bgp_advertise(((struct site *)ctx)->bgp, tunnel, prefix, path);
}

static void on_advertise_end(void *ctx, uint32_t tunnel, bool v6)
{
	bgp_advertise_end(((struct site *)ctx)->bgp, tunnel,
			  v6 ? BGP_IPV6_UNICAST : BGP_IPV4_UNICAST);
}

static void carry_out_bgp(struct site *s)
{
	for (size_t i = 0; i < s->bgp_out.n; i++) {
		const struct bgp_action *a = &s->bgp_out.actions[i];

		switch (a->type) {
		case BGP_ACT_CONNECT: tcp_connect(s, a->neighbor); break;
		case BGP_ACT_SEND: tcp_write(s, a->conn, a->send.bytes, a->send.size); break;
		case BGP_ACT_CLOSE: tcp_close(s, a->neighbor, a->conn); break;
		case BGP_ACT_UP:
			s->t[a->neighbor].established = true;
			site_rt(s, RT_EV_BGP_UP, a->neighbor);
			break;
		case BGP_ACT_DOWN:
			s->t[a->neighbor].established = false;
			site_rt(s, RT_EV_BGP_DOWN, a->neighbor);
			break;
		case BGP_ACT_EVENT:
			if (s->node->w->verbose)
				fprintf(stderr, "%10.3f %c %s: %s\n", (double)now_of(s).ns / 1e9,
					'A' + s->index, a->event.name, a->event.text);
			break;
		}
	}
	bgp_out_reset(&s->bgp_out);
}

void site_bgp_step(struct site *s, struct bgp_event *ev)
{
	if (!s->running)
		return;
	ev->now = now_of(s);
	bgp_step(s->bgp, ev, &s->bgp_out);
	carry_out_bgp(s);
}

static void settle_bgp(struct site *s, uint32_t tunnel, bool by_bfd)
{
	struct site_tunnel *t = &s->t[tunnel];
	const bool wanted = t->up && !t->bfd_down;
	struct bgp_event ev = {
		.type = wanted ? BGP_EV_START : BGP_EV_LINK_DOWN,
		.neighbor = tunnel,
		.by_bfd = by_bfd,
	};

	if (wanted == t->bgp_wanted)
		return;
	t->bgp_wanted = wanted;
	site_bgp_step(s, &ev);
}

static void configure_bgp(struct site *s)
{
	struct bgp_neighbor_cfg neighbors[SITE_TUNNELS];
	const struct bgp_cfg cfg = {
		.id = 0x0a000001u + (uint32_t)s->index,
		.neighbors = neighbors,
		.n_neighbors = SITE_TUNNELS,
	};

	for (uint32_t t = 0; t < SITE_TUNNELS; t++) {
		struct bgp_neighbor_cfg *n = &neighbors[t];

		*n = (struct bgp_neighbor_cfg){
			.neighbor = t,
			.local = site_inside(s->index, t),
			.remote = site_inside(1 - s->index, t),
			.next_hop = {site_inside(s->index, t)},
			.inside = {{site_inside(s->index, t), 30}},
			.local_as = 65001u + (uint32_t)s->index,
			.remote_as = 65002u - (uint32_t)s->index,
			.hold = s->cfg.hold,
			.connect_retry = span_s(5),
			.stale_max = span_s(60),
			.families = {true},
			.role = BGP_ROLE_NONE,
			.has_med = true,
			.med = s->t[t].preferred ? 50 : 100,
		};
		memcpy(n->name, t ? "bore-2" : "bore-1", 7);
	}
	if (!bgp_configure(s->bgp, &cfg, now_of(s), &s->bgp_out))
		fail_world(s->node->w, "site %d: no memory for BGP", s->index);
	carry_out_bgp(s);
	for (uint32_t t = 0; t < SITE_TUNNELS; t++)
		settle_bgp(s, t, false);
}

static void ask_for_refresh(struct site *s)
{
	for (uint32_t t = 0; t < SITE_TUNNELS; t++) {
		struct bgp_event ev = {.type = BGP_EV_REFRESH, .neighbor = t};

		if (!s->t[t].refresh)
			continue;
		s->t[t].refresh = false;
		site_bgp_step(s, &ev);
	}
}

/* --------------------------------------------------------------------- BFD */

static void on_bfd_state(struct site *s, const struct bfd_action *a)
{
	struct site_tunnel *t = &s->t[a->session];
	const bool was_up = a->state.from == BFD_UP;

	t->bfd = a->state.to;
	if (a->state.to == BFD_UP) {
		t->bfd_down = false;
		site_rt(s, RT_EV_BFD_UP, a->session);
	} else if (a->state.peer_admin_down || a->state.to == BFD_ADMIN_DOWN) {
		t->bfd_down = false;
		site_rt(s, RT_EV_BFD_ADMIN, a->session);
	} else if (was_up) {
		t->bfd_down = true;
		site_rt(s, RT_EV_BFD_DOWN, a->session);
	}
	settle_bgp(s, a->session, was_up);
}

static void carry_out_bfd(struct site *s)
{
	for (size_t i = 0; i < s->bfd_out.n; i++) {
		const struct bfd_action *a = &s->bfd_out.actions[i];
		struct inner inner = {.kind = INNER_BFD};

		if (a->type != BFD_ACT_SEND)
			continue;
		memcpy(inner.bfd, a->send.data, sizeof(inner.bfd));
		(void)site_send(s, a->session, &inner);
	}
	for (size_t i = 0; i < s->bfd_out.n; i++) {
		if (s->bfd_out.actions[i].type == BFD_ACT_STATE)
			on_bfd_state(s, &s->bfd_out.actions[i]);
	}
	bfd_out_reset(&s->bfd_out);
}

static void step_bfd(struct site *s, struct bfd_event *ev)
{
	if (!s->running)
		return;
	ev->now = now_of(s);
	bfd_step(s->bfd, ev, &s->bfd_out);
	carry_out_bfd(s);
}

static void configure_bfd(struct site *s)
{
	struct bfd_session_cfg sessions[SITE_TUNNELS];

	for (uint32_t t = 0; t < SITE_TUNNELS; t++) {
		sessions[t] = (struct bfd_session_cfg){
			.session = t,
			.local = site_inside(s->index, t),
			.remote = site_inside(1 - s->index, t),
			.tx = s->cfg.bfd_interval,
			.rx = s->cfg.bfd_interval,
			.multiplier = SITES_MULTIPLIER,
		};
		memcpy(sessions[t].name, t ? "bore-2" : "bore-1", 7);
	}
	if (!bfd_configure(s->bfd, sessions, SITE_TUNNELS, now_of(s), &s->bfd_out))
		fail_world(s->node->w, "site %d: no memory for BFD", s->index);
	carry_out_bfd(s);
}

/* ------------------------------------------------------------------ from IKE */

void site_ike_state(struct site *s, uint32_t tunnel, bool up)
{
	struct site_tunnel *t = &s->t[tunnel];
	struct bfd_event lost = {.type = BFD_EV_PATH_DOWN, .session = tunnel};

	if (!s->running)
		return;
	/* RFC 5882 3.2: IKE has just reached the peer: an older verdict of BFD counts no more. */
	if (up && !t->up && t->bfd_down) {
		t->bfd_down = false;
		site_rt(s, RT_EV_BFD_ADMIN, tunnel);
	}
	t->up = up;
	site_rt(s, up ? RT_EV_TUNNEL_UP : RT_EV_TUNNEL_DOWN, tunnel);
	if (!up)
		step_bfd(s, &lost);
	settle_bgp(s, tunnel, false);
}

/* ----------------------------------------------------------------- packets */

void site_receive(struct site *s, uint32_t tunnel, const struct inner *i)
{
	struct bfd_event ev = {.type = BFD_EV_PACKET};

	if (i->kind == INNER_TCP) {
		tcp_receive(s, tunnel, i);
		return;
	}
	ev.packet.local = site_inside(s->index, tunnel);
	ev.packet.remote = site_inside(1 - s->index, tunnel);
	ev.packet.ttl = 255;
	ev.packet.data = i->bfd;
	ev.packet.size = sizeof(i->bfd);
	step_bfd(s, &ev);
}

/* -------------------------------------------------------------- life cycle */

void site_configure(struct site *s)
{
	if (!s->running)
		return;
	configure_routing(s);
	configure_bgp(s);
	configure_bfd(s);
}

void site_change_bfd(struct site *s, struct mono_span interval)
{
	s->was_interval = site_bfd_interval(s);
	s->changed_at = now_of(s);
	s->cfg.bfd_interval = interval;
	site_configure(s);
}

struct mono_span site_bfd_interval(const struct site *s)
{
	const bool fresh = mono_before(now_of(s), mono_add(s->changed_at, span_s(2)));

	return fresh && s->was_interval.ns > s->cfg.bfd_interval.ns ? s->was_interval
								    : s->cfg.bfd_interval;
}

bool site_start(struct site *s)
{
	const struct bgp_sink sink = {
		.ctx = s,
		.announce = on_announce,
		.withdraw = on_withdraw,
		.up = on_up,
		.stale = on_stale,
		.purge = on_purge,
		.end_of_rib = on_end_of_rib,
	};
	const struct rt_export export = {
		.ctx = s,
		.advertise = on_advertise,
		.advertise_end = on_advertise_end,
	};
	const uint64_t seed = rng_u64(&s->rng);

	s->generation++;
	memset(s->t, 0, sizeof(s->t));
	s->paths = path_store_new(seed);
	s->rt = s->paths ? rt_new(s->paths, seed, &export, &s->node->tracer) : NULL;
	s->bgp = s->rt ? bgp_new(s->paths, &sink, draw, &s->rng, &s->node->tracer) : NULL;
	s->bfd = s->bgp ? bfd_new(draw, &s->rng, &s->node->tracer) : NULL;
	if (!s->bfd)
		return false;
	s->running = true;
	site_configure(s);
	for (uint32_t t = 0; t < SITE_TUNNELS; t++) {
		if (s->node->up[t])
			site_ike_state(s, t, true);
	}
	return true;
}

void site_end(struct site *s)
{
	s->running = s->bgp_changed = false;
	bgp_free(s->bgp);
	bfd_free(s->bfd);
	rt_free(s->rt);
	if (s->paths && path_store_count(s->paths))
		fail_world(s->node->w, "site %d: paths are left", s->index);
	path_store_free(s->paths);
	bgp_out_fini(&s->bgp_out);
	bfd_out_fini(&s->bfd_out);
	rt_out_fini(&s->rt_out);
	s->bgp_out = (struct bgp_out){0};
	s->bfd_out = (struct bfd_out){0};
	s->rt_out = (struct rt_out){0};
	s->bgp = NULL;
	s->bfd = NULL;
	s->rt = NULL;
	s->paths = NULL;
	s->n_told = 0;
	memset(s->t, 0, sizeof(s->t));
}

static void turn_once(struct site *s)
{
	struct bfd_event bfd = {.type = BFD_EV_TICK};
	struct bgp_event bgp = {.type = BGP_EV_TICK};
	struct rt_event rt = {.type = RT_EV_TICK};

	if (s->bgp_changed) {
		s->bgp_changed = false;
		configure_bgp(s);
		ask_for_refresh(s);
	}
	if (mono_reached(now_of(s), bfd_deadline(s->bfd)))
		step_bfd(s, &bfd);
	if (mono_reached(now_of(s), rt_deadline(s->rt)))
		site_rt_step(s, &rt);
	if (mono_reached(now_of(s), bgp_deadline(s->bgp)))
		site_bgp_step(s, &bgp);
}

static bool is_due(const struct site *s)
{
	const struct mono now = now_of(s);

	return s->bgp_changed || mono_reached(now, bfd_deadline(s->bfd)) ||
	       mono_reached(now, rt_deadline(s->rt)) || mono_reached(now, bgp_deadline(s->bgp));
}

void site_turn(struct site *s)
{
	unsigned rounds = 0;

	fib_turn(s);
	if (!s->running)
		return;
	while (is_due(s)) {
		turn_once(s);
		if (++rounds > ROUNDS_MOST) {
			fail_world(s->node->w, "site %d: its deadlines do not move", s->index);
			return;
		}
	}
	tcp_turn(s);
}
