/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control process alone, for tests that play all others: its channel is descriptor 3.
 * With --stats it instead writes an image of the dataplane's counters with known numbers.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include "base/log.h"
#include "daemon/role.h"
#include "twinbore/dp_stats.h"

#define MAX_SAS     16u
#define MAX_TUNNELS 8u

/*
 * The leak check at exit would need system calls that the process has given away; a test that looks
 * at the memory wants freed blocks back soon.
 */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0:quarantine_size_mb=1";
}

static void fill_ports(struct dp_stats *s)
{
	s->n_ports = 2;
	strcpy(s->ports[0].name, "wan");
	strcpy(s->ports[0].device, "net_tap,iface=x");
	strcpy(s->ports[0].driver, "net_tap");
	strcpy(s->ports[0].mirror, "wan");
	memcpy(s->ports[0].mac, "\x02\x00\x00\x00\x00\xfe", 6);
	s->ports[0].mtu = 1500;
	s->ports[0].link_up = 1;
	s->ports[0].speed_mbps = 10000;
	s->ports[0].rx_packets = 1000;
	s->ports[0].rx_bytes = 1000000;
	s->ports[0].tx_dropped = 3;
	strcpy(s->ports[0].offloads[0].name, "rss");
	strcpy(s->ports[0].offloads[0].state, "on");
	s->ports[0].spi_rules = 7;
	/* Not ended, and no UTF-8. */
	memset(s->ports[1].name, 0xff, sizeof(s->ports[1].name));
	s->ports[1].speed_mbps = UINT32_MAX;
}

static int print_stats(void)
{
	const size_t size = dp_stats_size(MAX_SAS, MAX_TUNNELS);
	struct dp_stats *s = calloc(1, size);
	struct dp_stats_sa *sas;
	struct dp_stats_tunnel *tunnels;

	if (!s)
		return 1;
	s->magic = DP_STATS_MAGIC;
	s->version = DP_STATS_VERSION;
	s->n_workers = 2;
	s->n_reasons = 3;
	s->max_sas = MAX_SAS;
	s->max_tunnels = MAX_TUNNELS;
	s->sas_offset = (sizeof(*s) + 127) & ~(size_t)127;
	s->tunnels_offset = s->sas_offset + MAX_SAS * sizeof(*sas);
	strcpy(s->aead_backend, "ipsec-mb");
	s->n_suites = 1;
	strcpy(s->suites[0].suite, "aes-256-gcm-16");
	strcpy(s->suites[0].backend, "ipsec-mb");
	strcpy(s->eal, "no hugepages, 2 lcores");
	strcpy(s->reasons[0], "no-route");
	strcpy(s->reasons[1], "replayed");
	strcpy(s->reasons[2], "no-sa");
	fill_ports(s);
	s->workers[0].packets = 10;
	s->workers[0].busy_cycles = 4000;
	s->workers[0].drops[0] = 1;
	s->workers[1].asleep = 1;
	s->workers[1].lcore = 1;
	s->workers[1].drops[0] = 20;
	s->workers[2].drops[0] = 300; /* the manager's */
	s->workers[1].drops[1] = 7;
	s->workers[3].drops[1] = 5000; /* nobody's: not to be counted */
	sas = (struct dp_stats_sa *)((char *)s + s->sas_offset);
	tunnels = (struct dp_stats_tunnel *)((char *)s + s->tunnels_offset);
	sas[5].in_packets = 55;
	sas[5].out_seq = 56;
	sas[5].in_replayed = 2;
	tunnels[0].in_bytes = 111;
	tunnels[0].out_packets = 112;
	tunnels[0].mtu = 1438;
	tunnels[1].in_bytes = 211;
	tunnels[1].out_dropped = 9;
	return fwrite(s, size, 1, stdout) == 1 && !fflush(stdout) ? 0 : 1;
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "--stats"))
		return print_stats();
	log_init("control", LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
	return control_main();
}
