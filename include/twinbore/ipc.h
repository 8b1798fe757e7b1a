/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ipc.h: messages between the processes of one gateway over SOCK_SEQPACKET socket pairs that the
 * supervisor creates and hands out. A message is one packet: this header, then `size` bytes of
 * body, with at most one file descriptor attached (SCM_RIGHTS). The receiver checks every length.
 *
 * Every child starts with its channel to the supervisor on descriptor IPC_CHANNEL_FD, and gets
 * everything else through it.
 */
#ifndef TWINBORE_IPC_H
#define TWINBORE_IPC_H

#include <assert.h>
#include <stdint.h>
#include "twinbore/dp_msg.h"

#define IPC_MAGIC           0x54424950u /* "TBIP" */
#define IPC_CHANNEL_FD      3
#define IPC_BODY_MAX        61440u
#define IPC_MAX_FDS         4u
#define IPC_QCD_SECRET_SIZE 32u

enum ipc_role {
	IPC_ROLE_NONE = 0,
	IPC_ROLE_SUPERVISOR,
	IPC_ROLE_KEYD,
	IPC_ROLE_IKE,
	IPC_ROLE_ROUTE,
	IPC_ROLE_CONTROL,
	IPC_ROLE_DP,
	IPC_ROLE_END,
};

enum ipc_type {
	IPC_NONE = 0,

	/* supervisor -> child */
	IPC_CONFIG, /* fd: sealed memfd with the configuration's text; body: ipc_config */
	IPC_PEER,   /* fd: socket to another child; body: ipc_peer. Replaces an earlier one */
	IPC_SOCKET, /* fd: a bound socket; body: ipc_socket */
	IPC_RING,   /* fds: memfd and doorbell eventfd; body: ipc_ring */
	IPC_STATS,  /* fd: the dataplane's counters, see dp_stats.h; body: u64 size of the map */
	IPC_SECRET, /* fd: an open file with a key; body: ipc_secret. keyd, and route its own */
	IPC_START,  /* everything was handed over: go */
	IPC_STOP,   /* say goodbye to peers and exit */
	IPC_STORE, /* fd: where the records of IKE SAs stand; body: u64 size of the map. ike only */
	IPC_PING,  /* answer with IPC_PONG and the same id: a child that does not is killed */
	IPC_QCD_SECRET, /* body: IPC_QCD_SECRET_SIZE bytes (RFC 6290 5.1). ike only */
	IPC_DRAINED, /* body: ipc_drained: it was before this process. After CONFIG; route and control */

	/* child -> supervisor */
	IPC_READY,    /* START was carried out */
	IPC_FATAL,    /* body: text that says what was wrong and what to do; the child exits */
	IPC_RELOADED, /* a later IPC_CONFIG was carried out; body: text, "" or what could not be */
	IPC_PONG,
	/* Body: ipc_socket_want; answered by an IPC_SOCKET, in the order of asking. route only */
	IPC_SOCKET_WANT,

	/* ike <-> keyd; the request's id is echoed */
	IPC_AUTH_SIGN,   /* body: ipc_auth, then octets to sign */
	IPC_AUTH_VERIFY, /* body: ipc_auth, then octets, then the AUTH data to check */
	IPC_AUTH_RESULT, /* body: ipc_auth_result, then AUTH data for a signature */
	/*
	 * RFC 8784 3: body: ipc_auth without trailing parts but octets: SK_d | SK_pi | SK_pr, each of
	 * the prf's size. Answered by IPC_AUTH_RESULT with SK_d' | SK_pi' | SK_pr' for AUTH data.
	 */
	IPC_PPK_MIX,
	IPC_AUTH_TRUST, /* body: ipc_trust, then the CAs' hashes; keyd -> ike, unasked */

	/* ike -> route, control; route -> control */
	IPC_TUNNEL_STATE, /* body: ipc_tunnel_state */
	IPC_EVENT,        /* body: one JSON object as text: an event for people and programs */

