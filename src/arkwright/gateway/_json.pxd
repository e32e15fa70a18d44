"""JSON's tokens, passed over in C: each begins at a token and returns where it ends; NULL: it is not plain."""

cdef const char* blank(const char* at, const char* end) noexcept nogil
cdef const char* string(const char* at, const char* end) noexcept nogil
cdef const char* digits(const char* at, const char* end) noexcept nogil
cdef const char* word(const char* at, const char* end, const char* wanted, Py_ssize_t length) noexcept nogil
cdef const char* value(const char* at, const char* end, int depth) noexcept nogil
cdef const char* behind(const char* at, const char* end, unsigned char close, bint* ended) noexcept nogil
cdef const char* key(const char* at, const char* end, const char** name, Py_ssize_t* length) noexcept nogil
cdef bint between(const char* at, const char* after, long long least, long long most) noexcept nogil
cdef long long number(const char* digits, Py_ssize_t length) noexcept nogil
