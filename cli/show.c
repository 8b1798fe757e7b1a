/* SPDX-License-Identifier: Apache-2.0 */
/* show: one kind of thing as a table. */
#include <stdlib.h>
#include <string.h>
#include "cli/cli.h"
#include "config/config.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

static enum cli_colour state_colour(const char *state)
{
	static const char *const good[] = {"up", "ok", "running", "established", "installed"};
	static const char *const bad[] = {"down", "stopped", "failed"};
	size_t i;

	for (i = 0; i < N(good); i++)
		if (!strcmp(state, good[i]))
			return CLI_GREEN;
	for (i = 0; i < N(bad); i++)
		if (!strcmp(state, bad[i]))
			return CLI_RED;
	return CLI_YELLOW;
}

static void joined_cell(struct cli_table *t, const json_t *array)
{
	char *text = cli_join(array, " ");

	cli_cell(t, CLI_PLAIN, text);
	free(text);
}

static void bytes_cell(struct cli_table *t, const json_t *o, const char *name)
{
	char buf[CLI_HUMAN_SIZE];

	cli_cell(t, CLI_PLAIN, cli_bytes(cli_num(o, name), buf));
}

static void count_cell(struct cli_table *t, const json_t *o, const char *name, bool bad)
{
	const uint64_t n = cli_num(o, name);

	cli_cellf(t, bad && n ? CLI_YELLOW : CLI_PLAIN, "%llu", (unsigned long long)n);
}

/* Seconds, or "-" when the member is absent or null. */
static void age_cell(struct cli_table *t, const json_t *o, const char *name)
{
	char buf[CLI_HUMAN_SIZE];

	cli_cell(t, CLI_PLAIN,
		 json_is_number(json_object_get(o, name)) ? cli_age(cli_real(o, name), buf) : NULL);
}

static void connections(const json_t *list, unsigned indent)
{
	static const struct cli_column columns[] = {
		{"CONNECTION"},        {"STATE"}, {"ACTIVE"}, {"TUNNELS", .drop = 2},
		{"ROUTES", .drop = 1},
	};
	struct cli_table *t = cli_table_new(columns, N(columns));
	const json_t *c;
	size_t i;

	json_array_foreach (list, i, c) {
		cli_cell(t, CLI_BOLD, cli_str(c, "name"));
		cli_cell(t, state_colour(cli_str(c, "state")), cli_str(c, "state"));
		cli_cell(t, CLI_PLAIN, cli_str(c, "active_tunnel"));
		joined_cell(t, json_object_get(c, "tunnels"));
		joined_cell(t, json_object_get(c, "routes"));
	}
	cli_table_print(t, indent);
}

void cli_print_connections(const json_t *list, unsigned indent)
{
	connections(list, indent);
}

/* Why tunnels are down, below their table: reasons are too long for a column. */
static void reasons(const json_t *list, unsigned indent)
{
	const json_t *tunnel;
	char *name, *reason;
	size_t i;

	json_array_foreach (list, i, tunnel) {
		if (cli_bool(tunnel, "up") || !*cli_str(tunnel, "reason"))
			continue;
		name = cli_safe(cli_str(tunnel, "name"));
		reason = cli_safe(cli_str(tunnel, "reason"));
		printf("%*s%s%s%s: %s\n", (int)indent, "", cli_on(CLI_YELLOW), name ? name : "",
		       cli_off(CLI_YELLOW), reason ? reason : "");
		free(name);
		free(reason);
	}
}

