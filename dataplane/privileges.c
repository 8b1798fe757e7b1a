/* SPDX-License-Identifier: Apache-2.0 */
/* privileges: capabilities through libcap. See privileges.h. */
#include "dataplane/privileges.h"

#include <stddef.h>
#include <sys/capability.h>
#include <sys/prctl.h>

bool dp_privileges_drop(void)
{
	const cap_value_t keep[] = {CAP_NET_ADMIN, CAP_NET_RAW, CAP_IPC_LOCK, CAP_BPF};
	const int n = sizeof(keep) / sizeof(keep[0]);
	cap_t now = cap_get_proc(), caps = cap_init();
	bool ok = now && caps;

	for (int i = 0; ok && i < n; i++) {
		cap_flag_value_t has = CAP_CLEAR;

		/* What we have not got cannot be kept. */
		if (cap_get_flag(now, keep[i], CAP_PERMITTED, &has) != 0 || has != CAP_SET)
			continue;
		ok = cap_set_flag(caps, CAP_PERMITTED, 1, &keep[i], CAP_SET) == 0 &&
		     cap_set_flag(caps, CAP_EFFECTIVE, 1, &keep[i], CAP_SET) == 0;
	}
	ok = ok && cap_set_proc(caps) == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
	cap_free(now);
	cap_free(caps);
	return ok;
}
