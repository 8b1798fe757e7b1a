/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of route refresh (RFC 2918, RFC 7313) with a scripted peer: what is said, and in which order. */
#include "world.h"

#include <string.h>
#include "base/wr.h"
#include "bgp/wire.h"

enum { US = 0, SCRIPT = 2 };

/* AS 65003, both families, four-octet ASes, both kinds of refresh, and graceful restart of 60 s. */
static const uint8_t open_body[] = {
	4, 0xfd, 0xeb, 0, 90, 10, 0, 0,  99, 36, /* parameters */
	2, 34,   1,    4, 0,  1,  0, 1,  1,  4,  0, 2,    0, 1, 65, 4,    0, 0, 0xfd, 0xeb, /* */
	2, 0,    70,   0, 64, 10, 0, 60, 0,  1,  1, 0x80, 0, 2, 1,  0x80,
};

/* 10.3.0.0/16 of AS 65003 */
static const uint8_t update_body[] = {
	0, 0,    0,    20,   0x40, 1, 1,   0,   0x40, 2, 6,  2,  1, 0,
	0, 0xfd, 0xeb, 0x40, 3,    4, 169, 254, 10,   3, 16, 10, 3,
};
static const uint8_t end_of_rib[] = {0, 0, 0, 0};

static void put(struct wr *w, uint8_t type, const void *body, size_t size)
{
	for (int i = 0; i < BGP_MARKER_SIZE; i++)
		wr_u8(w, 0xff);
	wr_u16(w, (uint16_t)(BGP_HEADER_SIZE + size));
	wr_u8(w, type);
	wr_bytes(w, body, size);
}

static void send_message(struct world *w, unsigned conn, uint8_t type, const void *body,
			 size_t size)
{
	uint8_t bytes[256];
	struct wr m = wr_of(bytes, sizeof(bytes));

	put(&m, type, body, size);
	script_send(w, conn, bytes, m.n);
	world_run(w, span_ms(10));
}

static void send_refresh(struct world *w, unsigned conn, uint8_t subtype)
{
	send_message(w, conn, BGP_ROUTE_REFRESH, (uint8_t[]){0, 1, subtype, 1}, 4);
}

/* What has come since, a letter a message: u UPDATE, e End-of-RIB, B BoRR, E EoRR, r request, k KEEPALIVE. */
static const char *heard_by_script(struct world *w)
{
	static char text[64];
	size_t n = 0, size;
	const uint8_t *body;
	uint8_t type;

	while (n + 1 < sizeof(text) && (type = script_next(w, SCRIPT, &body, &size))) {
		if (type == BGP_UPDATE)
			text[n++] = size <= 10 ? 'e' : 'u';
		else if (type == BGP_ROUTE_REFRESH)
			text[n++] = "rBE"[body[2]];
		else if (type == BGP_KEEPALIVE)
			text[n++] = 'k';
	}
	text[n] = '\0';
	return text;
}

static struct world *with_script(void)
{
	struct world *w = world_new();
	struct bgp_neighbor_cfg *n;

	world_core(w, US);
	n = world_neighbor(w, US, SCRIPT);
	n->passive = true;
	n->graceful_restart = span_s(60);
	world_own(w, US, "10.1.0.0/16", world_path(w, US, NULL, 0));
	world_start(w);
	world_run(w, span_s(1));
	return w;
}

/* Up to Established; `more` comes with the KEEPALIVE, before anything could be sent. */
static unsigned handshake(struct world *w, const uint8_t *more, size_t size)
{
	const unsigned c = script_connect(w, SCRIPT, US);
	uint8_t bytes[256];
	struct wr m = wr_of(bytes, sizeof(bytes));

	send_message(w, c, BGP_OPEN, open_body, sizeof(open_body));
	put(&m, BGP_KEEPALIVE, NULL, 0);
	wr_bytes(&m, more, size);
	script_send(w, c, bytes, m.n);
	world_run(w, span_ms(10));
	assert_int_equal(world_state(w, US, SCRIPT), BGP_ESTABLISHED);
	return c;
}

/* RFC 7313 4: a refresh stands between BoRR and EoRR; one after the other. */
static void test_asked(void **state)
{
	struct world *w = with_script();
	const unsigned c = handshake(w, NULL, 0);

	assert_string_equal(heard_by_script(w), "kuee");
	send_refresh(w, c, BGP_REFRESH_REQUEST);
	assert_string_equal(heard_by_script(w), "BuE");
	send_refresh(w, c, BGP_REFRESH_REQUEST);
	assert_string_equal(heard_by_script(w), "BuE");
	world_free(w);
}

