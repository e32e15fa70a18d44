"""An upstream that takes requests of one form only and keeps every byte; whatever else it is sent is a finding.

Answers come from a list, one a request, over all connections; when it is empty, with a plain answer that says what was
asked. `findings` is empty as long as no request could have been read in two ways.
"""

import asyncio
import json
import re
from collections import deque
from collections.abc import Callable

FIELDS_MAX = 32
_START = re.compile(rb"[A-Z]+ (/[\x21-\x7e]*) HTTP/1\.1")
_FIELD = re.compile(rb"([a-z0-9-]+): ([\x20-\x7e\x80-\xff]*)")
_NEVER = frozenset((b"transfer-encoding", b"te", b"trailer", b"expect", b"upgrade", b"connection", b"keep-alive"))


def plain(body: bytes, *lines: bytes) -> bytes:
    """A whole answer in the ordinary form."""
    head = b"".join(line + b"\r\n" for line in (b"content-type: application/json", *lines))
    return b"HTTP/1.1 200 OK\r\n%bcontent-length: %d\r\n\r\n" % (head, len(body)) + body


def completion(content: str) -> bytes:
    return json.dumps(
        {
            "id": "x", "object": "chat.completion", "model": "m",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 5},
        }
    ).encode()  # fmt: skip


class StrictUpstream:
    """`async with StrictUpstream() as upstream`. `heard`: the last message of each chat, in the order they came."""

    def __init__(self) -> None:
        self.findings: list[str] = []
        self.heard: list[str] = []
        self.heads: list[bytes] = []
        self.answers: deque[bytes] = deque()
        self.closes: deque[bool] = deque()  # Whether the connection ends after the answer of the same place.
        self.early: Callable[[], bytes] | None = None  # Said as soon as a head has come, and nothing after it.
        self._transports: list[asyncio.Transport] = []
        self._server: asyncio.Server | None = None

    @property
    def base_url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"

    async def __aenter__(self) -> "StrictUpstream":
        self._server = await asyncio.get_running_loop().create_server(lambda: _Serving(self), "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()

    def open(self) -> list[asyncio.Transport]:
        """The connections that are open."""
        return [transport for transport in self._transports if not transport.is_closing()]

    def forget(self) -> None:
        self.findings.clear()
        self.heard.clear()
        self.heads.clear()
        self.answers.clear()
        self.closes.clear()

    def length(self, head: bytes) -> int:
        """Of the body that a head announces; notes whatever is odd about the head."""
        self.heads.append(head)
        start, *fields = head[:-4].split(b"\r\n")
        names, length = [], 0
        if not _START.fullmatch(start) or len(fields) > FIELDS_MAX:
            self.findings.append(f"a request line or its fields are odd: {head!r}")
        for field in fields:
            found = _FIELD.fullmatch(field)
            names.append(found[1] if found else b"")
            if found is None or found[1] in _NEVER:
                self.findings.append(f"a field is odd: {field!r}")
            elif found[1] == b"content-length":
                length = int(found[2]) if found[2].isdigit() else 0
                if str(length).encode() != found[2]:
                    self.findings.append(f"a length is odd: {field!r}")
        if names.count(b"content-length") != 1 or names.count(b"host") != 1 or len(set(names)) != len(names):
            self.findings.append(f"fields that stand twice, or not at all: {head!r}")
        return length


class _Serving(asyncio.Protocol):
    def __init__(self, upstream: StrictUpstream) -> None:
        self._upstream = upstream
        self._transport: asyncio.Transport | None = None
        self._read = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._upstream._transports.append(transport)

    def data_received(self, data: bytes) -> None:
        self._read += data
        while True:
            end = self._read.find(b"\r\n\r\n") + 4
            if end < 4:
                return
            if self._upstream.early is not None:
                self._say(self._upstream.early(), closes=False)
                return
            heads = len(self._upstream.heads)
            length = self._upstream.length(self._read[:end])
            if len(self._read) < end + length:
                del self._upstream.heads[heads:]
                return
            body, self._read = self._read[end : end + length], self._read[end + length :]
            self._answer(body)

    def _answer(self, body: bytes) -> None:
        upstream = self._upstream
        try:
            said = json.loads(body)["messages"][-1]["content"]
        except (ValueError, KeyError, TypeError):
            said = "?" if body else ""
            if body:
                upstream.findings.append(f"a body is odd: {body!r}")
        upstream.heard.append(said)
        closes = upstream.closes.popleft() if upstream.closes else False
        self._say(upstream.answers.popleft() if upstream.answers else plain(completion(said)), closes=closes)

    def _say(self, answer: bytes, *, closes: bool) -> None:
        assert self._transport is not None
        self._transport.write(answer)
        if closes:
            self._transport.close()
