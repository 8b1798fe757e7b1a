/* SPDX-License-Identifier: Apache-2.0 */
/* aeads: see aeads.h. */
#include "dataplane/aeads.h"

#include <string.h>
#include <rte_cycles.h>
#include "base/log.h"
#include "dataplane/cryptodev.h"

/* A backend must be faster by one part of this many than those before it. */
#define MARGIN 32u

/* A context of a backend that may be trusted with packets, or NULL. */
static void *try_backend(const struct esp_backend *b)
{
	void *ctx = b->ctx_new();

	if (ctx && !esp_backend_self_test(b)) {
		log_error(
			"AEAD backend %s fails its known answers on this machine and is not used: "
			"\"twinbore show ports\" tells what took its place",
			b->name);
		b->ctx_free(ctx);
		ctx = NULL;
	}
	return ctx;
}

static bool append(struct esp_thread *t, size_t *n, const struct esp_backend *b)
{
	void *ctx = *n < ESP_AEADS_MAX ? try_backend(b) : NULL;

	if (ctx)
		t->aead[(*n)++] = (struct esp_aead){b, ctx};
	return ctx;
}

static uint64_t now(void)
{
	return rte_rdtsc();
}

/* The fastest of the thread's backends; what is no faster than by the margin comes as it stands. */
static uint8_t fastest(const struct esp_thread *t, const struct esp_suite *s)
{
	uint64_t best = UINT64_MAX;
	uint8_t chosen = 0;

	for (size_t i = 0; t->aead[i].backend; i++) {
		const uint64_t time = esp_backend_time(t->aead[i].backend, s, now, best);

		if (time < best - best / MARGIN) {
			best = time;
			chosen = (uint8_t)(i + 1);
		}
	}
	return chosen;
}

const char *dp_aeads_name(const struct esp_thread *t, const struct esp_suite *s)
{
	const size_t i = esp_suite_index(s);

	return i < ESP_N_SUITES && t->chosen[i] ? t->aead[t->chosen[i] - 1].backend->name : "";
}

static void choose(struct esp_thread *t, const struct esp_backend *wanted)
{
	for (size_t i = 0; i < ESP_N_SUITES; i++) {
		const struct esp_suite s = esp_suite_at(i);
		char name[ESP_SUITE_STRLEN];

		t->chosen[i] = wanted && wanted->supports(&s) ? 1 : fastest(t, &s);
		log_debug("%s by %s", esp_suite_format(&s, name), dp_aeads_name(t, &s));
	}
}

static const struct esp_backend *by_name(const char *name)
{
	if (strcmp(name, dp_backend_cryptodev.name) == 0)
		return &dp_backend_cryptodev;
	return esp_backend_by_name(name);
}

bool dp_aeads_pick(struct esp_thread *t, const char *want)
{
	const struct esp_backend *wanted = NULL;
	size_t n = 0;

	memset(t->aead, 0, sizeof(t->aead));
	memset(t->chosen, 0, sizeof(t->chosen));
	if (strcmp(want, "auto") != 0) {
		wanted = by_name(want);
		if (!wanted || !append(t, &n, wanted))
			return false;
	}
	for (size_t i = 0; esp_backends[i]; i++)
		if (esp_backends[i] != wanted)
			(void)append(t, &n, esp_backends[i]);
	if (wanted != &dp_backend_cryptodev && dp_cryptodev.open)
		(void)append(t, &n, &dp_backend_cryptodev);
	choose(t, wanted);
	return n > 0;
}

bool dp_aeads_init(struct esp_thread *t, const struct esp_thread *like)
{
	memset(t->aead, 0, sizeof(t->aead));
	memcpy(t->chosen, like->chosen, sizeof(t->chosen));
	for (size_t i = 0; like->aead[i].backend; i++) {
		t->aead[i] =
			(struct esp_aead){like->aead[i].backend, like->aead[i].backend->ctx_new()};
		if (!t->aead[i].ctx)
			return false;
	}
	return true;
}

void dp_aeads_fini(struct esp_thread *t)
{
	for (struct esp_aead *a = t->aead; a->backend; a++)
		a->backend->ctx_free(a->ctx);
	memset(t->aead, 0, sizeof(t->aead));
}
