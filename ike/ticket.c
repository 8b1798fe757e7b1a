/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ticket: sealing, granting and keeping tickets (RFC 5723 4.1, 4.2, 6).
 *
 *	key's number 1 | serial 8 | AES-256-GCM { session } | tag 16
 *
 * The serial number never repeats in a process and is the nonce. A ticket lives no longer than what it was
 * granted on could have: the IKE SA's lifetime, the peer's certificates, the `reauth` limit.
 */
#include <stdlib.h>
#include "ike/id.h"
#include "ike/ike_int.h"

#define KEY_SIZE     32
#define HEAD_SIZE    9
#define TAG_SIZE     16
#define LIFE_MAX     span_s(8 * 3600)
#define LIFE_LEAST   span_s(60)
#define FIRST_FIELDS 1 /* version of what is inside */

void ike_session_free(struct ike_session *s)
{
	if (!s)
		return;
	secret_free(s->d);
	bytes_wipe(s, sizeof(*s));
	free(s);
}

void ike_ticket_fini(struct ike *ike)
{
	secret_free(ike->ticket_keys[0]);
	secret_free(ike->ticket_keys[1]);
	ike->ticket_keys[0] = ike->ticket_keys[1] = NULL;
}

/* ------------------------------------------------------------------- responder */

/* RFC 5723 9.5: a key is not used for ever; what it sealed last must still be opened. */
static bool rotate(struct ike *ike)
{
	uint8_t key[KEY_SIZE];

	if (ike->ticket_keys[0] && mono_since(ike->now, ike->ticket_rotated).ns < LIFE_MAX.ns)
		return true;
	if (!ike_random(ike, key, sizeof(key)))
		return false;
	secret_free(ike->ticket_keys[1]);
	ike->ticket_keys[1] = ike->ticket_keys[0];
	ike->ticket_keys[0] = secret_from(key, sizeof(key));
	bytes_wipe(key, sizeof(key));
	ike->ticket_key++;
	ike->ticket_rotated = ike->now;
	return ike->ticket_keys[0] != NULL;
}

static void put_id(struct wr *w, const struct ike_id *id)
{
	wr_u8(w, id->type);
	wr_u8(w, id->size);
	wr_bytes(w, id->data, id->size);
}

static bool get_id(struct rd *r, struct ike_id *id)
{
	return rd_u8(r, &id->type) && rd_u8(r, &id->size) && rd_copy(r, id->data, id->size);
}

static void put(struct wr *w, const struct ike_session *s)
{
	const uint16_t suite[] = {s->suite.encr, s->suite.encr_key_bits, s->suite.prf,
				  s->suite.integ, s->suite.dh};

	wr_u8(w, FIRST_FIELDS);
	wr_u64(w, s->until.ns);
	wr_u64(w, s->auth_until.ns);
	wr_u32(w, s->tunnel);
	for (size_t i = 0; i < 5; i++)
		wr_u16(w, suite[i]);
	for (size_t i = 0; i < IKE_MAX_AKE; i++)
		wr_u16(w, s->suite.ake[i]);
	wr_u8(w, s->auth_local);
	wr_u8(w, s->auth_remote);
	wr_u8(w, s->ppk);
	put_id(w, &s->idi);
	put_id(w, &s->idr);
	wr_u8(w, (uint8_t)secret_size(s->d));
	wr_bytes(w, secret_data(s->d), secret_size(s->d));
}

static bool get(struct rd *r, struct ike_session *s)
{
	uint8_t version, ppk, size;
	const uint8_t *d;
	bool ok = rd_u8(r, &version) && version == FIRST_FIELDS && rd_u64(r, &s->until.ns) &&
		  rd_u64(r, &s->auth_until.ns) && rd_u32(r, &s->tunnel) &&
		  rd_u16(r, &s->suite.encr) && rd_u16(r, &s->suite.encr_key_bits) &&
		  rd_u16(r, &s->suite.prf) && rd_u16(r, &s->suite.integ) && rd_u16(r, &s->suite.dh);

	for (size_t i = 0; ok && i < IKE_MAX_AKE; i++)
		ok = rd_u16(r, &s->suite.ake[i]);
	ok = ok && rd_u8(r, &s->auth_local) && rd_u8(r, &s->auth_remote) && rd_u8(r, &ppk) &&
	     get_id(r, &s->idi) && get_id(r, &s->idr) && rd_u8(r, &size) && rd_bytes(r, size, &d) &&
	     rd_empty(r);
	if (!ok)
		return false;
	s->ppk = ppk;
	s->d = secret_from(d, size);
	return s->d != NULL;
}

