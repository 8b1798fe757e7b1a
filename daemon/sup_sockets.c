/* SPDX-License-Identifier: Apache-2.0 */
/* sup_sockets: what must be opened with privileges: users, the control socket. UDP: sup_udp.c. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/log.h"
#include "daemon/supervisor.h"

bool sup_user_find(struct supervisor *s)
{
	const char *name = s->config->user;
	const struct passwd *pw = getpwnam(name);

	if (!pw) {
		log_error("user '%s' does not exist: create it with `useradd --system "
			  "--no-create-home %s`, or set gateway.user",
			  name, name);
		return false;
	}
	if (pw->pw_uid == 0 || pw->pw_gid == 0) {
		log_error("user '%s' is root: set gateway.user to an account without privileges",
			  name);
		return false;
	}
	s->uid = pw->pw_uid;
	s->gid = pw->pw_gid;
	return true;
}

bool sup_parents_make(const char *path)
{
	char dir[SUP_PATH_SIZE];

	if (strlen(path) >= sizeof(dir))
		return false;
	memcpy(dir, path, strlen(path) + 1);
	for (char *p = strchr(dir + 1, '/'); p; p = strchr(p + 1, '/')) {
		*p = '\0';
		if (mkdir(dir, 0755) != 0 && errno != EEXIST)
			return false;
		*p = '/';
	}
	return true;
}

bool sup_empty_root_make(void)
{
	struct stat st;

	if (!sup_parents_make(SUP_EMPTY_ROOT) ||
	    (mkdir(SUP_EMPTY_ROOT, 0555) != 0 && errno != EEXIST)) {
		log_error("cannot create the folder %s: %s", SUP_EMPTY_ROOT, strerror(errno));
		return false;
	}
	if (lstat(SUP_EMPTY_ROOT, &st) != 0 || !S_ISDIR(st.st_mode) || st.st_uid != 0 ||
	    (st.st_mode & 0222) != 0) {
		log_error("%s is not an empty folder of root with mode 0555: remove it, then it is "
			  "created anew",
			  SUP_EMPTY_ROOT);
		return false;
	}
	return true;
}

/* ---------------------------------------------------------- control socket */

static bool find_group(const struct config *c, gid_t *gid)
{
	const struct group *g;

	*gid = 0;
	if (c->control_group[0] == '\0')
		return true;
	g = getgrnam(c->control_group);
	if (!g) {
		log_error(
			"group '%s' does not exist: create it with `groupadd --system %s`, or set "
			"gateway.control_group",
			c->control_group, c->control_group);
		return false;
	}
	*gid = g->gr_gid;
	return true;
}

/* One gateway a control socket: a lock that lasts exactly as long as its owner. */
static int take_lock(const char *path)
{
	char lock[SUP_PATH_SIZE];
	int fd;

	snprintf(lock, sizeof(lock), "%s.lock", path);
	fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		log_error("cannot open %s: %s", lock, strerror(errno));
		return -1;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		log_error(
			"another twinbored runs with the control socket %s: stop it first, or set "
			"gateway.control_socket",
			path);
		close(fd);
		return -1;
	}
	return fd;
}

bool sup_control_open(struct supervisor *s)
{
	const char *path = s->config->control_socket;
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	struct stat st;
	gid_t gid;
	int fd;

	if (!find_group(s->config, &gid))
		return false;
	if (!sup_parents_make(path)) {
		log_error("cannot create the folder of %s: %s", path, strerror(errno));
		return false;
	}
	s->control_lock = take_lock(path);
	if (s->control_lock < 0)
		return false;
	/* Ours by the lock: what is left of an earlier run may go, other files may not. */
	if (lstat(path, &st) == 0) {
		if (!S_ISSOCK(st.st_mode)) {
			log_error("%s exists and is no socket: remove it, or set "
				  "gateway.control_socket",
				  path);
			return false;
		}
		unlink(path);
	}
	memcpy(a.sun_path, path, strnlen(path, sizeof(a.sun_path) - 1));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0) {
		const mode_t old = umask(0777);
		const bool bound = bind(fd, (const struct sockaddr *)&a, sizeof(a)) == 0;

		umask(old);
		/* Closed to all until owner and mode are right. */
		if (bound && chown(path, 0, gid) == 0 && chmod(path, 0660) == 0 &&
		    listen(fd, 64) == 0) {
			s->control_listen = fd;
			return true;
		}
	}
	log_error("cannot open the control socket %s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return false;
}

void sup_control_remove(struct supervisor *s)
{
	if (s->control_listen >= 0) {
		unlink(s->config->control_socket);
		close(s->control_listen);
		s->control_listen = -1;
	}
	if (s->control_lock >= 0)
		close(s->control_lock);
	s->control_lock = -1;
}
