/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IKEv2 (RFC 7296) as a sans-IO core: (event, now) -> actions.
 *
 * One `struct ike` holds every tunnel of a gateway, in both roles. It never sleeps, reads a clock,
 * touches a socket or draws randomness by itself: the caller brings packets, time and answers in as
 * events, and carries out the actions that come back. Private-key work (AUTH) is an action that a
 * later event answers, so that keys can live in another process; so is every change of the
 * dataplane, because the peer may be told of an inbound SA only when packets on it are accepted.
 *
 * Invariants
 *   - Unauthenticated input changes nothing but counters and bounded half-open state.
 *   - Inbound halves are installed before the peer can use them; the outbound half switches only to
 *     an SA whose inbound half the peer has installed; old halves go last (RFC 7296 2.8).
 *   - A key is never changed in place: a rekey makes a new object.
 *   - Retransmissions are bit-identical (2.1); responses are cached until the next request.
 * Non-goals here: IKEv1, transport mode, AH.
 */
#ifndef IKE_IKE_H
#define IKE_IKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/addr.h"
#include "base/mono.h"
#include "base/trace.h"
#include "ike/algs.h"
#include "ike/crypto.h"

#define IKE_MAX_PROPOSALS   8
#define IKE_MAX_TS          6
#define IKE_MAX_ADDRESSES   8 /* of one end, beside the one in use (RFC 4555) */
#define IKE_QCD_SECRET_SIZE 32
#define IKE_NAME_SIZE       32 /* with NUL */
#define IKE_ID_MAX          255
#define IKE_MAX_CERTS       12    /* CERT payloads in a message: a chain, CRLs, an OCSP response */
#define IKE_MAX_CAS         64    /* trust anchors named in a CERTREQ payload, sent or read */
#define IKE_MESSAGE_MAX     16384 /* bytes of the longest message that we accept or build */
#define IKE_INIT_MAX        3000  /* likewise of IKE_SA_INIT: strangers make us keep them */
#define IKE_TEXT_SIZE       256   /* of an event or a reason, with NUL */
#define IKE_PPK_ID_MAX      64
#define IKE_ANNOUNCED_MAX   1024 /* bytes of what a peer announces (RFC 9593) */
#define IKE_TUNNEL_NONE     UINT32_MAX
#define IKE_MAX_RESOURCES   16         /* children of their own for so many workers (RFC 9611) */
#define IKE_RESOURCE_SPARE  UINT32_MAX /* a child that the peer alone sends by */

enum ike_id_type { /* RFC 7296 3.5 */
		   IKE_ID_NONE = 0,
		   IKE_ID_IPV4_ADDR = 1,
		   IKE_ID_FQDN = 2,
		   IKE_ID_RFC822_ADDR = 3,
		   IKE_ID_IPV6_ADDR = 5,
		   IKE_ID_DER_ASN1_DN = 9,
		   IKE_ID_KEY_ID = 11,
};

struct ike_id {
	uint8_t type; /* enum ike_id_type */
	uint8_t size;
	uint8_t data[IKE_ID_MAX];
};

/* IANA "IKEv2 Authentication Method" */
enum ike_auth_method {
	IKE_AUTH_METHOD_NONE = 0, /* in a request to sign: the key's holder chooses */
	IKE_AUTH_METHOD_RSA = 1,  /* PKCS#1 v1.5 with SHA-1 (RFC 7296): only to verify old peers */
	IKE_AUTH_METHOD_SHARED_KEY = 2,
	IKE_AUTH_METHOD_ECDSA_256 = 9, /* RFC 4754 */
	IKE_AUTH_METHOD_ECDSA_384 = 10,
	IKE_AUTH_METHOD_ECDSA_521 = 11,
	IKE_AUTH_METHOD_DIGITAL_SIGNATURE = 14, /* RFC 7427 */
};

/* IANA "IKEv2 Hash Algorithms" (RFC 7427, RFC 8420) as bits of a mask: 1 << number. */
enum ike_hash_bit {
	IKE_HASH_BIT_SHA1 = 1 << 1,
	IKE_HASH_BIT_SHA2_256 = 1 << 2,
	IKE_HASH_BIT_SHA2_384 = 1 << 3,
	IKE_HASH_BIT_SHA2_512 = 1 << 4,
	IKE_HASH_BIT_IDENTITY = 1 << 5, /* EdDSA */
};

