/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dp_harness: plays supervisor, ike and route to one twinbore-dp, by command from a test program.
 *
 *	dp_harness TWINBORE-DP CONFIG
 *
 * Commands, one a line on standard input:
 *	push sa|fib HEX      a dp_msg, padded with zeros; no answer but the events that it causes
 *	ring KIND            a fresh ring of this kind replaces the old one
 *	break sa|fib         an index that no producer that follows the rules could write
 *	config FILE          another configuration
 *	stats                one line {"stats": {...}}
 *	stop                 IPC_STOP
 *	signal               SIGTERM
 * Answers, one JSON object a line on standard output: {"ipc": TYPE, "text": ...},
 * {"event": "sa"|"fib", "hex": ...}, {"stats": ...}, {"exit": STATUS}. End of input ends both.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/ring.h"
#include "base/shm.h"
#include "config/config.h"
#include "ipc/ipc.h"
#include "twinbore/dp_msg.h"
#include "twinbore/dp_stats.h"

struct ring {
	struct shm shm;
	struct ring_end end;
	int bell;
	uint32_t kind;
};

static struct ring rings[5]; /* by kind */
static struct shm stats;
static int channel;
static pid_t child;
static struct ipc_msg msg;

static void die(const char *what)
{
	fprintf(stderr, "dp_harness: %s: %s\n", what, strerror(errno));
	exit(1);
}

static bool is_request(uint32_t kind)
{
	return kind == IPC_RING_SA || kind == IPC_RING_FIB;
}

static void ring_make(uint32_t kind)
{
	struct ring *r = &rings[kind];
	const uint32_t slot = is_request(kind) ? DP_MSG_SIZE : DP_EVENT_SIZE;
	const size_t size = ring_size(DP_RING_SLOTS, slot);
	const struct ipc_ring body = {.kind = kind, .n_slots = DP_RING_SLOTS, .slot_size = slot};
	int fds[2];

	if (r->shm.map) {
		shm_close(&r->shm);
		close(r->bell);
	}
	r->kind = kind;
	r->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (r->bell < 0 || !shm_create(&r->shm, "ring", size))
		die("ring");
	ring_format(r->shm.map, DP_RING_SLOTS, slot);
	if (is_request(kind)
		    ? !ring_attach_producer(&r->end, r->shm.map, size, DP_RING_SLOTS, slot)
		    : !ring_attach_consumer(&r->end, r->shm.map, size, DP_RING_SLOTS, slot))
		die("attach");
	fds[0] = r->shm.fd;
	fds[1] = r->bell;
	if (!ipc_send(channel, IPC_RING, 0, 0, &body, sizeof(body), fds, 2))
		die("send ring");
}

static char *file_read(const char *path, size_t *size)
{
	FILE *f = fopen(path, "r");
	char *text = malloc(1 << 20);

	if (!f || !text)
		die(path);
	*size = fread(text, 1, 1 << 20, f);
	fclose(f);
	return text;
}

static void config_send(const char *path)
{
	struct ipc_config body = {.generation = 1};
	int fd = memfd_create("config", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	size_t size;
	char *text = file_read(path, &size);

	if (fd < 0 || write(fd, text, size) != (ssize_t)size)
		die("config");
	(void)fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);
	body.size = size;
	if (!ipc_send(channel, IPC_CONFIG, 0, 0, &body, sizeof(body), &fd, 1))
		die("send config");
	close(fd);
	free(text);
}

/* Bytes of the counters that the configuration asks for; an invalid one ends us, before any start. */
static uint64_t stats_size(const char *path)
{
	static struct config_errors errors;
	size_t size;
	char *text = file_read(path, &size);
	struct config *c = config_parse(text, size, &errors);
	uint64_t bytes;

	if (!c) {
		fprintf(stderr, "dp_harness: %s:%u: %s\n", path, errors.errors[0].line,
			errors.errors[0].text);
		exit(1);
	}
	bytes = dp_stats_size(c->max_sas, c->max_tunnels);
	config_free(c);
	free(text);
	return bytes;
}

static void stats_make(uint64_t bytes)
{
	if (!shm_create(&stats, "stats", bytes))
		die("stats");
	if (!ipc_send(channel, IPC_STATS, 0, 0, &bytes, sizeof(bytes), &stats.fd, 1))
		die("send stats");
}

static void text_json(const char *s, size_t n)
{
	putchar('"');
	for (size_t i = 0; i < n; i++) {
		const unsigned char c = (unsigned char)s[i];

		if (c == '"' || c == '\\')
			printf("\\%c", c);
		else if (c < 0x20)
			printf("\\u%04x", c);
		else
			putchar(c);
	}
	putchar('"');
}

#define FIELD(o, name) printf("\"%s\": %llu, ", #name, (unsigned long long)(o)->name)

