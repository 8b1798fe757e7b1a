/* SPDX-License-Identifier: Apache-2.0 */
/* ike_shell_auth: what the core asks of keyd, and what keyd answers or says by itself. */
#include <stdlib.h>
#include <string.h>
#include "base/rd.h"
#include "base/wr.h"
#include "daemon/ike_shell.h"

static_assert(IKE_AUTH_BY_PSK == (int)IPC_AUTH_BY_PSK, "kinds are passed on");
static_assert(IKE_AUTH_BY_CERTIFICATE == (int)IPC_AUTH_BY_CERTIFICATE, "likewise");
static_assert(IKE_AUTH_BY_RAW_KEY == (int)IPC_AUTH_BY_RAW_KEY, "likewise");

#define CA_SIZE 20u

/* ---------------------------------------------------------------- requests */

static bool await(struct ike_shell *s, uint64_t request)
{
	if (s->n_auth_awaited == IKE_SHELL_AWAITED_AUTH)
		return false;
	s->auth_awaited[s->n_auth_awaited++] = request;
	return true;
}

static bool awaited(struct ike_shell *s, uint64_t request)
{
	for (size_t i = 0; i < s->n_auth_awaited; i++) {
		if (s->auth_awaited[i] == request) {
			s->auth_awaited[i] = s->auth_awaited[--s->n_auth_awaited];
			return true;
		}
	}
	return false;
}

void ike_shell_auth_lost(struct ike_shell *s)
{
	while (s->n_auth_awaited > 0) {
		struct ike_event ev = {.type = IKE_EV_AUTH_RESULT};

		ev.auth.request = s->auth_awaited[--s->n_auth_awaited];
		ike_shell_count(s, IKE_SHELL_CNT_KEYD_FAILED);
		ike_shell_step(s, &ev);
	}
}

static void put_cert(struct wr *w, const struct ike_cert *c)
{
	const struct ipc_cert head = {.encoding = c->encoding, .size = (uint32_t)c->size};

	wr_bytes(w, &head, sizeof(head));
	wr_bytes(w, c->data, c->size);
}

/* The whole body: ipc_auth, octets, AUTH data, identification data, CAs, what is announced, certificates. */
static size_t build(const struct ike_action *a, uint8_t *body, size_t size)
{
	const bool verify = a->type == IKE_ACT_AUTH_VERIFY, sign = a->type == IKE_ACT_AUTH_SIGN;
	/* A shared key knows no names and no certificates. */
	const bool psk = a->auth.kind == IKE_AUTH_BY_PSK;
	struct ipc_auth head = {
		.method = a->auth.method,
		.prf = a->auth.prf,
		.octets_size = (uint32_t)a->auth.octets_size,
		.auth_size = verify ? (uint32_t)a->auth.auth_size : 0,
		.id_size = verify && !psk ? a->auth.id.size : 0,
		.cas_size = sign && !psk ? (uint32_t)(a->auth.n_cas * CA_SIZE) : 0,
		.n_certs = verify && !psk ? (uint32_t)a->auth.n_certs : 0,
		.id_type = verify ? a->auth.id.type : 0,
		.hashes = sign ? a->auth.hashes : 0,
		.key = sign ? a->auth.key : 0,
		.kind = a->auth.kind,
		.announced_size = sign ? (uint32_t)a->auth.announced_size : 0,
	};
	struct wr w = wr_of(body, size);

	memcpy(head.tunnel, a->auth.name, sizeof(head.tunnel));
	for (size_t i = 0; i < head.n_certs; i++)
		head.certs_size += (uint32_t)(sizeof(struct ipc_cert) + a->auth.certs[i].size);
	wr_bytes(&w, &head, sizeof(head));
	wr_bytes(&w, a->auth.octets, head.octets_size);
	wr_bytes(&w, a->auth.auth, head.auth_size);
	wr_bytes(&w, a->auth.id.data, head.id_size);
	wr_bytes(&w, a->auth.cas, head.cas_size);
	wr_bytes(&w, a->auth.announced, head.announced_size);
	for (size_t i = 0; i < head.n_certs; i++)
		put_cert(&w, &a->auth.certs[i]);
	return wr_ok(&w) ? w.n : 0;
}

void ike_shell_ask_keyd(struct ike_shell *s, const struct ike_action *a)
{
	const enum ipc_type type = a->type == IKE_ACT_AUTH_VERIFY ? IPC_AUTH_VERIFY
				   : a->type == IKE_ACT_PPK_MIX   ? IPC_PPK_MIX
								  : IPC_AUTH_SIGN;
	static uint8_t body[IPC_BODY_MAX];
	const size_t size = build(a, body, sizeof(body));
	bool sent = false;

	if (size > 0 && s->keyd >= 0 && await(s, a->request)) {
		sent = ipc_outq_send(&s->to_keyd, type, 0, a->request, body, size, NULL, 0);
		if (!sent)
			(void)awaited(s, a->request);
	}
	bytes_wipe(body, size);
	if (sent)
		return;
	ike_shell_count(s, IKE_SHELL_CNT_KEYD_FAILED);
	if (log_limit_take(&s->limit, s->now))
		log_warn("the key process does not answer: an authentication was given up");
	ike_shell_late(s, IKE_EV_AUTH_RESULT, a->request);
}

