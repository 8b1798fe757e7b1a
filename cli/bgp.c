/* SPDX-License-Identifier: Apache-2.0 */
/* bgp: neighbors, what they announce and are told, and the BFD sessions beside them. */
#include <stdlib.h>
#include <string.h>
#include "cli/cli.h"
#include "config/config.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

static void number(struct cli_table *t, uint64_t n, bool bad)
{
	cli_cellf(t, bad && n ? CLI_YELLOW : CLI_PLAIN, "%llu", (unsigned long long)n);
}

/* Of both families. */
static uint64_t sum(const json_t *o, const char *name)
{
	return cli_num(json_object_get(o, "ipv4"), name) +
	       cli_num(json_object_get(o, "ipv6"), name);
}

static enum cli_colour state_colour(const char *state)
{
	return !strcasecmp(state, "Established") || !strcasecmp(state, "Up") ? CLI_GREEN
									     : CLI_YELLOW;
}

/* ---------------------------------------------------------------- summary */

/* What went wrong last, below the table: texts are too long for a column. */
static void print_errors(const json_t *list, const char *up)
{
	char *name, *text;
	const json_t *o;
	size_t i;

	json_array_foreach (list, i, o) {
		if (!*cli_str(o, "last_error") || !strcasecmp(cli_str(o, "state"), up))
			continue;
		name = cli_safe(cli_str(o, "tunnel"));
		text = cli_safe(cli_str(o, "last_error"));
		printf("%s%s%s: %s\n", cli_on(CLI_YELLOW), name ? name : "", cli_off(CLI_YELLOW),
		       text ? text : "");
		free(name);
		free(text);
	}
}

static void print_summary(const json_t *list)
{
	static const struct cli_column columns[] = {
		{"TUNNEL"},
		{"NEIGHBOR", .drop = 2},
		{"AS", .right = true},
		{"STATE"},
		{"FOR", .right = true, .drop = 3},
		{"RECEIVED", .right = true},
		{"ACCEPTED", .right = true, .drop = 1},
		{"ADVERTISED", .right = true},
		{"REFUSED", .right = true, .drop = 5},
		{"STALE", .right = true, .drop = 6},
		{"FLAPS", .right = true, .drop = 4},
	};
	struct cli_table *t = cli_table_new(columns, N(columns));
	char age[CLI_HUMAN_SIZE];
	const json_t *o;
	size_t i;

	json_array_foreach (list, i, o) {
		cli_cell(t, CLI_BOLD, cli_str(o, "tunnel"));
		cli_cell(t, CLI_PLAIN, cli_str(o, "neighbor"));
		number(t, cli_num(o, "remote_as"), false);
		cli_cell(t, state_colour(cli_str(o, "state")), cli_str(o, "state"));
		cli_cell(t, CLI_PLAIN, cli_age(cli_real(o, "since_s"), age));
		number(t, sum(o, "received"), false);
		number(t, sum(o, "accepted"), false);
		number(t, sum(o, "advertised"), false);
		number(t, cli_num(o, "refused"), true);
		number(t, sum(o, "stale"), true);
		number(t, cli_num(o, "flaps"), true);
	}
	if (!json_array_size(list))
		puts("no BGP neighbors");
	cli_table_print(t, 0);
	print_errors(list, "Established");
}

/* --------------------------------------------------------------- neighbor */

static void line(const char *label, const char *text)
{
	char *safe = cli_safe(text && *text ? text : "-");

	if (safe)
		printf("  %-14s%s\n", label, safe);
	free(safe);
}

static void joined_line(const char *label, const json_t *array)
{
	char *text = cli_join(array, ", ");

	line(label, text);
	free(text);
}

static void print_family(const json_t *o, const char *name)
{
	const json_t *f = json_object_get(o, name);

	printf("  %-14s%llu received, %llu accepted, %llu advertised", name,
	       (unsigned long long)cli_num(f, "received"),
	       (unsigned long long)cli_num(f, "accepted"),
	       (unsigned long long)cli_num(f, "advertised"));
	if (cli_num(f, "stale"))
		printf(", %s%llu stale%s", cli_on(CLI_YELLOW),
		       (unsigned long long)cli_num(f, "stale"), cli_off(CLI_YELLOW));
	putchar('\n');
}

static void print_faults(const json_t *faults)
{
	const char *name;
	json_t *value;
	char *safe;

	json_object_foreach ((json_t *)faults, name, value) {
		safe = cli_safe(name);
		printf("  %-14s%s%lld %s%s\n", "fault", cli_on(CLI_YELLOW),
		       (long long)json_integer_value(value), safe ? safe : "", cli_off(CLI_YELLOW));
		free(safe);
	}
}

