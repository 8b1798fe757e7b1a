/* SPDX-License-Identifier: Apache-2.0 */
/*
 * esp_tool: encapsulates and decapsulates hex packets from standard input, for tests that compare
 * with another implementation. Test keys only: they stand in the input.
 *
 *	sa key=value ...	replaces both halves; the inbound half opens what the outbound seals
 *	encap HEX | decap HEX	answers "ok HEX" or "drop REASON"
 *	backends		answers the names of those that work here
 *	serves BACKEND ENCR BITS INTEG	answers "yes" or "no"
 *
 * With CRYPTO_DEVICE, one of DPDK's drivers, it has one backend: that device.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/secret.h"
#include "esp/esp.h"
#ifdef CRYPTO_DEVICE
#include "../dataplane/test_eal.h"
#include "dataplane/cryptodev.h"
#endif

#define ROOM      128u
#define BYTES_MAX 4096u
#define LINE_MAX_ (2 * BYTES_MAX + 64)

struct tool {
	struct esp_thread t;
	struct esp_out *out;
	struct esp_in *in;
};

static void die(const char *what)
{
	fprintf(stderr, "esp_tool: %s\n", what);
	exit(2);
}

static size_t unhex(const char *s, uint8_t *out, size_t size)
{
	size_t n = 0;
	unsigned v;

	for (; n < size && sscanf(s, "%2x", &v) == 1; s += 2)
		out[n++] = (uint8_t)v;
	return n;
}

/* "address" or "address,port" */
static struct ip_endpoint endpoint(const char *s)
{
	struct ip_endpoint e = {0};
	char copy[64];
	char *comma;

	snprintf(copy, sizeof(copy), "%.63s", s);
	comma = strchr(copy, ',');
	if (comma) {
		*comma = 0;
		e.port = (uint16_t)atoi(comma + 1);
	}
	if (!ip_parse(copy, &e.addr))
		die("address");
	return e;
}

static struct ip_addr ones(uint8_t family)
{
	struct ip_addr a = {.family = family};

	memset(a.b, 0xff, family == IP_V4 ? 4 : 16);
	return a;
}

static struct esp_ts ts_all(uint8_t family)
{
	return (struct esp_ts){
		.local_first = {.family = family},
		.local_last = ones(family),
		.remote_first = {.family = family},
		.remote_last = ones(family),
		.local_port_last = UINT16_MAX,
		.remote_port_last = UINT16_MAX,
	};
}

#ifdef CRYPTO_DEVICE
static const struct esp_backend *const backends[] = {&dp_backend_cryptodev, NULL};

static bool start(void)
{
	char error[256];

	return test_eal_init() && dp_cryptodev_open(CRYPTO_DEVICE, 1, 16, error, sizeof(error));
}
#else
#define backends esp_backends

static bool start(void)
{
	return true;
}
#endif

static const struct esp_backend *backend_by_name(const char *name)
{
	for (size_t i = 0; backends[i]; i++)
		if (strcmp(backends[i]->name, name) == 0)
			return backends[i];
	return NULL;
}

static void cmd_backends(void)
{
	for (size_t i = 0; backends[i]; i++) {
		void *ctx = backends[i]->ctx_new();

		if (ctx)
			printf("%s ", backends[i]->name);
		backends[i]->ctx_free(ctx);
	}
	printf("\n");
}

static void cmd_serves(const char *args)
{
	unsigned encr, bits, integ;
	struct esp_suite s;
	char name[16];

	if (sscanf(args, "%15s %u %u %u", name, &encr, &bits, &integ) != 4 ||
	    !backend_by_name(name) ||
	    !esp_suite_init(&s, (uint16_t)encr, (uint16_t)bits, (uint16_t)integ))
		die("serves");
	printf("%s\n", backend_by_name(name)->supports(&s) ? "yes" : "no");
}

static void set_backend(struct tool *tool, const char *name)
{
	struct esp_aead *a = &tool->t.aead[0];

	a->backend = backend_by_name(name);
	if (!a->backend)
		die("backend");
	a->ctx = a->backend->ctx_new();
	if (!a->ctx)
		die("backend context");
}

static void tool_close(struct tool *tool)
{
	esp_out_free(tool->out);
	esp_in_free(tool->in);
	tool->out = NULL;
	tool->in = NULL;
	if (tool->t.aead[0].backend)
		tool->t.aead[0].backend->ctx_free(tool->t.aead[0].ctx);
	tool->t.aead[0].backend = NULL;
}

