/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aeads: which AEAD backends serve on this machine, which of them each suite gets, and each thread's
 * contexts of them.
 */
#ifndef DATAPLANE_AEADS_H
#define DATAPLANE_AEADS_H

#include "esp/esp.h"

/*
 * Gives the thread every backend that knows its known answers, and each suite one of them: `want`'s
 * where it serves the suite, else the fastest; all the fastest for "auto". False, without backends,
 * if the wanted one does not serve.
 */
bool dp_aeads_pick(struct esp_thread *t, const char *want);

/* Contexts of the same backends for another thread; false: no memory. */
bool dp_aeads_init(struct esp_thread *t, const struct esp_thread *like);
void dp_aeads_fini(struct esp_thread *t);

/* The name of the backend that a suite gets, "" if none does it. */
const char *dp_aeads_name(const struct esp_thread *t, const struct esp_suite *s);

#endif