	/* control -> ike, route, supervisor */
	IPC_QUERY, /* body: ipc_query, then `arg_size` bytes of argument text */
	IPC_REPLY, /* body: ipc_reply, then JSON text; more parts follow while flag MORE is set */

	IPC_TYPE_END,
};

enum ipc_flags {
	IPC_MORE = 1 << 0,
};

struct ipc_header {
	uint32_t magic;
	uint16_t type; /* enum ipc_type */
	uint16_t flags;
	uint32_t size; /* of the body */
	uint32_t zero;
	uint64_t id; /* chosen by who asks, echoed by who answers */
};
static_assert(sizeof(struct ipc_header) == 24, "ipc layout");

/*
 * Followed by n_tunnels of ipc_index: numbers that stay with a tunnel's name over reloads; then by
 * n_tables likewise of route tables, all but the main one, which is 0.
 */
struct ipc_config {
	uint64_t size;       /* bytes of text in the memfd */
	uint64_t generation; /* 1, 2, ... */
	uint32_t n_tunnels;
	uint32_t n_tables;
};

struct ipc_index {
	char name[DP_NAME_SIZE];
	uint32_t number;
};

struct ipc_peer {
	uint32_t role; /* enum ipc_role of the other end */
};

/* Those of IKE come in pairs: for exchanges that are under way, then for strangers. */
enum ipc_socket_kind {
	IPC_SOCKET_IKE_V4_500 = 1,
	IPC_SOCKET_IKE_V4_4500,
	IPC_SOCKET_IKE_V6_500,
	IPC_SOCKET_IKE_V6_4500,
	IPC_SOCKET_CONTROL, /* a listening SOCK_STREAM */
	/* Between the inside addresses of one tunnel, as it is configured; by IPC_SOCKET_WANT. */
	IPC_SOCKET_BGP_LISTEN,
	IPC_SOCKET_BGP_CONNECT, /* a connect() is under way */
	IPC_SOCKET_BFD,         /* two descriptors: to receive by, to send by */
	IPC_SOCKET_PROBE,       /* raw, of ICMP or ICMPv6, for echoes only */
	IPC_SOCKET_LINUX,       /* of no tunnel: rtnetlink, for changes of links and routes */
	IPC_SOCKET_KIND_END,
};

struct ipc_socket {
	uint32_t kind;
	uint32_t tunnel; /* of those that were asked for */
	uint32_t error;  /* errno: there is no descriptor */
	uint32_t zero;
};

struct ipc_drained {
	char tunnel[DP_NAME_SIZE];
};

#define IPC_PASSWORD_MAX 80u /* TCP_MD5SIG_MAXKEYLEN */

struct ipc_socket_want {
	uint32_t kind; /* enum ipc_socket_kind from IPC_SOCKET_BGP_LISTEN on */
	uint32_t tunnel;
	uint32_t password_size; /* BGP: TCP MD5 signatures (RFC 2385); 0: none */
	uint8_t password[IPC_PASSWORD_MAX];
};

enum ipc_ring_kind {
	IPC_RING_SA = 1,    /* ike -> dp, dp_msg */
	IPC_RING_SA_EVENT,  /* dp -> ike, dp_event */
	IPC_RING_FIB,       /* route -> dp, dp_msg */
	IPC_RING_FIB_EVENT, /* dp -> route, dp_event */
};

enum ipc_ring_flags {
	/* To the owner: the dataplane has run on meanwhile, with what the owner's predecessor told it. */
	IPC_RING_RESUMED = 1 << 0,
};

struct ipc_ring {
	uint32_t kind;
	uint32_t n_slots;
	uint32_t slot_size;
	uint32_t flags; /* enum ipc_ring_flags */
};

