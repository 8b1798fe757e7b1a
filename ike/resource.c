/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resource: children of single workers beside the common one (RFC 9611).
 *
 * The first child of an IKE SA is the common one ("fallback SA"). Where both ends send SA_RESOURCE_INFO
 * with it, each may add children with the same selectors, and sends by them what one of its resources
 * has: here a worker of the dataplane, so that no two of them share a sequence number. Which worker
 * that is, is known to each end alone; to the other it is opaque.
 *
 *   - Who initiated the IKE SA begins, one child after the other; the responder waits a while, binds
 *     its workers to what comes in, and makes what is missing for those that are left.
 *   - What comes in when all our workers are served is spare: we receive on it, and send nothing.
 *   - TS_MAX_QUEUE or NO_ADDITIONAL_SAS ends our wishes until the next IKE SA.
 *   - They are rekeyed and deleted one by one. Without one of its own a worker sends by the common one.
 *
 * On the wire the common child has an empty identifier, the others four bytes; who answers says in
 * the same way what it takes the child for, so that crossing requests do not end in two opinions. Of
 * two requests for the common child that cross, the slower one's is one more; where neither end has a
 * worker for that, who asked for it deletes it.
 */
#include "ike/ike_int.h"

#define PEER_FIRST span_s(3) /* the responder leaves it to the initiator for so long */

bool ike_child_sends(const struct ike_child *c)
{
	return c->resource == IKE_RESOURCE_SPARE ? c->state == IKE_CH_INSTALLED
	       : c->resource                     ? c->sending
						 : c->tunnel->current == c;
}

struct ike_child *ike_resource_sender(const struct ike_tunnel *t, uint32_t resource)
{
	struct ike_child *c;

	if (!resource)
		return t->current;
	TAILQ_FOREACH(c, &t->children, entry)
	{
		if (c->resource == resource && c->sending)
			return c;
	}
	return NULL;
}

/* ---------------------------------------------------------------------- wire */

/* RFC 9611 5.1: protocol and SPI size 0; the identifier is optional and opaque. */
void ike_resource_build(struct ike_builder *b, uint32_t resource)
{
	uint8_t id[4];
	struct wr w = wr_of(id, sizeof(id));

	wr_u32(&w, resource);
	ike_build_notify(b, IKE_PROTO_NONE, NULL, 0, IKE_N_SA_RESOURCE_INFO, id,
			 resource ? sizeof(id) : 0);
}

bool ike_resource_agreed(const struct ike_tunnel *t, const struct ike_msg *m)
{
	return t->cfg.per_resource && ike_msg_notify(m, IKE_N_SA_RESOURCE_INFO);
}

static bool names_resource(const struct ike_msg *m)
{
	const struct ike_notify_payload *n = ike_msg_notify(m, IKE_N_SA_RESOURCE_INFO);

	return n && n->data.size;
}

/* ------------------------------------------------------------------- numbers */

static bool stands(const struct ike_child *c, const struct ike_sa *sa)
{
	return c->sa == sa && c->state < IKE_CH_DELETING && !c->redundant;
}

static bool has_common(const struct ike_sa *sa)
{
	const struct ike_child *c;

	TAILQ_FOREACH(c, &sa->tunnel->children, entry)
	{
		if (!c->resource && stands(c, sa))
			return true;
	}
	return false;
}

/* The first worker without a child of its own, or IKE_RESOURCE_SPARE. */
static uint32_t first_free(const struct ike_sa *sa)
{
	const struct ike_offer *asked = sa->req.data ? sa->req.offer : NULL;
	const uint32_t n = sa->ike->limits.n_resources;
	const struct ike_child *c;
	uint32_t taken = 0;

	TAILQ_FOREACH(c, &sa->tunnel->children, entry)
	{
		if (c->resource && c->resource <= IKE_MAX_RESOURCES && stands(c, sa))
			taken |= 1u << c->resource;
	}
	if (asked && asked->spi_in && asked->resource && asked->resource <= IKE_MAX_RESOURCES)
		taken |= 1u << asked->resource;
	if (sa->follow && sa->follow->spi_in && sa->follow->terms.resource <= IKE_MAX_RESOURCES)
		taken |= 1u << sa->follow->terms.resource;
	/* One worker alone sends by the common one. */
	for (uint32_t r = 1; n > 1 && r <= n && r <= IKE_MAX_RESOURCES; r++) {
		if (!(taken & 1u << r))
			return r;
	}
	return IKE_RESOURCE_SPARE;
}

