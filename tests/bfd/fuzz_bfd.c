/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: events for a BFD core by the bytes of the input. Whatever comes, the core must not
 * crash, must keep its deadline in the future after a tick, and must send only well-formed packets.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/rd.h"
#include "bfd/bfd.h"

#define SESSIONS 3

static uint32_t draw(void *ctx)
{
	uint32_t *x = ctx;

	return *x = *x * 1664525u + 1013904223u;
}

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void check(struct bfd_out *out)
{
	for (size_t i = 0; i < out->n; i++) {
		const struct bfd_action *a = &out->actions[i];

		if (a->type != BFD_ACT_SEND)
			continue;
		must(a->send.data[0] >> 5 == 1);
		must(a->send.data[2] != 0);
		must(a->send.data[3] == BFD_PACKET_SIZE);
		must((a->send.data[1] & 0x30) != 0x30);
	}
	bfd_out_reset(out);
}

static size_t configs(struct bfd_session_cfg *c, uint8_t how)
{
	const size_t n = how % (SESSIONS + 1);

	for (size_t i = 0; i < n; i++) {
		c[i] = (struct bfd_session_cfg){
			.session = (uint32_t)i,
			.local = ip_v4(169, 254, 10, 1),
			.remote = ip_v4(169, 254, 10, (uint8_t)(2 + i)),
			.multihop = how & 4,
			.passive = how & 8,
			.tx = span_ms(how & 16 ? 50 : 300),
			.rx = span_ms(how & 32 ? 50 : 300),
			.multiplier = how & 64 ? 1 : 3,
		};
	}
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint32_t seed = 1;
	struct bfd *b = bfd_new(draw, &seed, NULL);
	struct mono now = mono_add((struct mono){0}, span_s(10));
	struct bfd_session_cfg cfgs[SESSIONS];
	struct rd r = rd_of(data, size);
	struct bfd_out out = {0};
	uint8_t op, arg;

	while (rd_u8(&r, &op) && rd_u8(&r, &arg)) {
		struct bfd_event ev = {.session = arg % SESSIONS};
		uint8_t packet[BFD_PACKET_SIZE + 4];
		struct rd part;
		struct bfd_show s;

		switch (op % 7) {
		case 0: must(bfd_configure(b, cfgs, configs(cfgs, arg), now, &out)); break;
		case 1:
			now = mono_add(now, span_ms(arg * 8u));
			ev.type = BFD_EV_TICK;
			break;
		case 2: ev.type = BFD_EV_ADMIN_DOWN; break;
		case 3: ev.type = BFD_EV_ADMIN_UP; break;
		case 4: ev.type = BFD_EV_PATH_DOWN; break;
		default:
			if (!rd_sub(&r, r.size < sizeof(packet) ? r.size : sizeof(packet), &part))
				break;
			memcpy(packet, part.p, part.size);
			/* So that most reach a session. */
			if (part.size >= 12 && op & 0x80 && bfd_show(b, arg % SESSIONS, &s)) {
				packet[0] = 0x20;
				packet[3] = BFD_PACKET_SIZE;
				for (int i = 0; i < 4; i++)
					packet[8 + i] =
						(uint8_t)(s.local_discriminator >> (24 - 8 * i));
			}
			ev.type = BFD_EV_PACKET;
			ev.packet.local = ip_v4(169, 254, 10, 1);
			ev.packet.remote = ip_v4(169, 254, 10, (uint8_t)(2 + arg % SESSIONS));
			ev.packet.ttl = op & 0x40 ? 254 : 255;
			ev.packet.multihop = op & 0x20;
			ev.packet.data = packet;
			ev.packet.size = part.size;
			break;
		}
		ev.now = now;
		if (op % 7)
			bfd_step(b, &ev, &out);
		check(&out);
		if (op % 7 == 1)
			must(mono_before(now, bfd_deadline(b)));
	}
	bfd_free(b);
	bfd_out_fini(&out);
	return 0;
}
