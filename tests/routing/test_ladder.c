/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scenarios of the routing core: a script of events on the left, the text of all that came out on
 * the right. Every action is answered "ok" at once unless the script says "refuse", "silent", or "full",
 * when a route can be deleted but not set.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/sb.h"
#include "routing/routing.h"

#define TEXT_SIZE 8192

struct world {
	struct path_store *paths;
	struct rt *rt;
	struct rt_out out;
	struct sb log;
	char text[TEXT_SIZE];
	struct mono now;
	enum { ANSWER_OK, ANSWER_REFUSE, ANSWER_SILENT, ANSWER_FULL } answer;
	struct tracer tracer;
};

static void line(void *ctx, enum log_level level, const char *text)
{
	struct world *w = ctx;

	sb_printf(&w->log, "# %s\n", text);
}

static void print_action(struct world *w, const struct rt_action *a)
{
	switch (a->type) {
	case RT_ACT_TUNNEL_SET:
		sb_printf(&w->log, "tunnel-set %u %s %s\n", a->tunnel.tunnel, a->tunnel.name,
			  a->tunnel.ifname);
		break;
	case RT_ACT_TUNNEL_DEL: sb_printf(&w->log, "tunnel-del %u\n", a->tunnel.tunnel); break;
	case RT_ACT_GROUP_SET:
		sb_printf(&w->log, "group-set %u:", a->group.group);
		for (size_t i = 0; i < a->group.n; i++)
			sb_printf(&w->log, " %u", a->group.tunnels[i]);
		sb_str(&w->log, "\n");
		break;
	case RT_ACT_GROUP_DEL: sb_printf(&w->log, "group-del %u\n", a->group.group); break;
	case RT_ACT_PREFER:
		sb_printf(&w->log, "prefer %u %d\n", a->prefer.tunnel, a->prefer.on);
		break;
	case RT_ACT_RESET: sb_printf(&w->log, "reset %u\n", a->reset.tunnel); break;
	case RT_ACT_REFRESH: sb_printf(&w->log, "refresh %u\n", a->refresh.tunnel); break;
	case RT_ACT_WARNING: sb_printf(&w->log, "warning %s\n", a->warning.name); break;
	case RT_ACT_SWITCHED:
		sb_printf(&w->log, "switched %s %d %d\n", a->switched.connection,
			  (int)a->switched.from, (int)a->switched.to);
		break;
	}
}

static void answer(struct world *w, uint32_t request, bool ok)
{
	const struct rt_event ev = {
		.type = RT_EV_DP_RESULT,
		.now = w->now,
		.request = request,
		.ok = ok && w->answer != ANSWER_REFUSE,
	};

	if (request && w->answer != ANSWER_SILENT)
		rt_step(w->rt, &ev, &w->out);
}

static size_t print_routes(struct world *w, uint32_t *request, bool *sets)
{
	struct rt_route_op ops[RT_BATCH_MAX];
	const size_t n = rt_next_routes(w->rt, ops, RT_BATCH_MAX, request);
	char buf[IP_PREFIX_STRLEN];

	*sets = false;
	for (size_t i = 0; i < n; i++) {
		*sets |= ops[i].group != RT_GROUP_NONE;
		ip_prefix_format(&ops[i].prefix, buf);
		if (ops[i].group == RT_GROUP_NONE)
			sb_printf(&w->log, "route-del %s\n", buf);
		else
			sb_printf(&w->log, "route-set %s %u\n", buf, ops[i].group);
	}
	return n;
}

