/* SPDX-License-Identifier: Apache-2.0 */
/* trace: formats one line and hands it to the sink. See trace.h. */
#include "base/trace.h"

#include <stdarg.h>
#include <stdio.h>

#define TRACE_LINE_MAX 512

void trace(const struct tracer *t, enum log_level level, const char *fmt, ...)
{
	char line[TRACE_LINE_MAX];
	va_list ap;
	int n;

	if (!t || !t->line)
		return;
	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (n >= 0)
		t->line(t->ctx, level, line);
}
