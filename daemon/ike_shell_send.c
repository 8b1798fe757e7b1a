/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ike_shell_send: datagrams on their way out, from the address that the core names. What is said while a
 * batch is being read waits for its end and leaves by one system call: in a flood that is one cookie
 * for each request.
 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include "daemon/ike_shell.h"

static socklen_t to_sockaddr(const struct ip_endpoint *e, union ike_shell_address *out)
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

static void set_local(struct msghdr *mh, union ike_shell_packet_info *control,
		      const struct ip_addr *local)
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

static const struct ike_socket *socket_for(const struct ike_shell *s, const struct ip_endpoint *l)
{
	for (size_t i = 0; i < IKE_SHELL_N_SOCKETS; i++) {
		const struct ike_socket *k = &s->sockets[i];

		if (k->fd >= 0 && k->v6 == (l->addr.family == IP_V6) && k->port == l->port)
			return k;
	}
	return NULL;
}

/* Retransmission makes up for it; a lasting cause should be seen. */
static void failed(struct ike_shell *s, const struct ip_endpoint *remote, const char *why)
{
	char text[IP_ENDPOINT_STRLEN];

	ike_shell_count(s, IKE_SHELL_CNT_TX_FAILED);
	if (log_limit_take(&s->limit, s->now))
		log_warn("cannot send to %s: %s", ip_endpoint_format(remote, text), why);
}

static void flush(struct ike_shell *s)
{
	struct ike_shell_tx *tx = &s->tx;
	struct mmsghdr batch[IKE_SHELL_BATCH];
	struct iovec iov[IKE_SHELL_BATCH];
	unsigned done = 0;

	memset(batch, 0, tx->n * sizeof(batch[0]));
	for (unsigned i = 0; i < tx->n; i++) {
		struct ike_shell_held *h = &tx->held[i];
		struct msghdr *mh = &batch[i].msg_hdr;

		iov[i] = (struct iovec){h->data, h->size};
		mh->msg_iov = &iov[i];
		mh->msg_iovlen = 1;
		mh->msg_name = &h->to;
		mh->msg_namelen = to_sockaddr(&h->remote, &h->to);
		set_local(mh, &h->control, &h->local);
	}
	while (done < tx->n) {
		const int n =
			sendmmsg(tx->fd, batch + done, tx->n - done, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n > 0) {
			done += (unsigned)n;
			continue;
		}
		failed(s, &tx->held[done].remote, strerror(errno));
		done++; /* the others may have more luck */
	}
	tx->n = 0;
}

void ike_shell_send_hold(struct ike_shell *s)
{
	s->tx.holding = true;
}

void ike_shell_send_release(struct ike_shell *s)
{
	flush(s);
	s->tx.holding = false;
}

/* False: it is too long to be worth it. */
static bool hold(struct ike_shell *s, const struct ike_socket *k, const struct ike_action *a,
		 const struct iovec *iov, size_t n_iov)
{
	struct ike_shell_tx *tx = &s->tx;
	struct ike_shell_held *h;

	if (!tx->holding || a->send.size > IKE_SHELL_HELD_MAX - IKE_SHELL_MARKER)
		return false;
	if (tx->n == IKE_SHELL_BATCH || (tx->n && tx->fd != k->fd))
		flush(s);
	tx->fd = k->fd;
	h = &tx->held[tx->n++];
	h->size = 0;
	for (size_t i = 0; i < n_iov; i++) {
		memcpy(h->data + h->size, iov[i].iov_base, iov[i].iov_len);
		h->size += iov[i].iov_len;
	}
	h->local = a->send.local.addr;
	h->remote = a->send.remote;
	return true;
}

void ike_shell_send(struct ike_shell *s, const struct ike_action *a)
{
	static const uint8_t marker[IKE_SHELL_MARKER];
	static const uint8_t keepalive = 0xff;
	const struct ike_socket *k = socket_for(s, &a->send.local);
	struct iovec iov[2];
	union ike_shell_packet_info control;
	union ike_shell_address to;
	struct msghdr mh = {.msg_name = &to, .msg_iov = iov};

	if (!k) {
		failed(s, &a->send.remote, "no socket for this address family and port");
		return;
	}
	if (a->type == IKE_ACT_KEEPALIVE) {
		iov[mh.msg_iovlen++] = (struct iovec){(void *)&keepalive, 1};
	} else {
		if (a->send.natt)
			iov[mh.msg_iovlen++] = (struct iovec){(void *)marker, sizeof(marker)};
		iov[mh.msg_iovlen++] = (struct iovec){(void *)a->send.data, a->send.size};
	}
	if (hold(s, k, a, iov, mh.msg_iovlen))
		return;
	flush(s); /* in their order */
	mh.msg_namelen = to_sockaddr(&a->send.remote, &to);
	set_local(&mh, &control, &a->send.local.addr);
	if (sendmsg(k->fd, &mh, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		failed(s, &a->send.remote, strerror(errno));
}
