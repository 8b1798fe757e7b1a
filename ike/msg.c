/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The wire half of IKEv2: bytes to structs and back, key derivation and the Encrypted payload.
 *
 * The state machine calls ike_header_parse() on every datagram, ike_msg_parse() once it knows that
 * the message concerns it, ike_sk_open() and ike_msg_parse_inner() for what is protected, and the
 * builders and ike_sk_seal() for the way out. Each payload has one file that parses and builds it;
 * this one walks the chain and holds the rules that all payloads share.
 *
 * Invariants
 *   - A parser reads nothing beyond its span, allocates nothing, keeps nothing, and has no effect
 *     but to fill the struct; what it lends points into the caller's bytes.
 *   - No count or length of the peer's is believed without the bytes to back it.
 *   - A struct ike_msg from a parse that returned IKE_OK holds only well-formed payloads. After any
 *     other return it must not be used, but for h and critical_type.
 * Non-goals: IKEv1, joining fragments (reassembly.c), any policy.
 *
 * RFCs: 7296, 7383 (fragments), 5282 (AEAD), 4868 and 5903 and 8031 (algorithms).
 */
#include "ike/payload.h"

#define CRITICAL 0x80

/* Payloads that nobody reads yet: their presence counts, their least size is checked. */
static enum ike_err opaque_parse(uint8_t type, struct rd body, struct ike_msg *msg)
{
	(void)type;
	(void)body;
	(void)msg;
	return IKE_OK;
}

struct payload_desc {
	uint8_t type;
	bool may_repeat;
	uint16_t min_size; /* of the body */
	uint32_t has;      /* enum ike_has, 0 = not recorded */
	ike_payload_parse_fn *parse;
};

static const struct payload_desc descs[] = {
	{IKE_PL_SA, false, 8, IKE_HAS_SA, ike_sa_parse},
	{IKE_PL_KE, false, 5, IKE_HAS_KE, ike_ke_parse},
	{IKE_PL_IDI, false, 5, IKE_HAS_IDI, ike_id_parse},
	{IKE_PL_IDR, false, 5, IKE_HAS_IDR, ike_id_parse},
	{IKE_PL_CERT, true, 2, IKE_HAS_CERT, ike_cert_parse},
	{IKE_PL_CERTREQ, true, 1, IKE_HAS_CERTREQ, ike_certreq_parse},
	{IKE_PL_AUTH, false, 5, IKE_HAS_AUTH, ike_auth_parse},
	{IKE_PL_NONCE, false, 0, IKE_HAS_NONCE, ike_nonce_parse},
	{IKE_PL_NOTIFY, true, 4, 0, ike_notify_parse},
	{IKE_PL_PS, false, 1, IKE_HAS_PS, ike_ps_parse},
	{IKE_PL_DELETE, true, 4, 0, ike_delete_parse},
	{IKE_PL_VENDOR, true, 0, IKE_HAS_VENDOR, opaque_parse},
	{IKE_PL_TSI, false, 4, IKE_HAS_TSI, ike_ts_parse},
	{IKE_PL_TSR, false, 4, IKE_HAS_TSR, ike_ts_parse},
	{IKE_PL_CP, false, 4, IKE_HAS_CP, opaque_parse},
	{IKE_PL_EAP, false, 4, IKE_HAS_EAP, opaque_parse},
};

static const struct payload_desc *find(uint8_t type)
{
	for (size_t i = 0; i < sizeof(descs) / sizeof(descs[0]); i++)
		if (descs[i].type == type)
			return &descs[i];
	return NULL;
}

static enum ike_err walk_one(uint8_t type, uint8_t flags, struct rd body, struct ike_msg *msg)
{
	const struct payload_desc *d = find(type);
	enum ike_err err;

	if (!d) {
		/*
		 * RFC 7296 2.5: an unknown payload refuses the message if it is critical and is
		 * skipped if not. On known payloads the critical bit means nothing (3.2).
		 */
		if (!(flags & CRITICAL))
			return IKE_OK;
		msg->critical_type = type;
		return IKE_ERR_CRITICAL;
	}
	if (!d->may_repeat && (msg->present & d->has))
		return IKE_ERR_DUPLICATE;
	if (body.size < d->min_size)
		return IKE_ERR_TRUNCATED;
	err = d->parse(type, body, msg);
	if (err == IKE_OK)
		msg->present |= d->has;
	return err;
}

/* Walks the chain in `r`. `datagram` is its start in the outer chain, NULL inside SK. */
static enum ike_err walk(uint8_t type, struct rd r, const uint8_t *datagram, struct ike_msg *msg)
{
	while (type != IKE_PL_NONE) {
		const uint8_t *const start = r.p;
		uint8_t next, flags;
		uint16_t size;
		struct rd body;
		enum ike_err err;

		if (!rd_u8(&r, &next) || !rd_u8(&r, &flags) || !rd_u16(&r, &size))
			return IKE_ERR_TRUNCATED;
		if (size < IKE_PAYLOAD_HEADER_SIZE)
			return IKE_ERR_SYNTAX;
		if (!rd_sub(&r, size - IKE_PAYLOAD_HEADER_SIZE, &body))
			return IKE_ERR_TRUNCATED;

		if (type == IKE_PL_SK || type == IKE_PL_SKF) {
			/*
			 * RFC 7296 3.14, RFC 7383 2.5: the last payload, whose next-payload field
			 * names the first one inside. One within another has no meaning.
			 */
			if (!datagram || !rd_empty(&r))
				return IKE_ERR_SYNTAX;
			/* RFC 7383 2.5, 2.6: numbers from 1 to the total; anything else is invalid. */
			if (type == IKE_PL_SKF &&
			    (!rd_u16(&body, &msg->fragment) || !rd_u16(&body, &msg->n_fragments)))
				return IKE_ERR_TRUNCATED;
			if (type == IKE_PL_SKF &&
			    (msg->fragment < 1 || msg->fragment > msg->n_fragments))
				return IKE_ERR_SYNTAX;
			msg->present |= type == IKE_PL_SK ? IKE_HAS_SK : IKE_HAS_SKF;
			msg->sk_offset = (size_t)(start - datagram);
			msg->sk_next_payload = next;
			return IKE_OK;
		}
		err = walk_one(type, flags, body, msg);
		if (err != IKE_OK)
			return err;
		type = next;
	}
	return rd_empty(&r) ? IKE_OK : IKE_ERR_SYNTAX;
}

enum ike_err ike_msg_parse(const uint8_t *data, size_t size, struct ike_msg *out)
{
	struct rd r = rd_of(data, size);
	enum ike_err err;

	memset(out, 0, sizeof(*out));
	err = ike_header_parse(data, size, &out->h);
	if (err != IKE_OK)
		return err;
	if (!rd_skip(&r, IKE_HEADER_SIZE))
		return IKE_ERR_TRUNCATED;
	return walk(out->h.next_payload, r, data, out);
}

enum ike_err ike_msg_parse_inner(uint8_t first, struct rd inner, struct ike_msg *msg)
{
	msg->inner = inner;
	return walk(first, inner, NULL, msg);
}

const struct ike_notify_payload *ike_msg_notify(const struct ike_msg *m, uint16_t type)
{
	for (size_t i = 0; i < m->n_notifies; i++)
		if (m->notifies[i].type == type)
			return &m->notifies[i];
	return NULL;
}

const struct ike_notify_payload *ike_msg_error(const struct ike_msg *m)
{
	for (size_t i = 0; i < m->n_notifies; i++)
		if (m->notifies[i].type <= IKE_N_ERROR_LAST)
			return &m->notifies[i];
	return NULL;
}
