/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BFD (RFC 5880, RFC 5881, RFC 5883), asynchronous mode, as a sans-IO core: (event, now) -> actions.
 *
 * One session watches one tunnel from its inside address to the peer's. The caller receives and
 * sends the UDP datagrams, sees to ports and TTL of what it sends (RFC 5881 4, 5), and says what
 * TTL a received one had.
 *
 * Invariants
 *   - A malformed or foreign packet changes a counter and nothing else (RFC 5880 6.8.6).
 *   - AdminDown is no failure: whoever listens is told that BFD says nothing (RFC 5882 3.2).
 *   - Memory does not grow by input.
 * Non-goals: demand mode, echo, authentication beyond discarding what carries it.
 */
#ifndef BFD_BFD_H
#define BFD_BFD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/addr.h"
#include "base/mono.h"
#include "base/trace.h"

#define BFD_NAME_SIZE     32
#define BFD_PACKET_SIZE   24   /* what we send */
#define BFD_PORT          3784 /* RFC 5881 4 */
#define BFD_PORT_MULTIHOP 4784 /* RFC 5883 5 */

enum bfd_state { /* RFC 5880 4.1 */
		 BFD_ADMIN_DOWN = 0,
		 BFD_DOWN = 1,
		 BFD_INIT = 2,
		 BFD_UP = 3,
};
const char *bfd_state_name(enum bfd_state s);
const char *bfd_diagnostic_name(uint8_t diagnostic); /* RFC 5880 4.1 */

struct bfd_session_cfg {
	char name[BFD_NAME_SIZE];
	uint32_t session; /* the tunnel's number */
	struct ip_addr local, remote;
	bool multihop;
	uint8_t min_ttl;     /* multihop: what came with less has come by a longer way; 0: any */
	bool passive;        /* sends nothing before the peer does (6.1) */
	struct mono_span tx; /* DesiredMinTxInterval once up, e.g. 50 ms */
	struct mono_span rx; /* RequiredMinRxInterval */
	uint8_t multiplier;  /* of detection, not 0 */
};

enum bfd_event_type {
	BFD_EV_TICK,
	BFD_EV_PACKET,
	BFD_EV_ADMIN_DOWN, /* of one session */
	BFD_EV_ADMIN_UP,
	BFD_EV_PATH_DOWN, /* the tunnel beneath is gone: Down with diagnostic 5 */
};

struct bfd_event {
	enum bfd_event_type type;
	struct mono now;
	uint32_t session; /* ADMIN_*, PATH_DOWN */
	struct {
		struct ip_addr local, remote;
		uint8_t ttl;
		bool multihop; /* came to the multihop port */
		const uint8_t *data;
		size_t size;
	} packet;
};

enum bfd_action_type {
	BFD_ACT_SEND,
	BFD_ACT_STATE,
};

struct bfd_action {
	enum bfd_action_type type;
	uint32_t session;
	union {
		struct {
			struct ip_addr local, remote;
			bool multihop;
			uint8_t data[BFD_PACKET_SIZE];
		} send;
		struct {
			enum bfd_state from, to;
			uint8_t diagnostic;        /* ours */
			uint8_t remote_diagnostic; /* the peer's last */
			bool peer_admin_down;      /* no failure of the path */
		} state;
	};
};

struct bfd_out {
	struct bfd_action *actions;
	size_t n, size;
	bool overflow;
};
void bfd_out_reset(struct bfd_out *out);
void bfd_out_fini(struct bfd_out *out);

struct bfd;
/* `random`: for discriminators (unpredictable, 6.8.1) and jitter. */
struct bfd *bfd_new(uint32_t (*random)(void *ctx), void *random_ctx, const struct tracer *tracer);
void bfd_free(struct bfd *b);
/* By difference; changed timers are negotiated by Poll and Final (6.8.3) without the session falling. */
bool bfd_configure(struct bfd *b, const struct bfd_session_cfg *sessions, size_t n, struct mono now,
		   struct bfd_out *out);
void bfd_step(struct bfd *b, const struct bfd_event *ev, struct bfd_out *out);
struct mono bfd_deadline(const struct bfd *b);

/* X(NAME, "text-name"): why a packet was discarded (RFC 5880 6.8.6, RFC 5881 5). */
#define BFD_DROPS(X)                                                                               \
	X(TTL, "ttl")                                                                              \
	X(SHORT, "too-short")                                                                      \
	X(VERSION, "version")                                                                      \
	X(LENGTH, "length")                                                                        \
	X(MULTIPLIER, "multiplier-zero")                                                           \
	X(MULTIPOINT, "multipoint")                                                                \
	X(MY_DISCRIMINATOR, "my-discriminator-zero")                                               \
	X(NO_SESSION, "no-session")                                                                \
	X(STATE, "your-discriminator-zero-in-state")                                               \
	X(AUTH, "authentication")                                                                  \
	X(ADMIN_DOWN, "administratively-down")

enum bfd_drop {
#define X(name, text) BFD_DROP_##name,
	BFD_DROPS(X)
#undef X
		BFD_DROP_END,
};
const char *bfd_drop_name(enum bfd_drop d);

struct bfd_show {
	const struct bfd_session_cfg *cfg;
	enum bfd_state state, remote_state;
	uint8_t diagnostic, remote_diagnostic;
	struct mono since;
	uint32_t local_discriminator, remote_discriminator;
	struct mono_span tx, detection; /* in force */
	uint64_t packets_in, packets_out;
	uint32_t flaps;
};
bool bfd_show(const struct bfd *b, uint32_t session, struct bfd_show *out);
uint64_t bfd_dropped(const struct bfd *b, enum bfd_drop d);

#endif
