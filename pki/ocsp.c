/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ocsp: what stapled OCSP responses say of a certificate (RFC 6960), from a CERT payload (RFC 4806)
 * or a file. A response counts when the certificate's own issuer signed it, or a responder whom that
 * issuer certified for OCSP and nobody else (RFC 6960 4.2.2.2).
 */
#include <stdlib.h>
#include <string.h>
#include <openssl/err.h>
#include "pki/pki_int.h"

static bool take(void *ctx, const char *label, const uint8_t *der, size_t size, struct sb *why)
{
	struct pki_ocsps *o = ctx;
	OCSP_BASICRESP *basic = NULL;

	if (label[0] == '\0' || strcmp(label, "OCSP RESPONSE") == 0)
		basic = pki_ocsp_basic(der, size);
	if (!basic) {
		sb_str(why, "holds no successful OCSP response");
		return false;
	}
	if (!pki_span_copy(&o->der[o->n], der, size)) {
		OCSP_BASICRESP_free(basic);
		sb_str(why, "cannot be read: out of memory");
		return false;
	}
	o->basic[o->n++] = basic;
	return true;
}

struct pki_ocsps *pki_ocsps_parse(const uint8_t *data, size_t size, struct sb *why)
{
	struct pki_ocsps *o = calloc(1, sizeof(*o));

	if (!o) {
		sb_str(why, "cannot be read: out of memory");
		return NULL;
	}
	if (pki_objects(data, size, take, o, why)) {
		if (o->n > 0)
			return o;
		sb_str(why, "holds no OCSP response");
	}
	pki_ocsps_free(o);
	return NULL;
}

void pki_ocsps_free(struct pki_ocsps *o)
{
	if (!o)
		return;
	for (size_t i = 0; i < o->n; i++) {
		OCSP_BASICRESP_free(o->basic[i]);
		free((void *)o->der[i].data);
	}
	free(o);
}

bool pki_ocsps_join(struct pki_ocsps **to, struct pki_ocsps *from)
{
	struct pki_ocsps *t = *to;

	if (!t) {
		*to = from;
		return true;
	}
	if (t->n + from->n > PKI_LIST_MAX)
		return false;
	for (size_t i = 0; i < from->n; i++, t->n++) {
		t->basic[t->n] = from->basic[i];
		t->der[t->n] = from->der[i];
	}
	from->n = 0;
	pki_ocsps_free(from);
	return true;
}

size_t pki_ocsps_n(const struct pki_ocsps *o)
{
	return o ? o->n : 0;
}

struct pki_span pki_ocsps_der(const struct pki_ocsps *o, size_t i)
{
	return o->der[i];
}

/* A responder's certificate: of the issuer itself, for OCSP, valid now. */
static bool delegated(X509 *signer, X509 *issuer, int64_t now, struct pki_window *window)
{
	char text[PKI_TEXT_SIZE];
	struct sb why = sb_of(text, sizeof(text));
	int digest = NID_undef, kind = NID_undef;
	int64_t from, until;

	if (X509_check_issued(issuer, signer) != X509_V_OK ||
	    !pki_time(X509_get0_notBefore(signer), &from) ||
	    !pki_time(X509_get0_notAfter(signer), &until))
		return false;
	pki_window_cut(window, now, from);
	pki_window_cut(window, now, until);
	return now >= from && now < until && (X509_get_extension_flags(signer) & EXFLAG_XKUSAGE) &&
	       (X509_get_extended_key_usage(signer) & XKU_OCSP_SIGN) && X509_get0_pubkey(signer) &&
	       pki_rule_key(X509_get0_pubkey(signer), &why) &&
	       X509_get_signature_info(signer, &digest, &kind, NULL, NULL) == 1 &&
	       pki_rule_signature(kind, digest, &why) &&
	       X509_verify(signer, X509_get0_pubkey(issuer)) == 1;
}

