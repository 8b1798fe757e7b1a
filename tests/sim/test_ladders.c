/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ladders: what two cores say and do, word by word, compared with files in ladders/. SPIs are masked.
 * `--write DIR` writes the files anew; read the difference before you commit it.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include "base/secret.h"
#include "tests/sim/world.h"

static struct world w;

static void connect_and_rekey(void)
{
	world_until(&w, settled, span_s(5));
	fprintf(w.ladder, "-- child rekey by A\n");
	node_event(&w.node[0], IKE_EV_REKEY_CHILD, 0);
	world_run(&w, span_s(7));
	fprintf(w.ladder, "-- IKE rekey by B\n");
	node_event(&w.node[1], IKE_EV_REKEY_IKE, 0);
	world_run(&w, span_s(1));
	fprintf(w.ladder, "-- delete by A\n");
	node_event(&w.node[0], IKE_EV_TERMINATE, 0);
	world_run(&w, span_s(1));
}

static void collisions(void)
{
	world_until(&w, settled, span_s(5));
	world_run(&w, span_s(1));
	fprintf(w.ladder, "-- both rekey the child\n");
	node_event(&w.node[0], IKE_EV_REKEY_CHILD, 0);
	node_event(&w.node[1], IKE_EV_REKEY_CHILD, 0);
	world_run(&w, span_s(7));
	world_run(&w, span_s(1));
	fprintf(w.ladder, "-- both rekey the IKE SA\n");
	node_event(&w.node[0], IKE_EV_REKEY_IKE, 0);
	node_event(&w.node[1], IKE_EV_REKEY_IKE, 0);
	world_run(&w, span_s(1));
	fprintf(w.ladder, "-- child against IKE SA\n");
	node_event(&w.node[0], IKE_EV_REKEY_CHILD, 0);
	node_event(&w.node[1], IKE_EV_REKEY_IKE, 0);
	world_run(&w, span_s(10));
}

static void cookie_and_loss(void)
{
	world_until(&w, settled, span_s(20));
	fprintf(w.ladder, "-- silence\n");
	w.faults.cut = true;
	world_run(&w, span_s(50));
}

static const struct ladder {
	const char *name;
	void (*run)(void);
	uint64_t drop;
	bool cookies;
} ladders[] = {
	{"connect-rekey-delete", connect_and_rekey, 0, false},
	{"collisions", collisions, 0, false},
	{"cookie-loss-dead-peer", cookie_and_loss, 6, true},
};

/* SPIs (words of 8 or 16 hexadecimal digits) differ from one library's primitives to another's. */
static void mask(char *s)
{
	while (*s) {
		size_t n = strspn(s, "0123456789abcdef");

		if ((n == 8 || n == 16) && !isalnum((unsigned char)s[n]))
			memset(s, '#', n);
		s += n;
		while (*s && !strchr(" [:", *s))
			s++;
		if (*s)
			s++;
	}
}

static char *play(const struct ladder *l)
{
	char *text = NULL;
	size_t size = 0;

	world_init(&w, 5);
	w.ladder = open_memstream(&text, &size);
	if (!w.ladder)
		abort();
	w.drop_ike = l->drop;
	if (l->cookies)
		w.node[1].limits.cookie_threshold = 0;
	if (world_start(&w))
		l->run();
	if (w.failure[0])
		fprintf(w.ladder, "FAILURE %s\n", w.failure);
	fclose(w.ladder);
	w.ladder = NULL;
	world_fini(&w);
	mask(text);
	return text;
}

static bool same(const char *dir, const struct ladder *l, const char *text)
{
	char path[512], line[512];
	const char *p = text;
	unsigned n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s.txt", dir, l->name);
	f = fopen(path, "r");
	if (!f) {
		printf("# %s cannot be opened\n", path);
		return false;
	}
	while (fgets(line, sizeof(line), f)) {
		const size_t size = strlen(line);

		n++;
		if (strncmp(line, p, size)) {
			printf("# %s:%u\n# want %s# have %.*s\n", path, n, line,
			       (int)strcspn(p, "\n"), p);
			fclose(f);
			return false;
		}
		p += size;
	}
	fclose(f);
	if (*p)
		printf("# %s: more than expected: %.*s\n", path, (int)strcspn(p, "\n"), p);
	return !*p;
}

int main(int argc, char **argv)
{
	const size_t n = sizeof(ladders) / sizeof(ladders[0]);
	bool all = true;

	if (!secret_init() || argc < 2)
		return 1;
	printf("1..%zu\n", n);
	for (size_t i = 0; i < n; i++) {
		char *text = play(&ladders[i]);
		bool ok;

		if (argc == 3 && !strcmp(argv[1], "--write")) {
			char path[512];
			FILE *f;

			snprintf(path, sizeof(path), "%s/%s.txt", argv[2], ladders[i].name);
			f = fopen(path, "w");
			ok = f && fputs(text, f) >= 0;
			if (f)
				fclose(f);
		} else {
			ok = same(argv[1], &ladders[i], text);
		}
		printf("%s %zu - %s\n", ok ? "ok" : "not ok", i + 1, ladders[i].name);
		all &= ok;
		free(text);
	}
	return !all;
}
