/* SPDX-License-Identifier: Apache-2.0 */
/* route_int: the parts of the route process. See route_shell.c for the whole. */
#ifndef DAEMON_ROUTE_INT_H
#define DAEMON_ROUTE_INT_H

#include <jansson.h>
#include <sys/socket.h>
#include "base/log.h"
#include "base/sb.h"
#include "base/secret.h"
#include "bfd/bfd.h"
#include "bgp/bgp.h"
#include "daemon/child.h"
#include "daemon/ring_port.h"
#include "ipc/outq.h"
#include "routing/probe.h"
#include "routing/routing.h"

#define ROUTE_MAX_TUNNELS (1u << 20)
#define ROUTE_LINGERING   64

/* One tunnel by its number; it may be known before the configuration that names it. */
struct route_tunnel {
	const struct config_tunnel *cfg; /* NULL: not configured (any more) */
	bool complete[2]; /* BGP: everything of a family, IPv4 and IPv6, has come (End-of-RIB) */
	bool heard, up;   /* as ike said */
	bool bfd_down;
	bool stopped;   /* BGP, by an operator */
	bool preferred; /* BGP: with a better MED, while the connection's other tunnel is drained */
	bool refresh;   /* BGP: its routes are to be asked for again */
	bool reset;     /* BGP: its session is to start anew */
	bool bgp_wanted; /* what the core was last told */
	bool by_linux;   /* its routes are what Linux has over its interface */

	uint32_t set_request; /* the DP_TUNNEL_SET that is not yet answered; 0: none */
	bool has_interface;
	int listener, bfd_in, bfd_out, echo; /* -1: none */
	bool listener_asked, bfd_asked, echo_asked;
	struct mono retry_at; /* what could not be opened */
	/* What the sockets were opened with. */
	struct config_bgp bgp;
	struct config_bfd bfd;
	struct config_probe probe;
	struct secret *password;

	struct probe probing;

	int connecting; /* -1: none */
	bool connect_asked;
	unsigned n_stale; /* answers on their way that nobody wants any more */
};

/* A connection of BGP, by its descriptor. */
struct route_conn {
	uint32_t tunnel; /* UINT32_MAX: accepted, of whom is not known */
	uint8_t *bytes;  /* [head, head + n) is to be sent */
	size_t head, n, size;
	bool open;
	bool dirty;   /* in route_shell.dirty */
	bool blocked; /* EPOLLOUT is awaited */
};

struct route_password {
	char tunnel[DP_NAME_SIZE];
	struct secret *secret;
};

enum route_linux_step {
	ROUTE_LINUX_IDLE, /* only changes come */
	ROUTE_LINUX_LINKS,
	ROUTE_LINUX_V4,
	ROUTE_LINUX_V6,
};

struct route_shell {
	struct child child;
	struct config *config;
	struct rt *core;
	struct path_store *paths;
	struct rt_out out; /* actions [next, out.n) wait for the ring */
	size_t next;
	size_t told; /* actions before this were looked at for SWITCHED */

	struct route_tunnel **tunnels; /* by number; NULL: never heard of */
	size_t n_tunnels;
	size_t n_set_requests; /* tunnels whose set_request is not 0 */

	uint32_t *fd_tunnels; /* by descriptor: whose it is */
	size_t n_fd_tunnels;

	struct bgp *bgp;
	struct bgp_out bgp_out;
	struct route_conn *conns; /* by descriptor */
	size_t n_conns;
	int *dirty; /* descriptors with something to send */
	size_t n_dirty, dirty_size;
	bool speaks;  /* the neighbours are configured: before, the core knows none of them */
	bool resumed; /* the dataplane forwards by what our predecessor told it */
	bool swept;   /* it has been told to forget the rest of that */
	bool waiting; /* for the states of tunnels, before the dataplane is told anything */
	struct mono wait_until;
	struct mono sweep_at, sweep_not_before;
	bool bgp_changed; /* the neighbours are to be configured again */
	struct {
		int fd;
		struct mono until;
	} lingering[ROUTE_LINGERING]; /* connections that we have ended */
	size_t n_lingering;
	struct bfd *bfd;
	struct bfd_out bfd_out;
	struct route_password *passwords; /* that came since the last configuration */
	size_t n_passwords, passwords_size;
	struct mono retry_at; /* the earliest of all tunnels */
	struct mono probe_at; /* likewise */
	uint16_t probe_id;

