"""What a report is: a question in, an answer out, as plain values that every way of showing them takes.

Law: a cell is a whole number, a text (decimals are texts, exact to the last digit) or None for what is not known;
nothing is rounded on the way out. Amounts of different currencies are never added up.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec

from arkwright.basics.errors import InvalidInput
from arkwright.store.database import Connection

Unit = Literal["text", "prose", "count", "tokens", "percent", "change", "money", "ms", "rank", "moment", "number"]
Cell = str | int | None
Row = dict[str, Cell]
_LEFT = ("text", "prose", "moment")


class Column(msgspec.Struct, frozen=True):
    """`change`: a number whose sign is told."""

    name: str
    title: str
    unit: Unit = "text"

    @property
    def align(self) -> str:
        return "left" if self.unit in _LEFT else "right"


class Chart(msgspec.Struct, frozen=True):
    """A bar for each of the first rows, as long as its `value`, named by the columns that the answer is grouped by."""

    value: str


class Table(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    title: str
    columns: tuple[Column, ...]
    rows: list[Row]
    note: str = ""


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a reconciliation: two ways to the same number. `ok` is False when they differ by anything."""

    what: str
    left: str
    left_amount: str
    right: str
    right_amount: str
    difference: str
    ok: bool


class Span(msgspec.Struct, frozen=True):
    """From `since` to before `until`, with the name people give it."""

    name: str
    since: datetime
    until: datetime


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """`against`: the period that growth is told against. `journal_dir`: where this host's journals are to be read."""

    period: Span
    against: Span
    by: tuple[str, ...]
    at: datetime
    host: str = ""
    journal_dir: Path | None = None


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """`tables` begins with the report's own; the others stand beside it. `ok`: everything reconciles."""

    report: str
    title: str
    period: Span
    against: Span | None
    by: tuple[str, ...]
    at: datetime
    tables: list[Table]
    chart: Chart | None
    definition: str
    notes: list[str]
    reconciliation: list[Check]
    ok: bool


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What a report finds; the rest of the answer follows from what it is."""

    tables: list[Table]
    reconciliation: list[Check] = []
    notes: list[str] = []


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One report. `dimensions`: what it can be grouped by, with `by` as the default; `alone`: by one at a time.

    `whole`: the unit that a period is made of. `compares`: it tells growth against another period. `follows`: what is
    brought up to date before it is read, beside the ledger itself.
    """

    name: str
    title: str
    definition: str
    dimensions: tuple[str, ...]
    by: tuple[str, ...]
    find: Callable[[Connection, Question], Awaitable[Found]]
    chart: Chart | None = None
    alone: bool = False
    whole: Literal["hour", "day"] = "hour"
    compares: bool = False
    follows: Literal["", "leagues", "costs"] = ""

    async def answer(self, connection: Connection, question: Question) -> Answer:
        """Read in the connection's one transaction. Raises InvalidInput for a grouping it does not know."""
        question = msgspec.structs.replace(question, by=self._grouping(question.by))
        found = await self.find(connection, question)
        return Answer(
            report=self.name,
            title=self.title,
            period=question.period,
            against=question.against if self.compares else None,
            by=question.by,
            at=question.at,
            tables=found.tables,
            chart=self.chart,
            definition=self.definition,
            notes=found.notes,
            reconciliation=found.reconciliation,
            ok=all(check.ok for check in found.reconciliation),
        )

    def _grouping(self, by: tuple[str, ...]) -> tuple[str, ...]:
        wanted = by or self.by
        for dimension in wanted:
            if dimension not in self.dimensions:
                known = ", ".join(self.dimensions)
                raise InvalidInput(f"{self.name} is grouped by {known}; not by {dimension!r}", param="by")
        if len(set(wanted)) != len(wanted):
            raise InvalidInput("each dimension is named once", param="by")
        if self.alone and len(wanted) > 1:
            raise InvalidInput(f"{self.name} is grouped by one dimension at a time", param="by")
        if len({"hour", "day", "month"} & set(wanted)) > 1:
            raise InvalidInput("a report is grouped by hour, by day or by month, not by two of them", param="by")
        return wanted
