/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proof: what each side proves who it is by: AUTH with its certificates, the notifies and requests
 * that prepare it, and the PPK under it (RFC 7296 2.15, RFC 7427, RFC 7670, RFC 8784, RFC 9593).
 *
 * No key is here. Octets to be signed and proofs to be checked go out as actions; the key holder knows
 * from the tunnel's configuration what it may sign with and what it may believe.
 */
#include <stdlib.h>
#include "ike/id.h"
#include "ike/ike_int.h"

#define OCTETS_MAX     (IKE_INIT_MAX + IKE_NONCE_MAX + IKE_PRF_MAX + IKE_INT_AUTH_MAX)
#define MAX_CANDIDATES 64 /* tunnels whose wishes an IKE_SA_INIT response heeds */
/* At most, of our SUPPORTED_AUTH_METHODS with its header. */
#define ANNOUNCED_SIZE      210u
#define ANNOUNCED_FULL_SIZE 360u

const char *ike_proof_kind_name(enum ike_auth_kind kind)
{
	switch (kind) {
	case IKE_AUTH_BY_PSK: return "a pre-shared key";
	case IKE_AUTH_BY_CERTIFICATE: return "a certificate";
	case IKE_AUTH_BY_RAW_KEY: return "a raw public key";
	}
	return "?";
}

/* A peer that could choose the method would choose the one that it can break. */
bool ike_proof_method_fits(enum ike_auth_kind kind, uint8_t method)
{
	switch (method) {
	case IKE_AUTH_METHOD_SHARED_KEY: return kind == IKE_AUTH_BY_PSK;
	case IKE_AUTH_METHOD_RSA:
	case IKE_AUTH_METHOD_ECDSA_256:
	case IKE_AUTH_METHOD_ECDSA_384:
	case IKE_AUTH_METHOD_ECDSA_521:
	case IKE_AUTH_METHOD_DIGITAL_SIGNATURE: return kind != IKE_AUTH_BY_PSK;
	default: return false;
	}
}

/* ------------------------------------------------------------------- proofs */

void ike_proof_free(struct ike_proof *p)
{
	free(p->copy);
	*p = (struct ike_proof){0};
}

struct ike_proof ike_proof_of(const struct ike_msg *m, bool initiators)
{
	struct ike_proof p = {
		.id_type = initiators ? m->idi.type : m->idr.type,
		.method = m->auth.method,
		.id_body = initiators ? m->idi.body : m->idr.body,
		.auth = m->auth.data,
	};

	for (size_t i = 0; i < m->n_certs; i++) {
		switch (m->certs[i].encoding) {
		case IKE_CERT_X509_SIGNATURE:
		case IKE_CERT_CRL:
		case IKE_CERT_OCSP:
		case IKE_CERT_RAW_PUBLIC_KEY: p.certs[p.n_certs++] = m->certs[i]; break;
		default: break; /* URLs and forms that nobody here reads */
		}
	}
	return p;
}

static struct rd move(uint8_t **to, struct rd from)
{
	struct rd r = rd_of(*to, from.size);

	if (from.size)
		memcpy(*to, from.p, from.size);
	*to += from.size;
	return r;
}

bool ike_proof_copy(const struct ike_proof *from, struct ike_proof *to)
{
	size_t size = from->id_body.size + from->auth.size;
	uint8_t *copy, *p;

	for (size_t i = 0; i < from->n_certs; i++)
		size += from->certs[i].size;
	copy = p = malloc(size + 1);
	if (!copy)
		return false;
	ike_proof_free(to);
	*to = *from;
	to->copy = copy;
	to->id_body = move(&p, from->id_body);
	to->auth = move(&p, from->auth);
	for (size_t i = 0; i < from->n_certs; i++) {
		const struct rd r = move(&p, rd_of(from->certs[i].data, from->certs[i].size));

		to->certs[i].data = r.p;
	}
	return true;
}

