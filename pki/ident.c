/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ident: does a certificate name the identity of an ID payload (RFC 4945 3.1, RFC 7296 4)?
 *
 * Addresses, host names and mail addresses are looked for in subjectAltName alone: the common name
 * is no host name. A wildcard in a certificate names nobody. Comparison is by whole values: what
 * holds a NUL is refused on either side, or "a.example\0.attacker.example" would pass for the former.
 */
#include <string.h>
#include <openssl/err.h>
#include "pki/pki_int.h"

static int to_lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? c + 'a' - 'A' : c;
}

/* ASCII letters without case from `from` on, what stands before with it. */
static bool text_equal(const ASN1_STRING *s, const struct pki_span *id, size_t from)
{
	const uint8_t *a = ASN1_STRING_get0_data(s);
	const size_t size = (size_t)ASN1_STRING_length(s);

	if (size != id->size || memchr(a, 0, size) || memchr(id->data, 0, size))
		return false;
	if (memcmp(a, id->data, from) != 0)
		return false;
	for (size_t i = from; i < size; i++) {
		if (to_lower(a[i]) != to_lower(id->data[i]))
			return false;
	}
	return true;
}

static bool alt_name(const GENERAL_NAME *n, const struct pki_id *id)
{
	const uint8_t *at;

	switch (id->type) {
	case PKI_ID_IPV4_ADDR:
	case PKI_ID_IPV6_ADDR:
		return n->type == GEN_IPADD &&
		       (size_t)ASN1_STRING_length(n->d.iPAddress) == id->data.size &&
		       memcmp(ASN1_STRING_get0_data(n->d.iPAddress), id->data.data,
			      id->data.size) == 0;
	case PKI_ID_FQDN:
		/* RFC 4945 3.1.2: no wildcards; a name with one could only equal itself. */
		return n->type == GEN_DNS && !memchr(id->data.data, '*', id->data.size) &&
		       text_equal(n->d.dNSName, &id->data, 0);
	case PKI_ID_RFC822_ADDR:
		/* RFC 5280 4.2.1.6, 7.5: the host without case, the local part with it. */
		at = memrchr(id->data.data, '@', id->data.size);
		return n->type == GEN_EMAIL && at &&
		       text_equal(n->d.rfc822Name, &id->data, (size_t)(at - id->data.data));
	default: return false;
	}
}

static const char *alt_kind(uint8_t type)
{
	switch (type) {
	case PKI_ID_IPV4_ADDR:
	case PKI_ID_IPV6_ADDR: return "iPAddress";
	case PKI_ID_FQDN: return "dNSName";
	case PKI_ID_RFC822_ADDR: return "rfc822Name";
	default: return "name";
	}
}

static void id_text(const struct pki_id *id, struct sb *out)
{
	const uint8_t *p = id->data.data;

	if (id->type == PKI_ID_IPV4_ADDR && id->data.size == 4)
		sb_printf(out, "%u.%u.%u.%u", p[0], p[1], p[2], p[3]);
	else if (id->type == PKI_ID_DER_ASN1_DN)
		(void)pki_dn_format(p, id->data.size, out);
	else if (id->type == PKI_ID_IPV6_ADDR && id->data.size == 16)
		for (size_t i = 0; i < 16; i += 2)
			sb_printf(out, "%s%x", i ? ":" : "", (unsigned)(p[i] << 8 | p[i + 1]));
	else
		sb_escaped(out, p, id->data.size);
}

static void list_names(const GENERAL_NAMES *names, struct sb *out)
{
	bool any = false;

	for (int i = 0; names && i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *n = sk_GENERAL_NAME_value(names, i);
		const ASN1_STRING *s = NULL;
		struct pki_id ip = {0};

		if (n->type == GEN_DNS)
			s = n->d.dNSName;
		else if (n->type == GEN_EMAIL)
			s = n->d.rfc822Name;
		else if (n->type == GEN_IPADD)
			s = n->d.iPAddress;
		if (!s)
			continue;
		ip.data =
			(struct pki_span){ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s)};
		if (n->type == GEN_IPADD)
			ip.type = ip.data.size == 4 ? PKI_ID_IPV4_ADDR : PKI_ID_IPV6_ADDR;
		sb_str(out, any ? ", " : "");
		id_text(&ip, out);
		any = true;
	}
	if (!any)
		sb_str(out, "nothing");
}

static bool is_subject(X509 *cert, const struct pki_id *id)
{
	uint8_t *der = NULL;
	const int size = i2d_X509_NAME(X509_get_subject_name(cert), &der);
	const bool same = size > 0 && pki_dn_equal(id->data, (struct pki_span){der, (size_t)size});

	OPENSSL_free(der);
	return same;
}

bool pki_x509_names(X509 *cert, const struct pki_id *id, struct sb *why)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	bool ok = false;

	if (id->type == PKI_ID_DER_ASN1_DN) {
		ok = is_subject(cert, id);
	} else if (id->data.size > 0) {
		for (int i = 0; names && !ok && i < sk_GENERAL_NAME_num(names); i++)
			ok = alt_name(sk_GENERAL_NAME_value(names, i), id);
	}
	if (!ok) {
		sb_str(why, "the ");
		pki_cert_text(cert, why);
		sb_str(why, " does not name the identity ");
		id_text(id, why);
		if (id->type == PKI_ID_DER_ASN1_DN) {
			sb_str(why, " as its subject");
		} else {
			sb_printf(why, " as a %s of its subjectAltName, which has: ",
				  alt_kind(id->type));
			list_names(names, why);
		}
	}
	GENERAL_NAMES_free(names);
	ERR_clear_error();
	return ok;
}

bool pki_names(const struct pki_certs *c, size_t i, const struct pki_id *id, struct sb *why)
{
	return pki_x509_names(sk_X509_value(c->list, (int)i), id, why);
}
