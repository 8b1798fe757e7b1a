/* SPDX-License-Identifier: Apache-2.0 */
/* route_probe: ICMP echoes through tunnels, and what follows from the answers. */
#include <stdio.h>
#include <sys/socket.h>
#include "daemon/route_int.h"

#define PACKETS_PER_TURN 16
#define PACKET_ROOM      256
#define V4_HEADER_MIN    20

static void verdict(struct route_shell *s, struct route_tunnel *t)
{
	const uint32_t tunnel = t->cfg->index;
	const bool works = t->probing.state == PROBE_WORKS;
	char text[160], address[IP_ADDR_STRLEN];

	if (works)
		snprintf(text, sizeof(text), "%s answers", ip_format(&t->probe.address, address));
	else
		snprintf(text, sizeof(text), "%s has not answered %u echoes in a row",
			 ip_format(&t->probe.address, address), t->probe.failures);
	route_step_tunnel(s, works ? RT_EV_PROBE_UP : RT_EV_PROBE_DOWN, tunnel);
	route_tell(s, works ? LOG_LEVEL_INFO : LOG_LEVEL_WARN, works ? "probe-up" : "probe-down",
		   tunnel, text, NULL);
}

static void on_answers(void *ctx, int fd, uint32_t events)
{
	struct route_shell *s = ctx;
	struct route_tunnel *t = route_by_fd(s, fd);

	for (int i = 0; i < PACKETS_PER_TURN && t && t->cfg; i++) {
		const bool v6 = t->probe.local.family == IP_V6;
		uint8_t bytes[PACKET_ROOM];
		const ssize_t n = recv(fd, bytes, sizeof(bytes), 0);
		size_t at = 0;
		uint16_t sequence;

		if (n < 0)
			return;
		/* IPv4's raw sockets give the header, too. */
		if (!v6)
			at = n >= V4_HEADER_MIN ? (bytes[0] & 0xfu) * 4u : (size_t)n;
		if (at <= (size_t)n &&
		    probe_parse(v6, s->probe_id, bytes + at, (size_t)n - at, &sequence) &&
		    probe_heard(&t->probing, sequence))
			verdict(s, t);
	}
}

bool route_probe_listen(struct route_shell *s, struct route_tunnel *t)
{
	return route_watch(s, t, t->echo, EPOLLIN, on_answers);
}

void route_probe_settle(struct route_shell *s, struct route_tunnel *t)
{
	const bool wanted = t->cfg && t->probe.on && t->up && t->echo >= 0;
	const bool runs = !mono_is_never(t->probing.at);

	if (wanted == runs)
		return;
	if (wanted) {
		probe_start(&t->probing, t->probe.interval, t->probe.failures, mono_now());
		s->probe_at = mono_min(s->probe_at, t->probing.at);
		return;
	}
	/* Without an interface or a tunnel an echo says nothing. */
	if (t->probing.state == PROBE_FAILS && t->cfg)
		route_step_tunnel(s, RT_EV_PROBE_NONE, t->cfg->index);
	probe_stop(&t->probing);
}

void route_probes_turn(struct route_shell *s, struct mono now)
{
	uint8_t packet[PROBE_PACKET_SIZE];

	if (!mono_reached(now, s->probe_at))
		return;
	s->probe_at = MONO_NEVER;
	for (size_t i = 0; i < s->n_tunnels; i++) {
		struct route_tunnel *t = s->tunnels[i];

		if (!t || mono_is_never(t->probing.at))
			continue;
		if (probe_due(&t->probing, now)) {
			if (probe_tick(&t->probing, now))
				verdict(s, t);
			probe_packet(t->probe.local.family == IP_V6, s->probe_id,
				     t->probing.sequence, packet);
			/* What cannot be sent is an answer that does not come. */
			(void)send(t->echo, packet, sizeof(packet), MSG_NOSIGNAL);
		}
		s->probe_at = mono_min(s->probe_at, t->probing.at);
	}
}
