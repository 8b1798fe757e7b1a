/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ike_int: the objects behind ike.h and what the core's files offer each other.
 *
 * Ownership: struct ike owns tunnels; a tunnel owns its IKE SAs and its children; a child names the
 * IKE SA that negotiates for it, and moves when that is rekeyed. Half-open SAs of unknown peers
 * belong to struct ike until IKE_AUTH settles the tunnel. Objects that end during a step stay in
 * memory, marked gone, until the step's end, so that no caller up the stack holds a stale pointer.
 */
#ifndef IKE_INT_H
#define IKE_INT_H

#include <sys/queue.h>
#include "base/heap.h"
#include "base/sb.h"
#include "ike/ike.h"
#include "ike/keys.h"
#include "ike/msg.h"
#include "ike/proposal.h"
#include "ike/sig_alg.h"
#include "ike/sk.h"
#include "ike/table.h"
#include "ike/ts.h"

#define IKE_MAX_SAS_OF_TUNNEL 8 /* rekey collisions and duplicates need 4 */
/* Likewise, and those that linger; with SAs per resource each of those may be in a rekey. */
#define IKE_MAX_COMMON_CHILDREN    10
#define IKE_MAX_CHILDREN_OF_TUNNEL (IKE_MAX_COMMON_CHILDREN + 2 * IKE_MAX_RESOURCES)
#define IKE_MAX_RETRIES            3 /* COOKIE and INVALID_KE_PAYLOAD in one handshake */
#define IKE_VERSION_2              0x20
#define IKE_DIGEST_SIZE            32
#define IKE_SLOT_BITS              20 /* of an ESP SPI */
#define IKE_SLOT_MASK              ((1u << IKE_SLOT_BITS) - 1)
#define IKE_COOKIE2_SIZE           16
#define IKE_NAT_HASH_SIZE          20  /* SHA-1 */
#define IKE_QCD_TOKEN_SIZE         16  /* ours */
#define IKE_QCD_TOKEN_MAX          128 /* RFC 6290 4.1: 16 to 128 octets */
#define IKE_QCD_TOKEN_MIN          16
#define IKE_CONFIRM_SOON           span_s(4)  /* three repetitions of a request */
#define IKE_CONFIRM_LATE           span_s(40) /* longer than anybody repeats one */

#define container_of(p, type, member) ((type *)(void *)((char *)(p)-offsetof(type, member)))

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

/* What a request of ours is about. In order of urgency, so that the queue is a set. */
enum ike_task {
	IKE_TASK_NONE,
	IKE_TASK_INIT,
	IKE_TASK_INTERMEDIATE,
	IKE_TASK_AUTH,
	IKE_TASK_DELETE_IKE,
	IKE_TASK_DELETE_CHILD,
	IKE_TASK_REKEY_IKE,
	IKE_TASK_REKEY_CHILD,
	IKE_TASK_NEW_CHILD,
	IKE_TASK_UPDATE, /* UPDATE_SA_ADDRESSES */
	IKE_TASK_CHECK,  /* COOKIE2: is the peer where it says? */
	IKE_TASK_NOTICE, /* something that the peer is to know */
	IKE_TASK_DPD,
	IKE_TASK_END,
};

enum ike_timer_kind {
	IKE_TIMER_RETRANSMIT,
	IKE_TIMER_HALF_OPEN,
	IKE_TIMER_IKE_REKEY,
	IKE_TIMER_IKE_EXPIRE,
	IKE_TIMER_IKE_REAUTH,
	IKE_TIMER_DPD,
	IKE_TIMER_KEEPALIVE,
	IKE_TIMER_CHILD_REKEY,
	IKE_TIMER_CHILD_EXPIRE,
	IKE_TIMER_CHILD_STEP,
	IKE_TIMER_TUNNEL_RETRY,
	IKE_TIMER_TUNNEL_SETTLE,
	IKE_TIMER_RESOURCES,
	IKE_TIMER_DP_LOST,
	IKE_TIMER_REASSEMBLY,
	IKE_TIMER_FOLLOW,
};

struct ike_timer {
	struct heap_node node;
	enum ike_timer_kind kind;
	void *owner;
};