/* As a shell does: the actions, then the routes; prints and answers them until there are none. */
static void drain(struct world *w)
{
	uint32_t request;

	for (;;) {
		struct rt_action *actions = w->out.actions;
		const size_t n = w->out.n;
		size_t n_routes;
		bool sets;

		assert_false(w->out.overflow);
		w->out = (struct rt_out){0};
		for (size_t i = 0; i < n; i++) {
			print_action(w, &actions[i]);
			assert_int_equal(actions[i].request == 0,
					 actions[i].type >= RT_ACT_SWITCHED);
		}
		n_routes = print_routes(w, &request, &sets);
		for (size_t i = 0; i < n; i++)
			answer(w, actions[i].request, true);
		if (n_routes)
			answer(w, request, !(sets && w->answer == ANSWER_FULL));
		free(actions);
		if (!n && !n_routes)
			break;
	}
}

static struct ip_prefix prefix(const char *s)
{
	struct ip_prefix p;

	assert_true(ip_prefix_parse(s, &p));
	return p;
}

/*
 * "NAME TUNNEL[/IFNAME],TUNNEL... PREFIX,PREFIX;": connections. A tunnel is a number; its name is
 * "t" and the number.
 */
static void configure(struct world *w, const char *text)
{
	static struct rt_connection_cfg cfg[8];
	static struct ip_prefix prefixes[8][8];
	char copy[512], *save_c, *save_f, *save_i;
	size_t n = 0;

	memset(cfg, 0, sizeof(cfg));
	snprintf(copy, sizeof(copy), "%s", text);
	for (char *c = strtok_r(copy, ";", &save_c); c; c = strtok_r(NULL, ";", &save_c), n++) {
		const char *name = strtok_r(c, " ", &save_f);
		char *tunnels = strtok_r(NULL, " ", &save_f);
		char *list = strtok_r(NULL, " ", &save_f);

		snprintf(cfg[n].name, sizeof(cfg[n].name), "%s", name);
		cfg[n].revert_hold = span_ms(3000);
		for (char *t = strtok_r(tunnels, ",", &save_i); t;
		     t = strtok_r(NULL, ",", &save_i)) {
			struct rt_tunnel_cfg *to = &cfg[n].tunnels[cfg[n].n_tunnels++];
			const char *slash = strchr(t, '/');

			to->tunnel = (uint32_t)atoi(t);
			snprintf(to->name, sizeof(to->name), "t%u", to->tunnel);
			snprintf(to->ifname, sizeof(to->ifname), "%.15s", slash ? slash + 1 : "i");
		}
		for (char *p = list ? strtok_r(list, ",", &save_i) : NULL; p;
		     p = strtok_r(NULL, ",", &save_i))
			prefixes[n][cfg[n].n_prefixes++] = prefix(p);
		cfg[n].prefixes = prefixes[n];
	}
	assert_true(rt_configure(w->rt, &(struct rt_cfg){.connections = cfg, .n_connections = n},
				 w->now, &w->out));
}

static bool show_one(void *ctx, const struct rt_show_route *r)
{
	struct world *w = ctx;
	char buf[IP_PREFIX_STRLEN];

	sb_printf(&w->log, "show %s %s %d %s\n", ip_prefix_format(&r->prefix, buf), r->connection,
		  (int)r->tunnel, r->installed ? "installed" : "waiting");
	return true;
}

/* "TUNNEL PREFIX MED" */
static void announce(struct world *w, char *arg)
{
	static const uint8_t none[1];
	char *save;
	const uint32_t tunnel = (uint32_t)atoi(strtok_r(arg, " ", &save));
	const struct path_nlri nlri = {.prefix = prefix(strtok_r(NULL, " ", &save))};
	const struct path_facts f = {
		.first_as = 65001,
		.flags = PATH_HAS_MED,
		.med = (uint32_t)atoi(strtok_r(NULL, " ", &save)),
	};
	struct path *p = path_intern(w->paths, &f, none);

	assert_non_null(p);
	(void)rt_announce(w->rt, tunnel, &nlri, 1, p);
	path_unref(w->paths, p);
}

