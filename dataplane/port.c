/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port: attaches devices and starts them. See port.h.
 *
 * A port that sits on a Linux interface (net_af_xdp, net_af_packet) shares it with the kernel,
 * which must not answer too: with AF_PACKET it sees a copy of every frame. Hence such an interface
 * may not carry addresses, IPv6 is switched off on it, ARP is not answered (arp_ignore 8), and
 * IPv4 packets for our addresses are refused by the reverse path filter, because the way back to
 * their senders is the mirror TAP.
 */
#include "dataplane/port.h"

#include <ctype.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include "dataplane/dp.h"
#include <rte_ethdev.h>
#include "base/log.h"
#include "dataplane/eal.h"

#define MIN_DATA_ROOM 2048u
#define FRAME_EXTRA   64u /* Ethernet header, VLAN tags, and slack for the outer headers */

#define AF_PACKET_FRAME 2048u
#define AF_PACKET_EXTRA 128u /* the kernel's header and ours in a frame */
#define AF_PACKET_BLOCK 65536u

struct failure {
	char *text;
	size_t size;
	const char *port;
};

__attribute__((format(printf, 2, 3))) static bool fail(const struct failure *f, const char *fmt,
						       ...)
{
	va_list ap;
	int n = snprintf(f->text, f->size, "port '%s': ", f->port);

	if (n < 0 || (size_t)n >= f->size)
		return false;
	va_start(ap, fmt);
	vsnprintf(f->text + n, f->size - (size_t)n, fmt, ap);
	va_end(ap);
	return false;
}

uint16_t dp_port_data_room(const struct config *c)
{
	uint32_t room = MIN_DATA_ROOM;

	for (size_t i = 0; i < c->n_ports; i++)
		room = RTE_MAX(room, c->ports[i].mtu + FRAME_EXTRA);
	return (uint16_t)(room + RTE_PKTMBUF_HEADROOM);
}

/* The Linux interface that the device sits on (other drivers' iface= names what they create), or "". */
static void host_if_of(const char *device, char out[IF_NAMESIZE])
{
	const char *p = strstr(device, ",iface=");
	size_t n;

	out[0] = '\0';
	if (!p ||
	    (strncmp(device, "net_af_packet", 13) != 0 && strncmp(device, "net_af_xdp", 10) != 0))
		return;
	p += strlen(",iface=");
	n = strcspn(p, ",");
	if (n >= IF_NAMESIZE)
		n = IF_NAMESIZE - 1;
	memcpy(out, p, n);
	out[n] = '\0';
}

/* An address of the interface, as text; "" when it has none (link-local ones do not count). */
static void address_of(const char *ifname, char out[IP_ADDR_STRLEN])
{
	struct ifaddrs *all, *i;

	out[0] = '\0';
	if (getifaddrs(&all) != 0)
		return;
	for (i = all; i && !out[0]; i = i->ifa_next) {
		struct ip_addr a;

		if (strcmp(i->ifa_name, ifname) != 0 || !i->ifa_addr)
			continue;
		if (i->ifa_addr->sa_family == AF_INET) {
			const struct sockaddr_in *in = (const void *)i->ifa_addr;

			a = ip_from_bytes(IP_V4, (const uint8_t *)&in->sin_addr);
		} else if (i->ifa_addr->sa_family == AF_INET6) {
			const struct sockaddr_in6 *in6 = (const void *)i->ifa_addr;

			if (IN6_IS_ADDR_LINKLOCAL(&in6->sin6_addr))
				continue;
			a = ip_from_bytes(IP_V6, (const uint8_t *)&in6->sin6_addr);
		} else {
			continue;
		}
		(void)ip_format(&a, out);
	}
	freeifaddrs(all);
}

static bool host_if_up(const char *ifname)
{
	struct ifreq ifr = {0};
	const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool ok;

	memcpy(ifr.ifr_name, ifname, strlen(ifname) + 1);
	ok = fd >= 0 && ioctl(fd, SIOCGIFFLAGS, &ifr) == 0;
	ifr.ifr_flags = (short)(ifr.ifr_flags | IFF_UP);
	ok = ok && ioctl(fd, SIOCSIFFLAGS, &ifr) == 0;
	if (fd >= 0)
		close(fd);
	return ok;
}

static bool host_if_prepare(const struct dp_port *p, const struct failure *f)
{
	char address[IP_ADDR_STRLEN];

	if (!if_nametoindex(p->host_if))
		return fail(f,
			    "there is no Linux interface '%s' for device \"%s\": see `ip link`, or "
			    "correct iface= in the configuration",
			    p->host_if, p->cfg->device);
	address_of(p->host_if, address);
	if (address[0])
		return fail(f,
			    "the Linux interface '%s' carries the address %s, so that Linux and "
			    "the gateway would both answer: remove it (`ip addr flush dev %s`) and "
			    "name it under addresses of the port",
			    p->host_if, address, p->host_if);
	(void)dp_sysctl_if("ipv6", p->host_if, "disable_ipv6", "1");
	(void)dp_sysctl_if("ipv4", p->host_if, "arp_ignore", "8");
	if (!dp_sysctl_if("ipv4", p->host_if, "rp_filter", "1"))
		log_warn("port '%s': cannot set rp_filter of '%s': %s", p->cfg->name, p->host_if,
			 strerror(errno));
	if (!host_if_up(p->host_if))
		return fail(f, "cannot bring up the Linux interface '%s': %s", p->host_if,
			    strerror(errno));
	return true;
}

