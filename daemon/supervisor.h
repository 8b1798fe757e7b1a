/* SPDX-License-Identifier: Apache-2.0 */
/* supervisor: the parts of the supervising process. See supervisor.c for the whole. */
#ifndef DAEMON_SUPERVISOR_H
#define DAEMON_SUPERVISOR_H

#include <jansson.h>
#include <sys/types.h>
#include "base/secret.h"
#include "base/shm.h"
#include "config/config.h"
#include "daemon/loop.h"
#include "ipc/ipc.h"
#include "ipc/outq.h"

#define SUP_EXIT_CONFIG 2
#define SUP_PATH_SIZE   4096
#define SUP_EMPTY_ROOT  "/run/twinbore/empty"
#define SUP_MAX_INDEXES ((IPC_BODY_MAX - sizeof(struct ipc_config)) / sizeof(struct ipc_index))

struct sup_options {
	char config_path[SUP_PATH_SIZE];
	char dataplane_path[SUP_PATH_SIZE];
	unsigned watchdog_s; /* a child that is silent for so long is killed; 0: never */
	bool nice_given;     /* else SUP_NICE, or what it was started with */
	int nice;
};

enum sup_state {
	SUP_STOPPED,
	SUP_STARTING, /* spawned, IPC_READY is awaited */
	SUP_RUNNING,
	SUP_WAITING,  /* died; to be started at `at` */
	SUP_STOPPING, /* IPC_STOP was sent */
};

struct sup_child {
	enum ipc_role role;
	enum sup_state state;
	pid_t pid;      /* 0: none */
	int channel;    /* -1: none */
	struct mono at; /* when patience ends, or when to start */
	struct mono started_at;
	struct mono_span backoff;
	unsigned restarts;
	char why[512];       /* its IPC_FATAL */
	bool reloading;      /* IPC_RELOADED is awaited */
	unsigned unanswered; /* IPC_PINGs since its last message */
};

/* Two children's socket pair. An end stays here until its child runs. */
struct sup_pair {
	enum ipc_role roles[2];
	int socks[2]; /* -1: given away */
	bool given[2];
};

/* The rings between the dataplane and `owner`. */
struct sup_rings {
	enum ipc_role owner;
	enum ipc_ring_kind request_kind, event_kind;
	struct shm request, event;
	int request_bell, event_bell;
	bool given_dp, given_owner;
};

#define SUP_N_PAIRS   4
#define SUP_N_RINGS   2
#define SUP_N_SOCKETS 4

/* Of a pair, in the order in which they are handed over; see sup_udp.c. */
enum sup_udp { SUP_UDP_UNDER_WAY, SUP_UDP_STRANGERS, SUP_UDP_PAIR };

struct sup_socket {
	int fd[SUP_UDP_PAIR];
	enum ipc_socket_kind kind;
};

/* An open file for keyd. */
struct sup_secret {
	struct ipc_secret head;
	int fd;
};

struct sup_secrets {
	struct sup_secret *items;
	size_t n;
};

struct sup_reload {
	bool active;
	bool asked;  /* by the control process: it gets an answer */
	uint64_t id; /* of its query */
	struct mono deadline;
	json_t *changed;
	size_t n_unchanged;
	char problems[2048];
};

struct supervisor {
	struct sup_options options;
	struct config *config;
	char *text; /* of the configuration that is in force */
	size_t text_size;
	uint64_t generation;
	struct sup_secrets secrets;
	struct secret *qcd; /* RFC 6290 */
	struct ipc_drained *drained;
	size_t n_drained, drained_size;
	uid_t uid;
	gid_t gid;

	struct loop loop;
	int signals; /* signalfd */
	struct mono started_at;
	struct sup_child children[IPC_ROLE_END];
	struct sup_pair pairs[SUP_N_PAIRS];
	struct sup_rings rings[SUP_N_RINGS];
	struct shm stats;
	struct shm store; /* ike's */
	struct sup_socket sockets[SUP_N_SOCKETS];
	int control_listen; /* -1: none */
	int control_lock;
	struct mono ping_at;
	uint64_t ping; /* the last one's number */
	int control;   /* our end of the pair with the control process; -1 */
	struct ipc_outq to_control;

	bool starting; /* the first start is not complete: a failure ends everything */
	bool stopping;
	bool quit;
	int status;
	struct sup_reload reload;
	struct ipc_msg msg;
};

/* supervisor.c */
int supervisor_main(const struct sup_options *options);
/* Ends everything, in order; the exit status when all are gone. */
void sup_stop(struct supervisor *s, int status);
/* An event for people: log and control process. */
void sup_tell(struct supervisor *s, const char *kind, const char *text);

