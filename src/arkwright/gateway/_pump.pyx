# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, freethreading_compatible=False
"""The native pump: sockets read and written without a transport of asyncio between, as a guest of its loop.

One epoll descriptor holds all sockets of the pump, and the loop watches that one; a turn takes what is ready, lets each
socket work, then sends what was written in one call a socket. To Python each socket is a transport, so that a protocol
does not see who carries it.
Law: it decides nothing. A byte that came is given to exactly one reader, and bytes leave in the order they were written.
"""

import os
import socket as sockets

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy, memmove

cdef extern from "sys/epoll.h" nogil:
    int EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP, EPOLLRDHUP, EPOLL_CTL_ADD, EPOLL_CTL_MOD, EPOLL_CTL_DEL, EPOLL_CLOEXEC
    ctypedef union epoll_data_t:
        uint64_t u64
    struct epoll_event:
        uint32_t events
        epoll_data_t data
    int epoll_create1(int flags)
    int epoll_ctl(int epfd, int op, int fd, epoll_event* event)
    int epoll_wait(int epfd, epoll_event* events, int maxevents, int timeout)

cdef extern from "sys/socket.h" nogil:
    int MSG_NOSIGNAL, MSG_DONTWAIT, SOCK_NONBLOCK, SOCK_CLOEXEC, SHUT_WR, SOL_SOCKET
    ssize_t recv(int fd, void* buffer, size_t length, int flags)
    ssize_t send(int fd, const void* buffer, size_t length, int flags)
    int accept4(int fd, void* address, void* length, int flags)
    int shutdown(int fd, int how)
    int setsockopt(int fd, int level, int name, const void* value, unsigned int length)

cdef extern from "netinet/in.h" nogil:
    int IPPROTO_TCP

cdef extern from "netinet/tcp.h" nogil:
    int TCP_NODELAY

cdef extern from "unistd.h" nogil:
    int close(int fd)

cdef extern from "time.h" nogil:
    struct timespec:
        long tv_sec
        long tv_nsec
    int CLOCK_MONOTONIC
    int clock_gettime(int clock, timespec* time)

cdef enum:
    EVENTS = 256
    ROUNDS = 8  # Looks at the descriptor in one turn, so that the loop's own work is never far away.
    BUSY = 4
    ACCEPTED_A_TURN = 64
    SCRATCH_BYTES = 262144
    DIRECT_BYTES = 65536  # More than this is not copied to wait for the end of the turn.


cdef class Rounds:
    cdef int over(self) except -1:
        return 0


