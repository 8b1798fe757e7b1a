/* SPDX-License-Identifier: Apache-2.0 */
/* rebuild: parse, build, parse again: the property that every payload file has to hold. */
#include <string.h>
#include "ike/proposal.h"
#include "tests/ike/util.h"

static bool rd_same(struct rd a, struct rd b)
{
	return a.size == b.size && (a.size == 0 || memcmp(a.p, b.p, a.size) == 0);
}

static bool bytes_same(const uint8_t *a, const uint8_t *b, size_t size)
{
	return size == 0 || memcmp(a, b, size) == 0;
}

static bool ts_same(const struct ike_ts_payload *a, const struct ike_ts_payload *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!ip_equal(&a->ts[i].first, &b->ts[i].first) ||
		    !ip_equal(&a->ts[i].last, &b->ts[i].last) ||
		    a->ts[i].port_first != b->ts[i].port_first ||
		    a->ts[i].port_last != b->ts[i].port_last ||
		    a->ts[i].protocol != b->ts[i].protocol)
			return false;
	return true;
}

static bool certs_same(const struct ike_msg *a, const struct ike_msg *b)
{
	if (a->n_certs != b->n_certs || a->n_certreqs != b->n_certreqs ||
	    a->wants_raw_key != b->wants_raw_key)
		return false;
	for (size_t i = 0; i < a->n_certs; i++) {
		const struct ike_cert *x = &a->certs[i], *y = &b->certs[i];

		if (x->encoding != y->encoding || x->size != y->size ||
		    !bytes_same(x->data, y->data, x->size))
			return false;
	}
	for (size_t i = 0; i < a->n_certreqs; i++) {
		if (!rd_same(a->certreqs[i], b->certreqs[i]))
			return false;
	}
	return true;
}

static bool lists_same(const struct ike_msg *a, const struct ike_msg *b)
{
	if (a->n_notifies != b->n_notifies || a->n_deletes != b->n_deletes)
		return false;
	for (size_t i = 0; i < a->n_notifies; i++) {
		const struct ike_notify_payload *x = &a->notifies[i], *y = &b->notifies[i];

		if (x->protocol != y->protocol || x->spi_size != y->spi_size ||
		    x->type != y->type || !bytes_same(x->spi, y->spi, x->spi_size) ||
		    !rd_same(x->data, y->data))
			return false;
	}
	for (size_t i = 0; i < a->n_deletes; i++) {
		const struct ike_delete_payload *x = &a->deletes[i], *y = &b->deletes[i];

		if (x->protocol != y->protocol || x->spi_size != y->spi_size ||
		    x->n_spis != y->n_spis ||
		    !bytes_same(x->spis, y->spis, (size_t)x->spi_size * x->n_spis))
			return false;
	}
	return true;
}

static bool same(const struct ike_msg *a, const struct ike_msg *b)
{
	return a->ke.dh == b->ke.dh && rd_same(a->ke.data, b->ke.data) &&
	       a->idi.type == b->idi.type && rd_same(a->idi.data, b->idi.data) &&
	       a->idr.type == b->idr.type && rd_same(a->idr.data, b->idr.data) &&
	       a->auth.method == b->auth.method && rd_same(a->auth.data, b->auth.data) &&
	       rd_same(a->nonce, b->nonce) && rd_same(a->ps, b->ps) && ts_same(&a->tsi, &b->tsi) &&
	       ts_same(&a->tsr, &b->tsr) && certs_same(a, b) && lists_same(a, b);
}

static void id_build(struct ike_builder *b, uint8_t type, const struct ike_id_payload *p)
{
	struct ike_id id = {.type = p->type, .size = (uint8_t)p->data.size};

	memcpy(id.data, p->data.p, p->data.size);
	ike_build_id(b, type, &id);
}

