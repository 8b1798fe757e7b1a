/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/daemon/prover.h"

#define CA_USE "critical,keyCertSign,cRLSign"

static struct ike_crypto crypto;
static EVP_PKEY *k_ca, *k_other;
EVP_PKEY *k_a, *k_a2, *k_b;
struct made ca, other_ca, a, a_new, a_old, a_other, b;
struct keyd_store store;
char problem[KEYD_PROBLEM_MAX];
struct keyd_reply reply;

static void note(void *ctx, const char *text)
{
	snprintf(problem, sizeof(problem), "%s", text);
}

struct made gateway(const char *subject, EVP_PKEY *key, const struct made *issuer, int64_t from,
		    int64_t until, const char *san)
{
	return make_cert(&(struct recipe){.subject = subject,
					  .key = key,
					  .issuer = issuer,
					  .from = from,
					  .until = until,
					  .use = "digitalSignature",
					  .san = san});
}

int prover_setup(void **state)
{
	if (!secret_init())
		return -1;
	ike_crypto_openssl(&crypto, NULL, NULL);
	k_ca = key_ec("P-384");
	k_other = key_ec("P-256");
	k_a = key_ec("P-256");
	k_a2 = key_other("ED25519");
	k_b = key_rsa(2048, 65537);
	ca = make_cert(&(struct recipe){
		.subject = "CN=CA", .key = k_ca, .basic = "critical,CA:TRUE", .use = CA_USE});
	other_ca = make_cert(&(struct recipe){
		.subject = "CN=Other", .key = k_other, .basic = "critical,CA:TRUE", .use = CA_USE});
	a = gateway("CN=a", k_a, &ca, NOW - 10 * DAY, NOW + 20 * DAY, "DNS:a.example");
	a_new = gateway("CN=a new", k_a2, &ca, NOW - DAY, NOW + 30 * DAY, "DNS:a.example");
	a_old = gateway("CN=a old", k_a, &ca, NOW - YEAR, NOW - DAY, "DNS:a.example");
	a_other = gateway("CN=a", k_a, &other_ca, NOW - 30 * DAY, NOW + DAY, "DNS:a.example");
	b = gateway("CN=b", k_b, &ca, 0, 0, "DNS:b.example");
	return 0;
}

int prover_teardown(void **state)
{
	struct made *const all[] = {&ca, &other_ca, &a, &a_new, &a_old, &a_other, &b};
	EVP_PKEY *const keys[] = {k_ca, k_other, k_a, k_a2, k_b};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		made_free(all[i]);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		EVP_PKEY_free(keys[i]);
	return 0;
}

int fresh(void **state)
{
	keyd_store_fini(&store);
	problem[0] = '\0';
	return 0;
}

/* ---------------------------------------------------------------- delivery */

bool deliver(const char *tunnel, uint32_t kind, uint32_t index, uint32_t flags, struct bytes file)
{
	struct sb why = sb_of(problem, sizeof(problem));
	struct ipc_secret head = {.kind = kind, .index = index, .flags = flags};
	bool ok;

	strncpy(head.tunnel, tunnel, sizeof(head.tunnel) - 1);
	ok = keyd_take(keyd_store_pending(&store, tunnel), &head, file.data, file.size, NULL, &why);
	free(file.data);
	return ok;
}

void deliver_cert(const char *tunnel, uint32_t index, const struct made *cert,
		  const struct made *chain)
{
	const struct made *list[2] = {cert, chain};

	assert_true(deliver(tunnel, IPC_SECRET_PRIVATE_KEY, index, 0, key_pem(cert->key, NULL)));
	assert_true(deliver(tunnel, IPC_SECRET_CERT, index, 0, certs_pem(list, chain ? 2 : 1)));
}

void deliver_ca(const char *tunnel, const struct made *cert, uint32_t flags)
{
	assert_true(deliver(tunnel, IPC_SECRET_CA, 0, flags, certs_pem(&cert, 1)));
}

