/* SPDX-License-Identifier: Apache-2.0 */
/* control_int: the parts of the control process. See control.c for the whole. */
#ifndef DAEMON_CONTROL_INT_H
#define DAEMON_CONTROL_INT_H

#include <jansson.h>
#include "base/sb.h"
#include "base/shm.h"
#include "config/config.h"
#include "daemon/child.h"
#include "ipc/ipc.h"
#include "ipc/outq.h"
#include "twinbore/dp_stats.h"

#define CONTROL_LINE_MAX      65536u /* bytes of a request line, with its newline */
#define CONTROL_CLIENTS_MAX   64u
#define CONTROL_FOLLOW_MAX    (256u << 10) /* bytes that a follower may lag behind */
#define CONTROL_OUT_MAX       (4u << 20)   /* unread answers from which no request is read */
#define CONTROL_REPLY_MAX     (32u << 20)  /* bytes of one process's reply */
#define CONTROL_QUERIES_MAX   256u
#define CONTROL_EVENTS_KEPT   1000u
#define CONTROL_EVENT_MAX     4096u /* bytes of one event */
#define CONTROL_REQUEST_PARTS 3u    /* processes that one request may ask */

struct control;
struct control_request;

/* ------------------------------------------------------------------ queries (control_query.c) */

/* A question to another process, answered, refused or timed out. */
struct control_query {
	struct control_query *next;
	uint64_t id;
	enum ipc_role role;
	struct mono deadline;
	struct control_request *request; /* NULL: nobody waits any more */
	size_t part;
	char *text; /* the reply so far */
	size_t size;
};

struct control_peer {
	enum ipc_role role;
	int fd; /* -1: none */
	struct ipc_outq out;
};

/* What became of one part of a request. */
struct control_part {
	bool asked, done;
	json_t *reply;    /* owned; NULL when it failed */
	const char *code; /* when it failed */
	char *message;    /* owned; likewise */
};

bool control_peer_attach(struct control *c, enum ipc_role role, int fd);
void control_peers_fini(struct control *c);
/* Asks; the part is done at once (failed) when the process is not there. */
void control_ask(struct control_request *r, size_t part, enum ipc_role role, enum ipc_query_op op,
		 const char *arg, struct mono_span timeout);
/* Says something, and does not want to hear what became of it. */
void control_tell(struct control *c, enum ipc_role role, enum ipc_query_op op, const char *arg);
/* The request goes away: late replies are dropped. */
void control_forget(struct control *c, const struct control_request *r);
void control_queries_turn(struct control *c, struct mono now);
struct mono control_queries_deadline(const struct control *c);

/* ----------------------------------------------------------------- requests (control_request.c) */

struct control_client;

/* The one request of a client that is worked on. */
struct control_request {
	struct control *control;
	struct control_client *client;
	const struct control_method *method; /* NULL: nothing in work */
	json_t *id;                          /* owned */
	json_t *params;                      /* owned; an object */
	struct control_part parts[CONTROL_REQUEST_PARTS];
};

struct control_method {
	const char *name;
	/* Checks the parameters and asks; or answers an error by control_fail(). */
	void (*begin)(struct control_request *r);
	/* Every part is done: returns the result, or NULL after control_fail(). */
	json_t *(*finish)(struct control_request *r);
};