static void stats_ports(const struct dp_stats *s)
{
	printf("\"ports\": [");
	for (uint32_t i = 0; i < s->n_ports; i++) {
		const struct dp_stats_port *p = &s->ports[i];

		printf("%s{", i ? ", " : "");
		FIELD(p, rx_packets);
		FIELD(p, rx_bytes);
		FIELD(p, rx_missed);
		FIELD(p, rx_errors);
		FIELD(p, tx_packets);
		FIELD(p, tx_bytes);
		FIELD(p, tx_dropped);
		FIELD(p, to_linux);
		FIELD(p, from_linux);
		FIELD(p, link_up);
		printf("\"mac\": \"%02x:%02x:%02x:%02x:%02x:%02x\", ", p->mac[0], p->mac[1],
		       p->mac[2], p->mac[3], p->mac[4], p->mac[5]);
		printf("\"driver\": \"%s\", \"name\": \"%s\"}", p->driver, p->name);
	}
	printf("], ");
}

static void stats_workers(const struct dp_stats *s)
{
	bool first = true;

	printf("\"workers\": [");
	for (uint32_t i = 0; i <= s->n_workers; i++) {
		const struct dp_stats_worker *w = &s->workers[i];

		printf("%s{", i ? ", " : "");
		FIELD(w, polls);
		FIELD(w, busy_polls);
		FIELD(w, sleeps);
		FIELD(w, packets);
		FIELD(w, busy_cycles);
		FIELD(w, handed);
		FIELD(w, spread);
		FIELD(w, taken_back);
		FIELD(w, helped);
		FIELD(w, generated);
		printf("\"asleep\": %u}", w->asleep);
	}
	printf("], \"drops\": {");
	for (uint32_t r = 0; r < s->n_reasons; r++) {
		uint64_t n = 0;

		for (uint32_t i = 0; i <= s->n_workers; i++)
			n += s->workers[i].drops[r];
		if (n == 0)
			continue;
		printf("%s\"%s\": %llu", first ? "" : ", ", s->reasons[r], (unsigned long long)n);
		first = false;
	}
	printf("}, ");
}

static void stats_tables(const struct dp_stats *s)
{
	const struct dp_stats_sa *sa = (const void *)((const uint8_t *)s + s->sas_offset);
	const struct dp_stats_tunnel *t = (const void *)((const uint8_t *)s + s->tunnels_offset);
	bool first = true;

	printf("\"sas\": {");
	for (uint32_t i = 0; i < s->max_sas; i++) {
		if (!sa[i].out_packets && !sa[i].in_packets && !sa[i].in_auth_failed &&
		    !sa[i].in_replayed)
			continue;
		printf("%s\"%u\": {", first ? "" : ", ", i);
		FIELD(&sa[i], out_packets);
		FIELD(&sa[i], out_bytes);
		FIELD(&sa[i], out_seq);
		FIELD(&sa[i], in_bytes);
		FIELD(&sa[i], in_seq_high);
		FIELD(&sa[i], in_auth_failed);
		FIELD(&sa[i], in_replayed);
		printf("\"in_packets\": %llu}", (unsigned long long)sa[i].in_packets);
		first = false;
	}
	printf("}, \"tunnels\": [");
	for (uint32_t i = 0; i < s->max_tunnels && i < 16; i++) {
		printf("%s{", i ? ", " : "");
		FIELD(&t[i], out_packets);
		FIELD(&t[i], out_bytes);
		FIELD(&t[i], in_packets);
		FIELD(&t[i], in_bytes);
		FIELD(&t[i], out_dropped);
		FIELD(&t[i], in_dropped);
		FIELD(&t[i], current_slot);
		FIELD(&t[i], to_linux);
		FIELD(&t[i], from_linux);
		FIELD(&t[i], out_translated);
		FIELD(&t[i], in_translated);
		FIELD(&t[i], path_mtu);
		FIELD(&t[i], path_mtu_learnt);
		printf("\"mtu\": %llu}", (unsigned long long)t[i].mtu);
	}
	printf("]");
}

