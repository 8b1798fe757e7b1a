/* SPDX-License-Identifier: Apache-2.0 */
/*
 * msg: the IKE header and the chain of payloads (RFC 7296 3.1, 3.2) as total functions from bytes
 * to a struct of borrowed spans: no allocation, no SA, no logging.
 *
 * The walker knows the generic rules: unknown critical payloads refuse the message (2.5), unknown
 * others are skipped, critical bits on known payloads and reserved bits are ignored, payloads come
 * in any order, those that may stand once may not stand twice. Payload bodies are parsed in the
 * same pass, so that a struct ike_msg that parsed holds only well-formed payloads.
 */
#ifndef IKE_MSG_H
#define IKE_MSG_H

#include <stdbool.h>
#include "base/rd.h"
#include "base/wr.h"
#include "ike/algs.h"
#include "ike/ike.h"
#include "ike/wire.h"

struct ike_header {
	uint64_t spi_i, spi_r;
	uint8_t next_payload;
	uint8_t version; /* major << 4 | minor */
	uint8_t exchange;
	uint8_t flags;
	uint32_t message_id;
	uint32_t length;
};

/* Parses and checks header only: length against the datagram, version, exchange. */
enum ike_err ike_header_parse(const uint8_t *data, size_t size, struct ike_header *out);
void ike_header_build(struct wr *w,
		      const struct ike_header *h); /* length is patched by ike_build_close */

/* Proposal and transforms (3.3). Counts are bounded; what exceeds them is a syntax error. */
#define IKE_WIRE_MAX_PROPOSALS  32
#define IKE_WIRE_MAX_TRANSFORMS 64

struct ike_transform {
	uint8_t type; /* enum ike_transform_type; unknown types are kept */
	uint16_t id;
	uint16_t key_bits;      /* Key Length attribute, 0 = absent */
	bool unknown_attribute; /* carries an attribute that we do not know: not selectable */
};

struct ike_proposal {
	uint8_t number;
	uint8_t protocol;
	uint8_t spi_size;
	const uint8_t *spi;
	uint8_t n_transforms;
	struct ike_transform transforms[IKE_WIRE_MAX_TRANSFORMS];
};

struct ike_sa_payload {
	size_t n_proposals;
	struct ike_proposal proposals[IKE_WIRE_MAX_PROPOSALS];
};

struct ike_ke_payload {
	uint16_t dh;
	struct rd data;
};

struct ike_id_payload {
	uint8_t type;
	struct rd data;
	struct rd body; /* the payload's body after the generic header, as AUTH covers it (2.15) */
};

struct ike_auth_payload {
	uint8_t method;
	struct rd data;
};

struct ike_notify_payload {
	uint8_t protocol;
	uint8_t spi_size;
	const uint8_t *spi;
	uint16_t type;
	struct rd data;
};

struct ike_delete_payload {
	uint8_t protocol;
	uint8_t spi_size;
	uint16_t n_spis;
	const uint8_t *spis;
};

#define IKE_WIRE_MAX_TS 16

struct ike_ts_payload {
	size_t n;
	size_t n_skipped; /* selectors of types that we do not know, and those beyond IKE_WIRE_MAX_TS */
	struct ike_ts ts[IKE_WIRE_MAX_TS];
};

#define IKE_CA_SIZE          20 /* a SHA-1 hash in CERTREQ */
#define IKE_MSG_MAX_CERTREQS 4
#define IKE_MSG_MAX_NOTIFIES 32
#define IKE_MSG_MAX_DELETES  8

/* Bits of ike_msg.present. */
enum ike_has {
	IKE_HAS_SA = 1 << 0,
	IKE_HAS_KE = 1 << 1,
	IKE_HAS_IDI = 1 << 2,
	IKE_HAS_IDR = 1 << 3,
	IKE_HAS_AUTH = 1 << 4,
	IKE_HAS_NONCE = 1 << 5,
	IKE_HAS_TSI = 1 << 6,
	IKE_HAS_TSR = 1 << 7,
	IKE_HAS_SK = 1 << 8,
	IKE_HAS_CP = 1 << 9,
	IKE_HAS_EAP = 1 << 10,
	IKE_HAS_CERT = 1 << 11,
	IKE_HAS_CERTREQ = 1 << 12,
	IKE_HAS_VENDOR = 1 << 13,
	IKE_HAS_SKF = 1 << 14,
	IKE_HAS_PS = 1 << 15,
};

