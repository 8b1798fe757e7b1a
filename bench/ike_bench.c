/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ike_bench: what establishing an IKE SA with its first CHILD_SA costs, and what it keeps in memory.
 *
 * Many sites connect to one hub: one core holds the hub's tunnels, another all of the sites'. With
 * the null transport both run in this process and a datagram is handed from one to the other; every
 * step is charged to the side that makes it, and so is the answer of its key process, which is
 * computed in place. Over sockets the sites run in a child process, both ends use UDP on loopback,
 * and a process' time is what the kernel says, system calls included.
 *
 * Dataplane requests are answered at once: an installation costs nothing here.
 */
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <time.h>
#include <unistd.h>
#include "base/secret.h"
#include "ike/ike.h"
#include "ike/keys.h"
#include "pki/issue.h"
#include "pki/pki.h"

#define LOAD       8 /* establishments under way at a time */
#define N_MAX      20000
#define PSK        "a pre-shared key of the benchmark, 40 b.."
#define TIME_LIMIT 60 /* seconds for one case over sockets */

struct mode {
	const char *name;
	struct ike_suite ike, esp;
	bool certificates; /* ECDSA P-256 under a CA with the same; else a shared key */
};

static const struct mode modes[] = {
	{"psk-x25519",
	 {IKE_ENCR_AES_GCM_16, 256, IKE_PRF_HMAC_SHA2_384, 0, IKE_DH_CURVE25519, 0},
	 {IKE_ENCR_AES_GCM_16, 256, 0, 0, 0, IKE_ESN_YES}},
	{"psk-p256",
	 {IKE_ENCR_AES_GCM_16, 256, IKE_PRF_HMAC_SHA2_384, 0, IKE_DH_ECP_256, 0},
	 {IKE_ENCR_AES_GCM_16, 256, 0, 0, 0, IKE_ESN_YES}},
	{"psk-p384",
	 {IKE_ENCR_AES_GCM_16, 256, IKE_PRF_HMAC_SHA2_384, 0, IKE_DH_ECP_384, 0},
	 {IKE_ENCR_AES_GCM_16, 256, 0, 0, 0, IKE_ESN_YES}},
	{"ecdsa-x25519",
	 {IKE_ENCR_AES_GCM_16, 256, IKE_PRF_HMAC_SHA2_384, 0, IKE_DH_CURVE25519, 0},
	 {IKE_ENCR_AES_GCM_16, 256, 0, 0, 0, IKE_ESN_YES},
	 .certificates = true},
	{"psk-modp2048",
	 {IKE_ENCR_AES_GCM_16, 256, IKE_PRF_HMAC_SHA2_384, 0, IKE_DH_MODP_2048, 0},
	 {IKE_ENCR_AES_GCM_16, 256, 0, 0, 0, IKE_ESN_YES}},
};
#define N_OF(a) (sizeof(a) / sizeof((a)[0]))

/* What the key process or the dataplane says to a request. */
struct answer {
	enum ike_event_type type;
	uint64_t request;
	bool ok;
	uint8_t auth[PKI_SIG_MAX];
	size_t auth_size;
	uint8_t method;
	struct ike_cert cert; /* size 0: none */
};

/* What the key process of one side holds. */
struct identity {
	struct pki_key *key;
	struct pki_certs *cert, *cas;
};

/* One gateway, or all of the sites. */
struct end {
	struct ike *ike;
	struct ike_crypto crypto;
	struct identity own;
	struct answer answers[64];
	size_t n_answers;
	struct ike_out out;
	struct end *other; /* null transport */
	int sock;          /* over sockets: connected to the other end; else -1 */
	uint64_t ns;       /* spent in steps and in the key process */
	uint32_t n_up;
	bool initiator;
	bool failed;
};

/* A datagram in flight between the ends of the null transport: a ring, in order. */
struct flight {
	struct end *to;
	struct ip_endpoint local, remote;
	size_t size;
	uint8_t data[IKE_MESSAGE_MAX];
};

#define FLIGHTS 256
static struct flight flights[FLIGHTS];
static size_t flight_head, n_flights;

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static struct mono now(void)
{
	return (struct mono){now_ns()};
}

/* Time that this thread has had: others on the machine do not count. */
static uint64_t cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* ------------------------------------------------------------------ actions */

/* On the wire of the sockets: the addresses that the core sees, then the message. */
struct wire_header {
	struct ip_endpoint from, to;
};

