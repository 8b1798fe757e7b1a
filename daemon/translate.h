/* SPDX-License-Identifier: Apache-2.0 */
/*
 * translate: between the configuration, the cores and the dataplane's messages. The cores do not
 * know each other; these functions are the only place that knows two at a time. No I/O.
 */
#ifndef DAEMON_TRANSLATE_H
#define DAEMON_TRANSLATE_H

#include "config/config.h"
#include "bfd/bfd.h"
#include "bgp/bgp.h"
#include "ike/ike.h"
#include "routing/routing.h"
#include "twinbore/dp_msg.h"

/* --------------------------------------------------------- translate_ike.c */

/*
 * An identity as configurations write it: "keyid:TEXT" is a KEY_ID, an address is an address, text
 * with '@' is an RFC822 address, anything else a domain name (RFC 7296 3.5). "" takes `address`.
 * False if it is too long, or empty without an address.
 */
bool translate_id(const char *text, const struct ip_addr *address, struct ike_id *out);

/* False with one line in `why`: what does not fit and what to do. */
bool translate_ike_tunnel(const struct config_connection *c, const struct config_tunnel *t,
			  struct ike_tunnel_cfg *out, char *why, size_t why_size);
struct ike_limits translate_ike_limits(const struct config *c);
/* True if the two would give the IKE core the same. */
bool translate_ike_tunnel_equal(const struct ike_tunnel_cfg *a, const struct ike_tunnel_cfg *b);

/* ---------------------------------------------------------- translate_dp.c */

struct dp_addr translate_dp_addr(const struct ip_addr *a);
struct ip_addr translate_ip_addr(const struct dp_addr *a); /* IP_NONE if it is malformed */
struct ip_endpoint translate_ip_endpoint(const struct dp_endpoint *e);

/*
 * One half of a CHILD_SA as the dataplane's message. `t` gives the options that IKE does not know;
 * NULL: the defaults. False if the selectors make more than DP_MAX_TS pairs.
 */
bool translate_dp_sa(const struct ike_child_sa *child, bool outbound, const struct config_tunnel *t,
		     struct dp_msg *out);
/* Pairs of selectors of one family that these make, after joining what can be joined. */
size_t translate_count_pairs(const struct ike_ts *local, size_t n_local,
			     const struct ike_ts *remote, size_t n_remote);
void translate_dp_peer(const struct ike_child_sa *child, struct dp_msg *out);

/* ------------------------------------------------------- translate_route.c */

/*
 * The configuration as the routing core takes it; `out` borrows from both, until translate_rt_free().
 * NULL: out of memory.
 */
struct translate_rt;
struct translate_rt *translate_rt_new(const struct config *c, struct rt_cfg *out);
void translate_rt_free(struct translate_rt *t); /* NULL is harmless */
/* The action's message; false for those that are not for the dataplane. */
bool translate_dp_route(const struct rt_action *a, struct dp_msg *out);
/* A batch of at most RT_BATCH_MAX. */
void translate_dp_routes(const struct rt_route_op *ops, size_t n, uint32_t request,
			 struct dp_msg *out);

/* --------------------------------------------------------- translate_bgp.c */

/* `preferred`: with a better MED than it has by configuration. */
void translate_bgp_neighbor(const struct config_tunnel *t, bool preferred, bool has_password,
			    struct bgp_neighbor_cfg *out);
void translate_bfd_session(const struct config_tunnel *t, struct bfd_session_cfg *out);
uint32_t translate_router_id(const struct ip_addr *a);

#endif