/* IANA "IKEv2 Certificate Encodings" */
enum ike_cert_encoding {
	IKE_CERT_X509_SIGNATURE = 4,
	IKE_CERT_CRL = 7,
	IKE_CERT_HASH_AND_URL = 12,   /* never followed: nothing is fetched */
	IKE_CERT_OCSP = 14,           /* RFC 4806 */
	IKE_CERT_RAW_PUBLIC_KEY = 15, /* RFC 7670: SubjectPublicKeyInfo */
};

/* One CERT payload's content. */
struct ike_cert {
	uint8_t encoding; /* enum ike_cert_encoding */
	const uint8_t *data;
	size_t size;
};

/* An address range with ports and a protocol (RFC 7296 3.13.1). */
struct ike_ts {
	struct ip_addr first, last;
	uint16_t port_first, port_last;
	uint8_t protocol; /* 0 = any */
};

enum ike_dpd_action {
	IKE_DPD_CLEAR,   /* forget the tunnel; wait for the peer or for `up` */
	IKE_DPD_NONE,    /* report it, keep the SAs until they expire */
	IKE_DPD_RESTART, /* initiate again, for ever */
};

enum ike_startup {
	IKE_STARTUP_ADD,   /* the peer initiates */
	IKE_STARTUP_START, /* we initiate, at once and for ever */
};

enum ike_encap {
	IKE_ENCAP_AUTO,  /* UDP encapsulation when a NAT is detected */
	IKE_ENCAP_FORCE, /* always: our NAT_DETECTION_SOURCE_IP is made not to match */
};

/* How one side proves who it is. */
enum ike_auth_kind {
	IKE_AUTH_BY_PSK,
	IKE_AUTH_BY_CERTIFICATE,
	IKE_AUTH_BY_RAW_KEY, /* RFC 7670: a public key that the other side knows */
};

enum ike_ppk_use { /* RFC 8784 */
		   IKE_PPK_NONE,
		   IKE_PPK_PREFER,
		   IKE_PPK_REQUIRE,
};

/* Everything about one tunnel; copied when set. */
struct ike_tunnel_cfg {
	char name[IKE_NAME_SIZE];
	uint32_t tunnel; /* the number that stays with the name */

	struct ip_addr local;  /* our outside address */
	struct ip_addr remote; /* family IP_NONE: any; then we cannot initiate */
	/* Where else we can be reached; the tunnel may move there (RFC 4555). */
	struct ip_addr more_local[IKE_MAX_ADDRESSES];
	size_t n_more_local;
	struct ike_id local_id, remote_id;
	/*
	 * remote_id is a pattern: "*.example.net", "*@example.net", a distinguished name with values
	 * "*", or of type IKE_ID_NONE: anybody whose certificate is good. The first peer that proves
	 * such an identity has the tunnel until its last SA ends.
	 */
	bool remote_id_wildcard;
	enum ike_auth_kind local_auth, remote_auth;
	uint8_t n_psks; /* that the key process has: an initiator goes round when it is refused */
	enum ike_ppk_use ppk;
	uint8_t ppk_id_size;
	uint8_t ppk_id[IKE_PPK_ID_MAX];

	struct ike_algs ike_algs;
	struct ike_algs esp_algs; /* DH: the PFS groups; NONE or nothing: without */

	struct ike_ts local_ts[IKE_MAX_TS], remote_ts[IKE_MAX_TS];
	size_t n_local_ts, n_remote_ts;

	struct mono_span ike_lifetime;   /* hard */
	struct mono_span child_lifetime; /* hard */
	struct mono_span reauth; /* authentication is good for so long (RFC 4478); 0: for ever */
	struct mono_span rekey_margin; /* rekey at lifetime - margin * (1 + rand(0..fuzz)) */
	unsigned rekey_fuzz_percent;
	uint64_t
		child_soft_packets; /* 0 = the core's own default, well inside the sequence space */
	uint64_t child_soft_bytes;  /* 0 = none */

