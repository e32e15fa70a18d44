"""`arkwright doctor`: what is wrong, and how to mend it; works while the platform is down, too.

A check is one function that takes what is known and yields findings; add it to `CHECKS`.
"""

import importlib.util
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import msgspec
from rich.console import Console

from arkwright.basics import native
from arkwright.basics import settings as settings_module
from arkwright.basics.errors import ArkwrightError
from arkwright.basics.settings import Settings
from arkwright.cli import inspection
from arkwright.cli.client import Client
from arkwright.cli.options import EXIT_FAILED, EXIT_OK, DataDirOption, JsonOption
from arkwright.domain import problems
from arkwright.domain.problems import Facts, Problem
from arkwright.host import leftovers, lifeline, lock, ports
from arkwright.host.lifeline import SupervisorState
from arkwright.store import health
from arkwright.store.quarantine import Quarantine

SYNC_SLOW_US = 50_000
CLOCK_APART_US = 2_000_000


class Finding(msgspec.Struct, frozen=True):
    check: str
    state: Literal["ok", "warning", "wrong"]
    found: str
    mend: str = ""


class Patient(msgspec.Struct, frozen=True):
    settings: Settings
    state: SupervisorState | None
    running: bool


def doctor(*, json_output: JsonOption = False, data_dir: DataDirOption = None) -> int:
    """Look for what is wrong, and say how to mend it. Exit code 1 when something is."""
    settings = settings_module.load({"data_dir": str(data_dir) if data_dir else None})
    paths = settings.paths
    running = paths.root.is_dir() and lock.holder(paths.lock) is not None
    patient = Patient(settings, lifeline.read_state(paths), running)
    findings = [finding for check in CHECKS for finding in check(patient)]
    wrong = any(finding.state == "wrong" for finding in findings)
    if json_output:
        print(msgspec.json.encode({"ok": not wrong, "findings": findings}).decode())
    else:
        _show(findings)
    return EXIT_FAILED if wrong else EXIT_OK


def _show(findings: list[Finding]) -> None:
    console = Console(highlight=False)
    signs = {"ok": "[green]ok[/]     ", "warning": "[yellow]warning[/]", "wrong": "[red]wrong[/]  "}
    for finding in findings:
        console.print(f"{signs[finding.state]}  {finding.check:<10} ", end="")
        console.print(finding.found, markup=False, soft_wrap=True)
        if finding.mend:
            console.print(f"{'':>21}→ {finding.mend}", markup=False, soft_wrap=True)


def _directory(patient: Patient) -> Iterator[Finding]:
    root = patient.settings.paths.root
    place = next(path for path in (root, *root.parents) if path.exists())
    if not os.access(place, os.W_OK | os.X_OK):
        yield Finding("directory", "wrong", f"{place} is not writable", "set --data-dir to a directory of yours")
    for path in {place, _existing(patient.settings.model_store_path)}:
        free = shutil.disk_usage(path).free
        full = [_finding("disk", each) for each in problems.full(Facts(disk_free=free, disk=str(path)))]
        yield from full or [Finding("disk", "ok", f"{free / 1024**3:.1f} GiB free at {path}")]


def _port(patient: Patient) -> Iterator[Finding]:
    if patient.running and patient.state is not None:
        ready, missing = inspection.readiness(patient.state)
        url = ports.base_url(patient.state.host, patient.state.port)
        mend = "see `arkwright status`, and the logs directory"
        yield Finding("port", "ok", f"{url} is ready") if ready else Finding("port", "wrong", missing, mend)
        return
    try:
        ports.check(patient.settings.host, patient.settings.port)
    except ArkwrightError as error:
        yield Finding("port", "wrong", error.message, "stop the other program, or set ARKWRIGHT_PORT")
    else:
        yield Finding("port", "ok", f"port {patient.settings.port} on {patient.settings.host} is free")


