/* SPDX-License-Identifier: Apache-2.0 */
/*
 * addr: IP addresses, endpoints, prefixes and ranges. Bytes are in network order; an IPv4 address
 * fills the first four bytes and leaves the rest zero, so that addresses compare with memcmp.
 */
#ifndef BASE_ADDR_H
#define BASE_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ip_family {
	IP_NONE = 0,
	IP_V4 = 4,
	IP_V6 = 6,
};

struct ip_addr {
	uint8_t family; /* enum ip_family */
	uint8_t b[16];
};

struct ip_endpoint {
	struct ip_addr addr;
	uint16_t port; /* host byte order */
};

struct ip_prefix {
	struct ip_addr addr; /* host bits may be set where an interface address is meant */
	uint8_t len;
};

#define IP_ADDR_STRLEN     46
#define IP_ENDPOINT_STRLEN 56
#define IP_PREFIX_STRLEN   52

struct ip_addr ip_v4(uint8_t a, uint8_t b, uint8_t c, uint8_t d);
struct ip_addr ip_from_bytes(enum ip_family family, const uint8_t *bytes);
size_t ip_size(const struct ip_addr *a); /* 4, 16, or 0 for IP_NONE */
unsigned ip_bits(const struct ip_addr *a);
bool ip_equal(const struct ip_addr *a, const struct ip_addr *b);
int ip_cmp(const struct ip_addr *a, const struct ip_addr *b); /* family first, then bytes */
bool ip_is_unspecified(const struct ip_addr *a);
/* One host that packets can be sent to: not unspecified, multicast, broadcast or loopback. */
bool ip_is_unicast(const struct ip_addr *a);
bool ip_endpoint_equal(const struct ip_endpoint *a, const struct ip_endpoint *b);

/* Parsers take a NUL-terminated string and are strict: no white space, names or leading zeros. */
bool ip_parse(const char *s, struct ip_addr *out);
/* "a.b.c.d/len"; the length is required. */
bool ip_prefix_parse(const char *s, struct ip_prefix *out);

/* Formatters return `buf`, which must hold IP_*_STRLEN bytes. IPv6 follows RFC 5952. */
const char *ip_format(const struct ip_addr *a, char buf[IP_ADDR_STRLEN]);
const char *ip_endpoint_format(const struct ip_endpoint *e, char buf[IP_ENDPOINT_STRLEN]);
const char *ip_prefix_format(const struct ip_prefix *p, char buf[IP_PREFIX_STRLEN]);

bool ip_prefix_equal(const struct ip_prefix *a, const struct ip_prefix *b);
bool ip_prefix_contains(const struct ip_prefix *p, const struct ip_addr *a);
/* `inner` lies within `outer`, or is the same. */
bool ip_prefix_within(const struct ip_prefix *outer, const struct ip_prefix *inner);
bool ip_prefix_overlaps(const struct ip_prefix *a, const struct ip_prefix *b);
bool ip_prefix_is_canonical(const struct ip_prefix *p); /* no host bit set */
struct ip_prefix ip_prefix_network(const struct ip_prefix *p);

/* First and last address of a prefix. */
void ip_prefix_range(const struct ip_prefix *p, struct ip_addr *first, struct ip_addr *last);
/* The one prefix that is exactly first..last, or false. */
bool ip_range_to_prefix(const struct ip_addr *first, const struct ip_addr *last,
			struct ip_prefix *out);

#endif
