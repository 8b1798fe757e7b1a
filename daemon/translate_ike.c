/* SPDX-License-Identifier: Apache-2.0 */
/* translate_ike: a configured tunnel as the IKE core wants it. */
#include <assert.h>
#include <stdio.h>
#include <string.h>
#include "daemon/translate.h"
#include "ike/id.h"
#include "ike/ts.h"

static_assert(CONFIG_NAME_SIZE == IKE_NAME_SIZE, "names are copied whole");
static_assert(CONFIG_NAME_SIZE == DP_NAME_SIZE, "names are copied whole");

/* A type that the text itself names, as events print it: "fqdn:gw.example.net". */
static const char *explicit_type(const char *text, uint8_t *type)
{
	static const struct {
		const char *prefix;
		uint8_t type;
	} types[] = {
		{"keyid:", IKE_ID_KEY_ID},      {"fqdn:", IKE_ID_FQDN},
		{"email:", IKE_ID_RFC822_ADDR}, {"dn:", IKE_ID_DER_ASN1_DN},
		{"ip:", IKE_ID_IPV4_ADDR},
	};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		const size_t n = strlen(types[i].prefix);

		if (strncmp(text, types[i].prefix, n) != 0)
			continue;
		*type = types[i].type;
		return text + n;
	}
	*type = IKE_ID_NONE;
	return text;
}

static bool address_id(const struct ip_addr *a, struct ike_id *out)
{
	out->type = a->family == IP_V4 ? IKE_ID_IPV4_ADDR : IKE_ID_IPV6_ADDR;
	out->size = (uint8_t)ip_size(a);
	memcpy(out->data, a->b, out->size);
	return out->size > 0;
}

bool translate_id(const char *text, const struct ip_addr *address, struct ike_id *out)
{
	struct ip_addr a = *address;
	uint8_t type;
	size_t size;

	memset(out, 0, sizeof(*out));
	if (text[0] == '\0' || ip_parse(text, &a))
		return address_id(&a, out);
	text = explicit_type(text, &type);
	if (type == IKE_ID_IPV4_ADDR)
		return ip_parse(text, &a) && address_id(&a, out);
	if ((type == IKE_ID_NONE || type == IKE_ID_DER_ASN1_DN) && strchr(text, '=') &&
	    ike_dn_encode(text, out->data, sizeof(out->data), &size)) {
		out->type = IKE_ID_DER_ASN1_DN;
		out->size = (uint8_t)size;
		return true;
	}
	if (type == IKE_ID_DER_ASN1_DN)
		return false;
	memset(out, 0, sizeof(*out));
	out->type = type ? type : strchr(text, '@') ? IKE_ID_RFC822_ADDR : IKE_ID_FQDN;
	size = strlen(text);
	if (size == 0 || size > sizeof(out->data))
		return false;
	out->size = (uint8_t)size;
	memcpy(out->data, text, size);
	return true;
}

static enum ike_auth_kind auth_kind(enum config_auth a)
{
	switch (a) {
	case CONFIG_AUTH_PSK: return IKE_AUTH_BY_PSK;
	case CONFIG_AUTH_CERTIFICATE: return IKE_AUTH_BY_CERTIFICATE;
	case CONFIG_AUTH_RAW_KEY: return IKE_AUTH_BY_RAW_KEY;
	}
	return IKE_AUTH_BY_CERTIFICATE;
}

