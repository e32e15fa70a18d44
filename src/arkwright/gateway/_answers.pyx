# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Plain answers, read in C: status 200, a length or chunks, a JSON object that tells its usage in the ordinary form.

Law: as in `_requests`. What is not plain is read by `gateway.upstream` and `wire.openai_answer`.
"""

from libc.stdlib cimport realloc
from libc.string cimport memchr, memcmp, memcpy

from arkwright.gateway._heads cimport Field, called, field, says
from arkwright.gateway._json cimport behind, blank, key, number, value

cdef extern from "string.h" nogil:
    void* memmem(const void* haystack, size_t length, const void* needle, size_t needle_length)

cdef enum:
    HEAD_BYTES_MAX = 8192
    CHUNKED = -2  # In the place of a length.
    CHUNKS_MAX = 256  # They are walked along anew with each piece that comes.
    SIZE_LINE_MAX = 10  # Up to eight digits and a line break; more is read by Python.

cdef char* ROOM = NULL  # The last body that came in chunks, joined. Answers are read one at a time.
cdef Py_ssize_t ROOM_BYTES = 0


# A whole answer

cdef Reading read_answer(const char* data, Py_ssize_t length, Answer* answer) noexcept nogil:
    """Status 200 with a length or in chunks, JSON that has usage in the ordinary form."""
    cdef const char* end
    if length < 17:
        return UNFINISHED if not memcmp(data, b"HTTP/1.1 200 OK\r\n", length) else ODD_ONE
    if memcmp(data, b"HTTP/1.1 200 OK\r\n", 17):
        return ODD_ONE
    end = <const char*> memmem(data, min(length, HEAD_BYTES_MAX), b"\r\n\r\n", 4)
    if end == NULL:
        return UNFINISHED if length < HEAD_BYTES_MAX else ODD_ONE
    answer.body_at = end + 4 - data
    answer.body_length = -1
    answer.request_id, answer.request_id_length = b"", 0
    if not answer_head(data + 17, end + 2, answer):
        return ODD_ONE
    answer.body, answer.whole = end + 4, length
    if answer.body_length == CHUNKED:
        return read_chunks(end + 4, data + length, answer)
    if length < answer.body_at + answer.body_length:
        return UNFINISHED
    if length > answer.body_at + answer.body_length or not answer_body(end + 4, data + length, answer):
        return ODD_ONE
    return PLAIN


cdef Reading read_chunks(const char* at, const char* end, Answer* answer) noexcept nogil:
    """A body in chunks without extensions and trailers, and nothing behind it."""
    cdef const char* line_end
    cdef long long size
    cdef Py_ssize_t filled = 0
    cdef int count = 0
    if not room_for(end - at):
        return ODD_ONE
    while True:
        line_end = <const char*> memchr(at, 10, min(end - at, <Py_ssize_t> SIZE_LINE_MAX))
        if line_end == NULL:
            return UNFINISHED if end - at < SIZE_LINE_MAX else ODD_ONE
        size = chunk_size(at, line_end - 1)
        count += 1
        if size < 0 or line_end[-1] != 13 or count > CHUNKS_MAX:
            return ODD_ONE
        at = line_end + 1
        if size == 0:
            break
        if end - at < size + 2:
            return UNFINISHED
        memcpy(ROOM + filled, at, size)
        filled += size
        at += size + 2
        if (at - 2)[0] != 13 or (at - 1)[0] != 10:
            return ODD_ONE
    if end - at < 2:
        return UNFINISHED
    if end - at > 2 or at[0] != 13 or at[1] != 10 or not filled or not answer_body(ROOM, ROOM + filled, answer):
        return ODD_ONE
    answer.body, answer.body_length = ROOM, filled
    return PLAIN


cdef long long chunk_size(const char* at, const char* end) noexcept nogil:
    """Of digits alone; -1 for anything else."""
    cdef long long size = 0
    cdef unsigned char byte
    if at >= end:
        return -1
    while at < end:
        byte = at[0]
        if 48 <= byte <= 57:
            size = size * 16 + byte - 48
        elif 97 <= byte <= 102 or 65 <= byte <= 70:
            size = size * 16 + (byte & 7) + 9
        else:
            return -1
        at += 1
    return size


cdef bint room_for(Py_ssize_t length) noexcept nogil:
    global ROOM, ROOM_BYTES
    cdef char* grown
    if length > ROOM_BYTES:
        grown = <char*> realloc(ROOM, 2 * length)
        if grown == NULL:
            return False
        ROOM, ROOM_BYTES = grown, 2 * length
    return True


cdef bint answer_head(const char* at, const char* end, Answer* answer) noexcept nogil:
    cdef const char* line_end
    cdef Field found
    while at < end:
        line_end = <const char*> memchr(at, 10, end - at)
        if line_end == NULL or (line_end - 1)[0] != 13 or not field(at, line_end - 1, &found):
            return False
        if called(&found, b"content-length", 14):
            if answer.body_length != -1:
                return False
            answer.body_length = number(found.value, found.length)
            if answer.body_length < 0:
                return False
        elif called(&found, b"x-request-id", 12):
            if answer.request_id_length or found.length > 200:
                return False
            answer.request_id, answer.request_id_length = found.value, found.length
        elif called(&found, b"connection", 10):
            if not says(&found, b"keep-alive", 10):
                return False
        elif called(&found, b"transfer-encoding", 17):
            if answer.body_length != -1 or not says(&found, b"chunked", 7):
                return False
            answer.body_length = CHUNKED
        elif called(&found, b"upgrade", 7):
            return False
        at = line_end + 1
    return answer.body_length > 0 or answer.body_length == CHUNKED


cdef bint answer_body(const char* at, const char* end, Answer* answer) noexcept nogil:
    cdef const char* start = at
    cdef const char* after
    cdef const char* name
    cdef Py_ssize_t size
    cdef bint used = False
    cdef bint ended
    answer.model = NULL
    at = blank(at, end)
    if at >= end or at[0] != 123 or memmem(at, end - at, b'"timings"', 9) != NULL:
        return False
    at = blank(at + 1, end)
    while True:
        at = key(at, end, &name, &size)
        if at == NULL:
            return False
        if size == 5 and not memcmp(name, b"usage", 5):
            if used:
                return False
            used = True
            after = usage(at, end, answer)
        else:
            after = value(at, end, 1)
            if after != NULL and size == 5 and not memcmp(name, b"model", 5):
                # The first of its name, wherever: that is the one that gets the customer's name for it.
                if answer.model != NULL or at[0] != 34 or memchr(at, 92, after - at) != NULL:
                    return False
                if <const char*> memmem(start, end - start, b'"model"', 7) != name - 1:
                    return False
                answer.model, answer.model_length = at + 1, after - at - 2
        if after == NULL:
            return False
        at = behind(after, end, 125, &ended)
        if at == NULL:
            return False
        if ended:
            break
    if answer.model == NULL and memmem(start, end - start, b'"model"', 7) != NULL:
        return False  # Deeper down, where it would get the customer's name, too.
    return used and blank(at, end) == end


cdef const char* usage(const char* at, const char* end, Answer* answer) noexcept nogil:
    """OpenAI's usage object, with both of its counts, at most once each."""
    cdef const char* after
    cdef const char* name
    cdef Py_ssize_t size
    cdef int seen = 0
    cdef bint ended
    answer.prompt_tokens = answer.completion_tokens = -1
    answer.cached_tokens = answer.cache_write_tokens = answer.reasoning_tokens = 0
    if at >= end or at[0] != 123:
        return NULL
    at = blank(at + 1, end)
    while True:
        at = key(at, end, &name, &size)
        if at == NULL:
            return NULL
        after = value(at, end, 2)
        if after == NULL:
            return NULL
        if size == 13 and not memcmp(name, b"prompt_tokens", 13):
            if answer.prompt_tokens >= 0:
                return NULL
            answer.prompt_tokens = number(at, after - at)
            if answer.prompt_tokens < 0:
                return NULL
        elif size == 17 and not memcmp(name, b"completion_tokens", 17):
            if answer.completion_tokens >= 0:
                return NULL
            answer.completion_tokens = number(at, after - at)
            if answer.completion_tokens < 0:
                return NULL
        elif size == 21 and not memcmp(name, b"prompt_tokens_details", 21):
            if seen & 1 or not details(at, after, &answer.cached_tokens, b"cached_tokens", 13,
                                       &answer.cache_write_tokens):
                return NULL
            seen |= 1
        elif size == 25 and not memcmp(name, b"completion_tokens_details", 25):
            if seen & 2 or not details(at, after, &answer.reasoning_tokens, b"reasoning_tokens", 16, NULL):
                return NULL
            seen |= 2
        at = behind(after, end, 125, &ended)
        if at == NULL:
            return NULL
        if ended:
            break
    return at if answer.prompt_tokens >= 0 and answer.completion_tokens >= 0 else NULL


