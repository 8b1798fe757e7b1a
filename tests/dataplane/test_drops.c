/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a gateway seldom has a reason to drop: queues that are full, memory that is used up, Linux that sends nonsense
 * or refuses. Each packet adds one to its reason, and to no other, and its memory comes back.
 */
#include "rig.h"

#include <sys/socket.h>
#include <unistd.h>
#include "dataplane/manager.h"

#define TUNNEL 1u /* the second worker's */

static struct dp_worker *worker(void)
{
	return rig.workers[TUNNEL];
}

/* Of workers and manager. */
static uint64_t drops_of(unsigned reason)
{
	return rig_drops(reason) + rig.mgr_stats->drops[reason];
}

static uint64_t drops_in_all(void)
{
	uint64_t sum = 0;

	for (unsigned reason = 0; reason + 1 < DP_DROP_END; reason++)
		sum += drops_of(reason);
	return sum;
}

/* What a case begins with. */
static unsigned mbufs;
static uint64_t before, others;

static void begin(unsigned reason)
{
	mbufs = rig_free_mbufs();
	before = drops_of(reason);
	others = drops_in_all() - before;
}

static void end(unsigned reason, unsigned n)
{
	assert_int_equal(drops_of(reason) - before, n);
	assert_int_equal(drops_in_all() - drops_of(reason), others);
	assert_int_equal(rig_free_mbufs(), mbufs);
}

static void receive(const void *frame, uint32_t size)
{
	struct rte_mbuf *m = rig_packet(frame, size);

	dp_classify(worker(), 0, &m, 1);
}

static void short_frame(void **state)
{
	begin(DP_DROP_BAD_FRAME);
	receive("\2\0\0\0\0\1\2\0\0\0\0\2\x08", 13);
	end(DP_DROP_BAD_FRAME, 1);
}

/* What Linux shall have. */
static void multicast(unsigned n)
{
	static const uint8_t frame[60] = {1, 0, 0x5e, 0, 0, 1};

	while (n--)
		receive(frame, sizeof(frame));
}

static void linux_queue(void **state)
{
	struct rte_mbuf *m[DP_VEC_SIZE];
	unsigned n;

	begin(DP_DROP_LINUX_QUEUE);
	multicast(DP_VEC_SIZE); /* the queue has room for one less */
	n = rte_ring_sc_dequeue_burst(rig.to_manager, (void **)m, DP_VEC_SIZE, NULL);
	assert_int_equal(n, DP_VEC_SIZE - 1);
	rte_pktmbuf_free_bulk(m, n);
	end(DP_DROP_LINUX_QUEUE, 1);
}

/* The mirror's interface is gone. */
static void linux_refuses(void **state)
{
	begin(DP_DROP_LINUX_WRITE);
	multicast(3);
	for (unsigned i = 0; i < worker()->to_linux.n; i++)
		assert_int_equal(rte_ring_mp_enqueue(rig.to_manager, worker()->to_linux.m[i]), 0);
	worker()->to_linux.n = 0;
	assert_false(dp_linux_take(&rig));
	end(DP_DROP_LINUX_WRITE, 3);
}

static void write_all(int fd, const void *data, size_t size)
{
	assert_int_equal(write(fd, data, size), size);
}

/* Linux sends what is no frame, and what is no packet. */
static void linux_nonsense(void **state)
{
	static const uint8_t no_ip[40] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x46};
	struct dp_tunnel_info *info = &rig.tunnels.info[TUNNEL];
	const int tun = info->tun.fd;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, fds), 0);
	begin(DP_DROP_LINUX_BAD);
	rig.ports[0].mirror.fd = fds[0];
	write_all(fds[1], no_ip, 13);
	write_all(fds[1], no_ip, sizeof(no_ip));
	dp_linux_from_mirror(&rig, 0);
	rig.ports[0].mirror.fd = -1;
	info->tun.fd = fds[0];
	write_all(fds[1], no_ip, sizeof(no_ip));
	dp_linux_from_tun(&rig, TUNNEL);
	info->tun.fd = tun;
	end(DP_DROP_LINUX_BAD, 3);
	(void)close(fds[0]);
	(void)close(fds[1]);
}

