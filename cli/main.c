/* SPDX-License-Identifier: Apache-2.0 */
/*
 * twinbore: the command line of a gateway.
 *
 * Nearly every command is one request on the control socket (docs/control-protocol.md) and one way
 * to show its result: for people as aligned tables, for programs (--json) as the result itself.
 * `check`, `genpsk` and `pki` need no gateway. Nothing here needs privileges but the right to use the
 * socket, and no secrets pass through but those that genpsk and pki make.
 *
 * Exit codes are part of the interface: 0 done, 1 failed, 2 wrong usage, 3 the gateway works but is
 * degraded (status).
 */
#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "cli/cli.h"
#include "config/config.h"

static const struct command {
	const char *name;
	const char *usage; /* what follows the name */
	const char *what;
	unsigned options; /* enum cli_option */
	size_t min_words, max_words;
	int (*run)(const struct cli_args *a);
} commands[] = {
	{"status", "[--watch [--interval SECONDS] [--count N]]",
	 "the gateway's state in short; exit code 3 when it is degraded",
	 CLI_OPT_WATCH | CLI_OPT_INTERVAL | CLI_OPT_COUNT, 0, 0, cli_status},
	{"show",
	 "connections|tunnels|sas|bfd|ports|counters [--all]\n"
	 "      routes [PREFIX] [--table TABLE] [--all]\n"
	 "      bgp [summary] | bgp neighbor|received|advertised TUNNEL [--all]",
	 "one thing in detail; counters: without --all only those that are not 0",
	 CLI_OPT_ALL | CLI_OPT_TABLE, 1, 3, cli_show},
	{"explain", "TUNNEL | PREFIX|ADDRESS [--table TABLE]",
	 "why a tunnel is not up: layer by layer, both sides, and the line that would mend it;\n"
	 "      or how a route was chosen: every candidate, and the step that decided",
	 CLI_OPT_TABLE, 1, 1, cli_explain},
	{"what-if", "TUNNEL down", "where the traffic would go if a tunnel were down", 0, 2, 2,
	 cli_what_if},
	{"tunnel", "drain|undrain TUNNEL | replace TUNNEL [--force] [--wait SECONDS]",
	 "move a tunnel's traffic away, or back; or set it up anew without losing any",
	 CLI_OPT_FORCE | CLI_OPT_WAIT, 2, 2, cli_tunnel},
	{"doctor", "", "what is wrong with the gateway: the lowest broken layer of each thing", 0,
	 0, 0, cli_doctor},
	{"up", "TUNNEL [--wait SECONDS]", "bring a tunnel up", CLI_OPT_WAIT, 1, 1, cli_up},
	{"down", "TUNNEL", "take a tunnel down until 'up' or until the peer initiates", 0, 1, 1,
	 cli_down},
	{"rekey", "TUNNEL [--ike] [--wait SECONDS]",
	 "renew the keys of a tunnel's ESP SA, or of its IKE SA", CLI_OPT_IKE | CLI_OPT_WAIT, 1, 1,
	 cli_rekey},
	{"redirect", "TUNNEL ADDRESS|off",
	 "send a tunnel's peer to another gateway, now and whenever it comes", 0, 2, 2,
	 cli_redirect},
	{"reload", "", "read the configuration again; what did not change is not touched", 0, 0, 0,
	 cli_reload},
	{"events", "[--follow]", "what happened last, and what happens", CLI_OPT_FOLLOW, 0, 0,
	 cli_events},
	{"check", "FILE", "check a configuration file", 0, 1, 1, cli_check},
	{"genpsk", "[--out FILE]", "make a pre-shared key", CLI_OPT_OUT, 0, 0, cli_genpsk},
	{"pki",
	 "init DIR [--name DN] [--type TYPE] [--days N]\n"
	 "      issue DIR --name DN [--san NAME,...] [--type TYPE] [--days N] -o PREFIX\n"
	 "      revoke DIR CERTIFICATE|SERIAL [--reason REASON] [--days N]\n"
	 "      crl DIR [--days N]\n"
	 "      list DIR",
	 "a small CA: make it, issue and revoke certificates, renew its revocation list",
	 CLI_OPT_NAME | CLI_OPT_TYPE | CLI_OPT_SAN | CLI_OPT_DAYS | CLI_OPT_REASON | CLI_OPT_OUT, 2,
	 3, cli_pki},
};
#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const struct option {
	const char *name;
	unsigned bit; /* enum cli_option; 0: allowed everywhere */
	bool has_value;
} options[] = {
	{"--socket", 0, true},
	{"--json", 0, false},
	{"--help", 0, false},
	{"--version", 0, false},
	{"--watch", CLI_OPT_WATCH, false},
	{"--count", CLI_OPT_COUNT, true},
	{"--interval", CLI_OPT_INTERVAL, true},
	{"--follow", CLI_OPT_FOLLOW, false},
	{"--ike", CLI_OPT_IKE, false},
	{"--wait", CLI_OPT_WAIT, true},
	{"--out", CLI_OPT_OUT, true},
	{"--all", CLI_OPT_ALL, false},
	{"--name", CLI_OPT_NAME, true},
	{"--type", CLI_OPT_TYPE, true},
	{"--san", CLI_OPT_SAN, true},
	{"--days", CLI_OPT_DAYS, true},
	{"--reason", CLI_OPT_REASON, true},
	{"--table", CLI_OPT_TABLE, true},
	{"--force", CLI_OPT_FORCE, false},
};
#define N_OPTIONS (sizeof(options) / sizeof(options[0]))

