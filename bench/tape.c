/* SPDX-License-Identifier: Apache-2.0 */
/* tape: see tape.h. */
#include "bench/tape.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <rte_common.h>
#include "bench/tunnels.h"
#include "dataplane/aeads.h"

#define BYTES       (256u << 20)
#define PACKETS_MAX (BYTES / 128)
#define FRONT       64u /* for the outer headers, over IPv4 */
#define BACK        96u /* padding, trailer, ICV */
#define LINE        64u

static_assert(FRONT >= 20 + 8 + 8 + 16, "room for the outer headers");

static void random_fill(void *arg, uint8_t *out, size_t size)
{
	struct tape *t = arg;

	for (size_t i = 0; i < size; i++) {
		t->random = t->random * 6364136223846793005u + 1442695040888963407u;
		out[i] = (uint8_t)(t->random >> 56);
	}
}

bool tape_init(struct tape *t, const struct esp_suite *suite)
{
	*t = (struct tape){.random = 88172645463325252u};
	t->thread = (struct esp_thread){.random = random_fill, .random_arg = t};
	t->bytes = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (t->bytes == MAP_FAILED)
		return false;
	(void)madvise(t->bytes, BYTES, MADV_HUGEPAGE);
	t->packets = calloc(PACKETS_MAX, sizeof(*t->packets));
	if (t->packets && dp_aeads_pick(&t->thread, "auto"))
		t->peer =
			tunnels_peer_out(&t->thread, &(struct tunnels_form){.suite = *suite}, 0, 0);
	return t->peer != NULL;
}

void tape_fini(struct tape *t)
{
	if (t->peer)
		esp_out_free(t->peer);
	free(t->packets);
	if (t->bytes && t->bytes != MAP_FAILED)
		munmap(t->bytes, BYTES);
	*t = (struct tape){0};
}

static uint32_t place_of(uint32_t inner)
{
	return RTE_ALIGN(FRONT + inner + BACK, LINE);
}

uint32_t tape_room(const struct tape *t, uint32_t inner)
{
	(void)t;
	return RTE_MIN(BYTES / place_of(inner), PACKETS_MAX);
}

/* One call of ESP: `n` packets one behind the other, from `at` on. Where the next ones go; 0: not all could be made. */
static uint32_t make_burst(struct tape *t, uint32_t at, uint32_t n, uint64_t number,
			   tape_write_fn *write, void *arg)
{
	struct esp_pkt pkts[ESP_BURST_MAX];

	for (uint32_t i = 0; i < n; i++) {
		uint8_t *const data = t->bytes + at + FRONT;
		const uint32_t size = write(arg, data, number + i);

		at += place_of(size);
		if (at > BYTES)
			return 0;
		pkts[i] = (struct esp_pkt){.data = data,
					   .size = size,
					   .headroom = FRONT,
					   .tailroom = BACK,
					   .from_self = true};
	}
	if (esp_encap(&t->thread, t->peer, pkts, n) != n)
		return 0;
	for (uint32_t i = 0; i < n; i++)
		t->packets[t->n++] = (struct tape_packet){.at = (uint32_t)(pkts[i].data - t->bytes),
							  .size = pkts[i].size};
	return at;
}

bool tape_make(struct tape *t, uint32_t n, uint64_t first_number, tape_write_fn *write, void *arg)
{
	uint32_t at = 0;

	t->n = t->next = 0;
	while (t->n < n) {
		at = make_burst(t, at, RTE_MIN(n - t->n, (uint32_t)ESP_BURST_MAX),
				first_number + t->n, write, arg);
		if (at == 0)
			return false;
	}
	return true;
}