static unsigned count(const struct ike_sa *sa)
{
	const struct ike_child *c;
	unsigned n = 0;

	TAILQ_FOREACH(c, &sa->tunnel->children, entry)
	n += c->resource && stands(c, sa) && !c->rekeyed_by_us && !c->rekeyed_by_peer;
	return n;
}

/* --------------------------------------------------------------- negotiation */

static bool asks_for_common(const struct ike_sa *sa)
{
	return sa->req.data && sa->req.task == IKE_TASK_NEW_CHILD && sa->req.offer &&
	       !sa->req.offer->resource;
}

bool ike_resource_accept(struct ike_sa *sa, const struct ike_msg *m, struct ike_terms *terms)
{
	/*
	 * Without a common one it is that, whatever the peer calls it; but who asks for more while our
	 * request for the common one is open has answered it: the response is late, or lost.
	 */
	if (!has_common(sa) && !(names_resource(m) && asks_for_common(sa)))
		return true;
	if (!terms->grouped) /* RFC 9611 3: nobody said that there may be more */
		return !names_resource(m);
	if (count(sa) >= IKE_MAX_RESOURCES)
		return false;
	terms->resource = first_free(sa);
	return true;
}

uint32_t ike_resource_answered(struct ike_sa *sa, const struct ike_msg *m, uint32_t asked)
{
	/* Its own first child has crossed with ours, which is one more to it. */
	if (!asked && ike_resource_agreed(sa->tunnel, m) && names_resource(m) && has_common(sa))
		return first_free(sa);
	return asked;
}

/*
 * Two requests for the common child have crossed, and ours was the slower. The number is that of who
 * answers, so another implementation's means nothing to us: what it may use stays.
 */
bool ike_resource_useless(const struct ike_msg *m, uint32_t asked, uint32_t resource)
{
	const struct ike_notify_payload *n = ike_msg_notify(m, IKE_N_SA_RESOURCE_INFO);
	uint32_t theirs;
	struct rd r;

	if (!n || asked || resource != IKE_RESOURCE_SPARE)
		return false;
	r = n->data;
	return rd_u32(&r, &theirs) && rd_empty(&r) && theirs == IKE_RESOURCE_SPARE;
}

/* --------------------------------------------------------------------- wishes */

uint32_t ike_resource_wanted(struct ike_sa *sa)
{
	struct ike_tunnel *t = sa->tunnel;
	const struct ike_child *common = t->current;
	struct mono at = t->resources_not_before;
	uint32_t resource;

	if (!t->cfg.per_resource || !t->up || !common || common->sa != sa || !common->grouped ||
	    t->resources_refused || t->removed || !ike_sa_live(sa))
		return 0;
	resource = first_free(sa);
	if (resource == IKE_RESOURCE_SPARE || count(sa) >= IKE_MAX_RESOURCES)
		return 0;
	if (!sa->origin_initiator && mono_before(at, mono_add(sa->line_since, PEER_FIRST)))
		at = mono_add(sa->line_since, PEER_FIRST);
	if (mono_reached(t->ike->now, at))
		return resource;
	ike_timer_resources(t, at);
	return 0;
}

void ike_resource_failed(struct ike_tunnel *t, uint16_t notify)
{
	if (notify == IKE_N_TS_MAX_QUEUE || notify == IKE_N_NO_ADDITIONAL_SAS) {
		/* RFC 9611 4: no more are asked for. */
		t->resources_refused = true;
		trace(t->ike->tracer, LOG_LEVEL_INFO, "%s[] resources: asked -> enough (%s)",
		      t->cfg.name, ike_notify_name(notify));
		return;
	}
	ike_timer_resources_failed(t, notify == IKE_N_TEMPORARY_FAILURE);
	ike_timer_resources(t, t->resources_not_before);
}

void ike_resource_deleted(struct ike_child *c)
{
	if (c->resource && ike_child_live(c))
		ike_timer_resources_later(c->tunnel);
}
