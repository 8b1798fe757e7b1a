/* SPDX-License-Identifier: Apache-2.0 */
/* routes: the routes page by page, how one was chosen, and what the loss of a tunnel would do. */
#include <stdlib.h>
#include <string.h>
#include "base/addr.h"
#include "cli/cli.h"
#include "config/config.h"

#define N(array)  (sizeof(array) / sizeof((array)[0]))
#define SHOWN_MAX 10000u /* routes that are sorted and shown at once */

/* ---------------------------------------------------------------- listing */

static int compare(const void *va, const void *vb)
{
	const json_t *a = *(json_t *const *)va, *b = *(json_t *const *)vb;
	const bool a_main = !strcmp(cli_str(a, "table"), CONFIG_MAIN_TABLE);
	const bool b_main = !strcmp(cli_str(b, "table"), CONFIG_MAIN_TABLE);
	const int d = a_main != b_main ? b_main - a_main
				       : strcmp(cli_str(a, "table"), cli_str(b, "table"));
	struct ip_prefix p, q;
	int c;

	if (d)
		return d;
	if (!ip_prefix_parse(cli_str(a, "prefix"), &p) ||
	    !ip_prefix_parse(cli_str(b, "prefix"), &q))
		return strcmp(cli_str(a, "prefix"), cli_str(b, "prefix"));
	c = ip_cmp(&p.addr, &q.addr);
	return c ? c : (p.len > q.len) - (p.len < q.len);
}

/* The same array in order. */
static json_t *sorted(json_t *list)
{
	const size_t n = json_array_size(list);
	json_t **items = calloc(n + 1, sizeof(*items)), *out = json_array();
	size_t i;

	if (!items || !out) {
		free(items);
		json_decref(out);
		return list;
	}
	for (i = 0; i < n; i++)
		items[i] = json_array_get(list, i);
	qsort(items, n, sizeof(*items), compare);
	for (i = 0; i < n; i++)
		json_array_append(out, items[i]);
	free(items);
	json_decref(list);
	return out;
}

/* What stands in a column about the tunnels. */
static void tunnel_cell(struct cli_table *t, const json_t *o)
{
	const char *source = cli_str(o, "source");
	json_t *sharing = json_object_get(o, "sharing");
	char *names;

	if (json_array_size(sharing)) {
		names = cli_join(sharing, " + ");
		cli_cell(t, CLI_PLAIN, names);
		free(names);
	} else if (*cli_str(o, "tunnel")) {
		cli_cell(t, CLI_PLAIN, cli_str(o, "tunnel"));
	} else if (!strcmp(source, "local")) {
		cli_cell(t, CLI_PLAIN, "here");
	} else if (!strcmp(source, "blackhole")) {
		cli_cell(t, CLI_PLAIN, "dropped");
	} else {
		cli_cell(t, CLI_RED, "none (dropped)");
	}
}

void cli_path_cells(struct cli_table *t, const json_t *o)
{
	const json_t *med = json_object_get(o, "med");
	const bool bgp = json_is_string(json_object_get(o, "as_path"));

	if (bgp && !*cli_str(o, "as_path"))
		cli_cell(t, CLI_PLAIN, "(own AS)");
	else
		cli_cell(t, CLI_PLAIN, cli_str(o, "as_path"));
	if (json_is_integer(med))
		cli_cellf(t, CLI_PLAIN, "%lld", (long long)json_integer_value(med));
	else
		cli_cell(t, CLI_PLAIN, NULL);
	cli_cell(t, CLI_PLAIN, cli_str(o, "origin"));
	cli_cell(t, CLI_PLAIN, cli_str(o, "next_hop"));
}

void cli_prefix_cell(struct cli_table *t, const json_t *o)
{
	const char *there = cli_str(o, "peer_prefix");

	if (*there)
		cli_cellf(t, CLI_BOLD, "%s (theirs: %s)", cli_str(o, "prefix"), there);
	else
		cli_cell(t, CLI_BOLD, cli_str(o, "prefix"));
}