void cli_print_tunnels(const json_t *list, unsigned indent)
{
	static const struct cli_column columns[] = {
		{"TUNNEL"},
		{"STATE"},
		{"FOR", .right = true, .drop = 2},
		{"ACTIVE"},
		{"LOCAL", .drop = 3},
		{"REMOTE", .drop = 1},
		{"INTERFACE", .drop = 5},
		{"INSIDE", .drop = 6},
		{"MTU", .right = true, .drop = 7},
		{"IN", .right = true},
		{"OUT", .right = true},
		{"DROPPED", .right = true, .drop = 4},
	};
	struct cli_table *t = cli_table_new(columns, N(columns));
	const json_t *o;
	size_t i;

	json_array_foreach (list, i, o) {
		const char *phase = cli_str(o, "phase");

		cli_cell(t, CLI_BOLD, cli_str(o, "name"));
		/* A tunnel that is being rekeyed or lost its IKE SA may still carry traffic. */
		cli_cellf(t, state_colour(cli_bool(o, "up") ? "up" : phase), "%s%s",
			  cli_bool(o, "up") && strcmp(phase, "up") ? "up, " : "", phase);
		age_cell(t, o, "since_s");
		if (*cli_str(o, "replacing"))
			cli_cellf(t, CLI_YELLOW, "replacing: %s", cli_str(o, "replacing"));
		else if (cli_bool(o, "draining"))
			cli_cellf(t, CLI_YELLOW, "%sdraining",
				  cli_bool(o, "active") ? "active, " : "");
		else
			cli_cell(t, CLI_PLAIN, cli_bool(o, "active") ? "active" : NULL);
		cli_cell(t, CLI_PLAIN, cli_str(o, "local"));
		cli_cellf(t, CLI_PLAIN, "%s%s",
			  *cli_str(o, "remote") ? cli_str(o, "remote") : "any",
			  cli_bool(o, "natt") ? " (nat)" : "");
		cli_cell(t, CLI_PLAIN, cli_str(o, "interface"));
		joined_cell(t, json_object_get(o, "inside_addresses"));
		if (cli_bool(o, "path_mtu_learnt"))
			cli_cellf(t, CLI_YELLOW, "%llu (path %llu)",
				  (unsigned long long)cli_num(o, "mtu"),
				  (unsigned long long)cli_num(o, "path_mtu"));
		else
			count_cell(t, o, "mtu", false);
		bytes_cell(t, o, "in_bytes");
		bytes_cell(t, o, "out_bytes");
		cli_cellf(
			t, CLI_PLAIN, "%llu",
			(unsigned long long)(cli_num(o, "in_dropped") + cli_num(o, "out_dropped")));
	}
	cli_table_print(t, indent);
	reasons(list, indent);
}

/* ---------------------------------------------------------------------- SAs */

static void ike_sas(const json_t *list)
{
	static const struct cli_column columns[] = {
		{"TUNNEL"},
		{"STATE"},
		{"ROLE", .drop = 4},
		{"SUITE", .drop = 1},
		{"LOCAL", .drop = 5},
		{"REMOTE", .drop = 3},
		{"PEER", .drop = 7},
		{"AUTH", .drop = 8},
		{"SPI (I, R)", .drop = 6},
		{"AGE", .right = true, .drop = 2},
		{"REKEY IN", .right = true},
		{"EXPIRES IN", .right = true},
	};
	struct cli_table *t = cli_table_new(columns, N(columns));
	const json_t *o;
	size_t i;

	json_array_foreach (list, i, o) {
		if (strcmp(cli_str(o, "kind"), "ike") != 0)
			continue;
		cli_cell(t, CLI_BOLD, cli_str(o, "tunnel"));
		cli_cell(t, state_colour(cli_str(o, "state")), cli_str(o, "state"));
		cli_cell(t, CLI_PLAIN, cli_bool(o, "initiator") ? "initiator" : "responder");
		cli_cell(t, CLI_PLAIN, cli_str(o, "suite"));
		cli_cell(t, CLI_PLAIN, cli_str(o, "local"));
		cli_cellf(t, CLI_PLAIN, "%s%s", cli_str(o, "remote"),
			  cli_bool(o, "natt") ? " (nat)" : "");
		cli_cell(t, CLI_PLAIN, cli_str(o, "remote_id"));
		cli_cellf(t, CLI_PLAIN, "%s %s%s", cli_str(o, "auth_local"),
			  cli_str(o, "auth_remote"), cli_bool(o, "ppk") ? " +ppk" : "");
		cli_cellf(t, CLI_PLAIN, "%s %s", cli_str(o, "spi_i"), cli_str(o, "spi_r"));
		age_cell(t, o, "age_s");
		age_cell(t, o, "rekey_in_s");
		age_cell(t, o, "expires_in_s");
	}
	printf("%sIKE SAs%s\n", cli_on(CLI_BOLD), cli_off(CLI_BOLD));
	cli_table_print(t, 2);
}

