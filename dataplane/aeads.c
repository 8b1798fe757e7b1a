/* SPDX-License-Identifier: Apache-2.0 */
/* aeads: see aeads.h. */
#include "dataplane/aeads.h"

#include <string.h>
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
		list[(*n)++] = (struct esp_aead){b, ctx};
	return ctx;
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
	return n > 0;
}

bool dp_aeads_init(struct esp_aead list[static ESP_AEADS_MAX + 1], const struct esp_aead *like)
{
	memset(list, 0, (ESP_AEADS_MAX + 1) * sizeof(*list));
	for (size_t i = 0; like[i].backend; i++) {
		list[i] = (struct esp_aead){like[i].backend, like[i].backend->ctx_new()};
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
