/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace: the sink that a core writes its transitions to, one line each, in stable wording:
 *
 *	name[spi] story: from -> to (reason)
 *
 * Scenario tests compare these lines; the daemon's sink is its log. Lines never hold secrets.
 */
#ifndef BASE_TRACE_H
#define BASE_TRACE_H

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARN,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG,
};

enum log_format {
	LOG_FORMAT_TEXT,
	LOG_FORMAT_JSON,
};

struct tracer {
	void *ctx;
	void (*line)(void *ctx, enum log_level level, const char *text); /* text without newline */
};

/* A NULL tracer or one without a sink is silent. */
void trace(const struct tracer *t, enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
