/* SPDX-License-Identifier: Apache-2.0 */
/*
 * esp/: the Encapsulating Security Payload in tunnel mode, as pure functions over bytes.
 *
 * Who calls it: the dataplane's workers, in bursts of one SA half; the tests, the fuzzers and the
 * benchmark, with the very same code.
 *
 * The files, in the order in which a packet meets them:
 *	peek.c	where ESP is in a packet, and its SPI, for the lookup of the SA
 *	out.c	encapsulation: prepare (inspect, reserve a sequence number, build), finish
 *	quick.h	the same for what is most frequent, inline, with one line of the SA
 *	in.c	decapsulation: prepare (inspect, check replay), accept (check replay again, unwrap)
 *	batch.c	between these stages: the packets of a burst are sealed or opened in one go
 *	inner.c	the inner IP header; ts.c the SA's selectors over it
 *	outer.c	the outer header: template and checksum, parser, ECN
 *	replay.c	the anti-replay window and the inference of extended sequence numbers
 *	mtu.c	the arithmetic of overhead
 *	aead.c	the list of backends; aead_ipsec_mb.c, aead_vaes.c with aead_vaes_512.c,
 *		aead_vaes_256.c, aead_openssl.c, aead_self_test.c, suite.c; cpu.c which of
 *		them the machine can run
 *
 * Invariants (tests/esp holds each of them to it)
 *   - Total over any bytes: nothing is read or written outside the packet and its rooms.
 *   - Until every check has passed, a packet keeps its bytes: a refused packet can still be
 *     answered with an ICMP error. Only a packet that failed to open is scrambled.
 *   - What the wire says changes nothing but counters before its ICV has been verified.
 *   - One (key, sequence number) pair is sealed at most once.
 *
 * Non-goals: transport mode, fragmentation and reassembly (the dataplane's), path MTU state,
 * choosing the SA (the dataplane's), AH.
 *
 * RFCs: 4301 (architecture), 4303 (ESP), 4106 (GCM), 3602 (CBC), 4868 (HMAC-SHA2), 3948 (UDP),
 * 6040 (ECN), 6864 (IPv4 id), 2983 (DSCP).
 */
#include "esp/esp.h"

const char *esp_drop_name(enum esp_drop d)
{
	static const char *const names[] = {
#define X(name, text) [ESP_DROP_##name] = text,
		ESP_DROPS(X)
#undef X
	};

	return (unsigned)d < ESP_DROP_END ? names[d] : "esp-unknown";
}
