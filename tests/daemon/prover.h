/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prover: a keyd that has what proves gateways a and b to each other: keys and certificates below a CA, as the
 * supervisor delivers them, and requests as the ike process makes them.
 */
#ifndef TESTS_DAEMON_PROVER_H
#define TESTS_DAEMON_PROVER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/wr.h"
#include "daemon/keyd_auth.h"
#include "ike/wire.h"
#include "tests/pki/maker.h"

#define CERT IPC_AUTH_BY_CERTIFICATE
#define RAW  IPC_AUTH_BY_RAW_KEY

/* a: two keys with a certificate each, an expired one, and one of another CA. */
extern EVP_PKEY *k_a, *k_a2, *k_b;
extern struct made ca, other_ca, a, a_new, a_old, a_other, b;
extern struct keyd_store store;
extern struct keyd_reply reply;
extern char problem[KEYD_PROBLEM_MAX]; /* what was said last */
extern int64_t at;                     /* the time of requests */

struct proof {
	uint32_t method;
	uint8_t auth[PKI_SIG_MAX];
	size_t auth_size;
	uint8_t certs[KEYD_TAIL_MAX];
	size_t certs_size;
	uint32_t n_certs;
};

int prover_setup(void **state);
int prover_teardown(void **state);
int fresh(void **state); /* nothing is delivered yet */

struct made gateway(const char *subject, EVP_PKEY *key, const struct made *issuer, int64_t from,
		    int64_t until, const char *san);
/* Takes `file`. */
bool deliver(const char *tunnel, uint32_t kind, uint32_t index, uint32_t flags, struct bytes file);
void deliver_cert(const char *tunnel, uint32_t index, const struct made *cert,
		  const struct made *chain);
void deliver_ca(const char *tunnel, const struct made *cert, uint32_t flags);
void commit(void);

/* The request that was made last; ask() sends so many bytes of it. */
extern uint8_t body[65536];
/* What the peer announces (RFC 9593), in requests to sign. */
extern uint8_t announced[512];
extern size_t announced_size;
bool ask(enum ipc_type type, size_t size);
bool sign(const char *tunnel, enum ipc_auth_kind kind, uint32_t hashes, const uint8_t *cas,
	  size_t n_cas, struct proof *p);
size_t verify_request(const char *tunnel, enum ipc_auth_kind kind, const struct proof *p,
		      const char *id);
bool verify(const char *tunnel, enum ipc_auth_kind kind, const struct proof *p, const char *id);
/* The certificate that was sent, by its subject. */
void assert_sent(const struct proof *p, const struct made *cert);

#endif
