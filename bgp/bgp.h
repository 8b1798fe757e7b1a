/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BGP-4 (RFC 4271) as a sans-IO core: (event, now) -> actions.
 *
 * One `struct bgp` is one speaker with its neighbours, eBGP and iBGP, IPv4 and IPv6 unicast. It
 * never touches a socket, clock or random source: the caller connects, accepts, reads, writes and
 * tells. Routes do not pass through actions: what neighbours announce goes to a sink at once
 * (struct bgp_sink), and what they are to hear comes by bgp_advertise(). The core keeps what it
 * has told each neighbour, not what it has heard: choosing is the sink's business.
 *
 * Invariants
 *   - Malformed input has the outcome of RFC 7606's table and no other: the session falls only
 *     where a message's end cannot be found or a family cannot be told.
 *   - A neighbour's transport may stall or end at any byte: memory per neighbour is bounded, and
 *     a neighbour that does not read is closed by the send hold timer (RFC 9687).
 *   - One neighbour's faults never reach another's session.
 * Non-goals: route reflection, confederations, other address families, add-path in sending.
 */
#ifndef BGP_BGP_H
#define BGP_BGP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/addr.h"
#include "base/mono.h"
#include "base/path.h"
#include "base/trace.h"

#define BGP_NAME_SIZE    32 /* with NUL */
#define BGP_TEXT_SIZE    256
#define BGP_MESSAGE_MAX  4096
#define BGP_EXTENDED_MAX 65535 /* RFC 8654 */
#define BGP_SHUTDOWN_MAX 255   /* RFC 9003: bytes of the text */
#define BGP_PASSWORD_MAX 80    /* TCP-MD5 (RFC 2385), as Linux has it */
#define BGP_UNSENT_MAX                                                                             \
	(256u * 1024) /* bytes that one connection may have handed out, not yet sent */
#define BGP_AS_TRANS  23456u
#define BGP_CONN_NONE UINT32_MAX

enum bgp_family {
	BGP_IPV4_UNICAST,
	BGP_IPV6_UNICAST,
	BGP_N_FAMILIES,
};

enum bgp_role { /* RFC 9234 4.1, what the local side is */
		BGP_ROLE_PROVIDER = 0,
		BGP_ROLE_RS = 1,
		BGP_ROLE_RS_CLIENT = 2,
		BGP_ROLE_CUSTOMER = 3,
		BGP_ROLE_PEER = 4,
		BGP_ROLE_NONE = 255,
};

struct bgp_neighbor_cfg {
	char name[BGP_NAME_SIZE];
	uint32_t
		neighbor; /* the number that stays with the name; the tunnel's, where it is one's */
	struct ip_addr local, remote;
	/* Where the neighbour is to send a family's packets: our inside addresses; or IP_NONE. */
	struct ip_addr next_hop[BGP_N_FAMILIES];
	struct ip_prefix
		inside[2]; /* networks that a next hop must lie in (eBGP); family IP_NONE: none */
	uint32_t local_as, remote_as; /* remote_as 0: any (then the OPEN decides) */
	bool passive;                 /* never connects */
	bool multihop;                /* next hops need not be on the inside network */
	uint8_t ttl_security;         /* RFC 5082: hops, 1 = directly connected; 0 = off */
	bool has_password;            /* the caller keeps it and sets TCP-MD5 on its sockets */
	struct mono_span hold; /* 0, or 3 s and more; RFC 4271 10 suggests 90 s, AWS uses 30 s */
	struct mono_span connect_retry;
	struct mono_span send_hold;        /* RFC 9687; 0: twice the hold time or 8 minutes */
	struct mono_span graceful_restart; /* what we ask for (RFC 4724); 0: we do not offer it */
	struct mono_span stale_max;        /* how long a neighbour's routes may be stale */
	bool families[BGP_N_FAMILIES];
	bool extended_messages; /* RFC 8654 */
	bool add_path_receive;  /* RFC 7911 */
	uint8_t role;           /* enum bgp_role */
	bool role_strict;
	struct {
		uint32_t max; /* 0: no limit */
		uint8_t warn_percent;
		bool warn_only;
		struct mono_span restart; /* 0: stays down until an operator acts */
	} prefixes[BGP_N_FAMILIES];
	/* What is added to routes on their way out, the tunnel's own preference. */
	bool has_med;
	uint32_t med;
	uint8_t prepend;        /* our AS, so many times more */
	bool graceful_shutdown; /* RFC 8326: announce with the community 65535:0 */
	bool next_hop_self;     /* iBGP; always so for eBGP */
};

struct bgp_cfg {
	uint32_t id;     /* host byte order; RFC 6286: not 0 */
	bool restarting; /* RFC 4724 4.1: this speaker has restarted and kept its forwarding state */
	const struct bgp_neighbor_cfg *neighbors;
	size_t n_neighbors;
};

