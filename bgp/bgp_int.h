/* SPDX-License-Identifier: Apache-2.0 */
/* bgp_int: the structs behind bgp.h, and what the files of bgp/ share. */
#ifndef BGP_BGP_INT_H
#define BGP_BGP_INT_H

#include "base/heap.h"
#include "base/rd.h"
#include "base/wr.h"
#include "bgp/bgp.h"
#include "bgp/wire.h"

#define BGP_NLRI_BATCH 256 /* prefixes that are handed to the sink at a time */

/* A NOTIFICATION: to be sent, or as received. */
struct bgp_fault_report {
	uint8_t code, subcode; /* code 0: none */
	uint8_t data[BGP_SHUTDOWN_MAX + 3];
	size_t data_size;
};

static inline struct bgp_fault_report bgp_report(uint8_t code, uint8_t subcode)
{
	return (struct bgp_fault_report){.code = code, .subcode = subcode};
}

/* ------------------------------------------------------------ open.c: OPEN */

/* What an OPEN message says (RFC 4271 4.2 and the capabilities). */
struct bgp_open {
	uint16_t hold_s;
	uint32_t as, id;
	bool four_octet_as;
	bool families[BGP_N_FAMILIES];
	bool route_refresh, enhanced_refresh, extended_messages;
	bool extended_next_hop; /* RFC 8950: IPv4 prefixes with an IPv6 next hop */
	bool graceful_restart, restarting, graceful_notification;
	uint16_t restart_s;
	bool gr_family[BGP_N_FAMILIES], gr_forwarding[BGP_N_FAMILIES];
	bool add_path_sends[BGP_N_FAMILIES];
	uint8_t role; /* enum bgp_role */
};
/* `r`: what follows the header. False: `report` says what to answer. */
bool bgp_open_parse(struct rd r, struct bgp_open *out, struct bgp_fault_report *report);

struct bgp_neighbor;
/* Our OPEN to a neighbour; header included. */
void bgp_open_build(struct wr *w, uint32_t id, const struct bgp_neighbor *n);

/* ---------------------------------------------------- attribute.c: UPDATE */

/* What is to be done about an UPDATE, the worse the higher (RFC 7606 2). */
enum bgp_outcome {
	BGP_OUTCOME_OK,
	BGP_OUTCOME_DISCARD,  /* of an attribute: the rest stands */
	BGP_OUTCOME_WITHDRAW, /* its routes are taken as withdrawn */
	BGP_OUTCOME_RESET,
};

/* How a session reads attributes. */
struct bgp_attr_context {
	bool internal;
	bool four_octet_as;
	bool families[BGP_N_FAMILIES];
	bool add_path[BGP_N_FAMILIES];
	bool extended_next_hop;
	uint32_t neighbor_as;
};

struct bgp_attrs {
	struct path_facts facts;
	bool has_origin, has_as_path, has_next_hop;
	bool has_reach, has_unreach; /* MP_*, of a family that was negotiated */
	bool any_reach, any_unreach; /* MP_*, whatever the family */
	enum bgp_family reach_family, unreach_family;
	struct ip_addr reach_next_hop, reach_link_local;
	struct rd reach, unreach; /* NLRI */
	bool any_other;           /* an attribute beside MP_UNREACH */
	/* The variable parts, ready for path_intern(). */
	struct wr parts;
	enum bgp_outcome outcome;
	uint8_t bad_attribute; /* the first that was malformed */
	struct bgp_fault_report report;
};
/* `parts`: PATH_BYTES_MAX bytes at least, the caller's. */
void bgp_attrs_parse(struct rd r, const struct bgp_attr_context *c, uint8_t *parts,
		     struct bgp_attrs *out);

/* -------------------------------------------------------------- nlri.c */

/* The next prefix; false at the end or, with *bad, where the bytes are none. */
bool bgp_nlri_next(struct rd *r, enum bgp_family f, bool add_path, struct path_nlri *out,
		   bool *bad);
/* True if all of it can be read. */
bool bgp_nlri_check(struct rd r, enum bgp_family f, bool add_path);
size_t bgp_nlri_size(const struct ip_prefix *p);
void bgp_nlri_put(struct wr *w, const struct ip_prefix *p);
bool bgp_family_of(uint16_t afi, uint8_t safi, enum bgp_family *out);
void bgp_family_put(struct wr *w, enum bgp_family f); /* AFI, SAFI */
static inline enum bgp_family bgp_family_of_prefix(const struct ip_prefix *p)
{
	return p->addr.family == IP_V4 ? BGP_IPV4_UNICAST : BGP_IPV6_UNICAST;
}

/* ------------------------------------------------------------- the core */

