/* SPDX-License-Identifier: Apache-2.0 */
/* mono: the one place that reads the monotonic clock. */
#include "base/mono.h"

#include <stdlib.h>
#include <time.h>

struct mono mono_now(void)
{
	struct timespec ts;

	if (clock_gettime(CLOCK_MONOTONIC, &ts) != 0)
		abort(); /* cannot happen on Linux; without time nothing here is safe */
	return (struct mono){(uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec};
}