cdef bint details(
    const char* at, const char* end, long long* count, const char* counted, Py_ssize_t length, long long* written
) noexcept nogil:
    """One count of an object, and for a prompt's what was written to a cache; null is none."""
    cdef const char* after
    cdef const char* name
    cdef Py_ssize_t size
    cdef int seen = 0
    cdef bint ended
    if end - at == 4 and at[0] == 110:
        return True
    if at[0] != 123:
        return False
    at = blank(at + 1, end)
    if at < end and at[0] == 125:
        return True
    while True:
        at = key(at, end, &name, &size)
        if at == NULL:
            return False
        after = value(at, end, 3)
        if after == NULL:
            return False
        if size == length and not memcmp(name, counted, length):
            if seen & 1 or not counted_or_null(at, after, count):
                return False
            seen |= 1
        elif written != NULL and size == 18 and not memcmp(name, b"cache_write_tokens", 18):
            if seen & 2 or not counted_or_null(at, after, written):
                return False
            seen |= 2
        at = behind(after, end, 125, &ended)
        if at == NULL:
            return False
        if ended:
            return True


cdef bint counted_or_null(const char* at, const char* after, long long* count) noexcept nogil:
    if after - at == 4 and at[0] == 110:
        return True
    count[0] = number(at, after - at)
    return count[0] >= 0


# For tests

def answer(bytes data):
    """(model, the five counts) of a plain answer, False for one that has not ended, None for any other."""
    cdef Answer found
    cdef Reading reading = read_answer(data, len(data), &found)
    if reading != PLAIN:
        return False if reading == UNFINISHED else None
    model = None if found.model == NULL else found.model[: found.model_length]
    return (
        model, found.prompt_tokens, found.completion_tokens, found.cached_tokens, found.cache_write_tokens,
        found.reasoning_tokens,
    )
