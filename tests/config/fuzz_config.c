/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A configuration text of any bytes: a struct or at least one error, never both; places inside the
 * text; every message ended. libFuzzer's entry; replay.c calls it for the corpus.
 */
#include <stdlib.h>
#include <string.h>
#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
	if (!ok)
		abort();
}

static void check_list(const struct config_error *list, size_t n, size_t size)
{
	size_t i;

	check(n <= CONFIG_MAX_ERRORS);
	for (i = 0; i < n; i++) {
		check(memchr(list[i].text, 0, sizeof(list[i].text)) && list[i].text[0]);
		check(list[i].line <= size + 2 && list[i].column <= size + 2);
		check(!i || list[i - 1].line <= list[i].line);
	}
}

static void check_config(struct config *c)
{
	size_t i, j;

	check(c->name[0] && c->n_ports && c->n_workers);
	for (i = 0; i < c->n_connections; i++) {
		const struct config_connection *conn = &c->connections[i];

		check(conn->n_tunnels >= 1 && conn->n_tunnels <= 2);
		for (j = 0; j < conn->n_tunnels; j++) {
			const struct config_tunnel *t = &conn->tunnels[j];

			check(t->ike_encr.n && t->ike_integ.n && t->ike_prf.n && t->ike_dh.n);
			check(t->esp_encr.n && t->esp_integ.n && t->esp_pfs.n && t->esp_esn.n);
			check(t->ike_encr.n <= CONFIG_ALGS_MAX && t->ike_dh.n <= CONFIG_ALGS_MAX);
			check(t->child_lifetime.ns < t->ike_lifetime.ns);
			check(t->rekey_margin.ns < t->child_lifetime.ns / 2);
			check(t->replay_window % 64 == 0 && t->replay_window <= 4096);
			check(config_tunnel_by_name(c, t->name, NULL) == t);
		}
	}
	check(config_assign_indexes(c, NULL));
	check(config_assign_indexes(c, c));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config_errors e;
	struct config *c = config_parse((const char *)data, size, &e);

	check((c == NULL) == (e.n > 0));
	check_list(e.errors, e.n, size);
	check_list(e.warnings, e.n_warnings, size);
	if (c)
		check_config(c);
	config_free(c);
	return 0;
}
