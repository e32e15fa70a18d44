# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""JSON's tokens, passed over in C: a strict reading, of numbers without exponents and of escapes but for surrogates.

Law: what is passed over here is valid JSON. What is not passed over may be valid all the same: others read it then.
"""

from libc.string cimport memchr, memcmp

cdef enum:
    DEPTH_MAX = 32

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>
    /* Past bytes that are themselves inside a string, eight at a time: no quote, backslash, control or letter of UTF-8. */
    static inline const char* arkwright_ordinary(const char* at, const char* end) {
        const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
        while (end - at >= 8) {
            uint64_t eight, quotes, escapes;
            memcpy(&eight, at, 8);
            quotes = eight ^ (ones * 0x22);
            escapes = eight ^ (ones * 0x5c);
            if ((((quotes - ones) & ~quotes) | ((escapes - ones) & ~escapes) | (eight - ones * 0x20) | eight) & tops)
                break;
            at += 8;
        }
        return at;
    }
    """
    const char* ordinary "arkwright_ordinary"(const char* at, const char* end) noexcept nogil


cdef long long number(const char* digits, Py_ssize_t length) noexcept nogil:
    """A whole number of at most fifteen digits, without a zero before it; -1 for anything else."""
    cdef long long value = 0
    cdef Py_ssize_t at
    if not 0 < length <= 15 or (digits[0] == 48 and length > 1):
        return -1
    for at in range(length):
        if not 48 <= <unsigned char> digits[at] <= 57:
            return -1
        value = value * 10 + digits[at] - 48
    return value


cdef const char* blank(const char* at, const char* end) noexcept nogil:
    while at < end and (at[0] == 32 or at[0] == 10 or at[0] == 13 or at[0] == 9):
        at += 1
    return at


cdef const char* string(const char* at, const char* end) noexcept nogil:
    """Valid UTF-8 with valid escapes; none of a surrogate."""
    cdef unsigned char byte
    cdef int digit
    if at >= end or at[0] != 34:
        return NULL
    at = ordinary(at + 1, end)
    while at < end:
        byte = at[0]
        if byte == 34:
            return at + 1
        if byte < 32:
            return NULL
        if byte == 92:
            if end - at < 2:
                return NULL
            byte = at[1]
            if byte == 117:
                if end - at < 6 or at[2] == 100 or at[2] == 68:
                    return NULL
                for digit in range(2, 6):
                    if not hexadecimal(at[digit]):
                        return NULL
                at = ordinary(at + 6, end)
                continue
            if not (byte == 34 or byte == 92 or byte == 47 or byte == 98 or byte == 102 or byte == 110 or byte == 114
                    or byte == 116):
                return NULL
            at = ordinary(at + 2, end)
        elif byte < 128:
            at += 1
        else:
            at = letter(at, end)
            if at == NULL:
                return NULL
            at = ordinary(at, end)
    return NULL


cdef bint hexadecimal(unsigned char byte) noexcept nogil:
    return 48 <= byte <= 57 or 97 <= byte <= 102 or 65 <= byte <= 70


cdef const char* letter(const char* at, const char* end) noexcept nogil:
    """One character of more than one byte."""
    cdef unsigned char first = at[0]
    cdef unsigned char second
    cdef int more, number
    if end - at < 4 and end - at < (2 if first < 224 else 3 if first < 240 else 4):
        return NULL
    second = at[1]
    if 194 <= first <= 223:
        more = 1
    elif 224 <= first <= 239:
        more = 2
        if (first == 224 and second < 160) or (first == 237 and second > 159):
            return NULL
    elif 240 <= first <= 244:
        more = 3
        if (first == 240 and second < 144) or (first == 244 and second > 143):
            return NULL
    else:
        return NULL
    for number in range(1, more + 1):
        if (<unsigned char> at[number]) & 192 != 128:
            return NULL
    return at + more + 1


cdef const char* digits(const char* at, const char* end) noexcept nogil:
    """A number without an exponent."""
    cdef const char* first
    if at < end and at[0] == 45:
        at += 1
    first = at
    while at < end and 48 <= <unsigned char> at[0] <= 57:
        at += 1
    if at == first or (first[0] == 48 and at - first > 1) or at - first > 15:
        return NULL
    if at < end and at[0] == 46:
        at += 1
        first = at
        while at < end and 48 <= <unsigned char> at[0] <= 57:
            at += 1
        if at == first or at - first > 17:
            return NULL
    if at < end and (at[0] == 101 or at[0] == 69):
        return NULL
    return at


cdef const char* word(const char* at, const char* end, const char* wanted, Py_ssize_t length) noexcept nogil:
    if end - at < length or memcmp(at, wanted, length):
        return NULL
    return at + length


cdef const char* value(const char* at, const char* end, int depth) noexcept nogil:
    """Any value; passed over."""
    cdef unsigned char close
    cdef bint keyed, ended
    if at >= end or depth > DEPTH_MAX:
        return NULL
    if at[0] == 34:
        return string(at, end)
    if at[0] == 116:
        return word(at, end, b"true", 4)
    if at[0] == 102:
        return word(at, end, b"false", 5)
    if at[0] == 110:
        return word(at, end, b"null", 4)
    if at[0] != 123 and at[0] != 91:
        return digits(at, end)
    keyed = at[0] == 123
    close = 125 if keyed else 93
    at = blank(at + 1, end)
    if at < end and at[0] == close:
        return at + 1
    while True:
        if keyed:
            at = string(at, end)
            if at == NULL:
                return NULL
            at = blank(at, end)
            if at >= end or at[0] != 58:
                return NULL
            at = blank(at + 1, end)
        at = value(at, end, depth + 1)
        if at == NULL:
            return NULL
        at = behind(at, end, close, &ended)
        if at == NULL or ended:
            return at


cdef const char* behind(const char* at, const char* end, unsigned char close, bint* ended) noexcept nogil:
    """What follows a member: the next one, or (`ended`) what is behind the object or list that it is of."""
    at = blank(at, end)
    ended[0] = at < end and at[0] == close
    if ended[0]:
        return at + 1
    return blank(at + 1, end) if at < end and at[0] == 44 else NULL


cdef const char* key(const char* at, const char* end, const char** name, Py_ssize_t* length) noexcept nogil:
    """A key without escapes, and what is between it and its value."""
    cdef const char* after = string(at, end)
    if after == NULL or memchr(at, 92, after - at) != NULL:
        return NULL
    name[0] = at + 1
    length[0] = after - at - 2
    at = blank(after, end)
    if at >= end or at[0] != 58:
        return NULL
    return blank(at + 1, end)


cdef bint between(const char* at, const char* after, long long least, long long most) noexcept nogil:
    """Whether a number lies within whole bounds."""
    cdef bint below = at[0] == 45
    cdef long long whole = 0
    cdef bint more = False
    if below:
        at += 1
    while at < after and at[0] != 46:
        whole = whole * 10 + at[0] - 48
        at += 1
    while at < after:
        if at[0] != 46 and at[0] != 48:
            more = True
        at += 1
    if below:
        return -whole > least or (whole == -least and not more)
    return whole < most or (whole == most and not more)
