"""The gateway's port: found, checked and kept. Knows nothing about what is served on it."""

import contextlib
import socket
from pathlib import Path

import psutil

from arkwright.basics.errors import Conflict, InvalidInput


def check(host: str, port: int) -> None:
    """Raises Conflict, which says who has the port and what to do, or InvalidInput for an address that is not ours."""
    if port:
        with _socket(host) as probe:
            _bind(probe, host, port)


def reserve(host: str, port: int, *, ours: frozenset[int] = frozenset()) -> tuple[socket.socket, int]:
    """A bound socket that never listens, and its port: it keeps the port while workers come and go.

    `ours`: pids that may still be listening there, draining, because their supervisor was killed.
    """
    with _socket(host) as probe:
        try:
            _bind(probe, host, port)
        except Conflict:
            if not port or not (listeners(port) & ours):
                raise
    keeper = _socket(host)
    keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        keeper.bind((host, port))
    except OSError as error:
        keeper.close()
        raise _refused(host, port, error) from error
    return keeper, keeper.getsockname()[1]


def listening(host: str, port: int, count: int) -> list[socket.socket]:
    """Bound sockets that share a port which `reserve` keeps, for workers to listen at. Raises as `reserve` does."""
    made = []
    for _ in range(count):
        one = _socket(host)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            one.bind((host, port))
        except OSError as error:
            one.close()
            raise _refused(host, port, error) from error
        made.append(one)
    return made


def listeners(port: int) -> frozenset[int]:
    """Pids that listen on a TCP port, as far as this user may see them."""
    pids = set()
    with contextlib.suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
                pids.add(connection.pid)
    return frozenset(pids)


def base_url(host: str, port: int) -> str:
    """How a person on this machine reaches the gateway."""
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host) or (f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{shown}:{port}"


def _socket(host: str) -> socket.socket:
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return made


def _bind(probe: socket.socket, host: str, port: int) -> None:
    try:
        probe.bind((host, port))
        probe.listen(1)  # Another's listener shows only now when it set SO_REUSEADDR too.
    except OSError as error:
        raise _refused(host, port, error) from error


def _refused(host: str, port: int, error: OSError) -> Exception:
    if isinstance(error, PermissionError):
        return InvalidInput(f"this user may not listen on port {port}: choose one from 1024 with --port")
    if not isinstance(error, socket.gaierror) and error.errno == 98:
        names = ", ".join(f"process {pid} ({_program(pid)})" for pid in sorted(listeners(port)))
        return Conflict(
            f"port {port} on {host} is taken by {names or 'a process of another user'}: stop it, or choose another "
            "port with --port (0 picks a free one)",
            code="port_taken",
        )
    return InvalidInput(f"cannot listen on {host}: {error.strerror or error}; set --host to an address of this machine")


def _program(pid: int) -> str:
    with contextlib.suppress(psutil.Error, OSError):
        argv = psutil.Process(pid).cmdline()
        return " ".join([Path(argv[0]).name, *argv[1:3]]) if argv else "unknown"
    return "unknown"
