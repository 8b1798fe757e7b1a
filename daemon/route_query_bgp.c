/* SPDX-License-Identifier: Apache-2.0 */
/* route_query_bgp: what the control process asks of BGP and BFD, answered as JSON text. */
#include <stdlib.h>
#include <string.h>
#include "daemon/route_int.h"

#define LIST_SIZE    (4u << 20) /* all neighbours */
#define PAGE_SIZE    (512u << 10)
#define PAGE_RESERVE (64u << 10) /* items that come when a page is full */

static const char *truth(bool b)
{
	return b ? "true" : "false";
}

static void put_address(struct sb *s, const char *member, const struct ip_addr *a)
{
	char text[IP_ADDR_STRLEN];

	if (a->family == IP_NONE)
		sb_printf(s, ",\"%s\":null", member);
	else
		sb_printf(s, ",\"%s\":\"%s\"", member, ip_format(a, text));
}

/* Text that a peer had a part in. */
static void put_text(struct sb *s, const char *member, const char *text)
{
	char one[2] = "";

	sb_printf(s, ",\"%s\":\"", member);
	for (; *text; text++) {
		one[0] = *text < 0x20 || *text > 0x7e ? '?' : *text;
		if (one[0] == '"' || one[0] == '\\')
			sb_str(s, "\\");
		sb_str(s, one);
	}
	sb_str(s, "\"");
}

static double seconds(struct mono_span d)
{
	return (double)span_to_ms(d) / 1000.0;
}

/* ------------------------------------------------------------- neighbours */

static void put_families(struct sb *s, const char *member, const bool families[BGP_N_FAMILIES])
{
	sb_printf(s, ",\"%s\":[%s%s%s]", member, families[0] ? "\"ipv4\"" : "",
		  families[0] && families[1] ? "," : "", families[1] ? "\"ipv6\"" : "");
}

/* What was agreed upon, and what was counted. */
static void put_detail(struct route_shell *s, struct sb *sb, const struct bgp_show_neighbor *n)
{
	const struct {
		const char *name;
		bool on;
	} capabilities[] = {
		{"four-octet-as", n->four_octet_as},
		{"route-refresh", n->route_refresh},
		{"enhanced-route-refresh", n->enhanced_refresh},
		{"extended-messages", n->extended_messages},
		{"graceful-restart", n->graceful_restart},
		{"graceful-notification", n->graceful_notification},
		{"add-path-ipv4", n->add_path[0]},
		{"add-path-ipv6", n->add_path[1]},
	};
	const struct bgp_neighbor_cfg *cfg = n->cfg;
	const struct ip_addr id = {.family = IP_V4,
				   .b = {(uint8_t)(n->remote_id >> 24),
					 (uint8_t)(n->remote_id >> 16),
					 (uint8_t)(n->remote_id >> 8), (uint8_t)n->remote_id}};
	const struct ip_addr none = {.family = IP_NONE};
	size_t shown = 0;

	put_address(sb, "router_id", n->remote_id ? &id : &none);
	sb_printf(sb, ",\"hold_s\":%g,\"keepalive_s\":%g", seconds(n->hold), seconds(n->keepalive));
	put_families(sb, "families", n->families);
	sb_str(sb, ",\"capabilities\":[");
	for (size_t i = 0; i < sizeof(capabilities) / sizeof(capabilities[0]); i++)
		if (capabilities[i].on)
			sb_printf(sb, "%s\"%s\"", shown++ ? "," : "", capabilities[i].name);
	sb_printf(sb,
		  "],\"messages_in\":%llu,\"messages_out\":%llu,\"updates_in\":%llu,"
		  "\"updates_out\":%llu,\"faults\":{",
		  (unsigned long long)n->messages_in, (unsigned long long)n->messages_out,
		  (unsigned long long)n->updates_in, (unsigned long long)n->updates_out);
	shown = 0;
	for (int f = 0; f < BGP_FAULT_END; f++)
		if (n->faults[f])
			sb_printf(sb, "%s\"%s\":%llu", shown++ ? "," : "",
				  bgp_fault_name((enum bgp_fault)f),
				  (unsigned long long)n->faults[f]);
	sb_printf(sb,
		  "},\"passive\":%s,\"password\":%s,\"ttl_security\":%s,\"prepend\":%u,"
		  "\"graceful_shutdown\":%s,\"max_prefixes\":%u",
		  truth(cfg->passive), truth(cfg->has_password), truth(cfg->ttl_security),
		  cfg->prepend, truth(cfg->graceful_shutdown), cfg->prefixes[0].max);
	if (cfg->has_med)
		sb_printf(sb, ",\"med\":%u", cfg->med);
}

