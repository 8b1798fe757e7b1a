/* SPDX-License-Identifier: Apache-2.0 */
/* ports: the `ports` list, and the keys of `dataplane` that are more than one scalar. */
#include "config/check.h"

#include <stdlib.h>
#include <string.h>
#include "twinbore/dp_stats.h"

#define CPU_MAX 1023

void config_handle_backend(struct config_parse *p, const struct config_node *n, void *field)
{
	static const char *const words[] = {"auto",     "ipsec-mb",  "openssl", "vaes",
					    "vaes-256", "cryptodev", NULL};
	char *out = field;
	unsigned w;

	if (config_get_word(p, n, words, &w)) {
		memset(out, 0, sizeof(p->config->aead_backend));
		memcpy(out, words[w], strlen(words[w]));
	}
}

void config_handle_cpus(struct config_parse *p, const struct config_node *n, void *work)
{
	struct config_root_work *w = work;
	const struct config_node *item;
	uint64_t cpu;
	size_t i;

	if (!config_is_list(p, n, DP_STATS_MAX_WORKERS))
		return;
	w->c.worker_cpus = calloc(n->n, sizeof(int));
	if (!w->c.worker_cpus) {
		config_error(&p->diag, n, "out of memory");
		return;
	}
	for (item = n->first; item; item = item->next) {
		if (!config_get_uint(p, item, 0, CPU_MAX, &cpu))
			continue;
		for (i = 0; i < w->n_cpus && w->c.worker_cpus[i] != (int)cpu; i++)
			;
		if (i < w->n_cpus)
			config_error(&p->diag, item, "CPU %u is in the list twice", (unsigned)cpu);
		else
			w->c.worker_cpus[w->n_cpus++] = (int)cpu;
	}
}

static bool is_hex(const char *s, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (!strchr("0123456789abcdefABCDEF", s[i]) || !s[i])
			return false;
	return true;
}

/* "0000:3b:00.0" */
static bool is_pci(const char *s)
{
	return strlen(s) == 12 && is_hex(s, 4) && s[4] == ':' && is_hex(s + 5, 2) && s[7] == ':' &&
	       is_hex(s + 8, 2) && s[10] == '.' && s[11] >= '0' && s[11] <= '7';
}

/* Drivers that make sense here; another one is worth a warning, not an error. */
static const char *const drivers[] = {
	"net_af_xdp", "net_af_packet", "net_tap",   "net_memif",       "net_null",
	"net_pcap",   "net_ring",      "net_vhost", "net_virtio_user",
};

static void check_vdev(struct config_parse *p, const struct config_node *n, const char *vdev)
{
	char name[CONFIG_PATH_SIZE];
	size_t size = strcspn(vdev, ","), i;
	const char *near;

	memcpy(name, vdev, size);
	name[size] = 0;
	/* The driver's name may carry a number: net_tap0. */
	while (size && name[size - 1] >= '0' && name[size - 1] <= '9')
		name[--size] = 0;
	for (i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++)
		if (!strcmp(drivers[i], name))
			return;
	near = config_nearest(name, drivers, sizeof(drivers) / sizeof(drivers[0]));
	if (near)
		config_error(&p->diag, n, "unknown driver '%s'; did you mean '%s'?", name, near);
	else if (strncmp(name, "net_", 4) != 0)
		config_error(&p->diag, n,
			     "a vdev begins with the name of its driver, such as "
			     "net_af_xdp,iface=eth0");
	else
		config_warning(&p->diag, n, "the driver '%s' was not tested with Twinbore", name);
}

void config_handle_device(struct config_parse *p, const struct config_node *n, void *work)
{
	struct config_port *out = &((struct config_port_work *)work)->p;
	struct config_device_work d = {{0}};

	if (!config_map_apply(p, &config_device_map, n, true, &d))
		return;
	if (!d.at_pci == !d.at_vdev) {
		config_error(&p->diag, n,
			     "'device' wants either 'pci: \"0000:3b:00.0\"' or 'vdev: "
			     "\"net_af_xdp,iface=eth0\"'");
		return;
	}
	if (d.at_pci && !is_pci(d.pci)) {
		config_error(&p->diag, d.at_pci,
			     "'%s' is no PCI address; write it as lspci -D does: \"0000:3b:00.0\"",
			     d.pci);
		return;
	}
	if (d.at_vdev)
		check_vdev(p, d.at_vdev, d.vdev);
	out->is_pci = d.at_pci;
	memcpy(out->device, d.at_pci ? d.pci : d.vdev, sizeof(out->device));
}

void config_handle_port_addresses(struct config_parse *p, const struct config_node *n, void *work)
{
	struct config_port *out = &((struct config_port_work *)work)->p;

	(void)config_get_prefixes(p, n, false, 64, &out->addresses, &out->n_addresses);
}

void config_handle_gateways(struct config_parse *p, const struct config_node *n, void *field)
{
	struct ip_addr *out = field;
	const struct config_node *item;
	struct ip_addr a;
	size_t i;

	if (!config_is_list(p, n, 2))
		return;
	for (item = n->first; item; item = item->next) {
		if (!config_get_address(p, item, &a))
			continue;
		i = a.family == IP_V6;
		if (out[i].family != IP_NONE)
			config_error(&p->diag, item, "a second IPv%u gateway; one is allowed",
				     (unsigned)a.family);
		else
			out[i] = a;
	}
}

void config_handle_ports(struct config_parse *p, const struct config_node *n, void *field)
{
	struct config_marks *marks = p->marks;
	const struct config_node *item;
	size_t i = 0;

	if (!config_is_list(p, n, DP_STATS_MAX_PORTS))
		return;
	p->config->ports = calloc(n->n, sizeof(*p->config->ports));
	marks->ports = calloc(n->n, sizeof(*marks->ports));
	if (!p->config->ports || !marks->ports) {
		config_error(&p->diag, n, "out of memory");
		return;
	}
	for (item = n->first; item; item = item->next, i++) {
		struct config_port_work w = {.at_name = NULL};

		config_map_defaults(p, &config_port_map, &w);
		if (config_map_apply(p, &config_port_map, item, true, &w))
			config_check_port(p, &w);
		p->config->ports[i] = w.p;
		marks->ports[i] = (struct config_port_mark){
			.p = &p->config->ports[i],
			.map = item,
			.name = w.at_name,
			.device = w.at_device,
			.addresses = w.at_addresses,
			.route_table = w.at_route_table,
		};
		p->config->n_ports = marks->n_ports = i + 1;
	}
}
