/* SPDX-License-Identifier: Apache-2.0 */
/* pki: `twinbore pki`: which of its commands, and making the CA. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "base/secret.h"
#include "cli/pki.h"

static const struct command {
	const char *name, *usage;
	unsigned options; /* enum cli_option */
	size_t words;     /* with its own name */
	int (*run)(const struct cli_args *a);
} commands[] = {
	{"init", "DIR [--name DN] [--type TYPE] [--days N]",
	 CLI_OPT_NAME | CLI_OPT_TYPE | CLI_OPT_DAYS, 2, cli_pki_init},
	{"issue", "DIR --name DN --san NAME,... -o PREFIX [--type TYPE] [--days N]",
	 CLI_OPT_NAME | CLI_OPT_TYPE | CLI_OPT_DAYS | CLI_OPT_SAN | CLI_OPT_OUT, 2, cli_pki_issue},
	{"revoke", "DIR CERTIFICATE|SERIAL [--reason REASON] [--days N]",
	 CLI_OPT_REASON | CLI_OPT_DAYS, 3, cli_pki_revoke},
	{"crl", "DIR [--days N]", CLI_OPT_DAYS, 2, cli_pki_crl},
	{"list", "DIR", 0, 2, cli_pki_list},
};
#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

int cli_pki(const struct cli_args *a)
{
	for (size_t i = 0; i < N_COMMANDS; i++) {
		const struct command *c = &commands[i];

		if (strcmp(c->name, a->words[0]) != 0)
			continue;
		if (a->n_words != c->words || (a->given & ~c->options))
			return cli_usage("usage: twinbore pki %s %s", c->name, c->usage);
		if (!secret_init())
			return cli_fail(a, "failed", "libsodium cannot start");
		(void)process_harden_memory();
		/* Whatever the caller's is: nothing here is for everybody to write. */
		(void)umask(022);
		return c->run(a);
	}
	return cli_usage("'pki %s' is not known; init, issue, revoke, crl and list are",
			 a->words[0]);
}

/* ------------------------------------------------------------------ helpers */

void cli_pki_serial(uint8_t out[PKI_SERIAL_SIZE])
{
	random_bytes_fill(out, PKI_SERIAL_SIZE);
	/* Positive and of full length (RFC 5280 4.1.2.2). */
	out[0] = (uint8_t)((out[0] & 0x3f) | 0x40);
}

void cli_pki_hex(const uint8_t *data, size_t size, char *out)
{
	struct sb s = sb_of(out, 2 * size + 1);

	sb_hex(&s, data, size);
}

static int digit(char c)
{
	const char *digits = "0123456789abcdef", *p;

	c = (char)(c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c);
	p = c ? strchr(digits, c) : NULL;
	return p ? (int)(p - digits) : -1;
}

size_t cli_pki_parse_hex(const char *text, uint8_t *out, size_t size)
{
	size_t n = 0;

	while (*text) {
		if (n == size || digit(text[0]) < 0 || digit(text[1]) < 0)
			return 0;
		out[n++] = (uint8_t)(digit(text[0]) << 4 | digit(text[1]));
		text += 2;
		if (*text == ':')
			text++;
	}
	return n;
}

/* --------------------------------------------------------------------- init */

static bool make_dir(const struct cli_args *a, const char *dir)
{
	if (mkdir(dir, 0700) == 0 || errno == EEXIST)
		return true;
	(void)cli_fail(a, "failed", "cannot make %s: %s", dir, strerror(errno));
	return false;
}

static bool write_ca(struct cli_ca *ca, struct pki_span der)
{
	char *pem, key[PKI_KEY_PEM_MAX];
	const size_t key_size = pki_key_pem(ca->key, key);
	size_t size = 0;
	bool ok;

	pem = pki_pem("CERTIFICATE", der, &size);
	ok = pem && key_size > 0 &&
	     cli_pki_write(ca->args, ca->fd, "ca.key", 0600, false, key, key_size);
	bytes_wipe(key, sizeof(key));
	if (ok && !cli_pki_write(ca->args, ca->fd, "ca.crt", 0644, false, pem, size)) {
		/* Half a CA is none. */
		(void)unlinkat(ca->fd, "ca.key", 0);
		ok = false;
	}
	free(pem);
	return ok;
}

static bool make_ca(struct cli_ca *ca, const char *name, int64_t until)
{
	char text[PKI_TEXT_SIZE];
	struct sb why = sb_of(text, sizeof(text));
	uint8_t serial[PKI_SERIAL_SIZE];
	struct pki_span der = {0};
	struct pki_request r = {
		.subject = name,
		.ca = true,
		.from = ca->now - CLI_PKI_SLACK_S,
		.until = until,
		.serial = serial,
	};
	bool ok;

	cli_pki_serial(serial);
	ca->key = pki_key_generate(ca->args->type ? ca->args->type : "ecdsa-p256", &why);
	r.key = ca->key;
	if (!ca->key || !pki_issue(&r, &der, &why)) {
		(void)cli_fail(ca->args, "failed", "%s", text);
		return false;
	}
	ca->cert = pki_certs_parse(der.data, der.size, &why);
	ca->index = json_pack("{s:i, s:i, s:[]}", "version", 1, "crl_number", 0, "certificates");
	ok = ca->cert && ca->index && write_ca(ca, der) && cli_ca_save_crl(ca, CLI_PKI_CRL_DAYS);
	free((void *)der.data);
	return ok;
}

int cli_pki_init(const struct cli_args *a)
{
	const char *dir = a->words[1], *name = a->name ? a->name : "CN=Twinbore CA";
	struct cli_ca ca = {.args = a, .dir = dir, .fd = -1, .now = time(NULL)};
	const int64_t until = ca.now + 86400ll * (a->days ? a->days : CLI_PKI_CA_DAYS);
	char text[PKI_TEXT_SIZE];
	struct sb s = sb_of(text, sizeof(text));
	bool ok;

	if (!make_dir(a, dir))
		return CLI_ERROR;
	ca.fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (ca.fd < 0)
		return cli_fail(a, "failed", "cannot open %s: %s", dir, strerror(errno));
	if (faccessat(ca.fd, "ca.key", F_OK, 0) == 0 || faccessat(ca.fd, "ca.crt", F_OK, 0) == 0) {
		close(ca.fd);
		return cli_fail(a, "failed", "%s is a CA already and is left as it is", dir);
	}
	ok = make_ca(&ca, name, until);
	pki_time_text(until, &s);
	cli_ca_close(&ca);
	if (!ok)
		return CLI_ERROR;
	if (a->json)
		cli_print_json(json_pack("{s:i, s:s, s:s, s:I}", "version", 1, "directory", dir,
					 "subject", name, "until", (json_int_t)until));
	else
		printf("%s/ca.crt is the CA's certificate until %s: give it to every peer\n"
		       "%s/ca.key is its private key: keep it away from gateways\n",
		       dir, text, dir);
	return CLI_OK;
}
