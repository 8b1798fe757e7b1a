/* SPDX-License-Identifier: Apache-2.0 */
/* privileges: what each thread gives up once the devices are open. */
#ifndef DATAPLANE_PRIVILEGES_H
#define DATAPLANE_PRIVILEGES_H

#include <stdbool.h>

/*
 * Keeps CAP_NET_ADMIN (interfaces, neighbours), CAP_NET_RAW, CAP_IPC_LOCK and CAP_BPF (devices) of
 * the calling thread; nothing can be gained back. False with errno.
 */
bool dp_privileges_drop(void);

#endif
