/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sb: a string builder in a caller's buffer. Always NUL-terminated; truncation is sticky and can
 * be asked for. It is the only formatting that cores use.
 */
#ifndef BASE_SB_H
#define BASE_SB_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sb {
	char *buf;
	size_t size;
	size_t n; /* characters written, without the NUL */
	bool truncated;
};

struct sb sb_of(char *buf, size_t size); /* size >= 1 */
void sb_str(struct sb *s, const char *str);
void sb_printf(struct sb *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void sb_vprintf(struct sb *s, const char *fmt, va_list args) __attribute__((format(printf, 2, 0)));
void sb_hex(struct sb *s, const void *data, size_t size);
/* Printable ASCII as it is, anything else as \xNN: for text that a peer sent. */
void sb_escaped(struct sb *s, const void *data, size_t size);

#endif
