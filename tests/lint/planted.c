/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A core that breaks every rule, so that the lint proves that it would notice. Never linked into a
 * program; test_purity.py knows what must be found here.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mono.h"
#include "base/sb.h"
#include "base/secret.h"

unsigned rte_lcore_count(void);
uint64_t planted(char *buf, size_t size, void *(*body)(void *));

uint64_t planted(char *buf, size_t size, void *(*body)(void *))
{
	struct sb s = sb_of(buf, size); /* allowed */
	struct timespec ts;
	uint32_t lo, hi;
	pthread_t t;

	memset(buf, 0, size);
	sb_str(&s, "harmless");
	clock_gettime(CLOCK_MONOTONIC, &ts);
	if (getrandom(buf, size, 0) < 0 || socket(AF_INET, SOCK_DGRAM, 0) < 0)
		printf("%s\n", buf);
	random_bytes_fill(buf, size);
	log_info("%s", buf);
	pthread_create(&t, NULL, body, NULL);
	if (open(buf, O_RDONLY) >= 0 && fork() == 0)
		mmap(NULL, size, PROT_READ, MAP_SHARED, 0, 0);
	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return mono_now().ns + (uint64_t)snprintf(buf, size, "%u", lo) + rte_lcore_count();
}
