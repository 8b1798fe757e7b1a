/* SPDX-License-Identifier: Apache-2.0 */
/* sup_notify: tells a service manager how far we are (sd_notify(3)): one datagram of lines. */
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "daemon/supervisor.h"

static struct sockaddr_un manager;
static socklen_t manager_size; /* 0: nobody wants to know */

void sup_notify_init(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	size_t n;

	if (!path || (path[0] != '/' && path[0] != '@') ||
	    strlen(path) >= sizeof(manager.sun_path)) {
		unsetenv("NOTIFY_SOCKET");
		return;
	}
	n = strlen(path);
	manager.sun_family = AF_UNIX;
	memcpy(manager.sun_path, path, n);
	if (path[0] == '@')
		manager.sun_path[0] = '\0';
	manager_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
	/* Not for the children. */
	unsetenv("NOTIFY_SOCKET");
}

void sup_notify(const char *fmt, ...)
{
	char text[512];
	va_list ap;
	int sock, n;

	if (manager_size == 0)
		return;
	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sock < 0)
		return;
	/* Best effort: a manager that does not listen is not our problem. */
	if (n > 0 && (size_t)n < sizeof(text))
		(void)sendto(sock, text, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT,
			     (const struct sockaddr *)&manager, manager_size);
	close(sock);
}
