/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sup_store: the memory that outlives the ike process, where it keeps the records of its IKE SAs. They
 * hold keys: the memory is locked by us while no ike process runs, stays out of core dumps and of
 * other children, and is wiped at the end. We do not look inside.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include "base/log.h"
#include "base/secret.h"
#include "daemon/ike_store.h"
#include "daemon/supervisor.h"

static bool make(struct supervisor *s)
{
	if (!shm_create(&s->store, "twinbore-store", ike_store_size(s->config->max_tunnels))) {
		log_error("cannot make the memory for the records of IKE SAs: %s: lower "
			  "dataplane.max_tunnels",
			  strerror(errno));
		return false;
	}
	if (mlock(s->store.map, s->store.size) != 0)
		log_warn("the records of IKE SAs may be swapped out: %s: raise LimitMEMLOCK",
			 strerror(errno));
	return madvise(s->store.map, s->store.size, MADV_DONTFORK) == 0;
}

bool sup_store_give(struct supervisor *s, struct sup_child *c)
{
	uint64_t size;

	if (!s->store.map && !make(s))
		return false;
	size = s->store.size;
	return sup_child_send(s, c, IPC_STORE, &size, sizeof(size), &s->store.fd, 1);
}

void sup_store_close(struct supervisor *s)
{
	if (s->store.map)
		bytes_wipe(s->store.map, s->store.size);
	shm_close(&s->store);
}
