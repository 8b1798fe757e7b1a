/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keyd_auth: the requests that keyd answers, without any I/O: bytes in, bytes out.
 *
 * A request names a tunnel, what its configuration wants (shared key, certificate, raw key) and brings
 * the octets of RFC 7296 2.15. keyd never lends a key, and never tells what AUTH data it would have
 * accepted: a process that asks can sign with a tunnel's key while it runs, and cannot take the key
 * away. Reasons are for our operators; ike tells a peer nothing but AUTHENTICATION_FAILED.
 */
#ifndef DAEMON_KEYD_AUTH_H
#define DAEMON_KEYD_AUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "daemon/keyd_store.h"
#include "ike/crypto.h"
#include "ipc/ipc.h"

#define KEYD_METHOD_PSK    2u    /* RFC 7296 3.8: Shared Key Message Integrity Code */
#define KEYD_OCTETS_MAX    4096u /* first message, nonce and prf output */
#define KEYD_CERTS_MAX     16u   /* CERT payloads of a request */
#define KEYD_TAIL_MAX      20480u
#define KEYD_ANNOUNCED_MAX 1024u /* bytes of what a peer announces (RFC 9593) */

/* What goes back: `head`, then `size` bytes of `tail`. */
struct keyd_reply {
	struct ipc_auth_result head;
	uint8_t tail[KEYD_TAIL_MAX];
	size_t size;
};

/*
 * Answers one AUTH_SIGN, AUTH_VERIFY or PPK_MIX. Total: any bytes give an answer. `now` is in seconds
 * since 1970.
 */
void keyd_answer(const struct keyd_store *s, const struct ike_crypto *crypto, enum ipc_type type,
		 const uint8_t *body, size_t size, int64_t now, struct keyd_reply *reply);

/* pki_sign(), with all that libcrypto makes from the key on the way in its secure heap. */
size_t keyd_sign(const struct pki_key *key, const struct pki_takes *takes, struct pki_span octets,
		 uint8_t *auth, uint32_t *method, struct sb *why);

/*
 * The body of IPC_AUTH_TRUST for a tunnel's `keys` (NULL: it has none): bytes written to `body`, which
 * has room for KEYD_TRUST_MAX.
 */
#define KEYD_TRUST_MAX (sizeof(struct ipc_trust) + PKI_LIST_MAX * PKI_HASH_SIZE)
size_t keyd_trust(const char *tunnel, const struct keyd_keys *keys, uint8_t body[KEYD_TRUST_MAX]);

#endif
