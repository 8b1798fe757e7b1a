/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ESP in tunnel mode (RFC 4303, RFC 4301 5) as pure functions over packets in memory, in bursts.
 *
 * Called by the dataplane's workers (and by tests and benchmarks); knows no mbuf, port or thread.
 * An SA half belongs to one thread at a time: nothing here locks.
 *
 * Invariants
 *   - Replay is checked before decryption and updated only after it, against the window as it then
 *     is (RFC 4303 3.4.3): two copies in one burst yield one packet.
 *   - A sequence number, and with it a GCM nonce, is used once; at the hard limit the half stops.
 *   - A bad packet gets a drop reason and changes neither its neighbours nor the SA.
 *   - Nothing is written outside [data - headroom, data + size + tailroom).
 */
#ifndef ESP_ESP_H
#define ESP_ESP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/addr.h"
#include "esp/aead.h"

#define ESP_BURST_MAX  64
#define ESP_TS_MAX     36 /* every pair of six local and six remote selectors */
#define ESP_WINDOW_MAX 4096

/* X(NAME, "text-name"): why ESP refuses a packet. OK stands first and is no drop. */
#define ESP_DROPS(X)                                                                               \
	X(OK, "ok")                                                                                \
	X(OUT_NOT_IP, "esp-out-not-ip")                                                            \
	X(OUT_TRUNCATED, "esp-out-truncated")                                                      \
	X(OUT_CHECKSUM, "esp-out-header-checksum")                                                 \
	X(OUT_NO_ROOM, "esp-out-no-room")                                                          \
	X(OUT_TOO_BIG, "esp-out-too-big")                                                          \
	X(OUT_TTL, "esp-out-ttl-expired")                                                          \
	X(OUT_SELECTOR, "esp-out-selector-mismatch")                                               \
	X(OUT_EXHAUSTED, "esp-out-sequence-exhausted")                                             \
	X(OUT_CRYPTO, "esp-out-crypto")                                                            \
	X(IN_TRUNCATED, "esp-in-truncated")                                                        \
	X(IN_ALIGNMENT, "esp-in-alignment")                                                        \
	X(IN_REPLAYED, "esp-in-replayed")                                                          \
	X(IN_LATE, "esp-in-before-window")                                                         \
	X(IN_AUTH, "esp-in-integrity-failed")                                                      \
	X(IN_PAD, "esp-in-padding")                                                                \
	X(IN_NEXT_HEADER, "esp-in-next-header")                                                    \
	X(IN_DUMMY, "esp-in-dummy")                                                                \
	X(IN_INNER, "esp-in-inner-malformed")                                                      \
	X(IN_SELECTOR, "esp-in-selector-mismatch")                                                 \
	X(IN_ECN, "esp-in-ecn-ce-not-ect")                                                         \
	X(IN_EXPIRED, "esp-in-hard-limit")

enum esp_drop {
#define X(name, text) ESP_DROP_##name,
	ESP_DROPS(X)
#undef X
		ESP_DROP_END,
};
const char *esp_drop_name(enum esp_drop d);

/* One packet, in place. Encapsulation: data = inner IP header in, outer IP header out.
 * Decapsulation: data = outer IP header in (already known to be whole and unfragmented), inner out. */
struct esp_pkt {
	uint8_t *data;
	uint32_t size;
	uint32_t headroom; /* writable bytes before data */
	uint32_t tailroom; /* writable bytes after data + size */
	union {
		/* Of decapsulation, by esp_locate(): where SPI and ICV's end are; 0: not looked
		 * for yet. */
		uint16_t esp_offset;
		/* Of encapsulation in UDP: another source port than the SA's, or 0. */
		uint16_t source_port;
	};
	/* In, encapsulation: this gateway is the packet's origin (BGP, BFD, ping from the inside
	 * interface), not a router on its way: its TTL is left alone (RFC 4301 5.1.2.1, RFC 5881 5). */
	bool from_self;
	/* Out of decapsulation: 4 or 6. In, encapsulation: the same, if the caller has verified the
	 * inner header (`size` is its total length, its checksum is right); 0: not yet. */
	uint8_t inner_family;
	uint32_t esp_size;
	enum esp_drop drop; /* out; ESP_DROP_OK = go on */
};

