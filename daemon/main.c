/* SPDX-License-Identifier: Apache-2.0 */
/*
 * twinbored: the gateway.
 *
 * One binary, five roles. Started by a person or by systemd it is the supervisor; the supervisor
 * executes it again with --role for keyd, ike, route and control, each of which drops its
 * privileges here before it reads a byte. The sixth process, twinbore-dp, is a program of its own.
 *
 *	supervisor  root: files, ports, child processes       supervisor.c, sup_*.c
 *	keyd        secrets: signs and verifies AUTH          keyd.c, keyd_auth.c
 *	ike         IKEv2 on UDP 500 and 4500                 ike_shell*.c
 *	route       which tunnel carries which prefix         route_shell.c
 *	control     the control socket                        control*.c
 *
 * The shells translate between the cores (ike/, routing/) and the world; translate*.c holds the
 * pure part of that. child.c, loop.c, ring_port.c and ipc/ are what the roles share.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>
#include "base/log.h"
#include "base/secret.h"
#include "daemon/keyd_heap.h"
#include "daemon/privilege.h"
#include "daemon/role.h"
#include "daemon/supervisor.h"

#define DEFAULT_WATCHDOG_S 30
#define DEFAULT_CONFIG     "/etc/twinbore/twinbore.yaml"

static const char usage[] =
	"usage: twinbored [--config FILE] [--dataplane PATH] [--watchdog SECONDS] [--nice N]\n"
	"\n"
	"Runs the gateway in the foreground; logs go to standard error.\n"
	"\n"
	"  --config FILE     the configuration (default " DEFAULT_CONFIG ")\n"
	"  --dataplane PATH  the program twinbore-dp (default: next to this one)\n"
	"  --watchdog SECONDS\n"
	"                    kill and restart a process of the gateway that is silent for so\n"
	"                    long (default 30; 0: never)\n"
	"  --nice N          from -20 to 19: how it stands against other programs when CPUs are\n"
	"                    short (default -10, or what it was started with if not 0)\n"
	"  --version         print the version\n"
	"  --help            print this\n"
	"\n"
	"Exit status: 0 after an orderly stop, 1 when the gateway cannot run, 2 when the\n"
	"command line or the configuration is wrong.\n";

struct role_options {
	const char *role; /* NULL: the supervisor */
	const char *root;
	unsigned uid, gid;
	int level, format;
};

enum {
	OPT_CONFIG = 256,
	OPT_DATAPLANE,
	OPT_WATCHDOG,
	OPT_NICE,
	OPT_VERSION,
	OPT_HELP,
	OPT_ROLE,
	OPT_UID,
	OPT_GID,
	OPT_ROOT,
	OPT_LOG,
};

static const struct option options[] = {
	{"config", required_argument, NULL, OPT_CONFIG},
	{"dataplane", required_argument, NULL, OPT_DATAPLANE},
	{"watchdog", required_argument, NULL, OPT_WATCHDOG},
	{"nice", required_argument, NULL, OPT_NICE},
	{"version", no_argument, NULL, OPT_VERSION},
	{"help", no_argument, NULL, OPT_HELP},
	/* For the supervisor only. */
	{"role", required_argument, NULL, OPT_ROLE},
	{"uid", required_argument, NULL, OPT_UID},
	{"gid", required_argument, NULL, OPT_GID},
	{"root", required_argument, NULL, OPT_ROOT},
	{"log", required_argument, NULL, OPT_LOG},
	{NULL, 0, NULL, 0},
};

/* The dataplane in a build tree, or where `meson install` puts it. */
static void find_dataplane(char *out, size_t size)
{
	char self[PATH_MAX], *slash;
	const ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n > 0) {
		self[n] = '\0';
		slash = strrchr(self, '/');
		if (slash)
			*slash = '\0';
		if (slash &&
		    (size_t)snprintf(out, size, "%s/../dataplane/twinbore-dp", self) < size &&
		    access(out, X_OK) == 0)
			return;
	}
	snprintf(out, size, "%s/twinbore-dp", TWINBORE_LIBEXECDIR);
}

