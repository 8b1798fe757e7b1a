/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keyd_auth: the requests that keyd answers, without any I/O: bytes in, bytes out.
 *
 * A request names a tunnel and brings the octets of RFC 7296 2.15. keyd never lends a key, and
 * never tells what AUTH data it would have accepted: a process that asks can sign with a tunnel's
 * key while it runs, and cannot take the key away.
 */
#ifndef DAEMON_KEYD_AUTH_H
#define DAEMON_KEYD_AUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/secret.h"
#include "ike/crypto.h"
#include "ipc/ipc.h"

#define KEYD_PSK_MIN     8u
#define KEYD_PSK_WEAK    20u /* below: a warning */
#define KEYD_PSK_MAX     128u
#define KEYD_METHOD_PSK  2u    /* RFC 7296 3.8: Shared Key Message Integrity Code */
#define KEYD_OCTETS_MAX  4096u /* first message, nonce and prf output */
#define KEYD_MAX_SECRETS 8192u

struct keyd_secret {
	char tunnel[DP_NAME_SIZE];
	struct secret *psk;
	bool stale; /* not named by the latest configuration */
};

struct keyd_store {
	struct keyd_secret *secrets; /* in no order; looked up by name */
	size_t n, size;
};

void keyd_store_fini(struct keyd_store *s);
/* Takes `psk` over in place of an earlier one. False when there is no room. */
bool keyd_store_put(struct keyd_store *s, const char *tunnel, struct secret *psk);
const struct secret *keyd_store_get(const struct keyd_store *s, const char *tunnel);
/* Forgets every tunnel that is not among `n` names of `indexes` (unaligned ipc_index structs). */
void keyd_store_keep(struct keyd_store *s, const uint8_t *indexes, size_t n);

/*
 * Checks and cuts a PSK file's text: trailing line end removed, printable ASCII without blanks at
 * the ends, KEYD_PSK_MIN to KEYD_PSK_MAX characters. Returns the length, or 0 and what to do.
 */
size_t keyd_psk_check(const uint8_t *text, size_t size, const char **problem);

/*
 * Answers one AUTH_SIGN (`verify` false) or AUTH_VERIFY. Total: any bytes give an answer. `auth`
 * holds 64 bytes, of which result->auth_size are set when a signature was made.
 */
void keyd_answer(const struct keyd_store *s, const struct ike_crypto *crypto, bool verify,
		 const uint8_t *body, size_t size, struct ipc_auth_result *result,
		 uint8_t auth[IKE_PRF_MAX]);

#endif
