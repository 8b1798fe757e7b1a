/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a fuzz target over the files of the folders that are given: the corpus as an ordinary test.
 * Each input is also tried cut short at every byte, unless `--whole` comes first.
 */
#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool run(const char *path, bool whole)
{
	static uint8_t buf[1 << 16];
	FILE *f = fopen(path, "rb");
	size_t size;

	if (!f)
		return false;
	size = fread(buf, 1, sizeof(buf), f);
	fclose(f);
	for (size_t n = whole ? size : 0; n <= size; n++) {
		/* In memory of exactly this size, so that ASan sees the first byte too many. */
		uint8_t *exact = malloc(n ? n : 1);

		if (!exact)
			return false;
		memcpy(exact, buf, n);
		LLVMFuzzerTestOneInput(exact, n);
		free(exact);
	}
	return true;
}

int main(int argc, char **argv)
{
	const bool whole = argc > 1 && !strcmp(argv[1], "--whole");
	size_t n = 0;

	for (int i = 1 + whole; i < argc; i++) {
		DIR *dir = opendir(argv[i]);
		struct dirent *e;

		if (!dir) {
			perror(argv[i]);
			return 1;
		}
		while ((e = readdir(dir))) {
			char path[4096];

			if (e->d_name[0] == '.')
				continue;
			snprintf(path, sizeof(path), "%s/%s", argv[i], e->d_name);
			if (!run(path, whole)) {
				fprintf(stderr, "%s: cannot read\n", path);
				return 1;
			}
			n++;
		}
		closedir(dir);
	}
	printf("%zu inputs\n", n);
	return n ? 0 : 1;
}
