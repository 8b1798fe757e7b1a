/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of base/rd.h, the bounds-checked reader, and base/wr.h, its writer. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "base/rd.h"
#include "base/wr.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

static const uint8_t bytes[10] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};

/* Runs getter number `op`; the value read goes to *v. */
static bool get(struct rd *r, unsigned op, uint64_t *v)
{
	uint8_t u8 = 0;
	uint16_t u16 = 0;
	uint32_t u32 = 0;
	const uint8_t *p = NULL;
	struct rd sub = {0};
	uint8_t copy[3] = {0};
	bool ok;

	switch (op) {
	case 0: ok = rd_u8(r, &u8), *v = u8; break;
	case 1: ok = rd_u16(r, &u16), *v = u16; break;
	case 2: ok = rd_u32(r, &u32), *v = u32; break;
	case 3: ok = rd_u64(r, v); break;
	case 4: ok = rd_bytes(r, 3, &p), *v = p ? p[2] : 0; break;
	case 5: ok = rd_copy(r, copy, 3), *v = copy[2]; break;
	case 6: ok = rd_sub(r, 3, &sub), *v = sub.size; break;
	case 7: ok = rd_skip(r, 3), *v = 0; break;
	default: fail(); return false;
	}
	return ok;
}

static void test_getters(void **state)
{
	static const struct {
		const char *name;
		size_t takes;
		uint64_t value;
	} rows[] = {
		{"u8", 1, 0x01},        {"u16", 2, 0x0102},
		{"u32", 4, 0x01020304}, {"u64", 8, 0x0102030405060708},
		{"bytes", 3, 3},        {"copy", 3, 3},
		{"sub", 3, 3},          {"skip", 3, 0},
	};

	for (unsigned i = 0; i < N(rows); i++) {
		for (size_t size = 0; size <= sizeof(bytes); size++) {
			struct rd r = rd_of(bytes, size);
			uint64_t v = 0;
			const bool ok = get(&r, i, &v);

			if (ok != (size >= rows[i].takes))
				fail_msg("%s of %zu bytes: %d", rows[i].name, size, ok);
			/* A refused getter leaves the reader as it was. */
			assert_int_equal(r.size, ok ? size - rows[i].takes : size);
			assert_ptr_equal(r.p, bytes + (ok ? rows[i].takes : 0));
			if (ok)
				assert_int_equal(v, rows[i].value);
		}
	}
}

static void test_huge_sizes(void **state)
{
	struct rd r = rd_of(bytes, 4);
	struct rd sub;
	const uint8_t *p;

	assert_false(rd_bytes(&r, SIZE_MAX, &p));
	assert_false(rd_sub(&r, SIZE_MAX - 3, &sub));
	assert_false(rd_skip(&r, 5));
	assert_true(rd_skip(&r, 4));
	assert_true(rd_empty(&r));
	assert_true(rd_skip(&r, 0));
	assert_true(rd_sub(&r, 0, &sub));
	assert_true(rd_empty(&sub));
}

static void test_sub_is_bounded(void **state)
{
	struct rd r = rd_of(bytes, 10), sub;
	uint32_t v;
	uint8_t next;

	assert_true(rd_sub(&r, 3, &sub));
	assert_false(rd_u32(&sub, &v)); /* the parent has more, the sub-reader has not */
	assert_true(rd_u8(&r, &next));
	assert_int_equal(next, 4);
}

/* Puts number `op` writes sizes[op] bytes. */
static void put(struct wr *w, unsigned op)
{
	switch (op) {
	case 0: wr_u8(w, 0xa1); break;
	case 1: wr_u16(w, 0xa1a2); break;
	case 2: wr_u32(w, 0xa1a2a3a4); break;
	case 3: wr_u64(w, 0xa1a2a3a4a5a6a7a8); break;
	case 4: wr_bytes(w, bytes, 5); break;
	case 5: wr_zero(w, 6); break;
	default: fail();
	}
}

