/* SPDX-License-Identifier: Apache-2.0 */
/* core: the whole, and its records. */
#ifndef IKE_CORE_H
#define IKE_CORE_H

#include "base/mac.h"
#include "ike/tunnel.h"

struct ike_sa;
struct ike_child;
struct ike_tunnel;

struct ike {
	struct ike_limits limits;
	struct ike_crypto crypto;
	const struct tracer *tracer;
	struct mono now;     /* of the step that runs */
	struct ike_out *out; /* likewise */
	size_t out_from;     /* where its actions begin */
	struct heap timers;
	TAILQ_HEAD(, ike_tunnel) tunnels;
	struct ike_table by_number, by_addresses, by_spi, by_init, sources, pendings;
	uint64_t last_request;
	struct mono complaints_full_at, replies_full_at; /* buckets of what strangers may cause */

	struct ike_sa_list half_open; /* as responder, tunnel unknown */
	uint32_t n_half_open;
	size_t half_open_bytes; /* of fragments that they sent us */
	bool cookies, puzzles;
	uint8_t digest_key[MAC_KEY_SIZE];
	uint8_t cookie_secrets[2][MAC_KEY_SIZE]; /* current, previous */
	uint8_t cookie_version;
	struct mono cookie_rotated, cookies_since, puzzles_since;
	struct mono unsolved_full_at; /* bucket of those that solve no puzzle */

	struct ike_child **slots;
	uint32_t *free_slots; /* a ring: a slot rests as long as possible before it serves again */
	uint32_t n_fresh, n_free, free_head;

	struct ike_tunnel *touched;
	size_t n_saves; /* at most so many records are due at the step's end */
	uint64_t save_seed;
	struct ike_resume *resume; /* until the last of the inventory */

	struct ike_sa *dead_sas;
	struct ike_child *dead_children;
	struct ike_tunnel *dead_tunnels;
	struct secret *ticket_keys[2]; /* current, previous */
	uint8_t ticket_key;            /* the current one's number */
	struct mono ticket_rotated;
	uint64_t ticket_serial; /* of the last ticket */

	uint64_t counters[IKE_CNT_END];
};

/* A datagram on its way through the core. */
struct ike_packet {
	struct ip_endpoint local, remote;
	const uint8_t *data;
	size_t size;
};

/* ---- save.c: records */
void ike_touch(struct ike_tunnel *t); /* something of it may change in this step; NULL is fine */
void ike_untouch(struct ike_tunnel *t);
void ike_saves_flush(struct ike *ike, size_t from);
uint64_t ike_mix(uint64_t seed, const void *data, size_t size);

/* ---- resume.c: from records */
bool ike_resume_is_stale(const struct ike *ike);
void ike_resume_free(struct ike *ike);
void ike_resume_inventory(struct ike *ike, const struct ike_dp_slot *slots, size_t n, bool last);
void ike_tunnel_resume(struct ike_tunnel *t);

#endif
