/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control_drain: tunnels without traffic for maintenance, and their replacement.
 *
 * A drained tunnel carries nothing as long as another one can. The route process sees to that; the
 * supervisor remembers it, and tells new processes of it, them and us. Of the tunnel of a job only we know,
 * and tell a new route process ourselves.
 *
 * A replacement is a job that outlives its client's connection: drain, wait until nothing goes by the
 * tunnel any more, delete its SAs, set it up anew, undrain. It is told of by events. What is addressed
 * to this gateway itself (BGP, BFD) does not count as traffic.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "daemon/control_int.h"

#define QUERY_TIMEOUT span_s(2)
#define LOOK_EVERY    span_ms(100)
#define QUIET         span_s(1)
#define SETTLE        span_s(2) /* the peer may set it up, too, and one of the two SAs goes again */
#define QUIET_MAX     span_s(30) /* by default */
#define UP_MAX        span_s(60)
#define JOBS_MAX      64u

enum step {
	STEP_DRAIN, /* asked for it */
	STEP_QUIET, /* wait for the last packet */
	STEP_DOWN,  /* the SAs are being deleted */
	STEP_UP,    /* and made again */
};

static const char *const step_names[] = {"draining", "waiting", "down", "coming-up"};

struct control_drain {
	struct control_drain *next;
	char tunnel[CONFIG_NAME_SIZE];
	bool drained; /* by an operator: also after the job */
	/* The job. */
	bool replacing, force, asked;
	enum step step;
	struct mono until, look_at;
	struct mono_span patience;
	uint64_t n_packets;
	struct mono quiet_since;
	struct mono up_since;           /* MONO_NEVER: it is not */
	struct control_request request; /* its queries */
};

/* ---------------------------------------------------------------------- list */

static struct control_drain *find(const struct control *c, const char *tunnel)
{
	struct control_drain *d;

	for (d = c->drains; d && strcmp(d->tunnel, tunnel) != 0; d = d->next)
		;
	return d;
}

static struct control_drain *get(struct control *c, const char *tunnel)
{
	struct control_drain *d = find(c, tunnel);

	if (d)
		return d;
	d = calloc(1, sizeof(*d));
	if (!d)
		return NULL;
	memcpy(d->tunnel, tunnel, strnlen(tunnel, sizeof(d->tunnel) - 1));
	d->next = c->drains;
	c->drains = d;
	return d;
}

static void clear_request(struct control_drain *d, struct control *c)
{
	control_forget(c, &d->request);
	for (size_t i = 0; i < CONTROL_REQUEST_PARTS; i++) {
		json_decref(d->request.parts[i].reply);
		free(d->request.parts[i].message);
	}
	memset(&d->request, 0, sizeof(d->request));
	d->asked = false;
}

static void drop(struct control *c, struct control_drain *d)
{
	struct control_drain **at;

	for (at = &c->drains; *at != d; at = &(*at)->next)
		;
	*at = d->next;
	clear_request(d, c);
	free(d);
}

void control_drains_fini(struct control *c)
{
	while (c->drains)
		drop(c, c->drains);
}

const char *control_replacing(const struct control *c, const char *tunnel)
{
	const struct control_drain *d = find(c, tunnel);

	return d && d->replacing ? step_names[d->step] : NULL;
}

/* ---------------------------------------------------------------------- jobs */

static void tell(struct control *c, const struct control_drain *d, const char *kind,
		 const char *fmt, ...) __attribute__((format(printf, 4, 5)));
static void tell(struct control *c, const struct control_drain *d, const char *kind,
		 const char *fmt, ...)
{
	char text[400], *line;
	struct sb s = sb_of(text, sizeof(text));
	json_t *event;
	va_list ap;

	va_start(ap, fmt);
	sb_vprintf(&s, fmt, ap);
	va_end(ap);
	log_info("tunnel %s: %s: %s", d->tunnel, kind, text);
	event = json_pack("{s:s, s:s, s:o}", "kind", kind, "tunnel", d->tunnel, "text",
			  control_text(text, sizeof(text)));
	line = event ? json_dumps(event, JSON_COMPACT) : NULL;
	json_decref(event);
	if (line)
		control_event_in(c, IPC_ROLE_CONTROL, line, strlen(line));
	free(line);
}

/* Has no method that it would begin or finish: the job looks at its part itself. */
static void ask(struct control *c, struct control_drain *d, enum ipc_role role,
		enum ipc_query_op op)
{
	clear_request(d, c);
	d->request.control = c;
	d->asked = true;
	control_ask(&d->request, 0, role, op, d->tunnel, QUERY_TIMEOUT);
}

static bool answered(const struct control_drain *d)
{
	return d->asked && d->request.parts[0].done;
}

static void end(struct control *c, struct control_drain *d)
{
	d->replacing = false;
	clear_request(d, c);
	if (d->drained)
		return;
	control_tell(c, IPC_ROLE_ROUTE, IPC_QUERY_UNDRAIN, d->tunnel);
	drop(c, d);
}

