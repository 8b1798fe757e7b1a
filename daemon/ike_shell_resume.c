/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ike_shell_resume: what of an ike process outlives it, and how the next one takes it up.
 *
 * The core gives out a record of each IKE SA whenever something of it changes, ahead of the messages
 * that depend on it; it goes into memory that the supervisor holds (ike_store.h). A new process
 * configures its tunnels, gives the records back to its core, asks the dataplane what it has, and only
 * then begins to work: until that moment it reads no datagram, changes no SA and tells no neighbour
 * that a tunnel is down. What waits in the sockets is not lost.
 *
 * Without the memory, without an answer of the dataplane, or after records that no process lived to
 * use, everything starts anew: DP_SA_FLUSH, and INITIAL_CONTACT to the peers.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/ike_shell.h"

#define ATTEMPTS_MAX 5u          /* processes that died soon after they took the records up */
#define STEADY       span_s(5)   /* that long alive: it was not the records */
#define ASK_AGAIN    span_s(5)   /* no answer: one may have gone to a ring that is no more */
#define ASK_SOON     span_ms(50) /* the dataplane's way back was full */
#define REFUSALS_MAX 20u
#define SETTLE       span_s(2) /* until the dataplane has answered what the core asked of it first */

/* --------------------------------------------------------------------- keep */

void ike_shell_take_store(struct ike_shell *s, struct ipc_msg *msg)
{
	uint64_t size;

	if (msg->h.size != sizeof(size) || msg->n_fds != 1 || s->child.started)
		return;
	memcpy(&size, msg->body, sizeof(size));
	shm_close(&s->store_mem);
	if (size > SIZE_MAX ||
	    !shm_attach(&s->store_mem, ipc_msg_take_fd(msg, 0), (size_t)size, true))
		child_fatal(&s->child, "the memory for the records of IKE SAs is malformed");
}

void ike_shell_keep(struct ike_shell *s, const struct ike_action *a)
{
	if (!s->store.h)
		return;
	if (a->save.data)
		ike_store_put(&s->store, a->save.spi, a->tunnel, a->save.data, a->save.size,
			      s->now);
	else
		ike_store_forget(&s->store, a->save.spi);
	if (!a->save.last || ike_store_commit(&s->store))
		return;
	ike_shell_count(s, IKE_SHELL_CNT_NOT_KEPT);
	if (log_limit_take(&s->limit, s->now))
		log_warn("no room for the record of an IKE SA: it would not survive a restart of "
			 "the ike process: raise dataplane.max_tunnels");
}

/* --------------------------------------------------------------------- load */

struct told {
	struct ike_shell *s;
	uint64_t refused[IKE_STORE_CHANGES];
	size_t n_refused;
};

static void tell_one(struct ike_shell *s, const struct ike_store_item *item, enum ike_load result)
{
	const struct ike_tunnel_rec *t = ike_shell_tunnel(s, item->tunnel);
	const char *name = t ? t->cfg.name : NULL;
	char text[160];

	if (result == IKE_LOAD_OK) {
		ike_shell_count(s, IKE_SHELL_CNT_RESUMED);
		snprintf(text, sizeof(text), "the IKE SA with SPI %016llx goes on",
			 (unsigned long long)item->spi);
		ike_shell_tell(s, LOG_LEVEL_INFO, "resumed", name, text);
		return;
	}
	ike_shell_count(s, IKE_SHELL_CNT_NOT_RESUMED);
	snprintf(text, sizeof(text), "the IKE SA with SPI %016llx does not go on: %s",
		 (unsigned long long)item->spi, ike_load_text(result));
	ike_shell_tell(s, LOG_LEVEL_WARN, "not-resumed", name, text);
}

static void load_one(void *ctx, const struct ike_store_item *item, const uint8_t *data)
{
	struct told *told = ctx;
	struct ike_shell *s = told->s;
	const struct mono_span age = mono_since(s->now, (struct mono){item->at_ns});
	const enum ike_load result = ike_load(s->core, data, item->size, age, s->now);

	tell_one(s, item, result);
	if (result != IKE_LOAD_OK && told->n_refused < IKE_STORE_CHANGES)
		told->refused[told->n_refused++] = item->spi;
}