/* What a file that keyd gets is to it. A tunnel may have several of a kind: `index` 0, 1, ... */
enum ipc_secret_kind {
	IPC_SECRET_PSK = 0,      /* index 0 signs; every one verifies: rotation with an overlap */
	IPC_SECRET_PRIVATE_KEY,  /* PEM; belongs to the certificate chain of the same index */
	IPC_SECRET_CERT,         /* PEM: own certificate, then its chain */
	IPC_SECRET_CA,           /* PEM: trust anchors for the peer */
	IPC_SECRET_CRL,          /* PEM or DER */
	IPC_SECRET_OCSP,         /* DER: a stapled response for our own certificate */
	IPC_SECRET_PEER_KEY,     /* PEM: the peer's raw public key (RFC 7670) */
	IPC_SECRET_PPK,          /* RFC 8784; one line */
	IPC_SECRET_BGP_PASSWORD, /* RFC 2385; one line. To route; all others to keyd */
	IPC_SECRET_KIND_END,
};

enum ipc_secret_flags {
	/* With IPC_SECRET_CA: no certificate is good without a fresh CRL or OCSP response about it. */
	IPC_SECRET_REVOCATION_STRICT = 1 << 0,
	/* With a private key, a CA or a peer's key: RSA with SHA-1, for peers without RFC 7427. */
	IPC_SECRET_SHA1 = 1 << 1,
};

/*
 * The supervisor sends every secret of every tunnel anew before each IPC_CONFIG: what did not come
 * since the last one is no longer wanted.
 */
struct ipc_secret {
	char tunnel[DP_NAME_SIZE];
	uint32_t kind; /* enum ipc_secret_kind */
	uint32_t index;
	uint32_t flags; /* enum ipc_secret_flags */
	uint32_t zero;
};

struct ipc_auth {
	char tunnel[DP_NAME_SIZE];
	uint32_t method;      /* IANA "IKEv2 Authentication Method"; 0 when signing: keyd chooses */
	uint32_t prf;         /* IANA "Transform Type 2" */
	uint32_t octets_size; /* bytes of InitiatorSignedOctets / ResponderSignedOctets */
	uint32_t auth_size;   /* bytes of AUTH data, 0 when signing */
	/* After octets and AUTH data follow, in this order: */
	uint32_t id_size;    /* verifying: bytes of the peer's identification data */
	uint32_t cas_size;   /* signing: the peer's CERTREQ, 20 bytes a CA */
	uint32_t certs_size; /* verifying: n_certs times an ipc_cert with its data */
	uint32_t n_certs;
	uint32_t id_type; /* RFC 7296 3.5 */
	uint32_t hashes;  /* signing: RFC 7427 hash algorithms that the peer takes, 1 << number */
	uint32_t key;     /* signing with a shared key: its index */
	/* What the tunnel's configuration asks for: nothing else is ever signed with or believed. */
	uint32_t kind; /* enum ipc_auth_kind */
	/* Signing: bytes of SUPPORTED_AUTH_METHODS' content (RFC 9593), between the CAs and certs. */
	uint32_t announced_size;
};

enum ipc_auth_kind {
	IPC_AUTH_BY_PSK = 0,
	IPC_AUTH_BY_CERTIFICATE,
	IPC_AUTH_BY_RAW_KEY,
};

struct ipc_cert {
	uint32_t encoding; /* IANA "IKEv2 Certificate Encodings" */
	uint32_t size;
};

struct ipc_auth_result {
	uint32_t ok; /* 1: signed, or verified as authentic */
	uint32_t auth_size;
	/* After the AUTH data follow, in this order: */
	uint32_t certs_size; /* signed: n_certs times an ipc_cert with its data, own first */
	uint32_t n_certs;
	uint32_t text_size; /* not ok: why, for our operators; signed: what is odd about it */
	uint32_t method;    /* signed: IKEv2 Authentication Method that was used */
	uint64_t valid_s; /* verified: seconds until the chain's first certificate ends; 0: none */
	uint32_t key;     /* verified with a shared key: its index */
	uint32_t zero;
};

/* keyd -> ike whenever a tunnel's trust anchors changed: followed by n_cas SHA-1 hashes of keys. */
struct ipc_trust {
	char tunnel[DP_NAME_SIZE];
	uint32_t n_cas;
	uint32_t zero;
};