	struct mono_span dpd_interval; /* probe after this long without a sign of life */
	struct mono_span dpd_timeout;  /* dead this long after the last sign of life */
	enum ike_dpd_action dpd_action;
	enum ike_startup startup;
	enum ike_encap encap;
	struct mono_span nat_keepalive; /* RFC 3948 4; 0 = off */
	uint16_t replay_window;
	/*
	 * RFC 7383: protected messages go out in IP datagrams of at most so many bytes; 0: one
	 * message, one datagram.
	 */
	uint16_t fragment_size;
	bool mobike;       /* RFC 4555: addresses may change while the SAs stand */
	bool redirect;     /* RFC 5685: the peer may send us to another gateway */
	bool childless;    /* RFC 6023: IKE_AUTH without a child, where the peer can do that */
	bool resumption;   /* RFC 5723: tickets, asked for and granted */
	bool per_resource; /* RFC 9611: SAs of single workers, where the peer agrees */
	bool ports_vary;   /* ESP in UDP by a source port for each flow, where the peer agrees */
};

struct ike_limits {
	uint32_t max_half_open;        /* IKE SAs that are not authenticated, as responder */
	uint32_t cookie_threshold;     /* half-open SAs from which COOKIE is demanded (2.6) */
	uint32_t max_half_open_source; /* per source /32 or /64 */
	uint32_t max_children;         /* slots, at most 2^20 */
	/*
	 * From so many half-open SAs on, a peer has to solve a puzzle as well (RFC 8019); one that
	 * cannot is still served, slowly.
	 */
	bool puzzles;
	uint32_t puzzle_threshold;
	uint32_t n_resources; /* workers of the dataplane; one needs no SA of its own */
	/* RFC 6290 5.1: outlives this process, so that a peer believes what we say after a restart. */
	bool has_qcd_secret;
	uint8_t qcd_secret[IKE_QCD_SECRET_SIZE];
};

/* ------------------------------------------------------------------ events */

enum ike_event_type {
	IKE_EV_TICK,     /* ike_deadline() has come */
	IKE_EV_PACKET,   /* a UDP datagram, non-ESP marker removed */
	IKE_EV_INITIATE, /* bring the tunnel up */
	IKE_EV_TERMINATE, /* delete its IKE SA, children and all; stays down until INITIATE or the peer */
	IKE_EV_REKEY_CHILD,
	IKE_EV_REKEY_IKE,
	IKE_EV_AUTH_RESULT, /* answers IKE_ACT_AUTH_SIGN, IKE_ACT_AUTH_VERIFY, IKE_ACT_PPK_MIX */
	IKE_EV_RELOADED, /* keys, trust or revocations may have changed: no ticket is good any more */
	IKE_EV_TRUST,    /* the CAs that a tunnel's peer may be certified by: CERTREQ names them */
	IKE_EV_DP_RESULT, /* answers an IKE_ACT_CHILD_* or other action that carries a `request` */
	IKE_EV_CHILD_FIRST_IN, /* the dataplane saw the first authentic packet on an inbound half */
	IKE_EV_CHILD_SOFT,     /* soft limit: rekey */
	IKE_EV_CHILD_HARD,     /* hard limit: the half has stopped */
	IKE_EV_CHILD_MOVED,    /* authentic, fresh ESP from another endpoint (2.23) */
	IKE_EV_TRAFFIC, /* ESP was seen (in) or sent (out) on a tunnel since the last such event */
	IKE_EV_UNKNOWN_ESP,     /* ESP came with an SPI that is nobody's */
	IKE_EV_ADDRESS_CHANGED, /* our outside address of a tunnel is another one from now on */
	IKE_EV_REDIRECT,        /* send a tunnel's peer to another gateway, now and when it comes */
	IKE_EV_DP_RESTARTED,    /* the dataplane lost every SA: children are made anew */
	IKE_EV_DP_INVENTORY,    /* after ike_resume(): what the dataplane has */
};

/* What the dataplane has in one slot. */
struct ike_dp_slot {
	uint32_t slot, tunnel;
	bool in, out;             /* halves that stand */
	uint32_t spi_in, spi_out; /* of those, host byte order */
	bool seen;                /* the inbound half has had an authentic packet */
	bool soft, hard;          /* either half has passed its limit */
};
#define IKE_INVENTORY_MAX 16 /* slots in one event */

