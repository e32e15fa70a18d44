"""`arkwright serve ROLE`: one role in the foreground, the same that a supervisor starts."""

from typing import Literal

from arkwright import app
from arkwright.basics import log, settings
from arkwright.cli.options import DataDirOption

Role = Literal["supervisor", "control", "gateway"]


def serve(role: Role, /, *, data_dir: DataDirOption = None) -> None:
    """Run one role in the foreground, for clusters and service managers.

    Settings come from ARKWRIGHT_* and the configuration file; SIGTERM drains and stops.
    """
    loaded = settings.load({"data_dir": str(data_dir) if data_dir else None})
    log.configure(loaded.log_level)
    app.run(role, loaded)
