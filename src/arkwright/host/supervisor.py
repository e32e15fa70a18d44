"""Keeps processes running: starts what it is told to, restarts what dies, stops in order.

Knows argv, environment and time-outs; must never know what a process is for, and never touch a database.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import msgspec
import structlog

from arkwright.basics import clock
from arkwright.basics.paths import DataDir
from arkwright.host import lifeline

BACKOFF_FIRST_S = 0.1
BACKOFF_MAX_S = 10.0
STEADY_AFTER_S = 30.0  # A process that ran this long starts its next life without waiting long.
HURRY_S = 0.5
READY_POLL_S = 0.02
REPLACE_TIMEOUT_S = 60.0
LOG_BYTES_MAX = 10 * 1024 * 1024
LINE_BYTES_MAX = 1024 * 1024

log = structlog.get_logger()


class ProcessSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`stop_order`: lower ends first; processes of one order end together.

    `inherits`: descriptors of the supervisor that each life of the process gets under the same numbers.
    """

    name: str
    argv: tuple[str, ...]
    environment: dict[str, str] = {}
    stop_timeout_s: float = 10.0
    stop_order: int = 2
    inherits: tuple[int, ...] = ()


class ProcessInfo(msgspec.Struct, frozen=True):
    name: str
    pid: int | None
    state: str  # running | backing-off | stopped | leaving
    restarts: int
    started_at_us: int
    last_exit: str
    ready: bool


class _Request(msgspec.Struct, forbid_unknown_fields=True):
    op: str
    process: ProcessSpec | None = None
    name: str = ""


class _Child:
    """One process and its next lives. `succeeds`: another of this name lives, and its ready file stays."""

    def __init__(
        self, spec: ProcessSpec, paths: DataDir, lifeline_fd: int, hurry: asyncio.Event, *, succeeds: bool = False
    ) -> None:
        self.spec = spec
        if not succeeds:  # Of a former supervisor's child.
            lifeline.ready_file(paths, spec.name).unlink(missing_ok=True)
        self._paths = paths
        self._lifeline_fd = lifeline_fd
        self._hurry = hurry
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = asyncio.Event()
        self._restarts = 0
        self._started_at_us = 0
        self._last_exit = ""
        self._task = asyncio.create_task(self._keep_running())

    @property
    def info(self) -> ProcessInfo:
        running = self._process is not None and self._process.returncode is None
        pid = self._process.pid if self._process is not None and running else None
        state = "running" if running else "stopped" if self._task.done() else "backing-off"
        if running and self._stopping.is_set():
            state = "leaving"
        ready = running and lifeline.ready_pid(self._paths, self.spec.name) == pid
        return ProcessInfo(self.spec.name, pid, state, self._restarts, self._started_at_us, self._last_exit, ready)

    async def became_ready(self, within_s: float) -> bool:
        """False when it was not ready in time, or its first life ended before."""
        deadline = asyncio.get_running_loop().time() + within_s
        while asyncio.get_running_loop().time() < deadline and not self._stopping.is_set():
            if self.info.ready:
                return True
            if self._last_exit:
                return False
            await asyncio.sleep(READY_POLL_S)
        return False

    async def stop(self) -> None:
        """Ask, wait, insist. Returns once the process is gone. May be called by several."""
        self._stopping.set()
        process = self._process
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            if not await self._ended_in_time(process):
                log.warning("killed: it did not stop in time", process=self.spec.name)
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        await self._task

    async def _ended_in_time(self, process: asyncio.subprocess.Process) -> bool:
        ended = asyncio.create_task(process.wait())
        hurried = asyncio.create_task(self._hurry.wait())
        await asyncio.wait({ended, hurried}, timeout=self.spec.stop_timeout_s, return_when=asyncio.FIRST_COMPLETED)
        if self._hurry.is_set() and not ended.done():
            await asyncio.wait({ended}, timeout=HURRY_S)
        for task in (ended, hurried):
            task.cancel()
        return process.returncode is not None

    async def _keep_running(self) -> None:
        delay_s = BACKOFF_FIRST_S
        loop = asyncio.get_running_loop()
        while not self._stopping.is_set():
            began = loop.time()
            await self._live()
            if self._stopping.is_set():
                break
            if loop.time() - began >= STEADY_AFTER_S:
                delay_s = BACKOFF_FIRST_S
            log.warning("process ended", process=self.spec.name, exit=self._last_exit, restart_in_s=delay_s)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), delay_s)
            delay_s = min(delay_s * 2, BACKOFF_MAX_S)
            self._restarts += 1

    async def _live(self) -> None:
        """One life, from start to exit."""
        self._started_at_us = clock.now_us()
        try:
            self._process = await self._spawn()
        except OSError as error:
            self._last_exit = f"could not start: {error}"
            return
        if self._stopping.is_set():  # Stopped while it was being started: `stop` saw no process yet.
            self._process.terminate()
        code = await self._process.wait()
        self._last_exit = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        self._forget_ready()

    async def _spawn(self) -> asyncio.subprocess.Process:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("ARKWRIGHT_")}
        environment = {
            **inherited,
            **self.spec.environment,
            "ARKWRIGHT_DATA_DIR": str(self._paths.root),  # By this and its name an orphan is known as ours.
            lifeline.FD_VARIABLE: str(self._lifeline_fd),
            lifeline.NAME_VARIABLE: self.spec.name,
        }
        with _open_log(self._paths.logs / f"{self.spec.name}.log") as file:
            return await asyncio.create_subprocess_exec(
                *self.spec.argv,
                env=environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                pass_fds=(self._lifeline_fd, *self.spec.inherits),
                process_group=0,  # A terminal's Ctrl-C reaches only who orders the stop.
            )

    def _forget_ready(self) -> None:
        """Its own word only: a successor may have written there since."""
        if self._process is not None and lifeline.ready_pid(self._paths, self.spec.name) == self._process.pid:
            lifeline.ready_file(self._paths, self.spec.name).unlink(missing_ok=True)