/* Works on one line of a client. `line` may be changed. */
void control_request_line(struct control_client *cl, const char *line, size_t size);
/* A part became done. Finishes the request when it was the last. */
void control_request_progress(struct control_request *r);
/* Answers with an error and ends the request. */
void control_fail(struct control_request *r, const char *code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* The reply of a part; NULL after control_fail() with what that process said. */
json_t *control_reply_of(struct control_request *r, size_t part);
void control_request_drop(struct control_request *r);
/* The tunnel that the parameters name, or NULL after an error. */
const struct config_tunnel *control_wanted_tunnel(struct control_request *r);

extern const struct control_method control_methods[];
extern const size_t control_n_methods;

/* ------------------------------------------------------------------- clients (control_client.c) */

struct control_client {
	struct control_client *next;
	struct control *control;
	int fd;
	struct mono last_line;
	struct mono close_at;      /* MONO_NEVER, or when a client that does not read is given up */
	char in[CONTROL_LINE_MAX]; /* a part of a line, or lines that wait for the request in work */
	size_t n_in;
	char *out; /* from out_start on, n_out bytes wait */
	size_t n_out, out_start, out_size;
	bool eof;      /* the client sends no more */
	bool skipping; /* the rest of a line that was too long */
	bool closing;  /* close when `out` is sent */
	bool dead;     /* close now */
	bool follow;   /* wants every further event */
	bool in_lines; /* guards against recursion */
	struct control_request request;
};

bool control_listen(struct control *c, int fd);
void control_clients_fini(struct control *c);
/* Adds one line to what a client is sent. */
void control_client_line(struct control_client *cl, const char *line, size_t size);
void control_client_json(struct control_client *cl, json_t *value); /* takes it */
/* The request in work was answered: go on with the next line. */
void control_client_next(struct control_client *cl);
/* One event's text to every follower. */
void control_clients_event(struct control *c, const char *event, size_t size);
void control_clients_turn(struct control *c, struct mono now);
struct mono control_clients_deadline(const struct control *c);

/* --------------------------------------------------------------------- events (control_events.c) */

struct control_events {
	char *text[CONTROL_EVENTS_KEPT]; /* JSON objects without newline */
	size_t first, n;
	uint64_t n_refused;
};

/* An event as another process sent it: checked, stamped with its sender, kept, told. */
void control_event_in(struct control *c, enum ipc_role from, const void *text, size_t size);
json_t *control_events_show(const struct control *c); /* array, oldest first */
void control_events_fini(struct control_events *e);

/* ------------------------------------------------------------------- counters (control_stats.c) */

/* Sums over all tunnels at one moment. */
struct control_sample {
	struct mono at;
	uint64_t in_packets, in_bytes, out_packets, out_bytes;
};

struct control_stats {
	struct shm shm;
	struct control_sample last, before; /* about a second apart */
};

/* The map's header, copied once and checked: everything that a reader indexes by. */
struct control_stats_view {
	const struct dp_stats *s;
	const struct dp_stats_sa *sas;
	const struct dp_stats_tunnel *tunnels;
	uint32_t n_workers, n_ports, n_reasons, n_suites, max_sas, max_tunnels;
};

/* Takes the descriptor. False when it is no such map (logged). */
bool control_stats_attach(struct control *c, int fd, uint64_t size);
void control_stats_fini(struct control_stats *s);
/* False when there is no map, or its header says what it cannot. */
bool control_stats_view(const struct control *c, struct control_stats_view *v);
uint64_t control_load(const uint64_t *counter);
uint32_t control_load32(const uint32_t *fact);
void control_stats_turn(struct control *c, struct mono now);
struct mono control_stats_deadline(const struct control *c);
json_t *control_stats_rates(const struct control *c);
json_t *control_stats_ports(const struct control *c); /* the whole result of show.ports */
json_t *control_stats_drops(const struct control *c); /* {reason: value} */
/* Adds a tunnel's or a CHILD_SA's counters to an object. */
void control_stats_add_tunnel(const struct control *c, uint32_t tunnel, json_t *object);
void control_stats_add_sa(const struct control *c, uint32_t slot, json_t *object);

/* ----------------------------------------------------------------------- results (control_show.c) */

json_t *control_show_status(struct control_request *r);
json_t *control_show_connections(struct control_request *r);
json_t *control_show_tunnels(struct control_request *r);
json_t *control_show_sas(struct control_request *r);
json_t *control_show_counters(struct control_request *r);

/* (control_routes.c) */
void control_begin_routes(struct control_request *r);
void control_begin_explain_route(struct control_request *r);
void control_begin_what_if(struct control_request *r);
void control_begin_bgp(struct control_request *r);
void control_begin_received(struct control_request *r);
void control_begin_advertised(struct control_request *r);
void control_begin_bfd(struct control_request *r);
json_t *control_finish_reply(struct control_request *r);

/* ----------------------------------------------------------------------- drains (control_drain.c) */

struct control_drain;

void control_begin_drain(struct control_request *r);
void control_begin_undrain(struct control_request *r);
void control_begin_replace(struct control_request *r);
json_t *control_finish_drain(struct control_request *r);
json_t *control_finish_undrain(struct control_request *r);
json_t *control_finish_nothing(struct control_request *r);
/* A new route process is told of the tunnels of jobs, too. */
void control_drains_attach(struct control *c);
/* IPC_DRAINED: what was drained before this process. */
void control_drains_take(struct control *c, const struct ipc_msg *msg);
/* The step that a tunnel's replacement is at, or NULL. */
const char *control_replacing(const struct control *c, const char *tunnel);
void control_drains_turn(struct control *c, struct mono now);
struct mono control_drains_deadline(const struct control *c);
void control_drains_fini(struct control *c);

/* (control_explain.c) */
json_t *control_explain_tunnel(struct control_request *r);
json_t *control_doctor(struct control_request *r);

/* A JSON string of bytes that need not be UTF-8. */
json_t *control_text(const char *s, size_t max);
json_t *control_count(uint64_t n);
json_t *control_seconds(struct mono_span d);

/* -------------------------------------------------------------------------------- the whole */

struct control {
	struct child child;
	struct config *config; /* NULL before the first IPC_CONFIG */
	char *text;            /* that it was read from, for what names its lines; may be NULL */
	size_t text_size;
	struct mono started;
	int listen_fd;
	struct control_peer peers[IPC_ROLE_END]; /* ike, route and supervisor are used */
	struct control_query *queries;
	size_t n_queries;
	uint64_t next_id;
	struct control_client *clients;
	size_t n_clients;
	struct control_events events;
	struct control_stats stats;
	struct control_drain *drains;
	struct ipc_msg msg; /* of the peer in hand */
};

#endif
