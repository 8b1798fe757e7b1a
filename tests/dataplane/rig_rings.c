/* SPDX-License-Identifier: Apache-2.0 */
/* rig_rings: see rig_rings.h. */
#include "rig_rings.h"

#include <rte_eth_ring.h>
#include <rte_ethdev.h>

#define RX_SIZE 64u

struct rte_ring *rig_tx[RIG_WORKERS];

bool rig_rings_start(void)
{
	const struct rte_eth_conf conf = {0};
	struct rte_ring *rx[RIG_WORKERS];
	int id;

	for (unsigned q = 0; q < RIG_WORKERS; q++) {
		rx[q] = rte_ring_create(q ? "rx1" : "rx0", RX_SIZE, SOCKET_ID_ANY, 0);
		rig_tx[q] = rte_ring_create(q ? "tx1" : "tx0", RIG_RINGS_TX, SOCKET_ID_ANY, 0);
	}
	id = rte_eth_from_rings("rings", rx, RIG_WORKERS, rig_tx, RIG_WORKERS, 0);
	if (id < 0 || rte_eth_dev_configure((uint16_t)id, RIG_WORKERS, RIG_WORKERS, &conf) != 0)
		return false;
	for (uint16_t q = 0; q < RIG_WORKERS; q++)
		if (rte_eth_rx_queue_setup((uint16_t)id, q, RX_SIZE, SOCKET_ID_ANY, NULL,
					   rig.pool) != 0 ||
		    rte_eth_tx_queue_setup((uint16_t)id, q, RX_SIZE, SOCKET_ID_ANY, NULL) != 0)
			return false;
	rig.ports[0].id = (uint16_t)id;
	return rte_eth_dev_start((uint16_t)id) == 0;
}