/* Answers that the core waits for, keyed by the action's request. */
enum ike_pending_kind {
	IKE_PEND_SIGN,
	IKE_PEND_VERIFY,
	IKE_PEND_PPK,
	IKE_PEND_ADD_IN,
	IKE_PEND_ADD_OUT,
	IKE_PEND_SWITCH,
};

struct ike_pending {
	struct ike_link link;
	enum ike_pending_kind kind;
	void *owner;
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
	uint8_t cookie[64];
	size_t cookie_size;
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
	uint8_t *cas;                   /* the peer's CERTREQ */
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
	bool childless;                 /* we asked for no child (RFC 6023) */
	struct ip_addr redirect_to;     /* RFC 5685: what the peer says in IKE_AUTH */
	struct ike_complaint complaint; /* why there are none */
};

struct ike_source { /* half-open SAs of one /32 or /64 */
	struct ike_link link;
	struct ip_addr net;
	uint32_t n;
};

/* A message as it goes out, in one block of memory: its datagrams, then perhaps its plaintext. */
struct ike_sealed {
	size_t size;       /* of all datagrams */
	size_t part;       /* of each of them but the last */
	size_t plain_size; /* 0: it cannot be cut anew */
	uint8_t first;     /* type of the plaintext's first payload */
	uint8_t bytes[];
};

/* Fragments joined to the content of an Encrypted payload (RFC 7383 2.6). */
struct ike_joined {
	uint8_t *data;
	size_t size;
	uint8_t first;
	uint16_t n;
	size_t longest; /* of the fragments' datagrams */
};
struct ike_reassembly;

struct ike_request {
	enum ike_task task;
	uint8_t exchange;
	uint32_t mid;
	struct ike_sealed *data; /* NULL: none is outstanding */
	unsigned n_sent;
	struct mono first_sent;
	struct mono_span interval;
	struct ike_child *child; /* REKEY_CHILD: the old one; DELETE_CHILD */
	struct ike_offer *offer;
};

/* Which extensions both ends have. */
struct ike_agreed {
	bool nat_traversal; /* the peer detects NATs */
	bool mobike;        /* RFC 4555 */
	bool redirect;      /* RFC 5685: the peer follows */
	bool childless;     /* RFC 6023: the responder takes IKE_AUTH without a child */
	bool sync;          /* RFC 6311: message ids, outside of the window */
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

	/* RFC 7383: 0, not negotiated; else the longest IP datagram that we send. */
	uint16_t fragment_size;
	struct ike_reassembly *rx_request, *rx_response;

	struct ike_follow *follow; /* what the peer has to finish by IKE_FOLLOWUP_KE */

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
	bool want_notice, notice_addresses, notice_token, notice_redirect;
	uint32_t invalid_spi; /* ESP of the peer that we cannot take; 0 = none */
	struct mono hint_at;  /* the last hint that the peer may have lost us */
	struct ike_timer t_retransmit, t_half_open, t_rekey, t_expire, t_reauth, t_dpd, t_keepalive,
		t_reassembly, t_follow;

	uint64_t saved; /* checksum of the record that was given out last, 0 = none was */
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
	bool missed_soft, missed_hard; /* resumed: limits passed meanwhile */
	unsigned n_rekey_failures;

	struct mono created, rekey_at, expires_at, switch_at;
	struct ike_timer t_rekey, t_expire, t_step;
};

TAILQ_HEAD(ike_sa_list, ike_sa);
TAILQ_HEAD(ike_child_list, ike_child);

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
	uint32_t psk;       /* which of the shared keys an initiator signs with */
	uint16_t pfs_group; /* from INVALID_KE_PAYLOAD or the last answer, 0 = the first suite's */
	const char *unable; /* why it cannot work here at all, for people; NULL: it can */
	const char *phase;
	struct mono since;
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
	uint32_t doubt_spi;         /* ESP with an SPI that is nobody's, first at doubt_at */
	struct mono doubt_at;
};

