/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keyd_store: what keyd holds of each tunnel.
 *
 * The supervisor delivers every file of every tunnel anew before each configuration. What comes is
 * collected beside what is in force, and takes its place as a whole, tunnel by tunnel, when the
 * configuration names the tunnel: no request ever meets a new key with an old certificate. A tunnel
 * one of whose files is not good keeps what it had.
 */
#ifndef DAEMON_KEYD_STORE_H
#define DAEMON_KEYD_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/secret.h"
#include "ipc/ipc.h"
#include "pki/pki.h"

#define KEYD_MAX_TUNNELS 8192u
#define KEYD_MAX_INDEX   8u /* of one kind: a rotation needs two */
#define KEYD_PROBLEM_MAX 400u
#define KEYD_MAX_CHAINS  4096u /* of peers, remembered: about 3 kB each */

struct keyd_keys {
	struct secret *psk[KEYD_MAX_INDEX];
	struct pki_key *key[KEYD_MAX_INDEX];
	struct pki_certs *cert[KEYD_MAX_INDEX]; /* own chains: of the key of the same index */
	struct pki_certs *cas;                  /* of all files; likewise below */
	struct pki_crls *crls;
	struct pki_ocsps *ocsps;
	struct pki_pub *peer[KEYD_MAX_INDEX];
	struct secret *ppk;
	bool revocation_strict;
	bool sha1;    /* RSA with SHA-1 for peers without RFC 7427 */
	uint64_t set; /* its number: for verdicts that are remembered */
	bool broken;  /* one of its files was not taken: it must not come into force */
};
void keyd_keys_free(struct keyd_keys *k); /* NULL is fine */

struct keyd_tunnel {
	char name[DP_NAME_SIZE];
	struct keyd_keys *active, *pending; /* NULL: nothing */
	bool named;                         /* by the configuration in hand */
	bool trust_untold;                  /* ike does not know its CAs yet */
};

struct keyd_store {
	struct keyd_tunnel **tunnels; /* sorted by name */
	size_t n, size;
	struct pki_cache *verdicts; /* of peers' chains */
	uint64_t n_sets;
};

void keyd_store_fini(struct keyd_store *s);
/* NULL: the tunnel has nothing in force. */
const struct keyd_keys *keyd_store_get(const struct keyd_store *s, const char *tunnel);
/* Where what is delivered for the tunnel goes; NULL when there is no room. */
struct keyd_keys *keyd_store_pending(struct keyd_store *s, const char *tunnel);
/* Called for each problem; the text is a whole sentence. */
typedef void keyd_problem_fn(void *ctx, const char *text);
/*
 * A configuration came, with `n` names (unaligned ipc_index structs): what is pending for them comes
 * into force, and tunnels that are not among them are forgotten.
 */
void keyd_store_commit(struct keyd_store *s, const uint8_t *indexes, size_t n, int64_t now,
		       keyd_problem_fn *problem, void *ctx);

/*
 * Takes one delivered file's bytes. False with a sentence's end in `why` ("holds no certificate");
 * then `k` is broken. `weak` (or NULL) is set to a warning about what was taken.
 */
bool keyd_take(struct keyd_keys *k, const struct ipc_secret *head, const uint8_t *data, size_t size,
	       const char **weak, struct sb *why);
const char *keyd_kind_name(uint32_t kind); /* "PSK", "private key", ... */
/* How large a file of this kind may be. */
size_t keyd_kind_max(uint32_t kind);

#define KEYD_PSK_MIN  8u
#define KEYD_PSK_WEAK 20u /* below: a warning */
#define KEYD_PSK_MAX  128u
#define KEYD_PPK_WEAK 32u /* RFC 8784 6: 256 bits of entropy, to hold against quantum computers */
/*
 * Checks and cuts a PSK file's text: trailing line end removed, printable ASCII without blanks at
 * the ends, KEYD_PSK_MIN to KEYD_PSK_MAX characters. Returns the length, or 0 and what to do.
 */
size_t keyd_psk_check(const uint8_t *text, size_t size, const char **problem);

#endif
