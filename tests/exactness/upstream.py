"""A fast provider for many requests: whole answers or streams, of as many tokens as the request asks for."""

import asyncio
import re
from typing import Any

_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
_TOKENS = re.compile(rb'"max_tokens": ?(\d+)')
PROMPT_TOKENS = 30
_GAP_S = 0.002


class _Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self._data = b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._data += data
        end = self._data.find(b"\r\n\r\n")
        if end < 0:
            return
        length = _LENGTH.search(self._data, 0, end)
        assert length is not None
        whole = end + 4 + int(length[1])
        if len(self._data) < whole:
            return
        body, self._data = self._data[end + 4 : whole], self._data[whole:]
        wanted = _TOKENS.search(body)
        tokens = int(wanted[1]) if wanted else 1
        if b'"stream":true' in body.replace(b" ", b""):
            self._stream(tokens)
        else:
            self._transport.write(_answer(tokens))

    def _stream(self, tokens: int) -> None:
        """Three writes, some time apart: there is a middle."""
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        self._write(head + _event(b'[{"index":0,"delta":{"content":"tok"},"finish_reason":null}]', b"null"))
        loop = asyncio.get_running_loop()
        loop.call_later(_GAP_S, self._write, _event(b'[{"index":0,"delta":{},"finish_reason":"stop"}]', b"null"))
        loop.call_later(
            2 * _GAP_S, self._write, _event(b"[]", _usage(tokens)) + _chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"
        )

    def _write(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)


def _usage(tokens: int) -> bytes:
    return b'{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d}' % (
        PROMPT_TOKENS, tokens, PROMPT_TOKENS + tokens,
    )  # fmt: skip


def _event(choices: bytes, usage: bytes) -> bytes:
    return _chunk(
        b'data: {"id":"c","object":"chat.completion.chunk","model":"mock","choices":%b,"usage":%b}\n\n'
        % (choices, usage)
    )


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _answer(tokens: int) -> bytes:
    body = (
        b'{"id":"c","object":"chat.completion","model":"mock","choices":[{"index":0,"message":{"role":"assistant",'
        b'"content":"tok"},"finish_reason":"stop"}],"usage":%b}' % _usage(tokens)
    )
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


async def listen() -> asyncio.Server:
    return await asyncio.get_running_loop().create_server(_Connection, "127.0.0.1", 0)
