/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/privilege.h"

#include <errno.h>
#include <grp.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>
#include "base/secret.h"

#define CHILD_MAX_FILES   16384u /* four for each tunnel's BGP and BFD */
#define CHILD_FEWER_FILES 1024u

static bool explain(char *why, size_t why_size, const char *what)
{
	snprintf(why, why_size, "cannot drop privileges: %s: %s", what, strerror(errno));
	return false;
}

static bool limit(int resource, rlim_t value)
{
	const struct rlimit r = {.rlim_cur = value, .rlim_max = value};

	return setrlimit(resource, &r) == 0;
}

bool privilege_drop(uid_t uid, gid_t gid, const char *root, char *why, size_t why_size)
{
	cap_t none;

	if (uid == 0 || gid == 0) {
		errno = EINVAL;
		return explain(why, why_size, "the user is root");
	}
	/* Guarded memory is locked; thousands of SAs need more than the usual few MiB. */
	if (!limit(RLIMIT_MEMLOCK, RLIM_INFINITY))
		(void)limit(RLIMIT_MEMLOCK, 64u << 20);
	if (!limit(RLIMIT_NOFILE, CHILD_MAX_FILES) && !limit(RLIMIT_NOFILE, CHILD_FEWER_FILES))
		return explain(why, why_size, "RLIMIT_NOFILE");
	if (chroot(root) != 0 || chdir("/") != 0)
		return explain(why, why_size, root);
	if (setgroups(0, NULL) != 0 || setresgid(gid, gid, gid) != 0 ||
	    setresuid(uid, uid, uid) != 0)
		return explain(why, why_size, "setuid");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return explain(why, why_size, "no_new_privs");
	none = cap_init();
	if (!none || cap_set_proc(none) != 0) {
		cap_free(none);
		return explain(why, why_size, "capabilities");
	}
	cap_free(none);
	if (!process_harden_memory())
		return explain(why, why_size, "core dumps");
	/* Last: the kernel forgets it when the user changes. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0)
		return explain(why, why_size, "PR_SET_PDEATHSIG");
	return true;
}

/* What an event loop, the allocator, the crypto libraries and the log need. */
static const int allowed[] = {
	SCMP_SYS(read),
	SCMP_SYS(write),
	SCMP_SYS(readv),
	SCMP_SYS(writev),
	SCMP_SYS(pread64),
	SCMP_SYS(lseek),
	SCMP_SYS(close),
	SCMP_SYS(fstat),
	SCMP_SYS(fstatfs),
	SCMP_SYS(recvfrom),
	SCMP_SYS(recvmsg),
	SCMP_SYS(recvmmsg),
	SCMP_SYS(sendto),
	SCMP_SYS(sendmsg),
	SCMP_SYS(sendmmsg),
	SCMP_SYS(accept4),
	SCMP_SYS(shutdown),
	SCMP_SYS(getsockopt),
	SCMP_SYS(getsockname),
	SCMP_SYS(getpeername),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(timerfd_settime),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_getres),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(nanosleep),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(time),
	SCMP_SYS(getrandom),
	SCMP_SYS(brk),
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(madvise),
	SCMP_SYS(mlock),
	SCMP_SYS(mlock2),
	SCMP_SYS(munlock),
	SCMP_SYS(futex),
	SCMP_SYS(sched_yield),
	SCMP_SYS(sysinfo),
	SCMP_SYS(getpid),
	SCMP_SYS(gettid),
	SCMP_SYS(getuid),
	SCMP_SYS(geteuid),
	SCMP_SYS(getgid),
	SCMP_SYS(getegid),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(sigaltstack),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(tgkill),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
};

/*
 * What nothing here ever does, not even by way of a library: only code that was brought in calls
 * these. Everything else that is not allowed fails with EPERM.
 */
static const int fatal[] = {
	SCMP_SYS(execve),
	SCMP_SYS(execveat),
	SCMP_SYS(fork),
	SCMP_SYS(vfork),
	SCMP_SYS(clone),
	SCMP_SYS(clone3),
	SCMP_SYS(ptrace),
	SCMP_SYS(process_vm_readv),
	SCMP_SYS(process_vm_writev),
	SCMP_SYS(mount),
	SCMP_SYS(umount2),
	SCMP_SYS(pivot_root),
	SCMP_SYS(chroot),
	SCMP_SYS(setns),
	SCMP_SYS(unshare),
	SCMP_SYS(init_module),
	SCMP_SYS(finit_module),
	SCMP_SYS(kexec_load),
	SCMP_SYS(bpf),
	SCMP_SYS(userfaultfd),
	SCMP_SYS(keyctl),
	SCMP_SYS(add_key),
	SCMP_SYS(request_key),
};

static int add_rules(scmp_filter_ctx f)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(allowed) / sizeof(allowed[0]); i++)
		r = seccomp_rule_add(f, SCMP_ACT_ALLOW, allowed[i], 0);
	for (size_t i = 0; r == 0 && i < sizeof(fatal) / sizeof(fatal[0]); i++)
		r = seccomp_rule_add(f, SCMP_ACT_KILL_PROCESS, fatal[i], 0);
	/* fstat() of newer C libraries: only on a descriptor, hence AT_EMPTY_PATH. */
	if (r == 0)
		r = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(newfstatat), 1,
				     SCMP_A3(SCMP_CMP_MASKED_EQ, 0x1000, 0x1000));
	/* No memory becomes executable. */
	if (r == 0)
		r = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
				     SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (r == 0)
		r = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
				     SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	/* fcntl: flags and seals, nothing that makes a descriptor point elsewhere. */
	if (r == 0)
		r = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 0);
	/* Only for oneself (0), and only to ask: new limits is argument 2. */
	if (r == 0)
		r = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 2,
				     SCMP_A0(SCMP_CMP_EQ, 0), SCMP_A2(SCMP_CMP_EQ, 0));
	return r;
}

bool privilege_filter(char *why, size_t why_size)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int r = f ? add_rules(f) : -ENOMEM;

	if (r == 0)
		r = seccomp_load(f);
	if (f)
		seccomp_release(f);
	if (r == 0)
		return true;
	snprintf(why, why_size,
		 "cannot restrict system calls: %s: the kernel needs CONFIG_SECCOMP_FILTER",
		 strerror(-r));
	return false;
}

/* NET_ADMIN, NET_RAW: interfaces and packet sockets. BPF, SYS_ADMIN: af_xdp's programs, and
 * pagemap for physical addresses. IPC_LOCK: memory for devices. SYS_RAWIO: legacy PCI ports.
 * DAC_OVERRIDE: device files of other owners. SYS_NICE: pinned lcores. */
static const cap_value_t kept[] = {
	CAP_NET_ADMIN, CAP_NET_RAW,   CAP_BPF,      CAP_PERFMON,      CAP_SYS_ADMIN,
	CAP_IPC_LOCK,  CAP_SYS_RAWIO, CAP_SYS_NICE, CAP_DAC_OVERRIDE, CAP_SYS_RESOURCE,
};

void privilege_bound(void)
{
	for (cap_value_t c = 0; c <= CAP_LAST_CAP; c++) {
		bool keep = false;

		for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
			keep |= kept[i] == c;
		if (!keep)
			(void)cap_drop_bound(c);
	}
	(void)limit(RLIMIT_MEMLOCK, RLIM_INFINITY);
	(void)limit(RLIMIT_CORE, 0);
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
}