/* What the key holder answered to a request to sign. */
bool ike_proof_set(struct ike_proof *to, const struct ike_event *ev)
{
	struct ike_proof from = {
		.method = ev->auth.method ? ev->auth.method : IKE_AUTH_METHOD_SHARED_KEY,
		.auth = rd_of(ev->auth.auth, ev->auth.auth_size),
		.n_certs = ev->auth.n_certs,
	};

	if (ev->auth.auth_size == 0 || ev->auth.n_certs > IKE_MAX_CERTS)
		return false;
	if (from.n_certs)
		memcpy(from.certs, ev->auth.certs, from.n_certs * sizeof(from.certs[0]));
	return ike_proof_copy(&from, to);
}

void ike_proof_build(const struct ike_proof *p, struct ike_builder *b)
{
	for (size_t i = 0; i < p->n_certs; i++)
		ike_build_cert(b, &p->certs[i]);
	ike_build_auth(b, p->method, p->auth.p, p->auth.size);
}

/* ------------------------------------------------------------------ actions */

/*
 * An action over the octets of the initiator's or the responder's AUTH. NULL: no room for it; then
 * nobody would ever answer, so the handshake is over (counted as an overflow).
 */
static struct ike_action *auth_act(struct ike_sa *sa, enum ike_action_type type, bool initiators,
				   bool with_ppk, struct rd id_body)
{
	const struct ike_handshake *hs = sa->hs;
	const struct secret *pi = with_ppk ? hs->ppk.pi : sa->keys.pi;
	const struct secret *pr = with_ppk ? hs->ppk.pr : sa->keys.pr;
	uint8_t octets[OCTETS_MAX], int_auth[IKE_INT_AUTH_MAX];
	struct ike_action *a = NULL;
	const uint8_t *lent;
	/* RFC 7296 2.15: the own first message, the other's nonce, MACed own identity. */
	const size_t n = ike_auth_octets(
		&sa->ike->crypto, (enum ike_prf)sa->suite.prf,
		initiators ? rd_of(hs->request, hs->request_size)
			   : rd_of(hs->response, hs->response_size),
		initiators ? rd_of(hs->nr, hs->nr_size) : rd_of(hs->ni, hs->ni_size),
		initiators ? pi : pr, id_body, ike_intermediate_octets(sa, int_auth), octets,
		sizeof(octets));

	lent = n ? ike_lend(sa->ike, octets, n) : NULL;
	bytes_wipe(octets, sizeof(octets));
	if (lent)
		a = ike_act(sa->ike, type, sa->tunnel->cfg.tunnel);
	if (!a)
		return NULL;
	a->auth.octets = lent;
	a->auth.octets_size = n;
	a->auth.prf = sa->suite.prf;
	memcpy(a->auth.name, sa->tunnel->cfg.name, sizeof(a->auth.name));
	return a;
}

static bool out_of_room(struct ike_sa *sa)
{
	if (sa->initiator)
		ike_timer_initiation_failed(sa->tunnel);
	else
		ike_response_error(sa, IKE_N_TEMPORARY_FAILURE, NULL, 0);
	ike_sa_close(sa, "ike-auth", "out of resources");
	return false;
}

static size_t id_body(const struct ike_id *id, uint8_t out[4 + IKE_ID_MAX])
{
	struct wr w = wr_of(out, 4 + IKE_ID_MAX);

	wr_u8(&w, id->type);
	wr_zero(&w, 3);
	wr_bytes(&w, id->data, id->size);
	return w.n;
}

