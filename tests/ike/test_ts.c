/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of traffic selectors, written as "address[-address] [protocol [port-port]]". */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ike/ts.h"

/* "10.0.0.0-10.0.0.255 6 80-443", "2001:db8::1", "10.0.0.0/8 17 opaque" */
static struct ike_ts ts_of(const char *text)
{
	char address[96] = "", ports[32] = "", *dash;
	struct ike_ts ts = {.port_last = UINT16_MAX};
	struct ip_prefix prefix;
	unsigned protocol = 0, first = 0, last = 0;

	if (sscanf(text, "%95s %u %31s", address, &protocol, ports) < 1)
		fail_msg("bad selector: %s", text);
	dash = strchr(address, '-');
	if (ip_prefix_parse(address, &prefix)) {
		ts = ike_ts_from_prefix(&prefix);
	} else if (dash) {
		*dash = '\0';
		assert_true(ip_parse(address, &ts.first));
		assert_true(ip_parse(dash + 1, &ts.last));
	} else {
		assert_true(ip_parse(address, &ts.first));
		ts.last = ts.first;
	}
	ts.protocol = (uint8_t)protocol;
	if (strcmp(ports, "opaque") == 0) {
		ts.port_first = UINT16_MAX;
		ts.port_last = 0;
	} else if (sscanf(ports, "%u-%u", &first, &last) == 2) {
		ts.port_first = (uint16_t)first;
		ts.port_last = (uint16_t)last;
	}
	return ts;
}

/* Comma-separated; returns how many. */
static size_t list_of(const char *text, struct ike_ts *out)
{
	char copy[512], *save = NULL;
	size_t n = 0;

	snprintf(copy, sizeof(copy), "%s", text);
	for (char *p = strtok_r(copy, ",", &save); p; p = strtok_r(NULL, ",", &save))
		out[n++] = ts_of(p);
	return n;
}

/* clang-format off */
static const struct {
	const char *a, *b, *want; /* the intersection, NULL if empty */
} intersections[] = {
	{"10.0.0.0/8",             "10.1.0.0/16",            "10.1.0.0/16"},
	{"10.0.0.0/24",            "10.0.1.0/24",            NULL},
	{"10.0.0.0-10.0.0.9",      "10.0.0.5-10.0.0.20",     "10.0.0.5-10.0.0.9"},
	{"10.0.0.0-10.0.0.9",      "10.0.0.9-10.0.0.20",     "10.0.0.9/32"},
	{"0.0.0.0/0",              "::/0",                   NULL},
	{"::/0",                   "2001:db8::/32",          "2001:db8::/32"},
	{"0.0.0.0/0",              "10.0.0.0/8 6",           "10.0.0.0/8[6]"},
	{"10.0.0.0/8 17",          "10.0.0.0/8 6",           NULL},
	{"10.0.0.0/8 6 0-1023",    "10.0.0.0/8 6 80-2000",   "10.0.0.0/8[6/80-1023]"},
	{"10.0.0.0/8 6 0-79",      "10.0.0.0/8 6 80-2000",   NULL},
	{"10.0.0.0/8 6 80-80",     "10.0.0.0/8",             "10.0.0.0/8[6/80]"},
	{"10.0.0.0/8 0 80-80",     "10.0.0.0/8 6",           "10.0.0.0/8[6/80]"},
	{"10.0.0.0/8 0 80-80",     "10.0.0.0/8",             "10.0.0.0/8[any/80]"},
	{"10.0.0.0/8 6 opaque",    "10.0.0.0/8",             "10.0.0.0/8[6/opaque]"},
	{"10.0.0.0/8 6 opaque",    "10.0.0.0/8 6 opaque",    "10.0.0.0/8[6/opaque]"},
	{"10.0.0.0/8 6 opaque",    "10.0.0.0/8 6 0-1023",    NULL},
	{"10.0.0.0/8 6 opaque",    "10.0.0.0/8 6 65535-65535", NULL},
	{"255.255.255.255/32",     "0.0.0.0/0",              "255.255.255.255/32"},
};

