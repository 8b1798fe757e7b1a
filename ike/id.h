/* SPDX-License-Identifier: Apache-2.0 */
/*
 * id: identities (RFC 7296 3.5): equal, matching a pattern, as text.
 *
 * Names of hosts and e-mail addresses do not heed the case of ASCII letters. Distinguished names are
 * compared value by value, whatever string type each was encoded in, without heed to case and to
 * blanks at the ends (RFC 5280 7.1, as far as ASCII goes). All else is compared bit by bit.
 */
#ifndef IKE_ID_H
#define IKE_ID_H

#include "base/rd.h"
#include "base/sb.h"
#include "ike/ike.h"

bool ike_id_equal(uint8_t type, struct rd data, const struct ike_id *id);
/*
 * With a pattern (ike_tunnel_cfg.remote_id_wildcard): "*.x.y" takes names with one label or more before
 * ".x.y", "*@x.y" every user of that host, a value "*" of a distinguished name every value, and type
 * IKE_ID_NONE everything. A pattern without any star is compared as it is.
 */
bool ike_id_matches(uint8_t type, struct rd data, const struct ike_id *id, bool wildcard);
/* "fqdn:gw.example.net", "dn:CN=gw, O=Example", "ip:192.0.2.1"; what a peer sent is escaped. */
void ike_id_put(struct sb *s, uint8_t type, struct rd data);

/* Distinguished names. Text is "C=DE, O=Example, CN=gw", in the order in which it is encoded. */
bool ike_dn_encode(const char *text, uint8_t *out, size_t size, size_t *n_out);
bool ike_dn_matches(struct rd der, struct rd pattern, bool wildcard);
bool ike_dn_put(struct sb *s, struct rd der); /* false: malformed; nothing was written */

#endif