struct ike {
	struct ike_limits limits;
	struct ike_crypto crypto;
	const struct tracer *tracer;
	struct mono now;     /* of the step that runs */
	struct ike_out *out; /* likewise */
	size_t out_from;     /* where its actions begin */
	struct heap timers;
	TAILQ_HEAD(, ike_tunnel) tunnels;
	struct ike_table by_number, by_addresses, by_spi, by_init, sources, pendings;
	uint64_t last_request;
	struct mono complaints_full_at, replies_full_at; /* buckets of what strangers may cause */

	struct ike_sa_list half_open; /* as responder, tunnel unknown */
	uint32_t n_half_open;
	size_t half_open_bytes; /* of fragments that they sent us */
	bool cookies;
	uint8_t digest_key[32];
	uint8_t cookie_secrets[2][32]; /* current, previous */
	uint8_t cookie_version;
	struct mono cookie_rotated, cookies_since;

	struct ike_child **slots;
	uint32_t *free_slots; /* a ring: a slot rests as long as possible before it serves again */
	uint32_t n_fresh, n_free, free_head;

	struct ike_tunnel *touched;
	size_t n_saves; /* at most so many records are due at the step's end */
	uint64_t save_seed;
	struct ike_resume *resume; /* until the last of the inventory */

	struct ike_sa *dead_sas;
	struct ike_child *dead_children;
	struct ike_tunnel *dead_tunnels;
	uint64_t counters[IKE_CNT_END];
};

/* A datagram on its way through the core. */
struct ike_packet {
	struct ip_endpoint local, remote;
	const uint8_t *data;
	size_t size;
};

/* ---- out.c: actions */
struct ike_action *ike_act(struct ike *ike, enum ike_action_type type, uint32_t tunnel);
void ike_count(struct ike *ike, enum ike_counter c);
enum ike_counter ike_counter_of(enum ike_err err); /* that an error is counted by */
void ike_send(struct ike *ike, uint32_t tunnel, const struct ip_endpoint *local,
	      const struct ip_endpoint *remote, const uint8_t *data, size_t size);
/* Copies into out->bytes; NULL when full. */
const uint8_t *ike_lend(struct ike *ike, const void *data, size_t size);
/* An event for people: write its text to the builder that comes back. */
struct sb ike_event(struct ike *ike, enum ike_happening what, const struct ike_tunnel *t);
/* False: strangers have caused enough events for now; likewise replies without state. */
bool ike_may_complain(struct ike *ike);
bool ike_may_reply(struct ike *ike);
void ike_await(struct ike *ike, struct ike_pending *p, enum ike_pending_kind kind, void *owner,
	       struct ike_action *act);
void ike_unawait(struct ike *ike, struct ike_pending *p);
bool ike_random(struct ike *ike, void *out, size_t size);
/* A number below `n`, for jitter; 0 when the generator fails. */
uint64_t ike_jitter(struct ike *ike, uint64_t n);
const char *ike_notify_name(uint16_t type);

/* ---- save.c: records */
void ike_touch(struct ike_tunnel *t); /* something of it may change in this step; NULL is fine */
void ike_untouch(struct ike_tunnel *t);
void ike_saves_flush(struct ike *ike, size_t from);
uint64_t ike_mix(uint64_t seed, const void *data, size_t size);

/* ---- resume.c: from records */
void ike_resume_free(struct ike *ike);
void ike_resume_inventory(struct ike *ike, const struct ike_dp_slot *slots, size_t n, bool last);
void ike_tunnel_resume(struct ike_tunnel *t);

/* ---- slot.c: slots, SPIs */
bool ike_slots_init(struct ike *ike);
void ike_slots_fini(struct ike *ike);
bool ike_slot_alloc(struct ike *ike, uint32_t *slot, uint32_t *spi);
void ike_slot_free(struct ike *ike, uint32_t slot);
/* One bit a slot: those in use, and those that were until now and are to rest. */
void ike_slots_resume(struct ike *ike, const uint8_t *used, const uint8_t *rest);
uint64_t ike_spi_new(struct ike *ike); /* 0 on failure */

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
/* Negotiated away: switch to what replaces it, take it out of the dataplane. */
void ike_child_retire(struct ike_child *c, const char *story, const char *reason);
void ike_child_expire(struct ike_child *c, const char *reason);
void ike_child_drop(struct ike_child *c, const char *reason);
void ike_child_linger(struct ike_child *c, const char *reason);
void ike_child_gone(struct ike_child *c, const char *story, const char *reason);
void ike_child_request_delete(struct ike_child *c, const char *reason);
void ike_child_moved(struct ike_child *c); /* its IKE SA's endpoints changed */
void ike_child_lost(struct ike_child *c);  /* the dataplane forgot it */
void ike_child_free(struct ike_child *c);

