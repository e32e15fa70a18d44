"""The life of a gateway process: open everything, listen, follow snapshots, drain, close.

Never touches the database: what it needs lies in the data directory.
"""

import asyncio
import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec
import structlog
import uvloop

from arkwright.basics import collector, ids
from arkwright.basics.secrets import read_master_key
from arkwright.basics.settings import Settings
from arkwright.gateway import lanes
from arkwright.gateway.charging import Charging
from arkwright.gateway.connection import Connection
from arkwright.gateway.exchange import Exchange
from arkwright.gateway.listeners import BACKLOG, Closable, Listeners
from arkwright.gateway.lots import Lots
from arkwright.gateway.router import check, route
from arkwright.gateway.state import State, read_snapshot
from arkwright.gateway.worker import Worker
from arkwright.host import lifeline
from arkwright.host.leases import LeaseWords, Slot
from arkwright.store.journal import JournalFailed, Writer, open_journal

SNAPSHOT_POLL_S = 0.05
SWEEP_S = 0.25
METRICS_S = 1.0
LEASE_FILE_WAIT_S = 30.0
JOURNAL_RETRY_S = 2.0

log = structlog.get_logger()


def serve(settings: Settings) -> None:
    """Run until SIGTERM, or until the supervisor is gone; then drain."""
    collector.seldom()
    uvloop.run(_Process(settings).run())


class _Process:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._paths = settings.paths
        self._stopping = asyncio.Event()
        self._master_key = read_master_key(self._paths.master_key)
        self._seen_version = 0

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        lifeline.watch(loop, self._stopping.set)
        words = await self._lease_words()
        incarnation = ids.new_id("w")
        slot = words.claim_slot(os.getpid(), incarnation)
        lots = self._lots(incarnation)
        journal = self._journal(loop, incarnation, slot)
        worker = Worker(loop, self._settings, words, slot, Charging(journal, slot, lots))
        if self._paths.snapshot.exists():  # Of a former life: good enough until control publishes the next.
            self._load(worker)
        connection = self._connections(loop, worker)
        listeners = Listeners(self._paths, lambda listener: self._listen(worker, listener, connection))
        await listeners.open(self._settings.host, self._settings.port)
        housekeeping = asyncio.create_task(self._housekeeping(worker, words, listeners))
        await self._ready(worker)
        if not self._stopping.is_set():
            facts = {"port": self._settings.port, "slot": slot.index, "carrier": worker.carrier}
            lifeline.write_ready(self._paths, facts)
        await self._stopping.wait()
        lifeline.withdraw_ready(self._paths)
        worker.draining = True
        taken: set[asyncio.Future[Any]] = set()
        await listeners.close(
            lambda accepted: taken.add(asyncio.ensure_future(loop.connect_accepted_socket(connection, accepted)))
        )
        if not worker.charging.works:
            worker.give_up()
        await self._drain(worker)
        housekeeping.cancel()
        worker.close()
        if journal is not None:
            journal.close()

    async def _lease_words(self) -> LeaseWords:
        """The supervisor makes the file before it starts us; a role started by hand may be a moment early."""
        now = asyncio.get_running_loop().time
        deadline = now() + LEASE_FILE_WAIT_S
        while not self._paths.lease_words.exists() and now() < deadline:  # noqa: ASYNC110 - the file is made by another process
            await asyncio.sleep(SNAPSHOT_POLL_S)
        return LeaseWords.open(self._paths.lease_words)

    def _lots(self, incarnation: str) -> Lots | None:
        """None when an older supervisor made no words for lots: nothing is drawn until it is started anew."""
        if not self._paths.lot_words.exists():
            return None
        words = LeaseWords.open(self._paths.lot_words)
        return Lots(words, words.claim_slot(os.getpid(), incarnation))

    def _journal(self, loop: asyncio.AbstractEventLoop, incarnation: str, slot: Slot) -> Writer | None:
        """None when nothing can be written (a full disk): the worker then answers 503, and says why on /readyz."""
        try:
            return open_journal(
                self._paths.journal,
                incarnation=incarnation,
                host=self._paths.host_id.read_text().strip(),
                slot=slot.index,
                segment_bytes=self._settings.segment_bytes,
                call_soon_threadsafe=loop.call_soon_threadsafe,
                on_failure=lambda _: self._stopping.set(),
            )
        except (OSError, JournalFailed) as error:
            log.error("the journal can't be opened; no request is served until it can", error=str(error))
            return None

    def _connections(self, loop: asyncio.AbstractEventLoop, worker: Worker) -> Callable[[], Connection]:
        def handle(exchange: Exchange) -> None:
            route(worker, exchange)

        def checked(exchange: Exchange) -> None:
            check(worker, exchange)

        return lambda: Connection(loop, handle, checked, worker.answered, self._settings, worker.connections)

    async def _listen(self, worker: Worker, listener: socket.socket, connection: Callable[[], Connection]) -> Closable:
        listener.listen(BACKLOG)
        pumped = lanes.listen(worker, listener, connection)
        if pumped is not None:
            return pumped
        return await worker.loop.create_server(connection, sock=listener, backlog=BACKLOG)

    async def _ready(self, worker: Worker) -> None:
        """Until the first snapshot is loaded and balances are there; requests meanwhile get a 503 that says so."""
        while worker.not_ready() and not self._stopping.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), SNAPSHOT_POLL_S)

    def _follow(self, worker: Worker, words: LeaseWords) -> None:
        """Load the snapshot when a newer one was published."""
        version = words.snapshot_version
        if version != self._seen_version:
            self._seen_version = version
            self._load(worker)

    def _load(self, worker: Worker) -> None:
        """A bad file is reported, and the snapshot before it kept."""
        try:
            worker.use(State(read_snapshot(self._paths.snapshot), self._master_key))
        except (OSError, msgspec.DecodeError) as error:
            log.error("the snapshot can't be read; serving by the one before it", error=str(error))

    async def _housekeeping(self, worker: Worker, words: LeaseWords, listeners: Listeners) -> None:
        loop = asyncio.get_running_loop()
        began = swept = posted = loop.time()
        while True:
            self._follow(worker, words)
            await asyncio.sleep(SNAPSHOT_POLL_S)
            if loop.time() - swept >= SWEEP_S:
                swept = loop.time()
                worker.sweep()
                await listeners.look()
                if swept - posted >= METRICS_S:
                    posted = swept
                    worker.post_metrics()
                if not worker.charging.works and swept - began >= JOURNAL_RETRY_S:
                    self._stopping.set()  # A fresh process begins a fresh journal, if it can.

    async def _drain(self, worker: Worker) -> None:
        """Let what is under way end, for a bounded time; new connections already go to other workers.

        A connection that was used a moment ago is not closed yet: its client may be sending the next request. That is
        answered, with `connection: close`.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._settings.drain_timeout_s
        while loop.time() < deadline and worker.charging.works:
            for connection in list(worker.connections):
                connection.drain()
            if worker.clients is not None:
                worker.clients.drain()
            if not worker.forwards and not worker.open_connections:
                return
            worker.sweep()
            await asyncio.sleep(SNAPSHOT_POLL_S)