	struct {
		int fd; /* -1: none */
		bool asked;
		enum route_linux_step step;
		uint32_t seq; /* of the dump under way */
		bool again;   /* all is to be read once more */
		struct mono retry_at;
		uint32_t *tunnels; /* by the interface's index; see route_linux.c */
		size_t n_tunnels;
	} kernel;

	int ike, control;
	struct ipc_outq to_control;
	struct ring_port fib, fib_events;
	unsigned new_rings;
	struct log_limit limit;
	struct ipc_msg msg;
};

/* Lets the routing core take an event, whose time is filled in. */
void route_step(struct route_shell *s, struct rt_event *ev);
void route_step_tunnel(struct route_shell *s, enum rt_event_type type, uint32_t tunnel);
/* An event for people: log and control process. `tunnel` UINT32_MAX: of none. */
void route_tell(struct route_shell *s, enum log_level level, const char *kind, uint32_t tunnel,
		const char *text, json_t *more);

/* ----------------------------------------------------------------------- tunnels (route_tunnel.c) */

/* NULL: never heard of. */
struct route_tunnel *route_tunnel(const struct route_shell *s, uint32_t tunnel);
/* Makes it where there is none; NULL: out of memory, or no such number. */
struct route_tunnel *route_tunnel_get(struct route_shell *s, uint32_t tunnel);
/* The configuration has changed: sockets that do not fit any more are closed. */
void route_tunnels_configure(struct route_shell *s);
void route_tunnel_state(struct route_shell *s, uint32_t tunnel, bool up);
/* A DP_TUNNEL_SET was sent; it was answered; all interfaces are gone. */
void route_tunnel_set(struct route_shell *s, uint32_t tunnel, uint32_t request);
void route_tunnel_answer(struct route_shell *s, uint32_t request, bool ok);
void route_tunnels_lost(struct route_shell *s);
/* Asks the supervisor for a socket. */
void route_want(struct route_shell *s, struct route_tunnel *t, enum ipc_socket_kind kind);
void route_want_linux(void);
void route_take_socket(struct route_shell *s, struct ipc_msg *msg);
void route_take_secret(struct route_shell *s, struct ipc_msg *msg);
void route_tunnels_turn(struct route_shell *s, struct mono now);
void route_tunnels_fini(struct route_shell *s);
/* Watches a descriptor of the tunnel; route_by_fd() finds the tunnel again. */
bool route_watch(struct route_shell *s, struct route_tunnel *t, int fd, uint32_t events,
		 loop_fn *fn);
struct route_tunnel *route_by_fd(const struct route_shell *s, int fd);
void route_close(struct route_shell *s, int *fd);
struct ip_addr route_address(const struct sockaddr_storage *a);
uint32_t route_draw(void *ctx); /* unpredictable */

/* --------------------------------------------------------------------------- BGP (route_bgp.c) */

extern const struct rt_export route_bgp_export; /* its ctx is filled in */
bool route_bgp_init(struct route_shell *s);
void route_bgp_fini(struct route_shell *s);
bool route_bgp_configure(struct route_shell *s);
void route_bgp_step(struct route_shell *s, struct bgp_event *ev);
/* Starts or ends the session, as the tunnel's state asks for. */
void route_bgp_settle(struct route_shell *s, struct route_tunnel *t, bool by_bfd);
/* The listening socket, or the answer to route_want(IPC_SOCKET_BGP_CONNECT): -1 and an errno. */
bool route_bgp_listen(struct route_shell *s, struct route_tunnel *t);
void route_bgp_connecting(struct route_shell *s, struct route_tunnel *t, int fd, int error);
void route_bgp_turn(struct route_shell *s, struct mono now);
struct mono route_bgp_deadline(const struct route_shell *s);

