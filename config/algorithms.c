/* SPDX-License-Identifier: Apache-2.0 */
/*
 * algorithms: names of algorithms to IANA numbers. What is weak (RFC 8247 for IKE, RFC 8221 for ESP)
 * can be had by whoever names it, with a warning that says what to take instead; no default has it.
 */
#include "config/tables.h"

#include <string.h>

#define ENCR_AES_CBC           12 /* RFC 3602 */
#define ENCR_AES_GCM_8         18 /* RFC 4106, RFC 5282 */
#define ENCR_AES_GCM_12        19
#define ENCR_AES_GCM_16        20
#define ENCR_AES_GMAC          21 /* RFC 4543 */
#define ENCR_CHACHA20_POLY1305 28 /* RFC 7634; its key has one size, which is not said */

struct name {
	const char *name;
	uint16_t id, bits;
	const char *refused; /* known, but not to be had: why, and what instead */
	const char *weak;    /* to be had: why it should not be, and what instead */
};

#define SHORT_TAG "its tag of 64 bits is short; use "
#define NO_CIPHER "it proves the origin of packets but encrypts nothing; use "

/* The first ones are what a message names. */
static const struct name encrs[] = {
	{"aes-256-gcm-16", ENCR_AES_GCM_16, 256},
	{"aes-128-gcm-16", ENCR_AES_GCM_16, 128},
	{"chacha20-poly1305", ENCR_CHACHA20_POLY1305, 0},
	{"aes-256-cbc", ENCR_AES_CBC, 256},
	{"aes-128-cbc", ENCR_AES_CBC, 128},
	{"aes-192-gcm-16", ENCR_AES_GCM_16, 192},
	{"aes-192-cbc", ENCR_AES_CBC, 192},
	{"aes-256-gcm-12", ENCR_AES_GCM_12, 256},
	{"aes-192-gcm-12", ENCR_AES_GCM_12, 192},
	{"aes-128-gcm-12", ENCR_AES_GCM_12, 128},
	{"aes-256-gcm-8", ENCR_AES_GCM_8, 256, .weak = SHORT_TAG "aes-256-gcm-16"},
	{"aes-192-gcm-8", ENCR_AES_GCM_8, 192, .weak = SHORT_TAG "aes-256-gcm-16"},
	{"aes-128-gcm-8", ENCR_AES_GCM_8, 128, .weak = SHORT_TAG "aes-128-gcm-16"},
	{"aes-256-gmac", ENCR_AES_GMAC, 256, .weak = NO_CIPHER "aes-256-gcm-16"},
	{"aes-192-gmac", ENCR_AES_GMAC, 192, .weak = NO_CIPHER "aes-256-gcm-16"},
	{"aes-128-gmac", ENCR_AES_GMAC, 128, .weak = NO_CIPHER "aes-128-gcm-16"},
	{"3des", .refused = "its 64-bit blocks are unsafe; use aes-128-cbc at least"},
	{"des", .refused = "it is broken; use aes-128-cbc at least"},
	{"blowfish", .refused = "its 64-bit blocks are unsafe; use aes-128-cbc at least"},
	{"null", .refused = "it does not encrypt; use aes-128-gcm-16 at least"},
	{"aes256", .refused = "write aes-256-cbc"},
	{"aes192", .refused = "write aes-192-cbc"},
	{"aes128", .refused = "write aes-128-cbc"},
	{"aes256gcm16", .refused = "write aes-256-gcm-16"},
	{"aes128gcm16", .refused = "write aes-128-gcm-16"},
	{"aes-256-gcm", .refused = "write aes-256-gcm-16"},
	{"aes-192-gcm", .refused = "write aes-192-gcm-16"},
	{"aes-128-gcm", .refused = "write aes-128-gcm-16"},
	{"chacha20poly1305", .refused = "write chacha20-poly1305"},
};

#define WEAK_SHA1 "SHA-1 is on its way out (RFC 8247, RFC 8221); use sha2-256"
#define WEAK_MD5  "MD5 is broken; use sha2-256"

static const struct name integs[] = {
	/* RFC 4868 */
	{"sha2-256", 12},
	{"sha2-384", 13},
	{"sha2-512", 14},
	{"sha1", 2, .weak = WEAK_SHA1}, /* RFC 2404 */
	{"sha", .refused = "write sha2-256, or sha1"},
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
	{"sha1", 2, .weak = WEAK_SHA1}, /* RFC 2104 */
	{"md5", .refused = WEAK_MD5},
	{"aes-xcbc", .refused = "use sha2-256"},
	{"aes-cmac", .refused = "use sha2-256"},
	{"sha256", .refused = "write sha2-256"},
	{"sha384", .refused = "write sha2-384"},
	{"sha512", .refused = "write sha2-512"},
};

