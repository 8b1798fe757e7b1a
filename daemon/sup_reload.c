/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sup_reload: from the configuration in force to the file's present text.
 *
 * Nothing happens before the whole text, every file of keys and every limit were found good; then each
 * child gets the new text and finds the difference by itself. The answer lists what changed, or
 * all that was wrong.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "daemon/supervisor.h"

#define RELOAD_PATIENCE_S 20u

/* ----------------------------------------------------------- what changed */

static bool prefixes_equal(const struct ip_prefix *a, size_t n_a, const struct ip_prefix *b,
			   size_t n_b)
{
	if (n_a != n_b)
		return false;
	for (size_t i = 0; i < n_a; i++) {
		if (!ip_prefix_equal(&a[i], &b[i]))
			return false;
	}
	return true;
}

static bool tunnels_equal(const struct config_tunnel *a, const struct config_tunnel *b)
{
	struct config_tunnel x = *a, y = *b;

	/* The place in the file does not matter; nor does the key file's content show here. */
	x.line = y.line = 0;
	for (size_t i = 0; i < CONFIG_MAX_FILES; i++)
		x.files[i].line = y.files[i].line = 0;
	return memcmp(&x, &y, sizeof(x)) == 0;
}

static bool networks_equal(const struct config_connection *a, const struct config_connection *b)
{
	return prefixes_equal(a->local_networks, a->n_local_networks, b->local_networks,
			      b->n_local_networks) &&
	       prefixes_equal(a->remote_networks, a->n_remote_networks, b->remote_networks,
			      b->n_remote_networks) &&
	       prefixes_equal(a->static_routes, a->n_static_routes, b->static_routes,
			      b->n_static_routes);
}

static bool filters_equal(const struct config_filter *a, size_t n_a, const struct config_filter *b,
			  size_t n_b)
{
	if (n_a != n_b)
		return false;
	for (size_t i = 0; i < n_a; i++)
		if (!ip_prefix_equal(&a[i].prefix, &b[i].prefix) || a[i].permit != b[i].permit ||
		    a[i].min_len != b[i].min_len || a[i].max_len != b[i].max_len)
			return false;
	return true;
}

/* What a connection says of its routes. */
static bool routes_equal(const struct config_connection *a, const struct config_connection *b)
{
	if (a->n_propagate_to != b->n_propagate_to || strcmp(a->route_table, b->route_table) != 0)
		return false;
	for (size_t i = 0; i < a->n_propagate_to; i++)
		if (strcmp(a->propagate_to[i], b->propagate_to[i]) != 0)
			return false;
	return a->linux_import == b->linux_import && a->cloudhub == b->cloudhub &&
	       a->max_advertised == b->max_advertised && a->attachment == b->attachment &&
	       a->revert_hold.ns == b->revert_hold.ns &&
	       prefixes_equal(a->advertise, a->n_advertise, b->advertise, b->n_advertise) &&
	       filters_equal(a->filter_in, a->n_filter_in, b->filter_in, b->n_filter_in) &&
	       filters_equal(a->filter_out, a->n_filter_out, b->filter_out, b->n_filter_out) &&
	       translation_equal(a->translations, a->n_translations, b->translations,
				 b->n_translations);
}

static bool tables_equal(const struct config_table *a, const struct config_table *b)
{
	if (strcmp(a->name, b->name) != 0 || a->linux_table != b->linux_table ||
	    a->n_static_routes != b->n_static_routes || a->n_aggregates != b->n_aggregates ||
	    !prefixes_equal(a->blackholes, a->n_blackholes, b->blackholes, b->n_blackholes))
		return false;
	for (size_t i = 0; i < a->n_static_routes; i++)
		if (!ip_prefix_equal(&a->static_routes[i].prefix, &b->static_routes[i].prefix) ||
		    strcmp(a->static_routes[i].connection, b->static_routes[i].connection) != 0)
			return false;
	for (size_t i = 0; i < a->n_aggregates; i++)
		if (!ip_prefix_equal(&a->aggregates[i].prefix, &b->aggregates[i].prefix) ||
		    a->aggregates[i].summary_only != b->aggregates[i].summary_only)
			return false;
	return true;
}

static bool routing_equal(const struct config_routing *a, const struct config_routing *b)
{
	const struct config_linux_routes *x = &a->linux_routes, *y = &b->linux_routes;
	const struct config_linux_import *from = &a->linux_import, *to = &b->linux_import;

	if (x->on != y->on || x->table != y->table || x->protocol != y->protocol ||
	    x->metric != y->metric || x->max_routes != y->max_routes || from->on != to->on ||
	    from->table != to->table ||
	    memcmp(from->protocols, to->protocols, sizeof(from->protocols)) != 0)
		return false;
	if (a->role != b->role || a->ecmp != b->ecmp || a->n_tables != b->n_tables ||
	    !prefixes_equal(a->local_networks, a->n_local_networks, b->local_networks,
			    b->n_local_networks))
		return false;
	for (size_t i = 0; i < a->n_tables; i++)
		if (!tables_equal(&a->tables[i], &b->tables[i]))
			return false;
	return true;
}

