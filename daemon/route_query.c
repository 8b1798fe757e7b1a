/* SPDX-License-Identifier: Apache-2.0 */
/*
 * route_query: what the control process asks of routes, answered as JSON text.
 *
 * There may be a million routes, and while an answer is made nothing else is done here: every answer
 * is bounded. A listing comes page by page, each asked for by itself with the place where the last one
 * ended; the text is written straight into one buffer.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/sb.h"
#include "daemon/route_int.h"

#define PAGE_ROUTES    1000u
#define PAGE_VISITS    50000u /* about a millisecond */
#define PAGE_SIZE      (512u << 10)
#define PAGE_RESERVE   4096u /* the longest item */
#define STATE_SIZE     (2u << 20)
#define CANDIDATES_MAX 64u
#define AS_PATH_SHOWN  256
#define MOVES_MAX      64u

const char *route_tunnel_name(const struct route_shell *s, uint32_t tunnel)
{
	const struct route_tunnel *t = route_tunnel(s, tunnel);

	return t && t->cfg ? t->cfg->name : NULL;
}

json_t *route_name_or_null(const char *name)
{
	return name ? json_string(name) : json_null();
}

/* ----------------------------------------------------------------- replies */

void route_reply(struct route_shell *s, uint64_t id, const struct sb *text)
{
	static const char none[] =
		"{\"code\":\"failed\",\"message\":\"the route process is out of memory\"}";

	if (!text || text->truncated)
		ipc_outq_reply(&s->to_control, id, false, none, sizeof(none) - 1);
	else if (!ipc_outq_reply(&s->to_control, id, true, text->buf, text->n))
		log_warn("the control process does not take its answers: one was cut off");
}

void route_refuse(struct route_shell *s, uint64_t id, const char *code, const char *fmt, ...)
{
	char message[256], text[400];
	struct sb sb = sb_of(text, sizeof(text));
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	sb_printf(&sb, "{\"code\":\"%s\",\"message\":\"%s\"}", code, message);
	ipc_outq_reply(&s->to_control, id, false, sb.buf, sb.n);
}

struct sb route_room(size_t size)
{
	char *buf = malloc(size);

	return buf ? sb_of(buf, size) : (struct sb){.buf = NULL};
}

/* Names need no escaping: they have letters, digits and three signs. */
void route_put_name(struct sb *s, const char *member, const char *name)
{
	if (name)
		sb_printf(s, "\"%s\":\"%s\"", member, name);
	else
		sb_printf(s, "\"%s\":null", member);
}

static const char *table_name(const struct route_shell *s, uint16_t table)
{
	const struct config_table *t = s->config ? config_table_by_index(s->config, table) : NULL;

	return t ? t->name : "?";
}

/* Attributes of a path, as further members. */
void route_put_path(struct sb *s, const struct path *p)
{
	static const char *const origins[] = {"igp", "egp", "incomplete"};
	char text[AS_PATH_SHOWN], address[IP_ADDR_STRLEN];

	if (!p)
		return;
	sb_printf(s, ",\"as_path\":\"%s\",\"origin\":\"%s\"",
		  path_as_path_format(p, text, sizeof(text)),
		  origins[p->facts.origin < 3 ? p->facts.origin : PATH_ORIGIN_INCOMPLETE]);
	if (p->facts.flags & PATH_HAS_MED)
		sb_printf(s, ",\"med\":%u", p->facts.med);
	else
		sb_str(s, ",\"med\":null");
	if (p->facts.next_hop.family != IP_NONE)
		sb_printf(s, ",\"next_hop\":\"%s\"", ip_format(&p->facts.next_hop, address));
	else
		sb_str(s, ",\"next_hop\":null");
}

/* --------------------------------------------------------------- arguments */

/* The table that an argument names; false: there is no such one (answered). */
static bool take_table(struct route_shell *s, uint64_t id, const json_t *arg, bool *one,
		       uint16_t *table)
{
	const char *name = json_string_value(json_object_get(arg, "table"));
	const struct config_table *t;

	*one = name != NULL;
	if (!name)
		return true;
	t = s->config ? config_table_by_name(s->config, name) : NULL;
	if (!t) {
		route_refuse(s, id, "bad-params", "there is no such route table");
		return false;
	}
	*table = t->index;
	return true;
}

