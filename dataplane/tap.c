/* SPDX-License-Identifier: Apache-2.0 */
/* tap: opens /dev/net/tun. See tap.h. */
#include "dataplane/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

bool dp_tap_open(struct dp_tap *t, const char *ifname, enum dp_tap_kind kind, char *error,
		 size_t error_size)
{
	struct ifreq ifr = {.ifr_flags = (short)((kind == DP_TAP_FRAMES ? IFF_TAP : IFF_TUN) |
						 IFF_NO_PI | IFF_TUN_EXCL)};

	*t = (struct dp_tap){.fd = -1};
	if (strlen(ifname) >= sizeof(ifr.ifr_name)) {
		snprintf(error, error_size, "interface name '%s' is longer than 15 characters",
			 ifname);
		return false;
	}
	memcpy(ifr.ifr_name, ifname, strlen(ifname) + 1);
	t->fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (t->fd < 0) {
		snprintf(error, error_size,
			 "cannot open /dev/net/tun: %s; load the module `tun` and give the "
			 "dataplane CAP_NET_ADMIN",
			 strerror(errno));
		return false;
	}
	if (ioctl(t->fd, TUNSETIFF, &ifr) < 0) {
		if (errno == EBUSY || errno == EEXIST || if_nametoindex(ifname))
			snprintf(error, error_size,
				 "an interface '%s' exists already: give another name in the "
				 "configuration, or remove it (`ip link del %s`)",
				 ifname, ifname);
		else
			snprintf(error, error_size, "cannot create interface '%s': %s", ifname,
				 strerror(errno));
		dp_tap_close(t);
		return false;
	}
	memcpy(t->ifname, ifr.ifr_name, sizeof(t->ifname));
	t->ifindex = (int)if_nametoindex(t->ifname);
	return true;
}

void dp_tap_close(struct dp_tap *t)
{
	if (t->fd >= 0)
		close(t->fd);
	*t = (struct dp_tap){.fd = -1};
}

bool dp_sysctl_if(const char *family, const char *ifname, const char *name, const char *value)
{
	const size_t size = strlen(value);
	char path[128];
	int fd;
	bool ok;

	snprintf(path, sizeof(path), "/proc/sys/net/%s/conf/%s/%s", family, ifname, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	ok = write(fd, value, size) == (ssize_t)size;
	close(fd);
	return ok;
}
