/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chain: is a peer's certificate good? libcrypto builds the path to an anchor and does RFC 5280 6.1
 * (signatures, times, basicConstraints, pathLenConstraint, name constraints, policies, critical
 * extensions); rules.c and the revocation sources judge every certificate of the path; ident.c says
 * whom the end entity names. All must agree.
 */
#include <stdlib.h>
#include <string.h>
#include <openssl/err.h>
#include "pki/pki_int.h"

/* What a verification works with; everything is freed in one place. */
struct work {
	const struct pki_trust *t;
	X509 *leaf;                 /* owned */
	STACK_OF(X509) * untrusted; /* owned, with its certificates */
	struct pki_crls *crls;      /* what the peer sent, likewise below */
	struct pki_ocsps *ocsps;
	X509_STORE_CTX *ctx;
	struct pki_window window;
	char left_out[PKI_TEXT_SIZE]; /* why a CA that was sent is not used; "" */
};

static void work_free(struct work *w)
{
	X509_STORE_CTX_free(w->ctx);
	X509_free(w->leaf);
	sk_X509_pop_free(w->untrusted, X509_free);
	pki_crls_free(w->crls);
	pki_ocsps_free(w->ocsps);
	ERR_clear_error();
}

/* ------------------------------------------------------------- what there is */

/* A CA that breaks a rule is left out: it costs no verification, and the path fails without it. */
static bool add_untrusted(struct work *w, X509 *cert)
{
	struct sb why = sb_of(w->left_out, sizeof(w->left_out));

	if (!pki_rule_ca(cert, &why))
		return true;
	if (!X509_up_ref(cert))
		return false;
	if (sk_X509_push(w->untrusted, cert) > 0)
		return true;
	X509_free(cert);
	return false;
}

static bool offered_cert(struct work *w, const struct pki_span *der, struct sb *why)
{
	X509 *cert = pki_x509(der->data, der->size);
	bool ok;

	if (!cert) {
		sb_printf(why, "the peer's certificate %d cannot be decoded",
			  w->leaf ? sk_X509_num(w->untrusted) + 2 : 1);
		return false;
	}
	/* RFC 7296 3.6: the first one is the end entity's. */
	if (!w->leaf) {
		w->leaf = cert;
		return true;
	}
	ok = add_untrusted(w, cert);
	X509_free(cert);
	return ok;
}

static bool take_offers(struct work *w, const struct pki_offer *offers, size_t n, struct sb *why)
{
	char text[PKI_TEXT_SIZE];
	struct sb ignored = sb_of(text, sizeof(text));

	for (size_t i = 0; i < n; i++) {
		const struct pki_span *d = &offers[i].data;

		if (offers[i].encoding == PKI_ENCODING_X509) {
			if (!offered_cert(w, d, why))
				return false;
		} else if (offers[i].encoding == PKI_ENCODING_OCSP && !w->ocsps) {
			/* One that cannot be decoded tells nothing, which the policy judges. */
			w->ocsps = pki_ocsps_parse(d->data, d->size, &ignored);
		} else if (offers[i].encoding == PKI_ENCODING_CRL && !w->crls) {
			w->crls = pki_crls_parse(d->data, d->size, &ignored);
		}
	}
	return true;
}

/* RFC 7296 3.6: a peer need not send what we have. */
static void leaf_from_anchors(struct work *w, const struct pki_id *id)
{
	char text[PKI_TEXT_SIZE];

	for (size_t i = 0; !w->leaf && i < pki_certs_n(w->t->anchors); i++) {
		struct sb why = sb_of(text, sizeof(text));
		X509 *cert = sk_X509_value(w->t->anchors->list, (int)i);

		if (pki_x509_names(cert, id, &why) && X509_up_ref(cert))
			w->leaf = cert;
	}
}

/* --------------------------------------------------------------------- path */