static void command(struct world *w, char *text)
{
	struct rt_event ev = {0};
	char *arg = strchr(text, ' ');
	bool step = true;

	if (arg)
		*arg++ = '\0';
	if (strcmp(text, "config") == 0) {
		configure(w, arg ? arg : "");
		step = false;
	} else if (strcmp(text, "up") == 0) {
		ev = (struct rt_event){.type = RT_EV_TUNNEL_UP, .tunnel = (uint32_t)atoi(arg)};
	} else if (strcmp(text, "down") == 0) {
		ev = (struct rt_event){.type = RT_EV_TUNNEL_DOWN, .tunnel = (uint32_t)atoi(arg)};
	} else if (strcmp(text, "silence") == 0) {
		ev = (struct rt_event){.type = RT_EV_BFD_DOWN, .tunnel = (uint32_t)atoi(arg)};
	} else if (strcmp(text, "heard") == 0) {
		ev = (struct rt_event){.type = RT_EV_BFD_UP, .tunnel = (uint32_t)atoi(arg)};
	} else if (strcmp(text, "session") == 0) {
		ev = (struct rt_event){.type = RT_EV_BGP_UP, .tunnel = (uint32_t)atoi(arg)};
	} else if (strcmp(text, "gone") == 0) {
		for (int v6 = 0; v6 < 2; v6++)
			(void)rt_purge(w->rt, (uint32_t)atoi(arg), v6, false);
		ev = (struct rt_event){.type = RT_EV_BGP_DOWN, .tunnel = (uint32_t)atoi(arg)};
	} else if (strcmp(text, "announce") == 0) {
		announce(w, arg);
	} else if (strcmp(text, "restarted") == 0) {
		ev.type = RT_EV_DP_RESTARTED;
	} else if (strcmp(text, "wait") == 0) {
		const struct mono until = mono_add(w->now, span_ms((uint64_t)atoi(arg)));

		/* As a shell does: a tick when the deadline comes, and only then. */
		while (mono_reached(until, rt_deadline(w->rt))) {
			const struct mono at = rt_deadline(w->rt);

			w->now = mono_before(w->now, at) ? at : w->now;
			ev = (struct rt_event){.type = RT_EV_TICK, .now = w->now};
			rt_step(w->rt, &ev, &w->out);
			drain(w);
		}
		w->now = until;
		step = false;
	} else if (strcmp(text, "show") == 0) {
		rt_show_routes(w->rt, show_one, w);
		step = false;
	} else {
		w->answer = strcmp(text, "refuse") == 0   ? ANSWER_REFUSE
			    : strcmp(text, "silent") == 0 ? ANSWER_SILENT
			    : strcmp(text, "full") == 0   ? ANSWER_FULL
							  : ANSWER_OK;
		step = false;
	}
	ev.now = w->now;
	if (step)
		rt_step(w->rt, &ev, &w->out);
	drain(w);
}

static void run(const char *script, const char *expected)
{
	static struct world w;
	char copy[1024], *save;

	memset(&w, 0, sizeof(w));
	w.log = sb_of(w.text, sizeof(w.text));
	w.tracer = (struct tracer){.ctx = &w, .line = line};
	w.now = (struct mono){1000000000};
	w.paths = path_store_new(1);
	w.rt = rt_new(w.paths, 1, NULL, &w.tracer);
	assert_non_null(w.rt);
	snprintf(copy, sizeof(copy), "%s", script);
	for (char *c = strtok_r(copy, "\n", &save); c; c = strtok_r(NULL, "\n", &save))
		command(&w, c);
	assert_string_equal(w.text, expected);
	rt_out_fini(&w.out);
	rt_free(w.rt);
	path_store_free(w.paths);
}

#define TWO    "config c 1/a,2/b 10.2.0.0/16\n"
#define TWO_IS "tunnel-set 1 t1 a\ntunnel-set 2 t2 b\ngroup-set 0:\nroute-set 10.2.0.0/16 0\n"

#define SCENARIO(name, script, expected)                                                           \
	static void name(void **state)                                                             \
	{                                                                                          \
		run(script, expected);                                                             \
	}

SCENARIO(first_start, TWO "show\n", TWO_IS "show 10.2.0.0/16 c -1 installed\n")