/* ------------------------------------------------------------------- sink */

/* Who holds the routes. Called from within bgp_step(); must not call back into the core but for
 * bgp_advertise(). */
struct bgp_sink {
	void *ctx;
	/*
	 * Each of `nlri` now has the attributes `path`; the sink takes references of its own. Returns
	 * how many of them the neighbour had not announced before: prefixes are counted by it.
	 */
	size_t (*announce)(void *ctx, uint32_t neighbor, const struct path_nlri *nlri, size_t n,
			   struct path *path);
	/* Returns how many of them were there. */
	size_t (*withdraw)(void *ctx, uint32_t neighbor, const struct path_nlri *nlri, size_t n);
	/* The session stands: the sink calls bgp_advertise() for everything that the neighbour may
	 * hear, now or bit by bit, then bgp_advertise_end() for each family. */
	void (*up)(void *ctx, uint32_t neighbor);
	/* RFC 4724 4.2: keep the routes of a family, marked as stale. */
	void (*stale)(void *ctx, uint32_t neighbor, enum bgp_family f);
	/* Drop the family's routes: all, or the stale ones only. Returns how many are left. */
	size_t (*purge)(void *ctx, uint32_t neighbor, enum bgp_family f, bool only_stale);
	/* The neighbour has sent everything it has (End-of-RIB). */
	void (*end_of_rib)(void *ctx, uint32_t neighbor, enum bgp_family f);
};

/* ----------------------------------------------------------------- events */

enum bgp_event_type {
	BGP_EV_TICK,      /* bgp_deadline() has come */
	BGP_EV_START,     /* ManualStart, or the tunnel beneath is there */
	BGP_EV_STOP,      /* ManualStop: Cease/2 with the text; stays down */
	BGP_EV_RESET,     /* Cease/4, then again */
	BGP_EV_REFRESH,   /* ask the neighbour for a family again */
	BGP_EV_LINK_DOWN, /* the tunnel beneath is gone, or BFD says so (RFC 9384): at once */
	BGP_EV_CONNECTED, /* answers BGP_ACT_CONNECT; the caller numbers the connection */
	BGP_EV_ACCEPTED,  /* a connection came in, likewise numbered */
	BGP_EV_CLOSED,    /* it was closed or has failed; BGP_CONN_NONE: it could not be made */
	BGP_EV_DATA,
	BGP_EV_SENT, /* so many more bytes of BGP_ACT_SEND have left */
};

struct bgp_event {
	enum bgp_event_type type;
	struct mono now;
	uint32_t neighbor; /* all but ACCEPTED, DATA and SENT */
	uint32_t conn;     /* CONNECTED, ACCEPTED, CLOSED, DATA, SENT */
	union {
		struct {
			struct ip_addr local, remote;
		} accepted;
		struct {
			const uint8_t *bytes; /* borrowed until step returns */
			size_t size;
		} data;
		size_t sent;
		enum bgp_family family;          /* REFRESH */
		char text[BGP_SHUTDOWN_MAX + 1]; /* STOP: RFC 9003; CLOSED: why, for people */
		bool by_bfd;                     /* LINK_DOWN */
	};
};

/* ---------------------------------------------------------------- actions */

enum bgp_action_type {
	BGP_ACT_CONNECT, /* to the neighbour's port 179 */
	BGP_ACT_SEND,
	/* After what is unsent, if the peer still reads. BGP_CONN_NONE: give up connecting. The core
	 * wants to hear no more of it. */
	BGP_ACT_CLOSE,
	BGP_ACT_UP, /* Established */
	BGP_ACT_DOWN,
	BGP_ACT_EVENT, /* something worth telling people */
};

struct bgp_action {
	enum bgp_action_type type;
	uint32_t neighbor;
	uint32_t conn;
	union {
		struct {
			const uint8_t *bytes; /* borrowed until the next step */
			size_t size;
		} send;
		struct {
			const char *name; /* stable: "bgp-up", "bgp-prefix-limit", ... */
			enum log_level level;
			char text[BGP_TEXT_SIZE];
		} event;
	};
};

struct bgp_out {
	struct bgp_action *actions;
	size_t n, size;
	bool overflow; /* out of memory */
};
void bgp_out_reset(struct bgp_out *out);
void bgp_out_fini(struct bgp_out *out);

/* -------------------------------------------------------------- the core */

struct bgp;
/* `random`: unpredictable or pseudo-random numbers for jitter (RFC 4271 10). */
struct bgp *bgp_new(struct path_store *paths, const struct bgp_sink *sink,
		    uint32_t (*random)(void *ctx), void *random_ctx, const struct tracer *tracer);
