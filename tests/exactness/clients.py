"""Clients that ask without end and keep what they were told: an answer counts once its last byte is here."""

import asyncio
import random
import re

_TOKENS = re.compile(rb'"completion_tokens": ?(\d+)')
_ID = re.compile(rb"x-request-id: req_([0-9a-f]{32})", re.IGNORECASE)
_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
_PATIENCE_S = 15.0
_REST_S = 0.02


class Told(Exception):
    """The answer was whole, and no 200."""


class Traffic:
    """`acknowledged`: event id in hexadecimal → output tokens that the client was told of."""

    def __init__(self, port: int, keys: list[str]) -> None:
        self.acknowledged: dict[str, int] = {}
        self.twice: list[str] = []
        self.broken = 0
        self.refused: dict[int, int] = {}
        self.going = asyncio.Event()
        self._port = port
        self._keys = keys
        self._under_way = 0
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, clients: int) -> None:
        self.going.set()
        self._tasks = [asyncio.create_task(self._client(number)) for number in range(clients)]

    async def pause(self) -> None:
        """Nobody asks, and nobody waits for an answer."""
        self.going.clear()
        while self._under_way:
            await asyncio.sleep(0.01)

    def resume(self) -> None:
        self.going.set()

    async def stop(self) -> None:
        await self.pause()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _client(self, number: int) -> None:
        chance = random.Random(number)
        key = self._keys[number % len(self._keys)]
        connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        try:
            while True:
                await self.going.wait()
                self._under_way += 1
                try:
                    async with asyncio.timeout(_PATIENCE_S):
                        connection = connection or await asyncio.open_connection("127.0.0.1", self._port)
                        await self._ask(*connection, key, chance)
                except (OSError, EOFError, TimeoutError, Told, asyncio.LimitOverrunError) as error:
                    self.broken += not isinstance(error, Told)
                    if connection is not None:
                        connection[1].transport.abort()
                        connection = None
                finally:
                    self._under_way -= 1
                if connection is None:
                    await asyncio.sleep(_REST_S)
        finally:
            if connection is not None:
                connection[1].transport.abort()

    async def _ask(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, key: str, chance: random.Random
    ) -> None:
        stream = b"true" if chance.random() < 0.4 else b"false"
        body = (
            b'{"model": "some-model", "max_tokens": %d, "stream": %b, "stream_options": {"include_usage": true}, '
            b'"messages": [{"role": "user", "content": "%b"}]}' % (chance.randint(1, 40), stream, b"x" * 40)
        )
        if stream == b"false":
            body = body.replace(b'"stream_options": {"include_usage": true}, ', b"")
        writer.write(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: test\r\nauthorization: Bearer %b\r\n"
            b"content-length: %d\r\n\r\n%b" % (key.encode(), len(body), body)
        )
        head = await reader.readuntil(b"\r\n\r\n")
        answer = await _body(reader, head)
        status = int(head[9:12])
        if status != 200 or (stream == b"true" and not answer.endswith(b"data: [DONE]\n\n")):
            self.refused[status] = self.refused.get(status, 0) + 1
            raise Told(f"{status} {answer[:300]!r}")
        event, tokens = _ID.search(head), _TOKENS.search(answer)
        assert event is not None
        assert tokens is not None, answer
        told = event[1].decode()
        if told in self.acknowledged:
            self.twice.append(told)
        self.acknowledged[told] = int(tokens[1])


async def _body(reader: asyncio.StreamReader, head: bytes) -> bytes:
    length = _LENGTH.search(head)
    if length is not None:
        return await reader.readexactly(int(length[1]))
    parts = []
    while size := int(await reader.readuntil(b"\r\n"), 16):
        parts.append((await reader.readexactly(size + 2))[:-2])
    await reader.readexactly(2)
    return b"".join(parts)
