/* SPDX-License-Identifier: Apache-2.0 */
/* tunnel: drain, undrain, replace: maintenance of one tunnel while others carry its traffic. */
#include <stdlib.h>
#include <string.h>
#include "cli/cli.h"
#include "config/config.h"

#define REPLACE_S 200.0 /* longer than the gateway takes, beside the wait for the last packet */
#define QUIET_S   30.0  /* that wait, by default */

static int done(const struct cli_args *a, const char *what)
{
	if (a->json)
		cli_print_json(json_pack("{s:i, s:s, s:s}", "version", 1, "tunnel", a->words[1],
					 "done", what));
	else
		printf("%s: %s\n", a->words[1], what);
	return CLI_OK;
}

static int drain(const struct cli_args *a, struct cli_client *c, json_t *params)
{
	json_t *r = cli_call(c, a, "tunnel.drain", json_incref(params));
	unsigned long long moved, stays;

	if (!r)
		return CLI_ERROR;
	moved = cli_num(r, "moved");
	stays = cli_num(r, "stays");
	if (a->json) {
		cli_print_json(r);
		return stays ? CLI_DEGRADED : CLI_OK;
	}
	printf("%s: drained, %llu prefix%s moved away\n", a->words[1], moved,
	       moved == 1 ? "" : "es");
	if (stays)
		printf("%s%llu prefix%s on it: no other tunnel can carry %s%s\n",
		       cli_on(CLI_YELLOW), stays, stays == 1 ? " stays" : "es stay",
		       stays == 1 ? "it" : "them", cli_off(CLI_YELLOW));
	json_decref(r);
	return stays ? CLI_DEGRADED : CLI_OK;
}

static int undrain(const struct cli_args *a, struct cli_client *c, json_t *params)
{
	json_t *r = cli_call(c, a, "tunnel.undrain", json_incref(params));

	if (!r)
		return CLI_ERROR;
	json_decref(r);
	return done(a, "may carry traffic again");
}

/* The gateway goes on whether we wait or not. */
static int follow(const struct cli_args *a, struct cli_client *c, double seconds)
{
	const double until = cli_now() + seconds;
	bool over = false;
	char *text;
	json_t *e;
	int r = -1;

	while (r < 0 && (e = cli_next_event(c, until - cli_now(), &over))) {
		const char *kind = cli_str(e, "kind");

		if (strcmp(cli_str(e, "tunnel"), a->words[1]) != 0 ||
		    strncmp(kind, "tunnel-", 7) != 0) {
			json_decref(e);
			continue;
		}
		if (!strcmp(kind, "tunnel-replace-failed")) {
			r = cli_fail(a, "failed", "%s: %s", a->words[1], cli_str(e, "text"));
		} else if (!strcmp(kind, "tunnel-replaced")) {
			r = done(a, "replaced");
		} else if (!a->json) {
			text = cli_safe(cli_str(e, "text"));
			printf("%s: %s\n", a->words[1], text ? text : "");
			fflush(stdout);
			free(text);
		}
		json_decref(e);
	}
	if (r >= 0)
		return r;
	if (over)
		return cli_fail(a, "unavailable", "%s", cli_last_error(c));
	return cli_fail(a, "failed", "%s was not replaced within %g seconds; the gateway goes on",
			a->words[1], seconds);
}

static int replace(const struct cli_args *a, struct cli_client *c, json_t *params)
{
	const double wait_s = a->given & CLI_OPT_WAIT ? a->wait_s : QUIET_S;
	json_t *followed, *r = NULL;
	int code = CLI_ERROR;

	json_object_set_new(params, "force", json_boolean(a->given & CLI_OPT_FORCE));
	json_object_set_new(params, "wait_s", json_real(wait_s));
	/* Listen first: it may be over before the request is answered. */
	followed = cli_call(c, a, "events", json_pack("{s:b}", "follow", 1));
	if (followed)
		r = cli_call(c, a, "tunnel.replace", json_incref(params));
	if (r)
		code = follow(a, c, wait_s + REPLACE_S);
	json_decref(followed);
	json_decref(r);
	return code;
}

int cli_tunnel(const struct cli_args *a)
{
	static const struct {
		const char *name;
		int (*run)(const struct cli_args *a, struct cli_client *c, json_t *params);
		unsigned options;
	} actions[] = {
		{"drain", drain, 0},
		{"undrain", undrain, 0},
		{"replace", replace, CLI_OPT_FORCE | CLI_OPT_WAIT},
	};
	const char *names[3], *near;
	struct cli_client *c;
	json_t *params;
	int r = CLI_ERROR;
	size_t i;

	for (i = 0; i < 3; i++)
		names[i] = actions[i].name;
	for (i = 0; i < 3 && strcmp(names[i], a->words[0]) != 0; i++)
		;
	if (i == 3) {
		near = config_nearest(a->words[0], names, 3);
		if (near)
			return cli_usage("'tunnel' has no '%s'; did you mean '%s'?", a->words[0],
					 near);
		return cli_usage("'tunnel' has drain, undrain and replace, not '%s'", a->words[0]);
	}
	if (a->given & ~actions[i].options)
		return cli_usage("--force and --wait are for 'tunnel replace'");
	params = cli_tunnel_params(a, a->words[1]);
	if (!params)
		return CLI_ERROR;
	c = cli_connect(a);
	if (c)
		r = actions[i].run(a, c, params);
	json_decref(params);
	cli_close(c);
	return r;
}
