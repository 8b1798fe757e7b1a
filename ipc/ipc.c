/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ipc: one message, one packet. See ipc.h for the contract and include/twinbore/ipc.h for the
 * layout. The kernel keeps packet borders for us; everything else is checked here, once, so that
 * no process needs to trust another about lengths or descriptors.
 */
#include "ipc/ipc.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

static_assert(offsetof(struct ipc_msg, body) % 8 == 0, "bodies are read as structs");

/* The kernel passes at most this many descriptors in a packet (SCM_MAX_FD). */
#define KERNEL_MAX_FDS 253

bool ipc_pair(int socks[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, socks) == 0;
}

static bool send_iov(int sock, const struct iovec *iov, size_t n_iov, const int *fds, size_t n_fds)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(IPC_MAX_FDS * sizeof(int))];
	} control;
	struct msghdr mh = {.msg_iov = (struct iovec *)iov, .msg_iovlen = n_iov};
	ssize_t n;

	if (n_fds > 0) {
		struct cmsghdr *c;

		memset(&control, 0, sizeof(control));
		mh.msg_control = control.buf;
		mh.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		c = CMSG_FIRSTHDR(&mh);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
	}
	do {
		n = sendmsg(sock, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n >= 0;
}

static bool send_parts(int sock, enum ipc_type type, uint16_t flags, uint64_t id,
		       struct iovec parts[3], const int *fds, size_t n_fds)
{
	const size_t size = parts[1].iov_len + parts[2].iov_len;
	struct ipc_header h = {
		.magic = IPC_MAGIC,
		.type = (uint16_t)type,
		.flags = flags,
		.size = (uint32_t)size,
		.id = id,
	};

	if (parts[1].iov_len > IPC_BODY_MAX || parts[2].iov_len > IPC_BODY_MAX ||
	    size > IPC_BODY_MAX || n_fds > IPC_MAX_FDS) {
		errno = EMSGSIZE;
		return false;
	}
	parts[0] = (struct iovec){.iov_base = &h, .iov_len = sizeof(h)};
	return send_iov(sock, parts, 3, fds, n_fds);
}

bool ipc_send(int sock, enum ipc_type type, uint16_t flags, uint64_t id, const void *body,
	      size_t size, const int *fds, size_t n_fds)
{
	struct iovec parts[3] = {[1] = {.iov_base = (void *)body, .iov_len = size}};

	return send_parts(sock, type, flags, id, parts, fds, n_fds);
}

bool ipc_send2(int sock, enum ipc_type type, uint16_t flags, uint64_t id, const void *head,
	       size_t head_size, const void *tail, size_t tail_size)
{
	struct iovec parts[3] = {
		[1] = {.iov_base = (void *)head, .iov_len = head_size},
		[2] = {.iov_base = (void *)tail, .iov_len = tail_size},
	};

	return send_parts(sock, type, flags, id, parts, NULL, 0);
}

/* Moves every received descriptor to `msg`; those beyond its room are closed: false then. */
static bool collect_fds(struct msghdr *mh, struct ipc_msg *msg)
{
	bool fits = !(mh->msg_flags & MSG_CTRUNC);

	for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
		size_t n;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (msg->n_fds < IPC_MAX_FDS) {
				msg->fds[msg->n_fds++] = fd;
			} else {
				close(fd);
				fits = false;
			}
		}
	}
	return fits;
}

static bool header_ok(const struct ipc_header *h, size_t packet_size)
{
	return h->magic == IPC_MAGIC && h->type > IPC_NONE && h->type < IPC_TYPE_END &&
	       (h->flags & ~IPC_MORE) == 0 && h->zero == 0 && h->size <= IPC_BODY_MAX &&
	       packet_size == sizeof(*h) + h->size;
}

