"""Heads written in C, and room that grows."""

cdef int kept(char** room, Py_ssize_t* filled, Py_ssize_t* size, const char* data, Py_ssize_t length) except -1
cdef char* copied(char* at, const char* what, Py_ssize_t length) noexcept nogil
cdef char* hexadecimal(char* at, const unsigned char* what) noexcept nogil
cdef char* decimal(char* at, long long value) noexcept nogil
cdef char* limit_lines(
    char* at, const char* what, Py_ssize_t length, long long cap, long long left, long long reset_ms
) noexcept nogil