static bool crypt(struct ike *ike, unsigned which, uint8_t *ticket, size_t size, bool seal)
{
	const struct ike_crypto *c = &ike->crypto;
	const uint8_t *key = secret_data(ike->ticket_keys[which]);
	uint8_t nonce[12] = {0};

	memcpy(nonce + 4, ticket + 1, 8);
	return (seal ? c->aead_seal(c->ctx, IKE_ENCR_AES_GCM_16, key, KEY_SIZE, nonce, ticket,
				    HEAD_SIZE, ticket + HEAD_SIZE, size - HEAD_SIZE - TAG_SIZE,
				    ticket + size - TAG_SIZE)
		     : c->aead_open(c->ctx, IKE_ENCR_AES_GCM_16, key, KEY_SIZE, nonce, ticket,
				    HEAD_SIZE, ticket + HEAD_SIZE, size - HEAD_SIZE - TAG_SIZE,
				    ticket + size - TAG_SIZE));
}

/* For the keys of this SA; 0: none can be made. */
static size_t seal(struct ike_sa *sa, struct mono until, uint8_t out[IKE_TICKET_MAX])
{
	struct ike *ike = sa->ike;
	struct ike_session s = {
		.until = until,
		.auth_until = sa->auth_until,
		.suite = sa->suite,
		.auth_local = sa->auth_local,
		.auth_remote = sa->auth_remote,
		.ppk = sa->ppk,
		.idi = sa->tunnel->peer_id,
		.idr = sa->tunnel->cfg.local_id,
		.d = sa->keys.d,
		.tunnel = sa->tunnel->cfg.tunnel,
	};
	struct wr w = wr_of(out, IKE_TICKET_MAX);

	if (!rotate(ike))
		return 0;
	wr_u8(&w, ike->ticket_key);
	wr_u64(&w, ike->ticket_serial + 1);
	put(&w, &s);
	wr_zero(&w, TAG_SIZE);
	if (!wr_ok(&w) || !crypt(ike, 0, out, w.n, true)) {
		bytes_wipe(out, IKE_TICKET_MAX);
		return 0;
	}
	sa->ticket_serial = sa->tunnel->ticket_serial = ++ike->ticket_serial;
	return w.n;
}

void ike_ticket_answer(struct ike_sa *sa, struct ike_builder *b)
{
	const struct ike_tunnel_cfg *cfg = &sa->tunnel->cfg;
	const struct mono now = sa->ike->now;
	uint8_t data[4 + IKE_TICKET_MAX];
	struct wr w = wr_of(data, sizeof(data));
	struct mono until = mono_min(sa->auth_until, mono_add(now, LIFE_MAX));
	struct mono_span life;
	size_t size = 0;

	if (cfg->ike_lifetime.ns)
		until = mono_min(until, mono_add(now, cfg->ike_lifetime));
	life = mono_since(until, now);
	if (cfg->resumption && !sa->tunnel->removed && life.ns >= LIFE_LEAST.ns)
		size = seal(sa, until, data + 4);
	if (!size) { /* RFC 5723 4.1: refused */
		ike_build_notify(b, IKE_PROTO_NONE, NULL, 0, IKE_N_TICKET_NACK, NULL, 0);
		return;
	}
	ike_count(sa->ike, IKE_CNT_TICKET_GRANTED);
	wr_u32(&w, (uint32_t)(life.ns / span_s(1).ns)); /* 7.1 */
	ike_build_notify(b, IKE_PROTO_NONE, NULL, 0, IKE_N_TICKET_LT_OPAQUE, data, 4 + size);
}

/* Configured as it was when the ticket was granted, or the floor would be above it. */
static bool good(struct ike *ike, const struct ike_packet *p, const struct ike_session *s)
{
	const struct ike_tunnel *t = ike_tunnel_find(ike, s->tunnel);

	return t && !t->removed && !t->unable && t->cfg.resumption &&
	       s->serial > t->ticket_floor && /* RFC 5723 4.3.1: a ticket is used once */
	       mono_before(ike->now, s->until) && mono_before(ike->now, s->auth_until) &&
	       ip_equal(&t->cfg.local, &p->local.addr) &&
	       (t->cfg.remote.family == IP_NONE || ip_equal(&t->cfg.remote, &p->remote.addr)) &&
	       ike_algs_permit(&t->cfg.ike_algs, &s->suite) &&
	       (s->ppk || t->cfg.ppk != IKE_PPK_REQUIRE) &&
	       ike_id_equal(s->idr.type, rd_of(s->idr.data, s->idr.size), &t->cfg.local_id) &&
	       ike_id_matches(s->idi.type, rd_of(s->idi.data, s->idi.size), &t->cfg.remote_id,
			      t->cfg.remote_id_wildcard) &&
	       !ike_tunnel_held(t, s->idi.type, rd_of(s->idi.data, s->idi.size));
}

struct ike_session *ike_ticket_open(struct ike *ike, const struct ike_packet *p, struct rd ticket)
{
	struct ike_session *s = calloc(1, sizeof(*s));
	uint8_t copy[IKE_TICKET_MAX];
	struct rd r = ticket;
	uint8_t number = 0;
	unsigned which;
	bool ok;

