/* SPDX-License-Identifier: Apache-2.0 */
/* hand: datagrams that a test holds back, looks at and delivers by hand. */
#include <stdlib.h>
#include <string.h>
#include "tests/sim/hand.h"
#include "tests/sim/scenario.h"

struct hand_heard heard;
struct hand_taken taken;

struct ike_sa *sa_of(struct sim_node *n)
{
	struct ike_tunnel *t = ike_tunnel_find(n->ike, 0);
	struct ike_sa *sa = ike_tunnel_sa(t);

	if (!sa)
		sa = TAILQ_FIRST(&n->ike->half_open);
	return sa ? sa : TAILQ_FIRST(&t->sas);
}

struct ike_header header_of(const uint8_t *data, size_t size)
{
	struct ike_header h;

	assert_int_equal(ike_header_parse(data, size, &h), IKE_OK);
	return h;
}

void hand_give(struct sim_node *n, struct ip_endpoint from, const uint8_t *data, size_t size)
{
	struct ike_event ev = {.type = IKE_EV_PACKET, .now = n->w->now};
	uint8_t *exact = malloc(size ? size : 1);

	assert_non_null(exact);
	memcpy(exact, data, size);
	heard = (struct hand_heard){0};
	ev.packet.local = (struct ip_endpoint){n->addr, IKE_PORT};
	ev.packet.remote = from;
	ev.packet.data = exact;
	ev.packet.size = size;
	ike_step(n->ike, &ev, &n->out);
	for (size_t i = 0; i < n->out.n; i++) {
		const struct ike_action *a = &n->out.actions[i];

		if (a->type != IKE_ACT_SEND) {
			heard.other += a->type != IKE_ACT_EVENT;
			continue;
		}
		heard.n++;
		heard.size = a->send.size;
		memcpy(heard.data, a->send.data, a->send.size);
		heard.local = a->send.local;
		heard.remote = a->send.remote;
	}
	free(exact);
	ike_out_reset(&n->out);
}

struct ip_endpoint address_of(const struct sim_node *n)
{
	return (struct ip_endpoint){n->addr, IKE_PORT};
}

bool hand_take(struct world *w, int from, const uint8_t *data, size_t size)
{
	(void)w;
	if (from != taken.from || data[18] != taken.exchange ||
	    !!(data[19] & IKE_FLAG_RESPONSE) != taken.response)
		return false;
	if (!taken.size) {
		memcpy(taken.data, data, size);
		taken.size = size;
	}
	return true;
}

bool hand_has_taken(struct world *w)
{
	(void)w;
	return taken.size;
}

void hand_hold(struct world *w, int from, uint8_t exchange, bool response)
{
	taken = (struct hand_taken){.from = from, .exchange = exchange, .response = response};
	w->filter = hand_take;
	must(w, world_start(w) && world_until(w, hand_has_taken, span_s(5)), "nothing was sent");
}

static bool measure(struct world *w, int from, const uint8_t *data, size_t size)
{
	(void)from;
	(void)data;
	*(size_t *)w->filter_ctx += size;
	return true;
}

size_t hand_inject(struct sim_node *n, struct ip_endpoint from, const uint8_t *data, size_t size)
{
	struct ike_event ev = {.type = IKE_EV_PACKET, .now = n->w->now};
	size_t sent = 0;

	ev.packet.local = (struct ip_endpoint){n->addr, 4500};
	ev.packet.remote = from;
	ev.packet.data = data;
	ev.packet.size = size;
	n->w->filter = measure;
	n->w->filter_ctx = &sent;
	node_step(n, &ev);
	n->w->filter = NULL;
	return sent;
}

void add_notify(struct ike_builder *b, uint16_t type, const void *data, size_t size)
{
	ike_build_notify(b, IKE_PROTO_NONE, NULL, 0, type, data, size);
}
