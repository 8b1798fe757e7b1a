/* SPDX-License-Identifier: Apache-2.0 */
/* crypto_mem: where OpenSSL keeps what it allocates, expanded keys among it: in key_mem.h's memory. */
#ifndef DATAPLANE_CRYPTO_MEM_H
#define DATAPLANE_CRYPTO_MEM_H

#include <stdbool.h>

/* Before anything uses OpenSSL; false if something did. */
bool dp_crypto_mem_init(void);

#endif
