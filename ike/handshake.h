/* SPDX-License-Identifier: Apache-2.0 */
/* handshake: the first exchanges, from a stranger to a peer that is believed. */
#ifndef IKE_HANDSHAKE_H
#define IKE_HANDSHAKE_H

#include "base/mac.h"
#include "ike/child.h"
#include "ike/puzzle.h"
#include "ike/session.h"
#include "ike/sig_alg.h"

struct ike;
struct ike_sa;
struct ike_child;
struct ike_tunnel;
struct ike_packet;
struct ike_complaint;

#define IKE_MAX_RETRIES 3 /* COOKIE and INVALID_KE_PAYLOAD in one handshake */
#define IKE_DIGEST_SIZE MAC_SIZE

/* What a side shows to prove who it is; the spans point into `copy`, or are borrowed if that is NULL. */
struct ike_proof {
	uint8_t *copy;
	uint8_t id_type;
	uint8_t method;
	struct rd id_body; /* the ID payload's, as AUTH covers it */
	struct rd auth;
	size_t n_certs;
	struct ike_cert certs[IKE_MAX_CERTS];
};

/* What only the first two exchanges need; freed once the SA is established. */
struct ike_handshake {
	uint8_t *request, *response; /* the IKE_SA_INIT messages, as AUTH covers them */
	size_t request_size, response_size;
	uint8_t ni[IKE_NONCE_MAX], nr[IKE_NONCE_MAX];
	size_t ni_size, nr_size;
	struct ike_dh_key *dh;
	uint16_t group;
	/* RFC 9242, RFC 9370 */
	bool intermediate;       /* both have said so */
	uint32_t n_intermediate; /* exchanges so far */
	unsigned n_ake;          /* additional key exchanges so far, or NONEs that stand for one */
	uint8_t int_auth_i[IKE_PRF_MAX], int_auth_r[IKE_PRF_MAX];
	struct ike_sa_keys last_keys; /* responder: those that the last exchange came under */
	struct ike_session *session;  /* RFC 5723: that is resumed; NULL: a new one */
	bool ticket_asked;            /* by the initiator */
	uint8_t cookie[64];
	size_t cookie_size;
	struct ike_puzzle *puzzle; /* that goes with the cookie; NULL: none */
	bool solving;
	unsigned n_retries;
	bool refused;                /* an unauthenticated error notify was reported already */
	bool id_ok;                  /* the peer's identities are the configured ones */
	bool known;                  /* ... and those of the tunnel that the SA belongs to */
	char id_text[IKE_TEXT_SIZE]; /* why they are not */
	uint16_t peer_hashes;        /* that the peer verifies signatures with (RFC 7427 4) */
	bool peer_ppk;               /* USE_PPK went both ways (RFC 8784 3) */
	bool with_ppk;               /* AUTH is made with the keys of `ppk` */
	bool peer_wants_raw_key;
	struct ike_announced announced; /* what the peer would believe (RFC 9593) */
	uint8_t *announcements;         /* ... as it came, for the key holder */
	size_t announcements_size;
	uint8_t *cas; /* the peer's CERTREQ */
	size_t n_cas;
	uint32_t key; /* which of the shared keys signs */
	struct {
		struct secret *d, *pi, *pr;
	} ppk;
	struct ike_proof ours, no_ppk, theirs;
	bool initial_contact;   /* the peer says so */
	uint32_t auth_lifetime; /* that the responder grants, in seconds (RFC 4478); 0: no limit */
	uint32_t slot, spi_in;  /* of the first child; spi_in 0: the slot is not ours to free */
	uint32_t answered_spi;
	struct ike_terms terms;
	bool narrow;                    /* the first child was refused: SINGLE_PAIR_REQUIRED */
	bool childless;                 /* we asked for no child (RFC 6023) */
	struct ip_addr redirect_to;     /* RFC 5685: what the peer says in IKE_AUTH */
	struct ike_complaint complaint; /* why there are none */
};

struct ike_source { /* half-open SAs of one /32 or /64 */
	struct ike_link link;
	struct ip_addr net;
	uint32_t n;
};

/* ---- half_open.c: cookies and limits */
bool ike_half_open_init(struct ike *ike);
void ike_init_digest(struct ike *ike, const struct ike_packet *p, uint8_t out[IKE_DIGEST_SIZE]);
struct ike_sa *ike_half_open_find(struct ike *ike, const uint8_t digest[IKE_DIGEST_SIZE]);
bool ike_half_open_enter(struct ike_sa *sa, const uint8_t digest[IKE_DIGEST_SIZE]);
void ike_half_open_leave(struct ike_sa *sa);
bool ike_half_open_room(struct ike *ike, const struct ip_addr *remote);
bool ike_cookies_on(struct ike *ike);
/* How hard a puzzle is to be now; 0: there is to be none. */
uint8_t ike_puzzle_bits(struct ike *ike);
/* Whether one that solves no puzzle is served now. */
bool ike_may_go_unsolved(struct ike *ike);

/* ---- cookie.c; `bits`: of the puzzle that goes with it; 0: none. */
#define IKE_OUR_COOKIE_SIZE (2 + MAC_SIZE)
void ike_cookie_make(struct ike *ike, const struct ike_packet *p, uint64_t spi_i, struct rd nonce,
		     uint8_t bits, uint8_t out[IKE_OUR_COOKIE_SIZE]);
