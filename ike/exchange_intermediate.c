/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exchange_intermediate: IKE_INTERMEDIATE between IKE_SA_INIT and IKE_AUTH (RFC 9242), and what it is
 * for here: additional key exchanges (RFC 9370 2.2.2), one for each exchange. Its messages are
 * protected by the keys that the exchange before has left, and the SK_* that it makes count from the
 * next message on. Nothing of it is authenticated before IKE_AUTH, which covers all of it by IntAuth.
 */
#include <stdlib.h>
#include "ike/ike_int.h"

#define MOST_EXCHANGES                                                                             \
	(IKE_MAX_AKE + 4) /* as responder; others than key exchanges mean nothing here */

/*
 * RFC 9242 3.3.2: IntAuth_*N = prf(SK_p*N, IntAuth_*(N-1) | A | P). A is the message up to the generic
 * header of its Encrypted payload, P that payload's content; both lengths are as if it had neither IV
 * nor padding nor ICV, and the whole as if it had not been fragmented.
 */
static bool cover(struct ike_sa *sa, bool initiators, const struct ike_header *h, uint8_t first,
		  struct rd content)
{
	struct ike_handshake *hs = sa->hs;
	const struct ike_prf_desc *prf = ike_prf_desc(sa->suite.prf);
	const struct secret *p = initiators ? sa->keys.pi : sa->keys.pr;
	uint8_t *chain = initiators ? hs->int_auth_i : hs->int_auth_r;
	uint8_t a[IKE_HEADER_SIZE + 4], mac[IKE_PRF_MAX];
	struct wr w = wr_of(a, sizeof(a));
	struct ike_header adjusted = *h;
	struct ike_iov in[3];

	if (!prf || content.size > UINT16_MAX - sizeof(a))
		return false;
	adjusted.next_payload = IKE_PL_SK;
	adjusted.length = (uint32_t)(sizeof(a) + content.size);
	ike_header_build(&w, &adjusted);
	wr_u8(&w, first);
	wr_u8(&w, 0);
	wr_u16(&w, (uint16_t)(4 + content.size));
	in[0] = (struct ike_iov){chain, hs->n_intermediate ? prf->size : 0};
	in[1] = (struct ike_iov){a, w.n};
	in[2] = (struct ike_iov){content.p, content.size};
	if (!sa->ike->crypto.prf(sa->ike->crypto.ctx, prf->id, secret_data(p), secret_size(p), in,
				 3, mac))
		return false;
	memcpy(chain, mac, prf->size);
	return true;
}

static bool cover_ours(struct ike_sa *sa, const struct ike_header *h, struct ike_builder *b)
{
	size_t size;
	uint8_t first;

	return ike_build_close_inner(b, &size, &first) &&
	       cover(sa, sa->initiator, h, first, rd_of(b->w.buf, size));
}

static bool cover_theirs(struct ike_sa *sa, const struct ike_msg *m)
{
	/* Payloads outside of SK are not known of any such message. */
	return m->sk_offset <= IKE_HEADER_SIZE &&
	       cover(sa, !sa->initiator, &m->h, m->sk_next_payload, m->inner);
}

/* RFC 9242 3.3.2: IntAuth = IntAuth_iN | IntAuth_rN | IKE_AUTH_MID; nothing without such exchanges. */
struct rd ike_intermediate_octets(const struct ike_sa *sa, uint8_t out[IKE_INT_AUTH_MAX])
{
	const struct ike_handshake *hs = sa->hs;
	const struct ike_prf_desc *prf = ike_prf_desc(sa->suite.prf);
	struct wr w = wr_of(out, IKE_INT_AUTH_MAX);

	if (!hs->n_intermediate || !prf)
		return rd_of(NULL, 0);
	wr_bytes(&w, hs->int_auth_i, prf->size);
	wr_bytes(&w, hs->int_auth_r, prf->size);
	wr_u32(&w, 1 + hs->n_intermediate);
	return rd_of(out, w.n);
}

/*
 * RFC 9370 2.2.2: SKEYSEED(n) = prf(SK_d(n-1), SK(n) | Ni | Nr), expanded as ever: a rekey's formula
 * with the SPIs that there are.
 */
static enum ike_err update_keys(struct ike_sa *sa, const struct secret *shared,
				struct ike_sa_keys *out)
{
	const struct ike_handshake *hs = sa->hs;
	const struct ike_nonces n = {rd_of(hs->ni, hs->ni_size), rd_of(hs->nr, hs->nr_size)};

	return ike_keys_rekey(&sa->ike->crypto, (enum ike_prf)sa->suite.prf, sa->keys.d, &sa->suite,
			      &n, secret_data(shared), secret_size(shared), sa->spi_i, sa->spi_r,
			      out);
}

bool ike_intermediate_complete(const struct ike_sa *sa)
{
	unsigned i = sa->hs ? sa->hs->n_ake : IKE_MAX_AKE;

	return ike_ke_next(&sa->suite, &i) == IKE_DH_NONE;
}

/* ------------------------------------------------------------------ initiator */

static void give_up(struct ike_sa *sa, const char *reason)
{
	struct sb s = ike_event(sa->ike, IKE_HAP_IKE_DOWN, sa->tunnel);

	sb_printf(&s, "IKE_INTERMEDIATE: %s", reason);
	ike_tunnel_reason(sa->tunnel, reason);
	ike_timer_initiation_failed(sa->tunnel);
	ike_sa_close(sa, "ike-intermediate", reason);
}

