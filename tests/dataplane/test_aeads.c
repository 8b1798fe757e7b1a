/* SPDX-License-Identifier: Apache-2.0 */
/* Which AEAD backend serves which suite: by what CPU and operating system have, what each backend says of itself,
 * its known answers, and its time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <cpuid.h>
#include <intel-ipsec-mb.h>
#include <stdio.h>
#include <string.h>
#include "base/secret.h"
#include "dataplane/aeads.h"
#include "esp/cpu.h"

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

bool __real_esp_backend_self_test(const struct esp_backend *b);
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

/* What this machine shall not have. */
static struct esp_cpu missing;

void __real_esp_cpu_ask(struct esp_cpu *cpu);
void __wrap_esp_cpu_ask(struct esp_cpu *cpu);
void __wrap_esp_cpu_ask(struct esp_cpu *cpu)
{
	__real_esp_cpu_ask(cpu);
	cpu->first_ecx &= ~missing.first_ecx;
	cpu->ebx &= ~missing.ebx;
	cpu->ecx &= ~missing.ecx;
	cpu->xcr0 &= ~missing.xcr0;
}

/* By what ipsec-mb was begun last. */
static IMB_ARCH mb_arch;

void __real_init_mb_mgr_auto(IMB_MGR *m, IMB_ARCH *arch);
void __wrap_init_mb_mgr_auto(IMB_MGR *m, IMB_ARCH *arch);
void __wrap_init_mb_mgr_auto(IMB_MGR *m, IMB_ARCH *arch)
{
	__real_init_mb_mgr_auto(m, arch);
	mb_arch = IMB_ARCH_NUM;
}

void __real_init_mb_mgr_avx2(IMB_MGR *m);
void __wrap_init_mb_mgr_avx2(IMB_MGR *m);
void __wrap_init_mb_mgr_avx2(IMB_MGR *m)
{
	__real_init_mb_mgr_avx2(m);
	mb_arch = IMB_ARCH_AVX2;
}

void __real_init_mb_mgr_sse(IMB_MGR *m);
void __wrap_init_mb_mgr_sse(IMB_MGR *m);
void __wrap_init_mb_mgr_sse(IMB_MGR *m)
{
	__real_init_mb_mgr_sse(m);
	mb_arch = IMB_ARCH_SSE;
}

/* Of CPUs that have all of it: who is left when some is missing. ipsec-mb asks the CPU itself, but not XCR0. */
static const struct cpu_row {
	const char *what;
	struct esp_cpu missing;
	const char *gcm;
	IMB_ARCH mb;
} cpu_rows[] = {
	{"nothing is missing", {0}, "vaes", IMB_ARCH_NUM},
	{"AVX-512F", {.ebx = bit_AVX512F}, "vaes-256", IMB_ARCH_NUM},
	{"AVX-512DQ", {.ebx = bit_AVX512DQ}, "vaes-256", IMB_ARCH_NUM},
	{"AVX-512BW", {.ebx = bit_AVX512BW}, "vaes-256", IMB_ARCH_NUM},
	{"AVX-512VL", {.ebx = bit_AVX512VL}, "vaes-256", IMB_ARCH_NUM},
	{"AVX2", {.ebx = bit_AVX2 | bit_AVX512F}, "ipsec-mb", IMB_ARCH_NUM},
	{"BMI", {.ebx = bit_BMI}, "ipsec-mb", IMB_ARCH_NUM},
	{"BMI2", {.ebx = bit_BMI2}, "ipsec-mb", IMB_ARCH_NUM},
	{"VAES", {.ecx = bit_VAES}, "ipsec-mb", IMB_ARCH_NUM},
	{"VPCLMULQDQ", {.ecx = bit_VPCLMULQDQ}, "ipsec-mb", IMB_ARCH_NUM},
	{"AES", {.first_ecx = bit_AES}, "ipsec-mb", IMB_ARCH_NUM},
	{"PCLMULQDQ", {.first_ecx = bit_PCLMUL}, "ipsec-mb", IMB_ARCH_NUM},
	{"POPCNT", {.first_ecx = bit_POPCNT}, "ipsec-mb", IMB_ARCH_NUM},
	{"AVX", {.first_ecx = bit_AVX}, "ipsec-mb", IMB_ARCH_NUM},
	{"all of CPUID", {~0u, ~0u, ~0u, ~UINT64_C(0)}, "ipsec-mb", IMB_ARCH_NUM},
	{"opmask registers are not saved", {.xcr0 = 1 << 5}, "vaes-256", IMB_ARCH_AVX2},
	{"upper halves of ZMM", {.xcr0 = 1 << 6}, "vaes-256", IMB_ARCH_AVX2},
	{"upper ZMM", {.xcr0 = 1 << 7}, "vaes-256", IMB_ARCH_AVX2},
	{"upper halves of YMM", {.xcr0 = 1 << 2}, "ipsec-mb", IMB_ARCH_SSE},
	{"no XSAVE", {.first_ecx = bit_OSXSAVE, .xcr0 = ~UINT64_C(0)}, "ipsec-mb", IMB_ARCH_SSE},
};

static void test_cpus(void **state)
{
	static const struct told all[5] = {{"vaes", 100, 0},
					   {"vaes-256", 150, 0},
					   {"ipsec-mb", 200, 500},
					   {"openssl", 300, 900}};
	const bool whole = has("vaes") && has("vaes-256");

	told = all;
	for (size_t i = 0; i < sizeof(cpu_rows) / sizeof(cpu_rows[0]); i++) {
		const struct cpu_row *r = &cpu_rows[i];
		struct esp_thread t = {0};
		struct esp_suite s;

		assert_true(esp_suite_init(&s, ESP_ENCR_AES_GCM_16, 256, 0));
		missing = r->missing;
		assert_true(dp_aeads_pick(&t, "auto"));
		if (whole && strcmp(dp_aeads_name(&t, &s), r->gcm) != 0)
			fail_msg("%s: %s instead of %s", r->what, dp_aeads_name(&t, &s), r->gcm);
		if (whole && mb_arch != r->mb)
			fail_msg("%s: ipsec-mb by %d", r->what, (int)mb_arch);
		/* What is left, ipsec-mb's narrower code too, computes right. */
		for (const struct esp_aead *a = t.aead; a->backend; a++)
			assert_true(__real_esp_backend_self_test(a->backend));
		dp_aeads_fini(&t);
		/* By its name it is refused, not run. */
		assert_int_equal(dp_aeads_pick(&t, "vaes"), strcmp(r->gcm, "vaes") == 0 && whole);
		dp_aeads_fini(&t);
	}
	missing = (struct esp_cpu){0};
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pick),
		cmocka_unit_test(test_cpus),
	};

	if (!secret_init())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
