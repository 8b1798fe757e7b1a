/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dn: distinguished names (RFC 5280 4.1.2.4) as far as identities need them: text to DER, DER to
 * text, and comparison. Certificates themselves are read by the key process only.
 */
#include "base/wr.h"
#include "ike/id.h"

#define MAX_ATTRIBUTES 16

enum tag {
	TAG_OID = 0x06,
	TAG_UTF8 = 0x0c,
	TAG_PRINTABLE = 0x13,
	TAG_T61 = 0x14,
	TAG_IA5 = 0x16,
	TAG_SEQUENCE = 0x30,
	TAG_SET = 0x31,
};

static const struct known {
	const char *name;
	uint8_t oid[10];
	uint8_t oid_size;
	enum tag tag; /* that we encode it with */
} known[] = {
	{"CN", {0x55, 0x04, 0x03}, 3, TAG_UTF8},
	{"C", {0x55, 0x04, 0x06}, 3, TAG_PRINTABLE},
	{"ST", {0x55, 0x04, 0x08}, 3, TAG_UTF8},
	{"S", {0x55, 0x04, 0x08}, 3, TAG_UTF8},
	{"L", {0x55, 0x04, 0x07}, 3, TAG_UTF8},
	{"O", {0x55, 0x04, 0x0a}, 3, TAG_UTF8},
	{"OU", {0x55, 0x04, 0x0b}, 3, TAG_UTF8},
	{"serialNumber", {0x55, 0x04, 0x05}, 3, TAG_PRINTABLE},
	{"surname", {0x55, 0x04, 0x04}, 3, TAG_UTF8},
	{"givenName", {0x55, 0x04, 0x2a}, 3, TAG_UTF8},
	{"title", {0x55, 0x04, 0x0c}, 3, TAG_UTF8},
	{"street", {0x55, 0x04, 0x09}, 3, TAG_UTF8},
	{"DC", {0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x19}, 10, TAG_IA5},
	{"UID", {0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x01}, 10, TAG_UTF8},
	{"E", {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x01}, 9, TAG_IA5},
	{"emailAddress", {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x01}, 9, TAG_IA5},
};
#define N_KNOWN (sizeof(known) / sizeof(known[0]))

/* ----------------------------------------------------------------------- DER */

struct attribute {
	uint8_t rdn; /* its place: attributes of one RDN share it */
	uint8_t tag;
	struct rd oid, value;
};

struct name {
	size_t n;
	struct attribute attributes[MAX_ATTRIBUTES];
};

/* One element with the shortest form of its length, at most 65535 octets. */
static bool element(struct rd *r, uint8_t *tag, struct rd *body)
{
	struct rd x = *r;
	uint8_t first, b;
	uint16_t size;

	if (!rd_u8(&x, tag) || !rd_u8(&x, &first))
		return false;
	size = first;
	if (first == 0x81) {
		if (!rd_u8(&x, &b) || b < 0x80)
			return false;
		size = b;
	} else if (first == 0x82) {
		if (!rd_u16(&x, &size) || size < 0x100)
			return false;
	} else if (first >= 0x80) {
		return false;
	}
	if (!rd_sub(&x, size, body))
		return false;
	*r = x;
	return true;
}

static bool parse(struct rd der, struct name *out)
{
	struct rd rdns, set, pair;
	uint8_t tag, rdn = 0;

	out->n = 0;
	if (!element(&der, &tag, &rdns) || tag != TAG_SEQUENCE || !rd_empty(&der))
		return false;
	for (; !rd_empty(&rdns); rdn++) {
		if (!element(&rdns, &tag, &set) || tag != TAG_SET || rd_empty(&set))
			return false;
		while (!rd_empty(&set)) {
			struct attribute *a = &out->attributes[out->n];

			if (out->n == MAX_ATTRIBUTES || !element(&set, &tag, &pair) ||
			    tag != TAG_SEQUENCE || !element(&pair, &tag, &a->oid) ||
			    tag != TAG_OID || !element(&pair, &a->tag, &a->value) ||
			    !rd_empty(&pair))
				return false;
			a->rdn = rdn;
			out->n++;
		}
	}
	return true;
}

/* ---------------------------------------------------------------- comparison */

static bool is_text(uint8_t tag)
{
	return tag == TAG_UTF8 || tag == TAG_PRINTABLE || tag == TAG_T61 || tag == TAG_IA5;
}

static struct rd trimmed(struct rd v)
{
	while (v.size && v.p[0] == ' ')
		v = rd_of(v.p + 1, v.size - 1);
	while (v.size && v.p[v.size - 1] == ' ')
		v.size--;
	return v;
}

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

