/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of daemon/sup_udp.c: which of the two sockets gets what, on a free port of the loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "daemon/supervisor.h"

#define HEADER 28

struct sample {
	const char *name;
	int to;
	size_t size; /* without the marker */
	uint8_t exchange, flags, next;
	uint16_t notify;
	uint8_t spi_r[8];
};

static const struct sample samples[] = {
	{"first request", SUP_UDP_STRANGERS, 240, 34, 0x08, 33, 0, {0}},
	{"first request, another notify first", SUP_UDP_STRANGERS, 240, 34, 0x08, 41, 16388, {0}},
	{"first request, the notify cut off", SUP_UDP_STRANGERS, HEADER + 7, 34, 0x08, 41, 0, {0}},
	{"a header of it alone", SUP_UDP_STRANGERS, HEADER, 34, 0x08, 33, 0, {0}},
	{"no IKE", SUP_UDP_STRANGERS, HEADER - 1, 35, 0x08, 46, 0, {1}},
	{"one byte", SUP_UDP_STRANGERS, 1, 0, 0, 0, 0, {0}},
	{"with a cookie", SUP_UDP_UNDER_WAY, 280, 34, 0x08, 41, 16390, {0}},
	{"with a cookie, shortest", SUP_UDP_UNDER_WAY, HEADER + 8, 34, 0x08, 41, 16390, {0}},
	{"response without an SPI", SUP_UDP_UNDER_WAY, 65, 34, 0x20, 41, 16390, {0}},
	{"response", SUP_UDP_UNDER_WAY, 240, 34, 0x20, 33, 0, {1, 2, 3, 4, 5, 6, 7, 8}},
	{"the upper half of an SPI", SUP_UDP_UNDER_WAY, 240, 34, 0x08, 33, 0, {0, 0, 0, 1}},
	{"the lower half of an SPI", SUP_UDP_UNDER_WAY, 240, 34, 0x08, 33, 0, {[7] = 1}},
	{"IKE_AUTH", SUP_UDP_UNDER_WAY, 300, 35, 0x08, 46, 0, {1}},
	{"INFORMATIONAL", SUP_UDP_UNDER_WAY, 57, 37, 0x00, 46, 0, {1}},
};

static uint16_t open_pair(bool v6, bool marker, int fd[SUP_UDP_PAIR])
{
	for (uint16_t port = 20000; port < 20200; port++) {
		if (sup_udp_pair(v6, port, marker, fd))
			return port;
		assert_int_equal(errno, EADDRINUSE);
		assert_int_equal(fd[SUP_UDP_UNDER_WAY], -1);
	}
	fail_msg("no port is free");
	return 0;
}

static void send_sample(bool v6, uint16_t port, bool marker, const struct sample *k)
{
	struct sockaddr_in a4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 a6 = {
		.sin6_family = AF_INET6,
		.sin6_port = htons(port),
		.sin6_addr = IN6ADDR_LOOPBACK_INIT,
	};
	const int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	const size_t at = marker ? 4 : 0, size = at + k->size;
	uint8_t m[400] = {0};

	memcpy(m + at + 8, k->spi_r, 8);
	m[at + 16] = k->next;
	m[at + 18] = k->exchange;
	m[at + 19] = k->flags;
	m[at + HEADER + 6] = (uint8_t)(k->notify >> 8);
	m[at + HEADER + 7] = (uint8_t)k->notify;
	a4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(v6 ? sendto(fd, m, size, 0, (struct sockaddr *)&a6, sizeof(a6))
			    : sendto(fd, m, size, 0, (struct sockaddr *)&a4, sizeof(a4)),
			 size);
	close(fd);
}

static void all(bool v6, bool marker)
{
	int fd[SUP_UDP_PAIR], other[SUP_UDP_PAIR];
	const uint16_t port = open_pair(v6, marker, fd);

	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		const struct sample *k = &samples[i];
		struct pollfd p[SUP_UDP_PAIR] = {{fd[0], POLLIN, 0}, {fd[1], POLLIN, 0}};
		uint8_t m[400];

		send_sample(v6, port, marker, k);
		assert_int_equal(poll(p, SUP_UDP_PAIR, 10000), 1);
		if (!p[k->to].revents)
			fail_msg("%s: the wrong socket got it", k->name);
		assert_int_equal(recv(fd[k->to], m, sizeof(m), 0), k->size + (marker ? 4 : 0));
	}
	/* Nobody else gets onto the port, not even we. */
	assert_false(sup_udp_pair(v6, port, marker, other));
	assert_int_equal(errno, EADDRINUSE);
	for (int n = 0; n < SUP_UDP_PAIR; n++)
		close(fd[n]);
}

static void v4(void **state)
{
	all(false, false);
	all(false, true);
}

static void v6(void **state)
{
	const int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	const struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	const bool there = fd >= 0 && bind(fd, (const struct sockaddr *)&a, sizeof(a)) == 0;

	if (fd >= 0)
		close(fd);
	if (!there) {
		print_message("no IPv6 on this machine\n");
		skip();
	}
	all(true, false);
	all(true, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(v4), cmocka_unit_test(v6)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