/* All that some suite can ask for, so that anything selectable is selected. */
static bool sa_rebuilds(const struct ike_sa_payload *sa)
{
	static const uint16_t prfs[] = {5, 6, 7}, dhs[] = {0, 14, 19, 20, 21, 31};
	static const struct ike_suite encrs[] = {{12, 128, 0, 12, 0, 0}, {12, 128, 0, 13, 0, 0},
						 {12, 128, 0, 14, 0, 0}, {12, 256, 0, 12, 0, 0},
						 {12, 256, 0, 13, 0, 0}, {12, 256, 0, 14, 0, 0},
						 {20, 128, 0, 0, 0, 0},  {20, 256, 0, 0, 0, 0}};
	const uint8_t protocol = sa->n_proposals ? sa->proposals[0].protocol : 0;
	uint8_t buf[256];

	for (size_t i = 0; i < 8 * 3 * 6 * 2; i++) {
		struct ike_suite s = encrs[i % 8], chosen, again;
		const struct ike_proposal *p, *q;
		struct ike_algs one;
		struct ike_builder b;
		struct ike_msg msg = {0};
		uint8_t first;
		size_t size;

		s.prf = protocol == IKE_PROTO_IKE ? prfs[i / 8 % 3] : 0;
		s.dh = dhs[i / 24 % 6];
		s.esn = protocol == IKE_PROTO_IKE ? 0 : i / 144;
		one = ike_algs_of(&s, 1);
		if (ike_proposal_select(sa, protocol, &one, false, &chosen, &p) != IKE_OK)
			continue;
		ike_build_open_inner(&b, buf, sizeof(buf));
		ike_build_sa_chosen(&b, p->number, protocol, p->spi, p->spi_size, &chosen);
		if (!ike_build_close_inner(&b, &size, &first) ||
		    ike_msg_parse_inner(first, rd_of(buf, size), &msg) != IKE_OK ||
		    ike_proposal_check(&msg.sa, protocol, &one, false, &again, &q) != IKE_OK ||
		    !ike_suite_equal(&again, &chosen) || q->number != p->number ||
		    q->spi_size != p->spi_size || !bytes_same(q->spi, p->spi, p->spi_size))
			return false;
	}
	return true;
}

bool rebuilds(const struct ike_msg *m)
{
	static uint8_t buf[70000];
	static struct ike_msg again;
	struct ike_builder b;
	uint8_t first;
	size_t size;

	ike_build_open_inner(&b, buf, sizeof(buf));
	if (m->present & IKE_HAS_KE)
		ike_build_ke(&b, m->ke.dh, m->ke.data.p, m->ke.data.size);
	/* Our own identities are bounded, a peer's need not be. */
	if (m->idi.data.size > IKE_ID_MAX || m->idr.data.size > IKE_ID_MAX)
		return true;
	if (m->present & IKE_HAS_IDI)
		id_build(&b, IKE_PL_IDI, &m->idi);
	if (m->present & IKE_HAS_IDR)
		id_build(&b, IKE_PL_IDR, &m->idr);
	if (m->present & IKE_HAS_AUTH)
		ike_build_auth(&b, m->auth.method, m->auth.data.p, m->auth.data.size);
	if (m->present & IKE_HAS_NONCE)
		ike_build_nonce(&b, m->nonce.p, m->nonce.size);
	if (m->present & IKE_HAS_PS)
		ike_build_ps(&b, m->ps.p, m->ps.size);
	if (m->tsi.n)
		ike_build_ts(&b, IKE_PL_TSI, m->tsi.ts, m->tsi.n);
	if (m->tsr.n)
		ike_build_ts(&b, IKE_PL_TSR, m->tsr.ts, m->tsr.n);
	for (size_t i = 0; i < m->n_notifies; i++)
		ike_build_notify(&b, m->notifies[i].protocol, m->notifies[i].spi,
				 m->notifies[i].spi_size, m->notifies[i].type,
				 m->notifies[i].data.p, m->notifies[i].data.size);
	for (size_t i = 0; i < m->n_certs; i++)
		ike_build_cert(&b, &m->certs[i]);
	for (size_t i = 0; i < m->n_certreqs; i++)
		ike_build_certreq(&b, IKE_CERT_X509_SIGNATURE, m->certreqs[i].p,
				  m->certreqs[i].size / IKE_CA_SIZE);
	if (m->wants_raw_key)
		ike_build_certreq(&b, IKE_CERT_RAW_PUBLIC_KEY, NULL, 0);
	for (size_t i = 0; i < m->n_deletes; i++)
		ike_build_delete(&b, m->deletes[i].protocol, m->deletes[i].spi_size,
				 m->deletes[i].spis, m->deletes[i].n_spis);
	memset(&again, 0, sizeof(again));
	return ike_build_close_inner(&b, &size, &first) &&
	       ike_msg_parse_inner(first, rd_of(buf, size), &again) == IKE_OK && same(m, &again) &&
	       sa_rebuilds(&m->sa);
}
