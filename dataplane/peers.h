/* SPDX-License-Identifier: Apache-2.0 */
/* peers: the outside addresses that the configuration names for peers, as a set that workers ask. */
#ifndef DATAPLANE_PEERS_H
#define DATAPLANE_PEERS_H

#include <stdbool.h>
#include <stdint.h>
#include "base/addr.h"

struct config;
struct dp_peers;

/* NULL: no memory. Never changed after this; free() ends it. */
struct dp_peers *dp_peers_of(const struct config *c);
bool dp_peers_have(const struct dp_peers *p, const struct ip_addr *a);

#endif
