/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crl: what revocation lists say of a certificate (RFC 5280 5 and 6.3).
 *
 * A list counts when its issuer's key signed it. That a certificate is on one is believed however
 * old the list and whatever part of the certificates it covers; that it is on none tells something
 * only from a fresh list that covers it whole.
 */
#include <stdlib.h>
#include <string.h>
#include <openssl/err.h>
#include "pki/pki_int.h"

static bool take(void *ctx, const char *label, const uint8_t *der, size_t size, struct sb *why)
{
	struct pki_crls *c = ctx;
	X509_CRL *crl = NULL;

	if (label[0] == '\0' || strcmp(label, "X509 CRL") == 0)
		crl = pki_x509_crl(der, size);
	if (crl && sk_X509_CRL_push(c->list, crl) > 0)
		return true;
	X509_CRL_free(crl);
	sb_printf(why, "holds something (number %d) that is no CRL", sk_X509_CRL_num(c->list) + 1);
	return false;
}

struct pki_crls *pki_crls_parse(const uint8_t *data, size_t size, struct sb *why)
{
	struct pki_crls *c = calloc(1, sizeof(*c));

	if (c)
		c->list = sk_X509_CRL_new_null();
	if (!c || !c->list) {
		free(c);
		sb_str(why, "cannot be read: out of memory");
		return NULL;
	}
	if (pki_objects(data, size, take, c, why)) {
		if (sk_X509_CRL_num(c->list) > 0)
			return c;
		sb_str(why, "holds no CRL");
	}
	pki_crls_free(c);
	return NULL;
}

void pki_crls_free(struct pki_crls *c)
{
	if (!c)
		return;
	sk_X509_CRL_pop_free(c->list, X509_CRL_free);
	free(c);
}

bool pki_crls_join(struct pki_crls **to, struct pki_crls *from)
{
	const int more = sk_X509_CRL_num(from->list);

	if (!*to) {
		*to = from;
		return true;
	}
	if (sk_X509_CRL_num((*to)->list) + more > (int)PKI_LIST_MAX ||
	    sk_X509_CRL_reserve((*to)->list, more) != 1)
		return false;
	for (int i = 0; i < more; i++)
		(void)sk_X509_CRL_push((*to)->list, sk_X509_CRL_shift(from->list));
	pki_crls_free(from);
	return true;
}

const char *pki_reason_text(int reason)
{
	switch (reason) {
	case CRL_REASON_KEY_COMPROMISE: return "key compromise";
	case CRL_REASON_CA_COMPROMISE: return "CA compromise";
	case CRL_REASON_AFFILIATION_CHANGED: return "affiliation changed";
	case CRL_REASON_SUPERSEDED: return "superseded";
	case CRL_REASON_CESSATION_OF_OPERATION: return "cessation of operation";
	case CRL_REASON_CERTIFICATE_HOLD: return "certificate on hold";
	case CRL_REASON_PRIVILEGE_WITHDRAWN: return "privilege withdrawn";
	case CRL_REASON_AA_COMPROMISE: return "AA compromise";
	default: return "no reason given";
	}
}

static bool signed_by(X509_CRL *crl, X509 *issuer)
{
	char text[PKI_TEXT_SIZE];
	struct sb why = sb_of(text, sizeof(text));
	EVP_PKEY *key = X509_get0_pubkey(issuer);
	int digest = NID_undef, signature = NID_undef;
	bool ok;

	if (X509_NAME_cmp(X509_CRL_get_issuer(crl), X509_get_subject_name(issuer)) != 0)
		return false;
	/* RFC 5280 6.3.3 (f): cRLSign, where keyUsage is there. */
	if ((X509_get_extension_flags(issuer) & EXFLAG_KUSAGE) &&
	    !(X509_get_key_usage(issuer) & KU_CRL_SIGN))
		return false;
	ok = key && OBJ_find_sigid_algs(X509_CRL_get_signature_nid(crl), &digest, &signature) == 1;
	/* PSS keeps its hash in the parameters; libcrypto checks them against the key. */
	ok = ok && (X509_CRL_get_signature_nid(crl) == NID_rsassaPss ||
		    pki_rule_signature(signature, digest, &why));
	ok = ok && X509_CRL_verify(crl, key) == 1;
	ERR_clear_error();
	return ok;
}

