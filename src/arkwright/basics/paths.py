"""Where things lie in a data directory. Makes paths, and makes the directory private; holds no state."""

import contextlib
import os
import tempfile
from pathlib import Path

import platformdirs

# A unix socket's path has 107 bytes on Linux; the longest name we put behind a directory is `.s.PGSQL.5432.lock`.
SOCKET_PATH_BYTES_MAX = 107
_SOCKET_NAME_BYTES = 20


def default_data_dir() -> Path:
    return platformdirs.user_data_path("arkwright")


def default_model_store() -> Path:
    """Weights are shared by every data directory of a user; they are never written twice."""
    return platformdirs.user_cache_path("arkwright") / "models"


class DataDir:
    """The layout of one platform's directory.

    postgres/            embedded database
    journal/<incarnation>/NNNNNN.segment
    answers/<two digits>/<digest>: kept for requests that are sent again
    quarantine/          damage met in journals, with its bytes
    secrets/             master.key, operator.key, signing.key (0600)
    run/                 sockets, pid and ready files, lease words, snapshot: rebuilt at start
    logs/<process>.log
    host-id, lock, arkwright.toml (yours), started-once
    """

    def __init__(self, root: Path) -> None:
        self.root = root.expanduser().absolute()
        self.postgres = self.root / "postgres"
        self.journal = self.root / "journal"
        self.answers = self.root / "answers"
        self.quarantine = self.root / "quarantine"
        self.secrets = self.root / "secrets"
        self.run = self.root / "run"
        self.ready = self.run / "ready"
        self.logs = self.root / "logs"
        self.host_id = self.root / "host-id"
        self.lock = self.root / "lock"
        self.config = self.root / "arkwright.toml"
        self.started_once = self.root / "started-once"
        self.master_key = self.secrets / "master.key"
        self.operator_key = self.secrets / "operator.key"
        self.signing_key = self.secrets / "signing.key"
        self.supervisor_state = self.run / "supervisor.json"
        self.lease_words = self.run / "leases.words"
        self.lot_words = self.run / "lots.words"
        self.place_words = self.run / "places.words"
        self.snapshot = self.run / "snapshot.msgpack"
        self.sockets_link = self.run / "sockets"
        self.postgres_sockets_link = self.run / "postgres-sockets"

    @property
    def control_socket(self) -> Path:
        return socket_directory(self.run, self.sockets_link) / "control.sock"

    @property
    def supervisor_socket(self) -> Path:
        return socket_directory(self.run, self.sockets_link) / "supervisor.sock"

    @property
    def postgres_sockets(self) -> Path:
        return socket_directory(self.postgres, self.postgres_sockets_link)

    def make(self) -> None:
        """Create the directories: the root stays passable (the database may have its own user), the rest private."""
        self.root.mkdir(parents=True, exist_ok=True)
        for private in (self.journal, self.answers, self.secrets, self.run, self.ready, self.logs):
            private.mkdir(mode=0o700, exist_ok=True)
        make_socket_directory(self.run, self.sockets_link)
        make_socket_directory(self.postgres, self.postgres_sockets_link)


def socket_directory(preferred: Path, link: Path) -> Path:
    """Where sockets lie: in `preferred`, or, if its path is too long for a socket, where `link` points."""
    if len(os.fsencode(preferred)) + 1 + _SOCKET_NAME_BYTES <= SOCKET_PATH_BYTES_MAX:
        return preferred
    try:
        return Path(os.readlink(link))
    except OSError:
        return preferred  # Not made yet: whoever connects finds nothing there, which is the truth.


def make_socket_directory(preferred: Path, link: Path) -> None:
    """Where `preferred` is too long, a private directory with a short path, remembered by `link`."""
    short = socket_directory(preferred, link)
    if (short == preferred and len(os.fsencode(preferred)) + 1 + _SOCKET_NAME_BYTES <= SOCKET_PATH_BYTES_MAX) or (
        short != preferred and short.is_dir()
    ):
        return
    parent = next((place for place in ("/run/user/" + str(os.geteuid()), "/tmp") if os.access(place, os.W_OK)), None)  # noqa: S108
    made = tempfile.mkdtemp(prefix="arkwright-", dir=parent)
    with contextlib.suppress(FileNotFoundError):
        link.unlink()
    link.symlink_to(made)


def remove_socket_directory(link: Path) -> None:
    """Leave nothing behind outside the data directory."""
    with contextlib.suppress(OSError):
        short = Path(os.readlink(link))
        link.unlink()
        for left in short.iterdir():
            left.unlink(missing_ok=True)
        short.rmdir()
