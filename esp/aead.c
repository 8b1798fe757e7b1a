/* SPDX-License-Identifier: Apache-2.0 */
/* aead: the list of backends. See aead.h. */
#include <string.h>
#include "esp/esp_int.h"

/* clang-format off */
const struct esp_backend *const esp_backends[] = {
#if defined(__x86_64__)
	&esp_backend_vaes,
	&esp_backend_vaes_256,
#endif
	&esp_backend_ipsec_mb,
	&esp_backend_openssl,
	NULL,
};
/* clang-format on */

bool esp_thread_supports(const struct esp_thread *t, const struct esp_suite *s)
{
	return esp_thread_pick(t, s) != NULL;
}

const struct esp_backend *esp_backend_by_name(const char *name)
{
	for (size_t i = 0; esp_backends[i]; i++)
		if (strcmp(esp_backends[i]->name, name) == 0)
			return esp_backends[i];
	return NULL;
}
