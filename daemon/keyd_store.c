/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/keyd_store.h"

#include <stdlib.h>
#include <string.h>
#include "base/log.h"

void keyd_keys_free(struct keyd_keys *k)
{
	if (!k)
		return;
	for (size_t i = 0; i < KEYD_MAX_INDEX; i++) {
		secret_free(k->psk[i]);
		pki_key_free(k->key[i]);
		pki_certs_free(k->cert[i]);
		pki_pub_free(k->peer[i]);
	}
	pki_certs_free(k->cas);
	pki_crls_free(k->crls);
	pki_ocsps_free(k->ocsps);
	secret_free(k->ppk);
	free(k);
}

static void tunnel_free(struct keyd_tunnel *t)
{
	keyd_keys_free(t->active);
	keyd_keys_free(t->pending);
	free(t);
}

void keyd_store_fini(struct keyd_store *s)
{
	for (size_t i = 0; i < s->n; i++)
		tunnel_free(s->tunnels[i]);
	free(s->tunnels);
	pki_cache_free(s->verdicts);
	*s = (struct keyd_store){0};
}

/* Where the name stands, or where it would. */
static size_t position(const struct keyd_store *s, const char *name, bool *found)
{
	size_t low = 0, high = s->n;

	while (low < high) {
		const size_t middle = (low + high) / 2;
		const int r = strncmp(s->tunnels[middle]->name, name, DP_NAME_SIZE);

		if (r == 0) {
			*found = true;
			return middle;
		}
		if (r < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*found = false;
	return low;
}

static struct keyd_tunnel *find(const struct keyd_store *s, const char *name)
{
	bool found;
	const size_t at = position(s, name, &found);

	return found ? s->tunnels[at] : NULL;
}

const struct keyd_keys *keyd_store_get(const struct keyd_store *s, const char *tunnel)
{
	const struct keyd_tunnel *t = find(s, tunnel);

	return t ? t->active : NULL;
}

static struct keyd_tunnel *insert(struct keyd_store *s, const char *name)
{
	struct keyd_tunnel *t;
	bool found;
	size_t at;

	if (s->n == s->size) {
		const size_t size = s->size ? 2 * s->size : 16;
		struct keyd_tunnel **grown;

		if (size > KEYD_MAX_TUNNELS)
			return NULL;
		grown = realloc(s->tunnels, size * sizeof(struct keyd_tunnel *));
		if (!grown)
			return NULL;
		s->tunnels = grown;
		s->size = size;
	}
	t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	memcpy(t->name, name, strnlen(name, DP_NAME_SIZE - 1));
	at = position(s, t->name, &found);
	memmove(s->tunnels + at + 1, s->tunnels + at, (s->n - at) * sizeof(t));
	s->tunnels[at] = t;
	s->n++;
	return t;
}

struct keyd_keys *keyd_store_pending(struct keyd_store *s, const char *tunnel)
{
	struct keyd_tunnel *t = find(s, tunnel);

	if (!t)
		t = insert(s, tunnel);
	if (t && !t->pending)
		t->pending = calloc(1, sizeof(*t->pending));
	return t ? t->pending : NULL;
}

/* ------------------------------------------------------------------ commit */

struct report {
	keyd_problem_fn *problem;
	void *ctx;
	const char *tunnel;
};

static void tell(const struct report *r, const char *what)
{
	char text[KEYD_PROBLEM_MAX];
	struct sb s = sb_of(text, sizeof(text));

	sb_printf(&s, "tunnel '%s': %s", r->tunnel, what);
	r->problem(r->ctx, text);
}

/* Files that are each good by themselves must also be good together. */
static bool pairs_fit(const struct keyd_keys *k, const struct report *r)
{
	for (size_t i = 0; i < KEYD_MAX_INDEX; i++) {
		if (k->cert[i] && !k->key[i]) {
			tell(r, "a certificate has no private key");
			return false;
		}
		if (k->cert[i] && !pki_key_matches(k->key[i], k->cert[i])) {
			char text[KEYD_PROBLEM_MAX];
			struct sb s = sb_of(text, sizeof(text));

			sb_str(&s, "the private key (");
			sb_str(&s, pki_key_type(k->key[i]));
			sb_str(&s, ") is not the one of the certificate of ");
			pki_certs_subject(k->cert[i], 0, &s);
			sb_str(&s, ", which must stand first in its file");
			tell(r, text);
			return false;
		}
	}
	return true;
}

static void warn_times(const char *tunnel, const char *what, const struct pki_certs *c, size_t i,
		       int64_t now)
{
	char text[KEYD_PROBLEM_MAX];
	struct sb s = sb_of(text, sizeof(text));
	int64_t from, until;

	pki_certs_validity(c, i, &from, &until);
	if (now >= from && now < until)
		return;
	pki_certs_subject(c, i, &s);
	sb_str(&s, now < from ? " is not valid before " : " expired on ");
	pki_time_text(now < from ? from : until, &s);
	log_warn("tunnel '%s': the %s %s", tunnel, what, text);
}

static void warn(const struct keyd_tunnel *t, int64_t now)
{
	for (size_t i = 0; i < KEYD_MAX_INDEX; i++) {
		if (t->active->cert[i])
			warn_times(t->name, "own certificate of", t->active->cert[i], 0, now);
	}
	for (size_t i = 0; i < pki_certs_n(t->active->cas); i++)
		warn_times(t->name, "CA", t->active->cas, i, now);
}

static bool same_certs(const struct pki_certs *a, const struct pki_certs *b)
{
	if (pki_certs_n(a) != pki_certs_n(b))
		return false;
	for (size_t i = 0; i < pki_certs_n(a); i++) {
		const struct pki_span x = pki_certs_der(a, i), y = pki_certs_der(b, i);

		if (x.size != y.size || memcmp(x.data, y.data, x.size) != 0)
			return false;
	}
	return true;
}

static void commit(struct keyd_store *s, struct keyd_tunnel *t, int64_t now, const struct report *r)
{
	struct keyd_keys *new = t->pending;

	t->pending = NULL;
	if (new->broken || !pairs_fit(new, r)) {
		keyd_keys_free(new);
		return;
	}
	/* A tunnel that never had a CA has nothing to tell. */
	if (!same_certs(t->active ? t->active->cas : NULL, new->cas))
		t->trust_untold = true;
	keyd_keys_free(t->active);
	t->active = new;
	new->set = ++s->n_sets;
	warn(t, now);
}

void keyd_store_commit(struct keyd_store *s, const uint8_t *indexes, size_t n, int64_t now,
		       keyd_problem_fn *problem, void *ctx)
{
	size_t kept = 0;

	/* No verdict outlives the configuration that it was made under. NULL works, only slower. */
	if (!s->verdicts)
		s->verdicts = pki_cache_new(KEYD_MAX_CHAINS);
	pki_cache_flush(s->verdicts);
	for (size_t i = 0; i < s->n; i++)
		s->tunnels[i]->named = false;
	for (size_t i = 0; i < n; i++) {
		struct ipc_index index;
		struct keyd_tunnel *t;

		memcpy(&index, indexes + i * sizeof(index), sizeof(index));
		t = ipc_name_ok(index.name) ? find(s, index.name) : NULL;
		if (t)
			t->named = true;
	}
	for (size_t i = 0; i < s->n; i++) {
		struct keyd_tunnel *t = s->tunnels[i];
		const struct report r = {.problem = problem, .ctx = ctx, .tunnel = t->name};

		if (!t->named) {
			tunnel_free(t);
			continue;
		}
		if (t->pending)
			commit(s, t, now, &r);
		s->tunnels[kept++] = t;
	}
	s->n = kept;
}
