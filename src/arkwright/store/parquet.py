"""Raw events as Parquet: one row for each charge, every count and amount of it exact.

Law: a file bears its name only when it is whole, on disk, and read back with as many rows and the same sums as went in.
Amounts are decimal128(38, 0) of pico, moments are microseconds in UTC; nothing is a float. Columns are only ever added.

pyarrow comes with the extra `analytics` and is imported only by who calls something here.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from arkwright.basics.errors import InternalError, InvalidInput
from arkwright.domain.feeds import UsageEvent
from arkwright.domain.metering import COUNTS

FILE = "events.parquet"
_ROWS_A_GROUP = 100_000
_FOOT = b"arkwright.day"  # Key in the file's metadata: what the file says of itself.
# Strings that repeat from row to row.
_NAMES = (
    "organization_id", "organization_name", "organization_class", "industry", "project_id", "project_name", "key_id",
    "endpoint", "model", "target", "upstream_model", "finish", "usage_source", "currency", "price_version",
)  # fmt: skip
_MOMENTS = ("placed_us", "started_us", "ended_us")
_AMOUNTS = ("amount_pico", "granted_pico", "uncollected_pico")
_CIRCUMSTANCES = ("mode", "service_tier", "thinking", "resolution")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Sums(msgspec.Struct, frozen=True):
    """What a day's file holds: rows, pico by currency, and the last position of the feed in it.

    `over`: the day was over when it was written, so that no row will ever be added to it.
    """

    rows: int
    amount_pico: dict[str, int]
    position: int
    over: bool


def library() -> Any:
    """pyarrow. Raises InvalidInput that says how to get it."""
    try:
        import pyarrow  # Large, and an extra: only who writes or reads Parquet pays for it.
        import pyarrow.parquet
    except ImportError:
        raise InvalidInput("this needs the extra `analytics`: pip install 'arkwright[analytics]'") from None
    return pyarrow


def schema() -> Any:
    """The columns, in order. Counts are disjoint, as `domain/metering.py` has them."""
    pa = library()
    name, text, pico, moment = (
        pa.dictionary(pa.int32(), pa.string()), pa.string(), pa.decimal128(38, 0), pa.timestamp("us", tz="UTC"),
    )  # fmt: skip
    line = pa.struct([
        ("item", text), ("quantity", pa.int64()), ("pico_per_unit", pico), ("amount_pico", pico),
        ("list_pico_per_unit", pico), ("discount_bp", pa.int32()), ("lot", text), ("rule", text),
    ])  # fmt: skip
    fields = [("event_id", text), *((column.replace("_us", "_at"), moment) for column in _MOMENTS)]
    fields += [(column, name) for column in _NAMES]
    fields += [("upstream_request_id", text), ("prepaid", pa.bool_()), ("streamed", pa.bool_())]
    fields += [("status", pa.int32()), ("ttft_us", pa.int64())]
    fields += [("mode", name), ("service_tier", name), ("thinking", pa.bool_()), ("resolution", name)]
    fields += [(count, pa.int64()) for count in COUNTS]
    fields += [(column, pico) for column in _AMOUNTS]
    fields += [("lines", pa.list_(line)), ("draws", pa.list_(pa.struct([("lot", text), ("units", pico)])))]
    return pa.schema(fields)


def table(events: Sequence[UsageEvent], columns: Any = None) -> Any:
    """The rows of these events, in their order."""
    pa = library()
    columns = schema() if columns is None else columns
    return pa.table([pa.array(_column(events, field.name), field.type) for field in columns], schema=columns)


class DayFile:
    """One day's file in the making: `add` pages, then `finish` with what the feed says the day has.

    Left before that, nothing but a draft remains, which the next attempt overwrites.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._draft = path.with_name(f".{path.name}.part")
        self._schema = schema()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._writer: Any = library().parquet.ParquetWriter(self._draft, self._schema, compression="zstd")
        self._pending: list[UsageEvent] = []

    def __enter__(self) -> "DayFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()
        self._draft.unlink(missing_ok=True)

    def add(self, events: Iterable[UsageEvent]) -> None:
        self._pending += events
        if len(self._pending) >= _ROWS_A_GROUP:
            self._flush()

    def finish(self, expected: Sums) -> None:
        """Raises InternalError when what is on disk is not what was expected; the file is then not there."""
        if self._pending:
            self._flush()
        self._writer.add_key_value_metadata({_FOOT: msgspec.json.encode(expected)})
        self._writer.close()
        found = _measured(self._draft)
        if (found.rows, found.amount_pico) != (expected.rows, expected.amount_pico):
            raise InternalError(
                f"{self._path.parent.name}: {found.rows} rows of {found.amount_pico} were written; the feed has"
                f" {expected.rows} of {expected.amount_pico}"
            )
        _sync(self._draft)
        os.replace(self._draft, self._path)
        _sync(self._path.parent)

    def _flush(self) -> None:
        self._writer.write_table(table(self._pending, self._schema), row_group_size=_ROWS_A_GROUP)
        self._pending.clear()


def sums(path: Path) -> Sums | None:
    """What a finished file says it holds; None for one that is not there. Raises InvalidInput for a foreign file."""
    if not path.exists():
        return None
    pq = library().parquet
    try:
        foot = (pq.read_metadata(path).metadata or {}).get(_FOOT)
        if foot is None:
            raise ValueError("it has no sums")
        return msgspec.json.decode(foot, type=Sums)
    except (OSError, ValueError) as error:  # pyarrow's errors and msgspec's are ValueErrors.
        raise InvalidInput(f"{path} was not written by this export ({error}); move it away") from None


def _measured(path: Path) -> Sums:
    """Counted from the file itself, column by column, in numbers that cannot overflow."""
    pa = library()
    rows, amounts = 0, dict[str, int]()
    with pa.parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(columns=["currency", "amount_pico"]):
            rows += batch.num_rows
            wide = pa.table({
                "currency": batch.column("currency").cast(pa.string()),
                "pico": batch.column("amount_pico").cast(pa.decimal256(76, 0)),
            })  # fmt: skip
            for row in wide.group_by("currency").aggregate([("pico", "sum")]).to_pylist():
                amounts[row["currency"]] = amounts.get(row["currency"], 0) + int(row["pico_sum"])
    return Sums(rows, amounts, 0, False)


def _column(events: Sequence[UsageEvent], name: str) -> list[Any]:
    value = _value_of(name)
    return [value(event) for event in events]


def _value_of(name: str) -> Callable[[UsageEvent], Any]:
    """How a column is taken from an event."""
    if name in COUNTS:
        return attrgetter(f"usage.{name}")
    if name in _CIRCUMSTANCES:
        return attrgetter(f"circumstances.{name}")
    if name.endswith("_at"):
        moment_us = attrgetter(name.replace("_at", "_us"))
        return lambda event: _EPOCH + timedelta(microseconds=moment_us(event))
    if name == "lines":
        return lambda event: list(map(_line, event.lines))
    if name == "draws":
        return lambda event: msgspec.to_builtins(event.draws)
    return attrgetter(name)


def _line(line: Any) -> dict[str, Any]:
    return {
        "item": line.item,
        "quantity": line.quantity,
        "pico_per_unit": line.pico_per_unit,
        "amount_pico": line.amount_pico,
        "list_pico_per_unit": line.list_price_pico,
        "discount_bp": line.discount_bp,
        "lot": line.lot,
        "rule": line.rule,
    }


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
