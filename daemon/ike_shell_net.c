/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ike_shell_net: datagrams of UDP 500 and 4500, with the local address that they were sent to.
 *
 * On 4500 three things share the port (RFC 3948 2): ESP, IKE behind four zero bytes, and the
 * keepalive byte. The dataplane takes ESP off before Linux sees it; what still arrives is counted
 * and dropped.
 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "daemon/ike_shell.h"

#define MARKER_SIZE        4u
#define DATAGRAM_MAX       (IKE_MESSAGE_MAX + MARKER_SIZE)
#define BATCHES_PER_WAKEUP 8 /* then the timers and the other descriptors have their turn */

union address {
	struct sockaddr sa;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

union packet_info {
	struct cmsghdr align;
	char buf[CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(struct in_pktinfo))];
};

static bool is_natt(enum ipc_socket_kind kind)
{
	return kind == IPC_SOCKET_IKE_V4_4500 || kind == IPC_SOCKET_IKE_V6_4500;
}

static uint16_t port_of(enum ipc_socket_kind kind)
{
	return is_natt(kind) ? 4500 : 500;
}

static bool is_v6(enum ipc_socket_kind kind)
{
	return kind == IPC_SOCKET_IKE_V6_500 || kind == IPC_SOCKET_IKE_V6_4500;
}

/* IPv4-mapped addresses cannot come: the sockets are IPV6_V6ONLY. */
static bool from_sockaddr(const union address *a, struct ip_endpoint *out)
{
	if (a->sa.sa_family == AF_INET) {
		out->addr = ip_from_bytes(IP_V4, (const uint8_t *)&a->v4.sin_addr);
		out->port = ntohs(a->v4.sin_port);
		return true;
	}
	if (a->sa.sa_family == AF_INET6) {
		out->addr = ip_from_bytes(IP_V6, (const uint8_t *)&a->v6.sin6_addr);
		out->port = ntohs(a->v6.sin6_port);
		return true;
	}
	return false;
}

static socklen_t to_sockaddr(const struct ip_endpoint *e, union address *out)
{
	memset(out, 0, sizeof(*out));
	if (e->addr.family == IP_V4) {
		out->v4.sin_family = AF_INET;
		out->v4.sin_port = htons(e->port);
		memcpy(&out->v4.sin_addr, e->addr.b, 4);
		return sizeof(out->v4);
	}
	out->v6.sin6_family = AF_INET6;
	out->v6.sin6_port = htons(e->port);
	memcpy(&out->v6.sin6_addr, e->addr.b, 16);
	return sizeof(out->v6);
}

/* The address that the datagram was sent to. */
static bool local_of(struct msghdr *mh, struct ip_addr *out)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof(info));
			*out = ip_from_bytes(IP_V4, (const uint8_t *)&info.ipi_addr);
			return true;
		}
		if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof(info));
			*out = ip_from_bytes(IP_V6, (const uint8_t *)&info.ipi6_addr);
			return true;
		}
	}
	return false;
}

static void set_local(struct msghdr *mh, union packet_info *control, const struct ip_addr *local)
{
	struct cmsghdr *c;

	if (local->family == IP_NONE || ip_is_unspecified(local))
		return;
	memset(control, 0, sizeof(*control));
	mh->msg_control = control->buf;
	if (local->family == IP_V4) {
		struct in_pktinfo info = {0};

		memcpy(&info.ipi_spec_dst, local->b, 4);
		mh->msg_controllen = CMSG_SPACE(sizeof(info));
		c = CMSG_FIRSTHDR(mh);
		c->cmsg_level = IPPROTO_IP;
		c->cmsg_type = IP_PKTINFO;
		c->cmsg_len = CMSG_LEN(sizeof(info));
		memcpy(CMSG_DATA(c), &info, sizeof(info));
	} else {
		struct in6_pktinfo info = {0};

		memcpy(&info.ipi6_addr, local->b, 16);
		mh->msg_controllen = CMSG_SPACE(sizeof(info));
		c = CMSG_FIRSTHDR(mh);
		c->cmsg_level = IPPROTO_IPV6;
		c->cmsg_type = IPV6_PKTINFO;
		c->cmsg_len = CMSG_LEN(sizeof(info));
		memcpy(CMSG_DATA(c), &info, sizeof(info));
	}
}

/* -------------------------------------------------------------- reception */

/* Removes what RFC 3948 2.2 puts in front of IKE on port 4500; false for what is no IKE. */
static bool strip_marker(struct ike_shell *s, const uint8_t **data, size_t *size)
{
	static const uint8_t marker[MARKER_SIZE];

	if (*size == 1 && (*data)[0] == 0xff) {
		ike_shell_count(s, IKE_SHELL_CNT_RX_KEEPALIVE);
		return false;
	}
	if (*size < MARKER_SIZE) {
		ike_shell_count(s, IKE_SHELL_CNT_RX_SHORT);
		return false;
	}
	if (memcmp(*data, marker, MARKER_SIZE) != 0) {
		ike_shell_count(s, IKE_SHELL_CNT_RX_ESP);
		return false;
	}
	*data += MARKER_SIZE;
	*size -= MARKER_SIZE;
	return true;
}

static void datagram(struct ike_shell *s, const struct ike_socket *sock, struct msghdr *mh,
		     const uint8_t *data, size_t size)
{
	struct ike_event ev = {.type = IKE_EV_PACKET};

	ike_shell_count(s, IKE_SHELL_CNT_RX_DATAGRAMS);
	if (mh->msg_flags & MSG_TRUNC) {
		ike_shell_count(s, IKE_SHELL_CNT_RX_LONG);
		return;
	}
	if (!from_sockaddr(mh->msg_name, &ev.packet.remote) ||
	    !local_of(mh, &ev.packet.local.addr)) {
		ike_shell_count(s, IKE_SHELL_CNT_RX_NO_INFO);
		return;
	}
	ev.packet.local.port = port_of(sock->kind);
	if (is_natt(sock->kind) && !strip_marker(s, &data, &size))
		return;
	ev.packet.data = data;
	ev.packet.size = size;
	ike_shell_step(s, &ev);
}