SCENARIO(silent_dataplane, "silent\n" TWO "show\n", TWO_IS "show 10.2.0.0/16 c -1 waiting\n")

/* The backup comes first and carries; the preferred one has to hold for 3 s. */
SCENARIO(preferred_second, TWO "up 2\nup 1\nwait 2999\nshow\nwait 1\nshow\n",
	 TWO_IS "# t2 tunnel: down -> up\n"
		"# c switch: none -> t2 (tunnel up)\n"
		"group-set 0: 2\n"
		"switched c -1 2\n"
		"# t1 tunnel: down -> up\n"
		"group-set 0: 2 1\n"
		"show 10.2.0.0/16 c 2 installed\n"
		"# c switch: t2 -> t1 (preferred tunnel held)\n"
		"group-set 0: 1 2\n"
		"switched c 2 1\n"
		"show 10.2.0.0/16 c 1 installed\n")

/* Loss moves at once, and only the group changes. */
SCENARIO(failover, TWO "up 1\nup 2\ndown 1\nshow\n",
	 TWO_IS "# t1 tunnel: down -> up\n"
		"# c switch: none -> t1 (tunnel up)\n"
		"group-set 0: 1\n"
		"switched c -1 1\n"
		"# t2 tunnel: down -> up\n"
		"group-set 0: 1 2\n"
		"# t1 tunnel: up -> down\n"
		"# c switch: t1 -> t2 (tunnel down)\n"
		"group-set 0: 2\n"
		"switched c 1 2\n"
		"show 10.2.0.0/16 c 2 installed\n")

/* A flap within the hold starts it anew. */
SCENARIO(flap, TWO "up 2\nup 1\nwait 2000\ndown 1\nup 1\nwait 2999\nshow\nwait 1\nshow\n",
	 TWO_IS "# t2 tunnel: down -> up\n"
		"# c switch: none -> t2 (tunnel up)\n"
		"group-set 0: 2\n"
		"switched c -1 2\n"
		"# t1 tunnel: down -> up\n"
		"group-set 0: 2 1\n"
		"# t1 tunnel: up -> down\n"
		"group-set 0: 2\n"
		"# t1 tunnel: down -> up\n"
		"group-set 0: 2 1\n"
		"show 10.2.0.0/16 c 2 installed\n"
		"# c switch: t2 -> t1 (preferred tunnel held)\n"
		"group-set 0: 1 2\n"
		"switched c 2 1\n"
		"show 10.2.0.0/16 c 1 installed\n")

/* The one that carries goes while the preferred one is held back: no waiting. */
SCENARIO(held_but_needed, TWO "up 2\nup 1\nwait 10\ndown 2\nwait 5000\n",
	 TWO_IS "# t2 tunnel: down -> up\n"
		"# c switch: none -> t2 (tunnel up)\n"
		"group-set 0: 2\n"
		"switched c -1 2\n"
		"# t1 tunnel: down -> up\n"
		"group-set 0: 2 1\n"
		"# t2 tunnel: up -> down\n"
		"# c switch: t2 -> t1 (tunnel down)\n"
		"group-set 0: 1\n"
		"switched c 2 1\n")

/* The connection's traffic goes where its prefixes go, whatever the order of its tunnels; of some that go
 * elsewhere nobody is told until they are twice as many. */
