/* SPDX-License-Identifier: Apache-2.0 */
/* cpu: see cpu.h. */
#include "esp/cpu.h"

#if defined(__x86_64__)
#include <cpuid.h>

static uint64_t xcr0(void)
{
	uint32_t lo, hi;

	__asm__("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
	return (uint64_t)hi << 32 | lo;
}

void esp_cpu_ask(struct esp_cpu *cpu)
{
	unsigned a, b, c, d;

	*cpu = (struct esp_cpu){0};
	if (__get_cpuid(1, &a, &b, &c, &d))
		cpu->first_ecx = c;
	if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
		cpu->ebx = b;
		cpu->ecx = c;
	}
	/* Intel SDM 1, 13.3: without OSXSAVE there is no XGETBV. */
	if (cpu->first_ecx & bit_OSXSAVE)
		cpu->xcr0 = xcr0();
}
#else
void esp_cpu_ask(struct esp_cpu *cpu)
{
	*cpu = (struct esp_cpu){0};
}
#endif
