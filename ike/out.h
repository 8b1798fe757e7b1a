/* SPDX-License-Identifier: Apache-2.0 */
/* out: what the core asks of the world and tells it, and the answers that it waits for. */
#ifndef IKE_OUT_H
#define IKE_OUT_H

#include "base/sb.h"
#include "ike/ike.h"
#include "ike/msg.h"
#include "ike/table.h"

struct ike;
struct ike_tunnel;

#define container_of(p, type, member) ((type *)(void *)((char *)(p)-offsetof(type, member)))

/* Answers that the core waits for, keyed by the action's request. */
enum ike_pending_kind {
	IKE_PEND_SIGN,
	IKE_PEND_VERIFY,
	IKE_PEND_PPK,
	IKE_PEND_ADD_IN,
	IKE_PEND_ADD_OUT,
	IKE_PEND_SWITCH,
};

struct ike_pending {
	struct ike_link link;
	enum ike_pending_kind kind;
	void *owner;
};

/* ---- out.c: actions */
struct ike_action *ike_act(struct ike *ike, enum ike_action_type type, uint32_t tunnel);
void ike_count(struct ike *ike, enum ike_counter c);
enum ike_counter ike_counter_of(enum ike_err err); /* that an error is counted by */
void ike_send(struct ike *ike, uint32_t tunnel, const struct ip_endpoint *local,
	      const struct ip_endpoint *remote, const uint8_t *data, size_t size);
/* Copies into out->bytes; NULL when full. */
const uint8_t *ike_lend(struct ike *ike, const void *data, size_t size);
/* An event for people: write its text to the builder that comes back. */
struct sb ike_event(struct ike *ike, enum ike_happening what, const struct ike_tunnel *t);
/* A bucket of `burst` tokens that gains one a period; kept as the time when it is full again. */
bool ike_take_token(struct mono *full_at, struct mono now, struct mono_span period, unsigned burst);
/* False: strangers have caused enough events for now; likewise replies without state. */
bool ike_may_complain(struct ike *ike);
bool ike_may_reply(struct ike *ike);
void ike_await(struct ike *ike, struct ike_pending *p, enum ike_pending_kind kind, void *owner,
	       struct ike_action *act);
void ike_unawait(struct ike *ike, struct ike_pending *p);
bool ike_random(struct ike *ike, void *out, size_t size);
/* A number below `n`, for jitter; 0 when the generator fails. */
uint64_t ike_jitter(struct ike *ike, uint64_t n);
const char *ike_notify_name(uint16_t type);

#endif