void bgp_free(struct bgp *b);
/*
 * Replaces the whole configuration by difference: neighbours that are equal are left untouched,
 * what can change in a session does (limits, MED, prepending, texts), the rest resets it (Cease/6).
 */
bool bgp_configure(struct bgp *b, const struct bgp_cfg *cfg, struct mono now, struct bgp_out *out);
void bgp_step(struct bgp *b, const struct bgp_event *ev, struct bgp_out *out);
struct mono bgp_deadline(const struct bgp *b);
/*
 * Connections are numbered by the caller, densely: the core keeps a table of them (file descriptors
 * serve). A number belongs to one connection until its BGP_ACT_CLOSE or BGP_EV_CLOSED.
 */

/*
 * What a neighbour is to hear from now on: `path` NULL takes the prefix back. The core applies what
 * RFC 4271 5.1 and the neighbour's configuration demand (next hop, our AS, MED, RFC 9234's OTC),
 * leaves out what may not be said (RFC 1997 NO_EXPORT, a path that holds the neighbour's AS; that
 * what came by iBGP does not go to iBGP is the sink's duty), and packs prefixes with equal attributes together. Updates leave with the next
 * step's actions (a BGP_EV_TICK is due at once). False: out of memory.
 */
bool bgp_advertise(struct bgp *b, uint32_t neighbor, const struct ip_prefix *prefix,
		   struct path *path);
/* Everything of the family was said: End-of-RIB follows (RFC 4724 2), once in a session. */
void bgp_advertise_end(struct bgp *b, uint32_t neighbor, enum bgp_family f);

/* ------------------------------------------------------------------- show */

enum bgp_state { /* RFC 4271 8.2.2 */
		 BGP_IDLE,
		 BGP_CONNECT,
		 BGP_ACTIVE,
		 BGP_OPEN_SENT,
		 BGP_OPEN_CONFIRM,
		 BGP_ESTABLISHED,
};
const char *bgp_state_name(enum bgp_state s);

/* X(NAME, "text-name"): what is wrong with input, counted for each neighbour. */
#define BGP_FAULTS(X)                                                                              \
	X(HEADER, "header")                                                                        \
	X(OPEN, "open")                                                                            \
	X(UPDATE_RESET, "update-session-reset")                                                    \
	X(UPDATE_WITHDRAW, "update-treated-as-withdraw")                                           \
	X(UPDATE_DISCARD, "update-attribute-discarded")                                            \
	X(OWN_AS, "own-as-in-path")                                                                \
	X(NEXT_HOP, "next-hop-not-connected")                                                      \
	X(OTC, "otc-leak")                                                                         \
	X(FSM, "unexpected-message")                                                               \
	X(HOLD, "hold-timer")                                                                      \
	X(SEND_HOLD, "send-hold-timer")                                                            \
	X(PREFIX_LIMIT, "prefix-limit")                                                            \
	X(COLLISION, "connection-collision")                                                       \
	X(REFRESH, "refresh-malformed")                                                            \
	X(RESOURCES, "out-of-resources")

enum bgp_fault {
#define X(name, text) BGP_FAULT_##name,
	BGP_FAULTS(X)
#undef X
		BGP_FAULT_END,
};
const char *bgp_fault_name(enum bgp_fault f);

struct bgp_show_neighbor {
	const struct bgp_neighbor_cfg *cfg;
	enum bgp_state state;
	struct mono since; /* of this state */
	uint32_t remote_as, remote_id;
	struct mono_span hold, keepalive; /* negotiated */
	bool families[BGP_N_FAMILIES];    /* negotiated */
	bool four_octet_as, route_refresh, enhanced_refresh, extended_messages, graceful_restart,
		graceful_notification;
	bool add_path[BGP_N_FAMILIES];
	bool restarting[BGP_N_FAMILIES]; /* its routes are stale */
	uint32_t received[BGP_N_FAMILIES], advertised[BGP_N_FAMILIES];
	uint64_t messages_in, messages_out, updates_in, updates_out;
	uint64_t faults[BGP_FAULT_END];
	uint32_t flaps;
	char last_error[BGP_TEXT_SIZE]; /* "hold timer expired", "peer sent Cease/2: maintenance" */
};
/* False: no such neighbour. Pointers are valid until the next call. */
bool bgp_show(const struct bgp *b, uint32_t neighbor, struct bgp_show_neighbor *out);
/*
 * What a neighbour has been told, in no order and bit by bit: from *next on, 0 at first, until `fn`
 * returns false or a bit later. False: that was the last. What stands there all the while is shown, and
 * twice at most, if much came to it between two calls.
 */
bool bgp_show_advertised(const struct bgp *b, uint32_t neighbor, size_t *next,
			 bool (*fn)(void *ctx, const struct ip_prefix *prefix,
				    const struct path *path),
			 void *ctx);

#endif
