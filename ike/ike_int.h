/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ike_int: the objects behind ike.h and what the core's files offer each other, by noun.
 *
 * Ownership: struct ike owns tunnels; a tunnel owns its IKE SAs and its children; a child names the
 * IKE SA that negotiates for it, and moves when that is rekeyed. Half-open SAs of unknown peers
 * belong to struct ike until IKE_AUTH settles the tunnel. Objects that end during a step stay in
 * memory, marked gone, until the step's end, so that no caller up the stack holds a stale pointer.
 */
#ifndef IKE_INT_H
#define IKE_INT_H

#include "ike/child.h"
#include "ike/core.h"
#include "ike/exchange.h"
#include "ike/extension.h"
#include "ike/handshake.h"
#include "ike/out.h"
#include "ike/sa.h"
#include "ike/session.h"
#include "ike/timer.h"
#include "ike/tunnel.h"
#include "ike/window.h"

#endif