static void explain(const struct work *w, struct sb *why)
{
	X509_STORE_CTX *ctx = w->ctx;
	const int error = X509_STORE_CTX_get_error(ctx);
	X509 *cert = X509_STORE_CTX_get_current_cert(ctx);
	int64_t when = 0;

	sb_str(why, "the ");
	if (cert)
		pki_cert_text(cert, why);
	else
		sb_str(why, "peer's certificate");
	switch (error) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
		sb_str(why, " expired on ");
		if (cert && pki_time(X509_get0_notAfter(cert), &when))
			pki_time_text(when, why);
		return;
	case X509_V_ERR_CERT_NOT_YET_VALID:
		sb_str(why, " is not valid before ");
		if (cert && pki_time(X509_get0_notBefore(cert), &when))
			pki_time_text(when, why);
		sb_str(why, ": is the clock right?");
		return;
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
		sb_str(why, " is signed by ");
		if (cert)
			pki_name_text(X509_get_issuer_name(cert), why);
		sb_str(why, ", which is neither a configured CA nor sent by the peer");
		if (w->left_out[0])
			sb_printf(why, " (a certificate that was sent %s)", w->left_out);
		return;
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
		sb_str(why, " is signed by itself and not among the configured CAs");
		return;
	case X509_V_ERR_CERT_SIGNATURE_FAILURE:
		sb_str(why, " has a signature that is not its issuer's");
		return;
	case X509_V_ERR_PATH_LENGTH_EXCEEDED:
		sb_str(why, " may not have so many CAs below it (pathLenConstraint)");
		return;
	case X509_V_ERR_PERMITTED_VIOLATION:
	case X509_V_ERR_EXCLUDED_VIOLATION:
		sb_str(why, " has a name that a CA above it may not certify (nameConstraints)");
		return;
	default: sb_printf(why, " is not good: %s", X509_verify_cert_error_string(error)); return;
	}
}

static bool build_path(struct work *w, struct sb *why)
{
	X509_VERIFY_PARAM *param;

	w->ctx = X509_STORE_CTX_new();
	if (!w->ctx || X509_STORE_CTX_init(w->ctx, NULL, w->leaf, w->untrusted) != 1) {
		sb_str(why, "out of memory");
		return false;
	}
	X509_STORE_CTX_set0_trusted_stack(w->ctx, w->t->anchors->list);
	param = X509_STORE_CTX_get0_param(w->ctx);
	/*
	 * Every configured anchor stands for itself, a subordinate CA too. Strength of keys and
	 * signatures is for rules.c, whose texts say more.
	 */
	X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_TRUSTED_FIRST |
						   X509_V_FLAG_POLICY_CHECK);
	X509_VERIFY_PARAM_set_auth_level(param, 0);
	X509_VERIFY_PARAM_set_depth(param, (int)PKI_CHAIN_MAX - 2);
	X509_VERIFY_PARAM_set_time(param, (time_t)w->t->now);
	if (X509_verify_cert(w->ctx) == 1)
		return true;
	explain(w, why);
	return false;
}

static bool signature_rule(X509 *cert, struct sb *why)
{
	int digest = NID_undef, kind = NID_undef;
	uint32_t flags = 0;

	if (X509_get_signature_info(cert, &digest, &kind, NULL, &flags) != 1) {
		sb_str(why, "is signed by an unknown algorithm");
		return false;
	}
	/* What TLS 1.3 asks too: one hash for message and mask, the salt as long as it. */
	if (kind == EVP_PKEY_RSA_PSS && !(flags & X509_SIG_INFO_TLS)) {
		sb_str(why, "is signed with RSASSA-PSS and parameters that nobody should use");
		return false;
	}
	return pki_rule_signature(kind, digest, why);
}

static bool not_revoked(struct work *w, X509 *cert, X509 *issuer, struct sb *why)
{
	const struct pki_trust *t = w->t;
	char text[PKI_TEXT_SIZE], last[PKI_TEXT_SIZE] = "";
	bool good = false;
	const struct {
		const struct pki_crls *crls;
		const struct pki_ocsps *ocsps;
	} sources[] = {
		{.ocsps = w->ocsps}, {.ocsps = t->ocsps}, {.crls = w->crls}, {.crls = t->crls}};

	for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
		struct sb s = sb_of(text, sizeof(text));
		enum pki_revoked state;

		if (!sources[i].crls && !sources[i].ocsps)
			continue;
		state = sources[i].crls ? pki_crl_state(sources[i].crls, cert, issuer, t->now,
							&w->window, &s)
					: pki_ocsp_state(sources[i].ocsps, cert, issuer, t->now,
							 &w->window, &s);
		if (state == PKI_REVOKED) {
			sb_str(why, text);
			return false;
		}
		good |= state == PKI_REVOKED_GOOD;
		memcpy(last, text, sizeof(last));
	}
	if (good || !t->revocation_strict)
		return true;
	sb_printf(why, "may be revoked: %s",
		  last[0] ? last : "there is neither a CRL nor an OCSP response about it");
	return false;
}

/* Certificate `i` of the path, whose last one is the anchor. */
static bool judge(struct work *w, STACK_OF(X509) * path, int i, struct sb *why)
{
	const int n = sk_X509_num(path);
	X509 *cert = sk_X509_value(path, i);

	if (i > 0 && !pki_rule_ca(cert, why))
		return false;
	/* Nobody vouches for an anchor but the configuration: its signature says nothing. */
	if (i == n - 1)
		return true;
	return signature_rule(cert, why) && not_revoked(w, cert, sk_X509_value(path, i + 1), why);
}

