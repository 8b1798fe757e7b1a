/* SPDX-License-Identifier: Apache-2.0 */
/* aeads: which AEAD backends serve on this machine, and each thread's contexts of them. */
#ifndef DATAPLANE_AEADS_H
#define DATAPLANE_AEADS_H

#include "esp/esp.h"

/*
 * Fills a list as struct esp_thread has it: every backend that gives its known answers, `want` first;
 * with "auto" in the order of preference, but no AES-GCM by the first where the second measures
 * faster. False, with an empty list, if the wanted one does not serve.
 */
bool dp_aeads_pick(struct esp_aead list[static ESP_AEADS_MAX + 1], const char *want);

/* Contexts of the same backends for another thread; false: no memory. */
bool dp_aeads_init(struct esp_aead list[static ESP_AEADS_MAX + 1], const struct esp_aead *like);
void dp_aeads_fini(struct esp_aead *list);

#endif