static void stats_print(void)
{
	const struct dp_stats *s = stats.map;

	printf("{\"stats\": {\"magic\": %u, \"n_routes\": %u, \"n_groups\": %u, \"eal\": \"%s\", "
	       "\"aead_backend\": \"%s\", ",
	       s->magic, s->n_routes, s->n_groups, s->eal, s->aead_backend);
	stats_ports(s);
	stats_workers(s);
	stats_tables(s);
	printf("}}\n");
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void push(const char *ring, const char *hex)
{
	struct ring *r = &rings[strcmp(ring, "sa") == 0 ? IPC_RING_SA : IPC_RING_FIB];
	uint8_t m[DP_MSG_SIZE] = {0};
	const uint64_t one = 1;

	for (size_t i = 0; i < sizeof(m) && hex[2 * i] && hex[2 * i + 1]; i++)
		m[i] = (uint8_t)(hex_value(hex[2 * i]) << 4 | hex_value(hex[2 * i + 1]));
	while (!ring_push(&r->end, m)) {
		if (r->end.broken)
			die("ring broken");
		usleep(200);
	}
	if (write(r->bell, &one, sizeof(one)) < 0)
		die("bell");
}

static void events(void)
{
	for (uint32_t kind = IPC_RING_SA_EVENT; kind <= IPC_RING_FIB_EVENT; kind += 2) {
		struct dp_event ev;
		uint64_t v;

		while (read(rings[kind].bell, &v, sizeof(v)) > 0)
			continue;
		while (ring_pop(&rings[kind].end, &ev)) {
			const uint8_t *b = (const uint8_t *)&ev;

			printf("{\"event\": \"%s\", \"hex\": \"",
			       kind == IPC_RING_SA_EVENT ? "sa" : "fib");
			for (size_t i = 0; i < sizeof(ev); i++)
				printf("%02x", b[i]);
			printf("\"}\n");
		}
	}
}

static bool supervisor_messages(void)
{
	int rc;

	while ((rc = ipc_recv(channel, &msg)) != 0) {
		if (rc < 0)
			continue;
		printf("{\"ipc\": \"%s\", \"text\": ", ipc_type_name((enum ipc_type)msg.h.type));
		text_json((const char *)msg.body, msg.h.size);
		printf("}\n");
		ipc_msg_close(&msg);
	}
	return errno == EAGAIN;
}

static void command(char *line)
{
	char *word = strtok(line, " \n"), *a = strtok(NULL, " \n"), *b = strtok(NULL, " \n");

	if (!word)
		return;
	if (strcmp(word, "push") == 0 && a && b)
		push(a, b);
	else if (strcmp(word, "ring") == 0 && a)
		ring_make((uint32_t)atoi(a));
	else if (strcmp(word, "break") == 0 && a) {
		struct ring *r = &rings[strcmp(a, "sa") == 0 ? IPC_RING_SA : IPC_RING_FIB];
		const uint64_t one = 1;

		__atomic_store_n(&r->end.h->head, r->end.local + DP_RING_SLOTS + 77,
				 __ATOMIC_RELEASE);
		if (write(r->bell, &one, sizeof(one)) < 0)
			die("bell");
	} else if (strcmp(word, "config") == 0 && a)
		config_send(a);
	else if (strcmp(word, "stats") == 0)
		stats_print();
	else if (strcmp(word, "stop") == 0)
		(void)ipc_send(channel, IPC_STOP, 0, 0, NULL, 0, NULL, 0);
	else if (strcmp(word, "signal") == 0)
		kill(child, SIGTERM);
	else
		die(word);
}

static void start(char **argv)
{
	const uint64_t bytes = stats_size(argv[2]);
	int socks[2];

	if (!ipc_pair(socks))
		die("socketpair");
	child = fork();
	if (child < 0)
		die("fork");
	if (child == 0) {
		/* The copy has no close-on-exec flag, unless it is the same descriptor already. */
		if (socks[1] == IPC_CHANNEL_FD)
			(void)fcntl(socks[1], F_SETFD, 0);
		else if (dup2(socks[1], IPC_CHANNEL_FD) < 0)
			_exit(126);
		execl(argv[1], argv[1], (char *)NULL);
		_exit(127);
	}
	close(socks[1]);
	channel = socks[0];
	config_send(argv[2]);
	for (uint32_t kind = IPC_RING_SA; kind <= IPC_RING_FIB_EVENT; kind++)
		ring_make(kind);
	stats_make(bytes);
	if (!ipc_send(channel, IPC_START, 0, 0, NULL, 0, NULL, 0))
		die("start");
}

int main(int argc, char **argv)
{
	static char line[DP_MSG_SIZE * 2 + 64];
	int status;

	if (argc != 3)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 1 << 16);
	setvbuf(stdin, NULL, _IONBF, 0);
	start(argv);
	for (;;) {
		struct pollfd p[4] = {
			{.fd = STDIN_FILENO, .events = POLLIN},
			{.fd = channel, .events = POLLIN},
			{.fd = rings[IPC_RING_SA_EVENT].bell, .events = POLLIN},
			{.fd = rings[IPC_RING_FIB_EVENT].bell, .events = POLLIN},
		};

		if (poll(p, 4, -1) < 0 && errno != EINTR)
			die("poll");
		events();
		if ((p[1].revents & (POLLIN | POLLHUP)) && !supervisor_messages())
			break;
		if (p[0].revents) {
			if (!fgets(line, sizeof(line), stdin))
				break;
			command(line);
		}
	}
	close(channel);
	if (waitpid(child, &status, 0) != child)
		die("wait");
	events();
	printf("{\"exit\": %d}\n",
	       WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	return 0;
}
