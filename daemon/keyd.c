/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keyd: the process that holds the tunnels' secrets: pre-shared keys, private keys with their
 * certificates, PPKs, and what peers are judged by.
 *
 * It speaks to two others: the supervisor, which passes it open files, and the ike process, which
 * asks it to sign or to verify. It reads no configuration text and no packet, though certificates of
 * peers pass through its parsers. Keys leave it in no form but AUTH data; where they lie,
 * keyd_heap.h tells.
 *
 * Invariants: every request gets one answer; what a failed verification tells is for our operators.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "base/log.h"
#include "daemon/child.h"
#include "daemon/keyd_auth.h"
#include "daemon/role.h"
#include "ipc/outq.h"

#define REQUESTS_PER_TURN 64
#define ANSWERS_MAX_BYTES (1u << 20)

struct keyd {
	struct child child;
	struct ike_crypto crypto;
	struct keyd_store store;
	int ike; /* the ike process, or -1 */
	struct ipc_outq answers;
	struct log_limit limit;
	char problem
		[400]; /* the first secret that could not be taken since the last configuration */
	struct ipc_msg request;
	struct keyd_reply reply;
};

/* Certificates and lists live by the calendar. */
static int64_t calendar(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec;
}

static void note_problem(void *ctx, const char *text)
{
	struct keyd *k = ctx;

	if (k->problem[0] == '\0')
		snprintf(k->problem, sizeof(k->problem), "%s", text);
	log_error("%s", text);
}

static void file_problem(struct keyd *k, const struct ipc_secret *head, const char *what)
{
	char text[KEYD_PROBLEM_MAX];
	struct sb s = sb_of(text, sizeof(text));

	sb_printf(&s, "the %s file of tunnel '%s' %s", keyd_kind_name(head->kind), head->tunnel,
		  what);
	note_problem(k, text);
}

/* A whole file, in memory that is wiped when freed. NULL with why. */
static struct secret *read_file(int fd, size_t max, struct sb *why)
{
	struct stat st;
	struct secret *s;
	size_t n = 0;
	ssize_t r;

	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		sb_str(why, "is no regular file");
		return NULL;
	}
	if (st.st_size == 0 || (uintmax_t)st.st_size > max) {
		if (st.st_size == 0)
			sb_str(why, "is empty");
		else
			sb_printf(why, "is larger than %zu bytes", max);
		return NULL;
	}
	s = secret_new((size_t)st.st_size);
	if (!s) {
		sb_str(why, secret_error());
		return NULL;
	}
	while (n < secret_size(s)) {
		r = pread(fd, secret_data_mut(s) + n, secret_size(s) - n, (off_t)n);
		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0) {
			sb_printf(why, "cannot be read: %s", r < 0 ? strerror(errno) : "it shrank");
			secret_free(s);
			return NULL;
		}
		n += (size_t)r;
	}
	return s;
}

static void take_secret(struct keyd *k, struct ipc_msg *msg)
{
	char text[KEYD_PROBLEM_MAX];
	struct sb why = sb_of(text, sizeof(text));
	struct ipc_secret head;
	struct keyd_keys *keys;
	struct secret *file;
	const char *weak = NULL;

	if (msg->h.size != sizeof(head) || msg->n_fds != 1)
		return;
	memcpy(&head, msg->body, sizeof(head));
	if (!ipc_name_ok(head.tunnel) || head.kind >= IPC_SECRET_KIND_END)
		return;
	keys = keyd_store_pending(&k->store, head.tunnel);
	if (!keys) {
		file_problem(k, &head, "is of one tunnel too many, or memory is short");
		return;
	}
	file = read_file(msg->fds[0], keyd_kind_max(head.kind), &why);
	if (!file)
		keys->broken = true;
	if (!file || !keyd_take(keys, &head, secret_data(file), secret_size(file), &weak, &why))
		file_problem(k, &head, text);
	else if (weak)
		log_warn("the %s of tunnel '%s' %s", keyd_kind_name(head.kind), head.tunnel, weak);
	secret_free(file);
}

/* ike asks the peer for certificates of these CAs. */
static void tell_trust(struct keyd *k)
{
	uint8_t body[KEYD_TRUST_MAX];

	for (size_t i = 0; k->ike >= 0 && i < k->store.n; i++) {
		struct keyd_tunnel *t = k->store.tunnels[i];
		size_t size;

		if (!t->trust_untold)
			continue;
		size = keyd_trust(t->name, t->active, body);
		/* What does not go now goes on a later turn. */
		if (!ipc_outq_send(&k->answers, IPC_AUTH_TRUST, 0, 0, body, size, NULL, 0))
			return;
		t->trust_untold = false;
	}
}