/* ------------------------------------------------------------------ answers */

static bool read_certs(struct rd r, uint32_t n, struct ike_cert *certs)
{
	if (n > IKE_MAX_CERTS)
		return false;
	for (uint32_t i = 0; i < n; i++) {
		struct ipc_cert head;

		if (!rd_copy(&r, &head, sizeof(head)) || head.encoding > UINT8_MAX ||
		    !rd_bytes(&r, head.size, &certs[i].data))
			return false;
		certs[i].encoding = (uint8_t)head.encoding;
		certs[i].size = head.size;
	}
	return rd_empty(&r);
}

/* Any bytes give an event: what does not add up is a failure. */
static void parse_result(struct rd r, struct ike_event *ev, struct ike_cert *certs, char *reason,
			 size_t reason_size)
{
	struct ipc_auth_result head;
	struct rd auth, own, text;

	if (!rd_copy(&r, &head, sizeof(head)) || !rd_sub(&r, head.auth_size, &auth) ||
	    !rd_sub(&r, head.certs_size, &own) || !rd_sub(&r, head.text_size, &text) ||
	    !rd_empty(&r) || !read_certs(own, head.n_certs, certs))
		return;
	if (text.size >= reason_size)
		text.size = reason_size - 1;
	if (text.size)
		memcpy(reason, text.p, text.size);
	reason[text.size] = '\0';
	ev->auth.reason = reason;
	ev->auth.ok = head.ok == 1;
	if (!ev->auth.ok)
		return;
	ev->auth.auth = auth.p;
	ev->auth.auth_size = auth.size;
	ev->auth.method = (uint8_t)head.method;
	ev->auth.certs = certs;
	ev->auth.n_certs = head.n_certs;
	ev->auth.valid_s = head.valid_s;
	ev->auth.key = head.key;
}

void ike_shell_auth_result(struct ike_shell *s)
{
	struct ike_event ev = {.type = IKE_EV_AUTH_RESULT};
	struct ike_cert certs[IKE_MAX_CERTS];
	char reason[IKE_TEXT_SIZE];

	if (!awaited(s, s->msg.h.id))
		return;
	ev.auth.request = s->msg.h.id;
	parse_result(rd_of(s->msg.body, s->msg.h.size), &ev, certs, reason, sizeof(reason));
	ike_shell_step(s, &ev);
	bytes_wipe(s->msg.body, s->msg.h.size); /* mixed keys */
}

/* -------------------------------------------------------------------- trust */

/* keyd may speak of a tunnel before the configuration that has it is carried out here. */
static struct ike_trust_rec *keep_trust(struct ike_shell *s, const char *name, const uint8_t *cas,
					size_t n)
{
	struct ike_trust_rec **p = &s->trust, *rec;

	if (n > IKE_MAX_CAS)
		n = IKE_MAX_CAS;
	while (*p && strncmp((*p)->name, name, sizeof((*p)->name)) != 0)
		p = &(*p)->next;
	rec = *p ? *p : calloc(1, sizeof(*rec));
	if (!rec)
		return NULL;
	*p = rec;
	memcpy(rec->name, name, strnlen(name, sizeof(rec->name) - 1));
	rec->n_cas = n;
	if (n)
		memcpy(rec->cas, cas, n * CA_SIZE);
	return rec;
}

void ike_shell_auth_trust_of(struct ike_shell *s, const struct ike_tunnel_rec *t)
{
	struct ike_event ev = {.type = IKE_EV_TRUST, .trust.tunnel = t->cfg.tunnel};
	const struct ike_trust_rec *rec = s->trust;

	while (rec && strncmp(rec->name, t->cfg.name, sizeof(rec->name)) != 0)
		rec = rec->next;
	if (!rec)
		return;
	ev.trust.cas = rec->cas;
	ev.trust.n_cas = rec->n_cas;
	ike_shell_step(s, &ev);
}

void ike_shell_auth_trust(struct ike_shell *s)
{
	struct rd r = rd_of(s->msg.body, s->msg.h.size);
	const struct ike_tunnel_rec *t;
	const struct ike_trust_rec *rec;
	struct ipc_trust head;

	if (!rd_copy(&r, &head, sizeof(head)) || !ipc_name_ok(head.tunnel) ||
	    r.size != (size_t)head.n_cas * CA_SIZE)
		return;
	rec = keep_trust(s, head.tunnel, r.p, head.n_cas);
	t = ike_shell_tunnel_named(s, head.tunnel);
	if (rec && t && s->core)
		ike_shell_auth_trust_of(s, t);
}

void ike_shell_auth_forget(struct ike_shell *s)
{
	while (s->trust) {
		struct ike_trust_rec *next = s->trust->next;

		free(s->trust);
		s->trust = next;
	}
}
