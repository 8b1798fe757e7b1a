/* SPDX-License-Identifier: Apache-2.0 */
/* The doctor of a gateway whose every tunnel is broken: its work is that of the tunnels, not more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "config/tree.h"
#include "daemon/control_int.h"

#define N_TUNNELS 1700u

static unsigned n_parses, n_lookups;

struct config_node *__real_config_tree_parse(struct config_tree *t, const char *text, size_t size,
					     struct config_diag *d);
struct config_node *__wrap_config_tree_parse(struct config_tree *t, const char *text, size_t size,
					     struct config_diag *d);
json_t *__real_json_object_get(const json_t *o, const char *key);
json_t *__wrap_json_object_get(const json_t *o, const char *key);

struct config_node *__wrap_config_tree_parse(struct config_tree *t, const char *text, size_t size,
					     struct config_diag *d)
{
	n_parses++;
	return __real_config_tree_parse(t, text, size, d);
}

json_t *__wrap_json_object_get(const json_t *o, const char *key)
{
	n_lookups++;
	return __real_json_object_get(o, key);
}

/* A gateway with that many tunnels, each with a key exchange that its peer does not take. */
static void broken_gateway(unsigned n, struct control *c, struct control_request *r)
{
	struct config_connection *connections = calloc(n, sizeof(*connections));
	const size_t room = 200 + 80 * (size_t)n;
	json_t *reply = json_array();
	struct sb text;

	*c = (struct control){.config = calloc(1, sizeof(*c->config)), .text = malloc(room)};
	*r = (struct control_request){.control = c};
	text = sb_of(c->text, room);
	sb_str(&text, "connections:\n");
	for (unsigned i = 0; i < n; i++) {
		snprintf(connections[i].tunnels[0].name, sizeof(connections[i].tunnels[0].name),
			 "t-%u", i);
		connections[i].n_tunnels = 1;
		sb_printf(&text, "- {name: c-%u, tunnels: [{name: t-%u, ike: {dh: [19]}}]}\n", i,
			  i);
	}
	/* ike answers in an order of its own. */
	for (unsigned i = n; i-- > 0;)
		json_array_append_new(
			reply, json_pack("{s:s, s:b, s:s, s:{s:s, s:s, s:s, s:s, s:s}}", "name",
					 connections[i].tunnels[0].name, "up", 0, "layer", "ike",
					 "mismatch", "layer", "ike", "what", "key exchange",
					 "differs", "20 is wanted", "key", "ike.dh", "add", "20"));
	c->config->connections = connections;
	c->config->n_connections = n;
	c->text_size = text.n;
	r->parts[0].reply = json_array();
	r->parts[1].reply = reply;
}

static void free_gateway(struct control *c, struct control_request *r)
{
	json_decref(r->parts[0].reply);
	json_decref(r->parts[1].reply);
	free(c->config->connections);
	free(c->config);
	free(c->text);
}

/* Look-ups of the doctor, of which every tunnel has its finding with its line. */
static unsigned examine(unsigned n)
{
	struct control c;
	struct control_request r;
	json_t *result, *finding;
	unsigned work, found = 0;
	size_t i;

	broken_gateway(n, &c, &r);
	n_parses = n_lookups = 0;
	result = control_doctor(&r);
	work = n_lookups;
	assert_int_equal(n_parses, 1);
	assert_int_equal(json_integer_value(json_object_get(result, "tunnels")), n);
	json_array_foreach (json_object_get(result, "findings"), i, finding) {
		const json_t *fix = json_object_get(finding, "fix");
		const char *subject = json_string_value(json_object_get(finding, "subject"));
		unsigned number;

		if (sscanf(subject, "t-%u", &number) != 1)
			continue;
		assert_int_equal(number, found++);
		assert_int_equal(json_integer_value(json_object_get(fix, "line")), number + 2);
		assert_string_equal(json_string_value(json_object_get(fix, "instead")),
				    "dh: [19, 20]");
	}
	assert_int_equal(found, n);
	json_decref(result);
	free_gateway(&c, &r);
	return work;
}

static void work_is_linear(void **state)
{
	const unsigned one = examine(1), many = examine(N_TUNNELS);

	(void)state;
	assert_true(one >= 5);
	assert_true(many <= one * N_TUNNELS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(work_is_linear)};

	return cmocka_run_group_tests_name("doctor", tests, NULL, NULL);
}
