"""Ctrl-C, SIGTERM and a closed terminal, for a command that has started processes which it must not leave behind.

Law: while interrupts are held they are counted and never raised, so that ending what was spawned always comes to its
end; none is forgotten: what came while they were held is raised when they are let again.
"""

import signal
from types import FrameType, TracebackType
from typing import Any, Self

_NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """Enter it for the life of the command, in the main thread. At first every interrupt is raised."""

    def __init__(self) -> None:
        self.count = 0
        self._raised = True
        self._every = True
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._came) for number in _NUMBERS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def hold(self) -> None:
        """From here on they are only counted."""
        self._raised = self._every = False

    def let_one(self) -> None:
        """From here on one is raised, and those after it are held: whoever catches it ends things undisturbed.

        Raises KeyboardInterrupt at once when one came while they were held.
        """
        self._raised = True
        self.check()

    def check(self) -> None:
        """For loops that wait: raises KeyboardInterrupt when one came, even if a destructor swallowed it."""
        if self.count:
            self.hold()
            raise KeyboardInterrupt

    def _came(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
        if self._raised:
            self._raised = self._every
            raise KeyboardInterrupt
