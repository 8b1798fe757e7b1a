/* SPDX-License-Identifier: Apache-2.0 */
/* control_events: what happened, told by the other processes; the last of it is kept. */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/log.h"
#include "daemon/control_int.h"

/* "2026-01-01T00:00:00.000Z" of now. */
static json_t *time_text(void)
{
	char text[40];
	struct sb s = sb_of(text, sizeof(text));
	struct timespec ts;
	struct tm tm;

	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	sb_printf(&s, "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ", tm.tm_year + 1900, tm.tm_mon + 1,
		  tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, ts.tv_nsec / 1000000);
	return json_string(text);
}

static void keep(struct control_events *e, char *text)
{
	const size_t at = (e->first + e->n) % CONTROL_EVENTS_KEPT;

	if (e->n == CONTROL_EVENTS_KEPT) {
		free(e->text[e->first]);
		e->first = (e->first + 1) % CONTROL_EVENTS_KEPT;
		e->n--;
	}
	e->text[at] = text;
	e->n++;
}

void control_event_in(struct control *c, enum ipc_role from, const void *text, size_t size)
{
	json_t *event = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
	char *line;

	if (!json_is_string(json_object_get(event, "kind"))) {
		if (!c->events.n_refused++)
			log_warn("an event of %s is malformed: dropped", ipc_role_name(from));
		json_decref(event);
		return;
	}
	/* Who said it is what the socket says; a process cannot speak for another. */
	json_object_set_new(event, "process", json_string(ipc_role_name(from)));
	if (!json_is_string(json_object_get(event, "time")))
		json_object_set_new(event, "time", time_text());
	line = json_dumps(event, JSON_COMPACT | JSON_REAL_PRECISION(15));
	json_decref(event);
	if (!line || strlen(line) > CONTROL_EVENT_MAX) {
		c->events.n_refused++;
		free(line);
		return;
	}
	keep(&c->events, line);
	control_clients_event(c, line, strlen(line));
}

json_t *control_events_show(const struct control *c)
{
	const struct control_events *e = &c->events;
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < e->n; i++)
		json_array_append_new(
			list, json_loads(e->text[(e->first + i) % CONTROL_EVENTS_KEPT], 0, NULL));
	return list;
}

void control_events_fini(struct control_events *e)
{
	size_t i;

	for (i = 0; i < e->n; i++)
		free(e->text[(e->first + i) % CONTROL_EVENTS_KEPT]);
	e->n = 0;
}