#define WEAK_1024   "1024 bits can be broken (RFC 8247: SHOULD NOT); use 31, 19 or 14"
#define WEAK_1536   "1536 bits are too few (RFC 8247: SHOULD NOT); use 31, 19 or 14"
#define SUBGROUP    "where its subgroup comes from is not known (RFC 8247: " /* level */
#define INSTEAD     "); use 31, 19 or 14"
#define BRAINPOOL   "use 19, 20, 21 or 31"
#define KEM_IN_LIST "ML-KEM adds to a group: write 'pq: prefer' or 'pq: require'"

static const struct name groups[] = {
	{"31", 31}, /* RFC 8031 */
	{"32", 32},
	{"19", 19}, /* RFC 5903 */
	{"20", 20},
	{"21", 21},
	{"14", 14}, /* RFC 3526 */
	{"15", 15},
	{"16", 16},
	{"17", 17},
	{"18", 18},
	{"2", 2, .weak = WEAK_1024},
	{"5", 5, .weak = WEAK_1536},
	{"22", 22, .weak = SUBGROUP "MUST NOT" INSTEAD}, /* RFC 5114 */
	{"23", 23, .weak = SUBGROUP "SHOULD NOT" INSTEAD},
	{"24", 24, .weak = SUBGROUP "SHOULD NOT" INSTEAD},
	{"1", .refused = "768 bits are broken (RFC 8247: MUST NOT); use 31, 19 or 14"},
	{"25", .refused = "192 bits are too few; use 19"},
	{"26", .refused = "224 bits are too few; use 19"},
	{"27", .refused = BRAINPOOL},
	{"28", .refused = BRAINPOOL},
	{"29", .refused = BRAINPOOL},
	{"30", .refused = BRAINPOOL},
	{"35", .refused = KEM_IN_LIST},
	{"36", .refused = KEM_IN_LIST},
	{"37", .refused = KEM_IN_LIST},
};

/* draft-ietf-ipsecme-ikev2-mlkem, FIPS 203 */
static const struct name kems[] = {
	{"ml-kem-768", 36},
	{"ml-kem-1024", 37},
	{"ml-kem-512", 35},
	{"mlkem768", .refused = "write ml-kem-768"},
	{"mlkem1024", .refused = "write ml-kem-1024"},
	{"mlkem512", .refused = "write ml-kem-512"},
};

#define N(array) (sizeof(array) / sizeof((array)[0]))

#define NAMES_MAX  32
#define LISTED_MAX 10 /* as many as a message has room for */

static void report_unknown(struct config_parse *p, const struct config_node *item, const char *what,
			   const struct name *names, const char *const *usable, size_t n_usable)
{
	const bool scalar = item->kind == CONFIG_NODE_SCALAR;
	char buf[CONFIG_SHOWN_SIZE];
	const char *near = NULL;
	struct sb *s;
	size_t i;

	/* Digits are all near each other. */
	if (scalar && names != groups)
		near = config_nearest(item->text, usable, n_usable);
	s = config_diag_error(&p->diag, item->line, item->column);
	if (near) {
		sb_printf(s, "unknown %s '%s'; did you mean '%s'?", what, config_shown(item, buf),
			  near);
		return;
	}
	if (scalar)
		sb_printf(s, "unknown %s '%s'; supported are ", what, config_shown(item, buf));
	else
		sb_printf(s, "the name of one %s is wanted here, not %s; supported are ", what,
			  config_shown(item, buf));
	for (i = 0; i < n_usable && i < LISTED_MAX; i++)
		sb_printf(s, "%s%s", i ? ", " : "", usable[i]);
}

