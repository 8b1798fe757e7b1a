/* SPDX-License-Identifier: Apache-2.0 */
/*
 * world: two gateways in virtual time. Each node links the real IKE core with real cryptography
 * over a seeded generator; around it stand a key process, a dataplane with its delays, and between
 * the nodes a network that loses, delays, repeats and reorders, with a NAT if wanted. Every few
 * milliseconds each node that has a current outbound half sends a simulated ESP packet.
 *
 * What must always hold is checked at every event (check.c); the first breach is kept as text.
 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include <stdio.h>
#include "ike/ike.h"
#include "tests/sim/rng.h"

#define SIM_NODES   2
#define SIM_TUNNELS 2
#define SIM_SLOTS   64
#define SIM_KEYS    8192
#define SIM_NONE    UINT32_MAX
#define SIM_RECORDS 64
#define SIM_STAGED  32
#define SIM_WORKERS 4

struct world;

struct sim_half {
	bool on;
	uint32_t spi;
	uint64_t key; /* a digest of it */
	uint32_t tunnel;
	bool udp, ports_vary;
	struct ip_endpoint local, remote;
	struct mono added;
	bool refused;   /* inbound: was not installed */
	bool seen;      /* inbound: first packet */
	uint64_t next;  /* outbound: sequence */
	unsigned owner; /* the worker whose it is, from 1; 0: nobody's yet, the tunnel's */
};

/* What the supervisor keeps of an IKE SA. */
struct sim_record {
	uint64_t spi;
	uint8_t *data;
	size_t size;
	struct mono at;
};

struct sim_faults {
	unsigned loss, duplicate; /* percent of IKE and ESP datagrams */
	unsigned forge;           /* percent of IKE datagrams that a changed copy follows */
	uint64_t delay_us, jitter_us;
	size_t mtu;   /* longer IP datagrams that carry IKE are lost; 0 = any length */
	bool cut;     /* nothing passes */
	bool cut_one; /* nothing passes from node 0 to node 1 */
};

/* ML-KEM: as libcrypto has it, the stand-in of fake_kem.h, not at all. */
enum sim_kem {
	SIM_KEM_AS_IS,
	SIM_KEM_FAKE,
	SIM_KEM_NONE,
};

/* What a node's certificate and its key process are about, by words; see keys.c. */
struct sim_pki {
	char ca[32], id[64], key[32]; /* of its own certificate */
	char trusts[32];              /* a CA, or the peer's raw key */
	unsigned n_chain;             /* links behind its certificate */
	bool no_cert;
	bool ed448;       /* it could sign by that too */
	uint64_t valid_s; /* of certificates that it verifies */
};

struct sim_cert {
	uint8_t encoding;
	uint8_t data[160];
	size_t size;
};

struct sim_node {
	struct world *w;
	int index;
	struct ike *ike; /* NULL: the control process is down */
	struct ike_out out;
	struct rng rng;
	struct sim_record records[SIM_RECORDS];
	size_t n_records;
	struct sim_record staged[SIM_STAGED]; /* of a step that is not carried out yet */
	size_t n_staged;
	unsigned crash_in; /* the process ends before so many more actions; 0 = it does not */
	bool crashed;
	bool resuming;       /* the records are being loaded */
	bool stale;          /* ... and are older than what their SAs have done */
	unsigned generation; /* of the process */
	enum sim_kem kem;    /* when it is powered on */
	struct tracer tracer;
	struct ip_addr addr;
	uint64_t clock_ahead_ns; /* of the world's */
	unsigned clock_fast_ppm;
	struct ip_addr also; /* a second address that leads here */
	bool addr_dead;      /* nothing passes to `addr` or from it */
	struct ike_tunnel_cfg cfg[SIM_TUNNELS];
	size_t n_tunnels;
	struct ike_limits limits;
	char psk[32], psk_old[32], ppk[48];
	struct sim_pki pki;
	uint16_t hashes_seen; /* in the last request to sign */
	size_t n_cas_seen;
	uint8_t announced_seen[IKE_ANNOUNCED_MAX];
	size_t announced_size_seen;
	uint64_t dp_delay_us, dp_jitter_us, key_delay_us;
	bool dp_fails;       /* the next ADD_IN is refused */
	bool dp_deaf;        /* answers nothing */
	bool off;            /* powered down, dataplane and all */
	struct mono dp_last; /* operations are carried out in order */
	unsigned n_dp_pending;
	uint64_t dp_epoch;
	struct sim_half in[SIM_SLOTS], out_half[SIM_SLOTS];
	struct {
		uint32_t spi;
		struct mono at;
	} installed[SIM_SLOTS]; /* the last inbound half of each slot; outlives the dataplane */
	uint32_t current[SIM_TUNNELS];          /* slot */
	unsigned n_workers;                     /* of the dataplane */
	uint32_t own[SIM_TUNNELS][SIM_WORKERS]; /* slot of a worker alone (RFC 9611) */
	uint64_t n_own_sent;
	bool up[SIM_TUNNELS];
	struct mono down_at[SIM_TUNNELS], up_at[SIM_TUNNELS];
	struct mono heard_at[SIM_TUNNELS]; /* the last packet that was accepted */
	unsigned n_up[SIM_TUNNELS], n_down[SIM_TUNNELS];
	bool traffic_in[SIM_TUNNELS], traffic_out[SIM_TUNNELS];
	bool carried[SIM_TUNNELS]; /* since it came up the peer has accepted a packet of ours */
	struct mono expired_at;    /* an SA reached its hard lifetime */
	uint64_t n_esp_sent, n_esp_received, n_esp_excused, n_keepalive;
	unsigned n_events[IKE_HAP_END];
	char last_event[IKE_HAP_END][IKE_TEXT_SIZE];
	uint64_t overflowed;  /* the counter's last value */
	size_t unproven_sent; /* bytes of IKE_SA_INIT responses since the last datagram came */
};