/* True if `cert` names the distribution point that the list says it is of. */
static bool same_point(X509 *cert, const DIST_POINT_NAME *of)
{
	CRL_DIST_POINTS *points = X509_get_ext_d2i(cert, NID_crl_distribution_points, NULL, NULL);
	bool found = false;

	for (int i = 0; points && of->type == 0 && i < sk_DIST_POINT_num(points); i++) {
		const DIST_POINT *p = sk_DIST_POINT_value(points, i);

		if (!p->distpoint || p->distpoint->type != 0)
			continue;
		for (int j = 0; j < sk_GENERAL_NAME_num(p->distpoint->name.fullname); j++) {
			for (int k = 0; k < sk_GENERAL_NAME_num(of->name.fullname); k++)
				found |= GENERAL_NAME_cmp(
						 sk_GENERAL_NAME_value(p->distpoint->name.fullname,
								       j),
						 sk_GENERAL_NAME_value(of->name.fullname, k)) == 0;
		}
	}
	CRL_DIST_POINTS_free(points);
	return found;
}

/* RFC 5280 6.3.3 (b), (c): true if silence of this list is good news for `cert`. */
static bool covers(X509_CRL *crl, X509 *cert)
{
	const bool is_ca = (X509_get_extension_flags(cert) & EXFLAG_CA) != 0;
	int critical = 0;
	ISSUING_DIST_POINT *idp;
	bool ok;

	/* Only what changed since another list; or something critical that we do not know. */
	if (X509_CRL_get_ext_by_NID(crl, NID_delta_crl, -1) >= 0)
		return false;
	for (int i = 0; i < X509_CRL_get_ext_count(crl); i++) {
		X509_EXTENSION *e = X509_CRL_get_ext(crl, i);
		const int nid = OBJ_obj2nid(X509_EXTENSION_get_object(e));

		if (X509_EXTENSION_get_critical(e) && nid != NID_issuing_distribution_point &&
		    nid != NID_authority_key_identifier)
			return false;
	}
	idp = X509_CRL_get_ext_d2i(crl, NID_issuing_distribution_point, &critical, NULL);
	if (!idp)
		return critical == -1; /* absent, and not one that cannot be decoded */
	ok = idp->indirectCRL <= 0 && idp->onlyattr <= 0 && !idp->onlysomereasons &&
	     !(idp->onlyuser > 0 && is_ca) && !(idp->onlyCA > 0 && !is_ca) &&
	     (!idp->distpoint || same_point(cert, idp->distpoint));
	ISSUING_DIST_POINT_free(idp);
	return ok;
}

static bool revoked_by(X509_CRL *crl, X509 *cert, struct sb *text)
{
	X509_REVOKED *entry = NULL;
	const int found = X509_CRL_get0_by_cert(crl, &entry, cert);
	ASN1_ENUMERATED *reason;
	int64_t when;

	if (found != 1) /* 0: not listed, 2: to be removed from the list */
		return false;
	reason = X509_REVOKED_get_ext_d2i(entry, NID_crl_reason, NULL, NULL);
	sb_str(text, "was revoked on ");
	if (pki_time(X509_REVOKED_get0_revocationDate(entry), &when))
		pki_time_text(when, text);
	sb_printf(text, " (%s)", pki_reason_text(reason ? (int)ASN1_ENUMERATED_get(reason) : -1));
	ASN1_ENUMERATED_free(reason);
	return true;
}

enum pki_revoked pki_crl_state(const struct pki_crls *crls, X509 *cert, X509 *issuer, int64_t now,
			       struct pki_window *window, struct sb *text)
{
	enum pki_revoked state = PKI_REVOKED_UNKNOWN;
	int64_t stale = 0;
	bool any = false;

	for (int i = 0; crls && i < sk_X509_CRL_num(crls->list); i++) {
		X509_CRL *crl = sk_X509_CRL_value(crls->list, i);
		int64_t from, until;

		if (!signed_by(crl, issuer))
			continue;
		if (revoked_by(crl, cert, text))
			return PKI_REVOKED;
		if (!pki_time(X509_CRL_get0_lastUpdate(crl), &from) ||
		    !pki_time(X509_CRL_get0_nextUpdate(crl), &until) || !covers(crl, cert))
			continue;
		any = true;
		pki_window_cut(window, now, from);
		pki_window_cut(window, now, until);
		if (now >= from && now < until)
			state = PKI_REVOKED_GOOD;
		else if (now >= until && until > stale)
			stale = until;
	}
	if (state == PKI_REVOKED_UNKNOWN && any && stale > 0) {
		sb_str(text, "its CA's newest CRL ended on ");
		pki_time_text(stale, text);
	} else if (state == PKI_REVOKED_UNKNOWN) {
		sb_str(text, "there is no CRL of its CA about it");
	}
	return state;
}