/* --------------------------------------------------------------------------- BFD (route_bfd.c) */

bool route_bfd_init(struct route_shell *s);
void route_bfd_fini(struct route_shell *s);
bool route_bfd_configure(struct route_shell *s);
void route_bfd_step(struct route_shell *s, struct bfd_event *ev);
bool route_bfd_listen(struct route_shell *s, struct route_tunnel *t);
void route_bfd_turn(struct route_shell *s, struct mono now);

/* ------------------------------------------------------------------------ probes (route_probe.c) */

bool route_probe_listen(struct route_shell *s, struct route_tunnel *t);
/* Begins or ends, as the tunnel's state asks for. */
void route_probe_settle(struct route_shell *s, struct route_tunnel *t);
void route_probes_turn(struct route_shell *s, struct mono now);

/* ----------------------------------------------------------------- Linux's routes (route_linux.c) */

/* After route_tunnels_configure(). */
void route_linux_configure(struct route_shell *s);
void route_linux_take(struct route_shell *s, struct ipc_msg *msg, int error);
void route_linux_turn(struct route_shell *s, struct mono now);
struct mono route_linux_deadline(const struct route_shell *s);
void route_linux_fini(struct route_shell *s);

/* ----------------------------------------------------------------------- queries (route_query.c) */

/* Answers a question of the control process. */
void route_query(struct route_shell *s, const struct ipc_msg *msg);
/* Those about BGP and BFD (route_query_bgp.c). */
void route_query_bgp(struct route_shell *s, uint64_t id, const char *name);
void route_query_received(struct route_shell *s, uint64_t id, const json_t *arg);
void route_query_advertised(struct route_shell *s, uint64_t id, const json_t *arg);
void route_query_bfd(struct route_shell *s, uint64_t id);
/* The name of a tunnel that is configured, or NULL. */
const char *route_tunnel_name(const struct route_shell *s, uint32_t tunnel);
json_t *route_name_or_null(const char *name);
/* An answer; NULL or truncated: out of memory. */
void route_reply(struct route_shell *s, uint64_t id, const struct sb *text);
/* The text needs no escaping. */
void route_refuse(struct route_shell *s, uint64_t id, const char *code, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* What arguments ask for; false or NULL after an answer. */
bool route_take_page(struct route_shell *s, uint64_t id, const json_t *arg, struct rt_page *page,
		     size_t *limit);
const struct config_tunnel *route_take_tunnel(struct route_shell *s, uint64_t id, const char *name);
/* Members of an object: a name or null; a path's attributes, each after a comma; where a list goes on,
 * and the object's end. */
void route_put_name(struct sb *s, const char *member, const char *name);
void route_put_path(struct sb *s, const struct path *p);
/* `,"peer_prefix":...` where the peer has another name for it. */
void route_put_peer_prefix(struct sb *s, const struct ip_prefix *there);
#define ROUTE_NAMES_SIZE (16u << 10) /* bytes that it takes at most */
/* The names at both ends, in each connection, of what may be either: items of a list. */
void route_put_names(struct sb *s, const struct config *c, const struct ip_prefix *p, bool address);
void route_put_next(struct sb *s, const struct rt_page *page);
/* A heap buffer as a builder; its buf is NULL without memory. */
struct sb route_room(size_t size);

/* ----------------------------------------------------------------------- ended connections (route_linger.c) */

/* Takes a connection over that is no longer watched, until the neighbour has closed it, too. */
void route_linger(struct route_shell *s, int fd);
void route_linger_turn(struct route_shell *s, struct mono now);
struct mono route_linger_deadline(const struct route_shell *s);
void route_linger_fini(struct route_shell *s);

#endif
