/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a fuzz target over files, and over each cut short and with single bits flipped: the corpus
 * as a normal test, with or without a fuzzer's compiler.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An exact copy, so that a sanitizer sees a read past the end. */
static void run(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);

	if (!copy)
		abort();
	memcpy(copy, data, size);
	LLVMFuzzerTestOneInput(copy, size);
	free(copy);
}

int main(int argc, char **argv)
{
	static uint8_t data[1 << 20];
	size_t size, step, n;
	int i;

	for (i = 1; i < argc; i++) {
		FILE *f = fopen(argv[i], "re");

		if (!f) {
			fprintf(stderr, "cannot open %s\n", argv[i]);
			return 1;
		}
		size = fread(data, 1, sizeof(data), f);
		fclose(f);
		run(data, size);
		step = size / 200 + 1;
		for (n = 0; n < size; n += step)
			run(data, n);
		for (n = 0; n < size; n += step) {
			data[n] ^= (uint8_t)(1u << (n % 8));
			run(data, size);
			data[n] ^= (uint8_t)(1u << (n % 8));
		}
	}
	printf("%d files\n", argc - 1);
	return argc > 1 ? 0 : 1;
}
