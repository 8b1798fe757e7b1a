/* SPDX-License-Identifier: Apache-2.0 */
/* supervisor: messages from and to the supervisor. See supervisor.h. */
#include "dataplane/supervisor.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/log.h"
#include "dataplane/dp.h"
#include "dataplane/stats.h"
#include "ipc/ipc.h"

#define CONFIG_SIZE_MAX (16u << 20)

static struct ipc_msg msg; /* large; only the manager's thread uses it */

void dp_supervisor_ready(struct dp *dp)
{
	(void)ipc_send(dp->channel, IPC_READY, 0, 0, NULL, 0, NULL, 0);
}

void dp_supervisor_fatal(struct dp *dp, const char *text)
{
	log_error("%s", text);
	(void)ipc_send(dp->channel, IPC_FATAL, 0, 0, text, strlen(text), NULL, 0);
}

/* Parses the text in a memfd. NULL with a text in `error`. */
static struct config *config_read(int fd, uint64_t size, char *error, size_t error_size)
{
	static struct config_errors errors;
	struct config *c = NULL;
	struct stat st;
	void *text;

	memset(&errors, 0, sizeof(errors));
	if (size == 0 || size > CONFIG_SIZE_MAX || fstat(fd, &st) != 0 || st.st_size < 0 ||
	    (uint64_t)st.st_size < size) {
		snprintf(error, error_size, "the supervisor passed no configuration");
		return NULL;
	}
	text = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (text == MAP_FAILED) {
		snprintf(error, error_size, "cannot read the configuration: %s", strerror(errno));
		return NULL;
	}
	c = config_parse(text, size, &errors);
	munmap(text, size);
	if (!c)
		snprintf(error, error_size, "configuration, line %u: %s", errors.errors[0].line,
			 errors.errors[0].text);
	return c;
}

static bool port_equal(const struct config_port *a, const struct config_port *b)
{
	if (strcmp(a->name, b->name) != 0 || a->is_pci != b->is_pci ||
	    strcmp(a->device, b->device) != 0 || a->mtu != b->mtu ||
	    a->n_addresses != b->n_addresses || strcmp(a->route_table, b->route_table) != 0)
		return false;
	for (size_t i = 0; i < a->n_addresses; i++) {
		if (!ip_prefix_equal(&a->addresses[i], &b->addresses[i]))
			return false;
	}
	return ip_equal(&a->gateway[0], &b->gateway[0]) && ip_equal(&a->gateway[1], &b->gateway[1]);
}

/* What of the new configuration cannot be had without a restart of this process; "" = nothing. */
static const char *needs_restart(const struct config *a, const struct config *b)
{
	if (a->n_ports != b->n_ports)
		return "the number of ports changed: restart the gateway to apply it";
	for (size_t i = 0; i < a->n_ports; i++) {
		if (!port_equal(&a->ports[i], &b->ports[i]))
			return "a port changed: restart the gateway to apply it";
	}
	if (a->n_workers != b->n_workers || a->memory_mb != b->memory_mb ||
	    a->hugepages != b->hugepages || a->max_sas != b->max_sas ||
	    a->max_tunnels != b->max_tunnels || strcmp(a->aead_backend, b->aead_backend) != 0 ||
	    strcmp(a->crypto_device, b->crypto_device) != 0 || a->spread_crypto != b->spread_crypto)
		return "the dataplane section changed: restart the gateway to apply it";
	return "";
}

static void free_peers(void *ctx, void *object, uint64_t arg)
{
	free(object);
}

static void reload(struct dp *dp, struct config *fresh)
{
	const char *text = needs_restart(dp->config, fresh);
	struct dp_peers *peers = dp_peers_of(fresh), *old = dp->peers;

	if (peers) { /* else the old ones are better than none */
		__atomic_store_n(&dp->peers, peers, __ATOMIC_RELEASE);
		dp_grace_defer(&dp->grace, free_peers, NULL, old, 0);
	}
	dp_path_mtu_enable(dp, fresh->path_mtu_discovery);
	dp_linux_routes_configure(dp, fresh);
	log_set(fresh->log_level, fresh->log_format);
	config_free(fresh);
	(void)ipc_send(dp->channel, IPC_RELOADED, 0, msg.h.id, text, strlen(text), NULL, 0);
}

/* The numbers of route tables, which follow those of the tunnels. */
static void take_tables(struct config *c, const struct ipc_config *body)
{
	const uint64_t tunnels = (uint64_t)body->n_tunnels * sizeof(struct ipc_index);
	const uint64_t tables = (uint64_t)body->n_tables * sizeof(struct ipc_index);

	(void)config_assign_indexes(c, NULL); /* where nothing is said of them */
	if (msg.h.size != sizeof(*body) + tunnels + tables)
		return;
	for (uint32_t i = 0; i < body->n_tables; i++) {
		struct ipc_index index;

		memcpy(&index, msg.body + sizeof(*body) + tunnels + i * sizeof(index),
		       sizeof(index));
		for (size_t t = 0; t < c->routing.n_tables; t++)
			if (index.number < DP_MAX_TABLES &&
			    strncmp(c->routing.tables[t].name, index.name, sizeof(index.name)) == 0)
				c->routing.tables[t].index = (uint16_t)index.number;
	}
}

