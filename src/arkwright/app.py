"""The composition root: the one file that knows every floor. `python -m arkwright.app ROLE` starts one process.

Law: a child gets every setting in its environment, so that a file edited meanwhile changes nothing half-way.
"""

import argparse
import asyncio
import contextlib
import os
import resource
import signal
import socket
import sys
from collections.abc import Sequence

import msgspec
import structlog

from arkwright import __version__
from arkwright.basics import clock, ids, log, secrets
from arkwright.basics.errors import ArkwrightError, InvalidInput, Unavailable
from arkwright.basics.settings import ENVIRONMENT_PREFIX, Settings, load
from arkwright.domain import lots
from arkwright.host import leftovers, lifeline, ports
from arkwright.host.leases import LeaseWords
from arkwright.host.lock import DirectoryLock
from arkwright.host.supervisor import ProcessSpec, Supervisor
from arkwright.store.embedded import EmbeddedPostgres

LISTEN_FDS = "ARKWRIGHT_LISTEN_FDS"  # As `gateway/listeners.py` reads it: "gateway-0:7,gateway-1:8".
ROLES = ("supervisor", "control", "gateway")
EXIT_FAILED = 1
EXIT_ALREADY_RUNNING = 4
_LOCK_WAIT_S = 60.0
_LEFTOVER_PATIENCE_S = 5.0
_DATABASE_WATCH_S = 0.25
_DATABASE_RETRY_S = 2.0

logger = structlog.get_logger()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a role until it is stopped; returns the exit code."""
    parser = argparse.ArgumentParser(prog="arkwright.app", description=__doc__)
    parser.add_argument("role", choices=ROLES)
    parser.add_argument("--lock-fd", type=int, help="the data directory's lock, taken by whoever starts us")
    parser.add_argument("--wait-for-lock", action="store_true", help="take over from a killed supervisor")
    given = parser.parse_args(arguments)
    try:
        settings = load()
        log.configure(settings.log_level)
        run(given.role, settings, lock_fd=given.lock_fd, lock_wait_s=_LOCK_WAIT_S if given.wait_for_lock else 0.0)
    except ArkwrightError as error:
        sys.stderr.write(f"arkwright: {error.message}\n")
        return EXIT_ALREADY_RUNNING if error.code == "already_running" else EXIT_FAILED
    return 0


def run(role: str, settings: Settings, *, lock_fd: int | None = None, lock_wait_s: float = 0.0) -> None:
    """What `arkwright serve ROLE` and the supervisor's children run. Imports only what the role needs."""
    _raise_file_limit()
    if role == "control":
        from arkwright.console.routes import routes as console_routes
        from arkwright.control.process import serve as serve_control

        serve_control(settings, console_routes)
    elif role == "gateway":
        from arkwright.gateway.process import serve as serve_gateway

        serve_gateway(settings)
    elif role == "supervisor":
        settings.paths.root.mkdir(parents=True, exist_ok=True)
        lock = (
            DirectoryLock.acquire(settings.paths.lock, wait_s=lock_wait_s)
            if lock_fd is None
            else DirectoryLock.inherit(settings.paths.lock, lock_fd)
        )
        asyncio.run(_Platform(settings, lock).run())  # The kernel frees the lock when this process has ended.
    else:
        raise InvalidInput(f"unknown role {role!r}: one of {', '.join(ROLES)}")


def environment(settings: Settings) -> dict[str, str]:
    """Every setting as ARKWRIGHT_*; reads back to an equal Settings, whatever a configuration file says."""
    values = {"ARKWRIGHT_CONFIG": os.devnull}
    for name in (field.name for field in msgspec.structs.fields(Settings)):
        value = getattr(settings, name)
        text = ",".join(value) or "none" if isinstance(value, tuple) else str(value)
        values[ENVIRONMENT_PREFIX + name.upper()] = text
    return values