/* ---- available.c */
/* Leaves what can be computed here; if too little is left, returns why, as a static text. */
const char *ike_restrict(const struct ike *ike, struct ike_tunnel_cfg *cfg);

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

/* ---- half_open.c: cookies and limits */
bool ike_half_open_init(struct ike *ike);
bool ike_init_digest(struct ike *ike, const struct ike_packet *p, uint8_t out[IKE_DIGEST_SIZE]);
struct ike_sa *ike_half_open_find(struct ike *ike, const uint8_t digest[IKE_DIGEST_SIZE]);
bool ike_half_open_enter(struct ike_sa *sa, const uint8_t digest[IKE_DIGEST_SIZE]);
void ike_half_open_leave(struct ike_sa *sa);
bool ike_half_open_room(struct ike *ike, const struct ip_addr *remote);
bool ike_cookies_on(struct ike *ike);
bool ike_cookie_make(struct ike *ike, const struct ike_packet *p, const struct ike_msg *m,
		     uint8_t out[1 + IKE_DIGEST_SIZE]);
bool ike_cookie_ok(struct ike *ike, const struct ike_packet *p, const struct ike_msg *m,
		   const struct rd *cookie);

/* ---- window.c: message ids, requests, responses */
struct ike_header ike_header_of(const struct ike_sa *sa, uint8_t exchange, uint32_t mid,
				bool response);
bool ike_request_send(struct ike_sa *sa, enum ike_task task, uint8_t exchange,
		      struct ike_builder *inner, struct ike_child *child, struct ike_offer *offer);
bool ike_request_send_raw(struct ike_sa *sa, enum ike_task task, const uint8_t *data, size_t size);
void ike_request_again(struct ike_sa *sa); /* retransmit */
void ike_request_done(struct ike_sa *sa);  /* answered or given up; frees it */
bool ike_response_send(struct ike_sa *sa, struct ike_builder *inner, bool hold);
void ike_response_release(struct ike_sa *sa);
void ike_response_repeat(struct ike_sa *sa, const struct ike_packet *p, bool fragment);
void ike_response_error(struct ike_sa *sa, uint16_t notify, const void *data, size_t size);
void ike_sa_run(struct ike_sa *sa); /* the next request, if one may go out */
void ike_window_free(struct ike_sa *sa);

/* ---- sync.c: message ids after a failover of the peer (RFC 6311) */
#define IKE_MID_LAST 0x7fffff00u /* rekeyed long before the ids run out (RFC 7296 2.2) */
bool ike_sync_request(struct ike_sa *sa, const struct ike_packet *p, const struct ike_msg *m);

/* ---- fragment.c: a message as one datagram or several (RFC 7383) */
#define IKE_FRAGMENTS_SENT  32
#define IKE_FRAGMENTS_TAKEN 64
void ike_sealed_free(struct ike_sealed *s);                           /* NULL is fine */
struct ike_sealed *ike_sealed_copy(const uint8_t *data, size_t size); /* IKE_SA_INIT */
void ike_sealed_fix(struct ike_sealed *s); /* it is never cut again: its keys are of the past */
size_t ike_sealed_count(const struct ike_sealed *s); /* of datagrams */
struct ike_sealed *ike_seal(struct ike_sa *sa, const struct ike_header *h,
			    struct ike_builder *inner);
/*
 * For a path that is narrower than we thought: cuts the message anew, for IP datagrams of at most
 * `datagram` bytes, or of the next size to try if that is 0. False: it stays as it is.
 */
bool ike_sealed_cut(struct ike_sa *sa, struct ike_sealed **s, uint16_t datagram);
/* Of the IP datagram that holds a message of so many bytes. */
uint16_t ike_datagram_size(const struct ike_sa *sa, size_t message_size);