struct ike_event {
	enum ike_event_type type;
	struct mono now;
	union {
		struct {
			struct ip_endpoint local, remote;
			const uint8_t *data; /* borrowed until step returns */
			size_t size;
		} packet;
		struct {
			uint32_t tunnel;
		} tunnel; /* INITIATE, TERMINATE, REKEY_* */
		struct {
			uint64_t request;
			bool ok;
			const uint8_t *auth; /* SIGN: the AUTH data, PPK_MIX: the three keys;
					      * borrowed until step returns */
			size_t auth_size;
			uint8_t method;               /* SIGN: what `auth` is made by */
			const struct ike_cert *certs; /* SIGN: to be sent, own first; borrowed */
			size_t n_certs;
			const char *reason; /* not ok: why, for our operators; SIGN and ok: what is
					    odd about it; borrowed, may be NULL */
			uint64_t
				valid_s; /* VERIFY: until the chain's first certificate ends; 0: none */
			uint32_t key; /* VERIFY with a shared key: which of the tunnel's it was */
		} auth;
		struct {
			uint32_t tunnel;
			const uint8_t
				*cas; /* SHA-1 of their public keys, 20 bytes each; borrowed */
			size_t n_cas;
		} trust;
		struct {
			uint64_t request;
			bool ok;
		} dp;
		struct {
			uint32_t slot;
			bool outbound;
			struct ip_endpoint local, remote; /* MOVED only */
		} child;
		struct {
			uint32_t tunnel;
			bool in, out;
		} traffic;
		struct {
			const struct ike_dp_slot *slots; /* borrowed until step returns */
			size_t n;                        /* at most IKE_INVENTORY_MAX */
			bool last; /* there is no more: the core begins to work */
		} inventory;
		struct {
			struct ip_endpoint local, remote;
			uint32_t spi;
		} esp; /* UNKNOWN_ESP */
		struct {
			uint32_t tunnel;
			struct ip_addr addr; /* REDIRECT: family IP_NONE ends it */
		} address;                   /* ADDRESS_CHANGED, REDIRECT */
	};
};

/* ----------------------------------------------------------------- actions */

enum ike_action_type {
	IKE_ACT_SEND, /* send a datagram, maybe a fragment; with the non-ESP marker if `natt` */
	IKE_ACT_KEEPALIVE,   /* send the single byte 0xFF (RFC 3948 2.3) */
	IKE_ACT_AUTH_SIGN,   /* compute AUTH over octets; answer with IKE_EV_AUTH_RESULT */
	IKE_ACT_AUTH_VERIFY, /* check AUTH data; answer likewise */
	/*
	 * Mix the tunnel's PPK into SK_d | SK_pi | SK_pr, which `octets` are, of the prf's size each
	 * (RFC 8784 3); answer likewise, with the three results in the same form.
	 */
	IKE_ACT_PPK_MIX,
	IKE_ACT_CHILD_ADD_IN, /* the next five answer with IKE_EV_DP_RESULT when `request` != 0 */
	IKE_ACT_CHILD_ADD_OUT,
	IKE_ACT_CHILD_SWITCH, /* the tunnel sends by this child from now on */
	IKE_ACT_CHILD_DEL_IN,
	IKE_ACT_CHILD_DEL_OUT,
	IKE_ACT_CHILD_PEER, /* new outer endpoints or encapsulation of an outbound half */
	IKE_ACT_TUNNEL_UP,  /* a usable pair exists: routing may use the tunnel */
	IKE_ACT_TUNNEL_DOWN,
	IKE_ACT_EVENT, /* something worth telling people */
	/*
	 * Keep this record of an IKE SA in place of any earlier one, or forget it. Stands ahead of the
	 * step's other actions: it must be kept before they are carried out, so that what the peer has
	 * seen is never ahead of what is kept. The records of one step belong together.
	 */
	IKE_ACT_SAVE,
};

/* Both halves' parameters; keys are valid until the action array is reset. */
struct ike_child_sa {
	uint32_t slot;
	uint32_t spi_in, spi_out; /* host byte order */
	uint32_t tunnel;
	/* SWITCH: 0: every worker that has none of its own sends by it; n: worker n - 1 does. ADD_IN: 0:
	 * the tunnel's owner decrypts, n: worker n - 1 does. Others: nothing. */
	uint32_t resource;
	struct ike_suite suite;
	bool udp_encap;
	bool ports_vary; /* ADD_IN, ADD_OUT: each flow has a source port; only with udp_encap */
	uint16_t replay_window;
	struct ip_endpoint local, remote;
	uint8_t key[36]; /* of the half in question: encryption key and salt */
	uint8_t integ_key[64];
	uint64_t soft_packets, hard_packets, soft_bytes, hard_bytes;
	struct ike_ts local_ts[IKE_MAX_TS], remote_ts[IKE_MAX_TS];
	size_t n_local_ts, n_remote_ts;
};

