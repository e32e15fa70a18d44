"""An upstream's socket with the framing of its answers, for modules that read them in C."""

from arkwright.gateway._pump cimport Pump, Socket


cdef enum Framing:
    NOTHING  # Nothing is expected: who speaks now speaks unasked.
    HEAD
    LENGTH
    CHUNK_SIZE
    CHUNK_DATA
    CHUNK_END
    TRAILER
    ODD  # Read by the protocol itself.


cdef class Taker(Socket):
    """Who may take an upstream's bytes as they come."""
    cdef int answered(self, const char* data, Py_ssize_t length) except -1
    cdef int unanswered(self) except -1


cdef class Resting:
    cdef list upstreams
    cdef object pool
    cdef Upstream take(self)
    cdef int give(self, Upstream upstream) except -1


cdef class Upstream(Socket):
    cdef Taker taker
    cdef Framing state
    cdef long long left  # Bytes of the body, or of its chunk, that are still to come.
    cdef char* head  # A head, a chunk's size line or a trailer that has not ended.
    cdef Py_ssize_t head_length
    cdef Py_ssize_t head_size
    cdef bint keep_alive
    cdef int status
    # A stream that is passed on without Python:
    cdef Socket client
    cdef object follower
    cdef object call
    cdef double idle_s
    cdef double renewed
    cdef long long events
    cdef bint finished
    cdef bytes rest

    cdef list plain_head(self, const char* data, Py_ssize_t end)
    cdef Py_ssize_t head_end(self, const char* data, Py_ssize_t length)
    cdef int take_head(self, const char* data, Py_ssize_t length) except -1
    cdef int odd(self, const char* data, Py_ssize_t length) except -1
    cdef int store(self, const char* data, Py_ssize_t length) except -1
    cdef int body(self, const char* data, Py_ssize_t length) except -1
    cdef int whole(self, Py_ssize_t beyond) except -1
    cdef int broken(self) except -1
    cdef int frame(self, const char* data, Py_ssize_t length) except -1
    cdef Py_ssize_t line(self, const char* data, Py_ssize_t length) except -2
    cdef int pass_on(self, const char* data, Py_ssize_t length) except -1
    cdef int block(self, const char* data, Py_ssize_t length) except -1
    cdef int told(self, const char* data, Py_ssize_t length) except -1