bool route_take_page(struct route_shell *s, uint64_t id, const json_t *arg, struct rt_page *page,
		     size_t *limit)
{
	const json_int_t n = json_integer_value(json_object_get(arg, "limit"));
	const json_int_t cursor = json_integer_value(json_object_get(arg, "cursor"));
	const char *within = json_string_value(json_object_get(arg, "within"));

	*page = (struct rt_page){.max_visits = PAGE_VISITS};
	*limit = n > 0 && n < PAGE_ROUTES ? (size_t)n : PAGE_ROUTES;
	if (cursor < 0 || cursor >= RT_PAGE_END ||
	    (within && !ip_prefix_parse(within, &page->within))) {
		route_refuse(s, id, "bad-params", "no such place in the list");
		return false;
	}
	page->next = (uint32_t)cursor;
	return take_table(s, id, arg, &page->one_table, &page->table);
}

/* The tunnel that an argument names, or NULL after an answer. */
const struct config_tunnel *route_take_tunnel(struct route_shell *s, uint64_t id, const char *name)
{
	const struct config_tunnel *t =
		s->config && name ? config_tunnel_by_name(s->config, name, NULL) : NULL;

	if (!t)
		route_refuse(s, id, "no-such-tunnel",
			     "the route process does not know this tunnel yet");
	return t;
}

/* ------------------------------------------------------------------ listing */

struct listing {
	struct route_shell *s;
	struct sb sb;
	size_t n, max;
};

static void put_members(struct listing *l, const char *member, const uint32_t *tunnels, size_t n)
{
	size_t shown = 0;

	sb_printf(&l->sb, ",\"%s\":[", member);
	for (size_t i = 0; i < n; i++) {
		const char *name = route_tunnel_name(l->s, tunnels[i]);

		if (name)
			sb_printf(&l->sb, "%s\"%s\"", shown++ ? "," : "", name);
	}
	sb_str(&l->sb, "]");
}

static void put_route(struct listing *l, const struct rt_show_route *r)
{
	const size_t sharing = r->n_sharing > 1 ? r->n_sharing : r->n_members ? 1 : 0;
	char prefix[IP_PREFIX_STRLEN];

	sb_printf(&l->sb, "{\"prefix\":\"%s\",\"table\":\"%s\",\"source\":\"%s\",",
		  ip_prefix_format(&r->prefix, prefix), table_name(l->s, r->table), r->source);
	route_put_name(&l->sb, "connection", *r->connection ? r->connection : NULL);
	sb_str(&l->sb, ",");
	route_put_name(&l->sb, "tunnel", route_tunnel_name(l->s, r->tunnel));
	if (r->n_sharing > 1)
		put_members(l, "sharing", r->members, r->n_sharing);
	put_members(l, "backups", r->members + sharing, r->n_members - sharing);
	sb_printf(&l->sb, ",\"candidates\":%zu,\"installed\":%s", r->n_candidates,
		  r->installed ? "true" : "false");
	route_put_peer_prefix(&l->sb, &r->there);
	route_put_path(&l->sb, r->path);
	if (r->path)
		sb_printf(&l->sb, ",\"stale\":%s", r->stale ? "true" : "false");
	sb_str(&l->sb, "}");
}

static bool list_route(void *ctx, const struct rt_show_route *r)
{
	struct listing *l = ctx;

	if (l->n++)
		sb_str(&l->sb, ",");
	put_route(l, r);
	return l->n < l->max && l->sb.n + PAGE_RESERVE < l->sb.size;
}

void route_put_next(struct sb *s, const struct rt_page *page)
{
	if (page->next == RT_PAGE_END)
		sb_str(s, ",\"next\":null}");
	else
		sb_printf(s, ",\"next\":%u}", page->next);
}

static void reply_routes(struct route_shell *s, uint64_t id, const json_t *arg)
{
	struct listing l = {.s = s};
	struct rt_page page;

	if (!route_take_page(s, id, arg, &page, &l.max))
		return;
	l.sb = route_room(PAGE_SIZE);
	if (l.sb.buf) {
		sb_str(&l.sb, "{\"routes\":[");
		rt_show_page(s->core, &page, list_route, &l);
		sb_str(&l.sb, "]");
		route_put_next(&l.sb, &page);
	}
	route_reply(s, id, l.sb.buf ? &l.sb : NULL);
	free(l.sb.buf);
}

/* -------------------------------------------------------------------- state */

static bool list_connection(void *ctx, const char *connection, uint32_t tunnel)
{
	struct listing *l = ctx;

	sb_printf(&l->sb, "%s{\"name\":\"%s\",", l->n++ ? "," : "", connection);
	route_put_name(&l->sb, "tunnel", route_tunnel_name(l->s, tunnel));
	sb_str(&l->sb, "}");
	return true;
}

