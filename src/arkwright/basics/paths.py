"""Where things lie in a data directory. Makes paths, and makes the directory private; holds no state."""

from pathlib import Path

import platformdirs


def default_data_dir() -> Path:
    return platformdirs.user_data_path("arkwright")


def default_model_store() -> Path:
    """Weights are shared by every data directory of a user; they are never written twice."""
    return platformdirs.user_cache_path("arkwright") / "models"


class DataDir:
    """The layout of one platform's directory.

    postgres/            embedded database
    journal/<incarnation>/NNNNNN.segment
    secrets/             master.key, operator.key (0600)
    run/                 sockets, pid and ready files, lease words, snapshot: rebuilt at start
    logs/<process>.log
    host-id
    """

    def __init__(self, root: Path) -> None:
        self.root = root.expanduser().absolute()
        self.postgres = self.root / "postgres"
        self.journal = self.root / "journal"
        self.secrets = self.root / "secrets"
        self.run = self.root / "run"
        self.logs = self.root / "logs"
        self.host_id = self.root / "host-id"
        self.lock = self.root / "lock"
        self.config = self.root / "arkwright.toml"
        self.master_key = self.secrets / "master.key"
        self.operator_key = self.secrets / "operator.key"
        self.control_socket = self.run / "control.sock"
        self.supervisor_socket = self.run / "supervisor.sock"
        self.supervisor_state = self.run / "supervisor.json"
        self.lease_words = self.run / "leases.words"
        self.snapshot = self.run / "snapshot.msgpack"

    def make(self) -> None:
        """Create the directories; the root stays passable (the embedded database has its own user), the rest private."""
        self.root.mkdir(parents=True, exist_ok=True)
        for private in (self.journal, self.secrets, self.run, self.logs):
            private.mkdir(mode=0o700, exist_ok=True)