/* What happened, for IKE_ACT_EVENT: names are stable, they are the events' names in the CLI. */
enum ike_happening {
	IKE_HAP_IKE_UP,
	IKE_HAP_IKE_DOWN,
	IKE_HAP_IKE_REKEYED,
	IKE_HAP_IKE_REAUTH,
	IKE_HAP_CHILD_UP,
	IKE_HAP_CHILD_REKEYED,
	IKE_HAP_CHILD_DOWN,
	IKE_HAP_DPD_TIMEOUT,
	IKE_HAP_AUTH_FAILED,
	IKE_HAP_AUTH_UNANNOUNCED, /* we have nothing that the peer announces to take (RFC 9593) */
	IKE_HAP_NO_PROPOSAL,
	IKE_HAP_TS_UNACCEPTABLE,
	IKE_HAP_PEER_MOVED,
	IKE_HAP_ADDRESS_CHANGED,
	IKE_HAP_ADDRESS_REFUSED,
	IKE_HAP_PEER_REBOOTED,
	IKE_HAP_REDIRECTED,
	IKE_HAP_REDIRECT_REFUSED,
	IKE_HAP_COOKIES_ON,
	IKE_HAP_COOKIES_OFF,
	IKE_HAP_PUZZLES_ON,
	IKE_HAP_PUZZLES_OFF,
	IKE_HAP_IKEV1_DECLINED,
	IKE_HAP_END,
};
const char *ike_happening_name(enum ike_happening h); /* "ike-up", ... */

struct ike_action {
	enum ike_action_type type;
	uint64_t request; /* 0: no answer wanted */
	uint32_t tunnel;  /* IKE_TUNNEL_NONE where none is known */
	union {
		struct {
			struct ip_endpoint local, remote;
			bool natt;
			const uint8_t *data; /* borrowed until the next step */
			size_t size;
		} send;
		struct {
			char name[IKE_NAME_SIZE]; /* the tunnel's */
			enum ike_auth_kind kind;  /* what the tunnel is configured for */
			uint8_t method;           /* enum ike_auth_method */
			uint16_t prf;
			uint32_t key;     /* SIGN: which of the tunnel's shared keys, from 0 */
			uint16_t hashes;  /* SIGN: what the peer verifies, enum ike_hash_bit */
			struct ike_id id; /* VERIFY: the peer's, which its certificate must name */
			const uint8_t *
				cas; /* SIGN: the peer's CERTREQ, SHA-1 of CA keys, 20 bytes each */
			size_t n_cas;
			/* SIGN: SUPPORTED_AUTH_METHODS' content (RFC 9593); borrowed */
			const uint8_t *announced;
			size_t announced_size;
			struct ike_cert certs[IKE_MAX_CERTS]; /* VERIFY: the peer's, as they came */
			size_t n_certs;
			const uint8_t *octets; /* borrowed until the next step; likewise auth */
			size_t octets_size;
			const uint8_t *auth; /* VERIFY */
			size_t auth_size;
		} auth;
		struct ike_child_sa child;
		struct {
			uint64_t spi;        /* ours: what the record is kept by */
			const uint8_t *data; /* NULL: forget; borrowed until the reset; secret */
			size_t size;
			bool last; /* of the step; a step's records are kept all or none */
		} save;
		struct {
			enum ike_happening what;
			char text[IKE_TEXT_SIZE]; /* for people; no secrets */
		} event;
	};
};

/*
 * What a step produced. The caller owns it, hands it to every step and carries the actions out in
 * order. Bounded: a step that would overflow it counts IKE_CNT_ACTION_OVERFLOW and drops the
 * exchange that caused it.
 */
