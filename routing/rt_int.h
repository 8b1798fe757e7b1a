/* SPDX-License-Identifier: Apache-2.0 */
/* rt_int: the structs behind routing.h. */
#ifndef ROUTING_RT_INT_H
#define ROUTING_RT_INT_H

#include <assert.h>
#include "routing/routing.h"

#define RT_NONE          UINT32_MAX
#define RT_SLAB          4096u      /* items that a pool takes from the heap at once */
#define RT_WORK          4096u      /* entries that one step looks at */
#define RT_BATCHES       64u        /* unanswered ones */
#define RT_PATHS_MAX     8u         /* of one prefix from one neighbour (RFC 7911) */
#define RT_MEMBER_BGP    (1u << 31) /* in a group's key: the tunnel counts while its session does */
#define RT_MEMBER_LINUX  (1u << 30) /* likewise: by a route that Linux has already */
#define RT_MEMBER_TUNNEL (~(RT_MEMBER_BGP | RT_MEMBER_LINUX))
#define RT_GROUPS_MAX    4096u /* if not configured */
#define RT_GROUP_HEADS   1024u

/* A thing that the dataplane was told of. */
struct rt_programmed {
	uint32_t request; /* of the last action about it */
	bool installed;   /* that action was acknowledged */
	bool failed;      /* that action was refused: told again at the next retry */
};

/*
 * A neighbour's routes of one family. A route carries the generation in which it came: the current
 * one, the one before it while stale routes are kept, or it is dead and will be swept away.
 */
struct rt_family {
	uint16_t generation;
	uint16_t bumps; /* of the generation since everything was swept */
	bool kept;      /* the generation before stands, stale */
	size_t n_fresh, n_stale;
};

/* Prefixes that a neighbour with a limit was told of. */
struct rt_told {
	struct ip_prefix *slots; /* open addressing; family IP_NONE: free */
	size_t n, size;
};

struct rt_tunnel {
	struct rt_tunnel_cfg cfg;
	uint32_t connection; /* index; RT_NONE while it leaves */
	uint8_t order;       /* in the connection */
	bool leaving;        /* not configured any more, but groups hold it */
	bool ike_up, bfd_down, probe_down, bgp_up, draining;
	bool suspect;           /* IKE says up, another says down */
	bool up;                /* all of them together, without BGP */
	bool renamed;           /* prefixes have got other names: the session is to start anew */
	bool unswept, hold_bgp; /* dead routes point here; until they are swept BGP is not up */
	struct mono up_since;
	struct rt_programmed dp;
	struct rt_family family[2];
	uint32_t n_refused;
	size_t n_carried; /* prefixes whose traffic goes by it; see rt_groups_flush() */

	/* export */
	bool session;    /* the neighbour hears */
	bool feeding;    /* everything is being told: entries from feed_next on */
	bool end_owed;   /* End-of-RIB at the end of it */
	bool suppressed; /* the limit kept something back */
	bool warn;       /* of it, once */
	uint16_t heard;  /* table that it heard so far */
	uint32_t feed_next;
	struct rt_told told;
};

struct rt_connection {
	char name[RT_NAME_SIZE];
	uint32_t group; /* its tunnels in order: what would carry a prefix of it */
	struct mono_span revert_hold;
	uint32_t tunnels[RT_MAX_TUNNELS];
	size_t n_tunnels;
	uint32_t active; /* what people look at: the tunnel that carries most of it, or RT_NONE */
	enum rt_attachment attachment;
	uint16_t association;
	uint16_t *propagations;
	size_t n_propagations;
	struct rt_filter *in, *out;
	size_t n_in, n_out;
	struct ip_prefix *advertise; /* sorted */
	size_t n_advertise;
	bool cloudhub;
	uint32_t max_advertised;
};

/* A route of the configuration, or a local network. */
struct rt_static {
	struct ip_prefix prefix;
	uint16_t table;
	uint8_t source; /* enum rt_source */
	uint32_t tunnel;
};

struct rt_aggregate {
	struct rt_aggregate_cfg cfg;
	size_t n_within; /* routes that it stands for */
};

#define RT_SOURCE_EMPTY UINT8_MAX

struct rt_candidate_slot {
	struct path *path;
	uint32_t tunnel;
	uint32_t path_id;
	uint32_t next; /* in the pool of further candidates */
	uint16_t generation;
	uint8_t source; /* enum rt_source; RT_SOURCE_EMPTY: this slot is free */
	uint8_t zero;
};
static_assert(sizeof(struct rt_candidate_slot) == 24, "bytes per candidate");

