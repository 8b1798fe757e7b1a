/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sup_secrets: the files of keys and certificates that the configuration names. The supervisor opens
 * them, looks at who may read or change them, and hands them over; it reads none.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "daemon/keyd_auth.h"
#include "daemon/supervisor.h"

static_assert(CONFIG_FILE_PSK == (int)IPC_SECRET_PSK, "kinds are passed on");
static_assert(CONFIG_FILE_PRIVATE_KEY == (int)IPC_SECRET_PRIVATE_KEY, "likewise");
static_assert(CONFIG_FILE_CERT == (int)IPC_SECRET_CERT, "likewise");
static_assert(CONFIG_FILE_CA == (int)IPC_SECRET_CA, "likewise");
static_assert(CONFIG_FILE_CRL == (int)IPC_SECRET_CRL, "likewise");
static_assert(CONFIG_FILE_OCSP == (int)IPC_SECRET_OCSP, "likewise");
static_assert(CONFIG_FILE_PEER_KEY == (int)IPC_SECRET_PEER_KEY, "likewise");
static_assert(CONFIG_FILE_PPK == (int)IPC_SECRET_PPK, "likewise");
static_assert(CONFIG_FILE_BGP_PASSWORD == (int)IPC_SECRET_BGP_PASSWORD, "likewise");

#define PUBLIC_MAX (4 << 20)

static const struct rule {
	const char *what;
	bool secret;
	off_t min, max;   /* bytes */
	const char *hint; /* where there is none */
} rules[] = {
	[CONFIG_FILE_PSK] = {"PSK file", true, KEYD_PSK_MIN, KEYD_PSK_MAX + 2,
			     ": make one with `twinbore genpsk`"},
	[CONFIG_FILE_PRIVATE_KEY] = {"private key", true, 16, 1 << 16,
				     ": make one with `twinbore pki`"},
	[CONFIG_FILE_CERT] = {"certificate", false, 16, PUBLIC_MAX,
			      ": make one with `twinbore pki`"},
	[CONFIG_FILE_CA] = {"CA file", false, 16, PUBLIC_MAX, ""},
	[CONFIG_FILE_CRL] = {"CRL", false, 16, PUBLIC_MAX, ""},
	[CONFIG_FILE_OCSP] = {"OCSP response", false, 5, PUBLIC_MAX, ""},
	[CONFIG_FILE_PEER_KEY] = {"public key", false, 16, PUBLIC_MAX, ""},
	[CONFIG_FILE_PPK] = {"PPK file", true, 16, 1024, ": make one with `twinbore genpsk`"},
	[CONFIG_FILE_BGP_PASSWORD] = {"BGP password file", true, 1, IPC_PASSWORD_MAX + 2, ""},
};

struct place {
	const char *config; /* its path */
	const struct config_tunnel *t;
	const struct config_file *f;
	char *problems;
	size_t size;
};

#define COMPLAIN(p, path, fmt, ...)                                                                \
	sup_problem((p)->problems, (p)->size, "%s:%u:1: %s '%s' of tunnel '%s'" fmt, (p)->config,  \
		    (unsigned)(p)->f->line, rules[(p)->f->kind].what, path,                        \
		    (p)->t->name __VA_OPT__(, ) __VA_ARGS__)

static bool sized(const struct place *p, const char *path, off_t size)
{
	const struct rule *r = &rules[p->f->kind];
	const bool psk = p->f->kind == CONFIG_FILE_PSK;

	if (size < r->min && psk)
		COMPLAIN(p, path, " holds fewer than %u characters%s", KEYD_PSK_MIN, r->hint);
	else if (size > r->max && psk)
		COMPLAIN(p, path, " holds more than %u characters: one line with the key is wanted",
			 KEYD_PSK_MAX);
	else if (size < r->min)
		COMPLAIN(p, path, " is too short to be one");
	else if (size > r->max)
		COMPLAIN(p, path, " is too long to be one: %llu bytes are the most",
			 (unsigned long long)r->max);
	else
		return true;
	return false;
}

static bool fit(const struct place *p, const char *path, const struct stat *st)
{
	const struct rule *r = &rules[p->f->kind];
	const mode_t others = r->secret ? S_IRWXG | S_IRWXO : S_IWGRP | S_IWOTH;

	if (!S_ISREG(st->st_mode))
		COMPLAIN(p, path, " is not a regular file");
	else if ((st->st_mode & others) != 0 && r->secret)
		COMPLAIN(p, path, " is open to other users (mode %04o): run `chmod 600 %s`",
			 (unsigned)(st->st_mode & 07777), path);
	else if ((st->st_mode & others) != 0)
		COMPLAIN(p, path, " can be changed by other users (mode %04o): run `chmod 644 %s`",
			 (unsigned)(st->st_mode & 07777), path);
	else if (st->st_uid != 0 && st->st_uid != geteuid())
		COMPLAIN(p, path, " belongs to another user: run `chown root %s`", path);
	else
		return sized(p, path, st->st_size);
	return false;
}

static int open_one(const struct place *p)
{
	const char *path = config_file_path(p->t, p->f);
	const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st = {.st_mode = 0};

	if (fd < 0) {
		COMPLAIN(p, path, ": %s%s", strerror(errno),
			 errno == ENOENT ? rules[p->f->kind].hint : "");
		return -1;
	}
	(void)fstat(fd, &st);
	if (fit(p, path, &st))
		return fd;
	close(fd);
	return -1;
}

static size_t count(const struct config *c)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n_connections; i++) {
		for (size_t j = 0; j < c->connections[i].n_tunnels; j++)
			n += c->connections[i].tunnels[j].n_files;
	}
	return n;
}

static bool open_tunnel(struct place *p, struct sup_secrets *out)
{
	bool ok = true;

	for (size_t i = 0; i < p->t->n_files; i++) {
		struct sup_secret *s = &out->items[out->n];

		p->f = &p->t->files[i];
		*s = (struct sup_secret){.fd = open_one(p)};
		if (s->fd < 0) {
			ok = false;
			continue;
		}
		memcpy(s->head.tunnel, p->t->name, sizeof(s->head.tunnel));
		s->head.kind = p->f->kind;
		s->head.index = p->f->index;
		if (p->f->kind == CONFIG_FILE_CA && p->t->revocation == CONFIG_REVOCATION_STRICT)
			s->head.flags = IPC_SECRET_REVOCATION_STRICT;
		out->n++;
	}
	return ok;
}

bool sup_secrets_open(const char *path, const struct config *c, struct sup_secrets *out,
		      char *problems, size_t problems_size)
{
	struct place p = {.config = path, .problems = problems, .size = problems_size};
	bool ok = true;

	problems[0] = '\0';
	*out = (struct sup_secrets){.items = calloc(count(c) + 1, sizeof(*out->items))};
	if (!out->items) {
		sup_problem(problems, problems_size, "%s: out of memory", path);
		return false;
	}
	for (size_t i = 0; i < c->n_connections; i++) {
		for (size_t j = 0; j < c->connections[i].n_tunnels; j++) {
			p.t = &c->connections[i].tunnels[j];
			ok = open_tunnel(&p, out) && ok;
		}
	}
	if (!ok)
		sup_secrets_close(out);
	return ok;
}

void sup_secrets_close(struct sup_secrets *s)
{
	for (size_t i = 0; i < s->n; i++)
		close(s->items[i].fd);
	free(s->items);
	*s = (struct sup_secrets){0};
}
