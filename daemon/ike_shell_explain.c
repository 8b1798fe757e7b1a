/* SPDX-License-Identifier: Apache-2.0 */
/* ike_shell_explain: what the core knows of a tunnel's trouble, as JSON. */
#include <string.h>
#include "daemon/ike_shell.h"

struct listing {
	struct ike_shell *s;
	const char *only; /* "" = every one */
	json_t *array;
};

static double age(const struct ike_shell *s, struct mono at)
{
	return (double)span_to_ms(mono_since(s->now, at)) / 1000.0;
}

static json_t *mismatch(const struct ike_shell *s, const struct ike_mismatch *m)
{
	json_t *o;

	if (!m)
		return json_null();
	o = json_object();
	json_object_set_new(o, "age_s", json_real(age(s, m->at)));
	json_object_set_new(o, "layer", json_string(ike_layer_name(m->layer)));
	json_object_set_new(o, "what", json_string(m->what));
	json_object_set_new(o, "by_peer", json_boolean(m->by_peer));
	json_object_set_new(o, "ours", json_string(m->ours));
	json_object_set_new(o, "theirs", json_string(m->theirs));
	json_object_set_new(o, "differs", json_string(m->differs));
	json_object_set_new(o, "key", m->key ? json_string(m->key) : json_null());
	json_object_set_new(o, "add", json_string(m->add));
	return o;
}

static bool list_tunnel(void *ctx, const struct ike_show_tunnel *t)
{
	char local[IP_ENDPOINT_STRLEN], remote[IP_ENDPOINT_STRLEN];
	struct listing *l = ctx;
	json_t *o;

	if (*l->only && strcmp(l->only, t->name) != 0)
		return true;
	o = json_object();
	json_object_set_new(o, "name", json_string(t->name));
	json_object_set_new(o, "up", json_boolean(t->up));
	json_object_set_new(o, "phase", json_string(t->phase));
	json_object_set_new(o, "reason", json_string(t->reason));
	json_object_set_new(o, "since_s", json_real(age(l->s, t->up_changed)));
	json_object_set_new(o, "local", json_string(ip_endpoint_format(&t->local, local)));
	json_object_set_new(o, "remote",
			    t->remote.addr.family == IP_NONE
				    ? json_null()
				    : json_string(ip_endpoint_format(&t->remote, remote)));
	json_object_set_new(o, "layer", json_string(ike_layer_name(t->layer)));
	json_object_set_new(o, "heard_s",
			    t->heard.ns ? json_real(age(l->s, t->heard)) : json_null());
	json_object_set_new(o, "mismatch", mismatch(l->s, ike_explain(l->s->core, t->tunnel)));
	json_array_append_new(l->array, o);
	return true;
}

json_t *ike_shell_explain(struct ike_shell *s, const char *name)
{
	struct listing l = {s, name, json_array()};

	if (l.array)
		ike_show_tunnels(s->core, list_tunnel, &l);
	return l.array;
}