	if (!s)
		return NULL;
	ok = ticket.size > HEAD_SIZE + TAG_SIZE && ticket.size <= sizeof(copy) &&
	     rd_u8(&r, &number) && rd_u64(&r, &s->serial);
	which = (uint8_t)(ike->ticket_key - number);
	ok = ok && which < 2 && ike->ticket_keys[which];
	if (ok) {
		memcpy(copy, ticket.p, ticket.size);
		ok = crypt(ike, which, copy, ticket.size, false);
		if (ok) {
			r = rd_of(copy + HEAD_SIZE, ticket.size - HEAD_SIZE - TAG_SIZE);
			ok = get(&r, s) && good(ike, p, s);
		}
		bytes_wipe(copy, sizeof(copy));
	}
	if (ok)
		return s;
	ike_session_free(s);
	return NULL;
}

void ike_ticket_used(struct ike_tunnel *t, const struct ike_session *s)
{
	if (t->ticket_floor < s->serial)
		t->ticket_floor = s->serial;
}

void ike_ticket_void(struct ike_tunnel *t)
{
	struct ike_sa *sa, *next;

	t->ticket_floor = t->ike->ticket_serial;
	ike_session_free(t->session);
	t->session = NULL;
	for (sa = TAILQ_FIRST(&t->sas); sa; sa = next) {
		next = TAILQ_NEXT(sa, entry);
		if (sa->session) {
			ike_touch(t);
			ike_session_free(sa->session);
			sa->session = NULL;
		}
		if (sa->initiator && sa->hs && sa->hs->session)
			ike_sa_close(sa, "ike-resume", "its ticket is not good any more");
	}
}

void ike_ticket_void_all(struct ike *ike)
{
	struct ike_tunnel *t;

	TAILQ_FOREACH(t, &ike->tunnels, entry)
	ike_ticket_void(t);
}

void ike_ticket_deleted(struct ike_sa *sa)
{
	struct ike_tunnel *t = sa->tunnel;

	if (sa->state != IKE_ST_ESTABLISHED || sa->redundant || sa->rekeyed_by_us ||
	    sa->rekeyed_by_peer)
		return; /* another one of its line goes on */
	if (t->ticket_floor < sa->ticket_serial)
		t->ticket_floor = sa->ticket_serial;
	ike_session_free(sa->session);
	sa->session = NULL;
}

/* ------------------------------------------------------------------- initiator */

bool ike_ticket_wanted(const struct ike_sa *sa)
{
	return sa->tunnel->cfg.resumption &&
	       (sa->state < IKE_ST_ESTABLISHED ? sa->initiator : sa->origin_initiator);
}

void ike_ticket_take(struct ike_sa *sa, const struct ike_msg *m)
{
	const struct ike_notify_payload *n = ike_msg_notify(m, IKE_N_TICKET_LT_OPAQUE);
	struct ike_session *s;
	uint32_t seconds;
	struct rd data;

	if (!n || !ike_ticket_wanted(sa))
		return;
	data = n->data;
	if (!rd_u32(&data, &seconds) || !data.size || data.size > IKE_TICKET_MAX)
		return;
	s = calloc(1, sizeof(*s));
	if (!s) {
		ike_count(sa->ike, IKE_CNT_RESOURCES);
		return;
	}
	s->until = mono_add(sa->ike->now, span_s(seconds));
	s->ticket_size = data.size;
	memcpy(s->ticket, data.p, data.size);
	/* RFC 5723 4.3.4: the newest replaces any other. */
	ike_session_free(sa->session);
	sa->session = s;
	if (sa->state == IKE_ST_ESTABLISHED)
		ike_ticket_established(sa);
}

void ike_ticket_established(struct ike_sa *sa)
{
	struct ike_session *s = sa->session;

	ike_session_free(sa->tunnel->session); /* of an SA before */
	sa->tunnel->session = NULL;
	if (!s || s->d)
		return;
	s->d = secret_from(secret_data(sa->keys.d), secret_size(sa->keys.d));
	s->auth_until = sa->auth_until;
	s->suite = sa->suite;
	s->auth_local = sa->auth_local;
	s->auth_remote = sa->auth_remote;
	s->ppk = sa->ppk;
	s->idi = sa->tunnel->cfg.local_id;
	s->idr = sa->tunnel->peer_id;
	if (s->d)
		return;
	ike_count(sa->ike, IKE_CNT_RESOURCES);
	ike_session_free(s);
	sa->session = NULL;
}

void ike_ticket_keep(struct ike_sa *sa)
{
	if (!sa->session || !sa->session->d || sa->tunnel->removed)
		return;
	ike_session_free(sa->tunnel->session);
	sa->tunnel->session = sa->session;
	sa->tunnel->session_rests = false;
	sa->session = NULL;
}

void ike_ticket_inherit(struct ike_sa *from, struct ike_sa *to)
{
	if (to->ticket_serial < from->ticket_serial)
		to->ticket_serial = from->ticket_serial;
	if (!from->session || to->session)
		return;
	to->session = from->session;
	from->session = NULL;
}