#define IKE_OUT_MAX 320
struct ike_out {
	size_t n;
	struct ike_action actions[IKE_OUT_MAX];
	size_t n_bytes; /* used of `bytes`, which the actions' borrowed spans point into */
	uint8_t bytes[1 << 20];
};
void ike_out_reset(struct ike_out *out); /* wipes keys and records */

/* ---------------------------------------------------------------- counters */

/* X(NAME, "text-name"): every way in which input can be refused, and the traffic counts. */
#define IKE_COUNTERS(X)                                                                            \
	X(RX, "rx-messages")                                                                       \
	X(TX, "tx-messages")                                                                       \
	X(TX_RETRANSMIT, "tx-retransmissions")                                                     \
	X(TX_RESPONSE_REPEAT, "tx-response-repeats")                                               \
	X(RX_TRUNCATED, "rx-truncated")                                                            \
	X(RX_LENGTH, "rx-length-mismatch")                                                         \
	X(RX_VERSION, "rx-version")                                                                \
	X(RX_IKEV1, "rx-ikev1")                                                                    \
	X(RX_EXCHANGE, "rx-exchange-type")                                                         \
	X(RX_PAYLOAD, "rx-payload-malformed")                                                      \
	X(RX_CRITICAL, "rx-unknown-critical-payload")                                              \
	X(RX_ICV, "rx-integrity-failed")                                                           \
	X(RX_FRAGMENT, "rx-fragment-refused")                                                      \
	X(RX_REASSEMBLY_TIMEOUT, "rx-reassembly-timeout")                                          \
	X(RX_UNKNOWN_SPI, "rx-unknown-ike-spi")                                                    \
	X(RX_MESSAGE_ID, "rx-message-id")                                                          \
	X(RX_STATE, "rx-not-in-this-state")                                                        \
	X(RX_SYNTAX, "rx-required-payload-missing")                                                \
	X(RX_NO_PEER, "rx-no-configured-peer")                                                     \
	X(RX_COOKIE, "rx-cookie-bad")                                                              \
	X(RX_HALF_OPEN_LIMIT, "rx-half-open-limit")                                                \
	X(RX_KE, "rx-bad-public-value")                                                            \
	X(RX_NONCE, "rx-bad-nonce")                                                                \
	X(NO_PROPOSAL, "no-proposal-chosen")                                                       \
	X(INVALID_KE, "invalid-ke-payload")                                                        \
	X(AUTH_FAILED, "authentication-failed")                                                    \
	X(TS_UNACCEPTABLE, "ts-unacceptable")                                                      \
	X(TS_MAX_QUEUE, "ts-max-queue")                                                            \
	X(TEMPORARY_FAILURE, "temporary-failure")                                                  \
	X(COOKIE_SENT, "cookie-sent")                                                              \
	X(PUZZLE_SENT, "puzzle-sent")                                                              \
	X(PUZZLE_SOLVED, "puzzle-solved")                                                          \
	X(PUZZLE_TOO_HARD, "puzzle-too-hard")                                                      \
	X(RX_PUZZLE, "rx-puzzle-not-solved")                                                       \
	X(IKE_ESTABLISHED, "ike-sa-established")                                                   \
	X(IKE_REKEYED, "ike-sa-rekeyed")                                                           \
	X(CHILD_ESTABLISHED, "child-sa-established")                                               \
	X(CHILD_REKEYED, "child-sa-rekeyed")                                                       \
	X(DPD_SENT, "dpd-sent")                                                                    \
	X(DPD_TIMEOUT, "dpd-timeout")                                                              \
	X(RX_HINT, "rx-unprotected-hint")                                                          \
	X(RX_QCD_BAD, "rx-qcd-token-bad")                                                          \
	X(QCD_SENT, "qcd-token-sent")                                                              \
	X(QCD_TAKEN, "qcd-token-taken")                                                            \
	X(INVALID_SPI_SENT, "invalid-spi-sent")                                                    \
	X(ADDRESS_UPDATED, "address-updated")                                                      \
	X(ADDRESS_REFUSED, "address-refused")                                                      \
	X(RX_COOKIE2, "rx-cookie2-bad")                                                            \
	X(SYNC_ANSWERED, "message-id-sync-answered")                                               \
	X(SYNC_DONE, "message-id-sync-done")                                                       \
	X(RX_SYNC, "rx-message-id-sync-refused")                                                   \
	X(TICKET_GRANTED, "ticket-granted")                                                        \
	X(TICKET_REFUSED, "ticket-refused-by-peer")                                                \
	X(RX_TICKET, "rx-ticket-refused")                                                          \
	X(RESUMED, "ike-sa-resumed")                                                               \
	X(REDIRECTED, "redirected")                                                                \
	X(REDIRECT_SENT, "redirect-sent-in-init")                                                  \
	X(RX_REDIRECT, "rx-redirect-refused")                                                      \
	X(ACTION_OVERFLOW, "action-overflow")                                                      \
	X(RESOURCES, "out-of-resources")

