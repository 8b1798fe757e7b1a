/* SPDX-License-Identifier: Apache-2.0 */
/* unique: what may be there once only, and references between maps. O(n log n). */
#include "config/check.h"

#include <stdlib.h>
#include <string.h>

/* Something that must not be there twice. */
struct entry {
	const void *key;
	const struct config_node *at;
	const struct config_connection *c;
	const char *what; /* "tunnel", "port" */
};

struct entries {
	struct entry *e;
	size_t n, size;
};

typedef int compare_fn(const void *a, const void *b);
typedef void report_fn(struct config_parse *p, const struct entry *first,
		       const struct entry *again);

static bool put(struct config_parse *p, struct entries *l, const struct entry *e)
{
	struct entry *bigger;
	size_t size;

	if (!e->at)
		return true;
	if (l->n == l->size) {
		size = l->size ? l->size * 2 : 64;
		bigger = reallocarray(l->e, size, sizeof(*bigger));
		if (!bigger) {
			config_error_at(&p->diag, 0, 0, "out of memory");
			return false;
		}
		l->e = bigger;
		l->size = size;
	}
	l->e[l->n++] = *e;
	return true;
}

static int by_key_and_place(const void *va, const void *vb, void *arg)
{
	const struct entry *a = va, *b = vb;
	compare_fn *const *compare = arg;
	const int d = (*compare)(a->key, b->key);

	if (d)
		return d;
	if (a->at->line != b->at->line)
		return a->at->line < b->at->line ? -1 : 1;
	return (a->at->column > b->at->column) - (a->at->column < b->at->column);
}

static void report_doubles(struct config_parse *p, struct entries *l, compare_fn *compare,
			   report_fn *report)
{
	size_t i, first = 0;

	if (l->n)
		qsort_r(l->e, l->n, sizeof(*l->e), by_key_and_place, &compare);
	for (i = 1; i < l->n; i++) {
		if (compare(l->e[first].key, l->e[i].key) != 0)
			first = i;
		else
			report(p, &l->e[first], &l->e[i]);
	}
	l->n = 0;
}

static int compare_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

static int compare_address(const void *a, const void *b)
{
	return ip_cmp(a, b);
}

/* An identity that is not written is the address. */
static const char *identity(const char *id, const struct ip_addr *address, char buf[IP_ADDR_STRLEN])
{
	return *id || address->family == IP_NONE ? id : ip_format(address, buf);
}

/* What a responder can tell tunnels apart by. */
static int compare_identity(const void *va, const void *vb)
{
	const struct config_tunnel *a = va, *b = vb;
	char x[IP_ADDR_STRLEN], y[IP_ADDR_STRLEN];
	int d = ip_cmp(&a->local, &b->local);

	if (!d)
		d = ip_cmp(&a->remote, &b->remote);
	if (!d)
		d = strcmp(identity(a->local_id, &a->local, x),
			   identity(b->local_id, &b->local, y));
	if (!d)
		d = strcmp(identity(a->remote_id, &a->remote, x),
			   identity(b->remote_id, &b->remote, y));
	/* Tunnels with one pattern wait for as many peers. */
	if (!d && a->remote_id_wildcard && b->remote_id_wildcard)
		d = strcmp(a->name, b->name);
	return d;
}

static void report_name(struct config_parse *p, const struct entry *first,
			const struct entry *again)
{
	config_error(&p->diag, again->at, "the name '%s' is used by the %s in line %u already",
		     (const char *)again->key, first->what, first->at->line);
}

static void report_device(struct config_parse *p, const struct entry *first,
			  const struct entry *again)
{
	config_error(&p->diag, again->at, "this device is used by the port in line %u already",
		     first->at->line);
}

static void report_address(struct config_parse *p, const struct entry *first,
			   const struct entry *again)
{
	char buf[IP_ADDR_STRLEN];

	config_error(&p->diag, again->at, "the address %s is used by the %s in line %u already",
		     ip_format(again->key, buf), first->what, first->at->line);
}

static void report_identity(struct config_parse *p, const struct entry *first,
			    const struct entry *again)
{
	config_error(&p->diag, again->at,
		     "this tunnel has the addresses and identities of the one in line %u; make one "
		     "of local_address, remote_address, local_id and remote_id differ",
		     first->at->line);
}

static void report_psk(struct config_parse *p, const struct entry *first, const struct entry *again)
{
	if (first->c != again->c)
		config_warning(
			&p->diag, again->at,
			"the connections '%s' and '%s' share a PSK: each peer could pass for "
			"the other",
			first->c->name, again->c->name);
}

