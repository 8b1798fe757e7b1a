/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keyd: the process that holds the tunnels' secrets.
 *
 * It speaks to two others: the supervisor, which passes it open files with pre-shared keys, and
 * the ike process, which asks it to sign or to verify. It reads no configuration text and no
 * packet. Keys stay in guarded memory and leave it in no form but AUTH data.
 *
 * Invariants: every request gets one answer; a failed verification tells nothing but "no".
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
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
};

static void note_problem(struct keyd *k, const char *tunnel, const char *problem)
{
	if (k->problem[0] == '\0')
		snprintf(k->problem, sizeof(k->problem), "the PSK file of tunnel '%s' %s", tunnel,
			 problem);
	log_error("the PSK file of tunnel '%s' %s", tunnel, problem);
}

static void take_secret(struct keyd *k, struct ipc_msg *msg)
{
	uint8_t text[KEYD_PSK_MAX + 3];
	const char *problem = "cannot be read";
	struct ipc_secret head;
	struct secret *psk;
	ssize_t n;
	size_t size;

	if (msg->h.size != sizeof(head) || msg->n_fds != 1)
		return;
	memcpy(&head, msg->body, sizeof(head));
	if (!ipc_name_ok(head.tunnel))
		return;
	n = pread(msg->fds[0], text, sizeof(text), 0);
	size = n < 0 ? 0 : keyd_psk_check(text, (size_t)n, &problem);
	if (size == 0) {
		note_problem(k, head.tunnel, problem);
		goto out;
	}
	psk = secret_from(text, size);
	if (!psk || !keyd_store_put(&k->store, head.tunnel, psk)) {
		secret_free(psk);
		note_problem(k, head.tunnel, "does not fit into locked memory: raise LimitMEMLOCK");
		goto out;
	}
	if (size < KEYD_PSK_WEAK)
		log_warn("the PSK of tunnel '%s' is only %zu characters long: whoever records or "
			 "answers one IKE_AUTH can search for it; make one with `twinbore genpsk`",
			 head.tunnel, size);
out:
	bytes_wipe(text, sizeof(text));
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
	keyd_store_keep(&k->store, msg->body + sizeof(head), head.n_tunnels);
	if (!k->child.started)
		return;
	child_reloaded(&k->child, k->problem);
	k->problem[0] = '\0';
}

static void answer(struct keyd *k)
{
	const struct ipc_msg *m = &k->request;
	struct ipc_auth_result result;
	uint8_t auth[IKE_PRF_MAX];

	if (m->h.type != IPC_AUTH_SIGN && m->h.type != IPC_AUTH_VERIFY) {
		if (log_limit_take(&k->limit, mono_now()))
			log_warn("the ike process sent a '%s' message: ignored",
				 ipc_type_name((enum ipc_type)m->h.type));
		return;
	}
	keyd_answer(&k->store, &k->crypto, m->h.type == IPC_AUTH_VERIFY, m->body, m->h.size,
		    &result, auth);
	if (!ipc_outq_send(&k->answers, IPC_AUTH_RESULT, 0, m->h.id, &result, sizeof(result), auth,
			   result.auth_size) &&
	    log_limit_take(&k->limit, mono_now()))
		log_warn("the ike process does not take its answers: one was dropped");
	bytes_wipe(auth, sizeof(auth));
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
