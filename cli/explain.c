/* SPDX-License-Identifier: Apache-2.0 */
/* explain, doctor: what is wrong, in which layer, and which line would mend it. */
#include <stdlib.h>
#include <string.h>
#include "cli/cli.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

static enum cli_colour state_colour(const char *state)
{
	if (!strcmp(state, "ok"))
		return CLI_GREEN;
	if (!strcmp(state, "failed") || !strcmp(state, "error"))
		return CLI_RED;
	return !strcmp(state, "unknown") ? CLI_DIM : CLI_YELLOW;
}

/* Text that the gateway sent, after a label; nothing if it is empty. */
static void line(unsigned indent, const char *label, const char *text)
{
	char *safe = *text ? cli_safe(text) : NULL;

	if (safe)
		printf("%*s%-8s%s\n", (int)indent, "", label, safe);
	free(safe);
}

static void print_layers(const json_t *list)
{
	const json_t *l;
	char *name, *text;
	size_t i;

	json_array_foreach (list, i, l) {
		const char *state = cli_str(l, "state");
		const enum cli_colour colour = state_colour(state);
		const char *shown = !strcmp(state, "ok")       ? "ok"
				    : !strcmp(state, "failed") ? "failed"
				    : !strcmp(state, "idle")   ? "idle"
							       : "-";

		name = cli_safe(cli_str(l, "layer"));
		text = cli_safe(cli_str(l, "text"));
		if (name && text)
			printf("  %-10s %s%s%s%*s%s\n", name, cli_on(colour), shown,
			       cli_off(colour), *text ? (int)(9 - strlen(shown)) : 0, "", text);
		free(name);
		free(text);
	}
}

static void print_mismatch(const json_t *m, const json_t *fix)
{
	char age[CLI_HUMAN_SIZE], *what;

	if (!json_is_object(m))
		return;
	what = cli_safe(cli_str(m, "what"));
	printf("\n%s%s%s, %s ago%s\n", cli_on(CLI_BOLD), what ? what : "", cli_off(CLI_BOLD),
	       cli_age(cli_real(m, "age_s"), age),
	       cli_bool(m, "by_peer") ? ": the peer refused, and does not say what it wants" : "");
	free(what);
	line(2, "they", cli_str(m, "theirs"));
	line(2, "we", cli_str(m, "ours"));
	line(2, "so", cli_str(m, "differs"));
	if (json_is_object(fix))
		line(2, "fix", cli_str(fix, "text"));
	else if (cli_bool(m, "by_peer"))
		line(2, "fix",
		     "run 'twinbore explain' or read the log at the peer, which sees "
		     "both sides");
}

int cli_explain(const struct cli_args *a)
{
	json_t *params, *r;
	char age[CLI_HUMAN_SIZE], *name;
	bool up;

	if (cli_is_prefix(a->words[0]))
		return cli_explain_route(a);
	if (a->given & CLI_OPT_TABLE)
		return cli_usage("--table goes with a prefix or an address");
	params = cli_tunnel_params(a, a->words[0]);
	r = params ? cli_ask(a, "explain", params) : NULL;
	if (!r)
		return CLI_ERROR;
	up = !*cli_str(r, "broken");
	if (a->json) {
		cli_print_json(r);
		return up ? CLI_OK : CLI_DEGRADED;
	}
	name = cli_safe(cli_str(r, "tunnel"));
	printf("%s%s%s  %s%s%s for %s\n\n", cli_on(CLI_BOLD), name ? name : "", cli_off(CLI_BOLD),
	       cli_on(cli_bool(r, "up") ? CLI_GREEN : CLI_RED), cli_bool(r, "up") ? "up" : "down",
	       cli_off(CLI_GREEN), cli_age(cli_real(r, "since_s"), age));
	free(name);
	print_layers(json_object_get(r, "layers"));
	print_mismatch(json_object_get(r, "mismatch"), json_object_get(r, "fix"));
	json_decref(r);
	return up ? CLI_OK : CLI_DEGRADED;
}

static void print_finding(const json_t *f)
{
	const json_t *fix = json_object_get(f, "fix");
	const enum cli_colour colour = state_colour(cli_str(f, "severity"));
	char *subject = cli_safe(cli_str(f, "subject")), *layer = cli_safe(cli_str(f, "layer"));
	char *text = cli_safe(cli_str(f, "text"));

	if (subject && layer && text)
		printf("%s%s%s: %s: %s\n", cli_on(colour), subject, cli_off(colour), layer, text);
	if (json_is_object(fix))
		line(4, "fix", cli_str(fix, "text"));
	free(subject);
	free(layer);
	free(text);
}

int cli_doctor(const struct cli_args *a)
{
	json_t *r = cli_ask(a, "doctor", NULL);
	const json_t *findings, *f;
	size_t i, n;

	if (!r)
		return CLI_ERROR;
	findings = json_object_get(r, "findings");
	n = json_array_size(findings);
	if (a->json) {
		cli_print_json(r);
		return n ? CLI_DEGRADED : CLI_OK;
	}
	json_array_foreach (findings, i, f)
		print_finding(f);
	if (!n)
		printf("%llu tunnels, ports and processes: nothing is wrong\n",
		       (unsigned long long)cli_num(r, "tunnels"));
	json_decref(r);
	return n ? CLI_DEGRADED : CLI_OK;
}
