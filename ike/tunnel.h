/* SPDX-License-Identifier: Apache-2.0 */
/* tunnel: what is configured, and what became of it. */
#ifndef IKE_TUNNEL_H
#define IKE_TUNNEL_H

#include "ike/sa.h"

struct ike;
struct ike_sa;
struct ike_child;

#define IKE_MAX_SAS_OF_TUNNEL 8 /* rekey collisions and duplicates need 4 */

struct ike_tunnel {
	TAILQ_ENTRY(ike_tunnel) entry;
	struct ike_tunnel *next_dead;
	struct ike *ike;
	struct ike_tunnel_cfg cfg;
	struct ike_link by_number, by_addresses;
	bool removed; /* ends with its last IKE SA */
	bool gone;
	bool wanted; /* we bring it up and keep it up */
	bool up;
	bool dp_lost;
	struct ike_sa_list sas;
	struct ike_child_list children;
	size_t n_sas, n_children;
	struct ike_child *current; /* sends by this one */
	unsigned n_failures, n_child_failures;
	struct mono not_before, child_not_before; /* backoff of initiation, of child creation */
	struct ike_id peer_id; /* of the peer that has the tunnel, or had it last */
	uint8_t *cas;          /* SHA-1 of the keys of the peer's trust anchors */
	size_t n_cas;
	uint32_t psk;     /* which of the shared keys an initiator signs with */
	bool single_pair; /* the peer takes one pair of addresses only, and we have one to offer */
	uint16_t pfs_group; /* from INVALID_KE_PAYLOAD or the last answer, 0 = the first suite's */
	const char *unable; /* why it cannot work here at all, for people; NULL: it can */
	const char *phase;
	struct mono since;      /* of `phase` */
	struct mono up_changed; /* when it came up or went down */
	char reason[IKE_TEXT_SIZE];
	struct mono heard;                /* of a message for this tunnel; 0 = never */
	struct ike_mismatch *mismatch;    /* NULL: none since it was up */
	struct mono resources_not_before; /* likewise of SAs of single resources */
	unsigned n_resource_failures;
	bool resources_refused; /* the peer takes no more of them */
	struct ike_timer t_retry, t_settle, t_dp_lost, t_resources;

	bool touched; /* by this step: its SAs may have to be saved */
	struct ike_tunnel *next_touched;
	bool resuming; /* t_dp_lost will put it in order */
	bool changed;  /* a record knew another configuration */
	/* RFC 5685. As initiator: where we are sent, by whom, how often since when. */
	struct ip_addr gateway, redirected_from;
	unsigned n_redirects;
	struct mono redirects_since;
	struct ip_addr redirect_to; /* as responder: where its peer shall go */
	/* RFC 5723: the session of an IKE SA that has ended; after an attempt by it IKE_SA_INIT is next. */
	struct ike_session *session;
	bool session_rests;
	uint64_t ticket_serial,
		ticket_floor; /* of the last one granted; up to which none is good */
	uint32_t doubt_spi;   /* ESP with an SPI that is nobody's, first at doubt_at */
	struct mono doubt_at;
};

/* ---- tunnel.c */
struct ike_tunnel *ike_tunnel_find(const struct ike *ike, uint32_t number);
/* Candidates for an address pair: the exact ones, then those with any remote. Start with NULL. */
struct ike_tunnel *ike_tunnel_next_by_addresses(struct ike *ike, const struct ip_addr *local,
						const struct ip_addr *remote,
						struct ike_tunnel *after);
void ike_tunnel_run(struct ike_tunnel *t); /* do what it needs next */
bool ike_tunnel_has_child(const struct ike_tunnel *t);
void ike_tunnel_note(struct ike_tunnel *t); /* after any change: phase, memory */
void ike_tunnel_up(struct ike_tunnel *t);
void ike_tunnel_down(struct ike_tunnel *t, const char *reason);
void ike_tunnel_dead(struct ike_sa *sa, const char *reason); /* a peer that does not answer */
void ike_tunnel_dismissed(const struct ike_sa *gone);        /* deleted by the peer */
void ike_tunnel_dp_lost(struct ike_tunnel *t);
void ike_tunnel_shut(struct ike_tunnel *t, const char *reason); /* its SAs go */
/* Of what the SAs that stand cannot live without. */
uint64_t ike_cfg_digest(const struct ike_tunnel_cfg *cfg);
struct ike_sa *ike_tunnel_sa(const struct ike_tunnel *t); /* the one to negotiate on, or NULL */
void ike_tunnel_free(struct ike_tunnel *t);
void ike_tunnel_reason(struct ike_tunnel *t, const char *reason);
bool ike_tunnel_apply(struct ike *ike, const struct ike_tunnel_cfg *cfg);
void ike_tunnel_drop(struct ike_tunnel *t); /* by the configuration */
void ike_tunnel_moved(struct ike_tunnel *t, const struct ip_addr *local);
void ike_tunnel_command(struct ike_tunnel *t, enum ike_event_type command);

/* ---- available.c */
/* Leaves what can be computed here; if too little is left, returns why, as a static text. */
const char *ike_restrict(const struct ike *ike, struct ike_tunnel_cfg *cfg);

/* ---- mismatch.c */
/* Keeps it; the last one wins. */
void ike_mismatch_note(struct ike_tunnel *t, const struct ike_mismatch *m);
void ike_mismatch_clear(struct ike_tunnel *t);
/* Fill a record. `offer` NULL, or the payloads NULL: the peer refused ours. */
void ike_mismatch_proposal(uint8_t protocol, const struct ike_sa_payload *offer,
			   const struct ike_algs *ours, struct ike_mismatch *out);
void ike_mismatch_ts(const struct ike_tunnel_cfg *cfg, const struct ike_ts_payload *our_side,
		     const struct ike_ts_payload *their_side, struct ike_mismatch *out);
/* `id_type` IKE_ID_NONE: the peer refused us. `is_proof`: the identities are in order, the proof of theirs is not. */
void ike_mismatch_auth(const struct ike_tunnel_cfg *cfg, uint8_t id_type, struct rd id,
		       bool is_proof, const char *text, struct ike_mismatch *out);

#endif