/* ---- reassembly.c: the peer's fragments */
/* Whether a fragment that is not authenticated yet could be of use; changes nothing. */
bool ike_reassembly_wants(struct ike_sa *sa, const struct ike_msg *m);
/* An authentic one that is wanted; true: it was the last, and `out` is the caller's to free. */
bool ike_reassembly_add(struct ike_sa *sa, const struct ike_msg *m, struct rd content,
			size_t datagram, struct ike_joined *out);
void ike_joined_free(struct ike_joined *j);
void ike_reassembly_free(struct ike_sa *sa, bool response);
struct mono ike_reassembly_expire(struct ike_sa *sa, struct mono_span limit);

/* ---- dispatch.c */
void ike_dispatch(struct ike *ike, const struct ike_packet *p);

/* ---- exchange_sa_init.c */
bool ike_init_start(struct ike_tunnel *t);
void ike_init_request(struct ike *ike, const struct ike_packet *p, const struct ike_msg *m);
void ike_init_response(struct ike_sa *sa, const struct ike_packet *p, const struct ike_msg *m);

/* ---- ke.c: key exchange methods, groups and KEMs */
/* The suite's additional method from index *i on, whose index it becomes; IKE_DH_NONE: no more. */
uint16_t ike_ke_next(const struct ike_suite *s, unsigned *i);
bool ike_ke_additional(const struct ike_suite *s);
/* Initiator: the value to send, and later the secret. NULL: not available, not acceptable. */
struct ike_dh_key *ike_ke_new(struct ike *ike, uint16_t method, uint8_t value[IKE_DH_MAX],
			      size_t *size);
struct secret *ike_ke_finish(struct ike *ike, struct ike_dh_key *key, uint16_t method,
			     const struct ike_ke_payload *theirs);
/* Responder: both at once. */
struct secret *ike_ke_answer(struct ike *ike, uint16_t method, const struct ike_ke_payload *theirs,
			     uint8_t value[IKE_DH_MAX], size_t *size);
struct secret *ike_ke_join(struct secret *a, struct secret *b);

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

/* ---- terms.c: negotiating a child */
void ike_terms_answer(struct ike_tunnel *t, const struct ike_msg *m, bool skip_dh,
		      struct ike_terms *out);
void ike_terms_check(struct ike_tunnel *t, const struct ike_msg *m, bool skip_dh,
		     struct ike_terms *out);
bool ike_terms_cover(const struct ike_terms *terms, const struct ike_child *old);
void ike_terms_offer_sa(struct ike_builder *b, const struct ike_tunnel *t, bool skip_dh,
			uint32_t spi_in, uint16_t group);
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
uint32_t ike_resource_wanted(struct ike_sa *sa); /* the next to make a child for, or 0 */
void ike_resource_failed(struct ike_tunnel *t, uint16_t notify);
void ike_resource_deleted(struct ike_child *c); /* by the peer, who has his reasons */

/* ---- reauth.c: authentication that ends (RFC 4478) */
void ike_reauth_begin(struct ike_sa *sa);                              /* established by IKE_AUTH */
void ike_reauth_build(const struct ike_sa *sa, struct ike_builder *b); /* responder */
uint32_t ike_reauth_granted(const struct ike_msg *m);                  /* initiator; 0: nothing */
void ike_reauth_limit(struct ike_sa *sa, uint32_t seconds);
void ike_reauth_due(struct ike_sa *sa);

/* ---- exchange_create_child.c */
void ike_create_child_start(struct ike_sa *sa, struct ike_child *old, uint32_t resource);
void ike_create_child_request(struct ike_sa *sa, const struct ike_packet *p,
			      const struct ike_msg *m);
void ike_rekey_child_request(struct ike_sa *sa, const struct ike_packet *p,
			     const struct ike_msg *m);
void ike_create_child_response(struct ike_sa *sa, const struct ike_packet *p,
			       const struct ike_msg *m);
void ike_refuse_request(struct ike_sa *sa, const struct ike_packet *p, const struct ike_msg *m);

