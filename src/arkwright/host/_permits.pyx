# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Permits on the mapped words in C (`_permits_core.h`): `host/permits.py` without the interpreter's cost, under the same
locks and in the same order. `_permits.pxd` says what native callers have of it, `host/native_permits.py` is its Python face.

Law: that of `host/permits.py`; whatever it does not take, it leaves as it was. Not for threads.
"""

from cpython.buffer cimport PyBUF_WRITABLE, Py_buffer, PyBuffer_Release, PyObject_GetBuffer
from cpython.ref cimport Py_DECREF, Py_INCREF, PyObject
from libc.stdint cimport int64_t
from libc.stdlib cimport calloc, free, realloc

from arkwright.host import permits as python
from arkwright.host.leases import SLOTS_USED_AT
from arkwright.host.limit_words import DAILY

cdef extern from "_permits_core.h":
    ctypedef struct ak_window:
        int64_t at, requests, requests_past, requests_first, tokens, tokens_past, tokens_first
    ctypedef struct ak_open:
        int64_t at, cap
    ctypedef struct ak_budget:
        int64_t at, reserved, daily, monthly
    ctypedef struct ak_group:
        int64_t lock, balance, held
        int prepaid, limited, window_count, open_count, budget_count
        ak_window* windows
        ak_open* opens
        ak_budget* budgets
    ctypedef struct ak_door:
        int64_t* words
        int64_t index, slots_used_at
        int fd
    ctypedef struct ak_taken:
        int64_t second, tokens, cost_pico, at_us
    ctypedef struct ak_standing:
        int64_t requests[3]
        int64_t tokens[3]
    int64_t AK_SECOND_NS
    int64_t ak_now_ns() nogil
    int ak_try(const ak_door* door, int64_t byte) nogil
    int ak_wait(const ak_door* door, int64_t byte) nogil
    int ak_unlock(const ak_door* door, int64_t byte) nogil
    int ak_take(const ak_door* door, const ak_group* group, ak_taken* taken, int64_t now_ns) nogil
    int64_t ak_end(
        const ak_door* door, const ak_group* group, const ak_taken* taken, int64_t amount_pico, int64_t tokens,
        int64_t now_ns) nogil
    void ak_stand(const ak_door* door, const ak_group* group, int64_t now_ns, ak_standing* out) nogil

cdef extern from *:
    """
    #include "Python.h"
    static int ak_released(PyObject *view) { return ((PyMemoryViewObject *)view)->flags & _Py_MEMORYVIEW_RELEASED; }
    """
    bint ak_released(object view)

# Beyond them the Python path decides: nothing here may come near what a word can hold.
cdef long long COST_MAX = 1LL << 62
cdef long long TOKENS_MAX = 1_000_000_000_000_000

cdef struct Late:
    PyObject* group
    Taken taken
    long long amount_pico
    long long tokens


cdef class Row:
    """What was put off under one organization's lock."""

    def __cinit__(self, long long lock):
        self._lock = lock

    def __dealloc__(self):
        cdef Late* late = <Late*>self._late
        for at in range(self._count):
            Py_DECREF(<object>late[at].group)
        free(self._late)


cdef class NativeGroup:
    """A `Group` of `host/permits.py`, with its places in C."""

    def __cinit__(self):
        self._core = calloc(1, sizeof(ak_group))
        if self._core == NULL:
            raise MemoryError

    def __dealloc__(self):
        cdef ak_group* core = <ak_group*>self._core
        free(core.windows)
        free(core.opens)
        free(core.budgets)
        free(core)

    def __init__(self, NativePermits permits, group):
        cdef ak_group* core = <ak_group*>self._core
        core.lock = group.lock_byte
        self._row = permits._rows.get(core.lock)
        if self._row is None:
            self._row = permits._rows[core.lock] = Row(core.lock)
        core.balance, core.held = group.balance, group.held
        core.prepaid, core.limited = group.prepaid, group.limited
        core.windows = <ak_window*>_array(len(group.windows), sizeof(ak_window))
        core.opens = <ak_open*>_array(len(group.concurrent), sizeof(ak_open))
        core.budgets = <ak_budget*>_array(len(group.budgets), sizeof(ak_budget))
        for at, requests, requests_past, requests_first, tokens, tokens_past, tokens_first in group.windows:
            core.windows[core.window_count] = ak_window(
                at, requests, requests_past, requests_first, tokens, tokens_past, tokens_first
            )
            core.window_count += 1
        for at, cap in group.concurrent:
            core.opens[core.open_count] = ak_open(at, cap)
            core.open_count += 1
        for budget in group.budgets:
            core.budgets[core.budget_count] = ak_budget(
                budget.at + DAILY, budget.reserved, _none(budget.daily_nano), _none(budget.monthly_nano)
            )
            core.budget_count += 1


