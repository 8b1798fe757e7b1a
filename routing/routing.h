/* SPDX-License-Identifier: Apache-2.0 */
/*
 * routing: which tunnel carries a prefix, as a sans-IO core: (event, now) -> actions.
 *
 * Prefixes have candidates: local networks, static routes of connections, blackholes, and what BGP
 * neighbours announce. A decision in numbered steps orders them; the tunnels of the candidates, in
 * that order, are the prefix's nexthop group. Groups are shared by all prefixes with the same order.
 * Whether a tunnel works is no part of the decision: it is a property of groups, so that a tunnel's
 * loss changes the groups that hold it and no prefix, however many stand behind it. What a neighbour
 * announced and lost is taken away at leisure afterwards. The plan is make-before-break: a group
 * gains its new first member before it loses the old one, and goes when no route points at it.
 *
 * A connection's prefixes may go by other names at its peer (base/translation.h). What the neighbour
 * announces and what is configured as the connection's static routes is in the peer's names, as are filters
 * of what comes in; they become ours before anything is kept. What the neighbour hears gets the peer's
 * names last. All else here is in ours.
 *
 * Actions tell the dataplane of tunnels and groups; routes are pulled by rt_next_routes() when the
 * ring has room, so that changes coalesce while it has none. What neighbours are to hear is given to
 * struct rt_export, which may be called from any function here that takes a struct rt that is not
 * const.
 */
#ifndef ROUTING_ROUTING_H
#define ROUTING_ROUTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/addr.h"
#include "base/mono.h"
#include "base/path.h"
#include "base/trace.h"
#include "base/translation.h"

#define RT_NAME_SIZE       32
#define RT_MAX_TUNNELS     2          /* of one connection */
#define RT_GROUP_TUNNELS   8          /* of one group */
#define RT_MAX_TUNNEL      (1u << 20) /* numbers lie below */
#define RT_MAX_TABLES      256u
#define RT_BATCH_MAX       144u       /* routes of one batch */
#define RT_TRANSLATE_MAX   16u        /* of one connection */
#define RT_GROUP_NONE      UINT32_MAX /* of a route operation: take the route away */
#define RT_GROUP_BLACKHOLE (UINT32_MAX - 1)
#define RT_GROUP_LOCAL                                                                             \
	(UINT32_MAX - 2) /* of another table than 0, to our own networks, which 0 has */
#define RT_TUNNEL_NONE UINT32_MAX

/* ------------------------------------------------------------ configuration */

enum rt_role {
	RT_ROLE_CUSTOMER, /* decides as the virtual private gateway does */
	RT_ROLE_VIRTUAL_PRIVATE,
	RT_ROLE_TRANSIT,
};

/* What stands at the other end of a connection; the lower, the more preferred (transit gateway). */
enum rt_attachment {
	RT_ATTACH_VPN = 0, /* the usual one */
	RT_ATTACH_DIRECT_CONNECT,
	RT_ATTACH_CONNECT,
	RT_ATTACH_VPN_PRIVATE,
	RT_ATTACH_CONCENTRATOR,
	RT_ATTACH_PEERING,
};

/* The first that matches decides; a list that is not empty refuses what none matches. */
struct rt_filter {
	struct ip_prefix prefix;
	uint8_t min_len, max_len; /* of prefixes within; 0 and 0: exactly `prefix` */
	bool permit;
};

struct rt_tunnel_cfg {
	char name[RT_NAME_SIZE];
	uint32_t tunnel; /* its number, stable with its name; its BGP neighbour's, too */
	char ifname[16];
	struct ip_prefix inside[2];
	uint32_t mtu;   /* 0 = the dataplane computes it */
	bool ibgp;      /* the neighbour is in our own AS */
	bool by_linux;  /* what it announces is what another daemon has put into Linux's table */
	uint16_t table; /* that its packets are looked up in: its connection's association */
	/* The same in all tunnels of a connection. */
	struct translation translate[RT_TRANSLATE_MAX];
	size_t n_translate;
};

/* Arrays are copied. */
struct rt_connection_cfg {
	char name[RT_NAME_SIZE];
	struct rt_tunnel_cfg tunnels[RT_MAX_TUNNELS]; /* in order of preference */
	size_t n_tunnels;
	const struct ip_prefix *prefixes; /* static, in the peer's names */
	size_t n_prefixes;
	struct mono_span
		revert_hold; /* a preferred tunnel must be up this long to take traffic back */
	enum rt_attachment attachment;
	/* The table that its packets are looked up in, and that it hears; and those that its routes go
	 * into, none given: the same one. */
	uint16_t association;
	const uint16_t *propagations;
	size_t n_propagations;
	bool no_propagation; /* into no table at all */
	const struct rt_filter *in, *out;
	size_t n_in, n_out;
	const struct ip_prefix *advertise; /* own networks that its neighbours hear of */
	size_t n_advertise;
	bool cloudhub;           /* its neighbours hear of what the other connections' announced */
	uint32_t max_advertised; /* prefixes, of each neighbour; 0: no limit */
};

