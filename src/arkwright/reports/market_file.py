"""A file of market figures: CSV in UTF-8, a line for each figure, with its source and date.

Law: text in, figures or an error that names line and field out; nothing is guessed, and nothing is a float.
"""

import csv
import io
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from importlib import resources
from typing import Any

from arkwright.basics.errors import InvalidInput
from arkwright.basics.money import currency_code, pico_from_decimal
from arkwright.reports import periods
from arkwright.store.market import FIGURES_MAX, Figure

BYTES_MAX = 1024 * 1024
COLUMNS = ("market", "vendor", "metric", "period", "value", "unit", "share", "source", "published", "note")
_REQUIRED = ("market", "vendor", "metric", "period", "source", "published")
_METRICS = ("tokens", "daily_tokens", "revenue")
_SCALES = {"": 1, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_LENGTH_MAX = 400
_PICO_MAX = 10**38 - 1
_ANY_DAY = datetime(2000, 1, 1, tzinfo=UTC)


def sample() -> bytes:
    """The public figures that ship with the product."""
    return (resources.files(__package__) / "samples" / "market-china.csv").read_bytes()


def read(raw: bytes) -> list[Figure]:
    """Raises InvalidInput that begins with the line and names the field."""
    if len(raw) > BYTES_MAX:
        raise InvalidInput(f"a file of market figures has at most {BYTES_MAX // 1024} KiB")
    reader = csv.reader(io.StringIO(_decoded(raw), newline=""), strict=True)
    found: dict[tuple[str, ...], int] = {}
    figures = []
    try:
        head = _head(next(reader, []))
        for cells in reader:
            line = reader.line_num
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(head):
                raise InvalidInput(f"line {line}: it has {len(cells)} cells; the first line names {len(head)} columns")
            figure = _figure(line, dict(zip(head, (cell.strip() for cell in cells), strict=True)))
            key = (figure.market, figure.vendor, figure.metric, figure.period)
            if key in found:
                raise InvalidInput(f"line {line}: vendor: line {found[key]} has this figure already", param="vendor")
            found[key] = line
            figures.append(figure)
    except csv.Error as error:
        raise InvalidInput(f"line {reader.line_num}: this is not CSV: {error}") from None
    if len(figures) > FIGURES_MAX:
        raise InvalidInput(f"a file has at most {FIGURES_MAX} figures")
    return figures


def _decoded(raw: bytes) -> str:
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise InvalidInput(
            f"line {line}: the file is not UTF-8 ({error.reason} at byte {error.start}); save it as CSV UTF-8"
        ) from None
    if "\0" in text:
        raise InvalidInput(f"line {text[: text.index(chr(0))].count(chr(10)) + 1}: there is a NUL in it")
    return text


def _head(cells: list[str]) -> list[str]:
    head = [cell.strip() for cell in cells]
    for name in head:
        if name not in COLUMNS:
            known = ", ".join(COLUMNS)
            raise InvalidInput(f"line 1: unknown column {name[:80]!r}; there are {known}", param=name[:80])
    for name in _REQUIRED:
        if name not in head:
            raise InvalidInput(f"line 1: the column {name!r} is missing", param=name)
    if len(set(head)) != len(head):
        raise InvalidInput("line 1: a column is named twice")
    return head


def _figure(line: int, cells: dict[str, str]) -> Figure:
    def field(name: str, meant: Callable[[str], Any]) -> Any:
        text = cells.get(name, "")
        try:
            if len(text) > _LENGTH_MAX or not text.isprintable():
                raise InvalidInput(f"at most {_LENGTH_MAX} printable characters")
            return meant(text)
        except InvalidInput as error:
            raise InvalidInput(f"line {line}: {name}: {error.message}", param=name) from None

    metric = field("metric", _metric)
    span = field("period", _period)
    scale, unit = field("unit", lambda text: _unit(text, metric)) if cells.get("value") else (1, "")
    amount = field("value", lambda text: _amount(text, scale)) if cells.get("value") else None
    share = field("share", _share) if cells.get("share") else None
    if amount is None and share is None:
        raise InvalidInput(f"line {line}: value: a figure has a value, a share, or both", param="value")
    return Figure(
        market=field("market", _words),
        vendor=field("vendor", str),
        metric=metric,
        period=span.name,
        period_from=span.since.date(),
        period_to=(span.until - timedelta(days=1)).date(),
        amount_pico=amount,
        unit=unit,
        share_bp=share,
        source=field("source", _words),
        published=field("published", _date),
        note=field("note", str),
    )


def _words(text: str) -> str:
    if not text:
        raise InvalidInput("it is empty; a figure without it can't be checked by anyone")
    return text


def _metric(text: str) -> str:
    if text not in _METRICS:
        raise InvalidInput(f"{text[:80]!r} is unknown; there is {', '.join(_METRICS)}")
    return text


def _period(text: str) -> Any:
    if not text[:1].isdecimal():
        raise InvalidInput(f"{text[:40]!r} is no period: {periods.HOW}")
    return periods.named(text, _ANY_DAY)


def _unit(text: str, metric: str) -> tuple[int, str]:
    """`trillion tokens` → (10^12, token); `billion CNY` → (10^9, CNY)."""
    scale, _, unit = text.rpartition(" ")
    if scale not in _SCALES:
        raise InvalidInput(f"{text[:80]!r} is no unit: write tokens or a currency, with thousand to trillion before it")
    if metric == "revenue":
        return _SCALES[scale], currency_code(unit)
    if unit not in ("token", "tokens"):
        raise InvalidInput(f"{text[:80]!r} is no unit of tokens: write such as `trillion tokens`")
    return _SCALES[scale], "token"


def _amount(text: str, scale: int) -> int:
    try:
        pico = pico_from_decimal(text) * scale
    except InvalidInput:
        raise InvalidInput(f"{text[:80]!r} is no number: write digits with a point, such as 536.7") from None
    if not 0 <= pico <= _PICO_MAX:
        raise InvalidInput(f"{text[:80]!r} is below zero, or beyond any market")
    return pico


def _share(text: str) -> int:
    try:
        pico = pico_from_decimal(text)
    except InvalidInput:
        raise InvalidInput(f"{text[:80]!r} is no share: write percent, such as 49.2") from None
    basis_points, rest = divmod(pico, 10**10)
    if rest or not 0 <= basis_points <= 10_000:
        raise InvalidInput(f"{text[:80]!r} is no share: percent from 0 to 100, with two decimals at most")
    return int(basis_points)


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidInput(f"{text[:40]!r} is no date: write such as 2025-10-16") from None