enum rt_entry_flags {
	RT_LIVE = 1 << 0,
	RT_QUEUED = 1 << 1,     /* in the queue or the retry list */
	RT_INSTALLED = 1 << 2,  /* the dataplane has what it was told last */
	RT_REPLACED = 1 << 3,   /* what it was told last took another one's place */
	RT_CLEAR = 1 << 4,      /* what stands in the dataplane is not known: delete first */
	RT_AGGREGATED = 1 << 5, /* counted by its aggregates */
	RT_ANNOUNCED = 1 << 6,  /* neighbours may have heard of it */
};

struct rt_entry {
	struct ip_prefix prefix;
	uint16_t table;
	uint32_t queue_next;
	uint32_t group;                 /* wanted; RT_GROUP_* */
	uint32_t told;                  /* what the dataplane was told, RT_GROUP_* */
	uint32_t request;               /* under way; 0: none */
	uint8_t flags;                  /* enum rt_entry_flags */
	struct rt_candidate_slot first; /* the best one */
};
static_assert(sizeof(struct rt_entry) == 64, "a cache line per prefix");

#define RT_BUCKET 7u

/* Of the index: entries whose hashes end alike. */
struct rt_bucket {
	uint32_t hash[RT_BUCKET], number[RT_BUCKET];
	uint32_t n;
	uint32_t next; /* chained; RT_NONE */
};
static_assert(sizeof(struct rt_bucket) == 64, "a cache line");

/* Items of one size with numbers that stay. */
struct rt_pool {
	uint8_t **slabs;
	size_t n_slabs, slabs_size;
	size_t item;
	uint32_t n_used; /* numbers below were handed out once */
	uint32_t n_live;
	uint32_t free; /* linked by their first four bytes */
};

#define RT_REGION_BITS 14
#define RT_REGIONS     (1u << RT_REGION_BITS)

/* Entries that wait, by region of addresses. */
struct rt_queue {
	uint32_t n;
	uint32_t at; /* word of `some`: nothing of a round stands before it */
	uint64_t some[RT_REGIONS / 64];
	/* Rings by queue_next: the last one points at the first. Valid where `some` says so. */
	uint32_t last[RT_REGIONS];
};

struct rt_group {
	bool used;
	uint8_t n, n_ecmp;              /* of the key */
	uint32_t key[RT_GROUP_TUNNELS]; /* tunnels, with RT_MEMBER_BGP */
	uint32_t next;                  /* of the bucket */
	size_t n_wanted, n_told;        /* entries; connections count as wanting */
	uint32_t active;
	uint32_t members[RT_GROUP_TUNNELS]; /* as last told */
	uint8_t n_members, n_sharing;
	bool told;
	bool dirty;
	bool dying; /* nothing points at it; deleted when `mark` and all before is answered */
	uint32_t mark;
	struct mono revert_at;
	struct rt_programmed dp;
};

enum rt_kind {
	RT_KIND_GONE, /* a deletion: nothing to mark */
	RT_KIND_TUNNEL,
	RT_KIND_GROUP,
	RT_KIND_ROUTES,
};

/* A request under way. They are answered nearly in order, so a queue finds them at its front. */
struct rt_pending {
	uint32_t request;
	enum rt_kind kind;
	uint32_t number;   /* tunnel or group; routes: how many */
	uint32_t *entries; /* routes */
	bool done;
};

/* A candidate in a decision. */
struct rt_choice {
	struct rt_candidate_slot *c;
	enum rt_decision_step out;  /* of the last round; RT_STEP_NONE: still in */
	enum rt_decision_step step; /* of the round that found the best */
};

struct rt {
	const struct tracer *tracer;
	struct path_store *paths;
	struct rt_export ex;
	uint64_t seed[2];
	struct path *own_path, *aggregate_path;

	/* configuration */
	enum rt_role role;
	bool ecmp, ports_apart;
	uint32_t max_groups;
	struct rt_connection *connections;
	size_t n_connections;
	struct rt_static *statics; /* sorted */
	size_t n_statics;
	struct ip_prefix *locals;
	size_t n_locals;
	struct rt_aggregate *aggregates;
	size_t n_aggregates;

	struct rt_tunnel **tunnels; /* by number */
	uint32_t n_tunnels;
	uint32_t *listeners; /* room for n_tunnels */
	size_t n_listeners;

	/* rib.c */
	struct rt_pool entries, more; /* prefixes; candidates beyond the first */
	size_t n_candidates;
	struct rt_choice *choices; /* scratch */
	size_t choices_size;

	/* index.c */
	struct rt_pool buckets, chained;
	uint32_t n_buckets;