enum ipc_tunnel_up {
	IPC_TUNNEL_DOWN = 0,
	IPC_TUNNEL_UP = 1,
};

struct ipc_tunnel_state {
	uint32_t tunnel;
	uint32_t up; /* enum ipc_tunnel_up: a usable pair of CHILD_SA halves is installed */
	char name[DP_NAME_SIZE];
};

/*
 * The text of a reply holds what docs/control-protocol.md says of the items that its sender knows;
 * the control process adds what stands in the configuration and in the dataplane's counters. Times
 * are seconds with a fraction, `tunnel` is a name, addresses and endpoints are strings.
 */
enum ipc_query_op {
	IPC_QUERY_NONE = 0,
	/* to ike */
	IPC_QUERY_TUNNELS, /* array of {name, up, phase, reason, since_s, local, remote, natt} */
	IPC_QUERY_SAS, /* array of IKE and CHILD SAs, without the counters of packets and bytes */
	IPC_QUERY_IKE_COUNTERS, /* object {name: value} */
	IPC_QUERY_UP,           /* argument: tunnel name; the reply of the commands is {} */
	IPC_QUERY_DOWN,         /* argument: tunnel name */
	IPC_QUERY_REKEY,        /* argument: tunnel name, or "ike:" and the name for the IKE SA */
	IPC_QUERY_REDIRECT,     /* argument: tunnel name, a space, an address, or "off" */
	IPC_QUERY_EXPLAIN, /* argument: tunnel name, or "" for all; array of {name, up, phase, reason,
			    * since_s, local, remote, layer, heard_s or null, mismatch or null:
			    * {age_s, layer, what, by_peer, ours, theirs, differs, key, add}} */
	/* to route; where the argument is an object, it is JSON text; tables and tunnels by name */
	IPC_QUERY_ROUTES,        /* {table, within, cursor, limit}, each optional. {routes, next} as
			   * control-protocol.md says: a page that is small enough to be made at once */
	IPC_QUERY_ROUTE_STATE,   /* {connections: [{name, tunnel or null}], tunnels: [{name, usable,
				* draining, bfd_down, bgp_up, accepted, stale, refused}], prefixes,
				* candidates, groups, waiting, refused} */
	IPC_QUERY_ROUTE_EXPLAIN, /* {table (absent: all), and prefix or address}. {tables} */
	IPC_QUERY_WHAT_IF,       /* argument: tunnel name. {tunnel, usable, moved, lost, moves} */
	IPC_QUERY_DRAIN,   /* argument: tunnel name. {moved, stays}: prefixes that it carried */
	IPC_QUERY_UNDRAIN, /* argument: tunnel name. {moved, stays}: nothing */
	IPC_QUERY_BGP,     /* argument: tunnel name for all of it, or "". {neighbors} */
	IPC_QUERY_BGP_RECEIVED,   /* {tunnel, within, cursor, limit}. {routes, next} */
	IPC_QUERY_BGP_ADVERTISED, /* {tunnel, cursor, limit}. {routes, next} */
	IPC_QUERY_BFD,            /* {sessions, dropped} */
	/* to the supervisor */
	IPC_QUERY_PROCESSES,    /* array of {role, pid, state, restarts, uptime_s}, itself included;
			      * state: "running", "starting", "restarting", "stopping", "stopped" */
	IPC_QUERY_RELOAD,       /* {changed, unchanged}, or an error with one mistake a line */
	IPC_QUERY_KEEP_DRAINED, /* argument: tunnel name: IPC_DRAINED is to tell of it. {} */
	IPC_QUERY_FORGET_DRAINED, /* argument: tunnel name. {} */
	IPC_QUERY_END,
};

struct ipc_query {
	uint32_t op;
	uint32_t arg_size;
};

struct ipc_reply {
	uint32_t ok; /* 0: the text is {"code": ..., "message": ...} */
	uint32_t zero;
};

#endif
