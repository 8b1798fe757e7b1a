/* SPDX-License-Identifier: Apache-2.0 */
/* extension: what two ends agree on beside RFC 7296, and what each extension does. */
#ifndef IKE_EXTENSION_H
#define IKE_EXTENSION_H

#include "ike/child.h"
#include "ike/sk.h"

struct ike;
struct ike_sa;
struct ike_tunnel;
struct ike_packet;

#define IKE_COOKIE2_SIZE   16
#define IKE_NAT_HASH_SIZE  20  /* SHA-1 */
#define IKE_QCD_TOKEN_SIZE 16  /* ours */
#define IKE_QCD_TOKEN_MAX  128 /* RFC 6290 4.1: 16 to 128 octets */
#define IKE_QCD_TOKEN_MIN  16

/* Which extensions both ends have. */
struct ike_agreed {
	bool nat_traversal; /* the peer detects NATs */
	bool mobike;        /* RFC 4555 */
	bool redirect;      /* RFC 5685: the peer follows */
	bool childless;     /* RFC 6023: the responder takes IKE_AUTH without a child */
	bool sync;          /* RFC 6311: message ids, outside of the window */
	bool ports_vary;    /* ESP in UDP comes from any source port, both ways */
};

struct ike_mobike {
	struct ip_addr peer[IKE_MAX_ADDRESSES]; /* where else it can be reached */
	uint8_t n_peer;
	bool want_update, want_check;
	unsigned epoch;      /* changes of our idea of the addresses */
	unsigned sent_epoch; /* that the outstanding UPDATE or CHECK is about */
	struct ip_endpoint was_local, was_remote; /* to go back to when the new ones are refused */
	uint8_t cookie[IKE_COOKIE2_SIZE];
	bool has_seen;
	uint8_t seen[IKE_NAT_HASH_SIZE]; /* as what the responder sees us (3.8) */
	struct mono looked;              /* when it has said so for the last time */
};

/* ---- extend.c: extensions, agreed on in the first two exchanges */
void ike_extend_init_request(struct ike_sa *sa, struct ike_builder *b);
void ike_extend_init_response(struct ike_builder *b, size_t room);
void ike_extend_init_seen(struct ike_sa *sa, const struct ike_msg *m);
void ike_extend_auth_build(struct ike_sa *sa, struct ike_builder *b);
void ike_extend_auth_seen(struct ike_sa *sa, const struct ike_packet *p, const struct ike_msg *m);
void ike_extend_established(struct ike_sa *sa);
void ike_extend_inherit(struct ike_sa *sa, const struct ike_sa *old); /* by an IKE rekey */
/* An INFORMATIONAL request of the peer: takes what it says, adds to the answer what that asks for. */
void ike_extend_info_answer(struct ike_sa *sa, const struct ike_packet *p, const struct ike_msg *m,
			    struct ike_builder *b);
/* After the answer; false: the IKE SA is on its way out. */
bool ike_extend_info_answered(struct ike_sa *sa, const struct ike_msg *m);
bool ike_extend_run(struct ike_sa *sa); /* sends what an extension has to say: true if it did */

/* ---- mobike.c: RFC 4555 */
void ike_mobike_build_addresses(struct ike_sa *sa, struct ike_builder *b);
void ike_mobike_learn_addresses(struct ike_sa *sa, const struct ike_packet *p,
				const struct ike_msg *m);
void ike_mobike_established(struct ike_sa *sa);
/* Behind a NAT, and for long nothing was heard of what it makes of us. */
bool ike_mobike_look_due(const struct ike_sa *sa);
void ike_mobike_answer(struct ike_sa *sa, const struct ike_packet *p, const struct ike_msg *m,
		       struct ike_builder *b);
