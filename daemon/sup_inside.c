/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sup_inside: sockets between the inside addresses of tunnels, for BGP, BFD and probes; and one that
 * hears of Linux's routes.
 *
 * The route process parses what peers send, so it can open nothing itself: it names a tunnel and a
 * kind and gets a socket that is bound to our inside address and, where it sends, connected to the
 * peer's. A route process that was taken over reaches the configured neighbours and nobody else.
 *
 * TCP is bound to addresses, not to the interface: a session outlives a restart of the dataplane,
 * which makes the interface anew; without it, our address is gone and nothing is sent. BFD proves no
 * reachability by a handshake: it is bound to the interface, so that nobody outside speaks for the peer.
 */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <linux/tcp.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/log.h"
#include "base/secret.h"
#include "daemon/supervisor.h"

#define BGP_PORT        179
#define BGP_BACKLOG     8
#define BFD_PORT        3784  /* RFC 5881 4 */
#define BFD_MULTIHOP    4784  /* RFC 5883 5 */
#define BFD_FIRST_PORT  49152 /* RFC 5881 4: of what is sent */
#define BFD_TRIES       64
#define TTL_MAX         255
#define LINUX_BUFFER    (4 << 20)
#define RAW_ICMP_FILTER 1    /* <linux/icmp.h>, which does not go with <net/if.h> */
#define CLASS_6         0xc0 /* RFC 2474 4.2.2.2: network control */

union address {
	struct sockaddr sa;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_storage any;
};

static socklen_t address_of(const struct ip_addr *a, uint16_t port, const char *interface,
			    union address *out)
{
	memset(out, 0, sizeof(*out));
	if (a->family == IP_V4) {
		out->v4.sin_family = AF_INET;
		out->v4.sin_port = htons(port);
		memcpy(&out->v4.sin_addr, a->b, sizeof(out->v4.sin_addr));
		return sizeof(out->v4);
	}
	out->v6.sin6_family = AF_INET6;
	out->v6.sin6_port = htons(port);
	memcpy(&out->v6.sin6_addr, a->b, sizeof(out->v6.sin6_addr));
	if (IN6_IS_ADDR_LINKLOCAL(&out->v6.sin6_addr))
		out->v6.sin6_scope_id = if_nametoindex(interface);
	return sizeof(out->v6);
}

static bool set_int(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value)) == 0;
}

/* What all of them have: control traffic that no router passes on unnoticed (RFC 5082). */
static int inside_socket(bool v6, int type)
{
	const int fd = socket(v6 ? AF_INET6 : AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	if (v6 ? set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1) &&
			    set_int(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, TTL_MAX) &&
			    set_int(fd, IPPROTO_IPV6, IPV6_TCLASS, CLASS_6)
	       : set_int(fd, IPPROTO_IP, IP_TTL, TTL_MAX) &&
			    set_int(fd, IPPROTO_IP, IP_TOS, CLASS_6))
		return fd;
	close(fd);
	return -1;
}

/* Closes it, keeping errno. */
static int give_up(int fd)
{
	const int e = errno;

	close(fd);
	errno = e;
	return -1;
}

static bool set_password(int fd, const struct config_bgp *b, const struct ipc_socket_want *want)
{
	struct tcp_md5sig sig = {.tcpm_keylen = (uint16_t)want->password_size};
	union address peer;
	bool ok;

	if (want->password_size == 0)
		return true;
	(void)address_of(&b->neighbor, 0, "", &peer);
	memcpy(&sig.tcpm_addr, &peer, sizeof(peer));
	memcpy(sig.tcpm_key, want->password, want->password_size);
	ok = setsockopt(fd, IPPROTO_TCP, TCP_MD5SIG, &sig, sizeof(sig)) == 0;
	bytes_wipe(&sig, sizeof(sig));
	return ok;
}