class _Platform:
    """Everything on one host: the database, control, the gateways, and what control asks for."""

    def __init__(self, settings: Settings, lock: DirectoryLock) -> None:
        self._settings = settings
        self._paths = settings.paths
        self._lock = lock
        self._paths.make()
        self._database = None if settings.database_url else EmbeddedPostgres(self._paths, _log_step)
        self._supervisor: Supervisor | None = None
        self._listeners: dict[str, socket.socket] = {}  # By the worker whose it is; each gets all.
        self._reloading: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Until SIGTERM, SIGINT (twice: hurry) or a `stop` on the socket. SIGHUP: new workers take over."""
        self._supervisor = supervisor = Supervisor(self._paths)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._asked_to_stop)
        loop.add_signal_handler(signal.SIGHUP, self._asked_to_reload)
        keeper: socket.socket | None = None
        try:
            keeper, port = await asyncio.to_thread(self._reserve_port)
            self._settings = msgspec.structs.replace(self._settings, port=port)
            self._write_state()
            await supervisor.listen()
            await asyncio.to_thread(self._make_files)
            await self._start_gateways()  # They serve by the last snapshot while database and control come up.
            await self._start_database()
            await self._start_control()
            await self._watch_database()
        finally:
            await self._stop()
            if keeper is not None:
                keeper.close()

    def _asked_to_stop(self) -> None:
        assert self._supervisor is not None
        if self._supervisor.stop_asked.is_set():
            self._supervisor.hurry.set()
        self._supervisor.stop_asked.set()

    def _asked_to_reload(self) -> None:
        if self._reloading is None or self._reloading.done():
            self._reloading = asyncio.create_task(self._reload())

    async def _reload(self) -> None:
        """Each worker's successor is ready before it drains, one after the other. One that fails ends the reload."""
        assert self._supervisor is not None
        for name in self._listeners:
            try:
                await self._supervisor.replace(name)
            except ValueError as error:
                logger.error("the reload ends here", reason=str(error))
                return
            logger.info("a new worker took over", process=name)

    def _reserve_port(self) -> tuple[socket.socket, int]:
        ours = frozenset(process.pid for process, _ in leftovers.find(self._paths))
        return ports.reserve(self._settings.host, self._settings.port, ours=ours)

    def _write_state(self) -> None:
        state = lifeline.SupervisorState(
            pid=os.getpid(),
            host=self._settings.host,
            port=self._settings.port,
            started_at_us=clock.now_us(),
            version=__version__,
            environment=environment(self._settings),
        )
        lifeline.write_atomically(self._paths.supervisor_state, msgspec.json.encode(state))
        self._lock.describe(self._settings.port)

    def _make_files(self) -> None:
        """What every process finds in the directory. Lease words are new in each life: nobody may use the old ones."""
        secrets.ensure_master_key(self._paths.master_key)
        secrets.ensure_operator_key(self._paths.operator_key)
        if not self._paths.host_id.exists():
            lifeline.write_atomically(self._paths.host_id, ids.new_id("host").encode())
        ended = leftovers.end(self._paths, _LEFTOVER_PATIENCE_S)
        if ended:
            logger.warning("took over from a supervisor that was killed", ended=",".join(ended))
        epoch = clock.now_us()
        LeaseWords.create(self._paths.lot_words, epoch, rows=lots.ROWS, limit_rows=0).close()
        LeaseWords.create(self._paths.lease_words, epoch).close()  # The last: who waits for it finds the others.

    async def _start_database(self) -> None:
        if self._database is None:
            return
        assert self._supervisor is not None
        starting = asyncio.create_task(asyncio.to_thread(self._database.start))
        stop_asked = asyncio.create_task(self._supervisor.stop_asked.wait())
        await asyncio.wait({starting, stop_asked}, return_when=asyncio.FIRST_COMPLETED)
        stop_asked.cancel()
        if not starting.done():
            await asyncio.to_thread(self._database.stop)
            with contextlib.suppress(Unavailable):
                await starting
        else:
            await starting

    async def _start_control(self) -> None:
        assert self._supervisor is not None
        url = self._database.url if self._database is not None else self._settings.database_url
        control = {**environment(self._settings), "ARKWRIGHT_DATABASE_URL": url}
        await self._supervisor.put(_role("control", "control", control, stop_timeout_s=20.0, stop_order=1))

    async def _start_gateways(self) -> None:
        assert self._supervisor is not None
        values = environment(self._settings)
        gateway = {name: value for name, value in values.items() if name != "ARKWRIGHT_DATABASE_URL"}
        patience_s = self._settings.drain_timeout_s + 5.0
        names = [f"gateway-{number}" for number in range(self._settings.workers or len(os.sched_getaffinity(0)))]
        sockets = await asyncio.to_thread(ports.listening, self._settings.host, self._settings.port, len(names))
        self._listeners = dict(zip(names, sockets, strict=True))
        gateway[LISTEN_FDS] = ",".join(f"{name}:{one.fileno()}" for name, one in self._listeners.items())
        inherits = tuple(one.fileno() for one in sockets)
        for name in names:
            spec = _role(name, "gateway", gateway, stop_timeout_s=patience_s, stop_order=0)
            await self._supervisor.put(msgspec.structs.replace(spec, inherits=inherits))

    async def _watch_database(self) -> None:
        """Until a stop is asked for. Everyone else waits for the database with patience of their own."""
        assert self._supervisor is not None
        pause_s = _DATABASE_WATCH_S
        while not self._supervisor.stop_asked.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._supervisor.stop_asked.wait(), pause_s)
            pause_s = _DATABASE_WATCH_S
            if self._database is None or self._supervisor.stop_asked.is_set():
                continue
            if not await asyncio.to_thread(self._database.is_alive):
                logger.error("the embedded database ended; starting it again")
                try:
                    await self._start_database()
                except (Unavailable, OSError) as error:
                    logger.error("the embedded database does not start", error=str(error))
                    pause_s = _DATABASE_RETRY_S

    async def _stop(self) -> None:
        assert self._supervisor is not None
        for listener in self._listeners.values():
            listener.close()  # With the workers' own copies, so that nobody waits at a port that nobody serves.
        await self._supervisor.stop()
        if self._reloading is not None:
            await asyncio.gather(self._reloading, return_exceptions=True)
        if self._database is not None:
            await asyncio.to_thread(self._database.stop)
        self._paths.control_socket.unlink(missing_ok=True)
        self._paths.supervisor_state.unlink(missing_ok=True)


def _role(name: str, role: str, values: dict[str, str], *, stop_timeout_s: float, stop_order: int) -> ProcessSpec:
    argv = (sys.executable, "-m", "arkwright.app", role)
    return ProcessSpec(name=name, argv=argv, environment=values, stop_timeout_s=stop_timeout_s, stop_order=stop_order)


def _log_step(step: str) -> None:
    logger.info(step)


def _raise_file_limit() -> None:
    """A gateway holds two sockets for each request; many systems start a process with room for 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 1 << 20)), hard))


if __name__ == "__main__":
    raise SystemExit(main())
