/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One SA's cryptography by several workers (spread.h): whatever helpers do, packets leave in the order of their
 * numbers, none is lost, and nothing is freed that is in use. The port is a pair of rings.
 */
#include "rig_rings.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>
#include "base/secret.h"
#include "dataplane/spread.h"
#include "esp/esp_int.h"

#define BURST    48u
#define SIZE     300u
#define SLOT     4u
#define TUNNEL   0u /* the first worker's */
#define RINGS    RIG_RINGS_TX
#define ENOUGH   40u /* bursts that helpers shall have done */
#define PATIENCE 60  /* seconds, on a busy machine */

static const char *backend;
static uint64_t seed = 7;

static struct dp_worker *owner(void)
{
	return rig.workers[TUNNEL];
}

static struct dp_worker *helper(void)
{
	return rig.workers[TUNNEL + 1];
}

static unsigned draw(unsigned n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(seed >> 33) % n;
}

/* Somebody is at hand, who does what the test says. */
static void set_help(uint32_t n)
{
	__atomic_store_n(&rig.spread.at_hand, n, __ATOMIC_RELAXED);
}

/* A burst into the tunnel. Byte 24 and on of each packet are its number. */
static void offer(uint32_t first, unsigned n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct rte_mbuf *m = rig_inner(SIZE);
		const uint32_t number = first + i;

		memcpy(dp_data(m) + 24, &number, sizeof(number));
		*dp_meta(m) = (struct dp_meta){.family = 4};
		dp_into_tunnel(owner(), &m, 1, TUNNEL, 4, true);
	}
	dp_encap(owner());
}

/* What has left by the port. */
static unsigned sent(struct rte_mbuf **m, unsigned max)
{
	if (owner()->tx[0].n)
		dp_tx_flush(owner(), 0);
	return rte_ring_sc_dequeue_burst(rig_tx[0], (void **)m, max, NULL);
}

/* Sequence numbers go on from `*seq`, and the packets' own numbers with them. */
static void check_esp(struct rte_mbuf **m, unsigned n, uint32_t *seq, uint32_t esp_at)
{
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(dp_get32(dp_data(m[i]) + DP_ETH_SIZE + esp_at + 4), *seq + 1);
		++*seq;
	}
}

/* Opens frames as the peer does; their own numbers go on from `*number`. */
static void check_inner(struct rte_mbuf **m, unsigned n, struct esp_in *peer, uint32_t *number)
{
	for (unsigned i = 0; i < n; i++) {
		struct esp_pkt p;
		uint32_t got;

		(void)rte_pktmbuf_adj(m[i], DP_ETH_SIZE);
		dp_esp_pkt(m[i], &p);
		assert_int_equal(esp_decap(&rig.esp, peer, &p, 1), 1);
		memcpy(&got, p.data + 24, sizeof(got));
		assert_int_equal(got, *number);
		++*number;
		rte_pktmbuf_free(m[i]);
	}
}

/* A helper that does one of the owner's bursts, or begins none. */
static struct dp_spread_item *begin(void)
{
	return dp_spread_take(owner()->spread);
}

