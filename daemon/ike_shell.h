/* SPDX-License-Identifier: Apache-2.0 */
/* ike_shell: the parts of the ike process. See ike_shell.c for the whole. */
#ifndef DAEMON_IKE_SHELL_H
#define DAEMON_IKE_SHELL_H

#include <jansson.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include "base/log.h"
#include "base/secret.h"
#include "config/config.h"
#include "daemon/child.h"
#include "daemon/dp_queue.h"
#include "daemon/ike_store.h"
#include "daemon/ring_port.h"
#include "ike/ike.h"
#include "ipc/outq.h"
#include "twinbore/dp_stats.h"

#define IKE_SHELL_AWAITED_AUTH 4096u
#define IKE_SHELL_N_SOCKETS    8u
#define IKE_SHELL_BATCH        64u  /* datagrams of one system call */
#define IKE_SHELL_HELD_MAX     512u /* of one that waits for the end of a batch */
#define IKE_SHELL_MARKER       4u   /* in front of IKE on port 4500 (RFC 3948 2.2) */
#define IKE_SHELL_STATS_MS     150u
#define IKE_SHELL_LIST         UINT64_MAX /* the request of DP_SA_LIST; the core makes none like it */

/* X(NAME, "text-name"): what this shell itself counts; shown with the core's counters. */
#define IKE_SHELL_COUNTERS(X)                                                                      \
	X(RX_DATAGRAMS, "socket-rx-datagrams")                                                     \
	X(RX_LOST, "socket-rx-lost")                                                               \
	X(RX_LOST_FIRST, "socket-rx-lost-first-requests")                                          \
	X(RX_ESP, "socket-rx-esp")                                                                 \
	X(RX_KEEPALIVE, "socket-rx-keepalives")                                                    \
	X(RX_SHORT, "socket-rx-short")                                                             \
	X(RX_LONG, "socket-rx-too-long")                                                           \
	X(RX_NO_INFO, "socket-rx-no-packet-info")                                                  \
	X(TX_FAILED, "socket-tx-failed")                                                           \
	X(KEYD_FAILED, "keyd-request-failed")                                                      \
	X(DP_FULL, "dataplane-queue-full")                                                         \
	X(DP_REFUSED, "dataplane-refused")                                                         \
	X(DP_UNKNOWN, "dataplane-unknown-answers")                                                 \
	X(DP_MALFORMED, "dataplane-bad-events")                                                    \
	X(DP_INVALID_SPI, "esp-unknown-spi-events")                                                \
	X(RESUMED, "ike-sas-resumed")                                                              \
	X(NOT_RESUMED, "ike-sas-not-resumed")                                                      \
	X(NOT_KEPT, "ike-sa-records-not-kept")                                                     \
	X(EVENTS_DROPPED, "events-dropped")

enum ike_shell_counter {
#define X(name, text) IKE_SHELL_CNT_##name,
	IKE_SHELL_COUNTERS(X)
#undef X
		IKE_SHELL_CNT_END,
};

struct ike_tunnel_rec {
	struct ike_tunnel_cfg cfg;      /* as the core has it */
	const struct config_tunnel *of; /* in shell->config */
	const struct config_connection *connection;
	bool up;
	uint64_t in_packets, out_packets; /* at the last look */
};

/* An answer to the core that came up while its actions were carried out. */
struct ike_late {
	enum ike_event_type type; /* AUTH_RESULT or DP_RESULT: a failure */
	uint64_t request;
};

/* What keyd said of a tunnel's trust anchors. */
struct ike_trust_rec {
	struct ike_trust_rec *next;
	char name[IKE_NAME_SIZE];
	size_t n_cas;
	uint8_t cas[IKE_MAX_CAS * 20];
};

struct ike_socket {
	int fd;
	enum ipc_socket_kind kind;
	bool v6;
	bool strangers; /* of its pair the one for first requests (sup_udp.c) */
	uint16_t port;
	uint32_t n_lost; /* as the kernel counted at the last look */
};

