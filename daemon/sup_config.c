/* SPDX-License-Identifier: Apache-2.0 */
/* sup_config: the configuration's file. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/log.h"
#include "daemon/supervisor.h"
#include "daemon/translate.h"

#define CONFIG_TEXT_MAX (16u << 20)

/* Appends one line; what does not fit is left out, the first lines matter most. */
void sup_problem(char *problems, size_t size, const char *fmt, ...)
{
	const size_t n = strlen(problems);
	char line[SUP_PATH_SIZE + 512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (n + strlen(line) + 2 <= size)
		snprintf(problems + n, size - n, "%s\n", line);
}

static char *read_text(const char *path, size_t *size, char *problems, size_t problems_size)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char *text = NULL;
	struct stat st;
	size_t n = 0;

	if (fd < 0) {
		sup_problem(
			problems, problems_size,
			"%s: %s: write one as twinbore.yaml(5) says, or name another with --config",
			path, strerror(errno));
		return NULL;
	}
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		sup_problem(problems, problems_size, "%s: not a regular file", path);
		goto out;
	}
	if (st.st_size <= 0 || (uint64_t)st.st_size > CONFIG_TEXT_MAX) {
		sup_problem(problems, problems_size, "%s: the file is empty or larger than 16 MiB",
			    path);
		goto out;
	}
	text = malloc((size_t)st.st_size);
	while (text && n < (size_t)st.st_size) {
		const ssize_t r = read(fd, text + n, (size_t)st.st_size - n);

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			break;
		n += (size_t)r;
	}
	if (!text || n == 0) {
		sup_problem(problems, problems_size, "%s: cannot be read: %s", path,
			    strerror(errno));
		free(text);
		text = NULL;
	}
	*size = n;
out:
	close(fd);
	return text;
}

/* What the text may say but one SA cannot carry: told now, with its place, not by the ike process. */
static bool check_tunnels(const char *path, const struct config *c, char *problems, size_t size)
{
	struct ike_tunnel_cfg *cfg = calloc(1, sizeof(*cfg));
	bool ok = cfg != NULL;
	char why[256];

	for (size_t i = 0; cfg && i < c->n_connections; i++) {
		const struct config_connection *conn = &c->connections[i];

		for (size_t j = 0; j < conn->n_tunnels; j++) {
			const struct config_tunnel *t = &conn->tunnels[j];

			if (translate_ike_tunnel(conn, t, cfg, why, sizeof(why)))
				continue;
			sup_problem(problems, size, "%s:%u:1: %s", path, t->line, why);
			ok = false;
		}
	}
	free(cfg);
	return ok;
}

struct config *sup_config_load(const char *path, char **text, size_t *text_size, char *problems,
			       size_t problems_size)
{
	struct config_errors *errors = calloc(1, sizeof(*errors));
	struct config *c = NULL;

	problems[0] = '\0';
	*text = errors ? read_text(path, text_size, problems, problems_size) : NULL;
	if (!*text) {
		free(errors);
		return NULL;
	}
	c = config_parse(*text, *text_size, errors);
	for (size_t i = 0; i < errors->n && i < CONFIG_MAX_ERRORS; i++)
		sup_problem(problems, problems_size, "%s:%u:%u: %s", path, errors->errors[i].line,
			    errors->errors[i].column, errors->errors[i].text);
	if (errors->n > CONFIG_MAX_ERRORS)
		sup_problem(problems, problems_size, "%s: and %zu more errors", path,
			    errors->n - CONFIG_MAX_ERRORS);
	for (size_t i = 0; c && i < errors->n_warnings && i < CONFIG_MAX_ERRORS; i++)
		log_warn("%s:%u:%u: %s", path, errors->warnings[i].line, errors->warnings[i].column,
			 errors->warnings[i].text);
	if (c && !check_tunnels(path, c, problems, problems_size)) {
		config_free(c);
		c = NULL;
	}
	if (!c && problems[0] == '\0')
		sup_problem(problems, problems_size, "%s: out of memory", path);
	if (!c) {
		free(*text);
		*text = NULL;
	}
	free(errors);
	return c;
}
