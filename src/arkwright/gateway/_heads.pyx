# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Lines of an HTTP head, looked at in C: plain names and values, and nothing that two readers could read in two ways."""

from libc.string cimport memchr

cdef extern from "string.h" nogil:
    int strncasecmp(const char* one, const char* other, size_t length)


cdef bint field(const char* line, const char* end, Field* found) noexcept nogil:
    """One line, its line break not within; False for what is not plain."""
    cdef const char* colon = <const char*> memchr(line, 58, end - line)
    if colon == NULL or not token(line, colon - line):
        return False
    found.name, found.name_length = line, colon - line
    found.value = colon + 1
    while found.value < end and (found.value[0] == 32 or found.value[0] == 9):
        found.value += 1
    found.length = end - found.value
    if found.length and (found.value[found.length - 1] == 32 or found.value[found.length - 1] == 9):
        return False  # Some readers count blanks at the end, others don't.
    return visible(found.value, found.length)


cdef bint called(const Field* found, const char* name, Py_ssize_t length) noexcept nogil:
    """Whether the field has this name, however written."""
    return found.name_length == length and strncasecmp(found.name, name, length) == 0


cdef bint says(const Field* found, const char* value, Py_ssize_t length) noexcept nogil:
    """Whether this word is its value, however written."""
    return found.length == length and strncasecmp(found.value, value, length) == 0


cdef bint token(const char* name, Py_ssize_t length) noexcept nogil:
    cdef Py_ssize_t at
    cdef unsigned char byte
    if length < 1:
        return False
    for at in range(length):
        byte = name[at]
        if not (97 <= byte <= 122 or 65 <= byte <= 90 or 48 <= byte <= 57 or byte == 45 or byte == 95):
            return False
    return True


cdef bint visible(const char* value, Py_ssize_t length) noexcept nogil:
    cdef Py_ssize_t at
    cdef unsigned char byte
    for at in range(length):
        byte = value[at]
        if byte < 32 and byte != 9 or byte >= 127:
            return False
    return True