static const char *truth(bool b)
{
	return b ? "true" : "false";
}

static void list_tunnels(struct listing *l)
{
	const struct config *config = l->s->config;
	struct rt_show_tunnel t;

	for (size_t i = 0; config && i < config->n_connections; i++) {
		for (size_t j = 0; j < config->connections[i].n_tunnels; j++) {
			const struct config_tunnel *c = &config->connections[i].tunnels[j];

			if (!rt_show_tunnel(l->s->core, c->index, &t))
				continue;
			sb_printf(
				&l->sb,
				"%s{\"name\":\"%s\",\"usable\":%s,\"draining\":%s,\"bfd_down\":%s,"
				"\"bgp_up\":%s,\"accepted\":%zu,\"stale\":%zu,\"refused\":%u}",
				l->n++ ? "," : "", c->name, truth(t.up), truth(t.draining),
				truth(t.bfd_down), truth(t.bgp_up), t.accepted[0] + t.accepted[1],
				t.stale[0] + t.stale[1], t.refused);
		}
	}
}

static void reply_state(struct route_shell *s, uint64_t id)
{
	struct listing l = {.s = s, .sb = route_room(STATE_SIZE)};
	struct rt_show_stats stats;

	if (l.sb.buf) {
		sb_str(&l.sb, "{\"connections\":[");
		rt_show_connections(s->core, list_connection, &l);
		l.n = 0;
		sb_str(&l.sb, "],\"tunnels\":[");
		list_tunnels(&l);
		rt_show_stats(s->core, &stats);
		sb_printf(&l.sb,
			  "],\"prefixes\":%zu,\"candidates\":%zu,\"groups\":%zu,\"waiting\":%zu,"
			  "\"refused\":%zu}",
			  stats.n_prefixes, stats.n_candidates, stats.n_groups,
			  stats.n_waiting + stats.n_unanswered, stats.n_refused);
	}
	route_reply(s, id, l.sb.buf ? &l.sb : NULL);
	free(l.sb.buf);
}

/* ------------------------------------------------------------------ explain */

struct candidates {
	struct rt_candidate c[CANDIDATES_MAX];
	size_t n;
};

static bool take_candidate(void *ctx, const struct rt_candidate *c)
{
	struct candidates *all = ctx;

	all->c[all->n++] = *c;
	return all->n < CANDIDATES_MAX;
}

static unsigned path_length(const struct rt_candidate *c)
{
	return c->path ? c->path->facts.as_path_length : 0;
}

/* Why a candidate is not the best, in words. */
static void put_why(struct sb *s, const struct rt_candidate *best, const struct rt_candidate *c)
{
	static const char *const origins[] = {"IGP", "EGP", "INCOMPLETE"};

	switch (c->step) {
	case RT_STEP_LOCAL: sb_str(s, "a local network always wins"); break;
	case RT_STEP_SOURCE:
		if (best->source != c->source)
			sb_printf(s, "a %s route goes before a %s one",
				  rt_source_name(best->source), rt_source_name(c->source));
		else
			sb_str(s, "the best one's connection is of a better kind (attachment)");
		break;
	case RT_STEP_LOCAL_PREF:
		sb_printf(s, "local preference %u; the best one has %u%s", c->local_pref,
			  best->local_pref,
			  c->local_pref == 0 ? " (0: the neighbor is about to shut down)" : "");
		break;
	case RT_STEP_AS_PATH:
		sb_printf(s, "AS_PATH of length %u; the best one's is %u", path_length(c),
			  path_length(best));
		break;
	case RT_STEP_ORIGIN:
		sb_printf(s, "origin %s; the best one's is %s",
			  origins[c->path && c->path->facts.origin < 3 ? c->path->facts.origin : 2],
			  origins[best->path && best->path->facts.origin < 3
					  ? best->path->facts.origin
					  : 2]);
		break;
	case RT_STEP_MED:
		sb_printf(s, "MED %u; the best one's is %u (a missing one counts as 100)", c->med,
			  best->med);
		break;
	case RT_STEP_EBGP: sb_str(s, "by iBGP; the best one came by eBGP"); break;
	case RT_STEP_CONNECTION:
		sb_printf(s, "all else is equal, and the connection %s stands earlier",
			  best->connection);
		break;
	case RT_STEP_TUNNEL:
		sb_str(s, "all else is equal, and the connection's order of tunnels decides");
		break;
	case RT_STEP_PATH_ID:
		sb_str(s, "all else is equal, and its path identifier is higher");
		break;
	case RT_STEP_NONE:
	case RT_STEP_END: sb_str(s, "shares the traffic with the best one"); break;
	}
}

