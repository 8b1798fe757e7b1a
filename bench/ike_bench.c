/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ike_bench: what establishing an IKE SA with its first CHILD_SA costs, and what it keeps in memory.
 *
 * Many sites connect to one hub: one core holds the hub's tunnels, another all of the sites'. With
 * the null transport both run in this process and a datagram is handed from one to the other; every
 * step is charged to the side that makes it, and so is the answer of its key process, which is
 * computed in place. Over sockets the sites run in a child process, both ends use UDP on loopback,
 * and a process' time is what the kernel says, system calls included.
 *
 * Dataplane requests are answered at once: an installation costs nothing here.
 *
 * Files: ike_bench_end (one end of the SAs), ike_bench_id (its key process), ike_bench_null and
 * ike_bench_sockets (what is between the ends).
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/secret.h"
#include "bench/ike_bench.h"

static const struct mode modes[] = {
	{"psk-x25519",
	 {IKE_ENCR_AES_GCM_16, 256, IKE_PRF_HMAC_SHA2_384, 0, IKE_DH_CURVE25519, 0},
	 {IKE_ENCR_AES_GCM_16, 256, 0, 0, 0, IKE_ESN_YES}},
	{"psk-p256",
	 {IKE_ENCR_AES_GCM_16, 256, IKE_PRF_HMAC_SHA2_384, 0, IKE_DH_ECP_256, 0},
	 {IKE_ENCR_AES_GCM_16, 256, 0, 0, 0, IKE_ESN_YES}},
	{"psk-p384",
	 {IKE_ENCR_AES_GCM_16, 256, IKE_PRF_HMAC_SHA2_384, 0, IKE_DH_ECP_384, 0},
	 {IKE_ENCR_AES_GCM_16, 256, 0, 0, 0, IKE_ESN_YES}},
	{"ecdsa-x25519",
	 {IKE_ENCR_AES_GCM_16, 256, IKE_PRF_HMAC_SHA2_384, 0, IKE_DH_CURVE25519, 0},
	 {IKE_ENCR_AES_GCM_16, 256, 0, 0, 0, IKE_ESN_YES},
	 .certificates = true},
	{"ecdsa-again",
	 {IKE_ENCR_AES_GCM_16, 256, IKE_PRF_HMAC_SHA2_384, 0, IKE_DH_CURVE25519, 0},
	 {IKE_ENCR_AES_GCM_16, 256, 0, 0, 0, IKE_ESN_YES},
	 .certificates = true,
	 .again = true},
	{"psk-modp2048",
	 {IKE_ENCR_AES_GCM_16, 256, IKE_PRF_HMAC_SHA2_384, 0, IKE_DH_MODP_2048, 0},
	 {IKE_ENCR_AES_GCM_16, 256, 0, 0, 0, IKE_ESN_YES}},
};

static void print(const char *transport, const struct mode *m, const struct result *r, bool json)
{
	const double per_core = r->responder_us > 0 ? 1e6 / r->responder_us : 0;

	if (json) {
		printf("{\"bench\": \"ike\", \"transport\": \"%s\", \"mode\": \"%s\", \"n\": %u, "
		       "\"wall_s\": %.3f, \"per_s\": %.0f, \"initiator_us\": %.1f, "
		       "\"responder_us\": %.1f, \"responder_per_s_per_core\": %.0f, "
		       "\"bytes_per_sa\": %.0f}\n",
		       transport, m->name, r->n, r->wall_s, r->n / r->wall_s, r->initiator_us,
		       r->responder_us, per_core, r->bytes);
		return;
	}
	printf("%-9s  %-16s %7u %9.0f %12.1f %12.1f %12.0f ", transport, m->name, r->n,
	       r->n / r->wall_s, r->initiator_us, r->responder_us, per_core);
	if (r->bytes > 0)
		printf("%9.0f\n", r->bytes);
	else
		printf("%9s\n", "-");
}

/* A process for each case, so that none finds the memory of the one before. */
static bool in_child(struct result (*run)(const struct mode *m, uint32_t n), const char *transport,
		     const struct mode *m, uint32_t n, bool json)
{
	int status = 1;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		const struct result r = run(m, n);

		print(transport, m, &r, json);
		exit(0);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static const char usage[] = "usage: ike_bench [--n N] [--mode NAME] [--json]\n"
			    "  --n N        establishments of one case (1 to 20000, default 2000)\n"
			    "  --mode NAME  one of the cases only\n"
			    "  --json       one object a line and case\n";

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"n", required_argument, NULL, 'n'},
		{"mode", required_argument, NULL, 'm'},
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	const char *only = NULL;
	bool json = false, any = false;
	long n = 2000;
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 'n': n = strtol(optarg, NULL, 10); break;
		case 'm': only = optarg; break;
		case 'j': json = true; break;
		case 'h': fputs(usage, stdout); return 0;
		default: fputs(usage, stderr); return 2;
		}
	}
	if (n < 1 || n > BENCH_N_MAX || optind != argc) {
		fputs(usage, stderr);
		return 2;
	}
	if (!secret_init()) {
		fputs("ike_bench: libsodium cannot be used\n", stderr);
		return 1;
	}
	bench_identities_make();
	if (!json)
		printf("%-9s  %-16s %7s %9s %12s %12s %12s %9s\n", "transport", "mode", "n",
		       "per s", "initiator us", "responder us", "resp. /s/core", "B per SA");
	for (size_t i = 0; i < BENCH_N_OF(modes); i++) {
		if (only && strcmp(only, modes[i].name) != 0)
			continue;
		any = true;
		if (!in_child(bench_null_run, "null", &modes[i], (uint32_t)n, json) ||
		    !in_child(bench_sockets_run, "sockets", &modes[i], (uint32_t)n, json))
			return 1;
	}
	if (!any) {
		fprintf(stderr, "ike_bench: no case is called '%s'\n", only);
		return 2;
	}
	return 0;
}