static void enter(struct control_drain *d, enum step step, struct mono now, struct mono_span max)
{
	d->step = step;
	d->look_at = now;
	d->until = mono_add(now, max);
}

/* Packets that went through the gateway by this tunnel. UINT64_MAX: not known. */
static uint64_t forwarded(const struct control *c, const char *tunnel)
{
	const struct config_tunnel *t = config_tunnel_by_name(c->config, tunnel, NULL);
	const struct dp_stats_tunnel *s;
	struct control_stats_view v;

	if (!t || !control_stats_view(c, &v) || t->index >= v.max_tunnels)
		return UINT64_MAX;
	s = &v.tunnels[t->index];
	return control_load(&s->in_packets) + control_load(&s->out_packets) -
	       control_load(&s->to_linux) - control_load(&s->from_linux);
}

static void on_drained(struct control *c, struct control_drain *d, struct mono now)
{
	const struct control_part *part = &d->request.parts[0];
	const json_int_t stays = json_integer_value(json_object_get(part->reply, "stays"));
	const json_int_t moved = json_integer_value(json_object_get(part->reply, "moved"));

	if (!part->reply) {
		tell(c, d, "tunnel-replace-failed", "%s",
		     part->message ? part->message : "no answer");
		end(c, d);
		return;
	}
	if (stays > 0 && !d->force) {
		tell(c, d, "tunnel-replace-failed",
		     "nothing else could carry %lld prefixes: bring another tunnel up first, or "
		     "use "
		     "--force",
		     (long long)stays);
		end(c, d);
		return;
	}
	clear_request(d, c);
	enter(d, STEP_QUIET, now, d->patience);
	d->n_packets = forwarded(c, d->tunnel);
	d->quiet_since = now;
	tell(c, d, "tunnel-drained", "%lld prefixes moved away", (long long)moved);
}

static void take_down(struct control *c, struct control_drain *d, struct mono now)
{
	enter(d, STEP_DOWN, now, UP_MAX);
	ask(c, d, IPC_ROLE_IKE, IPC_QUERY_DOWN);
}

static void wait_for_quiet(struct control *c, struct control_drain *d, struct mono now)
{
	const uint64_t n = forwarded(c, d->tunnel);

	/* The counters do not change at one moment: a packet of ours may be in one and not yet in another. */
	if (n > d->n_packets + 2) {
		d->n_packets = n;
		d->quiet_since = now;
	} else if (n < d->n_packets) {
		d->n_packets = n;
	}
	if (n == d->n_packets && mono_reached(now, mono_add(d->quiet_since, QUIET))) {
		take_down(c, d, now);
	} else if (mono_reached(now, d->until)) {
		if (d->force) {
			take_down(c, d, now);
			return;
		}
		tell(c, d, "tunnel-replace-failed",
		     "the peer still sends by it after %llu s: let it prefer the other tunnel, or "
		     "use "
		     "--force",
		     (unsigned long long)(span_to_ms(d->patience) / 1000));
		end(c, d);
	}
}

/* What IKE says of the tunnel; false: no answer. */
static bool is_up(const struct control_drain *d, bool *up)
{
	const json_t *t = json_array_get(d->request.parts[0].reply, 0);

	*up = json_is_true(json_object_get(t, "up"));
	return t != NULL;
}

static void watch_ike(struct control *c, struct control_drain *d, struct mono now)
{
	bool up, known;

	if (d->asked && !answered(d))
		return;
	known = d->asked && is_up(d, &up);
	if (d->step == STEP_DOWN && known && !up) {
		enter(d, STEP_UP, now, UP_MAX);
		d->up_since = MONO_NEVER;
		/* A peer that we cannot reach comes by itself. */
		ask(c, d, IPC_ROLE_IKE, IPC_QUERY_UP);
		return;
	}
	if (d->step == STEP_UP && known)
		d->up_since = up ? mono_min(d->up_since, now) : MONO_NEVER;
	if (d->step == STEP_UP && !mono_is_never(d->up_since) &&
	    mono_reached(now, mono_add(d->up_since, SETTLE))) {
		tell(c, d, "tunnel-replaced", "it was set up anew%s",
		     d->drained ? ", and stays drained" : " and takes its traffic again");
		end(c, d);
		return;
	}
	if (mono_reached(now, d->until)) {
		tell(c, d, "tunnel-replace-failed",
		     d->step == STEP_DOWN ? "it did not go down"
					  : "it did not come up again within %llu s: see 'explain'",
		     (unsigned long long)(span_to_ms(UP_MAX) / 1000));
		end(c, d);
		return;
	}
	ask(c, d, IPC_ROLE_IKE, IPC_QUERY_EXPLAIN);
}

