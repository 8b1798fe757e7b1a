/* SPDX-License-Identifier: Apache-2.0 */
/* status: the whole gateway on one screen, once or for as long as somebody looks. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "cli/cli.h"

static volatile sig_atomic_t interrupted;

static void on_interrupt(int sig)
{
	(void)sig;
	interrupted = 1;
}

static void print_routes(const json_t *r)
{
	printf("%llu prefixes", (unsigned long long)cli_num(r, "prefixes"));
	if (cli_num(r, "waiting"))
		printf(", %llu of them on their way to the dataplane",
		       (unsigned long long)cli_num(r, "waiting"));
	putchar('\n');
}

static void print_head(const json_t *s)
{
	char age[CLI_HUMAN_SIZE], in[CLI_HUMAN_SIZE], out[CLI_HUMAN_SIZE];
	char in_p[CLI_HUMAN_SIZE], out_p[CLI_HUMAN_SIZE];
	const json_t *rates = json_object_get(s, "rates");
	const bool ok = !strcmp(cli_str(s, "state"), "ok");
	const enum cli_colour colour = ok ? CLI_GREEN : CLI_RED;
	char *name = cli_safe(cli_str(s, "gateway")), *state = cli_safe(cli_str(s, "state"));
	char *software = cli_safe(cli_str(s, "software"));

	printf("%s%s%s  %s%s%s  %llu of %llu tunnels up  running for %s  twinbore %s\n",
	       cli_on(CLI_BOLD), name ? name : "", cli_off(CLI_BOLD), cli_on(colour),
	       state ? state : "", cli_off(colour), (unsigned long long)cli_num(s, "tunnels_up"),
	       (unsigned long long)cli_num(s, "tunnels_configured"),
	       cli_age(cli_real(s, "uptime_s"), age), software ? software : "");
	printf("in %s (%s)  out %s (%s)\n", cli_bitrate(cli_num(rates, "in_bps"), in),
	       cli_packet_rate(cli_num(rates, "in_pps"), in_p),
	       cli_bitrate(cli_num(rates, "out_bps"), out),
	       cli_packet_rate(cli_num(rates, "out_pps"), out_p));
	if (json_is_object(json_object_get(s, "routes")))
		print_routes(json_object_get(s, "routes"));
	free(name);
	free(state);
	free(software);
}

static void print_processes(const json_t *list)
{
	static const struct cli_column columns[] = {
		{"PROCESS"},
		{"STATE"},
		{"PID", .right = true, .drop = 1},
		{"FOR", .right = true},
		{"RESTARTS", .right = true},
	};
	struct cli_table *t = cli_table_new(columns, sizeof(columns) / sizeof(columns[0]));
	char age[CLI_HUMAN_SIZE];
	const json_t *p;
	size_t i;

	json_array_foreach (list, i, p) {
		const bool ok = !strcmp(cli_str(p, "state"), "running");

		cli_cell(t, CLI_BOLD, cli_str(p, "role"));
		cli_cell(t, ok ? CLI_GREEN : CLI_RED, cli_str(p, "state"));
		cli_cellf(t, CLI_PLAIN, "%llu", (unsigned long long)cli_num(p, "pid"));
		cli_cell(t, CLI_PLAIN, ok ? cli_age(cli_real(p, "uptime_s"), age) : NULL);
		cli_cellf(t, cli_num(p, "restarts") ? CLI_YELLOW : CLI_PLAIN, "%llu",
			  (unsigned long long)cli_num(p, "restarts"));
	}
	if (json_array_size(list))
		cli_table_print(t, 0);
	else {
		cli_table_print(t, 0);
		puts("the supervisor does not tell of its processes");
	}
}

/* `tunnels` may be NULL: ike does not answer. */
static void print_status(const json_t *s, const json_t *tunnels)
{
	print_head(s);
	putchar('\n');
	if (json_array_size(json_object_get(s, "connections"))) {
		cli_print_connections(json_object_get(s, "connections"), 0);
		putchar('\n');
	}
	if (json_array_size(tunnels)) {
		cli_print_tunnels(tunnels, 0);
		putchar('\n');
	}
	print_processes(json_object_get(s, "processes"));
}

static int exit_code(const json_t *s)
{
	return strcmp(cli_str(s, "state"), "ok") ? CLI_DEGRADED : CLI_OK;
}

static int once(const struct cli_args *a, struct cli_client *c)
{
	json_t *s = cli_call(c, a, "status", NULL), *tunnels;
	int r;

	if (!s)
		return CLI_ERROR;
	r = exit_code(s);
	if (a->json) {
		cli_print_json(s);
		return r;
	}
	tunnels = cli_call_quietly(c, "show.tunnels");
	print_status(s, json_object_get(tunnels, "tunnels"));
	json_decref(tunnels);
	json_decref(s);
	return r;
}

static void pause_for(double seconds)
{
	const struct timespec t = {
		.tv_sec = (time_t)seconds,
		.tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9),
	};

	(void)nanosleep(&t, NULL);
}

static int watch(const struct cli_args *a)
{
	const struct sigaction sa = {.sa_handler = on_interrupt};
	struct cli_client *c = NULL;
	unsigned shown = 0;
	int r = CLI_OK;

	(void)sigaction(SIGINT, &sa, NULL);
	(void)sigaction(SIGTERM, &sa, NULL);
	while (!interrupted) {
		if (!c)
			c = shown ? cli_connect_quietly(a) : cli_connect(a);
		if (!c && !shown)
			return CLI_ERROR;
		if (cli_is_tty() && !a->json)
			fputs("\033[H\033[2J", stdout);
		else if (shown && !a->json)
			putchar('\n');
		r = CLI_ERROR;
		if (c)
			r = once(a, c);
		else
			puts("the gateway is away; waiting for it");
		if (r == CLI_ERROR) { /* a restart: connect again */
			cli_close(c);
			c = NULL;
		}
		fflush(stdout);
		if (ferror(stdout) || ++shown == a->count)
			break;
		if (!interrupted)
			pause_for(a->interval_s);
	}
	cli_close(c);
	return interrupted ? CLI_OK : r;
}

int cli_status(const struct cli_args *a)
{
	struct cli_client *c;
	int r;

	if (a->given & (CLI_OPT_COUNT | CLI_OPT_INTERVAL) && !(a->given & CLI_OPT_WATCH))
		return cli_usage("--count and --interval go with --watch");
	if (a->given & CLI_OPT_WATCH)
		return watch(a);
	c = cli_connect(a);
	if (!c)
		return CLI_ERROR;
	r = once(a, c);
	cli_close(c);
	return r;
}
