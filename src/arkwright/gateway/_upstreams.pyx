# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Sockets to upstreams: where an answer begins and ends, found without a parser in Python; streams passed on.

What is plain is framed here: HTTP/1.1, one length or chunks, nothing odd in the head. Anything else goes, byte by byte
as it came, to the protocol, which reads it with httptools. The blocks of a stream in which nothing is to be looked at
go straight on to the client; the others go to the protocol's consumer, so the meaning of a stream is decided in Python.
Law: no byte is reported twice or passed over, wherever the network cut the answer.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdio cimport snprintf
from libc.stdlib cimport free, realloc
from libc.string cimport memchr, memcmp, memcpy

from arkwright.gateway._heads cimport Field, called, field, says
from arkwright.gateway._json cimport number
from arkwright.gateway._pump cimport Pump, Socket

cdef extern from "string.h" nogil:
    void* memmem(const void* haystack, size_t length, const void* needle, size_t needle_length)
    void* memrchr(const void* data, int byte, size_t length)

cdef enum:
    HEAD_BYTES_MAX = 65536
    LINE_BYTES_MAX = 4096  # A chunk's size with its extensions, one line of a trailer.
    EVENT_BYTES_MAX = 16777216
    RESTING_MAX = 256


cdef class Taker(Socket):
    cdef int answered(self, const char* data, Py_ssize_t length) except -1:
        """Bytes of an answer."""
        return 0

    cdef int unanswered(self) except -1:
        """No more will come of it."""
        return 0


cdef class Resting:
    """Connections of one pool that were used a moment ago by whoever calls without a protocol.

    The pool takes them back a few times a second (`leave`), since it alone knows how long a connection may rest.
    """

    def __init__(self, pool):
        self.pool = pool
        self.upstreams = []

    def leave(self):
        """All of them, as the pool knows them."""
        found, self.upstreams = self.upstreams, []
        return [(<Upstream> upstream).protocol for upstream in found if (<Upstream> upstream).protocol is not None]

    cdef Upstream take(self):
        """None when there is none, here or in the pool."""
        cdef Upstream upstream
        while self.upstreams:
            upstream = <Upstream> self.upstreams.pop()
            if upstream.fd >= 0 and not upstream.closing:
                return upstream
        connection = self.pool.take()
        return None if connection is None else <Upstream> connection.transport

    cdef int give(self, Upstream upstream) except -1:
        if len(self.upstreams) < RESTING_MAX:
            self.upstreams.append(upstream)
        else:
            self.pool.give_back(upstream.protocol)
        return 0


