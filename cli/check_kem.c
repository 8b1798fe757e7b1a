/* SPDX-License-Identifier: Apache-2.0 */
/* check_kem: where a configuration asks for ML-KEM that this machine's libcrypto does not have. */
#include <stdio.h>
#include "cli/cli.h"
#include "config/config.h"
#include "config/locate.h"
#include "ike/crypto.h"

static bool available(const struct ike_crypto *crypto, const struct config_alg_list *kems)
{
	for (size_t i = 0; i < kems->n; i++)
		if (crypto->dh_available(crypto->ctx, (enum ike_dh)kems->algs[i].id))
			return true;
	return false;
}

static void warn(const struct config_places *places, const struct config_tunnel *t, const char *key,
		 const char *consequence, struct config_errors *e)
{
	struct config_error *w;
	struct config_place place;

	if (e->n_warnings == CONFIG_MAX_ERRORS)
		return;
	w = &e->warnings[e->n_warnings++];
	w->line = config_places_find(places, t->name, key, &place) ? place.line : t->line;
	w->column = 1;
	snprintf(w->text, sizeof(w->text),
		 "tunnel '%s': ML-KEM is not available: this machine's libcrypto is older than "
		 "OpenSSL 3.5; %s",
		 t->name, consequence);
}

static void check(const struct ike_crypto *crypto, const struct config_places *places,
		  const struct config_tunnel *t, const char *key, enum config_pq pq,
		  const struct config_alg_list *kems, struct config_errors *e)
{
	if (pq != CONFIG_PQ_OFF && !available(crypto, kems))
		warn(places, t, key,
		     pq == CONFIG_PQ_REQUIRE ? "the tunnel would stay down" : "it goes without", e);
}

void cli_check_kem(const char *text, size_t size, const struct config *c, struct config_errors *e)
{
	struct config_places *places = config_places_new(text, size);
	struct ike_crypto crypto;

	ike_crypto_openssl(&crypto, NULL, NULL);
	for (size_t i = 0; i < c->n_connections; i++) {
		for (size_t j = 0; j < c->connections[i].n_tunnels; j++) {
			const struct config_tunnel *t = &c->connections[i].tunnels[j];

			check(&crypto, places, t, "ike.pq", t->pq, &t->ike_kem, e);
			check(&crypto, places, t, "esp.pq", t->esp_pq, &t->esp_kem, e);
		}
	}
	config_places_free(places);
}