SCENARIO(prefixes_by_bgp,
	 "config c 1/a,2/b\nup 1\nup 2\nsession 1\nsession 2\n"
	 "announce 1 10.2.0.0/16 200\nwait 0\nannounce 2 10.2.0.0/16 100\nwait 0\n"
	 "announce 1 10.3.0.0/16 100\nwait 0\nannounce 1 10.4.0.0/16 100\nwait 0\n"
	 "down 1\ndown 2\n",
	 "tunnel-set 1 t1 a\ntunnel-set 2 t2 b\ngroup-set 0:\n"
	 "# t1 tunnel: down -> up\n"
	 "# c switch: none -> t1 (tunnel up)\n"
	 "group-set 0: 1\n"
	 "switched c -1 1\n"
	 "# t2 tunnel: down -> up\n"
	 "group-set 0: 1 2\n"
	 "group-set 1: 1\n"
	 "route-set 10.2.0.0/16 1\n"
	 "group-set 2: 2 1\n"
	 "route-set 10.2.0.0/16 2\n"
	 "# c switch: t1 -> t2 (prefixes moved)\n"
	 "switched c 1 2\n"
	 "group-del 1\n"
	 "group-set 1: 1\n"
	 "route-set 10.3.0.0/16 1\n"
	 "route-set 10.4.0.0/16 1\n"
	 "# c switch: t2 -> t1 (prefixes moved)\n"
	 "switched c 2 1\n"
	 "# t1 tunnel: up -> down\n"
	 "# c switch: t1 -> t2 (tunnel down)\n"
	 "group-set 0: 2\n"
	 "group-set 1:\n"
	 "group-set 2: 2\n"
	 "switched c 1 2\n"
	 "# t2 tunnel: up -> down\n"
	 "# c switch: t2 -> none (tunnel down)\n"
	 "group-set 0:\n"
	 "group-set 2:\n"
	 "switched c 2 -1\n")

/* A session falls and comes again before all that it had brought is swept away: nothing goes by that. */
SCENARIO(session_of_the_dead,
	 "config c 1/a,2/b\nup 1\nup 2\nsession 1\nsession 2\n"
	 "announce 1 10.2.0.0/16 100\nannounce 2 10.2.0.0/16 200\nwait 0\n"
	 "gone 1\nsession 1\nwait 0\nshow\n",
	 "tunnel-set 1 t1 a\ntunnel-set 2 t2 b\ngroup-set 0:\n"
	 "# t1 tunnel: down -> up\n"
	 "# c switch: none -> t1 (tunnel up)\n"
	 "group-set 0: 1\n"
	 "switched c -1 1\n"
	 "# t2 tunnel: down -> up\n"
	 "group-set 0: 1 2\n"
	 "group-set 1: 1\n"
	 "route-set 10.2.0.0/16 1\n"
	 "group-set 2: 1 2\n"
	 "route-set 10.2.0.0/16 2\n"
	 "group-del 1\n"
	 "# c switch: t1 -> t2 (BGP down)\n"
	 "group-set 2: 2\n"
	 "switched c 1 2\n"
	 "group-set 1: 2\n"
	 "group-set 2: 2 1\n"
	 "route-set 10.2.0.0/16 1\n"
	 "group-del 2\n"
	 "show 10.2.0.0/16 c 2 installed\n")

SCENARIO(nothing_left, TWO "up 1\ndown 1\nshow\n",
	 TWO_IS "# t1 tunnel: down -> up\n"
		"# c switch: none -> t1 (tunnel up)\n"
		"group-set 0: 1\n"
		"switched c -1 1\n"
		"# t1 tunnel: up -> down\n"
		"# c switch: t1 -> none (tunnel down)\n"
		"group-set 0:\n"
		"switched c 1 -1\n"
		"show 10.2.0.0/16 c -1 installed\n")

/* BFD moves traffic; where it hears nothing on any tunnel, what IKE has up is better than nothing. */
SCENARIO(silence, TWO "up 1\nup 2\nsilence 1\nsilence 2\nheard 2\ndown 2\ndown 1\n",
	 TWO_IS "# t1 tunnel: down -> up\n"
		"# c switch: none -> t1 (tunnel up)\n"
		"group-set 0: 1\n"
		"switched c -1 1\n"
		"# t2 tunnel: down -> up\n"
		"group-set 0: 1 2\n"
		"# t1 tunnel: up -> down\n"
		"# c switch: t1 -> t2 (tunnel down)\n"
		"group-set 0: 2\n"
		"switched c 1 2\n"
		"# t2 tunnel: up -> down\n"
		"group-set 0: 2 1\n"
		"# t2 tunnel: down -> up\n"
		"group-set 0: 2\n"
		"# t2 tunnel: up -> down\n"
		"# c switch: t2 -> t1 (tunnel down)\n"
		"group-set 0: 1\n"
		"switched c 2 1\n"
		"# c switch: t1 -> none (tunnel down)\n"
		"group-set 0:\n"
		"switched c 1 -1\n")