static void put_candidate(struct listing *l, const struct candidates *all, size_t i)
{
	const struct rt_candidate *c = &all->c[i];

	sb_printf(&l->sb, "%s{\"source\":\"%s\",", i ? "," : "", rt_source_name(c->source));
	route_put_name(&l->sb, "connection", *c->connection ? c->connection : NULL);
	sb_str(&l->sb, ",");
	route_put_name(&l->sb, "tunnel", route_tunnel_name(l->s, c->tunnel));
	sb_printf(&l->sb, ",\"best\":%s,\"usable\":%s,\"step\":\"%s\",\"why\":\"", truth(c->best),
		  truth(c->usable), rt_decision_step_name(c->step));
	if (!c->best)
		put_why(&l->sb, &all->c[0], c);
	else if (c->step == RT_STEP_NONE)
		sb_str(&l->sb, all->n > 1 ? "the best one" : "the only one");
	else
		sb_printf(&l->sb, "the best one, by: %s", rt_decision_step_name(c->step));
	if (!c->usable)
		sb_str(&l->sb, "; its tunnel does not work now");
	sb_str(&l->sb, "\"");
	route_put_peer_prefix(&l->sb, &c->there);
	if (c->source == RT_SOURCE_BGP || c->source == RT_SOURCE_LINUX) {
		sb_printf(&l->sb,
			  ",\"local_pref\":%u,\"counted_med\":%u,\"path_id\":%u,\"stale\":%s",
			  c->local_pref, c->med, c->path_id, truth(c->stale));
		route_put_path(&l->sb, c->path);
	}
	sb_str(&l->sb, "}");
}

static void explain_in(struct listing *l, const struct config_table *table,
		       const struct ip_prefix *prefix)
{
	struct candidates all = {.n = 0};
	struct rt_show_route route;

	if (!rt_show_route(l->s->core, table->index, prefix, &route) ||
	    !rt_explain(l->s->core, table->index, prefix, take_candidate, &all) || !all.n)
		return;
	sb_str(&l->sb, l->n++ ? "," : "");
	sb_str(&l->sb, "{\"route\":");
	put_route(l, &route);
	sb_str(&l->sb, ",\"choice\":[");
	for (size_t i = 0; i < all.n; i++)
		put_candidate(l, &all, i);
	sb_str(&l->sb, "]}");
}

static void reply_explain(struct route_shell *s, uint64_t id, const json_t *arg)
{
	const char *prefix = json_string_value(json_object_get(arg, "prefix"));
	const char *address = json_string_value(json_object_get(arg, "address"));
	struct listing l = {.s = s};
	struct ip_prefix p = {.len = 0}, at;
	struct ip_addr a;
	uint16_t table = 0;
	bool one;

	if (!take_table(s, id, arg, &one, &table))
		return;
	if (!s->config ||
	    (address ? !ip_parse(address, &a) : !prefix || !ip_prefix_parse(prefix, &p))) {
		route_refuse(s, id, "bad-params", "a prefix or an address is wanted");
		return;
	}
	l.sb = route_room(PAGE_SIZE);
	if (!l.sb.buf) {
		route_reply(s, id, NULL);
		return;
	}
	sb_str(&l.sb, "{\"tables\":[");
	for (size_t i = 0; i < s->config->routing.n_tables; i++) {
		const struct config_table *t = &s->config->routing.tables[i];

		/* Tables of which there are many say the same, mostly: the first ones are enough. */
		if ((one && t->index != table) ||
		    l.sb.n + CANDIDATES_MAX * 1024 + ROUTE_NAMES_SIZE + PAGE_RESERVE > l.sb.size)
			continue;
		if (!address)
			explain_in(&l, t, &p);
		else if (rt_lookup(s->core, t->index, &a, &at))
			explain_in(&l, t, &at);
	}
	sb_str(&l.sb, "],\"translated\":[");
	if (address)
		p = (struct ip_prefix){.addr = a, .len = (uint8_t)ip_bits(&a)};
	route_put_names(&l.sb, s->config, &p, address);
	sb_str(&l.sb, "]}");
	route_reply(s, id, &l.sb);
	free(l.sb.buf);
}

/* ----------------------------------------------------------------- what if */

