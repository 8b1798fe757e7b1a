/* SPDX-License-Identifier: Apache-2.0 */
/*
 * world: BGP cores, and scripted peers, over connections in virtual time. An end is either a core
 * with a table of routes for its sink, or a script that writes and reads bytes.
 */
#ifndef TESTS_BGP_WORLD_H
#define TESTS_BGP_WORLD_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "bgp/bgp.h"

#define WORLD_ENDS   104
#define WORLD_CONNS  416
#define WORLD_ROUTES 4096
#define WORLD_EVENTS 256

/* A route that an end's core has heard. */
struct heard {
	struct ip_prefix prefix;
	uint32_t neighbor, path_id;
	struct path *path;
	bool stale;
};

struct end {
	struct world *world;
	unsigned index;
	struct bgp *core; /* NULL: a script */
	struct path_store *paths;
	struct bgp_neighbor_cfg neighbors[WORLD_ENDS];
	size_t n_neighbors;
	struct bgp_cfg cfg;
	struct heard routes[WORLD_ROUTES];
	size_t n_routes;
	unsigned ups, downs, eors[BGP_N_FAMILIES];
	const char *events[WORLD_EVENTS];
	size_t n_events;
	/* What it says to each neighbour when a session stands. */
	struct {
		struct ip_prefix prefix;
		struct path *path;
	} own[64];
	size_t n_own;
	/* Of a script: what has come. */
	uint8_t *in;
	size_t n_in;
};

/* One half of a connection as an end sees it. */
struct half {
	unsigned end;
	uint32_t number; /* the end's */
	uint8_t *bytes;  /* on their way to this half */
	size_t n, n_first;
	struct mono at, then; /* when the first n_first arrive, and the others */
	bool closed;          /* by the other half, after the bytes */
	bool open;
};

/* A connection that an end wants to have. */
struct wanted {
	unsigned end;
	uint32_t neighbor;
	struct ip_addr local, remote;
};

struct world {
	struct mono now;
	struct end end[WORLD_ENDS];
	struct half conn[WORLD_CONNS][2];
	size_t n_conns;
	uint32_t rng;
	bool cut;     /* connections stand, but nothing passes */
	bool refuse;  /* no connection can be made */
	size_t chunk; /* bytes are delivered in pieces of so many; 0: as they were written */
	uint32_t next_number;
	bool starting; /* nobody hears yet of what is connected: both may connect at once */
	struct wanted crossing[WORLD_CONNS];
	size_t n_crossing;
};

struct world *world_new(void);
void world_free(struct world *w);
/* End i gets a core with AS 65001 + i and address 169.254.10.(1 + i). */
void world_core(struct world *w, unsigned i);
/* Makes two ends neighbours of each other: number 10 + the other's index. Before world_start(). */
struct bgp_neighbor_cfg *world_neighbor(struct world *w, unsigned i, unsigned other);
void world_configure(struct world *w, unsigned i);
void world_step(struct world *w, unsigned i, struct bgp_event ev);
/* Configures and starts all neighbours of all cores; their connections cross each other. */
void world_start(struct world *w);
void world_run(struct world *w, struct mono_span d);
/* Ends i and j lose every connection between them, without a word. */
void world_break(struct world *w, unsigned i, unsigned j);
/* A core that is born anew, with the configuration that it had. */
void world_restart(struct world *w, unsigned i);

/* What a route with this AS_PATH (its own AS left out) looks like to its origin. */
struct path *world_path(struct world *w, unsigned i, const uint32_t *ases, uint8_t n_ases);
void world_own(struct world *w, unsigned i, const char *prefix, struct path *path);
const struct heard *world_heard(const struct world *w, unsigned i, unsigned from,
				const char *prefix);
size_t world_count(const struct world *w, unsigned i, unsigned from);
enum bgp_state world_state(const struct world *w, unsigned i, unsigned other);
struct bgp_show_neighbor world_show(const struct world *w, unsigned i, unsigned other);
bool world_event(const struct world *w, unsigned i, const char *name);

/* A script's connection to end i; returns its index. Bytes go and come as they are. */
unsigned script_connect(struct world *w, unsigned script, unsigned i);
void script_send(struct world *w, unsigned conn, const void *bytes, size_t size);
/* The next message that came: its type, or 0. */
uint8_t script_next(struct world *w, unsigned script, const uint8_t **body, size_t *size);
bool script_closed(const struct world *w, unsigned conn);

#endif
