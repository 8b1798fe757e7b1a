/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log: one record a line on standard error. See log.h.
 *
 * A record is built in one buffer and written by one write(2), so that the records of several
 * threads and processes never mix within a line. Bytes outside printable ASCII become \xNN.
 */
#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/sb.h"

#define LOG_MESSAGE_MAX 1024
#define LOG_RECORD_MAX  4096 /* PIPE_BUF: writes up to here are atomic on pipes, too */

static const char *const level_names[] = {
	[LOG_LEVEL_ERROR] = "error",
	[LOG_LEVEL_WARN] = "warn",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_DEBUG] = "debug",
};

static char process_name[32] = "twinbore";
static _Atomic enum log_level current_level = LOG_LEVEL_INFO;
static _Atomic enum log_format current_format = LOG_FORMAT_TEXT;

void log_init(const char *process, enum log_level level, enum log_format format)
{
	struct sb s = sb_of(process_name, sizeof(process_name));

	sb_escaped(&s, process, strlen(process));
	log_set(level, format);
}

void log_set(enum log_level level, enum log_format format)
{
	current_level = level;
	current_format = format;
}

bool log_level_parse(const char *s, enum log_level *out)
{
	for (size_t i = 0; i < sizeof(level_names) / sizeof(level_names[0]); i++) {
		if (strcmp(s, level_names[i]) == 0) {
			*out = (enum log_level)i;
			return true;
		}
	}
	return false;
}

static void put_time(struct sb *s)
{
	struct timespec ts;
	struct tm tm;

	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	sb_printf(s, "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ", tm.tm_year + 1900, tm.tm_mon + 1,
		  tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, ts.tv_nsec / 1000000);
}

/* The message's text with everything but printable ASCII escaped; a backslash stays as it is. */
static void put_text(struct sb *s, const char *text)
{
	for (; *text; text++) {
		if (*text == '\\')
			sb_str(s, "\\");
		else
			sb_escaped(s, text, 1);
	}
}

/* The same as the inside of a JSON string: \xNN is written with a doubled backslash. */
static void put_json(struct sb *s, const char *text)
{
	char esc[8];

	for (; *text; text++) {
		struct sb one = sb_of(esc, sizeof(esc));

		if (*text == '"' || *text == '\\') {
			sb_printf(s, "\\%c", *text);
		} else {
			sb_escaped(&one, text, 1);
			sb_printf(s, "%s%s", one.n > 1 ? "\\" : "", esc);
		}
	}
}

static void write_record(const char *data, size_t size)
{
	while (size) {
		const ssize_t n = write(STDERR_FILENO, data, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return; /* nobody reads, or cannot keep up: the log never holds up the work
				 */
		data += n;
		size -= (size_t)n;
	}
}

static void put_record(enum log_level level, const char *message)
{
	/* The worst escape is fivefold: "\\x0a" in JSON. */
	static_assert(LOG_MESSAGE_MAX * 5 + 256 < 2 * LOG_RECORD_MAX, "a record fits its buffer");
	char record[2 * LOG_RECORD_MAX];
	struct sb s = sb_of(record, sizeof(record));

	if (current_format == LOG_FORMAT_JSON) {
		sb_str(&s, "{\"time\":\"");
		put_time(&s);
		sb_printf(&s, "\",\"level\":\"%s\",\"process\":\"", level_names[level]);
		put_json(&s, process_name);
		sb_str(&s, "\",\"message\":\"");
		put_json(&s, message);
		sb_str(&s, "\"}\n");
	} else {
		put_time(&s);
		sb_printf(&s, " %s %s: ", level_names[level], process_name);
		put_text(&s, message);
		sb_str(&s, "\n");
	}
	write_record(record, s.n);
}

void log_write(enum log_level level, const char *fmt, ...)
{
	static const char more[] = "...";
	const int e = errno;
	char message[LOG_MESSAGE_MAX];
	va_list ap;
	int n;

	if (level > current_level)
		return;
	va_start(ap, fmt);
	n = vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	if (n >= (int)sizeof(message))
		memcpy(message + sizeof(message) - sizeof(more), more, sizeof(more));
	put_record(level, n < 0 ? "(a message could not be formatted)" : message);
	errno = e;
}

static void tracer_line(void *ctx, enum log_level level, const char *text)
{
	(void)ctx;
	log_write(level, "%s", text);
}

const struct tracer *log_tracer(void)
{
	static const struct tracer tracer = {.line = tracer_line};

	return &tracer;
}

bool log_limit_take(struct log_limit *l, struct mono now)
{
	const uint64_t second = span_s(1).ns;
	const uint64_t elapsed = mono_since(now, l->last).ns;

	if (l->last.ns == 0 || elapsed >= second) {
		l->tokens = l->per_s;
		l->last = now;
	} else if (l->per_s) {
		const uint64_t add = elapsed * l->per_s / second;

		/* Only whole tokens move `last` on, so that no fraction is lost. */
		l->tokens = l->tokens + add > l->per_s ? l->per_s : l->tokens + (unsigned)add;
		l->last = mono_add(l->last, span_ns(add * second / l->per_s));
	}
	if (l->tokens == 0) {
		l->n_suppressed++;
		return false;
	}
	l->tokens--;
	return true;
}
