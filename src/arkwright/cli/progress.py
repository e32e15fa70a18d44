"""A bar for work that is counted in rows or bytes; without a terminal, a line at each quarter. On stderr."""

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn


class Counted:
    """`at(done, total, what)` as work goes on; nothing is shown before two seconds have passed."""

    def __init__(self, unit: str, console: Console | None = None) -> None:
        self._unit = unit
        self._console = console or Console(stderr=True, highlight=False)
        columns = (
            TextColumn("  {task.description}"),
            BarColumn(bar_width=30),
            TextColumn("{task.completed:,.0f} of {task.total:,.0f} " + unit),
            TimeRemainingColumn(),
        )
        self._bars = Progress(*columns, console=self._console, disable=not self._console.is_terminal)
        self._began_s = self._bars.get_time()
        self._task: TaskID | None = None
        self._quarter = 0
        self._started = False

    def __enter__(self) -> "Counted":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._started:
            self._bars.stop()

    def at(self, done: int, total: int, what: str) -> None:
        if not self._started:
            if self._bars.get_time() - self._began_s < 2:
                return
            self._bars.start()
            self._started = True
        if self._console.is_terminal:
            if self._task is None:
                self._task = self._bars.add_task(what, total=max(total, done))
            self._bars.update(self._task, completed=done, total=max(total, done), description=what)
            return
        quarter = done * 4 // total if total else 0
        if quarter != self._quarter:
            self._quarter = quarter
            self._console.print(f"  {what}: {quarter * 25} % of {total:,} {self._unit}", soft_wrap=True, markup=False)
