# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Lanes: one caller, one model and one target, with all that is the same for each plain request between them.

Worked out by `gateway.lanes`: the price, the limits, what the records look like. `_clients` sends requests along them.
Law: a lane holds for as long as everything it was made of does; what changes makes all of them stale.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcmp, memcpy, memset

cdef extern from "sys/random.h" nogil:
    ssize_t getrandom(void* to, size_t length, unsigned int flags)

cdef extern from "time.h" nogil:
    struct timespec:
        long tv_sec
        long tv_nsec
    int CLOCK_REALTIME
    int clock_gettime(int clock, timespec* time)

cdef enum:
    CALLERS_MAX = 100000
    MODELS_MAX = 1024
    SLICE_TOKENS = 64  # As `gateway.holds` has it: what an answer without a bound counts at first.


cdef class Lane:
    """See `gateway.lanes`, which alone makes them."""

    def __init__(self, *, policy, authorization, called, upstream_model, head, resting, group, python_group, prepaid,
                 context_tokens, output_tokens_default, tokens_around, tokens_per_message, hold_pico, prices_pico, from_us, until_us,
                 intent, settled, lines):
        self.prepaid, self.tokens_around, self.tokens_per_message = prepaid, tokens_around, tokens_per_message
        self.python_group = python_group
        self.policy, self.authorization, self.called = policy, authorization, called
        self.upstream_model, self.head, self.resting, self.group = upstream_model, head, resting, group
        self.context_tokens, self.output_tokens_default = context_tokens, output_tokens_default
        self.input_pico, self.output_pico = hold_pico
        for item in range(3):
            self.priced[item] = prices_pico[item] is not None
            self.prices_pico[item] = prices_pico[item] or 0
        self.from_us, self.until_us = from_us, until_us
        self.intent, self.settled, self.lines = intent, settled, lines
        self.record_bytes = self.settled.size + sum(line.size for line in lines) + self.intent.size + 1024

    cdef void worst(self, const Chat* chat, long long* cost_pico, long long* tokens) noexcept:
        """What a chat may cost, and what it counts as, at most."""
        cdef long long shown = chat.shown_bytes + self.tokens_per_message * chat.messages + self.tokens_around
        cdef long long told = chat.output_tokens_max
        shown = min(shown, self.context_tokens)
        told = min(self.output_tokens_default if told < 0 else told, self.context_tokens)
        cost_pico[0] = shown * self.input_pico + told * self.output_pico
        if chat.output_tokens_max < 0:
            told = min(told, <long long> SLICE_TOKENS)
        tokens[0] = shown + told

    def drain(self):
        """What was served since the last time: (requests, tokens of each item, ttft sum and counts, duration's)."""
        counted = (
            self.served, tuple(self.tokens), self.ttft_sum_us, tuple(self.ttfts), self.duration_sum_us,
            tuple(self.durations),
        )
        self.served = self.ttft_sum_us = self.duration_sum_us = 0
        memset(self.tokens, 0, sizeof(self.tokens))
        memset(self.ttfts, 0, sizeof(self.ttfts))
        memset(self.durations, 0, sizeof(self.durations))
        return counted


cdef class Lanes:
    """One a worker. `policy` is a `gateway.lanes.Policy`, which makes them."""

    def __cinit__(self):
        self.room_for(16384)

    def __dealloc__(self):
        free(self.room)

    def __init__(self, policy, edges_us):
        """`edges_us`: of the histograms that served requests are counted in."""
        self.policy = policy
        self.edges = len(edges_us)
        for number, edge in enumerate(edges_us):
            self.edges_us[number] = edge
        self.found = {}

    def forget(self):
        """Lanes are to be worked out anew: something they were made of has changed."""
        for lanes in self.found.values():
            for lane in lanes.values():
                if lane is not None:
                    (<Lane> lane).stale = True
        self.found = {}

    cdef Lane lane(self, Lane last, const Head* head, const Chat* chat):
        """The lane of this caller and this model; None where there is none. `last`: perhaps it is that one."""
        cdef Lane lane = last
        cdef bytes authorization, model
        cdef dict of_caller
        if (
            lane is not None and not lane.stale
            and len(lane.authorization) == head.authorization_length
            and len(lane.called) == chat.model_length
            and not memcmp(<const char*> lane.authorization, head.authorization, head.authorization_length)
            and not memcmp(<const char*> lane.called, chat.model, chat.model_length)
        ):
            return lane
        authorization = PyBytes_FromStringAndSize(head.authorization, head.authorization_length)
        model = PyBytes_FromStringAndSize(chat.model, chat.model_length)
        of_caller = self.found.get(authorization)
        if of_caller is None:
            if not self.policy.knows(authorization):
                return None  # Nothing is kept of strangers, or they could drive everybody else's lanes out.
            if len(self.found) >= CALLERS_MAX:
                self.forget()
            of_caller = self.found[authorization] = {}
        if model in of_caller:
            return of_caller[model]
        lane = self.policy.lane(authorization, model)
        if len(of_caller) < MODELS_MAX:
            of_caller[model] = lane
        return lane

    cdef long long now_us(self) noexcept:
        """Of the calendar."""
        cdef timespec time
        if self.clock is not None:
            return <long long> self.clock()
        clock_gettime(CLOCK_REALTIME, &time)
        return <long long> time.tv_sec * 1000000 + time.tv_nsec // 1000

    cdef int event_id(self, unsigned char* to) except -1:
        """Time-ordered, as `basics.ids` makes them."""
        cdef timespec time
        cdef uint64_t ms
        cdef int number
        if self.random_left < 10:
            if getrandom(self.random, 510, 0) != 510:
                raise OSError("the system gave no random bytes")
            self.random_left = 510
        self.random_left -= 10
        memcpy(to + 6, self.random + self.random_left, 10)
        memset(self.random + self.random_left, 0, 10)
        clock_gettime(CLOCK_REALTIME, &time)
        ms = <uint64_t> time.tv_sec * 1000 + time.tv_nsec // 1000000
        for number in range(6):
            to[number] = <unsigned char> ((ms >> (8 * (5 - number))) & 0xFF)
        to[6] = 0x70 | (to[6] & 0x0F)
        to[8] = 0x80 | (to[8] & 0x3F)
        return 0

    cdef int room_for(self, Py_ssize_t size) except -1:
        cdef char* grown
        if size > self.room_size:
            grown = <char*> realloc(self.room, size)
            if grown == NULL:
                raise MemoryError
            self.room, self.room_size = grown, size
        return 0

    cdef void count(self, Lane lane, const Facts* facts, long long duration_us) noexcept:
        """It was served."""
        cdef int item
        lane.served += 1
        for item in range(3):
            lane.tokens[item] += facts.tokens[item]
        lane.ttft_sum_us += facts.ttft_us
        lane.duration_sum_us += duration_us
        lane.ttfts[self.bucket(facts.ttft_us)] += 1
        lane.durations[self.bucket(duration_us)] += 1

    cdef int bucket(self, long long value_us) noexcept:
        cdef int low = 0
        cdef int high = self.edges
        cdef int middle
        while low < high:
            middle = (low + high) // 2
            if self.edges_us[middle] < value_us:
                low = middle + 1
            else:
                high = middle
        return low