static void print_neighbor(const json_t *o)
{
	char *tunnel = cli_safe(cli_str(o, "tunnel")), *state = cli_safe(cli_str(o, "state"));
	char *local = cli_safe(cli_str(o, "local")), *remote = cli_safe(cli_str(o, "neighbor"));
	const enum cli_colour colour = state_colour(cli_str(o, "state"));
	char age[CLI_HUMAN_SIZE];

	if (tunnel && state && local && remote) {
		printf("%s%s%s  %s%s%s for %s\n", cli_on(CLI_BOLD), tunnel, cli_off(CLI_BOLD),
		       cli_on(colour), state, cli_off(colour),
		       cli_age(cli_real(o, "since_s"), age));
		printf("  %-14s%s, AS %llu\n", "local", local,
		       (unsigned long long)cli_num(o, "local_as"));
		printf("  %-14s%s, AS %llu\n", "neighbor", remote,
		       (unsigned long long)cli_num(o, "remote_as"));
	}
	free(tunnel);
	free(state);
	free(local);
	free(remote);
	line("identifier", cli_str(o, "router_id"));
	printf("  %-14s%g s, keepalive %g s\n", "hold time", cli_real(o, "hold_s"),
	       cli_real(o, "keepalive_s"));
	joined_line("families", json_object_get(o, "families"));
	joined_line("capabilities", json_object_get(o, "capabilities"));
	printf("  %-14s%s%s%s, TTL security %s\n", "session",
	       cli_bool(o, "passive") ? "passive, " : "",
	       cli_bool(o, "password") ? "with a password" : "no password",
	       cli_bool(o, "graceful_shutdown") ? ", graceful shutdown" : "",
	       cli_bool(o, "ttl_security") ? "on" : "off");
	print_family(o, "ipv4");
	print_family(o, "ipv6");
	printf("  %-14s%llu by filters and limits; at most %llu prefixes a family\n", "refused",
	       (unsigned long long)cli_num(o, "refused"),
	       (unsigned long long)cli_num(o, "max_prefixes"));
	printf("  %-14sMED %llu, our AS %llu times more\n", "we announce",
	       (unsigned long long)cli_num(o, "med"), (unsigned long long)cli_num(o, "prepend"));
	printf("  %-14s%llu in, %llu out; %llu and %llu of them UPDATE\n", "messages",
	       (unsigned long long)cli_num(o, "messages_in"),
	       (unsigned long long)cli_num(o, "messages_out"),
	       (unsigned long long)cli_num(o, "updates_in"),
	       (unsigned long long)cli_num(o, "updates_out"));
	printf("  %-14s%llu\n", "flaps", (unsigned long long)cli_num(o, "flaps"));
	line("last error", cli_str(o, "last_error"));
	print_faults(json_object_get(o, "faults"));
}

/* `name` NULL: all in short. */
static int neighbors(const struct cli_args *a, const char *name)
{
	json_t *params = name ? cli_tunnel_params(a, name) : json_object();
	json_t *r = params ? cli_ask(a, "show.bgp", params) : NULL;
	const json_t *list, *o;
	size_t i;

	if (!r)
		return CLI_ERROR;
	if (a->json) {
		cli_print_json(r);
		return CLI_OK;
	}
	list = json_object_get(r, "neighbors");
	if (!name)
		print_summary(list);
	json_array_foreach (list, i, o)
		if (name)
			print_neighbor(o);
	json_decref(r);
	return CLI_OK;
}

/* ----------------------------------------------------------------- routes */

static void print_paths(const json_t *list, bool received)
{
	static const struct cli_column columns[] = {
		{""}, /* these two of what was received only */
		{"LOCAL PREF", .right = true, .drop = 4},
		{"PREFIX"},
		{"AS PATH"},
		{"MED", .right = true, .drop = 3},
		{"ORIGIN", .drop = 2},
		{"NEXT HOP", .drop = 1},
	};
	const size_t first = received ? 0 : 2;
	struct cli_table *t = cli_table_new(columns + first, N(columns) - first);
	const json_t *o;
	size_t i;

	json_array_foreach (list, i, o) {
		const bool best = cli_bool(o, "best"), stale = cli_bool(o, "stale");

		if (received) {
			cli_cellf(t, stale ? CLI_YELLOW : CLI_GREEN, "%s%s", best ? "*" : "",
				  stale ? "stale" : "");
			number(t, cli_num(o, "local_pref"), false);
		}
		cli_prefix_cell(t, o);
		cli_path_cells(t, o);
	}
	cli_table_print(t, 0);
}

