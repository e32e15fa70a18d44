"""Reports that can be made of files alone, on a machine that has no platform."""

from datetime import UTC, datetime
from pathlib import Path

import msgspec

from arkwright.basics.errors import InvalidInput
from arkwright.reports import as_csv, as_html, periods, token_league
from arkwright.reports.report import Question, Span

_DEFAULT_PERIOD = "month"


def answer(name: str, directory: Path, asked: dict[str, str | None], form: str, table: str | None) -> str:
    """In the form that was asked for. Raises InvalidInput for a report, a period or a grouping that can't be had so."""
    if name != token_league.REPORT.name:
        raise InvalidInput(f"of raw events there is {token_league.REPORT.name}, not {name!r}", code="wrong_usage")
    at = datetime.now(UTC)
    period, against = _period(asked, at), asked["against"]
    found = token_league.of_files(
        directory,
        Question(
            period=period,
            against=periods.before(period) if against is None else periods.named(against, at, "against"),
            by=tuple(part.strip() for part in (asked["by"] or "").split(",") if part.strip()),
            at=at,
        ),
    )
    if form == "csv":
        return as_csv.render(found, table)
    return as_html.render(found) if form == "html" else msgspec.json.encode(found).decode()


def _period(asked: dict[str, str | None], at: datetime) -> Span:
    if asked["since"] is None:
        return periods.named(asked["period"] or _DEFAULT_PERIOD, at)
    try:
        since, until = (datetime.fromisoformat(str(asked[name])) for name in ("since", "until"))
    except ValueError:
        raise InvalidInput("since and until are moments such as 2026-11-23T00:00:00Z", param="since") from None
    return periods.between(since, until, "day")