static void print_routes(const json_t *list)
{
	static const struct cli_column columns[] = {
		{"PREFIX"},
		{"TABLE", .drop = 7},
		{"CONNECTION", .drop = 4},
		{"SOURCE", .drop = 3},
		{"TUNNEL"},
		{"CANDIDATES", .right = true, .drop = 8},
		{"AS PATH", .drop = 2},
		{"MED", .right = true, .drop = 6},
		{"ORIGIN", .drop = 9},
		{"NEXT HOP", .drop = 5},
		{"INSTALLED", .drop = 1},
	};
	struct cli_table *t = cli_table_new(columns, N(columns));
	const json_t *o;
	size_t i;

	json_array_foreach (list, i, o) {
		const bool installed = cli_bool(o, "installed");

		cli_prefix_cell(t, o);
		cli_cell(t, CLI_PLAIN, cli_str(o, "table"));
		cli_cell(t, CLI_PLAIN, cli_str(o, "connection"));
		cli_cellf(t, cli_bool(o, "stale") ? CLI_YELLOW : CLI_PLAIN, "%s%s",
			  cli_str(o, "source"), cli_bool(o, "stale") ? " (stale)" : "");
		tunnel_cell(t, o);
		cli_cellf(t, CLI_PLAIN, "%llu", (unsigned long long)cli_num(o, "candidates"));
		cli_path_cells(t, o);
		cli_cell(t, installed ? CLI_GREEN : CLI_YELLOW, installed ? "yes" : "no");
	}
	cli_table_print(t, 0);
}

/* One listing of any kind, gathered from its pages. */
struct pages {
	struct cli_client *c;
	const struct cli_args *a;
	const char *method, *member;
	json_t *params; /* owned */
	json_t *list;   /* owned; what was gathered and not yet given out */
	bool more;
};

static bool next_page(struct pages *p)
{
	json_t *result = cli_call(p->c, p->a, p->method, json_deep_copy(p->params)), *next;

	if (!result)
		return false;
	(void)json_array_extend(p->list, json_object_get(result, p->member));
	next = json_object_get(result, "next");
	p->more = json_is_integer(next);
	if (p->more)
		json_object_set(p->params, "cursor", next);
	json_decref(result);
	return true;
}

/* Up to so many items. False after an error. */
static bool gather(struct pages *p, size_t max)
{
	do {
		if (!next_page(p))
			return false;
	} while (p->more && json_array_size(p->list) < max);
	return true;
}

/* {"version": 1, member: [...], "more": false} without holding all of it. */
static bool stream_json(struct pages *p, bool all)
{
	const char *comma = "";
	const json_t *o;
	size_t i;

	printf("{\"version\": 1, \"%s\": [", p->member);
	do {
		if (!gather(p, SHOWN_MAX)) {
			puts("]}");
			return false;
		}
		p->list = sorted(p->list);
		json_array_foreach (p->list, i, o) {
			printf("%s\n  ", comma);
			json_dumpf(o, stdout, JSON_COMPACT | JSON_REAL_PRECISION(15));
			comma = ",";
		}
		json_array_clear(p->list);
	} while (all && p->more);
	printf("\n], \"more\": %s}\n", p->more ? "true" : "false");
	return true;
}

int cli_show_pages(const struct cli_args *a, const char *method, const char *member, json_t *params,
		   void (*print)(const json_t *list), const char *none)
{
	const bool all = a->given & CLI_OPT_ALL;
	struct pages p = {
		.c = cli_connect(a),
		.a = a,
		.method = method,
		.member = member,
		.params = params,
		.list = json_array(),
	};
	bool ok = p.c && p.params, any = false;

	if (ok && a->json) {
		ok = stream_json(&p, all);
	} else if (ok) {
		do {
			ok = gather(&p, SHOWN_MAX);
			p.list = sorted(p.list);
			any = any || json_array_size(p.list);
			if (ok)
				print(p.list);
			json_array_clear(p.list);
		} while (ok && all && p.more);
		if (ok && !any)
			puts(none);
		if (ok && p.more)
			printf("... and more: --all shows everything, a prefix or --table less\n");
	}
	json_decref(p.params);
	json_decref(p.list);
	cli_close(p.c);
	return ok ? CLI_OK : CLI_ERROR;
}

