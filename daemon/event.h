/* SPDX-License-Identifier: Apache-2.0 */
/* event: one thing that happened, as docs/control-protocol.md writes it. */
#ifndef DAEMON_EVENT_H
#define DAEMON_EVENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * The event's JSON text (the caller frees it), or NULL when out of memory. `more` are further
 * members: its reference is taken; NULL is fine. `tunnel` NULL or "": none.
 */
char *event_text(const char *kind, const char *process, const char *tunnel, const char *text,
		 json_t *more);

#endif
