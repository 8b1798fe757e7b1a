/* SPDX-License-Identifier: Apache-2.0 */
/* hugepages: see hugepages.h. */
#include "bench/hugepages.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE_MB 2u
#define MOST_MB 4096u /* more takes the kernel minutes to gather */
#define PATH    "/proc/sys/vm/nr_hugepages"

static long read_count(void)
{
	FILE *f = fopen(PATH, "re");
	long n = -1;

	if (!f)
		return -1;
	if (fscanf(f, "%ld", &n) != 1)
		n = -1;
	fclose(f);
	return n;
}

static bool write_count(long n)
{
	FILE *f = fopen(PATH, "we");
	bool ok;

	if (!f)
		return false;
	ok = fprintf(f, "%ld\n", n) > 0;
	return fclose(f) == 0 && ok;
}

static long available_mb(void)
{
	FILE *f = fopen("/proc/meminfo", "re");
	char line[128];
	long kb = 0;

	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f) && sscanf(line, "MemAvailable: %ld kB", &kb) != 1)
		;
	fclose(f);
	return kb / 1024;
}

static void release(long n_added)
{
	const long now = read_count();

	if (n_added > 0 && now >= n_added)
		(void)write_count(now - n_added);
}

/* How many pages were added: all that were wanted, or none. */
static long reserve(unsigned mb)
{
	const long n = (long)(mb + PAGE_MB - 1) / PAGE_MB, before = read_count();
	long added;

	if (mb == 0 || mb > MOST_MB || before < 0 || available_mb() < 2 * (long)mb ||
	    !write_count(before + n))
		return 0;
	added = read_count() - before;
	if (added >= n)
		return added;
	release(added);
	return 0;
}

static volatile pid_t child;

/* Whoever ends us ends the child; what follows is as after any other end of it. */
static void end_child(int signo)
{
	(void)signo;
	if (child > 0)
		(void)kill(child, SIGKILL);
}

int hugepages_run(unsigned mb, int (*fn)(void *arg), void *arg)
{
	static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGALRM};
	long n_added;
	int status = 0;
	pid_t got;

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		(void)signal(ends[i], end_child);
	n_added = reserve(mb);
	fflush(stdout);
	child = fork();
	if (child == 0) {
		for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
			(void)signal(ends[i], SIG_DFL);
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		status = fn(arg);
		fflush(stdout);
		_exit(status); /* DPDK's own end would only take time */
	}
	do {
		got = child > 0 ? waitpid(child, &status, 0) : -1;
	} while (child > 0 && got < 0 && errno == EINTR);
	release(n_added);
	if (got == child && WIFSIGNALED(status))
		fprintf(stderr, "the benchmark ended by signal %d\n", WTERMSIG(status));
	return got == child && WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