static void send_socket(const struct end *e, const struct ike_action *a)
{
	uint8_t buf[sizeof(struct wire_header) + IKE_MESSAGE_MAX];
	const struct wire_header h = {a->send.local, a->send.remote};

	memcpy(buf, &h, sizeof(h));
	memcpy(buf + sizeof(h), a->send.data, a->send.size);
	/* A full buffer is loss, which IKE repairs. */
	(void)!send(e->sock, buf, sizeof(h) + a->send.size, MSG_DONTWAIT);
}

static void send_null(const struct end *e, const struct ike_action *a)
{
	struct flight *f;

	if (n_flights == FLIGHTS) {
		fprintf(stderr, "ike_bench: too many datagrams in flight\n");
		exit(1);
	}
	f = &flights[(flight_head + n_flights++) % FLIGHTS];
	f->to = e->other;
	f->local = a->send.remote;
	f->remote = a->send.local;
	f->size = a->send.size;
	memcpy(f->data, a->send.data, a->send.size);
}

/* Its action is lent until the step's actions are reset; the answer waits until then. */
static struct answer *answer_new(struct end *e, enum ike_event_type type, uint64_t request)
{
	struct answer *a;

	if (e->n_answers == N_OF(e->answers)) {
		fprintf(stderr, "ike_bench: too many answers wait\n");
		exit(1);
	}
	a = &e->answers[e->n_answers++];
	*a = (struct answer){.type = type, .request = request, .ok = true};
	return a;
}

static void sign(struct end *e, const struct ike_action *act, struct answer *a)
{
	const struct pki_span octets = {act->auth.octets, act->auth.octets_size};
	const struct pki_span der = pki_certs_der(e->own.cert, 0);
	char text[PKI_TEXT_SIZE];
	struct sb why = sb_of(text, sizeof(text));
	uint32_t method = 0;

	a->auth_size =
		pki_sign(e->own.key, act->auth.hashes, false, octets, a->auth, &method, &why);
	a->ok = a->auth_size > 0;
	a->method = (uint8_t)method;
	a->cert = (struct ike_cert){IKE_CERT_X509_SIGNATURE, der.data, der.size};
}

static void verify(struct end *e, const struct ike_action *act, struct answer *a)
{
	const struct pki_span octets = {act->auth.octets, act->auth.octets_size};
	const struct pki_trust trust = {.anchors = e->own.cas, .now = time(NULL)};
	const struct pki_id id = {act->auth.id.type, {act->auth.id.data, act->auth.id.size}};
	struct pki_offer offers[IKE_MAX_CERTS];
	char text[PKI_TEXT_SIZE];
	struct sb why = sb_of(text, sizeof(text));
	struct pki_pub *pub = NULL;
	int64_t until;

	for (size_t i = 0; i < act->auth.n_certs; i++)
		offers[i] = (struct pki_offer){
			act->auth.certs[i].encoding,
			{act->auth.certs[i].data, act->auth.certs[i].size},
		};
	a->ok = pki_verify_peer(&trust, offers, act->auth.n_certs, &id, &pub, &until, &why) &&
		pki_verify(pub, act->auth.method, false, octets,
			   (struct pki_span){act->auth.auth, act->auth.auth_size}, &why);
	pki_pub_free(pub);
}

/* The key process: its work belongs to the establishment. */
static void answer_auth(struct end *e, const struct ike_action *act)
{
	struct answer *a = answer_new(e, IKE_EV_AUTH_RESULT, act->request);

	a->method = IKE_AUTH_METHOD_SHARED_KEY;
	if (e->own.key && act->type == IKE_ACT_AUTH_SIGN) {
		sign(e, act, a);
		return;
	}
	if (e->own.key) {
		verify(e, act, a);
		return;
	}
	a->auth_size = ike_prf_desc(act->auth.prf)->size;
	a->ok = ike_auth_psk(&e->crypto, (enum ike_prf)act->auth.prf, (const uint8_t *)PSK,
			     strlen(PSK), act->auth.octets, act->auth.octets_size, a->auth);
	if (act->type == IKE_ACT_AUTH_VERIFY)
		a->ok = a->ok && act->auth.auth_size == a->auth_size &&
			memcmp(a->auth, act->auth.auth, act->auth.auth_size) == 0;
}