bool ike_proof_sign(struct ike_sa *sa, bool with_ppk)
{
	const struct ike_tunnel_cfg *cfg = &sa->tunnel->cfg;
	struct ike_handshake *hs = sa->hs;
	uint8_t body[4 + IKE_ID_MAX];
	const struct rd id = rd_of(body, id_body(&cfg->local_id, body));
	const uint8_t *cas = hs->n_cas ? ike_lend(sa->ike, hs->cas, hs->n_cas * IKE_CA_SIZE) : NULL;
	const uint8_t *announced = hs->announcements_size ? ike_lend(sa->ike, hs->announcements,
								     hs->announcements_size)
							  : NULL;
	struct ike_action *a = auth_act(sa, IKE_ACT_AUTH_SIGN, sa->initiator, with_ppk, id);

	if (!a)
		return out_of_room(sa);
	a->auth.kind = cfg->local_auth;
	a->auth.method = cfg->local_auth == IKE_AUTH_BY_PSK ? IKE_AUTH_METHOD_SHARED_KEY
							    : IKE_AUTH_METHOD_NONE;
	a->auth.key = hs->key;
	a->auth.hashes = hs->peer_hashes;
	a->auth.id = cfg->local_id;
	a->auth.cas = cas;
	a->auth.n_cas = cas ? hs->n_cas : 0;
	a->auth.announced = announced;
	a->auth.announced_size = announced ? hs->announcements_size : 0;
	ike_await(sa->ike, &sa->pending, IKE_PEND_SIGN, sa, a);
	ike_timer_half_open(sa);
	return true;
}

bool ike_proof_verify(struct ike_sa *sa, const struct ike_proof *theirs)
{
	struct ike *ike = sa->ike;
	struct rd id = theirs->id_body;
	const bool id_fits = rd_skip(&id, 4) && id.size <= IKE_ID_MAX;
	const uint8_t *auth = ike_lend(ike, theirs->auth.p, theirs->auth.size);
	struct ike_cert certs[IKE_MAX_CERTS];
	struct ike_action *a;

	for (size_t i = 0; auth && i < theirs->n_certs; i++) {
		certs[i] = theirs->certs[i];
		certs[i].data = ike_lend(ike, theirs->certs[i].data, theirs->certs[i].size);
		if (!certs[i].data)
			auth = NULL;
	}
	a = auth ? auth_act(sa, IKE_ACT_AUTH_VERIFY, !sa->initiator, sa->hs->with_ppk,
			    theirs->id_body)
		 : NULL;
	if (!a)
		return out_of_room(sa);
	a->auth.kind = sa->tunnel->cfg.remote_auth;
	a->auth.method = theirs->method;
	a->auth.auth = auth;
	a->auth.auth_size = theirs->auth.size;
	a->auth.id.type = theirs->id_type;
	if (id_fits) {
		a->auth.id.size = (uint8_t)id.size;
		memcpy(a->auth.id.data, id.p, id.size);
	}
	a->auth.n_certs = theirs->n_certs;
	if (theirs->n_certs)
		memcpy(a->auth.certs, certs, theirs->n_certs * sizeof(certs[0]));
	ike_await(ike, &sa->pending, IKE_PEND_VERIFY, sa, a);
	ike_timer_half_open(sa);
	return true;
}

/* ---------------------------------------------------------------------- PPK */

bool ike_proof_mix(struct ike_sa *sa)
{
	const struct secret *keys[] = {sa->keys.d, sa->keys.pi, sa->keys.pr};
	uint8_t octets[3 * IKE_PRF_MAX];
	struct wr w = wr_of(octets, sizeof(octets));
	struct ike_action *a;
	const uint8_t *lent;

	for (size_t i = 0; i < 3; i++)
		wr_bytes(&w, secret_data(keys[i]), secret_size(keys[i]));
	lent = wr_ok(&w) ? ike_lend(sa->ike, octets, w.n) : NULL;
	bytes_wipe(octets, sizeof(octets));
	a = lent ? ike_act(sa->ike, IKE_ACT_PPK_MIX, sa->tunnel->cfg.tunnel) : NULL;
	if (!a)
		return out_of_room(sa);
	a->auth.octets = lent;
	a->auth.octets_size = w.n;
	a->auth.prf = sa->suite.prf;
	memcpy(a->auth.name, sa->tunnel->cfg.name, sizeof(a->auth.name));
	ike_await(sa->ike, &sa->pending, IKE_PEND_PPK, sa, a);
	ike_timer_half_open(sa);
	return true;
}