union ike_shell_address {
	struct sockaddr sa;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

union ike_shell_packet_info {
	struct cmsghdr align;
	char buf[CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(struct in_pktinfo))];
};

/* Datagrams that leave when the batch that caused them has been read. */
struct ike_shell_tx {
	bool holding;
	int fd; /* of all that are held */
	unsigned n;
	struct ike_shell_held {
		uint8_t data[IKE_SHELL_HELD_MAX];
		size_t size;
		struct ip_addr local;
		struct ip_endpoint remote;
		union ike_shell_address to;
		union ike_shell_packet_info control;
	} held[IKE_SHELL_BATCH];
};

/* Until the dataplane has said what it has. */
struct ike_resumption {
	bool active;
	bool finishing; /* tunnels that come up now were up all the time */
	uint32_t seq;   /* of the question that waits for its answer; 0: none */
	uint32_t from;  /* its first slot */
	size_t page_at; /* how many slots were known before */
	unsigned n_refused;
	struct mono again; /* when to ask anew */
	struct ike_dp_slot *slots;
	size_t n, size;
	struct mono settle_at; /* then what is not up is down */
	struct mono steady_at; /* then this process has lived with the records */
};

struct ike_shell {
	struct child child;
	struct config *config; /* the latest that was carried out */
	struct ike *core;
	struct ike_crypto crypto;
	struct secret *qcd; /* until the core has it */
	struct ike_out out;
	struct mono now; /* of this turn */

	struct ike_tunnel_rec **tunnels; /* by number; NULL where there is none */
	size_t n_tunnels;

	struct ike_socket sockets[IKE_SHELL_N_SOCKETS];
	struct ike_shell_tx tx;

	int keyd, route, control;
	struct ipc_outq to_keyd, to_route, to_control;
	uint64_t auth_awaited[IKE_SHELL_AWAITED_AUTH]; /* 0 = free */
	size_t n_auth_awaited;
	struct ike_trust_rec *trust;

	struct ring_port sa, sa_events;
	unsigned new_rings; /* bits: 1 sa, 2 sa_events; both: a dataplane without our SAs */
	struct dp_queue dp;
	struct shm store_mem;
	struct ike_store store;
	struct ike_resumption resume;
	struct config *later; /* came while we were resuming */
	struct shm stats;
	struct mono stats_at;

	struct ike_late late[2 * IKE_OUT_MAX];
	size_t n_late;

	bool stopping;
	struct mono stop_at;
	struct log_limit limit, trace_limit;
	struct tracer tracer;
	uint64_t counters[IKE_SHELL_CNT_END];
	struct ipc_msg msg; /* of keyd, route or control */
};

static inline void ike_shell_count(struct ike_shell *s, enum ike_shell_counter c)
{
	s->counters[c]++;
}

struct ike_tunnel_rec *ike_shell_tunnel(const struct ike_shell *s, uint32_t tunnel);
struct ike_tunnel_rec *ike_shell_tunnel_named(const struct ike_shell *s, const char *name);

/* ike_shell_act.c: one event into the core, and its actions carried out. */
void ike_shell_step(struct ike_shell *s, struct ike_event *ev);
/* Carries out what stands in s->out, as after ike_tunnel_set(). */
void ike_shell_carry_out(struct ike_shell *s);
/* Has the core told, after the actions in hand, that `request` (0: none) failed. */
void ike_shell_late(struct ike_shell *s, enum ike_event_type type, uint64_t request);
/* Something for people: the log and the control process. `tunnel` may be NULL. */
void ike_shell_tell(struct ike_shell *s, enum log_level level, const char *kind, const char *tunnel,
		    const char *text);