def _processes(patient: Patient) -> Iterator[Finding]:
    paths = patient.settings.paths
    if not patient.running:
        left = leftovers.find(paths) if paths.root.is_dir() else []
        names = ", ".join(f"{name} ({process.pid})" for process, name in left)
        if left:
            yield Finding("processes", "wrong", f"left over from a killed supervisor: {names}", "run `arkwright down`")
        else:
            yield Finding("processes", "ok", "the platform is down, and nothing is left over")
        return
    seen = inspection.processes(paths)
    for process in seen:
        if not process.ready:
            log = paths.logs / f"{process.name}.log"
            found = f"{process.name} is {process.state}, not ready; {process.restarts} restarts, {process.last_exit}"
            yield Finding("processes", "wrong" if process.restarts else "warning", found, f"read {log}")
    if seen and all(process.ready for process in seen):
        yield Finding("processes", "ok", f"{len(seen)} processes run and are ready")
    if not seen:
        yield Finding("processes", "wrong", "the supervisor does not answer", "run `arkwright down`, then `up`")


def _control(patient: Patient) -> Iterator[Finding]:
    if not patient.running:
        return
    silent = inspection.control(patient.settings.paths)
    if silent:
        log = patient.settings.paths.logs / "control.log"
        yield Finding("control", "wrong", silent, f"read {log}; end the process if it is frozen: another takes over")
    else:
        yield Finding("control", "ok", "the admin API answers")


def _database(patient: Patient) -> Iterator[Finding]:
    url = inspection.database_url(patient.settings, patient.state)
    if url is None:
        if patient.running:
            log = patient.settings.paths.logs / "postgres.log"
            yield Finding("database", "wrong", "the embedded database is down", f"read {log}")
        else:
            yield Finding("database", "ok", "embedded; it starts with `arkwright up`")
        return
    try:
        facts = health.database_facts(url)
    except ArkwrightError as error:
        log = patient.settings.paths.logs / "postgres.log"
        external = inspection.external_database(patient.settings, patient.state)
        mend = "is ARKWRIGHT_DATABASE_URL right, and may this user connect?" if external else f"read {log}"
        yield Finding("database", "wrong", error.message, mend)
        return
    words = f"PostgreSQL {facts.version // 10000}, answers in {facts.answered_in_us / 1000:.1f} ms"
    if facts.version < health.VERSION_MIN:
        yield Finding("database", "wrong", words, "Arkwright needs PostgreSQL 15 or later: upgrade the server")
    else:
        yield Finding("database", "ok", words)
    if abs(facts.clock_ahead_us) > CLOCK_APART_US:
        apart = f"the database's clock is {facts.clock_ahead_us / 1e6:+.1f} s from this machine's"
        yield Finding("clock", "wrong", apart, "run a time service (chrony, systemd-timesyncd) on both machines")


def _books(patient: Patient) -> Iterator[Finding]:
    facts = health.book_facts(inspection.database_url(patient.settings, patient.state))
    if facts is None:
        return
    when = f"{facts.checked_at:%Y-%m-%d %H:%M} UTC"
    if facts.findings:
        words = f"{facts.findings} findings in the check of {when}; {facts.first}"
        yield Finding("books", "wrong", words, "run `arkwright audit check`: it names each of them")
    else:
        yield Finding("books", "ok", f"everything agreed in the check of {when}")


def _journal(patient: Patient) -> Iterator[Finding]:
    directory = patient.settings.paths.journal
    if not directory.is_dir():
        yield Finding("journal", "ok", "made by the first `arkwright up`")
        return
    try:
        sync_us = health.sync_time_us(directory)
    except OSError as error:
        mend = "no request can be recorded, so none is served: free the disk, or mend the directory's permissions"
        yield Finding("journal", "wrong", f"cannot write to {directory}: {error.strerror}", mend)
        return
    yield from _damages(Quarantine(patient.settings.paths.quarantine))
    words = f"a record reaches the disk in {sync_us / 1000:.1f} ms"
    if sync_us > SYNC_SLOW_US:
        yield Finding(
            "journal", "warning", words, "every answer waits for this: put the data directory on faster storage"
        )
    else:
        yield Finding("journal", "ok", words)


def _damages(quarantine: Quarantine) -> Iterator[Finding]:
    """What the settler met and set aside; it stays here until somebody has dealt with it."""
    found = quarantine.damages()
    if found:
        first = found[0]
        where = f"{first.flaw.kind} in journal {first.incarnation}, segment {first.segment}, byte {first.flaw.offset}"
        words = f"journals are damaged in {len(found)} places; the first: {where}: {first.flaw.detail}"
        mend = (
            f"look at the disk, and at `arkwright audit verify`; what is damaged lies in {quarantine.directory}: "
            "move it elsewhere when it is dealt with"
        )
        yield Finding("journal", "wrong", words, mend)


