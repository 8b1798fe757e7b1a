/* SPDX-License-Identifier: Apache-2.0 */
/* child: CHILD_SAs, the terms that they are made on, and which of several stays. */
#ifndef IKE_CHILD_H
#define IKE_CHILD_H

#include <sys/queue.h>
#include "ike/keys.h"
#include "ike/out.h"
#include "ike/proposal.h"
#include "ike/timer.h"
#include "ike/ts.h"

struct ike;
struct ike_sa;
struct ike_tunnel;

/* Likewise, and those that linger; with SAs per resource each of those may be in a rekey. */
#define IKE_MAX_COMMON_CHILDREN    10
#define IKE_MAX_CHILDREN_OF_TUNNEL (IKE_MAX_COMMON_CHILDREN + 2 * IKE_MAX_RESOURCES)
#define IKE_SLOT_BITS              20 /* of an ESP SPI */
#define IKE_SLOT_MASK              ((1u << IKE_SLOT_BITS) - 1)

enum ike_child_state {
	IKE_CH_NEW,
	IKE_CH_ADDING_IN,
	IKE_CH_ADDING_OUT,
	IKE_CH_INSTALLED,
	IKE_CH_DELETING, /* our Delete waits or awaits its response */
	IKE_CH_LINGER,   /* negotiated away; the inbound half takes stragglers */
	IKE_CH_GONE,
	IKE_CH_END,
};

/* The lower of an exchange's two nonces: what collisions are decided by (RFC 7296 2.8.1). */
struct ike_rank {
	uint8_t b[32];
	uint16_t size; /* of the whole nonce */
};

struct ike_follow; /* of an offer whose key exchanges go on */

/* What we proposed in CREATE_CHILD_SA and keep to ourselves until the answer. */
struct ike_offer {
	uint32_t slot, spi_in; /* child */
	uint64_t spi;          /* IKE SA */
	uint8_t nonce[IKE_NONCE_SIZE];
	uint16_t group;
	uint32_t resource; /* child: of its own worker, 0 = of all */
	struct ike_dh_key *dh;
	struct ike_follow *follow; /* its answer, while more key exchanges are under way */
};

/* The negotiated terms of a child, before it exists. */
struct ike_terms {
	bool present;   /* child payloads were there at all */
	uint16_t error; /* the notify to refuse it with, 0 = agreed */
	struct ike_suite suite;
	uint8_t number;
	uint32_t spi_out;
	struct ike_ts local_ts[IKE_MAX_TS], remote_ts[IKE_MAX_TS];
	size_t n_local_ts, n_remote_ts;
	bool grouped; /* RFC 9611: SA_RESOURCE_INFO went both ways */
	bool useless; /* likewise: neither end has a resource for it */
	uint32_t resource;
};

#define IKE_LINK_SIZE 16 /* ours */
#define IKE_LINK_MAX  256

/* CREATE_CHILD_SA is done, but for its additional key exchanges (RFC 9370 2.2.4). */
struct ike_follow {
	struct ike_suite suite;
	unsigned next; /* index of the method that is due */
	uint8_t ni[IKE_NONCE_MAX], nr[IKE_NONCE_MAX];
	size_t ni_size, nr_size;
	struct secret *first, *further; /* SK(0), NULL without one; SK(1) | ... so far */
	struct ike_dh_key *dh;          /* initiator */
	bool ike;                       /* else a child */
	uint64_t spi_i, spi_r;          /* of the new IKE SA */
	struct ike_terms terms;         /* of the child */
	/* Responder. */
	uint8_t link[IKE_LINK_SIZE];
	uint32_t slot, spi_in; /* spi_in 0: the slot is not ours to free */
	bool rekey;
	uint32_t old_spi_in;
};

/* Why a child could not be agreed on, kept until who said so has proven who it is. */
struct ike_complaint {
	enum ike_happening what;
	const char *reason; /* the tunnel's, while it is down */
	char text[IKE_TEXT_SIZE];
	struct ike_mismatch mismatch; /* layer NONE: nothing to show side by side */
};

