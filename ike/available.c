/* SPDX-License-Identifier: Apache-2.0 */
/*
 * available: what of a tunnel's key exchange methods this machine's library can compute. The rest is
 * taken out of the lists before anything is offered or chosen; a tunnel that has nothing left then is
 * unable, and says why.
 */
#include "ike/ike_int.h"

static const char *restrict_list(const struct ike_crypto *c, struct ike_alg_list *l,
				 bool additional)
{
	bool kem = false;
	size_t n = 0;

	for (size_t i = 0; i < l->n; i++) {
		const uint16_t id = l->algs[i].id;

		if (id == IKE_DH_NONE || !c->dh_available ||
		    c->dh_available(c->ctx, (enum ike_dh)id))
			l->algs[n++] = l->algs[i];
		else
			kem |= ike_dh_desc(id) && ike_dh_desc(id)->kem;
	}
	if (n == 0 && l->n && additional)
		return kem ? "'pq: require', but this machine's libcrypto has no ML-KEM: it "
			     "needs OpenSSL 3.5 or later"
			   : "this machine's libcrypto has none of the groups of an additional key "
			     "exchange ('additional_key_exchanges')";
	if (n == 0 && l->n)
		return "this machine's libcrypto has none of its groups ('dh', 'pfs')";
	/* NONE alone is the same as nothing. */
	l->n = additional && n == 1 && l->algs[0].id == IKE_DH_NONE ? 0 : (uint16_t)n;
	return NULL;
}

const char *ike_restrict(const struct ike *ike, struct ike_tunnel_cfg *cfg)
{
	struct ike_algs *const both[] = {&cfg->ike_algs, &cfg->esp_algs};
	const char *why = NULL;

	for (size_t i = 0; i < 2 && !why; i++)
		for (uint8_t type = IKE_TRANSFORM_DH; type < IKE_N_ALG_LISTS && !why; type++)
			if (type != IKE_TRANSFORM_ESN)
				why = restrict_list(&ike->crypto, &both[i]->by_type[type],
						    type >= IKE_TRANSFORM_ADDKE1);
	if (why)
		trace(ike->tracer, LOG_LEVEL_ERROR, "%s: %s", cfg->name, why);
	return why;
}
