/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dp_msg.h: what the control processes tell the dataplane, and what it answers.
 *
 * Two pairs of rings (ring.h) reach the dataplane: "sa" from the ike process and "fib" from the
 * route process; each has a return ring for acknowledgements and events. Every request carries a
 * `seq` chosen by the sender and is answered by exactly one DP_EV_ACK with the same `seq`, after
 * every worker has seen the change. Integers are in host byte order; addresses and keys are bytes.
 *
 * One slot number stands for one CHILD_SA: its inbound half, whose SPI carries the slot in its low
 * DP_SLOT_BITS bits, and its outbound half. A tunnel number stands for one tunnel of a connection.
 * Outbound traffic of a tunnel uses the slot that the last DP_SA_SWITCH named; a worker for which one
 * was named (RFC 9611) uses that for what comes in by its queues. An outbound half is one worker's for
 * its life: a switch that would give it to a second one is refused with DP_ERR_EXISTS. An inbound half
 * is one worker's from DP_SA_ADD_IN on; what another receives for it is handed over.
 */
#ifndef TWINBORE_DP_MSG_H
#define TWINBORE_DP_MSG_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define DP_MSG_VERSION     2u
#define DP_MSG_SIZE        4096u
#define DP_RING_SLOTS      1024u
#define DP_SLOT_BITS       20u
#define DP_SLOT_MASK       ((1u << DP_SLOT_BITS) - 1u)
#define DP_MAX_TS          36u /* every pair of six local and six remote selectors */
#define DP_GROUP_MAX       8u
#define DP_NAME_SIZE       32u /* with NUL */
#define DP_IFNAME_SIZE     16u /* with NUL */
#define DP_TRANSLATE_MAX   16u /* rules of one tunnel */
#define DP_LIST_MAX        64u /* slots that answer one DP_SA_LIST */
#define DP_ROUTES_MAX      144u
#define DP_MAX_TABLES      256u             /* route tables; table 0 always exists */
#define DP_GROUP_BLACKHOLE UINT32_MAX       /* a route's group: drop */
#define DP_GROUP_WITHDRAW  (UINT32_MAX - 1) /* of DP_ROUTES: take the route away */
/* To the networks of the ports, as far as they hold the prefix: of those in table 0 and in the route's own.
 * Not in table 0 while no port is in another one: it has them. */
#define DP_GROUP_LOCAL (UINT32_MAX - 2)
/* Group numbers lie below; there are more than tunnels, since a group is an order of them. */
#define DP_MAX_GROUPS(max_tunnels) (8u * (max_tunnels) + 64u)
#define DP_SLOT_NONE               UINT32_MAX
#define DP_TUNNEL_NONE             UINT32_MAX

enum dp_msg_type {
	DP_MSG_NONE = 0,
	/* on the sa ring */
	DP_SA_ADD_IN,  /* body: sa; inbound accepts from now on */
	DP_SA_ADD_OUT, /* body: sa; not used before DP_SA_SWITCH */
	DP_SA_SWITCH,  /* body: ref; the tunnel, or one worker's part of it, sends by this slot
		       * (DP_SLOT_NONE: it sends nothing; a worker: by the tunnel's slot) */
	DP_SA_DEL_IN,  /* body: ref */
	DP_SA_DEL_OUT, /* body: ref; if current, the tunnel sends nothing from now on; if one worker's,
			* that worker sends by the tunnel's slot */
	DP_SA_PEER,    /* body: peer; new outer endpoints of an outbound half */
	DP_SA_FLUSH, /* no body; all SAs go: the sender starts anew */
	/* on the fib ring */
	DP_TUNNEL_SET, /* body: tunnel; creates or changes */
	DP_TUNNEL_DEL, /* body: tunnel (index only) */
	DP_GROUP_SET,  /* body: group */
	DP_GROUP_DEL,  /* body: group (index only) */
	DP_ROUTE_SET,  /* body: route */
	DP_ROUTE_DEL,  /* body: route (prefix only) */
	/*
	 * On the sa ring. Body: ref (slot only). Asks what stands in this slot and those after it: a
	 * DP_EV_SA for each of the first DP_LIST_MAX slots that hold any half, ahead of the
	 * acknowledgement. Fewer: there are no more. Refused with DP_ERR_RESOURCES when the return ring
	 * has no room for them.
	 */
	DP_SA_LIST,
	/*
	 * On the fib ring. Body: routes; sets and withdraws many. A malformed entry refuses the whole
	 * message. Else each is tried: the acknowledgement says which were refused, its status is the
	 * first one's. To withdraw what is not there is no error.
	 */
	DP_ROUTES,
	/*
	 * On the fib ring. No body. What an earlier owner of the ring left behind, and this one has not set
	 * again, goes: until then its tunnels, groups and routes forward as before. Numbers of groups are each
	 * owner's own.
	 */
	DP_SWEEP,
	DP_MSG_TYPE_END,
};

