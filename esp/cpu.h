/* SPDX-License-Identifier: Apache-2.0 */
/* cpu: what CPU and operating system say of themselves, before anything is run that not all of them have. */
#ifndef ESP_CPU_H
#define ESP_CPU_H

#include <stdint.h>

/* Registers that the operating system saves, bits of XCR0 (Intel SDM 1, 13.3). */
#define ESP_XCR0_AVX    0x06u /* SSE's and AVX's */
#define ESP_XCR0_AVX512 0xe6u /* and the three parts of AVX-512 */

/* What cannot be asked for is 0. */
struct esp_cpu {
	uint32_t first_ecx; /* CPUID leaf 1 */
	uint32_t ebx, ecx;  /* CPUID leaf 7, 0 */
	uint64_t xcr0;
};

/* Asks this CPU. A test puts another one in its place when it is linked. */
void esp_cpu_ask(struct esp_cpu *cpu);

#endif
