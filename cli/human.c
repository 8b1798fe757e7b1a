/* SPDX-License-Identifier: Apache-2.0 */
/* human: numbers for people, and members of JSON objects. */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/sb.h"
#include "cli/cli.h"

static const char *scaled(uint64_t n, unsigned step, const char *const *units, size_t n_units,
			  char buf[CLI_HUMAN_SIZE])
{
	struct sb s = sb_of(buf, CLI_HUMAN_SIZE);
	double v = (double)n;
	size_t i = 0;

	if (n < step) {
		sb_printf(&s, "%llu%s", (unsigned long long)n, units[0]);
		return buf;
	}
	/* What would round up to a whole step is one of the next unit. */
	while (i + 1 < n_units && v >= (double)step - 0.5) {
		v /= step;
		i++;
	}
	if (v < 99.95)
		sb_printf(&s, "%.1f%s", v, units[i]);
	else
		sb_printf(&s, "%.0f%s", v, units[i]);
	return buf;
}

const char *cli_bytes(uint64_t n, char buf[CLI_HUMAN_SIZE])
{
	static const char *const units[] = {" B", " KiB", " MiB", " GiB", " TiB", " PiB", " EiB"};

	return scaled(n, 1024, units, 7, buf);
}

const char *cli_bitrate(uint64_t bps, char buf[CLI_HUMAN_SIZE])
{
	static const char *const units[] = {" bit/s", " kbit/s", " Mbit/s", " Gbit/s", " Tbit/s"};

	return scaled(bps, 1000, units, 5, buf);
}

const char *cli_packet_rate(uint64_t pps, char buf[CLI_HUMAN_SIZE])
{
	static const char *const units[] = {" pps", " kpps", " Mpps", " Gpps"};

	return scaled(pps, 1000, units, 4, buf);
}

const char *cli_age(double seconds, char buf[CLI_HUMAN_SIZE])
{
	struct sb s = sb_of(buf, CLI_HUMAN_SIZE);
	const uint64_t t = !(seconds > 0) ? 0 : seconds > 1e12 ? 1000000000000 : (uint64_t)seconds;
	const unsigned long long d = t / 86400, h = t / 3600 % 24, m = t / 60 % 60, sec = t % 60;

	if (d)
		sb_printf(&s, "%llud%02lluh", d, h);
	else if (h)
		sb_printf(&s, "%lluh%02llum", h, m);
	else if (m)
		sb_printf(&s, "%llum%02llus", m, sec);
	else
		sb_printf(&s, "%llus", sec);
	return buf;
}

double cli_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

const char *cli_str(const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));

	return s ? s : "";
}

uint64_t cli_num(const json_t *o, const char *name)
{
	const json_int_t n = json_integer_value(json_object_get(o, name));

	return n > 0 ? (uint64_t)n : 0;
}

double cli_real(const json_t *o, const char *name)
{
	return json_number_value(json_object_get(o, name));
}

bool cli_bool(const json_t *o, const char *name)
{
	return json_is_true(json_object_get(o, name));
}

char *cli_join(const json_t *array, const char *separator)
{
	size_t i, size = 1;
	const json_t *item;
	struct sb s;
	char *out;

	json_array_foreach (array, i, item)
		size += strlen(separator) + json_string_length(item);
	out = malloc(size);
	if (!out)
		return NULL;
	s = sb_of(out, size);
	json_array_foreach (array, i, item) {
		sb_str(&s, i ? separator : "");
		sb_str(&s, json_is_string(item) ? json_string_value(item) : "");
	}
	return out;
}
