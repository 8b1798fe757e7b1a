/* SPDX-License-Identifier: Apache-2.0 */
/*
 * eal: DPDK's environment. Devices are not named in its arguments but attached later, one by one
 * (port.c), so that an error belongs to a port; PCI ports must be allowed here, though.
 *
 * Without hugepages DPDK 22.11 falls back to its legacy memory, which excludes --in-memory; hence
 * two sets of arguments. Either way nothing is left in the file system.
 */
#include "dataplane/eal.h"

#include <dlfcn.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <rte_alarm.h>
#include <rte_common.h>
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>
#include "base/log.h"
#include "dataplane/cryptodev.h"
#include "dataplane/privileges.h"

#define MAX_ARGS        64
#define ARGS_SIZE       4096
#define LINE_SIZE       512
#define HUGEPAGE_MB     2
#define DROP_TIMEOUT_MS 1000
#define US_PER_MS       (US_PER_S / MS_PER_S)

/* Levels of libbpf and libxdp alike. */
#define LIBBPF_WARN 0
#define LIBBPF_INFO 1

static char first_error[LINE_SIZE];

struct args {
	char *v[MAX_ARGS + 1];
	int n;
	char text[ARGS_SIZE];
	size_t used;
};

__attribute__((format(printf, 2, 3))) static void arg(struct args *a, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(a->text + a->used, sizeof(a->text) - a->used, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(a->text) - a->used || a->n == MAX_ARGS)
		return;
	a->v[a->n++] = a->text + a->used;
	a->used += (size_t)n + 1;
}

static void log_line(char *line, bool error)
{
	line[strcspn(line, "\n")] = '\0';
	if (!line[0])
		return;
	if (error && !first_error[0])
		snprintf(first_error, sizeof(first_error), "%s", line);
	log_debug("%s", line);
}

static ssize_t stream_write(void *cookie, const char *buf, size_t size)
{
	char line[LINE_SIZE];
	size_t at = 0;

	while (at < size) {
		const char *end = memchr(buf + at, '\n', size - at);
		const size_t n = end ? (size_t)(end - buf) - at : size - at;

		snprintf(line, sizeof(line), "%.*s", (int)n, buf + at);
		log_line(line, rte_log_cur_msg_loglevel() <= (int)RTE_LOG_ERR);
		at += n + 1;
	}
	return (ssize_t)size;
}

/* DPDK's log goes to ours, at debug level; its errors are remembered for our own messages. */
static void redirect_log(void)
{
	const cookie_io_functions_t io = {.write = stream_write};
	FILE *f = fopencookie(NULL, "w", io);

	if (!f)
		return;
	setvbuf(f, NULL, _IOLBF, LINE_SIZE);
	rte_openlog_stream(f);
}

static int libbpf_print(int level, const char *fmt, va_list ap)
{
	char line[LINE_SIZE];

	if (level > LIBBPF_INFO)
		return 0; /* every relocation of every program */
	vsnprintf(line, sizeof(line), fmt, ap);
	log_line(line, level == LIBBPF_WARN);
	return 0;
}

/* libxdp and libbpf, if a driver brought them, print to stderr unless told otherwise. */
static void redirect_libbpf(void)
{
	static const struct {
		const char *library, *function;
	} printers[] = {
		{"libbpf.so.1", "libbpf_set_print"},
		{"libxdp.so.1", "libxdp_set_print"},
	};

	for (size_t i = 0; i < sizeof(printers) / sizeof(printers[0]); i++) {
		void *lib = dlopen(printers[i].library, RTLD_NOW | RTLD_NOLOAD);
		void *(*set)(int (*)(int, const char *, va_list));

		if (!lib)
			continue;
		*(void **)&set = dlsym(lib, printers[i].function);
		if (set)
			(void)set(libbpf_print);
		/* The handle is kept: the library stays for the life of the process. */
	}
}

/* True if the kernel would give that much in huge pages now. */
static bool hugepages_free(unsigned mb)
{
	void *p = mmap(NULL, (size_t)mb << 20, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);

	if (p == MAP_FAILED)
		return false;
	munmap(p, (size_t)mb << 20);
	return true;
}

/* "(0,1)" of the CPUs that we may run on. */
static void cpu_list(char *out, size_t size)
{
	size_t n = 0;
	cpu_set_t set;

	CPU_ZERO(&set);
	(void)sched_getaffinity(0, sizeof(set), &set);
	n += (size_t)snprintf(out, size, "(");
	for (int i = 0; i < CPU_SETSIZE && n + 8 < size; i++) {
		if (CPU_ISSET(i, &set))
			n += (size_t)snprintf(out + n, size - n, "%s%d", n > 1 ? "," : "", i);
	}
	snprintf(out + n, size - n, ")");
}

