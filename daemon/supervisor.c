/* SPDX-License-Identifier: Apache-2.0 */
/*
 * supervisor: the one process of the gateway that keeps privileges.
 *
 * It reads and checks the configuration, opens what needs root (UDP ports, the control socket, key
 * files), starts the others, hands everything out, and starts again what dies. It parses nothing
 * that comes from the network and nothing that a client of the control socket wrote; what children
 * tell it is a handful of fixed messages.
 *
 * Invariants
 *   - A child's crash, or its crash loop, touches no other child beyond its missing answers.
 *   - A bad configuration never replaces a good one.
 *   - No child outlives the supervisor (PR_SET_PDEATHSIG, end of the channel), none is left a
 *     zombie, and an orderly stop says goodbye to peers before it takes the dataplane down.
 *
 * Files: sup_config (files), sup_sockets (users), sup_udp (ports), sup_qcd (a secret of our own), sup_child (life
 * cycles), sup_watchdog (those that hang), sup_handover (who gets what), sup_store (what ike keeps),
 * sup_drain (what is drained),
 * sup_reload, sup_query (control process), sup_notify (service manager), sup_nice (a share of the CPUs).
 */
#include "daemon/supervisor.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include "base/log.h"
#include "base/secret.h"
#include "daemon/event.h"

#define CONTROL_QUEUE_BYTES (1u << 20)
#define FILES_WANTED        8192u

void sup_tell(struct supervisor *s, const char *kind, const char *text)
{
	char *json = event_text(kind, "supervisor", NULL, text, NULL);

	log_info("%s: %s", kind, text);
	if (json && s->control >= 0)
		(void)ipc_outq_send(&s->to_control, IPC_EVENT, 0, 0, json, strlen(json), NULL, 0);
	free(json);
}

void sup_stop(struct supervisor *s, int status)
{
	if (s->stopping)
		return;
	s->stopping = true;
	s->status = status;
	sup_notify("STOPPING=1\n");
}

static void on_signal(void *ctx, int fd, uint32_t events)
{
	struct supervisor *s = ctx;
	struct signalfd_siginfo info;

	while (read(fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		switch (info.ssi_signo) {
		case SIGCHLD: sup_children_reap(s); break;
		case SIGHUP: sup_reload_begin(s, false, 0); break;
		case SIGTERM:
		case SIGINT:
			if (!s->stopping)
				log_info("stopping");
			sup_stop(s, 0);
			break;
		default: break;
		}
	}
}

static bool watch_signals(struct supervisor *s)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
		return false;
	s->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return s->signals >= 0 && loop_add(&s->loop, s->signals, EPOLLIN, on_signal, s);
}

bool sup_config_fits(const struct config *c)
{
	size_t n = c->routing.n_tables;

	for (size_t i = 0; i < c->n_connections; i++)
		n += c->connections[i].n_tunnels;
	return n <= SUP_MAX_INDEXES;
}

static void print_lines(const char *text)
{
	fputs(text, stderr);
	fflush(stderr);
}

/* Everything that can be wrong with the files: exit status 2. */
static bool load(struct supervisor *s)
{
	char problems[8192];

	s->config = sup_config_load(s->options.config_path, &s->text, &s->text_size, problems,
				    sizeof(problems));
	if (!s->config) {
		print_lines(problems);
		return false;
	}
	log_set(s->config->log_level, s->config->log_format);
	if (!config_assign_indexes(s->config, NULL) || !sup_config_fits(s->config)) {
		fprintf(stderr,
			"%s: more tunnels than dataplane.max_tunnels (or than %zu, with the route "
			"tables): raise it\n",
			s->options.config_path, (size_t)SUP_MAX_INDEXES);
		return false;
	}
	if (!sup_secrets_open(s->options.config_path, s->config, &s->secrets, problems,
			      sizeof(problems))) {
		print_lines(problems);
		return false;
	}
	return true;
}

