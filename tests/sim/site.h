/* SPDX-License-Identifier: Apache-2.0 */
/*
 * site: what stands around a gateway's IKE core: its route process, with the real cores of BGP, BFD and
 * routing glued together as the daemon does it, and the part of its dataplane that the route process
 * programs. Two sites with two tunnels between them: sites.h.
 */
#ifndef SIM_SITE_H
#define SIM_SITE_H

#include "bfd/bfd.h"
#include "bgp/bgp.h"
#include "routing/routing.h"
#include "tests/sim/world.h"

#define SITE_TUNNELS SIM_TUNNELS
#define SITE_NETS    2 /* of each: one that stays, one that comes and goes */
#define SITE_CONNS   64
#define SITE_GROUPS  64
#define SITE_ROUTES  32
#define SITE_SEGMENT 1200

struct sites;

/* ------------------------------------------------------- what tunnels carry */

enum inner_kind {
	INNER_DATA,
	INNER_BFD,
	INNER_TCP,
};

enum tcp_what {
	TCP_SYN,
	TCP_SYN_ACK,
	TCP_DATA, /* without bytes: the end */
	TCP_ACK,
	TCP_RST,
};

struct inner {
	enum inner_kind kind;
	union {
		struct {
			uint8_t from, to, net, hops; /* sites; the network's number */
			uint64_t number;
		} data;
		uint8_t bfd[BFD_PACKET_SIZE];
		struct {
			uint64_t id;
			uint32_t seq;
			enum tcp_what what;
			size_t size;
			uint8_t bytes[SITE_SEGMENT];
		} tcp;
	};
};

/* One end of a connection. Its index is the number that the BGP core knows it by. */
struct site_conn {
	bool used;
	bool connecting; /* nobody has answered */
	bool held;       /* the core has it */
	bool closing;    /* its end follows the bytes */
	bool under_way;  /* the segment `seq` */
	uint64_t id;     /* the same at both ends */
	uint32_t tunnel, seq, expected;
	uint8_t *bytes; /* to be sent */
	size_t n, n_segment;
	size_t unsaid; /* bytes that BGP_EV_SENT is due for */
	struct mono again_at;
	unsigned n_again;
};

/* ----------------------------------------------------------- the forwarding */

struct fib_group {
	size_t n;
	uint32_t tunnels[RT_GROUP_TUNNELS];
};

struct fib_route {
	struct ip_prefix prefix;
	uint32_t group;      /* RT_GROUP_NONE: no route */
	unsigned generation; /* of the process that set it: what one has left stays */
};

struct fib_op {
	struct mono at;
	uint32_t request;
	unsigned generation; /* of the process that waits for the answer */
	bool is_routes;
	struct rt_action action;
	struct rt_route_op routes[SITE_ROUTES];
	size_t n_routes;
};

struct fib {
	struct fib_group groups[SITE_GROUPS];
	struct fib_route routes[SITE_ROUTES];
	size_t n_routes;
	struct fib_op *ops; /* in order */
	size_t n_ops, size_ops;
	uint64_t delay_us;
};

enum fib_fate {
	FIB_TUNNEL,
	FIB_NO_ROUTE,
	FIB_NO_TUNNEL, /* no member has an outbound SA */
};

/* ----------------------------------------------------------------- the site */

struct site_tunnel {
	bool up, bfd_down, bgp_wanted, preferred, refresh;
	enum bfd_state bfd;
	bool established;
};

struct site_cfg {
	struct mono_span bfd_interval, hold, revert_hold;
	bool second_net;
};

struct site {
	struct sites *all;
	struct sim_node *node;
	int index;
	struct rng rng;
	struct site_cfg cfg;
	struct mono_span was_interval; /* of BFD, before it was changed */
	struct mono changed_at;
	bool running; /* the route process */
	unsigned generation;
	struct path_store *paths;
	struct rt *rt;
	struct bgp *bgp;
	struct bfd *bfd;
	struct rt_out rt_out;
	struct bgp_out bgp_out;
	struct bfd_out bfd_out;
	size_t n_told; /* of rt_out */
	bool bgp_changed;
	struct site_tunnel t[SITE_TUNNELS];
	struct site_conn conns[SITE_CONNS];
	uint32_t n_connections; /* ever made */
	struct fib fib;
};

struct ip_addr site_inside(int site, uint32_t tunnel);
struct ip_prefix site_net(int site, unsigned net);
/* Among what the tunnel carries, not a packet of the site's hosts. False: it did not leave. */
bool site_send(struct site *s, uint32_t tunnel, const struct inner *i);

/* site.c */
bool site_start(struct site *s); /* the route process; the FIB stays as it is */
void site_end(struct site *s);   /* without a word */
void site_configure(struct site *s);
void site_change_bfd(struct site *s, struct mono_span interval);
/* The slower of before and now, as long as a change may not be agreed on (RFC 5880 6.8.3). */
struct mono_span site_bfd_interval(const struct site *s);
void site_ike_state(struct site *s, uint32_t tunnel, bool up);
void site_rt(struct site *s, enum rt_event_type type, uint32_t tunnel);
void site_rt_step(struct site *s, struct rt_event *ev);
void site_bgp_step(struct site *s, struct bgp_event *ev);
void site_receive(struct site *s, uint32_t tunnel, const struct inner *i);
void site_turn(struct site *s);

/* site_tcp.c: bytes in order, however often a segment is lost. */
void tcp_connect(struct site *s, uint32_t tunnel);
void tcp_write(struct site *s, uint32_t conn, const uint8_t *bytes, size_t size);
void tcp_close(struct site *s, uint32_t tunnel, uint32_t conn);
void tcp_receive(struct site *s, uint32_t tunnel, const struct inner *i);
void tcp_turn(struct site *s);
/* The process has ended: its connections are reset. Not `told`: so has the machine. */
void tcp_reset(struct site *s, bool told);

/* site_fib.c */
void fib_action(struct site *s, const struct rt_action *a);
void fib_routes(struct site *s, const struct rt_route_op *ops, size_t n, uint32_t request);
void fib_turn(struct site *s);
void fib_clear(struct site *s);
enum fib_fate fib_look_up(const struct site *s, const struct ip_addr *to, uint32_t *tunnel);
/* The tunnel is one of those that packets to this address may take. */
bool fib_offers(const struct site *s, const struct ip_addr *to, uint32_t tunnel);

#endif
