/* SPDX-License-Identifier: Apache-2.0 */
/* control_query: questions to ike, route and supervisor; their answers, silence or end. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/log.h"
#include "daemon/control_int.h"

#define MESSAGES_PER_TURN 64

static void part_failed(struct control_part *part, const char *code, const char *message)
{
	part->done = true;
	part->code = code;
	free(part->message);
	part->message = strdup(message);
}

static void query_free(struct control *c, struct control_query *q)
{
	struct control_query **at;

	for (at = &c->queries; *at != q; at = &(*at)->next)
		;
	*at = q->next;
	c->n_queries--;
	free(q->text);
	free(q);
}

/* Ends a query that brought no answer. */
static void query_fail(struct control *c, struct control_query *q, const char *what)
{
	struct control_request *r = q->request;
	char text[128];
	struct sb s = sb_of(text, sizeof(text));

	sb_printf(&s, "the %s process %s", ipc_role_name(q->role), what);
	if (r)
		part_failed(&r->parts[q->part], "unavailable", text);
	query_free(c, q);
	if (r)
		control_request_progress(r);
}

static void fail_all(struct control *c, enum ipc_role role, const char *what)
{
	struct control_query *q;

	/* Each end may begin new requests: look from the start again. */
	do {
		for (q = c->queries; q && q->role != role; q = q->next)
			;
		if (q)
			query_fail(c, q, what);
	} while (q);
}

void control_ask(struct control_request *r, size_t part, enum ipc_role role, enum ipc_query_op op,
		 const char *arg, struct mono_span timeout)
{
	struct control *c = r->control;
	struct control_peer *peer = &c->peers[role];
	struct ipc_query body = {.op = op, .arg_size = (uint32_t)strlen(arg)};
	struct control_query *q;
	char text[128];
	struct sb s = sb_of(text, sizeof(text));

	r->parts[part].asked = true;
	sb_printf(&s, "the %s process is not running; it is being restarted", ipc_role_name(role));
	if (peer->fd < 0) {
		part_failed(&r->parts[part], "unavailable", text);
		return;
	}
	q = c->n_queries < CONTROL_QUERIES_MAX ? calloc(1, sizeof(*q)) : NULL;
	if (!q) {
		part_failed(&r->parts[part], "unavailable", "too many requests at once");
		return;
	}
	*q = (struct control_query){
		.next = c->queries,
		.id = ++c->next_id,
		.role = role,
		.deadline = mono_add(mono_now(), timeout),
		.request = r,
		.part = part,
	};
	c->queries = q;
	c->n_queries++;
	if (!ipc_outq_send(&peer->out, IPC_QUERY, 0, q->id, &body, sizeof(body), arg,
			   body.arg_size)) {
		part_failed(&r->parts[part], "unavailable",
			    "the process does not read its requests");
		query_free(c, q);
		return;
	}
	if (ipc_outq_waiting(&peer->out))
		(void)loop_modify(&c->child.loop, peer->fd, EPOLLIN | EPOLLOUT);
}

void control_tell(struct control *c, enum ipc_role role, enum ipc_query_op op, const char *arg)
{
	const struct ipc_query body = {.op = op, .arg_size = (uint32_t)strlen(arg)};
	struct control_peer *peer = &c->peers[role];

	if (peer->fd < 0 || !ipc_outq_send(&peer->out, IPC_QUERY, 0, ++c->next_id, &body,
					   sizeof(body), arg, body.arg_size))
		return;
	if (ipc_outq_waiting(&peer->out))
		(void)loop_modify(&c->child.loop, peer->fd, EPOLLIN | EPOLLOUT);
}

void control_forget(struct control *c, const struct control_request *r)
{
	struct control_query *q;

	for (q = c->queries; q; q = q->next)
		if (q->request == r)
			q->request = NULL;
}

/* {"code": ..., "message": ...} of a process that refused. Codes are ours: others become `failed`. */
static void part_refused(struct control_part *part, const json_t *error)
{
	static const char *const codes[] = {"bad-params", "no-such-tunnel", "unavailable",
					    "failed"};
	const char *code = json_string_value(json_object_get(error, "code"));
	const char *message = json_string_value(json_object_get(error, "message"));
	const char *known = "failed";
	size_t i;

	for (i = 0; code && i < sizeof(codes) / sizeof(codes[0]); i++)
		if (!strcmp(code, codes[i]))
			known = codes[i];
	part_failed(part, known, message ? message : "it could not be done");
}