struct rt_static_cfg { /* a route of one table */
	uint16_t table;
	struct ip_prefix prefix;
	char connection[RT_NAME_SIZE]; /* "": blackhole */
};

struct rt_aggregate_cfg {
	uint16_t table;
	struct ip_prefix prefix;
	bool summary_only; /* the neighbours hear of no longer prefix within */
};

struct rt_cfg {
	enum rt_role role;
	bool ecmp;        /* transit gateway: equal BGP paths share the traffic */
	bool ports_apart; /* table 0 has not all of our own networks by itself */
	const struct rt_connection_cfg *connections;
	size_t n_connections;
	const struct ip_prefix *local; /* networks that are ours, in every table */
	size_t n_local;
	const struct rt_static_cfg *statics;
	size_t n_statics;
	const struct rt_aggregate_cfg *aggregates;
	size_t n_aggregates;
	uint32_t max_groups; /* that the dataplane holds; 0: 4096 */
	/* Neighbours whose AS number is ours, for aggregates' attributes; 0: none. */
	uint32_t local_as, id;
};

/* ------------------------------------------------------------------ events */

enum rt_event_type {
	RT_EV_TICK,
	RT_EV_TUNNEL_UP, /* IKE: there is an outbound SA */
	RT_EV_TUNNEL_DOWN,
	RT_EV_BFD_UP,
	RT_EV_BFD_DOWN,
	RT_EV_BFD_ADMIN, /* BFD has no opinion (any more) */
	RT_EV_PROBE_UP,  /* ICMP inside the tunnel, for static connections */
	RT_EV_PROBE_DOWN,
	RT_EV_PROBE_NONE,
	RT_EV_BGP_UP, /* Established; rt_session_up() says the same */
	RT_EV_BGP_DOWN,
	RT_EV_DRAIN, /* move the traffic away, lose nothing */
	RT_EV_UNDRAIN,
	RT_EV_DP_RESULT,    /* answers an action's `request`, or a batch's */
	RT_EV_DP_RESTARTED, /* program everything again */
};

struct rt_event {
	enum rt_event_type type;
	struct mono now;
	uint32_t tunnel;  /* TUNNEL_*, BFD_*, PROBE_*, BGP_*, *DRAIN */
	uint32_t request; /* DP_RESULT */
	bool ok;          /* DP_RESULT */
	/* DP_RESULT of a batch that is not ok: bit i is set if its i-th route was refused; NULL: all.
	 * Borrowed until step returns. */
	const uint32_t *refused;
};

/* ----------------------------------------------------------------- actions */

enum rt_action_type {
	RT_ACT_TUNNEL_SET,
	RT_ACT_TUNNEL_DEL,
	RT_ACT_GROUP_SET,
	RT_ACT_GROUP_DEL,
	RT_ACT_SWITCHED, /* for people: the connection's traffic moved; from may be UINT32_MAX */
	/* The neighbour's MED goes below its usual one (on), because the connection's other tunnel is
	 * being drained; or back. */
	RT_ACT_PREFER,
	RT_ACT_REFRESH, /* ask the neighbour for its routes again (RFC 2918): filters or tables changed */
	RT_ACT_RESET,   /* the neighbour's session starts anew: prefixes have other names */
	RT_ACT_WARNING, /* for people, with a stable name */
};

struct rt_action {
	enum rt_action_type type;
	uint32_t request; /* every dataplane action wants an answer */
	union {
		struct rt_tunnel_cfg tunnel;
		struct {
			uint32_t group;
			size_t n;
			size_t n_ecmp; /* the first so many share the traffic; 1: no sharing */
			bool by_linux; /* routes to it came from Linux's table */
			uint32_t tunnels[RT_GROUP_TUNNELS];
		} group;
		struct {
			char connection[RT_NAME_SIZE];
			uint32_t from, to; /* tunnels; UINT32_MAX = none */
		} switched;
		struct {
			uint32_t tunnel;
			bool on;
		} prefer;
		struct {
			uint32_t tunnel;
		} refresh, reset;
		struct {
			const char *name; /* "advertise-limit", "group-limit" */
			uint32_t tunnel;
			char text[200];
		} warning;
	};
};

/* A growing array that the caller owns. */
struct rt_out {
	struct rt_action *actions;
	size_t n, size;
	bool overflow; /* out of memory: the plan is incomplete and must be made again */
};
void rt_out_fini(struct rt_out *out);

/* ------------------------------------------------------------------ export */

