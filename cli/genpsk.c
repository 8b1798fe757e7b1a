/* SPDX-License-Identifier: Apache-2.0 */
/*
 * genpsk: a pre-shared key of 32 characters, 192 bits: far above what an attacker who recorded an
 * exchange could search (RFC 7296 8, RFC 8019). The alphabet is what other vendors accept too.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/secret.h"
#include "cli/cli.h"

#define PSK_SIZE 32

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._";

/* 64 characters: six bits of each random byte, so that none is likelier than another. */
static void generate(char out[PSK_SIZE])
{
	uint8_t random[PSK_SIZE];
	size_t i;

	_Static_assert(sizeof(alphabet) == 64 + 1, "one character for six bits");
	do {
		random_bytes_fill(random, sizeof(random));
		for (i = 0; i < PSK_SIZE; i++)
			out[i] = alphabet[random[i] & 63];
	} while (out[0] == '0'); /* which some take for a number in octal */
	bytes_wipe(random, sizeof(random));
}

static bool write_all(int fd, const char *p, size_t n)
{
	ssize_t w;

	while (n) {
		w = write(fd, p, n);
		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return false;
		p += w;
		n -= (size_t)w;
	}
	return true;
}

/* A new file that only its owner can read: never over one that is there, never through a link. */
static int write_file(const struct cli_args *a, const char *psk, size_t size)
{
	const int fd = open(a->out, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	bool ok;
	int e;

	if (fd < 0 && errno == EEXIST)
		return cli_fail(
			a, "failed",
			"%s exists and is left as it is; remove it first if nobody needs it",
			a->out);
	if (fd < 0)
		return cli_fail(a, "failed", "cannot make %s: %s", a->out, strerror(errno));
	ok = !fchmod(fd, 0600) && write_all(fd, psk, size) && !fsync(fd);
	e = errno;
	if (close(fd) && ok) {
		e = errno;
		ok = false;
	}
	if (ok)
		return CLI_OK;
	(void)unlink(a->out);
	return cli_fail(a, "failed", "cannot write %s: %s", a->out, strerror(e));
}

static int write_stdout(const struct cli_args *a, const char *psk, size_t size)
{
	fflush(stdout);
	if (write_all(STDOUT_FILENO, psk, size))
		return CLI_OK;
	return cli_fail(a, "failed", "cannot write the key: %s", strerror(errno));
}

int cli_genpsk(const struct cli_args *a)
{
	static const char head[] = "{\"version\": 1, \"psk\": \"", tail[] = "\"}\n";
	char text[sizeof(head) + PSK_SIZE + sizeof(tail)], *p = text;
	int r;

	if (!secret_init())
		return cli_fail(a, "failed", "libsodium cannot start");
	(void)process_harden_memory();
	if (a->json && !a->out)
		p = stpcpy(p, head);
	generate(p);
	p += PSK_SIZE;
	if (a->json && !a->out)
		p = stpcpy(p, tail);
	else
		*p++ = '\n';
	r = a->out ? write_file(a, text, (size_t)(p - text))
		   : write_stdout(a, text, (size_t)(p - text));
	bytes_wipe(text, sizeof(text));
	if (r || !a->out)
		return r;
	if (a->json)
		cli_print_json(json_pack("{s:i, s:s}", "version", 1, "file", a->out));
	else
		fprintf(stderr, "the key is in %s; give the same file to the peer by a safe way\n",
			a->out);
	return CLI_OK;
}
