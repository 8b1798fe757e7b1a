/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vectors: reads the text files of vectors/: "[title]" opens a case, "name = hex or number" gives a
 * field, '#' starts a comment.
 */
#ifndef TESTS_IKE_VECTORS_H
#define TESTS_IKE_VECTORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VECTOR_FIELDS_MAX 32

struct vector_field {
	char name[16];
	char *text;
	uint8_t *bytes; /* NULL if the text is not hex */
	size_t size;
};

struct vector {
	char title[96];
	size_t n_fields;
	struct vector_field fields[VECTOR_FIELDS_MAX];
};

/* Calls `run` once a case; returns how many there were. A file that cannot be read fails the test. */
size_t vectors_run(const char *folder, const char *file, void (*run)(const struct vector *v));

bool vector_has(const struct vector *v, const char *name);
/* These fail the test, naming the case, if the field is absent. */
const struct vector_field *vector_bytes(const struct vector *v, const char *name);
unsigned vector_number(const struct vector *v, const char *name);
const char *vector_text(const struct vector *v, const char *name);

#endif
