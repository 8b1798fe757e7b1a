/* SPDX-License-Identifier: Apache-2.0 */
/*
 * packet: what travels with an mbuf between threads, in its private area; and small accessors for
 * the headers that the dataplane looks at. The owner of the mbuf owns the meta data. Within a worker's
 * round packets travel in vectors, with what the next phase needs beside them.
 */
#ifndef DATAPLANE_PACKET_H
#define DATAPLANE_PACKET_H

#include <stdint.h>
#include <string.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include "esp/esp.h"

#define DP_BURST      64
#define DP_VEC_SIZE   64 /* at most ESP_BURST_MAX */
#define DP_ETH_SIZE   14
#define DP_PROTO_ESP  50
#define DP_PORT_NAT_T 4500
#define DP_PORT_IKE   500
#define DP_NO_PORT    0xff

/* What is to be done with a packet that one thread hands to another. */
enum dp_kind {
	DP_PKT_NONE = 0,
	/* to a worker */
	DP_PKT_ENCAP,   /* inner IP packet for meta.tunnel */
	DP_PKT_DECAP,   /* outer IP packet with ESP of meta.slot */
	DP_PKT_FORWARD, /* IP packet of our own making, to be routed */
	DP_PKT_TX,      /* frame, complete, for meta.port */
	/* to the manager */
	DP_PKT_TO_MIRROR,   /* frame for the mirror TAP of meta.port */
	DP_PKT_PATH_MTU,    /* the same, of an ICMP message "too big" from outside */
	DP_PKT_TO_TUN,      /* inner IP packet for the TUN of meta.tunnel */
	DP_PKT_GLEAN,       /* IP packet whose destination on meta.port has no neighbour yet */
	DP_PKT_UNRESOLVED,  /* outer IP packet whose next hop meta.neigh is not resolved */
	DP_PKT_UNKNOWN_SPI, /* outer IP packet, counted as dropped: only for its event */
};

struct dp_meta {
	uint8_t kind;       /* enum dp_kind */
	uint8_t port;       /* where it came from or must go; DP_NO_PORT: from inside */
	uint8_t family;     /* of the IP header at the data pointer: 4 or 6 */
	uint8_t in_tunnel;  /* 1: it came out of `from_tunnel` */
	uint8_t originated; /* 1: this host made it, Linux or we */
	uint8_t common; /* 1: for the tunnel's common SA, from a thread without one of its own */
	uint16_t table; /* DP_PKT_FORWARD: to be looked up in */
	uint32_t tunnel;
	uint32_t slot;
	uint32_t spi;
	uint32_t neigh;
	uint32_t from_tunnel; /* the tunnel that the packet came out of */
};

static inline struct dp_meta *dp_meta(struct rte_mbuf *m)
{
	return rte_mbuf_to_priv(m);
}

static inline uint8_t *dp_data(struct rte_mbuf *m)
{
	return rte_pktmbuf_mtod(m, uint8_t *);
}

/* Multicast, broadcast and link-local: of a link, never routed, whatever a default route says. */
static inline bool dp_is_for_link(const uint8_t *ip, uint8_t family)
{
	if (family == 4)
		return ip[16] >= 224;
	return ip[24] == 0xff || (ip[24] == 0xfe && (ip[25] & 0xc0) == 0x80);
}

static inline uint16_t dp_get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t dp_get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline void dp_put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* A burst of packets on their way through a phase. */
struct dp_vec {
	struct rte_mbuf *m[DP_VEC_SIZE];
	uint16_t n;
};

/* Frames for a port. */
struct dp_tx_vec {
	struct rte_mbuf *m[DP_BURST];
	uint32_t n;
	uint32_t bytes; /* in all of them */
};

/* Packets for ESP, each with the SA that it belongs to until the end of the round. */
struct dp_esp_vec {
	struct rte_mbuf *m[DP_VEC_SIZE];
	void *sa[DP_VEC_SIZE];     /* struct dp_out or struct dp_in */
	uint32_t spi[DP_VEC_SIZE]; /* of ESP packets whose SA is still to be found */
	struct esp_pkt pkts[DP_VEC_SIZE];
	uint16_t n;
	/* The first so many are as `port` received them, their mbufs without meta data and with the frame
	 * still; `pkts` says where they are. */
	uint16_t n_bare;
	uint8_t port;
};

/* The packet as ESP sees it; single segment. The rest is zero. */
static inline void dp_esp_pkt(struct rte_mbuf *m, struct esp_pkt *p)
{
	*p = (struct esp_pkt){
		.data = rte_pktmbuf_mtod(m, uint8_t *),
		.size = m->data_len,
		.headroom = m->data_off,
		.tailroom = (uint32_t)m->buf_len - m->data_off - m->data_len,
	};
}

/* Where a packet of one segment is now. */
static inline void dp_set_data(struct rte_mbuf *m, const uint8_t *data, uint32_t size)
{
	m->data_off = (uint16_t)(data - (uint8_t *)m->buf_addr);
	m->pkt_len = size;
	m->data_len = (uint16_t)size;
}

/* What ESP has made of it, back into the mbuf. */
static inline void dp_esp_done(struct rte_mbuf *m, const struct esp_pkt *p)
{
	dp_set_data(m, p->data, p->size);
}

/* The mbuf of a packet that leaves its way through ESP, and may have come onto it as it was received. */
static inline struct rte_mbuf *dp_dressed(const struct dp_esp_vec *v, uint16_t i)
{
	struct rte_mbuf *m = v->m[i];

	if (i < v->n_bare) {
		*dp_meta(m) = (struct dp_meta){.port = v->port, .family = 4};
		dp_esp_done(m, &v->pkts[i]);
	}
	return m;
}

#endif