/* Helpers that begin, tarry, end out of order, and refuse; the owner's rounds at any time. */
static void order(void **state)
{
	const unsigned mbufs = rig_free_mbufs();
	struct dp_spread_item *held[4] = {NULL};
	struct rte_mbuf *m[RINGS];
	uint32_t next = 0, seq = 0, number = 0;
	struct esp_in *peer;

	rig_add_out(SLOT, TUNNEL, 0);
	rig_add_in(SLOT, TUNNEL, 0);
	peer = rig.sas.in[SLOT]->esp;
	dp_worker_enter(owner());
	for (unsigned step = 0; step < 3000; step++) {
		const unsigned k = draw(4);
		unsigned n;

		set_help(draw(3));
		switch (draw(6)) {
		case 0:
		case 1: /* as long as the owner would not have to wait for what is held */
			if (owner()->spread->put - owner()->spread->ended < DP_SPREAD_ITEMS - 4) {
				n = draw(4) ? BURST : 1 + draw(8);
				offer(next, n);
				next += n;
			}
			break;
		case 2:
			if (!held[k])
				held[k] = begin();
			break;
		case 3:
			if (held[k])
				dp_spread_do(helper(), held[k]);
			held[k] = NULL;
			break;
		default:
			if (dp_spread_busy(owner()))
				(void)dp_spread_round(owner(), draw(8) == 0);
		}
		n = sent(m, RINGS);
		check_esp(m, n, &seq, 20);
		check_inner(m, n, peer, &number);
	}
	for (unsigned k = 0; k < 4; k++)
		if (held[k])
			dp_spread_do(helper(), held[k]);
	dp_spread_drain(owner());
	check_esp(m, sent(m, RINGS), &seq, 20);
	assert_int_equal(seq, next);
	assert_true(next > 10000);
	assert_true(owner()->stats->spread > 100);
	assert_true(owner()->stats->taken_back > 10);
	assert_true(owner()->stats->taken_back < owner()->stats->spread);
	check_inner(m, seq - number, peer, &number);
	assert_int_equal(number, next);
	assert_int_equal(rig_free_mbufs(), mbufs);
	set_help(0);
	dp_worker_leave(owner());
	rig_del(SLOT);
}

/* Makes the peer's frames, one burst, into `frames`. */
static void make_frames(struct rte_mbuf **frames, uint32_t first)
{
	set_help(0);
	offer(first, BURST);
	assert_int_equal(sent(frames, BURST), BURST);
	for (unsigned i = 0; i < BURST; i++) {
		uint8_t *ip = dp_data(frames[i]) + DP_ETH_SIZE, to[4];

		memcpy(dp_data(frames[i]), &rig.ports[0].mac, 6);
		memcpy(to, ip + 16, 4); /* the other way round: the checksum stays */
		memcpy(ip + 16, ip + 12, 4);
		memcpy(ip + 12, to, 4);
	}
}

/* Packets for Linux, in their order. */
static unsigned arrived(struct rte_mbuf **m, unsigned max)
{
	const unsigned n = rte_ring_sc_dequeue_burst(rig.to_manager, (void **)m, max, NULL);
	const unsigned more = owner()->to_linux.n;

	assert_true(n + more <= max);
	memcpy(m + n, owner()->to_linux.m, more * sizeof(m[0]));
	owner()->to_linux.n = 0;
	return n + more;
}

static uint64_t not_fresh(void)
{
	return rig_drops(dp_drop_of_esp(ESP_DROP_IN_REPLAYED)) +
	       rig_drops(dp_drop_of_esp(ESP_DROP_IN_LATE));
}