static void child_sas(const json_t *list)
{
	static const struct cli_column columns[] = {
		{"TUNNEL"},
		{"STATE"},
		{"OUT", .drop = 7},
		{"SUITE", .drop = 1},
		{"SPI IN", .drop = 4},
		{"SPI OUT", .drop = 5},
		{"ENCAP", .drop = 8},
		{"AGE", .right = true, .drop = 6},
		{"REKEY IN", .right = true, .drop = 2},
		{"EXPIRES IN", .right = true, .drop = 3},
		{"IN", .right = true},
		{"OUT", .right = true},
		{"REFUSED", .right = true, .drop = 9},
	};
	struct cli_table *t = cli_table_new(columns, N(columns));
	const json_t *o;
	size_t i;

	json_array_foreach (list, i, o) {
		if (strcmp(cli_str(o, "kind"), "child") != 0)
			continue;
		cli_cell(t, CLI_BOLD, cli_str(o, "tunnel"));
		cli_cell(t, state_colour(cli_str(o, "state")), cli_str(o, "state"));
		cli_cell(t, CLI_PLAIN, cli_bool(o, "current_out") ? "current" : NULL);
		cli_cell(t, CLI_PLAIN, cli_str(o, "suite"));
		cli_cell(t, CLI_PLAIN, cli_str(o, "spi_in"));
		cli_cell(t, CLI_PLAIN, cli_str(o, "spi_out"));
		cli_cell(t, CLI_PLAIN, cli_bool(o, "udp_encap") ? "udp" : "esp");
		age_cell(t, o, "age_s");
		age_cell(t, o, "rekey_in_s");
		age_cell(t, o, "expires_in_s");
		bytes_cell(t, o, "in_bytes");
		bytes_cell(t, o, "out_bytes");
		cli_cellf(t, CLI_PLAIN, "%llu",
			  (unsigned long long)(cli_num(o, "in_auth_failed") +
					       cli_num(o, "in_replayed") + cli_num(o, "in_late") +
					       cli_num(o, "in_ts_mismatch") +
					       cli_num(o, "in_malformed")));
	}
	printf("%sESP SAs%s\n", cli_on(CLI_BOLD), cli_off(CLI_BOLD));
	cli_table_print(t, 2);
}

static void sas(const json_t *result)
{
	const json_t *list = json_object_get(result, "sas");

	if (!json_array_size(list)) {
		puts("no SAs");
		return;
	}
	ike_sas(list);
	putchar('\n');
	child_sas(list);
}

/* -------------------------------------------------------------------- ports */

static void port_rows(const json_t *list)
{
	static const struct cli_column columns[] = {
		{"PORT"},
		{"LINK"},
		{"DEVICE", .drop = 2},
		{"DRIVER", .drop = 3},
		{"MAC", .drop = 4},
		{"MTU", .right = true, .drop = 5},
		{"RX", .right = true},
		{"TX", .right = true},
		{"RX LOST", .right = true},
		{"TX LOST", .right = true},
		{"TO LINUX", .right = true, .drop = 6},
		{"FROM LINUX", .right = true, .drop = 7},
	};
	struct cli_table *t = cli_table_new(columns, N(columns));
	const json_t *o;
	size_t i;

	json_array_foreach (list, i, o) {
		const uint64_t speed = cli_num(o, "speed_mbps");
		const uint64_t lost = cli_num(o, "rx_missed") + cli_num(o, "rx_errors");

		cli_cell(t, CLI_BOLD, cli_str(o, "name"));
		if (!cli_bool(o, "link_up"))
			cli_cell(t, CLI_RED, "down");
		else if (speed)
			cli_cellf(t, CLI_GREEN, "up %lluM", (unsigned long long)speed);
		else
			cli_cell(t, CLI_GREEN, "up");
		cli_cell(t, CLI_PLAIN, cli_str(o, "device"));
		cli_cell(t, CLI_PLAIN, cli_str(o, "driver"));
		cli_cell(t, CLI_PLAIN, cli_str(o, "mac"));
		count_cell(t, o, "mtu", false);
		bytes_cell(t, o, "rx_bytes");
		bytes_cell(t, o, "tx_bytes");
		cli_cellf(t, lost ? CLI_YELLOW : CLI_PLAIN, "%llu", (unsigned long long)lost);
		count_cell(t, o, "tx_dropped", true);
		count_cell(t, o, "to_linux", false);
		count_cell(t, o, "from_linux", false);
	}
	cli_table_print(t, 0);
}

