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
	IKE_SESSION_RESUME = 38, /* RFC 5723 */
	IKE_INTERMEDIATE = 43,   /* RFC 9242 */
	IKE_FOLLOWUP_KE = 44,    /* RFC 9370 */
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
	IKE_PL_SKF = 53, /* RFC 7383 */
	IKE_PL_PS = 54,  /* Puzzle Solution, RFC 8019 */
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
	IKE_N_UNACCEPTABLE_ADDRESSES = 40,  /* RFC 4555 */
	IKE_N_UNEXPECTED_NAT_DETECTED = 41, /* RFC 4555 */
	IKE_N_TEMPORARY_FAILURE = 43,
	IKE_N_CHILD_SA_NOT_FOUND = 44,
	IKE_N_STATE_NOT_FOUND = 47, /* RFC 9370 */
	IKE_N_TS_MAX_QUEUE = 48,    /* RFC 9611 */
	IKE_N_ERROR_LAST = 16383,   /* types above this are status */
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
	IKE_N_MOBIKE_SUPPORTED = 16396, /* RFC 4555, up to NO_NATS_ALLOWED */
	IKE_N_ADDITIONAL_IP4_ADDRESS = 16397,
	IKE_N_ADDITIONAL_IP6_ADDRESS = 16398,
	IKE_N_NO_ADDITIONAL_ADDRESSES = 16399,
	IKE_N_UPDATE_SA_ADDRESSES = 16400,
	IKE_N_COOKIE2 = 16401,
	IKE_N_NO_NATS_ALLOWED = 16402,
	IKE_N_AUTH_LIFETIME = 16403,      /* RFC 4478 */
	IKE_N_REDIRECT_SUPPORTED = 16406, /* RFC 5685, up to REDIRECTED_FROM */
	IKE_N_REDIRECT = 16407,
	IKE_N_REDIRECTED_FROM = 16408,
	IKE_N_TICKET_LT_OPAQUE = 16409, /* RFC 5723, up to TICKET_OPAQUE */
	IKE_N_TICKET_REQUEST = 16410,
	IKE_N_TICKET_ACK = 16411,
	IKE_N_TICKET_NACK = 16412,
	IKE_N_TICKET_OPAQUE = 16413,
	IKE_N_CHILDLESS_IKEV2_SUPPORTED = 16418,       /* RFC 6023 */
	IKE_N_QUICK_CRASH_DETECTION = 16419,           /* RFC 6290 */
	IKE_N_IKEV2_MESSAGE_ID_SYNC_SUPPORTED = 16420, /* RFC 6311, up to the next three */
	IKE_N_IPSEC_REPLAY_COUNTER_SYNC_SUPPORTED = 16421,
	IKE_N_IKEV2_MESSAGE_ID_SYNC = 16422,
	IKE_N_IPSEC_REPLAY_COUNTER_SYNC = 16423,
	IKE_N_IKEV2_FRAGMENTATION_SUPPORTED = 16430, /* RFC 7383 */
	IKE_N_SIGNATURE_HASH_ALGORITHMS = 16431,     /* RFC 7427 */
	IKE_N_PUZZLE = 16434,                        /* RFC 8019 */
	IKE_N_USE_PPK = 16435,                       /* RFC 8784, up to NO_PPK_AUTH */
	IKE_N_PPK_IDENTITY = 16436,
	IKE_N_NO_PPK_AUTH = 16437,
	IKE_N_INTERMEDIATE_EXCHANGE_SUPPORTED = 16438, /* RFC 9242 */
	IKE_N_ADDITIONAL_KEY_EXCHANGE = 16441,         /* RFC 9370 */
	IKE_N_SUPPORTED_AUTH_METHODS = 16443,          /* RFC 9593 */
	IKE_N_SA_RESOURCE_INFO = 16444,                /* RFC 9611 */
	IKE_N_UDP_PORTS_VARY = 52837, /* of our own (RFC 7296 3.10.1: private use): extend.c */
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