/* One forged packet in each burst, one burst twice: nothing else suffers. */
static void decapsulation(void **state)
{
	const unsigned mbufs = rig_free_mbufs();
	struct rte_mbuf *frames[4][BURST], *m[4 * BURST];
	const uint64_t auth = rig_drops(dp_drop_of_esp(ESP_DROP_IN_AUTH));
	const uint64_t old = not_fresh();
	struct dp_spread_item *second, *third;
	uint32_t last = 0;
	unsigned n;

	rig_add_out(SLOT, TUNNEL, RIG_ESN);
	rig_add_in(SLOT, TUNNEL, RIG_ESN);
	for (uint32_t b = 0; b < 3; b++)
		make_frames(frames[b], 1 + b * BURST);
	for (unsigned i = 0; i < BURST; i++) {
		if (i < 3)
			dp_data(frames[i][7])[DP_ETH_SIZE + 60] ^= 1;
		frames[3][i] = rig_packet(dp_data(frames[1][i]), frames[1][i]->pkt_len);
	}
	dp_worker_enter(owner());
	set_help(2); /* up to four may wait */
	for (unsigned b = 0; b < 4; b++) {
		dp_classify(owner(), 0, frames[b], BURST);
		dp_decap(owner());
	}
	assert_true(dp_spread_busy(owner()));
	assert_int_equal(arrived(m, 4 * BURST), 0);
	/* A helper begins two, and ends the later one first: nothing of it may come before. */
	second = begin();
	third = begin();
	assert_true(second && third);
	dp_spread_do(helper(), third);
	assert_int_equal(dp_spread_round(owner(), false), 0);
	assert_int_equal(arrived(m, 4 * BURST), 0);
	dp_spread_do(helper(), second);
	dp_spread_drain(owner());
	n = arrived(m, 4 * BURST);
	assert_int_equal(n, 3 * BURST - 3);
	for (unsigned i = 0; i < n; i++) {
		uint32_t number;

		memcpy(&number, dp_data(m[i]) + 24, sizeof(number));
		assert_true(number > last);
		last = number;
		rte_pktmbuf_free(m[i]);
	}
	/* The copies were fresh when they were prepared. */
	assert_int_equal(rig_drops(dp_drop_of_esp(ESP_DROP_IN_AUTH)) - auth, 4);
	assert_int_equal(not_fresh() - old, BURST - 1);
	assert_int_equal(rig_free_mbufs(), mbufs);
	set_help(0);
	dp_worker_leave(owner());
	rig_del(SLOT);
}

/* An SA is deleted while its bursts are on their way: it stands until they have left. */
static void deleted(void **state)
{
	const struct dp_sa_ref ref = {.slot = SLOT};
	struct rte_mbuf *m[RINGS];
	uint32_t seq = 0;
	unsigned n;

	dp_worker_enter(owner());
	dp_worker_enter(helper());
	rig_add_out(SLOT, TUNNEL, 0);
	set_help(2);
	for (uint32_t i = 0; i < 4; i++)
		offer(i * BURST, BURST);
	assert_int_equal(dp_sa_del_out(&rig, &ref), DP_OK);
	(void)dp_worker_round(helper()); /* does one of them */
	dp_grace_run(&rig.grace);
	assert_true(dp_grace_waiting(&rig.grace));
	assert_int_equal(owner()->spread->put - owner()->spread->ended, 4);
	/* One round empties the queue, since somebody waits. */
	(void)dp_worker_round(owner());
	assert_false(dp_spread_busy(owner()));
	dp_grace_run(&rig.grace);
	assert_false(dp_grace_waiting(&rig.grace));
	n = sent(m, RINGS);
	assert_int_equal(n, 4 * BURST);
	check_esp(m, n, &seq, 20);
	rte_pktmbuf_free_bulk(m, n);
	dp_worker_leave(owner());
	dp_worker_leave(helper());
	set_help(0);
}

/* The peer moves behind a NAT: what is on its way leaves as it was prepared, in front of what comes then. */
static void moved(void **state)
{
	struct dp_sa_peer peer = {.slot = SLOT, .flags = DP_SA_UDP_ENCAP};
	struct rte_mbuf *m[RINGS];
	uint32_t seq = 0;

	rig_add_out(SLOT, TUNNEL, 0);
	peer.local = (struct dp_endpoint){.addr = {.family = 4, .b = {192, 0, 2, 1}}, .port = 4500};
	peer.remote =
		(struct dp_endpoint){.addr = {.family = 4, .b = {192, 0, 2, 2}}, .port = 4500};
	set_help(2);
	offer(0, BURST);
	assert_int_equal(dp_sa_peer(&rig, &peer), DP_OK);
	offer(BURST, BURST);
	assert_int_equal(sent(m, RINGS), BURST);
	check_esp(m, BURST, &seq, 20);
	rte_pktmbuf_free_bulk(m, BURST);
	dp_spread_drain(owner());
	assert_int_equal(sent(m, RINGS), BURST);
	check_esp(m, BURST, &seq, 28);
	rte_pktmbuf_free_bulk(m, BURST);
	set_help(0);
	dp_spread_leave(owner());
	rig_del(SLOT);
}

