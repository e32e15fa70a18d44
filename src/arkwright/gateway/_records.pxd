"""Journal records in MessagePack, written in C from what never differs and what does."""

cpdef enum Gap:
    END
    EVENT_ID
    STARTED_US
    ENDED_US
    UPSTREAM_REQUEST_ID
    TTFT_US
    USAGE
    LINES
    AMOUNT_PICO
    QUANTITY
    HOLD_PICO

cdef enum:
    ITEMS = 3  # input, cached input, output: as they come in a bill.

cdef struct Facts:
    const unsigned char* event_id
    long long started_us
    long long ended_us
    const char* upstream_request_id
    Py_ssize_t upstream_request_id_length
    long long ttft_us
    long long hold_pico
    long long tokens[3]  # Of each item.
    long long prices_pico[3]

cdef class Record:
    cdef int count
    cdef const char* parts[16]
    cdef Py_ssize_t lengths[16]
    cdef Gap gaps[16]
    cdef readonly Py_ssize_t size  # Of all parts.
    cdef list kept
    cdef Py_ssize_t write(self, char* to, const Facts* facts, list lines) noexcept
