/* SPDX-License-Identifier: Apache-2.0 */
/* client: one connection to a gateway's control socket. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "cli/cli.h"

#define LINE_MAX_BYTES (64u << 20) /* of an answer */
#define TIMEOUT_S      10.0
#define RELOAD_S       40.0 /* the gateway itself gives up after 30 */

struct cli_client {
	int fd;
	json_int_t next_id;
	char *in;
	size_t n, size;
	json_t *events; /* that came while an answer was awaited */
	char error[256];
};

static int connect_to(const char *path)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd, e;

	if (strlen(path) >= sizeof(sa.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(sa.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || !connect(fd, (const struct sockaddr *)&sa, sizeof(sa)))
		return fd;
	e = errno;
	close(fd);
	errno = e;
	return -1;
}

struct cli_client *cli_connect_quietly(const struct cli_args *a)
{
	struct cli_client *c;
	const int fd = connect_to(a->socket);

	if (fd < 0)
		return NULL;
	c = calloc(1, sizeof(*c));
	if (!c) {
		close(fd);
		errno = ENOMEM;
		return NULL;
	}
	c->fd = fd;
	c->events = json_array();
	return c;
}

struct cli_client *cli_connect(const struct cli_args *a)
{
	struct cli_client *c = cli_connect_quietly(a);

	if (c)
		return c;
	if (errno == ENOENT || errno == ECONNREFUSED)
		cli_fail(a, "unavailable",
			 "no gateway listens on %s; is twinbored running? Another socket: "
			 "--socket PATH",
			 a->socket);
	else if (errno == EACCES)
		cli_fail(a, "unavailable",
			 "you may not use %s; be root or a member of the gateway's control_group",
			 a->socket);
	else
		cli_fail(a, "unavailable", "cannot connect to %s: %s", a->socket, strerror(errno));
	return NULL;
}

void cli_close(struct cli_client *c)
{
	if (!c)
		return;
	close(c->fd);
	json_decref(c->events);
	free(c->in);
	free(c);
}

const char *cli_last_error(const struct cli_client *c)
{
	return c->error;
}

static void set_error(struct cli_client *c, const char *text)
{
	snprintf(c->error, sizeof(c->error), "%s", text);
}

static bool send_all(struct cli_client *c, const char *text, size_t size)
{
	ssize_t n;

	while (size) {
		n = send(c->fd, text, size, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			set_error(c, "the gateway closed the connection");
			return false;
		}
		text += n;
		size -= (size_t)n;
	}
	return true;
}

static bool make_room(struct cli_client *c)
{
	const size_t size = c->size ? c->size * 2 : 65536;
	char *bigger;

	if (c->n < c->size)
		return true;
	bigger = size <= LINE_MAX_BYTES ? realloc(c->in, size) : NULL;
	if (!bigger) {
		set_error(c, "the gateway's answer is too long");
		return false;
	}
	c->in = bigger;
	c->size = size;
	return true;
}

/* Reads some more. False on error (set); *timeout when the time is over. */
static bool read_more(struct cli_client *c, double until, bool *timeout)
{
	struct pollfd p = {.fd = c->fd, .events = POLLIN};
	double left = until - cli_now();
	ssize_t n;
	int r;

	*timeout = false;
	r = poll(&p, 1, left <= 0 ? 0 : left > 3600 ? 3600000 : (int)(left * 1000) + 1);
	if (r < 0 && errno == EINTR)
		return true;
	if (r == 0) {
		*timeout = cli_now() >= until;
		return true;
	}
	if (!make_room(c))
		return false;
	n = recv(c->fd, c->in + c->n, c->size - c->n, 0);
	if (n < 0 && errno == EINTR)
		return true;
	if (n <= 0) {
		set_error(c, "the gateway closed the connection");
		return false;
	}
	c->n += (size_t)n;
	return true;
}

/* The next line as JSON. NULL: *timeout, or else an error (set). */
static json_t *next_line(struct cli_client *c, double until, bool *timeout)
{
	size_t looked = 0, size;
	char *end = NULL;
	json_t *line;

	*timeout = false;
	for (;;) {
		if (c->n > looked)
			end = memchr(c->in + looked, '\n', c->n - looked);
		if (end)
			break;
		looked = c->n;
		if (!read_more(c, until, timeout) || *timeout)
			return NULL;
	}
	size = (size_t)(end - c->in);
	line = json_loadb(c->in, size, 0, NULL);
	memmove(c->in, end + 1, c->n - size - 1);
	c->n -= size + 1;
	if (!json_is_object(line)) {
		set_error(c, "the gateway sent what is no JSON object");
		json_decref(line);
		return NULL;
	}
	return line;
}

/* The answer to request `id`; events that come before it are kept. */
static json_t *await(struct cli_client *c, json_int_t id, double timeout_s)
{
	const double until = cli_now() + timeout_s;
	json_t *line, *event;
	bool timeout;

	for (;;) {
		line = next_line(c, until, &timeout);
		if (!line) {
			if (timeout)
				set_error(c, "the gateway does not answer");
			return NULL;
		}
		event = json_object_get(line, "event");
		if (event)
			json_array_append(c->events, event);
		else if (json_integer_value(json_object_get(line, "id")) == id ||
			 json_is_null(json_object_get(line, "id")))
			return line;
		json_decref(line);
	}
}

static json_t *exchange(struct cli_client *c, const char *method, json_t *params)
{
	const json_int_t id = ++c->next_id;
	json_t *request = json_pack("{s:I, s:s, s:o}", "id", id, "method", method, "params",
				    params ? params : json_object());
	char *text = request ? json_dumps(request, JSON_COMPACT) : NULL;
	json_t *line = NULL;

	json_decref(request);
	if (!text)
		set_error(c, "the request is no valid UTF-8");
	else if (send_all(c, text, strlen(text)) && send_all(c, "\n", 1))
		line = await(c, id, strcmp(method, "reload") ? TIMEOUT_S : RELOAD_S);
	free(text);
	return line;
}

static json_t *take_result(json_t *line)
{
	json_t *result = json_incref(json_object_get(line, "result"));

	json_decref(line);
	return result;
}

json_t *cli_call(struct cli_client *c, const struct cli_args *a, const char *method, json_t *params)
{
	json_t *line = exchange(c, method, params), *error;

	if (!line) {
		cli_fail(a, "unavailable", "%s", c->error);
		return NULL;
	}
	error = json_object_get(line, "error");
	if (error || !json_is_object(json_object_get(line, "result"))) {
		cli_fail(a, *cli_str(error, "code") ? cli_str(error, "code") : "failed", "%s",
			 *cli_str(error, "message") ? cli_str(error, "message")
						    : "the gateway refused without a reason");
		json_decref(line);
		return NULL;
	}
	return take_result(line);
}

json_t *cli_ask(const struct cli_args *a, const char *method, json_t *params)
{
	struct cli_client *c = cli_connect(a);
	json_t *result = c ? cli_call(c, a, method, json_incref(params)) : NULL;

	json_decref(params);
	cli_close(c);
	return result;
}

json_t *cli_tunnel_params(const struct cli_args *a, const char *name)
{
	json_t *params = json_pack("{s:s}", "tunnel", name);

	if (!params)
		cli_fail(a, "bad-params", "'%s' is no name of a tunnel", name);
	return params;
}

json_t *cli_call_quietly(struct cli_client *c, const char *method)
{
	json_t *line = exchange(c, method, NULL);

	return line ? take_result(line) : NULL;
}

json_t *cli_next_event(struct cli_client *c, double timeout_s, bool *over)
{
	const double until = cli_now() + timeout_s;
	json_t *line, *event;
	bool timeout;

	*over = false;
	if (json_array_size(c->events)) {
		event = json_incref(json_array_get(c->events, 0));
		json_array_remove(c->events, 0);
		return event;
	}
	for (;;) {
		line = next_line(c, until, &timeout);
		if (!line) {
			*over = !timeout;
			return NULL;
		}
		event = json_incref(json_object_get(line, "event"));
		if (!event && json_object_get(line, "error")) {
			set_error(c, cli_str(json_object_get(line, "error"), "message"));
			*over = true;
		}
		json_decref(line);
		if (event || *over)
			return event;
	}
}
