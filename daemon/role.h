/* SPDX-License-Identifier: Apache-2.0 */
/* role: the entry points of twinbored's processes; main.c calls one of them. */
#ifndef DAEMON_ROLE_H
#define DAEMON_ROLE_H

/*
 * Each runs a child's whole life on its channel IPC_CHANNEL_FD and returns its exit status. The
 * process has been locked down (privilege.h) but for the system call filter, which child_run()
 * applies after IPC_START.
 */
int keyd_main(void);
int ike_main(void);
int route_main(void);
int control_main(void);

#endif