struct ike_child {
	TAILQ_ENTRY(ike_child) entry; /* of the tunnel */
	struct ike_child *next_dead;
	struct ike_tunnel *tunnel;
	struct ike_sa *sa; /* NULL once its IKE SA is gone */
	enum ike_child_state state;
	bool initiator;
	uint32_t slot, spi_in, spi_out;
	struct ike_suite suite;
	struct ike_child_keys keys; /* until both halves are installed */
	struct ike_ts local_ts[IKE_MAX_TS], remote_ts[IKE_MAX_TS];
	size_t n_local_ts, n_remote_ts;
	struct ike_pending pending;
	struct ike_rank rank;
	bool grouped;      /* both ends may add SAs of single resources (RFC 9611) */
	uint32_t resource; /* 0: common to all; n: of our worker n - 1; IKE_RESOURCE_SPARE */
	bool sending;      /* with a resource: its worker sends by this one */

	struct ike_child *replaces;                        /* old one, if this is a rekey */
	struct ike_child *rekeyed_by_us, *rekeyed_by_peer; /* successors */
	bool has_in, has_out;                              /* halves in the dataplane */
	bool reply_held; /* the response to the peer waits for the installation */
	bool confirmed;  /* the peer has our response */
	bool proven;     /* the peer sends on it, so it receives as well */
	bool want_rekey, want_delete;
	bool redundant; /* lost a collision: never switched to while there is another */
	bool missed_first, missed_soft, missed_hard; /* resumed: what was told meanwhile */
	unsigned n_rekey_failures;

	struct mono created, rekey_at, expires_at, switch_at;
	struct ike_timer t_rekey, t_expire, t_step;
};

TAILQ_HEAD(ike_child_list, ike_child);

/* ---- child.c, child_dp.c: children and their way into the dataplane */
struct ike_child *ike_child_new(struct ike_sa *sa, bool initiator, uint32_t slot, uint32_t spi_in,
				const struct ike_terms *terms);
void ike_child_set_state(struct ike_child *c, enum ike_child_state to, const char *story,
			 const char *reason);
const char *ike_child_state_name(enum ike_child_state s);
struct ike_child *ike_child_by_spi_out(struct ike_tunnel *t, uint32_t spi_out);
struct ike_child *ike_child_by_spi_in(struct ike_tunnel *t, uint32_t spi_in);
struct ike_child *ike_child_by_slot(struct ike *ike, uint32_t slot);
bool ike_child_room(struct ike_tunnel *t, size_t spare); /* for one child and `spare` more */
bool ike_child_live(const struct ike_child *c); /* being installed or installed, not replaced */
bool ike_child_confirmed(const struct ike_child *c, struct mono_span patience);
void ike_child_request_rekey(struct ike_child *c);
void ike_child_install(struct ike_child *c);
void ike_child_dp_result(struct ike_child *c, enum ike_pending_kind kind, bool ok);
void ike_child_failed(struct ike_child *c, const char *reason);
void ike_child_switch(struct ike_child *c, const char *reason);
/* Its IKE SA is being deleted by us, and what is sent goes by another's: the peer drops its half as
 * soon as it has our Delete, so nothing should begin to be sent by it. */
bool ike_child_goes(const struct ike_child *c);
/* Negotiated away: switch to what replaces it, take it out of the dataplane. */
void ike_child_hand_over(struct ike_child *c, const char *reason);
void ike_child_retire(struct ike_child *c, const char *story, const char *reason);
void ike_child_expire(struct ike_child *c, const char *reason);
void ike_child_drop(struct ike_child *c, const char *reason);
void ike_child_linger(struct ike_child *c, const char *reason);
void ike_child_gone(struct ike_child *c, const char *story, const char *reason);
void ike_child_request_delete(struct ike_child *c, const char *reason);
void ike_child_moved(struct ike_child *c); /* its IKE SA's endpoints changed */
void ike_child_lost(struct ike_child *c);  /* the dataplane forgot it */
void ike_child_free(struct ike_child *c);

