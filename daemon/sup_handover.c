/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sup_handover: who gets which descriptor.
 *
 * Children never connect to each other: the supervisor makes socket pairs and rings, and gives
 * each end to its owner, once. When a child starts again, whatever it shares with others is made
 * anew and both sides get new ends, so that nothing half-written of its predecessor is read.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "base/log.h"
#include "base/ring.h"
#include "daemon/supervisor.h"
#include "twinbore/dp_stats.h"

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void sup_handover_init(struct supervisor *s)
{
	static const enum ipc_role pairs[SUP_N_PAIRS][2] = {
		{IPC_ROLE_KEYD, IPC_ROLE_IKE},
		{IPC_ROLE_IKE, IPC_ROLE_ROUTE},
		{IPC_ROLE_CONTROL, IPC_ROLE_IKE},
		{IPC_ROLE_CONTROL, IPC_ROLE_ROUTE},
	};
	static const struct sup_rings none = {
		.request = {.fd = -1},
		.event = {.fd = -1},
		.request_bell = -1,
		.event_bell = -1,
	};

	for (size_t i = 0; i < SUP_N_PAIRS; i++)
		s->pairs[i] = (struct sup_pair){
			.roles = {pairs[i][0], pairs[i][1]},
			.socks = {-1, -1},
			.given = {true, true},
		};
	for (size_t i = 0; i < SUP_N_RINGS; i++) {
		s->rings[i] = none;
		s->rings[i].given_dp = s->rings[i].given_owner = true;
	}
	s->rings[0].owner = IPC_ROLE_IKE;
	s->rings[0].request_kind = IPC_RING_SA;
	s->rings[0].event_kind = IPC_RING_SA_EVENT;
	s->rings[1].owner = IPC_ROLE_ROUTE;
	s->rings[1].request_kind = IPC_RING_FIB;
	s->rings[1].event_kind = IPC_RING_FIB_EVENT;
	s->stats.fd = s->store.fd = -1;
}

static void rings_close(struct sup_rings *r)
{
	shm_close(&r->request);
	shm_close(&r->event);
	close_fd(&r->request_bell);
	close_fd(&r->event_bell);
}

void sup_handover_fini(struct supervisor *s)
{
	for (size_t i = 0; i < SUP_N_PAIRS; i++) {
		close_fd(&s->pairs[i].socks[0]);
		close_fd(&s->pairs[i].socks[1]);
	}
	for (size_t i = 0; i < SUP_N_RINGS; i++)
		rings_close(&s->rings[i]);
	shm_close(&s->stats);
}

void sup_handover_forget(struct supervisor *s, enum ipc_role role)
{
	for (size_t i = 0; i < SUP_N_PAIRS; i++) {
		struct sup_pair *p = &s->pairs[i];

		if (p->roles[0] != role && p->roles[1] != role)
			continue;
		close_fd(&p->socks[0]);
		close_fd(&p->socks[1]);
		p->given[0] = p->given[1] = true;
	}
}

/* ------------------------------------------------------------------- pairs */

static bool give_end(struct supervisor *s, struct sup_pair *p, int end)
{
	struct sup_child *to = &s->children[p->roles[end]];
	const struct ipc_peer body = {.role = p->roles[1 - end]};

	if (!sup_child_send(s, to, IPC_PEER, &body, sizeof(body), &p->socks[end], 1))
		return false;
	close_fd(&p->socks[end]);
	p->given[end] = true;
	return true;
}

static bool give_pairs(struct supervisor *s, struct sup_child *c)
{
	for (size_t i = 0; i < SUP_N_PAIRS; i++) {
		struct sup_pair *p = &s->pairs[i];
		const int mine = p->roles[0] == c->role ? 0 : 1;

		if (p->roles[mine] != c->role)
			continue;
		if (p->given[mine]) {
			close_fd(&p->socks[0]);
			close_fd(&p->socks[1]);
			if (!ipc_pair(p->socks)) {
				log_error("cannot make a socket pair: %s", strerror(errno));
				return false;
			}
			p->given[0] = p->given[1] = false;
		}
		if (!give_end(s, p, mine))
			return false;
		/* The neighbour's failure is its own: it will be started again. */
		if (!p->given[1 - mine] && sup_child_alive(&s->children[p->roles[1 - mine]]))
			(void)give_end(s, p, 1 - mine);
	}
	return true;
}

/* ------------------------------------------------------------------- rings */

static bool ring_make(struct shm *shm, int *bell, const char *name, uint32_t slot_size)
{
	if (!shm_create(shm, name, ring_size(DP_RING_SLOTS, slot_size)))
		return false;
	ring_format(shm->map, DP_RING_SLOTS, slot_size);
	*bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return *bell >= 0;
}

