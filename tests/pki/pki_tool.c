/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pki_tool: pki/ for a script.
 *
 *   pki_tool sign KEY HASHES FILE       AUTH data to standard output; its method to standard error
 *   pki_tool verify PUBLIC METHOD FILE AUTH   exit code 0 or 1
 *   pki_tool dn TEXT                    DER to standard output
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "pki/pki.h"

static struct pki_span slurp(const char *path)
{
	static uint8_t buf[4][65536];
	static size_t n;
	FILE *f = fopen(path, "rb");
	struct pki_span s = {buf[n], 0};

	if (!f || n == 4) {
		fprintf(stderr, "%s: cannot open\n", path);
		exit(2);
	}
	s.size = fread(buf[n++], 1, sizeof(buf[0]), f);
	fclose(f);
	return s;
}

int main(int argc, char **argv)
{
	char text[PKI_TEXT_SIZE];
	struct sb why = sb_of(text, sizeof(text));
	uint8_t out[PKI_SIG_MAX];
	struct pki_span file;
	uint32_t method;
	size_t n = 0;

	if (argc == 5 && strcmp(argv[1], "sign") == 0) {
		struct pki_key *key;

		file = slurp(argv[2]);
		key = pki_key_parse(file.data, file.size, &why);
		if (key)
			n = pki_sign(key, &(struct pki_takes){.hashes = (uint32_t)atoi(argv[3])},
				     slurp(argv[4]), out, &method, &why);
		pki_key_free(key);
		fprintf(stderr, n ? "%u\n" : "", method);
	} else if (argc == 6 && strcmp(argv[1], "verify") == 0) {
		struct pki_pub *pub;
		bool ok;

		file = slurp(argv[2]);
		pub = pki_pub_parse(file.data, file.size, &why);
		ok = pub && pki_verify(pub, (uint32_t)atoi(argv[3]), false, slurp(argv[4]),
				       slurp(argv[5]), &why);
		pki_pub_free(pub);
		if (!ok)
			fprintf(stderr, "%s\n", text);
		return ok ? 0 : 1;
	} else if (argc == 3 && strcmp(argv[1], "dn") == 0) {
		n = pki_dn_parse(argv[2], out, sizeof(out), &why);
	}
	if (n == 0)
		fprintf(stderr, "%s\n", text);
	return n > 0 && fwrite(out, 1, n, stdout) == n ? 0 : 1;
}