/* One row for each port, one column for each thing that a device may do for the workers. */
static void offload_rows(const json_t *ports)
{
	const json_t *all = json_object_get(json_array_get(ports, 0), "offloads"), *o, *f;
	struct cli_column columns[1 + 8] = {{"OFFLOADS"}};
	const size_t n = json_array_size(all) < 8 ? json_array_size(all) : 8;
	struct cli_table *t;
	char *names[8];
	size_t i, k;

	if (!n)
		return;
	for (k = 0; k < n; k++) {
		names[k] = cli_safe(cli_str(json_array_get(all, k), "name"));
		columns[k + 1] = (struct cli_column){names[k] ? names[k] : ""};
	}
	t = cli_table_new(columns, n + 1);
	json_array_foreach (ports, i, o) {
		const char *state;

		cli_cell(t, CLI_BOLD, cli_str(o, "name"));
		for (k = 0; k < n; k++) {
			f = json_array_get(json_object_get(o, "offloads"), k);
			state = cli_str(f, "state");
			cli_cell(t, strcmp(state, "on") == 0 ? CLI_GREEN : CLI_PLAIN, state);
		}
	}
	cli_table_print(t, 0);
	for (k = 0; k < n; k++)
		free(names[k]);
	putchar('\n');
}

static void worker_rows(const json_t *list)
{
	static const struct cli_column columns[] = {
		{"WORKER", .right = true},
		{"CPU", .right = true},
		{"STATE"},
		{"BUSY", .right = true},
		{"SLEEPS", .right = true, .drop = 1},
		{"PACKETS", .right = true},
		{"HANDED", .right = true, .drop = 1},
		{"SPREAD", .right = true, .drop = 1},
		{"HELPED", .right = true, .drop = 1},
		{"CYCLES/PACKET", .right = true},
	};
	struct cli_table *t = cli_table_new(columns, N(columns));
	const json_t *o;
	size_t i;

	json_array_foreach (list, i, o) {
		const uint64_t polls = cli_num(o, "polls"), busy = cli_num(o, "busy_polls");

		count_cell(t, o, "index", false);
		count_cell(t, o, "lcore", false);
		cli_cell(t, CLI_PLAIN, cli_bool(o, "asleep") ? "asleep" : "polling");
		cli_cellf(t, CLI_PLAIN, "%.1f%%",
			  polls ? 100.0 * (double)busy / (double)polls : 0.0);
		count_cell(t, o, "sleeps", false);
		count_cell(t, o, "packets", false);
		count_cell(t, o, "handed", false);
		count_cell(t, o, "spread", false);
		count_cell(t, o, "helped", false);
		count_cell(t, o, "cycles_per_packet", false);
	}
	cli_table_print(t, 0);
}

/* "aes-128-gcm-16" -> "gcm-16", and which of three lengths of key; ChaCha20 has the longest. */
static const char *suite_split(const char *suite, size_t *length)
{
	static const char *const prefix[] = {"aes-128-", "aes-192-", "aes-256-"};

	for (*length = 0; *length < N(prefix); (*length)++)
		if (strncmp(suite, prefix[*length], strlen(prefix[0])) == 0)
			return suite + strlen(prefix[0]);
	*length = N(prefix) - 1;
	return suite;
}

