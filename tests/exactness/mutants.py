"""Faults of the kind that ship: each is a few lines of the product rewritten, in a process of its own.

Law: a mutant whose line is no longer there fails loudly: a test of the tests that breaks nothing proves nothing.
"""

import inspect
import sys
import textwrap
from typing import Any, NamedTuple

from arkwright.host.permits import Permits
from arkwright.store.journal import Disk, JournalWriter


class Edit(NamedTuple):
    owner: type[Any]
    method: str
    old: str
    new: str


MUTANTS: dict[str, tuple[Edit, ...]] = {
    "ack before fsync": (
        Edit(JournalWriter, "_write", "    self._disk.sync(self._fd)\n", "    pass\n"),
        Edit(
            JournalWriter, "_commit", "            self._on_loop(self._tell, waiting)\n",
            "            self._on_loop(self._tell, waiting)\n        self._disk.sync(self._fd)\n",
        ),
    ),
    "buffered write": (
        Edit(
            Disk, "write", "    return os.write(fd, data)\n",
            "    held = self.__dict__.setdefault('held', {}).setdefault(fd, bytearray())\n"
            "    held += data\n"
            "    if len(held) > 65_536:\n"
            "        os.write(fd, held)\n"
            "        held.clear()\n"
            "    return len(data)\n",
        ),
    ),
    "check, then update": (
        Edit(Permits, "take", "    _fcntl(fd, _SETLKW, group.lock)\n", "    pass\n"),
        Edit(Permits, "take", "        if group.prepaid:\n", "        if group.prepaid and not time.sleep(0.002):\n"),
    ),
}  # fmt: skip


def apply(name: str) -> None:
    """In this process, for good."""
    for edit in MUTANTS[name]:
        method = getattr(edit.owner, edit.method)
        source = getattr(method, "mutated", None) or textwrap.dedent(inspect.getsource(method))
        if source.count(edit.old) != 1:
            raise LookupError(f"mutant {name!r}: {edit.owner.__name__}.{edit.method} has no single {edit.old!r}")
        changed = source.replace(edit.old, edit.new)
        module = sys.modules[edit.owner.__module__]
        made: dict[str, Any] = {}
        exec(compile(changed, f"<mutant {name}>", "exec"), vars(module), made)  # noqa: S102 - what a mutant is.
        made[edit.method].mutated = changed
        setattr(edit.owner, edit.method, made[edit.method])
