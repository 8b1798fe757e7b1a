/* SPDX-License-Identifier: Apache-2.0 */
/* window: message ids, requests, responses, and the datagrams that they are. */
#ifndef IKE_WINDOW_H
#define IKE_WINDOW_H

#include "ike/ike.h"
#include "ike/msg.h"

struct ike_sa;
struct ike_child;
struct ike_packet;
struct ike_offer;

/* What a request of ours is about. In order of urgency, so that the queue is a set. */
enum ike_task {
	IKE_TASK_NONE,
	IKE_TASK_INIT,
	IKE_TASK_INTERMEDIATE,
	IKE_TASK_AUTH,
	IKE_TASK_DELETE_IKE,
	IKE_TASK_DELETE_CHILD,
	IKE_TASK_REKEY_IKE,
	IKE_TASK_REKEY_CHILD,
	IKE_TASK_NEW_CHILD,
	IKE_TASK_UPDATE, /* UPDATE_SA_ADDRESSES */
	IKE_TASK_CHECK,  /* COOKIE2: is the peer where it says? */
	IKE_TASK_NOTICE, /* something that the peer is to know */
	IKE_TASK_DPD,
	IKE_TASK_END,
};

/* A message as it goes out, in one block of memory: its datagrams, then perhaps its plaintext. */
struct ike_sealed {
	size_t size;       /* of all datagrams */
	size_t part;       /* of each of them but the last */
	size_t plain_size; /* 0: it cannot be cut anew */
	uint8_t first;     /* type of the plaintext's first payload */
	uint8_t bytes[];
};

/* Fragments joined to the content of an Encrypted payload (RFC 7383 2.6). */
struct ike_joined {
	uint8_t *data;
	size_t size;
	uint8_t first;
	uint16_t n;
	size_t longest; /* of the fragments' datagrams */
};
struct ike_reassembly;

struct ike_request {
	enum ike_task task;
	uint8_t exchange;
	uint32_t mid;
	struct ike_sealed *data; /* NULL: none is outstanding */
	unsigned n_sent;
	struct mono first_sent;
	struct mono_span interval;
	struct ike_child *child; /* REKEY_CHILD: the old one; DELETE_CHILD */
	struct ike_offer *offer;
};

/* ---- window.c: message ids, requests, responses */
struct ike_header ike_header_of(const struct ike_sa *sa, uint8_t exchange, uint32_t mid,
				bool response);
bool ike_request_send(struct ike_sa *sa, enum ike_task task, uint8_t exchange,
		      struct ike_builder *inner, struct ike_child *child, struct ike_offer *offer);
bool ike_request_send_raw(struct ike_sa *sa, enum ike_task task, const uint8_t *data, size_t size);
void ike_request_again(struct ike_sa *sa); /* retransmit */
void ike_request_done(struct ike_sa *sa);  /* answered or given up; frees it */
bool ike_response_send(struct ike_sa *sa, struct ike_builder *inner, bool hold);
void ike_response_release(struct ike_sa *sa);
void ike_response_repeat(struct ike_sa *sa, const struct ike_packet *p, bool fragment);
void ike_response_error(struct ike_sa *sa, uint16_t notify, const void *data, size_t size);
void ike_sa_run(struct ike_sa *sa); /* the next request, if one may go out */
void ike_window_free(struct ike_sa *sa);

/* ---- sync.c: message ids after a failover (RFC 6311) */
#define IKE_MID_LAST        0x7fffff00u /* rekeyed long before the ids run out (RFC 7296 2.2) */
#define IKE_SYNC_NONCE_SIZE 4
/* Our ids may be behind what the peer has seen: until it has told its own, nothing else is said. */
struct ike_resync {
	bool wanted;
	bool was_busy;  /* a request of the peer was in work when the record was made */
	bool half_made; /* ... and so was a child */
	bool doubt;     /* afterwards: whether the children are those of the record */
	uint8_t nonce[IKE_SYNC_NONCE_SIZE];
	struct ike_sealed *data; /* what asks for it */
	unsigned n_sent;
	struct mono first_sent;
};
void ike_sync_start(struct ike_sa *sa);
void ike_sync_again(struct ike_sa *sa);
void ike_sync_response(struct ike_sa *sa, const struct ike_packet *p, const struct ike_msg *m);
bool ike_sync_child_unknown(struct ike_sa *sa, const struct ike_msg *m);
void ike_sync_free(struct ike_sa *sa);
bool ike_sync_request(struct ike_sa *sa, const struct ike_packet *p, const struct ike_msg *m);

/* ---- fragment.c: a message as one datagram or several (RFC 7383) */
#define IKE_FRAGMENTS_SENT  32
#define IKE_FRAGMENTS_TAKEN 64
void ike_sealed_free(struct ike_sealed *s);                           /* NULL is fine */
struct ike_sealed *ike_sealed_copy(const uint8_t *data, size_t size); /* IKE_SA_INIT */
void ike_sealed_fix(struct ike_sealed *s); /* it is never cut again: its keys are of the past */
size_t ike_sealed_count(const struct ike_sealed *s); /* of datagrams */
struct ike_sealed *ike_seal(struct ike_sa *sa, const struct ike_header *h,
			    struct ike_builder *inner);
/*
 * For a path that is narrower than we thought: cuts the message anew, for IP datagrams of at most
 * `datagram` bytes, or of the next size to try if that is 0. False: it stays as it is.
 */
bool ike_sealed_cut(struct ike_sa *sa, struct ike_sealed **s, uint16_t datagram);
/* Of the IP datagram that holds a message of so many bytes. */
uint16_t ike_datagram_size(const struct ike_sa *sa, size_t message_size);

/* ---- reassembly.c: the peer's fragments */
/* Whether a fragment that is not authenticated yet could be of use; changes nothing. */
bool ike_reassembly_wants(struct ike_sa *sa, const struct ike_msg *m);
/* An authentic one that is wanted; true: it was the last, and `out` is the caller's to free. */
bool ike_reassembly_add(struct ike_sa *sa, const struct ike_msg *m, struct rd content,
			size_t datagram, struct ike_joined *out);
void ike_joined_free(struct ike_joined *j);
void ike_reassembly_free(struct ike_sa *sa, bool response);
struct mono ike_reassembly_expire(struct ike_sa *sa, struct mono_span limit);

#endif
