/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/keyd_auth.h"

#include <stdlib.h>
#include <string.h>
#include "ike/keys.h"

void keyd_store_fini(struct keyd_store *s)
{
	for (size_t i = 0; i < s->n; i++)
		secret_free(s->secrets[i].psk);
	free(s->secrets);
	*s = (struct keyd_store){0};
}

static struct keyd_secret *find(const struct keyd_store *s, const char *tunnel)
{
	for (size_t i = 0; i < s->n; i++) {
		if (strncmp(s->secrets[i].tunnel, tunnel, DP_NAME_SIZE) == 0)
			return &s->secrets[i];
	}
	return NULL;
}

bool keyd_store_put(struct keyd_store *s, const char *tunnel, struct secret *psk)
{
	struct keyd_secret *k = find(s, tunnel);

	if (!k && s->n == s->size) {
		const size_t size = s->size ? 2 * s->size : 16;
		struct keyd_secret *grown;

		if (size > KEYD_MAX_SECRETS)
			return false;
		grown = realloc(s->secrets, size * sizeof(*grown));
		if (!grown)
			return false;
		s->secrets = grown;
		s->size = size;
	}
	if (!k) {
		k = &s->secrets[s->n++];
		memset(k, 0, sizeof(*k));
		memcpy(k->tunnel, tunnel, strnlen(tunnel, DP_NAME_SIZE - 1));
	}
	secret_free(k->psk);
	k->psk = psk;
	return true;
}

const struct secret *keyd_store_get(const struct keyd_store *s, const char *tunnel)
{
	const struct keyd_secret *k = find(s, tunnel);

	return k ? k->psk : NULL;
}

void keyd_store_keep(struct keyd_store *s, const uint8_t *indexes, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->n; i++)
		s->secrets[i].stale = true;
	for (size_t i = 0; i < n; i++) {
		struct ipc_index index;
		struct keyd_secret *k;

		memcpy(&index, indexes + i * sizeof(index), sizeof(index));
		k = ipc_name_ok(index.name) ? find(s, index.name) : NULL;
		if (k)
			k->stale = false;
	}
	for (size_t i = 0; i < s->n; i++) {
		if (s->secrets[i].stale)
			secret_free(s->secrets[i].psk);
		else
			s->secrets[kept++] = s->secrets[i];
	}
	s->n = kept;
}

size_t keyd_psk_check(const uint8_t *text, size_t size, const char **problem)
{
	if (size > 0 && text[size - 1] == '\n')
		size--;
	if (size > 0 && text[size - 1] == '\r')
		size--;
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

struct request {
	char tunnel[DP_NAME_SIZE];
	const struct ike_prf_desc *prf;
	const uint8_t *octets;
	size_t octets_size;
	const uint8_t *auth;
	size_t auth_size;
};

/* The lengths must add up to the body exactly: nothing is skipped, nothing is read beyond. */
static bool parse(const uint8_t *body, size_t size, bool verify, struct request *out)
{
	struct ipc_auth head;

	if (size < sizeof(head))
		return false;
	memcpy(&head, body, sizeof(head));
	size -= sizeof(head);
	if (!ipc_name_ok(head.tunnel) || head.method != KEYD_METHOD_PSK || head.prf > UINT16_MAX)
		return false;
	if (head.octets_size == 0 || head.octets_size > KEYD_OCTETS_MAX ||
	    head.auth_size > IKE_PRF_MAX || (head.auth_size > 0) != verify)
		return false;
	if ((size_t)head.octets_size + head.auth_size != size)
		return false;
	memcpy(out->tunnel, head.tunnel, sizeof(out->tunnel));
	out->prf = ike_prf_desc((uint16_t)head.prf);
	out->octets = body + sizeof(head);
	out->octets_size = head.octets_size;
	out->auth = out->octets + head.octets_size;
	out->auth_size = head.auth_size;
	return out->prf != NULL;
}

void keyd_answer(const struct keyd_store *s, const struct ike_crypto *crypto, bool verify,
		 const uint8_t *body, size_t size, struct ipc_auth_result *result,
		 uint8_t auth[IKE_PRF_MAX])
{
	uint8_t mine[IKE_PRF_MAX] = {0};
	const struct secret *psk;
	struct request r;

	*result = (struct ipc_auth_result){0};
	if (!parse(body, size, verify, &r))
		return;
	psk = keyd_store_get(s, r.tunnel);
	if (!psk || !ike_auth_psk(crypto, r.prf->id, secret_data(psk), secret_size(psk), r.octets,
				  r.octets_size, mine))
		goto out;
	if (verify) {
		result->ok =
			r.auth_size == r.prf->size && bytes_equal_ct(mine, r.auth, r.auth_size);
		goto out;
	}
	memcpy(auth, mine, r.prf->size);
	result->ok = 1;
	result->auth_size = r.prf->size;
out:
	bytes_wipe(mine, sizeof(mine));
}