static void carry_out(struct end *e, const struct ike_action *a)
{
	switch (a->type) {
	case IKE_ACT_SEND:
		if (e->sock >= 0)
			send_socket(e, a);
		else
			send_null(e, a);
		break;
	case IKE_ACT_AUTH_SIGN:
	case IKE_ACT_AUTH_VERIFY: answer_auth(e, a); break;
	case IKE_ACT_CHILD_ADD_IN:
	case IKE_ACT_CHILD_ADD_OUT:
	case IKE_ACT_CHILD_SWITCH:
	case IKE_ACT_CHILD_DEL_IN:
	case IKE_ACT_CHILD_DEL_OUT:
	case IKE_ACT_CHILD_PEER:
		if (a->request)
			answer_new(e, IKE_EV_DP_RESULT, a->request);
		break;
	case IKE_ACT_TUNNEL_UP: e->n_up++; break;
	case IKE_ACT_PPK_MIX: e->failed = true; break; /* none is configured */
	case IKE_ACT_TUNNEL_DOWN: e->failed = true; break;
	case IKE_ACT_KEEPALIVE:
	case IKE_ACT_SAVE:
	case IKE_ACT_EVENT: break;
	}
}

static void carry_out_all(struct end *e)
{
	for (size_t i = 0; i < e->out.n; i++)
		carry_out(e, &e->out.actions[i]);
	ike_out_reset(&e->out);
}

/* One event, and the answers that its actions ask for. */
static void step(struct end *e, const struct ike_event *ev)
{
	ike_step(e->ike, ev, &e->out);
	carry_out_all(e);
	for (size_t i = 0; i < e->n_answers; i++) {
		struct answer a = e->answers[i];
		struct ike_event late = {.type = a.type, .now = now()};

		if (a.type == IKE_EV_DP_RESULT) {
			late.dp.request = a.request;
			late.dp.ok = a.ok;
		} else {
			late.auth.request = a.request;
			late.auth.ok = a.ok;
			late.auth.auth = a.auth;
			late.auth.auth_size = a.auth_size;
			late.auth.method = a.method;
			late.auth.certs = &a.cert;
			late.auth.n_certs = a.cert.size > 0;
		}
		ike_step(e->ike, &late, &e->out);
		carry_out_all(e);
	}
	e->n_answers = 0;
}

static void timed_step(struct end *e, const struct ike_event *ev)
{
	const uint64_t start = cpu_ns();

	step(e, ev);
	e->ns += cpu_ns() - start;
}

static void deliver(struct end *e, const struct ip_endpoint *local,
		    const struct ip_endpoint *remote, const uint8_t *data, size_t size)
{
	struct ike_event ev = {.type = IKE_EV_PACKET, .now = now()};

	ev.packet.local = *local;
	ev.packet.remote = *remote;
	ev.packet.data = data;
	ev.packet.size = size;
	timed_step(e, &ev);
}

/* ----------------------------------------------------------------- gateways */

static struct ip_addr site_addr(uint32_t i)
{
	return ip_v4(10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i);
}

static struct ike_id id_of(const struct ip_addr *a)
{
	struct ike_id id = {.type = IKE_ID_IPV4_ADDR, .size = 4};

	memcpy(id.data, a->b, 4);
	return id;
}

static struct ike_id name_of(bool site)
{
	struct ike_id id = {.type = IKE_ID_FQDN};

	id.size = (uint8_t)snprintf((char *)id.data, sizeof(id.data), "%s.bench.example",
				    site ? "site" : "hub");
	return id;
}

static struct ike_tunnel_cfg tunnel_cfg(const struct mode *m, uint32_t i, bool initiator)
{
	const struct ip_addr hub = ip_v4(192, 0, 2, 1), site = site_addr(i);
	const struct ike_ts any = {ip_v4(0, 0, 0, 0), ip_v4(255, 255, 255, 255), 0, UINT16_MAX, 0};
	struct ike_tunnel_cfg c = {
		.tunnel = i,
		.local = initiator ? site : hub,
		.remote = initiator ? hub : site,
		.n_local_ts = 1,
		.n_remote_ts = 1,
		.ike_lifetime = span_s(8 * 3600),
		.child_lifetime = span_s(3600),
		.rekey_margin = span_s(270),
		.rekey_fuzz_percent = 100,
		.dpd_interval = span_s(600),
		.dpd_timeout = span_s(1800),
		.dpd_action = IKE_DPD_CLEAR,
		.startup = IKE_STARTUP_ADD,
		.replay_window = 1024,
	};

