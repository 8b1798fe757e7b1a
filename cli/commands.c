/* SPDX-License-Identifier: Apache-2.0 */
/* commands: up, down, rekey, redirect, reload, events. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "cli/cli.h"

#define POLL_S 0.2

static int done(const struct cli_args *a, const char *what)
{
	if (a->json)
		cli_print_json(json_pack("{s:i, s:s, s:s}", "version", 1, "tunnel", a->words[0],
					 "done", what));
	else
		printf("%s: %s\n", a->words[0], what);
	return CLI_OK;
}

static void pause_briefly(void)
{
	const struct timespec t = {.tv_nsec = (long)(POLL_S * 1e9)};

	(void)nanosleep(&t, NULL);
}

/* Whether the tunnel is up; *reason (the caller frees) tells why it is not. */
static bool is_up(struct cli_client *c, const char *name, char **reason)
{
	json_t *result = cli_call_quietly(c, "show.tunnels");
	const json_t *t;
	bool up = false;
	size_t i;

	json_array_foreach (json_object_get(result, "tunnels"), i, t) {
		if (strcmp(cli_str(t, "name"), name) != 0)
			continue;
		up = cli_bool(t, "up");
		free(*reason);
		*reason =
			strdup(*cli_str(t, "reason") ? cli_str(t, "reason") : cli_str(t, "phase"));
	}
	json_decref(result);
	return up;
}

static int wait_until_up(const struct cli_args *a, struct cli_client *c)
{
	const double until = cli_now() + a->wait_s;
	char *reason = NULL;
	bool up;
	int r;

	while (!(up = is_up(c, a->words[0], &reason)) && cli_now() < until)
		pause_briefly();
	if (up)
		r = done(a, "up");
	else
		r = cli_fail(a, "failed", "%s is not up after %g seconds%s%s", a->words[0],
			     a->wait_s, reason ? ": " : "", reason ? reason : "");
	free(reason);
	return r;
}

int cli_up(const struct cli_args *a)
{
	struct cli_client *c = cli_connect(a);
	json_t *params = c ? cli_tunnel_params(a, a->words[0]) : NULL;
	json_t *result = params ? cli_call(c, a, "up", params) : NULL;
	int r = CLI_ERROR;

	if (result && a->given & CLI_OPT_WAIT)
		r = wait_until_up(a, c);
	else if (result)
		r = done(a, "coming up");
	json_decref(result);
	cli_close(c);
	return r;
}

int cli_down(const struct cli_args *a)
{
	json_t *params = cli_tunnel_params(a, a->words[0]);
	json_t *result = params ? cli_ask(a, "down", params) : NULL;
	const int r = result ? done(a, "going down") : CLI_ERROR;

	json_decref(result);
	return r;
}

static int wait_for_rekey(const struct cli_args *a, struct cli_client *c)
{
	const char *wanted = a->given & CLI_OPT_IKE ? "ike-rekeyed" : "child-rekeyed";
	const double until = cli_now() + a->wait_s;
	bool over = false, seen;
	json_t *e;

	for (;;) {
		e = cli_next_event(c, until - cli_now(), &over);
		if (!e)
			break;
		seen = !strcmp(cli_str(e, "kind"), wanted) &&
		       !strcmp(cli_str(e, "tunnel"), a->words[0]);
		json_decref(e);
		if (seen)
			return done(a, "rekeyed");
	}
	if (over)
		return cli_fail(a, "unavailable", "%s", cli_last_error(c));
	return cli_fail(a, "failed", "%s was not rekeyed within %g seconds", a->words[0],
			a->wait_s);
}

int cli_rekey(const struct cli_args *a)
{
	const bool wait = a->given & CLI_OPT_WAIT;
	struct cli_client *c = cli_connect(a);
	json_t *params = c ? cli_tunnel_params(a, a->words[0]) : NULL;
	json_t *followed = NULL, *result = NULL;
	int r = CLI_ERROR;

	if (!params)
		goto out;
	if (a->given & CLI_OPT_IKE)
		json_object_set_new(params, "what", json_string("ike"));
	/* Listen first: the rekey may be done before its request is answered. */
	if (wait)
		followed = cli_call(c, a, "events", json_pack("{s:b}", "follow", 1));
	if (!wait || followed)
		result = cli_call(c, a, "rekey", json_incref(params));
	if (result)
		r = wait ? wait_for_rekey(a, c) : done(a, "rekeying");
out:
	json_decref(params);
	json_decref(followed);
	json_decref(result);
	cli_close(c);
	return r;
}

