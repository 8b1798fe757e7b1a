/* SPDX-License-Identifier: Apache-2.0 */
/* crypto_openssl_ctx: the pairs of (generator, its context) that ops have been made for. */
#include <stdlib.h>
#include <pthread.h>
#include "ike/crypto_openssl_int.h"

static bool random_fails(void *ctx, uint8_t *out, size_t size)
{
	(void)ctx;
	(void)out;
	(void)size;
	return false;
}

struct ike_openssl *ike_openssl_ctx(bool (*random)(void *ctx, uint8_t *out, size_t size), void *ctx)
{
	static struct ike_openssl no_memory = {.random = random_fails};
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static struct ike_openssl *list;
	struct ike_openssl *o;

	pthread_mutex_lock(&lock);
	for (o = list; o; o = o->next)
		if (o->random == random && o->random_ctx == ctx)
			break;
	if (!o) {
		o = malloc(sizeof(*o));
		if (o) {
			*o = (struct ike_openssl){random, ctx, list};
			list = o;
		} else {
			o = &no_memory;
		}
	}
	pthread_mutex_unlock(&lock);
	return o;
}