/* Who asks and who comes; a worker that ends sends what it has. */
static void asking(void **state)
{
	struct rte_mbuf *m[RINGS];
	unsigned n;

	rig_add_out(SLOT, TUNNEL, 0);
	dp_worker_enter(owner());
	dp_worker_enter(helper());
	(void)dp_worker_round(helper());
	assert_false(dp_spread_awake(helper()));
	(void)dp_spread_help(owner());
	offer(0, BURST);
	assert_int_equal(rig.spread.wanted, 0);
	offer(0, BURST);
	assert_int_equal(rig.spread.wanted, 1);
	assert_false(dp_spread_busy(owner())); /* nobody has come yet */
	(void)dp_worker_round(helper());
	assert_int_equal(rig.spread.at_hand, 1);
	assert_true(dp_spread_awake(helper()));
	offer(0, BURST);
	assert_true(dp_spread_busy(owner()) && dp_spread_awake(owner()));
	/* A small one must wait behind it. */
	offer(0, 2);
	assert_int_equal(owner()->spread->put - owner()->spread->ended, 2);
	n = sent(m, RINGS);
	assert_int_equal(n, 2 * BURST);
	rte_pktmbuf_free_bulk(m, n);
	/* An interval with a few: it is not worth anybody's being awake. */
	dp_spread_tick(owner());
	assert_int_equal(rig.spread.wanted, 0);
	(void)dp_spread_help(helper());
	assert_int_equal(rig.spread.at_hand, 0);
	assert_false(dp_spread_awake(helper()));
	dp_worker_leave(owner());
	n = sent(m, RINGS);
	assert_int_equal(n, BURST + 2);
	rte_pktmbuf_free_bulk(m, n);
	dp_worker_leave(helper());
	rig_del(SLOT);
}

/* The backend of the SA's, for its owner, as if one thread alone might use a key at a time; and as it was. */
static const struct esp_backend *alone_begin(struct esp_backend *alone, struct esp_aead **aead)
{
	const struct esp_backend *b;

	*aead = &owner()->esp.aead[dp_out_esp(rig.sas.out[SLOT])->line.flags & ESP_QUICK_AEAD];
	b = (*aead)->backend;
	*alone = *b;
	alone->keys_shared = false;
	(*aead)->backend = alone;
	return b;
}

/* Keys that one thread alone may use at a time stay with the owner. */
static void unshared(void **state)
{
	const struct esp_backend *shared;
	struct esp_backend alone;
	struct rte_mbuf *m[RINGS];
	struct esp_aead *aead;
	unsigned n;

	rig_add_out(SLOT, TUNNEL, 0);
	shared = alone_begin(&alone, &aead);
	set_help(2);
	for (unsigned i = 0; i < 3; i++)
		offer(0, BURST);
	assert_false(dp_spread_busy(owner()));
	assert_int_equal(rig.spread.wanted, 0);
	n = sent(m, RINGS);
	assert_int_equal(n, 3 * BURST);
	rte_pktmbuf_free_bulk(m, n);
	set_help(0);
	aead->backend = shared;
	rig_del(SLOT);
}

