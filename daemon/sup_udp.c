/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sup_udp: UDP 500 and 4500, for the ike process.
 *
 * Each address family and port has two sockets, with a buffer each: one for exchanges that are under
 * way (a responder's SPI, a response, a COOKIE), the other for first requests and whatever else
 * anybody can send. A flood fills the second one; the first is read before it. The kernel chooses by
 * a classic BPF program on the pair's SO_REUSEPORT group, whose answer is the socket's number in
 * the order of bind().
 */
#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/log.h"
#include "daemon/supervisor.h"

#define RECEIVE_BUFFER (4 << 20) /* a burst of IKE_SA_INIT from many peers */

/* RFC 7296 3.1, 3.2, 3.10: places in a message, and what stands there. */
#define SPI_R_AT        8
#define NEXT_PAYLOAD_AT 16
#define EXCHANGE_AT     18
#define FLAGS_AT        19
#define HEADER_SIZE     28
#define NOTIFY_TYPE_AT  (HEADER_SIZE + 6)
#define IKE_SA_INIT     34
#define FLAG_RESPONSE   0x20
#define NOTIFY          41
#define COOKIE          16390
#define MARKER_SIZE     4 /* in front of it on port 4500 (RFC 3948 2.2) */

static bool set_int(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value)) == 0;
}

/* IKE stands behind `at` bytes. What is too short for it is a stranger's. */
static bool steer(int fd, uint32_t at)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, at + HEADER_SIZE, 0, 14),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, at + EXCHANGE_AT),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IKE_SA_INIT, 0, 13),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, at + FLAGS_AT),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, FLAG_RESPONSE, 11, 0),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, at + SPI_R_AT),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 9),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, at + SPI_R_AT + 4),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 7),
		/* RFC 7296 2.6: a cookie is returned as the first payload. */
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, at + NEXT_PAYLOAD_AT),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NOTIFY, 0, 4),
		BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, at + NOTIFY_TYPE_AT + 2, 0, 2),
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, at + NOTIFY_TYPE_AT),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, COOKIE, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SUP_UDP_STRANGERS),
		BPF_STMT(BPF_RET | BPF_K, SUP_UDP_UNDER_WAY),
	};
	const struct sock_fprog program = {
		.len = sizeof(code) / sizeof(code[0]),
		.filter = code,
	};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof(program)) == 0;
}

/*
 * The first one of a pair is bound as if it were to stay alone, so that another IKE daemon on the port is
 * found, whatever options that one has set.
 */
static int udp_open(bool v6, uint16_t port, bool second)
{
	const int fd =
		socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_in a4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 a6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	bool ok;
	int e;

	if (fd < 0)
		return -1;
	ok = !second || set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	/* The path's MTU is no business of IKE's: Linux fragments what is too long. */
	if (v6)
		ok = ok && set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1) &&
		     set_int(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) &&
		     set_int(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT) &&
		     bind(fd, (struct sockaddr *)&a6, sizeof(a6)) == 0;
	else
		ok = ok && set_int(fd, IPPROTO_IP, IP_PKTINFO, 1) &&
		     set_int(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT) &&
		     bind(fd, (struct sockaddr *)&a4, sizeof(a4)) == 0;
	ok = ok && set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (ok) {
		if (!set_int(fd, SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER))
			(void)set_int(fd, SOL_SOCKET, SO_RCVBUF, RECEIVE_BUFFER);
		return fd;
	}
	e = errno;
	close(fd);
	errno = e;
	return -1;
}

bool sup_udp_pair(bool v6, uint16_t port, bool marker, int fd[SUP_UDP_PAIR])
{
	fd[SUP_UDP_UNDER_WAY] = fd[SUP_UDP_STRANGERS] = -1;
	for (int n = 0; n < SUP_UDP_PAIR; n++) {
		fd[n] = udp_open(v6, port, n > 0);
		if (fd[n] < 0)
			return false;
	}
	return steer(fd[SUP_UDP_UNDER_WAY], marker ? MARKER_SIZE : 0);
}

bool sup_udp_open(struct supervisor *s)
{
	static const struct {
		enum ipc_socket_kind kind;
		bool v6;
		uint16_t port;
	} wanted[SUP_N_SOCKETS] = {
		{IPC_SOCKET_IKE_V4_500, false, 500},
		{IPC_SOCKET_IKE_V4_4500, false, 4500},
		{IPC_SOCKET_IKE_V6_500, true, 500},
		{IPC_SOCKET_IKE_V6_4500, true, 4500},
	};

	for (size_t i = 0; i < SUP_N_SOCKETS; i++) {
		struct sup_socket *k = &s->sockets[i];

		const uint16_t port = wanted[i].port;

		k->kind = wanted[i].kind;
		if (sup_udp_pair(wanted[i].v6, port, port == 4500, k->fd))
			continue;
		if (wanted[i].v6 && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL)) {
			log_warn("IPv6 is not available: no IKE over IPv6 on UDP port %u", port);
			continue;
		}
		if (errno == EADDRINUSE)
			log_error("UDP port %u is in use: stop the other IKE daemon (see `ss -lunp "
				  "sport = :%u`)",
				  port, port);
		else
			log_error("cannot open UDP port %u: %s", port, strerror(errno));
		return false;
	}
	return true;
}

void sup_udp_close(struct supervisor *s)
{
	for (size_t i = 0; i < SUP_N_SOCKETS; i++) {
		for (int n = 0; n < SUP_UDP_PAIR; n++) {
			if (s->sockets[i].fd[n] >= 0)
				close(s->sockets[i].fd[n]);
			s->sockets[i].fd[n] = -1;
		}
	}
}
