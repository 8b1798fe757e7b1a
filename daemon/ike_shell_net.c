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

#define DATAGRAM_MAX       (IKE_MESSAGE_MAX + IKE_SHELL_MARKER)
#define BATCHES_PER_WAKEUP 4 /* then the timers and the other descriptors have their turn */
#define PORT               500
#define PORT_NATT          4500
#define MEMINFO_DROPS      8 /* SK_MEMINFO_DROPS of linux/sock_diag.h */

/* IPv4-mapped addresses cannot come: the sockets are IPV6_V6ONLY. */
static bool from_sockaddr(const union ike_shell_address *a, struct ip_endpoint *out)
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

/* -------------------------------------------------------------- reception */

/* Removes what RFC 3948 2.2 puts in front of IKE on port 4500; false for what is no IKE. */
static bool strip_marker(struct ike_shell *s, const uint8_t **data, size_t *size)
{
	static const uint8_t marker[IKE_SHELL_MARKER];

	if (*size == 1 && (*data)[0] == 0xff) {
		ike_shell_count(s, IKE_SHELL_CNT_RX_KEEPALIVE);
		return false;
	}
	if (*size < IKE_SHELL_MARKER) {
		ike_shell_count(s, IKE_SHELL_CNT_RX_SHORT);
		return false;
	}
	if (memcmp(*data, marker, IKE_SHELL_MARKER) != 0) {
		ike_shell_count(s, IKE_SHELL_CNT_RX_ESP);
		return false;
	}
	*data += IKE_SHELL_MARKER;
	*size -= IKE_SHELL_MARKER;
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
	ev.packet.local.port = sock->port;
	if (sock->port == PORT_NATT && !strip_marker(s, &data, &size))
		return;
	ev.packet.data = data;
	ev.packet.size = size;
	ike_shell_step(s, &ev);
}

/* One batch; true if there may be more. */
static bool read_batch(struct ike_shell *s, const struct ike_socket *sock)
{
	static uint8_t data[IKE_SHELL_BATCH][DATAGRAM_MAX];
	static union ike_shell_packet_info control[IKE_SHELL_BATCH];
	union ike_shell_address from[IKE_SHELL_BATCH];
	struct iovec iov[IKE_SHELL_BATCH];
	struct mmsghdr batch[IKE_SHELL_BATCH];
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
	n = recvmmsg(sock->fd, batch, IKE_SHELL_BATCH, MSG_DONTWAIT, NULL);
	s->now = mono_now();
	ike_shell_send_hold(s);
	for (int i = 0; i < n; i++)
		datagram(s, sock, &batch[i].msg_hdr, data[i], batch[i].msg_len);
	ike_shell_send_release(s);
	return n == (int)IKE_SHELL_BATCH;
}

/* What is under way goes first, however many strangers wait. */
static void read_before_strangers(struct ike_shell *s)
{
	for (size_t i = 0; i < IKE_SHELL_N_SOCKETS; i++) {
		if (s->sockets[i].fd >= 0 && !s->sockets[i].strangers)
			(void)read_batch(s, &s->sockets[i]);
	}
}

static void on_socket(void *ctx, int fd, uint32_t events)
{
	struct ike_shell *s = ctx;
	const struct ike_socket *sock = NULL;

	for (size_t i = 0; i < IKE_SHELL_N_SOCKETS; i++) {
		if (s->sockets[i].fd == fd)
			sock = &s->sockets[i];
	}
	for (int i = 0; sock && i < BATCHES_PER_WAKEUP; i++) {
		if (sock->strangers)
			read_before_strangers(s);
		if (!read_batch(s, sock))
			return;
	}
}

void ike_shell_look_at_losses(struct ike_shell *s)
{
	for (size_t i = 0; i < IKE_SHELL_N_SOCKETS; i++) {
		struct ike_socket *k = &s->sockets[i];
		uint32_t info[MEMINFO_DROPS + 1];
		socklen_t size = sizeof(info);

		if (k->fd < 0 || getsockopt(k->fd, SOL_SOCKET, SO_MEMINFO, info, &size) != 0 ||
		    size < sizeof(info))
			continue;
		s->counters[k->strangers ? IKE_SHELL_CNT_RX_LOST_FIRST : IKE_SHELL_CNT_RX_LOST] +=
			info[MEMINFO_DROPS] - k->n_lost;
		k->n_lost = info[MEMINFO_DROPS];
	}
}

/* ---------------------------------------------------------------- hand-over */

bool ike_shell_take_socket(struct ike_shell *s, struct ipc_msg *msg)
{
	struct ipc_socket head;
	bool second = false;

	if (msg->h.size != sizeof(head) || msg->n_fds != 1)
		return false;
	memcpy(&head, msg->body, sizeof(head));
	if (head.kind < IPC_SOCKET_IKE_V4_500 || head.kind > IPC_SOCKET_IKE_V6_4500)
		return false;
	for (size_t i = 0; i < IKE_SHELL_N_SOCKETS; i++) {
		struct ike_socket *k = &s->sockets[i];

		if (k->fd >= 0) {
			second |= k->kind == (enum ipc_socket_kind)head.kind;
			continue;
		}
		*k = (struct ike_socket){
			.fd = ipc_msg_take_fd(msg, 0),
			.kind = (enum ipc_socket_kind)head.kind,
			.v6 = head.kind == IPC_SOCKET_IKE_V6_500 ||
			      head.kind == IPC_SOCKET_IKE_V6_4500,
			.port = head.kind == IPC_SOCKET_IKE_V4_500 ||
						head.kind == IPC_SOCKET_IKE_V6_500
					? PORT
					: PORT_NATT,
			.strangers = second,
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