/* ---- slot.c: slots, SPIs */
bool ike_slots_init(struct ike *ike);
void ike_slots_fini(struct ike *ike);
bool ike_slot_alloc(struct ike *ike, uint32_t *slot, uint32_t *spi);
void ike_slot_free(struct ike *ike, uint32_t slot);
/* One bit a slot: those in use, and those that were until now and are to rest. */
void ike_slots_resume(struct ike *ike, const uint8_t *used, const uint8_t *rest);
uint64_t ike_spi_new(struct ike *ike); /* 0 on failure */

/* ---- terms.c: negotiating a child */
void ike_terms_answer(struct ike_tunnel *t, const struct ike_msg *m, bool skip_dh,
		      struct ike_terms *out);
void ike_terms_check(struct ike_tunnel *t, const struct ike_msg *m, bool skip_dh,
		     struct ike_terms *out);
bool ike_terms_cover(const struct ike_terms *terms, const struct ike_child *old);
void ike_terms_offer_sa(struct ike_builder *b, const struct ike_tunnel *t, bool skip_dh,
			uint32_t spi_in, uint16_t group);
bool ike_terms_narrow_to_pair(struct ike_tunnel *t);
void ike_terms_offer_ts(struct ike_builder *b, const struct ike_tunnel *t);
void ike_terms_answer_sa(struct ike_builder *b, const struct ike_terms *terms, uint32_t spi_in);
void ike_terms_answer_ts(struct ike_builder *b, const struct ike_terms *terms);
void ike_terms_explain(struct ike_tunnel *t, const struct ike_msg *m, const struct ike_terms *terms,
		       bool responder, struct ike_complaint *out);
void ike_terms_complain(struct ike_tunnel *t, const struct ike_complaint *c);
void ike_terms_report(struct ike_tunnel *t, const struct ike_msg *m, const struct ike_terms *terms,
		      bool responder);

/* ---- resource.c: SAs per resource (RFC 9611) */
bool ike_child_sends(const struct ike_child *c); /* somebody sends by it */
struct ike_child *ike_resource_sender(const struct ike_tunnel *t, uint32_t resource);
/* SA_RESOURCE_INFO, where the tunnel is for it. */
void ike_resource_build(struct ike_builder *b, uint32_t resource);
/* Whether both ends say so; called where `m` is the peer's half of the exchange. */
bool ike_resource_agreed(const struct ike_tunnel *t, const struct ike_msg *m);
/* Responder: what a new child is for. False: it is one too many. */
bool ike_resource_accept(struct ike_sa *sa, const struct ike_msg *m, struct ike_terms *terms);
/* Initiator: what it has become. */
uint32_t ike_resource_answered(struct ike_sa *sa, const struct ike_msg *m, uint32_t asked);
/* Likewise: it is spare at both ends, and goes; who asked for it sees to that. */
bool ike_resource_useless(const struct ike_msg *m, uint32_t asked, uint32_t resource);
uint32_t ike_resource_wanted(struct ike_sa *sa); /* the next to make a child for, or 0 */
void ike_resource_failed(struct ike_tunnel *t, uint16_t notify);
void ike_resource_deleted(struct ike_child *c); /* by the peer, who has his reasons */

/* ---- settle.c: collisions and duplicates */
struct ike_rank ike_rank_of(const uint8_t *ni, size_t ni_size, const uint8_t *nr, size_t nr_size);
int ike_rank_cmp(const struct ike_rank *a, const struct ike_rank *b);
void ike_settle_child_rekey(struct ike_child *old);
void ike_settle_ike_rekey(struct ike_sa *old);
void ike_settle_tunnel(struct ike_tunnel *t);
void ike_initial_contact(struct ike_sa *sa);
/* The best child to send by other than `but`, or NULL. */
struct ike_child *ike_best_child(struct ike_tunnel *t, const struct ike_child *but);

#endif