void ike_shell_resume_load(struct ike_shell *s)
{
	struct told told = {.s = s};
	char text[96];

	if (s->store.n_damaged) {
		s->counters[IKE_SHELL_CNT_NOT_RESUMED] += s->store.n_damaged;
		snprintf(text, sizeof(text), "%u IKE SAs do not go on: their records are damaged",
			 s->store.n_damaged);
		ike_shell_tell(s, LOG_LEVEL_WARN, "not-resumed", NULL, text);
	}
	ike_store_each(&s->store, IKE_RECORD_MAX, load_one, &told);
	for (size_t i = 0; i < told.n_refused; i++)
		ike_store_forget(&s->store, told.refused[i]);
	(void)ike_store_commit(&s->store);
}

/* ---------------------------------------------------------------- inventory */

static void ask(struct ike_shell *s, struct mono_span patience)
{
	struct ike_resumption *r = &s->resume;
	struct dp_msg msg = {.type = DP_SA_LIST, .ref.slot = r->from};

	r->n = r->page_at;
	r->again = mono_add(s->now, patience);
	/* When there is no room, the answer to another one is late, and so is this question. */
	r->seq = dp_queue_send(&s->dp, &s->sa, &msg, IKE_SHELL_LIST) ? msg.seq : 0;
}

static void ask_from_start(struct ike_shell *s)
{
	s->resume.from = s->resume.page_at = 0;
	s->resume.n_refused = 0;
	ask(s, ASK_AGAIN);
}

static void feed_inventory(struct ike_shell *s)
{
	const struct ike_resumption *r = &s->resume;
	size_t at = 0;

	do {
		struct ike_event ev = {.type = IKE_EV_DP_INVENTORY};

		ev.inventory.slots = r->slots + at;
		ev.inventory.n = r->n - at < IKE_INVENTORY_MAX ? r->n - at : IKE_INVENTORY_MAX;
		at += ev.inventory.n;
		ev.inventory.last = at == r->n;
		ike_shell_step(s, &ev);
	} while (at < r->n);
}

/* Puts every tunnel in order; each has a timer for it that is due at once. */
static void run_tunnels(struct ike_shell *s)
{
	for (size_t i = 0; i <= s->n_tunnels && mono_reached(s->now, ike_deadline(s->core)); i++) {
		struct ike_event ev = {.type = IKE_EV_TICK};

		ike_shell_step(s, &ev);
	}
}

/* Which tunnels are up is known: those that are not were lost with the process that ended. */
static void settled(struct ike_shell *s)
{
	s->resume.finishing = false;
	s->resume.settle_at = MONO_NEVER;
	ike_shell_tell_states(s);
	ike_shell_hear_control(s);
}

/* A tunnel is up again when the dataplane has confirmed its SAs: the last answer to wait for is this. */
static void send_fence(struct ike_shell *s)
{
	struct dp_msg msg = {.type = DP_SA_LIST, .ref.slot = DP_SLOT_NONE};

	s->resume.seq = dp_queue_send(&s->dp, &s->sa, &msg, IKE_SHELL_LIST) ? msg.seq : 0;
	s->resume.settle_at = mono_add(s->now, SETTLE);
}

static void finish(struct ike_shell *s)
{
	struct ike_resumption *r = &s->resume;

	r->finishing = true;
	feed_inventory(s);
	run_tunnels(s);
	r->active = false;
	send_fence(s);
	free(r->slots);
	r->slots = NULL;
	r->n = r->size = 0;
	r->steady_at = mono_add(s->now, STEADY);
	for (size_t i = 0; i < s->n_tunnels; i++) {
		if (s->tunnels[i])
			ike_shell_auth_trust_of(s, s->tunnels[i]);
	}
	ike_shell_begin(s);
}

/* The dataplane does not say what it has: it is told to have nothing. */
static void give_up(struct ike_shell *s)
{
	struct dp_msg flush = {.type = DP_SA_FLUSH};

	log_warn("the dataplane does not tell which SAs it has: they are made anew");
	(void)dp_queue_send(&s->dp, &s->sa, &flush, 0);
	s->resume.n = 0;
	finish(s);
}