cdef class Pump:
    """Made once in a worker. Not for threads: it belongs to its loop."""

    def __cinit__(self):
        self.scratch = <char*> malloc(SCRATCH_BYTES)
        if self.scratch == NULL:
            raise MemoryError
        self.epoll = -1

    def __dealloc__(self):
        free(self.scratch)
        if self.epoll >= 0:
            close(self.epoll)

    def __init__(self, loop):
        """Raises OSError."""
        self.loop = loop
        self.sockets = []
        self.unsent = []
        self.epoll = epoll_create1(EPOLL_CLOEXEC)
        if self.epoll < 0:
            raise OSError(errno, os.strerror(errno))
        loop.add_reader(self.epoll, self.turn)

    def close(self):
        """Drop every socket that is left."""
        cdef Socket socket
        for found in list(self.sockets):
            if found is not None:
                socket = found
                socket.abort()
        self.rounds = None
        if self.epoll >= 0:
            self.loop.remove_reader(self.epoll)
            close(self.epoll)
            self.epoll = -1

    def turn(self):
        """Let every socket that is ready work. Called by the loop."""
        cdef epoll_event[EVENTS] events
        cdef int found, number, rounds
        if self.turning or self.epoll < 0:
            return
        self.turning = True
        try:
            for rounds in range(ROUNDS):
                found = epoll_wait(self.epoll, events, EVENTS, 0)
                if found <= 0:
                    break
                self.moment = clock()
                for number in range(found):
                    self._one(events[number].data.u64, events[number].events)
                if self.rounds is not None:
                    self.rounds.over()
                self.flush()
                if found < BUSY:
                    break  # Another look would most likely find nothing; the loop looks again anyway.
        finally:
            self.turning = False

    cdef int _one(self, uint64_t whose, uint32_t events) except -1:
        cdef Socket socket
        cdef Py_ssize_t fd = <Py_ssize_t> <uint32_t> whose
        if fd >= len(self.sockets) or self.sockets[fd] is None:
            return 0
        socket = <Socket> self.sockets[fd]
        if socket.generation != <uint32_t> (whose >> 32):
            return 0  # Of a socket that was closed in this round, whose number another one has by now.
        try:
            socket.ready(events)
        except Exception as error:  # A mistake of one connection is its own end, not everyone's.
            self.loop.call_exception_handler({"message": "a connection failed", "exception": error})
            socket.finish(error)
        return 0

    cdef int flush(self) except -1:
        cdef Socket socket
        cdef list unsent = self.unsent
        if unsent:
            self.unsent = []
            for found in unsent:
                socket = <Socket> found
                socket.dirty = False
                if socket.fd >= 0:
                    socket.send()
        return 0

    cdef int watch(self, Socket socket) except -1:
        cdef epoll_event event
        while len(self.sockets) <= socket.fd:
            self.sockets.extend([None] * 64)
        self.generation += 1
        socket.generation = self.generation
        socket.interest = EPOLLIN
        event.events = EPOLLIN
        event.data.u64 = (<uint64_t> socket.generation << 32) | <uint64_t> socket.fd
        if epoll_ctl(self.epoll, EPOLL_CTL_ADD, socket.fd, &event) < 0:
            raise OSError(errno, os.strerror(errno))
        self.sockets[socket.fd] = socket
        return 0

    cdef int listen_for(self, Socket socket, uint32_t interest) except -1:
        cdef epoll_event event
        if socket.interest != interest and socket.fd >= 0:
            event.events = interest
            event.data.u64 = (<uint64_t> socket.generation << 32) | <uint64_t> socket.fd
            if epoll_ctl(self.epoll, EPOLL_CTL_MOD, socket.fd, &event) < 0:
                raise OSError(errno, os.strerror(errno))
            socket.interest = interest
        return 0

    cdef int forget(self, Socket socket) except -1:
        if socket.fd >= 0:
            self.sockets[socket.fd] = None
            if isinstance(socket, Listener):  # Others hold it open, so closing our copy leaves it in the epoll set.
                epoll_ctl(self.epoll, EPOLL_CTL_DEL, socket.fd, NULL)
            close(socket.fd)  # Which takes it out of the epoll set, too.
            socket.fd = -1
        return 0

    cdef double now(self):
        """Seconds of the loop's clock; inside a turn, of the beginning of its round."""
        return self.moment if self.turning else clock()


cdef double clock() noexcept:
    cdef timespec time
    clock_gettime(CLOCK_MONOTONIC, &time)
    return time.tv_sec + time.tv_nsec / 1e9


