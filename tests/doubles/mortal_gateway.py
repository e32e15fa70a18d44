"""A gateway process that is killed -9 at a named step of a request with an Idempotency-Key: `… mortal_gateway STEP`.

The steps are those of the law in `gateway/idempotency.py`, and the middle of those that write.
"""

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from arkwright import app
from arkwright.gateway import charging, idempotency, process
from arkwright.store import answers, journal
from tests.doubles.both_journals import Watched


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def after(owner: Any, name: str, when: Callable[..., bool] = lambda *_: True) -> None:
    """Die once a function has done its work (and `when` says so of what it returned)."""
    real = getattr(owner, name)

    def mortal(*arguments: Any, **named: Any) -> Any:
        result = real(*arguments, **named)
        if when(result, *arguments):
            die()
        return result

    setattr(owner, name, mortal)


def instead(owner: Any, name: str) -> None:
    setattr(owner, name, lambda *_: die())


def half_kept() -> None:
    """In the middle of the answer's frame."""
    write = journal.Disk.write

    def torn(disk: journal.Disk, fd: int, data: memoryview) -> int:
        if bytes(data[:4]) == answers.MAGIC and b"fingerprint" not in bytes(data):
            os.write(fd, data[: len(data) // 2])
            die()
        return write(disk, fd, data)

    setattr(journal.Disk, "write", torn)  # noqa: B010 - a method is replaced on purpose


STEPS: dict[str, Callable[[], None]] = {
    "claimed": lambda: after(answers.AnswerStore, "claim", lambda found, *_: isinstance(found, answers.Entry)),
    "sent": lambda: after(charging.Charging, "intend"),
    "half kept": half_kept,
    "kept": lambda: after(answers.Entry, "keep"),
    "appended": lambda: after(Watched, "append", lambda _, __, ___, told=None: told is not None),
    "written": lambda: after(journal.Disk, "write", lambda _, __, ___, data: b"settled" in bytes(data)),
    "durable": lambda: instead(idempotency.Recorded, "tell"),
    "told": lambda: instead(answers.Entry, "done"),
    "marked": lambda: after(answers.Entry, "done"),
}


if __name__ == "__main__":
    setattr(process, "open_journal", Watched)  # noqa: B010 - a function is replaced on purpose
    STEPS[sys.argv[1]]()
    raise SystemExit(app.main(["gateway"]))
