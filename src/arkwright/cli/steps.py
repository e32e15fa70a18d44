"""What `up` shows while it works: steps with a spinner and bars on a terminal, plain lines elsewhere; on stderr."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)


class Steps:
    def __init__(self) -> None:
        self.console = Console(stderr=True, highlight=False)

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """A step that takes a while; says how long it took once it is done."""
        began = time.monotonic()
        if self.console.is_terminal:
            with self.console.status(f"{text} …"):
                yield
            self.console.print(f"[green]✓[/] {text} [dim]({time.monotonic() - began:.1f} s)[/]")
        else:
            self.console.print(f"{text} …", soft_wrap=True)
            yield

    def say(self, text: str) -> None:
        self.console.print(text, soft_wrap=True, markup=False)

    @contextmanager
    def download(self) -> Iterator["Download"]:
        columns = (
            TextColumn("  {task.description}"),
            BarColumn(bar_width=30),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self.console, disable=not self.console.is_terminal, transient=True) as bars:
            yield Download(self, bars)


class Download:
    """What is received or waited for, each a bar; without a terminal, a line at each tenth."""

    def __init__(self, steps: Steps, bars: Progress) -> None:
        self._steps = steps
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}
        self._tenths: dict[str, int] = {}

    def __call__(self, done_bytes: int, total_bytes: int | None, what: str) -> None:
        if self._steps.console.is_terminal:
            if what not in self._tasks:
                self._tasks[what] = self._bars.add_task(what, total=total_bytes)
            self._bars.update(self._tasks[what], completed=done_bytes, total=total_bytes)
            return
        tenth = done_bytes * 10 // total_bytes if total_bytes else 0
        if tenth != self._tenths.get(what):
            self._tenths[what] = tenth
            self._steps.say(f"  {what}: {tenth * 10} % of {total_bytes / 1e6:.0f} MB" if total_bytes else f"  {what}")