static void authentication(const struct config_tunnel *t, struct ike_tunnel_cfg *out)
{
	static_assert(sizeof(t->ppk_id) <= sizeof(out->ppk_id) + 1, "the id fits");
	out->local_auth = auth_kind(t->local_auth);
	out->remote_auth = auth_kind(t->remote_auth);
	out->n_psks = (uint8_t)config_n_files(t, CONFIG_FILE_PSK);
	out->ppk = t->ppk == CONFIG_PPK_REQUIRE  ? IKE_PPK_REQUIRE
		   : t->ppk == CONFIG_PPK_PREFER ? IKE_PPK_PREFER
						 : IKE_PPK_NONE;
	out->ppk_id_size = (uint8_t)strlen(t->ppk_id);
	memcpy(out->ppk_id, t->ppk_id, out->ppk_id_size);
	out->remote_id_wildcard = t->remote_id_wildcard;
	/* A star alone: anybody whose certificate is good. */
	if (t->remote_id_wildcard && strcmp(t->remote_id, "*") == 0)
		memset(&out->remote_id, 0, sizeof(out->remote_id));
}

static bool networks(const struct ip_prefix *p, size_t n, struct ike_ts *ts, size_t *n_ts)
{
	if (n > IKE_MAX_TS)
		return false;
	for (size_t i = 0; i < n; i++)
		ts[i] = ike_ts_from_prefix(&p[i]);
	*n_ts = n;
	return true;
}

static void algs(struct ike_algs *to, uint8_t type, const struct config_alg_list *from)
{
	static_assert(CONFIG_ALGS_MAX <= IKE_MAX_ALGS, "every list fits");
	for (size_t i = 0; i < from->n; i++)
		(void)ike_algs_add(to, type, from->algs[i].id, from->algs[i].bits);
}

/* RFC 9370 2.2.1: ML-KEM first, then the others in their order. */
static void additional(struct ike_algs *to, enum config_pq pq, const struct config_alg_list *kems,
		       const struct config_alg_list more[CONFIG_MORE_KE_MAX])
{
	uint8_t type = IKE_TRANSFORM_ADDKE1;

	static_assert(CONFIG_MORE_KE_MAX <= IKE_MAX_AKE, "each has a type");
	if (pq != CONFIG_PQ_OFF)
		algs(to, type, kems);
	if (pq == CONFIG_PQ_PREFER)
		(void)ike_algs_add(to, type, IKE_DH_NONE, 0);
	type += pq != CONFIG_PQ_OFF;
	for (size_t i = 0; i < CONFIG_MORE_KE_MAX && type < IKE_N_ALG_LISTS; i++)
		algs(to, type++, &more[i]);
}

static void all_algs(const struct config_tunnel *t, struct ike_tunnel_cfg *out)
{
	algs(&out->ike_algs, IKE_TRANSFORM_ENCR, &t->ike_encr);
	algs(&out->ike_algs, IKE_TRANSFORM_INTEG, &t->ike_integ);
	algs(&out->ike_algs, IKE_TRANSFORM_PRF, &t->ike_prf);
	algs(&out->ike_algs, IKE_TRANSFORM_DH, &t->ike_dh);
	additional(&out->ike_algs, t->pq, &t->ike_kem, t->ike_more_ke);
	algs(&out->esp_algs, IKE_TRANSFORM_ENCR, &t->esp_encr);
	algs(&out->esp_algs, IKE_TRANSFORM_INTEG, &t->esp_integ);
	algs(&out->esp_algs, IKE_TRANSFORM_DH, &t->esp_pfs);
	algs(&out->esp_algs, IKE_TRANSFORM_ESN, &t->esp_esn);
	additional(&out->esp_algs, t->esp_pq, &t->esp_kem, t->esp_more_ke);
}

static enum ike_dpd_action dpd_action(enum config_dpd_action a)
{
	switch (a) {
	case CONFIG_DPD_CLEAR: return IKE_DPD_CLEAR;
	case CONFIG_DPD_NONE: return IKE_DPD_NONE;
	case CONFIG_DPD_RESTART: return IKE_DPD_RESTART;
	}
	return IKE_DPD_RESTART;
}

static void mobility(const struct config_tunnel *t, struct ike_tunnel_cfg *out)
{
	static_assert(CONFIG_ADDRESSES_MAX <= IKE_MAX_ADDRESSES, "every address fits");
	out->mobike = t->mobike;
	memcpy(out->more_local, t->additional, t->n_additional * sizeof(t->additional[0]));
	out->n_more_local = t->n_additional;
	out->redirect = t->follow_redirect;
	out->childless = t->childless;
	out->resumption = t->resumption;
}

