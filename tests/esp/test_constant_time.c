/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each burst AES-GCM does the same whatever the secrets are: a child seals or opens a burst one
 * instruction after the other, another child the same burst with other keys and other text, and each
 * instruction must be the same and find the same in all general registers. So no branch, no address and
 * no operand of an instruction whose time varies can depend on a secret; instructions that take addresses
 * from vectors (gather, scatter) must not occur.
 *
 * Both children are forked from one process, so that addresses are the same.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>
#include "util.h"

#if defined(__x86_64__)
#define HEAD       16u /* ESP header and IV */
#define SLOT       2048u
#define N_BURST    9u
#define STEPS_MAX  400000u
#define BREAKPOINT 0xccu

/* What a child does between its breakpoints. */
enum work {
	SEAL,
	OPEN,
	OPEN_BAD, /* of each packet one bit of the ICV is wrong: which one depends on the secret */
	KEYS,     /* keys are expanded */
	/* What must be found out. */
	LEAK_BRANCH,
	LEAK_ADDRESS,
	LEAK_GATHER,
};

struct step {
	uint64_t rip, registers; /* a digest */
};

struct trace {
	struct step steps[STEPS_MAX];
	size_t n;
	bool gathers;
};

struct burst_case {
	uint16_t bits[2]; /* of the keys, in turn */
	bool esn;
	bool known; /* the keys were used just before */
	uint16_t sizes[N_BURST];
};

/* All alike; every shape; keys of 192 bits: each step takes microseconds of the kernel's. */
static const struct burst_case cases[] = {
	{{256, 256}, false, false, {68, 68, 68, 68, 68, 68, 68, 68, 68}},
	{{256, 256}, false, true, {68, 68, 68, 68, 68, 68, 68, 68, 68}},
	{{128, 256}, true, false, {68, 580, 1424, 1, 15, 16, 44, 128, 100}},
	{{128, 256}, true, true, {68, 580, 1424, 1, 15, 16, 17, 64, 500}},
	{{192, 192}, false, true, {68, 127, 68, 2, 40, 600, 52, 68, 128}},
};
#define N_CASES (sizeof(cases) / sizeof(cases[0]))

static const struct esp_backend *ours; /* the one that is tested */
static uint8_t room[N_BURST][SLOT];
static uint8_t table[256];
static volatile uint64_t kept; /* the secret, which is to be in no register when the work begins */
static struct trace traces[2];

static __attribute__((noinline)) void leak(enum work w, uint8_t secret)
{
	static volatile uint32_t sink;

	if (w == LEAK_BRANCH) {
		if (secret & 1)
			sink = 1;
		else
			sink = sink + 2;
	} else if (w == LEAK_ADDRESS) {
		sink = ((volatile uint8_t *)table)[secret];
	} else {
		__asm__ volatile("vpxor %%xmm1, %%xmm1, %%xmm1\n\t"
				 "vpcmpeqd %%xmm2, %%xmm2, %%xmm2\n\t"
				 "vpgatherdd %%xmm2, (%0,%%xmm1,4), %%xmm0" ::"r"(table)
				 : "xmm0", "xmm1", "xmm2", "memory");
	}
}

/* The child: never returns. */
static void child(const struct burst_case *c, enum work w, uint64_t secret)
{
	const struct esp_backend *b = ours;
	struct rng r = {.s = secret};
	uint8_t raw[2][ESP_ENCR_KEY_MAX];
	void *ctx = b->ctx_new(), *sealer = c->known ? ctx : b->ctx_new();
	struct esp_suite suites[2];
	struct esp_job jobs[N_BURST];
	struct esp_key *keys[2] = {0};

	for (unsigned i = 0; i < 2; i++) {
		rng_fill(&r, raw[i], sizeof(raw[i]));
		(void)esp_suite_init(&suites[i], ESP_ENCR_AES_GCM_16, c->bits[i], 0);
		keys[i] = w == KEYS ? NULL : b->key_new(ctx, &suites[i], c->esn, raw[i], NULL);
	}
	for (unsigned i = 0; i < N_BURST; i++) {
		/* header and IV are no secrets */
		memset(room[i], (int)i, HEAD);
		rng_fill(&r, room[i] + HEAD, c->sizes[i]);
		jobs[i] = (struct esp_job){
			.key = keys[i % 2],
			.esp = room[i],
			.payload_size = c->sizes[i],
			.seq_hi = 1,
		};
	}
	/* what is sealed again afterwards may be ciphertext */
	if (w == OPEN || w == OPEN_BAD || (w == SEAL && c->known))
		b->seal(sealer, jobs, N_BURST);
	for (unsigned i = 0; i < N_BURST && w == OPEN_BAD; i++)
		room[i][HEAD + c->sizes[i] + rng_below(&r, 16)] ^=
			(uint8_t)(1u << rng_below(&r, 8));
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
		_exit(1);
	kept = secret;
	/* What the preparation has left in registers says nothing of the work. */
	__asm__ volatile("xor %%eax, %%eax\n\txor %%ecx, %%ecx\n\txor %%edx, %%edx\n\t"
			 "xor %%esi, %%esi\n\txor %%edi, %%edi\n\txor %%r8d, %%r8d\n\t"
			 "xor %%r9d, %%r9d\n\txor %%r10d, %%r10d\n\txor %%r11d, %%r11d\n\tint3" ::
				 : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11",
				   "cc", "memory");
	switch (w) {
	case SEAL: b->seal(ctx, jobs, N_BURST); break;
	case OPEN:
	case OPEN_BAD: b->open(ctx, jobs, N_BURST); break;
	case KEYS: keys[0] = b->key_new(ctx, &suites[0], c->esn, raw[0], NULL); break;
	case LEAK_BRANCH:
	case LEAK_ADDRESS:
	case LEAK_GATHER: leak(w, (uint8_t)kept); break;
	}
	__asm__ volatile("int3" ::: "memory");
	for (unsigned i = 0; i < N_BURST && w <= OPEN_BAD; i++)
		if (jobs[i].ok != (w != OPEN_BAD))
			_exit(2);
	_exit(w == KEYS && !keys[0] ? 2 : 0);
}