static bool add(json_t *params, const struct cli_args *a, const char *name, const char *value)
{
	json_t *text = json_string(value);

	if (text)
		json_object_set_new(params, name, text);
	else
		cli_fail(a, "bad-params", "'%s' is no text that can be sent", value);
	return text != NULL;
}

int cli_show_routes(const struct cli_args *a)
{
	json_t *params = json_object();

	if ((a->n_words > 1 && !add(params, a, "within", a->words[1])) ||
	    (a->table && !add(params, a, "table", a->table))) {
		json_decref(params);
		return CLI_ERROR;
	}
	return cli_show_pages(a, "show.routes", "routes", params, print_routes, "no routes");
}

/* ---------------------------------------------------------------- explain */

bool cli_is_prefix(const char *word)
{
	struct ip_prefix p;
	struct ip_addr a;

	return ip_parse(word, &a) || ip_prefix_parse(word, &p);
}

static void print_head(const json_t *route)
{
	char *prefix = cli_safe(cli_str(route, "prefix")),
	     *table = cli_safe(cli_str(route, "table"));
	char *sharing = cli_join(json_object_get(route, "sharing"), " and ");
	char *backups = cli_join(json_object_get(route, "backups"), ", ");
	char *tunnel = cli_safe(sharing && *sharing ? sharing : cli_str(route, "tunnel"));
	char *behind = cli_safe(backups ? backups : "");
	const char *source = cli_str(route, "source");

	if (prefix && table && tunnel && behind) {
		printf("%s%s%s in the table %s: ", cli_on(CLI_BOLD), prefix, cli_off(CLI_BOLD),
		       table);
		if (*tunnel)
			printf("%s %s it%s%s%s", tunnel, sharing && *sharing ? "carry" : "carries",
			       *behind ? "; behind: " : "", behind,
			       cli_bool(route, "installed") ? ""
							    : " (not yet known to the dataplane)");
		else if (!strcmp(source, "local"))
			printf("it is a local network");
		else if (!strcmp(source, "blackhole"))
			printf("packets are dropped: it is a blackhole");
		else
			printf("%sno tunnel that leads there works: packets are dropped%s",
			       cli_on(CLI_RED), cli_off(CLI_RED));
		putchar('\n');
	}
	free(prefix);
	free(table);
	free(sharing);
	free(backups);
	free(tunnel);
	free(behind);
}

static void print_choice(const json_t *list)
{
	static const struct cli_column columns[] = {
		{""},
		{"SOURCE"},
		{"CONNECTION", .drop = 3},
		{"TUNNEL"},
		{"AS PATH", .drop = 1},
		{"MED", .right = true, .drop = 2},
		{"ORIGIN", .drop = 5},
		{"NEXT HOP", .drop = 4},
		{"WHY"},
	};
	struct cli_table *t = cli_table_new(columns, N(columns));
	const json_t *o;
	size_t i;

	json_array_foreach (list, i, o) {
		const bool usable = cli_bool(o, "usable"), best = cli_bool(o, "best");

		cli_cell(t, best ? CLI_GREEN : CLI_PLAIN, best ? "*" : NULL);
		cli_cellf(t, CLI_PLAIN, "%s%s", cli_str(o, "source"),
			  cli_bool(o, "stale") ? " (stale)" : "");
		cli_cell(t, CLI_PLAIN, cli_str(o, "connection"));
		cli_cell(t, usable ? CLI_PLAIN : CLI_RED, cli_str(o, "tunnel"));
		cli_path_cells(t, o);
		cli_cell(t, usable ? CLI_PLAIN : CLI_YELLOW, cli_str(o, "why"));
	}
	cli_table_print(t, 2);
}

