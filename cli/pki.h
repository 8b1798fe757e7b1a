/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pki: the folder of a small CA, for `twinbore pki`.
 *
 *   DIR/ca.key      the CA's private key, mode 0600
 *   DIR/ca.crt      its certificate: the peers' trust anchor
 *   DIR/crl.pem     its revocation list
 *   DIR/index.json  what was issued and revoked
 *
 * Every file is written beside and renamed, so that nobody ever reads half of one; a lock on DIR
 * keeps two commands apart.
 */
#ifndef CLI_PKI_H
#define CLI_PKI_H

#include <sys/types.h>
#include "cli/cli.h"
#include "pki/issue.h"

struct cli_ca {
	const struct cli_args *args;
	const char *dir;
	int fd; /* the folder, locked */
	struct pki_key *key;
	struct pki_certs *cert;
	json_t *index;
	int64_t now;
};

/* Opens and locks; false after cli_fail(). `with_key`: the private key too. */
bool cli_ca_open(struct cli_ca *ca, const struct cli_args *a, const char *dir, bool with_key);
void cli_ca_close(struct cli_ca *ca);
/* Writes index.json, or crl.pem anew from the index and index.json. False after cli_fail(). */
bool cli_ca_save_index(struct cli_ca *ca);
bool cli_ca_save_crl(struct cli_ca *ca, unsigned days);
/* index["certificates"] */
json_t *cli_ca_issued(const struct cli_ca *ca);
json_t *cli_ca_find(const struct cli_ca *ca, const char *serial);

/*
 * Writes a file as a whole with the mode given, in the folder `at` (AT_FDCWD: as the path says).
 * Without `replace` a file that is there stays as it is. False after cli_fail().
 */
bool cli_pki_write(const struct cli_args *a, int at, const char *path, mode_t mode, bool replace,
		   const char *data, size_t size);
/* A small file's bytes; the caller wipes and frees. NULL after cli_fail(). */
char *cli_pki_read(const struct cli_args *a, int at, const char *path, size_t max, size_t *size);

void cli_pki_serial(uint8_t out[PKI_SERIAL_SIZE]);
/* Hex digits, ':' between them is fine. Size, or 0. */
size_t cli_pki_parse_hex(const char *text, uint8_t *out, size_t size);
void cli_pki_hex(const uint8_t *data, size_t size, char *out);

int cli_pki_init(const struct cli_args *a);
int cli_pki_issue(const struct cli_args *a);
int cli_pki_revoke(const struct cli_args *a);
int cli_pki_crl(const struct cli_args *a);
int cli_pki_list(const struct cli_args *a);

#define CLI_PKI_CA_DAYS   3650u
#define CLI_PKI_CERT_DAYS 365u
#define CLI_PKI_CRL_DAYS  30u
#define CLI_PKI_SLACK_S   3600 /* what is made now must be good for a clock that is slow */

#endif