	snprintf(c.name, sizeof(c.name), "site-%u", i);
	c.local_id = id_of(&c.local);
	c.remote_id = id_of(&c.remote);
	c.ike_algs = ike_algs_of(&m->ike, 1);
	c.esp_algs = ike_algs_of(&m->esp, 1);
	c.local_ts[0] = c.remote_ts[0] = any;
	if (m->certificates) {
		c.local_auth = c.remote_auth = IKE_AUTH_BY_CERTIFICATE;
		c.local_id = name_of(initiator);
		c.remote_id = name_of(!initiator);
	}
	return c;
}

static void no_pki(const char *why)
{
	fprintf(stderr, "ike_bench: %s\n", why);
	exit(1);
}

static struct pki_certs *issue(const char *name, const char *san, const struct pki_key *key,
			       const struct pki_key *ca_key, const struct pki_certs *ca)
{
	static uint8_t serial[PKI_SERIAL_SIZE] = {1};
	const struct pki_request request = {
		.subject = name,
		.key = key,
		.san = san,
		.ca = !ca,
		.from = time(NULL) - 3600,
		.until = time(NULL) + 86400,
		.serial = serial,
		.issuer_key = ca_key,
		.issuer = ca,
	};
	char text[PKI_TEXT_SIZE];
	struct sb why = sb_of(text, sizeof(text));
	struct pki_certs *cert = NULL;
	struct pki_span der;

	serial[PKI_SERIAL_SIZE - 1]++;
	if (pki_issue(&request, &der, &why)) {
		cert = pki_certs_parse(der.data, der.size, &why);
		free((void *)(uintptr_t)der.data);
	}
	if (!cert)
		no_pki(text);
	return cert;
}

/* A CA and a certificate for each side. Made before the sites' process is: it has the same CA. */
static struct identity identities[2]; /* hub, sites */

static void make_identities(void)
{
	char text[PKI_TEXT_SIZE];
	struct sb why = sb_of(text, sizeof(text));
	struct pki_key *ca_key = pki_key_generate("ecdsa-p256", &why);
	struct pki_certs *ca = ca_key ? issue("CN=ca", NULL, ca_key, NULL, NULL) : NULL;

	for (int i = 0; i < 2; i++) {
		struct identity *id = &identities[i];

		id->key = pki_key_generate("ecdsa-p256", &why);
		if (!ca || !id->key)
			no_pki(text);
		id->cas = ca;
		id->cert = issue(i ? "CN=site" : "CN=hub",
				 i ? "dns:site.bench.example" : "dns:hub.bench.example", id->key,
				 ca_key, ca);
	}
	pki_key_free(ca_key);
}

static void end_new(struct end *e, const struct mode *m, uint32_t n, bool initiator)
{
	const struct ike_limits limits = {
		.max_half_open = 4096,
		.cookie_threshold = 4096,
		.max_half_open_source = 4096,
		.max_children = 4 * N_MAX,
	};

	*e = (struct end){.sock = -1, .initiator = initiator};
	if (m->certificates)
		e->own = identities[initiator];
	ike_crypto_openssl(&e->crypto, NULL, NULL);
	e->ike = ike_new(&limits, &e->crypto, NULL);
	for (uint32_t i = 0; e->ike && i < n; i++) {
		const struct ike_tunnel_cfg c = tunnel_cfg(m, i, initiator);

		if (!ike_tunnel_set(e->ike, &c, now(), &e->out)) {
			ike_free(e->ike);
			e->ike = NULL;
		}
		carry_out_all(e);
	}
	if (!e->ike) {
		fprintf(stderr, "ike_bench: out of memory\n");
		exit(1);
	}
}

static void initiate(struct end *e, uint32_t tunnel)
{
	struct ike_event ev = {.type = IKE_EV_INITIATE, .now = now()};

	ev.tunnel.tunnel = tunnel;
	timed_step(e, &ev);
}

/* ------------------------------------------------------------------ results */

struct result {
	double wall_s, initiator_us, responder_us; /* us: of one establishment */
	double bytes; /* of one established pair, at the hub; 0 = not measured */
	uint32_t n;
};

