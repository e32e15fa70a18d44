"""Requests that two readers may cut in two ways, as they were published: CL.TE, TE.CL, TE.TE, CL.0, 0.CL, and chunks.

What stands before a body is in `smuggling_heads`.

After RFC 9112, the lists of PortSwigger's research, defparam's smuggler, the HTTP Garden's trophies and Http11Probe.
Each vector is a request with another one hidden in or behind its body; what becomes of it is said beside it.
Law: no answer but one for a request, no request out of a body,
and nothing at the upstream that can be read in two ways.
"""

from collections.abc import Iterator
from typing import NamedTuple

from tests.doubles.gateway_host import POSTPAID

AUTH = b"authorization: Bearer " + POSTPAID.encode()
CHAT = b"/v1/chat/completions"


class Vector(NamedTuple):
    name: str
    sent: bytes
    answers: tuple[int, ...]  # Statuses, in their order, with that of the honest request behind it if it is answered.
    heard: tuple[str, ...]  # What the upstream was asked to say, in its order.


def asks(content: str) -> bytes:
    """The body of a chat."""
    return b'{"model":"m","messages":[{"role":"user","content":"%b"}]}' % content.encode()


def message(
    *lines: bytes, body: bytes = b"", start: bytes = b"POST " + CHAT + b" HTTP/1.1", host: bytes = b"host: x"
) -> bytes:
    return b"\r\n".join(line for line in (start, host, AUTH, *lines) if line) + b"\r\n\r\n" + body


def lengthy(body: bytes) -> bytes:
    return b"content-length: %d" % len(body)


