/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log: the log of a process (shells only), one record a line on standard error, as text or JSON.
 * Text: "2026-01-01T00:00:00.000Z LEVEL process: message". Control characters are escaped, so that
 * a peer's bytes cannot forge a record. Rate limits are the caller's business (log_limit).
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include "base/mono.h"
#include "base/trace.h"

void log_init(const char *process, enum log_level level, enum log_format format);
void log_set(enum log_level level, enum log_format format);
bool log_level_parse(const char *s, enum log_level *out); /* error, warn, info, debug */
void log_write(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...)  log_write(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...)  log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

/* A tracer that writes to this log. */
const struct tracer *log_tracer(void);

/* A token bucket for log lines caused by the network: true if this one may be written. */
struct log_limit {
	unsigned per_s; /* refill and burst */
	unsigned tokens;
	struct mono last;
	uint64_t n_suppressed;
};
bool log_limit_take(struct log_limit *l, struct mono now);

#endif