enum bgp_conn_state {
	BGP_CONN_OPEN_SENT,
	BGP_CONN_OPEN_CONFIRM,
	BGP_CONN_ESTABLISHED,
};

struct bgp_conn {
	struct bgp_neighbor *neighbor;
	uint32_t number;
	bool outgoing;
	enum bgp_conn_state state;
	struct bgp_open peer; /* from OPEN_CONFIRM on */
	struct mono_span hold, keepalive;
	struct mono hold_at, keepalive_at, send_hold_at;
	size_t unsent;                   /* handed out, not yet sent */
	bool ended[BGP_N_FAMILIES];      /* the peer's End-of-RIB has come */
	bool refreshing[BGP_N_FAMILIES]; /* its BoRR has, and no EoRR yet (RFC 7313) */
	uint8_t *rx;                     /* a message that has not come whole */
	size_t rx_n, rx_size;
};

/* What a neighbour was told of one prefix, or is to be told next. */
struct bgp_told {
	struct bgp_told *next;         /* in its bucket */
	struct bgp_told *next_pending; /* in the order of bgp_advertise() */
	struct ip_prefix prefix;
	bool pending;
	bool said;         /* the neighbour has heard of it */
	struct path *path; /* NULL: to be withdrawn */
};

struct bgp_adj_out {
	struct bgp_told **buckets;
	size_t n_buckets, n;
	struct bgp_told *first, **last;  /* pending */
	uint32_t count[BGP_N_FAMILIES];  /* that stand */
	bool end[BGP_N_FAMILIES];        /* End-of-RIB follows when nothing is pending */
	bool ended[BGP_N_FAMILIES];      /* it was sent */
	bool refresh[BGP_N_FAMILIES];    /* RFC 7313: asked for, not begun */
	bool refreshing[BGP_N_FAMILIES]; /* between BoRR and EoRR */
};

struct bgp_neighbor {
	struct bgp *bgp;
	struct bgp_neighbor_cfg cfg;
	struct heap_node timer;
	bool started;    /* by the operator or the tunnel; else Idle */
	bool connecting; /* an outgoing connection is being made */
	struct bgp_conn *conns[2];
	struct bgp_conn *up;       /* the one that is Established */
	struct mono blocked_until; /* after the prefix limit; MONO_NEVER: for an operator to end */
	struct mono connect_at;    /* ConnectRetryTimer, or the end of a pause after a fault */
	struct mono restart_at;    /* RFC 4724 4.2: the peer must be back */
	struct mono stale_at;      /* and must have sent its End-of-RIB */
	struct mono since;         /* of `state` */
	struct mono warn_at;       /* events of malformed input: not before */
	enum bgp_state state;      /* as last told */
	unsigned failures;         /* in a row: the pause grows */
	bool was_up;               /* since the start of the core */
	bool families[BGP_N_FAMILIES]; /* negotiated */
	bool stale[BGP_N_FAMILIES];
	bool warned[BGP_N_FAMILIES];
	uint32_t received[BGP_N_FAMILIES];
	struct bgp_adj_out adj_out;
	uint64_t messages_in, messages_out, updates_in, updates_out;
	uint64_t faults[BGP_FAULT_END];
	uint32_t flaps;
	uint32_t last_as, last_id;
	char last_error[BGP_TEXT_SIZE];
};

/* Bytes of BGP_ACT_SEND: blocks that stay where they are until the next step. */
struct bgp_block {
	struct bgp_block *next;
	size_t n;
	uint8_t bytes[2 * BGP_EXTENDED_MAX];
};

struct bgp {
	struct path_store *paths;
	struct bgp_sink sink;
	uint32_t (*random)(void *ctx);
	void *random_ctx;
	const struct tracer *tracer;
	uint32_t id;
	bool restarting;
	struct mono restart_until;       /* the R bit is set until then */
	struct bgp_neighbor **neighbors; /* sorted by number */
	size_t n_neighbors;
	struct bgp_conn **conns; /* by number */
	size_t n_conns;
	struct heap timers;
	struct bgp_block *blocks;
	struct mono now; /* of the step */
	uint64_t unknown_neighbors;
	uint8_t parts[PATH_BYTES_MAX + 1];
};

/* out.c */
struct bgp_action *bgp_action_add(struct bgp_out *out, enum bgp_action_type type,
				  const struct bgp_neighbor *n);
