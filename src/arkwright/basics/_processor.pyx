# cython: language_level=3, boundscheck=False, wraparound=False
"""What this processor can do that native modules use where it is there."""

cdef extern from *:
    """
    #if defined(__x86_64__) && defined(__GNUC__)
    #include <cpuid.h>
    static int arkwright_has(int what) {
        unsigned a, b, c, d;
        if (!__get_cpuid(1, &a, &b, &c, &d)) return 0;
        if (what == 0) return (c >> 1) & 1;
        if (what == 1) return (c >> 19) & 1;
        if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return 0;
        return (b >> 29) & 1;
    }
    #else
    static int arkwright_has(int what) { return 0; }
    #endif
    """
    bint arkwright_has(int what) nogil


def features():
    """Their names, as the kernel has them."""
    return tuple(name for number, name in enumerate(("pclmulqdq", "sse4_1", "sha_ni")) if arkwright_has(number))
