/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ike_shell: the process around the IKE core.
 *
 * The core decides, this shell carries out. It owns UDP 500 and 4500 (opened by the supervisor),
 * the ring of SAs to the dataplane, and sockets to three processes: keyd (AUTH), route (which
 * tunnels are up) and control (questions, events). After start it can open nothing more.
 *
 * Invariants
 *   - One event at a time: its actions are carried out, in order, before the next event.
 *   - Every request of the core is answered once, by its process or, when that is gone, by us.
 *   - Nobody makes us wait: every socket and ring has a bounded queue, and what finds it full is
 *     refused and counted.
 *   - Lines in the log that the network can cause are limited in rate.
 *
 * Files: ike_shell_act (actions), ike_shell_auth (keyd), ike_shell_net (datagrams in), ike_shell_send (out), ike_shell_dp (rings,
 * counters), ike_shell_config (tunnels), ike_shell_query (questions), ike_shell_resume (what outlives us).
 */
#include "daemon/ike_shell.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "daemon/role.h"
#include "daemon/translate.h"

#define KEYD_QUEUE_BYTES    (4u << 20)
#define ROUTE_QUEUE_BYTES   (4u << 20)
#define CONTROL_QUEUE_BYTES (64u << 20) /* one listing of many SAs */
#define TRACE_LINES_PER_S   300u
#define GOODBYE_MS          1000u
#define MESSAGES_PER_WAKEUP 64

/*
 * The core's transitions, into the log. Whoever sends us IKE_SA_INIT causes some, hence the limit;
 * how many were left out stands before the next line.
 */
static void trace_line(void *ctx, enum log_level level, const char *text)
{
	struct ike_shell *s = ctx;

	if (!log_limit_take(&s->trace_limit, s->now))
		return;
	if (s->trace_limit.n_suppressed > 0) {
		log_warn("%llu lines about IKE SAs were left out",
			 (unsigned long long)s->trace_limit.n_suppressed);
		s->trace_limit.n_suppressed = 0;
	}
	log_write(level, "%s", text);
}

/* -------------------------------------------------------------- neighbours */

static struct ipc_outq *queue_of(struct ike_shell *s, const int *sock)
{
	if (sock == &s->keyd)
		return &s->to_keyd;
	return sock == &s->route ? &s->to_route : &s->to_control;
}

static void drop_peer(struct ike_shell *s, int *sock)
{
	if (*sock < 0)
		return;
	loop_remove(&s->child.loop, *sock);
	close(*sock);
	*sock = -1;
	ipc_outq_attach(queue_of(s, sock), -1);
}

static void on_peer_message(struct ike_shell *s, const int *sock)
{
	if (sock == &s->keyd && s->msg.h.type == IPC_AUTH_RESULT)
		ike_shell_auth_result(s);
	else if (sock == &s->keyd && s->msg.h.type == IPC_AUTH_TRUST)
		ike_shell_auth_trust(s);
	else if (sock == &s->control && s->msg.h.type == IPC_QUERY)
		ike_shell_query(s, &s->msg);
	else if (log_limit_take(&s->limit, s->now))
		log_warn("a '%s' message from the wrong process was ignored",
			 ipc_type_name((enum ipc_type)s->msg.h.type));
}

static void on_peer(void *ctx, int fd, uint32_t events)
{
	struct ike_shell *s = ctx;
	int *sock = fd == s->keyd ? &s->keyd : fd == s->route ? &s->route : &s->control;

	/* Nobody asks a process that does not know yet what it has taken over. */
	if (sock == &s->control && ike_shell_resuming(s)) {
		loop_remove(&s->child.loop, fd);
		return;
	}
	s->now = mono_now();
	for (int i = 0; i < MESSAGES_PER_WAKEUP; i++) {
		const int r = ipc_recv(fd, &s->msg);

		if (r == 1) {
			on_peer_message(s, sock);
			ipc_msg_close(&s->msg);
			continue;
		}
		if (r == 0 && errno == EAGAIN)
			return;
		if (r < 0 && errno == EBADMSG)
			continue;
		/* It died. The supervisor brings another; what it owed is lost. */
		drop_peer(s, sock);
		if (sock == &s->keyd)
			ike_shell_auth_lost(s);
		return;
	}
}

void ike_shell_hear_control(struct ike_shell *s)
{
	if (s->control < 0)
		return;
	loop_remove(&s->child.loop, s->control);
	if (!loop_add(&s->child.loop, s->control, EPOLLIN, on_peer, s))
		child_fatal(&s->child, "cannot watch the control process: %s", strerror(errno));
}