static void print(const char *transport, const struct mode *m, const struct result *r, bool json)
{
	const double per_core = r->responder_us > 0 ? 1e6 / r->responder_us : 0;

	if (json) {
		printf("{\"bench\": \"ike\", \"transport\": \"%s\", \"mode\": \"%s\", \"n\": %u, "
		       "\"wall_s\": %.3f, \"per_s\": %.0f, \"initiator_us\": %.1f, "
		       "\"responder_us\": %.1f, \"responder_per_s_per_core\": %.0f, "
		       "\"bytes_per_sa\": %.0f}\n",
		       transport, m->name, r->n, r->wall_s, r->n / r->wall_s, r->initiator_us,
		       r->responder_us, per_core, r->bytes);
		return;
	}
	printf("%-9s  %-16s %7u %9.0f %12.1f %12.1f %12.0f ", transport, m->name, r->n,
	       r->n / r->wall_s, r->initiator_us, r->responder_us, per_core);
	if (r->bytes > 0)
		printf("%9.0f\n", r->bytes);
	else
		printf("%9s\n", "-");
}

static double resident_bytes(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	unsigned long size = 0, resident = 0;

	if (f) {
		if (fscanf(f, "%lu %lu", &size, &resident) != 2)
			resident = 0;
		fclose(f);
	}
	return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

/* ------------------------------------------------------------ null transport */

static struct result run_null(const struct mode *m, uint32_t n)
{
	static struct end hub, sites;
	uint32_t started = 0;
	uint64_t start;
	struct result r = {.n = n};

	end_new(&hub, m, n, false);
	end_new(&sites, m, n, true);
	hub.other = &sites;
	sites.other = &hub;
	start = now_ns();
	while (sites.n_up < n) {
		while (started < n && started < sites.n_up + LOAD)
			initiate(&sites, started++);
		if (n_flights == 0) {
			fprintf(stderr, "ike_bench: %u of %u tunnels came up\n", sites.n_up, n);
			exit(1);
		}
		while (n_flights > 0) {
			struct flight *f = &flights[flight_head];

			flight_head = (flight_head + 1) % FLIGHTS;
			n_flights--;
			deliver(f->to, &f->local, &f->remote, f->data, f->size);
		}
	}
	r.wall_s = (double)(now_ns() - start) / 1e9;
	r.initiator_us = (double)sites.ns / 1e3 / n;
	r.responder_us = (double)hub.ns / 1e3 / n;
	ike_free(hub.ike);
	ike_free(sites.ike);
	return r;
}

/* -------------------------------------------------------------- over sockets */

static void receive(struct end *e)
{
	uint8_t buf[sizeof(struct wire_header) + IKE_MESSAGE_MAX];
	struct wire_header h;
	ssize_t size;

	for (int i = 0; i < 64; i++) {
		size = recv(e->sock, buf, sizeof(buf), MSG_DONTWAIT);
		if (size < (ssize_t)sizeof(h))
			return;
		memcpy(&h, buf, sizeof(h));
		deliver(e, &h.to, &h.from, buf + sizeof(h), (size_t)size - sizeof(h));
	}
}

static void wait_for(struct end *e)
{
	const struct mono due = ike_deadline(e->ike), t = now();
	struct pollfd p = {.fd = e->sock, .events = POLLIN};
	const uint64_t ms = mono_is_never(due) ? 1000 : span_to_ms(mono_since(due, t)) + 1;

	(void)poll(&p, 1, ms > 1000 ? 1000 : (int)ms);
	if (mono_reached(now(), due)) {
		const struct ike_event tick = {.type = IKE_EV_TICK, .now = now()};

		timed_step(e, &tick);
	}
}

static void serve(struct end *e, uint32_t n)
{
	const uint64_t give_up = now_ns() + TIME_LIMIT * UINT64_C(1000000000);
	uint32_t started = 0;

	while (e->n_up < n && now_ns() < give_up) {
		while (e->initiator && started < n && started < e->n_up + LOAD)
			initiate(e, started++);
		receive(e);
		if (e->n_up < n)
			wait_for(e);
	}
}

static int udp_socket(struct sockaddr_in *addr)
{
	const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), size = 4 << 20;
	socklen_t len = sizeof(*addr);

	*addr = (struct sockaddr_in){.sin_family = AF_INET};
	addr->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0 ||
	    getsockname(fd, (struct sockaddr *)addr, &len) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)) < 0) {
		perror("ike_bench: socket");
		exit(1);
	}
	return fd;
}

static double cpu_us(const struct rusage *u)
{
	return (double)(u->ru_utime.tv_sec + u->ru_stime.tv_sec) * 1e6 +
	       (double)(u->ru_utime.tv_usec + u->ru_stime.tv_usec);
}