/* sup_config.c. Problems are printed as FILE:LINE:COL: text, or returned one a line. */
struct config *sup_config_load(const char *path, char **text, size_t *text_size, char *problems,
			       size_t problems_size);
/* Appends one line; what does not fit is left out, the first lines matter most. */
void sup_problem(char *problems, size_t size, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* True if the numbers of all tunnels and route tables fit into one message. */
bool sup_config_fits(const struct config *c);

/* sup_secrets.c: opens every tunnel's files of keys and certificates. */
bool sup_secrets_open(const char *path, const struct config *c, struct sup_secrets *out,
		      char *problems, size_t problems_size);
void sup_secrets_close(struct sup_secrets *s);

/*
 * sup_qcd.c: what makes tokens for quick crash detection; from a file, or for this life alone. False
 * when out of memory.
 */
bool sup_qcd_open(struct supervisor *s);
bool sup_qcd_send(struct supervisor *s, struct sup_child *c);

/* sup_reload.c */
void sup_reload_begin(struct supervisor *s, bool asked, uint64_t id);
void sup_reload_answer(struct supervisor *s, struct sup_child *c, const char *text);
void sup_reload_turn(struct supervisor *s, struct mono now);

/* sup_sockets.c: each prints what is wrong and what to do. */
bool sup_user_find(struct supervisor *s);
bool sup_empty_root_make(void);
/* Creates the folders that lead to `path`, without its last part. */
bool sup_parents_make(const char *path);
bool sup_control_open(struct supervisor *s);
void sup_control_remove(struct supervisor *s);

/* sup_udp.c: likewise */
bool sup_udp_open(struct supervisor *s);
/* One pair; `marker`: IKE is behind it. False with errno; what could be opened stands in `fd`, else -1. */
bool sup_udp_pair(bool v6, uint16_t port, bool marker, int fd[SUP_UDP_PAIR]);
void sup_udp_close(struct supervisor *s);

/* sup_inside.c: opens a socket between a tunnel's inside addresses, as a message in s->msg asks. */
void sup_inside_answer(struct supervisor *s, struct sup_child *c);

/* sup_handover.c: what a child gets before IPC_START, and what its neighbours get with it. */
bool sup_handover(struct supervisor *s, struct sup_child *c);
bool sup_send_config(struct supervisor *s, struct sup_child *c);
/*
 * The dataplane forwards: ike and route get their ends of its rings, which tells them to program
 * it. Not before, as it takes the network away until then.
 */
void sup_handover_dp_ready(struct supervisor *s);
/* The child is gone: its ends that nobody took are closed. */
void sup_handover_forget(struct supervisor *s, enum ipc_role role);
void sup_handover_init(struct supervisor *s);
void sup_handover_fini(struct supervisor *s);

/* sup_store.c */
bool sup_store_give(struct supervisor *s, struct sup_child *c);
void sup_store_close(struct supervisor *s); /* wipes */

/* sup_drain.c */
/* False: it is not configured, or no memory. */
bool sup_drain_keep(struct supervisor *s, const struct ipc_drained *which, bool on);
bool sup_drains_give(struct supervisor *s, struct sup_child *c);

/* sup_nice.c */
#define SUP_NICE (-10)
void sup_nice_set(const struct supervisor *s);
void sup_nice_drop(void); /* for a process that nobody outside waits for */

/* sup_watchdog.c */
void sup_watchdog_turn(struct supervisor *s, struct mono now);
void sup_watchdog_heard(struct sup_child *c);
struct mono sup_watchdog_deadline(const struct supervisor *s);

/* sup_child.c */
void sup_child_start(struct supervisor *s, enum ipc_role role);
void sup_child_stop(struct supervisor *s, struct sup_child *c);
/* Collects the dead. */
void sup_children_reap(struct supervisor *s);
/* Starts, restarts and kills what is due. */
void sup_children_turn(struct supervisor *s, struct mono now);
struct mono sup_children_deadline(const struct supervisor *s);
bool sup_child_alive(const struct sup_child *c);
/* Sends to a child; one that does not read for long is killed, to be started again. */
bool sup_child_send(struct supervisor *s, struct sup_child *c, enum ipc_type type, const void *body,
		    size_t size, const int *fds, size_t n_fds);
const char *sup_state_name(enum sup_state state);

/* sup_query.c */
void sup_control_attach(struct supervisor *s, int sock);
void sup_control_turn(struct supervisor *s);
void sup_reply(struct supervisor *s, uint64_t id, bool ok, json_t *o);

/* sup_notify.c: systemd's readiness protocol; silent without $NOTIFY_SOCKET. */
void sup_notify_init(void);
void sup_notify(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
