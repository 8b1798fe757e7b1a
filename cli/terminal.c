/* SPDX-License-Identifier: Apache-2.0 */
/* terminal: what standard output is, and what may be written to it. */
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "base/sb.h"
#include "cli/cli.h"

static bool tty, colours;

void cli_terminal_init(void)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	tty = isatty(STDOUT_FILENO);
	colours = tty && !(no && *no) && term && strcmp(term, "dumb") != 0;
}

bool cli_is_tty(void)
{
	return tty;
}

unsigned cli_width(void)
{
	const char *columns = getenv("COLUMNS");
	struct winsize w;
	long n;

	if (tty && !ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) && w.ws_col)
		return w.ws_col;
	n = columns ? strtol(columns, NULL, 10) : 0;
	return n >= 20 && n <= 10000 ? (unsigned)n : 0;
}

const char *cli_on(enum cli_colour c)
{
	if (!colours)
		return "";
	switch (c) {
	case CLI_PLAIN: return "";
	case CLI_GREEN: return "\033[32m";
	case CLI_YELLOW: return "\033[33m";
	case CLI_RED: return "\033[31m";
	case CLI_BOLD: return "\033[1m";
	case CLI_DIM: return "\033[2m";
	}
	return "";
}

const char *cli_off(enum cli_colour c)
{
	return colours && c != CLI_PLAIN ? "\033[0m" : "";
}

char *cli_safe(const char *s)
{
	const size_t n = strlen(s), size = n * 4 + 1;
	char *out = malloc(size);
	struct sb b;

	if (!out)
		return NULL;
	b = sb_of(out, size);
	sb_escaped(&b, s, n);
	return out;
}

/* Bytes of one character of UTF-8 that a terminal shows as such, or 0. */
static size_t printable(const unsigned char *s, size_t n)
{
	uint32_t c;
	size_t size, i;

	if (s[0] < 0x80)
		return s[0] >= 0x20 && s[0] != 0x7f;
	size = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
	if (s[0] < 0xc2 || s[0] > 0xf4 || size > n)
		return 0;
	c = s[0] & (0x7fu >> size);
	for (i = 1; i < size; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	/* C1 controls; marks that change the direction of the text around; overlong forms. */
	if (c < 0xa0 || (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
	    (c >= 0x2066 && c <= 0x2069) || (c >= 0xd800 && c <= 0xdfff) || c > 0x10ffff ||
	    (size == 3 && c < 0x800) || (size == 4 && c < 0x10000))
		return 0;
	return size;
}

void cli_safe_line(const char *s, size_t n, char *out, size_t size)
{
	size_t at = 0, to = 0, k;

	while (at < n && to + 5 < size) {
		k = printable((const unsigned char *)s + at, n - at);
		if (s[at] == '\t') {
			out[to++] = s[at++];
		} else if (k) {
			memcpy(out + to, s + at, k);
			to += k;
			at += k;
		} else {
			out[to++] = '?';
			at++;
			/* The rest of a character that is not shown. */
			while (at < n && ((unsigned char)s[at] & 0xc0) == 0x80)
				at++;
		}
	}
	out[to] = 0;
}