static void query_done(struct control *c, struct control_query *q, bool ok)
{
	struct control_request *r = q->request;
	struct control_part *part;
	json_t *value;

	if (!r) {
		query_free(c, q);
		return;
	}
	part = &r->parts[q->part];
	value = json_loadb(q->text ? q->text : "", q->size,
			   JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
	if (!value) {
		query_fail(c, q, "gave an answer that cannot be read");
		return;
	}
	if (ok) {
		part->done = true;
		part->reply = value;
	} else {
		part_refused(part, value);
		json_decref(value);
	}
	query_free(c, q);
	control_request_progress(r);
}

static void on_reply(struct control *c, enum ipc_role from, const struct ipc_msg *msg)
{
	struct control_query *q;
	struct ipc_reply body;
	size_t size;
	char *text;

	for (q = c->queries; q && (q->id != msg->h.id || q->role != from); q = q->next)
		;
	if (!q)
		return; /* too late */
	if (msg->h.size < sizeof(body)) {
		query_fail(c, q, "gave an answer that cannot be read");
		return;
	}
	memcpy(&body, msg->body, sizeof(body));
	size = msg->h.size - sizeof(body);
	text = q->size + size > CONTROL_REPLY_MAX ? NULL : realloc(q->text, q->size + size + 1);
	if (!text) {
		query_fail(c, q, "gave an answer that is too long");
		return;
	}
	memcpy(text + q->size, msg->body + sizeof(body), size);
	q->text = text;
	q->size += size;
	if (!(msg->h.flags & IPC_MORE))
		query_done(c, q, body.ok != 0);
}

static void peer_close(struct control *c, struct control_peer *peer, const char *what)
{
	if (peer->fd < 0)
		return;
	loop_remove(&c->child.loop, peer->fd);
	ipc_outq_attach(&peer->out, -1);
	close(peer->fd);
	peer->fd = -1;
	fail_all(c, peer->role, what);
}

static void on_peer(void *ctx, int fd, uint32_t events)
{
	struct control *c = ctx;
	struct control_peer *peer = NULL;
	size_t i;
	int got = 0;

	for (i = 0; i < IPC_ROLE_END; i++)
		if (c->peers[i].fd == fd)
			peer = &c->peers[i];
	if (!peer)
		return;
	if (events & EPOLLOUT) {
		if (!ipc_outq_flush(&peer->out)) {
			peer_close(c, peer, "closed its socket");
			return;
		}
		if (!ipc_outq_waiting(&peer->out))
			(void)loop_modify(&c->child.loop, fd, EPOLLIN);
	}
	for (i = 0; i < MESSAGES_PER_TURN; i++) {
		got = ipc_recv(fd, &c->msg);
		if (got < 0 && errno == EBADMSG) {
			log_warn("a malformed message of %s was dropped",
				 ipc_role_name(peer->role));
			continue;
		}
		if (got != 1)
			break;
		if (c->msg.h.type == IPC_REPLY)
			on_reply(c, peer->role, &c->msg);
		else if (c->msg.h.type == IPC_EVENT)
			control_event_in(c, peer->role, c->msg.body, c->msg.h.size);
		ipc_msg_close(&c->msg);
		if (peer->fd != fd)
			return;
	}
	if (got == 1 || (got == 0 && errno == EAGAIN))
		return;
	if (got < 0 && errno == EBADMSG)
		return;
	peer_close(c, peer, "is being restarted");
}

bool control_peer_attach(struct control *c, enum ipc_role role, int fd)
{
	struct control_peer *peer = &c->peers[role];

	peer_close(c, peer, "was restarted");
	if (!loop_add(&c->child.loop, fd, EPOLLIN, on_peer, c)) {
		close(fd);
		return false;
	}
	peer->fd = fd;
	ipc_outq_attach(&peer->out, fd);
	if (role == IPC_ROLE_ROUTE)
		control_drains_attach(c);
	return true;
}

void control_peers_fini(struct control *c)
{
	size_t i;

	for (i = 0; i < IPC_ROLE_END; i++) {
		if (c->peers[i].fd >= 0)
			close(c->peers[i].fd);
		ipc_outq_fini(&c->peers[i].out);
	}
	while (c->queries)
		query_free(c, c->queries);
}

void control_queries_turn(struct control *c, struct mono now)
{
	struct control_query *q;

	do {
		for (q = c->queries; q && !mono_reached(now, q->deadline); q = q->next)
			;
		if (q)
			query_fail(c, q, "does not answer");
	} while (q);
}

struct mono control_queries_deadline(const struct control *c)
{
	const struct control_query *q;
	struct mono t = MONO_NEVER;

	for (q = c->queries; q; q = q->next)
		t = mono_min(t, q->deadline);
	return t;
}