	/* program.c */
	struct rt_queue rounds[2][2]; /* [..][1]: those that are to be taken away, last */
	uint8_t gathering;            /* the round that gathers; the other one is sent */
	bool passed; /* nothing was found among those that could be looked at: soon again */
	uint32_t retry_first;
	size_t n_waiting, n_refused;
	size_t n_unknown; /* RT_CLEAR stands at so many: their routes may name any group that is dying */
	uint32_t n_batches;

	/* bgp.c: the sweep */
	uint32_t sweep_next; /* entry */
	size_t sweep_left;   /* entries to be looked at; 0: all is swept */

	struct rt_group *groups;
	uint32_t n_groups_size, n_groups;
	uint32_t group_heads[RT_GROUP_HEADS];
	bool told_changed; /* how many prefixes point at groups: what carries may be another tunnel */
	bool groups_dirty, groups_dying, group_limit_warned, warn_group_limit;
	struct mono groups_at;
	const char *why;

	struct rt_pending *pending; /* [first, last) of a growing array */
	size_t pending_first, pending_last, pending_size;
	uint32_t next_request;
	struct mono retry_at;
	bool feeding, warnings, leaving;
};

/* plan.c: actions about one thing, recorded as pending. */
struct rt_action *rt_action_add(struct rt_out *out, enum rt_action_type type);
void rt_plan_tunnel(struct rt *rt, struct rt_tunnel *t, struct rt_out *out);
void rt_plan_tunnel_del(struct rt *rt, const struct rt_tunnel *t, struct rt_out *out);
void rt_plan_group(struct rt *rt, uint32_t group, struct rt_out *out);
void rt_plan_group_del(struct rt *rt, uint32_t group, struct rt_out *out);
void rt_plan_switched(const struct rt_connection *c, uint32_t from, struct rt_out *out);
void rt_plan_reset(uint32_t tunnel, struct rt_out *out);
void rt_plan_refresh(uint32_t tunnel, struct rt_out *out);
void rt_plan_prefer(uint32_t tunnel, bool on, struct rt_out *out);
/* A request of routes: its number, 0 without memory. Owns `entries`. */
uint32_t rt_plan_routes(struct rt *rt, uint32_t *entries, uint32_t n);
/* The answer to a request. */
void rt_plan_result(struct rt *rt, const struct rt_event *ev);
void rt_plan_forget(struct rt *rt); /* nobody will answer what is under way */
bool rt_plan_answered(const struct rt *rt, uint32_t request); /* this and all before */
void rt_plan_retry(struct rt *rt, struct mono now);

/* pool.c */
void rt_pool_init(struct rt_pool *p, size_t item);
void rt_pool_fini(struct rt_pool *p);
uint32_t rt_pool_take(struct rt_pool *p); /* zeroed; RT_NONE: out of memory */
void rt_pool_give(struct rt_pool *p, uint32_t number);
size_t rt_pool_bytes(const struct rt_pool *p);
static inline void *rt_pool_at(const struct rt_pool *p, uint32_t number)
{
	return p->slabs[number / RT_SLAB] + (size_t)(number % RT_SLAB) * p->item;
}

/* index.c */
bool rt_index_init(struct rt *rt);
void rt_index_fini(struct rt *rt);
uint32_t rt_index_hash(const struct rt *rt, uint16_t table, const struct ip_prefix *prefix);
uint32_t rt_index_find(const struct rt *rt, uint32_t hash, uint16_t table,
		       const struct ip_prefix *prefix);
bool rt_index_add(struct rt *rt, uint32_t hash, uint32_t number); /* false: out of memory */
void rt_index_del(struct rt *rt, uint32_t hash, uint32_t number); /* which is there */
/* Asks for the lines that finding it will need: first the bucket's, then the entry's. */
void rt_index_fetch(const struct rt *rt, uint32_t hash);
void rt_index_fetch_entry(const struct rt *rt, uint32_t hash);

/* rib.c */
bool rt_rib_init(struct rt *rt);
void rt_rib_fini(struct rt *rt);
static inline struct rt_entry *rt_entry(const struct rt *rt, uint32_t number)
{
	return rt_pool_at(&rt->entries, number);
}
/* The number of the entry, RT_NONE: there is none (and `make`: no memory). */
uint32_t rt_rib_find(const struct rt *rt, uint16_t table, const struct ip_prefix *prefix);
uint32_t rt_rib_make(struct rt *rt, uint16_t table, const struct ip_prefix *prefix);
/* Takes the entry away if nothing is known of it any more. */
void rt_rib_release(struct rt *rt, uint32_t number);
/* Candidates: the first one of the entry, then the others. NULL: the last. */
struct rt_candidate_slot *rt_candidate_first(const struct rt *rt, struct rt_entry *e);
struct rt_candidate_slot *rt_candidate_next(const struct rt *rt, struct rt_candidate_slot *c);
struct rt_candidate_slot *rt_candidate_add(struct rt *rt, struct rt_entry *e,
					   const struct rt_candidate_slot *what);
