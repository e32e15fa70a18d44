"""Heads that two readers may read in two ways: lines, request lines, hosts, versions, expectations, offers, pipelines.

Published in the same places as those of `smuggling_vectors`, and under its law.
"""

from collections.abc import Iterator

from tests.integration.gateway.smuggling_vectors import (
    CHAT,
    CHUNKED,
    FIRST,
    SMUGGLED,
    Vector,
    chunks,
    last,
    lengthy,
    message,
    passed,
    quoted,
    refused,
    taken,
)  # fmt: skip


def lines() -> Iterator[Vector]:
    """Lines that are not lines everywhere."""
    honest = message(lengthy(FIRST), body=FIRST)
    for name, sent in (
        ("LF for CRLF", honest.replace(b"\r\n", b"\n")),
        ("CR for CRLF", honest.replace(b"\r\n", b"\r")),
        ("LF after the request line", honest.replace(b"\r\n", b"\n", 1)),
        ("LF after a field", honest.replace(b"host: x\r\n", b"host: x\n")),
        ("LF for the blank line", honest.replace(b"\r\n\r\n", b"\r\n\n")),
        ("CR for the blank line", honest.replace(b"\r\n\r\n", b"\r\n\r")),
        ("LF LF for the end", honest.replace(b"\r\n\r\n", b"\n\n")),
        ("CR CR LF", honest.replace(b"\r\n", b"\r\r\n")),
        ("a blank before the request line", b" " + honest),
        ("a NUL before the request line", b"\0" + honest),
        ("a blank line of blanks", honest.replace(b"\r\n\r\n", b"\r\n \r\n\r\n")),
        ("a blank before the first field", honest.replace(b"\r\nhost", b"\r\n host")),
        ("a tab before the first field", honest.replace(b"\r\nhost", b"\r\n\thost")),
    ):
        yield refused(name, sent + SMUGGLED)
    for field in (b"x: \0", b"x: a\0b", b"x\0: a", b"x: a\rb", b"x: a\nb", b"x: a\r\n b", b"x: a\r\n\tb", b"x",
                  b": a", b" : a", b"x y: a", b"x\t: a", b"\x7f: a", b"\xffoo: a", b"x\x85: a", b"x\xa0: a",
                  b"[x]: a", b"x/y: a", b"x@y: a", b"x\\y: a", b"x=y: a", b"x\ry: a",
                  b"x:\n\nGET /v1/smuggled HTTP/1.1", b"x: \x01", b"x: \x08", b"x: \x0b", b"x: \x0c", b"x: \x1b",
                  b"x: \x7f"):  # fmt: skip
        yield refused(f"field {quoted(field)}", message(field, lengthy(FIRST), body=FIRST + SMUGGLED))
    for field in (b"x:", b"x:a", b"x:\ta\t", b"te!st#$%&'*+^`|~: a", b"x: \xe9", b"x: a: b", b"x: HTTP/1.1 200 OK"):
        yield taken(f"field {quoted(field)}", message(field, lengthy(FIRST), body=FIRST))
    for before in (b"\r\n", b"\r\n\r\n"):
        yield taken(f"{quoted(before)} before a request", before + honest)