static void send_request(struct ike_sa *sa, uint16_t method)
{
	struct ike_handshake *hs = sa->hs;
	const struct ike_header h = ike_header_of(sa, IKE_INTERMEDIATE, sa->tx_mid, false);
	uint8_t value[IKE_DH_MAX], buf[IKE_DH_MAX + 64];
	struct ike_builder b;
	size_t size;

	sa->ike->crypto.dh_free(sa->ike->crypto.ctx, hs->dh);
	hs->dh = ike_ke_new(sa->ike, method, value, &size);
	if (!hs->dh) {
		give_up(sa, "a key exchange method is not available here");
		return;
	}
	ike_build_open_inner(&b, buf, sizeof(buf));
	ike_build_ke(&b, method, value, size);
	if (!cover_ours(sa, &h, &b) ||
	    !ike_request_send(sa, IKE_TASK_INTERMEDIATE, IKE_INTERMEDIATE, &b, NULL, NULL)) {
		ike_count(sa->ike, IKE_CNT_RESOURCES);
		give_up(sa, "out of resources");
	}
}

/* The next additional key exchange, or IKE_AUTH when there is none any more. */
void ike_intermediate_next(struct ike_sa *sa)
{
	const uint16_t method = ike_ke_next(&sa->suite, &sa->hs->n_ake);

	if (method == IKE_DH_NONE) {
		ike_sa_set_state(sa, IKE_ST_SIGN,
				 sa->hs->n_intermediate ? "ike-intermediate" : "ike-init",
				 "keys derived");
		ike_auth_start(sa);
		return;
	}
	if (sa->state != IKE_ST_INTERMEDIATE)
		ike_sa_set_state(sa, IKE_ST_INTERMEDIATE, "ike-init", "more key exchanges");
	send_request(sa, method);
}

void ike_intermediate_response(struct ike_sa *sa, const struct ike_packet *p,
			       const struct ike_msg *m)
{
	const struct ike_notify_payload *error = ike_msg_error(m);
	struct ike_handshake *hs = sa->hs;
	struct ike_sa_keys keys = {0};
	struct secret *shared = NULL;
	enum ike_err err = IKE_ERR_KE;

	(void)p;
	if (error) {
		give_up(sa, ike_notify_name(error->type));
		return;
	}
	if (m->present & IKE_HAS_KE)
		shared = ike_ke_finish(sa->ike, hs->dh, sa->suite.ake[hs->n_ake], &m->ke);
	if (shared)
		err = cover_theirs(sa, m) ? update_keys(sa, shared, &keys) : IKE_ERR_SYNTAX;
	secret_free(shared);
	if (err != IKE_OK) {
		ike_count(sa->ike, ike_counter_of(err));
		give_up(sa, ike_err_text(err));
		return;
	}
	ike_sa_keys_free(&sa->keys);
	sa->keys = keys;
	hs->n_intermediate++;
	hs->n_ake++;
	ike_proof_note_announced(sa, m); /* RFC 9593 3.1: where IKE_SA_INIT has no room for it */
	ike_intermediate_next(sa);
}

/* ------------------------------------------------------------------ responder */

/* A request without a key exchange, of an extension that we do not know: its answer is empty. */
static bool answer(struct ike_sa *sa, const struct ike_msg *m, struct ike_builder *b,
		   struct ike_sa_keys *keys)
{
	struct ike_handshake *hs = sa->hs;
	const uint16_t method = ike_ke_next(&sa->suite, &hs->n_ake);
	uint8_t value[IKE_DH_MAX];
	struct secret *shared;
	enum ike_err err;
	size_t size;

	if (!(m->present & IKE_HAS_KE))
		return true;
	shared = ike_ke_answer(sa->ike, method, &m->ke, value, &size);
	if (!shared) {
		ike_count(sa->ike, IKE_CNT_RX_KE);
		return false;
	}
	err = update_keys(sa, shared, keys);
	secret_free(shared);
	if (err != IKE_OK)
		ike_count(sa->ike, ike_counter_of(err));
	else
		ike_build_ke(b, method, value, size);
	return err == IKE_OK;
}

void ike_intermediate_request(struct ike_sa *sa, const struct ike_packet *p,
			      const struct ike_msg *m)
{
	struct ike_handshake *hs = sa->hs;
	const struct ike_header h = ike_header_of(sa, IKE_INTERMEDIATE, m->h.message_id, true);
	uint8_t buf[IKE_DH_MAX + 64];
	struct ike_sa_keys keys = {0};
	struct ike_builder b;

	(void)p;
	ike_build_open_inner(&b, buf, sizeof(buf));
	/* RFC 9242 3.1: only where both said so. */
	if (!hs->intermediate || hs->n_intermediate >= MOST_EXCHANGES || !cover_theirs(sa, m) ||
	    !answer(sa, m, &b, &keys) || !cover_ours(sa, &h, &b)) {
		ike_sa_keys_free(&keys);
		ike_response_error(sa, IKE_N_INVALID_SYNTAX, NULL, 0);
		ike_sa_close(sa, "ike-intermediate", "refused");
		return;
	}
	hs->n_intermediate++;
	if (!ike_response_send(sa, &b, false)) {
		ike_sa_keys_free(&keys);
		ike_sa_close(sa, "ike-intermediate", "out of resources");
		return;
	}
	/* What comes again, comes under the keys that it came under. */
	ike_sa_keys_free(&hs->last_keys);
	if (!keys.d)
		return;
	ike_sealed_fix(sa->response);
	hs->last_keys = sa->keys;
	sa->keys = keys;
	hs->n_ake++;
}
