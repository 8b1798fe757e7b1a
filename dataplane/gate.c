/* SPDX-License-Identifier: Apache-2.0 */
/* gate: see gate.h. */
#include "dataplane/gate.h"

#include <stdlib.h>
#include <string.h>
#include "dataplane/drops.h"
#include "dataplane/packet.h"
#include "dataplane/peers.h"
#include "dataplane/random.h"

#define BURST_MS 50
#define GENERATION_S                                                                               \
	5 /* longer than the pause after which peers repeat a first request: 4 s at most */
#define FILTER_BITS  (UINT64_C(1) << 25)
#define LINE_BITS    512u /* the bits of one datagram share a cache line */
#define BITS_EACH    3
#define FILTER_WORDS (FILTER_BITS / 64)

/* RFC 7296 3.1, 3.2, 3.10 */
#define HEADER_SIZE     28u
#define SPI_R_AT        8u
#define NEXT_PAYLOAD_AT 16u
#define EXCHANGE_AT     18u
#define FLAGS_AT        19u
#define NOTIFY_TYPE_AT  (HEADER_SIZE + 6u)
#define IKE_SA_INIT     34u
#define FLAG_RESPONSE   0x20u
#define NOTIFY          41u
#define COOKIE          16390u

/* Datagrams a second, of all workers together. */
static const unsigned rates[DP_GATE_END] = {
	[DP_GATE_PEER] = 50000,
	[DP_GATE_UNDER_WAY] = 50000,
	[DP_GATE_STRANGER] = 10000,
	[DP_GATE_REPEATED] = 10000,
};

bool dp_gate_init(struct dp_gate *g, uint64_t tsc_hz, unsigned n_workers, struct dp_random *random)
{
	memset(g, 0, sizeof(*g));
	for (int i = 0; i < DP_GATE_END; i++)
		g->cost[i] = tsc_hz * n_workers / rates[i];
	g->burst = tsc_hz / 1000 * BURST_MS;
	g->generation = tsc_hz * GENERATION_S;
	dp_random_fill(random, g->key, sizeof(g->key));
	for (int i = 0; i < 2; i++) {
		g->seen[i] = calloc(FILTER_WORDS, sizeof(uint64_t));
		if (!g->seen[i])
			return false;
	}
	return true;
}

void dp_gate_fini(struct dp_gate *g)
{
	free(g->seen[0]);
	free(g->seen[1]);
}

static bool take(struct dp_gate *g, enum dp_gate_class c, uint64_t tsc)
{
	if (tsc > g->burst && g->full_at[c] < tsc - g->burst)
		g->full_at[c] = tsc - g->burst;
	if (g->full_at[c] + g->cost[c] > tsc)
		return false;
	g->full_at[c] += g->cost[c];
	return true;
}

static bool is_first_request(const uint8_t *ike, size_t size)
{
	uint64_t spi_r;

	memcpy(&spi_r, ike + SPI_R_AT, sizeof(spi_r));
	if (ike[EXCHANGE_AT] != IKE_SA_INIT || ike[FLAGS_AT] & FLAG_RESPONSE || spi_r != 0)
		return false;
	/* RFC 7296 2.6: a cookie is returned as the first payload. */
	return ike[NEXT_PAYLOAD_AT] != NOTIFY || size < NOTIFY_TYPE_AT + 2 ||
	       dp_get16(ike + NOTIFY_TYPE_AT) != COOKIE;
}

/* The younger filter becomes the older one; that one is forgotten. */
static void age(struct dp_gate *g, uint64_t tsc)
{
	const uint64_t age = tsc - g->since;

	if (age < g->generation)
		return;
	g->since = tsc;
	for (int n = age < 2 * g->generation ? 1 : 2; n > 0; n--) {
		g->younger ^= 1;
		if (g->noted[g->younger])
			memset(g->seen[g->younger], 0, FILTER_BITS / 8);
		g->noted[g->younger] = false;
	}
}

/* Whether this request was here before, within the last seconds; now it was. */
static bool seen_before(struct dp_gate *g, const struct ip_addr *from, const uint8_t *ike,
			uint64_t tsc)
{
	uint8_t in[1 + sizeof(from->b) + 8];
	uint64_t hash[MAC_SIZE / 8];
	bool seen[2] = {true, true};
	uint64_t *line[2];

	age(g, tsc);
	in[0] = from->family;
	memcpy(in + 1, from->b, sizeof(from->b));
	memcpy(in + 1 + sizeof(from->b), ike, 8); /* the initiator's SPI */
	mac_of(g->key, in, sizeof(in), (uint8_t *)hash);
	for (int i = 0; i < 2; i++)
		line[i] = g->seen[i] + hash[0] % (FILTER_BITS / LINE_BITS) * (LINE_BITS / 64);
	for (int i = 0; i < BITS_EACH; i++, hash[1] >>= 9) {
		const unsigned bit = hash[1] % LINE_BITS;
		const uint64_t mask = UINT64_C(1) << bit % 64;

		seen[0] &= (line[0][bit / 64] & mask) != 0;
		seen[1] &= (line[1][bit / 64] & mask) != 0;
		line[g->younger][bit / 64] |= mask;
	}
	g->noted[g->younger] = true;
	return seen[0] || seen[1];
}

unsigned dp_gate_pass(struct dp_gate *g, const struct dp_peers *peers, const struct ip_addr *from,
		      const uint8_t *ike, size_t size, uint64_t tsc)
{
	const bool whole = size >= HEADER_SIZE;

	if (dp_peers_have(peers, from) && take(g, DP_GATE_PEER, tsc))
		return 0;
	if (whole && !is_first_request(ike, size))
		return take(g, DP_GATE_UNDER_WAY, tsc) ? 0 : DP_DROP_IKE_UNDER_WAY;
	if (take(g, DP_GATE_STRANGER, tsc))
		return 0;
	if (whole && seen_before(g, from, ike, tsc) && take(g, DP_GATE_REPEATED, tsc))
		return 0;
	return DP_DROP_IKE_FIRST;
}
