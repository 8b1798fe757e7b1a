/* SPDX-License-Identifier: Apache-2.0 */
/* wire: numbers of RFC 7296 3 and the errors that parsing and handling lead to. */
#ifndef IKE_WIRE_H
#define IKE_WIRE_H

#include <stdint.h>

#define IKE_HEADER_SIZE  28
#define IKE_SPI_SIZE     8
#define IKE_ESP_SPI_SIZE 4
#define IKE_PORT         500
#define IKE_PORT_NATT    4500

enum ike_exchange {
	IKE_SA_INIT = 34,
	IKE_AUTH = 35,
	IKE_CREATE_CHILD_SA = 36,
	IKE_INFORMATIONAL = 37,
};

enum ike_header_flags {
	IKE_FLAG_INITIATOR = 0x08,
	IKE_FLAG_VERSION = 0x10,
	IKE_FLAG_RESPONSE = 0x20,
};

enum ike_payload_type {
	IKE_PL_NONE = 0,
	IKE_PL_SA = 33,
	IKE_PL_KE = 34,
	IKE_PL_IDI = 35,
	IKE_PL_IDR = 36,
	IKE_PL_CERT = 37,
	IKE_PL_CERTREQ = 38,
	IKE_PL_AUTH = 39,
	IKE_PL_NONCE = 40,
	IKE_PL_NOTIFY = 41,
	IKE_PL_DELETE = 42,
	IKE_PL_VENDOR = 43,
	IKE_PL_TSI = 44,
	IKE_PL_TSR = 45,
	IKE_PL_SK = 46,
	IKE_PL_CP = 47,
	IKE_PL_EAP = 48,
	IKE_PL_SKF = 53,
};

enum ike_protocol {
	IKE_PROTO_NONE = 0,
	IKE_PROTO_IKE = 1,
	IKE_PROTO_AH = 2,
	IKE_PROTO_ESP = 3,
};

enum ike_notify {
	IKE_N_UNSUPPORTED_CRITICAL_PAYLOAD = 1,
	IKE_N_INVALID_IKE_SPI = 4,
	IKE_N_INVALID_MAJOR_VERSION = 5,
	IKE_N_INVALID_SYNTAX = 7,
	IKE_N_INVALID_MESSAGE_ID = 9,
	IKE_N_INVALID_SPI = 11,
	IKE_N_NO_PROPOSAL_CHOSEN = 14,
	IKE_N_INVALID_KE_PAYLOAD = 17,
	IKE_N_AUTHENTICATION_FAILED = 24,
	IKE_N_SINGLE_PAIR_REQUIRED = 34,
	IKE_N_NO_ADDITIONAL_SAS = 35,
	IKE_N_INTERNAL_ADDRESS_FAILURE = 36,
	IKE_N_FAILED_CP_REQUIRED = 37,
	IKE_N_TS_UNACCEPTABLE = 38,
	IKE_N_INVALID_SELECTORS = 39,
	IKE_N_TEMPORARY_FAILURE = 43,
	IKE_N_CHILD_SA_NOT_FOUND = 44,
	IKE_N_ERROR_LAST = 16383, /* types above this are status */
	IKE_N_INITIAL_CONTACT = 16384,
	IKE_N_SET_WINDOW_SIZE = 16385,
	IKE_N_ADDITIONAL_TS_POSSIBLE = 16386,
	IKE_N_NAT_DETECTION_SOURCE_IP = 16388,
	IKE_N_NAT_DETECTION_DESTINATION_IP = 16389,
	IKE_N_COOKIE = 16390,
	IKE_N_USE_TRANSPORT_MODE = 16391,
	IKE_N_REKEY_SA = 16393,
	IKE_N_ESP_TFC_PADDING_NOT_SUPPORTED = 16394,
	IKE_N_NON_FIRST_FRAGMENTS_ALSO = 16395,
};

/* Why a message or payload was refused. The table in err.c gives text, counter and disposition. */
enum ike_err {
	IKE_OK = 0,
	IKE_ERR_TRUNCATED, /* shorter than a field promises */
	IKE_ERR_LENGTH,    /* the header's length is not the datagram's */
	IKE_ERR_VERSION,   /* major version above 2 */
	IKE_ERR_IKEV1,     /* major version 1, or 0: drop, an answer would be in another protocol */
	IKE_ERR_EXCHANGE,  /* exchange type unknown */
	IKE_ERR_CRITICAL,  /* unknown payload with the critical bit */
	IKE_ERR_DUPLICATE, /* a payload that may stand only once stands twice */
	IKE_ERR_SYNTAX,    /* a payload breaks its own format */
	IKE_ERR_MISSING,   /* a required payload is absent */
	IKE_ERR_ICV,       /* integrity check failed */
	IKE_ERR_PADDING,   /* pad length beyond the plaintext */
	IKE_ERR_NO_PROPOSAL,
	IKE_ERR_KE,    /* public value refused */
	IKE_ERR_NONCE, /* nonce length outside 16..256 or below half the prf key */
	IKE_ERR_TS,
	IKE_ERR_AUTH,
	IKE_ERR_RESOURCES,
	IKE_ERR_CRYPTO, /* a primitive failed: local fault */
	IKE_ERR_END,
};

const char *ike_err_text(enum ike_err e);

/* What an error costs, once the message is authentic. Before that every error is a silent drop. */
enum ike_disposition {
	IKE_DISP_NONE,
	IKE_DISP_DROP,             /* count and forget */
	IKE_DISP_NOTIFY,           /* refuse the request with `notify`; the IKE SA stands */
	IKE_DISP_NOTIFY_AND_CLOSE, /* refuse with `notify`; the IKE SA goes (RFC 7296 2.21) */
	IKE_DISP_LOCAL,            /* our own fault */
};

struct ike_err_desc {
	const char *name; /* stable, for machines: "icv" */
	const char *text; /* for people */
	enum ike_disposition disposition;
	uint16_t notify; /* enum ike_notify, 0 = none */
};
const struct ike_err_desc *ike_err_desc(enum ike_err e); /* never NULL */

/* Names as RFC 7296 writes them; "?" for what it does not name. */
const char *ike_exchange_name(uint8_t exchange);
const char *ike_payload_name(uint8_t type);

#endif