static void take_peer(struct ike_shell *s, struct ipc_msg *msg)
{
	struct ipc_peer head;
	int *sock;

	if (msg->h.size != sizeof(head) || msg->n_fds != 1)
		return;
	memcpy(&head, msg->body, sizeof(head));
	switch ((int)head.role) {
	case IPC_ROLE_KEYD: sock = &s->keyd; break;
	case IPC_ROLE_ROUTE: sock = &s->route; break;
	case IPC_ROLE_CONTROL: sock = &s->control; break;
	default: return;
	}
	drop_peer(s, sock);
	if (sock == &s->keyd)
		ike_shell_auth_lost(s);
	*sock = ipc_msg_take_fd(msg, 0);
	ipc_outq_attach(queue_of(s, sock), *sock);
	if (!loop_add(&s->child.loop, *sock, EPOLLIN, on_peer, s))
		child_fatal(&s->child, "cannot watch the %s process: %s",
			    ipc_role_name((enum ipc_role)head.role), strerror(errno));
	/* A new neighbour knows nothing. */
	if (sock != &s->keyd && s->child.started && !ike_shell_resuming(s))
		ike_shell_tell_states(s);
}

static void watch_queues(struct ike_shell *s)
{
	int *const socks[] = {&s->keyd, &s->route, &s->control};

	for (size_t i = 0; i < sizeof(socks) / sizeof(socks[0]); i++) {
		struct ipc_outq *q = queue_of(s, socks[i]);

		if (*socks[i] < 0)
			continue;
		if (!ipc_outq_flush(q)) {
			drop_peer(s, socks[i]);
			continue;
		}
		loop_modify(&s->child.loop, *socks[i],
			    EPOLLIN | (ipc_outq_waiting(q) ? EPOLLOUT : 0));
	}
}

/* -------------------------------------------------------------- life cycle */

static void take_config(struct ike_shell *s, struct ipc_msg *msg)
{
	struct config *c = child_config(msg, NULL);
	char why[256];

	if (!c) {
		if (!s->child.started)
			child_fatal(&s->child, "the configuration cannot be read");
		child_reloaded(&s->child, "the configuration cannot be read");
		return;
	}
	if (!s->child.started) {
		if (s->config)
			config_free(s->config);
		s->config = c;
		return;
	}
	s->now = mono_now();
	if (s->resume.active) {
		/* The supervisor waits for one answer before it sends another. */
		if (s->later)
			config_free(s->later);
		s->later = c;
		return;
	}
	ike_shell_configure(s, c, why, sizeof(why));
	child_reloaded(&s->child, why);
}

static void take_qcd(struct ike_shell *s, struct ipc_msg *msg)
{
	static_assert(IPC_QCD_SECRET_SIZE == IKE_QCD_SECRET_SIZE, "it is passed on");
	if (msg->h.size == IPC_QCD_SECRET_SIZE) {
		secret_free(s->qcd);
		s->qcd = secret_from(msg->body, msg->h.size);
	}
	bytes_wipe(msg->body, msg->h.size);
}

static void on_message(void *ctx, struct ipc_msg *msg)
{
	struct ike_shell *s = ctx;

	switch ((int)msg->h.type) {
	case IPC_CONFIG: take_config(s, msg); break;
	case IPC_PEER: take_peer(s, msg); break;
	case IPC_RING: ike_shell_take_ring(s, msg); break;
	case IPC_STATS: ike_shell_take_stats(s, msg); break;
	case IPC_STORE: ike_shell_take_store(s, msg); break;
	case IPC_QCD_SECRET: take_qcd(s, msg); break;
	case IPC_SOCKET:
		if (!ike_shell_take_socket(s, msg))
			log_warn("a socket that is not for this process was ignored");
		break;
	default: break;
	}
}

static void say_goodbye(struct ike_shell *s)
{
	for (uint32_t i = 0; i < s->n_tunnels; i++) {
		struct ike_event ev = {.type = IKE_EV_TERMINATE, .tunnel.tunnel = i};

		if (s->tunnels[i])
			ike_shell_step(s, &ev);
	}
}

void ike_shell_begin(struct ike_shell *s)
{
	char why[256];

	if (!ike_shell_watch_sockets(s))
		child_fatal(&s->child, "no UDP socket was handed over");
	/* Whatever an earlier ike process said, nothing is up now; unless we go on where it ended. */
	if (!s->resume.finishing)
		ike_shell_tell_states(s);
	if (s->later) {
		struct config *c = s->later;

		s->later = NULL;
		ike_shell_configure(s, c, why, sizeof(why));
		child_reloaded(&s->child, why);
	}
	if (s->stopping)
		say_goodbye(s);
}