void commit(void)
{
	const struct ipc_index names[2] = {{.name = "a"}, {.name = "b"}};

	problem[0] = '\0';
	keyd_store_commit(&store, (const uint8_t *)names, 2, NOW, note, NULL);
}

/* ---------------------------------------------------------------- requests */

uint8_t body[65536];
uint8_t announced[512];
size_t announced_size;
int64_t at = NOW;

static size_t request(const struct ipc_auth *head, const void *octets, const void *auth,
		      const void *id, const void *cas, const void *certs)
{
	struct wr w = wr_of(body, sizeof(body));

	wr_bytes(&w, head, sizeof(*head));
	wr_bytes(&w, octets, head->octets_size);
	wr_bytes(&w, auth, head->auth_size);
	wr_bytes(&w, id, head->id_size);
	wr_bytes(&w, cas, head->cas_size);
	wr_bytes(&w, announced, head->announced_size);
	wr_bytes(&w, certs, head->certs_size);
	assert_true(wr_ok(&w));
	return w.n;
}

bool ask(enum ipc_type type, size_t size)
{
	/* Exactly as large: a sanitizer sees any read beyond. */
	uint8_t *copy = malloc(size ? size : 1);

	memcpy(copy, body, size);
	keyd_answer(&store, &crypto, type, copy, size, at, &reply);
	free(copy);
	assert_true(reply.size <= sizeof(reply.tail));
	assert_int_equal(reply.size,
			 reply.head.auth_size + reply.head.certs_size + reply.head.text_size);
	if (!reply.head.ok) {
		/* A reason and nothing else. */
		assert_int_equal(reply.size, reply.head.text_size);
		assert_true(reply.size < sizeof(problem));
		memcpy(problem, reply.tail, reply.size);
		problem[reply.size] = '\0';
	}
	return reply.head.ok == 1;
}

bool sign(const char *tunnel, enum ipc_auth_kind kind, uint32_t hashes, const uint8_t *cas,
	  size_t n_cas, struct proof *p)
{
	struct ipc_auth head = {.prf = 5,
				.octets_size = 6,
				.kind = kind,
				.hashes = hashes,
				.cas_size = (uint32_t)(n_cas * PKI_HASH_SIZE),
				.announced_size = (uint32_t)announced_size};

	strncpy(head.tunnel, tunnel, sizeof(head.tunnel) - 1);
	if (!ask(IPC_AUTH_SIGN, request(&head, "octets", NULL, NULL, cas, NULL)))
		return false;
	p->method = reply.head.method;
	p->auth_size = reply.head.auth_size;
	p->n_certs = reply.head.n_certs;
	p->certs_size = reply.head.certs_size;
	memcpy(p->auth, reply.tail, p->auth_size);
	memcpy(p->certs, reply.tail + p->auth_size, p->certs_size);
	memcpy(problem, reply.tail + p->auth_size + p->certs_size, reply.head.text_size);
	problem[reply.head.text_size] = '\0';
	return true;
}

size_t verify_request(const char *tunnel, enum ipc_auth_kind kind, const struct proof *p,
		      const char *id)
{
	struct ipc_auth head = {.prf = 5,
				.method = p->method,
				.octets_size = 6,
				.auth_size = (uint32_t)p->auth_size,
				.id_type = PKI_ID_FQDN,
				.id_size = (uint32_t)strlen(id),
				.certs_size = (uint32_t)p->certs_size,
				.n_certs = p->n_certs,
				.kind = kind};

	strncpy(head.tunnel, tunnel, sizeof(head.tunnel) - 1);
	return request(&head, "octets", p->auth, id, NULL, p->certs);
}

bool verify(const char *tunnel, enum ipc_auth_kind kind, const struct proof *p, const char *id)
{
	return ask(IPC_AUTH_VERIFY, verify_request(tunnel, kind, p, id));
}

void assert_sent(const struct proof *p, const struct made *cert)
{
	assert_true(p->certs_size >= sizeof(struct ipc_cert) + cert->der.size);
	assert_memory_equal(p->certs + sizeof(struct ipc_cert), cert->der.data, cert->der.size);
}
