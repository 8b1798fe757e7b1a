/* SPDX-License-Identifier: Apache-2.0 */
/* control_client: connections to the control socket. Bytes in to lines, lines out to bytes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/log.h"
#include "daemon/control_int.h"

#define ACCEPTS_PER_TURN  16
#define IDLE_BEFORE_EVICT span_s(10) /* who says nothing for so long makes room when all is full */
#define LINGER            span_s(5)  /* to read a last line */

static void on_client(void *ctx, int fd, uint32_t events);

static void update_watch(struct control_client *cl)
{
	uint32_t events = 0;

	if (!cl->eof && !cl->closing && cl->n_in < CONTROL_LINE_MAX && cl->n_out < CONTROL_OUT_MAX)
		events |= EPOLLIN;
	if (cl->n_out)
		events |= EPOLLOUT;
	if (!cl->dead && !loop_modify(&cl->control->child.loop, cl->fd, events))
		cl->dead = true;
}

/* ----------------------------------------------------------------------- out */

static void flush(struct control_client *cl)
{
	ssize_t n;

	while (cl->n_out && !cl->dead) {
		n = send(cl->fd, cl->out + cl->out_start, cl->n_out, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			if (errno != EAGAIN)
				cl->dead = true;
			break;
		}
		cl->out_start += (size_t)n;
		cl->n_out -= (size_t)n;
	}
	if (cl->n_out)
		return;
	cl->out_start = 0;
	if (cl->out_size > CONTROL_FOLLOW_MAX) { /* a long answer is gone: so is its memory */
		free(cl->out);
		cl->out = NULL;
		cl->out_size = 0;
	}
}

static bool make_room(struct control_client *cl, size_t size)
{
	size_t want = cl->out_size ? cl->out_size : 4096;
	char *bigger;

	if (cl->out_start) {
		memmove(cl->out, cl->out + cl->out_start, cl->n_out);
		cl->out_start = 0;
	}
	if (cl->out_size - cl->n_out >= size)
		return true;
	while (want - cl->n_out < size)
		want *= 2;
	bigger = realloc(cl->out, want);
	if (!bigger)
		return false;
	cl->out = bigger;
	cl->out_size = want;
	return true;
}

void control_client_line(struct control_client *cl, const char *line, size_t size)
{
	if (cl->dead || cl->closing)
		return;
	if (!make_room(cl, size + 1)) {
		cl->dead = true;
		return;
	}
	memcpy(cl->out + cl->n_out, line, size);
	cl->out[cl->n_out + size] = '\n';
	cl->n_out += size + 1;
}

