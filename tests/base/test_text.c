/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of what makes text: base/sb.h, base/trace.h and base/log.h. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/sb.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

static void write_one(struct sb *s, unsigned op)
{
	switch (op) {
	case 0: sb_str(s, "twin bore"); break;
	case 1: sb_printf(s, "%s-%d", "tunnel", 12); break;
	case 2: sb_hex(s, "\x00\xff\x1a\x2b\x3c", 5); break;
	case 3: sb_escaped(s, "a\n\\\x7f", 4); break;
	default: fail();
	}
}

static void test_sb_at_every_size(void **state)
{
	static const char *const rows[] = {
		"twin bore",
		"tunnel-12",
		"00ff1a2b3c",
		"a\\x0a\\x5c\\x7f",
	};

	for (unsigned i = 0; i < N(rows); i++) {
		const size_t len = strlen(rows[i]);

		for (size_t size = 1; size <= len + 3; size++) {
			char buf[32];
			struct sb s;

			memset(buf, 'Z', sizeof(buf));
			s = sb_of(buf, size);
			assert_int_equal(buf[0], '\0');
			write_one(&s, i);
			if (s.truncated != (len > size - 1))
				fail_msg("\"%s\" into %zu: %d", rows[i], size, s.truncated);
			assert_int_equal(s.n, len < size ? len : size - 1);
			assert_int_equal(strlen(buf), s.n);
			assert_memory_equal(buf, rows[i], s.n);
			assert_int_equal(buf[size], 'Z');
		}
	}
}

static void test_sb_truncation_is_sticky(void **state)
{
	char buf[8];
	struct sb s = sb_of(buf, sizeof(buf));

	sb_str(&s, "12345");
	assert_false(s.truncated);
	sb_printf(&s, "%s", "67890");
	assert_true(s.truncated);
	assert_string_equal(buf, "1234567");
	sb_str(&s, "");
	sb_str(&s, "x");
	sb_hex(&s, "x", 1);
	sb_printf(&s, "x");
	assert_string_equal(buf, "1234567");
}

static void test_sb_escaped_bytes(void **state)
{
	for (unsigned c = 0; c < 256; c++) {
		const uint8_t byte = (uint8_t)c;
		const bool plain = c >= 0x20 && c < 0x7f && c != '\\';
		char buf[8], want[8];
		struct sb s = sb_of(buf, sizeof(buf));

		snprintf(want, sizeof(want), plain ? "%c" : "\\x%02x", c);
		sb_escaped(&s, &byte, 1);
		assert_string_equal(buf, want);
	}
}

struct sink {
	unsigned n;
	enum log_level level;
	char text[1024];
};

static void sink_line(void *ctx, enum log_level level, const char *text)
{
	struct sink *k = ctx;

	k->n++;
	k->level = level;
	snprintf(k->text, sizeof(k->text), "%s", text);
}

static void test_trace(void **state)
{
	struct sink k = {0};
	const struct tracer t = {.ctx = &k, .line = sink_line}, silent = {0};
	char longer[2000];

	trace(NULL, LOG_LEVEL_INFO, "nobody %d", 1);
	trace(&silent, LOG_LEVEL_INFO, "nobody %d", 2);
	trace(&t, LOG_LEVEL_WARN, "t1[%08x] %s: %s -> %s", 0xab, "child", "new", "up");
	assert_int_equal(k.n, 1);
	assert_int_equal(k.level, LOG_LEVEL_WARN);
	assert_string_equal(k.text, "t1[000000ab] child: new -> up");
	memset(longer, 'x', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	trace(&t, LOG_LEVEL_WARN, "%s", longer);
	assert_int_equal(k.n, 2);
	assert_int_equal(strlen(k.text), 511);
}

/* Standard error as a file while `body` writes to it. */
static size_t capture(void (*body)(const void *), const void *arg, char *out, size_t size)
{
	const int saved = dup(STDERR_FILENO);
	const int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	ssize_t n;

	assert_true(saved >= 0 && fd >= 0);
	dup2(fd, STDERR_FILENO);
	body(arg);
	dup2(saved, STDERR_FILENO);
	n = pread(fd, out, size - 1, 0);
	assert_true(n >= 0);
	out[n] = '\0';
	close(fd);
	close(saved);
	return (size_t)n;
}

static void log_info_text(const void *arg)
{
	log_info("%s", (const char *)arg);
}

static void assert_matches(const char *text, const char *pattern)
{
	regex_t re;

	assert_int_equal(regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB), 0);
	if (regexec(&re, text, 0, NULL, 0) != 0)
		fail_msg("%s\ndoes not match %s", text, pattern);
	regfree(&re);
}

