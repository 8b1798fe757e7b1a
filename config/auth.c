/* SPDX-License-Identifier: Apache-2.0 */
/*
 * auth: how a tunnel's sides prove who they are, and the files that it takes. The files are gathered
 * when the tunnel's own keys and its `defaults` are both known.
 */
#include "config/check.h"

#include <string.h>

#define MAX_PATHS        8 /* in one list */
#define MAX_CERTIFICATES 4

const char *config_file_path(const struct config_tunnel *t, const struct config_file *f)
{
	return t->paths + f->at;
}

size_t config_n_files(const struct config_tunnel *t, enum config_file_kind kind)
{
	size_t n = 0;

	for (size_t i = 0; i < t->n_files; i++)
		n += t->files[i].kind == kind;
	return n;
}

/* ------------------------------------------------------------------ reading */

/* Text as elsewhere; distinguished names have blanks in them. */
void config_handle_id(struct config_parse *p, const struct config_node *n, void *field)
{
	char *out = field;

	if (n->kind != CONFIG_NODE_SCALAR || !strchr(n->text, '=') || n->size >= CONFIG_ID_SIZE) {
		(void)config_get_text(p, n, out, CONFIG_ID_SIZE);
		return;
	}
	for (size_t i = 0; i < n->size; i++) {
		if (n->text[i] < 0x20 || n->text[i] > 0x7e) {
			config_error(&p->diag, n,
				     "only printable ASCII characters are allowed here");
			return;
		}
	}
	memset(out, 0, CONFIG_ID_SIZE);
	memcpy(out, n->text, n->size);
}

void config_handle_one_path(struct config_parse *p, const struct config_node *n, void *field)
{
	char path[CONFIG_PATH_SIZE];

	(void)config_get_path(p, n, path, sizeof(path));
}

void config_handle_paths(struct config_parse *p, const struct config_node *n, void *field)
{
	char path[CONFIG_PATH_SIZE];

	if (!config_is_list(p, n, MAX_PATHS))
		return;
	for (const struct config_node *item = n->first; item; item = item->next)
		(void)config_get_path(p, item, path, sizeof(path));
}

void config_handle_certificates(struct config_parse *p, const struct config_node *n, void *field)
{
	struct config_certificate_work w;

	if (!config_is_list(p, n, MAX_CERTIFICATES))
		return;
	for (const struct config_node *item = n->first; item; item = item->next)
		(void)config_map_apply(p, &config_certificate_map, item, true, &w);
}

/* ---------------------------------------------------------------- gathering */

struct gather {
	struct config_parse *p;
	struct config_tunnel *t;
	size_t n_text;
	bool ok;
};

static void add(struct gather *g, enum config_file_kind kind, size_t index,
		const struct config_node *n)
{
	struct config_tunnel *t = g->t;

	/* What is wrong was reported where it was read. */
	if (!n || n->kind != CONFIG_NODE_SCALAR || n->size == 0)
		return;
	if (t->n_files == CONFIG_MAX_FILES || sizeof(t->paths) - g->n_text < n->size + 1) {
		if (g->ok)
			config_error(&g->p->diag, n,
				     "too many files, or too long names of files, for one tunnel: "
				     "put several certificates into one file");
		g->ok = false;
		return;
	}
	t->files[t->n_files++] = (struct config_file){
		.kind = (uint8_t)kind,
		.index = (uint8_t)index,
		.at = (uint16_t)g->n_text,
		.line = n->line,
	};
	memcpy(t->paths + g->n_text, n->text, n->size);
	g->n_text += n->size + 1;
}

static void add_list(struct gather *g, enum config_file_kind kind, const struct config_node *n)
{
	size_t index = 0;

	if (!n || n->kind != CONFIG_NODE_LIST)
		return;
	for (const struct config_node *item = n->first; item; item = item->next)
		add(g, kind, index++, item);
}

static const struct config_node *member(const struct config_node *map, const char *name)
{
	for (const struct config_node *v = map->first; v; v = v->next) {
		if (!strcmp(v->key->text, name))
			return v;
	}
	return NULL;
}

static void add_certificates(struct gather *g, const struct config_node *n)
{
	size_t index = 0;

	if (!n || n->kind != CONFIG_NODE_LIST)
		return;
	for (const struct config_node *item = n->first; item; item = item->next, index++) {
		if (item->kind != CONFIG_NODE_MAP)
			continue;
		add(g, CONFIG_FILE_CERT, index, member(item, "certificate"));
		add(g, CONFIG_FILE_PRIVATE_KEY, index, member(item, "private_key"));
	}
}

/* ------------------------------------------------------------- what is missing */

static const struct config_node *first_of(const struct config_node *a, const struct config_node *b)
{
	return a ? a : b;
}

static bool lacks(struct config_parse *p, const struct config_node *at, const char *key,
		  const char *hint)
{
	config_error(&p->diag, at, "a tunnel has no '%s'; add %s", key, hint);
	return false;
}