static void work(struct control *c, struct control_drain *d, struct mono now)
{
	if (!config_tunnel_by_name(c->config, d->tunnel, NULL)) {
		tell(c, d, "tunnel-replace-failed", "it is not configured any more");
		end(c, d);
		return;
	}
	d->look_at = mono_add(now, LOOK_EVERY);
	switch (d->step) {
	case STEP_DRAIN:
		if (answered(d))
			on_drained(c, d, now);
		break;
	case STEP_QUIET: wait_for_quiet(c, d, now); break;
	case STEP_DOWN:
	case STEP_UP: watch_ike(c, d, now); break;
	}
}

void control_drains_turn(struct control *c, struct mono now)
{
	struct control_drain *d, *next;

	for (d = c->drains; d; d = next) {
		next = d->next;
		if (d->replacing && mono_reached(now, d->look_at))
			work(c, d, now);
	}
}

struct mono control_drains_deadline(const struct control *c)
{
	const struct control_drain *d;
	struct mono t = MONO_NEVER;

	for (d = c->drains; d; d = d->next)
		if (d->replacing)
			t = mono_min(t, d->look_at);
	return t;
}

/* ----------------------------------------------------------- the route process */

void control_drains_attach(struct control *c)
{
	const struct control_drain *d;

	for (d = c->drains; d; d = d->next)
		control_tell(c, IPC_ROLE_ROUTE, IPC_QUERY_DRAIN, d->tunnel);
}

void control_drains_take(struct control *c, const struct ipc_msg *msg)
{
	struct control_drain *d = NULL;
	struct ipc_drained body;

	if (msg->h.size == sizeof(body)) {
		memcpy(&body, msg->body, sizeof(body));
		d = ipc_name_ok(body.tunnel) ? get(c, body.tunnel) : NULL;
	}
	if (d)
		d->drained = true;
	else
		log_warn("a malformed message about a drained tunnel was dropped");
}

/* -------------------------------------------------------------------- methods */

static void begin(struct control_request *r, enum ipc_query_op op)
{
	const struct config_tunnel *t = control_wanted_tunnel(r);

	if (!t)
		return;
	if (control_replacing(r->control, t->name))
		control_fail(r, "failed", "tunnel '%s' is being replaced: wait for it", t->name);
	else
		control_ask(r, 0, IPC_ROLE_ROUTE, op, t->name, QUERY_TIMEOUT);
}

void control_begin_drain(struct control_request *r)
{
	begin(r, IPC_QUERY_DRAIN);
}

void control_begin_undrain(struct control_request *r)
{
	begin(r, IPC_QUERY_UNDRAIN);
}

json_t *control_finish_drain(struct control_request *r)
{
	const char *name = json_string_value(json_object_get(r->params, "tunnel"));
	json_t *result = control_finish_reply(r);
	struct control_drain *d = result ? get(r->control, name) : NULL;

	if (result && !d) {
		json_decref(result);
		control_fail(r, "failed", "out of memory");
		return NULL;
	}
	if (d) {
		d->drained = true;
		control_tell(r->control, IPC_ROLE_SUPERVISOR, IPC_QUERY_KEEP_DRAINED, name);
	}
	return result;
}

json_t *control_finish_undrain(struct control_request *r)
{
	const char *name = json_string_value(json_object_get(r->params, "tunnel"));
	struct control_drain *d;

	if (!control_reply_of(r, 0))
		return NULL;
	d = find(r->control, name);
	if (d)
		drop(r->control, d);
	control_tell(r->control, IPC_ROLE_SUPERVISOR, IPC_QUERY_FORGET_DRAINED, name);
	return json_object();
}

void control_begin_replace(struct control_request *r)
{
	const json_t *force = json_object_get(r->params, "force");
	const json_t *wait = json_object_get(r->params, "wait_s");
	struct control *c = r->control;
	const struct config_tunnel *t;
	struct control_drain *d;
	size_t n = 0;

	if ((force && !json_is_boolean(force)) ||
	    (wait && (!json_is_number(wait) || json_number_value(wait) < 0 ||
		      json_number_value(wait) > 3600))) {
		control_fail(r, "bad-params",
			     "'force' must be true or false, 'wait_s' from 0 to 3600");
		return;
	}
	t = control_wanted_tunnel(r);
	if (!t)
		return;
	for (d = c->drains; d; d = d->next)
		n += d->replacing;
	if (control_replacing(c, t->name)) {
		control_fail(r, "failed", "tunnel '%s' is being replaced already", t->name);
		return;
	}
	d = n < JOBS_MAX ? get(c, t->name) : NULL;
	if (!d) {
		control_fail(r, "failed", "too many tunnels are being replaced at once");
		return;
	}
	d->replacing = true;
	d->force = json_is_true(force);
	d->patience = wait ? span_ms((uint64_t)(json_number_value(wait) * 1000)) : QUIET_MAX;
	enter(d, STEP_DRAIN, mono_now(), QUERY_TIMEOUT);
	ask(c, d, IPC_ROLE_ROUTE, IPC_QUERY_DRAIN);
}

json_t *control_finish_nothing(struct control_request *r)
{
	return json_object();
}
