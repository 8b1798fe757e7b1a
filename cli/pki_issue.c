/* SPDX-License-Identifier: Apache-2.0 */
/* pki_issue: `twinbore pki issue`, `revoke`, `crl` and `list`. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/secret.h"
#include "cli/pki.h"

/* -------------------------------------------------------------------- issue */

struct issue {
	struct cli_ca ca;
	struct pki_key *key;
	struct pki_span der;
	char serial[2 * PKI_SERIAL_SIZE + 1];
	int64_t until;
	char *key_path, *cert_path;
};

static void issue_free(struct issue *i)
{
	pki_key_free(i->key);
	free((void *)i->der.data);
	free(i->key_path);
	free(i->cert_path);
	cli_ca_close(&i->ca);
}

static bool make(struct issue *i, const struct cli_args *a)
{
	char text[PKI_TEXT_SIZE];
	struct sb why = sb_of(text, sizeof(text));
	uint8_t serial[PKI_SERIAL_SIZE];
	int64_t ca_from, ca_until;
	struct pki_request r = {
		.subject = a->name,
		.san = a->san,
		.from = i->ca.now - CLI_PKI_SLACK_S,
		.serial = serial,
		.issuer_key = i->ca.key,
		.issuer = i->ca.cert,
	};

	cli_pki_serial(serial);
	cli_pki_hex(serial, sizeof(serial), i->serial);
	pki_certs_validity(i->ca.cert, 0, &ca_from, &ca_until);
	if (i->ca.now >= ca_until) {
		(void)cli_fail(a, "failed", "the CA's own certificate has ended");
		return false;
	}
	/* A certificate is good only as long as its CA's. */
	i->until = i->ca.now + 86400ll * (a->days ? a->days : CLI_PKI_CERT_DAYS);
	if (i->until > ca_until)
		i->until = ca_until;
	r.until = i->until;
	i->key = pki_key_generate(a->type ? a->type : "ecdsa-p256", &why);
	r.key = i->key;
	if (i->key && pki_issue(&r, &i->der, &why))
		return true;
	(void)cli_fail(a, "failed", "%s", text);
	return false;
}

static bool record(struct issue *i, const struct cli_args *a)
{
	json_t *c = json_pack("{s:s, s:s, s:s, s:I, s:I}", "serial", i->serial, "subject", a->name,
			      "san", a->san ? a->san : "", "from", (json_int_t)i->ca.now, "until",
			      (json_int_t)i->until);

	return c && json_array_append_new(cli_ca_issued(&i->ca), c) == 0 &&
	       cli_ca_save_index(&i->ca);
}

static bool write_files(struct issue *i, const struct cli_args *a)
{
	char key[PKI_KEY_PEM_MAX], *pem = NULL, *chain = NULL;
	size_t size = 0, more = 0;
	const size_t key_size = pki_key_pem(i->key, key);
	bool ok;

	pem = pki_pem("CERTIFICATE", i->der, &size);
	/* The chain below the root: our own, and the CA if it is subordinate. */
	if (pem && !pki_certs_is_root(i->ca.cert, 0)) {
		char *ca = pki_pem("CERTIFICATE", pki_certs_der(i->ca.cert, 0), &more);

		chain = ca ? realloc(pem, size + more + 1) : NULL;
		if (chain) {
			memcpy(chain + size, ca, more + 1);
			pem = chain;
			size += more;
		}
		free(ca);
	}
	ok = pem && key_size > 0 &&
	     cli_pki_write(a, AT_FDCWD, i->key_path, 0600, false, key, key_size);
	bytes_wipe(key, sizeof(key));
	if (ok && !cli_pki_write(a, AT_FDCWD, i->cert_path, 0644, false, pem, size)) {
		(void)unlink(i->key_path);
		ok = false;
	}
	free(pem);
	return ok;
}

