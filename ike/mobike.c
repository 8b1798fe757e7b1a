/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mobike: outer addresses that change while the SAs stand (RFC 4555).
 *
 * The initiator of an IKE SA's first exchange decides which pair of addresses is used, through all
 * rekeys (1.3); the other end checks and follows. The IKE SA moves at once, its children when the
 * other end is known to be there: at the initiator with the response to UPDATE_SA_ADDRESSES, at the
 * responder after the return routability check (COOKIE2), so that nobody can turn a tunnel's traffic
 * on a third party.
 *
 * A peer that does not answer is looked for by repeating the request that is outstanding on the other
 * pairs of known addresses; where an answer comes from, there the initiator moves to (3.10).
 *
 * Where both ends have MOBIKE, no endpoint is ever taken from a packet that merely came from there:
 * RFC 7296 2.23's following is off. The initiator watches how the responder sees it, in the NAT
 * detection of its probes, and says so when that changes (3.8).
 */
#include "ike/ike_int.h"

#define LOOK_AGAIN  span_s(180)
#define COOKIE2_MIN 8 /* 4.2.5 */
#define COOKIE2_MAX 64
#define PATHS_MAX   6 /* other pairs that one repetition is sent on */
#define PATHS_AFTER 2 /* transmissions on the pair in use, before others are tried */
#define NO_NATS_V4  12
#define NO_NATS_V6  36

static bool on(const struct ike_sa *sa)
{
	return sa->agreed.mobike && sa->tunnel && !sa->tunnel->removed;
}

static void move_children(struct ike_sa *sa)
{
	struct ike_child *c;

	TAILQ_FOREACH(c, &sa->tunnel->children, entry)
	{
		if (c->sa == sa)
			ike_child_moved(c);
	}
}

static void say_moved(struct ike_sa *sa, enum ike_happening what, const struct ip_endpoint *local,
		      const struct ip_endpoint *remote, const char *why)
{
	char l[IP_ENDPOINT_STRLEN], r[IP_ENDPOINT_STRLEN];
	struct sb s = ike_event(sa->ike, what, sa->tunnel);

	ip_endpoint_format(local, l);
	ip_endpoint_format(remote, r);
	sb_printf(&s, "%s: we at %s, the peer at %s", why, l, r);
	trace(sa->ike->tracer, LOG_LEVEL_INFO, "%s[%016llx] mobike: we at %s, peer at %s (%s)",
	      sa->tunnel->cfg.name, (unsigned long long)ike_sa_our_spi(sa), l, r, why);
}

/* ------------------------------------------------------------------- addresses */

static bool is_local(const struct ike_tunnel_cfg *cfg, const struct ip_addr *a)
{
	for (size_t i = 0; i < cfg->n_more_local; i++) {
		if (ip_equal(&cfg->more_local[i], a))
			return true;
	}
	return ip_equal(&cfg->local, a);
}

/* RFC 4555 3.4: our addresses other than the one that this message comes from. */
void ike_mobike_build_addresses(struct ike_sa *sa, struct ike_builder *b)
{
	const struct ike_tunnel_cfg *cfg = &sa->tunnel->cfg;
	unsigned n = 0;

	for (size_t i = 0; i <= cfg->n_more_local; i++) {
		const struct ip_addr *a = i ? &cfg->more_local[i - 1] : &cfg->local;

		if (ip_equal(a, &sa->local.addr))
			continue;
		ike_build_notify(b, IKE_PROTO_NONE, NULL, 0,
				 a->family == IP_V4 ? IKE_N_ADDITIONAL_IP4_ADDRESS
						    : IKE_N_ADDITIONAL_IP6_ADDRESS,
				 a->b, ip_size(a));
		n++;
	}
	if (n == 0 && sa->state >= IKE_ST_ESTABLISHED)
		ike_build_notify(b, IKE_PROTO_NONE, NULL, 0, IKE_N_NO_ADDITIONAL_ADDRESSES, NULL,
				 0);
}