/* RFC 7313 4: before the End-of-RIB there is no BoRR; the request is not forgotten. */
static void test_asked_early(void **state)
{
	struct world *w = with_script();
	uint8_t bytes[64];
	struct wr m = wr_of(bytes, sizeof(bytes));

	put(&m, BGP_ROUTE_REFRESH, (uint8_t[]){0, 1, BGP_REFRESH_REQUEST, 1}, 4);
	(void)handshake(w, bytes, m.n);
	assert_string_equal(heard_by_script(w), "kueeBuE");
	world_free(w);
}

/* RFC 4724 2: End-of-RIB is of the initial update; what is said again for another reason has none. */
static void test_said_again(void **state)
{
	struct world *w = with_script();

	(void)handshake(w, NULL, 0);
	(void)heard_by_script(w);
	w->end[US].neighbors[0].has_med = true;
	w->end[US].neighbors[0].med = 7;
	world_configure(w, US);
	world_run(w, span_ms(10));
	assert_string_equal(heard_by_script(w), "u");
	bgp_advertise_end(w->end[US].core, 10 + SCRIPT, BGP_IPV4_UNICAST);
	world_run(w, span_ms(10));
	assert_string_equal(heard_by_script(w), "");
	world_free(w);
}

/* A refresh takes away what is not announced again. */
static void test_peer_refreshes(void **state)
{
	struct world *w = with_script();
	const unsigned c = handshake(w, NULL, 0);

	send_message(w, c, BGP_UPDATE, update_body, sizeof(update_body));
	send_message(w, c, BGP_UPDATE, end_of_rib, sizeof(end_of_rib));
	send_refresh(w, c, BGP_REFRESH_BEGIN);
	assert_true(world_heard(w, US, SCRIPT, "10.3.0.0/16")->stale);
	send_message(w, c, BGP_UPDATE, update_body, sizeof(update_body));
	send_refresh(w, c, BGP_REFRESH_END);
	assert_false(world_heard(w, US, SCRIPT, "10.3.0.0/16")->stale);
	send_refresh(w, c, BGP_REFRESH_BEGIN);
	send_refresh(w, c, BGP_REFRESH_END);
	assert_null(world_heard(w, US, SCRIPT, "10.3.0.0/16"));
	assert_int_equal(world_show(w, US, SCRIPT).faults[BGP_FAULT_REFRESH], 0);
	world_free(w);
}

/* RFC 7313 4: with graceful restart no BoRR counts before the End-of-RIB, nor its end. */
static void test_peer_refreshes_early(void **state)
{
	struct world *w = with_script();
	unsigned c = handshake(w, NULL, 0);

	send_message(w, c, BGP_UPDATE, update_body, sizeof(update_body));
	send_refresh(w, c, BGP_REFRESH_BEGIN);
	assert_false(world_heard(w, US, SCRIPT, "10.3.0.0/16")->stale);
	send_message(w, c, BGP_UPDATE, end_of_rib, sizeof(end_of_rib));
	assert_non_null(world_heard(w, US, SCRIPT, "10.3.0.0/16"));
	assert_int_equal(world_show(w, US, SCRIPT).faults[BGP_FAULT_REFRESH], 1);

	/* After its restart the end of a refresh that never began takes nothing away. */
	world_break(w, US, SCRIPT);
	world_run(w, span_s(1));
	assert_true(world_heard(w, US, SCRIPT, "10.3.0.0/16")->stale);
	c = handshake(w, NULL, 0);
	send_refresh(w, c, BGP_REFRESH_BEGIN);
	send_refresh(w, c, BGP_REFRESH_END);
	assert_true(world_heard(w, US, SCRIPT, "10.3.0.0/16")->stale);
	send_message(w, c, BGP_UPDATE, end_of_rib, sizeof(end_of_rib));
	assert_null(world_heard(w, US, SCRIPT, "10.3.0.0/16"));
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_asked),
		cmocka_unit_test(test_asked_early),
		cmocka_unit_test(test_said_again),
		cmocka_unit_test(test_peer_refreshes),
		cmocka_unit_test(test_peer_refreshes_early),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
