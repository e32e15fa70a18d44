"""What can be seen of a platform from its directory, running or not. Looks; changes nothing.

Law: a process that is frozen is found out, not waited for: each look ends after PROBE_TIMEOUT_S.
"""

import contextlib
import http.client
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import msgspec

from arkwright.basics.errors import ArkwrightError
from arkwright.basics.paths import DataDir
from arkwright.basics.settings import Settings
from arkwright.host import lifeline, lock, ports, replicas, supervisor_client
from arkwright.host.leases import LeaseWords
from arkwright.host.lifeline import SupervisorState
from arkwright.host.lock import Holder
from arkwright.host.replicas import ReplicaView
from arkwright.host.supervisor import ProcessInfo
from arkwright.store import health
from arkwright.store.embedded import EmbeddedPostgres
from arkwright.store.health import BookFacts, JournalFacts

PROBE_TIMEOUT_S = 3.0


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
    control: str
    database: str
    database_answers: bool
    snapshot_version: int | None
    workers: list[WorkerView]
    journal: JournalFacts
    books: BookFacts | None
    replicas: list[ReplicaView]
    carriers: dict[str, str]  # By gateway process: "pump" (native), or "asyncio".


def view(settings: Settings) -> View:
    paths = settings.paths
    state = lifeline.read_state(paths)
    holder = lock.holder(paths.lock) if paths.root.is_dir() else None
    url = database_url(settings, state)
    running = holder is not None and state is not None
    with ThreadPoolExecutor() as pool:
        asked_readiness = pool.submit(readiness, state)
        asked_processes = pool.submit(processes, paths)
        asked_control = pool.submit(control, paths) if running else None
        database_answers, database = _database(url)
    ready, missing = asked_readiness.result()
    silent = asked_control.result() if asked_control else "down"
    snapshot_version, workers = _lease_words(paths)
    listed = asked_processes.result()
    return View(
        data_dir=str(paths.root),
        running=running,
        holder=holder,
        version=state.version if state else None,
        base_url=ports.base_url(state.host, state.port) + "/v1" if state else None,
        ready=ready,
        missing=missing,
        processes=listed,
        control=silent or "answers",
        database=database,
        database_answers=database_answers,
        snapshot_version=snapshot_version,
        workers=workers,
        journal=health.journal_facts(paths.journal, url if database_answers else None),
        books=health.book_facts(url if database_answers else None),
        replicas=replicas.seen(paths.run / "metrics", time.time()),
        carriers={
            process.name: str(carrier)
            for process in listed
            if process.ready and (carrier := lifeline.ready_facts(paths, process.name).get("carrier"))
        },
    )


def processes(paths: DataDir) -> list[ProcessInfo]:
    with contextlib.suppress(ArkwrightError):
        return supervisor_client.processes(paths.supervisor_socket, PROBE_TIMEOUT_S)
    return []


def database_url(settings: Settings, state: SupervisorState | None) -> str | None:
    """The running platform's own, else the configured one; None when it is the embedded one and that is down."""
    external = external_database(settings, state)
    if external:
        return external
    embedded = EmbeddedPostgres(settings.paths)
    return embedded.url if embedded.is_alive() else None


def external_database(settings: Settings, state: SupervisorState | None) -> str:
    """Empty when the database is the embedded one."""
    return (state.environment.get("ARKWRIGHT_DATABASE_URL", "") if state else settings.database_url) or ""


def readiness(state: SupervisorState | None) -> tuple[bool, str]:
    """What /readyz says: (ready, what is missing)."""
    if state is None:
        return False, "not running"
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(state.host, state.host)  # noqa: S104
    connection = http.client.HTTPConnection(host, state.port, timeout=PROBE_TIMEOUT_S)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        body = answer.read(4096).decode(errors="replace").strip()
        return answer.status == 200, "" if answer.status == 200 else body
    except OSError as error:
        return False, f"the gateway does not answer: {error}"
    finally:
        connection.close()


def control(paths: DataDir) -> str:
    """Why the control process does not answer; empty when it does, if only to refuse a call without a key."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(PROBE_TIMEOUT_S)
        try:
            connection.connect(str(paths.control_socket))
            connection.sendall(b"GET /admin/v1/whoami HTTP/1.1\r\nhost: control\r\nconnection: close\r\n\r\n")
            return "" if connection.recv(16) else "the control process hung up"
        except TimeoutError:
            return f"the control process did not answer within {PROBE_TIMEOUT_S:.0f} s: it is frozen or overloaded"
        except OSError as error:
            return f"the control process does not answer: {error.strerror or error}"


def _database(url: str | None) -> tuple[bool, str]:
    if url is None:
        return False, "down"
    try:
        facts = health.database_facts(url)
    except ArkwrightError as error:
        return False, error.message
    return True, (
        f"PostgreSQL {facts.version // 10000}.{facts.version % 10000}, answers in {facts.answered_in_us / 1000:.1f} ms"
    )


def _lease_words(paths: DataDir) -> tuple[int | None, list[WorkerView]]:
    with contextlib.suppress(OSError, ArkwrightError), LeaseWords.open(paths.lease_words) as words:
        workers = [WorkerView(slot.index, slot.pid, slot.loaded_version) for slot in words.slots() if slot.alive]
        return words.snapshot_version, workers
    return None, []
