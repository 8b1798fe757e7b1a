/* SPDX-License-Identifier: Apache-2.0 */
/* child: what neighbours say before everything was handed over waits until then. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "daemon/child.h"

enum { EARLY = 10, HEARD = 20 };

struct role {
	struct child child;
	bool handed_over;
};

static void on_neighbour(void *ctx, int fd, uint32_t events)
{
	struct role *r = ctx;

	child_quit(&r->child, r->handed_over ? HEARD : EARLY);
}

static void on_message(void *ctx, struct ipc_msg *msg)
{
	struct role *r = ctx;

	if (msg->h.type == IPC_PEER)
		loop_add(&r->child.loop, ipc_msg_take_fd(msg, 0), EPOLLIN, on_neighbour, r);
}

static void on_start(void *ctx)
{
	((struct role *)ctx)->handed_over = true;
}

static void on_stop(void *ctx)
{
	child_quit(&((struct role *)ctx)->child, 0);
}

static const struct child_ops ops = {.message = on_message, .start = on_start, .stop = on_stop};

static _Noreturn void live(int channel)
{
	struct role r = {0};

	if (dup2(channel, IPC_CHANNEL_FD) < 0)
		_exit(1);
	_exit(child_run(&r.child, IPC_ROLE_ROUTE, &ops, &r));
}

static void neighbours_wait_for_the_start(void **state)
{
	const struct ipc_peer peer = {.role = IPC_ROLE_CONTROL};
	int channel[2], pair[2], status;
	pid_t pid;

	assert_true(ipc_pair(channel));
	assert_true(ipc_pair(pair));
	pid = fork();
	if (pid == 0)
		live(channel[1]);
	assert_true(pid > 0);
	/* The question is there before the one who is asked. */
	assert_true(ipc_send(pair[0], IPC_QUERY, 0, 1, "{}", 2, NULL, 0));
	assert_true(ipc_send(channel[0], IPC_PEER, 0, 0, &peer, sizeof(peer), &pair[1], 1));
	usleep(50000); /* long enough to answer too early */
	assert_true(ipc_send(channel[0], IPC_START, 0, 0, NULL, 0, NULL, 0));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), HEARD);
	for (int i = 0; i < 2; i++) {
		close(channel[i]);
		close(pair[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(neighbours_wait_for_the_start),
	};

	return cmocka_run_group_tests_name("child", tests, NULL, NULL);
}