static void add_name(json_t *changed, const char *name)
{
	json_array_append_new(changed, json_string(name));
}

/* "routing", if that section changed; names of connections that changed by themselves, and of tunnels
 * that changed, came or went. */
static json_t *compare(const struct config *old, const struct config *new, size_t *n_unchanged)
{
	json_t *changed = json_array();

	*n_unchanged = 0;
	if (!routing_equal(&old->routing, &new->routing))
		add_name(changed, "routing");
	for (size_t i = 0; i < new->n_connections; i++) {
		const struct config_connection *c = &new->connections[i];
		const struct config_connection *was = config_connection_by_name(old, c->name);
		const bool same = was && networks_equal(c, was) && routes_equal(c, was);

		if (!same)
			add_name(changed, c->name);
		for (size_t j = 0; j < c->n_tunnels; j++) {
			const struct config_tunnel *t =
				config_tunnel_by_name(old, c->tunnels[j].name, NULL);

			if (t && tunnels_equal(t, &c->tunnels[j]))
				(*n_unchanged)++;
			else
				add_name(changed, c->tunnels[j].name);
		}
	}
	for (size_t i = 0; i < old->n_connections; i++) {
		const struct config_connection *c = &old->connections[i];

		if (!config_connection_by_name(new, c->name))
			add_name(changed, c->name);
		for (size_t j = 0; j < c->n_tunnels; j++) {
			if (!config_tunnel_by_name(new, c->tunnels[j].name, NULL))
				add_name(changed, c->tunnels[j].name);
		}
	}
	return changed;
}

/* -------------------------------------------------- what cannot be changed */

static void fixed(bool same, const char *what, char *problems, size_t size)
{
	const size_t n = strlen(problems);

	if (!same)
		snprintf(problems + n, size - n,
			 "%s cannot change while the gateway runs: restart twinbored\n", what);
}

/* Addresses may differ: Linux has changed those of its interface, and this tells of it. */
static bool ports_equal(const struct config *a, const struct config *b)
{
	if (a->n_ports != b->n_ports)
		return false;
	for (size_t i = 0; i < a->n_ports; i++) {
		const struct config_port *x = &a->ports[i], *y = &b->ports[i];

		if (strcmp(x->name, y->name) != 0 || x->is_pci != y->is_pci ||
		    strcmp(x->device, y->device) != 0 || x->mtu != y->mtu ||
		    x->offloads != y->offloads || strcmp(x->route_table, y->route_table) != 0)
			return false;
	}
	return true;
}

static void check_fixed(const struct config *a, const struct config *b, char *problems, size_t size)
{
	bool cpus = !a->worker_cpus == !b->worker_cpus;

	for (unsigned i = 0;
	     cpus && a->worker_cpus && a->n_workers == b->n_workers && i < a->n_workers; i++)
		cpus = a->worker_cpus[i] == b->worker_cpus[i];
	fixed(strcmp(a->user, b->user) == 0, "gateway.user", problems, size);
	fixed(strcmp(a->state_directory, b->state_directory) == 0, "gateway.state_directory",
	      problems, size);
	fixed(strcmp(a->control_socket, b->control_socket) == 0, "gateway.control_socket", problems,
	      size);
	fixed(strcmp(a->control_group, b->control_group) == 0, "gateway.control_group", problems,
	      size);
	fixed(ports_equal(a, b), "a port's device, MTU, offloads or route table in 'ports'",
	      problems, size);
	fixed(a->n_workers == b->n_workers && cpus, "dataplane.workers", problems, size);
	fixed(a->hugepages == b->hugepages, "dataplane.hugepages", problems, size);
	fixed(a->memory_mb == b->memory_mb, "dataplane.memory", problems, size);
	fixed(a->max_sas == b->max_sas, "dataplane.max_sas", problems, size);
	fixed(a->max_tunnels == b->max_tunnels, "dataplane.max_tunnels", problems, size);
	fixed(strcmp(a->aead_backend, b->aead_backend) == 0, "dataplane.aead_backend", problems,
	      size);
	fixed(strcmp(a->crypto_device, b->crypto_device) == 0, "dataplane.crypto_device", problems,
	      size);
}

/* ------------------------------------------------------------------- steps */

