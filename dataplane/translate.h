/* SPDX-License-Identifier: Apache-2.0 */
/*
 * translate: the rules of tunnels whose prefixes go by other names inside (netmap.h), and the packets of
 * such tunnels. They come out of ESP and are looked up afterwards; they go into it after their size has
 * been looked at, so that what we say of them names what their senders know. A tunnel without rules takes
 * one look at a pointer, or at a flag of its SA, a run.
 */
#ifndef DATAPLANE_TRANSLATE_H
#define DATAPLANE_TRANSLATE_H

#include <stdbool.h>
#include <stdint.h>
#include "dataplane/tunnel.h"
#include "esp/esp.h"

struct dp_esp_vec;
struct dp_worker;
struct rte_mbuf;

/* The manager: whether a message's rules can be; and takes them, if they are others than before. */
bool dp_translate_valid(const struct dp_tunnel *m);
bool dp_translate_set(struct dp *dp, const struct dp_tunnel *m);
void dp_translate_clear(struct dp *dp, uint32_t tunnel);

bool dp_translate_has(const struct dp *dp, uint32_t tunnel);

/* The rules for packets that come out of a tunnel, or NULL. Valid until the end of the round. */
static inline const struct netmap *dp_translate_of(const struct dp_tunnels *t, uint32_t tunnel)
{
	if (__atomic_load_n(&t->n_translated, __ATOMIC_ACQUIRE) == 0)
		return NULL;
	return __atomic_load_n(&t->hot[tunnel].netmap, __ATOMIC_ACQUIRE);
}

/* A packet that came out of a tunnel. Returns 1: it has other names now, 0: it has none; -1: it was dropped. */
int dp_translate_in(struct dp_worker *w, uint32_t tunnel, const struct netmap *map,
		    struct rte_mbuf *m, uint8_t family);
/* `n` packets of w->encap from `first` on that go into a tunnel; the rest moves up. Returns how many. */
uint16_t dp_translate_out(struct dp_worker *w, uint32_t tunnel, uint16_t first, uint16_t n);
/* One that goes by itself. False: it was dropped. */
bool dp_translate_out_one(struct dp_worker *w, uint32_t tunnel, struct rte_mbuf *m,
			  struct esp_pkt *p);
/* One that ESP has refused: as its sender knows it. */
void dp_translate_undo(const struct dp_worker *w, uint32_t tunnel, struct rte_mbuf *m);

#endif
