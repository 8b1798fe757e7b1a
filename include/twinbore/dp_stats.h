/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dp_stats.h: counters and facts that the dataplane shows to everyone else, in a sealed memfd that
 * readers map read-only. Each counter has exactly one writer (a worker or the dataplane's manager),
 * 64 bits, monotonic; readers take them with relaxed atomic loads. The names of the drop reasons
 * travel with the data, so that a reader never needs the dataplane's version of the list.
 */
#ifndef TWINBORE_DP_STATS_H
#define TWINBORE_DP_STATS_H

#include <assert.h>
#include <stdint.h>

#define DP_STATS_MAGIC        0x54425354u /* "TBST" */
#define DP_STATS_VERSION      6u
#define DP_STATS_MAX_WORKERS  32u /* the manager counts as worker 0's neighbour: index n_workers */
#define DP_STATS_MAX_PORTS    16u
#define DP_STATS_MAX_REASONS  96u
#define DP_STATS_NAME_SIZE    40u
#define DP_STATS_MAX_SUITES   32u
#define DP_STATS_MAX_OFFLOADS 8u

/* What a port's device could do for the workers, and whether it does. */
struct dp_stats_offload {
	char name[24];  /* "" after the last one */
	char state[16]; /* "on", "off", "not offered", "not needed" */
};

struct dp_stats_port {
	char name[32];   /* as configured */
	char device[64]; /* PCI address or vdev arguments */
	char driver[32];
	char mirror[16]; /* the mirror TAP's interface name */
	uint8_t mac[6];
	uint16_t mtu;
	uint32_t link_up;
	uint32_t speed_mbps;
	uint64_t rx_packets, rx_bytes, rx_missed, rx_errors;
	uint64_t tx_packets, tx_bytes, tx_dropped;
	uint64_t to_linux, from_linux; /* packets through the mirror TAP */
	struct dp_stats_offload offloads[DP_STATS_MAX_OFFLOADS];
	/* flow rules for SPIs that are in the device, and those that it had no room for */
	uint64_t spi_rules, spi_rules_refused;
};

/* What protects the packets of one suite. */
struct dp_stats_suite {
	char suite[DP_STATS_NAME_SIZE]; /* "aes-256-gcm-16" */
	char backend[24];
};

struct dp_stats_worker {
	uint32_t lcore;
	uint32_t asleep;     /* 1 while backing off */
	uint64_t polls;      /* loop rounds */
	uint64_t busy_polls; /* rounds that found packets */
	uint64_t sleeps;
	uint64_t packets;
	uint64_t busy_cycles; /* TSC cycles in busy rounds */
	uint64_t handed;      /* packets given to another worker, which counts them again */
	uint64_t spread;      /* bursts that others might have sealed or opened */
	uint64_t taken_back;  /* of these, those that the worker sealed or opened itself */
	uint64_t helped;      /* bursts of others that it sealed or opened */
	uint64_t generated;   /* packets of our own making: ICMP errors, further fragments */
	uint64_t drops[DP_STATS_MAX_REASONS];
};

/* One CHILD_SA: indexed by slot; both halves. */
struct dp_stats_sa {
	uint64_t out_packets, out_bytes, out_seq; /* bytes: inner IP length */
	uint64_t in_packets, in_bytes, in_seq_high;
	uint64_t in_auth_failed, in_replayed, in_late, in_ts_mismatch, in_malformed;
	uint64_t out_mtu;      /* largest inner packet */
	uint64_t out_path_mtu; /* largest outer packet */
	uint64_t zero[3];
};
static_assert(sizeof(struct dp_stats_sa) == 128, "dp_stats layout");

/* One tunnel: indexed by tunnel number; sums over all its SAs since the tunnel was set. */
struct dp_stats_tunnel {
	uint64_t out_packets, out_bytes;
	uint64_t in_packets, in_bytes;
	uint64_t out_dropped, in_dropped;
	uint64_t current_slot; /* UINT32_MAX: none */
	uint64_t mtu;
	uint64_t to_linux, from_linux; /* packets through the inside interface */
	uint64_t path_mtu;             /* largest outer packet; 0: no SA yet */
	uint64_t path_mtu_learnt;      /* 1: it is what routers outside have told, not the port's */
	uint64_t out_translated,
		in_translated; /* packets of which an address has got another name */
	uint64_t zero[2];
};
static_assert(sizeof(struct dp_stats_tunnel) == 128, "dp_stats layout");

struct dp_stats {
	uint32_t magic;
	uint32_t version;
	uint32_t n_workers;
	uint32_t n_ports;
	uint32_t n_reasons;
	uint32_t max_sas;
	uint32_t max_tunnels;
	uint32_t pid;
	uint64_t tsc_hz;
	uint64_t started_ns; /* CLOCK_MONOTONIC */
	uint32_t n_routes, n_groups;
	char aead_backend[32]; /* the fast path's choice at start, for AES-256-GCM */
	uint32_t n_suites, zero;
	struct dp_stats_suite suites[DP_STATS_MAX_SUITES];
	char eal[128]; /* "hugepages" or "no hugepages", lcores: for people */
	char reasons[DP_STATS_MAX_REASONS][DP_STATS_NAME_SIZE];
	struct dp_stats_port ports[DP_STATS_MAX_PORTS];
	struct dp_stats_worker workers[DP_STATS_MAX_WORKERS + 1];
	uint64_t sas_offset; /* bytes from the start of the map to dp_stats_sa[max_sas] */
	uint64_t
		tunnels_offset; /* bytes from the start of the map to dp_stats_tunnel[max_tunnels] */
};

static inline uint64_t dp_stats_size(uint32_t max_sas, uint32_t max_tunnels)
{
	const uint64_t head = (sizeof(struct dp_stats) + 127) & ~(uint64_t)127;

	return head + (uint64_t)max_sas * sizeof(struct dp_stats_sa) +
	       (uint64_t)max_tunnels * sizeof(struct dp_stats_tunnel);
}

#endif
