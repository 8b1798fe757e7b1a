/* SPDX-License-Identifier: Apache-2.0 */
/* Which AEAD backend serves which suite: by what each says of itself, its known answers, and its time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "base/secret.h"
#include "dataplane/aeads.h"

/* What the next dp_aeads_pick() is told of a backend: cycles for AES-GCM and for the rest; 0: it fails. */
struct told {
	const char *name;
	uint64_t gcm, others;
};

static const struct told *told;

static const struct told *told_of(const struct esp_backend *b)
{
	const struct told *t = told;

	while (t->name && strcmp(t->name, b->name) != 0)
		t++;
	return t;
}

bool __wrap_esp_backend_self_test(const struct esp_backend *b);
bool __wrap_esp_backend_self_test(const struct esp_backend *b)
{
	return told_of(b)->gcm != 0;
}

uint64_t __wrap_esp_backend_time(const struct esp_backend *b, const struct esp_suite *s,
				 uint64_t (*clock)(void), uint64_t enough);
uint64_t __wrap_esp_backend_time(const struct esp_backend *b, const struct esp_suite *s,
				 uint64_t (*clock)(void), uint64_t enough)
{
	if (!b->supports(s))
		return UINT64_MAX;
	return s->kind == ESP_KIND_GCM ? told_of(b)->gcm : told_of(b)->others;
}

static const struct pick_row {
	const char *what, *want;
	struct told told[5];
	const char *gcm, *others; /* NULL: it must not start */
	const char *needs;        /* only where the CPU has what this backend needs */
} rows[] = {
	{"the fastest",
	 "auto",
	 {{"vaes", 100, 0}, {"ipsec-mb", 200, 500}, {"openssl", 300, 900}},
	 "vaes",
	 "ipsec-mb",
	 "vaes"},
	{"each suite its own",
	 "auto",
	 {{"vaes", 300, 0}, {"ipsec-mb", 200, 500}, {"openssl", 400, 400}},
	 "ipsec-mb",
	 "openssl",
	 NULL},
	{"no faster than by the margin: the first",
	 "auto",
	 {{"vaes", 100, 0}, {"ipsec-mb", 99, 500}, {"openssl", 98, 495}},
	 "vaes",
	 "ipsec-mb",
	 "vaes"},
	{"no AVX-512",
	 "auto",
	 {{"vaes-256", 150, 0}, {"ipsec-mb", 200, 500}, {"openssl", 300, 900}},
	 "vaes-256",
	 "ipsec-mb",
	 "vaes-256"},
	{"both burst ones: the faster",
	 "auto",
	 {{"vaes", 100, 0}, {"vaes-256", 150, 0}, {"ipsec-mb", 200, 500}, {"openssl", 300, 900}},
	 "vaes",
	 "ipsec-mb",
	 "vaes"},
	{"wrong answers: the next",
	 "auto",
	 {{"vaes", 0, 0}, {"ipsec-mb", 200, 500}, {"openssl", 300, 900}},
	 "ipsec-mb",
	 "ipsec-mb",
	 NULL},
	{"both wrong: the last",
	 "auto",
	 {{"vaes", 0, 0}, {"ipsec-mb", 0, 0}, {"openssl", 300, 900}},
	 "openssl",
	 "openssl",
	 NULL},
	{"all wrong",
	 "auto",
	 {{"vaes", 0, 0}, {"ipsec-mb", 0, 0}, {"openssl", 0, 0}},
	 NULL,
	 NULL,
	 NULL},
	{"the wanted one, slow as it is",
	 "openssl",
	 {{"vaes", 100, 0}, {"ipsec-mb", 200, 500}, {"openssl", 300, 900}},
	 "openssl",
	 "openssl",
	 NULL},
	{"the wanted one, and another for what it has not",
	 "vaes",
	 {{"vaes", 900, 0}, {"ipsec-mb", 200, 500}, {"openssl", 300, 900}},
	 "vaes",
	 "ipsec-mb",
	 "vaes"},
	{"the wanted one is wrong",
	 "ipsec-mb",
	 {{"vaes", 100, 0}, {"ipsec-mb", 0, 0}, {"openssl", 300, 900}},
	 NULL,
	 NULL,
	 NULL},
	{"nobody has that name",
	 "none",
	 {{"vaes", 100, 0}, {"ipsec-mb", 200, 500}, {"openssl", 300, 900}},
	 NULL,
	 NULL,
	 NULL},
};

static bool has(const char *name)
{
	const struct esp_backend *b = esp_backend_by_name(name);
	void *ctx = b ? b->ctx_new() : NULL;

	if (ctx)
		b->ctx_free(ctx);
	return ctx;
}

static void test_pick(void **state)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct pick_row *r = &rows[i];
		struct esp_thread t = {0}, other = {0};

		if (r->needs && !has(r->needs))
			continue;
		told = r->told;
		if (dp_aeads_pick(&t, r->want) != (r->gcm != NULL))
			fail_msg("%s: it starts, or does not", r->what);
		if (!r->gcm)
			continue;
		/* another thread has contexts of its own, and the same choice */
		assert_true(dp_aeads_init(&other, &t));
		assert_ptr_not_equal(other.aead[0].ctx, t.aead[0].ctx);
		for (size_t k = 0; k < ESP_N_SUITES; k++) {
			const struct esp_suite s = esp_suite_at(k);
			const char *want = s.kind == ESP_KIND_GCM ? r->gcm : r->others;

			if (strcmp(dp_aeads_name(&t, &s), want) != 0 ||
			    strcmp(dp_aeads_name(&other, &s), want) != 0)
				fail_msg("%s: suite %zu by %s instead of %s", r->what, k,
					 dp_aeads_name(&t, &s), want);
		}
		dp_aeads_fini(&other);
		dp_aeads_fini(&t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pick),
	};

	if (!secret_init())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