void ike_mobike_learn_addresses(struct ike_sa *sa, const struct ike_packet *p,
				const struct ike_msg *m)
{
	struct ike_mobike *x = &sa->mobike;
	bool list = ike_msg_notify(m, IKE_N_NO_ADDITIONAL_ADDRESSES) != NULL;
	struct ip_addr fresh[IKE_MAX_ADDRESSES];
	uint8_t n = 0;

	if (!sa->agreed.mobike)
		return;
	for (size_t i = 0; i < m->n_notifies; i++) {
		const struct ike_notify_payload *y = &m->notifies[i];
		const enum ip_family f = y->type == IKE_N_ADDITIONAL_IP4_ADDRESS   ? IP_V4
					 : y->type == IKE_N_ADDITIONAL_IP6_ADDRESS ? IP_V6
										   : IP_NONE;
		struct ip_addr a;

		if (f == IP_NONE || y->data.size != (f == IP_V4 ? 4 : 16))
			continue;
		list = true;
		a = ip_from_bytes(f, y->data.p);
		if (n < IKE_MAX_ADDRESSES && ip_is_unicast(&a) && !is_local(&sa->tunnel->cfg, &a))
			fresh[n++] = a;
	}
	if (!list)
		return; /* 3.6: nothing is said of them */
	memcpy(x->peer, fresh, n * sizeof(fresh[0]));
	x->n_peer = n;
	/* What it said it from is one of them as well. */
	if (n < IKE_MAX_ADDRESSES && !ip_equal(&p->remote.addr, &sa->remote.addr))
		x->peer[x->n_peer++] = sa->remote.addr;
}

static bool is_remote(const struct ike_sa *sa, const struct ip_addr *a)
{
	for (uint8_t i = 0; i < sa->mobike.n_peer; i++) {
		if (ip_equal(&sa->mobike.peer[i], a))
			return true;
	}
	return ip_equal(&sa->remote.addr, a) || ip_equal(&sa->tunnel->cfg.remote, a);
}

static const struct ip_addr *local_number(const struct ike_sa *sa, size_t i)
{
	const struct ike_tunnel_cfg *cfg = &sa->tunnel->cfg;

	if (i == 0)
		return &sa->local.addr;
	return i == 1 ? &cfg->local : i - 2 < cfg->n_more_local ? &cfg->more_local[i - 2] : NULL;
}

static const struct ip_addr *remote_number(const struct ike_sa *sa, size_t i)
{
	if (i == 0)
		return &sa->remote.addr;
	return i == 1                      ? &sa->tunnel->cfg.remote
	       : i - 2 < sa->mobike.n_peer ? &sa->mobike.peer[i - 2]
					   : NULL;
}

/* ------------------------------------------------------------------- initiator */

static void want_update(struct ike_sa *sa)
{
	sa->mobike.epoch++;
	sa->mobike.want_update = true;
	sa->mobike.has_seen = false;
	/* 3.5: what is outstanding goes on from the new addresses. */
	if (sa->req.data)
		ike_request_again(sa);
	else
		ike_sa_run(sa);
}

static void move(struct ike_sa *sa, const struct ip_endpoint *local,
		 const struct ip_endpoint *remote, const char *why)
{
	if (!sa->mobike.want_update) {
		sa->mobike.was_local = sa->local;
		sa->mobike.was_remote = sa->remote;
	}
	sa->local = *local;
	sa->remote = *remote;
	say_moved(sa, IKE_HAP_ADDRESS_CHANGED, local, remote, why);
	want_update(sa);
}

static void build_detection(struct ike_sa *sa, struct ike_builder *b)
{
	if (sa->agreed.nat_traversal)
		ike_nat_build(sa, b);
}

static void send_update(struct ike_sa *sa)
{
	struct ike_builder b;
	uint8_t buf[256];

	sa->mobike.want_update = false;
	sa->mobike.sent_epoch = sa->mobike.epoch;
	ike_build_open_inner(&b, buf, sizeof(buf));
	ike_build_notify(&b, IKE_PROTO_NONE, NULL, 0, IKE_N_UPDATE_SA_ADDRESSES, NULL, 0);
	build_detection(sa, &b);
	if (!ike_request_send(sa, IKE_TASK_UPDATE, IKE_INFORMATIONAL, &b, NULL, NULL))
		sa->mobike.want_update = true;
}

