"""An upstream on a raw socket, which answers with exactly the bytes and pauses that it is told, and breaks off so.

Stands in for what networks and half-dead servers do; nothing of HTTP is done for it.
"""

import asyncio
import re
import socket
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

# Bytes are written, numbers are seconds of silence. "each": what follows is written byte by byte, 2 ms apart.
# close: FIN both ways. half: FIN, but it goes on listening. reset: RST. hang: silence until the other side goes.
Step = bytes | float | Literal["close", "half", "reset", "hang", "each"]
_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


class FaultyUpstream:
    """`async with FaultyUpstream(steps) as upstream`; every request is answered by the same steps."""

    def __init__(self, *steps: Step) -> None:
        self._steps = steps
        self._server: asyncio.Server | None = None
        self.requests = 0

    @property
    def base_url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"

    async def __aenter__(self) -> "FaultyUpstream":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = _LENGTH.search(head)
                await reader.readexactly(int(length[1]) if length else 0)
                self.requests += 1
                if not await self._answer(reader, writer):
                    return
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """False when the connection is over."""
        slowly = False
        for step in self._steps:
            if isinstance(step, bytes):
                await _write(writer, step, slowly)
            elif isinstance(step, float):
                await asyncio.sleep(step)
            elif step == "each":
                slowly = True
            elif step == "close":
                return False
            elif step == "half":
                writer.write_eof()
                await reader.read()
                return False
            elif step == "reset":
                reset(writer)
                return False
            else:
                await reader.read()
                return False
        return True


async def _write(writer: asyncio.StreamWriter, data: bytes, slowly: bool) -> None:
    for piece in [data[at : at + 1] for at in range(len(data))] if slowly else [data]:
        writer.write(piece)
        await writer.drain()
        if slowly:
            await asyncio.sleep(0.002)


def reset(writer: asyncio.StreamWriter) -> None:
    """Close with an RST, as a machine that has lost its power does once it is back."""
    found = writer.get_extra_info("socket")
    found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@contextmanager
def black_hole() -> Iterator[str]:
    """The URL of a port that takes no connection and refuses none: its queue is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting: list[socket.socket] = []
        for _ in range(8):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
            waiting.append(one)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        finally:
            for one in waiting:
                one.close()


def head(kind: bytes = b"text/event-stream", *more: bytes, framing: bytes = b"transfer-encoding: chunked") -> bytes:
    lines = [b"HTTP/1.1 200 OK", b"content-type: " + kind, framing, *more]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def framed(data: bytes) -> bytes:
    """One chunk of the transfer encoding."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def word(text: bytes = b"tok ", more: bytes = b"") -> bytes:
    """An event with one word."""
    return (
        b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":'
        b'[{"index":0,"delta":{"content":"%b"},"finish_reason":null}]%b}\n\n' % (text, more)
    )


def finish(more: bytes = b"") -> bytes:
    return (
        b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":'
        b'[{"index":0,"delta":{},"finish_reason":"stop"}]%b}\n\n' % more
    )


def usage(output: int, prompt: int = 10) -> bytes:
    return b'"usage":{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d}' % (prompt, output, prompt + output)


def usage_event(output: int) -> bytes:
    return b'data: {"id":"c","object":"chat.completion.chunk","model":"m","choices":[],%b}\n\n' % usage(output)


DONE = b"data: [DONE]\n\n"
LAST = b"0\r\n\r\n"


def stream(*parts: bytes) -> bytes:
    """A whole streamed answer, each part in a frame of its own."""
    return head() + b"".join(framed(part) for part in parts) + LAST


def whole(text: bytes = b"tok tok tok", output: int = 3) -> bytes:
    """The body of a whole answer."""
    return (
        b'{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":'
        b'{"role":"assistant","content":"%b"},"finish_reason":"stop"}],%b}' % (text, usage(output))
    )


Steps = Sequence[Step]
