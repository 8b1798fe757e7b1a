/* SPDX-License-Identifier: Apache-2.0 */
/* sa: IKE SAs. */
#ifndef IKE_SA_H
#define IKE_SA_H

#include "ike/extension.h"
#include "ike/handshake.h"
#include "ike/session.h"
#include "ike/sk.h"
#include "ike/window.h"

struct ike;
struct ike_tunnel;
struct ike_offer;
struct ike_follow;
struct ike_reassembly;

#define IKE_VERSION_2 0x20

enum ike_sa_state {
	IKE_ST_NEW,
	IKE_ST_INIT_SENT,    /* initiator: IKE_SA_INIT awaits its response */
	IKE_ST_INIT_DONE,    /* responder: half-open */
	IKE_ST_INTERMEDIATE, /* initiator: IKE_INTERMEDIATE awaits its response */
	IKE_ST_SIGN,         /* our AUTH is being computed */
	IKE_ST_AUTH_SENT,    /* initiator: IKE_AUTH awaits its response */
	IKE_ST_VERIFY,       /* the peer's AUTH is being checked */
	IKE_ST_INSTALL,      /* responder: the first child is being installed */
	IKE_ST_ESTABLISHED,
	IKE_ST_REPLACED, /* a rekey has a successor; only deletion is left */
	IKE_ST_DELETING, /* our Delete awaits its response */
	IKE_ST_GONE,
	IKE_ST_END,
};

struct ike_sa {
	TAILQ_ENTRY(ike_sa) entry; /* of the tunnel, or of the unclaimed half-open */
	struct ike_sa *next_dead;
	struct ike *ike;
	struct ike_tunnel *tunnel; /* NULL until IKE_AUTH, as responder */
	struct ike_link by_spi;    /* ours */
	struct ike_link by_init;   /* responder: digest of the first message (2.1) */
	uint8_t init_digest[IKE_DIGEST_SIZE];
	struct ike_source *source; /* while half-open */

	enum ike_sa_state state;
	bool initiator; /* of this SA */
	uint64_t spi_i, spi_r;
	struct ip_endpoint local, remote;
	bool natt, local_nat, remote_nat;
	struct ike_suite suite;
	struct ike_sa_keys keys;
	uint64_t iv_counter;
	struct ike_handshake *hs;
	struct ike_pending pending;      /* SIGN, VERIFY, PPK */
	uint8_t auth_local, auth_remote; /* enum ike_auth_alg; of the line's first SA */
	bool ppk;                        /* likewise: a PPK is mixed into SK_d */
	struct mono auth_until; /* likewise: the end of a certificate, or of what RFC 4478 grants */
	struct mono reauth_at;  /* likewise: a new one is begun, if the line is ours to renew */

	/* Our requests: window 1 (2.3). */
	uint32_t tx_mid;
	struct ike_request req;
	/* The peer's: next expected id; `busy` while the last one is being worked on. */
	uint32_t rx_mid;
	bool busy;
	uint8_t busy_exchange;
	struct ip_endpoint reply_local, reply_remote;
	struct ike_sealed *response; /* to rx_mid - 1 */
	unsigned n_repeats;          /* of it */
	struct mono repeated_at;     /* the last time: the peer did not have it yet */

	/* RFC 7383: 0, not negotiated; else the longest IP datagram that we send. */
	uint16_t fragment_size;
	struct ike_reassembly *rx_request, *rx_response;

	struct ike_follow *follow; /* what the peer has to finish by IKE_FOLLOWUP_KE */
	struct ike_resync resync;  /* RFC 6311, as who has taken over */

	/* Children that the peer deleted before we had its response that made them. */
	uint32_t doomed[4];
	size_t n_doomed;

	/* What is to be requested. */
	bool want_delete, want_rekey, want_child, want_dpd;
	const char *delete_reason;
	bool delete_auth_failed; /* tell the peer why (2.21.2) */
	unsigned n_rekey_failures;
	uint16_t rekey_group; /* from INVALID_KE_PAYLOAD, 0 = the first of the suites */

	struct ike_sa *rekeyed_by_us, *rekeyed_by_peer; /* successors */
	struct ike_rank rank;                           /* of the exchange that made it */
	struct ike_rank origin; /* of the IKE_SA_INIT that its line began with */
	bool origin_initiator;
	struct mono line_since; /* when the line's first SA was established */
	bool probing;           /* a sign of life is overdue */
	bool dpd_reported;      /* with dpd_action none */
	bool redundant;         /* lost a collision: the peer deletes it */
	bool dying;             /* its children are no way out for one another */
	bool redirected;        /* the peer was sent away and should have gone */
	bool mute;              /* a response could not be made: it is to be deleted */

	struct mono created, established, last_life, last_tx, rekey_at, expires_at;
	struct ike_agreed agreed;
	struct ike_mobike mobike;
	uint8_t qcd_token[IKE_QCD_TOKEN_MAX]; /* what the peer says once it has lost this SA */
	uint8_t qcd_size;
	bool want_notice, notice_addresses, notice_token, notice_redirect, notice_ticket;
	struct ike_session *session; /* initiator: what our ticket is for */
	uint64_t ticket_serial;      /* responder: of the last ticket granted on it; 0 = none */
	uint32_t invalid_spi;        /* ESP of the peer that we cannot take; 0 = none */
	struct mono hint_at;         /* the last hint that the peer may have lost us */
	struct ike_timer t_retransmit, t_half_open, t_rekey, t_expire, t_reauth, t_dpd, t_keepalive,
		t_reassembly, t_follow, t_puzzle;

	uint64_t saved; /* checksum of the record that was given out last, 0 = none was */
};

TAILQ_HEAD(ike_sa_list, ike_sa);

/* ---- sa.c: IKE SAs */
struct ike_sa *ike_sa_new(struct ike *ike, struct ike_tunnel *t, bool initiator);
void ike_sa_init_timers(struct ike_sa *sa);
bool ike_sa_claim(struct ike_sa *sa, struct ike_tunnel *t); /* half-open: the tunnel is known */
void ike_sa_set_state(struct ike_sa *sa, enum ike_sa_state to, const char *story,
		      const char *reason);
const char *ike_sa_state_name(enum ike_sa_state s);
uint64_t ike_sa_our_spi(const struct ike_sa *sa);
struct ike_sa *ike_sa_find(struct ike *ike, uint64_t our_spi);
bool ike_sa_live(const struct ike_sa *sa);       /* established and not on its way out */
bool ike_sa_connecting(const struct ike_sa *sa); /* before that */
/* The end without a word to the peer; children that still name it are retired. */
void ike_sa_close(struct ike_sa *sa, const char *story, const char *reason);
/* The end by a Delete: children go at once where nothing replaces them. */
void ike_sa_delete(struct ike_sa *sa, const char *reason);
void ike_sa_established(struct ike_sa *sa, const char *story);
/* Hands `from`'s children to its successor. */
void ike_sa_inherit(struct ike_sa *from, struct ike_sa *to);
void ike_sa_free(struct ike_sa *sa);
void ike_handshake_free(struct ike_sa *sa);
void ike_offer_free(struct ike *ike, struct ike_offer *o, bool keep_slot);
struct ike_sk_dir ike_sa_tx_keys(const struct ike_sa *sa);
struct ike_sk_dir ike_sa_rx_keys(const struct ike_sa *sa);

#endif