/* What was asked for has another name at the other end of some connection. */
static void print_names(const json_t *list)
{
	const json_t *o;
	size_t i;

	json_array_foreach (list, i, o) {
		char *connection = cli_safe(cli_str(o, "connection"));
		char *here = cli_safe(cli_str(o, "here")), *there = cli_safe(cli_str(o, "there"));
		const bool ours = !strcmp(cli_str(o, "side"), "ours");

		if (connection && here && there)
			printf("%s, by 'translate': %s %s is %s %s\n", connection,
			       ours ? "our" : "the peer's", ours ? here : there,
			       ours ? there : here, ours ? "to the peer" : "here");
		free(connection);
		free(here);
		free(there);
	}
}

int cli_explain_route(const struct cli_args *a)
{
	const bool address = !strchr(a->words[0], '/');
	json_t *params = json_object(), *result = NULL;
	const json_t *tables, *t;
	int r = CLI_ERROR;
	size_t i;

	if (add(params, a, address ? "address" : "prefix", a->words[0]) &&
	    (!a->table || add(params, a, "table", a->table)))
		result = cli_ask(a, "explain.route", json_incref(params));
	json_decref(params);
	if (!result)
		return CLI_ERROR;
	tables = json_object_get(result, "tables");
	r = json_array_size(tables) ? CLI_OK : CLI_DEGRADED;
	if (a->json) {
		cli_print_json(result);
		return r;
	}
	json_array_foreach (tables, i, t) {
		if (i)
			putchar('\n');
		print_head(json_object_get(t, "route"));
		print_choice(json_object_get(t, "choice"));
	}
	if (r == CLI_DEGRADED && address)
		printf("no route leads to %s\n", a->words[0]);
	else if (r == CLI_DEGRADED)
		printf("there is no route for exactly %s; an address instead finds the one that "
		       "holds it, 'show routes %s' those within\n",
		       a->words[0], a->words[0]);
	print_names(json_object_get(result, "translated"));
	json_decref(result);
	return r;
}

/* ---------------------------------------------------------------- what if */

static void print_moves(const json_t *r)
{
	const json_t *moves = json_object_get(r, "moves"), *m;
	char *name = cli_safe(cli_str(r, "tunnel")), *to;
	size_t i;

	if (!json_array_size(moves)) {
		printf("%s carries no prefix%s: nothing would change\n", name ? name : "",
		       cli_bool(r, "usable") ? "" : " (it does not work now)");
		free(name);
		return;
	}
	printf("if %s were down,\n", name ? name : "");
	json_array_foreach (moves, i, m) {
		const unsigned long long n = cli_num(m, "prefixes");

		to = cli_safe(cli_str(m, "to"));
		if (to && *to)
			printf("  %llu prefix%s would move to %s\n", n, n == 1 ? "" : "es", to);
		else
			printf("  %s%llu prefix%s would have no tunnel left: packets would be "
			       "dropped%s\n",
			       cli_on(CLI_RED), n, n == 1 ? "" : "es", cli_off(CLI_RED));
		free(to);
	}
	free(name);
}

int cli_what_if(const struct cli_args *a)
{
	json_t *params, *r;
	int code;

	if (a->n_words > 1 && strcmp(a->words[1], "down") != 0)
		return cli_usage("what-if knows only 'down', not '%s'", a->words[1]);
	params = cli_tunnel_params(a, a->words[0]);
	r = params ? cli_ask(a, "what-if", params) : NULL;
	if (!r)
		return CLI_ERROR;
	code = cli_num(r, "lost") ? CLI_DEGRADED : CLI_OK;
	if (a->json) {
		cli_print_json(r);
		return code;
	}
	print_moves(r);
	json_decref(r);
	return code;
}
