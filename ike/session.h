/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session: what goes from one IKE SA to the next without a new proof (RFC 5723).
 *
 * The responder seals it into a ticket, by value, under a key that only its process has and that is
 * changed every few hours, and keeps nothing but two numbers for each tunnel: a ticket is good as long as
 * its serial number is above the tunnel's floor. The floor rises to the newest ticket when the tunnel's
 * configuration changes, when keys, trust or revocations may have changed, and when the IKE SA is
 * deleted; and to a ticket's own number when an IKE SA is established by it. The initiator keeps its
 * ticket with the IKE SA, and with the tunnel when that has ended without a Delete.
 */
#ifndef IKE_SESSION_H
#define IKE_SESSION_H

#include "base/mono.h"
#include "base/rd.h"
#include "base/secret.h"
#include "ike/ike.h"
#include "ike/msg.h"

struct ike_sa;
struct ike_tunnel;
struct ike_packet;

#define IKE_TICKET_MAX 1024 /* bytes of a ticket that we keep for a peer */

struct ike_session {
	struct mono until;      /* the ticket's end; before auth_until */
	struct mono auth_until; /* the end of what the peer was believed for */
	struct ike_suite suite;
	uint8_t auth_local, auth_remote; /* enum ike_auth_alg, as its holder sees it */
	bool ppk;
	struct ike_id idi, idr;
	struct secret *d; /* SK_d of the IKE SA that the ticket was granted on */
	/* Responder. */
	uint32_t tunnel;
	uint64_t serial;
	/* Initiator. */
	uint8_t ticket[IKE_TICKET_MAX];
	size_t ticket_size;
};

/* ---- ticket.c: sealing, granting, keeping */
void ike_session_free(struct ike_session *s); /* NULL is fine */
/* Responder: the answer to TICKET_REQUEST, for the SA's keys as they are. */
void ike_ticket_answer(struct ike_sa *sa, struct ike_builder *b);
/* The session that a ticket of ours holds, or NULL: it is not good, or not any more. */
struct ike_session *ike_ticket_open(struct ike *ike, const struct ike_packet *p, struct rd ticket);
void ike_ticket_used(struct ike_tunnel *t, const struct ike_session *s);
/* Neither side's tickets from before are good any more. */
void ike_ticket_void(struct ike_tunnel *t);
void ike_ticket_void_all(struct ike *ike);
void ike_ticket_deleted(struct ike_sa *sa); /* by either end: RFC 5723 6.2 */
void ike_ticket_fini(struct ike *ike);
/* Initiator. */
bool ike_ticket_wanted(const struct ike_sa *sa);
void ike_ticket_take(struct ike_sa *sa, const struct ike_msg *m);
void ike_ticket_established(struct ike_sa *sa); /* the keys and proofs are final */
void ike_ticket_keep(struct ike_sa *sa);        /* the SA ends, and the peer did not say so */
void ike_ticket_inherit(struct ike_sa *from, struct ike_sa *to);

/* ---- exchange_session_resume.c */
bool ike_session_usable(struct ike_tunnel *t);
bool ike_session_start(struct ike_tunnel *t);
void ike_session_silent(struct ike_sa *sa);
void ike_session_response(struct ike_sa *sa, const struct ike_packet *p, const struct ike_msg *m);
void ike_session_request(struct ike *ike, const struct ike_packet *p, const struct ike_msg *m);
/* RFC 5723 4.3.3: AUTH = prf(SK_px, octets). */
bool ike_session_auth(struct ike_sa *sa, bool initiators, struct rd id_body,
		      uint8_t out[IKE_PRF_MAX]);
bool ike_session_verify(struct ike_sa *sa, const struct ike_msg *m);
struct ike_tunnel *ike_session_identify(struct ike_sa *sa, const struct ike_msg *m, struct sb *why);

#endif