int ipc_recv(int sock, struct ipc_msg *msg)
{
	/* Room for all that the kernel can pass: what we did not see we could not close. */
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(KERNEL_MAX_FDS * sizeof(int))];
	} control;
	struct iovec iov[2] = {
		{.iov_base = &msg->h, .iov_len = sizeof(msg->h)},
		{.iov_base = msg->body, .iov_len = sizeof(msg->body)},
	};
	struct msghdr mh = {
		.msg_iov = iov,
		.msg_iovlen = 2,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf),
	};
	ssize_t n;
	bool fds_ok;

	msg->n_fds = 0;
	do {
		n = recvmsg(sock, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0) {
		/* A reset means that the other end died with our messages unread: gone for good. */
		if (errno == ECONNRESET)
			errno = 0;
		return errno == EAGAIN || errno == 0 ? 0 : -1;
	}
	fds_ok = collect_fds(&mh, msg);
	if (n == 0 && msg->n_fds == 0) {
		errno = 0;
		return 0;
	}
	if (!fds_ok || (mh.msg_flags & MSG_TRUNC) || (size_t)n < sizeof(msg->h) ||
	    !header_ok(&msg->h, (size_t)n)) {
		ipc_msg_close(msg);
		errno = EBADMSG;
		return -1;
	}
	return 1;
}

void ipc_msg_close(struct ipc_msg *msg)
{
	for (size_t i = 0; i < msg->n_fds; i++) {
		if (msg->fds[i] >= 0)
			close(msg->fds[i]);
		msg->fds[i] = -1;
	}
	msg->n_fds = 0;
}

int ipc_msg_take_fd(struct ipc_msg *msg, size_t i)
{
	int fd;

	if (i >= msg->n_fds)
		return -1;
	fd = msg->fds[i];
	msg->fds[i] = -1;
	return fd;
}

bool ipc_name_ok(const char name[DP_NAME_SIZE])
{
	return name[0] != '\0' && memchr(name, '\0', DP_NAME_SIZE) != NULL;
}

const char *ipc_role_name(enum ipc_role role)
{
	static const char *const names[IPC_ROLE_END] = {
		[IPC_ROLE_NONE] = "none",   [IPC_ROLE_SUPERVISOR] = "supervisor",
		[IPC_ROLE_KEYD] = "keyd",   [IPC_ROLE_IKE] = "ike",
		[IPC_ROLE_ROUTE] = "route", [IPC_ROLE_CONTROL] = "control",
		[IPC_ROLE_DP] = "dp",
	};

	return (unsigned)role < IPC_ROLE_END ? names[role] : "unknown";
}

const char *ipc_type_name(enum ipc_type type)
{
	static const char *const names[IPC_TYPE_END] = {
		[IPC_NONE] = "none",
		[IPC_CONFIG] = "config",
		[IPC_PEER] = "peer",
		[IPC_SOCKET] = "socket",
		[IPC_SOCKET_WANT] = "socket-want",
		[IPC_RING] = "ring",
		[IPC_STATS] = "stats",
		[IPC_SECRET] = "secret",
		[IPC_QCD_SECRET] = "qcd-secret",
		[IPC_DRAINED] = "drained",
		[IPC_START] = "start",
		[IPC_STOP] = "stop",
		[IPC_STORE] = "store",
		[IPC_PING] = "ping",
		[IPC_READY] = "ready",
		[IPC_FATAL] = "fatal",
		[IPC_RELOADED] = "reloaded",
		[IPC_PONG] = "pong",
		[IPC_AUTH_SIGN] = "auth-sign",
		[IPC_AUTH_VERIFY] = "auth-verify",
		[IPC_AUTH_RESULT] = "auth-result",
		[IPC_PPK_MIX] = "ppk-mix",
		[IPC_AUTH_TRUST] = "auth-trust",
		[IPC_TUNNEL_STATE] = "tunnel-state",
		[IPC_EVENT] = "event",
		[IPC_QUERY] = "query",
		[IPC_REPLY] = "reply",
	};

	return (unsigned)type < IPC_TYPE_END && names[type] ? names[type] : "unknown";
}
