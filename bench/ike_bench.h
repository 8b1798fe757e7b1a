/* SPDX-License-Identifier: Apache-2.0 */
/* ike_bench: the parts of the benchmark. See ike_bench.c for the whole. */
#ifndef BENCH_IKE_BENCH_H
#define BENCH_IKE_BENCH_H

#include "ike/ike.h"
#include "pki/pki.h"

#define BENCH_LOAD    32 /* establishments under way at a time */
#define BENCH_N_MAX   20000
#define BENCH_N_OF(a) (sizeof(a) / sizeof((a)[0]))

struct mode {
	const char *name;
	struct ike_suite ike, esp;
	bool again;        /* the chains are known from before, as keyd remembers them */
	bool certificates; /* ECDSA P-256 under a CA with the same; else a shared key */
};

/* What the key process or the dataplane says to a request. */
struct answer {
	enum ike_event_type type;
	uint64_t request;
	bool ok;
	uint8_t auth[PKI_SIG_MAX];
	size_t auth_size;
	uint8_t method;
	struct ike_cert cert; /* size 0: none */
};

/* What the key process of one side holds. */
struct identity {
	struct pki_key *key;
	struct pki_certs *cert, *cas;
	struct pki_cache *verdicts; /* NULL: nothing is remembered */
};

/* One gateway, or all of the sites. */
struct end {
	struct ike *ike;
	struct ike_crypto crypto;
	struct identity own;
	struct answer answers[64];
	size_t n_answers;
	struct ike_out out;
	struct end *other; /* null transport */
	int sock;          /* over sockets: connected to the other end; else -1 */
	uint64_t ns;       /* spent in steps and in the key process */
	uint32_t n_up;
	bool initiator;
	bool failed;
};

struct result {
	double wall_s, initiator_us, responder_us; /* us: of one establishment */
	double bytes; /* of one established pair, at the hub; 0 = not measured */
	uint32_t n;
};

/* ike_bench_id.c: what is done with keys and certificates. */
/* A CA and a certificate for each side. Before the sites' process is made: it has the same CA. */
void bench_identities_make(void);
const struct identity *bench_identity(bool site);
void bench_sign(const struct end *e, const struct ike_action *act, struct answer *a);
void bench_verify(const struct end *e, const struct ike_action *act, struct answer *a);

/* ike_bench_end.c: one core and what it asks for. */
struct mono bench_now(void);
/* `n` tunnels; ends the process if they do not fit into its memory. */
void bench_end_new(struct end *e, const struct mode *m, uint32_t n, bool initiator);
/* One event with all that follows from it, charged to `e`. */
void bench_step(struct end *e, const struct ike_event *ev);
void bench_deliver(struct end *e, const struct ip_endpoint *local, const struct ip_endpoint *remote,
		   const uint8_t *data, size_t size);
/* The sites' end: keeps BENCH_LOAD of its `n` tunnels under way; `started` counts them. */
void bench_initiate(struct end *e, uint32_t n, uint32_t *started);

/* ike_bench_null.c, ike_bench_sockets.c: the ways from one end to the other. */
void bench_null_send(const struct end *e, const struct ike_action *a);
struct result bench_null_run(const struct mode *m, uint32_t n);
void bench_sockets_send(const struct end *e, const struct ike_action *a);
struct result bench_sockets_run(const struct mode *m, uint32_t n);

#endif
