# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Heads written in C, and room that grows.

Law: what is said is what `wire.openai_limits` and `basics.ids` would have said of the same numbers.
"""

from libc.stdlib cimport realloc
from libc.string cimport memcpy


cdef int kept(char** room, Py_ssize_t* filled, Py_ssize_t* size, const char* data, Py_ssize_t length) except -1:
    """Append; `data` is never of the room itself."""
    cdef char* grown
    cdef Py_ssize_t wanted = filled[0] + length
    if wanted > size[0]:
        size[0] = max(wanted, 2 * size[0])
        grown = <char*> realloc(room[0], size[0])
        if grown == NULL:
            raise MemoryError
        room[0] = grown
    memcpy(room[0] + filled[0], data, length)
    filled[0] = wanted
    return 0


cdef char* copied(char* at, const char* what, Py_ssize_t length) noexcept nogil:
    memcpy(at, what, length)
    return at + length


cdef char* hexadecimal(char* at, const unsigned char* what) noexcept nogil:
    """Sixteen bytes as an id shows them."""
    cdef int number
    for number in range(16):
        at[2 * number] = b"0123456789abcdef"[what[number] >> 4]
        at[2 * number + 1] = b"0123456789abcdef"[what[number] & 15]
    return at + 32


cdef char* decimal(char* at, long long value) noexcept nogil:
    """None of ours is below zero."""
    cdef char digits[20]
    cdef int count = 0
    while True:
        digits[count] = <char> (48 + value % 10)
        count += 1
        value //= 10
        if not value:
            break
    while count:
        count -= 1
        at[0] = digits[count]
        at += 1
    return at


cdef char* limit_lines(
    char* at, const char* what, Py_ssize_t length, long long cap, long long left, long long reset_ms
) noexcept nogil:
    """As `wire.openai_limits` says them."""
    if not cap:
        return at
    at = copied(copied(copied(at, b"x-ratelimit-limit-", 18), what, length), b": ", 2)
    at = decimal(at, cap)
    at = copied(copied(copied(at, b"\r\nx-ratelimit-remaining-", 24), what, length), b": ", 2)
    at = decimal(at, left)
    at = copied(copied(copied(at, b"\r\nx-ratelimit-reset-", 20), what, length), b": ", 2)
    return copied(duration(at, reset_ms), b"\r\n", 2)


cdef char* duration(char* at, long long ms) noexcept nogil:
    cdef long long rest = ms % 1000
    if ms < 1000:
        return copied(decimal(at, ms), b"ms", 2) if ms > 0 else copied(at, b"0s", 2)
    if ms >= 60000:
        at = copied(decimal(at, ms // 60000), b"m", 1)
    at = decimal(at, ms % 60000 // 1000)
    if rest:
        at[0] = 46
        at[1] = <char> (48 + rest // 100)
        at[2] = <char> (48 + rest // 10 % 10)
        at[3] = <char> (48 + rest % 10)
        at += 4
        while (at - 1)[0] == 48:
            at -= 1
    return copied(at, b"s", 1)


def limits(what, cap, left, reset_ms):
    """For tests: the lines of one window."""
    cdef char room[512]
    cdef bytes name = what
    return room[: limit_lines(room, name, len(name), cap, left, reset_ms) - room]