static bool take_config(struct dp *dp)
{
	struct ipc_config body;
	struct config *c;
	char error[400];
	int fd = ipc_msg_take_fd(&msg, 0);

	if (fd < 0 || msg.h.size < sizeof(body)) {
		if (fd >= 0)
			close(fd);
		dp_supervisor_fatal(dp, "the supervisor passed no configuration");
		return false;
	}
	memcpy(&body, msg.body, sizeof(body));
	c = config_read(fd, body.size, error, sizeof(error));
	close(fd);
	if (!c && dp->config) {
		(void)ipc_send(dp->channel, IPC_RELOADED, 0, msg.h.id, error, strlen(error), NULL,
			       0);
		return true;
	}
	if (!c) {
		dp_supervisor_fatal(dp, error);
		return false;
	}
	take_tables(c, &body);
	if (dp->config) {
		reload(dp, c);
		return true;
	}
	dp->config = c;
	dp->learn_path_mtu = c->path_mtu_discovery;
	log_set(c->log_level, c->log_format);
	return true;
}

static bool take_ring(struct dp *dp)
{
	struct ipc_ring body;
	char error[200];
	const int fd = ipc_msg_take_fd(&msg, 0), bell = ipc_msg_take_fd(&msg, 1);

	if (msg.h.size != sizeof(body) || fd < 0 || bell < 0) {
		if (fd >= 0)
			close(fd);
		if (bell >= 0)
			close(bell);
		dp_supervisor_fatal(dp, "the supervisor passed a ring without its descriptors");
		return false;
	}
	memcpy(&body, msg.body, sizeof(body));
	if (!dp_rings_attach(dp, &body, fd, bell, error, sizeof(error))) {
		dp_supervisor_fatal(dp, error);
		return false;
	}
	return true;
}

static bool take_stats(struct dp *dp)
{
	uint64_t size;
	const int fd = ipc_msg_take_fd(&msg, 0);

	if (fd < 0 || msg.h.size != sizeof(size) || !dp->config) {
		if (fd >= 0)
			close(fd);
		dp_supervisor_fatal(dp, "the supervisor passed counters before the configuration");
		return false;
	}
	memcpy(&size, msg.body, sizeof(size));
	if (!dp_stats_attach(dp, fd, size)) {
		dp_supervisor_fatal(dp,
				    "the counters' memory has not the agreed size: all programs "
				    "must be of one version");
		return false;
	}
	return true;
}

enum verdict {
	GO_ON,
	STARTED,
	ENDED,
};

static enum verdict handle(struct dp *dp)
{
	bool ok = true;

	if (msg.h.type == IPC_CONFIG)
		ok = take_config(dp);
	else if (msg.h.type == IPC_RING)
		ok = take_ring(dp);
	else if (msg.h.type == IPC_STATS)
		ok = take_stats(dp);
	else if (msg.h.type == IPC_START)
		return STARTED;
	else if (msg.h.type == IPC_STOP)
		return ENDED;
	else if (msg.h.type == IPC_PING)
		(void)ipc_send(dp->channel, IPC_PONG, 0, msg.h.id, NULL, 0, NULL, 0);
	else
		log_debug("a message '%s' that is not for the dataplane",
			  ipc_type_name((enum ipc_type)msg.h.type));
	return ok ? GO_ON : ENDED;
}

/* Takes one message. EAGAIN counts as going on. */
static enum verdict step(struct dp *dp, bool *none)
{
	const int rc = ipc_recv(dp->channel, &msg);
	enum verdict v;

	*none = false;
	if (rc == 0 && errno == EAGAIN) {
		*none = true;
		return GO_ON;
	}
	if (rc < 0 && errno == EBADMSG)
		return GO_ON;
	if (rc <= 0)
		return ENDED;
	v = handle(dp);
	ipc_msg_close(&msg);
	return v;
}

bool dp_supervisor_wait_start(struct dp *dp)
{
	for (;;) {
		struct pollfd p = {.fd = dp->channel, .events = POLLIN};
		bool none;
		enum verdict v;

		if (poll(&p, 1, -1) < 0 && errno != EINTR)
			return false;
		v = step(dp, &none);
		if (v == ENDED)
			return false;
		if (v == STARTED)
			break;
	}
	if (dp->config && dp->stats)
		return true;
	dp_supervisor_fatal(dp, "the supervisor said start before it passed everything");
	return false;
}

bool dp_supervisor_read(struct dp *dp)
{
	for (;;) {
		bool none;

		if (step(dp, &none) == ENDED)
			return false;
		if (none)
			return true;
	}
}
