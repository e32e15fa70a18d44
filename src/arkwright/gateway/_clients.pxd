"""Clients of the pump, for nobody else: a module that cimports this may look at their requests in C."""

from libc.stdint cimport uint64_t

from arkwright.gateway._answers cimport Answer
from arkwright.gateway._lanes cimport Lane, Lanes
from arkwright.gateway._pump cimport Pump, Rounds
from arkwright.gateway._requests cimport Chat, Head
from arkwright.gateway._upstreams cimport Taker, Upstream
from arkwright.host._permits cimport NativePermits, Standing, Taken
from arkwright.store._journal cimport Journal

cdef enum Mode:
    RESTS  # Between two requests.
    GATHERS  # A plain request's body is not all there yet.
    GUEST  # The protocol reads.
    ASKS  # To be admitted at the end of the round.
    BUSY  # The request is at its upstream.
    WAITS  # For the record of its charge.

cdef class Clients(Rounds):
    cdef readonly int busy  # Requests that are carried now.
    cdef readonly bint draining
    cdef Pump pump
    cdef Lanes lanes
    cdef Journal journal
    cdef NativePermits permits
    cdef object policy
    cdef bytes beginning
    cdef bytes beginning_last
    cdef bint flushing
    cdef list asking
    cdef object waiting  # In the order of their records.
    cdef double idle_timeout_s
    cdef double body_timeout_s
    cdef double first_byte_timeout_s
    cdef double write_timeout_s
    cdef double drain_idle_s

    cdef double rest_s(self) noexcept
    cdef int flush_soon(self) except -1
    cdef int take_all(self, list asking) except -1

cdef class Client(Taker):
    cdef Clients all
    cdef Mode mode
    cdef Lane lane
    cdef Upstream upstream
    cdef unsigned char event_id[16]
    cdef Py_ssize_t model_at  # In the request.
    cdef Py_ssize_t model_length
    cdef long long cost_pico  # What it asks for, at most, and since when.
    cdef long long counted_tokens
    cdef long long asked_us
    cdef bint admitted
    cdef Taken taken
    cdef Standing standing
    cdef double began
    cdef double deadline
    cdef double sent
    cdef uint64_t record
    cdef char* request  # As it came; kept until its answer is whole.
    cdef Py_ssize_t request_length
    cdef Py_ssize_t request_size
    cdef Py_ssize_t request_head
    cdef Py_ssize_t early  # Bytes that came behind the request, before its answer.
    cdef char* answer  # What its upstream said so far; then, what it is to be told.
    cdef Py_ssize_t answer_length
    cdef Py_ssize_t answer_size
    cdef bint last  # The connection ends with this answer.

    cdef int plain(self, const char* data, Py_ssize_t length) except -1
    cdef bint start(self, const char* data, Py_ssize_t length, const Head* head, const Chat* chat) except -1
    cdef int decided(self) except -1
    cdef int go(self) except -1
    cdef int send_upstream(self) except -1
    cdef int leave_protocol(self) except -1
    cdef int guest(self, const char* data, Py_ssize_t length) except -1
    cdef int settle(self, const char* data, const Answer* found) except -1
    cdef int tell(self, const Answer* found) except -1
    cdef int deliver(self) except -1
    cdef int rest(self) except -1
    cdef int hand_over(self, const char* data, Py_ssize_t length) except -1
    cdef int expire(self, double now) except -1
    cdef int keep_request(self, const char* data, Py_ssize_t length) except -1
    cdef int keep_answer(self, const char* data, Py_ssize_t length) except -1