cdef class Upstream(Socket):
    """`protocol` is a `gateway.upstream._Connection`; `expect` says that an answer is due."""

    def __cinit__(self):
        self.rest = b""

    def __dealloc__(self):
        free(self.head)

    def expect(self):
        """A request was sent: what comes now is the answer to it."""
        self.state = HEAD
        self.head_length = 0

    # Where things end

    def feed(self, bytes data):
        """Bytes that somebody else has read."""
        self.received(PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))

    cdef int received(self, const char* data, Py_ssize_t length) except -1:
        if self.taker is not None:
            return self.taker.answered(data, length)
        if self.state == ODD or self.state == NOTHING:
            return Socket.received(self, data, length)
        if self.state == HEAD:
            return self.take_head(data, length)
        return self.frame(data, length)

    cdef Py_ssize_t head_end(self, const char* data, Py_ssize_t length):
        """Where the head ends, its blank line within; -1 when it has not ended yet."""
        cdef const char* found = <const char*> memmem(data, length, b"\r\n\r\n", 4)
        return -1 if found == NULL else found - data + 4

    cdef int take_head(self, const char* data, Py_ssize_t length) except -1:
        cdef Py_ssize_t end
        cdef bytes whole
        cdef list headers
        if self.head_length:
            self.store(data, length)
            data, length = self.head, self.head_length
        end = self.head_end(data, length)
        if end < 0:
            if length > HEAD_BYTES_MAX or not begins_plainly(data, length):
                return self.odd(data, length)
            if not self.head_length:
                self.store(data, length)
            return 0
        headers = self.plain_head(data, end)
        if headers is None:
            return self.odd(data, length)
        whole = None
        if self.head_length:  # Room that is needed again before all of this is read.
            whole = PyBytes_FromStringAndSize(data + end, length - end)
            data, length, end = PyBytes_AS_STRING(whole), length - end, 0
            self.head_length = 0
        self.protocol.framed_head(self.status, headers)
        if self.state == LENGTH and self.left == 0:
            return self.whole(length - end)
        return self.frame(data + end, length - end)

    cdef list plain_head(self, const char* data, Py_ssize_t end):
        """The headers, names in lower case, with the framing set; None for a head that is not plain."""
        cdef list headers = []
        cdef const char* at = data
        cdef const char* stop = data + end - 2
        cdef const char* line_end
        cdef Field found
        cdef Py_ssize_t digit
        cdef long long left = -1
        cdef bint chunked = False
        if end < 17 or memcmp(data, b"HTTP/1.1 ", 9):
            return None
        for digit in range(9, 12):
            if not 48 <= <unsigned char> data[digit] <= 57:
                return None
        self.status = (data[9] - 48) * 100 + (data[10] - 48) * 10 + data[11] - 48
        if self.status < 200 or self.status in (204, 304) or data[12] not in (32, 13):
            return None
        self.keep_alive = True
        at = <const char*> memchr(data, 10, end) + 1
        if (at - 2)[0] != 13:
            return None
        while at < stop:
            line_end = <const char*> memchr(at, 10, stop - at)
            if line_end == NULL or (line_end - 1)[0] != 13 or not field(at, line_end - 1, &found):
                return None
            if called(&found, b"content-length", 14):
                if left >= 0 or chunked:
                    return None
                left = number(found.value, found.length)
                if left < 0:
                    return None
            elif called(&found, b"transfer-encoding", 17):
                if left >= 0 or chunked or not says(&found, b"chunked", 7):
                    return None
                chunked = True
            elif called(&found, b"connection", 10):
                if says(&found, b"close", 5):
                    self.keep_alive = False
                elif not says(&found, b"keep-alive", 10):
                    return None
            elif called(&found, b"upgrade", 7):
                return None
            headers.append((lowered(found.name, found.name_length), PyBytes_FromStringAndSize(found.value, found.length)))
            at = line_end + 1
        if left < 0 and not chunked:
            return None
        self.left = left
        self.state = CHUNK_SIZE if chunked else LENGTH
        return headers

    cdef int odd(self, const char* data, Py_ssize_t length) except -1:
        """Give it all to the protocol, from the answer's first byte."""
        cdef bytes all_ = PyBytes_FromStringAndSize(data, length)
        self.state = ODD
        self.head_length = 0
        self.protocol.data_received(all_)
        return 0

    cdef int store(self, const char* data, Py_ssize_t length) except -1:
        cdef char* grown
        if self.head_length + length > self.head_size:
            self.head_size = self.head_length + length + 512
            grown = <char*> realloc(self.head, self.head_size)
            if grown == NULL:
                raise MemoryError
            self.head = grown
        memcpy(self.head + self.head_length, data, length)
        self.head_length += length
        return 0

    cdef int frame(self, const char* data, Py_ssize_t length) except -1:
        """Bytes of a body. What is reported may close this socket: looked at after each report."""
        cdef Py_ssize_t taken
        while length > 0 and self.fd >= 0:
            if self.state in (LENGTH, CHUNK_DATA):
                taken = <Py_ssize_t> min(<long long> length, self.left)
                self.left -= taken
                if self.state == CHUNK_DATA and not self.left:
                    self.state = CHUNK_END
                self.body(data, taken)
                data += taken
                length -= taken
                if self.state == LENGTH and not self.left and self.fd >= 0:
                    return self.whole(length)
            elif self.state in (CHUNK_SIZE, CHUNK_END, TRAILER):
                taken = self.line(data, length)
                if taken < 0:
                    return self.broken()
                data += taken
                length -= taken
                if self.state == NOTHING:
                    return self.whole(length)
            else:
                return Socket.received(self, data, length)
        return 0

    cdef Py_ssize_t line(self, const char* data, Py_ssize_t length) except -2:
        """One line around chunks; returns how many bytes it took of these, -1 for what is none."""
        cdef const char* end = <const char*> memchr(data, 10, length)
        cdef Py_ssize_t taken = length if end == NULL else end - data + 1
        cdef const char* line = data
        cdef Py_ssize_t size = taken
        if self.head_length or end == NULL:
            if self.head_length + taken > LINE_BYTES_MAX:
                return -1
            self.store(data, taken)
            if end == NULL:
                return taken
            line, size = self.head, self.head_length
            self.head_length = 0
        if size < 2 or line[size - 2] != 13:
            return -1
        size -= 2
        if self.state == CHUNK_END:
            if size:
                return -1
            self.state = CHUNK_SIZE
        elif self.state == CHUNK_SIZE:
            self.left = chunk_size(line, size)
            if self.left < 0:
                return -1
            self.state = CHUNK_DATA if self.left else TRAILER
        elif not size:
            self.state = NOTHING
        return taken

    cdef int whole(self, Py_ssize_t beyond) except -1:
        """The answer ended as it should. Bytes beyond it: who speaks unasked can't be trusted with the next request."""
        self.state = NOTHING
        self.leave()
        if self.fd >= 0 and self.protocol is not None:
            self.protocol.framed_end(self.keep_alive and not beyond)
        return 0

    cdef int broken(self) except -1:
        self.state = NOTHING
        self.leave()
        self.protocol.framed_error()
        return 0

    cdef int ended(self) except -1:
        self.leave()
        if self.taker is not None:
            self.taker.unanswered()
        return Socket.ended(self)

    cdef int gone(self, object error) except -1:
        self.leave()
        if self.taker is not None:
            self.taker.unanswered()
        return Socket.gone(self, error)

    cdef int body(self, const char* data, Py_ssize_t length) except -1:
        if self.client is None:
            self.protocol.on_body(PyBytes_FromStringAndSize(data, length))
            return 0
        return self.pass_on(data, length)

    # A stream that is passed on

    def relay(self, Socket client, call, follower, double idle_s):
        """From now on events go straight to the client, a chunk each time.

        call: whose deadline is renewed, and whose consumer gets every block in which something is to be looked at.
        """
        self.client, self.call, self.follower, self.rest = client, call, follower, follower.take_rest()
        self.idle_s = idle_s
        self.events, self.finished = follower.events, follower.finished
        self.renewed = self.pump.now()

    def leave(self):
        """Python has the stream again, with all that was counted."""
        if self.client is not None:
            self.follower.events = self.events
            if self.rest:
                self.follower.put_back(self.rest)
            self.client = self.call = self.follower = None
            self.rest = b""

    cdef int pass_on(self, const char* data, Py_ssize_t length) except -1:
        cdef Py_ssize_t end
        cdef bytes whole
        cdef double now = self.pump.now()
        if now - self.renewed > 0.5:
            self.renewed = now
            self.call.deadline = now + self.idle_s
        if self.rest:
            whole = self.rest + PyBytes_FromStringAndSize(data, length)
            data, length = PyBytes_AS_STRING(whole), PyBytes_GET_SIZE(whole)
        end = boundary(data, length)
        self.rest = PyBytes_FromStringAndSize(data + end, length - end) if end < length else b""
        if PyBytes_GET_SIZE(self.rest) > EVENT_BYTES_MAX:
            consumer = self.call.consumer
            self.leave()
            consumer.on_body(b"")  # Which finds it too long.
            return 0
        return self.block(data, end) if end else 0

    cdef int block(self, const char* data, Py_ssize_t length) except -1:
        """Whole events. Those in which something is to be looked at go to the consumer."""
        cdef char[24] size
        cdef int digits
        cdef long long count = occurrences(data, length, b"data:", 5)
        if notable(data, length, self.finished):
            return self.told(data, length)
        self.events += count
        digits = snprintf(size, 24, b"%zx\r\n", <size_t> length)
        self.client.put(size, digits)
        self.client.put(data, length)
        self.client.put(b"\r\n", 2)
        return 0

    cdef int told(self, const char* data, Py_ssize_t length) except -1:
        cdef object follower = self.follower
        follower.events = self.events
        self.call.consumer.on_body(PyBytes_FromStringAndSize(data, length))
        if self.follower is follower:
            self.events, self.finished = follower.events, follower.finished
        return 0


