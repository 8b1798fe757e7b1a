/* SPDX-License-Identifier: Apache-2.0 */
/* vectors: the reader of vector files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/ike/util.h"
#include "tests/ike/vectors.h"

static const struct vector_field *find(const struct vector *v, const char *name)
{
	for (size_t i = 0; i < v->n_fields; i++)
		if (strcmp(v->fields[i].name, name) == 0)
			return &v->fields[i];
	return NULL;
}

static const struct vector_field *need(const struct vector *v, const char *name)
{
	const struct vector_field *f = find(v, name);

	if (!f)
		fail_msg("%s: no field %s", v->title, name);
	return f;
}

bool vector_has(const struct vector *v, const char *name)
{
	return find(v, name) != NULL;
}

const struct vector_field *vector_bytes(const struct vector *v, const char *name)
{
	const struct vector_field *f = need(v, name);

	if (!f->bytes)
		fail_msg("%s: %s is not hex", v->title, name);
	return f;
}

unsigned vector_number(const struct vector *v, const char *name)
{
	return (unsigned)strtoul(need(v, name)->text, NULL, 10);
}

const char *vector_text(const struct vector *v, const char *name)
{
	return need(v, name)->text;
}

static bool is_hex(const char *s)
{
	size_t n = 0;

	for (; s[n]; n++)
		if (!isxdigit((unsigned char)s[n]))
			return false;
	return n % 2 == 0;
}

static void field_add(struct vector *v, char *line)
{
	struct vector_field *f = &v->fields[v->n_fields];
	char *value = strchr(line, '=');

	if (!value || v->n_fields == VECTOR_FIELDS_MAX)
		fail_msg("%s: bad line: %s", v->title, line);
	*value++ = '\0';
	value += strspn(value, " ");
	line[strcspn(line, " ")] = '\0';
	snprintf(f->name, sizeof(f->name), "%s", line);
	f->text = strdup(value);
	f->bytes = NULL;
	f->size = 0;
	if (is_hex(value)) {
		f->size = strlen(value) / 2;
		f->bytes = malloc(f->size + 1);
		assert_non_null(f->bytes);
		unhex(value, f->bytes, f->size);
	}
	v->n_fields++;
}

static void finish(struct vector *v, void (*run)(const struct vector *v), size_t *n)
{
	if (v->title[0]) {
		run(v);
		++*n;
	}
	for (size_t i = 0; i < v->n_fields; i++) {
		free(v->fields[i].text);
		free(v->fields[i].bytes);
	}
	memset(v, 0, sizeof(*v));
}

size_t vectors_run(const char *folder, const char *file, void (*run)(const struct vector *v))
{
	static struct vector v;
	char path[512], *line = NULL;
	size_t size = 0, n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", folder, file);
	f = fopen(path, "r");
	if (!f)
		fail_msg("cannot read %s", path);
	while (getline(&line, &size, f) > 0) {
		line[strcspn(line, "\n")] = '\0';
		if (line[0] == '#' || line[0] == '\0')
			continue;
		if (line[0] == '[') {
			finish(&v, run, &n);
			line[strcspn(line, "]")] = '\0';
			snprintf(v.title, sizeof(v.title), "%s", line + 1);
		} else {
			field_add(&v, line);
		}
	}
	finish(&v, run, &n);
	free(line);
	fclose(f);
	return n;
}
