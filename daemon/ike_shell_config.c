/* SPDX-License-Identifier: Apache-2.0 */
/* ike_shell_config: tunnels of the core from one configuration to the next, by difference. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/ike_shell.h"
#include "daemon/translate.h"

struct ike_tunnel_rec *ike_shell_tunnel(const struct ike_shell *s, uint32_t tunnel)
{
	return tunnel < s->n_tunnels ? s->tunnels[tunnel] : NULL;
}

struct ike_tunnel_rec *ike_shell_tunnel_named(const struct ike_shell *s, const char *name)
{
	for (size_t i = 0; i < s->n_tunnels; i++) {
		if (s->tunnels[i] && strcmp(s->tunnels[i]->cfg.name, name) == 0)
			return s->tunnels[i];
	}
	return NULL;
}

static bool make_room(struct ike_shell *s, size_t n)
{
	struct ike_tunnel_rec **grown;

	if (n <= s->n_tunnels)
		return true;
	grown = realloc(s->tunnels, n * sizeof(struct ike_tunnel_rec *));
	if (!grown)
		return false;
	memset(grown + s->n_tunnels, 0, (n - s->n_tunnels) * sizeof(struct ike_tunnel_rec *));
	s->tunnels = grown;
	s->n_tunnels = n;
	return true;
}

/* The first reason is enough for a line; every one is logged. */
static void complain(char *why, size_t why_size, const char *text)
{
	log_error("%s", text);
	if (why[0] == '\0')
		snprintf(why, why_size, "%s", text);
}

static void set_tunnel(struct ike_shell *s, const struct config_connection *c,
		       const struct config_tunnel *t, char *why, size_t why_size)
{
	struct ike_tunnel_cfg cfg;
	struct ike_tunnel_rec *rec = ike_shell_tunnel(s, t->index);
	char text[256];

	if (!translate_ike_tunnel(c, t, &cfg, text, sizeof(text))) {
		complain(why, why_size, text);
		return;
	}
	if (!rec) {
		rec = t->index < s->config->max_tunnels && make_room(s, t->index + 1)
			      ? calloc(1, sizeof(*rec))
			      : NULL;
		if (!rec) {
			snprintf(text, sizeof(text), "tunnel '%s': out of memory", t->name);
			complain(why, why_size, text);
			return;
		}
		s->tunnels[t->index] = rec;
	} else if (translate_ike_tunnel_equal(&rec->cfg, &cfg)) {
		rec->of = t;
		rec->connection = c;
		return;
	}
	rec->cfg = cfg;
	rec->of = t;
	rec->connection = c;
	if (!ike_tunnel_set(s->core, &cfg, s->now, &s->out)) {
		snprintf(text, sizeof(text), "tunnel '%s': out of memory", t->name);
		complain(why, why_size, text);
	}
	ike_shell_carry_out(s);
	ike_shell_auth_trust_of(s, rec);
}

static void remove_tunnel(struct ike_shell *s, uint32_t tunnel)
{
	ike_tunnel_remove(s->core, tunnel, s->now, &s->out);
	ike_shell_carry_out(s);
	if (s->tunnels[tunnel]->up) {
		s->tunnels[tunnel]->up = false;
		ike_shell_tell_state(s, s->tunnels[tunnel]);
	}
	free(s->tunnels[tunnel]);
	s->tunnels[tunnel] = NULL;
}

void ike_shell_configure(struct ike_shell *s, struct config *new, char *why, size_t why_size)
{
	struct ike_event reloaded = {.type = IKE_EV_RELOADED};
	struct config *old = s->config;

	why[0] = '\0';
	s->config = new;
	/* First what goes, so that what comes finds the peer without the old SAs. */
	for (uint32_t i = 0; i < s->n_tunnels; i++) {
		if (s->tunnels[i] && !config_tunnel_by_name(new, s->tunnels[i]->cfg.name, NULL))
			remove_tunnel(s, i);
	}
	for (size_t i = 0; i < new->n_connections; i++) {
		for (size_t j = 0; j < new->connections[i].n_tunnels; j++)
			set_tunnel(s, &new->connections[i], &new->connections[i].tunnels[j], why,
				   why_size);
	}
	/* What was refused keeps its core's state, but must not point into the old text. */
	for (uint32_t i = 0; i < s->n_tunnels; i++) {
		if (s->tunnels[i])
			s->tunnels[i]->of = config_tunnel_by_name(new, s->tunnels[i]->cfg.name,
								  &s->tunnels[i]->connection);
	}
	if (old)
		config_free(old);
	/* Keys, certificates and revocation lists were read again as well. */
	ike_shell_step(s, &reloaded);
}

void ike_shell_forget_tunnels(struct ike_shell *s)
{
	for (size_t i = 0; i < s->n_tunnels; i++)
		free(s->tunnels[i]);
	free(s->tunnels);
	s->tunnels = NULL;
	s->n_tunnels = 0;
}
