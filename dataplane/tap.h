/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tap: TAP and TUN interfaces, the doors between the dataplane and Linux. They vanish when their
 * descriptor is closed, so that a stopped dataplane leaves nothing behind.
 */
#ifndef DATAPLANE_TAP_H
#define DATAPLANE_TAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dp_tap {
	int fd; /* -1: none */
	int ifindex;
	char ifname[16];
};

enum dp_tap_kind {
	DP_TAP_FRAMES,  /* TAP: Ethernet frames */
	DP_TAP_PACKETS, /* TUN: IP packets */
};

/*
 * Creates the interface `ifname`, non-blocking. False with a text in `error`. An interface of this
 * name that stands already is an error: it would be somebody else's.
 */
bool dp_tap_open(struct dp_tap *t, const char *ifname, enum dp_tap_kind kind, char *error,
		 size_t error_size);
void dp_tap_close(struct dp_tap *t);

/* Writes `value` to /proc/sys/net/<family>/conf/<ifname>/<name>; false if the kernel has no such. */
bool dp_sysctl_if(const char *family, const char *ifname, const char *name, const char *value);

#endif
