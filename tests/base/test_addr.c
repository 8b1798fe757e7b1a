/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of base/addr.h: parsing, formatting (RFC 5952) and the arithmetic of prefixes. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "base/addr.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

static struct ip_addr addr(const char *s)
{
	struct ip_addr a;

	if (!ip_parse(s, &a))
		fail_msg("%s was refused", s);
	return a;
}

static struct ip_prefix prefix(const char *s)
{
	struct ip_prefix p;

	if (!ip_prefix_parse(s, &p))
		fail_msg("%s was refused", s);
	return p;
}

static void test_parse_and_format(void **state)
{
	static const struct {
		const char *in, *out; /* out NULL: refused */
	} rows[] = {
		{"0.0.0.0", "0.0.0.0"},
		{"255.255.255.255", "255.255.255.255"},
		{"192.0.2.1", "192.0.2.1"},
		{"192.0.2", NULL},
		{"192.0.2.1.", NULL},
		{"192.0.2.256", NULL},
		{"192.0.2.01", NULL},
		{"192.0.2.1 ", NULL},
		{" 192.0.2.1", NULL},
		{"0xc0.0.2.1", NULL},
		{"3221225985", NULL},
		{"-1.0.0.0", NULL},
		{"", NULL},
		{"localhost", NULL},
		{"1.2.3.4.5", NULL},
		{"::", "::"},
		{"::1", "::1"},
		{"1::", "1::"},
		{"2001:db8::1", "2001:db8::1"},
		/* RFC 5952 2.1, 4.1: leading zeros go */
		{"2001:0db8:0000:0000:0001:0000:0000:0001", "2001:db8::1:0:0:1"},
		/* RFC 5952 4.2.1: shorten as much as possible */
		{"2001:db8:0:0:0:0:2:1", "2001:db8::2:1"},
		/* RFC 5952 4.2.2: one zero group is not shortened */
		{"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
		{"2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
		/* RFC 5952 4.2.3: the longest run, of equal ones the first */
		{"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},
		{"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
		{"0:0:1:0:0:1:0:0", "::1:0:0:1:0:0"},
		{"1:0:0:1:0:0:0:0", "1:0:0:1::"},
		/* RFC 5952 4.3: lower case */
		{"2001:DB8:AAAA:BBBB:CCCC:DDDD:EEEE:FFFF",
		 "2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff"},
		/* RFC 5952 5: only well-known prefixes show IPv4 in dotted form */
		{"::ffff:192.0.2.1", "::ffff:192.0.2.1"},
		{"::ffff:c000:201", "::ffff:192.0.2.1"},
		{"::192.0.2.1", "::c000:201"},
		{"64:ff9b::192.0.2.33", "64:ff9b::c000:221"},
		{"fe80::1%eth0", NULL},
		{"1:2:3:4:5:6:7", NULL},
		{"1:2:3:4:5:6:7:8:9", NULL},
		{"1::2::3", NULL},
		{":::", NULL},
		{"1:2:3:4:5:6:7:8::", NULL},
		{"12345::", NULL},
		{"[::1]", NULL},
		{"g::", NULL},
		{"::1 ", NULL},
		{":1", NULL},
	};

	for (unsigned i = 0; i < N(rows); i++) {
		char buf[IP_ADDR_STRLEN];
		struct ip_addr a = {.family = 99};
		const bool ok = ip_parse(rows[i].in, &a);

		if (ok != (rows[i].out != NULL))
			fail_msg("\"%s\": %d", rows[i].in, ok);
		if (!ok) {
			assert_int_equal(a.family, 99); /* the result is untouched */
			continue;
		}
		assert_string_equal(ip_format(&a, buf), rows[i].out);
		assert_true(strlen(buf) < IP_ADDR_STRLEN);
	}
}

static void test_format_longest(void **state)
{
	struct ip_addr v6 = {.family = IP_V6}, none = {0};
	struct ip_endpoint e;
	struct ip_prefix p;
	char a[IP_ADDR_STRLEN], b[IP_ENDPOINT_STRLEN], c[IP_PREFIX_STRLEN];

	memset(v6.b, 0xff, 16);
	e = (struct ip_endpoint){v6, 65535};
	p = (struct ip_prefix){v6, 128};
	assert_string_equal(ip_format(&v6, a), "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
	assert_string_equal(ip_endpoint_format(&e, b),
			    "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
	assert_string_equal(ip_prefix_format(&p, c), "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128");
	assert_string_equal(ip_format(&none, a), "none");
	e = (struct ip_endpoint){ip_v4(192, 0, 2, 1), 4500};
	assert_string_equal(ip_endpoint_format(&e, b), "192.0.2.1:4500");
}

static void test_prefix_parse(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{"10.0.0.0/8", "10.0.0.0/8"},
		{"0.0.0.0/0", "0.0.0.0/0"},
		{"192.0.2.1/32", "192.0.2.1/32"},
		{"169.254.10.2/30", "169.254.10.2/30"}, /* host bits are kept */
		{"::/0", "::/0"},
		{"2001:DB8::/32", "2001:db8::/32"},
		{"::1/128", "::1/128"},
		{"192.0.2.1/33", NULL},
		{"::/129", NULL},
		{"10.0.0.0", NULL},
		{"10.0.0.0/", NULL},
		{"10.0.0.0/08", NULL},
		{"10.0.0.0/00", NULL},
		{"10.0.0.0/+8", NULL},
		{"10.0.0.0/-1", NULL},
		{"10.0.0.0/8 ", NULL},
		{"10.0.0.0/ 8", NULL},
		{"10.0.0.0/8/8", NULL},
		{"10.0.0.0/4294967304", NULL},
		{"10.0.0.0/1111", NULL},
		{"/8", NULL},
		{"1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111/8", NULL},
		{"", NULL},
	};

	for (unsigned i = 0; i < N(rows); i++) {
		char buf[IP_PREFIX_STRLEN];
		struct ip_prefix p;
		const bool ok = ip_prefix_parse(rows[i].in, &p);

		if (ok != (rows[i].out != NULL))
			fail_msg("\"%s\": %d", rows[i].in, ok);
		if (ok)
			assert_string_equal(ip_prefix_format(&p, buf), rows[i].out);
	}
}

static void test_contains_and_overlaps(void **state)
{
	static const struct {
		const char *a, *b;
		bool a_holds_b, overlap; /* b's address in a; a and b share an address */
	} rows[] = {
		{"10.0.0.0/8", "10.255.1.2/32", true, true},
		{"10.0.0.0/8", "11.0.0.0/32", false, false},
		{"0.0.0.0/0", "255.255.255.255/32", true, true},
		{"192.0.2.128/25", "192.0.2.127/32", false, false},
		{"192.0.2.128/25", "192.0.2.0/24", false, true},
		{"192.0.2.1/32", "192.0.2.1/32", true, true},
		{"192.0.2.1/32", "192.0.2.0/32", false, false},
		{"192.0.2.77/24", "192.0.2.3/32", true, true}, /* host bits do not count */
		{"::/0", "10.0.0.0/8", false, false},
		{"2001:db8::/33", "2001:db8:8000::/33", false, false},
		{"2001:db8::/32", "2001:db8:8000::/33", true, true},
		{"2001:db8::1/127", "2001:db8::/128", true, true},
	};

	for (unsigned i = 0; i < N(rows); i++) {
		const struct ip_prefix a = prefix(rows[i].a), b = prefix(rows[i].b);

		if (ip_prefix_contains(&a, &b.addr) != rows[i].a_holds_b)
			fail_msg("%s holds the address of %s", rows[i].a, rows[i].b);
		if (ip_prefix_overlaps(&a, &b) != rows[i].overlap ||
		    ip_prefix_overlaps(&b, &a) != rows[i].overlap)
			fail_msg("%s overlaps %s", rows[i].a, rows[i].b);
	}
}

static void test_network_and_range(void **state)
{
	static const struct {
		const char *in, *net, *first, *last;
	} rows[] = {
		{"10.1.2.3/8", "10.0.0.0/8", "10.0.0.0", "10.255.255.255"},
		{"192.0.2.77/25", "192.0.2.0/25", "192.0.2.0", "192.0.2.127"},
		{"192.0.2.77/31", "192.0.2.76/31", "192.0.2.76", "192.0.2.77"},
		{"192.0.2.77/32", "192.0.2.77/32", "192.0.2.77", "192.0.2.77"},
		{"192.0.2.77/0", "0.0.0.0/0", "0.0.0.0", "255.255.255.255"},
		{"2001:db8::5/126", "2001:db8::4/126", "2001:db8::4", "2001:db8::7"},
		{"2001:db8:ffff::/33", "2001:db8:8000::/33",
		 "2001:db8:8000::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"},
		{"::1/0", "::/0", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
	};

	for (unsigned i = 0; i < N(rows); i++) {
		const struct ip_prefix p = prefix(rows[i].in), want = prefix(rows[i].net);
		const struct ip_addr first = addr(rows[i].first), last = addr(rows[i].last);
		const struct ip_prefix net = ip_prefix_network(&p);
		struct ip_addr lo, hi;
		struct ip_prefix back;

		assert_true(ip_prefix_equal(&net, &want));
		assert_true(ip_prefix_is_canonical(&net));
		assert_int_equal(ip_prefix_is_canonical(&p), ip_prefix_equal(&p, &want));
		ip_prefix_range(&p, &lo, &hi);
		if (!ip_equal(&lo, &first) || !ip_equal(&hi, &last))
			fail_msg("range of %s", rows[i].in);
		assert_true(ip_range_to_prefix(&lo, &hi, &back));
		assert_true(ip_prefix_equal(&back, &want));
	}
}

static void test_ranges_that_are_no_prefix(void **state)
{
	static const struct {
		const char *first, *last;
	} rows[] = {
		{"10.0.0.0", "10.0.0.2"},       {"10.0.0.1", "10.0.0.2"},
		{"10.0.0.1", "10.0.0.255"},     {"10.0.0.255", "10.0.0.0"},
		{"0.0.0.1", "255.255.255.255"}, {"10.0.0.0", "::1"},
		{"2001:db8::", "2001:db8::2"},
	};

	for (unsigned i = 0; i < N(rows); i++) {
		const struct ip_addr first = addr(rows[i].first), last = addr(rows[i].last);
		struct ip_prefix p = {.len = 77};

		if (ip_range_to_prefix(&first, &last, &p))
			fail_msg("%s - %s", rows[i].first, rows[i].last);
		assert_int_equal(p.len, 77);
	}
}

/* Every length of both families, at the edges of the range. */
static void test_every_length(void **state)
{
	static const char *const bases[] = {"170.85.170.85",
					    "5555:aaaa:5555:aaaa:5555:aaaa:5555:aaaa"};

	for (unsigned f = 0; f < N(bases); f++) {
		const struct ip_addr a = addr(bases[f]);

		for (unsigned len = 0; len <= ip_bits(&a); len++) {
			const struct ip_prefix p = {a, (uint8_t)len};
			struct ip_prefix back;
			struct ip_addr lo, hi, out;

			ip_prefix_range(&p, &lo, &hi);
			assert_true(ip_cmp(&lo, &a) <= 0 && ip_cmp(&a, &hi) <= 0);
			assert_true(ip_prefix_contains(&p, &lo) && ip_prefix_contains(&p, &hi));
			assert_true(ip_range_to_prefix(&lo, &hi, &back));
			assert_int_equal(back.len, len);
			if (len == 0)
				continue;
			out = a; /* the neighbour: the last bit of the network part turned */
			out.b[(len - 1) / 8] ^= (uint8_t)(0x80 >> ((len - 1) % 8));
			assert_false(ip_prefix_contains(&p, &out));
		}
	}
}

static void test_order_and_equality(void **state)
{
	/* ascending */
	static const char *const rows[] = {"0.0.0.0", "9.255.255.255", "10.0.0.0", "255.0.0.0",
					   "::",      "::1",           "2001::",   "ffff::"};

	for (unsigned i = 0; i < N(rows); i++) {
		for (unsigned k = 0; k < N(rows); k++) {
			const struct ip_addr a = addr(rows[i]), b = addr(rows[k]);
			const int c = ip_cmp(&a, &b);

			assert_int_equal((c > 0) - (c < 0), (i > k) - (i < k));
			assert_int_equal(ip_equal(&a, &b), i == k);
		}
	}
}

static void test_small_things(void **state)
{
	const uint8_t raw[16] = {192, 0, 2, 1, 5, 6, 7, 8};
	const struct ip_addr four = ip_from_bytes(IP_V4, raw), six = ip_from_bytes(IP_V6, raw);
	const struct ip_addr zero4 = ip_v4(0, 0, 0, 0), zero6 = {.family = IP_V6}, none = {0};
	const struct ip_endpoint e = {four, 500}, f = {four, 4500}, g = {six, 500};

	assert_int_equal(four.b[4], 0); /* bytes beyond an IPv4 address stay zero */
	assert_int_equal(six.b[7], 8);
	assert_int_equal(ip_size(&four), 4);
	assert_int_equal(ip_bits(&six), 128);
	assert_int_equal(ip_size(&none), 0);
	assert_true(ip_is_unspecified(&zero4) && ip_is_unspecified(&zero6));
	assert_true(ip_is_unspecified(&none));
	assert_false(ip_is_unspecified(&four));
	assert_true(ip_endpoint_equal(&e, &e));
	assert_false(ip_endpoint_equal(&e, &f));
	assert_false(ip_endpoint_equal(&e, &g));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_and_format),
		cmocka_unit_test(test_format_longest),
		cmocka_unit_test(test_prefix_parse),
		cmocka_unit_test(test_contains_and_overlaps),
		cmocka_unit_test(test_network_and_range),
		cmocka_unit_test(test_ranges_that_are_no_prefix),
		cmocka_unit_test(test_every_length),
		cmocka_unit_test(test_order_and_equality),
		cmocka_unit_test(test_small_things),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