static bool rings_make(struct sup_rings *r)
{
	rings_close(r);
	if (ring_make(&r->request, &r->request_bell, "twinbore-requests", DP_MSG_SIZE) &&
	    ring_make(&r->event, &r->event_bell, "twinbore-events", DP_EVENT_SIZE)) {
		r->given_dp = r->given_owner = false;
		return true;
	}
	log_error("cannot make a ring: %s", strerror(errno));
	rings_close(r);
	return false;
}

static bool send_rings(struct supervisor *s, const struct sup_rings *r, struct sup_child *to)
{
	const bool resumed = to->role != IPC_ROLE_DP &&
			     s->children[IPC_ROLE_DP].state == SUP_RUNNING && to->restarts > 0 &&
			     to->state == SUP_STARTING;
	const struct ipc_ring request = {
		.flags = resumed ? IPC_RING_RESUMED : 0,
		.kind = r->request_kind,
		.n_slots = DP_RING_SLOTS,
		.slot_size = DP_MSG_SIZE,
	};
	const struct ipc_ring event = {
		.kind = r->event_kind,
		.n_slots = DP_RING_SLOTS,
		.slot_size = DP_EVENT_SIZE,
	};
	const int request_fds[2] = {r->request.fd, r->request_bell};
	const int event_fds[2] = {r->event.fd, r->event_bell};

	/* The way back first: what is answered at once finds it. */
	return sup_child_send(s, to, IPC_RING, &event, sizeof(event), event_fds, 2) &&
	       sup_child_send(s, to, IPC_RING, &request, sizeof(request), request_fds, 2);
}

static bool give_rings(struct supervisor *s, struct sup_child *c)
{
	for (size_t i = 0; i < SUP_N_RINGS; i++) {
		struct sup_rings *r = &s->rings[i];
		const bool is_dp = c->role == IPC_ROLE_DP;
		bool *mine = is_dp ? &r->given_dp : &r->given_owner;
		bool *other = is_dp ? &r->given_owner : &r->given_dp;
		struct sup_child *neighbour = &s->children[is_dp ? r->owner : IPC_ROLE_DP];

		if (!is_dp && r->owner != c->role)
			continue;
		if (*mine && !rings_make(r))
			return false;
		if (!send_rings(s, r, c))
			return false;
		*mine = true;
		/* A dataplane that is being started takes nothing yet: sup_handover_dp_ready(). */
		if (!is_dp && !*other && sup_child_alive(neighbour))
			*other = send_rings(s, r, neighbour);
		if (*mine && *other)
			rings_close(r);
	}
	return true;
}

void sup_handover_dp_ready(struct supervisor *s)
{
	for (size_t i = 0; i < SUP_N_RINGS; i++) {
		struct sup_rings *r = &s->rings[i];

		if (r->given_owner || !sup_child_alive(&s->children[r->owner]))
			continue;
		r->given_owner = send_rings(s, r, &s->children[r->owner]);
		if (r->given_owner)
			rings_close(r);
	}
}

/* ---------------------------------------------------------------- counters */

static bool give_stats(struct supervisor *s, struct sup_child *c)
{
	const uint64_t size = dp_stats_size(s->config->max_sas, s->config->max_tunnels);
	char path[64];
	int fd;
	bool ok;

	if (!s->stats.map && !shm_create(&s->stats, "twinbore-stats", size)) {
		log_error("cannot make %llu bytes of memory for counters: %s: lower "
			  "dataplane.max_sas",
			  (unsigned long long)size, strerror(errno));
		return false;
	}
	if (c->role == IPC_ROLE_DP) {
		/* Counters of a dataplane start at zero; readers keep their map. */
		memset(s->stats.map, 0, s->stats.size);
		return sup_child_send(s, c, IPC_STATS, &size, sizeof(size), &s->stats.fd, 1);
	}
	/* The others can only read: the descriptor says so, not their goodwill. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", s->stats.fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		log_error("cannot open %s: %s: is /proc mounted?", path, strerror(errno));
		return false;
	}
	ok = sup_child_send(s, c, IPC_STATS, &size, sizeof(size), &fd, 1);
	close(fd);
	return ok;
}

/* ----------------------------------------------------------- configuration */

static size_t list_indexes(const struct config *c, struct ipc_index *out)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n_connections; i++) {
		for (size_t j = 0; j < c->connections[i].n_tunnels; j++, n++) {
			memcpy(out[n].name, c->connections[i].tunnels[j].name, sizeof(out->name));
			out[n].number = c->connections[i].tunnels[j].index;
		}
	}
	return n;
}