# What other checks here tell as well, and in more detail.
_TOLD_BY_OTHERS = {"disk-full", "books-differ", "journal-damaged", "no-gateway", "gateway-not-ready"}


def _platform(patient: Patient) -> Iterator[Finding]:
    """What a running platform knows of itself; where it can't be asked, another check says so."""
    if not patient.running:
        return
    try:
        with Client.local(patient.settings.paths) as client:
            told = client.get("/problems")
    except ArkwrightError:
        return
    mine = [each for each in told if each["rule"] not in _TOLD_BY_OTHERS]
    for each in mine:
        state: Literal["warning", "wrong"] = "wrong" if each["level"] == "firing" else "warning"
        why = f": {each['why']}" if each["why"] else ""
        yield Finding("platform", state, f"{each['what']}{why}", each["mend"])
    if not mine:
        yield Finding("platform", "ok", "nothing that the platform knows of is wrong")


def _finding(check: str, problem: Problem) -> Finding:
    state: Literal["warning", "wrong"] = "wrong" if problem.level == "firing" else "warning"
    return Finding(check, state, str(problem.what), f"{problem.mend} {problem.why}".strip())


def _engine(patient: Patient) -> Iterator[Finding]:
    if importlib.util.find_spec("xllamacpp") is None:
        yield Finding(
            "engine", "wrong", "xllamacpp is not installed", "pip install xllamacpp, or serve by providers only"
        )
        return
    flags = Path("/proc/cpuinfo").read_text().partition("flags")[2].partition("\n")[0].split()
    if os.uname().machine == "x86_64" and "avx2" not in flags:
        found = "this processor has no AVX2, which the embedded engine needs"
        yield Finding("engine", "wrong", found, "serve by providers, or on another machine")
    else:
        yield Finding("engine", "ok", "the embedded engine can run here")


def _native(_patient: Patient) -> Iterator[Finding]:
    """A warning at most: without them everything works, at more of the processor's time."""
    modules = native.modules()
    missing = [name for name, built in modules.items() if not built]
    if not native.WANTED:
        yield Finding("native", "ok", "ARKWRIGHT_NATIVE=off: the native modules are not used")
    elif missing:
        mend = "install a C compiler and Python's headers, then install arkwright again; it works without, more slowly"
        yield Finding("native", "warning", f"not built: {', '.join(missing)}", mend)
    else:
        words = (
            f"{len(modules)} native modules; this processor has {', '.join(native.processor()) or 'nothing special'}"
        )
        yield Finding("native", "ok", words)


def _clock(patient: Patient) -> Iterator[Finding]:
    """The file system's clock is the kernel's; a difference means that it is another machine's."""
    before = time.time()
    if before < 1_700_000_000:
        found = time.strftime("the clock says %Y-%m-%d %H:%M", time.gmtime(before))
        yield Finding("clock", "wrong", found, "set the clock: prices, expiry and bills go by it")
        return
    root = patient.settings.paths.root
    newest = (
        max((path.stat().st_mtime for path in (root, *root.glob("*"))), default=before) if root.is_dir() else before
    )
    if newest > before + CLOCK_APART_US / 1e6:
        found = f"files in {root} are {newest - before:.0f} s from the future: the clock was set back"
        yield Finding("clock", "warning", found, "run a time service; usage hours may overlap")
    else:
        yield Finding("clock", "ok", time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(before)))


def _secrets(patient: Patient) -> Iterator[Finding]:
    paths = patient.settings.paths
    exposed = [
        path
        for path in (
            paths.secrets,
            *(paths.secrets.glob("*") if paths.secrets.is_dir() else ()),
            paths.run,
            paths.journal,
            paths.answers,
            paths.quarantine,
        )
        if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077
    ]
    for path in exposed:
        mend = f"chmod {'700' if path.is_dir() else '600'} {path}"
        yield Finding("secrets", "wrong", f"others may read {path}", mend)
    if not exposed:
        yield Finding("secrets", "ok", "secrets, sockets and journal are private")


def _existing(path: Path) -> Path:
    return next(place for place in (path, *path.parents) if place.exists())


CHECKS: tuple[Callable[[Patient], Iterator[Finding]], ...] = (
    _directory, _port, _processes, _control, _database, _books, _platform, _journal, _engine, _native, _clock, _secrets,
)  # fmt: skip