static bool put_addresses(struct config_parse *p, struct entries *l)
{
	const struct config_marks *m = p->marks;
	struct entry e = {.what = "port"};
	size_t i, j;
	bool ok = true;

	for (i = 0; i < m->n_ports; i++) {
		e.at = m->ports[i].addresses;
		for (j = 0; j < m->ports[i].p->n_addresses; j++) {
			e.key = &m->ports[i].p->addresses[j].addr;
			ok = ok && put(p, l, &e);
		}
	}
	e.what = "tunnel";
	for (i = 0; i < m->n_tunnels; i++) {
		e.at = m->tunnels[i].inside;
		for (j = 0; j < 2; j++) {
			e.key = &m->tunnels[i].t->inside[j].addr;
			if (m->tunnels[i].t->inside[j].addr.family != IP_NONE)
				ok = ok && put(p, l, &e);
		}
	}
	return ok;
}

static void check_names(struct config_parse *p, struct entries *l)
{
	const struct config_marks *m = p->marks;
	bool ok = true;
	size_t i;

	for (i = 0; i < m->n_connections; i++)
		if (m->connections[i].c->name[0])
			ok = ok && put(p, l,
				       &(struct entry){.key = m->connections[i].c->name,
						       .at = m->connections[i].name,
						       .what = "connection"});
	report_doubles(p, l, compare_text, report_name);
	for (i = 0; i < m->n_tunnels; i++)
		if (m->tunnels[i].t->name[0])
			ok = ok && put(p, l,
				       &(struct entry){.key = m->tunnels[i].t->name,
						       .at = m->tunnels[i].name,
						       .what = "tunnel"});
	report_doubles(p, l, compare_text, report_name);
	/* Mirrors of ports and inside interfaces are Linux interfaces side by side. */
	for (i = 0; i < m->n_ports; i++)
		if (m->ports[i].p->name[0])
			ok = ok && put(p, l,
				       &(struct entry){.key = m->ports[i].p->name,
						       .at = m->ports[i].name,
						       .what = "port"});
	for (i = 0; i < m->n_tunnels; i++)
		if (m->tunnels[i].t->interface[0])
			ok = ok && put(p, l,
				       &(struct entry){.key = m->tunnels[i].t->interface,
						       .at = m->tunnels[i].interface,
						       .what = "tunnel"});
	report_doubles(p, l, compare_text, report_name);
	for (i = 0; i < m->n_ports; i++)
		if (m->ports[i].p->device[0])
			ok = ok && put(p, l,
				       &(struct entry){.key = m->ports[i].p->device,
						       .at = m->ports[i].device});
	report_doubles(p, l, compare_text, report_device);
	(void)ok; /* reported */
}

static void check_tunnels(struct config_parse *p, struct entries *l)
{
	const struct config_marks *m = p->marks;
	bool ok = true;
	size_t i;

	for (i = 0; i < m->n_tunnels; i++)
		if (m->tunnels[i].t->local.family != IP_NONE)
			ok = ok &&
			     put(p, l,
				 &(struct entry){.key = m->tunnels[i].t, .at = m->tunnels[i].map});
	report_doubles(p, l, compare_identity, report_identity);
	for (i = 0; i < m->n_tunnels; i++)
		for (size_t j = 0; j < m->tunnels[i].t->n_files; j++) {
			const struct config_file *f = &m->tunnels[i].t->files[j];

			if (f->kind == CONFIG_FILE_PSK)
				ok = ok && put(p, l,
					       &(struct entry){
						       .key = config_file_path(m->tunnels[i].t, f),
						       .at = m->tunnels[i].psk_file,
						       .c = m->tunnels[i].c});
		}
	report_doubles(p, l, compare_text, report_psk);
	(void)ok; /* reported */
}

static void check_of_port(struct config_parse *p, const struct config_node *at,
			  const struct ip_addr *a)
{
	const struct config_marks *m = p->marks;
	char buf[IP_ADDR_STRLEN];
	size_t j, k;

	if (a->family == IP_NONE)
		return;
	for (j = 0; j < m->n_ports; j++)
		for (k = 0; k < m->ports[j].p->n_addresses; k++)
			if (ip_equal(&m->ports[j].p->addresses[k].addr, a))
				return;
	config_error(&p->diag, at, "no port has the address %s; write one of a port's addresses",
		     ip_format(a, buf));
}

/* IKE listens on the addresses of ports, and ESP leaves by them. */
static void check_local_addresses(struct config_parse *p)
{
	const struct config_marks *m = p->marks;
	size_t i, j;

	for (j = 0; j < m->n_ports; j++)
		if (!m->ports[j].addresses || !m->ports[j].p->n_addresses)
			return; /* reported; we do not know them all */
	for (i = 0; i < m->n_tunnels && m->n_ports; i++) {
		const struct config_tunnel_mark *k = &m->tunnels[i];

		check_of_port(p, k->local, &k->t->local);
		for (j = 0; j < k->t->n_additional; j++)
			check_of_port(p, k->additional, &k->t->additional[j]);
	}
}

void config_check_all(struct config_parse *p)
{
	struct entries l = {.e = NULL};

	check_names(p, &l);
	if (put_addresses(p, &l))
		report_doubles(p, &l, compare_address, report_address);
	config_check_routes(p);
	config_check_translations(p);
	check_tunnels(p, &l);
	check_local_addresses(p);
	free(l.e);
}
