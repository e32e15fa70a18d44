"""The processes to be killed, forked from one that has everything loaded: gateways, and settler with lease keeper.

What they run is the product's own code. A victim differs in the point where it will die, and a gateway in its disk:
with `power_cut`, what is written and not synced dies with the process.
"""

import asyncio
import functools
import importlib
import os
import time
from pathlib import Path
from typing import Literal

import msgspec

from arkwright.basics.settings import Settings
from arkwright.control.lease_keeper import LeaseKeeper
from arkwright.control.settler import Settler
from arkwright.gateway import charging as gateway_charging
from arkwright.gateway import process as gateway_process
from arkwright.host.leases import LeaseWords
from arkwright.host.permits import Permits
from arkwright.store.database import Database
from arkwright.store.journal import Disk, JournalWriter
from tests.doubles import native_variants
from tests.doubles.both_journals import Watched
from tests.exactness import points

HOST = "host_a"
_SYNC_S = 0.003  # What a disk takes: time in which a wrong answer can get away.


class Doom(msgspec.Struct, frozen=True):
    """Where this life ends. `point` empty: nowhere. `mutant`: which fault of `mutants` the code is given first.

    `writer`: of a gateway's journal, and python for its permits, too; empty: what the product chooses.
    `variant`: a native journal that was built otherwise (`native_variants`).
    """

    point: str = ""
    passages: int = 1
    power_cut: bool = False
    mutant: str = ""
    writer: Literal["", "python", "native"] = ""
    variant: str = ""


def cut_power() -> None:
    """From now on a journal's disk has only what was synced: the rest is kept in this process, and dies with it."""
    unsynced: dict[int, bytearray] = {}
    sync = Disk.sync

    def write(_: Disk, fd: int, data: memoryview) -> int:
        unsynced.setdefault(fd, bytearray()).extend(data)
        return len(data)

    def synced(self: Disk, fd: int) -> None:
        time.sleep(_SYNC_S)
        rest = memoryview(bytes(unsynced.pop(fd, b"")))
        while rest:
            rest = rest[os.write(fd, rest) :]
        sync(self, fd)

    Disk.write = write  # type: ignore[method-assign,assignment]
    Disk.sync = synced  # type: ignore[method-assign]


def serve(data_dir: str, port: int, doom: Doom) -> None:
    """A gateway, as the supervisor starts it."""
    settings = Settings(data_dir=data_dir, port=port, host="127.0.0.1", segment_bytes=200_000)
    _silence(settings.paths.logs / "gateway.log")
    _doomed(points.GATEWAY, doom)
    if doom.mutant or doom.writer == "python":
        setattr(gateway_charging, "open_permits", Permits)  # noqa: B010
    if doom.writer:
        # Where nothing is done to the disk, the native writer keeps its own.
        disk = Disk() if doom.power_cut or doom.mutant or doom.point in points.DISK else None
        made = JournalWriter if doom.writer == "python" else Watched
        if doom.variant:
            made = native_variants.load("store._journal", Path(doom.variant)).Journal
        setattr(gateway_process, "open_journal", functools.partial(made, disk=disk))  # noqa: B010
    gateway_process.serve(settings)


def settle(url: str, data_dir: str, doom: Doom, *, epoch: bool) -> None:
    """Settler and lease keeper, as control runs them; faster."""
    paths = Settings(data_dir=data_dir).paths
    _silence(paths.logs / "control.log")
    _doomed(points.EPOCH if epoch else points.CONTROL, doom)
    asyncio.run(_settle(url, paths.journal, paths.lease_words))


async def _settle(url: str, journal_dir: Path, words: Path) -> None:
    database = Database(url, connections_max=4)
    await database.open()
    settler = Settler(database, journal_dir, host=HOST, interval_s=0.02)
    keeper = LeaseKeeper(database, LeaseWords.open(words), settler, host=HOST, journal_dir=journal_dir, interval_s=0.05)

    async def keep() -> None:
        await keeper.start()
        await keeper.run()

    async with asyncio.TaskGroup() as group:
        group.create_task(settler.run())
        group.create_task(keep())


def _doomed(known: dict[str, tuple[points.Arm, int]], doom: Doom) -> None:
    if doom.mutant:
        importlib.import_module("tests.exactness.mutants").apply(doom.mutant)
    if doom.power_cut:
        cut_power()
    if doom.point:
        points.arm(known, doom.point, doom.passages)


def _silence(log: Path) -> None:
    """What it says goes to its log."""
    fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(fd, 1)
    os.dup2(fd, 2)
    os.close(fd)
