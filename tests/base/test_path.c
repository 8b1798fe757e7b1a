/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of base/path.h: equal sets are one, and every part is found again. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/path.h"

#define MANY 20000u

/* AS_SEQUENCE 65001 4200000000, AS_SET 65003; NO_EXPORT; one of each other part. */
static const uint8_t parts[] = {
	2,    2,    0,    0,    0xfd, 0xe9, 0xfa, 0x56, 0xea, 0x00, 1, 1,
	0,    0,    0xfd, 0xeb,                                           /* AS_PATH */
	0xff, 0xff, 0xff, 0x01,                                           /* community */
	0,    0,    0xfd, 0xe9, 0,    0,    0,    1,    0,    0,    0, 2, /* large */
	0,    2,    0xfd, 0xe9, 0,    0,    0,    7,                      /* extended */
	10,   0,    0,    1,                                              /* cluster */
	0xc0, 99,   0,    1,    42,                                       /* unknown */
};

static struct path_facts facts(void)
{
	struct path_facts f;

	memset(&f, 0xa5, sizeof(f)); /* padding and absent members must not matter */
	f.origin = PATH_ORIGIN_IGP;
	f.flags = PATH_HAS_MED;
	f.as_path_length = 3;
	f.first_as = 65001;
	f.origin_as = 0;
	f.med = 50;
	f.next_hop = ip_v4(169, 254, 10, 1);
	f.next_hop_link_local = (struct ip_addr){.family = IP_NONE};
	f.as_path_size = 16;
	f.communities_size = 4;
	f.large_communities_size = 12;
	f.ext_communities_size = 8;
	f.cluster_list_size = 4;
	f.unknown_size = 5;
	return f;
}

static void test_equal_sets_are_one(void **state)
{
	struct path_store *s = path_store_new(1);
	struct path_facts f = facts(), g = facts();
	struct path *a, *b, *c;

	g.local_pref = 7; /* absent by the flags */
	a = path_intern(s, &f, parts);
	b = path_intern(s, &g, parts);
	assert_non_null(a);
	assert_ptr_equal(a, b);
	assert_int_equal(path_store_count(s), 1);
	g.med = 51;
	c = path_intern(s, &g, parts);
	assert_ptr_not_equal(a, c);
	assert_int_equal(path_store_count(s), 2);
	path_unref(s, c);
	path_unref(s, a);
	assert_int_equal(path_store_count(s), 1);
	path_unref(s, b);
	assert_int_equal(path_store_count(s), 0);
	path_store_free(s);
}

static void test_parts(void **state)
{
	struct path_store *s = path_store_new(2);
	const struct path_facts f = facts();
	struct path *p = path_intern(s, &f, parts);
	char text[64], small[8];

	assert_memory_equal(path_as_path(p), parts, 16);
	assert_memory_equal(path_communities(p), parts + 16, 4);
	assert_memory_equal(path_large_communities(p), parts + 20, 12);
	assert_memory_equal(path_ext_communities(p), parts + 32, 8);
	assert_memory_equal(path_cluster_list(p), parts + 40, 4);
	assert_memory_equal(path_unknown(p), parts + 44, 5);
	assert_true(path_has_as(p, 65001));
	assert_true(path_has_as(p, 4200000000u));
	assert_true(path_has_as(p, 65003));
	assert_false(path_has_as(p, 65002));
	assert_true(path_has_community(p, 0xffffff01));
	assert_false(path_has_community(p, 0xffffff02));
	assert_string_equal(path_as_path_format(p, text, sizeof(text)), "65001 4200000000 {65003}");
	assert_string_equal(path_as_path_format(p, small, sizeof(small)), "65001 4");
	path_unref(s, p);
	path_store_free(s);
}

static void test_each_part_tells_sets_apart(void **state)
{
	struct path_store *s = path_store_new(3);
	const struct path_facts f = facts();
	struct path *p[sizeof(parts)];
	uint8_t other[sizeof(parts)];

	for (size_t i = 0; i < sizeof(parts); i++) {
		memcpy(other, parts, sizeof(parts));
		other[i] ^= 1;
		p[i] = path_intern(s, &f, other);
		assert_int_equal(path_store_count(s), i + 1);
	}
	for (size_t i = 0; i < sizeof(parts); i++)
		path_unref(s, p[i]);
	assert_int_equal(path_store_count(s), 0);
	path_store_free(s);
}

/* The table grows, and everything is still found. */
static void test_many(void **state)
{
	struct path_store *s = path_store_new(4);
	struct path **p = calloc(MANY, sizeof(struct path *));
	struct path_facts f = facts();
	size_t bytes;

	for (uint32_t i = 0; i < MANY; i++) {
		f.med = i;
		p[i] = path_intern(s, &f, parts);
	}
	assert_int_equal(path_store_count(s), MANY);
	bytes = path_store_bytes(s);
	for (uint32_t i = 0; i < MANY; i++) {
		f.med = i;
		assert_ptr_equal(path_intern(s, &f, parts), p[i]);
		path_unref(s, p[i]);
	}
	assert_int_equal(path_store_bytes(s), bytes);
	for (uint32_t i = 0; i < MANY; i++)
		path_unref(s, p[i]);
	assert_int_equal(path_store_count(s), 0);
	assert_true(path_store_bytes(s) < bytes);
	free(p);
	path_store_free(s);
}

static void test_too_large(void **state)
{
	struct path_store *s = path_store_new(5);
	struct path_facts f = facts();
	uint8_t *bytes = calloc(1, 2 * PATH_BYTES_MAX);

	f.as_path_size = UINT16_MAX;
	f.unknown_size = 1;
	assert_null(path_intern(s, &f, bytes));
	free(bytes);
	path_store_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_equal_sets_are_one),
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_each_part_tells_sets_apart),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_too_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
