/* SPDX-License-Identifier: Apache-2.0 */
/*
 * extend: extensions of IKEv2 that two ends agree on in their first exchanges, and where each has its
 * say in an INFORMATIONAL exchange. What an extension then does stands in a file of its own.
 *
 * Flags that IKE_SA_INIT sets are not authenticated when they are set; they are covered by AUTH, and
 * no extension acts before that was checked.
 */
#include "ike/ike_int.h"

#define NOTICE_SIZE 512
#define FLAG_SIZE   8 /* of a notify without data */

static void flag(struct ike_builder *b, uint16_t type)
{
	ike_build_notify(b, IKE_PROTO_NONE, NULL, 0, type, NULL, 0);
}

/* ----------------------------------------------------------------- IKE_SA_INIT */

void ike_extend_init_request(struct ike_sa *sa, struct ike_builder *b)
{
	/* Room for the responder's, and no harm. */
	if (sa->tunnel->cfg.childless)
		flag(b, IKE_N_CHILDLESS_IKEV2_SUPPORTED);
	/* RFC 5685 3: who follows says so; 9.3: and by whom it was sent here. */
	if (!sa->tunnel->cfg.redirect)
		return;
	if (sa->tunnel->redirected_from.family != IP_NONE)
		ike_redirect_build_from(sa->tunnel, b);
	else
		flag(b, IKE_N_REDIRECT_SUPPORTED);
}

/* RFC 6023 3. Only where it makes no answer longer than its question, to whoever asked. */
void ike_extend_init_response(struct ike_builder *b, size_t room)
{
	if (b->w.n + FLAG_SIZE <= room)
		flag(b, IKE_N_CHILDLESS_IKEV2_SUPPORTED);
}

void ike_extend_init_seen(struct ike_sa *sa, const struct ike_msg *m)
{
	struct ike_agreed *a = &sa->agreed;

	a->nat_traversal = ike_msg_notify(m, IKE_N_NAT_DETECTION_SOURCE_IP) &&
			   ike_msg_notify(m, IKE_N_NAT_DETECTION_DESTINATION_IP);
	if (sa->initiator)
		a->childless = ike_msg_notify(m, IKE_N_CHILDLESS_IKEV2_SUPPORTED) != NULL;
	else /* RFC 5685 3: REDIRECTED_FROM says it as well */
		a->redirect = ike_msg_notify(m, IKE_N_REDIRECT_SUPPORTED) ||
			      ike_msg_notify(m, IKE_N_REDIRECTED_FROM);
}

/* -------------------------------------------------------------------- IKE_AUTH */

/* What says that it is ours: the number may mean something else to others. */
static const uint8_t ports_vary[] = "Twinbore: ESP from any UDP port";

/*
 * RFC 3948 2.1 has ESP come from IKE's port, and RFC 7296 2.23 makes another one a move: so both ends have to
 * want it, and who knows to be behind a NAT, which has a mapping for one port, does not.
 */
static bool ports_may_vary(const struct ike_sa *sa)
{
	return sa->tunnel->cfg.ports_vary && sa->natt && !sa->local_nat;
}

static bool says_ports_vary(const struct ike_msg *m)
{
	const struct ike_notify_payload *n = ike_msg_notify(m, IKE_N_UDP_PORTS_VARY);

	return n && n->data.size == sizeof(ports_vary) &&
	       memcmp(n->data.p, ports_vary, sizeof(ports_vary)) == 0;
}

void ike_extend_auth_build(struct ike_sa *sa, struct ike_builder *b)
{
	/* RFC 4555 3.1: the responder only in answer to the initiator's. */
	if (sa->tunnel->cfg.mobike && (sa->initiator || sa->agreed.mobike)) {
		flag(b, IKE_N_MOBIKE_SUPPORTED);
		ike_mobike_build_addresses(sa, b);
	}
	if (sa->initiator ? ports_may_vary(sa) : sa->agreed.ports_vary)
		ike_build_notify(b, IKE_PROTO_NONE, NULL, 0, IKE_N_UDP_PORTS_VARY, ports_vary,
				 sizeof(ports_vary));
	ike_crash_build_token(sa, b);
	/* RFC 5723 4.1 */
	if (sa->initiator && ike_ticket_wanted(sa))
		flag(b, IKE_N_TICKET_REQUEST);
	else if (!sa->initiator && sa->hs->ticket_asked && !ike_redirect_due(sa))
		ike_ticket_answer(sa, b);
	/* RFC 6311 6.1: likewise. */
	if (sa->initiator || sa->agreed.sync)
		flag(b, IKE_N_IKEV2_MESSAGE_ID_SYNC_SUPPORTED);
	if (!sa->initiator && ike_redirect_due(sa))
		ike_redirect_build(sa, b);
}

