/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keyd_heap: libcrypto's memory in the key process.
 *
 * Private keys are libcrypto's objects. Their numbers go to its secure heap: locked, guarded, not in
 * core dumps, wiped when freed; and so does, under the shelter, all that it makes of them on the way.
 * What does not fit lies in the ordinary heap of a process that nobody can trace or dump, and is
 * wiped whenever libcrypto frees it, whether it cares or not.
 */
#ifndef DAEMON_KEYD_HEAP_H
#define DAEMON_KEYD_HEAP_H

#include <stdbool.h>

/* Before any other use of libcrypto in the process. False with what is missing in *problem. */
bool keyd_heap_init(const char **problem);
/*
 * While it is on, all that libcrypto allocates is in the secure heap: for the decoding of a private
 * key and for signing with it, whose copies and intermediate values would otherwise pass through the
 * ordinary heap, or stay there.
 */
void keyd_heap_shelter(bool on);

#endif