int cli_fail(const struct cli_args *a, const char *code, const char *fmt, ...)
{
	char text[8192], copy[8192], *safe, *line, *rest = copy;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fflush(stdout);
	/* A message may have several lines: reload tells every error of the configuration. */
	memcpy(copy, text, sizeof(copy));
	while ((line = strsep(&rest, "\n"))) {
		safe = cli_safe(line);
		fprintf(stderr, "twinbore: %s\n", safe ? safe : "out of memory");
		free(safe);
	}
	if (a->json)
		cli_print_json(json_pack("{s:i, s:{s:s, s:s}}", "version", 1, "error", "code", code,
					 "message", text));
	return CLI_ERROR;
}

int cli_usage(const char *fmt, ...)
{
	va_list ap;

	fputs("twinbore: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputs("\nTry 'twinbore --help'.\n", stderr);
	return CLI_USAGE;
}

void cli_print_json(json_t *value)
{
	if (!value)
		return;
	json_dumpf(value, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
	putchar('\n');
	json_decref(value);
}

static int help(const struct command *only)
{
	size_t i;

	if (!only)
		printf("twinbore: look at a Twinbore gateway and steer it\n\n"
		       "usage: twinbore [--socket PATH] [--json] COMMAND\n\n");
	for (i = 0; i < N_COMMANDS; i++) {
		const struct command *c = &commands[i];

		if (only && only != c)
			continue;
		printf("%s%s%s%s\n      %s\n", only ? "usage: twinbore " : "  ", c->name,
		       *c->usage ? " " : "", c->usage, c->what);
	}
	printf("\n"
	       "  --socket PATH  the gateway's control socket (default: $TWINBORE_SOCKET, else\n"
	       "                 " CLI_DEFAULT_SOCKET ")\n"
	       "  --json         output for programs\n"
	       "  --help, --version\n\n"
	       "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 degraded. See twinbore(1).\n");
	return CLI_OK;
}

static bool parse_seconds(const char *s, double *out)
{
	char *end;

	errno = 0;
	*out = strtod(s, &end);
	return !errno && end != s && !*end && *out >= 0 && *out <= 86400.0 * 365;
}

/* 0, or the exit code. */
static int take_value(struct cli_args *a, const struct option *o, const char *value)
{
	unsigned long n;
	char *end;

	if (!strcmp(o->name, "--socket")) {
		a->socket = value;
	} else if (o->bit == CLI_OPT_OUT) {
		a->out = value;
	} else if (o->bit == CLI_OPT_TABLE) {
		a->table = value;
	} else if (o->bit == CLI_OPT_NAME) {
		a->name = value;
	} else if (o->bit == CLI_OPT_TYPE) {
		a->type = value;
	} else if (o->bit == CLI_OPT_SAN) {
		a->san = value;
	} else if (o->bit == CLI_OPT_REASON) {
		a->reason = value;
	} else if (o->bit == CLI_OPT_DAYS) {
		errno = 0;
		n = strtoul(value, &end, 10);
		if (errno || *end || end == value || *value == '-' || !n || n > 36500)
			return cli_usage("--days wants a number from 1 to 36500, not '%s'", value);
		a->days = (unsigned)n;
	} else if (o->bit == CLI_OPT_WAIT) {
		if (!parse_seconds(value, &a->wait_s))
			return cli_usage("--wait wants a number of seconds, not '%s'", value);
	} else if (o->bit == CLI_OPT_INTERVAL) {
		if (!parse_seconds(value, &a->interval_s) || a->interval_s < 0.1)
			return cli_usage("--interval wants 0.1 seconds at least, not '%s'", value);
	} else if (o->bit == CLI_OPT_COUNT) {
		errno = 0;
		n = strtoul(value, &end, 10);
		if (errno || *end || end == value || *value == '-' || !n || n > 1000000000)
			return cli_usage("--count wants a number, not '%s'", value);
		a->count = (unsigned)n;
	}
	return 0;
}

struct parsed {
	const char *command;
	bool help, version;
};

static int unknown_option(const char *arg)
{
	const char *names[N_OPTIONS], *near;
	size_t i;

	for (i = 0; i < N_OPTIONS; i++)
		names[i] = options[i].name;
	near = config_nearest(arg, names, N_OPTIONS);
	if (near)
		return cli_usage("unknown option '%s'; did you mean '%s'?", arg, near);
	return cli_usage("unknown option '%s'", arg);
}

/* One argument that begins with "--"; may take the next one. */
static int parse_option(struct cli_args *a, struct parsed *p, char **argv, int *i)
{
	const char *arg = strcmp(argv[*i], "-o") == 0 ? "--out" : argv[*i], *eq = strchr(arg, '=');
	const size_t size = eq ? (size_t)(eq - arg) : strlen(arg);
	const struct option *o = NULL;
	const char *value;
	size_t k;

	for (k = 0; k < N_OPTIONS; k++)
		if (strlen(options[k].name) == size && !strncmp(options[k].name, arg, size))
			o = &options[k];
	if (!o)
		return unknown_option(arg);
	if (!o->has_value && eq)
		return cli_usage("%s takes no value", o->name);
	a->given |= o->bit;
	if (o->has_value) {
		value = eq ? eq + 1 : argv[*i + 1];
		if (!value)
			return cli_usage("%s wants a value", o->name);
		if (!eq)
			++*i;
		return take_value(a, o, value);
	}
	a->json = a->json || !strcmp(o->name, "--json");
	p->help = p->help || !strcmp(o->name, "--help");
	p->version = p->version || !strcmp(o->name, "--version");
	return 0;
}

static int parse(struct cli_args *a, struct parsed *p, char **argv)
{
	bool only_words = false;
	int i, r;

	for (i = 1; argv[i]; i++) {
		if (!only_words && !strcmp(argv[i], "--")) {
			only_words = true;
		} else if (!only_words && !strcmp(argv[i], "-h")) {
			p->help = true;
		} else if (!only_words && argv[i][0] == '-' && argv[i][1]) {
			r = parse_option(a, p, argv, &i);
			if (r)
				return r;
		} else if (!p->command) {
			p->command = argv[i];
		} else if (a->n_words < sizeof(a->words) / sizeof(a->words[0])) {
			a->words[a->n_words++] = argv[i];
		} else {
			return cli_usage("too many arguments");
		}
	}
	return 0;
}

static const struct command *find_command(const char *name)
{
	size_t i;

	for (i = 0; i < N_COMMANDS; i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

static int unknown_command(const char *name)
{
	const char *names[N_COMMANDS], *near;
	size_t i;

	for (i = 0; i < N_COMMANDS; i++)
		names[i] = commands[i].name;
	near = config_nearest(name, names, N_COMMANDS);
	if (near)
		return cli_usage("unknown command '%s'; did you mean '%s'?", name, near);
	return cli_usage("unknown command '%s'", name);
}

static int run(const struct command *c, const struct cli_args *a)
{
	const char *space = *c->usage ? " " : "";
	size_t i;

	for (i = 0; i < N_OPTIONS; i++)
		if (options[i].bit & a->given & ~c->options)
			return cli_usage("'%s' has no option %s; usage: twinbore %s%s%s", c->name,
					 options[i].name, c->name, space, c->usage);
	if (a->n_words < c->min_words || a->n_words > c->max_words)
		return cli_usage("usage: twinbore %s%s%s", c->name, space, c->usage);
	return c->run(a);
}

int main(int argc, char **argv)
{
	const char *env = getenv("TWINBORE_SOCKET");
	struct cli_args a = {
		.socket = env && *env ? env : CLI_DEFAULT_SOCKET,
		.interval_s = 1,
	};
	struct parsed p = {.command = NULL};
	const struct command *c;
	int r;

	(void)setlocale(LC_CTYPE, "");
	(void)signal(SIGPIPE, SIG_IGN);
	cli_terminal_init();
	if (argc < 1)
		return CLI_USAGE;
	r = parse(&a, &p, argv);
	if (r)
		return r;
	if (p.version) {
		puts("twinbore " TWINBORE_VERSION);
		return CLI_OK;
	}
	c = p.command ? find_command(p.command) : NULL;
	if (p.command && !c)
		return unknown_command(p.command);
	if (p.help)
		return help(c);
	if (!c) {
		help(NULL);
		return CLI_USAGE;
	}
	r = run(c, &a);
	if (fflush(stdout) || ferror(stdout)) {
		if (errno == EPIPE)
			return r; /* `twinbore events | head` is no error */
		fprintf(stderr, "twinbore: cannot write the output: %s\n", strerror(errno));
		return CLI_ERROR;
	}
	return r;
}
