/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/wr.h"
#include "tests/bgp/sockets.h"
#include "tests/bgp/speaker.h"

static bool usage(void)
{
	fprintf(stderr,
		"usage: speaker LOCAL REMOTE LOCAL_AS REMOTE_AS [OPTION...] [PREFIX...]\n"
		"  --commands FIFO   --id ADDRESS    --passive       --families 4|6|46\n"
		"  --next-hop ADDR   (of its family, once each; 'none4': none of IPv4)\n"
		"  --hold S          --retry S       --restart S     --restarted   --stale-max S\n"
		"  --password TEXT   --ttl-security HOPS             --multihop    --bfd MS\n"
		"  --role NUMBER     --role-strict   --add-path      --no-extended "
		"--next-hop-self\n"
		"  --max N           --max-restart S --med N         --prepend N   --local-pref N\n"
		"  --community A:B   --large A:B:C   --quiet\n");
	return false;
}

static void take_next_hop(struct speaker *s, const char *text)
{
	struct ip_addr a;
	enum bgp_family f;

	if (strcmp(text, "none4") == 0) {
		s->cfg.next_hop[BGP_IPV4_UNICAST].family = IP_NONE;
		return;
	}
	if (!ip_parse(text, &a))
		sockets_die(text);
	f = a.family == IP_V4 ? BGP_IPV4_UNICAST : BGP_IPV6_UNICAST;
	s->cfg.next_hop[f] = a;
	s->cfg.inside[f] = (struct ip_prefix){a, f == BGP_IPV4_UNICAST ? 24 : 64};
}

static void take_communities(struct speaker *s, const char *text)
{
	struct wr w = wr_of(s->communities, sizeof(s->communities));
	unsigned a, b;

	w.n = s->facts.communities_size;
	if (sscanf(text, "%u:%u", &a, &b) != 2)
		sockets_die(text);
	wr_u32(&w, a << 16 | b);
	s->facts.communities_size = (uint16_t)w.n;
}

static void take_large(struct speaker *s, const char *text)
{
	struct wr w = wr_of(s->large, sizeof(s->large));
	unsigned v[3];

	w.n = s->facts.large_communities_size;
	if (sscanf(text, "%u:%u:%u", &v[0], &v[1], &v[2]) != 3)
		sockets_die(text);
	for (int i = 0; i < 3; i++)
		wr_u32(&w, v[i]);
	s->facts.large_communities_size = (uint16_t)w.n;
}

static bool flag(struct speaker *s, const char *name)
{
	if (strcmp(name, "--passive") == 0)
		s->cfg.passive = true;
	else if (strcmp(name, "--restarted") == 0)
		s->restarted = true;
	else if (strcmp(name, "--multihop") == 0)
		s->cfg.multihop = true;
	else if (strcmp(name, "--role-strict") == 0)
		s->cfg.role_strict = true;
	else if (strcmp(name, "--add-path") == 0)
		s->cfg.add_path_receive = true;
	else if (strcmp(name, "--no-extended") == 0)
		s->cfg.extended_messages = false;
	else if (strcmp(name, "--next-hop-self") == 0)
		s->cfg.next_hop_self = true;
	else if (strcmp(name, "--quiet") == 0)
		s->routes.quiet = true;
	else
		return false;
	return true;
}

