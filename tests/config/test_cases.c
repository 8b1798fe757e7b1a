/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the cases of cases.txt: a change of base.yaml, and everything that it makes config say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "config/config.h"

#define TEXT_MAX   65536
#define WANTED_MAX 16

struct test_case {
	unsigned line; /* in cases.txt */
	char text[TEXT_MAX];
	size_t size;
	char old[4096];
	bool has_old, any;
	char wanted[WANTED_MAX][400]; /* "= 1:2: text" */
	size_t n_wanted;
};

static char base[TEXT_MAX];
static size_t base_size;
static unsigned n_cases, n_failed;

static size_t read_all(const char *path, char *out, size_t size)
{
	FILE *f = fopen(path, "re");
	size_t n;

	if (!f) {
		print_error("cannot open %s\n", path);
		abort();
	}
	n = fread(out, 1, size - 1, f);
	out[n] = 0;
	fclose(f);
	return n;
}

/* \n, \t, \\ and \xNN. */
static size_t unescape(const char *s, char *out)
{
	unsigned byte;
	size_t n = 0;

	while (*s) {
		if (s[0] == '\\' && s[1] == 'x' && sscanf(s + 2, "%2x", &byte) == 1) {
			out[n++] = (char)byte;
			s += 4;
		} else if (s[0] == '\\' && s[1]) {
			out[n++] = s[1] == 'n' ? '\n' : s[1] == 't' ? '\t' : s[1];
			s += 2;
		} else {
			out[n++] = *s++;
		}
	}
	out[n] = 0;
	return n;
}

/* Replaces the first `old` of the text. */
static void change(struct test_case *t, const char *new, size_t n_new)
{
	const size_t n_old = strlen(t->old);
	char *at = t->has_old ? strstr(t->text, t->old) : NULL;

	if (t->has_old && !at) {
		print_error("line %u: the text has no '%s'\n", t->line, t->old);
		abort();
	}
	if (!at) {
		memcpy(t->text, new, n_new + 1);
		t->size = n_new;
	} else {
		memmove(at + n_new, at + n_old, t->size - (size_t)(at - t->text) - n_old + 1);
		memcpy(at, new, n_new);
		t->size = t->size + n_new - n_old;
	}
	t->has_old = false;
}

static bool take_wanted(struct test_case *t, const char *got)
{
	size_t i;

	for (i = 0; i < t->n_wanted; i++) {
		if (!strcmp(t->wanted[i], got)) {
			t->wanted[i][0] = 0;
			return true;
		}
	}
	return false;
}

static bool compare(struct test_case *t, char sign, const struct config_error *list, size_t n)
{
	char got[400];
	bool ok = true;
	size_t i;

	for (i = 0; i < n; i++) {
		snprintf(got, sizeof(got), "%c %u:%u: %s", sign, list[i].line, list[i].column,
			 list[i].text);
		if (take_wanted(t, got))
			continue;
		print_error("cases.txt:%u: not expected:\n%s\n", t->line, got);
		ok = false;
	}
	return ok;
}

static void run(struct test_case *t)
{
	struct config_errors e;
	struct config *c;
	bool ok;
	size_t i;

	if (!t->any)
		return;
	/* An exact allocation, so that a sanitizer sees a read past the end. */
	char *text = malloc(t->size ? t->size : 1);
	assert_non_null(text);
	memcpy(text, t->text, t->size);
	c = config_parse(text, t->size, &e);
	free(text);
	ok = compare(t, '=', e.errors, e.n);
	ok = compare(t, '~', e.warnings, e.n_warnings) && ok;
	for (i = 0; i < t->n_wanted; i++) {
		if (!t->wanted[i][0])
			continue;
		print_error("cases.txt:%u: missing:\n%s\n", t->line, t->wanted[i]);
		ok = false;
	}
	if ((c == NULL) != (e.n > 0)) {
		print_error("cases.txt:%u: a struct and errors at once, or neither\n", t->line);
		ok = false;
	}
	config_free(c);
	n_cases++;
	n_failed += !ok;
}

static void begin(struct test_case *t, unsigned line)
{
	*t = (struct test_case){.line = line, .size = base_size};
	memcpy(t->text, base, base_size + 1);
}

static void line_of_case(struct test_case *t, const char *line, unsigned number)
{
	const char *rest = line[0] && line[1] == ' ' ? line + 2 : line + 1;
	char new[4096];
	size_t n;

	if ((line[0] == '-' || line[0] == '+') && t->n_wanted) {
		run(t);
		begin(t, number);
	}
	t->any = true;
	if (line[0] == '-') {
		unescape(rest, t->old);
		t->has_old = true;
	} else if (line[0] == '+') {
		n = unescape(rest, new);
		change(t, new, n);
	} else {
		assert_true(t->n_wanted < WANTED_MAX);
		snprintf(t->wanted[t->n_wanted++], sizeof(t->wanted[0]), "%s", line);
	}
}

static void all_cases(void **state)
{
	static struct test_case t;
	static char text[TEXT_MAX];
	unsigned number = 0;
	char *rest = text, *line;

	base_size = read_all(getenv("CONFIG_BASE"), base, sizeof(base));
	read_all(getenv("CONFIG_CASES"), text, sizeof(text));
	begin(&t, 1);
	while ((line = strsep(&rest, "\n"))) {
		number++;
		if (strchr("-+=~", line[0]) && line[0]) {
			line_of_case(&t, line, number);
		} else if (!line[0]) { /* an empty line ends a case */
			run(&t);
			begin(&t, number + 1);
		}
	}
	run(&t);
	print_message("# %u cases\n", n_cases);
	assert_true(n_cases > 100);
	assert_int_equal(n_failed, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(all_cases)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
