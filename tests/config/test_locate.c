/* SPDX-License-Identifier: Apache-2.0 */
/* Where a tunnel's keys stand in a text: one line a case. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>
#include "config/locate.h"

static const char text[] = "version: 1\n"
			   "connections:\n"
			   "  - name: a\n"
			   "    remote_networks: [10.2.0.0/24]\n"
			   "    defaults:\n"
			   "      remote_id: a.example.net\n"
			   "      ike:\n"
			   "        dh: [19, 20]\n"
			   "    tunnels:\n"
			   "      - name: a-1\n"
			   "        ike: {dh:\n"
			   "          [31]}\n"
			   "      - name: a-2\n"
			   "        startup: add\n";

static const struct {
	const char *tunnel, *key;
	bool found;
	enum config_place_kind kind;
	unsigned line;
	bool is_list;
	const char *value;
} cases[] = {
	{"a-1", "ike.dh", true, CONFIG_PLACE_TUNNEL, 11, true, "[31]"},
	{"a-2", "ike.dh", true, CONFIG_PLACE_DEFAULTS, 8, true, "[19, 20]"},
	{"a-1", "remote_id", true, CONFIG_PLACE_DEFAULTS, 6, false, "a.example.net"},
	{"a-2", "startup", true, CONFIG_PLACE_TUNNEL, 14, false, "add"},
	{"a-2", "remote_networks", true, CONFIG_PLACE_CONNECTION, 4, true, "[10.2.0.0/24]"},
	{"a-1", "esp.esn", true, CONFIG_PLACE_NOWHERE, 10, true, "[true, false]"},
	{"a-1", "local_id", true, CONFIG_PLACE_NOWHERE, 10, false, ""},
	{"a-3", "ike.dh", false, 0, 0, false, ""},
	{"a-1", "ike.dhh", false, 0, 0, false, ""},
	{"a-1", "ike.dh.x", false, 0, 0, false, ""},
};

static void locate_cases(void **state)
{
	struct config_places *all = config_places_new(text, strlen(text));
	struct config_place p;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const bool found = config_places_find(all, cases[i].tunnel, cases[i].key, &p);

		assert_int_equal(found, cases[i].found);
		if (!found)
			continue;
		assert_int_equal(p.kind, cases[i].kind);
		assert_int_equal(p.line, cases[i].line);
		assert_int_equal(p.is_list, cases[i].is_list);
		assert_string_equal(p.value, cases[i].value);
	}
	config_places_free(all);
}

static void no_text(void **state)
{
	static const char *const bad[] = {"",
					  "- a",
					  "connections: 1",
					  "connections: [1, {tunnels: 2}]",
					  "connections: [{tunnels: [{name: [a-1]}]}]",
					  "{",
					  "a: &x b"};
	struct config_place p;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct config_places *none = config_places_new(bad[i], strlen(bad[i]));

		assert_false(config_places_find(none, "a-1", "ike.dh", &p));
		config_places_free(none);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(locate_cases),
					   cmocka_unit_test(no_text)};

	return cmocka_run_group_tests_name("locate", tests, NULL, NULL);
}