static void cmd_sa(struct tool *tool, char *args)
{
	static uint8_t key[36], integ_key[64];
	unsigned encr = 0, bits = 0, integ = 0;
	struct esp_sa_cfg cfg = {.replay_window = 1024, .first_seq = 1, .n_ts = 2};
	struct esp_sa_cfg mirror;
	const char *backend = "ipsec-mb";

	cfg.ts[0] = ts_all(IP_V4);
	cfg.ts[1] = ts_all(IP_V6);
	for (char *word = strtok(args, " \n"); word; word = strtok(NULL, " \n")) {
		char *v = strchr(word, '=');

		if (!v)
			die("argument");
		*v++ = 0;
		if (strcmp(word, "encr") == 0)
			encr = (unsigned)atoi(v);
		else if (strcmp(word, "bits") == 0)
			bits = (unsigned)atoi(v);
		else if (strcmp(word, "integ") == 0)
			integ = (unsigned)atoi(v);
		else if (strcmp(word, "esn") == 0)
			cfg.esn = atoi(v);
		else if (strcmp(word, "udp") == 0)
			cfg.udp_encap = atoi(v);
		else if (strcmp(word, "dscp") == 0)
			cfg.copy_dscp = atoi(v);
		else if (strcmp(word, "spi") == 0)
			cfg.spi = (uint32_t)strtoul(v, NULL, 0);
		else if (strcmp(word, "seq") == 0)
			cfg.first_seq = strtoull(v, NULL, 0);
		else if (strcmp(word, "key") == 0)
			unhex(v, key, sizeof(key));
		else if (strcmp(word, "integ_key") == 0)
			unhex(v, integ_key, sizeof(integ_key));
		else if (strcmp(word, "local") == 0)
			cfg.local = endpoint(v);
		else if (strcmp(word, "remote") == 0)
			cfg.remote = endpoint(v);
		else if (strcmp(word, "backend") == 0)
			backend = v;
		else
			die(word);
	}
	cfg.encr_key = key;
	cfg.integ_key = integ_key;
	if (!esp_suite_init(&cfg.suite, (uint16_t)encr, (uint16_t)bits, (uint16_t)integ))
		die("suite");
	tool_close(tool);
	set_backend(tool, backend);
	mirror = cfg;
	mirror.local = cfg.remote;
	mirror.remote = cfg.local;
	tool->out = esp_out_new(&tool->t, &cfg);
	tool->in = esp_in_new(&tool->t, &mirror);
	if (!tool->out || !tool->in)
		die("sa");
	printf("ok\n");
}

static void cmd_packet(struct tool *tool, const char *hex, bool encap)
{
	static uint8_t mem[ROOM + BYTES_MAX + ROOM];
	struct esp_pkt pkt = {.data = mem + ROOM, .headroom = ROOM};

	if (!tool->out)
		die("no sa");
	pkt.size = (uint32_t)unhex(hex, pkt.data, BYTES_MAX);
	pkt.tailroom = (uint32_t)sizeof(mem) - ROOM - pkt.size;
	if (encap)
		esp_encap(&tool->t, tool->out, &pkt, 1);
	else
		esp_decap(&tool->t, tool->in, &pkt, 1);
	if (pkt.drop != ESP_DROP_OK) {
		printf("drop %s\n", esp_drop_name(pkt.drop));
		return;
	}
	printf("ok ");
	for (uint32_t i = 0; i < pkt.size; i++)
		printf("%02x", pkt.data[i]);
	printf("\n");
}

static void tool_random(void *arg, uint8_t *out, size_t size)
{
	random_bytes_fill(out, size);
}

int main(void)
{
	static char line[LINE_MAX_];
	struct tool tool = {.t.random = tool_random};

	if (!secret_init() || !start())
		die("start");
	while (fgets(line, sizeof(line), stdin)) {
		if (strncmp(line, "sa ", 3) == 0)
			cmd_sa(&tool, line + 3);
		else if (strncmp(line, "encap ", 6) == 0)
			cmd_packet(&tool, line + 6, true);
		else if (strncmp(line, "decap ", 6) == 0)
			cmd_packet(&tool, line + 6, false);
		else if (strncmp(line, "backends", 8) == 0)
			cmd_backends();
		else if (strncmp(line, "serves ", 7) == 0)
			cmd_serves(line + 7);
		else
			die("command");
		fflush(stdout);
	}
	tool_close(&tool);
	return 0;
}
