/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sup_drain: which tunnels an operator has drained, so that it outlives the processes that carry it out:
 * whichever of them is started anew is told before it begins.
 */
#include <string.h>
#include "base/array.h"
#include "base/log.h"
#include "daemon/supervisor.h"

static bool configured(const struct supervisor *s, const struct ipc_drained *d)
{
	return config_tunnel_by_name(s->config, d->tunnel, NULL) != NULL;
}

/* Those of this name, and those that are configured no more. */
static void forget(struct supervisor *s, const struct ipc_drained *which)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n_drained; i++) {
		if (strcmp(s->drained[i].tunnel, which->tunnel) != 0 &&
		    configured(s, &s->drained[i]))
			s->drained[n++] = s->drained[i];
	}
	s->n_drained = n;
}

bool sup_drain_keep(struct supervisor *s, const struct ipc_drained *which, bool on)
{
	struct ipc_drained *place;

	forget(s, which);
	if (!on)
		return true;
	place = configured(s, which)
			? array_add(&s->drained, &s->n_drained, &s->drained_size, sizeof(*place), 8)
			: NULL;
	if (place)
		*place = *which;
	return place != NULL;
}

bool sup_drains_give(struct supervisor *s, struct sup_child *c)
{
	for (size_t i = 0; i < s->n_drained; i++) {
		if (configured(s, &s->drained[i]) &&
		    !sup_child_send(s, c, IPC_DRAINED, &s->drained[i], sizeof(s->drained[i]), NULL,
				    0))
			return false;
	}
	return true;
}
