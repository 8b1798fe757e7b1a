/* SPDX-License-Identifier: Apache-2.0 */
/* Prints the schema, one key a line, for the test that compares it with the manual page. */
#include <inttypes.h>
#include <stdio.h>
#include "config/schema.h"

static const char *kind_name(enum config_kind kind)
{
	switch (kind) {
	case CONFIG_BOOL: return "bool";
	case CONFIG_UINT: return "number";
	case CONFIG_DURATION: return "duration";
	case CONFIG_WORD: return "word";
	case CONFIG_TEXT: return "text";
	case CONFIG_NAME: return "name";
	case CONFIG_PATH: return "path";
	case CONFIG_ADDRESS: return "address";
	case CONFIG_MAP: return "map";
	case CONFIG_CUSTOM: return "list";
	}
	return "?";
}

static void print_key(void *ctx, const char *path, const struct config_key *k)
{
	char low[CONFIG_DURATION_STRLEN], high[CONFIG_DURATION_STRLEN];
	size_t i;

	printf("%s\t%s\t%s\t%s\t", path, kind_name(k->kind), k->required ? "required" : "",
	       k->def ? k->def : "");
	if (k->kind == CONFIG_UINT)
		printf("%" PRIu64 " to %" PRIu64, k->min, k->max);
	if (k->kind == CONFIG_DURATION)
		printf("%s to %s", config_duration_format(span_ms(k->min), low),
		       config_duration_format(span_ms(k->max), high));
	for (i = 0; k->words && k->words[i]; i++)
		printf("%s%s", i ? " " : "", k->words[i]);
	putchar('\n');
}

int main(void)
{
	config_schema_walk(print_key, NULL);
	return 0;
}
