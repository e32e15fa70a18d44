# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Journal records in MessagePack, written in C: parts that Python encoded once, with gaps for what differs.

Law: the bytes are those that `domain.journal` would have encoded of the same facts.
"""

from libc.string cimport memcpy

cdef const char* COUNTS[3]
cdef Py_ssize_t COUNT_LENGTHS[3]
COUNTS[:] = [b"input_tokens", b"cached_input_tokens", b"output_tokens"]
COUNT_LENGTHS[:] = [12, 19, 13]


cdef class Record:
    """Made of pairs (bytes, what follows them); the last one is followed by `END`."""

    def __init__(self, pairs):
        """Raises ValueError for too many."""
        cdef bytes part
        if not 0 < len(pairs) <= 16:
            raise ValueError("a record has up to fifteen gaps")
        self.kept = []
        for part, gap in pairs:
            self.kept.append(part)
            self.parts[self.count] = part
            self.lengths[self.count] = len(part)
            self.gaps[self.count] = gap
            self.size += len(part)
            self.count += 1

    cdef Py_ssize_t write(self, char* to, const Facts* facts, list lines) noexcept:
        """Returns how many bytes; `to` has room for them. `lines`: a Record for the line of each item."""
        cdef char* at = to
        cdef int number
        for number in range(self.count):
            memcpy(at, self.parts[number], self.lengths[number])
            at += self.lengths[number]
            at = fill(at, self.gaps[number], facts, lines)
        return at - to

    def written(self, facts, lines=()):
        """For tests: `facts` is (event id, started, ended, upstream's id, ttft, hold, tokens, prices)."""
        cdef Facts given
        cdef char room[8192]
        cdef bytes event_id = facts[0], upstream_id = facts[3]
        given.event_id = <const unsigned char*> (<const char*> event_id)
        given.started_us, given.ended_us = facts[1], facts[2]
        given.upstream_request_id, given.upstream_request_id_length = upstream_id, len(upstream_id)
        given.ttft_us, given.hold_pico = facts[4], facts[5]
        for item in range(ITEMS):
            given.tokens[item], given.prices_pico[item] = facts[6][item], facts[7][item]
        if self.size + sum(line.size for line in lines) > 7000:
            raise ValueError("too long for a test")
        return room[: self.write(room, &given, list(lines))]


cdef char* fill(char* at, Gap gap, const Facts* facts, list lines) noexcept:
    if gap == END:
        return at
    if gap == EVENT_ID:
        at[0] = <char> 0xC4
        at[1] = 16
        memcpy(at + 2, facts.event_id, 16)
        return at + 18
    if gap == STARTED_US:
        return put_integer(at, facts.started_us)
    if gap == ENDED_US:
        return put_integer(at, facts.ended_us)
    if gap == UPSTREAM_REQUEST_ID:
        return put_text(at, facts.upstream_request_id, facts.upstream_request_id_length)
    if gap == TTFT_US:
        return put_integer(at, facts.ttft_us)
    if gap == HOLD_PICO:
        return put_integer(at, facts.hold_pico)
    if gap == USAGE:
        return put_usage(at, facts)
    if gap == LINES:
        return put_lines(at, facts, lines)
    return put_integer(at, amount(facts))


cdef long long amount(const Facts* facts) noexcept:
    cdef long long sum_pico = 0
    cdef int item
    for item in range(ITEMS):
        sum_pico += facts.tokens[item] * facts.prices_pico[item]
    return sum_pico


cdef char* put_usage(char* at, const Facts* facts) noexcept:
    """The counts that are not zero."""
    cdef char* head = at
    cdef int item, counts = 0
    at += 1
    for item in range(ITEMS):
        if facts.tokens[item]:
            counts += 1
            at = put_text(at, COUNTS[item], COUNT_LENGTHS[item])
            at = put_integer(at, facts.tokens[item])
    head[0] = <char> (0x80 | counts)
    return at


cdef char* put_lines(char* at, const Facts* facts, list lines) noexcept:
    """A line for each count that is not zero."""
    cdef char* head = at
    cdef int item, part, counts = 0
    cdef Record line
    at += 1
    for item in range(ITEMS):
        if facts.tokens[item]:
            counts += 1
            line = <Record> lines[item]
            for part in range(line.count):
                memcpy(at, line.parts[part], line.lengths[part])
                at += line.lengths[part]
                if line.gaps[part] == QUANTITY:
                    at = put_integer(at, facts.tokens[item])
                elif line.gaps[part] == AMOUNT_PICO:
                    at = put_integer(at, facts.tokens[item] * facts.prices_pico[item])
    head[0] = <char> (0x90 | counts)
    return at


cdef char* put_integer(char* at, long long value) noexcept nogil:
    """None of ours is below zero."""
    cdef int size = 8
    cdef int number
    cdef unsigned char kind = 0xCF
    if value < 0x80:
        at[0] = <char> value
        return at + 1
    if value < 0x100:
        size = 1
        kind = 0xCC
    elif value < 0x10000:
        size = 2
        kind = 0xCD
    elif value < 0x100000000LL:
        size = 4
        kind = 0xCE
    at[0] = <char> kind
    for number in range(size):
        at[1 + number] = <char> (value >> (8 * (size - 1 - number)))
    return at + 1 + size


cdef char* put_text(char* at, const char* text, Py_ssize_t length) noexcept nogil:
    """Of at most 255 bytes."""
    if length < 32:
        at[0] = <char> (0xA0 | length)
        at += 1
    else:
        at[0] = <char> 0xD9
        at[1] = <char> length
        at += 2
    memcpy(at, text, length)
    return at + length