static bool signed_well(OCSP_BASICRESP *basic, X509 *issuer, int64_t now, struct pki_window *window)
{
	char text[PKI_TEXT_SIZE];
	struct sb why = sb_of(text, sizeof(text));
	STACK_OF(X509) *issuers = sk_X509_new_null();
	const ASN1_OBJECT *oid = NULL;
	int digest = NID_undef, kind = NID_undef, nid;
	X509 *signer = NULL;
	bool ok;

	ok = issuers && sk_X509_push(issuers, issuer) > 0 &&
	     OCSP_resp_get0_signer(basic, &signer, issuers) == 1 &&
	     (X509_cmp(signer, issuer) == 0 || delegated(signer, issuer, now, window));
	if (ok) {
		X509_ALGOR_get0(&oid, NULL, NULL, OCSP_resp_get0_tbs_sigalg(basic));
		nid = OBJ_obj2nid(oid);
		ok = OBJ_find_sigid_algs(nid, &digest, &kind) == 1 &&
		     (nid == NID_rsassaPss || pki_rule_signature(kind, digest, &why));
	}
	if (ok) {
		sk_X509_zero(issuers);
		/* The chain is judged above; what is left is the signature. */
		ok = sk_X509_push(issuers, signer) > 0 &&
		     OCSP_basic_verify(basic, issuers, NULL, OCSP_NOVERIFY | OCSP_NOINTERN) == 1;
	}
	sk_X509_free(issuers);
	ERR_clear_error();
	return ok;
}

static bool about(OCSP_SINGLERESP *single, X509 *cert, X509 *issuer)
{
	OCSP_CERTID *id = (OCSP_CERTID *)OCSP_SINGLERESP_get0_id(single), *mine;
	ASN1_OBJECT *hash = NULL;
	const EVP_MD *md;
	bool same;

	if (OCSP_id_get0_info(NULL, &hash, NULL, NULL, id) != 1)
		return false;
	/* The hash only finds the certificate; what is believed hangs on the signature. */
	md = EVP_get_digestbyobj(hash);
	mine = md ? OCSP_cert_to_id(md, cert, issuer) : NULL;
	same = mine && OCSP_id_cmp(id, mine) == 0;
	OCSP_CERTID_free(mine);
	ERR_clear_error();
	return same;
}

/* Returns the state; *stale is set when the answer has ended. */
static enum pki_revoked single_state(OCSP_SINGLERESP *single, int64_t now,
				     struct pki_window *window, bool *stale, struct sb *text)
{
	ASN1_GENERALIZEDTIME *revoked = NULL, *this_update = NULL, *next_update = NULL;
	int reason = -1;
	const int status =
		OCSP_single_get0_status(single, &reason, &revoked, &this_update, &next_update);
	int64_t from, until, when;

	if (status == V_OCSP_CERTSTATUS_REVOKED) {
		sb_str(text, "was revoked on ");
		if (pki_time(revoked, &when))
			pki_time_text(when, text);
		sb_printf(text, " (%s, by OCSP)", pki_reason_text(reason));
		return PKI_REVOKED;
	}
	/* RFC 6960 2.4: without nextUpdate there is always something newer: never fresh for us. */
	if (status != V_OCSP_CERTSTATUS_GOOD || !pki_time(this_update, &from) || !next_update ||
	    !pki_time(next_update, &until))
		return PKI_REVOKED_UNKNOWN;
	pki_window_cut(window, now, from);
	pki_window_cut(window, now, until);
	if (now < from)
		return PKI_REVOKED_UNKNOWN;
	*stale |= now >= until;
	return now < until ? PKI_REVOKED_GOOD : PKI_REVOKED_UNKNOWN;
}

enum pki_revoked pki_ocsp_state(const struct pki_ocsps *ocsps, X509 *cert, X509 *issuer,
				int64_t now, struct pki_window *window, struct sb *text)
{
	enum pki_revoked state = PKI_REVOKED_UNKNOWN;
	bool stale = false;

	for (size_t i = 0; ocsps && i < ocsps->n; i++) {
		OCSP_BASICRESP *basic = ocsps->basic[i];
		bool checked = false;

		for (int k = 0; k < OCSP_resp_count(basic); k++) {
			OCSP_SINGLERESP *single = OCSP_resp_get0(basic, k);
			enum pki_revoked s;

			if (!about(single, cert, issuer))
				continue;
			if (!checked && !signed_well(basic, issuer, now, window))
				break;
			checked = true;
			s = single_state(single, now, window, &stale, text);
			if (s == PKI_REVOKED)
				return s;
			if (s == PKI_REVOKED_GOOD)
				state = s;
		}
	}
	if (state == PKI_REVOKED_UNKNOWN)
		sb_str(text, stale ? "the OCSP response about it has ended"
				   : "there is no OCSP response about it");
	return state;
}