static bool copy_path(char *out, const char *path, const char *what)
{
	if (strlen(path) < SUP_PATH_SIZE) {
		memcpy(out, path, strlen(path) + 1);
		return true;
	}
	fprintf(stderr, "twinbored: the path after %s is too long\n", what);
	return false;
}

static bool take_seconds(unsigned *out, const char *text)
{
	char *end;
	const unsigned long n = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end != '\0' || n > 86400) {
		fprintf(stderr, "twinbored: --watchdog wants a number of seconds, not '%s'\n",
			text);
		return false;
	}
	*out = (unsigned)n;
	return true;
}

static bool take_nice(struct sup_options *o, const char *text)
{
	char *end;
	const long n = strtol(text, &end, 10);

	if (*text == '\0' || *end != '\0' || n < -20 || n > 19) {
		fprintf(stderr, "twinbored: --nice wants a number from -20 to 19, not '%s'\n",
			text);
		return false;
	}
	o->nice_given = true;
	o->nice = (int)n;
	return true;
}

static int role_main(const struct role_options *r)
{
	static const struct {
		const char *name;
		int (*main)(void);
		bool (*before)(const char **problem); /* before libcrypto is used at all */
	} roles[] = {
		{"keyd", keyd_main, keyd_heap_init},
		{"ike", ike_main},
		{"route", route_main},
		{"control", control_main},
	};
	char why[256], name[16];
	const char *problem;

	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
		if (strcmp(roles[i].name, r->role) != 0)
			continue;
		log_init(roles[i].name, (enum log_level)r->level, (enum log_format)r->format);
		snprintf(name, sizeof(name), "tb-%s", roles[i].name);
		(void)prctl(PR_SET_NAME, name, 0, 0, 0);
		if (roles[i].before && !roles[i].before(&problem))
			log_warn("%s", problem);
		/* Libraries read their files now: afterwards there are none. */
		if (!secret_init() || OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG, NULL) != 1) {
			log_error("the crypto libraries cannot start");
			return 1;
		}
		if (!privilege_drop(r->uid, r->gid, r->root, why, sizeof(why))) {
			log_error("%s", why);
			return 1;
		}
		/* Without exit handlers: what libraries do there may be more than the filter allows. */
		_exit(roles[i].main());
	}
	fprintf(stderr, "twinbored: there is no role '%s'\n", r->role);
	return 2;
}

int main(int argc, char **argv)
{
	static struct sup_options sup = {
		.config_path = DEFAULT_CONFIG,
		.watchdog_s = DEFAULT_WATCHDOG_S,
	};
	struct role_options role = {.root = "/", .level = LOG_LEVEL_INFO};
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (o) {
		case OPT_CONFIG:
			if (!copy_path(sup.config_path, optarg, "--config"))
				return 2;
			break;
		case OPT_DATAPLANE:
			if (!copy_path(sup.dataplane_path, optarg, "--dataplane"))
				return 2;
			break;
		case OPT_WATCHDOG:
			if (!take_seconds(&sup.watchdog_s, optarg))
				return 2;
			break;
		case OPT_NICE:
			if (!take_nice(&sup, optarg))
				return 2;
			break;
		case OPT_VERSION: puts("twinbored " TWINBORE_VERSION); return 0;
		case OPT_HELP: fputs(usage, stdout); return 0;
		case OPT_ROLE: role.role = optarg; break;
		case OPT_UID: role.uid = (unsigned)strtoul(optarg, NULL, 10); break;
		case OPT_GID: role.gid = (unsigned)strtoul(optarg, NULL, 10); break;
		case OPT_ROOT: role.root = optarg; break;
		case OPT_LOG:
			if (sscanf(optarg, "%d,%d", &role.level, &role.format) != 2)
				return 2;
			break;
		default: fputs(usage, stderr); return 2;
		}
	}
	if (optind != argc) {
		fputs(usage, stderr);
		return 2;
	}
	if (role.role)
		return role_main(&role);
	if (sup.dataplane_path[0] == '\0')
		find_dataplane(sup.dataplane_path, sizeof(sup.dataplane_path));
	return supervisor_main(&sup);
}