enum dp_event_type {
	DP_EV_NONE = 0,
	DP_EV_ACK = 64,    /* body: ack */
	DP_EV_FIRST_IN,    /* body: sa_event; the first authentic packet on an inbound half */
	DP_EV_SOFT_EXPIRE, /* body: sa_event; a soft limit of packets or bytes was passed, once */
	DP_EV_HARD_EXPIRE, /* body: sa_event; the half stopped at its hard limit */
	DP_EV_PEER_MOVED, /* body: sa_event; an authentic, fresh packet came from another endpoint */
	DP_EV_INVALID_SPI, /* body: sa_event (spi, endpoints); rate-limited by the dataplane */
	DP_EV_PORT_LINK,   /* body: port */
	DP_EV_SA,          /* body: listed; answers DP_SA_LIST */
	DP_EV_TYPE_END,
};

enum dp_status {
	DP_OK = 0,
	DP_ERR_MALFORMED,   /* a field is out of its range; nothing was changed */
	DP_ERR_NO_SUCH,     /* slot, tunnel, group or route unknown */
	DP_ERR_EXISTS,      /* slot or SPI in use */
	DP_ERR_UNSUPPORTED, /* suite or option that no backend offers */
	DP_ERR_RESOURCES,
	DP_ERR_SYSTEM, /* the kernel refused (interface, address) */
	DP_STATUS_END,
};

struct dp_addr {
	uint8_t family; /* 4 or 6 */
	uint8_t b[16];  /* network order; IPv4 in the first 4, the rest zero */
	uint8_t zero[3];
};
static_assert(sizeof(struct dp_addr) == 20, "dp_msg layout");

struct dp_endpoint {
	struct dp_addr addr;
	uint16_t port; /* host byte order; 0 for native ESP */
	uint16_t zero;
};
static_assert(sizeof(struct dp_endpoint) == 24, "dp_msg layout");

/* A traffic selector pair as seen from this gateway (RFC 7296 3.13.1), ranges inclusive. */
struct dp_ts {
	struct dp_addr local_first, local_last, remote_first, remote_last;
	uint16_t local_port_first, local_port_last, remote_port_first, remote_port_last;
	uint8_t protocol; /* 0 = any */
	uint8_t zero[7];
};
static_assert(sizeof(struct dp_ts) == 96, "dp_msg layout");

enum dp_sa_flags {
	DP_SA_UDP_ENCAP = 1 << 0, /* RFC 3948; inbound accepts both forms whatever this says */
	DP_SA_ESN = 1 << 1,       /* RFC 4303 2.2.1 */
	DP_SA_COPY_DSCP = 1 << 2, /* else outer DSCP = 0 */
	DP_SA_DF_CLEAR = 1 << 3,  /* outer DF: clear; default copy (RFC 4301 8.1) */
	DP_SA_DF_SET = 1 << 4,
	/* In UDP, a source port for each inner flow; inbound: the peer does that, its port means nothing. */
	DP_SA_PORT_ENTROPY = 1 << 5,
};

