/* SPDX-License-Identifier: Apache-2.0 */
/* loop: removal from within callbacks, descriptors that come again, deadlines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <cmocka.h>
#include "daemon/loop.h"

static struct loop loop;
static int calls[3], fds[3];

static int ready(void)
{
	return eventfd(1, EFD_NONBLOCK);
}

static void count_call(void *ctx, int fd, uint32_t events)
{
	calls[*(int *)ctx]++;
}

static int ids[3] = {0, 1, 2};

/* Removes and closes the others, and opens new files under their numbers. */
static void replace_others(void *ctx, int fd, uint32_t events)
{
	const int me = *(int *)ctx;

	calls[me]++;
	for (int i = 0; i < 3; i++) {
		if (i == me)
			continue;
		loop_remove(&loop, fds[i]);
		close(fds[i]);
	}
	for (int i = 0; i < 3; i++) {
		if (i == me)
			continue;
		fds[i] = ready();
		assert_true(loop_add(&loop, fds[i], EPOLLIN, count_call, &ids[i]));
	}
	loop_remove(&loop, fd);
}

static void stale_events_are_dropped(void **state)
{
	assert_true(loop_init(&loop));
	for (int i = 0; i < 3; i++) {
		calls[i] = 0;
		fds[i] = ready();
		assert_true(loop_add(&loop, fds[i], EPOLLIN, replace_others, &ids[i]));
	}
	/* All three are fetched at once; the first to be called replaces the other two. */
	assert_true(loop_turn(&loop, MONO_NEVER));
	assert_int_equal(calls[0] + calls[1] + calls[2], 1);
	/* The new ones are called in the next turn. */
	assert_true(loop_turn(&loop, MONO_NEVER));
	assert_int_equal(calls[0] + calls[1] + calls[2], 3);
	for (int i = 0; i < 3; i++)
		close(fds[i]);
	loop_fini(&loop);
}

static void deadlines(void **state)
{
	const struct mono start = mono_now();

	assert_true(loop_init(&loop));
	assert_true(loop_turn(&loop, mono_add(start, span_ms(30))));
	assert_true(span_to_ms(mono_since(mono_now(), start)) >= 30);
	/* One that has passed does not wait. */
	assert_true(loop_turn(&loop, start));
	assert_true(span_to_ms(mono_since(mono_now(), start)) < 5000);
	loop_fini(&loop);
}

static void odd_descriptors(void **state)
{
	int fd = ready();

	assert_true(loop_init(&loop));
	assert_false(loop_add(&loop, -1, EPOLLIN, count_call, &ids[0]));
	assert_false(loop_modify(&loop, 500, EPOLLIN));
	loop_remove(&loop, -1);
	loop_remove(&loop, 100000);
	assert_true(loop_add(&loop, fd, EPOLLIN, count_call, &ids[0]));
	assert_false(loop_add(&loop, fd, EPOLLIN, count_call, &ids[0]));
	loop_remove(&loop, fd);
	loop_remove(&loop, fd);
	close(fd);
	loop_fini(&loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stale_events_are_dropped),
		cmocka_unit_test(deadlines),
		cmocka_unit_test(odd_descriptors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