# Small questions about bytes

cdef bint begins_plainly(const char* data, Py_ssize_t length) noexcept nogil:
    """Whether the beginning of a head may yet become a plain one: what can't is refused before all of it is there."""
    cdef Py_ssize_t at
    if memcmp(data, b"HTTP/1.1 ", min(length, 9)):
        return False
    for at in range(9, length):
        if data[at] == 10 and data[at - 1] != 13:
            return False
    return True


cdef long long chunk_size(const char* line, Py_ssize_t length) noexcept nogil:
    """In hexadecimal; an extension behind it is passed over. -1 for what is none."""
    cdef long long size = 0
    cdef Py_ssize_t at = 0
    cdef unsigned char byte
    while at < length:
        byte = line[at]
        if 48 <= byte <= 57:
            size = size * 16 + byte - 48
        elif 97 <= byte <= 102 or 65 <= byte <= 70:
            size = size * 16 + (byte & 7) + 9
        else:
            break
        at += 1
        if at > 14:
            return -1
    if not at or (at < length and line[at] not in (59, 32, 9)):
        return -1
    return size


cdef bytes lowered(const char* name, Py_ssize_t length):
    cdef bytes made = PyBytes_FromStringAndSize(name, length)
    cdef char* at = PyBytes_AS_STRING(made)
    cdef Py_ssize_t number
    for number in range(length):
        if 65 <= at[number] <= 90:
            at[number] += 32
    return made