#define TIME "[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]\\.[0-9]{3}Z"

static void test_log_forms(void **state)
{
	static const struct {
		const char *message, *text, *json; /* what stands for the message */
	} rows[] = {
		{"tunnel t1 is up", "tunnel t1 is up", "tunnel t1 is up"},
		{"two\nlines", "two\\x0alines", "two\\\\x0alines"},
		{"\x1b[31mred\x1b[0m\r", "\\x1b[31mred\\x1b[0m\\x0d",
		 "\\\\x1b[31mred\\\\x1b[0m\\\\x0d"},
		{"say \"hi\"", "say \"hi\"", "say \\\"hi\\\""},
		{"back\\slash", "back\\slash", "back\\\\slash"},
		{"n\xc3\xa4her\x80", "n\\xc3\\xa4her\\x80", "n\\\\xc3\\\\xa4her\\\\x80"},
		{"", "", ""},
	};
	char out[8192], want[512];

	for (unsigned i = 0; i < N(rows); i++) {
		log_init("ike", LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
		capture(log_info_text, rows[i].message, out, sizeof(out));
		assert_matches(out, "^" TIME " info ike: ");
		snprintf(want, sizeof(want), " info ike: %s\n", rows[i].text);
		assert_string_equal(out + 24, want);

		log_set(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
		capture(log_info_text, rows[i].message, out, sizeof(out));
		assert_matches(out, "^\\{\"time\":\"" TIME "\",");
		snprintf(want, sizeof(want),
			 "\",\"level\":\"info\",\"process\":\"ike\",\"message\":\"%s\"}\n",
			 rows[i].json);
		assert_string_equal(out + 33, want);
	}
}

static void test_log_one_line_whatever_comes(void **state)
{
	char all[256], out[8192];

	for (unsigned i = 0; i < 255; i++)
		all[i] = (char)(i + 1);
	all[255] = '\0';
	for (int json = 0; json <= 1; json++) {
		size_t n;

		log_init("x", LOG_LEVEL_INFO, json ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT);
		n = capture(log_info_text, all, out, sizeof(out));
		for (size_t i = 0; i < n; i++)
			assert_true((out[i] >= 0x20 && out[i] < 0x7f) ||
				    (out[i] == '\n' && i == n - 1));
	}
}

static void test_log_long_message(void **state)
{
	static char longer[5000], out[32768];

	memset(longer, '\n', sizeof(longer) - 1); /* the worst: each becomes five characters */
	for (int json = 0; json <= 1; json++) {
		size_t n;

		log_init("x", LOG_LEVEL_INFO, json ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT);
		n = capture(log_info_text, longer, out, sizeof(out));
		assert_string_equal(out + n - (json ? 6 : 4), json ? "...\"}\n" : "...\n");
		assert_true(n > 3000 && n < 8192);
	}
}

static void log_all_levels(const void *arg)
{
	log_error("e");
	log_warn("w");
	log_info("i");
	log_debug("d");
}

static void test_log_levels(void **state)
{
	static const struct {
		const char *name;
		enum log_level level;
		unsigned lines;
	} rows[] = {
		{"error", LOG_LEVEL_ERROR, 1},
		{"warn", LOG_LEVEL_WARN, 2},
		{"info", LOG_LEVEL_INFO, 3},
		{"debug", LOG_LEVEL_DEBUG, 4},
	};
	enum log_level level = LOG_LEVEL_DEBUG;
	char out[2048];

	for (unsigned i = 0; i < N(rows); i++) {
		unsigned lines = 0;

		assert_true(log_level_parse(rows[i].name, &level));
		assert_int_equal(level, rows[i].level);
		log_init("x", level, LOG_FORMAT_TEXT);
		capture(log_all_levels, NULL, out, sizeof(out));
		for (const char *p = out; *p; p++)
			lines += *p == '\n';
		assert_int_equal(lines, rows[i].lines);
	}
	assert_false(log_level_parse("", &level));
	assert_false(log_level_parse("Info", &level));
	assert_false(log_level_parse("infos", &level));
}

static void trace_to_log(const void *arg)
{
	trace(log_tracer(), LOG_LEVEL_WARN, "%s", "t1[1] ike: up -> down (100%d)");
}

static void test_log_tracer(void **state)
{
	char out[512];

	log_init("ike", LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
	capture(trace_to_log, NULL, out, sizeof(out));
	assert_string_equal(out + 24, " warn ike: t1[1] ike: up -> down (100%d)\n");
}

static void test_log_keeps_errno(void **state)
{
	const int saved = dup(STDERR_FILENO);
	int e;

	log_init("x", LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
	close(STDERR_FILENO); /* write(2) fails with EBADF */
	errno = ENOENT;
	log_info("nobody reads this");
	e = errno;
	dup2(saved, STDERR_FILENO);
	close(saved);
	assert_int_equal(e, ENOENT);
}

static void test_log_limit(void **state)
{
	/* Takes at these times, in order, with 4 a second. */
	static const struct {
		uint64_t ms;
		bool taken;
	} rows[] = {
		{5, true},    {5, true},    {5, true},    {6, true},     {7, false},
		{100, false}, {254, false}, {255, true},  {255, false},  {504, false},
		{505, true},  {1005, true}, {1005, true}, {1005, false}, {9000, true},
		{9000, true}, {9000, true}, {9000, true}, {9000, false}, {8000, false},
	};
	struct log_limit l = {.per_s = 4}, never = {0};
	unsigned suppressed = 0;

	for (unsigned i = 0; i < N(rows); i++) {
		const struct mono now = {span_ms(rows[i].ms).ns};

		if (log_limit_take(&l, now) != rows[i].taken)
			fail_msg("row %u at %llu ms", i, (unsigned long long)rows[i].ms);
		suppressed += !rows[i].taken;
	}
	assert_int_equal(l.n_suppressed, suppressed);
	assert_false(log_limit_take(&never, (struct mono){1}));
}

static void test_log_limit_long_run(void **state)
{
	struct log_limit l = {.per_s = 7};
	unsigned taken = 0;

	/* Asked 1000 times a second for 100 seconds: the burst and 7 a second, no fraction lost. */
	for (uint64_t ms = 1; ms <= 100000; ms++)
		taken += log_limit_take(&l, (struct mono){span_ms(ms).ns});
	assert_in_range(taken, 7 + 7 * 99, 7 + 7 * 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sb_at_every_size),
		cmocka_unit_test(test_sb_truncation_is_sticky),
		cmocka_unit_test(test_sb_escaped_bytes),
		cmocka_unit_test(test_trace),
		cmocka_unit_test(test_log_forms),
		cmocka_unit_test(test_log_one_line_whatever_comes),
		cmocka_unit_test(test_log_long_message),
		cmocka_unit_test(test_log_levels),
		cmocka_unit_test(test_log_tracer),
		cmocka_unit_test(test_log_keeps_errno),
		cmocka_unit_test(test_log_limit),
		cmocka_unit_test(test_log_limit_long_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
