"""Plain requests, read in C."""

from arkwright.gateway._heads cimport Field

cdef struct Head:
    const char* authorization
    Py_ssize_t authorization_length
    Py_ssize_t length  # Of the head, its blank line within.
    long long body_length

cdef struct Chat:
    const char* model  # Between its quotes.
    Py_ssize_t model_length
    long long output_tokens_max  # The larger of the two limits; -1: neither is given.
    long long shown_bytes  # Of all contents, as the gateway counts them.
    long long messages

cdef bint read_head(const char* data, Py_ssize_t length, Head* head) noexcept nogil
cdef bint read_chat(const char* data, Py_ssize_t length, Chat* chat) noexcept nogil