/* The manager is lcore 0, workers follow; without configured CPUs all float over all of ours. */
static void lcores_arg(struct args *a, const struct config *c)
{
	char all[512], map[ARGS_SIZE / 2];
	size_t n;

	cpu_list(all, sizeof(all));
	n = (size_t)snprintf(map, sizeof(map), "0@%s", all);
	for (unsigned i = 0; i < c->n_workers && n < sizeof(map); i++) {
		if (c->worker_cpus)
			n += (size_t)snprintf(map + n, sizeof(map) - n, ",%u@%d", i + 1,
					      c->worker_cpus[i]);
		else
			n += (size_t)snprintf(map + n, sizeof(map) - n, ",%u@%s", i + 1, all);
	}
	arg(a, "--lcores");
	arg(a, "%s", map);
}

static void devices_args(struct args *a, const struct config *c)
{
	bool pci = false;

	for (size_t i = 0; i < c->n_ports; i++) {
		if (!c->ports[i].is_pci)
			continue;
		arg(a, "-a");
		arg(a, "%s", c->ports[i].device);
		pci = true;
	}
	if (dp_cryptodev_is_pci(c->crypto_device)) {
		arg(a, "-a");
		arg(a, "%s", c->crypto_device);
		pci = true;
	}
	if (!pci)
		arg(a, "--no-pci");
}

bool dp_eal_init(const struct config *c, bool *hugepages, char *error, size_t error_size)
{
	static struct args a;
	/* Of half a page DPDK makes an error. */
	const unsigned memory_mb = RTE_ALIGN(c->memory_mb, HUGEPAGE_MB);
	const bool available = c->hugepages != CONFIG_HUGEPAGES_OFF && hugepages_free(memory_mb);

	if (c->hugepages == CONFIG_HUGEPAGES_REQUIRE && !available) {
		snprintf(
			error, error_size,
			"no free hugepages: run `sysctl vm.nr_hugepages=%u` (%u MiB of 2 MiB pages "
			"for each gateway on this machine), or set dataplane.hugepages: auto",
			memory_mb / HUGEPAGE_MB, memory_mb);
		return false;
	}
	*hugepages = available;
	arg(&a, "twinbore-dp");
	lcores_arg(&a, c);
	arg(&a, "-m");
	arg(&a, "%u", memory_mb);
	if (available) {
		arg(&a, "--in-memory");
	} else {
		arg(&a, "--no-huge");
		arg(&a, "--no-shconf");
		arg(&a, "--file-prefix=twinbore-%d", (int)getpid());
	}
	arg(&a, "--iova-mode=va");
	arg(&a, "--no-telemetry");
	devices_args(&a, c);

	redirect_log();
	if (rte_eal_init(a.n, a.v) < 0) {
		snprintf(error, error_size, "DPDK does not start (%s): %s", rte_strerror(rte_errno),
			 first_error[0] ? first_error : "see the log at level debug");
		return false;
	}
	redirect_libbpf();
	/* Our own runtime directory holds nothing, and would stay for every start. That of hugepages
	 * ("rte") may be in another's use. */
	if (!available)
		(void)rmdir(rte_eal_get_runtime_dir());
	return true;
}

enum drop_state {
	DROP_WAITS,
	DROP_DONE,
	DROP_FAILED,
};

static void drop_alarm(void *arg)
{
	uint32_t *state = arg;

	__atomic_store_n(state, dp_privileges_drop() ? DROP_DONE : DROP_FAILED, __ATOMIC_RELEASE);
}

bool dp_eal_privileges_drop(void)
{
	static uint32_t state = DROP_WAITS;

	if (rte_eal_alarm_set(1, drop_alarm, &state) != 0)
		return false;
	for (int ms = 0; ms < DROP_TIMEOUT_MS; ms++) {
		if (__atomic_load_n(&state, __ATOMIC_ACQUIRE) != DROP_WAITS)
			break;
		rte_delay_us_sleep(US_PER_MS);
	}
	return __atomic_load_n(&state, __ATOMIC_ACQUIRE) == DROP_DONE;
}

const char *dp_eal_error(void)
{
	return first_error;
}

void dp_eal_clear_error(void)
{
	first_error[0] = '\0';
}