bool translate_ike_tunnel(const struct config_connection *c, const struct config_tunnel *t,
			  struct ike_tunnel_cfg *out, char *why, size_t why_size)
{
	size_t n_pairs;

	memset(out, 0, sizeof(*out));
	memcpy(out->name, t->name, sizeof(out->name));
	out->tunnel = t->index;
	out->local = t->local;
	out->remote = t->remote;
	if (!translate_id(t->local_id, &t->local, &out->local_id)) {
		snprintf(why, why_size,
			 "tunnel '%s': local_id is no identity, or longer than %u bytes", t->name,
			 IKE_ID_MAX);
		return false;
	}
	if (!translate_id(t->remote_id, &t->remote, &out->remote_id)) {
		snprintf(why, why_size,
			 "tunnel '%s': remote_id is missing, no identity, or longer than %u bytes: "
			 "a "
			 "tunnel without remote_address needs one",
			 t->name, IKE_ID_MAX);
		return false;
	}
	authentication(t, out);
	all_algs(t, out);
	if (!networks(c->local_networks, c->n_local_networks, out->local_ts, &out->n_local_ts) ||
	    !networks(c->remote_networks, c->n_remote_networks, out->remote_ts,
		      &out->n_remote_ts)) {
		snprintf(why, why_size,
			 "connection '%s': more than %u networks on one side: join them or use "
			 "another connection",
			 c->name, IKE_MAX_TS);
		return false;
	}
	n_pairs = translate_count_pairs(out->local_ts, out->n_local_ts, out->remote_ts,
					out->n_remote_ts);
	if (n_pairs == 0 || n_pairs > DP_MAX_TS) {
		snprintf(
			why, why_size,
			"connection '%s': local_networks and remote_networks make %zu pairs of one "
			"address family; 1 to %u are possible: name networks of the same family on "
			"both sides",
			c->name, n_pairs, DP_MAX_TS);
		return false;
	}
	out->ike_lifetime = t->ike_lifetime;
	out->child_lifetime = t->child_lifetime;
	out->rekey_margin = t->rekey_margin;
	out->reauth = t->reauth;
	out->rekey_fuzz_percent = t->rekey_fuzz_percent;
	out->dpd_interval = t->dpd_interval;
	out->dpd_timeout = t->dpd_timeout;
	out->dpd_action = dpd_action(t->dpd_action);
	out->startup = t->startup == CONFIG_STARTUP_START ? IKE_STARTUP_START : IKE_STARTUP_ADD;
	out->encap = t->force_udp_encap ? IKE_ENCAP_FORCE : IKE_ENCAP_AUTO;
	out->nat_keepalive = t->nat_keepalive;
	out->replay_window = t->replay_window;
	out->fragment_size = t->fragmentation ? t->fragment_size : 0;
	out->per_resource = t->per_worker_sas;
	out->ports_vary = t->udp_port_entropy;
	mobility(t, out);
	return true;
}

struct ike_limits translate_ike_limits(const struct config *c)
{
	const uint32_t most = 1u << DP_SLOT_BITS;

	return (struct ike_limits){
		.max_half_open = c->max_half_open,
		.cookie_threshold = c->cookie_threshold,
		.puzzles = c->puzzle_threshold != 0,
		.puzzle_threshold = c->puzzle_threshold,
		.max_half_open_source = c->max_half_open_source,
		.max_children = c->max_sas < most ? c->max_sas : most,
		.n_resources = c->n_workers,
	};
}

bool translate_ike_tunnel_equal(const struct ike_tunnel_cfg *a, const struct ike_tunnel_cfg *b)
{
	/* Both were zeroed before they were filled, padding included. */
	return memcmp(a, b, sizeof(*a)) == 0;
}