/* Repeated and unknown states change nothing. */
SCENARIO(noise, TWO "up 1\nup 1\nup 9\ndown 2\n",
	 TWO_IS "# t1 tunnel: down -> up\n"
		"# c switch: none -> t1 (tunnel up)\n"
		"group-set 0: 1\n"
		"switched c -1 1\n")

SCENARIO(reload_equal, TWO "up 1\n" TWO,
	 TWO_IS "# t1 tunnel: down -> up\n"
		"# c switch: none -> t1 (tunnel up)\n"
		"group-set 0: 1\n"
		"switched c -1 1\n")

/* A prefix moves to another connection: set there, never deleted; the rest goes last. */
SCENARIO(reload_moves_prefix, TWO "config d 3/x 10.2.0.0/16,10.3.0.0/16\n",
	 TWO_IS "tunnel-set 3 t3 x\n"
		"group-set 1:\n"
		"route-set 10.2.0.0/16 1\n"
		"route-set 10.3.0.0/16 1\n"
		"group-del 0\n"
		"tunnel-del 1\n"
		"tunnel-del 2\n")

/* Whatever their addresses are: what comes is set before anything goes. */
SCENARIO(reload_swaps_prefix, TWO "config c 1/a,2/b 172.16.0.0/12\n",
	 TWO_IS "route-set 172.16.0.0/12 0\n"
		"route-del 10.2.0.0/16\n")

/* The active tunnel is taken out of the configuration: the traffic moves first, itself goes last. */
SCENARIO(reload_drops_tunnel, TWO "up 1\nup 2\nconfig c 2/b 10.2.0.0/16\n",
	 TWO_IS "# t1 tunnel: down -> up\n"
		"# c switch: none -> t1 (tunnel up)\n"
		"group-set 0: 1\n"
		"switched c -1 1\n"
		"# t2 tunnel: down -> up\n"
		"group-set 0: 1 2\n"
		"# c switch: t1 -> t2 (configuration)\n"
		"group-set 1: 2\n"
		"switched c 1 2\n"
		"route-set 10.2.0.0/16 1\n"
		"group-del 0\n"
		"tunnel-del 1\n")

/* An interface's name changes: only that tunnel is told. */
SCENARIO(reload_interface, TWO "up 1\nconfig c 1/new,2/b 10.2.0.0/16\n",
	 TWO_IS "# t1 tunnel: down -> up\n"
		"# c switch: none -> t1 (tunnel up)\n"
		"group-set 0: 1\n"
		"switched c -1 1\n"
		"tunnel-set 1 t1 new\n")

/* One prefix in two connections: the first has it, the second stands behind it, and gets it when the
 * first goes. */
SCENARIO(shared_prefix,
	 "config c 1/a 10.2.0.0/16;d 2/b 10.2.0.0/16\nshow\nconfig d 2/b 10.2.0.0/16\nshow\n",
	 "tunnel-set 1 t1 a\ntunnel-set 2 t2 b\ngroup-set 0:\ngroup-set 1:\ngroup-set 2:\n"
	 "route-set 10.2.0.0/16 2\n"
	 "show 10.2.0.0/16 c -1 installed\n"
	 "group-del 0\n"
	 "route-set 10.2.0.0/16 1\n"
	 "group-del 2\n"
	 "tunnel-del 1\n"
	 "show 10.2.0.0/16 d -1 installed\n")