/* A selector pair as this gateway sees it; ranges inclusive. */
struct esp_ts {
	struct ip_addr local_first, local_last, remote_first, remote_last;
	uint16_t local_port_first, local_port_last, remote_port_first, remote_port_last;
	uint8_t protocol;
};

enum esp_df {
	ESP_DF_COPY,
	ESP_DF_CLEAR,
	ESP_DF_SET,
};

/* Everything that makes an SA half; copied by the *_new functions, wiped by the caller. */
struct esp_sa_cfg {
	uint32_t spi; /* host byte order */
	struct esp_suite suite;
	bool esn;
	bool udp_encap; /* outbound only */
	bool copy_dscp;
	enum esp_df df;
	uint16_t replay_window; /* inbound: 0, or 64..4096, rounded up to a multiple of 64 */
	struct ip_endpoint local, remote;
	uint64_t first_seq;                                          /* outbound */
	uint64_t soft_packets, hard_packets, soft_bytes, hard_bytes; /* 0 = none */
	size_t n_ts;                                                 /* with 0 no packet may pass */
	struct esp_ts ts[ESP_TS_MAX];
	const uint8_t *encr_key; /* key, then salt */
	const uint8_t *integ_key;
};

#define ESP_OUT_ROOM 12 /* bytes that an outbound half begins with, for the caller: see quick.h */
#define ESP_IN_ROOM  12 /* bytes that an inbound half begins with, for the caller: see in_line.h */

struct esp_out; /* outbound half */
struct esp_in;  /* inbound half */

#define ESP_AEADS_MAX 5

/* A backend with one thread's context of it. */
struct esp_aead {
	const struct esp_backend *backend;
	void *ctx;
};

/*
 * One thread's tools: backends in order of preference, of which each suite gets the one chosen for it,
 * else the first that supports it, and a source of unpredictable CBC IVs. An SA half may be made with
 * one thread's tools and used with another's, if both have the same backends.
 */
struct esp_thread {
	struct esp_aead aead[ESP_AEADS_MAX + 1]; /* ends with a backend NULL */
	uint8_t chosen[ESP_N_SUITES]; /* 1 + the index of a suite's backend; 0: the first */
	/* Fills with unpredictable bytes, for CBC IVs; injected by the shell. */
	void (*random)(void *arg, uint8_t *out, size_t size);
	void *random_arg;
};

/* Whether one of the thread's backends protects packets so. */
bool esp_thread_supports(const struct esp_thread *t, const struct esp_suite *s);

struct esp_out *esp_out_new(struct esp_thread *t,
			    const struct esp_sa_cfg *cfg); /* NULL: unsupported, no memory */
void esp_out_free(struct esp_out *sa);                     /* wipes */
struct esp_in *esp_in_new(struct esp_thread *t, const struct esp_sa_cfg *cfg);
void esp_in_free(struct esp_in *sa);

/*
 * The same in memory of the caller's, zeroed, aligned to a cache line and wiped by him: what is read together with a
 * half can lie beside it. False: unsupported, no memory. What a half that is in use has of its own ends
 * with fini.
 */
size_t esp_out_size(void);
bool esp_out_init(struct esp_out *sa, struct esp_thread *t, const struct esp_sa_cfg *cfg);
void esp_out_fini(struct esp_out *sa);
size_t esp_in_size(const struct esp_sa_cfg *cfg);
bool esp_in_init(struct esp_in *sa, struct esp_thread *t, const struct esp_sa_cfg *cfg);
void esp_in_fini(struct esp_in *sa);

/* Encapsulates n <= ESP_BURST_MAX packets of one SA; each gets a drop reason. Returns how many are OK. */
size_t esp_encap(struct esp_thread *t, struct esp_out *sa, struct esp_pkt *pkts, size_t n);
/* The reverse. UDP encapsulation is recognised by the packet itself, not by configuration. */
size_t esp_decap(struct esp_thread *t, struct esp_in *sa, struct esp_pkt *pkts, size_t n);

/*
 * The same in stages, so that the packets of many SAs are sealed or opened in one go: prepare each
 * SA's packets into a batch, seal or open the batch, then finish each SA's packets. A stage may run
 * on another thread than the one before it, if only one is at an SA half at any time. Sealing and opening touch
 * nothing of a half but its key: where keys are shared, other threads may do that meanwhile.
 *
 * prepare: checks each of an SA's packets, takes their sequence numbers, writes everything but the
 *   ciphertext, and adds a job to the batch for every packet that is OK, in their order. Returns the
 *   first of these jobs. There is room for ESP_BURST_MAX packets in a batch.
 * finish, accept: the packets and jobs of one prepare. Returns how many are OK.
 */
