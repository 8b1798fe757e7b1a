/* SPDX-License-Identifier: Apache-2.0 */
/* Distinguished names as text and DER, and files of certificates. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "tests/pki/maker.h"

static char text[1024];

static void texts(void **state)
{
	static const struct {
		const char *in, *out; /* NULL: refused */
	} cases[] = {
		{"CN=a", "CN=a"},
		{"cn=a", "CN=a"},
		{" CN = a , O = b c ,C=DE", "CN=a, O=b c, C=DE"},
		{"O=Example\\, Inc., CN=x", "O=Example\\, Inc., CN=x"},
		{"O=\"Example, Inc.\", CN=x", "O=Example\\, Inc., CN=x"},
		{"CN=a\\ ", "CN=a\\ "},
		{"CN=\\ a", "CN=\\ a"},
		{"CN=a\\2cb", "CN=a\\,b"},
		{"CN=a\\+b\\=c", "CN=a\\+b\\=c"},
		{"CN=\xc3\xa4", "CN=\xc3\xa4"},
		{"E=x@a.example", "emailAddress=x@a.example"},
		{"S=Bavaria", "ST=Bavaria"},
		{"DC=example, DC=net", "DC=example, DC=net"},
		{"2.5.4.3=a", "CN=a"},
		{"1.2.3.4.5=a", "1.2.3.4.5=a"},
		{"", NULL},
		{"CN", NULL},
		{"CN=", NULL},
		{"=a", NULL},
		{"CN=a,", NULL},
		{"CN=a,,O=b", NULL},
		{"CN=a+O=b", NULL},
		{"FROB=a", NULL},
		{"CN=\"a", NULL},
		{"CN=\"a\"b", NULL},
		{"CN=a\\", NULL},
		{"CN=a\\00b", NULL}, /* no NUL, ever */
		{"CN=\xff", NULL},
		{"C=\xc3\xa4", NULL}, /* PrintableString only */
		{"C=DEU", NULL},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sb why = sb_of(text, sizeof(text));
		uint8_t der[256];
		const size_t n = pki_dn_parse(cases[i].in, der, sizeof(der), &why);

		if ((n > 0) != (cases[i].out != NULL) || (n == 0) != (text[0] != '\0'))
			fail_msg("case %zu: %zu bytes, \"%s\"", i, n, text);
		if (n == 0)
			continue;
		why = sb_of(text, sizeof(text));
		assert_true(pki_dn_format(der, n, &why));
		assert_string_equal(text, cases[i].out);
		/* Room for one byte too few. */
		why = sb_of(text, sizeof(text));
		assert_int_equal(pki_dn_parse(cases[i].in, der, n - 1, &why), 0);
	}
}

static void not_a_name(void **state)
{
	struct sb s = sb_of(text, sizeof(text));

	assert_false(pki_dn_format((const uint8_t *)"\x01\x02", 2, &s));
	assert_string_equal(text, "0102");
	assert_false(pki_dn_equal((struct pki_span){(const uint8_t *)"\x30\x00", 2},
				  (struct pki_span){(const uint8_t *)"\x30\x00", 2}));
}

/* Other string types than ours are the same name (RFC 5280 7.1). */
static void string_types(void **state)
{
	static const uint8_t printable[] = {0x30, 0x0c, 0x31, 0x0a, 0x30, 0x08, 0x06,
					    0x03, 0x55, 0x04, 0x03, 0x13, 0x01, 'a'};
	static const uint8_t teletex[] = {0x30, 0x0c, 0x31, 0x0a, 0x30, 0x08, 0x06,
					  0x03, 0x55, 0x04, 0x03, 0x14, 0x01, 'A'};
	static const uint8_t with_nul[] = {0x30, 0x0d, 0x31, 0x0b, 0x30, 0x09, 0x06, 0x03,
					   0x55, 0x04, 0x03, 0x0c, 0x02, 'a',  0x00};
	struct sb why = sb_of(text, sizeof(text));
	uint8_t der[64];
	const struct pki_span mine = {der, pki_dn_parse("CN=a", der, sizeof(der), &why)};

	assert_int_equal(mine.size, 14);
	assert_true(pki_dn_equal(mine, (struct pki_span){printable, sizeof(printable)}));
	assert_true(pki_dn_equal(mine, (struct pki_span){teletex, sizeof(teletex)}));
	assert_false(pki_dn_equal(mine, (struct pki_span){with_nul, sizeof(with_nul)}));
	why = sb_of(text, sizeof(text));
	assert_true(pki_dn_format(with_nul, sizeof(with_nul), &why));
	assert_string_equal(text, "CN=a\\00");
}

static void files(void **state)
{
	EVP_PKEY *key = key_ec("P-256");
	struct made m = make_cert(&(struct recipe){.subject = "CN=x", .key = key});
	struct bytes pem = certs_pem((const struct made *[]){&m, &m}, 2);
	struct bytes public = public_pem(key);
	const struct {
		const void *data;
		size_t size;
		const char *reason; /* NULL: good */
		size_t n;
	} cases[] = {
		{pem.data, pem.size, NULL, 2},
		{m.der.data, m.der.size, NULL, 1},
		{m.der.data, m.der.size - 1, "cannot be decoded", 0},
		{pem.data, pem.size - 30, "is damaged after its first 1 objects", 0},
		{pem.data, pem.size / 2 - 40, "is damaged", 0},
		{public.data, public.size, "holds \"PUBLIC KEY\" where certificates are wanted", 0},
		{"", 0, "is empty", 0},
		{"nonsense", 8, "cannot be decoded", 0},
		{"-----BEGIN CERTIFICATE-----\n", 28, "is damaged", 0},
	};
	uint8_t *many = malloc(33 * pem.size);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sb why = sb_of(text, sizeof(text));
		struct pki_certs *c = pki_certs_parse(cases[i].data, cases[i].size, &why);

		if (pki_certs_n(c) != cases[i].n ||
		    (cases[i].reason && !strstr(text, cases[i].reason)))
			fail_msg("case %zu: %s", i, text);
		pki_certs_free(c);
	}
	for (size_t i = 0; i < 33; i++)
		memcpy(many + i * pem.size, pem.data, pem.size);
	for (size_t n = 32; n <= 33; n++) {
		struct sb why = sb_of(text, sizeof(text));
		struct pki_certs *c = pki_certs_parse(many, n * pem.size, &why);

		assert_int_equal(pki_certs_n(c), n == 32 ? 64 : 0);
		pki_certs_free(c);
	}
	free(many);
	free(pem.data);
	free(public.data);
	made_free(&m);
	EVP_PKEY_free(key);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts),
		cmocka_unit_test(not_a_name),
		cmocka_unit_test(string_types),
		cmocka_unit_test(files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