/* The sites' process: ready when it has said so by one byte, begins when it gets one. */
static void run_sites(const struct mode *m, uint32_t n, int sock, int control)
{
	static struct end sites;
	struct rusage before, after;
	double us;
	char c = 'r';

	end_new(&sites, m, n, true);
	sites.sock = sock;
	if (write(control, &c, 1) != 1 || read(control, &c, 1) != 1)
		_exit(1);
	getrusage(RUSAGE_SELF, &before);
	serve(&sites, n);
	getrusage(RUSAGE_SELF, &after);
	us = cpu_us(&after) - cpu_us(&before);
	_exit(sites.n_up == n && write(control, &us, sizeof(us)) == sizeof(us) ? 0 : 1);
}

static struct result run_sockets(const struct mode *m, uint32_t n)
{
	static struct end hub;
	struct sockaddr_in a, b;
	const int hub_sock = udp_socket(&a), site_sock = udp_socket(&b);
	struct rusage before, after;
	struct result r = {.n = n};
	double rss, us = 0;
	int control[2], status;
	uint64_t start;
	pid_t pid;
	char c;

	if (connect(hub_sock, (struct sockaddr *)&b, sizeof(b)) < 0 ||
	    connect(site_sock, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control) < 0) {
		perror("ike_bench");
		exit(1);
	}
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		close(control[0]);
		run_sites(m, n, site_sock, control[1]);
	}
	close(control[1]);
	close(site_sock);
	end_new(&hub, m, n, false);
	hub.sock = hub_sock;
	if (pid < 0 || read(control[0], &c, 1) != 1 || write(control[0], &c, 1) != 1) {
		perror("ike_bench: the sites' process");
		exit(1);
	}
	rss = resident_bytes();
	getrusage(RUSAGE_SELF, &before);
	start = now_ns();
	serve(&hub, n);
	r.wall_s = (double)(now_ns() - start) / 1e9;
	getrusage(RUSAGE_SELF, &after);
	r.bytes = (resident_bytes() - rss) / n;
	r.responder_us = (cpu_us(&after) - cpu_us(&before)) / n;
	if (read(control[0], &us, sizeof(us)) != sizeof(us) || waitpid(pid, &status, 0) != pid ||
	    status != 0 || hub.n_up != n) {
		fprintf(stderr, "ike_bench: %u of %u tunnels came up at the hub\n", hub.n_up, n);
		exit(1);
	}
	r.initiator_us = us / n;
	ike_free(hub.ike);
	close(hub_sock);
	close(control[0]);
	return r;
}

/* --------------------------------------------------------------------- main */

/* A process for each case, so that none finds the memory of the one before. */
static bool in_child(struct result (*run)(const struct mode *m, uint32_t n), const char *transport,
		     const struct mode *m, uint32_t n, bool json)
{
	int status = 1;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		const struct result r = run(m, n);

		print(transport, m, &r, json);
		exit(0);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static const char usage[] = "usage: ike_bench [--n N] [--mode NAME] [--json]\n"
			    "  --n N        establishments of one case (1 to 20000, default 2000)\n"
			    "  --mode NAME  one of the cases only\n"
			    "  --json       one object a line and case\n";

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"n", required_argument, NULL, 'n'},
		{"mode", required_argument, NULL, 'm'},
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	const char *only = NULL;
	bool json = false, any = false;
	long n = 2000;
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 'n': n = strtol(optarg, NULL, 10); break;
		case 'm': only = optarg; break;
		case 'j': json = true; break;
		case 'h': fputs(usage, stdout); return 0;
		default: fputs(usage, stderr); return 2;
		}
	}
	if (n < 1 || n > N_MAX || optind != argc) {
		fputs(usage, stderr);
		return 2;
	}
	if (!secret_init()) {
		fputs("ike_bench: libsodium cannot be used\n", stderr);
		return 1;
	}
	make_identities();
	if (!json)
		printf("%-9s  %-16s %7s %9s %12s %12s %12s %9s\n", "transport", "mode", "n",
		       "per s", "initiator us", "responder us", "resp. /s/core", "B per SA");
	for (size_t i = 0; i < N_OF(modes); i++) {
		if (only && strcmp(only, modes[i].name) != 0)
			continue;
		any = true;
		if (!in_child(run_null, "null", &modes[i], (uint32_t)n, json) ||
		    !in_child(run_sockets, "sockets", &modes[i], (uint32_t)n, json))
			return 1;
	}
	if (!any) {
		fprintf(stderr, "ike_bench: no case is called '%s'\n", only);
		return 2;
	}
	return 0;
}
