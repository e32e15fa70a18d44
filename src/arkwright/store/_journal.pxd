"""What other native modules call of the journal, without the interpreter.

`put` takes a record's bytes (it copies them) and returns its number, from 1; 0 when the journal is closed or has failed.
`durable`: every record up to that number is on the disk. `told` is called on the loop after a group that somebody waited
for. All of it on the loop's thread; `put` itself waits for nothing.
"""

cdef class Journal:
    cdef readonly unsigned long long durable
    cdef public object told
    cdef void* _core
    cdef int _event
    cdef int _lock
    cdef bint _failure_told
    cdef object _loop
    cdef object _call_soon_threadsafe
    cdef object _on_failure
    cdef object _disk
    cdef object _opened
    cdef object _waiting
    cdef object _thread
    cdef object _failed
    cdef unsigned long long put(self, const char* payload, Py_ssize_t length, bint awaited) noexcept nogil
    cdef _make(self, journal_dir)
    cdef _failure(self)
    cdef _let_go(self)
