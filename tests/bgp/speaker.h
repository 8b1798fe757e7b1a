/* SPDX-License-Identifier: Apache-2.0 */
/* speaker: what the files of the test speaker share; speaker.c has its essay. */
#ifndef TESTS_BGP_SPEAKER_H
#define TESTS_BGP_SPEAKER_H

#include <poll.h>
#include <stdio.h>

#include "bfd/bfd.h"
#include "bgp/bgp.h"
#include "tests/bgp/speaker_routes.h"

#define SPEAKER_FDS    64
#define SPEAKER_FD_MAX 1024
#define NEIGHBOR       1

struct speaker {
	struct routes routes; /* first: the sink's functions look for it there */
	struct bgp *bgp;
	struct bfd *bfd;
	struct path_store *paths;
	struct path *own;
	struct bgp_neighbor_cfg cfg;
	struct path_facts facts; /* of our own routes */
	uint8_t communities[BGP_EXTENDED_MAX], large[BGP_EXTENDED_MAX];
	const char *password;
	uint32_t id;
	bool restarted;
	unsigned bfd_ms;
	struct ip_prefix prefixes[SPEAKER_FDS];
	size_t n_prefixes;
	int listener, bfd_rx, bfd_tx;
	FILE *commands;
	int connecting; /* -1: none */
	struct pollfd fds[SPEAKER_FDS];
	struct {
		uint8_t *bytes;
		size_t n;
		bool closing;
		bool ended; /* by us: what still comes is dropped */
		/* Of the messages that come in: how much of one is there. */
		uint8_t header[19];
		size_t n_header, rest;
	} io[SPEAKER_FD_MAX]; /* by descriptor */
	size_t longest;       /* message that came */
};

/* speaker_options.c: what the command line says. False: it says something else. */
bool speaker_options(struct speaker *s, int argc, char **argv);

#endif