/* Everything that can be wrong with the machine: exit status 1. */
static bool prepare(struct supervisor *s)
{
	if (geteuid() != 0) {
		log_error("twinbored must be started as root: it opens UDP ports 500 and 4500, and "
			  "its other processes drop their privileges");
		return false;
	}
	if (access(s->options.dataplane_path, X_OK) != 0) {
		log_error("the dataplane program %s cannot be executed: %s: name it with "
			  "--dataplane",
			  s->options.dataplane_path, strerror(errno));
		return false;
	}
	return sup_user_find(s) && sup_empty_root_make() && sup_control_open(s) &&
	       sup_udp_open(s) && sup_qcd_open(s);
}

/* A key file of every tunnel stays open, so that keyd can be started again. */
static void raise_file_limit(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) != 0 || r.rlim_cur >= FILES_WANTED)
		return;
	r.rlim_cur = FILES_WANTED;
	if (r.rlim_max < FILES_WANTED)
		r.rlim_max = FILES_WANTED;
	if (setrlimit(RLIMIT_NOFILE, &r) != 0 && getrlimit(RLIMIT_NOFILE, &r) == 0) {
		r.rlim_cur = r.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &r);
	}
}

static void init(struct supervisor *s, const struct sup_options *options)
{
	s->options = *options;
	s->generation = 1;
	s->signals = s->control = s->control_listen = s->control_lock = -1;
	s->starting = true;
	s->started_at = mono_now();
	for (size_t i = 0; i < SUP_N_SOCKETS; i++)
		s->sockets[i].fd[SUP_UDP_UNDER_WAY] = s->sockets[i].fd[SUP_UDP_STRANGERS] = -1;
	for (int role = 0; role < IPC_ROLE_END; role++) {
		s->children[role].role = (enum ipc_role)role;
		s->children[role].channel = -1;
		s->children[role].at = MONO_NEVER;
	}
	ipc_outq_init(&s->to_control, CONTROL_QUEUE_BYTES);
	sup_handover_init(s);
}

static void fini(struct supervisor *s)
{
	sup_control_attach(s, -1);
	ipc_outq_fini(&s->to_control);
	sup_handover_fini(s);
	sup_store_close(s);
	sup_secrets_close(&s->secrets);
	secret_free(s->qcd);
	free(s->drained);
	sup_udp_close(s);
	if (s->config) {
		sup_control_remove(s);
		config_free(s->config);
	}
	free(s->text);
	json_decref(s->reload.changed);
	if (s->signals >= 0)
		close(s->signals);
	loop_fini(&s->loop);
}

static void run(struct supervisor *s)
{
	sup_notify("STATUS=starting\n");
	sup_children_turn(s, mono_now());
	while (!s->quit) {
		struct mono at = mono_min(sup_children_deadline(s), sup_watchdog_deadline(s));

		if (s->reload.active)
			at = mono_min(at, s->reload.deadline);
		if (!loop_turn(&s->loop, at)) {
			log_error("epoll failed: %s", strerror(errno));
			s->status = 1;
			return;
		}
		sup_reload_turn(s, mono_now());
		sup_children_turn(s, mono_now());
		sup_watchdog_turn(s, mono_now());
		sup_control_turn(s);
	}
}

int supervisor_main(const struct sup_options *options)
{
	static struct supervisor s;
	int status = 1;

	init(&s, options);
	log_init("twinbored", LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
	sup_notify_init();
	raise_file_limit();
	if (!loop_init(&s.loop)) {
		log_error("epoll failed: %s", strerror(errno));
		return 1;
	}
	if (!load(&s)) {
		status = SUP_EXIT_CONFIG;
	} else if (prepare(&s)) {
		/* Open key files pass through here, keys do not; be careful all the same. */
		(void)process_harden_memory();
		if (watch_signals(&s)) {
			log_info("gateway '%s' starts", s.config->name);
			sup_nice_set(&s);
			run(&s);
			status = s.status;
			/* After a failed start the last line says what to do. */
			if (status == 0)
				log_info("stopped");
		} else {
			log_error("cannot watch signals: %s", strerror(errno));
		}
	}
	fini(&s);
	return status;
}
