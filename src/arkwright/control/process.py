"""The life of the control process: database, loops, admin API, and in the end a last settling.

Law: nothing that fails in here stops it: a database that goes away is waited for, a loop that breaks begins anew. Only
SIGTERM and the death of the supervisor end it; in the latter case it first starts a new supervisor.
"""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path

import psycopg
import structlog
import uvicorn
import uvloop
from litestar.types import ControllerRouterHandler

from arkwright.basics import clock, collector, ids, secrets, signing
from arkwright.basics.errors import Unavailable
from arkwright.basics.settings import Settings
from arkwright.control import answers, chores
from arkwright.control.alert_sender import AlertSender
from arkwright.control.api import application
from arkwright.control.lease_keeper import LeaseKeeper
from arkwright.control.metrics import ControlMetrics
from arkwright.control.platform import Platform
from arkwright.control.publisher import Publisher
from arkwright.control.reconciler import Reconciler
from arkwright.control.settler import Settler
from arkwright.control.telemetry import Telemetry
from arkwright.control.webhook_sender import Sender
from arkwright.domain import lots
from arkwright.host import lifeline
from arkwright.host.leases import LeaseWords
from arkwright.store import catalog, tenancy
from arkwright.store.database import Database
from arkwright.store.migrate import migrate

OPERATOR = "operator"
LOOP_PAUSE_S = 1.0
DATABASE_PAUSE_S = 0.5
LAST_SETTLING_S = 10.0

log = structlog.get_logger("control")
MoreRoutes = Callable[[Platform], Sequence[ControllerRouterHandler]]


def no_more_routes(_: Platform) -> Sequence[ControllerRouterHandler]:
    """The admin API alone."""
    return ()


def serve(settings: Settings, more_routes: MoreRoutes = no_more_routes) -> None:
    """Run until SIGTERM, or until the supervisor is gone. `more_routes`: what to serve beside the admin API."""
    collector.seldom()
    uvloop.run(_Process(settings, more_routes).run())


