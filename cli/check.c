/* SPDX-License-Identifier: Apache-2.0 */
/* check: a configuration file's errors, each with its place, the line, and a mark below it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "cli/cli.h"
#include "config/config.h"

#define FILE_MAX   (8u << 20) /* more than a configuration may have: config says how much too long */
#define LINE_SHOWN 160

/* The whole file, or standard input for "-". NULL with errno. */
static char *read_file(const char *path, size_t *size)
{
	FILE *f = strcmp(path, "-") ? fopen(path, "re") : stdin;
	char *text = f ? malloc(FILE_MAX) : NULL;
	int e = 0;

	if (text) {
		*size = fread(text, 1, FILE_MAX, f);
		if (ferror(f)) {
			e = errno;
			free(text);
			text = NULL;
		}
	} else {
		e = errno;
	}
	if (f && f != stdin)
		fclose(f);
	errno = e;
	return text;
}

/* Line `line` of the text, without its end. */
static bool find_line(const char *text, size_t size, unsigned line, const char **out, size_t *n)
{
	const char *end = text + size, *nl;

	for (; line > 1; line--) {
		nl = memchr(text, '\n', (size_t)(end - text));
		if (!nl)
			return false;
		text = nl + 1;
	}
	nl = memchr(text, '\n', (size_t)(end - text));
	*out = text;
	*n = (size_t)((nl ? nl : end) - text);
	if (*n && text[*n - 1] == '\r')
		--*n;
	return *n > 0;
}

/* The line itself, and a caret below its `column`th character. */
static void print_line(const char *text, size_t size, const struct config_error *e)
{
	char shown[LINE_SHOWN * 4 + 8];
	const char *line;
	unsigned column = 1;
	size_t n, i;

	if (!e->line || !find_line(text, size, e->line, &line, &n))
		return;
	cli_safe_line(line, n, shown, sizeof(shown));
	printf("%5u | %s\n      | ", e->line, shown);
	/* One blank for each character before: a tab for a tab, nothing for the rest of UTF-8. */
	for (i = 0; shown[i] && column < e->column; i++) {
		if (((unsigned char)shown[i] & 0xc0) == 0x80)
			continue;
		putchar(shown[i] == '\t' ? '\t' : ' ');
		column++;
	}
	printf("%s^%s\n", cli_on(CLI_GREEN), cli_off(CLI_GREEN));
}

static void print_list(const char *file, const char *text, size_t size,
		       const struct config_error *list, size_t n, const char *what,
		       enum cli_colour colour)
{
	size_t i;

	for (i = 0; i < n; i++) {
		const struct config_error *e = &list[i];

		if (e->line)
			printf("%s:%u:%u: ", file, e->line, e->column);
		else
			printf("%s: ", file);
		printf("%s%s:%s %s\n", cli_on(colour), what, cli_off(colour), e->text);
		print_line(text, size, e);
	}
}

static json_t *json_list(const struct config_error *list, size_t n)
{
	json_t *out = json_array();
	size_t i;

	for (i = 0; i < n; i++)
		json_array_append_new(
			out, json_pack("{s:I, s:I, s:s}", "line", (json_int_t)list[i].line,
				       "column", (json_int_t)list[i].column, "text", list[i].text));
	return out;
}

static size_t n_tunnels(const struct config *c)
{
	size_t i, n = 0;

	for (i = 0; i < c->n_connections; i++)
		n += c->connections[i].n_tunnels;
	return n;
}

/* Where a time was asked for, or where there is more than DPD: what it comes to. */
static void print_failover(const struct config *c)
{
	char text[CONFIG_DURATION_STRLEN];
	const char *by;

	for (size_t i = 0; i < c->n_connections; i++) {
		for (size_t j = 0; j < c->connections[i].n_tunnels; j++) {
			const struct config_tunnel *t = &c->connections[i].tunnels[j];
			const struct mono_span worst = config_failover_worst(t, &by);

			if (t->bgp.on || t->bfd.on || t->probe.on)
				printf("tunnel %s: if it goes silent, traffic leaves it within %s "
				       "(%s)\n",
				       t->name, config_duration_format(worst, text), by);
		}
	}
}

static void print_result(const char *file, const char *text, size_t size, const struct config *c,
			 const struct config_errors *e)
{
	char *safe = cli_safe(file);

	if (!safe)
		return;
	print_list(safe, text, size, e->errors, e->n, "error", CLI_RED);
	print_list(safe, text, size, e->warnings, e->n_warnings, "warning", CLI_YELLOW);
	if (c)
		printf("%s: %sok%s: gateway %s, %zu port%s, %zu connection%s, %zu tunnel%s\n", safe,
		       cli_on(CLI_GREEN), cli_off(CLI_GREEN), c->name, c->n_ports,
		       c->n_ports == 1 ? "" : "s", c->n_connections,
		       c->n_connections == 1 ? "" : "s", n_tunnels(c),
		       n_tunnels(c) == 1 ? "" : "s");
	if (c)
		print_failover(c);
	free(safe);
}

int cli_check(const struct cli_args *a)
{
	const char *file = a->words[0];
	struct config_errors *errors = calloc(1, sizeof(*errors));
	struct config *c = NULL;
	char *text = NULL;
	size_t size = 0;
	int r = CLI_ERROR;

	if (!errors) {
		cli_fail(a, "failed", "out of memory");
		goto out;
	}
	text = read_file(file, &size);
	if (!text) {
		cli_fail(a, "failed", "cannot read %s: %s", file, strerror(errno));
		goto out;
	}
	c = config_parse(text, size, errors);
	r = c ? CLI_OK : CLI_ERROR;
	if (c)
		cli_check_kem(text, size, c, errors);
	if (a->json)
		cli_print_json(json_pack("{s:i, s:s, s:b, s:o, s:o}", "version", 1, "file", file,
					 "ok", c != NULL, "errors",
					 json_list(errors->errors, errors->n), "warnings",
					 json_list(errors->warnings, errors->n_warnings)));
	else
		print_result(strcmp(file, "-") ? file : "standard input", text, size, c, errors);
out:
	config_free(c);
	free(text);
	free(errors);
	return r;
}
