/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record: one established IKE SA with its children as bytes, so that another process can go on
 * where this one ended.
 *
 *	magic 4 | version 2 | saved at 8 | our SPI 8 | section ...
 *	section: type 2 | length 4 | fields
 *
 * Each kind of section has one function that names its fields; the same function writes and reads,
 * so that the two cannot differ. What belongs to a later version is appended to its section after
 * codec_version(): a record of an earlier one ends there and leaves the later fields as they are, and
 * a reader of an earlier one skips what it does not know.
 *
 * A record holds keys. It is lent in memory that the caller's ike_out_reset() wipes; whoever keeps it
 * keeps it as a secret.
 */
#ifndef IKE_RECORD_H
#define IKE_RECORD_H

#include "base/wr.h"
#include "ike/ike_int.h"

#define IKE_RECORD_MAGIC   0x54574953u
#define IKE_RECORD_VERSION 2
#define IKE_RECORD_HEADER  22

enum ike_section {
	IKE_SECTION_SA = 1,
	IKE_SECTION_KEYS = 2,
	IKE_SECTION_REQUEST = 3,
	IKE_SECTION_RESPONSE = 4,
	IKE_SECTION_CHILD = 5, /* one for each */
	IKE_SECTION_SESSION = 6,
};

/* What a record says beyond the object itself: other objects, by the names that survive. */
struct ike_sa_record {
	char tunnel[IKE_NAME_SIZE];
	uint32_t number;
	uint64_t cfg; /* ike_cfg_digest(): what the SAs cannot live without */
	uint64_t rekeyed_by_us, rekeyed_by_peer; /* our SPIs of the successors, 0 = none */
	struct ike_id peer_id;                   /* who has the tunnel */
};

struct ike_request_record {
	uint32_t child; /* slot, IKE_NO_SLOT = none */
	bool offer;
};

struct ike_child_record {
	bool current;
	uint32_t replaces, rekeyed_by_us, rekeyed_by_peer; /* slots */
};

#define IKE_NO_SLOT UINT32_MAX

struct ike_codec {
	bool saving;
	bool failed;
	bool ended; /* reading: an earlier version's section ends here */
	struct wr w;
	struct rd r;
	/* Reading: a point in time `saved` of the writer's clock is `now` - `age` of ours. */
	struct mono saved, now;
	struct mono_span age;
};

void codec_sa(struct ike_codec *c, struct ike_sa *sa, struct ike_sa_record *x);
void codec_keys(struct ike_codec *c, struct ike_sa_keys *k);
void codec_request(struct ike_codec *c, struct ike *ike, struct ike_request *req,
		   struct ike_request_record *x);
void codec_response(struct ike_codec *c, struct ike_sa *sa);
void codec_session(struct ike_codec *c, struct ike_session *s);
void codec_child(struct ike_codec *c, struct ike_child *child, struct ike_child_record *x);

/* ---- resume.c: what a record says of others, kept until all are there */
struct ike_resume_sa {
	struct ike_sa *sa;
	uint64_t rekeyed_by_us, rekeyed_by_peer; /* our SPIs, 0 = none */
	uint32_t request_child;                  /* slot */
};

struct ike_resume_child {
	struct ike_child *c;
	uint32_t replaces, rekeyed_by_us, rekeyed_by_peer; /* slots */
};

bool ike_resume_slot_used(const struct ike *ike, uint32_t slot);
void ike_resume_take_slot(struct ike *ike, uint32_t slot);
bool ike_resume_remember(struct ike *ike, const struct ike_resume_sa *sa,
			 const struct ike_resume_child *children, size_t n);

#endif
