/* SPDX-License-Identifier: Apache-2.0 */
/* aeads: see aeads.h. */
#include "dataplane/aeads.h"

#include <string.h>
#include <rte_cycles.h>
#include "base/log.h"

/* A context of a backend that may be trusted with packets, or NULL. */
static void *try_backend(const struct esp_backend *b)
{
	void *ctx = b->ctx_new();

	if (ctx && !esp_backend_self_test(b)) {
		log_error("AEAD backend %s fails its known answers and is not used", b->name);
		b->ctx_free(ctx);
		ctx = NULL;
	}
	return ctx;
}

static bool append(struct esp_aead *list, size_t *n, const struct esp_backend *b)
{
	void *ctx = *n < ESP_AEADS_MAX ? try_backend(b) : NULL;

	if (ctx)
		list[(*n)++] = (struct esp_aead){.backend = b, .ctx = ctx};
	return ctx;
}

static uint64_t now(void)
{
	return rte_rdtsc();
}

/* AES-GCM goes to the second backend where that is the faster one on this CPU. */
static void compare(struct esp_aead *first, const struct esp_aead *second)
{
	for (uint16_t bits = 128; second->backend && bits <= 256; bits += 64) {
		struct esp_suite s;

		(void)esp_suite_init(&s, ESP_ENCR_AES_GCM_16, bits, ESP_INTEG_NONE);
		if (esp_backend_time(second->backend, &s, now) >=
		    esp_backend_time(first->backend, &s, now))
			continue;
		log_info("AES-%u-GCM is faster by %s than by %s", (unsigned)bits,
			 second->backend->name, first->backend->name);
		first->slow_gcm |= (uint8_t)(1u << bits / 64);
	}
}

bool dp_aeads_pick(struct esp_aead list[static ESP_AEADS_MAX + 1], const char *want)
{
	const struct esp_backend *first = NULL;
	size_t n = 0;

	memset(list, 0, (ESP_AEADS_MAX + 1) * sizeof(*list));
	if (strcmp(want, "auto") != 0) {
		first = esp_backend_by_name(want);
		if (!first || !append(list, &n, first))
			return false;
	}
	for (size_t i = 0; esp_backends[i]; i++)
		if (esp_backends[i] != first)
			(void)append(list, &n, esp_backends[i]);
	if (!first && n > 0)
		compare(&list[0], &list[1]);
	return n > 0;
}

bool dp_aeads_init(struct esp_aead list[static ESP_AEADS_MAX + 1], const struct esp_aead *like)
{
	memset(list, 0, (ESP_AEADS_MAX + 1) * sizeof(*list));
	for (size_t i = 0; like[i].backend; i++) {
		list[i] = like[i];
		list[i].ctx = like[i].backend->ctx_new();
		if (!list[i].ctx)
			return false;
	}
	return true;
}

void dp_aeads_fini(struct esp_aead *list)
{
	for (; list->backend; list++)
		list->backend->ctx_free(list->ctx);
}