static bool put_neighbor(struct route_shell *s, struct sb *sb, const struct config_connection *c,
			 const struct config_tunnel *t, bool first, bool detail)
{
	struct bgp_show_neighbor n;
	struct rt_show_tunnel r = {.up = false};

	if (!t->bgp.on || !bgp_show(s->bgp, t->index, &n))
		return false;
	(void)rt_show_tunnel(s->core, t->index, &r);
	sb_printf(sb, "%s{\"tunnel\":\"%s\",\"connection\":\"%s\"", first ? "" : ",", t->name,
		  c->name);
	put_address(sb, "local", &n.cfg->local);
	put_address(sb, "neighbor", &n.cfg->remote);
	sb_printf(sb, ",\"local_as\":%u,\"remote_as\":%u,\"state\":\"%s\",\"since_s\":%.3f",
		  n.cfg->local_as, n.cfg->remote_as ? n.cfg->remote_as : n.remote_as,
		  bgp_state_name(n.state), seconds(mono_since(mono_now(), n.since)));
	for (int f = 0; f < BGP_N_FAMILIES; f++)
		sb_printf(sb,
			  ",\"%s\":{\"received\":%u,\"accepted\":%zu,\"stale\":%zu,"
			  "\"advertised\":%u}",
			  f == BGP_IPV4_UNICAST ? "ipv4" : "ipv6", n.received[f], r.accepted[f],
			  r.stale[f], n.advertised[f]);
	sb_printf(sb, ",\"refused\":%u,\"flaps\":%u", r.refused, n.flaps);
	put_text(sb, "last_error", n.last_error);
	if (detail)
		put_detail(s, sb, &n);
	sb_str(sb, "}");
	return true;
}

void route_query_bgp(struct route_shell *s, uint64_t id, const char *name)
{
	struct sb sb = route_room(LIST_SIZE);
	bool first = true;

	if (!sb.buf) {
		route_reply(s, id, NULL);
		return;
	}
	sb_str(&sb, "{\"neighbors\":[");
	for (size_t i = 0; s->config && i < s->config->n_connections; i++) {
		const struct config_connection *c = &s->config->connections[i];

		for (size_t j = 0; j < c->n_tunnels; j++)
			if ((!*name || strcmp(name, c->tunnels[j].name) == 0) &&
			    put_neighbor(s, &sb, c, &c->tunnels[j], first, *name))
				first = false;
	}
	sb_str(&sb, "]}");
	route_reply(s, id, &sb);
	free(sb.buf);
}

/* ----------------------------------------------------------------- routes */

struct listing {
	struct sb sb;
	size_t n, max;
};

static bool full(const struct listing *l)
{
	return l->n >= l->max || l->sb.n + PAGE_RESERVE >= l->sb.size;
}

static void put_prefix(struct listing *l, const struct ip_prefix *p)
{
	char text[IP_PREFIX_STRLEN];

	sb_printf(&l->sb, "%s{\"prefix\":\"%s\"", l->n++ ? "," : "", ip_prefix_format(p, text));
}

static bool list_received(void *ctx, const struct ip_prefix *p, const struct rt_candidate *c)
{
	struct listing *l = ctx;

	put_prefix(l, p);
	route_put_peer_prefix(&l->sb, &c->there);
	route_put_path(&l->sb, c->path);
	sb_printf(&l->sb, ",\"local_pref\":%u,\"path_id\":%u,\"best\":%s,\"stale\":%s}",
		  c->local_pref, c->path_id, truth(c->best), truth(c->stale));
	return !full(l);
}

static bool list_advertised(void *ctx, const struct ip_prefix *p, const struct path *path)
{
	struct listing *l = ctx;

	/* Some come although the page is full: a buffer that overflows would be no answer at all. */
	if (l->sb.n + 1024 >= l->sb.size)
		return false;
	put_prefix(l, p);
	route_put_path(&l->sb, path);
	sb_str(&l->sb, "}");
	return !full(l);
}