static void number(struct speaker *s, const char *name, uint32_t v)
{
	if (strcmp(name, "--hold") == 0) {
		s->cfg.hold = span_s(v);
	} else if (strcmp(name, "--retry") == 0) {
		s->cfg.connect_retry = span_s(v);
	} else if (strcmp(name, "--restart") == 0) {
		s->cfg.graceful_restart = span_s(v);
	} else if (strcmp(name, "--stale-max") == 0) {
		s->cfg.stale_max = span_s(v);
	} else if (strcmp(name, "--ttl-security") == 0) {
		s->cfg.ttl_security = (uint8_t)v;
	} else if (strcmp(name, "--bfd") == 0) {
		s->bfd_ms = v;
	} else if (strcmp(name, "--role") == 0) {
		s->cfg.role = (uint8_t)v;
	} else if (strcmp(name, "--max") == 0) {
		for (int f = 0; f < BGP_N_FAMILIES; f++)
			s->cfg.prefixes[f].max = v;
	} else if (strcmp(name, "--max-restart") == 0) {
		for (int f = 0; f < BGP_N_FAMILIES; f++)
			s->cfg.prefixes[f].restart = span_s(v);
	} else if (strcmp(name, "--med") == 0) {
		s->cfg.has_med = true;
		s->cfg.med = v;
	} else if (strcmp(name, "--prepend") == 0) {
		s->cfg.prepend = (uint8_t)v;
	} else if (strcmp(name, "--local-pref") == 0) {
		s->facts.flags |= PATH_HAS_LOCAL_PREF;
		s->facts.local_pref = v;
	} else {
		sockets_die(name);
	}
}

static void option(struct speaker *s, const char *name, const char *value)
{
	struct ip_addr id;

	if (strcmp(name, "--commands") == 0) {
		s->commands = fopen(value, "r+"); /* for writing, too: it never ends */
	} else if (strcmp(name, "--id") == 0 && ip_parse(value, &id)) {
		s->id = (uint32_t)id.b[0] << 24 | (uint32_t)id.b[1] << 16 | (uint32_t)id.b[2] << 8 |
			id.b[3];
	} else if (strcmp(name, "--families") == 0) {
		s->cfg.families[BGP_IPV4_UNICAST] = strchr(value, '4') != NULL;
		s->cfg.families[BGP_IPV6_UNICAST] = strchr(value, '6') != NULL;
	} else if (strcmp(name, "--password") == 0) {
		s->password = value;
		s->cfg.has_password = true;
	} else if (strcmp(name, "--next-hop") == 0) {
		take_next_hop(s, value);
	} else if (strcmp(name, "--community") == 0) {
		take_communities(s, value);
	} else if (strcmp(name, "--large") == 0) {
		take_large(s, value);
	} else {
		number(s, name, (uint32_t)strtoul(value, NULL, 10));
	}
}

static void defaults(struct speaker *s)
{
	const struct ip_addr local = s->cfg.local;

	memset(s->fds, 0xff, sizeof(s->fds));
	memcpy(s->cfg.name, "neighbor", 9);
	s->cfg.neighbor = NEIGHBOR;
	s->id = 0x7f000002;
	s->cfg.next_hop[local.family == IP_V4 ? BGP_IPV4_UNICAST : BGP_IPV6_UNICAST] = local;
	s->cfg.inside[0] = (struct ip_prefix){local, local.family == IP_V4 ? 24 : 64};
	s->cfg.hold = span_s(30);
	s->cfg.connect_retry = span_s(2);
	s->cfg.stale_max = span_s(60);
	s->cfg.families[0] = s->cfg.families[1] = true;
	s->cfg.extended_messages = true;
	s->cfg.role = BGP_ROLE_NONE;
	s->facts.origin = PATH_ORIGIN_IGP;
}

bool speaker_options(struct speaker *s, int argc, char **argv)
{
	if (argc < 5 || !ip_parse(argv[1], &s->cfg.local) || !ip_parse(argv[2], &s->cfg.remote))
		return usage();
	s->cfg.local_as = (uint32_t)strtoul(argv[3], NULL, 10);
	s->cfg.remote_as = (uint32_t)strtoul(argv[4], NULL, 10);
	defaults(s);
	for (int i = 5; i < argc; i++) {
		if (s->n_prefixes < SPEAKER_FDS &&
		    ip_prefix_parse(argv[i], &s->prefixes[s->n_prefixes]))
			s->n_prefixes++;
		else if (flag(s, argv[i]))
			continue;
		else if (i + 1 == argc)
			return usage();
		else
			option(s, argv[i], argv[i + 1]), i++;
	}
	return true;
}