bool ike_proof_take_ppk(struct ike_sa *sa, struct rd keys)
{
	const size_t size = secret_size(sa->keys.d);
	struct ike_handshake *hs = sa->hs;

	if (keys.size != 3 * size)
		return false;
	hs->ppk.d = secret_from(keys.p, size);
	hs->ppk.pi = secret_from(keys.p + size, size);
	hs->ppk.pr = secret_from(keys.p + 2 * size, size);
	hs->with_ppk = hs->ppk.d && hs->ppk.pi && hs->ppk.pr;
	return hs->with_ppk;
}

/* RFC 8784 3: SK_d' is what children and rekeys are made from; SK_pi' and SK_pr' have served. */
bool ike_proof_commit_ppk(struct ike_sa *sa)
{
	struct ike_handshake *hs = sa->hs;

	if (!hs->with_ppk)
		return false;
	secret_free(sa->keys.d);
	sa->keys.d = hs->ppk.d;
	hs->ppk.d = NULL;
	sa->ppk = true;
	return true;
}

/* -------------------------------------------------- what prepares for it all */

/* What the tunnels that an IKE SA may turn out to be for ask of the peer. */
struct wishes {
	bool psk, signature, certificate, raw_key, ppk, we_sign;
	size_t n_cas;
	uint8_t cas[IKE_MAX_CAS * IKE_CA_SIZE];
};

static void add_cas(struct wishes *w, const struct ike_tunnel *t)
{
	for (size_t i = 0; i < t->n_cas && w->n_cas < IKE_MAX_CAS; i++) {
		const uint8_t *ca = t->cas + i * IKE_CA_SIZE;
		size_t k = 0;

		while (k < w->n_cas && memcmp(w->cas + k * IKE_CA_SIZE, ca, IKE_CA_SIZE))
			k++;
		if (k == w->n_cas)
			memcpy(w->cas + w->n_cas++ * IKE_CA_SIZE, ca, IKE_CA_SIZE);
	}
}

static void add_wishes(struct wishes *w, const struct ike_tunnel *t)
{
	w->psk |= t->cfg.remote_auth == IKE_AUTH_BY_PSK;
	w->certificate |= t->cfg.remote_auth == IKE_AUTH_BY_CERTIFICATE;
	w->raw_key |= t->cfg.remote_auth == IKE_AUTH_BY_RAW_KEY;
	w->signature |= t->cfg.remote_auth != IKE_AUTH_BY_PSK;
	w->we_sign |= t->cfg.local_auth != IKE_AUTH_BY_PSK;
	w->ppk |= t->cfg.ppk != IKE_PPK_NONE;
	if (t->cfg.remote_auth == IKE_AUTH_BY_CERTIFICATE)
		add_cas(w, t);
}

static void wishes_of(struct ike_sa *sa, struct wishes *w)
{
	struct ike_tunnel *t = NULL;
	unsigned n = 0;

	w->psk = w->signature = w->certificate = w->raw_key = w->ppk = w->we_sign = false;
	w->n_cas = 0;
	if (sa->initiator) {
		add_wishes(w, sa->tunnel);
		return;
	}
	while (n++ < MAX_CANDIDATES &&
	       (t = ike_tunnel_next_by_addresses(sa->ike, &sa->local.addr, &sa->remote.addr, t)))
		add_wishes(w, t);
}

static void ask(const struct wishes *w, struct ike_builder *b, size_t max_cas)
{
	if (w->certificate && w->n_cas)
		ike_build_certreq(b, IKE_CERT_X509_SIGNATURE, w->cas,
				  w->n_cas < max_cas ? w->n_cas : max_cas);
	/* RFC 7670 3: without an authority. */
	if (w->raw_key)
		ike_build_certreq(b, IKE_CERT_RAW_PUBLIC_KEY, NULL, 0);
}

/*
 * For IKE_SA_INIT. The responder does not know the tunnel yet: it asks for what any of them might
 * want. What can be left out is, if the message becomes longer than `room`.
 */
