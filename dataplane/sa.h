/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sa: the table of SA halves, indexed by slot.
 *
 * The manager creates, publishes, retires and frees; a half's owner is the only one that
 * encapsulates or decapsulates with it: worker tunnel % n_workers, or, of a half that is one worker's
 * (RFC 9611), that worker. An owner, once given, never changes. Workers find a half by its slot and
 * hold it for one burst at most; a retired half is freed after a grace period (grace.h).
 */
#ifndef DATAPLANE_SA_H
#define DATAPLANE_SA_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/key_mem.h"
#include "base/mono.h"
#include "dataplane/neigh.h"
#include "esp/esp.h"
#include "esp/in_line.h"
#include "twinbore/dp_msg.h"

struct dp;
struct dp_nic_session;
struct rte_flow;

enum dp_sa_event_bits {
	DP_SA_EV_FIRST = 1 << 0,
	DP_SA_EV_SOFT = 1 << 1,
	DP_SA_EV_HARD = 1 << 2,
	DP_SA_EV_MOVED = 1 << 3,
};

/*
 * Where an outbound half's packets go: immutable once published, replaced as a whole. It and the halves
 * are in key_mem.h's memory: for its large pages, and because each begins a cache line there, into which
 * what a worker reads of it fits.
 */
struct dp_path {
	uint32_t version; /* of the endpoints: a new one makes the owner call esp_out_set_peer() */
	uint32_t neigh;   /* the next hop's neighbour, or DP_NEIGH_NONE */
	uint32_t mtu;     /* largest inner packet */
	uint32_t outer_mtu; /* largest outer packet */
	uint8_t port;       /* whose mirror the route leads over, or DP_NO_PORT */
	bool udp;
	bool nic;          /* the port's device seals, by the half's session */
	bool udp_sum_left; /* IPv6: the port's device writes the UDP checksum */
	struct ip_endpoint local, remote;
};

static_assert(sizeof(struct dp_path) <= KEY_MEM_ALIGN, "a path is one cache line");

/* What a tunnel's shared counters have of a half's already. */
struct dp_told {
	uint64_t packets, bytes;
};

/* What a worker reads of an inbound half for every packet: in the first line of ESP's half. */
struct dp_in_room {
	uint32_t spi, tunnel; /* the half's, once more */
	uint16_t owner;
	uint8_t reported; /* the owner's: enum dp_sa_event_bits that were raised already */
	bool has_news;    /* the owner's: see counters.h */
};
static_assert(sizeof(struct dp_in_room) == ESP_IN_ROOM, "it fits in exactly");

/* ESP's half lies behind it in the same piece of memory. */
struct dp_in {
	uint32_t spi, slot, tunnel, owner;
	struct esp_in *esp;

	/* the manager's */
	struct ip_endpoint local, remote;
	struct dp_in *next_moved; /* in the list of halves whose peer was seen elsewhere */
	bool in_moved;
	struct ip_endpoint moved_to;
	struct mono moved_next;
	struct rte_flow *rule; /* brings its packets to its owner's queue, or NULL (offload.h) */
	uint8_t rule_port;
	struct dp_nic_session *nic; /* the port's device opens, or NULL; fixed */
	struct ip_endpoint
		moved; /* the owner's while DP_SA_EV_MOVED is clear, else the manager's */
	uint32_t
		events; /* atomic, enum dp_sa_event_bits: raised by the owner, taken by the manager */
	struct dp_told told;     /* the owner's */
	struct ip_endpoint seen; /* the owner's: where the newest authentic packet came from */
	bool ports_vary;         /* the peer has a source port for each flow; fixed */
} __attribute__((aligned(KEY_MEM_ALIGN)));

/* Without a look at it. */
static inline struct esp_in *dp_in_esp(const struct dp_in *in)
{
	return (struct esp_in *)(uintptr_t)(in + 1);
}

static inline struct dp_in_room *dp_in_room(const struct dp_in *in)
{
	return esp_in_room(dp_in_esp(in));
}

#define DP_NO_WORKER UINT32_MAX

/* What the short way does not do (quick.h); bits. */
enum dp_out_odd {
	DP_ODD_WAY = 1 << 0,    /* the outer family, rules to translate by, what a device does */
	DP_ODD_EVENTS = 1 << 1, /* to be raised, once there is room */
};

#define DP_NEAR_NONE UINT16_MAX /* no neighbour */
static_assert(DP_MAX_NEIGH < DP_NEAR_NONE, "a neighbour's number is of 16 bits");

/* The owner's copy of what it needs of a path for every packet: in the room that ESP's first line has for it. */
struct dp_out_near {
	uint32_t slot;
	uint16_t neigh; /* or DP_NEAR_NONE */
	uint16_t mtu;   /* the path's, or the tunnel's configured one if that is smaller */
	uint8_t stale; /* atomic, set by the manager: the path or the tunnel's MTU is another one */
	uint8_t odd;
	bool has_news; /* see counters.h */
};
static_assert(sizeof(struct dp_out_near) == ESP_OUT_ROOM, "ESP has room for it");

