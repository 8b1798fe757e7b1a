/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redirect: a peer is sent to another gateway (RFC 5685).
 *
 * The responder of a tunnel may send its peer away, for maintenance say: at once over the IKE SA that
 * stands, and later whenever the peer has shown in IKE_AUTH who it is; already in IKE_SA_INIT, and
 * without any state, if every tunnel that its addresses could mean is sent to the same place.
 *
 * The initiator follows only if its configuration says so, only to an address of the family that it
 * uses, and not in circles: after MAX_REDIRECTS within REDIRECT_LOOP_DETECT_PERIOD it stays where it
 * is (RFC 5685 7). In IKE_SA_INIT the answer must carry our nonce. A name is not looked up: this process
 * cannot resolve, and a resolver's word is not the peer's. What does not answer there is left for
 * the configured gateway again.
 */
#include "ike/ike_int.h"

#define MAX_REDIRECTS               5
#define REDIRECT_LOOP_DETECT_PERIOD span_s(300)
#define LEAVE_WITHIN                span_s(30)
#define MAX_CANDIDATES              64 /* tunnels of one pair of addresses that are asked */

enum gw_ident { /* RFC 5685 9.2 */
		GW_IPV4 = 1,
		GW_IPV6 = 2,
		GW_FQDN = 3,
};

/* ------------------------------------------------------------------- responder */

bool ike_redirect_due(const struct ike_sa *sa)
{
	return sa->agreed.redirect && !sa->origin_initiator && sa->tunnel &&
	       sa->tunnel->redirect_to.family != IP_NONE;
}

/* RFC 5685 9.2, 9.3. Bytes written. */
static size_t write_gateway(const struct ip_addr *a, uint8_t data[2 + 16])
{
	struct wr w = wr_of(data, 2 + 16);

	wr_u8(&w, a->family == IP_V4 ? GW_IPV4 : GW_IPV6);
	wr_u8(&w, (uint8_t)ip_size(a));
	wr_bytes(&w, a->b, ip_size(a));
	return w.n;
}

static void build(struct ike_builder *b, uint16_t type, const struct ip_addr *a)
{
	uint8_t data[2 + 16];
	const size_t n = write_gateway(a, data);

	ike_build_notify(b, IKE_PROTO_NONE, NULL, 0, type, data, n);
}

/* RFC 5685 5: the client ends the SA; if it does not, we do. */
void ike_redirect_leave(struct ike_sa *sa)
{
	ike_timer_redirected(sa, LEAVE_WITHIN);
}

void ike_redirect_build(struct ike_sa *sa, struct ike_builder *b)
{
	build(b, IKE_N_REDIRECT, &sa->tunnel->redirect_to);
	ike_redirect_leave(sa);
}

void ike_redirect_command(struct ike_tunnel *t, const struct ip_addr *to)
{
	char text[IP_ADDR_STRLEN];
	struct ike_sa *sa = ike_tunnel_sa(t);
	struct sb s;

	t->redirect_to = *to;
	if (to->family == IP_NONE)
		return;
	s = ike_event(t->ike, IKE_HAP_REDIRECTED, t);
	sb_printf(&s, "its peer is to go to %s", ip_format(to, text));
	if (!sa)
		return;
	if (!ike_redirect_due(sa)) {
		sb_str(&s, sa->origin_initiator
				   ? ", but we are the initiator: change remote_address instead"
				   : ", but it does not support redirection");
		return;
	}
	sa->want_notice = sa->notice_redirect = true;
	ike_sa_run(sa);
}

/* Where all tunnels of these addresses are sent; NULL: one of them is not, or elsewhere. */
static const struct ip_addr *common_gateway(struct ike *ike, const struct ike_packet *p)
{
	const struct ip_addr *to = NULL;
	struct ike_tunnel *t = NULL;
	unsigned n = 0;

	while ((t = ike_tunnel_next_by_addresses(ike, &p->local.addr, &p->remote.addr, t))) {
		if (t->redirect_to.family == IP_NONE || n++ == MAX_CANDIDATES ||
		    ip_equal(&t->redirect_to, &p->local.addr) ||
		    (to && !ip_equal(to, &t->redirect_to)))
			return NULL;
		to = &t->redirect_to;
	}
	return to;
}

size_t ike_redirect_init(struct ike *ike, const struct ike_packet *p, const struct ike_msg *m,
			 uint8_t data[IKE_REDIRECT_MAX])
{
	const struct ike_notify_payload *from = ike_msg_notify(m, IKE_N_REDIRECTED_FROM);
	const struct ip_addr *to = common_gateway(ike, p);
	uint8_t gateway[2 + 16];
	struct wr w = wr_of(data, IKE_REDIRECT_MAX);
	size_t n;

	/* RFC 5685 3: only who says that it follows. */
	if (!to || (!from && !ike_msg_notify(m, IKE_N_REDIRECT_SUPPORTED)))
		return 0;
	n = write_gateway(to, gateway);
	/* Who was sent here from there would be back at once: IKE_AUTH has the last word. */
	if (from && from->data.size == n && !memcmp(from->data.p, gateway, n))
		return 0;
	wr_bytes(&w, gateway, n);
	/* RFC 5685 3: the nonce of the request, for nobody else has seen it. */
	wr_bytes(&w, m->nonce.p, m->nonce.size);
	return wr_ok(&w) ? w.n : 0;
}

