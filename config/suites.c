/* SPDX-License-Identifier: Apache-2.0 */
/* suites: names of algorithms to IANA numbers, and lists of them to complete suites. */
#include "config/tables.h"

#include <string.h>

#define ENCR_AES_CBC    12 /* RFC 3602 */
#define ENCR_AES_GCM_16 20 /* RFC 4106, RFC 5282 */

struct name {
	const char *name;
	uint16_t id, bits;
	const char *refused; /* known, but not to be had: why, and what instead */
};

static const struct name encrs[] = {
	{"aes-256-gcm-16", ENCR_AES_GCM_16, 256},
	{"aes-128-gcm-16", ENCR_AES_GCM_16, 128},
	{"aes-256-cbc", ENCR_AES_CBC, 256},
	{"aes-128-cbc", ENCR_AES_CBC, 128},
	{"aes-192-cbc", .refused = "use aes-256-cbc"},
	{"aes-192-gcm-16", .refused = "use aes-256-gcm-16"},
	{"aes-256-gcm-8", .refused = "its tag is too short; use aes-256-gcm-16"},
	{"aes-128-gcm-8", .refused = "its tag is too short; use aes-128-gcm-16"},
	{"aes-256-gcm-12", .refused = "its tag is too short; use aes-256-gcm-16"},
	{"aes-128-gcm-12", .refused = "its tag is too short; use aes-128-gcm-16"},
	{"chacha20-poly1305", .refused = "use aes-256-gcm-16"},
	{"3des", .refused = "its 64-bit blocks are unsafe; use aes-128-cbc at least"},
	{"des", .refused = "it is broken; use aes-128-cbc at least"},
	{"blowfish", .refused = "its 64-bit blocks are unsafe; use aes-128-cbc at least"},
	{"null", .refused = "it does not encrypt; use aes-128-gcm-16 at least"},
	{"aes256", .refused = "write aes-256-cbc"},
	{"aes128", .refused = "write aes-128-cbc"},
	{"aes256gcm16", .refused = "write aes-256-gcm-16"},
	{"aes128gcm16", .refused = "write aes-128-gcm-16"},
	{"aes-256-gcm", .refused = "write aes-256-gcm-16"},
	{"aes-128-gcm", .refused = "write aes-128-gcm-16"},
};

#define WEAK_SHA1 "SHA-1 is not used any more; use sha2-256"
#define WEAK_MD5  "MD5 is broken; use sha2-256"

static const struct name integs[] = {
	/* RFC 4868 */
	{"sha2-256", 12},
	{"sha2-384", 13},
	{"sha2-512", 14},
	{"sha1", .refused = WEAK_SHA1},
	{"sha", .refused = WEAK_SHA1},
	{"md5", .refused = WEAK_MD5},
	{"aes-xcbc", .refused = "use sha2-256"},
	{"aes-cmac", .refused = "use sha2-256"},
	{"sha256", .refused = "write sha2-256"},
	{"sha384", .refused = "write sha2-384"},
	{"sha512", .refused = "write sha2-512"},
};

static const struct name prfs[] = {
	/* RFC 4868 */
	{"sha2-256", 5},
	{"sha2-384", 6},
	{"sha2-512", 7},
	{"sha1", .refused = WEAK_SHA1},
	{"md5", .refused = WEAK_MD5},
	{"aes-xcbc", .refused = "use sha2-256"},
	{"aes-cmac", .refused = "use sha2-256"},
	{"sha256", .refused = "write sha2-256"},
	{"sha384", .refused = "write sha2-384"},
	{"sha512", .refused = "write sha2-512"},
};

#define WEAK_MODP  "it is too short; use 14 at least"
#define OTHER_MODP "use 14, or 19 to 21 and 31, which are faster"
#define BAD_ORDER  "its subgroup is not trusted (RFC 8247); use 14, 19, 20, 21 or 31"

