/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keyd_heap: libcrypto's memory in the key process.
 *
 * Private keys are libcrypto's objects. Their numbers go to its secure heap: locked, guarded, not in
 * core dumps, wiped when freed. Copies that its decoders make on the way, and what does not fit, lie
 * in the ordinary heap of a process that nobody can trace or dump: swapped out they could be, so they
 * are wiped whenever libcrypto frees them, whether it cares or not.
 */
#ifndef DAEMON_KEYD_HEAP_H
#define DAEMON_KEYD_HEAP_H

#include <stdbool.h>

/* Before any other use of libcrypto in the process. False with what is missing in *problem. */
bool keyd_heap_init(const char **problem);

#endif