/* One row for an algorithm, one column for each length of its key. */
static void suite_rows(const json_t *list)
{
	static const struct cli_column columns[] = {
		{"ESP"}, {"128 BITS"}, {"192 BITS"}, {"256 BITS"}};
	struct cli_table *t = cli_table_new(columns, N(columns));
	const json_t *o, *other;
	size_t i, k, length;

	json_array_foreach (list, i, o) {
		const char *suite = cli_str(o, "suite"), *name = suite_split(suite, &length);
		const char *backend[3] = {"", "", ""};
		size_t first = i;

		json_array_foreach (list, k, other) {
			if (strcmp(suite_split(cli_str(other, "suite"), &length), name) != 0)
				continue;
			backend[length] = cli_str(other, "backend");
			first = k < first ? k : first;
		}
		if (first < i)
			continue;
		cli_cellf(t, CLI_BOLD, "%s%s", name == suite ? "" : "aes-", name);
		for (k = 0; k < N(backend); k++)
			cli_cell(t, CLI_PLAIN, backend[k]);
	}
	cli_table_print(t, 0);
}

static void ports(const json_t *result)
{
	char *eal = cli_safe(cli_str(result, "eal"));

	port_rows(json_object_get(result, "ports"));
	putchar('\n');
	offload_rows(json_object_get(result, "ports"));
	worker_rows(json_object_get(result, "workers"));
	putchar('\n');
	suite_rows(json_object_get(result, "suites"));
	printf("\nDPDK: %s\n", eal ? eal : "");
	free(eal);
}

/* ----------------------------------------------------------------- counters */

static void counter_group(const json_t *object, const char *title, bool all)
{
	static const struct cli_column columns[] = {{"COUNTER"}, {"VALUE", .right = true}};
	struct cli_table *t = cli_table_new(columns, N(columns));
	const char *name;
	json_t *value;
	size_t shown = 0;

	json_object_foreach ((json_t *)object, name, value) {
		if (!all && !json_integer_value(value))
			continue;
		cli_cell(t, CLI_PLAIN, name);
		cli_cellf(t, CLI_PLAIN, "%lld", (long long)json_integer_value(value));
		shown++;
	}
	printf("%s%s%s%s\n", cli_on(CLI_BOLD), title, cli_off(CLI_BOLD),
	       shown ? "" : ": all are 0");
	cli_table_print(t, 2);
}

static void counters(const json_t *result, bool all)
{
	counter_group(json_object_get(result, "ike"), "IKE", all);
	putchar('\n');
	counter_group(json_object_get(result, "dataplane"), "Dataplane: packets dropped, by reason",
		      all);
}

int cli_show(const struct cli_args *a)
{
	static const char *const things[] = {"connections", "tunnels", "sas",   "routes",
					     "bgp",         "bfd",     "ports", "counters"};
	const char *what = a->words[0], *near;
	char method[32];
	json_t *result;
	size_t i;

	for (i = 0; i < N(things) && strcmp(things[i], what) != 0; i++)
		;
	if (i == N(things)) {
		near = config_nearest(what, things, N(things));
		if (near)
			return cli_usage("cannot show '%s'; did you mean '%s'?", what, near);
		return cli_usage("cannot show '%s'; there are connections, tunnels, sas, routes, "
				 "bgp, bfd, ports and counters",
				 what);
	}
	if (!strcmp(what, "routes") && a->n_words < 3)
		return cli_show_routes(a);
	if (!strcmp(what, "bgp") && !(a->given & CLI_OPT_TABLE))
		return cli_show_bgp(a);
	if (a->n_words > 1 || a->given & CLI_OPT_TABLE)
		return cli_usage(
			"'show %s' takes nothing more: a prefix and --table are for routes", what);
	if (a->given & CLI_OPT_ALL && strcmp(what, "counters") != 0)
		return cli_usage("--all is for counters, routes and bgp");
	if (!strcmp(what, "bfd"))
		return cli_show_bfd(a);
	snprintf(method, sizeof(method), "show.%s", what);
	result = cli_ask(a, method, NULL);
	if (!result)
		return CLI_ERROR;
	if (a->json) {
		cli_print_json(result);
		return CLI_OK;
	}
	if (!strcmp(what, "connections"))
		connections(json_object_get(result, "connections"), 0);
	else if (!strcmp(what, "tunnels"))
		cli_print_tunnels(json_object_get(result, "tunnels"), 0);
	else if (!strcmp(what, "sas"))
		sas(result);
	else if (!strcmp(what, "ports"))
		ports(result);
	else
		counters(result, a->given & CLI_OPT_ALL);
	json_decref(result);
	return CLI_OK;
}
