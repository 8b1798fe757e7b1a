/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/event.h"

#include <stdio.h>
#include <time.h>

static void format_now(char *buf, size_t size)
{
	struct timespec ts;
	struct tm tm;
	size_t n;

	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	n = strftime(buf, size, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(buf + n, size - n, ".%03ldZ", ts.tv_nsec / 1000000);
}

char *event_text(const char *kind, const char *process, const char *tunnel, const char *text,
		 json_t *more)
{
	char now[40];
	json_t *o;
	char *out;

	format_now(now, sizeof(now));
	o = json_pack("{ssssss}", "time", now, "kind", kind, "process", process);
	if (o && tunnel && tunnel[0] != '\0')
		json_object_set_new(o, "tunnel", json_string(tunnel));
	if (o)
		/* Text that a peer had a part in may be no UTF-8: then it is left out. */
		json_object_set_new(o, "text", json_string(text));
	if (o && more)
		json_object_update(o, more);
	json_decref(more);
	out = o ? json_dumps(o, JSON_COMPACT) : NULL;
	json_decref(o);
	return out;
}