cdef class NativePermits:
    """One worker's. `clock`: what a test has instead of the machine's monotonic clock, in ns."""

    def __cinit__(self):
        self._door = calloc(1, sizeof(ak_door))
        if self._door == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self._door)

    def __init__(self, slot):
        """Raises TypeError for words that are no memory."""
        cdef ak_door* door = <ak_door*>self._door
        cdef Py_buffer buffer
        words = slot.shared.limits.words
        if not isinstance(words, memoryview):
            raise TypeError("these words are no memory")
        # No export is kept, or the words could not be closed; instead each step looks whether they were.
        PyObject_GetBuffer(words, &buffer, PyBUF_WRITABLE)
        door.words = <int64_t*>buffer.buf
        PyBuffer_Release(&buffer)
        door.fd, door.index, door.slots_used_at = slot.fd, slot.index, SLOTS_USED_AT
        self._words = words
        self._rows = {}
        self._dirty = []

    cdef int take(
        self, NativeGroup group, long long cost_pico, long long tokens, long long at_us, Taken* taken
    ) noexcept:
        cdef int done
        if not self.enter(group):
            return 0
        done = self.take_within(group, cost_pico, tokens, at_us, taken)
        self.leave(group)
        return done

    cdef bint enter(self, NativeGroup group) noexcept:
        """Under the organization's lock, where it has limits; what was put off there is ended first."""
        cdef ak_group* core = <ak_group*>group._core
        if not core.limited:
            self._end_put_off(group._row)
            return True
        if not self._locked(core.lock):
            return False
        if group._row._count:
            self._end_row(group._row)
        return True

    cdef void leave(self, NativeGroup group) noexcept:
        if (<ak_group*>group._core).limited:
            self._unlock((<ak_group*>group._core).lock)

    cdef bint together(self, NativeGroup one, NativeGroup other) noexcept:
        """Whether who has entered for one has entered for the other."""
        cdef ak_group* core = <ak_group*>one._core
        return one is other or core.limited and (<ak_group*>other._core).limited and (
            core.lock == (<ak_group*>other._core).lock
        )

    cdef int take_within(
        self, NativeGroup group, long long cost_pico, long long tokens, long long at_us, Taken* taken
    ) noexcept:
        cdef ak_group* core = <ak_group*>group._core
        cdef ak_taken asked
        cdef bint done = True
        if not (0 <= cost_pico <= COST_MAX and 0 <= tokens <= TOKENS_MAX and at_us >= 0):
            return 0
        asked.tokens, asked.cost_pico, asked.at_us = tokens, cost_pico, at_us
        if core.limited:
            done = ak_take(<ak_door*>self._door, core, &asked, self._now_ns())
        else:
            asked.second = self._now_ns() // AK_SECOND_NS
        if done:
            taken[0] = Taken(asked.second, tokens, cost_pico, at_us)
        return done

    cdef long long settle(self, NativeGroup group, Taken* taken, long long amount_pico, long long tokens) noexcept:
        if not (<ak_group*>group._core).limited:
            return amount_pico
        amount_pico, tokens = max(0, amount_pico), min(max(0, tokens), TOKENS_MAX)
        if amount_pico <= taken.cost_pico and self._put_off(group, taken, amount_pico, tokens):
            return amount_pico
        return self._end_now(group, taken, amount_pico, tokens)

    cdef void standing(self, NativeGroup group, Standing* out) noexcept:
        if ak_released(self._words):
            out[0] = Standing(0, 0, 0, 0, 0, 0)
        else:
            ak_stand(<ak_door*>self._door, <ak_group*>group._core, self._now_ns(), <ak_standing*>out)

    cdef object as_permit(self, object group, Taken* taken):
        return python.Permit(group, taken.cost_pico, taken.at_us, taken.second, taken.tokens)

    cpdef flush(self):
        """End what was put off."""
        cdef Row row
        dirty, self._dirty = self._dirty, []
        for row in dirty:
            row._listed = False
            self._end_put_off(row)

    # For the Python face

    def permit(self, group, cost_pico, tokens, at_us):
        """A Permit; None when something is in the way: then nothing is put off under this lock any more."""
        cdef NativeGroup known = group.native
        cdef Taken taken
        try:
            if self.take(known, cost_pico, tokens, at_us, &taken):
                return self.as_permit(group, &taken)
        except OverflowError:
            self._end_put_off(known._row)
        return None

    def end(self, permit, long long amount_pico, long long tokens, bint late):
        """Settle a Permit that nothing was added to. `late`: it may be put off."""
        cdef NativeGroup group = permit.group.native
        cdef Taken taken = Taken(permit.second, permit.tokens, permit.cost_pico, permit.at_us)
        return self.settle(group, &taken, amount_pico, tokens) if late else self._end_now(
            group, &taken, amount_pico, tokens
        )

    def end_late(self, long long lock):
        """What was put off under this lock, which the caller holds."""
        row = self._rows.get(lock)
        if row is not None:
            self._end_row(row)

    def stand(self, NativeGroup group):
        cdef Standing out
        self.standing(group, &out)
        return python.Standing(
            out.requests_cap, out.requests_left, out.requests_reset_ms, out.tokens_cap, out.tokens_left,
            out.tokens_reset_ms,
        )

    # Within

    cdef bint _put_off(self, NativeGroup group, Taken* taken, long long amount_pico, long long tokens) noexcept:
        """False: there is no memory for it."""
        cdef Row row = group._row
        cdef void* more
        if row._count == row._room:
            more = realloc(row._late, (row._room * 2 or 16) * sizeof(Late))
            if more == NULL:
                return False
            row._late, row._room = more, row._room * 2 or 16
        Py_INCREF(group)
        (<Late*>row._late)[row._count] = Late(<PyObject*>group, taken[0], amount_pico, tokens)
        row._count += 1
        if not row._listed:
            row._listed = True
            self._dirty.append(row)
        return True

    cdef long long _end_now(self, NativeGroup group, Taken* taken, long long amount_pico, long long tokens) noexcept:
        cdef ak_group* core = <ak_group*>group._core
        cdef ak_taken ended
        cdef long long covered
        if not core.limited:
            return amount_pico
        if not self._locked(core.lock):
            return 0
        ended.second, ended.tokens, ended.cost_pico = taken.second, taken.tokens, taken.cost_pico
        ended.at_us = taken.at_us
        self._end_row(group._row)
        covered = ak_end(<ak_door*>self._door, core, &ended, amount_pico, tokens, self._now_ns())
        self._unlock(core.lock)
        return covered

    cdef bint _locked(self, long long lock) noexcept:
        """Where another has it, wait for it without the interpreter."""
        cdef ak_door* door = <ak_door*>self._door
        cdef int failed
        if ak_released(self._words):
            return False
        failed = ak_try(door, lock)
        if failed:
            with nogil:
                failed = ak_wait(door, lock)
        return not failed

    cdef void _unlock(self, long long lock) noexcept:
        ak_unlock(<ak_door*>self._door, lock)

    cdef void _end_put_off(self, Row row) noexcept:
        if row._count and self._locked(row._lock):
            self._end_row(row)
            self._unlock(row._lock)

    cdef void _end_row(self, Row row) noexcept:
        """The lock is held."""
        cdef Late* late
        cdef ak_taken ended
        cdef int at
        for at in range(row._count):
            late = &(<Late*>row._late)[at]
            ended.second, ended.tokens, ended.cost_pico = late.taken.second, late.taken.tokens, late.taken.cost_pico
            ended.at_us = late.taken.at_us
            ak_end(
                <ak_door*>self._door, <ak_group*>(<NativeGroup>late.group)._core, &ended, late.amount_pico, late.tokens,
                self._now_ns(),
            )
            Py_DECREF(<object>late.group)
        row._count = 0

    cdef long long _now_ns(self) noexcept:
        return ak_now_ns() if self.clock is None else self.clock()


cdef void* _array(Py_ssize_t count, size_t size) except NULL:
    cdef void* made = calloc(max(1, count), size)
    if made == NULL:
        raise MemoryError
    return made


def _none(value):
    return -1 if value is None else value
