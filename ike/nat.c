/* SPDX-License-Identifier: Apache-2.0 */
/* nat: detection, port 4500 and following a peer that moves (RFC 7296 2.23). */
#include "ike/ike_int.h"

#define SHA1_SIZE IKE_NAT_HASH_SIZE

/* SHA-1(SPIi | SPIr | IP | port), all in network order. */
static bool detection_hash(struct ike *ike, uint64_t spi_i, uint64_t spi_r,
			   const struct ip_endpoint *e, uint8_t out[SHA1_SIZE])
{
	uint8_t buf[8 + 8 + 16 + 2];
	struct wr w = wr_of(buf, sizeof(buf));
	struct ike_iov iov = {buf, 0};

	wr_u64(&w, spi_i);
	wr_u64(&w, spi_r);
	wr_bytes(&w, e->addr.b, ip_size(&e->addr));
	wr_u16(&w, e->port);
	iov.size = w.n;
	return ike->crypto.sha1(ike->crypto.ctx, &iov, 1, out);
}

bool ike_nat_hash(struct ike_sa *sa, const struct ip_endpoint *e, uint8_t out[IKE_NAT_HASH_SIZE])
{
	return detection_hash(sa->ike, sa->spi_i, sa->spi_r, e, out);
}

static bool forced(const struct ike_sa *sa)
{
	return sa->tunnel && sa->tunnel->cfg.encap == IKE_ENCAP_FORCE;
}

void ike_nat_build(struct ike_sa *sa, struct ike_builder *b)
{
	struct ike *ike = sa->ike;
	uint8_t source[SHA1_SIZE], destination[SHA1_SIZE];
	bool ok;

	/* A hash that cannot match makes the peer believe in a NAT: encapsulation by force. */
	ok = forced(sa) ? ike_random(ike, source, sizeof(source))
			: detection_hash(ike, sa->spi_i, sa->spi_r, &sa->local, source);
	if (!ok || !detection_hash(ike, sa->spi_i, sa->spi_r, &sa->remote, destination))
		return;
	ike_build_notify(b, IKE_PROTO_NONE, NULL, 0, IKE_N_NAT_DETECTION_SOURCE_IP, source,
			 sizeof(source));
	ike_build_notify(b, IKE_PROTO_NONE, NULL, 0, IKE_N_NAT_DETECTION_DESTINATION_IP,
			 destination, sizeof(destination));
}

void ike_nat_detect(struct ike_sa *sa, const struct ike_packet *p, const struct ike_msg *m)
{
	uint8_t local[SHA1_SIZE], remote[SHA1_SIZE];
	bool source = false, source_ok = false, destination = false, destination_ok = false;

	if (!detection_hash(sa->ike, m->h.spi_i, m->h.spi_r, &p->local, local) ||
	    !detection_hash(sa->ike, m->h.spi_i, m->h.spi_r, &p->remote, remote))
		return;
	for (size_t i = 0; i < m->n_notifies; i++) {
		const struct ike_notify_payload *n = &m->notifies[i];
		const bool sized = n->data.size == SHA1_SIZE;

		if (n->type == IKE_N_NAT_DETECTION_SOURCE_IP) { /* several are allowed */
			source = true;
			source_ok |= sized && !memcmp(n->data.p, remote, SHA1_SIZE);
		} else if (n->type == IKE_N_NAT_DETECTION_DESTINATION_IP) {
			destination = true;
			destination_ok |= sized && !memcmp(n->data.p, local, SHA1_SIZE);
		}
	}
	if (!source || !destination)
		return; /* the peer does not support NAT traversal */
	sa->remote_nat = !source_ok;
	sa->local_nat = !destination_ok;
	sa->natt = sa->remote_nat || sa->local_nat || forced(sa);
}

/*
 * RFC 7296 2.23: the initiator moves to port 4500 once a NAT is found; with MOBIKE always, so that a
 * NAT may come later (RFC 4555 3.3).
 */
void ike_nat_float(struct ike_sa *sa)
{
	const bool may_move = sa->tunnel->cfg.mobike && sa->agreed.nat_traversal;

	if ((!sa->natt && !may_move) || sa->local.port == IKE_PORT_NATT)
		return;
	sa->local.port = IKE_PORT_NATT;
	sa->remote.port = IKE_PORT_NATT;
}

/*
 * After an authenticated and fresh message from elsewhere. Only a peer behind a NAT is followed,
 * and not when we are behind one as well: then its public side does not change by itself, and a
 * wrong guess would be an attacker's (RFC 7296 2.23).
 */
void ike_nat_follow(struct ike_sa *sa, const struct ip_endpoint *local,
		    const struct ip_endpoint *remote)
{
	struct ike *ike = sa->ike;
	struct ike_tunnel *t = sa->tunnel;
	char from[IP_ENDPOINT_STRLEN], to[IP_ENDPOINT_STRLEN];
	struct ike_child *c;
	struct sb s;

	if (sa->agreed.mobike)
		return; /* RFC 4555 3.8: it says so itself */
	if (!sa->natt || !sa->remote_nat || sa->local_nat || !t ||
	    (ip_endpoint_equal(&sa->remote, remote) && ip_endpoint_equal(&sa->local, local)))
		return;
	/* What arrives on 500 has no marker and no place in an encapsulated SA. */
	if (local->port != IKE_PORT_NATT || !ip_equal(&local->addr, &sa->local.addr))
		return;
	ip_endpoint_format(&sa->remote, from);
	ip_endpoint_format(remote, to);
	sa->local = *local;
	sa->remote = *remote;
	TAILQ_FOREACH(c, &t->children, entry)
	{
		if (c->sa == sa)
			ike_child_moved(c);
	}
	s = ike_event(ike, IKE_HAP_PEER_MOVED, t);
	sb_printf(&s, "from %s to %s", from, to);
	trace(ike->tracer, LOG_LEVEL_INFO, "%s[%016llx] peer-moved: %s -> %s (behind a NAT)",
	      t->cfg.name, (unsigned long long)ike_sa_our_spi(sa), from, to);
}