static size_t list_tables(const struct config *c, struct ipc_index *out)
{
	size_t n = 0;

	for (size_t i = 0; i < c->routing.n_tables; i++) {
		const struct config_table *t = &c->routing.tables[i];

		if (strcmp(t->name, CONFIG_MAIN_TABLE) == 0)
			continue;
		memcpy(out[n].name, t->name, sizeof(out->name));
		out[n++].number = t->index;
	}
	return n;
}

static bool send_secrets(struct supervisor *s, struct sup_child *c)
{
	for (size_t i = 0; i < s->secrets.n; i++) {
		const struct sup_secret *secret = &s->secrets.items[i];
		const bool for_route = secret->head.kind == IPC_SECRET_BGP_PASSWORD;

		if (c->role != (for_route ? IPC_ROLE_ROUTE : IPC_ROLE_KEYD))
			continue;
		if (!sup_child_send(s, c, IPC_SECRET, &secret->head, sizeof(secret->head),
				    &secret->fd, 1))
			return false;
	}
	return true;
}

bool sup_send_config(struct supervisor *s, struct sup_child *c)
{
	struct ipc_config head = {.size = s->text_size, .generation = s->generation};
	struct shm shm = {.fd = -1};
	struct ipc_index *indexes;
	uint8_t *body;
	size_t size;
	bool ok;

	/* Secrets come first: the names that follow say which are still wanted. */
	if (!send_secrets(s, c))
		return false;
	body = calloc(1, IPC_BODY_MAX);
	/* Each child has a copy of its own: none can change another's. */
	if (!body || !shm_create(&shm, "twinbore-config", s->text_size)) {
		log_error("out of memory for the configuration");
		free(body);
		return false;
	}
	memcpy(shm.map, s->text, s->text_size);
	indexes = (struct ipc_index *)(void *)(body + sizeof(head));
	head.n_tunnels = (uint32_t)list_indexes(s->config, indexes);
	if (c->role != IPC_ROLE_KEYD)
		head.n_tables = (uint32_t)list_tables(s->config, indexes + head.n_tunnels);
	memcpy(body, &head, sizeof(head));
	size = sizeof(head) + (head.n_tunnels + head.n_tables) * sizeof(*indexes);
	/* keyd reads names only: the text stays outside. */
	ok = sup_child_send(s, c, IPC_CONFIG, body, size, &shm.fd,
			    c->role == IPC_ROLE_KEYD ? 0 : 1);
	shm_close(&shm);
	free(body);
	return ok;
}

static bool give_socket(struct supervisor *s, struct sup_child *c, enum ipc_socket_kind kind,
			const int *fd)
{
	const struct ipc_socket body = {.kind = kind};

	return *fd < 0 || sup_child_send(s, c, IPC_SOCKET, &body, sizeof(body), fd, 1);
}

static bool give_control_pair(struct supervisor *s, struct sup_child *c)
{
	const struct ipc_peer body = {.role = IPC_ROLE_SUPERVISOR};
	int socks[2];
	bool ok;

	if (!ipc_pair(socks)) {
		log_error("cannot make a socket pair: %s", strerror(errno));
		return false;
	}
	ok = sup_child_send(s, c, IPC_PEER, &body, sizeof(body), &socks[1], 1);
	close(socks[1]);
	sup_control_attach(s, socks[0]);
	return ok;
}

bool sup_handover(struct supervisor *s, struct sup_child *c)
{
	if (!sup_send_config(s, c))
		return false;
	if (c->role == IPC_ROLE_DP || c->role == IPC_ROLE_IKE || c->role == IPC_ROLE_CONTROL) {
		if (!give_stats(s, c))
			return false;
	}
	if (c->role == IPC_ROLE_IKE && !sup_store_give(s, c))
		return false;
	for (size_t i = 0; c->role == IPC_ROLE_IKE && i < SUP_N_SOCKETS; i++) {
		const struct sup_socket *k = &s->sockets[i];

		for (int n = 0; n < SUP_UDP_PAIR; n++) {
			if (!give_socket(s, c, k->kind, &k->fd[n]))
				return false;
		}
	}
	if (c->role == IPC_ROLE_IKE && !sup_qcd_send(s, c))
		return false;
	if (c->role == IPC_ROLE_CONTROL &&
	    (!give_socket(s, c, IPC_SOCKET_CONTROL, &s->control_listen) ||
	     !give_control_pair(s, c)))
		return false;
	if ((c->role == IPC_ROLE_ROUTE || c->role == IPC_ROLE_CONTROL) && !sup_drains_give(s, c))
		return false;
	return give_rings(s, c) && give_pairs(s, c) &&
	       sup_child_send(s, c, IPC_START, NULL, 0, NULL, 0);
}