/*
 * net_af_packet's rings are small unless told otherwise, and its frames hold no more than an
 * ordinary MTU: a sleeping worker would lose packets. What the configuration says has precedence.
 */
static const char *af_packet_args(const struct config_port *cfg, char *out, size_t size)
{
	unsigned frame = AF_PACKET_FRAME;

	while (frame < cfg->mtu + AF_PACKET_EXTRA)
		frame *= 2;
	out[0] = '\0';
	if (strncmp(cfg->device, "net_af_packet", 13) == 0 && !strstr(cfg->device, "framecnt") &&
	    !strstr(cfg->device, "framesz") && !strstr(cfg->device, "blocksz"))
		snprintf(out, size, ",framesz=%u,blocksz=%u,framecnt=%u", frame, AF_PACKET_BLOCK,
			 DP_PORT_RING);
	return out;
}

/* "net_af_xdp,iface=eth0" of port 1 -> "net_af_xdp1,iface=eth0", so that names are unique. */
static bool vdev_attach(struct dp_port *p, const struct failure *f)
{
	const char *device = p->cfg->device;
	const size_t name_size = strcspn(device, ",");
	size_t base = name_size;
	char args[CONFIG_PATH_SIZE + 128], driver[DP_DEVNAME_SIZE], more[64];

	while (base > 0 && isdigit((unsigned char)device[base - 1]))
		base--;
	if (base == 0 || base + 4 > sizeof(p->vdev))
		return fail(f, "\"%s\" does not start with the name of a driver", device);
	snprintf(driver, sizeof(driver), "%.*s", (int)base, device);
	host_if_of(device, p->host_if);
	if (p->host_if[0] && !host_if_prepare(p, f))
		return false;
	snprintf(p->vdev, sizeof(p->vdev), "%.60s%u", driver, p->index);
	snprintf(args, sizeof(args), "%s%s%s", p->vdev, device + name_size,
		 af_packet_args(p->cfg, more, sizeof(more)));
	dp_eal_clear_error();
	if (rte_dev_probe(args) != 0 || rte_eth_dev_get_port_by_name(p->vdev, &p->id) != 0) {
		p->vdev[0] = '\0';
		return fail(
			f,
			"DPDK cannot open \"%s\": %s. Check that a driver '%s' exists (such as "
			"net_af_xdp, net_af_packet, net_tap, net_memif, net_pcap, net_null) and "
			"that it knows these arguments",
			device, dp_eal_error()[0] ? dp_eal_error() : "no such driver or device",
			driver);
	}
	return true;
}

static bool pci_attach(struct dp_port *p, const struct failure *f)
{
	char path[CONFIG_PATH_SIZE + 64], driver[256];
	ssize_t n;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", p->cfg->device);
	if (access(path, F_OK) != 0)
		return fail(f, "there is no PCI device %s: see `lspci -D`", p->cfg->device);
	if (rte_eth_dev_get_port_by_name(p->cfg->device, &p->id) == 0)
		return true;
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver", p->cfg->device);
	n = readlink(path, driver, sizeof(driver) - 1);
	driver[n < 0 ? 0 : n] = '\0';
	return fail(f,
		    "DPDK did not take PCI device %s; its kernel driver is %s: bind it to vfio-pci "
		    "(`dpdk-devbind.py --bind=vfio-pci %s`), and see the log at level debug",
		    p->cfg->device, n < 0 ? "none" : strrchr(driver, '/') + 1, p->cfg->device);
}

static bool configure(struct dp_port *p, unsigned n_workers, struct rte_mempool *pool,
		      const struct failure *f)
{
	struct rte_eth_conf conf = {.rxmode = {.mq_mode = RTE_ETH_MQ_RX_NONE}};
	struct rte_eth_dev_info info;
	uint16_t n_rxd = DP_PORT_RING, n_txd = DP_PORT_RING;
	int rc = rte_eth_dev_info_get(p->id, &info);

	if (rc != 0)
		return fail(f, "the driver tells nothing of itself: %s", rte_strerror(-rc));
	snprintf(p->driver, sizeof(p->driver), "%.31s", info.driver_name);
	p->n_rxq = (uint16_t)RTE_MIN(n_workers, info.max_rx_queues);
	p->n_txq = (uint16_t)RTE_MIN(n_workers, info.max_tx_queues);
	p->tx_shared = p->n_txq < n_workers;
	for (unsigned i = 0; i < p->n_txq; i++)
		rte_spinlock_init(&p->lock[i]);
	if (p->n_rxq == 0 || p->n_txq == 0)
		return fail(f, "driver %s offers no queues", p->driver);
	dp_offload_configure(&p->offloads, &info, p->cfg, p->n_rxq, &conf);
	dp_nic_crypto_configure(p, &info, DP_NIC_SESSIONS, &conf);
	rc = rte_eth_dev_configure(p->id, p->n_rxq, p->n_txq, &conf);
	if (rc == 0)
		rc = rte_eth_dev_adjust_nb_rx_tx_desc(p->id, &n_rxd, &n_txd);
	if (rc != 0)
		return fail(f, "driver %s refuses %u queues: %s", p->driver, p->n_rxq,
			    rte_strerror(-rc));
	dp_eal_clear_error();
	for (uint16_t q = 0; q < p->n_rxq && rc == 0; q++)
		rc = rte_eth_rx_queue_setup(p->id, q, n_rxd, (unsigned)SOCKET_ID_ANY, NULL, pool);
	for (uint16_t q = 0; q < p->n_txq && rc == 0; q++)
		rc = rte_eth_tx_queue_setup(p->id, q, n_txd, (unsigned)SOCKET_ID_ANY, NULL);
	if (rc != 0)
		return fail(f, "driver %s cannot set up its queues: %s (%s)", p->driver,
			    rte_strerror(-rc),
			    dp_eal_error()[0] ? dp_eal_error() : "no further reason");
	return true;
}

