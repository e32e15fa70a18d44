"""The admin API of a platform in this process, served on a port, so that commands can be run against it."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import uvicorn

from arkwright.cli.target import Target
from arkwright.control.api import application
from arkwright.control.platform import Platform

T = TypeVar("T")


class ServedAdmin:
    """`run` runs a command, which blocks, in a thread beside the loop that answers it."""

    def __init__(self, url: str, admin_key: str) -> None:
        self.at = Target(url=url, admin_key=admin_key)

    async def run(self, command: Callable[..., T], *arguments: Any, **options: Any) -> T:
        return await asyncio.to_thread(command, *arguments, at=self.at, **options)

    async def call(self, function: Callable[..., T], *arguments: Any, **parameters: Any) -> T:
        """The same for a method of a client."""
        return await asyncio.to_thread(function, *arguments, **parameters)


@asynccontextmanager
async def served(platform: Platform, admin_key: str) -> AsyncIterator[ServedAdmin]:
    config = uvicorn.Config(application(platform, ()), log_config=None, lifespan="off", access_log=False)
    server = uvicorn.Server(config)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        task = asyncio.create_task(server._serve(sockets=[listener]))
        try:
            yield ServedAdmin(f"http://127.0.0.1:{listener.getsockname()[1]}", admin_key)
        finally:
            server.should_exit = True
            await task
