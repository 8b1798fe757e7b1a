/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dn: distinguished names as text and as DER.
 *
 * The text is "CN=site-a.example, O=Example\, Inc., C=DE": the order of the certificate, types by
 * their short names or as dotted numbers, values with a backslash before , + = \ " < > ; # and
 * before a blank at their ends, or in double quotes. Values become UTF8String, but for countryName
 * and serialNumber (PrintableString), emailAddress and domainComponent (IA5String): what RFC 5280
 * asks of CAs. Equality is that of RFC 5280 7.1 as libcrypto canonicalises, so that an older string
 * type in the certificate is no difference.
 */
#include <string.h>
#include <openssl/err.h>
#include "pki/pki_int.h"

#define DN_DER_MAX   2048u
#define DN_VALUE_MAX 256u
/* RFC 4514 1.4: every byte of an object identifier adds "." and three digits at most. */
#define OID_TEXT_MAX (4 * DN_DER_MAX)

struct scan {
	const char *p;
	struct sb *why;
};

static bool is_special(char c)
{
	return c != '\0' && strchr(",+=\\\"<>;#", c) != NULL;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* One character of a value, escapes resolved. */
static bool value_char(struct scan *s, char *out)
{
	if (*s->p != '\\') {
		*out = *s->p++;
		return true;
	}
	s->p++;
	if (is_special(*s->p) || *s->p == ' ') {
		*out = *s->p++;
		return true;
	}
	if (hex_digit(s->p[0]) >= 0 && hex_digit(s->p[1]) >= 0) {
		*out = (char)(hex_digit(s->p[0]) << 4 | hex_digit(s->p[1]));
		s->p += 2;
		return *out != '\0';
	}
	return false;
}

static bool value(struct scan *s, char out[DN_VALUE_MAX])
{
	const bool quoted = *s->p == '"';
	size_t n = 0, keep = 0;

	s->p += quoted;
	while (*s->p != '\0' && *s->p != (quoted ? '"' : ',')) {
		const bool escaped = *s->p == '\\';

		/* RFC 4514 has several attributes in one set for "+": no certificate of ours does. */
		if (!quoted && *s->p == '+') {
			sb_str(s->why, "has a '+', which is not supported (escape it as \\+)");
			return false;
		}
		if (n + 1 == DN_VALUE_MAX || !value_char(s, &out[n])) {
			sb_str(s->why, "has a value that is too long or wrongly escaped");
			return false;
		}
		n++;
		if (quoted || escaped || out[n - 1] != ' ')
			keep = n;
	}
	if (quoted && *s->p != '"') {
		sb_str(s->why, "has a quotation mark without its partner");
		return false;
	}
	s->p += quoted;
	while (quoted && *s->p == ' ')
		s->p++;
	if (*s->p != '\0' && *s->p != ',') {
		sb_str(s->why, "has something after a quoted value");
		return false;
	}
	out[keep] = '\0';
	if (keep == 0)
		sb_str(s->why, "has an empty value");
	return keep > 0;
}

/* RFC 4514 3: a name, or numbers with dots between them; libcrypto takes spaces for dots. */
static bool is_type(const char *name)
{
	return name[strspn(name,
			   "0123456789.abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-")] ==
	       '\0';
}

static ASN1_OBJECT *type(struct scan *s)
{
	static const struct {
		const char *name, *short_name;
	} other[] = {{"E", "emailAddress"}, {"EMAIL", "emailAddress"}, {"S", "ST"}, {"SN", "SN"}};
	char name[80];
	size_t n = 0;
	ASN1_OBJECT *object;

	while (*s->p != '\0' && *s->p != '=' && *s->p != ',' && n + 1 < sizeof(name))
		name[n++] = *s->p++;
	while (n > 0 && name[n - 1] == ' ')
		n--;
	name[n] = '\0';
	if (*s->p != '=') {
		sb_str(s->why, "is not of the form \"CN=..., O=...\"");
		return NULL;
	}
	s->p++;
	for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++) {
		if (strcasecmp(name, other[i].name) == 0)
			memcpy(name, other[i].short_name, strlen(other[i].short_name) + 1);
	}
	object = is_type(name) ? OBJ_txt2obj(name, 0) : NULL;
	for (char *c = name; !object && *c; c++)
		*c = (char)(*c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c);
	if (!object && is_type(name))
		object = OBJ_txt2obj(name, 0);
	ERR_clear_error();
	if (!object) {
		sb_str(s->why, "has an unknown attribute type \"");
		sb_escaped(s->why, name, strlen(name));
		sb_str(s->why, "\"");
	}
	return object;
}