/* The hash of where the responder sends to: ours, or what a NAT makes of us. */
static void look_at_mapping(struct ike_sa *sa, const struct ike_msg *m, bool moved)
{
	const struct ike_notify_payload *n = ike_msg_notify(m, IKE_N_NAT_DETECTION_DESTINATION_IP);
	struct ike_mobike *x = &sa->mobike;

	x->looked = sa->ike->now;
	if (!n || n->data.size != IKE_NAT_HASH_SIZE)
		return;
	/* Without a NAT it is known what it must be. */
	if (!x->has_seen && !sa->local_nat && !moved)
		x->has_seen = ike_nat_hash(sa, &sa->local, x->seen);
	if (x->has_seen && memcmp(x->seen, n->data.p, IKE_NAT_HASH_SIZE) != 0 && !moved) {
		say_moved(sa, IKE_HAP_ADDRESS_CHANGED, &sa->local, &sa->remote,
			  "a NAT maps us anew");
		want_update(sa);
		return;
	}
	memcpy(x->seen, n->data.p, IKE_NAT_HASH_SIZE);
	x->has_seen = true;
}

static void refused(struct ike_sa *sa, const char *why)
{
	struct ike_mobike *x = &sa->mobike;
	struct sb s = ike_event(sa->ike, IKE_HAP_ADDRESS_REFUSED, sa->tunnel);
	char l[IP_ENDPOINT_STRLEN];

	sb_printf(&s, "the peer refuses our address %s: %s", ip_endpoint_format(&sa->local, l),
		  why);
	ike_count(sa->ike, IKE_CNT_ADDRESS_REFUSED);
	/* 3.5: it goes on using the former ones; if they are gone for us, it will be found dead. */
	if (x->was_local.addr.family == IP_NONE)
		return;
	sa->local = x->was_local;
	sa->remote = x->was_remote;
	x->has_seen = false;
}

static void updated(struct ike_sa *sa, const struct ike_packet *p, const struct ike_msg *m)
{
	/* 3.5: the addresses changed again: the response is about the past. */
	if (sa->mobike.epoch != sa->mobike.sent_epoch)
		return;
	if (ike_msg_notify(m, IKE_N_UNEXPECTED_NAT_DETECTED)) {
		refused(sa, "it sees a NAT between us");
		return;
	}
	if (ike_msg_notify(m, IKE_N_UNACCEPTABLE_ADDRESSES)) {
		refused(sa, "its policy does not allow it");
		return;
	}
	ike_count(sa->ike, IKE_CNT_ADDRESS_UPDATED);
	ike_nat_detect(sa, p, m);
	look_at_mapping(sa, m, true);
	move_children(sa);
	ike_timer_sent(sa);
}

/*
 * While ESP arrives no probe is needed to know that the peer lives; but that a NAT has gone shows in none
 * of it, and encapsulation would stay for ever (RFC 4555 3.8: the initiator may test it at any time).
 */
bool ike_mobike_look_due(const struct ike_sa *sa)
{
	return on(sa) && sa->origin_initiator && sa->local_nat && sa->agreed.nat_traversal &&
	       sa->state == IKE_ST_ESTABLISHED && !sa->req.data &&
	       mono_reached(sa->ike->now, mono_add(sa->mobike.looked, LOOK_AGAIN));
}

void ike_mobike_established(struct ike_sa *sa)
{
	/* 3.8: behind a NAT we must know what it makes of us, to notice that it changes. */
	if (on(sa) && sa->origin_initiator && sa->local_nat)
		sa->want_dpd = true;
}

void ike_mobike_build_dpd(struct ike_sa *sa, struct ike_builder *b)
{
	if (on(sa) && sa->origin_initiator)
		build_detection(sa, b);
}

