# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Plain requests, read in C in one pass: a chat as most clients send it, not as a stream.

A strict reading of a small part of the protocol. What is not plain is not wrong: `gateway.connection` and `wire` read it,
and they read what is plain as it is read here.
Law: whatever is called plain has the same meaning there; in doubt it is not plain.
"""

from libc.string cimport memchr, memcmp

from arkwright.gateway._heads cimport Field, called, field, says
from arkwright.gateway._json cimport behind, between, blank, digits, key, number, string, word

cdef extern from "string.h" nogil:
    void* memmem(const void* haystack, size_t length, const void* needle, size_t needle_length)

cdef enum:
    HEAD_BYTES_MAX = 8192
    HEADERS_MAX = 64
    REQUEST_LINE_LENGTH = 36

cdef const char* REQUEST_LINE = b"POST /v1/chat/completions HTTP/1.1\r\n"


# A request's head

cdef bint read_head(const char* data, Py_ssize_t length, Head* head) noexcept nogil:
    cdef const char* at = data + REQUEST_LINE_LENGTH
    cdef const char* end
    cdef const char* line_end
    cdef int headers = 0
    cdef int hosts = 0
    if length < REQUEST_LINE_LENGTH or memcmp(data, REQUEST_LINE, REQUEST_LINE_LENGTH):
        return False
    end = <const char*> memmem(data, min(length, HEAD_BYTES_MAX), b"\r\n\r\n", 4)
    if end == NULL:
        return False  # Rare enough to be nobody's haste.
    head.authorization = NULL
    head.body_length = -1
    head.length = end + 4 - data
    end += 2
    while at < end:
        line_end = <const char*> memchr(at, 10, end - at)
        headers += 1
        if line_end == NULL or (line_end - 1)[0] != 13 or headers > HEADERS_MAX:
            return False
        if not header(at, line_end - 1, head, &hosts):
            return False
        at = line_end + 1
    return hosts == 1 and head.authorization != NULL and head.body_length >= 0


cdef bint header(const char* line, const char* end, Head* head, int* hosts) noexcept nogil:
    """One line of a head; False where it asks for more than a plain forward."""
    cdef Field found
    if not field(line, end, &found):
        return False
    if called(&found, b"host", 4):
        if not host(found.value, found.length):
            return False
        hosts[0] += 1
    elif called(&found, b"authorization", 13):
        if head.authorization != NULL or found.length < 1:
            return False
        head.authorization, head.authorization_length = found.value, found.length
    elif called(&found, b"content-length", 14):
        if head.body_length >= 0:
            return False
        head.body_length = number(found.value, found.length)
        return head.body_length >= 0
    elif called(&found, b"connection", 10):
        return says(&found, b"keep-alive", 10)
    elif called(&found, b"expect", 6):
        return False
    elif called(&found, b"upgrade", 7):
        return False
    elif called(&found, b"traceparent", 11):
        return False
    elif called(&found, b"idempotency-key", 15):
        return False
    elif called(&found, b"transfer-encoding", 17):
        return False
    return True


cdef bint host(const char* name, Py_ssize_t length) noexcept nogil:
    """A name or an address of four numbers, perhaps with a port."""
    cdef Py_ssize_t at
    cdef Py_ssize_t port = 0
    cdef unsigned char byte
    for at in range(length):
        byte = name[at]
        if port:
            if not 48 <= byte <= 57 or at - port >= 5:
                return False
        elif byte == 58 and at:
            port = at + 1
        elif not (97 <= byte <= 122 or 65 <= byte <= 90 or 48 <= byte <= 57 or byte in (45, 46, 95)):
            return False
    return length > 0


# The body of a chat

cdef bint read_chat(const char* data, Py_ssize_t length, Chat* chat) noexcept nogil:
    cdef const char* end = data + length
    cdef const char* at = blank(data, end)
    cdef const char* after
    cdef const char* name
    cdef Py_ssize_t size
    cdef int field
    cdef unsigned int seen = 0
    cdef bint ended
    chat.model, chat.output_tokens_max, chat.messages, chat.shown_bytes = NULL, -1, 0, 0
    if at >= end or at[0] != 123:
        return False
    at = blank(at + 1, end)
    while True:
        at = key(at, end, &name, &size)
        if at == NULL:
            return False
        field = field_of(name, size)
        if field < 0 or seen & (1u << field):
            return False
        seen |= 1u << field
        after = chat_field(field, at, end, chat)
        if after == NULL:
            return False
        at = behind(after, end, 125, &ended)
        if at == NULL:
            return False
        if ended:
            break
    return blank(at, end) == end and chat.model != NULL and chat.messages > 0


cdef int field_of(const char* name, Py_ssize_t size) noexcept nogil:
    """The number of a field that a plain request may have."""
    if size == 5 and not memcmp(name, b"model", 5):
        return 0
    if size == 8 and not memcmp(name, b"messages", 8):
        return 1
    if size == 10 and not memcmp(name, b"max_tokens", 10):
        return 2
    if size == 21 and not memcmp(name, b"max_completion_tokens", 21):
        return 3
    if size == 11 and not memcmp(name, b"temperature", 11):
        return 4
    if size == 5 and not memcmp(name, b"top_p", 5):
        return 5
    if size == 6 and not memcmp(name, b"stream", 6):
        return 6
    if size == 17 and not memcmp(name, b"frequency_penalty", 17):
        return 7
    if size == 16 and not memcmp(name, b"presence_penalty", 16):
        return 8
    if size == 4 and not memcmp(name, b"user", 4):
        return 9
    if size == 4 and not memcmp(name, b"seed", 4):
        return 10
    return -1


cdef const char* chat_field(int field, const char* at, const char* end, Chat* chat) noexcept nogil:
    cdef const char* after
    cdef long long tokens
    if field == 0:
        after = string(at, end)
        if after == NULL or memchr(at, 92, after - at) != NULL:
            return NULL
        chat.model, chat.model_length = at + 1, after - at - 2
        return after
    if field == 1:
        return messages(at, end, chat)
    if field == 6:
        return word(at, end, b"false", 5)
    if field == 9:
        return string(at, end)
    after = digits(at, end)
    if after == NULL:
        return NULL
    if field == 2 or field == 3:
        tokens = number(at, after - at)
        if tokens < 1:
            return NULL
        chat.output_tokens_max = max(chat.output_tokens_max, tokens)
    elif field == 4 and not between(at, after, 0, 2):
        return NULL
    elif field == 5 and not between(at, after, 0, 1):
        return NULL
    elif (field == 7 or field == 8) and not between(at, after, -2, 2):
        return NULL
    elif field == 10 and memchr(at, 46, after - at) != NULL:
        return NULL
    return after


cdef const char* messages(const char* at, const char* end, Chat* chat) noexcept nogil:
    cdef bint ended
    if at >= end or at[0] != 91:
        return NULL
    at = blank(at + 1, end)
    while True:
        at = message(at, end, chat)
        if at == NULL:
            return NULL
        chat.messages += 1
        at = behind(at, end, 93, &ended)
        if at == NULL:
            return NULL
        if ended:
            return at


cdef const char* message(const char* at, const char* end, Chat* chat) noexcept nogil:
    """`role` and `content`, once each, both strings; nothing else."""
    cdef const char* after
    cdef const char* name
    cdef Py_ssize_t size
    cdef int seen = 0
    cdef bint ended
    if at >= end or at[0] != 123:
        return NULL
    at = blank(at + 1, end)
    while True:
        at = key(at, end, &name, &size)
        if at == NULL:
            return NULL
        after = string(at, end)
        if after == NULL:
            return NULL
        if size == 4 and not memcmp(name, b"role", 4) and not seen & 1:
            seen |= 1
            if not role(at + 1, after - at - 2):
                return NULL
        elif size == 7 and not memcmp(name, b"content", 7) and not seen & 2:
            seen |= 2
            chat.shown_bytes += after - at
        else:
            return NULL
        at = behind(after, end, 125, &ended)
        if at == NULL:
            return NULL
        if ended:
            return at if seen == 3 else NULL


cdef bint role(const char* name, Py_ssize_t length) noexcept nogil:
    return (
        (length == 4 and (not memcmp(name, b"user", 4) or not memcmp(name, b"tool", 4)))
        or (length == 6 and not memcmp(name, b"system", 6))
        or (length == 9 and (not memcmp(name, b"assistant", 9) or not memcmp(name, b"developer", 9)))
    )


# For tests

def chat(bytes body):
    """(model, output tokens at most, bytes shown, messages) of a plain chat; None for any other body."""
    cdef Chat found
    if not read_chat(body, len(body), &found):
        return None
    return found.model[: found.model_length], found.output_tokens_max, found.shown_bytes, found.messages


def head(bytes data):
    """(authorization, length of the head, length of the body) of a plain request; None for any other."""
    cdef Head found
    if not read_head(data, len(data), &found):
        return None
    return found.authorization[: found.authorization_length], found.length, found.body_length
