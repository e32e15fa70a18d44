"""Sockets in the care of the native pump, for modules that take their bytes in C."""

from libc.stdint cimport uint32_t, uint64_t


cdef class Rounds:
    """Who works once all that was ready in a round has been heard, and before anything is sent."""
    cdef int over(self) except -1


cdef class Pump:
    cdef Rounds rounds
    cdef readonly object loop
    cdef int epoll
    cdef list sockets  # By descriptor.
    cdef list unsent  # Sockets that were written to in this turn.
    cdef bint turning
    cdef double moment  # When the round that runs began.
    cdef char* scratch
    cdef uint32_t generation

    cdef int _one(self, uint64_t whose, uint32_t events) except -1
    cdef int watch(self, Socket socket) except -1
    cdef int listen_for(self, Socket socket, uint32_t interest) except -1
    cdef int forget(self, Socket socket) except -1
    cdef int flush(self) except -1
    cdef double now(self)


cdef class Socket:
    """One descriptor in the pump's care; a transport as asyncio has them for whoever speaks through it in Python."""
    cdef readonly int fd
    cdef readonly Pump pump
    cdef public object protocol
    cdef uint32_t generation
    cdef uint32_t interest
    cdef char* out
    cdef Py_ssize_t out_at
    cdef Py_ssize_t out_end
    cdef Py_ssize_t out_size
    cdef Py_ssize_t high
    cdef Py_ssize_t low
    cdef bint dirty
    cdef bint full
    cdef bint paused
    cdef bint closing
    cdef bint ends  # Our side is closed once everything is sent.
    cdef object peer

    cdef int ready(self, uint32_t events) except -1
    cdef int readable(self) except -1
    cdef int received(self, const char* data, Py_ssize_t length) except -1
    cdef int ended(self) except -1
    cdef int gone(self, object error) except -1
    cdef int put(self, const char* data, Py_ssize_t length) except -1
    cdef int send(self) except -1
    cdef int finish(self, object error) except -1
    cdef int _keep(self, const char* data, Py_ssize_t length) except -1
    cdef int _watermarks(self) except -1
    cdef Py_ssize_t waiting(self)