static void print_received(const json_t *list)
{
	print_paths(list, true);
}

static void print_advertised(const json_t *list)
{
	print_paths(list, false);
}

static int routes(const struct cli_args *a, bool received)
{
	json_t *params = cli_tunnel_params(a, a->words[2]);

	if (!params)
		return CLI_ERROR;
	return received ? cli_show_pages(a, "show.bgp.received", "routes", params, print_received,
					 "it has announced nothing that is accepted")
			: cli_show_pages(a, "show.bgp.advertised", "routes", params,
					 print_advertised, "it was told of nothing");
}

int cli_show_bgp(const struct cli_args *a)
{
	static const char *const things[] = {"summary", "neighbor", "received", "advertised"};
	const char *what = a->n_words > 1 ? a->words[1] : things[0], *near;
	size_t i;

	for (i = 0; i < N(things) && strcmp(things[i], what) != 0; i++)
		;
	if (i == N(things)) {
		near = config_nearest(what, things, N(things));
		return near ? cli_usage("'show bgp' has no '%s'; did you mean '%s'?", what, near)
			    : cli_usage("'show bgp' has summary, neighbor, received and "
					"advertised, not '%s'",
					what);
	}
	if ((i == 0) != (a->n_words < 3))
		return i ? cli_usage("'show bgp %s' wants the name of a tunnel", what)
			 : cli_usage("'show bgp summary' takes nothing more");
	if (a->given & CLI_OPT_ALL && i < 2)
		return cli_usage("--all is for received and advertised");
	return i < 2 ? neighbors(a, i ? a->words[2] : NULL) : routes(a, i == 2);
}

/* -------------------------------------------------------------------- BFD */

static void print_sessions(const json_t *list)
{
	static const struct cli_column columns[] = {
		{"TUNNEL"},
		{"NEIGHBOR", .drop = 1},
		{"STATE"},
		{"THERE"},
		{"FOR", .right = true, .drop = 2},
		{"EVERY", .right = true},
		{"DETECTION", .right = true},
		{"IN", .right = true, .drop = 4},
		{"OUT", .right = true, .drop = 5},
		{"FLAPS", .right = true, .drop = 3},
		{"WHY", .drop = 6},
	};
	struct cli_table *t = cli_table_new(columns, N(columns));
	char age[CLI_HUMAN_SIZE];
	const json_t *o;
	size_t i;

	json_array_foreach (list, i, o) {
		cli_cell(t, CLI_BOLD, cli_str(o, "tunnel"));
		cli_cell(t, CLI_PLAIN, cli_str(o, "neighbor"));
		cli_cell(t, state_colour(cli_str(o, "state")), cli_str(o, "state"));
		cli_cell(t, state_colour(cli_str(o, "remote_state")), cli_str(o, "remote_state"));
		cli_cell(t, CLI_PLAIN, cli_age(cli_real(o, "since_s"), age));
		cli_cellf(t, CLI_PLAIN, "%g ms", cli_real(o, "tx_s") * 1000);
		cli_cellf(t, CLI_PLAIN, "%g ms", cli_real(o, "detection_s") * 1000);
		number(t, cli_num(o, "packets_in"), false);
		number(t, cli_num(o, "packets_out"), false);
		number(t, cli_num(o, "flaps"), true);
		cli_cell(t, CLI_PLAIN, cli_str(o, "diagnostic"));
	}
	if (!json_array_size(list))
		puts("no BFD sessions");
	cli_table_print(t, 0);
}

int cli_show_bfd(const struct cli_args *a)
{
	json_t *r = cli_ask(a, "show.bfd", NULL);
	const char *name;
	json_t *value;
	char *safe;

	if (!r)
		return CLI_ERROR;
	if (a->json) {
		cli_print_json(r);
		return CLI_OK;
	}
	print_sessions(json_object_get(r, "sessions"));
	json_object_foreach (json_object_get(r, "dropped"), name, value) {
		if (!json_integer_value(value))
			continue;
		safe = cli_safe(name);
		printf("dropped, %s: %lld\n", safe ? safe : "",
		       (long long)json_integer_value(value));
		free(safe);
	}
	json_decref(r);
	return CLI_OK;
}
