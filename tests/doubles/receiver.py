"""A webhook's receiver on a real socket, that does what a test says: takes, fails, is slow, hangs up, redirects."""

import asyncio
import base64
import hmac
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Any

import msgspec

from arkwright.domain.webhooks import key_of


class Receiver:
    """`received`: (headers, events) of each message that was answered with 2xx; `seen`: of each that came whole.

    `behave` is asked for each message, by its number from 0: a status, or "hang up", "hang", "redirect", "endless",
    "garbage".
    """

    def __init__(self, behave: Callable[[int], int | str] = lambda _: 204) -> None:
        self.behave = behave
        self.received: list[tuple[dict[str, str], list[dict[str, Any]]]] = []
        self.seen: list[tuple[dict[str, str], list[dict[str, Any]]]] = []
        self.url = ""
        self.on_message: Callable[[int], None] = lambda _: None
        self.extra = ""

    @property
    def ids(self) -> list[str]:
        return [event["id"] for _, events in self.received for event in events]

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._message(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _message(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lines = head.split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:] if line)}
        body = await reader.readexactly(int(headers["content-length"]))
        document = msgspec.json.decode(body)
        told = headers | {"body": body.decode()}, document if isinstance(document, list) else [document]
        number = len(self.seen)
        self.seen.append(told)
        self.on_message(number)
        answer = self.behave(number)
        if isinstance(answer, int):
            if 200 <= answer < 300:
                self.received.append(told)
            writer.write(f"HTTP/1.1 {answer} X\r\ncontent-length: 0\r\n{self.extra}\r\n".encode())
            await writer.drain()
            return True
        if answer == "hang":
            await asyncio.sleep(3600)
        if answer == "redirect":
            writer.write(f"HTTP/1.1 302 X\r\nlocation: {self.url}/other\r\ncontent-length: 0\r\n\r\n".encode())
        if answer == "garbage":
            writer.write(b"\x00\xff nonsense\r\n\r\n")
        if answer == "endless":
            self.received.append(told)
            writer.write(b"HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n")
            while True:
                writer.write(b"10000\r\n" + b"x" * 65_536 + b"\r\n")
                await writer.drain()
        await writer.drain()
        return False


@asynccontextmanager
async def listening(receiver: Receiver) -> AsyncIterator[Receiver]:
    server = await asyncio.start_server(receiver._connected, "127.0.0.1", 0)
    receiver.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    try:
        yield receiver
    finally:
        server.close()


def signature_holds(secret: str, headers: dict[str, str]) -> bool:
    """As the Standard Webhooks convention tells receivers to check it."""
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{headers['body']}".encode()
    due = base64.b64encode(hmac.new(key_of(secret), signed, sha256).digest()).decode()
    return headers["webhook-signature"] == f"v1,{due}"
