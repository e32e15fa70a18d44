"""Lines of an HTTP head, looked at in C."""

cdef struct Field:
    const char* name
    Py_ssize_t name_length
    const char* value  # Without the blanks before it.
    Py_ssize_t length

cdef bint field(const char* line, const char* end, Field* found) noexcept nogil
cdef bint called(const Field* found, const char* name, Py_ssize_t length) noexcept nogil
cdef bint says(const Field* found, const char* value, Py_ssize_t length) noexcept nogil