void bgp_event_add(struct bgp_out *out, const struct bgp_neighbor *n, const char *name,
		   enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
/* A writer for one message of at most `size` bytes; bgp_message_send() takes what was
 * written. Overflow: out of memory. */
struct wr bgp_message_begin(struct bgp *b, size_t size, uint8_t type);
void bgp_message_send(struct bgp_conn *c, struct wr *w, struct bgp_out *out);

/* notification.c: text for people */
const char *bgp_report_format(const struct bgp_fault_report *r, char *buf, size_t size);

/* conn.c: connections and the messages on them */
struct bgp_conn *bgp_conn_of(const struct bgp *b, uint32_t number);
/* A new connection, with our OPEN on its way; NULL: out of memory, and the caller's is closed. */
struct bgp_conn *bgp_conn_new(struct bgp_neighbor *n, uint32_t number, bool outgoing,
			      struct bgp_out *out);
/* Forgets it; `close`: the caller is to close it. */
void bgp_conn_drop(struct bgp_conn *c, bool close, struct bgp_out *out);
void bgp_conn_notify(struct bgp_conn *c, const struct bgp_fault_report *report,
		     struct bgp_out *out);
void bgp_conn_keepalive(struct bgp_conn *c, struct bgp_out *out);
/* Bytes of the stream, cut into messages for the state machine. */
void bgp_conn_data(struct bgp_conn *c, const uint8_t *data, size_t size, struct bgp_out *out);
/* RFC 9687 4: how long a peer may leave us unread. */
struct mono_span bgp_send_hold(const struct bgp_conn *c);
/* RFC 4271 10: 75 to 100 % of it. */
struct mono_span bgp_jitter(struct bgp *b, struct mono_span d);

/* fsm.c: RFC 4271 8 */
void bgp_fsm_start(struct bgp_neighbor *n);
void bgp_fsm_accepted(struct bgp_neighbor *n, uint32_t number, struct bgp_out *out);
void bgp_fsm_connected(struct bgp_neighbor *n, uint32_t number, struct bgp_out *out);
void bgp_fsm_closed(struct bgp_neighbor *n, struct bgp_conn *c, const char *why,
		    struct bgp_out *out);
/* One whole message whose header is in order. False: the connection is gone. */
bool bgp_fsm_message(struct bgp_conn *c, uint8_t type, struct rd body, struct bgp_out *out);
void bgp_fsm_timers(struct bgp_neighbor *n, struct bgp_out *out);
/* Ends every connection, with this report if there is one, because we want it so. */
void bgp_fsm_end(struct bgp_neighbor *n, const struct bgp_fault_report *report, const char *why,
		 struct bgp_out *out);
/* The same when BFD is down; what the peer announced may stay for a moment. */
void bgp_fsm_bfd_down(struct bgp_neighbor *n, struct bgp_out *out);
/* Ends one connection because of what the peer did or failed to do. */
void bgp_fsm_fault(struct bgp_conn *c, enum bgp_fault fault, const struct bgp_fault_report *report,
		   struct bgp_out *out);
/* Drops a family's routes, all or the stale ones, and counts what is left. */
void bgp_fsm_purge(struct bgp_neighbor *n, enum bgp_family f, bool only_stale);
/* Sets the neighbour's timer to its earliest deadline, and tells of a new state. */
void bgp_fsm_settle(struct bgp_neighbor *n);

/* bgp.c */
struct bgp_neighbor *bgp_neighbor_of(const struct bgp *b, uint32_t number);

/* update.c: an UPDATE's body on the established connection. False: the connection is gone. */
bool bgp_update_receive(struct bgp_conn *c, struct rd body, struct bgp_out *out);
bool bgp_refresh_receive(struct bgp_conn *c, struct rd body, struct bgp_out *out);

/* adj_out.c, advertise.c */
void bgp_adj_out_init(struct bgp_adj_out *a);
void bgp_adj_out_clear(struct bgp *b, struct bgp_adj_out *a);
bool bgp_adj_out_set(struct bgp *b, struct bgp_adj_out *a, const struct ip_prefix *p,
		     struct path *path);
/* The next that is to be said, now no longer pending; NULL: none. */
struct bgp_told *bgp_adj_out_next(struct bgp_adj_out *a);
/* Forgets a prefix that is not pending. */
void bgp_adj_out_drop(struct bgp *b, struct bgp_adj_out *a, struct bgp_told *t);
/* Everything of the family is to be said again (RFC 2918). */
void bgp_adj_out_again(struct bgp_adj_out *a, enum bgp_family f);
/* Asks for a family again, if the peer knows how. */
void bgp_refresh_request(struct bgp_conn *c, enum bgp_family f, struct bgp_out *out);
/* Whether something can be said now. */
bool bgp_adj_out_due(const struct bgp_adj_out *a);
/* As many UPDATEs as the connection may take now. */
void bgp_advertise_run(struct bgp_neighbor *n, struct bgp_out *out);

#endif