static bool run(struct dp_port *p, const struct failure *f)
{
	uint16_t mtu = 0;
	int rc;

	(void)rte_eth_dev_get_mtu(p->id, &mtu);
	if (mtu != p->cfg->mtu) {
		rc = rte_eth_dev_set_mtu(p->id, (uint16_t)p->cfg->mtu);
		/* A driver that knows no MTU has no limit of its own. */
		if (rc != 0 && rc != -ENOTSUP)
			return fail(f, "the device refuses an MTU of %u: %s", p->cfg->mtu,
				    rte_strerror(-rc));
	}
	p->mtu = (uint16_t)p->cfg->mtu;
	rc = rte_eth_dev_start(p->id);
	if (rc != 0)
		return fail(f, "driver %s does not start: %s", p->driver, rte_strerror(-rc));
	p->started = true;
	dp_offload_started(p);
	/* For multicast, which not every driver can have by itself. */
	rc = rte_eth_promiscuous_enable(p->id);
	if (rc != 0 && rc != -ENOTSUP)
		log_debug("port '%s': no promiscuous mode: %s", p->cfg->name, rte_strerror(-rc));
	(void)rte_eth_allmulticast_enable(p->id);
	rc = rte_eth_macaddr_get(p->id, &p->mac);
	if (rc != 0 || !rte_is_valid_assigned_ether_addr(&p->mac)) {
		/* Virtual drivers may have none; a stable one of our own then. */
		p->mac = (struct rte_ether_addr){{0x02, 'T', 'B', 0, 0, (uint8_t)p->index}};
	}
	return true;
}

bool dp_port_start(struct dp_port *p, unsigned n_workers, struct rte_mempool *pool, char *error,
		   size_t error_size)
{
	const struct failure f = {.text = error, .size = error_size, .port = p->cfg->name};
	char why[200];

	if (!configure(p, n_workers, pool, &f) || !run(p, &f))
		return false;
	if (!dp_tap_open(&p->mirror, p->cfg->name, DP_TAP_FRAMES, why, sizeof(why)))
		return fail(&f, "%s", why);
	return true;
}

bool dp_port_init(struct dp_port *p, unsigned index, const struct config_port *cfg,
		  unsigned n_workers, struct rte_mempool *pool, char *error, size_t error_size)
{
	const struct failure f = {.text = error, .size = error_size, .port = cfg->name};

	*p = (struct dp_port){.index = index, .table = p->table, .cfg = cfg, .mirror = {.fd = -1}};
	p->id = RTE_MAX_ETHPORTS;
	return (cfg->is_pci ? pci_attach(p, &f) : vdev_attach(p, &f)) &&
	       dp_port_start(p, n_workers, pool, error, error_size);
}

void dp_port_fini(struct dp_port *p)
{
	dp_tap_close(&p->mirror);
	if (p->id == RTE_MAX_ETHPORTS)
		return;
	if (p->started)
		(void)rte_eth_dev_stop(p->id);
	(void)rte_eth_dev_close(p->id);
	dp_nic_crypto_fini(p);
	p->started = false;
	p->id = RTE_MAX_ETHPORTS;
}

bool dp_port_claim(struct dp *dp, unsigned port, const struct ip_prefix *p,
		   enum dp_fib_source source, uint32_t nh)
{
	const uint16_t table = dp->ports[port].table;
	bool there;

	if (!dp_fib_set(&dp->fib, table, p, source, nh))
		return false;
	if (!dp->ports_apart || dp_fib_set(&dp->fib, DP_FIB_PORTS, p, source, nh))
		return true;
	(void)dp_fib_clear(&dp->fib, table, p, source, &there);
	return false;
}

bool dp_port_unclaim(struct dp *dp, unsigned port, const struct ip_prefix *p,
		     enum dp_fib_source source)
{
	bool there;

	return (!dp->ports_apart || dp_fib_clear(&dp->fib, DP_FIB_PORTS, p, source, &there)) &&
	       dp_fib_clear(&dp->fib, dp->ports[port].table, p, source, &there);
}