bool ike_cookie_ok(struct ike *ike, const struct ike_packet *p, const struct ike_msg *m,
		   const struct rd *cookie, uint8_t *bits);
/*
 * While cookies, and no more, are asked for: true if this was a first message without one, which has got
 * its answer. False for all that deserves a closer look.
 */
bool ike_cookie_ask(struct ike *ike, const struct ike_packet *p, const struct ike_header *h);

/* ---- exchange_sa_init.c */
bool ike_init_start(struct ike_tunnel *t);
void ike_init_response(struct ike_sa *sa, const struct ike_packet *p, const struct ike_msg *m);
void ike_init_puzzle_due(struct ike_sa *sa);
bool ike_init_nonce_ok(const struct ike_msg *m);
/* RFC 7383 2.3: both say so, or neither uses it. */
uint16_t ike_init_fragment_size(const struct ike_tunnel *t, const struct ike_msg *m);
enum ike_err ike_init_derive(struct ike_sa *sa, const struct ike_suite *suite,
			     struct rd peer_public, uint64_t spi_i, uint64_t spi_r,
			     const struct ike_nonces *n, struct ike_dh_key *dh,
			     struct ike_sa_keys *keys);

/* ---- answer_sa_init.c */
void ike_init_answer(struct ike *ike, const struct ike_packet *p, const struct ike_msg *m,
		     uint16_t type, const void *data, size_t data_size);
void ike_init_request(struct ike *ike, const struct ike_packet *p, const struct ike_msg *m);

/* ---- exchange_intermediate.c */
#define IKE_INT_AUTH_MAX (2 * IKE_PRF_MAX + 4)
void ike_intermediate_next(struct ike_sa *sa);
bool ike_intermediate_complete(const struct ike_sa *sa); /* IKE_AUTH may come */
/* What AUTH covers of it; empty where there was none. */
struct rd ike_intermediate_octets(const struct ike_sa *sa, uint8_t out[IKE_INT_AUTH_MAX]);
void ike_intermediate_request(struct ike_sa *sa, const struct ike_packet *p,
			      const struct ike_msg *m);
void ike_intermediate_response(struct ike_sa *sa, const struct ike_packet *p,
			       const struct ike_msg *m);

/* ---- exchange_auth.c */
void ike_auth_start(struct ike_sa *sa); /* initiator: the keys stand */
void ike_auth_signed(struct ike_sa *sa, const struct ike_event *ev);
void ike_auth_verified(struct ike_sa *sa, const struct ike_event *ev);
void ike_auth_mixed(struct ike_sa *sa, const struct ike_event *ev);
void ike_auth_request(struct ike_sa *sa, const struct ike_packet *p, const struct ike_msg *m);
void ike_auth_response(struct ike_sa *sa, const struct ike_packet *p, const struct ike_msg *m);
void ike_auth_child_done(struct ike_sa *sa, struct ike_child *c); /* c NULL: it failed */

/* ---- proof.c: what each side proves who it is by */
void ike_proof_init_build(struct ike_sa *sa, struct ike_builder *b, size_t room);
void ike_proof_init_note(struct ike_sa *sa, const struct ike_msg *m);
void ike_proof_note(struct ike_sa *sa, const struct ike_msg *m); /* of IKE_AUTH */
void ike_proof_note_announced(struct ike_sa *sa, const struct ike_msg *m);
/* Actions; false: no room for one, and the handshake is over. */
bool ike_proof_sign(struct ike_sa *sa, bool with_ppk);
bool ike_proof_verify(struct ike_sa *sa, const struct ike_proof *theirs);
bool ike_proof_mix(struct ike_sa *sa);
bool ike_proof_take_ppk(struct ike_sa *sa, struct rd keys);
bool ike_proof_commit_ppk(struct ike_sa *sa);                            /* SK_d becomes SK_d' */
struct ike_proof ike_proof_of(const struct ike_msg *m, bool initiators); /* borrowed */
bool ike_proof_copy(const struct ike_proof *from, struct ike_proof *to);
bool ike_proof_set(struct ike_proof *to, const struct ike_event *ev);
void ike_proof_free(struct ike_proof *p);
void ike_proof_build(const struct ike_proof *p, struct ike_builder *b); /* CERT, AUTH */
void ike_proof_ask(const struct ike_tunnel *t, struct ike_builder *b);  /* CERTREQ */
bool ike_proof_method_fits(enum ike_auth_kind kind, uint8_t method);
const char *ike_proof_kind_name(enum ike_auth_kind kind);
void ike_proof_trust(struct ike_tunnel *t, const uint8_t *cas, size_t n_cas);

/* ---- identify.c: which tunnel identities mean */
/* The tunnel, or NULL: then `decoy` is the nearest, NULL if there is none, and `why` says what differs. */
struct ike_tunnel *ike_identify(struct ike_sa *sa, const struct ike_msg *m,
				struct ike_tunnel **decoy, struct sb *why);
bool ike_identify_responder(const struct ike_sa *sa, const struct ike_msg *m, struct sb *why);
bool ike_tunnel_held(const struct ike_tunnel *t, uint8_t type, struct rd id);
void ike_tunnel_hold(struct ike_tunnel *t, uint8_t type, struct rd id);

#endif
