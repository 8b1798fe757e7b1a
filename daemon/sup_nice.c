/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sup_nice: how the gateway stands against the machine's other programs when CPUs are short. A peer that
 * counts on BFD every 50 ms takes a gateway that waits for its turn for a dead one.
 *
 * Linux knows two such values, and on most machines the second one decides: that of a process among those
 * of its session, and that of the session (sched(7), autogroup). The session's is set only if it is ours
 * alone, as a service manager starts us.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include "base/log.h"
#include "daemon/supervisor.h"

#define AUTOGROUP "/proc/self/autogroup" /* absent: the kernel has none */

static bool set_session(int nice)
{
	const int fd = open(AUTOGROUP, O_WRONLY | O_CLOEXEC);
	char text[16];
	const int n = snprintf(text, sizeof(text), "%d", nice);
	bool ok;

	if (fd < 0)
		return errno == ENOENT;
	ok = write(fd, text, (size_t)n) == n;
	close(fd);
	return ok;
}

void sup_nice_set(const struct supervisor *s)
{
	/* Whoever starts us with another value has chosen one. */
	const int nice = s->options.nice_given               ? s->options.nice
			 : getpriority(PRIO_PROCESS, 0) == 0 ? SUP_NICE
							     : 0;

	if (nice == 0)
		return;
	if (setpriority(PRIO_PROCESS, 0, nice) != 0 ||
	    (getsid(0) == getpid() && !set_session(nice)))
		log_warn("cannot run at nice %d: %s: while the machine is busy, peers may take the "
			 "gateway for dead: give it CAP_SYS_NICE, or choose with --nice",
			 nice, strerror(errno));
}

void sup_nice_drop(void)
{
	if (getpriority(PRIO_PROCESS, 0) < 0)
		(void)setpriority(PRIO_PROCESS, 0, 0);
}