void ike_proof_init_build(struct ike_sa *sa, struct ike_builder *b, size_t room)
{
	struct ike_handshake *hs = sa->hs;
	struct wishes w;

	wishes_of(sa, &w);
	/* RFC 7427 4: what we verify with; a responder answers who asked. */
	if ((w.signature || w.we_sign) && (sa->initiator || hs->peer_hashes))
		ike_build_hashes(b, IKE_HASHES_OURS);
	/* RFC 8784 3: the responder only if the initiator did. */
	if (w.ppk && (sa->initiator || hs->peer_ppk))
		ike_build_notify(b, IKE_PROTO_NONE, NULL, 0, IKE_N_USE_PPK, NULL, 0);
	else
		hs->peer_ppk = false;
	if (sa->initiator)
		return;
	/* Many peers certify themselves only if asked (RFC 7296 3.7), so this is no option. */
	ask(&w, b, IKE_MAX_CAS);
	/* RFC 9593 3.1: the responder begins. */
	if (w.signature && b->w.n + ANNOUNCED_SIZE < room)
		ike_build_announced(b, w.psk, true, b->w.n + ANNOUNCED_FULL_SIZE < room);
}

void ike_proof_ask(const struct ike_tunnel *t, struct ike_builder *b)
{
	struct wishes w = {.n_cas = 0};

	add_wishes(&w, t);
	ask(&w, b, IKE_MAX_CAS);
}

static void note_cas(struct ike_handshake *hs, const struct ike_msg *m)
{
	uint8_t cas[IKE_MAX_CAS * IKE_CA_SIZE];
	const size_t n = ike_msg_cas(m, cas);
	uint8_t *copy = n ? malloc(n * IKE_CA_SIZE) : NULL;

	hs->peer_wants_raw_key |= m->wants_raw_key;
	if (!copy)
		return; /* then every chain of ours is as good */
	memcpy(copy, cas, n * IKE_CA_SIZE);
	free(hs->cas);
	hs->cas = copy;
	hs->n_cas = n;
}

/* RFC 9593. What cannot be read says nothing. */
void ike_proof_note_announced(struct ike_sa *sa, const struct ike_msg *m)
{
	const struct ike_notify_payload *n = ike_msg_notify(m, IKE_N_SUPPORTED_AUTH_METHODS);
	struct ike_handshake *hs = sa->hs;
	uint8_t *copy = NULL;

	if (!n)
		return;
	if (!ike_announced_parse(n->data, &hs->announced))
		hs->announced = (struct ike_announced){0};
	if (hs->announced.size && (copy = malloc(hs->announced.size)))
		memcpy(copy, n->data.p, hs->announced.size);
	free(hs->announcements);
	hs->announcements = copy;
	hs->announcements_size = copy ? hs->announced.size : 0;
}

/* The peer's wishes, of IKE_SA_INIT's response and of IKE_AUTH's request. */
void ike_proof_note(struct ike_sa *sa, const struct ike_msg *m)
{
	ike_proof_note_announced(sa, m);
	note_cas(sa->hs, m);
}

void ike_proof_init_note(struct ike_sa *sa, const struct ike_msg *m)
{
	const struct ike_notify_payload *hashes =
		ike_msg_notify(m, IKE_N_SIGNATURE_HASH_ALGORITHMS);

	if (hashes)
		sa->hs->peer_hashes = ike_hashes_parse(hashes->data);
	sa->hs->peer_ppk = ike_msg_notify(m, IKE_N_USE_PPK) != NULL;
	/* RFC 9593 3.1: an initiator announces nothing before IKE_AUTH. */
	if (sa->initiator)
		ike_proof_note_announced(sa, m);
	note_cas(sa->hs, m);
}

void ike_proof_trust(struct ike_tunnel *t, const uint8_t *cas, size_t n_cas)
{
	uint8_t *copy = NULL;

	if (n_cas > IKE_MAX_CAS)
		n_cas = IKE_MAX_CAS;
	if (n_cas) {
		copy = malloc(n_cas * IKE_CA_SIZE);
		if (!copy) {
			ike_count(t->ike, IKE_CNT_RESOURCES);
			return;
		}
		memcpy(copy, cas, n_cas * IKE_CA_SIZE);
	}
	free(t->cas);
	t->cas = copy;
	t->n_cas = n_cas;
}