int cli_pki_issue(const struct cli_args *a)
{
	struct issue i = {.ca.fd = -1};
	char text[PKI_TEXT_SIZE];
	struct sb s = sb_of(text, sizeof(text));
	int status = CLI_ERROR;

	if (!a->name || !a->out)
		return cli_usage("pki issue wants --name and -o PREFIX");
	if (!cli_ca_open(&i.ca, a, a->words[1], true))
		return CLI_ERROR;
	if (asprintf(&i.key_path, "%s.key", a->out) < 0 ||
	    asprintf(&i.cert_path, "%s.crt", a->out) < 0 || !make(&i, a))
		goto out;
	/* A certificate that is not recorded could not be revoked by its number. */
	if (!write_files(&i, a))
		goto out;
	if (!record(&i, a)) {
		(void)unlink(i.key_path);
		(void)unlink(i.cert_path);
		goto out;
	}
	status = CLI_OK;
	pki_time_text(i.until, &s);
	if (a->json) {
		cli_print_json(json_pack("{s:i, s:s, s:s, s:s, s:s, s:I}", "version", 1, "serial",
					 i.serial, "subject", a->name, "certificate", i.cert_path,
					 "key", i.key_path, "until", (json_int_t)i.until));
		goto out;
	}
	printf("%s is the certificate %s until %s\n%s is its private key\n", i.cert_path, i.serial,
	       text, i.key_path);
	if (!a->san)
		printf("it names its subject only: the gateway's identity must be that name; "
		       "use --san for others\n");
out:
	issue_free(&i);
	return status;
}

/* ------------------------------------------------------------------- revoke */

/* The serial number that a word means: itself, or that of a certificate's file. "" after cli_fail(). */
static bool serial_of(struct cli_ca *ca, const char *word, char hex[41], json_t **c)
{
	char text[PKI_TEXT_SIZE];
	struct sb why = sb_of(text, sizeof(text));
	uint8_t serial[20];
	struct pki_certs *certs;
	struct stat st;
	size_t n, size;
	char *data;

	if (stat(word, &st) != 0) {
		n = cli_pki_parse_hex(word, serial, sizeof(serial));
		cli_pki_hex(serial, n, hex);
		*c = n ? cli_ca_find(ca, hex) : NULL;
		if (!*c)
			(void)cli_fail(ca->args, "failed",
				       "%s is neither a file nor the serial number of a "
				       "certificate of this CA",
				       word);
		return *c != NULL;
	}
	data = cli_pki_read(ca->args, AT_FDCWD, word, PKI_FILE_MAX, &size);
	if (!data)
		return false;
	certs = pki_certs_parse((uint8_t *)data, size, &why);
	free(data);
	if (!certs) {
		(void)cli_fail(ca->args, "failed", "%s %s", word, text);
		return false;
	}
	n = pki_serial(certs, serial, sizeof(serial));
	cli_pki_hex(serial, n, hex);
	*c = cli_ca_find(ca, hex);
	/* One that was made when the index could not be written can be revoked too. */
	if (n > 0 && pki_issued_by(certs, ca->cert)) {
		if (!*c) {
			int64_t from, until;
			char name[PKI_TEXT_SIZE];
			struct sb subject = sb_of(name, sizeof(name));

			pki_certs_subject(certs, 0, &subject);
			pki_certs_validity(certs, 0, &from, &until);
			*c = json_pack("{s:s, s:s, s:s, s:I, s:I}", "serial", hex, "subject", name,
				       "san", "", "from", (json_int_t)from, "until",
				       (json_int_t)until);
			if (*c && json_array_append_new(cli_ca_issued(ca), *c) != 0)
				*c = NULL;
		}
	} else {
		(void)cli_fail(ca->args, "failed", "%s is no certificate of this CA", word);
		*c = NULL;
	}
	pki_certs_free(certs);
	return *c != NULL;
}