STARTS_REFUSED = (
    b"POST\t%b HTTP/1.1", b"POST %b\tHTTP/1.1", b"POST %b HTTP/1.1 ", b" POST %b HTTP/1.1",
    b"POST %b", b"POST %b ", b"POST", b"%b HTTP/1.1", b"POST  HTTP/1.1", b"POST HTTP/1.1", b"post %b HTTP/1.1",
    b"Post %b HTTP/1.1",
    b"POST %b http/1.1", b"POST %b HTTP/1.1x", b"POST %b HTTP/1.10", b"POST %b HTTP/11", b"POST %b HTTP/1",
    b"POST %b HTTP/1.", b"POST %b HTTP/01.1",
    b"POST %b HTTP/1.01", b"POST %b HTTP/1 .1", b"POST %b HTTP/1.2", b"POST %b HTTP/1.32", b"POST %b HTTP/0.9",
    b"POST %b HTTP/2.0", b"POST %b HTTP/2",
    b"POST %b HTTP/3.0", b"POST %b HTTP/9.9", b"POST %b HTP/1.1", b"POST %b HTTPS/1.1", b"POST %b ICE/1.0",
    b"SOURCE %b ICE/1.0",
    b"DESCRIBE %b RTSP/1.0", b"SETUP %b RTSP/1.1", b"POST %b\nHTTP/1.1", b"POST %b\rHTTP/1.1", b"POST %b\x0bHTTP/1.1",
    b"POST %b\0 HTTP/1.1", b"POST\0%b HTTP/1.1", b"PO\0ST %b HTTP/1.1", b"POST %b a HTTP/1.1", b"POST %b#f HTTP/1.1",
    b"POST #%b HTTP/1.1",
    b"G=\":<>(e),[T];?\" %b HTTP/1.1", b"POST %b\xff HTTP/1.1", b"POST %b\x7f HTTP/1.1", b"POST %b\x01 HTTP/1.1",
    b"POSTX %b HTTP/1.1",
    b"POST x%b HTTP/1.1", b"POST * HTTP/1.1", b"POST x:80 HTTP/1.1", b"POST ftp://x%b HTTP/1.1",
    b"POST http:%b HTTP/1.1", b"PRI * HTTP/1.1",
    b"POST http://a@x%b HTTP/1.1", b"POST http://x/a b HTTP/1.1", b"POST http:///v1/models HTTP/1.1",
)  # fmt: skip


