"""A fast upstream: answers every request with the same kilobyte of chat completion. `python -m benchmarks.upstream`.

Prints its port, then serves until its standard input ends. As thin as a server can be, so that what is measured in
front of it is the gateway.
"""

import asyncio
import sys
from typing import cast

import uvloop

_WORDS = "tok " * 160
BODY = (
    '{"id":"chatcmpl-bench","object":"chat.completion","created":0,"model":"mock","choices":[{"index":0,"message":'
    f'{{"role":"assistant","content":"{_WORDS}"}},"finish_reason":"stop"}}],'
    '"usage":{"prompt_tokens":120,"completion_tokens":160,"total_tokens":280}}'
).encode()
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(BODY) + BODY


class _Upstream(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._waiting = b""

    def data_received(self, data: bytes) -> None:
        data = self._waiting + data
        while (end := data.find(b"\r\n\r\n")) >= 0:
            at = data[:end].lower().find(b"content-length: ") + 16
            length = int(data[at : data.find(b"\r\n", at)])
            if len(data) < end + 4 + length:
                break
            self._transport.write(ANSWER)
            data = data[end + 4 + length :]
        self._waiting = data


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Upstream, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    uvloop.run(_serve())