struct ike_msg {
	struct ike_header h;
	uint32_t present; /* enum ike_has */
	struct ike_sa_payload sa;
	struct ike_ke_payload ke;
	struct ike_id_payload idi, idr;
	struct ike_auth_payload auth;
	struct rd nonce;
	struct rd ps; /* of a Puzzle Solution: all keys */
	struct ike_ts_payload tsi, tsr;
	size_t n_certs;
	struct ike_cert certs[IKE_MAX_CERTS]; /* in their order */
	size_t n_certreqs;
	struct rd certreqs[IKE_MSG_MAX_CERTREQS]; /* of encoding X.509: hashes */
	bool wants_raw_key; /* a CERTREQ with encoding Raw Public Key (RFC 7670) */
	size_t n_notifies;
	struct ike_notify_payload notifies[IKE_MSG_MAX_NOTIFIES];
	size_t n_deletes;
	struct ike_delete_payload deletes[IKE_MSG_MAX_DELETES];
	/* SK or SKF: always the last payload of the outer chain */
	size_t sk_offset;               /* of its generic header within the datagram */
	uint8_t sk_next_payload;        /* type of the first inner payload */
	struct rd inner;                /* the decrypted chain, as long as the caller has it */
	uint16_t fragment, n_fragments; /* SKF: 1 <= fragment <= n_fragments (RFC 7383 2.5) */
	uint8_t critical_type;          /* with IKE_ERR_CRITICAL: the offending type */
};

/* The outer chain of a whole datagram whose header was parsed. */
enum ike_err ike_msg_parse(const uint8_t *data, size_t size, struct ike_msg *out);
/* The decrypted chain inside SK; fills the same struct (header and SK fields stay). */
enum ike_err ike_msg_parse_inner(uint8_t first, struct rd inner, struct ike_msg *msg);

const struct ike_notify_payload *ike_msg_notify(const struct ike_msg *m,
						uint16_t type); /* first, or NULL */
/* The hashes of all CERTREQ payloads, as many as fit; returns how many. */
size_t ike_msg_cas(const struct ike_msg *m, uint8_t out[IKE_MAX_CAS * IKE_CA_SIZE]);
/* The first error notify (type <= IKE_N_ERROR_LAST), or NULL. */
const struct ike_notify_payload *ike_msg_error(const struct ike_msg *m);

/*
 * Building: open, add payloads, close. The builder back-patches next-payload fields and lengths;
 * one sticky overflow flag is checked by ike_build_close(), which returns the message's size or 0.
 */
struct ike_builder {
	struct wr w;
	size_t next_at; /* offset of the next-payload byte to patch */
	uint8_t first;  /* type of the first payload, IKE_PL_NONE while there is none */
};

void ike_build_open(struct ike_builder *b, void *buf, size_t size, const struct ike_header *h);
/* For the plaintext inside SK: payloads without a header. The first type is b->first afterwards. */
void ike_build_open_inner(struct ike_builder *b, void *buf, size_t size);
size_t ike_build_close(struct ike_builder *b); /* patches the header's length */
/* Size of the inner chain and the type of its first payload; 0 and IKE_PL_NONE when empty. */
bool ike_build_close_inner(struct ike_builder *b, size_t *size, uint8_t *first);

/*
 * SA that offers every combination of `algs`, in as few proposals as say so. `skip_ke` leaves key
 * exchanges out (a CHILD_SA in IKE_AUTH); otherwise `group`, if it is in the list of DH, goes first.
 */
void ike_build_sa(struct ike_builder *b, uint8_t protocol, const uint8_t *spi, size_t spi_size,
		  const struct ike_algs *algs, bool skip_ke, uint16_t group);
/* SA with the one accepted proposal, numbered as it was in the offer. */
void ike_build_sa_chosen(struct ike_builder *b, uint8_t number, uint8_t protocol,
			 const uint8_t *spi, size_t spi_size, const struct ike_suite *suite);
void ike_build_ke(struct ike_builder *b, uint16_t dh, const uint8_t *data, size_t size);
void ike_build_nonce(struct ike_builder *b, const uint8_t *nonce, size_t size);
void ike_build_id(struct ike_builder *b, uint8_t payload_type, const struct ike_id *id);
void ike_build_auth(struct ike_builder *b, uint8_t method, const uint8_t *data, size_t size);
void ike_build_notify(struct ike_builder *b, uint8_t protocol, const uint8_t *spi, size_t spi_size,
		      uint16_t type, const void *data, size_t size);
void ike_build_delete(struct ike_builder *b, uint8_t protocol, size_t spi_size, const uint8_t *spis,
		      size_t n_spis);
void ike_build_ts(struct ike_builder *b, uint8_t payload_type, const struct ike_ts *ts, size_t n);
void ike_build_cert(struct ike_builder *b, const struct ike_cert *cert);
void ike_build_certreq(struct ike_builder *b, uint8_t encoding, const uint8_t *cas, size_t n_cas);
void ike_build_ps(struct ike_builder *b, const uint8_t *keys, size_t size);
void ike_build_vendor(struct ike_builder *b, const void *data, size_t size);

#endif