static void test_puts(void **state)
{
	static const struct {
		const char *name;
		size_t size;
		uint8_t want[8];
	} rows[] = {
		{"u8", 1, {0xa1}},
		{"u16", 2, {0xa1, 0xa2}},
		{"u32", 4, {0xa1, 0xa2, 0xa3, 0xa4}},
		{"u64", 8, {0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8}},
		{"bytes", 5, {1, 2, 3, 4, 5}},
		{"zero", 6, {0}},
	};

	for (unsigned i = 0; i < N(rows); i++) {
		for (size_t room = 0; room <= 10; room++) {
			uint8_t buf[12];
			struct wr w = wr_of(buf, room);
			const bool fits = rows[i].size <= room;

			memset(buf, 0xee, sizeof(buf));
			put(&w, i);
			if (wr_ok(&w) != fits)
				fail_msg("%s into %zu bytes: %d", rows[i].name, room, wr_ok(&w));
			assert_int_equal(w.n, fits ? rows[i].size : 0);
			if (fits)
				assert_memory_equal(buf, rows[i].want, rows[i].size);
			for (size_t k = w.n; k < sizeof(buf); k++)
				assert_int_equal(buf[k],
						 0xee); /* nothing beyond what was counted */
		}
	}
}

static void test_overflow_is_sticky(void **state)
{
	uint8_t buf[4];
	struct wr w = wr_of(buf, sizeof(buf));

	wr_u16(&w, 1);
	wr_u32(&w, 2);
	assert_false(wr_ok(&w));
	wr_u8(&w, 3); /* would fit */
	assert_int_equal(w.n, 2);
	assert_false(wr_ok(&w));
	wr_bytes(&w, NULL, 0);
	assert_null(wr_reserve(&w, 0));
	assert_false(wr_ok(&w));
}

static void test_reserve(void **state)
{
	uint8_t buf[4];
	struct wr w = wr_of(buf, sizeof(buf));

	assert_ptr_equal(wr_reserve(&w, 3), buf);
	assert_null(wr_reserve(&w, SIZE_MAX)); /* must not wrap */
	assert_false(wr_ok(&w));
	assert_int_equal(w.n, 3);
}

static void test_length_fields(void **state)
{
	uint8_t buf[16];
	struct wr w = wr_of(buf, sizeof(buf));
	static const uint8_t want[] = {9, 0, 8, 7, 0, 3, 1, 2, 3};
	size_t outer, inner;

	wr_u8(&w, 9);
	outer = wr_open16(&w);
	wr_u8(&w, 7);
	inner = wr_open16(&w);
	wr_bytes(&w, bytes, 3);
	wr_close16(&w, inner, inner + 2); /* the length without its own field */
	wr_close16(&w, outer, outer);     /* the length with it */
	assert_true(wr_ok(&w));
	assert_int_equal(w.n, sizeof(want));
	assert_memory_equal(buf, want, sizeof(want));
}

static void test_patch(void **state)
{
	static const struct {
		size_t at, v;
		bool ok;
	} rows[] = {
		{0, 0, true},  {0, 65535, true},         {2, 1, true},  {0, 65536, false},
		{3, 1, false}, {SIZE_MAX - 4, 1, false}, {4, 0, false},
	};

	for (unsigned i = 0; i < N(rows); i++) {
		uint8_t buf[8];
		struct wr w = wr_of(buf, sizeof(buf));

		wr_zero(&w, 4);
		wr_patch16(&w, rows[i].at, rows[i].v);
		if (wr_ok(&w) != rows[i].ok)
			fail_msg("patch at %zu with %zu: %d", rows[i].at, rows[i].v, wr_ok(&w));
		if (rows[i].ok)
			assert_int_equal(buf[rows[i].at] << 8 | buf[rows[i].at + 1], rows[i].v);
	}
}

static void test_round_trip(void **state)
{
	uint8_t buf[32];
	struct wr w = wr_of(buf, sizeof(buf));
	struct rd r;
	uint8_t a;
	uint16_t b;
	uint32_t c;
	uint64_t d;

	wr_u64(&w, UINT64_MAX - 1);
	wr_u32(&w, 0x80000001);
	wr_u16(&w, 0xfffe);
	wr_u8(&w, 0xfd);
	assert_true(wr_ok(&w));
	r = rd_of(buf, w.n);
	assert_true(rd_u64(&r, &d) && rd_u32(&r, &c) && rd_u16(&r, &b) && rd_u8(&r, &a));
	assert_true(rd_empty(&r));
	assert_true(d == UINT64_MAX - 1 && c == 0x80000001 && b == 0xfffe && a == 0xfd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_getters),
		cmocka_unit_test(test_huge_sizes),
		cmocka_unit_test(test_sub_is_bounded),
		cmocka_unit_test(test_puts),
		cmocka_unit_test(test_overflow_is_sticky),
		cmocka_unit_test(test_reserve),
		cmocka_unit_test(test_length_fields),
		cmocka_unit_test(test_patch),
		cmocka_unit_test(test_round_trip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
