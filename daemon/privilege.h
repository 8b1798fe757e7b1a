/* SPDX-License-Identifier: Apache-2.0 */
/*
 * privilege: what a child process may do.
 *
 * Three steps. privilege_drop() at the very start, before a byte of input: another user, an empty
 * root directory, no capability, no way to get one. privilege_filter() after the hand-over: the
 * system calls of an event loop on descriptors that are open, and no others. For the dataplane,
 * which must create interfaces, privilege_bound() instead limits what root can be there.
 */
#ifndef DAEMON_PRIVILEGE_H
#define DAEMON_PRIVILEGE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Each writes one line to `why` and returns false when something could not be done. */

/* uid and gid not 0; `root` is an absolute path of an empty directory. Ends with the parent. */
bool privilege_drop(uid_t uid, gid_t gid, const char *root, char *why, size_t why_size);
bool privilege_filter(char *why, size_t why_size);
/* Keeps what the dataplane needs of root's capabilities; best effort, never fails. */
void privilege_bound(void);

#endif