/* What neighbours are to hear from now on. May not call back into the core. */
struct rt_export {
	void *ctx;
	/* `path` NULL takes the prefix back, which it may never have been told of. The callee takes
	 * references of its own. False: out of memory; it is told again when the session comes anew. */
	bool (*advertise)(void *ctx, uint32_t tunnel, const struct ip_prefix *prefix,
			  struct path *path);
	/* Everything of the family was said. */
	void (*advertise_end)(void *ctx, uint32_t tunnel, bool v6);
};

/* ---------------------------------------------------------------- the core */

struct rt;
/* `paths` outlives the core. `seed`: unpredictable, so that nobody can choose prefixes that collide.
 * `ex` may be NULL. */
struct rt *rt_new(struct path_store *paths, uint64_t seed, const struct rt_export *ex,
		  const struct tracer *tracer);
void rt_free(struct rt *rt);
/* Replaces the whole configuration by difference: what is equal is left untouched. False: out of
 * memory, nothing was changed; or the plan is incomplete (out->overflow). */
bool rt_configure(struct rt *rt, const struct rt_cfg *cfg, struct mono now, struct rt_out *out);
void rt_step(struct rt *rt, const struct rt_event *ev, struct rt_out *out);
/* Due at once while there is work left: a RT_EV_TICK does a bounded part of it. */
struct mono rt_deadline(const struct rt *rt);

/* ------------------------------------------------------- from BGP's sink */

/*
 * Each of `nlri` now has the attributes `path` in the neighbour's announcements. Returns how many of
 * them it had not announced before. What the connection's filter refuses is not kept and not counted.
 */
size_t rt_announce(struct rt *rt, uint32_t tunnel, const struct path_nlri *nlri, size_t n,
		   struct path *path);
/* Returns how many of them were there. */
size_t rt_withdraw(struct rt *rt, uint32_t tunnel, const struct path_nlri *nlri, size_t n);
/* RFC 4724 4.2: the routes of a family are kept, but stale. */
void rt_stale(struct rt *rt, uint32_t tunnel, bool v6);
/* Drops a family's routes, all or the stale ones. Takes the same time however many there are: they
 * do not count from now on and go in later steps. Returns how many are left. */
size_t rt_purge(struct rt *rt, uint32_t tunnel, bool v6, bool only_stale);
/* The session stands: what the neighbour may hear is exported in this and later steps. */
void rt_session_up(struct rt *rt, uint32_t tunnel);
void rt_end_of_rib(struct rt *rt, uint32_t tunnel, bool v6);

/* --------------------------------------------------- routes to the dataplane */

struct rt_route_op {
	struct ip_prefix prefix;
	uint16_t table;
	uint32_t group; /* or RT_GROUP_NONE, RT_GROUP_BLACKHOLE */
};

/*
 * The next changes of routes, at most `max` and RT_BATCH_MAX, as one batch that the dataplane answers
 * with RT_EV_DP_RESULT of `*request`. To be asked after the actions of the last step were sent: routes
 * name groups that those set. 0: nothing to do, too many batches unanswered, or a bounded number of
 * prefixes was looked at and none had changed: then rt_deadline() is due at once, and it is asked again.
 */
size_t rt_next_routes(struct rt *rt, struct rt_route_op *ops, size_t max, uint32_t *request);
/* Routes that wait for rt_next_routes(). */
size_t rt_routes_waiting(const struct rt *rt);

/* --------------------------------------------------------------- decision */

/* X(NAME, "text"): in this order. A candidate is out at the first step at which another is better. */
#define RT_STEPS(X)                                                                                \
	X(LOCAL, "a local network wins")                                                           \
	X(SOURCE, "kind of route")                                                                 \
	X(LOCAL_PREF, "higher local preference")                                                   \
	X(AS_PATH, "shorter AS_PATH")                                                              \
	X(ORIGIN, "lower origin")                                                                  \
	X(MED, "lower MED")                                                                        \
	X(EBGP, "eBGP before iBGP")                                                                \
	X(CONNECTION, "earlier connection of the configuration")                                   \
	X(TUNNEL, "the connection's order of tunnels")                                             \
	X(PATH_ID, "lower path identifier")

enum rt_decision_step {
	RT_STEP_NONE, /* nothing had to be decided: the only candidate */
#define X(name, text) RT_STEP_##name,
	RT_STEPS(X)
#undef X
		RT_STEP_END,
};
const char *rt_decision_step_name(enum rt_decision_step s);

enum rt_source {
	RT_SOURCE_LOCAL,
	RT_SOURCE_STATIC,
	RT_SOURCE_BLACKHOLE,
	RT_SOURCE_BGP,
	RT_SOURCE_LINUX, /* another daemon's */
};
const char *rt_source_name(enum rt_source s);

/* -------------------------------------------------------------------- show */