enum sim_item_kind {
	SIM_IKE,
	SIM_ESP,
	SIM_KEY,
	SIM_DP,
	SIM_DP_EVENT,
};

/* What travels; owned by the queue. */
struct sim_item {
	struct mono at;
	uint64_t seq;
	enum sim_item_kind kind;
	int node;            /* that it reaches; -1: by address */
	unsigned generation; /* of the process that it is an answer to */
	struct ip_endpoint from, to;
	union {
		struct {
			uint8_t *data;
			size_t size;
			int sender;
			bool forged;
		} ike;
		struct {
			uint32_t spi, tunnel;
			uint64_t key, number;
			struct mono made;
			bool both_up;
			int sender;
			uint8_t *inner; /* what it carries, for `inside`; or NULL */
			size_t inner_size;
		} esp;
		struct {
			uint64_t request;
			bool ok;
			uint8_t auth[192], method;
			size_t auth_size;
			uint32_t which; /* of the shared keys */
			struct sim_cert certs[IKE_MAX_CERTS + 1];
			size_t n_certs;
			char reason[64];
		} key;
		struct {
			struct ike_action act;
			uint64_t epoch;
			bool ok;
		} dp;
		struct {
			enum ike_event_type type;
			uint32_t slot;
			bool outbound;
			struct ip_endpoint local, remote;
		} dp_event;
	};
};

struct world {
	struct mono now;
	uint64_t seed;
	struct rng rng;
	struct sim_node node[SIM_NODES];
	struct sim_faults faults;
	struct sim_item **heap;
	size_t n_items, size_items;
	uint64_t seq;
	struct mono next_esp, next_traffic;

	bool roaming; /* node 0 moves */
	struct rng moves;

	bool nat;      /* in front of node 0 */
	bool nat_ends; /* it changes nothing any more that goes out; what comes in still finds its way */
	struct ip_addr nat_public;
	uint16_t nat_ports[2]; /* for local ports 500 and 4500 */

	uint64_t esp_period_us; /* 0 = no traffic */
	uint64_t n_ike;         /* IKE datagrams sent so far */
	uint64_t drop_ike;      /* the number of the one to lose, from 1; 0 = none */
	/* May look at an IKE datagram and have it lost. */
	bool (*filter)(struct world *w, int from, const uint8_t *data, size_t size);
	void *filter_ctx;
	/* For whoever stands around the two gateways (sites.h): */
	void *around;
	/* What lies between two addresses: false: it is lost, else it comes so much later. */
	bool (*path)(struct world *w, int from, const struct ip_endpoint *local,
		     const struct ip_endpoint *remote, uint64_t *later_us);
	void (*inside)(struct world *w, int node, uint32_t tunnel, const uint8_t *inner,
		       size_t size);                                      /* came out of a tunnel */
	void (*tunnel_state)(struct world *w, int node, uint32_t tunnel); /* as in node.up[] */
	bool takeovers; /* message id 0 is what makes ids equal, with a nonce each time (RFC 6311) */
	bool lies;      /* somebody sends in a node's name: what leaves it is not its own */