/* A new dataplane is told everything, in an order that it can carry out. */
SCENARIO(dataplane_restart, TWO "up 1\nup 2\nrestarted\nshow\n",
	 TWO_IS "# t1 tunnel: down -> up\n"
		"# c switch: none -> t1 (tunnel up)\n"
		"group-set 0: 1\n"
		"switched c -1 1\n"
		"# t2 tunnel: down -> up\n"
		"group-set 0: 1 2\n"
		"tunnel-set 1 t1 a\n"
		"tunnel-set 2 t2 b\n"
		"group-set 0: 1 2\n"
		"route-set 10.2.0.0/16 0\n"
		"show 10.2.0.0/16 c 1 installed\n")

/* What was refused is asked again, and said once a round. */
SCENARIO(refused, "refuse\n" TWO "show\nok\nwait 60000\nshow\n",
	 TWO_IS "# routing program: the dataplane refused request 1; trying again\n"
		"show 10.2.0.0/16 c -1 waiting\n" TWO_IS "show 10.2.0.0/16 c -1 installed\n")

/* A change that was refused leaves the route where it was: it is deleted before the group that it names,
 * whose number another one may get, and before that one's tunnels. */
SCENARIO(refused_change, TWO "full\nconfig d 3/x 10.2.0.0/16\nok\nwait 60000\nshow\n",
	 TWO_IS "tunnel-set 3 t3 x\n"
		"group-set 1:\n"
		"route-set 10.2.0.0/16 1\n"
		"# routing program: the dataplane refused request 7; trying again\n"
		"route-del 10.2.0.0/16\n"
		"group-del 0\n"
		"tunnel-del 1\n"
		"tunnel-del 2\n"
		"route-set 10.2.0.0/16 1\n"
		"show 10.2.0.0/16 d -1 installed\n")

/* The group that a route is moved away from goes when the dataplane has answered, not before. */
SCENARIO(unanswered_change, TWO "silent\nconfig d 3/x 10.2.0.0/16\nwait 10\n",
	 TWO_IS "tunnel-set 3 t3 x\n"
		"group-set 1:\n"
		"route-set 10.2.0.0/16 1\n")

/* Host bits do not count; IPv4 stands before IPv6; longer after shorter. */
SCENARIO(order, "config c 1/a 2001:db8::1/32,10.9.9.9/8,10.0.0.0/9,10.0.0.0/8\nshow\n",
	 "tunnel-set 1 t1 a\ngroup-set 0:\n"
	 "route-set 10.0.0.0/8 0\nroute-set 10.0.0.0/9 0\nroute-set 2001:db8::/32 0\n"
	 "show 10.0.0.0/8 c -1 installed\n"
	 "show 10.0.0.0/9 c -1 installed\n"
	 "show 2001:db8::/32 c -1 installed\n")

SCENARIO(empty, TWO "config\n",
	 TWO_IS "route-del 10.2.0.0/16\ngroup-del 0\ntunnel-del 1\ntunnel-del 2\n")

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_start),
		cmocka_unit_test(silent_dataplane),
		cmocka_unit_test(preferred_second),
		cmocka_unit_test(failover),
		cmocka_unit_test(flap),
		cmocka_unit_test(held_but_needed),
		cmocka_unit_test(prefixes_by_bgp),
		cmocka_unit_test(session_of_the_dead),
		cmocka_unit_test(nothing_left),
		cmocka_unit_test(silence),
		cmocka_unit_test(noise),
		cmocka_unit_test(reload_equal),
		cmocka_unit_test(reload_moves_prefix),
		cmocka_unit_test(reload_swaps_prefix),
		cmocka_unit_test(reload_drops_tunnel),
		cmocka_unit_test(reload_interface),
		cmocka_unit_test(shared_prefix),
		cmocka_unit_test(dataplane_restart),
		cmocka_unit_test(refused),
		cmocka_unit_test(refused_change),
		cmocka_unit_test(unanswered_change),
		cmocka_unit_test(order),
		cmocka_unit_test(empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
