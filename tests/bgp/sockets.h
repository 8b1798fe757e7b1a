/* SPDX-License-Identifier: Apache-2.0 */
/* sockets: what the test speakers ask of the kernel: addresses, TCP-MD5, TTLs sent and demanded. */
#ifndef TESTS_BGP_SOCKETS_H
#define TESTS_BGP_SOCKETS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include "base/addr.h"

/* Each ends the program where the kernel refuses. */
_Noreturn void sockets_die(const char *what);

socklen_t sockets_name(const struct ip_addr *a, uint16_t port, struct sockaddr_storage *ss);
struct ip_addr sockets_addr(const struct sockaddr_storage *ss);
/* Bound, non-blocking. */
int sockets_bound(const struct ip_addr *a, int type, uint16_t port);
/* RFC 2385: segments with `remote` carry the digest of this password. */
void sockets_md5(int fd, const struct ip_addr *remote, const char *password);
void sockets_ttl(int fd, const struct ip_addr *local, int ttl);
/* RFC 5082 3: what comes from farther away is dropped by the kernel. */
void sockets_min_ttl(int fd, const struct ip_addr *local, int ttl);
/* One datagram with who sent it and its TTL. Returns its size, < 0: none. */
ssize_t sockets_receive(int fd, void *bytes, size_t size, struct ip_addr *remote, uint8_t *ttl);
void sockets_want_ttl(int fd, const struct ip_addr *local);

#endif
