"""An upstream that streams: events at a steady pace, then usage, then `[DONE]`. `… benchmarks.gateway.mock EVENTS MS`.

Prints its port, and serves until it is terminated. The first event leaves at once: what is measured until the first
token is of who stands in front. Its answers say `x-accel-buffering: no`, which nginx obeys. A request that asks for no
stream gets the plain answer.
"""

import asyncio
import sys
from typing import cast

import uvloop

from benchmarks.upstream import ANSWER

HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\nx-accel-buffering: no\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)


def event(data: str) -> bytes:
    frame = f"data: {data}\n\n".encode()
    return b"%x\r\n%s\r\n" % (len(frame), frame)


_CHUNK = '{"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1750000000,"model":"mock","choices":[%s]%s}'
TOKEN = event(_CHUNK % ('{"index":0,"delta":{"content":" cotton"},"logprobs":null,"finish_reason":null}', ""))
STOP = event(_CHUNK % ('{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}', ""))
_USAGE = ',"usage":{"prompt_tokens":120,"completion_tokens":%d,"total_tokens":%d}'
END = b"0\r\n\r\n"


class _Mock(asyncio.Protocol):
    def __init__(self, loop: asyncio.AbstractEventLoop, events: int, every_s: float) -> None:
        self._loop = loop
        self._events = events
        self._every_s = every_s
        self._data = b""
        self._left = 0
        self._next = 0.0
        self._last = STOP + event(_CHUNK % ("", _USAGE % (events, 120 + events))) + event("[DONE]") + END

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._data += data
        end = self._data.find(b"\r\n\r\n")
        if end < 0:
            return
        length = _length(self._data[:end].lower())
        # A body in chunks ends with its last one.
        whole = self._data.endswith(END) if length is None else len(self._data) >= end + 4 + length
        if whole:
            stream, self._data = b'"stream":true' in self._data.replace(b" ", b""), b""
            if not stream:
                self._transport.write(ANSWER)
                return
            self._left = self._events - 1
            self._next = self._loop.time() + self._every_s
            self._transport.write(HEAD + TOKEN)
            self._loop.call_at(self._next, self._tick)

    def _tick(self) -> None:
        if self._transport.is_closing():
            return
        if not self._left:
            self._transport.write(self._last)
            return
        self._left -= 1
        self._transport.write(TOKEN)
        self._next += self._every_s
        self._loop.call_at(self._next, self._tick)


def _length(head: bytes) -> int | None:
    at = head.find(b"content-length:")
    if at >= 0:
        return int(head[at + 15 :].split(b"\r\n", 1)[0])
    return None if b"transfer-encoding:" in head else 0


async def _serve(events: int, every_s: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Mock(loop, events, every_s), "127.0.0.1", 0, backlog=4096)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1]), int(sys.argv[2]) / 1000))