/* The names in it tell which secrets are still wanted; the text is not for us. */
static void take_config(struct keyd *k, const struct ipc_msg *msg)
{
	struct ipc_config head;
	size_t rest;

	if (msg->h.size < sizeof(head))
		return;
	memcpy(&head, msg->body, sizeof(head));
	rest = msg->h.size - sizeof(head);
	if (rest % sizeof(struct ipc_index) != 0 ||
	    rest / sizeof(struct ipc_index) != head.n_tunnels)
		return;
	keyd_store_commit(&k->store, msg->body + sizeof(head), head.n_tunnels, calendar(),
			  note_problem, k);
	if (!k->child.started)
		return;
	child_reloaded(&k->child, k->problem);
	k->problem[0] = '\0';
}

static void answer(struct keyd *k)
{
	const struct ipc_msg *m = &k->request;
	struct keyd_reply *r = &k->reply;

	if (m->h.type != IPC_AUTH_SIGN && m->h.type != IPC_AUTH_VERIFY &&
	    m->h.type != IPC_PPK_MIX) {
		if (log_limit_take(&k->limit, mono_now()))
			log_warn("the ike process sent a '%s' message: ignored",
				 ipc_type_name((enum ipc_type)m->h.type));
		return;
	}
	keyd_answer(&k->store, &k->crypto, (enum ipc_type)m->h.type, m->body, m->h.size, calendar(),
		    r);
	if (!ipc_outq_send(&k->answers, IPC_AUTH_RESULT, 0, m->h.id, &r->head, sizeof(r->head),
			   r->tail, r->size) &&
	    log_limit_take(&k->limit, mono_now()))
		log_warn("the ike process does not take its answers: one was dropped");
	/* Mixed keys pass through both. */
	bytes_wipe(r->tail, r->size);
	bytes_wipe(k->request.body, m->h.size);
}

static void drop_ike(struct keyd *k)
{
	if (k->ike < 0)
		return;
	loop_remove(&k->child.loop, k->ike);
	close(k->ike);
	k->ike = -1;
	ipc_outq_attach(&k->answers, -1);
}

static void watch_ike(struct keyd *k)
{
	loop_modify(&k->child.loop, k->ike,
		    EPOLLIN | (ipc_outq_waiting(&k->answers) ? EPOLLOUT : 0));
}

static void on_ike(void *ctx, int fd, uint32_t events)
{
	struct keyd *k = ctx;

	if ((events & EPOLLOUT) && !ipc_outq_flush(&k->answers)) {
		drop_ike(k);
		return;
	}
	for (int i = 0; i < REQUESTS_PER_TURN; i++) {
		const int r = ipc_recv(fd, &k->request);

		if (r == 1) {
			answer(k);
			ipc_msg_close(&k->request);
			continue;
		}
		if (r == 0 && errno == EAGAIN)
			break;
		if (r < 0 && errno == EBADMSG)
			continue;
		/* It died; the supervisor brings another. */
		drop_ike(k);
		return;
	}
	watch_ike(k);
}

static void take_peer(struct keyd *k, struct ipc_msg *msg)
{
	struct ipc_peer head;

	if (msg->h.size != sizeof(head) || msg->n_fds != 1)
		return;
	memcpy(&head, msg->body, sizeof(head));
	if (head.role != IPC_ROLE_IKE)
		return;
	drop_ike(k);
	k->ike = ipc_msg_take_fd(msg, 0);
	ipc_outq_attach(&k->answers, k->ike);
	if (!loop_add(&k->child.loop, k->ike, EPOLLIN, on_ike, k))
		child_fatal(&k->child, "cannot watch the ike process: %s", strerror(errno));
	/* It may be a new one, which knows nothing. */
	for (size_t i = 0; i < k->store.n; i++) {
		const struct keyd_keys *keys = k->store.tunnels[i]->active;

		k->store.tunnels[i]->trust_untold = keys && keys->cas;
	}
}

static void keyd_message(void *ctx, struct ipc_msg *msg)
{
	struct keyd *k = ctx;

	if (msg->h.type == IPC_SECRET)
		take_secret(k, msg);
	else if (msg->h.type == IPC_CONFIG)
		take_config(k, msg);
	else if (msg->h.type == IPC_PEER)
		take_peer(k, msg);
}

static void keyd_start(void *ctx)
{
	struct keyd *k = ctx;

	if (k->problem[0] != '\0')
		child_fatal(&k->child, "%s", k->problem);
}

static void keyd_turn(void *ctx, struct mono now)
{
	struct keyd *k = ctx;

	tell_trust(k);
	if (k->ike >= 0)
		watch_ike(k);
}

static void keyd_stop(void *ctx)
{
	struct keyd *k = ctx;

	child_quit(&k->child, 0);
}

int keyd_main(void)
{
	static const struct child_ops ops = {
		.message = keyd_message,
		.start = keyd_start,
		.stop = keyd_stop,
		.turn = keyd_turn,
	};
	static struct keyd k = {.ike = -1, .limit = {.per_s = 1}};
	int status;

	ike_crypto_openssl(&k.crypto, NULL, NULL);
	ipc_outq_init(&k.answers, ANSWERS_MAX_BYTES);
	status = child_run(&k.child, IPC_ROLE_KEYD, &ops, &k);
	drop_ike(&k);
	ipc_outq_fini(&k.answers);
	keyd_store_fini(&k.store);
	return status;
}