static bool attribute(struct scan *s, X509_NAME *name)
{
	char text[DN_VALUE_MAX];
	ASN1_OBJECT *object = type(s);
	bool ok;

	while (object && *s->p == ' ')
		s->p++;
	ok = object && value(s, text);
	/* libcrypto knows which string type and length each attribute may have (RFC 5280 A). */
	if (ok && X509_NAME_add_entry_by_OBJ(name, object, MBSTRING_UTF8, (const uint8_t *)text, -1,
					     -1, 0) != 1) {
		sb_str(s->why, "has a value that its attribute cannot hold");
		ok = false;
	}
	ERR_clear_error();
	ASN1_OBJECT_free(object);
	return ok;
}

size_t pki_dn_parse(const char *text, uint8_t *out, size_t size, struct sb *why)
{
	struct scan s = {.p = text, .why = why};
	X509_NAME *name = X509_NAME_new();
	uint8_t *der = NULL;
	bool ok = name != NULL;
	int n = 0;

	do {
		while (*s.p == ' ')
			s.p++;
		ok = ok && attribute(&s, name);
	} while (ok && *s.p++ == ',');
	if (ok)
		n = i2d_X509_NAME(name, &der);
	if (ok && (n <= 0 || (size_t)n > size)) {
		sb_printf(why, "is longer than %zu bytes", size);
		n = 0;
	}
	if (n > 0)
		memcpy(out, der, (size_t)n);
	OPENSSL_free(der);
	X509_NAME_free(name);
	return ok ? (size_t)n : 0;
}

static X509_NAME *decode(const uint8_t *der, size_t size)
{
	const uint8_t *p = der;
	X509_NAME *name;

	if (size == 0 || size > DN_DER_MAX)
		return NULL;
	name = d2i_X509_NAME(NULL, &p, (long)size);
	if (name && p != der + size) {
		X509_NAME_free(name);
		name = NULL;
	}
	ERR_clear_error();
	return name;
}

static void format_value(const ASN1_STRING *value, struct sb *out)
{
	uint8_t *utf8 = NULL;
	const int size = ASN1_STRING_to_UTF8(&utf8, value);

	for (int i = 0; i < size; i++) {
		const char c = (char)utf8[i];
		const char both[3] = {'\\', c, '\0'};
		const bool at_end = i == 0 || i == size - 1;

		if (is_special(c) || (c == ' ' && at_end))
			sb_str(out, both);
		else if ((uint8_t)c < 0x20 || (uint8_t)c == 0x7f)
			sb_printf(out, "\\%02x", (unsigned)(uint8_t)c);
		else
			sb_str(out, (const char[]){c, '\0'});
	}
	ERR_clear_error();
	OPENSSL_free(utf8);
}

bool pki_dn_format(const uint8_t *der, size_t size, struct sb *out)
{
	X509_NAME *name = decode(der, size);

	if (!name) {
		sb_hex(out, der, size);
		return false;
	}
	for (int i = 0; i < X509_NAME_entry_count(name); i++) {
		const X509_NAME_ENTRY *e = X509_NAME_get_entry(name, i);
		const ASN1_OBJECT *object = X509_NAME_ENTRY_get_object(e);
		const int nid = OBJ_obj2nid(object);
		char oid[OID_TEXT_MAX] = "?";

		if (nid == NID_undef)
			(void)OBJ_obj2txt(oid, sizeof(oid), object, 1);
		sb_printf(out, "%s%s=", i ? ", " : "", nid == NID_undef ? oid : OBJ_nid2sn(nid));
		format_value(X509_NAME_ENTRY_get_data(e), out);
	}
	X509_NAME_free(name);
	return true;
}

bool pki_dn_equal(struct pki_span a, struct pki_span b)
{
	X509_NAME *x = decode(a.data, a.size), *y = decode(b.data, b.size);
	const bool same = x && y && X509_NAME_entry_count(x) > 0 && X509_NAME_cmp(x, y) == 0;

	X509_NAME_free(x);
	X509_NAME_free(y);
	return same;
}
