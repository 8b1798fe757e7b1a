/* SPDX-License-Identifier: Apache-2.0 */
/* batch: the cryptography of a burst, whichever SAs its packets belong to. See esp.h. */
#include "esp/esp_int.h"

void esp_batch_seal(struct esp_thread *t, struct esp_batch *batch)
{
	for (size_t i = 0; i < ESP_AEADS_MAX; i++) {
		const struct esp_aead *a = &t->aead[i];

		if (batch->n[i])
			a->backend->seal(a->ctx, batch->jobs[i], batch->n[i]);
	}
}

void esp_batch_open(struct esp_thread *t, struct esp_batch *batch)
{
	for (size_t i = 0; i < ESP_AEADS_MAX; i++) {
		const struct esp_aead *a = &t->aead[i];

		if (batch->n[i])
			a->backend->open(a->ctx, batch->jobs[i], batch->n[i]);
	}
}
