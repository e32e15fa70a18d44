"""Speaks to the supervisor over its socket: one JSON line there, one back. Knows nothing about processes."""

import asyncio
import contextlib
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from arkwright.basics.errors import Unavailable
from arkwright.host.supervisor import LINE_BYTES_MAX, ProcessInfo, ProcessSpec

CALL_TIMEOUT_S = 90.0  # A changed process is stopped first, which may take as long as its drain.


class _Listing(msgspec.Struct):
    processes: list[ProcessInfo]


def call(path: Path, request: Mapping[str, Any], timeout_s: float = CALL_TIMEOUT_S) -> dict[str, Any]:
    """Raises Unavailable when nobody listens or the supervisor refuses."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout_s)
        try:
            connection.connect(str(path))
            connection.sendall(msgspec.json.encode(request) + b"\n")
            with connection.makefile("rb") as file:
                line = file.readline(LINE_BYTES_MAX)
        except OSError as error:
            raise _unreachable(path, error) from error
    return _checked(path, line)


async def acall(path: Path, request: Mapping[str, Any], timeout_s: float = CALL_TIMEOUT_S) -> dict[str, Any]:
    """The same on an event loop."""
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_unix_connection(path, limit=LINE_BYTES_MAX)
            try:
                writer.write(msgspec.json.encode(request) + b"\n")
                await writer.drain()
                line = await reader.readline()
            finally:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
    except OSError as error:
        raise _unreachable(path, error) from error
    return _checked(path, line)


def processes(path: Path, timeout_s: float = 5.0) -> list[ProcessInfo]:
    return msgspec.convert(call(path, {"op": "list"}, timeout_s), _Listing).processes


async def aprocesses(path: Path) -> list[ProcessInfo]:
    return msgspec.convert(await acall(path, {"op": "list"}, 5.0), _Listing).processes


async def put(path: Path, spec: ProcessSpec) -> None:
    await acall(path, {"op": "put", "process": msgspec.to_builtins(spec)})


async def remove(path: Path, name: str) -> None:
    await acall(path, {"op": "remove", "name": name})


def _checked(path: Path, line: bytes) -> dict[str, Any]:
    if not line:
        raise Unavailable(f"the supervisor behind {path} hung up: it is stopping")
    answer: dict[str, Any] = msgspec.json.decode(line, type=dict[str, Any])
    if "error" in answer:
        raise Unavailable(f"the supervisor refused: {answer['error']}")
    return answer


def _unreachable(path: Path, error: OSError) -> Unavailable:
    return Unavailable(f"no supervisor answers on {path}: {error or type(error).__name__}", code="not_running")
