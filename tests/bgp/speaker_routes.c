/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bgp/speaker_routes.h"

#include <stdio.h>
#include <stdlib.h>
#include "base/rd.h"

/* The index of a route, or where there is none. */
static size_t find(const struct routes *r, const struct path_nlri *nlri)
{
	size_t i = 0;

	while (i < r->n && (r->all[i].nlri.path_id != nlri->path_id ||
			    !ip_prefix_equal(&r->all[i].nlri.prefix, &nlri->prefix)))
		i++;
	return i;
}

static void tell_numbers(const char *name, const uint8_t *bytes, size_t size, unsigned each)
{
	struct rd r = rd_of(bytes, size);
	uint32_t a, b, c;

	while (each == 12 && rd_u32(&r, &a) && rd_u32(&r, &b) && rd_u32(&r, &c))
		printf(" %s %u:%u:%u", name, a, b, c);
	while (each == 4 && rd_u32(&r, &a))
		printf(" %s %u:%u", name, a >> 16, a & 0xffff);
}

static void tell(const struct path_nlri *nlri, const struct path *p)
{
	const struct path_facts *f = &p->facts;
	char prefix[IP_PREFIX_STRLEN], as[256], hop[IP_ADDR_STRLEN];

	printf("announce %s as %s next-hop %s", ip_prefix_format(&nlri->prefix, prefix),
	       path_as_path_format(p, as, sizeof(as)), ip_format(&f->next_hop, hop));
	if (nlri->path_id)
		printf(" path-id %u", nlri->path_id);
	if (f->flags & PATH_HAS_MED)
		printf(" med %u", f->med);
	if (f->flags & PATH_HAS_LOCAL_PREF)
		printf(" local-pref %u", f->local_pref);
	if (f->flags & PATH_HAS_OTC)
		printf(" otc %u", f->otc);
	tell_numbers("community", path_communities(p), f->communities_size, 4);
	tell_numbers("large", path_large_communities(p), f->large_communities_size, 12);
	printf("\n");
}

size_t routes_announce(void *ctx, uint32_t neighbor, const struct path_nlri *nlri, size_t n,
		       struct path *path)
{
	struct routes *r = ctx;
	size_t fresh = 0;

	for (size_t i = 0; i < n; i++) {
		const size_t at = find(r, &nlri[i]);

		r->n_announced++;
		if (!r->quiet)
			tell(&nlri[i], path);
		if (at == r->n) {
			if (r->n == r->size) {
				r->size = r->size ? 2 * r->size : 64;
				r->all = realloc(r->all, r->size * sizeof(*r->all));
				if (!r->all)
					abort();
			}
			r->n++;
			fresh++;
		}
		r->all[at] = (struct route){.nlri = nlri[i]};
	}
	return fresh;
}

size_t routes_withdraw(void *ctx, uint32_t neighbor, const struct path_nlri *nlri, size_t n)
{
	struct routes *r = ctx;
	char prefix[IP_PREFIX_STRLEN];
	size_t gone = 0;

	for (size_t i = 0; i < n; i++) {
		const size_t at = find(r, &nlri[i]);

		if (!r->quiet)
			printf("withdraw %s\n", ip_prefix_format(&nlri[i].prefix, prefix));
		if (at == r->n)
			continue;
		r->all[at] = r->all[--r->n];
		r->n_withdrawn++;
		gone++;
	}
	return gone;
}

static bool of_family(const struct route *x, enum bgp_family f)
{
	return (x->nlri.prefix.addr.family == IP_V6) == (f == BGP_IPV6_UNICAST);
}

void routes_stale(void *ctx, uint32_t neighbor, enum bgp_family f)
{
	struct routes *r = ctx;

	printf("stale %d\n", f);
	for (size_t i = 0; i < r->n; i++)
		r->all[i].stale |= of_family(&r->all[i], f);
}

size_t routes_purge(void *ctx, uint32_t neighbor, enum bgp_family f, bool only_stale)
{
	struct routes *r = ctx;
	size_t kept = 0, left = 0, gone = 0;

	for (size_t i = 0; i < r->n; i++) {
		struct route *x = &r->all[i];

		if (of_family(x, f) && (!only_stale || x->stale)) {
			gone++;
			continue;
		}
		left += of_family(x, f);
		r->all[kept++] = *x;
	}
	r->n = kept;
	printf("purge %d%s: %zu gone, %zu left\n", f, only_stale ? " stale" : "", gone, left);
	return left;
}

void routes_end_of_rib(void *ctx, uint32_t neighbor, enum bgp_family f)
{
	printf("end-of-rib %d\n", f);
}
