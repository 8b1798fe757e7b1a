/* SPDX-License-Identifier: Apache-2.0 */
/* timer: all policy of time stands in timer*.c. */
#ifndef IKE_TIMER_H
#define IKE_TIMER_H

#include "base/heap.h"
#include "ike/ike.h"

struct ike;
struct ike_sa;
struct ike_child;
struct ike_tunnel;

#define IKE_CONFIRM_SOON span_s(4)  /* three repetitions of a request */
#define IKE_CONFIRM_LATE span_s(40) /* longer than anybody repeats one */
#define IKE_CONFIRM_SURE span_s(80) /* ... and then a Delete for what came to nothing */

enum ike_timer_kind {
	IKE_TIMER_RETRANSMIT,
	IKE_TIMER_HALF_OPEN,
	IKE_TIMER_IKE_REKEY,
	IKE_TIMER_IKE_EXPIRE,
	IKE_TIMER_IKE_REAUTH,
	IKE_TIMER_DPD,
	IKE_TIMER_KEEPALIVE,
	IKE_TIMER_CHILD_REKEY,
	IKE_TIMER_CHILD_EXPIRE,
	IKE_TIMER_CHILD_STEP,
	IKE_TIMER_TUNNEL_RETRY,
	IKE_TIMER_TUNNEL_SETTLE,
	IKE_TIMER_RESOURCES,
	IKE_TIMER_DP_LOST,
	IKE_TIMER_REASSEMBLY,
	IKE_TIMER_FOLLOW,
	IKE_TIMER_PUZZLE,
};

struct ike_timer {
	struct heap_node node;
	enum ike_timer_kind kind;
	void *owner;
};

/* ---- timer*.c: all policy of time */
void ike_timers_run(struct ike *ike);
void ike_timer_init(struct ike_timer *t, enum ike_timer_kind kind, void *owner);
void ike_timer_stop(struct ike *ike, struct ike_timer *t);
void ike_timer_request_sent(struct ike_sa *sa);
void ike_timer_sync_sent(struct ike_sa *sa);
void ike_timer_request_done(struct ike_sa *sa);
void ike_timer_half_open(struct ike_sa *sa);
void ike_timer_session(struct ike_sa *sa); /* IKE_SESSION_RESUME was sent */
void ike_timer_established(struct ike_sa *sa);
void ike_timer_reauth(struct ike_sa *sa); /* at reauth_at */
/* When to begin with what ends in `life`. */
struct mono_span ike_timer_soft_life(const struct ike_sa *sa, struct mono_span life);
void ike_timer_sign_of_life(struct ike_sa *sa);
void ike_timer_sent(struct ike_sa *sa);
void ike_timer_reassembly(struct ike_sa *sa);
void ike_timer_follow(struct ike_sa *sa);
void ike_timer_follow_done(struct ike_sa *sa);
void ike_timer_puzzle(struct ike_sa *sa);
void ike_timer_ike_rekey_failed(struct ike_sa *sa, bool temporary);
void ike_timer_response_failed(struct ike_sa *sa);
void ike_timer_redirected(struct ike_sa *sa, struct mono_span in);
void ike_timer_sent_unanswered(struct ike_sa *sa); /* traffic out and none in */
void ike_timer_ike_replaced(struct ike_sa *sa, bool by_peer);
void ike_timer_sa_resumed(struct ike_sa *sa); /* those that the record has */
void ike_timer_sa_stop(struct ike_sa *sa);
void ike_timer_child_installing(struct ike_child *c);
void ike_timer_child_installed(struct ike_child *c);
void ike_timer_child_awaits_switch(struct ike_child *c);
void ike_timer_child_predecessor_gone(struct ike_child *c);
void ike_timer_child_switched(struct ike_child *c);
void ike_timer_child_rekey_failed(struct ike_child *c, bool temporary);
void ike_timer_child_rekey_later(struct ike_child *c);
void ike_timer_child_replaced(struct ike_child *c, bool by_peer);
void ike_timer_child_revived(struct ike_child *c); /* not redundant any more */
void ike_timer_child_lingers(struct ike_child *c);
void ike_timer_child_resumed(struct ike_child *c);
void ike_timer_child_stop(struct ike_child *c);
void ike_timer_initiation_failed(struct ike_tunnel *t);
void ike_timer_child_creation_failed(struct ike_tunnel *t, bool temporary);
void ike_timer_tunnel_retry(struct ike_tunnel *t);
void ike_timer_settle(struct ike_tunnel *t);
void ike_timer_resources(struct ike_tunnel *t, struct mono at);
void ike_timer_resources_failed(struct ike_tunnel *t, bool temporary);
void ike_timer_resources_later(struct ike_tunnel *t); /* after what the peer wished */
void ike_timer_dp_lost(struct ike_tunnel *t);
void ike_timer_tunnel_stop(struct ike_tunnel *t);

#endif
