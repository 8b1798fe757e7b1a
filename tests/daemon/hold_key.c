/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hold_key: takes the private key in file argv[1] as keyd does, signs, and waits; test_key_places
 * looks into its memory meanwhile. With argv[2] "outside" there is no shelter.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "daemon/keyd_auth.h"
#include "daemon/keyd_heap.h"
#include "daemon/keyd_store.h"

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void __real_keyd_heap_shelter(bool on);
void __wrap_keyd_heap_shelter(bool on);

static bool outside, sheltered;
static unsigned n_ordinary; /* blocks of the ordinary heap, asked for while there is shelter */

void *__wrap_malloc(size_t size)
{
	n_ordinary += sheltered;
	return __real_malloc(size);
}

void __wrap_keyd_heap_shelter(bool on)
{
	sheltered = on;
	__real_keyd_heap_shelter(on && !outside);
}

int main(int argc, char **argv)
{
	const struct ipc_secret head = {.kind = IPC_SECRET_PRIVATE_KEY};
	char text[KEYD_PROBLEM_MAX];
	struct sb why = sb_of(text, sizeof(text));
	struct keyd_keys keys = {0};
	uint8_t auth[PKI_SIG_MAX];
	struct secret *file;
	const char *problem = "";
	const struct pki_span octets = {(const uint8_t *)"octets", 6};
	uint32_t method;
	ssize_t n;
	int fd;

	if (argc < 2 || !secret_init() || !keyd_heap_init(&problem)) {
		fprintf(stderr, "hold_key: %s\n", problem);
		return 1;
	}
	outside = argc > 2;
	file = secret_new(PKI_CERT_MAX);
	fd = open(argv[1], O_RDONLY | O_CLOEXEC);
	n = fd >= 0 && file ? read(fd, secret_data_mut(file), PKI_CERT_MAX) : -1;
	if (n <= 0 || !keyd_take(&keys, &head, secret_data(file), (size_t)n, NULL, &why)) {
		fprintf(stderr, "hold_key: %s\n", text);
		return 1;
	}
	secret_free(file);
	printf("%u\n", n_ordinary);
	for (int i = 0; i < 3; i++) {
		if (!keyd_sign(keys.key[0], &(struct pki_takes){.hashes = PKI_HASHES}, octets, auth,
			       &method, &why))
			return 1;
	}
	puts("ready");
	fflush(stdout);
	(void)getchar();
	return 0;
}