static void refuse(struct supervisor *s, bool asked, uint64_t id, char *problems)
{
	char *end;

	sup_notify("READY=1\nSTATUS=reload refused, the earlier configuration is in force\n");
	if (asked) {
		/* Lines, without an empty last one. */
		const size_t n = strlen(problems);

		if (n > 0 && problems[n - 1] == '\n')
			problems[n - 1] = '\0';
		sup_reply(s, id, false, json_pack("{ssss}", "code", "failed", "message", problems));
	}
	log_error("the configuration was not reloaded, the earlier one stays in force:");
	for (char *line = strtok_r(problems, "\n", &end); line; line = strtok_r(NULL, "\n", &end))
		log_error("%s", line);
}

static void finish(struct supervisor *s)
{
	struct sup_reload *r = &s->reload;
	char text[96];

	r->active = false;
	snprintf(text, sizeof(text), "%zu changed, %zu tunnels unchanged",
		 json_array_size(r->changed), r->n_unchanged);
	sup_tell(s, "reloaded", text);
	sup_notify("READY=1\nSTATUS=%zu connections configured\n", s->config->n_connections);
	if (!r->asked) {
		json_decref(r->changed);
	} else if (r->problems[0] != '\0') {
		sup_reply(s, r->id, false,
			  json_pack("{ssss}", "code", "failed", "message", r->problems));
		json_decref(r->changed);
	} else {
		sup_reply(s, r->id, true,
			  json_pack("{sosI}", "changed", r->changed, "unchanged",
				    (json_int_t)r->n_unchanged));
	}
	r->changed = NULL;
}

static bool all_answered(const struct supervisor *s)
{
	for (int role = 0; role < IPC_ROLE_END; role++) {
		if (s->children[role].reloading)
			return false;
	}
	return true;
}

static void send_all(struct supervisor *s)
{
	for (int role = 0; role < IPC_ROLE_END; role++) {
		struct sup_child *c = &s->children[role];

		/* One that is being started reads the new text anyway, later or now. */
		if (!sup_child_alive(c))
			continue;
		c->reloading = sup_send_config(s, c);
	}
}

void sup_reload_begin(struct supervisor *s, bool asked, uint64_t id)
{
	struct config *new;
	struct sup_secrets secrets = {0};
	char problems[8192], *text;
	size_t text_size;

	if (s->reload.active || s->starting || s->stopping) {
		snprintf(problems, sizeof(problems),
			 "the gateway is being started, reloaded or "
			 "stopped: try again in a moment\n");
		refuse(s, asked, id, problems);
		return;
	}
	sup_notify("RELOADING=1\nMONOTONIC_USEC=%llu\n",
		   (unsigned long long)(mono_now().ns / 1000));
	new = sup_config_load(s->options.config_path, &text, &text_size, problems,
			      sizeof(problems));
	if (!new) {
		refuse(s, asked, id, problems);
		return;
	}
	check_fixed(s->config, new, problems, sizeof(problems));
	if (problems[0] == '\0' && !config_assign_indexes(new, s->config))
		snprintf(problems, sizeof(problems),
			 "more tunnels than dataplane.max_tunnels: raise it and restart\n");
	if (problems[0] == '\0' && !sup_config_fits(new))
		snprintf(problems, sizeof(problems), "more than %zu tunnels and route tables\n",
			 (size_t)SUP_MAX_INDEXES);
	if (problems[0] != '\0' ||
	    !sup_secrets_open(s->options.config_path, new, &secrets, problems, sizeof(problems))) {
		config_free(new);
		free(text);
		refuse(s, asked, id, problems);
		return;
	}
	s->reload = (struct sup_reload){
		.active = true,
		.asked = asked,
		.id = id,
		.deadline = mono_add(mono_now(), span_s(RELOAD_PATIENCE_S)),
	};
	s->reload.changed = compare(s->config, new, &s->reload.n_unchanged);
	config_free(s->config);
	free(s->text);
	sup_secrets_close(&s->secrets);
	s->config = new;
	s->text = text;
	s->text_size = text_size;
	s->secrets = secrets;
	s->generation++;
	log_set(new->log_level, new->log_format);
	send_all(s);
	if (all_answered(s))
		finish(s);
}

void sup_reload_answer(struct supervisor *s, struct sup_child *c, const char *text)
{
	struct sup_reload *r = &s->reload;
	const size_t n = strlen(r->problems);

	if (!r->active || !c->reloading)
		return;
	c->reloading = false;
	if (text[0] != '\0') {
		log_error("%s, after the reload: %s", ipc_role_name(c->role), text);
		snprintf(r->problems + n, sizeof(r->problems) - n, "%s%s: %s", n ? "\n" : "",
			 ipc_role_name(c->role), text);
	}
	if (all_answered(s))
		finish(s);
}

void sup_reload_turn(struct supervisor *s, struct mono now)
{
	if (!s->reload.active || !mono_reached(now, s->reload.deadline))
		return;
	for (int role = 0; role < IPC_ROLE_END; role++) {
		if (s->children[role].reloading)
			sup_reload_answer(s, &s->children[role], "does not answer");
	}
}
