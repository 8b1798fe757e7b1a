/* SPDX-License-Identifier: Apache-2.0 */
/*
 * payload: what the files of single payloads and the walker share. A parse function gets the body
 * after the generic header and must consume all of it; `type` is the payload's type, for those
 * that stand in two roles.
 */
#ifndef IKE_PAYLOAD_H
#define IKE_PAYLOAD_H

#include "ike/msg.h"

#define IKE_PAYLOAD_HEADER_SIZE 4

typedef enum ike_err ike_payload_parse_fn(uint8_t type, struct rd body, struct ike_msg *msg);

ike_payload_parse_fn ike_sa_parse;
ike_payload_parse_fn ike_ke_parse;
ike_payload_parse_fn ike_id_parse;
ike_payload_parse_fn ike_auth_parse;
ike_payload_parse_fn ike_cert_parse;
ike_payload_parse_fn ike_certreq_parse;
ike_payload_parse_fn ike_nonce_parse;
ike_payload_parse_fn ike_notify_parse;
ike_payload_parse_fn ike_ps_parse;
ike_payload_parse_fn ike_delete_parse;
ike_payload_parse_fn ike_ts_parse;

/* Starts a payload and chains it to the one before; returns its offset for ike_payload_close(). */
size_t ike_payload_open(struct ike_builder *b, uint8_t type);
void ike_payload_close(struct ike_builder *b, size_t at);

#endif
