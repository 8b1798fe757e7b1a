/* SPDX-License-Identifier: Apache-2.0 */
/* ts: traffic selector arithmetic (RFC 7296 2.9). */
#ifndef IKE_TS_H
#define IKE_TS_H

#include "ike/ike.h"

struct ike_ts ike_ts_from_prefix(const struct ip_prefix *p); /* any port, any protocol */
/* Ports 65535 to 0: traffic whose ports cannot be seen (3.13.1). */
bool ike_ts_is_opaque(const struct ike_ts *ts);
bool ike_ts_contains(const struct ike_ts *outer, const struct ike_ts *inner);
/* Intersection of one pair, false if empty. */
bool ike_ts_intersect(const struct ike_ts *a, const struct ike_ts *b, struct ike_ts *out);
/* Narrowing: the intersections of every pair, deduplicated, at most `max`. Returns how many. */
size_t ike_ts_narrow(const struct ike_ts *a, size_t n_a, const struct ike_ts *b, size_t n_b,
		     struct ike_ts *out, size_t max);
/* Every selector of `inner` lies in some selector of `outer`. */
bool ike_ts_subset(const struct ike_ts *inner, size_t n_inner, const struct ike_ts *outer,
		   size_t n_outer);
#define IKE_TS_STRLEN 128
const char *ike_ts_format(const struct ike_ts *ts, char buf[IKE_TS_STRLEN]);

#endif