/* ------------------------------------------------------------------- initiator */

void ike_redirect_build_from(const struct ike_tunnel *t, struct ike_builder *b)
{
	build(b, IKE_N_REDIRECTED_FROM, &t->redirected_from);
}

static bool no(struct ike_sa *sa, bool proven, const char *why)
{
	struct sb s;

	ike_count(sa->ike, IKE_CNT_RX_REDIRECT);
	if (!proven && !ike_may_complain(sa->ike))
		return false;
	s = ike_event(sa->ike, IKE_HAP_REDIRECT_REFUSED, sa->tunnel);
	sb_printf(&s, "the peer sends us to another gateway: %s", why);
	return false;
}

/* The gateway that a REDIRECT names, if we may go there. `nonce`: what it must repeat, or NULL. */
static bool gateway_of(struct ike_sa *sa, const struct ike_notify_payload *n,
		       const struct rd *nonce, struct ip_addr *out)
{
	const struct ike_tunnel_cfg *cfg = &sa->tunnel->cfg;
	const bool proven = nonce == NULL;
	struct rd r = n->data;
	const uint8_t *id, *echo;
	uint8_t type, size;

	if (!rd_u8(&r, &type) || !rd_u8(&r, &size) || !rd_bytes(&r, size, &id) ||
	    (type == GW_IPV4 && size != 4) || (type == GW_IPV6 && size != 16)) {
		ike_count(sa->ike, IKE_CNT_RX_PAYLOAD);
		return false;
	}
	/* RFC 5685 3: without our nonce it comes from somebody who has not seen our request. */
	if (nonce && (r.size != nonce->size || !rd_bytes(&r, nonce->size, &echo) ||
		      memcmp(echo, nonce->p, nonce->size) != 0)) {
		ike_count(sa->ike, IKE_CNT_RX_REDIRECT);
		return false;
	}
	if (!cfg->redirect)
		return no(sa, proven, "not followed, because 'redirect' is not set");
	if (type != GW_IPV4 && type != GW_IPV6)
		return no(sa, proven,
			  type == GW_FQDN ? "by name, and names are not looked up: it must name an "
					    "address"
					  : "of a kind that we do not know");
	*out = ip_from_bytes(type == GW_IPV4 ? IP_V4 : IP_V6, id);
	if (out->family != cfg->local.family || !ip_is_unicast(out) || ip_equal(out, &cfg->local))
		return no(sa, proven, "the address cannot be used from here");
	if (ip_equal(out, &sa->remote.addr))
		return no(sa, proven, "to itself");
	return true;
}

/* RFC 5685 7: not for ever. */
static bool count_in(struct ike_tunnel *t)
{
	const struct mono now = t->ike->now;

	if (t->n_redirects == 0 ||
	    mono_since(now, t->redirects_since).ns > REDIRECT_LOOP_DETECT_PERIOD.ns) {
		t->n_redirects = 0;
		t->redirects_since = now;
	}
	return t->n_redirects++ < MAX_REDIRECTS;
}

static bool go(struct ike_sa *sa, const struct ip_addr *to, bool proven)
{
	struct ike_tunnel *t = sa->tunnel;
	char text[IP_ADDR_STRLEN];
	struct sb s;

	if (!count_in(t))
		return no(sa, proven, "too often: the gateways send us in circles");
	t->redirected_from = sa->remote.addr;
	t->gateway = *to;
	t->not_before = t->ike->now;
	ike_count(sa->ike, IKE_CNT_REDIRECTED);
	s = ike_event(sa->ike, IKE_HAP_REDIRECTED, t);
	sb_printf(&s, "the peer sends us to %s", ip_format(to, text));
	trace(sa->ike->tracer, LOG_LEVEL_INFO, "%s[%016llx] redirect: to %s", t->cfg.name,
	      (unsigned long long)ike_sa_our_spi(sa), text);
	return true;
}

bool ike_redirect_take(struct ike_sa *sa, const struct ike_msg *m, const struct rd *nonce)
{
	const struct ike_notify_payload *n = ike_msg_notify(m, IKE_N_REDIRECT);
	struct ip_addr to;

	return n && gateway_of(sa, n, nonce, &to) && go(sa, &to, nonce == NULL);
}

/* IKE_AUTH says it before its AUTH is checked: kept until then. */
void ike_redirect_keep(struct ike_sa *sa, const struct ike_msg *m)
{
	const struct ike_notify_payload *n = ike_msg_notify(m, IKE_N_REDIRECT);
	struct ip_addr to;

	if (n && gateway_of(sa, n, NULL, &to))
		sa->hs->redirect_to = to;
}

bool ike_redirect_kept(struct ike_sa *sa, const struct ip_addr *to)
{
	return to->family != IP_NONE && go(sa, to, true);
}

void ike_redirect_failed(struct ike_tunnel *t)
{
	t->gateway = t->redirected_from = (struct ip_addr){0};
}