int cli_redirect(const struct cli_args *a)
{
	const bool off = strcmp(a->words[1], "off") == 0;
	json_t *params = cli_tunnel_params(a, a->words[0]), *to, *result;
	int r;

	if (!params)
		return CLI_ERROR;
	to = json_string(a->words[1]);
	if (!to) {
		json_decref(params);
		return cli_fail(a, "bad-params", "'%s' is no address", a->words[1]);
	}
	json_object_set_new(params, "to", to);
	result = cli_ask(a, "redirect", params);
	r = result ? done(a, off ? "no longer redirected" : "redirecting its peer") : CLI_ERROR;
	json_decref(result);
	return r;
}

int cli_reload(const struct cli_args *a)
{
	json_t *result = cli_ask(a, "reload", NULL), *changed;
	char *names, *safe;

	if (!result)
		return CLI_ERROR;
	if (a->json) {
		cli_print_json(result);
		return CLI_OK;
	}
	changed = json_object_get(result, "changed");
	names = cli_join(changed, " ");
	safe = names ? cli_safe(names) : NULL;
	if (json_array_size(changed))
		printf("changed: %s\n", safe ? safe : "");
	else
		puts("nothing changed");
	printf("unchanged: %llu\n", (unsigned long long)cli_num(result, "unchanged"));
	free(names);
	free(safe);
	json_decref(result);
	return CLI_OK;
}

/* ------------------------------------------------------------------- events */

static enum cli_colour event_colour(const char *kind)
{
	static const char *const good[] = {"tunnel-up", "ike-up", "child-up"};
	static const char *const bad[] = {"tunnel-down",    "dpd-timeout",     "auth-failed",
					  "process-exited", "ts-unacceptable", "no-proposal",
					  "process-hung",   "not-resumed"};
	size_t i;

	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (!strcmp(kind, good[i]))
			return CLI_GREEN;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (!strcmp(kind, bad[i]))
			return CLI_RED;
	return CLI_PLAIN;
}

static void print_event(const struct cli_args *a, const json_t *e)
{
	const char *subject =
		*cli_str(e, "tunnel") ? cli_str(e, "tunnel") : cli_str(e, "connection");
	const enum cli_colour colour = event_colour(cli_str(e, "kind"));
	char *kind, *name, *text, *time;

	if (a->json) { /* one a line, also in the future */
		json_dumpf(e, stdout, JSON_COMPACT | JSON_REAL_PRECISION(15));
		putchar('\n');
		return;
	}
	kind = cli_safe(cli_str(e, "kind"));
	name = cli_safe(subject);
	text = cli_safe(cli_str(e, "text"));
	time = cli_safe(cli_str(e, "time"));
	if (kind && name && text && time)
		printf("%s%s%s  %s%-16s%s  %s%s%s\n", cli_on(CLI_DIM), time, cli_off(CLI_DIM),
		       cli_on(colour), kind, cli_off(colour), name, *name && *text ? "  " : "",
		       text);
	free(kind);
	free(name);
	free(text);
	free(time);
}

static int follow(const struct cli_args *a, struct cli_client *c)
{
	json_t *e;
	bool over;

	for (;;) {
		fflush(stdout);
		if (ferror(stdout))
			return CLI_OK; /* the reader has seen enough */
		e = cli_next_event(c, 3600, &over);
		if (e)
			print_event(a, e);
		else if (over)
			return cli_fail(a, "unavailable", "%s", cli_last_error(c));
		json_decref(e);
	}
}

int cli_events(const struct cli_args *a)
{
	const bool wait = a->given & CLI_OPT_FOLLOW;
	struct cli_client *c = cli_connect(a);
	json_t *result =
		c ? cli_call(c, a, "events", json_pack("{s:b}", "follow", (int)wait)) : NULL;
	const json_t *e;
	size_t i;
	int r = CLI_OK;

	if (!result) {
		cli_close(c);
		return CLI_ERROR;
	}
	json_array_foreach (json_object_get(result, "events"), i, e)
		print_event(a, e);
	json_decref(result);
	if (wait)
		r = follow(a, c);
	cli_close(c);
	return r;
}