class Supervisor:
    """Make it inside a running loop; `serve` its socket, `put` processes, `stop` once."""

    def __init__(self, paths: DataDir) -> None:
        self._paths = paths
        self._children: dict[str, _Child] = {}
        self._passing: set[_Child] = set()  # Successors that are not ready yet, and those they have replaced.
        self._farewells: set[asyncio.Task[None]] = set()
        self._changing = asyncio.Lock()
        self._replacing = asyncio.Lock()
        self._lifeline_read, self._lifeline_write = os.pipe()
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self.hurry = asyncio.Event()
        self.stop_asked = asyncio.Event()

    async def listen(self) -> None:
        path = self._paths.supervisor_socket
        path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._converse, path, limit=LINE_BYTES_MAX)
        path.chmod(0o600)

    async def put(self, spec: ProcessSpec) -> None:
        """Idempotent; a changed spec restarts the process."""
        if not spec.argv or not spec.name or "/" in spec.name or spec.name.startswith("."):
            raise ValueError("a process needs an argv, and a name that can be a file's")
        async with self._changing:
            child = self._children.get(spec.name)
            if child is not None and child.spec == spec:
                return
            if child is not None:
                await child.stop()
            if not self.stop_asked.is_set():
                self._children[spec.name] = _Child(spec, self._paths, self._lifeline_read, self.hurry)

    async def remove(self, name: str) -> None:
        async with self._changing:
            child = self._children.pop(name, None)
            if child is not None:
                await child.stop()

    async def replace(self, name: str, within_s: float = REPLACE_TIMEOUT_S) -> None:
        """A successor by the same spec is ready before the process is asked to end; returns then.

        Raises ValueError when there is no such process, or its successor did not come up: then nothing has changed.
        """
        async with self._replacing:
            before = self._children.get(name)
            if before is None:
                raise ValueError(f"there is no process {name!r}")
            successor = _Child(before.spec, self._paths, self._lifeline_read, self.hurry, succeeds=True)
            self._passing.add(successor)
            ready = await successor.became_ready(within_s)
            if not ready or self.stop_asked.is_set() or self._children.get(name) is not before:
                why = successor.info.last_exit or f"it was not ready within {within_s:g} s"
                await successor.stop()
                self._passing.discard(successor)
                raise ValueError(f"the successor of {name} did not come up ({why}); the one before it serves on")
            self._children[name] = successor
            self._passing ^= {successor, before}
            farewell = asyncio.create_task(self._see_off(before))
            self._farewells.add(farewell)
            farewell.add_done_callback(self._farewells.discard)

    async def _see_off(self, child: _Child) -> None:
        await child.stop()
        self._passing.discard(child)

    async def restart(self, name: str) -> None:
        """Stop it and start it anew. Raises ValueError when there is no such process."""
        async with self._changing:
            child = self._children.get(name)
            if child is None:
                raise ValueError(f"there is no process {name!r}")
            await child.stop()
            if not self.stop_asked.is_set():
                self._children[name] = _Child(child.spec, self._paths, self._lifeline_read, self.hurry)

    def processes(self) -> list[ProcessInfo]:
        """By name; where one replaces another, the one that serves on comes first."""
        passing = sorted(self._passing, key=lambda child: child.spec.name)
        return [child.info for child in sorted([*self._children.values(), *passing], key=lambda one: one.spec.name)]

    async def stop(self) -> None:
        """Everything, lower `stop_order` first; then the socket. Idempotent."""
        self.stop_asked.set()
        async with self._changing:
            ordered = sorted([*self._children.values(), *self._passing], key=_stop_order)
            for _, together in groupby(ordered, key=_stop_order):
                await asyncio.gather(*(child.stop() for child in together))
            self._children.clear()
        if self._server is not None:
            self._server.close()
            self._server = None
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        self._paths.supervisor_socket.unlink(missing_ok=True)
        for fd in (self._lifeline_write, self._lifeline_read):
            with contextlib.suppress(OSError):
                os.close(fd)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            while line := await reader.readline():
                writer.write(msgspec.json.encode(await self._answer(line)) + b"\n")
                await writer.drain()
        except (OSError, ValueError, asyncio.CancelledError):
            pass  # The caller hung up, sent a line without end, or we stop.
        finally:
            self._connections.discard(task)
            writer.close()

    async def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            request = msgspec.json.decode(line, type=_Request)
            if request.op == "put" and request.process is not None:
                await self.put(request.process)
            elif request.op == "remove" and request.name:
                await self.remove(request.name)
            elif request.op == "replace" and request.name:
                await self.replace(request.name)
            elif request.op == "restart" and request.name:
                await self.restart(request.name)
            elif request.op == "list":
                return {"processes": self.processes()}
            elif request.op == "stop":
                self.stop_asked.set()
            else:
                return {"error": f"unknown or incomplete operation {request.op!r}"}
        except (msgspec.MsgspecError, ValueError) as error:
            return {"error": str(error)}
        return {}


def _stop_order(child: _Child) -> int:
    return child.spec.stop_order


@contextlib.contextmanager
def _open_log(path: Path) -> Iterator[int]:
    """Append to the process's log; an overgrown one is set aside first."""
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size > LOG_BYTES_MAX:
            path.rename(path.with_suffix(".log.1"))
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        yield fd
    finally:
        os.close(fd)