/* Before AUTH is checked: an SA that fails that takes with it what it learnt here. */
void ike_extend_auth_seen(struct ike_sa *sa, const struct ike_packet *p, const struct ike_msg *m)
{
	sa->agreed.mobike = sa->tunnel->cfg.mobike && ike_msg_notify(m, IKE_N_MOBIKE_SUPPORTED);
	sa->agreed.ports_vary = ports_may_vary(sa) && says_ports_vary(m);
	sa->agreed.sync = ike_msg_notify(m, IKE_N_IKEV2_MESSAGE_ID_SYNC_SUPPORTED) != NULL;
	ike_mobike_learn_addresses(sa, p, m);
	ike_crash_keep_token(sa, m);
	sa->hs->ticket_asked = ike_msg_notify(m, IKE_N_TICKET_REQUEST) != NULL;
	if (sa->initiator)
		ike_ticket_take(sa, m);
}

void ike_extend_established(struct ike_sa *sa)
{
	ike_mobike_established(sa);
	ike_ticket_established(sa);
	if (sa->redirected)
		ike_redirect_leave(sa);
}

void ike_extend_inherit(struct ike_sa *sa, const struct ike_sa *old)
{
	sa->agreed = old->agreed;
	sa->mobike = old->mobike;
	/* NAT detection covers the SPIs, and what was outstanding was the old SA's. */
	sa->mobike.has_seen = false;
	sa->mobike.want_update |= old->req.data && old->req.task == IKE_TASK_UPDATE;
	sa->mobike.want_check |= old->req.data && old->req.task == IKE_TASK_CHECK;
	sa->notice_addresses = old->notice_addresses;
	sa->notice_redirect = old->notice_redirect;
	/* RFC 6290 4.3: its SPIs are others, so is its token. Only for who has shown to know it. */
	sa->notice_token = old->qcd_size != 0;
	/* What the old ticket is for ends no sooner, but no later either. */
	sa->notice_ticket = old->tunnel->cfg.resumption && old->origin_initiator;
	sa->want_notice = sa->notice_addresses || sa->notice_redirect || sa->notice_token ||
			  sa->notice_ticket;
}

/* --------------------------------------------------------------- INFORMATIONAL */

void ike_extend_info_answer(struct ike_sa *sa, const struct ike_packet *p, const struct ike_msg *m,
			    struct ike_builder *b)
{
	ike_mobike_answer(sa, p, m, b);
	ike_crash_keep_token(sa, m); /* RFC 6290 4.4 */
	if (ike_msg_notify(m, IKE_N_TICKET_REQUEST))
		ike_ticket_answer(sa, b);
	ike_crash_child_unknown(sa, m);
}

bool ike_extend_info_answered(struct ike_sa *sa, const struct ike_msg *m)
{
	/* RFC 5685 5: an established session is sent away: answered first, then left. */
	if (!sa->origin_initiator || !ike_redirect_take(sa, m, NULL))
		return true;
	if (sa->state == IKE_ST_ESTABLISHED)
		sa->tunnel->wanted = true; /* there, whoever began it here */
	ike_sa_delete(sa, "redirected by the peer");
	return false;
}

static void send_notice(struct ike_sa *sa)
{
	struct ike_builder b;
	uint8_t buf[NOTICE_SIZE];

	ike_build_open_inner(&b, buf, sizeof(buf));
	if (sa->notice_addresses)
		ike_mobike_build_addresses(sa, &b);
	if (sa->notice_token)
		ike_crash_build_token(sa, &b);
	if (sa->notice_redirect && ike_redirect_due(sa))
		ike_redirect_build(sa, &b);
	if (sa->notice_ticket && ike_ticket_wanted(sa))
		flag(&b, IKE_N_TICKET_REQUEST);
	if (sa->invalid_spi) {
		uint8_t spi[IKE_ESP_SPI_SIZE];
		struct wr w = wr_of(spi, sizeof(spi));

		wr_u32(&w, sa->invalid_spi);
		ike_build_notify(&b, IKE_PROTO_NONE, NULL, 0, IKE_N_INVALID_SPI, spi, sizeof(spi));
	}
	sa->want_notice = sa->notice_addresses = sa->notice_token = sa->notice_redirect =
		sa->notice_ticket = false;
	sa->invalid_spi = 0;
	ike_request_send(sa, IKE_TASK_NOTICE, IKE_INFORMATIONAL, &b, NULL, NULL);
}

bool ike_extend_run(struct ike_sa *sa)
{
	if (ike_mobike_run(sa))
		return true;
	if (!sa->want_notice)
		return false;
	send_notice(sa);
	return sa->req.data != NULL;
}