static uint64_t digest(const struct user_regs_struct *u)
{
	const uint64_t v[] = {u->rax, u->rbx, u->rcx, u->rdx, u->rsi, u->rdi, u->rbp, u->rsp,
			      u->r8,  u->r9,  u->r10, u->r11, u->r12, u->r13, u->r14, u->r15};
	uint64_t d = 0;

	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++)
		d = (d ^ v[i]) * 0x9e3779b97f4a7c15u + (d >> 29);
	return d;
}

/* Intel SDM 2, 2.3 and 2.7: map 0F38, where gathers are 90 to 93, prefetching ones C6 and C7, scatters A0 to A3. */
static bool is_gather(const uint8_t *at)
{
	uint8_t opcode;

	if (at[0] == 0x62 && (at[1] & 7) == 2)
		opcode = at[4];
	else if (at[0] == 0xc4 && (at[1] & 0x1f) == 2)
		opcode = at[3];
	else
		return false;
	return (opcode & 0xfc) == 0x90 || (opcode & 0xfc) == 0xa0 || (opcode & 0xfe) == 0xc6;
}

static void trace(struct trace *t, const struct burst_case *c, enum work w, uint64_t secret)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0)
		child(c, w, secret);
	t->n = 0;
	t->gathers = false;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFSTOPPED(status)) {
		print_message("this process may not trace its children\n");
		skip();
	}
	for (;;) {
		struct user_regs_struct u;

		assert_int_equal(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP);
		assert_int_equal(ptrace(PTRACE_GETREGS, pid, NULL, &u), 0);
		/* The child's code is ours. */
		if (*(const uint8_t *)u.rip == BREAKPOINT)
			break;
		assert_true(t->n < STEPS_MAX);
		t->gathers |= is_gather((const uint8_t *)u.rip);
		t->steps[t->n++] = (struct step){u.rip, digest(&u)};
	}
	assert_int_equal(ptrace(PTRACE_CONT, pid, NULL, NULL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid); /* the second breakpoint */
	if (WIFSTOPPED(status)) {
		assert_int_equal(ptrace(PTRACE_CONT, pid, NULL, NULL), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
	}
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* The number of the first step that differs, or the number of steps. */
static size_t compare(bool registers)
{
	const struct trace *a = &traces[0], *b = &traces[1];
	size_t i = 0;

	while (i < a->n && i < b->n && a->steps[i].rip == b->steps[i].rip &&
	       (!registers || a->steps[i].registers == b->steps[i].registers))
		i++;
	return i;
}

static void check(const struct burst_case *c, enum work w, bool registers)
{
	size_t same;

	trace(&traces[0], c, w, 1);
	trace(&traces[1], c, w, 0x123456789);
	same = compare(registers);
	if (same != traces[0].n || same != traces[1].n)
		fail_msg("work %d: instruction %zu of %zu and %zu differs, at %#llx and %#llx", w,
			 same, traces[0].n, traces[1].n,
			 (unsigned long long)traces[0].steps[same].rip,
			 (unsigned long long)traces[1].steps[same].rip);
	assert_true(traces[0].n > 100);
	assert_false(traces[0].gathers);
}

static void test_bursts(void **state)
{
	for (size_t i = 0; i < N_CASES; i++) {
		check(&cases[i], SEAL, true);
		check(&cases[i], OPEN, true);
	}
}

/* Which words of an ICV differ stands in a register; nobody asks for more than whether one does. */
static void test_bad(void **state)
{
	for (size_t i = 0; i < N_CASES; i++)
		check(&cases[i], OPEN_BAD, false);
}

/* FIPS 197 5.2 is done in general registers. */
static void test_keys(void **state)
{
	for (size_t i = 0; i < N_CASES; i++)
		check(&cases[i], KEYS, false);
}

static void test_leaks_are_found(void **state)
{
	static const enum work leaks[] = {LEAK_BRANCH, LEAK_ADDRESS};

	for (size_t i = 0; i < 2; i++) {
		trace(&traces[0], &cases[0], leaks[i], 1);
		trace(&traces[1], &cases[0], leaks[i], 2);
		assert_true(compare(true) < traces[0].n);
		assert_int_equal(compare(false) < traces[0].n, leaks[i] == LEAK_BRANCH);
	}
	trace(&traces[0], &cases[0], LEAK_GATHER, 1);
	assert_true(traces[0].gathers);
}

/* Its argument is the backend's name. */
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_leaks_are_found),
		cmocka_unit_test(test_bursts),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_keys),
	};

	if (argc != 2 || !(ours = esp_backend_by_name(argv[1])))
		return 2;
	if (!backend_works(ours))
		return 77; /* skipped: this CPU lacks the instructions */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
#else
int main(void)
{
	return 77;
}
#endif