void route_query_received(struct route_shell *s, uint64_t id, const json_t *arg)
{
	const struct config_tunnel *t;
	struct listing l = {.n = 0};
	struct rt_page page;

	t = route_take_tunnel(s, id, json_string_value(json_object_get(arg, "tunnel")));
	if (!t || !route_take_page(s, id, arg, &page, &l.max))
		return;
	l.sb = route_room(PAGE_SIZE);
	if (l.sb.buf) {
		sb_str(&l.sb, "{\"routes\":[");
		rt_show_received(s->core, t->index, &page, list_received, &l);
		sb_str(&l.sb, "]");
		route_put_next(&l.sb, &page);
	}
	route_reply(s, id, l.sb.buf ? &l.sb : NULL);
	free(l.sb.buf);
}

void route_query_advertised(struct route_shell *s, uint64_t id, const json_t *arg)
{
	const struct config_tunnel *t;
	struct listing l = {.n = 0};
	struct rt_page page;
	size_t next;
	bool more;

	t = route_take_tunnel(s, id, json_string_value(json_object_get(arg, "tunnel")));
	if (!t || !route_take_page(s, id, arg, &page, &l.max))
		return;
	l.sb = route_room(PAGE_SIZE);
	if (l.sb.buf) {
		next = page.next;
		sb_str(&l.sb, "{\"routes\":[");
		more = bgp_show_advertised(s->bgp, t->index, &next, list_advertised, &l);
		sb_str(&l.sb, "]");
		page.next = more && next < RT_PAGE_END ? (uint32_t)next : RT_PAGE_END;
		route_put_next(&l.sb, &page);
	}
	route_reply(s, id, l.sb.buf ? &l.sb : NULL);
	free(l.sb.buf);
}

/* -------------------------------------------------------------------- BFD */

static bool put_session(struct route_shell *s, struct sb *sb, const struct config_tunnel *t,
			bool first)
{
	struct bfd_show b;

	if (!t->bfd.on || !bfd_show(s->bfd, t->index, &b))
		return false;
	sb_printf(sb, "%s{\"tunnel\":\"%s\"", first ? "" : ",", t->name);
	put_address(sb, "local", &b.cfg->local);
	put_address(sb, "neighbor", &b.cfg->remote);
	sb_printf(sb,
		  ",\"state\":\"%s\",\"remote_state\":\"%s\",\"diagnostic\":\"%s\","
		  "\"remote_diagnostic\":\"%s\",\"since_s\":%.3f",
		  bfd_state_name(b.state), bfd_state_name(b.remote_state),
		  bfd_diagnostic_name(b.diagnostic), bfd_diagnostic_name(b.remote_diagnostic),
		  seconds(mono_since(mono_now(), b.since)));
	sb_printf(sb,
		  ",\"tx_s\":%g,\"detection_s\":%g,\"multiplier\":%u,"
		  "\"local_discriminator\":%u,\"remote_discriminator\":%u,\"packets_in\":%llu,"
		  "\"packets_out\":%llu,\"flaps\":%u}",
		  seconds(b.tx), seconds(b.detection), b.cfg->multiplier, b.local_discriminator,
		  b.remote_discriminator, (unsigned long long)b.packets_in,
		  (unsigned long long)b.packets_out, b.flaps);
	return true;
}

void route_query_bfd(struct route_shell *s, uint64_t id)
{
	struct sb sb = route_room(LIST_SIZE);
	bool first = true;

	if (!sb.buf) {
		route_reply(s, id, NULL);
		return;
	}
	sb_str(&sb, "{\"sessions\":[");
	for (size_t i = 0; s->config && i < s->config->n_connections; i++) {
		const struct config_connection *c = &s->config->connections[i];

		for (size_t j = 0; j < c->n_tunnels; j++)
			if (put_session(s, &sb, &c->tunnels[j], first))
				first = false;
	}
	sb_str(&sb, "],\"dropped\":{");
	for (int d = 0; d < BFD_DROP_END; d++)
		sb_printf(&sb, "%s\"%s\":%llu", d ? "," : "", bfd_drop_name((enum bfd_drop)d),
			  (unsigned long long)bfd_dropped(s->bfd, (enum bfd_drop)d));
	sb_str(&sb, "}}");
	route_reply(s, id, &sb);
	free(sb.buf);
}