/* The rest of it. */
struct dp_out_view {
	uint8_t family;
	bool udp_sum_left;
	bool nic;        /* the port's device seals, by the half's session */
	bool translates; /* the tunnel has rules (translate.h) */
};

struct dp_out {
	uint32_t spi, slot, tunnel;
	uint32_t owner;       /* DP_NO_WORKER before the first DP_SA_SWITCH to it */
	struct dp_path *path; /* atomic; never NULL */
	uint32_t events;      /* atomic, as in dp_in */
	/* the owner's */
	uint16_t reported; /* what was raised already */
	bool port_entropy; /* in UDP, each inner flow has a source port; fixed */
	struct dp_out_view view;
	uint32_t path_version; /* that ESP knows */
	struct dp_told told;

	/* the manager's */
	struct esp_suite suite;
	struct dp_nic_session *nic;  /* of the port that has our address, or NULL */
	struct ip_addr nic_remote;   /* for this peer */
	struct dp_out *next, **prev; /* all of them */

	/* Here ESP's half begins: a packet of the usual kind reads this line and no other. */
	struct dp_out_near near __attribute__((aligned(KEY_MEM_ALIGN)));
};

static_assert(offsetof(struct dp_out, suite) <= KEY_MEM_ALIGN,
	      "what workers read is one line more");

/* ESP's half, which lies in the same piece of memory. */
static inline struct esp_out *dp_out_esp(const struct dp_out *o)
{
	return (struct esp_out *)(uintptr_t)&o->near;
}

struct dp_sas {
	uint32_t max;           /* slots 0..max-1 */
	struct dp_in **in;      /* atomic pointers */
	struct dp_out **out;    /* atomic pointers */
	struct dp_out *all_out; /* the manager's */
	struct dp_in *moved;    /* the manager's */
	uint32_t n_in, n_out;
};

bool dp_sas_init(struct dp_sas *s, uint32_t max_sas);
/* After the workers have ended: wipes and frees everything. */
void dp_sas_fini(struct dp *dp);

/* The handlers of the SA ring's messages: `m` is our own copy. Each checks every field. */
enum dp_status dp_sa_add_in(struct dp *dp, const struct dp_sa *m);
enum dp_status dp_sa_add_out(struct dp *dp, const struct dp_sa *m);
enum dp_status dp_sa_switch(struct dp *dp, const struct dp_sa_ref *m);
enum dp_status dp_sa_del_in(struct dp *dp, const struct dp_sa_ref *m);
enum dp_status dp_sa_del_out(struct dp *dp, const struct dp_sa_ref *m);
enum dp_status dp_sa_peer(struct dp *dp, const struct dp_sa_peer *m);
void dp_sa_flush(struct dp *dp);
/* Tells of what stands from slot m->slot on: DP_EV_SA events with `seq`. */
enum dp_status dp_sa_list(struct dp *dp, uint32_t seq, const struct dp_sa_ref *m);

/* A tunnel's configured MTU is another one: its SAs' owners look at it again. */
void dp_sas_republish(struct dp *dp, uint32_t tunnel);
/* For the owner: copies what is published now. */
void dp_out_look(const struct dp *dp, struct dp_out *o);
/* Looks up route and neighbour of an outbound half anew and publishes the result. */
void dp_out_resolve(struct dp *dp, struct dp_out *o);
/* The same for all: after a change of routes or addresses. */
void dp_sas_resolve(struct dp *dp, bool only_unresolved);

static inline uint32_t dp_neigh_far(uint16_t near)
{
	return near == DP_NEAR_NONE ? DP_NEIGH_NONE : near;
}

static inline uint32_t dp_out_neigh(const struct dp_out *o)
{
	return dp_neigh_far(o->near.neigh);
}

/* Whether a packet has to go the longer way. */
static inline bool dp_out_is_odd(const struct dp_out *o)
{
	return __atomic_load_n(&o->near.stale, __ATOMIC_ACQUIRE) | o->near.odd;
}

/* Fetch what a worker needs of a half for every packet, all but its key. */
static inline void dp_out_fetch(const struct dp_out *o)
{
	esp_out_prefetch(dp_out_esp(o));
}

static inline void dp_in_fetch(const struct dp_in *in)
{
	esp_in_prefetch(dp_in_esp(in));
}

static inline struct dp_in *dp_in_of(const struct dp_sas *s, uint32_t slot)
{
	return slot < s->max ? __atomic_load_n(&s->in[slot], __ATOMIC_ACQUIRE) : NULL;
}

#endif
