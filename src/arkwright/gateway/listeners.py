"""The sockets that this worker takes connections from: its own, and those of siblings that serve nobody just now.

Law: no connection that the kernel has completed is ever reset. The supervisor holds one listening socket for each
worker and hands all of them to each, so a worker's socket, and who waits there, outlives the worker: its successor
accepts them, or, while there is none, its siblings do. A worker that nobody supervises makes its own socket, and takes
whoever waits before it closes it.
"""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol

from arkwright.basics.paths import DataDir
from arkwright.host import lifeline

FDS_VARIABLE = "ARKWRIGHT_LISTEN_FDS"  # "gateway-0:7,gateway-1:8": whose, and the descriptor.
BACKLOG = 4096
TURNS_TO_CLOSE = 3


class Closable(Protocol):
    def close(self) -> None: ...


Serve = Callable[
    [socket.socket], Awaitable[Closable]
]  # Takes connections from a socket, which is its own from then on.
Take = Callable[[socket.socket], object]  # One accepted connection.


class Listeners:
    """`open` once; `look` a few times a second; `close` when draining begins."""

    def __init__(self, paths: DataDir, serve: Serve) -> None:
        self._paths = paths
        self._serve = serve
        self._name = lifeline.process_name()
        self._sockets = handed()
        self._made: socket.socket | None = None
        self._serving: dict[str, Closable] = {}

    async def open(self, host: str, port: int) -> None:
        """Take connections at the own socket. Raises OSError when the port can't be had."""
        if self._name not in self._sockets:
            self._name, self._made = self._name or "self", _own(host, port)
            self._sockets[self._name] = self._made
        self._serving[self._name] = await self._serve(self._sockets[self._name].dup())

    async def look(self) -> None:
        """Take over from siblings that are not ready, give back to those that are."""
        for name, shared in self._sockets.items():
            if name == self._name:
                continue
            ready = lifeline.ready_pid(self._paths, name) != 0
            if not ready and name not in self._serving:
                self._serving[name] = await self._serve(shared.dup())
            elif ready and name in self._serving:
                self._serving.pop(name).close()

    async def close(self, take: Take) -> None:
        """Take no more. Who waits at a socket that ends with us is taken first."""
        for serving in self._serving.values():
            serving.close()
        self._serving.clear()
        for _ in range(TURNS_TO_CLOSE):  # Until the loop has closed its copies: only then does ours end the socket.
            await asyncio.sleep(0)
        if self._made is not None:
            with suppress(OSError):
                while True:
                    accepted, _ = self._made.accept()
                    accepted.setblocking(False)
                    take(accepted)
        for shared in self._sockets.values():
            shared.close()
        self._sockets.clear()


def handed() -> dict[str, socket.socket]:
    """What the supervisor handed down, by whose it is."""
    found = {}
    for part in filter(None, os.environ.get(FDS_VARIABLE, "").split(",")):
        name, _, number = part.rpartition(":")
        found[name] = socket.socket(fileno=int(number))
        found[name].setblocking(False)
    return found


def _own(host: str, port: int) -> socket.socket:
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.setblocking(False)
    made.bind((host, port))
    return made
