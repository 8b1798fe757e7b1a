/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cookie: stateless cookies (RFC 7296 2.6). While they are asked for, most of what arrives is a flood
 * of requests from nobody; each of them costs a walk along its payloads, two short hashes and an
 * answer, before anything else looks at it.
 */
#include "ike/ike_int.h"
#include "ike/payload.h"

#define SECRET_LIFE span_s(60)

static void rotate(struct ike *ike)
{
	if (mono_since(ike->now, ike->cookie_rotated).ns < SECRET_LIFE.ns)
		return;
	memcpy(ike->cookie_secrets[1], ike->cookie_secrets[0], sizeof(ike->cookie_secrets[0]));
	if (ike_random(ike, ike->cookie_secrets[0], sizeof(ike->cookie_secrets[0])))
		ike->cookie_version++;
	ike->cookie_rotated = ike->now;
}

/*
 * RFC 7296 2.6: Cookie = VersionIDofSecret | Hash(Ni | IPi | SPIi | secret). RFC 8019 7.1.1.3: what a
 * puzzle needs when its solution comes is in the cookie as well.
 */
static void cookie_of(const struct ike *ike, unsigned which, const struct ike_packet *p,
		      uint64_t spi_i, struct rd nonce, uint8_t bits,
		      uint8_t out[IKE_OUR_COOKIE_SIZE])
{
	uint8_t in[2 + sizeof(p->remote.addr.b) + sizeof(spi_i) + IKE_NONCE_MAX];
	struct wr w = wr_of(in, sizeof(in));

	wr_u8(&w, bits);
	wr_u8(&w, p->remote.addr.family);
	wr_bytes(&w, p->remote.addr.b, ip_size(&p->remote.addr));
	wr_u64(&w, spi_i);
	wr_bytes(&w, nonce.p, nonce.size);
	out[0] = (uint8_t)(ike->cookie_version - which);
	out[1] = bits;
	mac_of(ike->cookie_secrets[which], in, w.n, out + 2);
}

void ike_cookie_make(struct ike *ike, const struct ike_packet *p, uint64_t spi_i, struct rd nonce,
		     uint8_t bits, uint8_t out[IKE_OUR_COOKIE_SIZE])
{
	rotate(ike);
	cookie_of(ike, 0, p, spi_i, nonce, bits, out);
}

bool ike_cookie_ok(struct ike *ike, const struct ike_packet *p, const struct ike_msg *m,
		   const struct rd *cookie, uint8_t *bits)
{
	uint8_t want[IKE_OUR_COOKIE_SIZE];

	rotate(ike);
	if (cookie->size != sizeof(want))
		return false;
	*bits = cookie->p[1];
	for (unsigned which = 0; which < 2; which++) {
		cookie_of(ike, which, p, m->h.spi_i, m->nonce, *bits, want);
		if (bytes_equal_ct(want, cookie->p, sizeof(want)))
			return true;
	}
	return false;
}

static void answer(struct ike *ike, const struct ike_packet *p, uint64_t spi_i, struct rd nonce)
{
	const struct ike_header h = {
		.spi_i = spi_i,
		.version = IKE_VERSION_2,
		.exchange = IKE_SA_INIT,
		.flags = IKE_FLAG_RESPONSE,
	};
	uint8_t cookie[IKE_OUR_COOKIE_SIZE], buf[128];
	struct ike_builder b;
	size_t size;

	ike_cookie_make(ike, p, spi_i, nonce, 0, cookie);
	ike_count(ike, IKE_CNT_COOKIE_SENT);
	ike_build_open(&b, buf, sizeof(buf), &h);
	ike_build_notify(&b, IKE_PROTO_NONE, NULL, 0, IKE_N_COOKIE, cookie, sizeof(cookie));
	size = ike_build_close(&b);
	/* Never longer than the request, whose source nobody has proven. */
	if (size && size <= p->size)
		ike_send(ike, IKE_TUNNEL_NONE, &p->local, &p->remote, buf, size);
}

/* True for what every first message has, each once: SA, KE, Ni; lends the nonce. */
static bool is_plain_first(const struct ike_packet *p, uint8_t type, struct rd *nonce)
{
	unsigned n_sa = 0, n_ke = 0, n_nonce = 0;
	struct rd r = rd_of(p->data, p->size);

	if (!rd_skip(&r, IKE_HEADER_SIZE))
		return false;
	while (type != IKE_PL_NONE) {
		uint8_t next, flags, protocol, spi_size;
		uint16_t size, notify;
		struct rd body;

		if (!rd_u8(&r, &next) || !rd_u8(&r, &flags) || !rd_u16(&r, &size) ||
		    size < IKE_PAYLOAD_HEADER_SIZE ||
		    !rd_sub(&r, size - IKE_PAYLOAD_HEADER_SIZE, &body))
			return false;
		switch (type) {
		case IKE_PL_SA: n_sa++; break;
		case IKE_PL_KE: n_ke++; break;
		case IKE_PL_NONCE:
			n_nonce++;
			*nonce = body;
			break;
		case IKE_PL_VENDOR: break;
		case IKE_PL_NOTIFY:
			if (!rd_u8(&body, &protocol) || !rd_u8(&body, &spi_size) ||
			    !rd_u16(&body, &notify) || notify == IKE_N_COOKIE)
				return false;
			break;
		default: return false;
		}
		type = next;
	}
	return rd_empty(&r) && n_sa == 1 && n_ke == 1 && n_nonce == 1 &&
	       nonce->size >= IKE_NONCE_MIN && nonce->size <= IKE_NONCE_MAX;
}

bool ike_cookie_ask(struct ike *ike, const struct ike_packet *p, const struct ike_header *h)
{
	uint8_t digest[IKE_DIGEST_SIZE];
	struct rd nonce;

	if (h->exchange != IKE_SA_INIT || h->flags & IKE_FLAG_RESPONSE ||
	    !(h->flags & IKE_FLAG_INITIATOR) || h->message_id != 0 || h->spi_i == 0 ||
	    h->spi_r != 0 || !ike_cookies_on(ike) || ike_puzzle_bits(ike) ||
	    !is_plain_first(p, h->next_payload, &nonce) ||
	    !ike_tunnel_next_by_addresses(ike, &p->local.addr, &p->remote.addr, NULL))
		return false;
	/* 2.1: who repeats what was answered before we asked for cookies gets that answer. */
	ike_init_digest(ike, p, digest);
	if (ike_half_open_find(ike, digest))
		return false;
	answer(ike, p, h->spi_i, nonce);
	return true;
}
