"""The door to the native pump: whether there is one, and what is done through it. Without it, asyncio carries it all.

Law: nothing of the platform depends on the pump being there; what it can't carry goes the way that everything goes
without it.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from arkwright.basics import native
from arkwright.basics.settings import Settings

if TYPE_CHECKING:
    from arkwright.gateway._clients import Clients
    from arkwright.gateway._lanes import Lane, Lanes
    from arkwright.gateway._pump import Listener, Pump, Socket
    from arkwright.gateway._records import Gap, Record
    from arkwright.gateway._upstreams import Resting, Upstream
    from arkwright.store._journal import Journal
else:
    try:
        from arkwright.gateway._clients import Clients
        from arkwright.gateway._lanes import Lane, Lanes
        from arkwright.gateway._pump import Listener, Pump, Socket
        from arkwright.gateway._records import Gap, Record
        from arkwright.gateway._upstreams import Resting, Upstream
        from arkwright.store._journal import Journal
    except ImportError:  # Built where there was no compiler.

        class Missing:
            """Nothing is ever one."""

        Clients = Gap = Journal = Lane = Lanes = Listener = Missing
        Pump = Record = Resting = Socket = Upstream = Missing

__all__ = ["Clients", "Gap", "Journal", "Lane", "Lanes", "Listener", "Pump", "Record", "Resting", "Socket",
           "Upstream", "built", "connect", "listen", "make"]  # fmt: skip


def built() -> bool:
    """Whether the native code is there."""
    return native.WANTED and Pump.__name__ == "Pump"


def make(loop: asyncio.AbstractEventLoop, settings: Settings) -> Pump | None:
    """The pump of a worker; None where it is switched off or was not built."""
    return Pump(loop) if built() and settings.pump == "on" else None


def listen(
    pump: Pump, listener: socket.socket, protocol: Callable[[], asyncio.Protocol], clients: Clients | None
) -> Listener:
    """Take connections in; each speaks through the pump with a protocol of its own, where `clients` need one."""
    if clients is not None:
        return Listener(pump, listener, clients.accepted)

    def made(pump: Pump, fd: int) -> None:
        accepted = Socket(pump, fd)
        accepted.protocol = protocol()
        accepted.protocol.connection_made(accepted)

    return Listener(pump, listener, made)


async def connect(pump: Pump, host: str, port: int, protocol: asyncio.Protocol) -> Upstream:
    """A connection to an upstream. Raises OSError."""
    loop, failure = pump.loop, OSError(f"{host} has no address")
    for family, kind, number, _, address in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        made = socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, number)
        try:
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await loop.sock_connect(made, address)
        except OSError as error:
            made.close()
            failure = error
        except BaseException:
            made.close()
            raise
        else:
            upstream = Upstream(pump, made.detach())
            upstream.protocol = protocol
            return upstream
    raise failure