/* 3.10: the request that is outstanding finds out which of the other pairs works. */
void ike_mobike_retransmitted(struct ike_sa *sa)
{
	const struct ip_addr *l, *r;
	unsigned n = 0;

	/* What goes in fragments is not for trying out. */
	if (!on(sa) || !sa->origin_initiator || sa->req.n_sent <= PATHS_AFTER ||
	    sa->req.data->size > sa->req.data->part)
		return;
	for (size_t i = 0; (l = local_number(sa, i)); i++) {
		for (size_t k = 0; (r = remote_number(sa, k)); k++) {
			const struct ip_endpoint from = {*l, sa->local.port};
			const struct ip_endpoint to = {*r, sa->remote.port};

			/* Number 0 is the one in use; number 1 may be the same. */
			if ((ip_equal(l, &sa->local.addr) && ip_equal(r, &sa->remote.addr)) ||
			    (i == 1 && ip_equal(l, &sa->local.addr)) ||
			    (k == 1 && ip_equal(r, &sa->remote.addr)) || l->family != r->family ||
			    n == PATHS_MAX)
				continue;
			ike_send(sa->ike, sa->tunnel->cfg.tunnel, &from, &to, sa->req.data->bytes,
				 sa->req.data->size);
			n++;
		}
	}
}

/* The first answer on another pair says which one works. */
bool ike_mobike_other_path(const struct ike_sa *sa, const struct ike_packet *p)
{
	if (!on(sa) || !sa->origin_initiator || sa->state != IKE_ST_ESTABLISHED ||
	    sa->req.n_sent <= PATHS_AFTER)
		return false;
	/* Anybody can repeat the peer's answer from anywhere: only addresses that it named itself. */
	return (!ip_equal(&p->local.addr, &sa->local.addr) ||
		!ip_equal(&p->remote.addr, &sa->remote.addr)) &&
	       is_local(&sa->tunnel->cfg, &p->local.addr) && is_remote(sa, &p->remote.addr);
}

void ike_mobike_take_path(struct ike_sa *sa, const struct ike_packet *p)
{
	move(sa, &p->local, &p->remote, "the path in use does not answer");
}

bool ike_mobike_can_move(const struct ike_tunnel *t, const struct ip_addr *local)
{
	const struct ike_sa *sa;
	bool any = false;

	TAILQ_FOREACH(sa, &t->sas, entry)
	{
		if (sa->state > IKE_ST_ESTABLISHED)
			continue;
		if (sa->state != IKE_ST_ESTABLISHED || !sa->agreed.mobike ||
		    sa->remote.addr.family != local->family)
			return false;
		any = true;
	}
	return any;
}

/* The configuration, or the system, says that our address is another one. */
void ike_mobike_rehome(struct ike_tunnel *t)
{
	struct ike_sa *sa;

	TAILQ_FOREACH(sa, &t->sas, entry)
	{
		struct ip_endpoint local = {t->cfg.local, sa->local.port};

		if (ip_equal(&sa->local.addr, &t->cfg.local))
			continue;
		if (sa->state != IKE_ST_ESTABLISHED) {
			sa->local = local; /* the Delete that is outstanding */
			continue;
		}
		if (sa->origin_initiator) {
			move(sa, &local, &sa->remote, "our address changed");
			continue;
		}
		/* 3.5: the responder whose address goes may use another one, and tells (3.6). */
		sa->local = local;
		say_moved(sa, IKE_HAP_ADDRESS_CHANGED, &sa->local, &sa->remote,
			  "our address changed");
		move_children(sa);
		sa->want_notice = sa->notice_addresses = true;
		if (sa->req.data)
			ike_request_again(sa);
		else
			ike_sa_run(sa);
	}
}

void ike_mobike_resume(struct ike_tunnel *t)
{
	const struct ike_sa *sa;

	TAILQ_FOREACH(sa, &t->sas, entry)
	{
		if (!is_local(&t->cfg, &sa->local.addr)) {
			ike_mobike_rehome(t);
			return;
		}
	}
}

/* ------------------------------------------------------------------- responder */

