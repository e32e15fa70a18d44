# cython: language_level=3, boundscheck=False, wraparound=False
"""What this processor can do that native modules use where it is there."""

cdef extern from "_cpu.h":
    bint ak_cpu_has(int what) nogil


def features():
    """Their names, as the kernel has them."""
    return tuple(name for number, name in enumerate(("pclmulqdq", "sse4_1", "sha_ni")) if ak_cpu_has(number))