class _Server(uvicorn.Server):
    """uvicorn's, without its signal handlers: this process has its own."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Process:
    def __init__(self, settings: Settings, more_routes: MoreRoutes) -> None:
        self._settings = settings
        self._more_routes = more_routes
        self._paths = settings.paths
        self._stopping = asyncio.Event()
        self._leases_ready = asyncio.Event()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        lifeline.watch(loop, self._supervisor_died)
        self._paths.make()
        database = await self._database()
        if database is None:
            return
        platform, host = self._platform(database)
        try:
            await self._until_stopped("setting up", lambda: self._set_up(platform, host))
            if not self._stopping.is_set():
                await self._serve(platform, host)
        finally:
            await database.close()
            platform.words.close()

    async def _database(self) -> Database | None:
        """Migrated and open; waits for it as long as it takes. None when asked to stop meanwhile."""
        while not self._stopping.is_set():
            database = Database(self._settings.database_url)
            try:
                await asyncio.to_thread(migrate, self._settings.database_url)
                await database.open()
                return database
            except Unavailable as error:
                log.warning("waiting for the database", reason=error.message)
                await self._pause(DATABASE_PAUSE_S)
        return None

    def _platform(self, database: Database) -> tuple[Platform, str]:
        paths, settings = self._paths, self._settings
        master_key = secrets.ensure_master_key(paths.master_key)
        secrets.ensure_operator_key(paths.operator_key)
        signing.ensure_signing_key(paths.signing_key)
        if not paths.host_id.exists():
            lifeline.write_atomically(paths.host_id, ids.new_id("host").encode())
        host = paths.host_id.read_text().strip()
        # A role started by hand, without a supervisor.
        if not paths.lot_words.exists():
            LeaseWords.create(paths.lot_words, clock.now_us(), rows=lots.ROWS, limit_rows=0).close()
        if not paths.lease_words.exists():
            LeaseWords.create(paths.lease_words, clock.now_us()).close()
        words = LeaseWords.open(paths.lease_words)
        lot_words = LeaseWords.open(paths.lot_words)
        settler = Settler(database, paths.journal, host=host)
        keeper = LeaseKeeper(database, words, settler, host=host, journal_dir=paths.journal, lot_words=lot_words)
        publisher = Publisher(database, words, paths.snapshot, host=host)
        return Platform(settings, database, master_key, words, publisher, settler, keeper), host

    async def _set_up(self, platform: Platform, host: str) -> None:
        """Before anyone is served: the operator's key is known, and nothing is called ready unseen."""
        async with platform.database.connection() as connection:
            secret = ids.secret_sha256(self._paths.operator_key.read_text().strip())
            await tenancy.ensure_admin_key(connection, ids.new_id("adm"), OPERATOR, secret)
            if not platform.words.ready:
                await catalog.doubt_replicas(connection, host)
        await platform.publisher.publish()

    async def _serve(self, platform: Platform, host: str) -> None:
        reconciler = Reconciler(platform, host)

        async def leases() -> None:
            await platform.lease_keeper.start()
            self._leases_ready.set()
            async with asyncio.TaskGroup() as keepers:
                keepers.create_task(platform.lease_keeper.run())
                keepers.create_task(platform.lease_keeper.budgets.run())

        loops = [
            asyncio.create_task(self._keep(name, work))
            for name, work in (
                ("settler", platform.settler.run),
                ("leases", leases),
                ("publisher", platform.publisher.run),
                ("reconciler", reconciler.run),
                ("chores", lambda: chores.run(platform)),
                ("webhooks", Sender(platform).run),
                ("alerts", AlertSender(platform).run),
                ("metrics", ControlMetrics(platform, host).run),
                ("health", platform.health.run),
                ("telemetry", Telemetry(platform, host).run),
                ("answers", lambda: answers.run(self._settings)),
            )
        ]
        app = application(platform, self._more_routes(platform))
        server = _Server(uvicorn.Config(app, log_config=None, lifespan="off", access_log=False,
                                        timeout_graceful_shutdown=5, server_header=False))  # fmt: skip
        listener = _listen(self._paths.control_socket)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        await self._first_of(self._leases_ready)
        if not self._stopping.is_set():
            lifeline.write_ready(self._paths, {"snapshot_version": platform.words.snapshot_version})
            log.info("serving", socket=str(self._paths.control_socket))
        await self._stopping.wait()
        server.should_exit = True
        await serving
        for task in loops:
            task.cancel()
        await asyncio.gather(*loops, return_exceptions=True)
        await self._settle_last(platform)

    async def _settle_last(self, platform: Platform) -> None:
        """The gateways have drained: what they served is in the ledger before the database stops."""
        try:
            async with asyncio.timeout(LAST_SETTLING_S):
                await platform.settler.catch_up()
        except Exception as error:  # broad: the connection may be gone; the journal keeps it for the next start.
            log.warning("the last settling waits for the next start", reason=str(error) or type(error).__name__)

    async def _keep(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """A loop that is begun anew whenever it breaks."""
        while True:
            try:
                await work()
            except Exception as error:  # broad: the loops of this process; what broke is logged, and begun anew.
                log.error("a loop broke and begins anew", loop=name, reason=str(error) or type(error).__name__,
                          exc_info=not isinstance(error, Unavailable))  # fmt: skip
            await asyncio.sleep(LOOP_PAUSE_S)

    async def _until_stopped(self, what: str, work: Callable[[], Awaitable[None]]) -> None:
        """Do it, however often it fails."""
        while not self._stopping.is_set():
            try:
                return await work()
            except Exception as error:  # broad: a start that fails is told and tried again, whatever failed.
                foreseen = isinstance(error, (Unavailable, psycopg.OperationalError))
                log.error("trying again", step=what, reason=str(error) or type(error).__name__, exc_info=not foreseen)
                await self._pause(DATABASE_PAUSE_S)

    async def _first_of(self, event: asyncio.Event) -> None:
        """Until the event, or until asked to stop."""
        waits = {asyncio.create_task(event.wait()), asyncio.create_task(self._stopping.wait())}
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    def _supervisor_died(self) -> None:
        pid = lifeline.respawn_supervisor(self._paths)
        log.warning("the supervisor died", new_supervisor=pid or None)
        self._stopping.set()


def _listen(path: Path) -> socket.socket:
    """A unix socket that only its owner may speak to, in place of the one of a former life."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(before)
    listener.setblocking(False)
    return listener