bool ike_sa_in_change(const struct ike_sa *sa);
bool ike_child_rekeyable(const struct ike_child *old, const struct ike_sa *sa);
/* With all secrets (also for exchange_followup.c); the initiator's take the offer. */
void ike_create_child_conclude(struct ike_sa *sa, struct ike_child *old, bool rekey,
			       struct ike_offer *o, const struct ike_terms *terms,
			       const struct ike_nonces *n, const struct secret *shared);
void ike_create_child_abandon(struct ike_sa *sa, struct ike_child *old, struct ike_offer *o,
			      const struct ike_terms *terms);
void ike_create_child_failed(struct ike_sa *sa, struct ike_child *old, struct ike_offer *o,
			     bool temporary);
void ike_create_child_accept(struct ike_sa *sa, struct ike_child *old, uint32_t slot,
			     uint32_t spi_in, const struct ike_terms *terms,
			     const struct ike_nonces *n, const struct secret *shared,
			     struct ike_builder *answer);

/* ---- exchange_followup.c */
struct ike_follow *ike_follow_of_child(const struct ike_terms *terms, const struct ike_nonces *n,
				       struct secret *first);
struct ike_follow *ike_follow_of_ike(const struct ike_suite *suite, const struct ike_nonces *n,
				     uint64_t spi_i, uint64_t spi_r, struct secret *first);
void ike_follow_free(struct ike *ike, struct ike_follow *f);
void ike_follow_drop(struct ike_sa *sa);
void ike_follow_request(struct ike_sa *sa, struct ike_child *old, struct ike_offer *o,
			const struct ike_msg *m);
void ike_follow_response(struct ike_sa *sa, const struct ike_packet *p, const struct ike_msg *m);
void ike_follow_await(struct ike_sa *sa, struct ike_follow *f, struct ike_builder *answer);
void ike_follow_take(struct ike_sa *sa, const struct ike_packet *p, const struct ike_msg *m);

/* ---- exchange_rekey_ike.c */
void ike_rekey_start(struct ike_sa *sa);
bool ike_rekey_in_change(const struct ike_sa *sa);
void ike_rekey_conclude(struct ike_sa *sa, struct ike_offer *o, const struct ike_suite *suite,
			const struct ike_nonces *n, uint64_t spi_r, const struct secret *shared);
void ike_rekey_failed(struct ike_sa *sa, struct ike_offer *o, bool temporary);
void ike_rekey_accept(struct ike_sa *sa, const struct ike_suite *suite, const struct ike_nonces *n,
		      uint64_t spi_i, uint64_t spi_r, const struct secret *shared,
		      struct ike_builder *answer);
void ike_rekey_request(struct ike_sa *sa, const struct ike_packet *p, const struct ike_msg *m);
void ike_rekey_response(struct ike_sa *sa, const struct ike_packet *p, const struct ike_msg *m);

/* ---- exchange_informational.c */
void ike_info_start_delete_ike(struct ike_sa *sa);
void ike_info_start_delete_child(struct ike_sa *sa, struct ike_child *c);
void ike_info_start_dpd(struct ike_sa *sa);
void ike_info_request(struct ike_sa *sa, const struct ike_packet *p, const struct ike_msg *m);
void ike_info_response(struct ike_sa *sa, const struct ike_packet *p, const struct ike_msg *m);

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

/* ---- nat.c */
bool ike_nat_hash(struct ike_sa *sa, const struct ip_endpoint *e, uint8_t out[IKE_NAT_HASH_SIZE]);
void ike_nat_build(struct ike_sa *sa, struct ike_builder *b);
void ike_nat_detect(struct ike_sa *sa, const struct ike_packet *p, const struct ike_msg *m);
void ike_nat_float(struct ike_sa *sa); /* initiator: to port 4500 */
void ike_nat_follow(struct ike_sa *sa, const struct ip_endpoint *local,
		    const struct ip_endpoint *remote);

/* ---- settle.c: collisions and duplicates */
struct ike_rank ike_rank_of(const uint8_t *ni, size_t ni_size, const uint8_t *nr, size_t nr_size);
int ike_rank_cmp(const struct ike_rank *a, const struct ike_rank *b);
void ike_settle_child_rekey(struct ike_child *old);
void ike_settle_ike_rekey(struct ike_sa *old);
void ike_settle_tunnel(struct ike_tunnel *t);
void ike_initial_contact(struct ike_sa *sa);
/* The best child to send by other than `but`, or NULL. */
struct ike_child *ike_best_child(struct ike_tunnel *t, const struct ike_child *but);