static const struct {
	const char *outer, *inner;
	bool want;
} subsets[] = {
	{"10.0.0.0/8",                 "10.1.0.0/16",                true},
	{"10.1.0.0/16",                "10.0.0.0/8",                 false},
	{"10.0.0.0/8",                 "10.0.0.0/8",                 true},
	{"10.0.0.0/8",                 "::1",                        false},
	{"10.0.0.0/8,::/0",            "::1,10.0.0.1",               true},
	{"10.0.0.0/8 6",               "10.0.0.0/8",                 false},
	{"10.0.0.0/8",                 "10.0.0.0/8 6 80-80",         true},
	{"10.0.0.0/8 6 80-90",         "10.0.0.0/8 6 80-91",         false},
	{"10.0.0.0/8 6 80-90",         "10.0.0.0/8 6",               false},
	{"10.0.0.0/8 6",               "10.0.0.0/8 6 opaque",        true},
	{"10.0.0.0/8 6 0-65534",       "10.0.0.0/8 6 opaque",        false},
	{"10.0.0.0/8 6 opaque",        "10.0.0.0/8 6 opaque",        true},
	{"10.0.0.0/8 6 opaque",        "10.0.0.0/8 6 80-80",         false},
	{"10.0.0.0/9,10.128.0.0/9",    "10.0.0.0/8",                 false}, /* in no single one */
};

static const struct {
	const char *a, *b, *want;
	size_t max;
} narrowings[] = {
	{"10.1.0.0/24,2001:db8:1::/64", "0.0.0.0/0,::/0",           "10.1.0.0/24 2001:db8:1::/64", 6},
	{"0.0.0.0/0",                   "10.1.0.0/24,10.1.0.0/24",  "10.1.0.0/24",                 6},
	{"10.1.0.7 6 80-80,10.1.0.0/24","10.1.0.0/24",              "10.1.0.7/32[6/80] 10.1.0.0/24", 6},
	{"10.1.0.0/24",                 "10.2.0.0/24",              "",                            6},
	{"10.1.0.0/24,10.2.0.0/24",     "0.0.0.0/0",                "10.1.0.0/24",                 1},
	{"10.1.0.0/24",                 "0.0.0.0/0",                "",                            0},
};
/* clang-format on */

#define N_OF(a) (sizeof(a) / sizeof((a)[0]))

static void intersect_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_OF(intersections); i++) {
		const struct ike_ts a = ts_of(intersections[i].a), b = ts_of(intersections[i].b);
		char text[IKE_TS_STRLEN];
		struct ike_ts out;

		for (int swap = 0; swap < 2; swap++) {
			const bool found = ike_ts_intersect(swap ? &b : &a, swap ? &a : &b, &out);

			if (!intersections[i].want) {
				if (found)
					fail_msg("%s and %s: %s", intersections[i].a,
						 intersections[i].b, ike_ts_format(&out, text));
				continue;
			}
			assert_true(found);
			assert_string_equal(ike_ts_format(&out, text), intersections[i].want);
			/* What two have in common lies in both. */
			assert_true(ike_ts_contains(&a, &out));
			assert_true(ike_ts_contains(&b, &out));
		}
	}
}

/* Requirements: RFC7296-2.9-subset */
static void subset_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_OF(subsets); i++) {
		struct ike_ts outer[8], inner[8];
		const size_t n_outer = list_of(subsets[i].outer, outer);
		const size_t n_inner = list_of(subsets[i].inner, inner);

		if (ike_ts_subset(inner, n_inner, outer, n_outer) != subsets[i].want)
			fail_msg("%s within %s", subsets[i].inner, subsets[i].outer);
	}
}

/* Requirements: RFC7296-2.9-subset */
static void narrow_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_OF(narrowings); i++) {
		struct ike_ts a[8], b[8], out[8];
		const size_t n_a = list_of(narrowings[i].a, a), n_b = list_of(narrowings[i].b, b);
		const size_t n = ike_ts_narrow(a, n_a, b, n_b, out, narrowings[i].max);
		char all[1024] = "", text[IKE_TS_STRLEN];

		for (size_t k = 0; k < n; k++)
			snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s", k ? " " : "",
				 ike_ts_format(&out[k], text));
		assert_string_equal(all, narrowings[i].want);
		assert_true(ike_ts_subset(out, n, a, n_a));
		assert_true(ike_ts_subset(out, n, b, n_b));
	}
}

static void longest_text_fits(void **state)
{
	const struct ike_ts ts = ts_of("1111:2222:3333:4444:5555:6666:7777:8888-"
				       "ffff:eeee:dddd:cccc:bbbb:aaaa:9999:8888 255 10000-65534");
	char text[IKE_TS_STRLEN];

	(void)state;
	assert_string_equal(ike_ts_format(&ts, text),
			    "1111:2222:3333:4444:5555:6666:7777:8888-"
			    "ffff:eeee:dddd:cccc:bbbb:aaaa:9999:8888[255/10000-65534]");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(intersect_cases),
		cmocka_unit_test(subset_cases),
		cmocka_unit_test(narrow_cases),
		cmocka_unit_test(longest_text_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