static void on_start(void *ctx)
{
	struct ike_shell *s = ctx;
	struct config *c = s->config;
	struct ike_limits limits;
	char why[256];
	bool resuming;

	if (!c || s->keyd < 0 || s->sa.doorbell < 0 || s->sa_events.doorbell < 0)
		child_fatal(&s->child, "the supervisor did not hand over everything");
	limits = translate_ike_limits(c);
	if (s->qcd) {
		limits.has_qcd_secret = true;
		memcpy(limits.qcd_secret, secret_data(s->qcd), sizeof(limits.qcd_secret));
	}
	s->core = ike_new(&limits, &s->crypto, &s->tracer);
	bytes_wipe(&limits, sizeof(limits));
	secret_free(s->qcd);
	s->qcd = NULL;
	if (!s->core || !dp_queue_init(&s->dp))
		child_fatal(&s->child, "out of memory, or of memory that may be locked: raise "
				       "LimitMEMLOCK");
	s->now = mono_now();
	s->stats_at = s->now;
	resuming = ike_shell_resume_begin(s);
	if (!resuming)
		ike_shell_dp_anew(s);
	s->config = NULL;
	ike_shell_configure(s, c, why, sizeof(why));
	if (why[0] != '\0')
		child_fatal(&s->child, "%s", why);
	if (!resuming) {
		ike_shell_begin(s);
		return;
	}
	ike_shell_resume_load(s);
	ike_shell_resume_ask(s);
}

static void on_stop(void *ctx)
{
	struct ike_shell *s = ctx;

	if (!s->child.started) {
		child_quit(&s->child, 0);
		return;
	}
	s->now = mono_now();
	s->stopping = true;
	s->stop_at = mono_add(s->now, span_ms(GOODBYE_MS));
	if (!s->resume.active)
		say_goodbye(s);
}

static bool found_sa(void *ctx, const struct ike_show_sa *sa)
{
	*(bool *)ctx = true;
	return false;
}

/* All peers have answered our deletes, or had their time. */
static bool said_goodbye(const struct ike_shell *s)
{
	bool any = false;

	ike_show_sas(s->core, found_sa, &any);
	return !any || mono_reached(s->now, s->stop_at);
}

static void on_turn(void *ctx, struct mono now)
{
	struct ike_shell *s = ctx;

	s->now = now;
	ike_shell_resume_turn(s);
	if (mono_reached(now, ike_deadline(s->core))) {
		struct ike_event ev = {.type = IKE_EV_TICK};

		ike_shell_step(s, &ev);
	}
	if (mono_reached(now, s->stats_at)) {
		s->stats_at = mono_add(now, span_ms(IKE_SHELL_STATS_MS));
		ike_shell_look_at_traffic(s);
		ike_shell_look_at_losses(s);
	}
	dp_queue_flush(&s->dp, &s->sa);
	ring_port_notify(&s->sa);
	watch_queues(s);
	if (s->stopping && said_goodbye(s))
		child_quit(&s->child, 0);
}

static struct mono next_turn(void *ctx)
{
	struct ike_shell *s = ctx;
	struct mono at = mono_min(ike_deadline(s->core), s->stats_at);

	at = mono_min(at, ike_shell_resume_deadline(s));
	if (s->stopping)
		at = mono_min(at, s->stop_at);
	return at;
}

int ike_main(void)
{
	static const struct child_ops ops = {
		.message = on_message,
		.start = on_start,
		.stop = on_stop,
		.turn = on_turn,
		.deadline = next_turn,
	};
	static struct ike_shell s = {
		.keyd = -1,
		.route = -1,
		.control = -1,
		.sa = {.shm = {.fd = -1}, .doorbell = -1},
		.sa_events = {.shm = {.fd = -1}, .doorbell = -1},
		.stats = {.fd = -1},
		.store_mem = {.fd = -1},
		.resume = {.settle_at = MONO_NEVER, .steady_at = MONO_NEVER},
		.limit = {.per_s = 10},
		.trace_limit = {.per_s = TRACE_LINES_PER_S},
		.tracer = {.ctx = &s, .line = trace_line},
	};
	int status;

	for (size_t i = 0; i < IKE_SHELL_N_SOCKETS; i++)
		s.sockets[i].fd = -1;
	ike_crypto_openssl(&s.crypto, NULL, NULL);
	ipc_outq_init(&s.to_keyd, KEYD_QUEUE_BYTES);
	ipc_outq_init(&s.to_route, ROUTE_QUEUE_BYTES);
	ipc_outq_init(&s.to_control, CONTROL_QUEUE_BYTES);
	status = child_run(&s.child, IPC_ROLE_IKE, &ops, &s);

	if (s.core)
		ike_free(s.core);
	secret_free(s.qcd);
	ike_out_reset(&s.out);
	dp_queue_fini(&s.dp);
	ike_shell_resume_end(&s);
	if (s.later)
		config_free(s.later);
	ike_shell_forget_tunnels(&s);
	ike_shell_auth_forget(&s);
	if (s.config)
		config_free(s.config);
	ike_shell_close_sockets(&s);
	drop_peer(&s, &s.keyd);
	drop_peer(&s, &s.route);
	drop_peer(&s, &s.control);
	ring_port_close(&s.sa);
	ring_port_close(&s.sa_events);
	shm_close(&s.stats);
	return status;
}