enum ike_counter {
#define X(name, text) IKE_CNT_##name,
	IKE_COUNTERS(X)
#undef X
		IKE_CNT_END,
};
const char *ike_counter_name(enum ike_counter c);

/* ------------------------------------------------------------------- verbs */

struct ike;

/* `crypto` is copied; `tracer` is borrowed for the life of the core, NULL is fine. NULL: no memory. */
struct ike *ike_new(const struct ike_limits *limits, const struct ike_crypto *crypto,
		    const struct tracer *tracer);
void ike_free(struct ike *ike); /* says nothing to peers; wipes */

/*
 * Creates a tunnel or changes it in place. A change that existing SAs can live with (timers, DPD,
 * later proposals) leaves them alone; one that they cannot (addresses, identities, TS) restarts the
 * tunnel, and only this one. False when out of memory.
 */
bool ike_tunnel_set(struct ike *ike, const struct ike_tunnel_cfg *cfg, struct mono now,
		    struct ike_out *out);
/* Deletes its SAs (telling the peer) and forgets it. */
void ike_tunnel_remove(struct ike *ike, uint32_t tunnel, struct mono now, struct ike_out *out);

/* One event in, actions out (appended to `out`). */
void ike_step(struct ike *ike, const struct ike_event *ev, struct ike_out *out);

/* When IKE_EV_TICK is due; MONO_NEVER if nothing waits. */
struct mono ike_deadline(const struct ike *ike);

/* -------------------------------------------------------------- resumption */

/*
 * A process that takes up what another one left, after a restart or a takeover:
 *
 *	ike_resume(), before any tunnel is set;
 *	ike_tunnel_set() for each tunnel of the configuration;
 *	ike_load() for the latest record of each IKE SA, in any order;
 *	IKE_EV_DP_INVENTORY, as often as it takes, with what the dataplane has; none if it has nothing.
 *
 * Until the event that says `last`, nothing else has any effect, and ike_deadline() is never. Then
 * the core takes out of the dataplane what no record knows, makes anew what the dataplane has lost,
 * answers or repeats what was on its way, and goes on. Handshakes that were not finished start anew.
 *
 * A record holds the SA's keys: whoever keeps it keeps it in memory that is locked, stays out of
 * core dumps, and is wiped (struct secret), and encrypts it on its way to anywhere else.
 */
bool ike_resume(struct ike *ike); /* false: out of memory, or tunnels exist */

/*
 * After ike_resume(), before the first ike_load(): the records may be older than what their SAs have
 * done since, as those of a machine that failed. Each IKE SA then begins by making its message ids
 * equal with the peer's (RFC 6311); until the peer has answered, it takes and sends nothing else.
 * Where the peer cannot do that, the IKE SA ends here, and the tunnel begins anew.
 *
 * This is not about sequence numbers of ESP: a dataplane that may be behind its peer must not go on
 * with the SAs that it had, and is handed over empty. Then all children are made anew.
 */
void ike_resume_stale(struct ike *ike);

enum ike_load {
	IKE_LOAD_OK,
	IKE_LOAD_MALFORMED, /* truncated, damaged, of another version */
	IKE_LOAD_NO_TUNNEL, /* it is not configured any more */
	IKE_LOAD_CLASH, /* the SA, a slot, or the tunnel's sending child stands already; too late */
	IKE_LOAD_RESOURCES,
};
/*
 * `age`: time since the record was given out, by a clock that both processes share. The record is
 * copied, the caller still wipes it. Whatever it holds, anything but OK changes nothing.
 */
enum ike_load ike_load(struct ike *ike, const void *record, size_t size, struct mono_span age,
		       struct mono now);
const char *ike_load_text(enum ike_load result);

