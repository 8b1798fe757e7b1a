/* SPDX-License-Identifier: Apache-2.0 */
/* net: what lies between the nodes: faults, and a NAT in front of node 0. */
#include <stdlib.h>
#include <string.h>
#include "ike/wire.h"
#include "tests/sim/world.h"

static bool lost(struct world *w, int sender)
{
	return w->faults.cut || (w->faults.cut_one && sender == 0) ||
	       rng_chance(&w->rng, w->faults.loss);
}

static bool too_long(const struct world *w, const struct ike_action *a)
{
	const size_t ip = a->send.remote.addr.family == IP_V6 ? 40 : 20;

	return w->faults.mtu && ip + 8 + (a->send.natt ? 4 : 0) + a->send.size > w->faults.mtu;
}

/* Its address is cut off: from there nothing goes out either. */
static bool stranded(const struct world *w, int sender, const struct ip_addr *from)
{
	const struct sim_node *n = &w->node[sender];

	return n->addr_dead && ip_equal(&n->addr, from);
}

static uint64_t delay(struct world *w)
{
	return w->faults.delay_us + rng_below(&w->rng, w->faults.jitter_us + 1);
}

void net_use_nat(struct world *w)
{
	w->nat = true;
	w->nat_public = ip_v4(203, 0, 113, 7);
	w->nat_ports[0] = 10500;
	w->nat_ports[1] = 14500;
}

void net_rebind_nat(struct world *w)
{
	w->nat_ports[0]++;
	w->nat_ports[1]++;
}

/* Out through the NAT: the source becomes public. */
static void translate(struct world *w, struct ip_endpoint *from)
{
	if (!w->nat || w->nat_ends || !ip_equal(&from->addr, &w->node[0].addr))
		return;
	from->addr = w->nat_public;
	if (from->port)
		from->port = w->nat_ports[from->port == 4500];
}

static void say(struct world *w, int sender, const uint8_t *d, size_t size, const char *fate)
{
	if (!w->ladder || size < 28)
		return;
	fprintf(w->ladder, "%s  %s %s %u%s\n", sender ? "A <-- B" : "A --> B",
		ike_exchange_name(d[18]), d[19] & 0x20 ? "response" : "request",
		(unsigned)d[20] << 24 | (unsigned)d[21] << 16 | (unsigned)d[22] << 8 | d[23], fate);
}

static struct sim_item *put_ike(struct world *w, int sender, const struct ike_action *a,
				uint64_t later_us)
{
	struct sim_item *item = queue_new(w, SIM_IKE, -1, delay(w) + later_us);

	item->from = a->send.local;
	item->to = a->send.remote;
	translate(w, &item->from);
	item->ike.sender = sender;
	item->ike.size = a->send.size;
	item->ike.data = malloc(a->send.size);
	if (!item->ike.data)
		abort();
	memcpy(item->ike.data, a->send.data, a->send.size);
	return item;
}

#define TOKEN_SIZE 16 /* RFC 6290: of a message in clear it is the end */

/* By somebody without the keys, who may be anywhere. IKE_SA_INIT and IKE_SESSION_RESUME are anybody's to send. */
static void forge(struct world *w, struct sim_item *item)
{
	uint8_t *d = item->ike.data;
	const bool in_clear = d[16] == IKE_PL_NOTIFY;

	if (d[18] == 34 || d[18] == 38)
		return;
	item->ike.forged = true;
	/* RFC 6290 4.1: a token proves the crash in whatever message in clear it comes, so it is spoilt. */
	for (size_t i = 0; in_clear && i < TOKEN_SIZE && i < item->ike.size; i++)
		d[item->ike.size - 1 - i] ^= 0x55; /* more than what changes below can undo */
	if (rng_chance(&w->rng, 50))
		item->from.port ^= (uint16_t)rng_u64(&w->rng);
	if (rng_chance(&w->rng, 20)) {
		item->ike.size = rng_below(&w->rng, item->ike.size);
		return;
	}
	for (size_t at = 0, n = 1 + rng_below(&w->rng, 3); n && at < item->ike.size; n--) {
		/* Forward, so that no change undoes another one. */
		at += 1 + rng_below(&w->rng, item->ike.size - at);
		d[at - 1] ^= (uint8_t)(1 + rng_below(&w->rng, 255));
	}
	if (d[18] == 34 || d[18] == 38)
		d[18] = 99;
}

void net_send_ike(struct world *w, int sender, const struct ike_action *a)
{
	uint64_t later_us = 0;
	unsigned copies = 1;

	check_message(w, sender, a->send.data, a->send.size);
	w->n_ike++;
	if (w->n_ike == w->drop_ike || lost(w, sender) ||
	    stranded(w, sender, &a->send.local.addr) || too_long(w, a) ||
	    (w->path && !w->path(w, sender, &a->send.local, &a->send.remote, &later_us)) ||
	    (w->filter && w->filter(w, sender, a->send.data, a->send.size))) {
		say(w, sender, a->send.data, a->send.size, " (lost)");
		return;
	}
	say(w, sender, a->send.data, a->send.size, "");
	if (rng_chance(&w->rng, w->faults.duplicate))
		copies = 2;
	while (copies--)
		put_ike(w, sender, a, later_us);
	if (w->faults.forge && rng_chance(&w->rng, w->faults.forge))
		forge(w, put_ike(w, sender, a, later_us));
}

bool net_send_esp(struct world *w, const struct sim_item *packet, int sender)
{
	struct sim_item *item;
	uint64_t later_us = 0;

	if (lost(w, sender) || stranded(w, sender, &packet->from.addr) ||
	    (w->path && !w->path(w, sender, &packet->from, &packet->to, &later_us)))
		return false;
	item = queue_new(w, SIM_ESP, -1, delay(w) + later_us);
	item->from = packet->from;
	item->to = packet->to;
	item->esp = packet->esp;
	item->esp.sender = sender;
	translate(w, &item->from);
	return true;
}

bool net_deliver(struct world *w, struct sim_item *item)
{
	if (w->nat && ip_equal(&item->to.addr, &w->nat_public)) {
		if (item->to.port == w->nat_ports[0])
			item->to.port = 500;
		else if (item->to.port == w->nat_ports[1])
			item->to.port = 4500;
		else
			return false; /* a mapping that is no more */
		item->to.addr = w->node[0].addr;
	}
	for (int i = 0; i < SIM_NODES; i++) {
		const struct sim_node *n = &w->node[i];

		if ((ip_equal(&item->to.addr, &n->addr) && !n->addr_dead) ||
		    (n->also.family != IP_NONE && ip_equal(&item->to.addr, &n->also))) {
			item->node = i;
			return !w->node[i].off && (item->kind != SIM_IKE || w->node[i].ike);
		}
	}
	return false;
}