static bool get_alg(struct config_parse *p, const struct config_node *item, const char *what,
		    const struct name *names, size_t n, struct config_alg *out)
{
	const char *usable[NAMES_MAX];
	size_t i, n_usable = 0;

	for (i = 0; i < n; i++)
		if (!names[i].refused)
			usable[n_usable++] = names[i].name;
	for (i = 0; i < n; i++)
		if (item->kind == CONFIG_NODE_SCALAR && !strcmp(names[i].name, item->text))
			break;
	if (i == n) {
		report_unknown(p, item, what, names, usable, n_usable);
		return false;
	}
	if (names[i].refused) {
		config_error(&p->diag, item, "%s '%s' is not supported: %s", what, item->text,
			     names[i].refused);
		return false;
	}
	if (names[i].weak)
		config_warning(&p->diag, item, "%s '%s' is weak: %s", what, item->text,
			       names[i].weak);
	*out = (struct config_alg){names[i].id, names[i].bits};
	return true;
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

/* In work, so that what a list inherits leaves nothing behind: tunnels are compared whole. */
static void clear(struct config_alg_list *l)
{
	memset(l, 0, sizeof(*l));
}

static void get_list(struct config_parse *p, const struct config_node *n, const char *what,
		     const struct name *names, size_t n_names, struct config_alg_list *out)
{
	const struct config_node *item;
	struct config_alg a;

	clear(out);
	if (!config_is_list(p, n, CONFIG_ALGS_MAX))
		return;
	for (item = n->first; item; item = item->next)
		if (get_alg(p, item, what, names, n_names, &a))
			add(p, item, out, &a);
}

void config_handle_ike_encr(struct config_parse *p, const struct config_node *n, void *field)
{
	struct config_alg_list *out = field;
	size_t i;

	get_list(p, n, "encryption", encrs, N(encrs), out);
	for (i = 0; i < out->n; i++)
		if (out->algs[i].id == ENCR_AES_GMAC)
			config_error(&p->diag, n,
				     "AES-GMAC encrypts nothing and serves ESP alone; take it out "
				     "of the list of 'ike'");
}

void config_handle_esp_encr(struct config_parse *p, const struct config_node *n, void *field)
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

void config_handle_kem(struct config_parse *p, const struct config_node *n, void *field)
{
	get_list(p, n, "KEM", kems, N(kems), field);
}

/* A group, or `none`. */
static bool get_group(struct config_parse *p, const struct config_node *item,
		      struct config_alg *out)
{
	*out = (struct config_alg){0, 0};
	return (item->kind == CONFIG_NODE_SCALAR && !strcmp(item->text, "none")) ||
	       get_alg(p, item, "group", groups, N(groups), out);
}

void config_handle_pfs(struct config_parse *p, const struct config_node *n, void *field)
{
	struct config_alg_list *out = field;
	const struct config_node *item;
	struct config_alg a;

	clear(out);
	if (n->kind == CONFIG_NODE_SCALAR && !strcmp(n->text, "none")) {
		out->algs[out->n++] = (struct config_alg){0, 0};
		return;
	}
	if (!config_is_list(p, n, CONFIG_ALGS_MAX))
		return;
	for (item = n->first; item; item = item->next)
		if (get_group(p, item, &a))
			add(p, item, out, &a);
}

/* One exchange: a group, or a list of those that will do. */
static void get_exchange(struct config_parse *p, const struct config_node *n,
			 struct config_alg_list *out)
{
	const bool one = n->kind == CONFIG_NODE_SCALAR;
	const struct config_node *item;
	struct config_alg a;

	if (!one && !config_is_list(p, n, CONFIG_ALGS_MAX))
		return;
	for (item = one ? n : n->first; item; item = one ? NULL : item->next)
		if (get_group(p, item, &a))
			add(p, item, out, &a);
	if (out->n == 1 && !out->algs[0].id)
		config_error(&p->diag, n,
			     "'none' alone is no key exchange; leave it out, or write [19, none]");
}

void config_handle_more_ke(struct config_parse *p, const struct config_node *n, void *field)
{
	struct config_alg_list *out = field;
	const struct config_node *item;

	memset(out, 0, CONFIG_MORE_KE_MAX * sizeof(*out));
	if (!config_is_list(p, n, CONFIG_MORE_KE_MAX))
		return;
	for (item = n->first; item; item = item->next)
		get_exchange(p, item, out++);
}

void config_handle_esn(struct config_parse *p, const struct config_node *n, void *field)
{
	struct config_alg_list *out = field;
	const struct config_node *item;
	struct config_alg a = {0, 0};
	bool on;

	clear(out);
	if (!config_is_list(p, n, 2))
		return;
	for (item = n->first; item; item = item->next) {
		if (config_get_bool(p, item, &on)) {
			a.id = on;
			add(p, item, out, &a);
		}
	}
}
