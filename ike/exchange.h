/* SPDX-License-Identifier: Apache-2.0 */
/* exchange: where a message goes, and the exchanges of an established IKE SA. */
#ifndef IKE_EXCHANGE_H
#define IKE_EXCHANGE_H

#include "ike/sa.h"

struct ike;
struct ike_sa;
struct ike_child;
struct ike_packet;
struct ike_offer;
struct ike_follow;

/* ---- dispatch.c */
void ike_dispatch(struct ike *ike, const struct ike_packet *p);

/* ---- ke.c: key exchange methods, groups and KEMs */
/* The suite's additional method from index *i on, whose index it becomes; IKE_DH_NONE: no more. */
uint16_t ike_ke_next(const struct ike_suite *s, unsigned *i);
bool ike_ke_additional(const struct ike_suite *s);
/* Initiator: the value to send, and later the secret. NULL: not available, not acceptable. */
struct ike_dh_key *ike_ke_new(struct ike *ike, uint16_t method, uint8_t value[IKE_DH_MAX],
			      size_t *size);
struct secret *ike_ke_finish(struct ike *ike, struct ike_dh_key *key, uint16_t method,
			     const struct ike_ke_payload *theirs);
/* Responder: both at once. */
struct secret *ike_ke_answer(struct ike *ike, uint16_t method, const struct ike_ke_payload *theirs,
			     uint8_t value[IKE_DH_MAX], size_t *size);
struct secret *ike_ke_join(struct secret *a, struct secret *b);

/* ---- exchange_create_child.c */
void ike_create_child_start(struct ike_sa *sa, struct ike_child *old, uint32_t resource);
void ike_create_child_request(struct ike_sa *sa, const struct ike_packet *p,
			      const struct ike_msg *m);
void ike_rekey_child_request(struct ike_sa *sa, const struct ike_packet *p,
			     const struct ike_msg *m);
void ike_create_child_response(struct ike_sa *sa, const struct ike_packet *p,
			       const struct ike_msg *m);
void ike_refuse_request(struct ike_sa *sa, const struct ike_packet *p, const struct ike_msg *m);

bool ike_sa_in_change(const struct ike_sa *sa);
bool ike_child_rekeyable(const struct ike_child *old, const struct ike_sa *sa);
/* With all secrets (also for exchange_followup.c); the initiator's take the offer. */
void ike_create_child_conclude(struct ike_sa *sa, struct ike_child *old, bool rekey,
			       struct ike_offer *o, const struct ike_terms *terms,
			       const struct ike_nonces *n, const struct secret *shared);
void ike_create_child_abandon(struct ike_sa *sa, struct ike_child *old, struct ike_offer *o,
			      const struct ike_terms *terms);
void ike_create_child_failed(struct ike_sa *sa, struct ike_child *old, struct ike_offer *o,
			     bool temporary);
void ike_create_child_accept(struct ike_sa *sa, struct ike_child *old, uint32_t slot,
			     uint32_t spi_in, const struct ike_terms *terms,
			     const struct ike_nonces *n, const struct secret *shared,
			     struct ike_builder *answer);

/* ---- exchange_followup.c */
struct ike_follow *ike_follow_of_child(const struct ike_terms *terms, const struct ike_nonces *n,
				       struct secret *first);
struct ike_follow *ike_follow_of_ike(const struct ike_suite *suite, const struct ike_nonces *n,
				     uint64_t spi_i, uint64_t spi_r, struct secret *first);
void ike_follow_free(struct ike *ike, struct ike_follow *f);
void ike_follow_drop(struct ike_sa *sa);
void ike_follow_request(struct ike_sa *sa, struct ike_child *old, struct ike_offer *o,
			const struct ike_msg *m);
void ike_follow_response(struct ike_sa *sa, const struct ike_packet *p, const struct ike_msg *m);
void ike_follow_await(struct ike_sa *sa, struct ike_follow *f, struct ike_builder *answer);
void ike_follow_take(struct ike_sa *sa, const struct ike_packet *p, const struct ike_msg *m);

/* ---- exchange_rekey_ike.c */
void ike_rekey_start(struct ike_sa *sa);
bool ike_rekey_in_change(const struct ike_sa *sa);
void ike_rekey_conclude(struct ike_sa *sa, struct ike_offer *o, const struct ike_suite *suite,
			const struct ike_nonces *n, uint64_t spi_r, const struct secret *shared);
void ike_rekey_failed(struct ike_sa *sa, struct ike_offer *o, bool temporary);
void ike_rekey_accept(struct ike_sa *sa, const struct ike_suite *suite, const struct ike_nonces *n,
		      uint64_t spi_i, uint64_t spi_r, const struct secret *shared,
		      struct ike_builder *answer);
void ike_rekey_request(struct ike_sa *sa, const struct ike_packet *p, const struct ike_msg *m);
void ike_rekey_response(struct ike_sa *sa, const struct ike_packet *p, const struct ike_msg *m);

/* ---- exchange_informational.c */
void ike_info_start_delete_ike(struct ike_sa *sa);
void ike_info_start_delete_child(struct ike_sa *sa, struct ike_child *c);
void ike_info_start_dpd(struct ike_sa *sa);
void ike_info_request(struct ike_sa *sa, const struct ike_packet *p, const struct ike_msg *m);
void ike_info_response(struct ike_sa *sa, const struct ike_packet *p, const struct ike_msg *m);

#endif
