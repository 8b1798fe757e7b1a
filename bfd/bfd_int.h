/* SPDX-License-Identifier: Apache-2.0 */
/* bfd_int: the structs behind bfd.h. Names of members are RFC 5880 6.8.1's. */
#ifndef BFD_BFD_INT_H
#define BFD_BFD_INT_H

#include "base/heap.h"
#include "bfd/bfd.h"

#define BFD_SLOT_BITS    16
#define BFD_SESSIONS_MAX (1u << BFD_SLOT_BITS)
/* RFC 5880 6.8.3: no more often than once a second while the session is not up. */
#define BFD_SLOW_TX_US 1000000u

enum bfd_flag { /* RFC 5880 4.1, second byte */
		BFD_FLAG_POLL = 0x20,
		BFD_FLAG_FINAL = 0x10,
		BFD_FLAG_CONTROL_INDEPENDENT = 0x08,
		BFD_FLAG_AUTH = 0x04,
		BFD_FLAG_DEMAND = 0x02,
		BFD_FLAG_MULTIPOINT = 0x01,
};

enum bfd_diagnostic { /* RFC 5880 4.1 */
		      BFD_DIAG_NONE = 0,
		      BFD_DIAG_DETECTION_EXPIRED = 1,
		      BFD_DIAG_NEIGHBOR_DOWN = 3,
		      BFD_DIAG_PATH_DOWN = 5,
		      BFD_DIAG_ADMIN_DOWN = 7,
		      BFD_DIAG_END = 9,
};

struct bfd_packet {
	uint8_t diagnostic, state, flags, multiplier;
	uint32_t my_discriminator, your_discriminator;
	uint32_t desired_min_tx, required_min_rx, required_min_echo_rx; /* microseconds */
};
/* BFD_DROP_END: it is well-formed (steps 1 to 6 of RFC 5880 6.8.6), else why not. */
enum bfd_drop bfd_packet_parse(const uint8_t *data, size_t size, struct bfd_packet *out);
void bfd_packet_build(const struct bfd_packet *p, uint8_t out[BFD_PACKET_SIZE]);

struct bfd_session {
	struct bfd_session_cfg cfg;
	struct heap_node timer; /* the earlier of the two below */
	struct mono tx_at;      /* the next periodic packet */
	struct mono detect_at;  /* the peer is dead */
	struct mono since;      /* of the state */
	enum bfd_state state, remote_state;
	uint8_t local_diag, remote_diag;
	uint32_t local_discr, remote_discr;
	uint32_t desired_min_tx, required_min_rx; /* as told to the peer, microseconds */
	uint32_t tx_us; /* what we send by: DesiredMinTxInterval as far as it may be used yet */
	uint32_t rx_us; /* what we detect by, likewise */
	uint32_t remote_min_rx, remote_min_tx;
	uint8_t remote_mult;
	bool poll; /* a Poll Sequence is under way (6.5) */
	uint64_t packets_in, packets_out;
	uint32_t flaps;
};

struct bfd {
	struct bfd_session **sessions; /* sorted by addresses */
	size_t n;
	struct bfd_session **slots; /* by the low bits of the discriminator; NULL: free */
	size_t n_slots;
	struct heap timers;
	uint32_t (*random)(void *ctx);
	void *random_ctx;
	const struct tracer *tracer;
	uint64_t dropped[BFD_DROP_END];
};

struct bfd_action *bfd_action_add(struct bfd_out *out, enum bfd_action_type type,
				  const struct bfd_session *s);

/* session.c: one session's procedures. */
void bfd_session_start(struct bfd *b, struct bfd_session *s, struct mono now);
void bfd_session_retime(struct bfd *b, struct bfd_session *s, struct mono now);
void bfd_session_receive(struct bfd *b, struct bfd_session *s, const struct bfd_packet *p,
			 struct mono now, struct bfd_out *out);
void bfd_session_expire(struct bfd *b, struct bfd_session *s, struct mono now, struct bfd_out *out);
/* To a state of our own choosing: AdminDown, out of it, or Down because the path is. */
void bfd_session_force(struct bfd *b, struct bfd_session *s, enum bfd_state to, uint8_t diagnostic,
		       struct mono now, struct bfd_out *out);
struct mono_span bfd_session_tx(const struct bfd_session *s);        /* without jitter; 0: none */
struct mono_span bfd_session_detection(const struct bfd_session *s); /* 0: not known yet */

#endif