static bool judge_path(struct work *w, int64_t *valid_until, struct sb *why)
{
	STACK_OF(X509) *path = X509_STORE_CTX_get0_chain(w->ctx);
	const int n = sk_X509_num(path);

	*valid_until = INT64_MAX;
	for (int i = 0; i < n; i++) {
		char text[2 * PKI_TEXT_SIZE];
		struct sb s = sb_of(text, sizeof(text));
		int64_t until;

		if (!judge(w, path, i, &s)) {
			sb_str(why, "the ");
			pki_cert_text(sk_X509_value(path, i), why);
			sb_printf(why, " %s", text);
			return false;
		}
		if (!pki_time(X509_get0_notAfter(sk_X509_value(path, i)), &until))
			return false;
		if (until < *valid_until)
			*valid_until = until;
	}
	return n > 0;
}

static bool judge_leaf(struct work *w, const struct pki_id *id, struct sb *why)
{
	char text[PKI_TEXT_SIZE];
	struct sb s = sb_of(text, sizeof(text));

	if (pki_rule_end_entity(w->leaf, &s))
		return pki_x509_names(w->leaf, id, why);
	sb_str(why, "the ");
	pki_cert_text(w->leaf, why);
	sb_printf(why, " %s", text);
	return false;
}

/* ------------------------------------------------------------------ for how long */

void pki_window_cut(struct pki_window *w, int64_t now, int64_t moment)
{
	if (moment <= now && moment > w->from)
		w->from = moment;
	if (moment > now && moment < w->until)
		w->until = moment;
}

static bool cut_by(struct work *w, X509 *cert)
{
	int64_t from, until;

	if (!pki_time(X509_get0_notBefore(cert), &from) ||
	    !pki_time(X509_get0_notAfter(cert), &until))
		return false;
	pki_window_cut(&w->window, w->t->now, from);
	pki_window_cut(&w->window, w->t->now, until);
	return true;
}

/*
 * libcrypto takes a valid issuer rather than another of the same name: each certificate that it could
 * choose from has a say, not those of the path alone.
 */
static void cut_by_all(struct work *w)
{
	bool ok = cut_by(w, w->leaf);

	for (int i = 0; i < sk_X509_num(w->untrusted); i++)
		ok &= cut_by(w, sk_X509_value(w->untrusted, i));
	for (int i = 0; i < sk_X509_num(w->t->anchors->list); i++)
		ok &= cut_by(w, sk_X509_value(w->t->anchors->list, i));
	if (!ok) /* a time that nobody can read: the verdict is for now only */
		w->window = (struct pki_window){0};
}

bool pki_verify_chain(const struct pki_trust *trust, const struct pki_offer *offers, size_t n,
		      const struct pki_id *id, struct pki_pub **pub, int64_t *valid_until,
		      struct pki_window *window, struct sb *why)
{
	struct work w = {.t = trust, .untrusted = sk_X509_new_null(), .window = PKI_WINDOW_ALWAYS};
	bool ok = false;

	*pub = NULL;
	*valid_until = 0;
	if (!w.untrusted)
		goto out;
	if (pki_certs_n(trust->anchors) == 0) {
		sb_str(why, "no CA is configured for the peer");
		goto out;
	}
	if (!take_offers(&w, offers, n, why))
		goto out;
	for (size_t i = 0; i < pki_certs_n(trust->intermediates); i++) {
		if (!add_untrusted(&w, sk_X509_value(trust->intermediates->list, (int)i)))
			goto out;
	}
	leaf_from_anchors(&w, id);
	if (!w.leaf) {
		sb_str(why, "the peer sent no certificate");
		goto out;
	}
	/* Cheap things first: who has no certificate of the right name causes no signature check. */
	if (!judge_leaf(&w, id, why) || !build_path(&w, why) || !judge_path(&w, valid_until, why))
		goto out;
	cut_by_all(&w);
	*window = w.window;
	*pub = pki_pub_from(X509_get0_pubkey(w.leaf), why);
	ok = *pub != NULL;
out:
	work_free(&w);
	return ok;
}

bool pki_verify_peer(const struct pki_trust *trust, const struct pki_offer *offers, size_t n,
		     const struct pki_id *id, struct pki_pub **pub, int64_t *valid_until,
		     struct sb *why)
{
	struct pki_window window;

	return pki_verify_chain(trust, offers, n, id, pub, valid_until, &window, why);
}
