"""`arkwright exports`: usage and cost as files that other systems read."""

from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import App, Parameter

from arkwright.basics.errors import ArkwrightError, Unavailable
from arkwright.cli import saving, tables
from arkwright.cli.client import Client
from arkwright.cli.fields import moment
from arkwright.cli.options import JsonOption
from arkwright.cli.progress import Counted
from arkwright.cli.target import HERE, TargetOptions
from arkwright.domain.feeds import UsageEvent
from arkwright.store import parquet as files
from arkwright.store.parquet import DayFile, Sums

app = App(name="exports", help="Usage and cost as files that other systems read.")

Since = Annotated[str | None, Parameter(help="Such as 2026-11-23, or 2026-11-23T00:00:00Z; default: from the first.")]
Until = Annotated[str | None, Parameter(help="Such as 2026-12-01; not included; default: up to now.")]
_END = b'{"end":'
_PAGE = 10_000


@app.command
def focus(
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"], help="File to write; one that is there is replaced.")],
    organization: Annotated[str | None, Parameter(help="Name or id; default: all.")] = None,
    since: Since = None,
    until: Until = None,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """Write cost and usage as CSV by FOCUS 1.2: one row for each line of each charge."""
    with at.client() as client:
        parts = client.stream("/exports/focus", organization=organization, since=moment(since), until=moment(until))
        saving.save(parts, output, json_output=json_output)


@app.command
def parquet(
    *,
    out: Annotated[Path, Parameter(help="Directory; each day gets a folder day=YYYY-MM-DD in it.")],
    since: Since = None,
    until: Until = None,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """Write the raw events of all organizations as Parquet, a file for each UTC day.

    Run it again to go on: days that are whole are left as they are, and today's is written anew.
    """
    files.library()
    rows: list[dict[str, Any]] = []
    with at.client() as client:
        days = client.get("/exports/days", since=moment(since), until=moment(until))
        with Counted("days") as progress:
            for number, day in enumerate(days):
                rows.append(_day(client, out / f"day={day['day']}" / files.FILE, day))
                progress.at(number + 1, len(days), day["day"])
    columns = ("day", "rows", "amount_pico", "over", "file", "done")
    tables.show(rows, json_output=json_output, columns=columns, empty="Nothing was used.")


def _day(client: Client, path: Path, day: dict[str, Any]) -> dict[str, Any]:
    kept = files.sums(path)
    if kept is not None and (kept.position, kept.over) == (day["position"], day["over"]):
        return {"day": day["day"], **msgspec.structs.asdict(kept), "file": str(path), "done": "was there"}
    with DayFile(path) as file:
        following = (date.fromisoformat(day["day"]) + timedelta(days=1)).isoformat()
        end = _received(client, file, moment(day["day"]), moment(following))
        sums = Sums(end["rows"], end["amount_pico"], end["position"], day["over"])
        file.finish(sums)
    return {"day": day["day"], **msgspec.structs.asdict(sums), "file": str(path), "done": "written"}


def _received(client: Client, file: DayFile, since: str | None, until: str | None) -> dict[str, Any]:
    """Every event into the file; returns the end that the platform tells. Raises Unavailable without one."""
    decoder = msgspec.json.Decoder(UsageEvent)
    pending: list[UsageEvent] = []
    for line in client.stream_lines("/exports/events", since=since, until=until):
        if line.startswith(_END):
            file.add(pending)
            end: dict[str, Any] = msgspec.json.decode(line)["end"]
            return end
        try:
            pending.append(decoder.decode(line))
        except msgspec.MsgspecError as error:
            raise ArkwrightError(f"the platform sent a line that is no event: {error}") from None
        if len(pending) >= _PAGE:
            file.add(pending)
            pending.clear()
    raise Unavailable("the events broke off before their end; run it again")