void control_client_json(struct control_client *cl, json_t *value)
{
	static const char no_memory[] =
		"{\"id\":null,\"error\":{\"code\":\"failed\",\"message\":\"out of memory\"}}";
	char *text = value ? json_dumps(value, JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;

	if (text)
		control_client_line(cl, text, strlen(text));
	else
		control_client_line(cl, no_memory, sizeof(no_memory) - 1);
	free(text);
	json_decref(value);
}

static void error_line(struct control_client *cl, const char *code, const char *message)
{
	control_client_json(cl, json_pack("{s:n, s:{s:s, s:s}}", "id", "error", "code", code,
					  "message", message));
}

static void close_soon(struct control_client *cl)
{
	cl->closing = true;
	cl->follow = false;
	cl->close_at = mono_add(mono_now(), LINGER);
}

void control_clients_event(struct control *c, const char *event, size_t size)
{
	static const char head[] = "{\"event\":";
	char line[CONTROL_EVENT_MAX + 16];
	struct control_client *cl;
	size_t n = sizeof(head) - 1;

	if (size > CONTROL_EVENT_MAX)
		return;
	memcpy(line, head, n);
	memcpy(line + n, event, size);
	n += size;
	line[n++] = '}';
	for (cl = c->clients; cl; cl = cl->next) {
		if (!cl->follow || cl->closing || cl->dead)
			continue;
		if (cl->n_out + n > CONTROL_FOLLOW_MAX) {
			error_line(cl, "too-slow",
				   "you read too slowly: events were lost; connect again");
			close_soon(cl);
		} else {
			control_client_line(cl, line, n);
			flush(cl);
		}
		update_watch(cl);
	}
}

/* ------------------------------------------------------------------------ in */

static void drop_front(struct control_client *cl, size_t n)
{
	memmove(cl->in, cl->in + n, cl->n_in - n);
	cl->n_in -= n;
}

/* Works on every whole line until one has to wait for other processes. */
static void work(struct control_client *cl)
{
	char line[CONTROL_LINE_MAX];
	const char *end;
	size_t n;

	if (cl->in_lines)
		return;
	cl->in_lines = true;
	while (!cl->request.method && !cl->closing && !cl->dead && cl->n_out < CONTROL_OUT_MAX) {
		end = memchr(cl->in, '\n', cl->n_in);
		if (!end) {
			if (cl->n_in == CONTROL_LINE_MAX && !cl->skipping) {
				cl->skipping = true;
				error_line(cl, "too-long",
					   "a request line has at most 65536 bytes");
			}
			if (cl->skipping)
				cl->n_in = 0;
			break;
		}
		n = (size_t)(end - cl->in);
		memcpy(line, cl->in, n);
		drop_front(cl, n + 1);
		if (cl->skipping)
			cl->skipping = false;
		else if (n)
			control_request_line(cl, line, n);
	}
	cl->in_lines = false;
}

void control_client_next(struct control_client *cl)
{
	if (cl->in_lines)
		return;
	work(cl);
	flush(cl);
	update_watch(cl);
}

static void receive(struct control_client *cl)
{
	ssize_t n;

	n = recv(cl->fd, cl->in + cl->n_in, CONTROL_LINE_MAX - cl->n_in, MSG_DONTWAIT);
	if (n > 0) {
		cl->n_in += (size_t)n;
		cl->last_line = mono_now();
	} else if (n == 0) {
		cl->eof = true;
	} else if (errno != EAGAIN && errno != EINTR) {
		cl->dead = true;
	}
}

static void on_client(void *ctx, int fd, uint32_t events)
{
	struct control_client *cl = ctx;

	if (events & (EPOLLIN | EPOLLHUP) && !cl->eof && cl->n_in < CONTROL_LINE_MAX)
		receive(cl);
	work(cl);
	flush(cl);
	/* Both directions are gone: what it asked for was begun, but nobody reads an answer. */
	if (events & (EPOLLHUP | EPOLLERR) && (cl->eof || cl->n_in == CONTROL_LINE_MAX))
		cl->dead = true;
	update_watch(cl);
}

static void client_free(struct control *c, struct control_client *cl)
{
	struct control_client **at;

	for (at = &c->clients; *at != cl; at = &(*at)->next)
		;
	*at = cl->next;
	c->n_clients--;
	control_request_drop(&cl->request);
	loop_remove(&c->child.loop, cl->fd);
	close(cl->fd);
	free(cl->out);
	free(cl);
}

/* The one that has been silent for longest gives its place. */
static bool evict(struct control *c, struct mono now)
{
	struct control_client *cl, *oldest = NULL;

	for (cl = c->clients; cl; cl = cl->next) {
		if (cl->follow || cl->request.method || cl->dead)
			continue;
		if (!oldest || mono_before(cl->last_line, oldest->last_line))
			oldest = cl;
	}
	if (!oldest || mono_since(now, oldest->last_line).ns < IDLE_BEFORE_EVICT.ns)
		return false;
	oldest->dead = true;
	return true;
}

static void refuse(int fd)
{
	static const char line[] = "{\"id\":null,\"error\":{\"code\":\"unavailable\",\"message\":"
				   "\"too many clients; try again\"}}\n";

	(void)!send(fd, line, sizeof(line) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	close(fd);
}

static void client_new(struct control *c, int fd)
{
	const struct mono now = mono_now();
	struct control_client *cl;

	if (c->n_clients >= CONTROL_CLIENTS_MAX &&
	    (c->n_clients >= CONTROL_CLIENTS_MAX + 8 || !evict(c, now))) {
		refuse(fd);
		return;
	}
	cl = calloc(1, sizeof(*cl));
	if (!cl || !loop_add(&c->child.loop, fd, EPOLLIN, on_client, cl)) {
		free(cl);
		refuse(fd);
		return;
	}
	cl->control = c;
	cl->fd = fd;
	cl->last_line = now;
	cl->close_at = MONO_NEVER;
	cl->request = (struct control_request){.control = c, .client = cl};
	cl->next = c->clients;
	c->clients = cl;
	c->n_clients++;
}

static void on_listen(void *ctx, int fd, uint32_t events)
{
	struct control *c = ctx;
	size_t i;
	int s;

	for (i = 0; i < ACCEPTS_PER_TURN; i++) {
		s = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (s < 0)
			return;
		client_new(c, s);
	}
}

bool control_listen(struct control *c, int fd)
{
	if (!loop_add(&c->child.loop, fd, EPOLLIN, on_listen, c)) {
		close(fd);
		return false;
	}
	if (c->listen_fd >= 0) {
		loop_remove(&c->child.loop, c->listen_fd);
		close(c->listen_fd);
	}
	c->listen_fd = fd;
	return true;
}

static bool is_over(const struct control_client *cl, struct mono now)
{
	if (cl->dead)
		return true;
	if (cl->closing)
		return !cl->n_out || mono_reached(now, cl->close_at);
	/* The client has said all and heard all. A follower may have shut down its sending side. */
	return cl->eof && !cl->follow && !cl->request.method && !cl->n_out &&
	       !memchr(cl->in, '\n', cl->n_in);
}

void control_clients_turn(struct control *c, struct mono now)
{
	struct control_client *cl, *next;

	for (cl = c->clients; cl; cl = next) {
		next = cl->next;
		/* Room was made by what the client read: lines may wait. */
		if (!cl->dead && !cl->request.method && cl->n_in)
			control_client_next(cl);
		if (is_over(cl, now))
			client_free(c, cl);
	}
}

struct mono control_clients_deadline(const struct control *c)
{
	const struct control_client *cl;
	struct mono t = MONO_NEVER;

	for (cl = c->clients; cl; cl = cl->next)
		t = mono_min(t, cl->close_at);
	return t;
}

void control_clients_fini(struct control *c)
{
	while (c->clients)
		client_free(c, c->clients);
}
