/* SPDX-License-Identifier: Apache-2.0 */
/* timer_int: what the files of timer share. */
#ifndef IKE_TIMER_INT_H
#define IKE_TIMER_INT_H

#include "ike/timer.h"

#define IKE_BACKOFF_LONGEST   span_s(60)
#define IKE_PEER_DELETE_GRACE span_s(20) /* the peer should have deleted what it replaced */
#define IKE_DEFAULT_LIFE      span_s(8 * 3600)
#define IKE_TEMPORARY_FIRST   span_ms(500)
#define IKE_TEMPORARY_LONGEST span_s(16)

struct ike_tunnel_cfg;

/* ---- timer.c */
void ike_timer_set(struct ike *ike, struct ike_timer *t, struct mono at);
void ike_timer_arm(struct ike *ike, struct ike_timer *t, struct mono_span in);
/* d, up to `percent` longer. */
struct mono_span ike_timer_jittered(struct ike *ike, struct mono_span d, unsigned percent);
/* The n-th of a series that begins with `first`. */
struct mono_span ike_timer_doubled(struct mono_span first, unsigned n, struct mono_span longest);
/* When to begin with what ends in `life`. */
struct mono_span ike_timer_soft(struct ike *ike, const struct ike_tunnel_cfg *cfg,
				struct mono_span life);
/* The nodes hold the deadlines that the record had. */
void ike_timer_resumed(struct ike *ike, struct ike_timer *t);

/* ---- timer_sa.c: what is done when the time has come */
void ike_timer_retransmit_due(struct ike_sa *sa);
void ike_timer_reassembly_due(struct ike_sa *sa);
void ike_timer_follow_due(struct ike_sa *sa);
void ike_timer_half_open_due(struct ike_sa *sa);
void ike_timer_dpd_due(struct ike_sa *sa);
void ike_timer_keepalive_due(struct ike_sa *sa);
void ike_timer_ike_rekey_due(struct ike_sa *sa);
void ike_timer_ike_expired(struct ike_sa *sa);

/* ---- timer_child.c */
void ike_timer_child_rekey_due(struct ike_child *c);
void ike_timer_child_expired(struct ike_child *c);
void ike_timer_child_step_due(struct ike_child *c);
void ike_timer_resources_due(struct ike_tunnel *t);
void ike_timer_dp_lost_due(struct ike_tunnel *t);

#endif