cdef class Socket:
    """`protocol` hears what an asyncio protocol hears; subclasses in C may take the bytes before it does."""

    def __cinit__(self):
        self.fd = -1
        self.high, self.low = 65536, 16384

    def __dealloc__(self):
        free(self.out)
        if self.fd >= 0:
            close(self.fd)

    def __init__(self, Pump pump, int fd):
        """Takes the descriptor over, which must not block; it is closed with this."""
        self.pump = pump
        self.fd = fd
        pump.watch(self)

    # What the kernel says

    cdef int ready(self, uint32_t events) except -1:
        if events & EPOLLOUT:
            self.send()
        if self.fd >= 0 and events & (EPOLLIN | EPOLLERR | EPOLLHUP):
            if self.paused and not events & (EPOLLERR | EPOLLHUP):
                return 0
            self.readable()
        return 0

    cdef int readable(self) except -1:
        cdef ssize_t length = recv(self.fd, self.pump.scratch, SCRATCH_BYTES, 0)
        if length > 0:
            return self.received(self.pump.scratch, length)
        if length == 0:
            return self.ended()
        if errno in (EAGAIN, EINTR):
            return 0
        return self.finish(OSError(errno, os.strerror(errno)))

    cdef int received(self, const char* data, Py_ssize_t length) except -1:
        if not self.closing and self.protocol is not None:
            self.protocol.data_received(PyBytes_FromStringAndSize(data, length))
        return 0

    cdef int ended(self) except -1:
        """The other side says no more. As asyncio's transports do by default, ours then ends, too."""
        self.close()
        return 0

    cdef int gone(self, object error) except -1:
        """The socket is closed; `error` None when nothing was wrong."""
        protocol = self.protocol
        if protocol is not None:
            self.protocol = None
            self.pump.loop.call_soon(protocol.connection_lost, error)
        return 0

    # What is to be sent

    cdef Py_ssize_t waiting(self):
        return self.out_end - self.out_at

    cdef int put(self, const char* data, Py_ssize_t length) except -1:
        """Have bytes sent: at the end of the turn, or at once when there is no turn, or where they are many."""
        cdef ssize_t sent = 0
        if self.fd < 0 or length <= 0:
            return 0
        if length > DIRECT_BYTES and self.out_at < self.out_end and not self.interest & EPOLLOUT:
            self.send()  # What is before it leaves, so that much is not copied behind little.
            if self.fd < 0:
                return 0
        if self.out_at == self.out_end and (length > DIRECT_BYTES or not self.pump.turning):
            sent = send(self.fd, data, length, MSG_NOSIGNAL)
            if sent < 0:
                if errno not in (EAGAIN, EINTR):
                    return self.finish(OSError(errno, os.strerror(errno)))
                sent = 0
            if sent == length:
                return 0
            self._keep(data + sent, length - sent)
            self.pump.listen_for(self, self.interest | EPOLLOUT)
            return self._watermarks()
        self._keep(data, length)
        if self.interest & EPOLLOUT:
            return self._watermarks()
        if not self.pump.turning or self.out_end - self.out_at > self.high:
            return self.send()
        if not self.dirty:
            self.dirty = True
            self.pump.unsent.append(self)
        return 0

    cdef int _keep(self, const char* data, Py_ssize_t length) except -1:
        cdef Py_ssize_t size
        cdef char* grown
        if self.out_end + length > self.out_size:
            if self.out_at:
                memmove(self.out, self.out + self.out_at, self.out_end - self.out_at)
                self.out_end -= self.out_at
                self.out_at = 0
            size = max(self.out_size, 2048)
            while size < self.out_end + length:
                size *= 2
            if size > self.out_size:
                grown = <char*> realloc(self.out, size)
                if grown == NULL:
                    raise MemoryError
                self.out, self.out_size = grown, size
        memcpy(self.out + self.out_end, data, length)
        self.out_end += length
        return 0

    cdef int send(self) except -1:
        """What waits, as far as the kernel takes it."""
        cdef ssize_t sent
        while self.out_at < self.out_end:
            sent = send(self.fd, self.out + self.out_at, self.out_end - self.out_at, MSG_NOSIGNAL)
            if sent < 0:
                if errno == EINTR:
                    continue
                if errno == EAGAIN:
                    break
                return self.finish(OSError(errno, os.strerror(errno)))
            self.out_at += sent
        if self.out_at < self.out_end:
            self.pump.listen_for(self, self.interest | EPOLLOUT)
            return self._watermarks()
        free(self.out)  # A socket that rests holds nothing.
        self.out = NULL
        self.out_at = self.out_end = self.out_size = 0
        if self.interest & EPOLLOUT:
            self.pump.listen_for(self, self.interest & ~(<uint32_t> EPOLLOUT))
        if self.ends:
            shutdown(self.fd, SHUT_WR)
        if self.closing:
            return self.finish(None)
        return self._watermarks()

    cdef int _watermarks(self) except -1:
        """Tell the protocol to stop, or to go on."""
        cdef Py_ssize_t size = self.out_end - self.out_at
        if not self.full and size > self.high:
            self.full = True
            if self.protocol is not None:
                self.protocol.pause_writing()
        elif self.full and size <= self.low:
            self.full = False
            if self.protocol is not None:
                self.protocol.resume_writing()
        return 0

    cdef int finish(self, object error) except -1:
        """Close at once. What was not sent is lost."""
        if self.fd < 0:
            return 0
        self.closing = True
        self.pump.forget(self)
        free(self.out)
        self.out = NULL
        self.out_at = self.out_end = self.out_size = 0
        return self.gone(error)

    # The transport that a protocol speaks through

    def write(self, data):
        cdef Py_buffer view
        if self.closing or self.ends:
            return
        if type(data) is bytes:
            self.put(<const char*> (<bytes> data), len(<bytes> data))
            return
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            self.put(<const char*> view.buf, view.len)
        finally:
            PyBuffer_Release(&view)

    def writelines(self, parts):
        cdef bint turning = self.pump.turning
        self.pump.turning = True  # All parts leave together.
        try:
            for part in parts:
                self.write(part)
        finally:
            self.pump.turning = turning
        if not turning:
            self.pump.flush()

    def write_eof(self):
        """Close our side once everything is sent."""
        if not self.ends and self.fd >= 0:
            self.ends = True
            if self.out_at == self.out_end:
                shutdown(self.fd, SHUT_WR)

    def can_write_eof(self):
        return True

    def close(self):
        """Read no more; end once everything is sent."""
        if self.closing or self.fd < 0:
            return
        self.closing = True
        if self.out_at == self.out_end:
            self.finish(None)
        else:
            self.pause_reading()

    def abort(self):
        self.finish(None)

    def is_closing(self):
        return self.closing

    def pause_reading(self):
        if not self.paused and self.fd >= 0:
            self.paused = True
            self.pump.listen_for(self, self.interest & ~(<uint32_t> EPOLLIN))

    def resume_reading(self):
        if self.paused and self.fd >= 0 and not self.closing:
            self.paused = False
            self.pump.listen_for(self, self.interest | EPOLLIN)

    def set_write_buffer_limits(self, high=None, low=None):
        self.high = 65536 if high is None else high
        self.low = self.high // 4 if low is None else low

    def get_write_buffer_size(self):
        return self.out_end - self.out_at

    def get_extra_info(self, name, default=None):
        if name == "peername":
            if self.peer is None and self.fd >= 0:
                self.peer = self._asked("getpeername")
            return default if self.peer is None else self.peer
        if name == "sockname":
            return self._asked("getsockname") or default
        return default

    def _asked(self, question):
        """An address, by a socket object that is let go at once."""
        asking = sockets.socket(fileno=self.fd)
        try:
            return getattr(asking, question)()
        except OSError:
            return None
        finally:
            asking.detach()


cdef class Listener(Socket):
    """Takes connections in; `made(pump, fd)` makes of each what it is to be."""

    cdef object made

    def __init__(self, Pump pump, sock, made):
        """`sock` listens already; it is the caller's no more."""
        sock.setblocking(False)
        self.made = made
        Socket.__init__(self, pump, sock.detach())

    cdef int readable(self) except -1:
        self.accept(ACCEPTED_A_TURN)
        return 0

    def accept(self, int most):
        """Take in up to so many that have knocked; returns how many there were."""
        cdef int number, fd, yes = 1
        for number in range(most):
            fd = accept4(self.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)
            if fd < 0:
                return number  # Nobody is left, or no descriptor: the kernel asks again.
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes))
            self.made(self.pump, fd)
        return most

    cdef int gone(self, object error) except -1:
        return 0