static const struct name groups[] = {
	{"14", 14}, /* RFC 3526 */
	{"19", 19}, /* RFC 5903 */
	{"20", 20},
	{"21", 21},
	{"31", 31}, /* RFC 8031 */
	{"1", .refused = WEAK_MODP},
	{"2", .refused = WEAK_MODP},
	{"5", .refused = WEAK_MODP},
	{"15", .refused = OTHER_MODP},
	{"16", .refused = OTHER_MODP},
	{"17", .refused = OTHER_MODP},
	{"18", .refused = OTHER_MODP},
	{"22", .refused = BAD_ORDER},
	{"23", .refused = BAD_ORDER},
	{"24", .refused = BAD_ORDER},
	{"25", .refused = WEAK_MODP},
	{"26", .refused = "it is too short; use 19 at least"},
	{"27", .refused = "use 19, 20, 21 or 31"},
	{"28", .refused = "use 19, 20, 21 or 31"},
	{"29", .refused = "use 19, 20, 21 or 31"},
	{"30", .refused = "use 19, 20, 21 or 31"},
	{"32", .refused = "use 31 or 21"},
};

#define N(array) (sizeof(array) / sizeof((array)[0]))

static bool get_alg(struct config_parse *p, const struct config_node *item, const char *what,
		    const struct name *names, size_t n, struct config_alg *out)
{
	char buf[CONFIG_SHOWN_SIZE];
	const char *usable[8], *near;
	size_t i, n_usable = 0;
	struct sb *s;

	for (i = 0; i < n; i++)
		if (!names[i].refused && n_usable < N(usable))
			usable[n_usable++] = names[i].name;
	if (item->kind == CONFIG_NODE_SCALAR) {
		for (i = 0; i < n && strcmp(names[i].name, item->text) != 0; i++)
			;
		if (i < n && !names[i].refused) {
			*out = (struct config_alg){names[i].id, names[i].bits};
			return true;
		}
		if (i < n) {
			config_error(&p->diag, item, "%s '%s' is not supported: %s", what,
				     item->text, names[i].refused);
			return false;
		}
		/* Digits are all near each other. */
		near = names == groups ? NULL : config_nearest(item->text, usable, n_usable);
		if (near) {
			config_error(&p->diag, item, "unknown %s '%s'; did you mean '%s'?", what,
				     config_shown(item, buf), near);
			return false;
		}
	}
	s = config_diag_error(&p->diag, item->line, item->column);
	if (item->kind == CONFIG_NODE_SCALAR)
		sb_printf(s, "unknown %s '%s'; supported are ", what, config_shown(item, buf));
	else
		sb_printf(s, "the name of one %s is wanted here, not %s; supported are ", what,
			  config_shown(item, buf));
	for (i = 0; i < n_usable; i++)
		sb_printf(s, "%s%s", i ? ", " : "", usable[i]);
	return false;
}

static bool is_in(const struct config_alg_list *l, const struct config_alg *a)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		if (l->algs[i].id == a->id && l->algs[i].bits == a->bits)
			return true;
	return false;
}

static void add(struct config_parse *p, const struct config_node *item, struct config_alg_list *l,
		const struct config_alg *a)
{
	char buf[CONFIG_SHOWN_SIZE];

	if (is_in(l, a))
		config_error(&p->diag, item, "'%s' is in the list twice", config_shown(item, buf));
	else
		l->algs[l->n++] = *a;
}

static void get_list(struct config_parse *p, const struct config_node *n, const char *what,
		     const struct name *names, size_t n_names, struct config_alg_list *out)
{
	const struct config_node *item;
	struct config_alg a;

	out->n = 0;
	if (!config_is_list(p, n, CONFIG_ALGS_MAX))
		return;
	for (item = n->first; item; item = item->next)
		if (get_alg(p, item, what, names, n_names, &a))
			add(p, item, out, &a);
}

void config_handle_encr(struct config_parse *p, const struct config_node *n, void *field)
{
	get_list(p, n, "encryption", encrs, N(encrs), field);
}

void config_handle_integ(struct config_parse *p, const struct config_node *n, void *field)
{
	get_list(p, n, "integrity", integs, N(integs), field);
}

void config_handle_prf(struct config_parse *p, const struct config_node *n, void *field)
{
	get_list(p, n, "prf", prfs, N(prfs), field);
}

void config_handle_dh(struct config_parse *p, const struct config_node *n, void *field)
{
	get_list(p, n, "group", groups, N(groups), field);
}