static int bgp_open(const struct config_tunnel *t, const struct ipc_socket_want *want)
{
	const bool v6 = t->bgp.local.family == IP_V6, listens = want->kind == IPC_SOCKET_BGP_LISTEN;
	const int fd = inside_socket(v6, SOCK_STREAM);
	union address local, peer;
	socklen_t size;

	if (fd < 0)
		return -1;
	/* Accepted sockets inherit all of it. The address may not be there yet. */
	if (!set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1) ||
	    !set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1) ||
	    (listens && !(v6 ? set_int(fd, IPPROTO_IPV6, IPV6_FREEBIND, 1)
			     : set_int(fd, IPPROTO_IP, IP_FREEBIND, 1))) ||
	    (t->bgp.ttl_security && !(v6 ? set_int(fd, IPPROTO_IPV6, IPV6_MINHOPCOUNT, TTL_MAX)
					 : set_int(fd, IPPROTO_IP, IP_MINTTL, TTL_MAX))) ||
	    !set_password(fd, &t->bgp, want))
		return give_up(fd);
	size = address_of(&t->bgp.local, listens ? BGP_PORT : 0, t->interface, &local);
	if (bind(fd, &local.sa, size) != 0)
		return give_up(fd);
	size = address_of(&t->bgp.neighbor, BGP_PORT, t->interface, &peer);
	if (listens ? listen(fd, BGP_BACKLOG) != 0
		    : connect(fd, &peer.sa, size) != 0 && errno != EINPROGRESS)
		return give_up(fd);
	return fd;
}

static bool bind_to_interface(int fd, const struct config_tunnel *t)
{
	return setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, t->interface,
			  (socklen_t)strnlen(t->interface, sizeof(t->interface))) == 0;
}

static uint16_t bfd_port(const struct config_tunnel *t)
{
	return t->bfd.multihop ? BFD_MULTIHOP : BFD_PORT;
}

static int bfd_receiver(const struct config_tunnel *t)
{
	const bool v6 = t->bfd.local.family == IP_V6;
	const int fd = inside_socket(v6, SOCK_DGRAM);
	union address local;
	const socklen_t size = address_of(&t->bfd.local, bfd_port(t), t->interface, &local);

	if (fd < 0)
		return -1;
	if (bind_to_interface(fd, t) &&
	    (v6 ? set_int(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1)
		: set_int(fd, IPPROTO_IP, IP_RECVTTL, 1)) &&
	    bind(fd, &local.sa, size) == 0)
		return fd;
	return give_up(fd);
}

static int bfd_sender(const struct config_tunnel *t)
{
	const int fd = inside_socket(t->bfd.local.family == IP_V6, SOCK_DGRAM);
	union address local, peer;
	const socklen_t size = address_of(&t->bfd.neighbor, bfd_port(t), t->interface, &peer);
	bool ok;

	if (fd < 0)
		return -1;
	ok = bind_to_interface(fd, t);
	/* RFC 5881 4: a port of its own in this range, the same for the session's life. */
	for (unsigned i = 0; ok && i < BFD_TRIES; i++) {
		const uint16_t port = (uint16_t)(BFD_FIRST_PORT + (t->index + i * 257) % 16384);

		(void)address_of(&t->bfd.local, port, t->interface, &local);
		if (bind(fd, &local.sa, size) == 0)
			return connect(fd, &peer.sa, size) == 0 ? fd : give_up(fd);
		ok = errno == EADDRINUSE;
	}
	return give_up(fd);
}

