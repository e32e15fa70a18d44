"""What other native modules call of the permits, without the interpreter; all of it on the loop's thread.

`take` is `enter`, `take_within` and `leave`: who has several of one organization may enter once for all of them
(`together` says which are), and calls no Python before it leaves.
`take`: 1, and `taken` says what was counted; 0 when something is in the way, and nothing was counted: `Permits.take` then
says what. `settle` closes what was taken, once: at once where it cost more than was held, else under the next lock of its
organization or at `flush`, which the caller sees to at the end of its turn; it returns what the balance covered.
`as_permit` hands over to the Python path, which then settles; it takes the Python group.
"""

cdef struct Taken:
    long long second
    long long tokens
    long long cost_pico
    long long at_us

cdef struct Standing:
    long long requests_cap
    long long requests_left
    long long requests_reset_ms
    long long tokens_cap
    long long tokens_left
    long long tokens_reset_ms

cdef class Row:
    cdef void* _late
    cdef int _count
    cdef int _room
    cdef bint _listed
    cdef long long _lock

cdef class NativeGroup:
    cdef void* _core
    cdef Row _row

cdef class NativePermits:
    cdef public object clock
    cdef object _words
    cdef void* _door
    cdef dict _rows
    cdef list _dirty
    cdef int take(
        self, NativeGroup group, long long cost_pico, long long tokens, long long at_us, Taken* taken
    ) noexcept
    cdef bint enter(self, NativeGroup group) noexcept
    cdef int take_within(
        self, NativeGroup group, long long cost_pico, long long tokens, long long at_us, Taken* taken
    ) noexcept
    cdef void leave(self, NativeGroup group) noexcept
    cdef bint together(self, NativeGroup one, NativeGroup other) noexcept
    cdef long long settle(self, NativeGroup group, Taken* taken, long long amount_pico, long long tokens) noexcept
    cdef void standing(self, NativeGroup group, Standing* out) noexcept
    cdef object as_permit(self, object group, Taken* taken)
    cpdef flush(self)
    cdef bint _put_off(self, NativeGroup group, Taken* taken, long long amount_pico, long long tokens) noexcept
    cdef long long _end_now(self, NativeGroup group, Taken* taken, long long amount_pico, long long tokens) noexcept
    cdef bint _locked(self, long long lock) noexcept
    cdef void _unlock(self, long long lock) noexcept
    cdef void _end_put_off(self, Row row) noexcept
    cdef void _end_row(self, Row row) noexcept
    cdef long long _now_ns(self) noexcept