struct dp_sa {
	uint32_t slot;
	uint32_t spi; /* inbound: ours, its low DP_SLOT_BITS bits = slot; outbound: the peer's */
	uint32_t tunnel;
	uint32_t flags; /* enum dp_sa_flags */
	/* IANA "Transform Type 1": 12 AES-CBC, 18 to 20 AES-GCM with ICVs of 8, 12 and 16 bytes, 21
	 * AES-GMAC (RFC 4543, no confidentiality), 28 ChaCha20-Poly1305 */
	uint16_t encr;
	uint16_t encr_key_bits; /* 128, 192, 256; ChaCha20-Poly1305: 256, or 0 for the same */
	uint16_t integ; /* IANA "Transform Type 3": 2, 12, 13, 14 for AES-CBC, 0 for the others */
	uint16_t replay_window; /* inbound: packets, 0 (off) or 64..4096 */
	uint8_t encr_key[36];   /* key, then the 4-byte salt for AEAD (RFC 4106 8.1) */
	uint8_t integ_key[64];
	uint32_t n_ts; /* 1..DP_MAX_TS */
	/* Inbound: n > 0: worker n - 1 decrypts (RFC 9611), modulo the number of workers; 0: the tunnel's
	 * owner does. Outbound: 0, as DP_SA_SWITCH says who sends. */
	uint32_t resource;
	uint32_t zero;
	struct dp_endpoint local, remote;
	uint64_t soft_packets,
		hard_packets; /* 0 = no limit; hard never beyond the sequence space */
	uint64_t soft_bytes, hard_bytes;
	uint64_t first_seq; /* outbound: the first sequence number to be used, 1 for a new SA */
	struct dp_ts ts[DP_MAX_TS];
};

struct dp_sa_ref {
	uint32_t slot;
	uint32_t tunnel;
	/* DP_SA_SWITCH: n > 0: what worker n - 1 sends goes by this slot (RFC 9611); 0: what every worker
	 * sends that has no slot of its own. More than there are workers: DP_ERR_MALFORMED. */
	uint32_t resource;
	uint32_t zero;
};

struct dp_sa_peer {
	uint32_t slot;
	uint32_t flags; /* only DP_SA_UDP_ENCAP is looked at */
	struct dp_endpoint local, remote;
};

/* Addresses within a prefix go by another one in the tunnel, host bits kept. */
struct dp_translation {
	struct dp_addr here, there; /* as on our side of the tunnel; as in it */
	uint8_t len;                /* of both prefixes, 1 or more */
	uint8_t ours;               /* 1: of hosts behind us; 0: behind the peer */
	uint8_t zero[2];
};
static_assert(sizeof(struct dp_translation) == 44, "dp_msg layout");

struct dp_tunnel {
	uint32_t tunnel;
	uint32_t mtu;                /* of the inside interface; 0 = let the dataplane compute it */
	char name[DP_NAME_SIZE];     /* NUL-terminated, as in the configuration */
	char ifname[DP_IFNAME_SIZE]; /* the TUN to create; "" = none */
	struct dp_addr inside[2];    /* our inside addresses; family 0 = absent */
	uint8_t inside_len[2];       /* prefix lengths */
	/* Of what comes out of it: looked up in this table, and no other. Its inside addresses stand there. */
	uint16_t table;
	uint32_t
		n_translate; /* 0..DP_TRANSLATE_MAX; prefixes of one side never overlap at one end */
	struct dp_translation translate[DP_TRANSLATE_MAX];
};

enum dp_group_flags {
	DP_GROUP_BY_LINUX = 1 << 0, /* Linux has its routes already: they are not written there */
};

/*
 * Ordered members: the first whose tunnel has a current outbound SA carries the traffic. The first
 * `n_ecmp` share it, as far as they have one: a flow takes one of them, and keeps it while it lasts.
 */