/* ---- mismatch.c */
/* Keeps it; the last one wins. */
void ike_mismatch_note(struct ike_tunnel *t, const struct ike_mismatch *m);
void ike_mismatch_clear(struct ike_tunnel *t);
/* Fill a record. `offer` NULL, or the payloads NULL: the peer refused ours. */
void ike_mismatch_proposal(uint8_t protocol, const struct ike_sa_payload *offer,
			   const struct ike_algs *ours, struct ike_mismatch *out);
void ike_mismatch_ts(const struct ike_tunnel_cfg *cfg, const struct ike_ts_payload *our_side,
		     const struct ike_ts_payload *their_side, struct ike_mismatch *out);
/* `id_type` IKE_ID_NONE: the peer refused us. */
void ike_mismatch_auth(const struct ike_tunnel_cfg *cfg, uint8_t id_type, struct rd id,
		       const char *text, struct ike_mismatch *out);

/* ---- timer.c: all policy of time */
void ike_timers_run(struct ike *ike);
void ike_timer_init(struct ike_timer *t, enum ike_timer_kind kind, void *owner);
void ike_timer_stop(struct ike *ike, struct ike_timer *t);
void ike_timer_request_sent(struct ike_sa *sa);
void ike_timer_request_done(struct ike_sa *sa);
void ike_timer_half_open(struct ike_sa *sa);
void ike_timer_established(struct ike_sa *sa);
void ike_timer_reauth(struct ike_sa *sa); /* at reauth_at */
/* When to begin with what ends in `life`. */
struct mono_span ike_timer_soft_life(const struct ike_sa *sa, struct mono_span life);
void ike_timer_sign_of_life(struct ike_sa *sa);
void ike_timer_sent(struct ike_sa *sa);
void ike_timer_reassembly(struct ike_sa *sa);
void ike_timer_follow(struct ike_sa *sa);
void ike_timer_follow_done(struct ike_sa *sa);
void ike_timer_ike_rekey_failed(struct ike_sa *sa, bool temporary);
void ike_timer_response_failed(struct ike_sa *sa);
void ike_timer_redirected(struct ike_sa *sa, struct mono_span in);
void ike_timer_sent_unanswered(struct ike_sa *sa); /* traffic out and none in */
void ike_timer_ike_replaced(struct ike_sa *sa, bool by_peer);
void ike_timer_sa_resumed(struct ike_sa *sa); /* those that the record has */
void ike_timer_sa_stop(struct ike_sa *sa);
void ike_timer_child_installing(struct ike_child *c);
void ike_timer_child_installed(struct ike_child *c);
void ike_timer_child_awaits_switch(struct ike_child *c);
void ike_timer_child_switched(struct ike_child *c);
void ike_timer_child_rekey_failed(struct ike_child *c, bool temporary);
void ike_timer_child_rekey_later(struct ike_child *c);
void ike_timer_child_replaced(struct ike_child *c, bool by_peer);
void ike_timer_child_revived(struct ike_child *c); /* not redundant any more */
void ike_timer_child_lingers(struct ike_child *c);
void ike_timer_child_resumed(struct ike_child *c);
void ike_timer_child_stop(struct ike_child *c);
void ike_timer_initiation_failed(struct ike_tunnel *t);
void ike_timer_child_creation_failed(struct ike_tunnel *t, bool temporary);
void ike_timer_tunnel_retry(struct ike_tunnel *t);
void ike_timer_settle(struct ike_tunnel *t);
void ike_timer_resources(struct ike_tunnel *t, struct mono at);
void ike_timer_resources_failed(struct ike_tunnel *t, bool temporary);
void ike_timer_resources_later(struct ike_tunnel *t); /* after what the peer wished */
void ike_timer_dp_lost(struct ike_tunnel *t);
void ike_timer_tunnel_stop(struct ike_tunnel *t);

#endif
