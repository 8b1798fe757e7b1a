/* SPDX-License-Identifier: Apache-2.0 */
/* hugepages: see hugepages.h. */
#include "bench/hugepages.h"

#include <stdio.h>
#include <string.h>

#define PAGE_MB 2u
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

bool hugepages_reserve(struct hugepages *h, unsigned mb)
{
	const long n = (long)(mb + PAGE_MB - 1) / PAGE_MB, before = read_count();
	long now;

	h->n_added = 0;
	if (before < 0 || available_mb() < 2 * (long)mb || !write_count(before + n))
		return false;
	now = read_count();
	h->n_added = now > before ? now - before : 0;
	if (h->n_added < n) {
		hugepages_release(h);
		return false;
	}
	return true;
}

void hugepages_release(struct hugepages *h)
{
	const long now = read_count();

	if (h->n_added > 0 && now >= h->n_added)
		(void)write_count(now - h->n_added);
	h->n_added = 0;
}