void ike_shell_listed(struct ike_shell *s, const struct dp_listed *l)
{
	struct ike_resumption *r = &s->resume;
	struct ike_dp_slot *slot;

	/* Of a question that was asked anew. */
	if (!r->active || l->seq == 0 || l->seq != r->seq)
		return;
	if (l->slot < r->from || l->slot >= s->config->max_sas ||
	    r->n - r->page_at >= DP_LIST_MAX ||
	    (r->n > r->page_at && l->slot <= r->slots[r->n - 1].slot)) {
		ike_shell_count(s, IKE_SHELL_CNT_DP_MALFORMED);
		return;
	}
	if (r->n == r->size) {
		const size_t size = r->size ? 2 * r->size : 2 * DP_LIST_MAX;
		struct ike_dp_slot *grown = realloc(r->slots, size * sizeof(*grown));

		if (!grown)
			child_fatal(&s->child, "out of memory");
		r->slots = grown;
		r->size = size;
	}
	slot = &r->slots[r->n++];
	*slot = (struct ike_dp_slot){
		.slot = l->slot,
		.tunnel = l->tunnel,
		.in = l->flags & DP_LISTED_IN,
		.out = l->flags & DP_LISTED_OUT,
		.spi_in = l->spi_in,
		.spi_out = l->spi_out,
		.seen = l->flags & DP_LISTED_SEEN,
		.soft = l->flags & DP_LISTED_SOFT,
		.hard = l->flags & DP_LISTED_HARD,
	};
}

void ike_shell_list_answered(struct ike_shell *s, uint32_t seq, enum dp_status status)
{
	struct ike_resumption *r = &s->resume;

	if (seq != r->seq)
		return;
	r->seq = 0;
	if (r->finishing)
		settled(s);
	if (!r->active)
		return;
	if (status != DP_OK) {
		r->again = mono_add(s->now, ASK_SOON);
		if (status != DP_ERR_RESOURCES || ++r->n_refused == REFUSALS_MAX)
			give_up(s);
		return;
	}
	if (r->n - r->page_at < DP_LIST_MAX) {
		finish(s);
		return;
	}
	r->from = r->slots[r->n - 1].slot + 1;
	r->page_at = r->n;
	ask(s, ASK_AGAIN);
}

/* --------------------------------------------------------------- life cycle */

bool ike_shell_resume_begin(struct ike_shell *s)
{
	char text[128];

	if (!s->store_mem.map ||
	    !ike_store_attach(&s->store, s->store_mem.map, s->store_mem.size)) {
		log_warn("there is no memory for the records of IKE SAs: a restart of the ike "
			 "process will make all tunnels anew");
		return false;
	}
	if (ike_store_count(&s->store) == 0 && !s->store.n_damaged) {
		ike_store_survived(&s->store);
		return false; /* the first process, or nothing was up */
	}
	if (ike_store_attempts(&s->store) >= ATTEMPTS_MAX) {
		snprintf(text, sizeof(text),
			 "everything starts anew: %u processes ended soon after they had taken "
			 "the records of IKE SAs up",
			 ike_store_attempts(&s->store));
		ike_shell_tell(s, LOG_LEVEL_WARN, "not-resumed", NULL, text);
		ike_store_clear(&s->store);
		ike_store_survived(&s->store);
		return false;
	}
	ike_store_attempt(&s->store);
	s->resume.active = ike_resume(s->core);
	return s->resume.active;
}

bool ike_shell_resuming(const struct ike_shell *s)
{
	return s->resume.active || s->resume.finishing;
}

void ike_shell_resume_ask(struct ike_shell *s)
{
	s->new_rings = 0;
	ask_from_start(s);
}

void ike_shell_resume_turn(struct ike_shell *s)
{
	struct ike_resumption *r = &s->resume;

	if (r->active && mono_reached(s->now, r->again))
		ask(s, ASK_AGAIN);
	if (mono_reached(s->now, r->settle_at))
		settled(s);
	if (!r->active && mono_reached(s->now, r->steady_at)) {
		r->steady_at = MONO_NEVER;
		ike_store_survived(&s->store);
	}
}

struct mono ike_shell_resume_deadline(const struct ike_shell *s)
{
	return s->resume.active ? s->resume.again
				: mono_min(s->resume.settle_at, s->resume.steady_at);
}

void ike_shell_resume_end(struct ike_shell *s)
{
	free(s->resume.slots);
	s->resume.slots = NULL;
	ike_store_detach(&s->store);
	shm_close(&s->store_mem);
}