	uint64_t keys[SIM_KEYS];
	size_t n_keys;
	struct sim_seen *seen; /* messages, by what they must not share */
	size_t n_seen, size_seen;
	uint32_t was_settled; /* tunnels, since the last time that it was cleared */
	char failure[256];

	FILE *ladder; /* trace lines and datagrams */
	bool verbose;
};

/* Both nodes with one tunnel between them; change cfg before world_start(). */
void world_init(struct world *w, uint64_t seed);
bool world_start(struct world *w); /* makes cores and sets tunnels */
void world_fini(struct world *w);

void world_run(struct world *w, struct mono_span d);
/* Runs until `done` says so, at most `limit`. */
bool world_until(struct world *w, bool (*done)(struct world *w), struct mono_span limit);

/* node.c */
struct mono node_now(const struct sim_node *n);      /* by its own clock */
struct mono node_deadline(const struct sim_node *n); /* by the world's */
void node_step(struct sim_node *n, const struct ike_event *ev);
void node_tick(struct sim_node *n);
void node_receive(struct sim_node *n, struct sim_item *item);
void node_event(struct sim_node *n, enum ike_event_type type, uint32_t tunnel);
void node_set_tunnel(struct sim_node *n, size_t i);
void node_remove_tunnel(struct sim_node *n, size_t i);
struct ike_crypto node_crypto(struct sim_node *n);
bool node_power_on(struct sim_node *n);  /* a new core, an empty dataplane */
void node_power_off(struct sim_node *n); /* without a word */

/* process.c */
void process_keep(struct sim_node *n, const struct ike_action *a);
void process_forget_all(struct sim_node *n);
void process_check(struct sim_node *n);
void process_end(struct sim_node *n); /* without a word; the dataplane goes on */
bool process_start(struct sim_node *n);
void process_restart(struct sim_node *n);

/* keys.c */
void keys_request(struct sim_node *n, const struct ike_action *a);
void keys_answer(struct sim_node *n, const struct sim_item *item);

/* dataplane.c */
void dp_drain(struct sim_node *n); /* what the former process had asked for is done */
void dp_clear(struct sim_node *n);
void dp_lose(struct sim_node *n); /* nobody has heard of it yet */
void dp_request(struct sim_node *n, const struct ike_action *a);
void dp_done(struct sim_node *n, struct sim_item *item);
void dp_restart(struct sim_node *n);
void dp_send(struct sim_node *n); /* one packet by each tunnel */
/* One packet with this in it; false: no SA, or lost on its way. */
bool dp_send_inner(struct sim_node *n, uint32_t t, const void *inner, size_t size);
void dp_packet(struct sim_node *n, const struct sim_item *p);
void dp_report_traffic(struct sim_node *n);

/* queue.c, net.c */
struct sim_item *queue_new(struct world *w, enum sim_item_kind kind, int node, uint64_t in_us);
struct sim_item *queue_pop(struct world *w);
struct mono queue_deadline(const struct world *w);
void queue_free(struct sim_item *item);
void queue_fini(struct world *w);
struct sim_item *queue_take_node(struct world *w, int node, enum sim_item_kind kind);
void queue_forget_node(struct world *w, int node);
void net_send_ike(struct world *w, int sender, const struct ike_action *a);
/* True: it is on its way, with what it carries. */
bool net_send_esp(struct world *w, const struct sim_item *packet, int sender);
bool net_deliver(struct world *w, struct sim_item *item); /* false: nobody there */
void net_use_nat(struct world *w);
void net_rebind_nat(struct world *w);

/* check.c */
void fail_world(struct world *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void check_key(struct world *w, uint64_t key);
void check_message(struct world *w, int sender, const uint8_t *data, size_t size);
void check_node(struct sim_node *n);
uint64_t check_digest(struct sim_node *n); /* of all that ike_show_*() shows */
bool both_up(struct world *w);
bool both_down(struct world *w);
bool both_empty(struct world *w); /* not one SA */
/* One IKE SA and one child pair for each tunnel on both sides, and the same ones. */
bool settled(struct world *w);
/* Likewise, with so many child pairs. */
bool settled_with(struct world *w, unsigned n_children);
/* Likewise, with one for each worker where both ends want that. */
bool settled_as_configured(struct world *w);

struct sim_count {
	unsigned ike, live_ike, child, live_child;
	uint64_t spi_i, spi_r;
	uint32_t spi_in, spi_out;
	bool natt, ports_vary, ike_initiator, child_initiator;
	struct ip_endpoint remote;
	struct ike_suite ike_suite, esp_suite;
};
struct sim_count count_sas(struct sim_node *n, uint32_t tunnel);

#endif
