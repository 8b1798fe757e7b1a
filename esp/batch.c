/* SPDX-License-Identifier: Apache-2.0 */
/* batch: the cryptography of a burst, and the memory of the SAs that its packets belong to. See esp.h. */
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

bool esp_out_keys_shared(const struct esp_thread *t, const struct esp_out *sa)
{
	return t->aead[sa->line.flags & ESP_QUICK_AEAD].backend->keys_shared;
}

bool esp_in_keys_shared(const struct esp_thread *t, const struct esp_in *sa)
{
	return t->aead[sa->line.flags & ESP_IN_AEAD].backend->keys_shared;
}

static inline void fetch(const void *p, size_t size)
{
	for (size_t i = 0; i < size; i += ESP_LINE)
		__builtin_prefetch((const uint8_t *)p + i, 1);
}

void esp_out_prefetch(const struct esp_out *sa)
{
	fetch(sa, ESP_LINE);
}

void esp_out_prefetch_state(const struct esp_out *sa)
{
	fetch(sa, 2 * ESP_LINE);
}

/* `aead`: one of the thread's. */
static void fetch_key(const struct esp_thread *t, uint8_t aead, const struct esp_key *key)
{
	const struct esp_backend *b = t->aead[aead].backend;

	if (b->prefetch)
		b->prefetch(key);
}

void esp_out_prefetch_key(const struct esp_thread *t, const struct esp_out *sa)
{
	fetch_key(t, sa->line.flags & ESP_QUICK_AEAD, sa->line.key);
	/* Its packets go the longer way. */
	if (sa->line.quota == 0 || (sa->line.flags & ESP_QUICK_TS))
		fetch(&sa->line + 1, sizeof(*sa) - sizeof(sa->line));
}

void esp_in_prefetch(const struct esp_in *sa)
{
	__builtin_prefetch(&sa->line, 1);
}

void esp_in_prefetch_key(const struct esp_thread *t, const struct esp_in *sa)
{
	const struct esp_replay *r = &sa->line.replay;

	/* The number that comes next is the likeliest. */
	__builtin_prefetch(&sa->window_bits[((r->top + 1) >> 6) & r->mask], 1);
	fetch_key(t, sa->line.flags & ESP_IN_AEAD, sa->line.key);
}