struct rt_show_route {
	struct ip_prefix prefix;
	uint16_t table;
	char connection[RT_NAME_SIZE]; /* of the tunnel that carries it, or would */
	const char *source;            /* "static", "bgp", "local", "blackhole" */
	/* As the peer of that tunnel calls it; family IP_NONE: likewise. */
	struct ip_prefix there;
	uint32_t group;          /* or RT_GROUP_* */
	uint32_t tunnel;         /* that carries it now; UINT32_MAX = none: dropped and counted */
	const struct path *path; /* of the best candidate; NULL: not from BGP */
	size_t n_candidates;
	/* The tunnels of its group that work: the first n_sharing share the traffic where there are more
	 * than one, the others stand behind them. */
	uint32_t members[RT_GROUP_TUNNELS];
	size_t n_members, n_sharing;
	bool stale;     /* the best candidate's neighbour restarts (RFC 4724) */
	bool installed; /* acknowledged by the dataplane */
};
/* In order of tables and prefixes; ends when `fn` returns false. */
void rt_show_routes(const struct rt *rt, bool (*fn)(void *ctx, const struct rt_show_route *r),
		    void *ctx);
/*
 * The same bit by bit and in no order: a prefix that stands there all the while is shown once. Between
 * two calls anything may change.
 */
struct rt_page {
	uint32_t next;     /* where to go on: 0 at first, RT_PAGE_END after the last */
	size_t max_visits; /* prefixes that are looked at in one call */
	bool one_table;    /* only `table` */
	uint16_t table;
	struct ip_prefix within; /* only what lies within; family IP_NONE: everything */
};
#define RT_PAGE_END UINT32_MAX
void rt_show_page(const struct rt *rt, struct rt_page *page,
		  bool (*fn)(void *ctx, const struct rt_show_route *r), void *ctx);
/* One prefix. False: there is no such route. */
bool rt_show_route(const struct rt *rt, uint16_t table, const struct ip_prefix *prefix,
		   struct rt_show_route *out);

struct rt_candidate {
	enum rt_source source;
	uint32_t tunnel; /* RT_TUNNEL_NONE: local, blackhole */
	char connection[RT_NAME_SIZE];
	uint32_t path_id;
	const struct path *path;
	struct ip_prefix there;   /* as the tunnel's peer calls it; family IP_NONE: likewise */
	uint32_t local_pref, med; /* as they count */
	bool stale, usable;       /* usable: the tunnel can carry it now */
	bool best;
	/* The best one: at which the last other one went; the others: at which they went. */
	enum rt_decision_step step;
};
/* Every candidate of the prefix, the best first. False: there is no such route. */
bool rt_explain(struct rt *rt, uint16_t table, const struct ip_prefix *prefix,
		bool (*fn)(void *ctx, const struct rt_candidate *c), void *ctx);
/* What one neighbour has announced and the filter let pass, by pages as above; each prefix once,
 * whatever tables it went into. */
void rt_show_received(const struct rt *rt, uint32_t tunnel, struct rt_page *page,
		      bool (*fn)(void *ctx, const struct ip_prefix *prefix,
				 const struct rt_candidate *c),
		      void *ctx);
/* The longest prefix of the table that holds the address and has a route. */
bool rt_lookup(const struct rt *rt, uint16_t table, const struct ip_addr *a,
	       struct ip_prefix *prefix);

struct rt_what_if {
	uint32_t group;
	size_t n_prefixes; /* that point at it */
	uint32_t from, to; /* tunnels; RT_TUNNEL_NONE: none, dropped */
};
/* What would happen if the tunnel were down: the groups whose traffic, or a share of it, would move. */
void rt_what_if(const struct rt *rt, uint32_t tunnel,
		bool (*fn)(void *ctx, const struct rt_what_if *w), void *ctx);

struct rt_show_tunnel {
	bool up, ike_up, bfd_down, probe_down, bgp_up, draining;
	size_t accepted[2]; /* BGP routes, v4 and v6 */
	size_t stale[2];
	uint32_t refused;    /* announcements that a filter or a limit refused */
	uint32_t advertised; /* prefixes; counted where there is a limit */
};
bool rt_show_tunnel(const struct rt *rt, uint32_t tunnel, struct rt_show_tunnel *out);

/* Each connection with the tunnel that carries its traffic; RT_TUNNEL_NONE: none. */
void rt_show_connections(const struct rt *rt,
			 bool (*fn)(void *ctx, const char *connection, uint32_t tunnel), void *ctx);

struct rt_show_stats {
	size_t n_prefixes, n_candidates, n_groups;
	size_t n_waiting;    /* prefixes that the dataplane is to be told of */
	size_t n_unanswered; /* prefixes that it was told of */
	size_t n_refused;    /* how often it has refused one */
	size_t bytes;        /* of memory for prefixes and candidates, without paths */
};
void rt_show_stats(const struct rt *rt, struct rt_show_stats *out);

#endif