/* Raw: Linux allows sockets for echoes alone to some groups only. What else arrives is filtered out. */
static int probe_socket(const struct config_tunnel *t)
{
	const bool v6 = t->probe.local.family == IP_V6;
	const int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
			      v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
	const uint32_t v4_filter = ~(1u << ICMP_ECHOREPLY);
	struct icmp6_filter v6_filter;
	union address local, peer;
	const socklen_t size = address_of(&t->probe.local, 0, t->interface, &local);

	if (fd < 0)
		return -1;
	ICMP6_FILTER_SETBLOCKALL(&v6_filter);
	ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &v6_filter);
	(void)address_of(&t->probe.address, 0, t->interface, &peer);
	if ((v6 ? setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &v6_filter, sizeof(v6_filter))
		: setsockopt(fd, SOL_RAW, RAW_ICMP_FILTER, &v4_filter, sizeof(v4_filter))) == 0 &&
	    bind_to_interface(fd, t) && bind(fd, &local.sa, size) == 0 &&
	    connect(fd, &peer.sa, size) == 0)
		return fd;
	return give_up(fd);
}

static const struct config_tunnel *tunnel_numbered(const struct config *c, uint32_t index)
{
	for (size_t i = 0; i < c->n_connections; i++) {
		for (size_t j = 0; j < c->connections[i].n_tunnels; j++) {
			if (c->connections[i].tunnels[j].index == index)
				return &c->connections[i].tunnels[j];
		}
	}
	return NULL;
}

/* Whoever reads by it has no privilege: to change anything, Linux asks for that of who sends, too. */
static int linux_socket(void)
{
	const struct sockaddr_nl all = {
		.nl_family = AF_NETLINK,
		.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE,
	};
	const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

	if (fd < 0)
		return -1;
	/* What does not fit is lost, and all is read again. */
	(void)set_int(fd, SOL_SOCKET, SO_RCVBUFFORCE, LINUX_BUFFER);
	if (bind(fd, (const struct sockaddr *)&all, sizeof(all)) == 0)
		return fd;
	return give_up(fd);
}

/* How many were opened; 0 with errno. */
static size_t open_wanted(const struct config *c, const struct ipc_socket_want *want, int fds[2])
{
	const struct config_tunnel *t = tunnel_numbered(c, want->tunnel);

	if (want->kind == IPC_SOCKET_LINUX && c->routing.linux_import.on) {
		fds[0] = linux_socket();
		return fds[0] >= 0;
	}
	errno = EINVAL;
	if (!t || want->password_size > sizeof(want->password))
		return 0;
	errno = ENOENT;
	switch ((int)want->kind) {
	case IPC_SOCKET_BGP_LISTEN:
	case IPC_SOCKET_BGP_CONNECT:
		fds[0] = t->bgp.on ? bgp_open(t, want) : -1;
		return fds[0] >= 0;
	case IPC_SOCKET_PROBE: fds[0] = t->probe.on ? probe_socket(t) : -1; return fds[0] >= 0;
	case IPC_SOCKET_BFD:
		fds[0] = t->bfd.on ? bfd_receiver(t) : -1;
		if (fds[0] < 0)
			return 0;
		fds[1] = bfd_sender(t);
		if (fds[1] >= 0)
			return 2;
		(void)give_up(fds[0]);
		return 0;
	default: return 0;
	}
}

void sup_inside_answer(struct supervisor *s, struct sup_child *c)
{
	struct ipc_socket_want want;
	struct ipc_socket answer;
	int fds[2];
	size_t n;

	if (c->role != IPC_ROLE_ROUTE || s->msg.h.size != sizeof(want)) {
		log_warn("the %s process asked for a socket in a wrong way: ignored",
			 ipc_role_name(c->role));
		return;
	}
	memcpy(&want, s->msg.body, sizeof(want));
	n = open_wanted(s->config, &want, fds);
	answer = (struct ipc_socket){
		.kind = want.kind,
		.tunnel = want.tunnel,
		.error = n == 0 ? (uint32_t)errno : 0,
	};
	bytes_wipe(&want, sizeof(want));
	bytes_wipe(s->msg.body, sizeof(want));
	(void)sup_child_send(s, c, IPC_SOCKET, &answer, sizeof(answer), fds, n);
	for (size_t i = 0; i < n; i++)
		close(fds[i]);
}
