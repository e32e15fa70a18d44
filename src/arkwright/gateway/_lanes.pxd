"""Lanes, for who sends requests along them."""

from arkwright.gateway._records cimport Facts, Record
from arkwright.gateway._requests cimport Chat, Head
from arkwright.gateway._upstreams cimport Resting
from arkwright.host._permits cimport NativeGroup

cdef class Lane:
    cdef readonly object policy  # Whatever Python needs to take a request of this lane over.
    cdef bytes authorization
    cdef bytes called
    cdef bytes upstream_model  # To be put in the place of the model's name; None: it is the same.
    cdef bytes head  # To the upstream, as far as it never differs.
    cdef Resting resting
    cdef NativeGroup group
    cdef object python_group
    cdef bint prepaid
    cdef long long tokens_around
    cdef long long tokens_per_message
    cdef long long context_tokens
    cdef long long output_tokens_default
    cdef long long input_pico
    cdef long long output_pico
    cdef long long prices_pico[3]
    cdef bint priced[3]
    cdef long long from_us
    cdef long long until_us
    cdef Record intent
    cdef Record settled
    cdef list lines
    cdef Py_ssize_t record_bytes
    cdef bint stale
    # What was served, until Python counts it:
    cdef long long served
    cdef long long tokens[3]
    cdef long long ttft_sum_us
    cdef long long duration_sum_us
    cdef long long ttfts[64]
    cdef long long durations[64]

    cdef void worst(self, const Chat* chat, long long* cost_pico, long long* tokens) noexcept

cdef class Lanes:
    cdef public object clock  # What a test has instead of the machine's calendar, in µs.
    cdef object policy
    cdef dict found
    cdef char* room  # To write records in.
    cdef Py_ssize_t room_size
    cdef unsigned char random[512]
    cdef int random_left
    cdef long long edges_us[64]
    cdef int edges

    cdef Lane lane(self, Lane last, const Head* head, const Chat* chat)
    cdef long long now_us(self) noexcept
    cdef int event_id(self, unsigned char* to) except -1
    cdef int room_for(self, Py_ssize_t size) except -1
    cdef void count(self, Lane lane, const Facts* facts, long long duration_us) noexcept
    cdef int bucket(self, long long value_us) noexcept