struct dp_group {
	uint32_t group;
	uint32_t n_tunnels; /* 0..DP_GROUP_MAX; with 0 its traffic is dropped and counted */
	uint32_t tunnels[DP_GROUP_MAX];
	uint32_t n_ecmp; /* 0..n_tunnels; 0 and 1: nothing is shared */
	uint32_t flags;  /* enum dp_group_flags */
};

struct dp_route {
	uint32_t table; /* below DP_MAX_TABLES; 0: that of the ports and of most tunnels */
	uint32_t group; /* or DP_GROUP_BLACKHOLE, DP_GROUP_LOCAL */
	struct dp_addr prefix;
	uint8_t len;
	uint8_t zero[3];
};

struct dp_routes_entry {
	struct dp_addr prefix;
	uint32_t group; /* or DP_GROUP_BLACKHOLE, DP_GROUP_WITHDRAW, DP_GROUP_LOCAL */
	uint16_t table;
	uint8_t len;
	uint8_t zero;
};
static_assert(sizeof(struct dp_routes_entry) == 28, "dp_msg layout");

struct dp_routes {
	uint32_t n; /* 1..DP_ROUTES_MAX */
	uint32_t zero;
	struct dp_routes_entry entries[DP_ROUTES_MAX];
};

struct dp_msg {
	uint32_t type; /* enum dp_msg_type */
	uint32_t seq;  /* echoed in the acknowledgement; 0 is not used */
	uint8_t zero[8];
	union {
		struct dp_sa sa;
		struct dp_sa_ref ref;
		struct dp_sa_peer peer;
		struct dp_tunnel tunnel;
		struct dp_group group;
		struct dp_route route;
		struct dp_routes routes;
		uint8_t bytes[DP_MSG_SIZE - 16];
	};
};
static_assert(sizeof(struct dp_msg) == DP_MSG_SIZE, "dp_msg layout");
static_assert(sizeof(struct dp_sa) <= DP_MSG_SIZE - 16, "dp_msg layout");
static_assert(sizeof(struct dp_routes) <= DP_MSG_SIZE - 16, "dp_msg layout");

struct dp_ack {
	uint32_t seq;
	uint32_t status; /* enum dp_status */
	/* DP_ROUTES that was not malformed: bit i % 32 of word i / 32 is set if entry i was refused. */
	uint32_t refused[(DP_ROUTES_MAX + 31) / 32];
};

struct dp_sa_event {
	uint32_t slot;
	uint32_t spi;
	uint32_t tunnel;
	uint32_t outbound; /* 1: the outbound half, 0: the inbound half */
	struct dp_endpoint local, remote;
};

enum dp_listed_flags {
	DP_LISTED_IN = 1 << 0, /* this half stands */
	DP_LISTED_OUT = 1 << 1,
	DP_LISTED_SEEN = 1 << 2, /* the inbound half has had an authentic packet */
	DP_LISTED_SOFT = 1 << 3, /* either half has passed its limit */
	DP_LISTED_HARD = 1 << 4,
};

struct dp_listed {
	uint32_t seq; /* of the request */
	uint32_t slot;
	uint32_t tunnel;
	uint32_t flags;           /* enum dp_listed_flags */
	uint32_t spi_in, spi_out; /* of the halves that stand, else 0 */
};

struct dp_port_event {
	uint32_t port;
	uint32_t up;
};

#define DP_EVENT_SIZE 128u

struct dp_event {
	uint32_t type; /* enum dp_event_type */
	uint32_t zero;
	union {
		struct dp_ack ack;
		struct dp_sa_event sa;
		struct dp_port_event port;
		struct dp_listed listed;
		uint8_t bytes[DP_EVENT_SIZE - 8];
	};
};
static_assert(sizeof(struct dp_event) == DP_EVENT_SIZE, "dp_msg layout");

#endif
