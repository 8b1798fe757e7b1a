/* SPDX-License-Identifier: Apache-2.0 */
/* gen_ports: see gen_ports.h. */
#include "bench/gen_ports.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#define ARGS_MAX  24
#define POOL_SIZE 16383u /* what a packet under way on every ring of two ports leaves room for */
#define CACHE     512u
#define POLL_MS   10

static bool is_vdev(const char *device)
{
	return strncmp(device, "net_", 4) == 0;
}

static bool hugepages_free(unsigned mb)
{
	void *p = mmap(NULL, (size_t)mb << 20, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);

	if (p != MAP_FAILED)
		munmap(p, (size_t)mb << 20);
	return p != MAP_FAILED;
}

static bool start_eal(const char *const devices[GEN_PORTS], unsigned memory_mb, char *error)
{
	static char text[ARGS_MAX][300];
	char *argv[ARGS_MAX + 1];
	int n = 0;
	bool pci = false;

#define ARG(...) snprintf(text[n++], sizeof(text[0]), __VA_ARGS__)
	ARG("generator");
	ARG("--lcores=0@(0-%ld)", sysconf(_SC_NPROCESSORS_ONLN) - 1);
	ARG("-m");
	ARG("%u", memory_mb);
	if (hugepages_free(memory_mb)) {
		ARG("--in-memory");
	} else {
		ARG("--no-huge");
		ARG("--no-shconf");
		ARG("--file-prefix=generator-%d", (int)getpid());
	}
	ARG("--iova-mode=va");
	ARG("--no-telemetry");
	ARG("--log-level=4");
	for (unsigned i = 0; i < GEN_PORTS; i++) {
		ARG(is_vdev(devices[i]) ? "--vdev=%s" : "--allow=%s", devices[i]);
		pci |= !is_vdev(devices[i]);
	}
	if (!pci)
		ARG("--no-pci");
#undef ARG
	for (int i = 0; i < n; i++)
		argv[i] = text[i];
	argv[n] = NULL;
	if (rte_eal_init(n, argv) >= 0)
		return true;
	snprintf(error, GEN_PORT_ERROR, "DPDK does not start: %s", rte_strerror(rte_errno));
	return false;
}

static bool start_port(struct gen_ports *p, unsigned i, const char *device, char *error)
{
	const struct rte_eth_conf conf = {0};
	uint16_t n_rxd = GEN_PORT_RING, n_txd = GEN_PORT_RING;
	char name[RTE_ETH_NAME_MAX_LEN];
	int rc;

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(device, ","), device);
	rc = rte_eth_dev_get_port_by_name(name, &p->id[i]);
	if (rc != 0) {
		snprintf(error, GEN_PORT_ERROR, "DPDK has not taken device %s", name);
		return false;
	}
	rc = rte_eth_dev_configure(p->id[i], 1, 1, &conf);
	if (rc == 0)
		rc = rte_eth_dev_adjust_nb_rx_tx_desc(p->id[i], &n_rxd, &n_txd);
	if (rc == 0)
		rc = rte_eth_rx_queue_setup(p->id[i], 0, n_rxd, (unsigned)SOCKET_ID_ANY, NULL,
					    p->pool);
	if (rc == 0)
		rc = rte_eth_tx_queue_setup(p->id[i], 0, n_txd, (unsigned)SOCKET_ID_ANY, NULL);
	if (rc == 0) {
		/* not every driver knows an MTU, nor a promiscuous mode */
		(void)rte_eth_dev_set_mtu(p->id[i], GEN_PORT_MTU);
		rc = rte_eth_dev_start(p->id[i]);
		(void)rte_eth_promiscuous_enable(p->id[i]);
	}
	if (rc != 0)
		snprintf(error, GEN_PORT_ERROR, "device %s: %s", name, rte_strerror(-rc));
	return rc == 0;
}

bool gen_ports_start(struct gen_ports *p, const char *const devices[GEN_PORTS], unsigned memory_mb,
		     char error[GEN_PORT_ERROR])
{
	if (!start_eal(devices, memory_mb, error))
		return false;
	p->pool = rte_pktmbuf_pool_create("generator", POOL_SIZE, CACHE, 0,
					  RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (!p->pool) {
		snprintf(error, GEN_PORT_ERROR, "no memory for packets");
		return false;
	}
	for (unsigned i = 0; i < GEN_PORTS; i++)
		if (!start_port(p, i, devices[i], error))
			return false;
	return true;
}

bool gen_ports_up(const struct gen_ports *p, double seconds)
{
	for (double t = 0; t < seconds; t += POLL_MS / 1e3) {
		unsigned n_up = 0;

		for (unsigned i = 0; i < GEN_PORTS; i++) {
			struct rte_eth_link link = {0};

			n_up += rte_eth_link_get_nowait(p->id[i], &link) == 0 && link.link_status;
		}
		if (n_up == GEN_PORTS)
			return true;
		rte_delay_us_sleep(POLL_MS * 1000);
	}
	return false;
}
