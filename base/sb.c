/* SPDX-License-Identifier: Apache-2.0 */
/* sb: a string builder in a caller's buffer. See sb.h. */
#include "base/sb.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char hex_digits[] = "0123456789abcdef";

struct sb sb_of(char *buf, size_t size)
{
	buf[0] = '\0';
	return (struct sb){.buf = buf, .size = size};
}

static void put(struct sb *s, const char *data, size_t size)
{
	const size_t room = s->size - 1 - s->n;

	if (s->truncated)
		return;
	if (size > room) {
		s->truncated = true;
		size = room;
	}
	memcpy(s->buf + s->n, data, size);
	s->n += size;
	s->buf[s->n] = '\0';
}

void sb_str(struct sb *s, const char *str)
{
	put(s, str, strlen(str));
}

void sb_vprintf(struct sb *s, const char *fmt, va_list args)
{
	const size_t room = s->size - s->n; /* with the NUL; at least 1 */
	int n;

	if (s->truncated)
		return;
	n = vsnprintf(s->buf + s->n, room, fmt, args);
	if (n < 0) {
		s->buf[s->n] = '\0';
		s->truncated = true;
	} else if ((size_t)n >= room) {
		s->n = s->size - 1;
		s->truncated = true;
	} else {
		s->n += (size_t)n;
	}
}

void sb_printf(struct sb *s, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	sb_vprintf(s, fmt, args);
	va_end(args);
}

void sb_hex(struct sb *s, const void *data, size_t size)
{
	const uint8_t *p = data;
	char pair[2];

	for (size_t i = 0; i < size; i++) {
		pair[0] = hex_digits[p[i] >> 4];
		pair[1] = hex_digits[p[i] & 15];
		put(s, pair, 2);
	}
}

void sb_escaped(struct sb *s, const void *data, size_t size)
{
	const uint8_t *p = data;

	for (size_t i = 0; i < size; i++) {
		const char c = (char)p[i];
		const char esc[4] = {'\\', 'x', hex_digits[p[i] >> 4], hex_digits[p[i] & 15]};

		if (p[i] >= 0x20 && p[i] < 0x7f && c != '\\')
			put(s, &c, 1);
		else
			put(s, esc, sizeof(esc));
	}
}
