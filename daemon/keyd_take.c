/* SPDX-License-Identifier: Apache-2.0 */
/* keyd_take: a delivered file's bytes, checked and put where they belong. */
#include <stdlib.h>
#include <string.h>
#include "daemon/keyd_heap.h"
#include "daemon/keyd_store.h"

#define OWN_CHAIN_MAX 12288u /* bytes that fit into one IKE_AUTH message with all else */

static const struct kind {
	const char *name;
	size_t max; /* bytes of its file */
} kinds[IPC_SECRET_KIND_END] = {
	[IPC_SECRET_PSK] = {"PSK", KEYD_PSK_MAX + 3},
	[IPC_SECRET_PRIVATE_KEY] = {"private key", PKI_CERT_MAX},
	[IPC_SECRET_CERT] = {"certificate", 1u << 20},
	[IPC_SECRET_CA] = {"CA", 1u << 20},
	[IPC_SECRET_CRL] = {"CRL", PKI_FILE_MAX},
	[IPC_SECRET_OCSP] = {"OCSP response", 1u << 20},
	[IPC_SECRET_PEER_KEY] = {"peer's public key", 1u << 20},
	[IPC_SECRET_PPK] = {"PPK", 2 * KEYD_PSK_MAX + 5},
};

const char *keyd_kind_name(uint32_t kind)
{
	return kind < IPC_SECRET_KIND_END ? kinds[kind].name : "unknown";
}

size_t keyd_kind_max(uint32_t kind)
{
	return kind < IPC_SECRET_KIND_END ? kinds[kind].max : 0;
}

static size_t without_line_end(const uint8_t *text, size_t size)
{
	if (size > 0 && text[size - 1] == '\n')
		size--;
	if (size > 0 && text[size - 1] == '\r')
		size--;
	return size;
}

size_t keyd_psk_check(const uint8_t *text, size_t size, const char **problem)
{
	size = without_line_end(text, size);
	if (size < KEYD_PSK_MIN) {
		*problem = "holds fewer than 8 characters: make one with `twinbore genpsk`";
		return 0;
	}
	if (size > KEYD_PSK_MAX) {
		*problem = "holds more than 128 characters: one line with the key is wanted";
		return 0;
	}
	for (size_t i = 0; i < size; i++) {
		if (text[i] < 0x20 || text[i] > 0x7e) {
			*problem = "holds something else than printable ASCII: one line with the "
				   "key is wanted";
			return 0;
		}
	}
	if (text[0] == ' ' || text[size - 1] == ' ') {
		*problem =
			"begins or ends with a blank: remove it, the other side would not see it";
		return 0;
	}
	return size;
}

static bool no_memory(struct sb *why)
{
	sb_str(why, "does not fit into locked memory: raise LimitMEMLOCK");
	return false;
}

static bool take_psk(struct secret **slot, const uint8_t *data, size_t size, const char **weak,
		     struct sb *why)
{
	const char *problem = "";
	const size_t n = keyd_psk_check(data, size, &problem);

	if (n == 0) {
		sb_str(why, problem);
		return false;
	}
	secret_free(*slot);
	*slot = secret_from(data, n);
	if (n < KEYD_PSK_WEAK)
		*weak = "is so short that whoever records or answers one IKE_AUTH can search for "
			"it; make one with `twinbore genpsk`";
	return *slot || no_memory(why);
}

/* ------------------------------------------------------------------------ PPK */

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The bytes that "0x" and an even number of hex digits stand for; NULL when it is something else. */
static struct secret *from_hex(const uint8_t *text, size_t size)
{
	struct secret *s;

	if (size < 2 || size % 2 != 0)
		return NULL;
	for (size_t i = 0; i < size; i++) {
		if (hex_digit(text[i]) < 0)
			return NULL;
	}
	s = secret_new(size / 2);
	for (size_t i = 0; s && i < size / 2; i++)
		secret_data_mut(s)[i] =
			(uint8_t)(hex_digit(text[2 * i]) << 4 | hex_digit(text[2 * i + 1]));
	return s;
}

static bool take_ppk(struct secret **slot, const uint8_t *data, size_t size, const char **weak,
		     struct sb *why)
{
	const size_t n = without_line_end(data, size);
	bool ok = true;

	if (n > 2 && data[0] == '0' && (data[1] == 'x' || data[1] == 'X')) {
		secret_free(*slot);
		*slot = from_hex(data + 2, n - 2);
		ok = secret_size(*slot) >= KEYD_PSK_MIN;
		if (!ok)
			sb_str(why, "begins with 0x, but is not an even number of hex digits, at "
				    "least 16");
	} else {
		ok = take_psk(slot, data, size, weak, why);
	}
	*weak = ok && secret_size(*slot) < KEYD_PPK_WEAK
			? "is shorter than 32 bytes: too short against quantum computers"
			: NULL;
	return ok;
}

/* --------------------------------------------------------------- certificates */