def chunks(body: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    return b"%x\r\n%b\r\n" % (len(body), body) + end


FIRST = asks("first")
CHUNKED = b"transfer-encoding: chunked"
SMUGGLED = message(lengthy(asks("smuggled")), body=asks("smuggled"))
BEHIND = message(lengthy(asks("behind")), b"connection: close", body=asks("behind"))


def refused(name: str, sent: bytes, status: int = 400) -> Vector:
    """One answer, then the connection ends; nothing reached the upstream."""
    return Vector(name, sent, (status,), ())


def taken(name: str, sent: bytes, *, heard: str = "first") -> Vector:
    """One request by one rule; the honest one behind it is the second."""
    return Vector(name, sent, (200, 200), (heard, "behind"))


def passed(name: str, sent: bytes, status: int) -> Vector:
    """Answered by itself, without an upstream; so is the honest one behind it."""
    return Vector(name, sent, (status, 200), ("behind",))


def last(name: str, sent: bytes, status: int = 200, *heard: str) -> Vector:
    """Answered, and the connection ends, so that nothing behind it is ever read."""
    return Vector(name, sent, (status,), heard)


def quoted(what: bytes) -> str:
    return repr(what)[2:-1]


# Where a body ends


def both_lengths() -> Iterator[Vector]:
    """CL.TE and TE.CL: one reader goes by the length, the other by the chunks."""
    inside = chunks(SMUGGLED)
    for length in (b"%d" % len(inside), b"4", b"0", b"5", b"999999", b"x", b"+5", b"5\x0b", b""):
        for lines in ((b"content-length: " + length, CHUNKED), (CHUNKED, b"content-length: " + length)):
            yield refused(f"{quoted(lines[0])}, {quoted(lines[1])}", message(*lines, body=inside))
    yield refused("CL.TE", message(b"content-length: %d" % (5 + len(SMUGGLED)), CHUNKED, body=b"0\r\n\r\n" + SMUGGLED))
    yield refused("TE.CL", message(b"content-length: 4", CHUNKED, body=chunks(SMUGGLED)))
    yield refused("TE.CL, a length twice", message(b"content-length: 4", b"content-length: 4", CHUNKED, body=inside))


CODINGS_REFUSED = (
    b"xchunked", b"chunkedx", b"chunk", b"cow", b"identity", b"gzip", b"chunked, cow", b"cow, chunked",
    b"gzip, chunked",
    b"chunked, identity", b"identity, chunked", b"chunked, chunked", b"chunked,chunked", b",chunked", b", chunked",
    b"chunked,", b"chunked, ", b"chunked;q=1", b"chunked; a=b", b"chunked;", b'"chunked"', b"'chunked'",
    b"cow chunked bar",
    b"chunked chunked", b"chunked\x00", b"\x00chunked", b"chu\x00nked", b"ch\x96nked", b"\xffchunked", b"chunked\xff",
    b"\xa0chunked", b"chunked\xa0", b"\xc2\xa0chunked", b"", b"c hunked", b"chunked\r", b"chunked\t", b"\nchunked",
    b"\n chunked",
    b"\r\n chunked", b"\r\n\tchunked", b"chunked\r\n ", b"chunked\r\n , identity", b"chu\r\n nked", b"\\chunked",
)  # fmt: skip
CODINGS_TAKEN = (b"chunked", b"Chunked", b"CHUNKED", b"cHuNkeD", b" chunked", b"\tchunked", b"chunked ")
CODINGS_TAKEN_LINES = (*(b"transfer-encoding: " + coding for coding in CODINGS_TAKEN), b"transfer-encoding:chunked",
                       b"TRANSFER-ENCODING: chunked", b"TrAnSFer-EnCODinG: chunked")  # fmt: skip
NAMES_REFUSED = (
    b"transfer-encoding : chunked", b"transfer-encoding\t: chunked", b" transfer-encoding: chunked",
    b"\ttransfer-encoding: chunked", b"transfer encoding: chunked", b"transfer\r-encoding: chunked",
    b"transfer-encoding\r\n: chunked", b"transfer-encoding\n: chunked", b"transfer-encoding\x00: chunked",
    b"transfer-encoding\xa0: chunked", b"transfer-encoding\x85: chunked", b"transf\x82r-encoding: chunked",
    b"\x00transfer-encoding: chunked", b"x: x\ntransfer-encoding: chunked", b"x: x\rtransfer-encoding: chunked",
    b"x: x\r\rtransfer-encoding: chunked", b"x: x\n\rtransfer-encoding: chunked", b"transfer-encoding chunked",
    b"(transfer-encoding): chunked", b'"transfer-encoding": chunked', b"transfer-encoding\\: chunked",
    b"{x}: {\ntransfer-encoding: chunked}", b"x:\n\ntransfer-encoding: chunked", b"transfer-encoding;: chunked",
)  # fmt: skip
NAMES_OF_NOTHING = (
    b"transfer_encoding: chunked", b"transfer-encodin: chunked", b"xtransfer-encoding: chunked", b"te: chunked",
    b"transfer--encoding: chunked", b"content-encoding: chunked", b"x-transfer-encoding: chunked", b"te: trailers",
    b"transfer.encoding: chunked", b"transfer-encoding-x: chunked", b"trailer: content-length",
    b"connection: transfer-encoding", b"http2-settings: AAMAAABk",
)  # fmt: skip


def codings() -> Iterator[Vector]:
    """TE.TE: a coding that one reader takes for chunked and the other for nothing."""
    by_chunks, by_length = chunks(FIRST) + SMUGGLED, FIRST
    controls = [bytes([byte]) for byte in (*range(1, 32), 127) if byte not in (9, 10, 13)]
    values = [*CODINGS_REFUSED, *(byte + b"chunked" for byte in controls), *(b"chunked" + byte for byte in controls)]
    lines = [b"transfer-encoding: " + value for value in values]
    lines += [*NAMES_REFUSED, *(b"transfer-encoding" + byte + b": chunked" for byte in controls)]
    lines += [byte + b"transfer-encoding: chunked" for byte in controls]
    for line in lines:
        yield refused(quoted(line), message(line, body=by_chunks))
        yield refused(f"{quoted(line)}, with a length", message(lengthy(FIRST), line, body=by_length + SMUGGLED))
    yield from _codings_twice()
    for line in CODINGS_TAKEN_LINES:
        yield taken(quoted(line), message(line, body=chunks(FIRST)))
    for line in NAMES_OF_NOTHING:
        yield taken(quoted(line), message(lengthy(FIRST), line, body=FIRST))
        yield passed(f"{quoted(line)}, without a length", message(line), 400)


def _codings_twice() -> Iterator[Vector]:
    by_chunks = chunks(FIRST) + SMUGGLED
    for one, other in ((b"chunked", b"cow"), (b"cow", b"chunked"), (b"chunked", b"chunked"), (b"chunked",
                       b"identity"), (b"identity", b"chunked"), (b"", b"chunked")):  # fmt: skip
        twice = (b"transfer-encoding: " + one, b"Transfer-Encoding: " + other)
        yield refused(f"{quoted(one)}, and then {quoted(other)}", message(*twice, body=by_chunks))


def lengths() -> Iterator[Vector]:
    """CL.CL, and lengths that are read in other ways than by their digits."""
    size = b"%d" % len(FIRST)
    values = [b"+" + size, b"-" + size, b"-0", b"-1", size + b"," + size, size + b", " + size,
              size + b"," + size + b"," + size, size + b",0", b"0," + size, b"0x" + b"%x" % len(FIRST), b"0o5",
              b"0b1", size[:1] + b"_" + size[1:], size + b".0", size + b"e0", size + b" 0", size + b";",
              size + b";a", b'"' + size + b'"', b"\x0b" + size, size + b"\x00", b"\xa0" + size, size + b"\xa0",
              "\u0665\u0668".encode(), b"", b"x", size + b"x", size + b"\r\n 0", b"\r\n " + size, size + b"\r",
              b"18446744073709551616", b"18446744073709551675", b"36893488147419103232", b"9" * 40]  # fmt: skip
    for value in values:
        yield refused(f"length {quoted(value)}", message(b"content-length: " + value, body=FIRST + SMUGGLED))
    for value in (b"9223372036854775807", b"18446744073709551615", b"99999999999"):
        yield refused(f"length {quoted(value)}", message(b"content-length: " + value, body=FIRST + SMUGGLED), 413)
    for name in (b"content-length ", b"content-length\t", b" content-length", b"\tcontent-length",
                 b"content-length\x0b", b"content-length\xa0", b"content-length\x85", b"content\rlength",
                 b"content length"):  # fmt: skip
        yield refused(f"{quoted(name)}:", message(name + b": " + size, body=FIRST + SMUGGLED))
        yield refused(f"{quoted(name)}: beside it", message(lengthy(FIRST), name + b": 0", body=FIRST))
    for one, other in ((size, b"0"), (b"0", size), (size, size), (size, b"0" + size), (b"", size)):
        twice = (b"content-length: " + one, b"Content-Length: " + other)
        yield refused(f"length {quoted(one)} and {quoted(other)}", message(*twice, body=FIRST + SMUGGLED))
    for value in (size, b"0" + size, b"000" + size, size + b" ", b" " + size, b"\t" + size + b"\t"):
        yield taken(f"length {quoted(value)}", message(b"content-length: " + value, body=FIRST))
    for name in (b"content_length", b"content-lengt", b"xcontent-length", b"content-length-x"):
        yield taken(f"{quoted(name)} is no length", message(lengthy(FIRST), name + b": 0", body=FIRST))
    yield passed("the rest is within the length", message(lengthy(FIRST + SMUGGLED), body=FIRST + SMUGGLED), 400)


def bodies_unasked() -> Iterator[Vector]:
    """CL.0 and 0.CL: a body where one reader expects none is a body all the same."""
    for start, status in ((b"GET /v1/models/m HTTP/1.1", 200), (b"HEAD /v1/models/m HTTP/1.1", 200),
                          (b"OPTIONS /v1/models HTTP/1.1", 204), (b"DELETE /v1/models HTTP/1.1", 405),
                          (b"GET " + CHAT + b" HTTP/1.1", 405), (b"PUT /v1/nothing HTTP/1.1", 404),
                          (b"TRACE /v1/models HTTP/1.1", 405), (b"GET /healthz HTTP/1.1", 200)):  # fmt: skip
        name = start.decode()
        yield passed(f"{name} with a length", message(lengthy(SMUGGLED), start=start, body=SMUGGLED), status)
        yield passed(f"{name} in chunks", message(CHUNKED, start=start, body=chunks(SMUGGLED)), status)
        yield refused(f"{name} with both", message(lengthy(SMUGGLED), CHUNKED, start=start, body=chunks(SMUGGLED)))
    prefix = b"GET /v1/smuggled HTTP/1.1\r\nx: "
    yield passed(
        "a beginning in the body of a GET",
        message(lengthy(prefix), start=b"GET /v1/models/m HTTP/1.1", body=prefix),
        200,
    )
    yield passed("no body at all", message(), 400)
    yield passed("a length of nothing", message(b"content-length: 0"), 400)
    for line in (b"x: y", b"content-length: 0", b"content-length: 00"):  # What follows is the next request, and none.
        yield Vector(f"{quoted(line)} before a body", message(line, body=b"x" + SMUGGLED), (400, 400), ())


def _chunk_sizes() -> Iterator[Vector]:
    size = b"%x" % len(FIRST)
    wrong = [b"+" + size, b"-" + size, b"0x" + size, b"0X" + size, size[:1] + b"_" + size[1:], b"0_" + size,
             b" " + size, b"\t" + size, b"", b"g", b"\xef\xbc\x90", size + b" ", size + b"\t", size + b" 0",
             size + b"\x00", size + b"\x0b", size + b"\r", size + b"\r\r;a", size + b"z", size + b",",
             b"1" + b"0" * 16 + size, b"f" * 17, b"0" * 40 + b"g", b'"' + size + b'"']  # fmt: skip
    for value in wrong:
        body = b"%b\r\n%b\r\n0\r\n\r\n" % (value, FIRST)
        yield refused(f"chunk of {quoted(value)}", message(CHUNKED, body=body + SMUGGLED))
    for value in (size, size.upper(), b"0" + size, b"000000" + size):
        yield taken(f"chunk of {quoted(value)}", message(CHUNKED, body=b"%b\r\n%b\r\n0\r\n\r\n" % (value, FIRST)))
    for value in (b";a", b";a=b", b';a="b"', b";a;b=c", b";=", b";a="):
        yield taken(
            f"extension {quoted(value)}",
            message(CHUNKED, body=b"%b%b\r\n%b\r\n0%b\r\n\r\n" % (size, value, FIRST, value)),
        )
    for value in (b";a\x00", b";a\nb", b";a\n", b";a\rb", b";a\r", b";\x0b", b";a=b\x7f", b';a="\n"', b";", b";;",
                  b"; ;", b';a="', b';a="b', b" \r;a"):  # fmt: skip
        body = b"%b%b\r\n%b\r\n0\r\n\r\n" % (size, value, FIRST)
        yield refused(f"extension {quoted(value)}", message(CHUNKED, body=body + SMUGGLED))


def _chunk_ends() -> Iterator[Vector]:
    size = b"%x" % len(FIRST)
    for name, body in (
        ("a size line ended by LF", size + b"\n" + FIRST + b"\r\n0\r\n\r\n"),
        ("a size line ended by CR", size + b"\r" + FIRST + b"\r\n0\r\n\r\n"),
        ("a size line of two", size + b"\r\n\r\n" + FIRST + b"\r\n0\r\n\r\n"),
        ("a chunk ended by LF", size + b"\r\n" + FIRST + b"\n0\r\n\r\n"),
        ("a chunk ended by CR", size + b"\r\n" + FIRST + b"\r0\r\n\r\n"),
        ("a chunk ended by two others", size + b"\r\n" + FIRST + b"XX0\r\n\r\n"),
        ("a chunk that does not end", size + b"\r\n" + FIRST + b"0\r\n\r\n"),
        ("a chunk longer than its size", size + b"\r\n" + FIRST + b"}}\r\n0\r\n\r\n"),
        ("blank lines between", size + b"\r\n" + FIRST + b"\r\n\r\n0\r\n\r\n"),
        ("a last chunk ended by LF", size + b"\r\n" + FIRST + b"\r\n0\n\r\n"),
        ("a last chunk ended by LF and LF", size + b"\r\n" + FIRST + b"\r\n0\n\n"),
        ("an end of LF", size + b"\r\n" + FIRST + b"\r\n0\r\n\n"),
        ("an end of CR", size + b"\r\n" + FIRST + b"\r\n0\r\n\r"),
        ("a last chunk of -0", size + b"\r\n" + FIRST + b"\r\n-0\r\n\r\n"),
        ("a last chunk of +0", size + b"\r\n" + FIRST + b"\r\n+0\r\n\r\n"),
        ("a last chunk of 0x0", size + b"\r\n" + FIRST + b"\r\n0x0\r\n\r\n"),
    ):
        yield refused(name, message(CHUNKED, body=body + SMUGGLED))
    for name, body in (
        ("a last chunk of 000", chunks(FIRST, b"000\r\n\r\n")),
        ("two chunks", chunks(FIRST[:9], chunks(FIRST[9:]))),
    ):
        yield taken(name, message(CHUNKED, body=body))
    yield passed("nothing in chunks", message(CHUNKED, body=b"0\r\n\r\n"), 400)
    for field in (b"content-length: 999", CHUNKED):
        end = b"0\r\n" + field + b"\r\n\r\n"
        yield refused(f"trailer {quoted(field)}", message(CHUNKED, body=chunks(FIRST, end) + SMUGGLED))
    ending = chunks(FIRST, b"0\r\nconnection: close\r\n\r\n") + SMUGGLED
    yield last("trailer connection: close", message(CHUNKED, body=ending), 200, "first")
    for field in (b"host: other", b"authorization: Bearer ak-nobody", b"content-type: text/html",
                  b"x-request-id: req_1", b"expect: 100-continue", b"upgrade: h2c", b"x: y"):  # fmt: skip
        yield taken(f"trailer {quoted(field)}", message(CHUNKED, body=chunks(FIRST, b"0\r\n" + field + b"\r\n\r\n")))
    for field in (b"x : y", b" x: y", b"x: y\nz: a", b"x: \x00", b"x: y\r\n z", b"x", b": y", b"x\x00: y",
                  b"x: y\rz: a", b"(x): y", b"x: y\n"):  # fmt: skip
        end = b"0\r\n" + field + b"\r\n\r\n"
        yield refused(f"trailer {quoted(field)}", message(CHUNKED, body=chunks(FIRST, end) + SMUGGLED))


def chunked() -> Iterator[Vector]:
    """Chunks whose size or end is read in two ways; trailers that would say something of the message."""
    yield from _chunk_sizes()
    yield from _chunk_ends()


GROUPS = {made.__name__: made for made in (both_lengths, codings, lengths, bodies_unasked, chunked)}
