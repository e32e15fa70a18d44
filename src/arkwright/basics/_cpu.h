/* What this processor has beyond the oldest of its kind, asked while it runs: a wheel is built for all of them. */

#ifndef ARKWRIGHT_CPU_H
#define ARKWRIGHT_CPU_H

enum { AK_HAS_PCLMULQDQ, AK_HAS_SSE41, AK_HAS_SHA };

#if defined(__x86_64__) && defined(__GNUC__)
#include <cpuid.h>
#define AK_X86 1

static int ak_cpu_has(int what) {
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return 0;
    if (what == AK_HAS_PCLMULQDQ) return (c >> 1) & 1;
    if (what == AK_HAS_SSE41) return (c >> 19) & 1;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return 0;
    return (b >> 29) & 1;
}
#else
static int ak_cpu_has(int what) {
    (void)what;
    return 0;
}
#endif

#endif