void ike_mobike_response(struct ike_sa *sa, const struct ike_packet *p, const struct ike_msg *m);
bool ike_mobike_run(struct ike_sa *sa);
void ike_mobike_build_dpd(struct ike_sa *sa, struct ike_builder *b);
void ike_mobike_retransmitted(struct ike_sa *sa); /* other paths get a copy */
bool ike_mobike_other_path(const struct ike_sa *sa, const struct ike_packet *p);
void ike_mobike_take_path(struct ike_sa *sa, const struct ike_packet *p);
/* Our address is another one now. False: the SAs cannot move. */
bool ike_mobike_can_move(const struct ike_tunnel *t, const struct ip_addr *local);
void ike_mobike_rehome(struct ike_tunnel *t);
void ike_mobike_resume(struct ike_tunnel *t); /* it may have changed while nobody was here */

/* ---- crash.c: RFC 6290 and what is said outside of any IKE SA */
void ike_crash_build_token(struct ike_sa *sa, struct ike_builder *b);
void ike_crash_keep_token(struct ike_sa *sa, const struct ike_msg *m);
void ike_crash_unknown_spi(struct ike *ike, const struct ike_packet *p, const struct ike_msg *m);
void ike_crash_unprotected(struct ike_sa *sa, const struct ike_packet *p, const struct ike_msg *m);
void ike_crash_invalid_spi(struct ike *ike, const struct ike_packet *p, const struct ike_msg *m);
void ike_crash_unknown_esp(struct ike *ike, const struct ip_endpoint *local,
			   const struct ip_endpoint *remote, uint32_t spi);
void ike_crash_child_unknown(struct ike_sa *sa, const struct ike_msg *m);

/* ---- redirect.c: RFC 5685 */
#define IKE_REDIRECT_MAX (2 + 16 + IKE_NONCE_MAX)
/* REDIRECT's content for who has sent this IKE_SA_INIT request: its size, or 0: it may stay. */
size_t ike_redirect_init(struct ike *ike, const struct ike_packet *p, const struct ike_msg *m,
			 uint8_t data[IKE_REDIRECT_MAX]);
void ike_redirect_build(struct ike_sa *sa, struct ike_builder *b);
void ike_redirect_leave(struct ike_sa *sa);
bool ike_redirect_due(const struct ike_sa *sa); /* the peer is to be sent away */
/* What the peer says; `nonce` for IKE_SA_INIT. True: the tunnel goes elsewhere. */
bool ike_redirect_take(struct ike_sa *sa, const struct ike_msg *m, const struct rd *nonce);
void ike_redirect_build_from(const struct ike_tunnel *t, struct ike_builder *b);
void ike_redirect_keep(struct ike_sa *sa, const struct ike_msg *m); /* until AUTH is checked */
bool ike_redirect_kept(struct ike_sa *sa, const struct ip_addr *to);
void ike_redirect_failed(struct ike_tunnel *t);
void ike_redirect_command(struct ike_tunnel *t, const struct ip_addr *to);

/* ---- reauth.c: authentication that ends (RFC 4478) */
void ike_reauth_begin(struct ike_sa *sa);                              /* established by IKE_AUTH */
void ike_reauth_build(const struct ike_sa *sa, struct ike_builder *b); /* responder */
uint32_t ike_reauth_granted(const struct ike_msg *m);                  /* initiator; 0: nothing */
void ike_reauth_limit(struct ike_sa *sa, uint32_t seconds);
void ike_reauth_due(struct ike_sa *sa);

/* ---- nat.c */
bool ike_nat_hash(struct ike_sa *sa, const struct ip_endpoint *e, uint8_t out[IKE_NAT_HASH_SIZE]);
void ike_nat_build(struct ike_sa *sa, struct ike_builder *b);
void ike_nat_detect(struct ike_sa *sa, const struct ike_packet *p, const struct ike_msg *m);
void ike_nat_float(struct ike_sa *sa); /* initiator: to port 4500 */
void ike_nat_follow(struct ike_sa *sa, const struct ip_endpoint *local,
		    const struct ip_endpoint *remote);

#endif