/* Without buffers, what Linux sends is taken from it all the same. */
static void no_buffer(void **state)
{
	struct rte_mbuf *all = NULL, *m;
	uint8_t byte;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, fds), 0);
	begin(DP_DROP_NO_BUFFER);
	while ((m = rte_pktmbuf_alloc(rig.pool))) {
		m->next = all;
		all = m;
	}
	rig.ports[0].mirror.fd = fds[0];
	write_all(fds[1], "a frame", 7);
	dp_linux_from_mirror(&rig, 0);
	assert_int_equal(read(fds[0], &byte, 1), -1);
	rig.ports[0].mirror.fd = -1;
	while ((m = all)) {
		all = m->next;
		m->next = NULL;
		rte_pktmbuf_free(m);
	}
	end(DP_DROP_NO_BUFFER, 1);
	(void)close(fds[0]);
	(void)close(fds[1]);
}

/* The owner of an SA does not keep up. */
static void handoff_full(void **state)
{
	struct rte_mbuf *m = rig_inner(64), *got;
	struct rte_ring *ring = rig.workers[0]->in;
	const unsigned room = rte_ring_free_count(ring);

	for (unsigned i = 0; i < room; i++)
		assert_int_equal(rte_ring_mp_enqueue(ring, m), 0);
	got = rig_inner(64);
	begin(DP_DROP_HANDOFF_FULL);
	mbufs++; /* that one */
	dp_handoff(worker(), 0, got, DP_PKT_DECAP);
	assert_int_equal(worker()->stats->handed, 0);
	end(DP_DROP_HANDOFF_FULL, 1);
	for (unsigned i = 0; i < room; i++)
		assert_int_equal(rte_ring_sc_dequeue(ring, (void **)&got), 0);
	rte_pktmbuf_free(m);
}

/* A packet that came out of the tunnel, to where the FIB says. */
static void come_out(uint32_t nh, unsigned reason, unsigned n)
{
	const struct ip_prefix inside = {.addr = {IP_V4, {10, 2, 0, 9}}, .len = 32};
	struct rte_mbuf *m = rig_inner(600);
	struct dp_ip_burst b;
	bool there;

	if (nh)
		assert_true(dp_fib_set(&rig.fib, 0, &inside, DP_FIB_LOCAL, nh));
	else
		assert_true(dp_fib_clear(&rig.fib, 0, &inside, DP_FIB_LOCAL, &there));
	begin(reason);
	mbufs++;
	*dp_meta(m) = (struct dp_meta){.family = 4, .tunnel = TUNNEL};
	dp_ip_burst_init(&b, &rig.fib, 0);
	dp_ip_burst_add_inner(&b, m, dp_data(m), m->pkt_len, 4, TUNNEL);
	dp_forward(worker(), &b);
	end(reason, n);
	assert_true(dp_fib_set(&rig.fib, 0, &inside, DP_FIB_LOCAL, dp_nh(DP_NH_LOCAL, 0)));
}

static void nowhere(void **state)
{
	come_out(0, DP_DROP_NO_ROUTE, 1);
}

static void too_big(void **state)
{
	rig.ports[0].mtu = 599;
	come_out(dp_nh(DP_NH_CONNECTED, 0), DP_DROP_TOO_BIG, 1);
	rig.ports[0].mtu = 1500;
}

/* A tunnel without an interface of Linux: the worker knows, or the manager when it has gone meanwhile. */
static void no_inside(void **state)
{
	struct rte_mbuf *m = rig_inner(64);

	rig.tunnels.hot[TUNNEL].has_tun = 0;
	come_out(dp_nh(DP_NH_LOCAL, 0), DP_DROP_NO_INSIDE, 1);
	rig.tunnels.hot[TUNNEL].has_tun = 1;
	begin(DP_DROP_NO_INSIDE);
	mbufs++;
	*dp_meta(m) = (struct dp_meta){.kind = DP_PKT_TO_TUN, .family = 4, .tunnel = TUNNEL};
	rig.tunnels.info[TUNNEL].tun.fd = -1;
	assert_int_equal(rte_ring_mp_enqueue(rig.to_manager, m), 0);
	assert_false(dp_linux_take(&rig));
	end(DP_DROP_NO_INSIDE, 1);
}

static int start(void **state)
{
	return rig_start() ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(short_frame),   cmocka_unit_test(linux_queue),
		cmocka_unit_test(linux_refuses), cmocka_unit_test(linux_nonsense),
		cmocka_unit_test(no_buffer),     cmocka_unit_test(handoff_full),
		cmocka_unit_test(nowhere),       cmocka_unit_test(too_big),
		cmocka_unit_test(no_inside),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
