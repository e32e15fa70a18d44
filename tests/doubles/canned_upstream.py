"""An upstream that answers with bytes given beforehand, cut where a test wants them cut.

Speaks no protocol of its own: what is odd about an answer is the test's.
"""

import asyncio
import socket


class CannedUpstream:
    """`async with CannedUpstream() as upstream`: set `answer`, `cut` (where it is written in two), `closes` (after it).

    `hold`: nothing is answered before it is set. `drop`: a connection that had a request closes at its next.
    """

    def __init__(self) -> None:
        self.answer = b""
        self.cut = 0
        self.closes = False
        self.drop = False
        self.hold: asyncio.Event | None = None
        self.asked = asyncio.Event()  # A request came.
        self._server: asyncio.Server | None = None

    @property
    def base_url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"

    async def __aenter__(self) -> "CannedUpstream":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        served = False
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                await reader.readexactly(length)
                self.asked.set()
                if self.hold is not None:
                    await self.hold.wait()
                if served and self.drop:
                    self.drop = False
                    return
                served = True
                writer.write(self.answer[: self.cut])
                await writer.drain()
                for _ in range(4 if self.cut else 0):  # Let the first piece be read alone; if it isn't, nothing fails.
                    await asyncio.sleep(0)
                writer.write(self.answer[self.cut :])
                await writer.drain()
                if self.closes:
                    return
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