/* Sends the states of all tunnels, or of one, to route and control. */
void ike_shell_tell_states(struct ike_shell *s);
/* The control process may ask again, as ike_shell_resuming() has become false. */
void ike_shell_hear_control(struct ike_shell *s);
void ike_shell_tell_state(struct ike_shell *s, const struct ike_tunnel_rec *t);

/* ike_shell_auth.c */
void ike_shell_ask_keyd(struct ike_shell *s, const struct ike_action *a);
/* The answers that keyd owes will not come: the core is told. */
void ike_shell_auth_lost(struct ike_shell *s);
/* Messages from keyd, which stand in s->msg. */
void ike_shell_auth_result(struct ike_shell *s);
void ike_shell_auth_trust(struct ike_shell *s);
/* Tells the core of a tunnel that it just got whom its peer may be certified by. */
void ike_shell_auth_trust_of(struct ike_shell *s, const struct ike_tunnel_rec *t);
void ike_shell_auth_forget(struct ike_shell *s);

/* ike_shell_net.c */
bool ike_shell_take_socket(struct ike_shell *s, struct ipc_msg *msg);
bool ike_shell_watch_sockets(struct ike_shell *s);
void ike_shell_close_sockets(struct ike_shell *s);
/* Takes over what the sockets had no room for. */
void ike_shell_look_at_losses(struct ike_shell *s);

/* ike_shell_send.c */
void ike_shell_send(struct ike_shell *s, const struct ike_action *a);
/* What is sent between these two leaves at the second one, in its order. */
void ike_shell_send_hold(struct ike_shell *s);
void ike_shell_send_release(struct ike_shell *s);

/* ike_shell_dp.c */
void ike_shell_take_ring(struct ike_shell *s, struct ipc_msg *msg);
void ike_shell_take_stats(struct ike_shell *s, struct ipc_msg *msg);
/* The dataplane has none of our SAs: says so to both sides. */
void ike_shell_dp_anew(struct ike_shell *s);
void ike_shell_dp_action(struct ike_shell *s, const struct ike_action *a);
void ike_shell_look_at_traffic(struct ike_shell *s);

/* ike_shell_resume.c */
void ike_shell_take_store(struct ike_shell *s, struct ipc_msg *msg);
void ike_shell_keep(struct ike_shell *s, const struct ike_action *a);
/* False: there is nothing to take up. Else the tunnels are to be configured, then: */
bool ike_shell_resume_begin(struct ike_shell *s);
/* Which SAs of the process that ended go on is not known yet. */
bool ike_shell_resuming(const struct ike_shell *s);
void ike_shell_resume_load(struct ike_shell *s);
/* Asks the dataplane from its first slot on; when it has answered, ike_shell_begin() is called. */
void ike_shell_resume_ask(struct ike_shell *s);
void ike_shell_listed(struct ike_shell *s, const struct dp_listed *l);
void ike_shell_list_answered(struct ike_shell *s, uint32_t seq, enum dp_status status);
void ike_shell_resume_turn(struct ike_shell *s);
struct mono ike_shell_resume_deadline(const struct ike_shell *s);
void ike_shell_resume_end(struct ike_shell *s);

/* ike_shell.c: the core works: the network and the neighbours may know. */
void ike_shell_begin(struct ike_shell *s);

/* ike_shell_config.c: by difference. `why` gets what could not be carried out, or "". */
void ike_shell_configure(struct ike_shell *s, struct config *new, char *why, size_t why_size);
void ike_shell_forget_tunnels(struct ike_shell *s);

/* ike_shell_query.c */
void ike_shell_query(struct ike_shell *s, const struct ipc_msg *msg);
/* Answers `id` with JSON text; takes `o`, NULL is told as a lack of memory. */
void ike_shell_reply(struct ike_shell *s, uint64_t id, bool ok, json_t *o);

/* ike_shell_explain.c: every tunnel, or the one that is named, with what is wrong with it. */
json_t *ike_shell_explain(struct ike_shell *s, const char *name);

#endif
