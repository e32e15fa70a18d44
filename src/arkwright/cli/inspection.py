"""What can be seen of a platform from its directory, running or not. Looks; changes nothing."""

import contextlib
import http.client

import msgspec

from arkwright.basics.errors import ArkwrightError
from arkwright.basics.paths import DataDir
from arkwright.basics.settings import Settings
from arkwright.host import lifeline, lock, ports, supervisor_client
from arkwright.host.leases import LeaseWords
from arkwright.host.lifeline import SupervisorState
from arkwright.host.lock import Holder
from arkwright.host.supervisor import ProcessInfo
from arkwright.store import health
from arkwright.store.embedded import EmbeddedPostgres
from arkwright.store.health import JournalFacts


class WorkerView(msgspec.Struct, frozen=True):
    slot: int
    pid: int
    loaded_version: int


class View(msgspec.Struct, frozen=True):
    """One document: what `status --json` prints."""

    data_dir: str
    running: bool
    holder: Holder | None
    version: str | None
    base_url: str | None
    ready: bool
    missing: str
    processes: list[ProcessInfo]
    database: str
    snapshot_version: int | None
    workers: list[WorkerView]
    journal: JournalFacts


def view(settings: Settings) -> View:
    paths = settings.paths
    state = lifeline.read_state(paths)
    holder = lock.holder(paths.lock) if paths.root.is_dir() else None
    url = database_url(settings, state)
    ready, missing = readiness(state)
    snapshot_version, workers = _lease_words(paths)
    return View(
        data_dir=str(paths.root),
        running=holder is not None and state is not None,
        holder=holder,
        version=state.version if state else None,
        base_url=ports.base_url(state.host, state.port) + "/v1" if state else None,
        ready=ready,
        missing=missing,
        processes=processes(paths),
        database=_database(url),
        snapshot_version=snapshot_version,
        workers=workers,
        journal=health.journal_facts(paths.journal, url),
    )


def processes(paths: DataDir) -> list[ProcessInfo]:
    with contextlib.suppress(ArkwrightError):
        return supervisor_client.processes(paths.supervisor_socket)
    return []


def database_url(settings: Settings, state: SupervisorState | None) -> str | None:
    """The running platform's own, else the configured one; None when it is the embedded one and that is down."""
    external = state.environment.get("ARKWRIGHT_DATABASE_URL", "") if state else settings.database_url
    if external:
        return external
    embedded = EmbeddedPostgres(settings.paths)
    return embedded.url if embedded.is_alive() else None


def readiness(state: SupervisorState | None) -> tuple[bool, str]:
    """What /readyz says: (ready, what is missing)."""
    if state is None:
        return False, "not running"
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(state.host, state.host)  # noqa: S104
    connection = http.client.HTTPConnection(host, state.port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        body = answer.read(4096).decode(errors="replace").strip()
        return answer.status == 200, "" if answer.status == 200 else body
    except OSError as error:
        return False, f"the gateway does not answer: {error}"
    finally:
        connection.close()


def _database(url: str | None) -> str:
    if url is None:
        return "down"
    try:
        facts = health.database_facts(url)
    except ArkwrightError as error:
        return error.message
    return (
        f"PostgreSQL {facts.version // 10000}.{facts.version % 10000}, answers in {facts.answered_in_us / 1000:.1f} ms"
    )


def _lease_words(paths: DataDir) -> tuple[int | None, list[WorkerView]]:
    with contextlib.suppress(OSError, ArkwrightError), LeaseWords.open(paths.lease_words) as words:
        workers = [WorkerView(slot.index, slot.pid, slot.loaded_version) for slot in words.slots() if slot.alive]
        return words.snapshot_version, workers
    return None, []