int cli_pki_revoke(const struct cli_args *a)
{
	const char *reason = a->reason ? a->reason : "unspecified";
	struct cli_ca ca;
	char hex[41];
	json_t *c;
	bool ok;

	if (pki_reason_parse(reason) == -2)
		return cli_usage("there is no reason '%s': %s", reason, PKI_REASONS);
	if (!cli_ca_open(&ca, a, a->words[1], true))
		return CLI_ERROR;
	ok = serial_of(&ca, a->words[2], hex, &c);
	if (ok && json_object_get(c, "revoked")) {
		ok = false;
		(void)cli_fail(a, "failed", "%s is revoked already", hex);
	}
	if (ok)
		ok = json_object_set_new(c, "revoked", json_integer(ca.now)) == 0 &&
		     json_object_set_new(c, "reason", json_string(reason)) == 0 &&
		     cli_ca_save_crl(&ca, a->days ? a->days : CLI_PKI_CRL_DAYS);
	cli_ca_close(&ca);
	if (!ok)
		return CLI_ERROR;
	if (a->json)
		cli_print_json(json_pack("{s:i, s:s, s:s}", "version", 1, "serial", hex, "reason",
					 reason));
	else
		printf("%s is revoked: give %s/crl.pem to every peer\n", hex, a->words[1]);
	return CLI_OK;
}

int cli_pki_crl(const struct cli_args *a)
{
	const unsigned days = a->days ? a->days : CLI_PKI_CRL_DAYS;
	char text[PKI_TEXT_SIZE];
	struct sb s = sb_of(text, sizeof(text));
	struct cli_ca ca;
	int64_t until;
	bool ok;

	if (!cli_ca_open(&ca, a, a->words[1], true))
		return CLI_ERROR;
	until = ca.now + 86400ll * days;
	pki_time_text(until, &s);
	ok = cli_ca_save_crl(&ca, days);
	cli_ca_close(&ca);
	if (!ok)
		return CLI_ERROR;
	if (a->json)
		cli_print_json(json_pack("{s:i, s:I}", "version", 1, "until", (json_int_t)until));
	else
		printf("%s/crl.pem is good until %s: give it to every peer\n", a->words[1], text);
	return CLI_OK;
}

/* --------------------------------------------------------------------- list */

static void print_list(const struct cli_ca *ca)
{
	static const struct cli_column columns[] = {
		{"SERIAL", false, 1}, {"SUBJECT", false, 0}, {"NAMES", false, 2},
		{"UNTIL", false, 3},  {"STATE", false, 0},
	};
	struct cli_table *t = cli_table_new(columns, sizeof(columns) / sizeof(columns[0]));
	const json_t *c;
	size_t i;

	json_array_foreach (cli_ca_issued(ca), i, c) {
		const int64_t until = json_integer_value(json_object_get(c, "until"));
		char text[PKI_TEXT_SIZE], *subject = cli_safe(cli_str(c, "subject"));
		char *san = cli_safe(cli_str(c, "san"));
		struct sb s = sb_of(text, sizeof(text));

		pki_time_text(until, &s);
		cli_cell(t, CLI_PLAIN, cli_str(c, "serial"));
		cli_cell(t, CLI_PLAIN, subject);
		cli_cell(t, CLI_PLAIN, san);
		cli_cell(t, CLI_PLAIN, text);
		if (json_object_get(c, "revoked"))
			cli_cellf(t, CLI_RED, "revoked (%s)", cli_str(c, "reason"));
		else if (until <= ca->now)
			cli_cell(t, CLI_YELLOW, "expired");
		else
			cli_cell(t, CLI_GREEN, "valid");
		free(subject);
		free(san);
	}
	cli_table_print(t, 0);
}

int cli_pki_list(const struct cli_args *a)
{
	struct cli_ca ca;

	if (!cli_ca_open(&ca, a, a->words[1], false))
		return CLI_ERROR;
	if (a->json)
		cli_print_json(
			json_pack("{s:i, s:O}", "version", 1, "certificates", cli_ca_issued(&ca)));
	else
		print_list(&ca);
	cli_ca_close(&ca);
	return CLI_OK;
}
