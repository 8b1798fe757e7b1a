/* SPDX-License-Identifier: Apache-2.0 */
/* pem: a file's objects, one after the other, with bounds that libcrypto does not set itself. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include "pki/pki_int.h"

bool pki_span_copy(struct pki_span *to, const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);

	if (!copy)
		return false;
	memcpy(copy, data, size);
	*to = (struct pki_span){.data = copy, .size = size};
	return true;
}

static bool walk_pem(BIO *bio, pki_object_fn *fn, void *ctx, struct sb *why)
{
	char *label, *header;
	unsigned char *der;
	long size;
	size_t n = 0;
	bool ok = true;

	while (ok && PEM_read_bio(bio, &label, &header, &der, &size) == 1) {
		if (++n > PKI_LIST_MAX) {
			sb_printf(why, "holds more than %u objects", PKI_LIST_MAX);
			ok = false;
		} else if (header[0] != '\0') {
			sb_str(why, "holds something encrypted");
			ok = false;
		} else {
			ok = fn(ctx, label, der, (size_t)size, why);
		}
		OPENSSL_free(label);
		OPENSSL_free(header);
		OPENSSL_free(der);
	}
	if (ok && ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) {
		sb_printf(why, "is damaged after its first %zu objects", n);
		ok = false;
	}
	ERR_clear_error();
	return ok;
}

bool pki_objects(const uint8_t *data, size_t size, pki_object_fn *fn, void *ctx, struct sb *why)
{
	static const char begin[] = "-----BEGIN ";
	BIO *bio;
	bool ok;

	if (size == 0 || size > PKI_FILE_MAX) {
		sb_printf(why, size ? "is larger than %u bytes" : "is empty", PKI_FILE_MAX);
		return false;
	}
	if (!memmem(data, size, begin, sizeof(begin) - 1))
		return fn(ctx, "", data, size, why);
	ERR_clear_error();
	bio = BIO_new_mem_buf(data, (int)size);
	if (!bio) {
		sb_str(why, "cannot be read: out of memory");
		return false;
	}
	ok = walk_pem(bio, fn, ctx, why);
	BIO_free(bio);
	return ok;
}

X509 *pki_x509(const uint8_t *der, size_t size)
{
	const uint8_t *p = der;
	X509 *cert;

	if (size == 0 || size > PKI_CERT_MAX)
		return NULL;
	cert = d2i_X509(NULL, &p, (long)size);
	if (cert && p != der + size) {
		X509_free(cert);
		cert = NULL;
	}
	ERR_clear_error();
	return cert;
}

X509_CRL *pki_x509_crl(const uint8_t *der, size_t size)
{
	const uint8_t *p = der;
	X509_CRL *crl;

	if (size == 0 || size > PKI_FILE_MAX)
		return NULL;
	crl = d2i_X509_CRL(NULL, &p, (long)size);
	if (crl && p != der + size) {
		X509_CRL_free(crl);
		crl = NULL;
	}
	ERR_clear_error();
	return crl;
}

OCSP_BASICRESP *pki_ocsp_basic(const uint8_t *der, size_t size)
{
	const uint8_t *p = der;
	OCSP_BASICRESP *basic = NULL;
	OCSP_RESPONSE *r;

	if (size == 0 || size > PKI_CERT_MAX)
		return NULL;
	r = d2i_OCSP_RESPONSE(NULL, &p, (long)size);
	if (r && p == der + size && OCSP_response_status(r) == OCSP_RESPONSE_STATUS_SUCCESSFUL)
		basic = OCSP_response_get1_basic(r);
	OCSP_RESPONSE_free(r);
	ERR_clear_error();
	return basic;
}

bool pki_time(const ASN1_TIME *t, int64_t *out)
{
	ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
	int days = 0, seconds = 0;
	bool ok;

	ok = epoch && t && ASN1_TIME_diff(&days, &seconds, epoch, t) == 1;
	ASN1_TIME_free(epoch);
	*out = ok ? (int64_t)days * 86400 + seconds : 0;
	return ok;
}

void pki_time_text(int64_t time, struct sb *out)
{
	ASN1_TIME *t = ASN1_TIME_set(NULL, (time_t)time);
	struct tm tm;

	if (t && ASN1_TIME_to_tm(t, &tm) == 1)
		sb_printf(out, "%04d-%02d-%02d %02d:%02d:%02d UTC", tm.tm_year + 1900,
			  tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
	else
		sb_str(out, "an unknown time");
	ASN1_TIME_free(t);
}

void pki_name_text(const X509_NAME *name, struct sb *out)
{
	uint8_t *der = NULL;
	const int size = i2d_X509_NAME(name, &der);

	if (size > 2)
		(void)pki_dn_format(der, (size_t)size, out);
	else
		sb_str(out, "an empty name");
	OPENSSL_free(der);
}

void pki_cert_text(X509 *cert, struct sb *out)
{
	sb_str(out, "certificate of ");
	pki_name_text(X509_get_subject_name(cert), out);
}