void config_handle_pfs(struct config_parse *p, const struct config_node *n, void *field)
{
	struct config_alg_list *out = field;
	const struct config_node *item;
	struct config_alg a;

	out->n = 0;
	if (n->kind == CONFIG_NODE_SCALAR && !strcmp(n->text, "none")) {
		out->algs[out->n++] = (struct config_alg){0, 0};
		return;
	}
	if (!config_is_list(p, n, CONFIG_ALGS_MAX))
		return;
	for (item = n->first; item; item = item->next) {
		a = (struct config_alg){0, 0};
		if ((item->kind == CONFIG_NODE_SCALAR && !strcmp(item->text, "none")) ||
		    get_alg(p, item, "group", groups, N(groups), &a))
			add(p, item, out, &a);
	}
}

void config_handle_esn(struct config_parse *p, const struct config_node *n, void *field)
{
	struct config_alg_list *out = field;
	const struct config_node *item;
	struct config_alg a = {0, 0};
	bool on;

	out->n = 0;
	if (!config_is_list(p, n, 2))
		return;
	for (item = n->first; item; item = item->next) {
		if (config_get_bool(p, item, &on)) {
			a.id = on;
			add(p, item, out, &a);
		}
	}
}

/* ---------------------------------------------------------------- to suites */

static const struct config_alg_list nothing = {.n = 1}; /* one choice: 0 */

struct lists {
	const struct config_alg_list *encr, *integ, *prf, *dh, *esn;
};

static size_t product(const struct lists *l)
{
	size_t i, n = 0;

	for (i = 0; i < l->encr->n; i++)
		n += (l->encr->algs[i].id == ENCR_AES_GCM_16 ? 1 : l->integ->n) * l->prf->n *
		     l->dh->n * l->esn->n;
	return n;
}

/* One cipher with every combination of the other lists. */
static void expand_cipher(const struct lists *l, const struct config_alg *encr,
			  struct config_suite *out, size_t *n)
{
	/* RFC 5282 8: an AEAD stands without an integrity algorithm. */
	const struct config_alg_list *integ = encr->id == ENCR_AES_GCM_16 ? &nothing : l->integ;
	size_t i, j, k, m;

	for (i = 0; i < integ->n; i++)
		for (j = 0; j < l->prf->n; j++)
			for (k = 0; k < l->dh->n; k++)
				for (m = 0; m < l->esn->n; m++)
					out[(*n)++] = (struct config_suite){
						.encr = encr->id,
						.encr_key_bits = encr->bits,
						.prf = l->prf->algs[j].id,
						.integ = integ->algs[i].id,
						.dh = l->dh->algs[k].id,
						.esn = l->esn->algs[m].id,
					};
}

static bool expand(struct config_parse *p, const struct config_node *at, const char *what,
		   const char *hint, const struct lists *l, struct config_suite *out, size_t *n)
{
	const size_t total = product(l);
	size_t i;

	*n = 0;
	if (total > CONFIG_MAX_SUITES) {
		config_error(&p->diag, at,
			     "the lists of '%s' multiply to %zu suites; at most %u are offered: %s",
			     what, total, CONFIG_MAX_SUITES, hint);
		return false;
	}
	for (i = 0; i < l->encr->n; i++)
		expand_cipher(l, &l->encr->algs[i], out, n);
	return true;
}

bool config_suites_expand(struct config_parse *p, const struct config_node *at,
			  struct config_tunnel_work *w)
{
	const struct lists ike = {&w->ike_encr, &w->ike_integ, &w->ike_prf, &w->ike_dh, &nothing};
	const struct lists esp = {&w->esp_encr, &w->esp_integ, &nothing, &w->esp_pfs, &w->esp_esn};
	const bool ike_ok =
		expand(p, w->at_ike ? w->at_ike : at, "ike",
		       "shorten encryption, integrity, prf or dh", &ike, w->t.ike, &w->t.n_ike);
	const bool esp_ok =
		expand(p, w->at_esp ? w->at_esp : at, "esp",
		       "shorten encryption, integrity, pfs or esn", &esp, w->t.esp, &w->t.n_esp);

	return ike_ok && esp_ok;
}