static bool take_key(struct keyd_keys *k, const struct ipc_secret *head, const uint8_t *data,
		     size_t size, struct sb *why)
{
	pki_key_free(k->key[head->index]);
	/* The passing copies of libcrypto's decoders, too. */
	keyd_heap_shelter(true);
	k->key[head->index] = pki_key_parse(data, size, why);
	keyd_heap_shelter(false);
	k->sha1 |= (head->flags & IPC_SECRET_SHA1) != 0;
	return k->key[head->index] != NULL;
}

static bool take_cert(struct keyd_keys *k, const struct ipc_secret *head, const uint8_t *data,
		      size_t size, struct sb *why)
{
	struct pki_certs *c = pki_certs_parse(data, size, why);
	size_t bytes = 0;

	for (size_t i = 0; i < pki_certs_n(c); i++) {
		if (i == 0 || !pki_certs_is_root(c, i))
			bytes += pki_certs_der(c, i).size;
	}
	if (c && (bytes > OWN_CHAIN_MAX || pki_certs_n(c) > PKI_CHAIN_MAX)) {
		sb_printf(why,
			  "holds a chain of more than %u certificates or %u bytes, too much to "
			  "send: keep our own and the CAs between it and the root",
			  PKI_CHAIN_MAX, OWN_CHAIN_MAX);
		pki_certs_free(c);
		return false;
	}
	pki_certs_free(k->cert[head->index]);
	k->cert[head->index] = c;
	return c != NULL;
}

static bool take_ca(struct keyd_keys *k, const struct ipc_secret *head, const uint8_t *data,
		    size_t size, struct sb *why)
{
	struct pki_certs *c = pki_certs_parse(data, size, why);

	k->revocation_strict |= (head->flags & IPC_SECRET_REVOCATION_STRICT) != 0;
	k->sha1 |= (head->flags & IPC_SECRET_SHA1) != 0;
	if (!c || pki_certs_join(&k->cas, c))
		return c != NULL;
	pki_certs_free(c);
	sb_printf(why, "is one too many: a tunnel may have %u CAs", PKI_LIST_MAX);
	return false;
}

static bool take_crl(struct keyd_keys *k, const uint8_t *data, size_t size, struct sb *why)
{
	struct pki_crls *c = pki_crls_parse(data, size, why);

	if (!c || pki_crls_join(&k->crls, c))
		return c != NULL;
	pki_crls_free(c);
	sb_printf(why, "is one too many: a tunnel may have %u CRLs", PKI_LIST_MAX);
	return false;
}

static bool take_ocsp(struct keyd_keys *k, const uint8_t *data, size_t size, struct sb *why)
{
	struct pki_ocsps *o = pki_ocsps_parse(data, size, why);

	if (!o || pki_ocsps_join(&k->ocsps, o))
		return o != NULL;
	pki_ocsps_free(o);
	sb_printf(why, "is one too many: a tunnel may have %u OCSP responses", PKI_LIST_MAX);
	return false;
}

static bool take_peer(struct keyd_keys *k, const struct ipc_secret *head, const uint8_t *data,
		      size_t size, struct sb *why)
{
	pki_pub_free(k->peer[head->index]);
	k->peer[head->index] = pki_pub_parse(data, size, why);
	k->sha1 |= (head->flags & IPC_SECRET_SHA1) != 0;
	return k->peer[head->index] != NULL;
}

static bool take(struct keyd_keys *k, const struct ipc_secret *head, const uint8_t *data,
		 size_t size, const char **weak, struct sb *why)
{
	/* Lists have no places by number. */
	const bool listed = head->kind == IPC_SECRET_CA || head->kind == IPC_SECRET_CRL ||
			    head->kind == IPC_SECRET_OCSP;

	if (head->kind >= IPC_SECRET_KIND_END || (!listed && head->index >= KEYD_MAX_INDEX)) {
		sb_printf(why, "is one too many: %u of a kind are possible", KEYD_MAX_INDEX);
		return false;
	}
	switch ((enum ipc_secret_kind)head->kind) {
	case IPC_SECRET_PSK: return take_psk(&k->psk[head->index], data, size, weak, why);
	case IPC_SECRET_PRIVATE_KEY: return take_key(k, head, data, size, why);
	case IPC_SECRET_CERT: return take_cert(k, head, data, size, why);
	case IPC_SECRET_CA: return take_ca(k, head, data, size, why);
	case IPC_SECRET_CRL: return take_crl(k, data, size, why);
	case IPC_SECRET_OCSP: return take_ocsp(k, data, size, why);
	case IPC_SECRET_PEER_KEY: return take_peer(k, head, data, size, why);
	case IPC_SECRET_PPK: return take_ppk(&k->ppk, data, size, weak, why);
	case IPC_SECRET_BGP_PASSWORD:
	case IPC_SECRET_KIND_END: break;
	}
	return false;
}

bool keyd_take(struct keyd_keys *k, const struct ipc_secret *head, const uint8_t *data, size_t size,
	       const char **weak, struct sb *why)
{
	const char *ignored;

	if (!weak)
		weak = &ignored;
	*weak = NULL;
	if (take(k, head, data, size, weak, why))
		return true;
	k->broken = true;
	return false;
}