struct esp_batch {
	size_t n[ESP_AEADS_MAX]; /* for each of the thread's backends */
	struct esp_job jobs[ESP_AEADS_MAX][ESP_BURST_MAX];
};
static inline void esp_batch_init(struct esp_batch *b)
{
	for (size_t i = 0; i < ESP_AEADS_MAX; i++)
		b->n[i] = 0;
}
struct esp_job *esp_out_prepare(struct esp_thread *t, struct esp_out *sa, struct esp_pkt *pkts,
				size_t n, struct esp_batch *batch);
void esp_batch_seal(struct esp_thread *t, struct esp_batch *batch);
/* Whether all of its jobs are done. */
static inline bool esp_batch_all_ok(const struct esp_batch *b)
{
	unsigned ok = 1;

	for (size_t i = 0; i < ESP_AEADS_MAX; i++)
		for (size_t k = 0; k < b->n[i]; k++)
			ok &= b->jobs[i][k].ok;
	return ok;
}
size_t esp_out_finish(const struct esp_out *sa, struct esp_pkt *pkts, size_t n,
		      const struct esp_job *jobs);

struct esp_job *esp_in_prepare(struct esp_in *sa, struct esp_pkt *pkts, size_t n,
			       struct esp_batch *batch);
void esp_batch_open(struct esp_thread *t, struct esp_batch *batch);
size_t esp_in_accept(struct esp_in *sa, struct esp_pkt *pkts, size_t n, const struct esp_job *jobs);

/* Whether several threads may use the half's key at the same time. */
bool esp_out_keys_shared(const struct esp_thread *t, const struct esp_out *sa);
bool esp_in_keys_shared(const struct esp_thread *t, const struct esp_in *sa);

/*
 * SAs of which a burst brings one packet each lie apart in memory. These fetch what the stages will
 * read: first the half itself (of an outbound one, what usual packets read), and, when that has come, its key and
 * the like. And what esp_out_state() reads.
 */
void esp_out_prefetch(const struct esp_out *sa);
void esp_out_prefetch_state(const struct esp_out *sa);
void esp_out_prefetch_key(const struct esp_thread *t, const struct esp_out *sa);
void esp_in_prefetch(const struct esp_in *sa);
void esp_in_prefetch_key(const struct esp_thread *t, const struct esp_in *sa);

/* New outer endpoints or encapsulation (RFC 7296 2.23); keys and sequence stay. */
void esp_out_set_peer(struct esp_out *sa, const struct ip_endpoint *local,
		      const struct ip_endpoint *remote, bool udp_encap);
/* Over IPv6 with UDP: the checksum field gets the pseudo header's sum alone; who sends the packet does
 * the rest, as network devices can. */
void esp_out_leave_udp_sum(struct esp_out *sa, bool left);

/* Largest inner packet for an outer path MTU; 0 if none fits. */
uint32_t esp_inner_mtu(const struct esp_suite *s, bool outer_v6, bool udp_encap,
		       uint32_t outer_mtu);

struct esp_out_state {
	uint64_t packets, bytes; /* inner bytes */
	uint64_t next_seq;
	bool soft_reached, exhausted;
};
struct esp_in_state {
	uint64_t packets, bytes;
	uint64_t seq_high;
	bool soft_reached, expired;
	struct ip_endpoint last_remote,
		last_local; /* of the last authentic packet that was also the newest */
	uint64_t auth_failed, replayed, late, ts_mismatch, malformed;
};
/* As it is now; packets, bytes and number may be asked for by other threads, too. */
void esp_out_state(const struct esp_out *sa, struct esp_out_state *out);
void esp_in_state(const struct esp_in *sa, struct esp_in_state *out);

/* Finds ESP in an outer IP packet, native or in UDP, and gives its SPI; false if it holds none.
 * For UDP: ports are not looked at; a zero SPI is the non-ESP marker (RFC 3948 2.2) and gives false. */
bool esp_locate(struct esp_pkt *p, uint32_t *spi);
/* Only the SPI. */
bool esp_peek_spi(const uint8_t *outer, uint32_t size, uint32_t *spi);

#endif