cdef Py_ssize_t boundary(const char* data, Py_ssize_t length) noexcept nogil:
    """Behind the last blank line, as `wire.sse` has it; 0 when there is none."""
    cdef const char* found
    cdef Py_ssize_t left = length
    while left > 1:
        found = <const char*> memrchr(data, 10, left)
        if found == NULL or found == data:
            return 0
        if (found - 1)[0] == 10:
            return found - data + 1
        if found - data >= 3 and (found - 1)[0] == 13 and (found - 2)[0] == 10 and (found - 3)[0] == 13:
            return found - data + 1
        left = found - data
    return 0


cdef long long occurrences(const char* data, Py_ssize_t length, const char* what, Py_ssize_t size) noexcept nogil:
    cdef long long count = 0
    cdef const char* end = data + length
    cdef const char* at = <const char*> memmem(data, length, what, size)
    while at != NULL:
        count += 1
        at += size
        at = <const char*> memmem(at, end - at, what, size)
    return count


cdef bint notable(const char* data, Py_ssize_t length, bint finished) noexcept nogil:
    """Whether `wire.openai_stream` has to look into these events: usage, an end, an error.

    Says yes too often rather than once too seldom; an escaped quote never stands before a name, so words don't match.
    """
    cdef const char* end = data + length
    cdef const char* at
    if memmem(data, length, b"[DONE]", 6) != NULL or memmem(data, length, b"error", 5) != NULL:
        return True
    at = <const char*> memmem(data, length, b'"usage"', 7)
    while at != NULL:
        if not null_follows(at + 7, end):
            return True
        at = <const char*> memmem(at + 7, end - at - 7, b'"usage"', 7)
    at = NULL if finished else <const char*> memmem(data, length, b'"finish_reason"', 15)
    while at != NULL:
        if not null_follows(at + 15, end):
            return True
        at = <const char*> memmem(at + 15, end - at - 15, b'"finish_reason"', 15)
    return False


cdef bint null_follows(const char* at, const char* end) noexcept nogil:
    while at < end and at[0] in (32, 58, 9):
        at += 1
    return end - at >= 4 and memcmp(at, b"null", 4) == 0