static void on_socket(void *ctx, int fd, uint32_t events)
{
	static uint8_t data[IKE_SHELL_BATCH][DATAGRAM_MAX];
	static union packet_info control[IKE_SHELL_BATCH];
	union address from[IKE_SHELL_BATCH];
	struct iovec iov[IKE_SHELL_BATCH];
	struct mmsghdr batch[IKE_SHELL_BATCH];
	struct ike_shell *s = ctx;
	const struct ike_socket *sock = NULL;

	for (size_t i = 0; i < IKE_SHELL_N_SOCKETS; i++) {
		if (s->sockets[i].fd == fd)
			sock = &s->sockets[i];
	}
	if (!sock)
		return;
	s->now = mono_now();
	for (int round = 0; round < BATCHES_PER_WAKEUP; round++) {
		int n;

		memset(batch, 0, sizeof(batch));
		for (size_t i = 0; i < IKE_SHELL_BATCH; i++) {
			iov[i] = (struct iovec){.iov_base = data[i], .iov_len = DATAGRAM_MAX};
			batch[i].msg_hdr = (struct msghdr){
				.msg_name = &from[i],
				.msg_namelen = sizeof(from[i]),
				.msg_iov = &iov[i],
				.msg_iovlen = 1,
				.msg_control = control[i].buf,
				.msg_controllen = sizeof(control[i].buf),
			};
		}
		n = recvmmsg(fd, batch, IKE_SHELL_BATCH, MSG_DONTWAIT, NULL);
		for (int i = 0; i < n; i++)
			datagram(s, sock, &batch[i].msg_hdr, data[i], batch[i].msg_len);
		if (n < (int)IKE_SHELL_BATCH)
			return;
	}
}

/* ------------------------------------------------------------------ sending */

static const struct ike_socket *socket_for(const struct ike_shell *s, const struct ip_endpoint *l)
{
	for (size_t i = 0; i < IKE_SHELL_N_SOCKETS; i++) {
		const struct ike_socket *k = &s->sockets[i];

		if (k->fd >= 0 && is_v6(k->kind) == (l->addr.family == IP_V6) &&
		    port_of(k->kind) == l->port)
			return k;
	}
	return NULL;
}

void ike_shell_send(struct ike_shell *s, const struct ike_action *a)
{
	static const uint8_t marker[MARKER_SIZE];
	static const uint8_t keepalive = 0xff;
	const struct ike_socket *k = socket_for(s, &a->send.local);
	struct iovec iov[2];
	union packet_info control;
	union address to;
	struct msghdr mh = {.msg_name = &to, .msg_iov = iov};
	char remote[IP_ENDPOINT_STRLEN];

	if (a->type == IKE_ACT_KEEPALIVE) {
		iov[mh.msg_iovlen++] = (struct iovec){(void *)&keepalive, 1};
	} else {
		if (a->send.natt)
			iov[mh.msg_iovlen++] = (struct iovec){(void *)marker, MARKER_SIZE};
		iov[mh.msg_iovlen++] = (struct iovec){(void *)a->send.data, a->send.size};
	}
	mh.msg_namelen = to_sockaddr(&a->send.remote, &to);
	set_local(&mh, &control, &a->send.local.addr);
	if (k && sendmsg(k->fd, &mh, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
		return;
	/* Retransmission makes up for it; a lasting cause should be seen. */
	ike_shell_count(s, IKE_SHELL_CNT_TX_FAILED);
	if (log_limit_take(&s->limit, s->now))
		log_warn("cannot send to %s: %s", ip_endpoint_format(&a->send.remote, remote),
			 k ? strerror(errno) : "no socket for this address family and port");
}

/* ---------------------------------------------------------------- hand-over */

bool ike_shell_take_socket(struct ike_shell *s, struct ipc_msg *msg)
{
	struct ipc_socket head;

	if (msg->h.size != sizeof(head) || msg->n_fds != 1)
		return false;
	memcpy(&head, msg->body, sizeof(head));
	if (head.kind < IPC_SOCKET_IKE_V4_500 || head.kind > IPC_SOCKET_IKE_V6_4500)
		return false;
	for (size_t i = 0; i < IKE_SHELL_N_SOCKETS; i++) {
		if (s->sockets[i].fd >= 0)
			continue;
		s->sockets[i] = (struct ike_socket){
			.fd = ipc_msg_take_fd(msg, 0),
			.kind = (enum ipc_socket_kind)head.kind,
		};
		return true;
	}
	return false;
}

bool ike_shell_watch_sockets(struct ike_shell *s)
{
	size_t n = 0;

	for (size_t i = 0; i < IKE_SHELL_N_SOCKETS; i++) {
		if (s->sockets[i].fd < 0)
			continue;
		if (!loop_add(&s->child.loop, s->sockets[i].fd, EPOLLIN, on_socket, s))
			return false;
		n++;
	}
	return n > 0;
}

void ike_shell_close_sockets(struct ike_shell *s)
{
	for (size_t i = 0; i < IKE_SHELL_N_SOCKETS; i++) {
		loop_remove(&s->child.loop, s->sockets[i].fd);
		if (s->sockets[i].fd >= 0)
			close(s->sockets[i].fd);
		s->sockets[i].fd = -1;
	}
}
