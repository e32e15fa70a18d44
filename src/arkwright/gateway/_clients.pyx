# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Plain forwards carried whole in C: admitted, sent, answered, charged and written down without Python.

A request that is plain and has a lane (`_lanes`) goes through here; at the first sign of anything else
(another status, a time-out, a client that hangs up, usage that does not fit) it is handed over to Python as it stands,
with what was sent, what came, what is held. Everybody else's bytes go to the protocol, a `gateway.connection`.

Law: the duties are those of `gateway.admission`, `charging` and `forward`, in their order: nothing is sent before it is
held and its intent is written, and no last byte leaves before the charge is on the disk. A request that is handed over
is no longer touched here.
"""

from collections import deque

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport uint64_t
from libc.stdlib cimport free, malloc

from arkwright.gateway._answers cimport PLAIN, UNFINISHED, Reading, read_answer
from arkwright.gateway._pump cimport Socket
from arkwright.gateway._records cimport Facts
from arkwright.gateway._requests cimport read_chat, read_head
from arkwright.gateway._texts cimport copied, decimal, hexadecimal, kept, limit_lines
from arkwright.host._permits cimport NativeGroup

cdef double FLUSH_S = 0.005

cdef enum:
    REQUEST_BYTES_MAX = 1048576  # Beyond, a body's way through Python is no longer what it costs.
    ANSWER_BYTES_MAX = 1048576
    TOKENS_MAX = 100000000  # With `gateway.lanes.PICO_MAX`, no amount comes near what a machine word holds.


cdef class Clients:
    """All of a worker. `policy` is a `gateway.lanes.Policy`: it makes lanes, protocols, and takes requests over."""

    def __init__(self, Pump pump, Journal journal, NativePermits permits, Lanes lanes, policy, timeouts, double drain_idle_s,
                 beginnings):
        """`drain_idle_s`: what rests so long is closed while draining. `beginnings`: of answers' heads, then of last ones'."""
        self.drain_idle_s = drain_idle_s
        self.pump, self.journal, self.permits, self.lanes, self.policy = pump, journal, permits, lanes, policy
        self.heed(timeouts)
        self.beginning, self.beginning_last = beginnings
        self.waiting = deque()
        self.asking = []
        pump.rounds = self
        journal.told = self.release

    def heed(self, timeouts):
        """From now on."""
        self.idle_timeout_s, self.body_timeout_s = timeouts.idle_timeout_s, timeouts.body_timeout_s
        self.first_byte_timeout_s, self.write_timeout_s = timeouts.first_byte_timeout_s, timeouts.write_timeout_s

    def accepted(self, Pump pump, int fd):
        """A client knocked."""
        cdef Client client = Client(pump, fd)
        client.all = self
        client.deadline = pump.now() + self.rest_s()

    def release(self):
        """Tell the clients whose charges are on the disk."""
        cdef Client client
        cdef uint64_t durable = self.journal.durable
        while self.waiting:
            client = <Client> self.waiting[0]
            if client.record > durable:
                break
            self.waiting.popleft()
            if client.mode == WAITS:
                client.deliver()

    cdef double rest_s(self) noexcept:
        """How long a connection may rest."""
        return self.drain_idle_s if self.draining else self.idle_timeout_s

    cdef int over(self) except -1:
        """Let in who has asked in this round, those of one organization under one lock."""
        cdef Client client
        cdef list asking = self.asking
        if not asking:
            return 0
        self.asking = []
        for found in asking:
            client = <Client> found
            client.admitted = False
            client.upstream = client.lane.resting.take() if client.mode == ASKS and client.fd >= 0 else None
        self.take_all(asking)
        for found in asking:
            client = <Client> found
            try:
                client.decided()
            except Exception as error:  # As in `_pump`: one's mistake is one's own end.
                self.pump.loop.call_exception_handler({"message": "a connection failed", "exception": error})
                client.finish(error)
        return 0

    cdef int take_all(self, list asking) except -1:
        """No Python is called before the lock is given back."""
        cdef Client client
        cdef NativeGroup group
        cdef NativeGroup within = None
        for found in asking:
            client = <Client> found
            if client.upstream is None:
                continue
            group = client.lane.group
            if within is not None and not self.permits.together(within, group):
                self.permits.leave(within)
                within = None
            if within is None:
                within = group if self.permits.enter(group) else None
            client.admitted = within is not None and self.permits.take_within(
                group, client.cost_pico, client.counted_tokens, client.asked_us, &client.taken
            )
        if within is not None:
            self.permits.leave(within)
        return 0

    cdef int flush_soon(self) except -1:
        """What has ended is ended in the words when its organization is next looked at, or then."""
        if not self.flushing:
            self.flushing = True
            self.pump.loop.call_later(FLUSH_S, self.flush)
        return 0

    def flush(self):
        self.flushing = False
        self.permits.flush()

    def sweep(self):
        """Enforce deadlines; called a few times a second."""
        cdef double now = self.pump.now()
        for socket in list(self.pump.sockets):
            if type(socket) is Client:
                (<Client> socket).expire(now)

    def drain(self):
        """Close what rests after a moment of silence, everything else with the answer it waits for. Idempotent."""
        cdef Client client
        if self.draining:
            return
        self.draining = True
        for socket in list(self.pump.sockets):
            if type(socket) is Client:
                client = <Client> socket
                if client.mode == RESTS and not client.waiting():
                    client.deadline -= max(self.idle_timeout_s - self.drain_idle_s, 0.0)

    def give_up(self):
        """The journal failed: who waits for a record never gets it."""
        cdef Client client
        for socket in list(self.pump.sockets):
            if type(socket) is Client:
                client = <Client> socket
                if client.mode in (BUSY, WAITS):
                    client.abort()

    @property
    def connections(self):
        """Clients without a protocol."""
        return sum(1 for socket in self.pump.sockets if type(socket) is Client and (<Client> socket).protocol is None)


cdef class Client(Taker):
    """One client's connection."""

    def __dealloc__(self):
        free(self.request)
        free(self.answer)

    # What the client says

    cdef int received(self, const char* data, Py_ssize_t length) except -1:
        if self.closing:
            return 0
        if self.mode == GUEST:
            if not self.protocol.at_rest:
                return Socket.received(self, data, length)
        elif self.mode == BUSY or self.mode == WAITS or self.mode == ASKS:  # Of the next request: it waits for its turn.
            self.keep_request(data, length)
            self.early += length
            self.pause_reading()
            return 0
        elif self.mode == GATHERS:
            self.keep_request(data, length)
            return self.plain(self.request, self.request_length)
        return self.plain(data, length)

    cdef int plain(self, const char* data, Py_ssize_t length) except -1:
        """Carry a request that has come whole; wait for the rest of one; leave anything else to the protocol."""
        cdef Head head
        cdef Chat chat
        cdef Py_ssize_t whole
        if self.all.draining or not read_head(data, length, &head):
            return self.guest(data, length)
        whole = head.length + <Py_ssize_t> head.body_length
        if whole > REQUEST_BYTES_MAX or length > whole:
            return self.guest(data, length)
        if length < whole:
            if data != self.request:
                self.request_length = 0
                self.keep_request(data, length)
            self.leave_protocol()
            self.mode = GATHERS
            self.deadline = self.pump.now() + self.all.body_timeout_s
            return 0
        if not read_chat(data + head.length, whole - head.length, &chat):
            return self.guest(data, length)
        if not self.start(data, length, &head, &chat):
            return self.guest(data, length)
        return 0

    cdef bint start(self, const char* data, Py_ssize_t length, const Head* head, const Chat* chat) except -1:
        """Have it ask to be admitted. False, with nothing changed, where Python has to look at it."""
        cdef Clients all_ = self.all
        cdef Lane lane = all_.lanes.lane(self.lane, head, chat)
        if lane is None:
            return False
        self.asked_us = all_.lanes.now_us()
        if not lane.from_us <= self.asked_us < lane.until_us:
            all_.lanes.forget()
            return False
        lane.worst(chat, &self.cost_pico, &self.counted_tokens)
        self.model_at, self.model_length = chat.model - data, chat.model_length
        if data != self.request:
            self.request_length = 0
            self.keep_request(data, length)
        self.request_head, self.early, self.answer_length = head.length, 0, 0
        self.mode, self.lane = ASKS, lane
        all_.asking.append(self)
        if not self.pump.turning:
            all_.over()
        return True

    cdef int decided(self) except -1:
        """Send it, now that it is admitted; or leave it to Python, which says what is in the way."""
        cdef Clients all_ = self.all
        if self.admitted and self.mode == ASKS and self.upstream.fd >= 0 and not self.upstream.closing and self.go():
            return 0
        if self.admitted:
            all_.policy.give_back(all_.permits.as_permit(self.lane.python_group, &self.taken))
        if self.upstream is not None:
            self.lane.resting.give(self.upstream)
            self.upstream = None
        if self.mode == ASKS:
            self.guest(self.request, self.request_length)
        return 0

    cdef int go(self) except -1:
        """0, with nothing sent, where the intent can't be written."""
        cdef Clients all_ = self.all
        cdef Lane lane = self.lane
        cdef Facts facts
        cdef Py_ssize_t size
        all_.lanes.event_id(self.event_id)
        facts.event_id = self.event_id
        facts.started_us = self.asked_us
        facts.hold_pico = self.cost_pico if lane.prepaid else 0
        size = lane.intent.write(all_.lanes.room, &facts, lane.lines)
        if not all_.journal.put(all_.lanes.room, size, False):
            return 0
        all_.permits.standing(lane.group, &self.standing)
        self.began = self.sent = self.pump.now()
        self.deadline = self.sent + all_.first_byte_timeout_s
        self.mode = BUSY
        self.upstream.taker = self
        all_.busy += 1
        self.leave_protocol()
        self.send_upstream()
        return 1

    cdef int send_upstream(self) except -1:
        """The request as its target is to be asked: its own head, its own name for the model."""
        cdef char line[160]
        cdef const char* body = self.request + self.request_head
        cdef Py_ssize_t length = self.request_length - self.early - self.request_head
        cdef Py_ssize_t model_length = self.model_length
        cdef Py_ssize_t before = self.model_at - self.request_head
        cdef bytes name = self.lane.upstream_model
        cdef char* at = line
        at = decimal(copied(at, b"content-length: ", 16), length + (0 if name is None else len(name) - model_length))
        at = copied(at, b"\r\nx-request-id: req_", 20)
        at = copied(hexadecimal(at, self.event_id), b"\r\n\r\n", 4)
        self.upstream.put(<const char*> self.lane.head, len(self.lane.head))
        self.upstream.put(line, at - line)
        if name is None:
            self.upstream.put(body, length)
        else:
            self.upstream.put(body, before)
            self.upstream.put(<const char*> name, len(name))
            self.upstream.put(body + before + model_length, length - before - model_length)
        return 0

    cdef int leave_protocol(self) except -1:
        """It rests, and is not needed for this request; nor may its deadline end it."""
        if self.protocol is not None:
            self.protocol.let_go()
            self.protocol = None
        return 0

    cdef int guest(self, const char* data, Py_ssize_t length) except -1:
        """Have the protocol read this, and what follows, until it rests."""
        cdef bytes all_ = PyBytes_FromStringAndSize(data, length)
        self.mode = GUEST
        self.request_length = 0
        if self.protocol is None:
            self.protocol = self.all.policy.protocol()
            self.protocol.connection_made(self)
            if self.all.draining:
                self.protocol.drain()
        self.protocol.data_received(all_)
        return 0

    cdef int ended(self) except -1:
        if self.mode == BUSY:  # The client hung up. What that means is not decided here.
            self.hand_over(NULL, 0)
        return Socket.ended(self)

    cdef int gone(self, object error) except -1:
        if self.mode == BUSY:
            self.hand_over(NULL, 0)
        elif self.mode == WAITS:  # It is charged: all of it was made for this client.
            self.all.busy -= 1
        self.mode = GUEST
        return Socket.gone(self, error)

    # What the upstream says

    cdef int answered(self, const char* data, Py_ssize_t length) except -1:
        cdef Answer found
        cdef Reading reading
        if self.answer_length:
            self.keep_answer(data, length)
            data, length = self.answer, self.answer_length
        reading = read_answer(data, length, &found)
        if reading == PLAIN:
            return self.settle(data, &found)
        if reading == UNFINISHED and length < ANSWER_BYTES_MAX:
            if data != self.answer:
                self.keep_answer(data, length)
            self.deadline = self.pump.now() + self.all.first_byte_timeout_s
            return 0
        return self.hand_over(data, length)

    cdef int unanswered(self) except -1:
        return self.hand_over(self.answer, self.answer_length)

    cdef int settle(self, const char* data, const Answer* found) except -1:
        """Charge it and have that written down; the client is told once it is."""
        cdef Lane lane = self.lane
        cdef Clients all_ = self.all
        cdef Facts facts
        cdef long long amount_pico = 0
        cdef long long duration_us
        cdef int item
        cdef Py_ssize_t size
        facts.tokens[1] = min(found.cached_tokens, found.prompt_tokens)
        facts.tokens[0] = found.prompt_tokens - facts.tokens[1]
        facts.tokens[2] = found.completion_tokens
        for item in range(3):
            facts.prices_pico[item] = lane.prices_pico[item]
            if facts.tokens[item] and not lane.priced[item] or facts.tokens[item] > TOKENS_MAX:
                return self.hand_over(data, found.whole)
            amount_pico += facts.tokens[item] * facts.prices_pico[item]
        if found.reasoning_tokens or found.cache_write_tokens or amount_pico > self.taken.cost_pico:
            return self.hand_over(data, found.whole)
        facts.ended_us = all_.lanes.now_us()
        facts.started_us = self.taken.at_us
        facts.event_id = self.event_id
        duration_us = <long long> ((self.pump.now() - self.began) * 1000000)
        facts.ttft_us = duration_us
        facts.upstream_request_id, facts.upstream_request_id_length = found.request_id, found.request_id_length
        all_.lanes.room_for(lane.record_bytes)
        size = lane.settled.write(all_.lanes.room, &facts, lane.lines)
        self.record = all_.journal.put(all_.lanes.room, size, True)
        if not self.record:  # It has failed, and so will everything: nothing is said that is not written.
            return self.hand_over(data, found.whole)
        all_.permits.settle(lane.group, &self.taken, amount_pico, found.prompt_tokens + found.completion_tokens)
        all_.flush_soon()
        all_.lanes.count(lane, &facts, duration_us)
        self.tell(found)
        self.upstream.taker = None
        lane.resting.give(self.upstream)
        self.upstream = None
        self.mode = WAITS
        all_.waiting.append(self)
        return 0

    # What the client is told

    cdef int tell(self, const Answer* found) except -1:
        """Make its answer ready: the head, and the body with the customer's name for the model."""
        cdef Lane lane = self.lane
        cdef bint rename = lane.upstream_model is not None and found.model != NULL
        cdef const char* body = found.body
        cdef Py_ssize_t length = <Py_ssize_t> found.body_length
        cdef Py_ssize_t before = found.model - body if rename else 0
        cdef Py_ssize_t told = length + (len(lane.called) - found.model_length if rename else 0)
        cdef bytes beginning
        cdef char* made
        cdef char* at
        self.last = self.all.draining
        beginning = self.all.beginning_last if self.last else self.all.beginning
        made = <char*> malloc(len(beginning) + told + 512)
        if made == NULL:
            raise MemoryError
        at = copied(made, <const char*> beginning, len(beginning))
        at = limit_lines(at, b"requests", 8, self.standing.requests_cap, self.standing.requests_left,
                         self.standing.requests_reset_ms)
        at = limit_lines(at, b"tokens", 6, self.standing.tokens_cap, self.standing.tokens_left,
                         self.standing.tokens_reset_ms)
        at = decimal(copied(at, b"content-length: ", 16), told)
        at = copied(hexadecimal(copied(at, b"\r\nx-request-id: req_", 20), self.event_id), b"\r\n\r\n", 4)
        if rename:
            at = copied(at, body, before)
            at = copied(at, <const char*> lane.called, len(lane.called))
            at = copied(at, body + before + found.model_length, length - before - found.model_length)
        else:
            at = copied(at, body, length)
        free(self.answer)
        self.answer, self.answer_length = made, at - made
        self.answer_size = len(beginning) + told + 512
        return 0

    cdef int deliver(self) except -1:
        """The record is on the disk: the answer leaves."""
        cdef char* answer = self.answer
        cdef Py_ssize_t length = self.answer_length
        self.all.busy -= 1
        self.answer, self.answer_length, self.answer_size = NULL, 0, 0
        self.put(answer, length)
        free(answer)
        if self.fd >= 0:
            self.rest()
        return 0

    cdef int rest(self) except -1:
        cdef Py_ssize_t early = self.early
        cdef bytes waiting = PyBytes_FromStringAndSize(self.request + self.request_length - early, early)
        self.mode, self.early, self.request_length = RESTS, 0, 0
        if self.request_size > 16384:
            free(self.request)
            self.request, self.request_size = NULL, 0
        if self.last:
            self.close()
            return 0
        self.deadline = self.pump.now() + (self.all.write_timeout_s if self.waiting() else self.all.rest_s())
        if early:
            self.resume_reading()
            return self.received(<const char*> waiting, early)
        return 0

    cdef int expire(self, double now) except -1:
        if now < self.deadline:
            return 0
        if self.mode == RESTS:
            if self.waiting():
                self.abort()
            else:
                self.close()
        elif self.mode == ASKS:  # Its round has failed.
            self.abort()
        elif self.mode == GATHERS:
            self.guest(self.request, self.request_length)
            self.protocol.expire()
        elif self.mode == BUSY:
            self.hand_over(self.answer, self.answer_length)
        return 0

    cdef int hand_over(self, const char* data, Py_ssize_t length) except -1:
        """Python goes on from here, as if it had sent the request itself; `data`: what came of the answer."""
        cdef Py_ssize_t own = self.request_length - self.early
        cdef bytes answered = PyBytes_FromStringAndSize(data, length) if length else b""
        cdef bytes request = PyBytes_FromStringAndSize(self.request, own)
        cdef bytes early = PyBytes_FromStringAndSize(self.request + own, self.early)
        cdef object connection = self.upstream.protocol
        self.all.busy -= 1
        self.mode, self.request_length, self.answer_length, self.early = GUEST, 0, 0, 0
        self.upstream.taker = None
        self.upstream = None
        self.protocol = self.all.policy.protocol()
        self.protocol.connection_made(self)
        permit = self.all.permits.as_permit(self.lane.python_group, &self.taken)
        self.all.policy.take_over(
            self.protocol, self.lane.policy, request, self.event_id[:16], permit, self.began, connection, answered
        )
        if early and self.fd >= 0:
            self.resume_reading()
            self.protocol.data_received(early)
        return 0

    # Room

    cdef int keep_request(self, const char* data, Py_ssize_t length) except -1:
        kept(&self.request, &self.request_length, &self.request_size, data, length)
        return 0

    cdef int keep_answer(self, const char* data, Py_ssize_t length) except -1:
        kept(&self.answer, &self.answer_length, &self.answer_size, data, length)
        return 0