static bool check_own(struct config_parse *p, const struct config_node *at,
		      const struct config_tunnel_work *w)
{
	switch (w->t.local_auth) {
	case CONFIG_AUTH_PSK: break; /* for both sides, below */
	case CONFIG_AUTH_CERTIFICATE:
		if (!w->at_certificates)
			return lacks(p, at, "certificates",
				     "'certificates: [{certificate: /etc/twinbore/gw.crt, "
				     "private_key: /etc/twinbore/gw.key}]'");
		break;
	case CONFIG_AUTH_RAW_KEY:
		if (!w->at_private_key && !w->at_certificates)
			return lacks(p, at, "private_key", "'private_key: /etc/twinbore/gw.key'");
		break;
	}
	return true;
}

static bool check_theirs(struct config_parse *p, const struct config_node *at,
			 const struct config_tunnel_work *w)
{
	switch (w->t.remote_auth) {
	case CONFIG_AUTH_PSK: break;
	case CONFIG_AUTH_CERTIFICATE:
		if (!w->at_ca_files)
			return lacks(p, at, "ca_files",
				     "'ca_files: [/etc/twinbore/ca.crt]' with the CA that made the "
				     "peer's certificate");
		break;
	case CONFIG_AUTH_RAW_KEY:
		if (!w->at_peer_key)
			return lacks(p, at, "peer_public_key",
				     "'peer_public_key: /etc/twinbore/peer.pub'");
		break;
	}
	return true;
}

static bool check_psk(struct config_parse *p, const struct config_node *at,
		      const struct config_tunnel_work *w)
{
	const bool needed =
		w->t.local_auth == CONFIG_AUTH_PSK || w->t.remote_auth == CONFIG_AUTH_PSK;

	if (w->at_psk_file && w->at_psk_files) {
		config_error(&p->diag, w->at_psk_files,
			     "'psk_file' and 'psk_files' are both there; write the keys into "
			     "psk_files, the one to sign with first");
		return false;
	}
	if (!needed || w->at_psk_file || w->at_psk_files)
		return true;
	if (w->at_certificates || w->at_ca_files) {
		config_error(&p->diag, at,
			     "the tunnel has certificates, but authenticates by PSK; add 'auth: "
			     "certificate'");
		return false;
	}
	return lacks(p, at, "psk_file",
		     "'psk_file: /etc/twinbore/NAME.psk' and make that file with 'twinbore genpsk "
		     "--out'");
}

static bool check_wildcard(struct config_parse *p, const struct config_node *at,
			   const struct config_tunnel_work *w)
{
	const struct config_tunnel *t = &w->t;
	const char *star = strchr(t->remote_id, '*');

	at = first_of(first_of(w->at_wildcard, w->at_remote_id), at);
	if (!t->remote_id_wildcard) {
		if (star && strncmp(t->remote_id, "keyid:", 6) != 0)
			config_warning(&p->diag, first_of(w->at_remote_id, at),
				       "the star in '%s' is a character like any other; add "
				       "'remote_id_wildcard: true' if it is to stand for anything",
				       t->remote_id);
		return true;
	}
	if (t->remote_auth != CONFIG_AUTH_CERTIFICATE) {
		config_error(&p->diag, at,
			     "remote_id_wildcard is for peers with certificates: whoever has the "
			     "key could take any name");
		return false;
	}
	if (!star) {
		config_error(&p->diag, at,
			     "remote_id_wildcard without a star in remote_id; write for example "
			     "'remote_id: \"*.branch.example.net\"'");
		return false;
	}
	return true;
}

static bool check_ppk(struct config_parse *p, struct config_tunnel_work *w)
{
	if (!w->at_ppk)
		return true;
	if (!w->at_ppk_id || !w->at_ppk_file || !w->t.ppk_id[0]) {
		config_error(&p->diag, w->at_ppk,
			     "'ppk' needs 'id', the key's name at both sides, and 'file'");
		return false;
	}
	w->t.ppk = w->ppk_required ? CONFIG_PPK_REQUIRE : CONFIG_PPK_PREFER;
	return true;
}

bool config_auth_complete(struct config_parse *p, const struct config_node *at,
			  struct config_tunnel_work *w, bool good)
{
	struct gather g = {.p = p, .t = &w->t, .ok = true};
	bool ok = true;

	if (!w->at_local_auth)
		w->t.local_auth = w->auth;
	if (!w->at_remote_auth)
		w->t.remote_auth = w->auth;
	if (good) {
		ok &= check_psk(p, at, w);
		ok &= check_own(p, at, w);
		ok &= check_theirs(p, at, w);
		ok &= check_wildcard(p, at, w);
		ok &= check_ppk(p, w);
	}
	add(&g, CONFIG_FILE_PSK, 0, w->at_psk_file);
	add_list(&g, CONFIG_FILE_PSK, w->at_psk_files);
	add_certificates(&g, w->at_certificates);
	/* A raw key has no certificate; it goes behind those that have. */
	add(&g, CONFIG_FILE_PRIVATE_KEY, config_n_files(&w->t, CONFIG_FILE_CERT),
	    w->at_private_key);
	add_list(&g, CONFIG_FILE_CA, w->at_ca_files);
	add_list(&g, CONFIG_FILE_CRL, w->at_crl_files);
	add(&g, CONFIG_FILE_OCSP, 0, w->at_ocsp_file);
	add(&g, CONFIG_FILE_PEER_KEY, 0, w->at_peer_key);
	add(&g, CONFIG_FILE_PPK, 0, w->at_ppk_file);
	add(&g, CONFIG_FILE_BGP_PASSWORD, 0, w->at_bgp_password);
	return ok && g.ok;
}