/* Such a burst behind others: sealed already, but its place is nobody else's before who took it has said so. */
static void unshared_behind(void **state)
{
	const struct esp_backend *shared;
	struct esp_backend alone;
	struct dp_spread_item *first, *second;
	struct rte_mbuf *m[RINGS];
	uint32_t seq = 0, number = 0;
	struct esp_aead *aead;

	rig_add_out(SLOT, TUNNEL, 0);
	rig_add_in(SLOT, TUNNEL, 0);
	dp_worker_enter(owner());
	set_help(2);
	offer(0, BURST);
	shared = alone_begin(&alone, &aead);
	offer(BURST, 2);
	assert_int_equal(owner()->spread->put - owner()->spread->ended, 2);
	first = begin();
	assert_non_null(first);
	dp_spread_do(helper(), first);
	assert_int_equal(dp_spread_round(owner(), false), 1);
	second = begin();
	assert_true(second && second != first);
	assert_int_equal(dp_spread_round(owner(), false), 0);
	assert_int_equal(sent(m, RINGS), BURST);
	check_esp(m, BURST, &seq, 20);
	check_inner(m, BURST, rig.sas.in[SLOT]->esp, &number);
	dp_spread_do(helper(), second);
	assert_int_equal(dp_spread_round(owner(), false), 1);
	assert_int_equal(sent(m, RINGS), 2);
	check_esp(m, 2, &seq, 20);
	check_inner(m, 2, rig.sas.in[SLOT]->esp, &number);
	assert_false(dp_spread_busy(owner()));
	set_help(0);
	aead->backend = shared;
	dp_worker_leave(owner());
	rig_del(SLOT);
}

/* Two threads, as they come. */
static uint32_t over;

static void *help(void *arg)
{
	dp_worker_enter(helper());
	while (!__atomic_load_n(&over, __ATOMIC_ACQUIRE))
		(void)dp_worker_round(helper());
	dp_worker_leave(helper());
	return NULL;
}

static void threads(void **state)
{
	const unsigned mbufs = rig_free_mbufs();
	const uint64_t helped = helper()->stats->helped;
	const time_t until = time(NULL) + PATIENCE;
	uint32_t next = 0, seq = 0, number = 0;
	struct rte_mbuf *m[RINGS];
	pthread_t thread;
	unsigned n;

	rig_add_out(SLOT, TUNNEL, 0);
	rig_add_in(SLOT, TUNNEL, 0);
	dp_worker_enter(owner());
	assert_int_equal(pthread_create(&thread, NULL, help, NULL), 0);
	do {
		for (unsigned i = 0; i < 8; i++, next += BURST)
			offer(next, BURST);
		(void)dp_worker_round(owner());
		n = sent(m, RINGS);
		check_esp(m, n, &seq, 20);
		check_inner(m, n, rig.sas.in[SLOT]->esp, &number);
	} while (__atomic_load_n(&helper()->stats->helped, __ATOMIC_RELAXED) - helped < ENOUGH &&
		 time(NULL) < until);
	dp_worker_leave(owner());
	n = sent(m, RINGS);
	check_esp(m, n, &seq, 20);
	check_inner(m, n, rig.sas.in[SLOT]->esp, &number);
	__atomic_store_n(&over, 1, __ATOMIC_RELEASE);
	(void)pthread_join(thread, NULL);
	assert_int_equal(number, next);
	assert_true(helper()->stats->helped - helped >= ENOUGH);
	assert_int_equal(rig.spread.at_hand, 0);
	assert_int_equal(rig.spread.wanted, 0);
	assert_int_equal(rig_free_mbufs(), mbufs);
	rig_del(SLOT);
}

static int start(void **state)
{
	return rig_start_bursts(backend, 4095) && rig_rings_start() ? 0 : -1;
}

/* Its argument is the backend's name. */
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(order),           cmocka_unit_test(decapsulation),
		cmocka_unit_test(deleted),         cmocka_unit_test(moved),
		cmocka_unit_test(asking),          cmocka_unit_test(unshared),
		cmocka_unit_test(unshared_behind), cmocka_unit_test(threads),
	};
	const struct esp_backend *b = argc == 2 ? esp_backend_by_name(argv[1]) : NULL;
	void *ctx;

	if (!b || !secret_init())
		return 2;
	ctx = b->ctx_new();
	if (!ctx) {
		printf("1..0 # SKIP this CPU lacks what %s needs\n", argv[1]);
		return 0;
	}
	b->ctx_free(ctx);
	backend = argv[1];
	return cmocka_run_group_tests(tests, start, NULL);
}