void rt_candidate_del(struct rt *rt, struct rt_entry *e, struct rt_candidate_slot *c);
/* Puts it first. */
void rt_candidate_lead(struct rt *rt, struct rt_entry *e, struct rt_candidate_slot *c);
int rt_prefix_cmp(const struct ip_prefix *a, const struct ip_prefix *b);

/* Announced, not configured: kept by the neighbour's generations. */
static inline bool rt_learnt(const struct rt_candidate_slot *c)
{
	return c->source == RT_SOURCE_BGP || c->source == RT_SOURCE_LINUX;
}

/* decide.c */
bool rt_candidate_alive(const struct rt *rt, const struct rt_entry *e,
			const struct rt_candidate_slot *c);
bool rt_candidate_stale(const struct rt *rt, const struct rt_entry *e,
			const struct rt_candidate_slot *c);
/* Fills rt->choices with the entry's candidates in order of preference, the best first, each with the
 * step at which it went; returns how many. n_ecmp: how many of the first share the traffic. */
size_t rt_order(struct rt *rt, struct rt_entry *e, size_t *n_ecmp, enum rt_decision_step *decided);
uint32_t rt_local_pref(const struct rt_candidate_slot *c);
uint32_t rt_med(const struct rt_candidate_slot *c);
/* Decides, and what follows from it: the group, the queue, the export. Drops dead candidates and the
 * entry itself if nothing is left. `changed`: the best candidate's attributes are new. */
void rt_decide(struct rt *rt, uint32_t number, bool changed);

/* group.c */
uint32_t rt_group_intern(struct rt *rt, const uint32_t *key, size_t n, size_t n_ecmp);
void rt_group_want(struct rt *rt, uint32_t group, bool more); /* RT_GROUP_NONE: nothing */
void rt_group_tell(struct rt *rt, uint32_t group, bool more);
void rt_groups_outlive(struct rt *rt); /* those that are dying: what is requested now */
void rt_groups_touch(struct rt *rt, uint32_t tunnel); /* those that hold it */
void rt_groups_touch_all(struct rt *rt);
void rt_groups_tick(struct rt *rt, struct mono now);
/* Chooses anew in those that were touched, and plans what changed. */
void rt_groups_flush(struct rt *rt, struct mono now, struct rt_out *out);
bool rt_groups_hold(const struct rt *rt, uint32_t tunnel);
bool rt_member_usable(const struct rt *rt, uint32_t member);
uint32_t rt_group_without(const struct rt *rt, const struct rt_group *g, uint32_t tunnel);

/* program.c */
void rt_program_queue(struct rt *rt, uint32_t number);
void rt_program_result(struct rt *rt, const struct rt_pending *p, const struct rt_event *ev);
void rt_program_retry(struct rt *rt);
void rt_program_restart(struct rt *rt);

/* bgp.c */
void rt_sweep_start(struct rt *rt);
void rt_sweep(struct rt *rt, size_t max);
void rt_bgp_drop(struct rt *rt, struct rt_tunnel *t); /* both families */

/* configure.c */
void rt_configure_fini(struct rt *rt);
bool rt_covered(const struct rt *rt, const struct ip_prefix *p);

/* export.c */
bool rt_filter_permits(const struct rt_filter *f, size_t n, const struct ip_prefix *p);
void rt_export_entry(struct rt *rt, struct rt_entry *e);
void rt_export_feed(struct rt *rt, struct rt_tunnel *t, bool end);
void rt_export_work(struct rt *rt, size_t max);
void rt_export_down(struct rt *rt, struct rt_tunnel *t);
void rt_export_listeners(struct rt *rt);
void rt_export_warnings(struct rt *rt, struct rt_out *out);
void rt_aggregate_count(struct rt *rt, struct rt_entry *e, bool counts);
void rt_aggregates_recount(struct rt *rt);
void rt_export_prefix(struct rt *rt, struct rt_tunnel *t, const struct ip_prefix *p);

/* rt.c */
void rt_work(struct rt *rt, struct mono now, struct rt_out *out); /* what any step ends with */
struct rt_tunnel *rt_tunnel(const struct rt *rt, uint32_t tunnel);
struct rt_connection *rt_connection_of(const struct rt *rt, const struct rt_tunnel *t);

#endif
