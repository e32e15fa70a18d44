"""What was read and written, token by token."""

from typing import Any

from arkwright.reports import dimensions, usage
from arkwright.reports.report import Cell, Chart, Column, Found, Question, Report, Row, Table
from arkwright.store.database import Connection

_COUNTS = (
    Column("requests", "Requests", "count"),
    Column("estimated_requests", "Estimated", "count"),
    Column("input_tokens", "Input", "tokens"),
    Column("cached_input_tokens", "Cached input", "tokens"),
    Column("cache_write_tokens", "Cache write", "tokens"),
    Column("output_tokens", "Output", "tokens"),
    Column("reasoning_tokens", "Reasoning", "tokens"),
    Column("image_tokens", "Image", "tokens"),
    Column("audio_tokens", "Audio", "tokens"),
    Column("video_tokens", "Video", "tokens"),
)
_COLUMNS = (*_COUNTS, Column("tokens", "All tokens", "tokens"))


async def find(connection: Connection, question: Question) -> Found:
    groups = _without_currency(await usage.sums(connection, question))
    labels = await dimensions.labelled(connection, question.by, groups)
    rows: list[Row] = [{**label, **_counts(group)} for label, group in zip(labels, groups, strict=True)]
    columns = (*dimensions.columns(question.by), *_COLUMNS)
    return Found(tables=[Table(name="tokens", title="Tokens", columns=columns, rows=rows)])


def _without_currency(groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Tokens, unlike money, add up whatever they were paid in."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    counted = {column.name for column in _COUNTS}
    for group in groups:
        key = tuple(value for name, value in group.items() if name not in counted | {"currency", "amount_pico"})
        if key in found:
            found[key] |= {name: found[key][name] + group[name] for name in counted}
        else:
            found[key] = dict(group)
    return list(found.values())


def _counts(group: dict[str, Any]) -> dict[str, Cell]:
    counts: dict[str, Cell] = {column.name: group[column.name] for column in _COUNTS}
    return counts | {"tokens": sum(group[column.name] for column in _COUNTS if column.unit == "tokens")}


REPORT = Report(
    name="tokens",
    title="Tokens",
    definition=(
        "Tokens of requests that started in the period, from the hourly roll-up of charges. The counts are disjoint: a"
        " cached token is counted as cached input and nowhere else, a token of an image as image. Estimated: requests"
        " whose tokens neither an engine nor a provider counted. Tokens of caches that are written on demand are in"
        " the token league alone."
    ),
    dimensions=usage.DIMENSIONS,
    by=("model",),
    find=find,
    chart=Chart("tokens"),
)