static void send_check(struct ike_sa *sa)
{
	struct ike_mobike *x = &sa->mobike;
	struct ike_builder b;
	uint8_t buf[64];

	if (!ike_random(sa->ike, x->cookie, sizeof(x->cookie)))
		return;
	x->want_check = false;
	x->sent_epoch = x->epoch;
	ike_build_open_inner(&b, buf, sizeof(buf));
	ike_build_notify(&b, IKE_PROTO_NONE, NULL, 0, IKE_N_COOKIE2, x->cookie, sizeof(x->cookie));
	if (!ike_request_send(sa, IKE_TASK_CHECK, IKE_INFORMATIONAL, &b, NULL, NULL))
		x->want_check = true;
}

static void checked(struct ike_sa *sa, const struct ike_packet *p, const struct ike_msg *m)
{
	const struct ike_notify_payload *n = ike_msg_notify(m, IKE_N_COOKIE2);
	struct ike_mobike *x = &sa->mobike;

	/* RFC 4555 3.7: a peer that answers without having read the question. */
	if (!n || n->data.size != sizeof(x->cookie) ||
	    !bytes_equal_ct(n->data.p, x->cookie, sizeof(x->cookie))) {
		ike_count(sa->ike, IKE_CNT_RX_COOKIE2);
		ike_sa_close(sa, "mobike", "wrong answer to the return routability check");
		return;
	}
	/* Another move since, or an answer from elsewhere, proves nothing about this address. */
	if (x->epoch != x->sent_epoch || !ip_equal(&p->remote.addr, &sa->remote.addr)) {
		x->want_check = true;
		return;
	}
	move_children(sa);
}

/* RFC 4555 3.9: the addresses as the sender wrote them. True: they are those of the IP header. */
static bool no_nats(const struct ike_packet *p, const struct rd *data)
{
	struct rd r = *data;
	const size_t n = ip_size(&p->remote.addr);
	const uint8_t *src, *dst;
	uint16_t src_port, dst_port;

	return (r.size == NO_NATS_V4 || r.size == NO_NATS_V6) && r.size == 2 * n + 4 &&
	       rd_bytes(&r, n, &src) && rd_bytes(&r, n, &dst) && rd_u16(&r, &src_port) &&
	       rd_u16(&r, &dst_port) && !memcmp(src, p->remote.addr.b, n) &&
	       !memcmp(dst, p->local.addr.b, n) && src_port == p->remote.port &&
	       dst_port == p->local.port;
}

static bool acceptable(const struct ike_sa *sa, const struct ike_packet *p)
{
	return is_local(&sa->tunnel->cfg, &p->local.addr) && ip_is_unicast(&p->remote.addr) &&
	       !is_local(&sa->tunnel->cfg, &p->remote.addr);
}

static void refuse(struct ike_sa *sa, struct ike_builder *b, uint16_t notify, const char *why)
{
	struct sb s = ike_event(sa->ike, IKE_HAP_ADDRESS_REFUSED, sa->tunnel);

	ike_count(sa->ike, IKE_CNT_ADDRESS_REFUSED);
	sb_str(&s, why);
	ike_build_notify(b, IKE_PROTO_NONE, NULL, 0, notify, NULL, 0);
}

static void take_update(struct ike_sa *sa, const struct ike_packet *p, const struct ike_msg *m,
			struct ike_builder *b)
{
	const bool elsewhere = !ip_equal(&sa->remote.addr, &p->remote.addr);
	const bool same = ip_endpoint_equal(&sa->remote, &p->remote) &&
			  ip_endpoint_equal(&sa->local, &p->local);

	if (!acceptable(sa, p)) {
		refuse(sa, b, IKE_N_UNACCEPTABLE_ADDRESSES,
		       "the peer moved to an address pair that this tunnel does not have: is it "
		       "one of its local addresses?");
		return;
	}
	sa->local = p->local;
	sa->remote = p->remote;
	sa->mobike.epoch++;
	ike_nat_detect(sa, p, m);
	if (sa->local.port != IKE_PORT_NATT)
		sa->natt = false; /* nothing can be encapsulated there */
	ike_count(sa->ike, IKE_CNT_ADDRESS_UPDATED);
	if (!same)
		say_moved(sa, IKE_HAP_PEER_MOVED, &sa->local, &sa->remote, "the peer moved");
	/* 3.7: to another port of a host that is known to be there, at once. */
	if (elsewhere)
		sa->mobike.want_check = true;
	else if (!sa->mobike.want_check)
		move_children(sa);
	if (elsewhere && sa->req.data)
		ike_request_again(sa);
}

