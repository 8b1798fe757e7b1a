/* SPDX-License-Identifier: Apache-2.0 */
/*
 * announced: what a peer says that it would believe (RFC 9593): the content of SUPPORTED_AUTH_METHODS.
 * It narrows what we sign with and opens nothing: a list that lies costs its sender an authentication.
 */
#include "base/rd.h"
#include "pki/pki_int.h"

#define METHOD_PSK 2u

struct one {
	uint8_t method, link;
	struct rd alg;
};

/* RFC 9593 3.2: Length, which counts its own octet, Auth Method, Cert Link, AlgorithmIdentifier. */
static bool next(struct rd *r, struct one *out)
{
	uint8_t size;

	*out = (struct one){0};
	if (!rd_u8(r, &size) || size < 2 || !rd_sub(r, size - 1u, &out->alg) ||
	    !rd_u8(&out->alg, &out->method))
		return false;
	if (!rd_u8(&out->alg, &out->link))
		out->link = 0; /* a short one is for any CA */
	return true;
}

void pki_takes_announced(struct pki_takes *t, struct pki_span list, pki_linked_fn *linked,
			 void *ctx)
{
	struct rd r = rd_of(list.data, list.size);
	struct pki_sigalg alg;
	struct one one;

	t->announced = list.size > 0;
	while (next(&r, &one)) {
		/* RFC 9593 3.2.2: not zero, it is the number of a CA in the sender's CERTREQs. */
		if (one.link && one.method != METHOD_PSK && !linked(ctx, one.link))
			continue;
		if (one.method != PKI_METHOD_DIGITAL_SIGNATURE)
			t->methods |= one.method < 32 ? 1u << one.method : 0;
		else if (pki_sigalg_parse(one.alg.p, one.alg.size, &alg))
			t->algs[alg.scheme] |= alg.hash;
	}
}

void pki_announced_text(struct pki_span list, struct sb *out)
{
	struct rd r = rd_of(list.data, list.size);
	struct pki_sigalg alg;
	struct one one;
	bool first = true;

	while (next(&r, &one)) {
		sb_str(out, first ? "" : ", ");
		first = false;
		if (one.method == METHOD_PSK)
			sb_str(out, "a pre-shared key");
		else if (one.method == PKI_METHOD_RSA)
			sb_str(out, "RSA with SHA-1");
		else if (one.method >= PKI_METHOD_ECDSA_256 && one.method <= PKI_METHOD_ECDSA_521)
			sb_printf(out, "ECDSA P-%u",
				  (unsigned[]){256, 384, 521}[one.method - PKI_METHOD_ECDSA_256]);
		else if (one.method != PKI_METHOD_DIGITAL_SIGNATURE)
			sb_printf(out, "method %u", one.method);
		else
			sb_str(out, pki_sigalg_parse(one.alg.p, one.alg.size, &alg)
					    ? pki_sigalg_text(&alg)
					    : "a signature that we do not know");
		if (one.link)
			sb_printf(out, " below its CA %u", one.link);
	}
	if (first)
		sb_str(out, "nothing that can be read");
}
