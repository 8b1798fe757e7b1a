/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bgp/sockets.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Noreturn void sockets_die(const char *what)
{
	perror(what);
	exit(1);
}

socklen_t sockets_name(const struct ip_addr *a, uint16_t port, struct sockaddr_storage *ss)
{
	memset(ss, 0, sizeof(*ss));
	if (a->family == IP_V4) {
		struct sockaddr_in *in = (struct sockaddr_in *)ss;

		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		memcpy(&in->sin_addr, a->b, 4);
		return sizeof(*in);
	}
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ss;

	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(port);
	memcpy(&in6->sin6_addr, a->b, 16);
	return sizeof(*in6);
}

struct ip_addr sockets_addr(const struct sockaddr_storage *ss)
{
	struct ip_addr a = {.family = ss->ss_family == AF_INET ? IP_V4 : IP_V6};

	if (a.family == IP_V4)
		memcpy(a.b, &((const struct sockaddr_in *)ss)->sin_addr, 4);
	else
		memcpy(a.b, &((const struct sockaddr_in6 *)ss)->sin6_addr, 16);
	return a;
}

static void set(int fd, int level, int name, int value)
{
	if (setsockopt(fd, level, name, &value, sizeof(value)) != 0)
		sockets_die("setsockopt");
}

int sockets_bound(const struct ip_addr *a, int type, uint16_t port)
{
	const int fd = socket(a->family == IP_V4 ? AF_INET : AF_INET6,
			      type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr_storage ss;
	const socklen_t n = sockets_name(a, port, &ss);

	if (fd < 0)
		sockets_die("socket");
	set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (bind(fd, (struct sockaddr *)&ss, n) != 0)
		sockets_die("bind");
	return fd;
}

void sockets_md5(int fd, const struct ip_addr *remote, const char *password)
{
	struct tcp_md5sig md5 = {.tcpm_keylen = (uint16_t)strlen(password)};

	sockets_name(remote, 0, (struct sockaddr_storage *)&md5.tcpm_addr);
	memcpy(md5.tcpm_key, password, md5.tcpm_keylen);
	if (setsockopt(fd, IPPROTO_TCP, TCP_MD5SIG, &md5, sizeof(md5)) != 0)
		sockets_die("TCP_MD5SIG");
}

void sockets_ttl(int fd, const struct ip_addr *local, int ttl)
{
	if (local->family == IP_V4)
		set(fd, IPPROTO_IP, IP_TTL, ttl);
	else
		set(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, ttl);
}

void sockets_min_ttl(int fd, const struct ip_addr *local, int ttl)
{
	if (local->family == IP_V4)
		set(fd, IPPROTO_IP, IP_MINTTL, ttl);
	else
		set(fd, IPPROTO_IPV6, IPV6_MINHOPCOUNT, ttl);
}

void sockets_want_ttl(int fd, const struct ip_addr *local)
{
	if (local->family == IP_V4)
		set(fd, IPPROTO_IP, IP_RECVTTL, 1);
	else
		set(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1);
}

ssize_t sockets_receive(int fd, void *bytes, size_t size, struct ip_addr *remote, uint8_t *ttl)
{
	uint8_t control[64];
	struct sockaddr_storage from = {0};
	struct iovec iov = {bytes, size};
	struct msghdr m = {
		.msg_name = &from,
		.msg_namelen = sizeof(from),
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	const ssize_t n = recvmsg(fd, &m, 0);

	*ttl = 0;
	if (n < 0)
		return n;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		int v;

		memcpy(&v, CMSG_DATA(c), sizeof(v));
		*ttl = (uint8_t)v;
	}
	*remote = sockets_addr(&from);
	return n;
}