void ike_mobike_answer(struct ike_sa *sa, const struct ike_packet *p, const struct ike_msg *m,
		       struct ike_builder *b)
{
	const struct ike_notify_payload *cookie = ike_msg_notify(m, IKE_N_COOKIE2);
	const struct ike_notify_payload *no_nat = ike_msg_notify(m, IKE_N_NO_NATS_ALLOWED);
	const bool update = ike_msg_notify(m, IKE_N_UPDATE_SA_ADDRESSES) != NULL;
	const bool detect = ike_msg_notify(m, IKE_N_NAT_DETECTION_SOURCE_IP) != NULL;
	struct ip_endpoint was_local = sa->local, was_remote = sa->remote;

	if (!on(sa) || sa->state != IKE_ST_ESTABLISHED) {
		if (update)
			ike_count(sa->ike, IKE_CNT_RX_STATE);
		return;
	}
	if (cookie && cookie->data.size >= COOKIE2_MIN && cookie->data.size <= COOKIE2_MAX)
		ike_build_notify(b, IKE_PROTO_NONE, NULL, 0, IKE_N_COOKIE2, cookie->data.p,
				 cookie->data.size);
	if (no_nat && !no_nats(p, &no_nat->data)) {
		refuse(sa, b, IKE_N_UNEXPECTED_NAT_DETECTED,
		       "the peer allows no NAT, and its addresses were translated");
		return;
	}
	if (update && sa->origin_initiator)
		ike_count(sa->ike, IKE_CNT_RX_STATE); /* 3.5: only the initiator decides */
	else if (update)
		take_update(sa, p, m, b);
	if (detect && sa->agreed.nat_traversal) {
		/* How we see the sender of this very message, wherever the SA is. */
		was_local = sa->local;
		was_remote = sa->remote;
		sa->local = p->local;
		sa->remote = p->remote;
		ike_nat_build(sa, b);
		sa->local = was_local;
		sa->remote = was_remote;
	}
	ike_mobike_learn_addresses(sa, p, m);
	/*
	 * 3.6: the responder speaks from an address that is new: it wants to be reached there. The
	 * children follow only when it answers there.
	 */
	if (sa->origin_initiator && ip_is_unicast(&p->remote.addr) &&
	    !ip_equal(&p->remote.addr, &sa->remote.addr) &&
	    (ike_msg_notify(m, IKE_N_ADDITIONAL_IP4_ADDRESS) ||
	     ike_msg_notify(m, IKE_N_ADDITIONAL_IP6_ADDRESS) ||
	     ike_msg_notify(m, IKE_N_NO_ADDITIONAL_ADDRESSES)))
		move(sa, &p->local, &p->remote, "the peer's address changed");
}

/* ------------------------------------------------------------------------ both */

void ike_mobike_response(struct ike_sa *sa, const struct ike_packet *p, const struct ike_msg *m)
{
	if (!on(sa) || sa->state != IKE_ST_ESTABLISHED)
		return;
	if (sa->req.task == IKE_TASK_UPDATE)
		updated(sa, p, m);
	else if (sa->req.task == IKE_TASK_CHECK)
		checked(sa, p, m);
	else if (sa->req.task == IKE_TASK_DPD && sa->origin_initiator)
		look_at_mapping(sa, m, false);
}

bool ike_mobike_run(struct ike_sa *sa)
{
	if (!on(sa))
		return false;
	if (sa->mobike.want_update)
		send_update(sa);
	else if (sa->mobike.want_check)
		send_check(sa);
	return sa->req.data != NULL;
}