def starts() -> Iterator[Vector]:
    """Request lines: methods, targets and versions."""
    for start in STARTS_REFUSED:
        line = start.replace(b"%b", CHAT)
        yield refused(quoted(start), message(lengthy(FIRST), start=line, body=FIRST + SMUGGLED))
    for target in (
        b"http://x%b",
        b"http://other%b",
        b"https://x:8080%b",
        b"HTTP://x%b",
        b" %b",
        b"%b ",
        b"%b?a=b",
        b"%b?a=b?c",
        b"%b?http://x/y z"[:-2],
    ):
        line = b"POST " + target.replace(b"%b", CHAT) + b" HTTP/1.1"
        yield taken(quoted(line), message(lengthy(FIRST), start=line, body=FIRST))
    for target, status in ((b"/v1/chat/completions%00", 404), (b"/v1/chat/completions%0d%0ax:y", 404),
                           (b"/v1//chat/completions", 404), (b"/v1/./chat/completions", 404),
                           (b"/v1/x/../chat/completions", 404), (b"\\v1\\chat\\completions", 400),
                           (b"/v1\\chat\\completions", 503), (b"/v1/%2e%2e/admin", 404),
                           (b"/v1/chat/completions/", 404)):  # fmt: skip
        sent = message(lengthy(FIRST), start=b"POST " + target + b" HTTP/1.1", body=FIRST)
        yield passed(quoted(target), sent, status) if status != 400 else refused(quoted(target), sent + SMUGGLED)
    # The parser takes these for HTTP of the same version: by one rule, and to the end of the connection.
    as_old = message(lengthy(FIRST), start=b"POST " + CHAT + b" RTSP/1.0", body=FIRST)
    yield last("RTSP/1.0", as_old + SMUGGLED, 200, "first")
    yield refused("HTTP/0.9", b"GET /v1/models\r\n" + SMUGGLED)
    yield refused("HTTP/0.9, with LF", b"GET /v1/models\n\n" + SMUGGLED)
    yield refused("preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
    yield refused("a hello of TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + SMUGGLED)
    yield refused("garbage", b"\x80\x81\xff\xfe" * 20 + SMUGGLED)
    yield refused("CONNECT", message(start=b"CONNECT x:443 HTTP/1.1", body=SMUGGLED))
    yield refused(
        "CONNECT to a path", message(lengthy(FIRST), start=b"CONNECT " + CHAT + b" HTTP/1.1", body=FIRST + SMUGGLED)
    )
    yield passed("OPTIONS of all", message(start=b"OPTIONS * HTTP/1.1"), 204)


def hosts() -> Iterator[Vector]:
    for host in (b"", b"host: x\r\nhost: x", b"host: x\r\nHost: y", b"host: x y", b"host: x,y", b"host: x, y",
                 b"host: a@x", b"host: x/y", b"host: x?y", b"host: x#y", b"host: http://x", b"host: x:y",
                 b"host: x:80:90", b"host: [::1", b"host: x\\y", b"host: x\xe9", b"host: <x>", b'host: "x"',
                 b"host: x:80x", b"host : x", b"host: x\0"):  # fmt: skip
        yield refused(f"host {quoted(host)}", message(lengthy(FIRST), host=host, body=FIRST + SMUGGLED))
    for host in (
        b"host: x",
        b"host:x",
        b"host: x:80",
        b"host: x:",
        b"host: [::1]:80",
        b"host: 10.0.0.1",
        b"host: a_b.c-d",
        b"host:",
        b"HOST: x ",
    ):
        yield taken(f"host {quoted(host)}", message(lengthy(FIRST), host=host, body=FIRST))


def versions() -> Iterator[Vector]:
    """HTTP/1.0, where chunks do not exist and a connection ends with its answer."""
    old = b"POST " + CHAT + b" HTTP/1.0"
    yield last("HTTP/1.0", message(lengthy(FIRST), start=old, body=FIRST) + SMUGGLED, 200, "first")
    yield last(
        "HTTP/1.0 without a host", message(lengthy(FIRST), start=old, host=b"", body=FIRST) + SMUGGLED, 200, "first"
    )
    keeping = message(lengthy(FIRST), b"connection: keep-alive", start=old, body=FIRST)
    yield taken("HTTP/1.0 that is kept alive", keeping)
    for line in (CHUNKED, b"transfer-encoding: identity", b"transfer-encoding: cow"):
        yield refused(f"HTTP/1.0 with {quoted(line)}", message(line, start=old, body=chunks(FIRST) + SMUGGLED))
        both = message(line, lengthy(FIRST), b"connection: keep-alive", start=old, body=FIRST + SMUGGLED)
        yield refused(f"HTTP/1.0 with {quoted(line)} and a length", both)
    yield last(
        "HTTP/1.0 that expects",
        message(lengthy(FIRST), b"expect: 100-continue", start=old, body=FIRST) + SMUGGLED,
        200,
        "first",
    )


def expectations() -> Iterator[Vector]:
    """A body is read, whatever is expected; who expects in odd words is not answered beforehand."""
    for value in (b"100-continue", b"100-Continue"):
        asked = message(b"expect: " + value, lengthy(FIRST), body=FIRST)
        yield Vector(f"expect {quoted(value)}", asked, (100, 200, 200), ("first", "behind"))
        yield Vector(f"expect {quoted(value)}, in chunks", message(b"expect: " + value, CHUNKED, body=chunks(FIRST)),
        (100, 200, 200),
                     ("first", "behind"))  # fmt: skip
    for value in (
        b"",
        b"x",
        b"100-continue, x",
        b"x 100-continue",
        b"y 100-continue",
        b"100-continue\t;",
        b"417",
        b"200-ok",
        b"100",
    ):
        yield refused(
            f"expect {quoted(value)}", message(b"expect: " + value, lengthy(FIRST), body=FIRST + SMUGGLED), 417
        )
    twice = message(b"expect: 100-continue", b"expect: x", lengthy(FIRST), body=FIRST + SMUGGLED)
    yield refused("expect twice", twice, 417)
    for value in (b"100-continue\0", b"\r\n 100-continue", b"\x0b100-continue"):
        yield refused(f"expect {quoted(value)}", message(b"expect: " + value, lengthy(FIRST), body=FIRST + SMUGGLED))
    both = message(b"expect: 100-continue", lengthy(FIRST), CHUNKED, body=chunks(FIRST) + SMUGGLED)
    yield refused("expect, with both lengths", both)


def switches() -> Iterator[Vector]:
    """Offers of another protocol are not taken up, and nothing behind them is read; words about the connection."""
    settings = (b"connection: upgrade, http2-settings", b"upgrade: h2c", b"http2-settings: AAMAAABkAARAAAAAAAIAAAAA")
    socket = (b"connection: upgrade", b"upgrade: websocket", b"sec-websocket-version: 777", b"sec-websocket-key: AAAA")
    for name, offer in (("h2c", settings), ("a socket", socket), ("TLS", (b"connection: upgrade",
                        b"upgrade: TLS/1.0")), ("nothing known", (b"connection: keep-alive, upgrade",
                        b"upgrade: x"))):  # fmt: skip
        yield last(f"an offer of {name}", message(*offer, start=b"GET /v1/models/m HTTP/1.1") + SMUGGLED)
        yield last(
            f"an offer of {name}, with a body", message(*offer, lengthy(FIRST), body=FIRST) + SMUGGLED, 200, "first"
        )
        yield last(
            f"an offer of {name}, in chunks", message(*offer, CHUNKED, body=chunks(FIRST)) + SMUGGLED, 200, "first"
        )
        yield refused(f"an offer of {name}, with both", message(*offer, lengthy(FIRST), CHUNKED, body=chunks(FIRST)))
    yield taken("an offer without its word", message(b"upgrade: h2c", lengthy(FIRST), body=FIRST))
    for value in (
        b"keep-alive",
        b"Keep-Alive",
        b"content-length",
        b"host",
        b"authorization",
        b"x, y",
        b"",
        b"transfer-encoding",
        b"upgrade",
    ):
        yield taken(f"connection {quoted(value)}", message(b"connection: " + value, lengthy(FIRST), body=FIRST))
    for value in (b"close", b"Close", b"CLOSE", b"close, x", b"x, close", b"keep-alive, close", b"close, keep-alive"):
        yield last(
            f"connection {quoted(value)}",
            message(b"connection: " + value, lengthy(FIRST), body=FIRST) + SMUGGLED,
            200,
            "first",
        )


def pipelines() -> Iterator[Vector]:
    """What is wrong ends the line behind the answers to what was right."""
    right = message(lengthy(FIRST), body=FIRST)
    wrong = {
        "both lengths": message(lengthy(FIRST), CHUNKED,
        body=chunks(FIRST)), "a signed length": message(b"content-length: +5", body=FIRST),
        "a chunk of 0x": message(CHUNKED, body=b"0x5\r\nhello\r\n0\r\n\r\n"), "LF": right.replace(b"\r\n", b"\n"),
        "two hosts": message(b"host: y", lengthy(FIRST), body=FIRST), "a coding": message(b"transfer-encoding: cow",
        body=FIRST),
    }  # fmt: skip
    for name, sent in wrong.items():
        yield Vector(f"right, then {name}", right + sent + SMUGGLED, (200, 400), ("first",))
        yield Vector(
            f"right, in chunks, then {name}",
            message(CHUNKED, body=chunks(FIRST)) + sent + SMUGGLED,
            (200, 400),
            ("first",),
        )
        yield Vector(f"two right, then {name}", right * 2 + sent + right, (200, 200, 400), ("first", "first"))
    yield Vector("three right", right * 3, (200,) * 4, ("first", "first", "first", "behind"))


GROUPS = {made.__name__: made for made in (lines, starts, hosts, versions, expectations, switches, pipelines)}