static bool same_value(const struct attribute *a, const struct attribute *b)
{
	const struct rd x = trimmed(a->value), y = trimmed(b->value);

	if (!is_text(a->tag) || !is_text(b->tag))
		return a->tag == b->tag && a->value.size == b->value.size &&
		       !memcmp(a->value.p, b->value.p, a->value.size);
	if (x.size != y.size)
		return false;
	for (size_t i = 0; i < x.size; i++) {
		if (lower(x.p[i]) != lower(y.p[i]))
			return false;
	}
	return true;
}

bool ike_dn_matches(struct rd der, struct rd pattern, bool wildcard)
{
	struct name a, b;

	if (!parse(der, &a) || !parse(pattern, &b) || a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++) {
		const struct attribute *x = &a.attributes[i], *y = &b.attributes[i];

		if (x->rdn != y->rdn || x->oid.size != y->oid.size ||
		    memcmp(x->oid.p, y->oid.p, x->oid.size))
			return false;
		if (wildcard && is_text(y->tag) && y->value.size == 1 && y->value.p[0] == '*')
			continue;
		if (!same_value(x, y))
			return false;
	}
	return true;
}

/* ---------------------------------------------------------------------- text */

static const char *name_of(struct rd oid)
{
	for (size_t i = 0; i < N_KNOWN; i++) {
		if (known[i].oid_size == oid.size && !memcmp(known[i].oid, oid.p, oid.size))
			return known[i].name;
	}
	return NULL;
}

bool ike_dn_put(struct sb *s, struct rd der)
{
	struct name name;

	if (!parse(der, &name))
		return false;
	for (size_t i = 0; i < name.n; i++) {
		const struct attribute *a = &name.attributes[i];
		const char *type = name_of(a->oid);

		if (i)
			sb_str(s, a->rdn == a[-1].rdn ? " + " : ", ");
		if (type) {
			sb_str(s, type);
		} else {
			sb_str(s, "oid-");
			sb_hex(s, a->oid.p, a->oid.size);
		}
		sb_str(s, "=");
		if (is_text(a->tag)) {
			sb_escaped(s, a->value.p, a->value.size);
		} else {
			sb_str(s, "#");
			sb_hex(s, a->value.p, a->value.size);
		}
	}
	return true;
}

static const struct known *known_by(const char *name, size_t size)
{
	for (size_t i = 0; i < N_KNOWN; i++) {
		if (strlen(known[i].name) == size && !strncasecmp(known[i].name, name, size))
			return &known[i];
	}
	return NULL;
}

static const char *skip_blanks(const char *p)
{
	while (*p == ' ')
		p++;
	return p;
}

/* The value up to the next comma that no backslash stands before. */
static bool take_value(const char **p, uint8_t *out, size_t size, size_t *n)
{
	size_t end = 0;

	*n = 0;
	for (; **p && **p != ','; (*p)++) {
		const bool escaped = **p == '\\' && (*p)[1];

		if (escaped)
			(*p)++;
		if (*n == size)
			return false;
		out[(*n)++] = (uint8_t) * *p;
		if (escaped || **p != ' ')
			end = *n;
	}
	*n = end;
	return end > 0;
}

static bool put_element(struct wr *w, enum tag tag, const void *data, size_t size)
{
	if (size > UINT8_MAX)
		return false;
	wr_u8(w, (uint8_t)tag);
	if (size >= 0x80)
		wr_u8(w, 0x81);
	wr_u8(w, (uint8_t)size);
	wr_bytes(w, data, size);
	return wr_ok(w);
}

/* SET { SEQUENCE { OID, value } } */
static bool put_attribute(struct wr *w, const struct known *k, const uint8_t *value, size_t size)
{
	uint8_t pair[300], sequence[300];
	struct wr p = wr_of(pair, sizeof(pair)), q = wr_of(sequence, sizeof(sequence));

	return put_element(&p, TAG_OID, k->oid, k->oid_size) &&
	       put_element(&p, k->tag, value, size) && put_element(&q, TAG_SEQUENCE, pair, p.n) &&
	       put_element(w, TAG_SET, sequence, q.n);
}

bool ike_dn_encode(const char *text, uint8_t *out, size_t size, size_t *n_out)
{
	uint8_t rdns[300], value[256];
	struct wr inner = wr_of(rdns, sizeof(rdns)), w = wr_of(out, size);
	const char *p = skip_blanks(text);
	unsigned n = 0;

	while (*p) {
		const char *equals = strchr(p, '=');
		const struct known *k = equals ? known_by(p, (size_t)(equals - p)) : NULL;
		size_t value_size;

		if (!k || ++n > MAX_ATTRIBUTES)
			return false;
		p = skip_blanks(equals + 1);
		if (!take_value(&p, value, sizeof(value), &value_size) ||
		    !put_attribute(&inner, k, value, value_size))
			return false;
		if (*p == ',') {
			p = skip_blanks(p + 1);
			if (!*p)
				return false;
		}
	}
	if (!n || !put_element(&w, TAG_SEQUENCE, rdns, inner.n))
		return false;
	*n_out = w.n;
	return true;
}
