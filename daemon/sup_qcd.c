/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sup_qcd: the secret that tokens for quick crash detection are made with (RFC 6290 5.1).
 *
 * A token is worth something only if the gateway can make it again after it has lost everything else:
 * so the secret outlives all processes, in a file that root alone can read. Without that file a
 * gateway works as well; its peers then find out by themselves that it was started anew.
 *
 * The file has the gateway's name, for gateways that share a machine must not share the secret: one
 * could be made to say that the other has lost its SAs (RFC 6290 9.2).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/log.h"
#include "daemon/supervisor.h"

#define PATH_SIZE (CONFIG_PATH_SIZE + CONFIG_NAME_SIZE + 32)

/* 1: it was there, 0: there is none, -1: there is something else, and it was said. */
static int read_file(const char *path, uint8_t secret[IPC_QCD_SECRET_SIZE])
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;
	bool ok;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0) {
		log_warn("cannot open %s: %s", path, strerror(errno));
		return -1;
	}
	/* Who can read it can have peers drop their SAs; who can write it as well. */
	ok = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == 0 &&
	     (st.st_mode & 0077) == 0 && st.st_size == IPC_QCD_SECRET_SIZE &&
	     read(fd, secret, IPC_QCD_SECRET_SIZE) == IPC_QCD_SECRET_SIZE;
	close(fd);
	if (ok)
		return 1;
	log_warn("%s is not %u bytes that root alone can read: it is not used; remove it, then it "
		 "is made anew",
		 path, IPC_QCD_SECRET_SIZE);
	return -1;
}

/* Whole or not at all, also when the machine stops in between. */
static bool write_file(const char *path, const uint8_t secret[IPC_QCD_SECRET_SIZE])
{
	char part[PATH_SIZE + 8];
	bool ok;
	int fd, e;

	snprintf(part, sizeof(part), "%s.new", path);
	(void)unlink(part);
	fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return false;
	ok = write(fd, secret, IPC_QCD_SECRET_SIZE) == IPC_QCD_SECRET_SIZE && fsync(fd) == 0;
	e = errno;
	close(fd);
	ok = ok && rename(part, path) == 0;
	if (!ok) {
		errno = e ? e : errno;
		(void)unlink(part);
	}
	return ok;
}

bool sup_qcd_open(struct supervisor *s)
{
	uint8_t secret[IPC_QCD_SECRET_SIZE];
	char path[PATH_SIZE];
	int found;

	if (!secret_init()) {
		log_error("libsodium cannot start");
		return false;
	}
	snprintf(path, sizeof(path), "%s/qcd-%s.secret", s->config->state_directory,
		 s->config->name);
	found = sup_parents_make(path) ? read_file(path, secret) : 0;
	if (found != 1)
		random_bytes_fill(secret, sizeof(secret));
	if (found == 0 && !write_file(path, secret))
		log_warn(
			"cannot write %s: %s: after a restart of the gateway its peers take longer "
			"to notice",
			path, strerror(errno));
	s->qcd = secret_from(secret, sizeof(secret));
	bytes_wipe(secret, sizeof(secret));
	if (!s->qcd)
		log_error("%s", secret_error());
	return s->qcd != NULL;
}

bool sup_qcd_send(struct supervisor *s, struct sup_child *c)
{
	return sup_child_send(s, c, IPC_QCD_SECRET, secret_data(s->qcd), secret_size(s->qcd), NULL,
			      0);
}