struct moves {
	struct {
		uint32_t to;
		size_t n;
	} m[MOVES_MAX];
	size_t n, moved, lost;
};

static bool count_move(void *ctx, const struct rt_what_if *w)
{
	struct moves *all = ctx;
	size_t i;

	if (w->to == RT_TUNNEL_NONE)
		all->lost += w->n_prefixes;
	else
		all->moved += w->n_prefixes;
	for (i = 0; i < all->n && all->m[i].to != w->to; i++)
		;
	if (i == MOVES_MAX)
		return true; /* counted all the same */
	all->n = i == all->n ? i + 1 : all->n;
	all->m[i].to = w->to;
	all->m[i].n += w->n_prefixes;
	return true;
}

static void reply_what_if(struct route_shell *s, uint64_t id, const char *name)
{
	const struct config_tunnel *t = route_take_tunnel(s, id, name);
	char text[MOVES_MAX * 96 + 128];
	struct sb sb = sb_of(text, sizeof(text));
	struct moves all = {.n = 0};
	struct rt_show_tunnel show = {.up = false};

	if (!t)
		return;
	(void)rt_show_tunnel(s->core, t->index, &show);
	rt_what_if(s->core, t->index, count_move, &all);
	sb_printf(&sb, "{\"tunnel\":\"%s\",\"usable\":%s,\"moved\":%zu,\"lost\":%zu,\"moves\":[",
		  t->name, truth(show.up), all.moved, all.lost);
	for (size_t i = 0; i < all.n; i++) {
		sb_str(&sb, i ? ",{" : "{");
		route_put_name(&sb, "to", route_tunnel_name(s, all.m[i].to));
		sb_printf(&sb, ",\"prefixes\":%zu}", all.m[i].n);
	}
	sb_str(&sb, "]}");
	route_reply(s, id, &sb);
}

/* Not an error where nothing else carries its traffic: then it stays on it, and the answer says so. */
static void drain(struct route_shell *s, uint64_t id, const char *name, bool on)
{
	const struct config_tunnel *t = route_take_tunnel(s, id, name);
	struct moves all = {.n = 0};
	char text[96];
	struct sb sb = sb_of(text, sizeof(text));

	if (!t)
		return;
	if (on)
		rt_what_if(s->core, t->index, count_move, &all);
	route_step_tunnel(s, on ? RT_EV_DRAIN : RT_EV_UNDRAIN, t->index);
	sb_printf(&sb, "{\"moved\":%zu,\"stays\":%zu}", all.moved, all.lost);
	route_reply(s, id, &sb);
}

/* ----------------------------------------------------------------- questions */

void route_query(struct route_shell *s, const struct ipc_msg *msg)
{
	struct ipc_query head = {0};
	const uint64_t id = msg->h.id;
	json_t *arg = NULL;
	char name[DP_NAME_SIZE] = "";
	const uint8_t *text = msg->body + sizeof(head);

	if (msg->h.size >= sizeof(head))
		memcpy(&head, msg->body, sizeof(head));
	if (head.arg_size != msg->h.size - sizeof(head))
		head.op = IPC_QUERY_NONE;
	if (head.op != IPC_QUERY_NONE && head.arg_size < sizeof(name))
		memcpy(name, text, head.arg_size);
	if (head.op != IPC_QUERY_NONE && head.arg_size && text[0] == '{')
		arg = json_loadb((const char *)text, head.arg_size, JSON_REJECT_DUPLICATES, NULL);
	switch (head.op) {
	case IPC_QUERY_ROUTES: reply_routes(s, id, arg); break;
	case IPC_QUERY_ROUTE_STATE: reply_state(s, id); break;
	case IPC_QUERY_ROUTE_EXPLAIN: reply_explain(s, id, arg); break;
	case IPC_QUERY_WHAT_IF: reply_what_if(s, id, name); break;
	case IPC_QUERY_BGP: route_query_bgp(s, id, name); break;
	case IPC_QUERY_BGP_RECEIVED: route_query_received(s, id, arg); break;
	case IPC_QUERY_BGP_ADVERTISED: route_query_advertised(s, id, arg); break;
	case IPC_QUERY_BFD: route_query_bfd(s, id); break;
	case IPC_QUERY_DRAIN: drain(s, id, name, true); break;
	case IPC_QUERY_UNDRAIN: drain(s, id, name, false); break;
	default:
		route_refuse(s, id, "bad-params", "the route process does not know this question");
		break;
	}
	json_decref(arg);
}
