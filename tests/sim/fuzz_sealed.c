/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target of what is inside of protected messages: an IKE SA stands, or is about to, and its peer
 * says anything at all under the right keys: whole messages and fragments, requests, and responses to
 * what was asked.
 *
 *	input: what node B is doing, then messages: how, first payload, size, content
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/secret.h"
#include "ike/ike_int.h"
#include "tests/sim/fuzz_bytes.h"
#include "tests/sim/world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define A (&w->node[0])
#define B (&w->node[1])

static struct world the_world;

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "fuzz_sealed: %s %s\n", what, the_world.failure);
	abort();
}

/* B is heard by nobody any more; before that, IKE_AUTH may be kept from it. */
static bool early;

static bool nobody_hears(struct world *w, int from, const uint8_t *data, size_t size)
{
	(void)w;
	(void)size;
	return early ? data[18] != IKE_SA_INIT : from == 1;
}

static bool half_done(struct world *w)
{
	return !TAILQ_EMPTY(&B->ike->half_open);
}

static struct ike_sa *sa_of_b(struct world *w)
{
	struct ike_sa *sa = TAILQ_FIRST(&B->ike->half_open);
	struct ike_tunnel *t = ike_tunnel_find(B->ike, 0);

	if (!sa && t)
		sa = ike_tunnel_sa(t);
	return sa ? sa : t ? TAILQ_FIRST(&t->sas) : NULL;
}

static void deliver(struct world *w, const uint8_t *data, size_t size)
{
	struct sim_item item = {.kind = SIM_IKE};

	item.from = (struct ip_endpoint){A->addr, IKE_PORT};
	item.to = (struct ip_endpoint){B->addr, IKE_PORT};
	item.ike.data = (uint8_t *)(uintptr_t)data;
	item.ike.size = size;
	node_receive(B, &item);
}

/* how: 0-2 exchange, 3 response, 4 fragment, 5-6 message id, 7 let time go by */
static void message(struct world *w, struct fuzz_bytes *in)
{
	static const uint8_t exchanges[] = {
		IKE_AUTH,         IKE_CREATE_CHILD_SA, IKE_INFORMATIONAL,
		IKE_INTERMEDIATE, IKE_CREATE_CHILD_SA, IKE_INFORMATIONAL,
		IKE_FOLLOWUP_KE,  IKE_SESSION_RESUME};
	static uint64_t iv = 1ull << 62;
	const uint8_t how = fuzz_u8(in), first = fuzz_u8(in);
	struct ike_sa *sa = sa_of_b(w);
	const bool response = how & 8;
	struct ike_sk_part part = {1, 1};
	uint8_t buf[IKE_MESSAGE_MAX];
	struct ike_header h;
	const uint8_t *content;
	size_t n;

	if (!sa || !sa->keys.ei)
		return;
	h = (struct ike_header){
		.spi_i = sa->spi_i,
		.spi_r = sa->spi_r,
		.version = IKE_VERSION_2,
		.exchange = exchanges[how & 7],
		.flags = (uint8_t)((sa->initiator ? 0 : IKE_FLAG_INITIATOR) |
				   (response ? IKE_FLAG_RESPONSE : 0)),
		.message_id = (response ? sa->req.mid : sa->rx_mid) +
			      ((how >> 5 & 3) == 3 ? UINT32_MAX : how >> 5 & 3),
	};
	if (how & 16) {
		part.number = fuzz_u8(in);
		part.total = fuzz_u8(in);
	}
	n = fuzz_take(in, fuzz_u16(in) & 2047, &content);
	n = how & 16 ? ike_sk_seal_part(&sa->ike->crypto, &sa->suite, ike_sa_rx_keys(sa), &iv, &h,
					first, part, content, n, buf, sizeof(buf))
		     : ike_sk_seal(&sa->ike->crypto, &sa->suite, ike_sa_rx_keys(sa), &iv, &h, first,
				   content, n, buf, sizeof(buf));
	if (n)
		deliver(w, buf, n);
	world_run(w, how & 128 ? span_s(1) : span_us(1100));
	must(!w->failure[0], "broken");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool ready;
	struct world *w = &the_world;
	struct fuzz_bytes in = {data, size};
	uint8_t start;

	if (!ready)
		must(secret_init(), "no secrets");
	ready = true;
	if (size < 4 || size > 4096)
		return 0;
	start = fuzz_u8(&in);
	world_init(w, start >> 5);
	w->esp_period_us = 0;
	w->lies = true;
	A->kem = B->kem = SIM_KEM_FAKE;
	if (start & 16)
		A->cfg[0].ike_algs.by_type[IKE_TRANSFORM_ENCR] =
			(struct ike_alg_list){1, {{IKE_ENCR_AES_CBC, 256}}};
	early = (start & 7) == 7;
	w->filter = early ? nobody_hears : NULL;
	must(world_start(w), "no start");
	must(world_until(w, early ? half_done : settled, span_s(10)), "not connected");
	w->filter = nobody_hears;
	switch (start & 7) {
	case 1: node_event(B, IKE_EV_REKEY_CHILD, 0); break;
	case 2: node_event(B, IKE_EV_REKEY_IKE, 0); break;
	case 3: node_event(B, IKE_EV_TERMINATE, 0); break;
	case 4: world_run(w, span_s(11)); break; /* a probe is on its way */
	case 5:
		B->dp_deaf = true;
		node_event(B, IKE_EV_REKEY_CHILD, 0);
		break;
	case 6: B->cfg[0].startup = IKE_STARTUP_START; break;
	default: break;
	}
	for (unsigned n = 0; n < 40 && fuzz_more(&in); n++)
		message(w, &in);
	must(count_sas(B, 0).child <= SIM_SLOTS && count_sas(B, 0).ike <= 60, "too many SAs");
	world_fini(w);
	return 0;
}