/*
 * The record of the IKE SA whose SPI of ours this is, as IKE_ACT_SAVE gives it out unasked. Bytes
 * written, or 0: no such SA, none that is established, or no room (IKE_RECORD_MAX is enough).
 */
#define IKE_RECORD_MAX (4 * IKE_MESSAGE_MAX + 32768)
size_t ike_save(struct ike *ike, uint64_t spi, struct mono now, uint8_t *out, size_t size);

/* -------------------------------------------------------------------- show */

/* Where a tunnel's trouble lies, from the lowest layer up. */
enum ike_layer {
	IKE_LAYER_NONE,  /* it is up */
	IKE_LAYER_ADMIN, /* it is down because nobody wants it up */
	IKE_LAYER_PATH,  /* the peer was not heard */
	IKE_LAYER_IKE,   /* IKE_SA_INIT: no common proposal */
	IKE_LAYER_AUTH,  /* IKE_AUTH: identities, credentials */
	IKE_LAYER_CHILD, /* the CHILD_SA: proposal, traffic selectors */
	IKE_LAYER_DATAPLANE,
	IKE_LAYER_END,
};
const char *ike_layer_name(enum ike_layer l); /* "none", "admin", "path", ... */

/* What kept the two ends from agreeing, side by side, in the words of configurations. */
struct ike_mismatch {
	struct mono at;
	enum ike_layer layer; /* IKE, AUTH or CHILD */
	bool by_peer;         /* the peer refused: its side is not known */
	const char *what;     /* "IKE proposal", "ESP proposal", "traffic selectors", "identity" */
	char ours[400], theirs[400];
	char differs[200];
	const char *key; /* of a tunnel's configuration that would have to change; NULL: unclear */
	char add[64];    /* what to add to its list, or to set it to */
};
/* The last one of a tunnel that is not up since then, or NULL. Valid until the next step. */
const struct ike_mismatch *ike_explain(const struct ike *ike, uint32_t tunnel);

struct ike_show_tunnel {
	char name[IKE_NAME_SIZE];
	uint32_t tunnel;
	bool up;                    /* a usable pair is installed */
	const char *phase;          /* "down", "connecting", "up", "deleting", "backoff" */
	char reason[IKE_TEXT_SIZE]; /* why it is down, for people; "" if up */
	struct ip_endpoint local, remote;
	struct mono since; /* of `phase` */
	struct mono
		up_changed; /* when it came up, or went down; attempts to come up do not count */
	enum ike_layer layer;
	struct mono heard; /* when the peer's last message for this tunnel came; 0 = never */
};

struct ike_show_sa {
	bool is_child;
	uint32_t tunnel;
	const char *
		state; /* IKE: "init", "auth", "established", ...; child: "installed", "rekeying", ... */
	bool initiator;
	uint64_t spi_i, spi_r;    /* IKE SA */
	uint32_t spi_in, spi_out; /* child */
	uint32_t slot;            /* child */
	bool current_out;         /* child: the tunnel, or its worker, sends by it */
	uint32_t resource; /* child: 0: of all workers; n: of worker n - 1; IKE_RESOURCE_SPARE */
	bool natt, local_behind_nat, remote_behind_nat, udp_encap, ports_vary;
	struct ike_suite suite;
	struct ip_endpoint local, remote;
	/* IKE SA: what each side proved who it is by, "psk", "ecdsa-sha2-256", ...; "" before that */
	const char *auth_local, *auth_remote;
	bool ppk;              /* IKE SA: a PPK is mixed into its keys */
	struct ike_id peer_id; /* IKE SA: as proven; type IKE_ID_NONE before that */
	struct mono created, rekey_at, expires_at;
	size_t n_local_ts, n_remote_ts; /* child */
	struct ike_ts local_ts[IKE_MAX_TS], remote_ts[IKE_MAX_TS];
};

/* Each calls `fn` once an item; `fn` returns false to stop. */
void ike_show_tunnels(const struct ike *ike, bool (*fn)(void *ctx, const struct ike_show_tunnel *t),
		      void *ctx);
void ike_show_sas(const struct ike *ike, bool (*fn)(void *ctx, const struct ike_show_sa *s),
		  void *ctx);
uint64_t ike_counter_get(const struct ike *ike, enum ike_counter c);

#endif
