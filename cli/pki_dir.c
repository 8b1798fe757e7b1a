/* SPDX-License-Identifier: Apache-2.0 */
/* pki_dir: the CA's folder: lock, files as a whole, index, revocation list. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "base/secret.h"
#include "cli/pki.h"

#define INDEX_MAX (64u << 20)

/* -------------------------------------------------------------------- files */

static bool write_all(int fd, const char *p, size_t n)
{
	while (n) {
		const ssize_t w = write(fd, p, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return false;
		p += w;
		n -= (size_t)w;
	}
	return true;
}

/* Of the folder that holds the file: a rename lasts only then. */
static void sync_folder(int at, const char *path)
{
	const char *slash = strrchr(path, '/');
	char *folder =
		slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
	const int fd = folder ? openat(at, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	if (fd >= 0) {
		(void)fsync(fd);
		close(fd);
	}
	free(folder);
}

static bool put(int at, const char *path, const char *temp, mode_t mode, bool replace,
		const char *data, size_t size)
{
	const int fd = openat(at, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	bool ok;
	int e;

	if (fd < 0)
		return false;
	ok = write_all(fd, data, size) && fchmod(fd, mode) == 0 && fsync(fd) == 0;
	e = errno;
	if (close(fd) != 0 && ok) {
		e = errno;
		ok = false;
	}
	if (ok) {
		/* linkat() never replaces. */
		ok = (replace ? renameat(at, temp, at, path) : linkat(at, temp, at, path, 0)) == 0;
		e = errno;
	}
	if (!ok || !replace)
		(void)unlinkat(at, temp, 0);
	errno = e;
	return ok;
}

bool cli_pki_write(const struct cli_args *a, int at, const char *path, mode_t mode, bool replace,
		   const char *data, size_t size)
{
	uint8_t random[8];
	char hex[17], *temp = NULL;
	bool ok;
	int e;

	random_bytes_fill(random, sizeof(random));
	cli_pki_hex(random, sizeof(random), hex);
	ok = asprintf(&temp, "%s.%s.new", path, hex) > 0 &&
	     put(at, path, temp, mode, replace, data, size);
	e = errno;
	free(temp);
	if (ok)
		sync_folder(at, path);
	else if (e == EEXIST)
		(void)cli_fail(a, "failed", "%s exists and is left as it is", path);
	else
		(void)cli_fail(a, "failed", "cannot write %s: %s", path, strerror(e));
	return ok;
}

char *cli_pki_read(const struct cli_args *a, int at, const char *path, size_t max, size_t *size)
{
	const int fd = openat(at, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct stat st;
	char *data = NULL;
	ssize_t r = 0;

	if (fd < 0 || fstat(fd, &st) != 0) {
		(void)cli_fail(a, "failed", "cannot open %s: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	if (!S_ISREG(st.st_mode) || (uintmax_t)st.st_size > max) {
		(void)cli_fail(a, "failed", "%s is no file, or larger than %zu bytes", path, max);
		close(fd);
		return NULL;
	}
	data = malloc((size_t)st.st_size + 1);
	*size = 0;
	while (data && *size < (size_t)st.st_size &&
	       (r = read(fd, data + *size, (size_t)st.st_size - *size)) > 0)
		*size += (size_t)r;
	close(fd);
	if (data && r >= 0) {
		data[*size] = '\0';
		return data;
	}
	(void)cli_fail(a, "failed", "cannot read %s", path);
	free(data);
	return NULL;
}

/* -------------------------------------------------------------- open, close */

static bool load_cert(struct cli_ca *ca)
{
	char text[PKI_TEXT_SIZE];
	struct sb why = sb_of(text, sizeof(text));
	size_t size;
	char *data = cli_pki_read(ca->args, ca->fd, "ca.crt", PKI_FILE_MAX, &size);

	if (!data)
		return false;
	ca->cert = pki_certs_parse((uint8_t *)data, size, &why);
	free(data);
	if (!ca->cert)
		(void)cli_fail(ca->args, "failed", "%s/ca.crt %s", ca->dir, text);
	return ca->cert != NULL;
}

static bool load_key(struct cli_ca *ca)
{
	char text[PKI_TEXT_SIZE];
	struct sb why = sb_of(text, sizeof(text));
	size_t size;
	char *data = cli_pki_read(ca->args, ca->fd, "ca.key", PKI_CERT_MAX, &size);

	if (!data)
		return false;
	ca->key = pki_key_parse((uint8_t *)data, size, &why);
	bytes_wipe(data, size);
	free(data);
	if (ca->key && pki_key_matches(ca->key, ca->cert))
		return true;
	(void)cli_fail(ca->args, "failed", "%s/ca.key %s", ca->dir,
		       ca->key ? "is not the key of ca.crt" : text);
	return false;
}

static bool index_ok(const json_t *index)
{
	const json_t *list = json_object_get(index, "certificates"), *c;
	size_t i;

	json_array_foreach (list, i, c) {
		uint8_t serial[20];

		if (cli_pki_parse_hex(cli_str(c, "serial"), serial, sizeof(serial)) == 0)
			return false;
	}
	return json_is_array(list) && json_is_integer(json_object_get(index, "crl_number"));
}

static bool load_index(struct cli_ca *ca)
{
	json_error_t error;
	size_t size;
	char *data = cli_pki_read(ca->args, ca->fd, "index.json", INDEX_MAX, &size);

	if (!data)
		return false;
	ca->index = json_loadb(data, size, JSON_REJECT_DUPLICATES, &error);
	free(data);
	if (ca->index && index_ok(ca->index))
		return true;
	(void)cli_fail(ca->args, "failed", "%s/index.json is damaged", ca->dir);
	return false;
}

bool cli_ca_open(struct cli_ca *ca, const struct cli_args *a, const char *dir, bool with_key)
{
	*ca = (struct cli_ca){.args = a, .dir = dir, .now = time(NULL)};
	ca->fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (ca->fd < 0 || flock(ca->fd, LOCK_EX) != 0) {
		(void)cli_fail(a, "failed", "cannot open %s: %s", dir, strerror(errno));
	} else if (faccessat(ca->fd, "ca.crt", F_OK, 0) != 0) {
		(void)cli_fail(a, "failed", "%s is no CA: make one with `twinbore pki init %s`",
			       dir, dir);
	} else if (load_cert(ca) && (!with_key || load_key(ca)) && load_index(ca)) {
		return true;
	}
	cli_ca_close(ca);
	return false;
}

void cli_ca_close(struct cli_ca *ca)
{
	pki_key_free(ca->key);
	pki_certs_free(ca->cert);
	json_decref(ca->index);
	if (ca->fd >= 0)
		close(ca->fd);
	*ca = (struct cli_ca){.fd = -1};
}

/* -------------------------------------------------------------------- index */

json_t *cli_ca_issued(const struct cli_ca *ca)
{
	return json_object_get(ca->index, "certificates");
}

json_t *cli_ca_find(const struct cli_ca *ca, const char *serial)
{
	json_t *c;
	size_t i;

	json_array_foreach (cli_ca_issued(ca), i, c) {
		if (strcmp(cli_str(c, "serial"), serial) == 0)
			return c;
	}
	return NULL;
}

bool cli_ca_save_index(struct cli_ca *ca)
{
	char *text = json_dumps(ca->index, JSON_INDENT(1));
	bool ok = false;

	if (text)
		ok = cli_pki_write(ca->args, ca->fd, "index.json", 0600, true, text, strlen(text));
	free(text);
	return ok;
}

static struct pki_revocation *revoked_of(const struct cli_ca *ca, size_t *n)
{
	const json_t *list = cli_ca_issued(ca), *c;
	struct pki_revocation *r = calloc(json_array_size(list) + 1, sizeof(*r));
	size_t i;

	*n = 0;
	json_array_foreach (list, i, c) {
		const json_t *when = json_object_get(c, "revoked");

		if (!r || !json_is_integer(when))
			continue;
		r[*n].serial_size =
			cli_pki_parse_hex(cli_str(c, "serial"), r[*n].serial, sizeof(r[*n].serial));
		r[*n].when = json_integer_value(when);
		r[*n].reason = pki_reason_parse(cli_str(c, "reason"));
		++*n;
	}
	return r;
}

bool cli_ca_save_crl(struct cli_ca *ca, unsigned days)
{
	char text[PKI_TEXT_SIZE], *pem = NULL;
	struct sb why = sb_of(text, sizeof(text));
	const json_int_t number = json_integer_value(json_object_get(ca->index, "crl_number")) + 1;
	struct pki_list_request r = {
		.key = ca->key,
		.issuer = ca->cert,
		.number = (uint64_t)number,
		.from = ca->now - CLI_PKI_SLACK_S,
		.until = ca->now + 86400ll * days,
	};
	struct pki_revocation *revoked = revoked_of(ca, &r.n_revoked);
	struct pki_span der = {0};
	size_t size = 0;
	bool ok = false;

	r.revoked = revoked;
	/* The index first: a number that no list has is no harm, one that two lists have is. */
	if (!revoked || json_object_set_new(ca->index, "crl_number", json_integer(number)) != 0 ||
	    !cli_ca_save_index(ca))
		goto out;
	if (!pki_make_crl(&r, &der, &why)) {
		(void)cli_fail(ca->args, "failed", "%s", text);
		goto out;
	}
	pem = pki_pem("X509 CRL", der, &size);
	ok = pem && cli_pki_write(ca->args, ca->fd, "crl.pem", 0644, true, pem, size);
out:
	free(revoked);
	free((void *)der.data);
	free(pem);
	return ok;
}
